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
#include <unistd.h>

#include "client-stub/cli_home.h"

#define URL "tryst://AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI@example.org:5382"

static char folder[64], err[HOME_ERR_SIZE];
static struct home home;

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/tryst-home-XXXXXX");
    unsetenv("TRYST_HOME");
    unsetenv("TRYST_SERVER");
    unsetenv("XDG_CONFIG_HOME");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command); /* NOLINT(cert-env33-c): a fixed command of the test's own */
}

static void test_where(void **state)
{
    (void)state;
    setenv("HOME", "/home/somebody", 1);
    assert_int_equal(cli_home_find(&home, NULL, NULL, err, sizeof(err)), 0);
    assert_string_equal(home.dir, "/home/somebody/.config/tryst");
    assert_string_equal(home.key, "/home/somebody/.config/tryst/key");
    setenv("XDG_CONFIG_HOME", "relative", 1);
    cli_home_find(&home, NULL, NULL, err, sizeof(err));
    assert_string_equal(home.dir, "/home/somebody/.config/tryst");
    setenv("XDG_CONFIG_HOME", "/xdg", 1);
    cli_home_find(&home, NULL, NULL, err, sizeof(err));
    assert_string_equal(home.known, "/xdg/tryst/known_peers");
    setenv("TRYST_HOME", "/th", 1);
    cli_home_find(&home, NULL, NULL, err, sizeof(err));
    assert_string_equal(home.server, "/th/server");
    cli_home_find(&home, "/given", "/elsewhere/k", err, sizeof(err));
    assert_string_equal(home.server, "/given/server");
    assert_string_equal(home.key, "/elsewhere/k");
}

static void test_make(void **state)
{
    char dir[128];
    struct stat st;

    (void)state;
    snprintf(dir, sizeof(dir), "%s/a/b/c", folder);
    cli_home_find(&home, dir, NULL, err, sizeof(err));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cli_home_make(&home, err, sizeof(err)), 0);
        assert_int_equal(stat(dir, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700);
    }
    assert_int_equal(chmod(dir, 0770), 0);
    assert_int_equal(cli_home_make(&home, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "chmod go-w"));
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(cli_home_make(&home, err, sizeof(err)), 0);
}

static void test_server(void **state)
{
    char url[SERVER_URL_SIZE];
    struct stat st;

    (void)state;
    cli_home_find(&home, folder, NULL, err, sizeof(err));
    assert_int_equal(cli_home_server(&home, NULL, url, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "tryst join"));
    assert_int_equal(cli_home_save_server(&home, URL, err, sizeof(err)), 0);
    assert_int_equal(stat(home.server, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(cli_home_server(&home, NULL, url, err, sizeof(err)), 0);
    assert_string_equal(url, URL);

    setenv("TRYST_SERVER", "nonsense", 1);
    assert_int_equal(cli_home_server(&home, NULL, url, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "TRYST_SERVER"));
    assert_int_equal(cli_home_server(&home, URL, url, err, sizeof(err)), 0);
    unsetenv("TRYST_SERVER");
    assert_int_equal(cli_home_write(home.server, "nonsense\n", 9, err, sizeof(err)), 0);
    assert_int_equal(cli_home_server(&home, NULL, url, err, sizeof(err)), -1);
    assert_non_null(strstr(err, home.server));
    char *large = calloc(1, 5001);
    memset(large, 'x', 5000);
    assert_int_equal(cli_home_write(home.server, large, 5000, err, sizeof(err)), 0);
    assert_int_equal(cli_home_server(&home, NULL, url, err, sizeof(err)), -1);
    assert_int_equal(cli_home_server(&home, large, url, err, sizeof(err)), -1);
    free(large);
}

static void test_key(void **state)
{
    struct key_pair key;

    (void)state;
    cli_home_find(&home, folder, NULL, err, sizeof(err));
    assert_int_equal(cli_home_load_key(&home, &key, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "tryst keygen"));
}

static void test_write_is_whole(void **state)
{
    char path[128], *text;

    (void)state;
    snprintf(path, sizeof(path), "%s/file", folder);
    for (size_t len = 0; len < 20000; len = len * 3 + 1) {
        char *want = calloc(1, len + 1);
        memset(want, 'a' + (int)(len % 26), len);
        assert_int_equal(cli_home_write(path, want, len, err, sizeof(err)), 0);
        assert_int_equal(cli_home_read(path, &text, err, sizeof(err)), 0);
        assert_string_equal(text, want);
        free(text);
        free(want);
    }
    snprintf(path, sizeof(path), "%s/no/such/place", folder);
    assert_int_equal(cli_home_write(path, "", 0, err, sizeof(err)), -1);
    assert_int_equal(cli_home_read(path, &text, err, sizeof(err)), 0);
    assert_string_equal(text, "");
    free(text);
    assert_int_equal(cli_home_read(folder, &text, err, sizeof(err)), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_where, setup, teardown),
        cmocka_unit_test_setup_teardown(test_make, setup, teardown),
        cmocka_unit_test_setup_teardown(test_server, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_is_whole, setup, teardown),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
