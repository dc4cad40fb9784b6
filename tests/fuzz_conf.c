/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */

/* A configuration file. What is accepted must print as a file that is accepted, and mean the same.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/conf_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *print(const struct conf *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        abort();
    conf_print(out, c, false);
    (void)fclose(out);
    return text;
}

static void check_print(const struct conf *c)
{
    char err[512], *text = print(c), *again;
    struct conf back;

    conf_init_defaults(&back);
    if (conf_parse("printed", text, strlen(text), &back, err, sizeof(err))) {
        (void)fprintf(stderr, "%s\n%s", err, text);
        abort();
    }
    again = print(&back);
    if (strcmp(text, again) != 0)
        abort();
    free(text);
    free(again);
}

/* As an included file: it says where it is wrong, and includes no others. */
static void check_included(const char *text, size_t size)
{
    struct conf c;
    char err[512] = "";

    conf_init_defaults(&c);
    if (conf_parse_file("part", text, size, true, &c, err, sizeof(err))) {
        if (strncmp(err, "part:", 5) != 0 || c.file_count)
            abort();
        return;
    }
    if (c.include.count || c.file_count != 1)
        abort();
    for (unsigned i = 0; i < CONF_OPTIONS; i++)
        if (c.place[i].origin == CONF_FILE && c.place[i].file)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf c;
    char err[512] = "";

    check_included((const char *)data, size);
    conf_init_defaults(&c);
    if (conf_parse("fuzz", (const char *)data, size, &c, err, sizeof(err)) == 0)
        check_print(&c);
    else if (strncmp(err, "fuzz:", 5) != 0)
        abort();
    return 0;
}
