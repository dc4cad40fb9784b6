/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "log.h"
#include "proto/reason.h"
#include "store_internal.h"

/*
 * The writer takes what is queued and commits it in one transaction. It does not wait for a batch
 * to fill: rows that arrive during a commit make up the next one, so batches grow with the load and
 * a row that comes alone is on disk at once.
 */

#define RETRY_FIRST (100 * TICK_MS)
#define RETRY_MOST  (5 * TICK_S)
/* Retries at the end: about three seconds for the disk to come back. */
#define RETRIES_CLOSING 5

enum put_result { PUT_DONE, PUT_DROPPED, PUT_FAILED };

int store_run(struct store_writer *w, enum store_statement which)
{
    sqlite3_stmt *st = w->statements[which];
    int result = sqlite3_step(st);

    /* A reset repeats the step's code; what counts is the one above. */
    sqlite3_reset(st);
    return result;
}

static void begin(struct binder *b, struct store_writer *w, enum store_statement which)
{
    binder_init(b, w->statements[which]);
}

static int done(struct store_writer *w, enum store_statement which, const struct binder *b)
{
    int result = b->bad ? sqlite3_errcode(w->db) : store_run(w, which);

    sqlite3_clear_bindings(w->statements[which]);
    return result;
}

static int touch_peer(struct store_writer *w, const struct row_peer *row)
{
    struct binder b;

    begin(&b, w, SQL_TOUCH_PEER);
    bind_text(&b, row->agent, sizeof(row->agent));
    bind_i64(&b, row->first_seen);
    bind_i64(&b, row->last_seen);
    bind_endpoint(&b, &row->observed);
    bind_i64(&b, row->member);
    bind_blob(&b, row->key, sizeof(row->key));
    bind_text(&b, row->name, sizeof(row->name));
    return done(w, SQL_TOUCH_PEER, &b);
}

static int free_name(struct store_writer *w, const char name[PEER_NAME_SIZE],
                     const uint8_t key[KEY_SIZE])
{
    struct binder b;

    begin(&b, w, SQL_FREE_NAME);
    bind_text(&b, name, PEER_NAME_SIZE);
    bind_blob(&b, key, KEY_SIZE);
    return done(w, SQL_FREE_NAME, &b);
}

static int put_peer(struct store_writer *w, const struct row_peer *row)
{
    int result = touch_peer(w, row);

    if (result != SQLITE_DONE || sqlite3_changes(w->db) > 0)
        return result;
    if (row->name[0] && (result = free_name(w, row->name, row->key)) != SQLITE_DONE)
        return result;
    struct binder b;
    begin(&b, w, SQL_PUT_PEER);
    bind_blob(&b, row->key, sizeof(row->key));
    bind_text(&b, row->name, sizeof(row->name));
    bind_text(&b, row->agent, sizeof(row->agent));
    bind_i64(&b, row->first_seen);
    bind_i64(&b, row->last_seen);
    bind_endpoint(&b, &row->observed);
    bind_i64(&b, row->member);
    return done(w, SQL_PUT_PEER, &b);
}

static int put_name(struct store_writer *w, const struct row_name *row)
{
    struct binder b;
    int result = row->name[0] ? free_name(w, row->name, row->key) : SQLITE_DONE;

    if (result != SQLITE_DONE)
        return result;
    begin(&b, w, SQL_SET_NAME);
    bind_text(&b, row->name, sizeof(row->name));
    bind_blob(&b, row->key, sizeof(row->key));
    return done(w, SQL_SET_NAME, &b);
}

static int put_leave(struct store_writer *w, const struct row_leave *row)
{
    struct binder b;

    begin(&b, w, SQL_LEAVE);
    bind_blob(&b, row->key, sizeof(row->key));
    return done(w, SQL_LEAVE, &b);
}

