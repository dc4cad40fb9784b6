/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "proto/peer_kind.h"
#include "server/plan_prospect.h"

#define NOW (1000 * TICK_S)

static const struct plan_moment moment = {.now = NOW, .anchor_age = 110 * TICK_MS};

/* ---- a side to ask for ---- */

struct side {
    struct profile profile;
    struct plan_party party;
};

static struct endpoint v4(uint8_t last)
{
    return (struct endpoint){.family = 4, .address = {203, 0, 113, last}};
}

static struct endpoint v6(uint8_t last)
{
    return (struct endpoint){.family = 6, .address = {0x20, 1, 0xd, 0xb8, [15] = last}};
}

static void make(struct side *s, struct endpoint address, enum nat_mapping mapping,
                 enum nat_allocation allocation)
{
    memset(s, 0, sizeof(*s));
    profile_init(&s->profile);
    s->profile.nat = (struct nat_summary){.mapping = (uint8_t)mapping,
                                          .filtering = NAT_APDF,
                                          .allocation = (uint8_t)allocation,
                                          .refusal = NAT_SILENCE,
                                          .pooling = NAT_PAIRED,
                                          .confidence = 95,
                                          .samples = 20};
    s->profile.learnt = s->profile.refusal_learnt = s->profile.last_at = NOW - TICK_S;
    s->profile.weight = 20;
    s->party = (struct plan_party){.profile = &s->profile,
                                   .address = address,
                                   .local = address,
                                   .budget = PLAN_SYNS,
                                   .most = 512};
    if (mapping != NAT_MAPPING_NONE)
        s->party.local.address[0] = 10;
}

/* As it is now: a test may have changed the profile since. */
static struct plan_party party_of(const struct side *s)
{
    struct plan_party p = s->party;

    p.nat = s->profile.nat;
    p.block_low = p.sure_low = p.nat.block_low;
    p.block_high = p.sure_high = p.nat.block_high;
    return p;
}

static void make_counter(struct side *s, double foreign_per_s)
{
    make(s, v4(1), NAT_APDM, NAT_COUNTER);
    s->profile.nat.delta = 1;
    s->profile.last_port = 30000;
    s->profile.drift_seconds = 60;
    s->profile.drift_sum = 60 * foreign_per_s;
}

static void make_block(struct side *s)
{
    make(s, v4(1), NAT_APDM, NAT_BLOCK);
    s->profile.nat.block_low = 20000;
    s->profile.nat.block_high = 20511;
}

static void consent(struct side *s)
{
    s->party.birthday = true;
    s->party.budget = s->party.most;
}

static struct prospects ask(const struct side *s)
{
    struct plan_party own = party_of(s);
    struct prospects out;

    plan_prospects(&own, 1, &moment, &out);
    return out;
}

static const struct prospect *against(const struct prospects *list, enum peer_kind kind)
{
    for (unsigned i = 0; i < list->count; i++)
        if (list->at[i].kind == kind)
            return &list->at[i];
    fail_msg("%s is not in the list", peer_kind_name(kind));
    return NULL;
}

static double chance(const struct side *s, enum peer_kind kind)
{
    struct prospects list = ask(s);

    return against(&list, kind)->chance / 1e6;
}

/* ---- what holds for all ---- */

static void test_every_kind_once(void **state)
{
    struct side s;
    struct prospects list;

    (void)state;
    make(&s, v4(1), NAT_EIM, NAT_PRESERVE);
    list = ask(&s);
    assert_int_equal(list.count, 9); /* all but those of IPv6 */
    for (unsigned i = 0; i < list.count; i++) {
        const struct prospect *p = &list.at[i];
        assert_int_equal(p->kind, i + 1);
        assert_true(p->chance <= 1000000 && p->birthday <= 1000000);
        assert_true(p->birthday + 2000 >= p->chance); /* alike is alike: see CHANCE_ALIKE */
        assert_int_equal(p->reason == REASON_OK, p->chance >= 10000);
        assert_int_equal(p->family, 4);
        assert_true(*peer_kind_words(p->kind));
    }
}

static void test_nothing_known(void **state)
{
    struct side s;

    (void)state;
    make(&s, v4(1), NAT_EIM, NAT_PRESERVE);
    profile_init(&s.profile);
    struct prospects list = ask(&s);
    for (unsigned i = 0; i < list.count; i++) {
        assert_int_equal(list.at[i].reason, REASON_NO_OBSERVATION);
        assert_int_equal(list.at[i].chance, 0);
    }
}

