/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "store_schema.h"

#include <stdio.h>

#include "proto/nat.h"
#include "proto/reason.h"

/*
 * Keys and ids are BLOBs, endpoints text ("192.0.2.1:80", '' for none), times microseconds since
 * 1970 (0: never), reasons and NAT words the numbers of the protocol. Views spell them out.
 *
 * Every session writes at the ends of its tables only, since at 20,000 a second an index on
 * anything random (id, key) costs a page of I/O each. One in flight is a row of sessions_active,
 * which is small and in order of time; its end moves it to the end of sessions. All searching goes
 * through one narrow index, in order of time too, that holds 31 bits of each key and 48 of the id:
 * walking a million entries takes a few tenths of a second, newest first.
 */

/* clang-format off */

/* A step may not change once it is released; neither may these. */
#define V1_NAT(p) \
    p "mapping INTEGER NOT NULL," p "filtering INTEGER NOT NULL," \
    p "allocation INTEGER NOT NULL," p "refusal INTEGER NOT NULL," \
    p "pooling INTEGER NOT NULL," p "confidence INTEGER NOT NULL," \
    p "delta INTEGER NOT NULL," p "drift INTEGER NOT NULL," \
    p "block_low INTEGER NOT NULL," p "block_high INTEGER NOT NULL," \
    p "samples INTEGER NOT NULL,"
#define V1_SIDE(p) \
    V1_NAT(p) \
    p "public TEXT NOT NULL," p "met TEXT NOT NULL," p "late_us INTEGER NOT NULL," \
    p "syns INTEGER NOT NULL," p "refusals INTEGER NOT NULL," p "elapsed_us INTEGER NOT NULL," \
    p "clock_bound_us INTEGER NOT NULL,"
#define V1_SESSION \
    "id BLOB NOT NULL, requester BLOB NOT NULL, target BLOB NOT NULL, started INTEGER NOT NULL," \
    " requester_name TEXT NOT NULL, target_name TEXT NOT NULL, finished INTEGER NOT NULL," \
    " reason INTEGER NOT NULL, detail TEXT NOT NULL, family INTEGER NOT NULL," \
    " rounds INTEGER NOT NULL, chance REAL NOT NULL, punch INTEGER NOT NULL," \
    " skew_us INTEGER NOT NULL, accepted_us INTEGER NOT NULL, prepared_us INTEGER NOT NULL," \
    " punched_us INTEGER NOT NULL," V1_SIDE("requester_") V1_SIDE("target_") "plan TEXT NOT NULL"

static const char v1_tables[] =
    "CREATE TABLE words(kind TEXT NOT NULL, number INTEGER NOT NULL, word TEXT NOT NULL,"
    " PRIMARY KEY(kind,number)) WITHOUT ROWID;"
    "CREATE TABLE reasons(number INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL,"
    " advice TEXT NOT NULL);"

    "CREATE TABLE peers(key BLOB PRIMARY KEY, name TEXT NOT NULL, agent TEXT NOT NULL,"
    " first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, observed TEXT NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE UNIQUE INDEX peers_name ON peers(name) WHERE name<>'';"

    "CREATE TABLE nats(address TEXT PRIMARY KEY," V1_NAT("")
    " learnt INTEGER NOT NULL, refusal_learnt INTEGER NOT NULL, last_port INTEGER NOT NULL,"
    " low INTEGER NOT NULL, high INTEGER NOT NULL, weight REAL NOT NULL, drift_sum REAL NOT NULL,"
    " drift_seconds REAL NOT NULL, hits INTEGER NOT NULL, misses INTEGER NOT NULL,"
    " one_address INTEGER NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE observations(address TEXT NOT NULL, number INTEGER NOT NULL,"
    " at INTEGER NOT NULL, peer BLOB NOT NULL, port INTEGER NOT NULL, local TEXT NOT NULL,"
    " server TEXT NOT NULL, socket INTEGER NOT NULL, step INTEGER NOT NULL, burst INTEGER NOT NULL,"
    " PRIMARY KEY(address,number)) WITHOUT ROWID;"

    "CREATE TABLE sessions_active(" V1_SESSION ", PRIMARY KEY(started,id)) WITHOUT ROWID;"
    "CREATE TABLE sessions(number INTEGER PRIMARY KEY,"
    " requester_tag INTEGER NOT NULL, target_tag INTEGER NOT NULL, id_tag INTEGER NOT NULL,"
    V1_SESSION ");"
    "CREATE INDEX sessions_find ON sessions(started,reason,requester_tag,target_tag,id_tag);"

    "CREATE TABLE invites(token_hash BLOB PRIMARY KEY, name TEXT NOT NULL,"
    " created INTEGER NOT NULL, expires INTEGER NOT NULL, used INTEGER NOT NULL, used_by BLOB)"
    " WITHOUT ROWID;"
    "CREATE TABLE access(key BLOB PRIMARY KEY, verdict INTEGER NOT NULL CHECK(verdict IN (1,2)),"
    " expires INTEGER NOT NULL) WITHOUT ROWID;";

