/* SPDX-License-Identifier: ISC */
#include "predict_profile.h"

#include <math.h>

#include "predict_voice.h"

/* Nothing is certain: a NAT may be restarted between two packets. */
#define CONFIDENCE_MAX 99
/* Below this a profile is not relied on. */
#define CONFIDENCE_MIN 50
#define MISSES_MAX     3
/* The half-life of a voice's weight. */
#define VOICE_HALF_LIFE 600.0
/* Voices within this of each other are split; the newer one decides. */
#define VOTE_MARGIN 0.25
/* For whom a NAT has not yet shown itself: as if of one more peer 0.02 saw something else. */
#define STRANGER_AGREE   0.98
#define STRANGER_AGAINST 0.02
/* So many others must agree, and so large a share of them, to do without a survey of one's own. */
#define STRANGER_VOICES 2
#define STRANGER_SHARE  0.6
/* Another peer's evidence for the same class counts up to so many mappings. */
#define OTHERS_PIECES_MAX 10.0
/* ... and what went against it up to this: it may have failed on purpose. */
#define OTHERS_AGAINST_MAX 1.0
/* How many NATs that look like EIM from one address are not (literature: 2%). */
#define ONE_ADDRESS_DOUBT 0.02
/* A hypothesis turned to after a miss is dropped when this has passed without another round. */
#define TURN_SECONDS 60
/* The same peer missed again: it may do so on purpose. */
#define MISSED_AGAIN 0.125
/* A round with less of a chance was bound to miss. */
#define MISS_CHANCE_MIN 0.5
/* A counter turns round within these bounds where it did so several times, in so narrow a span. */
#define TURNS_MIN       3
#define TURN_LOOKS_MIN  8
#define TURN_SPAN_MAX   16384
#define TURN_CHANCE_MAX 1e-4

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

/* ---- voices ---- */

static const struct voice *peer_voice(const struct profile *p, uint32_t peer)
{
    unsigned i;

    for (i = 0; i < PROFILE_VOICES; i++)
        if (p->voices[i].peer == peer)
            return &p->voices[i];
    return NULL;
}

/* A free place, or that of whoever was not heard for the longest. */
static struct voice *make_voice(struct profile *p, uint32_t peer)
{
    struct voice *oldest = &p->voices[0];
    unsigned i;

    for (i = 0; i < PROFILE_VOICES; i++) {
        struct voice *v = &p->voices[i];

        if (oldest->peer != 0 && (v->peer == 0 || v->last_at < oldest->last_at))
            oldest = v;
    }
    *oldest = (struct voice){.peer = peer};
    return oldest;
}

static bool any_voice(const struct profile *p)
{
    unsigned i;

    for (i = 0; i < PROFILE_VOICES; i++)
        if (p->voices[i].peer != 0)
            return true;
    return false;
}

/* What the store remembers counts as one peer's word. */
static void recall_past(struct profile *p)
{
    struct voice *v;

    if (p->learnt == TICK_NEVER || any_voice(p))
        return;
    v = make_voice(p, VOICE_PAST);
    v->last_at = p->last_at == TICK_NEVER ? p->learnt : p->last_at;
    v->last_port = p->last_port;
    v->mapping = p->nat.mapping & 7U;
    v->allocation = p->nat.allocation & 7U;
    v->delta =
        p->nat.allocation == NAT_BLOCK ? p->nat.block_high - p->nat.block_low + 1 : p->nat.delta;
    v->tracks = p->nat.allocation == NAT_COUNTER;
    v->one_address = p->one_address;
    v->agree = (uint8_t)(fmin(p->weight, OTHERS_PIECES_MAX) * p->nat.confidence / 100 * 8);
    voice_watch(v, fmin(fmax(p->drift_sum, 0), 1e6), fmin(fmax(p->drift_seconds, 0), 1e6));
}

