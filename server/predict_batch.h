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
    unsigned tracks;                /* counters that the mappings came from in turn */
    uint16_t range_low, range_high; /* where a counter was seen to turn round; 0: it was not */
};

/* What was believed so far, which even a batch too small to classify can test. */
struct batch_known {
    uint8_t allocation;
    uint8_t tracks;
    int32_t delta;
    uint16_t block_size; /* of other blocks of the same NAT; 0: not known */
};

struct batch_verdict batch_classify(const struct observation *obs, size_t count,
                                    const struct batch_known *known);

#endif
