/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CORE_H
#define TRYST_CORE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "client-stub/answer.h"
#include "client-stub/channel.h"
#include "client-stub/deadline.h"
#include "client-stub/tryst.h"
#include "client-stub/watch.h"
#include "proto/key.h"
#include "proto/msg.h"
#include "proto/reason.h"
#include "proto/rng.h"

/*
 * The context and its loop. Everything below works on one context from one thread; a callback may
 * close any descriptor, clear any deadline and end any session, its own included. Memory of a
 * session that has ended is released at the end of a pass, never under a callback.
 */

#define CORE_BATCH           64   /* epoll events taken at a time */
#define CORE_PASSES          16   /* batches in one tryst_process() */
#define CORE_SOCKETS_MAX     4096 /* descriptors that a context opens at once, at most */
#define CORE_INCOMING_MAX    1024 /* incoming sessions at once */
#define CORE_EVENTS_MAX      4096 /* undelivered events; beyond, all but final ones are dropped */
#define CORE_BUDGET_DEFAULT  64
#define CORE_BUDGET_MAX      512
#define CORE_TIMEOUT_DEFAULT (20 * TICK_S)
#define CORE_TIMEOUT_MAX     (600 * TICK_S)
#define CORE_DIALS_MAX       8192 /* connections on the server's word: at once, */
#define CORE_DIALS_PER_S     256  /* and in the long run */
/* How long before a SYN's moment the loop wakes up, to wait for the moment itself on the clock. */
#define CORE_LEAD TICK_MS

struct tryst_context {
    struct tryst_allocator alloc;
    tryst_clock_fn clock_fn;
    void *clock_user;
    tryst_random_fn random_fn;
    void *random_user;
    tryst_log_fn log_fn;
    void *log_user;
    int log_most;
    tryst_socket_fn socket_fn;
    void *socket_user;
    tryst_resolve_fn resolve_fn;
    void *resolve_user;
    struct rng rng;

    struct key_pair key;
    bool has_key;
    struct server_url server;
    bool has_server;
    char name[PEER_NAME_SIZE];    /* wanted, or "" */
    char own_name[MSG_TEXT_SIZE]; /* bound by the server, or "" */
    char invite[MSG_TEXT_SIZE];
    char agent[MSG_TEXT_SIZE];
    unsigned budget; /* 0: the default */
    bool birthday;
    bool fail_fast;

    bool started;
    int stopped; /* reason for which the context has ended for good, or 0 */
    int epoll_fd;
    struct watch timer; /* the timerfd */
    tick armed;         /* what the timerfd is set to */
    struct deadlines deadlines;
    struct watch *watches;
    unsigned watch_count;
    unsigned socket_count;
    unsigned dials_left; /* see core_may_dial() */
    tick dials_at;       /* when they were counted last */
    struct epoll_event batch[CORE_BATCH];
    int batch_count;

    struct channel channel;
    struct answer answer; /* the running survey */
    struct tryst_listener *listener;
    struct tryst_request *requests;
    struct tryst_request *over; /* ended in this pass, sockets still to be closed */
    unsigned incoming_count;
    uint32_t last_number;

    struct tryst_event *queue; /* undelivered, oldest first */
    struct tryst_event *queue_last;
    unsigned queue_count;
    struct tryst_event *delivered; /* with the application */
};

/* Zeroed memory from the context's allocator, or NULL. */
void *core_alloc(struct tryst_context *ctx, size_t size);
void core_release(struct tryst_context *ctx, void *p);
/* The same with an allocator alone, for what outlives its context. */
void *core_alloc_with(const struct tryst_allocator *alloc, size_t size);

/* A fresh reading of the context's clock. */
tick core_now(const struct tryst_context *ctx);
/* Waits on the clock for `when`, which is at most CORE_LEAD away. */
void core_wait_for(const struct tryst_context *ctx, tick when);
void core_deadline(struct tryst_context *ctx, struct deadline *d, tick when);
void core_clear(struct tryst_context *ctx, struct deadline *d);

/*
 * Watches w->fd for `events`. -1 without kernel memory. core_unwatch is harmless on a watch that is
 * not active; events of it that are already taken from the kernel are forgotten.
 */
int core_watch(struct tryst_context *ctx, struct watch *w, int fd, uint32_t events);
int core_watch_events(struct tryst_context *ctx, struct watch *w, uint32_t events);
void core_unwatch(struct tryst_context *ctx, struct watch *w);

/* Closes sessions that have ended, and sets the timer. Ends every public call that may have changed
 * either. */
void core_settle(struct tryst_context *ctx);
/* The context has ended for good: every session fails with `reason`. */
void core_stop(struct tryst_context *ctx, int reason, const char *text);

/* Creates the epoll and timer descriptors. Returns 0 or a negative reason. */
int core_open(struct tryst_context *ctx);
void core_close(struct tryst_context *ctx);

__attribute__((format(printf, 3, 4))) void core_log(const struct tryst_context *ctx, int level,
                                                    const char *format, ...);

/*
 * Whether one more connection may be made on the server's word: some thousands at once, then a
 * steady trickle, so that a hostile server gets no flood out of its peers. Counts it.
 */
bool core_may_dial(struct tryst_context *ctx);

/* The SYNs that one round may take. */
unsigned core_budget(const struct tryst_context *ctx);

#endif
