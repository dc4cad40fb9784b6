/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_ADMIN_INTERNAL_H
#define TRYST_ADMIN_INTERNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "admin.h"
#include "admin_spec.h"

/* Shared by admin.c (clients and lines), admin_answer.c, admin_command.c (requests), the commands
 * by subject (admin_list.c, admin_access.c, ...) and admin_view.c (values to JSON). */

#define ADMIN_CLIENTS ADMIN_CLIENTS_MAX

struct admin_client;

/*
 * A list on its way to a client, made row by row while the client takes it: neither its length nor
 * a slow reader can hold up the loop or fill the memory.
 */
struct admin_walk {
    /* The row at index; NULL with *end set after the last one, NULL without it for a row to skip.
     */
    json_t *(*row)(struct admin_client *c, size_t index, bool *end);
    /* Called at the end instead of closing the answer, when not NULL. */
    void (*then)(struct admin_client *c);
    const char *name; /* of the list in the answer */
    size_t index;
    uint64_t left; /* rows that may still be sent */
    uint64_t sent;
};

/* What rows must match. */
struct admin_filter {
    bool any_peer; /* no peer was asked for */
    bool by_key;
    uint8_t key[KEY_SIZE];
    char name[PEER_NAME_SIZE];
    struct endpoint address;
    char option[64];
    bool changed;       /* options that differ from their defaults */
    stamp since, until; /* 0: open */
    bool listening;
    uint8_t mapping, allocation; /* unknown: any */
    bool by_subject;             /* of access entries */
    struct access_subject subject;
};

/* What somebody may do, by the groups that he is in. */
enum admin_standing { ADMIN_STRANGER, ADMIN_READER, ADMIN_OPERATOR };

struct admin_group {
    bool there;
    gid_t gid;
    char name[64]; /* as configured */
};

/* What a watcher has asked for; the peer stands in the client's filter. */
struct admin_watch {
    bool on;
    char kind[32];
    uint64_t lost; /* events that it was too slow for and does not know of yet */
};

struct admin_buffer {
    char *bytes;
    size_t len, sent, size;
};

struct admin_client {
    struct admin *admin;
    int fd; /* -1: free */
    uid_t uid;
    enum admin_standing standing;
    pid_t pid;
    ev_io read, write;
    ev_idle work; /* while there is something to make */
    ev_timer patience;
    char *in;
    size_t in_len;
    bool ending; /* no more requests: close when everything is out */
    struct admin_buffer out;
    struct admin_walk walk;
    struct admin_filter filter;
    struct admin_watch watch;
    uint64_t ticket; /* of the query whose answer is awaited; 0: none */
    char *head; /* members that go before those of that answer, with a comma at the end; or NULL */
    json_t *held;                /* the answer to a change, until that is stored; or NULL */
    uint64_t commit;             /* the row that it waits for */
    bool head_rows;              /* whether they say something */
    struct store_query fallback; /* what to ask the store if the walk finds nothing */
};

struct admin {
    struct ev_loop *loop;
    struct store *store;
    struct admin_source source;
    ev_io accept;
    ev_timer pause; /* of accepting */
    int fd;
    char path[108];
    bool own_path; /* we made the socket file */
    struct admin_group operators, readers;
    dev_t dev;
    ino_t ino;
    uint64_t tickets;
    unsigned watchers;
    struct admin_client clients[ADMIN_CLIENTS];
};

#define ADMIN_TEXT_OF(n)     #n
#define ADMIN_TEXT_NUMBER(n) ADMIN_TEXT_OF(n)
/* How every answer begins. */
#define ADMIN_ANSWER_BEGIN "{\"schema\":" ADMIN_TEXT_NUMBER(ADMIN_SCHEMA) ","
/* While this much waits to be taken, no more of a list is made. */
#define ADMIN_OUT_ENOUGH ((size_t)128 << 10)

/* --- admin.c --- */

void admin_drop(struct admin_client *c);

/* --- admin_answer.c --- */

/* Ends a request. admin_reply adds "schema" and "ok", and takes the reference. */
void admin_reply(struct admin_client *c, json_t *members);
/* The same for a change: not before it is stored, with "stored" in the answer; false if the store
 * cannot write at present, and the change will be stored when it can. */
