/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/conf.h"
#include "server/conf_table.h"
#include "server/nearest.h"
#include "server/span.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char err[512];

static int parse(const char *text, struct conf *c)
{
    conf_init_defaults(c);
    err[0] = '\0';
    return conf_parse("x.conf", text, strlen(text), c, err, sizeof(err));
}

static void test_defaults(void **state)
{
    struct conf c, again;

    (void)state;
    conf_init_defaults(&c);
    conf_init_defaults(&again);
    assert_memory_equal(&c, &again, sizeof(c));
    assert_int_equal(conf_check(&c, err, sizeof(err)), 0);
    assert_int_equal(c.port.count, 3);
    assert_string_equal(c.port.at[0], "5382");
    assert_string_equal(c.port.at[2], "5384");
    assert_int_equal(c.listen.count, 0);
    assert_int_equal(c.registration, REGISTRATION_INVITE);
    assert_int_equal(c.invite_lifetime, 7 * 86400);
    assert_int_equal(c.punch_margin, 5);
    assert_true(c.probe);
    assert_string_equal(conf_word(CONF_OPTION_log_level, c.log_level), "info");
    assert_int_equal(c.log_level + CONF_LOG_LEVEL_FIRST, 6);
    for (unsigned i = 0; i < CONF_OPTIONS; i++)
        assert_int_equal(c.place[i].origin, CONF_DEFAULT);
}

/* Every default is inside its own range: it would be refused otherwise, and the field stay zero. */
static void test_defaults_are_valid(void **state)
{
    struct conf c;

    (void)state;
    for (unsigned i = 0; i < CONF_OPTIONS; i++) {
        memset(&c, 0, sizeof(c));
        if (conf_row_set(&c, &conf_rows[i], CONF_FILE, conf_rows[i].text, err, sizeof(err)))
            fail_msg("%s: %s", conf_rows[i].name, err);
    }
}

static void test_values(void **state)
{
    static const char text[] = "# a comment\n"
                               "listen = {192.0.2.1, \"2001:db8::1\"} // another\n"
                               "port = {1, 65535,\n  443}\n"
                               "/* of several\n lines = 1 */\n"
                               "public-host = 'tryst.example'\n"
                               "state-dir = \"/a \\\"b\\\" #c\"\n"
                               "registration = open\n"
                               "invite-lifetime = 90s\n"
                               "max-sessions=1\n"
                               "punch-margin = 1s\n"
                               "probe = no\n"
                               "rounds = 2\nrounds = 4";
    struct conf c;

    (void)state;
    if (parse(text, &c))
        fail_msg("%s", err);
    assert_int_equal(c.listen.count, 2);
    assert_string_equal(c.listen.at[1], "2001:db8::1");
    assert_int_equal(c.port.count, 3);
    assert_string_equal(c.port.at[2], "443");
    assert_string_equal(c.public_host, "tryst.example");
    assert_string_equal(c.state_dir, "/a \"b\" #c");
    assert_int_equal(c.registration, REGISTRATION_OPEN);
    assert_int_equal(c.invite_lifetime, 90);
    assert_int_equal(c.max_sessions, 1);
    assert_int_equal(c.punch_margin, 1000);
    assert_false(c.probe);
    assert_int_equal(c.rounds, 4);
    assert_int_equal(c.place[CONF_OPTION_rounds].origin, CONF_FILE);
    assert_int_equal(c.place[CONF_OPTION_syn_budget].origin, CONF_DEFAULT);
}

