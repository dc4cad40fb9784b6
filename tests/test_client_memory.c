/* SPDX-License-Identifier: ISC */
/* A session of two clients, and checks, again and again, each time with another allocation that
 * fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fake_play.h"

struct memory {
    long live;    /* blocks not given back */
    long calls;   /* so far */
    long fail_at; /* this one gets nothing */
};

static void *count_alloc(void *user, size_t size)
{
    struct memory *m = user;

    if (++m->calls == m->fail_at)
        return NULL;
    m->live++;
    return malloc(size);
}

static void *count_resize(void *user, void *p, size_t size)
{
    struct memory *m = user;

    if (++m->calls == m->fail_at)
        return NULL;
    if (!p)
        m->live++;
    return realloc(p, size);
}

static void count_release(void *user, void *p)
{
    struct memory *m = user;

    if (p)
        m->live--;
    free(p);
}

struct scene {
    struct fake_play play;
    struct tryst_context *side[2];
    uint8_t key[2][TRYST_KEY_SIZE];
    struct tryst_request *req;
    unsigned final[2]; /* final events, requester's and target's */
    bool succeeded;
};

static void take_events(struct scene *sc, int side)
{
    struct tryst_event *ev;

    while (sc->side[side] && (ev = tryst_next_event(sc->side[side])) != NULL) {
        enum tryst_event_type type = tryst_event_type(ev);
        bool good = type == TRYST_EVENT_ESTABLISHED || type == TRYST_EVENT_CHECKED;
        if (good || type == TRYST_EVENT_FAILED)
            sc->final[side]++;
        if (good)
            sc->succeeded = true;
        tryst_event_free(ev);
    }
}

/* ---- one run ---- */

static void start(struct scene *sc, int side)
{
    struct tryst_context *ctx = sc->side[side] = fake_context(&sc->play.server);

    if (!ctx)
        return;
    assert_int_equal(tryst_own_key(ctx, sc->key[side]), 0);
    (void)tryst_set_fail_fast(ctx, 0);
    struct tryst_listener *l = side == 1 ? tryst_listen(ctx) : NULL;
    if (l)
        (void)tryst_listener_allow_key(l, sc->key[0]);
    (void)tryst_start(ctx);
}

static void step(struct scene *sc)
{
    fake_play(&sc->play);
    take_events(sc, 0);
    take_events(sc, 1);
}

typedef struct tryst_request *(*request_fn)(struct tryst_context *ctx);

static struct tryst_request *session(struct tryst_context *ctx)
{
    return tryst_request(ctx, "bob", 600, 0);
}

static struct tryst_request *check_of_nat(struct tryst_context *ctx)
{
    return tryst_check_request(ctx, NULL, 600);
}

static struct tryst_request *check_of_peer(struct tryst_context *ctx)
{
    return tryst_check_request(ctx, "bob", 600);
}

/* Runs one request; returns how many allocations it took. */
static long run(request_fn request, long fail_at, bool *succeeded)
{
    static struct scene sc;
    struct memory memory = {.fail_at = fail_at};
    struct tryst_allocator allocator = {count_alloc, count_resize, count_release, &memory};

    memset(&sc, 0, sizeof(sc));
    fake_start(&sc.play.server);
    sc.play.server.allocator = &allocator;
    assert_int_equal(tryst_keygen(sc.key[0]), 0); /* a stand-in, should there be no memory */
    start(&sc, 0);
    start(&sc, 1);
    for (int i = 0; i < 300 && sc.play.registered < 2; i++)
        step(&sc);
    if (sc.side[0])
        sc.req = request(sc.side[0]);
    /* Every request gets its one final event, whatever fails. */
    for (int i = 0; i < 3000 && sc.req && !sc.final[0]; i++)
        step(&sc);
    if (sc.req)
        assert_int_equal(sc.final[0], 1);
    assert_true(sc.final[1] <= 1);
    *succeeded = sc.succeeded;
    fake_stop(&sc.play.server);
    assert_int_equal(memory.live, 0);
    return memory.calls;
}

static void fail_each(request_fn request)
{
    bool succeeded;
    long most = run(request, 0, &succeeded);

    assert_true(succeeded);
    assert_in_range(most, 10, 400);
    for (long n = 1; n <= most + 2; n++)
        (void)run(request, n, &succeeded);
}

static void test_session(void **state)
{
    (void)state;
    fail_each(session);
}

static void test_checks(void **state)
{
    (void)state;
    fail_each(check_of_nat);
    fail_each(check_of_peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_checks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