#define V1_WORDS(p) \
    "(SELECT word FROM words WHERE kind='mapping' AND number=" p "mapping) AS " p "mapping," \
    "(SELECT word FROM words WHERE kind='filtering' AND number=" p "filtering) AS " p "filtering," \
    "(SELECT word FROM words WHERE kind='allocation' AND number=" p "allocation)" \
    " AS " p "allocation," \
    "(SELECT word FROM words WHERE kind='refusal' AND number=" p "refusal) AS " p "refusal,"
#define V1_TIME(column) \
    "CASE WHEN " column ">0 THEN strftime('%Y-%m-%dT%H:%M:%fZ'," column "/1e6,'unixepoch') END" \
    " AS " column ","
#define V1_SHOWN_SIDE(p) \
    p "public," p "met," p "mapping," p "filtering," p "allocation," p "refusal," p "syns,"
#define V1_SHOWN \
    "id,requester,target,started,requester_name,target_name,finished,reason,detail,family,rounds," \
    "chance,skew_us," V1_SHOWN_SIDE("requester_") V1_SHOWN_SIDE("target_") "plan"

static const char v1_views[] =
    "CREATE VIEW session_overview AS"
    " WITH every AS (SELECT " V1_SHOWN " FROM sessions"
    " UNION ALL SELECT " V1_SHOWN " FROM sessions_active)"
    " SELECT lower(hex(id)) AS id," V1_TIME("started") V1_TIME("finished")
    "CASE WHEN finished=0 THEN 'active' WHEN reason=0 THEN 'connected' ELSE 'failed' END AS state,"
    "requester_name, lower(hex(requester)) AS requester,"
    "target_name, lower(hex(target)) AS target,"
    "CASE WHEN finished<>0 THEN (SELECT name FROM reasons WHERE number=reason) END AS reason,"
    "CASE WHEN finished<>0 THEN (SELECT text FROM reasons WHERE number=reason) END AS what,"
    "detail, family, rounds, chance, skew_us/1e3 AS skew_ms,"
    "CASE WHEN finished<>0 THEN (finished-started)/1e3 END AS took_ms,"
    "requester_public, target_public, requester_met, target_met,"
    V1_WORDS("requester_") V1_WORDS("target_")
    "requester_syns, target_syns, plan FROM every;"

    "CREATE VIEW peer_overview AS SELECT lower(hex(key)) AS key, name, agent,"
    V1_TIME("first_seen") V1_TIME("last_seen") "observed FROM peers;"

    "CREATE VIEW nat_overview AS SELECT address," V1_WORDS("")
    "confidence, delta, drift/1e3 AS drift_per_second, block_low, block_high, samples,"
    "hits, misses," V1_TIME("learnt") "last_port FROM nats;"

    "CREATE VIEW observation_overview AS SELECT address, number," V1_TIME("at")
    "lower(hex(peer)) AS peer, port, local, server, socket, step, burst FROM observations;";

