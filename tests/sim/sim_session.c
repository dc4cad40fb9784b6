/* SPDX-License-Identifier: ISC */
#include "tests/sim/sim_session.h"

#include <string.h>

#include "server/plan.h"
#include "server/schedule.h"
#include "server/survey.h"
#include "tests/sim/sim_random.h"

#define REGISTERED    (1000 * TICK_S)
#define PORT_LOW      32768u
#define PORTS         28232u
#define PUNCH_MARGIN  (5 * TICK_MS)
#define PREPARE_MOST  (3 * TICK_S)
#define ROUND_GRACE   (300 * TICK_MS) /* and four ways to the server: then the next round begins */
#define ROUND_LEAST   (1 * TICK_S)
#define JITTER_MS     0.3
#define WAKE_LATE_MS  0.05
#define SURVEY_SECOND 1 /* the server's second address */

/* ---- where things are ---- */

static struct sim_site *site_of(struct sim_session *s, int i)
{
    return &s->world->site[i];
}

static tick jitter(const struct sim_session *s)
{
    return sim_random_ms(sim_random_exponential(s->rng, JITTER_MS));
}

static uint16_t punch_port(const struct sim_peer *p, unsigned socket)
{
    return (uint16_t)(PORT_LOW + (p->punch_base + socket) % PORTS);
}

static uint16_t survey_port(const struct sim_peer *p, unsigned socket)
{
    return (uint16_t)(PORT_LOW + p->survey_base + 3 * socket);
}

static void place_peer(struct sim_session *s, int i)
{
    struct sim_peer *p = &s->peer[i];
    tick depth = sim_world_depth(site_of(s, i)), way = s->paths.server[i];
    tick lopsided = (tick)((double)way * s->paths.lopsided[i]);

    memset(p, 0, sizeof(*p));
    profile_init(&p->profile);
    clock_estimate_init(&p->clock);
    p->up = depth + way + lopsided;
    p->down = depth + way - lopsided;
    p->offset = sim_random_ms(sim_random_between(s->rng, -500e3, 500e3));
    p->survey_base = (uint16_t)rng_below(s->rng, PORTS / 2);
    p->punch_base = (uint16_t)(PORTS / 2 + rng_below(s->rng, PORTS / 4));
}

/* ---- clocks ---- */

static void exchange_clocks(struct sim_session *s, int i, unsigned times)
{
    struct sim_peer *p = &s->peer[i];
    tick sent = s->now;
    unsigned n;

    for (n = 0; n < times; n++) {
        tick received = sent + p->down + jitter(s), answered = received + jitter(s) / 8;
        tick returned = answered + p->up + jitter(s);

        clock_estimate_add(&p->clock, sent, received + p->offset, answered + p->offset, returned);
        sent = returned + 10 * TICK_MS;
    }
}

/* ---- observations ---- */

static void note_address(struct sim_peer *p, const struct endpoint *e)
{
    unsigned i;

    p->address_draws++;
    for (i = 0; i < p->address_count; i++)
        if (endpoint_same_address(&p->addresses[i], e))
            return;
    if (p->address_count < sizeof(p->addresses) / sizeof(p->addresses[0]))
        p->addresses[p->address_count++] = *e;
}

static struct endpoint show(struct sim_session *s, int i, uint16_t local, struct endpoint server,
                            tick at)
{
    struct nat_segment syn = {.kind = NAT_SEGMENT_SYN, .to = server, .sequence = rng_u32(s->rng)};

    syn.from = endpoint_with_port(site_of(s, i)->host, local);
    if (!sim_world_leave(site_of(s, i), &syn, at))
        return endpoint_none();
    return syn.from;
}

/*
 * SYNs go to the control channel's address only, but where a NAT scatters mappings over several,
 * the ports of the others tell as much of how it picks them.
 */
static bool plausible(struct sim_peer *p, struct endpoint *seen)
{
    if (endpoint_is_none(seen))
        return false;
    note_address(p, seen);
    if (!endpoint_same_address(seen, &p->observed))
        p->profile.nat.pooling = NAT_ARBITRARY;
    *seen = endpoint_with_port(p->observed, seen->port);
    return true;
}

static void learn(struct sim_peer *p, const struct observation *obs, size_t count, tick now)
{
    profile_learn(&p->profile, obs, count, now);
    port_block_learn(&p->block, &p->profile, obs, count, now);
}

/*
 * Carries out steps from `at` on (at the host). Returns how many observations count; *end is when
 * the last one has reached the server.
 */
static size_t observe(struct sim_session *s, int i, const struct steps *steps, bool survey, tick at,
                      struct observation out[MSG_STEPS_MAX], tick *end)
{
    struct sim_peer *p = &s->peer[i];
    tick round_trip = p->up + p->down, last = at;
    size_t count = 0;
    unsigned n;

