/* SPDX-License-Identifier: ISC */
#ifndef TRYST_ENDPOINT_H
#define TRYST_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * address:port. `family` is 4, 6, or 0 for "none" (all zero). IPv4 stands in the first four bytes
 * of `address`, the rest is zero, so that two equal endpoints are equal byte by byte. An
 * IPv4-mapped IPv6 address is always stored as IPv4.
 */
struct endpoint {
    uint8_t family;
    uint8_t address[16];
    uint16_t port; /* host order */
};

/* Enough for "[v6 address]:65535" and the terminator. */
#define ENDPOINT_TEXT_SIZE 56

struct endpoint endpoint_none(void);
bool endpoint_is_none(const struct endpoint *e);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
/* Same family and address, whatever the ports. */
bool endpoint_same_address(const struct endpoint *a, const struct endpoint *b);
struct endpoint endpoint_with_port(struct endpoint e, uint16_t port);

/* "1.2.3.4:80", "[2001:db8::1]:80". Returns out. */
const char *endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT_SIZE]);
/* The address alone, without port and brackets. Returns out. */
const char *endpoint_format_address(const struct endpoint *e, char out[ENDPOINT_TEXT_SIZE]);
/*
 * Parses what endpoint_format prints, numeric addresses only (no DNS). With `default_port` > 0 the
 * port may be missing. Returns 0, or -1 with *out untouched.
 */
int endpoint_parse(const char *text, uint16_t default_port, struct endpoint *out);

/* Returns 0, or -1 for a family other than AF_INET and AF_INET6. */
int endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *out);
/* Returns the length of the address written, 0 for none. */
socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out);

/*
 * What an address is good for. Global: routable across the Internet as far as the address tells;
 * documentation ranges (TEST-NET, 2001:db8::/32) count as global, so that laboratories work.
 * Everything else (private, carrier-grade 100.64/10, loopback, link-local, multicast,
 * unspecified, unique local) is not.
 */
bool endpoint_is_global(const struct endpoint *e);
bool endpoint_is_loopback(const struct endpoint *e);
/*
 * Fit to be dialled as a host candidate on the same network: private or unique-local unicast, or
 * global.
 */
bool endpoint_is_host_candidate(const struct endpoint *e);

#endif
