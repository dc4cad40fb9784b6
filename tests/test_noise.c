/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/noise.h"

#define BUFFER 1024

/* A random source that gives out one prepared key, for the ephemeral. */
static void fill_prepared(void *state, void *out, size_t len)
{
    memcpy(out, state, len);
}

/* ---- the published vectors ---- */

static size_t hex(const json_t *object, const char *name, uint8_t *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, name));
    size_t len = 0;

    if (!text || sodium_hex2bin(out, size, text, strlen(text), NULL, &len, NULL) != 0)
        fail_msg("%s is not hex, or does not fit", name);
    return len;
}

struct side {
    struct noise_handshake hs;
    struct key_pair pair;
    uint8_t ephemeral[KEY_SIZE];
    struct rng rng;
    struct noise_cipher send, receive;
    uint8_t hash[NOISE_HASH_SIZE];
};

static void prepare(struct side *side, const json_t *vector, const char *prefix, bool initiator,
                    enum noise_pattern pattern)
{
    uint8_t secret[KEY_SIZE], remote[KEY_SIZE], prologue[64];
    char name[64];

    snprintf(name, sizeof(name), "%s_static", prefix);
    hex(vector, name, secret, sizeof(secret));
    assert_int_equal(key_from_secret(secret, &side->pair), 0);
    snprintf(name, sizeof(name), "%s_ephemeral", prefix);
    hex(vector, name, side->ephemeral, sizeof(side->ephemeral));
    side->rng = (struct rng){fill_prepared, side->ephemeral};
    snprintf(name, sizeof(name), "%s_prologue", prefix);
    size_t prologue_len = hex(vector, name, prologue, sizeof(prologue));
    bool knows = initiator || pattern == NOISE_KK;
    snprintf(name, sizeof(name), "%s_remote_static", prefix);
    if (knows)
        hex(vector, name, remote, sizeof(remote));
    noise_start(&side->hs, pattern, initiator, prologue, prologue_len, &side->pair,
                knows ? remote : NULL);
}

static void check_handshake_message(struct side *from, struct side *to, const uint8_t *payload,
                                    size_t payload_len, const uint8_t *expected, size_t len)
{
    uint8_t out[BUFFER];

    assert_int_equal(noise_write(&from->hs, &from->rng, payload, payload_len, out, len), len);
    assert_memory_equal(out, expected, len);
    assert_int_equal(noise_read(&to->hs, expected, len, out, payload_len), payload_len);
    assert_memory_equal(out, payload, payload_len);
}

static void check_transport_message(struct side *from, struct side *to, const uint8_t *payload,
                                    size_t payload_len, const uint8_t *expected, size_t len)
{
    uint8_t out[BUFFER];

    assert_int_equal(noise_seal(&from->send, payload, payload_len, out), len);
    assert_memory_equal(out, expected, len);
    assert_int_equal(noise_open(&to->receive, out, len, out), payload_len);
    assert_memory_equal(out, payload, payload_len);
}

static void check_vector(const json_t *vector, enum noise_pattern pattern)
{
    struct side sides[2];
    uint8_t expected_hash[NOISE_HASH_SIZE];
    const json_t *messages = json_object_get(vector, "messages"), *message;
    size_t i;

    prepare(&sides[0], vector, "init", true, pattern);
    prepare(&sides[1], vector, "resp", false, pattern);
    hex(vector, "handshake_hash", expected_hash, sizeof(expected_hash));
    assert_int_equal(json_array_size(messages), 6);
    json_array_foreach(messages, i, message)
    {
        uint8_t payload[BUFFER], ciphertext[BUFFER];
        size_t payload_len = hex(message, "payload", payload, sizeof(payload));
        size_t len = hex(message, "ciphertext", ciphertext, sizeof(ciphertext));
        struct side *from = &sides[i & 1], *to = &sides[~i & 1];
        if (i < 2) {
            check_handshake_message(from, to, payload, payload_len, ciphertext, len);
            continue;
        }
        for (int s = 0; s < 2 && i == 2; s++) {
            assert_true(noise_done(&sides[s].hs));
            assert_int_equal(
                noise_split(&sides[s].hs, &sides[s].send, &sides[s].receive, sides[s].hash), 0);
            assert_memory_equal(sides[s].hash, expected_hash, sizeof(expected_hash));
        }
        check_transport_message(from, to, payload, payload_len, ciphertext, len);
    }
}

