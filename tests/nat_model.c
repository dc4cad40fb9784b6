/* SPDX-License-Identifier: ISC */
#include "nat_model.h"

#include <math.h>
#include <string.h>

#include "server/predict.h"

/* From here on a Poisson variate is drawn by rejection. */
#define POISSON_SUMMED 30.0
/* How often a port is drawn that is taken already, before the NAT gives up. */
#define DRAWS_MAX 2000

double nat_model_unit(const struct rng *rng)
{
    return (rng_u32(rng) + 0.5) / 4294967296.0;
}

static double log_factorial(double n)
{
    int sign;

    return lgamma_r(n + 1, &sign);
}

/* Transformed rejection (Hoermann 1993, algorithm PTRS). */
static unsigned poisson_large(const struct rng *rng, double mean)
{
    double b = 0.931 + 2.53 * sqrt(mean), a = -0.059 + 0.02483 * b;
    double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), sure = 0.9277 - 3.6224 / (b - 2);

    for (;;) {
        double u = nat_model_unit(rng) - 0.5, v = nat_model_unit(rng);
        double us = 0.5 - fabs(u);
        double k = floor((2 * a / us + b) * u + mean + 0.43);

        if (us >= 0.07 && v <= sure)
            return (unsigned)k;
        if (k < 0 || (us < 0.013 && v > us))
            continue;
        if (log(v * inverse_alpha / (a / (us * us) + b)) <= k * log(mean) - mean - log_factorial(k))
            return (unsigned)k;
    }
}

unsigned nat_model_poisson(const struct rng *rng, double mean)
{
    double left = mean;
    unsigned n = 0;

    if (mean <= 0)
        return 0;
    if (mean > POISSON_SUMMED)
        return poisson_large(rng, mean);
    /* Sums of exponential gaps. */
    while ((left += log(nat_model_unit(rng))) > 0)
        n++;
    return n;
}

/* ---- places and chains ---- */

static struct nat_place place_of(const struct endpoint *e)
{
    const uint8_t *a = e->address;

    return (struct nat_place){
        .address = (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3],
        .port = e->port,
    };
}

static struct endpoint endpoint_of(struct nat_place p)
{
    return (struct endpoint){
        .family = 4,
        .port = p.port,
        .address = {(uint8_t)(p.address >> 24), (uint8_t)(p.address >> 16),
                    (uint8_t)(p.address >> 8), (uint8_t)p.address},
    };
}

static bool same(struct nat_place a, struct nat_place b)
{
    return a.port == b.port && a.address == b.address;
}

static unsigned head(uint16_t port, struct nat_place remote)
{
    return (port * 40503u + remote.port * 24593u + remote.address * 2654435761u) >> 5 &
           (NAT_MODEL_HEADS - 1);
}

static const struct nat_place anywhere;

/* ---- ports ---- */

static uint16_t range_low(const struct nat_model *m)
{
    return m->low ? m->low : PROFILE_PORT_LOW;
}

static uint16_t range_high(const struct nat_model *m)
{
    return m->high ? m->high : PROFILE_PORT_HIGH;
}

static uint16_t any_port(const struct nat_model *m)
{
    return (uint16_t)(m->block_low + rng_below(m->rng, (uint32_t)m->block_high - m->block_low + 1));
}

static void choose_block(struct nat_model *m)
{
    uint32_t blocks, low = range_low(m), high = range_high(m);

    m->block_low = (uint16_t)low;
    m->block_high = (uint16_t)high;
    if (m->block == 0 || (blocks = (high - low + 1) / m->block) == 0)
        return;
    m->block_low = (uint16_t)(low + m->block * rng_below(m->rng, blocks));
    m->block_high = (uint16_t)(m->block_low + m->block - 1);
}

void nat_model_forget(struct nat_model *m)
{
    m->count = m->mapping_count = m->early_count = 0;
    memset(m->out, 0, sizeof(m->out));
    memset(m->in, 0, sizeof(m->in));
    memset(m->by_inside, 0, sizeof(m->by_inside));
    memset(m->by_public, 0, sizeof(m->by_public));
    memset(m->used, 0, sizeof(m->used));
}

void nat_model_start(struct nat_model *m, tick now)
{
    nat_model_forget(m);
    m->seen = now;
    choose_block(m);
    m->last = any_port(m);
}

static uint16_t step_on(const struct nat_model *m, unsigned steps)
{
    return counter_step(m->last, m->delta, steps, m->block_low, m->block_high);
}

