/* SPDX-License-Identifier: ISC */
/* Observations, probes, and what the NAT profiles learn from them. */
#include <sodium.h>
#include <string.h>

#include "dispatch.h"
#include "log.h"

/* Longer than the client's own limit for a step, so that its SURVEYED comes first. */
#define RUN_SECONDS 6.0
/* One public address in the observations of so many sockets: a pool would have shown another. */
#define PAIRED_SOCKETS 3

/* ---- profiles ---- */

void dispatch_nat_put(struct dispatch *d, struct nat *n)
{
    struct row row = {.kind = ROW_PROFILE};
    row.profile.address = n->address;
    row.profile.profile = n->profile;
    row.profile.learnt = dispatch_stamp_of(d, n->profile.learnt);
    row.profile.refusal_learnt = dispatch_stamp_of(d, n->profile.refusal_learnt);
    row.profile.filtering_learnt = dispatch_stamp_of(d, n->profile.filtering_learnt);
    row.profile.simultaneous_learnt = dispatch_stamp_of(d, n->profile.simultaneous_learnt);
    dispatch_put(d, &row);
}

struct nat_summary dispatch_nat_of(struct dispatch *d, const struct channel *c, unsigned family)
{
    const struct nat *n = channel_nat(&d->table, c, family);
    uint64_t peer = dispatch_peer_number(c->peer);
    if (!n)
        return (struct nat_summary){0};
    return profile_view(&n->profile, peer, d->loop->now).nat;
}

/* ---- runs ---- */

static struct run *find_run(struct dispatch *d, const uint8_t token[MSG_ID_SIZE])
{
    uint32_t index = lookup_find(&d->run_by_token, token, MSG_ID_SIZE);
    return index == LOOKUP_NONE ? NULL : slab_at(&d->runs, index);
}

void dispatch_run_end(struct dispatch *d, struct run *run)
{
    struct channel *c = slab_get(&d->table.channels, run->channel);
    if (c && ref_equal(c->survey, run->slot.self))
        c->survey = REF_NONE;
    ev_timer_stop(d->loop->ev, &run->timer);
    lookup_remove(&d->run_by_token, run->token, MSG_ID_SIZE);
    slab_release(&d->runs, run);
}

static unsigned count_sockets(const struct observation *obs, size_t count)
{
    unsigned sockets = 0;
    for (size_t i = 0; i < count; i++) {
        bool seen = false;
        for (size_t j = 0; j < i; j++)
            seen |= obs[j].socket == obs[i].socket;
        sockets += !seen;
    }
    return sockets;
}

/* Whether the NAT gives a subscriber one public address (RFC 4787 REQ-2). */
static void learn_pooling(struct dispatch *d, const struct run *run, struct nat *n, uint64_t peer,
                          const struct observation *own, size_t count)
{
    if (run->pooled)
        profile_learn_pooling_of(&n->profile, peer, NAT_ARBITRARY, d->loop->now);
    else if (count_sockets(own, count) >= PAIRED_SOCKETS)
        profile_learn_pooling_of(&n->profile, peer, NAT_PAIRED, d->loop->now);
}

/* How many addresses a pool has shows in how few, or many, a survey's connections came from. */
static void count_pool(const struct run *run, const struct channel *c, struct nat *n,
                       unsigned family)
{
    struct endpoint seen[MSG_STEPS_MAX + 1] = {c->observed[family]};
    unsigned count = 1, draws = 1;
    for (unsigned i = 0; i < run->count; i++) {
        const struct endpoint *e = &run->observations[i].observed;
        unsigned k = 0;
        if (family_index(e) != family)
            continue;
        draws++;
        while (k < count && !endpoint_same_address(&seen[k], e))
            k++;
        if (k == count)
            seen[count++] = *e;
    }
    n->pool_addresses = (uint8_t)count;
    n->pool_draws = (uint8_t)draws;
}

static void put_observations(struct dispatch *d, const struct run *run, const struct peer *p)
{
    struct row row = {.kind = ROW_OBSERVATION};
    for (unsigned i = 0; i < run->count; i++) {
        row.observation.observation = run->observations[i];
        row.observation.at = stamp_now();
        memcpy(row.observation.peer_key, p->key, KEY_SIZE);
        dispatch_put(d, &row);
    }
}

