/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "metrics_http.h"

#include <errno.h>
#include <stdio.h>

#ifdef HAVE_MICROHTTPD

#include <fcntl.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "metrics.h"

/*
 * The library waits on an epoll descriptor of its own, and the loop waits on that one. A client
 * that is slow, or says nothing, holds its place only until somebody else needs it: the oldest
 * connection makes room.
 */
#define CLIENTS         16u
#define CLIENTS_LEAVING 16u /* shut down, and not yet closed by the library */
#define IDLE_SECONDS    10u
#define REQUEST_MOST    ((size_t)16 << 10) /* memory of one connection */
#define BACKLOG         64

struct metrics_http {
    struct ev_loop *loop;
    struct MHD_Daemon *daemon;
    struct ev_io io;
    struct ev_timer timer;
    size_t (*text)(void *user, char *out, size_t size);
    void *user;
    int clients[CLIENTS]; /* descriptors, oldest first */
    unsigned client_count;
};

/* ---- answers ---- */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, struct MHD_Response *r,
                              const char *type)
{
    enum MHD_Result result = MHD_NO;
    if (!r)
        return MHD_NO;
    if (MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES &&
        (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
         MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES))
        result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *text)
{
    char *copy = strdup(text);
    size_t len = strlen(text);
    return copy ? answer(c, status,
                         MHD_create_response_from_buffer(len, copy, MHD_RESPMEM_MUST_FREE),
                         "text/plain; charset=utf-8")
                : MHD_NO;
}

static enum MHD_Result answer_metrics(struct metrics_http *http, struct MHD_Connection *c)
{
    char *text = malloc(METRICS_TEXT_SIZE);
    size_t len = text ? http->text(http->user, text, METRICS_TEXT_SIZE) : 0;
    if (!len) {
        free(text);
        return refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "not enough memory\n");
    }
    return answer(c, MHD_HTTP_OK, MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE),
                  METRICS_TYPE);
}

/* Called at the end of the headers: what comes after them is never read. */
static enum MHD_Result request(void *cls, struct MHD_Connection *c, const char *url,
                               const char *method, const char *version, const char *upload,
                               size_t *upload_size, void **request_cls)
{
    (void)version;
    (void)upload;
    (void)upload_size;
    (void)request_cls;
    if (strcmp(url, "/metrics") != 0)
        return refuse(c, MHD_HTTP_NOT_FOUND, "there is only /metrics here\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only\n");
    return answer_metrics(cls, c);
}

/* ---- connections ---- */

static void forget_client(struct metrics_http *http, int fd)
{
    for (unsigned i = 0; i < http->client_count; i++)
        if (http->clients[i] == fd) {
            http->client_count--;
            memmove(&http->clients[i], &http->clients[i + 1],
                    (http->client_count - i) * sizeof(http->clients[0]));
            return;
        }
}

static void note_client(struct metrics_http *http, int fd)
{
    if (http->client_count == CLIENTS) {
        shutdown(http->clients[0], SHUT_RDWR); /* the library sees its end, and closes it */
        forget_client(http, http->clients[0]);
    }
    http->clients[http->client_count++] = fd;
}

static void connection(void *cls, struct MHD_Connection *c, void **socket_cls,
                       enum MHD_ConnectionNotificationCode what)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    (void)socket_cls;
    if (!info)
        return;
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        note_client(cls, info->connect_fd);
    else
        forget_client(cls, info->connect_fd);
}

/* ---- the loop ---- */

static void run(struct metrics_http *http)
{
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(http->daemon);
    ev_timer_stop(http->loop, &http->timer);
    if (MHD_get_timeout(http->daemon, &ms) != MHD_YES)
        return;
    ev_timer_set(&http->timer, (double)ms / 1000, 0.);
    ev_timer_start(http->loop, &http->timer);
}

static void ready(struct ev_loop *loop, struct ev_io *io, int events)
{
    (void)loop;
    (void)events;
    run(io->data);
}

static void timed_out(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    run(timer->data);
}

/* ---- start and end ---- */

static int listen_at(const struct endpoint *at)
{
    struct sockaddr_storage sa;
    socklen_t len = endpoint_to_sockaddr(at, &sa);
    const int on = 1;
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, (struct sockaddr *)&sa, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* A socket from the service manager may wait. */
static int take_over(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static struct MHD_Daemon *start(struct metrics_http *http, int fd)
{
    return MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, request, http, MHD_OPTION_LISTEN_SOCKET,
                            fd, MHD_OPTION_CONNECTION_LIMIT, CLIENTS + CLIENTS_LEAVING,
                            MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, REQUEST_MOST,
                            MHD_OPTION_NOTIFY_CONNECTION, connection, http, MHD_OPTION_END);
}

static bool watch(struct metrics_http *http)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info || info->epoll_fd < 0)
        return false;
    ev_io_init(&http->io, ready, info->epoll_fd, EV_READ);
    ev_timer_init(&http->timer, timed_out, 0., 0.);
    http->io.data = http->timer.data = http;
    ev_io_start(http->loop, &http->io);
    return true;
}

struct metrics_http *metrics_http_open(struct ev_loop *loop, const struct endpoint *at,
                                       int handed_fd,
                                       size_t (*text)(void *user, char *out, size_t size),
                                       void *user, char *err, size_t err_size)
{
    char where[ENDPOINT_TEXT_SIZE];
    int fd = handed_fd >= 0 ? take_over(handed_fd) : listen_at(at);
    if (fd < 0) {
        int error = errno;
        snprintf(err, err_size, "metrics: cannot listen on %s: %s",
                 handed_fd >= 0 ? "the socket handed over" : endpoint_format(at, where),
                 strerror(error));
        errno = error;
        return NULL;
    }
    struct metrics_http *http = calloc(1, sizeof(*http));
    if (http) {
        http->loop = loop;
        http->text = text;
        http->user = user;
        http->daemon = start(http, fd);
        if (http->daemon && watch(http))
            return http;
        if (http->daemon)
            MHD_stop_daemon(http->daemon); /* closes the socket */
    }
    if (!http || !http->daemon)
        close(fd);
    free(http);
    snprintf(err, err_size, "metrics: the HTTP library does not start");
    errno = ENOMEM;
    return NULL;
}

void metrics_http_close(struct metrics_http *http)
{
    if (!http)
        return;
    ev_io_stop(http->loop, &http->io);
    ev_timer_stop(http->loop, &http->timer);
    MHD_stop_daemon(http->daemon);
    free(http);
}

#else /* without libmicrohttpd */

struct metrics_http *metrics_http_open(struct ev_loop *loop, const struct endpoint *at,
                                       int handed_fd,
                                       size_t (*text)(void *user, char *out, size_t size),
                                       void *user, char *err, size_t err_size)
{
    (void)loop;
    (void)at;
    (void)handed_fd;
    (void)text;
    (void)user;
    snprintf(err, err_size, "metrics: this trystd was built without HTTP (libmicrohttpd)");
    errno = ENOTSUP;
    return NULL;
}

void metrics_http_close(struct metrics_http *http)
{
    (void)http;
}

#endif
