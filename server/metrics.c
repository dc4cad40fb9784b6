/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "metrics.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum kind { COUNTER, GAUGE, HISTOGRAM };

static const struct {
    enum kind kind;
    const char *name, *help;
} specs[METRICS] = {
#define METRIC(symbol, KIND, name, labels, help) {KIND, name, help},
#include "metric.def"
#undef METRIC
};

struct text {
    char *at;
    size_t size, len;
    bool full;
};

/* ---- pieces ---- */

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at + t->len, t->size - t->len, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= t->size - t->len)
        t->full = true;
    else
        t->len += (size_t)n;
}

static void put_bytes(struct text *t, const char *bytes, size_t len)
{
    if (len >= t->size - t->len) {
        t->full = true;
        return;
    }
    memcpy(t->at + t->len, bytes, len);
    t->len += len;
    t->at[t->len] = '\0';
}

static void put_text(struct text *t, const char *s)
{
    put_bytes(t, s, strlen(s));
}

/* Of a label's value the format wants three characters escaped. */
static void put_escaped(struct text *t, const char *value)
{
    for (size_t plain; *value; value += plain) {
        plain = strcspn(value, "\\\"\n");
        put_bytes(t, value, plain);
        if (!value[plain])
            break;
        put_text(t, value[plain] == '\n' ? "\\n" : value[plain] == '"' ? "\\\"" : "\\\\");
        plain++;
    }
}

static void put_label(struct text *t, const char *before, const char *name, const char *value)
{
    put_text(t, before);
    put_text(t, name);
    put_text(t, "=\"");
    put_escaped(t, value);
    put_text(t, "\"");
}

static void put_value(struct text *t, double value)
{
    bool whole = value == floor(value) && fabs(value) < 1e15;
    put(t, whole ? " %.0f\n" : " %.6f\n", value);
}

static void put_count(struct text *t, uint64_t count)
{
    char digits[24], *at = digits + sizeof(digits);
    *--at = '\n';
    do {
        *--at = (char)('0' + count % 10);
        count /= 10;
    } while (count);
    *--at = ' ';
    put_bytes(t, at, (size_t)(digits + sizeof(digits) - at));
}

/* ---- metrics that have labels ---- */

static const char *outcome_name(bool connected)
{
    return connected ? "connected" : "failed";
}

static const uint8_t reasons[] = {
#define REASON(number, NAME, name, status, what, advice) number,
#include "proto/reason.def"
#undef REASON
};
#define REASONS (sizeof(reasons) / sizeof(reasons[0]))

static void put_sessions(struct text *t, const char *name, const struct session_tally *s)
{
    for (size_t i = 0; i < REASONS; i++) {
        put_text(t, name);
        put_label(t, "{", "outcome", outcome_name(reasons[i] == REASON_OK));
        put_label(t, ",", "reason", reason_name(reasons[i]));
        put_text(t, "}");
        put_count(t, s->ended[reasons[i]]);
    }
}

static void put_refused(struct text *t, const char *name, const struct session_tally *s)
{
    for (size_t i = 0; i < REASONS; i++) {
        if (reasons[i] == REASON_OK)
            continue;
        put_text(t, name);
        put_label(t, "{", "reason", reason_name(reasons[i]));
        put_text(t, "}");
        put_count(t, s->refused[reasons[i]]);
    }
}

static void put_by_outcome(struct text *t, const char *name, const char *label, const char *value,
                           const uint64_t counts[2])
{
    for (unsigned connected = 0; connected < 2; connected++) {
        put_text(t, name);
        put_label(t, "{", label, value);
        put_label(t, ",", "outcome", outcome_name(connected));
        put_text(t, "}");
        put_count(t, counts[connected]);
    }
}

static void put_pairs(struct text *t, const char *name, const struct session_tally *s)
{
    for (unsigned pair = 0; pair < NAT_PAIRS; pair++) {
        enum nat_class a, b;
        char value[32];
        nat_pair_classes(pair, &a, &b);
        snprintf(value, sizeof(value), "%s/%s", nat_class_name(a), nat_class_name(b));
        put_by_outcome(t, name, "pair", value, s->pairs[pair]);
    }
}

