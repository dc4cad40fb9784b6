/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* Limits: what is counted, how often something may be done, and who makes room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/limit.h"
#include "server/limit_memory.h"
#include "server/limit_rate.h"
#include "server/net_limit.h"
#include "server/peer_table.h"

#define MINUTE (60 * TICK_S)

static const uint8_t hash_key[16] = "sixteen bytes..";

static struct endpoint parse(const char *text)
{
    struct endpoint e;
    assert_int_equal(endpoint_parse(text, 1, &e), 0);
    return e;
}

static void test_hits_are_told_once_a_minute(void **state)
{
    struct limits l = {0};
    (void)state;
    assert_int_equal(limit_hit(&l, LIMIT_SESSIONS, 1000, 5 * TICK_S), 1);
    assert_int_equal(limit_hit(&l, LIMIT_SESSIONS, 1001, 6 * TICK_S), 0);
    assert_int_equal(limit_hit(&l, LIMIT_SESSIONS, 1002, 64 * TICK_S), 0);
    assert_int_equal(limit_hit(&l, LIMIT_INVITES, 1003, 64 * TICK_S), 1); /* one of its own */
    assert_int_equal(limit_hit(&l, LIMIT_SESSIONS, 1004, 65 * TICK_S), 3);
    assert_int_equal(l.of[LIMIT_SESSIONS].hits, 4);
    assert_int_equal(l.of[LIMIT_SESSIONS].last, 1004);
    assert_int_equal(limit_hits(&l), 5);
}

/* Names are what metrics and operators know limits by. */
static void test_names_are_unique(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LIMIT_COUNT; i++)
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(limit_specs[i].name, limit_specs[k].name);
}

static void test_a_bucket_fills_again(void **state)
{
    struct limit_rate r;
    const uint8_t key[KEY_SIZE] = {1}, other[KEY_SIZE] = {2};
    struct limit_rate_key k = limit_rate_of_key(key), o = limit_rate_of_key(other);
    (void)state;
    limit_rate_init(&r, hash_key, 16, MINUTE);
    r.count = 6;
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(limit_rate_take(&r, &k, 1, TICK_S), 0); /* all at once */
    assert_int_equal(limit_rate_take(&r, &k, 1, TICK_S), 10 * TICK_S);
    assert_int_equal(limit_rate_take(&r, &o, 1, TICK_S), 0); /* somebody else */
    assert_int_equal(limit_rate_take(&r, &k, 1, 11 * TICK_S - 1), 1);
    assert_int_equal(limit_rate_take(&r, &k, 1, 11 * TICK_S), 0);
    assert_true(limit_rate_take(&r, &k, 1, 11 * TICK_S) > 0);
    r.count = 12; /* a reload */
    assert_int_equal(limit_rate_take(&r, &k, 1, 16 * TICK_S), 0);
    limit_rate_destroy(&r);
}

/* Whenever they ask, never more than twice as many within any period. */
static void test_never_more_than_twice(void **state)
{
    enum { COUNT = 50, ASKED = 20000 };
    static tick taken[ASKED];
    struct limit_rate r;
    const uint8_t key[KEY_SIZE] = {7};
    struct limit_rate_key k = limit_rate_of_key(key);
    unsigned n = 0, first = 0;
    uint32_t random = 1;
    tick now = 0;
    (void)state;
    limit_rate_init(&r, hash_key, 16, MINUTE);
    r.count = COUNT;
    for (unsigned i = 0; i < ASKED; i++) {
        random = random * 1664525u + 1013904223u;
        now += random >> 28 ? (random >> 8) % TICK_S : (random >> 4) % (3 * MINUTE);
        if (limit_rate_take(&r, &k, 1, now) == 0)
            taken[n++] = now;
    }
    assert_true(n > COUNT && n < ASKED);
    for (unsigned last = 0; last < n; last++) {
        while (taken[last] - taken[first] > MINUTE)
            first++;
        assert_in_range(last - first + 1, 1, 2 * COUNT);
    }
    limit_rate_destroy(&r);
}

