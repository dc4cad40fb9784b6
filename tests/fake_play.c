/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/reason.h"
#include "tests/fake_play.h"

static struct fake_conn *conn_of(struct fake_play *p, const uint8_t *key)
{
    struct fake_conn *found = NULL;

    for (int i = 0; i < FAKE_CONNS_MAX; i++) {
        struct fake_conn *c = &p->server.conns[i];
        if (c->fd >= 0 && c->open && key_equal(c->peer, key))
            found = c;
    }
    return found;
}

static void answer(struct fake_play *p, const uint8_t *key, const struct msg *m)
{
    struct fake_conn *to = conn_of(p, key);

    if (to)
        fake_send(to, m);
}

static struct endpoint on_loopback(const struct endpoints *locals)
{
    struct endpoint e;

    assert_int_equal(endpoint_parse("127.0.0.1", 1, &e), 0);
    for (unsigned i = 0; i < locals->count; i++) {
        if (locals->at[i].family == 4)
            e.port = locals->at[i].port;
    }
    return e;
}

static void registered(struct fake_play *p, struct fake_conn *c, const struct msg_register *in)
{
    struct msg m = {.type = MSG_REGISTERED};

    fake_send(c, &m);
    memset(&m, 0, sizeof(m));
    m.type = MSG_SURVEY;
    m.survey_.steps.count = 2;
    m.survey_.steps.at[0].server = m.survey_.steps.at[1].server = p->server.at;
    fake_send(c, &m);
    if (in->flags & REGISTER_LISTEN) {
        memcpy(p->target, c->peer, KEY_SIZE);
        p->has_target = true;
    }
    p->registered++;
}

static void requested(struct fake_play *p, const struct fake_conn *c, const struct msg_connect *in)
{
    struct msg m = {.type = MSG_INVITE};

    memcpy(p->requester, c->peer, KEY_SIZE);
    p->request = in->request;
    p->at[0] = on_loopback(&in->locals);
    p->session[0]++;
    memcpy(m.invite_.session, p->session, sizeof(p->session));
    memcpy(m.invite_.peer, p->requester, KEY_SIZE);
    m.invite_.timeout_ms = in->timeout_ms;
    m.invite_.flags = in->flags;
    p->check = in->flags & SESSION_CHECK;
    if (p->has_target)
        answer(p, p->target, &m);
}

static void punch(struct fake_play *p, int side)
{
    struct msg m = {.type = MSG_PUNCH};

    m.punch_.request = side == 0 ? p->request : 0;
    memcpy(m.punch_.session, p->session, sizeof(p->session));
    m.punch_.round = 1;
    m.punch_.role = side == 0 ? ROLE_REQUESTER : ROLE_TARGET;
    memcpy(m.punch_.peer, side == 0 ? p->target : p->requester, KEY_SIZE);
    m.punch_.hold_us = 100000;
    m.punch_.volleys.count = 1;
    m.punch_.volleys.at[0].remote = p->at[!side];
    m.punch_.volleys.at[0].count = 1;
    answer(p, side == 0 ? p->requester : p->target, &m);
}

static void checked(struct fake_play *p, const uint8_t *asker, const uint8_t *about,
                    uint32_t request)
{
    struct msg m = {.type = MSG_CHECKED};

    m.checked_.request = request;
    if (about)
        memcpy(m.checked_.peer, about, KEY_SIZE);
    m.checked_.prospects.count = 1;
    m.checked_.prospects.at[0].chance = 900000;
    answer(p, asker, &m);
}

static void accepted(struct fake_play *p, const struct msg_accept *in)
{
    if (p->check) {
        checked(p, p->requester, p->target, p->request);
        return;
    }
    p->at[1] = on_loopback(&in->locals);
    punch(p, 0);
    punch(p, 1);
}

static void finished(struct fake_play *p, const struct fake_conn *c, const struct msg_result *in)
{
    struct msg m = {.type = MSG_OUTCOME};

    /* One side's SYNs may all be refused, and the other's still find the listener. */
    if (in->reason == REASON_REFUSED)
        return;
    p->results += in->reason == 0;
    m.outcome_.request = key_equal(c->peer, p->requester) ? p->request : 0;
    memcpy(m.outcome_.session, in->session, sizeof(in->session));
    m.outcome_.reason = in->reason;
    answer(p, c->peer, &m);
}

static void play(struct fake_play *p, struct fake_conn *c, const struct msg *m)
{
    switch (m->type) {
    case MSG_REGISTER:
        registered(p, c, &m->register_);
        break;
    case MSG_CONNECT:
        requested(p, c, &m->connect_);
        break;
    case MSG_ACCEPT:
        accepted(p, &m->accept_);
        break;
    case MSG_CHECK:
        checked(p, c->peer, NULL, m->check_.request);
        break;
    case MSG_RESULT:
        finished(p, c, &m->result_);
        break;
    default:
        break;
    }
}

void fake_play(struct fake_play *p)
{
    fake_run(&p->server);
    for (int i = 0; i < FAKE_CONNS_MAX; i++) {
        struct fake_conn *c = &p->server.conns[i];
        while (c->fd >= 0 && c->inbox_count > 0) {
            struct msg *m = c->inbox[0];
            memmove(c->inbox, c->inbox + 1, --c->inbox_count * sizeof(struct msg *));
            play(p, c, m);
            free(m);
        }
    }
}
