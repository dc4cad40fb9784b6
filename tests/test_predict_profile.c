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
#include "server/predict.h"
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
    const struct outcome o = {.peer = PEER, .other = OTHER, .met = true, .port = port, .chance = 1};

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

/* ---- many rates and deltas ---- */

static struct nat_model counter_model(int32_t delta, double rate, const struct rng *rng)
{
    return (struct nat_model){.mapping = NAT_APDM,
                              .allocation = NAT_COUNTER,
                              .delta = delta,
                              .foreign = rate,
                              .public_address = {.family = 4, .address = {203, 0, 113, 7}},
                              .rng = rng};
}

static size_t survey_of(struct nat_model *m, const struct profile *p, uint64_t peer, tick *now,
                        struct observation obs[MSG_STEPS_MAX])
{
    struct survey_servers servers = nat_model_servers(2);
    struct steps steps = {0};
    size_t i, n;

    survey_plan(p, &servers, *now, m->rng, &steps);
    n = nat_model_observe(m, &steps, (uint16_t)(32768 + rng_below(m->rng, 20000)), RTT, now, obs);
    for (i = 0; i < n; i++)
        obs[i].peer = peer;
    return n;
}

static size_t anchors_of(struct nat_model *m, const struct profile *p, unsigned count,
                         uint64_t peer, tick *now, struct observation obs[MSG_STEPS_MAX])
{
    struct survey_servers servers = nat_model_servers(2);
    struct steps steps = {0};
    size_t i, n;

    survey_anchors(p, &servers, 0, count, m->rng, &steps);
    n = nat_model_observe(m, &steps, (uint16_t)(10000 + rng_below(m->rng, 20000)), RTT, now, obs);
    for (i = 0; i < n; i++)
        obs[i].peer = peer;
    return n;
}

/*
 * What one survey makes of a counter: recognised with its delta, or taken for random because it
 * cannot be predicted; never for something that would be predicted wrong.
 */
static void test_rates_and_deltas(void **state)
{
    static const double rates[] = {0, 20, 200, 1000, 5000};
    static const int32_t deltas[] = {1, -1, 2, -2, 3, 8, 64};
    enum { SEEDS = 200 };
    size_t r, d;

    (void)state;
    print_message("recognised of %d, then wrong, at 0, 20, 200, 1000, 5000 foreign/s:\n", SEEDS);
    for (d = 0; d < sizeof(deltas) / sizeof(deltas[0]); d++) {
        print_message("delta %+3d:", deltas[d]);
        for (r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
            unsigned right = 0, wrong = 0;
            uint64_t seed;

            for (seed = 1; seed <= SEEDS; seed++) {
                struct rng_seeded seeded;
                struct rng rng = rng_from_seed(&seeded, seed * 31 + r);
                struct nat_model m = counter_model(deltas[d], rates[r], &rng);
                struct observation obs[MSG_STEPS_MAX];
                tick now = 100 * TICK_S;
                struct profile p;

                nat_model_start(&m, now);
                profile_init(&p);
                profile_learn(&p, obs, survey_of(&m, NULL, 0, &now, obs), now);
                if (p.nat.allocation == NAT_COUNTER && p.nat.delta == deltas[d])
                    right++;
                else if (p.nat.allocation != NAT_RANDOM)
                    wrong++;
            }
            print_message("  %3u %u", right, wrong);
            assert_true(right >= SEEDS * (rates[r] <= 1000 ? 0.99 : 0.9));
            assert_true(wrong <= SEEDS * 0.03);
        }
        print_message("\n");
    }
}

/* ---- counters in narrow ranges, and several of them ---- */

