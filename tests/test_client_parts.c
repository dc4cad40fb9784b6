/* SPDX-License-Identifier: ISC */
/* Deadlines, ports, records, reports, and the functions that need no server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client-stub/core.h"
#include "client-stub/deadline.h"
#include "client-stub/ports.h"
#include "client-stub/record.h"
#include "client-stub/report.h"
#include "client-stub/sock.h"

/* ---- deadlines ---- */

static void test_deadlines_in_order(void **state)
{
    enum { COUNT = 400 };
    static struct deadline d[COUNT];
    struct deadlines all = {NULL};
    struct rng_seeded seeded;
    struct rng rng = rng_from_seed(&seeded, 42);
    unsigned set = 0, popped = 0;
    tick last = -1;

    (void)state;
    memset(d, 0, sizeof(d));
    assert_int_equal(deadline_first(&all), TICK_NEVER);
    for (int i = 0; i < 4000; i++) {
        struct deadline *one = &d[rng_below(&rng, COUNT)];
        if (rng_below(&rng, 4) == 0)
            deadline_clear(&all, one);
        else
            deadline_set(&all, one, rng_below(&rng, 5) ? rng_below(&rng, 1000) : TICK_NEVER);
    }
    for (int i = 0; i < COUNT; i++)
        set += d[i].set;
    assert_null(deadline_pop(&all, -1));
    for (struct deadline *one; (one = deadline_pop(&all, 1000)) != NULL; popped++) {
        assert_true(one->when >= last);
        assert_false(one->set);
        last = one->when;
    }
    assert_int_equal(popped, set);
    assert_true(set > 100);
}

/* ---- ports ---- */

static int accepted_fd = -1;

static void accepted(struct ports *ports, const struct port *port, int fd)
{
    (void)ports;
    assert_true(port->port != 0);
    accepted_fd = fd;
}

static int new_context(void **state)
{
    *state = tryst_new(NULL);
    return *state ? 0 : -1;
}

static int free_context(void **state)
{
    tryst_free(*state);
    return 0;
}

static void test_ports_are_distinct(void **state)
{
    struct tryst_context *ctx = *state;
    struct ports p;
    uint16_t seen[300];

    ports_init(&p, ctx, accepted);
    assert_int_equal(ports_bind_sorted(&p, 4, 100), 0);
    for (unsigned i = 0; i < 300; i++) {
        /* From 100 on they are made singly, backwards, and far apart. */
        unsigned number = i < 100 ? i : 60000 - 100 * i;
        seen[i] = ports_get(&p, 4, number);
        assert_int_not_equal(seen[i], 0);
        assert_int_equal(ports_get(&p, 4, number), seen[i]);
        assert_true(i == 0 || i >= 100 || seen[i] > seen[i - 1]);
        for (unsigned k = 0; k < i; k++)
            assert_int_not_equal(seen[k], seen[i]);
    }
    assert_false(ports_bound(&p, 6, 0));
    assert_false(ports_bound(&p, 4, 101));
    ports_close(&p);
    assert_int_equal(ctx->socket_count, 0);
}

static struct endpoint loopback(uint16_t port)
{
    struct endpoint e;

    assert_int_equal(endpoint_parse("127.0.0.1", 1, &e), 0);
    return endpoint_with_port(e, port);
}

