/* SPDX-License-Identifier: ISC */
/* One round: predictions, the plan, the punch time, and both on their way. */
#include <string.h>

#include "dispatch.h"

/* SYNs of one side in a session where both have agreed to birthday. */
#define SESSION_SYNS_BIRTHDAY 1024
/* Both peers behind one public address: what leads from one to the other is short, and leads there
 * at once or never. So there are two rounds, and the first is held for one retransmission. */
#define ROUNDS_TOGETHER 2
#define HOLD_TOGETHER   (1100 * TICK_MS)
#define GRACE_TOGETHER  (600 * TICK_MS)
/* By which a round that nothing follows ends before the session, so that both sides can report. */
#define REPORT_TIME (400 * TICK_MS)

/* What the stages made of one address family. */
struct family_plan {
    bool possible; /* both sides have the family */
    bool limited;  /* by what may come from a side's public address */
    struct plan plan;
};

/* Whether there is a plan for this family that is worth its SYNs. */
static bool planned(const struct family_plan *p)
{
    return p->possible && p->plan.reason == REASON_OK;
}

/* How a round went for one side: so far, that it missed. */
static struct outcome outcome_of(const struct session *s, unsigned side)
{
    return (struct outcome){
        .peer = dispatch_peer_number(s->peer[side]),
        .other = dispatch_peer_number(s->peer[!side]),
        .chance = s->row->chance,
    };
}

struct profile dispatch_profile(struct dispatch *d, const struct session *s, unsigned side,
                                const struct nat *n)
{
    struct profile profile = n->profile;
    struct outcome outcome = outcome_of(s, side);
    unsigned missed_rounds = s->together == REASON_OK ? s->machine.planned : 0;
    for (unsigned i = 0; i < missed_rounds; i++)
        profile_learn_outcome(&profile, &outcome, d->loop->now);
    return profile;
}

/* The number of a side's first punch socket. */
static uint16_t first_socket(struct dispatch *d, const struct session *s, unsigned side,
                             unsigned family)
{
    if (dispatch_from_control(d, s, side, family))
        return SOCKET_CONTROL;
    return survey_round_socket(s->machine.round);
}

/* The control channel itself is an observation of its port, as long as it stands. */
static struct observation control_anchor(const struct channel *c, unsigned family, tick now)
{
    return (struct observation){
        .at = now,
        .observed = c->observed[family],
        .peer = dispatch_peer_number(c->peer),
        .socket = SOCKET_CONTROL,
    };
}

static struct prediction predict_side(struct dispatch *d, struct session *s, unsigned side,
                                      unsigned family, tick at)
{
    struct observation anchors[MSG_STEPS_MAX + 1];
    struct channel *c = slab_get(&d->table.channels, s->channel[side]);
    const struct nat *n = channel_nat(&d->table, c, family);
    const struct run *run = slab_get(&d->runs, s->anchors[side]);
    struct profile profile = dispatch_profile(d, s, side, n);
    struct predict_input in = {
        .profile = &profile,
        .public_address = c->observed[family],
        .local = s->machine.round == 1 ? s->local[side][family] : endpoint_none(),
        .anchors = anchors,
        .peer = dispatch_peer_number(c->peer),
        .socket = first_socket(d, s, side, family),
        .at = at,
    };
    for (unsigned i = 0; run && i < run->count; i++)
        if (family_index(&run->observations[i].observed) == family)
            anchors[in.anchor_count++] = run->observations[i];
    if (dispatch_from_control(d, s, side, family))
        anchors[in.anchor_count++] = control_anchor(c, family, d->loop->now);
    const struct port_block *block = dispatch_block(d, c, family);
    if (block) {
        port_block_bounds(block, &in.block_low, &in.block_high);
        in.sure_low = block->low;
        in.sure_high = block->high;
    }
    if (dispatch_nat_of(d, c, family).pooling == NAT_ARBITRARY) {
        in.addresses_seen = n->pool_addresses;
        in.address_draws = n->pool_draws;
    }
    return predict(&in);
}

