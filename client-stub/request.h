/* SPDX-License-Identifier: ISC */
#ifndef TRYST_REQUEST_H
#define TRYST_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "client-stub/deadline.h"
#include "client-stub/ports.h"
#include "client-stub/tryst.h"
#include "proto/key.h"
#include "proto/msg.h"

struct observe;
struct proof;
struct round;
struct tryst_outlook;

#define REQUEST_ROUNDS_MAX 16 /* that a server may ask for in one session */

enum request_state {
    REQUEST_WAITING, /* outgoing: for the control channel */
    REQUEST_OFFERED, /* incoming: for the application's word */
    REQUEST_ASKED,   /* CONNECT or ACCEPT is sent */
    REQUEST_PLANNED, /* a PUNCH has come: from here on the server may go away */
    REQUEST_OVER     /* the final event is queued */
};

/* A request that only asks what a connection would come to. */
enum request_check {
    CHECK_NONE,   /* a session */
    CHECK_OF_NAT, /* outgoing: against kinds of peers */
    CHECK_OF_PEER /* with one peer; incoming: with this one */
};

/* One session, seen from one of its peers; or a check. */
struct tryst_request {
    struct tryst_context *ctx;
    struct tryst_request *next;
    struct tryst_request *previous;
    struct tryst_request *next_over;
    bool incoming;
    enum request_state state;
    uint32_t number; /* outgoing: on the present channel */
    bool has_id;
    uint8_t id[MSG_ID_SIZE];
    char peer[PEER_NAME_SIZE > KEY_TEXT_SIZE ? PEER_NAME_SIZE : KEY_TEXT_SIZE];
    bool has_pin;
    uint8_t pin[KEY_SIZE]; /* the key the peer must have */
    bool plain;            /* this side can do without the record layer */
    enum request_check check;
    struct tryst_outlook *outlook; /* of an outgoing check, until its final event */
    tick asked_at;                 /* when CONNECT was sent */
    tick ends_at;
    struct deadline end;
    struct deadline kick; /* sends CONNECT from inside tryst_process() */
    struct ports ports;
    struct observe *observes; /* newest first */
    unsigned prepares;
    struct round *rounds; /* newest first */
    unsigned round_count;
    struct proof *proofs;
    unsigned proof_count;
    unsigned accepts; /* connections taken from listeners so far */
    bool opened;      /* a connection of this round has been announced */
    int lost_reason;  /* of the latest round that was lost */
    char lost_text[64];
    bool server_done; /* the server will say nothing more about it */
    struct tryst_report *report;
    struct tryst_event *final; /* until queued */
    void *user;
};

/* A session, linked to its context; NULL without memory. Its end is timeout_ms away. */
struct tryst_request *request_new(struct tryst_context *ctx, bool incoming, int64_t timeout_ms);
/* An outgoing one, on its way with the next tryst_process(). NULL without memory, or when `peer` is
 * neither a name nor a key; it may be NULL for a check. */
struct tryst_request *request_outgoing(struct tryst_context *ctx, const char *peer,
                                       int64_t timeout_ms, enum request_check check);
/* Closes the session and releases it; after its final event, or with its context. */
void request_free(struct tryst_request *req);
/* The session is over: queues the final event. Nothing of it may be touched by a callback after
 * this. */
void request_fail(struct tryst_request *req, int reason, const char *text);
void request_established(struct tryst_request *req, struct proof *proof);
void request_checked(struct tryst_request *req);
/* Closes the descriptors of sessions that are over. */
void request_sweep(struct tryst_context *ctx);
void request_fail_all(struct tryst_context *ctx, int reason, const char *text);

/* Sends CONNECT for all that wait. */
void request_send_waiting(struct tryst_context *ctx);
void request_registered(struct tryst_context *ctx);
/*
 * Before PUNCH a session ends with its channel, unless the loss is not final: an outgoing one is
 * then asked for again on the next channel. After PUNCH it goes on while it can still succeed.
 */
void request_channel_lost(struct tryst_context *ctx, bool final, int reason, const char *text);
/* Tells the server that this side has given up. */
void request_send_cancel(struct tryst_request *req);
int request_send_accept(struct tryst_request *req);

/* Messages from the server. */
void request_prepare(struct tryst_context *ctx, const struct msg_prepare *m);
void request_punch(struct tryst_context *ctx, const struct msg_punch *m);
void request_outcome(struct tryst_context *ctx, const struct msg_outcome *m);
struct tryst_request *request_find(struct tryst_context *ctx, uint32_t number, const uint8_t *id);

/* From a round: its first SYN has left; it is lost, for this reason. */
void request_round_begun(struct tryst_request *req, struct round *round);
void request_round_lost(struct tryst_request *req, struct round *round, int reason);
/* From a round that the next one overtakes: how it stands. */
void request_round_held(struct tryst_request *req, struct round *round, int reason);
/* From a proof: a connection has opened and is being proven. */
void request_opened(struct tryst_request *req);

#endif
