/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_TESTS_STORE_FIXTURE_H
#define TRYST_TESTS_STORE_FIXTURE_H

#include <jansson.h>
#include <stdatomic.h>

#include "proto/reason.h"
#include "server/store.h"

/* A store in a directory of its own, rows to put into it, and ways to ask it; assertions of cmocka
 * inside. */

#define MINUTE ((stamp)60 * 1000000)
#define BEGUN  ((stamp)1764494130000000) /* 2025-11-30T09:15:30Z */

struct fixture {
    char directory[64];
    char path[80];
    struct store *store;
    atomic_uint woken;
};

/* The last message of an open that was to fail. */
extern char fixture_err[512];

int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
void fixture_nap(unsigned ms);
/* Until the row of this number is on disk. */
void fixture_wait(struct fixture *f, uint64_t number);
uint64_t fixture_put(struct fixture *f, const struct row *row);

void fixture_key(uint8_t key[KEY_SIZE], unsigned n);
struct endpoint fixture_endpoint(const char *text);
struct row fixture_peer(unsigned n, const char *name);
/* Session n, between peer 1 and peer 2 + n % 3, begins n minutes after BEGUN. */
struct row fixture_session(unsigned n);
struct row fixture_finished(unsigned n, enum reason reason);

/* The answer to a query; the caller's. */
json_t *fixture_ask(struct fixture *f, struct store_query q);
/* How many rows a list of the answer has. */
size_t fixture_count(struct fixture *f, struct store_query q, const char *list);
struct store_query fixture_session_query(const char *id);

/* What the loader gives: how many rows of each kind, and the last one. */
struct fixture_loaded {
    unsigned peers, profiles, invites, accesses;
    struct row_peer peer;
    struct row_profile profile;
    struct row_invite invite;
    struct row_access access;
};
extern struct fixture_loaded fixture_loaded;
void fixture_load(struct fixture *f);

#endif
