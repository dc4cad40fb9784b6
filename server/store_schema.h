/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_STORE_SCHEMA_H
#define TRYST_STORE_SCHEMA_H

#include <sqlite3.h>
#include <stddef.h>

/*
 * The schema as a list of steps: step n leads from version n-1 to version n, and `PRAGMA
 * user_version` says where a file stands. Steps are only ever added.
 */
#define STORE_VERSION 3

/*
 * Brings a database to the current version and fills the tables of words, in one transaction.
 * Returns 0, or -1 with a sentence in err (a file from a newer version is left alone).
 */
int store_migrate(sqlite3 *db, const char *path, char *err, size_t err_size);

/* The texts of step n (1 .. STORE_VERSION), ended by NULL. */
const char *const *store_schema_step(int n);

/* The version that a database has, 0 for an empty one; -1: it cannot be read. */
int store_user_version(sqlite3 *db);

#endif