/* A listener, a connection out of the same port, and one into it, all at once. */
static void test_port_is_shared(void **state)
{
    struct tryst_context *ctx = *state;
    struct ports a, b;

    ports_init(&a, ctx, accepted);
    ports_init(&b, ctx, accepted);
    assert_int_equal(ports_listen(&a, 4, 0), 0);
    assert_int_equal(ports_listen(&a, 4, 0), 0);
    assert_int_equal(ports_listen(&b, 4, 5), 0);
    struct endpoint to = loopback(ports_get(&b, 4, 5));
    int fd = ports_open_dialling(&a, 4, 0);
    int twin = ports_open_dialling(&a, 4, 0);
    assert_true(fd >= 0 && twin >= 0);
    assert_int_equal(sock_connect(fd, &to), 0);
    /* One four-tuple, one connection. */
    assert_int_equal(sock_connect(twin, &to), EADDRNOTAVAIL);
    accepted_fd = -1;
    (void)poll(&(struct pollfd){.fd = tryst_fd(ctx), .events = POLLIN}, 1, 1000);
    assert_int_equal(tryst_process(ctx), 0);
    assert_true(accepted_fd >= 0);
    struct endpoint from = sock_remote(accepted_fd);
    assert_int_equal(from.port, ports_get(&a, 4, 0));
    sock_close(ctx, &accepted_fd);
    sock_close_gently(ctx, &fd);
    sock_close(ctx, &twin);
    ports_close(&a);
    ports_close(&b);
    assert_int_equal(ctx->socket_count, 0);
}

static uint16_t controlled_from;

static void accepted_and_closed(struct ports *ports, const struct port *port, int fd)
{
    if (port->number == SOCKET_CONTROL)
        controlled_from = sock_remote(fd).port;
    sock_close(ports->ctx, &fd);
}

/* The control channel's port: listens, and dials others, beside the channel itself. */
static void test_control_port(void **state)
{
    struct tryst_context *ctx = *state;
    struct channel *ch = &ctx->channel;
    struct ports server, peer, own;

    ports_init(&server, ctx, accepted_and_closed);
    ports_init(&peer, ctx, accepted_and_closed);
    ports_init(&own, ctx, accepted_and_closed);
    assert_int_equal(ports_listen(&server, 4, 0), 0);
    assert_int_equal(ports_listen(&peer, 4, 0), 0);
    struct endpoint to_server = loopback(ports_get(&server, 4, 0));
    struct endpoint to_peer = loopback(ports_get(&peer, 4, 0));
    int fd = sock_open_bound(ctx, 4, 0);
    assert_int_equal(sock_connect(fd, &to_server), 0);
    ch->local = sock_local(fd);
    assert_int_equal(ports_get(&own, 4, SOCKET_CONTROL), 0);
    ch->state = CHANNEL_OPEN;
    assert_int_equal(ports_get(&own, 4, SOCKET_CONTROL), ch->local.port);
    assert_int_equal(ports_get(&own, 6, SOCKET_CONTROL), 0);
    assert_int_not_equal(ports_get(&own, 4, 0), ch->local.port);
    assert_int_equal(ports_listen(&own, 4, SOCKET_CONTROL), 0);
    int punch = ports_open_dialling(&own, 4, SOCKET_CONTROL);
    int twin = ports_open_dialling(&own, 4, SOCKET_CONTROL);
    assert_int_equal(sock_connect(punch, &to_peer), 0);
    /* The channel's own four-tuple cannot be had. */
    assert_int_equal(sock_connect(twin, &to_server), EADDRNOTAVAIL);
    int from_peer = sock_open_bound(ctx, 4, 0);
    struct endpoint to_own = loopback(ch->local.port);
    assert_int_equal(sock_connect(from_peer, &to_own), 0);
    struct endpoint here = sock_local(from_peer);
    controlled_from = 0;
    for (int i = 0; i < 10 && !controlled_from; i++) {
        (void)poll(&(struct pollfd){.fd = tryst_fd(ctx), .events = POLLIN}, 1, 1000);
        assert_int_equal(tryst_process(ctx), 0);
    }
    assert_int_equal(controlled_from, here.port);
    ch->state = CHANNEL_DOWN;
    ch->local = endpoint_none();
    sock_close(ctx, &fd);
    sock_close(ctx, &punch);
    sock_close(ctx, &twin);
    sock_close(ctx, &from_peer);
    ports_close(&own);
    ports_close(&peer);
    ports_close(&server);
    assert_int_equal(ctx->socket_count, 0);
}

