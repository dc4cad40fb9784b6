/* SPDX-License-Identifier: ISC */
#include "reason.h"

#include <stddef.h>
#include <string.h>

struct row {
    const char *name, *text, *advice;
    int status;
};

static const struct row rows[] = {
#define REASON(number, NAME, name, status, text, advice) [number] = {name, text, advice, status},
#include "reason.def"
#undef REASON
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* For numbers from a newer version, and for the gaps between the groups. */
static const struct row unknown = {"unknown", "a reason that this version does not know",
                                   "upgrade tryst", 4};

static const struct row *find(unsigned reason)
{
    return reason < ROWS && rows[reason].name ? &rows[reason] : &unknown;
}

const char *reason_name(unsigned reason)
{
    return find(reason)->name;
}

const char *reason_text(unsigned reason)
{
    return find(reason)->text;
}

const char *reason_advice(unsigned reason)
{
    return find(reason)->advice;
}

int reason_exit_status(unsigned reason)
{
    return find(reason)->status;
}

int reason_from_name(const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].name && strcmp(rows[i].name, name) == 0)
            return (int)i;
    return -1;
}
