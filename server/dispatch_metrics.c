/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/*
 * Collects the metrics. All of them are counts that are kept anyway: nothing is walked over, so the
 * time this takes does not depend on how many peers there are.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dispatch.h"
#include "log.h"
#include "metrics.h"
#include "metrics_http.h"

_Static_assert((int)METRICS_CLOSINGS == (int)NET_CLOSED_COUNT, "a word per way to end");

/* ---- the process ---- */

static double resident_bytes(void)
{
    char text[128] = "", *resident;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0 || !(resident = strchr(text, ' ')))
        return 0;
    return (double)strtoul(resident, NULL, 10) * (double)sysconf(_SC_PAGESIZE);
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void collect_process(const struct dispatch *d, double v[METRICS])
{
    struct rusage usage;
    struct rlimit limit;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        v[METRIC_CPU] = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        v[METRIC_DESCRIPTORS_LIMIT] = (double)limit.rlim_cur;
    /* The kernel's own count takes a walk over all of them. */
    v[METRIC_DESCRIPTORS] =
        (double)d->net->conns.used + d->net->listener_count + d->probe.probes.used;
    v[METRIC_RESIDENT_MEMORY] = resident_bytes();
    v[METRIC_MEMORY] = (double)dispatch_memory(d);
    v[METRIC_START_TIME] = (double)d->started / 1e6;
}

/* ---- the stages ---- */

static void collect_dispatch(const struct dispatch *d, struct metrics *m)
{
    double *v = m->value;
    m->reloads[0] = d->reload.applied;
    m->reloads[1] = d->reload.refused;
    v[METRIC_RELOAD_FAILED] = d->reload.failed;
    v[METRIC_RESTART_PENDING] = d->reload.restart_needed[0] != '\0';
    v[METRIC_DRAINING] = d->draining;
    v[METRIC_PEERS] = d->table.channels.used;
    v[METRIC_PEERS_LISTENING] = d->table.listening;
    v[METRIC_PEERS_KNOWN] = d->table.peers.used;
    v[METRIC_NATS] = d->table.nats.used;
    v[METRIC_SESSIONS_ACTIVE] = d->sessions.used;
    v[METRIC_SESSIONS_STARTED] = (double)d->stats.sessions;
    v[METRIC_SYNS] = (double)d->tally.syns;
    v[METRIC_OBSERVATIONS] = (double)d->stats.observations;
    v[METRIC_OBSERVATIONS_REFUSED] = (double)d->stats.observations_refused;
    v[METRIC_SCRAPES] = (double)d->scrapes;
    m->limits = d->limits;
    m->sessions = d->tally;
    m->busy = d->loop->busy;
}

static void collect_net(const struct net *net, struct metrics *m)
{
    const struct net_stats *s = &net->stats;
    double *v = m->value;
    v[METRIC_CONNECTIONS] = net->conns.used;
    v[METRIC_CONNECTIONS_ACCEPTED] = (double)s->accepted;
    v[METRIC_FRAMES_RECEIVED] = (double)s->frames_in;
    v[METRIC_FRAMES_SENT] = (double)s->frames_out;
    v[METRIC_HANDSHAKES] = (double)s->handshakes;
    v[METRIC_HANDSHAKES_FAILED] = (double)s->handshakes_failed;
    v[METRIC_HANDSHAKES_OLD_KEY] = (double)s->handshakes_old_key;
    v[METRIC_HANDSHAKES_WAITING] = net_handshake_waiting(net->pool);
    memcpy(m->closed, s->closed, sizeof(m->closed));
    m->handshake = s->handshake;
}

static void collect_store(struct store *s, struct metrics *m)
{
    struct store_health health;
    store_health(s, &health);
    m->value[METRIC_STORE_DEGRADED] = health.degraded;
    m->value[METRIC_STORE_PENDING] = (double)store_pending(s);
    m->value[METRIC_STORE_ROWS] = (double)health.rows;
    m->value[METRIC_STORE_ROWS_DROPPED] = (double)health.dropped;
    m->value[METRIC_STORE_SESSIONS_LOST] = (double)health.lost_sessions;
    m->value[METRIC_STORE_ROWS_LOST] = (double)health.lost_others;
    m->value[METRIC_STORE_ROWS_REMOVED] = (double)health.removed;
    m->value[METRIC_STORE_FILE] = (double)health.bytes;
    m->value[METRIC_STORE_FREE] = (double)health.free_bytes;
    m->commit = health.commit;
}

size_t dispatch_metrics(void *user, char *out, size_t size)
{
    struct dispatch *d = user;
    struct metrics m;
    d->scrapes++;
    memset(&m, 0, sizeof(m));
    m.version = PACKAGE_VERSION;
    collect_dispatch(d, &m);
    collect_net(d->net, &m);
    collect_store(d->store, &m);
    collect_process(d, m.value);
    return metrics_text(&m, out, size);
}

/* ---- HTTP ---- */

int dispatch_open_metrics(struct dispatch *d, char *err, size_t size)
{
    const char *where = d->conf->metrics_listen;
    int handed = service_take_named(d->service, "metrics");
    struct endpoint at = endpoint_none();
    if (handed < 0 && !where[0])
        return 0;
    if (handed < 0 && (endpoint_parse(where, 0, &at) != 0 || !at.port)) {
        snprintf(err, size, "metrics-listen: '%.80s' is no address with a port", where);
        return -1;
    }
    if (handed < 0 && !endpoint_is_loopback(&at))
        log_warning("metrics can be read by whoever reaches %s: they are public there", where);
    d->metrics = metrics_http_open(d->loop->ev, &at, handed, dispatch_metrics, d, err, size);
    return d->metrics ? 0 : -1;
}
