/* SPDX-License-Identifier: ISC */
#include "client-stub/punch.h"

#include <stdlib.h>
#include <string.h>

#include "client-stub/core.h"
#include "client-stub/prove.h"
#include "client-stub/report.h"
#include "client-stub/request.h"
#include "client-stub/sock.h"

/* Sockets are made ahead only as long as this much time is left to the first SYN. */
#define MAKE_AHEAD (2 * TICK_MS)
/* SYNs after the first are not worth a long wait on the clock. */
#define NEXT_LEAD (100 * TICK_US)

static void next_due(struct deadline *d);

/* ---- the plan ---- */

/* A server may name any peer's address, but not turn this host against itself. */
static bool allowed(const struct tryst_context *ctx, const struct endpoint *e)
{
    if (sock_undialable(e))
        return false;
    return !endpoint_is_loopback(e) || endpoint_is_loopback(&ctx->channel.remote);
}

static void add(struct round *round, unsigned room, uint16_t number, const struct endpoint *remote,
                tick moment)
{
    const struct tryst_context *ctx = round->request->ctx;

    if (round->count >= room || !allowed(ctx, remote))
        return;
    struct dial *d = &round->dials[round->count];
    dial_init(d, round, number, remote, moment);
    d->order = (uint16_t)round->count++;
}

static int by_moment(const void *a, const void *b)
{
    const struct dial *x = a;
    const struct dial *y = b;

    if (x->moment != y->moment)
        return x->moment < y->moment ? -1 : 1;
    return x->order - y->order;
}

static unsigned syns_planned(const struct msg_punch *m)
{
    unsigned sum = 0;

    for (unsigned i = 0; i < m->volleys.count; i++)
        sum += m->volleys.at[i].count;
    return sum;
}

/* The k-th SYN of every volley that has so many; false when none has. */
static bool add_rank(struct round *round, const struct msg_punch *m, unsigned k, unsigned room)
{
    bool any = false;

    for (unsigned i = 0; i < m->volleys.count; i++) {
        const struct volley *v = &m->volleys.at[i];
        if (k >= v->count)
            continue;
        struct syn syn = volley_syn(v, k);
        add(round, room, syn.socket, &syn.remote, round->start + syn.offset);
        any = true;
    }
    return any;
}

/*
 * Where the plan exceeds the budget, every volley gets its share, and the private candidates, of
 * which there are few, come first: a whole family must not fall to the other one's sweep.
 */
static void lay_out(struct round *round, const struct msg_punch *m, unsigned room)
{
    for (unsigned i = 0; i < m->hosts.count; i++) {
        const struct endpoint *e = &m->hosts.at[i];
        if ((endpoint_is_host_candidate(e) && !endpoint_is_global(e)) || endpoint_is_loopback(e))
            add(round, room, 0, e, round->start);
    }
    for (unsigned k = 0; round->count < room && add_rank(round, m, k, room); k++)
        ;
    if (round->count)
        qsort(round->dials, round->count, sizeof(struct dial), by_moment);
}

struct round *round_new(struct tryst_request *req, const struct msg_punch *m)
{
    struct tryst_context *ctx = req->ctx;
    unsigned budget = core_budget(ctx);
    unsigned room = syns_planned(m) + m->hosts.count;
    struct round *round = core_alloc(ctx, sizeof(*round));

    if (!round)
        return NULL;
    room = room < 1 ? 1 : room < budget ? room : budget;
    round->dials = core_alloc(ctx, room * sizeof(struct dial));
    if (!round->dials) {
        core_release(ctx, round);
        return NULL;
    }
    round->request = req;
    round->older = req->rounds;
    round->number = m->round;
    /* Far in the past or the future are the same as now and never, without the overflow. */
    tick now = core_now(ctx);
    round->start = tick_min(tick_max(m->start, 0), tick_after(now, PUNCH_START_MOST));
    round->retry_most = (tick)m->retry_us * TICK_US;
    round->retries_left = budget * PUNCH_RETRIES_PER_SYN;
    round->next.fn = next_due;
    tick hold = tick_min((tick)m->hold_us * TICK_US, PUNCH_HOLD_MOST);
    round->hold_until = tick_after(tick_max(round->start, now), hold);
    lay_out(round, m, room);
    return round;
}

