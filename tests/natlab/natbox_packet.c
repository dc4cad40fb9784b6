/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "natbox_packet.h"

#include <string.h>

enum { IP_MIN = 20, TCP_MIN = 20, ICMP_HEAD = 8, QUOTED_TCP_MIN = 8 };
enum { IP_LEN = 2, IP_FRAG = 6, IP_TTL = 8, IP_PROTO = 9, IP_SUM = 10 };
enum { IP_SRC = 12, IP_DST = 16 };
enum { TCP_SRC = 0, TCP_DST = 2, TCP_SEQ = 4, TCP_OFF = 12, TCP_FLAGS = 13 };
enum { TCP_SUM = 16 };
enum { PROTO_ICMP = 1, PROTO_TCP = 6 };

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v & 0xffff);
}

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint64_t sum_bytes(const uint8_t *p, size_t len)
{
    uint64_t sum = 0;

    for (; len > 1; p += 2, len -= 2)
        sum += get16(p);
    return len ? sum + ((uint64_t)*p << 8) : sum;
}

static void set_sum(uint8_t *field, uint64_t sum)
{
    put16(field, (uint16_t)~fold(sum));
}

/* RFC 1624, equation 3: HC' = ~(~HC + ~m + m'). */
static void sum_replace16(uint8_t *field, uint16_t from, uint16_t to)
{
    set_sum(field, (uint64_t)(uint16_t)~get16(field) + (uint16_t)~from + to);
}

static void sum_replace32(uint8_t *field, uint32_t from, uint32_t to)
{
    sum_replace16(field, (uint16_t)(from >> 16), (uint16_t)(to >> 16));
    sum_replace16(field, (uint16_t)from, (uint16_t)to);
}

/* A partial checksum is the plain sum, where a final one is inverted. */
static void invert(uint8_t *field)
{
    field[0] = (uint8_t)~field[0];
    field[1] = (uint8_t)~field[1];
}

/* ---- parsing ------------------------------------------------------- */

static bool parse_tcp(const struct natbox_packet *p, struct natbox_packet_view *v)
{
    const uint8_t *tcp = p->data + v->l4;
    size_t room = p->len - v->l4;
    size_t header;
    bool syn, rst, fin;

    if (room < TCP_MIN)
        return false;
    header = (size_t)(tcp[TCP_OFF] >> 4) * 4;
    if (header < TCP_MIN || header > room)
        return false;
    v->src.port = get16(tcp + TCP_SRC);
    v->dst.port = get16(tcp + TCP_DST);
    v->flags = tcp[TCP_FLAGS];
    syn = v->flags & NATBOX_PACKET_SYN;
    rst = v->flags & NATBOX_PACKET_RST;
    fin = v->flags & NATBOX_PACKET_FIN;
    if ((syn && (rst || fin)) || v->src.port == 0 || v->dst.port == 0)
        return false;
    return true;
}

/* An error without enough of a quoted TCP packet concerns no flow. */
static bool parse_quote(const struct natbox_packet *p, struct natbox_packet_view *v)
{
    const uint8_t *ip = p->data + v->quote;
    size_t room = p->len - v->quote;
    size_t header;

    if (room < IP_MIN || ip[0] >> 4 != 4)
        return false;
    header = (size_t)(ip[0] & 15) * 4;
    if (header < IP_MIN || room < header + QUOTED_TCP_MIN)
        return false;
    if (ip[IP_PROTO] != PROTO_TCP || (get16(ip + IP_FRAG) & 0x1fff))
        return false;
    v->quote_l4 = v->quote + header;
    v->quote_src.addr = get32(ip + IP_SRC);
    v->quote_dst.addr = get32(ip + IP_DST);
    v->quote_src.port = get16(p->data + v->quote_l4 + TCP_SRC);
    v->quote_dst.port = get16(p->data + v->quote_l4 + TCP_DST);
    return true;
}

static enum natbox_packet_kind parse_icmp(const struct natbox_packet *p,
                                          struct natbox_packet_view *v)
{
    const uint8_t *icmp = p->data + v->l4;

