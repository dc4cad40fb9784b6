/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_RELOAD_H
#define TRYST_RELOAD_H

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "conf.h"

/*
 * Reads and checks a configuration again on a thread of its own: a disk may be slow, and the loop
 * must not wait for it. The result comes back on the loop.
 */
struct reload {
    struct ev_loop *loop;
    const struct conf_source *source;
    /* `fresh`: what was read; NULL: err says what is wrong with it. */
    void (*done)(void *user, const struct conf *fresh, const char *err);
    void *user;
    struct ev_async news;
    pthread_t thread;
    bool running;      /* done() is still to be called */
    bool threaded;     /* the thread is still to be joined */
    atomic_bool ended; /* what the thread has written may be read */
    /* the thread's, until then */
    int bad;
    struct conf fresh;
    char err[CONF_ERROR_SIZE];
};

/* `source` stays the caller's, and must stay. */
void reload_open(struct reload *r, struct ev_loop *loop, const struct conf_source *source,
                 void (*done)(void *user, const struct conf *fresh, const char *err), void *user);
/* done() is called later, by the loop. Not while one runs. */
void reload_start(struct reload *r);
/* Also where a read has not ended. */
void reload_close(struct reload *r);

#endif