static void test_a_prefix_gets_a_multiple(void **state)
{
    static const char *const hosts[2][5] = {
        {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"},
        {"[2001:db8:0:1::1]", "[2001:db8:0:2::1]", "[2001:db8:0:3::1]", "[2001:db8:0:4::1]",
         "[2001:db8:0:5::1]"},
    };
    const char *const elsewhere[2] = {"192.0.3.1", "[2001:db8:0:100::1]"};
    (void)state;
    for (unsigned f = 0; f < 2; f++) {
        struct limit_rate r;
        struct endpoint e;
        enum net_scope scope;
        limit_rate_init(&r, hash_key, 64, MINUTE);
        r.count = 3;
        for (unsigned h = 0; h < NET_PREFIX_SHARE; h++) {
            e = parse(hosts[f][h]);
            for (unsigned i = 0; i < 3; i++)
                assert_int_equal(limit_rate_take_address(&r, &e, 0, &scope), 0);
            if (h + 1 == NET_PREFIX_SHARE)
                break;
            assert_true(limit_rate_take_address(&r, &e, 0, &scope) > 0);
            assert_int_equal(scope, NET_SCOPE_ADDRESS);
        }
        e = parse(hosts[f][NET_PREFIX_SHARE]);
        assert_true(limit_rate_take_address(&r, &e, 0, &scope) > 0);
        assert_int_equal(scope, NET_SCOPE_PREFIX);
        e = parse(elsewhere[f]);
        assert_int_equal(limit_rate_take_address(&r, &e, 0, &scope), 0);
        limit_rate_destroy(&r);
    }
}

static void test_buckets_come_and_go(void **state)
{
    struct limit_rate r;
    (void)state;
    limit_rate_init(&r, hash_key, 1000, MINUTE);
    r.count = 60; /* one token a second */
    for (uint32_t i = 0; i < 1000; i++) {
        struct limit_rate_key k = {{0}};
        memcpy(k.bytes, &i, sizeof(i));
        assert_int_equal(limit_rate_take(&r, &k, 1, 0), 0);
    }
    struct limit_rate_key late = {{0xff, 0xff}};
    assert_int_equal(limit_rate_take(&r, &late, 1, 0), TICK_NEVER); /* full: refused */
    assert_int_equal(r.buckets.used, 1000);
    for (uint32_t i = 0; i < 2000; i++) { /* all are full again: newcomers clear them away */
        struct limit_rate_key k = {{0, 0, 1}};
        memcpy(k.bytes + 4, &i, sizeof(i));
        assert_int_equal(limit_rate_take(&r, &k, 1, 2 * TICK_S + i * TICK_S), 0);
    }
    /* Each newcomer looks at two slots, so what is left is not older than a walk over them all. */
    assert_in_range(r.buckets.used, 1, slab_end(&r.buckets) / 2);
    limit_rate_destroy(&r);
}

static void test_strangers_are_counted_apart(void **state)
{
    struct net_limit address, prefix;
    struct endpoint a = parse("192.0.2.1"), b = parse("192.0.2.2"), c = parse("192.0.2.3");
    (void)state;
    net_limit_init(&address, hash_key, NET_SCOPE_ADDRESS, 3, 2);
    net_limit_init(&prefix, hash_key, NET_SCOPE_PREFIX, 3, 3);
    assert_int_equal(net_limit_take(&address, &a), NET_LIMIT_TAKEN);
    assert_int_equal(net_limit_take(&address, &a), NET_LIMIT_TAKEN);
    assert_int_equal(net_limit_take(&address, &a), NET_LIMIT_STRANGERS);
    net_limit_know(&address, &a);
    assert_int_equal(net_limit_take(&address, &a), NET_LIMIT_TAKEN);
    assert_int_equal(net_limit_take(&address, &a), NET_LIMIT_OPEN);
    net_limit_give(&address, &a, true);
    net_limit_give(&address, &a, true);
    net_limit_give(&address, &a, false);
    assert_int_equal(address.counts.used, 0); /* nothing is left of it */
    assert_int_equal(net_limit_take(&prefix, &a), NET_LIMIT_TAKEN);
    assert_int_equal(net_limit_take(&prefix, &b), NET_LIMIT_TAKEN);
    assert_int_equal(net_limit_take(&prefix, &c), NET_LIMIT_TAKEN);
    assert_int_equal(net_limit_take(&prefix, &a), NET_LIMIT_OPEN);
    net_limit_destroy(&address);
    net_limit_destroy(&prefix);
}

static void count(void *user)
{
    ++*(unsigned *)user;
}

static void test_the_oldest_nat_makes_room(void **state)
{
    enum { MOST = 20 };
    struct peer_table t;
    const uint8_t key[KEY_SIZE] = {1};
    unsigned full = 0;
    char text[32];
    (void)state;
    peer_table_init(&t, hash_key, 100);
    t.nats.most = MOST;
    t.full = count;
    t.user = &full;
    struct channel *c = channel_add(&t, peer_add(&t, key));
    for (unsigned i = 0; i < MOST; i++) {
        snprintf(text, sizeof(text), "192.0.2.%u", i);
        struct endpoint e = parse(text);
        struct nat *n = i ? nat_find(&t, &e, true) : channel_set_observed(&t, c, &e);
        n->profile.learnt = i == 7 ? TICK_NEVER : (tick)i * TICK_S;
    }
    assert_int_equal(full, 0);
    struct endpoint e = parse("198.51.100.1"), never = parse("192.0.2.7"),
                    used = parse("192.0.2.0"), oldest = parse("192.0.2.1"),
                    young = parse("192.0.2.2");
    assert_non_null(nat_find(&t, &e, true));
    assert_null(nat_find(&t, &never, false)); /* nothing was known of it */
    nat_find(&t, &e, false)->profile.learnt = 1000 * TICK_S;
    e = parse("198.51.100.2");
    assert_non_null(nat_find(&t, &e, true));
    assert_null(nat_find(&t, &oldest, false));
    assert_non_null(nat_find(&t, &used, false)); /* somebody comes from it */
    assert_non_null(nat_find(&t, &young, false));
    assert_int_equal(t.nats.used, MOST);
    assert_int_equal(full, 2);
    peer_table_destroy(&t);
}

static void test_no_room_while_all_are_used(void **state)
{
    struct peer_table t;
    const uint8_t key[KEY_SIZE] = {1};
    struct endpoint a = parse("192.0.2.1"), b = parse("192.0.2.2");
    (void)state;
    peer_table_init(&t, hash_key, 100);
    t.nats.most = 1;
    channel_set_observed(&t, channel_add(&t, peer_add(&t, key)), &a);
    assert_null(nat_find(&t, &b, true));
    assert_non_null(nat_find(&t, &a, false));
    peer_table_destroy(&t);
}

static void put(const char *dir, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void drop(const char *dir, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    remove(path);
}

static void test_memory_that_is_allowed(void **state)
{
    char dir[] = "/tmp/tryst-limit-XXXXXX", path[64], membership[64];
    (void)state;
    assert_int_equal(limit_memory_parse("max\n"), UINT64_MAX);
    assert_int_equal(limit_memory_parse("1048576\n"), 1048576);
    assert_int_equal(limit_memory_parse(""), 0);
    assert_int_equal(limit_memory_parse("-1\n"), 0);
    assert_int_equal(limit_memory_parse("12 MiB\n"), 0);
    assert_int_equal(limit_memory_parse("99999999999999999999999\n"), 0);

    assert_non_null(mkdtemp(dir));
    snprintf(membership, sizeof(membership), "%s/cgroup", dir);
    assert_true(limit_memory_allowed(membership, dir) > 1048576); /* no groups: the machine's */
    snprintf(path, sizeof(path), "%s/a", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/a/b", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    put(dir, "cgroup", "4:memory:/x\n0::/a/b\n");
    put(dir, "a/b/memory.max", "2097152\n");
    assert_int_equal(limit_memory_allowed(membership, dir), 2097152);
    put(dir, "a/memory.max", "1048576\n"); /* the one that it lies in */
    assert_int_equal(limit_memory_allowed(membership, dir), 1048576);
    put(dir, "a/memory.max", "max\n");
    assert_int_equal(limit_memory_allowed(membership, dir), 2097152);
    drop(dir, "a/b/memory.max");
    drop(dir, "a/memory.max");
    drop(dir, "a/b");
    drop(dir, "a");
    drop(dir, "cgroup");
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hits_are_told_once_a_minute),
        cmocka_unit_test(test_names_are_unique),
        cmocka_unit_test(test_a_bucket_fills_again),
        cmocka_unit_test(test_never_more_than_twice),
        cmocka_unit_test(test_a_prefix_gets_a_multiple),
        cmocka_unit_test(test_buckets_come_and_go),
        cmocka_unit_test(test_strangers_are_counted_apart),
        cmocka_unit_test(test_the_oldest_nat_makes_room),
        cmocka_unit_test(test_no_room_while_all_are_used),
        cmocka_unit_test(test_memory_that_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
