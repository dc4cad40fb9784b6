/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_ACCESS_H
#define TRYST_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lookup.h"
#include "proto/endpoint.h"
#include "proto/key.h"
#include "slab.h"

/*
 * Lists of keys and address prefixes: who is allowed, who is banned. An entry may expire; what has
 * expired counts as not there, whether it has been swept up yet or not. Pure: the time, in
 * microseconds since 1970, is an argument.
 */

#define ACCESS_REASON_SIZE 96 /* with its terminator */
#define ACCESS_TEXT_SIZE   56

enum access_kind { ACCESS_KEY, ACCESS_PREFIX_4, ACCESS_PREFIX_6, ACCESS_KINDS };

/* One key, or the addresses that begin with the same bits. Bytes only, so that two equal subjects
 * are equal byte by byte. */
struct access_subject {
    uint8_t kind;
    uint8_t bits; /* of a prefix; 0 for a key */
    uint8_t bytes[KEY_SIZE];
};

struct access_subject access_of_key(const uint8_t key[KEY_SIZE]);
/* The address itself; whatever its port. */
struct access_subject access_of_address(const struct endpoint *e);
/* Whether every address (or the key) of `inner` is one of `outer`. */
bool access_covers(const struct access_subject *outer, const struct access_subject *inner);
bool access_covers_address(const struct access_subject *outer, const struct endpoint *e);

enum access_parsed {
    ACCESS_PARSED,
    ACCESS_NOT_ONE,     /* neither a key nor an address nor a prefix */
    ACCESS_BAD_LENGTH,  /* a prefix longer than its address, or no number */
    ACCESS_BITS_BEYOND, /* an address with bits set beyond the prefix; *out is what would be right
                         */
};
/* A key in base64, "192.0.2.1", "192.0.2.0/24", "2001:db8::/48". */
enum access_parsed access_parse(const char *text, struct access_subject *out);
/* What access_parse takes; a prefix of one address as that address. Returns out. */
const char *access_format(const struct access_subject *s, char out[ACCESS_TEXT_SIZE]);

struct access_entry {
    struct slot slot;
    struct access_subject subject;
    int64_t created, expires; /* expires 0: never */
    char *reason;             /* owned; NULL: none was given */
};

struct access {
    struct slab entries;
    struct lookup by_subject;
    uint32_t lengths[ACCESS_KINDS][129]; /* how many entries of each length: others are not tried */
    uint32_t expiring;                   /* entries that will */
    uint32_t swept;                      /* where the next sweep goes on */
};

void access_init(struct access *a, const uint8_t hash_key[16], uint32_t most);
void access_destroy(struct access *a);

/* Adds an entry, or replaces the one of the same subject. False: the list is full, or no memory. */
bool access_put(struct access *a, const struct access_subject *s, int64_t created, int64_t expires,
                const char *reason);
/* False: there is no such entry. */
bool access_remove(struct access *a, const struct access_subject *s);

/* The entry of exactly this subject, or NULL. */
const struct access_entry *access_get(const struct access *a, const struct access_subject *s,
                                      int64_t now);
/* The entry with the longest prefix that covers a subject, or NULL. */
const struct access_entry *access_find(const struct access *a, const struct access_subject *s,
                                       int64_t now);
const struct access_entry *access_find_key(const struct access *a, const uint8_t key[KEY_SIZE],
                                           int64_t now);
const struct access_entry *access_find_address(const struct access *a, const struct endpoint *e,
                                               int64_t now);
bool access_in_force(const struct access_entry *e, int64_t now);

/* Looks at so many slots, on from where the last sweep ended, and removes what has expired. Returns
 * how many entries that were. */
uint32_t access_sweep(struct access *a, uint32_t slots, int64_t now);

size_t access_memory(const struct access *a);

#endif
