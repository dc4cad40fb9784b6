/* SPDX-License-Identifier: ISC */
#include "client-stub/observe.h"

#include <errno.h>
#include <linux/tcp.h> /* for tcpi_segs_in, which libc's own lacks */
#include <netinet/in.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>

#include "client-stub/core.h"
#include "client-stub/sock.h"
#include "proto/frame.h"

#define STEP_LIMIT    (3 * TICK_S)
#define PAUSE_MOST_US (10u * 1000 * 1000)
#define RUN_LIMIT     (60 * TICK_S)
#define REPLY_MAX     128 /* an OBSERVED, with room for fields to come */

struct observation {
    struct observe *run;
    struct watch watch;
    struct deadline limit;
    int fd;
    bool ended;
    tick began_at;
    tick ended_at;
    uint8_t in[FRAME_HEADER_SIZE + REPLY_MAX];
    size_t in_len;
};

static void observation_ready(struct watch *w, uint32_t events);
static void observation_due(struct deadline *d);
static void advance(struct deadline *d);
static void run_over(struct deadline *d);

static uint8_t index_of(const struct observation *ob)
{
    return (uint8_t)(ob - ob->run->at);
}

struct observe *observe_new(struct tryst_context *ctx, struct ports *ports, const uint8_t *token,
                            const uint8_t *secret, const struct steps *steps,
                            void (*done)(struct observe *o), void *owner)
{
    struct observe *o = core_alloc(ctx, sizeof(*o));
    unsigned count = steps->count ? steps->count : 1;

    if (!o)
        return NULL;
    o->at = core_alloc(ctx, count * sizeof(*o->at));
    if (!o->at) {
        core_release(ctx, o);
        return NULL;
    }
    o->ctx = ctx;
    o->ports = ports;
    o->done = done;
    o->owner = owner;
    memcpy(o->token, token, sizeof(o->token));
    memcpy(o->secret, secret, sizeof(o->secret));
    o->steps = *steps;
    for (unsigned i = 0; i < steps->count; i++) {
        o->at[i].run = o;
        o->at[i].fd = -1;
        o->at[i].watch.fn = observation_ready;
        o->at[i].limit.fn = observation_due;
    }
    o->pace.fn = advance;
    o->limit.fn = run_over;
    o->begun_at = core_now(ctx);
    core_deadline(ctx, &o->limit, tick_after(o->begun_at, RUN_LIMIT));
    core_deadline(ctx, &o->pace, o->begun_at);
    return o;
}

void observe_close(struct observe *o)
{
    if (!o)
        return;
    struct tryst_context *ctx = o->ctx;
    for (unsigned i = 0; i < o->steps.count; i++) {
        core_unwatch(ctx, &o->at[i].watch);
        core_clear(ctx, &o->at[i].limit);
        sock_close_gently(ctx, &o->at[i].fd);
    }
    core_clear(ctx, &o->pace);
    core_clear(ctx, &o->limit);
    core_release(ctx, o->at);
    sodium_memzero(o, sizeof(*o));
    core_release(ctx, o);
}

/* ---- one step ---- */

/* A step is over; `keep`: its connection stays, and with it the NAT's mapping. */
static void end_step(struct observation *ob, bool failed, bool keep)
{
    struct observe *o = ob->run;
    tick now = core_now(o->ctx);

    core_unwatch(o->ctx, &ob->watch);
    core_clear(o->ctx, &ob->limit);
    if (!keep)
        sock_close_gently(o->ctx, &ob->fd);
    ob->ended = true;
    ob->ended_at = now;
    o->ended++;
    if (failed)
        o->failed++;
    core_deadline(o->ctx, &o->pace, now);
}

/* Where a step goes: an address of zeros stands for the one that the control channel was dialled
 * at. */
static struct endpoint target(const struct observe *o, const struct step *s)
{
    struct endpoint unspecified = endpoint_with_port(endpoint_none(), s->server.port);

    unspecified.family = s->server.family;
    if (o->ctx->channel.remote.family == s->server.family &&
        endpoint_equal(&s->server, &unspecified))
        return endpoint_with_port(o->ctx->channel.remote, s->server.port);
    return s->server;
}

/*
 * The server may have observation points on addresses of its own choice, but must not turn its
 * peers against their own networks.
 */
static bool allowed(const struct observe *o, const struct endpoint *e)
{
    bool server_is_local = !endpoint_is_global(&o->ctx->channel.remote);

    return !sock_undialable(e) && (endpoint_is_global(e) || server_is_local);
}

static int begin_step(struct observation *ob)
{
    struct observe *o = ob->run;
    const struct step *s = &o->steps.at[index_of(ob)];
    struct endpoint server = target(o, s);

    ob->began_at = core_now(o->ctx);
    if (!allowed(o, &server) || !core_may_dial(o->ctx))
        return -1;
    if ((s->flags & STEP_LISTEN) && ports_listen(o->ports, s->server.family, s->socket) != 0)
        return -1;
    ob->fd = ports_open(o->ports, s->server.family, s->socket);
    if (ob->fd < 0 || sock_connect(ob->fd, &server) != 0)
        return -1;
    core_deadline(o->ctx, &ob->limit, tick_after(ob->began_at, STEP_LIMIT));
    return core_watch(o->ctx, &ob->watch, ob->fd, EPOLLOUT);
}

