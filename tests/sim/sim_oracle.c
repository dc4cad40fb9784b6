/* SPDX-License-Identifier: ISC */
#include "tests/sim/sim_oracle.h"

#include <math.h>

/* No two SYNs leave closer than that; others may take the very port meanwhile. */
#define SPACING_S 10e-6
#define MARGIN_S  5e-3

enum kind { PORT, COUNTER, RANGE };

/* One side as who knows all sees it. */
struct known {
    enum kind kind;
    bool lenient;
    bool open; /* lets everybody in at a mapping that the server has seen */
    bool answers;
    double mean;   /* of a counter: foreign allocations between anchor and punch */
    double stolen; /* the chance that a certain port of a run is not ours */
    double range;  /* ports that a mapping is drawn from, over all addresses */
    double most;   /* mappings that all rounds together may take */
};

double sim_oracle_run(double mean, double length)
{
    double low, weight, sum = 0, f;
    int sign;

    if (length > 14 * sqrt(mean) + 30)
        return 1;
    if (mean <= 0)
        return length >= 1;
    /* Grown around the peak, always to the side that holds more. */
    low = floor(mean);
    weight = exp(low * log(mean) - mean - lgamma_r(low + 1, &sign));
    double below = weight * low / mean, above = weight;

    for (f = low; length > 0; length--) {
        if (above >= below) {
            sum += above;
            above *= mean / ++f;
        } else {
            sum += below;
            below *= --low / mean;
        }
    }
    return fmin(sum, 1);
}

/* ---- what there is to know ---- */

static double age_of(const struct sim_session *s, int i)
{
    double round_trip = 0, way = 0;
    int k;

    for (k = 0; k < 2; k++) {
        double both = tick_seconds(s->peer[k].up + s->peer[k].down);

        round_trip = fmax(round_trip, both);
        way = fmax(way, both / 2);
    }
    /* Anchors are asked for, made and told; then the start is told, and waited for. */
    return 2 * round_trip + way + MARGIN_S - tick_seconds(s->peer[i].down);
}

static struct known know(const struct sim_session *s, int i)
{
    const struct sim_site *site = &s->world->site[i];
    struct known k = {.kind = PORT, .lenient = true, .open = true, .most = 1e9};
    const struct nat_model *m;
    unsigned n;

    for (n = 0; n < site->nat_count; n++) {
        k.lenient &= site->nats[n].filtering == NAT_EIF || site->nats[n].filtering == NAT_ADF;
        k.open &= site->nats[n].filtering == NAT_EIF;
        k.answers |= site->nats[n].refusal != NAT_SILENCE;
    }
    if (site->nat_count == 0)
        return k;
    m = &site->nats[site->nat_count - 1];
    if (m->mapping == NAT_EIM || k.open)
        return k;
    k.kind = m->allocation == NAT_COUNTER ? COUNTER : RANGE;
    k.mean = (m->foreign + m->collisions) * age_of(s, i);
    k.stolen = 1 - 1 / (1 + m->foreign * SPACING_S) + m->collisions;
    k.range = (double)(m->block_high - m->block_low + 1);
    int64_t half = m->block / 2;
    if (half > 0)
        k.most = fmax((double)half - (double)s->peer[i].spare, 0);
    if (m->addresses > 1)
        k.range *= m->addresses;
    return k;
}

/* ---- what can be reached ---- */

static double repeated(double chance, double rounds)
{
    return 1 - pow(1 - chance, rounds);
}

/* Some of `sockets` ports out of a range are among `targets` of them. */
static double birthday(double sockets, double targets, double range)
{
    if (sockets + targets > range)
        return sockets > 0 && targets > 0;
    return 1 - pow(1 - sockets / range, targets);
}

/* One port against a counter: n sockets and m targets cover n m values. */
static double port_counter(const struct known *c, double budget)
{
    double hit = sim_oracle_run(c->mean, budget * budget / 2);

    /* At least two targets, each as likely to be somebody else's. */
    return repeated(hit * (1 - c->stolen * c->stolen), SIM_ROUNDS);
}

static double port_range(const struct known *r, double budget)
{
    double best = 0, rounds;

    for (rounds = 1; rounds <= SIM_ROUNDS; rounds++) {
        double sockets = fmin(budget, floor(r->most / rounds));
        double targets = fmin(budget, r->range);

        best = fmax(best, repeated(birthday(sockets, targets, r->range), rounds));
    }
    return best;
}

/* The chance that a certain target is one of ours, for so many new mappings. */
static double mark(const struct known *k, double budget, double rounds)
{
    if (k->kind == COUNTER)
        return sim_oracle_run(k->mean, budget) * (1 - k->stolen);
    return fmin(fmin(budget, floor(k->most / rounds)) / k->range, 1);
}

static double sweeps(const struct known k[2], double budget)
{
    double best = 0, rounds;

    for (rounds = 1; rounds <= SIM_ROUNDS; rounds++) {
        double both = mark(&k[0], budget, rounds) * mark(&k[1], budget, rounds);

        best = fmax(best, repeated(both, rounds));
    }
    return best;
}

double sim_oracle_chance(const struct sim_session *s)
{
    struct known k[2] = {know(s, 0), know(s, 1)};
    double budget = s->limits.budget;
    int i;

    for (i = 0; i < 2; i++)
        if (k[i].kind == PORT && (k[i].lenient || k[!i].kind == PORT))
            return 1;
    for (i = 0; i < 2; i++) {
        if (k[i].kind != PORT)
            continue;
        return k[!i].kind == COUNTER ? port_counter(&k[!i], budget) : port_range(&k[!i], budget);
    }
    return sweeps(k, budget);
}
