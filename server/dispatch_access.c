/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* Who may use the server: what the operator allows, bans and says about names. */
#include <stdio.h>
#include <string.h>

#include "dispatch.h"
#include "log.h"

#define ALLOWED_MAX 1000000u
#define BANNED_MAX  100000u
/* What has expired is swept up in turns, so that no turn takes long. */
#define SWEEP_PAUSE 10.0
#define SWEEP_SLOTS 4096u
/* Shorter prefixes are more often a slip than meant. */
#define BROAD_4 8u
#define BROAD_6 16u

/* ---- expiry ---- */

static void sweep(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct dispatch *d = timer->data;
    struct row row = {.kind = ROW_EXPIRE};
    (void)events;
    row.expire.now = stamp_now();
    if (access_sweep(&d->allowed, SWEEP_SLOTS, row.expire.now) +
        access_sweep(&d->banned, SWEEP_SLOTS, row.expire.now) +
        dispatch_invites_sweep(d, SWEEP_SLOTS, row.expire.now))
        (void)dispatch_put(d, &row); /* the next sweep, or the next start, does it again */
    if (!d->allowed.expiring && !d->banned.expiring && !d->invites.used)
        ev_timer_stop(loop, timer); /* nothing to wake up for */
}

void dispatch_expect_expiry(struct dispatch *d)
{
    if (!ev_is_active(&d->expiry))
        ev_timer_again(d->loop->ev, &d->expiry);
}

/* ---- start and end ---- */

void dispatch_access_init(struct dispatch *d, const uint8_t hash_key[16])
{
    access_init(&d->allowed, hash_key, ALLOWED_MAX);
    access_init(&d->banned, hash_key, BANNED_MAX);
    ev_timer_init(&d->expiry, sweep, 0., SWEEP_PAUSE);
    d->expiry.data = d;
}

void dispatch_access_destroy(struct dispatch *d)
{
    ev_timer_stop(d->loop->ev, &d->expiry);
    access_destroy(&d->allowed);
    access_destroy(&d->banned);
}

static struct access *list_of(struct dispatch *d, const struct row_access *row)
{
    return row->verdict == ACCESS_BANNED ? &d->banned : &d->allowed;
}

void dispatch_access_load(void *user, const struct row_access *row)
{
    struct dispatch *d = user;
    struct access *list = list_of(d, row);
    if (!access_put(list, &row->subject, row->created, row->expires, row->reason))
        log_error("too many entries in the list of %s: some are left out",
                  list == &d->banned ? "bans" : "allowed keys");
}

void dispatch_access_loaded(struct dispatch *d)
{
    struct row row = {.kind = ROW_EXPIRE};
    row.expire.now = stamp_now();
    (void)dispatch_put(d, &row);
    dispatch_expect_expiry(d);
}

void dispatch_warn_of_access(const struct dispatch *d)
{
    if (d->conf->registration == REGISTRATION_OPEN)
        log_warning("registration is OPEN: anybody who knows the server's URL may register and use "
                    "this server; 'registration = invite' closes it");
}

/* ---- who gets in ---- */

bool dispatch_admits(void *user, const struct endpoint *remote)
{
    const struct dispatch *d = user;
    return !d->banned.entries.used || !access_find_address(&d->banned, remote, stamp_now());
}

bool dispatch_is_banned(const struct dispatch *d, const uint8_t key[KEY_SIZE])
{
    return access_find_key(&d->banned, key, stamp_now()) != NULL;
}

bool dispatch_is_allowed(const struct dispatch *d, const uint8_t key[KEY_SIZE])
{
    return access_find_key(&d->allowed, key, stamp_now()) != NULL;
}

/* ---- who is sent away ---- */

/* At once: nothing is left to wait for the other side to close. */
static void expel(struct dispatch *d, struct net_conn *conn, enum reason reason, const char *text,
                  uint32_t delay_ms)
{
    struct channel *c = slab_get(&d->table.channels, conn->owner);
    dispatch_dismiss(d, conn, reason, text, delay_ms);
    conn->owner = REF_NONE;
    if (c)
        dispatch_leave(d, c);
}

/* Every channel of a peer. Returns how many those were. */
static uint32_t expel_peer(struct dispatch *d, const struct peer *p, enum reason reason,
                           const char *text, uint32_t delay_ms)
{
    uint32_t count = 0;
    for (uint32_t i = 0; p->channels && i < slab_end(&d->table.channels); i++) {
        const struct channel *c = slab_at(&d->table.channels, i);
        struct net_conn *conn =
            c && ref_equal(c->peer, p->slot.self) ? slab_get(&d->net->conns, c->conn) : NULL;
        if (!conn)
            continue;
        expel(d, conn, reason, text, delay_ms);
        count++;
    }
    return count;
}

