/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "reload.h"

#include <string.h>

#include "thread.h"

static void *work(void *user)
{
    struct reload *r = user;

    r->bad = conf_load(r->source, &r->fresh, r->err, sizeof(r->err));
    atomic_store(&r->ended, true);
    ev_async_send(r->loop, &r->news);
    return NULL;
}

static void news(struct ev_loop *loop, struct ev_async *async, int events)
{
    struct reload *r = async->data;

    (void)loop;
    (void)events;
    if (!r->running || !atomic_load(&r->ended))
        return;
    r->running = false;
    r->done(r->user, r->bad ? NULL : &r->fresh, r->err);
}

void reload_open(struct reload *r, struct ev_loop *loop, const struct conf_source *source,
                 void (*done)(void *user, const struct conf *fresh, const char *err), void *user)
{
    memset(r, 0, sizeof(*r));
    r->loop = loop;
    r->source = source;
    r->done = done;
    r->user = user;
    ev_async_init(&r->news, news);
    r->news.data = r;
    ev_async_start(loop, &r->news);
}

/* Not when its news comes: it may take the system some milliseconds to let a thread end. */
static void collect(struct reload *r)
{
    if (r->threaded)
        pthread_join(r->thread, NULL);
    r->threaded = false;
}

void reload_start(struct reload *r)
{
    collect(r); /* the one before, whose last act was to send its news */
    r->running = true;
    atomic_store(&r->ended, false);
    r->threaded = thread_start(&r->thread, work, r) == 0;
    if (r->threaded)
        return;
    r->bad = -1;
    snprintf(r->err, sizeof(r->err), "no thread can be started to read it");
    atomic_store(&r->ended, true);
    ev_async_send(r->loop, &r->news);
}

void reload_close(struct reload *r)
{
    if (!r->loop)
        return;
    collect(r);
    r->running = false;
    ev_async_stop(r->loop, &r->news);
}