/* Hundreds of ports need one descriptor each, not two. */
static void test_port_is_lent(void **state)
{
    struct tryst_context *ctx = *state;
    struct ports p;
    uint16_t port;

    ports_init(&p, ctx, accepted);
    port = ports_get(&p, 4, 0);
    assert_int_equal(ctx->socket_count, 1);
    int fd = ports_open_dialling(&p, 4, 0);
    assert_int_equal(ctx->socket_count, 1);
    struct endpoint local = sock_local(fd);
    assert_int_equal(local.port, port);
    /* A further try from there binds anew. */
    sock_close(ctx, &fd);
    fd = ports_open_dialling(&p, 4, 0);
    local = sock_local(fd);
    assert_int_equal(local.port, port);
    sock_close(ctx, &fd);
    ports_close(&p);
    assert_int_equal(ctx->socket_count, 0);
}

/* ---- addresses ---- */

static void test_undialable(void **state)
{
    static const struct {
        const char *text;
        bool undialable;
    } rows[] = {
        {"192.0.2.1:80", false},  {"192.0.2.1:0", true},       {"0.0.0.0:80", true},
        {"0.1.2.3:80", true},     {"224.0.0.1:80", true},      {"255.255.255.255:80", true},
        {"169.254.1.1:80", true}, {"10.0.0.1:80", false},      {"100.64.0.1:80", false},
        {"127.0.0.1:80", false},  {"[2001:db8::1]:80", false}, {"[::]:80", true},
        {"[ff02::1]:80", true},   {"[fe80::1]:80", true},      {"[fd00::1]:80", false},
        {"[::1]:80", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct endpoint e;
        assert_int_equal(endpoint_parse(rows[i].text, 0, &e), 0);
        if (sock_undialable(&e) != rows[i].undialable)
            fail_msg("%s", rows[i].text);
    }
    struct endpoint none = endpoint_none();
    assert_true(sock_undialable(&none));
}

/* ---- limits ---- */

static int64_t still_clock(void *user)
{
    return *(int64_t *)user;
}

static void test_dials_are_limited(void **state)
{
    struct tryst_context *ctx = *state;
    int64_t now = 5 * TICK_S;
    unsigned count = 0;

    assert_int_equal(tryst_set_clock(ctx, still_clock, &now), 0);
    while (core_may_dial(ctx))
        count++;
    assert_int_equal(count, CORE_DIALS_MAX);
    now += TICK_S;
    for (count = 0; core_may_dial(ctx); count++)
        ;
    assert_int_equal(count, CORE_DIALS_PER_S);
    /* A clock that stands still holds nothing up for ever. */
    core_wait_for(ctx, now + TICK_S);
}

/* ---- records ---- */

static void make_records(struct tryst_context *ctx, struct tryst_record *rec[2])
{
    struct noise_cipher one = {.nonce = 1};
    struct noise_cipher two = {.nonce = 0};

    memset(one.key, 1, sizeof(one.key));
    memset(two.key, 2, sizeof(two.key));
    rec[0] = record_new(&ctx->alloc, &one, &two);
    rec[1] = record_new(&ctx->alloc, &two, &one);
}

static void test_records(void **state)
{
    static const size_t sizes[] = {0, 1, 17, 4096, TRYST_RECORD_PLAIN_MAX};
    static uint8_t plain[TRYST_RECORD_PLAIN_MAX],
        wire[TRYST_RECORD_PLAIN_MAX + TRYST_RECORD_OVERHEAD];
    static uint8_t out[TRYST_RECORD_PLAIN_MAX];
    struct tryst_record *rec[2];
    size_t len;

    make_records(*state, rec);
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int n = tryst_record_seal(rec[0], plain, sizes[i], wire);
        assert_int_equal(n, sizes[i] + TRYST_RECORD_OVERHEAD);
        /* However few bytes are there, it waits for the rest. */
        for (int cut = 0; cut < n; cut += cut < 3 ? 1 : 4999)
            assert_int_equal(tryst_record_open(rec[1], wire, (size_t)cut, out, &len), 0);
        void *to = i % 2 ? (void *)wire : (void *)out;
        assert_int_equal(tryst_record_open(rec[1], wire, (size_t)n, to, &len), n);
        assert_int_equal(len, sizes[i]);
        if (len)
            assert_memory_equal(to, plain, len);
    }
    assert_int_equal(tryst_record_seal(rec[0], plain, TRYST_RECORD_PLAIN_MAX + 1, wire),
                     -TRYST_INVALID);
    assert_true(tryst_record_open(rec[1],
                                  "\0\x0f"
                                  "0123456789abcde",
                                  17, out, &len) < 0);
    assert_true(tryst_record_open(rec[1], "\0\0", 2, out, &len) < 0);
    int n = tryst_record_seal(rec[0], "x", 1, wire);
    wire[5] ^= 1;
    assert_true(tryst_record_open(rec[1], wire, (size_t)n, out, &len) < 0);
    tryst_record_free(rec[0]);
    tryst_record_free(rec[1]);
    tryst_record_free(NULL);
}

