/* SPDX-License-Identifier: ISC */
#include "client-stub/cli_end.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe that poll() calls writable takes this much without blocking. */
#define GUARDED_MOST PIPE_BUF

static bool is_kind(int fd, mode_t kind)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

static bool same_socket(int a, int b)
{
    struct stat sa, sb;

    return is_kind(a, S_IFSOCK) && fstat(a, &sa) == 0 && fstat(b, &sb) == 0 &&
           sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/*
 * A second way to the same pipe or terminal with a mode of its own, so that O_NONBLOCK does not
 * reach the other processes that hold it. Regular files need none (and would lose their position),
 * sockets cannot have one.
 */
static int reopen(int fd, int flags, enum end_way *way)
{
    char path[32];

    *way = is_kind(fd, S_IFSOCK) ? END_SOCKET : END_FREELY;
    if (is_kind(fd, S_IFIFO) || is_kind(fd, S_IFCHR)) {
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        int own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (own >= 0)
            return own;
        *way = END_GUARDED;
    }
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int forget_stdio(int fd, int flags)
{
    int null = open("/dev/null", flags | O_CLOEXEC);

    if (null < 0 || dup2(null, fd) < 0)
        return -1;
    (void)close(null);
    return 0;
}

int cli_end_stdio(struct relay_end *end)
{
    bool one = same_socket(STDIN_FILENO, STDOUT_FILENO);

    end->may_stop = one;
    end->in = reopen(STDIN_FILENO, O_RDONLY, &end->in_way);
    end->out = end->in;
    end->out_way = end->in_way;
    if (!one)
        end->out = reopen(STDOUT_FILENO, O_WRONLY, &end->out_way);
    if (end->in < 0 || end->out < 0)
        return -1;
    if (forget_stdio(STDIN_FILENO, O_RDONLY) != 0 || forget_stdio(STDOUT_FILENO, O_WRONLY) != 0)
        return -1;
    return 0;
}

/* Interactive traffic is small records, each a message of its own. Harmless on what is no TCP
 * socket. */
void cli_end_no_delay(int fd)
{
    int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

struct relay_end cli_end_socket(int fd)
{
    cli_end_no_delay(fd);
    return (struct relay_end){.in = fd, .out = fd, .may_stop = true};
}

struct relay_end cli_end_pipes(int in, int out)
{
    (void)fcntl(in, F_SETFL, fcntl(in, F_GETFL) | O_NONBLOCK);
    (void)fcntl(out, F_SETFL, fcntl(out, F_GETFL) | O_NONBLOCK);
    return (struct relay_end){
        .in = in, .out = out, .in_way = END_FREELY, .out_way = END_FREELY, .may_stop = true};
}

void cli_end_close(struct relay_end *end)
{
    if (end->in >= 0)
        (void)close(end->in);
    if (end->out >= 0 && end->out != end->in)
        (void)close(end->out);
    end->in = end->out = -1;
}

ssize_t cli_end_read(const struct relay_end *end, void *buf, size_t len)
{
    if (end->in_way == END_SOCKET)
        return recv(end->in, buf, len, MSG_DONTWAIT);
    return read(end->in, buf, len);
}

ssize_t cli_end_write(const struct relay_end *end, const void *buf, size_t len)
{
    if (end->out_way == END_SOCKET)
        return send(end->out, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (end->out_way == END_GUARDED && len > GUARDED_MOST)
        len = GUARDED_MOST;
    return write(end->out, buf, len);
}

void cli_end_shut(struct relay_end *end)
{
    if (end->out_way == END_SOCKET)
        (void)shutdown(end->out, SHUT_WR);
    if (end->out != end->in) {
        (void)close(end->out);
        end->out = -1;
    }
}
