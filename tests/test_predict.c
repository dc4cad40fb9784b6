/* SPDX-License-Identifier: ISC */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "nat_model.h"
#include "server/predict.h"

#define NOW (100 * TICK_S)

static const struct endpoint public_address = {.family = 4, .address = {203, 0, 113, 1}};
static const struct endpoint private_local = {.family = 4, .address = {10, 0, 0, 2}, .port = 40000};

/* ---- shapes ---- */

struct row {
    const char *name;
    enum nat_mapping mapping;
    enum nat_allocation allocation;
    int32_t delta;
    uint16_t local;
    uint16_t anchors[3]; /* ports, oldest first; the first is the punch socket's if `own` */
    bool own;
    uint16_t last_port;
    enum nat_shape shape;
    uint16_t port;
    unsigned needs; /* anchors, before any were made */
};

#define NONE    NAT_MAPPING_NONE
#define NOTHING NAT_MAPPING_UNKNOWN

/* clang-format off */
static const struct row rows[] = {
    {"no NAT", NONE, NAT_PRESERVE, 0, 40000, {0}, false, 0, SHAPE_FIXED, 40000, 0},
    {"no NAT, local port unknown", NONE, NAT_PRESERVE, 0, 0, {41000}, true, 0, SHAPE_FIXED, 41000, 1},
    {"preserved", NAT_EIM, NAT_PRESERVE, 0, 40000, {0}, false, 0, SHAPE_FIXED, 40000, 0},
    {"what was seen beats what was computed", NAT_EIM, NAT_PRESERVE, 0, 40000, {52000}, true, 0, SHAPE_FIXED, 52000, 0},
    {"another socket's port does not", NAT_EIM, NAT_PRESERVE, 0, 40000, {52000}, false, 0, SHAPE_FIXED, 40000, 0},
    {"preserved, local port unknown", NAT_EIM, NAT_PRESERVE, 0, 0, {0}, false, 0, SHAPE_RANDOM, 0, 1},
    {"offset", NAT_EIM, NAT_OFFSET, -100, 40000, {0}, false, 0, SHAPE_FIXED, 39900, 0},
    {"offset beyond the last port", NAT_EIM, NAT_OFFSET, 30000, 40000, {0}, false, 0, SHAPE_RANDOM, 0, 0},
    {"any EIM with its own anchor", NAT_EIM, NAT_RANDOM, 0, 40000, {52000}, true, 0, SHAPE_FIXED, 52000, 1},
    {"EIM counter with its own anchor", NAT_EIM, NAT_COUNTER, 1, 40000, {52000}, true, 0, SHAPE_FIXED, 52000, 1},
    {"EIM counter without", NAT_EIM, NAT_COUNTER, 1, 40000, {52000, 52001}, false, 0, SHAPE_COUNTER, 52001, 1},
    {"EIM random without", NAT_EIM, NAT_RANDOM, 0, 40000, {0}, false, 0, SHAPE_RANDOM, 0, 1},
    {"counter, newest of the burst", NAT_APDM, NAT_COUNTER, 2, 40000, {52000, 52002, 52004}, false, 0, SHAPE_COUNTER, 52004, 2},
    {"counter, own anchor is like any other", NAT_APDM, NAT_COUNTER, 2, 40000, {52000, 52002}, true, 0, SHAPE_COUNTER, 52002, 2},
    {"counter, from the profile", NAT_APDM, NAT_COUNTER, 2, 40000, {0}, false, 60000, SHAPE_COUNTER, 60000, 2},
    {"counter, nothing to start from", NAT_APDM, NAT_COUNTER, 2, 40000, {0}, false, 0, SHAPE_RANDOM, 0, 2},
    {"ports kept per destination", NAT_APDM, NAT_PRESERVE, 0, 40000, {52000}, true, 0, SHAPE_FIXED, 40000, 0},
    {"block", NAT_APDM, NAT_BLOCK, 0, 40000, {0}, false, 0, SHAPE_BLOCK, 0, 0},
    {"random", NAT_APDM, NAT_RANDOM, 0, 40000, {0}, false, 0, SHAPE_RANDOM, 0, 0},
    {"ADM that keeps ports", NAT_ADM, NAT_PRESERVE, 0, 40000, {0}, false, 0, SHAPE_FIXED, 40000, 0},
    {"ADM counter", NAT_ADM, NAT_COUNTER, 1, 40000, {52000}, true, 0, SHAPE_SHARED, 52000, 2},
    {"ADM random", NAT_ADM, NAT_RANDOM, 0, 40000, {52000}, true, 0, SHAPE_SHARED, 0, 0},
    {"allocation unknown", NAT_APDM, NAT_ALLOCATION_UNKNOWN, 0, 40000, {0}, false, 0, SHAPE_RANDOM, 0, 0},
    {"only the allocation known", NOTHING, NAT_PRESERVE, 0, 40000, {0}, false, 0, SHAPE_FIXED, 40000, 0},
};
/* clang-format on */

