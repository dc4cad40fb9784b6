/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* Live events for whoever watches through the admin socket. */
#include "dispatch.h"
#include "show.h"

static json_t *party(const uint8_t key[KEY_SIZE], const char *name)
{
    return json_pack("{s:o, s:o}", "key", show_key(key), "name", show_label(name));
}

static json_t *about_peer(const struct peer *p)
{
    return p ? json_pack("{s:o}", "peer", party(p->key, peer_name(p))) : json_object();
}

void dispatch_tell_registered(struct dispatch *d, const struct peer *p, const struct channel *c)
{
    if (!admin_watched(d->admin))
        return;
    json_t *o = about_peer(p);
    json_object_set_new(o, "address", show_endpoint(&c->observed[c->family]));
    json_object_set_new(o, "listening", json_boolean(c->listening));
    json_object_set_new(o, "agent", show_label(c->agent ? c->agent : ""));
    admin_publish(d->admin, "registered", o);
}

void dispatch_tell_left(struct dispatch *d, const struct peer *p, const struct channel *c)
{
    if (!admin_watched(d->admin))
        return;
    json_t *o = about_peer(p);
    json_object_set_new(o, "since", show_stamp(c->since));
    admin_publish(d->admin, "left", o);
}

void dispatch_tell_survey(struct dispatch *d, const struct channel *c, const struct nat *n)
{
    if (!admin_watched(d->admin))
        return;
    json_t *o = about_peer(slab_get(&d->table.peers, c->peer));
    json_object_set_new(o, "address", show_address(&n->address));
    json_object_set_new(o, "nat", show_nat(&n->profile.nat));
    admin_publish(d->admin, "survey", o);
}

/* ---- sessions ---- */

void dispatch_tell_refused(struct dispatch *d, const struct channel *c, const char *whom,
                           enum reason reason, const uint8_t id[MSG_ID_SIZE])
{
    if (!admin_watched(d->admin))
        return;
    const struct peer *from = slab_get(&d->table.peers, c->peer);
    const struct peer *to = peer_find(&d->table, whom);
    json_t *o = json_object();
    json_object_set_new(o, "id", id ? show_hex(id, MSG_ID_SIZE) : json_null());
    json_object_set_new(o, "requester", from ? party(from->key, peer_name(from)) : json_null());
    json_object_set_new(o, "target", to ? party(to->key, peer_name(to)) : json_null());
    json_object_set_new(o, "asked_for", show_text(whom));
    json_object_set_new(o, "reason", show_reason(reason));
    admin_publish(d->admin, "session-refused", o);
}

static json_t *about_session(const struct session *s)
{
    const struct row_session *r = s->row;
    return json_pack("{s:o, s:o, s:o}", "id", show_hex(s->id, sizeof(s->id)), "requester",
                     party(r->requester, r->requester_name), "target",
                     party(r->target, r->target_name));
}

/* A check of the chance is no session to anybody but the client that asked for it. */
static bool worth_telling(const struct dispatch *d, const struct session *s)
{
    return admin_watched(d->admin) && !dispatch_is_check(s);
}

void dispatch_tell_started(struct dispatch *d, const struct session *s)
{
    if (worth_telling(d, s))
        admin_publish(d->admin, "session-started", about_session(s));
}

void dispatch_tell_planned(struct dispatch *d, const struct session *s)
{
    if (!worth_telling(d, s))
        return;
    json_t *o = about_session(s);
    json_object_set_new(o, "round", json_integer(s->machine.round));
    json_object_set_new(o, "chance", json_real(s->row->chance));
    json_object_set_new(o, "punch", show_stamp(s->row->punch));
    admin_publish(d->admin, "session-planned", o);
}

void dispatch_tell_round(struct dispatch *d, const struct session *s, unsigned side,
                         const struct msg_result *m)
{
    if (!worth_telling(d, s))
        return;
    json_t *o = about_session(s);
    json_object_set_new(o, "round", json_integer(m->round));
    json_object_set_new(o, "side", json_string(side == SIDE_TARGET ? "target" : "requester"));
    json_object_set_new(o, "reason", show_reason(m->reason));
    json_object_set_new(o, "syns", json_integer(m->syns));
    json_object_set_new(o, "late_us", json_integer(m->late_us));
    admin_publish(d->admin, "session-round", o);
}

void dispatch_tell_finished(struct dispatch *d, const struct session *s)
{
    const struct row_session *r = s->row;
    if (!worth_telling(d, s))
        return;
    json_t *o = about_session(s);
    json_object_set_new(o, "connected", json_boolean(r->reason == REASON_OK));
    json_object_set_new(o, "reason", show_reason(r->reason));
    json_object_set_new(o, "text", show_label(r->text));
    json_object_set_new(o, "family", r->family ? json_integer(r->family) : json_null());
    json_object_set_new(o, "rounds", json_integer(r->rounds));
    json_object_set_new(o, "took_us", json_integer(r->finished - r->started));
    admin_publish(d->admin, "session-finished", o);
}

/* ---- the daemon ---- */

void dispatch_tell_operator(struct dispatch *d, const char *kind, const struct peer *p,
                            const char *text)
{
    if (!admin_watched(d->admin))
        return;
    json_t *o = about_peer(p);
    json_object_set_new(o, "text", show_label(text));
    admin_publish(d->admin, kind, o);
}

void dispatch_tell_limit(struct dispatch *d, const char *limit, const struct peer *p)
{
    if (!admin_watched(d->admin))
        return;
    json_t *o = about_peer(p);
    json_object_set_new(o, "limit", json_string(limit));
    admin_publish(d->admin, "limit", o);
}

void dispatch_tell_store(struct dispatch *d)
{
    struct store_health health;
    bool degraded = store_degraded(d->store); /* the rest of its health is a copy of some size */
    if (degraded == d->store_degraded)
        return;
    d->store_degraded = degraded;
    if (!admin_watched(d->admin))
        return;
    store_health(d->store, &health);
    json_t *o = json_pack("{s:o, s:I}", "error", show_label(degraded ? health.error : ""),
                          "pending", (json_int_t)store_pending(d->store));
    admin_publish(d->admin, degraded ? "store-degraded" : "store-recovered", o);
}
