/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PEER_KIND_H
#define TRYST_PEER_KIND_H

#include "nat.h"

/* The kinds of peers that a NAT is weighed against; PEER_KIND_ONE is the very peer asked about. */
enum peer_kind {
    PEER_KIND_ONE = 0,
#define PEER_KIND(number, NAME, name, words, family, ...) PEER_KIND_##NAME = (number),
#include "peer_kind.def"
#undef PEER_KIND
};

/* Short stable word for scripts ("home-rst"); "peer" for PEER_KIND_ONE, "unknown" for a number from
 * a newer version. */
const char *peer_kind_name(unsigned kind);
/* In plain words; "" for PEER_KIND_ONE and for unknown numbers: there the NAT's own description
 * says it. */
const char *peer_kind_words(unsigned kind);

/* Number i (from 0) of all kinds; NULL at the end. */
struct peer_kind_row {
    enum peer_kind kind;
    uint8_t family; /* 4, 6, or 0: a host that has both */
    struct nat_summary nat;
};
const struct peer_kind_row *peer_kind_row(unsigned i);

#endif
