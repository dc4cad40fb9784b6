/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "proto/endpoint.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *text;
    uint16_t default_port;
    const char *expected; /* NULL: refused */
} parses[] = {
    {"192.0.2.1:80", 0, "192.0.2.1:80"},
    {"192.0.2.1:0", 0, "192.0.2.1:0"},
    {"192.0.2.1:65535", 0, "192.0.2.1:65535"},
    {"192.0.2.1:65536", 0, NULL},
    {"192.0.2.1:99999999999999999999", 0, NULL},
    {"192.0.2.1:080", 0, NULL},
    {"192.0.2.1:", 7, NULL},
    {"192.0.2.1: 80", 0, NULL},
    {"192.0.2.1:+80", 0, NULL},
    {"192.0.2.1:80 ", 0, NULL},
    {"192.0.2.1", 0, NULL},
    {"192.0.2.1", 7, "192.0.2.1:7"},
    {"192.0.2.256:80", 0, NULL},
    {"192.0.2:80", 0, NULL},
    {"", 7, NULL},
    {":80", 7, NULL},
    {"host:80", 0, NULL},
    {"[2001:db8::1]:80", 0, "[2001:db8::1]:80"},
    {"[2001:DB8:0::0:1]:80", 0, "[2001:db8::1]:80"},
    {"[2001:db8::1]", 0, NULL},
    {"[2001:db8::1]", 7, "[2001:db8::1]:7"},
    {"2001:db8::1", 7, "[2001:db8::1]:7"},
    {"2001:db8::1", 0, NULL},
    {"::", 7, "[::]:7"},
    {"[::1]x", 7, NULL},
    {"[::1", 7, NULL},
    {"[]:80", 7, NULL},
    {"[192.0.2.1]:80", 7, NULL},
    {"[fe80::1%lo]:80", 7, NULL},
    {"[::ffff:192.0.2.1]:80", 0, "192.0.2.1:80"},
    {"::ffff:192.0.2.1", 7, "192.0.2.1:7"},
    {"none", 7, NULL},
    {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd", 7, NULL},
};

static void test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(parses); i++) {
        struct endpoint e = {.family = 4, .port = 12345}, before = e;
        char text[ENDPOINT_TEXT_SIZE];
        int result = endpoint_parse(parses[i].text, parses[i].default_port, &e);
        if (result != (parses[i].expected ? 0 : -1))
            fail_msg("\"%s\": %d", parses[i].text, result);
        if (result)
            assert_memory_equal(&e, &before, sizeof(e));
        else
            assert_string_equal(endpoint_format(&e, text), parses[i].expected);
    }
}

static void test_longest_text_fits(void **state)
{
    struct endpoint e = {.family = 6, .port = 65535};
    char text[ENDPOINT_TEXT_SIZE];

    (void)state;
    memset(e.address, 0xff, sizeof(e.address));
    assert_string_equal(endpoint_format(&e, text),
                        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    assert_string_equal(endpoint_format_address(&e, text),
                        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    e = endpoint_none();
    assert_string_equal(endpoint_format(&e, text), "none");
    assert_string_equal(endpoint_format_address(&e, text), "none");
}

static void test_equality(void **state)
{
    struct endpoint a, b, six;

    (void)state;
    assert_int_equal(endpoint_parse("192.0.2.1:80", 0, &a), 0);
    assert_int_equal(endpoint_parse("[c000:201::]:80", 0, &six), 0);
    b = endpoint_with_port(a, 81);
    assert_true(endpoint_same_address(&a, &b));
    assert_false(endpoint_equal(&a, &b));
    b = endpoint_with_port(b, 80);
    assert_true(endpoint_equal(&a, &b));
    assert_false(endpoint_same_address(&a, &six)); /* same bytes, other family */
    b = endpoint_none();
    assert_true(endpoint_is_none(&b));
    assert_false(endpoint_is_none(&a));
}

static void test_sockaddr(void **state)
{
    static const char *const addresses[] = {"192.0.2.1:80", "[2001:db8::1]:65535"};
    struct sockaddr_storage sa;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct endpoint e, back;

    (void)state;
    for (size_t i = 0; i < COUNT(addresses); i++) {
        assert_int_equal(endpoint_parse(addresses[i], 0, &e), 0);
        socklen_t len = endpoint_to_sockaddr(&e, &sa);
        assert_int_equal(len, i == 0 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, &back), 0);
        assert_true(endpoint_equal(&e, &back));
    }
    e = endpoint_none();
    assert_int_equal(endpoint_to_sockaddr(&e, &sa), 0);
    assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&un, &back), -1);

    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    assert_int_equal(inet_pton(AF_INET6, "::ffff:198.51.100.7", &mapped.sin6_addr), 1);
    assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&mapped, &back), 0);
    assert_int_equal(endpoint_parse("198.51.100.7:9", 0, &e), 0);
    assert_memory_equal(&e, &back, sizeof(e));
}

