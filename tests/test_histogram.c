/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/rng.h"
#include "server/histogram.h"

static void test_bounds(void **state)
{
    (void)state;
    assert_true(histogram_bound(0) == 10 * TICK_US);
    assert_true(histogram_bound(1) == 20 * TICK_US);
    assert_true(histogram_bound(2) == 50 * TICK_US);
    assert_true(histogram_bound(6) == TICK_MS);
    assert_true(histogram_bound(HISTOGRAM_BOUNDS - 1) == 50 * TICK_S);
    assert_true(histogram_bound(HISTOGRAM_BOUNDS) == TICK_NEVER);
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++)
        assert_true(histogram_bound(i) < histogram_bound(i + 1));
}

/* A bound belongs to its own bucket, what is just above it to the next. */
static void test_edges(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        struct histogram h = {0};
        histogram_observe(&h, histogram_bound(i));
        assert_int_equal(h.counts[i], 1);
        histogram_observe(&h, histogram_bound(i) + 1);
        assert_int_equal(h.counts[i], 1);
        assert_int_equal(h.counts[i + 1], 1);
        assert_int_equal(histogram_total(&h), 2);
        assert_true(h.sum == (uint64_t)(2 * histogram_bound(i) + 1));
    }
}

static void test_extremes(void **state)
{
    struct histogram h = {0};

    (void)state;
    assert_int_equal(histogram_total(&h), 0);
    histogram_observe(&h, 0);
    histogram_observe(&h, -5);
    histogram_observe(&h, INT64_MIN);
    assert_int_equal(h.counts[0], 3);
    assert_int_equal(h.sum, 0);
    histogram_observe(&h, TICK_NEVER);
    assert_int_equal(h.counts[HISTOGRAM_BOUNDS], 1);
    assert_true(h.sum == (uint64_t)TICK_NEVER);
}

/* Against looking at every bound in turn. */
static void test_any(void **state)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 7);
    struct histogram h = {0};
    uint64_t counts[HISTOGRAM_BOUNDS + 1] = {0}, sum = 0;

    (void)state;
    for (unsigned n = 0; n < 20000; n++) {
        tick interval = rng_interval(&rng, TICK_US << n % 28);
        unsigned i = 0;
        while (interval > histogram_bound(i))
            i++;
        counts[i]++;
        sum += (uint64_t)interval;
        histogram_observe(&h, interval);
    }
    struct histogram copy = h;
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
        assert_int_equal(copy.counts[i], counts[i]);
    assert_true(copy.sum == sum);
    assert_int_equal(histogram_total(&copy), 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
