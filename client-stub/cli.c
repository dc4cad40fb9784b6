/* SPDX-License-Identifier: ISC */
#include "client-stub/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client-stub/cli_option.h"
#include "client-stub/cli_say.h"
#include "client-stub/tryst.h"

/* tryst: options and commands, each once, in tables; help and dispatch read them. */

#define AT(field) offsetof(struct cli, field)
#define FLAG(letter, name, field, help)                                                            \
    {                                                                                              \
        OPTION_FLAG, letter, name, NULL, AT(field), 0, 0, help                                     \
    }
#define TEXT(letter, name, arg, field, help)                                                       \
    {                                                                                              \
        OPTION_TEXT, letter, name, arg, AT(field), 0, 0, help                                      \
    }
#define NUMBER(name, arg, field, least, most, help)                                                \
    {                                                                                              \
        OPTION_NUMBER, 0, name, arg, AT(field), least, most, help                                  \
    }
#define END                                                                                        \
    {                                                                                              \
        OPTION_END, 0, NULL, NULL, 0, 0, 0, NULL                                                   \
    }

static const struct cli_option common_options[] = {
    TEXT(0, "home", "DIR", home_option, "where key, server and known peers are kept"),
    TEXT(0, "server", "URL", server, "the rendezvous server, instead of the stored one"),
    TEXT(0, "key", "FILE", key_file, "the secret key, instead of the one in the home"),
    {OPTION_COUNT, 'v', "verbose", NULL, AT(verbose), 0, 0,
     "show the steps as they happen; twice: the library's log"},
    FLAG('q', "quiet", quiet, "print errors only"),
    FLAG('h', "help", help, "explain the command"),
    END,
};

static const struct cli_option main_options[] = {
    FLAG('V', "version", version, "print the version"),
    END,
};

static const struct cli_option keygen_options[] = {
    TEXT('o', "output", "FILE", out, "where the key goes"),
    FLAG('f', "force", force, "replace a key that exists"),
    END,
};

static const struct cli_option id_options[] = {
    /* comes first, and so hides the option with a value */
    FLAG(0, "server", show_server, "print the server's URL instead"),
    END,
};

static const struct cli_option join_options[] = {
    TEXT('n', "name", "NAME", name, "the name that others will find this peer by"),
    FLAG(0, "no-check", no_check, "store the URL without contacting the server"),
    END,
};

#define PLAN_OPTIONS                                                                               \
    NUMBER("budget", "N", budget, 1, 512, "connection attempts (SYNs) a round, at most"),          \
        FLAG(0, "birthday", birthday, "hundreds of them, where nothing less helps")

#define PUNCH_OPTIONS                                                                              \
    FLAG(0, "plain", plain, "no encryption, if the other side agrees"), PLAN_OPTIONS,              \
        TEXT(0, "report", "FILE", report, "write a JSON line about each session")

static const struct cli_option listen_options[] = {
    TEXT('n', "name", "NAME", name, "the name that others find this peer by"),
    {OPTION_LIST, 'a', "allow", "WHO", AT(allow), 0, 0,
     "a key, a known peer's name, or 'all'; may be repeated"},
    TEXT('f', "forward", "HOST:PORT", forward, "connect each session to this address"),
    TEXT('e', "exec", "COMMAND", exec, "run a command for each session"),
    FLAG(0, "once", once, "end after the first session"),
    PUNCH_OPTIONS,
    END,
};

static const struct cli_option connect_options[] = {
    TEXT('n', "name", "NAME", name, "the name that others find this peer by"),
    TEXT('L', "local", "[ADDR:]PORT", local, "listen here; a session for each local connection"),
    {OPTION_SECONDS, 't', "timeout", "SECONDS", AT(timeout_ms), 0, 600, "for the whole way (20)"},
    PUNCH_OPTIONS,
    END,
};

static const struct cli_option check_options[] = {
    FLAG(0, "json", json, "one JSON object"),
    {OPTION_SECONDS, 't', "timeout", "SECONDS", AT(timeout_ms), 0, 600, "for the answer (20)"},
    PLAN_OPTIONS,
    END,
};

static const struct cli_option peers_options[] = {
    FLAG(0, "json", json, "one JSON object per line"),
    END,
};

struct command {
    const char *name;
    const char *operands;
    int least, most; /* how many operands */
    const struct cli_option *options;
    int (*run)(struct cli *cli, int argc, char **argv);
    const char *summary;
    const char *text;
};

static int help_command(struct cli *cli, int argc, char **argv);

static const struct cli_option no_options[] = {END};

