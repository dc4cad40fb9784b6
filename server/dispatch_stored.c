/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/*
 * What peers are told once it is on disk, so that it is still so after a crash: that they are
 * registered, and how their sessions ended. It takes some milliseconds; a proven connection does
 * not wait for it.
 */
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "proto/frame.h"

struct told {
    struct told *next;
    uint64_t row;
    struct ref channel;
    bool promise;
    size_t len;
    uint8_t bytes[];
};

static struct told *told_new(struct ref channel, const struct msg *m, uint64_t row, bool promise)
{
    uint8_t bytes[FRAME_PLAIN_MAX];
    int len = msg_encode(m, bytes, sizeof(bytes));
    struct told *t = len < 0 ? NULL : malloc(sizeof(*t) + (size_t)len);

    if (!t)
        return NULL;
    *t = (struct told){.row = row, .channel = channel, .promise = promise, .len = (size_t)len};
    memcpy(t->bytes, bytes, (size_t)len);
    return t;
}

static void tell(struct dispatch *d, const struct told *t)
{
    struct msg m;
    if (msg_decode(t->bytes, t->len, &m) == 0)
        dispatch_deliver(d, t->channel, &m);
}

void dispatch_deliver_stored(struct dispatch *d, struct ref channel, const struct msg *m,
                             uint64_t row, bool promise)
{
    bool wait = row && (promise || !store_degraded(d->store));
    struct told *t = wait ? told_new(channel, m, row, promise) : NULL;

    if (!t) {
        dispatch_deliver(d, channel, m);
        return;
    }
    if (d->told.last)
        d->told.last->next = t;
    else
        d->told.first = t;
    d->told.last = t;
}

void dispatch_stored(struct dispatch *d)
{
    uint64_t committed = store_committed(d->store);
    bool degraded = store_degraded(d->store);
    struct told **at = &d->told.first, *before = NULL, *t;

    while ((t = *at) && (t->row <= committed || degraded)) {
        if (t->row > committed && t->promise) {
            before = t;
            at = &t->next;
            continue;
        }
        tell(d, t);
        *at = t->next;
        free(t);
    }
    if (!*at)
        d->told.last = before;
}

bool dispatch_stored_all_but_promises(const struct dispatch *d)
{
    const struct told *t = d->told.first;
    while (t && t->promise)
        t = t->next;
    return !t;
}

void dispatch_stored_forget(struct dispatch *d)
{
    struct told *t;

    while ((t = d->told.first)) {
        d->told.first = t->next;
        free(t);
    }
    d->told.last = NULL;
}
