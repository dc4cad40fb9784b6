/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "trystctl.h"

/* Status, and lists as tables. */

static void line(const char *label, enum ctl_colour colour, const char *text)
{
    printf("%s%-14s%s %s%s%s\n", ctl_colour(CTL_BOLD), label, ctl_colour(CTL_PLAIN),
           colour ? ctl_colour(colour) : "", text, colour ? ctl_colour(CTL_PLAIN) : "");
}

static void print_store(const json_t *store)
{
    if (ctl_true(store, "degraded"))
        line("store", CTL_RED,
             ctl_format("cannot write: %s; %s waiting", ctl_text(store, "error"),
                        ctl_count(ctl_int(store, "pending"), "row")));
    else
        line("store", CTL_PLAIN,
             ctl_format("%s written in %s, %" PRId64 " waiting; last commit %s, slowest %s",
                        ctl_count(ctl_int(store, "rows"), "row"),
                        ctl_count(ctl_int(store, "commits"), "commit"), ctl_int(store, "pending"),
                        ctl_span(ctl_int(store, "commit_last_us")),
                        ctl_span(ctl_int(store, "commit_worst_us"))));
    if (ctl_int(store, "lost_sessions"))
        line("", CTL_YELLOW,
             ctl_format("%s not recorded; gap_overview in the database says when",
                        ctl_count(ctl_int(store, "lost_sessions"), "session")));
    if (ctl_has(store, "job"))
        line("", CTL_PLAIN,
             ctl_format("%s under way%s", ctl_text(store, "job"),
                        ctl_int(store, "job_total") > 0
                            ? ctl_format(": %d%%", (int)(100 * ctl_int(store, "job_done") /
                                                         ctl_int(store, "job_total")))
                            : ""));
    if (ctl_int(store, "dropped"))
        line("", CTL_YELLOW,
             ctl_format("%s left out; the log says why",
                        ctl_count(ctl_int(store, "dropped"), "row")));
}

void ctl_print_status(const json_t *answer)
{
    line("trystd", CTL_PLAIN,
         ctl_format("%s, started %s", ctl_text(answer, "version"), ctl_when(answer, "started")));
    if (ctl_has(answer, "warning"))
        line("warning", CTL_YELLOW, ctl_text(answer, "warning"));
    if (*ctl_names(answer, "restart_needed"))
        line("restart", CTL_YELLOW,
             ctl_format("needed for changed options: %s", ctl_names(answer, "restart_needed")));
    line("url", CTL_PLAIN, ctl_text(answer, "url"));
    line("listening on", CTL_PLAIN, ctl_text(answer, "listen"));
    line("registration", CTL_PLAIN, ctl_text(answer, "registration"));
    line("access", CTL_PLAIN,
         ctl_format(
             "%" PRId64 " allowed, %" PRId64 " banned, %" PRId64
             " open invites; turned away: %" PRId64 " connections, %" PRId64 " registrations",
             ctl_int(answer, "allowed"), ctl_int(answer, "banned"), ctl_int(answer, "invites"),
             ctl_int(answer, "banned_connections"), ctl_int(answer, "banned_registrations")));
    line("peers", CTL_PLAIN,
         ctl_format("%" PRId64 " connected (%" PRId64 " take sessions), %" PRId64 " known",
                    ctl_int(answer, "peers"), ctl_int(answer, "peers_listening"),
                    ctl_int(answer, "peers_known")));
    line("sessions", CTL_PLAIN,
         ctl_format("%" PRId64 " active; since the start %" PRId64 ": %" PRId64
                    " connected, %" PRId64 " failed",
                    ctl_int(answer, "sessions_active"), ctl_int(answer, "sessions_total"),
                    ctl_int(answer, "sessions_ok"), ctl_int(answer, "sessions_failed")));
    line("nats", CTL_PLAIN,
         ctl_format("%" PRId64 " known; %" PRId64 " observations, %" PRId64 " refused",
                    ctl_int(answer, "nats"), ctl_int(answer, "observations_total"),
                    ctl_int(answer, "observations_refused")));
    line("connections", CTL_PLAIN,
         ctl_format("%" PRId64 " open, %" PRId64 " since the start; handshakes %" PRId64
                    ", %" PRId64 " failed, %" PRId64 " waiting; %" PRId64 " turned away by limits",
                    ctl_int(answer, "connections"), ctl_int(answer, "connections_total"),
                    ctl_int(answer, "handshakes_total"), ctl_int(answer, "handshakes_failed"),
                    ctl_int(answer, "handshakes_waiting"), ctl_int(answer, "limit_hits")));
    if (ctl_true(answer, "old_key"))
        line("old key", CTL_YELLOW,
             ctl_format("accepted too; %s with it since the start",
                        ctl_count(ctl_int(answer, "handshakes_old_key"), "handshake")));
    line("loop", CTL_PLAIN,
         ctl_format("longest turn %s; tables take %s",
                    ctl_span(ctl_int(answer, "loop_lag_worst_us")),
                    ctl_bytes(ctl_int(answer, "memory_bytes"))));
    print_store(json_object_get(answer, "store"));
}

