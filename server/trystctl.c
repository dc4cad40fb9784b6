/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "trystctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_spec.h"
#include "conf.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

/* The command line, and the one request that it becomes. */

enum { STATUS_OK, STATUS_USAGE, STATUS_UNREACHABLE, STATUS_REFUSED };

#define WORDS_MAX 64

struct invocation {
    bool json, help, version;
    const char *socket;
    char *words[WORDS_MAX];
    size_t count;
};

static const char *default_socket(void)
{
    static struct conf conf;

    conf_init_defaults(&conf);
    return conf.admin_socket;
}

/* --- help --- */

static const char *usage_of(const struct admin_spec *spec)
{
    return ctl_format("%s%s%s", spec->name, *spec->usage ? " " : "", spec->usage);
}

static void print_help(void)
{
    puts("usage: trystctl [--json] [--admin-socket PATH] COMMAND [ARGUMENT...]\n\n"
         "Asks a running trystd.\n");
    for (size_t i = 0; i < ADMIN_COMMANDS; i++)
        printf("  %s\n      %s\n", usage_of(&admin_specs[i]), admin_specs[i].help);
    printf("\n  --json               print the daemon's answer as it is, one line of JSON\n"
           "  --admin-socket PATH  where the daemon listens (default %s)\n"
           "  --help, --version    also 'trystctl COMMAND --help'\n\n"
           "Exit status: 0 done, 1 wrong usage, 2 daemon not reachable, 3 the daemon refused.\n"
           "trystctl(1) says more.\n",
           default_socket());
}

static void print_command_help(const struct admin_spec *spec)
{
    printf("usage: trystctl %s\n\n%s\n", usage_of(spec), spec->help);
    for (const struct admin_arg *a = spec->args; a->kind != ADMIN_ARG_NONE; a++) {
        bool word = a->kind == ADMIN_WORD || a->kind == ADMIN_NEEDED;
        printf("%s  %-12s %s\n", a == spec->args ? "\n" : "",
               ctl_format("%s%s", word ? "" : "--", a->name), a->help);
    }
}

/* --- the command line --- */

/* Options of trystctl itself may stand anywhere before "--". Returns 0, or -1 after a complaint. */
static int parse_words(int argc, char **argv, struct invocation *in)
{
    bool bare = false;

    in->socket = default_socket();
    for (int i = 1; i < argc; i++) {
        const char *w = argv[i];
        if (!bare && strcmp(w, "--json") == 0) {
            in->json = true;
        } else if (!bare && (strcmp(w, "--help") == 0 || strcmp(w, "-h") == 0)) {
            in->help = true;
        } else if (!bare && strcmp(w, "--version") == 0) {
            in->version = true;
        } else if (!bare && strncmp(w, "--admin-socket=", 15) == 0) {
            in->socket = w + 15;
        } else if (!bare && strcmp(w, "--admin-socket") == 0) {
            if (++i == argc) {
                ctl_complain("--admin-socket needs a path");
                return -1;
            }
            in->socket = argv[i];
        } else if (in->count == WORDS_MAX) {
            ctl_complain("more than %d words", WORDS_MAX);
            return -1;
        } else {
            bare |= strcmp(w, "--") == 0;
            in->words[in->count++] = argv[i];
        }
    }
    if (in->count > 0 && in->words[0][0] == '-') {
        ctl_complain("there is no option %s; try 'trystctl --help'", in->words[0]);
        return -1;
    }
    return 0;
}

/* --- answers --- */

static void print_url(const json_t *answer)
{
    puts(ctl_text(answer, "url"));
}

static void print_metrics(const json_t *answer)
{
    fputs(ctl_text(answer, "text"), stdout);
}

static void print_level(const json_t *answer)
{
    puts(ctl_text(answer, "level"));
}

static void print_nats(const json_t *answer)
{
    if (ctl_has(answer, "observations"))
        ctl_print_nat(answer);
    else
        ctl_print_nats(answer);
}

