/* SPDX-License-Identifier: ISC */
#include "client-stub/channel.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "client-stub/core.h"
#include "client-stub/deliver.h"
#include "client-stub/event.h"
#include "client-stub/listener.h"
#include "client-stub/request.h"
#include "client-stub/sock.h"

#define REPLY_LIMIT     (10 * TICK_S)
#define READS_MAX       32 /* recv() calls on one wake-up */
#define OUT_MAX         ((size_t)256 * 1024)
#define PAUSE_FIRST     (1 * TICK_S)
#define PAUSE_MOST      (30 * TICK_S)
#define PAUSE_DOUBLINGS 8
#define STEADY          (10 * TICK_S) /* a channel that stood this long was no failure */
#define REDIRECTS_MAX   3
#define DELAY_MOST_MS   (3600u * 1000)

/* What the server's reply to message 1 must measure: Noise IK message 2 without payload. */
#define REPLY_SIZE NOISE_IK_2_OVERHEAD

static void channel_ready(struct watch *w, uint32_t events);
static void channel_due(struct deadline *d);

void channel_init(struct tryst_context *ctx)
{
    ctx->channel.fd = -1;
    ctx->channel.watch.fn = channel_ready;
    ctx->channel.timer.fn = channel_due;
    contact_init(ctx);
}

/* ---- coming and going ---- */

static void disconnect(struct tryst_context *ctx)
{
    struct channel *ch = &ctx->channel;

    contact_end(ctx);
    core_unwatch(ctx, &ch->watch);
    /* A RST for what the server still had to say could overtake the last RESULT. */
    sock_close_gently(ctx, &ch->fd);
    core_clear(ctx, &ch->timer);
    noise_wipe(&ch->handshake);
    sodium_memzero(&ch->send, sizeof(ch->send));
    sodium_memzero(&ch->receive, sizeof(ch->receive));
    core_release(ctx, ch->out);
    ch->out = NULL;
    ch->out_len = ch->out_size = ch->in_len = 0;
    ch->state = CHANNEL_DOWN;
    ch->registered = false;
}

void channel_close(struct tryst_context *ctx)
{
    disconnect(ctx);
}

void channel_begin(struct tryst_context *ctx)
{
    ctx->channel.state = CHANNEL_CONTACT;
    contact_start(ctx);
}

tick channel_pause(const struct rng *rng, unsigned failures, uint32_t delay_ms)
{
    unsigned doublings = failures < PAUSE_DOUBLINGS ? failures : PAUSE_DOUBLINGS;
    tick spread = tick_min(PAUSE_FIRST << doublings, PAUSE_MOST);
    tick asked = (tick)(delay_ms < DELAY_MOST_MS ? delay_ms : DELAY_MOST_MS) * TICK_MS;

    return asked + rng_interval(rng, tick_max(spread, asked));
}

static bool worth_waiting(int reason)
{
    return reason == TRYST_BUSY || reason == TRYST_DRAINING;
}

static void use_server(struct channel *ch, const struct server_url *server)
{
    ch->server = *server;
    ch->contact.count = 0;
}

/* Which server to come back to: one that it was sent to (else NULL), the present one, or, if that
 * is not the one which this context was given and cannot be had, the latter again. */
static void choose_server(struct tryst_context *ctx, bool was_registered,
                          const struct server_url *sent_to)
{
    struct channel *ch = &ctx->channel;

    if (sent_to) {
        ch->redirected = true;
        use_server(ch, sent_to);
    } else if (ch->redirected && !was_registered) {
        ch->redirected = false;
        use_server(ch, &ctx->server);
    }
}

static void lost(struct tryst_context *ctx, int reason, const char *text, uint32_t delay_ms,
                 const struct server_url *sent_to)
{
    struct channel *ch = &ctx->channel;
    bool was_registered = ch->registered;
    tick now = core_now(ctx);

    /* Told when to come back, it was no failure either. */
    if (was_registered && (now - ch->registered_at >= STEADY || delay_ms))
        ch->failures = 0;
    disconnect(ctx);
    answer_end(&ctx->answer);
    if (ctx->fail_fast && !ch->ever_registered && !ch->redirected && !sent_to &&
        !worth_waiting(reason)) {
        core_stop(ctx, reason, text);
        return;
    }
    choose_server(ctx, was_registered, sent_to);
    tick pause = channel_pause(&ctx->rng, ch->failures++, delay_ms);
    core_log(ctx, TRYST_LOG_WARNING, "%s%s%s; next try in %.1f s", reason_text((unsigned)reason),
             *text ? ": " : "", text, tick_seconds(pause));
    if (was_registered || ch->told != reason)
        event_add(ctx, TRYST_EVENT_DISCONNECTED, NULL, reason, text);
    ch->told = reason;
    request_channel_lost(ctx, was_registered, reason, text);
    core_deadline(ctx, &ch->timer, tick_after(now, pause));
}

