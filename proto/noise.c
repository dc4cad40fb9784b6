/* SPDX-License-Identifier: ISC */
#include "noise.h"

#include <sodium.h>
#include <string.h>

/* Names and tokens follow the Noise specification, revision 34. */

#define BLOCK_SIZE 128 /* of BLAKE2b, for HMAC */
#define MESSAGES   2   /* both patterns have two */

enum token { TOKEN_END, TOKEN_E, TOKEN_S, TOKEN_EE, TOKEN_ES, TOKEN_SE, TOKEN_SS };

struct pattern {
    char name[NOISE_HASH_SIZE]; /* shorter than the hash: it becomes h as it stands, padded with
                                   zeros */
    bool initiator_known;       /* pre-message "-> s" */
    uint8_t messages[MESSAGES][5];
};

/* The responder's static key is a pre-message of both. */
static const struct pattern patterns[] = {
    [NOISE_IK] = {"Noise_IK_25519_ChaChaPoly_BLAKE2b",
                  false,
                  {{TOKEN_E, TOKEN_ES, TOKEN_S, TOKEN_SS}, {TOKEN_E, TOKEN_EE, TOKEN_SE}}},
    [NOISE_KK] = {"Noise_KK_25519_ChaChaPoly_BLAKE2b",
                  true,
                  {{TOKEN_E, TOKEN_ES, TOKEN_SS}, {TOKEN_E, TOKEN_EE, TOKEN_SE}}},
};

/* HMAC-BLAKE2b over a || b. The key is always one hash long. */
static void hmac(const uint8_t key[NOISE_HASH_SIZE], const void *a, size_t a_len, const void *b,
                 size_t b_len, uint8_t out[NOISE_HASH_SIZE])
{
    crypto_generichash_state state;
    uint8_t pad[BLOCK_SIZE], inner[NOISE_HASH_SIZE];

    memset(pad, 0x36, sizeof(pad));
    for (size_t i = 0; i < NOISE_HASH_SIZE; i++)
        pad[i] ^= key[i];
    crypto_generichash_init(&state, NULL, 0, NOISE_HASH_SIZE);
    crypto_generichash_update(&state, pad, sizeof(pad));
    crypto_generichash_update(&state, a, a_len);
    crypto_generichash_update(&state, b, b_len);
    crypto_generichash_final(&state, inner, sizeof(inner));

    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= 0x36 ^ 0x5c;
    crypto_generichash_init(&state, NULL, 0, NOISE_HASH_SIZE);
    crypto_generichash_update(&state, pad, sizeof(pad));
    crypto_generichash_update(&state, inner, sizeof(inner));
    crypto_generichash_final(&state, out, NOISE_HASH_SIZE);

    sodium_memzero(pad, sizeof(pad));
    sodium_memzero(inner, sizeof(inner));
    sodium_memzero(&state, sizeof(state));
}

/* The first `count` (2 or 3) outputs of HKDF. */
static void hkdf(const uint8_t chaining_key[NOISE_HASH_SIZE], const void *material, size_t len,
                 uint8_t out[][NOISE_HASH_SIZE], unsigned count)
{
    uint8_t temporary[NOISE_HASH_SIZE];
    uint8_t number = 1;

    hmac(chaining_key, material, len, "", 0, temporary);
    hmac(temporary, &number, 1, "", 0, out[0]);
    for (unsigned i = 1; i < count; i++) {
        number++;
        hmac(temporary, out[i - 1], NOISE_HASH_SIZE, &number, 1, out[i]);
    }
    sodium_memzero(temporary, sizeof(temporary));
}

/* 32 zero bits, then the counter in little-endian order. */
static void make_nonce(uint64_t n, uint8_t out[12])
{
    memset(out, 0, 4);
    for (unsigned i = 0; i < 8; i++)
        out[4 + i] = (uint8_t)(n >> (8 * i));
}

