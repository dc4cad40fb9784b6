/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "store_show.h"

#include <string.h>

#include "proto/reason.h"
#include "show.h"

static json_t *show_side(const struct row_session *row, int side)
{
    json_t *o = json_object();

    json_object_set_new(o, "key", show_key(side ? row->target : row->requester));
    json_object_set_new(o, "name", show_label(side ? row->target_name : row->requester_name));
    json_object_set_new(o, "public", show_endpoint(&row->public_endpoint[side]));
    json_object_set_new(o, "met", show_endpoint(&row->met[side]));
    json_object_set_new(o, "nat", show_nat(&row->nat[side]));
    json_object_set_new(o, "syns", json_integer(row->syns[side]));
    json_object_set_new(o, "refusals", json_integer(row->refusals[side]));
    json_object_set_new(o, "late_us", json_integer(row->late_us[side]));
    json_object_set_new(o, "elapsed_us", json_integer(row->elapsed_us[side]));
    json_object_set_new(o, "clock_bound_us", json_integer(row->clock_bound_us[side]));
    return o;
}

/* Reasons are on record as numbers; people get words. */
static void name_reasons(json_t *plan)
{
    json_t *rounds = json_object_get(plan, "results"), *sides, *told;
    size_t i, side;

    json_array_foreach(rounds, i, sides)
    {
        json_array_foreach(sides, side, told)
        {
            json_int_t n = json_integer_value(json_object_get(told, "reason"));
            if (json_is_object(told))
                json_object_set_new(
                    told, "reason",
                    show_reason(n >= 0 && n <= UINT8_MAX ? (unsigned)n : UINT8_MAX));
        }
    }
}

static json_t *show_plan(const char *text)
{
    if (!*text)
        return json_null();
    json_t *plan = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    name_reasons(plan);
    /* A plan that did not fit its column is shown as far as it goes. */
    return plan ? plan : show_text(text);
}

static const char *state_of(const struct row_session *row)
{
    if (row->finished == 0)
        return "active";
    return row->reason == REASON_OK ? "connected" : "failed";
}

static json_t *show_session_in(struct columns *c, bool with_plan)
{
    struct row_session row;
    json_t *o = json_object();

    memset(&row, 0, sizeof(row));
    column_session(c, &row);
    bool over = row.finished != 0;
    json_object_set_new(o, "id", show_hex(row.id, sizeof(row.id)));
    json_object_set_new(o, "state", show_text(state_of(&row)));
    json_object_set_new(o, "started", show_stamp(row.started));
    json_object_set_new(o, "finished", show_stamp(row.finished));
    json_object_set_new(o, "took_us",
                        over ? json_integer(row.finished - row.started) : json_null());
    json_object_set_new(o, "reason", over ? show_reason(row.reason) : json_null());
    json_object_set_new(o, "detail", show_label(row.text));
    json_object_set_new(o, "family", json_integer(row.family));
    json_object_set_new(o, "rounds", json_integer(row.rounds));
    json_object_set_new(o, "chance", json_real(row.chance));
    json_object_set_new(o, "punch", show_stamp(row.punch));
    json_object_set_new(o, "skew_us", json_integer(row.skew_us));
    json_object_set_new(o, "accepted_us", json_integer(row.accepted_us));
    json_object_set_new(o, "prepared_us", json_integer(row.prepared_us));
    json_object_set_new(o, "punched_us", json_integer(row.punched_us));
    json_object_set_new(o, "requester", show_side(&row, 0));
    json_object_set_new(o, "target", show_side(&row, 1));
    if (with_plan)
        json_object_set_new(o, "plan", show_plan(row.plan));
    return o;
}

json_t *store_show_session(struct columns *c)
{
    return show_session_in(c, false);
}

json_t *store_show_session_full(struct columns *c)
{
    return show_session_in(c, true);
}

json_t *store_show_peer(struct columns *c)
{
    struct row_peer row;
    json_t *o = json_object();

    memset(&row, 0, sizeof(row));
    column_peer(c, &row);
    json_object_set_new(o, "key", show_key(row.key));
    json_object_set_new(o, "name", show_label(row.name));
    json_object_set_new(o, "agent", show_label(row.agent));
    json_object_set_new(o, "first_seen", show_stamp(row.first_seen));
    json_object_set_new(o, "last_seen", show_stamp(row.last_seen));
    json_object_set_new(o, "observed", show_endpoint(&row.observed));
    return o;
}

/* Enough of the token's hash to tell invites apart. The token itself is not kept. */
#define INVITE_ID_BYTES 4

json_t *store_show_invite_row(const struct row_invite *row)
{
    json_t *o = json_object();

    json_object_set_new(o, "id", show_hex(row->token_hash, INVITE_ID_BYTES));
    json_object_set_new(o, "name", show_label(row->name));
    json_object_set_new(o, "created", show_stamp(row->created));
    json_object_set_new(o, "expires", show_stamp(row->expires));
    json_object_set_new(o, "used", show_stamp(row->used));
    json_object_set_new(o, "used_by", row->used ? show_key(row->used_by) : json_null());
    return o;
}

json_t *store_show_invite(struct columns *c)
{
    struct row_invite row;

    memset(&row, 0, sizeof(row));
    column_invite(c, &row);
    return store_show_invite_row(&row);
}

json_t *store_show_profile(struct columns *c)
{
    struct row_profile row;
    json_t *o = json_object();

    memset(&row, 0, sizeof(row));
    column_profile(c, &row);
    json_object_set_new(o, "address", show_address(&row.address));
    json_object_set_new(o, "nat", show_nat(&row.profile.nat));
    json_object_set_new(o, "learnt", show_stamp(row.learnt));
    json_object_set_new(o, "refusal_learnt", show_stamp(row.refusal_learnt));
    json_object_set_new(o, "filtering_learnt", show_stamp(row.filtering_learnt));
    json_object_set_new(o, "simultaneous_learnt", show_stamp(row.simultaneous_learnt));
    json_object_set_new(o, "hits", json_integer(row.profile.hits));
    json_object_set_new(o, "misses", json_integer(row.profile.misses));
    json_object_set_new(o, "last_port", json_integer(row.profile.last_port));
    json_object_set_new(o, "low", json_integer(row.profile.low));
    json_object_set_new(o, "high", json_integer(row.profile.high));
    return o;
}

json_t *store_show_observation(struct columns *c)
{
    uint8_t key[KEY_SIZE];
    struct endpoint local, server;
    json_t *o = json_object();

    json_object_set_new(o, "at", show_stamp(column_i64(c)));
    column_blob(c, key, sizeof(key));
    json_object_set_new(o, "peer", show_key(key));
    json_object_set_new(o, "port", json_integer(column_range(c, 0, UINT16_MAX)));
    column_endpoint(c, &local);
    json_object_set_new(o, "local", show_endpoint(&local));
    column_endpoint(c, &server);
    json_object_set_new(o, "server", show_endpoint(&server));
    json_object_set_new(o, "socket", json_integer(column_range(c, 0, UINT16_MAX)));
    json_object_set_new(o, "step", json_integer(column_range(c, 0, UINT8_MAX)));
    json_object_set_new(o, "burst", json_boolean(column_i64(c) != 0));
    return o;
}