static int put_profile(struct store_writer *w, const struct row_profile *row)
{
    const struct profile *p = &row->profile;
    struct binder b;

    begin(&b, w, SQL_PUT_NAT);
    bind_address(&b, &row->address);
    bind_nat(&b, &p->nat);
    bind_i64(&b, row->learnt);
    bind_i64(&b, row->refusal_learnt);
    bind_i64(&b, row->filtering_learnt);
    bind_i64(&b, (int64_t)p->filtering_peer);
    bind_i64(&b, (int64_t)p->pooling_peer);
    bind_i64(&b, row->simultaneous_learnt);
    bind_i64(&b, (int64_t)p->simultaneous_peer);
    bind_i64(&b, p->last_port);
    bind_i64(&b, p->low);
    bind_i64(&b, p->high);
    bind_real(&b, p->weight);
    bind_real(&b, p->drift_sum);
    bind_real(&b, p->drift_seconds);
    bind_i64(&b, p->hits);
    bind_i64(&b, p->misses);
    bind_i64(&b, p->one_address);
    return done(w, SQL_PUT_NAT, &b);
}

static int put_observation(struct store_writer *w, const struct row_observation *row)
{
    const struct observation *o = &row->observation;
    struct binder b;

    begin(&b, w, SQL_PUT_OBSERVATION);
    bind_address(&b, &o->observed);
    bind_i64(&b, row->at);
    bind_blob(&b, row->peer_key, sizeof(row->peer_key));
    bind_i64(&b, o->observed.port);
    bind_endpoint(&b, &o->local);
    bind_endpoint(&b, &o->server);
    bind_i64(&b, o->socket);
    bind_i64(&b, o->step);
    bind_i64(&b, o->burst);
    int result = done(w, SQL_PUT_OBSERVATION, &b);
    if (result != SQLITE_DONE)
        return result;
    begin(&b, w, SQL_TRIM_OBSERVATIONS);
    bind_address(&b, &o->observed);
    return done(w, SQL_TRIM_OBSERVATIONS, &b);
}

static void bind_side(struct binder *b, const struct row_session *row, int side)
{
    bind_nat(b, &row->nat[side]);
    bind_endpoint(b, &row->public_endpoint[side]);
    bind_endpoint(b, &row->met[side]);
    bind_i64(b, row->late_us[side]);
    bind_i64(b, row->syns[side]);
    bind_i64(b, row->refusals[side]);
    bind_i64(b, row->elapsed_us[side]);
    bind_i64(b, row->clock_bound_us[side]);
}

static void bind_session(struct binder *b, const struct row_session *row)
{
    bind_blob(b, row->id, sizeof(row->id));
    bind_blob(b, row->requester, sizeof(row->requester));
    bind_blob(b, row->target, sizeof(row->target));
    bind_i64(b, row->started);
    bind_text(b, row->requester_name, sizeof(row->requester_name));
    bind_text(b, row->target_name, sizeof(row->target_name));
    bind_i64(b, row->finished);
    bind_i64(b, row->reason);
    bind_text(b, row->text, sizeof(row->text));
    bind_i64(b, row->family);
    bind_i64(b, row->rounds);
    bind_real(b, row->chance);
    bind_i64(b, row->punch);
    bind_i64(b, row->skew_us);
    bind_i64(b, row->accepted_us);
    bind_i64(b, row->prepared_us);
    bind_i64(b, row->punched_us);
    bind_side(b, row, 0);
    bind_side(b, row, 1);
    bind_text(b, row->plan, sizeof(row->plan));
}

static int drop_active(struct store_writer *w, const struct row_session *row)
{
    struct binder b;

    begin(&b, w, SQL_DROP_ACTIVE);
    bind_i64(&b, row->started);
    bind_blob(&b, row->id, sizeof(row->id));
    return done(w, SQL_DROP_ACTIVE, &b);
}

static int drop_finished(struct store_writer *w, const struct row_session *row)
{
    struct binder b;

    begin(&b, w, SQL_DROP_SESSION);
    bind_i64(&b, row->started);
    bind_i64(&b, store_id_tag(row->id));
    bind_blob(&b, row->id, sizeof(row->id));
    return done(w, SQL_DROP_SESSION, &b);
}

