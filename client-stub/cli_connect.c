/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-stub/cli_known.h"
#include "client-stub/cli_loop.h"
#include "client-stub/cli_progress.h"
#include "client-stub/cli_say.h"
#include "client-stub/cli_session.h"

/* tryst connect: one session for standard input and output, or, with -L, one for each local
 * connection. */

/* How long the control channel outlives the start of the one session, so that the result gets
 * through. */
#define RELEASE_MS 1000

struct connect {
    struct cli *cli;
    struct loop loop;
    struct session_peer peer;
    struct known pin; /* what the name was pinned to, if pinned */
    bool pinned;
    int report_fd;
    /* without -L */
    struct tryst_request *request; /* until its final event */
    struct progress progress;
    int interrupted; /* by this signal */
};

/* With -L: what a request is for. */
struct local {
    int fd;
    struct progress progress;
};

static bool many(const struct connect *c)
{
    return c->cli->local != NULL;
}

/* ---- the peer's key ---- */

static int load_pin(struct connect *c)
{
    char err[HOME_ERR_SIZE];

    if (c->peer.is_key)
        return 0;
    int found = cli_known_find(c->cli->home.known, c->peer.text, &c->pin, err, sizeof(err));
    if (found < 0)
        cli_say_error("%s", err);
    c->pinned = found == 1;
    return found < 0 ? -1 : 0;
}

/* As loud as ssh: whoever overlooks this may talk to the wrong machine. */
static int wrong_key(const struct connect *c, const struct tryst_report *report)
{
    uint8_t key[TRYST_KEY_SIZE];
    char was[KEY_TEXT_SIZE], is[KEY_TEXT_SIZE];

    int status = cli_session_failed(c->peer.text, TRYST_PEER_KEY, NULL);
    if (c->pinned)
        cli_say_advice("seen first (%s): %s", c->pin.first_seen, key_format(c->pin.key, was));
    if (report && tryst_report_peer_key(report, key) == 0 &&
        !(c->pinned && key_equal(key, c->pin.key)))
        cli_say_advice("offered now:            %s", key_format(key, is));
    return status;
}

/* At the first contact the name gets its key. False: it has another since. */
static bool check_key(struct connect *c, const struct tryst_report *report)
{
    char err[HOME_ERR_SIZE];
    uint8_t key[TRYST_KEY_SIZE];

    if (tryst_report_peer_key(report, key) != 0)
        return false;
    if (c->peer.is_key)
        return key_equal(key, c->peer.key);
    if (c->pinned)
        return key_equal(key, c->pin.key);
    switch (cli_known_pin(c->cli->home.known, c->peer.text, key, &c->pin, err, sizeof(err))) {
    case KNOWN_NEW:
        memcpy(c->pin.key, key, sizeof(key));
        cli_say_step("%s: this is its key from now on", c->peer.text);
        c->pinned = true;
        return true;
    case KNOWN_SAME:
        c->pinned = true;
        return true;
    case KNOWN_OTHER:
        c->pinned = true;
        return false;
    default: /* a home that cannot be written to is no reason to stay away */
        cli_say_error("%s", err);
        return true;
    }
}

/* ---- a session's end ---- */

static struct tryst_record *take_record(struct tryst_report *report)
{
    return tryst_report_plain(report) ? NULL : tryst_report_take_record(report);
}

/* Whether the connection may be used; if not, says why, and *status is what to exit with. */
static bool trusted(struct connect *c, const struct tryst_report *report,
                    const struct tryst_record *record, int *status)
{
    if (!check_key(c, report))
        *status = wrong_key(c, report);
    else if (!record && !tryst_report_plain(report))
        *status = cli_session_failed(c->peer.text, TRYST_INTERNAL, NULL);
    else
        *status = CLI_OK;
    return *status == CLI_OK;
}

/* A connection that came about. Takes over fd and end. Returns CLI_OK with the link made, else the
 * exit status. */
static int established(struct connect *c, struct tryst_report *report, int fd,
                       struct relay_end *end)
{
    struct tryst_record *record = take_record(report);
    int status;

    if (trusted(c, report, record, &status)) {
        cli_loop_link(&c->loop, c->peer.text, fd, record, end, 0);
        return CLI_OK;
    }
    (void)close(fd);
    if (record)
        tryst_record_free(record);
    cli_end_close(end);
    return status;
}

static void single_established(struct connect *c, struct tryst_report *report, int fd)
{
    struct relay_end end;

    if (cli_end_stdio(&end) != 0) {
        cli_say_error("standard input and output: %s", strerror(errno));
        (void)close(fd);
        cli_loop_stop(&c->loop, CLI_USAGE);
        return;
    }
    int status = established(c, report, fd, &end);
    if (status != CLI_OK)
        cli_loop_stop(&c->loop, status);
    else
        c->loop.due = cli_loop_now() + RELEASE_MS;
}

