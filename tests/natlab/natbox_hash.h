/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/*
 * An intrusive hash table: the node lives inside the thing it finds, so
 * that a mapping costs one allocation however many tables it is in.
 * Equal keys are allowed; the newest comes first.
 */
#ifndef NATBOX_HASH_H
#define NATBOX_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct natbox_hash_node {
    struct natbox_hash_node *next;
    uint64_t hash;
};

struct natbox_hash {
    struct natbox_hash_node **buckets;
    size_t mask;
    size_t used;
};

#define NATBOX_HASH_ENTRY(node, type, member)                                                      \
    ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* False when memory ran out. */
bool natbox_hash_init(struct natbox_hash *h);
void natbox_hash_free(struct natbox_hash *h);

void natbox_hash_add(struct natbox_hash *h, struct natbox_hash_node *n, uint64_t hash);
void natbox_hash_remove(struct natbox_hash *h, struct natbox_hash_node *n);

/* The first node with this hash, then the next; the caller compares keys. */
struct natbox_hash_node *natbox_hash_first(const struct natbox_hash *h, uint64_t hash);
struct natbox_hash_node *natbox_hash_next(const struct natbox_hash_node *n);

/* A well-mixed hash of two words. */
uint64_t natbox_hash_mix(uint64_t a, uint64_t b);

#endif
