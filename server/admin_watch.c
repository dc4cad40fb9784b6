/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_internal.h"
#include "nearest.h"
#include "show.h"

/*
 * Live events. Each watcher has a bounded buffer: one that reads too slowly loses events, and is
 * told how many as soon as it reads on. The loop never waits for it.
 */

/* Watchers stay for hours: others must still find a slot. */
#define WATCHERS_MOST (ADMIN_CLIENTS / 2)
/* An event more goes out while less than this waits; some hundreds of events. */
#define WAITING_MOST ((size_t)256 << 10)

static const char *const kinds[] = {
#define EVENT(kind, when) kind,
#include "event.def"
#undef EVENT
    "session", "store", /* what several begin with */
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* "session" asks for "session-started", too. */
static bool kind_matches(const char *asked, const char *kind)
{
    size_t len = strlen(asked);

    return strncmp(kind, asked, len) == 0 && (!len || !kind[len] || kind[len] == '-');
}

static bool kind_known(const char *asked)
{
    for (size_t i = 0; i < KINDS; i++)
        if (kind_matches(asked, kinds[i]))
            return true;
    return false;
}

/* {"key", "name"} as the filter wants it. */
static bool is_peer(const struct admin_filter *f, const json_t *peer)
{
    uint8_t key[KEY_SIZE];
    const char *text = json_string_value(json_object_get(peer, "key"));
    const char *name = json_string_value(json_object_get(peer, "name"));

    if (!f->by_key)
        return name && strcmp(name, f->name) == 0;
    return text && key_parse(text, key) == 0 && key_equal(key, f->key);
}

static bool peer_matches(const struct admin_filter *f, const json_t *members)
{
    return f->any_peer || is_peer(f, json_object_get(members, "peer")) ||
           is_peer(f, json_object_get(members, "requester")) ||
           is_peer(f, json_object_get(members, "target"));
}

static char *event_line(const char *kind, const json_t *members)
{
    json_t *event = json_object();
    char *text, *line = NULL;

    json_object_set_new(event, "time", show_stamp(admin_wall_clock()));
    json_object_set_new(event, "kind", json_string(kind));
    json_object_update(event, (json_t *)(uintptr_t)members);
    text = json_dumps(event, SHOW_FLAGS);
    if (text && asprintf(&line, ADMIN_ANSWER_BEGIN "%s\n", text + 1) < 0)
        line = NULL;
    free(text);
    json_decref(event);
    return line;
}

/* What it has lost goes before what it gets now. */
static void tell_lost(struct admin_client *c)
{
    json_t *members = json_pack("{s:I}", "events", (json_int_t)c->watch.lost);
    char *line = event_line("lost", members);

    json_decref(members);
    if (line)
        admin_put(c, line);
    c->watch.lost = 0;
    free(line);
}

static void give(struct admin_client *c, const char *line)
{
    if (!line || admin_waiting(c) >= WAITING_MOST) {
        c->watch.lost++;
        return;
    }
    if (c->watch.lost)
        tell_lost(c);
    admin_put(c, line);
    if (c->fd >= 0)
        ev_io_start(c->admin->loop, &c->write);
}

bool admin_watched(const struct admin *admin)
{
    return admin && admin->watchers > 0;
}

void admin_publish(struct admin *admin, const char *kind, json_t *members)
{
    char *line = NULL;

    for (unsigned i = 0; admin_watched(admin) && i < ADMIN_CLIENTS; i++) {
        struct admin_client *c = &admin->clients[i];
        if (c->fd < 0 || !c->watch.on || !kind_matches(c->watch.kind, kind) ||
            !peer_matches(&c->filter, members))
            continue;
        if (!line)
            line = event_line(kind, members);
        give(c, line);
    }
    free(line);
    json_decref(members);
}

/* It has read all, so nothing is gained by waiting for the next event. */
void admin_watch_drained(struct admin_client *c)
{
    if (c->watch.lost)
        tell_lost(c);
}

void admin_watch_end(struct admin_client *c)
{
    if (c->watch.on)
        c->admin->watchers--;
    c->watch = (struct admin_watch){0};
}

/* A half-closed connection still wants events (netcat's, whose input has ended); only a watcher
 * that is gone hangs up. */
bool admin_watch_gone(const struct admin_client *c)
{
    struct pollfd p = {.fd = c->fd};

    return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR);
}

static void refuse_kind(struct admin_client *c, const char *kind)
{
    const char *near = nearest(kind, kinds, KINDS);

    if (near)
        admin_refuse(c, "kind: there are no events '%.64s'; did you mean '%s'?", kind, near);
    else
        admin_refuse(c,
                     "kind: there are no events '%.64s'; 'session', 'registered' and 'ban' are"
                     " some, trystctl(1) lists them",
                     kind);
}

void admin_run_watch(struct admin_client *c, const json_t *args)
{
    const char *kind = admin_text_arg(args, "kind");

    if (!kind_known(kind)) {
        refuse_kind(c, kind);
        return;
    }
    if (admin_peer_filter(c, admin_text_arg(args, "peer")))
        return;
    if (c->admin->watchers >= WATCHERS_MOST) {
        admin_refuse(c, "%d watch already, and more cannot", WATCHERS_MOST);
        return;
    }
    snprintf(c->watch.kind, sizeof(c->watch.kind), "%s", kind);
    c->watch.on = true;
    c->admin->watchers++;
    admin_reply(c, json_pack("{s:b}", "watching", 1));
}
