/* SPDX-License-Identifier: ISC */
#include "predict_batch.h"

#include <math.h>
#include <stdlib.h>

#include "predict_counter.h"

/* A SURVEY or PREPARE has no more steps; of a longer list the first count. */
#define BATCH_MAX COUNTER_MAPPINGS_MAX
/* A block wider than this is of no use to a plan, and hard to tell from the full range. */
#define BLOCK_SPAN_MAX 16384
/* A narrow span counts as a block when the full range would show it this rarely. */
#define BLOCK_CHANCE_MAX 1e-4
/* By fewer mappings than these a block (random) allocation is not told from chance. */
#define BLOCK_MAPPINGS_MIN  5
#define RANDOM_MAPPINGS_MIN 4
/* So much later than the next one's is no jitter, but a SYN sent again. */
#define LATE (500 * TICK_MS)

struct batch {
    struct observation at[BATCH_MAX]; /* in the order of their steps */
    size_t count;
    size_t fresh[BATCH_MAX]; /* indices of those that made a new mapping */
    size_t fresh_count;
    size_t first[BATCH_MAX]; /* indices of those that were the first of their socket */
    size_t first_count;
    struct counter_mapping mappings[BATCH_MAX]; /* the fresh ones, as counters see them */
    struct counter_hop hops[BATCH_MAX];
    size_t hop_count;
};

static int by_step(const void *a, const void *b)
{
    const struct observation *x = a, *y = b;

    return (x->step > y->step) - (x->step < y->step);
}

/* Whether the i-th shows a mapping that no earlier one of its socket has shown. */
static bool is_fresh(const struct batch *b, size_t i, bool *first)
{
    size_t j;
    bool seen = false;

    *first = true;
    for (j = 0; j < i; j++) {
        if (b->at[j].socket != b->at[i].socket)
            continue;
        *first = false;
        seen |= b->at[j].observed.port == b->at[i].observed.port;
    }
    return !seen;
}

/* All connections after `from` up to `to` left back to back, so nobody had much time between them.
 */
static bool all_burst(const struct batch *b, size_t from, size_t to)
{
    size_t i;

    for (i = from + 1; i <= to; i++)
        if (!b->at[i].burst)
            return false;
    return true;
}

static void find_hops(struct batch *b)
{
    size_t i;

    for (i = 0; i < b->fresh_count; i++) {
        const struct observation *o = &b->at[b->fresh[i]];

        b->mappings[i] = (struct counter_mapping){
            .port = o->observed.port,
            .burst = i > 0 && all_burst(b, b->fresh[i - 1], b->fresh[i]),
            .at = tick_seconds(o->at),
        };
    }
    for (i = 1; i < b->fresh_count; i++) {
        const struct observation *x = &b->at[b->fresh[i - 1]], *y = &b->at[b->fresh[i]];

        b->hops[b->hop_count++] = (struct counter_hop){
            .by = predict_counter_distance(x->observed.port, y->observed.port, PROFILE_PORT_LOW,
                                           PROFILE_PORT_HIGH),
            .seconds = tick_seconds(y->at - x->at),
            .burst = b->mappings[i].burst,
        };
    }
}

/*
 * Steps are opened in order: no mapping is younger than the next one, and none of a burst much
 * younger than the one before, though one whose first SYN got lost arrives a second late.
 */
static void undo_losses(struct batch *b)
{
    size_t i;

    for (i = b->count; i > 1; i--)
        if (b->at[i - 2].at > b->at[i - 1].at + LATE)
            b->at[i - 2].at = b->at[i - 1].at;
    for (i = 1; i < b->count; i++)
        if (b->at[i].burst && b->at[i].at > b->at[i - 1].at + LATE)
            b->at[i].at = b->at[i - 1].at;
}

static void load(struct batch *b, const struct observation *obs, size_t count)
{
    size_t i;
    bool first;

    *b = (struct batch){.count = count < BATCH_MAX ? count : BATCH_MAX};
    for (i = 0; i < b->count; i++)
        b->at[i] = obs[i];
    qsort(b->at, b->count, sizeof(b->at[0]), by_step);
    undo_losses(b);
    for (i = 0; i < b->count; i++) {
        if (is_fresh(b, i, &first))
            b->fresh[b->fresh_count++] = i;
        if (first)
            b->first[b->first_count++] = i;
    }
    find_hops(b);
}

/* ---- mapping ---- */

static bool untranslated(const struct batch *b)
{
    size_t i;

    for (i = 0; i < b->count; i++)
        if (!endpoint_equal(&b->at[i].observed, &b->at[i].local))
            return false;
    return b->count > 0;
}

/*
 * Pairs of observations of one socket, towards one or two server addresses (RFC 5780 section 4.3).
 * Two different mappings show the same port by chance only once in thousands, while one connection
 * may go astray (a reboot, a port taken): so equality in half of the pairs outweighs the other
 * half.
 */