static void log_profile(const struct nat *n)
{
    char address[ENDPOINT_TEXT_SIZE], words[200];
    log_peer("NAT %s: %s", log_address(&n->address, address),
             nat_describe(&n->profile.nat, words, sizeof(words)));
}

/* Of our own choosing: a key could be made to look like another peer's. */
uint64_t dispatch_peer_number(struct ref peer)
{
    return (uint64_t)peer.index << 32 | peer.generation;
}

const struct port_block *dispatch_block(const struct dispatch *d, const struct channel *c,
                                        unsigned family)
{
    const struct peer *p = slab_get(&d->table.peers, c->peer);
    bool known =
        p && ref_equal(p->block_nat, c->nat[family]) && port_block_known(&p->block, d->loop->now);
    return known ? &p->block : NULL;
}

static void learn_block(struct dispatch *d, const struct channel *c, unsigned family,
                        const struct observation *obs, size_t count)
{
    struct peer *p = slab_get(&d->table.peers, c->peer);
    const struct nat *n = channel_nat(&d->table, c, family);
    if (!p || n->profile.nat.allocation != NAT_BLOCK)
        return;
    if (!ref_equal(p->block_nat, n->slot.self))
        p->block = (struct port_block){.seen = 0};
    p->block_nat = n->slot.self;
    port_block_learn(&p->block, &n->profile, obs, count, d->loop->now);
}

/*
 * Observations from other addresses of a pool tell how the NAT maps, too. They are believed only
 * while nothing better is known: a peer with a second way into the Internet could show anything
 * there.
 */
static size_t collect(const struct run *run, const struct channel *c, unsigned family, bool pool,
                      struct observation own[MSG_STEPS_MAX])
{
    size_t count = 0;
    for (unsigned i = 0; i < run->count; i++) {
        const struct endpoint *seen = &run->observations[i].observed;
        if (family_index(seen) == family &&
            (pool || endpoint_same_address(seen, &c->observed[family])))
            own[count++] = run->observations[i];
    }
    return count;
}

static void learn_family(struct dispatch *d, struct run *run, struct channel *c, unsigned family)
{
    struct observation own[MSG_STEPS_MAX];
    struct nat *n = channel_nat(&d->table, c, family);
    if (!n)
        return;
    size_t count = collect(run, c, family, !profile_fresh(&n->profile, d->loop->now), own);
    if (!count)
        return;
    profile_learn(&n->profile, own, count, d->loop->now);
    learn_block(d, c, family, own, count);
    learn_pooling(d, run, n, dispatch_peer_number(c->peer), own, count);
    if (run->pooled)
        count_pool(run, c, n, family);
    if (n->profile.nat.features & NAT_FEATURE_DOUBLE && !dispatch_double_recent(d, n))
        profile_learn_feature(&n->profile, NAT_FEATURE_DOUBLE, false, d->loop->now);
    dispatch_nat_put(d, n);
    log_profile(n);
    dispatch_tell_survey(d, c, n);
}

static void learn(struct dispatch *d, struct run *run, struct channel *c)
{
    const struct peer *p = slab_get(&d->table.peers, c->peer);
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        learn_family(d, run, c, family);
    if (p)
        put_observations(d, run, p);
}

/* All that will come has come: a survey teaches the profiles, anchors let their session go on. */
static void run_complete(struct dispatch *d, struct run *run)
{
    struct channel *c = slab_get(&d->table.channels, run->channel);
    if (run->complete)
        return;
    run->complete = true;
    ev_timer_stop(d->loop->ev, &run->timer);
    if (run->crossing.wanted) {
        dispatch_cross_end(d, run);
        return;
    }
    if (!ref_is_none(run->session)) {
        /* The run stays with the session: its observations are the anchors of the plan. */
        struct session *s = slab_get(&d->sessions, run->session);
        if (c)
            learn(d, run, c); /* the freshest word there is on how fast a counter runs */
        if (s && s->machine.round == run->round)
            dispatch_session_event(d, s, SESSION_PREPARED, run->side, REASON_OK);
        return;
    }
    if (c) {
        learn(d, run, c);
        c->surveyed = true;
    }
    dispatch_run_end(d, run);
    if (c) {
        dispatch_probe_refusal(d, c); /* an address of another family may have come to light */
        dispatch_cross(d, c);
    }
    dispatch_ready(d);
}

