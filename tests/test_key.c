/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "proto/key.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* RFC 7748, section 6.1: Alice. */
static const char *const alice_secret = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
static const char *const alice_public = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";

static void test_public_key(void **state)
{
    uint8_t secret[KEY_SIZE];
    struct key_pair pair;
    char text[KEY_TEXT_SIZE];

    (void)state;
    assert_int_equal(key_parse(alice_secret, secret), 0);
    assert_int_equal(key_from_secret(secret, &pair), 0);
    assert_string_equal(key_format(pair.public, text), alice_public);
    assert_string_equal(key_format(pair.secret, text), alice_secret);
}

static void test_generate(void **state)
{
    struct rng_seeded s;
    struct rng rng = rng_from_seed(&s, 1);
    struct key_pair a, b, again;

    (void)state;
    for (int i = 0; i < 20; i++) {
        key_generate(&rng, &a);
        key_generate(&rng, &b);
        assert_false(key_equal(a.public, b.public));
        assert_int_equal(a.secret[0] & 7, 0);
        assert_int_equal(a.secret[31] & 0xc0, 0x40);
        assert_int_equal(key_from_secret(a.secret, &again), 0);
        assert_true(key_equal(a.public, again.public));
    }
}

static void test_zero(void **state)
{
    uint8_t key[KEY_SIZE] = {0};

    (void)state;
    assert_true(key_is_zero(key));
    key[31] = 1;
    assert_false(key_is_zero(key));
}

static void test_text_round_trip(void **state)
{
    struct rng_seeded s;
    struct rng rng = rng_from_seed(&s, 2);
    uint8_t key[KEY_SIZE], back[KEY_SIZE];
    char text[KEY_TEXT_SIZE];

    (void)state;
    for (int i = 0; i < 500; i++) {
        rng_fill(&rng, key, sizeof(key));
        key_format(key, text);
        assert_int_equal(strlen(text), 44);
        assert_int_equal(key_parse(text, back), 0);
        assert_memory_equal(key, back, sizeof(key));
        text[43] = '\0'; /* without padding */
        assert_int_equal(key_parse(text, back), 0);
        assert_memory_equal(key, back, sizeof(key));
        for (char *c = text; *c; c++)
            *c = (char)(*c == '+' ? '-' : *c == '/' ? '_' : *c);
        assert_int_equal(key_parse(text, back), 0);
        assert_memory_equal(key, back, sizeof(key));
    }
}