static void test_published_vectors(void **state)
{
    const char *top = getenv("abs_top_srcdir");
    char path[4096];
    json_error_t error;
    int found = 0;
    size_t i;

    (void)state;
    snprintf(path, sizeof(path), "%s/tests/vectors/noise.json", top ? top : ".");
    json_t *root = json_load_file(path, 0, &error);
    if (!root)
        fail_msg("%s: %s", path, error.text);
    json_t *vectors = json_object_get(root, "vectors"), *vector;
    json_array_foreach(vectors, i, vector)
    {
        const char *name = json_string_value(json_object_get(vector, "protocol_name"));
        bool ik = strcmp(name, "Noise_IK_25519_ChaChaPoly_BLAKE2b") == 0;
        if (!ik && strcmp(name, "Noise_KK_25519_ChaChaPoly_BLAKE2b") != 0)
            continue; /* patterns that tryst does not use */
        check_vector(vector, ik ? NOISE_IK : NOISE_KK);
        found++;
    }
    json_decref(root);
    assert_int_equal(found, 2);
}

/* ---- our own pairs ---- */

struct pair {
    struct rng_seeded seeded;
    struct rng rng;
    struct key_pair a_key, b_key;
    struct noise_handshake a, b;
    struct noise_cipher a_send, a_receive, b_send, b_receive;
};

static void start(struct pair *p, enum noise_pattern pattern, uint64_t seed, const char *a_prologue,
                  const char *b_prologue)
{
    p->rng = rng_from_seed(&p->seeded, seed);
    key_generate(&p->rng, &p->a_key);
    key_generate(&p->rng, &p->b_key);
    noise_start(&p->a, pattern, true, a_prologue, strlen(a_prologue), &p->a_key, p->b_key.public);
    noise_start(&p->b, pattern, false, b_prologue, strlen(b_prologue), &p->b_key,
                pattern == NOISE_KK ? p->a_key.public : NULL);
}

/* One handshake message without payload across; returns what the reader says. */
static int cross(struct pair *p, struct noise_handshake *from, struct noise_handshake *to)
{
    uint8_t msg[BUFFER];
    int len = noise_write(from, &p->rng, NULL, 0, msg, sizeof(msg));

    assert_true(len > 0);
    return noise_read(to, msg, (size_t)len, NULL, 0);
}

static void finish(struct pair *p)
{
    assert_int_equal(cross(p, &p->a, &p->b), 0);
    assert_int_equal(cross(p, &p->b, &p->a), 0);
}

static void split(struct pair *p)
{
    uint8_t a_hash[NOISE_HASH_SIZE], b_hash[NOISE_HASH_SIZE];

    assert_int_equal(noise_split(&p->a, &p->a_send, &p->a_receive, a_hash), 0);
    assert_int_equal(noise_split(&p->b, &p->b_send, &p->b_receive, b_hash), 0);
    assert_memory_equal(a_hash, b_hash, sizeof(a_hash));
}

static void connect_pair(struct pair *p, enum noise_pattern pattern, uint64_t seed)
{
    start(p, pattern, seed, "x", "x");
    finish(p);
    split(p);
}

/* Nothing of a state may remain but the mark. */
static void assert_wiped_and_failed(const struct noise_handshake *hs)
{
    struct noise_handshake expected;

    memset(&expected, 0, sizeof(expected));
    expected.failed = true;
    assert_memory_equal(hs, &expected, sizeof(expected));
}

static const enum noise_pattern both[] = {NOISE_IK, NOISE_KK};

static void test_responder_learns_the_initiator(void **state)
{
    struct pair p;

    (void)state;
    start(&p, NOISE_IK, 1, "x", "x");
    assert_int_equal(cross(&p, &p.a, &p.b), 0);
    assert_true(key_equal(p.b.remote_static, p.a_key.public));
}

