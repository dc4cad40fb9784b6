/* SPDX-License-Identifier: ISC */
#ifndef TRYST_DEADLINE_H
#define TRYST_DEADLINE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/tick.h"

/* The struct of which `member` at address `p` is a part. */
#define CONTAINER(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

/*
 * One moment at which a function is due, embedded in the struct it is about. All of a context's
 * deadlines hang in one pairing heap, so that setting one never allocates and so never fails.
 * A zeroed struct is a deadline that is not set.
 */
struct deadline {
    tick when;
    void (*fn)(struct deadline *d);
    bool set;
    struct deadline *child;
    struct deadline *next; /* sibling */
    struct deadline *back; /* previous sibling, or the parent for a first child */
};

struct deadlines {
    struct deadline *first; /* the earliest, NULL if none is set */
};

/* Sets or moves; TICK_NEVER clears. */
void deadline_set(struct deadlines *all, struct deadline *d, tick when);
void deadline_clear(struct deadlines *all, struct deadline *d);
/* When the earliest is due; TICK_NEVER if there is none. */
tick deadline_first(const struct deadlines *all);
/* Removes and returns the earliest if it is due by `now`, else NULL. */
struct deadline *deadline_pop(struct deadlines *all, tick now);

#endif
