/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/rng.h"
#include "server/schedule_clock.h"

#define MS TICK_MS

/* ---- moments ---- */

struct sample {
    int sent, received, answered, returned; /* ms */
    bool taken;
    int offset, rtt; /* expected afterwards, ms */
};

static void run(const struct sample *s, size_t n)
{
    struct clock_estimate c;
    size_t i;

    clock_estimate_init(&c);
    assert_false(clock_estimate_known(&c));
    for (i = 0; i < n; i++) {
        bool taken = clock_estimate_add(&c, s[i].sent * MS, s[i].received * MS, s[i].answered * MS,
                                        s[i].returned * MS);

        if (taken != s[i].taken)
            fail_msg("sample %d", (int)i);
        if (!clock_estimate_known(&c))
            continue;
        assert_int_equal(c.offset / MS, s[i].offset);
        assert_int_equal(c.rtt / MS, s[i].rtt);
    }
}

#define RUN(...)                                                                                   \
    run((const struct sample[])__VA_ARGS__,                                                        \
        sizeof((const struct sample[])__VA_ARGS__) / sizeof(struct sample))

static void test_samples(void **state)
{
    (void)state;
    /* The best of three counts, whichever comes first. */
    RUN({{1000, 5020, 5020, 1040, true, 4000, 40},
         {2000, 6060, 6060, 2080, true, 4000, 40},
         {3000, 7010, 7010, 3020, true, 4000, 20}});
    /* A turn-around of 500 ms is no part of the round trip. */
    RUN({{1000, 5020, 5520, 1540, true, 4000, 40}});
    /* Peer's clock behind the server's. */
    RUN({{5000, 1020, 1020, 5040, true, -4000, 40}});
    /* Asymmetric: wrong by half of the difference, which is within half of the round trip. */
    RUN({{1000, 5030, 5030, 1040, true, 4010, 40}});
    /* Queued, so further off, but it does not contradict the good one. */
    RUN({{1000, 5020, 5020, 1040, true, 4000, 40}, {2000, 6120, 6120, 2140, true, 4000, 40}});
    /* The peer slept for ten seconds, and its clock with it: the newest sample is the truth. */
    RUN({{1000, 5020, 5020, 1040, true, 4000, 40}, {30000, 24030, 24030, 30060, true, -6000, 60}});
}

static void test_impossible(void **state)
{
    (void)state;
    RUN({{1000, 5020, 5020, 990, false, 0, 0},   /* returned before sent */
         {1000, 5020, 5010, 1040, false, 0, 0},  /* answered before received */
         {1000, 5020, 5070, 1040, false, 0, 0},  /* took longer there than it was away */
         {1000, 5020, 5020, 11001, false, 0, 0}, /* too long */
         {-5, 5020, 5020, 1000, false, 0, 0},    /* negative clocks */
         {1000, -5020, -5020, 1040, false, 0, 0}});
}

static void test_extremes(void **state)
{
    const tick extremes[] = {INT64_MIN,     INT64_MIN + 1, -1,       0, 1, INT64_MAX / 4,
                             INT64_MAX / 2, INT64_MAX - 1, INT64_MAX};
    const size_t n = sizeof(extremes) / sizeof(extremes[0]);
    struct clock_estimate c;
    size_t i;

    (void)state;
    clock_estimate_init(&c);
    assert_int_equal(clock_estimate_bound(&c, 0), TICK_NEVER);
    for (i = 0; i < n * n * n * n; i++) {
        clock_estimate_add(&c, extremes[i % n], extremes[i / n % n], extremes[i / n / n % n],
                           extremes[i / n / n / n]);
        assert_true(clock_estimate_delay(&c) >= 0);
        assert_true(clock_estimate_bound(&c, extremes[i % n]) >= 0);
        (void)clock_estimate_stale(&c, extremes[i % n]);
    }
}

static void test_ageing(void **state)
{
    struct clock_estimate c;

    (void)state;
    clock_estimate_init(&c);
    assert_true(clock_estimate_stale(&c, 0));
    clock_estimate_add(&c, 1000 * MS, 5020 * MS, 5020 * MS, 1040 * MS);
    assert_true(clock_estimate_stale(&c, 1100 * MS)); /* one sample may have been queued */
    clock_estimate_add(&c, 1100 * MS, 5120 * MS, 5120 * MS, 1140 * MS);
    assert_false(clock_estimate_stale(&c, 1200 * MS));
    assert_int_equal(clock_estimate_bound(&c, 1140 * MS), 20 * MS);
    assert_int_equal(clock_estimate_bound(&c, 1140 * MS + 100 * TICK_S), 30 * MS);
    assert_int_equal(clock_estimate_bound(&c, 0), 20 * MS); /* never better than the sample */
    assert_int_equal(clock_estimate_ageing(&c, 1140 * MS + 100 * TICK_S), 10 * MS);
    assert_false(clock_estimate_stale(&c, 150 * TICK_S));
    assert_true(clock_estimate_stale(&c, 250 * TICK_S)); /* off by more than the delay */
    /* An old sample gives way to one that is not much worse. */
    clock_estimate_add(&c, 200 * TICK_S, 204 * TICK_S + 25 * MS, 204 * TICK_S + 25 * MS,
                       200 * TICK_S + 50 * MS);
    assert_int_equal(c.rtt, 50 * MS);
    assert_int_equal(c.at, 200 * TICK_S + 50 * MS);
}

/* ---- property: the error stays within the bound ---- */

/* A peer whose crystal runs `ppm` fast and whose path queues at random, either way differently. */
static void check_peer(uint64_t seed)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, seed);
    tick up = rng_interval(&rng, 150 * MS), down = rng_interval(&rng, 150 * MS);
    tick queue = rng_interval(&rng, 80 * MS);
    tick apart = rng_interval(&rng, 1000 * TICK_S), now = 2000 * TICK_S;
    int64_t ppm = (int64_t)rng_below(&rng, CLOCK_DRIFT_PPM) - CLOCK_DRIFT_PPM / 2;
    struct clock_estimate c;
    int i;

    clock_estimate_init(&c);
    for (i = 0; i < 12; i++) {
        tick sent = now, there = sent + down + rng_interval(&rng, queue);
        tick gone = there + rng_interval(&rng, 5 * MS);
        tick back = gone + up + rng_interval(&rng, queue), off;

#define PEER_CLOCK(t) ((t)-apart + (t) / 1000000 * ppm)
        assert_true(clock_estimate_add(&c, sent, PEER_CLOCK(there), PEER_CLOCK(gone), back));
        now = back + rng_interval(&rng, 60 * TICK_S);
        off = c.offset - (PEER_CLOCK(now) - now);
        off = off < 0 ? -off : off;
        if (off > clock_estimate_bound(&c, now) + 10 * TICK_US)
            fail_msg("seed %u, sample %d: off by %d us, bound %d us", (unsigned)seed, i,
                     (int)(off / TICK_US), (int)(clock_estimate_bound(&c, now) / TICK_US));
        assert_in_range(c.jitter, 0, 2 * queue + MS);
    }
}

static void test_error_within_bound(void **state)
{
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 5000; seed++)
        check_peer(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_impossible),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_ageing),
        cmocka_unit_test(test_error_within_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
