/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/log.h"
#include "tests/fault_vfs.h"
#include "tests/store_fixture.h"

/* Every way in which a disk fails: sessions go on, nothing is acknowledged that is not stored, and
 * the store works again as soon as the disk does. */

static int setup(void **state)
{
    fault_vfs_install();
    int bad = fixture_setup(state);
    log_set_level((enum log_level)0); /* failures are what this is about */
    return bad;
}

static int teardown(void **state)
{
    atomic_store(&fault.write, 0);
    atomic_store(&fault.sync, 0);
    atomic_store(&fault.lock, 0);
    atomic_store(&fault.read, 0);
    atomic_store(&fault.hang, 0);
    return fixture_teardown(state);
}

static void wait_degraded(struct fixture *f, bool wanted, struct store_health *health)
{
    for (unsigned i = 0; store_health(f->store, health), health->degraded != wanted; i++) {
        if (i == 60000)
            fail_msg("still %s after a minute", wanted ? "well" : health->error);
        fixture_nap(1);
    }
    assert_int_equal(store_degraded(f->store), wanted);
}

static void go_through(struct fixture *f, atomic_int *which, int code, const char *text)
{
    struct row peer = fixture_peer(1, "one"), session = fixture_finished(1, REASON_OK);
    struct store_health health;

    fixture_wait(f, fixture_put(f, &peer));
    uint64_t before = store_committed(f->store);
    atomic_store(which, code);
    (void)fixture_put(f, &session);
    wait_degraded(f, true, &health);
    if (text)
        assert_non_null(strstr(health.error, text));
    assert_true(health.error[0]);
    assert_int_equal(store_committed(f->store), before);
    assert_true(store_has_room(f->store));
    session = fixture_finished(2, REASON_OK);
    uint64_t number = fixture_put(f, &session);
    assert_int_equal(store_pending(f->store), 2);
    atomic_store(which, 0);
    fixture_wait(f, number);
    wait_degraded(f, false, &health);
    assert_int_equal(health.lost_sessions, 0);
    assert_int_equal(fixture_count(f, (struct store_query){.what = QUERY_SESSIONS}, "sessions"), 2);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(fixture_count(f, (struct store_query){.what = QUERY_SESSIONS}, "sessions"), 2);
}

static void test_full(void **state)
{
    go_through(*state, &fault.write, SQLITE_FULL, "full");
}

static void test_write_error(void **state)
{
    go_through(*state, &fault.write, SQLITE_IOERR_WRITE, "I/O error");
}

static void test_read_only(void **state)
{
    go_through(*state, &fault.write, SQLITE_READONLY, "readonly");
}

static void test_sync_error(void **state)
{
    go_through(*state, &fault.sync, SQLITE_IOERR_FSYNC, "I/O error");
}

static void test_busy(void **state)
{
    go_through(*state, &fault.lock, SQLITE_BUSY, "locked");
}

static void test_corrupt(void **state)
{
    go_through(*state, &fault.write, SQLITE_CORRUPT, "malformed");
}

/* A disk that does not answer is in trouble before it says so. */
static void test_hang(void **state)
{
    go_through(*state, &fault.hang, 1, "has not answered");
}

/* Queries say what is wrong, and the store lives on. */
static void test_reader(void **state)
{
    struct fixture *f = *state;
    struct row row;
    uint64_t last = 0;

    for (unsigned n = 0; n < 3000; n++) {
        row = fixture_finished(n, REASON_OK);
        last = fixture_put(f, &row);
    }
    fixture_wait(f, last);
    fixture_close(f);
    fixture_open(f);
    atomic_store(&fault.read, SQLITE_IOERR_READ);
    json_t *answer = fixture_ask(f, (struct store_query){.what = QUERY_SESSIONS});
    assert_true(json_is_false(json_object_get(answer, "ok")));
    assert_non_null(strstr(json_string_value(json_object_get(answer, "error")), "I/O error"));
    json_decref(answer);
    atomic_store(&fault.read, 0);
    assert_int_equal(fixture_count(f, (struct store_query){.what = QUERY_SESSIONS}, "sessions"),
                     1000);
}

/* Rows that go into a file that nobody finds any more are not stored. */
static void test_moved(void **state)
{
    struct fixture *f = *state;
    struct row row = fixture_finished(1, REASON_OK);
    struct store_health health;
    char away[128];

    fixture_wait(f, fixture_put(f, &row));
    uint64_t before = store_committed(f->store);
    snprintf(away, sizeof(away), "%s.away", f->path);
    assert_int_equal(rename(f->path, away), 0);
    row = fixture_finished(2, REASON_OK);
    uint64_t number = fixture_put(f, &row);
    wait_degraded(f, true, &health);
    assert_non_null(strstr(health.error, "removed or replaced"));
    assert_int_equal(store_committed(f->store), before);
    assert_int_equal(rename(away, f->path), 0);
    fixture_wait(f, number);
    wait_degraded(f, false, &health);
    assert_int_equal(fixture_count(f, (struct store_query){.what = QUERY_SESSIONS}, "sessions"), 2);
}

/* The same for the log; a restart saves what it holds. */
static void test_log_removed(void **state)
{
    struct fixture *f = *state;
    struct row row = fixture_finished(1, REASON_OK);
    struct store_health health;
    char log[128];

    fixture_wait(f, fixture_put(f, &row));
    uint64_t before = store_committed(f->store);
    snprintf(log, sizeof(log), "%s-wal", f->path);
    assert_int_equal(unlink(log), 0);
    row = fixture_finished(2, REASON_OK);
    fixture_put(f, &row);
    wait_degraded(f, true, &health);
    assert_non_null(strstr(health.error, "-wal"));
    assert_int_equal(store_committed(f->store), before);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(fixture_count(f, (struct store_query){.what = QUERY_SESSIONS}, "sessions"), 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_full),  TEST(test_write_error), TEST(test_read_only), TEST(test_sync_error),
        TEST(test_busy),  TEST(test_corrupt),     TEST(test_hang),      TEST(test_reader),
        TEST(test_moved), TEST(test_log_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
