/* SPDX-License-Identifier: ISC */
/* Messages in, wake-ups, start and end. */
#include "dispatch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"

#define RUNS_MAX         65536u
#define CHECKS_MAX       4096u
#define FILTER_TESTS_MAX 1024u

stamp stamp_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (stamp)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- out ---- */

bool dispatch_deliver(struct dispatch *d, struct ref channel, const struct msg *m)
{
    const struct channel *c = slab_get(&d->table.channels, channel);
    struct net_conn *conn = c ? slab_get(&d->net->conns, c->conn) : NULL;
    if (!conn)
        return false;
    net_send(d->net, conn, m);
    return true;
}

bool dispatch_put(struct dispatch *d, const struct row *row)
{
    uint64_t sequence = store_put(d->store, row);
    if (!sequence) {
        store_lose(d->store, row);
        dispatch_limit_hit(d, LIMIT_STORE_QUEUE, NULL);
        return false;
    }
    d->sequence = sequence;
    return true;
}

void dispatch_dismiss(struct dispatch *d, struct net_conn *conn, enum reason reason,
                      const char *text, uint32_t delay_ms)
{
    struct msg m = {.type = MSG_BYE};
    m.bye_.reason = (uint8_t)reason;
    m.bye_.delay_ms = delay_ms;
    snprintf(m.bye_.text, sizeof(m.bye_.text), "%s", text);
    net_send(d->net, conn, &m);
    net_finish(d->net, conn);
}

/* ---- in ---- */

static void misplaced(struct dispatch *d, struct net_conn *conn, const struct msg *m)
{
    struct msg error = {.type = MSG_ERROR};
    if (m->type == MSG_ERROR)
        return; /* or two sides could answer each other for ever */
    error.error_.reason = REASON_PROTOCOL;
    snprintf(error.error_.text, sizeof(error.error_.text), "%s does not belong here",
             msg_name(m->type));
    net_send(d->net, conn, &error);
}

static void channel_message(struct dispatch *d, struct channel *c, struct net_conn *conn,
                            const struct msg *m)
{
    switch (m->type) {
    case MSG_CONNECT:
        dispatch_connect(d, c, &m->connect_);
        break;
    case MSG_CHECK:
        dispatch_check(d, c, &m->check_);
        break;
    case MSG_ACCEPT:
    case MSG_REJECT:
    case MSG_PREPARED:
    case MSG_RESULT:
    case MSG_CANCEL:
        dispatch_session_message(d, c, m);
        break;
    case MSG_SURVEYED:
        dispatch_survey_done(d, c, &m->surveyed_);
        break;
    case MSG_SYNC:
        dispatch_synced(d, c, &m->sync_);
        break;
    case MSG_BYE:
        net_finish(d->net, conn);
        break;
    case MSG_ERROR:
        log_stranger("a peer complains: %s", m->error_.text);
        break;
    default:
        misplaced(d, conn, m);
        break;
    }
}

static void message(void *user, struct net_conn *conn, const struct msg *m)
{
    struct dispatch *d = user;
    struct channel *c = slab_get(&d->table.channels, conn->owner);
    if (c && m->type != MSG_REGISTER)
        channel_message(d, c, conn, m);
    else if (!c && m->type == MSG_REGISTER && d->draining)
        dispatch_farewell(d, conn);
    else if (!c && m->type == MSG_REGISTER)
        dispatch_register(d, conn, conn->peer, &m->register_);
    else
        misplaced(d, conn, m);
}

static void observe(void *user, struct net_conn *conn, const struct msg *m)
{
    dispatch_observe(user, conn, m);
}

static void closed(void *user, struct net_conn *conn)
{
    struct dispatch *d = user;
    struct channel *c = slab_get(&d->table.channels, conn->owner);
    conn->owner = REF_NONE;
    if (c)
        dispatch_leave(d, c);
}

static void limit(void *user, enum limit which, const struct endpoint *from)
{
    dispatch_limit_hit(user, which, from);
}

/* ---- the store's news ---- */

static void wake_for_store(void *user)
{
    struct dispatch *d = user;
    ev_async_send(d->loop->ev, &d->store_news);
}

static void store_news(struct ev_loop *loop, struct ev_async *async, int events)
{
    struct dispatch *d = async->data;
    uint64_t ticket;
    char *json;
    (void)loop;
    (void)events;
    dispatch_stored(d);
    dispatch_tell_store(d);
    if (d->admin)
        admin_committed(d->admin);
    while (store_next_answer(d->store, &ticket, &json) == 1) {
        if (d->admin)
            admin_answers(d->admin, ticket, json);
        else
            free(json);
    }
}

