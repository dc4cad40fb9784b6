/* SPDX-License-Identifier: ISC */
#include "plan.h"

#include "plan_chance.h"
#include "plan_strategy.h"
#include "survey.h"

/* No plan below this is worth anybody's SYNs: say so at once instead. */
#define CHANCE_MIN 0.01
/* Chances that differ by less are alike: then the plan with fewer SYNs is better. */
#define CHANCE_ALIKE 0.002
/* That one of the two does not, in fact, though it seemed so. */
#define CHANCE_BOTH_DROP 0.05
/* SYNs that are sent again when refused; a larger window is meant to miss with most of them. */
#define RETRY_SYNS_MAX 8

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* ---- choosing ---- */

static void consider(struct plan *best, struct plan candidate)
{
    int syns = candidate.side[0].syns + candidate.side[1].syns;
    int best_syns = best->side[0].syns + best->side[1].syns;

    if (candidate.chance > best->chance + CHANCE_ALIKE ||
        (candidate.chance > best->chance - CHANCE_ALIKE && candidate.chance > 0 &&
         syns < best_syns))
        *best = candidate;
}

static void consider_one_port(struct plan *best, const struct plan_view v[2], int i, unsigned round)
{
    if (v[i].lenient)
        consider(best, plan_strategy_lenient_port(v, i, round));
    if (v[!i].kind == PLAN_KIND_COUNTER)
        consider(best, plan_strategy_window(v, i, round));
    else
        consider(best, plan_strategy_birthday(v, i, round));
}

static void consider_no_port(struct plan *best, const struct plan_view v[2], unsigned round)
{
    int i;

    if (plan_strategy_is_one_counter(v)) {
        consider(best, plan_strategy_one_counter(v, round));
        return;
    }
    consider(best, plan_strategy_sweeps(v, round));
    if (v[0].kind == PLAN_KIND_COUNTER && v[1].kind == PLAN_KIND_COUNTER)
        consider(best, plan_strategy_two_sweeps(v, round));
    for (i = 0; i < 2; i++)
        if (v[i].lenient && v[i].kind == PLAN_KIND_RANGE)
            consider(best, plan_strategy_search(v, i, round));
}

static void consider_all(struct plan *best, const struct plan_view v[2], unsigned round)
{
    int i;

    if (v[0].kind == PLAN_KIND_PORT && v[1].kind == PLAN_KIND_PORT) {
        consider(best, plan_strategy_ports(v));
        return;
    }
    for (i = 0; i < 2; i++)
        if (v[i].kind == PLAN_KIND_PORT)
            consider_one_port(best, v, i, round);
    if (v[0].kind != PLAN_KIND_PORT && v[1].kind != PLAN_KIND_PORT)
        consider_no_port(best, v, round);
}

static struct plan_view view_of(const struct plan_side side[2], int i)
{
    const struct plan_side *s = &side[i];
    struct plan_view v = {.side = s, .p = s->prediction};

    v.budget = least(s->budget, SURVEY_PUNCH_SOCKETS);
    v.targets = v.p.once ? 1 : v.budget;
    v.draws = side[0].birthday && side[1].birthday ? v.budget : least(v.budget, PLAN_SYNS);
    v.lenient = s->filtering == NAT_EIF || s->filtering == NAT_ADF;
    v.addresses = v.p.addresses > 1 ? v.p.addresses : 1;
    v.range = v.p.high >= v.p.low ? (uint32_t)v.p.high - v.p.low + 1 : 1;
    if (v.p.shape == SHAPE_FIXED)
        v.kind = PLAN_KIND_PORT;
    else
        v.kind = v.p.delta != 0 ? PLAN_KIND_COUNTER : PLAN_KIND_RANGE;
    return v;
}

/*
 * An address-dependent mapping is one port for all SYNs of a socket. Guessed, it is as good as a
 * fixed one whenever the guess is right.
 */
static struct plan_view guessed(struct plan_view v)
{
    int32_t f = chance_best_run(&v.p, 1);

