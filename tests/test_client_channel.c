/* SPDX-License-Identifier: ISC */
/* The control channel: how it comes up, what answers it survives, and how it comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/reason.h"
#include "tests/fake_server.h"

struct world {
    struct fake_server server;
    struct tryst_context *ctx;
};

static int setup(void **state)
{
    static struct world w;

    fake_start(&w.server);
    w.ctx = fake_context(&w.server);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    fake_stop(&w->server);
    return 0;
}

static int64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- first contact ---- */

/* The context stops for this reason, and says so everywhere. */
static void expect_stop(struct world *w, int reason)
{
    struct tryst_request *req = tryst_request(w->ctx, "bob", 4000, 0);
    struct tryst_event *ev;

    assert_non_null(req);
    assert_int_equal(tryst_start(w->ctx), 0);
    assert_int_equal(fake_event_reason(&w->server, w->ctx, TRYST_EVENT_DISCONNECTED), reason);
    ev = fake_event(&w->server, w->ctx, TRYST_EVENT_FAILED);
    assert_int_equal(tryst_event_reason(ev), reason);
    assert_ptr_equal(tryst_event_request(ev), req);
    tryst_event_free(ev);
    assert_int_equal(tryst_process(w->ctx), -reason);
    assert_int_equal(tryst_wait(w->ctx, 0), -reason);
    /* A request made now learns it, too. */
    assert_non_null(tryst_request(w->ctx, "bob", 4000, 0));
    assert_int_equal(fake_event_reason(&w->server, w->ctx, TRYST_EVENT_FAILED), reason);
}

static void test_wrong_key(void **state)
{
    struct world *w = *state;

    w->server.mood = FAKE_CLOSES;
    expect_stop(w, TRYST_SERVER_KEY);
}

static void test_forged_answer(void **state)
{
    struct world *w = *state;

    w->server.mood = FAKE_FORGES;
    expect_stop(w, TRYST_SERVER_KEY);
}

static void test_other_protocol(void **state)
{
    struct world *w = *state;

    w->server.mood = FAKE_BANNER;
    expect_stop(w, TRYST_PROTOCOL);
}

static void test_nobody(void **state)
{
    struct world *w = *state;

    (void)close(w->server.listener);
    w->server.listener = dup(0);
    expect_stop(w, TRYST_SERVER_UNREACHABLE);
}

static void send_bye(struct world *w, unsigned reason, uint32_t delay_ms)
{
    struct msg m = {.type = MSG_BYE};

    m.bye_.reason = (uint8_t)reason;
    m.bye_.delay_ms = delay_ms;
    strcpy(m.bye_.text, "so it is");
    fake_send(fake_conn_of(&w->server, w->ctx), &m);
}

static void test_refused(void **state)
{
    static const int reasons[] = {TRYST_VERSION, TRYST_NOT_REGISTERED, TRYST_INVITE,
                                  TRYST_NAME_TAKEN, TRYST_BANNED};
    struct world *w = *state;

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        struct tryst_event *ev;
        /* Also without fail-fast: what the server says on purpose is final. */
        assert_int_equal(tryst_set_fail_fast(w->ctx, (int)i % 2), 0);
        assert_int_equal(tryst_start(w->ctx), 0);
        (void)fake_expect(&w->server, w->ctx, MSG_REGISTER);
        send_bye(w, (unsigned)reasons[i], 0);
        ev = fake_event(&w->server, w->ctx, TRYST_EVENT_DISCONNECTED);
        assert_int_equal(tryst_event_reason(ev), reasons[i]);
        assert_string_equal(tryst_event_text(ev), "so it is");
        tryst_event_free(ev);
        assert_int_equal(tryst_process(w->ctx), -reasons[i]);
        fake_forget(&w->server, w->ctx);
        w->ctx = fake_context(&w->server);
    }
}

