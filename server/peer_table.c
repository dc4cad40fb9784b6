/* SPDX-License-Identifier: ISC */
#include "peer_table.h"

#include <stdlib.h>
#include <string.h>

#include "net_limit.h"

/* Family and address without the padding and port behind them. */
#define ADDRESS_KEY_SIZE 17
/* NATs outlive their peers' channels, so that what was learnt is there when they come back. */
#define NATS_MAX  2000000u
#define PEERS_MAX 4000000u
/* Of so many NATs, if they can be found among so many slots, the oldest is forgotten. */
#define FORGET_AMONG 32u
#define FORGET_LOOK  4096u

static bool match_key(const void *user, uint32_t index, const void *key, size_t len)
{
    const struct peer *p = slab_at(user, index);
    return p && memcmp(p->key, key, len) == 0;
}

static bool match_name(const void *user, uint32_t index, const void *key, size_t len)
{
    const struct peer *p = slab_at(user, index);
    return p && p->name && strlen(p->name) == len && memcmp(p->name, key, len) == 0;
}

static bool match_address(const void *user, uint32_t index, const void *key, size_t len)
{
    const struct nat *n = slab_at(user, index);
    return n && memcmp(&n->address, key, len) == 0;
}

void peer_table_init(struct peer_table *t, const uint8_t hash_key[16], uint32_t most_channels)
{
    memset(t, 0, sizeof(*t));
    slab_init(&t->peers, sizeof(struct peer), PEERS_MAX);
    slab_init(&t->channels, sizeof(struct channel), most_channels);
    slab_init(&t->nats, sizeof(struct nat), NATS_MAX);
    lookup_init(&t->by_key, hash_key, match_key, &t->peers);
    lookup_init(&t->by_name, hash_key, match_name, &t->peers);
    lookup_init(&t->by_address, hash_key, match_address, &t->nats);
}

void peer_table_destroy(struct peer_table *t)
{
    for (uint32_t i = 0; i < slab_end(&t->channels); i++) {
        struct channel *c = slab_at(&t->channels, i);
        if (c)
            free(c->agent);
    }
    for (uint32_t i = 0; i < slab_end(&t->peers); i++) {
        struct peer *p = slab_at(&t->peers, i);
        if (p)
            free(p->name);
    }
    lookup_destroy(&t->by_key);
    lookup_destroy(&t->by_name);
    lookup_destroy(&t->by_address);
    slab_destroy(&t->peers);
    slab_destroy(&t->channels);
    slab_destroy(&t->nats);
}

/* ---- peers ---- */

struct peer *peer_by_key(const struct peer_table *t, const uint8_t key[KEY_SIZE])
{
    uint32_t index = lookup_find(&t->by_key, key, KEY_SIZE);
    return index == LOOKUP_NONE ? NULL : slab_at(&t->peers, index);
}

struct peer *peer_by_name(const struct peer_table *t, const char *name)
{
    uint32_t index = lookup_find(&t->by_name, name, strlen(name));
    return index == LOOKUP_NONE ? NULL : slab_at(&t->peers, index);
}

struct peer *peer_find(const struct peer_table *t, const char *text)
{
    uint8_t key[KEY_SIZE];
    char name[PEER_NAME_SIZE];
    if (key_parse(text, key) == 0)
        return peer_by_key(t, key);
    return peer_name_parse(text, name) == 0 ? peer_by_name(t, name) : NULL;
}

struct peer *peer_add(struct peer_table *t, const uint8_t key[KEY_SIZE])
{
    struct peer *p = slab_take(&t->peers);
    if (!p)
        return NULL;
    memcpy(p->key, key, KEY_SIZE);
    if (!lookup_add(&t->by_key, key, KEY_SIZE, p->slot.self.index)) {
        slab_release(&t->peers, p);
        return NULL;
    }
    return p;
}

void peer_clear_name(struct peer_table *t, struct peer *p)
{
    if (p->name)
        lookup_remove(&t->by_name, p->name, strlen(p->name));
    free(p->name);
    p->name = NULL;
}

bool peer_set_name(struct peer_table *t, struct peer *p, const char *name)
{
    if (p->name && strcmp(p->name, name) == 0)
        return true;
    char *copy = strdup(name);
    if (!copy)
        return false;
    peer_clear_name(t, p);
    p->name = copy;
    return lookup_add(&t->by_name, copy, strlen(copy), p->slot.self.index);
}

