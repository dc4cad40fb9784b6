/* SPDX-License-Identifier: ISC */
/* The pool: what goes in as a job comes back as a result, and nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <sodium.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/msg.h"
#include "server/net_conn.h"

static void make_job(const struct key_pair *client, const uint8_t *server,
                     struct noise_handshake *hs, struct handshake_job *job)
{
    struct rng rng = rng_system();
    noise_start(hs, NOISE_IK, true, MSG_PROLOGUE, sizeof(MSG_PROLOGUE) - 1, client, server);
    assert_int_equal(noise_write(hs, &rng, NULL, 0, job->message, sizeof(job->message)),
                     sizeof(job->message));
}

static void test_one_job(void **state)
{
    struct rng rng = rng_system();
    struct key_pair server, client;
    struct noise_handshake hs;
    struct noise_cipher send, receive;
    struct handshake_job job = {.conn = {3, 9}, .put = 42};
    struct handshake_result r;
    uint8_t payload[1], box[5 + NOISE_TAG_SIZE], plain[5 + NOISE_TAG_SIZE];

    (void)state;
    key_generate(&rng, &server);
    key_generate(&rng, &client);
    make_job(&client, server.public, &hs, &job);
    net_handshake_run(&server, 1, &rng, &job, &r);
    assert_true(r.genuine);
    assert_true(ref_equal(r.conn, job.conn));
    assert_int_equal(r.put, 42);
    assert_memory_equal(r.peer, client.public, KEY_SIZE);
    assert_int_equal(noise_read(&hs, r.answer, sizeof(r.answer), payload, sizeof(payload)), 0);
    assert_int_equal(noise_split(&hs, &send, &receive, NULL), 0);
    assert_int_equal(noise_seal(&send, (const uint8_t *)"hello", 5, box), sizeof(box));
    assert_int_equal(noise_open(&r.receive, box, sizeof(box), plain), 5);
    assert_memory_equal(plain, "hello", 5);
}

static void test_forged_jobs(void **state)
{
    struct rng rng = rng_system();
    struct key_pair server, client, other;
    struct noise_handshake hs;
    struct handshake_job job = {.conn = {1, 1}};
    struct handshake_result r;

    (void)state;
    key_generate(&rng, &server);
    key_generate(&rng, &other);
    key_generate(&rng, &client);
    for (unsigned bit = 0; bit < sizeof(job.message) * 8; bit += 13) {
        make_job(&client, server.public, &hs, &job);
        job.message[bit / 8] ^= (uint8_t)(1u << bit % 8);
        /* The top bit of a curve point does not count (RFC 7748 section 5), but the transcript hash
         * sees it. */
        net_handshake_run(&server, 1, &rng, &job, &r);
        assert_false(r.genuine);
        assert_true(sodium_is_zero((const uint8_t *)&r.send, sizeof(r.send)));
    }
    make_job(&client, other.public, &hs, &job); /* meant for another server */
    net_handshake_run(&server, 1, &rng, &job, &r);
    assert_false(r.genuine);
    noise_wipe(&hs);
}

/* After the key was changed, the old one lets in who knows only that. */
static void test_two_keys(void **state)
{
    struct rng rng = rng_system();
    struct key_pair server[3], client;
    struct noise_handshake hs;
    struct handshake_job job = {.conn = {1, 1}};
    struct handshake_result r;
    uint8_t payload[1];

    (void)state;
    key_generate(&rng, &client);
    for (unsigned i = 0; i < 3; i++)
        key_generate(&rng, &server[i]);
    for (unsigned i = 0; i < 3; i++) {
        make_job(&client, server[i].public, &hs, &job);
        net_handshake_run(server, 2, &rng, &job, &r);
        assert_int_equal(r.genuine, i < 2);
        if (!r.genuine)
            break;
        assert_int_equal(r.key, i);
        assert_memory_equal(r.peer, client.public, KEY_SIZE);
        assert_int_equal(noise_read(&hs, r.answer, sizeof(r.answer), payload, sizeof(payload)), 0);
        noise_wipe(&hs);
    }
    noise_wipe(&hs);
}

static void wake(void *user)
{
    uint64_t one = 1;
    ssize_t n = write(*(int *)user, &one, sizeof(one));
    (void)n;
}

static void wait_for_wake(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t n;
    assert_int_equal(poll(&p, 1, 30000), 1);
    assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
}

#define JOBS 64u

static void test_pool(void **state)
{
    struct rng rng = rng_system();
    struct key_pair server, client;
    struct noise_handshake hs;
    struct handshake_job job;
    struct handshake_result r;
    bool seen[JOBS] = {false};
    unsigned results = 0;
    int fd = eventfd(0, EFD_CLOEXEC);

    (void)state;
    key_generate(&rng, &server);
    key_generate(&rng, &client);
    make_job(&client, server.public, &hs, &job);
    noise_wipe(&hs);
    struct net_handshake *pool = net_handshake_start(&server, 1, 2, JOBS, wake, &fd);
    assert_non_null(pool);
    double assumed = net_handshake_rate(pool);
    assert_true(assumed >= 2 * 1000. && assumed <= 2 * 4000.);
    for (uint32_t i = 0; i < JOBS; i++) {
        job.conn = (struct ref){i, 1};
        assert_true(net_handshake_put(pool, &job));
    }
    /* Its places are all taken, by waiting jobs or by results that nobody has fetched. */
    assert_false(net_handshake_put(pool, &job));
    while (results < JOBS) {
        wait_for_wake(fd);
        for (; net_handshake_take(pool, &r); results++) {
            assert_true(r.genuine);
            assert_false(seen[r.conn.index]);
            seen[r.conn.index] = true;
        }
    }
    /* Measured by now. */
    assert_true(net_handshake_rate(pool) > 0.);
    assert_true(net_handshake_rate(pool) != assumed);
    assert_true(net_handshake_put(pool, &job));
    net_handshake_stop(pool); /* with a job in it */
    close(fd);
}

/* The rest of the budget for an idle peer: see test_tables. */
static void test_an_idle_connection_is_small(void **state)
{
    (void)state;
    print_message("connection %zu bytes\n", sizeof(struct net_conn));
    assert_in_range(sizeof(struct net_conn), 1, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_job),
                                       cmocka_unit_test(test_forged_jobs),
                                       cmocka_unit_test(test_two_keys), cmocka_unit_test(test_pool),
                                       cmocka_unit_test(test_an_idle_connection_is_small)};
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
