/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <confuse.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf_table.h"

/*
 * libconfuse splits the file into names and values; what they mean is conf.c's. Every option is a
 * text to it, so that errors about values are ours too. It hands no user pointer to its callbacks,
 * and its lexer is global anyway: one file at a time.
 */
static struct {
    struct conf *conf;
    int line[CONF_OPTIONS]; /* where an option stands; 0: not in the file */
    int lines;              /* in the file */
    const char *label;
    char *err;
    size_t err_size;
    bool included;
    bool failed;
} reading;

/* The first error is the one worth telling: later ones follow from it. */
static void fail(int line, const char *sentence)
{
    if (reading.failed)
        return;
    reading.failed = true;
    if (line > reading.lines) /* what is missed at the end is missed after the last line */
        line = reading.lines;
    if (line > 0)
        snprintf(reading.err, reading.err_size, "%s:%d: %s", reading.label, line, sentence);
    else
        snprintf(reading.err, reading.err_size, "%s: %s", reading.label, sentence);
}

/* libconfuse's own complaints. */
static void on_error(cfg_t *cfg, const char *format, va_list args)
{
    static const char no_such[] = "no such option '";
    char text[256], sentence[256];

    vsnprintf(text, sizeof(text), format, args);
    if (strncmp(text, no_such, sizeof(no_such) - 1) == 0) {
        char *name = text + sizeof(no_such) - 1;
        name[strcspn(name, "'")] = '\0';
        conf_row_unknown(name, sentence, sizeof(sentence));
    } else {
        snprintf(sentence, sizeof(sentence), "%.200s; NAME = VALUE would be right", text);
    }
    fail(cfg ? cfg->line : 0, sentence);
}

/*
 * Called after each value, and once more at the end of a list. A list is set again from its start
 * each time: assignment and += then need no different treatment.
 */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
    const struct conf_row *row = conf_row_find(cfg_opt_name(opt));
    char sentence[512];
    unsigned count = cfg_opt_size(opt);

    if (!row)
        return 0;
    if (row->kind == CONF_K_LIST)
        reading.conf->place[row->option].origin = CONF_DEFAULT;
    if (row->option == CONF_OPTION_include && reading.included) {
        fail(cfg->line, "option 'include': an included file includes no others; the line would be"
                        " right in the file that includes this one");
        return -1;
    }
    reading.line[row->option] = cfg->line;
    for (unsigned i = 0; i < count; i++) {
        const char *text = cfg_opt_getnstr(opt, i);
        if (!text || !conf_row_set(reading.conf, row, CONF_FILE, text, sentence, sizeof(sentence)))
            continue;
        fail(cfg->line, sentence);
        return -1;
    }
    reading.conf->place[row->option] =
        (struct conf_place){CONF_FILE, (uint8_t)(reading.conf->file_count - 1), cfg->line};
    return 0;
}

static void make_options(cfg_opt_t opts[CONF_OPTIONS + 1])
{
    static const cfg_opt_t end = CFG_END();

    for (unsigned i = 0; i < CONF_OPTIONS; i++) {
        cfg_opt_t text = CFG_STR(conf_rows[i].name, NULL, CFGF_NODEFAULT);
        cfg_opt_t list = CFG_STR_LIST(conf_rows[i].name, NULL, CFGF_NODEFAULT);
        memcpy(&opts[i], conf_rows[i].kind == CONF_K_LIST ? &list : &text, sizeof(opts[i]));
    }
    memcpy(&opts[CONF_OPTIONS], &end, sizeof(end));
}

/* The end of the comment or quoted text at `at`; `at` itself if there is none; beyond `len`: no
 * end. */
static size_t token_end(const char *text, size_t len, size_t at, bool *comment)
{
    char c = text[at], next = at + 1 < len ? text[at + 1] : '\0';

    *comment = c == '#' || (c == '/' && (next == '/' || next == '*'));
    if (c == '/' && next == '*') {
        const char *end = memmem(text + at + 2, len - at - 2, "*/", 2);
        return end ? (size_t)(end - text) + 2 : len + 1;
    }
    if (*comment) {
        const char *end = memchr(text + at, '\n', len - at);
        return end ? (size_t)(end - text) : len;
    }
    if (c != '"' && c != '\'')
        return at;
    for (at++; at < len && text[at] != c; at++)
        if (text[at] == '\\' && at + 1 < len)
            at++;
    return at + 1; /* len + 1 if no quote was left */
}

static int line_of(const char *text, size_t at)
{
    int line = 1;

    for (size_t i = 0; i < at; i++)
        line += text[i] == '\n';
    return line;
}

