/* SPDX-License-Identifier: ISC */
#include "tests/sim/sim_population.h"

#include <math.h>
#include <string.h>

#include "tests/sim/sim_random.h"

/* The share of preserved ports that somebody else holds. */
#define COLLISIONS 0.01
/* Of NATs that drop or refuse an early SYN, those that take its tuple as well. */
#define POISONED 0.02
/* Of NATs, those whose mapping a RST ends. */
#define RST_ENDS 0.8
#define POOL_MAX 8

struct population {
    const char *name;
    double percent[SIM_KIND_COUNT];
    double double_nat;
    double hop_low, hop_high; /* host to NAT, ms */
};

static const struct population populations[SIM_POPULATION_COUNT] = {
    [SIM_HOME_HEAVY] = {"home",
                        {[SIM_HOME] = 46,
                         [SIM_HOME_RST] = 12,
                         [SIM_HOME_ICMP] = 2,
                         [SIM_OPEN] = 12,
                         [SIM_RANGE] = 12,
                         [SIM_COUNTER] = 5,
                         [SIM_RANDOM] = 7,
                         [SIM_BLOCK] = 3,
                         [SIM_POOL] = 1},
                        .double_nat = 0.15,
                        .hop_low = 1,
                        .hop_high = 5},
    [SIM_MOBILE_HEAVY] = {"mobile",
                          {[SIM_HOME] = 22,
                           [SIM_HOME_RST] = 6,
                           [SIM_HOME_ICMP] = 2,
                           [SIM_OPEN] = 18,
                           [SIM_RANGE] = 14,
                           [SIM_COUNTER] = 9,
                           [SIM_RANDOM] = 14,
                           [SIM_BLOCK] = 9,
                           [SIM_POOL] = 6},
                          .double_nat = 0.60,
                          .hop_low = 15,
                          .hop_high = 50},
};

static const char *const kind_names[SIM_KIND_COUNT] = {
    "public",   "P1-home",    "P2-rst",    "P3-icmp",  "P4-open",
    "P5-range", "P6-counter", "P7-random", "P8-block", "P9-pool",
};

const char *sim_kind_name(enum sim_kind kind)
{
    return kind_names[kind];
}

const char *sim_population_name(enum sim_population p)
{
    return populations[p].name;
}

int sim_kind_from_name(const char *name)
{
    size_t length = strlen(name);
    int i;

    /* "P6" will do. */
    for (i = 0; i < SIM_KIND_COUNT; i++)
        if (length >= 2 && strncmp(kind_names[i], name, length) == 0)
            return i;
    return -1;
}

int sim_population_from_name(const char *name)
{
    int i;

    for (i = 0; i < SIM_POPULATION_COUNT; i++)
        if (strcmp(populations[i].name, name) == 0)
            return i;
    return -1;
}

enum sim_kind sim_population_draw(enum sim_population p, const struct rng *rng)
{
    double at = sim_random_between(rng, 0, 100);
    int i;

    for (i = 0; i < SIM_KIND_COUNT - 1; i++)
        if ((at -= populations[p].percent[i]) < 0)
            break;
    return (enum sim_kind)i;
}

/* ---- NATs ---- */

static void plain(struct nat_model *m, const struct rng *rng)
{
    /* Everything but the tables, which nat_model_start() sees to. */
    memset(m, 0, offsetof(struct nat_model, seen));
    m->rng = rng;
    m->mapping = NAT_EIM;
    m->filtering = NAT_APDF;
    m->allocation = NAT_PRESERVE;
    m->refusal = NAT_SILENCE;
    m->collisions = COLLISIONS;
    m->foreign = sim_random_log_between(rng, 0.1, 1);
    m->keeps_refused = !sim_random_chance(rng, RST_ENDS);
    m->timeout = sim_random_ms(sim_random_between(rng, 120e3, 240e3));
}

static void any_allocation(struct nat_model *m, const struct rng *rng)
{
    static const enum nat_allocation any[] = {NAT_PRESERVE, NAT_COUNTER, NAT_RANDOM};

    m->allocation = any[rng_below(rng, 3)];
    m->delta = 1;
}

static void range(struct nat_model *m, const struct rng *rng)
{
    m->filtering = sim_random_chance(rng, 0.5) ? NAT_ADF : NAT_APDF;
    m->allocation = NAT_RANDOM;
    if (sim_random_chance(rng, 0.5))
        return;
    m->low = 9000;
    m->high = 10900;
}

static int32_t any_delta(const struct rng *rng)
{
    static const int32_t others[] = {-1, 3, 4, 5, 7, 8, 16, 64};
    double at = nat_model_unit(rng);

    if (at < 0.85)
        return 1;
    return at < 0.95 ? 2 : others[rng_below(rng, sizeof(others) / sizeof(others[0]))];
}

