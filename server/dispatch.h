/* SPDX-License-Identifier: ISC */
#ifndef TRYST_DISPATCH_H
#define TRYST_DISPATCH_H

#include <ev.h>

#include "access.h"
#include "admin.h"
#include "conf.h"
#include "drain.h"
#include "limit.h"
#include "limit_rate.h"
#include "loop.h"
#include "metrics_http.h"
#include "net.h"
#include "net_probe.h"
#include "peer_table.h"
#include "plan_prospect.h"
#include "proto/msg.h"
#include "proto/rng.h"
#include "reload.h"
#include "schedule.h"
#include "service.h"
#include "session.h"
#include "session_tally.h"
#include "store.h"
#include "survey.h"

/*
 * The one place that sees every stage: it hands the values along (net -> session -> predict -> plan
 * -> schedule) and carries out the effects. Its parts, by subject: dispatch.c (messages in,
 * wake-ups), dispatch_register.c (who comes and goes), dispatch_access.c (who may),
 * dispatch_invite.c (invites), dispatch_survey.c (observations, profiles), dispatch_probe.c (what
 * the server tries out on NATs), dispatch_session.c (introductions), dispatch_punch.c (from
 * predictions to a plan on its way), dispatch_check.c (what a connection would come to),
 * dispatch_stored.c (what is told once it is on disk), dispatch_limit.c (limits), dispatch_event.c
 * and dispatch_metrics.c (who watches), dispatch_conf.c (a new configuration), dispatch_drain.c
 * (the end in peace), dispatch_admin.c (views and commands).
 */

#define SESSION_ROUNDS_MAX 10 /* as many as the option `rounds` may say */

/* One request for observations under way: a survey of a NAT, or the anchors of one side of a
 * session's round. */
struct run {
    struct slot slot;
    struct dispatch *d;
    struct ref channel;
    struct ref session; /* none: a survey */
    uint8_t side, round;
    uint32_t number;
    uint8_t token[MSG_ID_SIZE];
    uint8_t secret[MSG_SECRET_SIZE];
    struct steps steps;
    uint64_t seen; /* bit per step */
    uint8_t count;
    struct observation observations[MSG_STEPS_MAX];
    bool complete;
    bool pooled; /* one host showed several public addresses */
    struct crossing {
        bool wanted;
        struct ref probe; /* the reserved port */
        tick answered_at; /* the observation before it */
        tick rtt, opened_at;
        uint8_t told; /* CROSSING_...: what the peer says */
    } crossing;
    struct ev_timer timer;
};

struct session {
    struct slot slot;
    struct dispatch *d;
    uint8_t id[MSG_ID_SIZE];
    struct session_machine machine;
    struct session_limits limits;
    uint32_t request; /* the requester's number for it */
    struct ref channel[2];
    struct ref peer[2];
    struct ref anchors[2];                  /* runs of this round */
    struct endpoint local[2][FAMILY_COUNT]; /* punch sockets bound beforehand */
    uint16_t budget[2], flags[2];
    bool control[2];  /* punches from the control channel's own mapping, in the first round */
    uint32_t syns[2]; /* planned so far */
    struct round_told {
        bool there;
        uint8_t reason;
        uint16_t syns, refusals;
        int32_t late_us;
    } told[2][SESSION_ROUNDS_MAX]; /* in RESULT; a round may have several */
    uint8_t won_round;
    /* Why both sides, behind one public address, did not meet; REASON_OK: they have two. */
    enum reason together;
    struct prediction prediction[2][FAMILY_COUNT]; /* of the round under way */
    tick began;
    uint32_t timeout_ms;
    struct row_session *row; /* the record, as it grows */
    struct session *waiting_before, *waiting_after;
    bool waiting; /* in the list of sessions that wait for a side to be ready */
    bool checked; /* SESSION_CHECK: the requester has its answer */
    struct ev_timer timer;
};

/* A CHECK whose answer waits for the survey. */
struct check {
    struct slot slot;
    struct dispatch *d;
    struct ref channel;
    uint32_t request;
    uint16_t flags, budget;
    bool surveyed; /* the survey for it has been made, or need not be */
    struct ev_timer timer;
};

/*
 * Connections back to one peer's throw-away mapping: from another port of the address that it went
 * to (near), and from another address of ours (far). Remembered until no late answer can come.
 */
