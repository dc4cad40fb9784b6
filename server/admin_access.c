/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdio.h>
#include <string.h>

#include "admin_internal.h"
#include "show.h"
#include "span.h"
#include "store_show.h"

/* Who may use the server: invites, allowed keys, bans, names, and what is done to single peers. */

#define TTL_MOST_S ((int64_t)36500 * 86400) /* a century, more or less */

/* Seconds in *out, 0 for an argument that is not there. Returns 0, or -1 after a refusal. */
static int ttl_arg(struct admin_client *c, const json_t *args, int64_t *out)
{
    const char *text = admin_text_arg(args, "ttl");
    int64_t ms = 0;

    *out = 0;
    if (!json_object_get(args, "ttl"))
        return 0;
    if (span_parse(text, &ms) || ms < 1000 || ms / 1000 > TTL_MOST_S) {
        admin_refuse(c, "ttl: '%.64s' is no length of time from 1s to 36500d; 30min, 12h or 7d are",
                     text);
        return -1;
    }
    *out = ms / 1000;
    return 0;
}

/* --- invites --- */

void admin_run_invite(struct admin_client *c, const json_t *args)
{
    const struct admin_source *s = &c->admin->source;
    const char *given = admin_text_arg(args, "name");
    char url[SERVER_URL_SIZE + 64] = "", err[256] = "", name[PEER_NAME_SIZE] = "";
    int64_t ttl;

    if (ttl_arg(c, args, &ttl))
        return;
    if (*given && peer_name_parse(given, name)) {
        admin_refuse(c,
                     "name: '%.80s' is no peer name: letters, digits, '-', '_' and '.', 63 at most",
                     given);
        return;
    }
    if (s->invite(s->user, name, ttl, url, err, sizeof(err))) {
        admin_refuse(c, "%s", err);
        return;
    }
    admin_note(c, "invite", *name ? name : "(any name)");
    admin_reply_stored(c, json_pack("{s:o, s:o}", "url", show_text(url), "name", show_label(name)));
}

static json_t *row_invite(struct admin_client *c, size_t index, bool *end)
{
    struct row_invite row;

    *end = !c->admin->source.open_invite(c->admin->source.user, index, &row);
    return *end ? NULL : store_show_invite_row(&row);
}

void admin_run_invites(struct admin_client *c, const json_t *args)
{
    struct store_query q;

    if (admin_flag_arg(args, "all")) {
        memset(&q, 0, sizeof(q));
        q.what = QUERY_INVITES;
        q.limit = admin_limit_arg(args);
        admin_ask(c, &q);
        return;
    }
    c->walk =
        (struct admin_walk){.row = row_invite, .name = "invites", .left = admin_limit_arg(args)};
    admin_walk(c);
}

void admin_run_revoke(struct admin_client *c, const json_t *args)
{
    struct row_invite row;
    char err[256] = "";
    const char *id = admin_text_arg(args, "id");

    memset(&row, 0, sizeof(row));
    if (c->admin->source.revoke(c->admin->source.user, id, &row, err, sizeof(err))) {
        admin_refuse(c, "%s", err);
        return;
    }
    admin_note(c, "revoke", id);
    admin_reply_stored(c, json_pack("{s:o}", "invite", store_show_invite_row(&row)));
}

/* --- decisions --- */

static json_t *show_entry(const struct view_access *v)
{
    char text[ACCESS_TEXT_SIZE];
    json_t *o = json_object();

    json_object_set_new(o, "subject", show_text(access_format(&v->subject, text)));
    json_object_set_new(o, "name", show_label(v->name));
    json_object_set_new(o, "created", show_stamp(v->created));
    json_object_set_new(o, "expires", show_stamp(v->expires));
    json_object_set_new(o, "reason", show_label(v->reason));
    return o;
}

static void decide(struct admin_client *c, const char *what, struct admin_decision *decision,
                   int (*run)(void *, struct admin_decision *, char *, size_t))
{
    char err[256] = "", text[ACCESS_TEXT_SIZE];

    if (run(c->admin->source.user, decision, err, sizeof(err))) {
        admin_refuse(c, "%s", err);
        return;
    }
    admin_note(c, what, access_format(&decision->entry.subject, text));
    json_t *o = show_entry(&decision->entry);
    json_object_set_new(o, "closed", json_integer(decision->closed));
    json_object_set_new(o, "note", show_label(decision->note));
    admin_reply_stored(c, o);
}

void admin_run_allow(struct admin_client *c, const json_t *args)
{
    struct admin_decision decision = {.subject = admin_text_arg(args, "key")};

    if (ttl_arg(c, args, &decision.ttl_seconds) == 0)
        decide(c, "allow", &decision, c->admin->source.allow);
}

void admin_run_deny(struct admin_client *c, const json_t *args)
{
    struct admin_decision decision = {.subject = admin_text_arg(args, "key"),
                                      .kick = admin_flag_arg(args, "kick")};

    decide(c, "deny", &decision, c->admin->source.deny);
}

void admin_run_ban(struct admin_client *c, const json_t *args)
{
    struct admin_decision decision = {.subject = admin_text_arg(args, "subject"),
                                      .reason = admin_text_arg(args, "reason"),
                                      .force = admin_flag_arg(args, "force")};

    if (ttl_arg(c, args, &decision.ttl_seconds))
        return;
    if (strlen(decision.reason) >= ACCESS_REASON_SIZE) {
        admin_refuse(c, "reason: longer than %d bytes", ACCESS_REASON_SIZE - 1);
        return;
    }
    decide(c, "ban", &decision, c->admin->source.ban);
}

