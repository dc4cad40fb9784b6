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
    uint64_t peer;            /* tells peers apart; not of their own choosing */
    uint16_t socket;          /* the peer's socket number; comparable within one batch only */
    uint8_t step;             /* the order in which the batch's connections were opened */
    bool burst;               /* left back to back with the step before it */
};

/*
 * What one peer's observations say by themselves. Peers behind one address may sit behind further
 * NATs of their own, have counters and blocks of their own - or lie: the profile is what most
 * voices agree on, each counted once.
 */
struct voice {
    tick last_at;        /* its newest mapping: when ... */
    uint32_t peer;       /* a hash; 0: nobody's */
    int32_t delta;       /* of a block: how many ports it is thought to have */
    float drift_seconds; /* forgotten sums: seconds watched ... */
    uint16_t drift_sum;  /* ... and foreign allocations seen, in 64ths */
    uint16_t last_port;  /* ... and which port */
    uint8_t agree;       /* evidence for and against, in eighths of a mapping */
    uint8_t against;
    uint8_t missed_with; /* a hash of who it missed last; 0: nobody */
    uint8_t misses : 3;  /* rounds since its last hit that did not meet */
    uint8_t tracks : 2;  /* counters that its mappings come from in turn */
    uint8_t mapping : 3;
    uint8_t allocation : 3;
    bool one_address : 1; /* seen by one server address only */
    bool moved : 1;       /* by its own punching since: what was seen next is not drift */
    bool turned : 1;      /* a miss since: the other of EIM and ADM is to be tried */
};

/*
 * So many are kept: the least that outvote a liar. Of more peers the ones that were heard last
 * stand for all.
 */
#define PROFILE_VOICES 3

struct profile {
    struct nat_summary nat;
    bool one_address : 1; /* only ever seen by one server address: EIM and ADM look alike there */
    bool second_hand : 1; /* only for whom others' word is not enough (profile_view()) */
    uint8_t turns; /* times a counter was seen behind where it had been: does it turn there? */
    uint8_t looks; /* batches that `low` and `high` stand for */
    uint8_t crossings_refused; /* measurements in a row that found simultaneous open refused */
    tick learnt;               /* the last observation; TICK_NEVER: nothing is known yet */
    tick refusal_learnt;       /* when `nat.refusal` was measured; TICK_NEVER: never */
    tick last_at;              /* the newest mapping of a counter: when ... */
    uint16_t last_port;        /* ... and which port; 0: not known */
    uint16_t low, high;        /* the range that ports were seen in; 0: none yet */
    uint16_t block_size;       /* how many ports a block has, whosever; 0: not known */
    double weight;             /* mappings behind allocation and delta */
    double drift_sum;          /* forgotten sums: foreign allocations seen, and seconds watched */
    double drift_seconds;
    float trust;        /* 0..1: `nat.confidence`, finer; 0: not worked out */
    uint32_t missed_at; /* the last miss, in seconds */
    uint32_t hits;      /* rounds that met as predicted */
    uint32_t misses;    /* rounds since the last hit that did not */
    struct voice voices[PROFILE_VOICES];

    /*
     * What tests said (predict_evidence.c): when, and which peer alone it holds for; 0: for all. A
     * peer is known by the number that its observations have.
     */
    tick filtering_learnt, pooling_learnt, simultaneous_learnt; /* TICK_NEVER: never */
    uint64_t filtering_peer, pooling_peer, simultaneous_peer;
};

/*
 * Whether a mapping that the server has seen serves every other peer too: because it is the same
 * for all destinations (EIM, or no NAT), or because it lets in whoever sends to it (EIF), however
 * the next destination would be mapped.
 */
bool profile_serves_all(const struct nat_summary *nat);

/* How long a profile is taken as it is, without another survey. */
#define PROFILE_FRESH (30 * 60 * TICK_S)

/* Where NATs take ports from unless they were seen elsewhere (RFC 6335: above the well-known ones).
 */
#define PROFILE_PORT_LOW  1024
#define PROFILE_PORT_HIGH 65535

void profile_init(struct profile *p);

/*
 * Learns from the observations of one survey (or one round's anchors) of one peer, all with the
 * profile's public address, in any order. What contradicts this peer's earlier evidence replaces
 * it, what agrees raises the confidence; too little of either changes nothing but the newest
 * mapping and the drift. `nat` then says what most voices agree on, the newer ones where they are
 * split: one peer, whatever it pretends, changes its own view and not the one of others.
 *
 * Seen from one server address alone, EIM and ADM look alike. The profile then says EIM, by far the
 * more frequent (literature: 2% of home NATs are not), and a missed round turns it to the other.
 */
void profile_learn(struct profile *p, const struct observation *obs, size_t count, tick now);

/*
 * The profile as it holds for one peer: by its own evidence where there is some, else by what the
 * others agree on. `second_hand` where that is a single voice, or split: then a survey of its own
 * is asked for. nat.block_low and block_high are 0 where the block is not known to be this peer's.
 */
struct profile profile_view(const struct profile *p, uint64_t peer, tick now);

/* The probability that the next mapping will be as the profile says. */
double profile_trust(const struct profile *p);

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

/* ---- outcomes ---- */

/* How a round went, for one side of it. */
struct outcome {
    uint64_t peer, other; /* whose NAT this is about, and whom it tried to meet */
    bool met;             /* as both sides say */
    uint16_t port;        /* of the peer's public port, as both sides say; 0: not known */
    double chance;        /* that was stated: a round that was bound to fail proves nothing */
};

/*
 * A round that met is evidence for the profile, a miss against it, in proportion to the chance;
 * several in a row make it stale, for this peer. Missing the same other peer again counts an
 * eighth, and all of one peer's misses together no more than one mapping gone astray for the
 * others: nobody can talk a profile down by letting rounds fail.
 */
void profile_learn_outcome(struct profile *p, const struct outcome *outcome, tick now);

/* Whether a session may rely on it without a new survey. */
bool profile_fresh(const struct profile *p, tick now);
bool profile_refusal_known(const struct profile *p, tick now);

#endif
