/* SPDX-License-Identifier: ISC */
#ifndef TRYST_LOG_H
#define TRYST_LOG_H

#include <stdbool.h>

/* Levels have syslog's numbers. */
enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7
};

/*
 * To stderr. Under journald (JOURNAL_STREAM is set and is stderr) each line begins with its
 * priority, "<6>"; else with the time. Control bytes in arguments are shown escaped, so that a
 * stranger cannot forge a line. May be called from any thread.
 */
void log_open(enum log_level most);
void log_set_level(enum log_level most);
enum log_level log_get_level(void);
int log_level_from_name(const char *name); /* or -1 */
const char *log_level_name(enum log_level level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * For lines that strangers can cause: at most 10 a second over all of them; what was left out is
 * counted in the next line that gets through.
 */
void log_stranger(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