static uint8_t classify_mapping(const struct batch *b, bool *one_address)
{
    unsigned same[2] = {0, 0}, differ[2] = {0, 0}; /* [1]: across two server addresses */
    size_t i, j;

    for (i = 0; i < b->count; i++) {
        for (j = 0; j < i; j++) {
            const struct observation *x = &b->at[j], *y = &b->at[i];
            bool across = !endpoint_same_address(&x->server, &y->server);

            if (x->socket != y->socket || endpoint_equal(&x->server, &y->server))
                continue;
            /* The address counts too: a NAT with a pool may keep the port and change that. */
            if (endpoint_equal(&x->observed, &y->observed))
                same[across]++;
            else
                differ[across]++;
        }
    }
    *one_address = same[1] + differ[1] == 0;
    if (untranslated(b))
        return NAT_MAPPING_NONE;
    if (same[0] + differ[0] + same[1] + differ[1] == 0)
        return NAT_MAPPING_UNKNOWN;
    if (*one_address)
        return same[0] >= differ[0] ? NAT_EIM : NAT_APDM;
    if (same[1] >= differ[1])
        return NAT_EIM;
    /* Nothing to tell ADM from APDM by: the stricter of the two. */
    return same[0] > 0 && same[0] >= differ[0] ? NAT_ADM : NAT_APDM;
}

/* ---- allocation by local port: preservation, constant offset ---- */

static bool local_known(const struct observation *o)
{
    return o->local.family != 0 && o->local.port != 0;
}

static int32_t offset_of(const struct observation *o)
{
    return (int32_t)o->observed.port - o->local.port;
}

/* How many sockets' first mappings are this far from their local port, and how many tell. */
static unsigned count_offset(const struct batch *b, int32_t offset, unsigned *told)
{
    unsigned n = 0;
    size_t i;

    *told = 0;
    for (i = 0; i < b->first_count; i++) {
        const struct observation *o = &b->at[b->first[i]];

        if (!local_known(o))
            continue;
        (*told)++;
        n += offset_of(o) == offset;
    }
    return n;
}

/* Public equals local by chance once in 64,512, so two sockets are plenty: the rest collided. */
static bool classify_preserve(const struct batch *b, struct batch_verdict *v)
{
    v->agree = count_offset(b, 0, &v->facts);
    if (v->agree == 0 || (v->agree == 1 && v->facts > 2))
        return false;
    v->allocation = NAT_PRESERVE;
    v->delta = 0;
    return true;
}

/*
 * Whether the sockets at this offset were opened both up and down the local ports. Else a counter
 * of delta 1 (or -1) over adjacent local ports shows a constant offset too.
 */
static bool both_directions(const struct batch *b, int32_t offset)
{
    const struct observation *last = NULL;
    bool up = false, down = false;
    size_t i;

    for (i = 0; i < b->first_count; i++) {
        const struct observation *o = &b->at[b->first[i]];

        if (!local_known(o) || offset_of(o) != offset)
            continue;
        if (last != NULL) {
            up |= o->local.port > last->local.port;
            down |= o->local.port < last->local.port;
        }
        last = o;
    }
    return up && down;
}

static bool classify_offset(const struct batch *b, struct batch_verdict *v)
{
    unsigned told, most = 0;
    int32_t best = 0;
    size_t i;

    for (i = 0; i < b->first_count; i++) {
        int32_t offset = offset_of(&b->at[b->first[i]]);
        unsigned n = local_known(&b->at[b->first[i]]) ? count_offset(b, offset, &told) : 0;

        if (n > most) {
            most = n;
            best = offset;
        }
    }
    if (most < 3 || most + 1 < told || !both_directions(b, best))
        return false;
    v->allocation = NAT_OFFSET;
    v->delta = best;
    v->facts = told;
    v->agree = most;
    return true;
}

/* ---- allocation by time: a counter ---- */

/* What other subscribers took between the mappings of this batch. */
static void watch_foreign(const struct counter_hop *hops, size_t count, struct batch_verdict *v)
{
    size_t i;

    v->foreign = 0;
    v->seconds = 0;
    for (i = 0; i < count; i++) {
        int32_t n = predict_counter_multiple(&hops[i], v->delta);

        if (n == 0)
            continue;
        v->foreign += (unsigned)n - 1;
        v->seconds += hops[i].seconds;
    }
    if (v->seconds < 0)
        v->seconds = 0;
}

/* Several counters in turn, as far as a batch of this size tells them from chance. */
static bool classify_several(const struct batch *b, struct batch_verdict *v)
{
    struct counter_deal deal = {.tracks = 0};
    struct counter_fit fit = {0};
    int32_t delta = predict_counter_find_several(b->mappings, b->fresh_count, &deal, &fit);

    if (delta == 0)
        return false;
    v->allocation = NAT_COUNTER;
    v->delta = delta;
    v->tracks = deal.tracks;
    v->facts = v->agree = fit.bursts + fit.spaced;
    watch_foreign(deal.hops, deal.hop_count, v);
    return true;
}