static void run_expired(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct run *run = timer->data;
    (void)loop;
    (void)events;
    run_complete(run->d, run);
}

/* ---- what observations and rounds cost ---- */

uint16_t dispatch_syns_left(struct dispatch *d, const struct channel *c, unsigned family)
{
    const struct nat *n = channel_nat(&d->table, c, family);
    const struct peer *p = slab_get(&d->table.peers, c->peer);
    uint32_t cap = (uint32_t)d->conf->address_syns;
    if (!n || !p)
        return UINT16_MAX;
    uint16_t all = account_left(&n->syns, cap, d->loop->now);
    uint16_t own = account_left(&p->syns[family], cap / 2, d->loop->now);
    return all < own ? all : own;
}

void dispatch_charge(struct dispatch *d, const struct channel *c, unsigned family, unsigned syns)
{
    struct nat *n = channel_nat(&d->table, c, family);
    struct peer *p = slab_get(&d->table.peers, c->peer);
    if (n)
        account_add(&n->syns, syns, d->loop->now);
    if (p)
        account_add(&p->syns[family], syns, d->loop->now);
}

static unsigned steps_of(const struct steps *steps, unsigned family)
{
    unsigned count = 0;
    for (unsigned i = 0; i < steps->count; i++)
        count += family_index(&steps->at[i].server) == family;
    return count;
}

/* Each observation is a connection of its own. */
static bool afford(struct dispatch *d, const struct channel *c, const struct steps *steps)
{
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        if (steps_of(steps, family) > dispatch_syns_left(d, c, family))
            return false;
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        dispatch_charge(d, c, family, steps_of(steps, family));
    return true;
}

struct run *dispatch_run_start(struct dispatch *d, struct channel *c, const struct steps *steps)
{
    bool affordable = afford(d, c, steps);
    struct run *run = affordable ? slab_take(&d->runs) : NULL;
    if (!run) {
        dispatch_limit_hit(d, affordable ? LIMIT_SURVEYS : LIMIT_ADDRESS_SYNS,
                           &c->observed[c->family]);
        return NULL;
    }
    run->d = d;
    run->channel = c->slot.self;
    run->number = ++c->surveys;
    run->steps = *steps;
    rng_fill(&d->rng, run->token, sizeof(run->token));
    rng_fill(&d->rng, run->secret, sizeof(run->secret));
    if (!lookup_add(&d->run_by_token, run->token, MSG_ID_SIZE, run->slot.self.index)) {
        slab_release(&d->runs, run);
        return NULL;
    }
    ev_timer_init(&run->timer, run_expired, RUN_SECONDS, 0.);
    run->timer.data = run;
    ev_timer_start(d->loop->ev, &run->timer);
    return run;
}

/* ---- surveys ---- */

struct survey_servers dispatch_servers(struct dispatch *d, struct channel *c, unsigned family)
{
    struct survey_servers servers = d->servers[family];
    struct net_conn *conn = slab_get(&d->net->conns, c->conn);
    if (family != c->family || !conn)
        return servers;
    /* First the address the channel goes to, written as zero: only the client knows what it dialled
     * to get here. */
    struct endpoint local = net_local(conn);
    struct endpoint others[SURVEY_ADDRESSES_MAX] = {0};
    uint8_t count = 0;
    for (unsigned i = 0; i < servers.address_count && count < SURVEY_ADDRESSES_MAX - 1; i++)
        if (!endpoint_same_address(&servers.addresses[i], &local))
            others[count++] = servers.addresses[i];
    memset(servers.addresses, 0, sizeof(servers.addresses));
    servers.addresses[0].family = servers.family;
    memcpy(servers.addresses + 1, others, count * sizeof(others[0]));
    servers.address_count = (uint8_t)(count + 1);
    return servers;
}

