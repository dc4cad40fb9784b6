/* SPDX-License-Identifier: ISC */
#ifndef TRYST_NOISE_H
#define TRYST_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "key.h"

/*
 * Noise_*_25519_ChaChaPoly_BLAKE2b (Noise specification, revision 34) over buffers: no I/O, no
 * clock, no globals. IK protects the control channel, KK the punched connection.
 */
enum noise_pattern { NOISE_IK, NOISE_KK };

#define NOISE_TAG_SIZE    16
#define NOISE_HASH_SIZE   64
#define NOISE_MESSAGE_MAX 65535

/* Overhead of the handshake messages over their payloads. */
#define NOISE_IK_1_OVERHEAD (32 + 32 + 16 + 16)
#define NOISE_IK_2_OVERHEAD (32 + 16)
#define NOISE_KK_1_OVERHEAD (32 + 16)
#define NOISE_KK_2_OVERHEAD (32 + 16)

/*
 * Both directions rekey (section 4.2 of the specification) after each 2^16 messages of theirs.
 */
#define NOISE_REKEY_INTERVAL ((uint64_t)1 << 16)

/* One direction of an established channel: 40 bytes, all that an idle connection keeps. */
struct noise_cipher {
    uint8_t key[32];
    uint64_t nonce;
};

struct noise_handshake {
    enum noise_pattern pattern;
    bool initiator;
    uint8_t step; /* messages done */
    bool failed;  /* sticks: a failed handshake only ever fails */
    bool has_key; /* the symmetric state has a cipher key */
    uint8_t chaining_key[NOISE_HASH_SIZE];
    uint8_t hash[NOISE_HASH_SIZE];
    struct noise_cipher cipher;
    struct key_pair local_static;
    struct key_pair local_ephemeral;
    uint8_t remote_static[KEY_SIZE];
    uint8_t remote_ephemeral[KEY_SIZE];
};

/*
 * Starts a handshake. remote_static is the responder's key for an IK initiator, NULL for an IK
 * responder (it learns the initiator's), and the other peer's for KK. The ephemeral key is drawn
 * from rng when the first own message is written.
 */
void noise_start(struct noise_handshake *hs, enum noise_pattern pattern, bool initiator,
                 const void *prologue, size_t prologue_len, const struct key_pair *local_static,
                 const uint8_t *remote_static);

/*
 * Writes the next handshake message with its payload. Returns its length, or -1 (not this side's
 * turn, no room, bad key).
 */
int noise_write(struct noise_handshake *hs, const struct rng *rng, const void *payload,
                size_t payload_len, uint8_t *out, size_t out_size);

/*
 * Reads the next handshake message; the payload goes to out. Returns its length, or -1: the message
 * is not genuine.
 */
int noise_read(struct noise_handshake *hs, const uint8_t *msg, size_t msg_len, uint8_t *out,
               size_t out_size);

bool noise_done(const struct noise_handshake *hs);

/*
 * After the last message: the two channel directions of this side, and (if not NULL) the handshake
 * hash. Wipes hs.
 */
int noise_split(struct noise_handshake *hs, struct noise_cipher *send, struct noise_cipher *receive,
                uint8_t hash[NOISE_HASH_SIZE]);

/* Wipes every secret; hs may be started again. */
void noise_wipe(struct noise_handshake *hs);

/*
 * Seals plain into out (len + NOISE_TAG_SIZE bytes) or opens it again (len - NOISE_TAG_SIZE bytes),
 * advances the nonce and rekeys when due. in and out may be the same buffer. Returns the length
 * written, or -1: not genuine, or too long, or the nonce is used up (2^64-1; the channel must be
 * closed). A failed open leaves the state as it was.
 */
int noise_seal(struct noise_cipher *c, const uint8_t *plain, size_t len, uint8_t *out);
int noise_open(struct noise_cipher *c, const uint8_t *sealed, size_t len, uint8_t *out);

/*
 * A key for the application, bound to this one handshake: BLAKE2b-256 keyed with HKDF(final
 * chaining key, "") third output over the label (PROTOCOL.md, "Exported key"). Both sides get the
 * same. Call between the last message and noise_split. Returns 0, or -1 when the handshake is not
 * done.
 */
int noise_export(const struct noise_handshake *hs, const char *label, uint8_t out[32]);

#endif
