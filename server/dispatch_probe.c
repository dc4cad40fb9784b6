/* SPDX-License-Identifier: ISC */
/*
 * What the server itself tries out on a peer's NAT: what an unsolicited SYN gets, whom the filter
 * lets in, whether a SYN may cross another. Only ever towards the address that the peer comes from,
 * on ports that nobody mapped or that the peer itself has just shown, and seldom.
 */
#include <string.h>

#include "dispatch.h"
#include "log.h"

/* An address is probed again no sooner than this, whatever its profile says; and no peer is asked
 * more often, whatever address it comes from. */
#define PROBE_PAUSE (60 * TICK_S)
/* Several peers behind one NAT each have their filter tested, but not all at once. */
#define FILTER_PAUSE (2 * TICK_S)
/* A test is remembered for so much longer than an answer to it can come. */
#define FILTER_SPARE_SECONDS 1.0
#define PROBE_PORT_LOW       20000u
#define PROBE_PORTS          40000u
/* On top of the time that an answer takes. */
#define PATIENCE_MARGIN (30 * TICK_MS)

/* With less, a crossing cannot be timed by a loop that counts in milliseconds. */
#define CROSS_RTT_LEAST (12 * TICK_MS)
/* Two that agree are wanted, and some fail; so many without a pause. */
#define CROSSINGS_MOST 8
/* How late a peer may dial for its word to count: see dialled_in_time(). */
#define CROSS_LATE_MOST (12 * TICK_MS)
/* How long what the peer says and what is seen here wait for each other. */
#define CROSS_TOLD_SECONDS 0.1
/* How long a second NAT is taken to be there without being seen again. */
#define DOUBLE_SPAN (24 * 60 * 60 * TICK_S)
/* Two clocks that differ by more are those of two hosts. */
#define SAME_CLOCK (1 * TICK_S)
/* Who told its clock so lately is still there. */
#define ALIVE_SPAN (5 * TICK_S)

enum { PROBE_REFUSAL, PROBE_NEAR, PROBE_FAR, PROBE_CROSSING };

/* The NAT is nearer than the host behind it, so its answer takes no longer than the host's would.
 */
static tick patience(const struct net_conn *conn)
{
    return net_round_trip(conn) * 3 / 2 + PATIENCE_MARGIN;
}

static bool paused(const struct dispatch *d, mark last)
{
    return mark_within(last, d->loop->now, PROBE_PAUSE);
}

/* ---- refusal ---- */

static void refusal_family(struct dispatch *d, struct channel *c, unsigned family)
{
    struct nat *n = channel_nat(&d->table, c, family);
    struct net_conn *conn = slab_get(&d->net->conns, c->conn);
    if (!d->conf->probe || !n || !conn || n->probing ||
        profile_refusal_known(&n->profile, d->loop->now) || paused(d, n->probed))
        return;
    uint16_t port = (uint16_t)(PROBE_PORT_LOW + rng_below(&d->rng, PROBE_PORTS));
    struct net_probe_order order = {
        .owner = n->slot.self,
        .what = PROBE_REFUSAL,
        .to = endpoint_with_port(c->observed[family], port),
        .patience = patience(conn),
    };
    n->probing = net_probe_start(&d->probe, &order);
    n->probed = mark_at(d->loop->now);
}

void dispatch_probe_refusal(struct dispatch *d, struct channel *c)
{
    for (unsigned family = 0; family < FAMILY_COUNT; family++)
        refusal_family(d, c, family);
}

static void refusal_told(struct dispatch *d, struct nat *n, const struct net_probe_answer *a)
{
    n->probing = false;
    if (a->let_in)
        return; /* somebody does listen there */
    profile_learn_refusal(&n->profile, a->refusal, d->loop->now);
    dispatch_nat_put(d, n);
}

/* ---- filtering ---- */

bool dispatch_filter_matters(const struct nat *n)
{
    return n->profile.nat.mapping != NAT_MAPPING_NONE && n->profile.nat.mapping != NAT_EIM;
}

bool dispatch_filter_testing(const struct dispatch *d, const struct nat *n)
{
    const struct filter_test *t = slab_get(&d->filter_tests, n->filter_test);
    return t && t->waiting;
}

void dispatch_filter_test_end(struct dispatch *d, struct filter_test *t)
{
    ev_timer_stop(d->loop->ev, &t->timer);
    slab_release(&d->filter_tests, t);
}

