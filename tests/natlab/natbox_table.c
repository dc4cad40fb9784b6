/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "natbox_table.h"

#include <stdlib.h>

#define MAPPING(n, member) NATBOX_HASH_ENTRY(n, struct natbox_mapping, member)
#define FLOW(n, member)    NATBOX_HASH_ENTRY(n, struct natbox_flow, member)

static uint64_t word(struct natbox_endpoint e)
{
    return (uint64_t)e.addr << 16 | e.port;
}

static bool same(struct natbox_endpoint a, struct natbox_endpoint b)
{
    return a.addr == b.addr && a.port == b.port;
}

/* The part of a remote endpoint that matters in this scope. */
static struct natbox_endpoint part(enum natbox_table_scope scope, struct natbox_endpoint e)
{
    if (scope == NATBOX_TABLE_ANY)
        e.addr = 0;
    if (scope != NATBOX_TABLE_PORT)
        e.port = 0;
    return e;
}

static uint64_t pair_hash(struct natbox_endpoint a, struct natbox_endpoint b)
{
    return natbox_hash_mix(word(a), word(b));
}

static uint64_t public_hash(struct natbox_endpoint public)
{
    return natbox_hash_mix(word(public), 0);
}

static uint64_t key_hash(const struct natbox_table *t, struct natbox_endpoint inside,
                         struct natbox_endpoint remote)
{
    return pair_hash(inside, part(t->mapping, remote));
}

bool natbox_table_init(struct natbox_table *t)
{
    return natbox_hash_init(&t->keys) && natbox_hash_init(&t->publics) &&
           natbox_hash_init(&t->flows_inside) && natbox_hash_init(&t->flows_public);
}

void natbox_table_free(struct natbox_table *t)
{
    size_t i;

    for (i = 0; i < NATBOX_TABLE_TIMERS; i++)
        while (t->oldest[i] != NULL)
            natbox_table_close(t, t->oldest[i], "exit");
    natbox_hash_free(&t->keys);
    natbox_hash_free(&t->publics);
    natbox_hash_free(&t->flows_inside);
    natbox_hash_free(&t->flows_public);
}

/* ---- finding ------------------------------------------------------- */

struct natbox_flow *natbox_table_flow_out(const struct natbox_table *t,
                                          struct natbox_endpoint inside,
                                          struct natbox_endpoint remote)
{
    struct natbox_hash_node *n;

    n = natbox_hash_first(&t->flows_inside, pair_hash(inside, remote));
    for (; n != NULL; n = natbox_hash_next(n)) {
        struct natbox_flow *f = FLOW(n, by_inside);

        if (same(f->mapping->inside, inside) && same(f->remote, remote))
            return f;
    }
    return NULL;
}

struct natbox_flow *natbox_table_flow_in(const struct natbox_table *t,
                                         struct natbox_endpoint public,
                                         struct natbox_endpoint remote)
{
    struct natbox_hash_node *n;

    n = natbox_hash_first(&t->flows_public, pair_hash(public, remote));
    for (; n != NULL; n = natbox_hash_next(n)) {
        struct natbox_flow *f = FLOW(n, by_public);

        if (same(f->mapping->public, public) && same(f->remote, remote))
            return f;
    }
    return NULL;
}

struct natbox_mapping *natbox_table_reuse(const struct natbox_table *t,
                                          struct natbox_endpoint inside,
                                          struct natbox_endpoint remote)
{
    struct natbox_endpoint want = part(t->mapping, remote);
    struct natbox_hash_node *n;

    n = natbox_hash_first(&t->keys, key_hash(t, inside, remote));
    for (; n != NULL; n = natbox_hash_next(n)) {
        struct natbox_mapping *m = MAPPING(n, by_key);

        /* An overloaded port may serve this remote for another host
         * already; then the flow cannot use it. */
        if (same(m->inside, inside) && same(part(t->mapping, m->first), want) &&
            natbox_table_flow_in(t, m->public, remote) == NULL)
            return m;
    }
    return NULL;
}

bool natbox_table_free_for(const struct natbox_table *t, struct natbox_endpoint public,
                           struct natbox_endpoint remote)
{
    struct natbox_hash_node *n;

    if (t->overload)
        return natbox_table_flow_in(t, public, remote) == NULL;
    n = natbox_hash_first(&t->publics, public_hash(public));
    while (n != NULL && !same(MAPPING(n, by_public)->public, public))
        n = natbox_hash_next(n);
    return n == NULL;
}

static bool knows(const struct natbox_mapping *m, enum natbox_table_scope scope,
                  struct natbox_endpoint remote)
{
    const struct natbox_flow *f;

    if (scope == NATBOX_TABLE_ANY)
        return true;
    /* Flows that a stranger opened are no invitation to others. */
    for (f = m->flows; f != NULL; f = f->next_sibling)
        if (f->opener == NATBOX_TABLE_INSIDE && same(part(scope, f->remote), part(scope, remote)))
            return true;
    return false;
}

struct natbox_mapping *natbox_table_admit(const struct natbox_table *t,
                                          enum natbox_table_scope filter,
                                          struct natbox_endpoint public,
                                          struct natbox_endpoint remote)
{
    struct natbox_mapping *only = NULL;
    struct natbox_hash_node *n;

    if (filter == NATBOX_TABLE_PORT) /* that would have been a flow */
        return NULL;
    n = natbox_hash_first(&t->publics, public_hash(public));
    for (; n != NULL; n = natbox_hash_next(n)) {
        struct natbox_mapping *m = MAPPING(n, by_public);

        if (!same(m->public, public) || !knows(m, filter, remote))
            continue;
        if (only != NULL) /* an overloaded port: whose is it? */
            return NULL;
        only = m;
    }
    return only;
}

