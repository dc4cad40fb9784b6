/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "server/store_schema.h"
#include "tests/store_fixture.h"

/* What goes into the store comes out of it: rows, queries, views. */

static void test_file(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_null(store_open(f->path, NULL, NULL, fixture_err, sizeof(fixture_err)));
    assert_non_null(strstr(fixture_err, "another trystd"));
    fixture_close(f);
    fixture_open(f);
}

static struct row profile_row(void)
{
    struct row row;

    memset(&row, 0, sizeof(row));
    row.kind = ROW_PROFILE;
    profile_init(&row.profile.profile);
    row.profile.address = fixture_endpoint("2001:db8::5");
    row.profile.address.port = 0;
    row.profile.learnt = BEGUN;
    row.profile.profile.nat = (struct nat_summary){.mapping = NAT_APDM,
                                                   .filtering = NAT_ADF,
                                                   .allocation = NAT_COUNTER,
                                                   .refusal = NAT_ICMP,
                                                   .pooling = NAT_PAIRED,
                                                   .confidence = 88,
                                                   .delta = -3,
                                                   .drift = 4000000000,
                                                   .block_low = 1024,
                                                   .block_high = 65535,
                                                   .samples = 77,
                                                   .features = NAT_FEATURE_DOUBLE};
    row.profile.filtering_learnt = BEGUN + 1;
    row.profile.profile.filtering_peer = UINT64_MAX;
    row.profile.profile.pooling_peer = 1;
    row.profile.simultaneous_learnt = BEGUN + 2;
    row.profile.profile.simultaneous_peer = 2;
    row.profile.profile.last_port = 65535;
    row.profile.profile.low = 1;
    row.profile.profile.high = 65534;
    row.profile.profile.weight = 0.25;
    row.profile.profile.drift_sum = 1e-9;
    row.profile.profile.drift_seconds = 1e12;
    row.profile.profile.hits = 3;
    row.profile.profile.misses = 4000000000;
    row.profile.profile.one_address = true;
    return row;
}

/* What is kept in memory comes back as it went in. */
static void test_load(void **state)
{
    struct fixture *f = *state;
    struct row peer = fixture_peer(1, "home"), profile = profile_row(), invite, access;
    stamp now = (stamp)time(NULL) * 1000000;

    memset(&invite, 0, sizeof(invite));
    invite.kind = ROW_INVITE;
    memset(invite.invite.token_hash, 0xab, sizeof(invite.invite.token_hash));
    snprintf(invite.invite.name, sizeof(invite.invite.name), "guest");
    invite.invite.created = now;
    invite.invite.expires = now + 60 * MINUTE;
    memset(&access, 0, sizeof(access));
    access.kind = ROW_ACCESS;
    assert_int_equal(access_parse("2001:db8::/32", &access.access.subject), ACCESS_PARSED);
    access.access.verdict = ACCESS_BANNED;
    access.access.created = now;
    access.access.expires = now + 60 * MINUTE;
    snprintf(access.access.reason, sizeof(access.access.reason), "scans ports");
    fixture_put(f, &peer);
    fixture_put(f, &profile);
    fixture_put(f, &invite);
    fixture_wait(f, fixture_put(f, &access));

    fixture_load(f);
    assert_int_equal(fixture_loaded.peers, 1);
    assert_memory_equal(&fixture_loaded.peer, &peer.peer, sizeof(peer.peer));
    assert_int_equal(fixture_loaded.profiles, 1);
    assert_memory_equal(&fixture_loaded.profile.profile.nat, &profile.profile.profile.nat,
                        sizeof(struct nat_summary));
    assert_true(endpoint_equal(&fixture_loaded.profile.address, &profile.profile.address));
    assert_true(fixture_loaded.profile.learnt == BEGUN &&
                fixture_loaded.profile.refusal_learnt == 0);
    assert_true(fixture_loaded.profile.filtering_learnt == BEGUN + 1);
    assert_true(fixture_loaded.profile.profile.filtering_peer == UINT64_MAX);
    assert_true(fixture_loaded.profile.profile.pooling_peer == 1);
    assert_true(fixture_loaded.profile.simultaneous_learnt == BEGUN + 2);
    assert_true(fixture_loaded.profile.profile.simultaneous_peer == 2);
    assert_true(fixture_loaded.profile.profile.last_port == 65535 &&
                fixture_loaded.profile.profile.low == 1);
    assert_true(fixture_loaded.profile.profile.high == 65534);
    assert_memory_equal(&fixture_loaded.profile.profile.drift_seconds,
                        &profile.profile.profile.drift_seconds, sizeof(double));
    assert_true(fixture_loaded.profile.profile.misses == 4000000000);
    assert_true(fixture_loaded.profile.profile.one_address);
    assert_int_equal(fixture_loaded.invites, 1);
    assert_memory_equal(&fixture_loaded.invite, &invite.invite, sizeof(invite.invite));
    assert_int_equal(fixture_loaded.accesses, 1);
    assert_memory_equal(&fixture_loaded.access, &access.access, sizeof(access.access));

    /* Used and expired invites are not for the loop; an entry taken back is gone. */
    invite.invite.used = now;
    fixture_put(f, &invite);
    memset(invite.invite.token_hash, 0xac, sizeof(invite.invite.token_hash));
    invite.invite.used = 0;
    invite.invite.expires = now - MINUTE;
    fixture_put(f, &invite);
    access.access.removed = true;
    fixture_wait(f, fixture_put(f, &access));
    fixture_load(f);
    assert_int_equal(fixture_loaded.invites, 0);
    assert_int_equal(fixture_loaded.accesses, 0);
}

