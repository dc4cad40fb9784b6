/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/log.h"

/* stderr goes to a file while a test runs. */
static int saved = -1, file = -1;
static char seen[1 << 20];

static void capture(void)
{
    char path[] = "/tmp/tryst-log-XXXXXX";

    fflush(stderr);
    saved = dup(STDERR_FILENO);
    file = mkstemp(path);
    assert_true(saved >= 0 && file >= 0);
    unlink(path);
    /* Appending, as a real log is: writers on several threads do not overwrite each other. */
    assert_true(fcntl(file, F_SETFL, O_APPEND) == 0);
    dup2(file, STDERR_FILENO);
}

static const char *captured(void)
{
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t n = pread(file, seen, sizeof(seen) - 1, 0);
    close(file);
    assert_true(n >= 0);
    seen[n] = '\0';
    return seen;
}

static size_t lines(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void test_levels(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    log_open(LOG_LEVEL_WARNING);
    assert_int_equal(log_get_level(), LOG_LEVEL_WARNING);
    capture();
    log_error("one %d", 1);
    log_warning("two");
    log_notice("not three");
    log_info("not four");
    log_debug("not five");
    log_stranger("not six");
    const char *out = captured();
    assert_int_equal(lines(out), 2);
    assert_non_null(strstr(out, "Z error: one 1\n"));
    assert_non_null(strstr(out, "Z warning: two\n"));
    log_set_level(LOG_LEVEL_DEBUG);
    capture();
    log_debug("five");
    assert_non_null(strstr(captured(), "Z debug: five\n"));
}

static void test_names(void **state)
{
    static const char *const names[] = {"error", "warning", "notice", "info", "debug"};

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(log_level_from_name(names[i]), LOG_LEVEL_ERROR + i);
        assert_string_equal(log_level_name((enum log_level)(LOG_LEVEL_ERROR + i)), names[i]);
    }
    assert_int_equal(log_level_from_name("loud"), -1);
    assert_int_equal(log_level_from_name(""), -1);
}

static void test_journal(void **state)
{
    char stream[64];
    struct stat st;

    (void)state;
    capture();
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_open(LOG_LEVEL_INFO);
    log_error("a");
    log_info("b");
    /* Inherited from a parent under the journal, with stderr elsewhere. */
    setenv("JOURNAL_STREAM", "1:1", 1);
    log_open(LOG_LEVEL_INFO);
    log_info("c");
    setenv("JOURNAL_STREAM", "nonsense", 1);
    log_open(LOG_LEVEL_INFO);
    log_info("d");
    const char *out = captured();
    unsetenv("JOURNAL_STREAM");
    assert_memory_equal(out, "<3>a\n<6>b\n", 10);
    assert_non_null(strstr(out, "Z info: c\n"));
    assert_non_null(strstr(out, "Z info: d\n"));
}

/* A peer's texts must not forge lines or steer the operator's terminal. */
static void test_escapes(void **state)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        {"a\nb", "a\\x0ab"},
        {"\r\x1b[2J\x7f", "\\x0d\\x1b[2J\\x7f"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"},
        {"\xff\xc0\x80", "\\xff\\xc0\\x80"},
        {"\xe2\x80\xa8\xe2\x80\xae", "\\xe2\\x80\\xa8\\xe2\\x80\\xae"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"\xf0\x9f\x98", "\\xf0\\x9f\\x98"},
    };

    (void)state;
    log_open(LOG_LEVEL_INFO);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        capture();
        log_info("<%s>", rows[i].text);
        const char *out = captured();
        char expected[128];
        snprintf(expected, sizeof(expected), "info: <%s>\n", rows[i].shown);
        assert_int_equal(lines(out), 1);
        if (!strstr(out, expected))
            fail_msg("%zu: %s", i, out);
    }
}

static void test_long(void **state)
{
    char *text = malloc(100001);

    (void)state;
    assert_non_null(text);
    memset(text, '\n', 100000);
    text[100000] = '\0';
    log_open(LOG_LEVEL_INFO);
    capture();
    errno = EPERM;
    log_info("%s", text);
    assert_int_equal(errno, EPERM);
    const char *out = captured();
    assert_int_equal(lines(out), 1);
    assert_true(strlen(out) <= 4096);
    free(text);
}

/* One kind of line. */
static void knock(unsigned i)
{
    log_stranger("knock %u", i);
}

static void test_strangers(void **state)
{
    unsigned left_out = 0;

    (void)state;
    log_open(LOG_LEVEL_INFO);
    capture();
    for (unsigned i = 0; i < 5000; i++)
        knock(i);
    struct timespec wait = {1, 100000000};
    nanosleep(&wait, NULL);
    knock(5000);
    const char *out = captured();
    /* A second's turn may fall into the burst. */
    assert_in_range(lines(out), 11, 21);
    const char *last = strstr(out, "knock 5000");
    assert_non_null(last);
    for (const char *at = out; (at = strstr(at, " such lines left out)")) != NULL; at++) {
        const char *number = at;
        while (number[-1] != '(')
            number--;
        left_out += (unsigned)strtoul(number, NULL, 10);
    }
    /* Nothing goes missing uncounted. */
    assert_int_equal(left_out + lines(out), 5001);
}

