/* SPDX-License-Identifier: ISC */
#ifndef TRYST_FAKE_PAIR_H
#define TRYST_FAKE_PAIR_H

#include "tests/fake_server.h"

/* Two clients on loopback and a server that says what the test makes it say: alice, who asks, and
 * bob, who listens. */
struct pair {
    struct fake_server server;
    struct tryst_context *a; /* requester */
    struct tryst_context *b; /* target */
    struct tryst_listener *listener;
    struct tryst_request *req;
    uint8_t key_a[TRYST_KEY_SIZE];
    uint8_t key_b[TRYST_KEY_SIZE];
    uint8_t id[MSG_ID_SIZE];
    uint32_t number;
    struct endpoint at[2]; /* punch sockets, as CONNECT and ACCEPT name them, on loopback */
    unsigned flags;
};

/* For cmocka: *state is a struct pair, whose target accepts the requester. */
int pair_setup(void **state);
int pair_teardown(void **state);

int64_t pair_now(void);
/* The server's connection of a side: 0 the requester's, 1 the target's. */
struct fake_conn *pair_conn(struct pair *p, int side);
void pair_invite(struct pair *p);
/* Up to the acceptance of the session. */
void pair_introduce(struct pair *p);
/* The PUNCH of round 1 for a side: one SYN to the other's punch socket, at `start`. */
struct msg pair_punch_of(struct pair *p, int side, int64_t start);
/* Sends it to both, to start in so many nanoseconds. */
void pair_punch(struct pair *p, int64_t in_ns);

/* Runs until this side's session is established; the socket and the report are the caller's. */
int pair_take(struct pair *p, struct tryst_context *ctx, struct tryst_report **report);
/* Runs until it has failed, which it must do for this reason. */
void pair_fails(struct pair *p, struct tryst_context *ctx, int reason);
/* These bytes are there to be read, and no others. */
void pair_hears(int fd, const char *bytes);

#endif
