/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_CONF_TABLE_H
#define TRYST_CONF_TABLE_H

#include "conf.h"

/* options.def as rows; shared by conf.c (values), conf_file.c (files) and the tests. */

enum conf_kind {
    CONF_K_INT,
    CONF_K_MSEC,
    CONF_K_SEC,
    CONF_K_BOOL,
    CONF_K_TEXT,
    CONF_K_CHOICE,
    CONF_K_LIST
};

/* A pattern of `include`, with the folder that it is relative to. */
#define CONF_PATTERN_SIZE (CONF_TEXT_SIZE + CONF_ITEM_SIZE)

/* When a new value takes effect. */
enum conf_when { CONF_RELOAD, CONF_RESTART };

struct conf_row {
    enum conf_option option;
    enum conf_kind kind;
    const char *name;
    size_t offset, size; /* of the field */
    enum conf_when when;
    const char *text;    /* the default */
    int64_t least, most; /* of a number; of a list's length (most 0: any) */
    const char *words;   /* of a choice: "a|b|c" */
    const char *help;
};

extern const struct conf_row conf_rows[CONF_OPTIONS];

const struct conf_row *conf_row_find(const char *name);
/* Judges a text, or an item of a list: NULL, or how the sentence "'x' ..." goes on. */
const char *conf_row_judge(const struct conf_row *row, const char *text);
/* "unknown option 'x'; did you mean 'y'?" */
void conf_row_unknown(const char *name, char *err, size_t err_size);
/* Sets one option; on failure *c may be half changed, so it works on a copy. 0, or -1 with err. */
int conf_row_set(struct conf *c, const struct conf_row *row, enum conf_origin origin,
                 const char *text, char *err, size_t err_size);
/* conf_parse for a file that may be an included one, which includes no others. */
int conf_parse_file(const char *label, const char *text, size_t len, bool included, struct conf *c,
                    char *err, size_t err_size);
/* Printable in one line: what gets into logs and URLs must not end a line. */
bool conf_text_is_plain(const char *text);
/* conf_check for one row. */
int conf_row_check(const struct conf *c, const struct conf_row *row, char *err, size_t err_size);

#endif
