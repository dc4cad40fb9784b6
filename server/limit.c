/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "limit.h"

const struct limit_spec limit_specs[LIMIT_COUNT] = {
#define LIMIT(symbol, name, option, help) {name, option, help},
#include "limit.def"
#undef LIMIT
};

uint64_t limit_hit(struct limits *l, enum limit which, int64_t wall_us, tick now)
{
    struct limit_tally *t = &l->of[which];
    uint64_t untold;

    t->hits++;
    t->last = wall_us;
    if (t->told && now - t->told_at < LIMIT_TELL_PAUSE)
        return 0;
    untold = t->hits - t->told;
    t->told = t->hits;
    t->told_at = now;
    return untold;
}

uint64_t limit_hits(const struct limits *l)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < LIMIT_COUNT; i++)
        sum += l->of[i].hits;
    return sum;
}
