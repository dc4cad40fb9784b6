/* SPDX-License-Identifier: ISC */
/* Slots, indexes, limits and who is here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/rng.h"
#include "server/net.h"
#include "server/net_limit.h"
#include "server/peer_table.h"
#include "server/slab.h"

static const uint8_t hash_key[16] = "0123456789abcde";

struct item {
    struct slot slot;
    uint32_t value;
};

static void test_slab_references_go_stale(void **state)
{
    struct slab s;
    (void)state;
    slab_init(&s, sizeof(struct item), 1000);
    struct item *a = slab_take(&s);
    struct ref first = a->slot.self;
    a->value = 7;
    assert_ptr_equal(slab_get(&s, first), a);
    slab_release(&s, a);
    assert_null(slab_get(&s, first));
    struct item *b = slab_take(&s);
    assert_ptr_equal(a, b); /* the same slot ... */
    assert_int_equal(b->value, 0);
    assert_null(slab_get(&s, first)); /* ... is not the same reference */
    assert_ptr_equal(slab_get(&s, b->slot.self), b);
    assert_null(slab_get(&s, REF_NONE));
    assert_null(slab_get(&s, ((struct ref){999999, 1})));
    slab_destroy(&s);
}

static void test_slab_stops_at_its_limit(void **state)
{
    struct slab s;
    struct item *items[1000];
    (void)state;
    slab_init(&s, sizeof(struct item), 1000);
    for (unsigned i = 0; i < 1000; i++) {
        items[i] = slab_take(&s);
        assert_non_null(items[i]);
        items[i]->value = i;
    }
    assert_null(slab_take(&s));
    slab_release(&s, items[500]);
    assert_non_null(slab_take(&s));
    assert_null(slab_take(&s));
    for (unsigned i = 0; i < 1000; i++) /* slots never move */
        if (i != 500)
            assert_int_equal(items[i]->value, i);
    slab_destroy(&s);
}

/* Against a plain array: whatever is added and removed, found is what is there. */

#define KEYS 600u

static struct item lookup_items[KEYS];

static bool match(const void *user, uint32_t index, const void *key, size_t len)
{
    (void)user;
    return memcmp(&lookup_items[index].value, key, len) == 0;
}

static void test_lookup_agrees_with_an_array(void **state)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 42);
    struct lookup l;
    bool there[KEYS] = {false};
    (void)state;
    lookup_init(&l, hash_key, match, NULL);
    for (uint32_t i = 0; i < KEYS; i++)
        lookup_items[i].value = i;
    for (unsigned round = 0; round < 20000; round++) {
        uint32_t k = rng_below(&rng, KEYS);
        if (there[k])
            lookup_remove(&l, &k, sizeof(k));
        else
            assert_true(lookup_add(&l, &k, sizeof(k), k));
        there[k] = !there[k];
        uint32_t other = rng_below(&rng, KEYS);
        assert_int_equal(lookup_find(&l, &other, sizeof(other)),
                         there[other] ? other : LOOKUP_NONE);
    }
    for (uint32_t k = 0; k < KEYS; k++)
        assert_int_equal(lookup_find(&l, &k, sizeof(k)), there[k] ? k : LOOKUP_NONE);
    lookup_destroy(&l);
}

static struct endpoint parse(const char *text)
{
    struct endpoint e;
    assert_int_equal(endpoint_parse(text, 1, &e), 0);
    return e;
}

static void test_limit_counts_subscribers(void **state)
{
    struct net_limit l;
    struct endpoint a = parse("192.0.2.1:1"), a2 = parse("192.0.2.1:2"), b = parse("192.0.2.2:1");
    struct endpoint v6 = parse("[2001:db8:0:1::1]:1"), same_64 = parse("[2001:db8:0:1:ffff::2]:9");
    (void)state;
    net_limit_init(&l, hash_key, NET_SCOPE_ADDRESS, 2, 2);
    assert_int_equal(net_limit_take(&l, &a), NET_LIMIT_TAKEN);
    assert_int_equal(net_limit_take(&l, &a2), NET_LIMIT_TAKEN);
    assert_int_equal(net_limit_take(&l, &a), NET_LIMIT_OPEN);  /* one past */
    assert_int_equal(net_limit_take(&l, &b), NET_LIMIT_TAKEN); /* somebody else */
    net_limit_give(&l, &a2, true);
    assert_int_equal(net_limit_take(&l, &a), NET_LIMIT_TAKEN);
    assert_int_equal(net_limit_take(&l, &v6), NET_LIMIT_TAKEN);
    assert_int_equal(net_limit_take(&l, &same_64), NET_LIMIT_TAKEN);
    assert_int_equal(net_limit_take(&l, &v6), NET_LIMIT_OPEN);
    struct endpoint never = parse("198.51.100.1:1");
    net_limit_give(&l, &never, false); /* was not taken: nothing happens */
    net_limit_destroy(&l);
}

