/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/*
 * Reading and rewriting IPv4 packets. Everything here is pure: bytes in,
 * bytes out. Input is hostile: natbox_packet_parse() checks every length,
 * and the other functions only accept what it has accepted.
 * Addresses and ports are in host byte order.
 */
#ifndef NATBOX_PACKET_H
#define NATBOX_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NATBOX_PACKET_FIN 0x01u
#define NATBOX_PACKET_SYN 0x02u
#define NATBOX_PACKET_RST 0x04u
#define NATBOX_PACKET_ACK 0x10u

/* No refusal is longer than this (RFC 1812, 4.3.2.3). */
#define NATBOX_PACKET_REPLY_MAX 576u

struct natbox_endpoint {
    uint32_t addr;
    uint16_t port;
};

enum natbox_packet_kind {
    NATBOX_PACKET_MALFORMED,
    NATBOX_PACKET_FRAGMENT,
    NATBOX_PACKET_OTHER, /* a protocol that is not translated */
    NATBOX_PACKET_TCP,
    NATBOX_PACKET_ICMP_ERROR, /* about a TCP packet */
};

struct natbox_packet {
    uint8_t *data;
    size_t len;
    size_t cap;
    /* The TCP checksum covers only the pseudo-header;
     * the receiving kernel completes it (checksum offload). */
    bool partial;
};

/* What parsing found; offsets are from the start of the packet. */
struct natbox_packet_view {
    enum natbox_packet_kind kind;
    struct natbox_endpoint src, dst; /* port 0 for ICMP */
    size_t l4;
    uint8_t flags; /* TCP */
    uint8_t icmp_type, icmp_code;
    size_t quote, quote_l4; /* ICMP: the packet it is about */
    struct natbox_endpoint quote_src, quote_dst;
};

enum natbox_packet_kind natbox_packet_parse(struct natbox_packet *p, struct natbox_packet_view *v);

/* Rewrite one end of a TCP packet, checksums included (RFC 1624). The view
 * follows the change. */
void natbox_packet_set_source(struct natbox_packet *p, struct natbox_packet_view *v,
                              struct natbox_endpoint to);
void natbox_packet_set_destination(struct natbox_packet *p, struct natbox_packet_view *v,
                                   struct natbox_endpoint to);

/* Rewrite an ICMP error that travels inwards: its destination and the
 * source of the packet it quotes; or outwards: its source and the
 * destination of the packet it quotes. */
void natbox_packet_icmp_inwards(struct natbox_packet *p, struct natbox_packet_view *v,
                                struct natbox_endpoint inside);
void natbox_packet_icmp_outwards(struct natbox_packet *p, struct natbox_packet_view *v,
                                 struct natbox_endpoint public);

/* Turn a SYN into the RST, or the ICMP port unreachable, that refuses it.
 * The buffer must hold NATBOX_PACKET_REPLY_MAX bytes. */
void natbox_packet_make_reset(struct natbox_packet *p, const struct natbox_packet_view *v);
void natbox_packet_make_unreachable(struct natbox_packet *p, const struct natbox_packet_view *v);

#endif
