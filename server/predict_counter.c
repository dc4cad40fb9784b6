/* SPDX-License-Identifier: ISC */
#include "predict_counter.h"

#include <stdlib.h>

/* So many foreign allocations inside one burst step are no longer a counter under traffic. */
#define BURST_MULTIPLE_MAX 16
/* The usual burst step of a counter holds few of them even under a carrier's load. */
#define BURST_MEDIAN_MAX 4

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

int32_t predict_counter_multiple(const struct counter_hop *hop, int32_t delta)
{
    int32_t n;

    if (delta == 0 || hop->by % delta != 0)
        return 0;
    n = hop->by / delta;
    if (n < 1 || (hop->burst && n > BURST_MULTIPLE_MAX))
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
