/* SPDX-License-Identifier: ISC */
/* Whole sessions of two clients over loopback: how they succeed, and how they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/reason.h"
#include "tests/fake_pair.h"

/* ---- success ---- */

static void check_reports(struct pair *p, struct tryst_report *ra, struct tryst_report *rb)
{
    uint8_t key[32], other[32], id[TRYST_SESSION_ID_SIZE];

    assert_int_equal(tryst_report_export(ra, "test", key), 0);
    assert_int_equal(tryst_report_export(rb, "test", other), 0);
    assert_memory_equal(key, other, 32);
    assert_int_equal(tryst_report_export(rb, "other", other), 0);
    assert_memory_not_equal(key, other, 32);
    assert_int_equal(tryst_report_peer_key(ra, key), 0);
    assert_memory_equal(key, p->key_b, 32);
    assert_int_equal(tryst_report_peer_key(rb, key), 0);
    assert_memory_equal(key, p->key_a, 32);
    assert_int_equal(tryst_report_session_id(rb, id), 0);
    assert_memory_equal(id, p->id, sizeof(id));
    assert_string_equal(tryst_report_peer_name(rb), "alice");
    assert_string_equal(tryst_report_local_endpoint(ra), tryst_report_remote_endpoint(rb));
    assert_string_equal(tryst_report_local_endpoint(rb), tryst_report_remote_endpoint(ra));
    assert_int_equal(tryst_report_family(ra), 4);
    assert_int_equal(tryst_report_incoming(ra), 0);
    assert_int_equal(tryst_report_incoming(rb), 1);
    assert_int_equal(tryst_report_stage(ra), TRYST_STAGE_PROVEN);
    assert_true(tryst_report_chance(ra) > 0.89 && tryst_report_chance(ra) < 0.91);
    assert_int_equal(tryst_report_rounds(ra), 1);
    assert_true(tryst_report_time(ra, TRYST_STAGE_PUNCHED) >=
                tryst_report_time(ra, TRYST_STAGE_PLANNED));
    assert_true(*tryst_report_local_nat(ra));
}

static void check_records(struct tryst_report *ra, struct tryst_report *rb)
{
    struct tryst_record *a = tryst_report_take_record(ra);
    struct tryst_record *b = tryst_report_take_record(rb);
    uint8_t wire[64 + TRYST_RECORD_OVERHEAD];
    size_t len;

    assert_non_null(a);
    assert_non_null(b);
    assert_null(tryst_report_take_record(ra));
    assert_int_equal(tryst_record_seal(a, "hello", 5, wire), 5 + TRYST_RECORD_OVERHEAD);
    assert_int_equal(tryst_record_open(b, wire, 5 + TRYST_RECORD_OVERHEAD, wire, &len),
                     5 + TRYST_RECORD_OVERHEAD);
    assert_int_equal(len, 5);
    assert_memory_equal(wire, "hello", 5);
    assert_int_equal(tryst_record_seal(b, "", 0, wire), TRYST_RECORD_OVERHEAD);
    assert_int_equal(tryst_record_open(a, wire, TRYST_RECORD_OVERHEAD, wire, &len),
                     TRYST_RECORD_OVERHEAD);
    assert_int_equal(len, 0);
    tryst_record_free(a);
    tryst_record_free(b);
}

