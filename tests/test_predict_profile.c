/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nat_model.h"
#include "server/predict_block.h"
#include "server/predict_counter.h"

#define RTT    (40 * TICK_MS)
#define ROUNDS 400

/* ---- tables: what is seen, and what is to be made of it ---- */

struct seen {
    uint16_t socket, local, port;
    uint8_t address; /* of the server: 0 or 1 */
    uint16_t server_port;
    uint16_t at_ms;
    bool burst;
};

#define SEEN_MAX 10

struct row {
    const char *name;
    struct seen seen[SEEN_MAX];
    enum nat_mapping mapping;
    enum nat_allocation allocation;
    int32_t delta;
};

static const struct row rows[] = {
    {"keeps ports, one mapping for all",
     {{2, 402, 402, 0, 1, 0, 0},
      {1, 401, 401, 0, 2, 0, 1},
      {0, 400, 400, 0, 1, 0, 1},
      {0, 400, 400, 0, 2, 0, 1},
      {0, 400, 400, 1, 1, 0, 1}},
     NAT_EIM,
     NAT_PRESERVE,
     0},
    {"one of three ports was taken",
     {{2, 402, 402, 0, 1, 0, 0},
      {1, 401, 9001, 0, 2, 0, 1},
      {0, 400, 400, 0, 1, 0, 1},
      {0, 400, 400, 1, 2, 0, 1}},
     NAT_EIM,
     NAT_PRESERVE,
     0},
    {"constant offset",
     {{2, 402, 1402, 0, 1, 0, 0},
      {1, 401, 1401, 0, 2, 0, 1},
      {3, 403, 1403, 0, 2, 0, 1},
      {0, 400, 1400, 0, 1, 0, 1},
      {0, 400, 1400, 1, 1, 0, 1}},
     NAT_EIM,
     NAT_OFFSET,
     1000},
    {"a counter over ascending local ports is no offset",
     {{0, 400, 1400, 0, 1, 0, 0},
      {1, 401, 1401, 0, 2, 0, 1},
      {2, 402, 1402, 0, 2, 0, 1},
      {3, 403, 1403, 0, 1, 0, 1}},
     NAT_MAPPING_UNKNOWN,
     NAT_COUNTER,
     1},
    {"steady climb by two, each connection",
     {{2, 402, 4000, 0, 1, 0, 0},
      {1, 401, 4002, 0, 2, 0, 1},
      {0, 400, 4004, 0, 1, 0, 1},
      {0, 400, 4006, 0, 2, 0, 1},
      {0, 400, 4008, 1, 1, 0, 1}},
     NAT_APDM,
     NAT_COUNTER,
     2},
    {"downwards, each socket",
     {{2, 402, 4000, 0, 1, 0, 0},
      {1, 401, 3999, 0, 2, 0, 1},
      {0, 400, 3998, 0, 1, 0, 1},
      {0, 400, 3998, 1, 2, 0, 1},
      {3, 403, 3997, 0, 1, 0, 1}},
     NAT_EIM,
     NAT_COUNTER,
     -1},
    {"by two, with foreign ports between",
     {{2, 402, 4000, 0, 1, 0, 0},
      {1, 401, 4002, 0, 2, 0, 1},
      {0, 400, 4006, 0, 1, 0, 1},
      {0, 400, 4008, 0, 2, 0, 1},
      {3, 403, 4048, 1, 1, 90, 0}},
     NAT_APDM,
     NAT_COUNTER,
     2},
    {"by one, though two bursts of it were stretched to two",
     {{2, 402, 4000, 0, 1, 0, 0},
      {1, 401, 4002, 0, 2, 0, 1},
      {0, 400, 4004, 0, 1, 0, 1},
      {0, 400, 4005, 0, 2, 0, 1},
      {3, 403, 4048, 1, 1, 90, 0}},
     NAT_APDM,
     NAT_COUNTER,
     1},
    {"round the end of the range",
     {{2, 402, 65534, 0, 1, 0, 0},
      {1, 401, 65535, 0, 2, 0, 1},
      {0, 400, 1024, 0, 1, 0, 1},
      {0, 400, 1025, 0, 2, 0, 1},
      {0, 400, 1026, 1, 1, 0, 1}},
     NAT_APDM,
     NAT_COUNTER,
     1},
    {"one step led astray",
     {{2, 402, 4000, 0, 1, 0, 0},
      {1, 401, 4001, 0, 2, 0, 1},
      {0, 400, 4002, 0, 1, 0, 1},
      {0, 400, 47111, 0, 2, 0, 1},
      {0, 400, 47112, 1, 1, 0, 1},
      {3, 403, 47113, 1, 1, 0, 1}},
     NAT_APDM,
     NAT_COUNTER,
     1},
    {"one port per server address, counted",
     {{2, 402, 4000, 0, 1, 0, 0},
      {1, 401, 4001, 0, 2, 0, 1},
      {0, 400, 4002, 0, 1, 0, 1},
      {0, 400, 4002, 0, 2, 0, 1},
      {0, 400, 4003, 1, 1, 0, 1},
      {3, 403, 4004, 0, 1, 0, 1}},
     NAT_ADM,
     NAT_COUNTER,
     1},
    {"second address differs, and nothing tells whether the port matters: the stricter",
     {{2, 402, 4000, 0, 1, 0, 0},
      {1, 401, 4001, 0, 2, 0, 1},
      {0, 400, 4002, 0, 1, 0, 1},
      {0, 400, 4003, 1, 1, 0, 1}},
     NAT_APDM,
     NAT_COUNTER,
     1},
    {"no pattern",
     {{2, 402, 14000, 0, 1, 0, 0},
      {1, 401, 61251, 0, 2, 0, 1},
      {0, 400, 4702, 0, 1, 0, 1},
      {0, 400, 33003, 1, 1, 0, 1}},
     NAT_APDM,
     NAT_RANDOM,
     0},
    {"inside a narrow block",
     {{2, 402, 14000, 0, 1, 0, 0},
      {1, 401, 14251, 0, 2, 0, 1},
      {0, 400, 14102, 0, 1, 0, 1},
      {0, 400, 14303, 1, 1, 0, 1},
      {3, 403, 14033, 1, 1, 0, 1}},
     NAT_APDM,
     NAT_BLOCK,
     0},
    {"one look tells little",
     {{0, 400, 4000, 0, 1, 0, 0}},
     NAT_MAPPING_UNKNOWN,
     NAT_ALLOCATION_UNKNOWN,
     0},
    {"one look at a kept port tells something",
     {{0, 400, 400, 0, 1, 0, 0}},
     NAT_MAPPING_UNKNOWN,
     NAT_PRESERVE,
     0},
};

