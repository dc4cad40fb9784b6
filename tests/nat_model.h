/* SPDX-License-Identifier: ISC */
#ifndef TRYST_NAT_MODEL_H
#define TRYST_NAT_MODEL_H

#include "proto/msg.h"
#include "proto/rng.h"
#include "server/predict_profile.h"
#include "server/survey.h"

/*
 * A NAT in numbers, for tests of the modules that learn and predict, and for the simulator: which
 * public endpoint a flow gets, with other subscribers taking ports meanwhile, and what is let in.
 * Time and chance come from outside. IPv4 only. Two in a row are a double NAT.
 */

#define NAT_MODEL_FLOWS 4096
#define NAT_MODEL_HEADS 1024

enum nat_segment_kind {
    NAT_SEGMENT_SYN,
    NAT_SEGMENT_SYN_ACK,
    NAT_SEGMENT_ACK,
    NAT_SEGMENT_RST,
    NAT_SEGMENT_ICMP /* port unreachable, about a segment from `to` to `from` */
};

struct nat_segment {
    enum nat_segment_kind kind;
    struct endpoint from, to;
    uint32_t sequence; /* the sender's initial one, of SYN and SYN-ACK */
};

enum nat_verdict { NAT_PASS, NAT_DROP, NAT_ANSWER_RST, NAT_ANSWER_ICMP };

/* An IPv4 endpoint, packed. */
struct nat_place {
    uint32_t address;
    uint16_t port;
};

struct nat_model {
    /* Set these first; what is 0 is as plain as can be. */
    enum nat_mapping mapping;
    enum nat_filtering filtering; /* unknown: APDF */
    enum nat_allocation allocation;
    enum nat_refusal refusal;  /* unknown: silence */
    int32_t delta;             /* of a counter, or the constant offset */
    double foreign;            /* other subscribers' allocations per second */
    uint16_t low, high;        /* the range, or the block; 0: 1024 .. 65535 */
    uint16_t block;            /* this many ports per subscriber, somewhere in the range; 0: all */
    double collisions;         /* the share of ports that somebody else holds */
    unsigned addresses;        /* > 1: each mapping gets any of so many addresses in a row */
    bool overload;             /* one public port for flows to several destinations */
    bool keeps_refused;        /* a RST does not end the mapping */
    bool answers_itself;       /* an early SYN is taken for its own, and occupies that tuple */
    bool no_simultaneous_open; /* drops a SYN that answers a SYN */
    tick timeout;              /* of a mapping; 0: none */
    struct endpoint public_address;
    const struct rng *rng;

    tick seen; /* up to when the other subscribers were played */
    uint16_t last;
    uint16_t block_low, block_high;
    unsigned count, mapping_count, early_count;
    struct nat_model_flow {
        struct nat_place remote;
        uint32_t sequence; /* of the first SYN that the inside sent */
        tick used;
        uint16_t mapping;
        uint16_t next_out, next_in; /* chains, + 1 */
        bool dead, sent, received, established;
    } flows[NAT_MODEL_FLOWS];
    struct nat_model_mapping {
        struct nat_place inside, public, remote; /* of remote, what the mapping depends on */
        tick used;
        uint32_t contacts[4]; /* addresses that the inside has sent to */
        uint8_t contact_count;
        uint16_t next_inside, next_public;
        bool dead;
    } mappings[NAT_MODEL_FLOWS];
    struct nat_place early[64]; /* tuples taken: our port, and whose SYN came early */
    uint16_t early_port[64];
    uint16_t out[NAT_MODEL_HEADS], in[NAT_MODEL_HEADS];
    uint16_t by_inside[NAT_MODEL_HEADS], by_public[NAT_MODEL_HEADS];
    uint8_t used[(UINT16_MAX + 1) / 8]; /* ports held, also for a while after their mapping */
};

void nat_model_start(struct nat_model *m, tick now);

/* The public port of a flow; the same as before, or a new one. 0: the table is full. */
uint16_t nat_model_port(struct nat_model *m, uint16_t local, struct endpoint remote, tick at);

/* From the inside: translates s->from. */
enum nat_verdict nat_model_outbound(struct nat_model *m, struct nat_segment *s, tick at);
/* From the outside: translates s->to. */
enum nat_verdict nat_model_inbound(struct nat_model *m, struct nat_segment *s, tick at);

/* All mappings are gone, and the ports free: what two idle minutes do. */
void nat_model_forget(struct nat_model *m);

/*
 * Carries out survey steps behind the NAT. Socket n has the local port `base` + 3 n; steps of a
 * burst leave 40 us apart, others a round trip after the one before. Returns how many observations
 * it made.
 */
size_t nat_model_observe(struct nat_model *m, const struct steps *steps, uint16_t base, tick rtt,
                         tick *now, struct observation *out);

/* The server's two (or fewer) addresses and three ports, as the tests know them. */
struct survey_servers nat_model_servers(unsigned addresses);

/* Poisson variates, and uniform ones over the open unit interval. */
unsigned nat_model_poisson(const struct rng *rng, double mean);
double nat_model_unit(const struct rng *rng);

#endif
