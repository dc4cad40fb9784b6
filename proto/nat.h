/* SPDX-License-Identifier: ISC */
#ifndef TRYST_NAT_H
#define TRYST_NAT_H

#include <stdint.h>

/*
 * The words for what a NAT does (RFC 4787 sections 4 and 5, RFC 5382), as they stand on the wire,
 * in the store and in all output. Numbers are part of the protocol: add at the end, never renumber.
 */
enum nat_mapping { NAT_MAPPING_UNKNOWN, NAT_MAPPING_NONE, NAT_EIM, NAT_ADM, NAT_APDM };
enum nat_filtering { NAT_FILTERING_UNKNOWN, NAT_EIF, NAT_ADF, NAT_APDF };
enum nat_allocation {
    NAT_ALLOCATION_UNKNOWN,
    NAT_PRESERVE, /* public port = local port */
    NAT_OFFSET,   /* public port = local port + delta */
    NAT_COUNTER,  /* public port = last one + delta */
    NAT_BLOCK,    /* at random inside block_low .. block_high */
    NAT_RANDOM
};
/* What an unsolicited SYN gets. */
enum nat_refusal { NAT_REFUSAL_UNKNOWN, NAT_SILENCE, NAT_RST, NAT_ICMP };
enum nat_pooling { NAT_POOLING_UNKNOWN, NAT_PAIRED, NAT_ARBITRARY };

/* The shape of a prediction (which ports the next mappings get). */
enum nat_shape { SHAPE_NONE, SHAPE_FIXED, SHAPE_SHARED, SHAPE_COUNTER, SHAPE_BLOCK, SHAPE_RANDOM };

/* What else it does: bits of `features`. */
#define NAT_FEATURE_NO_SIMULTANEOUS_OPEN 0x01 /* drops a SYN that answers its own SYN */
#define NAT_FEATURE_DOUBLE               0x02 /* a second NAT is seen behind it */

/* A NAT profile in short, for people and peers. 23 bytes on the wire, in this order. */
struct nat_summary {
    uint8_t mapping;
    uint8_t filtering;
    uint8_t allocation;
    uint8_t refusal;
    uint8_t pooling;
    uint8_t confidence; /* percent */
    int32_t delta;      /* ports per new mapping (counter) or from local to public (offset) */
    uint32_t drift;     /* ports per 1000 s taken by other subscribers */
    uint16_t block_low;
    uint16_t block_high;
    uint32_t samples; /* observations behind it */
    uint8_t features;
};

const char *nat_mapping_name(unsigned v);
const char *nat_filtering_name(unsigned v);
const char *nat_allocation_name(unsigned v);
const char *nat_refusal_name(unsigned v);
const char *nat_pooling_name(unsigned v);
const char *nat_shape_name(unsigned v);

/*
 * One line in plain words, e.g. "endpoint-independent mapping, keeps ports, resets stray SYNs".
 * Returns out.
 */
const char *nat_describe(const struct nat_summary *nat, char *out, unsigned long size);

#endif
