/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_STORE_SHOW_H
#define TRYST_STORE_SHOW_H

#include <jansson.h>

#include "store_sql.h"

/* Rows of the database to JSON, as the reader's queries select them. Each takes the columns that it
 * names. */

json_t *store_show_session(struct columns *c); /* SESSION_NAMES, without the plan */
json_t *store_show_session_full(struct columns *c);
json_t *store_show_peer(struct columns *c);    /* PEER_NAMES */
json_t *store_show_profile(struct columns *c); /* NAT_NAMES */
json_t *store_show_invite(struct columns *c);  /* INVITE_NAMES */
/* The same for one that the loop holds. */
json_t *store_show_invite_row(const struct row_invite *row);
/* at, peer, port, local, server, socket, step, burst */
json_t *store_show_observation(struct columns *c);

#endif
