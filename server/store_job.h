/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_STORE_JOB_H
#define TRYST_STORE_JOB_H

#include <jansson.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "store.h"

/* Check and backup: one at a time, in a thread of its own. Part of the store; nobody else's. */
struct store_job {
    pthread_mutex_t lock; /* over `running`, and over the end of the job */
    pthread_t thread;
    bool started; /* there is a thread to be joined; the loop's */
    bool running;
    atomic_bool stop;
    atomic_uint done, total; /* pages */
    /* Set before the thread runs. */
    struct store_query order;
    const char *path;
    tick begun;
    /* The thread's own. */
    tick look; /* when to look at the clock and the log again */
    const char *trouble;
};

void store_job_init(struct store_job *j);
void store_job_destroy(struct store_job *j);
/* NULL, or why it cannot begin. On the loop, as the following. */
const char *store_job_begin(struct store *s, const struct store_query *order);
/* Interrupts the one of this ticket; 0: whichever runs. */
void store_job_cancel(struct store_job *j, uint64_t ticket);
/* Interrupts it, and waits for its end. */
void store_job_end(struct store_job *j);
void store_job_health(struct store_job *j, struct store_health *out);

/* --- on its thread --- */

json_t *store_job_refuse(const char *text);
/* Why it should go no further, or NULL. */
const char *store_job_trouble(struct store_job *j);
/* Integrity check: 0 with what is wrong appended to the list, or -1: it did not come to an end. */
int store_job_examine(struct store_job *j, sqlite3 *db, bool quick, json_t *problems);

/* --- store_backup.c --- */

/* Copies the database; the answer to the client. */
json_t *store_backup(struct store_job *j);

#endif
