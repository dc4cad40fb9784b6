/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/*
 * natbox: a NAT in user space, for what Linux does not do. The router's
 * kernel sends every packet that it forwards into the TUN device; natbox
 * delays and translates it and writes it back, and the kernel routes it on.
 *
 *     inside -- [ wire: delay, loss ] -- NAT -- [ wire: delay, loss ] -- outside
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "natbox_log.h"
#include "natbox_options.h"
#include "natbox_tun.h"

/* Packets read before the queue gets its turn again. */
#define BATCH 64
#define SMALL 2048u
/* What the wires may hold together; beyond it they drop, as queues do. */
#define WIRES_MAX (256u << 20)

enum step { TRANSLATE, SECOND_WIRE, SEND };

/* One packet on its way through. */
struct parcel {
    struct natbox_packet packet;
    struct virtio_net_hdr offload;
    enum step next; /* once the wire that it is on ends */
    struct parcel *free;
    uint8_t bytes[];
};

struct box {
    struct natbox_options o;
    int tun;
    FILE *log;
    struct natbox_random random;
    struct natbox_delay wires;
    size_t wires_bytes;
    struct parcel *spare;   /* small ones for reuse */
    struct parcel *arrival; /* where packets are read to */
    struct natbox_log_totals totals;
};

static volatile sig_atomic_t stop, report;

static void on_signal(int sig)
{
    *(sig == SIGUSR1 ? &report : &stop) = 1;
}

static uint64_t clock_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void on_event(void *ctx, const struct natbox_nat_event *e)
{
    struct box *b = ctx;

    natbox_log_event(b->log, b->o.nat.now, e);
}

/* ---- parcels ------------------------------------------------------- */

static struct parcel *parcel_new(struct box *b, size_t len)
{
    size_t cap = len <= SMALL ? SMALL : len;
    struct parcel *c = b->spare;

    if (cap == SMALL && c != NULL) {
        b->spare = c->free;
    } else {
        c = malloc(sizeof(*c) + cap);
        if (c == NULL)
            return NULL;
    }
    c->packet.data = c->bytes;
    c->packet.cap = cap;
    return c;
}

static void parcel_free(struct box *b, struct parcel *c)
{
    if (c == b->arrival)
        return;
    if (c->packet.cap == SMALL) {
        c->free = b->spare;
        b->spare = c;
    } else {
        free(c);
    }
}

/* What is read lands in the arrival parcel; only what must wait is copied. */
static struct parcel *parcel_keep(struct box *b, struct parcel *c)
{
    struct parcel *copy;

    if (c != b->arrival)
        return c;
    copy = parcel_new(b, c->packet.len);
    if (copy == NULL)
        return NULL;
    copy->packet.len = c->packet.len;
    copy->packet.partial = c->packet.partial;
    copy->offload = c->offload;
    memcpy(copy->bytes, c->bytes, c->packet.len);
    return copy;
}

/* ---- the way through ----------------------------------------------- */

static void advance(struct box *b, struct parcel *c, uint64_t now);

static void lose(struct box *b, struct parcel *c, uint64_t now, const char *where)
{
    b->totals.lost++;
    natbox_log_lost(b->log, now, where);
    parcel_free(b, c);
}

static void travel(struct box *b, struct parcel *c, bool inside, enum step next, uint64_t now)
{
    const struct natbox_delay_wire *w = inside ? &b->o.inside : &b->o.outside;
    const char *name = inside ? "inside" : "outside";
    struct parcel *kept;
    uint64_t time;

    if (!natbox_delay_draw(w, &b->random, &time)) {
        lose(b, c, now, name);
        return;
    }
    c->next = next;
    if (w->delay == 0 && w->jitter == 0) {
        advance(b, c, now);
        return;
    }
    kept = b->wires_bytes < WIRES_MAX ? parcel_keep(b, c) : NULL;
    if (kept == NULL) {
        lose(b, c, now, "queue");
        return;
    }
    kept->next = next;
    if (natbox_delay_push(&b->wires, now + time, kept))
        b->wires_bytes += kept->packet.cap;
    else
        lose(b, kept, now, "queue");
}