#define NAT_OF_VERSION_1                                                                           \
    "INSERT INTO nats(address,mapping,filtering,allocation,refusal,pooling,confidence,delta,"      \
    "drift,block_low,block_high,samples,learnt,refusal_learnt,last_port,low,high,weight,"          \
    "drift_sum,drift_seconds,hits,misses,one_address)"                                             \
    " VALUES('192.0.2.7',4,0,3,1,1,80,2,500,0,0,40,1000000,2000000,4711,1024,65535,7.5,1,2,3,4,0)" \
    ";"

/* A file of an earlier version, as its trystd left it. */
static void write_version(const char *path, int version, const char *rows)
{
    char pragma[48];
    sqlite3 *db;

    remove(path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (int n = 1; n <= version; n++)
        for (const char *const *text = store_schema_step(n); *text; text++)
            assert_int_equal(sqlite3_exec(db, *text, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, rows, NULL, NULL, NULL), SQLITE_OK);
    snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d", version);
    assert_int_equal(sqlite3_exec(db, pragma, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* From every version there was: peers, names, NATs and who may come are all there. */
static void test_every_version(void **state)
{
    static const char rows[] = NAT_OF_VERSION_1
        "INSERT INTO peers(key,name,agent,first_seen,last_seen,observed)"
        " VALUES(x'01010101010101010101010101010101010101010101010101010101010101ff','laptop',"
        "'tryst/1',5,6,'192.0.2.7:4000');"
        "INSERT INTO invites VALUES(x'02020202020202020202020202020202"
        "02020202020202020202020202020202','guest',1,9000000000000000,0,NULL);"
        "INSERT INTO access VALUES(x'03030303030303030303030303030303"
        "03030303030303030303030303030303',2,0);";
    struct fixture *f = *state;
    sqlite3 *db;

    for (int version = 1; version < 3; version++) {
        fixture_close(f);
        write_version(f->path, version, rows);
        fixture_open(f);
        fixture_load(f);
        assert_int_equal(fixture_loaded.profiles, 1);
        assert_int_equal(fixture_loaded.peers, 1);
        assert_string_equal(fixture_loaded.peer.name, "laptop");
        assert_true(fixture_loaded.peer.first_seen == 5);
        assert_int_equal(fixture_loaded.invites, 1);
        assert_string_equal(fixture_loaded.invite.name, "guest");
        assert_int_equal(fixture_loaded.accesses, 1);
        assert_int_equal(fixture_loaded.access.verdict, 2);
        assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
        assert_int_equal(store_user_version(db), STORE_VERSION);
        sqlite3_close(db);
    }
}

/* A step that fails on its way leaves the file as it was: what comes before it is undone, too. */
static void test_failed_step(void **state)
{
    struct fixture *f = *state;
    sqlite3_stmt *st;
    sqlite3 *db;

    fixture_close(f);
    write_version(f->path, 1, NAT_OF_VERSION_1 "CREATE TABLE gaps(mine);");
    assert_null(store_open(f->path, NULL, NULL, fixture_err, sizeof(fixture_err)));
    assert_non_null(strstr(fixture_err, "bring it to the current schema"));
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(store_user_version(db), 1);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT (SELECT count(*) FROM nats),(SELECT count(*) FROM"
                                        " pragma_table_info('nats') WHERE name='features'),"
                                        "(SELECT count(*) FROM pragma_table_info('gaps'))",
                                        -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(st, 0), 1);
    assert_int_equal(sqlite3_column_int(st, 1), 0); /* of version 2 */
    assert_int_equal(sqlite3_column_int(st, 2), 1);
    sqlite3_finalize(st);
    /* With what was in the way gone, it goes through. */
    assert_int_equal(sqlite3_exec(db, "DROP TABLE gaps", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    fixture_open(f);
    fixture_load(f);
    assert_int_equal(fixture_loaded.profiles, 1);
}

static void test_first_version(void **state)
{
    struct fixture *f = *state;
    struct row session = fixture_finished(3, REASON_OK);

    fixture_close(f);
    write_version(f->path, 1, NAT_OF_VERSION_1);
    fixture_open(f);
    fixture_load(f);
    const struct row_profile *row = &fixture_loaded.profile;
    assert_int_equal(fixture_loaded.profiles, 1);
    assert_int_equal(row->profile.nat.mapping, NAT_APDM);
    assert_int_equal(row->profile.nat.samples, 40);
    assert_int_equal(row->profile.nat.features, 0);
    assert_true(row->learnt == 1000000 && row->refusal_learnt == 2000000);
    assert_true(row->filtering_learnt == 0 && row->simultaneous_learnt == 0);
    assert_true(row->profile.filtering_peer == 0);
    assert_int_equal(row->profile.last_port, 4711);
    assert_true(row->profile.weight == 7.5 && row->profile.misses == 4);
    /* What is written from now on has all columns. */
    session.session.nat[1].features = NAT_FEATURE_DOUBLE;
    fixture_wait(f, fixture_put(f, &session));
    json_t *answer = fixture_ask(f, fixture_session_query("0300"));
    const json_t *s = json_array_get(json_object_get(answer, "sessions"), 0);
    const json_t *nat = json_object_get(json_object_get(s, "target"), "nat");
    assert_true(json_is_true(json_object_get(nat, "double")));
    assert_true(json_is_false(json_object_get(nat, "no_simultaneous_open")));
    json_decref(answer);
}

static void test_peer_names(void **state)
{
    struct fixture *f = *state;
    struct store_query q = {.what = QUERY_PEERS, .peer = "HOME"};
    struct row row = fixture_peer(1, "home");
    char key[KEY_TEXT_SIZE];

    fixture_put(f, &row);
    row = fixture_peer(2, "other");
    fixture_put(f, &row);
    /* The name moves on; the first peer goes on without one. */
    row = fixture_peer(2, "home");
    fixture_wait(f, fixture_put(f, &row));
    json_t *answer = fixture_ask(f, q);
    const json_t *peer = json_array_get(json_object_get(answer, "peers"), 0);
    assert_string_equal(json_string_value(json_object_get(peer, "key")),
                        key_format(row.peer.key, key));
    assert_string_equal(json_string_value(json_object_get(peer, "last_seen")),
                        "2025-11-30T09:15:30.000Z");
    json_decref(answer);

    q.peer[0] = '\0';
    assert_int_equal(fixture_count(f, q, "peers"), 2);
    row = fixture_peer(1, "");
    key_format(row.peer.key, q.peer);
    answer = fixture_ask(f, q);
    peer = json_array_get(json_object_get(answer, "peers"), 0);
    assert_true(json_is_null(json_object_get(peer, "name")));
    json_decref(answer);

    snprintf(q.peer, sizeof(q.peer), "nobody");
    answer = fixture_ask(f, q);
    assert_true(json_is_false(json_object_get(answer, "ok")));
    json_decref(answer);
}

static void test_session(void **state)
{
    struct fixture *f = *state;
    struct row row = fixture_session(0xabcdef);

    fixture_wait(f, fixture_put(f, &row));
    json_t *answer = fixture_ask(f, fixture_session_query("efcdab"));
    json_t *s = json_array_get(json_object_get(answer, "sessions"), 0);
    assert_string_equal(json_string_value(json_object_get(s, "state")), "active");
    assert_true(json_is_null(json_object_get(s, "reason")));
    assert_true(json_is_null(json_object_get(s, "finished")));
    json_decref(answer);

    row = fixture_finished(0xabcdef, REASON_MISSED);
    fixture_wait(f, fixture_put(f, &row));
    answer = fixture_ask(f, fixture_session_query("efcda"));
    s = json_array_get(json_object_get(answer, "sessions"), 0);
    assert_string_equal(json_string_value(json_object_get(s, "state")), "failed");
    const json_t *reason = json_object_get(s, "reason");
    assert_string_equal(json_string_value(json_object_get(reason, "name")), "missed");
    assert_int_equal(json_integer_value(json_object_get(reason, "number")), REASON_MISSED);
    assert_true(json_integer_value(json_object_get(s, "took_us")) == 412000);
    assert_true(json_integer_value(json_object_get(s, "skew_us")) == -250);
    assert_int_equal(json_array_size(json_object_get(json_object_get(s, "plan"), "rounds")), 1);
    const json_t *target = json_object_get(s, "target"),
                 *requester = json_object_get(s, "requester");
    assert_string_equal(json_string_value(json_object_get(target, "met")), "[2001:db8::7]:9");
    assert_true(json_is_null(json_object_get(target, "public")));
    assert_string_equal(json_string_value(json_object_get(requester, "name")), "laptop");
    const json_t *nat = json_object_get(target, "nat");
    assert_string_equal(json_string_value(json_object_get(nat, "allocation")), "counter");
    assert_int_equal(json_integer_value(json_object_get(nat, "delta")), -2);
    json_decref(answer);

    /* An outcome that is corrected replaces the first one. */
    row = fixture_finished(0xabcdef, REASON_OK);
    fixture_wait(f, fixture_put(f, &row));
    assert_int_equal(fixture_count(f, (struct store_query){.what = QUERY_SESSIONS}, "sessions"), 1);
}

static void test_session_ids(void **state)
{
    struct fixture *f = *state;
    struct row row = fixture_finished(0x000011, REASON_OK);

    fixture_put(f, &row);
    row = fixture_finished(0x220011, REASON_OK);
    fixture_put(f, &row);
    row = fixture_session(0x330012);
    fixture_wait(f, fixture_put(f, &row));
    static const struct {
        const char *id;
        bool found;
    } rows[] = {
        {"", false},
        {"1", false},
        {"11", false},
        {"1100", false},
        {"110000", true},
        {"11002", true},
        {"120033", true},
        {"12", true},
        {"2", false},
        {"xyz", false},
        {"11002211002211002211002211002211", true},
        {"11002211002211002211002211002212", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *answer = fixture_ask(f, fixture_session_query(rows[i].id));
        if (json_is_true(json_object_get(answer, "ok")) != rows[i].found)
            fail_msg("'%s'", rows[i].id);
        json_decref(answer);
    }
}

static void test_session_filters(void **state)
{
    struct fixture *f = *state;
    struct row row;
    char key[KEY_TEXT_SIZE];

    for (unsigned n = 0; n < 30; n++) {
        row = fixture_finished(n, n % 5 == 0 ? REASON_BOTH_RANDOM : REASON_OK);
        fixture_put(f, &row);
    }
    row = fixture_session(30);
    fixture_put(f, &row);
    row = fixture_peer(2, "two");
    fixture_wait(f, fixture_put(f, &row));

    struct store_query q = {.what = QUERY_SESSIONS};
    assert_int_equal(fixture_count(f, q, "sessions"), 31);
    q.failed_only = true;
    assert_int_equal(fixture_count(f, q, "sessions"), 6);
    q.since = BEGUN + 10 * MINUTE;
    assert_int_equal(fixture_count(f, q, "sessions"), 4);
    q.until = BEGUN + 20 * MINUTE;
    assert_int_equal(fixture_count(f, q, "sessions"), 2);
    q.failed_only = false;
    assert_int_equal(fixture_count(f, q, "sessions"), 10);
    q = (struct store_query){.what = QUERY_SESSIONS, .active_only = true};
    assert_int_equal(fixture_count(f, q, "sessions"), 1);

    q = (struct store_query){.what = QUERY_SESSIONS, .peer = "two"};
    assert_int_equal(fixture_count(f, q, "sessions"), 11);
    q.failed_only = true;
    assert_int_equal(fixture_count(f, q, "sessions"), 2);
    q.failed_only = false;
    fixture_key(row.peer.key, 1);
    snprintf(q.peer, sizeof(q.peer), "%s", key_format(row.peer.key, key));
    assert_int_equal(fixture_count(f, q, "sessions"), 31);
    q.limit = 5;
    json_t *answer = fixture_ask(f, q);
    const json_t *list = json_object_get(answer, "sessions");
    assert_int_equal(json_array_size(list), 5);
    assert_true(json_is_true(json_object_get(answer, "more")));
    /* The newest first. */
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "state")),
                        "active");
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "started")),
                        "2025-11-30T09:44:30.000Z");
    json_decref(answer);
    fixture_key(row.peer.key, 99);
    key_format(row.peer.key, q.peer);
    assert_int_equal(fixture_count(f, q, "sessions"), 0);
}

static void test_observations(void **state)
{
    struct fixture *f = *state;
    struct row row;
    uint64_t last = 0;

    for (unsigned n = 0; n < 100; n++) {
        memset(&row, 0, sizeof(row));
        row.kind = ROW_OBSERVATION;
        row.observation.at = BEGUN + n;
        row.observation.observation.observed =
            fixture_endpoint(n % 10 ? "198.51.100.1:1" : "[2001:db8::1]:1");
        row.observation.observation.observed.port = (uint16_t)(10000 + n);
        row.observation.observation.burst = n & 1;
        fixture_key(row.observation.peer_key, n);
        last = fixture_put(f, &row);
    }
    fixture_wait(f, last);
    struct store_query q = {.what = QUERY_OBSERVATIONS, .address = "198.51.100.1"};
    json_t *answer = fixture_ask(f, q);
    const json_t *list = json_object_get(answer, "observations");
    assert_int_equal(json_array_size(list), 64);
    assert_true(json_is_null(json_object_get(answer, "stored")));
    for (size_t i = 1; i < 64; i++)
        assert_true(json_integer_value(json_object_get(json_array_get(list, i - 1), "port")) <
                    json_integer_value(json_object_get(json_array_get(list, i), "port")));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 63), "port")), 10099);
    json_decref(answer);
    snprintf(q.address, sizeof(q.address), "2001:db8::1");
    assert_int_equal(fixture_count(f, q, "observations"), 10);
    snprintf(q.address, sizeof(q.address), "192.0.2.9");
    answer = fixture_ask(f, q);
    assert_true(json_is_false(json_object_get(answer, "ok")));
    json_decref(answer);

    row = profile_row();
    fixture_wait(f, fixture_put(f, &row));
    assert_int_equal(fixture_count(f, (struct store_query){.what = QUERY_NATS}, "nats"), 1);
}

