/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "store_sql.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TEXT_OF(n) #n
#define TEXT(n)    TEXT_OF(n)

const char *const store_sql[SQL_WRITER_STATEMENTS] = {
    /* Immediate: a lock that somebody else holds shows here, not in the middle. */
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_PUT_ACTIVE] =
        "INSERT OR REPLACE INTO sessions_active(" SESSION_NAMES ") VALUES(" SESSION_VALUES ")",
    [SQL_DROP_ACTIVE] = "DELETE FROM sessions_active WHERE started=? AND id=?",
    /* There is none, unless an outcome is corrected; the index finds that out by the start time
       alone. */
    [SQL_DROP_SESSION] = "DELETE FROM sessions WHERE number IN (SELECT number FROM sessions"
                         " WHERE started=? AND id_tag=? AND id=?)",
    [SQL_PUT_SESSION] = "INSERT INTO sessions(requester_tag,target_tag,id_tag," SESSION_NAMES
                        ") VALUES(?,?,?," SESSION_VALUES ")",
    /* The usual case leaves the index of names alone. */
    [SQL_TOUCH_PEER] = "UPDATE peers SET agent=?,first_seen=?,last_seen=?,observed=?,member=?"
                       " WHERE key=? AND name=?",
    /* A name belongs to one key at a time; the later row is right. */
    [SQL_FREE_NAME] = "UPDATE peers SET name='' WHERE name=?1 AND name<>'' AND key<>?2",
    [SQL_PUT_PEER] = "INSERT INTO peers(" PEER_NAMES ",member) VALUES(?,?,?,?,?,?,?)"
                     " ON CONFLICT(key) DO UPDATE SET name=excluded.name,agent=excluded.agent,"
                     "first_seen=excluded.first_seen,last_seen=excluded.last_seen,"
                     "observed=excluded.observed,member=excluded.member",
    [SQL_PUT_NAT] =
        "INSERT OR REPLACE INTO nats(" NAT_NAMES ") VALUES(" NAT_COLUMNS(SQL_VALUE) "?)",
    [SQL_PUT_OBSERVATION] = "INSERT INTO observations SELECT ?1,COALESCE(MAX(number),0)+1,"
                            "?2,?3,?4,?5,?6,?7,?8,?9 FROM observations WHERE address=?1",
    [SQL_TRIM_OBSERVATIONS] = "DELETE FROM observations WHERE address=?1 AND number<="
                              "(SELECT MAX(number) FROM observations WHERE address=?1)"
                              "-" TEXT(STORE_RING),
    [SQL_PUT_INVITE] = "INSERT OR REPLACE INTO invites VALUES(?,?,?,?,?,?)",
    [SQL_DROP_INVITE] = "DELETE FROM invites WHERE token_hash=? AND used=0",
    [SQL_PUT_ACCESS] = "INSERT OR REPLACE INTO access VALUES(?,?,?,?,?,?)",
    [SQL_DROP_ACCESS] = "DELETE FROM access WHERE verdict=? AND key=? AND prefix=?",
    [SQL_SET_NAME] = "UPDATE peers SET name=? WHERE key=?",
    [SQL_LEAVE] = "UPDATE peers SET member=0 WHERE key=?",
    [SQL_EXPIRE_ACCESS] = "DELETE FROM access WHERE expires<>0 AND expires<=?",
    /* Who came by which invite is worth knowing for a while. */
    [SQL_EXPIRE_INVITES] = "DELETE FROM invites WHERE expires<=?1 AND (used=0 OR used<=?2)",
    [SQL_PUT_GAP] = "INSERT INTO gaps(since,until,sessions,observations,profiles,why)"
                    " VALUES(?,?,?,?,?,?)",
    /* Numbers follow one another: their span is the count, or a little more. */
    [SQL_TRIM_SESSIONS] =
        "DELETE FROM sessions WHERE number IN (SELECT number FROM sessions"
        " WHERE number<=(SELECT max(number) FROM sessions)-?1 ORDER BY number LIMIT ?2)",
    /* By the index, in the order of time: one with a wrong clock's time does not hold up others. */
    [SQL_AGE_SESSIONS] = "DELETE FROM sessions WHERE number IN (SELECT number FROM sessions"
                         " INDEXED BY sessions_find WHERE started<?1 ORDER BY started LIMIT ?2)",
    [SQL_AGE_GAPS] = "DELETE FROM gaps WHERE until<?",
    /* No index tells their age, since it would cost more with each of them than a walk does now and
       then: the last address of the next piece, and then what is old up to there. */
    [SQL_PIECE_OBSERVATIONS] = "SELECT max(address) FROM (SELECT DISTINCT address"
                               " FROM observations WHERE address>?1 ORDER BY address LIMIT ?2)",
    [SQL_SWEEP_OBSERVATIONS] =
        "DELETE FROM observations WHERE address>?1 AND address<=?2 AND at<?3",
    [SQL_PIECE_NATS] = "SELECT max(address) FROM (SELECT address FROM nats WHERE address>?1"
                       " ORDER BY address LIMIT ?2)",
    [SQL_SWEEP_NATS] = "DELETE FROM nats WHERE address>?1 AND address<=?2 AND"
                       " max(learnt,refusal_learnt,filtering_learnt,simultaneous_learnt)<?3",
    [SQL_PAGES] = "SELECT page_count*page_size,freelist_count*page_size FROM pragma_page_count,"
                  "pragma_freelist_count,pragma_page_size",
};

