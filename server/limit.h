/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_LIMIT_H
#define TRYST_LIMIT_H

#include <stdint.h>

#include "proto/tick.h"

/* Every limit of the daemon, and how often each was reached. Pure. */
enum limit {
#define LIMIT(symbol, name, option, help) LIMIT_##symbol,
#include "limit.def"
#undef LIMIT
    LIMIT_COUNT, /* none of them */
};

struct limit_spec {
    const char *name, *option, *help; /* option: "" where it is fixed */
};
extern const struct limit_spec limit_specs[LIMIT_COUNT];

struct limit_tally {
    uint64_t hits;
    uint64_t told; /* of them, in lines for the operator */
    tick told_at;
    int64_t last; /* when the last one was, in microseconds since 1970; 0: never */
};

struct limits {
    struct limit_tally of[LIMIT_COUNT];
};

/* A limit that is hit all the time is worth one line so often. */
#define LIMIT_TELL_PAUSE (60 * TICK_S)

/*
 * Counts a hit. Returns 0, or how many there were since the last line where it is time for another
 * one.
 */
uint64_t limit_hit(struct limits *l, enum limit which, int64_t wall_us, tick now);
uint64_t limit_hits(const struct limits *l);

#endif