static double weight_of(const struct voice *v, tick now)
{
    double age = now > v->last_at ? tick_seconds(now - v->last_at) : 0;

    return voice_live(v, now) ? exp2(-age / VOICE_HALF_LIFE) : 0;
}

/* How much speaks for and against what a voice says, each peer once. */
struct support {
    double with, against;
    unsigned voices; /* that agree, itself among them; the past was somebody's own once */
};

static struct support support_of(const struct profile *p, const struct voice *v, tick now)
{
    struct support s = {0};
    unsigned i;

    for (i = 0; i < PROFILE_VOICES; i++) {
        const struct voice *o = &p->voices[i];
        double weight = voice_knows(o) ? weight_of(o, now) : 0;

        if (weight <= 0)
            continue;
        if (voice_agrees(v, o)) {
            s.with += weight;
            s.voices += o->peer == VOICE_PAST ? STRANGER_VOICES : 1;
        } else {
            s.against += weight;
        }
    }
    return s;
}

static const struct voice *elect(const struct profile *p, tick now)
{
    const struct voice *best = NULL;
    double most = 0;
    unsigned i;

    for (i = 0; i < PROFILE_VOICES; i++) {
        const struct voice *v = &p->voices[i];
        double with = voice_knows(v) ? support_of(p, v, now).with : 0;
        bool newer = best != NULL && v->last_at > best->last_at;

        if (with <= 0)
            continue;
        if (best == NULL || with > most + VOTE_MARGIN || (newer && with > most - VOTE_MARGIN)) {
            best = v;
            most = with;
        }
    }
    return best;
}

static bool supports(const struct voice *v, const struct voice *other, tick now)
{
    return voice_live(other, now) && voice_knows(other) && voice_agrees(v, other);
}

/* ---- from voices to the profile ---- */

/* Mappings behind a voice and those that agree with it. */
static void evidence_for(const struct profile *p, const struct voice *v, tick now, double *agree,
                         double *against)
{
    unsigned i;

    *agree = voice_pieces(v->agree);
    *against = voice_pieces(v->against);
    for (i = 0; i < PROFILE_VOICES; i++) {
        const struct voice *o = &p->voices[i];
        double pieces = voice_pieces(o->agree) + voice_pieces(o->against), scale;

        if (o->peer == v->peer || pieces <= 0 || !supports(v, o, now))
            continue;
        scale = fmin(1, OTHERS_PIECES_MAX / pieces) * weight_of(o, now);
        *agree += voice_pieces(o->agree) * scale;
        *against += fmin(voice_pieces(o->against) * scale, OTHERS_AGAINST_MAX);
    }
}

static bool turned_now(const struct profile *p, const struct voice *v, tick now)
{
    return v->turned && now / TICK_S < (tick)p->missed_at + TURN_SECONDS;
}

/* Some of whoever agrees may have seen what this voice could not tell. */
static void view_mapping(struct profile *out, const struct profile *p, const struct voice *v,
                         tick now)
{
    unsigned i;

    out->nat.mapping = v->mapping;
    out->one_address = v->one_address;
    for (i = 0; i < PROFILE_VOICES; i++) {
        const struct voice *o = &p->voices[i];

        if (!supports(v, o, now) || o->mapping == NAT_MAPPING_UNKNOWN)
            continue;
        if (out->nat.mapping == NAT_MAPPING_UNKNOWN || (out->one_address && !o->one_address)) {
            out->nat.mapping = o->mapping;
            out->one_address = o->one_address;
        }
    }
    if (out->one_address && turned_now(p, v, now))
        out->nat.mapping = out->nat.mapping == NAT_EIM ? NAT_ADM : NAT_EIM;
}

static void view_trust(struct profile *out, const struct profile *p, const struct voice *v,
                       tick now)
{
    double agree, against, trust;

    evidence_for(p, v, now, &agree, &against);
    out->weight = agree + against;
    trust = voice_trust(agree, against);
    /* Where the local port tells the public one it does not matter which of the two it is. */
    if (out->one_address && v->allocation != NAT_PRESERVE && v->allocation != NAT_OFFSET)
        trust *= 1 - ONE_ADDRESS_DOUBT;
    if (v->tracks > 1)
        trust /= v->tracks;
    out->trust = (float)trust;
}

