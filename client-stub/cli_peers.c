/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include "client-stub/cli.h"
#include "client-stub/cli_known.h"
#include "client-stub/cli_say.h"
#include "client-stub/cli_session.h"

/* tryst peers: what known_peers says, and changes to it. */

static void print_text(void *user, const struct known *known)
{
    char key[KEY_TEXT_SIZE];
    int *count = user;

    if ((*count)++ == 0)
        (void)printf("%-24s %-44s %s\n", "NAME", "KEY", "FIRST SEEN");
    (void)printf("%-24s %-44s %s\n", known->name, key_format(known->key, key), known->first_seen);
}

/* A name has no character that JSON would want escaped; a date from a file edited by hand might. */
static void print_json(void *user, const struct known *known)
{
    char key[KEY_TEXT_SIZE];
    const char *date = known->first_seen;

    (void)user;
    if (strspn(date, "0123456789-") != strlen(date))
        date = "-";
    (void)printf("{\"name\":\"%s\",\"key\":\"%s\",\"first_seen\":\"%s\"}\n", known->name,
                 key_format(known->key, key), date);
}

static int fail(const char *text)
{
    cli_say_error("%s", text);
    return CLI_USAGE;
}

static int list(struct cli *cli)
{
    char err[HOME_ERR_SIZE];
    int count = 0;

    if (cli_known_each(cli->home.known, cli->json ? print_json : print_text, &count, err,
                       sizeof(err)) != 0)
        return fail(err);
    return CLI_OK;
}

static int forget(struct cli *cli, const char *who)
{
    char err[HOME_ERR_SIZE];
    struct session_peer peer;

    if (cli_session_peer(who, &peer) != 0) {
        cli_say_error("'%s' is neither a peer's name nor a key", who);
        return CLI_USAGE;
    }
    if (cli_home_make(&cli->home, err, sizeof(err)) != 0)
        return fail(err);
    int n = cli_known_forget(cli->home.known, peer.is_key ? NULL : peer.text, peer.key, err,
                             sizeof(err));
    if (n < 0)
        return fail(err);
    if (n == 0) {
        cli_say_error("no peer known here is called %s", peer.text);
        return CLI_USAGE;
    }
    return CLI_OK;
}

static int add(struct cli *cli, const char *name, const char *key_text)
{
    char err[HOME_ERR_SIZE], clean[PEER_NAME_SIZE], was[KEY_TEXT_SIZE];
    uint8_t key[KEY_SIZE];
    struct known had;

    if (peer_name_parse(name, clean) != 0 || key_parse(key_text, key) != 0) {
        cli_say_error("a peer is added as NAME KEY; '%s' '%s' is not that", name, key_text);
        return CLI_USAGE;
    }
    if (cli_home_make(&cli->home, err, sizeof(err)) != 0)
        return fail(err);
    int pinned = cli_known_pin(cli->home.known, clean, key, &had, err, sizeof(err));
    if (pinned < 0)
        return fail(err);
    if (pinned == KNOWN_OTHER) {
        cli_say_error("%s is known with another key: %s", clean, key_format(had.key, was));
        cli_say_advice("if the new one is right: 'tryst peers forget %s' first", clean);
        return CLI_USAGE;
    }
    return CLI_OK;
}

int cli_peers(struct cli *cli, int argc, char **argv)
{
    if (argc == 0)
        return list(cli);
    if (strcmp(argv[0], "forget") == 0 && argc == 2)
        return forget(cli, argv[1]);
    if (strcmp(argv[0], "add") == 0 && argc == 3)
        return add(cli, argv[1], argv[2]);
    cli_say_error(
        "usage: tryst peers [--json] | tryst peers forget NAME|KEY | tryst peers add NAME KEY");
    return CLI_USAGE;
}
