/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PUNCH_H
#define TRYST_PUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "client-stub/deadline.h"
#include "client-stub/dial.h"
#include "proto/msg.h"

struct tryst_request;

#define PUNCH_RETRIES_PER_SYN 8 /* of the budget, all targets together */
#define PUNCH_HOLD_MOST       (30 * TICK_S)
#define PUNCH_START_MOST      (600 * TICK_S) /* from now; no session lasts that long */

/* Dials of earlier rounds that are held beside the newest one's; beyond, the oldest make room. */
#define PUNCH_HELD_MOST 256

/* One PUNCH: its SYNs, from their making to the end of the session. Several may be open at once: a
 * round is held when the next one comes, and can still be won. */
struct round {
    struct tryst_request *request;
    struct round *older;
    uint8_t number;
    bool begun;   /* the first SYN has left */
    bool expired; /* the time to dial is over; only proofs are waited for */
    bool lost;    /* and reported */
    bool held;    /* a newer round has come */
    tick start;
    tick hold_until;
    tick retry_most;      /* longest pause before a refused SYN is tried again; 0: never */
    struct deadline next; /* the next SYN, then the end */
    struct dial *dials;   /* in order of their moments */
    unsigned count;
    unsigned made;  /* have their socket */
    unsigned fired; /* have had their connect() */
    unsigned retries_left;
    uint16_t syns;
    uint16_t refusals;
    unsigned opened;
    unsigned proving;   /* connections with their proof under way */
    unsigned unsent;    /* dials that this machine would not make */
    unsigned strangers; /* proofs that failed */
    unsigned silent;    /* proofs that ran out of time */
    int32_t late_us;
    int local_error; /* errno of the last unsent dial */
};

/* Lays out the dials of a plan; NULL without memory. */
struct round *round_new(struct tryst_request *req, const struct msg_punch *m);
/* Listens, makes the sockets, and waits for the moment. The round must be the request's newest by
 * now. */
void round_start(struct round *round);
/* Closes its sockets and releases it. */
void round_close(struct round *round);
/* A newer round is about to come: reports how this one stands, sends nothing more, and keeps what
 * is under way. */
void round_hold(struct round *round);
/* Closes the oldest of the earlier rounds, so that not too many sockets are open beside `coming`.
 */
void round_make_room(struct round *coming);
struct round *round_older(const struct round *round);
struct round *round_by_number(struct tryst_request *req, uint8_t number);
/* The newest round that dials from this socket, or else the newest. */
struct round *round_by_socket(struct tryst_request *req, int family, uint16_t number);
/* Whether it, or an earlier one, may still be won without another word from the server. */
bool round_running(const struct round *round);
/* What this machine had against its SYNs, if they all failed for that; else "". */
const char *round_local_error(const struct round *round);
int32_t round_late_us(const struct round *round);
/* All that RESULT says about it but session and reason. */
void round_result(const struct round *round, struct msg_result *out);

/* From its dials: reports the round lost if it is. */
void round_check(struct round *round);

/* From its proofs: one has begun; one has ended; one has failed, by silence or otherwise. */
void round_proof_begun(struct tryst_request *req, uint8_t number);
void round_proof_over(struct tryst_request *req, uint8_t number);
void round_proof_failed(struct tryst_request *req, uint8_t number, bool silent);

#endif