int64_t store_key_tag(const uint8_t key[KEY_SIZE])
{
    return (int64_t)(key[0] & 0x7f) << 24 | key[1] << 16 | key[2] << 8 | key[3];
}

int64_t store_id_tag(const uint8_t id[MSG_ID_SIZE])
{
    int64_t tag = 0;

    for (unsigned i = 0; i < 6; i++)
        tag = tag << 8 | id[i];
    return tag;
}

void binder_init(struct binder *b, sqlite3_stmt *st)
{
    b->st = st;
    b->at = 0;
    b->bad = false;
    b->endpoints = 0;
}

static void note(struct binder *b, int result)
{
    if (result != SQLITE_OK)
        b->bad = true;
}

void bind_i64(struct binder *b, int64_t v)
{
    note(b, sqlite3_bind_int64(b->st, ++b->at, v));
}

void bind_real(struct binder *b, double v)
{
    /* SQLite turns NaN into NULL, which the columns refuse; JSON has no infinity. */
    note(b, sqlite3_bind_double(b->st, ++b->at, isfinite(v) ? v : 0.0));
}

void bind_blob(struct binder *b, const void *bytes, size_t size)
{
    note(b, sqlite3_bind_blob(b->st, ++b->at, bytes, (int)size, SQLITE_STATIC));
}

void bind_text(struct binder *b, const char *text, size_t size)
{
    note(b, sqlite3_bind_text(b->st, ++b->at, text, (int)strnlen(text, size), SQLITE_STATIC));
}

static void bind_formatted(struct binder *b, const struct endpoint *e,
                           const char *(*format)(const struct endpoint *, char *))
{
    if (b->endpoints == BINDER_ENDPOINTS) {
        b->bad = true;
        return;
    }
    char *text = b->texts[b->endpoints++];
    text[0] = '\0';
    if (!endpoint_is_none(e))
        format(e, text);
    note(b, sqlite3_bind_text(b->st, ++b->at, text, -1, SQLITE_STATIC));
}

void bind_endpoint(struct binder *b, const struct endpoint *e)
{
    bind_formatted(b, e, endpoint_format);
}

void bind_address(struct binder *b, const struct endpoint *e)
{
    bind_formatted(b, e, endpoint_format_address);
}

