/* SPDX-License-Identifier: ISC */
#ifndef TRYST_NET_LIMIT_H
#define TRYST_NET_LIMIT_H

#include "lookup.h"
#include "proto/endpoint.h"
#include "slab.h"

/* How many things each IPv4 address or IPv6 /64 has open. Pure. */
struct net_limit {
    struct slab counts;
    struct lookup by_address;
    uint32_t most;
};

void net_limit_init(struct net_limit *l, const uint8_t hash_key[16], uint32_t most);
void net_limit_destroy(struct net_limit *l);
/* Counts one more, or returns false: the limit is reached (or there is no memory), nothing was
 * counted. */
bool net_limit_take(struct net_limit *l, const struct endpoint *e);
/* Gives one back that net_limit_take() counted. */
void net_limit_give(struct net_limit *l, const struct endpoint *e);

/* What counts as one subscriber: the address, for IPv6 its /64. Everything else of *e is cleared.
 */
struct endpoint net_limit_block(const struct endpoint *e);

#endif
