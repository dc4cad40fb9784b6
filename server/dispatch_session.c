/* SPDX-License-Identifier: ISC */
/* Introductions: requests come in, the state machine says what to do, and it is done here. */
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "log.h"

#define TIMEOUT_LEAST_MS 1000u
/* Put on record, of requests that never became sessions. */
#define REFUSALS_PER_SECOND 20
/* By which the server's time ends before the requester's, at most. */
#define ANSWER_MOST_MS 500u

/* ---- telling ---- */

/* The reason as it is told. */
static enum reason outcome_of(const struct session *s)
{
    enum reason reason = s->machine.outcome;
    bool unmet = reason == REASON_MISSED || reason == REASON_REFUSED || reason == REASON_STRANGER;
    return unmet && s->together != REASON_OK ? s->together : reason;
}

static void send_outcome(struct dispatch *d, struct session *s, unsigned side, uint64_t row)
{
    struct msg m = {.type = MSG_OUTCOME};
    m.outcome_.request = side == SIDE_REQUESTER ? s->request : 0;
    m.outcome_.reason = (uint8_t)outcome_of(s);
    memcpy(m.outcome_.session, s->id, sizeof(s->id));
    bool told = side == SIDE_TARGET && s->machine.outcome == REASON_CANCELLED;
    snprintf(m.outcome_.text, sizeof(m.outcome_.text), "%s",
             told ? "the requester has given up" : s->row->text);
    m.outcome_.local_nat = dispatch_summary(d, s, side);
    /* Nothing is told of a peer whose policy has not said yes. */
    if (side == SIDE_TARGET || s->row->accepted_us)
        m.outcome_.remote_nat = dispatch_summary(d, s, !side);
    dispatch_deliver_stored(d, s->channel[side], &m, row, false);
}

/* A request that never became a session. */
static void refuse(struct dispatch *d, struct channel *c, uint32_t request, enum reason reason,
                   const char *text)
{
    struct msg m = {.type = MSG_OUTCOME};
    session_tally_refuse(&d->tally, reason);
    m.outcome_.request = request;
    m.outcome_.reason = (uint8_t)reason;
    snprintf(m.outcome_.text, sizeof(m.outcome_.text), "%s", text);
    dispatch_deliver(d, c->slot.self, &m);
}

static void send_invite(struct dispatch *d, struct session *s, const struct peer *requester)
{
    struct msg m = {.type = MSG_INVITE};
    memcpy(m.invite_.session, s->id, sizeof(s->id));
    memcpy(m.invite_.peer, requester->key, KEY_SIZE);
    snprintf(m.invite_.name, sizeof(m.invite_.name), "%s", peer_name(requester));
    m.invite_.flags = s->flags[SIDE_REQUESTER];
    m.invite_.timeout_ms = s->timeout_ms + ANSWER_MOST_MS; /* the server's time is to end first */
    dispatch_deliver(d, s->channel[SIDE_TARGET], &m);
}

/* ---- the list of sessions that wait for a side to be ready ---- */

static void stop_waiting(struct dispatch *d, struct session *s)
{
    if (!s->waiting)
        return;
    *(s->waiting_before ? &s->waiting_before->waiting_after : &d->waiting) = s->waiting_after;
    if (s->waiting_after)
        s->waiting_after->waiting_before = s->waiting_before;
    s->waiting = false;
}

static void start_waiting(struct dispatch *d, struct session *s)
{
    s->waiting_before = NULL;
    s->waiting_after = d->waiting;
    if (d->waiting)
        d->waiting->waiting_before = s;
    d->waiting = s;
    s->waiting = true;
}

/* ---- effects ---- */

/* The row's number; 0: it is not recorded. */
static uint64_t put_session(struct dispatch *d, const struct session *s)
{
    struct row row = {.kind = ROW_SESSION};
    row.session = *s->row;
    return !dispatch_is_check(s) && dispatch_put(d, &row) ? d->sequence : 0;
}

static uint32_t since_us(const struct session *s)
{
    tick t = (s->d->loop->now - s->began) / TICK_US;
    return t < 1 ? 1 : t > UINT32_MAX ? UINT32_MAX : (uint32_t)t;
}

