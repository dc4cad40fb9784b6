/* SPDX-License-Identifier: ISC */
/*
 * The whole daemon but main, in this process, against peers that say exactly what a test wants:
 * what is answered, what is refused, and what one peer can do to another. Loopback only. Nothing
 * here waits for time: the daemon's loop and the peers take turns until what is expected has come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/noise.h"
#include "proto/reason.h"
#include "server/dispatch.h"
#include "server/log.h"

#define PATIENCE_S 30

struct daemon {
    char dir[64];
    struct conf conf;
    struct loop loop;
    struct net net;
    struct dispatch d;
    struct key_pair key;
    uint16_t port[3];
};

struct peer_script {
    struct daemon *daemon;
    struct key_pair key;
    int fd;
    uint8_t from; /* 127.0.0.x is where it comes from; 0: 127.0.0.1 */
    struct noise_cipher send, receive;
    uint8_t buffer[65536];
    size_t len;
    bool ended; /* the daemon has closed the connection */
};

/* ---- the daemon ---- */

static void free_ports(uint16_t port[3])
{
    int fd[3];
    for (unsigned i = 0; i < 3; i++) {
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(sa);
        fd[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(fd[i], (struct sockaddr *)&sa, sizeof(sa)), 0);
        getsockname(fd[i], (struct sockaddr *)&sa, &len);
        port[i] = ntohs(sa.sin_port);
    }
    for (unsigned i = 0; i < 3; i++)
        close(fd[i]);
}

static void set(struct daemon *t, const char *name, const char *value)
{
    char err[256];
    if (conf_set(&t->conf, name, value, err, sizeof(err)) != 0)
        fail_msg("%s", err);
}

static void start(struct daemon *t, const char *registration)
{
    struct rng rng = rng_system();
    char path[128], text[16], err[256];
    memset(t, 0, sizeof(*t));
    snprintf(t->dir, sizeof(t->dir), "test_dispatch.XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    key_generate(&rng, &t->key);
    conf_init_defaults(&t->conf);
    free_ports(t->port);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), "%u", t->port[i]);
        set(t, "port", text);
    }
    snprintf(path, sizeof(path), "%s/admin", t->dir);
    set(t, "admin-socket", path);
    set(t, "listen", "127.0.0.1");
    set(t, "registration", registration);
    set(t, "handshake-threads", "1");
    snprintf(path, sizeof(path), "%s/db", t->dir);
    assert_int_equal(loop_open(&t->loop), 0);
    struct dispatch_options options = {
        .loop = &t->loop, .conf = &t->conf, .keys = &t->key, .key_count = 1, .store_path = path};
    if (dispatch_open(&t->d, &t->net, &options, err, sizeof(err)) != 0)
        fail_msg("%s", err);
}

static void stop(struct daemon *t)
{
    char path[sizeof(t->dir) + 1 + NAME_MAX + 1];
    dispatch_close(&t->d);
    loop_close(&t->loop);
    struct dirent **found = NULL;
    /* cppcheck-suppress nullPointer ; no filter and no order */
    int count = scandir(t->dir, &found, NULL, NULL);
    assert_true(count >= 0);
    while (count-- > 0) {
        snprintf(path, sizeof(path), "%s/%s", t->dir, found[count]->d_name);
        unlink(path); /* "." and ".." stay */
        free(found[count]);
    }
    free(found);
    assert_int_equal(rmdir(t->dir), 0);
}

static void turn(struct daemon *t)
{
    ev_run(t->loop.ev, EVRUN_NOWAIT);
    poll(NULL, 0, 1);
}

/* ---- peers ---- */

static int dial_from(uint8_t from, uint16_t port)
{
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in own = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(0x7f000000u | (from ? from : 1))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof(own)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static int dial(struct daemon *t, uint16_t port)
{
    (void)t;
    return dial_from(1, port);
}

static void write_frame(int fd, const uint8_t *body, size_t len)
{
    uint8_t header[FRAME_HEADER_SIZE];
    frame_put_header(header, len);
    assert_int_equal(send(fd, header, sizeof(header), MSG_NOSIGNAL), sizeof(header));
    assert_int_equal(send(fd, body, len, MSG_NOSIGNAL), len);
}

/* One frame's body, moved out of the buffer; 0: the connection has ended. */
static size_t read_frame(struct peer_script *p, uint8_t *body)
{
    const tick until = loop_clock() + PATIENCE_S * TICK_S;
    while (loop_clock() < until) {
        const uint8_t *at;
        size_t len;
        int used = frame_parse(p->buffer, p->len, FRAME_BODY_MAX, &at, &len);
        assert_true(used >= 0);
        if (used > 0) {
            memcpy(body, at, len);
            p->len -= (size_t)used;
            memmove(p->buffer, p->buffer + used, p->len);
            return len;
        }
        turn(p->daemon);
        ssize_t n = recv(p->fd, p->buffer + p->len, sizeof(p->buffer) - p->len, 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET)) {
            p->ended = true;
            return 0;
        }
        p->len += n > 0 ? (size_t)n : 0;
    }
    fail_msg("nothing came in %d s", PATIENCE_S);
    return 0;
}

static void say(struct peer_script *p, const struct msg *m)
{
    uint8_t body[FRAME_BODY_MAX];
    int len = msg_encode(m, body, FRAME_PLAIN_MAX);
    assert_true(len > 0);
    len = noise_seal(&p->send, body, (size_t)len, body);
    write_frame(p->fd, body, (size_t)len);
}

/* The next message, whatever it is; type 0: the connection has ended. */
static void hear_any(struct peer_script *p, struct msg *m)
{
    uint8_t body[FRAME_BODY_MAX];
    size_t sealed = read_frame(p, body);
    memset(m, 0, sizeof(*m));
    if (!sealed)
        return;
    int len = noise_open(&p->receive, body, sealed, body);
    assert_true(len > 0);
    assert_int_equal(msg_decode(body, (size_t)len, m), 0);
}

static void answer_sync(struct peer_script *p, const struct msg *m)
{
    struct msg answer = {.type = MSG_SYNC};
    answer.sync_ = m->sync_;
    answer.sync_.receive = answer.sync_.transmit = loop_clock();
    say(p, &answer);
}

/* The next message of this type; clock exchange is answered meanwhile, surveys are put off,
 * anything else is a failure. */
static void hear(struct peer_script *p, enum msg_type type, struct msg *m)
{
    for (;;) {
        hear_any(p, m);
        if (m->type == type)
            return;
        if (m->type == MSG_SYNC)
            answer_sync(p, m);
        else if (m->type != MSG_SURVEY)
            fail_msg("%s came, not %s", m->type ? msg_name(m->type) : "the end", msg_name(type));
    }
}

static void hear_end(struct peer_script *p)
{
    struct msg m;
    do
        hear_any(p, &m);
    while (m.type);
}

/* A channel after the handshake, not registered yet. */
static void open_channel(struct daemon *t, struct peer_script *p)
{
    struct rng rng = rng_system();
    struct noise_handshake hs;
    uint8_t body[FRAME_BODY_MAX], none[16];
    p->daemon = t;
    p->len = 0;
    p->ended = false;
    p->fd = dial_from(p->from, t->port[0]);
    noise_start(&hs, NOISE_IK, true, MSG_PROLOGUE, sizeof(MSG_PROLOGUE) - 1, &p->key,
                t->key.public);
    body[0] = HELLO_CONTROL;
    int len = noise_write(&hs, &rng, NULL, 0, body + 1, sizeof(body) - 1);
    write_frame(p->fd, body, (size_t)len + 1);
    size_t answer = read_frame(p, body);
    assert_int_equal(noise_read(&hs, body, answer, none, sizeof(none)), 0);
    assert_int_equal(noise_split(&hs, &p->send, &p->receive, NULL), 0);
}

static void say_register(struct peer_script *p, const char *name, const char *invite,
                         uint16_t flags)
{
    struct msg m = {.type = MSG_REGISTER};
    struct sockaddr_in sa;
    socklen_t len = sizeof(sa);
    m.register_.version = MSG_VERSION;
    m.register_.flags = flags;
    snprintf(m.register_.name, sizeof(m.register_.name), "%s", name);
    snprintf(m.register_.invite, sizeof(m.register_.invite), "%s", invite);
    getsockname(p->fd, (struct sockaddr *)&sa, &len);
    m.register_.locals.count = 1;
    endpoint_from_sockaddr((struct sockaddr *)&sa, &m.register_.locals.at[0]);
    say(p, &m);
}

