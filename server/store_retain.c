/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "store_internal.h"

/*
 * What is too old goes, in transactions so short that a commit hardly waits for one, and with three
 * times as long a pause after each. A removal that a power failure undoes is made again: it does
 * not wait for the disk.
 *
 * The pages that become free are used again, so that the file stays as large as it was at its
 * fullest; giving them back would move other pages, and the next rows would want them again.
 */

#define LOOK_AGAIN      (60 * TICK_S)
#define SWEEP_AGAIN     (3600 * TICK_S)
#define PAUSE_FACTOR    3
#define PAUSE_LEAST     (2 * TICK_MS)
#define ROWS_LEAST      16
#define ROWS_MOST       1024
#define SLICE_SHORT     (1 * TICK_MS)
#define SLICE_LONG      (4 * TICK_MS)
#define SWEEP_ADDRESSES 16 /* with up to STORE_RING observations each */

/* Runs a removal; what it took is added to *removed. Returns whether it went well. */
static bool removes(struct store_writer *w, enum store_statement which, int64_t *removed)
{
    bool good = store_run(w, which) == SQLITE_DONE;

    sqlite3_clear_bindings(w->statements[which]);
    if (good)
        *removed += sqlite3_changes(w->db);
    return good;
}

static bool remove_sessions(struct store_writer *w, enum store_statement which, int64_t bound,
                            int64_t rows, int64_t *removed)
{
    struct binder b;

    if (rows <= 0)
        return true;
    binder_init(&b, w->statements[which]);
    bind_i64(&b, bound);
    bind_i64(&b, rows);
    return !b.bad && removes(w, which, removed);
}

static bool remove_gaps(struct store_writer *w, stamp before, int64_t *removed)
{
    struct binder b;

    binder_init(&b, w->statements[SQL_AGE_GAPS]);
    bind_i64(&b, before);
    return !b.bad && removes(w, SQL_AGE_GAPS, removed);
}

/* Up to where the next piece of the sweep goes: "" when there is nothing more. */
static bool next_piece(struct store_writer *w, char upto[ENDPOINT_TEXT_SIZE])
{
    struct store_retainer *r = &w->retainer;
    sqlite3_stmt *st =
        w->statements[r->sweep == SQL_SWEEP_NATS ? SQL_PIECE_NATS : SQL_PIECE_OBSERVATIONS];
    struct binder b;

    binder_init(&b, st);
    bind_text(&b, r->after, sizeof(r->after));
    bind_i64(&b, SWEEP_ADDRESSES);
    bool good = !b.bad && sqlite3_step(st) == SQLITE_ROW;
    struct columns c = columns(st);
    upto[0] = '\0';
    if (good)
        column_text(&c, upto, ENDPOINT_TEXT_SIZE);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return good;
}

/* Observations first, and then the NATs. */
static void end_of_table(struct store_retainer *r)
{
    r->sweeping = r->sweep == SQL_SWEEP_OBSERVATIONS;
    r->sweep = SQL_SWEEP_NATS;
    r->after[0] = '\0';
}

static bool sweep(struct store_writer *w, const struct store_retention *wish, stamp now,
                  int64_t *removed)
{
    struct store_retainer *r = &w->retainer;
    stamp age = r->sweep == SQL_SWEEP_NATS ? wish->nats : wish->observations;
    char upto[ENDPOINT_TEXT_SIZE] = "";
    struct binder b;

    if (!r->sweeping)
        return true;
    if (age > 0 && !next_piece(w, upto))
        return false;
    if (upto[0] == '\0') {
        end_of_table(r);
        return true;
    }
    binder_init(&b, w->statements[r->sweep]);
    bind_text(&b, r->after, sizeof(r->after));
    bind_text(&b, upto, sizeof(upto));
    bind_i64(&b, now - age);
    if (b.bad || !removes(w, r->sweep, removed))
        return false;
    snprintf(r->after, sizeof(r->after), "%s", upto);
    return true;
}

