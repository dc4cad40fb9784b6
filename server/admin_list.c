/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_internal.h"
#include "nearest.h"
#include "proto/reason.h"

/* Lists: peers, sessions and NATs, of the daemon and of its store. */

static bool peer_matches(const struct admin_filter *f, const uint8_t key[KEY_SIZE],
                         const char *name)
{
    if (f->any_peer)
        return true;
    return f->by_key ? memcmp(f->key, key, KEY_SIZE) == 0 : strcmp(f->name, name) == 0;
}

static bool in_time(const struct admin_filter *f, stamp at)
{
    return (!f->since || at >= f->since) && (!f->until || at < f->until);
}

static bool at_address(const struct admin_filter *f, const struct endpoint *e)
{
    return endpoint_is_none(&f->address) || endpoint_same_address(&f->address, e);
}

static json_t *row_peer(struct admin_client *c, size_t index, bool *end)
{
    const struct admin_filter *f = &c->filter;
    struct view_peer v;

    *end = !c->admin->source.peer(c->admin->source.user, index, &v);
    if (*end || !peer_matches(f, v.key, v.name) || !in_time(f, v.since) ||
        !at_address(f, &v.observed) || (f->listening && !v.listening))
        return NULL;
    return admin_view_peer(&v);
}

static json_t *row_session(struct admin_client *c, size_t index, bool *end)
{
    struct view_session v;

    *end = !c->admin->source.session(c->admin->source.user, index, &v);
    if (*end ||
        (!peer_matches(&c->filter, v.requester, v.requester_name) &&
         !peer_matches(&c->filter, v.target, v.target_name)) ||
        !in_time(&c->filter, v.started))
        return NULL;
    return admin_view_session(&v);
}

static json_t *row_nat(struct admin_client *c, size_t index, bool *end)
{
    const struct admin_filter *f = &c->filter;
    struct view_nat v;

    *end = !c->admin->source.nat(c->admin->source.user, index, &v);
    if (*end || !at_address(f, &v.address) || (f->mapping && f->mapping != v.nat.mapping) ||
        (f->allocation && f->allocation != v.nat.allocation))
        return NULL;
    return admin_view_nat(&v);
}

/* A peer that is not connected may be known all the same. */
static void ask_fallback(struct admin_client *c)
{
    admin_ask(c, &c->fallback);
}

/* --- peers --- */

/* What peers must match. 0, or -1 after a refusal. */
static int peers_filter(struct admin_client *c, const json_t *args)
{
    const char *peer = admin_text_arg(args, "peer");
    struct admin_filter *f = &c->filter;

    memset(f, 0, sizeof(*f));
    f->listening = admin_flag_arg(args, "listening");
    if (admin_peer_filter(c, peer) || admin_address_arg(c, args, "address", &f->address) ||
        admin_moment_arg(c, args, "since", &f->since) ||
        admin_moment_arg(c, args, "until", &f->until))
        return -1;
    if (*peer && (f->listening || f->since || f->until || !endpoint_is_none(&f->address))) {
        admin_refuse(c, "a single peer is asked for by its key or name alone");
        return -1;
    }
    if (f->listening && admin_flag_arg(args, "all")) {
        admin_refuse(c, "--listening is about peers that are connected: it does not go with --all");
        return -1;
    }
    return 0;
}

void admin_run_peers(struct admin_client *c, const json_t *args)
{
    const char *peer = admin_text_arg(args, "peer");
    struct store_query *q = &c->fallback;

    if (peers_filter(c, args))
        return;
    memset(q, 0, sizeof(*q));
    q->what = QUERY_PEERS;
    q->limit = admin_limit_arg(args);
    q->since = c->filter.since;
    q->until = c->filter.until;
    if (!endpoint_is_none(&c->filter.address))
        endpoint_format_address(&c->filter.address, q->address);
    snprintf(q->peer, sizeof(q->peer), "%s", peer);
    if (admin_flag_arg(args, "all")) {
        admin_ask(c, q);
        return;
    }
    c->walk = (struct admin_walk){.row = row_peer, .name = "peers", .left = q->limit};
    if (*peer)
        c->walk.then = ask_fallback;
    admin_walk(c);
}

/* --- sessions --- */

static int outcome_arg(struct admin_client *c, const json_t *args, struct store_query *q)
{
    const char *outcome = admin_text_arg(args, "outcome");

    q->active_only = strcmp(outcome, "active") == 0 || admin_flag_arg(args, "active");
    q->failed_only = strcmp(outcome, "failed") == 0 || admin_flag_arg(args, "failed");
    q->connected_only = strcmp(outcome, "connected") == 0;
    if (*outcome && !q->active_only && !q->failed_only && !q->connected_only) {
        admin_refuse(c, "outcome: '%.64s' is none; active, connected and failed are", outcome);
        return -1;
    }
    if (q->active_only + q->failed_only + q->connected_only > 1) {
        admin_refuse(c, "a session has one outcome: ask for active, connected or failed");
        return -1;
    }
    return 0;
}

