/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/rng.h"
#include "tests/fake_server.h"

#define PATIENCE_MS 5000

static int64_t now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- making and ending ---- */

static int listen_somewhere(struct endpoint *at)
{
    struct sockaddr_storage sa;
    socklen_t len;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(endpoint_parse("127.0.0.1:0", 0, at), 0);
    len = endpoint_to_sockaddr(at, &sa);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, 64), 0);
    len = sizeof(sa);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&sa, at), 0);
    return fd;
}

void fake_start(struct fake_server *s)
{
    struct rng rng = rng_system();
    struct server_url url;
    uint8_t ignored[TRYST_KEY_SIZE];

    memset(s, 0, sizeof(*s));
    assert_int_equal(tryst_keygen(ignored), 0); /* makes libsodium ready */
    for (int i = 0; i < FAKE_CONNS_MAX; i++)
        s->conns[i].fd = -1;
    key_generate(&rng, &s->key);
    s->listener = listen_somewhere(&s->at);
    memset(&url, 0, sizeof(url));
    memcpy(url.key, s->key.public, KEY_SIZE);
    strcpy(url.host, "127.0.0.1");
    url.port = s->at.port;
    (void)server_url_format(&url, s->url);
}

void fake_close(struct fake_conn *c)
{
    if (!c)
        return;
    for (unsigned i = 0; i < c->inbox_count; i++)
        free(c->inbox[i]);
    if (c->fd >= 0)
        (void)close(c->fd);
    memset(c, 0, sizeof(*c));
    c->fd = -1;
}

void fake_stop(struct fake_server *s)
{
    for (int i = 0; i < FAKE_CONTEXTS_MAX; i++)
        tryst_free(s->contexts[i]);
    for (int i = 0; i < FAKE_CONNS_MAX; i++)
        fake_close(&s->conns[i]);
    (void)close(s->listener);
}

struct tryst_context *fake_context(struct fake_server *s)
{
    struct tryst_context *ctx = tryst_new(s->allocator);
    uint8_t secret[TRYST_KEY_SIZE];

    if (!ctx && s->allocator)
        return NULL;
    assert_non_null(ctx);
    assert_int_equal(tryst_keygen(secret), 0);
    assert_int_equal(tryst_set_key(ctx, secret), 0);
    assert_int_equal(tryst_set_server(ctx, s->url), 0);
    for (int i = 0; i < FAKE_CONTEXTS_MAX; i++) {
        if (!s->contexts[i]) {
            s->contexts[i] = ctx;
            return ctx;
        }
    }
    fail_msg("too many contexts");
    return NULL;
}

void fake_forget(struct fake_server *s, struct tryst_context *ctx)
{
    for (int i = 0; i < FAKE_CONTEXTS_MAX; i++) {
        if (s->contexts[i] == ctx)
            s->contexts[i] = NULL;
    }
    tryst_free(ctx);
}

/* ---- connections ---- */

