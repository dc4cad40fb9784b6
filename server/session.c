/* SPDX-License-Identifier: ISC */
#include "session.h"

#include <string.h>

const struct session_limits session_limits_default = {
    .rounds = 3,
    .invite = 8 * TICK_S,
    .ready = 4 * TICK_S,
    .prepare = 3 * TICK_S,
    .grace = 2 * TICK_S,
};

/* A round that could not even reach its first retransmission is not worth its SYNs. */
#define ROUND_LEAST (TICK_S)

typedef unsigned (*transition)(struct session_machine *m, const struct session_limits *limits,
                               const struct session_input *in, tick now);

static unsigned enter(struct session_machine *m, enum session_state state, tick now, tick span)
{
    m->state = state;
    m->deadline = tick_min(m->expires, tick_after(now, span));
    return SESSION_DO_NOTHING;
}

static unsigned end(struct session_machine *m, enum reason outcome)
{
    m->state = SESSION_ENDED;
    m->outcome = outcome;
    m->deadline = TICK_NEVER;
    return SESSION_DO_END;
}

static unsigned prepare(struct session_machine *m, const struct session_limits *limits, tick now)
{
    m->round++;
    memset(m->prepared, 0, sizeof(m->prepared));
    enter(m, SESSION_PREPARING, now, limits->prepare);
    return SESSION_DO_PREPARE;
}

static unsigned punch(struct session_machine *m, const struct session_limits *limits, tick now)
{
    /* PLANNED follows at once and sets the round's own deadline. */
    enter(m, SESSION_PUNCHING, now, limits->prepare);
    return SESSION_DO_PUNCH;
}

/* Of two reasons why a round failed, the one that tells a person more. */
static enum reason telling(enum reason a, enum reason b)
{
    static const enum reason order[] = {REASON_LOCAL_SOCKET, REASON_STRANGER, REASON_NO_PROOF,
                                        REASON_REFUSED,      REASON_MISSED,   REASON_PEER_LOST};
    for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        if (a == order[i] || b == order[i])
            return order[i];
    return REASON_MISSED;
}

static bool has_result(const struct session_machine *m, enum reason reason)
{
    return (m->resulted[0] && m->result[0] == reason) || (m->resulted[1] && m->result[1] == reason);
}

/* Both sides have said that nothing more can come of the planned round. */
static bool settled(const struct session_machine *m)
{
    return m->resulted[0] && m->resulted[1];
}

/* Why the planned round has met nobody so far. */
static void note_lost(struct session_machine *m)
{
    enum reason why = telling(m->resulted[0] ? m->result[0] : REASON_MISSED,
                              m->resulted[1] ? m->result[1] : REASON_MISSED);
    m->lost = m->planned > 1 ? telling(why, m->lost) : why;
}

static unsigned all_lost(struct session_machine *m)
{
    note_lost(m);
    return SESSION_DO_MISSED | end(m, m->lost);
}

/* No round follows, but those that were punched may still be won while their sockets are held. */
static unsigned hold_on(struct session_machine *m, tick now)
{
    tick open = settled(m) ? m->held : tick_max(m->held, m->until);
    m->state = SESSION_PUNCHING;
    m->round = m->planned;
    m->last = true;
    if (open <= now)
        return all_lost(m);
    m->deadline = open;
    return SESSION_DO_NOTHING;
}

/* The planned round will probably not meet any more. */
static unsigned go_on(struct session_machine *m, const struct session_limits *limits, tick now)
{
    bool alone = has_result(m, REASON_PEER_LOST);
    if (m->last || alone || m->round >= limits->rounds || now + ROUND_LEAST > m->expires)
        return hold_on(m, now);
    note_lost(m);
    return prepare(m, limits, now);
}

/* The connection stands when one side says so; the other's word only completes the record. */
static unsigned won(struct session_machine *m, const struct session_limits *limits,
                    const struct session_input *in, tick now)
{
    enum session_side other = in->side == SIDE_REQUESTER ? SIDE_TARGET : SIDE_REQUESTER;
    bool other_over = m->resulted[other] &&
                      (m->result[other] == REASON_OK || m->result[other] == REASON_PEER_LOST);
    if (m->resulted[in->side] && m->result[in->side] == REASON_OK)
        return SESSION_DO_NOTHING;
    m->resulted[in->side] = true;
    m->result[in->side] = REASON_OK;
    return other_over ? end(m, REASON_OK) : enter(m, SESSION_PUNCHING, now, limits->grace);
}

/* The first word of a side on the planned round counts. What it says of an earlier one may explain
 * something. */
static bool take_loss(struct session_machine *m, const struct session_input *in)
{
    if (in->round < m->planned) {
        m->lost = telling(m->lost, in->reason);
        return false;
    }
    if (!m->planned || m->resulted[in->side] || in->round > m->planned)
        return false;
    m->resulted[in->side] = true;
    m->result[in->side] = in->reason;
    return true;
}