static int put_session(struct store_writer *w, const struct row_session *row)
{
    struct binder b;
    int result;

    if (row->finished == 0) {
        begin(&b, w, SQL_PUT_ACTIVE);
        bind_session(&b, row);
        return done(w, SQL_PUT_ACTIVE, &b);
    }
    if ((result = drop_active(w, row)) != SQLITE_DONE ||
        (result = drop_finished(w, row)) != SQLITE_DONE)
        return result;
    begin(&b, w, SQL_PUT_SESSION);
    bind_i64(&b, store_key_tag(row->requester));
    bind_i64(&b, store_key_tag(row->target));
    bind_i64(&b, store_id_tag(row->id));
    bind_session(&b, row);
    return done(w, SQL_PUT_SESSION, &b);
}

/* One at a time, since each is taken off the table that is read. */
static int abort_one(struct store_writer *w, sqlite3_stmt *select, int64_t now)
{
    struct row_session row;
    int result = sqlite3_step(select);

    if (result != SQLITE_ROW) {
        sqlite3_reset(select);
        return result;
    }
    struct columns c = columns(select);
    memset(&row, 0, sizeof(row));
    column_session(&c, &row);
    sqlite3_reset(select);
    row.finished = now > row.started ? now : row.started;
    row.reason = REASON_ABORTED;
    return put_session(w, &row) == SQLITE_DONE ? SQLITE_ROW : SQLITE_ERROR;
}

int store_abort_active(struct store_writer *w, unsigned *rows)
{
    sqlite3_stmt *select = NULL;
    int result = SQLITE_ERROR;

    *rows = 0;
    if (store_run(w, SQL_BEGIN) != SQLITE_DONE)
        return -1;
    if (sqlite3_prepare_v2(w->db, "SELECT " SESSION_NAMES " FROM sessions_active LIMIT 1", -1,
                           &select, NULL) == SQLITE_OK)
        while ((result = abort_one(w, select, store_now())) == SQLITE_ROW)
            (*rows)++;
    sqlite3_finalize(select);
    if (result == SQLITE_DONE && store_run(w, SQL_COMMIT) == SQLITE_DONE)
        return 0;
    (void)store_run(w, SQL_ROLLBACK);
    return -1;
}

static int put_invite(struct store_writer *w, const struct row_invite *row)
{
    struct binder b;

    begin(&b, w, SQL_PUT_INVITE);
    bind_blob(&b, row->token_hash, sizeof(row->token_hash));
    bind_text(&b, row->name, sizeof(row->name));
    bind_i64(&b, row->created);
    bind_i64(&b, row->expires);
    bind_i64(&b, row->used);
    bind_blob(&b, row->used_by, sizeof(row->used_by));
    return done(w, SQL_PUT_INVITE, &b);
}

static int put_join(struct store_writer *w, const struct row_join *row)
{
    int result = put_invite(w, &row->invite);

    return result == SQLITE_DONE ? put_peer(w, &row->peer) : result;
}

static int put_revoke(struct store_writer *w, const struct row_revoke *row)
{
    struct binder b;

    begin(&b, w, SQL_DROP_INVITE);
    bind_blob(&b, row->token_hash, sizeof(row->token_hash));
    return done(w, SQL_DROP_INVITE, &b);
}

static int put_access(struct store_writer *w, const struct row_access *row)
{
    enum store_statement which = row->removed ? SQL_DROP_ACCESS : SQL_PUT_ACCESS;
    bool by_key = row->subject.kind == ACCESS_KEY;
    char prefix[ACCESS_TEXT_SIZE] = "";
    struct binder b;

    if (!by_key)
        access_format(&row->subject, prefix);
    begin(&b, w, which);
    bind_i64(&b, row->verdict);
    bind_blob(&b, row->subject.bytes, by_key ? KEY_SIZE : 0);
    bind_text(&b, prefix, sizeof(prefix));
    if (!row->removed) {
        bind_i64(&b, row->created);
        bind_i64(&b, row->expires);
        bind_text(&b, row->reason, sizeof(row->reason));
    }
    return done(w, which, &b);
}