static void filter_test_over(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct filter_test *t = timer->data;
    (void)loop;
    (void)events;
    dispatch_filter_test_end(t->d, t);
}

static struct filter_test *filter_test_start(struct dispatch *d, const struct channel *c,
                                             struct nat *n, const struct net_conn *conn)
{
    struct filter_test *t = slab_take(&d->filter_tests);
    if (!t) {
        dispatch_limit_hit(d, LIMIT_FILTER_TESTS, NULL);
        return NULL;
    }
    t->d = d;
    t->to = conn->remote;
    t->nat = n->slot.self;
    t->channel = c->slot.self;
    t->peer = c->peer;
    ev_timer_init(&t->timer, filter_test_over,
                  tick_seconds(patience(conn)) + NET_PROBE_LATE_SECONDS + FILTER_SPARE_SECONDS, 0.);
    t->timer.data = t;
    ev_timer_start(d->loop->ev, &t->timer);
    n->filter_test = t->slot.self;
    return t;
}

/* Nobody's filter has just been tested here, or is. */
static bool filter_free(const struct dispatch *d, const struct nat *n)
{
    return !dispatch_filter_testing(d, n) &&
           !mark_within(n->filter_tested, d->loop->now, FILTER_PAUSE);
}

bool dispatch_filter_due(struct dispatch *d, struct channel *c, unsigned family)
{
    const struct nat *n = channel_nat(&d->table, c, family);
    const struct peer *p = slab_get(&d->table.peers, c->peer);
    if (!d->conf->probe || !p || paused(d, p->filter_tested[family]))
        return false;
    return !n ||
           (!profile_filtering_known_of(&n->profile, dispatch_peer_number(c->peer), d->loop->now) &&
            filter_free(d, n));
}

/* One of our addresses where the peer's mapping has not been; none: there is no such. */
static struct endpoint other_address(const struct dispatch *d, const struct endpoint *here)
{
    const struct survey_servers *servers = &d->servers[family_index(here)];
    for (unsigned i = 0; i < servers->address_count; i++)
        if (!endpoint_same_address(&servers->addresses[i], here))
            return servers->addresses[i];
    return endpoint_none();
}

void dispatch_filter_test(struct dispatch *d, struct channel *c, const struct net_conn *conn)
{
    unsigned family = family_index(&conn->remote);
    struct nat *n = channel_nat(&d->table, c, family);
    struct peer *p = slab_get(&d->table.peers, c->peer);
    struct endpoint here = net_local(conn);
    if (!n || !p || endpoint_is_none(&here) || !filter_free(d, n) ||
        paused(d, p->filter_tested[family]))
        return;
    struct filter_test *t = filter_test_start(d, c, n, conn);
    if (!t)
        return;
    p->filter_tested[family] = n->filter_tested = mark_at(d->loop->now);
    struct net_probe_order order = {
        .owner = t->slot.self,
        .what = PROBE_NEAR,
        .from = here,
        .to = conn->remote,
        .patience = patience(conn),
    };
    t->waiting += net_probe_start(&d->probe, &order);
    order.what = PROBE_FAR;
    order.from = other_address(d, &here);
    if (!endpoint_is_none(&order.from))
        t->waiting += net_probe_start(&d->probe, &order);
}

/* Whoever is let in from an address that the mapping never saw may be anybody. */
static enum nat_filtering filter_verdict(const struct filter_test *t)
{
    return t->far ? NAT_EIF : t->near ? NAT_ADF : NAT_APDF;
}

void dispatch_filter_missed(struct dispatch *d, const struct channel *c, struct nat *n)
{
    if (n->profile.filtering_peer && n->profile.filtering_peer != dispatch_peer_number(c->peer))
        return; /* it was not counted on */
    profile_doubt_filtering(&n->profile, d->loop->now);
}