static void test_counter_in_a_block(void **state)
{
    static const double rates[] = {0.5, 20};
    unsigned bounded = 0, r, k;
    uint64_t seed;

    (void)state;
    for (r = 0; r < 2; r++) {
        for (seed = 1; seed <= 20; seed++) {
            struct rng_seeded seeded;
            struct rng rng = rng_from_seed(&seeded, seed);
            struct nat_model m = counter_model(1, rates[r], &rng);
            struct observation obs[MSG_STEPS_MAX];
            tick now = 100 * TICK_S;
            struct profile p;

            m.low = 20480;
            m.high = 20991;
            nat_model_start(&m, now);
            profile_init(&p);
            profile_learn(&p, obs, survey_of(&m, NULL, 0, &now, obs), now);
            for (k = 0; k < 200; k++) {
                now += 13 * TICK_S;
                profile_learn(&p, obs, anchors_of(&m, &p, 4, 0, &now, obs), now);
                assert_int_equal(p.nat.allocation, NAT_COUNTER);
                assert_int_equal(p.nat.delta, 1);
                assert_true(p.nat.drift <= 3 * 1000 * (uint32_t)(rates[r] + 3));
            }
            bounded += p.nat.block_low >= m.low && p.nat.block_low < m.low + 16 &&
                       p.nat.block_high <= m.high && p.nat.block_high > m.high - 16;
        }
    }
    print_message("bounds of a counter in 512 ports: %u of 40 known to 16 ports\n", bounded);
    assert_true(bounded >= 32);
}

/* A turn seen in a burst gives the bounds at once, and the next ports are predicted round it. */
static void test_counter_turns_in_a_burst(void **state)
{
    const uint16_t ports[] = {20989, 20990, 20991, 20480, 20481, 20482};
    struct observation obs[6];
    struct predict_input in = {.socket = 9};
    struct prediction out;
    struct profile p;
    uint8_t i;

    (void)state;
    for (i = 0; i < 6; i++) {
        struct seen s = {i, (uint16_t)(400 + 7 * i * i % 31), ports[i], 0, 1, 0, i > 0};

        obs[i] = observed(&s, i);
    }
    profile_init(&p);
    profile_learn(&p, obs, 6, 2 * TICK_S);
    assert_int_equal(p.nat.allocation, NAT_COUNTER);
    assert_int_equal(p.nat.block_low, 20480);
    assert_int_equal(p.nat.block_high, 20991);
    in.profile = &p;
    in.public_address = obs[0].observed;
    in.anchors = obs;
    in.anchor_count = 3; /* up to the last port of the range */
    in.at = TICK_S;
    out = predict(&in);
    assert_int_equal(out.shape, SHAPE_COUNTER);
    assert_true(prediction_weight(&out, 1, 20480) > 0.5);
}

/* Each subscriber has a counter of its own, far from the others': no wild drift between them. */
static void test_counter_per_subscriber(void **state)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 5);
    struct nat_model m[2];
    struct observation obs[MSG_STEPS_MAX];
    tick now = 100 * TICK_S;
    struct profile p;
    unsigned k, i;

    (void)state;
    profile_init(&p);
    for (i = 0; i < 2; i++) {
        m[i] = counter_model(1, 3, &rng);
        nat_model_start(&m[i], now);
        profile_learn(&p, obs, survey_of(&m[i], NULL, 10 + i, &now, obs), now);
    }
    for (k = 0; k < 40; k++) {
        struct predict_input in = {.profile = &p, .peer = 10 + k % 2, .at = now + 100 * TICK_MS};
        struct prediction out;

        now += 2 * TICK_S;
        profile_learn(&p, obs, anchors_of(&m[k % 2], &p, 2, in.peer, &now, obs), now);
        assert_int_equal(p.nat.allocation, NAT_COUNTER);
        in.public_address = obs[0].observed;
        out = predict(&in); /* even without an anchor: from this peer's own newest mapping */
        assert_int_equal(out.port, obs[1].observed.port);
    }
    print_message("two subscribers' counters, 3/s each: drift %.1f/s\n", p.nat.drift / 1000.0);
    assert_true(p.nat.drift > 1500 && p.nat.drift < 6000);
}

