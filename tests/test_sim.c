/* SPDX-License-Identifier: ISC */
/* The simulator's physics, against what was measured on real NATs; its oracle; its chance. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/sim_oracle.h"
#include "sim/sim_population.h"
#include "sim/sim_random.h"
#include "sim/sim_record.h"
#include "sim/sim_world.h"

#define START (100 * TICK_S)
#define PORT  40000

struct fixture {
    struct sim_world *world;
    struct sim_random random;
    struct rng rng;
};

static int set_up(void **state)
{
    static struct fixture f;

    f.world = sim_world_new();
    *state = &f;
    return f.world == NULL;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    sim_world_free(f->world);
    return 0;
}

/* Two hosts, each behind one NAT that preserves ports, `across` apart. */
static void build(struct fixture *f, enum nat_refusal a, enum nat_refusal b, tick across,
                  uint64_t seed)
{
    const enum nat_refusal refusal[2] = {a, b};
    struct sim_world *w = f->world;
    int i;

    f->rng = sim_random_start(&f->random, seed, 0);
    sim_world_reset(w);
    w->rng = &f->rng;
    w->across = across;
    w->loss = 0;
    for (i = 0; i < 2; i++) {
        struct sim_site *site = &w->site[i];
        struct nat_model *m = &site->nats[0];
        uint8_t net = (uint8_t)(i + 1);

        memset(m, 0, offsetof(struct nat_model, seen));
        m->rng = &f->rng;
        m->mapping = NAT_EIM;
        m->allocation = NAT_PRESERVE;
        m->refusal = refusal[i];
        m->public_address = (struct endpoint){.family = 4, .address = {203, 0, net, 1}};
        nat_model_start(m, START);
        site->nat_count = 1;
        site->hops[0] = TICK_MS / 10;
        site->host = (struct endpoint){.family = 4, .address = {10, 0, net, 2}};
        site->listens = false;
        site->retry = 0;
    }
}

static void dial(struct fixture *f, int i, tick at)
{
    struct endpoint other = endpoint_with_port(f->world->site[!i].nats[0].public_address, PORT);

    sim_world_listen(f->world, i, PORT);
    sim_world_connect(f->world, i, PORT, other, START + at, 1, true);
}

static bool meets(struct fixture *f, tick skew)
{
    dial(f, 0, skew < 0 ? -skew : 0);
    dial(f, 1, skew > 0 ? skew : 0);
    return sim_world_run(f->world, START + 6 * TICK_S);
}

/* One connect() on either side, whose SYNs leave `ms` apart: literature, 40 ms one way. */
struct skewed {
    enum nat_refusal a, b;
    int ms; /* by which B starts later */
    bool good;
};

static void test_skew(void **state)
{
    static const struct skewed table[] = {
        {NAT_SILENCE, NAT_SILENCE, 0, true},    {NAT_SILENCE, NAT_SILENCE, 20, true},
        {NAT_SILENCE, NAT_SILENCE, 60, true},   {NAT_SILENCE, NAT_SILENCE, 900, true},
        {NAT_SILENCE, NAT_SILENCE, -900, true}, {NAT_RST, NAT_RST, 0, true},
        {NAT_RST, NAT_RST, 36, true},           {NAT_RST, NAT_RST, 39, true},
        {NAT_RST, NAT_RST, 42, false},          {NAT_RST, NAT_RST, 60, false},
        {NAT_RST, NAT_RST, -200, false},        {NAT_ICMP, NAT_ICMP, 0, true},
        {NAT_ICMP, NAT_ICMP, 39, true},         {NAT_ICMP, NAT_ICMP, 42, false},
        {NAT_ICMP, NAT_ICMP, 900, false},       {NAT_RST, NAT_SILENCE, 60, true},
        {NAT_RST, NAT_SILENCE, 300, true},      {NAT_RST, NAT_SILENCE, -60, false},
        {NAT_RST, NAT_SILENCE, -300, false},    {NAT_ICMP, NAT_SILENCE, 300, true},
    };
    struct fixture *f = *state;
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        build(f, table[i].a, table[i].b, 40 * TICK_MS, i);
        if (meets(f, table[i].ms * TICK_MS) != table[i].good)
            fail_msg("row %zu", i);
    }
}