struct filter_test {
    struct slot slot;
    struct dispatch *d;
    struct endpoint to;
    struct ref nat, channel, peer; /* of the mapping */
    uint8_t waiting;               /* for the first answer of so many */
    bool near, far;                /* let in */
    struct ev_timer timer;
};

/* An invite that has not been used: the hash of its token and what it grants. */
struct invite {
    struct slot slot;
    struct row_invite row;
};

struct dispatch_stats {
    uint64_t sessions, sessions_ok, sessions_failed, observations, observations_refused;
    uint64_t banned; /* registrations of banned keys that were refused */
};

/* The admin's views that are walks. */
enum dispatch_view {
    WALK_PEERS,
    WALK_SESSIONS,
    WALK_NATS,
    WALK_ALLOWED,
    WALK_BANNED,
    WALK_INVITES,
    WALK_NAMES,
    WALK_COUNT
};

/* Reloads, and what they have brought. */
struct dispatch_reload {
    struct reload reader;
    struct conf *conf;         /* in force */
    struct conf started;       /* as the daemon was started with it */
    struct conf read;          /* as it was read last */
    struct conf before;        /* in force before the last reload */
    struct conf defaults;      /* for comparison */
    char restart_needed[512];  /* changed options that wait for it: "listen, port" */
    uint64_t applied, refused; /* reloads so far */
    bool failed;               /* the last one was refused */
    bool wanted;               /* once more, after the read that is under way */
    /* Tickets of the admin socket: for the next read, and for the one under way. */
    uint64_t asked[ADMIN_CLIENTS_MAX], answering[ADMIN_CLIENTS_MAX];
    unsigned asked_count, answering_count;
};

/* Where a walk over the slots in use has come to. */
struct dispatch_walk {
    size_t index;
    uint32_t slot;
};

struct dispatch {
    struct loop *loop;
    const struct conf *conf;
    struct rng rng;
    uint8_t public_key[KEY_SIZE];
    bool old_key; /* an older one is accepted too */
    struct net *net;
    struct net_probe probe;
    struct store *store;
    struct admin *admin;
    struct metrics_http *metrics; /* NULL: not on HTTP */
    struct ev_async store_news;
    struct peer_table table;
    struct slab runs, sessions, checks, filter_tests, invites;
    struct lookup run_by_token, session_by_id, invite_by_hash;
    uint32_t invites_swept; /* where the next sweep goes on */
    struct access allowed, banned;
    struct ev_timer expiry;  /* while something in these lists expires */
    struct session *waiting; /* list */
    struct {
        struct told *first, *last;
    } told; /* what waits for the store, in the order of its rows */
    struct survey_servers
        servers[FAMILY_COUNT]; /* our addresses beside the one a channel goes to */
    struct server_url url;
    char listen_text[512];
    uint64_t sequence; /* of the last row put */
    stamp started;
    struct service *service; /* NULL: nobody manages us */
    bool draining;
    struct drain drain;
    bool store_degraded; /* as was told last */
    struct {
        tick since; /* the second that is counted */
        unsigned count;
    } refusals;        /* requests put on record that never became sessions */
    bool private_only; /* every peer so far came from one private address */
    struct endpoint private_address;
    struct dispatch_stats stats;
    struct session_tally tally;
    uint64_t scrapes; /* of the metrics */
    struct dispatch_reload reload;
    struct limits limits;
    /* A minute's registrations by address, an hour's new keys by address, a minute's requests. */
    struct limit_rate registrations, new_keys, key_requests, address_requests;
    uint64_t memory_allowed;   /* by the system */
    uint64_t memory_most;      /* for tables and queues */
    uint32_t connections_told; /* what the log last said that the descriptors allow; 0: nothing */
    struct dispatch_walk walk[WALK_COUNT];
};

/* Wall-clock time, for records. */
stamp stamp_now(void);
/*
 * The same instant on the loop's clock and the wall's; never is TICK_NEVER on the one and 0 on the
 * other. What lies in the future is taken for never: the wall clock was set back.
 */
tick dispatch_tick_of(const struct dispatch *d, stamp at);
stamp dispatch_stamp_of(const struct dispatch *d, tick at);

/* ---- dispatch.c ---- */

