/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "trystctl.h"

/* Live events, one line each, until somebody has seen enough. */

static volatile sig_atomic_t enough;

static void on_signal(int number)
{
    (void)number;
    enough = 1;
}

/* --- what an event says --- */

static void say_peer(const json_t *e)
{
    const char *name = ctl_text(json_object_get(e, "peer"), "name");

    if (ctl_has(e, "peer"))
        ctl_say(" %s%s%.8s%s", name, *name ? " (" : "", ctl_text(json_object_get(e, "peer"), "key"),
                *name ? ")" : "");
}

static void say_parties(const json_t *e)
{
    ctl_say(" %.8s", ctl_has(e, "id") ? ctl_text(e, "id") : "-");
    ctl_say(" %s ->", ctl_who(json_object_get(e, "requester")));
    ctl_say(" %s:", ctl_has(e, "target") ? ctl_who(json_object_get(e, "target"))
                                         : ctl_text(e, "asked_for"));
}

static void say_session(const json_t *e, const char *kind)
{
    const json_t *reason = json_object_get(e, "reason");

    say_parties(e);
    if (strcmp(kind, "session-started") == 0)
        ctl_say(" invited");
    else if (strcmp(kind, "session-planned") == 0)
        ctl_say(" round %" PRId64 " with a chance of %.1f%%, punch time %.12s", ctl_int(e, "round"),
                ctl_real(e, "chance") * 100,
                strlen(ctl_text(e, "punch")) > 11 ? ctl_text(e, "punch") + 11 : "");
    else if (strcmp(kind, "session-round") == 0)
        ctl_say(" round %" PRId64 ", the %s says: %s", ctl_int(e, "round"), ctl_text(e, "side"),
                ctl_text(reason, "text"));
    else
        ctl_say(" %s", ctl_text(reason, "text"));
    if (ctl_has(e, "took_us"))
        ctl_say(" after %s", ctl_span(ctl_int(e, "took_us")));
    if (ctl_has(e, "text"))
        ctl_say(" (%s)", ctl_text(e, "text"));
}

/* Members that need no words of their own, "name value". */
static void say_rest(const json_t *e)
{
    static const char *const told[] = {"schema", "time", "kind", "peer", "nat", "text", "key"};
    const char *name;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)e, name, v)
    {
        bool known = false;
        for (size_t i = 0; i < COUNT(told); i++)
            known |= strcmp(told[i], name) == 0;
        if (known || json_is_null(v))
            continue;
        if (json_is_string(v))
            ctl_say(" %s %s", name, json_string_value(v));
        else if (json_is_integer(v))
            ctl_say(" %s %" PRId64, name, (int64_t)json_integer_value(v));
        else if (json_is_true(v))
            ctl_say(" %s", name);
    }
    if (ctl_has(e, "nat"))
        ctl_say(" %s", ctl_nat(json_object_get(e, "nat")));
    if (ctl_has(e, "text"))
        ctl_say(" %s", ctl_text(e, "text"));
}

static enum ctl_colour colour_of(const json_t *e, const char *kind)
{
    static const char *const bad[] = {"session-refused", "store-degraded"};
    static const char *const care[] = {"limit", "lost", "ban", "kick", "drain"};

    for (size_t i = 0; i < COUNT(bad); i++)
        if (strcmp(kind, bad[i]) == 0)
            return CTL_RED;
    for (size_t i = 0; i < COUNT(care); i++)
        if (strcmp(kind, care[i]) == 0)
            return CTL_YELLOW;
    if (strcmp(kind, "session-finished") == 0)
        return ctl_true(e, "connected") ? CTL_GREEN : CTL_RED;
    return strcmp(kind, "store-recovered") == 0 ? CTL_GREEN : CTL_PLAIN;
}

/* "09:15:30.123" on a terminal, where today's events are looked at. */
static const char *time_of(const json_t *e)
{
    const char *time = ctl_text(e, "time");

    return ctl_style.tty && strlen(time) > 12 ? ctl_format("%.12s", time + 11) : time;
}

static void print_event(const json_t *e)
{
    const char *kind = ctl_text(e, "kind");
    enum ctl_colour colour = colour_of(e, kind);

    printf("%s%s%s %s%-16s%s", ctl_colour(CTL_DIM), time_of(e), ctl_colour(CTL_PLAIN),
           colour ? ctl_colour(colour) : "", kind, colour ? ctl_colour(CTL_PLAIN) : "");
    if (strncmp(kind, "session-", 8) == 0) {
        say_session(e, kind);
    } else {
        say_peer(e);
        say_rest(e);
    }
    ctl_line_end();
}

/* --- the stream --- */

static void print_line(const char *line, bool json)
{
    json_t *e = json ? NULL : json_loads(line, 0, NULL);

    if (json)
        puts(line);
    else if (e)
        print_event(e);
    json_decref(e);
}

/* Waits for more. 1: there is, 0: nobody reads any more, or somebody has seen enough. */
static int wait_for_more(const struct ctl_lines *l, const sigset_t *unblocked)
{
    struct pollfd fds[2] = {{.fd = l->fd, .events = POLLIN}, {.fd = STDOUT_FILENO}};

    while (!enough) {
        int n = ppoll(fds, 2, NULL, unblocked);
        if (n < 0 && errno != EINTR)
            return 0;
        if (n > 0 && fds[1].revents & (POLLERR | POLLNVAL))
            return 0;
        if (n > 0 && fds[0].revents)
            return 1;
    }
    return 0;
}

/* Signals are looked at only while it waits: none can be missed in between. */
static void take_signals(sigset_t *unblocked)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, unblocked);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

int ctl_watch(struct ctl_lines *l, bool json)
{
    sigset_t unblocked;
    const char *line;

    take_signals(&unblocked);
    for (;;) {
        while ((line = ctl_line_there(l)))
            print_line(line, json);
        if (fflush(stdout))
            return errno == EPIPE ? 0 : -1;
        if (!wait_for_more(l, &unblocked))
            return 0;
        if (ctl_receive(l)) {
            ctl_complain("the daemon has ended");
            return -1;
        }
    }
}
