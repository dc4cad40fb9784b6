/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "client-stub/cli.h"
#include "client-stub/cli_option.h"

static const struct cli_option rows[] = {
    {OPTION_FLAG, 'p', "plain", NULL, offsetof(struct cli, plain), 0, 0, ""},
    {OPTION_TEXT, 'n', "name", "NAME", offsetof(struct cli, name), 0, 0, ""},
    {OPTION_LIST, 'a', "allow", "WHO", offsetof(struct cli, allow), 0, 0, ""},
    {OPTION_NUMBER, 0, "budget", "N", offsetof(struct cli, budget), 1, 512, ""},
    {OPTION_SECONDS, 't', "timeout", "SECONDS", offsetof(struct cli, timeout_ms), 0, 600, ""},
    {OPTION_END, 0, NULL, NULL, 0, 0, 0, NULL},
};
static const struct cli_option common[] = {
    {OPTION_COUNT, 'v', "verbose", NULL, offsetof(struct cli, verbose), 0, 0, ""},
    {OPTION_TEXT, 0, "name", "OTHER", offsetof(struct cli, server), 0, 0, ""},
    {OPTION_END, 0, NULL, NULL, 0, 0, 0, NULL},
};

static struct cli cli;
static char err[256], *args[32];
static int count;

/* Words separated by blanks, after a program's name. */
static int parse(const char *line, int stop_early)
{
    static char copy[256];
    char *save;

    memset(&cli, 0, sizeof(cli));
    err[0] = '\0';
    snprintf(copy, sizeof(copy), "tryst %s", line);
    count = 0;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        args[count++] = word;
    args[count] = NULL;
    return cli_option_parse(rows, common, &cli, stop_early, count, args, err, sizeof(err));
}

static void test_values(void **state)
{
    (void)state;
    assert_int_equal(parse("peer -pvn home --verbose -a x --allow=y -t 2.5 --budget 512 rest", 0),
                     11);
    assert_string_equal(args[11], "peer");
    assert_string_equal(args[12], "rest");
    assert_int_equal(cli.plain, 1);
    assert_int_equal(cli.verbose, 2);
    assert_string_equal(cli.name, "home"); /* of the first table */
    assert_null(cli.server);
    assert_int_equal(cli.allow.count, 2);
    assert_string_equal(cli.allow.at[1], "y");
    assert_int_equal(cli.timeout_ms, 2500);
    assert_int_equal(cli.budget, 512);
}

static void test_stop(void **state)
{
    (void)state;
    assert_int_equal(parse("-v command -p", 1), 2);
    assert_int_equal(cli.plain, 0);
    assert_int_equal(parse("-v -- -p", 0), 3);
    assert_string_equal(args[3], "-p");
    assert_int_equal(cli.plain, 0);
}

static void test_errors(void **state)
{
    static const struct {
        const char *line, *error;
    } bad[] = {
        {"--budget 513", "--budget 513: a number from 1 to 512"},
        {"--budget 0", "from 1 to 512"},
        {"--budget 7x", "from 1 to 512"},
        {"--budget 99999999999999999999", "from 1 to 512"},
        {"-t 0", "from 0 to 600"},
        {"-t -1", "from 0 to 600"},
        {"-t nan", "from 0 to 600"},
        {"-t 601", "from 0 to 600"},
        {"-t", "--timeout needs a value: SECONDS"},
        {"--timeout", "--timeout needs a value: SECONDS"},
        {"--plain=1", "--plain takes no value"},
        {"-x", "no such option: -x"},
        {"-vx", "no such option: -x"},
        {"--plane", "no such option: --plane (did you mean --plain?)"},
        {"--zebra=3", "no such option: --zebra"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(parse(bad[i].line, 0), -1);
        if (!strstr(err, bad[i].error))
            fail_msg("%s: '%s'", bad[i].line, err);
    }
}

static void test_list_is_bounded(void **state)
{
    char *many[2 * CLI_LIST_MAX + 4] = {"tryst"};
    int n = 1;

    (void)state;
    memset(&cli, 0, sizeof(cli));
    while (n < 2 * CLI_LIST_MAX + 1) {
        many[n++] = "-a";
        many[n++] = "x";
    }
    assert_int_equal(cli_option_parse(rows, common, &cli, 0, n, many, err, sizeof(err)), n);
    assert_int_equal(cli.allow.count, CLI_LIST_MAX);
    many[n++] = "-a";
    many[n++] = "x";
    memset(&cli, 0, sizeof(cli));
    assert_int_equal(cli_option_parse(rows, common, &cli, 0, n, many, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "more than"));
}

static void test_suggest(void **state)
{
    static const char *const words[] = {"join", "connect", "listen", "id", "peers"};
    static const struct {
        const char *word, *meant;
    } rows_[] = {
        {"conect", "connect"}, {"listne", "listen"}, {"lsiten", "listen"}, {"peer", "peers"},
        {"joi", "join"},       {"zzz", NULL},        {"", NULL},           {"x", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows_) / sizeof(rows_[0]); i++) {
        const char *got = cli_option_suggest(rows_[i].word, words, 5, sizeof(words[0]));
        if (rows_[i].meant)
            assert_string_equal(got, rows_[i].meant);
        else
            assert_null(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_stop),
        cmocka_unit_test(test_errors),  cmocka_unit_test(test_list_is_bounded),
        cmocka_unit_test(test_suggest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
