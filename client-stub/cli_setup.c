/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client-stub/cli.h"
#include "client-stub/cli_loop.h"
#include "client-stub/cli_say.h"
#include "client-stub/cli_session.h"
#include "proto/keyfile.h"

/* tryst keygen, id and join: identity and server. */

#define JOIN_MS   20000
#define TOKEN_MAX 255

static int fail(const char *text)
{
    cli_say_error("%s", text);
    return CLI_USAGE;
}

static int print_key(const uint8_t key[KEY_SIZE])
{
    char text[KEY_TEXT_SIZE];

    (void)printf("%s\n", key_format(key, text));
    if (fflush(stdout) == 0)
        return CLI_OK;
    cli_say_error("standard output: %s", strerror(errno));
    return CLI_USAGE;
}

/* ---- keygen ---- */

/* The new key is complete on disk before the old one goes. */
static int replace_key(const char *path, const struct key_pair *key, char *err, size_t size)
{
    char fresh[PATH_MAX];

    if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh)) {
        (void)snprintf(err, size, "the path is too long");
        return -1;
    }
    (void)unlink(fresh);
    if (keyfile_create(fresh, key, err, size) != 0)
        return -1;
    if (rename(fresh, path) == 0)
        return 0;
    (void)snprintf(err, size, "cannot replace %.512s: %s", path, strerror(errno));
    (void)unlink(fresh);
    return -1;
}

int cli_keygen(struct cli *cli, int argc, char **argv)
{
    char err[HOME_ERR_SIZE];
    struct rng rng = rng_system();
    struct key_pair key;
    const char *path = cli->out ? cli->out : cli->home.key;

    (void)argc;
    (void)argv;
    if (!cli->out && !cli->key_file && cli_home_make(&cli->home, err, sizeof(err)) != 0)
        return fail(err);
    if (!cli->force && access(path, F_OK) == 0) {
        cli_say_error("%s exists: a new key is a new identity", path);
        cli_say_advice("to replace it nevertheless: --force");
        return CLI_USAGE;
    }
    key_generate(&rng, &key);
    int bad = cli->force ? replace_key(path, &key, err, sizeof(err))
                         : keyfile_create(path, &key, err, sizeof(err));
    sodium_memzero(key.secret, sizeof(key.secret));
    return bad ? fail(err) : print_key(key.public);
}

/* ---- id ---- */

int cli_id(struct cli *cli, int argc, char **argv)
{
    char err[HOME_ERR_SIZE], url[SERVER_URL_SIZE];
    struct key_pair key;

    (void)argc;
    (void)argv;
    if (cli->show_server) {
        if (cli_home_server(&cli->home, cli->server, url, err, sizeof(err)) != 0)
            return fail(err);
        (void)printf("%s\n", url);
        return CLI_OK;
    }
    if (cli_home_load_key(&cli->home, &key, err, sizeof(err)) != 0)
        return fail(err);
    sodium_memzero(key.secret, sizeof(key.secret));
    return print_key(key.public);
}

/* ---- join ---- */

struct invitation {
    char url[SERVER_URL_SIZE]; /* in its one form, without the token */
    char token[TOKEN_MAX + 1]; /* or "" */
};

/* tryst://KEY@HOST:PORT#TOKEN, or the token by itself. */
static int read_invitation(const char *text, const char *token, struct invitation *out)
{
    char url[SERVER_URL_SIZE + TOKEN_MAX + 2];
    struct server_url parsed;

    if (snprintf(url, sizeof(url), "%s", text) >= (int)sizeof(url)) {
        cli_say_error("a server URL is never that long");
        return -1;
    }
    char *fragment = strchr(url, '#');
    if (fragment)
        *fragment++ = '\0';
    if (fragment && token) {
        cli_say_error("the URL holds a token already: which one is meant?");
        return -1;
    }
    if (fragment)
        token = fragment;
    const char *wrong = server_url_parse(url, &parsed);
    if (wrong) {
        cli_say_error("%s: %s", url, wrong);
        cli_say_advice("'trystctl url' on the server prints its URL: tryst://KEY@HOST:PORT");
        return -1;
    }
    if ((token && strlen(token) > TOKEN_MAX) || (token && *token == '\0')) {
        cli_say_error("that is not a token");
        return -1;
    }
    (void)server_url_format(&parsed, out->url);
    (void)snprintf(out->token, sizeof(out->token), "%s", token ? token : "");
    return 0;
}

