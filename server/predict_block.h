/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PREDICT_BLOCK_H
#define TRYST_PREDICT_BLOCK_H

#include "predict_profile.h"

/*
 * The block of ports that a carrier's NAT has given to one subscriber. Where another subscriber's
 * block lies says nothing about it. Pure.
 */
struct port_block {
    tick learnt;
    uint16_t low, high; /* the outermost ports seen: whatever lies between is in the block */
    uint16_t seen;      /* how many ports were seen; 0: none */
    uint16_t size;      /* as other subscribers' blocks have it; 0: not known */
};

/*
 * Adds what a peer's connections have shown, if the profile says that there are blocks. Ports that
 * cannot lie in the block that was known are taken for a new one.
 */
void port_block_learn(struct port_block *b, const struct profile *profile,
                      const struct observation *obs, size_t count, tick now);

/* Whether enough was seen lately to do without a survey. */
bool port_block_known(const struct port_block *b, tick now);

/* Whether a mapping that the peer has now can be of this block. */
bool port_block_holds(const struct port_block *b, uint16_t port);

/*
 * The estimated bounds. Each further port that was seen tightens them; the share of the block that
 * lies within low .. high is (seen - 1) / (seen + 1) on average. Blocks of 2^n ports are taken to
 * begin at a multiple of that (or 1024 above one), as they do on most carriers, where what was seen
 * fits.
 */
void port_block_bounds(const struct port_block *b, uint16_t *low, uint16_t *high);

/* How many connections show enough of a block: see port_block_known(). */
#define PORT_BLOCK_LOOKS 6

#endif