/* ---- INVITED ---- */

static unsigned accepted(struct session_machine *m, const struct session_limits *limits,
                         const struct session_input *in, tick now)
{
    (void)in;
    if (m->ready[SIDE_REQUESTER] && m->ready[SIDE_TARGET])
        return prepare(m, limits, now);
    return enter(m, SESSION_READYING, now, limits->ready);
}

static unsigned rejected(struct session_machine *m, const struct session_limits *limits,
                         const struct session_input *in, tick now)
{
    (void)limits;
    (void)now;
    return end(m, in->reason == REASON_OK ? REASON_DECLINED : in->reason);
}

static unsigned ready_early(struct session_machine *m, const struct session_limits *limits,
                            const struct session_input *in, tick now)
{
    (void)limits;
    (void)now;
    m->ready[in->side] = true;
    return SESSION_DO_NOTHING;
}

static unsigned no_answer(struct session_machine *m, const struct session_limits *limits,
                          const struct session_input *in, tick now)
{
    (void)limits;
    (void)in;
    (void)now;
    return end(m, REASON_NO_ANSWER);
}

/* ---- READYING ---- */

static unsigned ready(struct session_machine *m, const struct session_limits *limits,
                      const struct session_input *in, tick now)
{
    m->ready[in->side] = true;
    if (m->ready[SIDE_REQUESTER] && m->ready[SIDE_TARGET])
        return prepare(m, limits, now);
    return SESSION_DO_NOTHING;
}

/* A survey that does not finish is no reason to give up: what is known may do. */
static unsigned ready_enough(struct session_machine *m, const struct session_limits *limits,
                             const struct session_input *in, tick now)
{
    (void)in;
    if (now >= m->expires)
        return end(m, REASON_PUNCH_TIMEOUT);
    return prepare(m, limits, now);
}

/* ---- PREPARING ---- */

static unsigned prepared(struct session_machine *m, const struct session_limits *limits,
                         const struct session_input *in, tick now)
{
    m->prepared[in->side] = true;
    if (m->prepared[SIDE_REQUESTER] && m->prepared[SIDE_TARGET])
        return punch(m, limits, now);
    return SESSION_DO_NOTHING;
}

static unsigned prepared_enough(struct session_machine *m, const struct session_limits *limits,
                                const struct session_input *in, tick now)
{
    (void)in;
    if (now < m->expires)
        return punch(m, limits, now);
    return m->planned ? all_lost(m) : end(m, REASON_PUNCH_TIMEOUT);
}

/* The earlier rounds go on while the next one is being prepared. */
static unsigned result_early(struct session_machine *m, const struct session_limits *limits,
                             const struct session_input *in, tick now)
{
    if (in->reason == REASON_OK && m->planned)
        return won(m, limits, in, now);
    (void)take_loss(m, in);
    return SESSION_DO_NOTHING;
}

static unsigned lost_early(struct session_machine *m, const struct session_limits *limits,
                           const struct session_input *in, tick now)
{
    struct session_input lost = {.side = in->side, .reason = REASON_PEER_LOST, .round = m->planned};
    (void)limits;
    if (!m->planned)
        return end(m, REASON_PEER_LOST);
    (void)take_loss(m, &lost);
    return hold_on(m, now);
}

/* ---- PUNCHING ---- */

static unsigned planned(struct session_machine *m, const struct session_limits *limits,
                        const struct session_input *in, tick now)
{
    (void)now;
    if (m->planned && !settled(m))
        m->held = tick_max(m->held, m->until);
    m->planned = m->round;
    memset(m->resulted, 0, sizeof(m->resulted));
    m->until = tick_min(tick_after(in->until, limits->grace), m->expires);
    m->last = m->round >= limits->rounds || tick_after(in->again, ROUND_LEAST) > m->expires;
    m->deadline = m->last ? m->until : tick_min(in->again, m->until);
    return SESSION_DO_NOTHING;
}

static unsigned no_plan(struct session_machine *m, const struct session_limits *limits,
                        const struct session_input *in, tick now)
{
    (void)limits;
    return m->planned ? hold_on(m, now) : end(m, in->reason);
}

/*
 * A side whose SYNs were all refused, or found a stranger, needs fresh ports: what the other side
 * still has under way is held beside the next round.
 */
static bool hopeless(enum reason reason)
{
    return reason == REASON_REFUSED || reason == REASON_STRANGER;
}

