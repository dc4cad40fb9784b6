/* SPDX-License-Identifier: ISC */
#include "predict_voice.h"

#include <math.h>
#include <stdlib.h>

/* Evidence forgets what it saw with this time constant ... */
#define FORGET_SECONDS 600.0
/* ... but age alone leaves so many mappings of it, lest the prior take over. */
#define PIECES_KEPT 4.0
#define PIECES_MAX  30.0
/* What NATs are like before anything is seen of one: as if of 10.02 mappings 0.02 had gone astray.
 */
#define PRIOR_AGREE   10.0
#define PRIOR_AGAINST 0.02
/* That a first fact agrees by chance, or that the class is mistaken in spite of it. */
#define CLASS_DOUBT 0.27
/* What a round shows, in mappings. A miss may be the other side's fault. */
#define HIT_PIECES  2.0
#define MISS_PIECES 1.0
#define MISSES_MAX  7 /* three bits */
/* A drift is never taken to be known better than from so many: it is not constant either. */
#define DRIFT_SUM_MAX  400.0
#define DRIFT_SUM_UNIT 64.0
/* How uncertain a drift is of which next to nothing was seen (Jeffreys' prior). */
#define DRIFT_PRIOR         0.5
#define DRIFT_PRIOR_SECONDS 0.02
/* Standard deviations, and ports, that a count may be off. */
#define DRIFT_SIGMAS 4.0
#define DRIFT_SLACK  5.0

uint32_t voice_hash(uint64_t peer)
{
    /* Fibonacci hashing (Knuth 6.4): numbers in a row end up far apart. */
    uint32_t hash = (uint32_t)(peer * UINT64_C(0x9e3779b97f4a7c15) >> 32);

    return hash > VOICE_PAST ? hash : hash + VOICE_PAST + 1;
}

bool voice_live(const struct voice *v, tick now)
{
    return v->peer != 0 && (v->last_at > now || now - v->last_at < PROFILE_FRESH);
}

bool voice_knows(const struct voice *v)
{
    return v->allocation != NAT_ALLOCATION_UNKNOWN || v->mapping == NAT_EIM ||
           v->mapping == NAT_MAPPING_NONE;
}

/* ---- agreement ---- */

/* One server address shows an ADM NAT as EIM. */
static bool mappings_agree(uint8_t a, bool a_one_address, uint8_t b, bool b_one_address)
{
    if (a == b || a == NAT_MAPPING_UNKNOWN || b == NAT_MAPPING_UNKNOWN)
        return true;
    return (a_one_address && a == NAT_EIM && b == NAT_ADM) ||
           (b_one_address && b == NAT_EIM && a == NAT_ADM);
}

bool voice_agrees(const struct voice *a, const struct voice *b)
{
    if (!mappings_agree(a->mapping, a->one_address, b->mapping, b->one_address))
        return false;
    if (a->allocation == NAT_ALLOCATION_UNKNOWN || b->allocation == NAT_ALLOCATION_UNKNOWN)
        return true;
    return a->allocation == b->allocation && (a->allocation == NAT_BLOCK || a->delta == b->delta);
}

static bool allocation_contradicts(const struct voice *v, const struct batch_verdict *b)
{
    if (v->allocation == NAT_ALLOCATION_UNKNOWN)
        return false;
    if (b->allocation == NAT_ALLOCATION_UNKNOWN)
        return b->known_facts >= 2 && b->known_agree == 0;
    return v->allocation != b->allocation || (v->allocation != NAT_BLOCK && v->delta != b->delta);
}

/* ---- evidence ---- */

double voice_pieces(uint8_t eighths)
{
    return eighths / 8.0;
}

static uint8_t eighths(double pieces)
{
    return (uint8_t)(fmin(fmax(pieces, 0), 31.0) * 8 + 0.5);
}

double voice_trust(double agree, double against)
{
    double sure = 1 - pow(CLASS_DOUBT, agree);

    return sure * (PRIOR_AGREE + agree) / (PRIOR_AGREE + PRIOR_AGAINST + agree + against);
}

static void add_evidence(struct voice *v, double agree, double against)
{
    double for_it = voice_pieces(v->agree) + agree, against_it = voice_pieces(v->against) + against;
    double scale = fmin(1, PIECES_MAX / (for_it + against_it));

    if (agree + against <= 0)
        return;
    v->agree = eighths(for_it * scale);
    v->against = eighths(against_it * scale);
}

static void forget(struct voice *v, tick now)
{
    double pieces = voice_pieces(v->agree) + voice_pieces(v->against), left;

    if (now <= v->last_at)
        return;
    left = exp(-tick_seconds(now - v->last_at) / FORGET_SECONDS);
    v->drift_sum = (uint16_t)(v->drift_sum * left);
    v->drift_seconds = (float)(v->drift_seconds * left);
    if (pieces <= PIECES_KEPT)
        return;
    left = fmax(left, PIECES_KEPT / pieces);
    v->agree = eighths(voice_pieces(v->agree) * left);
    v->against = eighths(voice_pieces(v->against) * left);
}

static void forget_allocation(struct voice *v)
{
    v->allocation = NAT_ALLOCATION_UNKNOWN;
    v->delta = 0;
    v->tracks = 0;
    v->agree = v->against = 0;
    v->drift_sum = 0;
    v->drift_seconds = 0;
    v->misses = 0;
    v->missed_with = 0;
    v->turned = false;
}

