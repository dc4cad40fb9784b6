/* SPDX-License-Identifier: ISC */
#ifndef TRYST_NAT_MODEL_H
#define TRYST_NAT_MODEL_H

#include "proto/msg.h"
#include "proto/rng.h"
#include "server/predict_profile.h"
#include "server/survey.h"

/*
 * A NAT in numbers, for tests of the modules that learn and predict: no packets, only which public
 * port a flow gets, with other subscribers taking ports meanwhile. Time and chance come from
 * outside.
 */

#define NAT_MODEL_FLOWS 4096

struct nat_model {
    /* Set these first. */
    enum nat_mapping mapping;
    enum nat_allocation allocation;
    int32_t delta;      /* of a counter, or the constant offset */
    double foreign;     /* other subscribers' allocations per second */
    uint16_t low, high; /* the range, or the block; 0: 1024 .. 65535 */
    double collisions;  /* the share of ports that cannot be preserved */
    struct endpoint public_address;
    const struct rng *rng;

    tick seen; /* up to when the other subscribers were played */
    uint16_t last;
    unsigned count;
    struct {
        uint16_t local, port;
        struct endpoint remote;
    } flows[NAT_MODEL_FLOWS];
};

void nat_model_start(struct nat_model *m, tick now);

/* The public port of a flow; the same as before, or a new one. */
uint16_t nat_model_port(struct nat_model *m, uint16_t local, struct endpoint remote, tick at);

/*
 * Carries out survey steps behind the NAT. Socket n has the local port `base` + 3 n; steps of a
 * burst leave 40 us apart, others a round trip after the one before. Returns how many observations
 * it made.
 */
size_t nat_model_observe(struct nat_model *m, const struct steps *steps, uint16_t base, tick rtt,
                         tick *now, struct observation *out);

/* The server's two (or fewer) addresses and three ports, as the tests know them. */
struct survey_servers nat_model_servers(unsigned addresses);

/* Poisson and exponential variates. */
unsigned nat_model_poisson(const struct rng *rng, double mean);
double nat_model_unit(const struct rng *rng);

#endif
