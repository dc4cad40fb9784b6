/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PLAN_STRATEGY_H
#define TRYST_PLAN_STRATEGY_H

#include "plan.h"

/*
 * The cells of DESIGN section 8's table, one function each: what the two sides send, and the chance
 * that a pair meets. plan.c picks the best of those that apply. Pure.
 */

enum plan_kind {
    PLAN_KIND_PORT,    /* one port, the same for every SYN of its one punch socket */
    PLAN_KIND_COUNTER, /* every socket a new port, in steps */
    PLAN_KIND_RANGE    /* every socket a new port, anywhere in a range */
};

/* One side as the strategies see it. */
struct plan_view {
    const struct plan_side *side;
    struct prediction p; /* a copy, since a shared mapping can also be taken as one guessed port */
    enum plan_kind kind;
    unsigned budget;
    unsigned targets; /* of it, how many one socket may aim at from the predicted port */
    unsigned draws;   /* of it, what birthday may take */
    uint32_t range;   /* PLAN_KIND_RANGE: how many ports are alike */
    double addresses; /* that its mappings are scattered over; 1: one */
    bool lenient;
};

/* Microseconds from the side's start to after its last SYN. */
int32_t plan_strategy_duration(const struct plan *plan, int i);

uint16_t plan_strategy_counter_port(const struct prediction *p, int32_t position);

/* One port against one port: a SYN each. */
struct plan plan_strategy_ports(const struct plan_view v[2]);
/* Side i has one port and a lenient filter: whatever the other side's ports are. */
struct plan plan_strategy_lenient_port(const struct plan_view v[2], int i, unsigned round);
/* Side i has one port, the other counts. */
struct plan plan_strategy_window(const struct plan_view v[2], int i, unsigned round);
/* Side i has one port, the other draws from a range: birthday. */
struct plan plan_strategy_birthday(const struct plan_view v[2], int i, unsigned round);
/* Neither has one port: the fixed-target sweep. */
struct plan plan_strategy_sweeps(const struct plan_view v[2], unsigned round);
/* Both count: the same with a second port, for where the first one was stolen. */
struct plan plan_strategy_two_sweeps(const struct plan_view v[2], unsigned round);
/* Both draw on one and the same counter, behind one public address. */
bool plan_strategy_is_one_counter(const struct plan_view v[2]);
struct plan plan_strategy_one_counter(const struct plan_view v[2], unsigned round);
/* Neither has one port, but side i, which draws from a range, lets in whoever finds one of its
 * ports. */
struct plan plan_strategy_search(const struct plan_view v[2], int i, unsigned round);

#endif
