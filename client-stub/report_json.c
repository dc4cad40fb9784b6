/* SPDX-License-Identifier: ISC */
/* The report as one JSON object, by hand: the library depends on libsodium alone. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client-stub/report.h"

/* As snprintf: counts what does not fit. */
struct json {
    char *out;
    size_t size;
    size_t len;
};

static void put(struct json *j, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++, j->len++) {
        if (j->len + 1 < j->size)
            j->out[j->len] = bytes[i];
    }
}

__attribute__((format(printf, 2, 3))) static void print(struct json *j, const char *format, ...)
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

static void string(struct json *j, const char *name, const char *s)
{
    print(j, ",\"%s\":\"", name);
    while (*s) {
        size_t n = utf8_length(s);
        if (n == 0)
            put(j, "\xef\xbf\xbd", 3); /* U+FFFD */
        else if ((unsigned char)*s < 0x20 || *s == 0x7f)
            print(j, "\\u%04x", (unsigned)*s);
        else if (*s == '"' || *s == '\\')
            print(j, "\\%c", *s);
        else
            put(j, s, n);
        s += n ? n : 1;
    }
    put(j, "\"", 1);
}

static void string_or_null(struct json *j, const char *name, const char *s)
{
    if (*s)
        string(j, name, s);
    else
        print(j, ",\"%s\":null", name);
}

static void identities(struct json *j, const struct tryst_report *r)
{
    char key[TRYST_KEY_TEXT_SIZE] = "";
    char id[2 * TRYST_SESSION_ID_SIZE + 1] = "";

    if (r->has_peer_key)
        tryst_key_to_text(r->peer_key, key);
    for (size_t i = 0; r->has_session && i < TRYST_SESSION_ID_SIZE; i++)
        (void)snprintf(id + 2 * i, 3, "%02x", r->session[i]);
    string_or_null(j, "peer_key", key);
    string_or_null(j, "peer_name", r->peer_name);
    string_or_null(j, "session", id);
}

static void times(struct json *j, const struct tryst_report *r)
{
    print(j, ",\"times_us\":{");
    for (int i = 0; i < TRYST_STAGE_COUNT; i++) {
        int64_t t = tryst_report_time(r, (enum tryst_stage)i);
        print(j, "%s\"%s\":", i ? "," : "", tryst_stage_name((enum tryst_stage)i));
        if (t < 0)
            print(j, "null");
        else
            print(j, "%" PRId64, t);
    }
    print(j, "}");
}

/* In millionths as on the wire: no locale can put its comma into the number. */
static void chance(struct json *j, const struct tryst_report *r)
{
    if (r->chance < 0)
        print(j, ",\"chance\":null");
    else if (r->chance >= 1)
        print(j, ",\"chance\":1");
    else
        print(j, ",\"chance\":0.%06u", (unsigned)(r->chance * 1e6));
}

int tryst_report_json(const struct tryst_report *r, char *out, size_t size)
{
    struct json j = {out, size, 0};

    print(&j, "{\"ok\":%s,\"code\":%d", r->established ? "true" : "false", r->reason);
    string(&j, "reason", tryst_reason_name(r->reason));
    string(&j, "text", r->text);
    string(&j, "stage", tryst_stage_name(r->stage));
    print(&j, ",\"incoming\":%s", r->incoming ? "true" : "false");
    identities(&j, r);
    string_or_null(&j, "local_nat", r->local_nat);
    string_or_null(&j, "remote_nat", r->remote_nat);
    chance(&j, r);
    print(&j, ",\"rounds\":%d,\"syns\":%d,\"refusals\":%d,\"late_us\":%" PRId64, r->rounds, r->syns,
          r->refusals, r->late_us);
    print(&j, ",\"family\":%d", r->local.family);
    string_or_null(&j, "local", r->local_text);
    string_or_null(&j, "remote", r->remote_text);
    print(&j, ",\"plain\":%s", r->plain ? "true" : "false");
    times(&j, r);
    print(&j, "}");
    if (size > 0)
        out[j.len < size ? j.len : size - 1] = '\0';
    return (int)j.len;
}
