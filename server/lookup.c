/* SPDX-License-Identifier: ISC */
#include "lookup.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void lookup_init(struct lookup *l, const uint8_t hash_key[16], lookup_match match, const void *user)
{
    memset(l, 0, sizeof(*l));
    memcpy(l->hash_key, hash_key, sizeof(l->hash_key));
    l->match = match;
    l->user = user;
}

void lookup_destroy(struct lookup *l)
{
    free(l->entries);
    sodium_memzero(l, sizeof(*l));
}

static uint32_t hash_of(const struct lookup *l, const void *key, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint32_t hash;
    crypto_shorthash(out, key, len, l->hash_key);
    memcpy(&hash, out, sizeof(hash));
    return hash;
}

/* Where the key is, or the empty entry where it would go. The table is never full. */
static uint32_t probe(const struct lookup *l, uint32_t hash, const void *key, size_t len)
{
    uint32_t mask = l->capacity - 1;
    uint32_t at = hash & mask;
    while (l->entries[at].value) {
        const struct lookup_entry *e = &l->entries[at];
        if (e->hash == hash && l->match(l->user, e->value - 1, key, len))
            break;
        at = (at + 1) & mask;
    }
    return at;
}

uint32_t lookup_find(const struct lookup *l, const void *key, size_t len)
{
    if (!l->count)
        return LOOKUP_NONE;
    uint32_t value = l->entries[probe(l, hash_of(l, key, len), key, len)].value;
    return value ? value - 1 : LOOKUP_NONE;
}

static void place(struct lookup_entry *entries, uint32_t capacity, struct lookup_entry e)
{
    uint32_t at = e.hash & (capacity - 1);
    while (entries[at].value)
        at = (at + 1) & (capacity - 1);
    entries[at] = e;
}

static bool grow(struct lookup *l)
{
    uint32_t capacity = l->capacity ? l->capacity * 2 : 64;
    struct lookup_entry *entries = calloc(capacity, sizeof(*entries));
    if (!entries)
        return false;
    for (uint32_t i = 0; i < l->capacity; i++)
        if (l->entries[i].value)
            place(entries, capacity, l->entries[i]);
    free(l->entries);
    l->entries = entries;
    l->capacity = capacity;
    return true;
}

bool lookup_add(struct lookup *l, const void *key, size_t len, uint32_t index)
{
    /* At most three quarters full, so that probing stays short. */
    if ((l->count + 1) * 4 > l->capacity * 3 && !grow(l))
        return false;
    place(l->entries, l->capacity, (struct lookup_entry){hash_of(l, key, len), index + 1});
    l->count++;
    return true;
}

void lookup_remove(struct lookup *l, const void *key, size_t len)
{
    if (!l->count)
        return;
    uint32_t mask = l->capacity - 1;
    uint32_t hole = probe(l, hash_of(l, key, len), key, len);
    if (!l->entries[hole].value)
        return;
    /* Close the gap, so that no tombstones are needed: pull back what probing would no longer
     * reach. */
    for (uint32_t at = (hole + 1) & mask; l->entries[at].value; at = (at + 1) & mask) {
        uint32_t home = l->entries[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            l->entries[hole] = l->entries[at];
            hole = at;
        }
    }
    l->entries[hole].value = 0;
    l->count--;
}

size_t lookup_memory(const struct lookup *l)
{
    return (size_t)l->capacity * sizeof(*l->entries);
}
