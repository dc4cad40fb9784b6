/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* Lists of keys and prefixes, against a list that is walked from end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/rng.h"
#include "server/access.h"

static const uint8_t hash_key[16] = {1, 2, 3};

static struct access_subject subject(const char *text)
{
    struct access_subject s;
    if (access_parse(text, &s) != ACCESS_PARSED)
        fail_msg("%s", text);
    return s;
}

static struct endpoint address(const char *text)
{
    struct endpoint e;
    assert_int_equal(endpoint_parse(text, 80, &e), 0);
    return e;
}

/* ---- subjects ---- */

static void test_texts(void **state)
{
    static const struct {
        const char *text;
        enum access_parsed parsed;
        const char *shown; /* or what would be right */
    } rows[] = {
        {"192.0.2.7", ACCESS_PARSED, "192.0.2.7"},
        {"192.0.2.7/32", ACCESS_PARSED, "192.0.2.7"},
        {"192.0.2.0/24", ACCESS_PARSED, "192.0.2.0/24"},
        {"192.0.2.128/25", ACCESS_PARSED, "192.0.2.128/25"},
        {"0.0.0.0/0", ACCESS_PARSED, "0.0.0.0/0"},
        {"192.0.2.7/24", ACCESS_BITS_BEYOND, "192.0.2.0/24"},
        {"192.0.2.129/25", ACCESS_BITS_BEYOND, "192.0.2.128/25"},
        {"192.0.2.0/33", ACCESS_BAD_LENGTH, NULL},
        {"192.0.2.0/", ACCESS_BAD_LENGTH, NULL},
        {"192.0.2.0/-1", ACCESS_BAD_LENGTH, NULL},
        {"192.0.2.0/+8", ACCESS_BAD_LENGTH, NULL},
        {"192.0.2.0/8 ", ACCESS_BAD_LENGTH, NULL},
        {"192.0.2.0/0x8", ACCESS_BAD_LENGTH, NULL},
        {"192.0.2.0/99999999999999999999", ACCESS_BAD_LENGTH, NULL},
        {"192.0.2.0/24/8", ACCESS_BAD_LENGTH, NULL},
        {"2001:DB8::/32", ACCESS_PARSED, "2001:db8::/32"},
        {"2001:db8::1", ACCESS_PARSED, "2001:db8::1"},
        {"2001:db8:0:40::/58", ACCESS_PARSED, "2001:db8:0:40::/58"},
        {"2001:db8::1/64", ACCESS_BITS_BEYOND, "2001:db8::/64"},
        {"2001:db8::/129", ACCESS_BAD_LENGTH, NULL},
        {"::/0", ACCESS_PARSED, "::/0"},
        {"::ffff:192.0.2.7", ACCESS_PARSED, "192.0.2.7"},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", ACCESS_PARSED,
         "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="},
        {"/////////////////////////////////////////w8=", ACCESS_PARSED,
         "/////////////////////////////////////////w8="},
        {"", ACCESS_NOT_ONE, NULL},
        {"/", ACCESS_NOT_ONE, NULL},
        {"home", ACCESS_NOT_ONE, NULL},
        {"192.0.2", ACCESS_NOT_ONE, NULL},
        {"192.0.2.7:80", ACCESS_NOT_ONE, NULL},
        {"[2001:db8::1]:80", ACCESS_NOT_ONE, NULL},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee", ACCESS_NOT_ONE,
         NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct access_subject s;
        char text[ACCESS_TEXT_SIZE];
        enum access_parsed parsed = access_parse(rows[i].text, &s);
        if (parsed != rows[i].parsed)
            fail_msg("'%s' is %d, not %d", rows[i].text, (int)parsed, (int)rows[i].parsed);
        if (rows[i].shown)
            assert_string_equal(access_format(&s, text), rows[i].shown);
    }
}

