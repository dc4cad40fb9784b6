/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <inttypes.h>
#include <stdio.h>

#include "trystctl.h"

/* Totals, and what the sessions that are on record came to. */

static const char *share(int64_t part, int64_t whole)
{
    return whole ? ctl_format("%.1f%%", 100.0 * (double)part / (double)whole) : "-";
}

static const char *number(int64_t n)
{
    return ctl_format("%" PRId64, n);
}

static void print_start(const json_t *s)
{
    ctl_say("Since the start (%s): %s, %" PRId64 " connected, %" PRId64 " failed; %s, %s (%" PRId64
            " failed), %s; limits turned %" PRId64 " away.",
            ctl_when(s, "started"), ctl_count(ctl_int(s, "sessions"), "session"),
            ctl_int(s, "connected"), ctl_int(s, "failed"),
            ctl_count(ctl_int(s, "connections"), "connection"),
            ctl_count(ctl_int(s, "handshakes"), "handshake"), ctl_int(s, "handshakes_failed"),
            ctl_count(ctl_int(s, "observations"), "observation"), ctl_int(s, "limit_hits"));
    ctl_paragraph_end(0);
}

static void print_reasons(const json_t *list, int64_t sessions)
{
    static const struct ctl_column columns[] = {
        {"REASON", false, false, 0},
        {"SESSIONS", true, false, 0},
        {"SHARE", true, false, 2},
        {"WHAT HAPPENED", false, true, 1},
    };
    struct ctl_table *t = ctl_table(columns, COUNT(columns));

    ctl_heading("Why sessions failed");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i), *reason = json_object_get(row, "reason");
        ctl_cell(t, CTL_RED, ctl_text(reason, "name"));
        ctl_cell(t, CTL_PLAIN, number(ctl_int(row, "sessions")));
        ctl_cell(t, CTL_PLAIN, share(ctl_int(row, "sessions"), sessions));
        ctl_cell(t, CTL_PLAIN, ctl_text(reason, "text"));
    }
    ctl_table_end(t);
}

static void print_pairs(const json_t *list)
{
    static const struct ctl_column columns[] = {
        {"NATS", false, false, 0},
        {"SESSIONS", true, false, 0},
        {"CONNECTED", true, false, 0},
        {"SHARE", true, false, 1},
    };
    struct ctl_table *t = ctl_table(columns, COUNT(columns));

    ctl_heading("By the NATs on both sides");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i), *nats = json_object_get(row, "nats");
        const char *first = json_string_value(json_array_get(nats, 0));
        const char *second = json_string_value(json_array_get(nats, 1));
        ctl_cell(t, CTL_PLAIN, ctl_format("%s x %s", first ? first : "?", second ? second : "?"));
        ctl_cell(t, CTL_PLAIN, number(ctl_int(row, "sessions")));
        ctl_cell(t, CTL_PLAIN, number(ctl_int(row, "connected")));
        ctl_cell(t, CTL_PLAIN, share(ctl_int(row, "connected"), ctl_int(row, "sessions")));
    }
    ctl_table_end(t);
}

void ctl_print_stats(const json_t *answer)
{
    const json_t *s = json_object_get(answer, "stored");
    int64_t sessions = ctl_int(s, "sessions");

    print_start(json_object_get(answer, "since_start"));
    ctl_say("On record");
    if (ctl_has(s, "since"))
        ctl_say(" since %s", ctl_text(s, "since"));
    if (ctl_has(s, "until"))
        ctl_say(" until %s", ctl_text(s, "until"));
    ctl_say(": %s that ended", ctl_count(sessions, "session"));
    if (sessions)
        ctl_say(", %" PRId64 " connected (%s; IPv4 %" PRId64 ", IPv6 %" PRId64 "), %" PRId64
                " failed",
                ctl_int(s, "connected"), share(ctl_int(s, "connected"), sessions),
                ctl_int(s, "ipv4"), ctl_int(s, "ipv6"), ctl_int(s, "failed"));
    ctl_say(".");
    ctl_paragraph_end(0);
    if (json_array_size(json_object_get(s, "reasons")))
        print_reasons(json_object_get(s, "reasons"), sessions);
    if (json_array_size(json_object_get(s, "nats")))
        print_pairs(json_object_get(s, "nats"));
}
