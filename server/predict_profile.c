/* SPDX-License-Identifier: ISC */
#include "predict_profile.h"

#include <math.h>
#include <stdlib.h>

#include "predict_batch.h"

/* Delta and drift forget what they saw with this time constant. */
#define FORGET_SECONDS 600.0
/* Nothing is certain: a NAT may be restarted between two packets. */
#define CONFIDENCE_MAX 99
/* Below this a profile is not relied on. */
#define CONFIDENCE_MIN 50
#define MISSES_MAX     3
/* Older evidence never weighs more than this many mappings against new evidence. */
#define WEIGHT_MAX 30.0
/* How uncertain a drift is of which next to nothing was seen: as if so many ports had been. */
#define DRIFT_DOUBT         3.0
#define DRIFT_DOUBT_SECONDS 0.1

void profile_init(struct profile *p)
{
    *p = (struct profile){
        .learnt = TICK_NEVER,
        .refusal_learnt = TICK_NEVER,
        .filtering_learnt = TICK_NEVER,
        .pooling_learnt = TICK_NEVER,
        .simultaneous_learnt = TICK_NEVER,
        .last_at = TICK_NEVER,
    };
}

/* What was counted fades; a rate stays what it was, and yields to new evidence the sooner. */
static void forget(struct profile *p, tick now)
{
    double left;

    if (p->learnt == TICK_NEVER || now <= p->learnt)
        return;
    left = exp(-tick_seconds(now - p->learnt) / FORGET_SECONDS);
    p->weight *= left;
    p->drift_sum *= left;
    p->drift_seconds *= left;
}

static void forget_allocation(struct profile *p)
{
    p->nat.allocation = NAT_ALLOCATION_UNKNOWN;
    p->nat.delta = 0;
    p->nat.drift = 0;
    p->nat.block_low = p->nat.block_high = 0;
    p->nat.confidence = 0;
    p->last_at = TICK_NEVER;
    p->last_port = p->low = p->high = 0;
    p->weight = p->drift_sum = p->drift_seconds = 0;
    p->hits = p->misses = 0;
}

/* ---- contradiction ---- */

static bool mapping_contradicts(const struct profile *p, const struct batch_verdict *v)
{
    if (p->nat.mapping == NAT_MAPPING_UNKNOWN || v->mapping == NAT_MAPPING_UNKNOWN)
        return false;
    /* One server address shows an ADM NAT as EIM. */
    if (v->one_address && v->mapping == NAT_EIM && p->nat.mapping == NAT_ADM)
        return false;
    return v->mapping != p->nat.mapping;
}

static bool allocation_contradicts(const struct profile *p, const struct batch_verdict *v)
{
    if (p->nat.allocation == NAT_ALLOCATION_UNKNOWN)
        return false;
    if (v->allocation == NAT_ALLOCATION_UNKNOWN)
        return v->known_facts >= 2 && v->known_agree == 0;
    return v->allocation != p->nat.allocation || v->delta != p->nat.delta;
}

/* ---- agreement ---- */

static void learn_mapping(struct profile *p, const struct batch_verdict *v)
{
    if (v->mapping == NAT_MAPPING_UNKNOWN)
        return;
    if (p->nat.mapping == NAT_MAPPING_UNKNOWN)
        p->one_address = v->one_address;
    if (!v->one_address)
        p->one_address = false;
    if (p->nat.mapping == NAT_MAPPING_UNKNOWN || !v->one_address)
        p->nat.mapping = v->mapping;
}

/* Two surveys of one block each see a part of it; another subscriber's block takes its place. */
static void learn_block(struct nat_summary *nat, const struct batch_verdict *v)
{
    bool overlap = nat->block_high >= v->block_low && nat->block_low <= v->block_high;

    if (!overlap || v->block_low < nat->block_low)
        nat->block_low = v->block_low;
    if (!overlap || v->block_high > nat->block_high)
        nat->block_high = v->block_high;
}

/* How sure so few pieces of evidence can make us, even if all of them agree. */
static double evidence_cap(double pieces)
{
    if (pieces < 1.5)
        return 75;
    return pieces < 2.5 ? 92 : CONFIDENCE_MAX;
}

static void weigh(struct profile *p, unsigned facts, unsigned agree)
{
    double before = p->nat.allocation == NAT_ALLOCATION_UNKNOWN ? 0 : fmin(p->weight, WEIGHT_MAX);
    double share, pieces = before + facts;

    if (facts == 0)
        return;
    share = (before * p->nat.confidence + facts * (double)CONFIDENCE_MAX * agree / facts) / pieces;
    /* Forgotten evidence leaves the confidence that it gave. */
    p->nat.confidence =
        (uint8_t)fmin(share, fmax(evidence_cap(pieces), agree == facts ? p->nat.confidence : 0));
    p->weight += facts;
}

static void learn_allocation(struct profile *p, const struct batch_verdict *v)
{
    if (v->mapping == NAT_MAPPING_NONE) {
        weigh(p, 3, 3);
        p->nat.allocation = NAT_PRESERVE;
        return;
    }
    if (v->allocation == NAT_ALLOCATION_UNKNOWN) {
        if (v->known_facts > 0)
            weigh(p, v->known_facts, v->known_agree);
        else if (v->mapping == NAT_EIM)
            weigh(p, 2, 2); /* which needs no allocation, only an anchor */
        return;
    }
    weigh(p, v->facts, v->agree);
    p->nat.allocation = v->allocation;
    p->nat.delta = v->delta;
    if (v->allocation == NAT_BLOCK)
        learn_block(&p->nat, v);
}

