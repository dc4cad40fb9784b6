/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PREDICT_H
#define TRYST_PREDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "predict_profile.h"

/*
 * Profile and anchors to a distribution over the public ports of the next mappings. Pure.
 */

struct predict_input {
    const struct profile *profile;
    struct endpoint public_address;    /* of the peer, as the server saw it; the port is not used */
    struct endpoint local;             /* the punch socket's own endpoint; none if not known */
    const struct observation *anchors; /* made from the session's sockets just now; may be none */
    size_t anchor_count;
    uint64_t peer;                  /* whose view of the profile it is */
    uint16_t socket;                /* the first punch socket of this round */
    uint16_t block_low, block_high; /* the peer's own block; 0: not known */
    uint16_t sure_low, sure_high;   /* what was seen of it: these ports are in it for sure */
    unsigned addresses_seen;        /* public addresses that the peer's connections came from ... */
    unsigned address_draws;         /* ... of so many connections; 0: not counted */
    tick at; /* when the new mappings will be made: the side's start, server's clock */
};

/*
 * The k-th new mapping (k = 1, 2, ...) towards a new peer gets
 *   FIXED          `port`, for every SYN from the one punch socket;
 *   COUNTER        port + delta * (k + F), wrapped in low .. high;
 *   BLOCK, RANDOM  any port of low .. high alike;
 *   SHARED         where delta is not 0, as COUNTER, else as BLOCK; but it is each new *socket*
 * that makes one mapping, for all of its SYNs to the peer's address. NONE: nothing is known about
 * this peer in this family.
 *
 * F, what other subscribers take meanwhile, is Poisson with a mean that is itself only estimated:
 * negative binomial with mean `foreign` and shape `foreign_shape` (the count it rests on); Poisson
 * where foreign_shape is 0.
 *
 * Of a block the bounds are estimates; sure_low .. sure_high (0: not known) lie inside for sure.
 *
 * `confidence` (0..1) is the probability that the shape itself is right.
 */
struct prediction {
    enum nat_shape shape;
    struct endpoint address; /* port 0 */
    uint16_t port;
    int32_t delta;
    double foreign;
    double foreign_shape;
    double foreign_rate; /* the same, per second */
    uint16_t low, high;
    uint16_t sure_low, sure_high;
    double addresses; /* that new mappings are scattered over, `address` one of them; 0: just it */
    double confidence;
    /* FIXED, but only for the first SYN of the socket: each destination gets a mapping of its own,
     * and the port is then taken. */
    bool once;
    /* FIXED, and it lets everybody in, but SYNs from the same socket leave from other ports. */
    bool open;
};

struct prediction predict(const struct predict_input *in);

/* The probability that the k-th new mapping gets this port, given that the shape is right. */
double prediction_weight(const struct prediction *p, unsigned k, uint16_t port);

/* The probability that F is f. */
double prediction_foreign_weight(const struct prediction *p, unsigned f);

/*
 * A port that is next, or to be preserved, belongs to somebody else already (literature: 1%; in
 * part the survey has seen that, and the confidence is the lower for it).
 */
#define PREDICT_TAKEN 0.007

/*
 * port + delta * steps, wrapped in low .. high: the arithmetic of counters (also the NAT models' in
 * tests).
 */
uint16_t counter_step(uint16_t port, int32_t delta, int64_t steps, uint16_t low, uint16_t high);

/*
 * Whether a prediction for this profile needs an anchor (an observation from the session's own
 * sockets right before the punch), and from how many sockets. 0: the local port alone tells the
 * public one, or no anchor would help.
 */
unsigned predict_anchors_needed(const struct profile *profile, const struct endpoint *local,
                                const struct endpoint *public_address);

/* Whether any socket's mapping, once seen, is sure enough to be that of its next connections. */
bool predict_steady(const struct nat_summary *nat);

#endif
