/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "span.h"

/* A line is written with one write, which keeps lines of several threads apart on pipes up to
 * PIPE_BUF. */
#define LINE_MAX_SIZE 4096
#define TEXT_MAX_SIZE 2048

/* What follows the text in JSON. */
#define FIELDS_MAX_SIZE 1536

/* Lines of one kind a second. */
#define STRANGER_LINES 10
#define PEER_LINES     100
/* There are fewer such lines in the source; if not, the last ones share a turn. */
#define KINDS_MAX 64

static atomic_int most_level = LOG_LEVEL_INFO;
static atomic_int format_wanted = LOG_FORMAT_AUTO;
static atomic_int addresses_shown = LOG_ADDRESSES_FULL;
static atomic_bool to_journal;

struct kind {
    const char *format; /* tells it from the others: a literal's address */
    time_t second;
    unsigned lines;
    uint64_t left_out;
};

static struct {
    pthread_mutex_t lock;
    struct kind at[KINDS_MAX];
} kinds = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const struct {
    const char *name;
    enum log_level level;
} levels[] = {
    {"error", LOG_LEVEL_ERROR}, {"warning", LOG_LEVEL_WARNING}, {"notice", LOG_LEVEL_NOTICE},
    {"info", LOG_LEVEL_INFO},   {"debug", LOG_LEVEL_DEBUG},
};
#define LEVELS (sizeof(levels) / sizeof(levels[0]))

/* systemd.exec(5): the variable names the device and inode of the journal's stream; it may be
 * inherited. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char *colon, *end;
    struct stat st;

    if (!stream || fstat(STDERR_FILENO, &st))
        return false;
    uintmax_t device = strtoumax(stream, &colon, 10);
    if (*colon != ':')
        return false;
    uintmax_t inode = strtoumax(colon + 1, &end, 10);
    return *end == '\0' && (uintmax_t)st.st_dev == device && (uintmax_t)st.st_ino == inode;
}

void log_open(enum log_level most)
{
    to_journal = stderr_is_journal();
    most_level = (int)most;
}

void log_set_level(enum log_level most)
{
    most_level = (int)most;
}

enum log_level log_get_level(void)
{
    return (enum log_level)most_level;
}

void log_set_format(enum log_format format)
{
    format_wanted = (int)format;
}

void log_set_addresses(enum log_addresses addresses)
{
    addresses_shown = (int)addresses;
}

int log_level_from_name(const char *name)
{
    for (size_t i = 0; i < LEVELS; i++)
        if (strcmp(levels[i].name, name) == 0)
            return (int)levels[i].level;
    return -1;
}

const char *log_level_name(enum log_level level)
{
    for (size_t i = 0; i < LEVELS; i++)
        if (levels[i].level == level)
            return levels[i].name;
    return "?";
}

/* Length of the well-formed UTF-8 character at s that may be printed as it is; 0 if there is none.
 */