/* Mappings alternate between two counters, by a hash of the connection. */
static void test_counters_in_turn(void **state)
{
    unsigned right = 0, wrong = 0;
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 200; seed++) {
        struct rng_seeded seeded;
        struct rng rng = rng_from_seed(&seeded, seed);
        uint16_t last[2] = {(uint16_t)(5000 + rng_below(&rng, 20000)),
                            (uint16_t)(35000 + rng_below(&rng, 20000))};
        struct nat_model m = counter_model(1, 0, &rng);
        struct observation obs[MSG_STEPS_MAX];
        tick now = 100 * TICK_S;
        struct profile p;
        size_t i, n;

        nat_model_start(&m, now);
        n = survey_of(&m, NULL, 0, &now, obs);
        for (i = 0; i < n; i++)
            obs[i].observed.port = ++last[rng_below(&rng, 2)];
        profile_init(&p);
        profile_learn(&p, obs, n, now);
        if (p.nat.allocation == NAT_COUNTER && p.nat.delta == 1)
            right++;
        else if (p.nat.allocation != NAT_RANDOM)
            wrong++;
        assert_true(p.nat.drift < 100 * 1000);
    }
    print_message("two counters in turn: %u of 200 recognised, %u wrong\n", right, wrong);
    assert_true(right >= 150);
    assert_true(wrong <= 10);
}

/* ---- several peers, one of them lying ---- */

enum { LIAR = 99, HONEST = 4 };

/* What a liar may show: its own ports at will, and any local ports it likes to claim. */
static size_t lie(const struct rng *rng, tick *now, struct observation obs[MSG_STEPS_MAX])
{
    unsigned kind = rng_below(rng, 5);
    uint16_t base = (uint16_t)(2000 + rng_below(rng, 60000));
    size_t i, n = 1 + rng_below(rng, 12);

    for (i = 0; i < n; i++) {
        struct seen s = {(uint16_t)i, 0, 0, (uint8_t)(i & 1), (uint16_t)(1 + i % 3), 0, i > 0};

        if (kind == 0)
            s.port = (uint16_t)(base + 7 * i); /* a counter of another delta */
        else if (kind == 1)
            s.port = (uint16_t)(2000 + rng_below(rng, 60000));
        else if (kind == 2)
            s.port = (uint16_t)(base + rng_below(rng, 64));
        else
            s.port = (uint16_t)(base + 500 * i);
        s.local = kind == 3 ? s.port : kind == 4 ? (uint16_t)(s.port - 300) : base;
        s.socket = rng_below(rng, 4) == 0 ? 0 : s.socket;
        obs[i] = observed(&s, (uint8_t)i);
        obs[i].at = *now + (tick)i * TICK_MS;
        obs[i].peer = LIAR;
    }
    *now += 20 * TICK_MS;
    return n;
}

static void lie_about_rounds(struct profile *p, const struct rng *rng, tick now)
{
    struct outcome o = {
        .peer = LIAR, .other = rng_u32(rng), .met = rng_below(rng, 2), .port = 4711, .chance = 1};

    profile_learn_outcome(p, &o, now);
}

static bool as_told(const struct profile *view, const struct nat_model *m)
{
    return view->nat.mapping == m->mapping && view->nat.allocation == m->allocation &&
           (m->allocation == NAT_BLOCK || m->allocation == NAT_RANDOM ||
            view->nat.delta == m->delta);
}

static const struct nat_model honest_nats[] = {
    {.mapping = NAT_EIM, .allocation = NAT_PRESERVE},
    {.mapping = NAT_EIM, .allocation = NAT_OFFSET, .delta = 3000},
    {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = 1, .foreign = 20},
    {.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = -2, .foreign = 200},
    {.mapping = NAT_ADM, .allocation = NAT_COUNTER, .delta = 1},
    {.mapping = NAT_APDM, .allocation = NAT_BLOCK, .low = 20480, .high = 20991},
    {.mapping = NAT_APDM, .allocation = NAT_RANDOM},
};
#define HONEST_NATS (sizeof(honest_nats) / sizeof(honest_nats[0]))