static void play_others(struct nat_model *m, tick at)
{
    if (at <= m->seen)
        return;
    if (m->allocation == NAT_COUNTER && m->foreign > 0)
        m->last = step_on(m, nat_model_poisson(m->rng, m->foreign * tick_seconds(at - m->seen)));
    m->seen = at;
}

static bool taken(const struct nat_model *m, uint16_t port)
{
    return !m->overload && (m->used[port / 8] >> port % 8 & 1);
}

static bool occupied(const struct nat_model *m, uint16_t port, struct nat_place remote)
{
    unsigned i;

    for (i = 0; i < m->early_count; i++)
        if (m->early_port[i] == port && same(m->early[i], remote))
            return true;
    return false;
}

static uint16_t draw(const struct nat_model *m)
{
    uint16_t port = 0;
    unsigned i;

    for (i = 0; i < DRAWS_MAX; i++)
        if (!taken(m, port = any_port(m)))
            return port;
    return 0;
}

static bool collides(const struct nat_model *m)
{
    return m->collisions > 0 && nat_model_unit(m->rng) < m->collisions;
}

/* Whether somebody else holds the port that is to be preserved, now and when asked again. */
static bool held_by_others(const struct nat_model *m, uint16_t port)
{
    uint32_t mixed = (port + m->last * 65539u) * 2654435761u;

    return (mixed >> 8) / 16777216.0 < m->collisions;
}

static uint16_t count_on(struct nat_model *m)
{
    do
        m->last = step_on(m, 1);
    while (collides(m));
    return m->last;
}

static uint16_t pick(struct nat_model *m, uint16_t local, struct nat_place remote)
{
    switch (m->allocation) {
    case NAT_PRESERVE:
        return held_by_others(m, local) || occupied(m, local, remote) ? draw(m) : local;
    case NAT_OFFSET:
        return held_by_others(m, local) ? draw(m) : (uint16_t)(local + m->delta);
    case NAT_COUNTER:
        return count_on(m);
    default:
        return draw(m);
    }
}

/* ---- mappings ---- */

/* Of a destination, what the mapping depends on. */
static struct nat_place key_of(const struct nat_model *m, struct nat_place remote)
{
    if (m->mapping == NAT_APDM)
        return remote;
    if (m->mapping == NAT_EIM)
        return anywhere;
    return (struct nat_place){.address = remote.address};
}

static bool expired(const struct nat_model *m, tick used, tick at)
{
    return m->timeout > 0 && at - used > m->timeout;
}

static struct nat_model_mapping *find_mapping(struct nat_model *m, struct nat_place inside,
                                              struct nat_place key, tick at)
{
    uint16_t i = m->by_inside[head(inside.port, key)];

    for (; i != 0; i = m->mappings[i - 1].next_inside) {
        struct nat_model_mapping *x = &m->mappings[i - 1];

        if (!x->dead && same(x->inside, inside) && same(x->remote, key) && !expired(m, x->used, at))
            return x;
    }
    return NULL;
}

static struct nat_model_mapping *find_public(struct nat_model *m, struct nat_place public, tick at)
{
    uint16_t i = m->by_public[head(public.port, anywhere)];

    for (; i != 0; i = m->mappings[i - 1].next_public) {
        struct nat_model_mapping *x = &m->mappings[i - 1];

        if (!x->dead && same(x->public, public) && !expired(m, x->used, at))
            return x;
    }
    return NULL;
}

static uint32_t pick_address(const struct nat_model *m)
{
    uint32_t address = place_of(&m->public_address).address;

    return m->addresses > 1 ? address + rng_below(m->rng, m->addresses) : address;
}

static struct nat_model_mapping *add_mapping(struct nat_model *m, struct nat_place inside,
                                             struct nat_place remote)
{
    struct nat_place key = key_of(m, remote);
    struct nat_model_mapping *x = &m->mappings[m->mapping_count];
    uint16_t *heads[2], port;

    if (m->mapping_count == NAT_MODEL_FLOWS || (port = pick(m, inside.port, remote)) == 0)
        return NULL;
    *x = (struct nat_model_mapping){.inside = inside, .remote = key};
    x->public = (struct nat_place){.address = pick_address(m), .port = port};
    heads[0] = &m->by_inside[head(inside.port, key)];
    heads[1] = &m->by_public[head(port, anywhere)];
    x->next_inside = *heads[0];
    x->next_public = *heads[1];
    *heads[0] = *heads[1] = (uint16_t)++m->mapping_count;
    m->used[port / 8] |= (uint8_t)(1u << port % 8);
    return x;
}

