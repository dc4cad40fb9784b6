/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* Seeded randomness as a value: the same seed gives the same run. */
#ifndef NATBOX_RANDOM_H
#define NATBOX_RANDOM_H

#include <stdint.h>

struct natbox_random {
    uint64_t state;
};

void natbox_random_seed(struct natbox_random *r, uint64_t seed);
uint64_t natbox_random_next(struct natbox_random *r);

/* Uniform in [0, n); n must not be 0. */
uint32_t natbox_random_below(struct natbox_random *r, uint32_t n);

/* Uniform in [0, 1). */
double natbox_random_unit(struct natbox_random *r);

/* How many events a Poisson process with this expectation saw. */
uint64_t natbox_random_poisson(struct natbox_random *r, double mean);

#endif