    v.kind = PLAN_KIND_PORT;
    v.p.port = plan_strategy_counter_port(&v.p, 1 + f);
    v.p.confidence *= prediction_foreign_weight(&v.p, (unsigned)f) * (1 - PREDICT_TAKEN);
    return v;
}

static void consider_guesses(struct plan *best, const struct plan_view v[2], unsigned round)
{
    int i;

    /* A port guessed on one counter says where the other side's are as well. */
    if (plan_strategy_is_one_counter(v))
        return;
    for (i = 0; i < 2; i++) {
        struct plan_view with[2] = {v[0], v[1]};

        if (v[i].p.shape != SHAPE_SHARED || v[i].kind != PLAN_KIND_COUNTER)
            continue;
        with[i] = guessed(v[i]);
        consider_all(best, with, round);
    }
}

/* ---- order of start ---- */

static bool answers(const struct plan_side *s)
{
    return s->refusal != NAT_SILENCE;
}

/*
 * Whether the schedule starts this side first: where only its own NAT answers, or only the other's
 * drops a SYN that comes while one of its own is under way. Where one speaks against the other they
 * start together, and the SYNs cross.
 */
static bool goes_first(const struct plan_side *own, const struct plan_side *other)
{
    bool answering = answers(own) && !answers(other), answered = answers(other) && !answers(own);
    bool dropped = other->no_simultaneous_open && !own->no_simultaneous_open;
    bool dropping = own->no_simultaneous_open && !other->no_simultaneous_open;

    return (answering && !dropping) || (dropped && !answered);
}

/*
 * The first side's last SYN leaves later than its first by the length of its volleys, and the other
 * side's SYNs must not come before that: else they are refused, and the refusal closes the hole
 * that they made, or they find a SYN under way and are dropped.
 */
static void order_start(struct plan *plan, const struct plan_side side[2])
{
    int i, k;

    for (i = 0; i < 2; i++) {
        int32_t duration = plan_strategy_duration(plan, i);

        if (!goes_first(&side[i], &side[!i]))
            continue;
        for (k = 0; k < plan->side[!i].volley_count; k++)
            plan->side[!i].volleys[k].offset_us += duration;
    }
}

/* Two NATs that each drop the other's SYN for their own: only a lenient filter helps. */
static double both_drop(const struct plan_view v[2])
{
    bool both = v[0].side->no_simultaneous_open && v[1].side->no_simultaneous_open;

    return both && !v[0].lenient && !v[1].lenient ? CHANCE_BOTH_DROP : 1;
}

static enum reason reason_of(const struct plan *plan, const struct plan_view v[2])
{
    if (plan->chance >= CHANCE_MIN)
        return REASON_OK;
    if (v[0].kind == PLAN_KIND_RANGE && v[1].kind == PLAN_KIND_RANGE)
        return REASON_BOTH_RANDOM;
    return REASON_UNPREDICTABLE;
}

static struct plan no_plan(enum reason reason, double chance)
{
    return (struct plan){.reason = reason, .chance = chance};
}

struct plan plan_make(const struct plan_side side[2], unsigned round)
{
    struct plan_view v[2];
    struct plan best = {0};
    int i;

    if (side[0].prediction.shape == SHAPE_NONE || side[1].prediction.shape == SHAPE_NONE)
        return no_plan(REASON_NO_OBSERVATION, 0);
    if (side[0].budget == 0 || side[1].budget == 0)
        return no_plan(REASON_LIMIT, 0);
    if (round == 0)
        round = 1;
    v[0] = view_of(side, 0);
    v[1] = view_of(side, 1);
    consider_all(&best, v, round);
    consider_guesses(&best, v, round);
    best.chance *= both_drop(v);
    best.reason = reason_of(&best, v);
    if (best.reason != REASON_OK)
        return no_plan(best.reason, best.chance);
    for (i = 0; i < 2; i++)
        best.side[i].retry =
            side[i].prediction.shape == SHAPE_FIXED && best.side[i].syns <= RETRY_SYNS_MAX;
    order_start(&best, side);
    return best;
}