struct dispatch_options {
    struct loop *loop;
    struct conf *conf;                /* a reload changes it */
    const struct conf_source *source; /* what a reload reads; NULL: it is refused */
    const struct key_pair *keys;      /* as in net_handshake_start() */
    unsigned key_count;
    const char *store_path;
    struct service *service; /* hands over sockets, and is told of the end; may be NULL */
};
/*
 * Opens store, sockets and admin socket. Returns 0, or -1 with a sentence in err, and the reason in
 * errno where the system gave one (else 0). `d` and `net` must not move.
 */
int dispatch_open(struct dispatch *d, struct net *net, const struct dispatch_options *options,
                  char *err, size_t size);
void dispatch_close(struct dispatch *d);

/* What the server URL says, from the configuration and the addresses found. */
void dispatch_set_url(struct dispatch *d);

/* The narrow interface to a peer: everything that a session says goes through here (DESIGN section
 * 15). False: not here. */
bool dispatch_deliver(struct dispatch *d, struct ref channel, const struct msg *m);
/* Queues a row. False: the store is full. */
bool dispatch_put(struct dispatch *d, const struct row *row);
/* Says BYE and closes. */
void dispatch_dismiss(struct dispatch *d, struct net_conn *conn, enum reason reason,
                      const char *text, uint32_t delay_ms);

/* ---- dispatch_register.c ---- */

void dispatch_register(struct dispatch *d, struct net_conn *conn, const uint8_t key[KEY_SIZE],
                       const struct msg_register *m);
void dispatch_sync(struct dispatch *d, struct channel *c);
void dispatch_synced(struct dispatch *d, struct channel *c, const struct msg_sync *m);
void dispatch_leave(struct dispatch *d, struct channel *c);

/* ---- dispatch_access.c ---- */

void dispatch_access_init(struct dispatch *d, const uint8_t hash_key[16]);
void dispatch_access_destroy(struct dispatch *d);
/* One entry from the store; and when all are there. */
void dispatch_access_load(void *user, const struct row_access *row);
void dispatch_access_loaded(struct dispatch *d);
/* Stores a change that is in force. 0, or -1 with a sentence in err. */
int dispatch_keep(struct dispatch *d, const struct row *row, char *err, size_t size);
/* There is something that expires: sees to it that it is swept up. */
void dispatch_expect_expiry(struct dispatch *d);
/* Says so loudly if anybody may register. */
void dispatch_warn_of_access(const struct dispatch *d);
/* Whether connections are taken from there (a handler of net). */
bool dispatch_admits(void *user, const struct endpoint *remote);
bool dispatch_is_banned(const struct dispatch *d, const uint8_t key[KEY_SIZE]);
bool dispatch_is_allowed(const struct dispatch *d, const uint8_t key[KEY_SIZE]);
/* Commands and views of the admin socket. */
int dispatch_allow(void *user, struct admin_decision *o, char *err, size_t size);
int dispatch_deny(void *user, struct admin_decision *o, char *err, size_t size);
int dispatch_ban(void *user, struct admin_decision *o, char *err, size_t size);
int dispatch_unban(void *user, struct admin_decision *o, char *err, size_t size);
int dispatch_kick(void *user, const char *key_or_name, char *err, size_t size);
int dispatch_name_release(void *user, struct admin_naming *o, char *err, size_t size);
int dispatch_name_transfer(void *user, struct admin_naming *o, char *err, size_t size);
bool dispatch_view_allowed(void *user, size_t index, struct view_access *out);
bool dispatch_view_banned(void *user, size_t index, struct view_access *out);
bool dispatch_view_name(void *user, size_t index, struct view_name *out);

/* ---- dispatch_invite.c ---- */

void dispatch_invites_init(struct dispatch *d, const uint8_t hash_key[16]);
void dispatch_invites_destroy(struct dispatch *d);
void dispatch_invite_load(void *user, const struct row_invite *row);
/* Forgets what has expired among the next so many slots. Returns how many invites that were. */
uint32_t dispatch_invites_sweep(struct dispatch *d, uint32_t slots, stamp now);
/* An invite that may be used now, or NULL. */
struct invite *dispatch_invite_find(struct dispatch *d, const char *token);
/* Uses it up, in one row with the registration that it is used for. False: the store takes
 * nothing. */
bool dispatch_invite_use(struct dispatch *d, struct invite *invite, const struct row_peer *by);
int dispatch_invite(struct dispatch *d, const char *name, int64_t ttl_seconds, char *url,
                    size_t size, char *err, size_t err_size);
