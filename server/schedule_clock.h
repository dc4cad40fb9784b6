/* SPDX-License-Identifier: ISC */
#ifndef TRYST_SCHEDULE_CLOCK_H
#define TRYST_SCHEDULE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/tick.h"

/*
 * The offset of a peer's monotonic clock from the server's, with an error bound (RFC 5905 sections
 * 8 and 10: the minimum-delay sample of a window is the best one; its offset is wrong by at most
 * half its delay). Pure. Kept small: one per idle peer.
 */
struct clock_estimate {
    tick offset;      /* peer's clock - server's clock, by the best sample */
    tick rtt;         /* of that sample, without the peer's own turn-around; TICK_NEVER: none yet */
    tick at;          /* when that sample was taken, server's clock */
    tick jitter;      /* smoothed difference of the other round trips from the best one */
    uint32_t samples; /* how many were taken in; back to one when the peer's clock has jumped */
};

/* How fast the bound grows with a sample's age: two undisciplined crystals together. */
#define CLOCK_DRIFT_PPM 100

void clock_estimate_init(struct clock_estimate *c);
/*
 * One SYNC exchange: sent and returned on the server's clock, received and answered on the peer's.
 * A sample that is impossible (returned before sent, answered before received, longer than 10 s, a
 * clock that reads negative) is refused: returns false.
 */
bool clock_estimate_add(struct clock_estimate *c, tick sent, tick peer_received, tick peer_answered,
                        tick returned);
bool clock_estimate_known(const struct clock_estimate *c);
/* How far `offset` may be from the truth at `now`; TICK_NEVER without a sample. */
tick clock_estimate_bound(const struct clock_estimate *c, tick now);
/* The part of that bound which only the sample's age is to blame for. */
tick clock_estimate_ageing(const struct clock_estimate *c, tick now);
/* One-way delay to the peer, taken as half the round trip; 0 without a sample. */
tick clock_estimate_delay(const struct clock_estimate *c);
/* Whether a session should ask for more samples first: fewer than two, too old, or too far off. */
bool clock_estimate_stale(const struct clock_estimate *c, tick now);

#endif
