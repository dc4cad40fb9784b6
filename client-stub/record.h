/* SPDX-License-Identifier: ISC */
#ifndef TRYST_RECORD_H
#define TRYST_RECORD_H

#include "client-stub/tryst.h"
#include "proto/noise.h"

/* The ciphers of one punched connection, as they stand after SELECT. */
struct tryst_record {
    struct tryst_allocator alloc;
    struct noise_cipher send;
    struct noise_cipher receive;
};

struct tryst_record *record_new(const struct tryst_allocator *alloc,
                                const struct noise_cipher *send,
                                const struct noise_cipher *receive);

#endif
