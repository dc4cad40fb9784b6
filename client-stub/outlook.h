/* SPDX-License-Identifier: ISC */
#ifndef TRYST_OUTLOOK_H
#define TRYST_OUTLOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "client-stub/tryst.h"
#include "proto/msg.h"

struct tryst_context;

struct tryst_nat {
    struct nat_summary summary;
    uint8_t family;
    char address[TRYST_ENDPOINT_TEXT_SIZE]; /* "" where it is not told */
    char words[256];
};

struct tryst_prospect {
    uint8_t kind;
    int reason;
    double chance;
    double birthday;
    struct tryst_nat nat;
};

/* The answer to a check. Needs nothing of its context. */
struct tryst_outlook {
    struct tryst_allocator alloc;
    bool one; /* it is about one peer */
    uint8_t peer_key[TRYST_KEY_SIZE];
    bool birthday; /* this side's consent went into the chances */
    bool same_address;
    int rounds;
    unsigned nat_count;
    unsigned prospect_count;
    struct tryst_nat nats[MSG_NATS_MAX];
    struct tryst_prospect prospects[MSG_PROSPECTS_MAX];
};

/* Empty; NULL without memory. */
struct tryst_outlook *outlook_new(struct tryst_context *ctx);
void outlook_fill(struct tryst_outlook *o, const struct msg_checked *m, bool birthday);

#endif
