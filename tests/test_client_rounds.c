/* SPDX-License-Identifier: ISC */
/* Rounds that do not meet: refusals, strangers, impostors, plans that ask too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/reason.h"
#include "tests/fake_pair.h"

/* ---- rounds ---- */

/* A listener that nobody asked for, at a port of its own. */
static int stranger(struct endpoint *at)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, at), 0);
    return fd;
}

/* One round of the requester alone, to `to`; returns the RESULT. */
static struct msg lone_round(struct pair *p, uint8_t round, const struct endpoint *to,
                             uint32_t hold_us, uint32_t retry_us)
{
    struct msg m = pair_punch_of(p, 0, pair_now());

    m.punch_.round = round;
    m.punch_.hold_us = hold_us;
    m.punch_.retry_us = retry_us;
    m.punch_.volleys.at[0].remote = *to;
    fake_send(pair_conn(p, 0), &m);
    return fake_expect(&p->server, p->a, MSG_RESULT);
}

static void test_refused_then_met(void **state)
{
    struct pair *p = *state;
    struct endpoint closed;
    struct msg m;

    pair_introduce(p);
    (void)close(stranger(&closed)); /* a port that answers with RST */
    m = lone_round(p, 1, &closed, 60000, 5000);
    assert_int_equal(m.result_.reason, REASON_REFUSED);
    assert_int_equal(m.result_.round, 1);
    assert_in_range(m.result_.syns, 2, 65);
    assert_in_range(m.result_.syns - m.result_.refusals, 0, 1); /* one may be under way */
    assert_int_equal(fake_event_reason(&p->server, p->a, TRYST_EVENT_PUNCHING), 0);
    assert_int_equal(fake_event_reason(&p->server, p->a, TRYST_EVENT_ROUND_LOST), TRYST_REFUSED);
    /* Without leave to retry, a refusal is the end of it. */
    m = lone_round(p, 2, &closed, 60000, 0);
    assert_int_equal(m.result_.reason, REASON_REFUSED);
    assert_int_equal(m.result_.syns, 1);
    for (int side = 0; side < 2; side++) {
        m = pair_punch_of(p, side, pair_now() + 10 * TICK_MS);
        m.punch_.round = 3;
        fake_send(pair_conn(p, side), &m);
    }
    struct tryst_report *ra, *rb;
    int fd_a = pair_take(p, p->a, &ra);
    int fd_b = pair_take(p, p->b, &rb);
    assert_int_equal(tryst_report_rounds(ra), 3);
    assert_int_equal(tryst_report_rounds(rb), 1);
    assert_true(tryst_report_refusals(ra) >= 3);
    (void)close(fd_a);
    (void)close(fd_b);
    tryst_report_free(ra);
    tryst_report_free(rb);
}

static void test_stranger(void **state)
{
    struct pair *p = *state;
    struct endpoint at;
    struct msg m;

    pair_introduce(p);
    int listener = stranger(&at);
    struct msg punch = pair_punch_of(p, 0, pair_now());
    punch.punch_.hold_us = 100000;
    punch.punch_.volleys.at[0].remote = at;
    fake_send(pair_conn(p, 0), &punch);
    int fd;
    for (int i = 0; i < 200 && (fd = accept(listener, NULL, NULL)) < 0; i++)
        fake_run(&p->server);
    assert_true(fd >= 0);
    assert_int_equal(send(fd, "220 ready\r\n", 11, 0), 11);
    m = fake_expect(&p->server, p->a, MSG_RESULT);
    assert_int_equal(m.result_.reason, REASON_STRANGER);
    assert_int_equal(m.result_.syns, 1);
    (void)close(fd);
    (void)close(listener);
}

static struct msg next_round(struct pair *p, int side, uint8_t round, const struct endpoint *to)
{
    struct msg m = pair_punch_of(p, side, pair_now());

    m.punch_.round = round;
    m.punch_.volleys.at[0].socket = (uint16_t)(1024 * (round - 1));
    if (to)
        m.punch_.volleys.at[0].remote = *to;
    return m;
}

/* A second round comes while the first one's SYN is still unanswered; it is the first that wins. */
static void test_earlier_round_wins(void **state)
{
    struct pair *p = *state;
    struct endpoint deaf;
    struct msg m;

    pair_introduce(p);
    int full = stranger(&deaf);
    /* The requester alone begins; its SYN waits in the backlog of a target that is not there yet.
     */
    m = next_round(p, 0, 1, &deaf);
    fake_send(pair_conn(p, 0), &m);
    fake_run_ms(&p->server, 20);
    m = next_round(p, 0, 2, &deaf);
    fake_send(pair_conn(p, 0), &m);
    m = fake_expect(&p->server, p->a, MSG_RESULT);
    assert_int_equal(m.result_.round, 1); /* as it stands: open, and nobody speaks */
    assert_int_equal(m.result_.reason, REASON_NO_PROOF);
    assert_int_equal(m.result_.syns, 1);
    /* The other side's SYN to the port of round 1 finds the listener. */
    m = next_round(p, 1, 1, NULL);
    fake_send(pair_conn(p, 1), &m);
    struct tryst_report *ra, *rb;
    int fd_a = pair_take(p, p->a, &ra);
    int fd_b = pair_take(p, p->b, &rb);
    m = fake_expect(&p->server, p->a, MSG_RESULT);
    assert_int_equal(m.result_.reason, REASON_OK);
    assert_int_equal(m.result_.round, 1);
    assert_int_equal(m.result_.how, RESULT_ACCEPTED);
    assert_int_equal(m.result_.syns, 1);
    /* What was still under way is closed. */
    int fd;
    while ((fd = accept(full, NULL, NULL)) >= 0) {
        char in[256];
        fake_run_ms(&p->server, 5);
        while (recv(fd, in, sizeof(in), MSG_DONTWAIT) > 0)
            ;
        assert_int_equal(recv(fd, in, sizeof(in), MSG_DONTWAIT), 0);
        (void)close(fd);
    }
    (void)close(full);
    (void)close(fd_a);
    (void)close(fd_b);
    tryst_report_free(ra);
    tryst_report_free(rb);
}