static bool has_family(struct dispatch *d, const struct session *s, unsigned side, unsigned family)
{
    struct channel *c = slab_get(&d->table.channels, s->channel[side]);
    return c && channel_nat(&d->table, c, family) && !endpoint_is_none(&s->local[side][family]) &&
           !endpoint_is_none(&c->observed[family]);
}

/* What is known of a side's NAT; false: it has none of this family. */
static bool nat_of(struct dispatch *d, const struct session *s, unsigned side, unsigned family,
                   struct nat_summary *out)
{
    struct channel *c = slab_get(&d->table.channels, s->channel[side]);
    if (!c || !channel_nat(&d->table, c, family))
        return false;
    *out = dispatch_nat_of(d, c, family);
    return true;
}

/* Whether a NAT drops a SYN that answers a SYN from within. */
static bool no_simultaneous_open(const struct nat_summary *n)
{
    return n->features & NAT_FEATURE_NO_SIMULTANEOUS_OPEN;
}

/* The NAT that people mean: the one of IPv4 where there is one. */
struct nat_summary dispatch_summary(struct dispatch *d, const struct session *s, unsigned side)
{
    struct nat_summary n = {0};
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        if (nat_of(d, s, side, family, &n))
            break;
    return n;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* SYNs that a side may send in this round: by its own word, the server's, and what is left to its
 * session. */
static uint16_t allowed(struct dispatch *d, const struct session *s, unsigned side)
{
    bool birthday = s->flags[0] & s->flags[1] & SESSION_BIRTHDAY;
    unsigned round = birthday ? UINT16_MAX : (unsigned)d->conf->syn_budget;
    unsigned session = (unsigned)d->conf->session_syns;
    if (birthday && session < SESSION_SYNS_BIRTHDAY)
        session = SESSION_SYNS_BIRTHDAY;
    unsigned left = s->syns[side] < session ? session - s->syns[side] : 0;
    return (uint16_t)least(s->budget[side], least(round, left));
}

/* Ports of its NAT that a peer has in use: its channels', and at most one for each SYN that it was
 * told to send of late. */
static uint16_t held_ports(struct dispatch *d, const struct session *s, unsigned side,
                           unsigned family)
{
    const struct peer *p = slab_get(&d->table.peers, s->peer[side]);
    uint32_t sum = p ? account_sum(&p->syns[family], d->loop->now) : 0;
    sum = p && sum <= UINT16_MAX ? sum + p->channels : sum;
    return sum < UINT16_MAX ? (uint16_t)sum : UINT16_MAX;
}

/* Both sides' mappings are made when their SYNs leave: `start`, on the server's clock. */
static void plan_family(struct dispatch *d, struct session *s, unsigned family, const tick start[2],
                        struct family_plan *out)
{
    struct plan_side side[2];
    uint16_t both = s->flags[0] & s->flags[1];
    if (!out->possible)
        return;
    for (unsigned i = 0; i < 2; i++) {
        const struct channel *c = slab_get(&d->table.channels, s->channel[i]);
        struct nat_summary n = dispatch_nat_of(d, c, family);
        uint16_t own = allowed(d, s, i), left = dispatch_syns_left(d, c, family);
        out->limited |= left < own;
        s->prediction[i][family] = predict_side(d, s, i, family, start[i]);
        side[i] = (struct plan_side){
            .prediction = s->prediction[i][family],
            .filtering = (enum nat_filtering)n.filtering,
            .refusal = (enum nat_refusal)n.refusal,
            .socket = first_socket(d, s, i, family),
            .budget = (uint16_t)least(own, left),
            .held = held_ports(d, s, i, family),
            .birthday = both & SESSION_BIRTHDAY,
            .no_simultaneous_open = no_simultaneous_open(&n),
        };
    }
    out->plan = plan_make(side, s->machine.round);
}

/* Where either family's NAT answers, the start must be ordered as if both did. */
static enum nat_refusal refusal_of(struct dispatch *d, const struct session *s, unsigned side,
                                   const struct family_plan plans[FAMILY_COUNT])
{
    enum nat_refusal worst = NAT_SILENCE;
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        struct nat_summary n;
        if (nat_of(d, s, side, family, &n) && planned(&plans[family]) && n.refusal != NAT_SILENCE)
            worst = (enum nat_refusal)n.refusal;
    }
    return worst;
}