void ctl_print_more(const json_t *answer, const char *how)
{
    if (ctl_true(answer, "more"))
        printf("%sthere are more: %s%s\n", ctl_colour(CTL_DIM), how, ctl_colour(CTL_PLAIN));
}

bool ctl_print_none(const json_t *list, const char *what)
{
    if (json_array_size(list) > 0)
        return false;
    /* Nothing is what a script expects of an empty list. */
    if (ctl_style.tty)
        printf("no %s\n", what);
    return true;
}

/* "eim/apdf, counter +2, rst" */
static const char *nat_words(const json_t *nat)
{
    const char *mapping = ctl_text(nat, "mapping"), *allocation = ctl_text(nat, "allocation");
    const char *delta = "";

    if (strcmp(mapping, "unknown") == 0 || !*mapping)
        return "-";
    if (strcmp(mapping, "none") == 0)
        return "no NAT";
    if (strcmp(allocation, "counter") == 0 || strcmp(allocation, "offset") == 0)
        delta = ctl_format(" %+" PRId64, ctl_int(nat, "delta"));
    return ctl_format("%s/%s %s%s, %s", mapping, ctl_text(nat, "filtering"), allocation, delta,
                      ctl_text(nat, "refusal"));
}

static void peer_row(struct ctl_table *t, const json_t *p)
{
    bool online = ctl_true(p, "online");

    ctl_cell(t, CTL_PLAIN, ctl_has(p, "name") ? ctl_text(p, "name") : "-");
    ctl_cell(t, CTL_PLAIN, ctl_short(ctl_text(p, "key"), 8));
    ctl_cell(t, CTL_PLAIN, ctl_has(p, "observed") ? ctl_text(p, "observed") : "-");
    ctl_cell(t, CTL_PLAIN, ctl_has(p, "nat") ? nat_words(json_object_get(p, "nat")) : "-");
    ctl_cell(t, CTL_PLAIN, ctl_has(p, "rtt_us") ? ctl_span(ctl_int(p, "rtt_us")) : "-");
    ctl_cell(t, CTL_PLAIN, !online ? "-" : ctl_true(p, "listening") ? "yes" : "no");
    ctl_cell(t, CTL_PLAIN, online ? ctl_format("%" PRId64, ctl_int(p, "sessions")) : "-");
    ctl_cell(t, CTL_PLAIN, ctl_when(p, online ? "since" : "last_seen"));
    ctl_cell(t, CTL_PLAIN, ctl_has(p, "agent") ? ctl_text(p, "agent") : "-");
}

void ctl_print_peers(const json_t *answer)
{
    static const struct ctl_column columns[] = {
        {"NAME", false, true, 0},     {"KEY", false, false, 0},  {"ADDRESS", false, false, 0},
        {"NAT", false, true, 2},      {"RTT", true, false, 4},   {"LISTENS", false, false, 3},
        {"SESSIONS", true, false, 5}, {"SEEN", false, false, 1}, {"AGENT", false, true, 6},
    };
    const json_t *list = json_object_get(answer, "peers");

    if (ctl_print_none(list, "peers"))
        return;
    struct ctl_table *t = ctl_table(columns, COUNT(columns));
    for (size_t i = 0; i < json_array_size(list); i++)
        peer_row(t, json_array_get(list, i));
    ctl_table_end(t);
    ctl_print_more(answer, "ask with a greater --limit");
}

static void outcome_cell(struct ctl_table *t, const json_t *s)
{
    const char *state = ctl_text(s, "state");

    if (strcmp(state, "connected") == 0)
        ctl_cell(t, CTL_GREEN, state);
    else if (strcmp(state, "failed") == 0)
        ctl_cell(t, CTL_RED, ctl_text(json_object_get(s, "reason"), "name"));
    else
        ctl_cell(t, CTL_YELLOW, ctl_has(s, "stage") ? ctl_text(s, "stage") : state);
}

