/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* When the peers of a daemon that ends come back: not as a herd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "client-stub/channel.h"
#include "server/drain.h"

#define PEERS 5000

static void test_window(void **state)
{
    (void)state;
    /* Half of the pool's handshakes are left for others. */
    assert_int_equal(drain_window(5000, 1000.), 10 * TICK_S);
    assert_int_equal(drain_window(100000, 8000.), 25 * TICK_S);
    assert_int_equal(drain_window(3, 8000.), DRAIN_LEAST);
    assert_int_equal(drain_window(0, 8000.), DRAIN_LEAST);
    assert_int_equal(drain_window(UINT32_MAX, 1.), DRAIN_MOST);
    assert_int_equal(drain_window(5000, 0.), DRAIN_LEAST);
}

static void test_delay(void **state)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 1);
    uint32_t least = UINT32_MAX, most = 0;
    (void)state;

    for (int i = 0; i < 10000; i++) {
        uint32_t ms = drain_delay_ms(&rng, 10 * TICK_S);
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
    }
    assert_in_range(least, 500, 520);
    assert_in_range(most, 10480, 10500);
}

/* The most peers of PEERS that come back within any tenth of a second, each as the client does. */
static unsigned peak(const struct rng *rng, bool told, double capacity)
{
    static unsigned bins[2100];
    tick window = drain_window(PEERS, capacity);
    unsigned most = 0;

    memset(bins, 0, sizeof(bins));
    for (int i = 0; i < PEERS; i++) {
        tick pause = channel_pause(rng, 0, told ? drain_delay_ms(rng, window) : 0);
        tick bin = pause / (100 * TICK_MS);
        assert_in_range(bin, 0, sizeof(bins) / sizeof(bins[0]) - 1);
        bins[bin]++;
        most = bins[bin] > most ? bins[bin] : most;
    }
    return most;
}

static void test_no_herd(void **state)
{
    static const double capacities[] = {100., 1000., 5000., 20000.};
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 7);
    (void)state;

    for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
        /* Within the half that is meant for them, but for the accidents of the draw. */
        double half = capacities[i] / 2. / 10.;
        unsigned most = peak(&rng, true, capacities[i]);
        print_message("%.0f handshakes a second: %u peers come back, at most %u in 0.1 s\n",
                      capacities[i], PEERS, most);
        assert_true(most < half + 4. * (2. + half / 10.));
    }
    /* After a crash nobody was told anything: a second's worth. */
    assert_in_range(peak(&rng, false, 0.), PEERS / 10, PEERS / 10 + 100);
}

static void test_pause(void **state)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 3);
    static const struct {
        unsigned failures;
        uint32_t delay_ms;
        tick least, most;
    } rows[] = {
        {0, 0, 0, 1 * TICK_S},
        {1, 0, 0, 2 * TICK_S},
        {4, 0, 0, 16 * TICK_S},
        {5, 0, 0, 30 * TICK_S},
        {UINT32_MAX, 0, 0, 30 * TICK_S},
        {0, 500, 500 * TICK_MS, 1500 * TICK_MS},
        {0, 4000, 4 * TICK_S, 8 * TICK_S},
        {3, 100, 100 * TICK_MS,
         8100 * TICK_MS}, /* told to come soon, and refused again and again */
        {0, UINT32_MAX, 3600 * TICK_S, 7200 * TICK_S},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        tick span = rows[i].most - rows[i].least, low = rows[i].most, high = 0;
        for (int n = 0; n < 2000; n++) {
            tick pause = channel_pause(&rng, rows[i].failures, rows[i].delay_ms);
            low = tick_min(low, pause);
            high = tick_max(high, pause);
        }
        /* Full jitter: all of the span is used, and nothing else. */
        assert_in_range(low, rows[i].least, rows[i].least + span / 20);
        assert_in_range(high, rows[i].most - span / 20, rows[i].most);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_no_herd),
        cmocka_unit_test(test_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
