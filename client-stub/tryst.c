/* SPDX-License-Identifier: ISC */
/* What needs no context, and a context's making, settings and end. */
#include "client-stub/tryst.h"

#include <netdb.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client-stub/core.h"
#include "client-stub/event.h"
#include "client-stub/request.h"

/* One vocabulary: the public numbers are those of the wire. */
#define REASON(number, NAME, name, status, text, advice)                                           \
    _Static_assert((int)TRYST_##NAME == (number), "TRYST_" #NAME " differs from "                  \
                                                  "proto/reason.def");
#include "proto/reason.def"
#undef REASON

_Static_assert(TRYST_KEY_SIZE == KEY_SIZE && TRYST_KEY_TEXT_SIZE == KEY_TEXT_SIZE, "keys");
_Static_assert(TRYST_SESSION_ID_SIZE == MSG_ID_SIZE, "session identities");
_Static_assert(TRYST_ENDPOINT_TEXT_SIZE == ENDPOINT_TEXT_SIZE, "endpoints");

/* ---- reasons ---- */

static const struct {
    int reason;
    const char *name;
    const char *text;
    const char *advice;
} own_reasons[] = {
    {TRYST_INVALID, "invalid", "an argument is out of range or malformed", ""},
    {TRYST_STATE, "state", "that is not possible at this point", ""},
    {TRYST_NO_MEMORY, "no-memory", "out of memory", ""},
    {TRYST_NO_KEY, "no-key", "there is no key", "make one with 'tryst keygen' or 'tryst join'"},
    {TRYST_NO_SERVER, "no-server", "no server was named", "'tryst join URL' names one"},
    {TRYST_RESOLVE, "resolve", "the server's name has no address",
     "check the server URL, and the network"},
    {TRYST_UNSUPPORTED, "unsupported", "this system does not support that", ""},
};

static int own_reason(int reason)
{
    for (int i = 0; i < (int)(sizeof(own_reasons) / sizeof(own_reasons[0])); i++) {
        if (own_reasons[i].reason == reason)
            return i;
    }
    return -1;
}

const char *tryst_strerror(int reason)
{
    int n = abs(reason);
    int i = own_reason(n);

    return i >= 0 ? own_reasons[i].text : reason_text((unsigned)n);
}

const char *tryst_advice(int reason)
{
    int n = abs(reason);
    int i = own_reason(n);

    return i >= 0 ? own_reasons[i].advice : reason_advice((unsigned)n);
}

const char *tryst_reason_name(int reason)
{
    int n = abs(reason);
    int i = own_reason(n);

    return i >= 0 ? own_reasons[i].name : reason_name((unsigned)n);
}

/* ---- keys ---- */

#define STRINGIFY(x) #x
#define STRING(x)    STRINGIFY(x)

const char *tryst_version(void)
{
    return STRING(TRYST_VERSION_MAJOR) "." STRING(TRYST_VERSION_MINOR) "." STRING(
        TRYST_VERSION_PATCH);
}

int tryst_keygen(uint8_t secret[TRYST_KEY_SIZE])
{
    struct key_pair pair;
    struct rng rng;

    if (sodium_init() < 0)
        return -TRYST_INTERNAL;
    rng = rng_system();
    key_generate(&rng, &pair);
    memcpy(secret, pair.secret, TRYST_KEY_SIZE);
    sodium_memzero(&pair, sizeof(pair));
    return 0;
}

int tryst_public_key(const uint8_t secret[TRYST_KEY_SIZE], uint8_t public_key[TRYST_KEY_SIZE])
{
    struct key_pair pair;

    if (sodium_init() < 0)
        return -TRYST_INTERNAL;
    int result = key_from_secret(secret, &pair) == 0 ? 0 : -TRYST_INVALID;
    if (result == 0)
        memcpy(public_key, pair.public, TRYST_KEY_SIZE);
    sodium_memzero(&pair, sizeof(pair));
    return result;
}

void tryst_key_to_text(const uint8_t key[TRYST_KEY_SIZE], char text[TRYST_KEY_TEXT_SIZE])
{
    (void)key_format(key, text);
}

