/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin_internal.h"
#include "log.h"
#include "show.h"
#include "span.h"

/* Requests: a line to a command and its arguments, and what each command does. */

#define LIMIT_DEFAULT 100
#define WORDS_MAX     32

static const char *text_arg(const json_t *args, const char *name)
{
    const char *text = json_string_value(json_object_get(args, name));

    return text ? text : "";
}

static uint32_t limit_arg(const json_t *args)
{
    const json_t *v = json_object_get(args, "limit");

    return v ? (uint32_t)json_integer_value(v) : LIMIT_DEFAULT;
}

static bool flag_arg(const json_t *args, const char *name)
{
    return json_is_true(json_object_get(args, name));
}

/* Who changes something is worth a line. */
static void note(const struct admin_client *c, const char *what, const char *whom)
{
    log_notice("admin (uid %u, pid %d): %s %s", (unsigned)c->uid, (int)c->pid, what, whom);
}

static void run_status(struct admin_client *c, const json_t *args)
{
    struct view_status v;
    struct store_health health;

    (void)args;
    memset(&v, 0, sizeof(v));
    c->admin->source.status(c->admin->source.user, &v);
    store_health(c->admin->store, &health);
    admin_reply(c, admin_view_status(&v, &health));
}

static void run_url(struct admin_client *c, const json_t *args)
{
    struct view_status v;

    (void)args;
    memset(&v, 0, sizeof(v));
    c->admin->source.status(c->admin->source.user, &v);
    admin_reply(c, json_pack("{s:o}", "url", show_text(v.url)));
}

/* --- lists --- */

static bool peer_matches(const struct admin_filter *f, const uint8_t key[KEY_SIZE],
                         const char *name)
{
    if (f->any_peer)
        return true;
    return f->by_key ? memcmp(f->key, key, KEY_SIZE) == 0 : strcmp(f->name, name) == 0;
}

static int set_peer_filter(struct admin_filter *f, const char *peer)
{
    f->any_peer = !*peer;
    f->by_key = *peer && key_parse(peer, f->key) == 0;
    return f->any_peer || f->by_key ? 0 : peer_name_parse(peer, f->name);
}

static json_t *row_peer(struct admin_client *c, size_t index, bool *end)
{
    struct view_peer v;

    *end = !c->admin->source.peer(c->admin->source.user, index, &v);
    if (*end || !peer_matches(&c->filter, v.key, v.name))
        return NULL;
    return admin_view_peer(&v);
}

static json_t *row_session(struct admin_client *c, size_t index, bool *end)
{
    struct view_session v;

    *end = !c->admin->source.session(c->admin->source.user, index, &v);
    if (*end || (!peer_matches(&c->filter, v.requester, v.requester_name) &&
                 !peer_matches(&c->filter, v.target, v.target_name)))
        return NULL;
    return admin_view_session(&v);
}

static json_t *row_nat(struct admin_client *c, size_t index, bool *end)
{
    struct view_nat v;

    *end = !c->admin->source.nat(c->admin->source.user, index, &v);
    if (*end || (!endpoint_is_none(&c->filter.address) &&
                 !endpoint_same_address(&c->filter.address, &v.address)))
        return NULL;
    return admin_view_nat(&v);
}

/* A peer that is not connected may be known all the same. */
static void ask_fallback(struct admin_client *c)
{
    admin_ask(c, &c->fallback);
}

static void run_peers(struct admin_client *c, const json_t *args)
{
    const char *peer = text_arg(args, "peer");
    struct store_query *q = &c->fallback;

    memset(q, 0, sizeof(*q));
    q->what = QUERY_PEERS;
    q->limit = limit_arg(args);
    snprintf(q->peer, sizeof(q->peer), "%s", peer);
    if (set_peer_filter(&c->filter, peer)) {
        admin_refuse(c, "'%.80s' is neither a key nor a name", peer);
        return;
    }
    if (flag_arg(args, "all")) {
        admin_ask(c, q);
        return;
    }
    c->walk = (struct admin_walk){.row = row_peer, .name = "peers", .left = q->limit};
    if (*peer)
        c->walk.then = ask_fallback;
    admin_walk(c);
}