/* Takes an unused invite back, by the first digits of its token's hash; *out is what it was. */
int dispatch_revoke(struct dispatch *d, const char *id, struct row_invite *out, char *err,
                    size_t size);

/* ---- dispatch_survey.c ---- */

/* Starts whatever is missing to know the channel's NATs: a survey, a probe. */
void dispatch_survey(struct dispatch *d, struct channel *c);
/* The same as if nothing were known of them. */
void dispatch_survey_fully(struct dispatch *d, struct channel *c);
/* Whether a plan can be made for the channel: nothing that dispatch_survey() started is still to
 * come. */
bool dispatch_surveyed(struct dispatch *d, struct channel *c);
void dispatch_survey_done(struct dispatch *d, struct channel *c, const struct msg_surveyed *m);
void dispatch_observe(struct dispatch *d, struct net_conn *conn, const struct msg *m);
/* Asks one side of a session for anchors. False: none are needed, or none can be had. */
bool dispatch_anchors(struct dispatch *d, struct session *s, unsigned side);
/* Decides which sides of a first round punch from their control channels' own mappings. */
void dispatch_lend_control(struct dispatch *d, struct session *s);
/* Whether this side's mapping in this family and round is the control channel's. */
bool dispatch_from_control(struct dispatch *d, const struct session *s, unsigned side,
                           unsigned family);
void dispatch_run_end(struct dispatch *d, struct run *run);
/* SYNs that a peer behind this NAT may still be told to send, and a note that it was. */
uint16_t dispatch_syns_left(struct dispatch *d, const struct channel *c, unsigned family);
void dispatch_charge(struct dispatch *d, const struct channel *c, unsigned family, unsigned syns);
/*
 * A NAT's profile as the session takes it: rounds that have not met so far are evidence for the
 * next one, although they may still be won.
 */
struct profile dispatch_profile(struct dispatch *d, const struct session *s, unsigned side,
                                const struct nat *n);
/* The server's places to observe at for a channel, in one family. */
struct survey_servers dispatch_servers(struct dispatch *d, struct channel *c, unsigned family);
void dispatch_nat_put(struct dispatch *d, struct nat *n);
/* Tells peers apart where a key would be too long. */
uint64_t dispatch_peer_number(struct ref peer);
/* The block that the peer behind a channel has on its NAT of one family; NULL: not known. */
const struct port_block *dispatch_block(const struct dispatch *d, const struct channel *c,
                                        unsigned family);
/* What is known of a channel's NAT, as far as it holds for this peer; all zero: nothing. */
struct nat_summary dispatch_nat_of(struct dispatch *d, const struct channel *c, unsigned family);
struct run *dispatch_run_start(struct dispatch *d, struct channel *c, const struct steps *steps);
/* As a SURVEY. */
void dispatch_run_send(struct dispatch *d, struct channel *c, const struct run *run);

/* ---- dispatch_probe.c ---- */

/* What an unsolicited SYN gets, where that is not known yet. */
void dispatch_probe_refusal(struct dispatch *d, struct channel *c);
/* Whether the filter's test is due for a channel that is going to be surveyed; counts as asked. */
bool dispatch_filter_due(struct dispatch *d, struct channel *c, unsigned family);
/* Whether a plan may be another one for knowing the filter. */
bool dispatch_filter_matters(const struct nat *n);
/* Whether a test of it is under way. */
bool dispatch_filter_testing(const struct dispatch *d, const struct nat *n);
void dispatch_filter_test_end(struct dispatch *d, struct filter_test *t);
/* A round of this peer's did not meet: if it counted on a lenient filter, that is withdrawn. */
void dispatch_filter_missed(struct dispatch *d, const struct channel *c, struct nat *n);
/* A mapping whose owner listens has been observed: connects back. */
void dispatch_filter_test(struct dispatch *d, struct channel *c, const struct net_conn *conn);
/* Tries simultaneous open, where it is not known whether the NAT lets it be and nothing else is
 * going on. The run for that is no survey, and nothing waits for it. */
void dispatch_cross(struct dispatch *d, struct channel *c);
void dispatch_cross_observed(struct dispatch *d, struct run *run, const struct net_conn *conn);
void dispatch_cross_told(struct dispatch *d, struct run *run, uint8_t crossing);
void dispatch_cross_end(struct dispatch *d, struct run *run);
/* A channel has told its clock: may show that there is more than one NAT between. */
void dispatch_look_behind(struct dispatch *d, struct channel *c);
bool dispatch_double_recent(const struct dispatch *d, const struct nat *n);
void dispatch_probed(void *user, const struct net_probe_answer *answer);

