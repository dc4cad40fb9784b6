/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "show.h"
#include "store_internal.h"
#include "store_show.h"

/* Queries of the reader to JSON. Every answer begins with "ok"; a failed one holds "error" too. */

static json_t *refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
static json_t *refuse(const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return json_pack("{s:b, s:o}", "ok", 0, "error", show_text(text));
}

static json_t *refuse_sqlite(sqlite3 *db)
{
    if ((sqlite3_errcode(db) & 0xff) == SQLITE_INTERRUPT)
        return refuse("the search took too long; narrow it down with --since or --peer");
    return refuse("the database cannot be read: %s", sqlite3_errmsg(db));
}

/*
 * A statement put together from constant pieces; values are always bound. `limit` is bound one
 * higher than asked for, so that the answer can say whether there is more.
 */
struct select {
    char sql[8192];
    size_t len;
    bool bad;
};

static void add(struct select *s, const char *piece)
{
    size_t len = strlen(piece);

    if (len >= sizeof(s->sql) - s->len) {
        s->bad = true;
        return;
    }
    memcpy(s->sql + s->len, piece, len + 1);
    s->len += len;
}

static uint32_t limit_of(const struct store_query *q)
{
    return q->limit == 0 || q->limit > STORE_ANSWER_ROWS ? STORE_ANSWER_ROWS : q->limit;
}

static sqlite3_stmt *prepare(sqlite3 *db, const struct select *s)
{
    sqlite3_stmt *st = NULL;

    if (s->bad || sqlite3_prepare_v2(db, s->sql, -1, &st, NULL))
        return NULL;
    return st;
}

static void bind_named(sqlite3_stmt *st, const char *name, int64_t v)
{
    int at = sqlite3_bind_parameter_index(st, name);

    if (at > 0)
        sqlite3_bind_int64(st, at, v);
}

static void bind_named_blob(sqlite3_stmt *st, const char *name, const void *bytes, size_t size)
{
    int at = sqlite3_bind_parameter_index(st, name);

    if (at > 0)
        sqlite3_bind_blob(st, at, bytes, (int)size, SQLITE_TRANSIENT);
}

static void bind_named_text(sqlite3_stmt *st, const char *name, const char *text)
{
    int at = sqlite3_bind_parameter_index(st, name);

    if (at > 0)
        sqlite3_bind_text(st, at, text, -1, SQLITE_TRANSIENT);
}

