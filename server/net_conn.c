/* SPDX-License-Identifier: ISC */
/* One connection from accept to close: fill, unframe, drain. */
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "net_conn.h"

/* A peer that leaves this much unread is not there any more. */
#define OUT_MAX (256u * 1024u)
#define IN_SIZE (FRAME_HEADER_SIZE + FRAME_BODY_MAX)

/* ---- deadline lists ---- */

static struct net_waiting *waiting_list(struct net *net, const struct net_conn *c)
{
    switch (c->state) {
    case NET_OBSERVATION:
        return &net->observing;
    case NET_CLOSING:
        return &net->closing;
    default:
        return &net->fresh;
    }
}

static void unqueue(struct net *net, struct net_conn *c)
{
    if (!c->queued)
        return;
    struct net_waiting *list = waiting_list(net, c);
    *(c->before ? &c->before->after : &list->first) = c->after;
    *(c->after ? &c->after->before : &list->last) = c->before;
    c->queued = false;
}

static void queue(struct net *net, struct net_conn *c)
{
    struct net_waiting *list = waiting_list(net, c);
    c->deadline = net->clock->now + list->span;
    c->before = list->last;
    c->after = NULL;
    *(list->last ? &list->last->after : &list->first) = c;
    list->last = c;
    c->queued = true;
    if (!ev_is_active(&net->deadline))
        ev_timer_again(net->loop, &net->deadline);
}

void net_conn_enter(struct net *net, struct net_conn *c, enum net_state state)
{
    unqueue(net, c);
    c->state = (uint8_t)state;
    if (state != NET_CHANNEL)
        queue(net, c);
}

void net_conn_expire(struct net *net, struct net_waiting *list)
{
    while (list->first && list->first->deadline <= net->clock->now)
        net_drop(net, list->first, NET_CLOSED_TIMEOUT);
}

/* ---- strangers ---- */

static void forget_stranger(struct net *net, struct net_conn *c)
{
    if (!c->stranger)
        return;
    c->stranger = false;
    net->strangers--;
    for (unsigned scope = 0; scope < NET_SCOPES; scope++)
        net_limit_know(&net->by[scope], &c->remote);
}

void net_know(struct net *net, struct net_conn *c)
{
    forget_stranger(net, c);
}

static struct net_conn *pending_stranger(struct net *net, const struct net_deadline *deadline)
{
    struct net_conn *c = slab_get(&net->conns, deadline->conn);
    return c && c->stranger && c->state == NET_CHANNEL ? c : NULL;
}

static void pop_pending(struct net_pending *p)
{
    p->head = (p->head + 1) % p->size;
    p->count--;
}

static bool grow_pending(struct net_pending *p)
{
    uint32_t size = p->size ? p->size * 2 : 256;
    struct net_deadline *ring = calloc(size, sizeof(*ring));
    if (!ring)
        return false;
    for (uint32_t i = 0; i < p->count; i++)
        ring[i] = p->ring[(p->head + i) % p->size];
    free(p->ring);
    *p = (struct net_pending){.ring = ring, .count = p->count, .size = size};
    return true;
}

/* False: no memory. */
static bool push_pending(struct net *net, const struct net_conn *c)
{
    struct net_pending *p = &net->pending;
    while (p->count && !pending_stranger(net, &p->ring[p->head]))
        pop_pending(p);
    if (p->count == p->size && !grow_pending(p))
        return false;
    p->ring[(p->head + p->count++) % p->size] =
        (struct net_deadline){.conn = c->slot.self, .at = net->clock->now + net->fresh.span};
    if (!ev_is_active(&net->deadline))
        ev_timer_again(net->loop, &net->deadline);
    return true;
}

void net_conn_expire_pending(struct net *net)
{
    struct net_pending *p = &net->pending;
    while (p->count) {
        const struct net_deadline *first = &p->ring[p->head];
        struct net_conn *c = pending_stranger(net, first);
        if (c && first->at > net->clock->now)
            return;
        pop_pending(p);
        if (c)
            net_drop(net, c, NET_CLOSED_TIMEOUT);
    }
}

/* ---- close ---- */

static void discard(struct net *net, struct net_buffer **buffer)
{
    if (*buffer)
        net->buffered -= (*buffer)->size;
    free(*buffer);
    *buffer = NULL;
}

