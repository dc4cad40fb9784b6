/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CONTACT_H
#define TRYST_CONTACT_H

#include <stdbool.h>

#include "client-stub/deadline.h"
#include "client-stub/watch.h"
#include "proto/endpoint.h"

struct tryst_context;

#define CONTACT_ADDRESSES_MAX 8

struct attempt {
    struct tryst_context *ctx;
    struct watch watch;
    int fd;
};

/* TCP to the first of the server's addresses that answers: the next one starts before the last has
 * failed. */
struct contact {
    struct endpoint addresses[CONTACT_ADDRESSES_MAX];
    unsigned count;
    unsigned started;
    struct attempt attempts[CONTACT_ADDRESSES_MAX];
    struct deadline next;
    struct deadline limit;
    int error; /* errno of the last attempt that failed */
};

void contact_init(struct tryst_context *ctx);
/* Where the server's host is a numeric address, or the hook knows it. 0, or -1: no address is
 * known. */
int contact_resolve(struct tryst_context *ctx);
/* Ends in channel_connected() or channel_unreachable(), the latter possibly before this returns. */
void contact_start(struct tryst_context *ctx);
void contact_end(struct tryst_context *ctx);

#endif
