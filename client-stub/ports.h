/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PORTS_H
#define TRYST_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "client-stub/watch.h"
#include "proto/endpoint.h"

struct tryst_context;
struct ports;

#define PORTS_MAX 2048 /* of one family: three rounds of 512, and the anchors */
/* That many listen: three rounds of 64. Beyond, a port keeps no socket of its own while one dials
 * from it. */
#define PORTS_LISTENING_MAX 192

/* A local port, reserved by a socket bound to it from which nothing is sent: the holder. */
struct port {
    struct ports *owner;
    struct watch watch; /* of the holder, while it listens */
    int fd;             /* the holder; -1 while lent */
    uint16_t number;
    uint16_t port;
};

/*
 * The numbered sockets of one survey or session (msg.h). Numbers may be far apart; SOCKET_CONTROL
 * is the control channel's own port. A connection is made by a further socket bound to the same
 * port.
 */
struct ports {
    struct tryst_context *ctx;
    struct port **at[2]; /* in order of their numbers; family 4, family 6 */
    unsigned count[2];
    unsigned size[2];
    unsigned listening;
    /* Something connected to a listening port; the owner's business from here on. */
    void (*accepted)(struct ports *ports, const struct port *port, int fd);
};

void ports_init(struct ports *p, struct tryst_context *ctx,
                void (*accepted)(struct ports *, const struct port *, int fd));
/* Closes all holders. */
void ports_close(struct ports *p);

/* The local port with this number, bound now if it was not. 0: it cannot be bound (errno says why).
 */
uint16_t ports_get(struct ports *p, int family, unsigned number);
/* Whether it is bound already. */
bool ports_bound(const struct ports *p, int family, unsigned number);
/* Binds numbers 0 .. count-1 of a family together, in ascending order of port. For fresh ports; 0
 * or -1. */
int ports_bind_sorted(struct ports *p, int family, unsigned count);

/* A new socket bound to the port with this number; -1 with errno. */
int ports_open(struct ports *p, int family, unsigned number);
/* The same for dialling: of a port that does not listen it is the holder itself that is handed out.
 */
int ports_open_dialling(struct ports *p, int family, unsigned number);

/* Lets the holder listen, if it does not and there is room for one more. 0 or -1. */
int ports_listen(struct ports *p, int family, unsigned number);

#endif
