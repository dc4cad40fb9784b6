/* SPDX-License-Identifier: ISC */
#include "client-stub/cli_say.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINE_SIZE 2048
#define ERASE     "\r\033[K"

static int current_level = SAY_NORMAL;
static bool live_drawn;

void cli_say_setup(int level)
{
    current_level = level;
}

int cli_say_level(void)
{
    return current_level;
}

bool cli_say_can_live(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (current_level != SAY_STEPS || !isatty(STDERR_FILENO) || (no_color && *no_color))
        return false;
    return term && *term && strcmp(term, "dumb") != 0;
}

static void put(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, text, len);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
            (void)poll(&p, 1, 1000);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

static size_t printable(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f)
            text[i] = '?';
    }
    return len;
}

/* prefix, text and newline in one write, so that the lines of several processes do not mix. */
static void line(const char *prefix, const char *format, va_list args)
{
    char out[LINE_SIZE];
    size_t at = 0;

    if (live_drawn)
        at = (size_t)snprintf(out, sizeof(out), "%s", ERASE);
    live_drawn = false;
    at += (size_t)snprintf(out + at, sizeof(out) - at, "%s", prefix);

    int n = vsnprintf(out + at, sizeof(out) - at - 1, format, args);
    if (n < 0)
        return;
    size_t len = strnlen(out + at, sizeof(out) - at - 1);
    at += printable(out + at, len);
    out[at++] = '\n';
    put(out, at);
}

#define SAY(prefix)                                                                                \
    do {                                                                                           \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        line(prefix, format, args);                                                                \
        va_end(args);                                                                              \
    } while (0)

void cli_say_error(const char *format, ...)
{
    SAY("tryst: ");
}

void cli_say_advice(const char *format, ...)
{
    va_list args;
    char text[LINE_SIZE];

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (text[0] == '\0')
        return;
    va_start(args, format);
    line("  ", format, args);
    va_end(args);
}

void cli_say_note(const char *format, ...)
{
    if (current_level >= SAY_NORMAL)
        SAY("tryst: ");
}

void cli_say_step(const char *format, ...)
{
    if (current_level >= SAY_STEPS)
        SAY("");
}

void cli_say_log(void *unused, int level, const char *text)
{
    (void)unused;
    (void)level;
    cli_say_step("tryst: [%s] %s", level <= 3 ? "error" : level <= 4 ? "warning" : "debug", text);
}

/* Terminals of 80 columns and more are shown 79: the last column may wrap. */
static size_t columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
        return (size_t)size.ws_col - 1;
    return 79;
}

void cli_say_live(const char *text)
{
    char out[LINE_SIZE];
    size_t at = sizeof(ERASE) - 1;

    if (!text && !live_drawn)
        return;
    memcpy(out, ERASE, at);
    live_drawn = text != NULL;
    if (text) {
        size_t len = strnlen(text, sizeof(out) - at);
        size_t most = columns();
        if (len > most)
            len = most;
        memcpy(out + at, text, len);
        at += printable(out + at, len);
    }
    put(out, at);
}
