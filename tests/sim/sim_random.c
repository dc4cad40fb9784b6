/* SPDX-License-Identifier: ISC */
#include "tests/sim/sim_random.h"

#include <math.h>
#include <string.h>

#include "tests/nat_model.h"

/* splitmix64 (Steele, Lea and Flood 2014). */
static uint64_t next(struct sim_random *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void fill(void *state, void *out, size_t len)
{
    uint8_t *bytes = out;

    while (len > 0) {
        uint64_t z = next(state);
        size_t n = len < sizeof(z) ? len : sizeof(z);

        for (size_t i = 0; i < n; i++)
            *bytes++ = (uint8_t)(z >> (8 * i));
        len -= n;
    }
}

struct rng sim_random_start(struct sim_random *r, uint64_t seed, uint64_t stream)
{
    r->state = seed;
    r->state = next(r) + stream * UINT64_C(0xd1342543de82ef95);
    r->state = next(r);
    return (struct rng){fill, r};
}

bool sim_random_chance(const struct rng *rng, double probability)
{
    return nat_model_unit(rng) < probability;
}

double sim_random_between(const struct rng *rng, double low, double high)
{
    return low + (high - low) * nat_model_unit(rng);
}

double sim_random_log_between(const struct rng *rng, double low, double high)
{
    return low * pow(high / low, nat_model_unit(rng));
}

double sim_random_exponential(const struct rng *rng, double mean)
{
    return -mean * log(nat_model_unit(rng));
}

static double normal(const struct rng *rng)
{
    /* Box and Muller 1958. */
    double radius = sqrt(-2 * log(nat_model_unit(rng)));

    return radius * cos(6.283185307179586 * nat_model_unit(rng));
}

double sim_random_log_normal(const struct rng *rng, double median, double spread, double low,
                             double high)
{
    return fmin(fmax(median * exp(spread * normal(rng)), low), high);
}

tick sim_random_ms(double ms)
{
    return (tick)(ms * (double)TICK_MS);
}