/* Whose drift most of those that agree would call the same, and theirs added to it. */
static void view_drift(struct profile *out, const struct profile *p, const struct voice *v,
                       tick now)
{
    unsigned i;

    out->drift_sum = voice_drift_sum(v);
    out->drift_seconds = v->drift_seconds;
    for (i = 0; i < PROFILE_VOICES; i++) {
        const struct voice *o = &p->voices[i];

        if (o->peer == v->peer || o->allocation != NAT_COUNTER || !supports(v, o, now) ||
            !voice_same_drift(v, o))
            continue;
        out->drift_sum += voice_drift_sum(o);
        out->drift_seconds += o->drift_seconds;
    }
    out->nat.drift = 0;
    if (out->drift_seconds > 0)
        out->nat.drift = (uint32_t)fmin(1000 * out->drift_sum / out->drift_seconds, UINT32_MAX);
}

static void finish_confidence(struct profile *out)
{
    out->nat.confidence = (uint8_t)fmin(floorf(out->trust * 100), CONFIDENCE_MAX);
}

/* `out` (a copy of p, or p itself) becomes what v says. */
static void speak_as(struct profile *out, const struct profile *p, const struct voice *v, tick now)
{
    view_mapping(out, p, v, now);
    view_trust(out, p, v, now);
    out->nat.allocation = v->allocation;
    out->nat.delta = v->allocation == NAT_BLOCK ? 0 : v->delta;
    if (v->allocation != NAT_BLOCK && v->allocation != NAT_COUNTER)
        out->nat.block_low = out->nat.block_high = 0;
    if (v->allocation == NAT_COUNTER)
        view_drift(out, p, v, now);
    else
        out->drift_sum = out->drift_seconds = out->nat.drift = 0;
    out->last_at = v->last_at;
    out->last_port = v->last_port;
    finish_confidence(out);
}

/* What was seen of the range goes with the allocation that it was seen of. */
static void forget_range(struct profile *p)
{
    p->nat.block_low = p->nat.block_high = 0;
    p->low = p->high = 0;
    p->looks = p->turns = 0;
    p->block_size = 0;
    p->hits = p->misses = 0;
}

static void settle(struct profile *p, tick now)
{
    struct profile before = *p;
    const struct voice *v = elect(p, now);
    struct voice none = {0};
    unsigned i;

    /* Nobody says enough: the newest says what little there is. */
    for (i = 0; v == NULL && i < PROFILE_VOICES; i++)
        if (p->voices[i].peer != 0 && (none.peer == 0 || p->voices[i].last_at > none.last_at))
            none = p->voices[i];
    speak_as(p, &before, v != NULL ? v : &none, now);
    if (before.nat.allocation != NAT_ALLOCATION_UNKNOWN &&
        (before.nat.allocation != p->nat.allocation || before.nat.delta != p->nat.delta))
        forget_range(p);
}

/* What it saw itself goes against what the others say, though it cannot tell what else it is. */
static bool doubts(const struct voice *v)
{
    return v != NULL && v->allocation == NAT_ALLOCATION_UNKNOWN && v->against > 0 && v->agree == 0;
}

static void view_own(struct profile *out, const struct profile *p, const struct voice *v, tick now)
{
    bool agreed = v->allocation == NAT_ALLOCATION_UNKNOWN && v->mapping == p->nat.mapping;
    uint8_t allocation = p->nat.allocation;
    int32_t delta = p->nat.delta;

    speak_as(out, p, v, now);
    out->misses = v->misses;
    /* An endpoint-independent mapping alone is enough, but the others may know more. */
    if (agreed && !doubts(v)) {
        out->nat.allocation = allocation;
        out->nat.delta = delta;
    }
    if (out->nat.allocation == NAT_BLOCK && support_of(p, v, now).voices > 1)
        out->nat.block_low = out->nat.block_high = 0; /* perhaps another's */
}

