/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */

#include "labtool.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int parse_number(const char *text, uint64_t most, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || value > most) {
        (void)fprintf(stderr, "labtool: not a number up to %llu: %s\n", (unsigned long long)most,
                      text);
        return -1;
    }
    *out = value;
    return 0;
}

int64_t clock_ms(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Blocks until all is written, on a non-blocking descriptor too. */
int write_all(int fd, const void *buf, size_t len)
{
    const uint8_t *at = buf;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            (void)poll(&p, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return -1;
        } else if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static struct addrinfo *resolve(const char *address, const char *port, int flags)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = flags | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(address, port, &hints, &found);
    if (error) {
        (void)fprintf(stderr, "labtool: %s port %s: %s\n", address, port, gai_strerror(error));
        return NULL;
    }
    return found;
}

static int open_socket(int family)
{
    int on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on))) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int bind_port(int fd, int family, unsigned port)
{
    if (family == AF_INET6) {
        struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        return bind(fd, (struct sockaddr *)&any, sizeof(any));
    }
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return bind(fd, (struct sockaddr *)&any, sizeof(any));
}

int net_listen(const char *address, const char *port)
{
    struct addrinfo *a = resolve(address, port, AI_PASSIVE);
    if (!a)
        return -1;
    int fd = open_socket(a->ai_family);
    if (fd >= 0 && (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, SOMAXCONN))) {
        (void)close(fd);
        fd = -1;
    }
    if (fd < 0)
        (void)fprintf(stderr, "labtool: listen on %s port %s: %s\n", address, port,
                      strerror(errno));
    freeaddrinfo(a);
    return fd;
}

int net_connect(const char *address, const char *port, unsigned local_port)
{
    struct addrinfo *a = resolve(address, port, 0);
    if (!a)
        return -1;
    int fd = open_socket(a->ai_family);
    if (fd >= 0 && ((local_port && bind_port(fd, a->ai_family, local_port)) ||
                    (connect(fd, a->ai_addr, a->ai_addrlen) && errno != EINPROGRESS))) {
        int error = errno;
        (void)close(fd);
        errno = error;
        fd = -1;
    }
    freeaddrinfo(a);
    return fd;
}

int net_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
        return errno;
    return error;
}

static const struct {
    const char *name;
    command_fn *run;
    int least; /* arguments */
    const char *arguments;
} commands[] = {
    {"send", cmd_send, 2, "SEED BYTES: the stream to stdout"},
    {"check", cmd_check, 2, "SEED BYTES: whether stdin is that stream, and ends there"},
    {"echo", cmd_echo, 2, "ADDRESS PORT: sends back what comes, each direction ends by itself"},
    {"tell", cmd_tell, 2, "ADDRESS PORT: tells every client its address and port"},
    {"answer", cmd_answer, 3,
     "ADDRESS PORT banner|http|silence|echo|garbage|close|reset [FILE]: what is no trystd, nor a "
     "peer; FILE gets all that clients send"},
    {"exchange", cmd_exchange, 5, "ADDRESS PORT COUNT SEED BYTES: streams to an echo and back"},
    {"ask", cmd_ask, 3, "ADDRESS PORT LOCAL-PORT: what `tell` says"},
    {"knock", cmd_knock, 3, "ADDRESS PORT MILLISECONDS: accepted, refused, unreachable or silence"},
    {"meet", cmd_meet, 4, "ADDRESS PORT LOCAL-PORT MILLISECONDS: simultaneous open, and a word"},
    {"idle", cmd_idle, 3, "ADDRESS PORT COUNT [HEX]: connections that say HEX, or nothing at all"},
    {"garbage", cmd_garbage, 4, "ADDRESS PORT SEED COUNT: connections full of nonsense"},
};

static int usage(void)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        (void)fprintf(stderr, "labtool %s %s\n", commands[i].name, commands[i].arguments);
    return 2;
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (!strcmp(argv[1], commands[i].name) && argc - 2 >= commands[i].least)
            return commands[i].run(argc - 2, argv + 2);
    return usage();
}