/* ---- what was there before ---- */

static void load_peer(void *user, const struct row_peer *row)
{
    struct dispatch *d = user;
    struct peer *p = peer_add(&d->table, row->key); /* a key has one row */
    if (!p)
        return;
    p->registered = true;
    p->member = row->member;
    p->first_seen = row->first_seen;
    p->last_seen = row->last_seen;
    if (row->name[0] && !peer_by_name(&d->table, row->name))
        peer_set_name(&d->table, p, row->name);
}

/* Ticks mean nothing after a restart: an age in wall-clock time is all that is left. */
tick dispatch_tick_of(const struct dispatch *d, stamp at)
{
    stamp age = stamp_now() - at;
    return at && age >= 0 ? d->loop->now - age * TICK_US : TICK_NEVER;
}

stamp dispatch_stamp_of(const struct dispatch *d, tick at)
{
    return at <= d->loop->now ? stamp_now() - (d->loop->now - at) / TICK_US : 0;
}

/* What held for one peer alone: peers have other numbers by now. */
static void forget_private(struct profile *p)
{
    if (p->filtering_peer) {
        p->nat.filtering = NAT_FILTERING_UNKNOWN;
        p->filtering_learnt = TICK_NEVER;
    }
    if (p->pooling_peer)
        p->nat.pooling = NAT_POOLING_UNKNOWN;
    if (p->simultaneous_peer) {
        p->nat.features &= (uint8_t)~NAT_FEATURE_NO_SIMULTANEOUS_OPEN;
        p->simultaneous_learnt = TICK_NEVER;
    }
    p->filtering_peer = p->pooling_peer = p->simultaneous_peer = 0;
}

static void load_profile(void *user, const struct row_profile *row)
{
    struct dispatch *d = user;
    struct nat *n = nat_find(&d->table, &row->address, true);
    if (!n)
        return;
    n->profile = row->profile;
    n->profile.learnt = dispatch_tick_of(d, row->learnt);
    n->profile.refusal_learnt = dispatch_tick_of(d, row->refusal_learnt);
    n->profile.filtering_learnt = dispatch_tick_of(d, row->filtering_learnt);
    n->profile.simultaneous_learnt = dispatch_tick_of(d, row->simultaneous_learnt);
    n->profile.last_at = n->profile.learnt;
    forget_private(&n->profile);
}

static int load(struct dispatch *d, char *err, size_t size)
{
    struct store_loader loader = {.peer = load_peer,
                                  .profile = load_profile,
                                  .invite = dispatch_invite_load,
                                  .access = dispatch_access_load,
                                  .user = d};
    if (store_load(d->store, &loader, err, size) != 0)
        return -1;
    dispatch_access_loaded(d);
    return 0;
}

/* ---- where we are ---- */

static void add_server(struct dispatch *d, const struct endpoint *e)
{
    struct survey_servers *servers = &d->servers[family_index(e)];
    for (unsigned i = 0; i < servers->address_count; i++)
        if (endpoint_same_address(&servers->addresses[i], e))
            return;
    if (servers->address_count < SURVEY_ADDRESSES_MAX)
        servers->addresses[servers->address_count++] = endpoint_with_port(*e, 0);
}

/* The addresses that peers can be sent to: those configured, or else the machine's own global ones.
 */
static void find_servers(struct dispatch *d)
{
    struct ifaddrs *all = NULL;
    struct endpoint e;
    for (unsigned f = 0; f < FAMILY_COUNT; f++)
        d->servers[f].family = f == FAMILY_6 ? 6 : 4;
    for (unsigned i = 0; i < d->conf->listen.count; i++)
        if (endpoint_parse(d->conf->listen.at[i], 1, &e) == 0)
            add_server(d, &e);
    if (d->conf->listen.count || getifaddrs(&all) != 0)
        return;
    for (struct ifaddrs *i = all; i; i = i->ifa_next)
        if (i->ifa_addr && endpoint_from_sockaddr(i->ifa_addr, &e) == 0 && endpoint_is_global(&e))
            add_server(d, &e);
    freeifaddrs(all);
}

