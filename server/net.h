/* SPDX-License-Identifier: ISC */
#ifndef TRYST_NET_H
#define TRYST_NET_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"
#include "limit.h"
#include "loop.h"
#include "net_handshake.h"
#include "net_limit.h"
#include "proto/endpoint.h"
#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/noise.h"
#include "slab.h"

/*
 * Sockets. The net stage turns bytes into authenticated messages and back; what they mean is for
 * dispatch. It knows a connection in one of five states:
 *
 *     NEW --HELLO_CONTROL--> HANDSHAKE --result--> CHANNEL ---+
 *      |                                                      +--> CLOSING --> (gone)
 *      +--HELLO_OBSERVATION--> OBSERVATION -------------------+
 *
 * An idle connection owns no buffer: bytes are read into one scratch buffer that all share, and
 * only a frame cut in two, or a write that the kernel would not take, gets memory of its own until
 * it is whole.
 */
enum net_state { NET_NEW, NET_HANDSHAKE, NET_CHANNEL, NET_OBSERVATION, NET_CLOSING };

/* Why a connection ended; every accepted one is counted under exactly one of these. */
enum net_closing {
    NET_CLOSED_BY_PEER,
    NET_CLOSED_BY_US,
    NET_CLOSED_TIMEOUT,
    NET_CLOSED_ERROR,     /* the socket failed */
    NET_CLOSED_MALFORMED, /* bytes that are no protocol of ours */
    NET_CLOSED_FORGED,    /* did not authenticate */
    NET_CLOSED_SLOW,      /* does not read what we send */
    NET_CLOSED_BUSY,      /* a limit of ours */
    NET_CLOSED_BANNED,    /* from an address that is banned */
    NET_CLOSED_COUNT
};

struct net_buffer {
    uint32_t len, size;
    uint8_t bytes[];
};

/* What a channel needs and what the other states need share their room (net_conn_enter()). */
struct net_conn {
    struct slot slot;
    struct ref owner; /* what dispatch made of it */
    struct ev_io io;  /* and its socket */
    struct endpoint remote;
    uint8_t state;
    bool queued;            /* in one of net's deadline lists */
    bool stranger;          /* until dispatch knows it: has not registered or observed yet */
    struct net_buffer *in;  /* a frame that is not whole yet, or NULL */
    struct net_buffer *out; /* what the kernel would not take yet, or NULL */
    uint8_t peer[KEY_SIZE]; /* the key it has proven */
    union {
        struct { /* NET_CHANNEL */
            struct noise_cipher send, receive;
        };
        struct { /* all others */
            tick deadline;
            struct net_conn *before, *after; /* neighbours in the deadline list */
        };
    };
};

struct net_listener {
    struct ev_io io;
    struct net *net;
    int fd;
    bool handed; /* somebody else holds it too: what waits there is accepted later */
    struct endpoint local;
};

/* A list of connections that all get the same time, so the oldest is the next to run out: one timer
 * serves all. */
struct net_waiting {
    struct net_conn *first, *last;
    tick span;
};

/*
 * Channels that have not registered: a channel has no room for a deadline of its own, so these
 * stand in a ring, oldest first, and go when their time is up unless they are known by then.
 */
struct net_pending {
    struct net_deadline {
        struct ref conn;
        tick at;
    } * ring;
    uint32_t head, count, size;
};

#define NET_LISTENERS_MAX 128

struct net_stats {
    uint64_t accepted, closed[NET_CLOSED_COUNT];
    uint64_t handshakes, handshakes_failed, handshakes_old_key;
    struct histogram handshake; /* from the peer's first message to its result: queue and crypto */
    uint64_t frames_in, frames_out;
};

/* Called by net. A handler may close any connection, the one it was called for too. */
struct net_handlers {
    void *user;
    /* Whether a connection from there is taken at all; one that is not is closed without a word. */
    bool (*admit)(void *user, const struct endpoint *remote);
    /* The first and only frame of an observation connection; answer with net_answer(). */
    void (*observe)(void *user, struct net_conn *c, const struct msg *m);
    void (*message)(void *user, struct net_conn *c, const struct msg *m);
    /* The connection ends; its slot is freed right after. */
    void (*closed)(void *user, struct net_conn *c);
    /* A limit was hit; by whom, where that is known. May be NULL. */
    void (*limit)(void *user, enum limit which, const struct endpoint *from);
};

/*
 * How much of each there may be. No address gets more than half of what all have together, and no
 * prefix more than three quarters, whatever stands here: no stranger can take all there is.
 */
struct net_limits {
    uint32_t connections, per_address;
    uint32_t strangers, strangers_per_address;
    uint64_t buffered; /* bytes in buffers of connections, all together */
};

struct net {
    struct ev_loop *loop;
    const struct loop *clock;
    struct net_handlers handlers;
    struct slab conns;
    struct net_limit by[NET_SCOPES];
    struct net_limits most;
    uint32_t strangers;
    uint64_t buffered;
    struct net_listener listeners[NET_LISTENERS_MAX];
    unsigned listener_count;
    struct net_handshake *pool;
    struct ev_async results;
    struct ev_timer deadline;
    struct ev_timer accept_again;
    struct net_waiting fresh, observing, closing;
    struct net_pending pending;
    struct net_stats stats;
    uint8_t scratch[65536];
};

struct net_options {
    struct net_limits limits;
    tick handshake_timeout;
    const struct key_pair *keys; /* as in net_handshake_start() */
    unsigned key_count, handshake_threads;
    uint8_t hash_key[16];
};

/* Returns 0, or -1 with a sentence in err. The struct is large and must not move. */
int net_open(struct net *net, const struct loop *loop, const struct net_options *options,
             const struct net_handlers *handlers, char *err, size_t err_size);
/*
 * Listens on one endpoint (any address if its address is all zero; IPv6 sockets take IPv6 only), or
 * takes over `handed_fd` where that is >= 0, a socket that listens there. -1: errno, and a sentence
 * in err.
 */
int net_listen(struct net *net, const struct endpoint *at, int handed_fd, char *err,
               size_t err_size);
/* New limits; what is open already stays, and keeps the time it has. */
void net_reconfigure(struct net *net, const struct net_limits *limits, tick handshake_timeout);
/* No further connections beside those that the kernel has accepted on sockets of ours alone. */
void net_stop_listening(struct net *net);
void net_close(struct net *net);

/* The connection has registered: it may stay. */
void net_know(struct net *net, struct net_conn *c);

/* Where the connection arrived; none if that cannot be told any more. */
struct endpoint net_local(const struct net_conn *c);
/* The kernel's own estimate of the round trip to the peer. */
tick net_round_trip(const struct net_conn *c);

/* Seals and sends one message on a channel. A connection that cannot take it is closed later, by
 * the loop. */
void net_send(struct net *net, struct net_conn *c, const struct msg *m);
/* Sends one message in clear on an observation connection. */
void net_answer(struct net *net, struct net_conn *c, const struct msg *m);
/* Closes at once. Calls handlers.closed. */
void net_drop(struct net *net, struct net_conn *c, enum net_closing why);
/* Flushes what was sent, ends our direction and waits a little for the peer to end its own, so that
 * nothing sent is lost to a RST. */
void net_finish(struct net *net, struct net_conn *c);

#endif
