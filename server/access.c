/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "access.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- subjects ---- */

static unsigned bits_of(enum access_kind kind)
{
    return kind == ACCESS_PREFIX_4 ? 32 : kind == ACCESS_PREFIX_6 ? 128 : 0;
}

struct access_subject access_of_key(const uint8_t key[KEY_SIZE])
{
    struct access_subject s = {.kind = ACCESS_KEY};
    memcpy(s.bytes, key, KEY_SIZE);
    return s;
}

struct access_subject access_of_address(const struct endpoint *e)
{
    enum access_kind kind = e->family == 6 ? ACCESS_PREFIX_6 : ACCESS_PREFIX_4;
    struct access_subject s = {.kind = (uint8_t)kind, .bits = (uint8_t)bits_of(kind)};
    memcpy(s.bytes, e->address, sizeof(e->address));
    return s;
}

static struct access_subject shortened(struct access_subject s, unsigned bits)
{
    unsigned whole = bits / 8;
    s.bits = (uint8_t)bits;
    if (bits % 8)
        s.bytes[whole++] &= (uint8_t)(0xff00 >> bits % 8);
    memset(s.bytes + whole, 0, sizeof(s.bytes) - whole);
    return s;
}

static bool equal(const struct access_subject *a, const struct access_subject *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

bool access_covers(const struct access_subject *outer, const struct access_subject *inner)
{
    if (outer->kind != inner->kind || outer->bits > inner->bits)
        return false;
    if (outer->kind == ACCESS_KEY)
        return equal(outer, inner);
    struct access_subject s = shortened(*inner, outer->bits);
    return equal(outer, &s);
}

bool access_covers_address(const struct access_subject *outer, const struct endpoint *e)
{
    struct access_subject inner = access_of_address(e);
    return access_covers(outer, &inner);
}

/* ---- text ---- */

static int parse_address(const char *text, struct access_subject *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t bytes[16];

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, text, bytes) == 1) {
        out->kind = ACCESS_PREFIX_4;
        memcpy(out->bytes, bytes, 4);
    } else if (inet_pton(AF_INET6, text, bytes) != 1) {
        return -1;
    } else if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
        out->kind = ACCESS_PREFIX_4; /* as every endpoint is kept */
        memcpy(out->bytes, bytes + sizeof(mapped), 4);
    } else {
        out->kind = ACCESS_PREFIX_6;
        memcpy(out->bytes, bytes, sizeof(bytes));
    }
    out->bits = (uint8_t)bits_of(out->kind);
    return 0;
}

/* The number behind the slash: digits only. */
static int parse_length(const char *text, unsigned most, unsigned *out)
{
    size_t len = strlen(text);
    if (len < 1 || len > 3 || strspn(text, "0123456789") != len)
        return -1;
    *out = (unsigned)strtoul(text, NULL, 10);
    return *out <= most ? 0 : -1;
}

enum access_parsed access_parse(const char *text, struct access_subject *out)
{
    uint8_t key[KEY_SIZE];
    char address[ACCESS_TEXT_SIZE];
    unsigned bits;

    /* A key may hold a slash, and no address is as long as a key. */
    if (key_parse(text, key) == 0) {
        *out = access_of_key(key);
        return ACCESS_PARSED;
    }
    size_t len = strcspn(text, "/");
    if (len >= sizeof(address))
        return ACCESS_NOT_ONE;
    memcpy(address, text, len);
    address[len] = '\0';
    if (parse_address(address, out) != 0)
        return ACCESS_NOT_ONE;
    if (!text[len])
        return ACCESS_PARSED;
    if (parse_length(text + len + 1, bits_of(out->kind), &bits) != 0)
        return ACCESS_BAD_LENGTH;
    struct access_subject prefix = shortened(*out, bits);
    bool beyond = memcmp(prefix.bytes, out->bytes, sizeof(prefix.bytes)) != 0;
    *out = prefix;
    return beyond ? ACCESS_BITS_BEYOND : ACCESS_PARSED;
}

const char *access_format(const struct access_subject *s, char out[ACCESS_TEXT_SIZE])
{
    if (s->kind == ACCESS_KEY)
        return key_format(s->bytes, out);
    inet_ntop(s->kind == ACCESS_PREFIX_4 ? AF_INET : AF_INET6, s->bytes, out, ACCESS_TEXT_SIZE);
    size_t len = strlen(out);
    if (s->bits < bits_of(s->kind))
        snprintf(out + len, ACCESS_TEXT_SIZE - len, "/%u", s->bits);
    return out;
}

/* ---- the list ---- */