void admin_reply_stored(struct admin_client *c, json_t *members);
/* Answers now if that is possible by now. */
void admin_held(struct admin_client *c);
void admin_refuse(struct admin_client *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A line of its own, its end included. The client may be gone afterwards. */
void admin_put(struct admin_client *c, const char *text);
/* Goes on with a list (c->walk). */
void admin_walk(struct admin_client *c);
/* Goes on with a query's answer; refuses the request if too many wait. */
void admin_ask(struct admin_client *c, const struct store_query *query);
/* A few more rows of the list under way. */
void admin_walk_slice(struct admin_client *c);
/* The store's answer, whatever was to go before it included. */
void admin_put_stored(struct admin_client *c, const char *json);
/* Bytes that the client has not taken yet. */
size_t admin_waiting(const struct admin_client *c);
/* Sends them, as far as the client takes them; it may be gone afterwards. */
void admin_flush(struct admin_client *c);

/* --- admin_command.c --- */

/* One line, without its end. It is modified. */
void admin_request(struct admin_client *c, char *line);

/* Arguments of a request: checked against admin.def already, "" or a default where there is none.
 */
const char *admin_text_arg(const json_t *args, const char *name);
uint32_t admin_limit_arg(const json_t *args);
bool admin_flag_arg(const json_t *args, const char *name);
/* 0 with *out at 0 for an argument that is not there; -1 after a refusal. */
int admin_moment_arg(struct admin_client *c, const json_t *args, const char *name, stamp *out);
/* Whether the client may change something; refuses it if not. For the commands that only do so with
 * an argument: the others are marked in admin.def. */
bool admin_may_change(struct admin_client *c, const char *what);
/* Sets the client's filter to a key, a name, or with "" to any peer; -1 after a refusal. */
int admin_peer_filter(struct admin_client *c, const char *peer);
stamp admin_wall_clock(void);
/* The same for an address; none for one that is not there. */
int admin_address_arg(struct admin_client *c, const json_t *args, const char *name,
                      struct endpoint *out);
/* Who changes something is worth a line in the log. */
void admin_note(const struct admin_client *c, const char *what, const char *whom);

/* The commands. Each answers, or sees to it that an answer comes. */
void admin_run_status(struct admin_client *c, const json_t *args);
void admin_run_metrics(struct admin_client *c, const json_t *args);
void admin_run_url(struct admin_client *c, const json_t *args);
void admin_run_log_level(struct admin_client *c, const json_t *args);
void admin_run_drain(struct admin_client *c, const json_t *args);
void admin_run_help(struct admin_client *c, const json_t *args);

/* --- admin_list.c --- */

void admin_run_peers(struct admin_client *c, const json_t *args);
void admin_run_sessions(struct admin_client *c, const json_t *args);
void admin_run_session(struct admin_client *c, const json_t *args);
void admin_run_nats(struct admin_client *c, const json_t *args);
void admin_run_stats(struct admin_client *c, const json_t *args);

/* --- admin_access.c --- */

void admin_run_invite(struct admin_client *c, const json_t *args);
void admin_run_invites(struct admin_client *c, const json_t *args);
void admin_run_revoke(struct admin_client *c, const json_t *args);
void admin_run_access(struct admin_client *c, const json_t *args);
void admin_run_ban(struct admin_client *c, const json_t *args);
void admin_run_unban(struct admin_client *c, const json_t *args);
void admin_run_bans(struct admin_client *c, const json_t *args);
void admin_run_names(struct admin_client *c, const json_t *args);
void admin_run_name(struct admin_client *c, const json_t *args);
void admin_run_allow(struct admin_client *c, const json_t *args);
void admin_run_deny(struct admin_client *c, const json_t *args);
void admin_run_kick(struct admin_client *c, const json_t *args);

/* --- admin_store.c --- */

void admin_run_check_store(struct admin_client *c, const json_t *args);
void admin_run_backup(struct admin_client *c, const json_t *args);

/* --- admin_watch.c --- */

void admin_run_watch(struct admin_client *c, const json_t *args);
/* All that waited for the watcher is out. */
void admin_watch_drained(struct admin_client *c);
void admin_watch_end(struct admin_client *c);
bool admin_watch_gone(const struct admin_client *c);

/* --- admin_conf.c --- */

void admin_run_config(struct admin_client *c, const json_t *args);
void admin_run_reload(struct admin_client *c, const json_t *args);

/* --- admin_limit.c --- */

void admin_run_limits(struct admin_client *c, const json_t *args);

/* --- admin_view.c --- */

json_t *admin_view_status(const struct view_status *v, const struct store_health *health);
json_t *admin_view_peer(const struct view_peer *v);
json_t *admin_view_session(const struct view_session *v);
json_t *admin_view_nat(const struct view_nat *v);

#endif