static bool classify_counter(const struct batch *b, const struct batch_known *known,
                             struct batch_verdict *v)
{
    struct counter_fit fit = {0};
    int32_t delta = predict_counter_find(b->hops, b->hop_count, &fit);

    /* Too few hops to find a delta can still agree with the one that is known; ports at random
     * would do so in hardly any of them. */
    if (delta == 0 && known->allocation == NAT_COUNTER && v->known_agree > 0 &&
        v->known_agree * 2 >= v->known_facts) {
        fit = predict_counter_fit(b->hops, b->hop_count, known->delta);
        delta = known->delta;
        v->tracks = known->tracks;
    }
    if (delta == 0)
        return classify_several(b, v);
    v->allocation = NAT_COUNTER;
    v->delta = delta;
    v->tracks = v->tracks > 1 ? v->tracks : 1;
    v->facts = fit.bursts + fit.spaced + fit.outliers;
    v->agree = fit.bursts + fit.spaced;
    watch_foreign(b->hops, b->hop_count, v);
    if (predict_counter_bounds(b->mappings, b->fresh_count, delta, &v->range_low, &v->range_high))
        v->agree = v->facts; /* turning round is what a counter does */
    return true;
}

/* ---- allocation at random ---- */

/* The probability that n ports drawn from the full range lie within `span`, at most. */
static double chance_of_span(unsigned n, unsigned span)
{
    double share = (double)(span + 1) / (PROFILE_PORT_HIGH - PROFILE_PORT_LOW + 1);

    return n * pow(share, n - 1.0);
}

/*
 * The ends lie beyond the outermost ports seen, on average by the mean gap between them (the
 * unbiased estimate for a uniform distribution).
 */
static void bound_block(struct batch_verdict *v)
{
    int32_t gap = (v->high - v->low) / (int32_t)(v->mappings - 1);
    int32_t low = v->low - gap, high = v->high + gap;

    if (low < PROFILE_PORT_LOW)
        low = v->low < PROFILE_PORT_LOW ? 1 : PROFILE_PORT_LOW;
    v->block_low = (uint16_t)low;
    v->block_high = (uint16_t)(high < PROFILE_PORT_HIGH ? high : PROFILE_PORT_HIGH);
}

static void classify_random(const struct batch_known *known, struct batch_verdict *v)
{
    unsigned span = (unsigned)(v->high - v->low);
    bool as_known = known->allocation == NAT_BLOCK && span < known->block_size;

    if (v->mappings < RANDOM_MAPPINGS_MIN)
        return;
    v->facts = v->agree = v->mappings;
    v->allocation = NAT_RANDOM;
    if (!as_known && (v->mappings < BLOCK_MAPPINGS_MIN || span > BLOCK_SPAN_MAX ||
                      chance_of_span(v->mappings, span) > BLOCK_CHANCE_MAX))
        return;
    v->allocation = NAT_BLOCK;
    bound_block(v);
}

static void find_extremes(const struct batch *b, struct batch_verdict *v)
{
    const struct observation *first, *last;
    size_t i;

    if (b->fresh_count == 0)
        return;
    v->low = PROFILE_PORT_HIGH;
    for (i = 0; i < b->fresh_count; i++) {
        uint16_t port = b->at[b->fresh[i]].observed.port;

        v->low = port < v->low ? port : v->low;
        v->high = port > v->high ? port : v->high;
    }
    first = &b->at[b->fresh[0]];
    last = &b->at[b->fresh[b->fresh_count - 1]];
    v->first_port = first->observed.port;
    v->first_at = first->at;
    v->last_port = last->observed.port;
    v->last_at = last->at;
    v->mappings = (unsigned)b->fresh_count;
}

static void test_known(const struct batch *b, const struct batch_known *known,
                       struct batch_verdict *v)
{
    struct counter_fit fit;

    if (known->allocation == NAT_PRESERVE || known->allocation == NAT_OFFSET) {
        v->known_agree = count_offset(b, known->delta, &v->known_facts);
    } else if (known->allocation == NAT_COUNTER) {
        fit = predict_counter_fit(b->hops, b->hop_count, known->delta);
        v->known_agree = fit.bursts + fit.spaced;
        /* From one of several counters to another one is no step of either. */
        v->known_facts = v->known_agree + (known->tracks > 1 ? 0 : fit.outliers);
    }
}

struct batch_verdict batch_classify(const struct observation *obs, size_t count,
                                    const struct batch_known *known)
{
    struct batch_verdict v = {0};
    struct batch b;

    load(&b, obs, count);
    find_extremes(&b, &v);
    v.mapping = classify_mapping(&b, &v.one_address);
    test_known(&b, known, &v);
    if (classify_preserve(&b, &v) || classify_offset(&b, &v) || classify_counter(&b, known, &v))
        return v;
    classify_random(known, &v);
    return v;
}
