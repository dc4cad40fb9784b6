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

static void warn(struct view_status *out, const char *text)
{
    size_t used = strlen(out->warning);
    snprintf(out->warning + used, sizeof(out->warning) - used, "%s%s", used ? "; " : "", text);
}

static void view_warnings(const struct dispatch *d, struct view_status *out)
{
    char address[ENDPOINT_TEXT_SIZE], text[192];
    if (d->draining)
        warn(out, "draining: no new sessions, and the daemon ends with those under way");
    if (d->conf->registration == REGISTRATION_OPEN)
        warn(out, "registration is open: anybody may use this server");
    if (!d->private_only)
        return;
    snprintf(text, sizeof(text),
             "every peer comes from the private address %s: this server stands behind a NAT or "
             "proxy that hides its clients",
             endpoint_format_address(&d->private_address, address));
    warn(out, text);
}

static void view_access(const struct dispatch *d, struct view_status *out)
{
    out->allowed = d->allowed.entries.used;
    out->banned = d->banned.entries.used;
    out->invites = d->invites.used;
    out->banned_connections = d->net->stats.closed[NET_CLOSED_BANNED];
    out->banned_registrations = d->stats.banned;
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
    out->old_key = d->old_key;
    out->handshakes_old_key = d->net->stats.handshakes_old_key;
    out->handshakes_waiting = net_handshake_waiting(d->net->pool);
    out->observations_total = d->stats.observations;
    out->observations_refused = d->stats.observations_refused;
    out->nats = d->table.nats.used;
    out->limit_hits = limit_hits(&d->limits);
    out->loop_lag_worst_us = d->loop->busy_worst / TICK_US;
    out->memory_bytes = dispatch_memory(d);
    view_store(d, out);
    view_warnings(d, out);
    view_access(d, out);
    snprintf(out->restart_needed, sizeof(out->restart_needed), "%s", d->reload.restart_needed);
}

void *dispatch_nth(const struct slab *slab, struct dispatch_walk *walk, size_t index)
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
    const struct channel *c = dispatch_nth(&d->table.channels, &d->walk[WALK_PEERS], index);
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
    const struct session *s = dispatch_nth(&d->sessions, &d->walk[WALK_SESSIONS], index);
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
    const struct nat *n = dispatch_nth(&d->table.nats, &d->walk[WALK_NATS], index);
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

static bool view_invite(void *user, size_t index, struct row_invite *out)
{
    struct dispatch *d = user;
    const struct invite *i = dispatch_nth(&d->invites, &d->walk[WALK_INVITES], index);
    if (i)
        *out = i->row;
    return i != NULL;
}

/* ---- commands ---- */

static int command_invite(void *user, const char *name, int64_t ttl_seconds,
                          char url[SERVER_URL_SIZE + 64], char *err, size_t size)
{
    return dispatch_invite(user, name, ttl_seconds, url, SERVER_URL_SIZE + 64, err, size);
}

static int command_revoke(void *user, const char *id, struct row_invite *out, char *err,
                          size_t size)
{
    return dispatch_revoke(user, id, out, err, size);
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
        .allowed = dispatch_view_allowed,
        .banned = dispatch_view_banned,
        .open_invite = view_invite,
        .named = dispatch_view_name,
        .revoke = command_revoke,
        .allow = dispatch_allow,
        .deny = dispatch_deny,
        .ban = dispatch_ban,
        .unban = dispatch_unban,
        .name_release = dispatch_name_release,
        .name_transfer = dispatch_name_transfer,
        .kick = dispatch_kick,
        .option = dispatch_view_option,
        .reload = command_reload,
        .drain = dispatch_drain_order,
    };
}
