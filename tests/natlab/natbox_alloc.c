/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "natbox_alloc.h"

#include <stdlib.h>

/* A spoofing host must not be able to eat all memory. */
#define HOSTS_MAX        65536u
#define SECOND           1000000000.0
#define FOREIGN_HOLD_MAX 30.0

/* One search for a port, so that the policies can share the question. */
struct search {
    struct natbox_alloc *a;
    struct natbox_alloc_public *public;
    uint64_t now;
    natbox_alloc_free_fn *is_free;
    void *ctx;
    struct natbox_endpoint *out;
};

static uint32_t range(const struct natbox_alloc *a)
{
    return (uint32_t)a->high - a->low + 1;
}

/* The counter's next value after one allocation, in [0, range). */
static uint32_t stepped(const struct natbox_alloc *a, uint32_t at, uint64_t n)
{
    int64_t size = range(a);
    int64_t by = (int64_t)(n % (uint64_t)size) * (a->step % size);

    return (uint32_t)((((int64_t)at + by) % size + size) % size);
}

static bool init_public(struct natbox_alloc *a, struct natbox_alloc_public *p)
{
    p->next = a->start ? (uint32_t)a->start - a->low : natbox_random_below(&a->random, range(a));
    if (a->foreign_rate > 0) {
        p->foreign = calloc(65536, sizeof(*p->foreign));
        if (p->foreign == NULL)
            return false;
    }
    if (a->policy == NATBOX_ALLOC_BLOCK_EACH) {
        p->blocks_left = range(a) / a->block_size;
        p->block_taken = calloc(p->blocks_left + 1, 1);
        if (p->block_taken == NULL)
            return false;
    }
    return true;
}

bool natbox_alloc_init(struct natbox_alloc *a, uint64_t now)
{
    double hold = FOREIGN_HOLD_MAX;
    unsigned i;

    /* Others may hold a quarter of the ports at most: a NAT that is
     * full teaches nothing. */
    if (a->foreign_rate * hold > range(a) / 4.0)
        hold = range(a) / 4.0 / a->foreign_rate;
    a->foreign_hold = (uint64_t)(hold * SECOND);
    a->foreign_seen = now;
    a->host_tail = &a->first_host;
    for (i = 0; i < a->publics; i++)
        if (!init_public(a, &a->public[i]))
            return false;
    return natbox_hash_init(&a->hosts);
}

void natbox_alloc_free(struct natbox_alloc *a)
{
    unsigned i;

    while (a->first_host != NULL) {
        struct natbox_host *h = a->first_host;

        a->first_host = h->next;
        free(h);
    }
    for (i = 0; i < a->publics; i++) {
        free(a->public[i].foreign);
        free(a->public[i].block_taken);
    }
    natbox_hash_free(&a->hosts);
}

struct natbox_host *natbox_alloc_host(struct natbox_alloc *a, uint32_t addr)
{
    uint64_t hash = natbox_hash_mix(addr, 0);
    struct natbox_hash_node *n = natbox_hash_first(&a->hosts, hash);
    struct natbox_host *h;

    for (; n != NULL; n = natbox_hash_next(n)) {
        h = NATBOX_HASH_ENTRY(n, struct natbox_host, node);
        if (h->addr == addr)
            return h;
    }
    if (a->host_count >= HOSTS_MAX)
        return NULL;
    h = calloc(1, sizeof(*h));
    if (h == NULL)
        return NULL;
    h->addr = addr;
    h->paired = a->host_count++ % a->publics;
    natbox_hash_add(&a->hosts, &h->node, hash);
    *a->host_tail = h;
    a->host_tail = &h->next;
    return h;
}

bool natbox_alloc_is_public(const struct natbox_alloc *a, uint32_t addr)
{
    unsigned i;

    for (i = 0; i < a->publics; i++)
        if (a->public[i].addr == addr)
            return true;
    return false;
}

/* ---- other subscribers --------------------------------------------- */

/* Blocks belong to one subscriber: others cannot take their ports. */
static uint32_t foreign_port(struct natbox_alloc *a, struct natbox_alloc_public *p)
{
    uint32_t at = p->next;

    if (a->policy != NATBOX_ALLOC_COUNTER)
        return a->low + natbox_random_below(&a->random, range(a));
    p->next = stepped(a, at, 1);
    return a->low + at;
}

static void play_foreign(struct natbox_alloc *a, struct natbox_alloc_public *p, uint64_t since,
                         uint64_t now)
{
    double seconds = (double)(now - since) / SECOND;
    uint64_t n, i, skip;

    n = natbox_random_poisson(&a->random, seconds * a->foreign_rate);
    /* After a long pause only the latest can still hold their ports. */
    skip = n > range(a) ? n - range(a) : 0;
    if (a->policy == NATBOX_ALLOC_COUNTER)
        p->next = stepped(a, p->next, skip);
    for (i = skip; i < n; i++) {
        double when = (double)(now - since) * (double)(i + 1) / (double)n;

        p->foreign[foreign_port(a, p)] = since + (uint64_t)when + a->foreign_hold;
    }
}