/* Steps through the rows; `one` makes a value of each. NULL: SQLite failed. */
static json_t *collect(sqlite3_stmt *st, uint32_t limit, bool *more,
                       json_t *(*one)(struct columns *))
{
    json_t *list = json_array();
    int result;

    *more = false;
    while ((result = sqlite3_step(st)) == SQLITE_ROW) {
        struct columns c = columns(st);
        if (json_array_size(list) == limit) {
            *more = true;
            return list;
        }
        json_array_append_new(list, one(&c));
    }
    if (result == SQLITE_DONE)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *answer(sqlite3 *db, sqlite3_stmt *st, const char *name, uint32_t limit,
                      json_t *(*one)(struct columns *))
{
    bool more;
    json_t *list = st ? collect(st, limit, &more, one) : NULL;
    json_t *result =
        list ? json_pack("{s:b, s:o, s:b}", "ok", 1, name, list, "more", more) : refuse_sqlite(db);

    sqlite3_finalize(st);
    return result;
}

/* --- sessions --- */

/* The key that a key or name stands for. */
static int find_key(sqlite3 *db, const char *peer, uint8_t key[KEY_SIZE])
{
    char name[PEER_NAME_SIZE];
    sqlite3_stmt *st = NULL;
    int found = -1;

    if (key_parse(peer, key) == 0)
        return 0;
    if (peer_name_parse(peer, name) ||
        sqlite3_prepare_v2(db, "SELECT key FROM peers WHERE name=? AND name<>''", -1, &st, NULL))
        return -1;
    sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
    if (sqlite3_step(st) == SQLITE_ROW) {
        struct columns c = columns(st);
        column_blob(&c, key, KEY_SIZE);
        found = 0;
    }
    sqlite3_finalize(st);
    return found;
}

/* Times and outcome are columns of the tables and of the index alike. */
static void add_conditions(struct select *s, const struct store_query *q)
{
    if (q->failed_only)
        add(s, " AND reason<>0");
    if (q->connected_only)
        add(s, " AND reason=0");
    if (q->by_reason)
        add(s, " AND reason=:reason");
    if (q->since)
        add(s, " AND started>=:since");
    if (q->until)
        add(s, " AND started<:until");
}

/* The index picks the rows, and what it has only a part of is compared whole afterwards. */
static void select_finished(struct select *s, const struct store_query *q)
{
    add(s, "SELECT " SESSION_NAMES " FROM sessions WHERE number IN (SELECT number FROM sessions"
           " INDEXED BY sessions_find WHERE 1");
    if (q->peer[0])
        add(s, " AND (requester_tag=:tag OR target_tag=:tag)");
    add_conditions(s, q);
    add(s, " ORDER BY started DESC LIMIT :limit)");
    if (q->peer[0])
        add(s, " AND (requester=:key OR target=:key)");
    add(s, " ORDER BY started DESC, number DESC");
}

static void select_active(struct select *s, const struct store_query *q)
{
    add(s, "SELECT " SESSION_NAMES " FROM sessions_active WHERE 1");
    if (q->peer[0])
        add(s, " AND (requester=:key OR target=:key)");
    add_conditions(s, q);
    add(s, " ORDER BY started DESC LIMIT :limit");
}

static sqlite3_stmt *prepare_sessions(sqlite3 *db, const struct store_query *q, const uint8_t *key,
                                      void (*select)(struct select *, const struct store_query *))
{
    struct select s = {.len = 0};

    select(&s, q);
    sqlite3_stmt *st = prepare(db, &s);
    if (st) {
        bind_named(st, ":since", q->since);
        bind_named(st, ":until", q->until);
        bind_named(st, ":reason", q->reason);
        bind_named(st, ":limit", (int64_t)limit_of(q) + 1);
        bind_named(st, ":tag", store_key_tag(key));
        bind_named_blob(st, ":key", key, KEY_SIZE);
    }
    return st;
}

/* Sessions in flight stand before finished ones: they are the newest, but for a straggler. */
static json_t *query_sessions(sqlite3 *db, const struct store_query *q)
{
    uint8_t key[KEY_SIZE] = {0};
    json_t *found = NULL, *rest;

    if (q->peer[0] && find_key(db, q->peer, key))
        return refuse("no peer is known by the key or name '%s'", q->peer);
    if (!q->failed_only && !q->connected_only && !q->by_reason)
        found = answer(db, prepare_sessions(db, q, key, select_active), "sessions", limit_of(q),
                       store_show_session);
    json_t *list = json_object_get(found, "sessions");
    if (q->active_only || (found && (!list || json_is_true(json_object_get(found, "more")))))
        return found;
    rest = answer(db, prepare_sessions(db, q, key, select_finished), "sessions",
                  limit_of(q) - (uint32_t)json_array_size(list), store_show_session);
    json_t *more = json_object_get(rest, "sessions");
    if (!list || !more) {
        json_decref(found);
        return rest;
    }
    json_array_extend(list, more);
    json_object_set(found, "more", json_object_get(rest, "more"));
    json_decref(rest);
    return found;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* The least and the greatest id that begin with these digits. */
static int id_range(const char *hex, uint8_t low[MSG_ID_SIZE], uint8_t high[MSG_ID_SIZE])
{
    memset(low, 0, MSG_ID_SIZE);
    memset(high, 0xff, MSG_ID_SIZE);
    for (size_t i = 0; hex[i]; i++) {
        int n = hex_digit(hex[i]);
        unsigned shift = i % 2 ? 0 : 4;
        if (n < 0 || i >= 2 * MSG_ID_SIZE)
            return -1;
        low[i / 2] |= (uint8_t)(n << shift);
        high[i / 2] = (uint8_t)((high[i / 2] & ~(15U << shift)) | ((unsigned)n << shift));
    }
    return 0;
}

static sqlite3_stmt *prepare_session(sqlite3 *db, const char *sql, const uint8_t *low,
                                     const uint8_t *high)
{
    struct select s = {.len = 0};

    add(&s, sql);
    sqlite3_stmt *st = prepare(db, &s);
    if (st) {
        bind_named(st, ":low_tag", store_id_tag(low));
        bind_named(st, ":high_tag", store_id_tag(high));
        bind_named_blob(st, ":low", low, MSG_ID_SIZE);
        bind_named_blob(st, ":high", high, MSG_ID_SIZE);
    }
    return st;
}

static json_t *query_session(sqlite3 *db, const struct store_query *q)
{
    static const char active[] = "SELECT " SESSION_NAMES " FROM sessions_active"
                                 " WHERE id BETWEEN :low AND :high LIMIT 2";
    static const char finished[] =
        "SELECT " SESSION_NAMES " FROM sessions WHERE number IN (SELECT number FROM sessions"
        " INDEXED BY sessions_find WHERE id_tag BETWEEN :low_tag AND :high_tag"
        " ORDER BY started DESC) AND id BETWEEN :low AND :high LIMIT 2";
    uint8_t low[MSG_ID_SIZE], high[MSG_ID_SIZE];

    if (id_range(q->session, low, high))
        return refuse("'%s' is not a session id: those are hexadecimal", q->session);
    json_t *found =
        answer(db, prepare_session(db, active, low, high), "sessions", 2, store_show_session_full);
    json_t *rest = answer(db, prepare_session(db, finished, low, high), "sessions", 2,
                          store_show_session_full);
    json_t *list = json_object_get(found, "sessions"), *more = json_object_get(rest, "sessions");
    if (!list || !more) {
        json_decref(list ? found : rest);
        return list ? rest : found;
    }
    json_array_extend(list, more);
    json_decref(rest);
    if (json_array_size(list) == 1)
        return found;
    bool none = json_array_size(list) == 0;
    json_decref(found);
    return refuse(none ? "no session's id begins with '%s'"
                       : "more than one session's id begins with '%s'; give more digits",
                  q->session);
}

/* --- peers, NATs, observations --- */

static json_t *query_peers(sqlite3 *db, const struct store_query *q)
{
    struct select s = {.len = 0};
    uint8_t key[KEY_SIZE] = {0};

    if (q->peer[0] && find_key(db, q->peer, key))
        return refuse("no peer is known by the key or name '%s'", q->peer);
    add(&s, "SELECT " PEER_NAMES " FROM peers WHERE 1");
    if (q->peer[0])
        add(&s, " AND key=:key");
    if (q->since)
        add(&s, " AND last_seen>=:since");
    if (q->until)
        add(&s, " AND last_seen<:until");
    if (q->address[0]) /* "ADDRESS:port" or "[ADDRESS]:port" */
        add(&s, " AND (substr(observed,1,length(:address)+1)=:address||':'"
                " OR substr(observed,1,length(:address)+2)='['||:address||']')");
    add(&s, " ORDER BY last_seen DESC LIMIT :limit");
    sqlite3_stmt *st = prepare(db, &s);
    if (st) {
        bind_named(st, ":since", q->since);
        bind_named(st, ":until", q->until);
        bind_named(st, ":limit", (int64_t)limit_of(q) + 1);
        bind_named_blob(st, ":key", key, sizeof(key));
        bind_named_text(st, ":address", q->address);
    }
    return answer(db, st, "peers", limit_of(q), store_show_peer);
}

static sqlite3_stmt *select_address(sqlite3 *db, const struct store_query *q, const char *sql)
{
    struct select s = {.len = 0};

    add(&s, sql);
    sqlite3_stmt *st = prepare(db, &s);
    if (st) {
        bind_named_text(st, ":address", q->address);
        bind_named(st, ":mapping", q->mapping);
        bind_named(st, ":allocation", q->allocation);
        bind_named(st, ":limit", (int64_t)limit_of(q) + 1);
    }
    return st;
}

static json_t *query_nats(sqlite3 *db, const struct store_query *q)
{
    const char *sql = q->address[0] ? "SELECT " NAT_NAMES " FROM nats WHERE address=:address"
                                    : "SELECT " NAT_NAMES " FROM nats"
                                      " WHERE :mapping IN (0,mapping)"
                                      " AND :allocation IN (0,allocation)"
                                      " ORDER BY learnt DESC LIMIT :limit";

    return answer(db, select_address(db, q, sql), "nats", limit_of(q), store_show_profile);
}

/* Oldest first, as a history is read; with the profile as it is stored. */
static json_t *query_observations(sqlite3 *db, const struct store_query *q)
{
    json_t *profile = query_nats(db, q);
    json_t *stored = json_array_get(json_object_get(profile, "nats"), 0);
    json_t *found = answer(db,
                           select_address(db, q,
                                          "SELECT at,peer,port,local,server,socket,step,burst"
                                          " FROM observations WHERE address=:address"
                                          " ORDER BY number"),
                           "observations", STORE_RING, store_show_observation);
    json_t *list = json_object_get(found, "observations");

    if (list && !stored && json_array_size(list) == 0) {
        json_decref(found);
        found = refuse("nothing is known about a NAT at %s", q->address);
    } else if (list) {
        json_object_set(found, "stored", stored ? stored : json_null());
    }
    json_decref(profile);
    return found;
}

/* --- invites --- */

/* Used ones too, for as long as they are kept. */
static json_t *query_invites(sqlite3 *db, const struct store_query *q)
{
    struct select s = {.len = 0};

    add(&s, "SELECT " INVITE_NAMES " FROM invites ORDER BY created DESC LIMIT :limit");
    sqlite3_stmt *st = prepare(db, &s);
    if (st)
        bind_named(st, ":limit", (int64_t)limit_of(q) + 1);
    return answer(db, st, "invites", limit_of(q), store_show_invite);
}

json_t *store_answer_query(sqlite3 *db, const struct store_query *query)
{
    json_t *found;

    switch (query->what) {
    case QUERY_SESSIONS:
        return query_sessions(db, query);
    case QUERY_SESSION:
        return query_session(db, query);
    case QUERY_STATS:
        found = store_query_stats(db, query);
        return found ? found : refuse_sqlite(db);
    case QUERY_PEERS:
        return query_peers(db, query);
    case QUERY_NATS:
        return query_nats(db, query);
    case QUERY_OBSERVATIONS:
        return query_observations(db, query);
    case QUERY_INVITES:
        return query_invites(db, query);
    case QUERY_CHECK: /* no queries: see store_job.c */
    case QUERY_BACKUP:
        break;
    }
    return refuse("unknown query");
}
