/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "nat_model.h"

#define CONNECTIONS_MAX 12

static struct rng_seeded seeded;

static struct survey_servers servers_of(uint8_t family, uint8_t addresses, uint8_t ports)
{
    struct survey_servers s = nat_model_servers(addresses);
    uint8_t i;

    s.family = family;
    s.port_count = ports;
    for (i = 0; i < addresses; i++)
        s.addresses[i].family = family;
    return s;
}

/* What holds for every list: nothing is asked twice, and everything at a place that exists. */
static void check_steps(const struct steps *out, const struct survey_servers *s)
{
    unsigned i, j, known;

    for (i = 0; i < out->count; i++) {
        const struct step *a = &out->at[i];

        assert_int_equal(a->server.family, s->family);
        for (known = 0, j = 0; j < s->port_count; j++)
            known += s->ports[j] == a->server.port;
        assert_int_equal(known, 1);
        for (j = 0; j < i; j++)
            assert_false(a->socket == out->at[j].socket &&
                         endpoint_equal(&a->server, &out->at[j].server));
    }
}

static unsigned steps_of_socket(const struct steps *out, uint16_t socket, bool *two_addresses)
{
    unsigned i, n = 0;
    const struct step *first = NULL;

    *two_addresses = false;
    for (i = 0; i < out->count; i++) {
        if (out->at[i].socket != socket)
            continue;
        n++;
        assert_true(out->at[i].flags & STEP_KEEP);
        if (first != NULL)
            *two_addresses |= !endpoint_same_address(&first->server, &out->at[i].server);
        first = first ? first : &out->at[i];
    }
    return n;
}

/* In the order of steps, local ports (which ascend with the socket number) go up as well as down.
 */
static bool up_and_down(const struct steps *out)
{
    bool up = false, down = false;
    unsigned i;

    for (i = 1; i < out->count; i++) {
        up |= out->at[i].socket > out->at[i - 1].socket;
        down |= out->at[i].socket < out->at[i - 1].socket;
    }
    return up && down;
}

static unsigned bursts(const struct steps *out)
{
    unsigned i, n = 0;

    for (i = 0; i < out->count; i++)
        n += (out->at[i].flags & STEP_BURST) != 0;
    return n;
}

static void test_full(void **state)
{
    uint8_t addresses, ports;
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 200; seed++) {
        for (addresses = 0; addresses <= 4; addresses++) {
            for (ports = 1; ports <= 3; ports++) {
                struct rng rng = rng_from_seed(&seeded, seed);
                struct survey_servers s = servers_of(4, addresses, ports);
                struct steps out = {0};
                bool two;
                unsigned n;

                survey_plan(NULL, &s, TICK_S, &rng, &out);
                check_steps(&out, &s);
                assert_in_range(out.count, 7, CONNECTIONS_MAX);
                n = steps_of_socket(&out, 0, &two);
                assert_int_equal(n, addresses > 1 ? (ports < 2 ? 2 : 3) : ports);
                assert_int_equal(two, addresses > 1);
                assert_true(up_and_down(&out));
                /* Two bursts are two round trips. */
                assert_int_equal(bursts(&out), out.count - 2);
            }
        }
    }
}

static void test_order_varies(void **state)
{
    struct survey_servers s = servers_of(4, 2, 3);
    uint64_t seed;
    unsigned differ = 0;
    struct steps before = {0};

    (void)state;
    for (seed = 1; seed <= 50; seed++) {
        struct rng rng = rng_from_seed(&seeded, seed);
        struct steps out = {0};

        survey_plan(NULL, &s, TICK_S, &rng, &out);
        differ += out.at[0].socket != before.at[0].socket;
        before = out;
    }
    assert_true(differ > 25);
}

static void test_shrinks(void **state)
{
    struct rng rng = rng_from_seed(&seeded, 1);
    struct survey_servers s = servers_of(4, 2, 3);
    struct profile p;
    struct steps out = {0};
    bool two;

    (void)state;
    profile_init(&p);
    p.nat.mapping = NAT_APDM;
    p.nat.allocation = NAT_COUNTER;
    p.nat.delta = 1;
    p.nat.confidence = 95;
    p.learnt = 10 * TICK_S;

    survey_plan(&p, &s, 20 * TICK_S, &rng, &out);
    assert_int_equal(out.count, 0); /* fresh */

    survey_plan(&p, &s, 10 * TICK_S + PROFILE_FRESH, &rng, &out);
    assert_int_equal(out.count, 5); /* old: one burst to confirm it */
    assert_int_equal(bursts(&out), 4);
    assert_int_equal(steps_of_socket(&out, 0, &two), 3);
    assert_true(two);
    assert_true(up_and_down(&out));
    check_steps(&out, &s);

    p.misses = 3;
    out.count = 0;
    survey_plan(&p, &s, 20 * TICK_S, &rng, &out);
    assert_true(out.count >= 9); /* wrong: from the start */
}

