/* SPDX-License-Identifier: ISC */
/* What the admin socket may see and do. */
#include <string.h>

#include "dispatch.h"

static void view_store(struct dispatch *d, struct view_status *out)
{
    struct store_health health;
    store_health(d->store, &health);
    out->store_pending = store_pending(d->store);
    out->store_rows = health.rows;
    if (health.degraded)
        snprintf(out->store_error, sizeof(out->store_error), "%s", health.error);
}

static void view_warning(const struct dispatch *d, struct view_status *out)
{
    char address[ENDPOINT_TEXT_SIZE];
    if (d->draining)
        snprintf(out->warning, sizeof(out->warning),
                 "draining: no new sessions, and the daemon ends with those under way");
    else if (d->private_only)
        snprintf(out->warning, sizeof(out->warning),
                 "every peer comes from the private address %s: this server stands behind a NAT or "
                 "proxy that hides its "
                 "clients",
                 endpoint_format_address(&d->private_address, address));
    else if (d->conf->registration == REGISTRATION_OPEN)
        snprintf(out->warning, sizeof(out->warning),
                 "registration is open: anybody may use this server");
}

static void view_status(void *user, struct view_status *out)
{
    static const char *const registration[] = {"open", "allowlist", "invite"};
    struct dispatch *d = user;
    memset(out, 0, sizeof(*out));
    snprintf(out->version, sizeof(out->version), "%s", PACKAGE_VERSION);
    server_url_format(&d->url, out->url);
    snprintf(out->listen, sizeof(out->listen), "%s", d->listen_text);
    snprintf(out->registration, sizeof(out->registration), "%s",
             registration[d->conf->registration]);
    out->started = d->started;
    out->peers = d->table.channels.used;
    out->peers_listening = d->table.listening;
    out->peers_known = d->table.peers.used;
    out->sessions_active = d->sessions.used;
    out->sessions_total = d->stats.sessions;
    out->sessions_ok = d->stats.sessions_ok;
    out->sessions_failed = d->stats.sessions_failed;
    out->connections = d->net->conns.used;
    out->connections_total = d->net->stats.accepted;
    out->handshakes_total = d->net->stats.handshakes;
    out->handshakes_failed = d->net->stats.handshakes_failed;
    out->handshakes_waiting = net_handshake_waiting(d->net->pool);
    out->observations_total = d->stats.observations;
    out->observations_refused = d->stats.observations_refused;
    out->nats = d->table.nats.used;
    out->limit_hits = limit_hits(&d->limits);
    out->loop_lag_worst_us = d->loop->busy_worst / TICK_US;
    out->memory_bytes = dispatch_memory(d);
    view_store(d, out);
    view_warning(d, out);
    snprintf(out->restart_needed, sizeof(out->restart_needed), "%s", d->reload.restart_needed);
}

/*
 * The index-th slot in use. Views are walked from 0 upward, so remembering where the last step
 * ended makes a whole walk linear.
 */
static void *nth(const struct slab *slab, struct dispatch_walk *walk, size_t index)
{
    if (index != walk->index || !index)
        *walk = (struct dispatch_walk){0, 0};
    while (walk->slot < slab_end(slab)) {
        void *item = slab_at(slab, walk->slot++);
        if (item && walk->index++ == index)
            return item;
    }
    return NULL;
}

static bool view_peer(void *user, size_t index, struct view_peer *out)
{
    struct dispatch *d = user;
    const struct channel *c = nth(&d->table.channels, &d->walk[0], index);
    const struct peer *p = c ? slab_get(&d->table.peers, c->peer) : NULL;
    if (!p)
        return false;
    memset(out, 0, sizeof(*out));
    memcpy(out->key, p->key, KEY_SIZE);
    snprintf(out->name, sizeof(out->name), "%s", peer_name(p));
    snprintf(out->agent, sizeof(out->agent), "%s", c->agent ? c->agent : "");
    out->observed = c->observed[c->family];
    out->local = c->local[c->family];
    out->since = c->since;
    out->listening = c->listening;
    out->surveyed = c->surveyed;
    out->sessions = c->sessions;
    out->nat = dispatch_nat_of(d, c, c->observed[FAMILY_4].family ? FAMILY_4 : FAMILY_6);
    bool known = clock_estimate_known(&c->clock);
    out->rtt_us = known ? c->clock.rtt / TICK_US : -1;
    out->clock_bound_us = known ? clock_estimate_bound(&c->clock, d->loop->now) / TICK_US : -1;
    return true;
}