static void check_plain_socket(int fd)
{
    int value;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
    assert_int_equal(value, 0);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &len), 0);
    assert_int_equal(value, 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

/* Both sides have the same connection, and nothing of the proof is left in it. */
/* The RESULT that says so; before it, a side whose SYN came too early may have said that it was
 * refused. */
static struct msg won(struct pair *p, struct tryst_context *ctx)
{
    struct msg m;

    do
        m = fake_expect(&p->server, ctx, MSG_RESULT);
    while (m.result_.reason == REASON_REFUSED);
    return m;
}

static void succeed(struct pair *p)
{
    struct tryst_report *ra, *rb;
    int fd_a = pair_take(p, p->a, &ra);

    /* Right behind SELECT: not a byte of it may get lost in the proof. */
    assert_int_equal(send(fd_a, "early", 5, 0), 5);
    int fd_b = pair_take(p, p->b, &rb);
    pair_hears(fd_b, "early");
    assert_int_equal(send(fd_b, "back", 4, 0), 4);
    pair_hears(fd_a, "back");
    check_plain_socket(fd_a);
    check_plain_socket(fd_b);
    check_reports(p, ra, rb);
    assert_int_equal(tryst_report_plain(ra), 0);
    check_records(ra, rb);
    struct msg m = won(p, p->a);
    assert_int_equal(m.result_.reason, REASON_OK);
    m = won(p, p->b);
    assert_int_equal(m.result_.reason, REASON_OK);
    assert_int_equal(m.result_.round, 1);
    (void)close(fd_a);
    (void)close(fd_b);
    tryst_report_free(ra);
    tryst_report_free(rb);
}

static void test_success(void **state)
{
    struct pair *p = *state;

    pair_introduce(p);
    pair_punch(p, 30 * TICK_MS);
    succeed(p);
}

static void test_start_in_the_past(void **state)
{
    struct pair *p = *state;

    pair_introduce(p);
    pair_punch(p, -(int64_t)3600 * 1000 * TICK_MS);
    succeed(p);
}

/* ---- plain ---- */

static void test_plain(void **state)
{
    struct pair *p = *state;
    struct tryst_report *ra, *rb;

    p->flags = TRYST_REQUEST_PLAIN;
    assert_int_equal(tryst_listener_set_plain(p->listener, 1), 0);
    pair_introduce(p);
    pair_punch(p, 5 * TICK_MS);
    (void)close(pair_take(p, p->a, &ra));
    (void)close(pair_take(p, p->b, &rb));
    assert_int_equal(tryst_report_plain(ra), 1);
    assert_int_equal(tryst_report_plain(rb), 1);
    tryst_report_free(ra);
    tryst_report_free(rb);
}

/* ---- observation ---- */

static void test_prepare(void **state)
{
    struct pair *p = *state;
    struct msg m = {.type = MSG_PREPARE};
    struct steps *steps = &m.prepare_.steps;

    pair_introduce(p);
    m.prepare_.request = p->number;
    memcpy(m.prepare_.session, p->id, sizeof(p->id));
    m.prepare_.round = 1;
    memset(m.prepare_.secret, 7, sizeof(m.prepare_.secret));
    memcpy(p->server.secret, m.prepare_.secret, sizeof(p->server.secret));
    steps->count = 3;
    for (int i = 0; i < 3; i++) {
        steps->at[i].flags = STEP_KEEP | STEP_BURST;
        steps->at[i].server = p->server.at;
    }
    steps->at[1].socket = 4096; /* numbers may be far apart */
    /* As the server writes the address that the control channel goes to. */
    memset(steps->at[1].server.address, 0, sizeof(steps->at[1].server.address));
    steps->at[2].server.port = 0; /* cannot be dialled */
    fake_send(pair_conn(p, 0), &m);
    m = fake_expect(&p->server, p->a, MSG_PREPARED);
    assert_int_equal(m.prepared_.round, 1);
    assert_int_equal(m.prepared_.failed, 1);
    assert_int_equal(p->server.observations, 2);
    for (int i = 0; i < 2; i++) {
        /* The public endpoint is the local one here, and step 0's is the punch socket. */
        const struct msg_observe *o = &p->server.observed[i].observe_;
        assert_true(endpoint_equal(&o->local, &p->server.observed_from[i]));
        assert_int_equal(o->local.port == p->at[0].port, o->step == 0);
    }
    assert_int_equal(fake_event_reason(&p->server, p->a, TRYST_EVENT_PREPARED), 0);
    pair_punch(p, 5 * TICK_MS);
    succeed(p);
}

/* ---- ends ---- */

static void test_outcome(void **state)
{
    struct pair *p = *state;
    struct msg m = {.type = MSG_OUTCOME};

    pair_introduce(p);
    m.outcome_.request = p->number;
    m.outcome_.reason = REASON_BOTH_RANDOM;
    strcpy(m.outcome_.text, "as measured");
    m.outcome_.local_nat.mapping = m.outcome_.remote_nat.mapping = NAT_APDM;
    fake_send(pair_conn(p, 0), &m);
    pair_fails(p, p->a, TRYST_BOTH_RANDOM);
    m.outcome_.request = 0;
    memcpy(m.outcome_.session, p->id, sizeof(p->id));
    fake_send(pair_conn(p, 1), &m);
    pair_fails(p, p->b, TRYST_BOTH_RANDOM);
}

static void test_wrong_pin(void **state)
{
    struct pair *p = *state;
    struct msg m;

    pair_introduce(p);
    assert_int_equal(tryst_request_pin(p->req, p->key_a), 0);
    m = pair_punch_of(p, 0, pair_now());
    fake_send(pair_conn(p, 0), &m);
    pair_fails(p, p->a, TRYST_PEER_KEY);
    m = fake_expect(&p->server, p->a, MSG_CANCEL);
    assert_int_equal(m.cancel_.request, p->number);
}

static void test_wrong_role(void **state)
{
    struct pair *p = *state;
    struct msg m;

    pair_introduce(p);
    m = pair_punch_of(p, 1, pair_now());
    m.punch_.role = ROLE_REQUESTER;
    fake_send(pair_conn(p, 1), &m);
    pair_fails(p, p->b, TRYST_PROTOCOL);
}

static void test_server_lost_before_punch(void **state)
{
    struct pair *p = *state;

    pair_introduce(p);
    fake_close(pair_conn(p, 0));
    fake_close(pair_conn(p, 1));
    assert_int_equal(fake_event_reason(&p->server, p->a, TRYST_EVENT_DISCONNECTED),
                     TRYST_SERVER_LOST);
    pair_fails(p, p->a, TRYST_SERVER_LOST);
    pair_fails(p, p->b, TRYST_SERVER_LOST);
}

static void test_server_lost_after_punch(void **state)
{
    struct pair *p = *state;
    struct tryst_report *ra, *rb;

    pair_introduce(p);
    pair_punch(p, 40 * TICK_MS);
    assert_int_equal(fake_event_reason(&p->server, p->a, TRYST_EVENT_PUNCHING), 0);
    assert_int_equal(fake_event_reason(&p->server, p->b, TRYST_EVENT_PUNCHING), 0);
    fake_close(pair_conn(p, 0));
    fake_close(pair_conn(p, 1));
    int fd_a = pair_take(p, p->a, &ra);
    int fd_b = pair_take(p, p->b, &rb);
    assert_int_equal(send(fd_a, "x", 1, 0), 1);
    pair_hears(fd_b, "x");
    (void)close(fd_a);
    (void)close(fd_b);
    tryst_report_free(ra);
    tryst_report_free(rb);
}

/* The punch goes on alone, and fails by itself. */
static void test_server_lost_and_missed(void **state)
{
    struct pair *p = *state;
    struct msg m;

    pair_introduce(p);
    m = pair_punch_of(p, 1, pair_now());
    m.punch_.hold_us = 50000;
    m.punch_.volleys.count = 0;
    fake_send(pair_conn(p, 1), &m);
    assert_int_equal(fake_event_reason(&p->server, p->b, TRYST_EVENT_PUNCHING), 0);
    fake_close(pair_conn(p, 1));
    pair_fails(p, p->b, TRYST_MISSED);
}

static void test_cancel(void **state)
{
    struct pair *p = *state;
    struct msg m;

    pair_introduce(p);
    assert_int_equal(tryst_cancel(p->req), 0);
    assert_int_equal(tryst_cancel(p->req), -TRYST_STATE);
    pair_fails(p, p->a, TRYST_CANCELLED);
    m = fake_expect(&p->server, p->a, MSG_CANCEL);
    assert_int_equal(m.cancel_.request, p->number);
}

static void test_timeout(void **state)
{
    struct pair *p = *state;

    fake_register(&p->server, p->a);
    assert_non_null(tryst_request(p->a, "bob", 100, 0));
    /* The server has heard of it and says something, so it is the session that takes too long. */
    (void)fake_expect(&p->server, p->a, MSG_CONNECT);
    fake_send(pair_conn(p, 0), &(struct msg){.type = MSG_SYNC});
    pair_fails(p, p->a, TRYST_TIMEOUT);
    (void)fake_expect(&p->server, p->a, MSG_CANCEL);
}

/* ---- the target's decision ---- */

static void test_incoming_decided(void **state)
{
    struct pair *p = *state;
    struct tryst_event *ev;
    struct msg m;

    tryst_listener_free(p->listener);
    p->listener = tryst_listen(p->b);
    fake_register(&p->server, p->b);
    pair_invite(p);
    ev = fake_event(&p->server, p->b, TRYST_EVENT_INCOMING);
    struct tryst_request *req = tryst_event_request(ev);
    assert_string_equal(tryst_report_peer_name(tryst_request_report(req)), "alice");
    assert_int_equal(tryst_request_reject(req, "not now"), 0);
    tryst_event_free(ev);
    m = fake_expect(&p->server, p->b, MSG_REJECT);
    assert_int_equal(m.reject_.reason, REASON_DECLINED);
    assert_string_equal(m.reject_.text, "not now");
    pair_fails(p, p->b, TRYST_DECLINED);

    p->id[0]++;
    pair_invite(p);
    ev = fake_event(&p->server, p->b, TRYST_EVENT_INCOMING);
    assert_int_equal(tryst_request_accept(tryst_event_request(ev), 0), 0);
    assert_int_equal(tryst_request_accept(tryst_event_request(ev), 0), -TRYST_STATE);
    tryst_event_free(ev);
    (void)fake_expect(&p->server, p->b, MSG_ACCEPT);

    /* Others are declined without a question if the application says so. */
    p->id[0]++;
    assert_int_equal(tryst_listener_decline_others(p->listener, 1), 0);
    pair_invite(p);
    m = fake_expect(&p->server, p->b, MSG_REJECT);
    assert_int_equal(m.reject_.reason, REASON_DECLINED);
    assert_null(tryst_next_event(p->b));
}

/* ---- pieces that the application holds on to ---- */

static void test_free_in_the_middle(void **state)
{
    struct pair *p = *state;

    pair_introduce(p);
    pair_punch(p, 200 * TICK_MS);
    struct tryst_event *ev = fake_event(&p->server, p->a, TRYST_EVENT_PUNCHING);
    fake_run_ms(&p->server, 10);
    fake_forget(&p->server, p->a);
    fake_forget(&p->server, p->b);
    assert_null(tryst_event_request(ev));
    tryst_event_free(ev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
        TEST(test_success),
        TEST(test_start_in_the_past),
        TEST(test_plain),
        TEST(test_prepare),
        TEST(test_outcome),
        TEST(test_wrong_pin),
        TEST(test_wrong_role),
        TEST(test_server_lost_before_punch),
        TEST(test_server_lost_after_punch),
        TEST(test_server_lost_and_missed),
        TEST(test_cancel),
        TEST(test_timeout),
        TEST(test_incoming_decided),
        TEST(test_free_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
