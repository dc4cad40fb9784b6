/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "span.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SPAN_MOST    ((int64_t)1 << 62)
#define US_PER_S     ((int64_t)1000000)
/* The last second of the year 9999: what four digits can say. */
#define LAST_SECOND ((int64_t)253402300799)

struct unit {
    const char *name;
    int64_t ms;
};

/* The first of equal units is the one that span_format uses; the largest stand first. */
static const struct unit units[] = {
    {"d", 86400000}, {"h", 3600000}, {"min", 60000},      {"s", 1000},
    {"ms", 1},       {"m", 60000},   {"w", 7 * 86400000}, {"sec", 1000},
};
#define FORMAT_UNITS 5

/* Digits at *text, which moves past them. Returns -1: there are none; -2: too many. */
static int digits(const char **text, int64_t *out)
{
    const char *at = *text;
    int64_t n = 0;

    if (*at < '0' || *at > '9')
        return -1;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (n > (SPAN_MOST - 9) / 10)
            return -2;
        n = n * 10 + (*at - '0');
    }
    *text = at;
    *out = n;
    return 0;
}

int span_parse(const char *text, int64_t *ms)
{
    int64_t n;
    int bad = digits(&text, &n);

    if (bad)
        return bad;
    while (*text == ' ')
        text++;
    for (size_t i = 0; i < COUNT(units); i++) {
        if (strcmp(text, units[i].name) != 0)
            continue;
        if (n > SPAN_MOST / units[i].ms)
            return -2;
        *ms = n * units[i].ms;
        return 0;
    }
    return -1;
}

const char *span_format(int64_t ms, char out[SPAN_TEXT_SIZE])
{
    size_t i = 0;

    if (ms <= 0) {
        snprintf(out, SPAN_TEXT_SIZE, "0s");
        return out;
    }
    while (i < FORMAT_UNITS - 1 && ms % units[i].ms != 0)
        i++;
    snprintf(out, SPAN_TEXT_SIZE, "%" PRId64 "%s", ms / units[i].ms, units[i].name);
    return out;
}

/* Exactly `width` digits at *text. */
static int fixed(const char **text, unsigned width, int *out)
{
    int n = 0;

    for (unsigned i = 0; i < width; i++) {
        char c = (*text)[i];
        if (c < '0' || c > '9')
            return -1;
        n = n * 10 + (c - '0');
    }
    *text += width;
    *out = n;
    return 0;
}

static int skip(const char **text, char c)
{
    if (**text != c)
        return -1;
    (*text)++;
    return 0;
}

static int parse_date(const char **text, struct tm *tm)
{
    if (fixed(text, 4, &tm->tm_year) || skip(text, '-') || fixed(text, 2, &tm->tm_mon) ||
        skip(text, '-') || fixed(text, 2, &tm->tm_mday))
        return -1;
    if (tm->tm_year < 1970 || tm->tm_mon < 1 || tm->tm_mon > 12 || tm->tm_mday < 1 ||
        tm->tm_mday > 31)
        return -1;
    tm->tm_year -= 1900;
    tm->tm_mon -= 1;
    return 0;
}

static int parse_clock(const char **text, struct tm *tm, int64_t *fraction)
{
    int64_t unit = US_PER_S / 10;

    if (fixed(text, 2, &tm->tm_hour) || skip(text, ':') || fixed(text, 2, &tm->tm_min))
        return -1;
    if (skip(text, ':') == 0) {
        if (fixed(text, 2, &tm->tm_sec))
            return -1;
        if (skip(text, '.') == 0)
            for (; **text >= '0' && **text <= '9'; (*text)++, unit /= 10)
                *fraction += (**text - '0') * unit;
    }
    return tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 60 ? -1 : 0;
}

static int parse_absolute(const char *text, int64_t *us)
{
    struct tm tm = {0};
    int64_t fraction = 0;

    if (parse_date(&text, &tm))
        return -1;
    if ((*text == 'T' || *text == ' ') && (text++, parse_clock(&text, &tm, &fraction)))
        return -1;
    (void)skip(&text, 'Z');
    if (*text)
        return -1;

    int day = tm.tm_mday;
    time_t t = timegm(&tm);
    if (tm.tm_mday != day) /* 31 April */
        return -1;
    *us = (int64_t)t * US_PER_S + fraction;
    return 0;
}

int moment_parse(const char *text, int64_t now_us, int64_t *us)
{
    int64_t n;

    if (*text == '@') {
        text++;
        if (digits(&text, &n) || *text || n > LAST_SECOND)
            return -1;
        *us = n * US_PER_S;
        return 0;
    }
    if (span_parse(text, &n) == 0) {
        int64_t ago = n > INT64_MAX / 1000 ? INT64_MAX : n * 1000;
        *us = ago >= now_us ? 0 : now_us - ago;
        return 0;
    }
    return parse_absolute(text, us);
}

const char *moment_format(int64_t us, char out[MOMENT_TEXT_SIZE])
{
    time_t seconds = (time_t)(us / US_PER_S);
    struct tm tm;

    out[0] = '\0';
    if (us < 0 || seconds > LAST_SECOND || !gmtime_r(&seconds, &tm))
        return out;
    size_t n = strftime(out, MOMENT_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, MOMENT_TEXT_SIZE - n, ".%03uZ", (unsigned)(us % US_PER_S / 1000));
    return out;
}
