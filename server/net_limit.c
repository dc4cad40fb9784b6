/* SPDX-License-Identifier: ISC */
#include "net_limit.h"

#include <string.h>

/* Family and address: what stands before the port, without padding. */
#define BLOCK_KEY_SIZE 17

struct count {
    struct slot slot;
    struct endpoint block;
    uint32_t open, strangers;
};

struct endpoint net_limit_scope(const struct endpoint *e, enum net_scope scope)
{
    /* Bytes of the address that name the block. */
    static const uint8_t kept[NET_SCOPES][2] = {
        [NET_SCOPE_ADDRESS] = {4, 8},
        [NET_SCOPE_PREFIX] = {3, 7},
    };
    struct endpoint block = *e;
    uint8_t bytes = kept[scope][e->family == 6];

    block.port = 0;
    memset(block.address + bytes, 0, sizeof(block.address) - bytes);
    return block;
}

struct endpoint net_limit_block(const struct endpoint *e)
{
    return net_limit_scope(e, NET_SCOPE_ADDRESS);
}

static bool match(const void *user, uint32_t index, const void *key, size_t len)
{
    const struct count *c = slab_at(user, index);
    (void)len;
    return c && endpoint_equal(&c->block, key);
}

void net_limit_init(struct net_limit *l, const uint8_t hash_key[16], enum net_scope scope,
                    uint32_t most, uint32_t most_strangers)
{
    slab_init(&l->counts, sizeof(struct count), UINT32_MAX);
    lookup_init(&l->by_block, hash_key, match, &l->counts);
    l->scope = scope;
    l->most = most;
    l->most_strangers = most_strangers;
}

void net_limit_destroy(struct net_limit *l)
{
    lookup_destroy(&l->by_block);
    slab_destroy(&l->counts);
}

static struct count *find(const struct net_limit *l, const struct endpoint *block)
{
    uint32_t index = lookup_find(&l->by_block, block, BLOCK_KEY_SIZE);
    return index == LOOKUP_NONE ? NULL : slab_at(&l->counts, index);
}

static struct count *add(struct net_limit *l, const struct endpoint *block)
{
    struct count *c = slab_take(&l->counts);
    if (!c)
        return NULL;
    c->block = *block;
    if (lookup_add(&l->by_block, block, BLOCK_KEY_SIZE, c->slot.self.index))
        return c;
    slab_release(&l->counts, c);
    return NULL;
}

enum net_limit_verdict net_limit_take(struct net_limit *l, const struct endpoint *e)
{
    struct endpoint block = net_limit_scope(e, l->scope);
    struct count *c = find(l, &block);
    if (c ? c->open >= l->most : !l->most)
        return NET_LIMIT_OPEN;
    if (c ? c->strangers >= l->most_strangers : !l->most_strangers)
        return NET_LIMIT_STRANGERS;
    if (!c && !(c = add(l, &block)))
        return NET_LIMIT_STRANGERS;
    c->open++;
    c->strangers++;
    return NET_LIMIT_TAKEN;
}

void net_limit_know(struct net_limit *l, const struct endpoint *e)
{
    struct endpoint block = net_limit_scope(e, l->scope);
    struct count *c = find(l, &block);
    if (c && c->strangers)
        c->strangers--;
}

void net_limit_give(struct net_limit *l, const struct endpoint *e, bool stranger)
{
    struct endpoint block = net_limit_scope(e, l->scope);
    struct count *c = find(l, &block);
    if (!c)
        return;
    if (stranger && c->strangers)
        c->strangers--;
    if (--c->open)
        return;
    lookup_remove(&l->by_block, &block, BLOCK_KEY_SIZE);
    slab_release(&l->counts, c);
}