const char *peer_name(const struct peer *p)
{
    return p->name ? p->name : "";
}

/* ---- channels ---- */

struct channel *channel_add(struct peer_table *t, struct peer *p)
{
    struct channel *c = slab_take(&t->channels);
    if (!c)
        return NULL;
    c->peer = p->slot.self;
    clock_estimate_init(&c->clock);
    p->channels++;
    return c;
}

void channel_remove(struct peer_table *t, struct channel *c)
{
    struct peer *p = slab_get(&t->peers, c->peer);
    if (p) {
        p->channels--;
        if (ref_equal(p->listener, c->slot.self))
            p->listener = REF_NONE;
    }
    if (c->listening)
        t->listening--;
    for (unsigned f = 0; f < FAMILY_COUNT; f++) {
        struct nat *n = channel_nat(t, c, f);
        if (n)
            n->channels--;
    }
    free(c->agent);
    slab_release(&t->channels, c);
}

struct channel *peer_listener(const struct peer_table *t, const struct peer *p)
{
    return slab_get(&t->channels, p->listener);
}

/* ---- NATs ---- */

/* What nothing was ever learnt of goes first. */
static bool older(const struct nat *a, const struct nat *b)
{
    if (a->profile.learnt == TICK_NEVER)
        return b->profile.learnt != TICK_NEVER;
    return b->profile.learnt != TICK_NEVER && a->profile.learnt < b->profile.learnt;
}

static struct nat *dispensable_nat(struct peer_table *t)
{
    struct nat *oldest = NULL;
    unsigned found = 0;
    uint32_t end = slab_end(&t->nats);
    for (uint32_t i = 0; i < end && i < FORGET_LOOK && found < FORGET_AMONG; i++) {
        struct nat *n = slab_at(&t->nats, t->nat_hand++ % end);
        if (!n || n->channels || n->probing)
            continue;
        found++;
        if (!oldest || older(n, oldest))
            oldest = n;
    }
    return oldest;
}

/* A new slot, if need be that of another NAT. */
static struct nat *take_nat(struct peer_table *t)
{
    struct nat *n = slab_take(&t->nats), *gone = n ? NULL : dispensable_nat(t);
    if (n)
        return n;
    if (t->full)
        t->full(t->user);
    if (!gone)
        return NULL;
    lookup_remove(&t->by_address, &gone->address, ADDRESS_KEY_SIZE);
    slab_release(&t->nats, gone);
    return slab_take(&t->nats);
}

struct nat *nat_find(struct peer_table *t, const struct endpoint *address, bool make)
{
    struct endpoint block = net_limit_block(address);
    uint32_t index = lookup_find(&t->by_address, &block, ADDRESS_KEY_SIZE);
    if (index != LOOKUP_NONE || !make)
        return index == LOOKUP_NONE ? NULL : slab_at(&t->nats, index);
    struct nat *n = take_nat(t);
    if (!n)
        return NULL;
    n->address = block;
    profile_init(&n->profile);
    if (!lookup_add(&t->by_address, &block, ADDRESS_KEY_SIZE, n->slot.self.index)) {
        slab_release(&t->nats, n);
        return NULL;
    }
    return n;
}

struct nat *channel_nat(const struct peer_table *t, const struct channel *c, unsigned family)
{
    return slab_get(&t->nats, c->nat[family]);
}

struct nat *channel_set_observed(struct peer_table *t, struct channel *c,
                                 const struct endpoint *observed)
{
    unsigned f = family_index(observed);
    struct nat *before = channel_nat(t, c, f);
    struct nat *n = nat_find(t, observed, true);
    if (before)
        before->channels--;
    c->observed[f] = *observed;
    c->nat[f] = n ? n->slot.self : REF_NONE;
    if (n)
        n->channels++;
    return n;
}

size_t peer_table_memory(const struct peer_table *t)
{
    return slab_memory(&t->peers) + slab_memory(&t->channels) + slab_memory(&t->nats) +
           lookup_memory(&t->by_key) + lookup_memory(&t->by_name) + lookup_memory(&t->by_address);
}
