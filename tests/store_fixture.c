/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/log.h"
#include "tests/store_fixture.h"

char fixture_err[512];

static void on_wake(void *user)
{
    struct fixture *f = user;

    atomic_fetch_add(&f->woken, 1);
}

void fixture_open(struct fixture *f)
{
    f->store = store_open(f->path, on_wake, f, fixture_err, sizeof(fixture_err));
    if (!f->store)
        fail_msg("%s", fixture_err);
}

void fixture_close(struct fixture *f)
{
    store_close(f->store);
    f->store = NULL;
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    log_open(LOG_LEVEL_ERROR);
    snprintf(f->directory, sizeof(f->directory), "/tmp/tryst-store-XXXXXX");
    if (!mkdtemp(f->directory))
        fail_msg("no directory for the test");
    snprintf(f->path, sizeof(f->path), "%s/tryst.db", f->directory);
    fixture_open(f);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    static const char *const names[] = {"tryst.db", "tryst.db-wal", "tryst.db-shm",
                                        "tryst.db.lock"};
    struct fixture *f = *state;
    char path[128];

    store_close(f->store);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", f->directory, names[i]);
        unlink(path);
    }
    rmdir(f->directory);
    free(f);
    return 0;
}

void fixture_nap(unsigned ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

void fixture_wait(struct fixture *f, uint64_t number)
{
    assert_true(number > 0);
    for (unsigned i = 0; store_committed(f->store) < number; i++) {
        if (i == 60000)
            fail_msg("row %llu is not committed after a minute", (unsigned long long)number);
        fixture_nap(1);
    }
}

uint64_t fixture_put(struct fixture *f, const struct row *row)
{
    uint64_t number = store_put(f->store, row);

    assert_true(number > 0);
    return number;
}

void fixture_key(uint8_t key[KEY_SIZE], unsigned n)
{
    for (unsigned i = 0; i < KEY_SIZE; i++)
        key[i] = (uint8_t)(n * 7 + i * n + (i == 0 ? n >> 8 : 0));
}

struct endpoint fixture_endpoint(const char *text)
{
    struct endpoint e;

    assert_int_equal(endpoint_parse(text, 1, &e), 0);
    return e;
}

struct row fixture_peer(unsigned n, const char *name)
{
    struct row row;

    memset(&row, 0, sizeof(row));
    row.kind = ROW_PEER;
    fixture_key(row.peer.key, n);
    snprintf(row.peer.name, sizeof(row.peer.name), "%s", name);
    snprintf(row.peer.agent, sizeof(row.peer.agent), "test/%u", n);
    row.peer.first_seen = BEGUN;
    row.peer.last_seen = BEGUN + n;
    row.peer.observed = fixture_endpoint("198.51.100.1:4000");
    row.peer.member = true;
    return row;
}

struct row fixture_session(unsigned n)
{
    struct row row;
    struct row_session *s = &row.session;

    memset(&row, 0, sizeof(row));
    row.kind = ROW_SESSION;
    for (unsigned i = 0; i < MSG_ID_SIZE; i++)
        s->id[i] = (uint8_t)(n >> (i % 3 * 8));
    fixture_key(s->requester, 1);
    fixture_key(s->target, 2 + n % 3);
    snprintf(s->requester_name, sizeof(s->requester_name), "laptop");
    s->started = BEGUN + n * MINUTE;
    return row;
}

struct row fixture_finished(unsigned n, enum reason reason)
{
    struct row row = fixture_session(n);
    struct row_session *s = &row.session;

    s->finished = s->started + 412000;
    s->reason = (uint8_t)reason;
    s->family = 4;
    s->rounds = 1;
    s->chance = 0.97;
    s->punch = s->started + 300000;
    s->skew_us = -250;
    s->syns[0] = 1;
    s->syns[1] = 6;
    s->nat[0] = (struct nat_summary){.mapping = NAT_EIM,
                                     .allocation = NAT_PRESERVE,
                                     .refusal = NAT_RST,
                                     .confidence = 95,
                                     .samples = 12};
    s->nat[1] = (struct nat_summary){.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = -2};
    s->public_endpoint[0] = fixture_endpoint("198.51.100.1:4000");
    s->met[1] = fixture_endpoint("[2001:db8::7]:9");
    snprintf(s->plan, sizeof(s->plan), "{\"rounds\":[{\"round\":1}]}");
    return row;
}

json_t *fixture_ask(struct fixture *f, struct store_query q)
{
    uint64_t ticket;
    char *text = NULL;

    q.ticket = 4711;
    assert_int_equal(store_ask(f->store, &q), 0);
    for (unsigned i = 0; store_next_answer(f->store, &ticket, &text) == 0; i++) {
        assert_true(i < 60000);
        fixture_nap(1);
    }
    assert_int_equal(ticket, 4711);
    /* Whoever passes it on relies on how it begins. */
    assert_true(strncmp(text, "{\"ok\":true,", 11) == 0 ||
                strncmp(text, "{\"ok\":false,", 12) == 0);
    json_t *answer = json_loads(text, 0, NULL);
    assert_non_null(answer);
    free(text);
    return answer;
}

size_t fixture_count(struct fixture *f, struct store_query q, const char *list)
{
    json_t *answer = fixture_ask(f, q);
    const json_t *rows = json_object_get(answer, list);

    if (!rows)
        fail_msg("%s", json_string_value(json_object_get(answer, "error")));
    size_t n = json_array_size(rows);
    json_decref(answer);
    return n;
}

struct store_query fixture_session_query(const char *id)
{
    struct store_query q = {.what = QUERY_SESSION};

    snprintf(q.session, sizeof(q.session), "%s", id);
    return q;
}

struct fixture_loaded fixture_loaded;

static void on_peer(void *user, const struct row_peer *row)
{
    (void)user;
    fixture_loaded.peers++;
    fixture_loaded.peer = *row;
}

static void on_profile(void *user, const struct row_profile *row)
{
    (void)user;
    fixture_loaded.profiles++;
    fixture_loaded.profile = *row;
}

static void on_invite(void *user, const struct row_invite *row)
{
    (void)user;
    fixture_loaded.invites++;
    fixture_loaded.invite = *row;
}

static void on_access(void *user, const struct row_access *row)
{
    (void)user;
    fixture_loaded.accesses++;
    fixture_loaded.access = *row;
}

void fixture_load(struct fixture *f)
{
    struct store_loader loader = {on_peer, on_profile, on_invite, on_access, NULL};

    memset(&fixture_loaded, 0, sizeof(fixture_loaded));
    if (store_load(f->store, &loader, fixture_err, sizeof(fixture_err)))
        fail_msg("%s", fixture_err);
}
