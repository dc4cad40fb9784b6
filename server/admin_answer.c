/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "admin_internal.h"
#include "log.h"
#include "show.h"

/* Answers on their way to a client: in one piece, as a list row by row, or from the store. */

/* An answer of the store comes in one piece; no answer is larger than this. */
#define OUT_MOST ((size_t)16 << 20)
/* Rows looked at before the loop gets its turn: some tens of microseconds of work. */
#define WALK_SLICE 32
#define OK_BEGIN   "{\"ok\":true,"

size_t admin_waiting(const struct admin_client *c)
{
    return c->out.len - c->out.sent;
}

/* False: no room or no memory; the client is to be dropped. */
static bool reserve(struct admin_buffer *b, size_t more)
{
    if (b->sent == b->len)
        b->sent = b->len = 0;
    if (b->size - b->len >= more)
        return true;
    if (b->sent > 0) {
        memmove(b->bytes, b->bytes + b->sent, b->len - b->sent);
        b->len -= b->sent;
        b->sent = 0;
    }
    if (b->size - b->len >= more)
        return true;
    size_t size = b->size ? b->size : 4096;
    while (size - b->len < more)
        size *= 2;
    char *bytes = size <= OUT_MOST ? realloc(b->bytes, size) : NULL;
    if (!bytes)
        return false;
    b->bytes = bytes;
    b->size = size;
    return true;
}

static void put_bytes(struct admin_client *c, const char *bytes, size_t len)
{
    if (c->fd < 0)
        return;
    if (!reserve(&c->out, len)) {
        log_warning("admin (pid %d): the answer is too large; dropped", (int)c->pid);
        admin_drop(c);
        return;
    }
    memcpy(c->out.bytes + c->out.len, bytes, len);
    c->out.len += len;
}

void admin_put(struct admin_client *c, const char *text)
{
    if (c->fd >= 0 && text) /* a client that was dropped has no head any more */
        put_bytes(c, text, strlen(text));
}

static void put_json(struct admin_client *c, json_t *v)
{
    char *text = v ? json_dumps(v, SHOW_FLAGS | JSON_ENCODE_ANY) : NULL;

    admin_put(c, text ? text : "null");
    free(text);
}

/* Sends what waits, as far as the client takes it. */
void admin_flush(struct admin_client *c)
{
    while (c->fd >= 0 && admin_waiting(c) > 0) {
        ssize_t n = send(c->fd, c->out.bytes + c->out.sent, admin_waiting(c), MSG_NOSIGNAL);
        if (n > 0) {
            c->out.sent += (size_t)n;
            ev_timer_again(c->admin->loop, &c->patience);
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        } else {
            admin_drop(c);
        }
    }
}

void admin_reply(struct admin_client *c, json_t *members)
{
    char *text = members ? json_dumps(members, SHOW_FLAGS) : NULL;

    json_decref(members);
    if (!text) {
        admin_refuse(c, "not enough memory for the answer");
        return;
    }
    admin_put(c, ADMIN_ANSWER_BEGIN "\"ok\":true");
    admin_put(c, strcmp(text, "{}") == 0 ? "" : ",");
    admin_put(c, text + 1);
    admin_put(c, "\n");
    free(text);
}

void admin_held(struct admin_client *c)
{
    struct store_health health;
    json_t *members = c->held;

    if (!members)
        return;
    bool stored = store_committed(c->admin->store) >= c->commit;
    store_health(c->admin->store, &health);
    if (!stored && !health.degraded)
        return;
    c->held = NULL;
    json_object_set_new(members, "stored", json_boolean(stored));
    admin_reply(c, members);
}

void admin_reply_stored(struct admin_client *c, json_t *members)
{
    if (!members) {
        admin_refuse(c, "done, but there is not enough memory for the answer");
        return;
    }
    c->held = members;
    c->commit = store_last(c->admin->store);
    admin_held(c);
}

void admin_refuse(struct admin_client *c, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    json_t *v = show_text(text);
    admin_put(c, ADMIN_ANSWER_BEGIN "\"ok\":false,\"error\":");
    put_json(c, v);
    admin_put(c, "}\n");
    json_decref(v);
}

void admin_ask(struct admin_client *c, const struct store_query *query)
{
    struct store_query q = *query;

    q.ticket = ++c->admin->tickets;
    if (store_ask(c->admin->store, &q)) {
        free(c->head);
        c->head = NULL;
        admin_refuse(c, "too many queries at once; try again");
        return;
    }
    c->ticket = q.ticket;
}

void admin_walk(struct admin_client *c)
{
    ev_idle_start(c->admin->loop, &c->work);
}

static void put_row(struct admin_client *c, json_t *row)
{
    struct admin_walk *w = &c->walk;

    if (w->sent++ > 0) {
        admin_put(c, ",");
    } else {
        admin_put(c, ADMIN_ANSWER_BEGIN "\"ok\":true,\"");
        admin_put(c, w->name);
        admin_put(c, "\":[");
    }
    put_json(c, row);
}

/* The one row goes before an answer of the store that is still to come. */
static void keep_row(struct admin_client *c, json_t *row)
{
    char *text = json_dumps(row, SHOW_FLAGS), *head = NULL;

    if (text && asprintf(&head, "\"%s\":[%s],", c->walk.name, text) >= 0) {
        free(c->head);
        c->head = head;
        c->head_rows = true;
    }
    free(text);
    c->walk.left = 0;
}

static void end_walk(struct admin_client *c, bool more)
{
    struct admin_walk w = c->walk;

    c->walk = (struct admin_walk){0};
    ev_idle_stop(c->admin->loop, &c->work);
    if (w.then && (w.sent == 0 || c->head)) {
        w.then(c);
        return;
    }
    if (w.sent == 0) {
        admin_put(c, ADMIN_ANSWER_BEGIN "\"ok\":true,\"");
        admin_put(c, w.name);
        admin_put(c, "\":[");
    }
    admin_put(c, more ? "],\"more\":true}\n" : "],\"more\":false}\n");
}

void admin_walk_slice(struct admin_client *c)
{
    bool end = false;

    for (unsigned i = 0; i < WALK_SLICE && c->fd >= 0 && !end; i++) {
        json_t *row = c->walk.row(c, c->walk.index, &end);
        if (end)
            break;
        c->walk.index++;
        if (!row)
            continue;
        if (c->walk.left == 0 || c->head_rows) {
            json_decref(row);
            end_walk(c, true);
            return;
        }
        c->walk.left--;
        if (c->head)
            keep_row(c, row);
        else
            put_row(c, row);
        json_decref(row);
    }
    if (end && c->fd >= 0)
        end_walk(c, false);
}

/* The store's answer is an object that begins with "ok"; what is known already goes in after that.
 */
void admin_put_stored(struct admin_client *c, const char *json)
{
    const size_t ok = sizeof(OK_BEGIN) - 1;
    bool good = strncmp(json, OK_BEGIN, ok) == 0;

    admin_put(c, ADMIN_ANSWER_BEGIN);
    if (c->head && good) {
        admin_put(c, "\"ok\":true,");
        admin_put(c, c->head);
        admin_put(c, json + ok);
    } else if (c->head_rows) {
        admin_put(c, "\"ok\":true,");
        admin_put(c, c->head);
        admin_put(c, "\"observations\":[]}");
    } else {
        admin_put(c, json + 1);
    }
    admin_put(c, "\n");
}
