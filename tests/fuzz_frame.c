/* SPDX-License-Identifier: ISC */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "proto/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
    if (!condition)
        abort();
}

/* A stream taken apart at once, and one byte at a time: the same frames, inside the buffer. */
static size_t take_apart(const uint8_t *data, size_t size, size_t body_max)
{
    size_t at = 0;

    for (;;) {
        const uint8_t *body = NULL;
        size_t len = 0;
        int n = frame_parse(data + at, size - at, body_max, &body, &len);
        if (n <= 0) {
            check(n == 0 || n == -1);
            return at;
        }
        check(len >= 1 && len <= body_max);
        check((size_t)n == FRAME_HEADER_SIZE + len && (size_t)n <= size - at);
        check(body == data + at + FRAME_HEADER_SIZE);
        for (size_t part = 0; part < (size_t)n; part++)
            check(frame_parse(data + at, part, body_max, &body, &len) == 0);
        uint8_t header[FRAME_HEADER_SIZE];
        frame_put_header(header, len);
        check(header[0] == data[at] && header[1] == data[at + 1]);
        at += (size_t)n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t some = take_apart(data, size, FRAME_BODY_MAX);
    size_t more = take_apart(data, size, 65535);

    check(some <= more && more <= size);
    return 0;
}
