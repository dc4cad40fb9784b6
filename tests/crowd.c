/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/*
 * Thousands of peers in one process, each from an address of its own in 127/8, with the protocol's
 * own code and the client's own pauses, until it is killed:
 *
 *   crowd flock URL PEERS          all join at once and stay; whenever the server has gone and all
 *                                  are back, a line tells how they came.
 *   crowd idle URL PEERS SHARE     the same, but they join one after the other, SHARE of them from
 *                                  one address.
 *   crowd load URL PEERS JOURNAL   pairs of them ask for sessions without end, and new peers
 *                                  register; what the server has told them goes into JOURNAL.
 *   crowd verify DATABASE JOURNAL FROM TO SINCE
 *                                  whether the database is sound, and all that stands in JOURNAL
 *                                  between these bytes is there; and whether no session that began
 *                                  before SINCE (microseconds since 1970) is still under way.
 */
#include <ev.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-stub/channel.h"
#include "proto/frame.h"
#include "proto/key.h"
#include "proto/msg.h"
#include "proto/noise.h"
#include "proto/reason.h"

#define SESSIONS_PER_KEY 20
#define GIVE_UP_S        0.03 /* a request that nobody answers */
#define BUCKETS          600  /* of a tenth of a second */

enum state { DOWN, CONNECTING, SHAKING, REGISTERING, UP };

struct peer {
    struct crowd *crowd;
    unsigned index;
    enum state state;
    struct key_pair key;
    struct ev_io io;
    struct ev_timer timer;
    int fd;
    struct noise_handshake hs;
    struct noise_cipher send, receive;
    uint8_t in[FRAME_HEADER_SIZE + FRAME_BODY_MAX];
    size_t len;
    unsigned failures, sessions;
    uint32_t request;
};

struct crowd {
    struct ev_loop *loop;
    struct rng rng;
    struct server_url server;
    struct sockaddr_in to;
    struct peer *peers;
    unsigned count, share, up;
    bool in_turn; /* they join one after the other */
    int journal;  /* -1: a flock, which only comes and goes */
    /* Since the first one was lost: */
    double lost_at;
    unsigned refused, back, last_back;
    unsigned handshakes[BUCKETS]; /* begun */
};

static void die(const char *what)
{
    fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
    exit(1);
}

static unsigned bucket(const struct crowd *c)
{
    double at = (ev_now(c->loop) - c->lost_at) * 10;
    return at < 0 ? 0 : at >= BUCKETS ? BUCKETS - 1 : (unsigned)at;
}

/* ---- out ---- */

static void drop(struct peer *p, uint32_t delay_ms);
static void dial(struct peer *p);

static void write_frame(struct peer *p, const uint8_t *body, size_t len)
{
    uint8_t frame[FRAME_HEADER_SIZE + FRAME_BODY_MAX];
    frame_put_header(frame, len);
    memcpy(frame + FRAME_HEADER_SIZE, body, len);
    /* What does not fit a fresh socket's buffer is noticed as a broken channel. */
    if (send(p->fd, frame, FRAME_HEADER_SIZE + len, MSG_NOSIGNAL) < 0)
        shutdown(p->fd, SHUT_RDWR);
}

static void say(struct peer *p, const struct msg *m)
{
    uint8_t body[FRAME_BODY_MAX];
    int len = msg_encode(m, body, FRAME_PLAIN_MAX);
    len = len < 0 ? -1 : noise_seal(&p->send, body, (size_t)len, body);
    if (len > 0)
        write_frame(p, body, (size_t)len);
}

static void journal(struct crowd *c, const char *line)
{
    if (write(c->journal, line, strlen(line)) != (ssize_t)strlen(line))
        die("journal");
}

/* ---- sessions ---- */

static bool asks(const struct peer *p)
{
    return p->crowd->journal >= 0 && p->index % 2 == 1;
}

static const char *name_of(unsigned index, char name[32])
{
    snprintf(name, 32, "target-%u", index);
    return name;
}