/* Where either family's NAT refuses simultaneous open, the start must be ordered as if both did. */
static bool refuses_simultaneous_open(struct dispatch *d, const struct session *s, unsigned side,
                                      const struct family_plan plans[FAMILY_COUNT])
{
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        struct nat_summary n;
        if (nat_of(d, s, side, family, &n) && planned(&plans[family]) && no_simultaneous_open(&n))
            return true;
    }
    return false;
}

/* From the start of a side to its last SYN. */
static tick duration_of(const struct family_plan plans[FAMILY_COUNT])
{
    tick longest = 0;
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        for (unsigned i = 0; planned(&plans[family]) && i < 2; i++)
            for (unsigned k = 0; k < plans[family].plan.side[i].volley_count; k++) {
                const struct volley *v = &plans[family].plan.side[i].volleys[k];
                tick last = (tick)v->offset_us + (tick)v->count * v->spacing_us;
                longest = tick_max(longest, last * TICK_US);
            }
    return longest;
}

/* How long the sockets are held: where nothing follows, for as long as there is time. */
static tick hold_of(const struct session *s, const struct schedule *when)
{
    tick start = tick_max(when->start_server[0], when->start_server[1]);
    if (s->together != REASON_OK)
        return s->machine.round == 1 ? tick_max(when->again, HOLD_TOGETHER) : when->again;
    if (s->machine.round < s->limits.rounds)
        return when->hold;
    return tick_max(s->machine.expires - start - REPORT_TIME, TICK_MS);
}

static struct schedule schedule_round(struct dispatch *d, const struct session *s,
                                      const struct family_plan plans[FAMILY_COUNT])
{
    struct schedule_side side[2];
    for (unsigned i = 0; i < 2; i++) {
        const struct channel *c = slab_get(&d->table.channels, s->channel[i]);
        side[i].clock = c->clock;
        side[i].refusal = refusal_of(d, s, i, plans);
        side[i].no_simultaneous_open = refuses_simultaneous_open(d, s, i, plans);
    }
    struct schedule when = schedule_make(side, loop_clock(), d->conf->punch_margin * TICK_MS);
    when.again += duration_of(plans);
    when.hold = hold_of(s, &when);
    return when;
}

/* ---- the message ---- */

/*
 * Private addresses are told, and dialled, only where both peers have one public address: anywhere
 * else they would lead into somebody else's network. No other address is: this is a peer's own
 * word, and a global address would be whoever's it likes. Nor is one of the server's.
 */
static bool may_be_told(struct dispatch *d, const struct endpoint *e)
{
    const struct survey_servers *own = &d->servers[family_index(e)];
    if (endpoint_is_none(e) || !endpoint_is_host_candidate(e) || endpoint_is_global(e))
        return false;
    for (unsigned i = 0; i < own->address_count; i++)
        if (endpoint_same_address(&own->addresses[i], e))
            return false;
    return true;
}

static bool one_address(const struct channel *a, const struct channel *b, unsigned family)
{
    return !endpoint_is_none(&a->observed[family]) &&
           endpoint_same_address(&a->observed[family], &b->observed[family]);
}

static void add_hosts(struct dispatch *d, const struct session *s, unsigned side,
                      struct endpoints *hosts)
{
    const struct channel *own = slab_get(&d->table.channels, s->channel[side]);
    const struct channel *other = slab_get(&d->table.channels, s->channel[!side]);
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        const struct endpoint *e = &s->local[!side][family];
        if (one_address(own, other, family) && may_be_told(d, e))
            hosts->at[hosts->count++] = *e;
    }
}