static void test_families(void **state)
{
    struct rng rng = rng_from_seed(&seeded, 1);
    struct survey_servers four = servers_of(4, 2, 3), six = servers_of(6, 1, 3);
    struct survey_servers none = servers_of(6, 0, 0);
    struct steps out = {0};
    uint8_t i, n;

    (void)state;
    survey_plan(NULL, &none, TICK_S, &rng, &out);
    assert_int_equal(out.count, 0);
    survey_plan(NULL, &four, TICK_S, &rng, &out);
    n = out.count;
    survey_plan(NULL, &six, TICK_S, &rng, &out);
    assert_int_equal(out.count, n + 5);
    assert_true(out.at[n].flags & STEP_BURST); /* does not wait for the other family */
    for (i = 0; i < out.count; i++)
        assert_int_equal(out.at[i].server.family, i < n ? 4 : 6);
    for (i = 0; i < 20; i++)
        survey_plan(NULL, &four, TICK_S, &rng, &out);
    assert_int_equal(out.count, MSG_STEPS_MAX); /* full, and no further */
}

static void test_anchors(void **state)
{
    struct rng rng = rng_from_seed(&seeded, 3);
    struct survey_servers s = servers_of(4, 2, 3);
    struct profile p;
    struct steps out = {0};
    unsigned i;

    (void)state;
    profile_init(&p);
    p.nat.mapping = NAT_EIM;
    survey_anchors(&p, &s, survey_round_socket(2), 1, &rng, &out);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.at[0].socket, SURVEY_ROUND_SOCKETS);
    assert_int_equal(out.at[0].flags, STEP_KEEP);

    out.count = 0;
    survey_anchors(&p, &s, 0, 9, &rng, &out);
    assert_int_equal(out.count, 3); /* one socket reaches each port once */
    check_steps(&out, &s);

    p.nat.mapping = NAT_APDM;
    out.count = 0;
    survey_anchors(&p, &s, survey_round_socket(3), 2, &rng, &out);
    assert_int_equal(out.count, 2);
    for (i = 0; i < 2; i++) {
        /* Neither a punch socket of this round nor any of the next. */
        assert_true(out.at[i].socket >= survey_round_socket(3) + SURVEY_PUNCH_SOCKETS);
        assert_true(out.at[i].socket < survey_round_socket(4));
        assert_true(out.at[i].flags & STEP_KEEP);
    }
    assert_true(out.at[1].flags & STEP_BURST);
    assert_int_not_equal(out.at[0].socket, out.at[1].socket);
    s.port_count = 0;
    survey_anchors(&p, &s, 0, 2, &rng, &out);
    assert_int_equal(out.count, 2);
}

static void test_round_sockets(void **state)
{
    unsigned r;

    (void)state;
    assert_int_equal(survey_round_socket(1), 0);
    for (r = 2; r <= SURVEY_ROUNDS_MAX; r++)
        assert_int_equal(survey_round_socket(r) - survey_round_socket(r - 1), SURVEY_ROUND_SOCKETS);
    assert_true(survey_round_socket(SURVEY_ROUNDS_MAX) <= UINT16_MAX - SURVEY_ROUND_SOCKETS + 1);
}

static unsigned listeners(const struct steps *out)
{
    unsigned i, n = 0;

    for (i = 0; i < out->count; i++)
        n += (out->at[i].flags & STEP_LISTEN) != 0;
    return n;
}

