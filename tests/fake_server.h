/* SPDX-License-Identifier: ISC */
#ifndef TRYST_FAKE_SERVER_H
#define TRYST_FAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client-stub/tryst.h"
#include "proto/key.h"
#include "proto/msg.h"
#include "proto/noise.h"

/*
 * The server's end of the control channel, and nothing behind it: a test reads what clients send
 * and says what the server answers. It runs in the test's own thread, on 127.0.0.1, between the
 * clients' tryst_process() calls.
 */

#define FAKE_CONNS_MAX    64
#define FAKE_INBOX_MAX    64
#define FAKE_CONTEXTS_MAX 4

struct fake_conn {
    int fd; /* -1: free */
    bool control;
    bool open; /* the handshake is done */
    uint8_t peer[KEY_SIZE];
    struct noise_cipher send;
    struct noise_cipher receive;
    uint8_t in[8192];
    size_t in_len;
    struct msg *inbox[FAKE_INBOX_MAX]; /* messages not looked at yet, oldest first */
    unsigned inbox_count;
    struct endpoint remote;
};

enum fake_mood {
    FAKE_NORMAL,
    FAKE_CLOSES, /* closes once it has read something, as one with another key does */
    FAKE_BANNER, /* greets like an SSH server */
    FAKE_SILENT, /* takes connections and says nothing */
    FAKE_FORGES  /* answers message 1 with noise of the right size */
};

struct fake_server {
    struct key_pair key;
    int listener;
    struct endpoint at;
    char url[SERVER_URL_SIZE];
    enum fake_mood mood;
    struct fake_conn conns[FAKE_CONNS_MAX];
    unsigned accepted;               /* connections so far */
    unsigned observations;           /* genuine OBSERVE messages so far */
    uint8_t secret[MSG_SECRET_SIZE]; /* of the survey under way */
    bool mute;                       /* does not answer OBSERVE */
    struct msg observed[64];         /* the OBSERVE messages, in order of arrival */
    struct endpoint observed_from[64];
    const struct tryst_allocator *allocator;           /* of the contexts, or NULL */
    struct tryst_context *contexts[FAKE_CONTEXTS_MAX]; /* are run along with it */
};

void fake_start(struct fake_server *s);
void fake_stop(struct fake_server *s);
/* A context with a fresh key and this server; runs along from now on. NULL only where its own
 * allocator gives nothing. */
struct tryst_context *fake_context(struct fake_server *s);
/* Takes a context off, and frees it. */
void fake_forget(struct fake_server *s, struct tryst_context *ctx);

/* Runs everything once, waiting at most a millisecond for work. */
void fake_run(struct fake_server *s);
/* Runs for this long. */
void fake_run_ms(struct fake_server *s, int ms);

/* The open control connection of a context; NULL if there is none. */
struct fake_conn *fake_conn_of(struct fake_server *s, const struct tryst_context *ctx);
void fake_send(struct fake_conn *c, const struct msg *m);
/* Runs until this context's next message of a type has come; messages of other types are dropped.
 * Fails the test after 5 s. */
struct msg fake_expect(struct fake_server *s, const struct tryst_context *ctx, unsigned type);
/* Whether such a message is in, without waiting. */
bool fake_has(struct fake_server *s, const struct tryst_context *ctx, unsigned type);
/* Runs until the context's next event; fails the test unless it is of this type. 0: any. The caller
 * frees it. */
struct tryst_event *fake_event(struct fake_server *s, struct tryst_context *ctx, int type);
/* The same, freed at once; returns its reason. */
int fake_event_reason(struct fake_server *s, struct tryst_context *ctx, int type);
/* Starts the context and answers its REGISTER. */
void fake_register(struct fake_server *s, struct tryst_context *ctx);
/* NULL is fine. */
void fake_close(struct fake_conn *c);

#endif
