/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "fuzz_bytes.h"
#include "proto/frame.h"
#include "server/plan.h"
#include "server/schedule.h"
#include "server/session.h"
#include "server/survey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- plans ---- */

static struct prediction take_prediction(struct bytes *b)
{
    uint8_t head = bytes_u8(b);
    struct prediction p = {
        .shape = (enum nat_shape)(head % (SHAPE_RANDOM + 1)),
        .address = {.family = 4, .address = {203, 0, 113, head & 0x80 ? 1 : 2}},
        .port = bytes_u16(b),
        .delta = (int16_t)bytes_u16(b),
        .foreign = bytes_u16(b) / 16.0,
        .foreign_shape = bytes_u8(b) / 2.0,
        .low = bytes_u16(b),
        .high = bytes_u16(b),
        .confidence = bytes_unit(b),
    };

    /* No connection comes from port 0. */
    p.port = p.port != 0 ? p.port : 1;
    p.low = p.low != 0 ? p.low : 1;
    p.high = p.high != 0 ? p.high : 1;
    if (head & 0x08)
        p.delta %= 4;
    if (head & 0x10)
        p.foreign /= 256;
    if (p.low > p.high) {
        uint16_t low = p.high;

        p.high = p.low;
        p.low = low;
    }
    if (p.shape != SHAPE_SHARED && p.shape != SHAPE_COUNTER)
        p.delta = 0;
    if (p.shape == SHAPE_FIXED || p.port < p.low || p.port > p.high)
        p.low = p.high = p.port;
    return p;
}

static struct plan_side take_side(struct bytes *b)
{
    struct plan_side s = {.prediction = take_prediction(b)};
    uint8_t flags = bytes_u8(b);

    s.filtering = (enum nat_filtering)(flags & 3);
    s.refusal = (enum nat_refusal)(flags >> 2 & 3);
    s.birthday = flags & 0x10;
    s.socket = survey_round_socket(1 + (flags >> 5));
    s.budget = bytes_u16(b) % 1200;
    return s;
}

static void check_volleys(const struct plan *plan, const struct plan_side *side, int i)
{
    unsigned v, k, syns = 0;

    bytes_check(plan->side[i].volley_count <= PLAN_VOLLEYS_MAX);
    for (v = 0; v < plan->side[i].volley_count; v++) {
        const struct volley *volley = &plan->side[i].volleys[v];

        bytes_check(volley->count > 0);
        for (k = 0; k < volley->count; k++) {
            struct syn syn = volley_syn(volley, k);

            /* Nobody is ever made to send anywhere but to the other peer's own address. */
            bytes_check(endpoint_same_address(&syn.remote, &side[!i].prediction.address));
            bytes_check(syn.remote.port != 0 && syn.socket >= side[i].socket &&
                        syn.socket < side[i].socket + plan->side[i].sockets);
        }
        syns += volley->count;
    }
    bytes_check(syns == plan->side[i].syns);
}

/* What the other end of the wire would refuse must not be sent. */
static void check_wire(const struct plan *plan, int i)
{
    struct msg m = {.type = MSG_PUNCH}, again;
    uint8_t wire[FRAME_PLAIN_MAX];
    unsigned v;
    int len;

    m.punch_.round = 1;
    m.punch_.start = TICK_S;
    for (v = 0; v < plan->side[i].volley_count; v++)
        m.punch_.volleys.at[m.punch_.volleys.count++] = plan->side[i].volleys[v];
    len = msg_encode(&m, wire, sizeof(wire));
    bytes_check(len > 0);
    bytes_check(msg_decode(wire, (size_t)len, &again) == 0);
}

static void check_plan(const struct plan *plan, const struct plan_side side[2])
{
    int i;

    bytes_check(plan->chance >= 0 && plan->chance <= 1 + 1e-9);
    for (i = 0; i < 2; i++) {
        const struct prediction *p = &side[i].prediction;

        if (plan->reason != REASON_OK)
            continue;
        bytes_check(plan->side[i].syns <= side[i].budget);
        bytes_check(plan->side[i].sockets <= SURVEY_PUNCH_SOCKETS);
        bytes_check(plan->side[i].sockets <= plan->side[i].syns);
        /* Never more than half of what one subscriber has. */
        if (p->shape == SHAPE_BLOCK && p->high > p->low)
            bytes_check(plan->side[i].sockets <= ((unsigned)p->high - p->low + 1) / 2);
        check_volleys(plan, side, i);
        check_wire(plan, i);
    }
}

