/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/rng.h"
#include "server/schedule.h"

#define MS  TICK_MS
#define NOW (1000 * TICK_S)

static struct schedule_side side(tick delay, tick offset, enum nat_refusal refusal)
{
    struct schedule_side s = {.refusal = refusal};

    clock_estimate_init(&s.clock);
    s.clock.rtt = 2 * delay;
    s.clock.offset = offset;
    s.clock.at = NOW;
    s.clock.samples = 3;
    return s;
}

/* ---- table ---- */

struct row {
    const char *name;
    enum nat_refusal refusal[2];
    int delay[2];        /* ms */
    int punch, start[2]; /* after now, ms, with a margin of 10 */
    int retry[2];
    bool refuses[2]; /* simultaneous open */
};

static const struct row rows[] = {
    {"both silent", {NAT_SILENCE, NAT_SILENCE}, {20, 70}, 80, {80, 80}, {0, 0}, {0, 0}},
    {"both reset", {NAT_RST, NAT_RST}, {20, 70}, 150, {130, 80}, {90, 90}, {0, 0}},
    {"unknown is like reset",
     {NAT_REFUSAL_UNKNOWN, NAT_RST},
     {20, 70},
     150,
     {130, 80},
     {90, 90},
     {0, 0}},
    {"both ICMP: fresh ports, no retry",
     {NAT_ICMP, NAT_ICMP},
     {20, 70},
     150,
     {130, 80},
     {0, 0},
     {0, 0}},
    {"near one resets: it leads",
     {NAT_RST, NAT_SILENCE},
     {20, 70},
     150,
     {128, 80},
     {0, 90},
     {0, 0}},
    {"far one resets: all wait for its lead",
     {NAT_SILENCE, NAT_RST},
     {20, 70},
     152,
     {132, 80},
     {90, 0},
     {0, 0}},
    {"far one sends ICMP", {NAT_SILENCE, NAT_ICMP}, {20, 70}, 152, {132, 80}, {0, 0}, {0, 0}},
    {"next door", {NAT_RST, NAT_RST}, {0, 1}, 12, {12, 11}, {5, 5}, {0, 0}},
    {"near one refuses simultaneous open: the far one leads",
     {NAT_SILENCE, NAT_SILENCE},
     {20, 70},
     152,
     {132, 80},
     {0, 0},
     {true, false}},
    {"far one refuses it: the near one leads",
     {NAT_SILENCE, NAT_SILENCE},
     {20, 70},
     150,
     {128, 80},
     {0, 0},
     {false, true}},
    {"both refuse it: no order helps",
     {NAT_SILENCE, NAT_SILENCE},
     {20, 70},
     150,
     {130, 80},
     {0, 0},
     {true, true}},
    {"who answers leads, and the other one refuses it: one order for both",
     {NAT_RST, NAT_SILENCE},
     {20, 70},
     150,
     {128, 80},
     {0, 90},
     {false, true}},
    {"who refuses it also answers: it leads, by less than the way across",
     {NAT_SILENCE, NAT_RST},
     {20, 70},
     152,
     {132, 80},
     {90, 0},
     {false, true}},
    {"... next door",
     {NAT_RST, NAT_SILENCE},
     {0, 1},
     12,
     {11, 11}, /* half a millisecond, as rounded down */
     {0, 5},
     {true, false}},
    {"both answer, one refuses it: the other leads by less than the way across",
     {NAT_RST, NAT_RST},
     {20, 70},
     152,
     {132, 80},
     {90, 90},
     {true, false}},
};

static void test_rows(void **state)
{
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        struct schedule_side s[2];
        struct schedule out;

        for (k = 0; k < 2; k++)
            s[k] = side(r->delay[k] * MS, (k + 1) * 777 * TICK_S, r->refusal[k]);
        for (k = 0; k < 2; k++)
            s[k].no_simultaneous_open = r->refuses[k];
        out = schedule_make(s, NOW, 10 * MS);
        print_message("%s: punch %d, start %d %d\n", r->name, (int)((out.punch - NOW) / MS),
                      (int)((out.start_server[0] - NOW) / MS),
                      (int)((out.start_server[1] - NOW) / MS));
        assert_int_equal((out.punch - NOW) / MS, r->punch);
        for (k = 0; k < 2; k++) {
            assert_int_equal((out.start_server[k] - NOW) / MS, r->start[k]);
            assert_int_equal(out.start[k], out.start_server[k] + (k + 1) * 777 * TICK_S);
            assert_int_equal(out.retry[k], r->retry[k] * MS);
        }
        assert_true(out.hold >= 4500 * MS);
        /* Six ways across for a proof and its report; it stays well below the hold. */
        assert_true(out.again >= 6 * (r->delay[0] + r->delay[1]) * MS);
        assert_true(out.again < out.hold);
    }
}

/* Jitter counts once for the margin, and once for the lead. */
static void test_jitter(void **state)
{
    struct schedule_side s[2] = {side(20 * MS, 0, NAT_RST), side(20 * MS, 0, NAT_SILENCE)};
    struct schedule calm = schedule_make(s, NOW, 10 * MS), rough;

    (void)state;
    s[1].clock.jitter = 6 * MS;
    rough = schedule_make(s, NOW, 10 * MS);
    assert_int_equal(rough.start_server[0] - calm.start_server[0], 6 * MS);
    assert_int_equal(rough.start_server[1] - rough.start_server[0], 8 * MS);
    assert_int_equal(calm.start_server[1] - calm.start_server[0], 2 * MS);
}

/* ---- properties ---- */

/*
 * Two peers in a plane of delays: host to NAT, NAT to server and NAT to NAT. The estimates are
 * those of an exchange over the same paths, up and down differently.
 */
