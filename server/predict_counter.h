/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PREDICT_COUNTER_H
#define TRYST_PREDICT_COUNTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the steps from port to port are those of a counter, and of which delta. Pure. */

/* From one new mapping to the next. */
struct counter_hop {
    int32_t by; /* ports, the shorter way round */
    double seconds;
    bool burst; /* back to back: others had hardly any time in between */
};

/* How hops read with a certain delta. */
struct counter_fit {
    unsigned bursts, spaced; /* hops explained */
    unsigned outliers;
    unsigned calm;  /* burst hops with few foreign allocations */
    double penalty; /* the less, the likelier */
};

/* A hop as allocations of this delta: 1 plus the foreign ones; 0: it cannot be read so. */
int32_t predict_counter_multiple(const struct counter_hop *hop, int32_t delta);

struct counter_fit predict_counter_fit(const struct counter_hop *hops, size_t count, int32_t delta);

/* The delta that explains the hops best, and how well; 0: no counter does. */
int32_t predict_counter_find(const struct counter_hop *hops, size_t count, struct counter_fit *fit);

#endif