static void view_others(struct profile *out, const struct profile *p, tick now)
{
    const struct voice *v = elect(p, now);
    struct support s;
    unsigned i, missing = 0;
    double share;

    if (v == NULL)
        return;
    s = support_of(p, v, now);
    out->second_hand = s.voices < STRANGER_VOICES || s.with < STRANGER_SHARE * (s.with + s.against);
    share = (s.with + STRANGER_AGREE) / (s.with + s.against + STRANGER_AGREE + STRANGER_AGAINST);
    out->trust = (float)(out->trust * share);
    finish_confidence(out);
    for (i = 0; i < PROFILE_VOICES; i++)
        missing += p->voices[i].misses >= MISSES_MAX && voice_live(&p->voices[i], now);
    out->misses = missing >= STRANGER_VOICES ? MISSES_MAX : 0;
    if (out->nat.allocation == NAT_BLOCK)
        out->nat.block_low = out->nat.block_high = 0;
}

struct profile profile_view(const struct profile *p, uint64_t peer, tick now)
{
    struct profile out = *p;
    const struct voice *own = peer_voice(p, voice_hash(peer));

    out.nat = profile_summary_of(p, peer);
    if (!any_voice(p) || p->learnt == TICK_NEVER)
        return out;
    if (own != NULL && !voice_live(own, now))
        own = NULL;
    if (own != NULL && voice_knows(own)) {
        view_own(&out, p, own, now);
        return out;
    }
    view_others(&out, p, now);
    if (own != NULL && own->last_port != 0) {
        out.last_at = own->last_at;
        out.last_port = own->last_port;
    }
    if (doubts(own)) {
        out.nat.allocation = NAT_ALLOCATION_UNKNOWN;
        out.second_hand = true;
    }
    return out;
}

bool profile_serves_all(const struct nat_summary *nat)
{
    return nat->mapping == NAT_MAPPING_NONE || nat->mapping == NAT_EIM || nat->filtering == NAT_EIF;
}

double profile_trust(const struct profile *p)
{
    return p->trust > 0 ? p->trust : p->nat.confidence / 100.0;
}

/* ---- learning ---- */

static struct batch_known known_by(const struct profile *p, const struct voice *own)
{
    struct batch_known known = {
        .allocation = own->allocation, .tracks = own->tracks, .delta = own->delta};
    unsigned i;

    if (own->allocation == NAT_ALLOCATION_UNKNOWN) {
        known.allocation = p->nat.allocation;
        known.delta = p->nat.delta;
    }
    for (i = 0; i < PROFILE_VOICES; i++) {
        const struct voice *v = &p->voices[i];

        if (v->peer != 0 && v->allocation == known.allocation && v->delta == known.delta &&
            known.tracks < v->tracks)
            known.tracks = v->tracks;
    }
    return known;
}

/*
 * Foreign allocations since the newest mapping that this batch goes on from: its own peer's first,
 * for every subscriber may have a counter of its own. False: it goes on from none.
 */
static bool link_batch(const struct profile *p, const struct voice *before, struct voice *own,
                       const struct batch_verdict *v)
{
    bool bounded = p->nat.block_low != 0 && v->first_port >= p->nat.block_low &&
                   v->first_port <= p->nat.block_high;
    uint16_t low = bounded ? p->nat.block_low : PROFILE_PORT_LOW;
    uint16_t high = bounded ? p->nat.block_high : PROFILE_PORT_HIGH;
    const struct voice *from = before;
    double foreign;
    unsigned i;

    if (before->moved)
        return true;
    foreign = voice_foreign_until(before, own, v, low, high);
    for (i = 0; foreign < 0 && i < PROFILE_VOICES; i++) {
        from = &p->voices[i];
        if (from->peer != own->peer && from->peer != 0 && voice_agrees(own, from))
            foreign = voice_foreign_until(from, own, v, low, high);
    }
    if (foreign < 0)
        return false;
    voice_watch(own, foreign, tick_seconds(v->first_at - from->last_at));
    return true;
}