static void ask(struct peer *p)
{
    struct msg m = {.type = MSG_CONNECT};
    char name[32];
    m.connect_.request = ++p->request;
    snprintf(m.connect_.peer, sizeof(m.connect_.peer), "%s", name_of(p->index - 1, name));
    m.connect_.budget = 8;
    say(p, &m);
    ev_timer_stop(p->crowd->loop, &p->timer);
    ev_timer_set(&p->timer, GIVE_UP_S, 0.);
    ev_timer_start(p->crowd->loop, &p->timer);
}

/* A third each: refused, accepted, left without an answer. */
static void answer_invite(struct peer *p, const struct msg *invite)
{
    struct msg m = {.type = MSG_REJECT};
    unsigned what = rng_below(&p->crowd->rng, 3);
    if (what == 0) {
        memcpy(m.reject_.session, invite->invite_.session, MSG_ID_SIZE);
        m.reject_.reason = REASON_DECLINED;
        say(p, &m);
    } else if (what == 1) {
        m = (struct msg){.type = MSG_ACCEPT};
        memcpy(m.accept_.session, invite->invite_.session, MSG_ID_SIZE);
        m.accept_.budget = 8;
        say(p, &m);
    }
}

static void told_outcome(struct peer *p, const struct msg_outcome *m)
{
    char line[80], id[2 * MSG_ID_SIZE + 1];
    if (!asks(p) || m->request != p->request)
        return;
    if (!sodium_is_zero(m->session, MSG_ID_SIZE)) {
        sodium_bin2hex(id, sizeof(id), m->session, MSG_ID_SIZE);
        snprintf(line, sizeof(line), "S %s %u\n", id, m->reason);
        journal(p->crowd, line);
    }
    if (++p->sessions % SESSIONS_PER_KEY == 0) {
        key_generate(&p->crowd->rng, &p->key);
        drop(p, 0);
        return;
    }
    ask(p);
}

/* ---- in ---- */

static void told_registered(struct peer *p)
{
    struct crowd *c = p->crowd;
    char line[KEY_TEXT_SIZE + 8], key[KEY_TEXT_SIZE];
    p->state = UP;
    p->failures = 0;
    c->up++;
    c->back++;
    c->last_back = bucket(c);
    if (c->journal >= 0) {
        snprintf(line, sizeof(line), "R %s\n", key_format(p->key.public, key));
        journal(c, line);
    }
    if (asks(p))
        ask(p);
    bool next = c->in_turn && p->index + 1 < c->count;
    if (next && p[1].state == DOWN && !ev_is_active(&p[1].timer)) /* it has not been there yet */
        dial(p + 1);
}

static void handle(struct peer *p, const struct msg *m)
{
    struct msg answer = {.type = m->type};
    switch (m->type) {
    case MSG_REGISTERED:
        told_registered(p);
        break;
    case MSG_SYNC:
        answer.sync_ = m->sync_;
        answer.sync_.receive = answer.sync_.transmit = m->sync_.origin;
        say(p, &answer);
        break;
    case MSG_SURVEY:
        answer.type = MSG_SURVEYED;
        answer.surveyed_.survey = m->survey_.survey;
        answer.surveyed_.failed = m->survey_.steps.count;
        say(p, &answer);
        break;
    case MSG_INVITE:
        answer_invite(p, m);
        break;
    case MSG_PREPARE:
        answer.type = MSG_PREPARED;
        memcpy(answer.prepared_.session, m->prepare_.session, MSG_ID_SIZE);
        answer.prepared_.round = m->prepare_.round;
        answer.prepared_.failed = m->prepare_.steps.count;
        say(p, &answer);
        break;
    case MSG_OUTCOME:
        told_outcome(p, &m->outcome_);
        break;
    case MSG_BYE:
        drop(p, m->bye_.delay_ms);
        break;
    case MSG_REDIRECT:
        drop(p, m->redirect_.delay_ms);
        break;
    default:
        break;
    }
}

