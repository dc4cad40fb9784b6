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
#include <time.h>

#include "tests/store_fixture.h"

/* What is too old, or too much, goes; nothing else does. */

#define DAY (24 * 60 * MINUTE)

static stamp now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (stamp)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t number_of(struct fixture *f, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    int64_t n = -1;

    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL))
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    if (sqlite3_step(st) == SQLITE_ROW)
        n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

static void wait_number(struct fixture *f, const char *sql, int64_t wanted)
{
    for (unsigned i = 0; number_of(f, sql) != wanted; i++) {
        if (i == 30000)
            fail_msg("%s: %lld, not %lld after half a minute", sql, (long long)number_of(f, sql),
                     (long long)wanted);
        fixture_nap(1);
    }
}

static void wait_removed(struct fixture *f, uint64_t wanted)
{
    struct store_health health;

    for (unsigned i = 0; store_health(f->store, &health), health.removed < wanted; i++) {
        assert_true(i < 30000);
        fixture_nap(1);
    }
    assert_int_equal(health.removed, wanted);
}

/* Session n finished n days ago. */
static struct row aged(unsigned n)
{
    struct row row = fixture_finished(n, REASON_OK);

    row.session.started = now() - n * DAY;
    row.session.finished = row.session.started + 1000;
    return row;
}

/* Everything that the options are not about, as old as it can be. */
static uint64_t put_keepers(struct fixture *f)
{
    struct row row = fixture_peer(1, "old");

    row.peer.first_seen = row.peer.last_seen = MINUTE;
    fixture_put(f, &row);
    row = fixture_session(9);
    row.session.started = MINUTE;
    return fixture_put(f, &row);
}

static void check_keepers(struct fixture *f)
{
    assert_int_equal(number_of(f, "SELECT count(*) FROM peers WHERE name='old'"), 1);
    assert_int_equal(number_of(f, "SELECT count(*) FROM sessions_active"), 1);
}

static void test_age(void **state)
{
    struct fixture *f = *state;
    struct store_retention wish = {.sessions = 90 * DAY + DAY / 2};
    struct row row;

    put_keepers(f);
    /* The order in which they came does not matter, nor does one of a clock that was wrong. */
    row = aged(0);
    row.session.started = row.session.finished = now() + 1000 * DAY;
    fixture_put(f, &row);
    for (unsigned n = 4000; n > 0; n--) {
        row = aged(n);
        fixture_put(f, &row);
    }
    fixture_wait(f, fixture_put(f, &row));
    store_retain(f->store, &wish);
    wait_number(f, "SELECT count(*) FROM sessions", 91);
    wait_removed(f, 4000 - 90);
    assert_true(number_of(f, "SELECT min(started) FROM sessions") >= now() - wish.sessions);
    check_keepers(f);
    /* A new value counts at once, and a longer one brings nothing back. */
    wish.sessions = 30 * DAY + DAY / 2;
    store_retain(f->store, &wish);
    wait_number(f, "SELECT count(*) FROM sessions", 31);
    wish.sessions = 0;
    store_retain(f->store, &wish);
    row = aged(2000);
    fixture_wait(f, fixture_put(f, &row));
    fixture_close(f);
    assert_int_equal(number_of(f, "SELECT count(*) FROM sessions"), 32);
    check_keepers(f);
    fixture_open(f);
}

static void test_rows(void **state)
{
    struct fixture *f = *state;
    struct store_retention wish = {.session_rows = 100};
    struct row row;

    put_keepers(f);
    for (unsigned n = 0; n < 3000; n++) {
        row = fixture_finished(n, REASON_OK);
        fixture_put(f, &row);
    }
    fixture_wait(f, fixture_put(f, &row));
    store_retain(f->store, &wish);
    wait_number(f, "SELECT count(*) FROM sessions", 100);
    /* The newest ones. */
    assert_true(number_of(f, "SELECT min(started) FROM sessions") == BEGUN + 2900 * MINUTE);
    check_keepers(f);
    /* Another store of the same file goes on counting where this one stood. */
    fixture_close(f);
    fixture_open(f);
    for (unsigned n = 3000; n < 3050; n++) {
        row = fixture_finished(n, REASON_OK);
        fixture_put(f, &row);
    }
    fixture_wait(f, fixture_put(f, &row));
    store_retain(f->store, &wish);
    wait_number(f, "SELECT count(*) FROM sessions", 100);
    assert_true(number_of(f, "SELECT max(started) FROM sessions") == BEGUN + 3049 * MINUTE);
}

static void put_nat(struct fixture *f, const char *address, stamp learnt, stamp seen)
{
    struct row row = {.kind = ROW_PROFILE};

    row.profile.address = endpoint_with_port(fixture_endpoint(address), 0);
    row.profile.learnt = learnt;
    fixture_put(f, &row);
    row = (struct row){.kind = ROW_OBSERVATION};
    row.observation.observation.observed = fixture_endpoint(address);
    row.observation.at = seen;
    fixture_wait(f, fixture_put(f, &row));
}

/* More addresses than a slice takes, old and new ones mixed. */
static void test_nats(void **state)
{
    struct fixture *f = *state;
    struct store_retention wish = {.observations = 10 * DAY, .nats = 20 * DAY};
    char address[64];

    put_keepers(f);
    for (unsigned n = 0; n < 200; n++) {
        snprintf(address, sizeof(address), "192.0.%u.%u", n % 3, n);
        put_nat(f, address, now() - (n % 2 ? 21 : 19) * DAY, now() - (n % 4 ? 11 : 9) * DAY);
    }
    put_nat(f, "2001:db8::1", now(), now() - 30 * DAY);
    store_retain(f->store, &wish);
    wait_number(f, "SELECT count(*) FROM nats", 101);
    wait_number(f, "SELECT count(*) FROM observations", 50);
    assert_int_equal(number_of(f, "SELECT count(*) FROM observations WHERE at<"
                                  "(SELECT max(at) FROM observations)-864000000000"),
                     0);
    check_keepers(f);
}

/* The file stays as large as it was at its fullest. */
static void test_file_size(void **state)
{
    struct fixture *f = *state;
    struct store_retention wish = {.session_rows = 500};
    struct store_health health;
    uint64_t full = 0;
    struct row row;

    store_retain(f->store, &wish);
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned n = 0; n < 1000; n++) {
            row = fixture_finished(round * 1000 + n, REASON_OK);
            fixture_put(f, &row);
        }
        fixture_wait(f, fixture_put(f, &row));
        store_retain(f->store, &wish);
        wait_number(f, "SELECT max(number)-min(number)+1 FROM sessions", 500);
        int64_t pages = number_of(f, "SELECT page_count FROM pragma_page_count");
        full = round == 3 ? (uint64_t)pages : full;
    }
    /* What became free is used again: 20,000 sessions take no more room than 4,000 did, nearly. */
    assert_true(number_of(f, "SELECT page_count FROM pragma_page_count") <= (int64_t)full * 5 / 4);
    for (unsigned i = 0; store_health(f->store, &health), health.bytes == 0; i++) {
        assert_true(i < 30000);
        fixture_nap(1);
    }
    assert_true(health.free_bytes < health.bytes);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_age),
        TEST(test_rows),
        TEST(test_nats),
        TEST(test_file_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
