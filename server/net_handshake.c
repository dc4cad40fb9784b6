/* SPDX-License-Identifier: ISC */
#include "net_handshake.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"
#include "proto/msg.h"
#include "thread.h"

/* What a handshake takes on a slow machine, and how many have to be timed before that counts. */
#define COST_ASSUMED (500 * TICK_US)
#define COST_LEAST   16

struct net_handshake {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct key_pair keys[HANDSHAKE_KEYS_MAX];
    unsigned key_count;
    void (*wake)(void *user);
    void *user;
    /* Rings. A job in the hands of a thread still has its place among the results, so results never
     * overflow. */
    struct handshake_job *jobs;
    struct handshake_result *results;
    unsigned capacity, job_head, job_count, result_head, result_count, in_hand;
    tick spent; /* by all threads, on so many genuine handshakes */
    uint64_t made;
    bool stopping;
    unsigned thread_count;
    pthread_t threads[];
};

static void try_key(const struct key_pair *server_key, const struct rng *rng,
                    const struct handshake_job *job, struct handshake_result *out)
{
    struct noise_handshake hs;
    uint8_t none[1];

    noise_start(&hs, NOISE_IK, false, MSG_PROLOGUE, sizeof(MSG_PROLOGUE) - 1, server_key, NULL);
    if (noise_read(&hs, job->message, sizeof(job->message), none, 0) == 0) {
        memcpy(out->peer, hs.remote_static, KEY_SIZE);
        out->genuine = noise_write(&hs, rng, NULL, 0, out->answer, sizeof(out->answer)) ==
                           (int)sizeof(out->answer) &&
                       noise_split(&hs, &out->send, &out->receive, NULL) == 0;
    }
    noise_wipe(&hs);
}

void net_handshake_run(const struct key_pair *server_keys, unsigned count, const struct rng *rng,
                       const struct handshake_job *job, struct handshake_result *out)
{
    memset(out, 0, sizeof(*out));
    out->conn = job->conn;
    out->put = job->put;
    for (unsigned i = 0; i < count && !out->genuine; i++) {
        out->key = (uint8_t)i;
        try_key(&server_keys[i], rng, job, out);
    }
}

static bool next_job(struct net_handshake *pool, struct handshake_job *job)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->job_count && !pool->stopping)
        pthread_cond_wait(&pool->work, &pool->lock);
    bool have = !pool->stopping;
    if (have) {
        *job = pool->jobs[pool->job_head];
        pool->job_head = (pool->job_head + 1) % pool->capacity;
        pool->job_count--;
        pool->in_hand++;
    }
    pthread_mutex_unlock(&pool->lock);
    return have;
}

static void put_result(struct net_handshake *pool, const struct handshake_result *result,
                       tick spent)
{
    pthread_mutex_lock(&pool->lock);
    if (result->genuine) { /* others end early, and would make it look faster than it is */
        pool->spent += spent;
        pool->made++;
    }
    pool->results[(pool->result_head + pool->result_count) % pool->capacity] = *result;
    pool->in_hand--;
    bool first = pool->result_count++ == 0;
    pthread_mutex_unlock(&pool->lock);
    if (first) /* later ones are taken in the same wake-up */
        pool->wake(pool->user);
}

static void *work(void *arg)
{
    struct net_handshake *pool = arg;
    struct rng rng = rng_system();
    struct handshake_job job;
    struct handshake_result result;

    while (next_job(pool, &job)) {
        tick begun = loop_clock();
        net_handshake_run(pool->keys, pool->key_count, &rng, &job, &result);
        put_result(pool, &result, loop_clock() - begun);
        sodium_memzero(&result, sizeof(result));
    }
    return NULL;
}

static bool start_threads(struct net_handshake *pool, unsigned threads)
{
    while (pool->thread_count < threads &&
           thread_start(&pool->threads[pool->thread_count], work, pool) == 0)
        pool->thread_count++;
    return pool->thread_count == threads;
}

struct net_handshake *net_handshake_start(const struct key_pair *server_keys, unsigned count,
                                          unsigned threads, unsigned queue,
                                          void (*wake)(void *user), void *user)
{
    if (!threads) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        threads = online > 0 && online < 64 ? (unsigned)online : 1;
    }
    struct net_handshake *pool = calloc(1, sizeof(*pool) + threads * sizeof(pthread_t));
    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pool->key_count = count < HANDSHAKE_KEYS_MAX ? count : HANDSHAKE_KEYS_MAX;
    memcpy(pool->keys, server_keys, pool->key_count * sizeof(*server_keys));
    pool->wake = wake;
    pool->user = user;
    pool->capacity = queue;
    pool->jobs = calloc(queue, sizeof(*pool->jobs));
    pool->results = calloc(queue, sizeof(*pool->results));
    if (!pool->jobs || !pool->results || !start_threads(pool, threads)) {
        net_handshake_stop(pool);
        return NULL;
    }
    return pool;
}

bool net_handshake_put(struct net_handshake *pool, const struct handshake_job *job)
{
    pthread_mutex_lock(&pool->lock);
    bool room = pool->job_count + pool->in_hand + pool->result_count < pool->capacity;
    if (room) {
        pool->jobs[(pool->job_head + pool->job_count) % pool->capacity] = *job;
        pool->job_count++;
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    return room;
}

bool net_handshake_take(struct net_handshake *pool, struct handshake_result *out)
{
    pthread_mutex_lock(&pool->lock);
    bool have = pool->result_count > 0;
    if (have) {
        struct handshake_result *r = &pool->results[pool->result_head];
        *out = *r;
        sodium_memzero(r, sizeof(*r));
        pool->result_head = (pool->result_head + 1) % pool->capacity;
        pool->result_count--;
    }
    pthread_mutex_unlock(&pool->lock);
    return have;
}

unsigned net_handshake_waiting(struct net_handshake *pool)
{
    pthread_mutex_lock(&pool->lock);
    unsigned n = pool->job_count + pool->in_hand;
    pthread_mutex_unlock(&pool->lock);
    return n;
}

double net_handshake_rate(struct net_handshake *pool)
{
    pthread_mutex_lock(&pool->lock);
    bool known = pool->made >= COST_LEAST && pool->spent > 0;
    double cost =
        known ? tick_seconds(pool->spent) / (double)pool->made : tick_seconds(COST_ASSUMED);
    pthread_mutex_unlock(&pool->lock);
    return pool->thread_count / cost;
}

void net_handshake_stop(struct net_handshake *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    if (pool->results)
        sodium_memzero(pool->results, pool->capacity * sizeof(*pool->results));
    free(pool->jobs);
    free(pool->results);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    sodium_memzero(pool->keys, sizeof(pool->keys));
    free(pool);
}
