/* SPDX-License-Identifier: ISC */
/* The blocking calls, on top of the non-blocking core. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "client-stub/core.h"
#include "client-stub/event.h"
#include "client-stub/listener.h"
#include "client-stub/request.h"

/* A moment to wait until: TICK_NEVER for timeout_ms < 0. */
static tick until(const struct tryst_context *ctx, int timeout_ms)
{
    return timeout_ms < 0 ? TICK_NEVER : tick_after(core_now(ctx), (tick)timeout_ms * TICK_MS);
}

/* Sleeps until the context has work or `end` comes. The timer inside wakes it for anything earlier.
 */
static void sleep_until(struct tryst_context *ctx, tick end)
{
    struct pollfd pfd = {.fd = ctx->epoll_fd, .events = POLLIN};
    int wait = -1;

    if (end != TICK_NEVER) {
        /* Rounded up: waking early would spin through the last millisecond. */
        tick left = (end - core_now(ctx) + TICK_MS - 1) / TICK_MS;
        wait = left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
    }
    (void)poll(&pfd, 1, wait);
}

int tryst_wait(struct tryst_context *ctx, int timeout_ms)
{
    tick end = until(ctx, timeout_ms);

    for (;;) {
        int result = tryst_process(ctx);
        if (ctx->queue)
            return 1;
        if (result < 0)
            return result;
        if (core_now(ctx) >= end)
            return 0;
        sleep_until(ctx, end);
    }
}

static int start_if_needed(struct tryst_context *ctx)
{
    if (ctx->started)
        return 0;
    if (!ctx->resolve_fn && ctx->has_server && contact_resolve(ctx) != 0) {
        int result = tryst_resolve(ctx);
        if (result != 0)
            return result;
    }
    return tryst_start(ctx);
}

/* In a blocking call nobody else looks at events that concern no session. */
static void drop_general_events(struct tryst_context *ctx)
{
    for (struct tryst_event *ev = ctx->queue; ev;) {
        struct tryst_event *next = ev->next;
        if (!ev->request) {
            event_deliver(ev);
            tryst_event_free(ev);
        }
        ev = next;
    }
}

/* Drops a session's events up to its final one, which is taken and returned; NULL if it has not
 * come. */
static struct tryst_event *take_final(struct tryst_context *ctx, const struct tryst_request *req)
{
    struct tryst_event *ev;

    while ((ev = event_find(ctx, req, 0)) != NULL) {
        event_deliver(ev);
        if (event_is_final(tryst_event_type(ev)))
            return ev;
        tryst_event_free(ev);
    }
    return NULL;
}

/* Unpacks a final event, as the blocking calls return it. */
static int unpack(struct tryst_event *ev, int *fd, struct tryst_report **report)
{
    int reason = tryst_event_reason(ev);

    *fd = tryst_event_take_fd(ev);
    if (*fd >= 0)
        (void)fcntl(*fd, F_SETFL, fcntl(*fd, F_GETFL) & ~O_NONBLOCK);
    if (report)
        *report = tryst_event_take_report(ev);
    tryst_event_free(ev);
    return -reason;
}

/* Why there is no request. */
static int no_request(const char *peer)
{
    uint8_t key[KEY_SIZE];
    char name[PEER_NAME_SIZE];
    bool valid = !peer || key_parse(peer, key) == 0 || peer_name_parse(peer, name) == 0;

    return valid ? -TRYST_NO_MEMORY : -TRYST_INVALID;
}

static struct tryst_event *await_final(struct tryst_context *ctx, const struct tryst_request *req)
{
    struct tryst_event *final;

    while (!(final = take_final(ctx, req))) {
        (void)tryst_process(ctx);
        drop_general_events(ctx);
        if (!event_find(ctx, req, 0))
            sleep_until(ctx, TICK_NEVER);
    }
    return final;
}

int tryst_connect(struct tryst_context *ctx, const char *peer, int timeout_ms, int *fd,
                  struct tryst_report **report)
{
    *fd = -1;
    if (report)
        *report = NULL;
    if (timeout_ms < 0)
        return -TRYST_INVALID;
    int result = start_if_needed(ctx);
    if (result != 0)
        return result;
    struct tryst_request *req = tryst_request(ctx, peer, timeout_ms, 0);
    if (!req)
        return no_request(peer);
    return unpack(await_final(ctx, req), fd, report);
}

int tryst_check(struct tryst_context *ctx, const char *peer, int timeout_ms,
                struct tryst_outlook **outlook)
{
    *outlook = NULL;
    if (timeout_ms < 0)
        return -TRYST_INVALID;
    int result = start_if_needed(ctx);
    if (result != 0)
        return result;
    struct tryst_request *req = tryst_check_request(ctx, peer, timeout_ms);
    if (!req)
        return no_request(peer);
    struct tryst_event *final = await_final(ctx, req);
    int reason = tryst_event_reason(final);
    *outlook = tryst_event_take_outlook(final);
    tryst_event_free(final);
    return -reason;
}

/* Says no to whoever asks, since nobody is there to decide; logs and frees sessions that failed. */
static void tend_incoming(struct tryst_context *ctx)
{
    for (struct tryst_event *ev = ctx->queue; ev;) {
        struct tryst_event *next = ev->next;
        struct tryst_request *req = ev->request;
        bool mine = req && req->incoming && ev->type != TRYST_EVENT_ESTABLISHED;
        bool rejected = mine && ev->type == TRYST_EVENT_INCOMING;
        if (mine) {
            event_deliver(ev);
            tryst_event_free(ev);
        }
        if (rejected) {
            (void)tryst_request_reject(req, "");
            next = ctx->queue; /* which has grown */
        }
        ev = next;
    }
}

static struct tryst_event *established_incoming(struct tryst_context *ctx)
{
    struct tryst_event *ev = ctx->queue;

    while (ev && !(ev->type == TRYST_EVENT_ESTABLISHED && ev->request && ev->request->incoming))
        ev = ev->next;
    return ev;
}

int tryst_accept(struct tryst_listener *listener, int timeout_ms, int *fd,
                 struct tryst_report **report)
{
    struct tryst_context *ctx = listener->ctx;
    tick end = until(ctx, timeout_ms);
    struct tryst_event *ev;

    *fd = -1;
    if (report)
        *report = NULL;
    int result = start_if_needed(ctx);
    if (result != 0)
        return result;
    for (;;) {
        result = tryst_process(ctx);
        tend_incoming(ctx);
        drop_general_events(ctx);
        ev = established_incoming(ctx);
        if (ev || result < 0 || core_now(ctx) >= end)
            break;
        sleep_until(ctx, end);
    }
    if (!ev)
        return result < 0 ? result : -TRYST_TIMEOUT;
    event_deliver(ev);
    return unpack(ev, fd, report);
}