static void filter_told(struct dispatch *d, struct filter_test *t, const struct net_probe_answer *a)
{
    struct nat *n = slab_get(&d->table.nats, t->nat);
    if (!n || !ref_equal(n->filter_test, t->slot.self))
        return; /* there has been another test since */
    t->near |= a->let_in && a->order->what == PROBE_NEAR;
    t->far |= a->let_in && a->order->what == PROBE_FAR;
    /* An inner NAT may answer what the outer one, which alone the other probe meets, lets in. */
    if (!a->let_in && (a->refusal == NAT_RST || a->refusal == NAT_ICMP))
        profile_learn_refusal(&n->profile, a->refusal, d->loop->now);
    t->waiting = (uint8_t)(t->waiting - !a->late);
    if (t->waiting)
        return;
    struct peer *p = slab_get(&d->table.peers, t->peer);
    if (!slab_get(&d->table.channels, t->channel) && !t->far) {
        /* Where the peer has gone nobody listens: that nobody got in says nothing. */
        n->filter_tested = 0;
        if (p)
            p->filter_tested[family_index(&t->to)] = 0;
        return;
    }
    profile_learn_filtering_of(&n->profile, dispatch_peer_number(t->peer), filter_verdict(t),
                               d->loop->now);
    dispatch_nat_put(d, n);
}

/* ---- simultaneous open ---- */

/* Towards a port that the peer has not been at yet, from the port where it was seen elsewhere. */
static bool keeps_port(const struct nat_summary *nat)
{
    return nat->mapping == NAT_EIM || nat->mapping == NAT_MAPPING_NONE ||
           nat->allocation == NAT_PRESERVE || nat->allocation == NAT_OFFSET;
}

static bool cross_due(struct dispatch *d, const struct channel *c, const struct nat *n)
{
    tick now = d->loop->now;
    return d->conf->probe && !d->draining && !c->sessions && ref_is_none(c->survey) &&
           c->surveyed && c->clock.samples > 1 && c->clock.rtt >= CROSS_RTT_LEAST &&
           !dispatch_filter_testing(d, n) &&
           (!paused(d, n->crossed) || n->crossings < CROSSINGS_MOST) &&
           profile_fresh(&n->profile, now) && keeps_port(&n->profile.nat) &&
           !profile_simultaneous_known_of(&n->profile, dispatch_peer_number(c->peer), now);
}

void dispatch_cross(struct dispatch *d, struct channel *c)
{
    struct nat *n = channel_nat(&d->table, c, c->family);
    struct net_conn *conn = slab_get(&d->net->conns, c->conn);
    struct net_probe_order order = {.what = PROBE_CROSSING};
    struct endpoint local;
    struct steps steps = {0};

    if (!n || !conn || !cross_due(d, c, n))
        return;
    if (!paused(d, n->crossed)) {
        n->crossed = mark_at(d->loop->now);
        n->crossings = 0;
    }
    n->crossings++;
    struct run *run = dispatch_run_start(d, c, &steps);
    if (!run)
        return;
    order.owner = run->slot.self;
    order.from = net_local(conn);
    run->crossing.wanted = true;
    run->crossing.probe = net_probe_reserve(&d->probe, &order, &local);
    if (ref_is_none(run->crossing.probe)) {
        dispatch_run_end(d, run);
        return;
    }
    struct survey_servers servers = dispatch_servers(d, c, c->family);
    survey_cross(&servers, local.port, &d->rng, &run->steps);
    dispatch_run_send(d, c, run);
}

/*
 * The peer dials as soon as it has our answer to this observation, so its SYN comes here one round
 * trip from now at the earliest. Ours leaves an eighth of that before: early enough to be gone by
 * then (the kernel would answer with RST), late enough to find the peer's SYN through its NAT,
 * unless that is very near to us: its way to us must take more than half of that eighth, and of the
 * time by which the peer was late.
 */
void dispatch_cross_observed(struct dispatch *d, struct run *run, const struct net_conn *conn)
{
    const struct channel *c = slab_get(&d->table.channels, run->channel);
    tick rtt = net_round_trip(conn);
    if (c && c->clock.rtt < rtt)
        rtt = c->clock.rtt;
    run->crossing.rtt = rtt;
    run->crossing.answered_at = loop_clock();
    if (rtt >= CROSS_RTT_LEAST)
        net_probe_send(&d->probe, run->crossing.probe, &conn->remote, rtt * 7 / 8,
                       2 * rtt + PATIENCE_MARGIN);
}

void dispatch_cross_told(struct dispatch *d, struct run *run, uint8_t crossing)
{
    run->crossing.told = crossing;
    ev_timer_stop(d->loop->ev, &run->timer);
    ev_timer_set(&run->timer, CROSS_TOLD_SECONDS, 0.);
    ev_timer_start(d->loop->ev, &run->timer);
}