static void end_anchors(struct dispatch *d, struct session *s)
{
    for (unsigned side = 0; side < 2; side++) {
        struct run *run = slab_get(&d->runs, s->anchors[side]);
        if (run)
            dispatch_run_end(d, run);
        s->anchors[side] = REF_NONE;
    }
}

static void do_prepare(struct dispatch *d, struct session *s)
{
    struct ref self = s->slot.self;
    bool asked[2];
    stop_waiting(d, s);
    end_anchors(d, s);
    dispatch_lend_control(d, s);
    for (unsigned side = 0; side < 2; side++)
        asked[side] = dispatch_anchors(d, s, side);
    for (unsigned side = 0; side < 2; side++)
        if (!asked[side] && slab_get(&d->sessions, self) == s)
            dispatch_session_event(d, s, SESSION_PREPARED, side, REASON_OK);
}

static void do_punch(struct dispatch *d, struct session *s)
{
    struct session_input in = {.event = SESSION_PLANNED};
    if (!s->row->prepared_us)
        s->row->prepared_us = since_us(s);
    in.reason = dispatch_punch(d, s, &in.until, &in.again);
    if (in.reason != REASON_OK) {
        dispatch_session_event(d, s, SESSION_NO_PLAN, SIDE_REQUESTER, in.reason);
        return;
    }
    s->row->punched_us = since_us(s);
    s->row->rounds = s->machine.round;
    dispatch_tell_planned(d, s);
    session_step(&s->machine, &s->limits, &in, d->loop->now);
}

/* One line for each session: who and whom, what came of it and why, how, and how well it was
 * foreseen. */
static void log_outcome(const struct session *s)
{
    const struct row_session *r = s->row;
    char a[KEY_TEXT_SIZE], b[KEY_TEXT_SIZE], id[2 * MSG_ID_SIZE + 1], chance[32] = "";
    const char *requester = r->requester_name[0] ? r->requester_name : key_format(r->requester, a);
    const char *target = r->target_name[0] ? r->target_name : key_format(r->target, b);
    const char *outcome = r->reason == REASON_OK ? "connected" : "failed";
    double ms = (double)(r->finished - r->started) / 1000.0;

    for (unsigned i = 0; i < MSG_ID_SIZE; i++)
        snprintf(id + 2 * i, 3, "%02x", s->id[i]);
    const struct log_field fields[] = {
        {"session", id, 0},
        {"requester", requester, 0},
        {"target", target, 0},
        {"outcome", outcome, 0},
        {"reason", reason_name(r->reason), 0},
        {"family", NULL, r->family},
        {"rounds", NULL, r->rounds},
        {"ms", NULL, ms},
        {"chance", NULL, r->chance}, /* last: where there was no plan, it is left out */
    };
    const unsigned count = sizeof(fields) / sizeof(fields[0]);
    if (r->punch)
        snprintf(chance, sizeof(chance), ", chance %.3f", r->chance);
    log_info_fields(fields, r->punch ? count : count - 1,
                    "session %s: %s -> %s: %s%s%s%s after %u round%s, %.0f ms%s%s%s", id, requester,
                    target, outcome, r->reason == REASON_OK ? "" : " (",
                    r->reason == REASON_OK ? "" : reason_name(r->reason),
                    r->reason != REASON_OK ? ")"
                    : r->family == 6       ? " over IPv6"
                                           : " over IPv4",
                    r->rounds, r->rounds == 1 ? "" : "s", ms, chance, r->text[0] ? ": " : "",
                    r->text);
}

void dispatch_session_free(struct dispatch *d, struct session *s)
{
    stop_waiting(d, s);
    end_anchors(d, s);
    ev_timer_stop(d->loop->ev, &s->timer);
    lookup_remove(&d->session_by_id, s->id, sizeof(s->id));
    free(s->row);
    slab_release(&d->sessions, s);
}

static void uncount(struct dispatch *d, struct session *s)
{
    struct peer *p = slab_get(&d->table.peers, s->peer[SIDE_REQUESTER]);
    if (p)
        p->requested--;
    for (unsigned side = 0; side < 2; side++) {
        struct channel *c = slab_get(&d->table.channels, s->channel[side]);
        if (c)
            c->sessions--;
    }
}

