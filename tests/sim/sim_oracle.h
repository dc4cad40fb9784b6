/* SPDX-License-Identifier: ISC */
#ifndef TRYST_SIM_ORACLE_H
#define TRYST_SIM_ORACLE_H

#include "tests/sim/sim_session.h"

/*
 * What a planner could reach that knows both NATs (mapping, delta, the true rate of foreign
 * allocations, block, addresses, filters), though not what chance will bring, with the same budget,
 * rounds and time. Reckoned from the models themselves, for the best of all ways to spread sockets
 * and targets; nothing of the daemon's planner takes part.
 *
 * Call it after the session has been played: blocks are chosen when NATs start.
 */
double sim_oracle_chance(const struct sim_session *s);

/* The best that any run of `length` neighbouring values of a Poisson variate can hold. */
double sim_oracle_run(double mean, double length);

#endif
