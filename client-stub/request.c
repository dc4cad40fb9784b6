/* SPDX-License-Identifier: ISC */
/* A session from its making to its end; request_message.c holds what happens in between. */
#include "client-stub/request.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "client-stub/check.h"
#include "client-stub/core.h"
#include "client-stub/event.h"
#include "client-stub/observe.h"
#include "client-stub/prove.h"
#include "client-stub/punch.h"
#include "client-stub/report.h"
#include "client-stub/sock.h"

static void out_of_time(struct deadline *d);
static void kicked(struct deadline *d);

/* ---- making ---- */

static void link_request(struct tryst_request *req)
{
    struct tryst_context *ctx = req->ctx;

    req->next = ctx->requests;
    if (req->next)
        req->next->previous = req;
    ctx->requests = req;
    if (req->incoming)
        ctx->incoming_count++;
}

static void unlink_request(struct tryst_request *req)
{
    struct tryst_context *ctx = req->ctx;

    if (req->next)
        req->next->previous = req->previous;
    if (req->previous)
        req->previous->next = req->next;
    else
        ctx->requests = req->next;
    if (req->incoming)
        ctx->incoming_count--;
}

struct tryst_request *request_new(struct tryst_context *ctx, bool incoming, int64_t timeout_ms)
{
    struct tryst_request *req = core_alloc(ctx, sizeof(*req));

    if (!req)
        return NULL;
    req->ctx = ctx;
    req->incoming = incoming;
    req->report = report_new(ctx, incoming);
    req->final = event_new(ctx, req);
    if (!req->report || !req->final) {
        tryst_report_free(req->report);
        core_release(ctx, req->final);
        core_release(ctx, req);
        return NULL;
    }
    req->end.fn = out_of_time;
    req->kick.fn = kicked;
    ports_init(&req->ports, ctx, prove_accepted);
    tick limit = timeout_ms > 0 ? tick_min(timeout_ms, CORE_TIMEOUT_MAX / TICK_MS) * TICK_MS
                                : CORE_TIMEOUT_DEFAULT;
    req->ends_at = tick_after(core_now(ctx), limit);
    core_deadline(ctx, &req->end, req->ends_at);
    link_request(req);
    return req;
}

/* A name or a key; a key pins itself. */
static int set_peer(struct tryst_request *req, const char *peer)
{
    char name[PEER_NAME_SIZE];

    if (key_parse(peer, req->pin) == 0) {
        req->has_pin = true;
        (void)key_format(req->pin, req->peer);
        return 0;
    }
    if (peer_name_parse(peer, name) != 0)
        return -1;
    (void)snprintf(req->peer, sizeof(req->peer), "%s", name);
    (void)snprintf(req->report->peer_name, sizeof(req->report->peer_name), "%s", name);
    return 0;
}

struct tryst_request *request_outgoing(struct tryst_context *ctx, const char *peer,
                                       int64_t timeout_ms, enum request_check check)
{
    struct tryst_request *req = request_new(ctx, false, timeout_ms);

    if (!req)
        return NULL;
    req->state = REQUEST_WAITING;
    req->check = check;
    req->report->check = check != CHECK_NONE;
    if (check != CHECK_OF_NAT && set_peer(req, peer) != 0) {
        request_free(req);
        return NULL;
    }
    core_deadline(ctx, &req->kick, core_now(ctx));
    return req;
}

struct tryst_request *tryst_request(struct tryst_context *ctx, const char *peer, int timeout_ms,
                                    unsigned flags)
{
    struct tryst_request *req = request_outgoing(ctx, peer, timeout_ms, CHECK_NONE);

    if (!req)
        return NULL;
    req->plain = flags & TRYST_REQUEST_PLAIN;
    core_settle(ctx);
    return req;
}

int tryst_request_pin(struct tryst_request *req, const uint8_t key[TRYST_KEY_SIZE])
{
    if (req->incoming || req->state > REQUEST_ASKED)
        return -TRYST_STATE;
    if (req->has_pin && !key_equal(req->pin, key))
        return -TRYST_INVALID;
    memcpy(req->pin, key, sizeof(req->pin));
    req->has_pin = true;
    return 0;
}

void tryst_request_set_user(struct tryst_request *req, void *user)
{
    req->user = user;
}

void *tryst_request_user(const struct tryst_request *req)
{
    return req->user;
}

const struct tryst_report *tryst_request_report(const struct tryst_request *req)
{
    return req->report;
}

/* Whether a connection may still come out of it without further word from the server. */
static bool alive(const struct tryst_request *req)
{
    return req->proof_count > 0 || (req->rounds && round_running(req->rounds));
}

/* ---- sending ---- */

