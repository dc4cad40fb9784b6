/* SPDX-License-Identifier: ISC */
/* One round: predictions, the plan, the punch time, and both on their way. */
#include <string.h>

#include "dispatch.h"

/* What the stages made of one address family. */
struct family_plan {
    bool possible; /* both sides have the family */
    struct plan plan;
};

static struct prediction predict_side(struct dispatch *d, struct session *s, unsigned side,
                                      unsigned family, tick at)
{
    struct observation anchors[MSG_STEPS_MAX];
    struct channel *c = slab_get(&d->table.channels, s->channel[side]);
    const struct nat *n = channel_nat(&d->table, c, family);
    const struct run *run = slab_get(&d->runs, s->anchors[side]);
    struct predict_input in = {
        .profile = &n->profile,
        .public_address = c->observed[family],
        .local = s->machine.round == 1 ? s->local[side][family] : endpoint_none(),
        .anchors = anchors,
        .peer = dispatch_peer_number(c->peer),
        .socket = survey_round_socket(s->machine.round),
        .at = at,
    };
    for (unsigned i = 0; run && i < run->count; i++)
        if (family_index(&run->observations[i].observed) == family)
            anchors[in.anchor_count++] = run->observations[i];
    const struct port_block *block = dispatch_block(d, c, family);
    if (block) {
        port_block_bounds(block, &in.block_low, &in.block_high);
        in.sure_low = block->low;
        in.sure_high = block->high;
    }
    return predict(&in);
}

static bool has_family(struct dispatch *d, const struct session *s, unsigned side, unsigned family)
{
    struct channel *c = slab_get(&d->table.channels, s->channel[side]);
    return c && channel_nat(&d->table, c, family) && !endpoint_is_none(&s->local[side][family]) &&
           !endpoint_is_none(&c->observed[family]);
}

static const struct nat_summary *nat_of(struct dispatch *d, const struct session *s, unsigned side,
                                        unsigned family)
{
    struct channel *c = slab_get(&d->table.channels, s->channel[side]);
    const struct nat *n = c ? channel_nat(&d->table, c, family) : NULL;
    return n ? &n->profile.nat : NULL;
}

/* The NAT that people mean: the one of IPv4 where there is one. */
struct nat_summary dispatch_summary(struct dispatch *d, const struct session *s, unsigned side)
{
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        const struct nat_summary *n = nat_of(d, s, side, family);
        if (n)
            return *n;
    }
    return (struct nat_summary){0};
}

static struct family_plan plan_family(struct dispatch *d, struct session *s, unsigned family,
                                      tick at)
{
    struct family_plan out = {.possible =
                                  has_family(d, s, 0, family) && has_family(d, s, 1, family)};
    struct plan_side side[2];
    uint16_t both = s->flags[0] & s->flags[1];
    for (unsigned i = 0; out.possible && i < 2; i++) {
        const struct nat_summary *n = nat_of(d, s, i, family);
        s->prediction[i][family] = predict_side(d, s, i, family, at);
        side[i] = (struct plan_side){
            .prediction = s->prediction[i][family],
            .filtering = (enum nat_filtering)n->filtering,
            .refusal = (enum nat_refusal)n->refusal,
            .socket = survey_round_socket(s->machine.round),
            .budget = s->budget[i],
            .birthday = both & SESSION_BIRTHDAY,
        };
        if (!side[i].birthday && side[i].budget > d->conf->syn_budget)
            side[i].budget = (uint16_t)d->conf->syn_budget;
    }
    if (out.possible)
        out.plan = plan_make(side, s->machine.round);
    return out;
}

/* Where either family's NAT answers, the start must be ordered as if both did. */
static enum nat_refusal refusal_of(struct dispatch *d, const struct session *s, unsigned side,
                                   const struct family_plan plans[FAMILY_COUNT])
{
    enum nat_refusal worst = NAT_SILENCE;
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        const struct nat_summary *n = nat_of(d, s, side, family);
        if (n && plans[family].possible && plans[family].plan.reason == REASON_OK &&
            n->refusal != NAT_SILENCE)
            worst = (enum nat_refusal)n->refusal;
    }
    return worst;
}

static struct schedule schedule_round(struct dispatch *d, const struct session *s,
                                      const struct family_plan plans[FAMILY_COUNT])
{
    struct schedule_side side[2];
    for (unsigned i = 0; i < 2; i++) {
        const struct channel *c = slab_get(&d->table.channels, s->channel[i]);
        side[i].clock = c->clock;
        side[i].refusal = refusal_of(d, s, i, plans);
    }
    return schedule_make(side, loop_clock(), d->conf->punch_margin * TICK_MS);
}