static void refuse_reason(struct admin_client *c, const char *name)
{
    static const char *const names[] = {
#define REASON(number, NAME, name, status, text, advice) name,
#include "proto/reason.def"
#undef REASON
    };
    const char *near = nearest(name, names, sizeof(names) / sizeof(names[0]));

    if (near)
        admin_refuse(c, "reason: '%.64s' is none; did you mean '%s'?", name, near);
    else
        admin_refuse(c,
                     "reason: '%.64s' is none; peer-offline, missed and both-random are some,"
                     " tryst(1) lists them",
                     name);
}

static int reason_arg(struct admin_client *c, const json_t *args, struct store_query *q)
{
    const char *name = admin_text_arg(args, "reason");
    int reason = *name ? reason_from_name(name) : 0;

    if (reason < 0) {
        refuse_reason(c, name);
        return -1;
    }
    q->by_reason = *name != '\0';
    q->reason = (uint8_t)reason;
    return 0;
}

void admin_run_sessions(struct admin_client *c, const json_t *args)
{
    const char *peer = admin_text_arg(args, "peer");
    struct admin_filter *f = &c->filter;
    struct store_query q;

    memset(&q, 0, sizeof(q));
    memset(f, 0, sizeof(*f));
    q.what = QUERY_SESSIONS;
    q.limit = admin_limit_arg(args);
    snprintf(q.peer, sizeof(q.peer), "%s", peer);
    if (admin_peer_filter(c, peer) || outcome_arg(c, args, &q) || reason_arg(c, args, &q) ||
        admin_moment_arg(c, args, "since", &q.since) ||
        admin_moment_arg(c, args, "until", &q.until))
        return;
    if (!q.active_only) {
        admin_ask(c, &q);
        return;
    }
    if (q.by_reason) {
        admin_refuse(c, "a session under way has no reason yet");
        return;
    }
    f->since = q.since;
    f->until = q.until;
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

/* --- NATs --- */

/* A word of nat.h to its number, among the first `count`; 0 for none given. */
static int nat_word_arg(struct admin_client *c, const json_t *args, const char *name,
                        const char *(*word)(unsigned), unsigned count, uint8_t *out)
{
    const char *text = admin_text_arg(args, name);
    char known[128] = "";

    *out = 0;
    if (!*text)
        return 0;
    for (unsigned i = 1; i < count; i++) {
        size_t len = strlen(known);
        if (strcmp(word(i), text) == 0)
            *out = (uint8_t)i;
        snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "", word(i));
    }
    if (*out)
        return 0;
    admin_refuse(c, "%s: '%.64s' is none; one of these would be right: %s", name, text, known);
    return -1;
}

static void run_one_nat(struct admin_client *c)
{
    struct store_query *q = &c->fallback;

    memset(q, 0, sizeof(*q));
    q->what = QUERY_OBSERVATIONS;
    /* As the store writes it, however it was typed. */
    endpoint_format_address(&c->filter.address, q->address);
    c->walk.then = ask_fallback;
    c->head = strdup("");
    admin_walk(c);
}

void admin_run_nats(struct admin_client *c, const json_t *args)
{
    struct admin_filter *f = &c->filter;
    struct store_query q;

    memset(f, 0, sizeof(*f));
    if (nat_word_arg(c, args, "mapping", nat_mapping_name, NAT_APDM + 1, &f->mapping) ||
        nat_word_arg(c, args, "allocation", nat_allocation_name, NAT_RANDOM + 1, &f->allocation) ||
        admin_address_arg(c, args, "address", &f->address))
        return;
    bool one = !endpoint_is_none(&f->address), all = admin_flag_arg(args, "all");
    if (one && (all || f->mapping || f->allocation)) {
        admin_refuse(c, "a single NAT is asked for by its address alone");
        return;
    }
    c->walk = (struct admin_walk){.row = row_nat, .name = "nats", .left = admin_limit_arg(args)};
    if (one) {
        run_one_nat(c);
    } else if (all) {
        c->walk = (struct admin_walk){0};
        memset(&q, 0, sizeof(q));
        q.what = QUERY_NATS;
        q.limit = admin_limit_arg(args);
        q.mapping = f->mapping;
        q.allocation = f->allocation;
        admin_ask(c, &q);
    } else {
        admin_walk(c);
    }
}