void net_drop(struct net *net, struct net_conn *c, enum net_closing why)
{
    struct ref self = c->slot.self;
    net->stats.closed[why]++;
    net->handlers.closed(net->handlers.user, c);
    if (slab_get(&net->conns, self) != c)
        return; /* the handler closed it already */
    unqueue(net, c);
    ev_io_stop(net->loop, &c->io);
    close(c->io.fd);
    net->strangers -= c->stranger;
    for (unsigned scope = 0; scope < NET_SCOPES; scope++)
        net_limit_give(&net->by[scope], &c->remote, c->stranger);
    discard(net, &c->in);
    discard(net, &c->out);
    slab_release(&net->conns, c);
}

void net_finish(struct net *net, struct net_conn *c)
{
    if (c->state == NET_CLOSING)
        return;
    net_conn_enter(net, c, NET_CLOSING);
    if (!c->out)
        shutdown(c->io.fd, SHUT_WR);
}

/* ---- out ---- */

static void want(struct net *net, struct net_conn *c, int events)
{
    if ((c->io.events & (EV_READ | EV_WRITE)) == events && ev_is_active(&c->io))
        return;
    ev_io_stop(net->loop, &c->io);
    ev_io_set(&c->io, c->io.fd, events);
    if (events)
        ev_io_start(net->loop, &c->io);
}

/* Room for one more buffer, of all connections together. */
static bool may_buffer(struct net *net, const struct net_conn *c, uint64_t more)
{
    if (net->buffered + more <= net->most.buffered)
        return true;
    net_hit(net, LIMIT_BUFFERS, &c->remote);
    return false;
}

/* Keeps what the kernel did not take. False: too much, or no memory. */
static bool keep(struct net *net, struct net_conn *c, const uint8_t *bytes, size_t len)
{
    size_t kept = c->out ? c->out->len : 0, need = kept + len;
    if (need > OUT_MAX)
        return false;
    if (!c->out || need > c->out->size) {
        uint32_t before = c->out ? c->out->size : 0, size = before ? before : IN_SIZE;
        while (size < need)
            size *= 2;
        if (!may_buffer(net, c, size - before))
            return false;
        struct net_buffer *out = realloc(c->out, sizeof(*out) + size);
        if (!out)
            return false;
        out->size = size;
        net->buffered += size - before;
        c->out = out;
    }
    memcpy(c->out->bytes + kept, bytes, len);
    c->out->len = (uint32_t)need;
    return true;
}

/*
 * Sending never closes the connection under its caller's feet: a connection that failed is shut
 * down here and found closed by the loop in the next wake-up.
 */
static void put(struct net *net, struct net_conn *c, const uint8_t *bytes, size_t len)
{
    ssize_t sent = 0;
    if (!c->out) {
        sent = send(c->io.fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            shutdown(c->io.fd, SHUT_RDWR);
            return;
        }
        sent = sent < 0 ? 0 : sent;
    }
    if ((size_t)sent == len)
        return;
    if (!keep(net, c, bytes + sent, len - (size_t)sent)) {
        shutdown(c->io.fd, SHUT_RDWR);
        return;
    }
    want(net, c, EV_READ | EV_WRITE);
}

static void drain(struct net *net, struct net_conn *c)
{
    ssize_t sent = send(c->io.fd, c->out->bytes, c->out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR)
            net_drop(net, c, NET_CLOSED_ERROR);
        return;
    }
    c->out->len -= (uint32_t)sent;
    memmove(c->out->bytes, c->out->bytes + sent, c->out->len);
    if (c->out->len)
        return;
    discard(net, &c->out);
    want(net, c, EV_READ);
    if (c->state == NET_CLOSING)
        shutdown(c->io.fd, SHUT_WR);
}

void net_send(struct net *net, struct net_conn *c, const struct msg *m)
{
    uint8_t frame[FRAME_HEADER_SIZE + FRAME_BODY_MAX];
    uint8_t *body = frame + FRAME_HEADER_SIZE;

    if (c->state != NET_CHANNEL)
        return;
    int len = msg_encode(m, body, FRAME_PLAIN_MAX);
    int sealed = len < 0 ? -1 : noise_seal(&c->send, body, (size_t)len, body);
    if (sealed < 0) {
        log_error("cannot send %s: it does not fit its frame", msg_name(m->type));
        shutdown(c->io.fd, SHUT_RDWR);
        return;
    }
    frame_put_header(frame, (size_t)sealed);
    net->stats.frames_out++;
    put(net, c, frame, FRAME_HEADER_SIZE + (size_t)sealed);
}