static void session_row(struct ctl_table *t, const json_t *s)
{
    int64_t family = ctl_int(s, "family");
    /* One that ended before there was a plan has none of its figures. */
    bool planned = ctl_real(s, "chance") > 0;

    ctl_cell(t, CTL_PLAIN, ctl_short(ctl_text(s, "id"), 8));
    ctl_cell(t, CTL_PLAIN, ctl_when(s, "started"));
    ctl_cell(t, CTL_PLAIN, ctl_who(json_object_get(s, "requester")));
    ctl_cell(t, CTL_PLAIN, ctl_who(json_object_get(s, "target")));
    outcome_cell(t, s);
    ctl_cell(t, CTL_PLAIN, family == 4 ? "IPv4" : family == 6 ? "IPv6" : "-");
    ctl_cell(t, CTL_PLAIN, ctl_format("%" PRId64, ctl_int(s, "rounds")));
    ctl_cell(t, CTL_PLAIN, planned ? ctl_format("%.0f%%", ctl_real(s, "chance") * 100) : "-");
    ctl_cell(t, CTL_PLAIN, ctl_has(s, "punch") ? ctl_span(ctl_int(s, "skew_us")) : "-");
    ctl_cell(t, CTL_PLAIN, ctl_int(s, "took_us") ? ctl_span(ctl_int(s, "took_us")) : "-");
}

void ctl_print_sessions(const json_t *answer)
{
    static const struct ctl_column columns[] = {
        {"ID", false, false, 0},    {"STARTED", false, false, 1}, {"FROM", false, true, 0},
        {"TO", false, true, 0},     {"OUTCOME", false, false, 0}, {"FAMILY", false, false, 5},
        {"ROUNDS", true, false, 6}, {"CHANCE", true, false, 3},   {"SKEW", true, false, 4},
        {"TOOK", true, false, 2},
    };
    const json_t *list = json_object_get(answer, "sessions");

    if (ctl_print_none(list, "sessions"))
        return;
    struct ctl_table *t = ctl_table(columns, COUNT(columns));
    for (size_t i = 0; i < json_array_size(list); i++)
        session_row(t, json_array_get(list, i));
    ctl_table_end(t);
    ctl_print_more(answer, "ask with a greater --limit (1000 at most), or with --until");
}

static void nat_row(struct ctl_table *t, const json_t *n)
{
    const json_t *nat = json_object_get(n, "nat");

    ctl_cell(t, CTL_PLAIN, ctl_text(n, "address"));
    ctl_cell(t, CTL_PLAIN, nat_words(nat));
    ctl_cell(t, CTL_PLAIN, ctl_format("%" PRId64 "%%", ctl_int(nat, "confidence")));
    ctl_cell(t, CTL_PLAIN, ctl_format("%" PRId64, ctl_int(nat, "samples")));
    ctl_cell(t, CTL_PLAIN, ctl_format("%" PRId64, ctl_int(n, "peers")));
    ctl_cell(t, CTL_PLAIN,
             ctl_format("%" PRId64 "/%" PRId64, ctl_int(n, "hits"),
                        ctl_int(n, "hits") + ctl_int(n, "misses")));
    ctl_cell(t, CTL_PLAIN, ctl_when(n, "learnt"));
}

void ctl_print_nats(const json_t *answer)
{
    static const struct ctl_column columns[] = {
        {"ADDRESS", false, false, 0}, {"NAT", false, true, 0},   {"SURE", true, false, 2},
        {"SAMPLES", true, false, 5},  {"PEERS", true, false, 4}, {"HITS", true, false, 3},
        {"LEARNT", false, false, 1},
    };
    const json_t *list = json_object_get(answer, "nats");

    if (ctl_print_none(list, "NATs"))
        return;
    struct ctl_table *t = ctl_table(columns, COUNT(columns));
    for (size_t i = 0; i < json_array_size(list); i++)
        nat_row(t, json_array_get(list, i));
    ctl_table_end(t);
    ctl_print_more(answer, "ask with a greater --limit");
}

void ctl_print_help(const json_t *answer)
{
    static const struct ctl_column columns[] = {{"COMMAND", false, true, 0}, {"", false, true, 0}};
    const json_t *list = json_object_get(answer, "commands");
    struct ctl_table *t = ctl_table(columns, COUNT(columns));

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        ctl_cell(t, CTL_PLAIN, ctl_format("%s %s", ctl_text(c, "name"), ctl_text(c, "usage")));
        ctl_cell(t, CTL_PLAIN, ctl_text(c, "help"));
    }
    ctl_table_end(t);
}
