/* SPDX-License-Identifier: ISC */
/* The report as one JSON object. */
#include <inttypes.h>
#include <stdio.h>

#include "client-stub/json.h"
#include "client-stub/report.h"

static void identities(struct json *j, const struct tryst_report *r)
{
    char key[TRYST_KEY_TEXT_SIZE] = "";
    char id[2 * TRYST_SESSION_ID_SIZE + 1] = "";

    if (r->has_peer_key)
        tryst_key_to_text(r->peer_key, key);
    for (size_t i = 0; r->has_session && i < TRYST_SESSION_ID_SIZE; i++)
        (void)snprintf(id + 2 * i, 3, "%02x", r->session[i]);
    json_string_or_null(j, "peer_key", key);
    json_string_or_null(j, "peer_name", r->peer_name);
    json_string_or_null(j, "session", id);
}

static void times(struct json *j, const struct tryst_report *r)
{
    json_print(j, ",\"times_us\":{");
    for (int i = 0; i < TRYST_STAGE_COUNT; i++) {
        int64_t t = tryst_report_time(r, (enum tryst_stage)i);
        json_print(j, "%s\"%s\":", i ? "," : "", tryst_stage_name((enum tryst_stage)i));
        if (t < 0)
            json_print(j, "null");
        else
            json_print(j, "%" PRId64, t);
    }
    json_print(j, "}");
}

int tryst_report_json(const struct tryst_report *r, char *out, size_t size)
{
    struct json j = json_begin(out, size);

    json_print(&j, "{\"ok\":%s,\"code\":%d", r->established ? "true" : "false", r->reason);
    json_string(&j, "reason", tryst_reason_name(r->reason));
    json_string(&j, "text", r->text);
    json_string(&j, "stage", tryst_stage_name(r->stage));
    json_print(&j, ",\"incoming\":%s", r->incoming ? "true" : "false");
    identities(&j, r);
    json_string_or_null(&j, "local_nat", r->local_nat);
    json_string_or_null(&j, "remote_nat", r->remote_nat);
    json_chance(&j, "chance", r->chance);
    json_print(&j, ",\"rounds\":%d,\"syns\":%d,\"refusals\":%d,\"late_us\":%" PRId64, r->rounds,
               r->syns, r->refusals, r->late_us);
    json_print(&j, ",\"family\":%d", r->local.family);
    json_string_or_null(&j, "local", r->local_text);
    json_string_or_null(&j, "remote", r->remote_text);
    json_print(&j, ",\"plain\":%s", r->plain ? "true" : "false");
    times(&j, r);
    json_print(&j, "}");
    return json_end(&j);
}