int tryst_key_from_text(const char *text, uint8_t key[TRYST_KEY_SIZE])
{
    return key_parse(text, key) == 0 ? 0 : -TRYST_INVALID;
}

/* ---- making and ending ---- */

static void *plain_alloc(void *user, size_t size)
{
    (void)user;
    return malloc(size);
}

static void *plain_resize(void *user, void *p, size_t size)
{
    (void)user;
    return realloc(p, size);
}

static void plain_release(void *user, void *p)
{
    (void)user;
    free(p);
}

static int64_t monotonic(void *user)
{
    struct timespec ts;

    (void)user;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * TICK_S + ts.tv_nsec;
}

/* Turns the application's hook into the form that the rest of the code takes. */
static void fill_by_hook(void *state, void *out, size_t len)
{
    struct tryst_context *ctx = state;

    ctx->random_fn(ctx->random_user, out, len);
}

struct tryst_context *tryst_new(const struct tryst_allocator *allocator)
{
    static const struct tryst_allocator plain = {plain_alloc, plain_resize, plain_release, NULL};

    if (sodium_init() < 0)
        return NULL;
    if (!allocator)
        allocator = &plain;
    struct tryst_context *ctx = core_alloc_with(allocator, sizeof(*ctx));
    if (!ctx)
        return NULL;
    ctx->alloc = *allocator;
    ctx->clock_fn = monotonic;
    ctx->rng = rng_system();
    ctx->fail_fast = true;
    ctx->dials_left = CORE_DIALS_MAX;
    (void)snprintf(ctx->agent, sizeof(ctx->agent), "libtryst/%s", tryst_version());
    channel_init(ctx);
    answer_init(&ctx->answer, ctx);
    /* Without descriptors tryst_fd() and tryst_start() say so. */
    if (core_open(ctx) != 0)
        core_close(ctx);
    return ctx;
}

void tryst_free(struct tryst_context *ctx)
{
    if (!ctx)
        return;
    ctx->stopped = TRYST_CANCELLED;
    channel_close(ctx);
    answer_end(&ctx->answer);
    while (ctx->requests)
        request_free(ctx->requests);
    event_end(ctx);
    struct tryst_listener *listener = ctx->listener;
    tryst_listener_free(listener);
    core_close(ctx);
    struct tryst_allocator alloc = ctx->alloc;
    sodium_memzero(ctx, sizeof(*ctx));
    alloc.release(alloc.user, ctx);
}

/* ---- settings ---- */

/* Copies text that must fit and, on the wire, must be printable. */
static int set_text(struct tryst_context *ctx, char *to, size_t size, const char *text)
{
    if (ctx->started)
        return -TRYST_STATE;
    if (!text || strlen(text) >= size)
        return -TRYST_INVALID;
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return -TRYST_INVALID;
    }
    (void)snprintf(to, size, "%s", text);
    return 0;
}

int tryst_set_server(struct tryst_context *ctx, const char *url)
{
    struct server_url server;

    if (ctx->started)
        return -TRYST_STATE;
    if (!url || server_url_parse(url, &server) != NULL)
        return -TRYST_INVALID;
    ctx->server = ctx->channel.server = server;
    ctx->channel.contact.count = 0;
    ctx->has_server = true;
    return 0;
}

int tryst_set_key(struct tryst_context *ctx, const uint8_t secret[TRYST_KEY_SIZE])
{
    if (ctx->started)
        return -TRYST_STATE;
    if (key_from_secret(secret, &ctx->key) != 0)
        return -TRYST_INVALID;
    ctx->has_key = true;
    return 0;
}

int tryst_set_name(struct tryst_context *ctx, const char *name)
{
    char lower[PEER_NAME_SIZE];

    if (ctx->started)
        return -TRYST_STATE;
    if (!name || peer_name_parse(name, lower) != 0)
        return -TRYST_INVALID;
    return set_text(ctx, ctx->name, sizeof(ctx->name), lower);
}

int tryst_set_invite(struct tryst_context *ctx, const char *token)
{
    return set_text(ctx, ctx->invite, sizeof(ctx->invite), token);
}