static void count_outcome(struct dispatch *d, struct session *s)
{
    if (s->machine.outcome == REASON_OK) {
        d->stats.sessions_ok++;
        if (s->won_round)
            dispatch_missed(d, s, s->won_round - 1);
        dispatch_met(d, s);
    } else if (!dispatch_is_check(s)) {
        d->stats.sessions_failed++;
    }
}

/* Of the connection, or else those that were planned for: bits as in struct session_ended. */
static uint8_t families_of(const struct session *s)
{
    uint8_t planned = 0;
    if (s->row->family)
        return s->row->family == 6 ? 2 : 1;
    for (unsigned f = 0; f < FAMILY_COUNT; f++)
        if (s->prediction[0][f].shape != SHAPE_NONE && s->prediction[1][f].shape != SHAPE_NONE)
            planned |= f == FAMILY_6 ? 2 : 1;
    return planned;
}

static void tally_end(struct dispatch *d, const struct session *s)
{
    const struct row_session *r = s->row;
    struct session_ended ended = {
        .reason = (enum reason)r->reason,
        .nat = {r->nat[0], r->nat[1]},
        .families = families_of(s),
        .syns = (uint64_t)s->syns[0] + s->syns[1],
        .took = d->loop->now - s->began,
    };
    if (!dispatch_is_check(s))
        session_tally_end(&d->tally, &ended);
}

static void do_end(struct dispatch *d, struct session *s)
{
    s->row->finished = stamp_now();
    s->row->reason = (uint8_t)outcome_of(s);
    count_outcome(d, s);
    tally_end(d, s);
    dispatch_describe_results(s);
    uint64_t row = put_session(d, s);
    if (!s->checked)
        send_outcome(d, s, SIDE_REQUESTER, row);
    send_outcome(d, s, SIDE_TARGET, row);
    if (!s->checked)
        log_outcome(s);
    dispatch_tell_finished(d, s);
    uncount(d, s);
    dispatch_session_free(d, s);
}

void dispatch_session_give_up(struct dispatch *d, struct session *s, enum reason reason)
{
    session_give_up(&s->machine, reason);
    do_end(d, s);
}

static void set_timer(struct dispatch *d, struct session *s)
{
    ev_timer_stop(d->loop->ev, &s->timer);
    if (s->machine.deadline == TICK_NEVER)
        return;
    ev_timer_set(&s->timer, tick_seconds(tick_max(s->machine.deadline - d->loop->now, 0)), 0.);
    ev_timer_start(d->loop->ev, &s->timer);
}

static void step(struct dispatch *d, struct session *s, const struct session_input *in)
{
    struct ref self = s->slot.self;
    unsigned effects = session_step(&s->machine, &s->limits, in, d->loop->now);

    if (effects & SESSION_DO_MISSED)
        dispatch_missed(d, s, s->machine.planned);
    if (effects & SESSION_DO_END) {
        do_end(d, s);
        return;
    }
    set_timer(d, s);
    if (effects & SESSION_DO_PREPARE && dispatch_is_check(s)) {
        /* All that was asked for; the target hears that the requester wants no more. */
        dispatch_check_session(d, s);
        dispatch_session_event(d, s, SESSION_CANCEL, SIDE_REQUESTER, REASON_CANCELLED);
        return;
    }
    if (effects & SESSION_DO_PREPARE)
        do_prepare(d, s);
    else if (effects & SESSION_DO_PUNCH)
        do_punch(d, s);
    /* What these did may have moved the machine on, or ended the session. */
    if (slab_get(&d->sessions, self) == s)
        set_timer(d, s);
}

void dispatch_session_event(struct dispatch *d, struct session *s, enum session_event event,
                            unsigned side, enum reason reason)
{
    step(
        d, s,
        &(struct session_input){.event = event, .side = (enum session_side)side, .reason = reason});
}

static void session_time(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct session *s = timer->data;
    (void)loop;
    (void)events;
    dispatch_session_event(s->d, s, SESSION_TIME, SIDE_REQUESTER, REASON_OK);
}

