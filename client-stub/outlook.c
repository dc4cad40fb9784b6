/* SPDX-License-Identifier: ISC */
#include "client-stub/outlook.h"

#include <string.h>

#include "client-stub/core.h"
#include "proto/peer_kind.h"

#define MILLION 1000000

/* The levels: a chance of at least this much ... */
#define SURE   0.95
#define LIKELY 0.75
#define EVEN   0.40

/* ---- making ---- */

struct tryst_outlook *outlook_new(struct tryst_context *ctx)
{
    struct tryst_outlook *o = core_alloc(ctx, sizeof(*o));

    if (o)
        o->alloc = ctx->alloc;
    return o;
}

void tryst_outlook_free(struct tryst_outlook *o)
{
    if (!o)
        return;
    struct tryst_allocator alloc = o->alloc;
    alloc.release(alloc.user, o);
}

static void fill_nat(struct tryst_nat *n, const struct nat_summary *summary, uint8_t family)
{
    n->summary = *summary;
    n->family = family;
    (void)nat_describe(summary, n->words, sizeof(n->words));
}

static double chance_of(uint32_t millionths)
{
    return millionths < MILLION ? (double)millionths / MILLION : 1;
}

static void fill_prospect(struct tryst_prospect *p, const struct prospect *from)
{
    p->kind = from->kind;
    p->reason = from->reason;
    p->chance = chance_of(from->chance);
    p->birthday = chance_of(from->birthday);
    fill_nat(&p->nat, &from->nat, from->family);
}

void outlook_fill(struct tryst_outlook *o, const struct msg_checked *m, bool birthday)
{
    o->one = !key_is_zero(m->peer);
    memcpy(o->peer_key, m->peer, sizeof(o->peer_key));
    o->birthday = birthday;
    o->same_address = m->flags & CHECKED_SAME_ADDRESS;
    o->rounds = m->rounds;
    o->nat_count = m->nats.count;
    for (unsigned i = 0; i < o->nat_count; i++) {
        const struct nat_at *at = &m->nats.at[i];
        fill_nat(&o->nats[i], &at->nat, at->address.family);
        if (at->address.family)
            (void)endpoint_format_address(&at->address, o->nats[i].address);
    }
    o->prospect_count = m->prospects.count;
    for (unsigned i = 0; i < o->prospect_count; i++)
        fill_prospect(&o->prospects[i], &m->prospects.at[i]);
}

/* ---- what the application reads ---- */

int tryst_outlook_peer_key(const struct tryst_outlook *o, uint8_t key[TRYST_KEY_SIZE])
{
    if (!o->one)
        return -TRYST_STATE;
    memcpy(key, o->peer_key, TRYST_KEY_SIZE);
    return 0;
}

int tryst_outlook_rounds(const struct tryst_outlook *o)
{
    return o->rounds;
}

int tryst_outlook_same_address(const struct tryst_outlook *o)
{
    return o->same_address;
}

int tryst_outlook_nats(const struct tryst_outlook *o)
{
    return (int)o->nat_count;
}

const struct tryst_nat *tryst_outlook_nat(const struct tryst_outlook *o, int i)
{
    return i >= 0 && (unsigned)i < o->nat_count ? &o->nats[i] : NULL;
}

int tryst_outlook_prospects(const struct tryst_outlook *o)
{
    return (int)o->prospect_count;
}

const struct tryst_prospect *tryst_outlook_prospect(const struct tryst_outlook *o, int i)
{
    return i >= 0 && (unsigned)i < o->prospect_count ? &o->prospects[i] : NULL;
}

int tryst_nat_family(const struct tryst_nat *n)
{
    return n->family;
}

const char *tryst_nat_address(const struct tryst_nat *n)
{
    return n->address;
}

const char *tryst_nat_words(const struct tryst_nat *n)
{
    return n->words;
}

const char *tryst_nat_mapping(const struct tryst_nat *n)
{
    return nat_mapping_name(n->summary.mapping);
}

const char *tryst_nat_filtering(const struct tryst_nat *n)
{
    return nat_filtering_name(n->summary.filtering);
}

const char *tryst_nat_allocation(const struct tryst_nat *n)
{
    return nat_allocation_name(n->summary.allocation);
}

const char *tryst_nat_refusal(const struct tryst_nat *n)
{
    return nat_refusal_name(n->summary.refusal);
}

const char *tryst_nat_pooling(const struct tryst_nat *n)
{
    return nat_pooling_name(n->summary.pooling);
}

int tryst_nat_confidence(const struct tryst_nat *n)
{
    return n->summary.confidence <= 100 ? n->summary.confidence : 100;
}

unsigned long tryst_nat_samples(const struct tryst_nat *n)
{
    return n->summary.samples;
}

long tryst_nat_delta(const struct tryst_nat *n)
{
    return n->summary.delta;
}

double tryst_nat_drift(const struct tryst_nat *n)
{
    return n->summary.drift / 1000.0;
}

int tryst_nat_block(const struct tryst_nat *n, unsigned *low, unsigned *high)
{
    if (n->summary.allocation != NAT_BLOCK)
        return -TRYST_STATE;
    *low = n->summary.block_low;
    *high = n->summary.block_high;
    return 0;
}

const char *tryst_prospect_kind(const struct tryst_prospect *p)
{
    return peer_kind_name(p->kind);
}

const char *tryst_prospect_words(const struct tryst_prospect *p)
{
    const char *words = peer_kind_words(p->kind);

    return *words ? words : p->nat.words;
}

int tryst_prospect_family(const struct tryst_prospect *p)
{
    return p->nat.family;
}

int tryst_prospect_reason(const struct tryst_prospect *p)
{
    return p->reason;
}

double tryst_prospect_chance(const struct tryst_prospect *p)
{
    return p->chance;
}

double tryst_prospect_birthday(const struct tryst_prospect *p)
{
    return p->birthday;
}

const struct tryst_nat *tryst_prospect_nat(const struct tryst_prospect *p)
{
    return &p->nat;
}

const char *tryst_prospect_level(const struct tryst_prospect *p)
{
    if (p->reason != TRYST_OK)
        return "no";
    return p->chance >= SURE     ? "sure"
           : p->chance >= LIKELY ? "likely"
           : p->chance >= EVEN   ? "even"
                                 : "poor";
}