static int failed(struct connect *c, struct tryst_event *ev, const struct tryst_report *report)
{
    int reason = tryst_event_reason(ev);

    if (reason == TRYST_PEER_KEY)
        return wrong_key(c, report);
    return cli_session_failed(c->peer.text, reason, tryst_event_text(ev));
}

static void final_single(struct connect *c, struct tryst_event *ev, struct tryst_report *report)
{
    c->request = NULL;
    c->loop.due = LOOP_NEVER;
    cli_progress_end(&c->progress, report);
    if (tryst_event_type(ev) == TRYST_EVENT_ESTABLISHED)
        single_established(c, report, tryst_event_take_fd(ev));
    else if (c->interrupted)
        cli_loop_stop(&c->loop, CLI_USAGE);
    else
        cli_loop_stop(&c->loop, failed(c, ev, report));
}

/* The local program sees a reset when nothing came of it: a clean end would look like an answer. */
static void reset_local(int fd)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    (void)close(fd);
}

static void final_local(struct connect *c, struct tryst_event *ev, struct tryst_report *report)
{
    struct local *local = tryst_request_user(tryst_event_request(ev));

    cli_progress_end(&local->progress, report);
    if (tryst_event_type(ev) == TRYST_EVENT_ESTABLISHED) {
        struct relay_end end = cli_end_socket(local->fd);
        (void)established(c, report, tryst_event_take_fd(ev), &end);
    } else {
        (void)failed(c, ev, report);
        reset_local(local->fd);
    }
    free(local);
}

/* ---- events ---- */

static void channel_event(const struct connect *c, const struct tryst_event *ev)
{
    switch (tryst_event_type(ev)) {
    case TRYST_EVENT_SURVEYED:
        cli_say_step("tryst: surveyed");
        break;
    case TRYST_EVENT_DISCONNECTED:
        if (many(c) && !c->loop.stopping)
            cli_say_note("%s; trying again", tryst_strerror(tryst_event_reason(ev)));
        break;
    default:
        break;
    }
}

static void show(struct connect *c, struct progress *p, const struct tryst_report *report)
{
    int again = cli_progress_update(p, report);

    if (again >= 0 && !many(c))
        c->loop.due = cli_loop_now() + again;
}

static void on_event(struct loop *loop, struct tryst_event *ev)
{
    struct connect *c = loop->user;
    struct tryst_request *request = tryst_event_request(ev);
    enum tryst_event_type type = tryst_event_type(ev);

    if (!request) {
        channel_event(c, ev);
        if (c->request)
            show(c, &c->progress, tryst_request_report(c->request));
        return;
    }
    struct local *local = many(c) ? tryst_request_user(request) : NULL;
    struct progress *progress = local ? &local->progress : &c->progress;
    const struct tryst_report *report = tryst_request_report(request);
    if (report)
        show(c, progress, report);
    if (type == TRYST_EVENT_ROUND_LOST)
        cli_progress_round_lost(progress, report);
    if (type != TRYST_EVENT_ESTABLISHED && type != TRYST_EVENT_FAILED)
        return;

    struct tryst_report *final = tryst_event_take_report(ev);
    cli_session_report_write(c->report_fd, final);
    if (local)
        final_local(c, ev, final);
    else
        final_single(c, ev, final);
    tryst_report_free(final);
}

/* What stands goes on without a server; nothing new can come. */
static void on_stopped(struct loop *loop, int reason)
{
    if (!many(loop->user) && loop->links)
        return;
    loop->status = cli_session_failed(NULL, reason, NULL);
    if (loop->listen_fd >= 0)
        (void)close(loop->listen_fd);
    loop->listen_fd = -1;
    if (!loop->links)
        cli_loop_stop(loop, loop->status);
}

static void on_due(struct loop *loop)
{
    struct connect *c = loop->user;

    if (c->request)
        show(c, &c->progress, tryst_request_report(c->request));
    else if (!many(c))
        cli_loop_release(loop);
}

static void on_accepted(struct loop *loop, int fd)
{
    struct connect *c = loop->user;
    struct local *local = calloc(1, sizeof(*local));
    unsigned flags = c->cli->plain ? TRYST_REQUEST_PLAIN : 0;
    struct tryst_request *request =
        local ? tryst_request(loop->ctx, c->peer.text, c->cli->timeout_ms, flags) : NULL;

    cli_loop_poke(loop);
    if (!request) {
        cli_say_error("%s: no memory for another session", c->peer.text);
        reset_local(fd);
        free(local);
        return;
    }
    if (c->pinned)
        (void)tryst_request_pin(request, c->pin.key);
    local->fd = fd;
    cli_progress_start(&local->progress, c->peer.text, false);
    tryst_request_set_user(request, local);
}