static struct profile profile_of(enum nat_mapping mapping, enum nat_allocation allocation,
                                 int32_t delta)
{
    struct profile p;

    profile_init(&p);
    p.nat.mapping = (uint8_t)mapping;
    p.nat.allocation = (uint8_t)allocation;
    p.nat.delta = delta;
    p.nat.confidence = 95;
    p.nat.block_low = 20000;
    p.nat.block_high = 20511;
    p.learnt = NOW - TICK_S;
    p.last_at = NOW - TICK_S;
    return p;
}

static size_t anchors_of(const struct row *r, struct observation out[3])
{
    uint8_t n;

    for (n = 0; n < 3 && r->anchors[n] != 0; n++) {
        out[n] = (struct observation){.at = NOW - 100 * TICK_MS, .step = n};
        out[n].observed = endpoint_with_port(public_address, r->anchors[n]);
        out[n].socket = r->own && n == 0 ? 1024 : (uint16_t)(1792 + n);
    }
    return n;
}

static void test_rows(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        struct profile p = profile_of(r->mapping, r->allocation, r->delta);
        struct observation anchors[3];
        struct predict_input in = {.profile = &p,
                                   .public_address = public_address,
                                   .local = private_local,
                                   .anchors = anchors,
                                   .anchor_count = anchors_of(r, anchors),
                                   .socket = 1024,
                                   .at = NOW};
        struct prediction out;
        unsigned needs;

        p.last_port = r->last_port;
        in.local.port = r->local;
        out = predict(&in);
        needs = predict_anchors_needed(&p, &in.local, &public_address);
        if (out.shape != r->shape || out.port != r->port || needs != r->needs)
            fail_msg("%s: %s, port %u, needs %u", r->name, nat_shape_name(out.shape), out.port,
                     needs);
        assert_true(out.confidence > 0 && out.confidence <= 1);
        assert_int_equal(out.address.port, 0);
        assert_true(endpoint_same_address(&out.address, &public_address));
    }
}

static void test_nothing_known(void **state)
{
    struct profile p;
    struct predict_input in = {.profile = &p, .local = private_local, .at = NOW};
    struct endpoint none = endpoint_none();

    (void)state;
    profile_init(&p);
    assert_int_equal(predict(&in).shape, SHAPE_NONE);
    in.public_address = public_address;
    assert_int_equal(predict(&in).shape, SHAPE_NONE);
    /* The local endpoint alone shows that there is no NAT. */
    in.local = endpoint_with_port(public_address, 5000);
    assert_int_equal(predict(&in).shape, SHAPE_FIXED);
    assert_int_equal(predict(&in).port, 5000);
    assert_int_equal(predict_anchors_needed(&p, &in.local, &public_address), 0);
    (void)none;
}

/* A mapping that lets everybody in need not be the one that the next destination would get. */
static void test_open_mapping(void **state)
{
    struct observation anchor = {.socket = 1024, .observed = public_address, .at = NOW};
    struct predict_input in = {.public_address = public_address,
                               .local = private_local,
                               .anchors = &anchor,
                               .anchor_count = 1,
                               .socket = 1024,
                               .at = NOW};
    unsigned mapping, allocation;

    (void)state;
    anchor.observed.port = 50123;
    in.local.port = 40000;
    for (mapping = NAT_ADM; mapping <= NAT_APDM; mapping++)
        for (allocation = NAT_COUNTER; allocation <= NAT_RANDOM; allocation++) {
            struct profile p = profile_of(mapping, allocation, 1);

            in.profile = &p;
            p.nat.filtering = NAT_ADF;
            assert_int_not_equal(predict(&in).shape, SHAPE_FIXED);
            p.nat.filtering = NAT_EIF;
            assert_int_equal(predict(&in).shape, SHAPE_FIXED);
            assert_int_equal(predict(&in).port, 50123);
            assert_false(predict(&in).once);
            assert_true(predict(&in).open);
            assert_int_equal(predict_anchors_needed(&p, &in.local, &public_address), 1);
            /* Somebody else's verdict is not to be counted on. */
            p.filtering_peer = 77;
            assert_int_not_equal(predict(&in).shape, SHAPE_FIXED);
        }
}