/* The boundary is the one-way delay itself. */
static void test_boundary(void **state)
{
    struct fixture *f = *state;

    build(f, NAT_RST, NAT_RST, 5 * TICK_MS, 1);
    assert_true(meets(f, 4 * TICK_MS));
    build(f, NAT_RST, NAT_RST, 5 * TICK_MS, 1);
    assert_false(meets(f, 6 * TICK_MS));
}

/* A pause drawn anew each time gets both sides out of step; what ICMP has left behind stays. */
static void test_retry(void **state)
{
    struct fixture *f = *state;
    unsigned seed, met = 0;
    int i;

    for (seed = 0; seed < 50; seed++) {
        build(f, NAT_RST, NAT_RST, 40 * TICK_MS, seed);
        for (i = 0; i < 2; i++)
            f->world->site[i].retry = 40 * TICK_MS;
        met += meets(f, 42 * TICK_MS);
        assert_true(f->world->met.at - START < TICK_S);
    }
    assert_int_equal(met, 50);
    build(f, NAT_ICMP, NAT_ICMP, 40 * TICK_MS, 1);
    for (i = 0; i < 2; i++) {
        f->world->site[i].retry = 40 * TICK_MS;
        f->world->site[i].listens = true;
    }
    assert_false(meets(f, 42 * TICK_MS));
}

/* Without a SYN retransmission: the later SYN finds the hole, and one round trip more. */
static void test_time(void **state)
{
    struct fixture *f = *state;

    build(f, NAT_SILENCE, NAT_SILENCE, 40 * TICK_MS, 1);
    assert_true(meets(f, 10 * TICK_MS));
    assert_true(f->world->met.at - START < 180 * TICK_MS);
    /* Lost on the way, sent again by the kernel a second later. */
    build(f, NAT_SILENCE, NAT_SILENCE, 40 * TICK_MS, 1);
    f->world->loss = 1;
    dial(f, 0, 0);
    dial(f, 1, 0);
    assert_false(sim_world_run(f->world, START + 900 * TICK_MS));
    f->world->loss = 0;
    assert_true(sim_world_run(f->world, START + 2 * TICK_S));
    assert_true(f->world->met.at - START > TICK_S);
}

static void test_filters(void **state)
{
    struct fixture *f = *state;
    struct nat_model *m = &f->world->site[0].nats[0];
    enum nat_filtering filter;

    for (filter = NAT_EIF; filter <= NAT_APDF; filter++) {
        struct endpoint to = {.family = 4, .address = {203, 0, 2, 1}, .port = 5000};
        struct nat_segment out = {.kind = NAT_SEGMENT_SYN, .to = to}, in = out;

        build(f, NAT_RST, NAT_SILENCE, 40 * TICK_MS, 1);
        m->filtering = filter;
        out.from = endpoint_with_port(f->world->site[0].host, PORT);
        assert_int_equal(nat_model_outbound(m, &out, START), NAT_PASS);
        in.to = endpoint_with_port(m->public_address, PORT);
        in.from = to;
        assert_int_equal(nat_model_inbound(m, &in, START), NAT_PASS);
        assert_int_equal(in.to.port, PORT);
        in.to = endpoint_with_port(m->public_address, PORT);
        in.from = endpoint_with_port(to, 5001);
        assert_int_equal(nat_model_inbound(m, &in, START),
                         filter == NAT_APDF ? NAT_ANSWER_RST : NAT_PASS);
        in.to = endpoint_with_port(m->public_address, PORT);
        in.from.address[3] = 99;
        assert_int_equal(nat_model_inbound(m, &in, START),
                         filter == NAT_EIF ? NAT_PASS : NAT_ANSWER_RST);
        in.to = endpoint_with_port(m->public_address, PORT + 1);
        assert_int_equal(nat_model_inbound(m, &in, START), NAT_ANSWER_RST);
    }
}