void admin_run_unban(struct admin_client *c, const json_t *args)
{
    struct admin_decision decision = {.subject = admin_text_arg(args, "subject")};

    decide(c, "unban", &decision, c->admin->source.unban);
}

void admin_run_kick(struct admin_client *c, const json_t *args)
{
    const char *peer = admin_text_arg(args, "peer");
    char err[256] = "";

    if (c->admin->source.kick(c->admin->source.user, peer, err, sizeof(err))) {
        admin_refuse(c, "%s", err);
        return;
    }
    admin_note(c, "kick", peer);
    admin_reply(c, json_object());
}

/* --- lists --- */

/* Rows about a key, an address, a prefix, or whoever has a name. Returns 0, or -1 after a
 * refusal. */
static int set_filter(struct admin_client *c, const char *text)
{
    struct admin_filter *f = &c->filter;
    enum access_parsed parsed = access_parse(text, &f->subject);

    f->any_peer = !*text;
    f->by_subject = parsed == ACCESS_PARSED || parsed == ACCESS_BITS_BEYOND;
    if (f->any_peer || f->by_subject || peer_name_parse(text, f->name) == 0)
        return 0;
    admin_refuse(c, "'%.80s' is neither a key nor a name, an address or a prefix", text);
    return -1;
}

/* Prefixes concern what they cover, and what covers them. */
static bool concerns(const struct admin_filter *f, const struct access_subject *s, const char *name)
{
    if (f->any_peer)
        return true;
    if (!f->by_subject)
        return strcmp(f->name, name) == 0;
    return access_covers(s, &f->subject) || access_covers(&f->subject, s);
}

static json_t *row_entry(struct admin_client *c, size_t index, bool *end,
                         bool (*view)(void *, size_t, struct view_access *))
{
    struct view_access v;

    *end = !view(c->admin->source.user, index, &v);
    return *end || !concerns(&c->filter, &v.subject, v.name) ? NULL : show_entry(&v);
}

static json_t *row_allowed(struct admin_client *c, size_t index, bool *end)
{
    return row_entry(c, index, end, c->admin->source.allowed);
}

static json_t *row_banned(struct admin_client *c, size_t index, bool *end)
{
    return row_entry(c, index, end, c->admin->source.banned);
}

static json_t *row_name(struct admin_client *c, size_t index, bool *end)
{
    struct view_name v;

    *end = !c->admin->source.named(c->admin->source.user, index, &v);
    if (*end)
        return NULL;
    struct access_subject s = access_of_key(v.key);
    if (!v.name[0] || !concerns(&c->filter, &s, v.name))
        return NULL;
    return json_pack("{s:o, s:o, s:o, s:b}", "name", show_text(v.name), "key", show_key(v.key),
                     "last_seen", show_stamp(v.last_seen), "online", v.online);
}

static void list(struct admin_client *c, const json_t *args, const char *about, const char *name,
                 json_t *(*row)(struct admin_client *, size_t, bool *))
{
    if (set_filter(c, admin_text_arg(args, about)))
        return;
    c->walk = (struct admin_walk){.row = row, .name = name, .left = admin_limit_arg(args)};
    admin_walk(c);
}

void admin_run_access(struct admin_client *c, const json_t *args)
{
    list(c, args, "peer", "access", row_allowed);
}

void admin_run_bans(struct admin_client *c, const json_t *args)
{
    list(c, args, "subject", "bans", row_banned);
}

void admin_run_names(struct admin_client *c, const json_t *args)
{
    list(c, args, "peer", "names", row_name);
}

/* --- names --- */

static json_t *show_naming(const struct admin_naming *n, bool transfer)
{
    json_t *o = json_object();

    json_object_set_new(o, "name", show_text(n->name));
    json_object_set_new(o, "from", show_key(n->from));
    json_object_set_new(o, "key", transfer ? show_key(n->key) : json_null());
    json_object_set_new(o, "lost", show_label(n->lost));
    json_object_set_new(o, "connected", json_boolean(n->connected));
    return o;
}

void admin_run_name(struct admin_client *c, const json_t *args)
{
    const struct admin_source *s = &c->admin->source;
    const char *action = admin_text_arg(args, "action");
    struct admin_naming naming = {.name = admin_text_arg(args, "name"),
                                  .to = admin_text_arg(args, "to")};
    bool transfer = strcmp(action, "transfer") == 0;
    char err[256] = "";

    if (!transfer && strcmp(action, "release") != 0)
        admin_refuse(c,
                     "'%.64s': a name is released or transferred: name release NAME, or name "
                     "transfer NAME KEY",
                     action);
    else if (transfer != (*naming.to != '\0'))
        admin_refuse(c, transfer ? "to whom? name transfer NAME KEY"
                                 : "a release names nobody: name release NAME");
    else if ((transfer ? s->name_transfer : s->name_release)(s->user, &naming, err, sizeof(err)))
        admin_refuse(c, "%s", err);
    else {
        admin_note(c, transfer ? "name transfer" : "name release", naming.name);
        admin_reply_stored(c, show_naming(&naming, transfer));
    }
}
