/* SPDX-License-Identifier: ISC */
#ifndef TRYST_SCHEDULE_H
#define TRYST_SCHEDULE_H

#include "proto/nat.h"
#include "schedule_clock.h"

/*
 * A plan to a punch time for each side (DESIGN sections 8 and 9). Pure.
 */
struct schedule_side {
    struct clock_estimate clock;
    enum nat_refusal refusal; /* to an unsolicited SYN; UNKNOWN counts as RST */
};

struct schedule {
    tick punch;           /* the punch time, server's clock */
    tick start[2];        /* for each side, in its own clock */
    tick start_server[2]; /* the same moments on the server's clock, for the record */
    tick hold;            /* how long a round lasts after the start */
    tick retry[2];        /* after a refusal: a random pause of at most this; 0: no retry */
};

/*
 * `margin` is added to the slower side's delay, on top of the measured jitter.
 *
 * `hold` covers the kernel's SYN retransmissions (Linux: after 1, 2, 3 and 4 s) of whichever side
 * starts later: what a round deserves that nothing follows. Where another round follows it may
 * start earlier, with the sockets of this one still held.
 *
 * `retry[i]` is 0 unless the *other* side's NAT refuses by RST, or may: silence refuses nothing,
 * and after an ICMP refusal the tuple can be stuck in a NAT, so that only fresh ports help.
 */
struct schedule schedule_make(const struct schedule_side side[2], tick now, tick margin);

#endif
