/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "store.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "show.h"
#include "store_internal.h"
#include "thread.h"

int64_t store_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

tick store_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * TICK_S + now.tv_nsec;
}

static int start_threads(struct store *s)
{
    int bad = thread_start(&s->writer.thread, store_writer_run, s);

    if (bad)
        return bad;
    bad = thread_start(&s->reader.thread, store_reader_run, s);
    if (bad) {
        pthread_mutex_lock(&s->writer.lock);
        s->writer.closing = true;
        pthread_cond_signal(&s->writer.news);
        pthread_mutex_unlock(&s->writer.lock);
        pthread_join(s->writer.thread, NULL);
    }
    return bad;
}

static void init_condition(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

static void release(struct store *s)
{
    store_close_files(s);
    pthread_cond_destroy(&s->writer.news);
    pthread_cond_destroy(&s->reader.news);
    pthread_mutex_destroy(&s->writer.lock);
    pthread_mutex_destroy(&s->reader.lock);
    store_job_destroy(&s->job);
    free(s->path);
    free(s);
}

struct store *store_open(const char *path, void (*wake)(void *user), void *user, char *err,
                         size_t err_size)
{
    struct store *s = calloc(1, sizeof(*s));

    if (!s) {
        snprintf(err, err_size, "not enough memory for the store");
        return NULL;
    }
    s->wake = wake;
    s->user = user;
    s->lock_fd = -1;
    pthread_mutex_init(&s->writer.lock, NULL);
    pthread_mutex_init(&s->reader.lock, NULL);
    init_condition(&s->writer.news);
    init_condition(&s->reader.news);
    store_job_init(&s->job);
    if (store_open_files(s, path, err, err_size)) {
        release(s);
        return NULL;
    }
    if (start_threads(s)) {
        snprintf(err, err_size, "cannot start the store's threads; is there a limit on tasks?");
        release(s);
        return NULL;
    }
    return s;
}

/* The bytes of a row that mean something: what follows a session's plan does not. */
static size_t row_size(const struct row *row)
{
    const size_t head = offsetof(struct row, peer);

    switch (row->kind) {
    case ROW_PEER:
        return head + sizeof(row->peer);
    case ROW_PROFILE:
        return head + sizeof(row->profile);
    case ROW_OBSERVATION:
        return head + sizeof(row->observation);
    case ROW_SESSION:
        return offsetof(struct row, session.plan) +
               strnlen(row->session.plan, sizeof(row->session.plan) - 1) + 1;
    case ROW_INVITE:
        return head + sizeof(row->invite);
    case ROW_JOIN:
        return head + sizeof(row->join);
    case ROW_REVOKE:
        return head + sizeof(row->revoke);
    case ROW_ACCESS:
        return head + sizeof(row->access);
    case ROW_NAME:
        return head + sizeof(row->name);
    case ROW_LEAVE:
        return head + sizeof(row->leave);
    case ROW_EXPIRE:
        return head + sizeof(row->expire);
    }
    return head;
}

/* A disk that hangs says nothing of trouble; a commit that does not come back does. */
static tick hangs_for(const struct store_writer *w)
{
    tick took = w->begun ? store_clock() - w->begun : 0;

    return took > STORE_HANG ? took : 0;
}

static bool in_trouble(const struct store_writer *w)
{
    return w->health.degraded || hangs_for(w) > 0;
}

/*
 * How much of the queue a row may find taken, in quarters. New sessions are taken on while half of
 * it is free, other rows while a quarter is: so there is room for the outcome of every session that
 * is already under way.
 */
static unsigned share(const struct row *row, bool trouble)
{
    switch (row->kind) {
    case ROW_SESSION:
        return trouble && row->session.finished == 0 ? 1 : 4;
    case ROW_OBSERVATION:
    case ROW_PROFILE:
    case ROW_PEER: /* one that is known; new ones are refused in trouble */
        return trouble ? 1 : 3;
    default:
        return 3;
    }
}

static bool has_room(const struct store_writer *w, unsigned quarters)
{
    return w->rows < STORE_QUEUE_ROWS / 4 * (size_t)quarters &&
           w->bytes < STORE_QUEUE_BYTES / 4 * (size_t)quarters;
}

uint64_t store_put(struct store *s, const struct row *row)
{
    struct store_writer *w = &s->writer;
    size_t size = row_size(row);
    struct queued *q = malloc(sizeof(*q) + size);
    uint64_t number = 0;

    if (!q)
        return 0;
    q->next = NULL;
    q->size = size;
    memcpy(q->bytes, row, size);

    pthread_mutex_lock(&w->lock);
    if (has_room(w, share(row, in_trouble(w)))) {
        if (w->last)
            w->last->next = q;
        else
            w->first = q;
        w->last = q;
        w->rows++;
        w->bytes += size;
        number = ++w->put;
        pthread_cond_signal(&w->news);
    }
    pthread_mutex_unlock(&w->lock);
    if (number == 0)
        free(q);
    return number;
}

static void count_lost(struct store_writer *w, const struct row *row)
{
    struct store_gap *gap = &w->gap;
    stamp now = store_now();
    /* The start of a session is not missed if its outcome is there. */
    bool session = row->kind == ROW_SESSION && row->session.finished != 0;

    w->health.lost_sessions += session;
    w->health.lost_others += row->kind != ROW_SESSION;
    gap->sessions += session;
    gap->observations += row->kind == ROW_OBSERVATION;
    gap->profiles += row->kind == ROW_PROFILE;
    if (gap->sessions + gap->observations + gap->profiles == 0)
        return;
    if (gap->since == 0)
        gap->since = now;
    gap->until = now > gap->since ? now : gap->since;
}

void store_lose(struct store *s, const struct row *row)
{
    struct store_writer *w = &s->writer;

    pthread_mutex_lock(&w->lock);
    bool first = w->gap.sessions == 0;
    count_lost(w, row);
    first = first && w->gap.sessions > 0;
    pthread_mutex_unlock(&w->lock);
    if (first)
        log_error("%s: the queue is full: sessions go on, but are not recorded", s->path);
}

uint64_t store_committed(struct store *s)
{
    return atomic_load(&s->writer.committed);
}

uint64_t store_last(struct store *s)
{
    pthread_mutex_lock(&s->writer.lock);
    uint64_t last = s->writer.put;
    pthread_mutex_unlock(&s->writer.lock);
    return last;
}

uint64_t store_pending(struct store *s)
{
    pthread_mutex_lock(&s->writer.lock);
    uint64_t rows = s->writer.rows;
    pthread_mutex_unlock(&s->writer.lock);
    return rows;
}

bool store_has_room(struct store *s)
{
    pthread_mutex_lock(&s->writer.lock);
    bool room = has_room(&s->writer, 2) || in_trouble(&s->writer);
    pthread_mutex_unlock(&s->writer.lock);
    return room;
}

bool store_degraded(struct store *s)
{
    pthread_mutex_lock(&s->writer.lock);
    bool trouble = in_trouble(&s->writer);
    pthread_mutex_unlock(&s->writer.lock);
    return trouble;
}

void store_health(struct store *s, struct store_health *out)
{
    pthread_mutex_lock(&s->writer.lock);
    *out = s->writer.health;
    tick hangs = hangs_for(&s->writer);
    if (hangs > 0 && !out->degraded) {
        out->degraded = true;
        snprintf(out->error, sizeof(out->error), "the disk has not answered for %lld s",
                 (long long)(hangs / TICK_S));
    }
    pthread_mutex_unlock(&s->writer.lock);
    store_job_health(&s->job, out);
}

void store_retain(struct store *s, const struct store_retention *wish)
{
    struct store_writer *w = &s->writer;

    pthread_mutex_lock(&w->lock);
    w->retention = *wish;
    w->retention_changed = true;
    pthread_cond_signal(&w->news);
    pthread_mutex_unlock(&w->lock);
}

/* Its answer comes as a query's does, but no query waits for it. */
static int ask_job(struct store *s, const struct store_query *query)
{
    struct store_reader *r = &s->reader;

    pthread_mutex_lock(&r->lock);
    bool room = r->waiting < STORE_QUERIES && !r->closing;
    r->waiting += room;
    pthread_mutex_unlock(&r->lock);
    if (!room)
        return -1;
    const char *error = store_job_begin(s, query);
    if (error) {
        json_t *refusal = store_job_refuse(error);
        store_post(s, query->ticket, refusal ? json_dumps(refusal, SHOW_FLAGS) : NULL);
        json_decref(refusal);
    }
    return 0;
}

void store_cancel(struct store *s, uint64_t ticket)
{
    if (ticket)
        store_job_cancel(&s->job, ticket);
}

int store_ask(struct store *s, const struct store_query *query)
{
    struct store_reader *r = &s->reader;
    int result = -1;

    if (query->what == QUERY_CHECK || query->what == QUERY_BACKUP)
        return ask_job(s, query);

    pthread_mutex_lock(&r->lock);
    if (r->waiting < STORE_QUERIES && !r->closing) {
        r->queries[(r->first + r->queued) % STORE_QUERIES] = *query;
        r->queued++;
        r->waiting++;
        pthread_cond_signal(&r->news);
        result = 0;
    }
    pthread_mutex_unlock(&r->lock);
    return result;
}

int store_next_answer(struct store *s, uint64_t *ticket, char **json)
{
    struct store_reader *r = &s->reader;

    pthread_mutex_lock(&r->lock);
    struct store_answer *a = r->answers;
    if (a) {
        r->answers = a->next;
        if (!a->next)
            r->newest = NULL;
        r->waiting--;
    }
    pthread_mutex_unlock(&r->lock);
    if (!a)
        return 0;
    *ticket = a->ticket;
    *json = a->json;
    free(a);
    return 1;
}

static void stop_reader(struct store_reader *r)
{
    struct store_answer *a, *next;

    atomic_store(&r->stop, true);
    pthread_mutex_lock(&r->lock);
    r->closing = true;
    pthread_cond_signal(&r->news);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    for (a = r->answers; a; a = next) {
        next = a->next;
        free(a->json);
        free(a);
    }
}

static void stop_writer(struct store_writer *w)
{
    struct queued *q, *next;

    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_signal(&w->news);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    for (q = w->first; q; q = next) { /* only where the disk failed to the end */
        next = q->next;
        free(q);
    }
}

void store_close(struct store *s)
{
    if (!s)
        return;
    store_job_end(&s->job);
    stop_reader(&s->reader);
    stop_writer(&s->writer);
    release(s);
}
