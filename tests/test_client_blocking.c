/* SPDX-License-Identifier: ISC */
/* The blocking calls: one process connects, one accepts, and the test is the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fake_play.h"

#define PATIENCE 10000 /* runs of the server, of a millisecond at most */

struct world {
    struct fake_play play;
    uint8_t secret[2][TRYST_KEY_SIZE];
    char key[2][TRYST_KEY_TEXT_SIZE];
};

static int setup(void **state)
{
    static struct world w;

    memset(&w, 0, sizeof(w));
    fake_start(&w.play.server);
    for (int i = 0; i < 2; i++) {
        uint8_t public_key[TRYST_KEY_SIZE];
        assert_int_equal(tryst_keygen(w.secret[i]), 0);
        assert_int_equal(tryst_public_key(w.secret[i], public_key), 0);
        tryst_key_to_text(public_key, w.key[i]);
    }
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    fake_stop(&w->play.server);
    return 0;
}

/* ---- in the children, where a failure is an exit status ---- */

#define MUST(what)                                                                                 \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "line %d: %s\n", __LINE__, #what);                                     \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static struct tryst_context *context(const struct world *w, int side)
{
    struct tryst_context *ctx = tryst_new(NULL);

    MUST(ctx);
    MUST(tryst_set_key(ctx, w->secret[side]) == 0);
    MUST(tryst_set_server(ctx, w->play.server.url) == 0);
    return ctx;
}

/* The socket is a plain blocking one, on which the peers can talk. */
static void talk(int fd, const char *say, const char *hear)
{
    char in[16] = "";

    MUST(fd >= 0);
    MUST(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
    MUST(send(fd, say, strlen(say), 0) == (ssize_t)strlen(say));
    MUST(recv(fd, in, strlen(hear), MSG_WAITALL) == (ssize_t)strlen(hear));
    MUST(strcmp(in, hear) == 0);
    (void)close(fd);
}

static int connect_once(const struct world *w)
{
    struct tryst_context *ctx = context(w, 0);
    struct tryst_report *report;
    int fd;

    MUST(tryst_connect(ctx, w->key[1], 5000, &fd, &report) == 0);
    MUST(tryst_report_reason(report) == 0);
    talk(fd, "ping", "pong");
    tryst_report_free(report);
    /* Once more on the same context, without a report. */
    MUST(tryst_connect(ctx, w->key[1], 5000, &fd, NULL) == 0);
    talk(fd, "ping", "pong");
    tryst_free(ctx);
    return 0;
}

static int accept_twice(const struct world *w)
{
    struct tryst_context *ctx = context(w, 1);
    struct tryst_listener *l = tryst_listen(ctx);
    uint8_t key[TRYST_KEY_SIZE];
    int fd;

    MUST(l && tryst_key_from_text(w->key[0], key) == 0);
    MUST(tryst_listener_allow_key(l, key) == 0);
    for (int i = 0; i < 2; i++) {
        struct tryst_report *report;
        MUST(tryst_accept(l, 5000, &fd, &report) == 0);
        MUST(tryst_report_incoming(report));
        talk(fd, "pong", "ping");
        tryst_report_free(report);
    }
    MUST(tryst_accept(l, 50, &fd, NULL) == -TRYST_TIMEOUT);
    MUST(fd == -1);
    tryst_free(ctx);
    return 0;
}

static int accept_nobody(const struct world *w)
{
    struct tryst_context *ctx = context(w, 1);
    struct tryst_listener *l = tryst_listen(ctx);
    int fd;

    MUST(tryst_accept(l, 700, &fd, NULL) == -TRYST_TIMEOUT);
    tryst_free(ctx);
    return 0;
}

static int connect_in_vain(const struct world *w)
{
    struct tryst_context *ctx = context(w, 0);
    struct tryst_report *report;
    int fd;

    MUST(tryst_connect(ctx, "nobody", 300, &fd, &report) == -TRYST_TIMEOUT);
    MUST(fd == -1 && tryst_report_reason(report) == TRYST_TIMEOUT);
    tryst_report_free(report);
    tryst_free(ctx);
    return 0;
}

/* A check is no session: it neither comes out of tryst_accept(), nor does it disturb it. */
static int check_and_connect(const struct world *w)
{
    struct tryst_context *ctx = context(w, 0);
    struct tryst_outlook *o;

    MUST(tryst_check(ctx, NULL, -1, &o) == -TRYST_INVALID && !o);
    MUST(tryst_check(ctx, "no/such name", 5000, &o) == -TRYST_INVALID && !o);
    MUST(tryst_check(ctx, NULL, 5000, &o) == 0 && o);
    MUST(tryst_outlook_prospects(o) == 1);
    tryst_outlook_free(o);
    MUST(tryst_check(ctx, w->key[1], 5000, &o) == 0 && o);
    tryst_outlook_free(o);
    tryst_free(ctx);
    return connect_once(w);
}

static int check_in_vain(const struct world *w)
{
    struct tryst_context *ctx = context(w, 0);
    struct tryst_outlook *o;

    MUST(tryst_check(ctx, "nobody", 300, &o) == -TRYST_TIMEOUT);
    MUST(!o);
    tryst_free(ctx);
    return 0;
}

/* ---- the server's side ---- */

static pid_t spawn(const struct world *w, int (*fn)(const struct world *))
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(fn(w));
    return pid;
}

/* Plays the server until the child has ended; it must have ended well. */
static void play_until_end(struct world *w, pid_t pid)
{
    int status = -1;

    for (int i = 0; i < PATIENCE; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            break;
        fake_play(&w->play);
    }
    assert_int_equal(status, 0);
}

static void test_connect_and_accept(void **state)
{
    struct world *w = *state;
    pid_t target = spawn(w, accept_twice);

    for (int i = 0; i < PATIENCE && !w->play.has_target; i++)
        fake_play(&w->play);
    play_until_end(w, spawn(w, connect_once));
    play_until_end(w, target);
    assert_int_equal(w->play.results, 4);
}

static void test_check(void **state)
{
    struct world *w = *state;
    pid_t target = spawn(w, accept_twice);

    for (int i = 0; i < PATIENCE && !w->play.has_target; i++)
        fake_play(&w->play);
    play_until_end(w, spawn(w, check_and_connect));
    play_until_end(w, target);
    assert_int_equal(w->play.results, 4);
}

static void test_nobody_to_check(void **state)
{
    struct world *w = *state;

    play_until_end(w, spawn(w, check_in_vain));
}

static void test_nobody_there(void **state)
{
    struct world *w = *state;

    play_until_end(w, spawn(w, connect_in_vain));
}

/* tryst_accept() declines for an application that has no way to be asked. */
static void test_stranger_is_declined(void **state)
{
    struct world *w = *state;
    pid_t target = spawn(w, accept_nobody);

    for (int i = 0; i < PATIENCE && !w->play.has_target; i++)
        fake_play(&w->play);
    play_until_end(w, spawn(w, connect_in_vain));
    play_until_end(w, target);
    assert_int_equal(w->play.results, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_connect_and_accept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_check, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_to_check, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stranger_is_declined, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
