/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_integers(void **state)
{
    static const uint8_t expected[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    uint8_t buffer[15];
    struct wire_writer w = wire_writer(buffer, sizeof(buffer));

    (void)state;
    wire_put_u8(&w, 0x01);
    wire_put_u16(&w, 0x0203);
    wire_put_u32(&w, 0x04050607);
    wire_put_u64(&w, 0x08090a0b0c0d0e0f);
    assert_false(w.bad);
    assert_int_equal(w.left, 0);
    assert_memory_equal(buffer, expected, sizeof(expected));

    struct wire_reader r = wire_reader(buffer, sizeof(buffer));
    assert_int_equal(wire_get_u8(&r), 0x01);
    assert_int_equal(wire_get_u16(&r), 0x0203);
    assert_int_equal(wire_get_u32(&r), 0x04050607);
    assert_int_equal(wire_get_u64(&r), 0x08090a0b0c0d0e0f);
    assert_false(r.bad);
    assert_int_equal(r.left, 0);
}

/* For every size: room for exactly that many bytes is enough, one less is not, and badness sticks.
 */
static void test_writer_bounds(void **state)
{
    uint8_t buffer[9];

    (void)state;
    for (size_t size = 0; size <= 8; size++) {
        memset(buffer, 0xee, sizeof(buffer));
        struct wire_writer w = wire_writer(buffer, size);
        wire_put_bytes(&w, "12345678", size);
        assert_false(w.bad);
        wire_put_bytes(&w, NULL, 0);
        assert_false(w.bad);
        wire_put_u8(&w, 1);
        assert_true(w.bad);
        assert_int_equal(buffer[size], 0xee);

        w = wire_writer(buffer, size);
        wire_put_bytes(&w, "123456789", size + 1);
        assert_true(w.bad);
        wire_put_u8(&w, 1);
        assert_true(w.bad);
        assert_int_equal(w.left, size);
    }
}

static void test_reader_bounds(void **state)
{
    static const uint8_t bytes[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    static const unsigned sizes[] = {1, 2, 4, 8};

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t size = 0; size <= 8; size++) {
            /* A copy of the exact size, so that a sanitizer sees a read past the end. */
            uint8_t *copy = malloc(size + (size == 0));
            memcpy(copy, bytes, size);
            struct wire_reader r = wire_reader(copy, size);
            uint64_t v = sizes[i] == 1   ? wire_get_u8(&r)
                         : sizes[i] == 2 ? wire_get_u16(&r)
                         : sizes[i] == 4 ? wire_get_u32(&r)
                                         : wire_get_u64(&r);
            assert_int_equal(r.bad, size < sizes[i]);
            assert_true(r.bad ? v == 0 : v != 0);
            if (r.bad && size > 0)
                assert_int_equal(wire_get_u8(&r), 0); /* sticks, though a byte is there */
            free(copy);
        }
}

static const struct {
    const char *what, *bytes;
    size_t len;
    int good;
} texts[] = {
    {"empty", "", 0, 1},
    {"plain", "a peer", 6, 1},
    {"two bytes", "\xc3\xa9", 2, 1},
    {"three bytes", "\xe2\x82\xac", 3, 1},
    {"four bytes", "\xf0\x9f\x98\x80", 4, 1},
    {"last of all", "\xf4\x8f\xbf\xbf", 4, 1},
    {"first after C1", "\xc2\xa0", 2, 1},
    {"last before surrogates", "\xed\x9f\xbf", 3, 1},
    {"first after surrogates", "\xee\x80\x80", 3, 1},
    {"NUL", "a\0b", 3, 0},
    {"newline", "a\nb", 3, 0},
    {"escape", "\x1b[2J", 4, 0},
    {"unit separator", "\x1f", 1, 0},
    {"DEL", "\x7f", 1, 0},
    {"C1 control", "\xc2\x9b", 2, 0},
    {"lone continuation", "\x80", 1, 0},
    {"overlong slash", "\xc0\xaf", 2, 0},
    {"overlong, three bytes", "\xe0\x80\xaf", 3, 0},
    {"overlong, four bytes", "\xf0\x80\x80\xaf", 4, 0},
    {"surrogate", "\xed\xa0\x80", 3, 0},
    {"past U+10FFFF", "\xf4\x90\x80\x80", 4, 0},
    {"no such lead", "\xf5\x80\x80\x80", 4, 0},
    {"cut off", "a\xe2\x82", 3, 0},
    {"wrong continuation", "\xe2\x28\xa1", 3, 0},
    {"0xff", "\xff", 1, 0},
};

static void test_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        uint8_t wire[16] = {(uint8_t)texts[i].len};
        char out[16];
        memcpy(wire + 1, texts[i].bytes, texts[i].len);
        struct wire_reader r = wire_reader(wire, 1 + texts[i].len);
        wire_get_text(&r, out, sizeof(out));
        if (r.bad == texts[i].good)
            fail_msg("reading: %s", texts[i].what);
        assert_int_equal(strlen(out), texts[i].good ? texts[i].len : 0);

        /* What the reader refuses, the writer does not write. NUL ends a C string. */
        uint8_t again[16];
        struct wire_writer w = wire_writer(again, sizeof(again));
        wire_put_text(&w, texts[i].bytes);
        if (w.bad == texts[i].good && !memchr(texts[i].bytes, 0, texts[i].len))
            fail_msg("writing: %s", texts[i].what);
        if (texts[i].good)
            assert_memory_equal(again, wire, 1 + texts[i].len);
    }
}