/* Behind where it had just been, and not far. */
static bool turned_round(const struct voice *before, const struct batch_verdict *v)
{
    int32_t by = (int32_t)v->first_port - before->last_port;

    return before->last_port != 0 && v->first_at > before->last_at &&
           (by > 0) != (before->delta > 0) && by != 0 && by < TURN_SPAN_MAX && by > -TURN_SPAN_MAX;
}

/* That independent looks at all ports would lie in so narrow a span. */
static double chance_of_span(unsigned looks, unsigned span)
{
    double share = (span + 1.0) / (PROFILE_PORT_HIGH - PROFILE_PORT_LOW + 1);

    return looks * pow(share, looks - 1.0);
}

/* Where a counter turns: seen in a burst, or told by many looks that never left a narrow span. */
static void learn_bounds(struct profile *p, const struct batch_verdict *v)
{
    unsigned span = (unsigned)p->high - p->low;

    if (v->range_high != 0) {
        p->nat.block_low = v->range_low;
        p->nat.block_high = v->range_high;
    } else if (p->turns >= TURNS_MIN && p->looks >= TURN_LOOKS_MIN && span <= TURN_SPAN_MAX &&
               p->nat.block_low == 0 && chance_of_span(p->looks, span) < TURN_CHANCE_MAX) {
        p->nat.block_low = p->low;
        p->nat.block_high = p->high;
    }
}

/* One that leaves its bounds has others. */
static void check_bounds(struct profile *p, const struct voice *before,
                         const struct batch_verdict *v)
{
    bool inside = before->last_port >= p->nat.block_low && before->last_port <= p->nat.block_high;

    if (p->nat.block_low == 0 || !inside)
        return;
    if (v->low < p->nat.block_low)
        p->nat.block_low = v->low;
    if (v->high > p->nat.block_high)
        p->nat.block_high = v->high;
    if (p->nat.block_high - p->nat.block_low > TURN_SPAN_MAX) {
        p->nat.block_low = p->nat.block_high = 0;
        p->turns = p->looks = 0;
        p->low = p->high = 0;
    }
}

static void learn_range(struct profile *p, const struct batch_verdict *v)
{
    if (v->mappings == 0)
        return;
    if (p->low == 0 || v->low < p->low)
        p->low = v->low;
    if (v->high > p->high)
        p->high = v->high;
    if (p->looks < UINT8_MAX)
        p->looks++;
}

static void learn_counter(struct profile *p, const struct voice *before, struct voice *own,
                          const struct batch_verdict *v)
{
    bool same = before->allocation == NAT_COUNTER && before->delta == own->delta;

    voice_watch(own, v->foreign, v->seconds);
    if (own->tracks > 1)
        return;
    check_bounds(p, before, v);
    if (!link_batch(p, before, own, v) && same && turned_round(before, v) && p->turns < UINT8_MAX)
        p->turns++;
}

/* The middle one of what the voices say: blocks of one NAT have one size. */
static uint16_t block_size(const struct profile *p, tick now)
{
    int32_t sizes[PROFILE_VOICES] = {0};
    unsigned i, j, n = 0;

    for (i = 0; i < PROFILE_VOICES; i++) {
        const struct voice *v = &p->voices[i];

        if (v->allocation != NAT_BLOCK || !voice_live(v, now))
            continue;
        for (j = n++; j > 0 && sizes[j - 1] > v->delta; j--)
            sizes[j] = sizes[j - 1];
        sizes[j] = v->delta;
    }
    return n > 0 ? (uint16_t)sizes[n / 2] : 0;
}