static bool contacted(const struct nat_model_mapping *x, uint32_t address)
{
    unsigned i;

    for (i = 0; i < x->contact_count; i++)
        if (x->contacts[i] == address)
            return true;
    return false;
}

static void contact(struct nat_model_mapping *x, uint32_t address)
{
    const unsigned most = sizeof(x->contacts) / sizeof(x->contacts[0]);

    /* Whom it has sent to longest ago is forgotten first. */
    if (contacted(x, address))
        return;
    if (x->contact_count == most)
        memmove(x->contacts, x->contacts + 1, sizeof(x->contacts) - sizeof(x->contacts[0]));
    else
        x->contact_count++;
    x->contacts[x->contact_count - 1] = address;
}

/* ---- flows ---- */

static struct nat_model_flow *find_out(struct nat_model *m, struct nat_place inside,
                                       struct nat_place remote, tick at)
{
    uint16_t i = m->out[head(inside.port, remote)];

    for (; i != 0; i = m->flows[i - 1].next_out) {
        struct nat_model_flow *f = &m->flows[i - 1];

        if (!f->dead && same(f->remote, remote) && same(m->mappings[f->mapping].inside, inside) &&
            !expired(m, f->used, at))
            return f;
    }
    return NULL;
}

static struct nat_model_flow *find_in(struct nat_model *m, struct nat_place public,
                                      struct nat_place remote, tick at)
{
    uint16_t i = m->in[head(public.port, remote)];

    for (; i != 0; i = m->flows[i - 1].next_in) {
        struct nat_model_flow *f = &m->flows[i - 1];

        if (!f->dead && same(f->remote, remote) && same(m->mappings[f->mapping].public, public) &&
            !expired(m, f->used, at))
            return f;
    }
    return NULL;
}

static struct nat_model_flow *add_flow(struct nat_model *m, const struct nat_model_mapping *x,
                                       struct nat_place remote)
{
    struct nat_model_flow *f = &m->flows[m->count];
    uint16_t *heads[2];

    if (m->count == NAT_MODEL_FLOWS)
        return NULL;
    *f = (struct nat_model_flow){.remote = remote, .mapping = (uint16_t)(x - m->mappings)};
    heads[0] = &m->out[head(x->inside.port, remote)];
    heads[1] = &m->in[head(x->public.port, remote)];
    f->next_out = *heads[0];
    f->next_in = *heads[1];
    *heads[0] = *heads[1] = (uint16_t)++m->count;
    return f;
}

static struct nat_model_flow *open_flow(struct nat_model *m, struct nat_place inside,
                                        struct nat_place remote, tick at)
{
    struct nat_model_mapping *x = find_mapping(m, inside, key_of(m, remote), at);

    if (x == NULL)
        x = add_mapping(m, inside, remote);
    return x != NULL ? add_flow(m, x, remote) : NULL;
}

static void use(struct nat_model *m, struct nat_model_flow *f, tick at)
{
    f->used = at;
    m->mappings[f->mapping].used = at;
}

/* The flow is gone, and its mapping with it where nothing else goes through that. */
static void end_flow(struct nat_model *m, struct nat_model_flow *f)
{
    unsigned i;

    f->dead = true;
    if (m->mapping != NAT_APDM)
        for (i = 0; i < m->count; i++)
            if (!m->flows[i].dead && m->flows[i].mapping == f->mapping)
                return;
    m->mappings[f->mapping].dead = true;
}

/*
 * What Linux's connection tracking does: once SYNs have gone both ways, another first sequence
 * number is out of the window, and the segment invalid.
 */
static bool valid(struct nat_model_flow *f, const struct nat_segment *s)
{
    if (s->kind != NAT_SEGMENT_SYN && s->kind != NAT_SEGMENT_SYN_ACK)
        return true;
    if (f->sent && f->received && f->sequence != s->sequence)
        return false;
    f->sequence = s->sequence;
    f->sent = true;
    return true;
}

enum nat_verdict nat_model_outbound(struct nat_model *m, struct nat_segment *s, tick at)
{
    struct nat_place inside = place_of(&s->from), remote = place_of(&s->to);
    struct nat_model_flow *f;
    struct nat_model_mapping *x;

