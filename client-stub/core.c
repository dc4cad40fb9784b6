/* SPDX-License-Identifier: ISC */
#include "client-stub/core.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "client-stub/event.h"
#include "client-stub/request.h"

#define DUE_MAX           4096    /* deadlines run in one pass */
#define WAIT_READINGS_MAX 1000000 /* ends core_wait_for() on a clock that stands still */

void *core_alloc_with(const struct tryst_allocator *alloc, size_t size)
{
    void *p = alloc->alloc(alloc->user, size);
    if (p)
        memset(p, 0, size);
    return p;
}

void *core_alloc(struct tryst_context *ctx, size_t size)
{
    return core_alloc_with(&ctx->alloc, size);
}

void core_release(struct tryst_context *ctx, void *p)
{
    if (p)
        ctx->alloc.release(ctx->alloc.user, p);
}

tick core_now(const struct tryst_context *ctx)
{
    return ctx->clock_fn(ctx->clock_user);
}

void core_wait_for(const struct tryst_context *ctx, tick when)
{
    for (int i = 0; i < WAIT_READINGS_MAX && core_now(ctx) < when; i++)
        ;
}

void core_deadline(struct tryst_context *ctx, struct deadline *d, tick when)
{
    deadline_set(&ctx->deadlines, d, when);
}

void core_clear(struct tryst_context *ctx, struct deadline *d)
{
    deadline_clear(&ctx->deadlines, d);
}

void core_log(const struct tryst_context *ctx, int level, const char *format, ...)
{
    char text[512];
    va_list args;

    if (!ctx->log_fn || level > ctx->log_most)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    ctx->log_fn(ctx->log_user, level, text);
}

unsigned core_budget(const struct tryst_context *ctx)
{
    if (ctx->budget)
        return ctx->budget;
    return ctx->birthday ? CORE_BUDGET_MAX : CORE_BUDGET_DEFAULT;
}

bool core_may_dial(struct tryst_context *ctx)
{
    tick now = core_now(ctx);
    tick earned = tick_min((now - ctx->dials_at) / (TICK_S / CORE_DIALS_PER_S), CORE_DIALS_MAX);

    if (earned > 0) {
        unsigned sum = ctx->dials_left + (unsigned)earned;
        ctx->dials_left = sum < CORE_DIALS_MAX ? sum : CORE_DIALS_MAX;
        ctx->dials_at = now;
    }
    if (ctx->dials_left == 0)
        return false;
    ctx->dials_left--;
    return true;
}

/* ---- descriptors ---- */

int core_watch(struct tryst_context *ctx, struct watch *w, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data = {.ptr = w}};

    if (epoll_ctl(ctx->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0)
        return -1;
    w->fd = fd;
    w->events = events;
    w->active = true;
    w->previous = NULL;
    w->next = ctx->watches;
    if (w->next)
        w->next->previous = w;
    ctx->watches = w;
    ctx->watch_count++;
    return 0;
}

int core_watch_events(struct tryst_context *ctx, struct watch *w, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data = {.ptr = w}};

    if (w->events == events)
        return 0;
    if (epoll_ctl(ctx->epoll_fd, EPOLL_CTL_MOD, w->fd, &ev) != 0)
        return -1;
    w->events = events;
    return 0;
}