static void test_goes_on_trying(void **state)
{
    struct world *w = *state;

    w->server.mood = FAKE_CLOSES;
    assert_int_equal(tryst_set_fail_fast(w->ctx, 0), 0);
    assert_int_equal(tryst_start(w->ctx), 0);
    assert_int_equal(fake_event_reason(&w->server, w->ctx, TRYST_EVENT_DISCONNECTED),
                     TRYST_SERVER_KEY);
    while (w->server.accepted < 3)
        fake_run(&w->server);
    assert_int_equal(tryst_process(w->ctx), 0);
    assert_null(tryst_next_event(w->ctx)); /* the same reason is told once */
    w->server.mood = FAKE_NORMAL;
    (void)fake_expect(&w->server, w->ctx, MSG_REGISTER);
}

static void test_busy_is_waited_out(void **state)
{
    struct world *w = *state;

    assert_int_equal(tryst_start(w->ctx), 0);
    (void)fake_expect(&w->server, w->ctx, MSG_REGISTER);
    int64_t from = now_ns();
    send_bye(w, REASON_BUSY, 100);
    assert_int_equal(fake_event_reason(&w->server, w->ctx, TRYST_EVENT_DISCONNECTED), TRYST_BUSY);
    fake_close(fake_conn_of(&w->server, w->ctx));
    (void)fake_expect(&w->server, w->ctx, MSG_REGISTER);
    assert_in_range(now_ns() - from, 100 * INT64_C(1000000), 2000 * INT64_C(1000000));
}

/* ---- afterwards ---- */

static void test_comes_back(void **state)
{
    struct world *w = *state;

    fake_register(&w->server, w->ctx);
    fake_close(fake_conn_of(&w->server, w->ctx));
    assert_int_equal(fake_event_reason(&w->server, w->ctx, TRYST_EVENT_DISCONNECTED),
                     TRYST_SERVER_LOST);
    (void)fake_expect(&w->server, w->ctx, MSG_REGISTER);
    assert_int_equal(tryst_process(w->ctx), 0);
}

static void test_pipelining(void **state)
{
    struct world *w = *state;
    struct tryst_request *req = tryst_request(w->ctx, "BOB", 3000, 0);
    uint8_t pin[TRYST_KEY_SIZE];
    struct msg m;

    assert_int_equal(tryst_own_key(w->ctx, pin), 0);
    assert_int_equal(tryst_request_pin(req, pin), 0);
    assert_int_equal(tryst_start(w->ctx), 0);
    /* Without waiting for REGISTERED. */
    m = fake_expect(&w->server, w->ctx, MSG_CONNECT);
    assert_string_equal(m.connect_.peer, "bob");
    assert_memory_equal(m.connect_.pinned, pin, sizeof(pin));
    assert_in_range(m.connect_.timeout_ms, 2000, 3000);
    assert_in_range(m.connect_.locals.count, 1, 2);
    /* A server that goes away before it has registered us has not heard it. */
    fake_close(fake_conn_of(&w->server, w->ctx));
    assert_int_equal(tryst_cancel(req), 0);
}

static void test_sync(void **state)
{
    struct world *w = *state;
    struct msg m = {.type = MSG_SYNC};

    fake_register(&w->server, w->ctx);
    m.sync_.origin = 12345;
    int64_t before = now_ns();
    fake_send(fake_conn_of(&w->server, w->ctx), &m);
    m = fake_expect(&w->server, w->ctx, MSG_SYNC);
    assert_int_equal(m.sync_.origin, 12345);
    assert_true(before <= m.sync_.receive && m.sync_.receive <= m.sync_.transmit &&
                m.sync_.transmit <= now_ns());
}

static void test_unknown_type(void **state)
{
    struct world *w = *state;
    /* A peer's message in the wrong direction is as unknown as a number that nobody uses. */
    struct msg m = {.type = MSG_SURVEYED};

    fake_register(&w->server, w->ctx);
    fake_send(fake_conn_of(&w->server, w->ctx), &m);
    m = fake_expect(&w->server, w->ctx, MSG_ERROR);
    assert_int_equal(m.error_.reason, REASON_PROTOCOL);
    assert_non_null(fake_conn_of(&w->server, w->ctx));
}