static const struct {
    const char *text;
    const char *place; /* what the message begins with */
    const char *holds; /* and what it says */
} mistakes[] = {
    {"rounds = 0", "x.conf:1: option 'rounds': ", "1 to 10 would be right"},
    {"rounds = 11", "x.conf:1: option 'rounds': ", "1 to 10 would be right"},
    {"rounds = 99999999999999999999", "x.conf:1: option 'rounds': ", "1 to 10"},
    {"rounds = -1", "x.conf:1: option 'rounds': ", "1 to 10"},
    {"rounds = 3x", "x.conf:1: option 'rounds': ", "not a whole number"},
    {"rounds = ''", "x.conf:1: option 'rounds': ", "not a whole number"},
    {"# one\n\n# three\nrounds = x\n", "x.conf:4: ", "not a whole number"},
    {"/* one\n two */\nrounds = x\n", "x.conf:3: ", "not a whole number"},
    {"public-host = \"a\" # '\nrounds = x\n", "x.conf:2: ", "not a whole number"},
    {"ronds = 3", "x.conf:1: unknown option 'ronds'", "did you mean 'rounds'?"},
    {"session-time = 3s", "x.conf:1: unknown option", "did you mean 'session-timeout'?"},
    {"colour = blue", "x.conf:1: unknown option", "trystd.conf(5)"},
    {"rounds 3", "x.conf:1: ", "NAME = VALUE would be right"},
    {"rounds = {1}", "x.conf:1: ", "would be right"},
    {"=", "x.conf:1: ", "would be right"},
    {"invite-lifetime = 59s", "x.conf:1: ", "1min to 365d would be right"},
    {"invite-lifetime = 366d", "x.conf:1: ", "out of range"},
    {"invite-lifetime = 9223372036854775807w", "x.conf:1: ", "out of range"},
    {"invite-lifetime = 3600", "x.conf:1: ", "not a number with a unit"},
    {"invite-lifetime = '1 fortnight'", "x.conf:1: ", "not a number with a unit"},
    {"session-timeout = 2500ms", "x.conf:1: ", "whole number of seconds"},
    {"punch-margin = 5001ms", "x.conf:1: ", "0s to 5s would be right"},
    {"probe = perhaps", "x.conf:1: ", "yes or no would be right"},
    {"registration = closed", "x.conf:1: ", "one of open|allowlist|invite would be right"},
    {"registration = ''", "x.conf:1: ", "one of open|allowlist|invite"},
    {"registration = inv", "x.conf:1: ", "one of open|allowlist|invite"},
    {"rounds=1\nport = {1, 2}", "x.conf:2: option 'port': ", "3 to 8 would be right"},
    {"port = {1,2,3,4,5,6,7,8,9}", "x.conf:1: option 'port': ", "3 to 8 would be right"},
    {"port = {1,2,3,\n3}", "x.conf:2: option 'port': ", "twice"},
    {"port = {0,2,3}", "x.conf:1: ", "1 to 65535"},
    {"port = {65536,2,3}", "x.conf:1: ", "1 to 65535"},
    {"port = {1,2,03}", "x.conf:1: ", "1 to 65535"},
    {"port = {1,2,' '}", "x.conf:1: option 'port': ", "3 to 8"},
    {"listen = {localhost}", "x.conf:1: ", "not a numeric address"},
    {"listen = {\"1.2.3.4:5\"}", "x.conf:1: ", "the address alone would be right"},
    {"listen = {\"[::1]:5\"}", "x.conf:1: ", "the address alone would be right"},
    {"public-host = 'a/b'", "x.conf:1: ", "does not fit into a URL"},
    {"public-host = 'a:b@c'", "x.conf:1: ", "does not fit into a URL"},
    {"state-dir = ''", "x.conf:1: ", "is empty"},
    {"admin-socket = '0123456789012345678901234567890123456789012345678901234567890123456789"
     "01234567890123456789012345678901234567'",
     "x.conf:1: ", "107 characters at most"},
    {"state-dir = \"a\\nb\"", "x.conf:1: ", "one line"},
    {"\nstate-dir = \"a", "x.conf:2: ", "without its end"},
    {"\n/* a\n", "x.conf:2: ", "without its end"},
    {"port = {", "x.conf:1: ", "would be right"},
    {"port = {}", "x.conf: option 'port': ", "3 to 8 would be right"},
};

static void test_mistakes(void **state)
{
    struct conf c, before;

    (void)state;
    for (size_t i = 0; i < COUNT(mistakes); i++) {
        conf_init_defaults(&before);
        if (parse(mistakes[i].text, &c) == 0)
            fail_msg("accepted: %s", mistakes[i].text);
        if (strncmp(err, mistakes[i].place, strlen(mistakes[i].place)) != 0 ||
            !strstr(err, mistakes[i].holds))
            fail_msg("%s\n  says: %s\n  not:  %s ... %s", mistakes[i].text, err, mistakes[i].place,
                     mistakes[i].holds);
        assert_memory_equal(&c, &before, sizeof(c));
    }
}

static void test_zero_bytes(void **state)
{
    static const char text[] = "rounds = 2\0rounds = 3\n";
    struct conf c;

    (void)state;
    conf_init_defaults(&c);
    assert_int_equal(conf_parse("x.conf", text, sizeof(text) - 1, &c, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "zero bytes"));
    assert_int_equal(conf_parse("x.conf", "", 0, &c, err, sizeof(err)), 0);
}