static void encrypt(const uint8_t key[32], uint64_t n, const uint8_t *ad, size_t ad_len,
                    const uint8_t *plain, size_t len, uint8_t *out)
{
    uint8_t nonce[12];

    make_nonce(n, nonce);
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, len, ad, ad_len, NULL, nonce, key);
}

/* `len` counts the tag; `out` is written only if the tag is right. */
static bool decrypt(const uint8_t key[32], uint64_t n, const uint8_t *ad, size_t ad_len,
                    const uint8_t *sealed, size_t len, uint8_t *out)
{
    uint8_t nonce[12];

    make_nonce(n, nonce);
    return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, len, ad, ad_len,
                                                     nonce, key) == 0;
}

/* ---- the symmetric state ---- */

static void mix_hash(struct noise_handshake *hs, const void *data, size_t len)
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, NOISE_HASH_SIZE);
    crypto_generichash_update(&state, hs->hash, NOISE_HASH_SIZE);
    crypto_generichash_update(&state, data, len);
    crypto_generichash_final(&state, hs->hash, NOISE_HASH_SIZE);
}

static void mix_key(struct noise_handshake *hs, const uint8_t material[32])
{
    uint8_t out[2][NOISE_HASH_SIZE];

    hkdf(hs->chaining_key, material, 32, out, 2);
    memcpy(hs->chaining_key, out[0], NOISE_HASH_SIZE);
    memcpy(hs->cipher.key, out[1], sizeof(hs->cipher.key));
    hs->cipher.nonce = 0;
    hs->has_key = true;
    sodium_memzero(out, sizeof(out));
}

static size_t sealed_size(const struct noise_handshake *hs, size_t len)
{
    return hs->has_key ? len + NOISE_TAG_SIZE : len;
}

static void encrypt_and_hash(struct noise_handshake *hs, const uint8_t *plain, size_t len,
                             uint8_t *out)
{
    if (hs->has_key)
        encrypt(hs->cipher.key, hs->cipher.nonce++, hs->hash, NOISE_HASH_SIZE, plain, len, out);
    else if (len > 0)
        memcpy(out, plain, len);
    mix_hash(hs, out, sealed_size(hs, len));
}

/* `len` is that of the plain text. */
static bool decrypt_and_hash(struct noise_handshake *hs, const uint8_t *sealed, size_t len,
                             uint8_t *out)
{
    size_t size = sealed_size(hs, len);

    if (!hs->has_key) {
        if (len > 0)
            memcpy(out, sealed, len);
    } else if (!decrypt(hs->cipher.key, hs->cipher.nonce++, hs->hash, NOISE_HASH_SIZE, sealed, size,
                        out)) {
        return false;
    }
    mix_hash(hs, sealed, size);
    return true;
}

/* ---- the handshake state ---- */

static bool mix_dh(struct noise_handshake *hs, const uint8_t secret[KEY_SIZE],
                   const uint8_t public[KEY_SIZE])
{
    uint8_t shared[32];
    /* An all-zero result comes from a key of small order: it would let a stranger know the secret.
     */
    bool good =
        crypto_scalarmult(shared, secret, public) == 0 && !sodium_is_zero(shared, sizeof(shared));

    if (good)
        mix_key(hs, shared);
    sodium_memzero(shared, sizeof(shared));
    return good;
}

/* The tokens that are Diffie-Hellman operations; the first letter is the initiator's key. */
static bool mix_token(struct noise_handshake *hs, enum token token)
{
    bool own_ephemeral, its_ephemeral;

    if (token == TOKEN_EE || token == TOKEN_SS) {
        own_ephemeral = its_ephemeral = token == TOKEN_EE;
    } else {
        own_ephemeral = (token == TOKEN_ES) == hs->initiator;
        its_ephemeral = !own_ephemeral;
    }
    return mix_dh(hs, own_ephemeral ? hs->local_ephemeral.secret : hs->local_static.secret,
                  its_ephemeral ? hs->remote_ephemeral : hs->remote_static);
}

