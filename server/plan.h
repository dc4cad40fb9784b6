/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PLAN_H
#define TRYST_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "predict.h"
#include "proto/msg.h"
#include "proto/reason.h"

/*
 * Two predictions to the few SYNs most likely to meet (DESIGN section 8). Pure. One call plans one
 * address family; a session that has both families calls twice and lets them race.
 */

/* SYNs that a side may send in a round by birthday unless both sides consent to more. */
#define PLAN_SYNS 64

struct plan_side {
    struct prediction prediction;
    enum nat_filtering filtering;
    enum nat_refusal refusal;
    uint16_t socket;           /* number of the first punch socket of this round */
    uint16_t budget;           /* SYNs a round that this side and the server allow */
    uint16_t held;             /* ports of its NAT that the peer has in use already */
    bool birthday;             /* consents to birthday with all of that, beyond PLAN_SYNS */
    bool no_simultaneous_open; /* its NAT drops a SYN that answers a SYN from within */
};

#define PLAN_VOLLEYS_MAX 8

struct plan {
    struct {
        struct volley volleys[PLAN_VOLLEYS_MAX]; /* offsets relative to this side's own start */
        uint8_t volley_count;
        uint16_t sockets; /* punch sockets used: socket .. socket + sockets - 1 */
        uint16_t syns;
        /*
         * Whether a refused SYN is worth repeating from its port: its mapping outlives the refusal,
         * and it was aimed at one port rather than being one of many that are bound to miss.
         */
        bool retry;
    } side[2];
    double chance;      /* that at least one pair meets, 0..1 */
    enum reason reason; /* REASON_OK, or why no plan is worth trying */
};

/*
 * round counts from 1; later rounds vary what the first one did.
 *
 * Both sides behind one public address: the public endpoints are tried all the same (hairpin),
 * beside the host candidates.
 */
struct plan plan_make(const struct plan_side side[2], unsigned round);

#endif