static void test_sizes(void **state)
{
    static const int overhead[2][2] = {{NOISE_IK_1_OVERHEAD, NOISE_IK_2_OVERHEAD},
                                       {NOISE_KK_1_OVERHEAD, NOISE_KK_2_OVERHEAD}};
    static uint8_t payload[NOISE_MESSAGE_MAX], msg[NOISE_MESSAGE_MAX + 1], out[NOISE_MESSAGE_MAX];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct pair p;
        start(&p, both[i], 1, "x", "x");
        for (int m = 0; m < 2; m++) {
            struct noise_handshake *from = m ? &p.b : &p.a, *to = m ? &p.a : &p.b;
            size_t room = (size_t)(NOISE_MESSAGE_MAX - overhead[i][m]);
            /* Refusals for lack of room leave the handshake alive. */
            assert_int_equal(noise_write(from, &p.rng, payload, room + 1, msg, sizeof(msg)), -1);
            assert_int_equal(noise_write(from, &p.rng, payload, 1, msg, (size_t)overhead[i][m]),
                             -1);
            int len = noise_write(from, &p.rng, payload, room, msg, sizeof(msg));
            assert_int_equal(len, NOISE_MESSAGE_MAX);
            assert_int_equal(noise_read(to, msg, (size_t)len, out, room - 1), -1);
            assert_int_equal(noise_read(to, msg, (size_t)len, out, room), room);
        }
        assert_true(noise_done(&p.a) && noise_done(&p.b));
    }
}

static void test_turns(void **state)
{
    uint8_t msg[BUFFER];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct pair p;
        start(&p, both[i], 1, "x", "x");
        assert_int_equal(noise_write(&p.b, &p.rng, NULL, 0, msg, sizeof(msg)), -1);
        assert_int_equal(noise_read(&p.a, msg, 200, msg, sizeof(msg)), -1);
        assert_int_equal(noise_split(&p.a, &p.a_send, &p.a_receive, NULL), -1);
        assert_int_equal(noise_export(&p.a, "x", msg), -1);
        finish(&p);
        assert_int_equal(noise_write(&p.a, &p.rng, NULL, 0, msg, sizeof(msg)), -1);
        assert_int_equal(noise_read(&p.b, msg, 200, msg, sizeof(msg)), -1);
        split(&p);
        assert_int_equal(noise_split(&p.a, &p.a_send, &p.a_receive, NULL), -1); /* wiped */
    }
}

static void test_wrong_prologue(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct pair p;
        start(&p, both[i], 1, "tryst/1", "tryst/2");
        assert_int_equal(cross(&p, &p.a, &p.b), -1);
        assert_wiped_and_failed(&p.b);
    }
}

static void test_wrong_keys(void **state)
{
    struct pair p;
    struct key_pair other;

    (void)state;
    for (int i = 0; i < 2; i++) {
        /* The responder is not who the initiator thinks. */
        start(&p, both[i], 1, "x", "x");
        key_generate(&p.rng, &other);
        noise_start(&p.a, both[i], true, "x", 1, &p.a_key, other.public);
        assert_int_equal(cross(&p, &p.a, &p.b), -1);
        assert_wiped_and_failed(&p.b);
    }
    /* KK: the initiator is not who the responder thinks. */
    start(&p, NOISE_KK, 1, "x", "x");
    noise_start(&p.b, NOISE_KK, false, "x", 1, &p.b_key, other.public);
    assert_int_equal(cross(&p, &p.a, &p.b), -1);
    assert_wiped_and_failed(&p.b);

    /* The answer comes from somebody who holds another secret. */
    start(&p, NOISE_IK, 1, "x", "x");
    assert_int_equal(cross(&p, &p.a, &p.b), 0);
    memcpy(p.b.local_static.secret, other.secret, KEY_SIZE);
    memcpy(p.b.local_ephemeral.secret, other.secret, KEY_SIZE);
    uint8_t msg[BUFFER];
    int len = noise_write(&p.b, &p.rng, NULL, 0, msg, sizeof(msg));
    msg[0] ^= 1;
    assert_int_equal(noise_read(&p.a, msg, (size_t)len, NULL, 0), -1);
    assert_wiped_and_failed(&p.a);
}

