/* SPDX-License-Identifier: ISC */
#include "schedule.h"

/* Whatever a peer or an operator makes us believe, no delay or margin is longer. */
#define DELAY_MAX (10 * TICK_S)
/* Four retransmissions of a SYN, a second apart (Linux, tcp_syn_linear_timeouts), and some. */
#define HOLD_MIN (4500 * TICK_MS)
/* The least lead of the peer behind a NAT that answers: two timers that wake a little late. */
#define LEAD_MIN (2 * TICK_MS)
/* More lead than this is a clock that went wrong, not one that is uncertain. */
#define LEAD_MAX (100 * TICK_MS)
/* A proven connection takes the SYNs' way across and back, three messages of the proof, and the
 * report: six ways across, with what timers and processors take. */
#define AGAIN_WAYS 6
#define AGAIN_MIN  (250 * TICK_MS)
/* Two more tries after a refusal: across and back, and a pause of one way at most. */
#define AGAIN_RETRY_WAYS 6
/* The least range of the random pause: below it, two hosts' wake-up times are too much alike. */
#define RETRY_MIN (5 * TICK_MS)

static tick clamp(tick t, tick low, tick high)
{
    return t < low ? low : tick_min(t, high);
}

static tick saturating_add(tick a, tick b)
{
    tick sum;

    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? TICK_NEVER : INT64_MIN;
    return sum;
}

static bool answers(const struct schedule_side *s)
{
    return s->refusal != NAT_SILENCE;
}

static tick delay_of(const struct schedule_side *s)
{
    return clamp(clock_estimate_delay(&s->clock), 0, DELAY_MAX);
}

static tick jitter_of(const struct schedule_side *s)
{
    return clamp(s->clock.jitter, 0, DELAY_MAX);
}

/*
 * How much earlier the peer behind the only NAT that answers must pass the server's vantage point.
 * The clocks' full error bounds would be too much: half a round trip is the error that a lopsided
 * path causes, and that one cancels out. With delays u up and w down the delay (u + w) / 2 is wrong
 * by (w - u) / 2 and the offset is wrong by as much, so that a SYN meant for `punch - delay` leaves
 * at `punch - u` and passes the server at `punch`. What remains is queueing, the age of the
 * samples, and late timers. A lead below the one-way delay also lets the SYNs cross, which saves
 * the leading side one way in the handshake; so more is not better, although never wrong.
 */
static tick lead_of(const struct schedule_side side[2], tick now)
{
    tick lead = LEAD_MIN;
    int i;

    for (i = 0; i < 2; i++) {
        lead += jitter_of(&side[i]);
        if (clock_estimate_known(&side[i].clock))
            lead += clamp(clock_estimate_ageing(&side[i].clock, now), 0, LEAD_MAX);
    }
    return clamp(lead, LEAD_MIN, LEAD_MAX);
}

/* By how much side i must come before the other one. */
static tick lead_of_side(const struct schedule_side side[2], int i, tick lead)
{
    const struct schedule_side *own = &side[i];
    const struct schedule_side *other = &side[!i];
    tick crossing = (delay_of(own) + delay_of(other)) / 2;

    if (answers(own) && !answers(other))
        return own->no_simultaneous_open && !other->no_simultaneous_open ? tick_min(lead, crossing)
                                                                         : lead;
    if (!other->no_simultaneous_open || own->no_simultaneous_open)
        return 0;
    if (answers(other))
        return answers(own) ? tick_min(lead, crossing) : 0;
    return lead;
}

/*
 * Both starts so that the SYNs pass the server's vantage point together, at `punch`, but for the
 * lead. The leading side hears of it no sooner than the other: where its lead would put its start
 * before the message can be there, everything moves back.
 */
static void start_together(struct schedule *out, const struct schedule_side side[2], tick now,
                           tick slack)
{
    tick delay[2] = {delay_of(&side[0]), delay_of(&side[1])};
    tick earliest, late = 0;
    int i;

    out->punch = saturating_add(now, 2 * tick_max(delay[0], delay[1]) + slack);
    for (i = 0; i < 2; i++) {
        tick lead = lead_of_side(side, i, lead_of(side, now));

        out->start_server[i] = saturating_add(out->punch, -(delay[i] + lead));
        earliest = saturating_add(now, delay[i] + slack);
        if (earliest > out->start_server[i])
            late = tick_max(late, earliest - out->start_server[i]);
    }
    out->punch = saturating_add(out->punch, late);
    for (i = 0; i < 2; i++)
        out->start_server[i] = saturating_add(out->start_server[i], late);
}

/* The random pause of a side whose SYN was refused: up to the NAT-to-NAT one-way delay. */
static tick retry_of(const struct schedule_side *other, tick across)
{
    if (other->refusal != NAT_RST && other->refusal != NAT_REFUSAL_UNKNOWN)
        return 0;
    return tick_max(across, RETRY_MIN);
}

struct schedule schedule_make(const struct schedule_side side[2], tick now, tick margin)
{
    struct schedule out = {0};
    tick across = delay_of(&side[0]) + delay_of(&side[1]);
    tick slack = clamp(margin, 0, DELAY_MAX) + tick_max(jitter_of(&side[0]), jitter_of(&side[1]));
    int i;

    if (answers(&side[0]) || answers(&side[1]) || side[0].no_simultaneous_open ||
        side[1].no_simultaneous_open) {
        start_together(&out, side, now, slack);
    } else {
        /* Skew costs nothing: the later first SYN finds the hole of the earlier one. */
        out.punch = saturating_add(now, tick_max(delay_of(&side[0]), delay_of(&side[1])) + slack);
        out.start_server[0] = out.start_server[1] = out.punch;
    }
    out.hold = HOLD_MIN + 2 * across;
    for (i = 0; i < 2; i++) {
        out.start[i] = saturating_add(out.start_server[i], side[i].clock.offset);
        out.retry[i] = retry_of(&side[!i], across);
    }
    out.again = AGAIN_MIN + AGAIN_WAYS * across;
    if (out.retry[0] && out.retry[1])
        out.again += AGAIN_RETRY_WAYS * across;
    return out;
}