static const struct command commands[] = {
    {"join", "URL [TOKEN]", 1, 2, join_options, cli_join, "make a key and sign up at a server",
     "URL is what 'trystctl url' or 'trystctl invite' prints on the server:\n"
     "tryst://KEY@HOST:PORT, with #TOKEN at its end or the token beside it."},
    {"connect", "PEER", 1, 1, connect_options, cli_connect, "connect to a peer",
     "PEER is a name or a key. Standard input and output become the connection, as with nc;\n"
     "with -L, local connections do. For ssh: -o ProxyCommand='tryst connect %h'."},
    {"listen", "", 0, 0, listen_options, cli_listen, "let peers connect to this machine",
     "The first session goes to standard input and output, unless --forward or --exec says\n"
     "where all sessions go. Nobody may connect who is not allowed."},
    {"check", "[PEER]", 0, 1, check_options, cli_check,
     "explain this NAT, or what a connection would come to",
     "Alone, surveys this NAT and says against which kinds of peers it will work. With PEER,\n"
     "says it for that one, before anything is tried: exit status 0 if a connection may come\n"
     "about, 4 if it will not, 3 if the peer is not there or declines, 2 for the server."},
    {"id", "", 0, 0, id_options, cli_id, "print this peer's public key",
     "The key is what others allow: 'tryst listen --allow KEY'."},
    {"peers", "[forget NAME|KEY | add NAME KEY]", 0, 3, peers_options, cli_peers,
     "list, forget or add known peers",
     "A peer's name belongs to the key it had at the first contact. 'forget' lets go of it;\n"
     "'add' enters a key that you were told."},
    {"keygen", "", 0, 0, keygen_options, cli_keygen, "make a key, and print its public half",
     "'tryst join' does this by itself where it is needed."},
    {"help", "[COMMAND]", 0, 1, no_options, help_command, "explain a command", ""},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* ---- help ---- */

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void print_usage(FILE *out, const struct command *c)
{
    (void)fprintf(out, "usage: tryst %s%s%s%s\n", c->name, c->options->name ? " [OPTION]..." : "",
                  *c->operands ? " " : "", c->operands);
}

static void print_overview(FILE *out)
{
    (void)fprintf(out, "usage: tryst COMMAND [OPTION]... [ARGUMENT]...\n\n"
                       "One direct TCP connection between two peers behind NATs.\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        (void)fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    (void)fprintf(out, "\nOptions of every command:\n");
    cli_option_print(out, common_options);
    cli_option_print(out, main_options);
    (void)fprintf(out, "\n'tryst help COMMAND' says more; tryst(1) says all.\n");
}

static int print_command(const struct command *c)
{
    print_usage(stdout, c);
    (void)printf("\n%s%s", c->text, *c->text ? "\n" : "");
    if (c->options->name) {
        (void)printf("\nOptions:\n");
        cli_option_print(stdout, c->options);
    }
    (void)printf("\nOptions of every command:\n");
    cli_option_print(stdout, common_options);
    return CLI_OK;
}

static int unknown_command(const char *name)
{
    const char *meant = cli_option_suggest(name, commands, COMMANDS, sizeof(commands[0]));

    if (meant)
        cli_say_error("no such command: %s (did you mean %s?)", name, meant);
    else
        cli_say_error("no such command: %s", name);
    cli_say_advice("'tryst help' lists them");
    return CLI_USAGE;
}

static int help_command(struct cli *cli, int argc, char **argv)
{
    (void)cli;
    if (argc == 0) {
        print_overview(stdout);
        return CLI_OK;
    }
    const struct command *c = find_command(argv[0]);
    return c ? print_command(c) : unknown_command(argv[0]);
}

/* ---- dispatch ---- */

static int usage_error(const struct command *c, const char *text)
{
    cli_say_error("%s", text);
    if (c)
        cli_say_advice("usage: tryst %s [OPTION]... %s", c->name, c->operands);
    cli_say_advice("'tryst help%s%s' says more", c ? " " : "", c ? c->name : "");
    return CLI_USAGE;
}

static int run_command(const struct command *c, struct cli *cli, int argc, char **argv)
{
    char err[HOME_ERR_SIZE];
    int first = cli_option_parse(c->options, common_options, cli, 0, argc, argv, err, sizeof(err));

    if (first < 0)
        return usage_error(c, err);
    if (cli->help)
        return print_command(c);
    if (argc - first < c->least)
        return usage_error(c, "something is missing");
    if (argc - first > c->most)
        return usage_error(c, "too many arguments");
    cli_say_setup(cli->quiet ? SAY_QUIET : cli->verbose);
    if (cli_home_find(&cli->home, cli->home_option, cli->key_file, err, sizeof(err)) != 0) {
        cli_say_error("%s", err);
        return CLI_USAGE;
    }
    return c->run(cli, argc - first, argv + first);
}

/* A descriptor 0 to 2 that is closed would be given to the next socket. */
static int open_stdio(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        int null = open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
        if (null != fd)
            return -1;
    }
    return 0;
}

static int finish(int status)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == CLI_OK) {
        cli_say_error("standard output: %s", strerror(errno));
        return CLI_USAGE;
    }
    return status;
}

static int run(int argc, char **argv)
{
    struct cli cli = {0};
    char err[HOME_ERR_SIZE];
    int first =
        cli_option_parse(common_options, main_options, &cli, 1, argc, argv, err, sizeof(err));

    if (first < 0)
        return usage_error(NULL, err);
    if (cli.version) {
        (void)printf("tryst %s\n", tryst_version());
        return CLI_OK;
    }
    if (first < argc) {
        const struct command *c = find_command(argv[first]);
        return c ? run_command(c, &cli, argc - first, argv + first) : unknown_command(argv[first]);
    }
    print_overview(cli.help ? stdout : stderr);
    return cli.help ? CLI_OK : CLI_USAGE;
}

int main(int argc, char **argv)
{
    if (open_stdio() != 0 || sodium_init() < 0) {
        cli_say_error("cannot start: no /dev/null, or no source of randomness");
        return CLI_USAGE;
    }
    return finish(run(argc, argv));
}