static int send_observe(struct observation *ob)
{
    struct observe *o = ob->run;
    uint8_t out[FRAME_HEADER_SIZE + 1 + REPLY_MAX];
    struct msg m;

    memset(&m, 0, sizeof(m));
    m.type = MSG_OBSERVE;
    memcpy(m.observe_.token, o->token, sizeof(m.observe_.token));
    m.observe_.step = index_of(ob);
    m.observe_.local = sock_local(ob->fd);
    if (msg_tag(&m, o->secret) != 0)
        return -1;
    int len = msg_encode(&m, out + FRAME_HEADER_SIZE + 1, REPLY_MAX);
    if (len < 0)
        return -1;
    size_t body = 1 + (size_t)len;
    frame_put_header(out, body);
    out[FRAME_HEADER_SIZE] = HELLO_OBSERVATION;
    ssize_t n = send(ob->fd, out, FRAME_HEADER_SIZE + body, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n == (ssize_t)(FRAME_HEADER_SIZE + body) ? 0 : -1;
}

/*
 * Simultaneous open, or the ordinary one? In the latter the only segment by now is the server's
 * SYN-ACK.
 */
static uint8_t crossing(int fd)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);

    memset(&info, 0, sizeof(info));
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 || info.tcpi_segs_in == 0)
        return CROSSING_UNKNOWN;
    return info.tcpi_segs_in > 1 ? CROSSING_CAME_IN : CROSSING_KEPT_OUT;
}

/* 1: answered; 0: more bytes are needed; -1: not a genuine answer. */
static int take_observed(struct observation *ob)
{
    const uint8_t *body;
    size_t len;
    struct msg m;
    int n = frame_parse(ob->in, ob->in_len, REPLY_MAX, &body, &len);

    if (n <= 0)
        return n;
    if (msg_decode(body, len, &m) != 0 || m.type != MSG_OBSERVED)
        return -1;
    if (m.observed_.step != index_of(ob) || msg_tag_verify(&m, ob->run->secret) != 0)
        return -1;
    return 1;
}

static int receive(struct observation *ob)
{
    ssize_t n = recv(ob->fd, ob->in + ob->in_len, sizeof(ob->in) - ob->in_len, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -1;
    ob->in_len += (size_t)n;
    return take_observed(ob);
}

static void observation_ready(struct watch *w, uint32_t events)
{
    struct observation *ob = CONTAINER(w, struct observation, watch);
    struct observe *o = ob->run;
    int result;

    if (o->steps.at[index_of(ob)].flags & STEP_CROSS) {
        o->crossing = CROSSING_UNKNOWN;
        result = sock_error(ob->fd) == 0 ? 1 : -1;
        if (result > 0)
            o->crossing = crossing(ob->fd);
    } else if (w->events & EPOLLOUT) {
        result = sock_error(ob->fd) == 0 ? send_observe(ob) : -1;
        if (result == 0)
            result = core_watch_events(o->ctx, w, EPOLLIN);
    } else {
        result = receive(ob);
    }
    (void)events;
    if (result < 0)
        end_step(ob, true, false);
    else if (result > 0)
        end_step(ob, false, o->steps.at[index_of(ob)].flags & STEP_KEEP);
}

static void observation_due(struct deadline *d)
{
    end_step(CONTAINER(d, struct observation, limit), true, false);
}

/* ---- the order of the steps ---- */

/* When the next step may begin; TICK_NEVER: not before the one in front of it has ended. */
static tick next_moment(const struct observe *o)
{
    const struct step *s = &o->steps.at[o->begun];
    tick pause = (tick)(s->pause_us < PAUSE_MOST_US ? s->pause_us : PAUSE_MOST_US) * TICK_US;

    if (o->begun == 0)
        return o->begun_at + pause;
    const struct observation *before = &o->at[o->begun - 1];
    if (s->flags & STEP_BURST)
        return before->began_at + pause;
    return before->ended ? before->ended_at + pause : TICK_NEVER;
}

static void advance(struct deadline *d)
{
    struct observe *o = CONTAINER(d, struct observe, pace);

    while (o->begun < o->steps.count) {
        tick when = next_moment(o);
        if (when > core_now(o->ctx)) {
            core_deadline(o->ctx, &o->pace, when);
            return;
        }
        struct observation *ob = &o->at[o->begun++];
        if (begin_step(ob) != 0)
            end_step(ob, true, false);
    }
    if (o->ended == o->steps.count && o->limit.fn) {
        core_clear(o->ctx, &o->pace);
        core_clear(o->ctx, &o->limit);
        o->limit.fn = NULL; /* done is said once */
        o->done(o);
    }
}

/* The whole run has taken too long: what has not been answered has failed. */
static void run_over(struct deadline *d)
{
    struct observe *o = CONTAINER(d, struct observe, limit);

    for (unsigned i = 0; i < o->steps.count; i++) {
        if (!o->at[i].ended)
            end_step(&o->at[i], true, false);
    }
    o->begun = o->steps.count;
    advance(&o->pace);
}
