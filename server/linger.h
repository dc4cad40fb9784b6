/* SPDX-License-Identifier: ISC */
#ifndef TRYST_LINGER_H
#define TRYST_LINGER_H

#include <stdint.h>

#include "proto/tick.h"

/*
 * An account of NAT mappings that are used up for a while: whatever is added counts for at least
 * LINGER_TIME and at most twice that. NATs keep a mapping of a connection that is not established
 * for two minutes (Linux) to four (RFC 5382, REQ-5). Pure; all zero is an empty account.
 */
#define LINGER_TIME (120 * TICK_S)

struct linger {
    tick since; /* when `recent` began */
    uint32_t recent, older;
};

void linger_add(struct linger *l, uint32_t count, tick now);
uint32_t linger_sum(const struct linger *l, tick now);
/* What is left of a cap, at most UINT16_MAX. */
uint16_t linger_left(const struct linger *l, uint32_t cap, tick now);

#endif
