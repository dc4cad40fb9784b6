/* SPDX-License-Identifier: ISC */
/* What a connection would come to: against kinds of peers (CHECK), or against one (SESSION_CHECK).
 */
#include <string.h>

#include "dispatch.h"
#include "log.h"

/* A channel's questions are answered no more often than this; an answer costs some planning. */
#define CHECK_PAUSE TICK_S
/* A NAT that was looked at as recently as this is not surveyed again for a check, whoever asks. */
#define CHECK_FRESH (5 * TICK_S)
/* Then the answer is given with what is known. */
#define CHECK_PATIENCE_S 8.0
/*
 * From an anchor's SYN to the punch, in one-way delays to the server: its handshake and OBSERVE
 * (3), PREPARED with it, PUNCH (1), and the rest of the way.
 */
#define ANCHOR_DELAYS 5

/* ---- what both ask for ---- */

static bool has_family(struct dispatch *d, const struct channel *c, unsigned family)
{
    return channel_nat(&d->table, c, family) && !endpoint_is_none(&c->observed[family]) &&
           !endpoint_is_none(&c->local[family]);
}

static struct plan_party party_of(struct dispatch *d, const struct channel *c, unsigned family,
                                  uint16_t budget, bool birthday)
{
    const struct port_block *block = dispatch_block(d, c, family);
    struct plan_party out = {
        .profile = &channel_nat(&d->table, c, family)->profile,
        .peer = dispatch_peer_number(c->peer),
        .nat = dispatch_nat_of(d, c, family),
        .address = endpoint_with_port(c->observed[family], 0),
        .local = endpoint_with_port(c->local[family], 0),
        .budget = birthday ? budget : (uint16_t)tick_min(budget, d->conf->syn_budget),
        .most = DISPATCH_BUDGET_BIRTHDAY,
        .birthday = birthday,
    };
    if (block) {
        port_block_bounds(block, &out.block_low, &out.block_high);
        out.sure_low = block->low;
        out.sure_high = block->high;
    }
    return out;
}

static struct plan_moment moment_of(struct dispatch *d, tick delay)
{
    return (struct plan_moment){
        .now = d->loop->now,
        .anchor_age = ANCHOR_DELAYS * delay + d->conf->punch_margin * TICK_MS,
    };
}

static void add_nats(struct dispatch *d, const struct channel *c, struct nats *nats)
{
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        const struct nat *n = channel_nat(&d->table, c, family);
        if (!n || endpoint_is_none(&c->observed[family]))
            continue;
        nats->at[nats->count].address = endpoint_with_port(c->observed[family], 0);
        nats->at[nats->count++].nat = dispatch_nat_of(d, c, family);
    }
}

/* ---- CHECK ---- */

static void refuse(struct dispatch *d, struct channel *c, uint32_t request, enum reason reason,
                   enum limit limit)
{
    struct msg m = {.type = MSG_CHECKED};
    dispatch_limit_hit(d, limit, &c->observed[c->family]);
    m.checked_.request = request;
    m.checked_.reason = (uint8_t)reason;
    dispatch_deliver(d, c->slot.self, &m);
}

static bool known(struct dispatch *d, const struct channel *c)
{
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        const struct nat *n = channel_nat(&d->table, c, family);
        if (n && n->profile.learnt != TICK_NEVER)
            return true;
    }
    return false;
}

static void answer(struct dispatch *d, const struct check *k, const struct channel *c)
{
    struct plan_party own[FAMILY_COUNT];
    struct msg m = {.type = MSG_CHECKED};
    size_t count = 0;
    bool birthday = k->flags & SESSION_BIRTHDAY;
    uint16_t budget = dispatch_budget(d, k->budget, k->flags);
    struct plan_moment when = moment_of(d, clock_estimate_delay(&c->clock));

    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        if (has_family(d, c, family))
            own[count++] = party_of(d, c, family, budget, birthday);
    m.checked_.request = k->request;
    m.checked_.reason = known(d, c) ? REASON_OK : REASON_NO_OBSERVATION;
    m.checked_.rounds = (uint8_t)d->conf->rounds;
    add_nats(d, c, &m.checked_.nats);
    if (m.checked_.reason == REASON_OK)
        plan_prospects(own, count, &when, &m.checked_.prospects);
    dispatch_deliver(d, c->slot.self, &m);
}

void dispatch_check_free(struct dispatch *d, struct check *k)
{
    struct channel *c = slab_get(&d->table.channels, k->channel);
    if (c)
        c->check = REF_NONE;
    ev_timer_stop(d->loop->ev, &k->timer);
    slab_release(&d->checks, k);
}

/* The one survey that is made for a check, unless this NAT has just been looked at. */
static void survey_once(struct dispatch *d, struct check *k, struct channel *c)
{
    struct nat *n = channel_nat(&d->table, c, c->family);
    tick now = d->loop->now;
    bool fresh = n && n->profile.learnt != TICK_NEVER && now - n->profile.learnt < CHECK_FRESH;
    bool tried = n && mark_within(n->checked, now, CHECK_FRESH);
    k->surveyed = true;
    if (fresh || tried)
        return;
    if (n)
        n->checked = mark_at(now);
    dispatch_survey_fully(d, c);
}