static struct peer_script *peer_new(void)
{
    struct rng rng = rng_system();
    struct peer_script *p = calloc(1, sizeof(*p));
    key_generate(&rng, &p->key);
    return p;
}

static void peer_end(struct peer_script *p)
{
    close(p->fd);
    free(p);
}

/* A registered peer. */
static struct peer_script *join_from(struct daemon *t, uint8_t from, const char *name,
                                     uint16_t flags)
{
    struct peer_script *p = peer_new();
    struct msg m;
    p->from = from;
    open_channel(t, p);
    say_register(p, name, "", flags);
    hear(p, MSG_REGISTERED, &m);
    assert_string_equal(m.registered_.name, name);
    return p;
}

static struct peer_script *join(struct daemon *t, const char *name, uint16_t flags)
{
    return join_from(t, 1, name, flags);
}

static void expect_bye(struct peer_script *p, enum reason reason)
{
    struct msg m;
    hear(p, MSG_BYE, &m);
    assert_int_equal(m.bye_.reason, reason);
    hear_end(p);
}

static struct endpoint bound(uint16_t port)
{
    struct endpoint e;
    endpoint_parse("127.0.0.1", port, &e);
    return e;
}

static void say_check_of(struct peer_script *p, const char *peer, uint32_t request)
{
    struct msg m = {.type = MSG_CONNECT};
    m.connect_.request = request;
    snprintf(m.connect_.peer, sizeof(m.connect_.peer), "%s", peer);
    m.connect_.flags = SESSION_CHECK;
    m.connect_.budget = 64;
    say(p, &m);
}

static void say_connect(struct peer_script *p, const char *peer, uint32_t request,
                        const uint8_t *pinned)
{
    struct msg m = {.type = MSG_CONNECT};
    m.connect_.request = request;
    snprintf(m.connect_.peer, sizeof(m.connect_.peer), "%s", peer);
    if (pinned)
        memcpy(m.connect_.pinned, pinned, KEY_SIZE);
    m.connect_.budget = 64;
    m.connect_.locals.count = 1;
    m.connect_.locals.at[0] = bound(40001);
    say(p, &m);
}

static void expect_outcome(struct peer_script *p, uint32_t request, enum reason reason)
{
    struct msg m;
    hear(p, MSG_OUTCOME, &m);
    assert_int_equal(m.outcome_.request, request);
    assert_string_equal(reason_name(m.outcome_.reason), reason_name(reason));
}

/* ---- registration ---- */

static void test_names_belong_to_keys(void **state)
{
    struct daemon *t = *state;
    struct peer_script *a = join(t, "home", 0), *b = peer_new(), *again = peer_new();
    open_channel(t, b);
    say_register(b, "Home", "", 0); /* names know no case */
    expect_bye(b, REASON_NAME_TAKEN);
    again->key = a->key; /* the same key, on a second channel */
    struct msg m;
    open_channel(t, again);
    say_register(again, "home", "", 0);
    hear(again, MSG_REGISTERED, &m);
    assert_true(endpoint_is_loopback(&m.registered_.observed));
    peer_end(a);
    peer_end(b);
    peer_end(again);
}

static void test_refused_registrations(void **state)
{
    struct daemon *t = *state;
    struct peer_script *p = peer_new();
    struct msg m = {.type = MSG_REGISTER};
    open_channel(t, p);
    m.register_.version = MSG_VERSION + 1;
    say(p, &m);
    expect_bye(p, REASON_VERSION);
    close(p->fd);
    open_channel(t, p);
    say_register(p, "no name!", "", 0);
    expect_bye(p, REASON_PROTOCOL);
    peer_end(p);
}

static void test_newest_listener_counts(void **state)
{
    struct daemon *t = *state;
    struct peer_script *first = join(t, "twice", REGISTER_LISTEN), *second = peer_new();
    struct msg m;
    second->key = first->key;
    open_channel(t, second);
    say_register(second, "twice", "", REGISTER_LISTEN);
    hear(second, MSG_REGISTERED, &m);
    expect_bye(first, REASON_REPLACED);
    /* Its going must not take the new one with it. */
    struct peer_script *c = join(t, "caller", 0);
    say_connect(c, "twice", 1, NULL);
    hear(second, MSG_INVITE, &m);
    peer_end(first);
    peer_end(second);
    peer_end(c);
}

static void test_invites(void **state)
{
    struct daemon t;
    struct msg m;
    char url[512], err[128];
    (void)state;
    start(&t, "invite");
    struct peer_script *a = peer_new(), *b = peer_new();
    open_channel(&t, a);
    say_register(a, "", "", 0);
    expect_bye(a, REASON_NOT_REGISTERED);
    close(a->fd);
    open_channel(&t, a);
    say_register(a, "", "never-made", 0);
    expect_bye(a, REASON_INVITE);
    close(a->fd);
    assert_int_equal(dispatch_invite(&t.d, "office", 3600, url, sizeof(url), err, sizeof(err)), 0);
    const char *token = strchr(url, '#') + 1;
    open_channel(&t, a);
    say_register(a, "something-else", token, 0); /* the operator's name goes before the peer's */
    hear(a, MSG_REGISTERED, &m);
    assert_string_equal(m.registered_.name, "office");
    open_channel(&t, b);
    say_register(b, "", token, 0); /* one time is one time */
    expect_bye(b, REASON_INVITE);
    close(a->fd);
    open_channel(&t, a); /* and once is enough */
    say_register(a, "", "", 0);
    hear(a, MSG_REGISTERED, &m);
    peer_end(a);
    peer_end(b);
    stop(&t);
}

/* ---- bad manners ---- */

static void test_unknown_and_misplaced_messages(void **state)
{
    struct daemon *t = *state;
    struct peer_script *p = join(t, "odd", 0);
    struct msg m = {.type = MSG_REGISTERED};
    say(p, &m); /* a server's word, not a peer's */
    hear(p, MSG_ERROR, &m);
    m = (struct msg){.type = MSG_ERROR};
    say(p, &m); /* must not be answered, or it would never end */
    uint8_t body[64] = {200};
    int len = noise_seal(&p->send, body, 3, body);
    write_frame(p->fd, body, (size_t)len);
    hear(p, MSG_ERROR, &m);
    assert_non_null(strstr(m.error_.text, "200"));
    m = (struct msg){.type = MSG_REGISTER}; /* twice */
    say(p, &m);
    hear(p, MSG_ERROR, &m);
    peer_end(p);
}

static void test_forged_frames(void **state)
{
    struct daemon *t = *state;
    struct peer_script *p = join(t, "forger", 0);
    uint8_t body[64] = {0};
    uint64_t before = t->net.stats.closed[NET_CLOSED_FORGED];
    write_frame(p->fd, body, sizeof(body));
    hear_end(p);
    assert_int_equal(t->net.stats.closed[NET_CLOSED_FORGED], before + 1);
    peer_end(p);
}

/* Every connection that was accepted is counted under one reason when it ends. */
static void test_closings_add_up(void **state)
{
    struct daemon *t = *state;
    static const char *const hellos[] = {
        "", "\0", "GET / HTTP/1.1\r\n\r\n", "\0\1\1", "\0\1\2", "\0\5\1abcd", "\xff\xff"};
    static const size_t sizes[] = {0, 1, 18, 3, 3, 7, 2};
    for (unsigned port = 0; port < 3; port++)
        for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            int fd = dial(t, t->port[port]);
            assert_true(send(fd, hellos[i], sizes[i], MSG_NOSIGNAL) >= 0);
            turn(t);
            close(fd);
        }
    const tick until = loop_clock() + PATIENCE_S * TICK_S;
    while (t->net.conns.used && loop_clock() < until)
        turn(t);
    uint64_t closed = 0;
    for (unsigned i = 0; i < NET_CLOSED_COUNT; i++)
        closed += t->net.stats.closed[i];
    assert_int_equal(closed, t->net.stats.accepted);
}

