/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin_internal.h"
#include "log.h"
#include "metrics.h"
#include "show.h"
#include "span.h"

/* Requests: a line to a command and its arguments, what the parts of the commands share, and the
 * commands on the daemon as a whole. */

#define LIMIT_DEFAULT 100
#define WORDS_MAX     32
#define DRAIN_MOST_MS 3600000

const char *admin_text_arg(const json_t *args, const char *name)
{
    const char *text = json_string_value(json_object_get(args, name));

    return text ? text : "";
}

uint32_t admin_limit_arg(const json_t *args)
{
    const json_t *v = json_object_get(args, "limit");

    return v ? (uint32_t)json_integer_value(v) : LIMIT_DEFAULT;
}

bool admin_flag_arg(const json_t *args, const char *name)
{
    return json_is_true(json_object_get(args, name));
}

stamp admin_wall_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (stamp)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* 0 with *out at 0 for an argument that is not there. */
int admin_moment_arg(struct admin_client *c, const json_t *args, const char *name, stamp *out)
{
    const char *text = admin_text_arg(args, name);

    *out = 0;
    if (!*text || moment_parse(text, admin_wall_clock(), out) == 0)
        return 0;
    admin_refuse(c, "%s: '%.64s' is no time; 10min, 2h, 7d, 2025-11-30 or 2025-11-30T09:15 are",
                 name, text);
    return -1;
}

int admin_address_arg(struct admin_client *c, const json_t *args, const char *name,
                      struct endpoint *out)
{
    const char *text = admin_text_arg(args, name);

    *out = endpoint_none();
    if (!*text || endpoint_parse(text, 1, out) == 0)
        return 0;
    admin_refuse(c, "'%.64s' is not an address; 192.0.2.1 or 2001:db8::1 are", text);
    return -1;
}

int admin_peer_filter(struct admin_client *c, const char *peer)
{
    struct admin_filter *f = &c->filter;

    f->any_peer = !*peer;
    f->by_key = *peer && key_parse(peer, f->key) == 0;
    if (f->any_peer || f->by_key || peer_name_parse(peer, f->name) == 0)
        return 0;
    admin_refuse(c, "'%.80s' is neither a key nor a name", peer);
    return -1;
}

bool admin_may_change(struct admin_client *c, const char *what)
{
    const struct admin *admin = c->admin;

    if (c->standing == ADMIN_OPERATOR)
        return true;
    log_notice("admin (uid %u, pid %d): may not %s", (unsigned)c->uid, (int)c->pid, what);
    if (admin->operators.there)
        admin_refuse(c,
                     "'%s' changes something, and you may only look (readonly-group '%s'): that"
                     " takes a member of the group '%s', or root",
                     what, admin->readers.name, admin->operators.name);
    else
        admin_refuse(c,
                     "'%s' changes something, and you may only look (readonly-group '%s'): that"
                     " takes a member of the socket file's group, or root",
                     what, admin->readers.name);
    return false;
}

/* Who changes something is worth a line. */
void admin_note(const struct admin_client *c, const char *what, const char *whom)
{
    log_notice("admin (uid %u, pid %d): %s %s", (unsigned)c->uid, (int)c->pid, what, whom);
}

void admin_run_status(struct admin_client *c, const json_t *args)
{
    struct view_status v;
    struct store_health health;

    (void)args;
    memset(&v, 0, sizeof(v));
    c->admin->source.status(c->admin->source.user, &v);
    store_health(c->admin->store, &health);
    admin_reply(c, admin_view_status(&v, &health));
}

void admin_run_metrics(struct admin_client *c, const json_t *args)
{
    const struct admin_source *s = &c->admin->source;
    char *text = malloc(METRICS_TEXT_SIZE);

    (void)args;
    if (text && s->metrics(s->user, text, METRICS_TEXT_SIZE) > 0)
        admin_reply(c, json_pack("{s:s}", "text", text));
    else
        admin_refuse(c, "not enough memory for the answer");
    free(text);
}

