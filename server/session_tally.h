/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_SESSION_TALLY_H
#define TRYST_SESSION_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"
#include "proto/nat.h"
#include "proto/reason.h"

/*
 * What is counted as sessions end. However many peers and NATs there are, it is of one size: a NAT
 * counts by its class alone. Pure.
 */

/*
 * What a NAT comes to for a prediction: its mapping where that is the same for every destination,
 * else how it allocates ports.
 */
enum nat_class {
    NAT_CLASS_UNKNOWN,
    NAT_CLASS_NONE,
    NAT_CLASS_EIM,
    NAT_CLASS_PRESERVE,
    NAT_CLASS_OFFSET,
    NAT_CLASS_COUNTER,
    NAT_CLASS_BLOCK,
    NAT_CLASS_RANDOM,
    NAT_CLASSES
};

/* Pairs of classes, whichever side has which. */
#define NAT_PAIRS (NAT_CLASSES * (NAT_CLASSES + 1) / 2)

enum nat_class nat_class(const struct nat_summary *nat);
/* In the words of proto/nat.h. */
const char *nat_class_name(enum nat_class c);
/* The number of a pair, below NAT_PAIRS. */
unsigned nat_pair(enum nat_class a, enum nat_class b);
/* The classes of a pair, the lower one first. */
void nat_pair_classes(unsigned pair, enum nat_class *a, enum nat_class *b);

#define SESSION_TALLY_REASONS  (UINT8_MAX + 1)
#define SESSION_TALLY_FAMILIES 4 /* as bits: 1 IPv4, 2 IPv6 */

struct session_tally {
    uint64_t ended[SESSION_TALLY_REASONS];
    uint64_t refused[SESSION_TALLY_REASONS]; /* requests that became no session */
    uint64_t pairs[NAT_PAIRS][2];            /* [1]: connected */
    uint64_t families[SESSION_TALLY_FAMILIES][2];
    uint64_t syns; /* that peers were told to send */
    struct histogram connect;
    struct histogram skew;
};

struct session_ended {
    enum reason reason;
    struct nat_summary nat[2];
    uint8_t families; /* bits: that of the connection, or those that were tried */
    uint64_t syns;
    tick took; /* from the request to the last proof */
};

void session_tally_end(struct session_tally *t, const struct session_ended *s);
/* Between both sides' first SYNs of a round, either one first. */
void session_tally_skew(struct session_tally *t, tick skew);
void session_tally_refuse(struct session_tally *t, enum reason reason);

#endif