    *end = at;
    for (n = 0; n < steps->count; n++) {
        const struct step *step = &steps->at[n];
        uint16_t local = survey ? survey_port(p, step->socket) : punch_port(p, step->socket);
        tick late = sim_random_chance(s->rng, SIM_LOSS) ? TICK_S : 0;
        struct endpoint seen;

        if (n > 0)
            at = step->flags & STEP_BURST ? at + 40 * TICK_US : last;
        at += step->pause_us * TICK_US;
        seen = show(s, i, local, step->server, at);
        last = at + late + 2 * round_trip + jitter(s);
        *end = tick_max(*end, last - p->down);
        p->observations++;
        p->held++;
        if (!plausible(p, &seen))
            continue;
        out[count++] = (struct observation){
            /* The accept less one and a half round trips, as the server reckons. */
            .at = at + late + p->up - round_trip / 2 + jitter(s) / 2,
            .observed = seen,
            .local = endpoint_with_port(site_of(s, i)->host, local),
            .server = step->server,
            .peer = (uint64_t)i + 1,
            .socket = step->socket,
            .step = (uint8_t)n,
            .burst = step->flags & STEP_BURST,
        };
    }
    return count;
}

/* ---- registration: survey, filtering, refusal ---- */

static enum nat_verdict knock(struct sim_session *s, int i, struct endpoint from,
                              struct endpoint to, tick at)
{
    struct nat_segment syn = {.kind = NAT_SEGMENT_SYN, .from = from, .to = to};

    return sim_world_enter(site_of(s, i), &syn, at);
}

/* Connects back to a throw-away mapping, from another port and from the second address. */
static void learn_filtering(struct sim_session *s, int i, const struct survey_servers *servers,
                            tick at)
{
    struct sim_peer *p = &s->peer[i];
    struct endpoint first = endpoint_with_port(servers->addresses[0], servers->ports[0]);
    struct endpoint second = endpoint_with_port(servers->addresses[SURVEY_SECOND], 50001);
    struct endpoint seen = show(s, i, survey_port(p, 20), first, at);
    enum nat_verdict verdict = knock(s, i, second, seen, at + TICK_MS);

    p->held++;
    if (endpoint_is_none(&seen))
        return;
    if (verdict == NAT_PASS) {
        p->profile.nat.filtering = NAT_EIF;
        return;
    }
    p->profile.nat.filtering = NAT_APDF;
    if (knock(s, i, endpoint_with_port(first, 50002), seen, at + 2 * TICK_MS) == NAT_PASS)
        p->profile.nat.filtering = NAT_ADF;
    /* A second NAT may answer where the first one lets in. */
    if (verdict == NAT_ANSWER_RST)
        profile_learn_refusal(&p->profile, NAT_RST, at);
    else if (verdict == NAT_ANSWER_ICMP)
        profile_learn_refusal(&p->profile, NAT_ICMP, at);
}

static void learn_refusal(struct sim_session *s, int i, const struct survey_servers *servers,
                          tick at)
{
    struct sim_peer *p = &s->peer[i];
    uint16_t port = (uint16_t)(20000 + rng_below(s->rng, 40000));
    enum nat_verdict verdict = knock(s, i, endpoint_with_port(servers->addresses[0], 50003),
                                     endpoint_with_port(p->observed, port), at);

    if (verdict == NAT_ANSWER_ICMP)
        profile_learn_refusal(&p->profile, NAT_ICMP, at);
    else if (verdict == NAT_ANSWER_RST || verdict == NAT_PASS)
        profile_learn_refusal(&p->profile, NAT_RST,
                              at); /* a host's own word, where there is no NAT */
    else
        profile_learn_refusal(&p->profile, NAT_SILENCE, at);
}

static void learn_pooling(struct sim_peer *p)
{
    if (p->address_count == 1)
        p->profile.nat.pooling = NAT_PAIRED;
}

static void register_peer(struct sim_session *s, int i)
{
    struct sim_peer *p = &s->peer[i];
    struct survey_servers servers = nat_model_servers(2);
    struct observation seen[MSG_STEPS_MAX];
    struct steps steps = {0};
    unsigned n;
    size_t count;
    tick end;

    for (n = 0; n < site_of(s, i)->nat_count; n++)
        nat_model_start(&site_of(s, i)->nats[n], s->now);
    p->observed = endpoint_with_port(
        show(s, i, survey_port(p, 30), endpoint_with_port(servers.addresses[0], 5382), s->now), 0);
    note_address(p, &p->observed);
    p->held++;
    exchange_clocks(s, i, 3);
    survey_plan(NULL, &servers, s->now, s->rng, &steps);
    count = observe(s, i, &steps, true, s->now + p->down, seen, &end);
    learn(p, seen, count, end);
    learn_pooling(p);
    learn_refusal(s, i, &servers, end);
    learn_filtering(s, i, &servers, end + p->down);
}

