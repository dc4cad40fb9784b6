/* SPDX-License-Identifier: ISC */
#ifndef TRYST_KEY_H
#define TRYST_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "rng.h"

#define KEY_SIZE            32
#define KEY_TEXT_SIZE       45 /* 44 characters of standard base64, and the terminator */
#define PEER_NAME_MAX       63
#define PEER_NAME_SIZE      (PEER_NAME_MAX + 1)
#define HOST_SIZE           256
#define SERVER_PORT_DEFAULT 5382
#define SERVER_URL_SIZE     340

struct key_pair {
    uint8_t secret[KEY_SIZE];
    uint8_t public[KEY_SIZE];
};

struct server_url {
    uint8_t key[KEY_SIZE];
    char host[HOST_SIZE]; /* name or numeric address, without brackets */
    uint16_t port;
};

/* A fresh X25519 key pair (clamped as WireGuard's `wg genkey`). */
void key_generate(const struct rng *rng, struct key_pair *out);
/* Recomputes the public key. Returns 0, or -1 for a secret whose public key is all zero. */
int key_from_secret(const uint8_t secret[KEY_SIZE], struct key_pair *out);
bool key_equal(const uint8_t a[KEY_SIZE], const uint8_t b[KEY_SIZE]);
bool key_is_zero(const uint8_t key[KEY_SIZE]);

/* Standard base64, 44 characters, in constant time. Returns out. */
const char *key_format(const uint8_t key[KEY_SIZE], char out[KEY_TEXT_SIZE]);
/*
 * Standard or URL-safe base64, exactly 44 characters with or 43 without padding. Returns 0 or -1.
 */
int key_parse(const char *text, uint8_t out[KEY_SIZE]);

/*
 * A peer name: 1 to 63 characters, letters, digits, '-', '_' and '.', beginning with a letter or
 * digit, kept in lower case, and never of the form of a key (so a name and a key cannot be mistaken
 * for each other). Returns 0 with the lower-case name in out, or -1.
 */
int peer_name_parse(const char *text, char out[PEER_NAME_SIZE]);

/*
 * tryst://<key in URL-safe base64>@host[:port]; IPv6 in brackets. Returns NULL or a sentence saying
 * what is wrong.
 */
const char *server_url_parse(const char *text, struct server_url *out);
const char *server_url_format(const struct server_url *url, char out[SERVER_URL_SIZE]);

#endif
