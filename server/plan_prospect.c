/* SPDX-License-Identifier: ISC */
#include "plan_prospect.h"

#include "proto/peer_kind.h"

/* Ports of the sockets that nobody has bound; any would do, only not one and the same. */
#define LOCAL_PORT  40000
#define ANCHOR_PORT 41000
/* A counter's foreign traffic is known from this long a watch. */
#define WATCH_SECONDS 60
#define MILLION       1e6

enum reason plan_pooled(enum reason reason, const struct nat_summary *a,
                        const struct nat_summary *b)
{
    bool pooled = a->pooling == NAT_ARBITRARY || b->pooling == NAT_ARBITRARY;

    return reason != REASON_OK && pooled ? REASON_POOLING : reason;
}

/* ---- one family ---- */

/* What an observation just before the round would show. */
static struct observation anchor_of(const struct plan_party *p, const struct endpoint *local,
                                    tick at)
{
    struct observation anchor = {.at = at, .local = *local};
    uint16_t port = p->profile->last_port != 0 ? p->profile->last_port : ANCHOR_PORT;

    anchor.observed = endpoint_with_port(p->address, port);
    return anchor;
}

static struct prediction predicted(const struct plan_party *p, const struct plan_moment *when)
{
    struct endpoint local = endpoint_with_port(p->local, LOCAL_PORT);
    struct observation anchor = anchor_of(p, &local, when->now);
    struct profile view = profile_view(p->profile, p->peer, when->now);
    struct predict_input in = {
        .profile = p->profile,
        .public_address = p->address,
        .local = local,
        .anchors = &anchor,
        .anchor_count = predict_anchors_needed(&view, &local, &p->address) > 0 ? 1 : 0,
        .peer = p->peer,
        .block_low = p->block_low,
        .block_high = p->block_high,
        .sure_low = p->sure_low,
        .sure_high = p->sure_high,
        .socket = 0,
        .at = when->now + when->anchor_age,
    };

    return predict(&in);
}

static struct plan planned(const struct plan_party party[2], const struct plan_moment *when,
                           bool birthday)
{
    struct plan_side side[2];
    int i;

    for (i = 0; i < 2; i++) {
        const struct nat_summary *nat = &party[i].nat;

        side[i] = (struct plan_side){
            .prediction = predicted(&party[i], when),
            .filtering = (enum nat_filtering)nat->filtering,
            .refusal = (enum nat_refusal)nat->refusal,
            .budget = birthday ? party[i].most : party[i].budget,
            .birthday = birthday,
            .no_simultaneous_open = nat->features & NAT_FEATURE_NO_SIMULTANEOUS_OPEN,
        };
    }
    return plan_make(side, 1);
}

/* ---- all families, which race ---- */

struct race {
    double miss;        /* that no family meets */
    double best;        /* chance of the likeliest one, ... */
    uint8_t family;     /* ... and which that is */
    enum reason reason; /* why the first one that was looked at would not be tried */
    bool any;           /* at least one would be */
};

static void enter(struct race *r, const struct plan *plan, enum reason reason, uint8_t family)
{
    double chance = reason == REASON_OK ? plan->chance : 0;

    if (r->reason == REASON_NO_COMMON_FAMILY)
        r->reason = reason;
    if (r->family == 0 || chance > r->best) {
        r->family = family;
        r->best = chance;
    }
    r->any |= reason == REASON_OK;
    r->miss *= 1 - chance;
}

static struct race run(const struct plan_party (*sides)[2], size_t count,
                       const struct plan_moment *when, bool birthday)
{
    struct race r = {.miss = 1, .reason = REASON_NO_COMMON_FAMILY};
    size_t i;

    for (i = 0; i < count; i++) {
        struct plan plan = planned(sides[i], when, birthday);
        enum reason reason = plan_pooled(plan.reason, &sides[i][0].nat, &sides[i][1].nat);

        enter(&r, &plan, reason, sides[i][0].address.family);
    }
    return r;
}

static uint32_t millionths(const struct race *r)
{
    return (uint32_t)((1 - r->miss) * MILLION + 0.5);
}

struct prospect plan_prospect(const struct plan_party (*sides)[2], size_t count,
                              const struct plan_moment *when)
{
    struct race with = run(sides, count, when, true), r = with;
    struct prospect out = {.kind = PEER_KIND_ONE};
    size_t i;

    if (count > 0 && !(sides[0][0].birthday && sides[0][1].birthday))
        r = run(sides, count, when, false);
    out.family = r.family;
    out.reason = (uint8_t)(r.any ? REASON_OK : r.reason);
    out.chance = millionths(&r);
    out.birthday = millionths(&with);
    for (i = 0; i < count; i++)
        if (sides[i][0].address.family == r.family)
            out.nat = sides[i][1].nat;
    return out;
}

/* ---- against kinds of peers ---- */

static struct profile profile_of(const struct nat_summary *nat, tick now)
{
    struct profile p;

    profile_init(&p);
    p.nat = *nat;
    p.learnt = p.refusal_learnt = p.last_at = now;
    p.last_port = nat->block_low != 0 ? nat->block_low : ANCHOR_PORT;
    p.weight = nat->samples;
    p.drift_seconds = WATCH_SECONDS;
    p.drift_sum = nat->drift / 1000.0 * WATCH_SECONDS;
    return p;
}

/* An address of documentation (RFC 5737, RFC 3849), which is nobody's. */
static struct endpoint somewhere(uint8_t family)
{
    struct endpoint e = {.family = family};

    if (family == 4)
        e = (struct endpoint){.family = 4, .address = {192, 0, 2, 1}};
    else
        e.address[0] = 0x20, e.address[1] = 0x01, e.address[2] = 0x0d, e.address[3] = 0xb8;
    return e;
}

/* Without translation a host's own address is the public one. */
static struct plan_party party_of(const struct profile *profile, const struct plan_party *own)
{
    struct plan_party p = *own;

    p.profile = profile;
    p.peer = 0;
    p.nat = profile->nat;
    p.block_low = p.sure_low = profile->nat.block_low;
    p.block_high = p.sure_high = profile->nat.block_high;
    p.address = p.local = somewhere(own->address.family);
    if (profile->nat.mapping != NAT_MAPPING_NONE)
        p.local.address[0] ^= 0xff;
    return p;
}

static bool has_family(const struct plan_party *own, size_t count, uint8_t family)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (family == 0 || own[i].address.family == family)
            return true;
    return false;
}

static struct prospect against(const struct peer_kind_row *row, const struct plan_party *own,
                               size_t count, const struct plan_moment *when)
{
    struct plan_party sides[2][2];
    struct profile profile = profile_of(&row->nat, when->now);
    struct prospect out;
    size_t i, n = 0;

    for (i = 0; i < count && n < 2; i++) {
        if (row->family != 0 && own[i].address.family != row->family)
            continue;
        sides[n][0] = own[i];
        sides[n++][1] = party_of(&profile, &own[i]);
    }
    out = plan_prospect((const struct plan_party(*)[2])sides, n, when);
    out.kind = (uint8_t)row->kind;
    out.nat = row->nat;
    return out;
}

void plan_prospects(const struct plan_party *own, size_t count, const struct plan_moment *when,
                    struct prospects *out)
{
    const struct peer_kind_row *row;
    unsigned i;

    out->count = 0;
    for (i = 0; (row = peer_kind_row(i)) != NULL && out->count < MSG_PROSPECTS_MAX; i++)
        if (row->family != 6 || has_family(own, count, 6))
            out->at[out->count++] = against(row, own, count, when);
}
