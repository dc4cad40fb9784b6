/* SPDX-License-Identifier: ISC */
#include "account.h"

static uint32_t period_of(tick now)
{
    return (uint32_t)(now / ACCOUNT_TIME);
}

/* The same account as of now. */
static struct account aged(const struct account *l, tick now)
{
    uint32_t period = period_of(now);

    if (period == l->period)
        return *l;
    return (struct account){.period = period, .older = period == l->period + 1 ? l->recent : 0};
}

void account_add(struct account *l, uint32_t count, tick now)
{
    *l = aged(l, now);
    l->recent =
        count < (uint32_t)(UINT16_MAX - l->recent) ? (uint16_t)(l->recent + count) : UINT16_MAX;
}

uint32_t account_sum(const struct account *l, tick now)
{
    struct account as_of_now = aged(l, now);

    return (uint32_t)as_of_now.recent + as_of_now.older;
}

uint16_t account_left(const struct account *l, uint32_t cap, tick now)
{
    uint32_t sum = account_sum(l, now);
    uint32_t left = sum < cap ? cap - sum : 0;

    return left < UINT16_MAX ? (uint16_t)left : UINT16_MAX;
}
