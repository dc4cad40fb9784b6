/* SPDX-License-Identifier: ISC */
/* Who comes and goes. */
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "log.h"
#include "proto/reason.h"

/* Clock samples taken at registration; a session takes more where these have grown stale. */
#define SYNCS_AT_FIRST 4
/* How long a peer that is sent away for load stays away, at least. */
#define BUSY_DELAY_MS 1000

/* ---- may it? ---- */

/*
 * REASON_OK, or why this key may not register, with a sentence in *text where there is more to say.
 * *invite is the one to be used up, if any.
 */
static enum reason may_register(struct dispatch *d, const uint8_t key[KEY_SIZE],
                                const struct peer *p, const struct msg_register *m,
                                struct invite **invite, const char **text)
{
    int64_t mode = d->conf->registration;
    if (dispatch_is_banned(d, key)) {
        d->stats.banned++;
        return REASON_BANNED;
    }
    if (mode == REGISTRATION_ALLOWLIST) {
        if (dispatch_is_allowed(d, key))
            return REASON_OK;
        *text = "this server registers keys that its operator has allowed, and takes no invites";
        return REASON_NOT_REGISTERED;
    }
    bool may = mode == REGISTRATION_OPEN || (p && p->member) || dispatch_is_allowed(d, key);
    if (!m->invite[0])
        return may ? REASON_OK : REASON_NOT_REGISTERED;
    *invite = dispatch_invite_find(d, m->invite);
    /* One who is registered already may say an old token again: a retried join is no error. */
    bool retried = p && p->registered && may;
    return *invite || retried ? REASON_OK : REASON_INVITE;
}

/* The name this registration binds: asked for, or granted by the invite. "" for none. REASON_OK, or
 * what is wrong with it. */
static enum reason pick_name(struct dispatch *d, const struct peer *p, const struct msg_register *m,
                             const struct invite *invite, char name[PEER_NAME_SIZE])
{
    name[0] = '\0';
    if (invite && invite->row.name[0])
        memcpy(name, invite->row.name,
               PEER_NAME_SIZE); /* the operator's word goes before the peer's */
    else if (m->name[0] && peer_name_parse(m->name, name) != 0)
        return REASON_PROTOCOL;
    if (!name[0])
        return REASON_OK;
    const struct peer *holder = peer_by_name(&d->table, name);
    return !holder || holder == p ? REASON_OK : REASON_NAME_TAKEN;
}

/* ---- registered ---- */

/* Says REGISTERED; news only once this row, which holds it, is on disk (0: there is none). */
static void send_registered(struct dispatch *d, struct channel *c, uint64_t row)
{
    struct msg m = {.type = MSG_REGISTERED};
    const struct peer *p = slab_get(&d->table.peers, c->peer);
    m.registered_.version = MSG_VERSION;
    m.registered_.observed = c->observed[c->family];
    snprintf(m.registered_.name, sizeof(m.registered_.name), "%s", p ? peer_name(p) : "");
    snprintf(m.registered_.agent, sizeof(m.registered_.agent), "trystd/%s", PACKAGE_VERSION);
    dispatch_deliver_stored(d, c->slot.self, &m, row, true);
}

/* Puts the registration on its way to the store, with the invite that it uses up. */
static bool put_peer(struct dispatch *d, const struct peer *p, const struct channel *c,
                     struct invite *invite)
{
    struct row row = {.kind = ROW_PEER};
    memcpy(row.peer.key, p->key, KEY_SIZE);
    snprintf(row.peer.name, sizeof(row.peer.name), "%s", peer_name(p));
    snprintf(row.peer.agent, sizeof(row.peer.agent), "%s", c->agent ? c->agent : "");
    row.peer.first_seen = p->first_seen;
    row.peer.last_seen = p->last_seen;
    row.peer.observed = c->observed[c->family];
    row.peer.member = true;
    return invite ? dispatch_invite_use(d, invite, &row.peer) : dispatch_put(d, &row);
}

static void take_locals(struct channel *c, const struct endpoints *locals)
{
    for (unsigned i = 0; i < locals->count; i++) {
        const struct endpoint *e = &locals->at[i];
        unsigned f = family_index(e);
        if (!endpoint_is_none(e) && endpoint_is_none(&c->local[f]))
            c->local[f] = *e;
    }
}

