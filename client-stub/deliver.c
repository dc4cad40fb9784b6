/* SPDX-License-Identifier: ISC */
#include "client-stub/deliver.h"

#include <string.h>

#include "client-stub/check.h"
#include "client-stub/core.h"
#include "client-stub/listener.h"
#include "client-stub/request.h"

/* Coming back would meet the same answer. */
static bool is_final(unsigned reason)
{
    switch (reason) {
    case REASON_SERVER_KEY:
    case REASON_VERSION:
    case REASON_NOT_REGISTERED:
    case REASON_INVITE:
    case REASON_NAME_TAKEN:
    case REASON_BANNED:
    case REASON_REPLACED:
        return true;
    default:
        return false;
    }
}

/* Clock exchange: the receive time is that of the bytes, before anything was decrypted. */
static void on_sync(struct tryst_context *ctx, struct msg *m)
{
    m->sync_.receive = ctx->channel.received_at;
    m->sync_.transmit = core_now(ctx);
    (void)channel_send(ctx, m);
}

static void on_bye(struct tryst_context *ctx, const struct msg_bye *m)
{
    if (is_final(m->reason))
        channel_refused(ctx, m->reason, m->text);
    else
        channel_lost(ctx, m->reason ? m->reason : TRYST_SERVER_LOST, m->text, m->delay_ms);
}

static void on_error(struct tryst_context *ctx, const struct msg_error *m)
{
    if (is_final(m->reason))
        channel_refused(ctx, m->reason, m->text);
    else if (!ctx->channel.registered)
        channel_lost(ctx, m->reason ? m->reason : TRYST_PROTOCOL, m->text, 0);
    else
        core_log(ctx, TRYST_LOG_WARNING, "the server reports: %s%s%s", reason_text(m->reason),
                 *m->text ? ": " : "", m->text);
}

static void refuse_type(struct tryst_context *ctx, unsigned type)
{
    struct msg m;

    core_log(ctx, TRYST_LOG_DEBUG, "message of unknown type %u", type);
    memset(&m, 0, sizeof(m));
    m.type = MSG_ERROR;
    m.error_.reason = REASON_PROTOCOL;
    (void)channel_send(ctx, &m);
}

static void dispatch(struct tryst_context *ctx, struct msg *m)
{
    switch (m->type) {
    case MSG_REGISTERED:
        channel_registered(ctx, &m->registered_);
        break;
    case MSG_SURVEY:
        answer_survey(ctx, &m->survey_);
        break;
    case MSG_INVITE:
        listener_invited(ctx, &m->invite_);
        break;
    case MSG_PREPARE:
        request_prepare(ctx, &m->prepare_);
        break;
    case MSG_PUNCH:
        request_punch(ctx, &m->punch_);
        break;
    case MSG_CHECKED:
        check_answered(ctx, &m->checked_);
        break;
    case MSG_OUTCOME:
        request_outcome(ctx, &m->outcome_);
        break;
    case MSG_SYNC:
        on_sync(ctx, m);
        break;
    case MSG_REDIRECT:
        channel_redirect(ctx, &m->redirect_);
        break;
    case MSG_BYE:
        on_bye(ctx, &m->bye_);
        break;
    case MSG_ERROR:
        on_error(ctx, &m->error_);
        break;
    default: /* a message that only servers take */
        refuse_type(ctx, m->type);
        break;
    }
}

void deliver(struct tryst_context *ctx, const uint8_t *plain, size_t len)
{
    struct msg m;
    int result = msg_decode(plain, len, &m);

    if (result == MSG_UNKNOWN_TYPE) {
        refuse_type(ctx, m.type);
        return;
    }
    if (result != 0) {
        channel_lost(ctx, TRYST_SERVER_LOST, "a message was malformed", 0);
        return;
    }
    core_log(ctx, TRYST_LOG_DEBUG, "received %s", msg_name(m.type));
    dispatch(ctx, &m);
}