static void test_text_bounds(void **state)
{
    char text[258], out[256];
    uint8_t wire[300];

    (void)state;
    for (size_t len = 254; len <= 256; len++) {
        memset(text, 'x', len);
        text[len] = '\0';
        struct wire_writer w = wire_writer(wire, sizeof(wire));
        wire_put_text(&w, text);
        assert_int_equal(w.bad, len > 255);
        if (w.bad)
            continue;
        /* The out buffer needs one byte more than the text. */
        struct wire_reader r = wire_reader(wire, len + 1);
        wire_get_text(&r, out, len + 1);
        assert_false(r.bad);
        assert_string_equal(out, text);
        r = wire_reader(wire, len + 1);
        wire_get_text(&r, out, len);
        assert_true(r.bad);
        r = wire_reader(wire, len);
        wire_get_text(&r, out, sizeof(out));
        assert_true(r.bad);
        w = wire_writer(wire, len);
        wire_put_text(&w, text);
        assert_true(w.bad);
    }
}

static void test_endpoint(void **state)
{
    static const char *const addresses[] = {"192.0.2.1:1", "0.0.0.0:0", "255.255.255.255:65535",
                                            "[2001:db8::1]:443", "[::]:0"};
    uint8_t wire[19];

    (void)state;
    for (size_t i = 0; i < COUNT(addresses); i++) {
        struct endpoint e, back;
        assert_int_equal(endpoint_parse(addresses[i], 0, &e), 0);
        size_t size = e.family == 4 ? 7 : 19;
        struct wire_writer w = wire_writer(wire, sizeof(wire));
        wire_put_endpoint(&w, &e);
        assert_int_equal(sizeof(wire) - w.left, size);
        for (size_t cut = 0; cut <= size; cut++) {
            struct wire_reader r = wire_reader(wire, cut);
            wire_get_endpoint(&r, &back);
            assert_int_equal(r.bad, cut < size);
            assert_true(cut < size ? endpoint_is_none(&back) : endpoint_equal(&e, &back));
            w = wire_writer(wire, cut);
            wire_put_endpoint(&w, &e);
            assert_int_equal(w.bad, cut < size);
        }
    }
}

static void test_endpoint_none_is_one_byte(void **state)
{
    uint8_t wire[1] = {9};
    struct endpoint e = endpoint_none();
    struct wire_writer w = wire_writer(wire, sizeof(wire));

    (void)state;
    wire_put_endpoint(&w, &e);
    assert_false(w.bad);
    assert_int_equal(wire[0], 0);
    struct wire_reader r = wire_reader(wire, sizeof(wire));
    wire_get_endpoint(&r, &e);
    assert_false(r.bad);
    assert_true(endpoint_is_none(&e));
}

static void test_endpoint_refused(void **state)
{
    uint8_t wire[19] = {6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1, 0, 80};
    struct endpoint e = {.family = 6};
    struct wire_reader r = wire_reader(wire, sizeof(wire));

    (void)state;
    memcpy(e.address, wire + 1, 16);
    wire_get_endpoint(&r, &e);
    assert_true(r.bad); /* IPv4 in IPv6 clothes */
    e.family = 6;
    memcpy(e.address, wire + 1, 16);
    struct wire_writer w = wire_writer(wire, sizeof(wire));
    wire_put_endpoint(&w, &e);
    assert_true(w.bad);

    for (unsigned family = 0; family < 256; family++) {
        uint8_t bytes[19] = {(uint8_t)family, 1};
        r = wire_reader(bytes, sizeof(bytes));
        wire_get_endpoint(&r, &e);
        assert_int_equal(!r.bad, family == 0 || family == 4 || family == 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_writer_bounds),
        cmocka_unit_test(test_reader_bounds),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_bounds),
        cmocka_unit_test(test_endpoint),
        cmocka_unit_test(test_endpoint_none_is_one_byte),
        cmocka_unit_test(test_endpoint_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