static void greet(struct peer *p, const uint8_t *body, size_t len)
{
    struct msg m = {.type = MSG_REGISTER};
    uint8_t none[16];
    char name[32] = "";
    if (noise_read(&p->hs, body, len, none, sizeof(none)) != 0 ||
        noise_split(&p->hs, &p->send, &p->receive, NULL) != 0) {
        drop(p, 0);
        return;
    }
    p->state = REGISTERING;
    m.register_.version = MSG_VERSION;
    m.register_.flags = asks(p) ? 0 : REGISTER_LISTEN;
    if (p->crowd->journal >= 0 && !asks(p))
        name_of(p->index, name);
    memcpy(m.register_.name, name, sizeof(name));
    say(p, &m);
}

static void frame(struct peer *p, const uint8_t *body, size_t len)
{
    uint8_t plain[FRAME_BODY_MAX];
    struct msg m;
    if (p->state == SHAKING) {
        greet(p, body, len);
        return;
    }
    int n = noise_open(&p->receive, body, len, plain);
    if (n >= 0 && msg_decode(plain, (size_t)n, &m) == 0)
        handle(p, &m);
    else
        drop(p, 0);
}

static void unframe(struct peer *p)
{
    while (p->state >= SHAKING) {
        const uint8_t *body;
        size_t len;
        int used = frame_parse(p->in, p->len, FRAME_BODY_MAX, &body, &len);
        if (used <= 0)
            return;
        uint8_t copy[FRAME_BODY_MAX];
        memcpy(copy, body, len);
        p->len -= (size_t)used;
        memmove(p->in, p->in + used, p->len);
        frame(p, copy, len);
    }
}

/* ---- comings and goings ---- */

static void say_hello(struct peer *p)
{
    uint8_t body[FRAME_BODY_MAX];
    noise_start(&p->hs, NOISE_IK, true, MSG_PROLOGUE, sizeof(MSG_PROLOGUE) - 1, &p->key,
                p->crowd->server.key);
    body[0] = HELLO_CONTROL;
    int len = noise_write(&p->hs, &p->crowd->rng, NULL, 0, body + 1, sizeof(body) - 1);
    p->state = SHAKING;
    p->crowd->handshakes[bucket(p->crowd)]++;
    write_frame(p, body, (size_t)len + 1);
}

static void on_io(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct peer *p = io->data;
    if (p->state == CONNECTING && (events & EV_WRITE)) {
        int error = 0;
        socklen_t size = sizeof(error);
        getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        p->crowd->refused += error == ECONNREFUSED;
        if (error) {
            drop(p, 0);
            return;
        }
        ev_io_stop(loop, io);
        ev_io_set(io, p->fd, EV_READ);
        ev_io_start(loop, io);
        say_hello(p);
        return;
    }
    ssize_t n = recv(p->fd, p->in + p->len, sizeof(p->in) - p->len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(p, 0);
        return;
    }
    p->len += (size_t)n;
    unframe(p);
}

static void dial(struct peer *p)
{
    struct crowd *c = p->crowd;
    struct sockaddr_in own = {.sin_family = AF_INET};
    unsigned n = p->index / c->share;
    /* One subscriber each: neighbours in no prefix. */
    own.sin_addr.s_addr = htonl(0x7f000001u + ((n % 200 + 1) << 16) + ((n / 200 + 1) << 8));
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&own, sizeof(own)) != 0)
        die("socket");
    p->len = 0;
    p->state = CONNECTING;
    if (connect(p->fd, (struct sockaddr *)&c->to, sizeof(c->to)) != 0 && errno != EINPROGRESS) {
        c->refused += errno == ECONNREFUSED;
        drop(p, 0);
        return;
    }
    ev_io_set(&p->io, p->fd, EV_WRITE);
    ev_io_start(c->loop, &p->io);
}

static void report_return(struct crowd *c)
{
    unsigned peak = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        peak = c->handshakes[i] > peak ? c->handshakes[i] : peak;
    printf("%u peers are back after %.1f s; %u handshakes a second at the peak; %u connects "
           "refused\n",
           c->back, (c->last_back + 1) / 10., peak * 10, c->refused);
    fflush(stdout);
}

