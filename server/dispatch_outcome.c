/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/*
 * Outcomes on their way to the peers. What a peer was told is still so after a crash: an outcome
 * waits for its row to be on disk, some milliseconds. A proven connection does not wait for it.
 */
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"

struct outcome_due {
    struct outcome_due *next;
    uint64_t row;
    struct ref channel;
    struct msg_outcome outcome;
};

static void deliver(struct dispatch *d, struct ref channel, const struct msg_outcome *outcome)
{
    struct msg m = {.type = MSG_OUTCOME};
    m.outcome_ = *outcome;
    dispatch_deliver(d, channel, &m);
}

/* Row 0: there is none to wait for. */
void dispatch_outcome(struct dispatch *d, struct ref channel, const struct msg_outcome *outcome,
                      uint64_t row)
{
    bool wait = row && !store_degraded(d->store);
    struct outcome_due *due = wait ? malloc(sizeof(*due)) : NULL;

    if (!due) {
        deliver(d, channel, outcome);
        return;
    }
    *due = (struct outcome_due){.row = row, .channel = channel, .outcome = *outcome};
    if (d->outcomes.last)
        d->outcomes.last->next = due;
    else
        d->outcomes.first = due;
    d->outcomes.last = due;
}

/* While the disk is in trouble, peers are not to wait for it. */
void dispatch_outcomes(struct dispatch *d)
{
    uint64_t committed = store_degraded(d->store) ? UINT64_MAX : store_committed(d->store);
    struct outcome_due *due;

    while ((due = d->outcomes.first) && due->row <= committed) {
        deliver(d, due->channel, &due->outcome);
        d->outcomes.first = due->next;
        free(due);
    }
    if (!d->outcomes.first)
        d->outcomes.last = NULL;
}

void dispatch_outcomes_forget(struct dispatch *d)
{
    struct outcome_due *due;

    while ((due = d->outcomes.first)) {
        d->outcomes.first = due->next;
        free(due);
    }
    d->outcomes.last = NULL;
}