/* ---- ready ---- */

static void check_ready(struct dispatch *d, struct session *s)
{
    struct ref self = s->slot.self;
    for (unsigned side = 0; side < 2; side++) {
        struct channel *c = slab_get(&d->table.channels, s->channel[side]);
        if (!s->machine.ready[side] && c && dispatch_surveyed(d, c))
            dispatch_session_event(d, s, SESSION_READY, side, REASON_OK);
        if (slab_get(&d->sessions, self) != s)
            return;
    }
}

void dispatch_ready(struct dispatch *d)
{
    for (struct session *s = d->waiting, *after; s; s = after) {
        after = s->waiting_after;
        check_ready(d, s);
    }
    dispatch_checks_ready(d);
}

/* ---- requests ---- */

static void take_bound(struct session *s, unsigned side, const struct endpoints *locals)
{
    for (unsigned i = 0; i < locals->count; i++) {
        const struct endpoint *e = &locals->at[i];
        if (!endpoint_is_none(e) && e->port)
            s->local[side][family_index(e)] = *e;
    }
}

/* A peer's wish is capped by the server, and hundreds of SYNs take both sides' consent. */
uint16_t dispatch_budget(const struct dispatch *d, uint16_t wanted, uint16_t flags)
{
    int64_t cap = flags & SESSION_BIRTHDAY ? DISPATCH_BUDGET_BIRTHDAY : d->conf->syn_budget;
    int64_t budget = wanted && wanted < cap ? wanted : cap;
    return (uint16_t)budget;
}

static bool fill_row(struct session *s, const struct peer *requester, const struct peer *target)
{
    struct row_session *row = s->row = calloc(1, sizeof(*row));
    if (!row)
        return false;
    memcpy(row->id, s->id, sizeof(s->id));
    memcpy(row->requester, requester->key, KEY_SIZE);
    memcpy(row->target, target->key, KEY_SIZE);
    snprintf(row->requester_name, sizeof(row->requester_name), "%s", peer_name(requester));
    snprintf(row->target_name, sizeof(row->target_name), "%s", peer_name(target));
    row->started = stamp_now();
    return true;
}

static struct session *new_session(struct dispatch *d, struct channel *from, struct channel *to,
                                   const struct msg_connect *m)
{
    struct peer *requester = slab_get(&d->table.peers, from->peer);
    struct peer *target = slab_get(&d->table.peers, to->peer);
    struct session *s = slab_take(&d->sessions);
    if (!s)
        return NULL;
    s->d = d;
    rng_fill(&d->rng, s->id, sizeof(s->id));
    if (!fill_row(s, requester, target) ||
        !lookup_add(&d->session_by_id, s->id, sizeof(s->id), s->slot.self.index)) {
        free(s->row);
        slab_release(&d->sessions, s);
        return NULL;
    }
    /* Where each was seen; a plan says more exactly where it is expected. */
    s->row->public_endpoint[SIDE_REQUESTER] = from->observed[from->family];
    s->row->public_endpoint[SIDE_TARGET] = to->observed[to->family];
    s->request = m->request;
    s->channel[SIDE_REQUESTER] = from->slot.self;
    s->channel[SIDE_TARGET] = to->slot.self;
    s->peer[SIDE_REQUESTER] = requester->slot.self;
    s->peer[SIDE_TARGET] = target->slot.self;
    s->flags[SIDE_REQUESTER] = m->flags;
    s->budget[SIDE_REQUESTER] = dispatch_budget(d, m->budget, m->flags);
    take_bound(s, SIDE_REQUESTER, &m->locals);
    s->began = d->loop->now;
    s->limits = session_limits_default;
    s->limits.rounds = (uint8_t)d->conf->rounds;
    ev_timer_init(&s->timer, session_time, 0., 0.);
    s->timer.data = s;
    requester->requested++;
    from->sessions++;
    to->sessions++;
    d->stats.sessions += !dispatch_is_check(s);
    return s;
}