/* ---- reports ---- */

static void test_json(void **state)
{
    struct tryst_context *ctx = *state;
    struct tryst_report *r = report_new(ctx, true);
    char out[2048], small[40];

    (void)snprintf(r->peer_name, sizeof(r->peer_name),
                   "a\"b\\c\x01 \xc3\xa9 \xff \xe2\x82 \xed\xa0\x80");
    r->chance = 0.25;
    report_reason(r, TRYST_DECLINED, "by \"hand\"");
    int len = tryst_report_json(r, out, sizeof(out));
    assert_int_equal(len, strlen(out));
    assert_non_null(strstr(out, "{\"ok\":false,\"code\":32,\"reason\":\"declined\""));
    assert_non_null(
        strstr(out, "\"peer_name\":\"a\\\"b\\\\c\\u0001 \xc3\xa9 \xef\xbf\xbd \xef\xbf\xbd"));
    assert_non_null(strstr(out, "(by \\\"hand\\\"); on the peer"));
    assert_non_null(strstr(out, "\"chance\":0.250000,"));
    assert_non_null(strstr(out, "\"times_us\":{\"start\":0,\"registered\":null,"));
    assert_int_equal(tryst_report_json(r, NULL, 0), len);
    assert_int_equal(tryst_report_json(r, small, sizeof(small)), len);
    assert_int_equal(strlen(small), sizeof(small) - 1);
    assert_memory_equal(small, out, sizeof(small) - 1);
    assert_int_equal(tryst_report_export(r, "x", (uint8_t *)out), -TRYST_STATE);
    assert_null(tryst_report_take_record(r));
    tryst_report_free(r);
    tryst_report_free(NULL);
}

/* ---- settings ---- */

