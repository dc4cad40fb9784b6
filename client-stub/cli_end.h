/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CLI_END_H
#define TRYST_CLI_END_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The near end of a relay: standard input and output, a socket, or the pipes of a child. */
enum end_way {
    END_SOCKET, /* non-blocking per call, whatever its mode */
    END_FREELY, /* never blocks: a regular file, or in non-blocking mode */
    END_GUARDED /* may block: one read, or one short write, per poll() */
};

/* Where bytes come from and go to here. For one socket, both are the same descriptor. */
struct relay_end {
    int in, out;
    enum end_way in_way, out_way;
    bool may_stop; /* when nobody reads `out` any more, `in` still counts */
};

/*
 * Takes standard input and output away from the process (both become /dev/null) without changing
 * the mode of the terminal or pipe behind them, which other processes share. Returns 0, or -1 with
 * errno.
 */
int cli_end_stdio(struct relay_end *end);
struct relay_end cli_end_socket(int fd);
/* Two descriptors that belong to this process alone, such as its ends of two pipes. */
struct relay_end cli_end_pipes(int in, int out);
void cli_end_close(struct relay_end *end);

/* As read() and write(), without blocking; a guarded descriptor only after poll() has allowed it.
 */
ssize_t cli_end_read(const struct relay_end *end, void *buf, size_t len);
ssize_t cli_end_write(const struct relay_end *end, const void *buf, size_t len);
/* No more will be written: whoever reads sees the end. */
void cli_end_shut(struct relay_end *end);
/* Sends each write at once. Harmless on what is no TCP socket. */
void cli_end_no_delay(int fd);

#endif