/* Each block's first and last address, and the neighbours outside. */
static const struct {
    const char *address;
    int global, host, loopback;
} scopes[] = {
    {"0.255.255.255", 0, 0, 0},
    {"1.0.0.0", 1, 1, 0},
    {"9.255.255.255", 1, 1, 0},
    {"10.0.0.0", 0, 1, 0},
    {"10.255.255.255", 0, 1, 0},
    {"11.0.0.0", 1, 1, 0},
    {"100.63.255.255", 1, 1, 0},
    {"100.64.0.0", 0, 0, 0},
    {"100.127.255.255", 0, 0, 0},
    {"100.128.0.0", 1, 1, 0},
    {"126.255.255.255", 1, 1, 0},
    {"127.0.0.0", 0, 0, 1},
    {"127.255.255.255", 0, 0, 1},
    {"128.0.0.0", 1, 1, 0},
    {"169.253.255.255", 1, 1, 0},
    {"169.254.0.0", 0, 0, 0},
    {"169.254.255.255", 0, 0, 0},
    {"169.255.0.0", 1, 1, 0},
    {"172.15.255.255", 1, 1, 0},
    {"172.16.0.0", 0, 1, 0},
    {"172.31.255.255", 0, 1, 0},
    {"172.32.0.0", 1, 1, 0},
    {"192.0.0.255", 0, 0, 0},
    {"192.0.2.1", 1, 1, 0},
    {"192.167.255.255", 1, 1, 0},
    {"192.168.0.0", 0, 1, 0},
    {"192.168.255.255", 0, 1, 0},
    {"192.169.0.0", 1, 1, 0},
    {"198.17.255.255", 1, 1, 0},
    {"198.18.0.0", 0, 0, 0},
    {"198.19.255.255", 0, 0, 0},
    {"198.20.0.0", 1, 1, 0},
    {"198.51.100.1", 1, 1, 0},
    {"203.0.113.1", 1, 1, 0},
    {"223.255.255.255", 1, 1, 0},
    {"224.0.0.0", 0, 0, 0},
    {"255.255.255.255", 0, 0, 0},
    {"::", 0, 0, 0},
    {"::1", 0, 0, 1},
    {"::2", 0, 0, 0},
    {"1fff::1", 0, 0, 0},
    {"2000::1", 1, 1, 0},
    {"2001:db8::1", 1, 1, 0},
    {"3fff::1", 1, 1, 0},
    {"4000::1", 0, 0, 0},
    {"fbff::1", 0, 0, 0},
    {"fc00::1", 0, 1, 0},
    {"fdff::1", 0, 1, 0},
    {"fe80::1", 0, 0, 0},
    {"ff02::1", 0, 0, 0},
};

static void test_scopes(void **state)
{
    struct endpoint none = endpoint_none();

    (void)state;
    for (size_t i = 0; i < COUNT(scopes); i++) {
        struct endpoint e;
        assert_int_equal(endpoint_parse(scopes[i].address, 1, &e), 0);
        if (endpoint_is_global(&e) != scopes[i].global ||
            endpoint_is_host_candidate(&e) != scopes[i].host ||
            endpoint_is_loopback(&e) != scopes[i].loopback)
            fail_msg("%s", scopes[i].address);
    }
    assert_false(endpoint_is_global(&none));
    assert_false(endpoint_is_host_candidate(&none));
    assert_false(endpoint_is_loopback(&none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),    cmocka_unit_test(test_longest_text_fits),
        cmocka_unit_test(test_equality), cmocka_unit_test(test_sockaddr),
        cmocka_unit_test(test_scopes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