static void test_aborted(void **state)
{
    struct fixture *f = *state;
    struct row row;

    for (unsigned n = 0; n < 300; n++) {
        row = n % 3 ? fixture_session(n) : fixture_finished(n, REASON_OK);
        fixture_put(f, &row);
    }
    fixture_close(f); /* commits what is queued */
    fixture_open(f);
    struct store_query q = {.what = QUERY_SESSIONS, .failed_only = true};
    assert_int_equal(fixture_count(f, q, "sessions"), 200);
    json_t *answer = fixture_ask(f, q);
    const json_t *s = json_array_get(json_object_get(answer, "sessions"), 0);
    assert_string_equal(json_string_value(json_object_get(json_object_get(s, "reason"), "name")),
                        "aborted");
    assert_string_equal(json_string_value(json_object_get(s, "started")),
                        "2025-11-30T14:14:30.000Z");
    json_decref(answer);
    q = (struct store_query){.what = QUERY_SESSIONS, .active_only = true};
    assert_int_equal(fixture_count(f, q, "sessions"), 0);
    q.active_only = false;
    assert_int_equal(fixture_count(f, q, "sessions"), 300);
}

/* The next view that the manual describes, with its columns; NULL: there is none. */
static char *next_view(char *manual, char view[64], char columns[2048])
{
    char *at = strstr(manual, ".It Sy ");

    if (!at || sscanf(at, ".It Sy %63s", view) != 1)
        return NULL;
    char *list = strstr(at, "\n.D1 ");
    assert_non_null(list);
    list += 5;
    char *end = strchr(list, '\n');
    assert_non_null(end);
    size_t n = 0;
    for (const char *c = list; c < end; c++) {
        assert_true(n < 2047);
        if (*c != ' ')
            columns[n++] = *c;
    }
    columns[n] = '\0';
    return end;
}

