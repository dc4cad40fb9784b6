/* SPDX-License-Identifier: ISC */
#ifndef TRYST_SOCK_H
#define TRYST_SOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/endpoint.h"

struct tryst_context;

/*
 * Sockets, all of them non-blocking, close-on-exec, and bound with SO_REUSEADDR and SO_REUSEPORT,
 * since connections and a listener share one local port. Functions return -1 with errno set, unless
 * said otherwise.
 */

/* A TCP socket of family 4 or 6, seen by the application's hook and counted against the context's
 * limit. */
int sock_open(struct tryst_context *ctx, int family);
/* The same, bound to the wildcard address and `port` (0: any free one). */
int sock_open_bound(struct tryst_context *ctx, int family, uint16_t port);
/* Takes a connection from a listener. */
int sock_accept(struct tryst_context *ctx, int listener);
/* Closes *fd unless it is -1, and sets it to -1. */
void sock_close(struct tryst_context *ctx, int *fd);
/* Reads away what has come, so that closing sends a FIN and no RST, then closes. */
void sock_close_gently(struct tryst_context *ctx, int *fd);
/* The descriptor now belongs to the application: a plain socket again, no longer counted. */
void sock_hand_over(struct tryst_context *ctx, int fd);

/* 0: under way or connected; else errno. */
int sock_connect(int fd, const struct endpoint *remote);
bool sock_is_connected(int fd);
/* The outcome of a connect() under way: 0 or an errno. */
int sock_error(int fd);
/*
 * Whether an ICMP message ended a connect(), rather than a RST. Works where sock_report_icmp() was
 * called before, on Linux 5.8 and later; elsewhere says no.
 */
bool sock_was_icmp(int fd);
void sock_report_icmp(int fd, int family, bool yes);

struct endpoint sock_local(int fd);
struct endpoint sock_remote(int fd);

/* This host's address for connections of a family towards the Internet; false if it has none. */
bool sock_host_address(struct tryst_context *ctx, int family, struct endpoint *out);

/* Whether no unicast connection can or should go there: port 0, unspecified, multicast, reserved,
 * link-local. */
bool sock_undialable(const struct endpoint *e);

#endif
