/* SPDX-License-Identifier: ISC */
#include "plan_strategy.h"

#include <math.h>

#include "plan_chance.h"

/* Other traffic may steal the very port: no window is narrower than this, however quiet the NAT. */
#define WINDOW_MIN 4
/* What of a counter's foreign traffic a window may leave out. */
#define WINDOW_REST 0.004
/* Ports a window reaches beyond what the estimate asks for, before and after (DESIGN section 7). */
#define WINDOW_BEFORE 1
#define WINDOW_AFTER  1
/* Success by birthday beyond this costs more SYNs than it is worth. */
#define BIRTHDAY_ENOUGH 0.999
/* Two positions seen at about one time are no further apart on one counter. */
#define ONE_COUNTER_STEPS 256
/* Between the last SYN of the first side and the first of the second, on one counter: what their
 * timers and clocks may be off. */
#define ONE_COUNTER_PAUSE_US 10000
/* That one of a side's connections comes from the address it is expected from. */
#define ADDRESS_ENOUGH 0.001

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* ---- volleys ---- */

/* Back to back, so that others have no time to steal the very port; but not to flood a small queue.
 */
static uint32_t spacing_of(unsigned count)
{
    return count <= PLAN_SYNS ? 10 : 20;
}

static int32_t end_of(const struct volley *v)
{
    return v->offset_us + (int32_t)(v->count * v->spacing_us);
}

int32_t plan_strategy_duration(const struct plan *plan, int i)
{
    uint8_t n = plan->side[i].volley_count;

    return n > 0 ? end_of(&plan->side[i].volleys[n - 1]) : 0;
}

static void add_volley(struct plan *plan, int i, struct volley v)
{
    uint8_t n = plan->side[i].volley_count;
    unsigned sockets = v.socket_step == 0 ? 1 : v.count;

    if (n == PLAN_VOLLEYS_MAX || v.count == 0)
        return;
    v.spacing_us = v.count > 1 ? spacing_of(v.count) : 0;
    v.offset_us = plan_strategy_duration(plan, i);
    plan->side[i].volleys[n] = v;
    plan->side[i].volley_count++;
    plan->side[i].syns = (uint16_t)(plan->side[i].syns + v.count);
    if (plan->side[i].sockets < sockets)
        plan->side[i].sockets = (uint16_t)sockets;
}

/* `count` sockets of side i, one SYN each, all to one port of the other side. */
static void sweep(struct plan *plan, int i, const struct plan_view v[2], unsigned count,
                  uint16_t port)
{
    add_volley(plan, i,
               (struct volley){
                   .socket = v[i].side->socket,
                   .socket_step = count > 1 ? 1 : 0,
                   .remote = endpoint_with_port(v[!i].p.address, port),
                   .count = (uint16_t)count,
               });
}

/* As many fresh sockets of side i again, to another port. */
static void sweep_more(struct plan *plan, int i, const struct plan_view v[2], unsigned count,
                       uint16_t port)
{
    unsigned used = plan->side[i].sockets;

    add_volley(plan, i,
               (struct volley){
                   .socket = (uint16_t)(v[i].side->socket + used),
                   .socket_step = 1,
                   .remote = endpoint_with_port(v[!i].p.address, port),
                   .count = (uint16_t)count,
               });
    plan->side[i].sockets = (uint16_t)(used + count);
}

/* One socket of side i, to `count` ports of the other side that are `step` apart. */
static void spray(struct plan *plan, int i, const struct plan_view v[2], uint16_t port,
                  int32_t step, unsigned count)
{
    add_volley(plan, i,
               (struct volley){
                   .socket = v[i].side->socket,
                   .remote = endpoint_with_port(v[!i].p.address, port),
                   .port_step = (int16_t)(count > 1 ? step : 0),
                   .count = (uint16_t)count,
               });
}

uint16_t plan_strategy_counter_port(const struct prediction *p, int32_t position)
{
    return counter_step(p->port, p->delta, position, p->low, p->high);
}

/*
 * One socket of side i, to every stride-th next port of the other side's counter. A volley's ports
 * wrap at 2^16 and a counter's at the ends of its range, so there the run is split. Returns how
 * many targets found a place.
 */