int tryst_set_agent(struct tryst_context *ctx, const char *program)
{
    return set_text(ctx, ctx->agent, sizeof(ctx->agent), program);
}

int tryst_set_budget(struct tryst_context *ctx, unsigned syns)
{
    if (ctx->started)
        return -TRYST_STATE;
    if (syns < 1 || syns > CORE_BUDGET_MAX)
        return -TRYST_INVALID;
    ctx->budget = syns;
    return 0;
}

int tryst_set_birthday(struct tryst_context *ctx, int consent)
{
    if (ctx->started)
        return -TRYST_STATE;
    ctx->birthday = consent;
    return 0;
}

int tryst_set_fail_fast(struct tryst_context *ctx, int yes)
{
    if (ctx->started)
        return -TRYST_STATE;
    ctx->fail_fast = yes;
    return 0;
}

int tryst_set_log(struct tryst_context *ctx, int most, tryst_log_fn fn, void *user)
{
    if (ctx->started)
        return -TRYST_STATE;
    ctx->log_most = most;
    ctx->log_fn = fn;
    ctx->log_user = user;
    return 0;
}

int tryst_set_clock(struct tryst_context *ctx, tryst_clock_fn fn, void *user)
{
    if (ctx->started)
        return -TRYST_STATE;
    ctx->clock_fn = fn ? fn : monotonic;
    ctx->clock_user = user;
    return 0;
}

int tryst_set_random(struct tryst_context *ctx, tryst_random_fn fn, void *user)
{
    if (ctx->started)
        return -TRYST_STATE;
    ctx->random_fn = fn;
    ctx->random_user = user;
    ctx->rng = fn ? (struct rng){fill_by_hook, ctx} : rng_system();
    return 0;
}

int tryst_set_socket_hook(struct tryst_context *ctx, tryst_socket_fn fn, void *user)
{
    if (ctx->started)
        return -TRYST_STATE;
    ctx->socket_fn = fn;
    ctx->socket_user = user;
    return 0;
}

int tryst_set_resolver(struct tryst_context *ctx, tryst_resolve_fn fn, void *user)
{
    if (ctx->started)
        return -TRYST_STATE;
    ctx->resolve_fn = fn;
    ctx->resolve_user = user;
    return 0;
}

int tryst_own_key(const struct tryst_context *ctx, uint8_t key[TRYST_KEY_SIZE])
{
    if (!ctx->has_key)
        return -TRYST_NO_KEY;
    memcpy(key, ctx->key.public, TRYST_KEY_SIZE);
    return 0;
}

const char *tryst_own_name(const struct tryst_context *ctx)
{
    return ctx->own_name;
}

/* ---- starting ---- */

int tryst_resolve(struct tryst_context *ctx)
{
    struct contact *c = &ctx->channel.contact;
    struct addrinfo hints;
    struct addrinfo *list;
    char port[8];

    if (!ctx->has_server)
        return -TRYST_NO_SERVER;
    memset(&hints, 0, sizeof(hints));
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    (void)snprintf(port, sizeof(port), "%u", ctx->channel.server.port);
    if (getaddrinfo(ctx->channel.server.host, port, &hints, &list) != 0)
        return -TRYST_RESOLVE;
    unsigned count = 0;
    for (struct addrinfo *i = list; i && count < CONTACT_ADDRESSES_MAX; i = i->ai_next) {
        if (endpoint_from_sockaddr(i->ai_addr, &c->addresses[count]) == 0)
            count++;
    }
    freeaddrinfo(list);
    c->count = count;
    return count ? 0 : -TRYST_RESOLVE;
}

int tryst_start(struct tryst_context *ctx)
{
    if (ctx->started)
        return -TRYST_STATE;
    if (ctx->epoll_fd < 0)
        return -TRYST_LOCAL_SOCKET;
    if (!ctx->has_key)
        return -TRYST_NO_KEY;
    if (!ctx->has_server)
        return -TRYST_NO_SERVER;
    if (contact_resolve(ctx) != 0)
        return -TRYST_RESOLVE;
    ctx->started = true;
    channel_begin(ctx);
    core_settle(ctx);
    return 0;
}
