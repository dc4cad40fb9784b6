/* SPDX-License-Identifier: ISC */
#include "net_probe.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBES_MAX 256
/* How long a reserved port waits for its SYN. */
#define RESERVED_SECONDS 10.0

struct probe {
    struct slot slot;
    struct net_probe *owner;
    struct ev_io io;
    struct ev_timer timer;
    struct net_probe_order order;
    int fd;
    bool silent_so_far; /* said once that nothing came */
};

void net_probe_open(struct net_probe *p, struct ev_loop *loop,
                    void (*answered)(void *user, const struct net_probe_answer *answer), void *user)
{
    p->loop = loop;
    p->answered = answered;
    p->user = user;
    slab_init(&p->probes, sizeof(struct probe), PROBES_MAX);
}

static void end(struct probe *probe)
{
    struct net_probe *p = probe->owner;
    ev_io_stop(p->loop, &probe->io);
    ev_timer_stop(p->loop, &probe->timer);
    close(probe->fd);
    slab_release(&p->probes, probe);
}

/* Whether an ICMP message, not a RST, refused: Linux >= 5.8 keeps it in the error queue of a
 * connecting socket. */
static bool refused_by_icmp(int fd)
{
    uint8_t data[256], control[512];
    struct iovec iov = {data, sizeof(data)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
        bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
        struct sock_extended_err e;
        if ((!v4 && !v6) || c->cmsg_len < CMSG_LEN(sizeof(e)))
            continue;
        memcpy(&e, CMSG_DATA(c), sizeof(e));
        if (e.ee_origin == SO_EE_ORIGIN_ICMP || e.ee_origin == SO_EE_ORIGIN_ICMP6)
            return true;
    }
    return false;
}

/* NAT_REFUSAL_UNKNOWN: it was let in. */
static enum nat_refusal verdict(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    bool icmp = refused_by_icmp(fd);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (!error && !icmp)
        return NAT_REFUSAL_UNKNOWN;
    if (icmp || error == EHOSTUNREACH || error == ENETUNREACH)
        return NAT_ICMP;
    return error == ECONNREFUSED ? NAT_RST : NAT_SILENCE;
}

static void tell(struct net_probe *p, const struct net_probe_order *order, bool late,
                 enum nat_refusal refusal)
{
    struct net_probe_answer answer = {
        .order = order,
        .late = late,
        .let_in = refusal == NAT_REFUSAL_UNKNOWN,
        .refusal = refusal,
    };
    p->answered(p->user, &answer);
}

static void ready(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct probe *probe = io->data;
    struct net_probe *p = probe->owner;
    struct net_probe_order order = probe->order;
    enum nat_refusal refusal = verdict(probe->fd);
    bool late = probe->silent_so_far;
    (void)loop;
    (void)events;
    end(probe);
    if (!late || refusal != NAT_SILENCE)
        tell(p, &order, late, refusal);
}

static void expired(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct probe *probe = timer->data;
    struct net_probe_order order = probe->order;
    (void)events;
    if (probe->silent_so_far) {
        end(probe);
        return;
    }
    probe->silent_so_far = true;
    timer->repeat = NET_PROBE_LATE_SECONDS;
    ev_timer_again(loop, timer);
    tell(probe->owner, &order, false, NAT_SILENCE);
}

/* ---- a socket, and its SYN ---- */

static bool bind_to(int fd, const struct endpoint *from)
{
    struct endpoint any_port = endpoint_with_port(*from, 0);
    struct sockaddr_storage sa;
    socklen_t len = endpoint_to_sockaddr(&any_port, &sa);
    return endpoint_is_none(from) || bind(fd, (struct sockaddr *)&sa, len) == 0;
}

static int open_socket(const struct net_probe_order *order, uint8_t family)
{
    const int on = 1, one_retransmission = 1;
    int fd =
        socket(family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &one_retransmission, sizeof(one_retransmission));
    setsockopt(fd, family == 6 ? IPPROTO_IPV6 : IPPROTO_IP, family == 6 ? IPV6_RECVERR : IP_RECVERR,
               &on, sizeof(on));
    if (bind_to(fd, &order->from))
        return fd;
    close(fd);
    return -1;
}

static struct probe *take(struct net_probe *p, const struct net_probe_order *order, uint8_t family)
{
    int fd = open_socket(order, family);
    struct probe *probe = fd < 0 ? NULL : slab_take(&p->probes);
    if (!probe) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    probe->owner = p;
    probe->fd = fd;
    probe->order = *order;
    ev_io_init(&probe->io, ready, fd, EV_WRITE);
    ev_init(&probe->timer, expired);
    probe->io.data = probe->timer.data = probe;
    return probe;
}

/* False: no SYN can be sent there, and the probe is gone. */
static bool dial(struct probe *probe)
{
    struct net_probe *p = probe->owner;
    struct sockaddr_storage sa;
    socklen_t len = endpoint_to_sockaddr(&probe->order.to, &sa);
    ev_timer_stop(p->loop, &probe->timer);
    if (connect(probe->fd, (struct sockaddr *)&sa, len) != 0 && errno != EINPROGRESS) {
        end(probe);
        return false;
    }
    ev_set_cb(&probe->timer, expired);
    ev_timer_set(&probe->timer, tick_seconds(probe->order.patience), 0.);
    ev_io_start(p->loop, &probe->io);
    ev_timer_start(p->loop, &probe->timer);
    return true;
}

bool net_probe_start(struct net_probe *p, const struct net_probe_order *order)
{
    struct probe *probe = take(p, order, order->to.family);
    return probe && dial(probe);
}

/* ---- at a known time, from a known port ---- */

static void due(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    dial(timer->data);
}

static void given_back(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    end(timer->data);
}

static void wait_for(struct probe *probe, void (*what)(struct ev_loop *, struct ev_timer *, int),
                     double seconds)
{
    ev_timer_stop(probe->owner->loop, &probe->timer);
    ev_set_cb(&probe->timer, what);
    ev_timer_set(&probe->timer, seconds, 0.);
    ev_timer_start(probe->owner->loop, &probe->timer);
}

struct ref net_probe_reserve(struct net_probe *p, const struct net_probe_order *order,
                             struct endpoint *local)
{
    struct probe *probe = take(p, order, order->from.family);
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    if (!probe)
        return REF_NONE;
    if (getsockname(probe->fd, (struct sockaddr *)&sa, &len) != 0 ||
        endpoint_from_sockaddr((const struct sockaddr *)&sa, local) != 0) {
        end(probe);
        return REF_NONE;
    }
    wait_for(probe, given_back, RESERVED_SECONDS);
    return probe->slot.self;
}

bool net_probe_send(struct net_probe *p, struct ref ref, const struct endpoint *to, tick delay,
                    tick patience)
{
    struct probe *probe = slab_get(&p->probes, ref);
    if (!probe)
        return false;
    probe->order.to = *to;
    probe->order.patience = patience;
    /* The loop's own clock stands still while it works: the delay counts from now on. */
    ev_now_update(p->loop);
    wait_for(probe, due, tick_seconds(delay));
    return true;
}

void net_probe_close(struct net_probe *p)
{
    for (uint32_t i = 0; i < slab_end(&p->probes); i++) {
        struct probe *probe = slab_at(&p->probes, i);
        if (probe)
            end(probe);
    }
    slab_destroy(&p->probes);
}
