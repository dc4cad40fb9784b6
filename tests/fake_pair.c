/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/fake_pair.h"

int64_t pair_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int pair_setup(void **state)
{
    static struct pair p;

    memset(&p, 0, sizeof(p));
    fake_start(&p.server);
    p.a = fake_context(&p.server);
    p.b = fake_context(&p.server);
    p.listener = tryst_listen(p.b);
    assert_non_null(p.listener);
    assert_int_equal(tryst_own_key(p.a, p.key_a), 0);
    assert_int_equal(tryst_own_key(p.b, p.key_b), 0);
    assert_int_equal(tryst_listener_allow_key(p.listener, p.key_a), 0);
    memset(p.id, 0x5e, sizeof(p.id));
    *state = &p;
    return 0;
}

int pair_teardown(void **state)
{
    struct pair *p = *state;

    fake_stop(&p->server);
    return 0;
}

static struct endpoint loopback_of(const struct endpoints *locals)
{
    for (unsigned i = 0; i < locals->count; i++) {
        if (locals->at[i].family == 4) {
            struct endpoint e;
            assert_int_equal(endpoint_parse("127.0.0.1", 1, &e), 0);
            return endpoint_with_port(e, locals->at[i].port);
        }
    }
    fail_msg("no IPv4 endpoint");
    return endpoint_none();
}

/* ---- what the server says ---- */

void pair_invite(struct pair *p)
{
    struct msg m = {.type = MSG_INVITE};

    memcpy(m.invite_.session, p->id, sizeof(p->id));
    memcpy(m.invite_.peer, p->key_a, sizeof(p->key_a));
    strcpy(m.invite_.name, "alice");
    m.invite_.timeout_ms = 8000;
    fake_send(fake_conn_of(&p->server, p->b), &m);
}

struct msg pair_punch_of(struct pair *p, int side, int64_t start)
{
    struct msg m = {.type = MSG_PUNCH};

    m.punch_.request = side == 0 ? p->number : 0;
    memcpy(m.punch_.session, p->id, sizeof(p->id));
    m.punch_.round = 1;
    m.punch_.role = side == 0 ? ROLE_REQUESTER : ROLE_TARGET;
    memcpy(m.punch_.peer, side == 0 ? p->key_b : p->key_a, KEY_SIZE);
    m.punch_.start = start;
    m.punch_.hold_us = 1500000;
    m.punch_.chance = 900000;
    m.punch_.volleys.count = 1;
    m.punch_.volleys.at[0].remote = p->at[!side];
    m.punch_.volleys.at[0].count = 1;
    m.punch_.local_nat.mapping = NAT_EIM;
    m.punch_.remote_nat.mapping = NAT_APDM;
    return m;
}

struct fake_conn *pair_conn(struct pair *p, int side)
{
    return fake_conn_of(&p->server, side == 0 ? p->a : p->b);
}

void pair_introduce(struct pair *p)
{
    struct msg m;

    fake_register(&p->server, p->b);
    fake_register(&p->server, p->a);
    p->req = tryst_request(p->a, "bob", 5000, p->flags);
    assert_non_null(p->req);
    m = fake_expect(&p->server, p->a, MSG_CONNECT);
    assert_string_equal(m.connect_.peer, "bob");
    p->number = m.connect_.request;
    p->at[0] = loopback_of(&m.connect_.locals);
    pair_invite(p);
    m = fake_expect(&p->server, p->b, MSG_ACCEPT);
    assert_memory_equal(m.accept_.session, p->id, sizeof(p->id));
    p->at[1] = loopback_of(&m.accept_.locals);
    assert_int_equal(fake_event_reason(&p->server, p->b, TRYST_EVENT_INVITED), 0);
}

int pair_take(struct pair *p, struct tryst_context *ctx, struct tryst_report **report)
{
    struct tryst_event *ev;
    int fd;

    while (tryst_event_type(ev = fake_event(&p->server, ctx, 0)) < TRYST_EVENT_ESTABLISHED)
        tryst_event_free(ev);
    assert_int_equal(tryst_event_type(ev), TRYST_EVENT_ESTABLISHED);
    fd = tryst_event_take_fd(ev);
    assert_true(fd >= 0);
    assert_int_equal(tryst_event_take_fd(ev), -1);
    *report = tryst_event_take_report(ev);
    assert_non_null(*report);
    tryst_event_free(ev);
    return fd;
}

void pair_hears(int fd, const char *bytes)
{
    char in[64] = "";
    struct pollfd pfd = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&pfd, 1, 1000), 1);
    assert_int_equal(recv(fd, in, sizeof(in), 0), (ssize_t)strlen(bytes));
    assert_string_equal(in, bytes);
}

void pair_punch(struct pair *p, int64_t in_ns)
{
    int64_t start = pair_now() + in_ns;

    for (int side = 0; side < 2; side++) {
        struct msg m = pair_punch_of(p, side, start);
        fake_send(pair_conn(p, side), &m);
    }
}

void pair_fails(struct pair *p, struct tryst_context *ctx, int reason)
{
    struct tryst_event *ev;

    while (tryst_event_type(ev = fake_event(&p->server, ctx, 0)) < TRYST_EVENT_ESTABLISHED)
        tryst_event_free(ev);
    assert_int_equal(tryst_event_type(ev), TRYST_EVENT_FAILED);
    assert_int_equal(tryst_event_reason(ev), reason);
    assert_int_equal(tryst_event_take_fd(ev), -1);
    struct tryst_report *r = tryst_event_take_report(ev);
    assert_int_equal(tryst_report_reason(r), reason);
    assert_non_null(strstr(tryst_report_text(r), tryst_strerror(reason)));
    tryst_report_free(r);
    tryst_event_free(ev);
}