/* A server behind a port-forwarding proxy or Docker sees everybody at one private address, and can
 * introduce nobody. */
static void note_private(struct dispatch *d, const struct endpoint *observed)
{
    if (endpoint_is_global(observed) || endpoint_is_loopback(observed)) {
        d->private_only = false;
        d->private_address = *observed;
        return;
    }
    if (endpoint_is_none(&d->private_address)) {
        d->private_address = *observed;
        d->private_only = true;
        log_warning("the first peer comes from a private address: if all of them seem to, this "
                    "server stands behind a "
                    "NAT or proxy that hides its clients, and no introduction can work");
    } else if (!endpoint_same_address(&d->private_address, observed)) {
        d->private_only = false;
    }
}

/* The newest listener of a key is the one that counts: the older one may be a connection that died
 * unnoticed. */
static void become_listener(struct dispatch *d, struct peer *p, struct channel *c)
{
    struct channel *before = peer_listener(&d->table, p);
    p->listener = c->slot.self;
    c->listening = true;
    d->table.listening++;
    if (before) {
        struct net_conn *conn = slab_get(&d->net->conns, before->conn);
        if (conn)
            dispatch_dismiss(d, conn, REASON_REPLACED, "", 0);
    }
}

static struct channel *open_channel(struct dispatch *d, struct peer *p, struct net_conn *conn,
                                    const struct msg_register *m)
{
    struct channel *c = p->channels < CHANNELS_PER_PEER_MAX ? channel_add(&d->table, p) : NULL;
    if (!c)
        return NULL;
    c->conn = conn->slot.self;
    conn->owner = c->slot.self;
    net_know(d->net, conn);
    c->since = stamp_now();
    c->family = (uint8_t)family_index(&conn->remote);
    c->agent = m->agent[0] ? strdup(m->agent) : NULL;
    channel_set_observed(&d->table, c, &conn->remote);
    take_locals(c, &m->locals);
    c->control_port = m->flags & REGISTER_CONTROL_PORT;
    if (m->flags & REGISTER_LISTEN)
        become_listener(d, p, c);
    return c;
}

static void greet(struct dispatch *d, struct channel *c, bool news)
{
    /* What is acknowledged survives a crash; a peer that is known as it is needs no wait. */
    send_registered(d, c, news ? d->sequence : 0);
    note_private(d, &c->observed[c->family]);
    dispatch_sync(d, c);
    dispatch_survey(d, c);
}

static void turn_away(struct dispatch *d, struct net_conn *conn, enum limit full, uint32_t delay_ms)
{
    char text[MSG_TEXT_SIZE];
    snprintf(text, sizeof(text), "limit '%s' is reached", limit_specs[full].name);
    dispatch_dismiss(d, conn, REASON_BUSY, text, delay_ms);
}

/* False: news that the store does not take. What is known already need not be told again. */
static bool record(struct dispatch *d, struct peer *p, struct channel *c, struct invite *invite,
                   bool news)
{
    p->last_seen = stamp_now();
    if (!p->first_seen)
        p->first_seen = p->last_seen;
    if (!put_peer(d, p, c, invite) && news)
        return false;
    p->registered = p->member = true;
    return true;
}

/* Whether a registration tells something that the store must have before it is acknowledged. */
static bool is_news(const struct peer *p, const struct invite *invite, const char *name)
{
    return !p || !p->registered || invite || (name[0] && strcmp(peer_name(p), name) != 0);
}