void net_answer(struct net *net, struct net_conn *c, const struct msg *m)
{
    uint8_t frame[FRAME_HEADER_SIZE + FRAME_BODY_MAX];
    int len = msg_encode(m, frame + FRAME_HEADER_SIZE, FRAME_PLAIN_MAX);
    if (len < 0)
        return;
    frame_put_header(frame, (size_t)len);
    put(net, c, frame, FRAME_HEADER_SIZE + (size_t)len);
}

/* ---- in ---- */

static void hello_control(struct net *net, struct net_conn *c, const uint8_t *body, size_t len)
{
    struct handshake_job job = {.conn = c->slot.self, .put = net->clock->now};
    if (len != sizeof(job.message)) {
        net_drop(net, c, NET_CLOSED_MALFORMED);
        return;
    }
    memcpy(job.message, body, len);
    net->stats.handshakes++;
    if (!net_handshake_put(net->pool, &job)) {
        net_hit(net, LIMIT_HANDSHAKES, &c->remote);
        net_drop(net, c, NET_CLOSED_BUSY);
        return;
    }
    /* The peer has nothing to say before it has the answer; its time still counts from the accept.
     */
    c->state = NET_HANDSHAKE;
}

static void hello_observation(struct net *net, struct net_conn *c, const uint8_t *body, size_t len)
{
    struct msg m;
    if (msg_decode(body, len, &m) != 0 || m.type != MSG_OBSERVE) {
        net_drop(net, c, NET_CLOSED_MALFORMED);
        return;
    }
    net_conn_enter(net, c, NET_OBSERVATION);
    forget_stranger(net, c); /* or it is dropped right now */
    net->handlers.observe(net->handlers.user, c, &m);
}

static void first_frame(struct net *net, struct net_conn *c, const uint8_t *body, size_t len)
{
    if (body[0] == HELLO_CONTROL)
        hello_control(net, c, body + 1, len - 1);
    else if (body[0] == HELLO_OBSERVATION)
        hello_observation(net, c, body + 1, len - 1);
    else
        net_drop(net, c, NET_CLOSED_MALFORMED);
}

static void reply_error(struct net *net, struct net_conn *c, const struct msg *m)
{
    struct msg error = {.type = MSG_ERROR};
    error.error_.reason = REASON_PROTOCOL;
    snprintf(error.error_.text, sizeof(error.error_.text), "message type %u is not known here",
             m->type);
    net_send(net, c, &error);
}

static void sealed_frame(struct net *net, struct net_conn *c, uint8_t *body, size_t len)
{
    struct msg m;
    int plain = noise_open(&c->receive, body, len, body);
    if (plain < 0) {
        net_drop(net, c, NET_CLOSED_FORGED);
        return;
    }
    net->stats.frames_in++;
    int result = msg_decode(body, (size_t)plain, &m);
    if (result == MSG_UNKNOWN_TYPE)
        reply_error(net, c, &m);
    else if (result != 0)
        net_drop(net, c, NET_CLOSED_MALFORMED);
    else
        net->handlers.message(net->handlers.user, c, &m);
}

/* Handles the whole frames in scratch; what is left of a cut one stays with the connection. */
static void unframe(struct net *net, struct net_conn *c, uint8_t *bytes, size_t len)
{
    struct ref self = c->slot.self;
    while (len) {
        const uint8_t *body;
        size_t body_len;
        int used = frame_parse(bytes, len, FRAME_BODY_MAX, &body, &body_len);
        if (used == 0)
            break;
        if (used < 0 || (c->state != NET_NEW && c->state != NET_CHANNEL)) {
            net_drop(net, c, NET_CLOSED_MALFORMED);
            return;
        }
        if (c->state == NET_NEW)
            first_frame(net, c, body, body_len);
        else
            sealed_frame(net, c, bytes + (body - bytes), body_len);
        if (slab_get(&net->conns, self) != c || c->state == NET_CLOSING)
            return;
        bytes += used;
        len -= (size_t)used;
    }
    if (!len)
        return;
    if (!may_buffer(net, c, len) || !(c->in = malloc(sizeof(*c->in) + len))) {
        net_drop(net, c, NET_CLOSED_BUSY);
        return;
    }
    c->in->size = c->in->len = (uint32_t)len; /* less than one frame */
    net->buffered += len;
    memcpy(c->in->bytes, bytes, len);
}

