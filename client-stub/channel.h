/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CHANNEL_H
#define TRYST_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client-stub/contact.h"
#include "client-stub/deadline.h"
#include "client-stub/watch.h"
#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/noise.h"
#include "proto/rng.h"

struct tryst_context;

enum channel_state {
    CHANNEL_DOWN,      /* not started, or waiting to come back */
    CHANNEL_CONTACT,   /* TCP to one of the server's addresses is under way */
    CHANNEL_HANDSHAKE, /* message 1 is out */
    CHANNEL_OPEN       /* messages flow; REGISTER has been sent */
};

/* The control channel. It comes back by itself until core_stop(). */
struct channel {
    enum channel_state state;
    struct contact contact;
    struct watch watch;
    struct deadline timer; /* gives up a handshake, or ends a pause */
    int fd;
    struct endpoint local;
    struct endpoint remote;
    struct noise_handshake handshake;
    struct noise_cipher send;
    struct noise_cipher receive;
    uint8_t in[FRAME_HEADER_SIZE + FRAME_BODY_MAX];
    size_t in_len;
    uint8_t *out; /* what the kernel did not take yet */
    size_t out_len;
    size_t out_size;
    bool registered;
    bool ever_registered;
    tick registered_at;
    tick received_at;         /* when the last bytes came */
    unsigned failures;        /* contacts in a row that came to nothing */
    unsigned redirects;       /* in a row */
    bool redirected;          /* the server in use is not the configured one */
    struct server_url server; /* in use now */
    int told;                 /* reason of the last DISCONNECTED event since REGISTERED */
};

void channel_init(struct tryst_context *ctx);
/* Starts a contact now. */
void channel_begin(struct tryst_context *ctx);
/* TCP stands on fd (contact.c calls this), or no address could be reached. */
void channel_connected(struct tryst_context *ctx, int fd);
void channel_unreachable(struct tryst_context *ctx, const char *text);
/* Sends one message. -1 if the channel is not open, or broke. */
int channel_send(struct tryst_context *ctx, const struct msg *m);
/* The wish to listen has changed, which only a new REGISTER can say: comes back on a new
 * connection. */
void channel_renew(struct tryst_context *ctx);
/* The server bound the key to a name. */
void channel_registered(struct tryst_context *ctx, const struct msg_registered *m);
/* Go to another server after a pause. */
void channel_redirect(struct tryst_context *ctx, const struct msg_redirect *m);
/*
 * The channel is gone. Comes back after a pause (at least delay_ms) unless the first contact was to
 * succeed. Sessions that depend on it fail.
 */
void channel_lost(struct tryst_context *ctx, int reason, const char *text, uint32_t delay_ms);
/* The server does not want this peer, for good: stops, unless it is one that another sent it to. */
void channel_refused(struct tryst_context *ctx, int reason, const char *text);
/*
 * How long to stay away after so many failures in a row: exponential, with full jitter, so that a
 * server which comes back is not met by all its peers at once; at least as long as it asked for,
 * spread over as much again.
 */
tick channel_pause(const struct rng *rng, unsigned failures, uint32_t delay_ms);
/* Closes without coming back, and wipes the keys. */
void channel_close(struct tryst_context *ctx);

#endif