void admin_run_url(struct admin_client *c, const json_t *args)
{
    struct view_status v;

    (void)args;
    memset(&v, 0, sizeof(v));
    c->admin->source.status(c->admin->source.user, &v);
    admin_reply(c, json_pack("{s:o}", "url", show_text(v.url)));
}

void admin_run_log_level(struct admin_client *c, const json_t *args)
{
    const char *name = admin_text_arg(args, "level");

    if (*name && !admin_may_change(c, "log-level LEVEL"))
        return;
    if (*name) {
        int level = log_level_from_name(name);
        if (level < 0) {
            admin_refuse(c, "'%.64s' is no level; error, warning, notice, info and debug are",
                         name);
            return;
        }
        log_set_level((enum log_level)level);
        admin_note(c, "log-level", name);
    }
    admin_reply(c, json_pack("{s:s}", "level", log_level_name(log_get_level())));
}

void admin_run_drain(struct admin_client *c, const json_t *args)
{
    const struct admin_source *s = &c->admin->source;
    const char *timeout = admin_text_arg(args, "timeout"), *to = admin_text_arg(args, "to");
    char err[256] = "";
    int64_t ms = -1000;

    if (*timeout && (span_parse(timeout, &ms) || ms < 0 || ms > DRAIN_MOST_MS)) {
        admin_refuse(c, "timeout: '%.64s' is no length of time up to 1h; 0s, 30s or 5min are",
                     timeout);
        return;
    }
    if (s->drain(s->user, ms / 1000, to, err, sizeof(err))) {
        admin_refuse(c, "%s", err);
        return;
    }
    admin_note(c, "drain", *to ? to : "(the peers come back here)");
    admin_reply(c, json_object());
}

void admin_run_help(struct admin_client *c, const json_t *args)
{
    json_t *list = json_array();

    (void)args;
    for (size_t i = 0; i < ADMIN_COMMANDS; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:b}", "name", admin_specs[i].name,
                                        "usage", admin_specs[i].usage, "help", admin_specs[i].help,
                                        "changes", admin_specs[i].right == ADMIN_CHANGE));
    admin_reply(c, json_pack("{s:o}", "commands", list));
}

/* A line each, so that commands come and go without a stir. */
/* clang-format off */
static void (*const commands[ADMIN_COMMANDS])(struct admin_client *, const json_t *) = {
    [ADMIN_METRICS] = admin_run_metrics,
    [ADMIN_STATUS] = admin_run_status,
    [ADMIN_PEERS] = admin_run_peers,
    [ADMIN_SESSIONS] = admin_run_sessions,
    [ADMIN_SESSION] = admin_run_session,
    [ADMIN_NATS] = admin_run_nats,
    [ADMIN_STATS] = admin_run_stats,
    [ADMIN_WATCH] = admin_run_watch,
    [ADMIN_LIMITS] = admin_run_limits,
    [ADMIN_URL] = admin_run_url,
    [ADMIN_INVITE] = admin_run_invite,
    [ADMIN_INVITES] = admin_run_invites,
    [ADMIN_REVOKE] = admin_run_revoke,
    [ADMIN_ACCESS] = admin_run_access,
    [ADMIN_BAN] = admin_run_ban,
    [ADMIN_UNBAN] = admin_run_unban,
    [ADMIN_BANS] = admin_run_bans,
    [ADMIN_NAMES] = admin_run_names,
    [ADMIN_NAME] = admin_run_name,
    [ADMIN_ALLOW] = admin_run_allow,
    [ADMIN_DENY] = admin_run_deny,
    [ADMIN_KICK] = admin_run_kick,
    [ADMIN_CONFIG] = admin_run_config,
    [ADMIN_RELOAD] = admin_run_reload,
    [ADMIN_DRAIN] = admin_run_drain,
    [ADMIN_LOG_LEVEL] = admin_run_log_level,
    [ADMIN_HELP] = admin_run_help,
    [ADMIN_CHECK_STORE] = admin_run_check_store,
    [ADMIN_BACKUP] = admin_run_backup,
};
/* clang-format on */

/* --- lines --- */

static void run(struct admin_client *c, const struct admin_spec *spec, const json_t *args)
{
    if (spec->right == ADMIN_READ || admin_may_change(c, spec->name))
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
