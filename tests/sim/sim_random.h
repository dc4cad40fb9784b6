/* SPDX-License-Identifier: ISC */
#ifndef TRYST_SIM_RANDOM_H
#define TRYST_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/rng.h"
#include "proto/tick.h"

/* The simulator's chance: quick, and the same numbers for the same seed on every machine. */

struct sim_random {
    uint64_t state;
};

/* `stream` tells the pairs of one run apart. *r lives as long as the rng is used. */
struct rng sim_random_start(struct sim_random *r, uint64_t seed, uint64_t stream);

bool sim_random_chance(const struct rng *rng, double probability);
double sim_random_between(const struct rng *rng, double low, double high);
double sim_random_log_between(const struct rng *rng, double low, double high);
double sim_random_exponential(const struct rng *rng, double mean);
/* Log-normal, cut to low .. high. */
double sim_random_log_normal(const struct rng *rng, double median, double spread, double low,
                             double high);
tick sim_random_ms(double ms);

#endif