static bool match(const void *user, uint32_t index, const void *key, size_t len)
{
    const struct access_entry *e = slab_at(user, index);
    (void)len;
    return e && equal(&e->subject, key);
}

void access_init(struct access *a, const uint8_t hash_key[16], uint32_t most)
{
    memset(a, 0, sizeof(*a));
    slab_init(&a->entries, sizeof(struct access_entry), most);
    lookup_init(&a->by_subject, hash_key, match, &a->entries);
}

void access_destroy(struct access *a)
{
    for (uint32_t i = 0; i < slab_end(&a->entries); i++) {
        struct access_entry *e = slab_at(&a->entries, i);
        if (e)
            free(e->reason);
    }
    lookup_destroy(&a->by_subject);
    slab_destroy(&a->entries);
    memset(a, 0, sizeof(*a));
}

static struct access_entry *find(const struct access *a, const struct access_subject *s)
{
    if (!a->lengths[s->kind][s->bits])
        return NULL;
    uint32_t index = lookup_find(&a->by_subject, s, sizeof(*s));
    return index == LOOKUP_NONE ? NULL : slab_at(&a->entries, index);
}

static void drop(struct access *a, struct access_entry *e)
{
    lookup_remove(&a->by_subject, &e->subject, sizeof(e->subject));
    a->lengths[e->subject.kind][e->subject.bits]--;
    a->expiring -= e->expires != 0;
    free(e->reason);
    slab_release(&a->entries, e);
}

static struct access_entry *add(struct access *a, const struct access_subject *s)
{
    struct access_entry *e = slab_take(&a->entries);
    if (!e)
        return NULL;
    e->subject = *s;
    if (!lookup_add(&a->by_subject, s, sizeof(*s), e->slot.self.index)) {
        slab_release(&a->entries, e);
        return NULL;
    }
    a->lengths[s->kind][s->bits]++;
    return e;
}

bool access_put(struct access *a, const struct access_subject *s, int64_t created, int64_t expires,
                const char *reason)
{
    char *copy = reason && *reason ? strndup(reason, ACCESS_REASON_SIZE - 1) : NULL;
    if (reason && *reason && !copy)
        return false;
    struct access_entry *e = find(a, s);
    if (!e)
        e = add(a, s);
    /* What has expired need not stand in the way until the next sweep comes by. */
    if (!e && access_sweep(a, slab_end(&a->entries), created))
        e = add(a, s);
    if (!e) {
        free(copy);
        return false;
    }
    a->expiring -= e->expires != 0;
    a->expiring += expires != 0;
    free(e->reason);
    e->reason = copy;
    e->created = created;
    e->expires = expires;
    return true;
}

bool access_remove(struct access *a, const struct access_subject *s)
{
    struct access_entry *e = find(a, s);
    if (e)
        drop(a, e);
    return e != NULL;
}

bool access_in_force(const struct access_entry *e, int64_t now)
{
    return !e->expires || e->expires > now;
}

const struct access_entry *access_get(const struct access *a, const struct access_subject *s,
                                      int64_t now)
{
    const struct access_entry *e = find(a, s);
    return e && access_in_force(e, now) ? e : NULL;
}

const struct access_entry *access_find_key(const struct access *a, const uint8_t key[KEY_SIZE],
                                           int64_t now)
{
    struct access_subject s = access_of_key(key);
    return access_get(a, &s, now);
}

const struct access_entry *access_find(const struct access *a, const struct access_subject *s,
                                       int64_t now)
{
    struct access_subject at = *s;
    if (s->kind == ACCESS_KEY)
        return access_get(a, s, now);
    for (unsigned bits = s->bits + 1u; bits-- > 0;) {
        if (!a->lengths[s->kind][bits])
            continue;
        at = shortened(at, bits);
        const struct access_entry *found = access_get(a, &at, now);
        if (found)
            return found;
    }
    return NULL;
}

const struct access_entry *access_find_address(const struct access *a, const struct endpoint *e,
                                               int64_t now)
{
    struct access_subject s = access_of_address(e);
    return access_find(a, &s, now);
}

uint32_t access_sweep(struct access *a, uint32_t slots, int64_t now)
{
    uint32_t end = slab_end(&a->entries), removed = 0;
    if (!a->expiring)
        return 0;
    for (uint32_t i = 0; i < slots && i < end; i++) {
        struct access_entry *e = slab_at(&a->entries, a->swept++ % end);
        if (e && !access_in_force(e, now)) {
            drop(a, e);
            removed++;
        }
    }
    return removed;
}

size_t access_memory(const struct access *a)
{
    return slab_memory(&a->entries) + lookup_memory(&a->by_subject);
}
