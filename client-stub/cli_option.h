/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CLI_OPTION_H
#define TRYST_CLI_OPTION_H

#include <stddef.h>
#include <stdio.h>

enum cli_option_kind {
    OPTION_END,
    OPTION_FLAG,    /* int, set to 1 */
    OPTION_COUNT,   /* int, one more each time */
    OPTION_TEXT,    /* const char * */
    OPTION_LIST,    /* struct cli_list */
    OPTION_NUMBER,  /* int, least to most */
    OPTION_SECONDS, /* int, in milliseconds; least to most are seconds */
};

/* One option: the parser, the help text and the test of the manual all read this row. */
struct cli_option {
    enum cli_option_kind kind;
    char letter; /* 0: none */
    const char *name;
    const char *arg; /* what the value is called; NULL for flags and counts */
    size_t offset;   /* of the field in the structure that is filled */
    int least, most;
    const char *help;
};

/*
 * Fills `values` from argv[1...] by the rows of both tables (`more` may be NULL), each ended by
 * OPTION_END, and moves the operands behind the options. With stop_early, the first operand ends
 * the options. Returns the index of the first operand, or -1 with a sentence in err.
 */
int cli_option_parse(const struct cli_option *options, const struct cli_option *more, void *values,
                     int stop_early, int argc, char **argv, char *err, size_t err_size);

/* One line per option. */
void cli_option_print(FILE *out, const struct cli_option *options);

/* Of `count` words (`stride` bytes apart, each beginning with a const char *), the one that was
 * probably meant, or NULL. */
const char *cli_option_suggest(const char *word, const void *words, size_t count, size_t stride);

#endif
