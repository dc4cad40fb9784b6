/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_internal.h"
#include "show.h"

/* Totals: since the daemon started, and over what the store still has. */

static json_t *since_start(const struct view_status *v)
{
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "started",
                     show_stamp(v->started), "sessions", (json_int_t)v->sessions_total, "connected",
                     (json_int_t)v->sessions_ok, "failed", (json_int_t)v->sessions_failed,
                     "connections", (json_int_t)v->connections_total, "handshakes",
                     (json_int_t)v->handshakes_total, "handshakes_failed",
                     (json_int_t)v->handshakes_failed, "observations",
                     (json_int_t)v->observations_total, "limit_hits", (json_int_t)v->limit_hits);
}

void admin_run_stats(struct admin_client *c, const json_t *args)
{
    struct view_status v;
    struct store_query q;
    char *text = NULL;

    memset(&v, 0, sizeof(v));
    memset(&q, 0, sizeof(q));
    q.what = QUERY_STATS;
    if (admin_moment_arg(c, args, "since", &q.since) ||
        admin_moment_arg(c, args, "until", &q.until))
        return;
    c->admin->source.status(c->admin->source.user, &v);
    json_t *start = since_start(&v);
    text = start ? json_dumps(start, SHOW_FLAGS) : NULL;
    if (!text || asprintf(&c->head, "\"since_start\":%s,", text) < 0)
        c->head = NULL;
    free(text);
    json_decref(start);
    admin_ask(c, &q);
}
