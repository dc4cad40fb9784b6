/* SPDX-License-Identifier: ISC */
#ifndef TRYST_TICK_H
#define TRYST_TICK_H

#include <stdint.h>

/*
 * Instants and intervals, both in nanoseconds of some monotonic clock. Which clock is said where a
 * tick crosses from one machine to another; inside one process it is always CLOCK_MONOTONIC.
 */
typedef int64_t tick;

#define TICK_US ((tick)1000)
#define TICK_MS ((tick)1000000)
#define TICK_S  ((tick)1000000000)
/*
 * "Never" is the largest value, so that the earliest of several deadlines is simply their minimum.
 */
#define TICK_NEVER INT64_MAX

static inline tick tick_min(tick a, tick b)
{
    return a < b ? a : b;
}

static inline tick tick_max(tick a, tick b)
{
    return a > b ? a : b;
}

/*
 * An instant `interval` after `t`; never stays never, and the sum saturates instead of wrapping.
 */
static inline tick tick_after(tick t, tick interval)
{
    if (interval > 0 && t > TICK_NEVER - interval)
        return TICK_NEVER;
    return t + interval;
}

static inline double tick_seconds(tick t)
{
    return (double)t / (double)TICK_S;
}

#endif
