/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CLI_H
#define TRYST_CLI_H

#include "client-stub/cli_home.h"

/* What tryst exits with; reason_exit_status() speaks the same numbers. */
enum {
    CLI_OK = 0,
    CLI_USAGE = 1,  /* wrong use, or something wrong on this machine */
    CLI_SERVER = 2, /* the server is unreachable or refused us */
    CLI_PEER = 3,   /* the peer is offline, declined, or was lost */
    CLI_PUNCH = 4   /* no direct connection came about */
};

#define CLI_LIST_MAX 256
struct cli_list {
    const char *at[CLI_LIST_MAX];
    int count;
};

/* Every option of every command; the tables in cli.c say which command takes which. */
struct cli {
    const char *home_option;
    const char *server;
    const char *key_file;
    int verbose;
    int quiet;
    int help;
    int version;

    const char *name;
    struct cli_list allow;
    const char *forward;
    const char *exec;
    const char *local;
    const char *report;
    int once;
    int plain;
    int timeout_ms;
    int budget;
    int birthday;

    const char *out;
    int force;
    int no_check;
    int show_server;
    int json;

    struct home home;
};

/* The commands. Each gets its operands without the command's own name and returns an exit status.
 */
int cli_keygen(struct cli *cli, int argc, char **argv);
int cli_id(struct cli *cli, int argc, char **argv);
int cli_join(struct cli *cli, int argc, char **argv);
int cli_listen(struct cli *cli, int argc, char **argv);
int cli_connect(struct cli *cli, int argc, char **argv);
int cli_check(struct cli *cli, int argc, char **argv);
int cli_peers(struct cli *cli, int argc, char **argv);

#endif
