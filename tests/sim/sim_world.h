/* SPDX-License-Identifier: ISC */
#ifndef TRYST_SIM_WORLD_H
#define TRYST_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/rng.h"
#include "proto/tick.h"
#include "tests/nat_model.h"

/*
 * Two hosts, each behind none, one or two NATs, with what TCP and the NATs do to each other between
 * them: segments cross in time, SYNs are sent again after 1, 2, 3 and 4 s, refusals end connection
 * attempts and perhaps mappings, SYNs that cross open a connection simultaneously, and a listener
 * answers on every punch port. One queue of events under a virtual clock.
 */

#define SIM_NATS_MAX  2
#define SIM_CONNS_MAX 4096
#define SIM_HEADS     1024

enum sim_conn_state { SIM_CLOSED, SIM_SYN_SENT, SIM_SYN_RECEIVED, SIM_ESTABLISHED };

/* One end of a connection, or the attempt at one. */
struct sim_conn {
    struct endpoint remote;
    uint16_t local;
    uint16_t next; /* of those with the same hash, + 1 */
    uint8_t state;
    uint8_t round;
    uint8_t sent;    /* times that the kernel has sent its SYN (or SYN-ACK) */
    uint8_t retries; /* attempts after a refusal */
    bool again;      /* a refusal by RST is answered by another attempt */
    uint32_t sequence;
};

struct sim_site {
    struct nat_model nats[SIM_NATS_MAX]; /* the host's own first */
    unsigned nat_count;
    tick hops[SIM_NATS_MAX]; /* one way to each from what lies inside of it */
    struct endpoint host;    /* the port is not used */
    bool listens;            /* on every port that it punches from */
    tick retry;              /* after a refusal, a pause of at most this; 0: none */
    struct sim_conn conns[SIM_CONNS_MAX];
    unsigned conn_count;
    uint16_t heads[SIM_HEADS];
    uint8_t listening[(UINT16_MAX + 1) / 8];
    uint32_t syns; /* attempts, without the kernel's retransmissions */
    uint32_t refusals;
};

struct sim_event;
struct sim_due {
    tick at;
    uint32_t order;
    uint32_t event;
};

struct sim_world {
    struct sim_site site[2];
    tick across; /* one way, outermost NAT to outermost NAT */
    double loss; /* of segments that carry a SYN */
    const struct rng *rng;
    tick now;
    struct {
        bool happened; /* both ends are established and have told each other so */
        tick at;
        uint8_t round;
        uint16_t port[2];        /* local ports */
        struct endpoint seen[2]; /* of either side, as the other one sees it */
    } met;
    struct sim_due *queue; /* a heap, the next one first */
    size_t queue_count, queue_size;
    struct sim_event *events;
    uint32_t *unused;
    size_t event_count, unused_count, event_size;
    uint32_t order;
};

/* NULL: no memory. */
struct sim_world *sim_world_new(void);
void sim_world_free(struct sim_world *w);

/* Forgets connections and events; NATs, places and numbers are the caller's to set. */
void sim_world_reset(struct sim_world *w);

/* The host starts to listen on a punch port. */
void sim_world_listen(struct sim_world *w, int side, uint16_t local);
/* A SYN leaves the host at `at`. */
void sim_world_connect(struct sim_world *w, int side, uint16_t local, struct endpoint remote,
                       tick at, uint8_t round, bool again);
/* Until they have met, or `until` has come. Returns whether they have met. */
bool sim_world_run(struct sim_world *w, tick until);

/*
 * A segment on its way out, through all NATs of a site, which it reaches in time. Returns false
 * where one of them drops it.
 */
bool sim_world_leave(struct sim_site *site, struct nat_segment *s, tick at);
/* And on its way in: the verdict of the first NAT that does not let it pass. */
enum nat_verdict sim_world_enter(struct sim_site *site, struct nat_segment *s, tick at);

/* One way from the host to beyond its last NAT. */
tick sim_world_depth(const struct sim_site *site);

#endif