    if (p->len - v->l4 < ICMP_HEAD)
        return NATBOX_PACKET_MALFORMED;
    v->icmp_type = icmp[0];
    v->icmp_code = icmp[1];
    if (v->icmp_type != 3 && v->icmp_type != 11)
        return NATBOX_PACKET_OTHER;
    /* Rewriting computes the sum afresh; never bless a broken packet. */
    if (fold(sum_bytes(icmp, p->len - v->l4)) != 0xffff)
        return NATBOX_PACKET_MALFORMED;
    v->quote = v->l4 + ICMP_HEAD;
    return parse_quote(p, v) ? NATBOX_PACKET_ICMP_ERROR : NATBOX_PACKET_MALFORMED;
}

static enum natbox_packet_kind parse_l4(const struct natbox_packet *p, struct natbox_packet_view *v)
{
    switch (p->data[IP_PROTO]) {
    case PROTO_TCP:
        return parse_tcp(p, v) ? NATBOX_PACKET_TCP : NATBOX_PACKET_MALFORMED;
    case PROTO_ICMP:
        return parse_icmp(p, v);
    default:
        return NATBOX_PACKET_OTHER;
    }
}

enum natbox_packet_kind natbox_packet_parse(struct natbox_packet *p, struct natbox_packet_view *v)
{
    const uint8_t *ip = p->data;
    size_t total;

    memset(v, 0, sizeof(*v));
    if (p->len < IP_MIN || ip[0] >> 4 != 4)
        return NATBOX_PACKET_MALFORMED;
    v->l4 = (size_t)(ip[0] & 15) * 4;
    total = get16(ip + IP_LEN);
    if (v->l4 < IP_MIN || total < v->l4 || total > p->len)
        return NATBOX_PACKET_MALFORMED;
    p->len = total; /* what follows is padding */
    v->src.addr = get32(ip + IP_SRC);
    v->dst.addr = get32(ip + IP_DST);
    if (get16(ip + IP_FRAG) & 0x3fff)
        return v->kind = NATBOX_PACKET_FRAGMENT;
    return v->kind = parse_l4(p, v);
}

/* ---- rewriting ----------------------------------------------------- */

static void rewrite_tcp(struct natbox_packet *p, size_t l4, size_t addr_at, size_t port_at,
                        struct natbox_endpoint to)
{
    uint8_t *addr = p->data + addr_at;
    uint8_t *port = p->data + l4 + port_at;
    uint8_t *sum = p->data + l4 + TCP_SUM;

    sum_replace32(p->data + IP_SUM, get32(addr), to.addr);
    if (p->partial) {
        /* The ports are not in it yet: only the addresses are. */
        invert(sum);
        sum_replace32(sum, get32(addr), to.addr);
        invert(sum);
    } else {
        sum_replace32(sum, get32(addr), to.addr);
        sum_replace16(sum, get16(port), to.port);
    }
    put32(addr, to.addr);
    put16(port, to.port);
}

void natbox_packet_set_source(struct natbox_packet *p, struct natbox_packet_view *v,
                              struct natbox_endpoint to)
{
    rewrite_tcp(p, v->l4, IP_SRC, TCP_SRC, to);
    v->src = to;
}

void natbox_packet_set_destination(struct natbox_packet *p, struct natbox_packet_view *v,
                                   struct natbox_endpoint to)
{
    rewrite_tcp(p, v->l4, IP_DST, TCP_DST, to);
    v->dst = to;
}

/* The quoted TCP header is often cut off before its checksum. */
static void rewrite_quote(struct natbox_packet *p, const struct natbox_packet_view *v,
                          size_t addr_at, size_t port_at, struct natbox_endpoint to)
{
    uint8_t *ip = p->data + v->quote;
    uint8_t *addr = ip + addr_at;
    uint8_t *port = p->data + v->quote_l4 + port_at;
    uint8_t *sum = p->data + v->quote_l4 + TCP_SUM;

    sum_replace32(ip + IP_SUM, get32(addr), to.addr);
    if (p->len >= v->quote_l4 + TCP_SUM + 2) {
        sum_replace32(sum, get32(addr), to.addr);
        sum_replace16(sum, get16(port), to.port);
    }
    put32(addr, to.addr);
    put16(port, to.port);
}

static void finish_icmp(struct natbox_packet *p, size_t l4)
{
    uint8_t *icmp = p->data + l4;

    put16(icmp + 2, 0);
    set_sum(icmp + 2, sum_bytes(icmp, p->len - l4));
    p->partial = false;
}

