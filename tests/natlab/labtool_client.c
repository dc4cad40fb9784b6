/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */

#include "labtool.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK     65536
#define COUNT_MAX 100000

/* One stream out and the same stream back. */
struct trip {
    int fd;
    uint64_t seed, sent, received;
};

static bool trip_write(struct trip *t, uint64_t bytes)
{
    uint8_t buf[CHUNK];
    size_t n = bytes - t->sent < CHUNK ? (size_t)(bytes - t->sent) : CHUNK;
    stream_fill(t->seed, t->sent, buf, n);
    ssize_t done = write(t->fd, buf, n);
    if (done < 0)
        return errno == EAGAIN || errno == EINTR;
    t->sent += (uint64_t)done;
    if (t->sent == bytes)
        (void)shutdown(t->fd, SHUT_WR);
    return true;
}

/* Returns 1 to go on, 0 at a good end, -1 otherwise. */
static int trip_read(struct trip *t, uint64_t bytes)
{
    uint8_t buf[CHUNK];
    ssize_t n = read(t->fd, buf, sizeof(buf));
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 1 : -1;
    if (n == 0)
        return t->received == bytes ? 0 : -1;
    size_t same = stream_match(t->seed, t->received, buf, (size_t)n);
    t->received += same;
    return same == (size_t)n && t->received <= bytes ? 1 : -1;
}

/* Returns 1 while under way, 0 when all came back, -1 when that cannot be any more. */
static int trip_step(struct trip *t, short ready, uint64_t bytes)
{
    if ((ready & POLLOUT) && t->sent < bytes && !trip_write(t, bytes))
        return -1;
    if (ready & (POLLIN | POLLHUP | POLLERR))
        return trip_read(t, bytes);
    return 1;
}

static void trip_failed(const struct trip *t, size_t i)
{
    (void)fprintf(stderr,
                  "labtool exchange: connection %zu: %llu bytes sent, %llu good ones back\n", i,
                  (unsigned long long)t->sent, (unsigned long long)t->received);
}

static size_t exchange(struct trip *trips, struct pollfd *fds, size_t count, uint64_t bytes)
{
    size_t bad = 0;
    size_t open = count;
    while (open > 0 && poll(fds, count, -1) >= 0) {
        for (size_t i = 0; i < count; i++) {
            if (fds[i].fd < 0 || fds[i].revents == 0)
                continue;
            int state = trip_step(&trips[i], fds[i].revents, bytes);
            if (state < 0) {
                trip_failed(&trips[i], i);
                bad++;
            }
            if (state <= 0) {
                (void)close(fds[i].fd);
                fds[i].fd = -1;
                open--;
            } else if (trips[i].sent == bytes) {
                fds[i].events = POLLIN;
            }
        }
    }
    return bad;
}

int cmd_exchange(int argc, char **argv)
{
    uint64_t count = 0;
    uint64_t seed = 0;
    uint64_t bytes = 0;
    (void)argc;
    if (parse_number(argv[2], COUNT_MAX, &count) || parse_number(argv[3], UINT32_MAX / 2, &seed) ||
        parse_number(argv[4], UINT64_MAX / 2, &bytes) || bytes == 0)
        return 2;

    struct trip *trips = calloc(count + 1, sizeof(*trips));
    struct pollfd *fds = calloc(count + 1, sizeof(*fds));
    size_t bad = 0;
    for (size_t i = 0; trips && fds && i < count; i++) {
        trips[i] = (struct trip){.fd = net_connect(argv[0], argv[1], 0), .seed = seed + i};
        fds[i] = (struct pollfd){.fd = trips[i].fd, .events = POLLIN | POLLOUT};
        bad += trips[i].fd < 0;
    }
    if (bad > 0)
        (void)fprintf(stderr, "labtool exchange: %zu connections not made: %s\n", bad,
                      strerror(errno));
    else if (trips && fds)
        bad = exchange(trips, fds, count, bytes);
    else
        bad = count;
    free(trips);
    free(fds);
    return bad == 0 ? 0 : 1;
}

/* Waits for a connect to end. Returns 0, an errno, or ETIMEDOUT. */
static int await_connect(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n = poll(&p, 1, timeout_ms);
    return n > 0 ? net_error(fd) : ETIMEDOUT;
}

int cmd_ask(int argc, char **argv)
{
    uint64_t local = 0;
    char line[256];
    (void)argc;
    if (parse_number(argv[2], 65535, &local))
        return 2;
    int fd = net_connect(argv[0], argv[1], (unsigned)local);
    int error = fd < 0 ? errno : await_connect(fd, 5000);
    if (error) {
        (void)fprintf(stderr, "labtool ask: %s\n", strerror(error));
        return 1;
    }
    struct pollfd p = {.fd = fd, .events = POLLIN};
    (void)poll(&p, 1, 5000);
    ssize_t n = read(fd, line, sizeof(line));
    (void)close(fd);
    return n > 0 && !write_all(STDOUT_FILENO, line, (size_t)n) ? 0 : 1;
}

int cmd_knock(int argc, char **argv)
{
    uint64_t ms = 0;
    (void)argc;
    if (parse_number(argv[2], 600000, &ms))
        return 2;
    int fd = net_connect(argv[0], argv[1], 0);
    int error = fd < 0 ? errno : await_connect(fd, (int)ms);
    const char *word = strerror(error);
    if (error == 0)
        word = "accepted";
    else if (error == ECONNREFUSED)
        word = "refused";
    else if (error == ETIMEDOUT)
        word = "silence";
    else if (error == EHOSTUNREACH || error == ENETUNREACH)
        word = "unreachable";
    (void)puts(word);
    return 0;
}

