/* SPDX-License-Identifier: ISC */
#ifndef TRYST_STORE_H
#define TRYST_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "access.h"
#include "histogram.h"
#include "predict_profile.h"
#include "proto/endpoint.h"
#include "proto/key.h"
#include "proto/msg.h"

/*
 * What must outlive the process, in SQLite (WAL). The loop hands rows by value to a bounded queue;
 * one writer thread commits them in groups (at most 20 ms or 4096 rows); one reader thread answers
 * queries on a read-only connection of its own. The loop itself never touches SQLite after
 * store_open().
 *
 * Wall-clock times are microseconds since 1970 (`stamp`), for people; nothing decides by them but
 * expiry.
 */
typedef int64_t stamp;

struct store;

/* Rows. Each is written whole: a later row of the same primary key replaces what it names. */
struct row_peer {
    uint8_t key[KEY_SIZE];
    char name[PEER_NAME_SIZE]; /* "" for none */
    char agent[MSG_TEXT_SIZE];
    stamp first_seen, last_seen;
    struct endpoint observed;
    bool member; /* may come back where registration takes an invite */
};

struct row_profile { /* NAT profile of one public address; ticks inside are turned to stamps and
                        back by the caller of `store_load` */
    struct endpoint address;
    struct profile profile;
    stamp learnt, refusal_learnt, filtering_learnt, simultaneous_learnt; /* 0: never */
};

struct row_observation { /* ring of 64 per public address */
    struct observation observation;
    uint8_t peer_key[KEY_SIZE];
    stamp at;
};

struct row_session {
    uint8_t id[MSG_ID_SIZE];
    uint8_t requester[KEY_SIZE], target[KEY_SIZE];
    char requester_name[PEER_NAME_SIZE], target_name[PEER_NAME_SIZE];
    stamp started, finished;  /* finished 0: in flight */
    uint8_t reason;           /* enum reason; meaningless in flight */
    char text[MSG_TEXT_SIZE]; /* detail, or "" */
    uint8_t family, rounds;
    struct nat_summary nat[2]; /* 0 requester, 1 target */
    struct endpoint public_endpoint[2];
    struct endpoint met[2]; /* where each side really was, by both results */
    double chance;
    stamp punch;        /* punch time of the last round, 0: none */
    int32_t late_us[2]; /* by which each side's first SYN missed its start, last round */
    int32_t skew_us;    /* between both first SYNs, last round */
    uint16_t syns[2], refusals[2];
    uint32_t elapsed_us[2]; /* start to proof */
    uint32_t accepted_us, prepared_us,
        punched_us; /* since `started`: target accepted, anchors seen, plan sent; 0: not reached */
    uint32_t clock_bound_us[2];
    char plan[2560]; /* JSON: shapes, volleys, per round; what both sides told of each */
};

struct row_invite {
    uint8_t token_hash[32];       /* BLAKE2b-256 of the token */
    char name[PEER_NAME_SIZE];    /* that the invite grants, or "" */
    stamp created, expires, used; /* used 0: not yet */
    uint8_t used_by[KEY_SIZE];
};

/* A peer's first registration and the invite that it used up: both are stored, or neither is. */
struct row_join {
    struct row_peer peer;
    struct row_invite invite;
};

/* An invite that nobody used, taken back. */
struct row_revoke {
    uint8_t token_hash[32];
};

/* Who is allowed, and who is banned. */
enum access_verdict { ACCESS_ALLOWED = 1, ACCESS_BANNED = 2 };
struct row_access {
    enum access_verdict verdict;
    bool removed; /* the entry is taken back */
    struct access_subject subject;
    stamp created, expires; /* expires 0: never */
    char reason[ACCESS_REASON_SIZE];
};

/* A registered peer's name, given by the operator; "": it has none any more. */
struct row_name {
    uint8_t key[KEY_SIZE];
    char name[PEER_NAME_SIZE];
};

/* A registered peer that may not come back by that alone. */
struct row_leave {
    uint8_t key[KEY_SIZE];
};

/* Invites and access entries that expire up to this moment go. */
struct row_expire {
    stamp now;
};
/* So long after their use, used invites stay to tell who came by which. */
#define STORE_INVITE_HISTORY ((stamp)90 * 86400 * 1000000)

enum row_kind {
    ROW_PEER,
    ROW_PROFILE,
    ROW_OBSERVATION,
    ROW_SESSION,
    ROW_INVITE,
    ROW_JOIN,
    ROW_REVOKE,
    ROW_ACCESS,
    ROW_NAME,
    ROW_LEAVE,
    ROW_EXPIRE
};

struct row {
    enum row_kind kind;
    union {
        struct row_peer peer;
        struct row_profile profile;
        struct row_observation observation;
        struct row_session session;
        struct row_invite invite;
        struct row_join join;
        struct row_revoke revoke;
        struct row_access access;
        struct row_name name;
        struct row_leave leave;
        struct row_expire expire;
    };
};

/*
 * Opens or creates `path`, migrates it to the current schema, marks sessions that were in flight as
 * REASON_ABORTED, and starts the threads. Blocks; called before the loop runs. `wake` is called
 * from the threads whenever store_committed() or store_next_answer() have news; it must be
 * async-safe for threads (ev_async_send is). NULL with a sentence in err on failure.
 */
struct store *store_open(const char *path, void (*wake)(void *user), void *user, char *err,
                         size_t err_size);

