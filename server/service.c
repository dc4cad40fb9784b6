/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "loop.h"

/* What changes by the second is no news; a wake-up each time would be waste. */
#define STATUS_SECONDS 10.0
/* Meals before the watchdog bites: one may be late, and one be lost. */
#define MEALS 3.0
/* The manager's patience beyond the time that a drain may take, for the last commit. */
#define STOP_MARGIN_SECONDS 30.0

/* ---- sockets handed over ---- */

static bool is_named(const struct service_descriptor *h, const char *name)
{
    return strcmp(h->name, name) == 0;
}

__attribute__((format(printf, 4, 5))) static int
refuse(const struct service_descriptor *h, char *err, size_t err_size, const char *format, ...)
{
    va_list args;
    int n = snprintf(err, err_size, "descriptor %d, handed over as '%s'%s%s: ", h->fd, h->name,
                     h->where[0] ? ", " : "", h->where);
    if (n < 0 || (size_t)n >= err_size)
        return -1;
    va_start(args, format);
    (void)vsnprintf(err + n, err_size - (size_t)n, format, args);
    va_end(args);
    return -1;
}

static bool option_is(int fd, int option, int wanted)
{
    int value;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == wanted;
}

static void describe_unix(struct service_descriptor *h, const struct sockaddr_un *address,
                          socklen_t len)
{
    size_t used = len > offsetof(struct sockaddr_un, sun_path)
                      ? len - offsetof(struct sockaddr_un, sun_path)
                      : 0;
    if (used && address->sun_path[0])
        snprintf(h->where, sizeof(h->where), "%.*s", (int)used, address->sun_path);
    else if (used)
        snprintf(h->where, sizeof(h->where), "@%.*s", (int)used - 1, address->sun_path + 1);
    else
        snprintf(h->where, sizeof(h->where), "a Unix socket without a name");
}

/* Which family it is; 0: neither TCP nor Unix. */
static int locate(struct service_descriptor *h)
{
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
        struct sockaddr_un local;
    } address;
    socklen_t len = sizeof(address);
    char text[ENDPOINT_TEXT_SIZE];

    memset(&address, 0, sizeof(address));
    h->local = endpoint_none();
    if (getsockname(h->fd, &address.any, &len) != 0)
        return 0;
    if (address.any.sa_family == AF_UNIX)
        describe_unix(h, &address.local, len);
    else if (endpoint_from_sockaddr(&address.any, &h->local) == 0)
        snprintf(h->where, sizeof(h->where), "%s", endpoint_format(&h->local, text));
    else
        return 0;
    return address.any.sa_family;
}

static bool is_any(const struct endpoint *e)
{
    static const uint8_t zero[sizeof(e->address)];
    return memcmp(e->address, zero, sizeof(zero)) == 0;
}

/* A socket on all IPv6 addresses that takes IPv4 too: peers' families could not be told apart by
 * where they listen, and 0.0.0.0 would be taken. */
static bool is_dual(const struct service_descriptor *h)
{
    int only = 1;
    socklen_t len = sizeof(only);
    return h->local.family == 6 && is_any(&h->local) &&
           getsockopt(h->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len) == 0 && !only;
}

