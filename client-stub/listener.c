/* SPDX-License-Identifier: ISC */
/* The wish to be reached, and incoming sessions up to their acceptance. */
#include "client-stub/listener.h"

#include <stdio.h>
#include <string.h>

#include "client-stub/check.h"
#include "client-stub/core.h"
#include "client-stub/event.h"
#include "client-stub/report.h"
#include "client-stub/request.h"

struct tryst_listener *tryst_listen(struct tryst_context *ctx)
{
    if (ctx->listener)
        return NULL;
    struct tryst_listener *l = core_alloc(ctx, sizeof(*l));
    if (!l)
        return NULL;
    l->ctx = ctx;
    ctx->listener = l;
    channel_renew(ctx);
    core_settle(ctx);
    return l;
}

void tryst_listener_free(struct tryst_listener *listener)
{
    if (!listener)
        return;
    struct tryst_context *ctx = listener->ctx;
    ctx->listener = NULL;
    if (listener->keys)
        core_release(ctx, listener->keys);
    core_release(ctx, listener);
    channel_renew(ctx);
    core_settle(ctx);
}

int tryst_listener_allow_key(struct tryst_listener *listener, const uint8_t key[TRYST_KEY_SIZE])
{
    const struct tryst_allocator *alloc = &listener->ctx->alloc;

    if (listener->count == listener->size) {
        unsigned size = listener->size ? 2 * listener->size : 8;
        void *keys = alloc->resize(alloc->user, listener->keys, (size_t)size * TRYST_KEY_SIZE);
        if (!keys)
            return -TRYST_NO_MEMORY;
        listener->keys = keys;
        listener->size = size;
    }
    memcpy(listener->keys[listener->count++], key, TRYST_KEY_SIZE);
    return 0;
}

int tryst_listener_allow_all(struct tryst_listener *listener, int yes)
{
    listener->all = yes;
    return 0;
}

int tryst_listener_decline_others(struct tryst_listener *listener, int yes)
{
    listener->decline_others = yes;
    return 0;
}

int tryst_listener_set_plain(struct tryst_listener *listener, int yes)
{
    listener->plain = yes;
    return 0;
}

static bool allowed(const struct tryst_listener *l, const uint8_t *key)
{
    bool found = l->all;

    for (unsigned i = 0; i < l->count && !found; i++)
        found = key_equal(l->keys[i], key);
    return found;
}

static void reject(struct tryst_context *ctx, const uint8_t *session, int reason, const char *text)
{
    struct msg m;

    memset(&m, 0, sizeof(m));
    m.type = MSG_REJECT;
    memcpy(m.reject_.session, session, MSG_ID_SIZE);
    m.reject_.reason = (uint8_t)reason;
    (void)snprintf(m.reject_.text, sizeof(m.reject_.text), "%s", text);
    (void)channel_send(ctx, &m);
}

static struct tryst_request *new_incoming(struct tryst_context *ctx, const struct msg_invite *m)
{
    struct tryst_request *req = request_new(ctx, true, m->timeout_ms);

    if (!req)
        return NULL;
    struct tryst_report *r = req->report;
    req->state = REQUEST_OFFERED;
    req->plain = ctx->listener->plain;
    req->check = m->flags & SESSION_CHECK ? CHECK_OF_PEER : CHECK_NONE;
    r->check = req->check;
    memcpy(req->id, m->session, sizeof(req->id));
    req->has_id = true;
    memcpy(r->session, m->session, sizeof(r->session));
    r->has_session = true;
    memcpy(r->peer_key, m->peer, sizeof(r->peer_key));
    r->has_peer_key = true;
    (void)snprintf(r->peer_name, sizeof(r->peer_name), "%s", m->name);
    report_stage(r, TRYST_STAGE_REGISTERED, r->at[TRYST_STAGE_START]);
    report_stage(r, TRYST_STAGE_REQUESTED, r->at[TRYST_STAGE_START]);
    return req;
}

void listener_invited(struct tryst_context *ctx, const struct msg_invite *m)
{
    const struct tryst_listener *l = ctx->listener;
    bool welcome = l && allowed(l, m->peer);

    if (request_find(ctx, 0, m->session))
        return;
    if (!l || (!welcome && l->decline_others)) {
        core_log(ctx, TRYST_LOG_INFO, "declined %s", m->name);
        reject(ctx, m->session, TRYST_DECLINED, "");
        return;
    }
    if (welcome && m->flags & SESSION_CHECK) {
        check_invited(ctx, m);
        return;
    }
    struct tryst_request *req =
        ctx->incoming_count < CORE_INCOMING_MAX ? new_incoming(ctx, m) : NULL;
    if (!req) {
        reject(ctx, m->session, TRYST_LIMIT, "too many sessions at once");
        return;
    }
    if (!welcome) {
        event_add(ctx, TRYST_EVENT_INCOMING, req, 0, "");
        return;
    }
    event_add(ctx, TRYST_EVENT_INVITED, req, 0, "");
    (void)request_send_accept(req);
}

int tryst_request_accept(struct tryst_request *req, unsigned flags)
{
    struct tryst_context *ctx = req->ctx;

    if (req->state != REQUEST_OFFERED)
        return -TRYST_STATE;
    req->plain = flags & TRYST_REQUEST_PLAIN;
    int result = req->check ? check_accept(req) : request_send_accept(req);
    core_settle(ctx);
    return result;
}

int tryst_request_reject(struct tryst_request *req, const char *text)
{
    struct tryst_context *ctx = req->ctx;

    if (req->state != REQUEST_OFFERED)
        return -TRYST_STATE;
    reject(ctx, req->id, TRYST_DECLINED, text ? text : "");
    request_fail(req, TRYST_DECLINED, text ? text : "");
    core_settle(ctx);
    return 0;
}
