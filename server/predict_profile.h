/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PREDICT_PROFILE_H
#define TRYST_PREDICT_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/endpoint.h"
#include "proto/nat.h"
#include "proto/tick.h"

/*
 * What is known about the NAT behind one public address, and how observations change it. Pure: no
 * I/O, no clock, no randomness; `now` is on the server's monotonic clock.
 */

/* One observation connection as the server saw it. */
struct observation {
    /*
     * When the peer sent its SYN, on the server's clock: the accept less one and a half round trips
     * (TCP_INFO has the round trip of the handshake). Taken as the accept itself, a counter under
     * foreign traffic would be predicted late by that much.
     */
    tick at;
    struct endpoint observed; /* the peer's public endpoint */
    struct endpoint local;    /* what the peer says its own endpoint is */
    struct endpoint server;   /* where it arrived */
    uint64_t peer;            /* tells peers apart (a hash of the key) */
    uint16_t socket;          /* the peer's socket number; comparable within one batch only */
    uint8_t step;             /* the order in which the batch's connections were opened */
    bool burst;               /* left back to back with the step before it */
};

struct profile {
    struct nat_summary nat;
    tick learnt;         /* the last observation; TICK_NEVER: nothing is known yet */
    tick refusal_learnt; /* when `nat.refusal` was measured; TICK_NEVER: never */
    tick last_at;        /* the newest mapping of a counter: when ... */
    uint16_t last_port;  /* ... and which port; 0: not known */
    uint16_t low, high;  /* the range that ports were seen in; 0: none yet */
    double weight;       /* forgotten sum: mappings behind delta and drift */
    double drift_sum;    /* forgotten sums: foreign allocations seen, and seconds watched */
    double drift_seconds;
    uint32_t hits;    /* rounds that met as predicted */
    uint32_t misses;  /* rounds since the last hit that did not */
    bool one_address; /* only ever seen by one server address: EIM and ADM look alike there */

    /*
     * What tests said (predict_evidence.c): when, and which peer alone it holds for; 0: for all. A
     * peer is known by the number that its observations have.
     */
    tick filtering_learnt, pooling_learnt, simultaneous_learnt; /* TICK_NEVER: never */
    uint64_t filtering_peer, pooling_peer, simultaneous_peer;
    uint8_t crossings_refused; /* measurements in a row that found simultaneous open refused */
};

/* How long a profile is taken as it is, without another survey. */
#define PROFILE_FRESH (30 * 60 * TICK_S)

/* Where NATs take ports from unless they were seen elsewhere (RFC 6335: above the well-known ones).
 */
#define PROFILE_PORT_LOW  1024
#define PROFILE_PORT_HIGH 65535

void profile_init(struct profile *p);

/*
 * Learns from the observations of one survey (or one round's anchors) of one peer, all with the
 * profile's public address, in any order. Contradicting evidence replaces what was believed;
 * agreeing evidence raises the confidence; too little evidence of either kind changes nothing but
 * the newest mapping and the drift.
 *
 * Seen from one server address alone, EIM and ADM look alike. The profile then says EIM, by far the
 * more frequent (literature: 2% of home NATs are not), and a missed round turns it to the other.
 */
void profile_learn(struct profile *p, const struct observation *obs, size_t count, tick now);

/* What a SYN to a port nobody mapped got. */
void profile_learn_refusal(struct profile *p, enum nat_refusal refusal, tick now);

/* ---- predict_evidence.c: what tests say ---- */

/* How long it is believed whether a NAT refuses simultaneous open. */
#define PROFILE_SIMULTANEOUS_FRESH (24 * 60 * 60 * TICK_S)

/* Whom the NAT lets in at a mapped port; it holds for all peers behind it. */
void profile_learn_filtering(struct profile *p, enum nat_filtering f, tick now);

/*
 * The same by a test of one peer's. A strict verdict (APDF) is for all: to count with it costs
 * chances, never a connection. A lenient one is only for the peer that was let in, who may have
 * forwarded ports or be the one exposed host of a shared NAT, until another peer's test agrees (on
 * the stricter of the two). A contradicting result replaces the older one.
 */
void profile_learn_filtering_of(struct profile *p, uint64_t peer, enum nat_filtering f, tick now);

/* A round that counted on the lenient filter did not meet: forgets it until the next test.
 * False: there was nothing to forget. */
bool profile_doubt_filtering(struct profile *p, tick now);

/* Whether the filter has been tested lately; and so that the verdict is one for this peer. */
bool profile_filtering_known(const struct profile *p, tick now);
bool profile_filtering_known_of(const struct profile *p, uint64_t peer, tick now);

/*
 * Whether one subscriber keeps one public address. That it does not, seen by one peer, is for that
 * peer until another agrees, and yields to another's contrary evidence or to the peer's own when it
 * has grown old. The plain function sets it for all.
 */
void profile_learn_pooling(struct profile *p, enum nat_pooling pooling, tick now);
void profile_learn_pooling_of(struct profile *p, uint64_t peer, enum nat_pooling pooling, tick now);

/* A bit of `nat.features`, for all peers. */
void profile_learn_feature(struct profile *p, unsigned feature, bool present, tick now);

/*
 * One measurement with one peer: did its NAT drop a SYN that crossed its own? "Refused" is believed
 * after two in a row, and for that peer until another agrees; that it did not, at once.
 */
void profile_learn_crossing(struct profile *p, uint64_t peer, bool refused, tick now);
bool profile_simultaneous_known(const struct profile *p, tick now);
bool profile_simultaneous_known_of(const struct profile *p, uint64_t peer, tick now);

/* What is known, less what holds for other peers alone: a plan may count on all of it. */
struct nat_summary profile_summary_of(const struct profile *p, uint64_t peer);

/*
 * The outcome of a round: whether it met, on which public port both sides agree that it did (0 if
 * unknown). A miss is evidence against the profile; several in a row make it stale.
 */
void profile_learn_outcome(struct profile *p, bool met, uint16_t port, tick now);

/* Whether a session may rely on it without a new survey. */
bool profile_fresh(const struct profile *p, tick now);
bool profile_refusal_known(const struct profile *p, tick now);

#endif
