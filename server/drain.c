/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "drain.h"

tick drain_window(uint32_t peers, double handshakes_per_second)
{
    double seconds = handshakes_per_second > 0. ? 2. * peers / handshakes_per_second : 0.;
    if (seconds > tick_seconds(DRAIN_MOST))
        return DRAIN_MOST;
    return tick_max((tick)(seconds * TICK_S), DRAIN_LEAST);
}

uint32_t drain_delay_ms(const struct rng *rng, tick window)
{
    return (uint32_t)((DRAIN_LEAST + rng_interval(rng, window)) / TICK_MS);
}