static void learn_range(struct profile *p, const struct batch_verdict *v)
{
    if (v->mappings == 0)
        return;
    if (p->low == 0 || v->low < p->low)
        p->low = v->low;
    if (v->high > p->high)
        p->high = v->high;
}

/* ---- the counter's state ---- */

/*
 * Foreign allocations since the newest mapping of an earlier batch, or -1 where that cannot be
 * told: a counter that may have gone half round its ports meanwhile shows the same port for any
 * rate.
 */
static double foreign_between(const struct profile *p, const struct batch_verdict *v)
{
    int32_t range = PROFILE_PORT_HIGH - PROFILE_PORT_LOW + 1;
    int32_t delta = p->nat.delta > -range ? abs(p->nat.delta) : 0;
    double seconds = tick_seconds(v->first_at - p->last_at);
    double most = (p->drift_sum + DRIFT_DOUBT) / (p->drift_seconds + DRIFT_DOUBT_SECONDS) * seconds;
    int32_t by = ((int32_t)v->first_port - p->last_port) % range;

    if (p->nat.delta < 0)
        by = -by;
    by = (by + range) % range;
    if (by == 0 || delta == 0 || by % delta != 0 || most * delta > range / 2.0)
        return -1;
    /* One of the steps is the batch's own first mapping. */
    by = by / delta - 1;
    return by;
}

static void learn_drift(struct profile *p, const struct batch_verdict *v)
{
    double foreign = -1;

    if (p->last_at != TICK_NEVER && v->first_at > p->last_at && v->mappings > 0)
        foreign = foreign_between(p, v);
    if (foreign >= 0) {
        p->drift_sum += foreign;
        p->drift_seconds += tick_seconds(v->first_at - p->last_at);
    }
    p->drift_sum += v->foreign;
    p->drift_seconds += v->seconds;
    if (p->drift_seconds > 0)
        p->nat.drift = (uint32_t)fmin(1000 * p->drift_sum / p->drift_seconds, UINT32_MAX);
}

static void learn_counter(struct profile *p, const struct batch_verdict *v)
{
    if (v->mappings == 0)
        return;
    if (p->nat.allocation == NAT_COUNTER)
        learn_drift(p, v);
    if (p->last_at == TICK_NEVER || v->last_at >= p->last_at) {
        p->last_at = v->last_at;
        p->last_port = v->last_port;
    }
}

void profile_learn(struct profile *p, const struct observation *obs, size_t count, tick now)
{
    struct batch_verdict v;

    if (count == 0)
        return;
    v = batch_classify(obs, count, &p->nat);
    forget(p, now);
    if (mapping_contradicts(p, &v)) {
        forget_allocation(p);
        p->nat.mapping = NAT_MAPPING_UNKNOWN;
    } else if (allocation_contradicts(p, &v)) {
        forget_allocation(p);
    }
    learn_mapping(p, &v);
    learn_allocation(p, &v);
    learn_range(p, &v);
    learn_counter(p, &v);
    p->nat.samples += (uint32_t)count;
    p->learnt = now;
}

void profile_learn_refusal(struct profile *p, enum nat_refusal refusal, tick now)
{
    p->nat.refusal = (uint8_t)refusal;
    p->refusal_learnt = now;
}

static void learn_met(struct profile *p, uint16_t port)
{
    p->hits++;
    p->misses = 0;
    /* Another address than the server's was reached from the port that the server saw. */
    if (p->nat.mapping == NAT_EIM)
        p->one_address = false;
    if (p->nat.confidence < CONFIDENCE_MAX)
        p->nat.confidence = (uint8_t)((p->nat.confidence + CONFIDENCE_MAX + 1) / 2);
    if (port == 0)
        return;
    p->low = p->low == 0 || port < p->low ? port : p->low;
    p->high = port > p->high ? port : p->high;
}

void profile_learn_outcome(struct profile *p, bool met, uint16_t port, tick now)
{
    (void)now;
    if (p->learnt == TICK_NEVER)
        return;
    if (met) {
        learn_met(p, port);
        return;
    }
    p->misses++;
    p->nat.confidence = (uint8_t)(p->nat.confidence * 4 / 5);
    /* Neither hypothesis was excluded: the next round tries the other one. */
    if (p->one_address && p->nat.mapping == NAT_EIM)
        p->nat.mapping = NAT_ADM;
    else if (p->one_address && p->nat.mapping == NAT_ADM)
        p->nat.mapping = NAT_EIM;
}

static bool recent(tick then, tick now)
{
    /* A moment in the future is another boot's: the store may outlive a clock. */
    return then != TICK_NEVER && then <= now && now - then < PROFILE_FRESH;
}

bool profile_fresh(const struct profile *p, tick now)
{
    bool enough = p->nat.allocation != NAT_ALLOCATION_UNKNOWN || p->nat.mapping == NAT_EIM;

    return recent(p->learnt, now) && p->nat.mapping != NAT_MAPPING_UNKNOWN && enough &&
           p->nat.confidence >= CONFIDENCE_MIN && p->misses < MISSES_MAX;
}

bool profile_refusal_known(const struct profile *p, tick now)
{
    return recent(p->refusal_learnt, now);
}
