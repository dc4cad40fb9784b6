/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-stub/cli_relay.h"
#include "client-stub/record.h"

/*
 * Relays over a real TCP connection, with applications at both ends that write and read as poll()
 * lets them. Whatever goes wrong ends as an assertion or by alarm(), never by a sleep.
 */

#define WATCHDOG_S 60

/* ---- connections ---- */

static void tcp_pair(int fd[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
    fd[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd[0], (struct sockaddr *)&a, sizeof(a)), 0);
    fd[1] = accept(listener, NULL, NULL);
    assert_true(fd[1] >= 0);
    close(listener);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fcntl(fd[i], F_SETFL, O_NONBLOCK), 0);
}

static void *allocate(void *user, size_t size)
{
    (void)user;
    return malloc(size);
}

static void *resize(void *user, void *p, size_t size)
{
    (void)user;
    return realloc(p, size);
}

static void release(void *user, void *p)
{
    (void)user;
    free(p);
}

/* The two sides' ciphers, as a peer handshake leaves them. */
static struct tryst_record *record(int side)
{
    static const struct tryst_allocator allocator = {allocate, resize, release, NULL};
    struct noise_cipher a = {.key = {1}}, b = {.key = {2}};

    return side == 0 ? record_new(&allocator, &a, &b) : record_new(&allocator, &b, &a);
}

/* ---- an application: writes `to_write` bytes of a pattern, reads and checks the other side's ----
 */

struct app {
    int in, out; /* the far ends of the relay's local descriptors; -1: closed */
    uint64_t wrote, to_write, read;
    size_t most;    /* per write */
    bool end_after; /* closes (half-closes) after to_write */
    bool deaf;      /* never reads */
    bool saw_end;
    uint8_t pattern;
};

static uint8_t pattern_at(uint8_t pattern, uint64_t at)
{
    return (uint8_t)(pattern + at * 31 + (at >> 11));
}

static void app_close_out(struct app *a)
{
    if (a->out == a->in)
        assert_int_equal(shutdown(a->out, SHUT_WR), 0);
    else
        close(a->out);
    a->out = -1;
}

static void app_write(struct app *a)
{
    uint8_t buf[70000];
    size_t len = a->to_write - a->wrote < a->most ? (size_t)(a->to_write - a->wrote) : a->most;

    for (size_t i = 0; i < len; i++)
        buf[i] = pattern_at(a->pattern, a->wrote + i);
    if (len > 0) {
        ssize_t n = write(a->out, buf, len);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
            a->to_write = a->wrote;
            return;
        }
        if (n > 0)
            a->wrote += (uint64_t)n;
    }
    if (a->wrote == a->to_write && a->end_after)
        app_close_out(a);
}

static void app_read(struct app *a, uint8_t pattern)
{
    uint8_t buf[70000];
    ssize_t n = read(a->in, buf, sizeof(buf));

    if (n <= 0) {
        a->saw_end = n == 0;
        return;
    }
    for (ssize_t i = 0; i < n; i++)
        if (buf[i] != pattern_at(pattern, a->read + (uint64_t)i))
            fail_msg("byte %llu is wrong", (unsigned long long)(a->read + (uint64_t)i));
    a->read += (uint64_t)n;
}

/* ---- a side: application and relay ---- */

struct side {
    struct app app;
    struct relay *relay;
    enum relay_result result;
};

enum kind { SOCKET, PIPES, STDIO, GUARDED };

static struct side side(enum kind kind, int net, struct tryst_record *rec, int number)
{
    struct side s = {.app = {.most = 70000, .pattern = (uint8_t)(number * 7)}};
    struct relay_end end;
    int a[2], b[2];

    if (kind == SOCKET) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a), 0);
        s.app.in = s.app.out = a[0];
        end = cli_end_socket(a[1]);
    } else {
        assert_int_equal(pipe(a), 0); /* application to relay */
        assert_int_equal(pipe(b), 0);
        s.app.out = a[1];
        s.app.in = b[0];
        fcntl(a[1], F_SETFL, O_NONBLOCK);
        fcntl(b[0], F_SETFL, O_NONBLOCK);
        end = cli_end_pipes(a[0], b[1]);
        if (kind == GUARDED) {
            fcntl(a[0], F_SETFL, 0);
            fcntl(b[1], F_SETFL, 0);
            end.in_way = end.out_way = END_GUARDED;
        }
        end.may_stop = kind == PIPES;
    }
    s.relay = cli_relay_new(net, rec, &end);
    assert_non_null(s.relay);
    return s;
}

