/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/log.h"
#include "tests/store_fixture.h"

/* Rows that cannot be written, disks that fail, files that are damaged, processes that are killed.
 */

/* A row that breaks a rule is left out; what comes before and after it is not. */
static void test_poison(void **state)
{
    struct fixture *f = *state;
    struct store_health health;
    struct row row = fixture_peer(1, "one");

    log_set_level(LOG_LEVEL_ERROR);
    fixture_put(f, &row);
    memset(&row, 0, sizeof(row));
    row.kind = ROW_ACCESS;
    row.access.verdict = 7;
    fixture_put(f, &row);
    row.kind = (enum row_kind)77;
    fixture_put(f, &row);
    row = fixture_peer(2, "two");
    fixture_wait(f, fixture_put(f, &row));
    store_health(f->store, &health);
    assert_false(health.degraded);
    assert_int_equal(health.rows, 2);
    assert_int_equal(health.dropped, 2);
    fixture_load(f);
    assert_int_equal(fixture_loaded.peers, 2);
    assert_int_equal(fixture_loaded.accesses, 0);
}

/* Texts that are not what they should be do no harm on their way in and out. */
static void test_hostile_texts(void **state)
{
    struct fixture *f = *state;
    struct row row = fixture_finished(5, REASON_OK);

    memset(row.session.requester_name, 'x', sizeof(row.session.requester_name));
    memset(row.session.target_name, 0xff, sizeof(row.session.target_name));
    memset(row.session.text, '"', sizeof(row.session.text));
    memset(row.session.plan, '[', sizeof(row.session.plan));
    row.session.chance = -1.0 / 0.0;
    row.session.finished = INT64_MAX;
    row.session.reason = 255;
    row.session.nat[0].mapping = 255;
    fixture_put(f, &row);
    row = fixture_peer(5, "'; DROP TABLE peers; --");
    fixture_wait(f, fixture_put(f, &row));
    json_t *answer = fixture_ask(f, fixture_session_query("0500"));
    assert_true(json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);
    assert_int_equal(fixture_count(f, (struct store_query){.what = QUERY_PEERS}, "peers"), 1);
    struct store_query q = {.what = QUERY_PEERS, .peer = "' OR 1=1"};
    answer = fixture_ask(f, q);
    assert_true(json_is_false(json_object_get(answer, "ok")));
    json_decref(answer);
}

static void test_too_many_queries(void **state)
{
    struct fixture *f = *state;
    struct store_query q = {.what = QUERY_SESSIONS};
    unsigned asked = 0, answered = 0;
    uint64_t ticket;
    char *text;

    while (asked < 1000 && store_ask(f->store, &q) == 0)
        asked++;
    assert_in_range(asked, 1, 999);
    while (answered < asked) {
        if (store_next_answer(f->store, &ticket, &text) == 1) {
            free(text);
            answered++;
        }
    }
    assert_int_equal(store_ask(f->store, &q), 0);
}

static sqlite3 *lock_file(const struct fixture *f)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static bool wait_degraded(struct fixture *f, bool wanted, struct store_health *health)
{
    for (unsigned i = 0; i < 30000; i++) {
        store_health(f->store, health);
        if (health->degraded == wanted)
            return true;
        fixture_nap(1);
    }
    return false;
}

static stamp wall_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (stamp)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* One gap, of three sessions and a profile, between then and now. */
static void check_gap(struct fixture *f, stamp then)
{
    sqlite3 *db;
    sqlite3_stmt *st;

    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT sessions,observations,profiles,since,until,why,"
                                        "(SELECT count(*) FROM gap_overview) FROM gaps",
                                        -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(st, 0), 3);
    assert_int_equal(sqlite3_column_int(st, 1), 0);
    assert_int_equal(sqlite3_column_int(st, 2), 1);
    assert_true(sqlite3_column_int64(st, 3) >= then);
    assert_true(sqlite3_column_int64(st, 4) >= sqlite3_column_int64(st, 3));
    assert_true(sqlite3_column_int64(st, 4) <= wall_clock());
    assert_non_null(strstr((const char *)sqlite3_column_text(st, 5), "locked"));
    assert_int_equal(sqlite3_column_int(st, 6), 1);
    sqlite3_finalize(st);
    sqlite3_close(db);
}