static bool is_of(const struct net_conn *conn, const struct access_subject *s)
{
    if (s->kind != ACCESS_KEY)
        return access_covers_address(s, &conn->remote);
    return conn->state == NET_CHANNEL && key_equal(conn->peer, s->bytes);
}

/* Connections of all kinds that a ban is about. Returns how many channels were among them. */
static uint32_t expel_banned(struct dispatch *d, const struct access_subject *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < slab_end(&d->net->conns); i++) {
        struct net_conn *conn = slab_at(&d->net->conns, i);
        if (!conn || conn->state == NET_CLOSING || !is_of(conn, s))
            continue;
        if (conn->state == NET_CHANNEL) {
            expel(d, conn, REASON_BANNED, "", 0);
            count++;
        } else {
            net_drop(d->net, conn, NET_CLOSED_BANNED);
        }
    }
    return count;
}

/* A peer that is sent away for a moment, and may come back if it still may register. */
static uint32_t kick(struct dispatch *d, const struct peer *p)
{
    return expel_peer(d, p, REASON_SERVER_LOST, "disconnected by the operator", 1000);
}

int dispatch_kick(void *user, const char *key_or_name, char *err, size_t size)
{
    struct dispatch *d = user;
    const struct peer *p = peer_find(&d->table, key_or_name);
    if (p && kick(d, p)) {
        dispatch_tell_operator(d, "kick", p, "");
        return 0;
    }
    snprintf(err, size, "no peer '%.80s' is connected", key_or_name);
    return -1;
}

/* ---- subjects ---- */

/* Who a key or a name is. */
static int find_key(const struct dispatch *d, const char *text, struct access_subject *out,
                    char *err, size_t size)
{
    uint8_t key[KEY_SIZE];
    const struct peer *p = peer_find(&d->table, text);
    if (p || key_parse(text, key) == 0) {
        *out = access_of_key(p ? p->key : key);
        return 0;
    }
    snprintf(err, size, "'%.80s' is neither a key nor the name of a known peer", text);
    return -1;
}

/* The same, or addresses. What reads as an address is one, whatever names there are. */
static int find_subject(const struct dispatch *d, const char *text, struct access_subject *out,
                        char *err, size_t size)
{
    char right[ACCESS_TEXT_SIZE];
    switch (access_parse(text, out)) {
    case ACCESS_PARSED:
        return 0;
    case ACCESS_BAD_LENGTH:
        snprintf(err, size, "'%.80s': a prefix's length goes from 0 to %s", text,
                 out->kind == ACCESS_PREFIX_4 ? "32" : "128");
        return -1;
    case ACCESS_BITS_BEYOND:
        snprintf(err, size, "'%.80s' has bits set beyond its length; '%s' would be right", text,
                 access_format(out, right));
        return -1;
    default:
        if (find_key(d, text, out, err, size) == 0)
            return 0;
        snprintf(err, size,
                 "'%.80s' is neither a key, the name of a known peer, an address nor a prefix like "
                 "192.0.2.0/24",
                 text);
        return -1;
    }
}

static const struct peer *peer_of(const struct dispatch *d, const struct access_subject *s)
{
    return s->kind == ACCESS_KEY ? peer_by_key(&d->table, s->bytes) : NULL;
}

static void view_entry(const struct dispatch *d, const struct access_subject *s,
                       const struct access_entry *e, struct view_access *out)
{
    const struct peer *p = peer_of(d, s);
    memset(out, 0, sizeof(*out));
    out->subject = *s;
    snprintf(out->name, sizeof(out->name), "%s", p ? peer_name(p) : "");
    if (!e)
        return;
    out->created = e->created;
    out->expires = e->expires;
    snprintf(out->reason, sizeof(out->reason), "%s", e->reason ? e->reason : "");
}

/* ---- decisions ---- */

/* What is in force in memory goes to the store; where that takes nothing more, the operator is to
 * know. */
int dispatch_keep(struct dispatch *d, const struct row *row, char *err, size_t size)
{
    if (dispatch_put(d, row))
        return 0;
    snprintf(err, size,
             "in force, but not stored, and forgotten at a restart: the store takes "
             "nothing more at present");
    return -1;
}

/* To whoever watches. */
static void tell(struct dispatch *d, const char *kind, const struct access_subject *s)
{
    char text[ACCESS_TEXT_SIZE];
    dispatch_tell_operator(d, kind, peer_of(d, s), access_format(s, text));
}

