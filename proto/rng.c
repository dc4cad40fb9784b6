/* SPDX-License-Identifier: ISC */
#include "rng.h"

#include <sodium.h>
#include <string.h>

static void fill_system(void *state, void *out, size_t len)
{
    (void)state;
    randombytes_buf(out, len);
}

struct rng rng_system(void)
{
    return (struct rng){fill_system, NULL};
}

/* Each call gets a ChaCha20 key stream of its own, told apart by the nonce. */
static void fill_seeded(void *state, void *out, size_t len)
{
    struct rng_seeded *s = state;
    uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

    for (unsigned i = 0; i < sizeof(nonce); i++)
        nonce[i] = (uint8_t)(s->block >> (8 * i));
    s->block++;
    crypto_stream_chacha20(out, len, nonce, s->seed);
}

struct rng rng_from_seed(struct rng_seeded *state, uint64_t seed)
{
    memset(state, 0, sizeof(*state));
    for (unsigned i = 0; i < sizeof(seed); i++)
        state->seed[i] = (uint8_t)(seed >> (8 * i));
    return (struct rng){fill_seeded, state};
}

void rng_fill(const struct rng *rng, void *out, size_t len)
{
    rng->fill(rng->state, out, len);
}

static uint64_t rng_u64(const struct rng *rng)
{
    uint8_t b[8];
    uint64_t v = 0;

    /* Byte by byte, so that one seed gives the same numbers on every machine. */
    rng_fill(rng, b, sizeof(b));
    for (unsigned i = 0; i < sizeof(b); i++)
        v |= (uint64_t)b[i] << (8 * i);
    return v;
}

uint32_t rng_u32(const struct rng *rng)
{
    uint8_t b[4];

    rng_fill(rng, b, sizeof(b));
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint32_t rng_below(const struct rng *rng, uint32_t bound)
{
    if (bound < 2)
        return 0;
    /* The lowest 2^32 mod bound values would come up once too often; draw again. */
    uint32_t least = (0U - bound) % bound;
    uint32_t v;
    do
        v = rng_u32(rng);
    while (v < least);
    return v % bound;
}

int64_t rng_interval(const struct rng *rng, int64_t most)
{
    if (most <= 0)
        return 0;
    uint64_t bound = (uint64_t)most + 1;
    uint64_t least = (0U - bound) % bound;
    uint64_t v;
    do
        v = rng_u64(rng);
    while (v < least);
    return (int64_t)(v % bound);
}
