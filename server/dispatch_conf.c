/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* A new configuration while the daemon runs. */
#include "dispatch.h"
#include "log.h"

void dispatch_retain(struct dispatch *d)
{
    const struct conf *c = d->conf;
    const stamp second = 1000000;
    struct store_retention wish = {.sessions = c->keep_sessions * second,
                                   .observations = c->keep_observations * second,
                                   .nats = c->keep_nats * second,
                                   .session_rows = (uint64_t)c->keep_session_rows};

    store_retain(d->store, &wish);
}

void dispatch_reconfigure(struct dispatch *d, const struct conf *before)
{
    const struct conf *c = d->conf;

    (void)before;
    log_set_level((enum log_level)(CONF_LOG_LEVEL_FIRST + c->log_level));
    net_reconfigure(d->net, (uint32_t)c->max_connections_per_address,
                    c->handshake_timeout * TICK_S);
    d->sessions.most = (uint32_t)c->max_sessions;
    dispatch_set_url(d);
    dispatch_retain(d);
}
