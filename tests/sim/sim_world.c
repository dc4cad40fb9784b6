/* SPDX-License-Identifier: ISC */
#include "tests/sim/sim_world.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_random.h"

/* SYNs and SYN-ACKs of one attempt, a second apart (Linux, tcp_syn_linear_timeouts). */
#define SENT_MAX    5
#define SEND_AGAIN  (1 * TICK_S)
#define RETRIES_MAX 64

enum event_kind {
    EVENT_CONNECT, /* the attempt's (next) first SYN */
    EVENT_AGAIN,   /* the kernel's timer */
    EVENT_OUT,     /* a segment at a NAT of the side that sent it */
    EVENT_IN       /* a segment at a NAT of the other side, or at its host */
};

struct sim_event {
    struct nat_segment segment;
    uint32_t sequence; /* which attempt of the connection a timer belongs to */
    uint16_t conn;
    uint8_t kind;
    uint8_t side;  /* where it is now */
    uint8_t stage; /* NATs to pass before */
};

struct sim_world *sim_world_new(void)
{
    return calloc(1, sizeof(struct sim_world));
}

void sim_world_free(struct sim_world *w)
{
    if (w == NULL)
        return;
    free(w->queue);
    free(w->events);
    free(w->unused);
    free(w);
}

void sim_world_reset(struct sim_world *w)
{
    int i;

    for (i = 0; i < 2; i++) {
        struct sim_site *site = &w->site[i];

        site->conn_count = 0;
        site->syns = site->refusals = 0;
        memset(site->heads, 0, sizeof(site->heads));
        memset(site->listening, 0, sizeof(site->listening));
    }
    memset(&w->met, 0, sizeof(w->met));
    w->queue_count = w->event_count = w->unused_count = 0;
    w->order = 0;
    w->now = 0;
}

/* ---- the queue ---- */

