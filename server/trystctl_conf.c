/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdio.h>

#include "trystctl.h"

/* The configuration in force, and what a reload has brought. */

static void option_row(struct ctl_table *t, const json_t *o)
{
    bool pending = ctl_has(o, "pending");

    ctl_cell(t, CTL_PLAIN, ctl_text(o, "name"));
    ctl_cell(t, CTL_PLAIN, ctl_text(o, "value"));
    ctl_cell(t, CTL_PLAIN, ctl_text(o, "default"));
    ctl_cell(t, CTL_PLAIN, ctl_text(o, "set"));
    ctl_cell(t, pending ? CTL_YELLOW : CTL_PLAIN,
             pending ? ctl_format("restart: %s", ctl_text(o, "pending"))
                     : ctl_text(o, "takes_effect"));
}

void ctl_print_config(const json_t *answer)
{
    static const struct ctl_column columns[] = {
        {"OPTION", false, false, 0},        {"VALUE", false, true, 0},
        {"DEFAULT", false, true, 2},        {"SET BY", false, true, 1},
        {"A CHANGE NEEDS", false, true, 3},
    };
    struct ctl_table *t = ctl_table(columns, COUNT(columns));
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(answer, "options"), i, row) option_row(t, row);
    ctl_table_end(t);
}

static void print_change(const json_t *o)
{
    printf("%s = %s, was %s\n", ctl_text(o, "name"), ctl_text(o, "to"), ctl_text(o, "from"));
}

void ctl_print_reload(const json_t *answer)
{
    const json_t *changed = json_object_get(answer, "changed"), *row;
    size_t i;

    if (json_array_size(changed) == 0)
        puts("read again; nothing has changed");
    json_array_foreach(changed, i, row) print_change(row);
    const char *names = ctl_names(answer, "restart_needed");
    if (*names)
        printf("%srestart needed for: %s%s\n", ctl_colour(CTL_YELLOW), names,
               ctl_colour(CTL_PLAIN));
}
