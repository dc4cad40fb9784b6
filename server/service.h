/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_SERVICE_H
#define TRYST_SERVICE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/endpoint.h"

/*
 * What the service manager is told (sd_notify(3)) and what it hands over (sd_listen_fds(3)):
 * systemd, or whatever else speaks its protocol. Without a manager none of this does anything, and
 * a NULL service is one without.
 */

#define SERVICE_STATUS_SIZE 512

/* A listening socket that the manager holds, and keeps while the daemon restarts. */
struct service_descriptor {
    int fd;
    bool taken;
    char name[64];         /* FileDescriptorName= of the unit */
    char where[128];       /* for people */
    struct endpoint local; /* none: a Unix socket */
};

struct service {
    struct service_descriptor *handed;
    unsigned handed_count;
    struct ev_loop *loop; /* NULL: service_watch() has nothing to do */
    struct ev_timer watchdog, refresh;
    /* Writes what the daemon does, in a line. */
    void (*describe)(void *user, char text[SERVICE_STATUS_SIZE]);
    void *user;
    char status[SERVICE_STATUS_SIZE]; /* as told last */
};

/*
 * Takes over the manager's sockets, and clears the environment of them. Returns 0, or -1 with a
 * sentence in err, when one is no listening stream socket or not of the family that its name says.
 */
int service_open(struct service *s, char *err, size_t err_size);
/* The socket that listens on exactly this endpoint; -1: none, the caller opens one. */
int service_take_listener(struct service *s, const struct endpoint *at);
/* The socket of this name, "admin" (a Unix socket) or "metrics"; -1: none. */
int service_take_named(struct service *s, const char *name);
/* 0 when every socket has found its use, else -1 with a sentence in err; `wanted` says what would
 * have been right. */
int service_all_taken(const struct service *s, const char *wanted, char *err, size_t err_size);
/* Closes the sockets that were not taken, and stops the timers: before the loop goes. May be called
 * again. */
void service_close(struct service *s);

/*
 * Feeds the manager's watchdog from this loop, so that it starves when the loop is stuck, and
 * refreshes the status now and then.
 */
void service_watch(struct service *s, struct ev_loop *loop,
                   void (*describe)(void *user, char text[SERVICE_STATUS_SIZE]), void *user);

/* The daemon serves: after its start, and after a reload, whatever came of it. */
void service_ready(struct service *s);
/* A reload begins; service_ready() ends it. */
void service_reloading(struct service *s);
/* The end begins, and may take so many seconds. */
void service_stopping(struct service *s, double seconds);
/* The start failed; `error` is an errno value, or 0. */
void service_failed(struct service *s, int error, const char *why);
/* Refreshes the status text. */
void service_status(struct service *s);

#endif
