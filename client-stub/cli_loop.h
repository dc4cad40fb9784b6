/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CLI_LOOP_H
#define TRYST_CLI_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client-stub/cli_dial.h"
#include "client-stub/cli_relay.h"
#include "client-stub/tryst.h"

/*
 * The one poll() loop of connect and listen: the library's descriptor, signals, a local listening
 * socket, and the links. The context comes first in every turn, for a punch will not wait.
 */

/* A proven connection and what it is joined to here. */
struct link {
    struct link *next;
    struct relay *relay; /* NULL while the local side is being dialled */
    char who[128];       /* for messages */
    pid_t child;         /* of --exec, or 0 */

    size_t polled; /* where its descriptors are in this turn's list; 0: it came later */

    struct dial dial;
    int64_t dial_until;
    int net;
    struct tryst_record *record;
};

struct loop;
struct loop_ops {
    void (*event)(struct loop *loop, struct tryst_event *ev); /* freed by the loop */
    void (*stopped)(struct loop *loop, int reason); /* the context is over; it is freed next */
    void (*accepted)(struct loop *loop, int fd);    /* a local connection, to listen_fd */
    void (*ended)(struct loop *loop, struct link *link, enum relay_result result, const char *why);
    void (*due)(struct loop *loop); /* `due` has come; it was reset to LOOP_NEVER */
    void (*interrupted)(struct loop *loop, int signal_number);
};

#define LOOP_NEVER INT64_MAX

struct loop {
    const struct loop_ops *ops;
    void *user;
    struct tryst_context *ctx; /* owned; may be NULL */
    int listen_fd;             /* owned; -1: none */
    int64_t due;               /* milliseconds, as cli_loop_now() */
    struct link *links;
    size_t link_count;
    bool stopping; /* the context is over; its last events are being delivered */
    bool poked;    /* the context was called and may have work */
    bool done;
    int status;
};

int64_t cli_loop_now(void);
/* Takes over ctx. Installs the signal handlers. Returns 0 or -1 with errno. */
int cli_loop_init(struct loop *loop, const struct loop_ops *ops, void *user,
                  struct tryst_context *ctx);
/* Until cli_loop_stop(). Returns the status given there. */
int cli_loop_run(struct loop *loop);
void cli_loop_stop(struct loop *loop, int status);
/* Waits, before cli_loop_run(). True: a signal came, and ops->interrupted has dealt with it. */
bool cli_loop_pause(struct loop *loop, int ms);
/* After a call that gave the context something to do. */
void cli_loop_poke(struct loop *loop);
/* Ends the control channel, but not the links. */
void cli_loop_release(struct loop *loop);
void cli_loop_free(struct loop *loop);

/* Each takes over net and record (and end), also when it fails: then the link ends at once, through
 * ops->ended. */
void cli_loop_link(struct loop *loop, const char *who, int net, struct tryst_record *record,
                   const struct relay_end *end, pid_t child);
/* Connects to one of the addresses first. */
void cli_loop_link_dial(struct loop *loop, const char *who, int net, struct tryst_record *record,
                        const struct addrinfo *list);

#endif