static struct observation observed(const struct seen *s, uint8_t step)
{
    struct observation o = {
        .at = TICK_S + s->at_ms * TICK_MS,
        .observed = {.family = 4, .address = {203, 0, 113, 1}, .port = s->port},
        .local = {.family = 4, .address = {10, 0, 0, 2}, .port = s->local},
        .server = {.family = 4, .address = {198, 51, 100, s->address}, .port = s->server_port},
        .socket = s->socket,
        .step = step,
        .burst = s->burst,
    };
    return o;
}

static size_t load_row(const struct row *r, struct observation out[SEEN_MAX])
{
    uint8_t n;

    for (n = 0; n < SEEN_MAX && r->seen[n].port != 0; n++)
        out[n] = observed(&r->seen[n], n);
    return n;
}

static void test_rows(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        struct observation obs[SEEN_MAX];
        struct profile p;
        size_t n = load_row(r, obs);

        profile_init(&p);
        profile_learn(&p, obs, n, 2 * TICK_S);
        if (p.nat.mapping != r->mapping || p.nat.allocation != r->allocation ||
            p.nat.delta != r->delta)
            fail_msg("%s: %s, %s, delta %d", r->name, nat_mapping_name(p.nat.mapping),
                     nat_allocation_name(p.nat.allocation), p.nat.delta);
        assert_int_equal(p.nat.samples, n);
    }
}

