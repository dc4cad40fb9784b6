/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/*
 * A small service manager, in what concerns a service that speaks sd_notify(3) and
 * sd_listen_fds(3): holds sockets over restarts, prints what it is told, and watches.
 *
 *   manager [--notify PATH|@NAME] [--watchdog MS] [--socket NAME=WHERE]... -- COMMAND [ARGUMENT...]
 *
 * WHERE is ADDRESS:PORT, dual:[::]:PORT, deaf:ADDRESS:PORT (does not listen), udp:ADDRESS:PORT, the
 * PATH of a Unix socket, or file:PATH (no socket). Standard input takes "start", "signal NUMBER"
 * and "quit"; standard output has "notify LINE" for each line that the service sends, "starved"
 * when the watchdog would bite, and "exit STATUS".
 *
 *   manager --knock ADDRESS:PORT
 *
 * connects again and again until standard input ends; then prints "knocks N refused N failed N".
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/endpoint.h"

#define SOCKETS_MAX 16
#define FIRST_FD    3 /* as sd_listen_fds(3) says */

struct manager {
    char **command;
    const char *notify_path;
    char names[512];
    int sockets[SOCKETS_MAX], socket_count;
    int notify_fd, child_fd, watchdog_fd;
    long watchdog_ms;
    pid_t child; /* 0: none */
};

static void die(const char *what)
{
    fprintf(stderr, "manager: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void say(const char *what, const char *text)
{
    printf("%s%s%s\n", what, *text ? " " : "", text);
    fflush(stdout);
}

/* ---- sockets ---- */

static socklen_t unix_address(const char *path, struct sockaddr_un *out)
{
    size_t len = strlen(path);

    memset(out, 0, sizeof(*out));
    out->sun_family = AF_UNIX;
    if (len >= sizeof(out->sun_path)) {
        errno = ENAMETOOLONG;
        die(path);
    }
    memcpy(out->sun_path, path, len);
    if (*path != '@')
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    out->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static int bound_unix(const char *path, int type)
{
    struct sockaddr_un address;
    socklen_t len = unix_address(path, &address);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, len) != 0)
        die(path);
    return fd;
}

static int bound_inet(const char *where, int type, int only)
{
    struct endpoint e;
    struct sockaddr_storage address;
    const int on = 1;

    if (endpoint_parse(where, 0, &e) != 0) {
        errno = EINVAL;
        die(where);
    }
    socklen_t len = endpoint_to_sockaddr(&e, &address);
    int fd = socket(address.ss_family, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die(where);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (e.family == 6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
    if (bind(fd, (const struct sockaddr *)&address, len) != 0)
        die(where);
    return fd;
}

static int open_socket(const char *where)
{
    int fd;

    if (strncmp(where, "file:", 5) == 0)
        return open(where + 5, O_RDONLY | O_CLOEXEC);
    if (strncmp(where, "udp:", 4) == 0)
        return bound_inet(where + 4, SOCK_DGRAM, 1);
    if (strncmp(where, "deaf:", 5) == 0)
        return bound_inet(where + 5, SOCK_STREAM, 1);
    if (*where == '/')
        fd = bound_unix(where, SOCK_STREAM);
    else if (strncmp(where, "dual:", 5) == 0)
        fd = bound_inet(where + 5, SOCK_STREAM, 0);
    else
        fd = bound_inet(where, SOCK_STREAM, 1);
    if (listen(fd, 4096) != 0)
        die(where);
    return fd;
}

static void add_socket(struct manager *m, const char *arg)
{
    const char *where = strchr(arg, '=');
    size_t used = strlen(m->names);

    errno = EINVAL;
    if (!where || m->socket_count == SOCKETS_MAX)
        die(arg);
    snprintf(m->names + used, sizeof(m->names) - used, "%s%.*s", used ? ":" : "",
             (int)(where - arg), arg);
    int fd = open_socket(where + 1);
    /* Out of the way of where the service expects them. */
    m->sockets[m->socket_count] = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD + SOCKETS_MAX + 8);
    if (fd < 0 || m->sockets[m->socket_count++] < 0)
        die(where);
    close(fd);
}

/* ---- the service ---- */

static void set_number(const char *name, long long value)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld", value);
    setenv(name, text, 1);
}

static void become_service(const struct manager *m)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 0; i < m->socket_count; i++)
        if (dup2(m->sockets[i], FIRST_FD + i) < 0)
            _exit(127);
    if (m->socket_count) {
        set_number("LISTEN_FDS", m->socket_count);
        set_number("LISTEN_PID", getpid());
        setenv("LISTEN_FDNAMES", m->names, 1);
    }
    if (m->notify_path)
        setenv("NOTIFY_SOCKET", m->notify_path, 1);
    if (m->watchdog_ms) {
        set_number("WATCHDOG_USEC", m->watchdog_ms * 1000);
        set_number("WATCHDOG_PID", getpid());
    }
    execv(m->command[0], m->command);
    _exit(127);
}