static unsigned spray_counter(struct plan *plan, int i, const struct plan_view v[2], int32_t first,
                              int32_t stride, unsigned count)
{
    const struct prediction *p = &v[!i].p;
    unsigned done = 0, n;

    while (done < count && plan->side[i].volley_count < PLAN_VOLLEYS_MAX) {
        int32_t at = first + (int32_t)done * stride;
        uint16_t port = plan_strategy_counter_port(p, at);
        int16_t step = (int16_t)(plan_strategy_counter_port(p, at + stride) - port);

        for (n = 1; done + n < count; n++)
            if ((uint16_t)(port + (uint16_t)step * n) !=
                plan_strategy_counter_port(p, at + (int32_t)n * stride))
                break;
        spray(plan, i, v, port, step, n);
        done += n;
    }
    return done;
}

/*
 * One socket of side i, spread over the other side's range; later rounds take the ports between.
 * Nothing lies at the ends, which are the least certain: a single one goes to the middle.
 */
static void spray_range(struct plan *plan, int i, const struct plan_view v[2], unsigned count,
                        unsigned round)
{
    uint32_t stride = count > 0 && count <= v[!i].range ? v[!i].range / count : 1;
    uint32_t first = v[!i].p.low + (stride / 2 + (round - 1) * 37) % stride;

    spray(plan, i, v, (uint16_t)first, (int32_t)stride, count);
}

static uint16_t range_port(const struct plan_view *v, unsigned round)
{
    return (uint16_t)(v->p.low + (v->range / 2 + (round - 1) * 61) % v->range);
}

/* ---- what a side may take ---- */

/* Of `want` new mappings, those that leave half of a subscriber's block free. */
static unsigned block_allowance(const struct plan_view *v, unsigned want)
{
    unsigned limit = v->range / 2;

    if (v->kind != PLAN_KIND_RANGE || v->p.shape == SHAPE_RANDOM ||
        v->range > PROFILE_PORT_HIGH - PROFILE_PORT_LOW)
        return want;
    limit -= least(limit, v->side->held);
    return least(want, limit);
}

/* What a mapping is drawn from: ports, on each of the addresses. */
static double places(const struct plan_view *v)
{
    return v->range * v->addresses;
}

/* So many connections, of which one comes from a certain address of all that there are. */
static unsigned from_address(const struct plan_view *v)
{
    if (v->addresses <= 1)
        return 1;
    return (unsigned)ceil(log(ADDRESS_ENOUGH) / log(1 - 1 / v->addresses));
}

/* ---- one port against one port ---- */

/*
 * Where side i aims. An open port is for the other side's SYN alone: one of its own, to where that
 * comes from, would have TCP answer on the connection that it began, from another public port. So
 * it goes beside.
 */
static uint16_t aim_at_port(const struct plan_view v[2], int i)
{
    uint16_t port = v[!i].p.port;

    if (!v[i].p.open || v[!i].p.open)
        return port;
    return (uint16_t)(port > 1 ? port - 1 : port + 1);
}

struct plan plan_strategy_ports(const struct plan_view v[2])
{
    struct plan plan = {0};
    int i;

    for (i = 0; i < 2; i++)
        sweep(&plan, i, v, 1, aim_at_port(v, i));
    plan.chance = chance_meet(v[0].p.confidence, v[0].lenient, v[1].p.confidence, v[1].lenient);
    return plan;
}

/*
 * Side i's port is known and its filter lenient: whatever the other side's ports are, a SYN from
 * there gets in. Its own SYN is for the mapping's and an address-dependent filter's sake.
 */
struct plan plan_strategy_lenient_port(const struct plan_view v[2], int i, unsigned round)
{
    const struct plan_view *other = &v[!i];
    struct plan plan = {0};
    uint16_t port = other->kind == PLAN_KIND_RANGE
                        ? range_port(other, round)
                        : plan_strategy_counter_port(&other->p, v[i].p.open ? 0 : 1);
    unsigned sockets = 2;

