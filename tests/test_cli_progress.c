/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "client-stub/cli_progress.h"

static struct progress_facts facts(void)
{
    return (struct progress_facts){.who = "home",
                                   .local = "192.168.1.2:40000",
                                   .remote = "203.0.113.7:5123",
                                   .family = 4,
                                   .rounds = 1,
                                   .syns = 1,
                                   .took_us = 143200,
                                   .late_us = 12,
                                   .chance = 0.999};
}

static void test_summary(void **state)
{
    char out[512];
    struct progress_facts f = facts();

    (void)state;
    cli_progress_summary(&f, out, sizeof(out));
    assert_string_equal(
        out, "connected to home over IPv4 in 143 ms: local 192.168.1.2:40000 <-> remote "
             "203.0.113.7:5123, 1 round, 1 SYN, start missed by 12 us, predicted chance 99.9 %");
    f.rounds = 2;
    f.syns = 64;
    f.late_us = -7;
    f.chance = -1;
    cli_progress_summary(&f, out, sizeof(out));
    assert_non_null(strstr(out, ", 2 rounds, 64 SYNs, start missed by 7 us"));
    assert_null(strstr(out, "chance"));
}

static void test_summary_is_cut(void **state)
{
    char out[40];
    struct progress_facts f = facts();

    (void)state;
    cli_progress_summary(&f, out, sizeof(out));
    assert_string_equal(out, "connected to home over IPv4 in 143 ms: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_summary_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
