/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */

/*
 * Idle peers for tests/bench-idle.sh: bench_idle URL PEERS PEERS-PER-ADDRESS registers so many
 * peers, each with a key of its own, from as many addresses of the loopback as that takes; says
 * "ready", keeps them connected until its standard input ends, and does nothing meanwhile.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/endpoint.h"
#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/noise.h"
#include "proto/rng.h"

#define FIRST_ADDRESS 0x7f010001u /* 127.1.0.1 */
#define PEERS_MAX     1000000

struct link {
    int fd;
    struct noise_cipher send;
    struct noise_cipher receive;
};

static void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fputs("bench_idle: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static unsigned number(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*end || n == 0 || n > PEERS_MAX)
        die("'%s': a number from 1 to %d, please", text, PEERS_MAX);
    return (unsigned)n;
}

static void raise_descriptors(unsigned peers)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("getrlimit: %s", strerror(errno));
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        die("setrlimit: %s", strerror(errno));
    if (limit.rlim_cur < peers + 16)
        die("%lu descriptors are not enough for %u peers", (unsigned long)limit.rlim_cur, peers);
}

/* ---- one connection ---- */

static int call(const struct server_url *server, uint32_t source)
{
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server->port)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket: %s", strerror(errno));
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (inet_pton(AF_INET, server->host, &to.sin_addr) != 1)
        die("%s: an IPv4 address, please", server->host);
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        die("connect: %s", strerror(errno));
    return fd;
}

static void put(int fd, const uint8_t *bytes, size_t len)
{
    if (send(fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
        die("send: %s", strerror(errno));
}

static void get(int fd, uint8_t *bytes, size_t len)
{
    ssize_t n = recv(fd, bytes, len, MSG_WAITALL);

    if (n != (ssize_t)len)
        die("the server closed the connection (a limit of its configuration?)");
}

/* Reads one frame; returns the length of its body. */
static size_t get_frame(int fd, uint8_t body[FRAME_BODY_MAX])
{
    uint8_t header[FRAME_HEADER_SIZE];

    get(fd, header, sizeof(header));
    size_t len = (size_t)header[0] << 8 | header[1];
    if (len == 0 || len > FRAME_BODY_MAX)
        die("the server sent no valid frame");
    get(fd, body, len);
    return len;
}

static void shake_hands(struct link *l, const struct server_url *server, const struct rng *rng)
{
    uint8_t out[FRAME_HEADER_SIZE + 1 + NOISE_IK_1_OVERHEAD];
    uint8_t in[FRAME_BODY_MAX];
    uint8_t payload[1];
    struct noise_handshake hs;
    struct key_pair own;

    key_generate(rng, &own);
    noise_start(&hs, NOISE_IK, true, MSG_PROLOGUE, strlen(MSG_PROLOGUE), &own, server->key);
    frame_put_header(out, 1 + NOISE_IK_1_OVERHEAD);
    out[FRAME_HEADER_SIZE] = HELLO_CONTROL;
    if (noise_write(&hs, rng, NULL, 0, out + FRAME_HEADER_SIZE + 1, NOISE_IK_1_OVERHEAD) < 0)
        die("no handshake with this key");
    put(l->fd, out, sizeof(out));
    size_t len = get_frame(l->fd, in);
    if (noise_read(&hs, in, len, payload, sizeof(payload)) < 0 ||
        noise_split(&hs, &l->send, &l->receive, NULL) != 0)
        die("the server's answer was not genuine");
}

static void send_register(struct link *l)
{
    uint8_t plain[FRAME_PLAIN_MAX];
    uint8_t out[FRAME_HEADER_SIZE + FRAME_BODY_MAX];
    struct msg m;

    memset(&m, 0, sizeof(m));
    m.type = MSG_REGISTER;
    m.register_.version = MSG_VERSION;
    m.register_.flags = REGISTER_LISTEN;
    int len = msg_encode(&m, plain, sizeof(plain));
    if (len < 0 || noise_seal(&l->send, plain, (size_t)len, out + FRAME_HEADER_SIZE) < 0)
        die("REGISTER cannot be sent");
    frame_put_header(out, (size_t)len + NOISE_TAG_SIZE);
    put(l->fd, out, FRAME_HEADER_SIZE + (size_t)len + NOISE_TAG_SIZE);
}

static void await_registered(struct link *l)
{
    uint8_t body[FRAME_BODY_MAX];
    uint8_t plain[FRAME_BODY_MAX];
    struct msg m;

    do {
        size_t len = get_frame(l->fd, body);
        int n = noise_open(&l->receive, body, len, plain);
        memset(&m, 0, sizeof(m));
        if (n < 0 || msg_decode(plain, (size_t)n, &m) != 0)
            die("the server sent no valid message");
        if (m.type == MSG_ERROR)
            die("the server refuses: %s", m.error_.text);
    } while (m.type != MSG_REGISTERED);
}

int main(int argc, char **argv)
{
    struct rng rng = rng_system();
    struct server_url server;
    char byte;

    if (argc != 4 || server_url_parse(argv[1], &server) != NULL)
        die("usage: bench_idle URL PEERS PEERS-PER-ADDRESS");
    unsigned peers = number(argv[2]);
    unsigned per_address = number(argv[3]);
    if (sodium_init() < 0)
        die("libsodium does not start");
    raise_descriptors(peers);
    for (unsigned i = 0; i < peers; i++) {
        struct link l = {.fd = call(&server, FIRST_ADDRESS + i / per_address)};
        shake_hands(&l, &server, &rng);
        send_register(&l);
        await_registered(&l);
    }
    (void)puts("ready");
    (void)fflush(stdout);
    return read(STDIN_FILENO, &byte, 1) < 0;
}
