/* SPDX-License-Identifier: ISC */
#ifndef TRYST_DIAL_H
#define TRYST_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "client-stub/deadline.h"
#include "client-stub/watch.h"
#include "proto/endpoint.h"

struct round;

enum dial_state {
    DIAL_READY,   /* has a socket, or will get one */
    DIAL_OPENING, /* the SYN is out */
    DIAL_PAUSING, /* refused; is tried again */
    DIAL_OPENED,  /* connected: the proof has the socket */
    DIAL_FAILED
};

/* One SYN of a plan: one local port to one remote endpoint. */
struct dial {
    struct round *round;
    struct watch watch;
    struct deadline retry;
    int fd;
    enum dial_state state;
    uint16_t number; /* of the local socket */
    uint16_t order;  /* in the plan */
    uint8_t retries;
    bool refused; /* at least once */
    struct endpoint remote;
    tick moment;
};

void dial_init(struct dial *d, struct round *round, uint16_t number, const struct endpoint *remote,
               tick moment);
/* Makes and binds the socket, if that has not been done. 0, or -1 with errno. */
int dial_make(struct dial *d);
/* Sends the SYN. */
void dial_connect(struct dial *d);
/* No more retries from here on; an attempt under way goes on. */
void dial_rest(struct dial *d);
void dial_close(struct dial *d);

#endif