/* Whether this request may become a session: REASON_OK and the target's channel, or why not. */
static enum reason find_target(struct dispatch *d, struct channel *from,
                               const struct msg_connect *m, struct channel **to)
{
    const struct peer *requester = slab_get(&d->table.peers, from->peer);
    const struct peer *target = peer_find(&d->table, m->peer);
    if (!target || !target->registered)
        return REASON_PEER_UNKNOWN;
    if (target == requester)
        return REASON_SELF;
    if (!key_is_zero(m->pinned) && !key_equal(m->pinned, target->key))
        return REASON_PEER_KEY;
    *to = peer_listener(&d->table, target);
    if (!*to)
        return REASON_PEER_OFFLINE;
    return d->draining ? REASON_DRAINING : REASON_OK;
}

/* A little less than the requester waits: it is to hear our reason, not its own clock. */
static uint32_t session_time_allowed(const struct dispatch *d, uint32_t wanted_ms)
{
    uint32_t most = (uint32_t)d->conf->session_timeout * 1000;
    uint32_t ms = wanted_ms && wanted_ms < most ? wanted_ms : most;
    uint32_t early = ms / 10 < ANSWER_MOST_MS ? ms / 10 : ANSWER_MOST_MS;
    return ms - early < TIMEOUT_LEAST_MS ? TIMEOUT_LEAST_MS : ms - early;
}

/* A session too many: by which limit, and what to do. */
static void refuse_limited(struct dispatch *d, struct channel *c, const struct msg_connect *m,
                           enum limit full, uint32_t delay_ms)
{
    /* What one peer has too much of is its own to mend; the rest passes. */
    bool own = full == LIMIT_PEER_SESSIONS || full == LIMIT_PEER_REQUESTS;
    char text[MSG_TEXT_SIZE], when[32] = "in a while";

    if (delay_ms)
        snprintf(when, sizeof(when), "in %u s", (delay_ms + 999) / 1000);
    snprintf(text, sizeof(text), "limit '%s' is reached; try again %s", limit_specs[full].name,
             when);
    enum reason reason = own ? REASON_LIMIT : REASON_BUSY;
    dispatch_tell_refused(d, c, m->peer, reason, NULL);
    refuse(d, c, m->request, reason, text);
}

/* LIMIT_COUNT: one more session may be begun. */
static enum limit full_for(struct dispatch *d, const struct channel *c, uint32_t *delay_ms)
{
    const struct peer *requester = slab_get(&d->table.peers, c->peer);
    const struct endpoint *from = &c->observed[c->family];
    enum limit full = LIMIT_COUNT;

    *delay_ms = 0;
    if (requester->requested >= d->conf->max_sessions_per_peer)
        full = LIMIT_PEER_SESSIONS;
    else if (d->sessions.used >= d->sessions.most)
        full = LIMIT_SESSIONS;
    else if (!store_has_room(d->store))
        full = LIMIT_STORE_QUEUE;
    if (full == LIMIT_COUNT)
        return dispatch_limit_request(d, requester->key, from, delay_ms);
    dispatch_limit_hit(d, full, from);
    return full;
}

static struct session *begin_session(struct dispatch *d, struct channel *c,
                                     const struct msg_connect *m, struct channel *to)
{
    uint32_t delay_ms;
    enum limit full = full_for(d, c, &delay_ms);
    struct session *s = full == LIMIT_COUNT ? new_session(d, c, to, m) : NULL;

    if (!s && full == LIMIT_COUNT)
        dispatch_limit_hit(d, full = LIMIT_MEMORY, &c->observed[c->family]);
    if (!s)
        refuse_limited(d, c, m, full, delay_ms);
    return s;
}

/* A client that asks for ever must not push real sessions off the record. */
static bool may_record(struct dispatch *d)
{
    if (d->loop->now - d->refusals.since >= TICK_S) {
        d->refusals.since = d->loop->now;
        d->refusals.count = 0;
    }
    return d->refusals.count++ < REFUSALS_PER_SECOND && store_has_room(d->store);
}

/* "Why did it fail?" is asked of requests, too, that never became sessions, such as those for a
 * peer that was not there. */
