/* SPDX-License-Identifier: ISC */
#ifndef TRYST_NET_H
#define TRYST_NET_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"
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

#define NET_LISTENERS_MAX 128

struct net_stats {
    uint64_t accepted, refused, closed[NET_CLOSED_COUNT];
    uint64_t handshakes, handshakes_failed;
    struct histogram handshake; /* from the peer's first message to its result: queue and crypto */
    uint64_t frames_in, frames_out;
};

/* Called by net. A handler may close any connection, the one it was called for too. */
struct net_handlers {
    void *user;
    /* The first and only frame of an observation connection; answer with net_answer(). */
    void (*observe)(void *user, struct net_conn *c, const struct msg *m);
    void (*message)(void *user, struct net_conn *c, const struct msg *m);
    /* The connection ends; its slot is freed right after. */
    void (*closed)(void *user, struct net_conn *c);
};

struct net {
    struct ev_loop *loop;
    const struct loop *clock;
    struct net_handlers handlers;
    struct slab conns;
    struct net_limit per_address;
    struct net_listener listeners[NET_LISTENERS_MAX];
    unsigned listener_count;
    struct net_handshake *pool;
    struct ev_async results;
    struct ev_timer deadline;
    struct ev_timer accept_again;
    struct net_waiting fresh, observing, closing;
    struct net_stats stats;
    uint8_t scratch[65536];
};

struct net_options {
    uint32_t max_connections, max_per_address;
    tick handshake_timeout;
    unsigned handshake_threads;
    uint8_t hash_key[16];
};

/* Returns 0, or -1 with a sentence in err. The struct is large and must not move. */
int net_open(struct net *net, const struct loop *loop, const struct net_options *options,
             const struct key_pair *key, const struct net_handlers *handlers, char *err,
             size_t err_size);
/*
 * Listens on one endpoint (any address if its address is all zero; IPv6 sockets take IPv6 only), or
 * takes over `handed_fd` where that is >= 0, a socket that listens there. -1: errno, and a sentence
 * in err.
 */
int net_listen(struct net *net, const struct endpoint *at, int handed_fd, char *err,
               size_t err_size);
/* New limits; what is open already stays, and keeps the time it has. */
void net_reconfigure(struct net *net, uint32_t max_per_address, tick handshake_timeout);
/* No further connections beside those that the kernel has accepted on sockets of ours alone. */
void net_stop_listening(struct net *net);
void net_close(struct net *net);

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
