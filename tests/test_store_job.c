/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/store_fixture.h"

/* Check and backup, beside a store that works. */

static struct store_query backup_query(const char *name, bool force)
{
    struct store_query q = {.what = QUERY_BACKUP, .force = force};

    snprintf(q.name, sizeof(q.name), "%s", name);
    return q;
}

static void in_backups(const struct fixture *f, const char *name, char path[256])
{
    snprintf(path, 256, "%s/backups%s%s", f->directory, *name ? "/" : "", name);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[256], file[600];
    DIR *dir;

    in_backups(f, "", path);
    unlink(path); /* a link */
    dir = opendir(path);
    /* cppcheck-suppress readdirCalled ; one thread */
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.' && unlink(file))
            rmdir(file);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
    return fixture_teardown(state);
}

static void fill(struct fixture *f, unsigned count)
{
    uint64_t last = 0;

    for (unsigned n = 0; n < count; n++) {
        struct row row = fixture_finished(n, REASON_OK);
        last = fixture_put(f, &row);
    }
    fixture_wait(f, last);
}

static bool succeeds(struct fixture *f, struct store_query q)
{
    json_t *answer = fixture_ask(f, q);
    bool ok = json_is_true(json_object_get(answer, "ok"));

    snprintf(fixture_err, sizeof(fixture_err), "%s",
             ok ? "" : json_string_value(json_object_get(answer, "error")));
    json_decref(answer);
    return ok;
}

static void test_check(void **state)
{
    struct fixture *f = *state;
    struct store_query q = {.what = QUERY_CHECK};

    fill(f, 500);
    if (!succeeds(f, q))
        fail_msg("%s", fixture_err);
    q.quick = true;
    assert_true(succeeds(f, q));
}

