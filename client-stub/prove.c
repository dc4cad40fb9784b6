/* SPDX-License-Identifier: ISC */
/*
 * The proof that the right host answered, and the choice of one connection (PROTOCOL.md, "Punched
 * connections"):
 *
 *   requester                             target
 *   HELLO_PEER, KK message 1 (flags) ->
 *                                         <- KK message 2 (flags)
 *   SELECT, sealed                   ->
 *
 * The requester takes the first connection on which message 2 comes; the target the one on which
 * SELECT comes. Frames have one size each, and no byte beyond them is read: what follows belongs to
 * the application.
 */
#include "client-stub/prove.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>

#include "client-stub/core.h"
#include "client-stub/punch.h"
#include "client-stub/record.h"
#include "client-stub/report.h"
#include "client-stub/request.h"
#include "client-stub/sock.h"
#include "proto/frame.h"

#define PROOF_LIMIT (5 * TICK_S)
#define PROOFS_MAX  64  /* of one session at once */
#define ACCEPTS_MAX 512 /* connections taken from listeners in one session */

#define MESSAGE_1_SIZE (FRAME_HEADER_SIZE + 1 + NOISE_KK_1_OVERHEAD + 1)
#define MESSAGE_2_SIZE (FRAME_HEADER_SIZE + NOISE_KK_2_OVERHEAD + 1)
#define SELECT_SIZE    (FRAME_HEADER_SIZE + 1 + NOISE_TAG_SIZE)

enum proof_state { AWAIT_MESSAGE_1, AWAIT_MESSAGE_2, AWAIT_SELECT };

static const uint8_t expected_size[] = {
    [AWAIT_MESSAGE_1] = MESSAGE_1_SIZE,
    [AWAIT_MESSAGE_2] = MESSAGE_2_SIZE,
    [AWAIT_SELECT] = SELECT_SIZE,
};

struct proof {
    struct tryst_request *request;
    struct proof *next;
    struct proof *previous;
    struct watch watch;
    struct deadline limit;
    int fd;
    uint8_t round;
    uint8_t how; /* RESULT_CONNECTED or RESULT_ACCEPTED */
    enum proof_state state;
    bool peer_plain;
    uint8_t in[MESSAGE_1_SIZE];
    size_t in_len;
    struct noise_handshake handshake; /* kept after the split, for exported keys */
    struct noise_cipher send;
    struct noise_cipher receive;
};

static void proof_ready(struct watch *w, uint32_t events);
static void proof_due(struct deadline *d);

/* ---- making and ending ---- */

static void release(struct proof *p)
{
    struct tryst_request *req = p->request;

    core_unwatch(req->ctx, &p->watch);
    core_clear(req->ctx, &p->limit);
    if (p->next)
        p->next->previous = p->previous;
    if (p->previous)
        p->previous->next = p->next;
    else
        req->proofs = p->next;
    req->proof_count--;
    round_proof_over(req, p->round);
    sodium_memzero(p, sizeof(*p));
    core_release(req->ctx, p);
}

void prove_close(struct proof *proof)
{
    sock_close_gently(proof->request->ctx, &proof->fd);
    release(proof);
}

static void fail(struct proof *p, bool silent)
{
    struct tryst_request *req = p->request;
    uint8_t round = p->round;

    core_log(req->ctx, TRYST_LOG_DEBUG, "a connection opened, but %s",
             silent ? "nobody spoke on it" : "not to the peer");
    prove_close(p);
    round_proof_failed(req, round, silent);
}

static struct proof *proof_new(struct tryst_request *req, int fd, uint8_t round, uint8_t how)
{
    struct proof *p = core_alloc(req->ctx, sizeof(*p));

    if (!p)
        return NULL;
    p->request = req;
    p->fd = fd;
    p->round = round;
    p->how = how;
    p->watch.fn = proof_ready;
    p->limit.fn = proof_due;
    p->state = req->incoming ? AWAIT_MESSAGE_1 : AWAIT_MESSAGE_2;
    p->next = req->proofs;
    if (p->next)
        p->next->previous = p;
    req->proofs = p;
    req->proof_count++;
    round_proof_begun(req, round);
    return p;
}

/* ---- messages ---- */

