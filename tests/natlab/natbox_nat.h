/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/*
 * The translation point: one packet in, the same packet rewritten (or the
 * refusal it provoked) out. No I/O and no clock.
 */
#ifndef NATBOX_NAT_H
#define NATBOX_NAT_H

#include "natbox_alloc.h"
#include "natbox_packet.h"
#include "natbox_table.h"

enum natbox_nat_refusal {
    NATBOX_NAT_SILENCE,
    NATBOX_NAT_RST,
    NATBOX_NAT_ICMP,
};

enum natbox_nat_verdict {
    NATBOX_NAT_DROP,
    NATBOX_NAT_TO_INSIDE,
    NATBOX_NAT_TO_OUTSIDE,
};

/* Where a packet comes from and goes to, by its addresses. */
enum natbox_nat_path {
    NATBOX_NAT_STRAY,    /* not ours: dropped */
    NATBOX_NAT_LOCAL,    /* inside to inside: routed, not translated */
    NATBOX_NAT_OUTBOUND, /* hairpins too */
    NATBOX_NAT_INBOUND,
};

/* Endpoints that do not apply are 0. */
struct natbox_nat_event {
    const char *what; /* map unmap filter refuse exhausted drop */
    const char *why;
    struct natbox_endpoint inside, public, remote;
};

typedef void natbox_nat_event_fn(void *ctx, const struct natbox_nat_event *e);

struct natbox_nat {
    uint32_t inside, inside_mask;
    enum natbox_table_scope filtering;
    enum natbox_nat_refusal refusal;
    bool refuse_simultaneous_open;
    bool rst_kills, icmp_kills;
    bool hairpin;
    natbox_nat_event_fn *event;
    void *ctx;
    struct natbox_table table; /* mapping, overload, timeout */
    struct natbox_alloc alloc; /* everything about allocation */

    uint64_t now;
};

/* The fields above the empty line are the caller's to set first. */
bool natbox_nat_init(struct natbox_nat *n, uint64_t now);
void natbox_nat_free(struct natbox_nat *n);

enum natbox_nat_path natbox_nat_path(const struct natbox_nat *n, const struct natbox_packet *p);

/* The packet's buffer must hold NATBOX_PACKET_REPLY_MAX bytes. */
enum natbox_nat_verdict natbox_nat_translate(struct natbox_nat *n, struct natbox_packet *p,
                                             uint64_t now);

void natbox_nat_expire(struct natbox_nat *n, uint64_t now);

#endif