/* Puts a row as often as it is taken. Returns how often, and the last one's number. */
static uint64_t put_all(struct fixture *f, const struct row *row, uint64_t *last)
{
    uint64_t count = 0;

    for (uint64_t n; (n = store_put(f->store, row)) > 0; count++)
        *last = n;
    return count;
}

/* While somebody holds the file, rows queue up to the bound, in the order of their importance; what
 * does not fit is counted, and the file tells of it afterwards. */
static void test_locked(void **state)
{
    struct fixture *f = *state;
    struct store_health health;
    sqlite3 *db = lock_file(f);
    struct row row = fixture_peer(1, "one");
    uint64_t last = fixture_put(f, &row);
    stamp before = 0;

    log_set_level((enum log_level)0);
    assert_true(store_has_room(f->store));
    assert_true(wait_degraded(f, true, &health));
    assert_non_null(strstr(health.error, "locked"));
    assert_int_equal(store_committed(f->store), 0);
    assert_true(store_degraded(f->store));
    assert_in_range(put_all(f, &row, &last), 16000, 17000);
    struct row start = fixture_session(1), profile = {.kind = ROW_PROFILE};
    assert_int_equal(store_put(f->store, &start), 0);
    assert_int_equal(store_put(f->store, &profile), 0);
    /* Peers are introduced all the same. */
    assert_true(store_has_room(f->store));
    row = fixture_finished(1, REASON_OK);
    assert_in_range(put_all(f, &row, &last), 48000, 50000);
    assert_int_equal(store_pending(f->store), last);
    assert_true(store_has_room(f->store));
    before = wall_clock();
    for (unsigned i = 0; i < 3; i++)
        store_lose(f->store, &row);
    store_lose(f->store, &start);
    store_lose(f->store, &profile);
    store_health(f->store, &health);
    assert_int_equal(health.lost_sessions, 3);
    assert_int_equal(health.lost_others, 1);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(db);
    fixture_wait(f, last);
    assert_true(wait_degraded(f, false, &health));
    assert_int_equal(health.rows, last);
    assert_int_equal(histogram_total(&health.commit), health.commits);
    assert_int_equal(health.lost_sessions, 3);
    assert_int_equal(store_pending(f->store), 0);
    assert_false(store_degraded(f->store));
    check_gap(f, before);
}

