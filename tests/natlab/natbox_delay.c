/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "natbox_delay.h"

#include <stdlib.h>

bool natbox_delay_draw(const struct natbox_delay_wire *w, struct natbox_random *r, uint64_t *time)
{
    *time = w->delay;
    if (w->loss > 0 && natbox_random_unit(r) < w->loss)
        return false;
    if (w->jitter > 0)
        *time += (uint64_t)((double)w->jitter * natbox_random_unit(r));
    return true;
}

static bool before(const struct natbox_delay_entry *a, const struct natbox_delay_entry *b)
{
    return a->due < b->due || (a->due == b->due && a->order < b->order);
}

static bool make_room(struct natbox_delay *d)
{
    size_t room = d->room ? d->room * 2 : 1024;
    void *heap;

    if (d->count < d->room)
        return true;
    heap = realloc(d->heap, room * sizeof(*d->heap));
    if (heap == NULL)
        return false;
    d->heap = heap;
    d->room = room;
    return true;
}

bool natbox_delay_push(struct natbox_delay *d, uint64_t due, void *item)
{
    struct natbox_delay_entry e = {due, d->order, item};
    size_t i;

    if (!make_room(d))
        return false;
    d->order++;
    for (i = d->count++; i > 0; i = (i - 1) / 2) {
        if (!before(&e, &d->heap[(i - 1) / 2]))
            break;
        d->heap[i] = d->heap[(i - 1) / 2];
    }
    d->heap[i] = e;
    return true;
}

uint64_t natbox_delay_next(const struct natbox_delay *d)
{
    return d->count ? d->heap[0].due : UINT64_MAX;
}

void *natbox_delay_pop(struct natbox_delay *d)
{
    void *item = d->heap[0].item;
    struct natbox_delay_entry last = d->heap[--d->count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= d->count)
            break;
        if (child + 1 < d->count && before(&d->heap[child + 1], &d->heap[child]))
            child++;
        if (!before(&d->heap[child], &last))
            break;
        d->heap[i] = d->heap[child];
        i = child;
    }
    d->heap[i] = last;
    return item;
}

void natbox_delay_free(struct natbox_delay *d)
{
    free(d->heap);
}
