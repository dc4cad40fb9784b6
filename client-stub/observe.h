/* SPDX-License-Identifier: ISC */
#ifndef TRYST_OBSERVE_H
#define TRYST_OBSERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "client-stub/deadline.h"
#include "client-stub/ports.h"
#include "client-stub/watch.h"
#include "proto/msg.h"

struct tryst_context;
struct observation;

/*
 * The observation connections of one SURVEY or PREPARE. `done` is called once, when every step has
 * been answered or has failed; connections to be kept stay open until observe_close().
 */
struct observe {
    struct tryst_context *ctx;
    struct ports *ports;
    struct observe *next; /* an older one of the same session */
    void (*done)(struct observe *o);
    void *owner;
    uint8_t token[MSG_ID_SIZE];
    uint8_t secret[MSG_SECRET_SIZE];
    struct steps steps;
    struct observation *at; /* one per step */
    unsigned begun;         /* steps begun, in order */
    unsigned ended;
    uint8_t failed;
    uint8_t crossing; /* CROSSING_...: of the last STEP_CROSS */
    uint8_t round;    /* for the owner */
    tick begun_at;    /* of the run, then of the latest step */
    struct deadline pace;
    struct deadline limit;
};

/* Begins. Returns NULL without memory. `done` is never called from inside. */
struct observe *observe_new(struct tryst_context *ctx, struct ports *ports, const uint8_t *token,
                            const uint8_t *secret, const struct steps *steps,
                            void (*done)(struct observe *o), void *owner);
/* Closes all of its connections and releases it; NULL is fine. */
void observe_close(struct observe *o);

#endif