bool natbox_table_syn_sent(const struct natbox_mapping *m)
{
    const struct natbox_flow *f;

    for (f = m->flows; f != NULL; f = f->next_sibling)
        if (f->answered || f->opener != NATBOX_TABLE_INSIDE)
            return false;
    return true;
}

/* ---- the lists of idle flows --------------------------------------- */

static void idle_remove(struct natbox_table *t, struct natbox_flow *f)
{
    *(f->older ? &f->older->newer : &t->oldest[f->timer]) = f->newer;
    *(f->newer ? &f->newer->older : &t->newest[f->timer]) = f->older;
}

static void idle_append(struct natbox_table *t, struct natbox_flow *f)
{
    f->newer = NULL;
    f->older = t->newest[f->timer];
    *(f->older ? &f->older->newer : &t->oldest[f->timer]) = f;
    t->newest[f->timer] = f;
}

void natbox_table_expire(struct natbox_table *t, uint64_t now)
{
    size_t i;

    for (i = 0; i < NATBOX_TABLE_TIMERS; i++)
        while (t->oldest[i] != NULL && now - t->oldest[i]->touched >= t->timeout[i])
            natbox_table_close(t, t->oldest[i], "expired");
}

uint64_t natbox_table_deadline(const struct natbox_table *t)
{
    uint64_t deadline = UINT64_MAX;
    size_t i;

    for (i = 0; i < NATBOX_TABLE_TIMERS; i++)
        if (t->oldest[i] != NULL && t->oldest[i]->touched + t->timeout[i] < deadline)
            deadline = t->oldest[i]->touched + t->timeout[i];
    return deadline;
}

/* ---- change -------------------------------------------------------- */

struct natbox_mapping *natbox_table_map(struct natbox_table *t, struct natbox_endpoint inside,
                                        struct natbox_endpoint public,
                                        struct natbox_endpoint remote)
{
    struct natbox_mapping *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return NULL;
    m->inside = inside;
    m->public = public;
    m->first = remote;
    natbox_hash_add(&t->keys, &m->by_key, key_hash(t, inside, remote));
    natbox_hash_add(&t->publics, &m->by_public, public_hash(public));
    if (++t->mappings > t->peak)
        t->peak = t->mappings;
    return m;
}

struct natbox_flow *natbox_table_open(struct natbox_table *t, struct natbox_mapping *m,
                                      struct natbox_endpoint remote, enum natbox_table_side opener,
                                      uint64_t now)
{
    struct natbox_flow *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return NULL;
    f->mapping = m;
    f->remote = remote;
    f->opener = opener;
    f->touched = now;
    f->timer = NATBOX_TABLE_TRANSITORY;
    f->next_sibling = m->flows;
    f->sibling_slot = &m->flows;
    if (m->flows != NULL)
        m->flows->sibling_slot = &f->next_sibling;
    m->flows = f;
    natbox_hash_add(&t->flows_inside, &f->by_inside, pair_hash(m->inside, remote));
    natbox_hash_add(&t->flows_public, &f->by_public, pair_hash(m->public, remote));
    idle_append(t, f);
    t->flows++;
    return f;
}

/* Established: both sides sent a SYN and both acknowledged something, which
 * a simultaneous open fulfils as well. One FIN is only a half-close. */
static enum natbox_table_timer timer_for(const struct natbox_flow *f)
{
    unsigned both = f->seen[0] & f->seen[1];

    if ((f->seen[0] | f->seen[1]) & NATBOX_PACKET_RST)
        return NATBOX_TABLE_CLOSED;
    if ((both & NATBOX_PACKET_SYN) && (both & NATBOX_PACKET_ACK) && !(both & NATBOX_PACKET_FIN))
        return NATBOX_TABLE_ESTABLISHED;
    return NATBOX_TABLE_TRANSITORY;
}

/* A lone RST leaves the timer to the caller's policy, which may be that the
 * refusal kills nothing. */
void natbox_table_segment(struct natbox_table *t, struct natbox_flow *f,
                          enum natbox_table_side from, uint8_t flags, uint64_t now)
{
    bool syn = (flags & NATBOX_PACKET_SYN) && !(flags & NATBOX_PACKET_ACK);
    unsigned over = f->seen[0] & f->seen[1] & NATBOX_PACKET_FIN;

    over |= (f->seen[0] | f->seen[1]) & NATBOX_PACKET_RST;
    if (syn && over) { /* the same ports, a new connection */
        f->seen[0] = f->seen[1] = 0;
        f->answered = false;
        f->opener = from;
    }
    if (!f->answered && from != f->opener && (flags & NATBOX_PACKET_RST))
        flags = 0;
    else if (from != f->opener)
        f->answered = true;
    f->seen[from] |= flags;
    idle_remove(t, f);
    f->touched = now;
    f->timer = timer_for(f);
    idle_append(t, f);
}

void natbox_table_unmap_idle(struct natbox_table *t, struct natbox_mapping *m, const char *why)
{
    if (m->flows != NULL)
        return;
    natbox_hash_remove(&t->keys, &m->by_key);
    natbox_hash_remove(&t->publics, &m->by_public);
    t->mappings--;
    t->gone(t->ctx, m, why);
    free(m);
}

void natbox_table_close(struct natbox_table *t, struct natbox_flow *f, const char *why)
{
    struct natbox_mapping *m = f->mapping;

    idle_remove(t, f);
    natbox_hash_remove(&t->flows_inside, &f->by_inside);
    natbox_hash_remove(&t->flows_public, &f->by_public);
    *f->sibling_slot = f->next_sibling;
    if (f->next_sibling != NULL)
        f->next_sibling->sibling_slot = f->sibling_slot;
    t->flows--;
    free(f);
    natbox_table_unmap_idle(t, m, why);
}
