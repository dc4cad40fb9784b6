/* SPDX-License-Identifier: ISC */
#include "client-stub/dial.h"

#include <errno.h>
#include <string.h>

#include "client-stub/core.h"
#include "client-stub/prove.h"
#include "client-stub/punch.h"
#include "client-stub/report.h"
#include "client-stub/request.h"
#include "client-stub/sock.h"

#define RETRIES_MAX 64 /* of one SYN */

static void dial_ready(struct watch *w, uint32_t events);
static void retry(struct deadline *deadline);

static struct tryst_context *context_of(const struct dial *d)
{
    return d->round->request->ctx;
}

void dial_init(struct dial *d, struct round *round, uint16_t number, const struct endpoint *remote,
               tick moment)
{
    memset(d, 0, sizeof(*d));
    d->round = round;
    d->watch.fn = dial_ready;
    d->retry.fn = retry;
    d->fd = -1;
    d->number = number;
    d->remote = *remote;
    d->moment = moment;
}

int dial_make(struct dial *d)
{
    struct tryst_request *req = d->round->request;

    if (d->fd >= 0)
        return 0;
    d->fd = ports_open_dialling(&req->ports, d->remote.family, d->number);
    if (d->fd < 0)
        return -1;
    /* An ICMP refusal must be told from a RST: it forbids another try from this port. */
    sock_report_icmp(d->fd, d->remote.family, true);
    return 0;
}

void dial_close(struct dial *d)
{
    struct tryst_context *ctx = context_of(d);

    core_unwatch(ctx, &d->watch);
    core_clear(ctx, &d->retry);
    sock_close(ctx, &d->fd);
}

/* This machine would not send the SYN. */
static void not_sent(struct dial *d, int error)
{
    dial_close(d);
    d->state = DIAL_FAILED;
    /* Where the peer's SYN was here first, the listener has the connection already. */
    if (error == EADDRNOTAVAIL)
        return;
    d->round->unsent++;
    d->round->local_error = error;
}

/*
 * A dial of a lost round may still hold the same four-tuple, which then could not be used again.
 * Closing a socket whose SYN was not answered sends nothing, so it makes room.
 */
static void free_tuple(const struct dial *d)
{
    for (struct round *r = d->round->older; r; r = r->older) {
        for (unsigned i = 0; i < r->count; i++) {
            struct dial *old = &r->dials[i];
            if (old->number == d->number && old->state == DIAL_OPENING &&
                endpoint_equal(&old->remote, &d->remote)) {
                dial_close(old);
                old->state = DIAL_FAILED;
            }
        }
    }
}

static void pause_then_retry(struct dial *d)
{
    struct tryst_context *ctx = context_of(d);
    struct round *r = d->round;

    /* A fixed pause would lock the two sides into missing each other again and again. */
    tick when = core_now(ctx) + rng_interval(&ctx->rng, r->retry_most);
    if (when >= r->hold_until || r->lost) {
        d->state = DIAL_FAILED;
        return;
    }
    d->state = DIAL_PAUSING;
    d->retries++;
    r->retries_left--;
    core_deadline(ctx, &d->retry, when);
}

static void refused(struct dial *d, bool by_icmp)
{
    struct round *r = d->round;

    if (r->refusals < UINT16_MAX)
        r->refusals++;
    r->request->report->refusals++;
    d->refused = true;
    dial_close(d);
    if (by_icmp || r->retry_most == 0 || d->retries >= RETRIES_MAX || r->retries_left == 0)
        d->state = DIAL_FAILED;
    else
        pause_then_retry(d);
}

void dial_connect(struct dial *d)
{
    struct tryst_context *ctx = context_of(d);

    free_tuple(d);
    if (dial_make(d) != 0) {
        not_sent(d, errno);
        return;
    }
    if (!core_may_dial(ctx)) {
        not_sent(d, EAGAIN);
        return;
    }
    int error = sock_connect(d->fd, &d->remote);
    if (error && error != ECONNREFUSED) {
        not_sent(d, error);
        return;
    }
    if (d->round->syns < UINT16_MAX)
        d->round->syns++;
    d->round->request->report->syns++;
    d->state = DIAL_OPENING;
    if (error)
        refused(d, sock_was_icmp(d->fd));
    else if (core_watch(ctx, &d->watch, d->fd, EPOLLOUT) != 0)
        not_sent(d, errno);
}

static void retry(struct deadline *deadline)
{
    struct dial *d = CONTAINER(deadline, struct dial, retry);

    dial_connect(d);
    round_check(d->round);
}

void dial_rest(struct dial *d)
{
    if (d->state != DIAL_PAUSING)
        return;
    core_clear(context_of(d), &d->retry);
    d->state = DIAL_FAILED;
}

static void opened(struct dial *d)
{
    int fd = d->fd;

    core_unwatch(context_of(d), &d->watch);
    sock_report_icmp(fd, d->remote.family, false);
    d->fd = -1;
    d->state = DIAL_OPENED;
    prove_connected(d->round, fd);
}

static void dial_ready(struct watch *w, uint32_t events)
{
    struct dial *d = CONTAINER(w, struct dial, watch);
    struct round *round = d->round;
    int error = sock_error(d->fd);

    if (error == 0 && sock_is_connected(d->fd)) {
        opened(d);
        return;
    }
    bool by_icmp = sock_was_icmp(d->fd);
    /* A message in the error queue alone has ended nothing. */
    if (error == 0 && !(events & EPOLLHUP))
        return;
    if (error == ECONNREFUSED || by_icmp) {
        refused(d, by_icmp);
    } else {
        dial_close(d);
        d->state = DIAL_FAILED;
    }
    round_check(round);
}
