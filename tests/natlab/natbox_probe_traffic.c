/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* The statements that send more than a connection's first packets. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include "natbox_probe.h"

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 2654435761u >> 13);
}

static size_t push(int fd, size_t sent, size_t total)
{
    static uint8_t out[65536];
    size_t n = total - sent < sizeof(out) ? total - sent : sizeof(out);
    size_t i;
    ssize_t done;

    for (i = 0; i < n; i++)
        out[i] = pattern(sent + i);
    done = send(fd, out, n, MSG_NOSIGNAL);
    return done > 0 ? (size_t)done : 0;
}

static bool pull(int fd, size_t *got)
{
    static uint8_t in[65536];
    ssize_t i, n = recv(fd, in, sizeof(in), 0);

    if (n == 0 || (n < 0 && errno != EAGAIN))
        return false;
    for (i = 0; i < n; i++)
        if (in[i] != pattern((*got)++))
            return false;
    return true;
}

void natbox_probe_flow(char **w)
{
    size_t total = strtoull(w[3], NULL, 10), sent = 0, got = 0;
    struct pollfd p[2] = {{natbox_probe_find(w[1])->fd, POLLOUT, 0},
                          {natbox_probe_find(w[2])->fd, POLLIN, 0}};
    int64_t since = natbox_probe_now();

    while (got < total) {
        p[0].events = sent < total ? POLLOUT : 0;
        if (poll(p, 2, NATBOX_PROBE_PATIENCE_MS) <= 0)
            break;
        if (p[0].revents & POLLOUT)
            sent += push(p[0].fd, sent, total);
        if (p[1].revents && !pull(p[1].fd, &got))
            break;
    }
    if (got < total)
        puts("broken");
    else
        printf("%lld\n", (long long)total * 8 / (natbox_probe_now() - since + 1));
}

void natbox_probe_datagrams(char **w)
{
    int from = natbox_probe_socket(w[1], w[2], SOCK_DGRAM);
    int to = natbox_probe_socket(w[3], w[4], SOCK_DGRAM);
    struct sockaddr_storage ss;
    socklen_t len = natbox_probe_endpoint(w[4], &ss);
    int i, n = (int)natbox_probe_number(w[5]), got = 0;
    char c;

    for (i = 0; i < n; i++) {
        if (i % 64 == 63) /* no queue on the way may overflow */
            poll(NULL, 0, 2);
        sendto(from, "x", 1, 0, (struct sockaddr *)&ss, len);
        while (recv(to, &c, 1, 0) == 1)
            got++;
    }
    while (got < n && natbox_probe_poll(to, POLLIN, 200) > 0)
        while (recv(to, &c, 1, 0) == 1)
            got++;
    printf("%d\n", got);
}

static void send_raw(const char *ns, const uint8_t *p, size_t len, size_t n)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    static int fd = -1;

    if (fd < 0 || n == 0) {
        natbox_probe_enter(ns);
        fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    }
    memcpy(&to.sin_addr, p + 16, 4);
    while (sendto(fd, p, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
        if (errno != ENOBUFS)
            natbox_probe_die("raw", ns);
}

void natbox_probe_raw(char **w)
{
    uint8_t packet[1024] = {0};
    size_t len = strlen(w[2]) / 2, i;

    for (i = 0; i < len && i < sizeof(packet); i++) {
        char byte[3] = {w[2][2 * i], w[2][2 * i + 1], '\0'};

        packet[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    send_raw(w[1], packet, i, 0);
}

void natbox_probe_flood(char **w)
{
    /* The kernel fills in the rest of the IP header; the TCP checksum
     * stays wrong, so that nobody ever answers. */
    uint8_t p[40] = {0x45, [8] = 64, [9] = 6, [32] = 0x50, [33] = 2};
    struct sockaddr_storage ss;
    const struct sockaddr_in *in = (const void *)&ss;
    size_t i, n = strtoul(w[4], NULL, 10);

    inet_pton(AF_INET, w[2], p + 12);
    natbox_probe_endpoint(w[3], &ss);
    memcpy(p + 16, &in->sin_addr, 4);
    memcpy(p + 22, &in->sin_port, 2);
    for (i = 0; i < n; i++) {
        if (i % 256 == 255)
            poll(NULL, 0, 1);
        p[20] = (uint8_t)((1024 + i) >> 8);
        p[21] = (uint8_t)(1024 + i);
        send_raw(w[1], p, sizeof(p), i);
    }
}

/* Without offload every checksum is really computed, and really checked. */
void natbox_probe_checksums(char **w)
{
    struct ethtool_value value = {ETHTOOL_STXCSUM, !strcmp(w[3], "on")};
    struct ifreq ifr;
    int fd;

    natbox_probe_enter(w[1]);
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memset(&ifr, 0, sizeof(ifr));
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.15s", w[2]);
    ifr.ifr_data = (char *)&value;
    if (fd < 0 || ioctl(fd, SIOCETHTOOL, &ifr) < 0)
        natbox_probe_die("checksum offload", w[2]);
    close(fd);
}
