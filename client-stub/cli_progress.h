/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CLI_PROGRESS_H
#define TRYST_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client-stub/tryst.h"

/*
 * The steps of one session as they happen (-v): a line per step, or one line that lives, where
 * standard error is a terminal and the caller shows one session only. Times are milliseconds since
 * the request.
 */
struct progress {
    const char *who;
    bool steps, live;
    int64_t shown[TRYST_STAGE_COUNT]; /* the time that was printed for a stage, -1: none */
};

void cli_progress_start(struct progress *p, const char *who, bool live);
/* Shows what is new in the report. Returns how many milliseconds later to call again, -1: not
 * before the next event. */
int cli_progress_update(struct progress *p, const struct tryst_report *report);
/* A round met nobody. */
void cli_progress_round_lost(struct progress *p, const struct tryst_report *report);
/* The session is over: the summary, or an end to the live line. */
void cli_progress_end(struct progress *p, const struct tryst_report *report);

/* The words, from plain values; each fills out[size]. */
struct progress_facts {
    const char *who, *local, *remote;
    int family, rounds, syns;
    int64_t took_us, late_us;
    double chance; /* negative: not known */
};
void cli_progress_summary(const struct progress_facts *facts, char *out, size_t size);

#endif
