/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CLI_EXEC_H
#define TRYST_CLI_EXEC_H

#include <sys/types.h>

#include "client-stub/cli_end.h"

/*
 * Commands that serve a session each: /bin/sh -c COMMAND, in a process group of its own, with the
 * session as standard input and output.
 */
struct exec_session {
    const char *peer_key;  /* TRYST_PEER_KEY, base64 */
    const char *peer_name; /* TRYST_PEER_NAME, may be "" */
    const char *id;        /* TRYST_SESSION, hexadecimal */
};

/* Starts one; `end` gets this side of its pipes. Returns its process id, or -1 with errno. */
pid_t cli_exec_start(const char *command, const struct exec_session *session,
                     struct relay_end *end);
/* The session is gone: tell the command and what it started. */
void cli_exec_hang_up(pid_t pid);
/* Collects those that have ended. */
void cli_exec_reap(void);
/* Ends all that still run, by force if they do not end soon, and collects them. */
void cli_exec_end_all(void);

/* Descriptors for many sessions at once; commands get the limit as it was. */
void cli_exec_raise_limit(void);

#endif
