/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <inttypes.h>
#include <stdio.h>

#include "trystctl.h"

/* Who may use the server: lists, and what came of a change. */

#define MORE "ask with a greater --limit"

void ctl_print_notes(const json_t *answer)
{
    if (ctl_int(answer, "closed"))
        printf("disconnected: %s\n", ctl_count(ctl_int(answer, "closed"), "channel"));
    if (ctl_has(answer, "note"))
        printf("%s\n", ctl_text(answer, "note"));
    if (ctl_has(answer, "stored") && !ctl_true(answer, "stored"))
        fprintf(stderr,
                "trystctl: in force, but not stored: the store cannot write at present and tries "
                "again; 'trystctl status' says why\n");
}

/* --- invites --- */

void ctl_print_invite(const json_t *answer)
{
    puts(ctl_text(answer, "url"));
    ctl_print_notes(answer);
}

void ctl_print_invites(const json_t *answer)
{
    static const struct ctl_column columns[] = {
        {"ID", false, false, 0},      {"NAME", false, true, 0},  {"CREATED", false, false, 3},
        {"EXPIRES", false, false, 1}, {"USED", false, false, 2}, {"BY", false, false, 2},
    };
    const json_t *list = json_object_get(answer, "invites");

    if (ctl_print_none(list, "invites"))
        return;
    struct ctl_table *t = ctl_table(columns, COUNT(columns));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        ctl_cell(t, CTL_PLAIN, ctl_text(o, "id"));
        ctl_cell(t, CTL_PLAIN, ctl_has(o, "name") ? ctl_text(o, "name") : "-");
        ctl_cell(t, CTL_PLAIN, ctl_when(o, "created"));
        ctl_cell(t, CTL_PLAIN, ctl_when(o, "expires"));
        ctl_cell(t, CTL_PLAIN, ctl_when(o, "used"));
        ctl_cell(t, CTL_PLAIN, ctl_has(o, "used_by") ? ctl_short(ctl_text(o, "used_by"), 8) : "-");
    }
    ctl_table_end(t);
    ctl_print_more(answer, MORE);
}

/* --- allowed and banned --- */

static void print_entries(const json_t *answer, const char *name, const char *none)
{
    static const struct ctl_column columns[] = {
        {"SUBJECT", false, false, 0}, {"NAME", false, true, 0},   {"CREATED", false, false, 2},
        {"EXPIRES", false, false, 0}, {"REASON", false, true, 1},
    };
    const json_t *list = json_object_get(answer, name);

    if (ctl_print_none(list, none))
        return;
    struct ctl_table *t = ctl_table(columns, COUNT(columns));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        ctl_cell(t, CTL_PLAIN, ctl_text(o, "subject"));
        ctl_cell(t, CTL_PLAIN, ctl_has(o, "name") ? ctl_text(o, "name") : "-");
        ctl_cell(t, CTL_PLAIN, ctl_when(o, "created"));
        ctl_cell(t, CTL_PLAIN, ctl_has(o, "expires") ? ctl_when(o, "expires") : "never");
        ctl_cell(t, CTL_PLAIN, ctl_has(o, "reason") ? ctl_text(o, "reason") : "-");
    }
    ctl_table_end(t);
    ctl_print_more(answer, MORE);
}

void ctl_print_access(const json_t *answer)
{
    print_entries(answer, "access", "allowed keys");
}

void ctl_print_bans(const json_t *answer)
{
    print_entries(answer, "bans", "bans");
}

void ctl_print_ban(const json_t *answer)
{
    bool named = ctl_has(answer, "name");

    printf("banned %s%s%s%s %s%s\n", ctl_text(answer, "subject"), named ? " (" : "",
           ctl_text(answer, "name"), named ? ")" : "",
           ctl_has(answer, "expires") ? "until " : "for good", ctl_text(answer, "expires"));
    ctl_print_notes(answer);
}

/* --- names --- */

void ctl_print_names(const json_t *answer)
{
    static const struct ctl_column columns[] = {
        {"NAME", false, true, 0},
        {"KEY", false, false, 0},
        {"CONNECTED", false, false, 1},
        {"SEEN", false, false, 0},
    };
    const json_t *list = json_object_get(answer, "names");

    if (ctl_print_none(list, "names"))
        return;
    struct ctl_table *t = ctl_table(columns, COUNT(columns));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        ctl_cell(t, CTL_PLAIN, ctl_text(o, "name"));
        ctl_cell(t, CTL_PLAIN, ctl_short(ctl_text(o, "key"), 8));
        ctl_cell(t, CTL_PLAIN, ctl_true(o, "online") ? "yes" : "no");
        ctl_cell(t, CTL_PLAIN, ctl_when(o, "last_seen"));
    }
    ctl_table_end(t);
    ctl_print_more(answer, MORE);
}

void ctl_print_name(const json_t *answer)
{
    const char *name = ctl_text(answer, "name");

    if (ctl_has(answer, "key"))
        printf("%s is %s now, and no longer %s\n", name, ctl_text(answer, "key"),
               ctl_text(answer, "from"));
    else
        printf("%s is free, and no longer %s\n", name, ctl_text(answer, "from"));
    if (ctl_has(answer, "lost"))
        printf("the new holder's former name %s is free\n", ctl_text(answer, "lost"));
    if (ctl_true(answer, "connected"))
        puts("the former holder is connected; it learns of this when it registers again ('kick')");
    ctl_print_notes(answer);
}