static void test_settings(void **state)
{
    struct tryst_context *ctx = *state;
    uint8_t key[TRYST_KEY_SIZE] = {0}, again[TRYST_KEY_SIZE];
    char text[TRYST_KEY_TEXT_SIZE], url[128];
    int fd;

    assert_int_equal(tryst_start(ctx), -TRYST_NO_KEY);
    assert_int_equal(tryst_own_key(ctx, again), -TRYST_NO_KEY);
    assert_int_equal(tryst_keygen(key), 0);
    assert_int_equal(tryst_set_key(ctx, key), 0);
    assert_int_equal(tryst_start(ctx), -TRYST_NO_SERVER);
    assert_int_equal(tryst_public_key(key, key), 0);
    assert_int_equal(tryst_own_key(ctx, again), 0);
    assert_memory_equal(key, again, sizeof(key));
    tryst_key_to_text(key, text);
    assert_int_equal(tryst_key_from_text(text, again), 0);
    assert_memory_equal(key, again, sizeof(key));
    assert_int_equal(tryst_key_from_text("nonsense", again), -TRYST_INVALID);
    assert_int_equal(tryst_set_server(ctx, "http://example.org/"), -TRYST_INVALID);
    (void)snprintf(url, sizeof(url), "tryst://%.43s@no.such.host.invalid", text);
    for (char *c = url + 8; *c != '@'; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    assert_int_equal(tryst_set_server(ctx, url), 0);
    assert_int_equal(tryst_start(ctx), -TRYST_RESOLVE);
    assert_int_equal(tryst_set_name(ctx, "no spaces"), -TRYST_INVALID);
    assert_int_equal(tryst_set_name(ctx, "Home"), 0);
    assert_string_equal(ctx->name, "home");
    assert_int_equal(tryst_set_agent(ctx, "a\nb"), -TRYST_INVALID);
    assert_int_equal(tryst_set_invite(ctx, NULL), -TRYST_INVALID);
    assert_int_equal(tryst_set_budget(ctx, 0), -TRYST_INVALID);
    assert_int_equal(tryst_set_budget(ctx, 513), -TRYST_INVALID);
    assert_int_equal(tryst_set_budget(ctx, 512), 0);
    assert_string_equal(tryst_own_name(ctx), "");
    assert_null(tryst_request(ctx, "no spaces", 0, 0));
    assert_int_equal(tryst_connect(ctx, "no spaces", -1, &fd, NULL), -TRYST_INVALID);
}

static int no_address(void *user, const char *host, char (*addresses)[TRYST_ENDPOINT_TEXT_SIZE],
                      int cap)
{
    ++*(int *)user;
    assert_string_equal(host, "some.host");
    assert_true(cap >= 2);
    (void)snprintf(addresses[0], sizeof(addresses[0]), "not an address");
    (void)snprintf(addresses[1], sizeof(addresses[1]), "::1");
    return 2;
}

static int refuse_socket(void *user, int fd)
{
    assert_true(fd >= 0);
    ++*(int *)user;
    return 1;
}

static void test_hooks(void **state)
{
    struct tryst_context *ctx = *state;
    uint8_t key[TRYST_KEY_SIZE];
    int resolved = 0, refused = 0;

    assert_int_equal(tryst_keygen(key), 0);
    assert_int_equal(tryst_set_key(ctx, key), 0);
    assert_int_equal(
        tryst_set_server(ctx, "tryst://AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQ@some.host:9"),
        0);
    assert_int_equal(tryst_set_resolver(ctx, no_address, &resolved), 0);
    assert_int_equal(tryst_set_socket_hook(ctx, refuse_socket, &refused), 0);
    assert_int_equal(tryst_start(ctx), 0);
    assert_true(resolved > 0);
    assert_int_equal(refused, 1);
    assert_int_equal(tryst_process(ctx), -TRYST_SERVER_UNREACHABLE);
    assert_int_equal(tryst_set_name(ctx, "late"), -TRYST_STATE);
    assert_int_equal(tryst_start(ctx), -TRYST_STATE);
}

static void test_reasons(void **state)
{
    (void)state;
    assert_string_equal(tryst_reason_name(-TRYST_PEER_OFFLINE), "peer-offline");
    assert_string_equal(tryst_reason_name(TRYST_RESOLVE), "resolve");
    for (int reason = 0; reason <= TRYST_UNSUPPORTED; reason++) {
        assert_true(*tryst_strerror(reason));
        assert_string_equal(tryst_strerror(reason), tryst_strerror(-reason));
        assert_non_null(tryst_advice(reason));
    }
    for (int type = 1; type <= TRYST_EVENT_FAILED; type++)
        assert_string_not_equal(tryst_event_type_name((enum tryst_event_type)type), "unknown");
    assert_string_equal(tryst_event_type_name((enum tryst_event_type)99), "unknown");
    assert_string_equal(tryst_stage_name(TRYST_STAGE_PROVEN), "proven");
    assert_string_equal(tryst_version(), "0.1.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, new_context, free_context)
        cmocka_unit_test(test_deadlines_in_order),
        TEST(test_ports_are_distinct),
        TEST(test_port_is_shared),
        TEST(test_control_port),
        TEST(test_port_is_lent),
        cmocka_unit_test(test_undialable),
        TEST(test_dials_are_limited),
        TEST(test_records),
        TEST(test_json),
        TEST(test_settings),
        TEST(test_hooks),
        cmocka_unit_test(test_reasons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