static void add_family(struct tryst_request *req, int family, struct endpoints *locals)
{
    const struct endpoint *channel = &req->ctx->channel.local;
    struct endpoint address = *channel;

    if (channel->family != family && !sock_host_address(req->ctx, family, &address))
        return;
    uint16_t port = ports_get(&req->ports, family, 0);
    if (port)
        locals->at[locals->count++] = endpoint_with_port(address, port);
}

/* Binds the punch sockets and lists their endpoints; false if no family is left. */
static bool list_locals(struct tryst_request *req, struct endpoints *locals)
{
    locals->count = 0;
    add_family(req, 4, locals);
    add_family(req, 6, locals);
    return locals->count > 0;
}

static uint16_t session_flags(const struct tryst_request *req)
{
    return (uint16_t)((req->ctx->birthday ? SESSION_BIRTHDAY : 0) |
                      (req->plain ? SESSION_PLAIN : 0));
}

static int send_connect(struct tryst_request *req)
{
    struct tryst_context *ctx = req->ctx;
    tick now = core_now(ctx);
    struct msg m;

    memset(&m, 0, sizeof(m));
    m.type = MSG_CONNECT;
    req->number = ++ctx->last_number;
    m.connect_.request = req->number;
    (void)snprintf(m.connect_.peer, sizeof(m.connect_.peer), "%s", req->peer);
    if (req->has_pin)
        memcpy(m.connect_.pinned, req->pin, sizeof(req->pin));
    m.connect_.flags = session_flags(req);
    m.connect_.budget = (uint16_t)core_budget(ctx);
    m.connect_.timeout_ms = (uint32_t)(tick_max(req->ends_at - now, TICK_MS) / TICK_MS);
    if (!list_locals(req, &m.connect_.locals)) {
        request_fail(req, TRYST_LOCAL_SOCKET, "no punch socket could be bound");
        return -1;
    }
    if (channel_send(ctx, &m) != 0)
        return -1;
    req->state = REQUEST_ASKED;
    req->asked_at = now;
    report_stage(req->report, TRYST_STAGE_REQUESTED, now);
    return 0;
}

void request_send_waiting(struct tryst_context *ctx)
{
    struct tryst_request *next;

    for (struct tryst_request *req = ctx->requests; req; req = next) {
        next = req->next;
        if (req->state == REQUEST_WAITING && ctx->channel.state == CHANNEL_OPEN) {
            if (ctx->channel.registered)
                report_stage(req->report, TRYST_STAGE_REGISTERED, core_now(ctx));
            if (req->check)
                check_send(req);
            else
                (void)send_connect(req);
        }
    }
}

static void kicked(struct deadline *d)
{
    struct tryst_request *req = CONTAINER(d, struct tryst_request, kick);

    if (req->ctx->stopped)
        request_fail(req, req->ctx->stopped, "");
    else
        request_send_waiting(req->ctx);
}

int request_send_accept(struct tryst_request *req)
{
    struct msg m;

    memset(&m, 0, sizeof(m));
    m.type = MSG_ACCEPT;
    memcpy(m.accept_.session, req->id, sizeof(req->id));
    m.accept_.flags = session_flags(req);
    m.accept_.budget = (uint16_t)core_budget(req->ctx);
    if (!list_locals(req, &m.accept_.locals)) {
        request_fail(req, TRYST_LOCAL_SOCKET, "no punch socket could be bound");
        return -TRYST_LOCAL_SOCKET;
    }
    req->state = REQUEST_ASKED;
    return channel_send(req->ctx, &m) == 0 ? 0 : -TRYST_SERVER_LOST;
}

void request_send_cancel(struct tryst_request *req)
{
    struct msg m;

    if ((req->state != REQUEST_ASKED && req->state != REQUEST_PLANNED) ||
        req->check == CHECK_OF_NAT)
        return;
    memset(&m, 0, sizeof(m));
    m.type = MSG_CANCEL;
    m.cancel_.request = req->number;
    if (req->has_id)
        memcpy(m.cancel_.session, req->id, sizeof(req->id));
    (void)channel_send(req->ctx, &m);
}

/* ---- ending ---- */

static void close_all(struct tryst_request *req)
{
    struct tryst_context *ctx = req->ctx;

    core_clear(ctx, &req->end);
    core_clear(ctx, &req->kick);
    while (req->proofs)
        prove_close(req->proofs);
    while (req->rounds) {
        struct round *older = round_older(req->rounds);
        round_close(req->rounds);
        req->rounds = older;
    }
    while (req->observes) {
        struct observe *older = req->observes->next;
        observe_close(req->observes);
        req->observes = older;
    }
    ports_close(&req->ports);
}

void request_sweep(struct tryst_context *ctx)
{
    while (ctx->over) {
        struct tryst_request *req = ctx->over;
        ctx->over = req->next_over;
        req->next_over = NULL;
        close_all(req);
    }
}