static void put(int fd, const uint8_t *bytes, size_t len)
{
    (void)!send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void greet(struct fake_server *s, struct fake_conn *c, const uint8_t *body, size_t len)
{
    struct noise_handshake hs;
    struct rng rng = rng_system();
    uint8_t out[FRAME_HEADER_SIZE + NOISE_IK_2_OVERHEAD];
    uint8_t payload[16];

    noise_start(&hs, NOISE_IK, false, MSG_PROLOGUE, strlen(MSG_PROLOGUE), &s->key, NULL);
    assert_int_equal(len, NOISE_IK_1_OVERHEAD);
    assert_int_equal(noise_read(&hs, body, len, payload, sizeof(payload)), 0);
    memcpy(c->peer, hs.remote_static, KEY_SIZE);
    frame_put_header(out, NOISE_IK_2_OVERHEAD);
    assert_int_equal(noise_write(&hs, &rng, NULL, 0, out + FRAME_HEADER_SIZE, NOISE_IK_2_OVERHEAD),
                     NOISE_IK_2_OVERHEAD);
    if (s->mood == FAKE_FORGES)
        out[FRAME_HEADER_SIZE + 40] ^= 1;
    put(c->fd, out, sizeof(out));
    assert_int_equal(noise_split(&hs, &c->send, &c->receive, NULL), 0);
    c->control = c->open = true;
}

static void answer_observation(struct fake_server *s, struct fake_conn *c, const uint8_t *body,
                               size_t len)
{
    struct msg m;
    uint8_t out[128];

    assert_int_equal(msg_decode(body, len, &m), 0);
    assert_int_equal(m.type, MSG_OBSERVE);
    assert_int_equal(msg_tag_verify(&m, s->secret), 0);
    if (s->observations < 64) {
        s->observed[s->observations] = m;
        s->observed_from[s->observations] = c->remote;
    }
    s->observations++;
    if (s->mute)
        return;
    uint8_t step = m.observe_.step;
    memset(&m, 0, sizeof(m));
    m.type = MSG_OBSERVED;
    m.observed_.step = step;
    m.observed_.observed = c->remote;
    assert_int_equal(msg_tag(&m, s->secret), 0);
    int n = msg_encode(&m, out + FRAME_HEADER_SIZE, sizeof(out) - FRAME_HEADER_SIZE);
    assert_true(n > 0);
    frame_put_header(out, (size_t)n);
    put(c->fd, out, FRAME_HEADER_SIZE + (size_t)n);
}

static void take_hello(struct fake_server *s, struct fake_conn *c, const uint8_t *body, size_t len)
{
    assert_true(body[0] == HELLO_CONTROL || body[0] == HELLO_OBSERVATION);
    if (body[0] == HELLO_CONTROL)
        greet(s, c, body + 1, len - 1);
    else
        answer_observation(s, c, body + 1, len - 1);
}

static void take_message(struct fake_conn *c, const uint8_t *body, size_t len)
{
    uint8_t plain[FRAME_BODY_MAX];
    struct msg *m = malloc(sizeof(*m));
    int n = noise_open(&c->receive, body, len, plain);

    assert_true(n > 0);
    assert_non_null(m);
    assert_int_equal(msg_decode(plain, (size_t)n, m), 0);
    assert_true(c->inbox_count < FAKE_INBOX_MAX);
    c->inbox[c->inbox_count++] = m;
}

static void take_frames(struct fake_server *s, struct fake_conn *c)
{
    const uint8_t *body;
    size_t len;
    int n;

    while (c->fd >= 0 && (n = frame_parse(c->in, c->in_len, FRAME_BODY_MAX, &body, &len)) != 0) {
        assert_true(n > 0);
        if (c->open)
            take_message(c, body, len);
        else
            take_hello(s, c, body, len);
        c->in_len -= (size_t)n;
        memmove(c->in, c->in + n, c->in_len);
    }
}

static void read_conn(struct fake_server *s, struct fake_conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || s->mood == FAKE_CLOSES) {
        fake_close(c);
        return;
    }
    c->in_len += (size_t)n;
    if (s->mood == FAKE_NORMAL || s->mood == FAKE_FORGES)
        take_frames(s, c);
}