/* The order in which observations are handed in must not matter, only that of their steps. */
static void test_order_of_arrival(void **state)
{
    size_t i, j;

    (void)state;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct observation obs[SEEN_MAX], back[SEEN_MAX];
        struct profile p, q;
        size_t n = load_row(&rows[i], obs);

        for (j = 0; j < n; j++)
            back[j] = obs[n - 1 - j];
        profile_init(&p);
        profile_init(&q);
        profile_learn(&p, obs, n, 2 * TICK_S);
        profile_learn(&q, back, n, 2 * TICK_S);
        assert_int_equal(p.nat.allocation, q.nat.allocation);
        assert_int_equal(p.nat.mapping, q.nat.mapping);
        assert_int_equal(p.last_port, q.last_port);
        assert_int_equal(p.nat.confidence, q.nat.confidence);
    }
}

static void test_untranslated(void **state)
{
    struct observation obs[3];
    struct profile p;
    uint8_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        struct seen s = {i, (uint16_t)(50000 + i), (uint16_t)(50000 + i), 0, 1, 0, i > 0};

        obs[i] = observed(&s, i);
        obs[i].local = obs[i].observed;
    }
    profile_init(&p);
    profile_learn(&p, obs, 3, TICK_S);
    assert_int_equal(p.nat.mapping, NAT_MAPPING_NONE);
    assert_true(profile_fresh(&p, TICK_S));
}

/* ---- over time ---- */

#define PEER  UINT64_C(0)
#define OTHER UINT64_C(77)

static void missed(struct profile *p, tick now)
{
    const struct outcome o = {.peer = PEER, .other = OTHER, .chance = 1};

    profile_learn_outcome(p, &o, now);
}

static void met(struct profile *p, uint16_t port, tick now)
{
    const struct outcome o = {
        .peer = PEER, .other = OTHER, .met = true, .port = port, .chance = 1};

    profile_learn_outcome(p, &o, now);
}

static void learn_row(struct profile *p, const char *name, tick now)
{
    struct observation obs[SEEN_MAX];
    size_t i, k, n;

    for (i = 0; strcmp(rows[i].name, name) != 0; i++)
        ;
    n = load_row(&rows[i], obs);
    for (k = 0; k < n; k++)
        obs[k].at += now;
    profile_learn(p, obs, n, now);
}

static void test_agreement_and_contradiction(void **state)
{
    struct profile p;
    uint8_t before;

    (void)state;
    profile_init(&p);
    assert_false(profile_fresh(&p, 0));
    learn_row(&p, "one of three ports was taken", TICK_S);
    before = p.nat.confidence;
    learn_row(&p, "keeps ports, one mapping for all", 2 * TICK_S);
    assert_true(p.nat.confidence > before);
    learn_row(&p, "steady climb by two, each connection", 3 * TICK_S);
    assert_int_equal(p.nat.mapping, NAT_APDM);
    assert_int_equal(p.nat.allocation, NAT_COUNTER);
    assert_int_equal(p.nat.delta, 2);
    learn_row(&p, "keeps ports, one mapping for all", 4 * TICK_S);
    assert_int_equal(p.nat.mapping, NAT_EIM);
    assert_int_equal(p.nat.allocation, NAT_PRESERVE);
    assert_int_equal(p.nat.delta, 0);
    assert_int_equal(p.nat.drift, 0);
}

static void test_small_batches(void **state)
{
    struct seen wrong[2] = {{0, 500, 7000, 0, 1, 0, 0}, {1, 503, 9000, 0, 1, 0, 1}};
    struct observation obs[2] = {observed(&wrong[0], 0), observed(&wrong[1], 1)};
    struct profile p;

    (void)state;
    profile_init(&p);
    learn_row(&p, "keeps ports, one mapping for all", TICK_S);
    profile_learn(&p, obs, 1, 2 * TICK_S);
    assert_int_equal(p.nat.allocation, NAT_PRESERVE); /* one may be a collision */
    assert_true(p.nat.confidence < 99);
    profile_learn(&p, obs, 2, 3 * TICK_S);
    assert_int_equal(p.nat.allocation, NAT_ALLOCATION_UNKNOWN); /* two are not */
}

