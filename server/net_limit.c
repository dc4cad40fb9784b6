/* SPDX-License-Identifier: ISC */
#include "net_limit.h"

#include <string.h>

/* Family and address: what stands before the port, without padding. */
#define BLOCK_KEY_SIZE 17

struct count {
    struct slot slot;
    struct endpoint block;
    uint32_t n;
};

struct endpoint net_limit_block(const struct endpoint *e)
{
    struct endpoint block = *e;
    block.port = 0;
    if (block.family == 6)
        memset(block.address + 8, 0, 8);
    return block;
}

static bool match(const void *user, uint32_t index, const void *key, size_t len)
{
    const struct count *c = slab_at(user, index);
    (void)len;
    return c && endpoint_equal(&c->block, key);
}

void net_limit_init(struct net_limit *l, const uint8_t hash_key[16], uint32_t most)
{
    slab_init(&l->counts, sizeof(struct count), UINT32_MAX);
    lookup_init(&l->by_address, hash_key, match, &l->counts);
    l->most = most;
}

void net_limit_destroy(struct net_limit *l)
{
    lookup_destroy(&l->by_address);
    slab_destroy(&l->counts);
}

bool net_limit_take(struct net_limit *l, const struct endpoint *e)
{
    struct endpoint block = net_limit_block(e);
    uint32_t index = lookup_find(&l->by_address, &block, BLOCK_KEY_SIZE);
    struct count *c = index == LOOKUP_NONE ? NULL : slab_at(&l->counts, index);
    if (!c) {
        c = slab_take(&l->counts);
        if (!c)
            return false;
        c->block = block;
        if (!lookup_add(&l->by_address, &block, BLOCK_KEY_SIZE, c->slot.self.index)) {
            slab_release(&l->counts, c);
            return false;
        }
    }
    if (c->n >= l->most)
        return false;
    c->n++;
    return true;
}

void net_limit_give(struct net_limit *l, const struct endpoint *e)
{
    struct endpoint block = net_limit_block(e);
    uint32_t index = lookup_find(&l->by_address, &block, BLOCK_KEY_SIZE);
    struct count *c = index == LOOKUP_NONE ? NULL : slab_at(&l->counts, index);
    if (!c || --c->n)
        return;
    lookup_remove(&l->by_address, &block, BLOCK_KEY_SIZE);
    slab_release(&l->counts, c);
}