static void start(struct manager *m)
{
    if (m->child)
        return;
    m->child = fork();
    if (m->child < 0)
        die("fork");
    if (m->child == 0)
        become_service(m);
}

static void arm(const struct manager *m, long ms)
{
    struct itimerspec spec = {.it_value = {ms / 1000, ms % 1000 * 1000000}};

    timerfd_settime(m->watchdog_fd, 0, &spec, NULL);
}

static void reap(struct manager *m)
{
    struct signalfd_siginfo info;
    char text[32];
    int status;

    if (read(m->child_fd, &info, sizeof(info)) < 0)
        return;
    if (m->child == 0 || waitpid(m->child, &status, WNOHANG) != m->child)
        return;
    snprintf(text, sizeof(text), "%d",
             WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    m->child = 0;
    arm(m, 0);
    say("exit", text);
}

static void take_line(struct manager *m, char *line)
{
    say("notify", line);
    if (m->watchdog_ms && (strcmp(line, "READY=1") == 0 || strcmp(line, "WATCHDOG=1") == 0))
        arm(m, m->watchdog_ms);
}

static void take_notice(struct manager *m)
{
    char text[8192], *rest = NULL;
    ssize_t n;

    while ((n = recv(m->notify_fd, text, sizeof(text) - 1, MSG_DONTWAIT)) >= 0) {
        text[n] = '\0';
        for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
            take_line(m, line);
    }
}

static void take_starved(const struct manager *m)
{
    uint64_t times;

    if (read(m->watchdog_fd, &times, sizeof(times)) == (ssize_t)sizeof(times))
        say("starved", "");
}

/* False: it is over. */
static bool take_order(struct manager *m)
{
    char line[128];
    size_t n = 0;

    while (n < sizeof(line) - 1 && read(STDIN_FILENO, &line[n], 1) == 1 && line[n] != '\n')
        n++;
    line[n] = '\0';
    if (strcmp(line, "start") == 0)
        start(m);
    else if (strncmp(line, "signal ", 7) == 0 && m->child)
        kill(m->child, atoi(line + 7));
    else if (n == 0 || strcmp(line, "quit") == 0)
        return false;
    return true;
}

static void manage(struct manager *m)
{
    struct pollfd fds[] = {
        {.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = m->notify_fd, .events = POLLIN},
        {.fd = m->watchdog_fd, .events = POLLIN},
        {.fd = m->child_fd, .events = POLLIN},
    };

    for (;;) {
        if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0)
            continue;
        if (fds[1].revents)
            take_notice(m);
        if (fds[2].revents)
            take_starved(m);
        if (fds[3].revents)
            reap(m);
        if (fds[0].revents && !take_order(m))
            return;
    }
}

static void watch_children(struct manager *m)
{
    sigset_t children;

    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, NULL);
    m->child_fd = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    m->watchdog_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (m->child_fd < 0 || m->watchdog_fd < 0)
        die("descriptors");
}

/* ---- a client ---- */

static int knock_at(const char *where)
{
    struct endpoint e;
    struct sockaddr_storage address;
    struct pollfd pause = {.fd = STDIN_FILENO, .events = POLLIN};
    unsigned long knocks = 0, refused = 0, failed = 0;

    if (endpoint_parse(where, 0, &e) != 0)
        return 1;
    socklen_t len = endpoint_to_sockaddr(&e, &address);
    while (poll(&pause, 1, 1) == 0) {
        int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        knocks++;
        if (connect(fd, (const struct sockaddr *)&address, len) != 0) {
            refused += errno == ECONNREFUSED;
            failed += errno != ECONNREFUSED;
        }
        close(fd);
    }
    printf("knocks %lu refused %lu failed %lu\n", knocks, refused, failed);
    return 0;
}

int main(int argc, char **argv)
{
    static struct manager m = {.notify_fd = -1};
    int i;

    if (argc == 3 && strcmp(argv[1], "--knock") == 0)
        return knock_at(argv[2]);
    for (i = 1; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
        if (strcmp(argv[i], "--notify") == 0)
            m.notify_path = argv[i + 1];
        else if (strcmp(argv[i], "--watchdog") == 0)
            m.watchdog_ms = atol(argv[i + 1]);
        else if (strcmp(argv[i], "--socket") == 0)
            add_socket(&m, argv[i + 1]);
        else
            break;
    }
    errno = EINVAL;
    if (i + 1 >= argc || strcmp(argv[i], "--") != 0)
        die("usage");
    m.command = argv + i + 1;
    if (m.notify_path)
        m.notify_fd = bound_unix(m.notify_path, SOCK_DGRAM);
    watch_children(&m);
    manage(&m);
    if (m.child)
        kill(m.child, SIGKILL);
    return 0;
}