/* ---- observations ---- */

static void survey_of(struct peer_script *p, struct msg *survey)
{
    do {
        hear_any(p, survey);
        if (survey->type == MSG_SYNC)
            answer_sync(p, survey);
    } while (survey->type != MSG_SURVEY);
}

/* Sends OBSERVE for one step; returns whether it was answered, in *answer. The socket is closed. */
static bool observe_on(struct daemon *t, int fd, const struct msg_survey *survey, uint8_t step,
                       const uint8_t *secret, struct msg *answer)
{
    struct peer_script raw = {.daemon = t, .fd = fd};
    struct msg m = {.type = MSG_OBSERVE};
    uint8_t body[FRAME_BODY_MAX];
    struct sockaddr_in sa;
    socklen_t size = sizeof(sa);
    getsockname(fd, (struct sockaddr *)&sa, &size);
    endpoint_from_sockaddr((struct sockaddr *)&sa, &m.observe_.local);
    memcpy(m.observe_.token, survey->token, MSG_ID_SIZE);
    m.observe_.step = step;
    msg_tag(&m, secret);
    body[0] = HELLO_OBSERVATION;
    int len = msg_encode(&m, body + 1, sizeof(body) - 1);
    write_frame(raw.fd, body, (size_t)len + 1);
    size_t got = read_frame(&raw, body);
    close(raw.fd);
    return got && msg_decode(body, got, answer) == 0 && answer->type == MSG_OBSERVED;
}

static bool observe(struct daemon *t, const struct msg_survey *survey, uint8_t step,
                    const uint8_t *secret, uint16_t port, struct msg *answer)
{
    return observe_on(t, dial_from(1, port), survey, step, secret, answer);
}

static void test_observations_are_authenticated(void **state)
{
    struct daemon *t = *state;
    struct peer_script *p = peer_new();
    struct msg survey, answer;
    uint8_t wrong[MSG_SECRET_SIZE] = {1};
    nat_find(&t->d.table, &(struct endpoint){.family = 4, .address = {127, 0, 0, 1}}, true)
        ->profile.learnt = TICK_NEVER;
    open_channel(t, p);
    say_register(p, "", "", 0);
    survey_of(p, &survey);
    const struct msg_survey *s = &survey.survey_;
    assert_true(s->steps.count >= 3);
    uint16_t port = s->steps.at[0].server.port;
    assert_false(observe(t, s, 0, wrong, port, &answer));                  /* a forged tag */
    assert_false(observe(t, s, s->steps.count, s->secret, port, &answer)); /* no such step */
    uint16_t elsewhere = port == t->port[0] ? t->port[1] : t->port[0];
    assert_false(observe(t, s, 0, s->secret, elsewhere, &answer)); /* another step's port */
    assert_true(observe(t, s, 0, s->secret, port, &answer));
    assert_int_equal(msg_tag_verify(&answer, s->secret), 0);
    assert_true(endpoint_is_loopback(&answer.observed_.observed));
    assert_false(observe(t, s, 0, s->secret, port, &answer)); /* once */
    peer_end(p);
}

/* ---- connecting back ---- */

static int bound_socket(const char *address, uint16_t *port)
{
    const int on = 1;
    struct endpoint e;
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    assert_int_equal(endpoint_parse(address, *port ? *port : 1, &e), 0);
    e.port = *port;
    socklen_t size = endpoint_to_sockaddr(&e, &sa);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, size), 0);
    getsockname(fd, (struct sockaddr *)&sa, &len);
    endpoint_from_sockaddr((struct sockaddr *)&sa, &e);
    *port = e.port;
    return fd;
}

/* A listener at a fresh port of this address, and a connection from there to the step's place. */
static int listen_and_dial(const char *address, const struct step *step, int *listener)
{
    struct endpoint to = bound(step->server.port);
    struct sockaddr_storage sa;
    uint16_t port = 0;
    *listener = bound_socket(address, &port);
    assert_int_equal(listen(*listener, 4), 0);
    fcntl(*listener, F_SETFL, O_NONBLOCK);
    int fd = bound_socket(address, &port);
    socklen_t len = endpoint_to_sockaddr(&to, &sa);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static uint8_t listening_step(const struct msg_survey *s)
{
    for (uint8_t i = 0; i < s->steps.count; i++)
        if (s->steps.at[i].flags & STEP_LISTEN)
            return i;
    fail_msg("no step for the filter's test");
    return 0;
}

static struct nat *loopback_nat(struct daemon *t)
{
    struct endpoint here = bound(1);
    struct nat *n = nat_find(&t->d.table, &here, true);
    assert_non_null(n);
    return n;
}

static int accept_in_time(struct daemon *t, int listener)
{
    const tick until = loop_clock() + PATIENCE_S * TICK_S;
    int fd = -1;
    while (fd < 0 && loop_clock() < until) {
        turn(t);
        fd = accept(listener, NULL, NULL);
    }
    return fd;
}

static struct peer_script *surveyed_peer(struct daemon *t, struct msg *survey)
{
    struct peer_script *p = peer_new();
    open_channel(t, p);
    say_register(p, "", "", 0);
    survey_of(p, survey);
    return p;
}

static void test_connects_back(void **state)
{
    struct daemon *t = *state;
    struct msg survey, answer;
    struct peer_script *p = surveyed_peer(t, &survey);
    const struct msg_survey *s = &survey.survey_;
    uint8_t step = listening_step(s), bytes[16];
    int listener, fd = listen_and_dial("127.0.0.1", &s->steps.at[step], &listener);
    assert_true(observe_on(t, fd, s, step, s->secret, &answer));
    fd = accept_in_time(t, listener);
    assert_true(fd >= 0);
    const tick until = loop_clock() + PATIENCE_S * TICK_S;
    while (!loopback_nat(t)->profile.nat.filtering && loop_clock() < until)
        turn(t);
    /* With one address of the server's that is as much as it can tell. */
    assert_int_equal(loopback_nat(t)->profile.nat.filtering, NAT_ADF);
    assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), 0); /* nothing is said */
    close(fd);
    close(listener);
    peer_end(p);
}

/* What is not genuine, or comes from elsewhere, makes the server dial nobody. */
static void test_is_no_reflector(void **state)
{
    struct daemon *t = *state;
    struct msg survey, answer;
    struct peer_script *p = surveyed_peer(t, &survey);
    const struct msg_survey *s = &survey.survey_;
    uint8_t step = listening_step(s);
    uint8_t wrong[MSG_SECRET_SIZE] = {1};
    int listener, fd = listen_and_dial("127.0.0.1", &s->steps.at[step], &listener);
    uint32_t before = t->d.probe.probes.used;
    assert_false(observe_on(t, fd, s, step, wrong, &answer));
    assert_int_equal(loopback_nat(t)->filter_tested, 0);
    close(listener);
    fd = listen_and_dial("127.0.0.2", &s->steps.at[step], &listener);
    assert_true(observe_on(t, fd, s, step, s->secret, &answer));
    assert_int_equal(loopback_nat(t)->filter_tested, 0);
    assert_true(t->d.probe.probes.used <= before);
    close(listener);
    /* The word on a SYN that nobody sent. */
    struct msg m = {.type = MSG_SURVEYED};
    m.surveyed_.survey = s->survey;
    m.surveyed_.crossing = CROSSING_KEPT_OUT;
    say(p, &m);
    m.surveyed_.survey++;
    say(p, &m);
    hear(p, MSG_REGISTERED, &m); /* said when the store had it; the survey did not wait for that */
    say_connect(p, "nobody", 1, NULL);
    expect_outcome(p, 1, REASON_PEER_UNKNOWN);
    assert_int_equal(loopback_nat(t)->profile.crossings_refused, 0);
    assert_int_equal(loopback_nat(t)->profile.nat.features, 0);
    peer_end(p);
}

