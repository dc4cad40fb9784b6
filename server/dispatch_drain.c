/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* The end in peace: sessions finish, peers hear when and where to come back. */
#include <stdio.h>
#include <string.h>

#include "dispatch.h"
#include "log.h"

#define POLL_SECONDS     0.05
#define FAREWELL_SECONDS 0.001
/* A farewell is sealed and sent in some microseconds, and the loop has other work. */
#define FAREWELLS_PER_WAKE_UP 128
/* By which whoever comes too late for this daemon and too early for the next one is spread. */
#define EARLY_MOST (5 * TICK_S)
/* For farewells to be read, and for channels to close. */
#define LINGER (500 * TICK_MS)

void dispatch_farewell(struct dispatch *d, struct net_conn *conn)
{
    /* Before the others are told, the end of their sessions is still to come. */
    tick early = tick_min(tick_max(d->drain.give_up_at - d->loop->now, 0), EARLY_MOST);
    tick window = d->drain.window ? d->drain.window : early;
    uint32_t delay_ms = drain_delay_ms(&d->rng, window);
    struct msg m = {.type = MSG_REDIRECT};

    if (!d->drain.to[0]) {
        dispatch_dismiss(d, conn, REASON_DRAINING, "", delay_ms);
        return;
    }
    m.redirect_.delay_ms = delay_ms;
    snprintf(m.redirect_.url, sizeof(m.redirect_.url), "%s", d->drain.to);
    net_send(d->net, conn, &m);
    net_finish(d->net, conn);
}

/* True: all are said. */
static bool say_farewells(struct dispatch *d)
{
    for (unsigned n = 0; n < FAREWELLS_PER_WAKE_UP; n++) {
        if (d->drain.next >= slab_end(&d->table.channels))
            return true;
        const struct channel *c = slab_at(&d->table.channels, d->drain.next++);
        struct net_conn *conn = c ? slab_get(&d->net->conns, c->conn) : NULL;
        if (conn)
            dispatch_farewell(d, conn);
    }
    return false;
}

/* Sessions whose time is over: both sides hear why, and it is recorded. */
static void give_up_sessions(struct dispatch *d)
{
    for (uint32_t i = 0; i < slab_end(&d->sessions); i++) {
        struct session *s = slab_at(&d->sessions, i);
        if (s)
            dispatch_session_give_up(d, s, REASON_DRAINING);
    }
}

static void begin_farewells(struct dispatch *d)
{
    struct drain *drain = &d->drain;
    uint32_t peers = d->table.channels.used;

    give_up_sessions(d);
    net_stop_listening(d->net); /* not sooner: sessions under way still observe */
    drain->window = drain_window(peers, net_handshake_rate(d->net->pool));
    log_notice("telling %u peers to come back%s%s within %.1f s", peers, drain->to[0] ? " to " : "",
               drain->to, tick_seconds(2 * (DRAIN_LEAST + drain->window)));
    ev_timer_stop(d->loop->ev, &drain->timer);
    ev_timer_set(&drain->timer, 0., FAREWELL_SECONDS);
    ev_timer_start(d->loop->ev, &drain->timer);
}

/* Nobody is on the way in or out. */
static bool all_gone(const struct dispatch *d)
{
    return !d->table.channels.used && !d->net->closing.first &&
           !net_handshake_waiting(d->net->pool);
}

static void drain_on(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct dispatch *d = timer->data;
    struct drain *drain = &d->drain;
    tick now = d->loop->now;
    (void)loop;
    (void)events;

    if (!drain->window) {
        if ((!d->sessions.used && dispatch_stored_all_but_promises(d)) || now >= drain->give_up_at)
            begin_farewells(d);
    } else if (!drain->end_at) {
        if (say_farewells(d))
            drain->end_at = now + LINGER;
    } else if (now >= drain->end_at || all_gone(d)) {
        loop_end(d->loop);
    }
}

void dispatch_drain(struct dispatch *d, int64_t seconds, const char *to)
{
    struct drain *drain = &d->drain;
    tick give_up_at = d->loop->now + seconds * TICK_S;

    if (to)
        snprintf(drain->to, sizeof(drain->to), "%s", to);
    if (d->draining) {
        drain->give_up_at = tick_min(drain->give_up_at, give_up_at);
        return;
    }
    log_notice("draining: %u sessions under way have %lld s to end", d->sessions.used,
               (long long)seconds);
    service_stopping(d->service, (double)seconds);
    d->draining = true;
    dispatch_tell_operator(d, "drain", NULL, drain->to);
    drain->give_up_at = give_up_at;
    /* Not at once: whoever asked for this is to hear that it goes on. */
    ev_timer_init(&drain->timer, drain_on, 0., POLL_SECONDS);
    drain->timer.data = d;
    ev_timer_start(d->loop->ev, &drain->timer);
}

int dispatch_drain_order(void *user, int64_t seconds, const char *to, char *err, size_t size)
{
    struct dispatch *d = user;
    struct server_url url;
    const char *wrong = *to ? server_url_parse(to, &url) : NULL;

    if (wrong) {
        snprintf(err, size, "to: '%.80s': %s", to, wrong);
        return -1;
    }
    if (strlen(to) >= sizeof(d->drain.to)) {
        snprintf(err, size, "to: the server URL is longer than %zu characters",
                 sizeof(d->drain.to) - 1);
        return -1;
    }
    if (*to && url.port == d->url.port && strcmp(url.host, d->url.host) == 0) {
        snprintf(err, size, "to: that is this server");
        return -1;
    }
    dispatch_drain(d, seconds < 0 ? d->conf->drain_timeout : seconds, to);
    return 0;
}

void dispatch_drain_close(struct dispatch *d)
{
    if (d->draining)
        ev_timer_stop(d->loop->ev, &d->drain.timer);
}
