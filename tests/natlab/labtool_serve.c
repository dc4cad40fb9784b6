/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */

#include "labtool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 4096
#define BUFFER      65536

enum manner { ECHO, TELL, BANNER, HTTP, SILENCE, GARBAGE, CLOSE, RESET };

static const char *const manner_names[] = {
    [ECHO] = "echo",       [TELL] = "tell",       [BANNER] = "banner", [HTTP] = "http",
    [SILENCE] = "silence", [GARBAGE] = "garbage", [CLOSE] = "close",   [RESET] = "reset",
};

struct client {
    int fd;
    bool eof;
    size_t start, end; /* of what is still to be echoed */
    uint8_t *buf;
};

struct server {
    enum manner manner;
    int log; /* gets all that clients send; -1: nobody */
    size_t count;
    struct client clients[CLIENTS_MAX];
};

static void client_drop(struct server *s, size_t i)
{
    (void)close(s->clients[i].fd);
    free(s->clients[i].buf);
    s->clients[i] = s->clients[--s->count];
}

static void tell(int fd)
{
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    char line[NI_MAXHOST + NI_MAXSERV + 2];
    if (getpeername(fd, (struct sockaddr *)&from, &len) ||
        getnameinfo((struct sockaddr *)&from, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV))
        return;
    int n = snprintf(line, sizeof(line), "%s %s\n", host, port);
    (void)write_all(fd, line, (size_t)n);
}

/* What a client gets as soon as it is there. Returns false when that was all. */
static bool greet(struct server *s, int fd)
{
    static const char banner[] = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n";
    static const char http[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    struct linger reset = {.l_onoff = 1};
    uint8_t noise[512];

    switch (s->manner) {
    case BANNER:
        return !write_all(fd, banner, sizeof(banner) - 1);
    case HTTP:
        return !write_all(fd, http, sizeof(http) - 1);
    case GARBAGE:
        stream_fill(1, s->count * sizeof(noise), noise, sizeof(noise));
        return !write_all(fd, noise, sizeof(noise));
    case RESET:
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        return false;
    case TELL:
        tell(fd);
        return false;
    case CLOSE:
        return false;
    case ECHO:
    case SILENCE:
        return true;
    }
    return true;
}

static void welcome(struct server *s, int listener)
{
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    int fd = accept4(listener, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct client c = {.fd = fd, .buf = malloc(BUFFER)};
    if (!c.buf || !greet(s, fd)) {
        free(c.buf);
        (void)close(fd);
        return;
    }
    s->clients[s->count++] = c;
}

/* Returns false when the client is done with. */
static bool client_read(struct server *s, struct client *c)
{
    ssize_t n = read(c->fd, c->buf, BUFFER);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    c->eof = n == 0;
    if (s->log >= 0 && n > 0)
        (void)write_all(s->log, c->buf, (size_t)n);
    if (s->manner == ECHO) {
        c->start = 0;
        c->end = (size_t)n;
    }
    if (c->eof)
        (void)shutdown(c->fd, SHUT_WR);
    return !c->eof;
}

static bool client_write(struct client *c)
{
    ssize_t n = write(c->fd, c->buf + c->start, c->end - c->start);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    c->start += (size_t)n;
    return true;
}

static void serve_once(struct server *s, int listener)
{
    static struct pollfd fds[CLIENTS_MAX + 1];
    size_t count = s->count;
    fds[0] = (struct pollfd){.fd = count < CLIENTS_MAX ? listener : -1, .events = POLLIN};
    for (size_t i = 0; i < count; i++) {
        struct client *c = &s->clients[i];
        fds[i + 1] = (struct pollfd){.fd = c->fd, .events = c->start < c->end ? POLLOUT : POLLIN};
    }
    if (poll(fds, count + 1, -1) < 0)
        return;

    /* From the end, since a client that goes is replaced by the last one. */
    for (size_t i = count; i > 0; i--) {
        struct client *c = &s->clients[i - 1];
        if (fds[i].revents == 0)
            continue;
        if (!(c->start < c->end ? client_write(c) : client_read(s, c)))
            client_drop(s, i - 1);
    }
    if (fds[0].revents)
        welcome(s, listener);
}

static int serve(char **argv, enum manner manner, const char *log)
{
    static struct server server;
    server.manner = manner;
    server.log = log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (log && server.log < 0) {
        perror(log);
        return 1;
    }
    int listener = net_listen(argv[0], argv[1]);
    if (listener < 0)
        return 1;
    (void)puts("ready");
    (void)fflush(stdout);
    for (;;)
        serve_once(&server, listener);
}

int cmd_echo(int argc, char **argv)
{
    (void)argc;
    return serve(argv, ECHO, NULL);
}

int cmd_tell(int argc, char **argv)
{
    (void)argc;
    return serve(argv, TELL, NULL);
}

int cmd_answer(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(manner_names) / sizeof(manner_names[0]); i++)
        if (!strcmp(argv[2], manner_names[i]))
            return serve(argv, (enum manner)i, argc > 3 ? argv[3] : NULL);
    (void)fprintf(stderr, "labtool answer: no such manner: %s\n", argv[2]);
    return 2;
}
