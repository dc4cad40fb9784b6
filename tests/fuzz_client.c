/* SPDX-License-Identifier: ISC */
/*
 * What a hostile server can say to a client that asks for a session and listens, too. The input is
 * a row of messages, each behind a two-byte length and a byte that lets time pass in steps of 20
 * ms. No socket of the client ever connects.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client-stub/core.h"
#include "client-stub/deliver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEP (20 * TICK_MS)

struct world {
    int64_t now;
    struct rng_seeded seeded;
    struct rng rng;
    int open; /* sockets may still be made: the two punch sockets, which only ever listen */
};

static void check(int condition)
{
    if (!condition)
        abort();
}

/* Every look at it takes a microsecond, so that waiting for a moment comes to an end. */
static int64_t clock_of(void *user)
{
    struct world *w = user;

    return w->now += TICK_US;
}

static void random_of(void *user, void *out, size_t len)
{
    const struct world *w = user;

    rng_fill(&w->rng, out, len);
}

static int only_at_first(void *user, int fd)
{
    const struct world *w = user;

    (void)fd;
    return !w->open;
}

static int no_address(void *user, const char *host, char (*addresses)[TRYST_ENDPOINT_TEXT_SIZE],
                      int cap)
{
    (void)user;
    (void)host;
    (void)addresses;
    (void)cap;
    return 0;
}

/* A context as it is behind REGISTER and CONNECT, but for the connection itself. */
static struct tryst_context *make(struct world *w)
{
    static const uint8_t secret[TRYST_KEY_SIZE] = {8};
    struct tryst_context *ctx = tryst_new(NULL);
    struct tryst_listener *l = ctx ? tryst_listen(ctx) : NULL;

    check(ctx && l);
    (void)tryst_listener_allow_all(l, 1);
    (void)tryst_set_key(ctx, secret);
    (void)tryst_set_clock(ctx, clock_of, w);
    (void)tryst_set_random(ctx, random_of, w);
    (void)tryst_set_socket_hook(ctx, only_at_first, w);
    (void)tryst_set_resolver(ctx, no_address, w);
    (void)tryst_set_fail_fast(ctx, 0);
    ctx->started = true;
    ctx->channel.state = CHANNEL_OPEN;
    ctx->channel.registered = ctx->channel.ever_registered = true;
    check(endpoint_parse("192.0.2.1:40000", 0, &ctx->channel.local) == 0);
    check(endpoint_parse("192.0.2.2:5382", 0, &ctx->channel.remote) == 0);
    check(tryst_request(ctx, "bob", 0, 0) != NULL);
    (void)tryst_process(ctx);
    w->open = 0;
    return ctx;
}

static void drain(struct tryst_context *ctx, unsigned *finals)
{
    struct tryst_event *ev;

    while ((ev = tryst_next_event(ctx)) != NULL) {
        const struct tryst_request *req = tryst_event_request(ev);
        bool final = tryst_event_type(ev) == TRYST_EVENT_FAILED;
        check(tryst_event_type(ev) != TRYST_EVENT_ESTABLISHED);
        if (final && !tryst_report_incoming(tryst_request_report(req)))
            ++*finals;
        tryst_event_free(ev);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.now = TICK_S, .open = 1};
    unsigned finals = 0;

    w.rng = rng_from_seed(&w.seeded, 1);
    struct tryst_context *ctx = make(&w);
    while (size >= 3 && ctx->channel.state == CHANNEL_OPEN) {
        size_t len = (size_t)data[0] << 8 | data[1];
        w.now += data[2] * STEP;
        data += 3;
        size -= 3;
        len = len < size ? len : size;
        deliver(ctx, data, len);
        (void)tryst_process(ctx);
        drain(ctx, &finals);
        check(ctx->socket_count <= CORE_SOCKETS_MAX);
        data += len;
        size -= len;
    }
    /* In the end, every session is over. */
    for (int i = 0; i < 40 && ctx->requests; i++) {
        w.now += 20 * TICK_S;
        (void)tryst_process(ctx);
        drain(ctx, &finals);
    }
    check(ctx->requests == NULL);
    check(finals == 1);
    tryst_free(ctx);
    return 0;
}
