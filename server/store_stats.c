/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/reason.h"
#include "show.h"
#include "store_internal.h"

/* Sessions counted, by what one asks first: what came of them, why, over what, behind which NATs.
 */

/* Each kind of NAT with each other, in either order. */
#define PAIRS_MOST 64

struct pair {
    const char *first, *second;
    int64_t sessions, connected;
};

struct counts {
    int64_t sessions, connected;
    int64_t reason[UINT8_MAX + 1], family[2];
    struct pair pairs[PAIRS_MOST];
    size_t pair_count;
};

/* The class of a NAT, as far as it decides whether a session can succeed. */
static const char *class_of(unsigned mapping, unsigned allocation)
{
    if (mapping == NAT_MAPPING_UNKNOWN || mapping == NAT_MAPPING_NONE || mapping == NAT_EIM)
        return nat_mapping_name(mapping);
    return nat_allocation_name(allocation);
}

static void count_pair(struct counts *n, const char *a, const char *b, int64_t sessions, bool ok)
{
    const char *first = strcmp(a, b) <= 0 ? a : b, *second = first == a ? b : a;
    size_t i = 0;

    while (i < n->pair_count &&
           (strcmp(n->pairs[i].first, first) != 0 || strcmp(n->pairs[i].second, second) != 0))
        i++;
    if (i == PAIRS_MOST)
        return;
    if (i == n->pair_count)
        n->pairs[n->pair_count++] = (struct pair){first, second, 0, 0};
    n->pairs[i].sessions += sessions;
    n->pairs[i].connected += ok ? sessions : 0;
}

static void count_row(struct counts *n, struct columns *c)
{
    unsigned reason = (unsigned)column_range(c, 0, UINT8_MAX);
    int64_t family = column_i64(c);
    unsigned mapping = (unsigned)column_range(c, 0, UINT8_MAX);
    unsigned allocation = (unsigned)column_range(c, 0, UINT8_MAX);
    const char *a = class_of(mapping, allocation);
    mapping = (unsigned)column_range(c, 0, UINT8_MAX);
    allocation = (unsigned)column_range(c, 0, UINT8_MAX);
    const char *b = class_of(mapping, allocation);
    int64_t sessions = column_i64(c);

    n->sessions += sessions;
    n->connected += reason == REASON_OK ? sessions : 0;
    n->reason[reason] += sessions;
    if (reason == REASON_OK && (family == 4 || family == 6))
        n->family[family == 6] += sessions;
    count_pair(n, a, b, sessions, reason == REASON_OK);
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

static json_t *show_pairs(struct counts *n)
{
    json_t *list = json_array();

    qsort(n->pairs, n->pair_count, sizeof(n->pairs[0]), more_sessions);
    for (size_t i = 0; i < n->pair_count; i++)
        json_array_append_new(list, json_pack("{s:[s, s], s:I, s:I}", "nats", n->pairs[i].first,
                                              n->pairs[i].second, "sessions",
                                              (json_int_t)n->pairs[i].sessions, "connected",
                                              (json_int_t)n->pairs[i].connected));
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