static void test_freshness(void **state)
{
    struct profile p;

    (void)state;
    profile_init(&p);
    learn_row(&p, "keeps ports, one mapping for all", TICK_S);
    assert_true(profile_fresh(&p, TICK_S));
    assert_true(profile_fresh(&p, PROFILE_FRESH));
    assert_false(profile_fresh(&p, TICK_S + PROFILE_FRESH));
    assert_false(profile_fresh(&p, 0)); /* learnt in another boot's future */
    assert_false(profile_refusal_known(&p, TICK_S));
    profile_learn_refusal(&p, NAT_RST, TICK_S);
    assert_true(profile_refusal_known(&p, TICK_S));
    assert_int_equal(p.nat.refusal, NAT_RST);
    assert_false(profile_refusal_known(&p, TICK_S + PROFILE_FRESH));
}

static void test_outcomes(void **state)
{
    struct profile p;
    int i;

    (void)state;
    profile_init(&p);
    missed(&p, TICK_S); /* of nothing, nothing is learnt */
    assert_int_equal(p.misses, 0);
    learn_row(&p, "keeps ports, one mapping for all", TICK_S);
    for (i = 0; i < 3; i++) {
        assert_true(profile_fresh(&p, TICK_S));
        missed(&p, TICK_S);
    }
    assert_false(profile_fresh(&p, TICK_S));
    met(&p, 400, TICK_S);
    assert_int_equal(p.hits, 1);
    assert_int_equal(p.misses, 0);
    assert_true(profile_fresh(&p, TICK_S));
    assert_int_equal(p.nat.mapping, NAT_EIM); /* both addresses were seen: no doubt to turn to */
}

/* With one server address EIM and ADM look alike: a miss turns to the other, a hit settles it. */
static void test_one_address(void **state)
{
    struct observation obs[SEEN_MAX];
    struct profile p;
    size_t i, n = load_row(&rows[0], obs);

    (void)state;
    for (i = 0; i < n; i++) {
        obs[i].server.address[3] = 0;
        obs[i].server.port = (uint16_t)(5000 + i);
    }
    profile_init(&p);
    profile_learn(&p, obs, n, TICK_S);
    assert_int_equal(p.nat.mapping, NAT_EIM);
    assert_true(p.one_address);
    missed(&p, TICK_S);
    assert_int_equal(p.nat.mapping, NAT_ADM);
    profile_learn(&p, obs, n, TICK_S); /* says nothing new about that */
    assert_int_equal(p.nat.mapping, NAT_ADM);
    missed(&p, TICK_S);
    assert_int_equal(p.nat.mapping, NAT_EIM);
    met(&p, 400, TICK_S);
    missed(&p, TICK_S);
    assert_int_equal(p.nat.mapping, NAT_EIM);
}

/* ---- simulated NATs ---- */

struct scenario {
    const char *name;
    struct nat_model model;
    unsigned addresses;
    enum nat_mapping mapping;
    double accuracy; /* at least */
};

