/* SPDX-License-Identifier: ISC */
#ifndef TRYST_NET_LIMIT_H
#define TRYST_NET_LIMIT_H

#include "lookup.h"
#include "proto/endpoint.h"
#include "slab.h"

/*
 * Whose an address is. One subscriber has an IPv4 address or at least an IPv6 /64; one customer of
 * a provider may have an IPv6 /56 or an IPv4 /24.
 */
enum net_scope { NET_SCOPE_ADDRESS, NET_SCOPE_PREFIX, NET_SCOPES };

/* What a prefix may have, in multiples of what one address may. */
#define NET_PREFIX_SHARE 4

/* The block that an address belongs to; everything else of *e is cleared, the port too. */
struct endpoint net_limit_scope(const struct endpoint *e, enum net_scope scope);
/* What counts as one subscriber. */
struct endpoint net_limit_block(const struct endpoint *e);

/* How many connections each address or prefix has open, and how many of them are strangers' yet.
 * Pure. */
struct net_limit {
    struct slab counts;
    struct lookup by_block;
    enum net_scope scope;
    uint32_t most, most_strangers; /* may be changed at any time */
};

enum net_limit_verdict {
    NET_LIMIT_TAKEN,
    NET_LIMIT_OPEN,      /* there are `most` of them */
    NET_LIMIT_STRANGERS, /* there are `most_strangers` of them; or there is no memory */
};

void net_limit_init(struct net_limit *l, const uint8_t hash_key[16], enum net_scope scope,
                    uint32_t most, uint32_t most_strangers);
void net_limit_destroy(struct net_limit *l);
/* Counts one more, a stranger's; or nothing, and says why not. */
enum net_limit_verdict net_limit_take(struct net_limit *l, const struct endpoint *e);
/* One is a stranger's no longer. */
void net_limit_know(struct net_limit *l, const struct endpoint *e);
/* Gives one back that net_limit_take() counted. */
void net_limit_give(struct net_limit *l, const struct endpoint *e, bool stranger);

#endif
