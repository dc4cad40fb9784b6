/* SPDX-License-Identifier: ISC */
#ifndef TRYST_SURVEY_H
#define TRYST_SURVEY_H

#include "predict_profile.h"
#include "proto/msg.h"
#include "proto/rng.h"

/*
 * Which observations to ask a peer for. Pure; the order of local ports is drawn from rng.
 */

#define SURVEY_ADDRESSES_MAX 4
#define SURVEY_PORTS_MAX     8

/* The server's own places to observe at, for one family. */
struct survey_servers {
    uint8_t family;
    uint8_t address_count;
    /* Port not used; all zero address: the one the control channel goes to. */
    struct endpoint addresses[SURVEY_ADDRESSES_MAX];
    uint8_t port_count;
    uint16_t ports[SURVEY_PORTS_MAX];
    bool connects_back; /* the filter is to be tested: a throw-away mapping is wanted */
};

/*
 * Numbers of a session's sockets, per family. Round r (from 1) has numbers of its own, so that
 * later rounds leave from fresh local ports: punch sockets from survey_round_socket(r) on, at most
 * SURVEY_PUNCH_SOCKETS of them, and behind them those that only serve as anchors. The sockets that
 * CONNECT and ACCEPT name in their `locals` are number 0, the first of round 1.
 */
#define SURVEY_ROUND_SOCKETS 1024
#define SURVEY_PUNCH_SOCKETS 768
#define SURVEY_ROUNDS_MAX    63 /* below SOCKET_CONTROL */

static inline uint16_t survey_round_socket(unsigned round)
{
    return (uint16_t)((round - 1) % SURVEY_ROUNDS_MAX * SURVEY_ROUND_SOCKETS);
}

/*
 * The steps that classify a NAT, or what is missing of it: none where the profile is known and
 * fresh, five where it has only grown old, nine (in two round trips) where nothing is known. A
 * throw-away mapping for the filter's test is one of these, or the only one.
 * `profile` may be NULL. Appends to *out; families of a dual-stack peer are surveyed into the same
 * list, the first step of the second one flagged STEP_BURST, so that it does not wait.
 */
void survey_plan(const struct profile *profile, const struct survey_servers *servers, tick now,
                 const struct rng *rng, struct steps *out);

/*
 * Simultaneous open: one socket is observed, and then dials `port` of the same address, where the
 * server sends a SYN from meanwhile.
 */
void survey_cross(const struct survey_servers *servers, uint16_t port, const struct rng *rng,
                  struct steps *out);

/*
 * The anchors of one round, whose first punch socket is `socket`: `count` observations, kept open.
 * Where the mapping that they show is the one to be met at (profile_serves_all()) they come from
 * the punch socket itself, where each connection gets a mapping of its own from fresh sockets
 * behind the punch sockets, in one burst. Appends to *out.
 */
void survey_anchors(const struct profile *profile, const struct survey_servers *servers,
                    uint16_t socket, unsigned count, const struct rng *rng, struct steps *out);

#endif
