/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-stub/cli_known.h"
#include "client-stub/cli_outlook.h"
#include "client-stub/cli_progress.h"
#include "client-stub/cli_say.h"
#include "client-stub/cli_session.h"
#include "client-stub/json.h"

/* tryst check: what a connection would come to, before trying. */

struct check {
    struct cli *cli;
    struct tryst_context *ctx;
    const char *who; /* the peer as it was written, or NULL */
    struct session_peer peer;
    struct known pin;
    bool pinned;
};

/* ---- the end ---- */

static void print_failure(int reason)
{
    char out[2048];
    struct json j = json_begin(out, sizeof(out));

    json_print(&j, "{\"ok\":false,\"code\":%d", reason);
    json_string(&j, "reason", tryst_reason_name(reason));
    json_string(&j, "text", tryst_strerror(reason));
    json_string(&j, "advice", tryst_advice(reason));
    json_print(&j, "}");
    (void)json_end(&j);
    (void)printf("%s\n", out);
}

static int failed(const struct check *c, int reason, const char *detail)
{
    char was[KEY_TEXT_SIZE];

    reason = abs(reason);
    if (c->cli->json)
        print_failure(reason);
    int status = cli_session_failed(c->who, reason, detail);
    if (reason == TRYST_PEER_KEY && c->pinned)
        cli_say_advice("seen first (%s): %s", c->pin.first_seen, key_format(c->pin.key, was));
    return status;
}

static int print_json(const struct tryst_outlook *o)
{
    int len = tryst_outlook_json(o, NULL, 0);
    char *text = len > 0 ? malloc((size_t)len + 1) : NULL;

    if (!text) {
        cli_say_error("%s", tryst_strerror(TRYST_NO_MEMORY));
        return CLI_USAGE;
    }
    (void)tryst_outlook_json(o, text, (size_t)len + 1);
    (void)printf("%s\n", text);
    free(text);
    return cli_outlook_status(o);
}

static bool wants_color(void)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && *term &&
           strcmp(term, "dumb") != 0;
}

static int answered(const struct check *c, const struct tryst_outlook *o)
{
    if (c->cli->json)
        return print_json(o);
    if (cli_say_level() == SAY_QUIET)
        return cli_outlook_status(o);
    if (c->who)
        cli_outlook_print_peer(stdout, c->peer.text, o, wants_color());
    else
        cli_outlook_print_kinds(stdout, o, wants_color());
    return cli_outlook_status(o);
}

/* ---- on the way ---- */

/* Runs until the request's final event, showing the steps; takes no more than its own time. */
static struct tryst_event *await_final(struct check *c, struct tryst_request *request)
{
    struct progress progress;

    cli_progress_start(&progress, c->who ? c->peer.text : "check", false);
    for (;;) {
        (void)tryst_wait(c->ctx, -1);
        struct tryst_event *ev = tryst_next_event(c->ctx);
        if (!ev)
            continue;
        (void)cli_progress_update(&progress, tryst_request_report(request));
        enum tryst_event_type type = tryst_event_type(ev);
        if (type == TRYST_EVENT_SURVEYED)
            cli_say_step("tryst: surveyed");
        if (tryst_event_request(ev) == request &&
            (type == TRYST_EVENT_CHECKED || type == TRYST_EVENT_FAILED))
            return ev;
        tryst_event_free(ev);
    }
}

static int ask(struct check *c)
{
    int bad = tryst_resolve(c->ctx);

    if (!bad)
        bad = tryst_start(c->ctx);
    if (bad)
        return failed(c, bad, NULL);
    struct tryst_request *request =
        tryst_check_request(c->ctx, c->who ? c->peer.text : NULL, c->cli->timeout_ms);
    if (!request)
        return failed(c, TRYST_NO_MEMORY, NULL);
    if (c->pinned)
        (void)tryst_request_pin(request, c->pin.key);
    struct tryst_event *final = await_final(c, request);
    struct tryst_outlook *o = tryst_event_take_outlook(final);
    int status = o ? answered(c, o) : failed(c, tryst_event_reason(final), tryst_event_text(final));
    tryst_outlook_free(o);
    tryst_event_free(final);
    return status;
}

/* ---- start ---- */

static int find_peer(struct check *c)
{
    char err[HOME_ERR_SIZE];

    if (cli_session_peer(c->who, &c->peer) != 0) {
        cli_say_error("'%s' is neither a peer's name nor a key", c->who);
        return -1;
    }
    if (c->peer.is_key)
        return 0;
    int found = cli_known_find(c->cli->home.known, c->peer.text, &c->pin, err, sizeof(err));
    if (found < 0)
        cli_say_error("%s", err);
    c->pinned = found == 1;
    return found < 0 ? -1 : 0;
}

int cli_check(struct cli *cli, int argc, char **argv)
{
    struct check c = {.cli = cli, .who = argc > 0 ? argv[0] : NULL};

    if (c.who && find_peer(&c) != 0)
        return CLI_USAGE;
    c.ctx = cli_session_context(cli);
    if (!c.ctx)
        return CLI_USAGE;
    int status = ask(&c);
    tryst_free(c.ctx);
    return status;
}