/* ---- the moments ---- */

/* Sockets made now need nothing but connect() later; what there is no time for is made on the way.
 */
static void make_ahead(struct round *round)
{
    const struct tryst_context *ctx = round->request->ctx;

    while (round->made < round->count) {
        if (core_now(ctx) > round->dials[round->made].moment - MAKE_AHEAD)
            return;
        (void)dial_make(&round->dials[round->made++]);
    }
}

/*
 * Listening comes first: from now on a SYN that finds its way in is answered by a connection, where
 * a port that is bound only would answer with a RST.
 */
static void listen_all(struct round *round)
{
    struct ports *ports = &round->request->ports;

    for (int family = 4; family <= 6; family += 2) {
        if (ports_bound(ports, family, 0))
            (void)ports_listen(ports, family, 0);
    }
    for (unsigned i = 0; i < round->count; i++)
        (void)ports_listen(ports, round->dials[i].remote.family, round->dials[i].number);
}

static void set_next(struct round *round)
{
    struct tryst_context *ctx = round->request->ctx;

    tick when = round->hold_until;

    if (round->fired < round->count) {
        tick lead = round->fired ? NEXT_LEAD : CORE_LEAD;
        when = tick_min(when, round->dials[round->fired].moment - lead);
    }
    core_deadline(ctx, &round->next, when);
}

void round_start(struct round *round)
{
    listen_all(round);
    make_ahead(round);
    set_next(round);
}

static void note_begin(struct round *round, tick now)
{
    tick late = (now - round->dials[0].moment) / TICK_US;

    round->late_us = late > INT32_MAX ? INT32_MAX : late < INT32_MIN ? INT32_MIN : (int32_t)late;
    round->begun = true;
    request_round_begun(round->request, round);
}

/* Sends the SYNs whose moment has come or is too near to sleep. */
static void fire(struct round *round)
{
    const struct tryst_context *ctx = round->request->ctx;

    core_wait_for(ctx, round->dials[round->fired].moment);
    tick now = core_now(ctx);
    bool first = round->fired == 0;
    while (round->fired < round->count && round->dials[round->fired].moment <= now)
        dial_connect(&round->dials[round->fired++]);
    if (first)
        note_begin(round, now);
}

static void expire(struct round *round)
{
    round->expired = true;
    for (unsigned i = 0; i < round->count; i++)
        dial_rest(&round->dials[i]);
    round_check(round);
}

static void next_due(struct deadline *d)
{
    struct round *round = CONTAINER(d, struct round, next);

    if (round->fired == round->count || core_now(round->request->ctx) >= round->hold_until) {
        expire(round);
        return;
    }
    fire(round);
    set_next(round);
    round_check(round);
}

/* ---- the end ---- */

static int lost_reason(const struct round *round)
{
    unsigned refused = 0;

    for (unsigned i = 0; i < round->count; i++)
        refused += round->dials[i].refused;
    if (round->count > 0 && round->unsent == round->count)
        return TRYST_LOCAL_SOCKET;
    if (round->silent || round->proving)
        return TRYST_NO_PROOF;
    if (round->strangers)
        return TRYST_STRANGER;
    if (refused > 0 && refused + round->unsent == round->count)
        return TRYST_REFUSED;
    return TRYST_MISSED;
}

/* Every SYN has had its answer, and none the right one. */
static bool all_answered(const struct round *round)
{
    if (round->fired < round->count)
        return false;
    for (unsigned i = 0; i < round->count; i++) {
        enum dial_state state = round->dials[i].state;
        if (state != DIAL_FAILED && state != DIAL_OPENED)
            return false;
    }
    return true;
}

/*
 * The listener may still be found while the round lasts, so refusals and strangers do not end it.
 * But the server can have the next round begin, from fresh ports: it is told at once.
 */
