/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/*
 * Plain sockets in several network namespaces at once, for natbox's test.
 * Each argument is one statement; each statement prints one word or none.
 * One process owns all the sockets, so that the order of events is the
 * order of the statements. Namespaces are those of "ip netns".
 *
 *   listen NS ADDR:PORT              a server
 *   dial NAME NS LOCAL REMOTE        start to connect
 *   wait NAME MS                     open | rst | icmp/TYPE/CODE/FROM |
 *                                    error/ERRNO | pending (after MS)
 *   accept NAME ADDR:PORT            the peer's endpoint, as the server sees it
 *   map NAME NS LOCAL REMOTE         dial, wait and accept in one; prints the
 *                                    endpoint; NAME is the client, NAME' the server
 *   took NAME                        microseconds that connecting took
 *   dialled NAME                     the monotonic time of that, microseconds
 *   flow FROM TO BYTES               sends and checks them: Mbit/s, or "broken"
 *   reordered NAME                   segments that TCP saw out of order
 *   await FILE COUNT TEXT            seen | missing: lines with that text
 *   datagrams NS LOCAL NS REMOTE N   how many of N arrive
 *   checksums NS DEVICE on|off       whether sending leaves them to others
 *   raw NS HEX                       one IPv4 packet as it is
 *   flood NS ADDR REMOTE N           N SYNs from ports 1024 and up
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/errqueue.h>
#include <linux/tcp.h>
#include <sys/socket.h>

#include "natbox_probe.h"

#define SOCKETS_MAX 4096

static struct natbox_probe_socket sockets[SOCKETS_MAX];
static size_t socket_count;

void natbox_probe_die(const char *what, const char *about)
{
    fprintf(stderr, "natbox_probe: %s: %s: %s\n", what, about, strerror(errno));
    exit(1);
}

long natbox_probe_number(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);

    errno = EINVAL;
    if (end == text || *end != '\0')
        natbox_probe_die("number", text);
    return n;
}

int64_t natbox_probe_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

void natbox_probe_enter(const char *ns)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "/run/netns/%s", ns);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        natbox_probe_die("netns", ns);
    close(fd);
}

struct natbox_probe_socket *natbox_probe_find(const char *name)
{
    size_t i;

    for (i = 0; i < socket_count; i++)
        if (strcmp(sockets[i].name, name) == 0)
            return &sockets[i];
    errno = ENOENT;
    natbox_probe_die("no such socket", name);
    return NULL;
}

static struct natbox_probe_socket *keep(const char *name, int fd)
{
    struct natbox_probe_socket *s = &sockets[socket_count++];

    if (socket_count > SOCKETS_MAX)
        natbox_probe_die("too many sockets", name);
    snprintf(s->name, sizeof(s->name), "%s", name);
    s->fd = fd;
    return s;
}

/* "1.2.3.4:5" or "[::1]:5" */
socklen_t natbox_probe_endpoint(const char *text, struct sockaddr_storage *ss)
{
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)ss;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)ss;
    const char *colon = strrchr(text, ':');
    char host[64];

    memset(ss, 0, sizeof(*ss));
    errno = EINVAL;
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        natbox_probe_die("endpoint", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    in->sin_port = htons((uint16_t)natbox_probe_number(colon + 1));
    if (host[0] != '[') {
        in->sin_family = AF_INET;
        if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
            natbox_probe_die("address", text);
        return sizeof(*in);
    }
    host[strlen(host) - 1] = '\0';
    in6->sin6_family = AF_INET6;
    if (inet_pton(AF_INET6, host + 1, &in6->sin6_addr) != 1)
        natbox_probe_die("address", text);
    return sizeof(*in6);
}

int natbox_probe_socket(const char *ns, const char *local, int type)
{
    /* No goodbye: what a test leaves behind must not greet the next. */
    struct linger linger = {1, 0};
    struct sockaddr_storage ss;
    socklen_t len = natbox_probe_endpoint(local, &ss);
    int one = 1, fd;

    natbox_probe_enter(ns);
    fd = socket(ss.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        natbox_probe_die("socket", local);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    if (ss.ss_family == AF_INET && type == SOCK_STREAM)
        setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&ss, len) < 0)
        natbox_probe_die("bind", local);
    return fd;
}

static void do_listen(char **w)
{
    int fd = natbox_probe_socket(w[1], w[2], SOCK_STREAM);

    if (listen(fd, 1024) < 0)
        natbox_probe_die("listen", w[2]);
    keep(w[2], fd);
}

