/* SPDX-License-Identifier: ISC */
#ifndef TRYST_WATCH_H
#define TRYST_WATCH_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A descriptor the loop waits for, embedded in the struct it is about. `fn` is set once by the
 * owner. A zeroed struct is not active; `fd` means something only while it is.
 */
struct watch {
    int fd;
    uint32_t events; /* EPOLLIN and so on */
    bool active;
    void (*fn)(struct watch *w, uint32_t events);
    struct watch *next;
    struct watch *previous;
};

#endif
