/* SPDX-License-Identifier: ISC */
/* Checks, seen from the client: what is asked, which answers are believed, and who is told what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/peer_kind.h"
#include "proto/reason.h"
#include "tests/fake_pair.h"

/* ---- answers ---- */

static struct nat_summary home_nat(void)
{
    return (struct nat_summary){.mapping = NAT_EIM,
                                .filtering = NAT_APDF,
                                .allocation = NAT_PRESERVE,
                                .refusal = NAT_SILENCE,
                                .pooling = NAT_PAIRED,
                                .confidence = 91,
                                .samples = 9};
}

static struct nat_summary block_nat(void)
{
    return (struct nat_summary){.mapping = NAT_APDM,
                                .filtering = NAT_APDF,
                                .allocation = NAT_BLOCK,
                                .drift = 1500,
                                .delta = -3,
                                .block_low = 20000,
                                .block_high = 20511,
                                .confidence = 250};
}

static struct msg checked(uint32_t request)
{
    struct msg m = {.type = MSG_CHECKED};
    struct msg_checked *c = &m.checked_;

    c->request = request;
    c->rounds = 3;
    c->nats.count = 1;
    assert_int_equal(endpoint_parse("203.0.113.7", 1, &c->nats.at[0].address), 0);
    c->nats.at[0].nat = home_nat();
    c->prospects.count = 3;
    c->prospects.at[0] = (struct prospect){.kind = PEER_KIND_PUBLIC,
                                           .family = 4,
                                           .chance = 990000,
                                           .birthday = 4000000000u, /* more than all */
                                           .nat = home_nat()};
    c->prospects.at[1] = (struct prospect){.kind = PEER_KIND_RANDOM,
                                           .family = 4,
                                           .reason = REASON_BOTH_RANDOM,
                                           .birthday = 300000,
                                           .nat = block_nat()};
    c->prospects.at[2] =
        (struct prospect){.kind = 200, .family = 4, .chance = 500000, .nat = block_nat()};
    return m;
}

/* The answer about one peer. */
static struct msg checked_peer(uint32_t request, const uint8_t *key)
{
    struct msg m = checked(request);

    memcpy(m.checked_.peer, key, KEY_SIZE);
    m.checked_.prospects.count = 1;
    m.checked_.prospects.at[0].kind = PEER_KIND_ONE;
    m.checked_.prospects.at[0].nat = block_nat();
    return m;
}

/* Asks about this NAT; returns the number of the question. */
static uint32_t ask(struct pair *p)
{
    fake_register(&p->server, p->a);
    assert_non_null(tryst_check_request(p->a, NULL, 2000));
    struct msg m = fake_expect(&p->server, p->a, MSG_CHECK);
    assert_int_equal(m.check_.budget, 64);
    assert_int_equal(m.check_.flags, 0);
    return m.check_.request;
}

/* The same about the peer, by its name. */
static struct tryst_request *ask_about_peer(struct pair *p, uint32_t *number)
{
    fake_register(&p->server, p->a);
    struct tryst_request *req = tryst_check_request(p->a, "bob", 2000);
    assert_non_null(req);
    struct msg m = fake_expect(&p->server, p->a, MSG_CONNECT);
    assert_int_equal(m.connect_.flags, SESSION_CHECK);
    assert_string_equal(m.connect_.peer, "bob");
    assert_int_equal(m.connect_.locals.count, 0); /* nothing is bound for it */
    assert_in_range(m.connect_.timeout_ms, 1, 2000);
    *number = m.connect_.request;
    return req;
}

static struct tryst_outlook *take_outlook(struct pair *p)
{
    struct tryst_event *ev = fake_event(&p->server, p->a, TRYST_EVENT_CHECKED);
    struct tryst_outlook *o = tryst_event_take_outlook(ev);

    assert_non_null(o);
    assert_null(tryst_event_take_outlook(ev));
    assert_int_equal(tryst_event_reason(ev), 0);
    tryst_event_free(ev);
    assert_null(tryst_next_event(p->a)); /* one final event, and that was it */
    return o;
}

static void fails(struct pair *p, int reason)
{
    struct tryst_event *ev = fake_event(&p->server, p->a, TRYST_EVENT_FAILED);

    assert_string_equal(tryst_reason_name(tryst_event_reason(ev)), tryst_reason_name(reason));
    assert_null(tryst_event_take_outlook(ev));
    tryst_event_free(ev);
    assert_null(tryst_next_event(p->a));
}

/* ---- this NAT ---- */

