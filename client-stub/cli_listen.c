/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-stub/cli_exec.h"
#include "client-stub/cli_known.h"
#include "client-stub/cli_loop.h"
#include "client-stub/cli_progress.h"
#include "client-stub/cli_say.h"
#include "client-stub/cli_session.h"

/*
 * tryst listen: sessions of the allowed peers go to standard input and output (the first one), to
 * an address
 * (--forward), or to a command each (--exec).
 */

/* How long the control channel outlives the start of the last session, so that the result gets
 * through. */
#define RELEASE_MS       1000
#define RESOLVE_LEAST_MS 1000
#define RESOLVE_MOST_MS  60000
/* Strangers decide how often this is said. */
#define DECLINE_NOTE_MS 1000

struct listen {
    struct cli *cli;
    struct loop loop;
    struct tryst_listener *listener;
    struct addrinfo *forward;
    int report_fd;
    bool was_ready; /* the first registration was announced */
    bool lost;      /* the loss of the server was announced */
    bool taken;     /* with --once: the session is here */
    int64_t declined_at;
    unsigned declined; /* since the last note */
};

static bool uses_stdio(const struct listen *l)
{
    return !l->cli->forward && !l->cli->exec;
}

static bool is_once(const struct listen *l)
{
    return l->cli->once || uses_stdio(l);
}

/* ---- who may come ---- */

static int allow_name(struct listen *l, const char *name)
{
    char err[HOME_ERR_SIZE];
    struct known known;

    switch (cli_known_find(l->cli->home.known, name, &known, err, sizeof(err))) {
    case 1:
        return tryst_listener_allow_key(l->listener, known.key);
    case 0:
        cli_say_error("--allow %s: no peer of this name is known here yet", name);
        cli_say_advice(
            "allow the key that 'tryst id' prints there, or enter it: 'tryst peers add %s KEY'",
            name);
        return -TRYST_INVALID;
    default:
        cli_say_error("%s", err);
        return -TRYST_INVALID;
    }
}

static int allow(struct listen *l, const char *who)
{
    struct session_peer peer;

    if (strcmp(who, "all") == 0) {
        cli_say_note("warning: every peer that the server knows may connect here (--allow all)");
        return tryst_listener_allow_all(l->listener, 1);
    }
    if (cli_session_peer(who, &peer) != 0) {
        cli_say_error("--allow %s: neither a peer's name nor a key nor 'all'", who);
        return -TRYST_INVALID;
    }
    if (peer.is_key)
        return tryst_listener_allow_key(l->listener, peer.key);
    return allow_name(l, peer.text);
}

static int allow_listed(struct listen *l)
{
    for (int i = 0; i < l->cli->allow.count; i++)
        if (allow(l, l->cli->allow.at[i]) != 0)
            return -1;
    if (l->cli->allow.count == 0) {
        cli_say_note("warning: nobody is allowed to connect here yet");
        cli_say_note("to allow a peer: 'tryst listen --allow KEY', with the key that 'tryst id' "
                     "prints there");
    }
    return 0;
}

static void decline(struct listen *l, struct tryst_request *request)
{
    char who[192];
    int64_t now = cli_loop_now();

    cli_session_who(tryst_request_report(request), who, sizeof(who));
    (void)tryst_request_reject(request, "");
    l->declined++;
    if (now - l->declined_at < DECLINE_NOTE_MS && l->declined_at != 0)
        return;
    cli_say_note("declined %s: not allowed here (--allow)", who);
    if (l->declined > 1)
        cli_say_note("and %u more", l->declined - 1);
    l->declined = 0;
    l->declined_at = now;
}

/* ---- a session begins ---- */

static void hex(const uint8_t *in, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", in[i]);
}

static int start_command(struct listen *l, const struct tryst_report *report, struct relay_end *end,
                         pid_t *pid)
{
    uint8_t key[TRYST_KEY_SIZE] = {0}, id[TRYST_SESSION_ID_SIZE] = {0};
    char key_text[TRYST_KEY_TEXT_SIZE], id_text[2 * TRYST_SESSION_ID_SIZE + 1];
    char name[PEER_NAME_SIZE];

    (void)tryst_report_peer_key(report, key);
    (void)tryst_report_session_id(report, id);
    tryst_key_to_text(key, key_text);
    hex(id, sizeof(id), id_text);
    if (peer_name_parse(tryst_report_peer_name(report), name) != 0)
        name[0] = '\0';
    struct exec_session session = {.peer_key = key_text, .peer_name = name, .id = id_text};
    *pid = cli_exec_start(l->cli->exec, &session, end);
    return *pid > 0 ? 0 : -1;
}

/* Takes over fd and record. */
static void join(struct listen *l, const char *who, const struct tryst_report *report, int fd,
                 struct tryst_record *record)
{
    struct relay_end end;
    pid_t pid = 0;