/* A stranger is known by its first bytes: the server hears of it long before the round is over, and
 * the listener stays. */
static void test_given_up_early(void **state)
{
    struct pair *p = *state;
    struct endpoint at;
    int fd;

    pair_introduce(p);
    int listener = stranger(&at);
    struct msg m = next_round(p, 0, 1, &at);
    m.punch_.hold_us = 30 * 1000000;
    fake_send(pair_conn(p, 0), &m);
    for (int i = 0; i < 200 && (fd = accept(listener, NULL, NULL)) < 0; i++)
        fake_run(&p->server);
    assert_int_equal(send(fd, "220 ready\r\n", 11, 0), 11);
    m = fake_expect(&p->server, p->a, MSG_RESULT);
    assert_int_equal(m.result_.reason, REASON_STRANGER);
    (void)close(fd);
    (void)close(listener);
    m = next_round(p, 1, 1, NULL);
    fake_send(pair_conn(p, 1), &m);
    struct tryst_report *ra, *rb;
    int fd_a = pair_take(p, p->a, &ra);
    int fd_b = pair_take(p, p->b, &rb);
    (void)close(fd_a);
    (void)close(fd_b);
    tryst_report_free(ra);
    tryst_report_free(rb);
}

/* What speaks the protocol, but is not the peer. */
static void test_impostor(void **state)
{
    struct pair *p = *state;
    struct msg m;

    pair_introduce(p);
    uint8_t wrong[TRYST_KEY_SIZE];
    assert_int_equal(tryst_keygen(wrong), 0);
    int64_t start = pair_now() + 5 * TICK_MS;
    for (int side = 0; side < 2; side++) {
        m = pair_punch_of(p, side, start);
        m.punch_.hold_us = 200000;
        if (side == 0)
            memcpy(m.punch_.peer, wrong, sizeof(wrong));
        fake_send(pair_conn(p, side), &m);
    }
    m = fake_expect(&p->server, p->a, MSG_RESULT);
    assert_int_equal(m.result_.reason, REASON_STRANGER);
    m = fake_expect(&p->server, p->b, MSG_RESULT);
    assert_int_equal(m.result_.reason, REASON_STRANGER);
}

/* More SYNs than the budget, ports that must not be dialled, and every number at its limit. */
static void test_hostile_plan(void **state)
{
    struct pair *p = *state;
    struct msg m;

    pair_introduce(p);
    m = pair_punch_of(p, 0, INT64_MAX);
    m.punch_.retry_us = UINT32_MAX;
    m.punch_.hold_us = UINT32_MAX;
    m.punch_.volleys.count = MSG_VOLLEYS_MAX;
    for (int i = 0; i < MSG_VOLLEYS_MAX; i++) {
        struct volley *v = &m.punch_.volleys.at[i];
        *v = (struct volley){.remote = p->at[1],
                             .socket = 65535,
                             .socket_step = -32768,
                             .port_step = -32768,
                             .count = 65535,
                             .offset_us = INT32_MAX,
                             .spacing_us = UINT32_MAX};
        if (i % 4 == 1)
            v->remote.address[0] = 239;
        if (i % 4 == 2)
            memset(v->remote.address, 0, sizeof(v->remote.address));
    }
    fake_send(pair_conn(p, 0), &m);
    assert_int_equal(fake_event_reason(&p->server, p->a, TRYST_EVENT_PUNCHING), 0);
    fake_run_ms(&p->server, 50);
    m = pair_punch_of(p, 0, INT64_MIN);
    m.punch_.round = 2;
    m.punch_.hold_us = 20000;
    m.punch_.volleys.at[0].count = 300;
    m.punch_.volleys.at[0].socket_step = 1;
    int listener = stranger(&m.punch_.volleys.at[0].remote);
    fake_send(pair_conn(p, 0), &m);
    fake_run_ms(&p->server, 50);
    (void)close(listener);
    m = fake_expect(&p->server, p->a, MSG_RESULT);
    assert_int_equal(m.result_.round, 1);
    assert_int_equal(m.result_.syns, 0);
    m = fake_expect(&p->server, p->a, MSG_RESULT);
    assert_int_equal(m.result_.syns, 64);
}

/* Hundreds of ports at once, within an ordinary limit of descriptors. */
static void test_birthday(void **state)
{
    struct pair *p = *state;
    struct rlimit usual, low;
    struct msg m;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    low = usual;
    low.rlim_cur = 1024;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(tryst_set_birthday(p->a, 1), 0);
    pair_introduce(p);
    m = pair_punch_of(p, 0, pair_now() + 50 * TICK_MS);
    m.punch_.hold_us = 300000;
    m.punch_.volleys.at[0].count = 600;
    m.punch_.volleys.at[0].socket = 4096;
    m.punch_.volleys.at[0].socket_step = 1;
    int listener = stranger(&m.punch_.volleys.at[0].remote);
    fake_send(pair_conn(p, 0), &m);
    fake_run_ms(&p->server, 200);
    (void)close(listener);
    m = fake_expect(&p->server, p->a, MSG_RESULT);
    assert_int_equal(m.result_.syns, 512);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
        TEST(test_refused_then_met), TEST(test_stranger), TEST(test_impostor),
        TEST(test_hostile_plan),     TEST(test_birthday), TEST(test_earlier_round_wins),
        TEST(test_given_up_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