/* Who has gone does not listen: its silence is no word on the filter. */
static void test_gone_before_the_answer(void **state)
{
    struct daemon *t = *state;
    struct msg survey, answer;
    struct peer_script *p = surveyed_peer(t, &survey);
    const struct msg_survey *s = &survey.survey_;
    uint8_t step = listening_step(s);
    int listener, fd = listen_and_dial("127.0.0.1", &s->steps.at[step], &listener);
    close(listener);
    peer_end(p);
    while (t->d.table.channels.used)
        turn(t);
    /* The run ended with its channel or is about to: either way nothing is learnt. */
    observe_on(t, fd, s, step, s->secret, &answer);
    for (const tick until = loop_clock() + TICK_S;
         loop_clock() < until && dispatch_filter_testing(&t->d, loopback_nat(t));)
        turn(t);
    assert_int_equal(loopback_nat(t)->profile.nat.filtering, NAT_FILTERING_UNKNOWN);
}

/* Blocks are each subscriber's own: that the NAT gives blocks does not tell where this one lies. */
static void test_a_block_is_asked_for(void **state)
{
    struct daemon *t = *state;
    struct peer_script *p = peer_new();
    struct msg survey;
    struct nat *n =
        nat_find(&t->d.table, &(struct endpoint){.family = 4, .address = {127, 0, 0, 1}}, true);
    n->profile.nat = (struct nat_summary){.mapping = NAT_APDM,
                                          .allocation = NAT_BLOCK,
                                          .confidence = 98,
                                          .block_low = 20480,
                                          .block_high = 20991};
    n->profile.learnt = t->loop.now;
    profile_learn_filtering(&n->profile, NAT_APDF, t->loop.now);
    assert_true(profile_fresh(&n->profile, t->loop.now));
    open_channel(t, p);
    say_register(p, "", "", 0);
    survey_of(p, &survey);
    assert_int_equal(survey.survey_.steps.count, PORT_BLOCK_LOOKS);
    peer_end(p);
}

/* ---- sessions ---- */

static void test_requests_that_come_to_nothing(void **state)
{
    struct daemon *t = *state;
    struct peer_script *a = join(t, "asker", 0), *b = join(t, "deaf", 0);
    uint8_t other[KEY_SIZE] = {9};
    char own[KEY_TEXT_SIZE];
    say_connect(a, "nobody", 1, NULL);
    expect_outcome(a, 1, REASON_PEER_UNKNOWN);
    say_connect(a, "deaf", 2, NULL); /* it is here, but does not listen */
    expect_outcome(a, 2, REASON_PEER_OFFLINE);
    say_connect(a, key_format(a->key.public, own), 3, NULL);
    expect_outcome(a, 3, REASON_SELF);
    say_connect(a, "deaf", 4, other);
    expect_outcome(a, 4, REASON_PEER_KEY);
    peer_end(a);
    peer_end(b);
}

static void test_declined(void **state)
{
    struct daemon *t = *state;
    struct peer_script *a = join(t, "asking", 0), *b = join(t, "shy", REGISTER_LISTEN);
    struct msg m;
    say_connect(a, "SHY", 7, NULL);
    hear(b, MSG_INVITE, &m);
    assert_memory_equal(m.invite_.peer, a->key.public, KEY_SIZE);
    assert_string_equal(m.invite_.name, "asking");
    struct msg no = {.type = MSG_REJECT};
    memcpy(no.reject_.session, m.invite_.session, MSG_ID_SIZE);
    no.reject_.reason = REASON_OK; /* a lie changes nothing */
    snprintf(no.reject_.text, sizeof(no.reject_.text), "not today");
    say(b, &no);
    hear(a, MSG_OUTCOME, &m);
    assert_int_equal(m.outcome_.reason, REASON_DECLINED);
    assert_string_equal(m.outcome_.text, "not today");
    struct nat_summary nothing = {0};
    assert_memory_equal(&m.outcome_.remote_nat, &nothing,
                        sizeof(nothing)); /* nor is anything told of the decliner */
    peer_end(a);
    peer_end(b);
}

/* Everything that a peer outside the session can say about it is as if it had not been said. */
static void say_as_stranger(struct peer_script *c, const uint8_t id[MSG_ID_SIZE])
{
    struct msg m = {.type = MSG_ACCEPT};
    memcpy(m.accept_.session, id, MSG_ID_SIZE);
    m.accept_.locals.count = 1;
    m.accept_.locals.at[0] = bound(6666);
    say(c, &m);
    m = (struct msg){.type = MSG_REJECT};
    memcpy(m.reject_.session, id, MSG_ID_SIZE);
    say(c, &m);
    m = (struct msg){.type = MSG_RESULT};
    memcpy(m.result_.session, id, MSG_ID_SIZE);
    m.result_.round = 1;
    say(c, &m);
    m = (struct msg){.type = MSG_CANCEL};
    memcpy(m.cancel_.session, id, MSG_ID_SIZE);
    say(c, &m);
    /* An answer to something else shows that all of the above has been handled. */
    say_connect(c, "nobody", 99, NULL);
    expect_outcome(c, 99, REASON_PEER_UNKNOWN);
}

static void accept_invite(struct peer_script *b, const struct msg *invite)
{
    struct msg m = {.type = MSG_ACCEPT};
    memcpy(m.accept_.session, invite->invite_.session, MSG_ID_SIZE);
    m.accept_.budget = 64;
    m.accept_.locals.count = 1;
    m.accept_.locals.at[0] = bound(40002);
    say(b, &m);
}

/* SYNs go where the server saw the other one, and nowhere else, whatever it said its address was.
 */
static void check_punch(const struct peer_script *other, const struct msg *m, uint16_t other_port)
{
    const struct msg_punch *p = &m->punch_;
    assert_memory_equal(p->peer, other->key.public, KEY_SIZE);
    assert_true(p->volleys.count >= 1);
    for (unsigned i = 0; i < p->volleys.count; i++) {
        assert_true(endpoint_is_loopback(&p->volleys.at[i].remote));
        assert_int_equal(p->volleys.at[i].remote.port, other_port);
    }
    assert_true(p->chance > 0);
}

static void say_result(struct peer_script *p, const struct msg *punch, enum reason reason,
                       uint16_t remote)
{
    struct msg m = {.type = MSG_RESULT};
    memcpy(m.result_.session, punch->punch_.session, MSG_ID_SIZE);
    m.result_.round = punch->punch_.round;
    m.result_.reason = (uint8_t)reason;
    m.result_.syns = 1;
    m.result_.remote = bound(remote);
    say(p, &m);
}

static void learn_loopback(struct daemon *t)
{
    struct endpoint e = bound(1);
    struct nat *n = nat_find(&t->d.table, &e, true);
    n->profile.nat.mapping = NAT_MAPPING_NONE;
    n->profile.nat.allocation = NAT_PRESERVE;
    n->profile.nat.confidence = 98;
    n->profile.nat.samples = 8;
    n->profile.learnt = t->loop.now;
    profile_learn_filtering(&n->profile, NAT_APDF, t->loop.now);
    profile_learn_refusal(&n->profile, NAT_RST, t->loop.now);
    /* Or on a busy machine, where loopback's round trip looks like a network's, it would be tried.
     */
    profile_learn_crossing(&n->profile, 0, false, t->loop.now);
}

static void test_session_to_the_end(void **state)
{
    struct daemon *t = *state;
    struct msg invite, to_a, to_b;
    learn_loopback(t);
    struct peer_script *a = join(t, "a", 0), *b = join(t, "b", REGISTER_LISTEN),
                       *c = join(t, "c", REGISTER_LISTEN);
    uint64_t ok = t->d.stats.sessions_ok;

    say_connect(a, "b", 5, NULL);
    hear(b, MSG_INVITE, &invite);
    say_as_stranger(c, invite.invite_.session);
    accept_invite(b, &invite);
    /* Both channels' clock exchanges go on while the plan is made. */
    hear(a, MSG_PUNCH, &to_a);
    hear(b, MSG_PUNCH, &to_b);
    assert_int_equal(to_a.punch_.request, 5);
    assert_int_equal(to_a.punch_.role, ROLE_REQUESTER);
    assert_int_equal(to_b.punch_.role, ROLE_TARGET);
    check_punch(b, &to_a, 40002);
    check_punch(a, &to_b, 40001);
    say_as_stranger(c, invite.invite_.session);
    say_result(a, &to_a, REASON_OK, 40002);
    say_result(b, &to_b, REASON_OK, 40001);
    expect_outcome(a, 5, REASON_OK);
    expect_outcome(b, 0, REASON_OK);
    assert_int_equal(t->d.stats.sessions_ok, ok + 1);
    assert_int_equal(t->d.sessions.used, 0);
    peer_end(a);
    peer_end(b);
    peer_end(c);
}