/* What is asked of one family; returns whether a plan should wait for it. */
static bool plan_family(struct dispatch *d, struct channel *c, unsigned family, bool fully,
                        struct steps *steps)
{
    struct survey_servers servers = dispatch_servers(d, c, family);
    const struct nat *n = channel_nat(&d->table, c, family);
    bool wanted =
        family == c->family || (!endpoint_is_none(&c->local[family]) && (fully || !c->surveyed));
    unsigned before = steps->count;
    if (!wanted || !servers.address_count)
        return false;
    servers.connects_back = dispatch_filter_due(d, c, family);
    if (!n || fully) {
        survey_plan(NULL, &servers, d->loop->now, &d->rng, steps);
        return steps->count > before;
    }
    struct profile view = profile_view(&n->profile, dispatch_peer_number(c->peer), d->loop->now);
    survey_plan(&view, &servers, d->loop->now, &d->rng, steps);
    /* All that is missing may be where this subscriber's block lies. */
    bool fresh = profile_fresh(&view, d->loop->now);
    if (fresh && view.nat.allocation == NAT_BLOCK && !profile_serves_all(&view.nat) &&
        !dispatch_block(d, c, family)) {
        survey_anchors(&view, &servers, 0, PORT_BLOCK_LOOKS, &d->rng, steps);
        return true;
    }
    return steps->count > before && (!fresh || dispatch_filter_matters(n));
}

void dispatch_run_send(struct dispatch *d, struct channel *c, const struct run *run)
{
    struct msg m = {.type = MSG_SURVEY};
    c->survey = run->slot.self;
    m.survey_.survey = run->number;
    m.survey_.steps = run->steps;
    memcpy(m.survey_.token, run->token, sizeof(run->token));
    memcpy(m.survey_.secret, run->secret, sizeof(run->secret));
    dispatch_deliver(d, c->slot.self, &m);
    sodium_memzero(&m.survey_.secret, sizeof(m.survey_.secret));
}

/* A survey is under way; a crossing, which nothing waits for, gives way to one. */
static bool busy(struct dispatch *d, const struct channel *c)
{
    const struct run *run = slab_get(&d->runs, c->survey);
    return run && !run->crossing.wanted;
}

static void survey(struct dispatch *d, struct channel *c, bool fully)
{
    struct steps steps = {0};
    bool wait = false;

    dispatch_probe_refusal(d, c);
    if (busy(d, c))
        return;
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        wait |= plan_family(d, c, family, fully, &steps);
    struct run *run = slab_get(&d->runs, c->survey);
    if (run && steps.count)
        dispatch_run_end(d, run);
    run = steps.count ? dispatch_run_start(d, c, &steps) : NULL;
    c->surveyed = !run || !wait;
    if (run)
        dispatch_run_send(d, c, run);
}

void dispatch_survey(struct dispatch *d, struct channel *c)
{
    survey(d, c, false);
}

void dispatch_survey_fully(struct dispatch *d, struct channel *c)
{
    survey(d, c, true);
}

bool dispatch_surveyed(struct dispatch *d, struct channel *c)
{
    for (unsigned family = 0; family < FAMILY_COUNT; family++) {
        const struct nat *n = channel_nat(&d->table, c, family);
        if (n && (n->probing || (dispatch_filter_matters(n) && dispatch_filter_testing(d, n))))
            return false;
    }
    return c->surveyed && clock_estimate_known(&c->clock);
}

void dispatch_survey_done(struct dispatch *d, struct channel *c, const struct msg_surveyed *m)
{
    struct run *run = slab_get(&d->runs, c->survey);
    if (!run || run->number != m->survey)
        return;
    if (run->crossing.wanted)
        dispatch_cross_told(d, run, m->crossing);
    else
        run_complete(d, run);
}

/* ---- observations ---- */

/*
 * An observation counts only for the address that the peer's control channel comes from: anybody on
 * the path could send a copy of it from elsewhere. A first look at the other family has nothing to
 * compare with yet.
 */
static bool plausible(struct dispatch *d, struct channel *c, const struct endpoint *remote)
{
    unsigned family = family_index(remote);
    if (endpoint_is_none(&c->observed[family]))
        return family != c->family && channel_set_observed(&d->table, c, remote);
    return endpoint_same_address(&c->observed[family], remote);
}

/*
 * Another public address of the same own address, where there is translation: a NAT with a pool. A
 * host with several interfaces or IPv6 privacy addresses has another own address as well.
 */