/* Puts an entry into a list. False: it is full. */
static bool enter(struct dispatch *d, const struct row_access *row, struct admin_decision *o,
                  char *err, size_t size)
{
    struct access *list = list_of(d, row);
    if (!access_put(list, &row->subject, row->created, row->expires, row->reason)) {
        snprintf(err, size, "the list is full: %u entries", list->entries.used);
        return false;
    }
    if (row->expires)
        dispatch_expect_expiry(d);
    view_entry(d, &row->subject, access_get(list, &row->subject, row->created), &o->entry);
    return true;
}

static struct row entry_row(enum access_verdict verdict, const struct access_subject *s,
                            const struct admin_decision *o)
{
    struct row row = {.kind = ROW_ACCESS};
    row.access.verdict = verdict;
    row.access.subject = *s;
    row.access.created = stamp_now();
    if (o->ttl_seconds)
        row.access.expires = row.access.created + o->ttl_seconds * 1000000;
    snprintf(row.access.reason, sizeof(row.access.reason), "%s", o->reason ? o->reason : "");
    return row;
}

/* Takes an entry off its list. False: there was none. */
static bool withdraw(struct dispatch *d, const struct row_access *row, struct admin_decision *o)
{
    struct access *list = list_of(d, row);
    view_entry(d, &row->subject, access_get(list, &row->subject, row->created), &o->entry);
    return access_remove(list, &row->subject);
}

static void note(struct admin_decision *o, const char *text)
{
    size_t used = strlen(o->note);
    snprintf(o->note + used, sizeof(o->note) - used, "%s%s", used ? "; " : "", text);
}

int dispatch_allow(void *user, struct admin_decision *o, char *err, size_t size)
{
    struct dispatch *d = user;
    struct access_subject s;
    if (find_key(d, o->subject, &s, err, size) != 0)
        return -1;
    struct row row = entry_row(ACCESS_ALLOWED, &s, o);
    if (!enter(d, &row.access, o, err, size))
        return -1;
    tell(d, "allow", &s);
    if (dispatch_is_banned(d, s.bytes))
        note(o, "it is banned, and stays so until 'unban'");
    return dispatch_keep(d, &row, err, size);
}

/* A registered peer may not come back by having been there. False: it could not anyhow. */
static bool end_membership(struct peer *p)
{
    bool was = p && p->member;
    if (was)
        p->member = false;
    return was;
}

static void note_denied(const struct dispatch *d, const struct peer *p, struct admin_decision *o)
{
    if (p && p->channels)
        note(o, "it stays connected until it goes or is kicked ('kick', or 'deny --kick')");
    if (d->conf->registration == REGISTRATION_OPEN)
        note(o, "registration is open: it may register all the same, only 'ban' keeps it out");
}

int dispatch_deny(void *user, struct admin_decision *o, char *err, size_t size)
{
    struct dispatch *d = user;
    struct access_subject s;
    if (find_key(d, o->subject, &s, err, size) != 0)
        return -1;
    struct row row = entry_row(ACCESS_ALLOWED, &s, o), leave = {.kind = ROW_LEAVE};
    struct peer *p = peer_by_key(&d->table, s.bytes);
    bool was_allowed = withdraw(d, &row.access, o), was_member = end_membership(p);
    if (!p && !was_allowed) {
        snprintf(err, size, "'%.80s' is not allowed, and has never registered", o->subject);
        return -1;
    }
    tell(d, "deny", &s);
    if (p && o->kick)
        o->closed = kick(d, p);
    if (!was_allowed && !was_member)
        note(o, "it was denied already");
    note_denied(d, p, o);
    row.access.removed = true;
    memcpy(leave.leave.key, s.bytes, KEY_SIZE);
    if (was_allowed && dispatch_keep(d, &row, err, size) != 0)
        return -1;
    return was_member ? dispatch_keep(d, &leave, err, size) : 0;
}

static bool is_broad(const struct access_subject *s)
{
    return s->kind != ACCESS_KEY && s->bits < (s->kind == ACCESS_PREFIX_4 ? BROAD_4 : BROAD_6);
}

int dispatch_ban(void *user, struct admin_decision *o, char *err, size_t size)
{
    struct dispatch *d = user;
    struct access_subject s;
    if (find_subject(d, o->subject, &s, err, size) != 0)
        return -1;
    if (!o->force && is_broad(&s)) {
        snprintf(err, size,
                 "'%.80s' is a large part of the Internet; if that is meant, say --force",
                 o->subject);
        return -1;
    }
    struct row row = entry_row(ACCESS_BANNED, &s, o);
    if (!enter(d, &row.access, o, err, size))
        return -1;
    tell(d, "ban", &s);
    o->closed = expel_banned(d, &s);
    return dispatch_keep(d, &row, err, size);
}