static void test_messages_about_nothing(void **state)
{
    static const uint8_t types[] = {MSG_PREPARE, MSG_PUNCH, MSG_OUTCOME};
    struct world *w = *state;

    fake_register(&w->server, w->ctx);
    for (size_t i = 0; i < sizeof(types); i++) {
        struct msg m = {.type = types[i]};
        fake_send(fake_conn_of(&w->server, w->ctx), &m);
    }
    struct msg m = {.type = MSG_ERROR};
    m.error_.reason = REASON_LIMIT;
    fake_send(fake_conn_of(&w->server, w->ctx), &m);
    fake_run_ms(&w->server, 20);
    assert_null(tryst_next_event(w->ctx));
    assert_non_null(fake_conn_of(&w->server, w->ctx));
}

static void test_garbage_on_the_channel(void **state)
{
    struct world *w = *state;
    struct fake_conn *c;

    fake_register(&w->server, w->ctx);
    c = fake_conn_of(&w->server, w->ctx);
    assert_int_equal(write(c->fd, "\0\x20not a sealed message, surely not", 34), 34);
    assert_int_equal(fake_event_reason(&w->server, w->ctx, TRYST_EVENT_DISCONNECTED),
                     TRYST_SERVER_LOST);
    (void)fake_expect(&w->server, w->ctx, MSG_REGISTER);
}

static void test_redirect(void **state)
{
    struct world *w = *state;
    static struct fake_server other;
    struct msg m = {.type = MSG_REDIRECT};

    fake_start(&other);
    fake_register(&w->server, w->ctx);
    assert_true(strlen(other.url) < sizeof(m.redirect_.url));
    memcpy(m.redirect_.url, other.url, strlen(other.url));
    fake_send(fake_conn_of(&w->server, w->ctx), &m);
    assert_int_equal(fake_event_reason(&w->server, w->ctx, TRYST_EVENT_DISCONNECTED),
                     TRYST_SERVER_LOST);
    for (int i = 0; i < 3000 && !fake_has(&other, w->ctx, MSG_REGISTER); i++) {
        fake_run(&w->server);
        fake_run(&other);
    }
    assert_true(fake_has(&other, w->ctx, MSG_REGISTER));
    /* The other one is gone before it has registered us: back to the first. */
    unsigned before = w->server.accepted;
    fake_stop(&other);
    while (w->server.accepted == before)
        fake_run(&w->server);
    (void)fake_expect(&w->server, w->ctx, MSG_REGISTER);
}

/* A server that drains sends away who has not registered yet; and who is not wanted elsewhere comes
 * back. */
static void test_redirect_refused(void **state)
{
    struct world *w = *state;
    static struct fake_server other;
    struct msg to = {.type = MSG_REDIRECT}, bye = {.type = MSG_BYE};

    fake_start(&other);
    memcpy(to.redirect_.url, other.url, strlen(other.url));
    bye.bye_.reason = REASON_NOT_REGISTERED;
    assert_int_equal(tryst_start(w->ctx), 0);
    (void)fake_expect(&w->server, w->ctx, MSG_REGISTER);
    fake_send(fake_conn_of(&w->server, w->ctx), &to);
    for (int i = 0; i < 5000 && !fake_has(&other, w->ctx, MSG_REGISTER); i++) {
        fake_run(&w->server);
        fake_run(&other);
    }
    (void)fake_expect(&other, w->ctx, MSG_REGISTER);
    unsigned before = w->server.accepted;
    fake_send(fake_conn_of(&other, w->ctx), &bye);
    for (int i = 0; i < 5000 && w->server.accepted == before; i++) {
        fake_run(&w->server);
        fake_run(&other);
    }
    (void)fake_expect(&w->server, w->ctx, MSG_REGISTER);
    assert_int_equal(tryst_process(w->ctx), 0);
    fake_stop(&other);
}

static void test_listening_later(void **state)
{
    struct world *w = *state;
    struct tryst_listener *l;
    struct msg m;

    fake_register(&w->server, w->ctx);
    l = tryst_listen(w->ctx);
    assert_non_null(l);
    assert_null(tryst_listen(w->ctx));
    m = fake_expect(&w->server, w->ctx, MSG_REGISTER);
    assert_int_equal(m.register_.flags, REGISTER_LISTEN | REGISTER_CONTROL_PORT);
    tryst_listener_free(l);
    /* On a further connection. */
    fake_run_ms(&w->server, 20);
    m = fake_expect(&w->server, w->ctx, MSG_REGISTER);
    assert_int_equal(m.register_.flags, REGISTER_CONTROL_PORT);
}

