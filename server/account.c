/* SPDX-License-Identifier: ISC */
#include "account.h"

static uint32_t saturating_add(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* The same account as of now. */
static struct account aged(const struct account *l, tick now)
{
    tick age = now - l->since;

    if (age < ACCOUNT_TIME)
        return *l;
    if (age < 2 * ACCOUNT_TIME)
        return (struct account){.since = l->since + ACCOUNT_TIME, .older = l->recent};
    return (struct account){.since = now};
}

void account_add(struct account *l, uint32_t count, tick now)
{
    *l = aged(l, now);
    l->recent = saturating_add(l->recent, count);
}

uint32_t account_sum(const struct account *l, tick now)
{
    struct account as_of_now = aged(l, now);

    return saturating_add(as_of_now.recent, as_of_now.older);
}

uint16_t account_left(const struct account *l, uint32_t cap, tick now)
{
    uint32_t sum = account_sum(l, now);
    uint32_t left = sum < cap ? cap - sum : 0;

    return left < UINT16_MAX ? (uint16_t)left : UINT16_MAX;
}
