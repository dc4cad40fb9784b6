/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/metrics.h"

static char text[METRICS_TEXT_SIZE];

static void write_text(const struct metrics *m)
{
    size_t len = metrics_text(m, text, sizeof(text));
    assert_true(len > 0);
    assert_int_equal(strlen(text), len);
    assert_int_equal(text[len - 1], '\n');
}

/* A whole line stands in the text, and once. */
static bool has_line(const char *line)
{
    size_t len = strlen(line);
    unsigned found = 0;
    for (const char *at = text; (at = strstr(at, line)); at += len)
        found += (at == text || at[-1] == '\n') && at[len] == '\n';
    return found == 1;
}

#define assert_line(line)                                                                          \
    do {                                                                                           \
        if (!has_line(line))                                                                       \
            fail_msg("not there, or not once: %s", line);                                          \
    } while (0)

static double value_of(const char *series)
{
    size_t len = strlen(series);
    for (const char *at = text; (at = strstr(at, series)); at += len)
        if ((at == text || at[-1] == '\n') && at[len] == ' ')
            return strtod(at + len, NULL);
    fail_msg("no series %s", series);
    return 0;
}

static struct nat_summary nat(unsigned mapping, unsigned allocation)
{
    return (struct nat_summary){.mapping = (uint8_t)mapping, .allocation = (uint8_t)allocation};
}

static void test_classes(void **state)
{
    static const struct {
        unsigned mapping, allocation;
        const char *name;
    } cases[] = {
        {NAT_MAPPING_UNKNOWN, NAT_COUNTER, "unknown"},
        {NAT_MAPPING_NONE, NAT_ALLOCATION_UNKNOWN, "none"},
        {NAT_MAPPING_NONE, NAT_RANDOM, "none"},
        {NAT_EIM, NAT_RANDOM, "eim"},
        {NAT_ADM, NAT_PRESERVE, "preserve"},
        {NAT_APDM, NAT_PRESERVE, "preserve"},
        {NAT_APDM, NAT_OFFSET, "offset"},
        {NAT_APDM, NAT_COUNTER, "counter"},
        {NAT_ADM, NAT_BLOCK, "block"},
        {NAT_APDM, NAT_RANDOM, "random"},
        {NAT_APDM, NAT_ALLOCATION_UNKNOWN, "unknown"},
        {255, 255, "unknown"},
        {NAT_APDM, 255, "unknown"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nat_summary n = nat(cases[i].mapping, cases[i].allocation);
        assert_string_equal(nat_class_name(nat_class(&n)), cases[i].name);
    }
}

/* Every unordered pair has a number of its own, and comes back from it. */
static void test_pairs(void **state)
{
    bool seen[NAT_PAIRS] = {false};

    (void)state;
    for (unsigned a = 0; a < NAT_CLASSES; a++)
        for (unsigned b = a; b < NAT_CLASSES; b++) {
            unsigned pair = nat_pair((enum nat_class)a, (enum nat_class)b);
            enum nat_class low, high;
            assert_in_range(pair, 0, NAT_PAIRS - 1);
            assert_int_equal(nat_pair((enum nat_class)b, (enum nat_class)a), pair);
            assert_false(seen[pair]);
            seen[pair] = true;
            nat_pair_classes(pair, &low, &high);
            assert_int_equal(low, a);
            assert_int_equal(high, b);
        }
}

static void test_sessions(void **state)
{
    struct metrics m = {.version = "1.2.3"};
    struct session_ended s = {
        .reason = REASON_OK,
        .nat = {nat(NAT_APDM, NAT_RANDOM), nat(NAT_EIM, NAT_PRESERVE)},
        .families = 1,
        .syns = 70,
        .took = 300 * TICK_MS,
    };

    (void)state;
    session_tally_end(&m.sessions, &s);
    s.took = 30 * TICK_MS;
    s.families = 2;
    session_tally_end(&m.sessions, &s);
    s.reason = REASON_MISSED;
    s.families = 3;
    session_tally_end(&m.sessions, &s);
    session_tally_refuse(&m.sessions, REASON_PEER_OFFLINE);
    session_tally_skew(&m.sessions, -300 * TICK_US);
    session_tally_skew(&m.sessions, 200 * TICK_US);
    m.value[METRIC_SYNS] = (double)m.sessions.syns;
    write_text(&m);
    assert_line("# TYPE tryst_sessions_total counter");
    assert_line("tryst_sessions_total{outcome=\"connected\",reason=\"ok\"} 2");
    assert_line("tryst_sessions_total{outcome=\"failed\",reason=\"missed\"} 1");
    assert_line("tryst_sessions_total{outcome=\"failed\",reason=\"internal\"} 0");
    assert_line("tryst_requests_refused_total{reason=\"peer-offline\"} 1");
    assert_line("tryst_session_pairs_total{pair=\"eim/random\",outcome=\"connected\"} 2");
    assert_line("tryst_session_pairs_total{pair=\"eim/random\",outcome=\"failed\"} 1");
    assert_line("tryst_session_pairs_total{pair=\"none/none\",outcome=\"failed\"} 0");
    assert_line("tryst_session_families_total{family=\"ipv4\",outcome=\"connected\"} 1");
    assert_line("tryst_session_families_total{family=\"ipv6\",outcome=\"connected\"} 1");
    assert_line("tryst_session_families_total{family=\"both\",outcome=\"failed\"} 1");
    assert_line("tryst_syns_total 210");
    assert_line("tryst_connect_seconds_bucket{le=\"0.02\"} 0");
    assert_line("tryst_connect_seconds_bucket{le=\"0.05\"} 1");
    assert_line("tryst_connect_seconds_bucket{le=\"0.5\"} 2");
    assert_line("tryst_connect_seconds_bucket{le=\"+Inf\"} 2");
    assert_line("tryst_connect_seconds_sum 0.330000000");
    assert_line("tryst_connect_seconds_count 2");
    assert_line("tryst_skew_seconds_bucket{le=\"0.0001\"} 0");
    assert_line("tryst_skew_seconds_bucket{le=\"0.0002\"} 1");
    assert_line("tryst_skew_seconds_bucket{le=\"0.0005\"} 2");
}

/* Every word that a session may end with has its series; what is no reason has none. */
static void test_every_reason(void **state)
{
    struct metrics m = {.version = ""};
    unsigned lines = 0;

    (void)state;
    memset(m.sessions.ended, 0xff, sizeof(m.sessions.ended));
    write_text(&m);
    for (const char *at = text; (at = strstr(at, "\ntryst_sessions_total{")); at++)
        lines++;
#define REASON(number, NAME, word, status, what, advice) +1
    const unsigned reasons = 0
#include "proto/reason.def"
        ;
#undef REASON
    assert_int_equal(lines, reasons);
    assert_line("tryst_sessions_total{outcome=\"failed\",reason=\"pooling\"} 18446744073709551615");
}

static void test_values(void **state)
{
    struct metrics m = {.version = "0.1\"\\\n"};

    (void)state;
    m.value[METRIC_PEERS] = 100000;
    m.value[METRIC_CONNECTIONS_ACCEPTED] = 9007199254740992.0;
    m.value[METRIC_CPU] = 12.345678;
    m.closed[5] = 17;
    m.limits.of[LIMIT_SESSIONS].hits = 4;
    write_text(&m);
    assert_line("tryst_build_info{version=\"0.1\\\"\\\\\\n\"} 1");
    assert_line("# HELP tryst_peers Control channels of peers");
    assert_line("# TYPE tryst_peers gauge");
    assert_line("tryst_peers 100000");
    assert_true(value_of("tryst_connections_accepted_total") == 9007199254740992.0);
    assert_line("tryst_cpu_seconds_total 12.345678");
    assert_line("tryst_connections_closed_total{why=\"forged\"} 17");
    assert_line("tryst_limit_hits_total{limit=\"sessions\"} 4");
    assert_line("tryst_limit_hits_total{limit=\"memory\"} 0");
    assert_line("tryst_store_degraded 0");
}

/* Buckets never fall, and the last one is the count. */
static void check_histogram(const char *name)
{
    char series[128];
    double before = 0;
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        if (i < HISTOGRAM_BOUNDS)
            snprintf(series, sizeof(series), "%s_bucket{le=\"%g\"}", name,
                     tick_seconds(histogram_bound(i)));
        else
            snprintf(series, sizeof(series), "%s_bucket{le=\"+Inf\"}", name);
        double value = value_of(series);
        assert_true(value >= before);
        before = value;
    }
    snprintf(series, sizeof(series), "%s_count", name);
    assert_true(value_of(series) == before);
    assert_true(before > 0);
}