/* Waits until the server has taken us in, or has said no. Returns 0 or a reason. */
static int await_registration(struct tryst_context *ctx, char *detail, size_t size)
{
    int64_t until = cli_loop_now() + JOIN_MS;
    int reason = -1;

    detail[0] = '\0';
    while (reason < 0) {
        int64_t left = until - cli_loop_now();
        if (left <= 0)
            return TRYST_TIMEOUT;
        int n = tryst_wait(ctx, (int)left);
        struct tryst_event *ev = tryst_next_event(ctx);
        if (!ev && n < 0)
            return -n;
        if (!ev)
            continue;
        if (tryst_event_type(ev) == TRYST_EVENT_REGISTERED)
            reason = TRYST_OK;
        else if (tryst_event_type(ev) == TRYST_EVENT_DISCONNECTED)
            reason = tryst_event_reason(ev);
        if (reason > 0)
            (void)snprintf(detail, size, "%s", tryst_event_text(ev));
        tryst_event_free(ev);
    }
    return reason;
}

static int contact(struct cli *cli, const struct invitation *invitation, char name[PEER_NAME_SIZE])
{
    char detail[256] = "";
    struct tryst_context *ctx = cli_session_context_at(cli, invitation->url);

    if (!ctx)
        return CLI_USAGE;
    int reason = 0;
    if (invitation->token[0])
        reason = -tryst_set_invite(ctx, invitation->token);
    if (!reason)
        reason = -tryst_resolve(ctx);
    if (!reason)
        reason = -tryst_start(ctx);
    if (!reason)
        reason = await_registration(ctx, detail, sizeof(detail));
    (void)snprintf(name, PEER_NAME_SIZE, "%s", reason ? "" : tryst_own_name(ctx));
    tryst_free(ctx);
    return reason ? cli_session_failed(NULL, reason, detail) : CLI_OK;
}

int cli_join(struct cli *cli, int argc, char **argv)
{
    char err[HOME_ERR_SIZE], name[PEER_NAME_SIZE] = "", text[KEY_TEXT_SIZE], server[HOST_SIZE + 16];
    struct invitation invitation;
    struct rng rng = rng_system();
    struct key_pair key;
    int made;

    if (read_invitation(argv[0], argc > 1 ? argv[1] : NULL, &invitation) != 0)
        return CLI_USAGE;
    if (cli->no_check && (invitation.token[0] || cli->name))
        return fail("a token and a name are for the server to see: leave out --no-check");
    if (cli_home_make(&cli->home, err, sizeof(err)) != 0 ||
        keyfile_load_or_create(cli->home.key, &rng, &key, &made, err, sizeof(err)) != 0)
        return fail(err);
    sodium_memzero(key.secret, sizeof(key.secret));
    int status = cli->no_check ? CLI_OK : contact(cli, &invitation, name);
    if (status != CLI_OK)
        return status;
    if (cli_home_save_server(&cli->home, invitation.url, err, sizeof(err)) != 0)
        return fail(err);

    (void)cli_session_server_name(invitation.url, server, sizeof(server));
    cli_say_note("%s %s%s%s", cli->no_check ? "set to join" : "joined", server, *name ? " as " : "",
                 name);
    cli_say_note("this peer's key%s: %s", made ? " (new)" : "", key_format(key.public, text));
    return CLI_OK;
}