static size_t printable(const unsigned char *s)
{
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if (s[0] < 0x20 || s[0] == 0x7f || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if (s[0] == 0xc2 && s[1] < 0xa0) /* C1 controls: some terminals obey them */
        return 0;
    if (s[0] == 0xe0 && s[1] < 0xa0)
        return 0;
    if (s[0] == 0xed && s[1] > 0x9f)
        return 0;
    if (s[0] == 0xe2 && s[1] == 0x80 && s[2] >= 0xa8 &&
        s[2] <= 0xae) /* line ends, text direction */
        return 0;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

/* Appends text with everything escaped that could end a line or move a cursor. */
static size_t put_escaped(char *out, size_t size, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t at = 0;

    while (*s && at + 5 < size) {
        size_t len = printable(s);
        if (len == 0) {
            at += (size_t)snprintf(out + at, size - at, "\\x%02x", *s++);
            continue;
        }
        memcpy(out + at, s, len);
        at += len;
        s += len;
    }
    return at;
}

static const char *time_text(char when[MOMENT_TEXT_SIZE])
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return moment_format((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000, when);
}

/* What a line consists of. */
struct line {
    enum log_level level;
    uint64_t left_out; /* lines of its kind before it */
    const struct log_field *fields;
    unsigned field_count;
    const char *text;
};

static size_t put_plain(char *out, size_t size, const struct line *l, bool priority)
{
    char when[MOMENT_TEXT_SIZE];
    int at = priority ? snprintf(out, size, "<%d>", (int)l->level)
                      : snprintf(out, size, "%s %s: ", time_text(when), log_level_name(l->level));
    size_t len = (size_t)at;

    len += put_escaped(out + len, size - len - 64, l->text);
    if (l->left_out > 0)
        len += (size_t)snprintf(out + len, size - len, " (%" PRIu64 " such lines left out)",
                                l->left_out);
    return len;
}

/* ---- JSON ---- */

/* A string with its quotes; cut off where it would not fit. */
static size_t put_string(char *out, size_t size, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t at = 0;

    out[at++] = '"';
    while (*s && at + 8 < size) {
        size_t len = printable(s);
        if (len == 0) {
            const char *escaped = *s < 0x80 ? "\\u%04x" : "\\ufffd";
            at += (size_t)snprintf(out + at, size - at, escaped, *s++);
            continue;
        }
        if (*s == '"' || *s == '\\')
            out[at++] = '\\';
        memcpy(out + at, s, len);
        at += len;
        s += len;
    }
    out[at++] = '"';
    return at;
}

static size_t put_field(char *out, size_t size, const struct log_field *f)
{
    size_t len = strlen(f->name) + 4;

    if (len + 32 > size)
        return 0;
    snprintf(out, size, ",\"%s\":", f->name);
    if (f->text)
        return len + put_string(out + len, size - len, f->text);
    return len + (size_t)snprintf(out + len, size - len, "%.9g", f->number);
}

static size_t put_json(char *out, size_t size, const struct line *l, bool priority)
{
    char when[MOMENT_TEXT_SIZE];
    size_t len = 0;

    if (priority)
        len = (size_t)snprintf(out, size, "<%d>", (int)l->level);
    len += (size_t)snprintf(out + len, size - len,
                            "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", time_text(when),
                            log_level_name(l->level));
    len += put_string(out + len, size - len - FIELDS_MAX_SIZE, l->text);
    for (unsigned i = 0; i < l->field_count; i++)
        len += put_field(out + len, size - len - 64, &l->fields[i]);
    if (l->left_out > 0)
        len += (size_t)snprintf(out + len, size - len, ",\"left_out\":%" PRIu64, l->left_out);
    out[len++] = '}';
    return len;
}

/* ---- lines ---- */

static void put_line(struct line *l, const char *format, va_list args)
{
    char text[TEXT_MAX_SIZE], line[LINE_MAX_SIZE];
    int saved = errno; /* callers log and then look at errno */
    int wanted = format_wanted;
    bool journal = to_journal;
    size_t len;

    if (vsnprintf(text, sizeof(text), format, args) < 0)
        snprintf(text, sizeof(text), "(a message that cannot be formatted)");
    l->text = text;
    if (wanted == LOG_FORMAT_JSON)
        len = put_json(line, sizeof(line) - 1, l, journal);
    else
        len = put_plain(line, sizeof(line) - 1, l,
                        wanted == LOG_FORMAT_JOURNAL || (wanted == LOG_FORMAT_AUTO && journal));
    line[len++] = '\n';
    while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
        ;
    l->text = NULL;
    errno = saved;
}

#define LOG_FUNCTION(name, LEVEL)                                                                  \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        struct line line = {.level = (LEVEL)};                                                     \
        va_list args;                                                                              \
                                                                                                   \
        if ((LEVEL) > most_level)                                                                  \
            return;                                                                                \
        va_start(args, format);                                                                    \
        put_line(&line, format, args);                                                             \
        va_end(args);                                                                              \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_notice, LOG_LEVEL_NOTICE)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

void log_info_fields(const struct log_field *fields, unsigned count, const char *format, ...)
{
    struct line line = {.level = LOG_LEVEL_INFO, .fields = fields, .field_count = count};
    va_list args;

    if (LOG_LEVEL_INFO > most_level)
        return;
    va_start(args, format);
    put_line(&line, format, args);
    va_end(args);
}

/* ---- lines that others cause ---- */

static struct kind *kind_of(const char *format)
{
    unsigned i = 0;

    while (i < KINDS_MAX - 1 && kinds.at[i].format && kinds.at[i].format != format)
        i++;
    kinds.at[i].format = format;
    return &kinds.at[i];
}

/* Whether one more line of its kind fits into this second, and how many did not fit before it. */
static bool may_log(const char *format, unsigned most, uint64_t *left_out)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&kinds.lock);
    struct kind *k = kind_of(format);
    if (now.tv_sec != k->second) {
        k->second = now.tv_sec;
        k->lines = 0;
    }
    bool may = k->lines < most;
    if (may) {
        k->lines++;
        *left_out = k->left_out;
        k->left_out = 0;
    } else {
        k->left_out++;
    }
    pthread_mutex_unlock(&kinds.lock);
    return may;
}

#define LOG_LIMITED_FUNCTION(name, LINES)                                                          \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        struct line line = {.level = LOG_LEVEL_INFO};                                              \
        va_list args;                                                                              \
                                                                                                   \
        if (LOG_LEVEL_INFO > most_level || !may_log(format, LINES, &line.left_out))                \
            return;                                                                                \
        va_start(args, format);                                                                    \
        put_line(&line, format, args);                                                             \
        va_end(args);                                                                              \
    }

LOG_LIMITED_FUNCTION(log_stranger, STRANGER_LINES)
LOG_LIMITED_FUNCTION(log_peer, PEER_LINES)

/* ---- addresses ---- */

/* The prefix that many subscribers share. */
static const char *format_prefix(const struct endpoint *e, char out[ENDPOINT_TEXT_SIZE])
{
    struct endpoint prefix = endpoint_with_port(*e, 0);
    char address[ENDPOINT_TEXT_SIZE];
    size_t kept = e->family == 6 ? 6 : 3;

    memset(prefix.address + kept, 0, sizeof(prefix.address) - kept);
    endpoint_format_address(&prefix, address);
    snprintf(out, ENDPOINT_TEXT_SIZE, "%.45s/%zu", address, kept * 8);
    return out;
}

static const char *format_shown(const struct endpoint *e, char out[ENDPOINT_TEXT_SIZE],
                                const char *(*full)(const struct endpoint *, char *))
{
    int shown = addresses_shown;

    if (shown == LOG_ADDRESSES_FULL || endpoint_is_none(e))
        return full(e, out);
    if (shown == LOG_ADDRESSES_SHORT)
        return format_prefix(e, out);
    snprintf(out, ENDPOINT_TEXT_SIZE, "(hidden)");
    return out;
}

const char *log_endpoint(const struct endpoint *e, char out[ENDPOINT_TEXT_SIZE])
{
    return format_shown(e, out, endpoint_format);
}

const char *log_address(const struct endpoint *e, char out[ENDPOINT_TEXT_SIZE])
{
    return format_shown(e, out, endpoint_format_address);
}