/* clang-format off */
static const struct scenario scenarios[] = {
    {"preserve", {.mapping = NAT_EIM, .allocation = NAT_PRESERVE}, 2, NAT_EIM, 1},
    {"preserve, one address", {.mapping = NAT_EIM, .allocation = NAT_PRESERVE}, 1, NAT_EIM, 1},
    {"preserve, collisions", {.mapping = NAT_EIM, .allocation = NAT_PRESERVE, .collisions = .05}, 2, NAT_EIM, .995},
    {"offset", {.mapping = NAT_EIM, .allocation = NAT_OFFSET, .delta = 3000}, 2, NAT_EIM, 1},
    {"offset down", {.mapping = NAT_EIM, .allocation = NAT_OFFSET, .delta = -7}, 2, NAT_EIM, 1},
    {"eim +1", {.mapping = NAT_EIM, .allocation = NAT_COUNTER, .delta = 1}, 2, NAT_EIM, 1},
    {"eim +1, 20/s", {.mapping = NAT_EIM, .allocation = NAT_COUNTER, .delta = 1, .foreign = 20}, 2, NAT_EIM, .995},
    {"eim random", {.mapping = NAT_EIM, .allocation = NAT_RANDOM}, 2, NAT_EIM, .99},
    {"adm +1", {.mapping = NAT_ADM, .allocation = NAT_COUNTER, .delta = 1}, 2, NAT_ADM, 1},
    {"adm random", {.mapping = NAT_ADM, .allocation = NAT_RANDOM}, 2, NAT_ADM, .99},
    {"apdm +1", {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = 1}, 2, NAT_APDM, 1},
    {"apdm +1, one address", {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = 1}, 1, NAT_APDM, 1},
    {"apdm +1, 20/s", {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = 1, .foreign = 20}, 2, NAT_APDM, .995},
    {"apdm +1, 200/s", {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = 1, .foreign = 200}, 2, NAT_APDM, .99},
    {"apdm +1, 2000/s", {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = 1, .foreign = 2000}, 2, NAT_APDM, .97},
    {"apdm +2", {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = 2}, 2, NAT_APDM, 1},
    {"apdm +2, 200/s", {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = 2, .foreign = 200}, 2, NAT_APDM, .99},
    {"apdm -1", {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = -1}, 2, NAT_APDM, 1},
    {"apdm -1, 20/s", {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = -1, .foreign = 20}, 2, NAT_APDM, .995},
    {"apdm +3, 200/s", {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = 3, .foreign = 200}, 2, NAT_APDM, .99},
    {"apdm +7, 20/s", {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = 7, .foreign = 20}, 2, NAT_APDM, .99},
    {"apdm -64", {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = -64}, 2, NAT_APDM, 1},
    {"apdm +5 in a range of its own", {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = 5, .low = 50001, .high = 65535}, 2, NAT_APDM, .99},
    {"apdm block of 512", {.mapping = NAT_APDM, .allocation = NAT_BLOCK, .low = 20480, .high = 20991}, 2, NAT_APDM, .99},
    {"apdm block of 2048", {.mapping = NAT_APDM, .allocation = NAT_BLOCK, .low = 20480, .high = 22527}, 2, NAT_APDM, .99},
    {"apdm block of 64", {.mapping = NAT_APDM, .allocation = NAT_BLOCK, .low = 20480, .high = 20543}, 2, NAT_APDM, .98},
    {"apdm random", {.mapping = NAT_APDM, .allocation = NAT_RANDOM}, 2, NAT_APDM, .99},
    {"none", {.mapping = NAT_MAPPING_NONE, .allocation = NAT_PRESERVE}, 2, NAT_MAPPING_NONE, 1},
};
/* clang-format on */

static bool classified(const struct scenario *s, uint64_t seed, struct profile *p)
{
    struct rng_seeded state;
    struct rng rng = rng_from_seed(&state, seed);
    struct survey_servers servers = nat_model_servers(s->addresses);
    struct observation obs[MSG_STEPS_MAX];
    struct steps steps = {0};
    struct nat_model m = s->model;
    tick now = 100 * TICK_S;
    size_t n;

    m.rng = &rng;
    m.public_address = (struct endpoint){.family = 4, .address = {203, 0, 113, 7}};
    nat_model_start(&m, now);
    profile_init(p);
    survey_plan(NULL, &servers, now, &rng, &steps);
    n = nat_model_observe(&m, &steps, (uint16_t)(32768 + rng_below(&rng, 20000)), RTT, &now, obs);
    profile_learn(p, obs, n, now);
    if (p->nat.mapping != s->mapping || p->nat.allocation != s->model.allocation)
        return false;
    return s->model.allocation != NAT_COUNTER || p->nat.delta == s->model.delta;
}

static void test_simulated(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        const struct scenario *s = &scenarios[i];
        unsigned right = 0;
        uint64_t seed, wrong = 0;
        struct profile p;

        for (seed = 1; seed <= ROUNDS; seed++) {
            if (classified(s, seed, &p))
                right++;
            else
                wrong = seed;
        }
        print_message("%-32s %5.1f%% right", s->name, 100.0 * right / ROUNDS);
        if (wrong != 0) {
            classified(s, wrong, &p);
            print_message(" (seed %u: %s, %s, %d)", (unsigned)wrong,
                          nat_mapping_name(p.nat.mapping), nat_allocation_name(p.nat.allocation),
                          p.nat.delta);
        }
        print_message("\n");
        assert_true(right >= s->accuracy * ROUNDS);
    }
}