/* ---- where SYNs may be sent ---- */

static struct endpoint address(const char *text, uint16_t port)
{
    struct endpoint e;
    assert_int_equal(endpoint_parse(text, port, &e), 0);
    return e;
}

static void say_connect_with(struct peer_script *p, const char *peer, uint32_t request,
                             const struct endpoint *also)
{
    struct msg m = {.type = MSG_CONNECT};
    m.connect_.request = request;
    snprintf(m.connect_.peer, sizeof(m.connect_.peer), "%s", peer);
    m.connect_.budget = 64;
    m.connect_.locals.count = 2;
    m.connect_.locals.at[0] = bound(40001);
    m.connect_.locals.at[1] = *also;
    say(p, &m);
}

static void accept_with(struct peer_script *b, const struct msg *invite,
                        const struct endpoint *also)
{
    struct msg m = {.type = MSG_ACCEPT};
    memcpy(m.accept_.session, invite->invite_.session, MSG_ID_SIZE);
    m.accept_.budget = 64;
    m.accept_.locals.count = 2;
    m.accept_.locals.at[0] = bound(40002);
    m.accept_.locals.at[1] = *also;
    say(b, &m);
}

static void check_only_to(const struct msg *punch, const char *observed)
{
    struct endpoint e = address(observed, 1);
    for (unsigned i = 0; i < punch->punch_.volleys.count; i++)
        assert_true(endpoint_same_address(&punch->punch_.volleys.at[i].remote, &e));
}

/* One session in which both sides say that they also have this address; how many hosts each was
 * told, or -1 if they differ. */
static int hosts_told(struct peer_script *a, struct peer_script *b, const char *observed_a,
                      const char *observed_b, const char *lie)
{
    static uint32_t request = 100;
    struct endpoint also = address(lie, 4444);
    struct msg invite, to_a, to_b, cancel = {.type = MSG_CANCEL};

    say_connect_with(a, "b", ++request, &also);
    hear(b, MSG_INVITE, &invite);
    accept_with(b, &invite, &also);
    hear(a, MSG_PUNCH, &to_a);
    hear(b, MSG_PUNCH, &to_b);
    check_only_to(&to_a, observed_b);
    check_only_to(&to_b, observed_a);
    cancel.cancel_.request = request;
    memcpy(cancel.cancel_.session, to_a.punch_.session, MSG_ID_SIZE);
    say(a, &cancel);
    expect_outcome(a, request, REASON_CANCELLED);
    expect_outcome(b, 0, REASON_CANCELLED);
    for (unsigned i = 0; i < to_a.punch_.hosts.count; i++)
        assert_true(endpoint_equal(&to_a.punch_.hosts.at[i], &also));
    return to_a.punch_.hosts.count == to_b.punch_.hosts.count ? to_a.punch_.hosts.count : -1;
}

static const char *const lies[] = {"8.8.8.8",     "203.0.113.7", "255.255.255.255",
                                   "224.0.0.251", "239.1.2.3",   "0.0.0.0",
                                   "127.0.0.9",   "169.254.1.1", "100.64.0.1",
                                   "192.0.0.8",   "198.18.0.1",  "2001:4860:4860::8888",
                                   "2001:db8::7", "ff02::1",     "ff0e::1",
                                   "fe80::1",     "::1"};

/* Behind one public address: a private address is told, and nothing else that a peer makes up. */
static void test_hosts_are_private(void **state)
{
    struct daemon *t = *state;
    learn_loopback(t);
    struct peer_script *a = join(t, "a", 0), *b = join(t, "b", REGISTER_LISTEN);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
        if (hosts_told(a, b, "127.0.0.1", "127.0.0.1", lies[i]) != 0)
            fail_msg("%s was told", lies[i]);
    assert_int_equal(hosts_told(a, b, "127.0.0.1", "127.0.0.1", "192.168.1.9"), 1);
    /* Of a family in which they were never seen behind one address, not even a private one. */
    assert_int_equal(hosts_told(a, b, "127.0.0.1", "127.0.0.1", "fd00::9"), 0);
    /* Nor the server's own address. */
    t->d.servers[FAMILY_4].addresses[0] = address("192.168.1.9", 1);
    t->d.servers[FAMILY_4].address_count = 1;
    assert_int_equal(hosts_told(a, b, "127.0.0.1", "127.0.0.1", "192.168.1.9"), 0);
    peer_end(a);
    peer_end(b);
}

static void learn_address(struct daemon *t, const char *text, enum nat_mapping mapping,
                          enum nat_allocation allocation)
{
    struct endpoint e = address(text, 1);
    struct nat *n = nat_find(&t->d.table, &e, true);
    n->profile.nat.mapping = (uint8_t)mapping;
    n->profile.nat.allocation = (uint8_t)allocation;
    n->profile.nat.confidence = 98;
    n->profile.nat.samples = 8;
    n->profile.learnt = t->loop.now;
    profile_learn_filtering(&n->profile, NAT_APDF, t->loop.now);
    profile_learn_refusal(&n->profile, NAT_RST, t->loop.now);
}

/* Behind two addresses nothing of what they say matters. */
static void test_no_hosts_between_two_addresses(void **state)
{
    struct daemon *t = *state;
    learn_address(t, "127.0.0.2", NAT_MAPPING_NONE, NAT_PRESERVE);
    learn_address(t, "127.0.0.3", NAT_MAPPING_NONE, NAT_PRESERVE);
    struct peer_script *a = join_from(t, 2, "a", 0), *b = join_from(t, 3, "b", REGISTER_LISTEN);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
        if (hosts_told(a, b, "127.0.0.2", "127.0.0.3", lies[i]) != 0)
            fail_msg("%s was told", lies[i]);
    assert_int_equal(hosts_told(a, b, "127.0.0.2", "127.0.0.3", "192.168.1.9"), 0);
    peer_end(a);
    peer_end(b);
}

static void check_steps(struct daemon *t, const struct steps *steps)
{
    for (unsigned i = 0; i < steps->count; i++) {
        const struct endpoint *e = &steps->at[i].server;
        struct endpoint unsaid = {.family = e->family, .port = e->port}, own = bound(e->port);
        assert_true(endpoint_equal(e, &unsaid) || endpoint_equal(e, &own));
        assert_true(e->port == t->port[0] || e->port == t->port[1] || e->port == t->port[2]);
    }
}

/* Observations go to the server, and it connects back to where the channel comes from: an address
 * that a peer only talks of becomes no NAT to be tried out. */
static void test_registered_lies(void **state)
{
    struct daemon *t = *state;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct peer_script *p = peer_new();
        struct msg m = {.type = MSG_REGISTER};
        open_channel(t, p);
        m.register_.version = MSG_VERSION;
        m.register_.locals.count = 2;
        m.register_.locals.at[0] = bound(1);
        m.register_.locals.at[1] = address(lies[i], 9);
        say(p, &m);
        survey_of(p, &m);
        check_steps(t, &m.survey_.steps);
        peer_end(p);
    }
    for (uint32_t i = 0; i < slab_end(&t->d.table.nats); i++) {
        const struct nat *n = slab_at(&t->d.table.nats, i);
        assert_true(!n || endpoint_is_loopback(&n->address));
    }
    assert_int_equal(t->d.table.nats.used, 1);
}

/* ---- budgets and rounds ---- */

/* Both sides of a session up to the first plan. */
static void punch_both(struct peer_script *a, struct peer_script *b, uint32_t request,
                       struct msg *to_a, struct msg *to_b)
{
    struct msg invite;
    say_connect(a, "b", request, NULL);
    hear(b, MSG_INVITE, &invite);
    accept_invite(b, &invite);
    hear(a, MSG_PUNCH, to_a);
    hear(b, MSG_PUNCH, to_b);
}

