/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* Invites that nobody has used yet. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "dispatch.h"

#define INVITES_MAX       100000u
#define INVITE_TOKEN_SIZE 18 /* random bytes: 24 characters of base64 */
/* An id of fewer digits is too easily the wrong one. */
#define ID_LEAST 4

static bool match(const void *user, uint32_t index, const void *key, size_t len)
{
    const struct invite *i = slab_at(user, index);
    return i && memcmp(i->row.token_hash, key, len) == 0;
}

void dispatch_invites_init(struct dispatch *d, const uint8_t hash_key[16])
{
    slab_init(&d->invites, sizeof(struct invite), INVITES_MAX);
    lookup_init(&d->invite_by_hash, hash_key, match, &d->invites);
}

void dispatch_invites_destroy(struct dispatch *d)
{
    lookup_destroy(&d->invite_by_hash);
    slab_destroy(&d->invites);
}

static void hash_token(const char *token, uint8_t hash[32])
{
    crypto_generichash(hash, 32, (const uint8_t *)token, strlen(token), NULL, 0);
}

static bool expired(const struct invite *i, stamp now)
{
    return i->row.expires <= now;
}

static void forget(struct dispatch *d, struct invite *i)
{
    lookup_remove(&d->invite_by_hash, i->row.token_hash, sizeof(i->row.token_hash));
    slab_release(&d->invites, i);
}

static struct invite *keep(struct dispatch *d, const struct row_invite *row)
{
    struct invite *i = slab_take(&d->invites);
    if (!i)
        return NULL;
    i->row = *row;
    if (lookup_add(&d->invite_by_hash, row->token_hash, sizeof(row->token_hash),
                   i->slot.self.index))
        return i;
    slab_release(&d->invites, i);
    return NULL;
}

void dispatch_invite_load(void *user, const struct row_invite *row)
{
    if (!row->used && row->expires > stamp_now())
        (void)keep(user, row);
}

uint32_t dispatch_invites_sweep(struct dispatch *d, uint32_t slots, stamp now)
{
    uint32_t end = slab_end(&d->invites), removed = 0;
    for (uint32_t n = 0; n < slots && n < end; n++) {
        struct invite *i = slab_at(&d->invites, d->invites_swept++ % end);
        if (i && expired(i, now)) {
            forget(d, i);
            removed++;
        }
    }
    return removed;
}

/* ---- used ---- */

struct invite *dispatch_invite_find(struct dispatch *d, const char *token)
{
    uint8_t hash[32];
    hash_token(token, hash);
    uint32_t index = lookup_find(&d->invite_by_hash, hash, sizeof(hash));
    struct invite *i = index == LOOKUP_NONE ? NULL : slab_at(&d->invites, index);
    return i && !expired(i, stamp_now()) ? i : NULL;
}

bool dispatch_invite_use(struct dispatch *d, struct invite *invite, const struct row_peer *by)
{
    struct row row = {.kind = ROW_JOIN};
    row.join.peer = *by;
    row.join.invite = invite->row;
    row.join.invite.used = stamp_now();
    memcpy(row.join.invite.used_by, by->key, KEY_SIZE);
    if (!dispatch_put(d, &row))
        return false;
    forget(d, invite);
    return true;
}

/* ---- made ---- */

/* Whether an invite would be taken, and its name would be given. */
static int check_invite(struct dispatch *d, const char *name, char out[PEER_NAME_SIZE], char *err,
                        size_t size)
{
    out[0] = '\0';
    if (d->conf->registration == REGISTRATION_ALLOWLIST) {
        snprintf(err, size,
                 "registration is 'allowlist', which takes no invites; 'allow KEY' lets a key "
                 "register");
        return -1;
    }
    if (!name || !name[0])
        return 0;
    if (peer_name_parse(name, out) != 0) {
        snprintf(err, size,
                 "'%.80s' is no peer name: letters, digits, '-', '_' and '.', 63 at most", name);
        return -1;
    }
    if (peer_by_name(&d->table, out)) {
        snprintf(err, size, "the name '%s' is taken; 'name release %s' would free it", out, out);
        return -1;
    }
    return 0;
}

static void draw_token(struct dispatch *d, char *token, size_t size)
{
    uint8_t raw[INVITE_TOKEN_SIZE];
    rng_fill(&d->rng, raw, sizeof(raw));
    sodium_bin2base64(token, size, raw, sizeof(raw), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(raw, sizeof(raw));
}

int dispatch_invite(struct dispatch *d, const char *name, int64_t ttl_seconds, char *url,
                    size_t size, char *err, size_t err_size)
{
    char token[sodium_base64_ENCODED_LEN(INVITE_TOKEN_SIZE,
                                         sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
    char server[SERVER_URL_SIZE];
    struct row row = {.kind = ROW_INVITE};
    int result = -1;

    if (check_invite(d, name, row.invite.name, err, err_size) != 0)
        return -1;
    draw_token(d, token, sizeof(token));
    hash_token(token, row.invite.token_hash);
    row.invite.created = stamp_now();
    row.invite.expires =
        row.invite.created + (ttl_seconds > 0 ? ttl_seconds : d->conf->invite_lifetime) * 1000000;
    if (d->invites.used == INVITES_MAX)
        dispatch_invites_sweep(d, INVITES_MAX, row.invite.created);
    struct invite *i = keep(d, &row.invite);
    if (!i) {
        dispatch_limit_hit(d, LIMIT_INVITES, NULL);
        snprintf(err, err_size, "%u invites wait for their use already; 'revoke' some",
                 d->invites.used);
        goto out;
    }
    if (!dispatch_put(d, &row)) {
        forget(d, i);
        snprintf(err, err_size, "the store is full at the moment, try again");
        goto out;
    }
    dispatch_expect_expiry(d);
    snprintf(url, size, "%s#%s", server_url_format(&d->url, server), token);
    result = 0;
out:
    sodium_memzero(token, sizeof(token));
    return result;
}

/* ---- taken back ---- */

static bool begins(const struct invite *i, const char *id)
{
    char hex[2 * sizeof(i->row.token_hash) + 1];
    sodium_bin2hex(hex, sizeof(hex), i->row.token_hash, sizeof(i->row.token_hash));
    return strncasecmp(hex, id, strlen(id)) == 0;
}

int dispatch_revoke(struct dispatch *d, const char *id, struct row_invite *out, char *err,
                    size_t size)
{
    struct row row = {.kind = ROW_REVOKE};
    struct invite *found = NULL;
    unsigned count = 0;

    if (strlen(id) < ID_LEAST || strspn(id, "0123456789abcdefABCDEF") != strlen(id)) {
        snprintf(err, size,
                 "'%.64s' is no invite's id: those are %d or more hexadecimal digits, as "
                 "'invites' lists them",
                 id, ID_LEAST);
        return -1;
    }
    for (uint32_t n = 0; n < slab_end(&d->invites); n++) {
        struct invite *i = slab_at(&d->invites, n);
        if (i && begins(i, id)) {
            found = i;
            count++;
        }
    }
    if (count != 1) {
        snprintf(err, size,
                 count ? "more than one invite's id begins with '%.64s'; give more digits"
                       : "no open invite's id begins with '%.64s'; one that was used, has expired "
                         "or was revoked cannot be revoked",
                 id);
        return -1;
    }
    *out = found->row;
    memcpy(row.revoke.token_hash, found->row.token_hash, sizeof(row.revoke.token_hash));
    forget(d, found);
    return dispatch_keep(d, &row, err, size);
}