static void send_on(struct box *b, struct parcel *c)
{
    /* Only the promise to complete a checksum is passed on. */
    c->offload.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
    if (!c->packet.partial)
        memset(&c->offload, 0, sizeof(c->offload));
    if (natbox_tun_write(b->tun, &c->offload, c->packet.data, c->packet.len))
        b->totals.packets_out++;
    else
        b->totals.dropped++;
    parcel_free(b, c);
}

static void translate(struct box *b, struct parcel *c, uint64_t now)
{
    switch (natbox_nat_translate(&b->o.nat, &c->packet, now)) {
    case NATBOX_NAT_TO_INSIDE:
        travel(b, c, true, SEND, now);
        break;
    case NATBOX_NAT_TO_OUTSIDE:
        travel(b, c, false, SEND, now);
        break;
    case NATBOX_NAT_DROP:
    default:
        b->totals.dropped++;
        parcel_free(b, c);
        break;
    }
}

/* now is when the packet was due, not when we woke: errors don't add up. */
static void advance(struct box *b, struct parcel *c, uint64_t now)
{
    switch (c->next) {
    case TRANSLATE:
        translate(b, c, now);
        break;
    case SECOND_WIRE:
        travel(b, c, false, SEND, now);
        break;
    case SEND:
    default:
        send_on(b, c);
        break;
    }
}

/* A checksum that the kernel left to us must be the one that we rewrite. */
static bool offload_fits(const struct parcel *c)
{
    const struct virtio_net_hdr *h = &c->offload;

    if (!c->packet.partial)
        return h->gso_type == VIRTIO_NET_HDR_GSO_NONE;
    return c->packet.data[0] >> 4 == 4 && h->csum_start == (c->packet.data[0] & 15) * 4 &&
           h->csum_offset == 16 && c->packet.data[9] == 6;
}

/* The kernel greets its new link with IPv6 multicast of its own; counting
 * and delaying that as traffic would blur every measurement. */
static bool is_chatter(const struct natbox_packet *p)
{
    const uint8_t *ip = p->data;

    if (ip[0] >> 4 != 6)
        return false;
    return p->len < 40 || ip[24] == 0xff || (ip[8] == 0xfe && (ip[9] & 0xc0) == 0x80);
}

static void arrive(struct box *b, struct parcel *c, uint64_t now)
{
    enum natbox_nat_path path;

    if (is_chatter(&c->packet)) {
        parcel_free(b, c);
        return;
    }
    b->totals.packets_in++;
    c->packet.partial = c->offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
    if (b->o.wire) {
        travel(b, c, b->o.has_inside, b->o.has_inside ? SECOND_WIRE : SEND, now);
        return;
    }
    path = natbox_nat_path(&b->o.nat, &c->packet);
    if (path == NATBOX_NAT_LOCAL) {
        send_on(b, c);
    } else if (path == NATBOX_NAT_STRAY || !offload_fits(c)) {
        b->totals.dropped++;
        parcel_free(b, c);
    } else {
        travel(b, c, path == NATBOX_NAT_OUTBOUND, TRANSLATE, now);
    }
}

/* ---- the loop ------------------------------------------------------ */

static bool read_batch(struct box *b)
{
    int i;

    for (i = 0; i < BATCH; i++) {
        struct parcel *c = b->arrival;
        ssize_t n = natbox_tun_read(b->tun, &c->offload, c->bytes, NATBOX_TUN_PACKET_MAX);

        if (n < 0 && errno != EINVAL && errno != EMSGSIZE)
            return false;
        if (n <= 0)
            return true;
        c->packet.len = (size_t)n;
        arrive(b, c, clock_now());
    }
    return true;
}

static void deliver_due(struct box *b, uint64_t now)
{
    while (natbox_delay_next(&b->wires) <= now) {
        uint64_t due = natbox_delay_next(&b->wires);
        struct parcel *c = natbox_delay_pop(&b->wires);

        b->wires_bytes -= c->packet.cap;
        advance(b, c, due);
    }
}

static void print_statistics(struct box *b)
{
    natbox_log_statistics(b->log, clock_now(), &b->totals, b->o.wire ? NULL : &b->o.nat);
}

