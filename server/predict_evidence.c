/* SPDX-License-Identifier: ISC */
/* What tests, not observations, say of a NAT: its filter, its pool of addresses, its features. */
#include "predict_profile.h"

static bool lenient(unsigned filtering)
{
    return filtering == NAT_EIF || filtering == NAT_ADF;
}

static bool recent(tick then, tick now)
{
    return then != TICK_NEVER && then <= now && now - then < PROFILE_FRESH;
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
    bool agree = lenient(f) && lenient(p->nat.filtering) && recent(p->filtering_learnt, now) &&
                 p->filtering_peer != peer;

    if (agree)
        f = (enum nat_filtering)stricter(f, p->nat.filtering);
    profile_learn_filtering(p, f, now);
    p->filtering_peer = lenient(f) && !agree ? peer : 0;
}

void profile_doubt_filtering(struct profile *p, tick now)
{
    if (lenient(p->nat.filtering))
        profile_learn_filtering(p, NAT_FILTERING_UNKNOWN, now);
}

bool profile_filtering_known(const struct profile *p, tick now)
{
    return recent(p->filtering_learnt, now);
}

bool profile_filtering_known_of(const struct profile *p, uint64_t peer, tick now)
{
    return profile_filtering_known(p, now) && (!p->filtering_peer || p->filtering_peer == peer);
}

enum nat_filtering profile_filtering_of(const struct profile *p, uint64_t peer)
{
    if (p->filtering_peer && p->filtering_peer != peer)
        return NAT_FILTERING_UNKNOWN;
    return (enum nat_filtering)p->nat.filtering;
}

void profile_learn_pooling(struct profile *p, enum nat_pooling pooling, tick now)
{
    (void)now;
    if (p->nat.pooling != NAT_ARBITRARY)
        p->nat.pooling = (uint8_t)pooling;
}

void profile_learn_feature(struct profile *p, unsigned feature, bool present, tick now)
{
    p->nat.features = (uint8_t)(present ? p->nat.features | feature : p->nat.features & ~feature);
    if (feature & NAT_FEATURE_NO_SIMULTANEOUS_OPEN)
        p->simultaneous_learnt = now;
}
