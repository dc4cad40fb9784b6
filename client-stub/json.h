/* SPDX-License-Identifier: ISC */
#ifndef TRYST_JSON_H
#define TRYST_JSON_H

#include <stddef.h>

/*
 * JSON written by hand: the library depends on libsodium alone. As snprintf, counts what does not
 * fit. Each member is written with a comma before it.
 */
struct json {
    char *out;
    size_t size;
    size_t len;
};

struct json json_begin(char *out, size_t size);
/* Ends the text, and returns the length it has. */
int json_end(struct json *j);
/* As it is; 127 bytes at most. */
__attribute__((format(printf, 2, 3))) void json_print(struct json *j, const char *format, ...);
/* Any bytes: what is not UTF-8 is replaced. */
void json_string(struct json *j, const char *name, const char *s);
/* null for "". */
void json_string_or_null(struct json *j, const char *name, const char *s);
/* In millionths as on the wire: no locale can put its comma into the number. Negative: null. */
void json_chance(struct json *j, const char *name, double chance);

#endif