static bool from_pool(const struct channel *c, const struct endpoint *remote,
                      const struct endpoint *local)
{
    const struct endpoint *own = &c->local[family_index(remote)];
    return !endpoint_is_none(own) && local->family == remote->family &&
           endpoint_same_address(own, local) && !endpoint_same_address(local, remote);
}

static bool genuine(const struct run *run, struct net_conn *conn, const struct msg *m)
{
    const struct msg_observe *o = &m->observe_;
    if (o->step >= run->steps.count || (run->seen & (UINT64_C(1) << o->step)) ||
        msg_tag_verify(m, run->secret) != 0)
        return false;
    const struct step *step = &run->steps.at[o->step];
    return step->server.family == conn->remote.family && step->server.port == net_local(conn).port;
}

/*
 * The mapping was made when the connection's SYN passed the NAT: since then that has come here, the
 * answer has gone there, and OBSERVE has come here, three ways in all.
 */
static tick mapped_at(const struct net_conn *conn)
{
    return loop_clock() - net_round_trip(conn) * 3 / 2;
}

static void record(struct run *run, struct net_conn *conn, const struct msg_observe *o,
                   uint64_t peer)
{
    const struct step *step = &run->steps.at[o->step];
    run->observations[run->count++] = (struct observation){
        .at = mapped_at(conn),
        .observed = conn->remote,
        .local = o->local,
        .server = net_local(conn),
        .peer = peer,
        .socket = step->socket,
        .step = o->step,
        .burst = step->flags & STEP_BURST,
    };
}

/* What an observation is good for beside the answer to it. */
static void use(struct dispatch *d, struct run *run, struct channel *c, struct net_conn *conn,
                const struct msg_observe *o)
{
    bool survey = ref_is_none(run->session) && !run->crossing.wanted;
    if (!plausible(d, c, &conn->remote)) {
        if (survey && from_pool(c, &conn->remote, &o->local)) {
            run->pooled = true;
            record(run, conn, o, dispatch_peer_number(c->peer));
        }
        return;
    }
    if (run->crossing.wanted) {
        dispatch_cross_observed(d, run, conn);
        return;
    }
    record(run, conn, o, dispatch_peer_number(c->peer));
    if (run->steps.at[o->step].flags & STEP_LISTEN)
        dispatch_filter_test(d, c, conn);
}

void dispatch_observe(struct dispatch *d, struct net_conn *conn, const struct msg *m)
{
    struct msg answer = {.type = MSG_OBSERVED};
    struct run *run = find_run(d, m->observe_.token);
    struct channel *c = run ? slab_get(&d->table.channels, run->channel) : NULL;

    if (!c || !genuine(run, conn, m)) {
        d->stats.observations_refused++;
        net_drop(d->net, conn, NET_CLOSED_FORGED);
        return;
    }
    answer.observed_.step = m->observe_.step;
    answer.observed_.observed = conn->remote;
    msg_tag(&answer, run->secret);
    net_answer(d->net, conn, &answer);
    run->seen |= UINT64_C(1) << m->observe_.step;
    d->stats.observations++;
    use(d, run, c, conn, &m->observe_);
    if (run->seen == (run->steps.count == 64 ? UINT64_MAX : (UINT64_C(1) << run->steps.count) - 1))
        run_complete(d, run);
}

/* ---- anchors ---- */

/* What a side's first punch sockets need to be predicted. */
static unsigned anchors_needed(struct dispatch *d, const struct session *s, unsigned side,
                               unsigned family, struct profile *view)
{
    const struct channel *c = slab_get(&d->table.channels, s->channel[side]);
    /* The first round's punch sockets were named with the request; later ones are not known yet. */
    const struct endpoint none = endpoint_none();
    const struct endpoint *local = s->machine.round == 1 ? &s->local[side][family] : &none;
    struct profile profile = dispatch_profile(d, s, side, channel_nat(&d->table, c, family));
    *view = profile_view(&profile, dispatch_peer_number(c->peer), d->loop->now);
    return predict_anchors_needed(view, local, &c->observed[family]);
}

/* Whether a SYN to somebody at this address could be the control channel's own four-tuple. */
static bool is_ours(struct dispatch *d, const struct channel *c, const struct endpoint *e)
{
    const struct survey_servers *own = &d->servers[family_index(e)];
    struct net_conn *conn = slab_get(&d->net->conns, c->conn);
    struct endpoint local = conn ? net_local(conn) : endpoint_none();
    for (unsigned i = 0; i < own->address_count; i++)
        if (endpoint_same_address(&own->addresses[i], e))
            return true;
    return endpoint_same_address(&local, e);
}