/* What has nothing to say says nothing. */
static void (*const printers[ADMIN_COMMANDS])(const json_t *) = {
    [ADMIN_STATUS] = ctl_print_status,
    [ADMIN_PEERS] = ctl_print_peers,
    [ADMIN_SESSIONS] = ctl_print_sessions,
    [ADMIN_SESSION] = ctl_print_session,
    [ADMIN_NATS] = print_nats,
    [ADMIN_STATS] = ctl_print_stats,
    [ADMIN_METRICS] = print_metrics,
    [ADMIN_LIMITS] = ctl_print_limits,
    [ADMIN_URL] = print_url,
    [ADMIN_INVITE] = ctl_print_invite,
    [ADMIN_INVITES] = ctl_print_invites,
    [ADMIN_REVOKE] = ctl_print_notes,
    [ADMIN_ALLOW] = ctl_print_notes,
    [ADMIN_DENY] = ctl_print_notes,
    [ADMIN_ACCESS] = ctl_print_access,
    [ADMIN_BAN] = ctl_print_ban,
    [ADMIN_UNBAN] = ctl_print_notes,
    [ADMIN_BANS] = ctl_print_bans,
    [ADMIN_NAMES] = ctl_print_names,
    [ADMIN_NAME] = ctl_print_name,
    [ADMIN_CONFIG] = ctl_print_config,
    [ADMIN_RELOAD] = ctl_print_reload,
    [ADMIN_CHECK_STORE] = ctl_print_check_store,
    [ADMIN_BACKUP] = ctl_print_backup,
    [ADMIN_LOG_LEVEL] = print_level,
    [ADMIN_HELP] = ctl_print_help,
};

static int print_answer(const struct invocation *in, const struct admin_spec *spec,
                        const char *line)
{
    json_error_t where;
    json_t *answer = json_loads(line, 0, &where);
    int status = STATUS_OK;

    if (!json_is_object(answer)) {
        ctl_complain("the daemon's answer is not JSON: %s", where.text);
        status = STATUS_REFUSED;
    } else if (in->json) {
        puts(line);
        status = ctl_true(answer, "ok") ? STATUS_OK : STATUS_REFUSED;
    } else if (!ctl_true(answer, "ok")) {
        ctl_complain("%s", ctl_text(answer, "error"));
        status = STATUS_REFUSED;
    } else if (ctl_int(answer, "schema") != ADMIN_SCHEMA) {
        ctl_complain("the daemon answers with schema %d, this trystctl knows %d; use --json, or the"
                     " trystctl of the same version",
                     (int)ctl_int(answer, "schema"), ADMIN_SCHEMA);
        status = STATUS_REFUSED;
    } else if (printers[spec - admin_specs]) {
        printers[spec - admin_specs](answer);
    }
    json_decref(answer);
    return status;
}

static int converse(const struct invocation *in, const struct admin_spec *spec,
                    const json_t *request)
{
    struct ctl_lines lines;
    int status = STATUS_UNREACHABLE;

    if (ctl_open(&lines, in->socket, request))
        return status;
    const char *line = ctl_line(&lines);
    if (line)
        status = print_answer(in, spec, line);
    else
        ctl_complain("%s: the daemon ended the connection without an answer", in->socket);
    if (spec == &admin_specs[ADMIN_WATCH] && status == STATUS_OK && ctl_watch(&lines, in->json))
        status = STATUS_UNREACHABLE;
    ctl_close(&lines);
    return status;
}

static int run(const struct invocation *in)
{
    char err[256];
    const struct admin_spec *spec = admin_spec_find(in->words[0], err, sizeof(err));

    if (!spec) {
        ctl_complain("%s", err);
        return STATUS_USAGE;
    }
    if (in->help) {
        print_command_help(spec);
        return STATUS_OK;
    }
    json_t *args = admin_args_parse(spec, in->words + 1, in->count - 1, err, sizeof(err));
    if (!args) {
        ctl_complain("%s", err);
        return STATUS_USAGE;
    }
    json_t *request = json_pack("{s:s, s:o}", "command", spec->name, "args", args);
    int status = request ? converse(in, spec, request) : STATUS_UNREACHABLE;
    json_decref(request);
    return status;
}

int main(int argc, char **argv)
{
    struct invocation in = {0};

    ctl_style_init();
    if (parse_words(argc, argv, &in))
        return STATUS_USAGE;
    if (in.version) {
        puts("trystctl " PACKAGE_VERSION);
        return STATUS_OK;
    }
    if (in.count == 0 && in.help) {
        print_help();
        return STATUS_OK;
    }
    if (in.count == 0) {
        ctl_complain("which command? 'trystctl --help' lists them");
        return STATUS_USAGE;
    }
    int status = run(&in);
    /* A full disk or a closed pipe behind stdout is no success. */
    if (fflush(stdout) && status == STATUS_OK && errno != EPIPE)
        status = STATUS_REFUSED;
    return status;
}
