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

#define STRANGER_LINES 10 /* a second */

static atomic_int most_level = LOG_LEVEL_INFO;
static atomic_bool to_journal;

static struct {
    pthread_mutex_t lock;
    time_t second;
    unsigned lines;
    uint64_t left_out;
} stranger = {.lock = PTHREAD_MUTEX_INITIALIZER};

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

static size_t put_head(char *out, size_t size, enum log_level level)
{
    char when[MOMENT_TEXT_SIZE];
    struct timespec now;

    if (to_journal)
        return (size_t)snprintf(out, size, "<%d>", (int)level);
    clock_gettime(CLOCK_REALTIME, &now);
    moment_format((int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000, when);
    return (size_t)snprintf(out, size, "%s %s: ", when, log_level_name(level));
}

static void put_line(enum log_level level, uint64_t left_out, const char *format, va_list args)
{
    char text[TEXT_MAX_SIZE], line[LINE_MAX_SIZE];
    int saved = errno; /* callers log and then look at errno */

    if (vsnprintf(text, sizeof(text), format, args) < 0)
        snprintf(text, sizeof(text), "(a message that cannot be formatted)");
    size_t len = put_head(line, sizeof(line), level);
    len += put_escaped(line + len, sizeof(line) - len - 64, text);
    if (left_out > 0)
        len += (size_t)snprintf(line + len, sizeof(line) - len,
                                " (%" PRIu64 " such lines left out)", left_out);
    line[len++] = '\n';
    while (write(STDERR_FILENO, line, len) < 0 && errno == EINTR)
        ;
    errno = saved;
}

#define LOG_FUNCTION(name, LEVEL)                                                                  \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        va_list args;                                                                              \
                                                                                                   \
        if ((LEVEL) > most_level)                                                                  \
            return;                                                                                \
        va_start(args, format);                                                                    \
        put_line(LEVEL, 0, format, args);                                                          \
        va_end(args);                                                                              \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_notice, LOG_LEVEL_NOTICE)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

/* Whether one more line fits into this second, and how many did not fit before it. */
static bool stranger_may(uint64_t *left_out)
{
    struct timespec now;
    bool may;

    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&stranger.lock);
    if (now.tv_sec != stranger.second) {
        stranger.second = now.tv_sec;
        stranger.lines = 0;
    }
    may = stranger.lines < STRANGER_LINES;
    if (may) {
        stranger.lines++;
        *left_out = stranger.left_out;
        stranger.left_out = 0;
    } else {
        stranger.left_out++;
    }
    pthread_mutex_unlock(&stranger.lock);
    return may;
}

void log_stranger(const char *format, ...)
{
    uint64_t left_out;
    va_list args;

    if (LOG_LEVEL_INFO > most_level || !stranger_may(&left_out))
        return;
    va_start(args, format);
    put_line(LOG_LEVEL_INFO, left_out, format, args);
    va_end(args);
}
