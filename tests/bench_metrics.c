/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */

/*
 * What metrics cost: bench_metrics [PEERS]. One observation of a histogram, the count of one
 * session that ends, and one scrape of a daemon with no peers and with PEERS in its tables.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/dispatch.h"
#include "server/log.h"
#include "server/metrics.h"

#define COUNTS  10000000u
#define SCRAPES 2000u

struct daemon {
    struct loop loop;
    struct net net;
    struct dispatch d;
    struct conf conf;
    struct key_pair key;
    char dir[32];
};

static void print_each(const char *what, tick took, unsigned times)
{
    printf("%-40s %9.3f us\n", what, (double)took / 1000 / times);
}

static void bench_histogram(const struct rng *rng)
{
    static struct histogram h;
    tick intervals[1024];
    for (unsigned i = 0; i < 1024; i++)
        intervals[i] = rng_interval(rng, TICK_US << i % 24);
    tick begun = loop_clock();
    for (unsigned n = 0; n < COUNTS; n++)
        histogram_observe(&h, intervals[n % 1024]);
    print_each("an observation", loop_clock() - begun, COUNTS);
    if (histogram_total(&h) != COUNTS)
        abort();
}

static void bench_sessions(void)
{
    static struct session_tally t;
    struct session_ended s = {.nat = {{.mapping = NAT_APDM, .allocation = NAT_COUNTER},
                                      {.mapping = NAT_EIM, .allocation = NAT_PRESERVE}},
                              .families = 1,
                              .syns = 12};
    tick begun = loop_clock();
    for (unsigned n = 0; n < COUNTS; n++) {
        s.took = n * TICK_US;
        session_tally_end(&t, &s);
        session_tally_skew(&t, n);
    }
    print_each("a session: its end and its skew", loop_clock() - begun, COUNTS);
    if (t.ended[REASON_OK] != COUNTS)
        abort();
}

static int compare(const void *a, const void *b)
{
    const tick *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void bench_scrapes(struct daemon *t, const char *what)
{
    static char text[METRICS_TEXT_SIZE];
    static tick took[SCRAPES];
    size_t len = 0;
    for (unsigned n = 0; n < SCRAPES; n++) {
        tick begun = loop_clock();
        len = dispatch_metrics(&t->d, text, sizeof(text));
        took[n] = loop_clock() - begun;
    }
    qsort(took, SCRAPES, sizeof(took[0]), compare);
    unsigned last = SCRAPES * 99 / 100, middle = SCRAPES / 2;
    print_each(what, took[middle], 1);
    printf("%40s %9.3f us, %zu bytes of text\n", "99 % within", (double)took[last] / 1000, len);
}

/* Peers that listen, each with an address of its own. */
static void add_peers(struct peer_table *t, const struct rng *rng, unsigned peers)
{
    for (unsigned n = 0; n < peers; n++) {
        uint8_t key[KEY_SIZE];
        rng_fill(rng, key, sizeof(key));
        struct endpoint at = {4, {20, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}, 40000};
        struct peer *p = peer_add(t, key);
        struct channel *c = p ? channel_add(t, p) : NULL;
        if (!c || !channel_set_observed(t, c, &at)) {
            fprintf(stderr, "no room for more than %u peers\n", n);
            return;
        }
    }
}

static bool set(struct conf *c, const char *name, const char *value)
{
    char err[256];
    if (conf_set(c, name, value, err, sizeof(err)) == 0)
        return true;
    fprintf(stderr, "%s\n", err);
    return false;
}

static int start(struct daemon *t, unsigned peers)
{
    char path[64], text[16], err[512] = "";
    unsigned base = 20000 + (unsigned)getpid() % 30000;
    conf_init_defaults(&t->conf);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), "%u", base + i);
        if (!set(&t->conf, "port", text))
            return -1;
    }
    snprintf(path, sizeof(path), "%s/admin", t->dir);
    snprintf(text, sizeof(text), "%u", peers < 16 ? 16 : peers);
    if (!set(&t->conf, "admin-socket", path) || !set(&t->conf, "listen", "127.0.0.1") ||
        !set(&t->conf, "max-connections", text))
        return -1;
    snprintf(path, sizeof(path), "%s/db", t->dir);
    struct dispatch_options options = {
        .loop = &t->loop, .conf = &t->conf, .keys = &t->key, .key_count = 1, .store_path = path};
    if (loop_open(&t->loop) == 0 && dispatch_open(&t->d, &t->net, &options, err, sizeof(err)) == 0)
        return 0;
    fprintf(stderr, "%s\n", err);
    return -1;
}

int main(int argc, char **argv)
{
    static const char *const left[] = {"admin", "db", "db-wal", "db-shm", "db.lock"};
    static struct daemon t;
    struct rng rng = rng_system();
    unsigned peers = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
    char what[64], path[64];

    snprintf(t.dir, sizeof(t.dir), "bench_metrics.XXXXXX");
    if (!mkdtemp(t.dir)) {
        perror("bench_metrics");
        return 1;
    }
    log_open(LOG_LEVEL_WARNING);
    key_generate(&rng, &t.key);
    int bad = start(&t, peers);
    if (!bad) {
        bench_histogram(&rng);
        bench_sessions();
        bench_scrapes(&t, "a scrape without peers");
        add_peers(&t.d.table, &rng, peers);
        snprintf(what, sizeof(what), "a scrape with %u peers", t.d.table.channels.used);
        bench_scrapes(&t, what);
        dispatch_close(&t.d);
        loop_close(&t.loop);
    }
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", t.dir, left[i]);
        unlink(path);
    }
    rmdir(t.dir);
    return bad ? 1 : 0;
}