#define V2_ADD(table, column) \
    "ALTER TABLE " table " ADD COLUMN " column " INTEGER NOT NULL DEFAULT 0;"

static const char v2_columns[] =
    V2_ADD("nats", "features") V2_ADD("nats", "filtering_learnt")
    V2_ADD("nats", "filtering_peer") V2_ADD("nats", "pooling_peer")
    V2_ADD("nats", "simultaneous_learnt") V2_ADD("nats", "simultaneous_peer")
    V2_ADD("sessions", "requester_features") V2_ADD("sessions", "target_features")
    V2_ADD("sessions_active", "requester_features") V2_ADD("sessions_active", "target_features");

/* Bits of `features` as in the protocol. */
static const char v2_views[] =
    "DROP VIEW nat_overview;"
    "CREATE VIEW nat_overview AS SELECT address," V1_WORDS("")
    "(SELECT word FROM words WHERE kind='pooling' AND number=pooling) AS pooling,"
    "features&1 AS no_simultaneous_open, (features>>1)&1 AS double,"
    "confidence, delta, drift/1e3 AS drift_per_second, block_low, block_high, samples,"
    "hits, misses," V1_TIME("learnt") "last_port FROM nats;";

/*
 * What could not be stored, so that whoever reads the history knows of the hole in it: from when to
 * when, how many sessions, observations and profiles were left out, and why.
 */
static const char v3_gaps[] =
    "CREATE TABLE gaps(number INTEGER PRIMARY KEY, since INTEGER NOT NULL, until INTEGER NOT NULL,"
    " sessions INTEGER NOT NULL, observations INTEGER NOT NULL, profiles INTEGER NOT NULL,"
    " why TEXT NOT NULL);";

static const char v3_views[] =
    "CREATE VIEW gap_overview AS SELECT number," V1_TIME("since") V1_TIME("until")
    "sessions, observations, profiles, why FROM gaps;"

    "CREATE VIEW day_overview AS SELECT date(started/1000000,'unixepoch') AS day,"
    "count(*) AS sessions, sum(reason=0) AS connected, sum(reason<>0) AS failed,"
    "round(100.0*sum(reason=0)/count(*),1) AS connected_percent,"
    "round(avg(CASE WHEN reason=0 THEN (finished-started)/1e3 END),1) AS connected_ms,"
    "count(DISTINCT requester_tag) AS requesters, count(DISTINCT target_tag) AS targets"
    " FROM sessions GROUP BY day;";

/* `access` had a verdict for each key; now an entry is about a key or about a prefix of addresses,
   and one key may be in both lists. */
static const char v3_access[] =
    "ALTER TABLE peers ADD COLUMN member INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE access RENAME TO access_before;"
    "CREATE TABLE access(verdict INTEGER NOT NULL CHECK(verdict IN (1,2)), key BLOB NOT NULL,"
    " prefix TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL,"
    " reason TEXT NOT NULL, PRIMARY KEY(verdict,key,prefix)) WITHOUT ROWID;"
    "INSERT INTO access SELECT verdict,key,'',0,expires,'' FROM access_before;"
    "DROP TABLE access_before;"

    "CREATE VIEW access_overview AS SELECT"
    " CASE verdict WHEN 1 THEN 'allowed' ELSE 'banned' END AS verdict,"
    "lower(hex(key)) AS key, prefix," V1_TIME("created") V1_TIME("expires") "reason FROM access;"

    "CREATE VIEW invite_overview AS SELECT substr(lower(hex(token_hash)),1,8) AS id, name,"
    V1_TIME("created") V1_TIME("expires") V1_TIME("used")
    "CASE WHEN used>0 THEN lower(hex(used_by)) END AS used_by FROM invites;";

/* clang-format on */

/* Step n at index n-1, as texts that are executed one after the other; views come last. */
#define STEP_TEXTS 8
static const char *const steps[STORE_VERSION][STEP_TEXTS] = {
    {v1_tables, v1_views, NULL},
    {v2_columns, v2_views, NULL},
    {v3_gaps, v3_access, v3_views, NULL},
};