static void real_columns(sqlite3 *db, const char *view, char columns[2048])
{
    char sql[128];
    sqlite3_stmt *st;

    snprintf(sql, sizeof(sql), "SELECT group_concat(name,',') FROM pragma_table_info('%s')", view);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(st, 0);
    snprintf(columns, 2048, "%s", text ? text : "no such view");
    sqlite3_finalize(st);
}

static char *read_manual(void)
{
    static char manual[65536];
    const char *top = getenv("abs_top_srcdir");
    char path[512];

    snprintf(path, sizeof(path), "%s/server/trystd.8", top ? top : "..");
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    manual[fread(manual, 1, sizeof(manual) - 1, in)] = '\0';
    (void)fclose(in);
    return manual;
}

/* Runs every query that the manual shows as `sqlite3 ... "QUERY"`. Returns how many. */
static unsigned run_examples(sqlite3 *db, char *at)
{
    unsigned count = 0;
    char *message = NULL;

    while ((at = strstr(at, "\nsqlite3 -readonly"))) {
        char *begin = strchr(at, '"'), *end = begin ? strchr(begin + 1, '"') : NULL;
        assert_non_null(end);
        if (!end)
            break;
        *end = '\0';
        if (sqlite3_exec(db, begin + 1, NULL, NULL, &message))
            fail_msg("%s: %s", begin + 1, message);
        at = end + 1;
        count++;
    }
    return count;
}

