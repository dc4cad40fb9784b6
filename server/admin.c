/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin_internal.h"
#include "admin_socket.h"
#include "log.h"
#include "show.h"

/* Clients of the admin socket: lines in, answers out, one request at a time. */

/* For a reader that takes nothing, and for one that asks nothing. */
#define PATIENCE_WRITE 30.0
#define PATIENCE_IDLE  600.0
/* A watcher may take its time; now and then somebody looks whether it is still there. */
#define PATIENCE_WATCH 5.0
/* After an accept that failed for want of descriptors or memory. */
#define PAUSE_ACCEPT 1.0

void admin_drop(struct admin_client *c)
{
    if (c->fd < 0)
        return;
    admin_watch_end(c);
    ev_io_stop(c->admin->loop, &c->read);
    ev_io_stop(c->admin->loop, &c->write);
    ev_idle_stop(c->admin->loop, &c->work);
    ev_timer_stop(c->admin->loop, &c->patience);
    close(c->fd);
    store_cancel(c->admin->store, c->ticket); /* nobody waits for it any more */
    free(c->in);
    free(c->out.bytes);
    free(c->head);
    json_decref(c->held);
    c->held = NULL;
    c->fd = -1;
    c->in = c->head = NULL;
    c->out = (struct admin_buffer){0};
    c->walk = (struct admin_walk){0};
    c->ticket = 0;
    c->in_len = 0;
    c->ending = c->head_rows = false;
}

static bool busy(const struct admin_client *c)
{
    return c->ticket || c->held || c->walk.row || c->watch.on;
}

/* --- lines in --- */

/* Takes one line off the input. Returns its length, or -1: there is none. */
static ssize_t take_line(struct admin_client *c, char *line)
{
    char *end = memchr(c->in, '\n', c->in_len);

    if (!end)
        return -1;
    size_t len = (size_t)(end - c->in);
    memcpy(line, c->in, len);
    line[len] = '\0';
    c->in_len -= len + 1;
    memmove(c->in, end + 1, c->in_len);
    if (len > 0 && line[len - 1] == '\r')
        line[--len] = '\0';
    return (ssize_t)len;
}

/* The next request; called while there is a whole line, or no room for the rest of one. */
static void serve(struct admin_client *c)
{
    static char line[ADMIN_LINE_MAX + 1]; /* one loop, one thread */

    free(c->head);
    c->head = NULL;
    c->head_rows = false;
    ssize_t len = take_line(c, line);
    if (len < 0) {
        admin_refuse(c, "a request is one line of %d bytes at most", ADMIN_LINE_MAX);
        c->in_len = 0;
        c->ending = true;
    } else if (strlen(line) != (size_t)len) {
        admin_refuse(c, "there is a zero byte in the request");
    } else {
        admin_request(c, line);
    }
}

/* Does what can be done now, and sets the watchers to what is to be waited for. */
static void advance(struct admin_client *c)
{
    struct ev_loop *loop = c->admin->loop;

    while (c->fd >= 0 && !busy(c) && admin_waiting(c) < ADMIN_OUT_ENOUGH &&
           (memchr(c->in, '\n', c->in_len) || c->in_len == ADMIN_LINE_MAX))
        serve(c);
    admin_flush(c);
    if (c->fd >= 0 && c->watch.on && admin_waiting(c) == 0) {
        admin_watch_drained(c);
        admin_flush(c);
    }
    if (c->fd < 0)
        return;
    if (c->ending && !busy(c) && admin_waiting(c) == 0 && c->in_len == 0) {
        admin_drop(c);
        return;
    }
    if (c->walk.row && admin_waiting(c) < ADMIN_OUT_ENOUGH)
        ev_idle_start(loop, &c->work);
    else
        ev_idle_stop(loop, &c->work);
    if (admin_waiting(c) > 0)
        ev_io_start(loop, &c->write);
    else
        ev_io_stop(loop, &c->write);
    if (c->ending || c->in_len == ADMIN_LINE_MAX)
        ev_io_stop(loop, &c->read);
    else
        ev_io_start(loop, &c->read);
    double patience = c->watch.on            ? PATIENCE_WATCH
                      : admin_waiting(c) > 0 ? PATIENCE_WRITE
                                             : PATIENCE_IDLE;
    if (patience < c->patience.repeat || patience > c->patience.repeat) {
        c->patience.repeat = patience;
        ev_timer_again(loop, &c->patience);
    }
}

