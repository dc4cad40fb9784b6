/* SPDX-License-Identifier: ISC */
#include "client-stub/contact.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client-stub/core.h"
#include "client-stub/sock.h"

#define STAGGER (250 * TICK_MS) /* RFC 8305 section 5 */
#define LIMIT   (10 * TICK_S)

static void attempt_ready(struct watch *w, uint32_t events);
static void start_next(struct deadline *d);
static void give_up(struct deadline *d);

void contact_init(struct tryst_context *ctx)
{
    struct contact *c = &ctx->channel.contact;

    for (unsigned i = 0; i < CONTACT_ADDRESSES_MAX; i++) {
        c->attempts[i].ctx = ctx;
        c->attempts[i].fd = -1;
        c->attempts[i].watch.fn = attempt_ready;
    }
    c->next.fn = start_next;
    c->limit.fn = give_up;
}

static struct tryst_context *context_of(struct contact *c)
{
    return CONTAINER(c, struct tryst_context, channel.contact);
}

/* ---- addresses ---- */

static int resolve_by_hook(struct tryst_context *ctx, const struct server_url *server)
{
    char text[CONTACT_ADDRESSES_MAX][TRYST_ENDPOINT_TEXT_SIZE];
    struct contact *c = &ctx->channel.contact;
    unsigned count = 0;

    memset(text, 0, sizeof(text));
    int n = ctx->resolve_fn(ctx->resolve_user, server->host, text, CONTACT_ADDRESSES_MAX);
    for (int i = 0; i < n && i < CONTACT_ADDRESSES_MAX; i++) {
        char with_port[TRYST_ENDPOINT_TEXT_SIZE + 16];
        text[i][TRYST_ENDPOINT_TEXT_SIZE - 1] = '\0';
        (void)snprintf(with_port, sizeof(with_port), strchr(text[i], ':') ? "[%s]:%u" : "%s:%u",
                       text[i], server->port);
        if (endpoint_parse(with_port, 0, &c->addresses[count]) == 0)
            count++;
    }
    if (count)
        c->count = count;
    return count ? 0 : -1;
}

int contact_resolve(struct tryst_context *ctx)
{
    const struct server_url *server = &ctx->channel.server;
    struct contact *c = &ctx->channel.contact;
    char text[HOST_SIZE + 16];
    struct endpoint e;

    (void)snprintf(text, sizeof(text), strchr(server->host, ':') ? "[%s]:%u" : "%s:%u",
                   server->host, server->port);
    if (endpoint_parse(text, 0, &e) == 0) {
        c->addresses[0] = e;
        c->count = 1;
        return 0;
    }
    if (ctx->resolve_fn && resolve_by_hook(ctx, server) == 0)
        return 0;
    return c->count ? 0 : -1;
}

/* ---- attempts ---- */

void contact_end(struct tryst_context *ctx)
{
    struct contact *c = &ctx->channel.contact;

    for (unsigned i = 0; i < CONTACT_ADDRESSES_MAX; i++) {
        core_unwatch(ctx, &c->attempts[i].watch);
        sock_close(ctx, &c->attempts[i].fd);
    }
    core_clear(ctx, &c->next);
    core_clear(ctx, &c->limit);
}

static bool any_open(const struct contact *c)
{
    for (unsigned i = 0; i < c->started; i++) {
        if (c->attempts[i].fd >= 0)
            return true;
    }
    return false;
}

static void fail(struct contact *c)
{
    char text[128];
    char address[ENDPOINT_TEXT_SIZE] = "no address";

    if (c->count)
        (void)endpoint_format(&c->addresses[0], address);
    (void)snprintf(text, sizeof(text), "%s: %s", address,
                   c->error ? strerror(c->error) : "no answer");
    contact_end(context_of(c));
    channel_unreachable(context_of(c), text);
}

/* Begins the attempt; returns whether it is under way. */
static bool attempt(struct contact *c, unsigned i)
{
    struct tryst_context *ctx = context_of(c);
    struct attempt *a = &c->attempts[i];

    /* Bound so that it shares its port: a session may punch from it (SOCKET_CONTROL). */
    a->fd = sock_open_bound(ctx, c->addresses[i].family, 0);
    if (a->fd < 0) {
        c->error = errno;
        return false;
    }
    int error = sock_connect(a->fd, &c->addresses[i]);
    if (error == 0 && core_watch(ctx, &a->watch, a->fd, EPOLLOUT) == 0)
        return true;
    c->error = error ? error : errno;
    sock_close(ctx, &a->fd);
    return false;
}

static void start_more(struct contact *c)
{
    struct tryst_context *ctx = context_of(c);

    while (c->started < c->count) {
        if (attempt(c, c->started++)) {
            if (c->started < c->count)
                core_deadline(ctx, &c->next, tick_after(core_now(ctx), STAGGER));
            return;
        }
    }
    if (!any_open(c))
        fail(c);
}

static void start_next(struct deadline *d)
{
    start_more(CONTAINER(d, struct contact, next));
}

static void give_up(struct deadline *d)
{
    fail(CONTAINER(d, struct contact, limit));
}

static void attempt_ready(struct watch *w, uint32_t events)
{
    struct attempt *a = CONTAINER(w, struct attempt, watch);
    struct contact *c = &a->ctx->channel.contact;
    int error = sock_error(a->fd);

    (void)events;
    core_unwatch(a->ctx, w);
    if (error) {
        c->error = error;
        sock_close(a->ctx, &a->fd);
        start_more(c);
        return;
    }
    int fd = a->fd;
    a->fd = -1;
    contact_end(a->ctx);
    channel_connected(a->ctx, fd);
}

void contact_start(struct tryst_context *ctx)
{
    struct contact *c = &ctx->channel.contact;

    contact_end(ctx);
    c->started = 0;
    c->error = 0;
    if (contact_resolve(ctx) != 0)
        c->error = EADDRNOTAVAIL;
    core_deadline(ctx, &c->limit, tick_after(core_now(ctx), LIMIT));
    start_more(c);
}
