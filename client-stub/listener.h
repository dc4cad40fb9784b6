/* SPDX-License-Identifier: ISC */
#ifndef TRYST_LISTENER_H
#define TRYST_LISTENER_H

#include <stdbool.h>

#include "client-stub/tryst.h"
#include "proto/msg.h"

struct tryst_listener {
    struct tryst_context *ctx;
    uint8_t (*keys)[TRYST_KEY_SIZE];
    unsigned count;
    unsigned size;
    bool all;
    bool decline_others;
    bool plain;
};

/* INVITE: makes an incoming session of it, or says no. */
void listener_invited(struct tryst_context *ctx, const struct msg_invite *m);

#endif
