/* SPDX-License-Identifier: ISC */
#include "wire.h"

#include <string.h>

struct wire_writer wire_writer(void *buffer, size_t size)
{
    return (struct wire_writer){.at = buffer, .left = size};
}

void wire_put_bytes(struct wire_writer *w, const void *bytes, size_t len)
{
    if (w->bad || len > w->left) {
        w->bad = true;
        return;
    }
    if (len == 0)
        return; /* memcpy wants valid pointers even for nothing */
    memcpy(w->at, bytes, len);
    w->at += len;
    w->left -= len;
}

static void put_big_endian(struct wire_writer *w, uint64_t v, unsigned size)
{
    uint8_t b[8];

    for (unsigned i = 0; i < size; i++)
        b[i] = (uint8_t)(v >> (8 * (size - 1 - i)));
    wire_put_bytes(w, b, size);
}

void wire_put_u8(struct wire_writer *w, uint8_t v)
{
    put_big_endian(w, v, 1);
}

void wire_put_u16(struct wire_writer *w, uint16_t v)
{
    put_big_endian(w, v, 2);
}

void wire_put_u32(struct wire_writer *w, uint32_t v)
{
    put_big_endian(w, v, 4);
}

void wire_put_u64(struct wire_writer *w, uint64_t v)
{
    put_big_endian(w, v, 8);
}

/*
 * The length of the UTF-8 sequence at s, or 0 if there is none (RFC 3629: shortest form, no
 * surrogates, nothing past U+10FFFF) or it is a control character: these texts end on terminals and
 * in log files.
 */
static size_t utf8_sequence(const uint8_t *s, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = s[0] < 0x80   ? 1
                 : s[0] < 0xc2 ? 0
                 : s[0] < 0xe0 ? 2
                 : s[0] < 0xf0 ? 3
                 : s[0] < 0xf5 ? 4
                               : 0;

    if (len == 0 || len > left)
        return 0;
    uint32_t c = len == 1 ? s[0] : s[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3fU);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
        return 0;
    return len;
}

static bool text_is_clean(const uint8_t *s, size_t len)
{
    while (len > 0) {
        size_t n = utf8_sequence(s, len);
        if (n == 0)
            return false;
        s += n;
        len -= n;
    }
    return true;
}

void wire_put_text(struct wire_writer *w, const char *text)
{
    size_t len = strnlen(text, 256);

    if (len > 255 || !text_is_clean((const uint8_t *)text, len)) {
        w->bad = true;
        return;
    }
    wire_put_u8(w, (uint8_t)len);
    wire_put_bytes(w, text, len);
}

static bool is_mapped_v4(const uint8_t address[16])
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(address, prefix, sizeof(prefix)) == 0;
}

static bool address_size(uint8_t family, size_t *size)
{
    *size = family == 4 ? 4 : family == 6 ? 16 : 0;
    return *size > 0 || family == 0;
}

void wire_put_endpoint(struct wire_writer *w, const struct endpoint *e)
{
    size_t size;

    if (!address_size(e->family, &size) || (e->family == 6 && is_mapped_v4(e->address))) {
        w->bad = true;
        return;
    }
    wire_put_u8(w, e->family);
    if (size == 0)
        return;
    wire_put_bytes(w, e->address, size);
    wire_put_u16(w, e->port);
}

struct wire_reader wire_reader(const void *buffer, size_t size)
{
    return (struct wire_reader){.at = buffer, .left = size};
}

void wire_get_bytes(struct wire_reader *r, void *out, size_t len)
{
    if (r->bad || len > r->left) {
        r->bad = true;
        if (len > 0)
            memset(out, 0, len);
        return;
    }
    if (len == 0)
        return;
    memcpy(out, r->at, len);
    r->at += len;
    r->left -= len;
}

static uint64_t get_big_endian(struct wire_reader *r, unsigned size)
{
    uint8_t b[8];
    uint64_t v = 0;

    wire_get_bytes(r, b, size);
    for (unsigned i = 0; i < size; i++)
        v = v << 8 | b[i];
    return v;
}

uint8_t wire_get_u8(struct wire_reader *r)
{
    return (uint8_t)get_big_endian(r, 1);
}

uint16_t wire_get_u16(struct wire_reader *r)
{
    return (uint16_t)get_big_endian(r, 2);
}

uint32_t wire_get_u32(struct wire_reader *r)
{
    return (uint32_t)get_big_endian(r, 4);
}

uint64_t wire_get_u64(struct wire_reader *r)
{
    return get_big_endian(r, 8);
}

void wire_get_text(struct wire_reader *r, char *out, size_t size)
{
    size_t len = wire_get_u8(r);

    out[0] = '\0';
    if (r->bad || len > r->left || len >= size || !text_is_clean(r->at, len)) {
        r->bad = true;
        return;
    }
    wire_get_bytes(r, out, len);
    out[len] = '\0';
}

void wire_get_endpoint(struct wire_reader *r, struct endpoint *out)
{
    struct endpoint e = {.family = wire_get_u8(r)};
    size_t size;

    *out = endpoint_none();
    if (!address_size(e.family, &size)) {
        r->bad = true;
        return;
    }
    if (size == 0)
        return;
    wire_get_bytes(r, e.address, size);
    e.port = wire_get_u16(r);
    if (e.family == 6 && is_mapped_v4(e.address))
        r->bad = true;
    if (!r->bad)
        *out = e;
}
