/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
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

static void test_strangers(void **state)
{
    unsigned left_out = 0;

    (void)state;
    log_open(LOG_LEVEL_INFO);
    capture();
    for (unsigned i = 0; i < 5000; i++)
        log_stranger("knock %u", i);
    struct timespec wait = {1, 100000000};
    nanosleep(&wait, NULL);
    log_stranger("last");
    const char *out = captured();
    /* A second's turn may fall into the burst. */
    assert_in_range(lines(out), 11, 21);
    const char *last = strstr(out, "last");
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
        cmocka_unit_test(test_levels),  cmocka_unit_test(test_names),
        cmocka_unit_test(test_journal), cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_long),    cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
