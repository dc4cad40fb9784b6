/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/keyfile.h"

/* Every test has an empty folder of its own. */
static char folder[64], path[128], err[512];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/tryst-keyfile-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/key", folder);
    err[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder); /* fails if a temporary file was left behind */
}

static void put_file(const char *content, size_t len, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static struct key_pair some_key(uint64_t seed)
{
    struct rng_seeded s;
    struct rng rng = rng_from_seed(&s, seed);
    struct key_pair key;

    key_generate(&rng, &key);
    return key;
}

static void test_create_and_load(void **state)
{
    struct key_pair key = some_key(1), back;
    struct stat st;

    (void)state;
    assert_int_equal(keyfile_create(path, &key, err, sizeof(err)), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 45);
    assert_int_equal(keyfile_load(path, &back, err, sizeof(err)), 0);
    assert_memory_equal(&key, &back, sizeof(key));
}

static void test_any_umask(void **state)
{
    static const mode_t masks[] = {0, 0777};
    struct key_pair key = some_key(1);

    (void)state;
    for (int i = 0; i < 2; i++) {
        mode_t old = umask(masks[i]);
        int result = keyfile_create(path, &key, err, sizeof(err));
        struct stat st;
        umask(old);
        assert_int_equal(result, 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        unlink(path);
    }
}

static void test_never_overwrites(void **state)
{
    struct key_pair first = some_key(1), second = some_key(2), back;

    (void)state;
    assert_int_equal(keyfile_create(path, &first, err, sizeof(err)), 0);
    assert_int_equal(keyfile_create(path, &second, err, sizeof(err)), -1);
    assert_non_null(strstr(err, path));
    assert_int_equal(keyfile_load(path, &back, err, sizeof(err)), 0);
    assert_memory_equal(&first, &back, sizeof(first));
}

static void test_create_without_folder(void **state)
{
    struct key_pair key = some_key(1);

    (void)state;
    assert_int_equal(keyfile_create("/nonexistent/folder/key", &key, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "/nonexistent/folder/key"));
}

static void test_modes(void **state)
{
    static const char content[] = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n";
    struct key_pair key;

    (void)state;
    for (mode_t mode = 0400; mode <= 0677; mode++) {
        if (!(mode & 0400))
            continue;
        put_file(content, strlen(content), mode);
        assert_int_equal(keyfile_load(path, &key, err, sizeof(err)), mode & 077 ? -1 : 0);
        if (mode & 077) {
            char advice[160];
            snprintf(advice, sizeof(advice), "chmod 600 %s", path);
            assert_non_null(strstr(err, advice));
        }
        unlink(path);
    }
}

static const struct {
    const char *content;
    int good;
} contents[] = {
    {"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=", 1},
    {"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n", 1},
    {"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\r\n", 1},
    {"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo= \n\n", 1},
    {"", 0},
    {"\n", 0},
    {"\ndwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n", 0},
    {"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LC", 0},
    {"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\nmore\n", 0},
    {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 0},
};

static void test_contents(void **state)
{
    struct key_pair key;

    (void)state;
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        put_file(contents[i].content, strlen(contents[i].content), 0600);
        if (keyfile_load(path, &key, err, sizeof(err)) != (contents[i].good ? 0 : -1))
            fail_msg("\"%s\": %s", contents[i].content, err);
        if (!contents[i].good)
            assert_non_null(strstr(err, path));
    }
}

static void test_sizes(void **state)
{
    char content[200];
    struct key_pair key;

    (void)state;
    memset(content, '\n', sizeof(content));
    memcpy(content, "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=", 44);
    for (size_t size = 127; size <= 129; size++) {
        put_file(content, size, 0600);
        assert_int_equal(keyfile_load(path, &key, err, sizeof(err)), size <= 128 ? 0 : -1);
    }
    content[44] = '\0'; /* a NUL does not end the line */
    content[45] = 'x';
    put_file(content, 46, 0600);
    assert_int_equal(keyfile_load(path, &key, err, sizeof(err)), -1);
}

static void test_not_a_regular_file(void **state)
{
    char other[128];
    struct key_pair key = some_key(1);

    (void)state;
    assert_int_equal(keyfile_load(folder, &key, err, sizeof(err)), -1);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(keyfile_load(path, &key, err, sizeof(err)), -1);
    unlink(path);

    snprintf(other, sizeof(other), "%s/other", folder);
    assert_int_equal(keyfile_create(other, &key, err, sizeof(err)), 0);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(keyfile_load(path, &key, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "symbolic link"));
    /* Nor is anything written through one, dangling or not. */
    assert_int_equal(keyfile_create(path, &key, err, sizeof(err)), -1);
    unlink(other);
    assert_int_equal(keyfile_create(path, &key, err, sizeof(err)), -1);
    assert_int_equal(access(other, F_OK), -1);
}

static void test_missing(void **state)
{
    struct key_pair key;

    (void)state;
    assert_int_equal(keyfile_load(path, &key, err, sizeof(err)), -1);
    assert_non_null(strstr(err, path));
}

static void test_owner(void **state)
{
    struct key_pair key = some_key(1);
    int status;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(keyfile_create(path, &key, err, sizeof(err)), 0);
    assert_int_equal(chown(path, 1234, 1234), 0);
    assert_int_equal(keyfile_load(path, &key, err, sizeof(err)), 0); /* root may read any */
    assert_int_equal(chmod(folder, 0755), 0);

    /* As that file's owner it loads; as anybody else it is refused, long before its content. */
    for (uid_t uid = 1234; uid <= 1235; uid++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(setuid(uid) != 0 ? 9 : keyfile_load(path, &key, err, sizeof(err)) == 0 ? 0 : 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(WEXITSTATUS(status), uid == 1234 ? 0 : 1);
    }
}

static void test_load_or_create(void **state)
{
    struct rng_seeded s;
    struct rng rng = rng_from_seed(&s, 3);
    struct key_pair first, second;
    int made = -1;

    (void)state;
    assert_int_equal(keyfile_load_or_create(path, &rng, &first, &made, err, sizeof(err)), 0);
    assert_int_equal(made, 1);
    assert_int_equal(keyfile_load_or_create(path, &rng, &second, &made, err, sizeof(err)), 0);
    assert_int_equal(made, 0);
    assert_memory_equal(&first, &second, sizeof(first));

    /* A bad file is reported, never replaced. */
    put_file("garbage\n", 8, 0600);
    assert_int_equal(keyfile_load_or_create(path, &rng, &second, &made, err, sizeof(err)), -1);
    assert_int_equal(made, 0);
    assert_int_equal(keyfile_load(path, &second, err, sizeof(err)), -1);
}

/* Several processes start at once: one key comes into being, and all of them use it. */
static void test_race(void **state)
{
    int pipes[2];
    uint8_t keys[8][KEY_SIZE];

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    for (int i = 0; i < 8; i++) {
        if (fork() == 0) {
            struct rng rng = rng_system();
            struct key_pair key;
            int made;
            if (keyfile_load_or_create(path, &rng, &key, &made, err, sizeof(err)))
                _exit(1);
            _exit(write(pipes[1], key.public, KEY_SIZE) == KEY_SIZE ? 0 : 1);
        }
    }
    for (int i = 0; i < 8; i++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(read(pipes[0], keys[i], KEY_SIZE), KEY_SIZE);
        assert_memory_equal(keys[i], keys[0], KEY_SIZE);
    }
    close(pipes[0]);
    close(pipes[1]);
}

static void test_error_text_is_bounded(void **state)
{
    struct key_pair key;
    char small[8];

    (void)state;
    memset(small, '#', sizeof(small));
    assert_int_equal(keyfile_load(path, &key, small, 4), -1);
    assert_int_equal(strlen(small), 3);
    assert_int_equal(small[4], '#');
    assert_int_equal(keyfile_load(path, &key, NULL, 0), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create_and_load),
        TEST(test_any_umask),
        TEST(test_never_overwrites),
        TEST(test_create_without_folder),
        TEST(test_modes),
        TEST(test_contents),
        TEST(test_sizes),
        TEST(test_not_a_regular_file),
        TEST(test_missing),
        TEST(test_owner),
        TEST(test_load_or_create),
        TEST(test_race),
        TEST(test_error_text_is_bounded),
    };

    if (sodium_init() < 0)
        return 99;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
