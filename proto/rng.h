/* SPDX-License-Identifier: ISC */
#ifndef TRYST_RNG_H
#define TRYST_RNG_H

#include <stddef.h>
#include <stdint.h>

/*
 * Random bytes as a value: whatever decides by chance takes one of these, so that tests and the
 * simulator replay the same decisions from a seed.
 */
struct rng {
    void (*fill)(void *state, void *out, size_t len);
    void *state;
};

/* State of a seeded generator; owned by the caller and kept alive as long as the rng is used. */
struct rng_seeded {
    uint8_t seed[32];
    uint64_t block;
};

/* The system's generator (libsodium randombytes_buf); needs sodium_init() once before. */
struct rng rng_system(void);

/* A generator for tests: the same seed gives the same bytes for the same sequence of calls. */
struct rng rng_from_seed(struct rng_seeded *state, uint64_t seed);

void rng_fill(const struct rng *rng, void *out, size_t len);
uint32_t rng_u32(const struct rng *rng);

/* Uniform over 0 .. bound-1 without modulo bias; 0 when bound is 0 or 1. */
uint32_t rng_below(const struct rng *rng, uint32_t bound);

/* Uniform over 0 .. most, both included; 0 when most is not positive. */
int64_t rng_interval(const struct rng *rng, int64_t most);

#endif