const char *const *store_schema_step(int n)
{
    return steps[n - 1];
}

static int fail(sqlite3 *db, const char *path, const char *what, char *err, size_t err_size)
{
    snprintf(err, err_size, "%s: cannot %s: %s", path, what, sqlite3_errmsg(db));
    return -1;
}

int store_user_version(sqlite3 *db)
{
    sqlite3_stmt *st = NULL;
    int version = -1;

    if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        version = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return version;
}

static int put_word(sqlite3_stmt *st, const char *kind, int number, const char *word)
{
    sqlite3_bind_text(st, 1, kind, -1, SQLITE_STATIC);
    sqlite3_bind_int(st, 2, number);
    sqlite3_bind_text(st, 3, word, -1, SQLITE_STATIC);
    int bad = sqlite3_step(st) != SQLITE_DONE;
    sqlite3_reset(st);
    return bad;
}

static int fill_words(sqlite3 *db)
{
    static const struct {
        const char *kind;
        const char *(*name)(unsigned);
        unsigned last;
    } kinds[] = {
        {"mapping", nat_mapping_name, NAT_APDM},
        {"filtering", nat_filtering_name, NAT_APDF},
        {"allocation", nat_allocation_name, NAT_RANDOM},
        {"refusal", nat_refusal_name, NAT_ICMP},
        {"pooling", nat_pooling_name, NAT_ARBITRARY},
    };
    sqlite3_stmt *st;
    int bad = 0;

    if (sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO words VALUES(?,?,?)", -1, &st, NULL))
        return -1;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        for (unsigned n = 0; n <= kinds[i].last; n++)
            bad |= put_word(st, kinds[i].kind, (int)n, kinds[i].name(n));
    sqlite3_finalize(st);
    return bad ? -1 : 0;
}

static int fill_reasons(sqlite3 *db)
{
    static const enum reason all[] = {
#define REASON(number, NAME, name, status, text, advice) REASON_##NAME,
#include "proto/reason.def"
#undef REASON
    };
    sqlite3_stmt *st;
    int bad = 0;

    if (sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO reasons VALUES(?,?,?,?)", -1, &st, NULL))
        return -1;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        sqlite3_bind_int(st, 1, (int)all[i]);
        sqlite3_bind_text(st, 2, reason_name(all[i]), -1, SQLITE_STATIC);
        sqlite3_bind_text(st, 3, reason_text(all[i]), -1, SQLITE_STATIC);
        sqlite3_bind_text(st, 4, reason_advice(all[i]), -1, SQLITE_STATIC);
        bad |= sqlite3_step(st) != SQLITE_DONE;
        sqlite3_reset(st);
    }
    sqlite3_finalize(st);
    return bad ? -1 : 0;
}

static int take_steps(sqlite3 *db, int version)
{
    char pragma[48];

    for (; version < STORE_VERSION; version++)
        for (const char *const *text = store_schema_step(version + 1); *text; text++)
            if (sqlite3_exec(db, *text, NULL, NULL, NULL))
                return -1;
    snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d", STORE_VERSION);
    return sqlite3_exec(db, pragma, NULL, NULL, NULL) ? -1 : 0;
}

int store_migrate(sqlite3 *db, const char *path, char *err, size_t err_size)
{
    if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL))
        return fail(db, path, "begin to read it", err, err_size);

    int version = store_user_version(db);
    if (version > STORE_VERSION) {
        snprintf(
            err, err_size,
            "%s: written by a newer trystd (schema %d, this one knows %d); run that version, or"
            " start with another state directory",
            path, version, STORE_VERSION);
        return -1;
    }
    if (version < 0 || take_steps(db, version))
        return fail(db, path, "bring it to the current schema", err, err_size);
    /* Also without a new schema: a new version of the program may have new words. */
    if (fill_words(db) || fill_reasons(db))
        return fail(db, path, "write the tables of words", err, err_size);
    if (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL))
        return fail(db, path, "commit the current schema", err, err_size);
    return 0;
}
