/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* A new configuration while the daemon runs: read on a thread, put in force between two events. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "dispatch.h"
#include "log.h"
#include "show.h"

void dispatch_configure_log(const struct conf *c)
{
    log_set_level((enum log_level)(CONF_LOG_LEVEL_FIRST + c->log_level));
    log_set_format((enum log_format)c->log_format);
    log_set_addresses((enum log_addresses)c->log_addresses);
}

void dispatch_retain(struct dispatch *d)
{
    const struct conf *c = d->conf;
    const stamp second = 1000000;
    struct store_retention wish = {.sessions = c->keep_sessions * second,
                                   .observations = c->keep_observations * second,
                                   .nats = c->keep_nats * second,
                                   .session_rows = (uint64_t)c->keep_session_rows};

    store_retain(d->store, &wish);
}

void dispatch_reconfigure(struct dispatch *d, const struct conf *before)
{
    const struct conf *c = d->conf;

    if (before->registration != c->registration)
        dispatch_warn_of_access(d);
    dispatch_configure_log(c);
    dispatch_limits_apply(d);
    dispatch_set_url(d);
    dispatch_retain(d);
}

/* ---- what has changed ---- */

/* Options that stand in the files otherwise than in the daemon. */
static bool is_pending(const struct dispatch *d, enum conf_option option)
{
    return conf_needs_restart(option) && !conf_same(&d->reload.started, &d->reload.read, option);
}

static void add_name(char *list, size_t size, const char *name)
{
    size_t len = strlen(list);

    snprintf(list + len, size - len, "%s%s", len ? ", " : "", name);
}

static void list_pending(struct dispatch *d)
{
    char *list = d->reload.restart_needed;

    list[0] = '\0';
    for (enum conf_option i = 0; i < CONF_OPTIONS; i++)
        if (is_pending(d, i))
            add_name(list, sizeof(d->reload.restart_needed), conf_name(i));
}

/* One line of the log: "rounds 5 -> 3, port {...} -> {...} (needs a restart)". */
static void log_changes(const struct conf *before, const struct conf *after)
{
    char from[CONF_VALUE_SIZE], to[CONF_VALUE_SIZE];
    unsigned changed = 0;

    for (enum conf_option i = 0; i < CONF_OPTIONS; i++) {
        if (conf_same(before, after, i))
            continue;
        changed++;
        log_notice("configuration: %s = %s, was %s%s", conf_name(i), conf_value(after, i, to),
                   conf_value(before, i, from),
                   conf_needs_restart(i) ? "; takes effect at a restart" : "");
    }
    log_notice("reloaded the configuration: %u option%s changed", changed, changed == 1 ? "" : "s");
}

static json_t *show_change(const struct conf *before, const struct conf *after,
                           enum conf_option option)
{
    char from[CONF_VALUE_SIZE], to[CONF_VALUE_SIZE];

    return json_pack("{s:s, s:o, s:o, s:s}", "name", conf_name(option), "from",
                     show_text(conf_value(before, option, from)), "to",
                     show_text(conf_value(after, option, to)), "takes_effect",
                     conf_needs_restart(option) ? "restart" : "now");
}

static json_t *show_changes(const struct conf *before, const struct conf *after)
{
    json_t *list = json_array();

    for (enum conf_option i = 0; i < CONF_OPTIONS; i++)
        if (!conf_same(before, after, i))
            json_array_append_new(list, show_change(before, after, i));
    return list;
}

/* ---- reload ---- */

/* Whoever asked by the admin socket gets the answer. */
static void answer(struct dispatch *d, json_t *members)
{
    for (unsigned i = 0; i < d->reload.answering_count; i++) {
        char *text = json_dumps(members, SHOW_FLAGS);
        admin_answers(d->admin, d->reload.answering[i],
                      text ? text : strdup("{\"ok\":false,\"error\":\"not enough memory\"}"));
    }
    d->reload.answering_count = 0;
    json_decref(members);
}

/* Whoever watches hears the same. */
static void finish(struct dispatch *d, json_t *members)
{
    if (admin_watched(d->admin))
        admin_publish(d->admin, "reload", json_deep_copy(members));
    answer(d, members);
}

static void refuse(struct dispatch *d, const char *why)
{
    char text[CONF_ERROR_SIZE + 64];

    snprintf(text, sizeof(text), "not reloaded, the configuration stays as it was: %s", why);
    log_error("%s", text);
    finish(d, json_pack("{s:b, s:o}", "ok", 0, "error", show_text(text)));
}

/* Puts in force what can be; the rest stays as it is until a restart. */
static void apply(struct dispatch *d, const struct conf *fresh)
{
    struct dispatch_reload *r = &d->reload;

    r->before = *r->conf;
    conf_take(r->conf, fresh);
    dispatch_reconfigure(d, &r->before);
    json_t *changes = show_changes(&r->read, fresh);
    log_changes(&r->read, fresh);
    r->read = *fresh;
    list_pending(d);
    if (r->restart_needed[0])
        log_warning("changed options that need a restart: %s", r->restart_needed);
    finish(d, json_pack("{s:b, s:o, s:o}", "ok", 1, "changed", changes, "restart_needed",
                        show_names(r->restart_needed)));
}

static void begin(struct dispatch *d)
{
    struct dispatch_reload *r = &d->reload;

    memcpy(r->answering, r->asked, sizeof(r->asked));
    r->answering_count = r->asked_count;
    r->asked_count = 0;
    r->wanted = false;
    service_reloading(d->service);
    reload_start(&r->reader);
}

static void done(void *user, const struct conf *fresh, const char *err)
{
    struct dispatch *d = user;

    d->reload.failed = !fresh;
    *(fresh ? &d->reload.applied : &d->reload.refused) += 1;
    if (fresh)
        apply(d, fresh);
    else
        refuse(d, err);
    service_ready(d->service);
    /* Whoever asked meanwhile may have changed the files after they were read. */
    if (d->reload.wanted)
        begin(d);
}

int dispatch_reload(struct dispatch *d, uint64_t ticket, char *err, size_t size)
{
    struct dispatch_reload *r = &d->reload;

    if (!r->reader.source || d->draining) {
        snprintf(err, size, "not reloaded: %s",
                 d->draining ? "the daemon is about to end" : "there is nothing to read");
        return -1;
    }
    if (ticket && r->asked_count == ADMIN_CLIENTS_MAX) {
        snprintf(err, size, "not reloaded: too many wait for it; try again");
        return -1;
    }
    if (ticket)
        r->asked[r->asked_count++] = ticket;
    r->wanted = true;
    if (!r->reader.running)
        begin(d);
    return 0;
}

void dispatch_reload_open(struct dispatch *d, const struct dispatch_options *options)
{
    struct dispatch_reload *r = &d->reload;

    r->conf = options->conf;
    r->started = r->read = *options->conf;
    conf_init_defaults(&r->defaults);
    reload_open(&r->reader, d->loop->ev, options->source, done, d);
}

/* ---- trystctl config ---- */

bool dispatch_view_option(void *user, size_t index, struct view_option *out)
{
    const struct dispatch *d = user;
    const struct dispatch_reload *r = &d->reload;
    enum conf_option option = (enum conf_option)index;

    if (index >= CONF_OPTIONS)
        return false;
    out->name = conf_name(option);
    out->restart = conf_needs_restart(option);
    conf_value(r->conf, option, out->value);
    conf_value(&r->defaults, option, out->standard);
    conf_where(&r->read, option, out->set);
    out->pending[0] = '\0';
    if (is_pending(d, option))
        conf_value(&r->read, option, out->pending);
    return true;
}
