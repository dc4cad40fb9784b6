/* SPDX-License-Identifier: ISC */
#include "linger.h"

static uint32_t saturating_add(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* The same account as of now. */
static struct linger aged(const struct linger *l, tick now)
{
    tick age = now - l->since;

    if (age < LINGER_TIME)
        return *l;
    if (age < 2 * LINGER_TIME)
        return (struct linger){.since = l->since + LINGER_TIME, .older = l->recent};
    return (struct linger){.since = now};
}

void linger_add(struct linger *l, uint32_t count, tick now)
{
    *l = aged(l, now);
    l->recent = saturating_add(l->recent, count);
}

uint32_t linger_sum(const struct linger *l, tick now)
{
    struct linger as_of_now = aged(l, now);

    return saturating_add(as_of_now.recent, as_of_now.older);
}

uint16_t linger_left(const struct linger *l, uint32_t cap, tick now)
{
    uint32_t sum = linger_sum(l, now);
    uint32_t left = sum < cap ? cap - sum : 0;

    return left < UINT16_MAX ? (uint16_t)left : UINT16_MAX;
}