static void side_free(struct side *s)
{
    cli_relay_free(s->relay);
    if (s->app.out >= 0 && s->app.out != s->app.in)
        close(s->app.out);
    if (s->app.in >= 0)
        close(s->app.in);
}

#define FDS (RELAY_FDS + 2)

static void side_poll(const struct side *s, struct pollfd fds[FDS], int *timeout)
{
    const struct app *a = &s->app;
    bool writes = a->out >= 0 && (a->wrote < a->to_write || a->end_after);

    fds[0] = (struct pollfd){.fd = writes ? a->out : -1, .events = POLLOUT};
    fds[1] = (struct pollfd){.fd = a->saw_end || a->deaf ? -1 : a->in, .events = POLLIN};
    if (s->result == RELAY_RUNNING) {
        cli_relay_pollfds(s->relay, fds + 2);
        if (cli_relay_more(s->relay))
            *timeout = 0;
    } else {
        for (int i = 2; i < FDS; i++)
            fds[i] = (struct pollfd){.fd = -1};
    }
}

static void side_step(struct side *s, const struct side *other, const struct pollfd fds[FDS])
{
    if (fds[0].revents)
        app_write(&s->app);
    if (fds[1].revents)
        app_read(&s->app, other->app.pattern);
    if (s->result != RELAY_RUNNING)
        return;
    s->result = cli_relay_step(s->relay, fds + 2);
    if (s->result != RELAY_RUNNING) { /* as the program does: everything is closed at once */
        cli_relay_free(s->relay);
        s->relay = NULL;
    }
}

#define QUIET_MS 300

static bool over(const struct side *s)
{
    return s->result != RELAY_RUNNING && (s->app.saw_end || s->app.deaf);
}

/* Until both sides are over, or nothing more happens for a while; `b` may be NULL. */
static void run_until_quiet(struct side *a, struct side *b)
{
    struct pollfd fds[2 * FDS];
    struct side none = {.app = {.in = -1, .out = -1, .saw_end = true}, .result = RELAY_DONE};

    if (!b)
        b = &none;
    while (!over(a) || !over(b)) {
        int timeout = QUIET_MS;
        side_poll(a, fds, &timeout);
        side_poll(b, fds + FDS, &timeout);
        if (poll(fds, 2 * FDS, timeout) == 0 && timeout > 0)
            return;
        side_step(a, b, fds);
        side_step(b, a, fds + FDS);
    }
}

static void exchange(enum kind ka, enum kind kb, bool plain, uint64_t from_a, uint64_t from_b,
                     size_t most)
{
    int net[2];

    tcp_pair(net);
    struct side a = side(ka, net[0], plain ? NULL : record(0), 1);
    struct side b = side(kb, net[1], plain ? NULL : record(1), 2);
    a.app.to_write = from_a;
    b.app.to_write = from_b;
    a.app.most = b.app.most = most;
    a.app.end_after = b.app.end_after = true;
    run_until_quiet(&a, &b);
    assert_int_equal(a.result, RELAY_DONE);
    assert_int_equal(b.result, RELAY_DONE);
    assert_int_equal(a.app.read, from_b);
    assert_int_equal(b.app.read, from_a);
    assert_true(a.app.saw_end && b.app.saw_end);
    side_free(&a);
    side_free(&b);
}

/* ---- tests ---- */

static void test_exchange(void **state)
{
    static const uint64_t sizes[] = {0, 1, 61439, 61440, 61441, 65519, 3000000};
    static const enum kind kinds[] = {SOCKET, PIPES, STDIO, GUARDED};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (size_t k = 0; k < 4; k++)
            for (int plain = 0; plain < 2; plain++)
                exchange(kinds[k], kinds[(k + i) % 4], plain, sizes[i], sizes[(i + 3) % 7], 70000);
}

