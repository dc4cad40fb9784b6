/* SPDX-License-Identifier: ISC */
#include "frame.h"

#include <assert.h>

int frame_parse(const uint8_t *buf, size_t len, size_t body_max, const uint8_t **body,
                size_t *body_len)
{
    if (len < FRAME_HEADER_SIZE)
        return 0;
    size_t n = (size_t)buf[0] << 8 | buf[1];
    if (n == 0 || n > body_max)
        return -1;
    if (len - FRAME_HEADER_SIZE < n)
        return 0;
    *body = buf + FRAME_HEADER_SIZE;
    *body_len = n;
    return (int)(FRAME_HEADER_SIZE + n);
}

void frame_put_header(uint8_t out[FRAME_HEADER_SIZE], size_t body_len)
{
    assert(body_len >= 1 && body_len <= 65535);
    out[0] = (uint8_t)(body_len >> 8);
    out[1] = (uint8_t)body_len;
}