/* Nobody can tell when they came, so they come when somebody looks. */
static void catch_up(struct natbox_alloc *a, uint64_t now)
{
    unsigned i;

    if (a->foreign_rate <= 0 || a->policy == NATBOX_ALLOC_BLOCK ||
        a->policy == NATBOX_ALLOC_BLOCK_EACH || now <= a->foreign_seen)
        return;
    for (i = 0; i < a->publics; i++)
        play_foreign(a, &a->public[i], a -> foreign_seen, now);
    a->foreign_seen = now;
}

/* ---- the policies -------------------------------------------------- */

static bool take(const struct search *s, uint32_t port)
{
    struct natbox_endpoint e = {s->public->addr, (uint16_t)port};

    if (s->public->foreign != NULL && s->public->foreign[port] > s->now)
        return false;
    if (!s->is_free(s->ctx, e))
        return false;
    *s->out = e;
    return true;
}

/* The next free port upwards, round from high to low. */
static bool take_from(const struct search *s, uint32_t port, uint32_t low, uint32_t high)
{
    uint32_t i;

    for (i = low; i <= high; i++) {
        if (take(s, port))
            return true;
        port = port >= high || port < low ? low : port + 1;
    }
    return false;
}

static bool take_random(const struct search *s, uint32_t low, uint32_t high)
{
    uint32_t n = high - low + 1;
    struct natbox_random *r = &s->a->random;
    unsigned tries;

    for (tries = 0; tries < 64; tries++)
        if (take(s, low + natbox_random_below(r, n)))
            return true;
    return take_from(s, low + natbox_random_below(r, n), low, high);
}

static bool take_near(const struct search *s, int32_t port)
{
    const struct natbox_alloc *a = s->a;

    if (port < 1 || port > 65535) {
        int32_t n = (int32_t)range(a);

        port = a->low + ((port - a->low) % n + n) % n;
    }
    return take(s, (uint32_t)port) || take_from(s, (uint32_t)port, a->low, a->high);
}

static bool take_counter(const struct search *s)
{
    const struct natbox_alloc *a = s->a;
    uint32_t i;

    for (i = 0; i < range(a); i++) {
        uint32_t at = s->public->next;

        s->public->next = stepped(a, at, 1);
        if (take(s, a->low + at))
            return true;
    }
    /* A delta that divides the range never visits the other ports. */
    return take_from(s, a->low + s->public->next, a->low, a->high);
}

/* Assigned at random among those left, and kept: subscribers do not move. */
static bool assign_block(const struct search *s, uint16_t *block)
{
    struct natbox_alloc_public *p = s->public;
    size_t skip, i;

    if (p->blocks_left == 0)
        return false;
    skip = natbox_random_below(&s->a->random, (uint32_t)p->blocks_left--);
    for (i = 0; p->block_taken[i] || skip > 0; i++)
        skip -= !p->block_taken[i];
    p->block_taken[i] = 1;
    *block = (uint16_t)(s->a->low + i * s->a->block_size);
    return true;
}

static bool take_own_block(const struct search *s, struct natbox_host *h)
{
    uint16_t *block = &h->block[s->public - s->a->public];

    if (*block == 0 && !assign_block(s, block))
        return false;
    return take_random(s, *block, (uint32_t)*block + s->a->block_size - 1);
}

bool natbox_alloc_pick(struct natbox_alloc *a, struct natbox_host *h, uint16_t inside_port,
                       uint64_t now, natbox_alloc_free_fn *is_free, void *ctx,
                       struct natbox_endpoint *out)
{
    struct search s = {a, NULL, now, is_free, ctx, out};
    unsigned which = a->arbitrary ? natbox_random_below(&a->random, a->publics) : h->paired;

    s.public = &a->public[which];
    catch_up(a, now);
    switch (a->policy) {
    case NATBOX_ALLOC_OFFSET:
        return take_near(&s, inside_port + a->step);
    case NATBOX_ALLOC_COUNTER:
        return take_counter(&s);
    case NATBOX_ALLOC_BLOCK:
        return take_random(&s, a->block_low, a->block_high);
    case NATBOX_ALLOC_BLOCK_EACH:
        return take_own_block(&s, h);
    case NATBOX_ALLOC_RANDOM:
        return take_random(&s, a->low, a->high);
    case NATBOX_ALLOC_PRESERVE:
    default:
        return take_near(&s, inside_port);
    }
}