static void test_missing_remote_key(void **state)
{
    struct pair p;
    uint8_t msg[BUFFER];

    (void)state;
    start(&p, NOISE_IK, 1, "x", "x");
    noise_start(&p.a, NOISE_IK, true, "x", 1, &p.a_key, NULL);
    assert_int_equal(noise_write(&p.a, &p.rng, NULL, 0, msg, sizeof(msg)), -1);
    noise_start(&p.b, NOISE_KK, false, "x", 1, &p.b_key, NULL);
    assert_int_equal(noise_read(&p.b, msg, NOISE_KK_1_OVERHEAD, NULL, 0), -1);
}

/* Points of small order give an all-zero secret that anybody can compute. */
static void test_small_order_keys(void **state)
{
    static const uint8_t points[][KEY_SIZE] = {
        {0},
        {1},
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
         0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
         0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
    };
    uint8_t msg[BUFFER];

    (void)state;
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        struct pair p;
        start(&p, NOISE_IK, 1, "x", "x");
        noise_start(&p.a, NOISE_IK, true, "x", 1, &p.a_key, points[i]);
        assert_int_equal(noise_write(&p.a, &p.rng, NULL, 0, msg, sizeof(msg)), -1);
        assert_wiped_and_failed(&p.a);

        memset(msg, 0, sizeof(msg));
        memcpy(msg, points[i], KEY_SIZE); /* as the ephemeral */
        assert_int_equal(noise_read(&p.b, msg, NOISE_IK_1_OVERHEAD, NULL, 0), -1);
        assert_wiped_and_failed(&p.b);
    }
}

/* Every single flipped bit, and every length but the right one, is noticed. */
static void test_tampered_handshake(void **state)
{
    uint8_t msg[BUFFER], bad[BUFFER], out[BUFFER];

    (void)state;
    for (int i = 0; i < 2; i++)
        for (int m = 0; m < 2; m++) {
            struct pair p;
            start(&p, both[i], 1, "x", "x");
            if (m == 1)
                assert_int_equal(cross(&p, &p.a, &p.b), 0);
            struct noise_handshake *from = m ? &p.b : &p.a, *to = m ? &p.a : &p.b;
            int len = noise_write(from, &p.rng, "hello", 5, msg, sizeof(msg));
            assert_true(len > 0);
            struct noise_handshake before = *to;
            for (int bit = 0; bit < len * 8; bit++) {
                memcpy(bad, msg, sizeof(bad));
                bad[bit / 8] = (uint8_t)(bad[bit / 8] ^ (1 << bit % 8));
                *to = before;
                /* X25519 ignores the top bit of a key, but the hash does not. */
                assert_int_equal(noise_read(to, bad, (size_t)len, out, sizeof(out)), -1);
                assert_wiped_and_failed(to);
                assert_int_equal(noise_read(to, msg, (size_t)len, out, sizeof(out)), -1);
            }
            for (int cut = 0; cut < len + 3; cut++) {
                *to = before;
                if (cut != len)
                    assert_int_equal(noise_read(to, msg, (size_t)cut, out, sizeof(out)), -1);
            }
            *to = before;
            assert_int_equal(noise_read(to, msg, (size_t)len, out, sizeof(out)), 5);
            assert_memory_equal(out, "hello", 5);
        }
}

static void test_replayed_first_message_gives_nothing(void **state)
{
    struct pair p;
    struct noise_handshake again;
    struct noise_cipher a_send, a_receive, b_send, b_receive;
    uint8_t msg[BUFFER], answer[BUFFER];

    (void)state;
    start(&p, NOISE_IK, 1, "x", "x");
    again = p.b;
    int len = noise_write(&p.a, &p.rng, NULL, 0, msg, sizeof(msg));
    assert_int_equal(noise_read(&p.b, msg, (size_t)len, NULL, 0), 0);
    /* The replay is answered ... */
    assert_int_equal(noise_read(&again, msg, (size_t)len, NULL, 0), 0);
    int answered = noise_write(&p.b, &p.rng, NULL, 0, answer, sizeof(answer));
    assert_int_equal(noise_read(&p.a, answer, (size_t)answered, NULL, 0), 0);
    assert_true(noise_write(&again, &p.rng, NULL, 0, answer, sizeof(answer)) > 0);
    /* ... but what the initiator seals is of no use on the replayed connection. */
    assert_int_equal(noise_split(&p.a, &a_send, &a_receive, NULL), 0);
    assert_int_equal(noise_split(&again, &b_send, &b_receive, NULL), 0);
    assert_int_equal(noise_seal(&a_send, (const uint8_t *)"x", 1, msg), 17);
    assert_int_equal(noise_open(&b_receive, msg, 17, answer), -1);
}