/* A page in the middle of the sessions goes bad on the disk. */
static void test_check_damaged(void **state)
{
    struct fixture *f = *state;
    struct store_query q = {.what = QUERY_CHECK};
    char junk[4096];
    struct stat st;

    fill(f, 3000);
    fixture_close(f);
    fixture_open(f);
    memset(junk, 0xa5, sizeof(junk));
    int fd = open(f->path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(pwrite(fd, junk, sizeof(junk), st.st_size / 4096 / 2 * 4096), sizeof(junk));
    /* Not closed before the store: that would drop SQLite's locks. */
    assert_false(succeeds(f, q));
    assert_non_null(strstr(fixture_err, "damaged"));
    assert_non_null(strstr(fixture_err, "restore a backup"));
    /* Neither does a damaged file become a backup. */
    assert_false(succeeds(f, backup_query("bad.db", false)));
    assert_non_null(strstr(fixture_err, "there is no backup"));
    char path[256];
    in_backups(f, "bad.db", path);
    assert_int_equal(access(path, F_OK), -1);
    in_backups(f, "bad.db.partial", path);
    assert_int_equal(access(path, F_OK), -1);
    fixture_close(f);
    close(fd);
    f->store = NULL;
}

static int64_t count_in(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    int64_t n = -1;

    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

/* Rows come in all the while; the copy is one moment's, whole, private, and a store opens it. */
static void test_backup(void **state)
{
    struct fixture *f = *state;
    struct row row = fixture_peer(1, "one");
    struct store_query q = backup_query("first.db", false);
    char path[256], *text = NULL;
    uint64_t ticket, last = 0;
    struct stat st;

    fixture_put(f, &row);
    fill(f, 4000);
    q.ticket = 9;
    assert_int_equal(store_ask(f->store, &q), 0);
    for (unsigned n = 4000; store_next_answer(f->store, &ticket, &text) == 0; n++) {
        row = fixture_finished(n, REASON_OK);
        last = store_put(f->store, &row);
        if (n % 64 == 0 && last > 0)
            fixture_wait(f, last);
    }
    if (!strstr(text, "\"ok\":true"))
        fail_msg("%s", text);
    free(text);
    in_backups(f, "first.db", path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_nlink, 1);
    int64_t sessions = count_in(path, "SELECT count(*) FROM sessions");
    assert_true(sessions >= 4000);
    assert_int_equal(count_in(path, "SELECT max(number) FROM sessions"), sessions);
    assert_int_equal(count_in(path, "SELECT count(*) FROM pragma_integrity_check WHERE"
                                    " integrity_check='ok'"),
                     1);
    /* A daemon starts from it. */
    fixture_close(f);
    assert_int_equal(rename(path, f->path), 0);
    fixture_open(f);
    fixture_load(f);
    assert_int_equal(fixture_loaded.peers, 1);
    assert_int_equal(fixture_count(f, (struct store_query){.what = QUERY_SESSIONS}, "sessions"),
                     1000);
    fill(f, 10);
}

static void test_backup_names(void **state)
{
    static const char *const bad[] = {"../key",    "/etc/passwd", "a/b",  ".hidden", "-f",
                                      "x.partial", "a b",         "a\nb", "..",      "caf\xc3\xa9"};
    struct fixture *f = *state;
    char path[256], long_name[STORE_NAME_SIZE + 1];
    struct stat st;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(store_backup_name(bad[i]));
        assert_false(succeeds(f, backup_query(bad[i], true)));
        assert_non_null(strstr(fixture_err, "is no name"));
    }
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_false(store_backup_name(long_name));
    assert_true(store_backup_name(long_name + 1));
    /* Made of the time; a second one does not take the place of the first. */
    assert_true(succeeds(f, backup_query("", false)));
    assert_true(succeeds(f, backup_query("same", false)));
    assert_false(succeeds(f, backup_query("same", false)));
    assert_non_null(strstr(fixture_err, "--force"));
    in_backups(f, "same", path);
    assert_int_equal(stat(path, &st), 0);
    ino_t before = st.st_ino;
    assert_true(succeeds(f, backup_query("same", true)));
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_ino != before);
    in_backups(f, "directory", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(succeeds(f, backup_query("directory", true)));
}

/* Links and strangers' directories are not followed. */
static void test_backup_links(void **state)
{
    struct fixture *f = *state;
    char directory[256], path[256], key[128];
    struct stat st;

    snprintf(key, sizeof(key), "%s/key", f->directory);
    int fd = open(key, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "secret", 6), 6);
    close(fd);
    in_backups(f, "", directory);
    assert_int_equal(symlink(f->directory, directory), 0);
    assert_false(succeeds(f, backup_query("key", true)));
    assert_int_equal(unlink(directory), 0);
    /* A link under the backup's name, or where the copy is made, is no way out either. */
    assert_int_equal(mkdir(directory, 0700), 0);
    in_backups(f, "x", path);
    assert_int_equal(symlink(key, path), 0);
    assert_false(succeeds(f, backup_query("x", true)));
    in_backups(f, "y.partial", path);
    assert_int_equal(symlink(key, path), 0);
    assert_true(succeeds(f, backup_query("y", false)));
    assert_int_equal(chmod(directory, 0777), 0);
    assert_false(succeeds(f, backup_query("z", false)));
    assert_non_null(strstr(fixture_err, "nobody else may write there"));
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_size, 6);
    unlink(key);
}

/* Two are asked for, and the first is interrupted. */
static void ask_two(struct fixture *f, bool *refused, bool *interrupted)
{
    struct store_query first = {.what = QUERY_CHECK, .ticket = 1},
                       second = {.what = QUERY_CHECK, .ticket = 2};
    char *text = NULL;
    uint64_t ticket;

    assert_int_equal(store_ask(f->store, &first), 0);
    assert_int_equal(store_ask(f->store, &second), 0);
    store_cancel(f->store, 7); /* nobody's */
    store_cancel(f->store, 1);
    for (unsigned answers = 0; answers < 2;) {
        if (store_next_answer(f->store, &ticket, &text) == 0) {
            fixture_nap(1);
            continue;
        }
        answers++;
        *refused |= ticket == 2 && strstr(text, "one at a time");
        *interrupted |= ticket == 1 && strstr(text, "interrupted");
        free(text);
    }
}

/* One at a time; whoever asked may go, and the store may close meanwhile. */
static void test_interrupted(void **state)
{
    struct fixture *f = *state;
    struct store_query q = {.what = QUERY_CHECK, .ticket = 1};
    bool refused = false, interrupted = false;

    fill(f, 20000);
    /* On a busy machine the first may have ended before the second is asked for. */
    for (unsigned i = 0; i < 1000 && !(refused && interrupted); i++)
        ask_two(f, &refused, &interrupted);
    assert_true(refused);
    assert_true(interrupted);
    assert_int_equal(store_ask(f->store, &q), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_check),        TEST(test_check_damaged), TEST(test_backup),
        TEST(test_backup_names), TEST(test_backup_links),  TEST(test_interrupted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
