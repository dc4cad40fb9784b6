/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_internal.h"

/* Lists: peers, sessions and NATs, of the daemon and of its store. */

static bool peer_matches(const struct admin_filter *f, const uint8_t key[KEY_SIZE],
                         const char *name)
{
    if (f->any_peer)
        return true;
    return f->by_key ? memcmp(f->key, key, KEY_SIZE) == 0 : strcmp(f->name, name) == 0;
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

void admin_run_peers(struct admin_client *c, const json_t *args)
{
    const char *peer = admin_text_arg(args, "peer");
    struct store_query *q = &c->fallback;

    memset(q, 0, sizeof(*q));
    q->what = QUERY_PEERS;
    q->limit = admin_limit_arg(args);
    snprintf(q->peer, sizeof(q->peer), "%s", peer);
    if (admin_peer_filter(c, peer))
        return;
    if (admin_flag_arg(args, "all")) {
        admin_ask(c, q);
        return;
    }
    c->walk = (struct admin_walk){.row = row_peer, .name = "peers", .left = q->limit};
    if (*peer)
        c->walk.then = ask_fallback;
    admin_walk(c);
}

void admin_run_sessions(struct admin_client *c, const json_t *args)
{
    const char *peer = admin_text_arg(args, "peer");
    struct store_query q;

    memset(&q, 0, sizeof(q));
    q.what = QUERY_SESSIONS;
    q.failed_only = admin_flag_arg(args, "failed");
    q.limit = admin_limit_arg(args);
    snprintf(q.peer, sizeof(q.peer), "%s", peer);
    if (admin_peer_filter(c, peer))
        return;
    if (admin_moment_arg(c, args, "since", &q.since) ||
        admin_moment_arg(c, args, "until", &q.until))
        return;
    if (!admin_flag_arg(args, "active")) {
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

void admin_run_session(struct admin_client *c, const json_t *args)
{
    const char *id = admin_text_arg(args, "id");
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

void admin_run_nats(struct admin_client *c, const json_t *args)
{
    const char *address = admin_text_arg(args, "address");
    struct store_query *q = &c->fallback;

    c->filter.address = endpoint_none();
    c->walk = (struct admin_walk){.row = row_nat, .name = "nats", .left = admin_limit_arg(args)};
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
