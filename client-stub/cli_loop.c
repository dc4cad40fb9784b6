/* SPDX-License-Identifier: ISC */
#include "client-stub/cli_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client-stub/cli_exec.h"

#define DIAL_MS     10000
#define ACCEPT_MOST 16
/* How long links may move bytes before the context is looked at again. */
#define TURN_US 500

int64_t cli_loop_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t now_us(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* ---- signals: a handler can only note them, and wake poll() ---- */

static int signal_pipe[2] = {-1, -1};
static volatile sig_atomic_t signal_seen;

static void on_signal(int number)
{
    int error = errno;

    if (number != SIGCHLD)
        signal_seen = number;
    (void)!write(signal_pipe[1], "", 1);
    errno = error;
}

static int install_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};

    if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0 || sigaction(SIGPIPE, &ignore, NULL) != 0)
        return -1;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        /* What nohup or a shell's & has set to be ignored stays so. */
        if (numbers[i] != SIGCHLD && sigaction(numbers[i], NULL, &before) == 0 &&
            before.sa_handler == SIG_IGN)
            continue;
        if (sigaction(numbers[i], &sa, NULL) != 0)
            return -1;
    }
    return 0;
}

static void handle_signals(struct loop *loop)
{
    char drain[64];

    while (read(signal_pipe[0], drain, sizeof(drain)) > 0)
        continue;
    cli_exec_reap();
    if (signal_seen) {
        int number = signal_seen;
        signal_seen = 0;
        loop->ops->interrupted(loop, number);
    }
}

bool cli_loop_pause(struct loop *loop, int ms)
{
    struct pollfd p = {.fd = signal_pipe[0], .events = POLLIN};

    if (poll(&p, 1, ms) != 0)
        handle_signals(loop);
    return loop->done;
}

/* ---- links ---- */

static struct link *add_link(struct loop *loop, const char *who, int net,
                             struct tryst_record *record)
{
    struct link *link = calloc(1, sizeof(*link));

    if (!link) {
        (void)close(net);
        if (record)
            tryst_record_free(record);
        return NULL;
    }
    (void)snprintf(link->who, sizeof(link->who), "%s", who);
    link->net = net;
    link->record = record;
    link->dial.fd = -1;
    link->next = loop->links;
    loop->links = link;
    loop->link_count++;
    return link;
}

/* Without a relay, net and record still belong to the link. The peer sees a reset: nothing was
 * delivered. */
