/* SPDX-License-Identifier: ISC */
#include "client-stub/deadline.h"

static struct deadline *meld(struct deadline *a, struct deadline *b)
{
    if (!a)
        return b;
    if (!b)
        return a;
    if (b->when < a->when) {
        struct deadline *t = a;
        a = b;
        b = t;
    }
    b->back = a;
    b->next = a->child;
    if (b->next)
        b->next->back = b;
    a->child = b;
    a->next = NULL;
    a->back = NULL;
    return a;
}

/* Melds siblings in pairs, then the pairs from the last to the first: amortised log n. */
static struct deadline *meld_siblings(struct deadline *d)
{
    struct deadline *pairs = NULL;

    while (d) {
        struct deadline *a = d;
        struct deadline *b = d->next;
        d = b ? b->next : NULL;
        a->next = a->back = NULL;
        if (b)
            b->next = b->back = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct deadline *rest = pairs->next;
        pairs->next = NULL;
        d = meld(d, pairs);
        pairs = rest;
    }
    return d;
}

void deadline_clear(struct deadlines *all, struct deadline *d)
{
    if (!d->set)
        return;
    struct deadline *children = meld_siblings(d->child);
    if (d == all->first) {
        all->first = children;
    } else {
        if (d->back->child == d)
            d->back->child = d->next;
        else
            d->back->next = d->next;
        if (d->next)
            d->next->back = d->back;
        all->first = meld(all->first, children);
    }
    d->child = d->next = d->back = NULL;
    d->set = false;
}

void deadline_set(struct deadlines *all, struct deadline *d, tick when)
{
    deadline_clear(all, d);
    d->when = when;
    if (when == TICK_NEVER)
        return;
    d->set = true;
    all->first = meld(all->first, d);
}

tick deadline_first(const struct deadlines *all)
{
    return all->first ? all->first->when : TICK_NEVER;
}

struct deadline *deadline_pop(struct deadlines *all, tick now)
{
    struct deadline *d = all->first;
    if (!d || d->when > now)
        return NULL;
    deadline_clear(all, d);
    return d;
}