/*
 * Honest peers are surveyed now and then, a liar shows and claims anything in between. Each honest
 * peer's own view stays right, and so does that of a newcomer that relies on the others.
 */
static void test_a_liar_among_honest_peers(void **state)
{
    unsigned own = 0, own_wrong = 0, newcomers = 0, newcomers_wrong = 0;
    uint64_t seed;
    size_t k;

    (void)state;
    for (k = 0; k < HONEST_NATS; k++) {
        for (seed = 1; seed <= 20; seed++) {
            struct rng_seeded seeded;
            struct rng rng = rng_from_seed(&seeded, seed);
            struct nat_model m = honest_nats[k];
            struct observation obs[MSG_STEPS_MAX];
            tick now = 100 * TICK_S;
            struct profile p, view;
            unsigned round;

            m.rng = &rng;
            m.public_address = (struct endpoint){.family = 4, .address = {203, 0, 113, 1}};
            nat_model_start(&m, now);
            profile_init(&p);
            for (round = 0; round < 40; round++) {
                uint64_t peer = 1 + round % HONEST;

                nat_model_forget(&m); /* earlier flows are over */
                profile_learn(&p, obs, survey_of(&m, NULL, peer, &now, obs), now);
                view = profile_view(&p, peer, now);
                own++;
                own_wrong += !as_told(&view, &m);
                assert_false(view.second_hand);
                if (rng_below(&rng, 2)) {
                    profile_learn(&p, obs, lie(&rng, &now, obs), now);
                    lie_about_rounds(&p, &rng, now);
                }
                view = profile_view(&p, 1000 + round, now);
                if (round > 2) {
                    newcomers++;
                    newcomers_wrong += !view.second_hand && !as_told(&view, &m);
                }
                now += 5 * TICK_S;
            }
        }
    }
    print_message("with a liar: own views wrong %u of %u, newcomers misled %u of %u\n", own_wrong,
                  own, newcomers_wrong, newcomers);
    assert_true(own_wrong * 100 <= own);
    assert_true(newcomers_wrong * 100 <= newcomers);
}

/* The first to speak is the liar: whoever comes next is asked for a survey of its own. */
static void test_a_liar_comes_first(void **state)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 3);
    struct observation obs[MSG_STEPS_MAX];
    struct nat_model m = counter_model(1, 0, &rng);
    tick now = 100 * TICK_S;
    struct profile p, view;
    size_t n;

    (void)state;
    nat_model_start(&m, now);
    profile_init(&p);
    n = load_row(&rows[0], obs); /* "keeps ports", it says */
    for (size_t i = 0; i < n; i++)
        obs[i].peer = LIAR;
    profile_learn(&p, obs, n, now);
    assert_true(profile_fresh(&p, now));
    view = profile_view(&p, 1, now);
    assert_false(profile_fresh(&view, now));
    /* Already one burst of two tells the newcomer that it is not so for itself ... */
    profile_learn(&p, obs, anchors_of(&m, &view, 2, 1, &now, obs), now);
    view = profile_view(&p, 1, now);
    assert_int_not_equal(view.nat.allocation, NAT_PRESERVE);
    assert_false(profile_fresh(&view, now));
    /* ... and its survey what it is; the liar's view is left to the liar. */
    profile_learn(&p, obs, survey_of(&m, NULL, 1, &now, obs), now);
    view = profile_view(&p, 1, now);
    assert_int_equal(view.nat.allocation, NAT_COUNTER);
    assert_true(profile_fresh(&view, now));
    view = profile_view(&p, LIAR, now);
    assert_int_equal(view.nat.allocation, NAT_PRESERVE);
    view = profile_view(&p, 2, now);
    assert_true(view.second_hand); /* one against one */
    profile_learn(&p, obs, survey_of(&m, NULL, 2, &now, obs), now);
    view = profile_view(&p, 3, now);
    assert_int_equal(view.nat.allocation, NAT_COUNTER);
    assert_true(profile_fresh(&view, now)); /* two against one */
}

