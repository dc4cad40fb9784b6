/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "store_job.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "show.h"
#include "store_internal.h"
#include "thread.h"

/*
 * What takes long, one at a time, in a thread and on a connection of its own: neither queries nor
 * commits wait for it. While it reads, the write-ahead log cannot start anew, so it is given up
 * where the log grows too much.
 */

#define LOG_MOST       ((off_t)1 << 30)
#define CHECK_MOST     (600 * TICK_S)
#define PROBLEMS_MOST  20
#define PROGRESS_STEPS 20000

void store_job_init(struct store_job *j)
{
    pthread_mutex_init(&j->lock, NULL);
}

void store_job_destroy(struct store_job *j)
{
    pthread_mutex_destroy(&j->lock);
}

json_t *store_job_refuse(const char *text)
{
    return json_pack("{s:b, s:o}", "ok", 0, "error", show_text(text));
}

const char *store_job_trouble(struct store_job *j)
{
    char log[4096];
    struct stat st;
    tick now = store_clock();

    if (atomic_load(&j->stop))
        return "it was interrupted";
    if (now < j->look)
        return NULL;
    j->look = now + TICK_S;
    if (now - j->begun > CHECK_MOST)
        return "it took more than ten minutes; make a backup and look at that";
    snprintf(log, sizeof(log), "%s-wal", j->path);
    if (stat(log, &st) == 0 && st.st_size > LOG_MOST)
        return "too much was written meanwhile; try again when there is less to do";
    return NULL;
}

static int on_progress(void *job)
{
    struct store_job *j = job;

    j->trouble = store_job_trouble(j);
    return j->trouble != NULL;
}

/* Whether the database on this connection is sound; what is wrong is appended to the list. */
int store_job_examine(struct store_job *j, sqlite3 *db, bool quick, json_t *problems)
{
    const char *sql = quick ? "PRAGMA quick_check(20)" : "PRAGMA integrity_check(20)";
    sqlite3_stmt *st = NULL;
    int result;

    sqlite3_progress_handler(db, PROGRESS_STEPS, on_progress, j);
    result = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    while ((result == SQLITE_OK || result == SQLITE_ROW) &&
           (result = sqlite3_step(st)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(st, 0);
        if (text && strcmp(text, "ok") != 0 && json_array_size(problems) < PROBLEMS_MOST)
            json_array_append_new(problems, show_text(text));
    }
    sqlite3_finalize(st);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    return result == SQLITE_DONE ? 0 : -1;
}

static json_t *check_answer(struct store_job *j, bool quick, json_t *problems)
{
    size_t count = json_array_size(problems);
    char text[512];

    if (count == 0)
        return json_pack("{s:b, s:b, s:I, s:O}", "ok", 1, "quick", quick, "took_us",
                         (json_int_t)((store_clock() - j->begun) / TICK_US), "problems", problems);
    snprintf(text, sizeof(text),
             "the database is damaged: %.256s%s; restore a backup, or try 'sqlite3 %s .recover'",
             json_string_value(json_array_get(problems, 0)), count > 1 ? ", and more" : "",
             j->path);
    return json_pack("{s:b, s:o, s:O}", "ok", 0, "error", show_text(text), "problems", problems);
}

static json_t *check(struct store_job *j)
{
    json_t *problems = json_array(), *answer = NULL;
    char text[320];
    sqlite3 *db = NULL;

    int bad = sqlite3_open_v2(j->path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (!bad)
        bad = store_job_examine(j, db, j->order.quick, problems);
    if (!bad) {
        answer = check_answer(j, j->order.quick, problems);
    } else if ((sqlite3_errcode(db) & 0xff) == SQLITE_CORRUPT) {
        json_array_append_new(problems, show_text(sqlite3_errmsg(db)));
        answer = check_answer(j, j->order.quick, problems);
    } else {
        snprintf(text, sizeof(text), "the check did not end: %s",
                 j->trouble ? j->trouble : sqlite3_errmsg(db));
        answer = store_job_refuse(text);
    }
    sqlite3_close(db);
    json_decref(problems);
    return answer;
}

static void *run(void *store)
{
    struct store *s = store;
    struct store_job *j = &s->job;
    json_t *answer = j->order.what == QUERY_BACKUP ? store_backup(j) : check(j);
    char *text = answer ? json_dumps(answer, SHOW_FLAGS) : NULL;

    json_decref(answer);
    pthread_mutex_lock(&j->lock);
    j->running = false;
    pthread_mutex_unlock(&j->lock);
    store_post(s, j->order.ticket, text);
    return NULL;
}

const char *store_job_begin(struct store *s, const struct store_query *order)
{
    struct store_job *j = &s->job;

    pthread_mutex_lock(&j->lock);
    bool busy = j->running;
    pthread_mutex_unlock(&j->lock);
    if (busy)
        return "a check or a backup is under way; one at a time";
    if (j->started)
        pthread_join(j->thread, NULL); /* it has ended, or is about to */
    j->order = *order;
    j->path = s->path;
    j->begun = store_clock();
    j->look = 0;
    j->trouble = NULL;
    atomic_store(&j->stop, false);
    atomic_store(&j->done, 0);
    atomic_store(&j->total, 0);
    j->running = true;
    j->started = thread_start(&j->thread, run, s) == 0;
    if (j->started)
        return NULL;
    j->running = false;
    return "cannot start a thread for it; is there a limit on tasks?";
}

void store_job_cancel(struct store_job *j, uint64_t ticket)
{
    pthread_mutex_lock(&j->lock);
    if (j->running && (ticket == 0 || j->order.ticket == ticket))
        atomic_store(&j->stop, true);
    pthread_mutex_unlock(&j->lock);
}

void store_job_end(struct store_job *j)
{
    store_job_cancel(j, 0);
    if (j->started)
        pthread_join(j->thread, NULL);
    j->started = false;
}

void store_job_health(struct store_job *j, struct store_health *out)
{
    pthread_mutex_lock(&j->lock);
    bool running = j->running;
    pthread_mutex_unlock(&j->lock);
    if (!running)
        return;
    out->job = j->order.what == QUERY_BACKUP ? "backup" : "check-store";
    out->job_done = atomic_load(&j->done);
    out->job_total = atomic_load(&j->total);
}