/* A fresh connection has room for so little; if it has not, it is of no use. */
static int send_all(const struct proof *p, const uint8_t *out, size_t len)
{
    return send(p->fd, out, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len ? 0 : -1;
}

static uint8_t own_flags(const struct proof *p)
{
    return p->request->plain ? PROVE_PLAIN : 0;
}

static void start_handshake(struct proof *p)
{
    const struct tryst_request *req = p->request;
    uint8_t prologue[sizeof(PROVE_PROLOGUE) - 1 + MSG_ID_SIZE];

    memcpy(prologue, PROVE_PROLOGUE, sizeof(PROVE_PROLOGUE) - 1);
    memcpy(prologue + sizeof(PROVE_PROLOGUE) - 1, req->id, MSG_ID_SIZE);
    noise_start(&p->handshake, NOISE_KK, !req->incoming, prologue, sizeof(prologue), &req->ctx->key,
                req->report->peer_key);
}

static int send_message_1(struct proof *p)
{
    uint8_t out[MESSAGE_1_SIZE];
    uint8_t flags = own_flags(p);

    frame_put_header(out, MESSAGE_1_SIZE - FRAME_HEADER_SIZE);
    out[FRAME_HEADER_SIZE] = HELLO_PEER;
    if (noise_write(&p->handshake, &p->request->ctx->rng, &flags, 1, out + FRAME_HEADER_SIZE + 1,
                    NOISE_KK_1_OVERHEAD + 1) < 0)
        return -1;
    return send_all(p, out, sizeof(out));
}

static int send_message_2(struct proof *p)
{
    uint8_t out[MESSAGE_2_SIZE];
    uint8_t flags = own_flags(p);

    frame_put_header(out, MESSAGE_2_SIZE - FRAME_HEADER_SIZE);
    if (noise_write(&p->handshake, &p->request->ctx->rng, &flags, 1, out + FRAME_HEADER_SIZE,
                    NOISE_KK_2_OVERHEAD + 1) < 0)
        return -1;
    return send_all(p, out, sizeof(out));
}

/* The ciphers come from a copy: the handshake itself stays, less the keys that it no longer needs,
 * for tryst_report_export(). */
static int split(struct proof *p)
{
    struct noise_handshake copy = p->handshake;
    int result = noise_split(&copy, &p->send, &p->receive, NULL);

    noise_wipe(&copy);
    sodium_memzero(&p->handshake.local_static, sizeof(p->handshake.local_static));
    sodium_memzero(&p->handshake.local_ephemeral, sizeof(p->handshake.local_ephemeral));
    sodium_memzero(&p->handshake.cipher, sizeof(p->handshake.cipher));
    return result;
}

static int send_select(struct proof *p)
{
    static const uint8_t word = PROVE_SELECT;
    uint8_t out[SELECT_SIZE];

    frame_put_header(out, SELECT_SIZE - FRAME_HEADER_SIZE);
    if (noise_seal(&p->send, &word, 1, out + FRAME_HEADER_SIZE) < 0)
        return -1;
    return send_all(p, out, sizeof(out));
}

static int take_flags(struct proof *p, const uint8_t *message, size_t len)
{
    uint8_t flags;

    if (noise_read(&p->handshake, message, len, &flags, 1) != 1)
        return -1;
    p->peer_plain = flags & PROVE_PLAIN;
    return 0;
}

/* Each takes a frame's body. 1: selected; 0: go on; -1: not the peer. */
static int take_message_1(struct proof *p, const uint8_t *body, size_t len)
{
    if (body[0] != HELLO_PEER || take_flags(p, body + 1, len - 1) != 0 || send_message_2(p) != 0 ||
        split(p) != 0)
        return -1;
    p->state = AWAIT_SELECT;
    return 0;
}

static int take_message_2(struct proof *p, const uint8_t *body, size_t len)
{
    if (take_flags(p, body, len) != 0 || split(p) != 0 || send_select(p) != 0)
        return -1;
    return 1;
}

static int take_select(struct proof *p, const uint8_t *body, size_t len)
{
    uint8_t plain[1];

    return noise_open(&p->receive, body, len, plain) == 1 && plain[0] == PROVE_SELECT ? 1 : -1;
}

static int take_frame(struct proof *p)
{
    const uint8_t *body = p->in + FRAME_HEADER_SIZE;
    size_t len = p->in_len - FRAME_HEADER_SIZE;

    p->in_len = 0;
    switch (p->state) {
    case AWAIT_MESSAGE_1:
        return take_message_1(p, body, len);
    case AWAIT_MESSAGE_2:
        return take_message_2(p, body, len);
    default:
        return take_select(p, body, len);
    }
}

/* A stranger shows in the first two bytes, whatever it would say after them. */
static bool right_header(const struct proof *p)
{
    size_t body = (size_t)p->in[0] << 8 | p->in[1];

    return p->in_len < FRAME_HEADER_SIZE || body + FRAME_HEADER_SIZE == expected_size[p->state];
}

/* Reads up to the end of the awaited frame, and never beyond. */
static int receive(struct proof *p)
{
    size_t want = expected_size[p->state];
    ssize_t n = recv(p->fd, p->in + p->in_len, want - p->in_len, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        return -1;
    p->in_len += (size_t)n;
    if (!right_header(p))
        return -1;
    return p->in_len == want ? take_frame(p) : 0;
}

static void proof_ready(struct watch *w, uint32_t events)
{
    struct proof *p = CONTAINER(w, struct proof, watch);
    struct tryst_request *req = p->request;

    (void)events;
    if (req->state == REQUEST_OVER)
        return; /* another connection has been selected */
    int result = receive(p);
    if (result < 0)
        fail(p, false);
    else if (result > 0)
        request_established(req, p);
}

static void proof_due(struct deadline *d)
{
    fail(CONTAINER(d, struct proof, limit), true);
}

/* ---- where connections come from ---- */

static bool is_self(int fd)
{
    struct endpoint local = sock_local(fd);
    struct endpoint remote = sock_remote(fd);

    return endpoint_equal(&local, &remote);
}

static void begin(struct tryst_request *req, int fd, uint8_t round, uint8_t how)
{
    struct tryst_context *ctx = req->ctx;
    struct proof *p = NULL;

    if (req->state == REQUEST_PLANNED && req->proof_count < PROOFS_MAX && !is_self(fd))
        p = proof_new(req, fd, round, how);
    if (!p) {
        sock_close_gently(ctx, &fd);
        return;
    }
    core_deadline(ctx, &p->limit, tick_after(core_now(ctx), PROOF_LIMIT));
    request_opened(req);
    start_handshake(p);
    if (core_watch(ctx, &p->watch, fd, EPOLLIN) != 0 || (!req->incoming && send_message_1(p) != 0))
        fail(p, false);
}

void prove_connected(struct round *round, int fd)
{
    begin(round->request, fd, round->number, RESULT_CONNECTED);
}

void prove_accepted(struct ports *ports, const struct port *port, int fd)
{
    struct tryst_request *req = CONTAINER(ports, struct tryst_request, ports);

    if (!req->rounds || req->accepts++ >= ACCEPTS_MAX) {
        sock_close_gently(ports->ctx, &fd);
        return;
    }
    struct endpoint local = sock_local(fd);
    begin(req, fd, round_by_socket(req, local.family, port->number)->number, RESULT_ACCEPTED);
}

/* ---- success ---- */

static void report_result(const struct proof *p, const struct endpoint *local,
                          const struct endpoint *remote)
{
    struct tryst_request *req = p->request;
    const struct round *round = round_by_number(req, p->round);
    struct msg m;

    memset(&m, 0, sizeof(m));
    m.type = MSG_RESULT;
    if (round)
        round_result(round, &m.result_);
    memcpy(m.result_.session, req->id, sizeof(req->id));
    m.result_.round = p->round;
    m.result_.reason = REASON_OK;
    m.result_.how = p->how;
    m.result_.local = *local;
    m.result_.remote = *remote;
    (void)channel_send(req->ctx, &m);
}

static void fill_report(struct proof *p, struct tryst_report *r, const struct endpoint *local,
                        const struct endpoint *remote)
{
    report_endpoints(r, local, remote);
    r->plain = p->request->plain && p->peer_plain;
    r->handshake = p->handshake;
    r->established = true;
    r->record = record_new(&r->alloc, &p->send, &p->receive);
}

int prove_take(struct proof *proof, struct tryst_report *report)
{
    struct tryst_context *ctx = proof->request->ctx;
    struct endpoint local = sock_local(proof->fd);
    struct endpoint remote = sock_remote(proof->fd);
    int fd = proof->fd;

    fill_report(proof, report, &local, &remote);
    report_result(proof, &local, &remote);
    core_unwatch(ctx, &proof->watch);
    sock_hand_over(ctx, fd);
    release(proof);
    return fd;
}
