/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CLI_KNOWN_H
#define TRYST_CLI_KNOWN_H

#include <stddef.h>

#include "proto/key.h"

/*
 * The peers seen before: a name is pinned to the key it had at the first contact, as ssh's
 * known_hosts does. The file holds one line per peer: name, key, date of the first contact. Lines
 * that are not understood (comments, say) are kept as they are. Changes are made under a lock, and
 * replace the file at once.
 *
 * A name in any call is one that peer_name_parse() has passed. Errors: -1 with a sentence in err.
 */
#define KNOWN_DATE_SIZE 11

struct known {
    char name[PEER_NAME_SIZE];
    uint8_t key[KEY_SIZE];
    char first_seen[KNOWN_DATE_SIZE]; /* 2026-01-31 */
};

/* 1 with the entry in *out, 0 if the name is not known, or -1. */
int cli_known_find(const char *path, const char *name, struct known *out, char *err, size_t size);

enum known_pinned { KNOWN_NEW, KNOWN_SAME, KNOWN_OTHER };
/* Pins a name that has no key yet. KNOWN_OTHER: it has another one, in *had; nothing was changed.
 * Or -1. */
int cli_known_pin(const char *path, const char *name, const uint8_t key[KEY_SIZE],
                  struct known *had, char *err, size_t size);
/* Removes every entry with this name, or with this key where name is NULL. Returns how many, or -1.
 */
int cli_known_forget(const char *path, const char *name, const uint8_t key[KEY_SIZE], char *err,
                     size_t size);
/* Calls `each` for all entries, in the order of the file. */
int cli_known_each(const char *path, void (*each)(void *user, const struct known *), void *user,
                   char *err, size_t size);

#endif