static void test_peers_by_key_and_name(void **state)
{
    struct peer_table t;
    uint8_t key[KEY_SIZE] = {1}, other[KEY_SIZE] = {2};
    char text[KEY_TEXT_SIZE];
    (void)state;
    peer_table_init(&t, hash_key, 100);
    struct peer *p = peer_add(&t, key);
    assert_ptr_equal(peer_by_key(&t, key), p);
    assert_null(peer_by_key(&t, other));
    assert_true(peer_set_name(&t, p, "home"));
    assert_ptr_equal(peer_find(&t, "home"), p);
    assert_ptr_equal(peer_find(&t, "HOME"), p); /* names know no case */
    assert_ptr_equal(peer_find(&t, key_format(key, text)), p);
    assert_true(peer_set_name(&t, p, "away"));
    assert_null(peer_find(&t, "home"));
    assert_ptr_equal(peer_find(&t, "away"), p);
    assert_null(peer_find(&t, "no such thing!"));
    peer_table_destroy(&t);
}

static void test_channels_count_at_their_nat(void **state)
{
    struct peer_table t;
    uint8_t key[KEY_SIZE] = {1};
    struct endpoint from = parse("198.51.100.7:4000"), port = parse("198.51.100.7:5000"),
                    moved = parse("198.51.100.8:1");
    (void)state;
    peer_table_init(&t, hash_key, 100);
    struct peer *p = peer_add(&t, key);
    struct channel *a = channel_add(&t, p), *b = channel_add(&t, p);
    struct nat *n = channel_set_observed(&t, a, &from);
    assert_ptr_equal(channel_set_observed(&t, b, &port), n); /* one address, one NAT */
    assert_int_equal(n->channels, 2);
    assert_ptr_not_equal(channel_set_observed(&t, b, &moved), n);
    assert_int_equal(n->channels, 1);
    a->listening = true;
    t.listening = 1;
    p->listener = a->slot.self;
    assert_ptr_equal(peer_listener(&t, p), a);
    channel_remove(&t, a);
    assert_null(peer_listener(&t, p));
    assert_int_equal(n->channels, 0);
    assert_int_equal(t.listening, 0);
    assert_ptr_equal(nat_find(&t, &from, false), n); /* what was learnt outlives the channel */
    channel_remove(&t, b);
    peer_table_destroy(&t);
}

/* The budget of DESIGN section 14: what one idle peer costs, all tables included. */
static void test_an_idle_peer_is_small(void **state)
{
    size_t lookups =
        3 * sizeof(struct lookup_entry) * 2; /* key, name, address; tables may be half empty */
    size_t all = sizeof(struct peer) + sizeof(struct channel) + sizeof(struct nat) +
                 sizeof(struct net_conn) + PEER_NAME_SIZE + lookups;
    (void)state;
    print_message("peer %zu + channel %zu + NAT %zu + connection %zu: %zu bytes in all\n",
                  sizeof(struct peer), sizeof(struct channel), sizeof(struct nat),
                  sizeof(struct net_conn), all);
    assert_in_range(all, 1, 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slab_references_go_stale),
        cmocka_unit_test(test_slab_stops_at_its_limit),
        cmocka_unit_test(test_lookup_agrees_with_an_array),
        cmocka_unit_test(test_limit_counts_subscribers),
        cmocka_unit_test(test_peers_by_key_and_name),
        cmocka_unit_test(test_channels_count_at_their_nat),
        cmocka_unit_test(test_an_idle_peer_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
