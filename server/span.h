/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_SPAN_H
#define TRYST_SPAN_H

#include <stddef.h>
#include <stdint.h>

/* Lengths of time as people write them: a whole number and a unit (ms, s, min, h, d, w). */

#define SPAN_TEXT_SIZE 32

/* Milliseconds in *ms. Returns 0; -1: not a number and a unit; -2: more than 2^62 ms. */
int span_parse(const char *text, int64_t *ms);
/* In the largest unit that divides it: "7d", "90s", "5ms"; not negative. Returns out. */
const char *span_format(int64_t ms, char out[SPAN_TEXT_SIZE]);

/*
 * A moment in the past or a date, as microseconds since 1970: "10min" and so on ago, "2025-11-30",
 * "2025-11-30T09:15[:30[.125]][Z]" (UTC), or "@1764494130". Returns 0 or -1.
 */
int moment_parse(const char *text, int64_t now_us, int64_t *us);
/* "2025-11-30T09:15:30.125Z"; "" for a year beyond 9999 or before 1970. Returns out. */
#define MOMENT_TEXT_SIZE 32
const char *moment_format(int64_t us, char out[MOMENT_TEXT_SIZE]);

#endif
