/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client-stub/cli_home.h"
#include "client-stub/cli_known.h"

static char folder[64], path[128], lock[160], err[HOME_ERR_SIZE];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/tryst-known-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/known_peers", folder);
    snprintf(lock, sizeof(lock), "%s.lock", path);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    unlink(lock);
    return rmdir(folder); /* fails if a temporary file was left behind */
}

static const uint8_t *key(uint8_t n)
{
    static uint8_t keys[4][KEY_SIZE];

    memset(keys[n % 4], n + 1, KEY_SIZE);
    return keys[n % 4];
}

static int pin(const char *name, uint8_t n)
{
    struct known had;
    return cli_known_pin(path, name, key(n), &had, err, sizeof(err));
}

static int key_of(const char *name)
{
    struct known known;
    int found = cli_known_find(path, name, &known, err, sizeof(err));

    return found == 1 ? known.key[0] - 1 : -1 - found;
}

static char *content(void)
{
    char *text;

    assert_int_equal(cli_home_read(path, &text, err, sizeof(err)), 0);
    return text;
}

static void put(const char *text)
{
    assert_int_equal(cli_home_write(path, text, strlen(text), err, sizeof(err)), 0);
}

static void test_first_contact(void **state)
{
    struct known had;
    struct stat st;

    (void)state;
    assert_int_equal(key_of("home"), -1);
    assert_int_equal(pin("home", 1), KNOWN_NEW);
    assert_int_equal(pin("home", 1), KNOWN_SAME);
    assert_int_equal(cli_known_pin(path, "home", key(2), &had, err, sizeof(err)), KNOWN_OTHER);
    assert_int_equal(had.key[0], 2);
    assert_int_equal(strlen(had.first_seen), 10);
    assert_int_equal(key_of("home"), 1);
    assert_int_equal(pin("other", 2), KNOWN_NEW);
    assert_int_equal(key_of("other"), 2);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static int forget(const char *name, const uint8_t *k)
{
    return cli_known_forget(path, name, k, err, sizeof(err));
}

static void test_forget(void **state)
{
    (void)state;
    assert_int_equal(forget("home", NULL), 0);
    pin("home", 1);
    pin("homestead", 2);
    pin("alias", 1);
    assert_int_equal(forget("home", NULL), 1);
    assert_int_equal(key_of("home"), -1);
    assert_int_equal(key_of("homestead"), 2);
    pin("home", 1);
    assert_int_equal(forget(NULL, key(1)), 2);
    assert_int_equal(key_of("alias"), -1);
    assert_int_equal(key_of("homestead"), 2);
}

/* What a person has written into the file stays; a last line without newline is a line. */
static void test_other_lines_stay(void **state)
{
    char base64[KEY_TEXT_SIZE], text[512], *now;

    (void)state;
    snprintf(text, sizeof(text),
             "# mine\n\n  home   %s\nhome not-a-key\n\tOther %s 2020-02-02 # note",
             key_format(key(1), base64), "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=");
    put(text);
    assert_int_equal(key_of("home"), 1);
    assert_int_equal(key_of("other"), 2);
    assert_int_equal(pin("third", 3), KNOWN_NEW);
    assert_int_equal(key_of("third"), 3);
    assert_int_equal(key_of("other"), 2);
    assert_int_equal(forget("home", NULL), 1);
    now = content();
    assert_ptr_equal(strstr(now, "# mine\n\nhome not-a-key\n\tOther "), now);
    free(now);
}

/* Many at once lose nothing. */
static void test_at_once(void **state)
{
    char name[32];
    int status;

    (void)state;
    for (int i = 0; i < 8; i++) {
        if (fork() == 0) {
            int bad = 0;
            for (int n = 0; n < 20; n++) {
                snprintf(name, sizeof(name), "p%d-%d", i, n);
                bad |= pin(name, (uint8_t)i) != KNOWN_NEW;
            }
            _exit(bad);
        }
    }
    for (int i = 0; i < 8; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < 8; i++) {
        for (int n = 0; n < 20; n++) {
            snprintf(name, sizeof(name), "p%d-%d", i, n);
            assert_int_equal(key_of(name), i);
        }
    }
}

static void test_errors(void **state)
{
    struct known had;

    (void)state;
    assert_int_equal(
        cli_known_pin("/nonexistent/known_peers", "home", key(1), &had, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "/nonexistent/known_peers"));
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(cli_known_find(path, "home", &had, err, sizeof(err)), -1);
    assert_non_null(strstr(err, path));
    assert_int_equal(rmdir(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_contact, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forget, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_lines_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