/* ---- the message ---- */

/*
 * Private addresses are told, and dialled, only where both peers have one public address: anywhere
 * else they would lead into somebody else's network.
 */
static void add_hosts(struct dispatch *d, const struct session *s, unsigned side,
                      struct endpoints *hosts)
{
    const struct channel *own = slab_get(&d->table.channels, s->channel[side]);
    const struct channel *other = slab_get(&d->table.channels, s->channel[!side]);
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        const struct endpoint *e = &s->local[!side][family];
        if (!endpoint_is_none(&own->observed[family]) && endpoint_is_host_candidate(e) &&
            endpoint_same_address(&own->observed[family], &other->observed[family]))
            hosts->at[hosts->count++] = *e;
    }
}

static void add_volleys(const struct family_plan *p, unsigned side, struct volleys *volleys)
{
    for (unsigned i = 0;
         p->possible && p->plan.reason == REASON_OK && i < p->plan.side[side].volley_count; i++)
        volleys->at[volleys->count++] = p->plan.side[side].volleys[i];
}

/* One word for all families: a retry must not spoil the mapping of any. */
static bool may_retry(const struct family_plan plans[FAMILY_COUNT], unsigned side)
{
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        if (plans[family].possible && plans[family].plan.reason == REASON_OK &&
            !plans[family].plan.side[side].retry)
            return false;
    return true;
}

static double chance_of(const struct family_plan plans[FAMILY_COUNT])
{
    double miss = 1.0;
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        if (plans[family].possible && plans[family].plan.reason == REASON_OK)
            miss *= 1.0 - plans[family].plan.chance;
    return 1.0 - miss;
}

static void send_punch(struct dispatch *d, struct session *s, unsigned side,
                       const struct family_plan plans[FAMILY_COUNT], const struct schedule *when)
{
    const struct peer *other = slab_get(&d->table.peers, s->peer[!side]);
    struct msg m = {.type = MSG_PUNCH};
    struct msg_punch *p = &m.punch_;
    p->request = side == SIDE_REQUESTER ? s->request : 0;
    memcpy(p->session, s->id, sizeof(s->id));
    p->round = s->machine.round;
    p->role = side == SIDE_REQUESTER ? ROLE_REQUESTER : ROLE_TARGET;
    memcpy(p->peer, other->key, KEY_SIZE);
    p->start = when->start[side];
    p->hold_us = (uint32_t)(when->hold / TICK_US);
    p->retry_us = may_retry(plans, side) ? (uint32_t)(when->retry[side] / TICK_US) : 0;
    p->chance = (uint32_t)(chance_of(plans) * 1e6);
    p->flags = s->flags[0] & s->flags[1];
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        add_volleys(&plans[family], side, &p->volleys);
    add_hosts(d, s, side, &p->hosts);
    p->local_nat = dispatch_summary(d, s, side);
    p->remote_nat = dispatch_summary(d, s, !side);
    dispatch_deliver(d, s->channel[side], &m);
}

/* ---- the record ---- */

static int describe_family(char *out, size_t size, const struct session *s, unsigned family,
                           const struct plan *plan)
{
    return snprintf(out, size,
                    "{\"family\":%u,\"shapes\":[\"%s\",\"%s\"],\"ports\":[%u,%u],\"syns\":[%u,%u],"
                    "\"sockets\":[%u,%u],"
                    "\"chance\":%.6f}",
                    family == FAMILY_6 ? 6u : 4u, nat_shape_name(s->prediction[0][family].shape),
                    nat_shape_name(s->prediction[1][family].shape), s->prediction[0][family].port,
                    s->prediction[1][family].port, plan->side[0].syns, plan->side[1].syns,
                    plan->side[0].sockets, plan->side[1].sockets, plan->chance);
}

static void describe_round(struct dispatch *d, struct session *s,
                           const struct family_plan plans[FAMILY_COUNT])
{
    char text[400], families[300] = "";
    struct row_session *r = s->row;
    size_t at = 0;
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        if (plans[family].possible && plans[family].plan.reason == REASON_OK &&
            at < sizeof(families) - 150) {
            at += at ? (size_t)snprintf(families + at, sizeof(families) - at, ",") : 0;
            at += (size_t)describe_family(families + at, sizeof(families) - at, s, family,
                                          &plans[family].plan);
        }
    int len = snprintf(
        text, sizeof(text),
        "{\"round\":%u,\"chance\":%.6f,\"families\":[%s],\"refusal\":[\"%s\",\"%s\"]}",
        s->machine.round, chance_of(plans), families, nat_refusal_name(refusal_of(d, s, 0, plans)),
        nat_refusal_name(refusal_of(d, s, 1, plans)));
    size_t kept = strlen(r->plan);
    /* A round more goes before the closing brackets; one that has no room is left out rather than
     * cut. */
    if (len < 0 || (size_t)len >= sizeof(text) || kept + (size_t)len + 16 > sizeof(r->plan))
        return;
    if (!kept)
        snprintf(r->plan, sizeof(r->plan), "{\"rounds\":[%s]}", text);
    else
        snprintf(r->plan + kept - 2, sizeof(r->plan) - kept + 2, ",%s]}", text);
}

