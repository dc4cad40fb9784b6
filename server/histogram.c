/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "histogram.h"

#define DECADE(unit) (unit), 2 * (unit), 5 * (unit)

static const tick bounds[] = {
    DECADE(10 * TICK_US),  DECADE(100 * TICK_US), DECADE(TICK_MS),     DECADE(10 * TICK_MS),
    DECADE(100 * TICK_MS), DECADE(TICK_S),        DECADE(10 * TICK_S),
};
_Static_assert(sizeof(bounds) / sizeof(bounds[0]) == HISTOGRAM_BOUNDS, "a bound per bucket");

tick histogram_bound(unsigned bucket)
{
    return bucket < HISTOGRAM_BOUNDS ? bounds[bucket] : TICK_NEVER;
}

/* The first bucket whose bound is not below. */
static unsigned bucket_of(tick interval)
{
    unsigned low = 0, high = HISTOGRAM_BOUNDS;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (bounds[middle] < interval)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void histogram_observe(struct histogram *h, tick interval)
{
    interval = tick_max(interval, 0);
    h->counts[bucket_of(interval)]++;
    h->sum += (uint64_t)interval;
}

uint64_t histogram_total(const struct histogram *h)
{
    uint64_t total = 0;
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
        total += h->counts[i];
    return total;
}