/*
 * Only where that saves an observation, and by one session at a time: two that listened on one port
 * would take each other's connections.
 */
static bool can_lend(struct dispatch *d, const struct session *s, unsigned side)
{
    const struct channel *c = slab_get(&d->table.channels, s->channel[side]);
    const struct channel *other = slab_get(&d->table.channels, s->channel[!side]);
    struct profile view;
    if (!c->control_port || slab_get(&d->sessions, c->lent) ||
        !channel_nat(&d->table, c, c->family))
        return false;
    if (endpoint_is_none(&s->local[side][c->family]) ||
        endpoint_is_none(&s->local[!side][c->family]) ||
        endpoint_is_none(&other->observed[c->family]) || is_ours(d, c, &other->observed[c->family]))
        return false;
    return anchors_needed(d, s, side, c->family, &view) && predict_steady(&view.nat);
}

void dispatch_lend_control(struct dispatch *d, struct session *s)
{
    struct channel *c[2];
    for (unsigned side = 0; side < 2; side++) {
        s->control[side] = false;
        c[side] = slab_get(&d->table.channels, s->channel[side]);
    }
    if (s->machine.round != 1 || !c[0] || !c[1])
        return;
    bool can[2] = {can_lend(d, s, 0), can_lend(d, s, 1)};
    /* An earlier session of the same two may still have a connection between just these ports. */
    if (can[0] && can[1] && !ref_is_none(c[0]->lent) && !ref_is_none(c[1]->lent))
        return;
    for (unsigned side = 0; side < 2; side++) {
        s->control[side] = can[side];
        if (can[side])
            c[side]->lent = s->slot.self;
    }
}

bool dispatch_from_control(struct dispatch *d, const struct session *s, unsigned side,
                           unsigned family)
{
    const struct channel *c = slab_get(&d->table.channels, s->channel[side]);
    return c && s->control[side] && s->machine.round == 1 && family == c->family;
}

static void anchor_family(struct dispatch *d, struct session *s, unsigned side, unsigned family,
                          struct steps *steps)
{
    struct channel *c = slab_get(&d->table.channels, s->channel[side]);
    struct channel *other = slab_get(&d->table.channels, s->channel[!side]);
    const struct nat *n = channel_nat(&d->table, c, family);
    struct profile view;
    if (!n || endpoint_is_none(&s->local[side][family]) ||
        endpoint_is_none(&s->local[!side][family]) || endpoint_is_none(&other->observed[family]) ||
        dispatch_from_control(d, s, side, family))
        return;
    unsigned count = anchors_needed(d, s, side, family, &view);
    struct survey_servers servers = dispatch_servers(d, c, family);
    if (count)
        survey_anchors(&view, &servers, survey_round_socket(s->machine.round), count, &d->rng,
                       steps);
}

bool dispatch_anchors(struct dispatch *d, struct session *s, unsigned side)
{
    struct msg m = {.type = MSG_PREPARE};
    struct steps steps = {0};
    struct channel *c = slab_get(&d->table.channels, s->channel[side]);

    if (!c || !slab_get(&d->table.channels, s->channel[!side]))
        return false;
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        anchor_family(d, s, side, family, &steps);
    struct run *run = steps.count ? dispatch_run_start(d, c, &steps) : NULL;
    if (!run)
        return false;
    run->session = s->slot.self;
    run->side = (uint8_t)side;
    run->round = s->machine.round;
    s->anchors[side] = run->slot.self;
    m.prepare_.request = side == SIDE_REQUESTER ? s->request : 0;
    m.prepare_.round = run->round;
    m.prepare_.steps = steps;
    memcpy(m.prepare_.session, s->id, sizeof(s->id));
    memcpy(m.prepare_.token, run->token, sizeof(run->token));
    memcpy(m.prepare_.secret, run->secret, sizeof(run->secret));
    dispatch_deliver(d, c->slot.self, &m);
    sodium_memzero(&m.prepare_.secret, sizeof(m.prepare_.secret));
    return true;
}
