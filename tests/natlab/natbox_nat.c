/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "natbox_nat.h"

/* Mappings and flows beyond this are refused: memory is not the lesson. */
#define FLOWS_MAX 2000000u

static const struct natbox_endpoint none;

static void tell(struct natbox_nat *n, const char *what, const char *why,
                 struct natbox_endpoint inside, struct natbox_endpoint public,
                 struct natbox_endpoint remote)
{
    struct natbox_nat_event e = {what, why, inside, public, remote};

    n->event(n->ctx, &e);
}

static void mapping_gone(void *ctx, const struct natbox_mapping *m, const char *why)
{
    struct natbox_nat *n = ctx;

    m->host->used--;
    tell(n, "unmap", why, m->inside, m->public, m->first);
}

bool natbox_nat_init(struct natbox_nat *n, uint64_t now)
{
    n->now = now;
    n->table.gone = mapping_gone;
    n->table.ctx = n;
    return natbox_table_init(&n->table) && natbox_alloc_init(&n->alloc, now);
}

void natbox_nat_free(struct natbox_nat *n)
{
    natbox_table_free(&n->table);
    natbox_alloc_free(&n->alloc);
}

static bool is_inside(const struct natbox_nat *n, uint32_t addr)
{
    return (addr & n->inside_mask) == n->inside;
}

static uint32_t addr_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

enum natbox_nat_path natbox_nat_path(const struct natbox_nat *n, const struct natbox_packet *p)
{
    uint32_t src, dst;

    if (p->len < 20 || p->data[0] >> 4 != 4)
        return NATBOX_NAT_STRAY;
    src = addr_at(p->data + 12);
    dst = addr_at(p->data + 16);
    if (is_inside(n, src))
        return is_inside(n, dst) ? NATBOX_NAT_LOCAL : NATBOX_NAT_OUTBOUND;
    return natbox_alloc_is_public(&n->alloc, dst) ? NATBOX_NAT_INBOUND : NATBOX_NAT_STRAY;
}

static bool opens(const struct natbox_packet_view *v)
{
    return (v->flags & (NATBOX_PACKET_SYN | NATBOX_PACKET_ACK)) == NATBOX_PACKET_SYN;
}

static enum natbox_nat_verdict drop(struct natbox_nat *n, const char *why,
                                    const struct natbox_packet_view *v)
{
    if (is_inside(n, v->src.addr))
        tell(n, "drop", why, v->src, none, v->dst);
    else
        tell(n, "drop", why, none, v->dst, v->src);
    return NATBOX_NAT_DROP;
}

/* Note the segment; a flow whose only answer is RST dies with it. The
 * packet itself has been rewritten and still goes on. */
static void note(struct natbox_nat *n, struct natbox_flow *f, enum natbox_table_side from,
                 const struct natbox_packet_view *v)
{
    natbox_table_segment(&n->table, f, from, v->flags, n->now);
    if (n->rst_kills && (v->flags & NATBOX_PACKET_RST) && !f->answered)
        natbox_table_close(&n->table, f, "rst");
}

/* ---- from inside --------------------------------------------------- */

struct wanted {
    struct natbox_nat *n;
    struct natbox_endpoint remote;
};

static bool is_free(void *ctx, struct natbox_endpoint e)
{
    const struct wanted *w = ctx;

    return natbox_table_free_for(&w->n->table, e, w->remote);
}

static struct natbox_mapping *make_mapping(struct natbox_nat *n, const struct natbox_packet_view *v)
{
    struct wanted w = {n, v->dst};
    struct natbox_host *h = natbox_alloc_host(&n->alloc, v->src.addr);
    struct natbox_endpoint public = none;
    struct natbox_mapping *m;

    if (h == NULL || !natbox_alloc_pick(&n->alloc, h, v->src.port, n->now, is_free, &w, &public))
        return NULL;
    m = natbox_table_map(&n->table, v->src, public, v->dst);
    if (m == NULL)
        return NULL;
    m->host = h;
    if (++h->used > h->peak)
        h->peak = h->used;
    tell(n, "map", NULL, v->src, public, v->dst);
    return m;
}