static void reset_count(struct crowd *c)
{
    c->lost_at = ev_now(c->loop);
    c->refused = c->back = 0;
    memset(c->handshakes, 0, sizeof(c->handshakes));
}

static void drop(struct peer *p, uint32_t delay_ms)
{
    struct crowd *c = p->crowd;
    tick pause = c->journal >= 0 ? TICK_MS : channel_pause(&c->rng, p->failures++, delay_ms);
    if (p->state == UP && c->up-- == c->count && c->journal < 0)
        reset_count(c);
    ev_io_stop(c->loop, &p->io);
    ev_timer_stop(c->loop, &p->timer);
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    p->state = DOWN;
    ev_timer_set(&p->timer, tick_seconds(pause), 0.);
    ev_timer_start(c->loop, &p->timer);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct peer *p = timer->data;
    struct msg m = {.type = MSG_CANCEL};
    (void)loop;
    (void)events;
    if (p->state == DOWN) {
        dial(p);
        return;
    }
    m.cancel_.request = p->request;
    say(p, &m);
}

static void on_check(struct ev_loop *loop, struct ev_check *check, int events)
{
    struct crowd *c = check->data;
    (void)loop;
    (void)events;
    if (c->journal < 0 && c->up == c->count && c->back >= c->count) {
        report_return(c);
        c->back = 0;
    }
}

/* share NULL: each has an address of its own, and they join at once. */
static int run_crowd(const char *url, const char *number, const char *share, int file)
{
    static struct crowd c;
    struct rlimit limit;
    struct ev_check check;
    const char *wrong = server_url_parse(url, &c.server);
    c.count = (unsigned)strtoul(number, NULL, 10);
    c.share = share ? (unsigned)strtoul(share, NULL, 10) : 1;
    c.in_turn = share != NULL;
    c.journal = file;
    c.rng = rng_system();
    c.to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(c.server.port)};
    if (wrong || inet_pton(AF_INET, c.server.host, &c.to.sin_addr) != 1 || c.count == 0 ||
        c.share == 0) {
        fprintf(stderr, "crowd: %s\n", wrong ? wrong : "an IPv4 address and numbers, please");
        return 1;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    c.loop = ev_default_loop(EVFLAG_AUTO);
    c.peers = calloc(c.count, sizeof(*c.peers));
    if (!c.loop || !c.peers)
        die("start");
    reset_count(&c);
    for (unsigned i = 0; i < c.count; i++) {
        struct peer *p = &c.peers[i];
        p->crowd = &c;
        p->index = i;
        key_generate(&c.rng, &p->key);
        ev_io_init(&p->io, on_io, -1, 0);
        ev_timer_init(&p->timer, on_timer, 0., 0.);
        p->io.data = p->timer.data = p;
        p->fd = -1;
        if (!c.in_turn || i == 0)
            dial(p);
    }
    ev_check_init(&check, on_check);
    check.data = &c;
    ev_set_priority(&check, EV_MINPRI);
    ev_check_start(c.loop, &check);
    ev_run(c.loop, 0);
    return 0;
}

/* ---- verify ---- */

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK) {
        fprintf(stderr, "crowd: %s\n", sqlite3_errmsg(db));
        exit(1);
    }
    return st;
}

static bool sound(sqlite3 *db)
{
    sqlite3_stmt *st = prepare(db, "PRAGMA integrity_check");
    bool good = sqlite3_step(st) == SQLITE_ROW &&
                strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;
    sqlite3_finalize(st);
    return good;
}

/* The first column of one row, or `otherwise`. */
static int64_t look_up(sqlite3_stmt *st, const void *blob, size_t size, int64_t otherwise)
{
    sqlite3_reset(st);
    sqlite3_bind_blob(st, 1, blob, (int)size, SQLITE_STATIC);
    return sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : otherwise;
}

struct tally {
    unsigned registrations, sessions, missing;
};