static void fuzz_plan(struct bytes *b)
{
    struct plan_side side[2] = {take_side(b), take_side(b)};
    struct plan plan = plan_make(side, 1 + bytes_u8(b) % 64);

    check_plan(&plan, side);
}

/* ---- schedules ---- */

static struct schedule_side take_clock(struct bytes *b)
{
    struct schedule_side s = {.refusal = (enum nat_refusal)(bytes_u8(b) & 3)};
    unsigned i, count = bytes_u8(b) % 4;
    tick at = 1000 * TICK_S;

    clock_estimate_init(&s.clock);
    for (i = 0; i < count; i++) {
        tick sent = at + bytes_u8(b) * TICK_MS, back = sent + bytes_u16(b) * TICK_MS / 8;
        tick there = (tick)bytes_u32(b) * TICK_MS;

        (void)clock_estimate_add(&s.clock, sent, there, there + bytes_u8(b) * TICK_US, back);
    }
    return s;
}

static void fuzz_schedule(struct bytes *b)
{
    struct schedule_side side[2] = {take_clock(b), take_clock(b)};
    tick now = 1001 * TICK_S + bytes_u32(b) * TICK_US, margin = bytes_u16(b) * TICK_MS / 16;
    struct schedule when;
    int i;

    if (!clock_estimate_known(&side[0].clock) || !clock_estimate_known(&side[1].clock))
        return;
    when = schedule_make(side, now, margin);
    bytes_check(when.punch >= now && when.hold > 0);
    for (i = 0; i < 2; i++) {
        bytes_check(when.start_server[i] >= now && when.start_server[i] <= now + 120 * TICK_S);
        bytes_check(when.start[i] == when.start_server[i] + side[i].clock.offset);
        bytes_check(when.retry[i] >= 0 && when.retry[i] <= 60 * TICK_S);
    }
}

/* ---- sessions ---- */

static void fuzz_session(struct bytes *b)
{
    static const struct session_limits limits = {
        .rounds = 3, .invite = TICK_S, .ready = TICK_S, .prepare = TICK_S, .grace = TICK_S};
    struct session_machine m;
    unsigned i, count = bytes_u8(b);
    tick now = TICK_S;

    session_start(&m, &limits, now, 10 * TICK_S);
    for (i = 0; i < count; i++) {
        uint8_t head = bytes_u8(b);
        struct session_input in = {
            .event = (enum session_event)(head % SESSION_EVENT_COUNT),
            .side = head & 0x80 ? SIDE_TARGET : SIDE_REQUESTER,
            .reason = (enum reason)(bytes_u8(b) & 0x1f),
        };
        bool ended = m.state == SESSION_ENDED;
        unsigned effects;

        now += bytes_u8(b) * TICK_MS * 20;
        in.until = now + bytes_u8(b) * TICK_MS * 20;
        effects = session_step(&m, &limits, &in, now);
        bytes_check(m.state < SESSION_STATE_COUNT && m.round <= limits.rounds);
        bytes_check(!ended || (effects == SESSION_DO_NOTHING && m.state == SESSION_ENDED));
        bytes_check((m.state == SESSION_ENDED && !ended) == ((effects & SESSION_DO_END) != 0));
        bytes_check(!(effects & SESSION_DO_END) || !(effects & SESSION_DO_PUNCH));
        /* A side that has won may wait a moment longer for the other's word. */
        bytes_check(m.state == SESSION_ENDED ||
                    m.deadline <= tick_max(now, m.expires) + limits.grace);
    }
    /* Whatever has happened, time ends it. */
    for (i = 0; i < 100 && m.state != SESSION_ENDED; i++) {
        struct session_input in = {.event = SESSION_TIME};

        now = m.deadline > now ? m.deadline : now;
        (void)session_step(&m, &limits, &in, now);
        if (m.state == SESSION_PUNCHING) {
            in.event = SESSION_NO_PLAN;
            in.reason = REASON_MISSED;
            (void)session_step(&m, &limits, &in, now);
        }
    }
    bytes_check(m.state == SESSION_ENDED);
}

/* From any two predictions: within the budgets, what the wire can carry, and never endless. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes b = {data, size};

    switch (bytes_u8(&b) & 3) {
    case 0:
        fuzz_schedule(&b);
        break;
    case 1:
        fuzz_session(&b);
        break;
    default:
        fuzz_plan(&b);
        break;
    }
    return 0;
}
