/* SPDX-License-Identifier: ISC */
#ifndef TRYST_FUZZ_BYTES_H
#define TRYST_FUZZ_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* A fuzz target's input, taken apart from the front; zeros when it has come to its end. */
struct bytes {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t bytes_u8(struct bytes *b)
{
    if (b->left == 0)
        return 0;
    b->left--;
    return *b->at++;
}

static inline uint16_t bytes_u16(struct bytes *b)
{
    unsigned high = bytes_u8(b);

    return (uint16_t)(high << 8 | bytes_u8(b));
}

static inline uint32_t bytes_u32(struct bytes *b)
{
    uint32_t high = bytes_u16(b);

    return high << 16 | bytes_u16(b);
}

/* 0..1. */
static inline double bytes_unit(struct bytes *b)
{
    return bytes_u16(b) / 65535.0;
}

static inline void bytes_check(int condition)
{
    if (!condition)
        abort();
}

#endif