static void put_families(struct text *t, const char *name, const struct session_tally *s)
{
    static const char *const names[SESSION_TALLY_FAMILIES] = {"none", "ipv4", "ipv6", "both"};
    for (unsigned i = 0; i < SESSION_TALLY_FAMILIES; i++)
        put_by_outcome(t, name, "family", names[i], s->families[i]);
}

static void put_closed(struct text *t, const char *name, const uint64_t counts[METRICS_CLOSINGS])
{
    static const char *const names[METRICS_CLOSINGS] = {
        "peer", "server", "timeout", "error", "malformed", "forged", "slow", "limit", "banned",
    };
    for (unsigned i = 0; i < METRICS_CLOSINGS; i++) {
        put_text(t, name);
        put_label(t, "{", "why", names[i]);
        put_text(t, "}");
        put_count(t, counts[i]);
    }
}

static void put_reloads(struct text *t, const char *name, const uint64_t counts[2])
{
    for (unsigned refused = 0; refused < 2; refused++) {
        put_text(t, name);
        put_label(t, "{", "result", refused ? "refused" : "applied");
        put_text(t, "}");
        put_count(t, counts[refused]);
    }
}

static void put_limits(struct text *t, const char *name, const struct limits *l)
{
    for (unsigned i = 0; i < LIMIT_COUNT; i++) {
        put_text(t, name);
        put_label(t, "{", "limit", limit_specs[i].name);
        put_text(t, "}");
        put_count(t, l->of[i].hits);
    }
}

static void put_build(struct text *t, const char *name, const char *version)
{
    put_text(t, name);
    put_label(t, "{", "version", version);
    put_text(t, "}");
    put_count(t, 1);
}

/* ---- histograms ---- */

static void put_histogram(struct text *t, const char *name, const struct histogram *h)
{
    uint64_t below = 0;
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        below += h->counts[i];
        put(t, "%s_bucket{le=\"%g\"}", name, tick_seconds(histogram_bound(i)));
        put_count(t, below);
    }
    put(t, "%s_bucket{le=\"+Inf\"}", name);
    put_count(t, histogram_total(h));
    put(t, "%s_sum %.9f\n", name, (double)h->sum / (double)TICK_S);
    put(t, "%s_count", name);
    put_count(t, histogram_total(h));
}

/* ---- the text ---- */

static void put_metric(struct text *t, const struct metrics *m, enum metric which)
{
    const char *name = specs[which].name;
    switch (which) {
    case METRIC_BUILD_INFO:
        put_build(t, name, m->version);
        break;
    case METRIC_RELOADS:
        put_reloads(t, name, m->reloads);
        break;
    case METRIC_SESSIONS:
        put_sessions(t, name, &m->sessions);
        break;
    case METRIC_REQUESTS_REFUSED:
        put_refused(t, name, &m->sessions);
        break;
    case METRIC_SESSION_PAIRS:
        put_pairs(t, name, &m->sessions);
        break;
    case METRIC_SESSION_FAMILIES:
        put_families(t, name, &m->sessions);
        break;
    case METRIC_CONNECT:
        put_histogram(t, name, &m->sessions.connect);
        break;
    case METRIC_SKEW:
        put_histogram(t, name, &m->sessions.skew);
        break;
    case METRIC_CONNECTIONS_CLOSED:
        put_closed(t, name, m->closed);
        break;
    case METRIC_LIMIT_HITS:
        put_limits(t, name, &m->limits);
        break;
    case METRIC_HANDSHAKE:
        put_histogram(t, name, &m->handshake);
        break;
    case METRIC_STORE_COMMIT:
        put_histogram(t, name, &m->commit);
        break;
    case METRIC_LOOP_BUSY:
        put_histogram(t, name, &m->busy);
        break;
    default:
        put_text(t, name);
        put_value(t, m->value[which]);
        break;
    }
}

size_t metrics_text(const struct metrics *m, char *out, size_t size)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    struct text t = {.at = out, .size = size};
    for (unsigned i = 0; i < METRICS && !t.full; i++) {
        put(&t, "# HELP %s %s\n", specs[i].name, specs[i].help);
        put(&t, "# TYPE %s %s\n", specs[i].name, kinds[specs[i].kind]);
        put_metric(&t, m, (enum metric)i);
    }
    return t.full ? 0 : t.len;
}