static void on_read(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct admin_client *c = watcher->data;
    ssize_t n = recv(c->fd, c->in + c->in_len, ADMIN_LINE_MAX - c->in_len, 0);

    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n < 0) {
        admin_drop(c);
        return;
    }
    if (n == 0) {
        /* netcat closes its side after the last line and waits for the answers. */
        if (c->in_len > 0 && c->in_len < ADMIN_LINE_MAX)
            c->in[c->in_len++] = '\n';
        c->ending = true;
        if ((c->watch.on || c->ticket) && admin_watch_gone(c)) {
            admin_drop(c);
            return;
        }
    }
    c->in_len += n > 0 ? (size_t)n : 0;
    ev_timer_again(loop, &c->patience);
    advance(c);
}

static void on_write(struct ev_loop *loop, ev_io *watcher, int events)
{
    (void)loop;
    (void)events;
    advance(watcher->data);
}

static void on_work(struct ev_loop *loop, ev_idle *watcher, int events)
{
    struct admin_client *c = watcher->data;

    (void)loop;
    (void)events;
    admin_walk_slice(c);
    advance(c);
}

static void on_patience(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct admin_client *c = watcher->data;

    (void)loop;
    (void)events;
    /* Ours to answer; or still there. */
    if (c->ticket || c->held || (c->watch.on && !admin_watch_gone(c)))
        return;
    if (admin_waiting(c) > 0 && !c->watch.on)
        log_notice("admin (pid %d): takes no answers; dropped", (int)c->pid);
    admin_drop(c);
}

void admin_answers(struct admin *admin, uint64_t ticket, char *json)
{
    for (unsigned i = 0; i < ADMIN_CLIENTS; i++) {
        struct admin_client *c = &admin->clients[i];
        if (c->fd < 0 || c->ticket != ticket || ticket == 0)
            continue;
        c->ticket = 0;
        admin_put_stored(c, json);
        if (c->fd >= 0)
            advance(c);
        break;
    }
    free(json);
}

void admin_committed(struct admin *admin)
{
    for (unsigned i = 0; i < ADMIN_CLIENTS; i++) {
        struct admin_client *c = &admin->clients[i];
        if (c->fd < 0 || !c->held)
            continue;
        admin_held(c);
        if (c->fd >= 0)
            advance(c);
    }
}

/* --- clients --- */

static bool start_client(struct admin *admin, struct admin_client *c, int fd)
{
    char *in = malloc(ADMIN_LINE_MAX);

    if (!in)
        return false;
    memset(c, 0, sizeof(*c));
    c->admin = admin;
    c->fd = fd;
    c->in = in;
    ev_io_init(&c->read, on_read, fd, EV_READ);
    ev_io_init(&c->write, on_write, fd, EV_WRITE);
    ev_idle_init(&c->work, on_work);
    ev_init(&c->patience, on_patience);
    c->read.data = c->write.data = c->work.data = c->patience.data = c;
    c->patience.repeat = PATIENCE_IDLE;
    ev_timer_again(admin->loop, &c->patience);
    ev_io_start(admin->loop, &c->read);
    return true;
}

static struct admin_client *free_client(struct admin *admin)
{
    for (unsigned i = 0; i < ADMIN_CLIENTS; i++)
        if (admin->clients[i].fd < 0)
            return &admin->clients[i];
    return NULL;
}