/* Arrival may be reordered within a burst, not between bursts. */
static void test_newest_anchor(void **state)
{
    struct profile p = profile_of(NAT_APDM, NAT_COUNTER, 1);
    struct observation anchors[3] = {{.at = NOW - 101 * TICK_MS, .step = 2},
                                     {.at = NOW - 100 * TICK_MS, .step = 1},
                                     {.at = NOW - 99 * TICK_MS, .step = 0}};
    double foreign;
    struct predict_input in = {.profile = &p,
                               .public_address = public_address,
                               .anchors = anchors,
                               .anchor_count = 3,
                               .at = NOW};
    int i;

    (void)state;
    for (i = 0; i < 3; i++)
        anchors[i].observed = endpoint_with_port(public_address, (uint16_t)(3000 + i));
    p.drift_sum = 100;
    p.drift_seconds = 1;
    assert_int_equal(predict(&in).port, 3000);
    foreign = predict(&in).foreign;
    /* A SYN that got lost and was sent again changes neither the order nor the age. */
    anchors[1].at += TICK_S;
    assert_int_equal(predict(&in).port, 3000);
    assert_true(predict(&in).foreign == foreign);
}

static void test_drift_and_age(void **state)
{
    struct profile p = profile_of(NAT_APDM, NAT_COUNTER, 1);
    struct predict_input in = {.profile = &p, .public_address = public_address, .at = NOW};
    struct prediction quiet, busy;
    struct prediction old;

    (void)state;
    p.last_port = 4000;
    p.drift_seconds = 10;
    quiet = predict(&in);
    p.drift_sum = 2000;
    busy = predict(&in);
    assert_true(quiet.foreign < 0.1);
    assert_true(fabs(busy.foreign - 200) < 5);
    in.at += 9 * TICK_S;
    busy = predict(&in);
    assert_true(fabs(busy.foreign - 2000) < 50);
    in.at += 30 * TICK_S;
    assert_int_equal(predict(&in).shape, SHAPE_RANDOM); /* rather than guess */
    in.at = NOW + 4 * PROFILE_FRESH;
    p.drift_sum = 0;
    old = predict(&in);
    assert_true(old.confidence < quiet.confidence / 3);
    in.at = 0; /* before the anchor */
    assert_true(predict(&in).foreign >= 0);
}

/* ---- arithmetic ---- */

static void test_counter_step(void **state)
{
    struct {
        uint16_t port;
        int32_t delta;
        int64_t steps;
        uint16_t low, high, expected;
    } t[] = {
        {4000, 1, 1, 1024, 65535, 4001},
        {4000, 2, 3, 1024, 65535, 4006},
        {4000, -1, 5, 1024, 65535, 3995},
        {4000, 1, -5, 1024, 65535, 3995},
        {65535, 1, 1, 1024, 65535, 1024},
        {1024, -1, 1, 1024, 65535, 65535},
        {65534, 7, 1, 1024, 65535, 1029},
        {10, 3, 5, 10, 12, 10},
        {4000, 1, 64512, 1024, 65535, 4000},
        {4000, -3, 64512 * 5LL, 1024, 65535, 4000},
        {65535, 1, 1, 1, 65535, 1},
        {7, 9, 100, 7, 7, 7},
        {4000, 5, 3, 9, 8, 4000}, /* no such range */
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        assert_int_equal(counter_step(t[i].port, t[i].delta, t[i].steps, t[i].low, t[i].high),
                         t[i].expected);
}

static void test_counter_step_properties(void **state)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 11);
    unsigned i;

    (void)state;
    for (i = 0; i < 100000; i++) {
        uint16_t low = (uint16_t)rng_u32(&rng), high = (uint16_t)rng_u32(&rng), port;
        int32_t delta = (int32_t)rng_u32(&rng);
        int64_t steps = (int64_t)((uint64_t)rng_u32(&rng) << 31) - rng_u32(&rng);
        uint16_t there;

        if (low > high)
            continue;
        port = (uint16_t)(low + rng_below(&rng, (uint32_t)high - low + 1));
        there = counter_step(port, delta, steps, low, high);
        assert_in_range(there, low, high);
        assert_int_equal(counter_step(there, delta, -steps, low, high), port);
        assert_int_equal(counter_step(there, delta, 1, low, high),
                         counter_step(port, delta, steps + 1, low, high));
    }
}

static void test_weights_sum_to_one(void **state)
{
    struct prediction t[] = {
        {.shape = SHAPE_FIXED, .port = 5, .low = 5, .high = 5},
        {.shape = SHAPE_BLOCK, .low = 100, .high = 611},
        {.shape = SHAPE_SHARED, .low = 100, .high = 611},
        {.shape = SHAPE_RANDOM, .low = 1024, .high = 65535},
        {.shape = SHAPE_COUNTER, .port = 4000, .delta = 1, .low = 1024, .high = 65535},
        {.shape = SHAPE_COUNTER,
         .port = 65530,
         .delta = 3,
         .foreign = 9,
         .low = 1024,
         .high = 65535},
        {.shape = SHAPE_COUNTER,
         .port = 1030,
         .delta = -2,
         .foreign = 9,
         .foreign_shape = .5,
         .low = 1024,
         .high = 65535},
        {.shape = SHAPE_COUNTER,
         .port = 50,
         .delta = 1,
         .foreign = 40,
         .foreign_shape = 20,
         .low = 40,
         .high = 70},
        {.shape = SHAPE_SHARED, .port = 4000, .delta = 1, .foreign = 1, .low = 1024, .high = 65535},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        double sum = 0;
        unsigned port;

        for (port = 0; port <= 65535; port++)
            sum += prediction_weight(&t[i], 3, (uint16_t)port);
        if (fabs(sum - 1) > 1e-3)
            fail_msg("row %d: %f", (int)i, sum);
    }
    assert_true(prediction_weight(&t[4], 2, 4002) == 1);
    assert_true(prediction_weight(&(struct prediction){.shape = SHAPE_NONE}, 1, 1) == 0);
}

