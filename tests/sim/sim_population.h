/* SPDX-License-Identifier: ISC */
#ifndef TRYST_SIM_POPULATION_H
#define TRYST_SIM_POPULATION_H

#include "tests/sim/sim_world.h"

/*
 * Who meets whom: kinds of NATs, how often they occur, and what else differs from peer to peer
 * (background traffic, delays, double NAT, ...).
 */

enum sim_kind {
    SIM_PUBLIC,   /* no NAT */
    SIM_HOME,     /* P1: EIM, preserving, APDF, silent */
    SIM_HOME_RST, /* P2: the same, answers RST */
    SIM_HOME_ICMP,
    SIM_OPEN,    /* P4: EIM, any allocation, EIF */
    SIM_RANGE,   /* P5: EIM, random in a range, ADF or APDF */
    SIM_COUNTER, /* P6: APDM, counts */
    SIM_RANDOM,  /* P7: APDM, random */
    SIM_BLOCK,   /* P8: APDM, random in a subscriber's block */
    SIM_POOL,    /* P9: as P7 or P8, on several addresses */
    SIM_KIND_COUNT
};

enum sim_population { SIM_HOME_HEAVY, SIM_MOBILE_HEAVY, SIM_POPULATION_COUNT };

const char *sim_kind_name(enum sim_kind kind);
const char *sim_population_name(enum sim_population p);
/* -1: no such name. */
int sim_kind_from_name(const char *name);
int sim_population_from_name(const char *name);

enum sim_kind sim_population_draw(enum sim_population p, const struct rng *rng);

/* Sets a site's NATs, hops and addresses; `side` gives the addresses. */
void sim_population_place(enum sim_population p, enum sim_kind kind, int side,
                          const struct rng *rng, struct sim_site *site);

/* What lies between the sites and to the server. */
struct sim_paths {
    tick across;        /* outermost NAT to outermost NAT */
    tick server[2];     /* outermost NAT to the server, half a round trip */
    double lopsided[2]; /* the way up takes this share of the round trip more than half of it */
};
struct sim_paths sim_population_paths(const struct rng *rng);

#define SIM_LOSS 0.01

#endif
