/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "natbox_random.h"

#include <math.h>

void natbox_random_seed(struct natbox_random *r, uint64_t seed)
{
    r->state = seed;
}

/* splitmix64: every seed, 0 included, starts a full-period sequence. */
uint64_t natbox_random_next(struct natbox_random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

uint32_t natbox_random_below(struct natbox_random *r, uint32_t n)
{
    return (uint32_t)(((natbox_random_next(r) >> 32) * n) >> 32);
}

double natbox_random_unit(struct natbox_random *r)
{
    return (double)(natbox_random_next(r) >> 11) * 0x1p-53;
}

static double gauss(struct natbox_random *r)
{
    double radius = sqrt(-2.0 * log(1.0 - natbox_random_unit(r)));

    return radius * cos(6.283185307179586 * natbox_random_unit(r));
}

uint64_t natbox_random_poisson(struct natbox_random *r, double mean)
{
    uint64_t n = 0;
    double product;

    /* A long idle time would cost one draw per event; the normal
     * approximation is closer than any test could tell by then. */
    if (mean > 60.0) {
        double x = mean + sqrt(mean) * gauss(r) + 0.5;

        return x > 0 ? (uint64_t)x : 0;
    }
    for (product = natbox_random_unit(r); product > exp(-mean); product *= natbox_random_unit(r))
        n++;
    return n;
}
