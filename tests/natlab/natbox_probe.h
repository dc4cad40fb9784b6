/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* What the files of natbox_probe share; the statements are in natbox_probe.c. */
#ifndef NATBOX_PROBE_H
#define NATBOX_PROBE_H

#include <stdint.h>
#include <sys/socket.h>

/* Far beyond anything that a working NAT needs; only failures wait so long. */
#define NATBOX_PROBE_PATIENCE_MS 5000

struct natbox_probe_socket {
    char name[72];
    int fd;
    int64_t started, took; /* connecting, in microseconds */
};

/* Print what went wrong about what, and exit with 1. */
_Noreturn void natbox_probe_die(const char *what, const char *about);

/* The whole of the text as a number, or exit. */
long natbox_probe_number(const char *text);
int64_t natbox_probe_now(void);
void natbox_probe_enter(const char *ns);
struct natbox_probe_socket *natbox_probe_find(const char *name);
int natbox_probe_poll(int fd, short events, int ms);

/* "1.2.3.4:5" or "[::1]:5" */
socklen_t natbox_probe_endpoint(const char *text, struct sockaddr_storage *ss);

/* Non-blocking, bound, and shared with others that bind the same. */
int natbox_probe_socket(const char *ns, const char *local, int type);

void natbox_probe_flow(char **w);
void natbox_probe_datagrams(char **w);
void natbox_probe_raw(char **w);
void natbox_probe_flood(char **w);
void natbox_probe_checksums(char **w);

#endif
