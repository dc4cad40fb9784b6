/* SPDX-License-Identifier: ISC */
#ifndef TRYST_EVENT_H
#define TRYST_EVENT_H

#include <stdbool.h>

#include "client-stub/tryst.h"
#include "proto/msg.h"

struct tryst_event {
    struct tryst_context *ctx; /* NULL once the context is gone */
    struct tryst_allocator alloc;
    enum tryst_event_type type;
    struct tryst_request *request;
    int reason;
    char text[MSG_TEXT_SIZE];
    int fd; /* -1: none, or taken */
    struct tryst_report *report;
    struct tryst_outlook *outlook; /* of a check that was answered */
    struct tryst_event *next;
    struct tryst_event *previous;
};

/* Makes an event and queues it; dropped when memory or the queue is full. */
void event_add(struct tryst_context *ctx, enum tryst_event_type type, struct tryst_request *request,
               int reason, const char *text);
/* A session's final event is made with the session, so that it cannot fail to come. */
struct tryst_event *event_new(struct tryst_context *ctx, struct tryst_request *request);
void event_queue(struct tryst_event *ev, enum tryst_event_type type, int reason, const char *text);
/* The oldest undelivered event of a request (NULL: any) and of a type (0: any); stays in the queue.
 */
struct tryst_event *event_find(struct tryst_context *ctx, const struct tryst_request *request,
                               enum tryst_event_type type);
/* Takes one particular event out of the queue, as tryst_next_event() does the first. */
void event_deliver(struct tryst_event *ev);
/* No event shall name this request any more. */
void event_forget(struct tryst_context *ctx, const struct tryst_request *request);
/* Releases the undelivered events, and cuts the delivered ones loose from the context. */
void event_end(struct tryst_context *ctx);
bool event_is_final(enum tryst_event_type type);

#endif