void core_unwatch(struct tryst_context *ctx, struct watch *w)
{
    if (!w->active)
        return;
    (void)epoll_ctl(ctx->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    if (w->next)
        w->next->previous = w->previous;
    if (w->previous)
        w->previous->next = w->next;
    else
        ctx->watches = w->next;
    w->next = w->previous = NULL;
    w->active = false;
    ctx->watch_count--;
    for (int i = 0; i < ctx->batch_count; i++) {
        if (ctx->batch[i].data.ptr == w)
            ctx->batch[i].data.ptr = NULL;
    }
}

static void timer_fired(struct watch *w, uint32_t events)
{
    struct tryst_context *ctx = CONTAINER(w, struct tryst_context, timer);
    uint64_t times;

    (void)events;
    (void)!read(w->fd, &times, sizeof(times));
    ctx->armed = TICK_NEVER;
}

int core_open(struct tryst_context *ctx)
{
    ctx->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (ctx->epoll_fd < 0)
        return -TRYST_LOCAL_SOCKET;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return -TRYST_LOCAL_SOCKET;
    ctx->timer.fn = timer_fired;
    ctx->armed = TICK_NEVER;
    if (core_watch(ctx, &ctx->timer, fd, EPOLLIN) != 0) {
        (void)close(fd);
        return -TRYST_LOCAL_SOCKET;
    }
    return 0;
}

void core_close(struct tryst_context *ctx)
{
    if (ctx->timer.active) {
        int fd = ctx->timer.fd;
        core_unwatch(ctx, &ctx->timer);
        (void)close(fd);
    }
    if (ctx->epoll_fd >= 0)
        (void)close(ctx->epoll_fd);
    ctx->epoll_fd = -1;
}

/* ---- the loop ---- */

static void arm(struct tryst_context *ctx)
{
    tick when = deadline_first(&ctx->deadlines);
    struct itimerspec spec;

    if (when == ctx->armed || !ctx->timer.active)
        return;
    memset(&spec, 0, sizeof(spec));
    if (when != TICK_NEVER) {
        /* Zero would disarm it: a moment in the past is the first nanosecond. */
        tick at = tick_max(when, 1);
        spec.it_value.tv_sec = (time_t)(at / TICK_S);
        spec.it_value.tv_nsec = (long)(at % TICK_S);
    }
    if (timerfd_settime(ctx->timer.fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0)
        ctx->armed = when;
}

static void run_deadlines(struct tryst_context *ctx)
{
    tick now = core_now(ctx);

    for (int i = 0; i < DUE_MAX; i++) {
        struct deadline *d = deadline_pop(&ctx->deadlines, now);
        if (!d)
            return;
        d->fn(d);
    }
}

/* Takes and handles one batch of descriptor events; returns how many there were. */
static int run_batch(struct tryst_context *ctx)
{
    int n = epoll_wait(ctx->epoll_fd, ctx->batch, CORE_BATCH, 0);

    ctx->batch_count = n > 0 ? n : 0;
    for (int i = 0; i < ctx->batch_count; i++) {
        struct watch *w = ctx->batch[i].data.ptr;
        if (w)
            w->fn(w, ctx->batch[i].events);
    }
    ctx->batch_count = 0;
    return n;
}

void core_settle(struct tryst_context *ctx)
{
    request_sweep(ctx);
    arm(ctx);
}

int tryst_process(struct tryst_context *ctx)
{
    for (int i = 0; i < CORE_PASSES; i++) {
        run_deadlines(ctx);
        int n = run_batch(ctx);
        request_sweep(ctx);
        if (n <= 0)
            break;
    }
    core_settle(ctx);
    return -ctx->stopped;
}

void core_stop(struct tryst_context *ctx, int reason, const char *text)
{
    if (ctx->stopped)
        return;
    ctx->stopped = reason;
    channel_close(ctx);
    answer_end(&ctx->answer);
    core_log(ctx, TRYST_LOG_ERROR, "stopped: %s%s%s", reason_text((unsigned)reason),
             *text ? ": " : "", text);
    event_add(ctx, TRYST_EVENT_DISCONNECTED, NULL, reason, text);
    request_fail_all(ctx, reason, text);
}

int tryst_fd(struct tryst_context *ctx)
{
    return ctx->epoll_fd >= 0 ? ctx->epoll_fd : -TRYST_UNSUPPORTED;
}

static short poll_events(uint32_t events)
{
    short mask = 0;

    if (events & EPOLLIN)
        mask |= POLLIN;
    if (events & EPOLLOUT)
        mask |= POLLOUT;
    return mask;
}

int tryst_pollfds(struct tryst_context *ctx, struct pollfd *fds, int cap)
{
    int n = 0;

    for (struct watch *w = ctx->watches; w; w = w->next, n++) {
        if (n < cap)
            fds[n] = (struct pollfd){.fd = w->fd, .events = poll_events(w->events)};
    }
    return n;
}

int tryst_timeout(struct tryst_context *ctx)
{
    tick when = deadline_first(&ctx->deadlines);

    if (when == TICK_NEVER)
        return -1;
    tick left = (when - core_now(ctx)) / TICK_MS;
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}
