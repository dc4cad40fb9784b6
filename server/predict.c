/* SPDX-License-Identifier: ISC */
#include "predict.h"

#include <math.h>

/* A drift of which nothing was seen yet is this uncertain (Jeffreys' prior, and a moment's watch).
 */
#define DRIFT_PRIOR         0.5
#define DRIFT_PRIOR_SECONDS 0.001
/* Where more foreign allocations are expected than this, the counter is no better than random. */
#define FOREIGN_MAX 6000.0
/* A mapping that serves all and was itself observed hardly depends on the rest. */
#define ANCHORED_DOUBT 0.25
/* A counter's position that another peer, or an older survey, has seen: it may not be shared. */
#define SECOND_HAND 0.8
/* No NAT scatters one subscriber's connections over more addresses. */
#define ADDRESSES_MAX 64
/* Below this confidence an anchor's round trip is cheaper than a wrong port. */
#define ANCHOR_WORTH 90

uint16_t counter_step(uint16_t port, int32_t delta, int64_t steps, uint16_t low, uint16_t high)
{
    int64_t size = (int64_t)high - low + 1;
    int64_t at;

    if (size <= 0)
        return port;
    at = (int64_t)port - low + delta % size * (steps % size);
    return (uint16_t)(low + (at % size + size) % size);
}

/* ---- the anchor ---- */

/*
 * Anchors leave in one burst, in the order of their steps; they may arrive in any, and one whose
 * first SYN got lost a second late.
 */
static bool newer(const struct observation *a, const struct observation *b)
{
    return a->step > b->step;
}

static const struct observation *newest_anchor(const struct predict_input *in)
{
    const struct observation *best = NULL;
    size_t i;

    for (i = 0; i < in->anchor_count; i++)
        if (best == NULL || newer(&in->anchors[i], best))
            best = &in->anchors[i];
    return best;
}

static tick anchored_at(const struct predict_input *in)
{
    tick at = TICK_NEVER;
    size_t i;

    for (i = 0; i < in->anchor_count; i++)
        at = tick_min(at, in->anchors[i].at);
    return at;
}

/* What the server saw of the punch socket itself. */
static const struct observation *own_anchor(const struct predict_input *in)
{
    const struct observation *best = NULL;
    size_t i;

    for (i = 0; i < in->anchor_count; i++)
        if (in->anchors[i].socket == in->socket && (best == NULL || newer(&in->anchors[i], best)))
            best = &in->anchors[i];
    return best;
}

/* ---- shapes ---- */

static double confidence_of(const struct profile *p, tick at)
{
    double confidence = profile_trust(p);
    tick age;

    if (p->learnt == TICK_NEVER || p->learnt >= at)
        return confidence;
    age = at - p->learnt;
    return age <= PROFILE_FRESH ? confidence : confidence * (double)PROFILE_FRESH / (double)age;
}

static void shape_fixed(struct prediction *out, uint16_t port)
{
    out->shape = SHAPE_FIXED;
    out->port = out->low = out->high = port;
}

/* The port that the NAT gives if it is free. */
static void shape_expected(struct prediction *out, uint16_t port)
{
    shape_fixed(out, port);
    out->confidence *= 1 - PREDICT_TAKEN;
}

static void shape_range(struct prediction *out, enum nat_shape shape, uint16_t low, uint16_t high)
{
    out->shape = shape;
    out->low = low;
    out->high = high;
}

static void shape_random(struct prediction *out)
{
    shape_range(out, SHAPE_RANDOM, PROFILE_PORT_LOW, PROFILE_PORT_HIGH);
}

/*
 * The posterior of a Poisson rate after `sum` events in `seconds` is a Gamma distribution; what it
 * predicts for the time since the anchor is negative binomial.
 */
static void expect_foreign(struct prediction *out, const struct profile *p, tick since, tick at)
{
    double seconds = at > since ? tick_seconds(at - since) : 0;

    out->foreign_shape = p->drift_sum + DRIFT_PRIOR;
    out->foreign_rate = out->foreign_shape / (p->drift_seconds + DRIFT_PRIOR_SECONDS);
    out->foreign = out->foreign_rate * seconds;
}

