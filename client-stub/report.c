/* SPDX-License-Identifier: ISC */
#include "client-stub/report.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "client-stub/core.h"
#include "client-stub/record.h"

struct tryst_report *report_new(struct tryst_context *ctx, bool incoming)
{
    struct tryst_report *r = core_alloc(ctx, sizeof(*r));

    if (!r)
        return NULL;
    r->alloc = ctx->alloc;
    r->clock_fn = ctx->clock_fn;
    r->clock_user = ctx->clock_user;
    r->users = 1;
    r->incoming = incoming;
    r->chance = -1;
    for (int i = 0; i < TRYST_STAGE_COUNT; i++)
        r->at[i] = -1;
    report_stage(r, TRYST_STAGE_START, core_now(ctx));
    return r;
}

struct tryst_report *report_share(struct tryst_report *r)
{
    r->users++;
    return r;
}

void tryst_report_free(struct tryst_report *r)
{
    if (!r || --r->users > 0)
        return;
    tryst_record_free(r->record);
    struct tryst_allocator alloc = r->alloc;
    sodium_memzero(r, sizeof(*r));
    alloc.release(alloc.user, r);
}

void report_stage(struct tryst_report *r, enum tryst_stage stage, tick now)
{
    r->at[stage] = now;
    if (stage > r->stage)
        r->stage = stage;
}

void report_reason(struct tryst_report *r, int reason, const char *detail)
{
    const char *advice = tryst_advice(reason);

    r->reason = reason;
    (void)snprintf(r->text, sizeof(r->text), "%s%s%s%s%s%s", tryst_strerror(reason),
                   *detail ? " (" : "", detail, *detail ? ")" : "", *advice ? "; " : "", advice);
}

void report_nats(struct tryst_report *r, const struct nat_summary *local,
                 const struct nat_summary *remote)
{
    (void)nat_describe(local, r->local_nat, sizeof(r->local_nat));
    (void)nat_describe(remote, r->remote_nat, sizeof(r->remote_nat));
}

void report_endpoints(struct tryst_report *r, const struct endpoint *local,
                      const struct endpoint *remote)
{
    r->local = *local;
    (void)endpoint_format(local, r->local_text);
    (void)endpoint_format(remote, r->remote_text);
}

/* ---- what the application reads ---- */

const char *tryst_stage_name(enum tryst_stage stage)
{
    static const char *const names[TRYST_STAGE_COUNT] = {
        [TRYST_STAGE_START] = "start",         [TRYST_STAGE_REGISTERED] = "registered",
        [TRYST_STAGE_REQUESTED] = "requested", [TRYST_STAGE_PREPARED] = "prepared",
        [TRYST_STAGE_PLANNED] = "planned",     [TRYST_STAGE_PUNCHED] = "punched",
        [TRYST_STAGE_OPENED] = "opened",       [TRYST_STAGE_PROVEN] = "proven",
    };

    return (unsigned)stage < TRYST_STAGE_COUNT ? names[stage] : "unknown";
}

int tryst_report_reason(const struct tryst_report *r)
{
    return r->reason;
}

const char *tryst_report_text(const struct tryst_report *r)
{
    return r->text;
}

enum tryst_stage tryst_report_stage(const struct tryst_report *r)
{
    return r->stage;
}

int64_t tryst_report_time(const struct tryst_report *r, enum tryst_stage stage)
{
    if ((unsigned)stage >= TRYST_STAGE_COUNT || r->at[stage] < 0)
        return -1;
    return (r->at[stage] - r->at[TRYST_STAGE_START]) / TICK_US;
}

int tryst_report_incoming(const struct tryst_report *r)
{
    return r->incoming;
}

int tryst_report_check(const struct tryst_report *r)
{
    return r->check;
}

int tryst_report_peer_key(const struct tryst_report *r, uint8_t key[TRYST_KEY_SIZE])
{
    if (!r->has_peer_key)
        return -TRYST_STATE;
    memcpy(key, r->peer_key, TRYST_KEY_SIZE);
    return 0;
}

const char *tryst_report_peer_name(const struct tryst_report *r)
{
    return r->peer_name;
}

int tryst_report_session_id(const struct tryst_report *r, uint8_t id[TRYST_SESSION_ID_SIZE])
{
    if (!r->has_session)
        return -TRYST_STATE;
    memcpy(id, r->session, TRYST_SESSION_ID_SIZE);
    return 0;
}

const char *tryst_report_local_nat(const struct tryst_report *r)
{
    return r->local_nat;
}

const char *tryst_report_remote_nat(const struct tryst_report *r)
{
    return r->remote_nat;
}

double tryst_report_chance(const struct tryst_report *r)
{
    return r->chance;
}

int tryst_report_rounds(const struct tryst_report *r)
{
    return r->rounds;
}

int tryst_report_syns(const struct tryst_report *r)
{
    return r->syns;
}

int tryst_report_refusals(const struct tryst_report *r)
{
    return r->refusals;
}

int64_t tryst_report_late(const struct tryst_report *r)
{
    return r->late_us;
}

int64_t tryst_report_start_in(const struct tryst_report *r)
{
    return r->planned ? (r->start - r->clock_fn(r->clock_user)) / TICK_US : 0;
}

int tryst_report_family(const struct tryst_report *r)
{
    return r->local.family;
}

const char *tryst_report_local_endpoint(const struct tryst_report *r)
{
    return r->local_text;
}

const char *tryst_report_remote_endpoint(const struct tryst_report *r)
{
    return r->remote_text;
}

int tryst_report_plain(const struct tryst_report *r)
{
    return r->plain;
}

int tryst_report_export(const struct tryst_report *r, const char *label, uint8_t key[32])
{
    if (!r->established || noise_export(&r->handshake, label, key) != 0)
        return -TRYST_STATE;
    return 0;
}

struct tryst_record *tryst_report_take_record(struct tryst_report *r)
{
    struct tryst_record *rec = r->record;

    r->record = NULL;
    return rec;
}