static void on_ended(struct loop *loop, struct link *link, enum relay_result result,
                     const char *why)
{
    struct connect *c = loop->user;
    int status = CLI_OK;

    if (result == RELAY_LOST || result == RELAY_FORGED) {
        cli_say_error("%s: %s", link->who, why);
        status = CLI_PEER;
    } else if (result == RELAY_LOCAL) {
        if (!link->relay || !cli_relay_reader_gone(link->relay))
            cli_say_error("%s: here: %s", link->who, why);
        status = CLI_USAGE;
    }
    if (link->relay)
        cli_say_step("%s: %llu bytes sent, %llu received", link->who,
                     (unsigned long long)cli_relay_sent(link->relay),
                     (unsigned long long)cli_relay_received(link->relay));
    if (!many(c))
        cli_loop_stop(loop, status);
    else if (!loop->ctx && !loop->links)
        cli_loop_stop(loop, loop->status);
}

static void on_interrupted(struct loop *loop, int number)
{
    struct connect *c = loop->user;

    c->interrupted = number;
    if (c->request) {
        (void)tryst_cancel(c->request);
        (void)tryst_process(loop->ctx); /* so that server and peer hear of it */
    }
    cli_loop_stop(loop, CLI_OK);
}

static const struct loop_ops ops = {
    .event = on_event,
    .stopped = on_stopped,
    .accepted = on_accepted,
    .ended = on_ended,
    .due = on_due,
    .interrupted = on_interrupted,
};

/* ---- start ---- */

static int listen_locally(struct connect *c)
{
    char err[HOME_ERR_SIZE], bound[DIAL_TEXT_SIZE];
    struct addrinfo *list;

    if (cli_dial_resolve_local(c->cli->local, &list, err, sizeof(err)) != 0) {
        cli_say_error("%s", err);
        return CLI_USAGE;
    }
    c->loop.listen_fd = cli_dial_listen(list, bound, err, sizeof(err));
    freeaddrinfo(list);
    if (c->loop.listen_fd < 0) {
        cli_say_error("%s: %s", c->cli->local, err);
        return CLI_USAGE;
    }
    cli_say_note("listening on %s for %s", bound, c->peer.text);
    return CLI_OK;
}

static int request_single(struct connect *c)
{
    unsigned flags = c->cli->plain ? TRYST_REQUEST_PLAIN : 0;

    c->request = tryst_request(c->loop.ctx, c->peer.text, c->cli->timeout_ms, flags);
    if (!c->request)
        return cli_session_failed(c->peer.text, TRYST_NO_MEMORY, NULL);
    if (c->pinned)
        (void)tryst_request_pin(c->request, c->pin.key);
    cli_progress_start(&c->progress, c->peer.text, true);
    cli_loop_poke(&c->loop);
    return CLI_OK;
}

static int start(struct connect *c)
{
    int bad = tryst_resolve(c->loop.ctx);

    if (!bad)
        bad = tryst_start(c->loop.ctx);
    if (bad)
        return cli_session_failed(NULL, bad, NULL);
    return many(c) ? listen_locally(c) : request_single(c);
}

static int run(struct connect *c, struct tryst_context *ctx)
{
    if (cli_loop_init(&c->loop, &ops, c, ctx) != 0) {
        cli_say_error("%s", strerror(errno));
        tryst_free(ctx);
        return CLI_USAGE;
    }
    int status = start(c);
    if (status == CLI_OK)
        status = cli_loop_run(&c->loop);
    cli_say_live(NULL);
    cli_loop_free(&c->loop);
    return status;
}

/* Ended by a signal, as whoever sent it expects; a forwarder (-L) has just been told to stop. */
static int end_by_signal(const struct connect *c, int status)
{
    if (!c->interrupted || many(c))
        return status;
    (void)signal(c->interrupted, SIG_DFL);
    (void)raise(c->interrupted);
    return 128 + c->interrupted;
}

int cli_connect(struct cli *cli, int argc, char **argv)
{
    struct connect c = {.cli = cli, .report_fd = -1};

    (void)argc;
    if (cli_session_peer(argv[0], &c.peer) != 0) {
        cli_say_error("'%s' is neither a peer's name nor a key", argv[0]);
        return CLI_USAGE;
    }
    struct tryst_context *ctx = cli_session_context(cli);
    if (!ctx)
        return CLI_USAGE;
    if (load_pin(&c) != 0 || cli_session_report_open(cli->report, &c.report_fd) != 0) {
        tryst_free(ctx);
        return CLI_USAGE;
    }
    int status = run(&c, ctx);
    if (c.report_fd >= 0)
        (void)close(c.report_fd);
    return end_by_signal(&c, status);
}
