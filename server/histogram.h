/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_HISTOGRAM_H
#define TRYST_HISTOGRAM_H

#include <stdint.h>

#include "proto/tick.h"

/*
 * How often an interval was how long. All histograms have the same bounds (1, 2, 5 times a power of
 * ten, from 10 us to 50 s), so one that is all zero is empty and ready, and a copy is whole. Pure,
 * and without a lock: whoever fills one from several threads holds his own.
 */
#define HISTOGRAM_BOUNDS 21

struct histogram {
    uint64_t
        counts[HISTOGRAM_BOUNDS + 1]; /* above the bound before, up to the own; the last: more */
    uint64_t sum;                     /* ticks; wraps around, as counters may */
};

/* Inclusive upper bound of a bucket, in ascending order; TICK_NEVER for the last one. */
tick histogram_bound(unsigned bucket);
/* An interval below 0 counts as 0. */
void histogram_observe(struct histogram *h, tick interval);
/* Intervals observed. */
uint64_t histogram_total(const struct histogram *h);

#endif