    if (l->forward) {
        cli_loop_link_dial(&l->loop, who, fd, record, l->forward);
        return;
    }
    int bad = l->cli->exec ? start_command(l, report, &end, &pid) : cli_end_stdio(&end);
    if (bad) {
        cli_say_error("%s: %s: %s", who,
                      l->cli->exec ? "cannot start the command" : "standard input and output",
                      strerror(errno));
        (void)close(fd);
        if (record)
            tryst_record_free(record);
        if (is_once(l))
            cli_loop_stop(&l->loop, CLI_USAGE);
        return;
    }
    cli_loop_link(&l->loop, who, fd, record, &end, pid);
}

static void established(struct listen *l, struct tryst_report *report, int fd)
{
    char who[192];
    struct tryst_record *record = NULL;

    if (!tryst_report_plain(report))
        record = tryst_report_take_record(report);
    cli_session_who(report, who, sizeof(who));
    if ((is_once(l) && l->taken) || (!record && !tryst_report_plain(report))) {
        (void)close(fd);
        if (record)
            tryst_record_free(record);
        return;
    }
    cli_say_note("connected: %s from %s", who, tryst_report_remote_endpoint(report));
    if (is_once(l)) {
        l->taken = true;
        l->loop.due = cli_loop_now() + RELEASE_MS;
    }
    const char *name = tryst_report_peer_name(report);
    join(l, *name ? name : who, report, fd, record);
}

/* ---- events ---- */

static void announce(struct listen *l)
{
    uint8_t key[TRYST_KEY_SIZE];
    char text[TRYST_KEY_TEXT_SIZE] = "?", server[HOST_SIZE + 16], url[SERVER_URL_SIZE],
         err[HOME_ERR_SIZE];
    const char *name = tryst_own_name(l->loop.ctx);

    if (tryst_own_key(l->loop.ctx, key) == 0)
        tryst_key_to_text(key, text);
    if (cli_home_server(&l->cli->home, l->cli->server, url, err, sizeof(err)) != 0)
        url[0] = '\0';
    (void)cli_session_server_name(url, server, sizeof(server));
    if (*name)
        cli_say_note("listening as %s (%s) at %s", name, text, server);
    else
        cli_say_note("listening as %s at %s", text, server);
}

static void channel_event(struct listen *l, const struct tryst_event *ev)
{
    switch (tryst_event_type(ev)) {
    case TRYST_EVENT_REGISTERED:
        if (!l->was_ready)
            announce(l);
        else if (l->lost)
            cli_say_note("the server is back");
        l->was_ready = true;
        l->lost = false;
        break;
    case TRYST_EVENT_DISCONNECTED:
        if (l->loop.stopping)
            break; /* on_stopped() says it */
        if (!l->lost)
            cli_say_note("%s; trying again until it works", tryst_strerror(tryst_event_reason(ev)));
        else
            cli_say_step("tryst: %s", tryst_strerror(tryst_event_reason(ev)));
        l->lost = true;
        break;
    case TRYST_EVENT_SURVEYED:
        cli_say_step("tryst: surveyed");
        break;
    case TRYST_EVENT_ASKED:
        cli_say_step("tryst: %s asked what a connection would come to", tryst_event_text(ev));
        break;
    default:
        break;
    }
}

static const char *short_name(const struct tryst_report *report)
{
    const char *name = report ? tryst_report_peer_name(report) : "";
    return *name ? name : "peer";
}

/* Several sessions may be under way: each event's new steps are lines of their own. */
static void show(struct tryst_request *request, const struct tryst_report *report, bool round_lost)
{
    struct progress *p = tryst_request_user(request);

    if (cli_say_level() < SAY_STEPS || !report)
        return;
    if (!p) {
        p = malloc(sizeof(*p));
        if (!p)
            return;
        cli_progress_start(p, short_name(report), false);
        tryst_request_set_user(request, p);
    }
    p->who = short_name(report);
    (void)cli_progress_update(p, report);
    if (round_lost)
        cli_progress_round_lost(p, report);
}

static void session_over(struct listen *l, struct tryst_event *ev, struct tryst_request *request)
{
    struct tryst_report *report = tryst_event_take_report(ev);
    struct progress *p = tryst_request_user(request);
    int reason = tryst_event_reason(ev);

    if (!tryst_report_check(report))
        cli_session_report_write(l->report_fd, report);
    if (p)
        cli_progress_end(p, report);
    free(p);
    if (tryst_event_type(ev) == TRYST_EVENT_ESTABLISHED)
        established(l, report, tryst_event_take_fd(ev));
    else if (reason != TRYST_DECLINED && reason != TRYST_CANCELLED)
        cli_say_note("no connection with %s: %s", short_name(report), tryst_strerror(reason));
    tryst_report_free(report);
}

