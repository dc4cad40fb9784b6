/* SPDX-License-Identifier: ISC */
#include "client-stub/cli_relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-stub/tryst.h"

/* One read here is one record there. Whole pages, so that a pipe's pages are given back whole. */
#define CHUNK ((size_t)60 << 10)
/* Several of the largest records in one recv(). */
#define RECEIVE_SIZE ((size_t)4 * (TRYST_RECORD_PLAIN_MAX + TRYST_RECORD_OVERHEAD))
/* What one step moves in a direction, at most: a punch may be due in the same loop. */
#define STEP_RECORDS 64
#define STEP_BYTES   (4 * CHUNK)

enum { NET, LOCAL_IN, LOCAL_OUT };

enum flow { FLOW_OPEN, FLOW_ENDING, FLOW_ENDED };

struct relay {
    int net;
    struct relay_end local;
    struct tryst_record *record;
    enum relay_result result;
    int local_errno;
    char error[160];

    /* local to net: bytes [up_at, up_len) of up_buf are ready to be sent */
    enum flow up;
    uint8_t *up_plain, *up_buf;
    size_t up_at, up_len;
    uint64_t sent;

    /* net to local: [plain, plain + plain_len) goes to local next; [raw_at, raw_end) of raw is
     * still sealed */
    enum flow down;
    bool more;       /* raw bytes were left, though nothing was in the way */
    bool deaf;       /* nobody reads local.out: take what comes, and drop it */
    bool net_closed; /* the peer's FIN came, after the end of its data */
    uint8_t *raw, *opened;
    const uint8_t *plain;
    size_t plain_len, raw_at, raw_end;
    uint64_t received;
};