static void fill(struct net *net, struct net_conn *c)
{
    size_t kept = c->in ? c->in->len : 0;
    if (kept) {
        memcpy(net->scratch, c->in->bytes, kept);
        discard(net, &c->in);
    }
    ssize_t got = recv(c->io.fd, net->scratch + kept, sizeof(net->scratch) - kept, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        got = 0;
    else if (got == 0) {
        net_drop(net, c, NET_CLOSED_BY_PEER);
        return;
    } else if (got < 0) {
        net_drop(net, c, NET_CLOSED_ERROR);
        return;
    }
    if (c->state == NET_CLOSING)
        return; /* nothing said now matters; only the end does */
    unframe(net, c, net->scratch, kept + (size_t)got);
}

static void ready(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct net *net = ev_userdata(loop);
    struct net_conn *c = io->data;
    struct ref self = c->slot.self;
    if ((events & EV_WRITE) && c->out)
        drain(net, c);
    if ((events & EV_READ) && slab_get(&net->conns, self) == c)
        fill(net, c);
}

/* ---- birth ---- */

/* LIMIT_COUNT: it may come in, and is counted. */
static enum limit admit(struct net *net, const struct endpoint *remote)
{
    static const enum limit limits[NET_SCOPES][2] = {
        [NET_SCOPE_ADDRESS] = {LIMIT_ADDRESS_CONNECTIONS, LIMIT_ADDRESS_HANDSHAKES},
        [NET_SCOPE_PREFIX] = {LIMIT_PREFIX_CONNECTIONS, LIMIT_PREFIX_HANDSHAKES},
    };
    if (net->conns.used >= net->conns.most)
        return LIMIT_CONNECTIONS;
    if (net->strangers >= net->most.strangers)
        return LIMIT_HANDSHAKES;
    for (unsigned scope = 0; scope < NET_SCOPES; scope++) {
        enum net_limit_verdict verdict = net_limit_take(&net->by[scope], remote);
        if (verdict == NET_LIMIT_TAKEN)
            continue;
        for (unsigned taken = 0; taken < scope; taken++)
            net_limit_give(&net->by[taken], remote, true);
        return limits[scope][verdict == NET_LIMIT_STRANGERS];
    }
    return LIMIT_COUNT;
}

static void turn_away(struct net *net, int fd, const struct endpoint *remote, enum limit why)
{
    net->stats.closed[NET_CLOSED_BUSY]++;
    net_hit(net, why, remote);
    close(fd);
}

void net_conn_accept(struct net *net, int fd, const struct endpoint *remote)
{
    struct net_conn *c;
    enum limit full;
    net->stats.accepted++;
    if (!net->handlers.admit(net->handlers.user, remote)) {
        net->stats.closed[NET_CLOSED_BANNED]++;
        close(fd);
        return;
    }
    full = admit(net, remote);
    if (full != LIMIT_COUNT) {
        turn_away(net, fd, remote, full);
        return;
    }
    c = slab_take(&net->conns);
    if (!c) {
        for (unsigned scope = 0; scope < NET_SCOPES; scope++)
            net_limit_give(&net->by[scope], remote, true);
        turn_away(net, fd, remote, LIMIT_MEMORY);
        return;
    }
    c->remote = *remote;
    c->stranger = true;
    net->strangers++;
    ev_io_init(&c->io, ready, fd, EV_READ);
    c->io.data = c;
    ev_io_start(net->loop, &c->io);
    net_conn_enter(net, c, NET_NEW);
}

void net_conn_established(struct net *net, struct net_conn *c, const struct handshake_result *r)
{
    uint8_t frame[FRAME_HEADER_SIZE + HANDSHAKE_MESSAGE_2];
    frame_put_header(frame, HANDSHAKE_MESSAGE_2);
    memcpy(frame + FRAME_HEADER_SIZE, r->answer, HANDSHAKE_MESSAGE_2);
    put(net, c, frame, sizeof(frame));
    memcpy(c->peer, r->peer, KEY_SIZE);
    net_conn_enter(net, c, NET_CHANNEL);
    c->send = r->send;
    c->receive = r->receive;
    if (!push_pending(net, c))
        net_drop(net, c, NET_CLOSED_BUSY);
}
