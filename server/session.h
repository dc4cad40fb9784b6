/* SPDX-License-Identifier: ISC */
#ifndef TRYST_SESSION_H
#define TRYST_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/reason.h"
#include "proto/tick.h"

/*
 * One introduction of two peers, from request to outcome, as a state machine. Pure: it is told what
 * happened and when, and answers with what is to be done. Whom the sides are and how they are
 * reached is not its business.
 *
 *     INVITED ---accepted---> READYING ---both ready---> PREPARING ---both prepared---> PUNCHING
 *        |                       |                           ^                             |
 *        |                       |                           +-------- next round ---------+
 *        +-----------------------+--------------> ENDED <----------------------------------+
 *
 * The next round begins soon, with the sockets of the earlier ones still held: each of them can be
 * won until its own time is over. So no round counts as missed before the session is over.
 */
enum session_state {
    SESSION_INVITED,   /* the target has been asked */
    SESSION_READYING,  /* NAT profiles and clocks are being completed */
    SESSION_PREPARING, /* anchors are being observed */
    SESSION_PUNCHING,  /* a plan is being carried out */
    SESSION_ENDED,
    SESSION_STATE_COUNT
};

enum session_side { SIDE_REQUESTER = 0, SIDE_TARGET = 1 };

enum session_event {
    SESSION_ACCEPT,   /* the target agrees */
    SESSION_REJECT,   /* it does not (`reason`) */
    SESSION_READY,    /* all is known about `side` that a plan needs */
    SESSION_PREPARED, /* the anchors of `side` are there, or will not come */
    SESSION_PLANNED,  /* the plan is on its way; its sockets are held until `until`, and from
                         `again` on the next round may be prepared */
    SESSION_NO_PLAN,  /* there is none worth trying (`reason`) */
    SESSION_RESULT,   /* `side` reports how `round` went (`reason`) */
    SESSION_LOST,     /* `side` has lost its channel */
    SESSION_CANCEL,   /* `side` gives up */
    SESSION_TIME,     /* the deadline has come */
    SESSION_EVENT_COUNT
};

/* What the caller is to do, in this order. */
enum session_effect {
    SESSION_DO_NOTHING = 0,
    SESSION_DO_PREPARE = 1, /* ask both sides for the anchors of round `round`; say PREPARED for a
                               side that needs none */
    SESSION_DO_PUNCH = 2,   /* predict, plan, schedule, send; then say PLANNED or NO_PLAN */
    SESSION_DO_MISSED = 4,  /* none of the rounds met: evidence against the profiles */
    SESSION_DO_END = 8      /* tell both sides `outcome`, record it, forget the session */
};

struct session_limits {
    uint8_t rounds;
    tick invite;  /* for the target's answer */
    tick ready;   /* for surveys, at most */
    tick prepare; /* for anchors, at most */
    tick grace;   /* for the other side's result after the first one */
};

/* Only these are ever changed by session_step(); all zero but for what session_start() sets. */
struct session_machine {
    enum session_state state;
    uint8_t round;   /* the newest that was prepared; counts from 1 */
    uint8_t planned; /* the newest whose plan has gone out */
    bool last;       /* no round follows the planned one */
    bool ready[2], prepared[2], resulted[2];
    enum reason result[2]; /* of the planned round, or that any was won */
    enum reason lost;      /* why the rounds so far met nobody */
    enum reason outcome;
    tick until;    /* how long the planned round is held */
    tick held;     /* how long earlier ones are that a side has not given up */
    tick deadline; /* when to say SESSION_TIME */
    tick expires;  /* the session's own end */
};

struct session_input {
    enum session_event event;
    enum session_side side;
    enum reason reason;
    tick until, again;
    uint8_t round; /* of a RESULT */
};

extern const struct session_limits session_limits_default;

void session_start(struct session_machine *m, const struct session_limits *limits, tick now,
                   tick timeout);
/* Returns effects, or'ed. An event that means nothing in the present state changes nothing. */
unsigned session_step(struct session_machine *m, const struct session_limits *limits,
                      const struct session_input *in, tick now);
/* Ends it from any state, for a reason that lies with neither side: SESSION_DO_END is to follow. */
void session_give_up(struct session_machine *m, enum reason reason);

const char *session_state_name(enum session_state state);

#endif