/*
 * Kept out, our own SYN had no part in the connection: the peer's SYN took one round trip from our
 * answer, our SYN-ACK and its ACK another. A peer that dialled later than that would have been met
 * by our SYN before its NAT knew of the connection; that would prove nothing.
 */
static bool dialled_in_time(const struct crossing *x)
{
    tick late = x->rtt / 4 < CROSS_LATE_MOST ? x->rtt / 4 : CROSS_LATE_MOST;
    return x->opened_at && x->opened_at - x->answered_at <= 2 * x->rtt + late;
}

void dispatch_cross_end(struct dispatch *d, struct run *run)
{
    struct channel *c = slab_get(&d->table.channels, run->channel);
    struct nat *n = c ? channel_nat(&d->table, c, c->family) : NULL;
    struct crossing x = run->crossing;
    dispatch_run_end(d, run);
    bool refused = x.told == CROSSING_KEPT_OUT && dialled_in_time(&x);
    log_debug("crossing: peer says %u, round trip %.1f ms, open after %.1f ms", (unsigned)x.told,
              tick_seconds(x.rtt) * 1e3,
              x.opened_at ? tick_seconds(x.opened_at - x.answered_at) * 1e3 : 0.);
    if (n && (x.told == CROSSING_CAME_IN || refused)) {
        profile_learn_crossing(&n->profile, dispatch_peer_number(c->peer), refused, d->loop->now);
        dispatch_nat_put(d, n);
    }
    if (c)
        dispatch_cross(d, c); /* until it is known */
}

static void cross_told_here(struct run *run, const struct net_probe_answer *a)
{
    if (a->let_in && !a->late)
        run->crossing.opened_at = loop_clock();
}

/* ---- double NAT ---- */

bool dispatch_double_recent(const struct dispatch *d, const struct nat *n)
{
    return mark_within(n->doubled, d->loop->now, DOUBLE_SPAN);
}

/*
 * Two hosts that have one and the same private address at the same time, behind one public address:
 * there are two private networks, so there are NATs in between. That they are two hosts is seen
 * from their monotonic clocks, which start when a host does.
 */
static bool two_hosts(const struct channel *a, const struct channel *b, unsigned family)
{
    tick apart = a->clock.offset - b->clock.offset;
    return endpoint_is_host_candidate(&a->local[family]) &&
           endpoint_same_address(&a->local[family], &b->local[family]) &&
           !endpoint_same_address(&a->local[family], &a->observed[family]) &&
           (apart < 0 ? -apart : apart) > SAME_CLOCK;
}

void dispatch_look_behind(struct dispatch *d, struct channel *c)
{
    struct nat *n = channel_nat(&d->table, c, FAMILY_4);
    struct channel *w = n ? slab_get(&d->table.channels, n->witness) : NULL;
    if (n)
        n->witness = c->slot.self;
    if (!w || w == c || ref_equal(w->peer, c->peer) || !ref_equal(w->nat[FAMILY_4], n->slot.self) ||
        !two_hosts(w, c, FAMILY_4))
        return;
    if (d->loop->now - w->clock.at > ALIVE_SPAN) {
        dispatch_sync(d, w); /* is it still there? Its answer leads here again */
        return;
    }
    n->doubled = mark_at(d->loop->now);
    profile_learn_feature(&n->profile, NAT_FEATURE_DOUBLE, true, d->loop->now);
    dispatch_nat_put(d, n);
}

/* ---- answers ---- */

void dispatch_probed(void *user, const struct net_probe_answer *answer)
{
    struct dispatch *d = user;
    struct ref owner = answer->order->owner;
    unsigned what = answer->order->what;
    struct run *run = what == PROBE_CROSSING ? slab_get(&d->runs, owner) : NULL;
    struct nat *n = what == PROBE_REFUSAL ? slab_get(&d->table.nats, owner) : NULL;
    struct filter_test *t =
        what == PROBE_NEAR || what == PROBE_FAR ? slab_get(&d->filter_tests, owner) : NULL;

    if (run)
        cross_told_here(run, answer);
    if (n)
        refusal_told(d, n, answer);
    if (t)
        filter_told(d, t, answer);
    if (n || t)
        dispatch_ready(d);
}
