/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CLI_DIAL_H
#define TRYST_CLI_DIAL_H

#include <netdb.h>
#include <stddef.h>

/*
 * Addresses here: HOST:PORT to connect to, and [ADDR:]PORT to listen on. IPv6 addresses stand in
 * brackets. Names are resolved once, when the program starts: a lookup may block, a connection in
 * progress must not wait for it.
 */
#define DIAL_TEXT_SIZE 320

/* Each returns 0, or -1 with a sentence in err. *out is freed with freeaddrinfo(). */
int cli_dial_resolve(const char *text, struct addrinfo **out, char *err, size_t size);
int cli_dial_resolve_local(const char *text, struct addrinfo **out, char *err, size_t size);

/* A non-blocking listening socket on the first address that can be bound, or -1. `bound` says where
 * it listens. */
int cli_dial_listen(const struct addrinfo *list, char bound[DIAL_TEXT_SIZE], char *err,
                    size_t size);

/* One connection on its way: the addresses in turn, without blocking. */
struct dial {
    const struct addrinfo *next;
    int fd; /* poll it for POLLOUT */
    int error;
};

/* Begins. False: no address can be tried, error says why. */
int cli_dial_start(struct dial *d, const struct addrinfo *list);
enum dial_state { DIAL_PENDING, DIAL_CONNECTED, DIAL_FAILED };
/* After POLLOUT, or after giving up on this address (timed_out). CONNECTED: fd is the caller's. */
enum dial_state cli_dial_check(struct dial *d, int timed_out);

#endif
