/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* Limits: what they are now, who comes up against them, and how full they are. */
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "dispatch.h"
#include "limit_memory.h"
#include "log.h"

#define MINUTE (60 * TICK_S)
#define HOUR   (60 * MINUTE)
/* Buckets of one kind, some 64 bytes each. One that is full again is thrown away, so there are only
 * as many as there are addresses or keys at work at this moment. */
#define BUCKETS_MAX 262144u
/* What the kernel takes for an idle connection: socket, file and the poll set's entry. */
#define SOCKET_BYTES 4096u
/* Part of the memory that messages cut in two or not taken yet may have. */
#define BUFFERS_PART 4
/* Who is sent away for a while stays away so long, at least and at most. */
#define DELAY_LEAST TICK_S
#define DELAY_MOST  (60 * TICK_S)

/* ---- what they are ---- */

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t descriptors(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

/* As many as the option says, and no more than the descriptors allow. */
static uint32_t connections(struct dispatch *d)
{
    uint64_t wanted = (uint64_t)d->conf->max_connections, all = descriptors();
    uint64_t allowed = all > DISPATCH_SPARE_DESCRIPTORS ? all - DISPATCH_SPARE_DESCRIPTORS : 0;
    uint32_t most = (uint32_t)lesser(wanted, allowed > 16 ? allowed : 16);

    if (most < wanted && most != d->connections_told)
        log_notice("%" PRIu64 " descriptors allow %u connections, not %" PRIu64
                   " (raise LimitNOFILE)",
                   all, most, wanted);
    d->connections_told = most < wanted ? most : 0;
    return most;
}

static uint64_t memory_most(const struct dispatch *d)
{
    if (d->conf->max_memory)
        return (uint64_t)d->conf->max_memory << 20;
    return d->memory_allowed == UINT64_MAX ? UINT64_MAX : d->memory_allowed - d->memory_allowed / 4;
}

struct net_limits dispatch_net_limits(struct dispatch *d)
{
    return (struct net_limits){
        .connections = connections(d),
        .per_address = (uint32_t)d->conf->max_connections_per_address,
        .strangers = (uint32_t)d->conf->max_handshakes,
        .strangers_per_address = (uint32_t)d->conf->max_handshakes_per_address,
        .buffered = memory_most(d) / BUFFERS_PART,
    };
}

void dispatch_limits_apply(struct dispatch *d)
{
    const struct conf *c = d->conf;
    struct net_limits limits = dispatch_net_limits(d);

    net_reconfigure(d->net, &limits, c->handshake_timeout * TICK_S);
    d->table.channels.most = limits.connections;
    /* Those that channels come from cannot be forgotten: one of each family for every channel. */
    d->table.nats.most = (uint32_t)c->max_nats;
    if (d->table.nats.most / 2 < limits.connections)
        d->table.nats.most = 2 * limits.connections;
    d->sessions.most = (uint32_t)c->max_sessions;
    d->registrations.count = (uint32_t)c->registrations_per_address;
    d->new_keys.count = (uint32_t)c->new_keys_per_address;
    d->key_requests.count = (uint32_t)c->requests_per_key;
    d->address_requests.count = (uint32_t)c->requests_per_address;
    d->memory_most = memory_most(d);
}

static void nats_full(void *user)
{
    dispatch_limit_hit(user, LIMIT_NATS, NULL);
}

void dispatch_limits_open(struct dispatch *d, const uint8_t hash_key[16])
{
    limit_rate_init(&d->registrations, hash_key, BUCKETS_MAX, MINUTE);
    limit_rate_init(&d->new_keys, hash_key, BUCKETS_MAX, HOUR);
    limit_rate_init(&d->key_requests, hash_key, BUCKETS_MAX, MINUTE);
    limit_rate_init(&d->address_requests, hash_key, BUCKETS_MAX, MINUTE);
    d->memory_allowed = limit_memory_allowed("/proc/self/cgroup", "/sys/fs/cgroup");
    d->table.full = nats_full;
    d->table.user = d;
}

void dispatch_limits_close(struct dispatch *d)
{
    limit_rate_destroy(&d->registrations);
    limit_rate_destroy(&d->new_keys);
    limit_rate_destroy(&d->key_requests);
    limit_rate_destroy(&d->address_requests);
}

/* ---- who comes up against them ---- */

/* A line for each one turned away, as far as strangers' lines go, and one a minute for the
 * operator.
 */
void dispatch_limit_hit(struct dispatch *d, enum limit which, const struct endpoint *from)
{
    const struct limit_spec *spec = &limit_specs[which];
    uint64_t untold = limit_hit(&d->limits, which, stamp_now(), d->loop->now);
    char text[ENDPOINT_TEXT_SIZE] = "the daemon itself";

    if (from)
        log_endpoint(from, text);
    log_stranger("limit '%s' reached by %s", spec->name, text);
    if (!untold)
        return;
    dispatch_tell_limit(d, spec->name, NULL);
    log_warning("limit '%s' (%s) reached, %" PRIu64 " time%s of late%s%s; 'trystctl limits' "
                "says more",
                spec->name, spec->help, untold, untold == 1 ? "" : "s",
                *spec->option ? "; it is raised by option " : "", spec->option);
}

static enum limit refused(struct dispatch *d, enum limit which, const struct endpoint *from,
                          tick wait, uint32_t *delay_ms)
{
    wait = tick_min(tick_max(wait, DELAY_LEAST), DELAY_MOST);
    *delay_ms = (uint32_t)(wait / TICK_MS);
    dispatch_limit_hit(d, which, from);
    return which;
}

static enum limit take_address(struct dispatch *d, struct limit_rate *rate,
                               const struct endpoint *from, const enum limit limits[NET_SCOPES],
                               uint32_t *delay_ms)
{
    enum net_scope scope;
    tick wait = limit_rate_take_address(rate, from, d->loop->now, &scope);

    return wait ? refused(d, limits[scope], from, wait, delay_ms) : LIMIT_COUNT;
}

enum limit dispatch_limit_registration(struct dispatch *d, const struct endpoint *from,
                                       uint32_t *delay_ms)
{
    static const enum limit limits[] = {LIMIT_ADDRESS_REGISTRATIONS, LIMIT_PREFIX_REGISTRATIONS};

    if (dispatch_memory(d) > d->memory_most)
        return refused(d, LIMIT_MEMORY, from, DELAY_LEAST, delay_ms);
    return take_address(d, &d->registrations, from, limits, delay_ms);
}

enum limit dispatch_limit_new_key(struct dispatch *d, const struct endpoint *from,
                                  uint32_t *delay_ms)
{
    static const enum limit limits[] = {LIMIT_ADDRESS_KEYS, LIMIT_PREFIX_KEYS};

    return take_address(d, &d->new_keys, from, limits, delay_ms);
}

enum limit dispatch_limit_request(struct dispatch *d, const uint8_t key[KEY_SIZE],
                                  const struct endpoint *from, uint32_t *delay_ms)
{
    static const enum limit limits[] = {LIMIT_ADDRESS_REQUESTS, LIMIT_PREFIX_REQUESTS};
    struct limit_rate_key own = limit_rate_of_key(key);
    tick wait = limit_rate_take(&d->key_requests, &own, 1, d->loop->now);

    if (wait)
        return refused(d, LIMIT_PEER_REQUESTS, from, wait, delay_ms);
    return take_address(d, &d->address_requests, from, limits, delay_ms);
}

/* ---- how full they are ---- */

/* What is in use, not what was once: slots that are free again can be taken without more memory. */
static uint64_t in_use(const struct slab *s)
{
    return (uint64_t)s->used * s->item_size;
}

uint64_t dispatch_memory(const struct dispatch *d)
{
    const struct peer_table *t = &d->table;

    return in_use(&t->peers) + in_use(&t->channels) + in_use(&t->nats) + in_use(&d->net->conns) +
           (uint64_t)d->net->conns.used * SOCKET_BYTES + d->net->buffered + in_use(&d->runs) +
           in_use(&d->checks) + in_use(&d->filter_tests) + in_use(&d->invites) +
           in_use(&d->sessions) + (uint64_t)d->sessions.used * sizeof(struct row_session) +
           lookup_memory(&t->by_key) + lookup_memory(&t->by_name) + lookup_memory(&t->by_address) +
           lookup_memory(&d->run_by_token) + lookup_memory(&d->session_by_id) +
           lookup_memory(&d->invite_by_hash) + access_memory(&d->allowed) +
           access_memory(&d->banned) + limit_rate_memory(&d->registrations) +
           limit_rate_memory(&d->new_keys) + limit_rate_memory(&d->key_requests) +
           limit_rate_memory(&d->address_requests) + store_pending(d->store) * sizeof(struct row);
}

struct level {
    uint64_t used, most;
    bool used_known;
};

static struct level level(uint64_t used, uint64_t most)
{
    return (struct level){used, most, true};
}

static struct level each(uint64_t most)
{
    return (struct level){0, most, false};
}

static struct level level_of_slab(const struct slab *s)
{
    return level(s->used, s->most);
}

static struct level level_of_net(const struct net *net, enum limit which)
{
    switch (which) {
    case LIMIT_CONNECTIONS:
        return level_of_slab(&net->conns);
    case LIMIT_ADDRESS_CONNECTIONS:
        return each(net->by[NET_SCOPE_ADDRESS].most);
    case LIMIT_PREFIX_CONNECTIONS:
        return each(net->by[NET_SCOPE_PREFIX].most);
    case LIMIT_HANDSHAKES:
        return level(net->strangers, net->most.strangers);
    case LIMIT_ADDRESS_HANDSHAKES:
        return each(net->by[NET_SCOPE_ADDRESS].most_strangers);
    case LIMIT_PREFIX_HANDSHAKES:
        return each(net->by[NET_SCOPE_PREFIX].most_strangers);
    case LIMIT_BUFFERS:
        return level(net->buffered, net->most.buffered);
    default:
        return each(0);
    }
}

static struct level level_of_rate(const struct dispatch *d, enum limit which)
{
    switch (which) {
    case LIMIT_ADDRESS_REGISTRATIONS:
        return each(d->registrations.count);
    case LIMIT_PREFIX_REGISTRATIONS:
        return each((uint64_t)d->registrations.count * NET_PREFIX_SHARE);
    case LIMIT_ADDRESS_KEYS:
        return each(d->new_keys.count);
    case LIMIT_PREFIX_KEYS:
        return each((uint64_t)d->new_keys.count * NET_PREFIX_SHARE);
    case LIMIT_PEER_REQUESTS:
        return each(d->key_requests.count);
    case LIMIT_ADDRESS_REQUESTS:
        return each(d->address_requests.count);
    case LIMIT_PREFIX_REQUESTS:
        return each((uint64_t)d->address_requests.count * NET_PREFIX_SHARE);
    default:
        return each(0);
    }
}

static struct level level_of(const struct dispatch *d, enum limit which)
{
    switch (which) {
    case LIMIT_DESCRIPTORS:
        return each(descriptors());
    case LIMIT_MEMORY:
        return level(dispatch_memory(d), d->memory_most);
    case LIMIT_PEERS:
        return level_of_slab(&d->table.peers);
    case LIMIT_PEER_CHANNELS:
        return each(CHANNELS_PER_PEER_MAX);
    case LIMIT_NATS:
        return level_of_slab(&d->table.nats);
    case LIMIT_SESSIONS:
        return level_of_slab(&d->sessions);
    case LIMIT_PEER_SESSIONS:
        return each((uint64_t)d->conf->max_sessions_per_peer);
    case LIMIT_ADDRESS_SYNS:
        return each((uint64_t)d->conf->address_syns);
    case LIMIT_CHECKS:
        return level_of_slab(&d->checks);
    case LIMIT_PEER_CHECKS:
        return each(1);
    case LIMIT_SURVEYS:
        return level_of_slab(&d->runs);
    case LIMIT_FILTER_TESTS:
        return level_of_slab(&d->filter_tests);
    case LIMIT_INVITES:
        return level_of_slab(&d->invites);
    case LIMIT_STORE_QUEUE:
        return level(store_pending(d->store), STORE_QUEUE_ROWS);
    case LIMIT_ADMIN_CLIENTS:
        return each(ADMIN_CLIENTS_MAX);
    default: {
        struct level l = level_of_net(d->net, which);
        return l.most ? l : level_of_rate(d, which);
    }
    }
}

bool dispatch_limit_view(void *user, size_t index, struct view_limit *out)
{
    const struct dispatch *d = user;
    if (index >= LIMIT_COUNT)
        return false;
    struct level l = level_of(d, (enum limit)index);
    *out = (struct view_limit){
        .name = limit_specs[index].name,
        .option = limit_specs[index].option,
        .help = limit_specs[index].help,
        .used = l.used,
        .used_known = l.used_known,
        .most = l.most,
        .most_known = l.most < UINT64_MAX / BUFFERS_PART,
        .hits = d->limits.of[index].hits,
        .last = d->limits.of[index].last,
    };
    return true;
}