int dispatch_unban(void *user, struct admin_decision *o, char *err, size_t size)
{
    struct dispatch *d = user;
    struct access_subject s;
    char text[ACCESS_TEXT_SIZE], sentence[ACCESS_TEXT_SIZE + 64];
    if (find_subject(d, o->subject, &s, err, size) != 0)
        return -1;
    struct row row = entry_row(ACCESS_BANNED, &s, o);
    bool was_banned = withdraw(d, &row.access, o);
    const struct access_entry *wider = access_find(&d->banned, &s, row.access.created);
    snprintf(sentence, sizeof(sentence), "the ban of %s covers it",
             wider ? access_format(&wider->subject, text) : "");
    if (!was_banned) {
        snprintf(err, size, "there is no ban of %s%s%s", access_format(&s, text), wider ? "; " : "",
                 wider ? sentence : "; 'bans' lists those in force");
        return -1;
    }
    tell(d, "unban", &s);
    if (wider)
        note(o, sentence);
    row.access.removed = true;
    return dispatch_keep(d, &row, err, size);
}

/* ---- views ---- */

static bool view_nth(const struct dispatch *d, const struct access *list,
                     struct dispatch_walk *walk, size_t index, struct view_access *out)
{
    const struct access_entry *e = dispatch_nth(&list->entries, walk, index);
    if (e)
        view_entry(d, &e->subject, e, out);
    return e != NULL;
}

bool dispatch_view_allowed(void *user, size_t index, struct view_access *out)
{
    struct dispatch *d = user;
    return view_nth(d, &d->allowed, &d->walk[WALK_ALLOWED], index, out);
}

bool dispatch_view_banned(void *user, size_t index, struct view_access *out)
{
    struct dispatch *d = user;
    return view_nth(d, &d->banned, &d->walk[WALK_BANNED], index, out);
}

/* ---- names ---- */

bool dispatch_view_name(void *user, size_t index, struct view_name *out)
{
    struct dispatch *d = user;
    const struct peer *p = dispatch_nth(&d->table.peers, &d->walk[WALK_NAMES], index);
    if (!p)
        return false;
    memset(out, 0, sizeof(*out));
    snprintf(out->name, sizeof(out->name), "%s", peer_name(p));
    memcpy(out->key, p->key, KEY_SIZE);
    out->last_seen = p->last_seen;
    out->online = p->channels > 0;
    return true;
}

static struct peer *holder_of(struct dispatch *d, struct admin_naming *o, char *err, size_t size)
{
    char name[PEER_NAME_SIZE];
    struct peer *p = peer_name_parse(o->name, name) == 0 ? peer_by_name(&d->table, name) : NULL;
    if (!p) {
        snprintf(err, size, "nobody holds the name '%.80s'", o->name);
        return NULL;
    }
    memcpy(o->from, p->key, KEY_SIZE);
    return p;
}

static int put_name(struct dispatch *d, const struct peer *p, char *err, size_t size)
{
    struct row row = {.kind = ROW_NAME};
    memcpy(row.name.key, p->key, KEY_SIZE);
    snprintf(row.name.name, sizeof(row.name.name), "%s", peer_name(p));
    return dispatch_keep(d, &row, err, size);
}

int dispatch_name_release(void *user, struct admin_naming *o, char *err, size_t size)
{
    struct dispatch *d = user;
    struct peer *p = holder_of(d, o, err, size);
    if (!p)
        return -1;
    peer_clear_name(&d->table, p);
    o->connected = p->channels > 0;
    return put_name(d, p, err, size);
}

int dispatch_name_transfer(void *user, struct admin_naming *o, char *err, size_t size)
{
    struct dispatch *d = user;
    struct peer *from = holder_of(d, o, err, size), *to;
    char name[PEER_NAME_SIZE];
    if (!from)
        return -1;
    to = peer_find(&d->table, o->to);
    if (!to || !to->registered) {
        snprintf(err, size,
                 "'%.80s' is no registered peer; 'name release' frees the name, and 'invite "
                 "--name' gives it to a new one",
                 o->to);
        return -1;
    }
    if (to == from) {
        snprintf(err, size, "that peer holds the name already");
        return -1;
    }
    memcpy(name, from->name, strlen(from->name) + 1);
    snprintf(o->lost, sizeof(o->lost), "%s", peer_name(to));
    peer_clear_name(&d->table, from);
    if (!peer_set_name(&d->table, to, name)) {
        snprintf(err, size, "not enough memory");
        return -1;
    }
    memcpy(o->key, to->key, KEY_SIZE);
    o->connected = from->channels > 0;
    return put_name(d, to, err, size); /* which takes it from the former holder, too */
}
