/* SPDX-License-Identifier: ISC */
/* What the server says about a session, and what becomes of its rounds. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "client-stub/core.h"
#include "client-stub/event.h"
#include "client-stub/observe.h"
#include "client-stub/prove.h"
#include "client-stub/punch.h"
#include "client-stub/report.h"
#include "client-stub/request.h"

/* How long a target still waits for the requester's choice when the server already knows of
 * success. */
#define GRACE (5 * TICK_S)

struct tryst_request *request_find(struct tryst_context *ctx, uint32_t number, const uint8_t *id)
{
    for (struct tryst_request *req = ctx->requests; req; req = req->next) {
        if (req->state == REQUEST_OVER || req->state == REQUEST_WAITING)
            continue;
        if (number ? !req->incoming && req->number == number
                   : req->has_id && sodium_memcmp(req->id, id, sizeof(req->id)) == 0)
            return req;
    }
    return NULL;
}

/* The session a message is about; learns its identity, which then must not change. NULL: none, or
 * not consistent. */
static struct tryst_request *session_of(struct tryst_context *ctx, uint32_t number,
                                        const uint8_t *id)
{
    struct tryst_request *req = request_find(ctx, number, id);

    /* A check has no sockets, and will not be made to have any. */
    if (!req || req->check || (req->state != REQUEST_ASKED && req->state != REQUEST_PLANNED))
        return NULL;
    if (!req->has_id) {
        memcpy(req->id, id, sizeof(req->id));
        req->has_id = true;
        memcpy(req->report->session, id, sizeof(req->id));
        req->report->has_session = true;
    }
    return sodium_memcmp(req->id, id, sizeof(req->id)) == 0 ? req : NULL;
}

/* ---- PREPARE ---- */

static void prepared(struct observe *o)
{
    struct tryst_request *req = o->owner;
    struct msg m;

    if (req->state == REQUEST_OVER)
        return;
    memset(&m, 0, sizeof(m));
    m.type = MSG_PREPARED;
    memcpy(m.prepared_.session, req->id, sizeof(req->id));
    m.prepared_.round = o->round;
    m.prepared_.failed = o->failed;
    report_stage(req->report, TRYST_STAGE_PREPARED, core_now(req->ctx));
    event_add(req->ctx, TRYST_EVENT_PREPARED, req, 0, "");
    (void)channel_send(req->ctx, &m);
}

void request_prepare(struct tryst_context *ctx, const struct msg_prepare *m)
{
    struct tryst_request *req = session_of(ctx, m->request, m->session);

    if (!req || req->prepares++ >= REQUEST_ROUNDS_MAX)
        return;
    struct observe *o =
        observe_new(ctx, &req->ports, m->token, m->secret, &m->steps, prepared, req);
    if (!o) {
        request_fail(req, TRYST_NO_MEMORY, "");
        return;
    }
    o->round = m->round;
    o->next = req->observes;
    req->observes = o;
}

/* ---- PUNCH ---- */

/* Whether the peer is the one that was asked for, or that asked. */
static bool right_peer(struct tryst_request *req, const uint8_t *key)
{
    struct tryst_report *r = req->report;

    if (req->has_pin && !key_equal(req->pin, key))
        return false;
    if (r->has_peer_key && !key_equal(r->peer_key, key))
        return false;
    memcpy(r->peer_key, key, sizeof(r->peer_key));
    r->has_peer_key = true;
    return true;
}

static void note_plan(struct tryst_request *req, const struct msg_punch *m)
{
    struct tryst_report *r = req->report;

    report_stage(r, TRYST_STAGE_PLANNED, core_now(req->ctx));
    report_nats(r, &m->local_nat, &m->remote_nat);
    r->chance = m->chance < 1000000 ? (double)m->chance / 1e6 : 1;
    r->start = m->start;
    r->planned = true;
    r->rounds++;
}

void request_punch(struct tryst_context *ctx, const struct msg_punch *m)
{
    struct tryst_request *req = session_of(ctx, m->request, m->session);

    if (!req || req->round_count >= REQUEST_ROUNDS_MAX)
        return;
    /* The role follows from who asked; a server that says otherwise has mixed up its sessions. */
    if (m->role != (req->incoming ? ROLE_TARGET : ROLE_REQUESTER)) {
        request_send_cancel(req);
        request_fail(req, TRYST_PROTOCOL, "the plan is for the other side");
        return;
    }
    if (!right_peer(req, m->peer)) {
        request_send_cancel(req);
        request_fail(req, TRYST_PEER_KEY, "");
        return;
    }
    req->state = REQUEST_PLANNED;
    if (req->rounds)
        round_hold(req->rounds);
    note_plan(req, m);
    struct round *round = round_new(req, m);
    if (!round) {
        request_fail(req, TRYST_NO_MEMORY, "");
        return;
    }
    req->rounds = round;
    req->round_count++;
    req->opened = false;
    round_make_room(round);
    event_add(ctx, TRYST_EVENT_PUNCHING, req, 0, "");
    round_start(round);
}

void request_round_begun(struct tryst_request *req, struct round *round)
{
    report_stage(req->report, TRYST_STAGE_PUNCHED, core_now(req->ctx));
    req->report->late_us = round_late_us(round);
}

/* Returns 0, or -1 if there is no channel to say it on. */
static int tell_lost(struct tryst_request *req, const struct round *round, int reason)
{
    struct msg m;

    req->lost_reason = reason;
    (void)snprintf(req->lost_text, sizeof(req->lost_text), "%s", round_local_error(round));
    memset(&m, 0, sizeof(m));
    m.type = MSG_RESULT;
    round_result(round, &m.result_);
    memcpy(m.result_.session, req->id, sizeof(req->id));
    m.result_.reason = (uint8_t)reason;
    event_add(req->ctx, TRYST_EVENT_ROUND_LOST, req, reason, req->lost_text);
    return req->server_done ? -1 : channel_send(req->ctx, &m);
}

void request_round_lost(struct tryst_request *req, struct round *round, int reason)
{
    if (req->state == REQUEST_OVER)
        return;
    if (tell_lost(req, round, reason) != 0)
        request_fail(req, reason, req->lost_text);
}

void request_round_held(struct tryst_request *req, struct round *round, int reason)
{
    (void)tell_lost(req, round, reason);
}

void request_opened(struct tryst_request *req)
{
    if (req->opened)
        return;
    req->opened = true;
    report_stage(req->report, TRYST_STAGE_OPENED, core_now(req->ctx));
    event_add(req->ctx, TRYST_EVENT_OPENED, req, 0, "");
}

/* ---- OUTCOME ---- */

void request_outcome(struct tryst_context *ctx, const struct msg_outcome *m)
{
    struct tryst_request *req = request_find(ctx, m->request, m->session);

    if (!req)
        return;
    if (m->local_nat.mapping || m->remote_nat.mapping)
        report_nats(req->report, &m->local_nat, &m->remote_nat);
    if (m->reason != REASON_OK) {
        /* The server repeats what this side told it; only this side knows the particulars. */
        bool own = !*m->text && m->reason == req->lost_reason;
        request_fail(req, m->reason, own ? req->lost_text : m->text);
        return;
    }
    /* The requester has selected, but its word to this side is still on the way. */
    req->server_done = true;
    tick limit = tick_after(core_now(ctx), GRACE);
    if (limit < req->ends_at)
        core_deadline(ctx, &req->end, limit);
}
