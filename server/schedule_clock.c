/* SPDX-License-Identifier: ISC */
#include "schedule_clock.h"

/* An exchange that took longer tells nothing that is worth having. */
#define EXCHANGE_MAX (10 * TICK_S)
/* A peer's clock is its uptime: 73 years leave room for every sum below. */
#define PEER_CLOCK_MAX (INT64_MAX / 4)
/* Past this age a session asks again, however near the peer is. */
#define AGE_MAX (300 * TICK_S)
/* What an old sample may add to the error before it counts, even where the round trip is tiny. */
#define AGEING_MIN (2 * TICK_MS)
/* The smoothing of RFC 6298's RTTVAR: a few samples count, one outlier does not decide. */
#define JITTER_SHARE 4

void clock_estimate_init(struct clock_estimate *c)
{
    *c = (struct clock_estimate){.rtt = TICK_NEVER};
}

bool clock_estimate_known(const struct clock_estimate *c)
{
    return c->rtt != TICK_NEVER;
}

static bool sane(tick sent, tick received, tick answered, tick returned)
{
    if (sent < 0 || returned < sent || returned - sent > EXCHANGE_MAX || returned > PEER_CLOCK_MAX)
        return false;
    if (received < 0 || answered < received || answered > PEER_CLOCK_MAX)
        return false;
    return answered - received <= returned - sent;
}

static tick distance(tick a, tick b)
{
    return a > b ? a - b : b - a;
}

/*
 * Two samples whose error intervals do not touch cannot both be true of one clock: it has jumped (a
 * laptop slept, and CLOCK_MONOTONIC slept with it). Then only the new one counts.
 */
static bool jumped(const struct clock_estimate *c, const struct clock_estimate *new)
{
    return distance(c->offset, new->offset) > clock_estimate_bound(c, new->at) + new->rtt / 2 + 1;
}

bool clock_estimate_add(struct clock_estimate *c, tick sent, tick peer_received, tick peer_answered,
                        tick returned)
{
    struct clock_estimate new = {.at = returned, .samples = 1};

    if (!sane(sent, peer_received, peer_answered, returned))
        return false;
    new.rtt = (returned - sent) - (peer_answered - peer_received);
    /* RFC 5905 section 8: theta = ((T2 - T1) + (T3 - T4)) / 2. */
    new.offset = ((peer_received - sent) + (peer_answered - returned)) / 2;
    if (!clock_estimate_known(c) || jumped(c, &new)) {
        *c = new;
        return true;
    }
    new.jitter = c->jitter + (distance(new.rtt, c->rtt) - c->jitter) / JITTER_SHARE;
    new.samples = c->samples < UINT32_MAX ? c->samples + 1 : c->samples;
    /* The old sample's bound grows with its age, so a good one is replaced by an equal in time. */
    if (new.rtt / 2 <= clock_estimate_bound(c, returned)) {
        *c = new;
    } else {
        c->jitter = new.jitter;
        c->samples = new.samples;
    }
    return true;
}

tick clock_estimate_ageing(const struct clock_estimate *c, tick now)
{
    tick at = tick_max(c->at, 0), age = now > at ? now - at : 0;

    return age / 1000000 * CLOCK_DRIFT_PPM;
}

tick clock_estimate_bound(const struct clock_estimate *c, tick now)
{
    if (!clock_estimate_known(c))
        return TICK_NEVER;
    return c->rtt / 2 + clock_estimate_ageing(c, now);
}

tick clock_estimate_delay(const struct clock_estimate *c)
{
    return clock_estimate_known(c) ? c->rtt / 2 : 0;
}

bool clock_estimate_stale(const struct clock_estimate *c, tick now)
{
    if (!clock_estimate_known(c) || c->samples < 2 || now < c->at ||
        now - tick_max(c->at, 0) > AGE_MAX)
        return true;
    return clock_estimate_ageing(c, now) > tick_max(clock_estimate_delay(c), AGEING_MIN);
}