void dispatch_register(struct dispatch *d, struct net_conn *conn, const uint8_t key[KEY_SIZE],
                       const struct msg_register *m)
{
    struct peer *p = peer_by_key(&d->table, key);
    char key_text[KEY_TEXT_SIZE], name[PEER_NAME_SIZE], from[ENDPOINT_TEXT_SIZE];
    struct invite *invite = NULL;
    const char *text = "";
    enum reason reason;
    uint32_t delay_ms = BUSY_DELAY_MS;
    enum limit full = dispatch_limit_registration(d, &conn->remote, &delay_ms);

    if (full != LIMIT_COUNT) {
        turn_away(d, conn, full, delay_ms);
        return;
    }
    if (m->version != MSG_VERSION)
        reason = REASON_VERSION;
    else if (!store_has_room(d->store))
        reason = REASON_BUSY;
    else if ((reason = may_register(d, key, p, m, &invite, &text)) == REASON_OK)
        reason = pick_name(d, p, m, invite, name);
    if (reason == REASON_OK && is_news(p, invite, name) && store_degraded(d->store)) {
        reason = REASON_BUSY; /* it could not be acknowledged */
        text = "the server cannot store registrations at present";
    }
    if (reason == REASON_BUSY)
        dispatch_limit_hit(d, LIMIT_STORE_QUEUE, &conn->remote);
    if (reason != REASON_OK) {
        log_stranger("refused %s from %s: %s", key_format(key, key_text),
                     log_endpoint(&conn->remote, from), reason_text(reason));
        dispatch_dismiss(d, conn, reason, text, reason == REASON_BUSY ? BUSY_DELAY_MS : 0);
        return;
    }
    /* Whoever has an invite has been let in by the operator. */
    if (!p && !invite)
        full = dispatch_limit_new_key(d, &conn->remote, &delay_ms);
    if (full == LIMIT_COUNT && !p && !(p = peer_add(&d->table, key)))
        dispatch_limit_hit(d, full = LIMIT_PEERS, &conn->remote);
    if (full != LIMIT_COUNT) {
        turn_away(d, conn, full, delay_ms);
        return;
    }
    bool news = is_news(p, invite, name);
    struct channel *c = open_channel(d, p, conn, m);
    if (!c || (name[0] && !peer_set_name(&d->table, p, name))) {
        dispatch_limit_hit(d, LIMIT_PEER_CHANNELS, &conn->remote);
        dispatch_dismiss(d, conn, REASON_LIMIT, "too many channels", BUSY_DELAY_MS);
        return;
    }
    if (!record(d, p, c, invite, news)) {
        dispatch_limit_hit(d, LIMIT_STORE_QUEUE, &conn->remote);
        dispatch_dismiss(d, conn, REASON_BUSY, "the store is full", BUSY_DELAY_MS);
        return;
    }
    log_peer("registered %s%s%s from %s%s", key_format(key, key_text),
             peer_name(p)[0] ? " as " : "", peer_name(p), log_endpoint(&conn->remote, from),
             c->listening ? ", listening" : "");
    dispatch_tell_registered(d, p, c);
    greet(d, c, news);
}

void dispatch_leave(struct dispatch *d, struct channel *c)
{
    struct peer *p = slab_get(&d->table.peers, c->peer);
    struct run *run = slab_get(&d->runs, c->survey);
    char key_text[KEY_TEXT_SIZE];
    if (p) {
        p->last_seen = stamp_now();
        log_peer("left: %s %s", key_format(p->key, key_text), peer_name(p));
        dispatch_tell_left(d, p, c);
    }
    dispatch_session_lost(d, c);
    if (run)
        dispatch_run_end(d, run);
    channel_remove(&d->table, c);
    dispatch_ready(d);
}

/* ---- clock exchange ---- */

void dispatch_sync(struct dispatch *d, struct channel *c)
{
    struct msg m = {.type = MSG_SYNC};
    if (c->sync_sent)
        return; /* one at a time: its answer will do */
    m.sync_.origin = c->sync_sent = loop_clock();
    dispatch_deliver(d, c->slot.self, &m);
}

void dispatch_synced(struct dispatch *d, struct channel *c, const struct msg_sync *m)
{
    tick now = loop_clock();
    bool first = !clock_estimate_known(&c->clock);
    if (!c->sync_sent || m->origin != c->sync_sent)
        return; /* an answer to nothing */
    c->sync_sent = 0;
    clock_estimate_add(&c->clock, m->origin, m->receive, m->transmit, now);
    dispatch_look_behind(d, c);
    /* Each answer lets the next one go: samples are spread over round trips, not queued behind one
     * another. */
    if (c->samples < SYNCS_AT_FIRST && ++c->samples < SYNCS_AT_FIRST)
        dispatch_sync(d, c);
    else
        dispatch_cross(d, c);
    if (first)
        dispatch_ready(d);
}
