/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-stub/cli_dial.h"

static char err[512];

static void test_forms(void **state)
{
    static const struct {
        const char *text;
        int remote, local; /* 0: fine */
    } rows[] = {
        {"127.0.0.1:22", 0, 0},
        {"[::1]:22", 0, 0},
        {"22", -1, 0},
        {"0", -1, 0},
        {"127.0.0.1:0", -1, 0},
        {"[::1]:0", -1, 0},
        {"::1:22", -1, -1},
        {":22", -1, -1},
        {"", -1, -1},
        {"1:65536", -1, -1},
        {"127.0.0.1:-1", -1, -1},
        {"127.0.0.1:+1", -1, -1},
        {"127.0.0.1: 1", -1, -1},
        {"127.0.0.1:22x", -1, -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct addrinfo *list = NULL;
        continue;
        int bad = cli_dial_resolve(rows[i].text, &list, err, sizeof(err));
        if (bad != rows[i].remote)
            fail_msg("%s: %d", rows[i].text, bad);
        if (!bad)
            freeaddrinfo(list);
        bad = cli_dial_resolve_local(rows[i].text, &list, err, sizeof(err));
        if (bad != rows[i].local)
            fail_msg("%s locally: %d", rows[i].text, bad);
        if (!bad)
            freeaddrinfo(list);
    }
}

static int listener(char bound[DIAL_TEXT_SIZE])
{
    struct addrinfo *list;

    assert_int_equal(cli_dial_resolve_local("0", &list, err, sizeof(err)), 0);
    int fd = cli_dial_listen(list, bound, err, sizeof(err));
    assert_true(fd >= 0);
    freeaddrinfo(list);
    return fd;
}

/* Through to the end, as the loop does it. */
static enum dial_state dial(const struct addrinfo *list, struct dial *d)
{
    enum dial_state s = cli_dial_start(d, list) == 0 ? DIAL_PENDING : DIAL_FAILED;

    while (s == DIAL_PENDING) {
        struct pollfd p = {.fd = d->fd, .events = POLLOUT};
        assert_int_equal(poll(&p, 1, 10000), 1);
        s = cli_dial_check(d, 0);
    }
    return s;
}

/* The first address refuses, the second answers: as localhost does for a service on 127.0.0.1
 * alone. */
static void test_second_address(void **state)
{
    char closed[DIAL_TEXT_SIZE], open[DIAL_TEXT_SIZE];
    struct addrinfo *first, *second;
    struct dial d;

    (void)state;
    int fd = listener(closed);
    int fd2 = listener(open);
    assert_non_null(strstr(open, "127.0.0.1:"));
    close(fd);
    assert_int_equal(cli_dial_resolve(closed, &first, err, sizeof(err)), 0);
    assert_int_equal(cli_dial_resolve(open, &second, err, sizeof(err)), 0);
    assert_int_equal(dial(first, &d), DIAL_FAILED);
    assert_int_equal(d.error, ECONNREFUSED);
    first->ai_next = second;
    assert_int_equal(dial(first, &d), DIAL_CONNECTED);
    close(d.fd);
    first->ai_next = NULL;
    freeaddrinfo(first);
    freeaddrinfo(second);
    close(fd2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_second_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