/* ---- dispatch_session.c ---- */

/* SYNs a round where both sides consent to hundreds. */
#define DISPATCH_BUDGET_BIRTHDAY 512
/* A peer's wish, capped by the server. */
uint16_t dispatch_budget(const struct dispatch *d, uint16_t wanted, uint16_t flags);
/* Whether a session only asks for the chance: it is neither recorded nor counted. */
static inline bool dispatch_is_check(const struct session *s)
{
    return s->flags[SIDE_REQUESTER] & SESSION_CHECK;
}

void dispatch_connect(struct dispatch *d, struct channel *c, const struct msg_connect *m);
void dispatch_session_message(struct dispatch *d, struct channel *c, const struct msg *m);
void dispatch_session_event(struct dispatch *d, struct session *s, enum session_event event,
                            unsigned side, enum reason reason);
/* Something that sessions wait for has arrived at this channel. */
void dispatch_ready(struct dispatch *d);
/* A channel goes: so do its sessions. */
void dispatch_session_lost(struct dispatch *d, struct channel *c);
/* Ends it here: both sides hear the reason, and it is recorded. */
void dispatch_session_give_up(struct dispatch *d, struct session *s, enum reason reason);
void dispatch_session_free(struct dispatch *d, struct session *s);

/* ---- dispatch_stored.c ---- */

/*
 * Sends a message once this row is on disk; 0: at once. A promise is that what it says is stored;
 * anything else goes out while the disk is in trouble, for the peer is not to wait for it.
 */
void dispatch_deliver_stored(struct dispatch *d, struct ref channel, const struct msg *m,
                             uint64_t row, bool promise);
void dispatch_stored(struct dispatch *d); /* sends those whose rows are on disk */
bool dispatch_stored_all_but_promises(const struct dispatch *d);
void dispatch_stored_forget(struct dispatch *d);

/* ---- dispatch_punch.c ---- */

/*
 * Predicts, plans, schedules and sends. Returns REASON_OK, how long the round is held and when the
 * next one may be prepared, or why there is no plan.
 */
enum reason dispatch_punch(struct dispatch *d, struct session *s, tick *until, tick *again);
/* Adds what each side has told of each round to the record. */
void dispatch_describe_results(struct session *s);
/* What the rounds say about the profiles: so many missed, or one met, as the sides' own reports in
 * the row say. */
void dispatch_missed(struct dispatch *d, struct session *s, unsigned rounds);
void dispatch_met(struct dispatch *d, struct session *s);
struct nat_summary dispatch_summary(struct dispatch *d, const struct session *s, unsigned side);

/* ---- dispatch_check.c ---- */

void dispatch_check(struct dispatch *d, struct channel *c, const struct msg_check *m);
/* Something that checks wait for has arrived. */
void dispatch_checks_ready(struct dispatch *d);
void dispatch_check_free(struct dispatch *d, struct check *k);
/* Both sides of a SESSION_CHECK are ready: answers the requester. */
void dispatch_check_session(struct dispatch *d, struct session *s);

/* ---- dispatch_drain.c ---- */

/*
 * Stops listening, lets the sessions under way end for so many seconds, tells every peer when to
 * come back, and where if `to` is another server's URL, and ends the loop. `to` may be "". Called
 * again it only shortens the time, and changes where to unless `to` is NULL.
 */
void dispatch_drain(struct dispatch *d, int64_t seconds, const char *to);
/* The same as the admin asks for it: an admin_source's `drain`. */
int dispatch_drain_order(void *user, int64_t seconds, const char *to, char *err, size_t size);
/* Tells one peer. */
void dispatch_farewell(struct dispatch *d, struct net_conn *conn);
/* Also stops a drain that has not ended. */
void dispatch_drain_close(struct dispatch *d);

/* ---- dispatch_conf.c ---- */

void dispatch_reload_open(struct dispatch *d, const struct dispatch_options *options);
/*
 * Reads the configuration again, and applies it if it is in order. `ticket`: who of the admin
 * socket gets the answer; 0: only the log does. Returns 0, or -1 with a sentence in err.
 */