static bool sooner(const struct sim_due *a, const struct sim_due *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void sift_up(struct sim_due *heap, size_t i)
{
    struct sim_due due = heap[i];

    for (; i > 0 && sooner(&due, &heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = due;
}

static void sift_down(struct sim_due *heap, size_t count)
{
    struct sim_due due = heap[0];
    size_t i = 0, child;

    while ((child = 2 * i + 1) < count) {
        if (child + 1 < count && sooner(&heap[child + 1], &heap[child]))
            child++;
        if (!sooner(&heap[child], &due))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = due;
}

/* Room for as many events as there may be entries in the queue. */
static void grow(struct sim_world *w)
{
    size_t size = w->event_size ? 2 * w->event_size : 1024;

    w->queue = realloc(w->queue, size * sizeof(*w->queue));
    w->events = realloc(w->events, size * sizeof(*w->events));
    w->unused = realloc(w->unused, size * sizeof(*w->unused));
    if (w->queue == NULL || w->events == NULL || w->unused == NULL)
        abort();
    w->event_size = w->queue_size = size;
}

static void push(struct sim_world *w, tick at, const struct sim_event *e)
{
    uint32_t i;

    if (w->queue_count == w->event_size)
        grow(w);
    i = w->unused_count > 0 ? w->unused[--w->unused_count] : (uint32_t)w->event_count++;
    w->events[i] = *e;
    w->queue[w->queue_count] = (struct sim_due){.at = at, .order = w->order++, .event = i};
    sift_up(w->queue, w->queue_count++);
}

static struct sim_event pop(struct sim_world *w)
{
    struct sim_due due = w->queue[0];

    w->queue[0] = w->queue[--w->queue_count];
    if (w->queue_count > 0)
        sift_down(w->queue, w->queue_count);
    w->unused[w->unused_count++] = due.event;
    w->now = due.at;
    return w->events[due.event];
}

/* ---- segments on their way ---- */

tick sim_world_depth(const struct sim_site *site)
{
    tick depth = 0;
    unsigned i;

    for (i = 0; i < site->nat_count; i++)
        depth += site->hops[i];
    return depth;
}

static bool carries_syn(const struct nat_segment *s)
{
    return s->kind == NAT_SEGMENT_SYN || s->kind == NAT_SEGMENT_SYN_ACK;
}

/* From beyond the last NAT of a side to the outermost one of the other. */
static void cross(struct sim_world *w, int side, const struct nat_segment *s, tick at)
{
    struct sim_event e = {.kind = EVENT_IN, .side = (uint8_t)!side, .segment = *s};

    if (carries_syn(s) && w->loss > 0 && sim_random_chance(w->rng, w->loss))
        return;
    e.stage = (uint8_t)w->site[!side].nat_count;
    push(w, at + w->across, &e);
}

static void transmit(struct sim_world *w, int side, const struct nat_segment *s)
{
    struct sim_site *site = &w->site[side];
    struct sim_event e = {.kind = EVENT_OUT, .side = (uint8_t)side, .segment = *s};

    if (site->nat_count == 0)
        cross(w, side, s, w->now);
    else
        push(w, w->now + site->hops[0], &e);
}

static void pass_out(struct sim_world *w, struct sim_event *e)
{
    struct sim_site *site = &w->site[e->side];

    if (nat_model_outbound(&site->nats[e->stage], &e->segment, w->now) != NAT_PASS)
        return;
    if (++e->stage == site->nat_count)
        cross(w, e->side, &e->segment, w->now);
    else
        push(w, w->now + site->hops[e->stage], e);
}

/* A NAT's answer to what it does not let in: the segment's own tuple, turned round. */
static void answer(struct sim_world *w, const struct sim_event *e, enum nat_verdict verdict,
                   const struct endpoint *outside)
{
    struct nat_segment s = {.from = *outside, .to = e->segment.from};
    const struct sim_site *site = &w->site[e->side];
    tick at = w->now;
    unsigned i;

    s.kind = verdict == NAT_ANSWER_RST ? NAT_SEGMENT_RST : NAT_SEGMENT_ICMP;
    for (i = e->stage; i < site->nat_count; i++)
        at += site->hops[i];
    cross(w, e->side, &s, at);
}

bool sim_world_leave(struct sim_site *site, struct nat_segment *s, tick at)
{
    unsigned i;

    for (i = 0; i < site->nat_count; i++) {
        at += site->hops[i];
        if (nat_model_outbound(&site->nats[i], s, at) != NAT_PASS)
            return false;
    }
    return true;
}

enum nat_verdict sim_world_enter(struct sim_site *site, struct nat_segment *s, tick at)
{
    enum nat_verdict verdict = NAT_PASS;
    unsigned i;

    for (i = site->nat_count; i > 0 && verdict == NAT_PASS; i--) {
        verdict = nat_model_inbound(&site->nats[i - 1], s, at);
        at += site->hops[i - 1];
    }
    return verdict;
}

/* ---- connections ---- */

static unsigned head(uint16_t local, const struct endpoint *remote)
{
    return (local * 40503u + remote->port * 24593u + remote->address[3]) >> 4 & (SIM_HEADS - 1);
}

static struct sim_conn *find(struct sim_site *site, uint16_t local, const struct endpoint *remote)
{
    uint16_t i = site->heads[head(local, remote)];

    for (; i != 0; i = site->conns[i - 1].next)
        if (site->conns[i - 1].local == local && endpoint_equal(&site->conns[i - 1].remote, remote))
            return &site->conns[i - 1];
    return NULL;
}

static struct sim_conn *add(struct sim_site *site, uint16_t local, const struct endpoint *remote)
{
    struct sim_conn *c = &site->conns[site->conn_count];
    uint16_t *first = &site->heads[head(local, remote)];

    if (site->conn_count == SIM_CONNS_MAX)
        return NULL;
    *c = (struct sim_conn){.local = local, .remote = *remote, .next = *first};
    *first = (uint16_t)++site->conn_count;
    return c;
}

static void send_from(struct sim_world *w, int side, const struct sim_conn *c,
                      enum nat_segment_kind kind)
{
    struct nat_segment s = {.kind = kind, .to = c->remote, .sequence = c->sequence};

    s.from = endpoint_with_port(w->site[side].host, c->local);
    transmit(w, side, &s);
}

/* A SYN or SYN-ACK, and the timer that sends it again. */
static void send_first(struct sim_world *w, int side, struct sim_conn *c)
{
    struct sim_event timer = {.kind = EVENT_AGAIN, .side = (uint8_t)side};

    send_from(w, side, c, c->state == SIM_SYN_RECEIVED ? NAT_SEGMENT_SYN_ACK : NAT_SEGMENT_SYN);
    if (++c->sent >= SENT_MAX)
        return;
    timer.conn = (uint16_t)(c - w->site[side].conns);
    timer.sequence = c->sequence;
    push(w, w->now + SEND_AGAIN, &timer);
}

static void send_again(struct sim_world *w, const struct sim_event *e)
{
    struct sim_conn *c = &w->site[e->side].conns[e->conn];

    if (c->sequence == e->sequence && (c->state == SIM_SYN_SENT || c->state == SIM_SYN_RECEIVED))
        send_first(w, e->side, c);
}

static void attempt(struct sim_world *w, const struct sim_event *e)
{
    struct sim_conn *c = &w->site[e->side].conns[e->conn];

    /* The listener may have the connection already. */
    if (c->state != SIM_CLOSED)
        return;
    w->site[e->side].syns++;
    c->state = SIM_SYN_SENT;
    c->sent = 0;
    c->sequence = rng_u32(w->rng);
    send_first(w, e->side, c);
}

void sim_world_listen(struct sim_world *w, int side, uint16_t local)
{
    w->site[side].listening[local / 8] |= (uint8_t)(1u << local % 8);
}

void sim_world_connect(struct sim_world *w, int side, uint16_t local, struct endpoint remote,
                       tick at, uint8_t round, bool again)
{
    struct sim_event e = {.kind = EVENT_CONNECT, .side = (uint8_t)side};
    struct sim_conn *c = find(&w->site[side], local, &remote);

    if (c == NULL)
        c = add(&w->site[side], local, &remote);
    if (c == NULL)
        return;
    c->round = round;
    c->again = again;
    e.conn = (uint16_t)(c - w->site[side].conns);
    push(w, at, &e);
}

/* ---- what a host makes of a segment ---- */

/* Where the other side sees this one; the only connection that is established on both ends. */
static struct endpoint seen_by(const struct sim_site *other)
{
    unsigned i;

    for (i = 0; i < other->conn_count; i++)
        if (other->conns[i].state == SIM_ESTABLISHED)
            return other->conns[i].remote;
    return endpoint_none();
}

static void meet(struct sim_world *w, int side, const struct sim_conn *c)
{
    w->met.happened = true;
    w->met.at = w->now;
    w->met.round = c->round;
    w->met.seen[!side] = c->remote;
    w->met.seen[side] = seen_by(&w->site[!side]);
}

static void establish(struct sim_world *w, int side, struct sim_conn *c)
{
    c->state = SIM_ESTABLISHED;
    send_from(w, side, c, NAT_SEGMENT_ACK);
}

/* No attempt from here: the listener's business. */
static struct sim_conn *listener(struct sim_world *w, int side, const struct nat_segment *s)
{
    struct sim_site *site = &w->site[side];
    bool listening = site->listening[s->to.port / 8] >> s->to.port % 8 & 1;
    struct sim_conn *c = find(site, s->to.port, &s->from);

    if (!site->listens || !listening)
        return NULL;
    if (c == NULL)
        c = add(site, s->to.port, &s->from);
    return c;
}

static void take_syn(struct sim_world *w, int side, const struct nat_segment *s)
{
    struct sim_conn *c = find(&w->site[side], s->to.port, &s->from);

    if (c == NULL || c->state == SIM_CLOSED) {
        c = listener(w, side, s);
        if (c == NULL) {
            struct nat_segment rst = {NAT_SEGMENT_RST, s->to, s->from, 0};

            transmit(w, side, &rst);
            return;
        }
        c->sequence = rng_u32(w->rng);
        c->sent = 0;
    }
    if (c->state == SIM_CLOSED || c->state == SIM_SYN_SENT) {
        c->state = SIM_SYN_RECEIVED;
        send_first(w, side, c);
    } else if (c->state == SIM_SYN_RECEIVED) {
        send_from(w, side, c, NAT_SEGMENT_SYN_ACK);
    }
}

static void take_refusal(struct sim_world *w, int side, struct sim_conn *c, bool by_icmp)
{
    struct sim_site *site = &w->site[side];
    struct sim_event e = {.kind = EVENT_CONNECT, .side = (uint8_t)side};

    if (c->state != SIM_SYN_SENT)
        return;
    site->refusals++;
    c->state = SIM_CLOSED;
    if (by_icmp || !c->again || site->retry == 0 || c->retries == RETRIES_MAX)
        return;
    c->retries++;
    e.conn = (uint16_t)(c - site->conns);
    push(w, w->now + rng_interval(w->rng, site->retry), &e);
}

static void take(struct sim_world *w, int side, const struct nat_segment *s)
{
    struct sim_conn *c;

    if (s->kind == NAT_SEGMENT_SYN) {
        take_syn(w, side, s);
        return;
    }
    c = find(&w->site[side], s->to.port, &s->from);
    if (c == NULL)
        return;
    if (s->kind == NAT_SEGMENT_RST || s->kind == NAT_SEGMENT_ICMP)
        take_refusal(w, side, c, s->kind == NAT_SEGMENT_ICMP);
    else if (c->state == SIM_ESTABLISHED && s->kind == NAT_SEGMENT_ACK)
        meet(w, side, c);
    else if (c->state == SIM_ESTABLISHED)
        send_from(w, side, c, NAT_SEGMENT_ACK);
    else if (c->state == SIM_SYN_RECEIVED ||
             (c->state == SIM_SYN_SENT && s->kind == NAT_SEGMENT_SYN_ACK))
        establish(w, side, c);
}

static void pass_in(struct sim_world *w, struct sim_event *e)
{
    struct sim_site *site = &w->site[e->side];
    struct endpoint outside = e->segment.to;
    enum nat_verdict verdict;
    tick hop;

    if (e->stage == 0) {
        take(w, e->side, &e->segment);
        return;
    }
    /* What an inner NAT refuses goes out with the outer one's name on it. */
    verdict = nat_model_inbound(&site->nats[e->stage - 1], &e->segment, w->now);
    if (verdict == NAT_ANSWER_RST || verdict == NAT_ANSWER_ICMP) {
        struct nat_segment back = {.from = outside, .to = e->segment.from};
        unsigned i;

        back.kind = verdict == NAT_ANSWER_RST ? NAT_SEGMENT_RST : NAT_SEGMENT_ICMP;
        for (i = e->stage; i < site->nat_count; i++)
            if (nat_model_outbound(&site->nats[i], &back, w->now) != NAT_PASS)
                return;
        answer(w, e, verdict, &back.from);
        return;
    }
    if (verdict != NAT_PASS)
        return;
    hop = site->hops[--e->stage];
    push(w, w->now + hop, e);
}

bool sim_world_run(struct sim_world *w, tick until)
{
    while (!w->met.happened && w->queue_count > 0 && w->queue[0].at <= until) {
        struct sim_event e = pop(w);

        switch (e.kind) {
        case EVENT_CONNECT:
            attempt(w, &e);
            break;
        case EVENT_AGAIN:
            send_again(w, &e);
            break;
        case EVENT_OUT:
            pass_out(w, &e);
            break;
        default:
            pass_in(w, &e);
            break;
        }
    }
    if (!w->met.happened)
        w->now = tick_max(w->now, until);
    return w->met.happened;
}