/* A RST from outside ends a mapping, and the next one is another. */
static void test_refused_mapping(void **state)
{
    struct fixture *f = *state;
    struct nat_model *m = &f->world->site[0].nats[0];
    struct endpoint to = {.family = 4, .address = {203, 0, 2, 1}, .port = 5000};
    int keeps;

    for (keeps = 0; keeps < 2; keeps++) {
        struct nat_segment rst = {.kind = NAT_SEGMENT_RST, .from = to};
        uint16_t port;

        build(f, NAT_SILENCE, NAT_SILENCE, 40 * TICK_MS, 1);
        m->mapping = NAT_APDM;
        m->allocation = NAT_RANDOM;
        m->keeps_refused = keeps;
        port = nat_model_port(m, PORT, to, START);
        assert_int_equal(nat_model_port(m, PORT, to, START + TICK_S), port);
        rst.to = endpoint_with_port(m->public_address, port);
        assert_int_equal(nat_model_inbound(m, &rst, START + TICK_S), NAT_PASS);
        assert_int_equal(nat_model_port(m, PORT, to, START + TICK_S) == port, keeps);
    }
}

/* No port of a block is given twice, and none outside of it. */
static void test_block(void **state)
{
    struct fixture *f = *state;
    struct nat_model *m = &f->world->site[0].nats[0];
    struct endpoint to = {.family = 4, .address = {203, 0, 2, 1}, .port = 5000};
    uint8_t seen[UINT16_MAX + 1] = {0};
    unsigned i;

    build(f, NAT_SILENCE, NAT_SILENCE, 40 * TICK_MS, 1);
    m->mapping = NAT_APDM;
    m->allocation = NAT_BLOCK;
    m->block = 512;
    nat_model_start(m, START);
    assert_int_equal(m->block_high - m->block_low, 511);
    for (i = 0; i < 512; i++) {
        uint16_t port = nat_model_port(m, (uint16_t)(PORT + i), to, START);

        assert_true(port >= m->block_low && port <= m->block_high);
        assert_false(seen[port]++);
    }
    assert_int_equal(nat_model_port(m, PORT + 600, to, START), 0);
}

static void test_poisson(void **state)
{
    static const double means[] = {0.3, 5, 29, 31, 200, 5000};
    struct fixture *f = *state;
    size_t i;
    unsigned n;

    f->rng = sim_random_start(&f->random, 1, 0);
    for (i = 0; i < sizeof(means) / sizeof(means[0]); i++) {
        double sum = 0, squares = 0, mean, variance;

        for (n = 0; n < 20000; n++) {
            double x = nat_model_poisson(&f->rng, means[i]);

            sum += x;
            squares += x * x;
        }
        mean = sum / 20000;
        variance = squares / 20000 - mean * mean;
        assert_true(fabs(mean - means[i]) < 4 * sqrt(means[i] / 20000));
        assert_true(fabs(variance / means[i] - 1) < 0.06);
    }
}

static void test_oracle_run(void **state)
{
    (void)state;
    assert_true(fabs(sim_oracle_run(0, 1) - 1) < 1e-12);
    assert_true(fabs(sim_oracle_run(1, 1) - exp(-1)) < 1e-12);
    assert_true(fabs(sim_oracle_run(1, 2) - 2 * exp(-1)) < 1e-12);
    assert_true(fabs(sim_oracle_run(1, 3) - 2.5 * exp(-1)) < 1e-12);
    assert_true(sim_oracle_run(1000, 64) > 0.68 && sim_oracle_run(1000, 64) < 0.70);
    assert_true(sim_oracle_run(1000, 512) > 0.9999);
}

/* The same pairs come out of one process and of three. */
static void test_jobs(void **state)
{
    struct sim_options o = {.pairs = 120,
                            .cell = 1,
                            .jobs = 1,
                            .seed = 3,
                            .population = -1,
                            .kind = {-1, -1},
                            .limits = {512, true}};
    struct sim_options more = o;
    struct sim_record *one, *three;
    size_t n;

    (void)state;
    more.jobs = 3;
    one = sim_record_play(&o);
    three = sim_record_play(&more);
    assert_non_null(one);
    assert_non_null(three);
    for (n = 0; n < sim_record_count(&o); n++)
        assert_memory_equal(&one[n], &three[n], sizeof(one[n]));
    sim_record_free(one, &o);
    sim_record_free(three, &more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_skew),       cmocka_unit_test(test_boundary),
        cmocka_unit_test(test_retry),      cmocka_unit_test(test_time),
        cmocka_unit_test(test_filters),    cmocka_unit_test(test_refused_mapping),
        cmocka_unit_test(test_block),      cmocka_unit_test(test_poisson),
        cmocka_unit_test(test_oracle_run), cmocka_unit_test(test_jobs),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