void dispatch_set_url(struct dispatch *d)
{
    char address[ENDPOINT_TEXT_SIZE];
    memcpy(d->url.key, d->public_key, KEY_SIZE);
    d->url.port = d->servers[0].ports[0];
    snprintf(d->url.host, sizeof(d->url.host), "%s", d->conf->public_host);
    for (unsigned f = 0; f < FAMILY_COUNT && !d->url.host[0]; f++)
        if (d->servers[f].address_count)
            snprintf(d->url.host, sizeof(d->url.host), "%s",
                     endpoint_format_address(&d->servers[f].addresses[0], address));
    if (!d->url.host[0])
        snprintf(d->url.host, sizeof(d->url.host), "%s", "SERVER-ADDRESS");
}

static int listen_at(struct dispatch *d, const struct endpoint *address, char *err, size_t size)
{
    char text[ENDPOINT_TEXT_SIZE];
    for (unsigned i = 0; i < d->conf->port.count; i++) {
        struct endpoint at = endpoint_with_port(*address, d->servers[0].ports[i]);
        size_t used = strlen(d->listen_text);
        if (net_listen(d->net, &at, service_take_listener(d->service, &at), err, size) != 0)
            return -1;
        snprintf(d->listen_text + used, sizeof(d->listen_text) - used, "%s%s", used ? ", " : "",
                 endpoint_format(&at, text));
    }
    return 0;
}

static int listen_all(struct dispatch *d, char *err, size_t size)
{
    struct endpoint any = {.family = 4}, any6 = {.family = 6}, e;
    for (unsigned i = 0; i < d->conf->port.count; i++)
        for (unsigned f = 0; f < FAMILY_COUNT; f++)
            d->servers[f].ports[d->servers[f].port_count++] =
                (uint16_t)strtoul(d->conf->port.at[i], NULL, 10);
    for (unsigned i = 0; i < d->conf->listen.count; i++)
        if (endpoint_parse(d->conf->listen.at[i], 1, &e) != 0 || listen_at(d, &e, err, size) != 0)
            return -1;
    if (d->conf->listen.count)
        return 0;
    if (listen_at(d, &any, err, size) != 0)
        return -1;
    /* A machine without IPv6 is no error. */
    if (listen_at(d, &any6, err, size) != 0)
        log_notice("IPv4 only: %s", err);
    return 0;
}

/* ---- start and end ---- */

static bool match_token(const void *user, uint32_t index, const void *key, size_t len)
{
    const struct run *run = slab_at(user, index);
    return run && memcmp(run->token, key, len) == 0;
}

static bool match_session(const void *user, uint32_t index, const void *key, size_t len)
{
    const struct session *s = slab_at(user, index);
    return s && memcmp(s->id, key, len) == 0;
}

static void init_tables(struct dispatch *d, const uint8_t hash_key[16])
{
    peer_table_init(&d->table, hash_key, 0);
    slab_init(&d->runs, sizeof(struct run), RUNS_MAX);
    slab_init(&d->sessions, sizeof(struct session), (uint32_t)d->conf->max_sessions);
    slab_init(&d->checks, sizeof(struct check), CHECKS_MAX);
    slab_init(&d->filter_tests, sizeof(struct filter_test), FILTER_TESTS_MAX);
    dispatch_limits_open(d, hash_key);
    lookup_init(&d->run_by_token, hash_key, match_token, &d->runs);
    lookup_init(&d->session_by_id, hash_key, match_session, &d->sessions);
    dispatch_invites_init(d, hash_key);
    dispatch_access_init(d, hash_key);
}

static int open_net(struct dispatch *d, const struct dispatch_options *from,
                    const uint8_t hash_key[16], char *err, size_t size)
{
    struct net_handlers handlers = {.user = d,
                                    .admit = dispatch_admits,
                                    .observe = observe,
                                    .message = message,
                                    .closed = closed,
                                    .limit = limit};
    struct net_options options = {
        .limits = dispatch_net_limits(d),
        .handshake_timeout = d->conf->handshake_timeout * TICK_S,
        .keys = from->keys,
        .key_count = from->key_count,
        .handshake_threads = (unsigned)d->conf->handshake_threads,
    };
    memcpy(options.hash_key, hash_key, sizeof(options.hash_key));
    return net_open(d->net, d->loop, &options, &handlers, err, size);
}