static struct natbox_flow *open_outbound(struct natbox_nat *n, const struct natbox_packet_view *v)
{
    struct natbox_mapping *m = NULL;
    struct natbox_flow *f = NULL;

    if (n->table.flows < FLOWS_MAX)
        m = natbox_table_reuse(&n->table, v->src, v->dst);
    if (m == NULL && n->table.flows < FLOWS_MAX)
        m = make_mapping(n, v);
    if (m != NULL)
        f = natbox_table_open(&n->table, m, v->dst, NATBOX_TABLE_INSIDE, n->now);
    if (m != NULL && f == NULL)
        natbox_table_unmap_idle(&n->table, m, "memory");
    if (f == NULL)
        tell(n, "exhausted", NULL, v->src, none, v->dst);
    return f;
}

static enum natbox_nat_verdict outbound_tcp(struct natbox_nat *n, struct natbox_packet *p,
                                            struct natbox_packet_view *v)
{
    struct natbox_flow *f;

    f = natbox_table_flow_out(&n->table, v->src, v->dst);
    if (f == NULL && !opens(v))
        return drop(n, "no-state", v);
    if (f == NULL)
        f = open_outbound(n, v);
    if (f == NULL)
        return NATBOX_NAT_DROP;
    natbox_packet_set_source(p, v, f->mapping->public);
    note(n, f, NATBOX_TABLE_INSIDE, v);
    return NATBOX_NAT_TO_OUTSIDE;
}

static enum natbox_nat_verdict outbound_icmp(struct natbox_nat *n, struct natbox_packet *p,
                                             struct natbox_packet_view *v)
{
    struct natbox_flow *f;

    f = natbox_table_flow_out(&n->table, v->quote_dst, v->quote_src);
    if (f == NULL)
        return drop(n, "icmp-no-state", v);
    natbox_packet_icmp_outwards(p, v, f->mapping->public);
    return NATBOX_NAT_TO_OUTSIDE;
}

/* ---- from outside -------------------------------------------------- */

static enum natbox_nat_verdict refuse(struct natbox_nat *n, struct natbox_packet *p,
                                      const struct natbox_packet_view *v)
{
    if (n->refusal == NATBOX_NAT_SILENCE) {
        tell(n, "filter", "unsolicited", none, v->dst, v->src);
        return NATBOX_NAT_DROP;
    }
    if (n->refusal == NATBOX_NAT_RST) {
        tell(n, "refuse", "rst", none, v->dst, v->src);
        natbox_packet_make_reset(p, v);
    } else {
        tell(n, "refuse", "icmp", none, v->dst, v->src);
        natbox_packet_make_unreachable(p, v);
    }
    return NATBOX_NAT_TO_OUTSIDE;
}

static enum natbox_nat_verdict simultaneous(struct natbox_nat *n, const struct natbox_mapping *m,
                                            const struct natbox_packet_view *v)
{
    tell(n, "filter", "simultaneous", m->inside, v->dst, v->src);
    return NATBOX_NAT_DROP;
}

static enum natbox_nat_verdict deliver(struct natbox_nat *n, struct natbox_packet *p,
                                       struct natbox_packet_view *v, struct natbox_flow *f)
{
    natbox_packet_set_destination(p, v, f->mapping->inside);
    note(n, f, NATBOX_TABLE_OUTSIDE, v);
    return NATBOX_NAT_TO_INSIDE;
}

/* A SYN for which there is no flow: only a lenient filter admits it. */
static enum natbox_nat_verdict unsolicited(struct natbox_nat *n, struct natbox_packet *p,
                                           struct natbox_packet_view *v)
{
    struct natbox_mapping *m;
    struct natbox_flow *f;

    m = natbox_table_admit(&n->table, n->filtering, v->dst, v->src);
    if (m == NULL)
        return refuse(n, p, v);
    if (n->refuse_simultaneous_open && natbox_table_syn_sent(m))
        return simultaneous(n, m, v);
    f = n->table.flows < FLOWS_MAX
            ? natbox_table_open(&n->table, m, v->src, NATBOX_TABLE_OUTSIDE, n->now)
            : NULL;
    return f != NULL ? deliver(n, p, v, f) : drop(n, "memory", v);
}

