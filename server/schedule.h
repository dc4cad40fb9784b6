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
    enum nat_refusal refusal;  /* to an unsolicited SYN; UNKNOWN counts as RST */
    bool no_simultaneous_open; /* its NAT drops a SYN that answers a SYN from within */
};

struct schedule {
    tick punch;           /* the punch time, server's clock */
    tick start[2];        /* for each side, in its own clock */
    tick start_server[2]; /* the same moments on the server's clock, for the record */
    tick hold;            /* how long the sockets of a round are held after the start */
    tick again;           /* how long after the start the next round may be prepared */
    tick retry[2];        /* after a refusal: a random pause of at most this; 0: no retry */
};

/*
 * `margin` is added to the slower side's delay, on top of the measured jitter.
 *
 * `hold` covers the kernel's SYN retransmissions (Linux: after 1, 2, 3 and 4 s) of whichever side
 * starts later. `again` is when a round that meets with its first SYNs has been proven and
 * reported, the tries after refusals included: then the next round may begin, with the sockets of
 * this one still held. Both are for SYNs that leave at the start; what a plan sends later comes on
 * top.
 *
 * A peer whose NAT refuses simultaneous open must start second: its SYN then finds the hole that
 * the other's has made, the other's stack answers with a SYN-ACK, and that does pass. Where this
 * NAT is also the only one that answers strays, its peer must start first all the same, since a
 * refusal would end the round; but by less than the way across, so that the SYNs cross.
 *
 * `retry[i]` is 0 unless the *other* side's NAT refuses by RST, or may: silence refuses nothing,
 * and after an ICMP refusal the tuple can be stuck in a NAT, so that only fresh ports help.
 */
struct schedule schedule_make(const struct schedule_side side[2], tick now, tick margin);

#endif
