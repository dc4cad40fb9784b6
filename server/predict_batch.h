/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PREDICT_BATCH_H
#define TRYST_PREDICT_BATCH_H

#include "predict_profile.h"

/*
 * What the observations of one batch (a survey, or a round's anchors) say by themselves. Pure; the
 * profile merges it with what was known before.
 */
struct batch_verdict {
    uint8_t mapping;    /* NAT_MAPPING_UNKNOWN: this batch cannot tell */
    uint8_t allocation; /* NAT_ALLOCATION_UNKNOWN: the same */
    bool one_address;   /* no socket reached two server addresses */
    int32_t delta;
    uint16_t block_low, block_high;
    unsigned facts; /* pieces of evidence behind the allocation, and how many of them agree */
    unsigned agree;
    unsigned known_facts; /* pieces that test what was believed, and how many of them agree */
    unsigned known_agree;
    uint16_t low, high; /* of the ports seen */
    uint16_t last_port; /* the newest mapping */
    tick last_at;
    unsigned mappings;   /* new mappings seen */
    unsigned foreign;    /* for a counter: other subscribers' allocations between them ... */
    double seconds;      /* ... and the time that passed meanwhile */
    uint16_t first_port; /* the oldest mapping: links this batch to what was known before */
    tick first_at;
};

/* `known` is what was believed so far, which even a batch too small to classify can test. */
struct batch_verdict batch_classify(const struct observation *obs, size_t count,
                                    const struct nat_summary *known);

/* port - from on the circle of the ports low .. high, from -n/2 to n/2. */
int32_t batch_distance(uint16_t from, uint16_t port, uint16_t low, uint16_t high);

#endif
