/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_LIMIT_RATE_H
#define TRYST_LIMIT_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "lookup.h"
#include "net_limit.h"
#include "proto/key.h"
#include "proto/tick.h"
#include "slab.h"

/*
 * How often something may be done under each key, address or prefix: a token bucket for each that
 * holds `count` tokens and fills within `period`. So `count` may come all at once, and never more
 * than twice as many within one period. A bucket that is full again is as good as none, and is
 * thrown away: the table empties itself. Pure.
 */
struct limit_rate {
    struct slab buckets;
    struct lookup by_key;
    uint32_t count; /* tokens */
    tick period;
    uint32_t swept; /* the slot to look at next for a bucket that is full again */
};

struct limit_rate_key {
    uint8_t bytes[KEY_SIZE];
};

/* `most` buckets at once; whoever would need one more is refused. */
void limit_rate_init(struct limit_rate *r, const uint8_t hash_key[16], uint32_t most, tick period);
void limit_rate_destroy(struct limit_rate *r);

struct limit_rate_key limit_rate_of_key(const uint8_t key[KEY_SIZE]);
struct limit_rate_key limit_rate_of_address(const struct endpoint *e, enum net_scope scope);

/*
 * Takes a token out of the bucket of `key`, which holds `share` times as many as others. Returns 0,
 * or how long it takes until there is one (TICK_NEVER: there is no room for another bucket).
 */
tick limit_rate_take(struct limit_rate *r, const struct limit_rate_key *key, uint32_t share,
                     tick now);
/*
 * A token for an address and one for the prefix that it is in. *scope says which of them refused.
 */
tick limit_rate_take_address(struct limit_rate *r, const struct endpoint *e, tick now,
                             enum net_scope *scope);
size_t limit_rate_memory(const struct limit_rate *r);

#endif