/* Two that agree are enough for a third to do without a survey. */
static void test_peers_vouch_for_each_other(void **state)
{
    struct observation obs[SEEN_MAX];
    size_t i, n = load_row(&rows[0], obs);
    struct profile p, view;
    uint64_t peer;

    (void)state;
    profile_init(&p);
    for (peer = 1; peer <= 2; peer++) {
        view = profile_view(&p, peer, TICK_S);
        assert_false(profile_fresh(&view, TICK_S));
        for (i = 0; i < n; i++)
            obs[i].peer = peer;
        profile_learn(&p, obs, n, TICK_S);
    }
    view = profile_view(&p, 3, TICK_S);
    assert_true(profile_fresh(&view, TICK_S));
    assert_true(profile_trust(&view) > 0.95);
    print_message("own %.4f, a stranger's %.4f\n", profile_trust(&p), profile_trust(&view));
    assert_true(profile_trust(&view) < profile_trust(&p));
    /* What the store brings back counts as much: a restart costs no surveys. */
    memset(p.voices, 0, sizeof(p.voices));
    view = profile_view(&p, 4, TICK_S);
    assert_true(profile_fresh(&view, TICK_S));
    profile_learn(&p, obs, 1, TICK_S);
    view = profile_view(&p, 4, TICK_S);
    assert_true(profile_fresh(&view, TICK_S));
}

/* A NAT that really changed: right for each peer with its own survey, and for all after two. */
static void test_a_nat_changes(void **state)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 8);
    struct nat_model m = {.mapping = NAT_EIM, .allocation = NAT_PRESERVE, .rng = &rng};
    struct observation obs[MSG_STEPS_MAX];
    tick now = 100 * TICK_S;
    struct profile p, view;
    uint64_t peer;

    (void)state;
    m.public_address = (struct endpoint){.family = 4, .address = {203, 0, 113, 1}};
    nat_model_start(&m, now);
    profile_init(&p);
    for (peer = 1; peer <= 3; peer++)
        profile_learn(&p, obs, survey_of(&m, NULL, peer, &now, obs), now);
    m.mapping = NAT_APDM;
    m.allocation = NAT_RANDOM;
    nat_model_forget(&m);
    now += 60 * TICK_S;
    profile_learn(&p, obs, survey_of(&m, NULL, 1, &now, obs), now);
    view = profile_view(&p, 1, now);
    assert_true(as_told(&view, &m));
    profile_learn(&p, obs, survey_of(&m, NULL, 2, &now, obs), now);
    view = profile_view(&p, 4, now);
    assert_true(as_told(&view, &m));
    assert_int_equal(p.nat.allocation, NAT_RANDOM);
}

/* Rounds that fail on purpose: of bounded weight, whoever is behind it. */
static void test_failed_rounds_are_bounded(void **state)
{
    struct outcome o = {.peer = LIAR, .chance = 1};
    struct observation obs[SEEN_MAX];
    size_t i, n = load_row(&rows[0], obs);
    struct profile p, view;
    uint64_t peer;
    double before;

    (void)state;
    profile_init(&p);
    for (peer = 1; peer <= 3; peer++) {
        for (i = 0; i < n; i++)
            obs[i].peer = peer == 3 ? LIAR : peer;
        profile_learn(&p, obs, n, TICK_S);
    }
    view = profile_view(&p, 1, TICK_S);
    before = profile_trust(&view);
    /* One behind this NAT that lets all its rounds fail, with ever new others. */
    for (i = 0; i < 1000; i++) {
        o.other = 1000 + i;
        profile_learn_outcome(&p, &o, TICK_S);
    }
    view = profile_view(&p, 1, TICK_S);
    assert_true(profile_fresh(&view, TICK_S));
    assert_true(profile_trust(&view) > 0.7 && profile_trust(&view) <= before);
    view = profile_view(&p, 55, TICK_S);
    assert_true(profile_fresh(&view, TICK_S));
    /* One that lets the rounds of an honest peer fail, again and again: as two misses. */
    o.peer = 1;
    o.other = 500;
    profile_learn_outcome(&p, &o, TICK_S);
    view = profile_view(&p, 1, TICK_S);
    before = profile_trust(&view);
    for (i = 0; i < 8; i++)
        profile_learn_outcome(&p, &o, TICK_S);
    view = profile_view(&p, 1, TICK_S);
    assert_true(profile_trust(&view) > before - 0.05);
    /* What was bound to fail proves nothing. */
    before = profile_trust(&view);
    o.chance = 0.2;
    profile_learn_outcome(&p, &o, TICK_S);
    view = profile_view(&p, 1, TICK_S);
    assert_true(profile_trust(&view) >= before);
}

