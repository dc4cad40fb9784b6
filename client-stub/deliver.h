/* SPDX-License-Identifier: ISC */
#ifndef TRYST_DELIVER_H
#define TRYST_DELIVER_H

#include <stddef.h>
#include <stdint.h>

struct tryst_context;

/* Decodes one message of the control channel and hands it to the part that it is for. */
void deliver(struct tryst_context *ctx, const uint8_t *plain, size_t len);

#endif