static void test_tiny_records(void **state)
{
    (void)state;
    exchange(SOCKET, PIPES, false, 20000, 20000, 1);
}

/* One direction ends; the other goes on for as long as it likes. */
static void half_close(bool plain)
{
    int net[2];

    tcp_pair(net);
    struct side a = side(SOCKET, net[0], plain ? NULL : record(0), 1);
    struct side b = side(PIPES, net[1], plain ? NULL : record(1), 2);
    a.app.to_write = 5;
    a.app.end_after = true;
    run_until_quiet(&a, &b);
    assert_true(b.app.saw_end);
    assert_int_equal(b.app.read, 5);
    assert_int_equal(a.result, RELAY_RUNNING);
    assert_int_equal(b.result, RELAY_RUNNING);

    b.app.to_write = 1000000;
    run_until_quiet(&a, &b);
    assert_int_equal(a.app.read, 1000000);
    assert_int_equal(a.result, RELAY_RUNNING);
    b.app.end_after = true;
    run_until_quiet(&a, &b);
    assert_true(a.app.saw_end);
    assert_int_equal(a.result, RELAY_DONE);
    assert_int_equal(b.result, RELAY_DONE);
    side_free(&a);
    side_free(&b);
}

static void test_half_close(void **state)
{
    (void)state;
    half_close(false);
    half_close(true);
}

/* A reader that does not read stops the writer after some megabytes (the kernel's), not never. */
static void test_back_pressure(void **state)
{
    int net[2];

    (void)state;
    tcp_pair(net);
    struct side a = side(PIPES, net[0], record(0), 1);
    struct side b = side(PIPES, net[1], record(1), 2);
    a.app.to_write = 200000000;
    b.app.deaf = true;
    run_until_quiet(&a, &b);
    assert_true(a.app.wrote < 50000000);
    assert_true(cli_relay_received(b.relay) < 4000000);

    /* The other direction does not wait for it. */
    b.app.to_write = 100000;
    run_until_quiet(&a, &b);
    assert_int_equal(a.app.read, 100000);

    a.app.to_write = a.app.wrote;
    b.app.deaf = false;
    run_until_quiet(&a, &b);
    assert_int_equal(b.app.read, a.app.wrote);
    side_free(&a);
    side_free(&b);
}

/* ---- one relay, and a peer made by hand ---- */

static size_t seal(struct tryst_record *rec, const char *text, uint8_t *out)
{
    int n = tryst_record_seal(rec, text, strlen(text), out);

    assert_true(n > 0);
    return (size_t)n;
}

struct by_hand {
    int net;
    struct tryst_record *rec;
    struct side s;
};

static struct by_hand by_hand(enum kind kind)
{
    struct by_hand h;
    int net[2];

    tcp_pair(net);
    h.net = net[0];
    h.rec = record(0);
    h.s = side(kind, net[1], record(1), 2);
    h.s.app.deaf = true; /* looked at by hand, too */
    return h;
}

static void put(const struct by_hand *h, const uint8_t *bytes, size_t len)
{
    assert_int_equal(write(h->net, bytes, len), len);
}

