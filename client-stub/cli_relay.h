/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CLI_RELAY_H
#define TRYST_CLI_RELAY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client-stub/cli_end.h"

struct tryst_record;

/*
 * Pumps bytes between a proven connection ("net") and something here ("local": standard input and
 * output, a socket, the pipes of a child), both ways, as nc does. Each direction has one bounded
 * buffer and ends by itself: the end of local input becomes an empty record (without the record
 * layer: a FIN), and the other way round.
 *
 * A relay is a value of the caller's poll loop: it says what it waits for, and is told what
 * happened. It never blocks, unless a descriptor of local can only be used in blocking mode; then
 * it writes no more than a pipe always takes.
 */
struct relay;

enum relay_result {
    RELAY_RUNNING,
    RELAY_DONE,   /* both directions have ended */
    RELAY_LOST,   /* the connection ended or failed before the peer's data did */
    RELAY_FORGED, /* a record was not genuine; nothing of it went on */
    RELAY_LOCAL   /* reading or writing here failed */
};

/* Takes over net (non-blocking), record (NULL: the bytes travel plain) and the descriptors of
 * local. NULL without memory. */
struct relay *cli_relay_new(int net, struct tryst_record *record, const struct relay_end *local);

#define RELAY_FDS 3
/* Fills in what to poll for. Entries that do not matter now have fd -1. */
void cli_relay_pollfds(const struct relay *r, struct pollfd fds[RELAY_FDS]);
/* Moves what can be moved, for well under a millisecond. */
enum relay_result cli_relay_step(struct relay *r, const struct pollfd fds[RELAY_FDS]);
/* Whether the last step left work that needs no poll(): step again soon. */
bool cli_relay_more(const struct relay *r);

/* What went wrong, in words. */
const char *cli_relay_error(const struct relay *r);
/* Whether the local error was just that the reader has gone, as `head` does. */
bool cli_relay_reader_gone(const struct relay *r);
uint64_t cli_relay_sent(const struct relay *r);
uint64_t cli_relay_received(const struct relay *r);

/* Closes everything. A relay that is not done is reset, so that the peer cannot take its end for a
 * good one. NULL is fine. */
void cli_relay_free(struct relay *r);

#endif
