/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/*
 * The wires on both sides of the NAT: what a packet suffers on one, and
 * the queue of packets under way. Pure: time is an argument, in
 * nanoseconds, and randomness is seeded.
 */
#ifndef NATBOX_DELAY_H
#define NATBOX_DELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "natbox_random.h"

struct natbox_delay_wire {
    uint64_t delay;
    uint64_t jitter; /* added on top: uniform in [0, jitter] */
    double loss;     /* probability */
};

/* False when the packet is lost; else how long it is under way. */
bool natbox_delay_draw(const struct natbox_delay_wire *w, struct natbox_random *r, uint64_t *time);

struct natbox_delay_entry {
    uint64_t due;
    uint64_t order;
    void *item;
};

/* A heap, since jitter may let a packet overtake; equal times keep the
 * order of arrival, so that a constant delay never reorders. */
struct natbox_delay {
    struct natbox_delay_entry *heap;
    size_t count, room;
    uint64_t order;
};

/* False when memory ran out: the item stays the caller's. */
bool natbox_delay_push(struct natbox_delay *d, uint64_t due, void *item);

/* When the next item is due; UINT64_MAX when there is none. */
uint64_t natbox_delay_next(const struct natbox_delay *d);

/* The next item; there must be one. */
void *natbox_delay_pop(struct natbox_delay *d);
void natbox_delay_free(struct natbox_delay *d);

#endif