void channel_lost(struct tryst_context *ctx, int reason, const char *text, uint32_t delay_ms)
{
    lost(ctx, reason, text, delay_ms, NULL);
}

void channel_refused(struct tryst_context *ctx, int reason, const char *text)
{
    if (ctx->channel.redirected && !ctx->channel.registered)
        channel_lost(ctx, reason, text, 0);
    else
        core_stop(ctx, reason, text);
}

void channel_renew(struct tryst_context *ctx)
{
    if (ctx->channel.state != CHANNEL_OPEN)
        return;
    disconnect(ctx);
    answer_end(&ctx->answer);
    request_channel_lost(ctx, false, TRYST_SERVER_LOST, "");
    channel_begin(ctx);
}

void channel_unreachable(struct tryst_context *ctx, const char *text)
{
    channel_lost(ctx, TRYST_SERVER_UNREACHABLE, text, 0);
}

/* The connection ended by itself: what that means depends on how far it had come. */
static void broken(struct tryst_context *ctx, int error)
{
    struct channel *ch = &ctx->channel;
    const char *text = error ? strerror(error) : "closed by the server";

    if (ch->state == CHANNEL_HANDSHAKE && ch->in_len > 0)
        channel_lost(ctx, TRYST_PROTOCOL, "the answer broke off", 0);
    else if (ch->state == CHANNEL_HANDSHAKE && !ch->ever_registered)
        /* A server with another key cannot even open the first message. */
        channel_lost(ctx, TRYST_SERVER_KEY, text, 0);
    else
        channel_lost(ctx, TRYST_SERVER_LOST, text, 0);
}

static void channel_due(struct deadline *d)
{
    struct tryst_context *ctx = CONTAINER(d, struct tryst_context, channel.timer);

    if (ctx->channel.state == CHANNEL_DOWN)
        channel_begin(ctx);
    else if (ctx->channel.state == CHANNEL_HANDSHAKE)
        channel_lost(ctx, TRYST_SERVER_UNREACHABLE, "connected, but got no answer", 0);
}

void channel_redirect(struct tryst_context *ctx, const struct msg_redirect *m)
{
    struct channel *ch = &ctx->channel;
    struct server_url url;
    const char *wrong = server_url_parse(m->url, &url);

    if (wrong || ch->redirects >= REDIRECTS_MAX) {
        core_log(ctx, TRYST_LOG_WARNING, "redirection not followed: %s",
                 wrong ? wrong : "too many in a row");
        return;
    }
    core_log(ctx, TRYST_LOG_INFO, "redirected to %s", url.host);
    ch->redirects++;
    lost(ctx, TRYST_SERVER_LOST, "redirected to another server", m->delay_ms, &url);
}

/* ---- sending ---- */

