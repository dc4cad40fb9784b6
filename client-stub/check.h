/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CHECK_H
#define TRYST_CHECK_H

#include "client-stub/request.h"

/*
 * Checks: what a connection would come to. A check is a request, without sockets and without
 * rounds.
 */

/* Sends CHECK or CONNECT for a request that waits for the control channel. */
void check_send(struct tryst_request *req);
/* The answer to either. */
void check_answered(struct tryst_context *ctx, const struct msg_checked *m);
/* INVITE of an allowed peer that only checks: answered at once, without a session. */
void check_invited(struct tryst_context *ctx, const struct msg_invite *m);
/* The application's yes to one that is not allowed of itself. */
int check_accept(struct tryst_request *req);

#endif
