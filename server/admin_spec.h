/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_ADMIN_SPEC_H
#define TRYST_ADMIN_SPEC_H

#include <jansson.h>
#include <stddef.h>

/* admin.def as rows: which commands the admin socket has, and what they take. Daemon and trystctl
 * share it. */

#define ADMIN_SCHEMA   1
#define ADMIN_LINE_MAX 65536 /* a request */
#define ADMIN_ARGS_MAX 12

enum admin_arg_kind {
    ADMIN_ARG_NONE,
    ADMIN_FLAG,
    ADMIN_TEXT,
    ADMIN_NUMBER,
    ADMIN_WORD,
    ADMIN_NEEDED
};

struct admin_arg {
    enum admin_arg_kind kind;
    const char *name;
    const char *help;
};

/* What a command does to the daemon. */
enum admin_right { ADMIN_READ, ADMIN_CHANGE };

struct admin_spec {
    enum admin_right right;
    const char *name;
    const char *usage;
    const char *help;
    struct admin_arg args[ADMIN_ARGS_MAX]; /* ends with ADMIN_ARG_NONE */
};

enum admin_command_number {
#define COMMAND(symbol, right, name, usage, help) ADMIN_##symbol,
#define ARG(kind, name, help)
#define END
#include "admin.def"
#undef COMMAND
#undef ARG
#undef END
    ADMIN_COMMANDS
};

extern const struct admin_spec admin_specs[ADMIN_COMMANDS];

/* NULL for no such command, with a sentence in err that names the nearest one. */
const struct admin_spec *admin_spec_find(const char *name, char *err, size_t err_size);

/*
 * Words of a command line, after the command's name, to an "args" object. NULL with a sentence in
 * err. Checked as admin_args_check does.
 */
json_t *admin_args_parse(const struct admin_spec *spec, char *const *words, size_t count, char *err,
                         size_t err_size);

/* Whether args (NULL: none) holds what the command takes, in the right types, and nothing else. 0
 * or -1. */
int admin_args_check(const struct admin_spec *spec, const json_t *args, char *err, size_t err_size);

#endif