static void on_event(struct loop *loop, struct tryst_event *ev)
{
    struct listen *l = loop->user;
    struct tryst_request *request = tryst_event_request(ev);
    enum tryst_event_type type = tryst_event_type(ev);

    if (!request) {
        channel_event(l, ev);
        return;
    }
    if (type == TRYST_EVENT_INCOMING) {
        decline(l, request);
        return;
    }
    if (type == TRYST_EVENT_INVITED && is_once(l) && l->taken)
        (void)tryst_cancel(request);
    show(request, tryst_request_report(request), type == TRYST_EVENT_ROUND_LOST);
    if (type == TRYST_EVENT_ESTABLISHED || type == TRYST_EVENT_FAILED)
        session_over(l, ev, request);
}

/* Sessions under way may end in peace. */
static void on_stopped(struct loop *loop, int reason)
{
    int status = cli_session_failed(NULL, reason, NULL);

    loop->status = status;
    if (!loop->links)
        cli_loop_stop(loop, status);
}

static void on_due(struct loop *loop)
{
    cli_loop_release(loop);
}

static void on_ended(struct loop *loop, struct link *link, enum relay_result result,
                     const char *why)
{
    struct listen *l = loop->user;
    int status = CLI_OK;

    if (result == RELAY_LOST || result == RELAY_FORGED) {
        cli_say_error("%s: %s", link->who, why);
        status = CLI_PEER;
    } else if (result == RELAY_LOCAL) {
        if (l->forward)
            cli_say_error("%s: %s: %s", link->who, l->cli->forward, why);
        else if (!link->relay || !cli_relay_reader_gone(link->relay))
            cli_say_error("%s: here: %s", link->who, why);
        status = CLI_USAGE;
    } else if (!uses_stdio(l)) {
        cli_say_note("ended: %s, %llu bytes sent, %llu received", link->who,
                     (unsigned long long)cli_relay_sent(link->relay),
                     (unsigned long long)cli_relay_received(link->relay));
    }
    if (is_once(l))
        cli_loop_stop(loop, status);
    else if (!loop->ctx && !loop->links)
        cli_loop_stop(loop, loop->status);
}

static void on_interrupted(struct loop *loop, int number)
{
    (void)number;
    cli_loop_stop(loop, CLI_OK);
}

static const struct loop_ops ops = {
    .event = on_event,
    .stopped = on_stopped,
    .ended = on_ended,
    .due = on_due,
    .interrupted = on_interrupted,
};

/* ---- start ---- */

static int start_listener(struct listen *l)
{
    l->listener = tryst_listen(l->loop.ctx);
    if (!l->listener)
        return cli_session_failed(NULL, TRYST_NO_MEMORY, NULL);
    if (l->cli->plain)
        (void)tryst_listener_set_plain(l->listener, 1);
    return allow_listed(l) == 0 ? CLI_OK : CLI_USAGE;
}

/* A machine that has just started may have no name service yet. */
static int resolve(struct listen *l)
{
    int pause = RESOLVE_LEAST_MS;
    int bad;

    while ((bad = tryst_resolve(l->loop.ctx)) == -TRYST_RESOLVE) {
        cli_say_note("%s; trying again in %d s", tryst_strerror(bad), pause / 1000);
        if (cli_loop_pause(&l->loop, pause))
            return bad;
        pause = pause * 2 < RESOLVE_MOST_MS ? pause * 2 : RESOLVE_MOST_MS;
    }
    return bad;
}

static int start(struct listen *l)
{
    int status = start_listener(l);

    if (status != CLI_OK)
        return status;
    int bad = tryst_set_fail_fast(l->loop.ctx, 0);
    if (!bad)
        bad = resolve(l);
    if (l->loop.done)
        return CLI_OK;
    if (!bad)
        bad = tryst_start(l->loop.ctx);
    return bad ? cli_session_failed(NULL, bad, NULL) : CLI_OK;
}

static int run(struct listen *l, struct tryst_context *ctx)
{
    if (cli_loop_init(&l->loop, &ops, l, ctx) != 0) {
        cli_say_error("%s", strerror(errno));
        tryst_free(ctx);
        return CLI_USAGE;
    }
    int status = start(l);
    if (status == CLI_OK)
        status = cli_loop_run(&l->loop);
    cli_loop_free(&l->loop);
    return status;
}

static int check_options(struct listen *l)
{
    char err[HOME_ERR_SIZE];

    if (l->cli->forward && l->cli->exec) {
        cli_say_error("--forward and --exec cannot be given together");
        return -1;
    }
    if (l->cli->forward && cli_dial_resolve(l->cli->forward, &l->forward, err, sizeof(err)) != 0) {
        cli_say_error("--forward %s", err);
        return -1;
    }
    return cli_session_report_open(l->cli->report, &l->report_fd);
}

int cli_listen(struct cli *cli, int argc, char **argv)
{
    struct listen l = {.cli = cli, .report_fd = -1};
    struct tryst_context *ctx = NULL;
    int status = CLI_USAGE;

    (void)argc;
    (void)argv;
    if (check_options(&l) == 0)
        ctx = cli_session_context(cli);
    if (ctx)
        status = run(&l, ctx);
    if (l.forward)
        freeaddrinfo(l.forward);
    if (l.report_fd >= 0)
        (void)close(l.report_fd);
    return status;
}
