/* SPDX-License-Identifier: ISC */
#include "client-stub/cli_dial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST_MAX 256
#define BACKLOG  128

/* Cuts "HOST:PORT", "[V6]:PORT" or, where the host may be missing, "PORT". */
static int split(const char *text, char host[HOST_MAX], const char **port, int host_needed)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    const char *begin = text;

    *port = colon ? colon + 1 : text;
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        begin++;
        len -= 2;
    } else if (memchr(text, ':', len)) {
        return -1; /* a bare IPv6 address: where does it end? */
    }
    if (len >= HOST_MAX || (colon && len == 0) || (!colon && host_needed))
        return -1;
    memcpy(host, begin, len);
    host[len] = '\0';

    char *end;
    errno = 0;
    long n = strtol(*port, &end, 10);
    int bad = errno || end == *port || *end || **port == '-' || **port == '+' || **port == ' ';
    return bad || n > 65535 || n < (host_needed ? 1 : 0) ? -1 : 0;
}

static int resolve(const char *text, const char *host, const char *port, int flags,
                   struct addrinfo **out, char *err, size_t size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    int wrong = getaddrinfo(host, port, &hints, out);

    if (wrong) {
        (void)snprintf(err, size, "%s: %s", text,
                       wrong == EAI_SYSTEM ? strerror(errno) : gai_strerror(wrong));
        return -1;
    }
    return 0;
}

int cli_dial_resolve(const char *text, struct addrinfo **out, char *err, size_t size)
{
    char host[HOST_MAX];
    const char *port;

    if (split(text, host, &port, 1) != 0) {
        (void)snprintf(err, size, "'%s' is not HOST:PORT (an IPv6 address goes in brackets)", text);
        return -1;
    }
    return resolve(text, host, port, 0, out, err, size);
}

int cli_dial_resolve_local(const char *text, struct addrinfo **out, char *err, size_t size)
{
    char host[HOST_MAX];
    const char *port;

    if (split(text, host, &port, 0) != 0) {
        (void)snprintf(err, size, "'%s' is not [ADDRESS:]PORT (an IPv6 address goes in brackets)",
                       text);
        return -1;
    }
    return resolve(text, *host ? host : "127.0.0.1", port, AI_PASSIVE, out, err, size);
}

static int listen_on(const struct addrinfo *a)
{
    int one = 1;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static void describe(int fd, char out[DIAL_TEXT_SIZE])
{
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss);
    char host[HOST_MAX], port[16];

    (void)snprintf(out, DIAL_TEXT_SIZE, "?");
    if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
        return;
    if (getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        (void)snprintf(out, DIAL_TEXT_SIZE, ss.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
                       port);
}

int cli_dial_listen(const struct addrinfo *list, char bound[DIAL_TEXT_SIZE], char *err, size_t size)
{
    for (; list; list = list->ai_next) {
        int fd = listen_on(list);
        if (fd >= 0) {
            describe(fd, bound);
            return fd;
        }
    }
    (void)snprintf(err, size, "cannot listen: %s", strerror(errno));
    return -1;
}

static int begin(struct dial *d, const struct addrinfo *a)
{
    d->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    if (d->fd < 0) {
        d->error = errno;
        return -1;
    }
    if (connect(d->fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS)
        return 0;
    d->error = errno;
    (void)close(d->fd);
    d->fd = -1;
    return -1;
}

static int next_address(struct dial *d)
{
    while (d->next) {
        const struct addrinfo *a = d->next;
        d->next = a->ai_next;
        if (begin(d, a) == 0)
            return 0;
    }
    return -1;
}

int cli_dial_start(struct dial *d, const struct addrinfo *list)
{
    *d = (struct dial){.next = list, .fd = -1, .error = EADDRNOTAVAIL};
    return next_address(d);
}

enum dial_state cli_dial_check(struct dial *d, int timed_out)
{
    int error = ETIMEDOUT;
    socklen_t len = sizeof(error);

    if (!timed_out && getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error == 0)
        return DIAL_CONNECTED;
    d->error = error;
    (void)close(d->fd);
    d->fd = -1;
    return next_address(d) == 0 ? DIAL_PENDING : DIAL_FAILED;
}