static char *print(const struct conf *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    conf_print(out, c, false);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* What conf_print writes reads back as the same configuration. */
static void check_round_trip(const struct conf *c)
{
    struct conf back;
    char *text = print(c), *again;

    conf_init_defaults(&back);
    if (conf_parse("printed", text, strlen(text), &back, err, sizeof(err)))
        fail_msg("%s in\n%s", err, text);
    assert_string_equal(back.state_dir, c->state_dir);
    again = print(&back);
    assert_string_equal(text, again);
    free(text);
    free(again);
}

static void test_print(void **state)
{
    struct conf c;

    (void)state;
    conf_init_defaults(&c);
    check_round_trip(&c);
    snprintf(c.state_dir, sizeof(c.state_dir),
             "/x \"y\" 'z' \\ \\\\ ${HOME} $a # // /* {} = , \\n");
    c.port.count = 8;
    for (unsigned i = 0; i < 8; i++)
        snprintf(c.port.at[i], sizeof(c.port.at[i]), "%u", 1000 + i);
    c.invite_lifetime = 61;
    c.punch_margin = 4999;
    c.registration = REGISTRATION_OPEN;
    c.probe = false;
    check_round_trip(&c);
}

static void test_set(void **state)
{
    struct conf c, before;

    (void)state;
    conf_init_defaults(&c);
    assert_int_equal(conf_set(&c, "port", "7001", err, sizeof(err)), 0);
    assert_int_equal(c.port.count, 1);
    assert_int_equal(conf_check(&c, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "'port'"));
    assert_int_equal(conf_set(&c, "port", "7002,7003", err, sizeof(err)), 0);
    assert_int_equal(c.port.count, 3);
    assert_int_equal(conf_check(&c, err, sizeof(err)), 0);
    assert_int_equal(c.place[CONF_OPTION_port].origin, CONF_COMMAND);

    before = c;
    assert_int_equal(conf_set(&c, "port", "7004 x", err, sizeof(err)), -1);
    assert_int_equal(conf_set(&c, "prot", "1", err, sizeof(err)), -1);
    assert_non_null(strstr(err, "did you mean 'port'?"));
    assert_int_equal(conf_set(&c, "rounds", "no", err, sizeof(err)), -1);
    assert_memory_equal(&c, &before, sizeof(c));

    for (unsigned i = 0; i < CONF_LIST_MAX - 3; i++) {
        char port[8];
        snprintf(port, sizeof(port), "%u", 8000 + i);
        assert_int_equal(conf_set(&c, "port", port, err, sizeof(err)), 0);
    }
    assert_int_equal(conf_set(&c, "port", "9999", err, sizeof(err)), -1);
}

static void test_files(void **state)
{
    char path[] = "/tmp/tryst-conf-XXXXXX";
    int fd = mkstemp(path);
    struct conf c;

    (void)state;
    conf_init_defaults(&c);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "rounds = 7\n", 11), 11);
    assert_int_equal(conf_read(path, &c, err, sizeof(err)), 0);
    assert_int_equal(c.rounds, 7);
    assert_int_equal(ftruncate(fd, 2 << 20), 0);
    assert_int_equal(conf_read(path, &c, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "larger than"));
    close(fd);
    unlink(path);
    assert_int_equal(conf_read(path, &c, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "No such file"));
    assert_int_equal(conf_read("/tmp", &c, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "not a regular file"));
    assert_int_equal(c.rounds, 7);
}

/* Files of a test's own. */
static char folder[] = "/tmp/tryst-conf-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *out = fopen(in_folder(name), "w");

    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/tryst-conf-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(mkdir(in_folder("d"), 0700), 0);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static int remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int read_main(const char *text, struct conf *c)
{
    write_file("main.conf", text);
    conf_init_defaults(c);
    err[0] = '\0';
    return conf_read(in_folder("main.conf"), c, err, sizeof(err));
}

