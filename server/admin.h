/* SPDX-License-Identifier: ISC */
#ifndef TRYST_ADMIN_H
#define TRYST_ADMIN_H

#include <ev.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "proto/endpoint.h"
#include "proto/key.h"
#include "proto/nat.h"
#include "store.h"

/*
 * The admin socket: one JSON object per line each way. It looks at the daemon only through `struct
 * admin_source`: views by value, and the few commands that change something.
 */

/* Requests under way at once, one of each client. */
#define ADMIN_CLIENTS_MAX 32

struct view_status {
    char version[32];
    char url[SERVER_URL_SIZE];
    char listen[512]; /* endpoints, separated by ", " */
    stamp started;
    uint64_t peers, peers_listening, peers_known;
    uint64_t sessions_active, sessions_total, sessions_ok, sessions_failed;
    bool old_key; /* the server's former key is accepted too */
    uint64_t connections, connections_total, handshakes_total, handshakes_failed,
        handshakes_old_key, handshakes_waiting;
    uint64_t observations_total, observations_refused;
    uint64_t nats;
    uint64_t store_pending, store_rows;
    uint64_t limit_hits;
    uint64_t allowed, banned, invites;                 /* entries */
    uint64_t banned_connections, banned_registrations; /* turned away */
    char registration[16];
    char restart_needed[512]; /* changed options that wait for it, separated by ", " */
    char warning[256];        /* e.g. "all peers come from one private address", or "" */
    char store_error[160];
    int64_t loop_lag_worst_us;
    uint64_t memory_bytes; /* peers, sessions and NAT tables */
};

struct view_peer {
    uint8_t key[KEY_SIZE];
    char name[PEER_NAME_SIZE];
    char agent[MSG_TEXT_SIZE];
    struct endpoint observed, local;
    stamp since;
    bool listening;
    bool surveyed;
    struct nat_summary nat; /* of its public address (IPv4 first) */
    int64_t rtt_us;         /* -1: not measured */
    int64_t clock_bound_us;
    uint32_t sessions; /* active now */
};

struct view_session { /* active ones */
    uint8_t id[MSG_ID_SIZE];
    uint8_t requester[KEY_SIZE], target[KEY_SIZE];
    char requester_name[PEER_NAME_SIZE], target_name[PEER_NAME_SIZE];
    char state[16];
    stamp started;
    uint8_t round;
    double chance; /* -1: no plan yet */
};

struct view_nat {
    struct endpoint address;
    struct nat_summary nat;
    stamp learnt;   /* 0: never */
    uint32_t peers; /* connected now */
    uint32_t hits, misses;
};

struct view_option { /* of the configuration; values as they stand in a file */
    const char *name;
    char value[CONF_VALUE_SIZE], standard[CONF_VALUE_SIZE];
    char set[CONF_WHERE_SIZE];
    char pending[CONF_VALUE_SIZE]; /* what a restart would make of it, or "" */
    bool restart;                  /* a new value needs one */
};

struct view_limit {
    const char *name, *option, *help; /* option: "" where the limit is fixed */
    uint64_t used, most;
    bool used_known, most_known; /* many addresses or keys have a limit each: none is named here */
    uint64_t hits;
    stamp last; /* hit; 0: never */
};

/* One entry of the lists of who is allowed and who is banned. */
struct view_access {
    struct access_subject subject;
    char name[PEER_NAME_SIZE]; /* of the peer with that key, or "" */
    stamp created, expires;    /* expires 0: never */
    char reason[ACCESS_REASON_SIZE];
};

struct view_name {
    char name[PEER_NAME_SIZE]; /* "": this peer has none */
    uint8_t key[KEY_SIZE];
    stamp last_seen;
    bool online;
};

/* What an operator decides about somebody, and what comes of it. */
struct admin_decision {
    const char *subject; /* key or name; for a ban also an address or a prefix */
    int64_t ttl_seconds; /* 0: for good */
    const char *reason;
    bool kick;  /* deny: disconnect it, too */
    bool force; /* ban: however many that are */
    /* Filled in: */
    struct view_access entry;
    uint32_t closed; /* channels */
    char note[256];  /* what else there is to know, or "" */
};