static bool view_session(void *user, size_t index, struct view_session *out)
{
    struct dispatch *d = user;
    const struct session *s = nth(&d->sessions, &d->walk[1], index);
    if (!s)
        return false;
    memset(out, 0, sizeof(*out));
    memcpy(out->id, s->id, sizeof(out->id));
    memcpy(out->requester, s->row->requester, KEY_SIZE);
    memcpy(out->target, s->row->target, KEY_SIZE);
    snprintf(out->requester_name, sizeof(out->requester_name), "%s", s->row->requester_name);
    snprintf(out->target_name, sizeof(out->target_name), "%s", s->row->target_name);
    snprintf(out->state, sizeof(out->state), "%s", session_state_name(s->machine.state));
    out->started = s->row->started;
    out->round = s->machine.round;
    out->chance = s->row->punch ? s->row->chance : -1.0;
    return true;
}

static bool view_nat(void *user, size_t index, struct view_nat *out)
{
    struct dispatch *d = user;
    const struct nat *n = nth(&d->table.nats, &d->walk[2], index);
    if (!n)
        return false;
    memset(out, 0, sizeof(*out));
    out->address = n->address;
    out->nat = n->profile.nat;
    out->learnt = dispatch_stamp_of(d, n->profile.learnt);
    out->peers = n->channels;
    out->hits = n->profile.hits;
    out->misses = n->profile.misses;
    return true;
}

static void client_refused(void *user)
{
    dispatch_limit_hit(user, LIMIT_ADMIN_CLIENTS, NULL);
}

/* ---- commands ---- */

static int command_invite(void *user, const char *name, int64_t ttl_seconds,
                          char url[SERVER_URL_SIZE + 64], char *err, size_t size)
{
    return dispatch_invite(user, name, ttl_seconds, url, SERVER_URL_SIZE + 64, err, size);
}

static int set_access(struct dispatch *d, const char *text, enum peer_access access, char *err,
                      size_t size)
{
    struct row row = {.kind = ROW_ACCESS};
    struct peer *p = peer_find(&d->table, text);
    if (!p && key_parse(text, row.access.key) == 0)
        p = peer_add(&d->table, row.access.key);
    if (!p) {
        snprintf(err, size, "'%s' is neither a key nor the name of a known peer", text);
        return -1;
    }
    p->access = (uint8_t)access;
    p->access_expires = 0;
    memcpy(row.access.key, p->key, KEY_SIZE);
    row.access.verdict = (uint8_t)access;
    dispatch_tell_operator(d, access == PEER_ALLOWED ? "allow" : "deny", p, "");
    if (!dispatch_put(d, &row)) {
        snprintf(err, size, "in force, but not stored: the store's queue is full");
        return -1;
    }
    return 0;
}

static int command_allow(void *user, const char *key, char *err, size_t size)
{
    return set_access(user, key, PEER_ALLOWED, err, size);
}

static int command_deny(void *user, const char *key, char *err, size_t size)
{
    return set_access(user, key, PEER_NO_ENTRY, err, size);
}

static int command_kick(void *user, const char *key_or_name, char *err, size_t size)
{
    struct dispatch *d = user;
    const struct peer *p = peer_find(&d->table, key_or_name);
    unsigned kicked = 0;
    for (uint32_t i = 0; p && i < slab_end(&d->table.channels); i++) {
        const struct channel *c = slab_at(&d->table.channels, i);
        struct net_conn *conn =
            c && ref_equal(c->peer, p->slot.self) ? slab_get(&d->net->conns, c->conn) : NULL;
        if (!conn)
            continue;
        dispatch_dismiss(d, conn, REASON_SERVER_LOST, "disconnected by the operator", 1000);
        kicked++;
    }
    if (kicked) {
        dispatch_tell_operator(d, "kick", p, "");
        return 0;
    }
    snprintf(err, size, "no peer '%s' is connected", key_or_name);
    return -1;
}

static int command_reload(void *user, uint64_t ticket, char *err, size_t size)
{
    return dispatch_reload(user, ticket, err, size);
}

struct admin_source dispatch_admin_source(struct dispatch *d)
{
    return (struct admin_source){
        .user = d,
        .status = view_status,
        .peer = view_peer,
        .session = view_session,
        .nat = view_nat,
        .metrics = dispatch_metrics,
        .limit = dispatch_limit_view,
        .client_refused = client_refused,
        .invite = command_invite,
        .allow = command_allow,
        .deny = command_deny,
        .kick = command_kick,
        .option = dispatch_view_option,
        .reload = command_reload,
        .drain = dispatch_drain_order,
    };
}