static const uint8_t *next_tokens(const struct noise_handshake *hs)
{
    return patterns[hs->pattern].messages[hs->step];
}

/* What the keys in the next message and its payload's tag take up. */
static size_t next_overhead(const struct noise_handshake *hs)
{
    size_t size = NOISE_TAG_SIZE;

    for (const uint8_t *t = next_tokens(hs); *t != TOKEN_END; t++)
        size += *t == TOKEN_E ? KEY_SIZE : *t == TOKEN_S ? KEY_SIZE + NOISE_TAG_SIZE : 0;
    return size;
}

static bool write_message(struct noise_handshake *hs, const struct rng *rng, const uint8_t *payload,
                          size_t len, uint8_t *out)
{
    for (const uint8_t *t = next_tokens(hs); *t != TOKEN_END; t++) {
        if (*t == TOKEN_E) {
            key_generate(rng, &hs->local_ephemeral);
            memcpy(out, hs->local_ephemeral.public, KEY_SIZE);
            mix_hash(hs, out, KEY_SIZE);
            out += KEY_SIZE;
        } else if (*t == TOKEN_S) {
            size_t size = sealed_size(hs, KEY_SIZE);
            encrypt_and_hash(hs, hs->local_static.public, KEY_SIZE, out);
            out += size;
        } else if (!mix_token(hs, *t)) {
            return false;
        }
    }
    encrypt_and_hash(hs, payload, len, out);
    return true;
}

static bool read_message(struct noise_handshake *hs, const uint8_t *msg, uint8_t *payload,
                         size_t len)
{
    for (const uint8_t *t = next_tokens(hs); *t != TOKEN_END; t++) {
        if (*t == TOKEN_E) {
            memcpy(hs->remote_ephemeral, msg, KEY_SIZE);
            mix_hash(hs, msg, KEY_SIZE);
            msg += KEY_SIZE;
        } else if (*t == TOKEN_S) {
            size_t size = sealed_size(hs, KEY_SIZE);
            if (!decrypt_and_hash(hs, msg, KEY_SIZE, hs->remote_static))
                return false;
            msg += size;
        } else if (!mix_token(hs, *t)) {
            return false;
        }
    }
    return decrypt_and_hash(hs, msg, len, payload);
}

void noise_wipe(struct noise_handshake *hs)
{
    sodium_memzero(hs, sizeof(*hs));
}

static int fail(struct noise_handshake *hs)
{
    noise_wipe(hs);
    hs->failed = true;
    return -1;
}

void noise_start(struct noise_handshake *hs, enum noise_pattern pattern, bool initiator,
                 const void *prologue, size_t prologue_len, const struct key_pair *local_static,
                 const uint8_t *remote_static)
{
    const struct pattern *p = &patterns[pattern];

    noise_wipe(hs);
    hs->pattern = pattern;
    hs->initiator = initiator;
    hs->local_static = *local_static;
    if (remote_static)
        memcpy(hs->remote_static, remote_static, KEY_SIZE);
    else if (initiator || p->initiator_known)
        hs->failed = true;

    memcpy(hs->hash, p->name, NOISE_HASH_SIZE);
    memcpy(hs->chaining_key, hs->hash, NOISE_HASH_SIZE);
    mix_hash(hs, prologue, prologue_len);
    if (p->initiator_known)
        mix_hash(hs, initiator ? hs->local_static.public : hs->remote_static, KEY_SIZE);
    mix_hash(hs, initiator ? hs->remote_static : hs->local_static.public, KEY_SIZE);
}

static bool is_turn(const struct noise_handshake *hs, bool to_write)
{
    bool initiator_writes = (hs->step & 1) == 0;

    return !hs->failed && hs->step < MESSAGES && (initiator_writes == hs->initiator) == to_write;
}