static void free_link(struct link *link)
{
    if (!link->relay) {
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(link->net, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        (void)close(link->net);
        if (link->record)
            tryst_record_free(link->record);
        if (link->dial.fd >= 0)
            (void)close(link->dial.fd);
    }
    cli_relay_free(link->relay);
    free(link);
}

static void end_link(struct loop *loop, struct link *link, enum relay_result result,
                     const char *why)
{
    struct link **at = &loop->links;

    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    loop->link_count--;
    if (link->child > 0 && result != RELAY_DONE)
        cli_exec_hang_up(link->child);
    loop->ops->ended(loop, link, result, why);
    free_link(link);
}

static void join(struct loop *loop, struct link *link, const struct relay_end *end)
{
    struct relay_end mine = *end;

    link->relay = cli_relay_new(link->net, link->record, end);
    if (link->relay)
        return;
    cli_end_close(&mine);
    end_link(loop, link, RELAY_LOCAL, "no memory");
}

void cli_loop_link(struct loop *loop, const char *who, int net, struct tryst_record *record,
                   const struct relay_end *end, pid_t child)
{
    struct link *link = add_link(loop, who, net, record);
    struct relay_end mine = *end;

    if (!link) {
        cli_end_close(&mine);
        return;
    }
    link->child = child;
    join(loop, link, end);
}

void cli_loop_link_dial(struct loop *loop, const char *who, int net, struct tryst_record *record,
                        const struct addrinfo *list)
{
    struct link *link = add_link(loop, who, net, record);

    if (!link)
        return;
    link->dial_until = cli_loop_now() + DIAL_MS;
    if (cli_dial_start(&link->dial, list) != 0)
        end_link(loop, link, RELAY_LOCAL, strerror(link->dial.error));
}

static void step_dial(struct loop *loop, struct link *link, bool ready)
{
    bool late = cli_loop_now() >= link->dial_until;

    if (!ready && !late)
        return;
    switch (cli_dial_check(&link->dial, !ready)) {
    case DIAL_PENDING:
        link->dial_until = cli_loop_now() + DIAL_MS;
        return;
    case DIAL_FAILED:
        end_link(loop, link, RELAY_LOCAL, strerror(link->dial.error));
        return;
    case DIAL_CONNECTED: {
        struct relay_end end = cli_end_socket(link->dial.fd);
        link->dial.fd = -1;
        join(loop, link, &end);
    }
    }
}

static void step_link(struct loop *loop, struct link *link, const struct pollfd *fds)
{
    if (!link->relay) {
        step_dial(loop, link, fds[0].revents != 0);
        return;
    }
    enum relay_result result = cli_relay_step(link->relay, fds);
    if (result != RELAY_RUNNING)
        end_link(loop, link, result, cli_relay_error(link->relay));
}

/* ---- the loop ---- */

int cli_loop_init(struct loop *loop, const struct loop_ops *ops, void *user,
                  struct tryst_context *ctx)
{
    *loop = (struct loop){.ops = ops, .user = user, .ctx = ctx, .listen_fd = -1, .due = LOOP_NEVER};
    cli_exec_raise_limit();
    return install_signals();
}

void cli_loop_stop(struct loop *loop, int status)
{
    loop->done = true;
    loop->status = status;
}

void cli_loop_poke(struct loop *loop)
{
    loop->poked = true;
}

void cli_loop_release(struct loop *loop)
{
    tryst_free(loop->ctx);
    loop->ctx = NULL;
}

void cli_loop_free(struct loop *loop)
{
    cli_loop_release(loop);
    if (loop->listen_fd >= 0)
        (void)close(loop->listen_fd);
    while (loop->links) {
        struct link *link = loop->links;
        loop->links = link->next;
        if (link->child > 0)
            cli_exec_hang_up(link->child);
        free_link(link);
    }
    cli_exec_end_all();
}

static void drive_context(struct loop *loop)
{
    struct tryst_event *ev;

    loop->poked = false;
    int stopped = tryst_process(loop->ctx);
    loop->stopping = stopped < 0;
    while (loop->ctx && !loop->done && (ev = tryst_next_event(loop->ctx))) {
        loop->poked = true; /* the answer to an event is a call */
        loop->ops->event(loop, ev);
        tryst_event_free(ev);
    }
    if (stopped < 0 && loop->ctx && !loop->done) {
        loop->ops->stopped(loop, -stopped);
        cli_loop_release(loop);
    }
}

static void take_local(struct loop *loop)
{
    for (int i = 0; i < ACCEPT_MOST; i++) {
        /* cppcheck-suppress nullPointer ; the caller's address may be NULL */
        int fd = accept4(loop->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        loop->ops->accepted(loop, fd);
    }
}

/* The descriptors of one turn: signals, listener, context, links; grows as needed. */
struct turn {
    struct pollfd *fds;
    size_t cap;
    size_t count;
    size_t context_count;
    bool stable; /* the context has its one descriptor; it says when there is work */
    int timeout;
};

enum { FD_SIGNAL, FD_LISTEN, FD_CONTEXT };

static int reserve(struct turn *t, size_t need)
{
    if (need <= t->cap)
        return 0;
    struct pollfd *more = realloc(t->fds, 2 * need * sizeof(*more));
    if (!more)
        return -1;
    t->fds = more;
    t->cap = 2 * need;
    return 0;
}

/* Where there is no stable descriptor, the set of the moment and its deadline. */
static int add_context(struct loop *loop, struct turn *t)
{
    t->context_count = 0;
    t->stable = true;
    if (!loop->ctx)
        return 0;
    int fd = tryst_fd(loop->ctx);
    if (fd >= 0) {
        t->fds[FD_CONTEXT] = (struct pollfd){.fd = fd, .events = POLLIN};
        t->context_count = 1;
        return 0;
    }
    t->stable = false;
    int n = tryst_pollfds(loop->ctx, NULL, 0);
    if (n < 0 || reserve(t, FD_CONTEXT + (size_t)n) != 0)
        return -1;
    t->context_count = (size_t)tryst_pollfds(loop->ctx, t->fds + FD_CONTEXT, n);
    int ms = tryst_timeout(loop->ctx);
    if (ms >= 0 && (t->timeout < 0 || ms < t->timeout))
        t->timeout = ms;
    return 0;
}

static void add_link_fds(const struct link *link, struct pollfd *fds)
{
    if (link->relay) {
        cli_relay_pollfds(link->relay, fds);
        return;
    }
    for (int i = 0; i < RELAY_FDS; i++)
        fds[i] = (struct pollfd){.fd = -1};
    fds[0] = (struct pollfd){.fd = link->dial.fd, .events = POLLOUT};
}

static void shorten(struct turn *t, int64_t until)
{
    int64_t left = until - cli_loop_now();

    if (until == LOOP_NEVER)
        return;
    if (left < 0)
        left = 0;
    if (left > 3600000)
        left = 3600000;
    if (t->timeout < 0 || left < t->timeout)
        t->timeout = (int)left;
}

static int prepare(struct loop *loop, struct turn *t)
{
    t->timeout = -1;
    if (reserve(t, FD_CONTEXT + 1) != 0 || add_context(loop, t) != 0)
        return -1;
    size_t first = FD_CONTEXT + t->context_count;
    if (reserve(t, first + RELAY_FDS * loop->link_count) != 0)
        return -1;
    t->fds[FD_SIGNAL] = (struct pollfd){.fd = signal_pipe[0], .events = POLLIN};
    t->fds[FD_LISTEN] = (struct pollfd){.fd = loop->listen_fd, .events = POLLIN};
    t->count = first;
    for (struct link *link = loop->links; link; link = link->next) {
        add_link_fds(link, t->fds + t->count);
        link->polled = t->count;
        t->count += RELAY_FDS;
        if (!link->relay)
            shorten(t, link->dial_until);
        else if (cli_relay_more(link->relay))
            t->timeout = 0;
    }
    shorten(t, loop->due);
    if (loop->poked)
        t->timeout = 0;
    return 0;
}

/* The links from `first` on have waited longest: they come first in the next turn. */
static void rotate(struct loop *loop, struct link *first)
{
    struct link **cut = &loop->links, *head = loop->links;

    if (first == head)
        return;
    while (*cut != first)
        cut = &(*cut)->next;
    *cut = NULL;
    loop->links = first;
    while (first->next)
        first = first->next;
    first->next = head;
}

static void step_links(struct loop *loop, const struct turn *t)
{
    int64_t until = now_us() + TURN_US;
    struct link *link = loop->links, *next;

    for (; link && !loop->done; link = next) {
        next = link->next;
        if (link->polled == 0)
            continue;
        step_link(loop, link, t->fds + link->polled);
        if (next && now_us() >= until) {
            rotate(loop, next);
            return;
        }
    }
}

static bool context_ready(const struct loop *loop, const struct turn *t)
{
    if (!loop->ctx)
        return false;
    return loop->poked || !t->stable || t->fds[FD_CONTEXT].revents != 0;
}

int cli_loop_run(struct loop *loop)
{
    struct turn t = {0};

    while (!loop->done) {
        if (prepare(loop, &t) != 0) {
            cli_loop_stop(loop, 1);
            break;
        }
        int n = poll(t.fds, (nfds_t)t.count, t.timeout);
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            cli_loop_stop(loop, 1);
            break;
        }
        if (n < 0)
            for (size_t i = 0; i < t.count; i++)
                t.fds[i].revents = 0;
        if (context_ready(loop, &t))
            drive_context(loop);
        if (signal_seen || t.fds[FD_SIGNAL].revents)
            handle_signals(loop);
        if (!loop->done && t.fds[FD_LISTEN].revents)
            take_local(loop);
        if (!loop->done)
            step_links(loop, &t);
        if (!loop->done && cli_loop_now() >= loop->due) {
            loop->due = LOOP_NEVER;
            loop->ops->due(loop);
        }
    }
    free(t.fds);
    return loop->status;
}
