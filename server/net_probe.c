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
/* How long a late answer may still correct "silence". */
#define LATE_SECONDS 3.0

struct probe {
    struct slot slot;
    struct net_probe *owner;
    struct ev_io io;
    struct ev_timer timer;
    struct endpoint to;
    int fd;
    bool silent_so_far; /* said once that nothing came */
};

void net_probe_open(struct net_probe *p, struct ev_loop *loop,
                    void (*answered)(void *user, const struct endpoint *address,
                                     enum nat_refusal refusal),
                    void *user)
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

static void ready(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct probe *probe = io->data;
    struct net_probe *p = probe->owner;
    struct endpoint to = probe->to;
    enum nat_refusal refusal = verdict(probe->fd);
    bool news = !probe->silent_so_far || refusal != NAT_SILENCE;
    (void)loop;
    (void)events;
    end(probe);
    if (news)
        p->answered(p->user, &to, refusal);
}

static void expired(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct probe *probe = timer->data;
    struct net_probe *p = probe->owner;
    (void)events;
    if (probe->silent_so_far) {
        end(probe);
        return;
    }
    probe->silent_so_far = true;
    timer->repeat = LATE_SECONDS;
    ev_timer_again(loop, timer);
    p->answered(p->user, &probe->to, NAT_SILENCE);
}

bool net_probe_start(struct net_probe *p, const struct endpoint *to, tick patience)
{
    const int on = 1, one_retransmission = 1;
    struct sockaddr_storage sa;
    socklen_t len = endpoint_to_sockaddr(to, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &one_retransmission, sizeof(one_retransmission));
    setsockopt(fd, to->family == 6 ? IPPROTO_IPV6 : IPPROTO_IP,
               to->family == 6 ? IPV6_RECVERR : IP_RECVERR, &on, sizeof(on));
    struct probe *probe = slab_take(&p->probes);
    if (!probe || (connect(fd, (struct sockaddr *)&sa, len) != 0 && errno != EINPROGRESS)) {
        if (probe)
            slab_release(&p->probes, probe);
        close(fd);
        return false;
    }
    probe->owner = p;
    probe->fd = fd;
    probe->to = *to;
    ev_io_init(&probe->io, ready, fd, EV_WRITE);
    ev_timer_init(&probe->timer, expired, tick_seconds(patience), 0.);
    probe->io.data = probe->timer.data = probe;
    ev_io_start(p->loop, &probe->io);
    ev_timer_start(p->loop, &probe->timer);
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