/* ---- the channel ---- */

static void test_transport_round_trip(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 63, 64, 65, 4096, 65518, 65519};
    static uint8_t plain[65519], sealed[65535];
    struct pair p;

    (void)state;
    connect_pair(&p, NOISE_IK, 1);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        rng_fill(&p.rng, plain, sizes[i]);
        memcpy(sealed, plain, sizes[i]);
        /* In place, as the send path does it. */
        assert_int_equal(noise_seal(&p.a_send, sealed, sizes[i], sealed), sizes[i] + 16);
        assert_int_equal(noise_open(&p.b_receive, sealed, sizes[i] + 16, sealed), sizes[i]);
        assert_memory_equal(sealed, plain, sizes[i]);
        assert_int_equal(noise_seal(&p.b_send, plain, sizes[i], sealed), sizes[i] + 16);
        assert_int_equal(noise_open(&p.a_receive, sealed, sizes[i] + 16, sealed), sizes[i]);
        assert_memory_equal(sealed, plain, sizes[i]);
    }
    assert_int_equal(noise_seal(&p.a_send, plain, 65520, sealed), -1);
    assert_int_equal(noise_open(&p.b_receive, sealed, 65536, sealed), -1);
    for (size_t len = 0; len < 16; len++)
        assert_int_equal(noise_open(&p.b_receive, sealed, len, sealed), -1);
}

static void test_bad_transport_messages(void **state)
{
    struct pair p;
    uint8_t first[32], second[32], out[32], bad[32];

    (void)state;
    connect_pair(&p, NOISE_KK, 1);
    assert_int_equal(noise_seal(&p.a_send, (const uint8_t *)"one", 3, first), 19);
    assert_int_equal(noise_seal(&p.a_send, (const uint8_t *)"two", 3, second), 19);
    struct noise_cipher before = p.b_receive;
    assert_int_equal(noise_open(&p.b_receive, second, 19, out), -1); /* reordered */
    for (int bit = 0; bit < 19 * 8; bit++) {
        memcpy(bad, first, sizeof(bad));
        bad[bit / 8] = (uint8_t)(bad[bit / 8] ^ (1 << bit % 8));
        assert_int_equal(noise_open(&p.b_receive, bad, 19, out), -1);
    }
    assert_int_equal(noise_open(&p.b_receive, first, 18, out), -1);
    assert_int_equal(noise_open(&p.a_receive, first, 19, out), -1); /* reflected */
    assert_memory_equal(&p.b_receive, &before, sizeof(before));     /* all that changed nothing */
    assert_int_equal(noise_open(&p.b_receive, first, 19, out), 3);
    assert_int_equal(noise_open(&p.b_receive, first, 19, out), -1); /* replayed */
    assert_int_equal(noise_open(&p.b_receive, second, 19, out), 3);
    assert_memory_equal(out, "two", 3);
}

/* Both directions cross several rekeys, each at its own pace. */
static void test_rekey(void **state)
{
    struct pair p;
    uint8_t sealed[32];

    (void)state;
    connect_pair(&p, NOISE_IK, 1);
    struct noise_cipher start_key = p.a_send;
    for (uint64_t i = 0; i < 2 * NOISE_REKEY_INTERVAL + 2; i++) {
        bool fresh = memcmp(p.a_send.key, start_key.key, sizeof(start_key.key)) != 0;
        assert_int_equal(fresh, i >= NOISE_REKEY_INTERVAL);
        assert_int_equal(p.a_send.nonce, i); /* goes on */
        uint8_t byte = (uint8_t)i;
        assert_int_equal(noise_seal(&p.a_send, &byte, 1, sealed), 17);
        assert_int_equal(noise_open(&p.b_receive, sealed, 17, sealed), 1);
        assert_int_equal(sealed[0], byte);
        assert_memory_equal(&p.a_send, &p.b_receive, sizeof(p.a_send));
    }
    assert_int_equal(p.b_send.nonce, 0); /* the other direction has not moved */
}

