/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "natbox_hash.h"

#include <stdlib.h>

bool natbox_hash_init(struct natbox_hash *h)
{
    h->mask = 1023;
    h->used = 0;
    h->buckets = calloc(h->mask + 1, sizeof(struct natbox_hash_node *));
    return h->buckets != NULL;
}

void natbox_hash_free(struct natbox_hash *h)
{
    free(h->buckets);
    h->buckets = NULL;
}

/* Append, so that a doubled table keeps "newest first" within a chain. */
static void append(struct natbox_hash_node **slot, struct natbox_hash_node *n)
{
    while (*slot != NULL)
        slot = &(*slot)->next;
    n->next = NULL;
    *slot = n;
}

/* Without memory for a bigger one the table stays correct, only slower. */
static void grow(struct natbox_hash *h)
{
    size_t mask = h->mask * 2 + 1;
    struct natbox_hash_node **buckets;
    size_t i;

    buckets = calloc(mask + 1, sizeof(struct natbox_hash_node *));
    if (buckets == NULL)
        return;
    for (i = 0; i <= h->mask; i++) {
        struct natbox_hash_node *n = h->buckets[i];

        while (n != NULL) {
            struct natbox_hash_node *next = n->next;

            append(&buckets[n->hash & mask], n);
            n = next;
        }
    }
    free(h->buckets);
    h->buckets = buckets;
    h->mask = mask;
}

void natbox_hash_add(struct natbox_hash *h, struct natbox_hash_node *n, uint64_t hash)
{
    struct natbox_hash_node **slot;

    if (h->used > h->mask)
        grow(h);
    slot = &h->buckets[hash & h->mask];
    n->hash = hash;
    n->next = *slot;
    *slot = n;
    h->used++;
}

void natbox_hash_remove(struct natbox_hash *h, struct natbox_hash_node *n)
{
    struct natbox_hash_node **slot = &h->buckets[n->hash & h->mask];

    while (*slot != n)
        slot = &(*slot)->next;
    *slot = n->next;
    h->used--;
}

static struct natbox_hash_node *same_hash(struct natbox_hash_node *n, uint64_t hash)
{
    while (n != NULL && n->hash != hash)
        n = n->next;
    return n;
}

struct natbox_hash_node *natbox_hash_first(const struct natbox_hash *h, uint64_t hash)
{
    return same_hash(h->buckets[hash & h->mask], hash);
}

struct natbox_hash_node *natbox_hash_next(const struct natbox_hash_node *n)
{
    return same_hash(n->next, n->hash);
}

uint64_t natbox_hash_mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * 0x9e3779b97f4a7c15U ^ (b + 0x7f4a7c15U);

    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93U;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93U;
    return x ^ (x >> 32);
}
