/* SPDX-License-Identifier: ISC */
#ifndef TRYST_NET_PROBE_H
#define TRYST_NET_PROBE_H

#include <ev.h>
#include <stdbool.h>

#include "proto/endpoint.h"
#include "proto/nat.h"
#include "proto/tick.h"
#include "slab.h"

/*
 * Connections that the server itself tries, to see what a NAT does with them: is one let in, and
 * if not, does the NAT answer with silence, RST or ICMP? Nothing is ever sent on one that opens.
 * Whom to try, and how often, is decided by the caller: only ever the address that an authenticated
 * peer itself comes from.
 *
 * The answer is given twice where there is silence at first: after `patience` as what to go by, and
 * once more if a late answer corrects it, which the one retransmission of a lost SYN gets too.
 */
#define NET_PROBE_LATE_SECONDS 3.0 /* a correction comes within so long */

struct net_probe_order {
    struct ref owner;     /* the caller's own, given back with the answer */
    unsigned what;        /* likewise */
    struct endpoint from; /* our own address; none: any. Its port is never used */
    struct endpoint to;
    tick patience; /* from the SYN on */
};

struct net_probe_answer {
    const struct net_probe_order *order;
    bool late; /* corrects an earlier one */
    bool let_in;
    enum nat_refusal refusal; /* where it was not let in */
};

struct net_probe {
    struct ev_loop *loop;
    struct slab probes;
    void (*answered)(void *user, const struct net_probe_answer *answer);
    void *user;
};

void net_probe_open(struct net_probe *p, struct ev_loop *loop,
                    void (*answered)(void *user, const struct net_probe_answer *answer),
                    void *user);
/* False: too many are under way, or the socket could not be had. */
bool net_probe_start(struct net_probe *p, const struct net_probe_order *order);

/*
 * In two steps, for a SYN that has to leave a known port at a known time: reserves a port at
 * `from` (in *local; REF_NONE: none to be had), which is given back if nothing follows for some
 * seconds; then sends the SYN from it after `delay`. Where the port was given back, nothing
 * happens. Of orders that were reserved, `to` and `patience` are those of net_probe_send().
 */
struct ref net_probe_reserve(struct net_probe *p, const struct net_probe_order *order,
                             struct endpoint *local);
bool net_probe_send(struct net_probe *p, struct ref probe, const struct endpoint *to, tick delay,
                    tick patience);
void net_probe_close(struct net_probe *p);

#endif