static void test_longest_text(void **state)
{
    struct access_subject s;
    char text[ACCESS_TEXT_SIZE];
    (void)state;
    memset(&s, 0xff, sizeof(s));
    s.kind = ACCESS_PREFIX_6;
    s.bits = 127;
    s.bytes[15] = 0xfe;
    assert_string_equal(access_format(&s, text), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127");
}

static void test_covers(void **state)
{
    static const struct {
        const char *outer, *inner;
        bool covers;
    } rows[] = {
        {"192.0.2.0/24", "192.0.2.7", true},
        {"192.0.2.0/24", "192.0.3.7", false},
        {"192.0.2.0/24", "192.0.2.0/24", true},
        {"192.0.2.0/24", "192.0.2.0/23", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "2001:db8::", false},
        {"::/0", "192.0.2.7", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct access_subject outer = subject(rows[i].outer), inner = subject(rows[i].inner);
        if (access_covers(&outer, &inner) != rows[i].covers)
            fail_msg("%s and %s", rows[i].outer, rows[i].inner);
    }
    struct endpoint e = address("192.0.2.7:4000");
    struct access_subject s = subject("192.0.2.7");
    assert_true(access_covers_address(&s, &e)); /* whatever the port */
}

/* ---- the list ---- */

static void test_any_match_counts(void **state)
{
    struct access a;
    struct endpoint e = address("192.0.2.7:80");
    struct access_subject wide = subject("192.0.0.0/16"), narrow = subject("192.0.2.0/24");
    (void)state;
    access_init(&a, hash_key, 10);
    assert_null(access_find_address(&a, &e, 100));
    assert_true(access_put(&a, &wide, 1, 0, "wide"));
    assert_true(access_put(&a, &narrow, 1, 50, "narrow"));
    /* The longest one is named; when it has gone, the wider one still holds. */
    assert_string_equal(access_find_address(&a, &e, 49)->reason, "narrow");
    assert_string_equal(access_find_address(&a, &e, 50)->reason, "wide");
    assert_null(access_get(&a, &narrow, 50));
    assert_true(access_remove(&a, &wide));
    assert_false(access_remove(&a, &wide));
    assert_null(access_find_address(&a, &e, 50));
    assert_non_null(access_find_address(&a, &e, 49));
    access_destroy(&a);
}

static void test_replaced(void **state)
{
    struct access a;
    uint8_t key[KEY_SIZE] = {7};
    struct access_subject s = access_of_key(key);
    (void)state;
    access_init(&a, hash_key, 10);
    assert_true(access_put(&a, &s, 1, 50, "first"));
    assert_int_equal(a.expiring, 1);
    assert_true(access_put(&a, &s, 2, 0, NULL)); /* for good now */
    assert_int_equal(a.entries.used, 1);
    assert_int_equal(a.expiring, 0);
    const struct access_entry *e = access_find_key(&a, key, 1000);
    assert_non_null(e);
    assert_null(e->reason);
    assert_true(e->created == 2 && e->expires == 0);
    key[31] = 1;
    assert_null(access_find_key(&a, key, 1000));
    access_destroy(&a);
}

static void put_many(struct access *a, unsigned count, int64_t expires)
{
    for (unsigned i = 0; i < count; i++) {
        struct access_subject s = subject("10.0.0.0");
        s.bytes[2] = (uint8_t)(i >> 8);
        s.bytes[3] = (uint8_t)i;
        assert_true(access_put(a, &s, 1, expires + i, NULL));
    }
}

/* A full list refuses, but not because of what has expired. */
static void test_full(void **state)
{
    struct access a;
    struct access_subject s = subject("192.0.2.0/24");
    (void)state;
    access_init(&a, hash_key, 300);
    put_many(&a, 300, 50);
    assert_false(access_put(&a, &s, 49, 0, "one too many"));
    assert_int_equal(a.entries.used, 300);
    assert_true(access_put(&a, &s, 59, 0, "in the place of ten"));
    assert_int_equal(a.entries.used, 291);
    assert_int_equal(a.expiring, 290);
    access_destroy(&a);
}

/* A sweep does as much as it is told, and comes round. */
static void test_sweep(void **state)
{
    struct access a;
    uint32_t removed = 0;
    (void)state;
    access_init(&a, hash_key, 10000);
    put_many(&a, 1000, 50);
    assert_int_equal(access_sweep(&a, UINT32_MAX, 49), 0);
    for (unsigned i = 0; i < 16; i++) {
        uint32_t n = access_sweep(&a, 64, 549);
        assert_true(n <= 64);
        removed += n;
    }
    assert_int_equal(removed, 500);
    assert_int_equal(a.entries.used, 500);
    assert_int_equal(access_sweep(&a, UINT32_MAX, 5000), 500);
    assert_int_equal(a.expiring, 0);
    assert_int_equal(a.lengths[ACCESS_PREFIX_4][32], 0);
    access_destroy(&a);
}

/* ---- against a plain list ---- */

#define PLAIN_MAX 600

struct plain {
    struct {
        struct access_subject subject;
        int64_t expires;
    } at[PLAIN_MAX];
    unsigned count;
};

static int plain_find(const struct plain *p, const struct access_subject *s)
{
    for (unsigned i = 0; i < p->count; i++)
        if (memcmp(&p->at[i].subject, s, sizeof(*s)) == 0)
            return (int)i;
    return -1;
}

static int plain_covering(const struct plain *p, const struct access_subject *s, int64_t now)
{
    int best = -1;
    for (unsigned i = 0; i < p->count; i++)
        if (access_covers(&p->at[i].subject, s) && (!p->at[i].expires || p->at[i].expires > now) &&
            (best < 0 || p->at[i].subject.bits > p->at[best].subject.bits))
            best = (int)i;
    return best;
}

/* Few different bytes, so that prefixes nest and keys repeat. */
static struct access_subject draw(const struct rng *rng, bool whole)
{
    static const char *const forms[] = {"%u.%u.%u.%u/%u", "2001:%u:%u:%u::/%u"};
    struct access_subject s;
    uint8_t byte[6];
    char text[80];
    rng_fill(rng, byte, sizeof(byte));
    unsigned kind = byte[0] % 3;
    if (kind == 2) {
        uint8_t key[KEY_SIZE] = {byte[1] % 16};
        return access_of_key(key);
    }
    unsigned most = kind ? 128 : 32, bits = whole ? most : byte[5] % (most + 1);
    if (kind)
        snprintf(text, sizeof(text), forms[1], byte[1] % 3, byte[2] % 3, byte[3] % 3, bits);
    else
        snprintf(text, sizeof(text), forms[0], byte[1] % 3, byte[2] % 3, byte[3] % 3, byte[4] % 3,
                 bits);
    (void)access_parse(text, &s); /* with bits beyond, the prefix comes out */
    return s;
}

static void test_agrees_with_a_plain_list(void **state)
{
    struct rng_seeded seed;
    struct rng rng = rng_from_seed(&seed, 4711);
    struct access a;
    static struct plain p;
    unsigned found = 0, removed = 0;
    (void)state;
    access_init(&a, hash_key, PLAIN_MAX);
    p.count = 0;
    for (int64_t now = 1; now <= 20000; now++) {
        uint8_t dice[2];
        rng_fill(&rng, dice, sizeof(dice));
        struct access_subject s = draw(&rng, dice[0] % 4 == 0);
        int at = plain_find(&p, &s);
        if (dice[0] % 4 == 1) {
            int64_t expires = dice[1] % 3 ? now + dice[1] : 0;
            if (at < 0 && p.count == PLAIN_MAX)
                continue;
            assert_true(access_put(&a, &s, now, expires, "r"));
            if (at < 0)
                p.at[at = (int)p.count++].subject = s;
            p.at[at].expires = expires;
        } else if (dice[0] % 4 == 2) {
            bool there = at >= 0 && (!p.at[at].expires || p.at[at].expires > now);
            bool gone = access_remove(&a, &s);
            assert_true(gone || !there); /* what has expired may have been swept up */
            removed += gone;
            if (at >= 0)
                p.at[at] = p.at[--p.count];
        } else if (dice[0] % 4 == 3) {
            access_sweep(&a, 16, now);
        }
        int best = plain_covering(&p, &s, now);
        const struct access_entry *e = access_find(&a, &s, now);
        assert_int_equal(best >= 0, e != NULL);
        if (!e)
            continue;
        found++;
        assert_memory_equal(&e->subject, &p.at[best].subject, sizeof(s));
        assert_true(e->expires == p.at[best].expires);
    }
    /* Both outcomes have been seen often, or the test shows nothing. */
    assert_true(found > 1000 && found < 19000 && removed > 100);
    access_destroy(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),    cmocka_unit_test(test_longest_text),
        cmocka_unit_test(test_covers),   cmocka_unit_test(test_any_match_counts),
        cmocka_unit_test(test_replaced), cmocka_unit_test(test_full),
        cmocka_unit_test(test_sweep),    cmocka_unit_test(test_agrees_with_a_plain_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
