/* SPDX-License-Identifier: ISC */
/* What tests say of a NAT, and whom one peer's test counts for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/rng.h"
#include "server/predict_profile.h"

#define NOW (100 * TICK_S)
#define A   UINT64_C(1)
#define B   UINT64_C(2)
#define C   UINT64_C(3)

static struct profile fresh(void)
{
    struct profile p;

    profile_init(&p);
    return p;
}

static unsigned filtering_of(const struct profile *p, uint64_t peer)
{
    return profile_summary_of(p, peer).filtering;
}

static void test_strict_is_for_all(void **state)
{
    struct profile p = fresh();

    (void)state;
    assert_false(profile_filtering_known(&p, NOW));
    profile_learn_filtering_of(&p, A, NAT_APDF, NOW);
    assert_true(profile_filtering_known_of(&p, B, NOW));
    assert_int_equal(filtering_of(&p, B), NAT_APDF);
    assert_true(profile_filtering_known(&p, NOW + PROFILE_FRESH - 1));
    assert_false(profile_filtering_known(&p, NOW + PROFILE_FRESH));
    /* Another boot's clock. */
    assert_false(profile_filtering_known(&p, NOW - 1));
}

/* One peer with forwarded ports speaks for itself; a second one's test for all. */
static void test_lenient_takes_two(void **state)
{
    struct profile p = fresh();

    (void)state;
    profile_learn_filtering_of(&p, A, NAT_EIF, NOW);
    assert_int_equal(filtering_of(&p, A), NAT_EIF);
    assert_int_equal(filtering_of(&p, B), NAT_FILTERING_UNKNOWN);
    assert_true(profile_filtering_known_of(&p, A, NOW));
    assert_false(profile_filtering_known_of(&p, B, NOW));
    profile_learn_filtering_of(&p, A, NAT_EIF, NOW); /* saying it twice does not make two */
    assert_int_equal(filtering_of(&p, B), NAT_FILTERING_UNKNOWN);
    profile_learn_filtering_of(&p, B, NAT_ADF, NOW);
    assert_int_equal(filtering_of(&p, A), NAT_ADF); /* the stricter of both */
    assert_int_equal(filtering_of(&p, C), NAT_ADF);
    profile_learn_filtering_of(&p, C, NAT_APDF, NOW);
    assert_int_equal(filtering_of(&p, A), NAT_APDF);
}

static void test_old_witness(void **state)
{
    struct profile p = fresh();

    (void)state;
    profile_learn_filtering_of(&p, A, NAT_EIF, NOW);
    profile_learn_filtering_of(&p, B, NAT_EIF, NOW + PROFILE_FRESH);
    assert_int_equal(filtering_of(&p, A), NAT_FILTERING_UNKNOWN);
    assert_int_equal(filtering_of(&p, B), NAT_EIF);
}

static void test_doubt(void **state)
{
    struct profile p = fresh();

    (void)state;
    assert_false(profile_doubt_filtering(&p, NOW));
    profile_learn_filtering_of(&p, A, NAT_APDF, NOW);
    assert_false(profile_doubt_filtering(&p, NOW));
    profile_learn_filtering_of(&p, A, NAT_EIF, NOW);
    assert_true(profile_doubt_filtering(&p, NOW));
    assert_int_equal(filtering_of(&p, A), NAT_FILTERING_UNKNOWN);
    assert_true(profile_filtering_known_of(&p, A, NOW)); /* not tested again at once */
}

static unsigned pooling_of(const struct profile *p, uint64_t peer)
{
    return profile_summary_of(p, peer).pooling;
}

