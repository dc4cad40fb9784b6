/* SPDX-License-Identifier: ISC */
#ifndef TRYST_NET_CONN_H
#define TRYST_NET_CONN_H

#include "net.h"
#include "proto/reason.h"

/* Inside the net stage only: what net.c (sockets that listen, timers, the pool) needs of
 * connections. */

void net_conn_accept(struct net *net, int fd, const struct endpoint *remote);
/* The pool has found the peer genuine: answers, and the channel stands. */
void net_conn_established(struct net *net, struct net_conn *c, const struct handshake_result *r);
/* Every state change goes through here, for the deadline lists' sake. */
void net_conn_enter(struct net *net, struct net_conn *c, enum net_state state);
/* Drops whoever has run out of time. */
void net_conn_expire(struct net *net, struct net_waiting *list);
/* And whoever has not registered in time. */
void net_conn_expire_pending(struct net *net);
/* Counts a limit that was hit. */
void net_hit(struct net *net, enum limit which, const struct endpoint *from);

#endif