/* Signals are only open while we wait, so that none is ever missed. */
static bool wait_for_work(struct box *b, uint64_t now, const sigset_t *open)
{
    struct pollfd fd = {b->tun, POLLIN, 0};
    uint64_t next = natbox_delay_next(&b->wires);
    uint64_t timer = b->o.wire ? UINT64_MAX : natbox_table_deadline(&b->o.nat.table);
    struct timespec ts = {0, 0};

    if (timer < next)
        next = timer;
    if (next > now && next != UINT64_MAX) {
        ts.tv_sec = (time_t)((next - now) / 1000000000u);
        ts.tv_nsec = (long)((next - now) % 1000000000u);
    }
    return ppoll(&fd, 1, next == UINT64_MAX ? NULL : &ts, open) >= 0 || errno == EINTR;
}

static bool run(struct box *b, const sigset_t *open)
{
    while (!stop) {
        uint64_t now = clock_now();

        deliver_due(b, now);
        if (!b->o.wire)
            natbox_nat_expire(&b->o.nat, now);
        if (report)
            print_statistics(b);
        report = 0;
        if (!wait_for_work(b, clock_now(), open) || !read_batch(b)) {
            perror("natbox: tun");
            return false;
        }
    }
    return true;
}

/* ---- start and end ------------------------------------------------- */

static bool say_ready(const struct natbox_options *o)
{
    int fd = o->ready_fd;

    if (fd >= 0 && write(fd, "ready\n", 6) != 6) {
        perror("natbox: --ready-fd");
        return false;
    }
    if (fd > STDERR_FILENO)
        close(fd);
    if (o->ready == NULL)
        return true;
    fd = open(o->ready, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        fprintf(stderr, "natbox: %s: %s\n", o->ready, strerror(errno));
        return false;
    }
    return close(fd) == 0;
}

static void catch_signals(sigset_t *open)
{
    struct sigaction sa;
    sigset_t closed;

    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_signal;
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGUSR1, &sa, NULL);
    sigemptyset(&closed);
    sigaddset(&closed, SIGTERM);
    sigaddset(&closed, SIGINT);
    sigaddset(&closed, SIGUSR1);
    sigprocmask(SIG_BLOCK, &closed, open);
    sigdelset(open, SIGTERM);
    sigdelset(open, SIGINT);
    sigdelset(open, SIGUSR1);
}

static bool start(struct box *b)
{
    bool lossless = b->o.inside.loss <= 0 && b->o.outside.loss <= 0;

    natbox_random_seed(&b->random, b->o.seed);
    natbox_random_seed(&b->o.nat.alloc.random, ~b->o.seed);
    b->o.nat.event = on_event;
    b->o.nat.ctx = b;
    b->arrival = parcel_new(b, NATBOX_TUN_PACKET_MAX);
    if (b->arrival == NULL || (!b->o.wire && !natbox_nat_init(&b->o.nat, clock_now()))) {
        fputs("natbox: out of memory\n", stderr);
        return false;
    }
    if (b->o.log != NULL && (b->log = fopen(b->o.log, "ae")) == NULL) {
        fprintf(stderr, "natbox: %s: %s\n", b->o.log, strerror(errno));
        return false;
    }
    b->tun = natbox_tun_open(b->o.tun, lossless);
    if (b->tun < 0)
        fprintf(stderr, "natbox: %s: %s\n", b->o.tun, strerror(errno));
    return b->tun >= 0;
}

static void finish(struct box *b)
{
    if (b->tun >= 0) {
        print_statistics(b);
        close(b->tun);
    }
    while (b->wires.count > 0)
        parcel_free(b, natbox_delay_pop(&b->wires));
    while (b->spare != NULL) {
        struct parcel *c = b->spare;

        b->spare = c->free;
        free(c);
    }
    if (!b->o.wire)
        natbox_nat_free(&b->o.nat);
    natbox_delay_free(&b->wires);
    free(b->arrival);
    if (b->log != NULL)
        fclose(b->log);
}

int main(int argc, char **argv)
{
    static struct box b = {.tun = -1};
    sigset_t open;
    bool good;

    if (!natbox_options_parse(&b.o, argc, argv))
        return 2;
    if (b.o.help) {
        natbox_options_help(stdout);
        return 0;
    }
    catch_signals(&open);
    /* The default slack of 50 us would be most of our error. */
    prctl(PR_SET_TIMERSLACK, 1UL);
    good = start(&b) && say_ready(&b.o) && run(&b, &open);
    finish(&b);
    return good ? 0 : 1;
}
