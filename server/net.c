/* SPDX-License-Identifier: ISC */
/* What listens, what expires, and what comes back from the handshake pool. */
#include "net.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "net_conn.h"

#define ACCEPTS_PER_WAKE_UP 64
#define BACKLOG             4096
#define HANDSHAKE_QUEUE     16384
/* An observation connection may hold a mapping for the length of a session, not for ever. */
#define OBSERVATION_SPAN (180 * TICK_S)
#define CLOSING_SPAN     (2 * TICK_S)

/* ---- deadlines ---- */

static void expire(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct net *net = ev_userdata(loop);
    (void)events;
    net_conn_expire(net, &net->fresh);
    net_conn_expire(net, &net->observing);
    net_conn_expire(net, &net->closing);
    net_conn_expire_pending(net);
    if (!net->fresh.first && !net->observing.first && !net->closing.first && !net->pending.count)
        ev_timer_stop(loop, timer); /* idle channels have no deadline: nothing to wake up for */
}

/* ---- handshake results ---- */

static void results(struct ev_loop *loop, struct ev_async *async, int events)
{
    struct net *net = ev_userdata(loop);
    struct handshake_result r;
    (void)async;
    (void)events;
    while (net_handshake_take(net->pool, &r)) {
        struct net_conn *c = slab_get(&net->conns, r.conn);
        histogram_observe(&net->stats.handshake, net->clock->now - r.put);
        if (!c || c->state != NET_HANDSHAKE) {
            /* it has gone meanwhile */
        } else if (!r.genuine) {
            net->stats.handshakes_failed++;
            net_drop(net, c, NET_CLOSED_FORGED);
        } else {
            net->stats.handshakes_old_key += r.key > 0;
            net_conn_established(net, c, &r);
        }
        sodium_memzero(&r, sizeof(r));
    }
}

static void wake_for_results(void *user)
{
    struct net *net = user;
    ev_async_send(net->loop, &net->results);
}

/* ---- accept ---- */

static void set_options(int fd)
{
    /*
     * Dead peers are found by the peers' own keepalive; this slower one only finds those that
     * vanished without a word. The kernel does it alone: an idle peer costs no wake-up.
     */
    const int on = 1, idle = 300, interval = 30, count = 4;
    const unsigned unanswered_ms = 30000;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof(unanswered_ms));
}

static void pause_accept(struct net *net)
{
    net_hit(net, LIMIT_DESCRIPTORS, NULL);
    for (unsigned i = 0; i < net->listener_count; i++)
        ev_io_stop(net->loop, &net->listeners[i].io);
    ev_timer_again(net->loop, &net->accept_again);
}

static void accept_again(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct net *net = ev_userdata(loop);
    (void)events;
    ev_timer_stop(loop, timer);
    for (unsigned i = 0; i < net->listener_count; i++)
        ev_io_start(loop, &net->listeners[i].io);
}

/* True: more may wait. */
static bool accept_some(struct net_listener *listener)
{
    struct net *net = listener->net;
    for (int i = 0; i < ACCEPTS_PER_WAKE_UP; i++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof(sa);
        struct endpoint remote;
        int fd = accept4(listener->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_accept(net);
            if (errno != ECONNABORTED && errno != EINTR)
                return false;
            continue;
        }
        if (endpoint_from_sockaddr((const struct sockaddr *)&sa, &remote) != 0) {
            close(fd);
            continue;
        }
        set_options(fd);
        net_conn_accept(net, fd, &remote);
    }
    return true;
}

static void accept_ready(struct ev_loop *loop, struct ev_io *io, int events)
{
    (void)loop;
    (void)events;
    accept_some(io->data);
}

struct endpoint net_local(const struct net_conn *c)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct endpoint local = endpoint_none();
    if (getsockname(c->io.fd, (struct sockaddr *)&sa, &len) == 0)
        endpoint_from_sockaddr((const struct sockaddr *)&sa, &local);
    return local;
}