/* ---- NATs against kinds ---- */

static void test_home(void **state)
{
    static const enum peer_kind sure[] = {
        PEER_KIND_PUBLIC,  PEER_KIND_HOME,        PEER_KIND_HOME_RST, PEER_KIND_CARRIER,
        PEER_KIND_COUNTER, PEER_KIND_PER_ADDRESS, PEER_KIND_BLOCK};
    struct side s;

    (void)state;
    make(&s, v4(1), NAT_EIM, NAT_PRESERVE);
    for (size_t i = 0; i < sizeof(sure) / sizeof(sure[0]); i++)
        if (chance(&s, sure[i]) < 0.85)
            fail_msg("%s: %f", peer_kind_name(sure[i]), chance(&s, sure[i]));
}

/* 64 SYNs meet a random port seldom; hundreds, with both sides' consent, nearly always. */
static void test_birthday_is_what_helps(void **state)
{
    struct side s;

    (void)state;
    make(&s, v4(1), NAT_EIM, NAT_PRESERVE);
    struct prospects list = ask(&s);
    const struct prospect *p = against(&list, PEER_KIND_RANDOM);
    assert_true(p->chance > 10000 && p->chance < 200000);
    assert_true(p->birthday > 850000);
    consent(&s);
    list = ask(&s);
    p = against(&list, PEER_KIND_RANDOM);
    assert_int_equal(p->chance, p->birthday);
}

static void test_random(void **state)
{
    struct side s;

    (void)state;
    make(&s, v4(1), NAT_APDM, NAT_RANDOM);
    consent(&s);
    struct prospects list = ask(&s);
    const struct prospect *p = against(&list, PEER_KIND_RANDOM);
    assert_int_equal(p->reason, REASON_BOTH_RANDOM);
    assert_true(p->chance < 10000);
    assert_true(chance(&s, PEER_KIND_PUBLIC) > 0.85);
    assert_true(chance(&s, PEER_KIND_RANDOM_LENIENT) > p->chance / 1e6);
    s.profile.nat.filtering = NAT_EIF;
    assert_true(chance(&s, PEER_KIND_HOME) > 0.85);
}

static void test_counter(void **state)
{
    struct side quiet, busy;

    (void)state;
    make_counter(&quiet, 0);
    make_counter(&busy, 2000);
    assert_true(chance(&quiet, PEER_KIND_HOME) > 0.85);
    assert_true(chance(&quiet, PEER_KIND_COUNTER) > 0.5);
    assert_true(chance(&busy, PEER_KIND_COUNTER) < chance(&quiet, PEER_KIND_COUNTER));
}

static void test_block(void **state)
{
    struct side s;

    (void)state;
    make_block(&s);
    assert_true(chance(&s, PEER_KIND_HOME) > 0.85);
    assert_true(chance(&s, PEER_KIND_BLOCK) < 0.5);
    assert_true(chance(&s, PEER_KIND_BLOCK) > chance(&s, PEER_KIND_RANDOM));
}

/* The confidence of the profile is in the chance: a young one promises less. */
static void test_confidence_counts(void **state)
{
    struct side young, old;

    (void)state;
    make(&young, v4(1), NAT_EIM, NAT_PRESERVE);
    make(&old, v4(1), NAT_EIM, NAT_PRESERVE);
    young.profile.nat.confidence = 55;
    assert_true(chance(&young, PEER_KIND_HOME) + 0.05 < chance(&old, PEER_KIND_HOME));
}

/* An older anchor leaves a counter more time to run away. */
static void test_delay_counts(void **state)
{
    struct side s;
    struct plan_moment far = {.now = NOW, .anchor_age = 3 * TICK_S};
    struct prospects near_list, far_list;

    (void)state;
    make_counter(&s, 100);
    s.party = party_of(&s);
    plan_prospects(&s.party, 1, &moment, &near_list);
    plan_prospects(&s.party, 1, &far, &far_list);
    assert_true(against(&far_list, PEER_KIND_COUNTER)->chance <
                against(&near_list, PEER_KIND_COUNTER)->chance);
}

/* ---- families ---- */

