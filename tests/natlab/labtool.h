/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef LABTOOL_H
#define LABTOOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Plain sockets for the laboratory: traffic that can be checked byte by byte, servers and clients
 * that behave badly on purpose, and probes that show what a NAT does. Commands return an exit
 * status; what goes wrong they say on stderr.
 */
typedef int command_fn(int argc, char **argv);

/* Streams: byte k of stream `seed` is a function of both, so either end can make or check it. */
command_fn cmd_send, cmd_check;
/* Servers. Each prints "ready" when it listens, and runs until it is ended. */
command_fn cmd_echo, cmd_tell, cmd_answer;
/* Clients. */
command_fn cmd_exchange, cmd_ask, cmd_knock, cmd_meet, cmd_idle, cmd_garbage;

void stream_fill(uint64_t seed, uint64_t offset, uint8_t *out, size_t len);
/* How many bytes from the start of buf are those of the stream. */
size_t stream_match(uint64_t seed, uint64_t offset, const uint8_t *buf, size_t len);

/* All of these report on stderr and return -1 on failure. */
int parse_number(const char *text, uint64_t most, uint64_t *out);
int net_listen(const char *address, const char *port);
/* A non-blocking connect from `local_port` (0: any); the descriptor may still be connecting. */
int net_connect(const char *address, const char *port, unsigned local_port);
/* How a non-blocking connect ended: 0 or an errno. */
int net_error(int fd);
int write_all(int fd, const void *buf, size_t len);
int64_t clock_ms(void);

#endif