tick net_round_trip(const struct net_conn *c)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    if (getsockopt(c->io.fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return 0;
    return info.tcpi_rtt * TICK_US;
}

/* A listening socket, or -1 with errno. */
static int open_listener(const struct endpoint *at)
{
    struct sockaddr_storage sa;
    socklen_t len = endpoint_to_sockaddr(at, &sa);
    const int on = 1;
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (at->family == 6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&sa, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int net_listen(struct net *net, const struct endpoint *at, int handed_fd, char *err,
               size_t err_size)
{
    char text[ENDPOINT_TEXT_SIZE];

    if (net->listener_count == NET_LISTENERS_MAX) {
        snprintf(err, err_size, "more than %d listening sockets", NET_LISTENERS_MAX);
        errno = EMFILE;
        return -1;
    }
    int fd = handed_fd >= 0 ? handed_fd : open_listener(at);
    if (fd < 0) {
        int error = errno;
        snprintf(err, err_size, "cannot listen on %s: %s", endpoint_format(at, text),
                 strerror(error));
        errno = error;
        return -1;
    }
    struct net_listener *listener = &net->listeners[net->listener_count++];
    listener->net = net;
    listener->fd = fd;
    listener->handed = handed_fd >= 0;
    listener->local = *at;
    ev_io_init(&listener->io, accept_ready, fd, EV_READ);
    listener->io.data = listener;
    ev_io_start(net->loop, &listener->io);
    return 0;
}

static void close_listeners(struct net *net)
{
    ev_timer_stop(net->loop, &net->accept_again);
    for (unsigned i = 0; i < net->listener_count; i++) {
        ev_io_stop(net->loop, &net->listeners[i].io);
        close(net->listeners[i].fd);
    }
    net->listener_count = 0;
}

void net_stop_listening(struct net *net)
{
    /* A client whose connection waits in a queue of ours would be reset without a word. */
    for (unsigned i = 0; i < net->listener_count; i++)
        for (int n = 0; n < BACKLOG / ACCEPTS_PER_WAKE_UP && !net->listeners[i].handed; n++)
            if (!accept_some(&net->listeners[i]))
                break;
    close_listeners(net);
}

/* ---- limits ---- */

static uint32_t lesser(uint64_t a, uint64_t b)
{
    return (uint32_t)(a < b ? a : b);
}

static void set_limits(struct net *net, const struct net_limits *limits)
{
    struct net_limit *address = &net->by[NET_SCOPE_ADDRESS], *prefix = &net->by[NET_SCOPE_PREFIX];
    uint32_t all = limits->connections, strangers = limits->strangers;

    net->most = *limits;
    net->conns.most = all;
    address->most = lesser(limits->per_address, (all + 1) / 2);
    address->most_strangers = lesser(limits->strangers_per_address, (strangers + 1) / 2);
    prefix->most = lesser((uint64_t)limits->per_address * NET_PREFIX_SHARE, all - all / 4);
    prefix->most_strangers = lesser((uint64_t)limits->strangers_per_address * NET_PREFIX_SHARE,
                                    strangers - strangers / 4);
}

void net_hit(struct net *net, enum limit which, const struct endpoint *from)
{
    if (net->handlers.limit)
        net->handlers.limit(net->handlers.user, which, from);
}

int net_open(struct net *net, const struct loop *loop, const struct net_options *options,
             const struct net_handlers *handlers, char *err, size_t err_size)
{
    memset(net, 0, sizeof(*net));
    net->loop = loop->ev;
    net->clock = loop;
    net->handlers = *handlers;
    net->fresh.span = options->handshake_timeout;
    net->observing.span = OBSERVATION_SPAN;
    net->closing.span = CLOSING_SPAN;
    ev_set_userdata(net->loop, net);
    slab_init(&net->conns, sizeof(struct net_conn), 0);
    for (unsigned scope = 0; scope < NET_SCOPES; scope++)
        net_limit_init(&net->by[scope], options->hash_key, (enum net_scope)scope, 0, 0);
    set_limits(net, &options->limits);
    ev_async_init(&net->results, results);
    ev_async_start(net->loop, &net->results);
    ev_timer_init(&net->deadline, expire, 0.5, 0.5);
    ev_timer_init(&net->accept_again, accept_again, 0.1, 0.1);
    net->pool = net_handshake_start(options->keys, options->key_count, options->handshake_threads,
                                    HANDSHAKE_QUEUE, wake_for_results, net);
    if (!net->pool) {
        snprintf(err, err_size, "cannot start the handshake threads");
        net_close(net);
        return -1;
    }
    return 0;
}

void net_reconfigure(struct net *net, const struct net_limits *limits, tick handshake_timeout)
{
    set_limits(net, limits);
    /* Where the time gets shorter, a connection waits behind those before it: as long as they had.
     */
    net->fresh.span = handshake_timeout;
}

void net_close(struct net *net)
{
    close_listeners(net);
    for (uint32_t i = 0; i < slab_end(&net->conns); i++) {
        struct net_conn *c = slab_at(&net->conns, i);
        if (c)
            net_drop(net, c, NET_CLOSED_BY_US);
    }
    net_handshake_stop(net->pool);
    ev_async_stop(net->loop, &net->results);
    ev_timer_stop(net->loop, &net->deadline);
    slab_destroy(&net->conns);
    for (unsigned scope = 0; scope < NET_SCOPES; scope++)
        net_limit_destroy(&net->by[scope]);
    free(net->pending.ring);
}