static unsigned result(struct session_machine *m, const struct session_limits *limits,
                       const struct session_input *in, tick now)
{
    if (in->reason == REASON_OK)
        return in->round <= m->planned ? won(m, limits, in, now) : SESSION_DO_NOTHING;
    if (!take_loss(m, in) || has_result(m, REASON_OK))
        return SESSION_DO_NOTHING;
    return settled(m) || hopeless(in->reason) ? go_on(m, limits, now) : SESSION_DO_NOTHING;
}

static unsigned round_over(struct session_machine *m, const struct session_limits *limits,
                           const struct session_input *in, tick now)
{
    (void)in;
    if (has_result(m, REASON_OK))
        return end(m, REASON_OK);
    return now >= m->expires ? all_lost(m) : go_on(m, limits, now);
}

/* The punch goes on without the server: the other side may still report that it met. */
static unsigned lost_in_round(struct session_machine *m, const struct session_limits *limits,
                              const struct session_input *in, tick now)
{
    struct session_input lost = {
        .event = SESSION_RESULT, .side = in->side, .reason = REASON_PEER_LOST, .round = m->planned};
    /* Nobody is left who could say more. */
    if (has_result(m, REASON_OK) && m->result[in->side] != REASON_OK)
        return end(m, REASON_OK);
    return result(m, limits, &lost, now);
}

/* ---- anywhere ---- */

static unsigned lost(struct session_machine *m, const struct session_limits *limits,
                     const struct session_input *in, tick now)
{
    (void)limits;
    (void)in;
    (void)now;
    return end(m, REASON_PEER_LOST);
}

static unsigned cancelled(struct session_machine *m, const struct session_limits *limits,
                          const struct session_input *in, tick now)
{
    (void)limits;
    (void)now;
    /* Only the requester can take its request back; a target that gives up is one that has gone. */
    return end(m, in->side == SIDE_REQUESTER ? REASON_CANCELLED : REASON_PEER_LOST);
}

static unsigned cancelled_early(struct session_machine *m, const struct session_limits *limits,
                                const struct session_input *in, tick now)
{
    return in->side == SIDE_REQUESTER ? cancelled(m, limits, in, now)
                                      : lost_early(m, limits, in, now);
}

static unsigned cancelled_in_round(struct session_machine *m, const struct session_limits *limits,
                                   const struct session_input *in, tick now)
{
    return in->side == SIDE_REQUESTER ? cancelled(m, limits, in, now)
                                      : lost_in_round(m, limits, in, now);
}

/* Every pair that is not listed changes nothing: late answers are normal. */
static const transition transitions[SESSION_STATE_COUNT][SESSION_EVENT_COUNT] = {
    [SESSION_INVITED] = {[SESSION_ACCEPT] = accepted,
                         [SESSION_REJECT] = rejected,
                         [SESSION_READY] = ready_early,
                         [SESSION_LOST] = lost,
                         [SESSION_CANCEL] = cancelled,
                         [SESSION_TIME] = no_answer},
    [SESSION_READYING] = {[SESSION_READY] = ready,
                          [SESSION_LOST] = lost,
                          [SESSION_CANCEL] = cancelled,
                          [SESSION_TIME] = ready_enough},
    [SESSION_PREPARING] = {[SESSION_PREPARED] = prepared,
                           [SESSION_RESULT] = result_early,
                           [SESSION_LOST] = lost_early,
                           [SESSION_CANCEL] = cancelled_early,
                           [SESSION_TIME] = prepared_enough},
    [SESSION_PUNCHING] = {[SESSION_PLANNED] = planned,
                          [SESSION_NO_PLAN] = no_plan,
                          [SESSION_RESULT] = result,
                          [SESSION_LOST] = lost_in_round,
                          [SESSION_CANCEL] = cancelled_in_round,
                          [SESSION_TIME] = round_over},
};

void session_start(struct session_machine *m, const struct session_limits *limits, tick now,
                   tick timeout)
{
    memset(m, 0, sizeof(*m));
    m->expires = tick_after(now, timeout);
    enter(m, SESSION_INVITED, now, limits->invite);
}

unsigned session_step(struct session_machine *m, const struct session_limits *limits,
                      const struct session_input *in, tick now)
{
    if ((unsigned)m->state >= SESSION_STATE_COUNT || (unsigned)in->event >= SESSION_EVENT_COUNT ||
        in->side > SIDE_TARGET)
        return SESSION_DO_NOTHING;
    transition t = transitions[m->state][in->event];
    return t ? t(m, limits, in, now) : SESSION_DO_NOTHING;
}

void session_give_up(struct session_machine *m, enum reason reason)
{
    (void)end(m, reason);
}

const char *session_state_name(enum session_state state)
{
    static const char *const names[SESSION_STATE_COUNT] = {"invited", "readying", "preparing",
                                                           "punching", "ended"};
    return (unsigned)state < SESSION_STATE_COUNT ? names[state] : "?";
}