/* A disk that is full: no file may grow. */
static void test_full(void **state)
{
    struct fixture *f = *state;
    struct rlimit limit, before;
    struct store_health health;
    struct row row;
    uint64_t last = 0;

    log_set_level((enum log_level)0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 65536;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (unsigned n = 0; n < 1000; n++) {
        row = fixture_finished(n, REASON_OK);
        last = fixture_put(f, &row);
    }
    bool degraded = wait_degraded(f, true, &health);
    uint64_t committed = store_committed(f->store);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(degraded);
    assert_true(committed < last);
    fixture_wait(f, last);
    assert_int_equal(fixture_count(f, (struct store_query){.what = QUERY_SESSIONS}, "sessions"),
                     1000);
}

/* The end comes while the disk is away: it is waited for a while, and then the process ends all the
 * same. */
static void test_close_while_locked(void **state)
{
    struct fixture *f = *state;
    struct row row = fixture_peer(1, "one");
    sqlite3 *db = lock_file(f);
    struct store_health health;

    log_set_level((enum log_level)0);
    fixture_put(f, &row);
    assert_true(wait_degraded(f, true, &health));
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(db);
    fixture_close(f);
    fixture_open(f);
    fixture_load(f);
    assert_int_equal(fixture_loaded.peers, 1);
}

static void overwrite(const char *path, off_t at, const char *bytes, size_t len)
{
    int fd = open(path, O_RDWR | O_CREAT, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
    close(fd);
}

static void test_damaged(void **state)
{
    struct fixture *f = *state;
    char junk[4096];

    fixture_close(f);
    memset(junk, 0xa5, sizeof(junk));
    overwrite(f->path, 4096, junk, sizeof(junk));
    assert_null(store_open(f->path, NULL, NULL, fixture_err, sizeof(fixture_err)));
    assert_non_null(strstr(fixture_err, f->path));
    assert_non_null(strstr(fixture_err, "damaged"));
    assert_int_equal(truncate(f->path, 0), 0);
    overwrite(f->path, 0, "this is a text file, not a database file at all\n", 48);
    assert_null(store_open(f->path, NULL, NULL, fixture_err, sizeof(fixture_err)));
    assert_non_null(strstr(fixture_err, "not a database"));
    /* It is left as it is. */
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_size, 48);
}

static void test_newer(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db;

    fixture_close(f);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=999", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_null(store_open(f->path, NULL, NULL, fixture_err, sizeof(fixture_err)));
    assert_non_null(strstr(fixture_err, "newer trystd"));
}

static void test_nowhere(void **state)
{
    (void)state;
    assert_null(store_open("/nonexistent/tryst.db", NULL, NULL, fixture_err, sizeof(fixture_err)));
    assert_non_null(strstr(fixture_err, "/nonexistent/tryst.db"));
}

/* --- kill -9 --- */

struct progress {
    atomic_uint finished; /* sessions whose outcome the store has acknowledged */
    atomic_uint begun;
};

/* Writes sessions as fast as it can and notes what was acknowledged, until it is killed. */
static void write_for_ever(const char *path, struct progress *shared)
{
    struct store *s = store_open(path, NULL, NULL, fixture_err, sizeof(fixture_err));
    struct row row;
    uint64_t numbers[64];

    if (!s)
        _exit(1);
    for (unsigned n = 0;; n += 64) {
        for (unsigned i = 0; i < 64; i++) {
            row = fixture_session(n + i);
            store_put(s, &row);
            row = fixture_finished(n + i, REASON_OK);
            numbers[i] = store_put(s, &row);
        }
        row = fixture_session(n + 64 + 0x800000);
        store_put(s, &row); /* never ends */
        atomic_store(&shared->begun, n + 64);
        while (store_committed(s) < numbers[63])
            ;
        atomic_store(&shared->finished, n + 64);
    }
}

/* Every acknowledged session is there, none is under way, and the file is sound. */
static void check_killed(struct fixture *f, unsigned finished)
{
    static const char sql[] = "SELECT (SELECT count(*) FROM sessions WHERE reason=0),"
                              "(SELECT count(*) FROM sessions_active),"
                              "(SELECT * FROM pragma_integrity_check)";
    sqlite3 *db;
    sqlite3_stmt *st;

    fixture_open(f);
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_true((unsigned)sqlite3_column_int(st, 0) >= finished);
    assert_int_equal(sqlite3_column_int(st, 1), 0);
    assert_string_equal((const char *)sqlite3_column_text(st, 2), "ok");
    sqlite3_finalize(st);
    sqlite3_close(db);
    fixture_close(f);
}

static void test_kill(void **state)
{
    struct fixture *f = *state;
    struct progress *shared =
        /* cppcheck-suppress invalidFunctionArg ; no descriptor */
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned total = 0;

    assert_true(shared != MAP_FAILED);
    fixture_close(f);
    log_set_level(LOG_LEVEL_ERROR);
    for (unsigned round = 0; round < 8; round++) {
        unlink(f->path);
        atomic_store(&shared->finished, 0);
        pid_t child = fork();
        if (child == 0)
            write_for_ever(f->path, shared);
        assert_true(child > 0);
        while (atomic_load(&shared->finished) == 0)
            fixture_nap(1);
        fixture_nap(round * 13);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        check_killed(f, atomic_load(&shared->finished));
        total += atomic_load(&shared->finished);
    }
    print_message("%u acknowledged sessions survived 8 kills\n", total);
    munmap(shared, sizeof(*shared));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_poison),  TEST(test_hostile_texts), TEST(test_too_many_queries),
        TEST(test_locked),  TEST(test_full),          TEST(test_close_while_locked),
        TEST(test_damaged), TEST(test_newer),         TEST(test_nowhere),
        TEST(test_kill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