void bind_nat(struct binder *b, const struct nat_summary *nat)
{
    bind_i64(b, nat->mapping);
    bind_i64(b, nat->filtering);
    bind_i64(b, nat->allocation);
    bind_i64(b, nat->refusal);
    bind_i64(b, nat->pooling);
    bind_i64(b, nat->confidence);
    bind_i64(b, nat->delta);
    bind_i64(b, nat->drift);
    bind_i64(b, nat->block_low);
    bind_i64(b, nat->block_high);
    bind_i64(b, nat->samples);
    bind_i64(b, nat->features);
}

struct columns columns(sqlite3_stmt *st)
{
    struct columns c = {st, 0};

    return c;
}

int64_t column_i64(struct columns *c)
{
    return sqlite3_column_int64(c->st, c->at++);
}

int64_t column_range(struct columns *c, int64_t least, int64_t most)
{
    int64_t v = column_i64(c);

    return v < least || v > most ? 0 : v;
}

double column_real(struct columns *c)
{
    double v = sqlite3_column_double(c->st, c->at++);

    return isfinite(v) ? v : 0.0;
}

void column_blob(struct columns *c, void *out, size_t size)
{
    const void *bytes = sqlite3_column_blob(c->st, c->at);
    size_t have = (size_t)sqlite3_column_bytes(c->st, c->at);

    c->at++;
    if (bytes && have == size)
        memcpy(out, bytes, size);
    else
        memset(out, 0, size);
}

void column_text(struct columns *c, char *out, size_t size)
{
    const unsigned char *text = sqlite3_column_text(c->st, c->at++);

    snprintf(out, size, "%s", text ? (const char *)text : "");
}

void column_endpoint(struct columns *c, struct endpoint *out)
{
    char text[ENDPOINT_TEXT_SIZE];

    column_text(c, text, sizeof(text));
    if (endpoint_parse(text, 0, out))
        *out = endpoint_none();
}

static void column_address(struct columns *c, struct endpoint *out)
{
    char text[ENDPOINT_TEXT_SIZE];

    column_text(c, text, sizeof(text));
    *out = endpoint_parse(text, 1, out) ? endpoint_none() : endpoint_with_port(*out, 0);
}

void column_nat(struct columns *c, struct nat_summary *out)
{
    out->mapping = (uint8_t)column_range(c, 0, UINT8_MAX);
    out->filtering = (uint8_t)column_range(c, 0, UINT8_MAX);
    out->allocation = (uint8_t)column_range(c, 0, UINT8_MAX);
    out->refusal = (uint8_t)column_range(c, 0, UINT8_MAX);
    out->pooling = (uint8_t)column_range(c, 0, UINT8_MAX);
    out->confidence = (uint8_t)column_range(c, 0, 100);
    out->delta = (int32_t)column_range(c, INT32_MIN, INT32_MAX);
    out->drift = (uint32_t)column_range(c, 0, UINT32_MAX);
    out->block_low = (uint16_t)column_range(c, 0, UINT16_MAX);
    out->block_high = (uint16_t)column_range(c, 0, UINT16_MAX);
    out->samples = (uint32_t)column_range(c, 0, UINT32_MAX);
    out->features = (uint8_t)column_range(c, 0, UINT8_MAX);
}

static void column_side(struct columns *c, struct row_session *out, int side)
{
    column_nat(c, &out->nat[side]);
    column_endpoint(c, &out->public_endpoint[side]);
    column_endpoint(c, &out->met[side]);
    out->late_us[side] = (int32_t)column_range(c, INT32_MIN, INT32_MAX);
    out->syns[side] = (uint16_t)column_range(c, 0, UINT16_MAX);
    out->refusals[side] = (uint16_t)column_range(c, 0, UINT16_MAX);
    out->elapsed_us[side] = (uint32_t)column_range(c, 0, UINT32_MAX);
    out->clock_bound_us[side] = (uint32_t)column_range(c, 0, UINT32_MAX);
}