/* ---- a batch ---- */

static void learn_mapping(struct voice *v, const struct batch_verdict *b)
{
    if (b->mapping == NAT_MAPPING_UNKNOWN)
        return;
    if (v->mapping == NAT_MAPPING_UNKNOWN)
        v->one_address = b->one_address;
    if (!b->one_address)
        v->one_address = v->turned = false;
    if (v->mapping == NAT_MAPPING_UNKNOWN || !b->one_address)
        v->mapping = b->mapping & 7U;
}

uint16_t voice_block_size(unsigned span, unsigned seen)
{
    double size, power;

    if (seen < 2)
        return 0;
    /* The unbiased estimate for a uniform distribution; a power of two where one is as likely. */
    size = (span + 1.0) * (seen + 1.0) / (seen - 1.0);
    power = exp2(round(log2(size)));
    if (power > span && fabs(power - size) <= 2 * size / seen)
        size = power;
    return (uint16_t)fmin(size, UINT16_MAX);
}

static void learn_class(struct voice *v, const struct batch_verdict *b)
{
    v->allocation = b->allocation & 7U;
    v->delta = b->delta;
    v->tracks = b->tracks & 3U;
    if (b->allocation == NAT_BLOCK)
        v->delta = voice_block_size((unsigned)(b->high - b->low), b->mappings);
}

static void learn_allocation(struct voice *v, const struct batch_verdict *b)
{
    if (b->mapping == NAT_MAPPING_NONE) {
        add_evidence(v, 3, 0);
        v->allocation = NAT_PRESERVE;
        v->delta = 0;
    } else if (b->allocation != NAT_ALLOCATION_UNKNOWN) {
        add_evidence(v, b->agree, b->facts - b->agree);
        learn_class(v, b);
    } else if (b->known_facts > 0) {
        add_evidence(v, b->known_agree, b->known_facts - b->known_agree);
    } else if (b->mapping == NAT_EIM) {
        add_evidence(v, 2, 0); /* which needs no allocation, only an anchor */
    }
}

void voice_learn(struct voice *v, const struct batch_verdict *b, tick now)
{
    forget(v, now);
    if (!mappings_agree(v->mapping, v->one_address, b->mapping, b->one_address)) {
        forget_allocation(v);
        v->mapping = NAT_MAPPING_UNKNOWN;
    } else if (allocation_contradicts(v, b)) {
        forget_allocation(v);
    }
    learn_mapping(v, b);
    learn_allocation(v, b);
}

/* ---- a round ---- */

void voice_learn_met(struct voice *v)
{
    v->misses = 0;
    v->missed_with = 0;
    /* What met decides between the two that looked alike. */
    if (v->turned)
        v->mapping = v->mapping == NAT_EIM ? NAT_ADM : NAT_EIM;
    v->turned = false;
    if (v->mapping == NAT_EIM)
        v->one_address = false;
    add_evidence(v, HIT_PIECES, 0);
}

void voice_learn_missed(struct voice *v, double share)
{
    if (v->misses < MISSES_MAX)
        v->misses = (v->misses + 1) & MISSES_MAX;
    if (v->one_address && (v->mapping == NAT_EIM || v->mapping == NAT_ADM))
        v->turned = !v->turned;
    add_evidence(v, 0, MISS_PIECES * share);
}

/* ---- drift ---- */

double voice_drift_sum(const struct voice *v)
{
    return v->drift_sum / DRIFT_SUM_UNIT;
}

void voice_watch(struct voice *v, double foreign, double seconds)
{
    double sum = voice_drift_sum(v) + foreign, watched = v->drift_seconds + seconds;
    double scale = fmin(1, DRIFT_SUM_MAX / fmax(sum, 1));

    v->drift_sum = (uint16_t)(sum * scale * DRIFT_SUM_UNIT + 0.5);
    v->drift_seconds = (float)(watched * scale);
}

/* What a voice expects within some seconds, and how far off that may be. */
static double expected(const struct voice *v, double seconds, double *slack)
{
    double shape = voice_drift_sum(v) + DRIFT_PRIOR;
    double mean = shape / (v->drift_seconds + DRIFT_PRIOR_SECONDS) * seconds;

    *slack = DRIFT_SIGMAS * sqrt(mean + mean * mean / shape) + DRIFT_SLACK;
    return mean;
}

bool voice_same_drift(const struct voice *v, const struct voice *other)
{
    double slack, mean = expected(v, other->drift_seconds, &slack);

    return fabs(voice_drift_sum(other) - mean) <= slack;
}

double voice_foreign_until(const struct voice *v, const struct voice *rate,
                           const struct batch_verdict *b, uint16_t low, uint16_t high)
{
    int32_t size = high - low + 1, delta = rate->delta % size;
    int32_t by = ((int32_t)b->first_port - v->last_port) % size;
    double mean, slack;

    if (v->last_port == 0 || b->first_at <= v->last_at || delta == 0)
        return -1;
    mean = expected(rate, tick_seconds(b->first_at - v->last_at), &slack);
    if (delta < 0)
        by = -by;
    by = (by + size) % size;
    delta = abs(delta);
    if (by == 0 || by % delta != 0 || (mean + slack) * delta > size / 2.0)
        return -1;
    /* One of the steps is the batch's own first mapping. */
    by = by / delta - 1;
    return fabs(by - mean) <= slack ? by : -1;
}
