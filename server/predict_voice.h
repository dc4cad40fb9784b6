/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PREDICT_VOICE_H
#define TRYST_PREDICT_VOICE_H

#include "predict_batch.h"
#include "predict_profile.h"

/* What one peer's batches and rounds make of its voice (predict_profile.h). Pure. */

/* Number 1 is the past: what was believed before anybody spoke (read from the store). */
#define VOICE_PAST 1

/* Of a peer's number; never 0 or VOICE_PAST. */
uint32_t voice_hash(uint64_t peer);

/* Heard lately enough to count. */
bool voice_live(const struct voice *v, tick now);
/* Says enough to predict by. */
bool voice_knows(const struct voice *v);
/* Nothing that one says contradicts the other. */
bool voice_agrees(const struct voice *a, const struct voice *b);

/* What a batch says of mapping and allocation. */
void voice_learn(struct voice *v, const struct batch_verdict *b, tick now);

void voice_learn_met(struct voice *v);
/* `share` of a full miss, 0..1. */
void voice_learn_missed(struct voice *v, double share);

/* Foreign allocations seen while a counter was watched. */
void voice_watch(struct voice *v, double foreign, double seconds);
double voice_drift_sum(const struct voice *v);
/* Whether the other's count is one that this one's would lead to expect. */
bool voice_same_drift(const struct voice *v, const struct voice *other);
/*
 * Foreign allocations from this voice's newest mapping to a batch, if the batch goes on from there:
 * -1 where it does not (another counter, a restart), or where the ports of low .. high may have
 * been gone through more than half, so that any rate shows the same port.
 */
double voice_foreign_until(const struct voice *v, const struct voice *rate,
                           const struct batch_verdict *b, uint16_t low, uint16_t high);

/* Mappings of evidence for and against. */
double voice_pieces(uint8_t eighths);
/* The probability that mappings go as told, by so much evidence. */
double voice_trust(double agree, double against);

/* How many ports a block has of which `seen` ports lie in a span. */
uint16_t voice_block_size(unsigned span, unsigned seen);

#endif
