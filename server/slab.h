/* SPDX-License-Identifier: ISC */
#ifndef TRYST_SLAB_H
#define TRYST_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Slots of one size, addressed by index and generation. A reference kept by somebody else goes
 * stale when its slot is freed, and is then simply not found: nobody holds a pointer across
 * wake-ups of the loop. Slots never move (they come in chunks), so that event watchers may be
 * embedded in them.
 */
struct ref {
    uint32_t index;
    uint32_t generation; /* 0: refers to nothing */
};

#define REF_NONE ((struct ref){0, 0})

static inline bool ref_is_none(struct ref r)
{
    return r.generation == 0;
}

static inline bool ref_equal(struct ref a, struct ref b)
{
    return a.index == b.index && a.generation == b.generation;
}

/* Must be the first member of every slot type. */
struct slot {
    struct ref self; /* generation odd: in use; even: free, and index + 1 of the next free one */
};

struct slab {
    size_t item_size;
    uint8_t **chunks;
    uint32_t chunk_count;
    uint32_t free_head; /* index + 1, 0: none */
    uint32_t used;
    uint32_t most; /* never more slots than this */
};

void slab_init(struct slab *s, size_t item_size, uint32_t most);
/* Frees all memory; whatever the slots own is the caller's to release first. */
void slab_destroy(struct slab *s);
/* A zeroed slot with its header filled in, or NULL: no memory, or `most` slots are in use. */
void *slab_take(struct slab *s);
void slab_release(struct slab *s, void *item);
/* The slot, or NULL when the reference is stale. */
void *slab_get(const struct slab *s, struct ref r);
/* The slot at an index, or NULL when it is not in use; for walking from 0 to slab_end(). */
void *slab_at(const struct slab *s, uint32_t index);
uint32_t slab_end(const struct slab *s);
size_t slab_memory(const struct slab *s);

#endif
