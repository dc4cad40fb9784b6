/* SPDX-License-Identifier: ISC */
#ifndef TRYST_NET_HANDSHAKE_H
#define TRYST_NET_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/noise.h"
#include "proto/tick.h"
#include "slab.h"

/*
 * Diffie-Hellman off the loop: a pool of threads that share no state with it. A job goes in by
 * value, its result comes back by value, through two bounded queues.
 */
#define HANDSHAKE_MESSAGE_1 NOISE_IK_1_OVERHEAD
#define HANDSHAKE_MESSAGE_2 NOISE_IK_2_OVERHEAD

struct handshake_job {
    struct ref conn; /* comes back untouched */
    tick put;        /* when it was handed in; comes back too */
    uint8_t message[HANDSHAKE_MESSAGE_1];
};

struct handshake_result {
    struct ref conn;
    tick put;
    bool genuine;
    uint8_t key; /* which of the server's it was made with */
    uint8_t peer[KEY_SIZE];
    uint8_t answer[HANDSHAKE_MESSAGE_2];
    struct noise_cipher send, receive;
};

struct net_handshake;

/*
 * The first of the server's keys is the present one; whoever knows only an older one is let in by
 * that. `threads` 0: one per processor. `wake` is called from the threads when results wait. NULL
 * without threads or memory.
 */
#define HANDSHAKE_KEYS_MAX 2
struct net_handshake *net_handshake_start(const struct key_pair *server_keys, unsigned count,
                                          unsigned threads, unsigned queue,
                                          void (*wake)(void *user), void *user);
/* False: the queue is full, try later or refuse. */
bool net_handshake_put(struct net_handshake *pool, const struct handshake_job *job);
/* Takes one result; false when there is none. The caller wipes it after use. */
bool net_handshake_take(struct net_handshake *pool, struct handshake_result *out);
/* Jobs that wait for a thread. */
unsigned net_handshake_waiting(struct net_handshake *pool);
/* How many the pool makes in a second, as far as it has shown; an estimate on the safe side before.
 */
double net_handshake_rate(struct net_handshake *pool);
void net_handshake_stop(struct net_handshake *pool);

/* The pure function behind it: one job to one result. */
void net_handshake_run(const struct key_pair *server_keys, unsigned count, const struct rng *rng,
                       const struct handshake_job *job, struct handshake_result *out);

#endif