static void test_two_families(void **state)
{
    struct side a, b;
    struct plan_party own[2];
    struct prospects list;

    (void)state;
    make(&a, v4(1), NAT_APDM, NAT_RANDOM);
    make(&b, v6(1), NAT_MAPPING_NONE, NAT_PRESERVE);
    own[0] = party_of(&a);
    own[1] = party_of(&b);
    plan_prospects(own, 2, &moment, &list);
    assert_int_equal(list.count, 10);
    assert_int_equal(against(&list, PEER_KIND_FIREWALL_6)->family, 6);
    assert_true(against(&list, PEER_KIND_FIREWALL_6)->chance > 850000);
    assert_int_equal(against(&list, PEER_KIND_HOME)->family, 4);
    assert_true(against(&list, PEER_KIND_PUBLIC)->chance > 950000);
}

static void test_ipv6_alone(void **state)
{
    struct side s;

    (void)state;
    make(&s, v6(1), NAT_MAPPING_NONE, NAT_PRESERVE);
    struct prospects list = ask(&s);
    assert_int_equal(against(&list, PEER_KIND_HOME)->reason, REASON_NO_COMMON_FAMILY);
    assert_int_equal(against(&list, PEER_KIND_HOME)->chance, 0);
    assert_true(against(&list, PEER_KIND_PUBLIC)->chance > 850000);
}

/* ---- two given sides ---- */

static struct prospect of_two(const struct side *a, const struct side *b)
{
    struct plan_party sides[1][2] = {{party_of(a), party_of(b)}};

    return plan_prospect((const struct plan_party(*)[2])sides, 1, &moment);
}

static void test_one_peer(void **state)
{
    struct side home, random;

    (void)state;
    make(&home, v4(1), NAT_EIM, NAT_PRESERVE);
    make(&random, v4(9), NAT_APDM, NAT_RANDOM);
    struct prospect p = of_two(&home, &home);
    assert_int_equal(p.kind, PEER_KIND_ONE);
    assert_int_equal(p.reason, REASON_OK);
    assert_true(p.chance > 850000);
    p = of_two(&random, &random);
    assert_int_equal(p.reason, REASON_BOTH_RANDOM);
    p = of_two(&home, &random);
    assert_int_equal(p.nat.allocation, NAT_RANDOM);
    p = plan_prospect(NULL, 0, &moment);
    assert_int_equal(p.reason, REASON_NO_COMMON_FAMILY);
    assert_int_equal(p.family, 0);
    assert_int_equal(p.nat.mapping, NAT_MAPPING_UNKNOWN);
}

/* Consent is both sides': one alone gets no more than without. */
static void test_consent_of_one_side(void **state)
{
    struct side home, random;

    (void)state;
    make(&home, v4(1), NAT_EIM, NAT_PRESERVE);
    make(&random, v4(9), NAT_APDM, NAT_RANDOM);
    uint32_t without = of_two(&home, &random).chance;
    home.party.birthday = true;
    assert_int_equal(of_two(&home, &random).chance, without);
    consent(&home);
    consent(&random);
    assert_true(of_two(&home, &random).chance > 4 * without);
}

static void test_pooling(void **state)
{
    struct side a, b;

    (void)state;
    make(&a, v4(1), NAT_APDM, NAT_RANDOM);
    make(&b, v4(9), NAT_APDM, NAT_RANDOM);
    a.profile.nat.pooling = NAT_ARBITRARY;
    assert_int_equal(of_two(&a, &b).reason, REASON_POOLING);
    assert_int_equal(of_two(&b, &a).reason, REASON_POOLING);
    assert_int_equal(plan_pooled(REASON_OK, &a.profile.nat, &b.profile.nat), REASON_OK);
    assert_int_equal(plan_pooled(REASON_UNPREDICTABLE, &b.profile.nat, &b.profile.nat),
                     REASON_UNPREDICTABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_once),
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_home),
        cmocka_unit_test(test_birthday_is_what_helps),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_counter),
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_confidence_counts),
        cmocka_unit_test(test_delay_counts),
        cmocka_unit_test(test_two_families),
        cmocka_unit_test(test_ipv6_alone),
        cmocka_unit_test(test_one_peer),
        cmocka_unit_test(test_consent_of_one_side),
        cmocka_unit_test(test_pooling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