static int open_admin(struct dispatch *d, char *err, size_t size)
{
    struct admin_source source = dispatch_admin_source(d);
    int handed = service_take_named(d->service, "admin");
    d->admin = admin_open(d->loop->ev, d->conf->admin_socket, handed, d->store, &source, err, size);
    return d->admin && admin_set_groups(d->admin, d->conf->admin_group, d->conf->readonly_group,
                                        err, size) == 0
               ? 0
               : -1;
}

int dispatch_open(struct dispatch *d, struct net *net, const struct dispatch_options *options,
                  char *err, size_t size)
{
    uint8_t hash_key[16];
    int error = 0;

    memset(d, 0, sizeof(*d));
    d->loop = options->loop;
    d->conf = options->conf;
    memcpy(d->public_key, options->keys[0].public, KEY_SIZE);
    d->old_key = options->key_count > 1;
    d->rng = rng_system();
    d->service = options->service;
    d->started = stamp_now();
    dispatch_reload_open(d, options);
    rng_fill(&d->rng, hash_key, sizeof(hash_key));
    init_tables(d, hash_key);
    ev_async_init(&d->store_news, store_news);
    d->store_news.data = d;
    ev_async_start(d->loop->ev, &d->store_news);
    net_probe_open(&d->probe, d->loop->ev, dispatch_probed, d);
    d->net = net;
    if (open_net(d, options, hash_key, err, size) != 0) {
        d->net = NULL;
        goto failed;
    }
    dispatch_limits_apply(d);
    d->store = store_open(options->store_path, wake_for_store, d, err, size);
    if (!d->store || load(d, err, size) != 0)
        goto failed;
    dispatch_retain(d);
    find_servers(d);
    if (listen_all(d, err, size) != 0) {
        error = errno;
        goto failed;
    }
    dispatch_set_url(d);
    if (open_admin(d, err, size) != 0) {
        error = errno;
        goto failed;
    }
    if (dispatch_open_metrics(d, err, size) != 0) {
        error = errno;
        goto failed;
    }
    if (service_all_taken(d->service, d->listen_text, err, size) == 0) {
        dispatch_warn_of_access(d);
        return 0;
    }
failed:
    dispatch_close(d);
    errno = error;
    return -1;
}

/* Sessions still under way end here, and are recorded so. */
static void end_sessions(struct dispatch *d)
{
    for (uint32_t i = 0; i < slab_end(&d->sessions); i++) {
        struct session *s = slab_at(&d->sessions, i);
        if (!s)
            continue;
        struct row row = {.kind = ROW_SESSION};
        s->row->finished = stamp_now();
        s->row->reason = REASON_ABORTED;
        row.session = *s->row;
        if (!dispatch_is_check(s))
            dispatch_put(d, &row);
        dispatch_session_free(d, s);
    }
}

static void end_checks(struct dispatch *d)
{
    for (uint32_t i = 0; i < slab_end(&d->checks); i++) {
        struct check *k = slab_at(&d->checks, i);
        if (k)
            dispatch_check_free(d, k);
    }
}

static void end_filter_tests(struct dispatch *d)
{
    for (uint32_t i = 0; i < slab_end(&d->filter_tests); i++) {
        struct filter_test *t = slab_at(&d->filter_tests, i);
        if (t)
            dispatch_filter_test_end(d, t);
    }
}

void dispatch_close(struct dispatch *d)
{
    if (d->admin)
        admin_close(d->admin);
    d->admin = NULL;
    metrics_http_close(d->metrics);
    d->metrics = NULL;
    dispatch_drain_close(d);
    if (d->store)
        end_sessions(d);
    end_checks(d);
    if (d->net)
        net_close(d->net);
    net_probe_close(&d->probe);
    end_filter_tests(d);
    for (uint32_t i = 0; i < slab_end(&d->runs); i++) {
        struct run *run = slab_at(&d->runs, i);
        if (run)
            dispatch_run_end(d, run);
    }
    if (d->store)
        store_close(d->store);
    reload_close(&d->reload.reader);
    ev_async_stop(d->loop->ev, &d->store_news);
    lookup_destroy(&d->run_by_token);
    lookup_destroy(&d->session_by_id);
    slab_destroy(&d->runs);
    slab_destroy(&d->sessions);
    slab_destroy(&d->checks);
    slab_destroy(&d->filter_tests);
    dispatch_invites_destroy(d);
    dispatch_access_destroy(d);
    peer_table_destroy(&d->table);
    dispatch_stored_forget(d);
    dispatch_limits_close(d);
    sodium_memzero(d, sizeof(*d));
}
