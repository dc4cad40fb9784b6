/* SPDX-License-Identifier: ISC */
#include "client-stub/answer.h"

#include <string.h>

#include "client-stub/core.h"
#include "client-stub/event.h"
#include "client-stub/observe.h"
#include "client-stub/sock.h"

/* How long the server may still use what a survey left open, for its filtering test. */
#define KEEP_TIME (10 * TICK_S)

static void expired(struct deadline *d)
{
    answer_end(CONTAINER(d, struct answer, expiry));
}

/* The filtering test has come through; that is all it wants. */
static void accepted(struct ports *ports, const struct port *port, int fd)
{
    (void)port;
    sock_close_gently(ports->ctx, &fd);
}

void answer_init(struct answer *a, struct tryst_context *ctx)
{
    a->ctx = ctx;
    a->expiry.fn = expired;
    ports_init(&a->ports, ctx, accepted);
}

void answer_end(struct answer *a)
{
    observe_close(a->observe);
    a->observe = NULL;
    ports_close(&a->ports);
    core_clear(a->ctx, &a->expiry);
}

static void all_observed(struct observe *o)
{
    struct answer *a = o->owner;
    struct msg m;

    memset(&m, 0, sizeof(m));
    m.type = MSG_SURVEYED;
    m.surveyed_.survey = a->survey;
    m.surveyed_.failed = o->failed;
    m.surveyed_.crossing = o->crossing;
    core_log(a->ctx, TRYST_LOG_DEBUG, "survey: %u steps, %u failed", o->steps.count, o->failed);
    core_deadline(a->ctx, &a->expiry, tick_after(core_now(a->ctx), KEEP_TIME));
    (void)channel_send(a->ctx, &m);
    event_add(a->ctx, TRYST_EVENT_SURVEYED, NULL, 0, "");
}

/* How many sockets of a family the steps name; no more than there can be steps. */
static unsigned sockets_named(const struct steps *steps, int family)
{
    unsigned count = 0;

    for (unsigned i = 0; i < steps->count; i++) {
        const struct step *s = &steps->at[i];
        if (s->server.family == family && s->socket < MSG_STEPS_MAX && s->socket >= count)
            count = s->socket + 1u;
    }
    return count;
}

void answer_survey(struct tryst_context *ctx, const struct msg_survey *m)
{
    struct answer *a = &ctx->answer;

    answer_end(a);
    a->survey = m->survey;
    for (int family = 4; family <= 6; family += 2) {
        /* A port that could not be bound shows as a failed step. */
        if (ports_bind_sorted(&a->ports, family, sockets_named(&m->steps, family)) != 0)
            core_log(ctx, TRYST_LOG_WARNING, "survey: not every IPv%d socket could be bound",
                     family);
    }
    a->observe = observe_new(ctx, &a->ports, m->token, m->secret, &m->steps, all_observed, a);
    if (!a->observe)
        core_log(ctx, TRYST_LOG_ERROR, "out of memory for a survey");
}