static void check_prospects(const struct tryst_outlook *o)
{
    const struct tryst_prospect *x = tryst_outlook_prospect(o, 0);
    unsigned low, high;

    assert_int_equal(tryst_outlook_prospects(o), 3);
    assert_string_equal(tryst_prospect_kind(x), "public");
    assert_string_equal(tryst_prospect_level(x), "sure");
    assert_true(tryst_prospect_birthday(x) >= 1 && tryst_prospect_birthday(x) <= 1);
    x = tryst_outlook_prospect(o, 1);
    assert_string_equal(tryst_prospect_level(x), "no");
    assert_int_equal(tryst_prospect_reason(x), TRYST_BOTH_RANDOM);
    assert_int_equal(tryst_nat_block(tryst_prospect_nat(x), &low, &high), 0);
    assert_int_equal(low, 20000);
    assert_int_equal(high, 20511);
    assert_int_equal(tryst_nat_confidence(tryst_prospect_nat(x)), 100);
    /* A kind from a newer version is at least described. */
    x = tryst_outlook_prospect(o, 2);
    assert_string_equal(tryst_prospect_kind(x), "unknown");
    assert_string_equal(tryst_prospect_level(x), "even");
    assert_non_null(strstr(tryst_prospect_words(x), "20000-20511"));
    assert_null(tryst_outlook_prospect(o, 3));
    assert_null(tryst_outlook_prospect(o, -1));
}

static void test_nat(void **state)
{
    struct pair *p = *state;
    struct msg m = checked(ask(p));
    uint8_t key[TRYST_KEY_SIZE];
    unsigned low, high;

    fake_send(pair_conn(p, 0), &m);
    struct tryst_outlook *o = take_outlook(p);
    assert_int_equal(tryst_outlook_rounds(o), 3);
    assert_int_equal(tryst_outlook_peer_key(o, key), -TRYST_STATE);
    assert_int_equal(tryst_outlook_nats(o), 1);
    const struct tryst_nat *n = tryst_outlook_nat(o, 0);
    assert_string_equal(tryst_nat_address(n), "203.0.113.7");
    assert_int_equal(tryst_nat_family(n), 4);
    assert_string_equal(tryst_nat_mapping(n), "eim");
    assert_string_equal(tryst_nat_allocation(n), "preserve");
    assert_int_equal(tryst_nat_block(n, &low, &high), -TRYST_STATE);
    assert_null(tryst_outlook_nat(o, 1));
    check_prospects(o);
    tryst_outlook_free(o);
}

/* With consent and a budget of its own. */
static void test_consent_is_stated(void **state)
{
    struct pair *p = *state;

    assert_int_equal(tryst_set_birthday(p->a, 1), 0);
    fake_register(&p->server, p->a);
    assert_non_null(tryst_check_request(p->a, NULL, 2000));
    struct msg m = fake_expect(&p->server, p->a, MSG_CHECK);
    assert_int_equal(m.check_.flags, SESSION_BIRTHDAY);
    assert_int_equal(m.check_.budget, 512);
}

static void test_refusals(void **state)
{
    struct pair *p = *state;
    struct msg m = checked(ask(p));

    m.checked_.reason = REASON_LIMIT;
    fake_send(pair_conn(p, 0), &m);
    fails(p, TRYST_LIMIT);
}

/* ---- answers that are not believed ---- */

static void test_other_answers(void **state)
{
    struct pair *p = *state;
    uint32_t number = ask(p);
    struct msg m = checked(number + 1);

    fake_send(pair_conn(p, 0), &m); /* to nothing that was asked */
    m = checked_peer(number, p->key_b);
    fake_send(pair_conn(p, 0), &m); /* about a peer, which was not asked about */
    fails(p, TRYST_PROTOCOL);
}

static void test_session_is_not_answered_by_checked(void **state)
{
    struct pair *p = *state;
    struct msg m;

    pair_introduce(p);
    m = checked(p->number);
    fake_send(pair_conn(p, 0), &m);
    m = checked_peer(p->number, p->key_b);
    fake_send(pair_conn(p, 0), &m);
    m = (struct msg){.type = MSG_OUTCOME};
    m.outcome_.request = p->number;
    m.outcome_.reason = REASON_MISSED;
    fake_send(pair_conn(p, 0), &m);
    pair_fails(p, p->a, TRYST_MISSED);
}

