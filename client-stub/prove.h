/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PROVE_H
#define TRYST_PROVE_H

#include <stdint.h>

#include "client-stub/ports.h"

struct proof;
struct round;
struct tryst_report;
struct tryst_request;

#define PROVE_PROLOGUE "tryst/1 peer" /* and the session's 16 bytes */
#define PROVE_PLAIN    0x01           /* flag: can do without the record layer */
#define PROVE_SELECT   1

/* A connection of a round has opened: proves the peer on it, on both sides. Owns fd from here on.
 */
void prove_connected(struct round *round, int fd);
/* A listening punch socket has taken one. */
void prove_accepted(struct ports *ports, const struct port *port, int fd);
/* Gives up on it and releases it. */
void prove_close(struct proof *proof);
/*
 * The connection that was selected: reports RESULT, notes all about it in the report, and hands out
 * its descriptor. Releases the proof.
 */
int prove_take(struct proof *proof, struct tryst_report *report);

#endif
