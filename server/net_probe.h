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
 * One SYN to a port that nobody mapped: does the NAT answer with silence, RST or ICMP? Who may be
 * asked, and how often, is decided by the caller: only ever the address that an authenticated peer
 * itself comes from.
 *
 * The answer is given twice where there is silence at first: after `patience` as what to go by, and
 * once more if a late answer corrects it.
 */
struct net_probe {
    struct ev_loop *loop;
    struct slab probes;
    void (*answered)(void *user, const struct endpoint *address, enum nat_refusal refusal);
    void *user;
};

void net_probe_open(struct net_probe *p, struct ev_loop *loop,
                    void (*answered)(void *user, const struct endpoint *address,
                                     enum nat_refusal refusal),
                    void *user);
/* False: too many are under way, or the socket could not be had. `answered` gets
 * NAT_REFUSAL_UNKNOWN if somebody accepted. */
bool net_probe_start(struct net_probe *p, const struct endpoint *to, tick patience);
void net_probe_close(struct net_probe *p);

#endif
