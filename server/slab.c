/* SPDX-License-Identifier: ISC */
#include "slab.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 256u

void slab_init(struct slab *s, size_t item_size, uint32_t most)
{
    memset(s, 0, sizeof(*s));
    s->item_size = item_size;
    s->most = most;
}

void slab_destroy(struct slab *s)
{
    for (uint32_t i = 0; i < s->chunk_count; i++)
        free(s->chunks[i]);
    free(s->chunks);
    memset(s, 0, sizeof(*s));
}

static struct slot *slot_at(const struct slab *s, uint32_t index)
{
    return (struct slot *)(void *)(s->chunks[index / CHUNK] +
                                   (size_t)(index % CHUNK) * s->item_size);
}

static bool in_use(const struct slot *slot)
{
    return slot->self.generation % 2 == 1;
}

static bool add_chunk(struct slab *s)
{
    uint8_t **chunks = realloc(s->chunks, (s->chunk_count + 1) * sizeof(*chunks));
    if (!chunks)
        return false;
    s->chunks = chunks;
    uint8_t *chunk = calloc(CHUNK, s->item_size);
    if (!chunk)
        return false;
    s->chunks[s->chunk_count++] = chunk;
    for (uint32_t i = CHUNK; i-- > 0;) {
        uint32_t index = (s->chunk_count - 1) * CHUNK + i;
        slot_at(s, index)->self.index = s->free_head;
        s->free_head = index + 1;
    }
    return true;
}

void *slab_take(struct slab *s)
{
    if (s->used >= s->most || (!s->free_head && !add_chunk(s)))
        return NULL;
    uint32_t index = s->free_head - 1;
    struct slot *slot = slot_at(s, index);
    uint32_t generation = slot->self.generation + 1;
    s->free_head = slot->self.index;
    memset(slot, 0, s->item_size);
    slot->self = (struct ref){index, generation};
    s->used++;
    return slot;
}

void slab_release(struct slab *s, void *item)
{
    struct slot *slot = item;
    struct ref self = slot->self;
    memset(slot, 0, s->item_size); /* slots hold keys */
    slot->self = (struct ref){s->free_head, self.generation + 1};
    s->free_head = self.index + 1;
    s->used--;
}

void *slab_get(const struct slab *s, struct ref r)
{
    if (ref_is_none(r) || r.index >= slab_end(s))
        return NULL;
    struct slot *slot = slot_at(s, r.index);
    return in_use(slot) && slot->self.generation == r.generation ? slot : NULL;
}

void *slab_at(const struct slab *s, uint32_t index)
{
    if (index >= slab_end(s))
        return NULL;
    struct slot *slot = slot_at(s, index);
    return in_use(slot) ? slot : NULL;
}

uint32_t slab_end(const struct slab *s)
{
    return s->chunk_count * CHUNK;
}

size_t slab_memory(const struct slab *s)
{
    return (size_t)s->chunk_count * (CHUNK * s->item_size + sizeof(*s->chunks));
}
