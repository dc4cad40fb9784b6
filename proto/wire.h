/* SPDX-License-Identifier: ISC */
#ifndef TRYST_WIRE_H
#define TRYST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "endpoint.h"

/*
 * A bounded cursor over a buffer. The first access beyond its end sets `bad`, which sticks; from
 * then on reads give zero and writes do nothing. Write or read straight through, and check once at
 * the end. All integers are big-endian.
 */
struct wire_writer {
    uint8_t *at;
    size_t left;
    bool bad;
};

struct wire_reader {
    const uint8_t *at;
    size_t left;
    bool bad;
};

struct wire_writer wire_writer(void *buffer, size_t size);
void wire_put_u8(struct wire_writer *w, uint8_t v);
void wire_put_u16(struct wire_writer *w, uint16_t v);
void wire_put_u32(struct wire_writer *w, uint32_t v);
void wire_put_u64(struct wire_writer *w, uint64_t v);
void wire_put_bytes(struct wire_writer *w, const void *bytes, size_t len);
/*
 * One length byte and the bytes; sets bad for what wire_get_text refuses, and for more than 255
 * bytes.
 */
void wire_put_text(struct wire_writer *w, const char *text);
/* Family byte (0, 4 or 6), the address in 0, 4 or 16 bytes, the port (absent for family 0). */
void wire_put_endpoint(struct wire_writer *w, const struct endpoint *e);

struct wire_reader wire_reader(const void *buffer, size_t size);
uint8_t wire_get_u8(struct wire_reader *r);
uint16_t wire_get_u16(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
void wire_get_bytes(struct wire_reader *r, void *out, size_t len);
/*
 * Reads a counted text into out[size], terminated; sets bad if it does not fit, is not UTF-8, or
 * holds a control character (NUL, C0, DEL or C1).
 */
void wire_get_text(struct wire_reader *r, char *out, size_t size);
/*
 * An unknown family sets bad. An IPv4-mapped IPv6 address sets bad (there is one form per address).
 */
void wire_get_endpoint(struct wire_reader *r, struct endpoint *out);

#endif