static void refused(struct dispatch *d, const struct channel *c, const struct msg_connect *m,
                    enum reason reason)
{
    const struct peer *from = slab_get(&d->table.peers, c->peer);
    const struct peer *to = peer_find(&d->table, m->peer);
    bool lasting = reason == REASON_PEER_OFFLINE || reason == REASON_PEER_KEY;
    struct row row = {.kind = ROW_SESSION};
    struct row_session *r = &row.session;

    if (!from || !to || !lasting || m->flags & SESSION_CHECK || !may_record(d)) {
        dispatch_tell_refused(d, c, m->peer, reason, NULL);
        return;
    }
    rng_fill(&d->rng, r->id, sizeof(r->id));
    memcpy(r->requester, from->key, KEY_SIZE);
    memcpy(r->target, to->key, KEY_SIZE);
    snprintf(r->requester_name, sizeof(r->requester_name), "%s", peer_name(from));
    snprintf(r->target_name, sizeof(r->target_name), "%s", peer_name(to));
    r->started = r->finished = stamp_now();
    r->reason = (uint8_t)reason;
    r->public_endpoint[SIDE_REQUESTER] = c->observed[c->family];
    r->nat[SIDE_REQUESTER] = dispatch_nat_of(d, c, c->family);
    dispatch_put(d, &row);
    dispatch_tell_refused(d, c, m->peer, reason, r->id);
}

void dispatch_connect(struct dispatch *d, struct channel *c, const struct msg_connect *m)
{
    struct channel *to = NULL;
    enum reason reason = find_target(d, c, m, &to);

    if (reason != REASON_OK) {
        refused(d, c, m, reason);
        refuse(d, c, m->request, reason, "");
        return;
    }
    struct session *s = begin_session(d, c, m, to);
    if (!s)
        return;
    s->timeout_ms = session_time_allowed(d, m->timeout_ms);
    session_start(&s->machine, &s->limits, d->loop->now, s->timeout_ms * TICK_MS);
    set_timer(d, s);
    put_session(d, s);
    dispatch_tell_started(d, s);
    /* The invitation's round trip is used to bring clocks and profiles up to date. */
    if (clock_estimate_stale(&to->clock, d->loop->now))
        dispatch_sync(d, to);
    if (clock_estimate_stale(&c->clock, d->loop->now))
        dispatch_sync(d, c);
    send_invite(d, s, slab_get(&d->table.peers, c->peer));
    dispatch_survey(d, c);
    dispatch_survey(d, to);
    start_waiting(d, s);
    check_ready(d, s);
}

/* ---- what peers say within a session ---- */

static struct session *find_session(struct dispatch *d, struct channel *c,
                                    const uint8_t id[MSG_ID_SIZE], unsigned *side)
{
    uint32_t index = lookup_find(&d->session_by_id, id, MSG_ID_SIZE);
    struct session *s = index == LOOKUP_NONE ? NULL : slab_at(&d->sessions, index);
    for (*side = 0; s && *side < 2; ++*side)
        if (ref_equal(s->channel[*side], c->slot.self))
            return s;
    return NULL; /* over already, or somebody else's */
}

static void accepted(struct dispatch *d, struct session *s, const struct msg_accept *m)
{
    if (s->machine.state != SESSION_INVITED)
        return;
    s->flags[SIDE_TARGET] = m->flags;
    s->budget[SIDE_TARGET] = dispatch_budget(d, m->budget, m->flags);
    take_bound(s, SIDE_TARGET, &m->locals);
    s->row->accepted_us = since_us(s);
    dispatch_session_event(d, s, SESSION_ACCEPT, SIDE_TARGET, REASON_OK);
}

static void rejected(struct dispatch *d, struct session *s, const struct msg_reject *m)
{
    snprintf(s->row->text, sizeof(s->row->text), "%s", m->text);
    /* Whatever its words, a refusal is the peer's own: it cannot pass for a finding of the
     * server's. */
    dispatch_session_event(d, s, SESSION_REJECT, SIDE_TARGET, REASON_DECLINED);
}

