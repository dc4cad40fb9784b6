/* SPDX-License-Identifier: ISC */
#include "client-stub/check.h"

#include <stdio.h>
#include <string.h>

#include "client-stub/core.h"
#include "client-stub/event.h"
#include "client-stub/outlook.h"
#include "client-stub/report.h"

/* ---- asking ---- */

struct tryst_request *tryst_check_request(struct tryst_context *ctx, const char *peer,
                                          int timeout_ms)
{
    struct tryst_request *req =
        request_outgoing(ctx, peer, timeout_ms, peer ? CHECK_OF_PEER : CHECK_OF_NAT);

    if (req && !(req->outlook = outlook_new(ctx))) {
        request_free(req);
        return NULL;
    }
    core_settle(ctx);
    return req;
}

static uint16_t flags_of(const struct tryst_context *ctx)
{
    return ctx->birthday ? SESSION_BIRTHDAY : 0;
}

static void ask_about_nat(const struct tryst_request *req, struct msg *m)
{
    m->type = MSG_CHECK;
    m->check_.request = req->number;
    m->check_.flags = flags_of(req->ctx);
    m->check_.budget = (uint16_t)core_budget(req->ctx);
}

static void ask_about_peer(const struct tryst_request *req, struct msg *m)
{
    tick left = req->ends_at - core_now(req->ctx);

    m->type = MSG_CONNECT;
    m->connect_.request = req->number;
    (void)snprintf(m->connect_.peer, sizeof(m->connect_.peer), "%s", req->peer);
    if (req->has_pin)
        memcpy(m->connect_.pinned, req->pin, sizeof(req->pin));
    m->connect_.flags = flags_of(req->ctx) | SESSION_CHECK;
    m->connect_.budget = (uint16_t)core_budget(req->ctx);
    m->connect_.timeout_ms = (uint32_t)(tick_max(left, TICK_MS) / TICK_MS);
}

void check_send(struct tryst_request *req)
{
    struct tryst_context *ctx = req->ctx;
    struct msg m;

    memset(&m, 0, sizeof(m));
    req->number = ++ctx->last_number;
    if (req->check == CHECK_OF_NAT)
        ask_about_nat(req, &m);
    else
        ask_about_peer(req, &m);
    if (channel_send(ctx, &m) != 0)
        return;
    req->state = REQUEST_ASKED;
    req->asked_at = core_now(ctx);
    report_stage(req->report, TRYST_STAGE_REQUESTED, req->asked_at);
}

/* ---- the answer ---- */

/* Whether it is about what was asked. */
static bool fits(const struct tryst_request *req, const struct msg_checked *m)
{
    if (req->check == CHECK_OF_NAT)
        return key_is_zero(m->peer);
    return !key_is_zero(m->peer) && m->prospects.count == 1;
}

void check_answered(struct tryst_context *ctx, const struct msg_checked *m)
{
    struct tryst_request *req = m->request ? request_find(ctx, m->request, NULL) : NULL;

    if (!req || !req->check)
        return;
    if (m->reason != REASON_OK)
        request_fail(req, m->reason, "");
    else if (!fits(req, m))
        request_fail(req, TRYST_PROTOCOL, "the answer is to another question");
    else if (req->has_pin && !key_equal(req->pin, m->peer))
        request_fail(req, TRYST_PEER_KEY, "");
    else {
        outlook_fill(req->outlook, m, ctx->birthday);
        request_checked(req);
    }
}

/* ---- being asked about ---- */

static int send_accept(struct tryst_context *ctx, const uint8_t *session)
{
    struct msg m;

    memset(&m, 0, sizeof(m));
    m.type = MSG_ACCEPT;
    memcpy(m.accept_.session, session, MSG_ID_SIZE);
    m.accept_.flags = flags_of(ctx);
    m.accept_.budget = (uint16_t)core_budget(ctx);
    return channel_send(ctx, &m) == 0 ? 0 : -TRYST_SERVER_LOST;
}

void check_invited(struct tryst_context *ctx, const struct msg_invite *m)
{
    char who[MSG_TEXT_SIZE + KEY_TEXT_SIZE + 4], key[KEY_TEXT_SIZE];

    (void)snprintf(who, sizeof(who), *m->name ? "%s (%s)" : "%s%s", m->name,
                   key_format(m->peer, key));
    core_log(ctx, TRYST_LOG_INFO, "%s asks what a connection would come to", who);
    event_add(ctx, TRYST_EVENT_ASKED, NULL, 0, who);
    (void)send_accept(ctx, m->session);
}

int check_accept(struct tryst_request *req)
{
    int result = send_accept(req->ctx, req->id);

    if (result == 0)
        request_checked(req);
    return result;
}
