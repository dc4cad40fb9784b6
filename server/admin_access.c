/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdio.h>
#include <string.h>

#include "admin_internal.h"
#include "show.h"
#include "span.h"

/* Who may use the server: invites, and what is done to single peers. */

void admin_run_invite(struct admin_client *c, const json_t *args)
{
    const struct admin_source *s = &c->admin->source;
    const char *ttl = admin_text_arg(args, "ttl"), *given = admin_text_arg(args, "name");
    char url[SERVER_URL_SIZE + 64] = "", err[256] = "", name[PEER_NAME_SIZE] = "";
    int64_t ms = 0;

    if (*ttl && (span_parse(ttl, &ms) || ms < 1000)) {
        admin_refuse(c, "ttl: '%.64s' is no length of time; 30min, 12h or 7d are", ttl);
        return;
    }
    if (*given && peer_name_parse(given, name)) {
        admin_refuse(c,
                     "name: '%.80s' is no peer name: letters, digits, '-', '_' and '.', 63 at most",
                     given);
        return;
    }
    if (s->invite(s->user, name, ms / 1000, url, err, sizeof(err))) {
        admin_refuse(c, "%s", err);
        return;
    }
    admin_note(c, "invite", *name ? name : "(any name)");
    admin_reply(c, json_pack("{s:o, s:o}", "url", show_text(url), "name", show_label(name)));
}

static void run_change(struct admin_client *c, const char *what, const char *whom,
                       int (*change)(void *, const char *, char *, size_t))
{
    char err[256] = "";

    if (change(c->admin->source.user, whom, err, sizeof(err))) {
        admin_refuse(c, "%s", err);
        return;
    }
    admin_note(c, what, whom);
    admin_reply(c, json_object());
}

void admin_run_allow(struct admin_client *c, const json_t *args)
{
    run_change(c, "allow", admin_text_arg(args, "key"), c->admin->source.allow);
}

void admin_run_deny(struct admin_client *c, const json_t *args)
{
    run_change(c, "deny", admin_text_arg(args, "key"), c->admin->source.deny);
}

void admin_run_kick(struct admin_client *c, const json_t *args)
{
    run_change(c, "kick", admin_text_arg(args, "peer"), c->admin->source.kick);
}
