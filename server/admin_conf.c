/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <string.h>

#include "admin_internal.h"
#include "show.h"

/* Commands on the configuration. */

static json_t *view(const struct view_option *v)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:s, s:o}", "name", v->name, "value",
                     show_text(v->value), "default", show_text(v->standard), "set",
                     show_text(v->set), "takes_effect", v->restart ? "restart" : "reload",
                     "pending", show_label(v->pending));
}

static bool is_changed(const struct view_option *v)
{
    return strcmp(v->value, v->standard) != 0 || v->pending[0];
}

static json_t *row_option(struct admin_client *c, size_t index, bool *end)
{
    struct view_option v;

    *end = !c->admin->source.option(c->admin->source.user, index, &v);
    if (*end || (c->filter.changed && !is_changed(&v)) ||
        (c->filter.option[0] && strcmp(c->filter.option, v.name) != 0))
        return NULL;
    return view(&v);
}

void admin_run_config(struct admin_client *c, const json_t *args)
{
    const char *name = admin_text_arg(args, "option");
    char err[256];

    if (*name && conf_find(name, err, sizeof(err))) {
        admin_refuse(c, "%s", err);
        return;
    }
    snprintf(c->filter.option, sizeof(c->filter.option), "%s", name);
    c->filter.changed = admin_flag_arg(args, "changed");
    c->walk = (struct admin_walk){.row = row_option, .name = "options", .left = CONF_OPTIONS};
    admin_walk(c);
}

void admin_run_reload(struct admin_client *c, const json_t *args)
{
    const struct admin_source *s = &c->admin->source;
    char err[256];

    (void)args;
    admin_note(c, "reload", "");
    if (s->reload(s->user, ++c->admin->tickets, err, sizeof(err)))
        admin_refuse(c, "%s", err);
    else
        c->ticket = c->admin->tickets;
}