/* What the application has got, all in all. */
static void expect(const struct by_hand *h, const char *text)
{
    char got[256];
    ssize_t n = read(h->s.app.in, got, sizeof(got));

    assert_int_equal(n > 0 ? n : 0, strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

static void by_hand_free(struct by_hand *h)
{
    if (h->net >= 0)
        close(h->net);
    tryst_record_free(h->rec);
    side_free(&h->s);
}

static void test_cut_off(void **state)
{
    uint8_t bytes[256];

    (void)state;
    struct by_hand h = by_hand(PIPES);
    size_t len = seal(h.rec, "whole", bytes);
    len += seal(h.rec, "cut off", bytes + len);
    put(&h, bytes, len - 1);
    close(h.net);
    h.net = -1;
    run_until_quiet(&h.s, NULL);
    assert_int_equal(h.s.result, RELAY_LOST);
    expect(&h, "whole");
    by_hand_free(&h);
}

/* Whichever byte of a record is changed, nothing of the record goes on. */
static void test_forged(void **state)
{
    uint8_t bytes[256];

    (void)state;
    for (size_t at = 0;; at++) {
        struct by_hand h = by_hand(PIPES);
        size_t first = seal(h.rec, "genuine", bytes);
        size_t len = first + seal(h.rec, "evil", bytes + first);
        if (first + at < len)
            bytes[first + at] ^= 1;
        bool done = first + at >= len;
        put(&h, bytes, len);
        shutdown(h.net, SHUT_WR);
        run_until_quiet(&h.s, NULL);
        if (done)
            assert_int_equal(h.s.result, RELAY_LOST);
        else /* a length too large is cut off, all else does not open */
            assert_true(h.s.result == RELAY_FORGED || (at < 2 && h.s.result == RELAY_LOST));
        expect(&h, done ? "genuineevil" : "genuine");
        by_hand_free(&h);
        if (done)
            break;
    }
}

static void test_replayed(void **state)
{
    uint8_t bytes[256];

    (void)state;
    struct by_hand h = by_hand(PIPES);
    size_t len = seal(h.rec, "once", bytes);
    put(&h, bytes, len);
    put(&h, bytes, len);
    run_until_quiet(&h.s, NULL);
    assert_int_equal(h.s.result, RELAY_FORGED);
    expect(&h, "once");
    by_hand_free(&h);
}

static void test_data_after_the_end(void **state)
{
    uint8_t bytes[256];

    (void)state;
    struct by_hand h = by_hand(PIPES);
    size_t len = seal(h.rec, "", bytes);
    len += seal(h.rec, "more", bytes + len);
    put(&h, bytes, len);
    run_until_quiet(&h.s, NULL);
    assert_int_equal(h.s.result, RELAY_FORGED);
    expect(&h, "");
    by_hand_free(&h);
}

/* `... | head`: the reader has gone, and standard input does not matter any more. */
static void test_reader_gone(void **state)
{
    (void)state;
    struct by_hand h = by_hand(STDIO);
    close(h.s.app.in);
    h.s.app.in = -1;
    struct pollfd fds[RELAY_FDS];
    cli_relay_pollfds(h.s.relay, fds);
    assert_int_equal(poll(fds, RELAY_FDS, 10000), 1);
    assert_int_equal(cli_relay_step(h.s.relay, fds), RELAY_LOCAL);
    assert_true(cli_relay_reader_gone(h.s.relay));
    by_hand_free(&h);
}

/* A command that has stopped reading may still write; the peer's data goes nowhere, and both end
 * well. */
static void test_deaf_command(void **state)
{
    int net[2];

    (void)state;
    tcp_pair(net);
    struct side a = side(SOCKET, net[0], record(0), 1);
    struct side b = side(PIPES, net[1], record(1), 2);
    close(b.app.in);
    b.app.in = -1;
    b.app.saw_end = true;
    a.app.to_write = 500000;
    b.app.to_write = 700000;
    run_until_quiet(&a, &b);
    assert_int_equal(a.app.read, 700000);
    assert_int_equal(a.app.wrote, 500000);
    assert_int_equal(b.result, RELAY_RUNNING);

    /* Its end is the session's, though the peer's input is still open. */
    b.app.end_after = true;
    run_until_quiet(&a, &b);
    assert_true(a.app.saw_end);
    assert_int_equal(a.result, RELAY_DONE);
    assert_int_equal(b.result, RELAY_DONE);
    side_free(&a);
    side_free(&b);
}

/* What a command has not taken when it ends is not sent, and that is not passed over. */
static void test_command_that_takes_no_more(void **state)
{
    int net[2];

    (void)state;
    tcp_pair(net);
    struct side a = side(SOCKET, net[0], record(0), 1);
    struct side b = side(PIPES, net[1], record(1), 2);
    close(b.app.in);
    b.app.in = -1;
    b.app.saw_end = true;
    b.app.to_write = 10;
    b.app.end_after = true;
    a.app.to_write = UINT64_MAX;
    run_until_quiet(&a, &b);
    assert_int_equal(a.app.read, 10);
    assert_int_equal(a.result, RELAY_LOST);
    assert_int_equal(b.result, RELAY_DONE);
    side_free(&a);
    side_free(&b);
}

/* A relay that is given up resets the connection: the peer must not take it for an end. */
static void test_given_up(void **state)
{
    (void)state;
    for (int plain = 0; plain < 2; plain++) {
        int net[2];
        tcp_pair(net);
        struct side a = side(PIPES, net[0], plain ? NULL : record(0), 1);
        struct side b = side(PIPES, net[1], plain ? NULL : record(1), 2);
        a.app.to_write = 1000;
        run_until_quiet(&a, &b);
        cli_relay_free(a.relay);
        a.relay = NULL;
        a.result = RELAY_LOCAL;
        run_until_quiet(&a, &b);
        assert_int_equal(b.result, RELAY_LOST);
        assert_int_equal(b.app.read, 1000);
        side_free(&a);
        side_free(&b);
    }
}

/* ---- standard input and output ---- */

static int saved[2];

static void stdio_set(int in, int out)
{
    saved[0] = fcntl(STDIN_FILENO, F_DUPFD, 10);
    saved[1] = fcntl(STDOUT_FILENO, F_DUPFD, 10);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
}

static void stdio_restore(void)
{
    dup2(saved[0], STDIN_FILENO);
    dup2(saved[1], STDOUT_FILENO);
    close(saved[0]);
    close(saved[1]);
}

/* Non-blocking for the relay; whoever else holds the pipe notices nothing, except that it ends when
 * the relay closes it. */
static void test_stdio_pipes(void **state)
{
    int in[2], out[2];
    struct relay_end end;
    char byte;

    (void)state;
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    fflush(stdout);
    stdio_set(in[0], out[1]);
    int bad = cli_end_stdio(&end);
    stdio_restore();
    assert_int_equal(bad, 0);
    assert_int_equal(fcntl(in[0], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);
    close(in[0]);
    close(out[1]);

    assert_int_equal(end.in_way, END_FREELY);
    assert_int_equal(end.out_way, END_FREELY);
    assert_int_equal(cli_end_read(&end, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(write(in[1], "x", 1), 1);
    assert_int_equal(cli_end_read(&end, &byte, 1), 1);
    assert_int_equal(cli_end_write(&end, "y", 1), 1);
    assert_int_equal(read(out[0], &byte, 1), 1);
    cli_end_shut(&end);
    assert_int_equal(read(out[0], &byte, 1), 0);
    cli_end_close(&end);
    close(in[1]);
    close(out[0]);
}

static void test_stdio_socket(void **state)
{
    int pair[2];
    struct relay_end end;
    char byte;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fflush(stdout);
    stdio_set(pair[0], pair[0]);
    int bad = cli_end_stdio(&end);
    stdio_restore();
    assert_int_equal(bad, 0);
    assert_int_equal(end.in, end.out);
    assert_int_equal(end.in_way, END_SOCKET);
    assert_int_equal(fcntl(pair[0], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(cli_end_read(&end, &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    cli_end_shut(&end);
    assert_int_equal(read(pair[1], &byte, 1), 0);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(cli_end_read(&end, &byte, 1), 1);
    cli_end_close(&end);
    close(pair[0]);
    close(pair[1]);
}

/* The position of a file is where it was, and its end is an end. */
static void test_stdio_file(void **state)
{
    char path[] = "/tmp/tryst-relay-XXXXXX", byte;
    struct relay_end end;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(write(fd, "ab", 2), 2);
    assert_int_equal(lseek(fd, 1, SEEK_SET), 1);
    fflush(stdout);
    stdio_set(fd, fd);
    int bad = cli_end_stdio(&end);
    stdio_restore();
    assert_int_equal(bad, 0);
    assert_int_equal(end.in_way, END_FREELY);
    assert_int_equal(cli_end_read(&end, &byte, 1), 1);
    assert_int_equal(byte, 'b');
    assert_int_equal(cli_end_read(&end, &byte, 1), 0);
    cli_end_close(&end);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_tiny_records),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_replayed),
        cmocka_unit_test(test_data_after_the_end),
        cmocka_unit_test(test_reader_gone),
        cmocka_unit_test(test_deaf_command),
        cmocka_unit_test(test_command_that_takes_no_more),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_stdio_pipes),
        cmocka_unit_test(test_stdio_socket),
        cmocka_unit_test(test_stdio_file),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    alarm(WATCHDOG_S);
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