static void record(struct dispatch *d, struct session *s,
                   const struct family_plan plans[FAMILY_COUNT], const struct schedule *when)
{
    struct row_session *r = s->row;
    r->chance = chance_of(plans);
    r->punch = stamp_now() + (when->punch - loop_clock()) / TICK_US;
    for (unsigned side = 0; side < 2; side++) {
        const struct channel *c = slab_get(&d->table.channels, s->channel[side]);
        unsigned family = plans[FAMILY_4].possible ? FAMILY_4 : FAMILY_6;
        tick bound = clock_estimate_bound(&c->clock, d->loop->now) / TICK_US;
        r->nat[side] = dispatch_summary(d, s, side);
        r->public_endpoint[side] =
            endpoint_with_port(c->observed[family], s->prediction[side][family].port);
        r->clock_bound_us[side] = bound > UINT32_MAX ? UINT32_MAX : (uint32_t)bound;
    }
    describe_round(d, s, plans);
}

/* ---- the round ---- */

/* Why no family gave a plan: the first that could have speaks for all. */
static enum reason no_plan(const struct family_plan plans[FAMILY_COUNT])
{
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        if (plans[family].possible)
            return plans[family].plan.reason;
    return REASON_NO_COMMON_FAMILY;
}

enum reason dispatch_punch(struct dispatch *d, struct session *s, tick *until)
{
    struct channel *a = slab_get(&d->table.channels, s->channel[0]);
    struct channel *b = slab_get(&d->table.channels, s->channel[1]);
    struct family_plan plans[FAMILY_COUNT];
    struct endpoints hosts = {0};
    bool any = false;

    if (!a || !b)
        return REASON_PEER_LOST;
    if (!clock_estimate_known(&a->clock) || !clock_estimate_known(&b->clock))
        return REASON_PROTOCOL; /* a client that answers no SYNC cannot be given a moment */
    tick soon = d->loop->now +
                2 * tick_max(clock_estimate_delay(&a->clock), clock_estimate_delay(&b->clock));
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        plans[family] = plan_family(d, s, family, soon);
        any |= plans[family].possible && plans[family].plan.reason == REASON_OK;
    }
    add_hosts(d, s, 0, &hosts);
    s->row->nat[0] = dispatch_summary(d, s, 0);
    s->row->nat[1] = dispatch_summary(d, s, 1);
    if (!any && !hosts.count)
        return no_plan(plans);
    struct schedule when = schedule_round(d, s, plans);
    record(d, s, plans, &when);
    send_punch(d, s, 0, plans, &when);
    send_punch(d, s, 1, plans, &when);
    *until = tick_after(tick_max(when.start_server[0], when.start_server[1]), when.hold);
    return REASON_OK;
}

/* ---- afterwards ---- */

/*
 * Where a side really was is told by the other one, and believed only when both sides say that they
 * met: neither can then move the other's profile by itself.
 */
void dispatch_learn(struct dispatch *d, struct session *s, bool met)
{
    const struct session_machine *m = &s->machine;
    bool agreed = met && m->resulted[0] && m->resulted[1] && m->result[0] == REASON_OK &&
                  m->result[1] == REASON_OK;
    for (unsigned side = 0; side < 2; side++) {
        struct channel *c = slab_get(&d->table.channels, s->channel[side]);
        for (unsigned family = 0; c && family < FAMILY_COUNT; family++) {
            const struct endpoint *where = &s->row->met[side];
            bool won = agreed && where->family && family_index(where) == family &&
                       endpoint_same_address(where, &c->observed[family]);
            struct nat *n = channel_nat(&d->table, c, family);
            if (!n || s->prediction[side][family].shape == SHAPE_NONE || (met && !won))
                continue;
            struct outcome outcome = {
                .peer = dispatch_peer_number(s->peer[side]),
                .other = dispatch_peer_number(s->peer[!side]),
                .met = met,
                .port = won ? where->port : 0,
                .chance = s->row->chance,
            };
            profile_learn_outcome(&n->profile, &outcome, d->loop->now);
            dispatch_nat_put(d, n);
        }
    }
}