/* One that makes the counter race during its own surveys does not speed it up for others. */
static void test_drift_of_a_liar(void **state)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 4);
    struct nat_model m = counter_model(1, 20, &rng);
    struct observation obs[MSG_STEPS_MAX];
    tick now = 100 * TICK_S;
    struct profile p, view;
    unsigned k;
    size_t i, n;

    (void)state;
    nat_model_start(&m, now);
    profile_init(&p);
    for (k = 0; k < 30; k++) {
        uint64_t peer = k % 3 == 2 ? LIAR : k % 3;

        n = survey_of(&m, NULL, peer, &now, obs);
        for (i = 0; peer == LIAR && i < n; i++)
            obs[i].observed.port = (uint16_t)(obs[i].observed.port + (i > 5 ? 900 : 0));
        profile_learn(&p, obs, n, now);
        now += 3 * TICK_S;
    }
    view = profile_view(&p, 1, now);
    print_message("drift at 20/s beside a liar: %.1f/s\n", view.nat.drift / 1000.0);
    assert_true(view.nat.drift > 12000 && view.nat.drift < 32000);
}

/* ---- blocks ---- */

/* The mean error of the bounds, in ports; how often both are exact. */
static double bounds_error(uint16_t low, unsigned size, unsigned looks, unsigned *exact)
{
    struct profile p;
    double sum = 0;
    uint64_t seed;

    profile_init(&p);
    p.nat.allocation = NAT_BLOCK;
    *exact = 0;
    for (seed = 1; seed <= 400; seed++) {
        struct rng_seeded seeded;
        struct rng rng = rng_from_seed(&seeded, seed);
        struct observation obs[MSG_STEPS_MAX] = {{0}};
        struct port_block b = {.seen = 0};
        uint16_t from, to;
        size_t i;

        for (i = 0; i < looks; i++)
            obs[i].observed.port = (uint16_t)(low + rng_below(&rng, size));
        port_block_learn(&b, &p, obs, looks, TICK_S);
        assert_true(b.low >= low && b.high < low + size);
        port_block_bounds(&b, &from, &to);
        sum += abs(from - low) + abs(to - (int)(low + size - 1));
        *exact += from == low && to == low + size - 1;
    }
    return sum / 400 / 2;
}

static void test_block_bounds(void **state)
{
    static const struct {
        uint16_t low;
        unsigned size;
        bool aligned;
    } t[] = {{20480, 512, true},  {20480, 2048, true}, {1024 + 4096, 4096, true},
             {20000, 512, false}, {20100, 600, false}, {30001, 1000, false},
             {7000, 3000, false}};
    static const unsigned looks[] = {6, 9, 16, 32};
    size_t i, k;

    (void)state;
    for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        print_message("block %5u + %4u:", t[i].low, t[i].size);
        for (k = 0; k < 4; k++) {
            unsigned exact;
            double error = bounds_error(t[i].low, t[i].size, looks[k], &exact);

            print_message("  %2u looks: off by %4.1f%%, %3u of 400 exact", looks[k],
                          100 * error / t[i].size, exact);
            /* The extremes themselves would be off by 1/(n+1) of the size on average. */
            assert_true(error <= 1.25 * t[i].size / (looks[k] + 1.0));
            assert_true(!t[i].aligned || looks[k] < 9 || exact >= 150);
        }
        print_message("\n");
    }
}

