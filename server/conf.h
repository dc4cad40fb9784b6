/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_CONF_H
#define TRYST_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * The configuration as a value: one field per row of options.def. It holds no pointers, so it may
 * be copied, and there is nothing to free.
 */

#define CONF_TEXT_SIZE 256
#define CONF_LIST_MAX  16
#define CONF_ITEM_SIZE 64

struct conf_list {
    unsigned count;
    char at[CONF_LIST_MAX][CONF_ITEM_SIZE];
};

enum conf_option {
#define OPTION(KIND, name, field, text, least, most, when, help) CONF_OPTION_##field,
#include "options.def"
#undef OPTION
    CONF_OPTIONS
};

/* Who last set an option. */
enum conf_origin { CONF_DEFAULT, CONF_FILE, CONF_COMMAND };

/* Where an option was last set. */
struct conf_place {
    uint8_t origin; /* enum conf_origin */
    uint8_t file;   /* of CONF_FILE: index into struct conf's files */
    int line;       /* and the line in it */
};

#define CONF_C_INT    int64_t
#define CONF_C_MSEC   int64_t
#define CONF_C_SEC    int64_t
#define CONF_C_BOOL   bool
#define CONF_C_TEXT   char
#define CONF_C_CHOICE int
#define CONF_C_LIST   struct conf_list
#define CONF_A_INT
#define CONF_A_MSEC
#define CONF_A_SEC
#define CONF_A_BOOL
#define CONF_A_TEXT [CONF_TEXT_SIZE]
#define CONF_A_CHOICE
#define CONF_A_LIST

struct conf {
#define OPTION(KIND, name, field, text, least, most, when, help) CONF_C_##KIND field CONF_A_##KIND;
#include "options.def"
#undef OPTION
    struct conf_place place[CONF_OPTIONS];
};

/* The words of `registration`, in the table's order. */
enum { REGISTRATION_OPEN, REGISTRATION_ALLOWLIST, REGISTRATION_INVITE };
/* The words of `log-level` begin with the level of this number (see log.h). */
#define CONF_LOG_LEVEL_FIRST 3

/* Every option at its default. */
void conf_init_defaults(struct conf *c);

/*
 * Reads a file over *c. Returns 0, or -1 with *c untouched and err saying
 * "FILE:LINE: option 'x': what is wrong; what would be right".
 */
int conf_read(const char *path, struct conf *c, char *err, size_t err_size);
/* The same for text in memory; `label` stands in for the file's name. */
int conf_parse(const char *label, const char *text, size_t len, struct conf *c, char *err,
               size_t err_size);

/*
 * Sets one option from the command line. The first value for a list replaces what defaults and file
 * put there, each further one is appended. Returns 0, or -1 with *c untouched and a sentence in
 * err.
 */
int conf_set(struct conf *c, const char *name, const char *text, char *err, size_t err_size);

/*
 * What can be judged only once everything is set (how long lists are). conf_read does so by itself;
 * to be called again after the last conf_set.
 */
int conf_check(const struct conf *c, char *err, size_t err_size);

/* Writes a file that conf_read turns into the same configuration. */
void conf_print(FILE *out, const struct conf *c);

/* The word that an option of kind CHOICE stands at, e.g. "invite". */
const char *conf_word(enum conf_option option, int index);
/* The option's name in files and messages. */
const char *conf_name(enum conf_option option);

#endif
