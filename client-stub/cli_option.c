/* SPDX-License-Identifier: ISC */
#include "client-stub/cli_option.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "client-stub/cli.h"

#define OPTIONS_MAX 40
#define WORD_MAX    31

/* What getopt_long() wants to know; val is the row's number, beyond all characters. */
struct tables {
    const struct cli_option *row[OPTIONS_MAX];
    struct option names[OPTIONS_MAX + 1];
    char letters[3 * OPTIONS_MAX + 3];
    int count;
};

#define ROW_BASE 256

static void add_rows(struct tables *t, const struct cli_option *rows)
{
    char *end = t->letters + strlen(t->letters);

    for (; rows && rows->kind != OPTION_END && t->count < OPTIONS_MAX; rows++) {
        t->row[t->count] = rows;
        t->names[t->count] = (struct option){
            rows->name, rows->arg ? required_argument : no_argument, NULL, ROW_BASE + t->count};
        t->count++;
        if (rows->letter) {
            *end++ = rows->letter;
            if (rows->arg)
                *end++ = ':';
        }
    }
    *end = '\0';
}

static const struct cli_option *find_row(const struct tables *t, int val)
{
    if (val >= ROW_BASE)
        return t->row[val - ROW_BASE];
    for (int i = 0; i < t->count; i++)
        if (t->row[i]->letter == val)
            return t->row[i];
    return NULL;
}

static int parse_number(const struct cli_option *row, const char *text, int *out)
{
    char *end;

    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno || end == text || *end || v < row->least || v > row->most)
        return -1;
    *out = (int)v;
    return 0;
}

static int parse_seconds(const struct cli_option *row, const char *text, int *out)
{
    char *end;

    errno = 0;
    double v = strtod(text, &end);
    if (errno || end == text || *end || !isfinite(v) || v < row->least || v > row->most)
        return -1;
    *out = (int)(v * 1000);
    return *out > 0 ? 0 : -1;
}

static int set_value(const struct cli_option *row, void *values, const char *text)
{
    void *field = (char *)values + row->offset;
    struct cli_list *list;

    switch (row->kind) {
    case OPTION_FLAG:
        *(int *)field = 1;
        return 0;
    case OPTION_COUNT:
        ++*(int *)field;
        return 0;
    case OPTION_TEXT:
        *(const char **)field = text;
        return 0;
    case OPTION_LIST:
        list = field;
        if (list->count == CLI_LIST_MAX)
            return -1;
        list->at[list->count++] = text;
        return 0;
    case OPTION_NUMBER:
        return parse_number(row, text, field);
    case OPTION_SECONDS:
        return parse_seconds(row, text, field);
    case OPTION_END:
        break;
    }
    return -1;
}

static void explain_value(const struct cli_option *row, const char *text, char *err, size_t size)
{
    if (row->kind == OPTION_LIST)
        (void)snprintf(err, size, "--%s is given more than %d times", row->name, CLI_LIST_MAX);
    else
        (void)snprintf(err, size, "--%s %s: a number from %d to %d, please", row->name, text,
                       row->least, row->most);
}

static void explain_unknown(const struct tables *t, char **argv, int problem, char *err,
                            size_t size)
{
    const char *word = argv[optind - 1];
    const struct cli_option *row = optopt ? find_row(t, optopt) : NULL;

    if (problem == ':' && row)
        (void)snprintf(err, size, "--%s needs a value: %s", row->name, row->arg);
    else if (row && row->arg == NULL)
        (void)snprintf(err, size, "--%s takes no value", row->name);
    else if (optopt && optopt < ROW_BASE)
        (void)snprintf(err, size, "no such option: -%c", optopt);
    else {
        char name[WORD_MAX + 1];
        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
        const char *meant =
            cli_option_suggest(name, t->names, (size_t)t->count, sizeof(t->names[0]));
        (void)snprintf(err, size, "no such option: --%s%s%s%s", name,
                       meant ? " (did you mean --" : "", meant ? meant : "", meant ? "?)" : "");
    }
}

int cli_option_parse(const struct cli_option *options, const struct cli_option *more, void *values,
                     int stop_early, int argc, char **argv, char *err, size_t err_size)
{
    struct tables t = {.letters = ":"};
    int c;

    if (stop_early)
        (void)snprintf(t.letters, sizeof(t.letters), "+:");
    add_rows(&t, options);
    add_rows(&t, more);

    optind = 0; /* begins anew, with glibc and with musl */
    opterr = 0;
    while ((c = getopt_long(argc, argv, t.letters, t.names, NULL)) != -1) {
        const struct cli_option *row = find_row(&t, c);
        if (c == '?' || c == ':' || !row) {
            explain_unknown(&t, argv, c, err, err_size);
            return -1;
        }
        if (set_value(row, values, optarg) != 0) {
            explain_value(row, optarg, err, err_size);
            return -1;
        }
    }
    return optind;
}

void cli_option_print(FILE *out, const struct cli_option *options)
{
    for (const struct cli_option *o = options; o->kind != OPTION_END; o++) {
        char left[64];
        char letter[5] = "    ";
        if (o->letter)
            (void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
        (void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->arg ? " " : "",
                       o->arg ? o->arg : "");
        (void)fprintf(out, "  %-26s %s\n", left, o->help);
    }
}

/* Edits between two words; swapped neighbours count as one. */
static int distance(const char *a, const char *b)
{
    int d[WORD_MAX + 2][WORD_MAX + 2] = {{0}};
    int la = (int)strnlen(a, WORD_MAX), lb = (int)strnlen(b, WORD_MAX);

    for (int i = 0; i <= la; i++) {
        for (int j = 0; j <= lb; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[la][lb];
}

const char *cli_option_suggest(const char *word, const void *words, size_t count, size_t stride)
{
    const char *best = NULL;
    int least = 3; /* more edits than two are no typing error */

    for (size_t i = 0; i < count; i++) {
        const char *candidate = *(const char *const *)((const char *)words + i * stride);
        int edits = distance(word, candidate);
        if (edits < least && edits < (int)strlen(candidate)) {
            least = edits;
            best = candidate;
        }
    }
    return best;
}