/* ---- survey ---- */

static void send_survey(struct world *w, unsigned count, unsigned flags)
{
    struct msg m = {.type = MSG_SURVEY};

    m.survey_.survey = 9;
    memset(m.survey_.secret, 3, sizeof(m.survey_.secret));
    memset(w->server.secret, 3, sizeof(w->server.secret));
    m.survey_.steps.count = (uint8_t)count;
    for (unsigned i = 0; i < count; i++) {
        struct step *s = &m.survey_.steps.at[i];
        s->socket = (uint16_t)((i * 3) % 7);
        s->flags = (uint8_t)(flags | (i % 2 ? STEP_BURST : 0));
        s->pause_us = 500;
        s->server = w->server.at;
    }
    fake_send(fake_conn_of(&w->server, w->ctx), &m);
}

static void test_survey(void **state)
{
    struct world *w = *state;
    struct msg m;
    unsigned first;

    fake_register(&w->server, w->ctx);
    for (int again = 0; again < 2; again++) {
        first = w->server.observations;
        send_survey(w, 14, 0);
        m = fake_expect(&w->server, w->ctx, MSG_SURVEYED);
        assert_int_equal(m.surveyed_.survey, 9);
        assert_int_equal(m.surveyed_.failed, 0);
        assert_int_equal(w->server.observations - first, 14);
        assert_int_equal(fake_event_reason(&w->server, w->ctx, TRYST_EVENT_SURVEYED), 0);
        /* Ports ascend with their numbers. */
        uint16_t port[7] = {0};
        for (unsigned i = first; i < first + 14; i++) {
            const struct msg_observe *o = &w->server.observed[i].observe_;
            port[(o->step * 3) % 7] = o->local.port;
        }
        for (unsigned i = 0; i + 1 < 7; i++)
            assert_true(port[i] < port[i + 1]);
    }
}

static void test_survey_refuses(void **state)
{
    struct world *w = *state;
    struct msg m = {.type = MSG_SURVEY};

    fake_register(&w->server, w->ctx);
    m.survey_.steps.count = 3;
    for (int i = 0; i < 3; i++)
        m.survey_.steps.at[i].server = w->server.at;
    m.survey_.steps.at[0].server.address[0] = 224;
    m.survey_.steps.at[1].server.port = 0;
    m.survey_.steps.at[2].server.family = 0;
    memset(m.survey_.steps.at[2].server.address, 0, 16);
    m.survey_.steps.at[2].server.port = 0;
    fake_send(fake_conn_of(&w->server, w->ctx), &m);
    m = fake_expect(&w->server, w->ctx, MSG_SURVEYED);
    assert_int_equal(m.surveyed_.failed, 3);
    /* And an empty one is answered, too. */
    send_survey(w, 0, 0);
    m = fake_expect(&w->server, w->ctx, MSG_SURVEYED);
    assert_int_equal(m.surveyed_.failed, 0);
}

static void test_survey_without_answers(void **state)
{
    struct world *w = *state;
    struct msg m;

    fake_register(&w->server, w->ctx);
    w->server.mute = true;
    send_survey(w, 2, STEP_KEEP);
    m = fake_expect(&w->server, w->ctx, MSG_SURVEYED);
    assert_int_equal(m.surveyed_.failed, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_wrong_key),
        TEST(test_forged_answer),
        TEST(test_other_protocol),
        TEST(test_nobody),
        TEST(test_refused),
        TEST(test_goes_on_trying),
        TEST(test_busy_is_waited_out),
        TEST(test_comes_back),
        TEST(test_pipelining),
        TEST(test_sync),
        TEST(test_unknown_type),
        TEST(test_messages_about_nothing),
        TEST(test_garbage_on_the_channel),
        TEST(test_redirect),
        TEST(test_redirect_refused),
        TEST(test_listening_later),
        TEST(test_survey),
        TEST(test_survey_refuses),
        TEST(test_survey_without_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
