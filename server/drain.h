/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_DRAIN_H
#define TRYST_DRAIN_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/msg.h"
#include "proto/rng.h"
#include "proto/tick.h"

/*
 * When the peers of a daemon that ends come back: spread over a window in which the next one makes
 * their handshakes with half of its pool, so that the other half is left for everybody else.
 */

/* No peer comes back sooner: a daemon that is restarted needs a moment. */
#define DRAIN_LEAST (500 * TICK_MS)
/* Nobody is kept away for longer than this, however many they are. */
#define DRAIN_MOST (600 * TICK_S)

/* A drain under way. */
struct drain {
    struct ev_timer timer;
    tick give_up_at; /* when sessions under way are given up */
    tick window;     /* over which the peers come back; 0: farewells have not begun */
    uint32_t next;   /* slot of the channel whose farewell is next */
    tick end_at;     /* when the loop ends; 0: not all farewells are said */
    char to[MSG_TEXT_SIZE];
};

/* How long it takes so many peers to come back. */
tick drain_window(uint32_t peers, double handshakes_per_second);

/*
 * How long one of them is told to wait, which it does and up to as long again. Over all of them,
 * fewer come back at any time than if they were spread evenly over the window.
 */
uint32_t drain_delay_ms(const struct rng *rng, tick window);

#endif
