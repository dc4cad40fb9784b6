/* SPDX-License-Identifier: ISC */
#include "nat_model.h"

#include <math.h>
#include <string.h>

#include "server/predict.h"

double nat_model_unit(const struct rng *rng)
{
    return (rng_u32(rng) + 0.5) / 4294967296.0;
}

unsigned nat_model_poisson(const struct rng *rng, double mean)
{
    double left = mean;
    unsigned n = 0;

    /* Sums of exponential gaps: exact, and quick enough for the means of tests. */
    while ((left += log(nat_model_unit(rng))) > 0)
        n++;
    return n;
}

static uint16_t low_of(const struct nat_model *m)
{
    return m->low ? m->low : PROFILE_PORT_LOW;
}

static uint16_t high_of(const struct nat_model *m)
{
    return m->high ? m->high : PROFILE_PORT_HIGH;
}

static uint16_t any_port(const struct nat_model *m)
{
    return (uint16_t)(low_of(m) + rng_below(m->rng, (uint32_t)high_of(m) - low_of(m) + 1));
}

void nat_model_start(struct nat_model *m, tick now)
{
    m->seen = now;
    m->count = 0;
    m->last = any_port(m);
}

static void play_others(struct nat_model *m, tick at)
{
    unsigned n;

    if (at <= m->seen)
        return;
    n = nat_model_poisson(m->rng, m->foreign * tick_seconds(at - m->seen));
    if (m->allocation == NAT_COUNTER)
        m->last = counter_step(m->last, m->delta, n, low_of(m), high_of(m));
    m->seen = at;
}

static bool taken(const struct nat_model *m, uint16_t port)
{
    unsigned i;

    for (i = 0; i < m->count; i++)
        if (m->flows[i].port == port)
            return true;
    return false;
}

static uint16_t pick(struct nat_model *m, uint16_t local)
{
    uint16_t port;

    switch (m->allocation) {
    case NAT_PRESERVE:
        return nat_model_unit(m->rng) < m->collisions ? any_port(m) : local;
    case NAT_OFFSET:
        return (uint16_t)(local + m->delta);
    case NAT_COUNTER:
        return m->last = counter_step(m->last, m->delta, 1, low_of(m), high_of(m));
    default:
        do
            port = any_port(m);
        while (taken(m, port));
        return port;
    }
}

static bool same_mapping(const struct nat_model *m, const struct endpoint *a,
                         const struct endpoint *b)
{
    if (m->mapping == NAT_APDM)
        return endpoint_equal(a, b);
    return m->mapping == NAT_EIM || endpoint_same_address(a, b);
}

uint16_t nat_model_port(struct nat_model *m, uint16_t local, struct endpoint remote, tick at)
{
    unsigned i;

    if (m->mapping == NAT_MAPPING_NONE)
        return local;
    play_others(m, at);
    for (i = 0; i < m->count; i++)
        if (m->flows[i].local == local && same_mapping(m, &m->flows[i].remote, &remote))
            return m->flows[i].port;
    if (m->count == NAT_MODEL_FLOWS)
        return 0;
    m->flows[i].port = pick(m, local);
    m->flows[i].local = local;
    m->flows[i].remote = remote;
    m->count++;
    return m->flows[i].port;
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
