/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_SHOW_H
#define TRYST_SHOW_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/endpoint.h"
#include "proto/key.h"
#include "proto/nat.h"

/*
 * Values as people and scripts see them, in the JSON of the admin socket. Each returns a new
 * reference, or NULL when memory ran out.
 */

/* For json_dumps: 0.98, not 0.97999999999999998. */
#define SHOW_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(9))

/* Bytes that are not UTF-8 become U+FFFD; "" stays "". */
json_t *show_text(const char *text);
/* The same, but null for "". */
json_t *show_label(const char *text);
/* A list out of names separated by ", ". */
json_t *show_names(const char *names);
json_t *show_key(const uint8_t key[KEY_SIZE]);
json_t *show_hex(const uint8_t *bytes, size_t size);
/* RFC 3339 in UTC with milliseconds; null for 0 (never). */
json_t *show_stamp(int64_t us);
/* null for none */
json_t *show_endpoint(const struct endpoint *e);
json_t *show_address(const struct endpoint *e);
json_t *show_nat(const struct nat_summary *nat);
/* A count, or null for a negative number (not known). */
json_t *show_number(int64_t n);
/* {"number", "name", "text", "advice"} */
json_t *show_reason(unsigned reason);

#endif