/* The filter's test takes no connection of its own, unless it is all that is missing. */
static void test_filter(void **state)
{
    struct rng rng = rng_from_seed(&seeded, 5);
    struct survey_servers s = servers_of(4, 2, 3), plain = s;
    struct profile p;
    struct steps with = {0}, without = {0};
    unsigned i;

    (void)state;
    s.connects_back = true;
    survey_plan(NULL, &s, TICK_S, &rng, &with);
    survey_plan(NULL, &plain, TICK_S, &rng, &without);
    assert_int_equal(with.count, without.count);
    assert_int_equal(listeners(&without), 0);
    assert_int_equal(listeners(&with), 1);
    for (i = 0; i < with.count; i++) {
        bool two;

        if (!(with.at[i].flags & STEP_LISTEN))
            continue;
        assert_int_equal(steps_of_socket(&with, with.at[i].socket, &two), 1);
        assert_false(two);
    }

    profile_init(&p);
    p.nat.mapping = NAT_EIM;
    p.nat.confidence = 90;
    p.learnt = TICK_S;
    with.count = without.count = 0;
    survey_plan(&p, &plain, 2 * TICK_S, &rng, &without);
    assert_int_equal(without.count, 0);
    survey_plan(&p, &s, 2 * TICK_S, &rng, &with);
    assert_int_equal(with.count, 1);
    assert_int_equal(with.at[0].flags, STEP_LISTEN | STEP_KEEP);
}

/* Observed, then dialled from the same socket, at the same address. */
static void test_cross(void **state)
{
    struct rng rng = rng_from_seed(&seeded, 6);
    struct survey_servers s = servers_of(4, 2, 3);
    struct steps out = {0};

    (void)state;
    survey_cross(&s, 40000, &rng, &out);
    assert_int_equal(out.count, 2);
    assert_int_equal(out.at[0].flags, STEP_KEEP);
    assert_int_equal(out.at[1].flags, STEP_CROSS);
    assert_int_equal(out.at[1].pause_us, 0);
    assert_int_equal(out.at[1].socket, out.at[0].socket);
    assert_true(endpoint_same_address(&out.at[1].server, &out.at[0].server));
    assert_int_equal(out.at[1].server.port, 40000);
    s.port_count = 0;
    survey_cross(&s, 40000, &rng, &out);
    assert_int_equal(out.count, 2);
}

/* ---- what a survey costs ---- */

struct cost {
    const char *situation;
    uint8_t family;
    bool known, old, filter;
    unsigned connections, round_trips, connects_back;
};

/*
 * A burst takes two round trips from its first SYN to its last answer (SYN, and OBSERVE), and the
 * next one begins then. What the server connects back takes place meanwhile.
 */
static unsigned round_trips(const struct steps *out)
{
    return out->count ? 2 * (out->count - bursts(out)) : 0;
}

static void test_cost(void **state)
{
    static const struct cost costs[] = {
        {"unknown", 4, false, false, false, 9, 4, 0},
        {"unknown, with the filter's test", 4, false, false, true, 9, 4, 2},
        {"old", 4, true, true, false, 5, 2, 0},
        {"old, with the filter's test", 4, true, true, true, 5, 2, 2},
        {"fresh", 4, true, false, false, 0, 0, 0},
        {"fresh, but for the filter", 4, true, false, true, 1, 2, 2},
        {"IPv6, unknown", 6, false, false, false, 5, 2, 0},
        {"IPv6, unknown, with the filter's test", 6, false, false, true, 5, 2, 2},
    };
    struct rng rng = rng_from_seed(&seeded, 8);

    (void)state;
    for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++) {
        const struct cost *c = &costs[i];
        struct survey_servers s = servers_of(c->family, 2, 3);
        struct profile p;
        struct steps out = {0};

        profile_init(&p);
        p.nat.mapping = NAT_EIM;
        p.nat.allocation = NAT_PRESERVE;
        p.nat.confidence = 90;
        p.learnt = TICK_S;
        s.connects_back = c->filter;
        survey_plan(c->known ? &p : NULL, &s, c->old ? TICK_S + PROFILE_FRESH : TICK_S, &rng, &out);
        printf("# survey, %s: %u connections, %u round trips, %u connections back\n", c->situation,
               out.count, round_trips(&out), listeners(&out) * s.address_count);
        assert_int_equal(out.count, c->connections);
        assert_int_equal(round_trips(&out), c->round_trips);
        assert_int_equal(listeners(&out) * s.address_count, c->connects_back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),    cmocka_unit_test(test_order_varies),
        cmocka_unit_test(test_shrinks), cmocka_unit_test(test_families),
        cmocka_unit_test(test_anchors), cmocka_unit_test(test_round_sockets),
        cmocka_unit_test(test_filter),  cmocka_unit_test(test_cross),
        cmocka_unit_test(test_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
