/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_STORE_INTERNAL_H
#define TRYST_STORE_INTERNAL_H

#include <jansson.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "store.h"
#include "store_job.h"
#include "store_sql.h"

/* Shared by store.c (the queue), store_open.c, store_writer.c and store_reader.c; by nobody else.
 */

#define STORE_QUEUE_BYTES ((size_t)128 << 20)
#define STORE_BATCH       4096
#define STORE_QUERIES     64
/* Rows in one answer, whatever was asked for. */
#define STORE_ANSWER_ROWS 1000

/* A row in the queue: as many bytes of a struct row as it needs. */
struct queued {
    struct queued *next;
    size_t size;
    unsigned char bytes[];
};

/* What was given up since the last row of `gaps`. */
struct store_gap {
    stamp since, until;
    uint64_t sessions, observations, profiles;
};

/* Where the removal of what is too old stands. */
struct store_retainer {
    tick due;                       /* of the next slice */
    int64_t rows;                   /* that a slice takes at most */
    bool sweeping;                  /* through observations and NATs, in the order of addresses */
    tick sweep_due;                 /* when the next sweep begins */
    enum store_statement sweep;     /* SQL_SWEEP_OBSERVATIONS or SQL_SWEEP_NATS */
    char after[ENDPOINT_TEXT_SIZE]; /* the address up to which the sweep came */
};

struct store_writer {
    pthread_t thread;
    pthread_mutex_t lock; /* over everything up to `retention_changed` */
    pthread_cond_t news;
    struct queued *first, *last;
    size_t rows, bytes; /* queued or being committed */
    uint64_t put;
    bool closing;
    struct store_health health;
    tick begun; /* of the commit under way; 0: none */
    struct store_gap gap;
    struct store_retention retention;
    bool retention_changed;
    atomic_uint_fast64_t committed;
    /* The thread's own. */
    struct store_retainer retainer;
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_WRITER_STATEMENTS];
    ino_t log; /* of the write-ahead log; 0: unknown */
};

struct store_answer {
    struct store_answer *next;
    uint64_t ticket;
    char *json;
};

struct store_reader {
    pthread_t thread;
    pthread_mutex_t lock; /* over everything up to `closing` */
    pthread_cond_t news;
    struct store_query queries[STORE_QUERIES]; /* a ring */
    unsigned first, waiting;                   /* waiting: asked and not yet fetched */
    unsigned queued;
    struct store_answer *answers, *newest;
    bool closing;
    atomic_bool stop; /* ends a query that runs */
    /* The thread's own. */
    sqlite3 *db;
};

struct store {
    void (*wake)(void *user);
    void *user;
    int lock_fd;
    char *path;
    struct store_writer writer;
    struct store_reader reader;
    struct store_job job;
};

/* Opens both connections, migrates, prepares. 0, or -1 with err; store_close_files() in either
 * case. */
int store_open_files(struct store *s, const char *path, char *err, size_t err_size);
void store_close_files(struct store *s);

/* Gives every session in flight the outcome REASON_ABORTED, in one transaction. 0, or -1. */
int store_abort_active(struct store_writer *w, unsigned *rows);

void *store_writer_run(void *store);
void *store_reader_run(void *store);
/* Hands an answer to the loop; NULL: there was no memory for it. On any thread. */
void store_post(struct store *s, uint64_t ticket, char *json);

/* The answer to one query, an object; NULL when memory ran out. Runs on the reader's thread. */
/* The counts of QUERY_STATS. */
json_t *store_query_stats(sqlite3 *db, const struct store_query *q);
json_t *store_answer_query(sqlite3 *db, const struct store_query *query);

/* Removes a slice of what is too old, if it is time for one. On the writer's thread, between
 * transactions. */
void store_retain_turn(struct store_writer *w);

int64_t store_now(void); /* a stamp */
tick store_clock(void);  /* monotonic */
/* Runs a statement whose parameters are bound; SQLite's code. */
int store_run(struct store_writer *w, enum store_statement which);

#endif