static void test_pooling(void **state)
{
    struct profile p = fresh();

    (void)state;
    profile_learn_pooling_of(&p, A, NAT_PAIRED, NOW);
    assert_int_equal(pooling_of(&p, B), NAT_PAIRED);
    profile_learn_pooling_of(&p, A, NAT_ARBITRARY, NOW);
    assert_int_equal(pooling_of(&p, A), NAT_ARBITRARY);
    assert_int_equal(pooling_of(&p, B), NAT_POOLING_UNKNOWN);
    profile_learn_pooling_of(&p, A, NAT_PAIRED, NOW); /* by chance the same address */
    assert_int_equal(pooling_of(&p, A), NAT_ARBITRARY);
    profile_learn_pooling_of(&p, B, NAT_PAIRED, NOW); /* A has another way out */
    assert_int_equal(pooling_of(&p, A), NAT_PAIRED);
    profile_learn_pooling_of(&p, A, NAT_ARBITRARY, NOW);
    profile_learn_pooling_of(&p, B, NAT_ARBITRARY, NOW);
    assert_int_equal(pooling_of(&p, C), NAT_ARBITRARY);
    profile_learn_pooling_of(&p, C, NAT_PAIRED, NOW);
    assert_int_equal(pooling_of(&p, C), NAT_ARBITRARY);
    profile_learn_pooling_of(&p, C, NAT_PAIRED, NOW + PROFILE_FRESH);
    assert_int_equal(pooling_of(&p, A), NAT_PAIRED);
}

static bool refuses(const struct profile *p, uint64_t peer)
{
    return profile_summary_of(p, peer).features & NAT_FEATURE_NO_SIMULTANEOUS_OPEN;
}

static void test_crossing(void **state)
{
    struct profile p = fresh();

    (void)state;
    profile_learn_crossing(&p, A, true, NOW);
    assert_false(refuses(&p, A)); /* may have been a lost SYN */
    assert_false(profile_simultaneous_known(&p, NOW));
    profile_learn_crossing(&p, A, false, NOW);
    assert_true(profile_simultaneous_known_of(&p, B, NOW));
    profile_learn_crossing(&p, A, true, NOW); /* counted from one again */
    assert_false(refuses(&p, A));
    profile_learn_crossing(&p, A, true, NOW);
    assert_true(refuses(&p, A));
    assert_false(refuses(&p, B));
    assert_false(profile_simultaneous_known_of(&p, B, NOW));
    profile_learn_crossing(&p, B, true, NOW);
    assert_false(refuses(&p, C));
    profile_learn_crossing(&p, B, true, NOW);
    assert_true(refuses(&p, C));
    assert_false(profile_simultaneous_known(&p, NOW + PROFILE_SIMULTANEOUS_FRESH));
    profile_learn_crossing(&p, C, false, NOW);
    assert_false(refuses(&p, A));
}

static void test_features(void **state)
{
    struct profile p = fresh();

    (void)state;
    profile_learn_feature(&p, NAT_FEATURE_DOUBLE, true, NOW);
    assert_int_equal(p.nat.features, NAT_FEATURE_DOUBLE);
    assert_false(profile_simultaneous_known(&p, NOW));
    profile_learn_feature(&p, NAT_FEATURE_NO_SIMULTANEOUS_OPEN, true, NOW);
    assert_int_equal(p.nat.features, NAT_FEATURE_DOUBLE | NAT_FEATURE_NO_SIMULTANEOUS_OPEN);
    profile_learn_feature(&p, NAT_FEATURE_DOUBLE, false, NOW);
    assert_true(refuses(&p, C));
}

/* Whatever one peer does, and however often: others are not told that a filter is lenient, that
 * addresses change, or that simultaneous open is refused. */
static void test_one_liar(void **state)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 7);
    struct profile p = fresh();

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        tick now = NOW + i * TICK_S;
        switch (rng_below(&rng, 4)) {
        case 0:
            profile_learn_filtering_of(&p, A, NAT_EIF + rng_below(&rng, 3), now);
            break;
        case 1:
            profile_learn_pooling_of(&p, A, NAT_PAIRED + rng_below(&rng, 2), now);
            break;
        case 2:
            profile_learn_crossing(&p, A, rng_below(&rng, 4) > 0, now);
            break;
        default:
            profile_doubt_filtering(&p, now);
            break;
        }
        struct nat_summary nat = profile_summary_of(&p, B);
        assert_true(nat.filtering == NAT_FILTERING_UNKNOWN || nat.filtering == NAT_APDF);
        assert_int_not_equal(nat.pooling, NAT_ARBITRARY);
        assert_int_equal(nat.features, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strict_is_for_all), cmocka_unit_test(test_lenient_takes_two),
        cmocka_unit_test(test_old_witness),       cmocka_unit_test(test_doubt),
        cmocka_unit_test(test_pooling),           cmocka_unit_test(test_crossing),
        cmocka_unit_test(test_features),          cmocka_unit_test(test_one_liar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