static void test_includes(void **state)
{
    char where[CONF_WHERE_SIZE], value[CONF_VALUE_SIZE];
    struct conf c;

    (void)state;
    write_file("d/20-b.conf", "\nsyn-budget = 20\n");
    write_file("d/10-a.conf", "rounds = 3\nsyn-budget = 10\n");
    write_file("d/30-c.conf~", "rounds = nonsense\n");
    write_file("last.conf", "port += {1, 2, 3}");
    assert_int_equal(read_main("rounds = 2\ninclude = {'d/*.conf', 'none/*.conf', last.conf}\n"
                               "address-syns = 100\nport = {7, 8, 9, 10}\n",
                               &c),
                     0);
    assert_int_equal(c.rounds, 3);
    assert_int_equal(c.syn_budget, 20);
    assert_int_equal(c.address_syns, 100);
    assert_int_equal(c.port.count, 3);
    assert_int_equal(c.file_count, 4);
    assert_non_null(strstr(conf_where(&c, CONF_OPTION_syn_budget, where), "/d/20-b.conf:2"));
    assert_non_null(strstr(conf_where(&c, CONF_OPTION_rounds, where), "/d/10-a.conf:1"));
    assert_non_null(strstr(conf_where(&c, CONF_OPTION_address_syns, where), "/main.conf:3"));
    assert_string_equal(conf_where(&c, CONF_OPTION_probe, where), "default");
    assert_int_equal(conf_set(&c, "rounds", "4", err, sizeof(err)), 0);
    assert_string_equal(conf_where(&c, CONF_OPTION_rounds, where), "command line");
    assert_string_equal(conf_value(&c, CONF_OPTION_port, value), "{\"1\", \"2\", \"3\"}");
    check_round_trip(&c);
    /* What is printed can be included, and an empty list is a value. */
    write_file("last.conf", "include = {}\nlisten = {}");
    assert_int_equal(read_main("listen = {192.0.2.1}\ninclude = last.conf", &c), 0);
    assert_int_equal(c.listen.count, 0);
    assert_non_null(strstr(conf_where(&c, CONF_OPTION_listen, where), "/last.conf"));
    assert_int_equal(parse("listen = {192.0.2.1}\nlisten = {}", &c), 0);
    assert_int_equal(c.listen.count, 0);
    assert_int_equal(parse("listen = {}\nlisten = {192.0.2.1}", &c), 0);
    assert_int_equal(c.listen.count, 1);
}

/* Whatever is wrong with an included file, the message says where, and nothing has changed. */
static void test_bad_includes(void **state)
{
    static const struct {
        const char *text, *place, *holds;
    } rows[] = {
        {"rounds = 2\ninclude = bad.conf", "/bad.conf:2: option 'rounds'", "1 to 10"},
        {"\ninclude = nested.conf", "/nested.conf:1: option 'include'", "includes no others"},
        {"\n\ninclude = none.conf", "/main.conf:3: option 'include': none.conf", "No such file"},
        {"include = d", "/main.conf:1: option 'include'", "not a regular file"},
        {"include = {'many/*'}", "/many/", "64 at most"},
        {"include = lists.conf", "/lists.conf:2: option 'port'", "3 to 8"},
    };
    struct conf c, before;
    char name[32];

    (void)state;
    write_file("bad.conf", "syn-budget = 3\nrounds = 99\n");
    write_file("nested.conf", "include = {x}\n");
    write_file("lists.conf", "\nport = {1, 2}");
    mkdir(in_folder("many"), 0700);
    for (unsigned i = 0; i < CONF_FILES_MAX; i++) {
        snprintf(name, sizeof(name), "many/%u", i);
        write_file(name, "rounds = 1\n");
    }
    conf_init_defaults(&before);
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (read_main(rows[i].text, &c) == 0)
            fail_msg("accepted: %s", rows[i].text);
        if (!strstr(err, rows[i].place) || !strstr(err, rows[i].holds))
            fail_msg("%s\n  says: %s\n  not:  %s ... %s", rows[i].text, err, rows[i].place,
                     rows[i].holds);
        assert_memory_equal(&c, &before, sizeof(c));
    }
}

static void test_load(void **state)
{
    struct conf_source source = {.path = in_folder("main.conf"), .count = 2};
    struct conf c;

    (void)state;
    write_file("main.conf", "rounds = 2\nsyn-budget = 5\n");
    source.set[0].name = "rounds";
    source.set[0].text = "7";
    source.set[1].name = "port";
    source.set[1].text = "1,2,3";
    assert_int_equal(conf_load(&source, &c, err, sizeof(err)), 0);
    assert_int_equal(c.rounds, 7);
    assert_int_equal(c.syn_budget, 5);
    source.set[1].text = "1,2";
    assert_int_equal(conf_load(&source, &c, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "option 'port'"));
    source.path = NULL;
    source.count = 0;
    assert_int_equal(conf_load(&source, &c, err, sizeof(err)), 0);
    assert_int_equal(c.rounds, 5);
}