/* The last word on each round counts. */
static void count_syns(struct session *s, unsigned side, const struct msg_result *m)
{
    struct row_session *r = s->row;
    tick syns = 0, refusals = 0;
    s->told[side][m->round - 1] = (struct round_told){.there = true,
                                                      .reason = m->reason,
                                                      .syns = m->syns,
                                                      .refusals = m->refusals,
                                                      .late_us = m->late_us};
    for (unsigned i = 0; i < SESSION_ROUNDS_MAX; i++) {
        syns += s->told[side][i].syns;
        refusals += s->told[side][i].refusals;
    }
    r->syns[side] = (uint16_t)tick_min(syns, UINT16_MAX);
    r->refusals[side] = (uint16_t)tick_min(refusals, UINT16_MAX);
}

static void note_times(struct session *s, unsigned side, const struct msg_result *m)
{
    struct row_session *r = s->row;
    r->late_us[side] = m->late_us;
    r->elapsed_us[side] = m->elapsed_us;
    if (s->machine.resulted[!side]) {
        int64_t skew = (int64_t)r->late_us[SIDE_REQUESTER] - r->late_us[SIDE_TARGET];
        r->skew_us = (int32_t)tick_max(INT32_MIN, tick_min(skew, INT32_MAX));
        session_tally_skew(&s->d->tally, r->skew_us * TICK_US);
    }
}

static void resulted(struct dispatch *d, struct session *s, unsigned side,
                     const struct msg_result *m)
{
    struct session_input in = {
        .event = SESSION_RESULT, .side = (enum session_side)side, .round = m->round};
    in.reason = m->reason <= REASON_INTERNAL ? (enum reason)m->reason : REASON_INTERNAL;
    if (!m->round || m->round > s->machine.planned || m->round > SESSION_ROUNDS_MAX)
        return;
    count_syns(s, side, m);
    if (in.reason == REASON_OK || m->round == s->machine.planned)
        note_times(s, side, m);
    if (in.reason == REASON_OK) {
        s->row->met[!side] = m->remote;
        s->row->family = m->remote.family;
        s->won_round = m->round;
    }
    dispatch_tell_round(d, s, side, m);
    step(d, s, &in);
}

static void cancelled(struct dispatch *d, struct channel *c, const struct msg_cancel *m)
{
    unsigned side;
    struct session *s = find_session(d, c, m->session, &side);
    /* A requester that has not learnt the session's id yet names it by its own number. */
    for (uint32_t i = 0; !s && c->sessions && i < slab_end(&d->sessions); i++) {
        struct session *other = slab_at(&d->sessions, i);
        if (other && ref_equal(other->channel[SIDE_REQUESTER], c->slot.self) &&
            other->request == m->request) {
            s = other;
            side = SIDE_REQUESTER;
        }
    }
    if (s)
        dispatch_session_event(d, s, SESSION_CANCEL, side, REASON_CANCELLED);
}

void dispatch_session_message(struct dispatch *d, struct channel *c, const struct msg *m)
{
    unsigned side;
    struct session *s;
    switch (m->type) {
    case MSG_ACCEPT:
        s = find_session(d, c, m->accept_.session, &side);
        if (s && side == SIDE_TARGET)
            accepted(d, s, &m->accept_);
        break;
    case MSG_REJECT:
        s = find_session(d, c, m->reject_.session, &side);
        if (s && side == SIDE_TARGET)
            rejected(d, s, &m->reject_);
        break;
    case MSG_PREPARED:
        s = find_session(d, c, m->prepared_.session, &side);
        if (s && m->prepared_.round == s->machine.round)
            dispatch_session_event(d, s, SESSION_PREPARED, side, REASON_OK);
        break;
    case MSG_RESULT:
        s = find_session(d, c, m->result_.session, &side);
        if (s)
            resulted(d, s, side, &m->result_);
        break;
    default:
        cancelled(d, c, &m->cancel_);
        break;
    }
}

void dispatch_session_lost(struct dispatch *d, struct channel *c)
{
    for (uint32_t i = 0; c->sessions && i < slab_end(&d->sessions); i++) {
        struct session *s = slab_at(&d->sessions, i);
        for (unsigned side = 0; s && side < 2; side++)
            if (ref_equal(s->channel[side], c->slot.self)) {
                dispatch_session_event(d, s, SESSION_LOST, side, REASON_PEER_LOST);
                break;
            }
    }
}