/* The manual names every view with all of its columns in their order, and its queries run. */
static void test_manual(void **state)
{
    struct fixture *f = *state;
    char *manual = read_manual(), *at = manual, view[64], told[2048], real[2048];
    unsigned views = 0;
    sqlite3 *db;
    sqlite3_stmt *st;

    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    for (; (at = next_view(at, view, told)); views++) {
        real_columns(db, view, real);
        assert_string_equal(told, real);
    }
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM sqlite_schema WHERE type='view'",
                                        -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(st, 0), views);
    sqlite3_finalize(st);
    assert_true(run_examples(db, manual) >= 3);
    sqlite3_close(db);
}

/* The documented views can be read, and spell numbers out. */
static void test_views(void **state)
{
    static const char *const views[] = {"session_overview", "peer_overview", "nat_overview",
                                        "observation_overview"};
    struct fixture *f = *state;
    struct row row = fixture_finished(1, REASON_BOTH_RANDOM);
    char sql[128];
    sqlite3 *db;
    sqlite3_stmt *st;

    fixture_put(f, &row);
    row = fixture_session(2);
    fixture_wait(f, fixture_put(f, &row));
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
        snprintf(sql, sizeof(sql), "SELECT * FROM %s", views[i]);
        if (sqlite3_exec(db, sql, NULL, NULL, NULL))
            fail_msg("%s: %s", views[i], sqlite3_errmsg(db));
    }
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT state,reason,requester_mapping,target_allocation"
                                        " FROM session_overview ORDER BY started",
                                        -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(st, 0), "failed");
    assert_string_equal((const char *)sqlite3_column_text(st, 1), "both-random");
    assert_string_equal((const char *)sqlite3_column_text(st, 2), "eim");
    assert_string_equal((const char *)sqlite3_column_text(st, 3), "counter");
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(st, 0), "active");
    sqlite3_finalize(st);
    sqlite3_close(db);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_file),          TEST(test_load),        TEST(test_first_version),
        TEST(test_every_version), TEST(test_failed_step), TEST(test_peer_names),
        TEST(test_session),       TEST(test_session_ids), TEST(test_session_filters),
        TEST(test_observations),  TEST(test_aborted),     TEST(test_views),
        TEST(test_manual),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
