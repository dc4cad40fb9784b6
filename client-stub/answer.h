/* SPDX-License-Identifier: ISC */
#ifndef TRYST_ANSWER_H
#define TRYST_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "client-stub/deadline.h"
#include "client-stub/ports.h"
#include "proto/msg.h"

struct tryst_context;
struct observe;

/* The answer to the server's SURVEY: one at a time, on sockets of its own. */
struct answer {
    struct tryst_context *ctx;
    struct ports ports;
    struct observe *observe;
    struct deadline expiry; /* when what was kept or listens is closed */
    uint32_t survey;
};

void answer_init(struct answer *a, struct tryst_context *ctx);
/* Begins to answer; a survey still running is dropped for it. */
void answer_survey(struct tryst_context *ctx, const struct msg_survey *m);
/* Closes all of it. */
void answer_end(struct answer *a);

#endif
