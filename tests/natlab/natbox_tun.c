/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "natbox_tun.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/rtnetlink.h>

/* The queue must survive a burst of SYNs while we are not scheduled. */
#define QUEUE_LENGTH 10000

/* Up, with a longer queue: one netlink request does both, and unlike the
 * ioctl for the queue it is allowed to the owner of the namespace. */
static int bring_up(const char *name)
{
    struct {
        struct nlmsghdr head;
        struct ifinfomsg link;
        struct rtattr attr;
        uint32_t length;
    } ask;
    struct {
        struct nlmsghdr head;
        struct nlmsgerr result;
        uint8_t rest[256];
    } answer;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd < 0)
        return -1;
    memset(&ask, 0, sizeof(ask));
    memset(&answer, 0, sizeof(answer));
    ask.head.nlmsg_len = sizeof(ask);
    ask.head.nlmsg_type = RTM_NEWLINK;
    ask.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    ask.link.ifi_index = (int)if_nametoindex(name);
    ask.link.ifi_flags = ask.link.ifi_change = IFF_UP;
    ask.attr.rta_type = IFLA_TXQLEN;
    ask.attr.rta_len = RTA_LENGTH(sizeof(ask.length));
    ask.length = QUEUE_LENGTH;
    if (send(fd, &ask, sizeof(ask), 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
        answer.result.error = -errno;
    close(fd);
    errno = -answer.result.error;
    return answer.result.error ? -1 : 0;
}

int natbox_tun_open(const char *name, bool segments)
{
    unsigned offload = TUN_F_CSUM;
    int header = sizeof(struct virtio_net_hdr);
    struct ifreq ifr;
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return -1;
    if (segments)
        offload |= TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    memset(&ifr, 0, sizeof(ifr));
    memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
    ifr.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
    if (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ||
        ioctl(fd, TUNSETOFFLOAD, (unsigned long)offload) < 0 || bring_up(ifr.ifr_name) < 0) {
        int saved = errno;

        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

ssize_t natbox_tun_read(int fd, struct virtio_net_hdr *offload, uint8_t *data, size_t cap)
{
    struct iovec iov[2] = {{offload, sizeof(*offload)}, {data, cap}};
    ssize_t n;

    do
        n = readv(fd, iov, 2);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    if ((size_t)n <= sizeof(*offload))
        return -1;
    return n - (ssize_t)sizeof(*offload);
}

bool natbox_tun_write(int fd, const struct virtio_net_hdr *offload, const uint8_t *data, size_t len)
{
    struct virtio_net_hdr head = *offload;
    uint8_t *bytes = (uint8_t *)(uintptr_t)data;
    struct iovec iov[2] = {{&head, sizeof(head)}, {bytes, len}};
    ssize_t n;

    do
        n = writev(fd, iov, 2);
    while (n < 0 && errno == EINTR);
    return n >= 0;
}