static int put_expire(struct store_writer *w, const struct row_expire *row)
{
    struct binder b;

    begin(&b, w, SQL_EXPIRE_ACCESS);
    bind_i64(&b, row->now);
    int result = done(w, SQL_EXPIRE_ACCESS, &b);
    if (result != SQLITE_DONE)
        return result;
    begin(&b, w, SQL_EXPIRE_INVITES);
    bind_i64(&b, row->now);
    bind_i64(&b, row->now - STORE_INVITE_HISTORY);
    return done(w, SQL_EXPIRE_INVITES, &b);
}

static int put_row(struct store_writer *w, const struct row *row)
{
    switch (row->kind) {
    case ROW_PEER:
        return put_peer(w, &row->peer);
    case ROW_PROFILE:
        return put_profile(w, &row->profile);
    case ROW_OBSERVATION:
        return put_observation(w, &row->observation);
    case ROW_SESSION:
        return put_session(w, &row->session);
    case ROW_INVITE:
        return put_invite(w, &row->invite);
    case ROW_JOIN:
        return put_join(w, &row->join);
    case ROW_REVOKE:
        return put_revoke(w, &row->revoke);
    case ROW_ACCESS:
        return put_access(w, &row->access);
    case ROW_NAME:
        return put_name(w, &row->name);
    case ROW_LEAVE:
        return put_leave(w, &row->leave);
    case ROW_EXPIRE:
        return put_expire(w, &row->expire);
    }
    return SQLITE_MISMATCH;
}

/*
 * A row that breaks a rule of the schema would break it for ever, and hold up all that come after
 * it: it is left out, and said so. Never a session: their columns have no rule to break, and if one
 * does fail, waiting is better than losing it.
 */
static enum put_result put_queued(struct store_writer *w, const struct queued *q)
{
    struct row row;

    memcpy(&row, q->bytes, q->size);
    int result = put_row(w, &row);
    if (result == SQLITE_DONE)
        return PUT_DONE;
    int code = result & 0xff;
    bool its_fault = code == SQLITE_CONSTRAINT || code == SQLITE_MISMATCH ||
                     code == SQLITE_TOOBIG || code == SQLITE_RANGE;
    if (!its_fault || row.kind == ROW_SESSION || sqlite3_get_autocommit(w->db))
        return PUT_FAILED;
    log_error("the store cannot take a row of kind %d: %s; left out", (int)row.kind,
              code == SQLITE_CONSTRAINT ? sqlite3_errmsg(w->db) : sqlite3_errstr(code));
    return PUT_DROPPED;
}

static bool gap_is_empty(const struct store_gap *gap)
{
    return gap->since == 0;
}

/* What was given up, and the error that was to blame. */
static struct store_gap take_gap(struct store_writer *w, char *why, size_t size)
{
    pthread_mutex_lock(&w->lock);
    struct store_gap gap = w->gap;
    snprintf(why, size, "%s",
             w->health.error[0] ? w->health.error : "more than the disk could take");
    pthread_mutex_unlock(&w->lock);
    return gap;
}

static bool put_gap(struct store_writer *w, const struct store_gap *gap, const char *why)
{
    struct binder b;

    if (gap_is_empty(gap))
        return true;
    begin(&b, w, SQL_PUT_GAP);
    bind_i64(&b, gap->since);
    bind_i64(&b, gap->until);
    bind_i64(&b, (int64_t)gap->sessions);
    bind_i64(&b, (int64_t)gap->observations);
    bind_i64(&b, (int64_t)gap->profiles);
    bind_text(&b, why, strlen(why));
    return done(w, SQL_PUT_GAP, &b) == SQLITE_DONE;
}

/*
 * SQLite goes on in a file that was removed, renamed or replaced under it, and says that all is
 * well: nobody would ever find these rows.
 */