/* Makes the observations that a PREPARE asks for. */
static void prepare(struct peer_script *p, const struct msg_prepare *m)
{
    struct msg_survey anchors = {0};
    struct msg answer;
    memcpy(anchors.token, m->token, sizeof(m->token));
    check_steps(p->daemon, &m->steps);
    for (uint8_t i = 0; i < m->steps.count; i++)
        assert_true(observe_on(p->daemon, dial_from(p->from, m->steps.at[i].server.port), &anchors,
                               i, m->secret, &answer));
}

/* The next round's plans, whatever has to be observed for them. */
static void next_round(struct peer_script *p[2], struct msg to[2])
{
    bool planned[2] = {false, false};
    while (!planned[0] || !planned[1])
        for (unsigned i = 0; i < 2; i++) {
            while (!planned[i]) {
                hear_any(p[i], &to[i]);
                planned[i] = to[i].type == MSG_PUNCH;
                if (to[i].type == MSG_SYNC)
                    answer_sync(p[i], &to[i]);
                else if (to[i].type == MSG_PREPARE) {
                    prepare(p[i], &to[i].prepare_);
                    break;
                } else if (!planned[i] && to[i].type != MSG_SURVEY)
                    fail_msg("%s came", to[i].type ? msg_name(to[i].type) : "the end");
            }
        }
}

static void test_a_refused_side_gets_another_round(void **state)
{
    struct daemon *t = *state;
    struct msg to_a, to_b, next[2];
    learn_address(t, "127.0.0.2", NAT_MAPPING_NONE, NAT_PRESERVE);
    learn_address(t, "127.0.0.3", NAT_MAPPING_NONE, NAT_PRESERVE);
    struct peer_script *a = join_from(t, 2, "a", 0), *b = join_from(t, 3, "b", REGISTER_LISTEN);
    struct endpoint at = address("127.0.0.2", 1);
    struct nat *n = nat_find(&t->d.table, &at, false);
    punch_both(a, b, 1, &to_a, &to_b);
    say_result(a, &to_a, REASON_REFUSED, 1);
    next_round((struct peer_script *[]){a, b}, next);
    assert_int_equal(next[0].punch_.round, 2);
    assert_int_equal(next[1].punch_.round, 2);
    assert_true(next[0].punch_.volleys.at[0].socket != to_a.punch_.volleys.at[0].socket);
    /* The first round is won after all: that counts, and is no evidence against anybody's NAT. */
    say_result(a, &to_a, REASON_OK, 40002);
    say_result(b, &to_b, REASON_OK, 40001);
    expect_outcome(a, 1, REASON_OK);
    expect_outcome(b, 0, REASON_OK);
    assert_int_equal(n->profile.misses, 0);
    peer_end(a);
    peer_end(b);
}

/* The public port of a control channel. */
static uint16_t port_of(const struct peer_script *p)
{
    struct sockaddr_in sa = {0};
    socklen_t len = sizeof(sa);
    assert_int_equal(getsockname(p->fd, (struct sockaddr *)&sa, &len), 0);
    return ntohs(sa.sin_port);
}

static void check_volley(const struct msg *to, uint16_t socket, uint16_t port)
{
    assert_int_equal(to->punch_.volleys.count, 1);
    assert_int_equal(to->punch_.volleys.at[0].socket, socket);
    assert_int_equal(to->punch_.volleys.at[0].remote.port, port);
    assert_int_equal(to->punch_.volleys.at[0].count, 1);
}

static void introduce(struct peer_script *a, struct peer_script *b, const char *name,
                      uint32_t request)
{
    struct msg invite;
    say_connect(a, name, request, NULL);
    hear(b, MSG_INVITE, &invite);
    accept_invite(b, &invite);
}

/* Answers a PREPARE, and hears the plan. */
static void hear_prepared(struct peer_script *p, struct msg *to)
{
    hear(p, MSG_PREPARE, to);
    assert_int_equal(to->prepare_.steps.count, 1);
    assert_int_equal(to->prepare_.steps.at[0].socket % SURVEY_ROUND_SOCKETS, 0);
    prepare(p, &to->prepare_);
}

static void call_off(struct peer_script *a, struct peer_script *b, const struct msg *punch,
                     uint32_t request)
{
    struct msg m = {.type = MSG_CANCEL};
    m.cancel_.request = request;
    memcpy(m.cancel_.session, punch->punch_.session, MSG_ID_SIZE);
    say(a, &m);
    expect_outcome(a, request, REASON_CANCELLED);
    expect_outcome(b, 0, REASON_CANCELLED);
}

/* An endpoint-independent mapping has been seen already: the control channel's own. */
static void test_punched_from_the_control_port(void **state)
{
    struct daemon *t = *state;
    struct msg to_a, to_b, first;
    learn_address(t, "127.0.0.2", NAT_EIM, NAT_RANDOM);
    learn_address(t, "127.0.0.3", NAT_EIM, NAT_RANDOM);
    struct peer_script *a = join_from(t, 2, "a", REGISTER_CONTROL_PORT),
                       *b = join_from(t, 3, "b", REGISTER_LISTEN | REGISTER_CONTROL_PORT);
    punch_both(a, b, 1, &to_a, &to_b); /* no PREPARE: hear() would complain */
    check_volley(&to_a, SOCKET_CONTROL, port_of(b));
    check_volley(&to_b, SOCKET_CONTROL, port_of(a));
    first = to_a;
    /* While one session has the ports another does not get them. */
    introduce(a, b, "b", 2);
    hear_prepared(a, &to_a);
    hear_prepared(b, &to_b);
    hear(a, MSG_PUNCH, &to_a);
    hear(b, MSG_PUNCH, &to_b);
    assert_int_equal(to_a.punch_.volleys.at[0].socket, 0);
    assert_int_equal(to_b.punch_.volleys.at[0].socket, 0);
    call_off(a, b, &to_a, 2);
    call_off(a, b, &first, 1);
    peer_end(a);
    peer_end(b);
}

/* What two peers made of their control ports may outlive the session: they do not get the same
 * four-tuple twice. */
static void test_control_ports_meet_once(void **state)
{
    struct daemon *t = *state;
    struct msg to_a, to_b;
    learn_address(t, "127.0.0.2", NAT_EIM, NAT_RANDOM);
    learn_address(t, "127.0.0.3", NAT_EIM, NAT_RANDOM);
    struct peer_script *a = join_from(t, 2, "a", REGISTER_CONTROL_PORT),
                       *b = join_from(t, 3, "b", REGISTER_LISTEN | REGISTER_CONTROL_PORT);
    punch_both(a, b, 1, &to_a, &to_b);
    call_off(a, b, &to_a, 1);
    introduce(a, b, "b", 2);
    hear_prepared(a, &to_a);
    hear_prepared(b, &to_b);
    hear(a, MSG_PUNCH, &to_a);
    assert_int_equal(to_a.punch_.volleys.at[0].socket, 0);
    peer_end(a);
    peer_end(b);
}

/* One side can, the other's client has never heard of it; and in later rounds nobody does. */
static void test_control_port_of_one_side(void **state)
{
    struct daemon *t = *state;
    struct msg to_a, to_b, next[2];
    learn_address(t, "127.0.0.2", NAT_EIM, NAT_RANDOM);
    learn_address(t, "127.0.0.3", NAT_EIM, NAT_RANDOM);
    struct peer_script *a = join_from(t, 2, "a", REGISTER_CONTROL_PORT),
                       *b = join_from(t, 3, "b", REGISTER_LISTEN);
    introduce(a, b, "b", 1);
    hear_prepared(b, &to_b);
    hear(a, MSG_PUNCH, &to_a);
    hear(b, MSG_PUNCH, &to_b);
    check_volley(&to_b, 0, port_of(a));
    assert_int_equal(to_a.punch_.volleys.at[0].socket, SOCKET_CONTROL);
    assert_int_not_equal(to_a.punch_.volleys.at[0].remote.port, port_of(b));
    say_result(a, &to_a, REASON_REFUSED, 1);
    next_round((struct peer_script *[]){a, b}, next);
    assert_int_equal(next[0].punch_.volleys.at[0].socket, survey_round_socket(2));
    assert_int_not_equal(next[1].punch_.volleys.at[0].remote.port, port_of(a));
    call_off(a, b, &to_a, 1);
    peer_end(a);
    peer_end(b);
}

