/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "admin_internal.h"
#include "show.h"

/* Limits, as far as they can be told. */

static json_t *number_or_null(bool known, uint64_t n)
{
    return known ? json_integer((json_int_t)n) : json_null();
}

static json_t *view_limit(const struct view_limit *v)
{
    json_t *o = json_object();

    json_object_set_new(o, "name", show_text(v->name));
    json_object_set_new(o, "used", number_or_null(v->used_known, v->used));
    json_object_set_new(o, "most", number_or_null(v->most_known, v->most));
    json_object_set_new(o, "hits", json_integer((json_int_t)v->hits));
    json_object_set_new(o, "last", show_stamp(v->last));
    json_object_set_new(o, "option", show_label(v->option));
    json_object_set_new(o, "help", show_text(v->help));
    return o;
}

void admin_run_limits(struct admin_client *c, const json_t *args)
{
    const struct admin_source *s = &c->admin->source;
    bool hit = admin_flag_arg(args, "hit");
    json_t *list = json_array();
    struct view_limit v;

    for (size_t i = 0; s->limit && s->limit(s->user, i, &v); i++)
        if (v.hits || !hit)
            json_array_append_new(list, view_limit(&v));
    admin_reply(c, json_pack("{s:o}", "limits", list));
}
