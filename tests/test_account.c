/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/rng.h"
#include "server/account.h"

static void test_leaves_in_time(void **state)
{
    struct account l = {0};

    (void)state;
    assert_int_equal(account_sum(&l, 7 * TICK_S), 0);
    account_add(&l, 64, 1080 * TICK_S);
    account_add(&l, 10, 1199 * TICK_S);
    assert_int_equal(account_sum(&l, 1199 * TICK_S), 74);
    assert_int_equal(account_sum(&l, 1319 * TICK_S), 74);
    assert_int_equal(account_sum(&l, 1320 * TICK_S), 0);
    assert_int_equal(account_left(&l, 100, 1200 * TICK_S), 26);
    assert_int_equal(account_left(&l, 50, 1200 * TICK_S), 0);
    assert_int_equal(account_left(&l, 1000000, 1200 * TICK_S), UINT16_MAX);
    account_add(&l, UINT32_MAX, 1200 * TICK_S);
    account_add(&l, UINT32_MAX, 1200 * TICK_S);
    assert_int_equal(account_sum(&l, 1200 * TICK_S), UINT16_MAX + 74);
}

/* Against a list of all that was added: never less than what is younger than ACCOUNT_TIME, never
 * more than what is younger than twice that. */
static void test_bounds(void **state)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 5);
    struct account l = {0};
    static tick at[4000];
    tick now = 0;
    size_t first = 0, second = 0;

    (void)state;
    for (size_t n = 0; n < 4000; n++) {
        now += rng_interval(&rng, n % 100 ? TICK_S : 300 * TICK_S);
        account_add(&l, 1, now);
        at[n] = now;
        now += rng_interval(&rng, 5 * TICK_S);
        while (first <= n && now - at[first] >= ACCOUNT_TIME)
            first++;
        while (second <= n && now - at[second] >= 2 * ACCOUNT_TIME)
            second++;
        assert_in_range(account_sum(&l, now), n + 1 - first, n + 1 - second);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves_in_time),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