static void test_histograms(void **state)
{
    struct metrics m = {.version = ""};

    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        histogram_observe(&m.handshake, (tick)i * i * TICK_US);
        histogram_observe(&m.commit, (tick)i * i * i * TICK_US);
        histogram_observe(&m.busy, (tick)i);
        histogram_observe(&m.sessions.connect, (tick)i * TICK_S);
        histogram_observe(&m.sessions.skew, (tick)i * TICK_MS);
    }
    write_text(&m);
    check_histogram("tryst_handshake_seconds");
    check_histogram("tryst_store_commit_seconds");
    check_histogram("tryst_loop_busy_seconds");
    check_histogram("tryst_connect_seconds");
    check_histogram("tryst_skew_seconds");
}

/* Every metric has its two lines of comment and at least one series, whatever the table says. */
static void test_table(void **state)
{
    struct metrics m = {.version = "x"};

    (void)state;
    write_text(&m);
#define METRIC(symbol, KIND, name, labels, help)                                                   \
    assert_line("# HELP " name " " help);                                                          \
    assert_non_null(strstr(text, "\n# TYPE " name " "));                                           \
    assert_null(strpbrk(help, "\\\n"));                                                            \
    assert_int_equal(strncmp(name, "tryst_", 6), 0);                                               \
    assert_non_null(strstr(text, "\n" name));
#include "server/metric.def"
#undef METRIC
}

/* The longest text there can be: all numbers at their most. */
static void test_room(void **state)
{
    struct metrics m;

    (void)state;
    memset(&m, 0xff, sizeof(m));
    m.version = "0123456789012345678901234567890123456789";
    for (unsigned i = 0; i < METRICS; i++)
        m.value[i] = 1.8e19;
    assert_in_range(metrics_text(&m, text, sizeof(text)), 1, sizeof(text) / 2);
    size_t len = metrics_text(&m, text, sizeof(text));
    char *small = malloc(len + 1);
    assert_non_null(small);
    assert_int_equal(metrics_text(&m, small, len + 1), len);
    assert_int_equal(metrics_text(&m, small, len), 0);
    assert_int_equal(metrics_text(&m, small, 1), 0);
    free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),  cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_sessions), cmocka_unit_test(test_every_reason),
        cmocka_unit_test(test_values),   cmocka_unit_test(test_histograms),
        cmocka_unit_test(test_table),    cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