int dispatch_reload(struct dispatch *d, uint64_t ticket, char *err, size_t size);
bool dispatch_view_option(void *user, size_t index, struct view_option *out);
/* What the configuration says of the log. */
void dispatch_configure_log(const struct conf *c);
/*
 * A new configuration stands in *d->conf; `before` is the one that it replaces. Whoever keeps an
 * option's value elsewhere gets the new one here.
 */
void dispatch_reconfigure(struct dispatch *d, const struct conf *before);
/* Tells the store what to keep. */
void dispatch_retain(struct dispatch *d);

/* ---- dispatch_event.c ---- */

/* Tell whoever watches; they cost next to nothing where nobody does. */
void dispatch_tell_registered(struct dispatch *d, const struct peer *p, const struct channel *c);
void dispatch_tell_left(struct dispatch *d, const struct peer *p, const struct channel *c);
void dispatch_tell_survey(struct dispatch *d, const struct channel *c, const struct nat *n);
void dispatch_tell_refused(struct dispatch *d, const struct channel *c, const char *whom,
                           enum reason reason, const uint8_t id[MSG_ID_SIZE]);
void dispatch_tell_started(struct dispatch *d, const struct session *s);
void dispatch_tell_planned(struct dispatch *d, const struct session *s);
void dispatch_tell_round(struct dispatch *d, const struct session *s, unsigned side,
                         const struct msg_result *m);
void dispatch_tell_finished(struct dispatch *d, const struct session *s);
/* Something that the operator has done, to a peer (may be NULL), in his words. */
void dispatch_tell_operator(struct dispatch *d, const char *kind, const struct peer *p,
                            const char *text);
/* A limit has turned something away. */
void dispatch_tell_limit(struct dispatch *d, const char *limit, const struct peer *p);
/* The store has got into trouble, or out of it, since the last look. */
void dispatch_tell_store(struct dispatch *d);

/* ---- dispatch_limit.c ---- */

/* Descriptors that are no connections: listeners, database, admin clients, probes. */
#define DISPATCH_SPARE_DESCRIPTORS 512
#define CHANNELS_PER_PEER_MAX      64

void dispatch_limits_open(struct dispatch *d, const uint8_t hash_key[16]);
/* The limits that net is to be opened with. */
struct net_limits dispatch_net_limits(struct dispatch *d);
/* Puts the options' limits in force; what is there already stays. */
void dispatch_limits_apply(struct dispatch *d);
void dispatch_limits_close(struct dispatch *d);
/* Counts and logs a limit that was hit; by whom, where that is known (or NULL). */
void dispatch_limit_hit(struct dispatch *d, enum limit which, const struct endpoint *from);
/*
 * Whether one more registration may be taken from there, and whether one of a key that has never
 * been seen. LIMIT_COUNT: yes, and it is counted; else what stands against it, counted as a hit,
 * and how long to stay away.
 */
enum limit dispatch_limit_registration(struct dispatch *d, const struct endpoint *from,
                                       uint32_t *delay_ms);
enum limit dispatch_limit_new_key(struct dispatch *d, const struct endpoint *from,
                                  uint32_t *delay_ms);
/* The same for one more session that a peer asks for. */
enum limit dispatch_limit_request(struct dispatch *d, const uint8_t key[KEY_SIZE],
                                  const struct endpoint *from, uint32_t *delay_ms);
/* Bytes that tables and queues take. */
uint64_t dispatch_memory(const struct dispatch *d);
/* Every limit, from 0 upwards; false after the last one. */
bool dispatch_limit_view(void *user, size_t index, struct view_limit *out);

/* ---- dispatch_admin.c ---- */

/*
 * The index-th slot in use. Views are walked from 0 upward, so remembering where the last step
 * ended makes a whole walk linear.
 */
void *dispatch_nth(const struct slab *slab, struct dispatch_walk *walk, size_t index);
struct admin_source dispatch_admin_source(struct dispatch *d);
/* Bytes in tables of connections, peers, NATs and sessions. */
uint64_t dispatch_memory(const struct dispatch *d);

/* ---- dispatch_metrics.c ---- */

/* Serves the metrics on HTTP, where that is wanted. Returns 0, or -1 with a sentence in err. */
int dispatch_open_metrics(struct dispatch *d, char *err, size_t size);
/* The metrics as text; `user` is the dispatch. Returns its length, or 0 when it does not fit. */
size_t dispatch_metrics(void *user, char *out, size_t size);

#endif
