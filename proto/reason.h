/* SPDX-License-Identifier: ISC */
#ifndef TRYST_REASON_H
#define TRYST_REASON_H

/* Why a session, a registration or a call ended as it did; the same numbers everywhere. */
enum reason {
#define REASON(number, NAME, name, status, text, advice) REASON_##NAME = (number),
#include "reason.def"
#undef REASON
};

/* Short stable word for scripts ("both-random"); "unknown" for a number from a newer version. */
const char *reason_name(unsigned reason);
/* One clause saying what happened, without a final dot. */
const char *reason_text(unsigned reason);
/* One clause saying what a person can do about it; may be empty. */
const char *reason_advice(unsigned reason);
/* Exit status of the tryst command for it: 0 to 4. */
int reason_exit_status(unsigned reason);
/* The number of a name, or -1. */
int reason_from_name(const char *name);

#endif
