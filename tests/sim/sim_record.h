/* SPDX-License-Identifier: ISC */
#ifndef TRYST_SIM_RECORD_H
#define TRYST_SIM_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/sim/sim_session.h"

/* What pairs are to be played, and what came of each. */

struct sim_options {
    unsigned pairs; /* drawn from the populations, in equal parts */
    unsigned cell;  /* and so many of each pair of kinds, for the table alone */
    unsigned jobs;
    uint64_t seed;
    int population; /* -1: both */
    int kind[2];    /* -1: as the population has it */
    struct sim_limits limits;
};

struct sim_record {
    uint8_t population;
    uint8_t kind[2]; /* the smaller one first */
    bool drawn;      /* as the population has it; else for the table alone */
    bool met, overdrawn;
    uint8_t met_round, rounds, reason;
    uint16_t syns[2], observations;
    float took; /* seconds */
    float oracle;
    float chance[SIM_ROUNDS];
};

size_t sim_record_count(const struct sim_options *o);
/*
 * Plays all pairs, in as many processes as asked for; each pair's chance depends on the seed and
 * its number alone. NULL: could not. Free with sim_record_free().
 */
struct sim_record *sim_record_play(const struct sim_options *o);
void sim_record_free(struct sim_record *records, const struct sim_options *o);

#endif