int noise_write(struct noise_handshake *hs, const struct rng *rng, const void *payload,
                size_t payload_len, uint8_t *out, size_t out_size)
{
    if (!is_turn(hs, true))
        return -1;
    size_t overhead = next_overhead(hs);
    if (payload_len > NOISE_MESSAGE_MAX - overhead || out_size < overhead + payload_len)
        return -1;
    if (!write_message(hs, rng, payload, payload_len, out)) {
        sodium_memzero(out, overhead + payload_len);
        return fail(hs);
    }
    hs->step++;
    return (int)(overhead + payload_len);
}

int noise_read(struct noise_handshake *hs, const uint8_t *msg, size_t msg_len, uint8_t *out,
               size_t out_size)
{
    struct noise_handshake next;

    if (!is_turn(hs, false))
        return -1;
    size_t overhead = next_overhead(hs);
    if (msg_len < overhead || msg_len > NOISE_MESSAGE_MAX)
        return fail(hs);
    size_t len = msg_len - overhead;
    if (out_size < len)
        return -1;

    /* On a copy: nothing that a stranger sent gets into the state before all of it is verified. */
    next = *hs;
    bool good = read_message(&next, msg, out, len);
    if (good) {
        next.step++;
        *hs = next;
    }
    sodium_memzero(&next, sizeof(next));
    return good ? (int)len : fail(hs);
}

bool noise_done(const struct noise_handshake *hs)
{
    return !hs->failed && hs->step == MESSAGES;
}

int noise_split(struct noise_handshake *hs, struct noise_cipher *send, struct noise_cipher *receive,
                uint8_t hash[NOISE_HASH_SIZE])
{
    uint8_t out[2][NOISE_HASH_SIZE];

    if (!noise_done(hs))
        return -1;
    hkdf(hs->chaining_key, "", 0, out, 2);
    memcpy(send->key, out[hs->initiator ? 0 : 1], sizeof(send->key));
    memcpy(receive->key, out[hs->initiator ? 1 : 0], sizeof(receive->key));
    send->nonce = receive->nonce = 0;
    if (hash)
        memcpy(hash, hs->hash, NOISE_HASH_SIZE);
    sodium_memzero(out, sizeof(out));
    noise_wipe(hs);
    return 0;
}

int noise_export(const struct noise_handshake *hs, const char *label, uint8_t out[32])
{
    uint8_t keys[3][NOISE_HASH_SIZE];

    if (!noise_done(hs))
        return -1;
    /* The first two outputs are the channel's own keys; the third is independent of them. */
    hkdf(hs->chaining_key, "", 0, keys, 3);
    crypto_generichash(out, 32, (const uint8_t *)label, strlen(label), keys[2], NOISE_HASH_SIZE);
    sodium_memzero(keys, sizeof(keys));
    return 0;
}

/* ---- the channel ---- */

static void advance(struct noise_cipher *c)
{
    static const uint8_t zeros[32];
    uint8_t sealed[sizeof(zeros) + NOISE_TAG_SIZE];

    c->nonce++;
    if (c->nonce % NOISE_REKEY_INTERVAL != 0)
        return;
    encrypt(c->key, UINT64_MAX, NULL, 0, zeros, sizeof(zeros), sealed);
    memcpy(c->key, sealed, sizeof(c->key));
    sodium_memzero(sealed, sizeof(sealed));
}

int noise_seal(struct noise_cipher *c, const uint8_t *plain, size_t len, uint8_t *out)
{
    if (len > NOISE_MESSAGE_MAX - NOISE_TAG_SIZE || c->nonce == UINT64_MAX)
        return -1;
    encrypt(c->key, c->nonce, NULL, 0, plain, len, out);
    advance(c);
    return (int)(len + NOISE_TAG_SIZE);
}

int noise_open(struct noise_cipher *c, const uint8_t *sealed, size_t len, uint8_t *out)
{
    if (len < NOISE_TAG_SIZE || len > NOISE_MESSAGE_MAX || c->nonce == UINT64_MAX)
        return -1;
    if (!decrypt(c->key, c->nonce, NULL, 0, sealed, len, out))
        return -1;
    advance(c);
    return (int)(len - NOISE_TAG_SIZE);
}