    if (v[i].side->filtering == NAT_ADF && from_address(other) > sockets)
        sockets = from_address(other);
    sockets = block_allowance(other, least(sockets, other->budget));
    sweep(&plan, i, v, 1, port);
    sweep(&plan, !i, v, sockets, v[i].p.port);
    plan.chance = sockets > 0 ? v[i].p.confidence : 0;
    if (v[i].side->filtering == NAT_ADF)
        plan.chance *= 1 - pow(1 - 1 / other->addresses, sockets);
    return plan;
}

/*
 * That the very port in the run is somebody else's: held before, or taken between two of the run's
 * SYNs.
 */
static double stolen(const struct plan_view *v, unsigned sockets)
{
    double between = v->p.foreign_rate * spacing_of(sockets) * 1e-6;

    return 1 - (1 - PREDICT_TAKEN) / (1 + between);
}

/* ---- one port against a counter ---- */

/*
 * The counting side opens `sockets` sockets, all to the other's port: its mappings are the
 * positions F + 1 .. F + sockets, in whatever order they leave. The other side aims at `targets`
 * positions, `stride` apart from `first` on. They meet if F is in first - sockets .. first +
 * (targets - 1) * stride - 1, for no stride is larger than `sockets`.
 */
struct window {
    int32_t sockets, targets, stride, first;
};

static double window_chance(const struct prediction *p, const struct window *w)
{
    return chance_between(p, w->first - w->sockets, w->first + (w->targets - 1) * w->stride - 1);
}

static int32_t at_least_one(int32_t position)
{
    return position < 1 ? 1 : position;
}

/*
 * The fewest SYNs that meet for every likely F with two targets at least (the stride is half of the
 * sockets at most, and the window reaches one stride further on both ends), so that one stolen port
 * does not decide the round. Where the budget does not allow it, one target, and then the run of F
 * that is the likeliest.
 */
static struct window choose_window(const struct prediction *p, unsigned sockets_max,
                                   unsigned targets_max, unsigned round)
{
    struct foreign_range r = chance_foreign(p, WINDOW_REST);
    int32_t low = r.low - WINDOW_BEFORE;
    int32_t length = r.high + WINDOW_AFTER + (int32_t)round - low + 1;
    struct window w = {0};
    unsigned q;

    for (q = WINDOW_MIN; q <= sockets_max || q <= targets_max; q++) {
        w.sockets = (int32_t)least(q, sockets_max);
        w.targets = (int32_t)least(q, targets_max);
        for (w.stride = 1; w.stride == 1 || w.stride <= w.sockets / 2; w.stride++) {
            w.first = at_least_one(low - w.stride + w.sockets);
            if (w.sockets + (w.targets - 3) * w.stride >= length)
                return w;
        }
    }
    w.sockets = (int32_t)sockets_max;
    w.targets = (int32_t)targets_max;
    for (w.stride = 1; w.stride < w.sockets; w.stride++)
        if (w.sockets + (w.targets - 1) * w.stride >= length)
            break;
    if (w.sockets + (w.targets - 1) * w.stride < length)
        low = chance_best_run(p, w.sockets + (w.targets - 1) * w.stride);
    w.first = at_least_one(low + w.sockets);
    return w;
}

/* Side i has the port, the other one counts. */
struct plan plan_strategy_window(const struct plan_view v[2], int i, unsigned round)
{
    const struct plan_view *counter = &v[!i];
    struct window w = choose_window(&counter->p, counter->budget, v[i].targets, round);
    struct plan plan = {0};
    double chance;

    w.targets = (int32_t)spray_counter(&plan, i, v, w.first, w.stride, (unsigned)w.targets);
    sweep(&plan, !i, v, (unsigned)w.sockets, v[i].p.port);
    chance = counter->p.confidence * window_chance(&counter->p, &w);
    if (w.targets == 1)
        chance *= 1 - stolen(counter, (unsigned)w.sockets);
    plan.chance = chance_meet(v[i].p.confidence, v[i].lenient, chance, counter->lenient);
    return plan;
}

/* ---- one port against a range: birthday ---- */