void natbox_packet_icmp_inwards(struct natbox_packet *p, struct natbox_packet_view *v,
                                struct natbox_endpoint inside)
{
    rewrite_quote(p, v, IP_SRC, TCP_SRC, inside);
    sum_replace32(p->data + IP_SUM, v->dst.addr, inside.addr);
    put32(p->data + IP_DST, inside.addr);
    v->dst.addr = inside.addr;
    v->quote_src = inside;
    finish_icmp(p, v->l4);
}

void natbox_packet_icmp_outwards(struct natbox_packet *p, struct natbox_packet_view *v,
                                 struct natbox_endpoint public)
{
    rewrite_quote(p, v, IP_DST, TCP_DST, public);
    sum_replace32(p->data + IP_SUM, v->src.addr, public.addr);
    put32(p->data + IP_SRC, public.addr);
    v->src.addr = public.addr;
    v->quote_dst = public;
    finish_icmp(p, v->l4);
}

/* ---- refusals ------------------------------------------------------ */

/* An IP header from the refused packet's destination to its source. */
static void put_ip(uint8_t *ip, size_t total, uint8_t proto, const struct natbox_packet_view *v)
{
    memset(ip, 0, IP_MIN);
    ip[0] = 0x45;
    put16(ip + IP_LEN, (unsigned)total);
    put16(ip + IP_FRAG, 0x4000);
    ip[IP_TTL] = 64;
    ip[IP_PROTO] = proto;
    put32(ip + IP_SRC, v->dst.addr);
    put32(ip + IP_DST, v->src.addr);
    set_sum(ip + IP_SUM, sum_bytes(ip, IP_MIN));
}

static uint64_t pseudo_sum(const uint8_t *ip, size_t tcp_len)
{
    return sum_bytes(ip + IP_SRC, 8) + PROTO_TCP + tcp_len;
}

void natbox_packet_make_reset(struct natbox_packet *p, const struct natbox_packet_view *v)
{
    const uint8_t *syn = p->data + v->l4;
    size_t header = (size_t)(syn[TCP_OFF] >> 4) * 4;
    size_t payload = p->len - v->l4 - header;
    uint32_t ack = get32(syn + TCP_SEQ) + 1 + (uint32_t)payload;
    uint8_t *tcp = p->data + IP_MIN;

    p->len = IP_MIN + TCP_MIN;
    put_ip(p->data, p->len, PROTO_TCP, v);
    memset(tcp, 0, TCP_MIN);
    put16(tcp + TCP_SRC, v->dst.port);
    put16(tcp + TCP_DST, v->src.port);
    put32(tcp + TCP_SEQ + 4, ack);
    tcp[TCP_OFF] = (TCP_MIN / 4) << 4;
    tcp[TCP_FLAGS] = NATBOX_PACKET_RST | NATBOX_PACKET_ACK;
    set_sum(tcp + TCP_SUM, pseudo_sum(p->data, TCP_MIN) + sum_bytes(tcp, TCP_MIN));
    p->partial = false;
}

/* Whoever reads the quote must find what was really on the wire. */
static void complete(struct natbox_packet *p, const struct natbox_packet_view *v)
{
    uint8_t *tcp = p->data + v->l4;
    size_t len = p->len - v->l4;

    if (!p->partial)
        return;
    put16(tcp + TCP_SUM, 0);
    set_sum(tcp + TCP_SUM, pseudo_sum(p->data, len) + sum_bytes(tcp, len));
    p->partial = false;
}

void natbox_packet_make_unreachable(struct natbox_packet *p, const struct natbox_packet_view *v)
{
    const size_t head = IP_MIN + ICMP_HEAD;
    size_t quoted = p->len;

    complete(p, v);
    if (quoted > NATBOX_PACKET_REPLY_MAX - head)
        quoted = NATBOX_PACKET_REPLY_MAX - head;
    memmove(p->data + head, p->data, quoted);
    p->len = head + quoted;
    put_ip(p->data, p->len, PROTO_ICMP, v);
    memset(p->data + IP_MIN, 0, ICMP_HEAD);
    p->data[IP_MIN] = 3;     /* destination unreachable */
    p->data[IP_MIN + 1] = 3; /* port unreachable */
    finish_icmp(p, IP_MIN);
}