static void refuse_client(int fd, const char *why)
{
    json_t *error = show_text(why);
    char *text = error ? json_dumps(error, SHOW_FLAGS | JSON_ENCODE_ANY) : NULL;
    char line[512];
    int n = snprintf(line, sizeof(line), ADMIN_ANSWER_BEGIN "\"ok\":false,\"error\":%s}\n",
                     text ? text : "\"refused\"");

    if (send(fd, line, (size_t)n, MSG_NOSIGNAL) < 0) {
        /* It is gone already. */
    }
    free(text);
    json_decref(error);
    close(fd);
}

/* Who may come, for those who may not. */
static void refuse_stranger(const struct admin *admin, int fd)
{
    char why[256];

    snprintf(why, sizeof(why),
             "only root, the daemon's user and members of %s%s%s%s%s%s may use this socket",
             admin->operators.there ? "the group '" : "the socket's group",
             admin->operators.there ? admin->operators.name : "", admin->operators.there ? "'" : "",
             admin->readers.there ? " or of the group '" : "", admin->readers.name,
             admin->readers.there ? "'" : "");
    refuse_client(fd, why);
}

static void welcome(struct admin *admin, int fd)
{
    uid_t uid;
    pid_t pid;
    enum admin_standing standing = admin_socket_standing(admin, fd, &uid, &pid);

    if (standing == ADMIN_STRANGER) {
        log_stranger("admin socket: uid %u, pid %d may not use it", (unsigned)uid, (int)pid);
        refuse_stranger(admin, fd);
        return;
    }
    struct admin_client *c = free_client(admin);
    if (!c || !start_client(admin, c, fd)) {
        if (admin->source.client_refused)
            admin->source.client_refused(admin->source.user);
        refuse_client(fd, "too many admin clients; try again");
        return;
    }
    c->uid = uid;
    c->pid = pid;
    c->standing = standing;
    log_debug("admin socket: uid %u, pid %d connected", (unsigned)uid, (int)pid);
}

static void on_accept(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct admin *admin = watcher->data;

    (void)events;
    for (unsigned i = 0; i < ADMIN_CLIENTS; i++) {
        struct sockaddr_un from; /* says nothing of a client */
        socklen_t size = sizeof(from);
        int fd = accept4(admin->fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            welcome(admin, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            /* The queue stays as it is; without a pause the loop would do nothing but ask. */
            ev_io_stop(loop, &admin->accept);
            ev_timer_again(loop, &admin->pause);
        }
        return;
    }
}

static void on_pause_over(struct ev_loop *loop, ev_timer *watcher, int events)
{
    struct admin *admin = watcher->data;

    (void)events;
    ev_timer_stop(loop, &admin->pause);
    ev_io_start(loop, &admin->accept);
}

struct admin *admin_open(struct ev_loop *loop, const char *path, int handed_fd, struct store *store,
                         const struct admin_source *source, char *err, size_t err_size)
{
    struct admin *admin = calloc(1, sizeof(*admin));

    if (!admin) {
        snprintf(err, err_size, "not enough memory for the admin socket");
        return NULL;
    }
    admin->loop = loop;
    admin->store = store;
    admin->source = *source;
    for (unsigned i = 0; i < ADMIN_CLIENTS; i++)
        admin->clients[i].fd = -1;
    if (admin_socket_open(admin, path, handed_fd, err, err_size)) {
        free(admin);
        return NULL;
    }
    ev_io_init(&admin->accept, on_accept, admin->fd, EV_READ);
    ev_init(&admin->pause, on_pause_over);
    admin->pause.repeat = PAUSE_ACCEPT;
    admin->accept.data = admin->pause.data = admin;
    ev_io_start(loop, &admin->accept);
    return admin;
}

void admin_close(struct admin *admin)
{
    if (!admin)
        return;
    for (unsigned i = 0; i < ADMIN_CLIENTS; i++)
        admin_drop(&admin->clients[i]);
    ev_io_stop(admin->loop, &admin->accept);
    ev_timer_stop(admin->loop, &admin->pause);
    admin_socket_close(admin);
    free(admin);
}
