/* SPDX-License-Identifier: ISC */
#include "client-stub/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct json json_begin(char *out, size_t size)
{
    return (struct json){out, size, 0};
}

int json_end(struct json *j)
{
    if (j->size > 0)
        j->out[j->len < j->size ? j->len : j->size - 1] = '\0';
    return (int)j->len;
}

static void put(struct json *j, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++, j->len++) {
        if (j->len + 1 < j->size)
            j->out[j->len] = bytes[i];
    }
}

void json_print(struct json *j, const char *format, ...)
{
    char text[128];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n > 0)
        put(j, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* The length of the well-formed UTF-8 sequence at s (RFC 3629), 0 if there is none. */
static size_t utf8_length(const char *s)
{
    const unsigned char *b = (const unsigned char *)s;
    size_t n = b[0] < 0x80   ? 1
               : b[0] < 0xc2 ? 0
               : b[0] < 0xe0 ? 2
               : b[0] < 0xf0 ? 3
               : b[0] < 0xf5 ? 4
                             : 0;

    for (size_t i = 1; i < n; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    }
    /* overlong forms, surrogates, beyond U+10FFFF */
    if ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) ||
        (b[0] == 0xf0 && b[1] < 0x90) || (b[0] == 0xf4 && b[1] > 0x8f))
        return 0;
    return n;
}

void json_string(struct json *j, const char *name, const char *s)
{
    json_print(j, ",\"%s\":\"", name);
    while (*s) {
        size_t n = utf8_length(s);
        if (n == 0)
            put(j, "\xef\xbf\xbd", 3); /* U+FFFD */
        else if ((unsigned char)*s < 0x20 || *s == 0x7f)
            json_print(j, "\\u%04x", (unsigned)*s);
        else if (*s == '"' || *s == '\\')
            json_print(j, "\\%c", *s);
        else
            put(j, s, n);
        s += n ? n : 1;
    }
    put(j, "\"", 1);
}

void json_string_or_null(struct json *j, const char *name, const char *s)
{
    if (*s)
        json_string(j, name, s);
    else
        json_print(j, ",\"%s\":null", name);
}

void json_chance(struct json *j, const char *name, double chance)
{
    if (chance < 0)
        json_print(j, ",\"%s\":null", name);
    else if (chance >= 1)
        json_print(j, ",\"%s\":1", name);
    else
        json_print(j, ",\"%s\":0.%06u", name, (unsigned)(chance * 1e6));
}
