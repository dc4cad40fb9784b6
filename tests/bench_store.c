/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */

/*
 * How many introductions a second the store records: bench_store [SESSIONS [DIRECTORY]]. Each
 * session is two rows, its start and its end, a thousand sessions under way at any time; the clock
 * stops when all is on disk.
 *
 * Then what the removal of old sessions costs: as long as commits take with 2,000 sessions a second
 * coming in for ten seconds, without it and while it removes half of what there is.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/rng.h"
#include "server/log.h"
#include "server/store.h"

#define UNDER_WAY 1000
#define BEGUN     ((stamp)1764494130000000)

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void fill(struct row *row, const struct rng *rng, uint64_t n)
{
    struct row_session *s = &row->session;

    memset(row, 0, sizeof(*row));
    row->kind = ROW_SESSION;
    rng_fill(rng, s->id, sizeof(s->id));
    rng_fill(rng, s->requester, sizeof(s->requester));
    rng_fill(rng, s->target, sizeof(s->target));
    snprintf(s->requester_name, sizeof(s->requester_name), "laptop");
    snprintf(s->target_name, sizeof(s->target_name), "home");
    s->started = BEGUN + (stamp)n;
}

static void finish(struct row_session *s)
{
    s->finished = s->started + 500000;
    s->reason = s->id[0] % 10 ? 0 : 54;
    s->family = 4;
    s->rounds = 1;
    s->chance = 0.97;
    s->punch = s->started + 300000;
    for (int side = 0; side < 2; side++) {
        s->nat[side] = (struct nat_summary){.mapping = NAT_APDM,
                                            .allocation = NAT_COUNTER,
                                            .delta = 2,
                                            .confidence = 90,
                                            .samples = 12};
        s->public_endpoint[side] = (struct endpoint){4, {198, 51, 100, 7}, 40001};
        s->met[side] = s->public_endpoint[side];
        s->syns[side] = 6;
    }
    snprintf(s->plan, sizeof(s->plan),
             "{\"rounds\":[{\"round\":1,\"chance\":0.97,\"families\":[{\"family\":4,\"shapes\":"
             "[\"counter\",\"counter\"],\"ports\":[40000,40000],\"syns\":[6,6],\"sockets\":[6,6],"
             "\"chance\":0.97}],\"refusal\":[\"rst\",\"silence\"]}]}");
}

static uint64_t put(struct store *s, const struct row *row, uint64_t *waits)
{
    struct timespec pause = {0, 500000};
    uint64_t number;

    while ((number = store_put(s, row)) == 0) {
        (*waits)++;
        nanosleep(&pause, NULL);
    }
    return number;
}

static void run(struct store *s, uint64_t sessions)
{
    static struct row rows[UNDER_WAY];
    struct rng_seeded seed;
    struct rng rng = rng_from_seed(&seed, 1);
    struct timespec pause = {0, 100000};
    struct store_health health;
    uint64_t last = 0, waits = 0;
    double begun = seconds();

    for (uint64_t n = 0; n < sessions + UNDER_WAY; n++) {
        struct row *row = &rows[n % UNDER_WAY];
        if (n >= UNDER_WAY) {
            finish(&row->session);
            last = put(s, row, &waits);
        }
        fill(row, &rng, n);
        if (n < sessions)
            last = put(s, row, &waits);
    }
    while (store_committed(s) < last)
        nanosleep(&pause, NULL);
    double took = seconds() - begun;
    store_health(s, &health);
    printf("%" PRIu64 " sessions, %" PRIu64 " rows in %.2f s: %.0f sessions/s, %.0f rows/s\n"
           "%" PRIu64
           " commits of %.0f rows on average, slowest %.0f ms; the queue was full %" PRIu64
           " times\n",
           sessions, health.rows, took, (double)sessions / took, (double)health.rows / took,
           health.commits, (double)health.rows / (double)health.commits,
           (double)health.commit_worst / 1e6, waits);
}

/* The database as it lies when all is in it. */
static void show_size(const char *path, uint64_t sessions)
{
    struct stat st;

    if (stat(path, &st) == 0)
        printf("%lld bytes on disk, %.0f per session\n", (long long)st.st_size,
               (double)st.st_size / (double)sessions);
}

/* The bound that so great a part of the intervals keep to. */
static double quantile(const struct histogram *h, const struct histogram *before, double part)
{
    double total = (double)(histogram_total(h) - histogram_total(before)), sum = 0;

    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        sum += (double)(h->counts[i] - before->counts[i]);
        if (sum >= total * part)
            return (double)histogram_bound(i) / 1e6;
    }
    return 1e9;
}

/* 2,000 sessions a second, a few every millisecond. */
static void steady(struct store *s, const char *what, uint64_t first)
{
    static struct row row;
    struct rng_seeded seed;
    struct rng rng = rng_from_seed(&seed, first);
    struct timespec pause = {0, 1000000};
    struct store_health before, after;
    uint64_t waits = 0, n = 0;
    double begun = seconds();

    store_health(s, &before);
    while (seconds() - begun < 10) {
        for (; (double)n < (seconds() - begun) * 2000; n++) {
            fill(&row, &rng, first + n);
            put(s, &row, &waits);
            finish(&row.session);
            put(s, &row, &waits);
        }
        nanosleep(&pause, NULL);
    }
    store_health(s, &after);
    printf("%-18s %8" PRIu64 " %8" PRIu64 " %9.2f ms %9.2f ms %9.2f ms %9" PRIu64 "\n", what, n,
           after.commits - before.commits, quantile(&after.commit, &before.commit, 0.5),
           quantile(&after.commit, &before.commit, 0.99),
           quantile(&after.commit, &before.commit, 1), after.removed - before.removed);
}

static void compare(struct store *s, uint64_t sessions)
{
    struct store_retention wish = {.session_rows = sessions / 2 + 1};

    printf("%-18s %8s %8s %12s %12s %12s %9s\n", "", "sessions", "commits",
           "median <=", "99% <=", "slowest <=", "removed");
    steady(s, "without removal", sessions * 2);
    store_retain(s, &wish);
    steady(s, "while removing", sessions * 3);
}

int main(int argc, char **argv)
{
    static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
    char directory[256], path[300], err[512];
    uint64_t sessions = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;

    snprintf(directory, sizeof(directory), "%s/tryst-bench-XXXXXX", argc > 2 ? argv[2] : "/tmp");
    if (!mkdtemp(directory)) {
        (void)fprintf(stderr, "%s: %s\n", directory, strerror(errno));
        return 1;
    }
    log_open(LOG_LEVEL_NOTICE);
    snprintf(path, sizeof(path), "%s/tryst.db", directory);
    struct store *s = store_open(path, NULL, NULL, err, sizeof(err));
    if (s) {
        run(s, sessions);
        compare(s, sessions);
        store_close(s);
        show_size(path, sessions);
    } else {
        (void)fprintf(stderr, "%s\n", err);
    }
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        snprintf(path, sizeof(path), "%s/tryst.db%s", directory, ends[i]);
        unlink(path);
    }
    rmdir(directory);
    return s ? 0 : 1;
}
