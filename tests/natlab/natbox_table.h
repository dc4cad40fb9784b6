/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/*
 * What the NAT remembers: mappings (inside endpoint <-> public endpoint)
 * and under each the flows (one per remote endpoint) that keep it alive.
 * A mapping lives as long as it has a flow. Pure: time is an argument, in
 * nanoseconds, and may not run backwards.
 */
#ifndef NATBOX_TABLE_H
#define NATBOX_TABLE_H

#include "natbox_hash.h"
#include "natbox_packet.h"

enum natbox_table_scope {                       /* RFC 4787: which part of the remote matters */
                          NATBOX_TABLE_ANY,     /* EIM, EIF */
                          NATBOX_TABLE_ADDRESS, /* ADM, ADF */
                          NATBOX_TABLE_PORT,    /* APDM, APDF */
};

enum natbox_table_side { NATBOX_TABLE_INSIDE, NATBOX_TABLE_OUTSIDE };

/* One list per timer; within a list the flow idle longest comes first. */
enum natbox_table_timer {
    NATBOX_TABLE_TRANSITORY,
    NATBOX_TABLE_ESTABLISHED,
    NATBOX_TABLE_CLOSED,
    NATBOX_TABLE_TIMERS
};

struct natbox_host;
struct natbox_flow;

struct natbox_mapping {
    struct natbox_hash_node by_key;
    struct natbox_hash_node by_public;
    struct natbox_endpoint inside, public;
    struct natbox_endpoint first; /* the remote it was made for */
    struct natbox_host *host;
    struct natbox_flow *flows;
};

struct natbox_flow {
    struct natbox_hash_node by_inside;
    struct natbox_hash_node by_public;
    struct natbox_flow *next_sibling, **sibling_slot;
    struct natbox_flow *older, *newer;
    struct natbox_mapping *mapping;
    struct natbox_endpoint remote;
    uint64_t touched;
    enum natbox_table_timer timer;
    enum natbox_table_side opener;
    uint8_t seen[2]; /* TCP flags sent by each side */
    bool answered;   /* the other side than the opener has spoken */
};

/* Told of every end of a mapping, just before its memory goes. */
typedef void natbox_table_gone_fn(void *ctx, const struct natbox_mapping *m, const char *why);

struct natbox_table {
    enum natbox_table_scope mapping;
    bool overload;
    uint64_t timeout[NATBOX_TABLE_TIMERS];
    natbox_table_gone_fn *gone;
    void *ctx;

    struct natbox_hash keys, publics, flows_inside, flows_public;
    struct natbox_flow *oldest[NATBOX_TABLE_TIMERS];
    struct natbox_flow *newest[NATBOX_TABLE_TIMERS];
    size_t mappings, peak, flows;
};

/* The fields above the empty line are the caller's to set first. */
bool natbox_table_init(struct natbox_table *t);
void natbox_table_free(struct natbox_table *t);

struct natbox_flow *natbox_table_flow_out(const struct natbox_table *t,
                                          struct natbox_endpoint inside,
                                          struct natbox_endpoint remote);
struct natbox_flow *natbox_table_flow_in(const struct natbox_table *t,
                                         struct natbox_endpoint public,
                                         struct natbox_endpoint remote);

/* The mapping that a new flow from inside to remote has to use, if any. */
struct natbox_mapping *natbox_table_reuse(const struct natbox_table *t,
                                          struct natbox_endpoint inside,
                                          struct natbox_endpoint remote);

/* May a new mapping toward this remote get this public endpoint? */
bool natbox_table_free_for(const struct natbox_table *t, struct natbox_endpoint public,
                           struct natbox_endpoint remote);

/* The mapping through which a filter of this scope admits a stranger. */
struct natbox_mapping *natbox_table_admit(const struct natbox_table *t,
                                          enum natbox_table_scope filter,
                                          struct natbox_endpoint public,
                                          struct natbox_endpoint remote);

/* Every flow of it was opened from inside and none was answered. */
bool natbox_table_syn_sent(const struct natbox_mapping *m);

/* NULL when memory ran out. A mapping without a flow must get one at once. */
struct natbox_mapping *natbox_table_map(struct natbox_table *t, struct natbox_endpoint inside,
                                        struct natbox_endpoint public,
                                        struct natbox_endpoint remote);
struct natbox_flow *natbox_table_open(struct natbox_table *t, struct natbox_mapping *m,
                                      struct natbox_endpoint remote, enum natbox_table_side opener,
                                      uint64_t now);

/* A segment passed: note its flags and start the right timer anew. */
void natbox_table_segment(struct natbox_table *t, struct natbox_flow *f,
                          enum natbox_table_side from, uint8_t flags, uint64_t now);

/* Forget the flow, and its mapping if that was the last one. */
void natbox_table_close(struct natbox_table *t, struct natbox_flow *f, const char *why);
void natbox_table_unmap_idle(struct natbox_table *t, struct natbox_mapping *m, const char *why);

void natbox_table_expire(struct natbox_table *t, uint64_t now);

/* When natbox_table_expire() has work next; UINT64_MAX: never. */
uint64_t natbox_table_deadline(const struct natbox_table *t);

#endif
