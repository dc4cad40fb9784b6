/* SPDX-License-Identifier: ISC */
#ifndef TRYST_SIM_SESSION_H
#define TRYST_SIM_SESSION_H

#include "proto/reason.h"
#include "server/predict_block.h"
#include "server/predict_profile.h"
#include "server/schedule_clock.h"
#include "tests/sim/sim_population.h"
#include "tests/sim/sim_world.h"

/*
 * One introduction from registration to outcome, in the order in which the daemon's dispatch*.c
 * does things: survey and clock, anchors, prediction, plan, punch time, SYNs, later rounds. What
 * decides is the daemon's own objects.
 */

#define SIM_ROUNDS 3
#define SIM_SPAN   (10 * TICK_S) /* from request to the end */

struct sim_limits {
    uint16_t budget; /* SYNs a round and side */
    bool birthday;   /* both sides consent to all of them */
};

struct sim_peer {
    struct profile profile;
    struct clock_estimate clock;
    struct endpoint observed;
    struct port_block block;
    struct endpoint addresses[16]; /* that its observations came from */
    unsigned address_count, address_draws;
    uint16_t punch_base, survey_base; /* where local ports are taken from */
    tick offset;                      /* its clock less the server's */
    tick up, down;                    /* host to server and back */
    unsigned observations;
    unsigned held;  /* ports in use: surveys, anchors, and what rounds have taken */
    unsigned spare; /* of them, those that were so before the session */
};

struct sim_outcome {
    bool met;
    enum reason reason; /* where no plan was made */
    tick took;          /* from request to proven connection */
    unsigned rounds;    /* plans made */
    unsigned met_round; /* from 1 */
    double chance[SIM_ROUNDS];
    unsigned syns[2];
    unsigned observations;
    bool overdrawn; /* more than half of a subscriber's block was in use */
};

struct sim_session {
    struct sim_world *world;
    struct sim_paths paths;
    struct sim_limits limits;
    struct sim_peer peer[2];
    const struct rng *rng;
    tick begun; /* the request */
    tick now;   /* the server's */
};

/* The world's sites and the paths are set. */
void sim_session_run(struct sim_session *s, struct sim_outcome *out);

#endif
