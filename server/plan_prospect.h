/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PLAN_PROSPECT_H
#define TRYST_PLAN_PROSPECT_H

#include "plan.h"
#include "predict_profile.h"
#include "proto/msg.h"

/*
 * What a session would come to, before anybody sends anything: the predictions and the plan of its
 * first round, made from the profiles alone, as if sockets had been bound and anchors observed.
 * Pure.
 */

/* One side of such a session, in one family. */
struct plan_party {
    const struct profile *profile;
    uint64_t peer;          /* whose view of the profile it is; 0: nobody's in particular */
    struct nat_summary nat; /* as it holds for this peer */
    uint16_t block_low, block_high, sure_low, sure_high; /* its own block; 0: not known */
    struct endpoint address;                             /* public; the port is not used */
    struct endpoint local;                               /* its own; the port is not used */
    uint16_t budget;                                     /* SYNs a round */
    uint16_t most;                                       /* of them, with consent to birthday */
    bool birthday;
};

/* Where time stands: now, and how old an anchor is when the SYNs leave. */
struct plan_moment {
    tick now, anchor_age;
};

/*
 * Two given sides, each in `families` families, the same for both; in each, sides[family][side].
 * `kind` of what is returned is PEER_KIND_ONE, and its NAT that of side 1. `count` may be 0.
 */
struct prospect plan_prospect(const struct plan_party (*sides)[2], size_t count,
                              const struct plan_moment *when);

/*
 * One side, in `count` families, against every kind of peer; the other side is taken to agree to
 * as much as this one. Kinds of IPv6 are left out where this side has none.
 */
void plan_prospects(const struct plan_party *own, size_t count, const struct plan_moment *when,
                    struct prospects *out);

/* Why a plan is hopeless, when either NAT changes its address from one connection to the next. */
enum reason plan_pooled(enum reason reason, const struct nat_summary *a,
                        const struct nat_summary *b);

#endif