/* A check makes no connection, whatever the server says. */
static void test_no_punch(void **state)
{
    struct pair *p = *state;
    uint32_t number;
    struct msg m = {.type = MSG_PREPARE};

    (void)ask_about_peer(p, &number);
    unsigned accepted = p->server.accepted;
    m.prepare_.request = number;
    memset(m.prepare_.session, 5, sizeof(m.prepare_.session));
    m.prepare_.round = 1;
    m.prepare_.steps.count = 1;
    m.prepare_.steps.at[0].server = p->server.at;
    fake_send(pair_conn(p, 0), &m);
    m = (struct msg){.type = MSG_PUNCH};
    m.punch_.request = number;
    memset(m.punch_.session, 5, sizeof(m.punch_.session));
    m.punch_.round = 1;
    memcpy(m.punch_.peer, p->key_b, KEY_SIZE);
    m.punch_.hold_us = 1000;
    m.punch_.volleys.count = 1;
    m.punch_.volleys.at[0].remote = p->server.at;
    m.punch_.volleys.at[0].count = 1;
    fake_send(pair_conn(p, 0), &m);
    m = checked_peer(number, p->key_b);
    fake_send(pair_conn(p, 0), &m);
    tryst_outlook_free(take_outlook(p));
    assert_int_equal(p->server.accepted, accepted);
    assert_false(fake_has(&p->server, p->a, MSG_PREPARED));
}

/* ---- one peer ---- */

static void test_peer(void **state)
{
    struct pair *p = *state;
    uint32_t number;
    uint8_t key[TRYST_KEY_SIZE];

    (void)ask_about_peer(p, &number);
    struct msg m = checked_peer(number, p->key_b);
    m.checked_.flags = CHECKED_SAME_ADDRESS;
    fake_send(pair_conn(p, 0), &m);
    struct tryst_outlook *o = take_outlook(p);
    assert_int_equal(tryst_outlook_peer_key(o, key), 0);
    assert_memory_equal(key, p->key_b, sizeof(key));
    assert_int_equal(tryst_outlook_same_address(o), 1);
    const struct tryst_prospect *x = tryst_outlook_prospect(o, 0);
    assert_string_equal(tryst_prospect_kind(x), "peer");
    assert_string_equal(tryst_prospect_words(x), tryst_nat_words(tryst_prospect_nat(x)));
    tryst_outlook_free(o);
}

static void test_peer_with_another_key(void **state)
{
    struct pair *p = *state;
    uint32_t number;
    struct tryst_request *req = ask_about_peer(p, &number);

    assert_int_equal(tryst_request_pin(req, p->key_a), 0);
    struct msg m = checked_peer(number, p->key_b);
    fake_send(pair_conn(p, 0), &m);
    fails(p, TRYST_PEER_KEY);
}

static void test_peer_offline(void **state)
{
    struct pair *p = *state;
    struct msg m = {.type = MSG_OUTCOME};

    (void)ask_about_peer(p, &m.outcome_.request);
    m.outcome_.reason = REASON_PEER_OFFLINE;
    fake_send(pair_conn(p, 0), &m);
    fails(p, TRYST_PEER_OFFLINE);
}

static void test_cancelled(void **state)
{
    struct pair *p = *state;
    uint32_t number;
    struct tryst_request *req = ask_about_peer(p, &number);

    assert_int_equal(tryst_report_check(tryst_request_report(req)), 1);
    assert_int_equal(tryst_cancel(req), 0);
    struct msg m = fake_expect(&p->server, p->a, MSG_CANCEL);
    assert_int_equal(m.cancel_.request, number);
    fails(p, TRYST_CANCELLED);
}

static void test_bad_names(void **state)
{
    struct pair *p = *state;

    assert_null(tryst_check_request(p->a, "no/such name", 1000));
    assert_null(tryst_next_event(p->a));
}

/* ---- being asked about ---- */

static void invite_to_check(struct pair *p)
{
    struct msg m = {.type = MSG_INVITE};

    p->id[0]++;
    memcpy(m.invite_.session, p->id, sizeof(p->id));
    memcpy(m.invite_.peer, p->key_a, KEY_SIZE);
    strcpy(m.invite_.name, "alice");
    m.invite_.flags = SESSION_CHECK;
    m.invite_.timeout_ms = 5000;
    fake_send(pair_conn(p, 1), &m);
}

static void expect_accept(struct pair *p)
{
    struct msg m = fake_expect(&p->server, p->b, MSG_ACCEPT);

    assert_memory_equal(m.accept_.session, p->id, sizeof(p->id));
    assert_int_equal(m.accept_.locals.count, 0);
    assert_int_equal(m.accept_.budget, 64);
}

