/* SPDX-License-Identifier: ISC */
/* The session's state machine as rows of moments, and what must hold whatever happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/rng.h"
#include "server/session.h"

#define TIMEOUT (20 * TICK_S)

#define R SIDE_REQUESTER
#define T SIDE_TARGET

struct moment {
    int at_ms;
    enum session_event event;
    enum session_side side;
    unsigned reason;
    unsigned effects;
    enum session_state state;
};

/* Of a RESULT, beside its reason: it is about the first round, not the planned one. */
#define FIRST 0x100u

struct story {
    const char *name;
    struct moment moments[24];
    enum reason outcome; /* of an ended session */
    uint8_t rounds;
};

#define PREPARE SESSION_DO_PREPARE
#define PUNCH   SESSION_DO_PUNCH
#define MISSED  SESSION_DO_MISSED
#define END     SESSION_DO_END

static const struct story stories[] = {
    {"all is known: one round",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {40, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {40, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {40, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {40, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {160, SESSION_RESULT, R, REASON_OK, 0, SESSION_PUNCHING},
      {180, SESSION_RESULT, T, REASON_OK, END, SESSION_ENDED}},
     REASON_OK,
     1},
    {"profiles come late",
     {{40, SESSION_ACCEPT, T, 0, 0, SESSION_READYING},
      {90, SESSION_READY, T, 0, 0, SESSION_READYING},
      {300, SESSION_READY, R, 0, PREPARE, SESSION_PREPARING}},
     REASON_OK,
     1},
    {"a survey that never ends is not waited for",
     {{40, SESSION_ACCEPT, T, 0, 0, SESSION_READYING},
      {4040, SESSION_TIME, R, 0, PREPARE, SESSION_PREPARING},
      {7040, SESSION_TIME, R, 0, PUNCH, SESSION_PUNCHING}},
     REASON_OK,
     1},
    {"nobody answers the invitation",
     {{8000, SESSION_TIME, R, 0, END, SESSION_ENDED}},
     REASON_NO_ANSWER,
     0},
    {"declined",
     {{50, SESSION_REJECT, T, REASON_DECLINED, END, SESSION_ENDED}},
     REASON_DECLINED,
     0},
    {"no plan is worth trying",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {40, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {40, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {40, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {40, SESSION_NO_PLAN, R, REASON_BOTH_RANDOM, END, SESSION_ENDED}},
     REASON_BOTH_RANDOM,
     1},
    {"the second round meets, early: the first is not waited for",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {40, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {40, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {40, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {40, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {540, SESSION_TIME, R, 0, PREPARE, SESSION_PREPARING},
      {560, SESSION_RESULT, T, REASON_MISSED, 0, SESSION_PREPARING},
      {600, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {600, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {600, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {601, SESSION_RESULT, R, FIRST | REASON_MISSED, 0, SESSION_PUNCHING},
      {800, SESSION_RESULT, T, REASON_OK, 0, SESSION_PUNCHING},
      {801, SESSION_RESULT, R, REASON_OK, END, SESSION_ENDED}},
     REASON_OK,
     2},
    {"both have given it up: the next round starts at once",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {40, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {40, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {40, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {40, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {100, SESSION_RESULT, T, REASON_MISSED, 0, SESSION_PUNCHING},
      {110, SESSION_RESULT, R, REASON_NO_PROOF, PREPARE, SESSION_PREPARING}},
     REASON_OK,
     2},
    {"every SYN of one side refused: fresh ports at once",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {40, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {40, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {40, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {40, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {100, SESSION_RESULT, R, REASON_REFUSED, PREPARE, SESSION_PREPARING}},
     REASON_OK,
     2},
    {"a stranger on the predicted port: fresh ports at once",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {40, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {40, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {40, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {40, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {100, SESSION_RESULT, T, REASON_STRANGER, PREPARE, SESSION_PREPARING}},
     REASON_OK,
     2},
    {"the first round is won after the second has begun",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {40, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {40, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {40, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {40, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {540, SESSION_TIME, R, 0, PREPARE, SESSION_PREPARING},
      {560, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {560, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {560, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {900, SESSION_RESULT, R, REASON_REFUSED, PREPARE, SESSION_PREPARING},
      {1100, SESSION_RESULT, T, FIRST | REASON_OK, 0, SESSION_PUNCHING},
      {1110, SESSION_PREPARED, R, 0, 0, SESSION_PUNCHING},
      {1120, SESSION_RESULT, R, FIRST | REASON_OK, END, SESSION_ENDED}},
     REASON_OK,
     3},
    {"no plan for the second round: the first is held to its end",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {40, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {40, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {40, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {40, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {540, SESSION_TIME, R, 0, PREPARE, SESSION_PREPARING},
      {560, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {560, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {560, SESSION_NO_PLAN, R, REASON_LIMIT, 0, SESSION_PUNCHING},
      {4700, SESSION_RESULT, R, REASON_MISSED, 0, SESSION_PUNCHING},
      {6040, SESSION_TIME, R, 0, MISSED | END, SESSION_ENDED}},
     REASON_MISSED,
     1},
    {"... and is the end when the first was given up",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {40, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {40, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {40, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {40, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {100, SESSION_RESULT, R, REASON_REFUSED, PREPARE, SESSION_PREPARING},
      {110, SESSION_RESULT, T, REASON_REFUSED, 0, SESSION_PREPARING},
      {120, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {120, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {120, SESSION_NO_PLAN, R, REASON_LIMIT, MISSED | END, SESSION_ENDED}},
     REASON_REFUSED,
     1},
    {"a side that goes while the second round is prepared may still meet in the first",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {40, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {40, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {40, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {40, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {540, SESSION_TIME, R, 0, PREPARE, SESSION_PREPARING},
      {560, SESSION_LOST, T, 0, 0, SESSION_PUNCHING},
      {1100, SESSION_RESULT, R, REASON_OK, END, SESSION_ENDED}},
     REASON_OK,
     1},
    {"the last round given up, an earlier one still held",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {40, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {40, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {40, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {40, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {540, SESSION_TIME, R, 0, PREPARE, SESSION_PREPARING},
      {540, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {540, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {540, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {1040, SESSION_TIME, R, 0, PREPARE, SESSION_PREPARING},
      {1040, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {1040, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {1040, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {1100, SESSION_RESULT, R, REASON_REFUSED, 0, SESSION_PUNCHING},
      {1110, SESSION_RESULT, T, REASON_REFUSED, 0, SESSION_PUNCHING},
      {6540, SESSION_TIME, R, 0, MISSED | END, SESSION_ENDED}},
     REASON_REFUSED,
     3},
    {"one side's word is enough when the other has gone silent",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {40, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {40, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {40, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {40, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {150, SESSION_RESULT, T, REASON_OK, 0, SESSION_PUNCHING},
      {2150, SESSION_TIME, R, 0, END, SESSION_ENDED}},
     REASON_OK,
     1},
    {"the punch goes on when a side loses the server",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {40, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {40, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {40, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {40, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {60, SESSION_LOST, T, 0, 0, SESSION_PUNCHING},
      {150, SESSION_RESULT, R, REASON_OK, END, SESSION_ENDED}},
     REASON_OK,
     1},
    {"... and is the end when it met nobody",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {40, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {40, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {40, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {40, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {60, SESSION_LOST, T, 0, 0, SESSION_PUNCHING},
      {4600, SESSION_RESULT, R, REASON_PEER_LOST, MISSED | END, SESSION_ENDED}},
     REASON_PEER_LOST,
     1},
    {"a peer that is lost before the punch ends it",
     {{40, SESSION_ACCEPT, T, 0, 0, SESSION_READYING},
      {50, SESSION_LOST, T, 0, END, SESSION_ENDED}},
     REASON_PEER_LOST,
     0},
    {"the first round is won while the second is being prepared",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {2, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {2, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {2, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {2, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {502, SESSION_TIME, R, 0, PREPARE, SESSION_PREPARING},
      {520, SESSION_RESULT, R, REASON_MISSED, 0, SESSION_PREPARING},
      {530, SESSION_RESULT, T, REASON_OK, 0, SESSION_PUNCHING},
      {2530, SESSION_TIME, R, 0, END, SESSION_ENDED}},
     REASON_OK,
     2},
    {"a target that gives up has gone",
     {{40, SESSION_CANCEL, T, 0, END, SESSION_ENDED}},
     REASON_PEER_LOST,
     0},
    {"time runs out in the second round: the first one's reason stands",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {2, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {2, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {2, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {2, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {400, SESSION_RESULT, T, REASON_MISSED, 0, SESSION_PUNCHING},
      {400, SESSION_RESULT, R, REASON_STRANGER, PREPARE, SESSION_PREPARING},
      {4600, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {4600, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {19900, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {19950, SESSION_CANCEL, T, 0, 0, SESSION_PUNCHING},
      {20000, SESSION_TIME, R, 0, MISSED | END, SESSION_ENDED}},
     REASON_STRANGER,
     2},
    {"cancelled", {{40, SESSION_CANCEL, R, 0, END, SESSION_ENDED}}, REASON_CANCELLED, 0},
    {"three rounds, the most telling reason",
     {{1, SESSION_READY, R, 0, 0, SESSION_INVITED},
      {1, SESSION_READY, T, 0, 0, SESSION_INVITED},
      {2, SESSION_ACCEPT, T, 0, PREPARE, SESSION_PREPARING},
      {2, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {2, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {2, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {3, SESSION_RESULT, R, REASON_MISSED, 0, SESSION_PUNCHING},
      {3, SESSION_RESULT, T, REASON_MISSED, PREPARE, SESSION_PREPARING},
      {3, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {3, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {3, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {4, SESSION_RESULT, R, REASON_MISSED, 0, SESSION_PUNCHING},
      {4, SESSION_RESULT, T, REASON_MISSED, PREPARE, SESSION_PREPARING},
      {4, SESSION_PREPARED, R, 0, 0, SESSION_PREPARING},
      {4, SESSION_PREPARED, T, 0, PUNCH, SESSION_PUNCHING},
      {4, SESSION_PLANNED, R, 0, 0, SESSION_PUNCHING},
      {5, SESSION_RESULT, R, REASON_MISSED, 0, SESSION_PUNCHING},
      {5, SESSION_RESULT, T, REASON_REFUSED, MISSED | END, SESSION_ENDED}},
     REASON_REFUSED,
     3},
    {"what means nothing now changes nothing",
     {{1, SESSION_RESULT, R, REASON_OK, 0, SESSION_INVITED},
      {1, SESSION_PREPARED, R, 0, 0, SESSION_INVITED},
      {1, SESSION_PLANNED, R, 0, 0, SESSION_INVITED},
      {2, SESSION_ACCEPT, T, 0, 0, SESSION_READYING},
      {3, SESSION_ACCEPT, T, 0, 0, SESSION_READYING},
      {3, SESSION_REJECT, T, 0, 0, SESSION_READYING}},
     REASON_OK,
     0},
};

static void play(const struct story *story)
{
    struct session_machine m;
    session_start(&m, &session_limits_default, 0, TIMEOUT);
    for (const struct moment *step = story->moments; step->at_ms; step++) {
        tick now = step->at_ms * TICK_MS;
        struct session_input in = {.event = step->event,
                                   .side = step->side,
                                   .reason = (enum reason)(step->reason & ~FIRST),
                                   .until = tick_after(now, 4 * TICK_S),
                                   .again = tick_after(now, TICK_S / 2),
                                   .round = step->reason & FIRST ? 1 : m.planned};
        unsigned effects = session_step(&m, &session_limits_default, &in, now);
        if (effects != step->effects || m.state != step->state)
            fail_msg("%s: at %d ms: effects %u, state %s", story->name, step->at_ms, effects,
                     session_state_name(m.state));
    }
    assert_int_equal(m.round, story->rounds);
    if (m.state == SESSION_ENDED)
        assert_int_equal(m.outcome, story->outcome);
}

static void test_stories(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++)
        play(&stories[i]);
}

/* Whatever is said, in whatever order: a session ends exactly once, never later than it may, and
 * never acts after that. */
static void any_order(uint64_t seed)
{
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, seed);
    struct session_machine m;
    tick now = 0;
    unsigned ends = 0;

    session_start(&m, &session_limits_default, now, TIMEOUT);
    for (int i = 0; i < 400; i++) {
        struct session_input in = {
            .event = (enum session_event)rng_below(&rng, SESSION_EVENT_COUNT),
            .side = (enum session_side)rng_below(&rng, 2),
            .reason = (enum reason)rng_below(&rng, 74),
            .round = (uint8_t)rng_below(&rng, 6),
        };
        tick next = now + rng_interval(&rng, TICK_S / 2);
        /* The caller's timer: time is said when it has come, and before anything else. */
        if (m.deadline <= next) {
            next = m.deadline;
            in.event = SESSION_TIME;
        } else if (in.event == SESSION_TIME) {
            continue;
        }
        now = next;
        in.until = tick_after(now, 5 * TICK_S);
        in.again = tick_after(now, rng_interval(&rng, 2 * TICK_S));
        /* What the caller says at once, and nowhere else. */
        if (in.event == SESSION_PLANNED || in.event == SESSION_NO_PLAN)
            in.event = SESSION_RESULT;
        bool over = m.state == SESSION_ENDED;
        unsigned effects = session_step(&m, &session_limits_default, &in, now);
        if (over)
            assert_int_equal(effects, SESSION_DO_NOTHING);
        if (effects & SESSION_DO_PUNCH) {
            in.event = rng_below(&rng, 4) ? SESSION_PLANNED : SESSION_NO_PLAN;
            assert_false(effects & SESSION_DO_END);
            effects = session_step(&m, &session_limits_default, &in, now);
        }
        ends += (effects & SESSION_DO_END) != 0;
        if (m.planned > m.round ||
            ((effects & SESSION_DO_MISSED) && (!m.planned || m.outcome == REASON_OK)))
            fail_msg("seed %llu: round %u of %u", (unsigned long long)seed, m.planned, m.round);
        if (m.round > session_limits_default.rounds ||
            (m.state != SESSION_ENDED && m.deadline < now))
            fail_msg("seed %llu: round %u of %u, %s, deadline %lld us ago",
                     (unsigned long long)seed, m.round, m.planned, session_state_name(m.state),
                     (long long)((now - m.deadline) / TICK_US));
    }
    while (m.state != SESSION_ENDED) {
        struct session_input in = {.event = SESSION_TIME};
        assert_true(m.deadline != TICK_NEVER);
        now = tick_max(now, m.deadline);
        unsigned effects = session_step(&m, &session_limits_default, &in, now);
        if (effects & SESSION_DO_PUNCH) {
            in.event = SESSION_NO_PLAN;
            in.reason = REASON_BOTH_RANDOM;
            effects = session_step(&m, &session_limits_default, &in, now);
        }
        ends += (effects & SESSION_DO_END) != 0;
        assert_true(now <= TIMEOUT + session_limits_default.grace);
    }
    assert_int_equal(ends, 1);
    assert_int_equal(m.deadline, TICK_NEVER);
}

static void test_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++)
        any_order(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stories),
                                       cmocka_unit_test(test_any_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