/* A flood of one kind does not keep another from being seen. */
static void test_kinds(void **state)
{
    (void)state;
    log_open(LOG_LEVEL_INFO);
    capture();
    for (unsigned i = 0; i < 1000; i++)
        knock(i);
    for (unsigned i = 0; i < 5; i++)
        log_stranger("another kind %u", i);
    for (unsigned i = 0; i < 50; i++)
        log_peer("a peer's %u", i);
    const char *out = captured();
    assert_non_null(strstr(out, "another kind 4\n"));
    assert_non_null(strstr(out, "a peer's 49\n"));
    assert_null(strstr(out, "knock 999\n"));
}

/* Whatever a line says, it stays one object. */
static void test_json(void **state)
{
    char *text = malloc(100001);
    const struct log_field fields[] = {
        {"who", "a \"b\" \\ \n \xff", 0}, {"ms", NULL, 12.5}, {"rounds", NULL, 3}};

    (void)state;
    assert_non_null(text);
    memset(text, '"', 100000);
    text[100000] = '\0';
    log_open(LOG_LEVEL_INFO);
    log_set_format(LOG_FORMAT_JSON);
    capture();
    log_warning("say \"%s\"", "\x1b\t\xc3\xbc\xe2\x80\xae");
    log_info_fields(fields, 3, "with fields");
    log_info("%s", text);
    log_info_fields(&(struct log_field){"long", text, 0}, 1, "%s", text);
    log_set_format(LOG_FORMAT_AUTO);
    const char *out = captured();
    assert_int_equal(lines(out), 4);
    static const char *const said[] = {"say \"\x1b\t\xc3\xbc\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"",
                                       "with fields"};
    for (unsigned i = 0; i < 4; i++) {
        json_error_t where;
        json_t *o = json_loads(out, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &where);
        if (!o)
            fail_msg("%s in %.300s", where.text, out);
        assert_non_null(json_string_value(json_object_get(o, "time")));
        assert_string_equal(json_string_value(json_object_get(o, "level")), i ? "info" : "warning");
        if (i < 2)
            assert_string_equal(json_string_value(json_object_get(o, "message")), said[i]);
        if (i == 1) {
            assert_string_equal(json_string_value(json_object_get(o, "who")),
                                "a \"b\" \\ \n \xef\xbf\xbd");
            assert_true(json_number_value(json_object_get(o, "ms")) > 12.4);
            assert_int_equal(json_integer_value(json_object_get(o, "rounds")), 3);
        }
        json_decref(o);
        out = strchr(out, '\n') + 1;
        assert_true(out[-1] == '\n');
    }
    free(text);
}

static void test_formats(void **state)
{
    (void)state;
    log_open(LOG_LEVEL_INFO);
    capture();
    log_set_format(LOG_FORMAT_JOURNAL);
    log_notice("a");
    log_set_format(LOG_FORMAT_PLAIN);
    log_notice("b");
    log_set_format(LOG_FORMAT_AUTO);
    log_notice("c");
    const char *out = captured();
    assert_memory_equal(out, "<5>a\n", 5);
    assert_non_null(strstr(out, "Z notice: b\n"));
    assert_non_null(strstr(out, "Z notice: c\n"));
}

static void test_addresses(void **state)
{
    static const struct {
        enum log_addresses shown;
        const char *text, *endpoint, *address;
    } rows[] = {
        {LOG_ADDRESSES_FULL, "192.0.2.77:80", "192.0.2.77:80", "192.0.2.77"},
        {LOG_ADDRESSES_SHORT, "192.0.2.77:80", "192.0.2.0/24", "192.0.2.0/24"},
        {LOG_ADDRESSES_NONE, "192.0.2.77:80", "(hidden)", "(hidden)"},
        {LOG_ADDRESSES_FULL, "[2001:db8:1:2::3]:80", "[2001:db8:1:2::3]:80", "2001:db8:1:2::3"},
        {LOG_ADDRESSES_SHORT, "[2001:db8:1:2::3]:80", "2001:db8:1::/48", "2001:db8:1::/48"},
        {LOG_ADDRESSES_NONE, "[2001:db8:1:2::3]:80", "(hidden)", "(hidden)"},
    };
    char out[ENDPOINT_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct endpoint e;
        assert_int_equal(endpoint_parse(rows[i].text, 0, &e), 0);
        log_set_addresses(rows[i].shown);
        assert_string_equal(log_endpoint(&e, out), rows[i].endpoint);
        assert_string_equal(log_address(&e, out), rows[i].address);
    }
    log_set_addresses(LOG_ADDRESSES_FULL);
}

static void *writer(void *arg)
{
    for (int i = 0; i < 500; i++)
        log_info("thread %d line %d end", *(int *)arg, i);
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    int numbers[4];

    (void)state;
    log_open(LOG_LEVEL_INFO);
    capture();
    for (int i = 0; i < 4; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, writer, &numbers[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    const char *out = captured();
    assert_int_equal(lines(out), 2000);
    for (const char *at = out; *at; at = strchr(at, '\n') + 1) {
        const char *text = strstr(at, "Z info: thread "), *end = strstr(at, " end\n");
        assert_non_null(text);
        assert_non_null(end);
        /* Both on this line, and nothing of another thread's between them. */
        assert_true(end < strchr(at, '\n'));
        assert_in_range(end - text, 23, 25);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),    cmocka_unit_test(test_names),
        cmocka_unit_test(test_journal),   cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_long),      cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_threads),   cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_json),      cmocka_unit_test(test_formats),
        cmocka_unit_test(test_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
