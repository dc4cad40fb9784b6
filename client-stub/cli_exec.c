/* SPDX-License-Identifier: ISC */
#include "client-stub/cli_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define END_WAIT_MS 3000
#define END_POLL_MS 10

/* Those that run. A child's number stays ours until it is reaped, so killing by this list hits
 * nobody else. */
static pid_t *children;
static size_t child_count, child_cap;

static struct rlimit limit_before;
static bool limit_raised;

void cli_exec_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max)
        return;
    limit_before = limit;
    limit.rlim_cur = limit.rlim_max;
    limit_raised = setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* Pipes rather than one socket: a command that closes its output may still read, and the other way
 * round. */
static int make_pipes(int in[2], int out[2])
{
    if (pipe2(in, O_CLOEXEC) != 0)
        return -1;
    if (pipe2(out, O_CLOEXEC) == 0)
        return 0;
    int error = errno;
    (void)close(in[0]);
    (void)close(in[1]);
    errno = error;
    return -1;
}

/* dup2() onto itself would leave close-on-exec set; the descriptors 0 to 2 are always taken, so
 * that cannot be. */
static void run_child(const char *command, const struct exec_session *s, int in, int out)
{
    (void)setpgid(0, 0);
    (void)signal(SIGPIPE, SIG_DFL);
    if (limit_raised)
        (void)setrlimit(RLIMIT_NOFILE, &limit_before);
    if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        setenv("TRYST_PEER_KEY", s->peer_key, 1) != 0 ||
        setenv("TRYST_PEER_NAME", s->peer_name, 1) != 0 || setenv("TRYST_SESSION", s->id, 1) != 0)
        _exit(126);
    (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

static int reserve(void)
{
    if (child_count < child_cap)
        return 0;
    size_t cap = child_cap ? 2 * child_cap : 16;
    pid_t *more = realloc(children, cap * sizeof(*more));
    if (!more)
        return -1;
    children = more;
    child_cap = cap;
    return 0;
}

pid_t cli_exec_start(const char *command, const struct exec_session *session, struct relay_end *end)
{
    int in[2], out[2];

    if (reserve() != 0 || make_pipes(in, out) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        run_child(command, session, in[0], out[1]);
    int error = errno;
    (void)close(in[0]);
    (void)close(out[1]);
    if (pid < 0) {
        (void)close(in[1]);
        (void)close(out[0]);
        errno = error;
        return -1;
    }
    (void)setpgid(pid, pid); /* here too: whoever comes first */
    children[child_count++] = pid;
    *end = cli_end_pipes(out[0], in[1]);
    return pid;
}

static bool running(pid_t pid)
{
    for (size_t i = 0; i < child_count; i++)
        if (children[i] == pid)
            return true;
    return false;
}

void cli_exec_hang_up(pid_t pid)
{
    if (running(pid))
        (void)kill(-pid, SIGHUP);
}

void cli_exec_reap(void)
{
    for (size_t i = 0; i < child_count;) {
        if (waitpid(children[i], NULL, WNOHANG) == 0)
            i++;
        else
            children[i] = children[--child_count];
    }
}

static void signal_all(int number)
{
    for (size_t i = 0; i < child_count; i++)
        (void)kill(-children[i], number);
}

void cli_exec_end_all(void)
{
    struct timespec pause = {.tv_nsec = END_POLL_MS * 1000000L};

    cli_exec_reap();
    signal_all(SIGHUP);
    signal_all(SIGTERM);
    for (int ms = 0; child_count > 0 && ms < END_WAIT_MS; ms += END_POLL_MS) {
        (void)nanosleep(&pause, NULL);
        cli_exec_reap();
    }
    signal_all(SIGKILL);
    while (child_count > 0)
        if (waitpid(children[--child_count], NULL, 0) < 0 && errno == EINTR)
            child_count++;
    free(children);
    children = NULL;
    child_cap = 0;
}