static void finish(struct tryst_request *req, enum tryst_event_type type, int reason,
                   const char *text)
{
    struct tryst_context *ctx = req->ctx;
    struct tryst_event *final = req->final;

    req->state = REQUEST_OVER;
    req->final = NULL;
    report_reason(req->report, reason, text);
    final->report = report_share(req->report);
    if (type == TRYST_EVENT_CHECKED) {
        final->outlook = req->outlook;
        req->outlook = NULL;
    }
    core_clear(ctx, &req->end);
    core_clear(ctx, &req->kick);
    req->next_over = ctx->over;
    ctx->over = req;
    event_queue(final, type, reason, text);
}

void request_fail(struct tryst_request *req, int reason, const char *text)
{
    if (req->state == REQUEST_OVER)
        return;
    core_log(req->ctx, TRYST_LOG_INFO, "session failed: %s%s%s", reason_text((unsigned)reason),
             *text ? ": " : "", text);
    finish(req, TRYST_EVENT_FAILED, reason, text);
}

void request_established(struct tryst_request *req, struct proof *proof)
{
    struct tryst_event *final = req->final;

    req->state = REQUEST_OVER; /* whatever becomes of the channel that RESULT is sent on */
    final->fd = prove_take(proof, req->report);
    report_stage(req->report, TRYST_STAGE_PROVEN, core_now(req->ctx));
    core_log(req->ctx, TRYST_LOG_INFO, "session established, %s to %s", req->report->local_text,
             req->report->remote_text);
    finish(req, TRYST_EVENT_ESTABLISHED, 0, "");
}

void request_checked(struct tryst_request *req)
{
    finish(req, TRYST_EVENT_CHECKED, 0, "");
}

/* Why the time has run out: whatever stands in the way is the better answer. */
static int timeout_reason(const struct tryst_request *req)
{
    if (req->state == REQUEST_WAITING && req->ctx->channel.told)
        return req->ctx->channel.told;
    return req->lost_reason ? req->lost_reason : TRYST_TIMEOUT;
}

static void out_of_time(struct deadline *d)
{
    struct tryst_request *req = CONTAINER(d, struct tryst_request, end);
    struct tryst_context *ctx = req->ctx;
    bool silent = req->state == REQUEST_ASKED && !req->incoming &&
                  ctx->channel.state == CHANNEL_OPEN && ctx->channel.received_at < req->asked_at;

    request_send_cancel(req);
    request_fail(req, timeout_reason(req), "");
    /* Not a byte since the question: the channel is dead, long before keepalive would find out. */
    if (silent && ctx->channel.state == CHANNEL_OPEN)
        channel_lost(ctx, TRYST_SERVER_LOST, "no answer", 0);
}

int tryst_cancel(struct tryst_request *req)
{
    struct tryst_context *ctx = req->ctx;

    if (req->state == REQUEST_OVER)
        return -TRYST_STATE;
    request_send_cancel(req);
    request_fail(req, TRYST_CANCELLED, "");
    core_settle(ctx);
    return 0;
}

void request_free(struct tryst_request *req)
{
    struct tryst_context *ctx = req->ctx;

    for (struct tryst_request **p = &ctx->over; *p; p = &(*p)->next_over) {
        if (*p == req) {
            *p = req->next_over;
            break;
        }
    }
    close_all(req);
    unlink_request(req);
    event_forget(ctx, req);
    core_release(ctx, req->final);
    tryst_outlook_free(req->outlook);
    tryst_report_free(req->report);
    sodium_memzero(req, sizeof(*req));
    core_release(ctx, req);
}

void request_fail_all(struct tryst_context *ctx, int reason, const char *text)
{
    for (struct tryst_request *req = ctx->requests; req; req = req->next)
        request_fail(req, reason, text);
}

void request_registered(struct tryst_context *ctx)
{
    tick now = core_now(ctx);

    for (struct tryst_request *req = ctx->requests; req; req = req->next) {
        if (!req->incoming && req->state == REQUEST_ASKED)
            report_stage(req->report, TRYST_STAGE_REGISTERED, now);
    }
}

static void ask_again(struct tryst_request *req)
{
    req->state = REQUEST_WAITING;
    req->has_id = false;
    req->report->has_session = false;
}

void request_channel_lost(struct tryst_context *ctx, bool final, int reason, const char *text)
{
    int fatal = reason == TRYST_DRAINING ? reason : TRYST_SERVER_LOST;

    for (struct tryst_request *req = ctx->requests; req; req = req->next) {
        if (req->state == REQUEST_WAITING || req->state == REQUEST_OVER)
            continue;
        bool asked = req->state == REQUEST_ASKED || req->state == REQUEST_OFFERED;
        if (asked && !req->incoming && !final)
            ask_again(req);
        else if (asked)
            request_fail(req, fatal, text);
        else if (req->state == REQUEST_PLANNED && !alive(req))
            request_fail(req, req->lost_reason ? req->lost_reason : fatal, text);
        else
            req->server_done = true; /* the next channel knows nothing of it */
    }
}
