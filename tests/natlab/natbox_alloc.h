/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/*
 * How the NAT picks public endpoints: the allocation policy, the pool of
 * public addresses, the inside hosts and what each of them holds, and the
 * other subscribers who take ports meanwhile. Pure: time is an argument,
 * in nanoseconds, and randomness is seeded.
 */
#ifndef NATBOX_ALLOC_H
#define NATBOX_ALLOC_H

#include "natbox_hash.h"
#include "natbox_packet.h"
#include "natbox_random.h"

#define NATBOX_ALLOC_PUBLIC_MAX 16u

enum natbox_alloc_policy {
    NATBOX_ALLOC_PRESERVE,
    NATBOX_ALLOC_OFFSET,
    NATBOX_ALLOC_COUNTER,
    NATBOX_ALLOC_BLOCK,      /* one block, low to high, for all hosts */
    NATBOX_ALLOC_BLOCK_EACH, /* a block of its own for every host */
    NATBOX_ALLOC_RANDOM,
};

/* One inside host; it stays known until the end. */
struct natbox_host {
    struct natbox_hash_node node;
    struct natbox_host *next; /* in order of appearance */
    uint32_t addr;
    unsigned paired;                         /* which public address is its own */
    uint16_t block[NATBOX_ALLOC_PUBLIC_MAX]; /* lowest port; 0: none */
    size_t used, peak;                       /* mappings */
};

struct natbox_alloc_public {
    uint32_t addr;
    uint32_t next;     /* the counter, counted from the low port */
    uint64_t *foreign; /* per port: taken by others until then */
    uint8_t *block_taken;
    size_t blocks_left;
};

struct natbox_alloc {
    enum natbox_alloc_policy policy;
    int32_t step;   /* offset, or delta */
    uint16_t start; /* of the counter; 0: anywhere */
    uint16_t block_low, block_high;
    uint16_t block_size;
    uint16_t low, high;  /* --ports */
    bool arbitrary;      /* pooling */
    double foreign_rate; /* allocations per second and address */
    unsigned publics;
    struct natbox_alloc_public public[NATBOX_ALLOC_PUBLIC_MAX];
    struct natbox_random random;

    struct natbox_hash hosts;
    struct natbox_host *first_host, **host_tail;
    unsigned host_count;
    uint64_t foreign_hold; /* how long others keep a port */
    uint64_t foreign_seen; /* up to when they were played */
};

/* The fields above the empty line are the caller's to set first. */
bool natbox_alloc_init(struct natbox_alloc *a, uint64_t now);
void natbox_alloc_free(struct natbox_alloc *a);

/* The host's record, made at first sight; NULL when there are too many. */
struct natbox_host *natbox_alloc_host(struct natbox_alloc *a, uint32_t addr);

bool natbox_alloc_is_public(const struct natbox_alloc *a, uint32_t addr);

/* Is this endpoint free as far as the NAT's own mappings go? */
typedef bool natbox_alloc_free_fn(void *ctx, struct natbox_endpoint e);

/* False when every port that the policy allows is taken. */
bool natbox_alloc_pick(struct natbox_alloc *a, struct natbox_host *h, uint16_t inside_port,
                       uint64_t now, natbox_alloc_free_fn *is_free, void *ctx,
                       struct natbox_endpoint *out);

#endif
