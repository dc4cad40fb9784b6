/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "trystctl.h"

/* Limits as a table. */

static const char *amount(const json_t *l, const char *member)
{
    const char *name = ctl_text(l, "name");

    if (!ctl_has(l, member))
        return "-";
    if (strcmp(name, "memory") == 0 || strcmp(name, "buffers") == 0)
        return ctl_bytes(ctl_int(l, member));
    return ctl_format("%" PRId64, ctl_int(l, member));
}

/* Nine tenths of what there may be is worth a look. */
static enum ctl_colour colour_of(const json_t *l)
{
    bool full = ctl_has(l, "used") && ctl_has(l, "most") &&
                ctl_int(l, "used") >= ctl_int(l, "most") - ctl_int(l, "most") / 10;

    return full ? CTL_YELLOW : CTL_PLAIN;
}

static void limit_row(struct ctl_table *t, const json_t *l)
{
    ctl_cell(t, CTL_PLAIN, ctl_text(l, "name"));
    ctl_cell(t, colour_of(l), amount(l, "used"));
    ctl_cell(t, CTL_PLAIN, amount(l, "most"));
    ctl_cell(t, ctl_int(l, "hits") ? CTL_YELLOW : CTL_PLAIN,
             ctl_format("%" PRId64, ctl_int(l, "hits")));
    ctl_cell(t, CTL_PLAIN, ctl_when(l, "last"));
    ctl_cell(t, CTL_PLAIN, ctl_has(l, "option") ? ctl_text(l, "option") : "-");
    ctl_cell(t, CTL_DIM, ctl_text(l, "help"));
}

void ctl_print_limits(const json_t *answer)
{
    static const struct ctl_column columns[] = {
        {"LIMIT", false, false, 0}, {"USED", true, false, 0},      {"MOST", true, false, 0},
        {"HITS", true, false, 0},   {"LAST HIT", false, false, 1}, {"RAISED BY", false, true, 2},
        {"WHAT", false, true, 3},
    };
    const json_t *list = json_object_get(answer, "limits");

    if (json_array_size(list) == 0) {
        if (ctl_style.tty)
            puts("no limit has been hit");
        return;
    }
    struct ctl_table *t = ctl_table(columns, COUNT(columns));
    for (size_t i = 0; i < json_array_size(list); i++)
        limit_row(t, json_array_get(list, i));
    ctl_table_end(t);
}
