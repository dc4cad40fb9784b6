/* SPDX-License-Identifier: ISC */
#ifndef TRYST_LOOKUP_H
#define TRYST_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A hash index from byte strings to slab slots: eight bytes an entry, keyed hash (SipHash), because
 * strangers choose the keys. The strings themselves live in the slots; `match` compares one with
 * what is looked for.
 */
typedef bool (*lookup_match)(const void *user, uint32_t index, const void *key, size_t len);

struct lookup_entry {
    uint32_t hash;
    uint32_t value; /* slot index + 1; 0: empty */
};

struct lookup {
    struct lookup_entry *entries;
    uint32_t capacity; /* power of two, or 0 */
    uint32_t count;
    uint8_t hash_key[16];
    lookup_match match;
    const void *user;
};

#define LOOKUP_NONE UINT32_MAX

void lookup_init(struct lookup *l, const uint8_t hash_key[16], lookup_match match,
                 const void *user);
void lookup_destroy(struct lookup *l);
/* The slot index under this key, or LOOKUP_NONE. */
uint32_t lookup_find(const struct lookup *l, const void *key, size_t len);
/* The key must not be there yet. Returns false without memory. */
bool lookup_add(struct lookup *l, const void *key, size_t len, uint32_t index);
/* Must run while the slot still holds its key. Does nothing if it is not there. */
void lookup_remove(struct lookup *l, const void *key, size_t len);
size_t lookup_memory(const struct lookup *l);

#endif