void column_session(struct columns *c, struct row_session *out)
{
    column_blob(c, out->id, sizeof(out->id));
    column_blob(c, out->requester, sizeof(out->requester));
    column_blob(c, out->target, sizeof(out->target));
    out->started = column_i64(c);
    column_text(c, out->requester_name, sizeof(out->requester_name));
    column_text(c, out->target_name, sizeof(out->target_name));
    out->finished = column_i64(c);
    out->reason = (uint8_t)column_range(c, 0, UINT8_MAX);
    column_text(c, out->text, sizeof(out->text));
    out->family = (uint8_t)column_range(c, 0, UINT8_MAX);
    out->rounds = (uint8_t)column_range(c, 0, UINT8_MAX);
    out->chance = column_real(c);
    out->punch = column_i64(c);
    out->skew_us = (int32_t)column_range(c, INT32_MIN, INT32_MAX);
    out->accepted_us = (uint32_t)column_range(c, 0, UINT32_MAX);
    out->prepared_us = (uint32_t)column_range(c, 0, UINT32_MAX);
    out->punched_us = (uint32_t)column_range(c, 0, UINT32_MAX);
    column_side(c, out, 0);
    column_side(c, out, 1);
    column_text(c, out->plan, sizeof(out->plan));
}

void column_peer(struct columns *c, struct row_peer *out)
{
    column_blob(c, out->key, sizeof(out->key));
    column_text(c, out->name, sizeof(out->name));
    column_text(c, out->agent, sizeof(out->agent));
    out->first_seen = column_i64(c);
    out->last_seen = column_i64(c);
    column_endpoint(c, &out->observed);
}

void column_invite(struct columns *c, struct row_invite *out)
{
    column_blob(c, out->token_hash, sizeof(out->token_hash));
    column_text(c, out->name, sizeof(out->name));
    out->created = column_i64(c);
    out->expires = column_i64(c);
    out->used = column_i64(c);
    column_blob(c, out->used_by, sizeof(out->used_by));
}

void column_access(struct columns *c, struct row_access *out)
{
    uint8_t key[KEY_SIZE];
    char prefix[ACCESS_TEXT_SIZE];

    out->verdict = (enum access_verdict)column_range(c, ACCESS_ALLOWED, ACCESS_BANNED);
    column_blob(c, key, sizeof(key));
    column_text(c, prefix, sizeof(prefix));
    out->subject = access_of_key(key);
    /* The file may have been edited: a prefix that is none bans nobody. */
    if (*prefix && access_parse(prefix, &out->subject) != ACCESS_PARSED)
        out->verdict = 0;
    out->created = column_i64(c);
    out->expires = column_i64(c);
    column_text(c, out->reason, sizeof(out->reason));
}

void column_profile(struct columns *c, struct row_profile *out)
{
    struct profile *p = &out->profile;

    profile_init(p);
    column_address(c, &out->address);
    column_nat(c, &p->nat);
    out->learnt = column_i64(c);
    out->refusal_learnt = column_i64(c);
    out->filtering_learnt = column_i64(c);
    p->filtering_peer = (uint64_t)column_i64(c);
    p->pooling_peer = (uint64_t)column_i64(c);
    out->simultaneous_learnt = column_i64(c);
    p->simultaneous_peer = (uint64_t)column_i64(c);
    p->last_port = (uint16_t)column_range(c, 0, UINT16_MAX);
    p->low = (uint16_t)column_range(c, 0, UINT16_MAX);
    p->high = (uint16_t)column_range(c, 0, UINT16_MAX);
    p->weight = column_real(c);
    p->drift_sum = column_real(c);
    p->drift_seconds = column_real(c);
    p->hits = (uint32_t)column_range(c, 0, UINT32_MAX);
    p->misses = (uint32_t)column_range(c, 0, UINT32_MAX);
    p->one_address = column_range(c, 0, 1) != 0;
}
