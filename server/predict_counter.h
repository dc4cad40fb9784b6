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

/* A new mapping, in the order in which they were made. */
struct counter_mapping {
    uint16_t port;
    bool burst; /* left back to back with the one before it */
    double at;  /* seconds, from wherever */
};

/* How hops read with a certain delta. */
struct counter_fit {
    unsigned bursts, spaced; /* hops explained */
    unsigned outliers;
    unsigned calm;  /* burst hops with few foreign allocations */
    double penalty; /* the less, the likelier */
};

/* Mappings may come from several counters in turn (one per core of a carrier's NAT, say). */
#define COUNTER_TRACKS_MAX   3
#define COUNTER_MAPPINGS_MAX 64

/* Mappings dealt out to counters of one delta. */
struct counter_deal {
    struct counter_hop hops[COUNTER_MAPPINGS_MAX]; /* within the tracks only */
    size_t hop_count;
    unsigned tracks;
    unsigned strays; /* tracks of one mapping */
};

/* port - from on the circle of the ports low .. high, from -n/2 to n/2. */
int32_t predict_counter_distance(uint16_t from, uint16_t port, uint16_t low, uint16_t high);

/* A hop as allocations of this delta: 1 plus the foreign ones; 0: it cannot be read so. */
int32_t predict_counter_multiple(const struct counter_hop *hop, int32_t delta);

struct counter_fit predict_counter_fit(const struct counter_hop *hops, size_t count, int32_t delta);

/* The delta that explains the hops best, and how well; 0: no counter does. */
int32_t predict_counter_find(const struct counter_hop *hops, size_t count, struct counter_fit *fit);

/*
 * The same for several counters of one delta, two to COUNTER_TRACKS_MAX of them, whose mappings
 * alternate in any order. `count` is COUNTER_MAPPINGS_MAX at most.
 */
int32_t predict_counter_find_several(const struct counter_mapping *at, size_t count,
                                     struct counter_deal *deal, struct counter_fit *fit);

/*
 * The bounds of a counter that was seen to turn round within a small range, from its highest port
 * to its lowest in one burst. False: that was not seen, or it turns at the ends of all ports.
 */
bool predict_counter_bounds(const struct counter_mapping *at, size_t count, int32_t delta,
                            uint16_t *low, uint16_t *high);

#endif