static const char *file_trouble(const struct store_writer *w, const char *path)
{
    char log[4096];
    struct stat st;
    int moved = 0;

    if (sqlite3_file_control(w->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved)
        return "the database was removed or replaced; put it back, or restart trystd to use what "
               "is there now";
    snprintf(log, sizeof(log), "%s-wal", path);
    if (w->log && (stat(log, &st) || st.st_ino != w->log))
        return "the database's log (-wal) was removed or replaced; restart trystd, which saves "
               "what it holds";
    return NULL;
}

/* Returns 0 with all rows on disk, or -1 with none of them, and the reason in error. */
static int commit_batch(struct store_writer *w, const char *path, const struct queued *batch,
                        struct store_gap *gap, uint64_t *dropped, char *error, size_t size)
{
    enum put_result result = PUT_DONE;
    char why[sizeof(w->health.error)];

    *dropped = 0;
    bool good = store_run(w, SQL_BEGIN) == SQLITE_DONE;
    for (const struct queued *q = batch; good && q; q = q->next) {
        result = put_queued(w, q);
        *dropped += result == PUT_DROPPED;
        good = result != PUT_FAILED;
    }
    /* Late, for the beginning may have waited for somebody's lock. */
    *gap = take_gap(w, why, sizeof(why));
    if (good && put_gap(w, gap, why) && store_run(w, SQL_COMMIT) == SQLITE_DONE) {
        const char *trouble = file_trouble(w, path);
        if (!trouble)
            return 0;
        snprintf(error, size, "%s", trouble);
        return -1; /* it is written again once the file is back; no row minds */
    }
    snprintf(error, size, "%s", sqlite3_errmsg(w->db));
    if (!sqlite3_get_autocommit(w->db)) /* some failures have rolled back already */
        (void)store_run(w, SQL_ROLLBACK);
    return -1;
}

/*
 * Waits for rows and takes up to a batch of them off the queue. NULL: it is time to remove old
 * ones; or the store is closing and nothing is left, with *over set.
 */
static struct queued *take_batch(struct store_writer *w, size_t *rows, size_t *bytes, bool *over)
{
    tick due = w->retainer.due;
    struct timespec until = {.tv_sec = due / TICK_S, .tv_nsec = due % TICK_S};
    int timed_out = 0;

    *rows = *bytes = 0;
    pthread_mutex_lock(&w->lock);
    while (!w->first && !w->closing && !w->retention_changed && !timed_out)
        timed_out = pthread_cond_timedwait(&w->news, &w->lock, &until);
    *over = w->closing && !w->first;
    struct queued *batch = w->first, *last = NULL;
    for (struct queued *q = batch; q && *rows < STORE_BATCH; q = q->next) {
        *bytes += q->size;
        (*rows)++;
        last = q;
    }
    if (last) {
        w->first = last->next;
        last->next = NULL;
        if (!w->first)
            w->last = NULL;
    }
    pthread_mutex_unlock(&w->lock);
    return batch;
}

static void close_gap(struct store_gap *gap, const struct store_gap *told)
{
    gap->sessions -= told->sessions;
    gap->observations -= told->observations;
    gap->profiles -= told->profiles;
    gap->since = gap->sessions + gap->observations + gap->profiles > 0 ? told->until : 0;
}

static void report_success(struct store_writer *w, size_t rows, size_t bytes, uint64_t dropped,
                           const struct store_gap *gap, tick took)
{
    pthread_mutex_lock(&w->lock);
    bool recovered = w->health.degraded;
    w->begun = 0;
    close_gap(&w->gap, gap);
    w->rows -= rows;
    w->bytes -= bytes;
    w->health.degraded = false;
    w->health.error[0] = '\0';
    w->health.commits++;
    w->health.rows += rows - dropped;
    w->health.dropped += dropped;
    histogram_observe(&w->health.commit, took);
    w->health.commit_last = took;
    w->health.commit_worst = tick_max(w->health.commit_worst, took);
    atomic_fetch_add(&w->committed, rows);
    pthread_mutex_unlock(&w->lock);
    if (gap->sessions > 0)
        log_warning("the store writes again; %" PRIu64 " sessions were not recorded",
                    gap->sessions);
    else if (recovered)
        log_notice("the store can write again; no session was lost");
}

/* Returns whether somebody is waiting for the store to close. */
static bool report_failure(struct store_writer *w, const char *path, const char *error)
{
    pthread_mutex_lock(&w->lock);
    bool news = !w->health.degraded || strcmp(w->health.error, error) != 0;
    w->begun = 0;
    bool closing = w->closing;
    w->health.degraded = true;
    snprintf(w->health.error, sizeof(w->health.error), "%s", error);
    pthread_mutex_unlock(&w->lock);
    if (news)
        log_error("%s: cannot write: %s; rows are kept and it is tried again", path, error);
    return closing;
}

/* Sleeps, but not beyond the moment at which the store is told to close. */
static void pause_for(struct store_writer *w, tick interval)
{
    tick until = store_clock() + interval;
    struct timespec ts = {.tv_sec = until / TICK_S, .tv_nsec = until % TICK_S};
    int timed_out = 0;

    pthread_mutex_lock(&w->lock);
    bool closing = w->closing;
    while (!timed_out && w->closing == closing)
        timed_out = pthread_cond_timedwait(&w->news, &w->lock, &ts);
    pthread_mutex_unlock(&w->lock);
}

static tick note_begin(struct store_writer *w)
{
    tick now = store_clock();

    pthread_mutex_lock(&w->lock);
    w->begun = now;
    pthread_mutex_unlock(&w->lock);
    return now;
}

/* Commits a batch, however often it takes. Returns -1 when the store closes and the disk stays
 * away. */
static int write_batch(struct store *s, const struct queued *batch, size_t rows, size_t bytes)
{
    struct store_writer *w = &s->writer;
    char error[sizeof(w->health.error)];
    tick wait = RETRY_FIRST;
    unsigned closing_tries = 0;
    uint64_t dropped;
    struct store_gap gap;

    for (;;) {
        tick begun = note_begin(w);
        if (commit_batch(w, s->path, batch, &gap, &dropped, error, sizeof(error)) == 0) {
            report_success(w, rows, bytes, dropped, &gap, store_clock() - begun);
            return 0;
        }
        bool closing = report_failure(w, s->path, error);
        if (s->wake)
            s->wake(s->user);
        if (closing) {
            if (closing_tries == 0)
                wait = RETRY_FIRST;
            if (++closing_tries > RETRIES_CLOSING)
                return -1;
        }
        pause_for(w, wait);
        wait = tick_min(wait * 2, RETRY_MOST);
    }
}

static bool gap_is_open(struct store_writer *w)
{
    pthread_mutex_lock(&w->lock);
    bool open = !gap_is_empty(&w->gap);
    pthread_mutex_unlock(&w->lock);
    return open;
}

static void free_batch(struct queued *q)
{
    while (q) {
        struct queued *next = q->next;
        free(q);
        q = next;
    }
}

static int write_rows(struct store *s, struct queued *batch, size_t rows, size_t bytes)
{
    int bad = write_batch(s, batch, rows, bytes);

    free_batch(batch);
    /* What was given up while that was written. */
    if (!bad && gap_is_open(&s->writer))
        bad = write_batch(s, NULL, 0, 0);
    if (!bad && s->wake)
        s->wake(s->user);
    return bad;
}

void *store_writer_run(void *store)
{
    struct store *s = store;
    struct store_writer *w = &s->writer;
    struct queued *batch;
    size_t rows, bytes;
    bool over;
    int bad = 0;

    while (!bad && ((batch = take_batch(w, &rows, &bytes, &over)) || !over)) {
        if (batch)
            bad = write_rows(s, batch, rows, bytes);
        if (!bad)
            store_retain_turn(w);
    }
    if (bad)
        log_error("%s: %" PRIu64 " rows could not be written before the end", s->path,
                  store_pending(s));
    return NULL;
}
