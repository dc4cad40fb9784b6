/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "admin_internal.h"
#include "show.h"

/* Views to JSON. Where memory runs out, members are missing. */

/* The members of the status that are plain counts, by their names. */
static void add_counts(json_t *o, const struct view_status *v)
{
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {
        {"peers", v->peers},
        {"peers_listening", v->peers_listening},
        {"peers_known", v->peers_known},
        {"nats", v->nats},
        {"sessions_active", v->sessions_active},
        {"sessions_total", v->sessions_total},
        {"sessions_ok", v->sessions_ok},
        {"sessions_failed", v->sessions_failed},
        {"connections", v->connections},
        {"connections_total", v->connections_total},
        {"handshakes_total", v->handshakes_total},
        {"handshakes_failed", v->handshakes_failed},
        {"handshakes_old_key", v->handshakes_old_key},
        {"handshakes_waiting", v->handshakes_waiting},
        {"observations_total", v->observations_total},
        {"observations_refused", v->observations_refused},
        {"limit_hits", v->limit_hits},
        {"allowed", v->allowed},
        {"banned", v->banned},
        {"invites", v->invites},
        {"banned_connections", v->banned_connections},
        {"banned_registrations", v->banned_registrations},
        {"memory_bytes", v->memory_bytes},
    };

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        json_object_set_new(o, counts[i].name, json_integer((json_int_t)counts[i].count));
}

static json_t *view_store(const struct view_status *v, const struct store_health *h)
{
    json_t *o = json_object();
    const char *error = h->degraded ? h->error : v->store_error;

    json_object_set_new(o, "degraded", json_boolean(*error));
    json_object_set_new(o, "error", show_label(error));
    json_object_set_new(o, "pending", json_integer((json_int_t)v->store_pending));
    json_object_set_new(o, "rows", json_integer((json_int_t)h->rows));
    json_object_set_new(o, "commits", json_integer((json_int_t)h->commits));
    json_object_set_new(o, "dropped", json_integer((json_int_t)h->dropped));
    json_object_set_new(o, "lost_sessions", json_integer((json_int_t)h->lost_sessions));
    json_object_set_new(o, "lost_others", json_integer((json_int_t)h->lost_others));
    json_object_set_new(o, "removed", json_integer((json_int_t)h->removed));
    json_object_set_new(o, "bytes", json_integer((json_int_t)h->bytes));
    json_object_set_new(o, "free_bytes", json_integer((json_int_t)h->free_bytes));
    json_object_set_new(o, "job", h->job ? json_string(h->job) : json_null());
    json_object_set_new(o, "job_done", json_integer(h->job_done));
    json_object_set_new(o, "job_total", json_integer(h->job_total));
    json_object_set_new(o, "commit_last_us", json_integer((json_int_t)(h->commit_last / TICK_US)));
    json_object_set_new(o, "commit_worst_us",
                        json_integer((json_int_t)(h->commit_worst / TICK_US)));
    return o;
}

json_t *admin_view_status(const struct view_status *v, const struct store_health *health)
{
    json_t *o = json_object();

    json_object_set_new(o, "version", show_text(v->version));
    json_object_set_new(o, "started", show_stamp(v->started));
    json_object_set_new(o, "url", show_text(v->url));
    json_object_set_new(o, "listen", show_text(v->listen));
    json_object_set_new(o, "registration", show_text(v->registration));
    json_object_set_new(o, "warning", show_label(v->warning));
    json_object_set_new(o, "old_key", json_boolean(v->old_key));
    json_object_set_new(o, "restart_needed", show_names(v->restart_needed));
    add_counts(o, v);
    json_object_set_new(o, "loop_lag_worst_us", json_integer(v->loop_lag_worst_us));
    json_object_set_new(o, "store", view_store(v, health));
    return o;
}

json_t *admin_view_peer(const struct view_peer *v)
{
    json_t *o = json_object();

    json_object_set_new(o, "key", show_key(v->key));
    json_object_set_new(o, "name", show_label(v->name));
    json_object_set_new(o, "agent", show_label(v->agent));
    json_object_set_new(o, "online", json_true());
    json_object_set_new(o, "observed", show_endpoint(&v->observed));
    json_object_set_new(o, "local", show_endpoint(&v->local));
    json_object_set_new(o, "since", show_stamp(v->since));
    json_object_set_new(o, "listening", json_boolean(v->listening));
    json_object_set_new(o, "surveyed", json_boolean(v->surveyed));
    json_object_set_new(o, "nat", show_nat(&v->nat));
    json_object_set_new(o, "rtt_us", show_number(v->rtt_us));
    json_object_set_new(o, "clock_bound_us", show_number(v->rtt_us < 0 ? -1 : v->clock_bound_us));
    json_object_set_new(o, "sessions", json_integer(v->sessions));
    return o;
}

static json_t *view_side(const uint8_t key[KEY_SIZE], const char *name)
{
    json_t *o = json_object();

    json_object_set_new(o, "key", show_key(key));
    json_object_set_new(o, "name", show_label(name));
    return o;
}

json_t *admin_view_session(const struct view_session *v)
{
    json_t *o = json_object();

    json_object_set_new(o, "id", show_hex(v->id, sizeof(v->id)));
    json_object_set_new(o, "state", show_text("active"));
    json_object_set_new(o, "stage", show_label(v->state));
    json_object_set_new(o, "started", show_stamp(v->started));
    json_object_set_new(o, "rounds", json_integer(v->round));
    json_object_set_new(o, "chance", v->chance < 0 ? json_null() : json_real(v->chance));
    json_object_set_new(o, "requester", view_side(v->requester, v->requester_name));
    json_object_set_new(o, "target", view_side(v->target, v->target_name));
    return o;
}

json_t *admin_view_nat(const struct view_nat *v)
{
    json_t *o = json_object();

    json_object_set_new(o, "address", show_address(&v->address));
    json_object_set_new(o, "nat", show_nat(&v->nat));
    json_object_set_new(o, "learnt", show_stamp(v->learnt));
    json_object_set_new(o, "peers", json_integer(v->peers));
    json_object_set_new(o, "hits", json_integer(v->hits));
    json_object_set_new(o, "misses", json_integer(v->misses));
    return o;
}
