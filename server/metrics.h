/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_METRICS_H
#define TRYST_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "histogram.h"
#include "limit.h"
#include "session_tally.h"

/*
 * The daemon's metrics as values, and as text in the Prometheus format 0.0.4. Their number is
 * fixed: no label holds a key, a name or an address. Pure.
 */

enum metric {
#define METRIC(symbol, KIND, name, labels, help) METRIC_##symbol,
#include "metric.def"
#undef METRIC
    METRICS
};

/* Why connections ended, in the order of enum net_closing. */
#define METRICS_CLOSINGS 9

struct metrics {
    const char *version;
    double value[METRICS]; /* of those that have neither labels nor buckets */
    uint64_t closed[METRICS_CLOSINGS];
    uint64_t reloads[2]; /* [1]: refused */
    struct limits limits;
    struct session_tally sessions;
    struct histogram handshake, commit, busy;
};

/* Always enough for the text (a test says so). */
#define METRICS_TEXT_SIZE ((size_t)64 << 10)
#define METRICS_TYPE      "text/plain; version=0.0.4; charset=utf-8"

/* Writes the text, ended by a zero byte. Returns its length, or 0 when it does not fit. */
size_t metrics_text(const struct metrics *m, char *out, size_t size);

#endif
