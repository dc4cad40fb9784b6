/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "trystctl.h"

/* The way to the daemon: one request, and lines of answer. */

#define ANSWER_MOST ((size_t)256 << 20)

static void unreachable(const char *path)
{
    if (errno == EACCES || errno == EPERM)
        ctl_complain(
            "%s: permission denied; run it as root, as the daemon's user, or as a member of the"
            " admin-group or the readonly-group of trystd.conf(5)",
            path);
    else if (errno == ENOENT || errno == ECONNREFUSED)
        ctl_complain(
            "no trystd answers at %s; start it ('systemctl start trystd'), or name its socket"
            " with --admin-socket",
            path);
    else
        ctl_complain("%s: %s", path, strerror(errno));
}

static int open_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path)) {
        ctl_complain("%s: the path is too long for a socket", path);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
        unreachable(path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static int send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

int ctl_open(struct ctl_lines *l, const char *path, const json_t *request)
{
    char *text = json_dumps(request, JSON_COMPACT);

    *l = (struct ctl_lines){.fd = text ? open_socket(path) : -1};
    if (text && l->fd >= 0)
        /* A refusal may come before the request is out. */
        (void)(send_all(l->fd, text, strlen(text)) || send_all(l->fd, "\n", 1));
    free(text);
    return l->fd >= 0 ? 0 : -1;
}

void ctl_close(struct ctl_lines *l)
{
    if (l->fd >= 0)
        close(l->fd);
    free(l->bytes);
    *l = (struct ctl_lines){.fd = -1};
}

static int make_room(struct ctl_lines *l)
{
    if (l->begin > 0) {
        memmove(l->bytes, l->bytes + l->begin, l->len - l->begin);
        l->len -= l->begin;
        l->looked -= l->begin;
        l->begin = 0;
    }
    if (l->len < l->size)
        return 0;
    size_t size = l->size ? l->size * 2 : 16384;
    char *bytes = size <= ANSWER_MOST ? realloc(l->bytes, size) : NULL;
    if (!bytes)
        return -1;
    l->bytes = bytes;
    l->size = size;
    return 0;
}

char *ctl_line_there(struct ctl_lines *l)
{
    char *end = l->len > l->looked ? memchr(l->bytes + l->looked, '\n', l->len - l->looked) : NULL;
    char *line = l->bytes + l->begin;

    l->looked = l->len;
    if (!end)
        return NULL;
    *end = '\0';
    l->begin = l->looked = (size_t)(end - l->bytes) + 1;
    return line;
}

int ctl_receive(struct ctl_lines *l)
{
    if (make_room(l))
        return -1;
    ssize_t n = recv(l->fd, l->bytes + l->len, l->size - l->len, 0);
    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0)
        return -1;
    l->len += (size_t)n;
    return 0;
}

char *ctl_line(struct ctl_lines *l)
{
    char *line;

    while (!(line = ctl_line_there(l)))
        if (ctl_receive(l))
            return NULL;
    return line;
}
