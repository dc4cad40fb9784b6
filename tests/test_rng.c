/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <string.h>

#include "proto/rng.h"

static void test_same_seed_same_bytes(void **state)
{
    struct rng_seeded a, b, c;
    struct rng one = rng_from_seed(&a, 7), two = rng_from_seed(&b, 7), other = rng_from_seed(&c, 8);
    uint8_t x[100], y[100], z[100];

    (void)state;
    for (size_t len = 0; len <= sizeof(x); len += 25) {
        memset(x, 0, sizeof(x));
        memset(y, 0, sizeof(y));
        rng_fill(&one, x, len);
        rng_fill(&two, y, len);
        assert_memory_equal(x, y, sizeof(x));
    }
    rng_fill(&other, z, sizeof(z));
    assert_memory_not_equal(x, z, sizeof(x));
    rng_fill(&one, z, sizeof(z));
    assert_memory_not_equal(x, z, sizeof(x)); /* it moves on */
}

/* The numbers are part of every recorded simulation: they must not change from machine to machine.
 */
static void test_numbers_are_fixed(void **state)
{
    struct rng_seeded s;
    struct rng rng = rng_from_seed(&s, 1);
    uint32_t first = rng_u32(&rng);

    (void)state;
    assert_int_equal(first, 0x7c0ad3c5U);
}

static void test_system(void **state)
{
    struct rng rng = rng_system();
    uint8_t x[32] = {0}, y[32] = {0};

    (void)state;
    rng_fill(&rng, x, sizeof(x));
    rng_fill(&rng, y, sizeof(y));
    assert_memory_not_equal(x, y, sizeof(x));
}

static void test_below(void **state)
{
    static const uint32_t bounds[] = {2, 3, 7, 1000, 65536, 0x80000000U, 0x80000001U, UINT32_MAX};
    struct rng_seeded s;
    struct rng rng = rng_from_seed(&s, 3);

    (void)state;
    assert_int_equal(rng_below(&rng, 0), 0);
    assert_int_equal(rng_below(&rng, 1), 0);
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
        for (int n = 0; n < 200; n++)
            assert_true(rng_below(&rng, bounds[i]) < bounds[i]);
}

static void test_below_is_even(void **state)
{
    struct rng_seeded s;
    struct rng rng = rng_from_seed(&s, 5);
    unsigned seen[6] = {0};

    (void)state;
    for (int i = 0; i < 60000; i++)
        seen[rng_below(&rng, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(seen[i], 9500, 10500); /* five standard deviations */
}

static void test_interval(void **state)
{
    struct rng_seeded s;
    struct rng rng = rng_from_seed(&s, 9);
    unsigned ends = 0;

    (void)state;
    assert_int_equal(rng_interval(&rng, 0), 0);
    assert_int_equal(rng_interval(&rng, -5), 0);
    assert_int_equal(rng_interval(&rng, INT64_MIN), 0);
    for (int i = 0; i < 1000; i++) {
        int64_t v = rng_interval(&rng, 2);
        assert_true(v >= 0 && v <= 2);
        ends |= 1U << v;
        assert_true(rng_interval(&rng, INT64_MAX) >= 0);
    }
    assert_int_equal(ends, 7); /* both ends are reached */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_bytes),
        cmocka_unit_test(test_numbers_are_fixed),
        cmocka_unit_test(test_system),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_below_is_even),
        cmocka_unit_test(test_interval),
    };

    if (sodium_init() < 0)
        return 99;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
