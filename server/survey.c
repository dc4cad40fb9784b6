/* SPDX-License-Identifier: ISC */
#include "survey.h"

/* Socket 0 tells the mapping; the others, in shuffled order, the allocation. */
#define SOCKETS 7
/* Of them, in the first burst, and all together when an old profile is only confirmed. */
#define FIRST_BURST     3
#define CONFIRM_SOCKETS 2
/*
 * What others take in the time between the two bursts gives the drift: long enough that one port is
 * seen of a busy carrier's counter, short beside a person's patience.
 */
#define DRIFT_PAUSE_US 30000

/* A list being written, for one family. */
struct writer {
    const struct survey_servers *servers;
    struct steps *out;
    unsigned ports_used; /* places go round, so that no two steps in a row share one */
};

static struct endpoint place(const struct survey_servers *s, unsigned address, unsigned port)
{
    struct endpoint e = {0};

    if (s->address_count > 0)
        e = s->addresses[address % s->address_count];
    e.family = s->family;
    return endpoint_with_port(e, s->ports[port % s->port_count]);
}

static void add(struct writer *w, uint16_t socket, uint8_t flags, uint32_t pause_us,
                struct endpoint server)
{
    if (w->out->count == MSG_STEPS_MAX)
        return;
    w->out->at[w->out->count++] = (struct step){
        .socket = socket,
        .flags = flags,
        .pause_us = pause_us,
        .server = server,
    };
}

/* The first socket that is observed once also serves the filter's test: nothing will be punched
 * from it. */
static uint8_t throw_away(const struct writer *w)
{
    return w->servers->connects_back ? STEP_LISTEN | STEP_KEEP : 0;
}

/* A socket's one observation, at whichever place comes next. */
static void add_single(struct writer *w, uint16_t socket, uint8_t flags, uint32_t pause_us)
{
    add(w, socket, flags, pause_us, place(w->servers, 0, w->ports_used++));
}

/*
 * Socket 0 towards different places (RFC 5780 section 4.3): two ports of the first address, the
 * second address, and with one address a third port. Kept open: what a closed connection's mapping
 * becomes is another question.
 */
static void add_mapping_test(struct writer *w)
{
    const struct survey_servers *s = w->servers;
    unsigned i, places = s->address_count > 1 ? 2 : 3;

    for (i = 0; i < places && i < s->port_count; i++)
        add(w, 0, STEP_BURST | STEP_KEEP, 0, place(s, 0, i));
    if (s->address_count > 1)
        add(w, 0, STEP_BURST | STEP_KEEP, 0, place(s, 1, 0));
}

/*
 * 1 .. n (three at least) in a random order whose first burst goes both up and down. Sockets are
 * numbered in the order of their local ports, and a monotonic order would show a counter as a
 * function of the local port.
 */
static void shuffle(uint16_t *order, unsigned n, const struct rng *rng)
{
    uint16_t second;
    unsigned i;

    for (i = 0; i < n; i++) {
        unsigned j = rng_below(rng, i + 1);

        order[i] = order[j];
        order[j] = (uint16_t)(i + 1);
    }
    second = order[1];
    if ((order[0] < second) == (second < order[2])) {
        order[1] = order[2];
        order[2] = second;
    }
}

/* One burst: is the profile still right? */
static void add_confirmation(struct writer *w, uint8_t first_flags, const uint16_t *order)
{
    unsigned i;

    add_single(w, order[0], first_flags | throw_away(w), 0);
    add_mapping_test(w);
    for (i = 1; i < CONFIRM_SOCKETS; i++)
        add_single(w, order[i], STEP_BURST, 0);
}

/* Two bursts: steps within them give a counter's delta, the time between them its drift. */
static void add_full(struct writer *w, uint8_t first_flags, const uint16_t *order)
{
    unsigned i;

    add_single(w, order[0], first_flags | throw_away(w), 0);
    for (i = 1; i < FIRST_BURST; i++)
        add_single(w, order[i], STEP_BURST, 0);
    add_mapping_test(w);
    for (i = FIRST_BURST; i < SOCKETS - 1; i++)
        add_single(w, order[i], i > FIRST_BURST ? STEP_BURST : 0,
                   i > FIRST_BURST ? 0 : DRIFT_PAUSE_US);
}

/*
 * A short list is enough for a profile that only needs confirming, and for a first look at IPv6,
 * where translation is the rare exception.
 */
static bool short_list(const struct profile *p, const struct survey_servers *servers)
{
    if (p == NULL || p->learnt == TICK_NEVER)
        return servers->family == 6;
    return p->nat.mapping != NAT_MAPPING_UNKNOWN && p->nat.allocation != NAT_ALLOCATION_UNKNOWN &&
           p->misses == 0;
}

void survey_plan(const struct profile *profile, const struct survey_servers *servers, tick now,
                 const struct rng *rng, struct steps *out)
{
    struct writer w = {.servers = servers, .out = out};
    uint8_t first_flags = out->count > 0 ? STEP_BURST : 0;
    uint16_t order[SOCKETS - 1] = {0};

    if (servers->port_count == 0)
        return;
    if (profile != NULL && profile_fresh(profile, now)) {
        if (servers->connects_back)
            add_single(&w, 0, first_flags | throw_away(&w), 0);
        return;
    }
    shuffle(order, SOCKETS - 1, rng);
    if (short_list(profile, servers))
        add_confirmation(&w, first_flags, order);
    else
        add_full(&w, first_flags, order);
}

void survey_cross(const struct survey_servers *servers, uint16_t port, const struct rng *rng,
                  struct steps *out)
{
    struct writer w = {.servers = servers, .out = out};

    if (servers->port_count == 0)
        return;
    w.ports_used = rng_below(rng, servers->port_count);
    add_single(&w, 0, STEP_KEEP, 0);
    add(&w, 0, STEP_CROSS, 0, endpoint_with_port(place(servers, 0, 0), port));
}

void survey_anchors(const struct profile *profile, const struct survey_servers *servers,
                    uint16_t socket, unsigned count, const struct rng *rng, struct steps *out)
{
    struct writer w = {.servers = servers, .out = out};
    bool own = profile_serves_all(&profile->nat);
    unsigned i;

    if (servers->port_count == 0)
        return;
    w.ports_used = rng_below(rng, servers->port_count);
    /* One socket reaches each place once; fresh sockets have no such limit. */
    if (own && count > servers->port_count)
        count = servers->port_count;
    for (i = 0; i < count; i++)
        add_single(&w, own ? socket : (uint16_t)(socket + SURVEY_PUNCH_SOCKETS + i),
                   i > 0 ? STEP_KEEP | STEP_BURST : STEP_KEEP, 0);
}
