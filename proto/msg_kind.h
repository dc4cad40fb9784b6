/* SPDX-License-Identifier: ISC */
#ifndef TRYST_MSG_KIND_H
#define TRYST_MSG_KIND_H

#include <stddef.h>

#include "wire.h"

/* The kinds of fields in msg.def: how each is written, read and shown. Only msg.c needs this. */

/* A line of text that is being written, cut off where the buffer ends. */
struct msg_line {
    char *at;
    size_t left;
};

__attribute__((format(printf, 2, 3))) void msg_say(struct msg_line *l, const char *format, ...);

/* `size` is that of the field in its struct. A field is of no use if reading it set r->bad. */
struct msg_kind {
    void (*put)(struct wire_writer *w, const void *field, size_t size);
    void (*get)(struct wire_reader *r, void *field, size_t size);
    void (*show)(struct msg_line *l, const void *field, size_t size);
};

extern const struct msg_kind msg_kind_U8;
extern const struct msg_kind msg_kind_REASON;
extern const struct msg_kind msg_kind_U16;
extern const struct msg_kind msg_kind_U32;
extern const struct msg_kind msg_kind_I32;
extern const struct msg_kind msg_kind_I64;
extern const struct msg_kind msg_kind_KEY;
extern const struct msg_kind msg_kind_ID;
extern const struct msg_kind msg_kind_SECRET;
extern const struct msg_kind msg_kind_TAG;
extern const struct msg_kind msg_kind_TEXT;
extern const struct msg_kind msg_kind_HIDDEN;
extern const struct msg_kind msg_kind_ENDPOINT;
extern const struct msg_kind msg_kind_NAT;
extern const struct msg_kind msg_kind_ENDPOINTS;
extern const struct msg_kind msg_kind_STEPS;
extern const struct msg_kind msg_kind_VOLLEYS;
extern const struct msg_kind msg_kind_NATS;
extern const struct msg_kind msg_kind_PROSPECTS;

#endif
