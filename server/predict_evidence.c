/* SPDX-License-Identifier: ISC */
/*
 * What tests, not observations, say of a NAT: its filter, its pool of addresses, its features.
 *
 * Such a verdict rests on what one peer let the server see, and a peer can make a shared NAT look
 * better or worse than it is: by forwarded ports, by a second way into the Internet, by a lie. So
 * whatever would change plans for others holds at first for the peer alone that showed it
 * (`*_peer`), and for all once another peer's test agrees.
 */
#include "predict_profile.h"

/* Measurements in a row that make "refuses simultaneous open" believed: one may be a lost SYN. */
#define CROSSINGS_REFUSED 2

static bool recent(tick then, tick now, tick span)
{
    return then != TICK_NEVER && then <= now && now - then < span;
}

static bool speaks_for(uint64_t witness, uint64_t peer)
{
    return witness == 0 || witness == peer;
}

/* ---- the filter ---- */

static bool lenient(unsigned filtering)
{
    return filtering == NAT_EIF || filtering == NAT_ADF;
}

static unsigned stricter(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

void profile_learn_filtering(struct profile *p, enum nat_filtering f, tick now)
{
    p->nat.filtering = (uint8_t)f;
    p->filtering_peer = 0;
    p->filtering_learnt = now;
}

void profile_learn_filtering_of(struct profile *p, uint64_t peer, enum nat_filtering f, tick now)
{
    bool both = lenient(f) && lenient(p->nat.filtering) && profile_filtering_known(p, now);
    bool agree = both && p->filtering_peer != peer;

    if (agree)
        f = (enum nat_filtering)stricter(f, p->nat.filtering);
    profile_learn_filtering(p, f, now);
    p->filtering_peer = lenient(f) && !agree ? peer : 0;
}

bool profile_doubt_filtering(struct profile *p, tick now)
{
    if (!lenient(p->nat.filtering))
        return false;
    profile_learn_filtering(p, NAT_FILTERING_UNKNOWN, now);
    return true;
}

bool profile_filtering_known(const struct profile *p, tick now)
{
    return recent(p->filtering_learnt, now, PROFILE_FRESH);
}

bool profile_filtering_known_of(const struct profile *p, uint64_t peer, tick now)
{
    return profile_filtering_known(p, now) && speaks_for(p->filtering_peer, peer);
}

/* ---- pooling ---- */

void profile_learn_pooling(struct profile *p, enum nat_pooling pooling, tick now)
{
    p->nat.pooling = (uint8_t)pooling;
    p->pooling_peer = 0;
    p->pooling_learnt = now;
}

void profile_learn_pooling_of(struct profile *p, uint64_t peer, enum nat_pooling pooling, tick now)
{
    bool arbitrary =
        p->nat.pooling == NAT_ARBITRARY && recent(p->pooling_learnt, now, PROFILE_FRESH);
    bool agree = arbitrary && p->pooling_peer != peer;

    /* A pool may show one address several times: this peer has seen more, or several have. */
    if (pooling == NAT_PAIRED && arbitrary && speaks_for(p->pooling_peer, peer))
        return;
    profile_learn_pooling(p, pooling, now);
    p->pooling_peer = pooling == NAT_ARBITRARY && !agree ? peer : 0;
}

/* ---- features ---- */

void profile_learn_feature(struct profile *p, unsigned feature, bool present, tick now)
{
    p->nat.features = (uint8_t)(present ? p->nat.features | feature : p->nat.features & ~feature);
    if (!(feature & NAT_FEATURE_NO_SIMULTANEOUS_OPEN))
        return;
    p->simultaneous_peer = 0;
    p->simultaneous_learnt = now;
    p->crossings_refused = 0;
}

void profile_learn_crossing(struct profile *p, uint64_t peer, bool refused, tick now)
{
    bool agree = (p->nat.features & NAT_FEATURE_NO_SIMULTANEOUS_OPEN) &&
                 profile_simultaneous_known(p, now) && p->simultaneous_peer != peer;

    if (refused && ++p->crossings_refused < CROSSINGS_REFUSED)
        return;
    profile_learn_feature(p, NAT_FEATURE_NO_SIMULTANEOUS_OPEN, refused, now);
    p->simultaneous_peer = refused && !agree ? peer : 0;
}

bool profile_simultaneous_known(const struct profile *p, tick now)
{
    return recent(p->simultaneous_learnt, now, PROFILE_SIMULTANEOUS_FRESH);
}

bool profile_simultaneous_known_of(const struct profile *p, uint64_t peer, tick now)
{
    return profile_simultaneous_known(p, now) && speaks_for(p->simultaneous_peer, peer);
}

/* ---- for one peer ---- */

struct nat_summary profile_summary_of(const struct profile *p, uint64_t peer)
{
    struct nat_summary nat = p->nat;

    if (!speaks_for(p->filtering_peer, peer))
        nat.filtering = NAT_FILTERING_UNKNOWN;
    if (!speaks_for(p->pooling_peer, peer))
        nat.pooling = NAT_POOLING_UNKNOWN;
    if (!speaks_for(p->simultaneous_peer, peer))
        nat.features &= (uint8_t)~NAT_FEATURE_NO_SIMULTANEOUS_OPEN;
    return nat;
}
