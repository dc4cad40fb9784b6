/* SPDX-License-Identifier: ISC */
#include "client-stub/event.h"

#include <stdio.h>
#include <unistd.h>

#include "client-stub/core.h"
#include "client-stub/report.h"
#include "client-stub/request.h"

bool event_is_final(enum tryst_event_type type)
{
    return type == TRYST_EVENT_ESTABLISHED || type == TRYST_EVENT_FAILED ||
           type == TRYST_EVENT_CHECKED;
}

struct tryst_event *event_new(struct tryst_context *ctx, struct tryst_request *request)
{
    struct tryst_event *ev = core_alloc(ctx, sizeof(*ev));

    if (!ev)
        return NULL;
    ev->ctx = ctx;
    ev->alloc = ctx->alloc;
    ev->request = request;
    ev->fd = -1;
    return ev;
}

void event_queue(struct tryst_event *ev, enum tryst_event_type type, int reason, const char *text)
{
    struct tryst_context *ctx = ev->ctx;

    ev->type = type;
    ev->reason = reason;
    (void)snprintf(ev->text, sizeof(ev->text), "%s", text);
    ev->next = NULL;
    ev->previous = ctx->queue_last;
    if (ctx->queue_last)
        ctx->queue_last->next = ev;
    else
        ctx->queue = ev;
    ctx->queue_last = ev;
    ctx->queue_count++;
}

void event_add(struct tryst_context *ctx, enum tryst_event_type type, struct tryst_request *request,
               int reason, const char *text)
{
    struct tryst_event *ev = ctx->queue_count < CORE_EVENTS_MAX ? event_new(ctx, request) : NULL;

    if (!ev) {
        core_log(ctx, TRYST_LOG_WARNING, "event dropped: %s", tryst_event_type_name(type));
        return;
    }
    event_queue(ev, type, reason, text);
}

struct tryst_event *event_find(struct tryst_context *ctx, const struct tryst_request *request,
                               enum tryst_event_type type)
{
    struct tryst_event *ev = ctx->queue;

    while (ev && ((request && ev->request != request) || (type && ev->type != type)))
        ev = ev->next;
    return ev;
}

/* The queue and the list of delivered events are linked the same way. */
static void unlink_from(struct tryst_event **first, struct tryst_event *ev)
{
    if (ev->next)
        ev->next->previous = ev->previous;
    if (ev->previous)
        ev->previous->next = ev->next;
    else
        *first = ev->next;
    ev->next = ev->previous = NULL;
}

void event_deliver(struct tryst_event *ev)
{
    struct tryst_context *ctx = ev->ctx;

    if (ev == ctx->queue_last)
        ctx->queue_last = ev->previous;
    unlink_from(&ctx->queue, ev);
    ctx->queue_count--;
    ev->next = ctx->delivered;
    if (ev->next)
        ev->next->previous = ev;
    ctx->delivered = ev;
}

struct tryst_event *tryst_next_event(struct tryst_context *ctx)
{
    struct tryst_event *ev = ctx->queue;

    if (ev)
        event_deliver(ev);
    return ev;
}

static void release(struct tryst_event *ev)
{
    if (ev->fd >= 0)
        (void)close(ev->fd);
    tryst_report_free(ev->report);
    tryst_outlook_free(ev->outlook);
    struct tryst_allocator alloc = ev->alloc;
    alloc.release(alloc.user, ev);
}

void tryst_event_free(struct tryst_event *ev)
{
    if (!ev)
        return;
    struct tryst_context *ctx = ev->ctx;
    struct tryst_request *request = event_is_final(ev->type) ? ev->request : NULL;
    if (ctx)
        unlink_from(&ctx->delivered, ev);
    release(ev);
    if (ctx && request)
        request_free(request);
}

void event_forget(struct tryst_context *ctx, const struct tryst_request *request)
{
    struct tryst_event *lists[] = {ctx->queue, ctx->delivered};

    for (int i = 0; i < 2; i++) {
        for (struct tryst_event *ev = lists[i]; ev; ev = ev->next) {
            if (ev->request == request)
                ev->request = NULL;
        }
    }
}

void event_end(struct tryst_context *ctx)
{
    while (ctx->queue) {
        struct tryst_event *ev = ctx->queue;
        ctx->queue = ev->next;
        release(ev);
    }
    ctx->queue_last = NULL;
    while (ctx->delivered) {
        struct tryst_event *ev = ctx->delivered;
        ctx->delivered = ev->next;
        ev->ctx = NULL;
        ev->request = NULL;
    }
}

enum tryst_event_type tryst_event_type(const struct tryst_event *ev)
{
    return ev->type;
}

const char *tryst_event_type_name(enum tryst_event_type type)
{
    static const char *const names[] = {
        [TRYST_EVENT_REGISTERED] = "registered", [TRYST_EVENT_DISCONNECTED] = "disconnected",
        [TRYST_EVENT_SURVEYED] = "surveyed",     [TRYST_EVENT_INCOMING] = "incoming",
        [TRYST_EVENT_INVITED] = "invited",       [TRYST_EVENT_PREPARED] = "prepared",
        [TRYST_EVENT_PUNCHING] = "punching",     [TRYST_EVENT_OPENED] = "opened",
        [TRYST_EVENT_ROUND_LOST] = "round-lost", [TRYST_EVENT_ESTABLISHED] = "established",
        [TRYST_EVENT_FAILED] = "failed",         [TRYST_EVENT_CHECKED] = "checked",
        [TRYST_EVENT_ASKED] = "asked",
    };
    unsigned i = (unsigned)type;

    return i < sizeof(names) / sizeof(names[0]) && names[i] ? names[i] : "unknown";
}

struct tryst_request *tryst_event_request(const struct tryst_event *ev)
{
    return ev->request;
}

int tryst_event_reason(const struct tryst_event *ev)
{
    return ev->reason;
}

const char *tryst_event_text(const struct tryst_event *ev)
{
    return ev->text;
}

int tryst_event_take_fd(struct tryst_event *ev)
{
    int fd = ev->fd;

    ev->fd = -1;
    return fd;
}

struct tryst_report *tryst_event_take_report(struct tryst_event *ev)
{
    struct tryst_report *r = ev->report;

    ev->report = NULL;
    return r;
}

struct tryst_outlook *tryst_event_take_outlook(struct tryst_event *ev)
{
    struct tryst_outlook *o = ev->outlook;

    ev->outlook = NULL;
    return o;
}