static bool hopeless(const struct round *round)
{
    int reason = lost_reason(round);

    return !round->proving && all_answered(round) && reason != TRYST_MISSED;
}

/* Whether the server is there to make something of a report. */
static bool server_listens(const struct tryst_request *req)
{
    return !req->server_done && req->ctx->channel.state == CHANNEL_OPEN;
}

void round_check(struct round *round)
{
    struct tryst_request *req = round->request;
    bool none_sent = round->count > 0 && round->unsent == round->count;

    if (round->lost || req->state == REQUEST_OVER)
        return;
    /* Without a server the report is the end of the session, so all else comes first. */
    if (!server_listens(req) && (req->proof_count > 0 || (!round->expired && !none_sent)))
        return;
    if (!round->expired && !none_sent && !hopeless(round))
        return;
    round->lost = true;
    core_clear(req->ctx, &round->next);
    request_round_lost(req, round, lost_reason(round));
}

void round_hold(struct round *round)
{
    round->held = true;
    core_clear(round->request->ctx, &round->next);
    for (unsigned i = 0; i < round->count; i++) {
        dial_rest(&round->dials[i]);
        if (i >= round->fired)
            dial_close(&round->dials[i]);
    }
    if (round->lost)
        return;
    round->lost = true;
    request_round_held(round->request, round, lost_reason(round));
}

void round_proof_begun(struct tryst_request *req, uint8_t number)
{
    struct round *round = round_by_number(req, number);

    if (round)
        round->proving++;
}

void round_proof_over(struct tryst_request *req, uint8_t number)
{
    struct round *round = round_by_number(req, number);

    if (round && round->proving > 0)
        round->proving--;
}

void round_proof_failed(struct tryst_request *req, uint8_t number, bool silent)
{
    struct round *round = round_by_number(req, number);

    if (!round)
        return;
    if (silent)
        round->silent++;
    else
        round->strangers++;
    round_check(round);
}

bool round_running(const struct round *round)
{
    tick now = core_now(round->request->ctx);

    if (!round->lost)
        return true;
    for (round = round->older; round; round = round->older) {
        if (round->hold_until > now)
            return true;
    }
    return false;
}

struct round *round_older(const struct round *round)
{
    return round->older;
}

struct round *round_by_number(struct tryst_request *req, uint8_t number)
{
    struct round *round = req->rounds;

    while (round && round->number != number)
        round = round->older;
    return round;
}

struct round *round_by_socket(struct tryst_request *req, int family, uint16_t number)
{
    for (struct round *round = req->rounds; round; round = round->older) {
        for (unsigned i = 0; i < round->count; i++) {
            const struct dial *d = &round->dials[i];
            if (d->number == number && d->remote.family == family)
                return round;
        }
    }
    return req->rounds;
}

const char *round_local_error(const struct round *round)
{
    return round->count > 0 && round->unsent == round->count ? strerror(round->local_error) : "";
}

int32_t round_late_us(const struct round *round)
{
    return round->late_us;
}

void round_result(const struct round *round, struct msg_result *out)
{
    tick elapsed = (core_now(round->request->ctx) - round->start) / TICK_US;

    out->round = round->number;
    out->syns = round->syns;
    out->refusals = round->refusals;
    out->late_us = round->late_us;
    out->elapsed_us = elapsed < 0 ? 0 : elapsed > UINT32_MAX ? UINT32_MAX : (uint32_t)elapsed;
}

void round_close(struct round *round)
{
    struct tryst_context *ctx = round->request->ctx;

    core_clear(ctx, &round->next);
    for (unsigned i = 0; i < round->count; i++)
        dial_close(&round->dials[i]);
    core_release(ctx, round->dials);
    core_release(ctx, round);
}

void round_make_room(struct round *coming)
{
    struct round *newer = coming;
    unsigned held = 0;

    while (newer->older && held + newer->older->count <= PUNCH_HELD_MOST) {
        newer = newer->older;
        held += newer->count;
    }
    while (newer->older) {
        struct round *older = newer->older;
        newer->older = older->older;
        round_close(older);
    }
}