/* Drift is learnt within a survey and, better, from one batch to the next. */
static void test_drift(void **state)
{
    const double rates[] = {0, 20, 200, 2000};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct rng_seeded seeded;
        struct rng rng = rng_from_seed(&seeded, 7 + i);
        struct survey_servers servers = nat_model_servers(2);
        struct observation obs[MSG_STEPS_MAX];
        struct nat_model m = {.mapping = NAT_APDM,
                              .allocation = NAT_COUNTER,
                              .delta = i % 2 ? -1 : 1,
                              .foreign = rates[i],
                              .rng = &rng};
        tick now = TICK_S;
        struct profile p;
        unsigned k;

        m.public_address = (struct endpoint){.family = 4, .address = {203, 0, 113, 7}};
        nat_model_start(&m, now);
        profile_init(&p);
        for (k = 0; k < 6; k++) {
            struct steps steps = {0};
            size_t n;

            if (k == 0)
                survey_plan(NULL, &servers, now, &rng, &steps);
            else
                survey_anchors(&p, &servers, (uint16_t)(k * 1024), 2, &rng, &steps);
            n = nat_model_observe(&m, &steps, (uint16_t)(20000 + 100 * k), RTT, &now, obs);
            profile_learn(&p, obs, n, now);
            now += 500 * TICK_MS;
        }
        print_message("rate %6.0f: drift %.1f/s\n", rates[i], p.nat.drift / 1000.0);
        assert_int_equal(p.nat.allocation, NAT_COUNTER);
        assert_true(p.nat.drift / 1000.0 <= rates[i] * 1.3 + 1);
        assert_true(p.nat.drift / 1000.0 >= rates[i] * 0.7);
    }
}

/* Whatever is handed in, nothing breaks and what comes out is in range. */
static void test_any_input(void **state)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 42);
    struct profile p;
    unsigned round;

    (void)state;
    profile_init(&p);
    for (round = 0; round < 3000; round++) {
        struct observation obs[80];
        size_t i, n = rng_below(&rng, 80);

        rng_fill(&rng, obs, sizeof(obs));
        for (i = 0; i < n; i++) {
            obs[i].burst = rng_below(&rng, 2);
            obs[i].observed.family = 4;
            obs[i].socket %= 4;
            obs[i].at = rng_interval(&rng, TICK_NEVER / 4);
            if (round % 2)
                obs[i].observed.port = (uint16_t)(obs[i].observed.port % 8);
        }
        profile_learn(&p, obs, n, rng_interval(&rng, TICK_NEVER / 4));
        if (rng_below(&rng, 2))
            met(&p, obs[0].observed.port, TICK_S);
        else
            missed(&p, TICK_S);
        assert_true(p.nat.confidence <= 99);
        assert_true(p.nat.block_low <= p.nat.block_high);
        assert_true(p.nat.allocation != NAT_COUNTER || p.nat.delta != 0);
    }
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(predict_counter_distance(1024, 1026, 1024, 65535), 2);
    assert_int_equal(predict_counter_distance(65535, 1024, 1024, 65535), 1);
    assert_int_equal(predict_counter_distance(1024, 65535, 1024, 65535), -1);
    assert_int_equal(predict_counter_distance(4000, 4000, 1024, 65535), 0);
    assert_int_equal(predict_counter_distance(10, 19, 10, 19), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),          cmocka_unit_test(test_order_of_arrival),
        cmocka_unit_test(test_untranslated),  cmocka_unit_test(test_agreement_and_contradiction),
        cmocka_unit_test(test_small_batches), cmocka_unit_test(test_freshness),
        cmocka_unit_test(test_outcomes),      cmocka_unit_test(test_one_address),
        cmocka_unit_test(test_distance),      cmocka_unit_test(test_simulated),
        cmocka_unit_test(test_drift),         cmocka_unit_test(test_any_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