static void learn_block(struct profile *p, const struct voice *before,
                        const struct batch_verdict *v, tick now)
{
    bool mine = before->allocation == NAT_BLOCK && p->nat.block_high >= v->block_low &&
                p->nat.block_low <= v->block_high;

    /* Two surveys of one block each see a part of it; another's block takes its place. */
    if (!mine || v->block_low < p->nat.block_low)
        p->nat.block_low = v->block_low;
    if (!mine || v->block_high > p->nat.block_high)
        p->nat.block_high = v->block_high;
    p->block_size = block_size(p, now);
}

static void learn_position(struct voice *own, const struct batch_verdict *v)
{
    if (v->mappings == 0 || (own->last_port != 0 && v->last_at < own->last_at))
        return;
    own->last_at = v->last_at;
    own->last_port = v->last_port;
    own->moved = false;
}

/* The place of this peer's voice. */
static struct voice *own_voice(struct profile *p, uint64_t peer)
{
    uint32_t hash = voice_hash(peer);
    unsigned i;

    recall_past(p);
    for (i = 0; i < PROFILE_VOICES; i++)
        if (p->voices[i].peer == hash)
            return &p->voices[i];
    return make_voice(p, hash);
}

void profile_learn(struct profile *p, const struct observation *obs, size_t count, tick now)
{
    struct batch_verdict v;
    struct batch_known known;
    struct voice *own, before;

    if (count == 0)
        return;
    own = own_voice(p, obs[0].peer);
    before = *own;
    known = known_by(p, own);
    v = batch_classify(obs, count, &known);
    voice_learn(own, &v, now);
    if (own->allocation == NAT_COUNTER && v.mappings > 0)
        learn_counter(p, &before, own, &v);
    learn_position(own, &v);
    settle(p, now);
    learn_range(p, &v);
    if (p->nat.allocation == NAT_COUNTER && v.allocation == NAT_COUNTER)
        learn_bounds(p, &v);
    else if (p->nat.allocation == NAT_BLOCK && v.allocation == NAT_BLOCK)
        learn_block(p, &before, &v, now);
    p->nat.samples += (uint32_t)count;
    p->learnt = now;
}

void profile_learn_refusal(struct profile *p, enum nat_refusal refusal, tick now)
{
    p->nat.refusal = (uint8_t)refusal;
    p->refusal_learnt = now;
}

/* ---- rounds ---- */

static uint8_t other_hash(uint64_t other)
{
    return (uint8_t)(1 + voice_hash(other) % UINT8_MAX);
}

/* That it was the profile's fault, and not chance, that a round missed (Bayes). */
static double blame(const struct profile *p, double chance)
{
    double doubt = 1 - profile_trust(p), miss = 1 - fmin(fmax(chance, 0), 1);

    return miss > doubt ? doubt / miss : 1;
}

static void learn_missed(struct profile *p, struct voice *own, const struct outcome *o, tick now)
{
    uint8_t other = other_hash(o->other);
    double share = blame(p, o->chance);

    if (o->chance < MISS_CHANCE_MIN)
        return;
    p->misses++;
    p->missed_at = (uint32_t)(now / TICK_S);
    voice_learn_missed(own, own->missed_with == other ? share * MISSED_AGAIN : share);
    own->missed_with = other;
}

void profile_learn_outcome(struct profile *p, const struct outcome *outcome, tick now)
{
    struct voice *own;

    if (p->learnt == TICK_NEVER)
        return;
    own = own_voice(p, outcome->peer);
    own->moved = true;
    if (own->last_port == 0 || (outcome->met && outcome->port != 0)) {
        own->last_at = now;
        own->last_port = outcome->met ? outcome->port : 0;
    }
    if (outcome->met) {
        p->hits++;
        p->misses = 0;
        voice_learn_met(own);
    } else {
        learn_missed(p, own, outcome, now);
    }
    settle(p, now);
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
           !p->second_hand && p->nat.confidence >= CONFIDENCE_MIN && p->misses < MISSES_MAX;
}

bool profile_refusal_known(const struct profile *p, tick now)
{
    return recent(p->refusal_learnt, now);
}