static int check_handed(struct service_descriptor *h, char *err, size_t err_size)
{
    int type = 0;
    socklen_t len = sizeof(type);
    bool admin = is_named(h, "admin");

    if (getsockopt(h->fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
        return refuse(h, err, err_size, "is no socket (%s)", strerror(errno));
    int family = locate(h);
    if (!family)
        return refuse(h, err, err_size, "is neither a TCP nor a Unix socket");
    if (type != SOCK_STREAM)
        return refuse(h, err, err_size, "is no stream socket; ListenStream= makes one");
    if (!option_is(h->fd, SO_ACCEPTCONN, 1))
        return refuse(h, err, err_size, "does not listen; Accept=no hands over one that does");
    if (admin && family != AF_UNIX)
        return refuse(h, err, err_size, "the admin socket has to be a Unix socket");
    if (!admin && family == AF_UNIX)
        return refuse(h, err, err_size,
                      "a Unix socket has to be the admin socket: FileDescriptorName=admin");
    if (!admin && !option_is(h->fd, SO_PROTOCOL, IPPROTO_TCP))
        return refuse(h, err, err_size, "does not speak TCP");
    if (is_dual(h))
        return refuse(
            h, err, err_size,
            "takes IPv4 connections too; BindIPv6Only=ipv6-only keeps the families apart");
    int flags = fcntl(h->fd, F_GETFL);
    if (flags < 0 || fcntl(h->fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return refuse(h, err, err_size, "cannot be set up (%s)", strerror(errno));
    return 0;
}

static void free_names(char **names)
{
    for (size_t i = 0; names && names[i]; i++)
        free(names[i]);
    free(names);
}

int service_open(struct service *s, char *err, size_t err_size)
{
    char **names = NULL;
    int bad = 0;

    memset(s, 0, sizeof(*s));
    int n = sd_listen_fds_with_names(1, &names);
    if (n < 0) {
        snprintf(err, err_size, "cannot take over the service manager's sockets: %s", strerror(-n));
        return -1;
    }
    s->handed = n ? calloc((size_t)n, sizeof(*s->handed)) : NULL;
    if (n && !s->handed) {
        snprintf(err, err_size, "no memory for the service manager's sockets");
        bad = -1;
    }
    for (int i = 0; s->handed && i < n; i++) {
        struct service_descriptor *h = &s->handed[s->handed_count++];
        h->fd = SD_LISTEN_FDS_START + i;
        snprintf(h->name, sizeof(h->name), "%s", names && names[i] ? names[i] : "unknown");
        if (!bad)
            bad = check_handed(h, err, err_size);
    }
    free_names(names);
    return bad;
}

int service_take_listener(struct service *s, const struct endpoint *at)
{
    for (unsigned i = 0; s && i < s->handed_count; i++) {
        struct service_descriptor *h = &s->handed[i];
        if (h->taken || is_named(h, "metrics") || !endpoint_equal(&h->local, at))
            continue;
        h->taken = true;
        return h->fd;
    }
    return -1;
}

int service_take_named(struct service *s, const char *name)
{
    for (unsigned i = 0; s && i < s->handed_count; i++) {
        struct service_descriptor *h = &s->handed[i];
        if (h->taken || !is_named(h, name))
            continue;
        h->taken = true;
        return h->fd;
    }
    return -1;
}

int service_all_taken(const struct service *s, const char *wanted, char *err, size_t err_size)
{
    for (unsigned i = 0; s && i < s->handed_count; i++) {
        const struct service_descriptor *h = &s->handed[i];
        if (h->taken)
            continue;
        if (is_named(h, "admin") || is_named(h, "metrics"))
            return refuse(h, err, err_size, "it came twice");
        return refuse(h, err, err_size, "the configuration listens on %s, each once", wanted);
    }
    return 0;
}

void service_close(struct service *s)
{
    if (s->loop) {
        ev_timer_stop(s->loop, &s->watchdog);
        ev_timer_stop(s->loop, &s->refresh);
        s->loop = NULL;
    }
    for (unsigned i = 0; i < s->handed_count; i++)
        if (!s->handed[i].taken)
            (void)close(s->handed[i].fd);
    free(s->handed);
    s->handed = NULL;
    s->handed_count = 0;
}

/* ---- what the manager is told ---- */

static void feed(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)timer;
    (void)events;
    (void)sd_notify(0, "WATCHDOG=1");
}

static void refresh(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    service_status(timer->data);
}

void service_watch(struct service *s, struct ev_loop *loop,
                   void (*describe)(void *user, char text[SERVICE_STATUS_SIZE]), void *user)
{
    uint64_t usec = 0;

    if (!s || !getenv("NOTIFY_SOCKET"))
        return;
    s->loop = loop;
    s->describe = describe;
    s->user = user;
    ev_timer_init(&s->refresh, refresh, STATUS_SECONDS, STATUS_SECONDS);
    s->refresh.data = s;
    ev_timer_start(loop, &s->refresh);
    ev_timer_init(&s->watchdog, feed, 0., 0.);
    if (sd_watchdog_enabled(0, &usec) <= 0)
        return;
    double each = (double)usec / 1e6 / MEALS;
    ev_timer_set(&s->watchdog, each, each);
    ev_timer_start(loop, &s->watchdog);
}

/* Line ends would begin another message. */
static void make_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ')
            *text = ' ';
}

/* Whether the text is another one than before; that is kept. */
static bool new_status(struct service *s)
{
    char text[SERVICE_STATUS_SIZE] = "";

    if (s->describe)
        s->describe(s->user, text);
    make_line(text);
    if (strcmp(text, s->status) == 0)
        return false;
    snprintf(s->status, sizeof(s->status), "%s", text);
    return true;
}

void service_status(struct service *s)
{
    if (s && s->loop && new_status(s))
        (void)sd_notifyf(0, "STATUS=%s", s->status);
}

void service_ready(struct service *s)
{
    if (!s)
        return;
    (void)new_status(s);
    (void)sd_notifyf(0, "READY=1\nSTATUS=%s", s->status);
}

void service_reloading(struct service *s)
{
    if (!s)
        return;
    /* The stamp tells systemd that this answers its own signal, not an earlier one. */
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reloading the configuration",
                     (long long)(loop_clock() / TICK_US));
    s->status[0] = '\0';
}

void service_stopping(struct service *s, double seconds)
{
    if (!s)
        return;
    (void)sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld\nSTATUS=Draining",
                     (long long)((seconds + STOP_MARGIN_SECONDS) * 1e6));
    s->status[0] = '\0';
    if (s->loop)
        ev_timer_stop(s->loop, &s->refresh);
}

void service_failed(struct service *s, int error, const char *why)
{
    char text[SERVICE_STATUS_SIZE];

    if (!s)
        return;
    snprintf(text, sizeof(text), "%s", why);
    make_line(text);
    if (error)
        (void)sd_notifyf(0, "STATUS=Cannot start: %s\nERRNO=%d", text, error);
    else
        (void)sd_notifyf(0, "STATUS=Cannot start: %s", text);
}
