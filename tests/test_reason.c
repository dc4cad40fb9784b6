/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "proto/reason.h"

static const struct {
    unsigned number;
    const char *name, *text, *advice;
    int status;
} rows[] = {
#define REASON(number, NAME, name, status, text, advice) {number, name, text, advice, status},
#include "proto/reason.def"
#undef REASON
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void test_every_row_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        assert_string_equal(reason_name(rows[i].number), rows[i].name);
        assert_string_equal(reason_text(rows[i].number), rows[i].text);
        assert_string_equal(reason_advice(rows[i].number), rows[i].advice);
        assert_int_equal(reason_exit_status(rows[i].number), rows[i].status);
        assert_int_equal(reason_from_name(rows[i].name), rows[i].number);
    }
}

static void test_rows_are_well_formed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        size_t len = strlen(rows[i].text);
        assert_true(rows[i].number < 256); /* one byte on the wire */
        assert_in_range(rows[i].status, 0, 4);
        assert_int_equal(rows[i].status == 0, rows[i].number == REASON_OK);
        assert_true(len > 0 && rows[i].text[len - 1] != '.');
        assert_string_not_equal(rows[i].name, "unknown");
        for (const char *c = rows[i].name; *c; c++)
            assert_true(islower((unsigned char)*c) || *c == '-');
        for (size_t j = 0; j < i; j++) {
            assert_true(rows[j].number < rows[i].number);
            assert_string_not_equal(rows[j].name, rows[i].name);
        }
    }
}

static void test_unknown(void **state)
{
    static const unsigned numbers[] = {29, 255, 256, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_string_equal(reason_name(numbers[i]), "unknown");
        assert_true(strlen(reason_text(numbers[i])) > 0);
        assert_non_null(reason_advice(numbers[i]));
        assert_in_range(reason_exit_status(numbers[i]), 1, 4);
    }
    assert_int_equal(reason_from_name("unknown"), -1);
    assert_int_equal(reason_from_name(""), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_found),
        cmocka_unit_test(test_rows_are_well_formed),
        cmocka_unit_test(test_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
