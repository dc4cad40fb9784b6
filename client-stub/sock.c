/* SPDX-License-Identifier: ISC */
#include "client-stub/sock.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/errqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-stub/core.h"

static int set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value));
}

static int prepare(struct tryst_context *ctx, int fd, int family)
{
    if (set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0 ||
        set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0)
        return -1;
    /* The same port number of the other family is a socket of its own. */
    if (family == 6 && set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) != 0)
        return -1;
    if (ctx->socket_fn && ctx->socket_fn(ctx->socket_user, fd) != 0) {
        errno = EPERM;
        return -1;
    }
    return 0;
}

int sock_open(struct tryst_context *ctx, int family)
{
    if (ctx->socket_count >= CORE_SOCKETS_MAX) {
        errno = EMFILE;
        return -1;
    }
    int fd =
        socket(family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (prepare(ctx, fd, family) != 0) {
        int why = errno;
        (void)close(fd);
        errno = why;
        return -1;
    }
    ctx->socket_count++;
    return fd;
}

static int bind_wildcard(int fd, int family, uint16_t port)
{
    struct sockaddr_storage sa;
    struct endpoint e = endpoint_none();

    e.family = (uint8_t)family;
    e.port = port;
    socklen_t len = endpoint_to_sockaddr(&e, &sa);
    return bind(fd, (struct sockaddr *)&sa, len);
}

int sock_open_bound(struct tryst_context *ctx, int family, uint16_t port)
{
    int fd = sock_open(ctx, family);

    if (fd >= 0 && bind_wildcard(fd, family, port) != 0) {
        int why = errno;
        sock_close(ctx, &fd);
        errno = why;
    }
    return fd;
}

int sock_accept(struct tryst_context *ctx, int listener)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    int fd = accept4(listener, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0)
        ctx->socket_count++;
    return fd;
}

void sock_close(struct tryst_context *ctx, int *fd)
{
    if (*fd < 0)
        return;
    (void)close(*fd);
    *fd = -1;
    ctx->socket_count--;
}

void sock_close_gently(struct tryst_context *ctx, int *fd)
{
    uint8_t rest[1024];

    if (*fd >= 0) {
        for (int i = 0; i < 16 && recv(*fd, rest, sizeof(rest), MSG_DONTWAIT) > 0; i++)
            ;
    }
    sock_close(ctx, fd);
}

void sock_hand_over(struct tryst_context *ctx, int fd)
{
    (void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 0);
    (void)set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
    ctx->socket_count--;
}

int sock_connect(int fd, const struct endpoint *remote)
{
    struct sockaddr_storage sa;
    socklen_t len = endpoint_to_sockaddr(remote, &sa);

    if (len == 0)
        return EAFNOSUPPORT;
    if (connect(fd, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS)
        return 0;
    return errno;
}

bool sock_is_connected(int fd)
{
    struct endpoint remote = sock_remote(fd);

    return !endpoint_is_none(&remote);
}

int sock_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        return errno;
    return error;
}

void sock_report_icmp(int fd, int family, bool yes)
{
    if (family == 6)
        (void)set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, yes);
    else
        (void)set_int(fd, IPPROTO_IP, IP_RECVERR, yes);
}

bool sock_was_icmp(int fd)
{
    union {
        struct cmsghdr align;
        uint8_t bytes[512];
    } control;
    uint8_t data[64];
    struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    struct msghdr m;

    memset(&m, 0, sizeof(m));
    m.msg_iov = &iov;
    m.msg_iovlen = 1;
    m.msg_control = control.bytes;
    m.msg_controllen = sizeof(control.bytes);
    if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        struct sock_extended_err e;
        bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
        bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
        if (!v4 && !v6)
            continue;
        memcpy(&e, CMSG_DATA(c), sizeof(e));
        if (e.ee_origin == SO_EE_ORIGIN_ICMP || e.ee_origin == SO_EE_ORIGIN_ICMP6)
            return true;
    }
    return false;
}

struct endpoint sock_local(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct endpoint e = endpoint_none();

    if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0)
        (void)endpoint_from_sockaddr((struct sockaddr *)&sa, &e);
    return e;
}

struct endpoint sock_remote(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct endpoint e = endpoint_none();

    if (getpeername(fd, (struct sockaddr *)&sa, &len) == 0)
        (void)endpoint_from_sockaddr((struct sockaddr *)&sa, &e);
    return e;
}

/*
 * Connecting a datagram socket sends nothing, but makes the kernel choose the source address; the
 * documentation ranges follow the default route everywhere.
 */
static bool route_address(struct tryst_context *ctx, int family, struct endpoint *out)
{
    struct endpoint far;
    struct sockaddr_storage sa;
    bool found = false;

    if (endpoint_parse(family == 6 ? "[2001:db8::1]:9" : "192.0.2.1:9", 0, &far) != 0)
        return false;
    socklen_t len = endpoint_to_sockaddr(&far, &sa);
    int fd = socket(family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool refused = ctx->socket_fn && ctx->socket_fn(ctx->socket_user, fd) != 0;
    if (!refused && connect(fd, (struct sockaddr *)&sa, len) == 0) {
        *out = endpoint_with_port(sock_local(fd), 0);
        found = true;
    }
    (void)close(fd);
    return found;
}

static bool usable_address(const struct endpoint *e, int family)
{
    struct endpoint dialled = endpoint_with_port(*e, 1);

    if (e->family != family || endpoint_is_loopback(e))
        return false;
    /* IPv6 is worth a candidate only with a global address; IPv4 is usually private. */
    return family == 6 ? endpoint_is_global(e) : !sock_undialable(&dialled);
}

static bool interface_address(int family, struct endpoint *out)
{
    struct ifaddrs *all;
    bool found = false;

    if (getifaddrs(&all) != 0)
        return false;
    for (struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
        struct endpoint e;
        if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) ||
            endpoint_from_sockaddr(i->ifa_addr, &e) != 0)
            continue;
        if (usable_address(&e, family)) {
            *out = endpoint_with_port(e, 0);
            found = true;
        }
    }
    freeifaddrs(all);
    return found;
}

bool sock_host_address(struct tryst_context *ctx, int family, struct endpoint *out)
{
    if (route_address(ctx, family, out) && usable_address(out, family))
        return true;
    return interface_address(family, out);
}

static bool zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;

    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return any == 0;
}

bool sock_undialable(const struct endpoint *e)
{
    const uint8_t *a = e->address;

    if (e->port == 0)
        return true;
    if (e->family ==
        4) /* this network, multicast and reserved with the broadcast address, link-local */
        return a[0] == 0 || a[0] >= 224 || (a[0] == 169 && a[1] == 254);
    if (e->family == 6) /* unspecified, multicast, fe80::/10 */
        return zero(a, 16) || a[0] == 0xff || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
    return true;
}