static void flush(struct tryst_context *ctx)
{
    struct channel *ch = &ctx->channel;
    size_t done = 0;

    while (done < ch->out_len) {
        ssize_t n = send(ch->fd, ch->out + done, ch->out_len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        done += (size_t)n;
    }
    /* An error shows again when reading, where it is handled. */
    if (done > 0)
        memmove(ch->out, ch->out + done, ch->out_len - done);
    ch->out_len -= done;
    if (ch->watch.active)
        (void)core_watch_events(ctx, &ch->watch, EPOLLIN | (ch->out_len ? (uint32_t)EPOLLOUT : 0));
}

/* Room for `len` more bytes to send, or NULL. */
static uint8_t *reserve(struct tryst_context *ctx, size_t len)
{
    struct channel *ch = &ctx->channel;
    size_t size = ch->out_size ? ch->out_size : 2048;

    while (size < ch->out_len + len)
        size *= 2;
    if (size > OUT_MAX)
        return NULL;
    if (size != ch->out_size) {
        uint8_t *out = ctx->alloc.resize(ctx->alloc.user, ch->out, size);
        if (!out)
            return NULL;
        ch->out = out;
        ch->out_size = size;
    }
    return ch->out + ch->out_len;
}

int channel_send(struct tryst_context *ctx, const struct msg *m)
{
    struct channel *ch = &ctx->channel;
    uint8_t plain[FRAME_PLAIN_MAX];

    if (ch->state != CHANNEL_OPEN)
        return -1;
    int len = msg_encode(m, plain, sizeof(plain));
    if (len < 0)
        return -1;
    size_t body = (size_t)len + NOISE_TAG_SIZE;
    uint8_t *out = reserve(ctx, FRAME_HEADER_SIZE + body);
    if (!out) {
        channel_lost(ctx, TRYST_SERVER_LOST, "the server does not read what it is sent", 0);
        return -1;
    }
    frame_put_header(out, body);
    if (noise_seal(&ch->send, plain, (size_t)len, out + FRAME_HEADER_SIZE) < 0) {
        channel_lost(ctx, TRYST_SERVER_LOST, "the channel's nonces are used up", 0);
        return -1;
    }
    ch->out_len += FRAME_HEADER_SIZE + body;
    core_log(ctx, TRYST_LOG_DEBUG, "sent %s", msg_name(m->type));
    flush(ctx);
    return 0;
}

/* ---- opening ---- */

static int send_hello(struct tryst_context *ctx)
{
    struct channel *ch = &ctx->channel;
    size_t body = 1 + NOISE_IK_1_OVERHEAD;
    uint8_t *out = reserve(ctx, FRAME_HEADER_SIZE + body);

    if (!out)
        return -1;
    noise_start(&ch->handshake, NOISE_IK, true, MSG_PROLOGUE, strlen(MSG_PROLOGUE), &ctx->key,
                ch->server.key);
    frame_put_header(out, body);
    out[FRAME_HEADER_SIZE] = HELLO_CONTROL;
    if (noise_write(&ch->handshake, &ctx->rng, NULL, 0, out + FRAME_HEADER_SIZE + 1,
                    NOISE_IK_1_OVERHEAD) < 0)
        return -1;
    ch->out_len += FRAME_HEADER_SIZE + body;
    flush(ctx);
    return 0;
}

/* The client side finds a dead server or mapping, so that an idle peer costs the server nothing. */
static void set_options(int fd)
{
    static const struct {
        int level;
        int option;
        int value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 120},
        {IPPROTO_TCP, TCP_KEEPINTVL, 20},
        {IPPROTO_TCP, TCP_KEEPCNT, 4},
        /* All four probes' time: a smaller value would cut keepalive short. */
        {IPPROTO_TCP, TCP_USER_TIMEOUT, (120 + 4 * 20) * 1000},
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
        (void)setsockopt(fd, options[i].level, options[i].option, &options[i].value, sizeof(int));
}

void channel_connected(struct tryst_context *ctx, int fd)
{
    struct channel *ch = &ctx->channel;
    char text[ENDPOINT_TEXT_SIZE];

    ch->fd = fd;
    ch->state = CHANNEL_HANDSHAKE;
    ch->local = sock_local(fd);
    ch->remote = sock_remote(fd);
    set_options(fd);
    core_log(ctx, TRYST_LOG_DEBUG, "connected to %s", endpoint_format(&ch->remote, text));
    if (core_watch(ctx, &ch->watch, fd, EPOLLIN) != 0 || send_hello(ctx) != 0) {
        channel_lost(ctx, TRYST_LOCAL_SOCKET, "out of memory", 0);
        return;
    }
    core_deadline(ctx, &ch->timer, tick_after(core_now(ctx), REPLY_LIMIT));
}

static void add_local(struct tryst_context *ctx, struct endpoints *locals)
{
    const struct endpoint *local = &ctx->channel.local;

    locals->at[locals->count++] = *local;
    if (sock_host_address(ctx, local->family == 4 ? 6 : 4, &locals->at[locals->count]))
        locals->count++;
}

static void send_register(struct tryst_context *ctx)
{
    struct msg m;

    memset(&m, 0, sizeof(m));
    m.type = MSG_REGISTER;
    m.register_.version = MSG_VERSION;
    m.register_.flags = REGISTER_CONTROL_PORT;
    if (ctx->listener)
        m.register_.flags |= REGISTER_LISTEN;
    (void)snprintf(m.register_.name, sizeof(m.register_.name), "%s", ctx->name);
    (void)snprintf(m.register_.invite, sizeof(m.register_.invite), "%s", ctx->invite);
    (void)snprintf(m.register_.agent, sizeof(m.register_.agent), "%s", ctx->agent);
    add_local(ctx, &m.register_.locals);
    (void)channel_send(ctx, &m);
}

void channel_registered(struct tryst_context *ctx, const struct msg_registered *m)
{
    struct channel *ch = &ctx->channel;
    char text[ENDPOINT_TEXT_SIZE];

    (void)snprintf(ctx->own_name, sizeof(ctx->own_name), "%s", m->name);
    core_log(ctx, TRYST_LOG_INFO, "registered, seen at %s", endpoint_format(&m->observed, text));
    if (ch->registered)
        return;
    ch->registered = ch->ever_registered = true;
    ch->registered_at = core_now(ctx);
    ch->redirects = 0;
    ch->told = 0;
    ctx->invite[0] = '\0'; /* a token works once */
    request_registered(ctx);
    event_add(ctx, TRYST_EVENT_REGISTERED, NULL, 0, "");
}

static void take_reply(struct tryst_context *ctx, const uint8_t *body, size_t len)
{
    struct channel *ch = &ctx->channel;
    uint8_t payload[1];

    if (noise_read(&ch->handshake, body, len, payload, sizeof(payload)) < 0 ||
        noise_split(&ch->handshake, &ch->send, &ch->receive, NULL) != 0) {
        channel_lost(ctx, TRYST_SERVER_KEY, "its answer was not genuine", 0);
        return;
    }
    core_clear(ctx, &ch->timer);
    ch->state = CHANNEL_OPEN;
    send_register(ctx);
    /* Requests follow at once: the server takes them in order. */
    request_send_waiting(ctx);
}

/* ---- receiving ---- */

static void take_message(struct tryst_context *ctx, const uint8_t *body, size_t len)
{
    uint8_t plain[FRAME_BODY_MAX];
    int n = noise_open(&ctx->channel.receive, body, len, plain);

    if (n < 0)
        channel_lost(ctx, TRYST_SERVER_LOST, "a message was not genuine", 0);
    else
        deliver(ctx, plain, (size_t)n);
}

/* Handles every whole frame in the buffer, and moves the rest to its start. */
static void take_frames(struct tryst_context *ctx)
{
    struct channel *ch = &ctx->channel;
    size_t used = 0;

    for (;;) {
        bool greeting = ch->state == CHANNEL_HANDSHAKE;
        const uint8_t *body;
        size_t len;
        int n = frame_parse(ch->in + used, ch->in_len - used,
                            greeting ? REPLY_SIZE : FRAME_BODY_MAX, &body, &len);
        if (n < 0 || (n > 0 && greeting && len != REPLY_SIZE)) {
            channel_lost(ctx, greeting ? TRYST_PROTOCOL : TRYST_SERVER_LOST, "not a valid frame",
                         0);
            return;
        }
        if (n == 0)
            break;
        used += (size_t)n;
        if (greeting)
            take_reply(ctx, body, len);
        else
            take_message(ctx, body, len);
        if (ch->state != CHANNEL_OPEN)
            return;
    }
    memmove(ch->in, ch->in + used, ch->in_len - used);
    ch->in_len -= used;
}

static void channel_ready(struct watch *w, uint32_t events)
{
    struct tryst_context *ctx = CONTAINER(w, struct tryst_context, channel.watch);
    struct channel *ch = &ctx->channel;

    if (events & EPOLLOUT)
        flush(ctx);
    for (int i = 0; i < READS_MAX && w->active; i++) {
        ssize_t n = recv(ch->fd, ch->in + ch->in_len, sizeof(ch->in) - ch->in_len, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            broken(ctx, n < 0 ? errno : 0);
            return;
        }
        ch->received_at = core_now(ctx);
        ch->in_len += (size_t)n;
        take_frames(ctx);
    }
}
