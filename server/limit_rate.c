/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "limit_rate.h"

#include <string.h>

/* Slots that are looked at for each new bucket: more than one, so that the table cannot outgrow
 * what is in use. */
#define SWEEP 2
/* The same where the table is full. */
#define SWEEP_FULL 64

/*
 * A bucket as the generic cell rate algorithm keeps it: not the tokens, but when it will be full
 * again. A token taken puts that off by the time that one token takes to come back.
 */
struct bucket {
    struct slot slot;
    struct limit_rate_key key;
    tick full_at;
};

static bool match(const void *user, uint32_t index, const void *key, size_t len)
{
    const struct bucket *b = slab_at(user, index);

    return b && memcmp(b->key.bytes, key, len) == 0;
}

void limit_rate_init(struct limit_rate *r, const uint8_t hash_key[16], uint32_t most, tick period)
{
    memset(r, 0, sizeof(*r));
    slab_init(&r->buckets, sizeof(struct bucket), most);
    lookup_init(&r->by_key, hash_key, match, &r->buckets);
    r->count = 1;
    r->period = period;
}

void limit_rate_destroy(struct limit_rate *r)
{
    lookup_destroy(&r->by_key);
    slab_destroy(&r->buckets);
}

struct limit_rate_key limit_rate_of_key(const uint8_t key[KEY_SIZE])
{
    struct limit_rate_key k;

    memcpy(k.bytes, key, KEY_SIZE);
    return k;
}

struct limit_rate_key limit_rate_of_address(const struct endpoint *e, enum net_scope scope)
{
    struct endpoint block = net_limit_scope(e, scope);
    struct limit_rate_key k = {{0}};

    k.bytes[0] = block.family;
    k.bytes[1] = (uint8_t)scope;
    memcpy(k.bytes + 2, block.address, sizeof(block.address));
    return k;
}

static struct bucket *find(const struct limit_rate *r, const struct limit_rate_key *key)
{
    uint32_t index = lookup_find(&r->by_key, key->bytes, KEY_SIZE);

    return index == LOOKUP_NONE ? NULL : slab_at(&r->buckets, index);
}

static void sweep(struct limit_rate *r, unsigned slots, tick now)
{
    uint32_t end = slab_end(&r->buckets);

    if (end == 0)
        return;
    for (; slots > 0; slots--) {
        struct bucket *b = slab_at(&r->buckets, r->swept++ % end);
        if (!b || b->full_at > now)
            continue;
        lookup_remove(&r->by_key, b->key.bytes, KEY_SIZE);
        slab_release(&r->buckets, b);
    }
}

static struct bucket *add(struct limit_rate *r, const struct limit_rate_key *key, tick now)
{
    sweep(r, r->buckets.used < r->buckets.most ? SWEEP : SWEEP_FULL, now);
    struct bucket *b = slab_take(&r->buckets);
    if (!b)
        return NULL;
    b->key = *key;
    if (lookup_add(&r->by_key, key->bytes, KEY_SIZE, b->slot.self.index))
        return b;
    slab_release(&r->buckets, b);
    return NULL;
}

/* When the bucket will be full again once one more token is out of it. */
static tick full_after(const struct limit_rate *r, const struct bucket *b, uint32_t share, tick now)
{
    tick each = r->period / ((tick)r->count * share);

    return (b ? tick_max(b->full_at, now) : now) + each;
}

static tick wait_for(const struct limit_rate *r, const struct bucket *b, uint32_t share, tick now)
{
    return tick_max(full_after(r, b, share, now) - now - r->period, 0);
}

tick limit_rate_take(struct limit_rate *r, const struct limit_rate_key *key, uint32_t share,
                     tick now)
{
    struct bucket *b = find(r, key);
    tick wait = wait_for(r, b, share, now);

    if (wait > 0)
        return wait;
    if (!b && !(b = add(r, key, now)))
        return TICK_NEVER;
    b->full_at = full_after(r, b, share, now);
    return 0;
}

tick limit_rate_take_address(struct limit_rate *r, const struct endpoint *e, tick now,
                             enum net_scope *scope)
{
    struct limit_rate_key prefix = limit_rate_of_address(e, NET_SCOPE_PREFIX);
    struct limit_rate_key address = limit_rate_of_address(e, NET_SCOPE_ADDRESS);
    tick wait = wait_for(r, find(r, &prefix), NET_PREFIX_SHARE, now);

    *scope = NET_SCOPE_PREFIX;
    if (wait > 0)
        return wait;
    *scope = NET_SCOPE_ADDRESS;
    wait = limit_rate_take(r, &address, 1, now);
    if (wait > 0)
        return wait;
    *scope = NET_SCOPE_PREFIX;
    return limit_rate_take(r, &prefix, NET_PREFIX_SHARE, now);
}

size_t limit_rate_memory(const struct limit_rate *r)
{
    return slab_memory(&r->buckets) + lookup_memory(&r->by_key);
}