/* Everything that the loop keeps in memory, read before it runs. Each callback may be NULL. Returns
 * 0, or -1 with err. */
struct store_loader {
    void (*peer)(void *user, const struct row_peer *row);
    void (*profile)(void *user, const struct row_profile *row);
    void (*invite)(void *user, const struct row_invite *row);
    void (*access)(void *user, const struct row_access *row);
    void *user;
};
int store_load(struct store *s, const struct store_loader *loader, char *err, size_t err_size);

/* Rows that may wait to be written. */
#define STORE_QUEUE_ROWS 65536

/*
 * Queues a row. Returns its sequence number (counting from 1), or 0 when there is no room for it:
 * the caller slows intake with BUSY and tries again, or gives the row up and says so to
 * store_lose(). Nothing queued is ever dropped. Never blocks on the disk. Rows take only the room
 * they need in the queue.
 *
 * In trouble (store_degraded) the queue is kept for outcomes of sessions: what can be learnt again
 * and the starts of sessions are taken only while three quarters of it are free.
 */
uint64_t store_put(struct store *s, const struct row *row);
/* Counts a row that was given up. Once the disk is back, a row of the table `gaps` tells of it. */
void store_lose(struct store *s, const struct row *row);

/* All rows up to this number are on disk (or could not be written: see store_health). Called on the
 * loop. */
uint64_t store_committed(struct store *s);
/* The number of the last row that was taken. */
uint64_t store_last(struct store *s);
/* Rows queued and not yet committed. */
uint64_t store_pending(struct store *s);
/*
 * Whether a new session may be taken on: its outcome will certainly fit. True in trouble as well:
 * introducing peers goes before remembering it.
 */
bool store_has_room(struct store *s);
/*
 * Whether the disk is in trouble: the last commit failed and is tried again, or one has not come
 * back for STORE_HANG. Whatever may be acknowledged only once it is stored is to be refused then.
 */
bool store_degraded(struct store *s);
#define STORE_HANG (5 * TICK_S)

struct store_health {
    bool degraded;   /* see store_degraded() */
    char error[160]; /* why */
    uint64_t commits, rows;
    uint64_t dropped; /* rows that broke a rule of the schema and were left out (and logged); never
                         sessions */
    uint64_t lost_sessions, lost_others; /* given up for want of room, since the start */
    uint64_t removed;                    /* rows that were too old, or too many, since the start */
    uint64_t bytes, free_bytes;          /* of the file; free: will be used again */
    const char *job;                     /* "check-store" or "backup" while one is under way */
    unsigned job_done, job_total;        /* pages */
    tick commit_last, commit_worst;      /* durations */
    struct histogram commit;             /* of every commit that succeeded */
};
void store_health(struct store *s, struct store_health *out);

/*
 * How long finished sessions, observations and NAT profiles are kept (0: for ever), and how many
 * sessions (0: any number). The writer removes what is beyond that, the oldest first, in small
 * slices between commits. Sessions under way, peers, names, invites and access entries stay. May be
 * called at any time; until then, everything is kept.
 */
struct store_retention {
    stamp sessions, observations, nats;
    uint64_t session_rows;
};
void store_retain(struct store *s, const struct store_retention *wish);

/*
 * Queries for people: answered by the reader thread as JSON text. `ticket` comes back with the
 * answer. Returns 0, or -1 when too many queries wait.
 */
#define STORE_NAME_SIZE 129
struct store_query {
    enum {
        QUERY_SESSIONS,
        QUERY_SESSION,
        QUERY_STATS, /* sessions counted by reason, family and NATs */
        QUERY_PEERS,
        QUERY_NATS,
        QUERY_OBSERVATIONS,
        QUERY_INVITES,
        QUERY_CHECK,
        QUERY_BACKUP
    } what;
    uint64_t ticket;
    bool failed_only, active_only, connected_only;
    bool by_reason; /* only those that ended for `reason` */
    uint8_t reason;
    uint8_t mapping, allocation;               /* of NATs; unknown: any */
    stamp since, until;                        /* 0: open */
    char peer[KEY_TEXT_SIZE + PEER_NAME_SIZE]; /* key or name, or "" */
    char address[ENDPOINT_TEXT_SIZE];          /* of a NAT, or that peers were seen at; or "" */
    char session[2 * MSG_ID_SIZE +
                 1];            /* QUERY_SESSION: its id in hexadecimal, or the beginning of it */
    uint32_t limit;             /* rows at most, newest first */
    bool quick;                 /* QUERY_CHECK: leave out what takes longest */
    bool force;                 /* QUERY_BACKUP: replace one of the same name */
    char name[STORE_NAME_SIZE]; /* QUERY_BACKUP: of the file, "" for one made of the time */
};
int store_ask(struct store *s, const struct store_query *query);
/* Interrupts the check or the backup that was asked for by this ticket, if it still runs. */
void store_cancel(struct store *s, uint64_t ticket);
/* Whether a backup may have this name. */
bool store_backup_name(const char *name);
/* Returns 1 and an answer (malloc'ed JSON, an object, now the caller's), 0 if there is none yet.
 * Called on the loop. */
int store_next_answer(struct store *s, uint64_t *ticket, char **json);

/* Commits everything queued, ends the threads, closes. Blocks. */
void store_close(struct store *s);

#endif