static bool remove_slice(struct store_writer *w, const struct store_retention *wish, stamp now,
                         int64_t *removed)
{
    int64_t rows = w->retainer.rows;
    bool good = true;

    *removed = 0;
    if (wish->session_rows > 0)
        good = remove_sessions(w, SQL_TRIM_SESSIONS, (int64_t)wish->session_rows, rows, removed);
    if (good && wish->sessions > 0)
        good =
            remove_sessions(w, SQL_AGE_SESSIONS, now - wish->sessions, rows - *removed, removed) &&
            remove_gaps(w, now - wish->sessions, removed);
    return good && sweep(w, wish, now, removed);
}

/* Returns the rows removed, or -1. */
static int64_t run_slice(struct store_writer *w, const struct store_retention *wish)
{
    int64_t removed = -1;

    if (sqlite3_exec(w->db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL) == SQLITE_OK &&
        store_run(w, SQL_BEGIN) == SQLITE_DONE) {
        if (!remove_slice(w, wish, store_now(), &removed) ||
            store_run(w, SQL_COMMIT) != SQLITE_DONE)
            removed = -1;
        if (!sqlite3_get_autocommit(w->db))
            (void)store_run(w, SQL_ROLLBACK);
    }
    /* Outside of a transaction this cannot fail; what is acknowledged depends on it. */
    if (sqlite3_exec(w->db, "PRAGMA synchronous=FULL", NULL, NULL, NULL))
        log_error("the store cannot go back to writing through: %s", sqlite3_errmsg(w->db));
    return removed;
}

static void measure_file(struct store_writer *w)
{
    sqlite3_stmt *st = w->statements[SQL_PAGES];

    if (sqlite3_step(st) == SQLITE_ROW) {
        struct columns c = columns(st);
        uint64_t bytes = (uint64_t)column_i64(&c), unused = (uint64_t)column_i64(&c);
        pthread_mutex_lock(&w->lock);
        w->health.bytes = bytes;
        w->health.free_bytes = unused;
        pthread_mutex_unlock(&w->lock);
    }
    sqlite3_reset(st);
}

/* What is to be kept; whether it is time to look for the rest. */
static bool take_wish(struct store_writer *w, tick now, struct store_retention *wish)
{
    struct store_retainer *r = &w->retainer;

    pthread_mutex_lock(&w->lock);
    bool changed = w->retention_changed;
    *wish = w->retention;
    w->retention_changed = false;
    pthread_mutex_unlock(&w->lock);
    if (!changed && now < r->due)
        return false;
    if (r->rows == 0)
        r->rows = ROWS_LEAST;
    if (changed || now >= r->sweep_due) {
        r->sweeping = true;
        r->sweep = SQL_SWEEP_OBSERVATIONS;
        r->after[0] = '\0';
        r->sweep_due = now + SWEEP_AGAIN;
    }
    return true;
}

/* As many rows as go into a slice that nobody notices. */
static void fit_rows(struct store_retainer *r, tick took)
{
    if (took > SLICE_LONG)
        r->rows = r->rows / 2 < ROWS_LEAST ? ROWS_LEAST : r->rows / 2;
    else if (took < SLICE_SHORT)
        r->rows = r->rows * 2 > ROWS_MOST ? ROWS_MOST : r->rows * 2;
}

static bool keeps_all(const struct store_retention *wish)
{
    return wish->sessions == 0 && wish->observations == 0 && wish->nats == 0 &&
           wish->session_rows == 0;
}

void store_retain_turn(struct store_writer *w)
{
    struct store_retainer *r = &w->retainer;
    tick begun = store_clock();
    struct store_retention wish;

    if (!take_wish(w, begun, &wish))
        return;
    int64_t rows = r->rows, removed = keeps_all(&wish) ? 0 : run_slice(w, &wish);
    tick now = store_clock(), took = now - begun;
    if (keeps_all(&wish) || removed < 0 || (removed < rows && !r->sweeping)) {
        measure_file(w);
        r->due = now + LOOK_AGAIN;
    } else {
        r->due = now + tick_max(took * PAUSE_FACTOR, PAUSE_LEAST);
    }
    fit_rows(r, took);
    pthread_mutex_lock(&w->lock);
    w->health.removed += removed > 0 ? (uint64_t)removed : 0;
    pthread_mutex_unlock(&w->lock);
}