static enum natbox_nat_verdict inbound_tcp(struct natbox_nat *n, struct natbox_packet *p,
                                           struct natbox_packet_view *v)
{
    struct natbox_flow *f;

    f = natbox_table_flow_in(&n->table, v->dst, v->src);
    if (f == NULL)
        return opens(v) ? unsolicited(n, p, v) : drop(n, "no-state", v);
    if (n->refuse_simultaneous_open && opens(v) && !f->answered && f->opener == NATBOX_TABLE_INSIDE)
        return simultaneous(n, f->mapping, v);
    return deliver(n, p, v, f);
}

/* "Fragmentation needed" is advice to the sender, not a refusal. */
static bool refuses(const struct natbox_packet_view *v)
{
    return v->icmp_type == 3 && v->icmp_code != 4;
}

static enum natbox_nat_verdict inbound_icmp(struct natbox_nat *n, struct natbox_packet *p,
                                            struct natbox_packet_view *v)
{
    struct natbox_flow *f;

    f = natbox_table_flow_in(&n->table, v->quote_src, v->quote_dst);
    if (f == NULL)
        return drop(n, "icmp-no-state", v);
    natbox_packet_icmp_inwards(p, v, f->mapping->inside);
    if (n->icmp_kills && refuses(v) && !f->answered)
        natbox_table_close(&n->table, f, "icmp");
    return NATBOX_NAT_TO_INSIDE;
}

/* ---- both ---------------------------------------------------------- */

static enum natbox_nat_verdict outbound(struct natbox_nat *n, struct natbox_packet *p,
                                        struct natbox_packet_view *v)
{
    if (!n->hairpin && natbox_alloc_is_public(&n->alloc, v->dst.addr)) {
        tell(n, "filter", "hairpin", v->src, v->dst, none);
        return NATBOX_NAT_DROP;
    }
    return v->kind == NATBOX_PACKET_TCP ? outbound_tcp(n, p, v) : outbound_icmp(n, p, v);
}

static enum natbox_nat_verdict inbound(struct natbox_nat *n, struct natbox_packet *p,
                                       struct natbox_packet_view *v)
{
    return v->kind == NATBOX_PACKET_TCP ? inbound_tcp(n, p, v) : inbound_icmp(n, p, v);
}

static const char *unwanted(enum natbox_packet_kind kind)
{
    switch (kind) {
    case NATBOX_PACKET_TCP:
    case NATBOX_PACKET_ICMP_ERROR:
        return NULL;
    case NATBOX_PACKET_FRAGMENT:
        return "fragment";
    case NATBOX_PACKET_OTHER:
        return "protocol";
    case NATBOX_PACKET_MALFORMED:
    default:
        return "malformed";
    }
}

/*
 * A hairpin is an outbound packet that arrives at our own outside, and so
 * is the refusal of one; each turn moves the packet one step further, and
 * a refusal is never refused, so that three turns are the most.
 */
enum natbox_nat_verdict natbox_nat_translate(struct natbox_nat *n, struct natbox_packet *p,
                                             uint64_t now)
{
    enum natbox_nat_path path = natbox_nat_path(n, p);
    enum natbox_nat_verdict verdict = NATBOX_NAT_DROP;
    struct natbox_packet_view v;
    unsigned turns = 0;

    if (now > n->now)
        n->now = now;
    natbox_table_expire(&n->table, n->now);
    do {
        const char *why = unwanted(natbox_packet_parse(p, &v));

        if (path == NATBOX_NAT_STRAY)
            return drop(n, "stray", &v);
        if (path == NATBOX_NAT_LOCAL)
            return NATBOX_NAT_TO_INSIDE;
        if (why != NULL)
            return drop(n, why, &v);
        verdict = path == NATBOX_NAT_OUTBOUND ? outbound(n, p, &v) : inbound(n, p, &v);
        path = natbox_nat_path(n, p);
    } while (verdict == NATBOX_NAT_TO_OUTSIDE && path == NATBOX_NAT_INBOUND && ++turns < 3);
    return verdict;
}

void natbox_nat_expire(struct natbox_nat *n, uint64_t now)
{
    if (now > n->now)
        n->now = now;
    natbox_table_expire(&n->table, n->now);
}