/* The same about a name. */
struct admin_naming {
    const char *name;
    const char *to; /* key or name of the peer that gets it; a release has none */
    /* Filled in: */
    uint8_t from[KEY_SIZE], key[KEY_SIZE];
    char lost[PEER_NAME_SIZE]; /* the name that the new holder had before, or "" */
    bool connected;            /* the former holder is */
};

/*
 * Views walk by index, upwards from 0: false ends the walk. A long walk goes on over several
 * wake-ups of the loop: rows that come or go meanwhile may be left out or seen twice.
 */
struct admin_source {
    void *user;
    void (*status)(void *user, struct view_status *out);
    bool (*peer)(void *user, size_t index, struct view_peer *out);
    bool (*session)(void *user, size_t index, struct view_session *out);
    bool (*nat)(void *user, size_t index, struct view_nat *out);
    bool (*allowed)(void *user, size_t index, struct view_access *out);
    bool (*banned)(void *user, size_t index, struct view_access *out);
    bool (*open_invite)(void *user, size_t index, struct row_invite *out);
    bool (*named)(void *user, size_t index, struct view_name *out);
    /* All metrics as text, ended by a zero byte; returns its length, or 0 when it does not fit. */
    size_t (*metrics)(void *user, char *out, size_t size);
    bool (*option)(void *user, size_t index, struct view_option *out);
    bool (*limit)(void *user, size_t index, struct view_limit *out);
    /* Somebody was turned away from the admin socket: there are ADMIN_CLIENTS_MAX. */
    void (*client_refused)(void *user);
    /* Commands: 0, or -1 with a sentence in err. */
    int (*invite)(void *user, const char *name, int64_t ttl_seconds, char url[SERVER_URL_SIZE + 64],
                  char *err, size_t size);
    int (*revoke)(void *user, const char *id, struct row_invite *out, char *err, size_t size);
    int (*allow)(void *user, struct admin_decision *decision, char *err, size_t size);
    int (*deny)(void *user, struct admin_decision *decision, char *err, size_t size);
    int (*ban)(void *user, struct admin_decision *decision, char *err, size_t size);
    int (*unban)(void *user, struct admin_decision *decision, char *err, size_t size);
    int (*name_release)(void *user, struct admin_naming *naming, char *err, size_t size);
    int (*name_transfer)(void *user, struct admin_naming *naming, char *err, size_t size);
    int (*kick)(void *user, const char *key_or_name, char *err, size_t size);
    /* 0: the answer comes by admin_answers(). */
    int (*reload)(void *user, uint64_t ticket, char *err, size_t size);
    /* `seconds` < 0: as configured; `to`: a server URL, or "". */
    int (*drain)(void *user, int64_t seconds, const char *to, char *err, size_t size);
};

struct admin;

/*
 * Listens on `path` (mode 0660), or on `handed_fd` where that is >= 0 (socket activation). A stale
 * socket file is removed, a live one is an error. NULL with err on failure.
 */
struct admin *admin_open(struct ev_loop *loop, const char *path, int handed_fd, struct store *store,
                         const struct admin_source *source, char *err, size_t err_size);
/*
 * Who besides root and the daemon's user may administer (none: the group of the socket file), and
 * who may only look (none: nobody): groups by name or number, or "". Looks names up, so it belongs
 * to the start. 0, or -1 with a sentence in err.
 */
int admin_set_groups(struct admin *admin, const char *operators, const char *readers, char *err,
                     size_t err_size);
/* Hands an answer that has come later, from the store or a reload, to whoever waits for it. */
void admin_answers(struct admin *admin, uint64_t ticket, char *json);
/* To be called likewise: answers those whose change is stored by now, or cannot be. */
void admin_committed(struct admin *admin);
/*
 * A live event for whoever watches: a kind from event.def, and its members (the reference is taken;
 * peers are {"key", "name"} objects called peer, requester or target, by which watchers filter).
 * Never blocks. Ask admin_watched() first: nobody watches most of the time, and then members need
 * not be made. `admin` may be NULL.
 */
bool admin_watched(const struct admin *admin);
void admin_publish(struct admin *admin, const char *kind, json_t *members);
void admin_close(struct admin *admin);

#endif