static void shape_counter(struct prediction *out, const struct predict_input *in)
{
    const struct observation *anchor = newest_anchor(in);
    const struct profile *p = in->profile;
    tick since = anchor != NULL ? anchored_at(in) : p->last_at;

    if (p->nat.delta == 0 || (anchor == NULL && p->last_port == 0)) {
        shape_random(out);
        return;
    }
    shape_range(out, SHAPE_COUNTER, p->low != 0 && p->low < PROFILE_PORT_LOW ? 1 : PROFILE_PORT_LOW,
                PROFILE_PORT_HIGH);
    out->port = anchor != NULL ? anchor->observed.port : p->last_port;
    if (out->port >= p->nat.block_low && out->port <= p->nat.block_high)
        shape_range(out, SHAPE_COUNTER, p->nat.block_low, p->nat.block_high);
    out->delta = p->nat.delta;
    expect_foreign(out, p, since, in->at);
    if (anchor == NULL)
        out->confidence *= SECOND_HAND;
    if (out->foreign > FOREIGN_MAX) {
        out->delta = 0;
        shape_random(out);
    }
}

/* The block as surveyed, stretched to what the session's own sockets have shown of it. */
static void shape_block(struct prediction *out, const struct predict_input *in)
{
    bool own = in->block_low != 0 && in->block_high > in->block_low;
    uint16_t low = own ? in->block_low : in->profile->nat.block_low;
    uint16_t high = own ? in->block_high : in->profile->nat.block_high;
    size_t i;

    out->sure_low = own ? in->sure_low : 0;
    out->sure_high = own ? in->sure_high : 0;

    for (i = 0; i < in->anchor_count; i++) {
        uint16_t port = in->anchors[i].observed.port;

        low = port < low ? port : low;
        high = port > high ? port : high;
    }
    if (low == 0 || high <= low)
        shape_random(out);
    else
        shape_range(out, SHAPE_BLOCK, low, high);
}

/* Where every new mapping is allocated anew, whether per connection, per address or per socket. */
static void shape_allocation(struct prediction *out, const struct predict_input *in)
{
    int32_t port = (int32_t)in->local.port + in->profile->nat.delta;

    switch (in->profile->nat.allocation) {
    case NAT_PRESERVE:
    case NAT_OFFSET:
        if (in->local.port == 0 || port < 1 || port > UINT16_MAX)
            shape_random(out);
        else
            shape_expected(out, (uint16_t)port);
        break;
    case NAT_COUNTER:
        shape_counter(out, in);
        break;
    case NAT_BLOCK:
        shape_block(out, in);
        break;
    default:
        shape_random(out);
        break;
    }
}

static bool untranslated(const struct predict_input *in)
{
    return in->local.port != 0 && endpoint_same_address(&in->local, &in->public_address);
}

static void shape_unknown(struct prediction *out, const struct predict_input *in)
{
    if (untranslated(in)) {
        shape_fixed(out, in->local.port);
        out->confidence = 0.9;
    }
}

/* Pools are prefixes more often than not, that is 2^n addresses; and small ones. */
static double pool_prior(unsigned n)
{
    return ((n & (n - 1)) == 0 ? 10.0 : 1.0) / n;
}

/*
 * How many addresses there are of which `seen` were found in `draws`: the inverse of what 1/n is
 * on average, given that.
 */
static double count_addresses(unsigned seen, unsigned draws)
{
    double likelihood = 1, sum = 0, shares = 0;
    unsigned n;

    for (n = seen; n <= ADDRESSES_MAX; n++) {
        /* P(seen | n) goes with n! / (n - seen)! / n^draws. */
        sum += likelihood * pool_prior(n);
        shares += likelihood * pool_prior(n) / n;
        likelihood *= (n + 1.0) / (n + 1.0 - seen) * pow(n / (n + 1.0), draws);
    }
    return shares > 0 ? sum / shares : seen;
}

static struct prediction predict_by(const struct predict_input *in)
{
    struct prediction out = {.shape = SHAPE_NONE};
    const struct observation *own = own_anchor(in);
    uint8_t mapping = in->profile->nat.mapping;