/* REKEY of the specification, section 4.2: ENCRYPT(k, 2^64-1, "", 32 zeros), the first 32 bytes. */
static void test_rekey_is_the_specified_one(void **state)
{
    static const uint8_t nonce[12] = {0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255};
    struct noise_cipher c = {.key = {1, 2, 3}, .nonce = NOISE_REKEY_INTERVAL - 1};
    uint8_t zeros[32] = {0}, expected[48], sealed[16];

    (void)state;
    crypto_aead_chacha20poly1305_ietf_encrypt(expected, NULL, zeros, 32, NULL, 0, NULL, nonce,
                                              c.key);
    assert_int_equal(noise_seal(&c, NULL, 0, sealed), 16);
    assert_memory_equal(c.key, expected, 32);
}

static void test_nonce_runs_out(void **state)
{
    struct noise_cipher send = {.key = {9}, .nonce = UINT64_MAX - 1}, receive = send;
    uint8_t sealed[32];

    (void)state;
    assert_int_equal(noise_seal(&send, (const uint8_t *)"x", 1, sealed), 17);
    assert_int_equal(noise_open(&receive, sealed, 17, sealed), 1);
    struct noise_cipher before = send;
    assert_int_equal(noise_seal(&send, (const uint8_t *)"x", 1, sealed), -1);
    assert_int_equal(noise_open(&receive, sealed, 17, sealed), -1);
    assert_memory_equal(&send, &before, sizeof(before));
}

static void test_export(void **state)
{
    uint8_t a[32], b[32], other_label[32], other_session[32];
    struct pair p, q;

    (void)state;
    for (int i = 0; i < 2; i++) {
        start(&p, both[i], 1, "x", "x");
        finish(&p);
        assert_int_equal(noise_export(&p.a, "tryst test", a), 0);
        assert_int_equal(noise_export(&p.b, "tryst test", b), 0);
        assert_int_equal(noise_export(&p.b, "tryst tess", other_label), 0);
        assert_memory_equal(a, b, sizeof(a));
        assert_memory_not_equal(a, other_label, sizeof(a));

        /* The same static keys, other ephemerals. */
        start(&q, both[i], 1, "x", "x");
        rng_fill(&q.rng, b, sizeof(b));
        finish(&q);
        assert_int_equal(noise_export(&q.a, "tryst test", other_session), 0);
        assert_memory_not_equal(a, other_session, sizeof(a));

        split(&p); /* still possible after an export, and the keys are others */
        assert_memory_not_equal(a, p.a_send.key, sizeof(a));
        assert_memory_not_equal(a, p.a_receive.key, sizeof(a));
        assert_memory_not_equal(p.a_send.key, p.a_receive.key, sizeof(a));
    }
}

static void test_wipe(void **state)
{
    static const struct noise_handshake zero;
    struct pair p;

    (void)state;
    start(&p, NOISE_IK, 1, "x", "x");
    finish(&p);
    split(&p); /* wipes */
    assert_memory_equal(&p.a, &zero, sizeof(zero));
    start(&p, NOISE_KK, 1, "x", "x");
    noise_wipe(&p.a);
    assert_memory_equal(&p.a, &zero, sizeof(zero));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vectors),
        cmocka_unit_test(test_responder_learns_the_initiator),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_wrong_prologue),
        cmocka_unit_test(test_wrong_keys),
        cmocka_unit_test(test_missing_remote_key),
        cmocka_unit_test(test_small_order_keys),
        cmocka_unit_test(test_tampered_handshake),
        cmocka_unit_test(test_replayed_first_message_gives_nothing),
        cmocka_unit_test(test_transport_round_trip),
        cmocka_unit_test(test_bad_transport_messages),
        cmocka_unit_test(test_rekey),
        cmocka_unit_test(test_rekey_is_the_specified_one),
        cmocka_unit_test(test_nonce_runs_out),
        cmocka_unit_test(test_export),
        cmocka_unit_test(test_wipe),
    };

    if (sodium_init() < 0)
        return 99;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