/* A mapping that is not so certain is looked at first, and so is one that is not independent. */
static void test_control_port_is_not_for_everyone(void **state)
{
    struct daemon *t = *state;
    struct msg to_a, to_b;
    learn_address(t, "127.0.0.2", NAT_APDM, NAT_COUNTER);
    learn_address(t, "127.0.0.3", NAT_EIM, NAT_RANDOM);
    struct endpoint at = address("127.0.0.3", 1);
    nat_find(&t->d.table, &at, false)->profile.nat.confidence = 80;
    at = address("127.0.0.2", 1);
    nat_find(&t->d.table, &at, false)->profile.nat.delta = 1;
    struct peer_script *a = join_from(t, 2, "a", REGISTER_CONTROL_PORT),
                       *b = join_from(t, 3, "b", REGISTER_LISTEN | REGISTER_CONTROL_PORT);
    introduce(a, b, "b", 1);
    hear(a, MSG_PREPARE, &to_a);
    prepare(a, &to_a.prepare_);
    hear_prepared(b, &to_b);
    hear(a, MSG_PUNCH, &to_a);
    hear(b, MSG_PUNCH, &to_b);
    for (unsigned i = 0; i < to_a.punch_.volleys.count; i++)
        assert_int_not_equal(to_a.punch_.volleys.at[i].socket, SOCKET_CONTROL);
    for (unsigned i = 0; i < to_b.punch_.volleys.count; i++)
        assert_int_not_equal(to_b.punch_.volleys.at[i].socket, SOCKET_CONTROL);
    call_off(a, b, &to_a, 1);
    peer_end(a);
    peer_end(b);
}

static void test_one_address_has_one_account(void **state)
{
    struct daemon *t = *state;
    struct msg m;
    learn_address(t, "127.0.0.2", NAT_MAPPING_NONE, NAT_PRESERVE);
    learn_address(t, "127.0.0.3", NAT_MAPPING_NONE, NAT_PRESERVE);
    struct peer_script *a = join_from(t, 2, "a", 0), *b = join_from(t, 3, "b", REGISTER_LISTEN);
    struct endpoint at = address("127.0.0.2", 1);
    struct nat *n = nat_find(&t->d.table, &at, false);
    uint64_t hits = limit_hits(&t->d.limits);
    punch_both(a, b, 1, &m, &m);
    assert_int_equal(account_sum(&n->syns, t->loop.now), 1);
    say_result(b, &m, REASON_OK, 40001);
    m.punch_.round = 1;
    say_result(a, &m, REASON_OK, 40002);
    expect_outcome(a, 1, REASON_OK);
    expect_outcome(b, 0, REASON_OK);
    /* Others behind that address have used it up. */
    account_add(&n->syns, (uint32_t)t->conf.address_syns, t->loop.now);
    say_connect(a, "b", 2, NULL);
    hear(b, MSG_INVITE, &m);
    accept_invite(b, &m);
    hear(a, MSG_OUTCOME, &m);
    assert_string_equal(reason_name(m.outcome_.reason), "limit");
    assert_non_null(strstr(m.outcome_.text, "address-syns"));
    expect_outcome(b, 0, REASON_LIMIT);
    assert_int_equal(limit_hits(&t->d.limits), hits + 1);
    peer_end(a);
    peer_end(b);
}

/* A round that the session's budget leaves nothing for does not come; what was sent is waited for,
 * unless both have given it up. */
static void test_a_session_has_a_budget(void **state)
{
    struct daemon *t = *state;
    struct msg to_a, to_b, m;
    learn_address(t, "127.0.0.2", NAT_MAPPING_NONE, NAT_PRESERVE);
    learn_address(t, "127.0.0.3", NAT_MAPPING_NONE, NAT_PRESERVE);
    struct peer_script *a = join_from(t, 2, "a", 0), *b = join_from(t, 3, "b", REGISTER_LISTEN);
    set(t, "session-syns", "1");
    punch_both(a, b, 1, &to_a, &to_b);
    say_result(a, &to_a, REASON_REFUSED, 1);
    hear(a, MSG_PREPARE, &m);
    prepare(a, &m.prepare_);
    say_result(b, &to_b, REASON_REFUSED, 1);
    hear(b, MSG_PREPARE, &m);
    prepare(b, &m.prepare_);
    expect_outcome(a, 1, REASON_REFUSED);
    expect_outcome(b, 0, REASON_REFUSED);
    peer_end(a);
    peer_end(b);
}

/* Nothing is prepared, nobody waits. */
static void test_random_against_random(void **state)
{
    struct daemon *t = *state;
    struct msg invite;
    learn_address(t, "127.0.0.2", NAT_APDM, NAT_RANDOM);
    learn_address(t, "127.0.0.3", NAT_APDM, NAT_RANDOM);
    struct peer_script *a = join_from(t, 2, "a", 0), *b = join_from(t, 3, "b", REGISTER_LISTEN);
    say_connect(a, "b", 1, NULL);
    hear(b, MSG_INVITE, &invite);
    accept_invite(b, &invite);
    expect_outcome(a, 1, REASON_BOTH_RANDOM);
    expect_outcome(b, 0, REASON_BOTH_RANDOM);
    peer_end(a);
    peer_end(b);
}

/* Two peers behind one NAT that neither lets them meet outside nor inside: two rounds, and why. */
static void test_no_hairpin(void **state)
{
    struct daemon *t = *state;
    struct msg to_a, to_b, next[2];
    learn_loopback(t);
    struct peer_script *a = join(t, "a", 0), *b = join(t, "b", REGISTER_LISTEN);
    punch_both(a, b, 1, &to_a, &to_b);
    assert_true(to_a.punch_.hold_us < 3000000);
    say_result(a, &to_a, REASON_MISSED, 1);
    say_result(b, &to_b, REASON_STRANGER, 1); /* another host at home has that address */
    next_round((struct peer_script *[]){a, b}, next);
    say_result(a, &next[0], REASON_MISSED, 1);
    say_result(b, &next[1], REASON_MISSED, 1);
    expect_outcome(a, 1, REASON_NO_HAIRPIN);
    expect_outcome(b, 0, REASON_NO_HAIRPIN);
    peer_end(a);
    peer_end(b);
}

static void test_a_side_that_goes(void **state)
{
    struct daemon *t = *state;
    struct msg m;
    struct peer_script *a = join(t, "staying", 0), *b = join(t, "going", REGISTER_LISTEN);
    say_connect(a, "going", 1, NULL);
    hear(b, MSG_INVITE, &m);
    peer_end(b);
    expect_outcome(a, 1, REASON_PEER_LOST);
    assert_int_equal(t->d.sessions.used, 0);
    struct peer_script *c = join(t, "target", REGISTER_LISTEN);
    say_connect(a, "target", 2, NULL);
    hear(c, MSG_INVITE, &m);
    m = (struct msg){.type = MSG_CANCEL};
    m.cancel_.request = 2; /* by its own number: it has not been told another */
    say(a, &m);
    expect_outcome(a, 2, REASON_CANCELLED);
    expect_outcome(c, 0, REASON_CANCELLED);
    peer_end(a);
    peer_end(c);
}

/* ---- what a connection would come to ---- */

static void say_check(struct peer_script *p, uint32_t request)
{
    struct msg m = {.type = MSG_CHECK};
    m.check_.request = request;
    m.check_.budget = 64;
    say(p, &m);
}

static void hear_checked(struct peer_script *p, uint32_t request, enum reason reason, struct msg *m)
{
    hear(p, MSG_CHECKED, m);
    assert_int_equal(m->checked_.request, request);
    assert_string_equal(reason_name(m->checked_.reason), reason_name(reason));
}

static void test_check_of_a_nat(void **state)
{
    struct daemon *t = *state;
    struct msg m;
    learn_loopback(t);
    struct peer_script *p = join(t, "curious", 0);
    say_check(p, 3);
    hear_checked(p, 3, REASON_OK, &m);
    assert_int_equal(m.checked_.rounds, t->conf.rounds);
    assert_int_equal(m.checked_.nats.count, 1);
    assert_true(endpoint_is_loopback(&m.checked_.nats.at[0].address));
    assert_int_equal(m.checked_.nats.at[0].nat.allocation, NAT_PRESERVE);
    assert_int_equal(m.checked_.prospects.count, 9);
    for (unsigned i = 0; i < m.checked_.prospects.count; i++)
        assert_true(m.checked_.prospects.at[i].kind > 0);
    assert_true(m.checked_.prospects.at[0].chance > 900000);
    assert_true(key_is_zero(m.checked_.peer));
    say_check(p, 4); /* one after the other */
    hear_checked(p, 4, REASON_LIMIT, &m);
    assert_int_equal(m.checked_.prospects.count, 0);
    peer_end(p);
}