    if (m->mapping == NAT_MAPPING_NONE)
        return NAT_PASS;
    play_others(m, at);
    f = find_out(m, inside, remote, at);
    if (f == NULL && s->kind == NAT_SEGMENT_SYN)
        f = open_flow(m, inside, remote, at);
    if (f == NULL || !valid(f, s))
        return NAT_DROP;
    use(m, f, at);
    x = &m->mappings[f->mapping];
    contact(x, remote.address);
    f->established |= s->kind == NAT_SEGMENT_ACK;
    s->from = endpoint_of(x->public);
    if (s->kind == NAT_SEGMENT_RST && !m->keeps_refused)
        end_flow(m, f);
    return NAT_PASS;
}

static enum nat_verdict refuse(struct nat_model *m, const struct nat_segment *s,
                               struct nat_place public, struct nat_place remote)
{
    if (s->kind != NAT_SEGMENT_SYN)
        return NAT_DROP;
    if (m->answers_itself && m->early_count < sizeof(m->early) / sizeof(m->early[0])) {
        m->early_port[m->early_count] = public.port;
        m->early[m->early_count++] = remote;
    }
    switch (m->refusal) {
    case NAT_RST:
        return NAT_ANSWER_RST;
    case NAT_ICMP:
        return NAT_ANSWER_ICMP;
    default:
        return NAT_DROP;
    }
}

/* A SYN of nobody that the inside has sent to: what a lenient filter does with it. */
static struct nat_model_flow *let_in(struct nat_model *m, struct nat_place public,
                                     struct nat_place remote, tick at)
{
    struct nat_model_mapping *x = find_public(m, public, at);

    if (x == NULL)
        return NULL;
    if (m->filtering == NAT_EIF || (m->filtering == NAT_ADF && contacted(x, remote.address)))
        return add_flow(m, x, remote);
    return NULL;
}

enum nat_verdict nat_model_inbound(struct nat_model *m, struct nat_segment *s, tick at)
{
    struct nat_place public = place_of(&s->to), remote = place_of(&s->from);
    struct nat_model_flow *f;

    if (m->mapping == NAT_MAPPING_NONE)
        return NAT_PASS;
    play_others(m, at);
    f = find_in(m, public, remote, at);
    if (f == NULL && s->kind == NAT_SEGMENT_SYN)
        f = let_in(m, public, remote, at);
    if (f == NULL)
        return refuse(m, s, public, remote);
    if (s->kind == NAT_SEGMENT_SYN && m->no_simultaneous_open && f->sent && !f->established)
        return NAT_DROP;
    use(m, f, at);
    f->received |= s->kind == NAT_SEGMENT_SYN || s->kind == NAT_SEGMENT_SYN_ACK;
    s->to = endpoint_of(m->mappings[f->mapping].inside);
    if (s->kind == NAT_SEGMENT_RST && !m->keeps_refused && !f->established)
        end_flow(m, f);
    return NAT_PASS;
}

uint16_t nat_model_port(struct nat_model *m, uint16_t local, struct endpoint remote, tick at)
{
    struct nat_segment s = {
        .from = {.family = 4, .address = {10, 0, 0, 1}, .port = local},
        .to = remote,
    };

    return nat_model_outbound(m, &s, at) == NAT_PASS ? s.from.port : 0;
}

size_t nat_model_observe(struct nat_model *m, const struct steps *steps, uint16_t base, tick rtt,
                         tick *now, struct observation *out)
{
    size_t i;

    for (i = 0; i < steps->count; i++) {
        const struct step *s = &steps->at[i];
        uint16_t local = (uint16_t)(base + 3 * s->socket);

        *now += s->flags & STEP_BURST ? 40 * TICK_US : (i > 0 ? 2 * rtt : 0);
        *now += s->pause_us * TICK_US;
        out[i] = (struct observation){
            .at = *now + rng_interval(m->rng, 200 * TICK_US),
            .server = s->server,
            .socket = s->socket,
            .step = (uint8_t)i,
            .burst = s->flags & STEP_BURST,
        };
        out[i].observed =
            endpoint_with_port(m->public_address, nat_model_port(m, local, s->server, *now));
        out[i].local = m->public_address;
        if (m->mapping != NAT_MAPPING_NONE)
            out[i].local.address[0] = 10;
        out[i].local.port = local;
    }
    *now += rtt;
    return steps->count;
}

struct survey_servers nat_model_servers(unsigned addresses)
{
    struct survey_servers s = {.family = 4, .port_count = 3, .ports = {5382, 5383, 5384}};
    unsigned i;

    s.address_count = (uint8_t)addresses;
    for (i = 0; i < addresses; i++)
        s.addresses[i] =
            (struct endpoint){.family = 4, .address = {198, 51, 100, (uint8_t)(10 + i)}};
    return s;
}