static void check_line(const char *line, sqlite3_stmt *peer, sqlite3_stmt *session,
                       struct tally *tally)
{
    uint8_t key[KEY_SIZE], id[MSG_ID_SIZE];
    char text[KEY_TEXT_SIZE + 40];
    unsigned reason;
    bool there = false;
    if (sscanf(line, "R %63s", text) == 1 && key_parse(text, key) == 0) {
        tally->registrations++;
        there = look_up(peer, key, sizeof(key), 0) == 1;
    } else if (sscanf(line, "S %32[0-9a-f] %u", text, &reason) == 2 &&
               sodium_hex2bin(id, sizeof(id), text, strlen(text), NULL, NULL, NULL) == 0) {
        tally->sessions++;
        there = look_up(session, id, sizeof(id), -1) == (int64_t)reason;
    }
    if (there)
        return;
    tally->missing++;
    fprintf(stderr, "crowd: not in the database: %s", line);
}

static int verify(char **argv)
{
    char line[256];
    struct tally tally = {0};
    long from = strtol(argv[2], NULL, 10), to = strtol(argv[3], NULL, 10);
    sqlite3 *db = NULL;
    FILE *f = fopen(argv[1], "r");
    if (!f || fseek(f, from, SEEK_SET) != 0)
        die(argv[1]);
    if (sqlite3_open_v2(argv[0], &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        fprintf(stderr, "crowd: %s: %s\n", argv[0], sqlite3_errmsg(db));
        fclose(f);
        return 1;
    }
    sqlite3_busy_timeout(db, 10000);
    bool good = sound(db);
    /* Sessions have no index by id: one of this program's own, over the newest ones where that
     * does. */
    sqlite3_exec(db,
                 from ? "CREATE TEMP TABLE told AS SELECT id, reason FROM sessions"
                        " WHERE number > (SELECT max(number) - 5000 FROM sessions)"
                      : "CREATE TEMP TABLE told AS SELECT id, reason FROM sessions",
                 NULL, NULL, NULL);
    sqlite3_exec(db, "CREATE INDEX temp.told_id ON told(id)", NULL, NULL, NULL);
    sqlite3_stmt *peer = prepare(db, "SELECT 1 FROM peers WHERE key=?");
    sqlite3_stmt *session = prepare(db, "SELECT reason FROM told WHERE id=?");
    while (ftell(f) < to && fgets(line, sizeof(line), f))
        check_line(line, peer, session, &tally);
    sqlite3_stmt *active = prepare(db, "SELECT count(*) FROM sessions_active WHERE started<?");
    sqlite3_bind_int64(active, 1, strtoll(argv[4], NULL, 10));
    int64_t left = sqlite3_step(active) == SQLITE_ROW ? sqlite3_column_int64(active, 0) : -1;
    printf("%s; %u registrations and %u sessions told of, %u of them missing; %" PRId64
           " sessions left open\n",
           good ? "sound" : "damaged", tally.registrations, tally.sessions, tally.missing, left);
    sqlite3_finalize(peer);
    sqlite3_finalize(session);
    sqlite3_finalize(active);
    sqlite3_close(db);
    fclose(f);
    return good && !tally.missing && !left ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (sodium_init() < 0)
        return 1;
    if (argc == 4 && strcmp(argv[1], "flock") == 0)
        return run_crowd(argv[2], argv[3], NULL, -1);
    if (argc == 5 && strcmp(argv[1], "idle") == 0)
        return run_crowd(argv[2], argv[3], argv[4], -1);
    if (argc == 5 && strcmp(argv[1], "load") == 0) {
        int file = open(argv[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (file < 0)
            die(argv[4]);
        return run_crowd(argv[2], argv[3], NULL, file);
    }
    if (argc == 7 && strcmp(argv[1], "verify") == 0)
        return verify(argv + 2);
    fputs(
        "usage: crowd flock URL PEERS | crowd idle URL PEERS SHARE | crowd load URL PEERS JOURNAL\n"
        "       crowd verify DATABASE JOURNAL FROM TO SINCE\n",
        stderr);
    return 1;
}
