/* SPDX-License-Identifier: ISC */
#include "client-stub/cli_session.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-stub/cli_say.h"
#include "proto/reason.h"

#define AGENT_SIZE 64

static int configure(struct cli *cli, struct tryst_context *ctx, const uint8_t *secret,
                     const char *url)
{
    char agent[AGENT_SIZE];
    int bad = tryst_set_key(ctx, secret);

    (void)snprintf(agent, sizeof(agent), "tryst/%s", tryst_version());
    if (!bad)
        bad = tryst_set_server(ctx, url);
    if (!bad)
        bad = tryst_set_agent(ctx, agent);
    if (!bad && cli->name)
        bad = tryst_set_name(ctx, cli->name);
    if (!bad && cli->budget)
        bad = tryst_set_budget(ctx, (unsigned)cli->budget);
    if (!bad && cli->birthday)
        bad = tryst_set_birthday(ctx, 1);
    if (!bad && cli_say_level() >= SAY_DEBUG)
        bad = tryst_set_log(ctx, TRYST_LOG_DEBUG, cli_say_log, NULL);
    return bad;
}

struct tryst_context *cli_session_context_at(struct cli *cli, const char *url)
{
    char err[HOME_ERR_SIZE], name[PEER_NAME_SIZE];
    struct key_pair key;

    if (cli->name && peer_name_parse(cli->name, name) != 0) {
        cli_say_error("'%s' cannot be a peer's name: 1 to 63 letters, digits, '-', '_' and '.'",
                      cli->name);
        return NULL;
    }
    if (cli_home_load_key(&cli->home, &key, err, sizeof(err)) != 0) {
        cli_say_error("%s", err);
        return NULL;
    }
    struct tryst_context *ctx = tryst_new(NULL);
    int bad = ctx ? configure(cli, ctx, key.secret, url) : -TRYST_NO_MEMORY;
    sodium_memzero(&key, sizeof(key));
    if (bad) {
        cli_session_failed(NULL, bad, NULL);
        tryst_free(ctx);
        return NULL;
    }
    return ctx;
}

struct tryst_context *cli_session_context(struct cli *cli)
{
    char err[HOME_ERR_SIZE], url[SERVER_URL_SIZE];

    if (cli_home_server(&cli->home, cli->server, url, err, sizeof(err)) != 0) {
        cli_say_error("%s", err);
        return NULL;
    }
    return cli_session_context_at(cli, url);
}

int cli_session_status(int reason)
{
    reason = abs(reason);
    if (reason == TRYST_RESOLVE)
        return CLI_SERVER;
    return reason < TRYST_INVALID ? reason_exit_status((unsigned)reason) : CLI_USAGE;
}

int cli_session_failed(const char *who, int reason, const char *detail)
{
    const char *what = tryst_strerror(reason);
    bool more = detail && *detail && strcmp(detail, what) != 0;

    cli_say_error("%s%s%s%s%s%s", who ? who : "", who ? ": " : "", what, more ? " (" : "",
                  more ? detail : "", more ? ")" : "");
    cli_say_advice("%s", tryst_advice(reason));
    return cli_session_status(reason);
}

int cli_session_peer(const char *text, struct session_peer *out)
{
    memset(out, 0, sizeof(*out));
    out->is_key = key_parse(text, out->key) == 0;
    if (out->is_key) {
        (void)key_format(out->key, out->text);
        return 0;
    }
    return peer_name_parse(text, out->text);
}

void cli_session_who(const struct tryst_report *report, char *out, size_t size)
{
    uint8_t key[TRYST_KEY_SIZE];
    char text[TRYST_KEY_TEXT_SIZE] = "?";
    const char *name = tryst_report_peer_name(report);

    if (tryst_report_peer_key(report, key) == 0)
        tryst_key_to_text(key, text);
    if (*name)
        (void)snprintf(out, size, "%s (%s)", name, text);
    else
        (void)snprintf(out, size, "%s", text);
}

const char *cli_session_server_name(const char *url, char *out, size_t size)
{
    struct server_url parsed;

    if (server_url_parse(url, &parsed) != NULL)
        (void)snprintf(out, size, "?");
    else
        (void)snprintf(out, size, strchr(parsed.host, ':') ? "[%s]:%u" : "%s:%u", parsed.host,
                       parsed.port);
    return out;
}

int cli_session_report_open(const char *path, int *fd)
{
    *fd = -1;
    if (!path)
        return 0;
    if (strcmp(path, "-") == 0)
        *fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    else
        *fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    if (*fd >= 0)
        return 0;
    cli_say_error("cannot write %s: %s", path, strerror(errno));
    return -1;
}

void cli_session_report_write(int fd, const struct tryst_report *report)
{
    if (fd < 0 || !report)
        return;
    int len = tryst_report_json(report, NULL, 0);
    char *text = len > 0 ? malloc((size_t)len + 2) : NULL;
    if (!text)
        return;
    (void)tryst_report_json(report, text, (size_t)len + 1);
    text[len] = '\n';
    cli_say_live(NULL);
    if (write(fd, text, (size_t)len + 1) < 0)
        cli_say_error("cannot write the report: %s", strerror(errno));
    free(text);
}