static void test_asked_by_one_who_may(void **state)
{
    struct pair *p = *state;
    char key[TRYST_KEY_TEXT_SIZE], who[64];

    fake_register(&p->server, p->b);
    invite_to_check(p);
    expect_accept(p);
    struct tryst_event *ev = fake_event(&p->server, p->b, TRYST_EVENT_ASKED);
    assert_null(tryst_event_request(ev));
    tryst_key_to_text(p->key_a, key);
    (void)snprintf(who, sizeof(who), "alice (%s)", key);
    assert_string_equal(tryst_event_text(ev), who);
    tryst_event_free(ev);
    assert_null(tryst_next_event(p->b));
}

static void test_asked_by_another(void **state)
{
    struct pair *p = *state;

    tryst_listener_free(p->listener);
    p->listener = tryst_listen(p->b);
    fake_register(&p->server, p->b);
    invite_to_check(p);
    struct tryst_event *ev = fake_event(&p->server, p->b, TRYST_EVENT_INCOMING);
    struct tryst_request *req = tryst_event_request(ev);
    assert_int_equal(tryst_report_check(tryst_request_report(req)), 1);
    assert_false(fake_has(&p->server, p->b, MSG_ACCEPT));
    assert_int_equal(tryst_request_accept(req, 0), 0);
    tryst_event_free(ev);
    expect_accept(p);
    ev = fake_event(&p->server, p->b, TRYST_EVENT_CHECKED);
    assert_null(tryst_event_take_outlook(ev)); /* the answer is not for this side */
    tryst_event_free(ev);

    invite_to_check(p);
    ev = fake_event(&p->server, p->b, TRYST_EVENT_INCOMING);
    assert_int_equal(tryst_request_reject(tryst_event_request(ev), ""), 0);
    tryst_event_free(ev);
    struct msg m = fake_expect(&p->server, p->b, MSG_REJECT);
    assert_int_equal(m.reject_.reason, REASON_DECLINED);
    assert_int_equal(fake_event_reason(&p->server, p->b, TRYST_EVENT_FAILED), TRYST_DECLINED);

    assert_int_equal(tryst_listener_decline_others(p->listener, 1), 0);
    invite_to_check(p);
    (void)fake_expect(&p->server, p->b, MSG_REJECT);
    assert_null(tryst_next_event(p->b));
}

/* ---- as JSON ---- */

static void test_json(void **state)
{
    struct pair *p = *state;
    struct msg m = checked(ask(p));
    char out[8192], small[16];

    fake_send(pair_conn(p, 0), &m);
    struct tryst_outlook *o = take_outlook(p);
    int len = tryst_outlook_json(o, out, sizeof(out));
    assert_int_equal(len, strlen(out));
    assert_int_equal(tryst_outlook_json(o, NULL, 0), len);
    assert_int_equal(tryst_outlook_json(o, small, sizeof(small)), len);
    assert_int_equal(strlen(small), sizeof(small) - 1);
    static const char *const parts[] = {
        "{\"ok\":true,\"peer_key\":null,\"rounds\":3,\"birthday\":false,\"same_address\":false,"
        "\"nats\":[{\"family\":4,\"address\":\"203.0.113.7\",\"words\":\"",
        "\"mapping\":\"eim\",\"filtering\":\"apdf\",\"allocation\":\"preserve\","
        "\"refusal\":\"silence\",\"pooling\":\"paired\",\"delta\":0,\"no_simultaneous_open\":false,"
        "\"double\":false,\"drift\":0.000,\"block\":null,"
        "\"confidence\":91,\"samples\":9}],\"prospects\":[{\"family\":4,\"kind\":\"public\"",
        "\"level\":\"sure\",\"chance\":0.990000,\"birthday_chance\":1,\"code\":0,"
        "\"reason\":\"ok\",\"nat\":{\"family\":4,\"address\":null",
        "\"level\":\"no\",\"chance\":0.000000,\"birthday_chance\":0.300000,\"code\":50,"
        "\"reason\":\"both-random\"",
        "\"delta\":-3,\"no_simultaneous_open\":false,\"double\":false,\"drift\":1.500,\"block\":["
        "20000,20511]"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!strstr(out, parts[i]))
            fail_msg("%s is not in %s", parts[i], out);
    tryst_outlook_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
        TEST(test_nat),
        TEST(test_consent_is_stated),
        TEST(test_refusals),
        TEST(test_other_answers),
        TEST(test_session_is_not_answered_by_checked),
        TEST(test_no_punch),
        TEST(test_peer),
        TEST(test_peer_with_another_key),
        TEST(test_peer_offline),
        TEST(test_cancelled),
        TEST(test_bad_names),
        TEST(test_asked_by_one_who_may),
        TEST(test_asked_by_another),
        TEST(test_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
