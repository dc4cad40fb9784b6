/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "show.h"
#include "store_internal.h"

/* The reader: one query at a time, on a connection that cannot write. */

/* A query that walks a large file for longer than this is given up. */
#define QUERY_MOST_S   10
#define PROGRESS_STEPS 20000 /* of SQLite's machine, some milliseconds */

struct deadline {
    const struct store_reader *reader;
    time_t at;
};

static time_t seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static int on_progress(void *user)
{
    const struct deadline *d = user;

    return atomic_load(&d->reader->stop) || seconds() > d->at;
}

static bool take_query(struct store_reader *r, struct store_query *out)
{
    pthread_mutex_lock(&r->lock);
    while (r->queued == 0 && !r->closing)
        pthread_cond_wait(&r->news, &r->lock);
    bool got = !r->closing;
    if (got) {
        *out = r->queries[r->first];
        r->first = (r->first + 1) % STORE_QUERIES;
        r->queued--;
    }
    pthread_mutex_unlock(&r->lock);
    return got;
}

static char *answer_text(struct store_reader *r, const struct store_query *query)
{
    struct deadline d = {r, seconds() + QUERY_MOST_S};

    sqlite3_progress_handler(r->db, PROGRESS_STEPS, on_progress, &d);
    json_t *answer = store_answer_query(r->db, query);
    sqlite3_progress_handler(r->db, 0, NULL, NULL);
    char *text = answer ? json_dumps(answer, SHOW_FLAGS) : NULL;
    json_decref(answer);
    return text;
}

void store_post(struct store *s, uint64_t ticket, char *json)
{
    struct store_reader *r = &s->reader;
    struct store_answer *a = malloc(sizeof(*a));

    if (!json)
        json = strdup("{\"ok\":false,\"error\":\"not enough memory for the answer\"}");
    pthread_mutex_lock(&r->lock);
    if (a && json) {
        *a = (struct store_answer){NULL, ticket, json};
        if (r->newest)
            r->newest->next = a;
        else
            r->answers = a;
        r->newest = a;
    } else {
        r->waiting--; /* whoever asked sees no answer; better than no daemon */
        free(json);
        free(a);
    }
    pthread_mutex_unlock(&r->lock);
    if (s->wake)
        s->wake(s->user);
    /* cppcheck-suppress memleak ; the list has it */
}

void *store_reader_run(void *store)
{
    struct store *s = store;
    struct store_query query;

    while (take_query(&s->reader, &query))
        store_post(s, query.ticket, answer_text(&s->reader, &query));
    return NULL;
}
