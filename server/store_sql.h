/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_STORE_SQL_H
#define TRYST_STORE_SQL_H

#include <sqlite3.h>
#include <stdbool.h>

#include "store.h"

/* Every statement of writer and loader, and the columns of a session, once. */

enum store_statement {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_PUT_ACTIVE,
    SQL_DROP_ACTIVE,
    SQL_DROP_SESSION,
    SQL_PUT_SESSION,
    SQL_TOUCH_PEER,
    SQL_FREE_NAME,
    SQL_PUT_PEER,
    SQL_PUT_NAT,
    SQL_PUT_OBSERVATION,
    SQL_TRIM_OBSERVATIONS,
    SQL_PUT_INVITE,
    SQL_DROP_INVITE,
    SQL_PUT_ACCESS,
    SQL_DROP_ACCESS,
    SQL_SET_NAME,
    SQL_LEAVE,
    SQL_EXPIRE_ACCESS,
    SQL_EXPIRE_INVITES,
    SQL_PUT_GAP,
    SQL_TRIM_SESSIONS,
    SQL_AGE_SESSIONS,
    SQL_AGE_GAPS,
    SQL_PIECE_OBSERVATIONS,
    SQL_SWEEP_OBSERVATIONS,
    SQL_PIECE_NATS,
    SQL_SWEEP_NATS,
    SQL_PAGES,
    SQL_WRITER_STATEMENTS
};

extern const char *const store_sql[SQL_WRITER_STATEMENTS];

/* How many observations are kept of one address. */
#define STORE_RING 64

/* clang-format off */

/* The columns of a session in the order in which statements name and bind them; `plan` follows. */
#define SESSION_NAT_COLUMNS(X, p) \
    X(p "mapping") X(p "filtering") X(p "allocation") X(p "refusal") X(p "pooling") \
    X(p "confidence") X(p "delta") X(p "drift") X(p "block_low") X(p "block_high") X(p "samples") \
    X(p "features")
#define SESSION_SIDE_COLUMNS(X, p) \
    SESSION_NAT_COLUMNS(X, p) \
    X(p "public") X(p "met") X(p "late_us") X(p "syns") X(p "refusals") X(p "elapsed_us") \
    X(p "clock_bound_us")
#define SESSION_COLUMNS(X) \
    X("id") X("requester") X("target") X("started") X("requester_name") X("target_name") \
    X("finished") X("reason") X("detail") X("family") X("rounds") X("chance") X("punch") \
    X("skew_us") X("accepted_us") X("prepared_us") X("punched_us") \
    SESSION_SIDE_COLUMNS(X, "requester_") SESSION_SIDE_COLUMNS(X, "target_")
#define SQL_NAME(column) column ","
#define SQL_VALUE(column) "?,"
#define SESSION_NAMES SESSION_COLUMNS(SQL_NAME) "plan"
#define SESSION_VALUES SESSION_COLUMNS(SQL_VALUE) "?"

/* The columns of a NAT profile, likewise; `one_address` follows. */
#define NAT_COLUMNS(X) \
    X("address") SESSION_NAT_COLUMNS(X, "") X("learnt") X("refusal_learnt") \
    X("filtering_learnt") X("filtering_peer") X("pooling_peer") \
    X("simultaneous_learnt") X("simultaneous_peer") X("last_port") \
    X("low") X("high") X("weight") X("drift_sum") X("drift_seconds") X("hits") X("misses")
#define NAT_NAMES NAT_COLUMNS(SQL_NAME) "one_address"
#define PEER_NAMES "key,name,agent,first_seen,last_seen,observed"
#define INVITE_NAMES "token_hash,name,created,expires,used,used_by"

/* clang-format on */

/* What the index of sessions knows of a key (31 bits) and of an id (48 bits, in the id's own
 * order). */
int64_t store_key_tag(const uint8_t key[KEY_SIZE]);
int64_t store_id_tag(const uint8_t id[MSG_ID_SIZE]);

/* A statement's parameters from left to right; a failure sticks. To be kept until the step is done.
 */
#define BINDER_ENDPOINTS 4 /* as many as a session has */
struct binder {
    sqlite3_stmt *st;
    int at;
    bool bad;
    unsigned endpoints;
    char texts[BINDER_ENDPOINTS][ENDPOINT_TEXT_SIZE]; /* so that SQLite need not copy them */
};
void binder_init(struct binder *b, sqlite3_stmt *st);
void bind_i64(struct binder *b, int64_t v);
void bind_real(struct binder *b, double v);
void bind_blob(struct binder *b, const void *bytes, size_t size);
/* At most `size` bytes of text; it must outlive the step. */
void bind_text(struct binder *b, const char *text, size_t size);
void bind_endpoint(struct binder *b, const struct endpoint *e);
void bind_address(struct binder *b, const struct endpoint *e);
void bind_nat(struct binder *b, const struct nat_summary *nat);

/* A result row from left to right. Wrong types and lengths read as zero: the file may have been
 * edited. */
struct columns {
    sqlite3_stmt *st;
    int at;
};
struct columns columns(sqlite3_stmt *st);
int64_t column_i64(struct columns *c);
int64_t column_range(struct columns *c, int64_t least, int64_t most);
double column_real(struct columns *c);
void column_blob(struct columns *c, void *out, size_t size);
void column_text(struct columns *c, char *out, size_t size);
void column_endpoint(struct columns *c, struct endpoint *out);
void column_nat(struct columns *c, struct nat_summary *out);
void column_session(struct columns *c, struct row_session *out);
void column_peer(struct columns *c, struct row_peer *out);
void column_invite(struct columns *c, struct row_invite *out);
void column_access(struct columns *c, struct row_access *out);
void column_profile(struct columns *c, struct row_profile *out);

#endif
