/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CLI_SESSION_H
#define TRYST_CLI_SESSION_H

#include <stdbool.h>

#include "client-stub/cli.h"
#include "client-stub/tryst.h"

/* What connect, listen and join have in common: a context made of options and files, and words for
 * its troubles. */

/* Loads key and server URL and makes a context of them. NULL: said why; the exit status is
 * CLI_USAGE. */
struct tryst_context *cli_session_context(struct cli *cli);
/* A context for a server that is not stored yet. */
struct tryst_context *cli_session_context_at(struct cli *cli, const char *url);

/* The exit status for a reason code of either sign. */
int cli_session_status(int reason);
/* "tryst: WHO: what happened (detail)" and what to do about it; who and detail may be NULL. Returns
 * the exit status. */
int cli_session_failed(const char *who, int reason, const char *detail);

/* Who a peer argument means: a key, or a name in lower case. */
struct session_peer {
    bool is_key;
    uint8_t key[KEY_SIZE];
    char text[PEER_NAME_SIZE]; /* the name, or the key as standard base64 */
};
/* 0, or -1 when it is neither. */
int cli_session_peer(const char *text, struct session_peer *out);

/* "NAME (KEY)", or the key alone. */
void cli_session_who(const struct tryst_report *report, char *out, size_t size);
/* The server of the URL as host:port. */
const char *cli_session_server_name(const char *url, char *out, size_t size);

/* The file of --report, one JSON object per line and session. */
int cli_session_report_open(const char *path, int *fd);
void cli_session_report_write(int fd, const struct tryst_report *report);

#endif
