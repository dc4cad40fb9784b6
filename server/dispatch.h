/* SPDX-License-Identifier: ISC */
#ifndef TRYST_DISPATCH_H
#define TRYST_DISPATCH_H

#include <ev.h>

#include "admin.h"
#include "conf.h"
#include "loop.h"
#include "net.h"
#include "net_probe.h"
#include "peer_table.h"
#include "plan.h"
#include "proto/msg.h"
#include "proto/rng.h"
#include "schedule.h"
#include "session.h"
#include "store.h"
#include "survey.h"

/*
 * The one place that sees every stage: it hands the values along (net -> session -> predict -> plan
 * -> schedule) and carries out the effects. Its parts, by subject: dispatch.c (messages in,
 * wake-ups), dispatch_register.c (who comes and goes), dispatch_survey.c (observations, probes,
 * profiles), dispatch_session.c (introductions), dispatch_punch.c (from predictions to a plan on
 * its way), dispatch_admin.c (views and commands).
 */

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
    struct prediction prediction[2][FAMILY_COUNT]; /* of the round under way */
    tick began;
    uint32_t timeout_ms;
    struct row_session *row; /* the record, as it grows */
    struct session *waiting_before, *waiting_after;
    bool waiting; /* in the list of sessions that wait for a side to be ready */
    struct ev_timer timer;
};

/* An invite that has not been used: the hash of its token and what it grants. */
struct invite {
    struct slot slot;
    struct row_invite row;
};

struct dispatch_stats {
    uint64_t sessions, sessions_ok, sessions_failed, observations, observations_refused, limit_hits;
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
    struct key_pair key;
    struct net *net;
    struct net_probe probe;
    struct store *store;
    struct admin *admin;
    struct ev_async store_news;
    struct peer_table table;
    struct slab runs, sessions, invites;
    struct lookup run_by_token, session_by_id, invite_by_hash;
    struct session *waiting; /* list */
    struct ref
        *acknowledging; /* channels whose REGISTERED waits for the store; a ring, oldest first */
    uint32_t acknowledging_head, acknowledging_count, acknowledging_size;
    struct survey_servers
        servers[FAMILY_COUNT]; /* our addresses beside the one a channel goes to */
    struct server_url url;
    char listen_text[512];
    uint64_t sequence; /* of the last row put */
    stamp started;
    bool draining;
    bool private_only; /* every peer so far came from one private address */
    struct endpoint private_address;
    struct dispatch_stats stats;
    struct dispatch_walk walk[3]; /* of the admin's views */
};

/* Wall-clock time, for records. */
stamp stamp_now(void);

/* ---- dispatch.c ---- */

struct dispatch_options {
    struct loop *loop;
    const struct conf *conf;
    const struct key_pair *key;
    const char *store_path;
};
/* Opens store, sockets and admin socket. Returns 0, or -1 with a sentence in err. `d` and `net`
 * must not move. */
int dispatch_open(struct dispatch *d, struct net *net, const struct dispatch_options *options,
                  char *err, size_t size);
/* Tells every peer to come back, and stops listening. The caller runs the loop on for a moment,
 * then closes. */
void dispatch_drain(struct dispatch *d);
void dispatch_close(struct dispatch *d);

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
void dispatch_acknowledge(struct dispatch *d); /* sends the REGISTERED whose rows are on disk */
void dispatch_sync(struct dispatch *d, struct channel *c);
void dispatch_synced(struct dispatch *d, struct channel *c, const struct msg_sync *m);
void dispatch_leave(struct dispatch *d, struct channel *c);
int dispatch_invite(struct dispatch *d, const char *name, int64_t ttl_seconds, char *url,
                    size_t size, char *err, size_t err_size);

/* ---- dispatch_survey.c ---- */

/* Starts whatever is missing to know the channel's NATs: a survey, a probe. */
void dispatch_survey(struct dispatch *d, struct channel *c);
/* Whether a plan can be made for the channel: nothing that dispatch_survey() started is still to
 * come. */
bool dispatch_surveyed(struct dispatch *d, struct channel *c);
void dispatch_survey_done(struct dispatch *d, struct channel *c, const struct msg_surveyed *m);
void dispatch_observe(struct dispatch *d, struct net_conn *conn, const struct msg *m);
void dispatch_probed(void *user, const struct endpoint *address, enum nat_refusal refusal);
/* Asks one side of a session for anchors. False: none are needed, or none can be had. */
bool dispatch_anchors(struct dispatch *d, struct session *s, unsigned side);
void dispatch_run_end(struct dispatch *d, struct run *run);
/* The server's places to observe at for a channel, in one family. */
struct survey_servers dispatch_servers(struct dispatch *d, struct channel *c, unsigned family);
void dispatch_nat_put(struct dispatch *d, struct nat *n);
/* Tells peers apart where a key would be too long. */
uint64_t dispatch_peer_number(struct ref peer);
/* The block that the peer behind a channel has on its NAT of one family; NULL: not known. */
const struct port_block *dispatch_block(const struct dispatch *d, const struct channel *c,
                                        unsigned family);

/* ---- dispatch_session.c ---- */

void dispatch_connect(struct dispatch *d, struct channel *c, const struct msg_connect *m);
void dispatch_session_message(struct dispatch *d, struct channel *c, const struct msg *m);
void dispatch_session_event(struct dispatch *d, struct session *s, enum session_event event,
                            unsigned side, enum reason reason);
/* Something that sessions wait for has arrived at this channel. */
void dispatch_ready(struct dispatch *d);
/* A channel goes: so do its sessions. */
void dispatch_session_lost(struct dispatch *d, struct channel *c);
void dispatch_session_free(struct dispatch *d, struct session *s);

/* ---- dispatch_punch.c ---- */

/* Predicts, plans, schedules and sends. Returns REASON_OK and the end of the round, or why there is
 * no plan. */
enum reason dispatch_punch(struct dispatch *d, struct session *s, tick *until);
/* What a round says about the profiles: `met` with the sides' own reports in the row, or nobody
 * met. */
void dispatch_learn(struct dispatch *d, struct session *s, bool met);
struct nat_summary dispatch_summary(struct dispatch *d, const struct session *s, unsigned side);

/* ---- dispatch_admin.c ---- */

struct admin_source dispatch_admin_source(struct dispatch *d);

#endif
