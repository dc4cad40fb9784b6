/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/*
 * The event log, one line each, written at once so that a test can wait
 * for a line: monotonic time in seconds with microseconds, the event, and
 * name=value pairs.
 */
#ifndef NATBOX_LOG_H
#define NATBOX_LOG_H

#include <stdio.h>

#include "natbox_nat.h"

void natbox_log_event(FILE *log, uint64_t now, const struct natbox_nat_event *e);

/* A packet that a wire lost, or a queue had no room for. */
void natbox_log_lost(FILE *log, uint64_t now, const char *where);

struct natbox_log_totals {
    uint64_t packets_in, packets_out, lost, dropped;
};

/* Totals, then one line per inside host; nat is NULL for a mere wire. */
void natbox_log_statistics(FILE *log, uint64_t now, const struct natbox_log_totals *totals,
                           const struct natbox_nat *nat);

#endif