static void add_volleys(const struct family_plan *p, unsigned side, struct volleys *volleys)
{
    for (unsigned i = 0; planned(p) && i < p->plan.side[side].volley_count; i++)
        volleys->at[volleys->count++] = p->plan.side[side].volleys[i];
}

/* One word for all families: a retry must not spoil the mapping of any. */
static bool may_retry(const struct family_plan plans[FAMILY_COUNT], unsigned side)
{
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        if (planned(&plans[family]) && !plans[family].plan.side[side].retry)
            return false;
    return true;
}

static double chance_of(const struct family_plan plans[FAMILY_COUNT])
{
    double miss = 1.0;
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        if (planned(&plans[family]))
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
        if (planned(&plans[family]) && at < sizeof(families) - 150) {
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

/* One side's word on one round; null where it said nothing. */
static int describe_told(char *out, size_t size, const struct round_told *t)
{
    if (!t->there)
        return snprintf(out, size, "null");
    return snprintf(out, size, "{\"reason\":%u,\"syns\":%u,\"refusals\":%u,\"late_us\":%d}",
                    t->reason, t->syns, t->refusals, (int)t->late_us);
}

/* Goes before the closing bracket of the plan; where it has no room, it is left out. */
void dispatch_describe_results(struct session *s)
{
    char text[1200], sides[2][100];
    struct row_session *r = s->row;
    size_t at = 0, kept = strlen(r->plan);

    for (unsigned i = 0; i < s->machine.planned && i < SESSION_ROUNDS_MAX; i++) {
        for (unsigned side = 0; side < 2; side++)
            describe_told(sides[side], sizeof(sides[side]), &s->told[side][i]);
        int len =
            snprintf(text + at, sizeof(text) - at, "%s[%s,%s]", at ? "," : "", sides[0], sides[1]);
        if (len < 0 || (size_t)len >= sizeof(text) - at)
            return;
        at += (size_t)len;
    }
    if (kept && at && kept + at + 16 < sizeof(r->plan))
        snprintf(r->plan + kept - 1, sizeof(r->plan) - kept + 1, ",\"results\":[%s]}", text);
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
            return plans[family].limited && plans[family].plan.reason == REASON_UNPREDICTABLE
                       ? REASON_LIMIT
                       : plans[family].plan.reason;
    return REASON_NO_COMMON_FAMILY;
}

/* What it costs a side is the same whether its SYNs meet or not. */
static void charge(struct dispatch *d, struct session *s,
                   const struct family_plan plans[FAMILY_COUNT], const struct endpoints *hosts)
{
    for (unsigned side = 0; side < 2; side++) {
        const struct channel *c = slab_get(&d->table.channels, s->channel[side]);
        for (unsigned family = 0; family < FAMILY_COUNT; family++) {
            const struct plan *p = &plans[family].plan;
            if (!planned(&plans[family]))
                continue;
            s->syns[side] += p->side[side].syns;
            dispatch_charge(d, c, family, p->side[side].syns);
        }
        s->syns[side] += hosts->count;
    }
}

static enum reason reason_together(const struct channel *a, const struct channel *b,
                                   const struct family_plan plans[FAMILY_COUNT], bool any)
{
    bool together = false;
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        if (plans[family].possible && !one_address(a, b, family))
            return REASON_OK;
        together |= plans[family].possible;
    }
    if (!together)
        return REASON_OK;
    return any ? REASON_NO_HAIRPIN : no_plan(plans);
}

/* Why nothing is sent, with more words where it is the server's own doing. */
static enum reason refuse(struct dispatch *d, struct session *s, enum reason reason)
{
    if (reason != REASON_LIMIT || s->machine.planned)
        return reason;
    dispatch_limit_hit(d, LIMIT_ADDRESS_SYNS, NULL);
    snprintf(s->row->text, sizeof(s->row->text),
             "too many connections were tried from one public address (address-syns); "
             "try again in a few minutes");
    return reason;
}

enum reason dispatch_punch(struct dispatch *d, struct session *s, tick *until, tick *again)
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
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        plans[family] = (struct family_plan){.possible = has_family(d, s, 0, family) &&
                                                         has_family(d, s, 1, family)};
    struct schedule when = schedule_round(d, s, plans);
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        plan_family(d, s, family, when.start_server, &plans[family]);
        any |= planned(&plans[family]);
    }
    add_hosts(d, s, 0, &hosts);
    s->row->nat[0] = dispatch_summary(d, s, 0);
    s->row->nat[1] = dispatch_summary(d, s, 1);
    if (!any && !hosts.count)
        return refuse(d, s, plan_pooled(no_plan(plans), &s->row->nat[0], &s->row->nat[1]));
    if (any || !s->machine.planned)
        s->together = reason_together(a, b, plans, any);
    if (s->together != REASON_OK) {
        s->limits.rounds = (uint8_t)least(s->limits.rounds, ROUNDS_TOGETHER);
        s->limits.grace = GRACE_TOGETHER;
    }
    when = schedule_round(d, s, plans);
    record(d, s, plans, &when);
    send_punch(d, s, 0, plans, &when);
    send_punch(d, s, 1, plans, &when);
    charge(d, s, plans, &hosts);
    tick start = tick_max(when.start_server[0], when.start_server[1]);
    *until = tick_after(start, when.hold);
    *again = tick_after(start, when.again);
    return REASON_OK;
}