/* Some seconds to half an hour later somebody asks for the peer; old mappings may be gone. */
static void idle(struct sim_session *s)
{
    tick pause = sim_random_ms(1000 * sim_random_log_between(s->rng, 3, 1500));
    int i;
    unsigned n;

    s->now += pause;
    for (i = 0; i < 2; i++) {
        struct sim_site *site = site_of(s, i);
        bool gone = false;

        for (n = 0; n < site->nat_count; n++) {
            if (pause <= site->nats[n].timeout)
                continue;
            nat_model_forget(&site->nats[n]);
            gone = n == site->nat_count - 1;
        }
        if (gone || site->nat_count == 0)
            s->peer[i].held = 1; /* the control channel's */
        s->peer[i].spare = s->peer[i].held;
        exchange_clocks(s, i, 2);
    }
}

/* ---- a round ---- */

struct round {
    uint8_t number;
    struct observation anchors[2][MSG_STEPS_MAX];
    size_t anchor_count[2];
    struct prediction prediction[2];
    struct schedule when;
    struct plan plan;
};

static struct endpoint local_of(struct sim_session *s, int i, unsigned round)
{
    /* Only the first round's socket was named with the request. */
    if (round > 1)
        return endpoint_none();
    return endpoint_with_port(site_of(s, i)->host, punch_port(&s->peer[i], 0));
}

/* Returns when the server has what it asked for. */
static tick prepare_side(struct sim_session *s, int i, struct round *r)
{
    struct sim_peer *p = &s->peer[i];
    struct survey_servers servers = nat_model_servers(2);
    struct endpoint local = local_of(s, i, r->number);
    unsigned count = predict_anchors_needed(&p->profile, &local, &p->observed);
    struct steps steps = {0};
    tick at = s->now + p->down + jitter(s), end;

    if (count > 0)
        survey_anchors(&p->profile, &servers, survey_round_socket(r->number), count, s->rng,
                       &steps);
    if (steps.count == 0)
        return s->now;
    sim_world_run(s->world, at);
    r->anchor_count[i] = observe(s, i, &steps, false, at, r->anchors[i], &end);
    learn(p, r->anchors[i], r->anchor_count[i], end);
    return tick_min(end, s->now + PREPARE_MOST);
}

static void prepare(struct sim_session *s, struct round *r)
{
    int first = s->peer[0].down <= s->peer[1].down ? 0 : 1;
    tick end[2];

    end[first] = prepare_side(s, first, r);
    end[!first] = prepare_side(s, !first, r);
    s->now = tick_max(end[0], end[1]);
}

static struct schedule make_schedule(const struct sim_session *s)
{
    struct schedule_side side[2] = {{.refusal = NAT_SILENCE}};
    int i;

    for (i = 0; i < 2; i++) {
        side[i].clock = s->peer[i].clock;
        side[i].refusal = (enum nat_refusal)s->peer[i].profile.nat.refusal;
    }
    return schedule_make(side, s->now, PUNCH_MARGIN);
}

static struct plan_side plan_side(struct sim_session *s, int i, struct round *r)
{
    const struct sim_peer *p = &s->peer[i];
    struct predict_input in = {
        .profile = &p->profile,
        .public_address = p->observed,
        .local = local_of(s, i, r->number),
        .anchors = r->anchors[i],
        .anchor_count = r->anchor_count[i],
        .peer = (uint64_t)i + 1,
        .socket = survey_round_socket(r->number),
        .addresses_seen = p->address_count,
        .address_draws = p->address_draws,
        .at = r->when.start_server[i],
    };

    if (port_block_known(&p->block, s->now)) {
        port_block_bounds(&p->block, &in.block_low, &in.block_high);
        in.sure_low = p->block.low;
        in.sure_high = p->block.high;
    }
    r->prediction[i] = predict(&in);
    return (struct plan_side){
        .prediction = r->prediction[i],
        .filtering = (enum nat_filtering)p->profile.nat.filtering,
        .refusal = (enum nat_refusal)p->profile.nat.refusal,
        .socket = survey_round_socket(r->number),
        .budget = s->limits.budget,
        .held = (uint16_t)p->held,
        .birthday = s->limits.birthday,
    };
}

static void make_plan(struct sim_session *s, struct round *r)
{
    struct plan_side side[2];
    int i;

    r->when = make_schedule(s);
    for (i = 0; i < 2; i++)
        side[i] = plan_side(s, i, r);
    r->plan = plan_make(side, r->number);
}

