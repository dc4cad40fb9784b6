/* SPDX-License-Identifier: ISC */
#include "client-stub/ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "client-stub/core.h"
#include "client-stub/sock.h"

#define BACKLOG     16
#define ACCEPTS_MAX 16 /* connections taken from one port in one go */

static unsigned family_index(int family)
{
    return family == 6 ? 1 : 0;
}

void ports_init(struct ports *p, struct tryst_context *ctx,
                void (*accepted)(struct ports *, const struct port *, int fd))
{
    memset(p, 0, sizeof(*p));
    p->ctx = ctx;
    p->accepted = accepted;
}

static void release(struct ports *p, struct port *port)
{
    core_unwatch(p->ctx, &port->watch);
    sock_close(p->ctx, &port->fd);
    core_release(p->ctx, port);
}

void ports_close(struct ports *p)
{
    for (unsigned f = 0; f < 2; f++) {
        for (unsigned i = 0; i < p->count[f]; i++)
            release(p, p->at[f][i]);
        core_release(p->ctx, p->at[f]);
        p->at[f] = NULL;
        p->count[f] = p->size[f] = 0;
    }
    p->listening = 0;
}

static void listener_ready(struct watch *w, uint32_t events)
{
    struct port *port = CONTAINER(w, struct port, watch);

    (void)events;
    for (int i = 0; i < ACCEPTS_MAX && w->active; i++) {
        int fd = sock_accept(port->owner->ctx, w->fd);
        if (fd < 0)
            return;
        port->owner->accepted(port->owner, port, fd);
    }
}

/* Where a number stands, or would stand. */
static unsigned position(const struct ports *p, unsigned f, unsigned number)
{
    unsigned low = 0;
    unsigned high = p->count[f];

    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (p->at[f][middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct port *find(const struct ports *p, unsigned f, unsigned number)
{
    unsigned i = position(p, f, number);

    return i < p->count[f] && p->at[f][i]->number == number ? p->at[f][i] : NULL;
}

/* Room for one more. */
static int grow(struct ports *p, unsigned f)
{
    const struct tryst_allocator *alloc = &p->ctx->alloc;
    unsigned size = p->size[f] ? 2 * p->size[f] : 4;

    if (p->count[f] < p->size[f])
        return 0;
    if (p->count[f] >= PORTS_MAX) {
        errno = EMFILE;
        return -1;
    }
    void *at = alloc->resize(alloc->user, p->at[f], size * sizeof(struct port *));
    if (!at) {
        errno = ENOMEM;
        return -1;
    }
    p->at[f] = at;
    p->size[f] = size;
    return 0;
}

static void insert(struct ports *p, unsigned f, struct port *port)
{
    unsigned i = position(p, f, port->number);

    memmove(p->at[f] + i + 1, p->at[f] + i, (p->count[f] - i) * sizeof(struct port *));
    p->at[f][i] = port;
    p->count[f]++;
}

/* The local port to bind for a number: 0 for any free one. */
static int port_wanted(const struct ports *p, int family, unsigned number, uint16_t *out)
{
    const struct channel *ch = &p->ctx->channel;

    *out = 0;
    if (number != SOCKET_CONTROL)
        return 0;
    if (ch->state != CHANNEL_OPEN || ch->local.family != family) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    *out = ch->local.port;
    return 0;
}

/* The port with this number, bound now if it was not. */
static struct port *get(struct ports *p, int family, unsigned number)
{
    unsigned f = family_index(family);
    struct port *port = find(p, f, number);
    uint16_t wanted;

    if (port || port_wanted(p, family, number, &wanted) != 0 || grow(p, f) != 0)
        return port;
    port = core_alloc(p->ctx, sizeof(*port));
    if (!port) {
        errno = ENOMEM;
        return NULL;
    }
    port->fd = sock_open_bound(p->ctx, family, wanted);
    if (port->fd < 0) {
        core_release(p->ctx, port);
        return NULL;
    }
    port->owner = p;
    port->watch.fn = listener_ready;
    port->number = (uint16_t)number;
    port->port = sock_local(port->fd).port;
    insert(p, f, port);
    return port;
}

uint16_t ports_get(struct ports *p, int family, unsigned number)
{
    const struct port *port = get(p, family, number);

    return port ? port->port : 0;
}

bool ports_bound(const struct ports *p, int family, unsigned number)
{
    return find(p, family_index(family), number) != NULL;
}

static int by_port(const void *a, const void *b)
{
    const struct port *const *x = a;
    const struct port *const *y = b;

    return (*x)->port - (*y)->port;
}

int ports_bind_sorted(struct ports *p, int family, unsigned count)
{
    unsigned f = family_index(family);

    for (unsigned i = 0; i < count; i++) {
        if (!get(p, family, i))
            return -1;
    }
    if (count)
        qsort(p->at[f], count, sizeof(struct port *), by_port);
    for (unsigned i = 0; i < count; i++)
        p->at[f][i]->number = (uint16_t)i;
    return 0;
}

int ports_open(struct ports *p, int family, unsigned number)
{
    uint16_t port = ports_get(p, family, number);

    return port ? sock_open_bound(p->ctx, family, port) : -1;
}

int ports_open_dialling(struct ports *p, int family, unsigned number)
{
    struct port *port = get(p, family, number);

    if (!port)
        return -1;
    if (port->fd >= 0 && !port->watch.active) {
        int fd = port->fd;
        port->fd = -1;
        return fd;
    }
    return sock_open_bound(p->ctx, family, port->port);
}

int ports_listen(struct ports *p, int family, unsigned number)
{
    struct port *port = get(p, family, number);

    if (!port)
        return -1;
    if (port->watch.active || port->fd < 0 || p->listening >= PORTS_LISTENING_MAX)
        return 0;
    if (listen(port->fd, BACKLOG) != 0 || core_watch(p->ctx, &port->watch, port->fd, EPOLLIN) != 0)
        return -1;
    p->listening++;
    return 0;
}