/* ---- afterwards ---- */

static struct nat *judged(struct dispatch *d, const struct session *s, unsigned side,
                          unsigned family)
{
    const struct channel *c = slab_get(&d->table.channels, s->channel[side]);
    bool predicted = s->prediction[side][family].shape != SHAPE_NONE;
    return c && predicted ? channel_nat(&d->table, c, family) : NULL;
}

void dispatch_missed(struct dispatch *d, struct session *s, unsigned rounds)
{
    /* Behind one NAT it is most likely its lack of hairpinning: nothing against what is known. */
    if (s->together != REASON_OK)
        return;
    for (unsigned side = 0; side < 2; side++)
        for (unsigned family = 0; rounds && family < FAMILY_COUNT; family++) {
            struct nat *n = judged(d, s, side, family);
            struct outcome outcome = outcome_of(s, side);
            for (unsigned i = 0; n && i < rounds; i++)
                profile_learn_outcome(&n->profile, &outcome, d->loop->now);
            if (!n)
                continue;
            dispatch_filter_missed(d, slab_get(&d->table.channels, s->channel[side]), n);
            dispatch_nat_put(d, n);
        }
}

/*
 * Where a side really was is told by the other one, and believed only when both sides say that they
 * met: neither can then move the other's profile by itself.
 */
void dispatch_met(struct dispatch *d, struct session *s)
{
    const struct session_machine *m = &s->machine;
    bool agreed =
        m->resulted[0] && m->resulted[1] && m->result[0] == REASON_OK && m->result[1] == REASON_OK;
    for (unsigned side = 0; agreed && side < 2; side++)
        for (unsigned family = 0; family < FAMILY_COUNT; family++) {
            const struct channel *c = slab_get(&d->table.channels, s->channel[side]);
            const struct endpoint *where = &s->row->met[side];
            struct nat *n = judged(d, s, side, family);
            if (!n || !where->family || family_index(where) != family ||
                !endpoint_same_address(where, &c->observed[family]))
                continue;
            struct outcome outcome = outcome_of(s, side);
            outcome.met = true;
            outcome.port = where->port;
            profile_learn_outcome(&n->profile, &outcome, d->loop->now);
            dispatch_nat_put(d, n);
        }
}