static void say_surveyed(struct peer_script *p, const struct msg *survey)
{
    struct msg m = {.type = MSG_SURVEYED};
    m.surveyed_.survey = survey->survey_.survey;
    m.surveyed_.failed = survey->survey_.steps.count;
    say(p, &m);
}

/* Known for long, and good enough for sessions: a check looks again, and at all of it. */
static void test_check_surveys_anew(void **state)
{
    struct daemon *t = *state;
    struct msg survey, m;
    learn_loopback(t);
    loopback_nat(t)->profile.learnt = t->loop.now - 60 * TICK_S;
    struct peer_script *p = join(t, "", 0), *q = join(t, "", 0);
    say_check(p, 1);
    survey_of(p, &survey);
    assert_true(survey.survey_.steps.count >= 8);
    say_surveyed(p, &survey);
    hear_checked(p, 1, REASON_OK, &m);
    /* Once tried, the same NAT is not surveyed again at once, whoever asks. */
    say_check(q, 1);
    do {
        hear_any(q, &m);
        assert_int_not_equal(m.type, MSG_SURVEY);
        if (m.type == MSG_SYNC)
            answer_sync(q, &m);
    } while (m.type != MSG_CHECKED);
    assert_int_equal(t->d.checks.used, 0);
    peer_end(p);
    peer_end(q);
}

static void test_check_that_sees_nothing(void **state)
{
    struct daemon *t = *state;
    struct msg m;
    loopback_nat(t)->profile.learnt = TICK_NEVER;
    struct peer_script *p = join(t, "", 0);
    say_check(p, 1);
    do {
        hear_any(p, &m);
        if (m.type == MSG_SYNC)
            answer_sync(p, &m);
        else if (m.type == MSG_SURVEY)
            say_surveyed(p, &m);
    } while (m.type != MSG_CHECKED);
    assert_string_equal(reason_name(m.checked_.reason), "no-observation");
    assert_int_equal(m.checked_.prospects.count, 0);
    peer_end(p);
}

/* Whoever goes takes the question along. */
static void test_check_by_one_who_goes(void **state)
{
    struct daemon *t = *state;
    struct msg survey;
    loopback_nat(t)->profile.learnt = TICK_NEVER;
    struct peer_script *p = join(t, "", 0);
    say_check(p, 1);
    const tick until = loop_clock() + PATIENCE_S * TICK_S;
    while (!t->d.checks.used && loop_clock() < until)
        turn(t);
    survey_of(p, &survey);
    assert_int_equal(t->d.checks.used, 1);
    peer_end(p);
    while (t->d.checks.used && loop_clock() < until)
        turn(t);
    assert_int_equal(t->d.checks.used, 0);
}

static void test_check_of_a_peer(void **state)
{
    struct daemon *t = *state;
    struct msg m, yes = {.type = MSG_ACCEPT};
    learn_loopback(t);
    struct peer_script *a = join(t, "a", 0), *b = join(t, "b", REGISTER_LISTEN);
    struct dispatch_stats before = t->d.stats;
    say_check_of(a, "b", 6);
    hear(b, MSG_INVITE, &m);
    assert_int_equal(m.invite_.flags, SESSION_CHECK);
    memcpy(yes.accept_.session, m.invite_.session, MSG_ID_SIZE);
    yes.accept_.budget = 64;
    say(b, &yes);
    /* No PREPARE, no PUNCH: hear() would complain. */
    hear_checked(a, 6, REASON_OK, &m);
    assert_memory_equal(m.checked_.peer, b->key.public, KEY_SIZE);
    assert_int_equal(m.checked_.prospects.count, 1);
    assert_int_equal(m.checked_.prospects.at[0].kind, 0);
    assert_int_equal(m.checked_.prospects.at[0].reason, REASON_OK);
    assert_true(m.checked_.prospects.at[0].chance > 900000);
    assert_int_equal(m.checked_.prospects.at[0].nat.allocation, NAT_PRESERVE);
    expect_outcome(b, 0, REASON_CANCELLED);
    assert_int_equal(t->d.sessions.used, 0);
    assert_int_equal(t->d.stats.sessions, before.sessions);
    assert_int_equal(t->d.stats.sessions_failed, before.sessions_failed);
    /* Nothing more comes for it: the next answer is to the next question. */
    say_check_of(a, "nobody", 7);
    expect_outcome(a, 7, REASON_PEER_UNKNOWN);
    peer_end(a);
    peer_end(b);
}

static void test_check_of_a_peer_that_declines(void **state)
{
    struct daemon *t = *state;
    struct msg m, no = {.type = MSG_REJECT};
    struct nat_summary nothing = {0};
    learn_loopback(t);
    struct peer_script *a = join(t, "a", 0), *b = join(t, "b", REGISTER_LISTEN);
    uint64_t failed = t->d.stats.sessions_failed;
    say_check_of(a, "b", 1);
    hear(b, MSG_INVITE, &m);
    memcpy(no.reject_.session, m.invite_.session, MSG_ID_SIZE);
    no.reject_.reason = REASON_DECLINED;
    say(b, &no);
    hear(a, MSG_OUTCOME, &m); /* and not CHECKED */
    assert_int_equal(m.outcome_.reason, REASON_DECLINED);
    assert_memory_equal(&m.outcome_.remote_nat, &nothing, sizeof(nothing));
    assert_int_equal(t->d.stats.sessions_failed, failed);
    peer_end(a);
    peer_end(b);
}

/* ---- */

static int setup(void **state)
{
    static struct daemon t;
    start(&t, "open");
    *state = &t;
    return 0;
}

static int teardown(void **state)
{
    stop(*state);
    return 0;
}

int main(void)
{
#define WITH_DAEMON(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_DAEMON(test_names_belong_to_keys),
        WITH_DAEMON(test_refused_registrations),
        WITH_DAEMON(test_newest_listener_counts),
        cmocka_unit_test(test_invites),
        WITH_DAEMON(test_unknown_and_misplaced_messages),
        WITH_DAEMON(test_forged_frames),
        WITH_DAEMON(test_closings_add_up),
        WITH_DAEMON(test_observations_are_authenticated),
        WITH_DAEMON(test_connects_back),
        WITH_DAEMON(test_is_no_reflector),
        WITH_DAEMON(test_gone_before_the_answer),
        WITH_DAEMON(test_a_block_is_asked_for),
        WITH_DAEMON(test_requests_that_come_to_nothing),
        WITH_DAEMON(test_declined),
        WITH_DAEMON(test_session_to_the_end),
        WITH_DAEMON(test_hosts_are_private),
        WITH_DAEMON(test_no_hosts_between_two_addresses),
        WITH_DAEMON(test_registered_lies),
        WITH_DAEMON(test_a_refused_side_gets_another_round),
        WITH_DAEMON(test_punched_from_the_control_port),
        WITH_DAEMON(test_control_ports_meet_once),
        WITH_DAEMON(test_control_port_of_one_side),
        WITH_DAEMON(test_control_port_is_not_for_everyone),
        WITH_DAEMON(test_one_address_has_one_account),
        WITH_DAEMON(test_a_session_has_a_budget),
        WITH_DAEMON(test_random_against_random),
        WITH_DAEMON(test_no_hairpin),
        WITH_DAEMON(test_a_side_that_goes),
        WITH_DAEMON(test_check_of_a_nat),
        WITH_DAEMON(test_check_surveys_anew),
        WITH_DAEMON(test_check_that_sees_nothing),
        WITH_DAEMON(test_check_by_one_who_goes),
        WITH_DAEMON(test_check_of_a_peer),
        WITH_DAEMON(test_check_of_a_peer_that_declines),
    };
    if (sodium_init() < 0)
        return 1;
    log_open(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