static void test_block_of_another_peer(void **state)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 6);
    struct nat_model m[2];
    struct observation obs[MSG_STEPS_MAX];
    struct port_block block[2] = {{.seen = 0}, {.seen = 0}};
    struct predict_input in = {.at = 101 * TICK_S};
    struct profile p, view;
    struct prediction out;
    tick now = 100 * TICK_S;
    unsigned i;
    size_t n;

    (void)state;
    profile_init(&p);
    for (i = 0; i < 2; i++) {
        m[i] = (struct nat_model){.mapping = NAT_APDM, .allocation = NAT_BLOCK, .rng = &rng};
        m[i].low = (uint16_t)(20480 + 4096 * i);
        m[i].high = (uint16_t)(m[i].low + 511);
        m[i].public_address = (struct endpoint){.family = 4, .address = {203, 0, 113, 1}};
        nat_model_start(&m[i], now);
        n = survey_of(&m[i], NULL, 1 + i, &now, obs);
        profile_learn(&p, obs, n, now);
        port_block_learn(&block[i], &p, obs, n, now);
        assert_true(port_block_known(&block[i], now));
        assert_false(port_block_known(&block[i], now + PROFILE_FRESH));
    }
    assert_int_equal(p.nat.allocation, NAT_BLOCK);
    assert_in_range(p.block_size, 400, 700);
    in.profile = &p;
    in.public_address = m[0].public_address;
    in.peer = 1;
    out = predict(&in);
    assert_int_equal(out.shape, SHAPE_RANDOM); /* its block is somewhere, but not the other's */
    port_block_bounds(&block[0], &in.block_low, &in.block_high);
    out = predict(&in);
    assert_int_equal(out.shape, SHAPE_BLOCK);
    assert_true(out.low >= 20300 && out.high <= 21200);
    /* A third one does without a survey of the kind, but needs to know its own block. */
    view = profile_view(&p, 3, now);
    assert_true(profile_fresh(&view, now));
    assert_int_equal(view.nat.block_low, 0);
    /* Ports that cannot be of the block are of a new one. */
    n = survey_of(&m[1], NULL, 1, &now, obs);
    port_block_learn(&block[0], &p, obs, n, now);
    assert_true(block[0].low >= m[1].low && block[0].high <= m[1].high);
    assert_true(port_block_holds(&block[0], m[1].low));
    assert_false(port_block_holds(&block[0], m[0].low));
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
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_order_of_arrival),
        cmocka_unit_test(test_untranslated),
        cmocka_unit_test(test_agreement_and_contradiction),
        cmocka_unit_test(test_small_batches),
        cmocka_unit_test(test_freshness),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_one_address),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_simulated),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_rates_and_deltas),
        cmocka_unit_test(test_counter_in_a_block),
        cmocka_unit_test(test_counter_turns_in_a_burst),
        cmocka_unit_test(test_counter_per_subscriber),
        cmocka_unit_test(test_counters_in_turn),
        cmocka_unit_test(test_a_liar_among_honest_peers),
        cmocka_unit_test(test_a_liar_comes_first),
        cmocka_unit_test(test_peers_vouch_for_each_other),
        cmocka_unit_test(test_a_nat_changes),
        cmocka_unit_test(test_failed_rounds_are_bounded),
        cmocka_unit_test(test_drift_of_a_liar),
        cmocka_unit_test(test_block_bounds),
        cmocka_unit_test(test_block_of_another_peer),
        cmocka_unit_test(test_any_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