static void test_spans(void **state)
{
    static const struct {
        const char *text;
        int result;
        int64_t ms;
        const char *back;
    } rows[] = {
        {"0s", 0, 0, "0s"},
        {"1ms", 0, 1, "1ms"},
        {"1000ms", 0, 1000, "1s"},
        {"90s", 0, 90000, "90s"},
        {"2min", 0, 120000, "2min"},
        {"2m", 0, 120000, "2min"},
        {"1 h", 0, 3600000, "1h"},
        {"7d", 0, 604800000, "7d"},
        {"2w", 0, 1209600000, "14d"},
        {"", -1, 0, ""},
        {"5", -1, 0, ""},
        {"s", -1, 0, ""},
        {"-1s", -1, 0, ""},
        {"1.5s", -1, 0, ""},
        {"1s ", -1, 0, ""},
        {"99999999999999999999s", -2, 0, ""},
        {"4611686018427387903d", -2, 0, ""},
    };
    char text[SPAN_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t ms = 0;
        assert_int_equal(span_parse(rows[i].text, &ms), rows[i].result);
        assert_int_equal(ms, rows[i].ms);
        if (rows[i].result == 0)
            assert_string_equal(span_format(ms, text), rows[i].back);
    }
}

static void test_moments(void **state)
{
    static const int64_t now = 1764494130125000;
    static const struct {
        const char *text;
        int64_t us; /* -1: refused */
    } rows[] = {
        {"0s", 1764494130125000},
        {"10s", 1764494120125000},
        {"1000w", 1764494130125000 - 1000 * (int64_t)604800000000},
        {"9999w", 0},
        {"2025-11-30T09:15:30.125Z", 1764494130125000},
        {"2025-11-30T09:15:30", 1764494130000000},
        {"2025-11-30 09:15", 1764494100000000},
        {"2025-11-30", 1764460800000000},
        {"2024-02-29", 1709164800000000},
        {"@1764494130", 1764494130000000},
        {"1970-01-01", 0},
        {"2023-02-29", -1},
        {"2025-11-31", -1},
        {"2025-13-01", -1},
        {"1969-12-31", -1},
        {"2025-11-30T24:00", -1},
        {"2025-11-30T09", -1},
        {"2025-11-30x", -1},
        {"@", -1},
        {"@1x", -1},
        {"@99999999999999", -1},
        {"yesterday", -1},
        {"", -1},
    };
    char text[MOMENT_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t us = -1;
        int bad = moment_parse(rows[i].text, now, &us);
        if (bad != (rows[i].us < 0 ? -1 : 0) || (!bad && us != rows[i].us))
            fail_msg("'%s': %d, %lld", rows[i].text, bad, (long long)us);
    }
    assert_string_equal(moment_format(now, text), "2025-11-30T09:15:30.125Z");
    assert_string_equal(moment_format(0, text), "1970-01-01T00:00:00.000Z");
    assert_string_equal(moment_format(253402300799999999, text), "9999-12-31T23:59:59.999Z");
    assert_string_equal(moment_format(253402300800000000, text), "");
    assert_string_equal(moment_format(INT64_MAX, text), "");
    assert_string_equal(moment_format(-1, text), "");
}

static void test_nearest(void **state)
{
    static const char *const words[] = {"peers", "sessions", "session", "nats", "log-level"};
    static const struct {
        const char *typed, *meant;
    } rows[] = {
        {"peer", "peers"},
        {"pears", "peers"},
        {"perse", "peers"},
        {"sesions", "sessions"},
        {"sess", "sessions"},
        {"nat", "nats"},
        {"log", "log-level"},
        {"loglevel", "log-level"},
        {"drain", NULL},
        {"", NULL},
        {"x", NULL},
        {"nope", NULL},
        {"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *near = nearest(rows[i].typed, words, COUNT(words));
        if (!rows[i].meant)
            assert_null(near);
        else
            assert_string_equal(near, rows[i].meant);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_defaults_are_valid),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_zero_bytes),
        cmocka_unit_test(test_print),
        cmocka_unit_test_setup_teardown(test_includes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_bad_includes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_load, make_folder, remove_folder),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
