/* SPDX-License-Identifier: ISC */
#include "client-stub/record.h"

#include <sodium.h>
#include <string.h>

#include "client-stub/core.h"
#include "proto/frame.h"

_Static_assert(TRYST_RECORD_HEADER == FRAME_HEADER_SIZE, "one framing for all");
_Static_assert(TRYST_RECORD_OVERHEAD == FRAME_HEADER_SIZE + NOISE_TAG_SIZE, "header and tag");
_Static_assert(TRYST_RECORD_PLAIN_MAX == NOISE_MESSAGE_MAX - NOISE_TAG_SIZE,
               "what a Noise message holds");

struct tryst_record *record_new(const struct tryst_allocator *alloc,
                                const struct noise_cipher *send, const struct noise_cipher *receive)
{
    struct tryst_record *rec = core_alloc_with(alloc, sizeof(*rec));

    if (!rec)
        return NULL;
    rec->alloc = *alloc;
    rec->send = *send;
    rec->receive = *receive;
    return rec;
}

int tryst_record_seal(struct tryst_record *rec, const void *plain, size_t len, void *out)
{
    uint8_t *to = out;

    if (len > TRYST_RECORD_PLAIN_MAX)
        return -TRYST_INVALID;
    if (noise_seal(&rec->send, plain, len, to + FRAME_HEADER_SIZE) < 0)
        return -TRYST_INTERNAL;
    frame_put_header(to, len + NOISE_TAG_SIZE);
    return (int)(len + TRYST_RECORD_OVERHEAD);
}

int tryst_record_open(struct tryst_record *rec, const void *in, size_t len, void *out,
                      size_t *plain_len)
{
    const uint8_t *body;
    size_t body_len;
    int used = frame_parse(in, len, NOISE_MESSAGE_MAX, &body, &body_len);

    *plain_len = 0;
    if (used == 0)
        return 0;
    if (used < 0 || body_len < NOISE_TAG_SIZE)
        return -TRYST_PROTOCOL;
    /* In one buffer the cipher must see text at one address: it is opened where it lies, then
     * moved. */
    uint8_t *to = out == in ? (uint8_t *)out + FRAME_HEADER_SIZE : out;
    int n = noise_open(&rec->receive, body, body_len, to);
    if (n < 0)
        return -TRYST_PROTOCOL;
    if (to != out)
        memmove(out, to, (size_t)n);
    *plain_len = (size_t)n;
    return used;
}

void tryst_record_free(struct tryst_record *rec)
{
    if (!rec)
        return;
    struct tryst_allocator alloc = rec->alloc;
    sodium_memzero(rec, sizeof(*rec));
    alloc.release(alloc.user, rec);
}