static void advance(struct dispatch *d, struct check *k, bool patient)
{
    struct channel *c = slab_get(&d->table.channels, k->channel);
    if (c && patient) {
        if (!ref_is_none(c->survey))
            return;
        if (!k->surveyed)
            survey_once(d, k, c);
        if (!ref_is_none(c->survey) || !dispatch_surveyed(d, c))
            return;
    }
    if (c)
        answer(d, k, c);
    dispatch_check_free(d, k);
}

static void out_of_patience(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct check *k = timer->data;
    (void)loop;
    (void)events;
    advance(k->d, k, false);
}

void dispatch_check(struct dispatch *d, struct channel *c, const struct msg_check *m)
{
    bool early = mark_within(c->checked, d->loop->now, CHECK_PAUSE);
    struct check *k;
    if (early || !ref_is_none(c->check)) {
        refuse(d, c, m->request, REASON_LIMIT, LIMIT_PEER_CHECKS);
        return;
    }
    k = slab_take(&d->checks);
    if (!k) {
        refuse(d, c, m->request, REASON_BUSY, LIMIT_CHECKS);
        return;
    }
    c->checked = mark_at(d->loop->now);
    c->check = k->slot.self;
    k->d = d;
    k->channel = c->slot.self;
    k->request = m->request;
    k->flags = m->flags;
    k->budget = m->budget;
    ev_timer_init(&k->timer, out_of_patience, CHECK_PATIENCE_S, 0.);
    k->timer.data = k;
    ev_timer_start(d->loop->ev, &k->timer);
    advance(d, k, true);
}

void dispatch_checks_ready(struct dispatch *d)
{
    for (uint32_t i = 0; d->checks.used && i < slab_end(&d->checks); i++) {
        struct check *k = slab_at(&d->checks, i);
        if (k)
            advance(d, k, true);
    }
}

/* ---- SESSION_CHECK ---- */

/* Private addresses are tried beside the public ones where both sides show one public address. */
static bool same_address(const struct channel *a, const struct channel *b)
{
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        if (!endpoint_is_none(&a->observed[family]) &&
            endpoint_same_address(&a->observed[family], &b->observed[family]) &&
            endpoint_is_host_candidate(&a->local[family]) &&
            endpoint_is_host_candidate(&b->local[family]))
            return true;
    return false;
}

static struct prospect prospect_of(struct dispatch *d, struct session *s, struct channel *c[2])
{
    struct plan_party sides[FAMILY_COUNT][2];
    struct plan_moment when = moment_of(
        d, tick_max(clock_estimate_delay(&c[0]->clock), clock_estimate_delay(&c[1]->clock)));
    bool birthday = s->flags[0] & s->flags[1] & SESSION_BIRTHDAY;
    size_t count = 0;
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        if (!has_family(d, c[0], family) || !has_family(d, c[1], family))
            continue;
        for (unsigned side = 0; side < 2; side++)
            sides[count][side] = party_of(d, c[side], family, s->budget[side], birthday);
        count++;
    }
    return plan_prospect((const struct plan_party(*)[2])sides, count, &when);
}

static void log_check(const struct row_session *r, const struct prospect *p)
{
    char a[KEY_TEXT_SIZE], b[KEY_TEXT_SIZE];
    log_peer("check: %s -> %s: %s, chance %.3f",
             r->requester_name[0] ? r->requester_name : key_format(r->requester, a),
             r->target_name[0] ? r->target_name : key_format(r->target, b), reason_name(p->reason),
             p->chance / 1e6);
}

void dispatch_check_session(struct dispatch *d, struct session *s)
{
    struct channel *c[2] = {slab_get(&d->table.channels, s->channel[0]),
                            slab_get(&d->table.channels, s->channel[1])};
    const struct peer *target = slab_get(&d->table.peers, s->peer[SIDE_TARGET]);
    struct msg m = {.type = MSG_CHECKED};
    struct msg_checked *out = &m.checked_;
    if (!c[0] || !c[1] || !target)
        return; /* SESSION_LOST is on its way */
    out->request = s->request;
    memcpy(out->peer, target->key, KEY_SIZE);
    out->flags = same_address(c[0], c[1]) ? CHECKED_SAME_ADDRESS : 0;
    out->rounds = s->limits.rounds;
    add_nats(d, c[0], &out->nats);
    out->prospects.count = 1;
    out->prospects.at[0] = prospect_of(d, s, c);
    if (!out->prospects.at[0].family) /* no family in common: then the NAT that people mean */
        out->prospects.at[0].nat = dispatch_summary(d, s, SIDE_TARGET);
    s->checked = dispatch_deliver(d, s->channel[SIDE_REQUESTER], &m);
    log_check(s->row, &out->prospects.at[0]);
}
