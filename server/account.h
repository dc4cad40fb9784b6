/* SPDX-License-Identifier: ISC */
#ifndef TRYST_ACCOUNT_H
#define TRYST_ACCOUNT_H

#include <stdint.h>

#include "proto/tick.h"

/*
 * An account of NAT mappings that are used up for a while: whatever is added counts for at least
 * ACCOUNT_TIME and at most twice that. NATs keep a mapping of a connection that is not established
 * for two minutes (Linux) to four (RFC 5382, REQ-5). Pure; all zero is an empty account.
 */
#define ACCOUNT_TIME (120 * TICK_S)

struct account {
    uint32_t period; /* of ACCOUNT_TIME, that `recent` is of */
    uint16_t recent, older;
};

void account_add(struct account *l, uint32_t count, tick now);
uint32_t account_sum(const struct account *l, tick now);
/* What is left of a cap, at most UINT16_MAX. */
uint16_t account_left(const struct account *l, uint32_t cap, tick now);

#endif