/* The negative binomial has the mean it is given, and its spread is that of a mean only estimated.
 */
static void test_foreign_weight(void **state)
{
    struct prediction p = {.foreign = 12, .foreign_shape = 6};
    double mean = 0, square = 0;
    unsigned f;

    (void)state;
    for (f = 0; f < 400; f++) {
        mean += f * prediction_foreign_weight(&p, f);
        square += (double)f * f * prediction_foreign_weight(&p, f);
    }
    assert_true(fabs(mean - 12) < 1e-6);
    assert_true(fabs(square - mean * mean - (12 + 12 * 12 / 6.0)) < 1e-5);
}

/* ---- against simulated counters ---- */

/*
 * Survey, learn, observe an anchor, predict: how much weight does the prediction give to what then
 * comes, in port steps off the mean?
 */
static void test_simulated_counters(void **state)
{
    const struct {
        int32_t delta;
        double foreign;
        unsigned within; /* steps off the mean, 95 of 100 times */
    } t[] = {{1, 0, 1}, {1, 20, 4}, {-1, 20, 4}, {2, 200, 20}, {1, 200, 20}, {-3, 200, 20}};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        unsigned seed, good = 0, hopeful = 0;

        for (seed = 1; seed <= 300; seed++) {
            struct rng_seeded seeded;
            struct rng rng = rng_from_seed(&seeded, seed);
            struct survey_servers servers = nat_model_servers(2);
            struct nat_model m = {.mapping = NAT_APDM,
                                  .allocation = NAT_COUNTER,
                                  .delta = t[i].delta,
                                  .foreign = t[i].foreign,
                                  .public_address = public_address,
                                  .rng = &rng};
            struct observation obs[MSG_STEPS_MAX];
            struct steps steps = {0};
            tick now = NOW;
            struct profile p;
            struct predict_input in = {.profile = &p,
                                       .public_address = public_address,
                                       .local = private_local,
                                       .anchors = obs};
            struct prediction out;
            struct endpoint other = {.family = 4, .address = {192, 0, 2, 1}, .port = 99};
            uint16_t port;
            unsigned off, mean;
            size_t n;

            nat_model_start(&m, now);
            profile_init(&p);
            survey_plan(NULL, &servers, now, &rng, &steps);
            n = nat_model_observe(&m, &steps, 30000, 40 * TICK_MS, &now, obs);
            profile_learn(&p, obs, n, now);
            now += 300 * TICK_MS;
            steps.count = 0;
            survey_anchors(&p, &servers, 0, 2, &rng, &steps);
            in.anchor_count = nat_model_observe(&m, &steps, 20000, 40 * TICK_MS, &now, obs);
            profile_learn(&p, obs, in.anchor_count, now);
            in.at = now + 60 * TICK_MS;
            out = predict(&in);
            assert_int_equal(out.shape, SHAPE_COUNTER);
            port = nat_model_port(&m, 40000, other, in.at);
            hopeful += prediction_weight(&out, 1, port) > 1e-4;
            mean = (unsigned)(out.foreign + 0.5);
            for (off = 0; off <= t[i].within; off++)
                if (counter_step(out.port, out.delta, 1 + (int64_t)mean + off, out.low, out.high) ==
                        port ||
                    counter_step(out.port, out.delta, 1 + (int64_t)mean - off, out.low, out.high) ==
                        port)
                    break;
            good += off <= t[i].within;
        }
        print_message("delta %+d, %3.0f/s: %3u of 300 within %u steps, %u given some weight\n",
                      t[i].delta, t[i].foreign, good, t[i].within, hopeful);
        assert_true(good >= 285);
        assert_true(hopeful >= 297);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_open_mapping),
        cmocka_unit_test(test_newest_anchor),
        cmocka_unit_test(test_drift_and_age),
        cmocka_unit_test(test_counter_step),
        cmocka_unit_test(test_counter_step_properties),
        cmocka_unit_test(test_weights_sum_to_one),
        cmocka_unit_test(test_foreign_weight),
        cmocka_unit_test(test_simulated_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