static void do_dial(char **w)
{
    struct sockaddr_storage ss;
    socklen_t len = natbox_probe_endpoint(w[4], &ss);
    struct natbox_probe_socket *s = keep(w[1], natbox_probe_socket(w[2], w[3], SOCK_STREAM));

    s->started = natbox_probe_now();
    if (connect(s->fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
        natbox_probe_die("connect", w[4]);
}

/* The kernel keeps the ICMP error apart from a reset. */
static void print_error(int fd, int error)
{
    char control[512], from[INET_ADDRSTRLEN] = "?";
    struct msghdr m = {.msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *c;

    if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        m.msg_controllen = 0;
    for (c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
        const struct sock_extended_err *e = (void *)CMSG_DATA(c);
        const struct sockaddr_in *in = (void *)SO_EE_OFFENDER(e);

        if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR)
            continue;
        inet_ntop(AF_INET, &in->sin_addr, from, sizeof(from));
        printf("icmp/%u/%u/%s\n", e->ee_type, e->ee_code, from);
        return;
    }
    if (error == ECONNREFUSED)
        puts("rst");
    else
        printf("error/%d\n", error);
}

int natbox_probe_poll(int fd, short events, int ms)
{
    struct pollfd p = {fd, events, 0};

    return poll(&p, 1, ms);
}

/* True when it is open; else the outcome has been printed. */
static bool wait_open(struct natbox_probe_socket *s, int ms)
{
    socklen_t len = sizeof(int);
    int error = 0;

    if (natbox_probe_poll(s->fd, POLLOUT, ms) <= 0) {
        puts("pending");
        return false;
    }
    s->took = natbox_probe_now() - s->started;
    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0)
        print_error(s->fd, error);
    return error == 0;
}

static void do_wait(char **w)
{
    if (wait_open(natbox_probe_find(w[1]), (int)natbox_probe_number(w[2])))
        puts("open");
}

static void accept_from(const char *name, const char *listener)
{
    struct linger linger = {1, 0};
    struct sockaddr_storage ss;
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&ss;
    socklen_t len = sizeof(ss);
    char text[INET_ADDRSTRLEN] = "v6";
    struct natbox_probe_socket *l = natbox_probe_find(listener);
    int fd = -1;

    memset(&ss, 0, sizeof(ss));
    if (natbox_probe_poll(l->fd, POLLIN, NATBOX_PROBE_PATIENCE_MS) > 0)
        fd = accept4(l->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        puts("nobody");
        return;
    }
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    keep(name, fd);
    if (ss.ss_family == AF_INET)
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
    printf("%s:%u\n", text, ntohs(in->sin_port));
}

static void do_accept(char **w)
{
    accept_from(w[1], w[2]);
}

static void do_map(char **w)
{
    char server[72];

    snprintf(server, sizeof(server), "%s'", w[1]);
    do_dial(w);
    if (wait_open(natbox_probe_find(w[1]), NATBOX_PROBE_PATIENCE_MS))
        accept_from(server, w[4]);
}

static void do_took(char **w)
{
    printf("%lld\n", (long long)natbox_probe_find(w[1])->took);
}

static void do_reordered(char **w)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);

    memset(&info, 0, sizeof(info));
    getsockopt(natbox_probe_find(w[1])->fd, IPPROTO_TCP, TCP_INFO, &info, &len);
    printf("%u\n", info.tcpi_rcv_ooopack + info.tcpi_reord_seen);
}

static int count_lines(const char *file, const char *text)
{
    char line[512];
    FILE *f = fopen(file, "r");
    int n = 0;

    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        n += strstr(line, text) != NULL;
    if (f != NULL)
        fclose(f);
    return n;
}

static void do_dialled(char **w)
{
    printf("%lld\n", (long long)natbox_probe_find(w[1])->started);
}

static void do_await(char **w)
{
    int64_t until = natbox_probe_now() + NATBOX_PROBE_PATIENCE_MS * 1000;

    while (count_lines(w[1], w[3]) < (int)natbox_probe_number(w[2]) && natbox_probe_now() < until)
        poll(NULL, 0, 1);
    puts(count_lines(w[1], w[3]) >= (int)natbox_probe_number(w[2]) ? "seen" : "missing");
}

static const struct statement {
    const char *name;
    int words;
    void (*run)(char **w);
} statements[] = {
    {"listen", 3, do_listen},
    {"dial", 5, do_dial},
    {"wait", 3, do_wait},
    {"accept", 3, do_accept},
    {"map", 5, do_map},
    {"took", 2, do_took},
    {"dialled", 2, do_dialled},
    {"flow", 4, natbox_probe_flow},
    {"reordered", 2, do_reordered},
    {"await", 4, do_await},
    {"datagrams", 6, natbox_probe_datagrams},
    {"checksums", 4, natbox_probe_checksums},
    {"raw", 3, natbox_probe_raw},
    {"flood", 5, natbox_probe_flood},
};

static bool execute(char *text)
{
    char *words[8] = {NULL};
    char *rest = NULL;
    size_t i;
    int n = 0;

    for (text = strtok_r(text, " ", &rest); text != NULL && n < 7;
         text = strtok_r(NULL, " ", &rest))
        words[n++] = text;
    for (i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        if (words[0] != NULL && n == statements[i].words &&
            strcmp(words[0], statements[i].name) == 0) {
            statements[i].run(words);
            fflush(stdout);
            return true;
        }
    fprintf(stderr, "natbox_probe: bad statement: %s\n", words[0] ? words[0] : "");
    return false;
}

int main(int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i++)
        if (!execute(argv[i]))
            return 2;
    return 0;
}
