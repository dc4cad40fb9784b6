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

#define CONF_TEXT_SIZE  256
#define CONF_LIST_MAX   16
#define CONF_ITEM_SIZE  128
#define CONF_FILES_MAX  64
#define CONF_FILES_TEXT "64"
/* A sentence with two paths in it. */
#define CONF_ERROR_SIZE 1024

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
    int line;       /* and the line in it; 0: not known (an empty list) */
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
    unsigned file_count; /* files read, in their order */
    char files[CONF_FILES_MAX][CONF_TEXT_SIZE];
};

/* The words of `registration`, in the table's order. */
enum { REGISTRATION_OPEN, REGISTRATION_ALLOWLIST, REGISTRATION_INVITE };
/* The words of `log-level` begin with the level of this number (see log.h). */
#define CONF_LOG_LEVEL_FIRST 3

/* Every option at its default. */
void conf_init_defaults(struct conf *c);

/*
 * Reads a file over *c, and the files that it includes. Returns 0, or -1 with *c untouched and err
 * saying "FILE:LINE: option 'x': what is wrong; what would be right". One thread at a time.
 */
int conf_read(const char *path, struct conf *c, char *err, size_t err_size);
/* The same for text in memory, without includes; `label` stands in for the file's name. */
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

/* All that makes up a configuration: a file, or NULL, and options of the command line over it. */
#define CONF_COMMANDS_MAX 64
struct conf_source {
    const char *path;
    unsigned count;
    struct {
        const char *name, *text;
    } set[CONF_COMMANDS_MAX];
};
/* Defaults, file and command line into *c. Returns 0, or -1 with a sentence in err. */
int conf_load(const struct conf_source *source, struct conf *c, char *err, size_t err_size);

/*
 * Writes a file that conf_read turns into the same configuration; what was included stands in it,
 * so it includes nothing. With `places` it also says of each option what its default is, where it
 * was set, and when a new value takes effect.
 */
void conf_print(FILE *out, const struct conf *c, bool places);

/* One option as it would stand in a file. Returns out. */
#define CONF_VALUE_SIZE (CONF_LIST_MAX * (2 * CONF_ITEM_SIZE + 4) + 8)
const char *conf_value(const struct conf *c, enum conf_option option, char out[CONF_VALUE_SIZE]);
/* "FILE:LINE", "command line" or "default". Returns out. */
#define CONF_WHERE_SIZE (CONF_TEXT_SIZE + 16)
const char *conf_where(const struct conf *c, enum conf_option option, char out[CONF_WHERE_SIZE]);
/* Takes over what a reload may change; options that need a restart stay as they are. */
void conf_take(struct conf *c, const struct conf *fresh);
bool conf_same(const struct conf *a, const struct conf *b, enum conf_option option);
/* Whether a new value of the option takes effect only after a restart. */
bool conf_needs_restart(enum conf_option option);

/* The word that an option of kind CHOICE stands at, e.g. "invite". */
const char *conf_word(enum conf_option option, int index);
/* 0; -1 with a sentence in err, when there is no option of this name. */
int conf_find(const char *name, char *err, size_t err_size);
/* The option's name in files and messages. */
const char *conf_name(enum conf_option option);

#endif