/* As many sockets as targets: how many of either are enough, within `most`. */
static unsigned birthday_syns(double range, unsigned most)
{
    unsigned low = 1, high = most;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (chance_birthday(middle, middle, range) >= BIRTHDAY_ENOUGH)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Side i has the port, the other one draws its ports from a range. */
struct plan plan_strategy_birthday(const struct plan_view v[2], int i, unsigned round)
{
    const struct plan_view *drawn = &v[!i];
    struct plan plan = {0};
    unsigned want = v[i].targets > 1 ? birthday_syns(places(drawn), least(drawn->draws, v[i].draws))
                                     : drawn->draws;
    unsigned sockets = block_allowance(drawn, want);
    unsigned targets = least(least(want, v[i].targets), drawn->range);
    double chance;

    if (sockets == 0)
        return plan;
    sweep(&plan, !i, v, sockets, v[i].p.port);
    spray_range(&plan, i, v, targets, round);
    chance = drawn->p.confidence * chance_birthday(sockets, targets, places(drawn));
    plan.chance = chance_meet(v[i].p.confidence, v[i].lenient, chance, drawn->lenient);
    return plan;
}

/* ---- neither side has one port ---- */

/* A side's sockets, the one port that the other side aims at, and the chance that it is theirs. */
struct mark {
    unsigned sockets;
    uint16_t port;
    double chance; /* but for what others take meanwhile: ... */
    double stolen;
};

static struct mark mark_counter(const struct plan_view *v, unsigned round)
{
    struct foreign_range r = chance_foreign(&v->p, WINDOW_REST);
    int32_t low = r.low - WINDOW_BEFORE, length, sockets;
    struct mark m;

    length = r.high + WINDOW_AFTER + (int32_t)round - low + 1;
    length = length < WINDOW_MIN ? WINDOW_MIN : length;
    sockets = length < (int32_t)v->budget ? length : (int32_t)v->budget;
    if (sockets < length)
        low = chance_best_run(&v->p, sockets);
    low = at_least_one(low + sockets) - sockets;
    m.sockets = (unsigned)sockets;
    m.port = plan_strategy_counter_port(&v->p, low + sockets);
    m.chance = v->p.confidence * chance_between(&v->p, low, low + sockets - 1);
    m.stolen = stolen(v, m.sockets);
    return m;
}

static struct mark mark_range(const struct plan_view *v, unsigned round)
{
    struct mark m = {.stolen = 0};

    m.sockets = block_allowance(v, least(v->draws, v->range));
    m.port = range_port(v, round);
    m.chance = v->p.confidence * m.sockets / places(v);
    return m;
}

static struct mark mark_of(const struct plan_view *v, unsigned round)
{
    return v->kind == PLAN_KIND_COUNTER ? mark_counter(v, round) : mark_range(v, round);
}

static double meet_marks(const struct plan_view v[2], const struct mark m[2])
{
    return chance_meet(m[0].chance * (1 - m[0].stolen), v[0].lenient,
                       m[1].chance * (1 - m[1].stolen), v[1].lenient);
}

/*
 * The fixed-target sweep: each side opens n sockets, all to one port in the middle of the other's
 * window. Whatever the two drifts are, n of n x n SYN pairs match; sweeping the targets as well
 * would cover n of the n x n drifts only.
 */
struct plan plan_strategy_sweeps(const struct plan_view v[2], unsigned round)
{
    struct mark m[2] = {mark_of(&v[0], round), mark_of(&v[1], round)};
    struct plan plan = {0};
    int i;

    if (m[0].sockets == 0 || m[1].sockets == 0)
        return plan;
    for (i = 0; i < 2; i++)
        sweep(&plan, i, v, m[i].sockets, m[!i].port);
    plan.chance = meet_marks(v, m);
    return plan;
}

/*
 * The same twice over, between counters: the second sweep goes to where the other side's second one
 * will be, and meets on the same condition, but at other ports. It makes up for a stolen one.
 */
struct plan plan_strategy_two_sweeps(const struct plan_view v[2], unsigned round)
{
    struct mark m[2] = {mark_of(&v[0], round), mark_of(&v[1], round)};
    struct plan plan = {0};
    double stolen_once;
    int i;

    for (i = 0; i < 2; i++)
        if (2 * m[i].sockets > v[i].budget)
            return plan;
    for (i = 0; i < 2; i++) {
        const struct prediction *p = &v[!i].p;
        uint16_t second =
            counter_step(m[!i].port, p->delta, (int32_t)m[!i].sockets, p->low, p->high);

        sweep(&plan, i, v, m[i].sockets, m[!i].port);
        sweep_more(&plan, i, v, m[i].sockets, second);
    }
    stolen_once = 1 - (1 - m[0].stolen) * (1 - m[1].stolen);
    for (i = 0; i < 2; i++)
        m[i].stolen = 0;
    plan.chance = meet_marks(v, m) * (1 - stolen_once * stolen_once);
    return plan;
}

/*
 * Side i draws its ports from a range, but its filter lets in whoever finds one of them: birthday
 * again, with the other side's own ports of no account.
 */
struct plan plan_strategy_search(const struct plan_view v[2], int i, unsigned round)
{
    const struct plan_view *other = &v[!i];
    struct mark m = mark_of(other, round);
    struct plan plan = {0};
    unsigned want = birthday_syns(places(&v[i]), least(v[i].draws, other->draws));
    unsigned sockets = block_allowance(&v[i], want);
    unsigned targets = least(block_allowance(other, want), v[i].range);

    if (sockets == 0 || targets == 0)
        return plan;
    sweep(&plan, i, v, sockets, m.port);
    spray_range(&plan, !i, v, targets, round);
    plan.chance = v[i].p.confidence * chance_birthday(sockets, targets, places(&v[i]));
    return plan;
}

/* ---- both on one counter ---- */

/* Steps from one side's position to the other's; false: they are not on one counter. */
static bool steps_between(const struct plan_view v[2], int32_t *steps)
{
    const struct prediction *a = &v[0].p, *b = &v[1].p;
    int32_t size = (int32_t)a->high - a->low + 1, by;

    if (!endpoint_same_address(&a->address, &b->address) || a->delta == 0 || a->delta != b->delta ||
        a->low != b->low || a->high != b->high || size < 2)
        return false;
    by = ((int32_t)b->port - a->port) % size;
    if (by > size / 2)
        by -= size;
    else if (by < -(size / 2))
        by += size;
    *steps = by / a->delta;
    return by % a->delta == 0 && *steps <= ONE_COUNTER_STEPS && *steps >= -ONE_COUNTER_STEPS;
}

bool plan_strategy_is_one_counter(const struct plan_view v[2])
{
    int32_t steps;

    return v[0].kind == PLAN_KIND_COUNTER && v[1].kind == PLAN_KIND_COUNTER &&
           steps_between(v, &steps);
}

/*
 * Each side's own mappings are foreign to the other one, so their sweeps must not mingle: side 0
 * takes the next ports, and side 1 those after them, from whichever position is the newer one.
 */
struct plan plan_strategy_one_counter(const struct plan_view v[2], unsigned round)
{
    struct plan_view with[2] = {v[0], v[1]};
    struct mark m[2];
    struct plan plan = {0};
    int32_t steps = 0;
    uint16_t second;

    if (!steps_between(v, &steps))
        return plan;
    with[0].p = with[1].p = steps > 0 ? v[1].p : v[0].p;
    with[1].p.foreign += with[1].p.foreign_rate * ONE_COUNTER_PAUSE_US * 1e-6;
    m[0] = mark_counter(&with[0], round);
    m[1] = mark_counter(&with[1], round);
    second = counter_step(m[1].port, with[1].p.delta, (int32_t)m[0].sockets, with[1].p.low,
                          with[1].p.high);
    sweep(&plan, 0, v, m[0].sockets, second);
    sweep(&plan, 1, v, m[1].sockets, m[0].port);
    plan.side[1].volleys[0].offset_us += plan_strategy_duration(&plan, 0) + ONE_COUNTER_PAUSE_US;
    /* What others take moves both alike. */
    plan.chance = fmin(m[0].chance, m[1].chance) * (1 - m[0].stolen) * (1 - m[1].stolen);
    return plan;
}
