/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"

static const struct {
    const char *what;
    uint8_t bytes[8];
    size_t len, body_max;
    int expected;
} rows[] = {
    {"nothing yet", {0}, 0, 10, 0},
    {"half a header", {0}, 1, 10, 0},
    {"a body of zero", {0, 0, 1}, 3, 10, -1},
    {"header alone", {0, 3}, 2, 10, 0},
    {"one byte short", {0, 3, 1, 2}, 4, 10, 0},
    {"whole", {0, 3, 1, 2, 3}, 5, 10, 5},
    {"whole, and the next begins", {0, 3, 1, 2, 3, 0}, 6, 10, 5},
    {"the largest", {0, 4, 1, 2, 3, 4}, 6, 4, 6},
    {"one too large, known from the header", {0, 5}, 2, 4, -1},
    {"high byte counts", {1, 0}, 2, 255, -1},
};

static void test_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const uint8_t *body = NULL;
        size_t body_len = 0;
        int got = frame_parse(rows[i].bytes, rows[i].len, rows[i].body_max, &body, &body_len);
        if (got != rows[i].expected)
            fail_msg("%s: %d", rows[i].what, got);
        if (got <= 0)
            continue;
        assert_ptr_equal(body, rows[i].bytes + FRAME_HEADER_SIZE);
        assert_int_equal(body_len, got - FRAME_HEADER_SIZE);
    }
}

static void test_round_trip_at_the_bounds(void **state)
{
    static const size_t sizes[] = {1, 255, 256, FRAME_BODY_MAX, 65534, 65535};
    uint8_t *buffer = calloc(1, FRAME_HEADER_SIZE + 65535);

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const uint8_t *body;
        size_t len, whole = FRAME_HEADER_SIZE + sizes[i];
        frame_put_header(buffer, sizes[i]);
        assert_int_equal(frame_parse(buffer, whole, 65535, &body, &len), whole);
        assert_int_equal(len, sizes[i]);
        assert_int_equal(frame_parse(buffer, whole - 1, 65535, &body, &len), 0);
        assert_int_equal(frame_parse(buffer, whole, sizes[i] - 1, &body, &len), -1);
    }
    free(buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_round_trip_at_the_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