static void accept_all(struct fake_server *s)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    int fd;

    while ((fd = accept4(s->listener, (struct sockaddr *)&sa, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct fake_conn *c = s->conns;
        while (c->fd >= 0)
            assert_true(++c < s->conns + FAKE_CONNS_MAX);
        c->fd = fd;
        (void)endpoint_from_sockaddr((struct sockaddr *)&sa, &c->remote);
        s->accepted++;
        if (s->mood == FAKE_BANNER)
            put(fd, (const uint8_t *)"SSH-2.0-OpenSSH_9.2\r\n", 21);
        len = sizeof(sa);
    }
}

/* ---- running ---- */

void fake_run(struct fake_server *s)
{
    struct pollfd fds[FAKE_CONNS_MAX + FAKE_CONTEXTS_MAX + 1];
    nfds_t n = 0;

    for (int i = 0; i < FAKE_CONTEXTS_MAX; i++) {
        if (s->contexts[i])
            fds[n++] = (struct pollfd){.fd = tryst_fd(s->contexts[i]), .events = POLLIN};
    }
    fds[n++] = (struct pollfd){.fd = s->listener, .events = POLLIN};
    for (int i = 0; i < FAKE_CONNS_MAX; i++) {
        if (s->conns[i].fd >= 0)
            fds[n++] = (struct pollfd){.fd = s->conns[i].fd, .events = POLLIN};
    }
    (void)poll(fds, n, 1);
    for (int i = 0; i < FAKE_CONTEXTS_MAX; i++) {
        if (s->contexts[i])
            (void)tryst_process(s->contexts[i]);
    }
    accept_all(s);
    for (int i = 0; i < FAKE_CONNS_MAX; i++) {
        if (s->conns[i].fd >= 0)
            read_conn(s, &s->conns[i]);
    }
}

void fake_run_ms(struct fake_server *s, int ms)
{
    int64_t end = now_ms() + ms;

    while (now_ms() < end)
        fake_run(s);
}

struct fake_conn *fake_conn_of(struct fake_server *s, const struct tryst_context *ctx)
{
    uint8_t key[KEY_SIZE];
    struct fake_conn *found = NULL;

    assert_int_equal(tryst_own_key(ctx, key), 0);
    for (int i = 0; i < FAKE_CONNS_MAX; i++) {
        struct fake_conn *c = &s->conns[i];
        if (c->fd >= 0 && c->open && key_equal(c->peer, key))
            found = c;
    }
    return found;
}

void fake_send(struct fake_conn *c, const struct msg *m)
{
    uint8_t out[FRAME_HEADER_SIZE + FRAME_BODY_MAX];
    uint8_t plain[FRAME_PLAIN_MAX];
    int len = msg_encode(m, plain, sizeof(plain));

    assert_true(len > 0);
    len = noise_seal(&c->send, plain, (size_t)len, out + FRAME_HEADER_SIZE);
    assert_true(len > 0);
    frame_put_header(out, (size_t)len);
    put(c->fd, out, FRAME_HEADER_SIZE + (size_t)len);
}

/* Takes the oldest message off; false if there is none. */
static bool shift(struct fake_conn *c, struct msg *m)
{
    if (!c || c->inbox_count == 0)
        return false;
    *m = *c->inbox[0];
    free(c->inbox[0]);
    memmove(c->inbox, c->inbox + 1, --c->inbox_count * sizeof(struct msg *));
    return true;
}

bool fake_has(struct fake_server *s, const struct tryst_context *ctx, unsigned type)
{
    const struct fake_conn *c = fake_conn_of(s, ctx);

    for (unsigned i = 0; c && i < c->inbox_count; i++) {
        if (c->inbox[i]->type == type)
            return true;
    }
    return false;
}

struct msg fake_expect(struct fake_server *s, const struct tryst_context *ctx, unsigned type)
{
    int64_t end = now_ms() + PATIENCE_MS;
    struct msg m;

    do {
        while (shift(fake_conn_of(s, ctx), &m)) {
            if (m.type == type)
                return m;
        }
        fake_run(s);
    } while (now_ms() < end);
    fail_msg("no %s came", msg_name(type));
    return m;
}

struct tryst_event *fake_event(struct fake_server *s, struct tryst_context *ctx, int type)
{
    int64_t end = now_ms() + PATIENCE_MS;

    do {
        struct tryst_event *ev = tryst_next_event(ctx);
        if (ev && type && (int)tryst_event_type(ev) != type)
            fail_msg("event %s (%s), not %s", tryst_event_type_name(tryst_event_type(ev)),
                     tryst_reason_name(tryst_event_reason(ev)),
                     tryst_event_type_name((enum tryst_event_type)type));
        if (ev)
            return ev;
        fake_run(s);
    } while (now_ms() < end);
    fail_msg("no %s event came", tryst_event_type_name((enum tryst_event_type)type));
    return NULL;
}

int fake_event_reason(struct fake_server *s, struct tryst_context *ctx, int type)
{
    struct tryst_event *ev = fake_event(s, ctx, type);
    int reason = tryst_event_reason(ev);

    tryst_event_free(ev);
    return reason;
}

void fake_register(struct fake_server *s, struct tryst_context *ctx)
{
    struct msg m;

    assert_int_equal(tryst_start(ctx), 0);
    m = fake_expect(s, ctx, MSG_REGISTER);
    assert_int_equal(m.register_.version, MSG_VERSION);
    memset(&m, 0, sizeof(m));
    m.type = MSG_REGISTERED;
    m.registered_.version = MSG_VERSION;
    m.registered_.observed = fake_conn_of(s, ctx)->remote;
    fake_send(fake_conn_of(s, ctx), &m);
    assert_int_equal(fake_event_reason(s, ctx, TRYST_EVENT_REGISTERED), 0);
}