static const struct {
    const char *what, *text;
} bad_keys[] = {
    {"empty", ""},
    {"short", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTm"},
    {"long", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=A"},
    {"trailing newline", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n"},
    {"leading blank", " hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo"},
    {"padding in the middle", "hSDwCYkwp1R0i33ctD73Wg2=Og0mOBr066SpjqqbTmo="},
    {"two paddings", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTm=="},
    {"44 characters, no padding", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmoo"},
    {"trailing bits set", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmp="},
    {"both alphabets", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066Spjqqb-mo="},
    {"not base64", "hSDwCYkwp1R0i33ctD73Wg2!Og0mOBr066SpjqqbTmo="},
    {"high bit", "hSDwCYkwp1R0i33ctD73Wg2\xc3\xa9g0mOBr066SpjqqbTmo="},
};

static void test_bad_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_keys); i++) {
        uint8_t key[KEY_SIZE] = {7};
        if (key_parse(bad_keys[i].text, key) != -1)
            fail_msg("%s", bad_keys[i].what);
        assert_int_equal(key[0], 7);
    }
}

static void test_peer_names(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"home", "home"},
        {"Home-1.Example_X", "home-1.example_x"},
        {"9", "9"},
        {"a.", "a."},
        {"", NULL},
        {"-a", NULL},
        {".a", NULL},
        {"_a", NULL},
        {"a b", NULL},
        {"a/b", NULL},
        {"a@b", NULL},
        {"a:1", NULL},
        {"a+b", NULL},
        {"\xc3\xa9", NULL},
        {"a\n", NULL},
        {"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo", NULL}, /* a key */
        {"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmp", NULL}, /* looks like one */
        {"hSDwCYkwp1R0i33ctD73Wg2.Og0mOBr066SpjqqbTmp",
         "hsdwcykwp1r0i33ctd73wg2.og0mobr066spjqqbtmp"},
    };
    char out[PEER_NAME_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int result = peer_name_parse(rows[i].text, out);
        if (result != (rows[i].expected ? 0 : -1))
            fail_msg("\"%s\": %d", rows[i].text, result);
        if (result == 0)
            assert_string_equal(out, rows[i].expected);
    }
}

static void test_peer_name_length(void **state)
{
    char text[PEER_NAME_SIZE + 2], out[PEER_NAME_SIZE];

    (void)state;
    for (size_t len = 1; len <= PEER_NAME_MAX + 1; len++) {
        memset(text, 'a', len);
        text[len] = '\0';
        assert_int_equal(peer_name_parse(text, out), len == 43 || len > PEER_NAME_MAX ? -1 : 0);
    }
}

#define K "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"

static void test_urls(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        const char *again;
    } rows[] = {
        {"tryst://" K "@example.org:5382", "example.org", 5382, "tryst://" K "@example.org:5382"},
        {"tryst://" K "@example.org", "example.org", 5382, "tryst://" K "@example.org:5382"},
        {"tryst://" K "@example.org/", "example.org", 5382, "tryst://" K "@example.org:5382"},
        {"tryst://" K "=@192.0.2.1:1", "192.0.2.1", 1, "tryst://" K "@192.0.2.1:1"},
        {"tryst://hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=@h:65535", "h", 65535,
         "tryst://" K "@h:65535"},
        {"tryst://" K "@[2001:db8::1]:443", "2001:db8::1", 443, "tryst://" K "@[2001:db8::1]:443"},
        {"tryst://" K "@[::1]", "::1", 5382, "tryst://" K "@[::1]:5382"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct server_url url, back;
        char text[SERVER_URL_SIZE], key[KEY_TEXT_SIZE];
        const char *wrong = server_url_parse(rows[i].text, &url);
        if (wrong)
            fail_msg("%s: %s", rows[i].text, wrong);
        assert_string_equal(url.host, rows[i].host);
        assert_int_equal(url.port, rows[i].port);
        assert_string_equal(key_format(url.key, key), alice_public);
        assert_string_equal(server_url_format(&url, text), rows[i].again);
        assert_null(server_url_parse(text, &back));
        assert_memory_equal(&url, &back, sizeof(url));
    }
}

static void test_bad_urls(void **state)
{
    static const char *const rows[] = {
        "",
        "http://" K "@h:1",
        "tryst:" K "@h:1",
        "tryst://h:1",
        "tryst://@h:1",
        "tryst://" K,
        "tryst://" K "@",
        "tryst://" K "@/",
        "tryst://" K "@:5382",
        "tryst://" K "@h:",
        "tryst://" K "@h:0",
        "tryst://" K "@h:65536",
        "tryst://" K "@h:005",
        "tryst://" K "@h:5x",
        "tryst://" K "@h:5/x",
        "tryst://" K "@h h:5",
        "tryst://" K "@u@h:5",
        "tryst://" K "@-h:5",
        "tryst://" K "@::1",
        "tryst://" K "@2001:db8::1:5382",
        "tryst://" K "@[::1",
        "tryst://" K "@[::1]5",
        "tryst://" K "@[h]:5",
        "tryst://" K "@[]:5",
        "tryst://x" K "@h:5",
        "tryst://AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@h:5",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct server_url url = {.port = 77};
        if (!server_url_parse(rows[i], &url))
            fail_msg("%s passed", rows[i]);
        assert_int_equal(url.port, 77);
    }
}

static void test_url_host_length(void **state)
{
    char text[600], out[SERVER_URL_SIZE];
    struct server_url url;

    (void)state;
    for (size_t len = 254; len <= 257; len++) {
        int n = snprintf(text, sizeof(text), "tryst://" K "@");
        memset(text + n, 'h', len);
        memcpy(text + n + len, ":65535", 7);
        assert_int_equal(server_url_parse(text, &url) == NULL, len <= 255);
        if (len <= 255)
            assert_string_equal(server_url_format(&url, out), text);
    }
    memset(text, 'h', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    memcpy(text, "tryst://" K "@", strlen("tryst://" K "@"));
    assert_non_null(server_url_parse(text, &url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_key),
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_zero),
        cmocka_unit_test(test_text_round_trip),
        cmocka_unit_test(test_bad_keys),
        cmocka_unit_test(test_peer_names),
        cmocka_unit_test(test_peer_name_length),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_url_host_length),
    };

    if (sodium_init() < 0)
        return 99;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
