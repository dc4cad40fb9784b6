/* SPDX-License-Identifier: ISC */
#ifndef TRYST_REPORT_H
#define TRYST_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "client-stub/tryst.h"
#include "proto/msg.h"
#include "proto/noise.h"

/*
 * What is known about one session. Shared by the session and the application, whoever lets go last
 * releases it; so it needs nothing of its context.
 */
struct tryst_report {
    struct tryst_allocator alloc;
    tryst_clock_fn clock_fn;
    void *clock_user;
    unsigned users;
    bool incoming;
    bool check; /* it asks for the chance alone */
    int reason;
    char text[768];
    tick at[TRYST_STAGE_COUNT]; /* -1: not reached */
    enum tryst_stage stage;     /* the furthest */
    bool has_peer_key;
    uint8_t peer_key[TRYST_KEY_SIZE];
    char peer_name[MSG_TEXT_SIZE];
    bool has_session;
    uint8_t session[TRYST_SESSION_ID_SIZE];
    char local_nat[256];
    char remote_nat[256];
    double chance;
    int rounds;
    int syns;
    int refusals;
    int64_t late_us;
    bool planned;
    tick start;
    struct endpoint local;
    char local_text[ENDPOINT_TEXT_SIZE];
    char remote_text[ENDPOINT_TEXT_SIZE];
    bool plain;
    bool established;
    struct noise_handshake
        handshake; /* for keys to export; the peers' own keys are wiped out of it */
    struct tryst_record *record;
};

struct tryst_report *report_new(struct tryst_context *ctx, bool incoming);
struct tryst_report *report_share(struct tryst_report *r);
/* A stage is reached now. */
void report_stage(struct tryst_report *r, enum tryst_stage stage, tick now);
/* Makes the full sentence out of reason, its text, a detail (or "") and the advice. */
void report_reason(struct tryst_report *r, int reason, const char *detail);
void report_nats(struct tryst_report *r, const struct nat_summary *local,
                 const struct nat_summary *remote);
void report_endpoints(struct tryst_report *r, const struct endpoint *local,
                      const struct endpoint *remote);

#endif
