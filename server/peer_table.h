/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PEER_TABLE_H
#define TRYST_PEER_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "account.h"
#include "lookup.h"
#include "predict_block.h"
#include "proto/endpoint.h"
#include "proto/key.h"
#include "schedule_clock.h"
#include "slab.h"
#include "store.h"

/* The families stand at fixed places: 0 for IPv4, 1 for IPv6. */
enum { FAMILY_4, FAMILY_6, FAMILY_COUNT };

/*
 * Who is known (peers), who is here (channels), and the NATs they sit behind. Pure tables: no I/O,
 * no clock.
 *
 * A peer is an identity. It may have several channels: at most one that listens, which is where its
 * invitations go, and others that only ask for sessions of their own (a `tryst connect` beside a
 * `tryst listen` under the same key).
 */
/*
 * When something was done last that is not done again for a while: in whole seconds, rounded up so
 * that no pause is cut short; 0: never. In half the room of a tick, as every idle peer has several.
 */
typedef uint32_t mark;

static inline mark mark_at(tick now)
{
    return (mark)(now / TICK_S + 1);
}

static inline bool mark_within(mark last, tick now, tick span)
{
    return last && now - last * TICK_S < span;
}

struct peer {
    struct slot slot;
    uint8_t key[KEY_SIZE];
    char *name; /* owned; NULL: none */
    struct ref listener;
    struct account syns[FAMILY_COUNT]; /* that surveys and sessions had it send */
    struct port_block block;           /* its own, on the NAT that it was seen on last */
    struct ref block_nat;
    stamp first_seen, last_seen;
    mark filter_tested[FAMILY_COUNT];
    uint32_t requested; /* sessions under way that it asked for */
    uint16_t channels;
    bool member;     /* may come back where registration takes an invite */
    bool registered; /* has registered at least once, and that is on its way to the store */
};

static inline unsigned family_index(const struct endpoint *e)
{
    return e->family == 6 ? FAMILY_6 : FAMILY_4;
}

/* One control channel of one peer. */
struct channel {
    struct slot slot;
    struct ref conn;
    struct ref peer;
    struct ref survey;                      /* the one under way, if any */
    struct ref check;                       /* the question that waits for its answer, if any */
    struct ref nat[FAMILY_COUNT];           /* of its public addresses */
    struct endpoint observed[FAMILY_COUNT]; /* public; none until seen */
    struct endpoint local[FAMILY_COUNT];    /* own, as it says */
    struct clock_estimate clock;
    tick sync_sent; /* the SYNC that waits for its answer; 0: none */
    stamp since;
    char *agent;          /* owned; NULL: none */
    struct ref lent;      /* the last session that punched from its port */
    uint32_t sessions;    /* under way, on either side */
    mark checked;         /* when CHECK was last taken */
    uint16_t surveys;     /* made so far; may wrap */
    uint8_t family;       /* index, of the channel itself */
    uint8_t samples;      /* of the clock, at the beginning */
    bool listening;
    bool surveyed;
    bool control_port; /* can be punched from */
};

struct nat {
    struct slot slot;
    struct endpoint address; /* net_limit_block() of it */
    uint32_t channels;       /* that come from it now */
    struct profile profile;
    struct account syns;    /* that surveys and sessions had its peers send */
    struct ref filter_test; /* the last one, if it is still remembered */
    struct ref witness;     /* the channel that last told its clock from here */
    mark filter_tested;
    mark crossed; /* when simultaneous open was tried, first of `crossings` times */
    mark doubled; /* when a second NAT was seen behind it */
    mark checked; /* when it was surveyed for a check */
    mark probed;  /* when its refusal was tried out */
    uint8_t crossings;
    uint8_t pool_addresses, pool_draws; /* public addresses seen, of so many connections */
    bool probing;                       /* that is under way */
};

struct peer_table {
    struct slab peers, channels, nats;
    struct lookup by_key, by_name, by_address;
    uint32_t listening;
    uint32_t nat_hand; /* the slot that the next search for a NAT to forget begins at */
    /* A NAT was forgotten to make room (it is in the store), or could not be made. May be NULL. */
    void (*full)(void *user);
    void *user;
};

void peer_table_init(struct peer_table *t, const uint8_t hash_key[16], uint32_t most_channels);
void peer_table_destroy(struct peer_table *t);

struct peer *peer_by_key(const struct peer_table *t, const uint8_t key[KEY_SIZE]);
struct peer *peer_by_name(const struct peer_table *t, const char *name);
/* By name or by key in base64. */
struct peer *peer_find(const struct peer_table *t, const char *text);
/* A new one, or NULL without memory. The key must not be in the table yet. */
struct peer *peer_add(struct peer_table *t, const uint8_t key[KEY_SIZE]);
/* Binds a name that nobody else has; replaces the peer's former one. False without memory. */
bool peer_set_name(struct peer_table *t, struct peer *p, const char *name);
/* It has no name any more. */
void peer_clear_name(struct peer_table *t, struct peer *p);
const char *peer_name(const struct peer *p);

struct channel *channel_add(struct peer_table *t, struct peer *p);
/* Undoes it: the peer no longer listens here, the NATs lose one. */
void channel_remove(struct peer_table *t, struct channel *c);
/* The channel that takes a peer's invitations, or NULL. */
struct channel *peer_listener(const struct peer_table *t, const struct peer *p);

/*
 * The NAT of an address (a /64 for IPv6); made if need be. NULL without memory. Where there are as
 * many as may be, one that no channel comes from is forgotten: of some dozens, the one that nothing
 * has been learnt of for the longest time. What has expired is always older than what has not.
 */
struct nat *nat_find(struct peer_table *t, const struct endpoint *address, bool make);
/* Sets where a channel comes from, in one family, and counts it there. */
struct nat *channel_set_observed(struct peer_table *t, struct channel *c,
                                 const struct endpoint *observed);
struct nat *channel_nat(const struct peer_table *t, const struct channel *c, unsigned family);

size_t peer_table_memory(const struct peer_table *t);

#endif