/* Both sides say a word at once and hear the same one. */
static bool said_and_heard(int fd)
{
    static const char word[] = "here";
    char heard[sizeof(word)];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return !write_all(fd, word, sizeof(word)) && poll(&p, 1, 5000) > 0 &&
           read(fd, heard, sizeof(heard)) == (ssize_t)sizeof(word) &&
           !memcmp(heard, word, sizeof(word));
}

int cmd_meet(int argc, char **argv)
{
    uint64_t local = 0;
    uint64_t ms = 0;
    (void)argc;
    if (parse_number(argv[2], 65535, &local) || parse_number(argv[3], 600000, &ms))
        return 2;

    int64_t deadline = clock_ms() + (int64_t)ms;
    unsigned noise = (unsigned)getpid();
    while (clock_ms() < deadline) {
        int fd = net_connect(argv[0], argv[1], (unsigned)local);
        if (fd >= 0 && await_connect(fd, (int)(deadline - clock_ms())) == 0 && said_and_heard(fd))
            return 0;
        if (fd >= 0)
            (void)close(fd);
        /* After a refusal a random pause, since a fixed one can stay out of step for good. */
        noise = noise * 1103515245U + 12345U;
        struct timespec pause = {.tv_nsec = (long)(noise >> 16) % 40 * 1000000};
        (void)nanosleep(&pause, NULL);
    }
    (void)fprintf(stderr, "labtool meet: nobody\n");
    return 1;
}

static size_t parse_hex(const char *text, uint8_t *out, size_t cap)
{
    size_t n = 0;
    for (; n < cap && text[2 * n] && text[2 * n + 1]; n++) {
        char pair[3] = {text[2 * n], text[2 * n + 1], 0};
        out[n] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return n;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* How many of them the other side has closed by now. */
static size_t count_closed(struct pollfd *fds, size_t count)
{
    size_t closed = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t byte;
        ssize_t n = recv(fds[i].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        closed += n == 0 || (n < 0 && errno != EAGAIN);
    }
    return closed;
}

int cmd_idle(int argc, char **argv)
{
    uint64_t count = 0;
    uint8_t say[4096];
    size_t say_len = argc > 3 ? parse_hex(argv[3], say, sizeof(say)) : 0;
    size_t open = 0;
    char line[64];
    if (parse_number(argv[2], COUNT_MAX, &count))
        return 2;
    raise_descriptor_limit();
    struct pollfd *fds = calloc(count + 1, sizeof(*fds));
    if (!fds)
        return 1;

    while (open < count) {
        int fd = net_connect(argv[0], argv[1], 0);
        int error = fd < 0 ? errno : await_connect(fd, 10000);
        if (error) {
            (void)fprintf(stderr, "labtool idle: after %zu: %s\n", open, strerror(error));
            break;
        }
        (void)write_all(fd, say, say_len);
        fds[open++].fd = fd;
    }
    (void)printf("open %zu\n", open);
    (void)fflush(stdout);

    /* Each line on stdin asks how many are closed; its end ends this. */
    while (fgets(line, sizeof(line), stdin)) {
        (void)printf("closed %zu\n", count_closed(fds, open));
        (void)fflush(stdout);
    }
    free(fds);
    return open == count ? 0 : 1;
}

/* Some connections say pure noise, some begin as a frame or a handshake should. */
static size_t nonsense(uint64_t seed, uint64_t i, uint8_t *buf, size_t cap)
{
    uint8_t dice[4];
    stream_fill(seed, i * 8192, dice, sizeof(dice));
    size_t len = 1 + (((size_t)dice[0] << 8) | dice[1]) % (cap - 1);
    stream_fill(seed, i * 8192 + 8, buf, len);
    if (dice[2] % 2 && len > 3) {
        size_t body = dice[2] & 2 ? len - 2 : dice[3];
        buf[0] = (uint8_t)(body >> 8);
        buf[1] = (uint8_t)body;
        buf[2] = dice[3] % 4;
    }
    return len;
}

/* Half of them stay for the answer, which ends within the server's time limit; half leave at once,
 * some with a reset. */
static void leave(int fd, uint64_t i)
{
    struct linger reset = {.l_onoff = 1};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (i % 4 == 1)
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    if (i % 4 == 2)
        (void)shutdown(fd, SHUT_WR);
    if (i % 2 == 0)
        (void)poll(&p, 1, 20);
    (void)close(fd);
}

int cmd_garbage(int argc, char **argv)
{
    uint64_t seed = 0;
    uint64_t count = 0;
    (void)argc;
    if (parse_number(argv[2], UINT32_MAX, &seed) || parse_number(argv[3], COUNT_MAX, &count))
        return 2;

    for (uint64_t i = 0; i < count; i++) {
        uint8_t buf[6000];
        int fd = net_connect(argv[0], argv[1], 0);
        if (fd < 0 || await_connect(fd, 5000)) {
            (void)fprintf(stderr, "labtool garbage: connection %llu was not taken\n",
                          (unsigned long long)i);
            return 1;
        }
        (void)write_all(fd, buf, nonsense(seed, i, buf, sizeof(buf)));
        leave(fd, i);
    }
    return 0;
}