static bool is_again(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static bool is_gone(int error)
{
    return error == EPIPE || error == ECONNRESET;
}

/* ---- life ---- */

/*
 * A NAT forgets a silent connection after minutes or hours, and a peer that lost its power says
 * nothing: probes keep the one and notice the other.
 */
static void keep_alive(int fd)
{
    int one = 1, idle = 60, interval = 15, count = 8;

    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static void free_buffers(struct relay *r)
{
    if (r->up_buf != r->up_plain)
        free(r->up_buf);
    free(r->up_plain);
    free(r->raw);
    free(r->opened);
}

struct relay *cli_relay_new(int net, struct tryst_record *record, const struct relay_end *local)
{
    struct relay *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->up_plain = malloc(CHUNK);
    r->up_buf = record ? malloc(CHUNK + TRYST_RECORD_OVERHEAD) : r->up_plain;
    r->raw = malloc(RECEIVE_SIZE);
    r->opened = record ? malloc(TRYST_RECORD_PLAIN_MAX) : NULL;
    if (!r->up_plain || !r->up_buf || !r->raw || (record && !r->opened)) {
        free_buffers(r);
        free(r);
        return NULL;
    }
    r->net = net;
    r->record = record;
    r->local = *local;
    cli_end_no_delay(net);
    keep_alive(net);
    return r;
}

void cli_relay_free(struct relay *r)
{
    if (!r)
        return;
    if (r->result != RELAY_DONE) {
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(r->net, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        if (r->local.in_way == END_SOCKET && r->local.in >= 0)
            (void)setsockopt(r->local.in, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
    (void)close(r->net);
    cli_end_close(&r->local);
    if (r->record)
        tryst_record_free(r->record);
    free_buffers(r);
    free(r);
}

const char *cli_relay_error(const struct relay *r)
{
    return r->error;
}

bool cli_relay_reader_gone(const struct relay *r)
{
    return r->local_errno == EPIPE;
}

uint64_t cli_relay_sent(const struct relay *r)
{
    return r->sent;
}

uint64_t cli_relay_received(const struct relay *r)
{
    return r->received;
}

static void finish(struct relay *r, enum relay_result result, const char *what, int error)
{
    if (r->result != RELAY_RUNNING)
        return;
    r->result = result;
    r->local_errno = result == RELAY_LOCAL ? error : 0;
    (void)snprintf(r->error, sizeof(r->error), "%s%s%s", what, error ? ": " : "",
                   error ? strerror(error) : "");
}

/* ---- local to net ---- */

static bool up_pending(const struct relay *r)
{
    return r->up_at < r->up_len;
}

/* Puts len bytes of up_plain (0: the end) into up_buf as they go over the wire. */
static int up_seal(struct relay *r, size_t len)
{
    int n = (int)len;

    if (r->record)
        n = tryst_record_seal(r->record, r->up_plain, len, r->up_buf);
    if (n < 0) {
        finish(r, RELAY_LOST, tryst_strerror(n), 0);
        return -1;
    }
    r->up_at = 0;
    r->up_len = (size_t)n;
    return 0;
}

/*
 * With the record layer, the connection stays open in both directions until both have ended: NATs
 * drop a half-closed connection after a minute of silence. A FIN before then says that this side
 * takes no more either.
 */
static void up_ended(struct relay *r)
{
    r->up = FLOW_ENDED;
    if (!r->record || r->deaf)
        (void)shutdown(r->net, SHUT_WR);
}

static void up_read(struct relay *r)
{
    ssize_t n = cli_end_read(&r->local, r->up_plain, CHUNK);

    if (n < 0 && is_again(errno))
        return;
    if (n < 0 && errno != EIO) { /* EIO: the terminal has gone, which is its way to end */
        finish(r, RELAY_LOCAL, "cannot read", errno);
        return;
    }
    size_t len = n > 0 ? (size_t)n : 0;
    if (up_seal(r, len) != 0)
        return;
    r->sent += len;
    if (len == 0)
        r->up = FLOW_ENDING;
}

static void up_send(struct relay *r)
{
    ssize_t n =
        send(r->net, r->up_buf + r->up_at, r->up_len - r->up_at, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n >= 0)
        r->up_at += (size_t)n;
    else if (!is_again(errno))
        finish(r, RELAY_LOST, "the connection to the peer was lost", errno);
}

/*
 * The peer has ended its data and then closed: it takes no more. That is well if there is nothing
 * more (somebody at a terminal, who has got the answer), and an error if something is left unsent.
 */
static void up_unwanted(struct relay *r)
{
    struct pollfd p = {.fd = r->local.in, .events = POLLIN};
    uint8_t byte;

    if (!up_pending(r) && (poll(&p, 1, 0) <= 0 || cli_end_read(&r->local, &byte, 1) <= 0))
        up_ended(r);
    else
        finish(r, RELAY_LOST, "the peer closed the connection before everything was sent", 0);
}

/* Reads once the poll said so, and again only after a full read: then there is more, probably. */
static void up_step(struct relay *r, bool readable)
{
    uint64_t most = r->sent + STEP_BYTES;

    while (r->result == RELAY_RUNNING) {
        if (r->up == FLOW_OPEN && r->record && r->net_closed) {
            up_unwanted(r);
            return;
        }
        if (up_pending(r))
            up_send(r);
        if (up_pending(r))
            return;
        if (r->up == FLOW_ENDING)
            up_ended(r);
        if (r->up != FLOW_OPEN || !readable)
            return;
        uint64_t before = r->sent;
        up_read(r);
        readable = r->sent - before == CHUNK && r->sent < most && r->local.in_way != END_GUARDED;
    }
}

/* ---- net to local ---- */

static bool down_pending(const struct relay *r)
{
    return r->plain_len > 0;
}

static void down_ended(struct relay *r)
{
    r->down = FLOW_ENDED;
    cli_end_shut(&r->local);
}

/*
 * Nobody reads here any more. A socket or a child may still have something to say; then its data is
 * what counts, and the peer's is dropped. Behind standard output, it is all over.
 */
static void down_unheard(struct relay *r, int error)
{
    r->plain_len = 0;
    r->deaf = true;
    if (!r->local.may_stop)
        finish(r, RELAY_LOCAL, "cannot write", error);
    else if (r->up == FLOW_ENDED)
        (void)shutdown(r->net, SHUT_WR);
}

static void down_write(struct relay *r)
{
    if (r->deaf) {
        r->plain_len = 0;
        return;
    }
    ssize_t n = cli_end_write(&r->local, r->plain, r->plain_len);
    if (n >= 0) {
        r->plain += n;
        r->plain_len -= (size_t)n;
    } else if (is_gone(errno)) {
        down_unheard(r, errno);
    } else if (!is_again(errno)) {
        finish(r, RELAY_LOCAL, "cannot write", errno);
    }
}

/* Makes the next bytes for local out of the raw ones. False: more raw bytes are needed. */
static bool down_open(struct relay *r)
{
    size_t left = r->raw_end - r->raw_at, len = left;
    int used = (int)left;

    if (left == 0)
        return false;
    r->plain = r->raw + r->raw_at;
    if (r->record) {
        used = tryst_record_open(r->record, r->plain, left, r->opened, &len);
        r->plain = r->opened;
    }
    if (used == 0)
        return false;
    if (used < 0 || r->down != FLOW_OPEN) {
        finish(r, RELAY_FORGED, "a record is not genuine: the connection is closed", 0);
        return false;
    }
    r->raw_at += (size_t)used;
    r->plain_len = len;
    r->received += len;
    if (len == 0)
        r->down = FLOW_ENDING;
    return true;
}

/* With the record layer, only an empty record is the end of the data; a FIN alone may be anybody's.
 */
static void down_closed(struct relay *r, int error)
{
    bool over = r->deaf && r->up == FLOW_ENDED; /* the peer knows that nobody listens here */

    r->net_closed = true;
    if (over)
        r->down = FLOW_ENDED;
    else if (error)
        finish(r, RELAY_LOST, "the connection to the peer was lost", error);
    else if (!r->record)
        r->down = FLOW_ENDING;
    else if (r->down == FLOW_OPEN)
        finish(r, RELAY_LOST, "the connection to the peer was cut off", 0);
}

/* Whether there is something to open now. */
static bool down_receive(struct relay *r)
{
    if (r->raw_at > 0) {
        memmove(r->raw, r->raw + r->raw_at, r->raw_end - r->raw_at);
        r->raw_end -= r->raw_at;
        r->raw_at = 0;
    }
    ssize_t n = recv(r->net, r->raw + r->raw_end, RECEIVE_SIZE - r->raw_end, MSG_DONTWAIT);
    if (n > 0) {
        r->raw_end += (size_t)n;
        return true;
    }
    if (n == 0 || !is_again(errno))
        down_closed(r, n == 0 ? 0 : errno);
    return false;
}

/* Whether it can be written to is asked first only where a write might block. */
static void down_step(struct relay *r, bool readable, bool writable)
{
    bool guarded = r->local.out_way == END_GUARDED;
    uint64_t most = r->received + STEP_BYTES;

    r->more = false;
    for (int i = 0; i < STEP_RECORDS && r->received < most; i++) {
        if (down_pending(r) && (writable || !guarded))
            down_write(r);
        if (down_pending(r) || r->result != RELAY_RUNNING)
            return;
        writable = false;
        if (r->down == FLOW_ENDING)
            down_ended(r);
        if (down_open(r))
            continue;
        if (!readable || r->net_closed || r->result != RELAY_RUNNING)
            return;
        readable = down_receive(r);
    }
    r->more = true;
}

/* ---- both ---- */

static void want(struct pollfd *p, int fd, int events)
{
    *p = (struct pollfd){.fd = events ? fd : -1, .events = (short)events};
}

void cli_relay_pollfds(const struct relay *r, struct pollfd fds[RELAY_FDS])
{
    int net = up_pending(r) ? POLLOUT : 0;

    if (!down_pending(r) && !r->net_closed)
        net |= POLLIN;
    want(&fds[NET], r->net, net);
    want(&fds[LOCAL_IN], r->local.in, r->up == FLOW_OPEN && !up_pending(r) ? POLLIN : 0);
    want(&fds[LOCAL_OUT], r->local.out, down_pending(r) ? POLLOUT : 0);
    if (r->down == FLOW_OPEN && !r->deaf) /* errors are reported without being asked for */
        fds[LOCAL_OUT].fd = r->local.out;
}

bool cli_relay_more(const struct relay *r)
{
    return r->more && r->result == RELAY_RUNNING;
}

enum relay_result cli_relay_step(struct relay *r, const struct pollfd fds[RELAY_FDS])
{
    int out = fds[LOCAL_OUT].revents;

    if (out & (POLLERR | POLLHUP | POLLNVAL))
        down_unheard(r, EPIPE);
    down_step(r, fds[NET].revents != 0, (out & POLLOUT) != 0);
    up_step(r, fds[LOCAL_IN].revents != 0);
    if (r->up == FLOW_ENDED && r->down == FLOW_ENDED)
        finish(r, RELAY_DONE, "", 0);
    return r->result;
}