struct world {
    tick up[2], down[2]; /* host to server and back */
    tick inside[2];      /* of it, host to NAT, on the way up */
    tick across;         /* NAT to NAT */
    tick apart[2];       /* peer's clock - server's */
    struct schedule_side side[2];
};

static void draw(struct world *w, const struct rng *rng)
{
    tick beyond[2], least;
    int i;

    for (i = 0; i < 2; i++) {
        w->inside[i] = rng_interval(rng, rng_below(rng, 2) ? 3 * MS : 90 * MS);
        beyond[i] = rng_interval(rng, 80 * MS);
        w->up[i] = w->inside[i] + beyond[i];
        w->down[i] = tick_max(0, w->up[i] + rng_interval(rng, 80 * MS) - 40 * MS);
        w->apart[i] = rng_interval(rng, 5000 * TICK_S) - 2500 * TICK_S;
    }
    /* No way round is shorter than the direct one, and no direct one longer than by the server. */
    least = beyond[0] > beyond[1] ? beyond[0] - beyond[1] : beyond[1] - beyond[0];
    w->across = least + rng_interval(rng, beyond[0] + beyond[1] - least);
    for (i = 0; i < 2; i++) {
        tick there = NOW - 300 * MS + w->down[i] + w->apart[i];

        clock_estimate_init(&w->side[i].clock);
        assert_true(clock_estimate_add(&w->side[i].clock, NOW - 300 * MS, there + 5000 * TICK_S,
                                       there + 5000 * TICK_S,
                                       NOW - 300 * MS + w->down[i] + w->up[i]));
        w->side[i].clock.offset -= 5000 * TICK_S;
    }
}

static tick started(const struct world *w, const struct schedule *s, int i)
{
    return s->start[i] - w->apart[i]; /* on the server's clock, in truth */
}

/* When the first SYN of side i passes its own NAT. */
static tick passes(const struct world *w, const struct schedule *s, int i)
{
    return started(w, s, i) + w->inside[i];
}

static void check_starts(const struct world *w, const struct schedule *s, unsigned seed)
{
    int i;

    for (i = 0; i < 2; i++) {
        /* The way down may be the longer one, but the offset is then wrong by the same amount. */
        if (started(w, s, i) < NOW + w->down[i])
            fail_msg("seed %u: side %d starts before it can know", seed, i);
        assert_true(s->start_server[i] <= NOW + TICK_S);
    }
}

static void test_order_of_start(void **state)
{
    unsigned seed;

    (void)state;
    for (seed = 1; seed <= 20000; seed++) {
        struct rng_seeded seeded;
        struct rng rng = rng_from_seed(&seeded, seed);
        struct schedule s;
        struct world w;
        tick skew;

        memset(&w, 0, sizeof(w));
        draw(&w, &rng);
        w.side[0].refusal = w.side[1].refusal = NAT_SILENCE;
        s = schedule_make(w.side, NOW, 5 * MS);
        check_starts(&w, &s, seed);

        w.side[0].refusal = seed % 2 ? NAT_RST : NAT_ICMP;
        s = schedule_make(w.side, NOW, 5 * MS);
        check_starts(&w, &s, seed);
        if (passes(&w, &s, 0) >= passes(&w, &s, 1) + w.across)
            fail_msg("seed %u: the SYN of the other side comes first", seed);

        w.side[0].no_simultaneous_open = true;
        s = schedule_make(w.side, NOW, 5 * MS);
        check_starts(&w, &s, seed);
        if (passes(&w, &s, 0) >= passes(&w, &s, 1) + w.across)
            fail_msg("seed %u: a refusal for the sake of simultaneous open", seed);
        w.side[0].refusal = NAT_SILENCE;
        s = schedule_make(w.side, NOW, 5 * MS);
        check_starts(&w, &s, seed);
        if (passes(&w, &s, 1) >= passes(&w, &s, 0) + w.across)
            fail_msg("seed %u: its SYN finds no hole", seed);
        w.side[0].no_simultaneous_open = false;

        w.side[0].refusal = seed % 2 ? NAT_RST : NAT_ICMP;
        w.side[1].refusal = NAT_RST;
        s = schedule_make(w.side, NOW, 5 * MS);
        check_starts(&w, &s, seed);
        skew = passes(&w, &s, 0) - passes(&w, &s, 1);
        skew = skew < 0 ? -skew : skew;
        /* Equal where the server lies on the straight way: there nothing but luck decides. */
        if (skew > w.across + 2)
            fail_msg("seed %u: skew %d us, across %d us", seed, (int)(skew / TICK_US),
                     (int)(w.across / TICK_US));
    }
}

static void test_absurd(void **state)
{
    const tick extremes[] = {INT64_MIN, -1, 0, 1, TICK_S, INT64_MAX / 2, INT64_MAX};
    const size_t n = sizeof(extremes) / sizeof(extremes[0]);
    size_t i;

    (void)state;
    for (i = 0; i < n * n * n * n; i++) {
        struct schedule_side s[2] = {side(20 * MS, 0, NAT_RST), side(20 * MS, 0, NAT_SILENCE)};
        struct schedule out;

        s[0].clock.rtt = extremes[i % n];
        s[0].clock.jitter = extremes[i / n % n];
        s[1].clock.offset = extremes[i / n / n % n];
        s[1].clock.at = extremes[i / n % n];
        s[1].refusal = (enum nat_refusal)(i % 5);
        out = schedule_make(s, extremes[i / n / n / n], extremes[i % n]);
        assert_in_range(out.hold, 4500 * MS, 120 * TICK_S);
        assert_in_range(out.retry[0], 0, 30 * TICK_S);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_order_of_start),
        cmocka_unit_test(test_absurd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