/* Half of them are old home routers, and half carriers' with one counter for many. */
static void counter(struct nat_model *m, const struct rng *rng)
{
    m->mapping = NAT_APDM;
    m->allocation = NAT_COUNTER;
    m->delta = any_delta(rng);
    if (sim_random_chance(rng, 0.5))
        m->foreign = sim_random_log_between(rng, 50, 5000);
}

static void random_ports(struct nat_model *m, const struct rng *rng)
{
    m->mapping = NAT_APDM;
    m->allocation = NAT_RANDOM;
    if (sim_random_chance(rng, 0.2))
        m->refusal = NAT_RST;
}

static void block(struct nat_model *m, const struct rng *rng)
{
    m->mapping = NAT_APDM;
    m->allocation = NAT_BLOCK;
    m->block = (uint16_t)(512u << rng_below(rng, 4));
}

static void pool(struct nat_model *m, const struct rng *rng)
{
    if (sim_random_chance(rng, 0.5))
        random_ports(m, rng);
    else
        block(m, rng);
    m->refusal = NAT_SILENCE;
    m->addresses = 2u << rng_below(rng, 3);
}

static void set_kind(struct nat_model *m, enum sim_kind kind, const struct rng *rng)
{
    plain(m, rng);
    switch (kind) {
    case SIM_HOME_RST:
        m->refusal = NAT_RST;
        break;
    case SIM_HOME_ICMP:
        m->refusal = NAT_ICMP;
        break;
    case SIM_OPEN:
        m->filtering = NAT_EIF;
        any_allocation(m, rng);
        break;
    case SIM_RANGE:
        range(m, rng);
        break;
    case SIM_COUNTER:
        counter(m, rng);
        break;
    case SIM_RANDOM:
        random_ports(m, rng);
        break;
    case SIM_BLOCK:
        block(m, rng);
        break;
    case SIM_POOL:
        pool(m, rng);
        break;
    default:
        break;
    }
    m->answers_itself = m->filtering != NAT_EIF && sim_random_chance(rng, POISONED);
}

static struct endpoint address(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return (struct endpoint){.family = 4, .address = {a, b, c, d}};
}

static tick hop(const struct population *p, const struct rng *rng)
{
    return sim_random_ms(sim_random_between(rng, p->hop_low, p->hop_high));
}

void sim_population_place(enum sim_population p, enum sim_kind kind, int side,
                          const struct rng *rng, struct sim_site *site)
{
    const struct population *of = &populations[p];
    uint8_t net = side == 0 ? 1 : 2;
    struct nat_model *outer = &site->nats[0];

    site->listens = true;
    site->nat_count = 0;
    site->host = address(10, 0, net, 2);
    if (kind == SIM_PUBLIC) {
        site->host = address(203, 0, net, (uint8_t)(16 * POOL_MAX));
        return;
    }
    /* The second NAT of a double one is the host's own router, an ordinary one. */
    if (sim_random_chance(rng, of->double_nat)) {
        set_kind(&site->nats[0], sim_random_chance(rng, 0.2) ? SIM_HOME_RST : SIM_HOME, rng);
        site->nats[0].public_address = address(100, 64, net, 7);
        site->hops[0] = sim_random_ms(sim_random_between(rng, 1, 5));
        site->nat_count = 1;
        outer = &site->nats[1];
    }
    set_kind(outer, kind, rng);
    outer->public_address = address(203, 0, net, (uint8_t)(16 * POOL_MAX));
    site->hops[site->nat_count++] = hop(of, rng);
}

/* ---- paths ---- */

/*
 * One-way delays between the outermost NATs and the server. No detour by way of the server is
 * shorter than the direct path, and none is longer than it by more than both ways to the server.
 */
struct sim_paths sim_population_paths(const struct rng *rng)
{
    struct sim_paths out;
    double across = sim_random_log_normal(rng, 25, 0.7, 5, 150), ms[2], least;
    int i;

    for (i = 0; i < 2; i++) {
        ms[i] = sim_random_log_normal(rng, 25, 0.7, 3, 150);
        out.lopsided[i] = sim_random_between(rng, -0.1, 0.1);
    }
    /* The triangle inequality for the ways up and down. */
    least = fmax(fabs(ms[0] * (1 + out.lopsided[0]) - ms[1] * (1 + out.lopsided[1])),
                 fabs(ms[0] * (1 - out.lopsided[0]) - ms[1] * (1 - out.lopsided[1])));
    across = fmin(fmax(across, fmax(5, 1.02 * least + 1)), ms[0] + ms[1] + 5);
    out.across = sim_random_ms(across);
    out.server[0] = sim_random_ms(ms[0]);
    out.server[1] = sim_random_ms(ms[1]);
    return out;
}