/*
 * Overwrites comments with blanks, newlines excepted: libconfuse 3.3 counts the line of a comment
 * twice, and a wrong line number is worse than none.
 */
static void blank_comments(char *text, size_t len)
{
    bool comment, starts = true; /* whether a token may start here */

    for (size_t at = 0; at < len;) {
        size_t end = starts ? token_end(text, len, at, &comment) : at;
        if (end == at) {
            starts = strchr(" \t\r\n={}(),+", text[at++]) != NULL;
            continue;
        }
        if (end > len) { /* libconfuse would silently take the rest of the file for it */
            fail(line_of(text, at), comment
                                        ? "a comment without its end; */ would be right"
                                        : "a quote without its end; another quote would be right");
            return;
        }
        for (; at < end; at++)
            if (comment && text[at] != '\n')
                text[at] = ' ';
    }
}

/* An empty list has no values, so on_value is not called for it: its line is not known. */
static void set_empty_lists(cfg_t *cfg)
{
    for (unsigned i = 0; i < CONF_OPTIONS; i++) {
        const struct conf_row *row = &conf_rows[i];
        cfg_opt_t *opt = cfg_getopt(cfg, row->name);
        if (row->kind != CONF_K_LIST || !opt || cfg_opt_size(opt) || !(opt->flags & CFGF_RESET) ||
            (row->option == CONF_OPTION_include && reading.included))
            continue;
        reading.conf->place[i].origin = CONF_DEFAULT;
        (void)conf_row_set(reading.conf, row, CONF_FILE, "", NULL, 0);
        reading.conf->place[i].file = (uint8_t)(reading.conf->file_count - 1);
        reading.line[i] = 0;
    }
}

/* Runs libconfuse over the text; whatever it finds is in `reading`. */
static void parse(char *text, size_t len)
{
    cfg_opt_t opts[CONF_OPTIONS + 1];

    make_options(opts);
    cfg_t *cfg = cfg_init(opts, CFGF_NONE);
    FILE *file = fmemopen(text, len, "r");
    if (!cfg || !file) {
        fail(0, "not enough memory to read it");
    } else {
        cfg_set_error_function(cfg, on_error);
        for (unsigned i = 0; i < CONF_OPTIONS; i++)
            cfg_set_validate_func(cfg, conf_rows[i].name, on_value);
        if (cfg_parse_fp(cfg, file) != CFG_SUCCESS)
            fail(cfg->line, "syntax error; NAME = VALUE would be right");
        if (!reading.failed)
            set_empty_lists(cfg);
    }
    if (file)
        fclose(file);
    if (cfg)
        cfg_free(cfg);
}

static void check_lists(const struct conf *c)
{
    char sentence[256];

    for (unsigned i = 0; i < CONF_OPTIONS && !reading.failed; i++)
        if (conf_row_check(c, &conf_rows[i], sentence, sizeof(sentence)))
            fail(reading.line[i], sentence);
}

/* Enters the file's name, for messages about what it sets. */
static void enter(struct conf *c, const char *label)
{
    if (c->file_count == CONF_FILES_MAX)
        fail(0, "one file too many; " CONF_FILES_TEXT " at most would be right");
    else if (strlen(label) >= CONF_TEXT_SIZE || !conf_text_is_plain(label))
        fail(0, "its name is too long or has control characters; another one would be right");
    else
        snprintf(c->files[c->file_count++], CONF_TEXT_SIZE, "%s", label);
}

int conf_parse_file(const char *label, const char *text, size_t len, bool included, struct conf *c,
                    char *err, size_t err_size)
{
    struct conf trial = *c;
    char *copy = malloc(len + 1);

    memset(&reading, 0, sizeof(reading));
    reading.conf = &trial;
    reading.included = included;
    reading.label = label;
    reading.err = err;
    reading.err_size = err_size;
    enter(&trial, label);
    if (reading.failed) {
        /* nothing to be done with it */
    } else if (!copy) {
        fail(0, "not enough memory to read it");
    } else if (memchr(text, '\0', len)) {
        fail(0, "there are zero bytes in it; a text file would be right");
    } else {
        memcpy(copy, text, len);
        copy[len] = '\n'; /* for a last line without one, and fmemopen wants one byte at least */
        reading.lines = line_of(text, len > 0 ? len - 1 : 0);
        blank_comments(copy, len);
        if (!reading.failed)
            parse(copy, len + 1);
    }
    free(copy);
    check_lists(&trial);
    reading.conf = NULL;
    if (reading.failed)
        return -1;
    *c = trial;
    return 0;
}

int conf_parse(const char *label, const char *text, size_t len, struct conf *c, char *err,
               size_t err_size)
{
    return conf_parse_file(label, text, len, false, c, err, err_size);
}
