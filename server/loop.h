/* SPDX-License-Identifier: ISC */
#ifndef TRYST_LOOP_H
#define TRYST_LOOP_H

#include <ev.h>

#include "histogram.h"
#include "proto/tick.h"

/*
 * The event loop and its one clock reading per wake-up. Everything that the loop does in one
 * wake-up happens at one `now`, on CLOCK_MONOTONIC: a jump of the wall clock moves nothing.
 */
struct loop {
    struct ev_loop *ev;
    struct ev_check woken;
    struct ev_prepare sleeping;
    tick now;
    /* Time between waking up and going back to sleep: so long may whatever comes meanwhile wait. */
    struct histogram busy;
    tick busy_worst;
};

/* Returns 0, or -1 when libev finds no way to wait. Must not move afterwards. */
int loop_open(struct loop *loop);
void loop_run(struct loop *loop);
void loop_end(struct loop *loop);
void loop_close(struct loop *loop);

/* The clock itself, read now: for moments that are measured rather than decided by. */
tick loop_clock(void);

#endif