    out.address = endpoint_with_port(in->public_address, 0);
    if (endpoint_is_none(&out.address) || out.address.family == 0)
        return out;
    if (in->profile->learnt == TICK_NEVER) {
        shape_unknown(&out, in);
        return out;
    }
    out.confidence = confidence_of(in->profile, in->at);
    if (own != NULL && profile_serves_all(&in->profile->nat)) {
        shape_fixed(&out, own->observed.port);
        out.confidence = 1 - (1 - out.confidence) * ANCHORED_DOUBT;
        out.open = mapping != NAT_EIM && mapping != NAT_MAPPING_NONE;
    } else if (mapping == NAT_MAPPING_NONE && in->local.port != 0) {
        shape_fixed(&out, in->local.port);
    } else {
        shape_allocation(&out, in);
        out.once = mapping == NAT_APDM && out.shape == SHAPE_FIXED;
    }
    if (mapping == NAT_ADM && out.shape != SHAPE_FIXED)
        out.shape = SHAPE_SHARED;
    return out;
}

struct prediction predict(const struct predict_input *in)
{
    struct profile view = profile_view(in->profile, in->peer, in->at);
    struct predict_input with = *in;
    struct prediction out;

    with.profile = &view;
    out = predict_by(&with);
    if (in->addresses_seen > 1 && out.shape != SHAPE_FIXED)
        out.addresses = count_addresses(in->addresses_seen, in->address_draws);
    return out;
}

/* ---- weights ---- */

/* lgamma() would write a global. */
static double log_gamma(double x)
{
    int sign;

    return lgamma_r(x, &sign);
}

double prediction_foreign_weight(const struct prediction *p, unsigned f)
{
    double mean = p->foreign, shape = p->foreign_shape, log_weight;

    if (mean <= 0)
        return f == 0;
    if (shape <= 0)
        return exp(f * log(mean) - mean - log_gamma(f + 1.0));
    log_weight = log_gamma(f + shape) - log_gamma(f + 1.0) - log_gamma(shape);
    log_weight += shape * log(shape / (shape + mean)) + f * log(mean / (shape + mean));
    return exp(log_weight);
}

/* Beyond this many, what is left of the distribution of F does not matter. */
static unsigned foreign_most(const struct prediction *p)
{
    double variance = p->foreign;

    if (p->foreign_shape > 0)
        variance += p->foreign * p->foreign / p->foreign_shape;
    return (unsigned)(p->foreign + 12 * sqrt(variance) + 20);
}

static double counter_weight(const struct prediction *p, unsigned k, uint16_t port)
{
    unsigned f, most = foreign_most(p);
    double sum = 0;

    for (f = 0; f <= most; f++)
        if (counter_step(p->port, p->delta, (int64_t)k + f, p->low, p->high) == port)
            sum += prediction_foreign_weight(p, f);
    return sum;
}

double prediction_weight(const struct prediction *p, unsigned k, uint16_t port)
{
    switch (p->shape) {
    case SHAPE_FIXED:
        return port == p->port;
    case SHAPE_SHARED:
    case SHAPE_COUNTER:
        if (p->delta != 0)
            return counter_weight(p, k, port);
        /* fall through */
    case SHAPE_BLOCK:
    case SHAPE_RANDOM:
        return port >= p->low && port <= p->high ? 1.0 / (p->high - p->low + 1.0) : 0;
    default:
        return 0;
    }
}

unsigned predict_anchors_needed(const struct profile *profile, const struct endpoint *local,
                                const struct endpoint *public_address)
{
    const struct nat_summary *nat = &profile->nat;
    bool known = local->port != 0;

    if (known && endpoint_same_address(local, public_address))
        return 0;
    if (nat->mapping == NAT_MAPPING_NONE)
        return known ? 0 : 1;
    if (profile_serves_all(nat))
        return known && nat->confidence >= ANCHOR_WORTH &&
                       (nat->allocation == NAT_PRESERVE || nat->allocation == NAT_OFFSET)
                   ? 0
                   : 1;
    /* Two in one burst, so that one which went astray is noticed and the newest is known. */
    return nat->allocation == NAT_COUNTER ? 2 : 0;
}

bool predict_steady(const struct nat_summary *nat)
{
    return nat->mapping == NAT_EIM && nat->confidence >= ANCHOR_WORTH;
}