static void carry_out_side(struct sim_session *s, int i, const struct round *r, tick start)
{
    const struct sim_peer *p = &s->peer[i];
    tick began = start - p->offset, told = s->now + p->down + jitter(s);
    unsigned n;
    int k;

    began = tick_max(began, told) + sim_random_ms(sim_random_exponential(s->rng, WAKE_LATE_MS));
    for (k = 0; k < r->plan.side[i].volley_count; k++) {
        const struct volley *v = &r->plan.side[i].volleys[k];

        for (n = 0; n < v->count; n++) {
            struct syn syn = volley_syn(v, n);
            uint16_t local = punch_port(p, syn.socket);

            sim_world_listen(s->world, i, local);
            sim_world_connect(s->world, i, local, syn.remote, began + syn.offset, r->number,
                              r->plan.side[i].retry);
        }
    }
}

/* Ports that a round takes of the side's NAT. */
static unsigned taken(const struct round *r, int i)
{
    enum nat_shape shape = r->prediction[i].shape;
    bool shared = shape == SHAPE_FIXED || shape == SHAPE_SHARED;

    return shared ? r->plan.side[i].sockets : r->plan.side[i].syns;
}

/* Returns when the round has begun for both sides. */
static tick carry_out(struct sim_session *s, const struct round *r)
{
    int i;

    for (i = 0; i < 2; i++) {
        s->peer[i].held += taken(r, i);
        site_of(s, i)->retry = r->when.retry[i];
        carry_out_side(s, i, r, r->when.start[i]);
    }
    return tick_max(r->when.start_server[0], r->when.start_server[1]);
}

/* ---- what it cost, and what it taught ---- */

static bool overdrawn(const struct sim_site *site)
{
    const struct nat_model *m;
    unsigned i, used = 0;

    if (site->nat_count == 0)
        return false;
    m = &site->nats[site->nat_count - 1];
    for (i = 0; m->block > 0 && i < m->mapping_count; i++)
        used += !m->mappings[i].dead;
    return m->block > 0 && used * 2 > m->block;
}

static void learn_outcome(struct sim_session *s, const struct round *r, bool met)
{
    int i;

    for (i = 0; i < 2; i++) {
        const struct endpoint *where = &s->world->met.seen[i];
        bool won = met && endpoint_same_address(where, &s->peer[i].observed);
        struct outcome outcome = {
            .peer = (uint64_t)i + 1,
            .other = (uint64_t)!i + 1,
            .met = met,
            .port = won ? where->port : 0,
            .chance = r->plan.chance,
        };

        if (r->prediction[i].shape == SHAPE_NONE || (met && !won))
            continue;
        profile_learn_outcome(&s->peer[i].profile, &outcome, s->now);
    }
}

static void account(struct sim_session *s, struct sim_outcome *out)
{
    int i;

    out->met = s->world->met.happened;
    out->met_round = s->world->met.round;
    out->took = s->world->met.at - s->begun;
    for (i = 0; i < 2; i++) {
        out->syns[i] = site_of(s, i)->syns;
        out->observations += s->peer[i].observations;
        out->overdrawn |= overdrawn(site_of(s, i));
    }
}

static bool another_round(const struct sim_session *s, unsigned round)
{
    return round < SIM_ROUNDS && s->now + ROUND_LEAST <= s->begun + SIM_SPAN;
}

static void rounds(struct sim_session *s, struct sim_outcome *out)
{
    tick patience = ROUND_GRACE + 2 * (clock_estimate_delay(&s->peer[0].clock) +
                                       clock_estimate_delay(&s->peer[1].clock));
    struct round r = {0};

    do {
        r.number++;
        r.anchor_count[0] = r.anchor_count[1] = 0;
        prepare(s, &r);
        if (sim_world_run(s->world, s->now))
            return;
        make_plan(s, &r);
        if (r.plan.reason != REASON_OK) {
            out->reason = r.plan.reason;
            break;
        }
        out->chance[out->rounds++] = r.plan.chance;
        s->now = carry_out(s, &r) + patience;
        if (sim_world_run(s->world, s->now)) {
            learn_outcome(s, &r, true);
            return;
        }
        learn_outcome(s, &r, false);
    } while (another_round(s, r.number));
    /* The sockets of all rounds stay open to the end. */
    sim_world_run(s->world, s->begun + SIM_SPAN);
}

void sim_session_run(struct sim_session *s, struct sim_outcome *out)
{
    int i;

    memset(out, 0, sizeof(*out));
    sim_world_reset(s->world);
    s->world->across = s->paths.across;
    s->world->loss = SIM_LOSS;
    s->world->rng = s->rng;
    s->now = REGISTERED;
    for (i = 0; i < 2; i++) {
        place_peer(s, i);
        register_peer(s, i);
    }
    idle(s);
    s->begun = s->now;
    /* CONNECT, INVITE, ACCEPT. */
    s->now += s->peer[0].up + s->peer[1].down + s->peer[1].up;
    rounds(s, out);
    account(s, out);
}
