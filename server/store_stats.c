/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/reason.h"
#include "session_tally.h"
#include "show.h"
#include "store_internal.h"

/* Sessions counted, by what one asks first: what came of them, why, over what, behind which NATs.
 */

struct pair {
    unsigned number; /* nat_pair() */
    int64_t sessions, connected;
};

struct counts {
    int64_t sessions, connected;
    int64_t reason[UINT8_MAX + 1], family[2];
    struct pair pairs[NAT_PAIRS];
};

static enum nat_class column_class(struct columns *c)
{
    uint8_t mapping = (uint8_t)column_range(c, 0, UINT8_MAX);

    return nat_class(&(struct nat_summary){.mapping = mapping,
                                           .allocation = (uint8_t)column_range(c, 0, UINT8_MAX)});
}

static void count_row(struct counts *n, struct columns *c)
{
    unsigned reason = (unsigned)column_range(c, 0, UINT8_MAX);
    int64_t family = column_i64(c);
    enum nat_class requester = column_class(c), target = column_class(c);
    struct pair *pair = &n->pairs[nat_pair(requester, target)];
    int64_t sessions = column_i64(c);

    n->sessions += sessions;
    n->connected += reason == REASON_OK ? sessions : 0;
    n->reason[reason] += sessions;
    if (reason == REASON_OK && (family == 4 || family == 6))
        n->family[family == 6] += sessions;
    pair->sessions += sessions;
    pair->connected += reason == REASON_OK ? sessions : 0;
}

/* --- as JSON --- */

static int more_sessions(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;

    return (x->sessions < y->sessions) - (x->sessions > y->sessions);
}

static json_t *show_reasons(const struct counts *n)
{
    json_t *list = json_array();
    bool told[UINT8_MAX + 1] = {false};

    for (;;) { /* the commonest first */
        unsigned most = 0;
        for (unsigned i = 1; i <= UINT8_MAX; i++)
            if (!told[i] && (told[most] || most == REASON_OK || n->reason[i] > n->reason[most]))
                most = i;
        if (most == REASON_OK || told[most] || !n->reason[most])
            return list;
        told[most] = true;
        json_array_append_new(list, json_pack("{s:o, s:I}", "reason", show_reason(most), "sessions",
                                              (json_int_t)n->reason[most]));
    }
}

/* By their names, in the order of the alphabet. */
static json_t *show_pair(const struct pair *p)
{
    enum nat_class a, b;

    nat_pair_classes(p->number, &a, &b);
    const char *first = nat_class_name(a), *second = nat_class_name(b);
    bool swap = strcmp(first, second) > 0;
    return json_pack("{s:[s, s], s:I, s:I}", "nats", swap ? second : first, swap ? first : second,
                     "sessions", (json_int_t)p->sessions, "connected", (json_int_t)p->connected);
}

static json_t *show_pairs(struct counts *n)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < NAT_PAIRS; i++)
        n->pairs[i].number = i;
    qsort(n->pairs, NAT_PAIRS, sizeof(n->pairs[0]), more_sessions);
    for (unsigned i = 0; i < NAT_PAIRS && n->pairs[i].sessions; i++)
        json_array_append_new(list, show_pair(&n->pairs[i]));
    return list;
}

static json_t *show_counts(struct counts *n, const struct store_query *q)
{
    json_t *stored = json_object();

    json_object_set_new(stored, "since", show_stamp(q->since));
    json_object_set_new(stored, "until", show_stamp(q->until));
    json_object_set_new(stored, "sessions", json_integer(n->sessions));
    json_object_set_new(stored, "connected", json_integer(n->connected));
    json_object_set_new(stored, "failed", json_integer(n->sessions - n->connected));
    json_object_set_new(stored, "ipv4", json_integer(n->family[0]));
    json_object_set_new(stored, "ipv6", json_integer(n->family[1]));
    json_object_set_new(stored, "reasons", show_reasons(n));
    json_object_set_new(stored, "nats", show_pairs(n));
    return json_pack("{s:b, s:o}", "ok", 1, "stored", stored);
}

json_t *store_query_stats(sqlite3 *db, const struct store_query *q)
{
    static const char sql[] =
        "SELECT reason,family,requester_mapping,requester_allocation,target_mapping,"
        "target_allocation,count(*) FROM sessions"
        " WHERE started>=?1 AND (?2=0 OR started<?2) GROUP BY 1,2,3,4,5,6";
    struct counts *n = calloc(1, sizeof(*n));
    sqlite3_stmt *st = NULL;
    json_t *result = NULL;
    int step = SQLITE_ERROR;

    if (n && sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK) {
        sqlite3_bind_int64(st, 1, q->since);
        sqlite3_bind_int64(st, 2, q->until);
        while ((step = sqlite3_step(st)) == SQLITE_ROW) {
            struct columns c = columns(st);
            count_row(n, &c);
        }
    }
    if (step == SQLITE_DONE)
        result = show_counts(n, q);
    sqlite3_finalize(st);
    free(n);
    return result;
}
