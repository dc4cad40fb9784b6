/* SPDX-License-Identifier: ISC */
#include "predict_counter.h"

#include <stdlib.h>

#include "predict_profile.h"

/* So many foreign allocations inside one burst step are no longer a counter under traffic. */
#define BURST_MULTIPLE_MAX 16
/* Nobody has been seen to take more ports a second: a longer jump leads to another counter. */
#define RATE_MAX 15000.0
/* So many are taken in a pause at most, where the longer way round is the one to believe. */
#define PAUSE_MULTIPLE_MAX 2000
/* The usual burst step of a counter holds few of them even under a carrier's load. */
#define BURST_MEDIAN_MAX 4
/* Of several counters only small deltas are told from ports that happen to lie close together. */
#define SEVERAL_DELTA_MAX 64
/* Each counter more than one must explain more than this. */
#define TRACK_PENALTY 6.0
/* Beyond this a counter that turns round is not told from one that was restarted. */
#define TURN_MAX 16384

int32_t predict_counter_distance(uint16_t from, uint16_t port, uint16_t low, uint16_t high)
{
    int32_t size = high - low + 1;
    int32_t by = (port - from) % size;

    if (by > size / 2)
        by -= size;
    else if (by < -(size / 2))
        by += size;
    return by;
}

static int32_t gcd(int32_t a, int32_t b)
{
    a = abs(a);
    b = abs(b);
    while (b != 0) {
        int32_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* In the counter's direction: a fast one goes more than half round its ports during a pause. */
static int32_t forward(const struct counter_hop *hop, int32_t delta)
{
    const int32_t range = PROFILE_PORT_HIGH - PROFILE_PORT_LOW + 1;

    if (hop->burst || hop->by == 0 || (hop->by > 0) == (delta > 0))
        return hop->by;
    return delta > 0 ? hop->by + range : hop->by - range;
}

int32_t predict_counter_multiple(const struct counter_hop *hop, int32_t delta)
{
    int32_t by, n;

    if (delta == 0)
        return 0;
    by = forward(hop, delta);
    if (by % delta != 0)
        return 0;
    n = by / delta;
    if (n < 1 || n > BURST_MULTIPLE_MAX + RATE_MAX * hop->seconds ||
        (hop->burst && n > BURST_MULTIPLE_MAX) || (by != hop->by && n > PAUSE_MULTIPLE_MAX))
        return 0;
    return n;
}

/*
 * Foreign allocations in a burst are rare and each costs likelihood, an outlier costs more. That
 * settles the classic confusion both ways: delta 2 in silence, or delta 1 under traffic.
 */
struct counter_fit predict_counter_fit(const struct counter_hop *hops, size_t count, int32_t delta)
{
    struct counter_fit f = {0};
    size_t i;

    for (i = 0; i < count; i++) {
        int32_t n = predict_counter_multiple(&hops[i], delta);

        if (n == 0) {
            f.outliers++;
            f.penalty += 8;
        } else if (hops[i].burst) {
            f.bursts++;
            f.calm += n <= BURST_MEDIAN_MAX;
            f.penalty += 1.5 * (n - 1);
        } else {
            f.spaced++;
        }
    }
    return f;
}

static bool convincing(const struct counter_fit *f)
{
    unsigned hops = f->bursts + f->spaced + f->outliers;

    return f->bursts >= 2 && f->calm * 2 > f->bursts &&
           f->outliers <= (hops >= 4 ? 1 + hops / 8 : 0);
}

static void consider(const struct counter_hop *hops, size_t count, int32_t delta, int32_t *best,
                     struct counter_fit *best_fit)
{
    struct counter_fit f = predict_counter_fit(hops, count, delta);

    if (!convincing(&f))
        return;
    if (*best == 0 || f.penalty < best_fit->penalty ||
        (f.penalty <= best_fit->penalty && abs(delta) > abs(*best))) {
        *best = delta;
        *best_fit = f;
    }
}

/* Burst hops and their common divisors, in both directions, are the candidates. */
int32_t predict_counter_find(const struct counter_hop *hops, size_t count, struct counter_fit *fit)
{
    int32_t best = 0;
    size_t i, j;

    for (i = 0; i < count; i++) {
        for (j = 0; hops[i].burst && j <= i; j++) {
            int32_t common = gcd(hops[i].by, hops[j].by);

            if (!hops[j].burst || common == 0)
                continue;
            consider(hops, count, common, &best, fit);
            consider(hops, count, -common, &best, fit);
        }
    }
    return best;
}

/* ---- several counters ---- */

struct track {
    size_t last; /* index of its newest mapping */
    unsigned mappings;
};

static struct counter_hop hop_between(const struct counter_mapping *at, size_t from, size_t to)
{
    struct counter_hop hop = {
        .by = predict_counter_distance(at[from].port, at[to].port, PROFILE_PORT_LOW,
                                       PROFILE_PORT_HIGH),
        .seconds = at[to].at - at[from].at,
        .burst = true,
    };
    size_t i;

    for (i = from + 1; i <= to; i++)
        hop.burst &= at[i].burst;
    return hop;
}

/* The track that mapping i goes on, in the fewest steps; `count` if none. */
static size_t nearest_track(const struct counter_mapping *at, size_t i, int32_t delta,
                            const struct track *tracks, size_t count, struct counter_hop *hop)
{
    size_t t, best = count;
    int32_t least = 0;

    for (t = 0; t < count; t++) {
        struct counter_hop h = hop_between(at, tracks[t].last, i);
        int32_t n = predict_counter_multiple(&h, delta);

        if (n == 0 || (least != 0 && n >= least))
            continue;
        least = n;
        best = t;
        *hop = h;
    }
    return best;
}

/* False: more counters than COUNTER_TRACKS_MAX. */
static bool deal_out(const struct counter_mapping *at, size_t count, int32_t delta,
                     struct counter_deal *deal)
{
    struct track tracks[COUNTER_TRACKS_MAX];
    size_t i, t;

    deal->hop_count = 0;
    deal->tracks = deal->strays = 0;
    for (i = 0; i < count; i++) {
        struct counter_hop hop;

        t = nearest_track(at, i, delta, tracks, deal->tracks, &hop);
        if (t < deal->tracks) {
            deal->hops[deal->hop_count++] = hop;
        } else {
            if (deal->tracks == COUNTER_TRACKS_MAX)
                return false;
            tracks[deal->tracks++].mappings = 0;
        }
        tracks[t].last = i;
        tracks[t].mappings++;
    }
    for (t = 0; t < deal->tracks; t++)
        deal->strays += tracks[t].mappings == 1;
    return true;
}

/* Far fewer foreign allocations than chance would show between ports that merely lie close. */
static bool several_convince(const struct counter_deal *deal, const struct counter_fit *f)
{
    return deal->tracks >= 2 && deal->strays == 0 && f->bursts >= 3 && f->outliers == 0 &&
           f->penalty <= f->bursts;
}

int32_t predict_counter_find_several(const struct counter_mapping *at, size_t count,
                                     struct counter_deal *deal, struct counter_fit *fit)
{
    double least = 0;
    int32_t best = 0;
    size_t i, j;

    for (i = 0; i < count; i++) {
        for (j = i + 1; j < count && at[j].burst; j++) {
            struct counter_hop hop = hop_between(at, i, j);
            struct counter_deal d;
            struct counter_fit f;

            if (hop.by == 0 || abs(hop.by) > SEVERAL_DELTA_MAX || !deal_out(at, count, hop.by, &d))
                continue;
            f = predict_counter_fit(d.hops, d.hop_count, hop.by);
            if (!several_convince(&d, &f) ||
                (best != 0 && f.penalty + TRACK_PENALTY * d.tracks >= least))
                continue;
            least = f.penalty + TRACK_PENALTY * d.tracks;
            best = hop.by;
            *deal = d;
            *fit = f;
        }
    }
    return best;
}

/* ---- a range of its own ---- */

bool predict_counter_bounds(const struct counter_mapping *at, size_t count, int32_t delta,
                            uint16_t *low, uint16_t *high)
{
    uint16_t least = UINT16_MAX, most = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        least = at[i].port < least ? at[i].port : least;
        most = at[i].port > most ? at[i].port : most;
    }
    for (i = 1; i < count; i++) {
        uint16_t end = delta > 0 ? most : least, begin = delta > 0 ? least : most;

        if (!at[i].burst || at[i - 1].port != end || at[i].port != begin || most - least < 2)
            continue;
        if (most - least + abs(delta) > TURN_MAX)
            continue;
        /* The next port after the last one is the first one again: delta - 1 ports are unused. */
        *low = least;
        *high = (uint16_t)(most + abs(delta) - 1 < UINT16_MAX ? most + abs(delta) - 1 : UINT16_MAX);
        return true;
    }
    return false;
}