static stamp wall_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (stamp)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* 0 with *out at 0 for an argument that is not there. */
static int moment_arg(struct admin_client *c, const json_t *args, const char *name, stamp *out)
{
    const char *text = text_arg(args, name);

    *out = 0;
    if (!*text || moment_parse(text, wall_clock(), out) == 0)
        return 0;
    admin_refuse(c, "%s: '%.64s' is no time; 10min, 2h, 7d, 2025-11-30 or 2025-11-30T09:15 are",
                 name, text);
    return -1;
}

static void run_sessions(struct admin_client *c, const json_t *args)
{
    const char *peer = text_arg(args, "peer");
    struct store_query q;

    memset(&q, 0, sizeof(q));
    q.what = QUERY_SESSIONS;
    q.failed_only = flag_arg(args, "failed");
    q.limit = limit_arg(args);
    snprintf(q.peer, sizeof(q.peer), "%s", peer);
    if (set_peer_filter(&c->filter, peer)) {
        admin_refuse(c, "'%.80s' is neither a key nor a name", peer);
        return;
    }
    if (moment_arg(c, args, "since", &q.since) || moment_arg(c, args, "until", &q.until))
        return;
    if (!flag_arg(args, "active")) {
        admin_ask(c, &q);
        return;
    }
    if (q.failed_only || q.since || q.until) {
        admin_refuse(c, "--active goes with --peer and --limit only");
        return;
    }
    c->walk = (struct admin_walk){.row = row_session, .name = "sessions", .left = q.limit};
    admin_walk(c);
}

static void run_session(struct admin_client *c, const json_t *args)
{
    const char *id = text_arg(args, "id");
    struct store_query q;
    size_t len = strlen(id);

    memset(&q, 0, sizeof(q));
    q.what = QUERY_SESSION;
    if (len == 0 || len > 2 * MSG_ID_SIZE) {
        admin_refuse(c, "'%.64s' is no session id: those are 1 to 32 hexadecimal digits", id);
        return;
    }
    for (size_t i = 0; i < len; i++)
        q.session[i] = (char)(id[i] >= 'A' && id[i] <= 'F' ? id[i] - 'A' + 'a' : id[i]);
    admin_ask(c, &q);
}

static void run_nats(struct admin_client *c, const json_t *args)
{
    const char *address = text_arg(args, "address");
    struct store_query *q = &c->fallback;

    c->filter.address = endpoint_none();
    c->walk = (struct admin_walk){.row = row_nat, .name = "nats", .left = limit_arg(args)};
    if (!*address) {
        admin_walk(c);
        return;
    }
    if (endpoint_parse(address, 1, &c->filter.address)) {
        admin_refuse(c, "'%.64s' is not an address; 192.0.2.1 or 2001:db8::1 are", address);
        return;
    }
    memset(q, 0, sizeof(*q));
    q->what = QUERY_OBSERVATIONS;
    /* As the store writes it, however it was typed. */
    endpoint_format_address(&c->filter.address, q->address);
    c->walk.then = ask_fallback;
    c->head = strdup("");
    admin_walk(c);
}

/* --- commands that change something --- */

static void run_invite(struct admin_client *c, const json_t *args)
{
    const struct admin_source *s = &c->admin->source;
    const char *ttl = text_arg(args, "ttl"), *given = text_arg(args, "name");
    char url[SERVER_URL_SIZE + 64] = "", err[256] = "", name[PEER_NAME_SIZE] = "";
    int64_t ms = 0;

    if (*ttl && (span_parse(ttl, &ms) || ms < 1000)) {
        admin_refuse(c, "ttl: '%.64s' is no length of time; 30min, 12h or 7d are", ttl);
        return;
    }
    if (*given && peer_name_parse(given, name)) {
        admin_refuse(c,
                     "name: '%.80s' is no peer name: letters, digits, '-', '_' and '.', 63 at most",
                     given);
        return;
    }
    if (s->invite(s->user, name, ms / 1000, url, err, sizeof(err))) {
        admin_refuse(c, "%s", err);
        return;
    }
    note(c, "invite", *name ? name : "(any name)");
    admin_reply(c, json_pack("{s:o, s:o}", "url", show_text(url), "name", show_label(name)));
}

