/* SPDX-License-Identifier: ISC */
#include "plan_chance.h"

/* No plan reaches so far, whatever the drift. */
#define FOREIGN_LIMIT 8192

struct foreign_range chance_foreign(const struct prediction *p, double rest)
{
    struct foreign_range r = {0, 0};
    double below = 0;
    int32_t f;

    for (f = 0; f < FOREIGN_LIMIT; f++) {
        below += prediction_foreign_weight(p, (unsigned)f);
        if (below < rest / 2)
            r.low = f + 1;
        r.high = f;
        if (below >= 1 - rest / 2)
            break;
    }
    if (r.low > r.high)
        r.low = r.high;
    return r;
}

double chance_between(const struct prediction *p, int32_t low, int32_t high)
{
    double sum = 0;
    int32_t f;

    for (f = low < 0 ? 0 : low; f <= high; f++)
        sum += prediction_foreign_weight(p, (unsigned)f);
    return sum < 1 ? sum : 1;
}

/* The distribution has one peak, so the run moves up as long as it gains more than it loses. */
int32_t chance_best_run(const struct prediction *p, int32_t length)
{
    int32_t low = 0;

    while (low < FOREIGN_LIMIT && prediction_foreign_weight(p, (unsigned)(low + length)) >
                                      prediction_foreign_weight(p, (unsigned)low))
        low++;
    return low;
}

double chance_birthday(unsigned mapped, unsigned targets, double range)
{
    double miss = 1;
    unsigned i;

    for (i = 0; i < targets && i < range; i++) {
        double left = range - i;

        if (left <= mapped)
            return 1;
        miss *= (left - mapped) / left;
    }
    return 1 - miss;
}

double chance_meet(double a, bool lenient_a, double b, bool lenient_b)
{
    if (lenient_a && lenient_b)
        return 1 - (1 - a) * (1 - b);
    if (lenient_a)
        return a;
    return lenient_b ? b : a * b;
}