static void run_change(struct admin_client *c, const char *what, const char *whom,
                       int (*change)(void *, const char *, char *, size_t))
{
    char err[256] = "";

    if (change(c->admin->source.user, whom, err, sizeof(err))) {
        admin_refuse(c, "%s", err);
        return;
    }
    note(c, what, whom);
    admin_reply(c, json_object());
}

static void run_allow(struct admin_client *c, const json_t *args)
{
    run_change(c, "allow", text_arg(args, "key"), c->admin->source.allow);
}

static void run_deny(struct admin_client *c, const json_t *args)
{
    run_change(c, "deny", text_arg(args, "key"), c->admin->source.deny);
}

static void run_kick(struct admin_client *c, const json_t *args)
{
    run_change(c, "kick", text_arg(args, "peer"), c->admin->source.kick);
}

static void run_log_level(struct admin_client *c, const json_t *args)
{
    const char *name = text_arg(args, "level");

    if (*name) {
        int level = log_level_from_name(name);
        if (level < 0) {
            admin_refuse(c, "'%.64s' is no level; error, warning, notice, info and debug are",
                         name);
            return;
        }
        log_set_level((enum log_level)level);
        note(c, "log-level", name);
    }
    admin_reply(c, json_pack("{s:s}", "level", log_level_name(log_get_level())));
}

static void run_help(struct admin_client *c, const json_t *args)
{
    json_t *list = json_array();

    (void)args;
    for (size_t i = 0; i < ADMIN_COMMANDS; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s}", "name", admin_specs[i].name, "usage",
                                        admin_specs[i].usage, "help", admin_specs[i].help));
    admin_reply(c, json_pack("{s:o}", "commands", list));
}

static void (*const commands[ADMIN_COMMANDS])(struct admin_client *, const json_t *) = {
    [ADMIN_STATUS] = run_status,       [ADMIN_PEERS] = run_peers,
    [ADMIN_SESSIONS] = run_sessions,   [ADMIN_SESSION] = run_session,
    [ADMIN_NATS] = run_nats,           [ADMIN_URL] = run_url,
    [ADMIN_INVITE] = run_invite,       [ADMIN_ALLOW] = run_allow,
    [ADMIN_DENY] = run_deny,           [ADMIN_KICK] = run_kick,
    [ADMIN_LOG_LEVEL] = run_log_level, [ADMIN_HELP] = run_help,
};

/* --- lines --- */

static void run(struct admin_client *c, const struct admin_spec *spec, const json_t *args)
{
    commands[spec - admin_specs](c, args);
}

static void request_object(struct admin_client *c, const char *line)
{
    char err[256];
    json_error_t where;
    json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, &where);
    const char *name = json_string_value(json_object_get(request, "command"));
    const json_t *args = json_object_get(request, "args");
    const struct admin_spec *spec = name ? admin_spec_find(name, err, sizeof(err)) : NULL;

    if (!request)
        admin_refuse(c, "not JSON: %s", where.text);
    else if (!name)
        admin_refuse(
            c, "a request is {\"command\": NAME, \"args\": {...}}; 'help' lists the commands");
    else if (!spec || admin_args_check(spec, args, err, sizeof(err)))
        admin_refuse(c, "%s", err);
    else
        run(c, spec, args);
    json_decref(request);
}

/* The same by hand: "sessions --failed --limit 5". */
static void request_words(struct admin_client *c, char *line)
{
    char *words[WORDS_MAX], *rest = NULL, err[256] = "no command";
    size_t count = 0;

    for (char *w = strtok_r(line, " \t", &rest); w; w = strtok_r(NULL, " \t", &rest)) {
        if (count == WORDS_MAX) {
            admin_refuse(c, "more than %d words", WORDS_MAX);
            return;
        }
        words[count++] = w;
    }
    const struct admin_spec *spec = count ? admin_spec_find(words[0], err, sizeof(err)) : NULL;
    json_t *args = spec ? admin_args_parse(spec, words + 1, count - 1, err, sizeof(err)) : NULL;
    if (args)
        run(c, spec, args);
    else
        admin_refuse(c, "%s", err);
    json_decref(args);
}

void admin_request(struct admin_client *c, char *line)
{
    line += strspn(line, " \t");
    if (*line == '{')
        request_object(c, line);
    else if (*line)
        request_words(c, line);
}
