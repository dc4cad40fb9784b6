/* SPDX-License-Identifier: ISC */
#ifndef TRYST_LOG_H
#define TRYST_LOG_H

#include <stdbool.h>

#include "proto/endpoint.h"

/* Levels have syslog's numbers. */
enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7
};

/* In the order of the option `log-format`. */
enum log_format {
    LOG_FORMAT_AUTO,  /* JOURNAL under journald (JOURNAL_STREAM is set and is stderr), else PLAIN */
    LOG_FORMAT_PLAIN, /* time, level, text */
    LOG_FORMAT_JSON,  /* an object on each line; under journald after the priority */
    LOG_FORMAT_JOURNAL /* priority, "<6>", and text */
};

/* In the order of the option `log-addresses`. */
enum log_addresses {
    LOG_ADDRESSES_FULL,
    LOG_ADDRESSES_SHORT, /* IPv4 to its /24, IPv6 to its /48; no ports */
    LOG_ADDRESSES_NONE
};

/*
 * To stderr. Control bytes in arguments are shown escaped, so that a stranger cannot forge a line.
 * May be called from any thread.
 */
void log_open(enum log_level most);
void log_set_level(enum log_level most);
enum log_level log_get_level(void);
void log_set_format(enum log_format format);
void log_set_addresses(enum log_addresses addresses);
int log_level_from_name(const char *name); /* or -1 */
const char *log_level_name(enum log_level level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * An address as the log may show it. Whoever logs where a peer is uses these, and never
 * endpoint_format(): the operator may want addresses shortened. Return out.
 */
const char *log_endpoint(const struct endpoint *e, char out[ENDPOINT_TEXT_SIZE]);
const char *log_address(const struct endpoint *e, char out[ENDPOINT_TEXT_SIZE]); /* without port */

/*
 * For lines that strangers can cause: at most 10 a second of one kind (one format is one kind);
 * what was left out is counted in the next line of the kind that gets through.
 */
void log_stranger(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for lines that registered peers can cause: at most 100 a second. */
void log_peer(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a line says, once more for machines: members of the JSON object. */
struct log_field {
    const char *name;
    const char *text; /* NULL: the number */
    double number;
};
void log_info_fields(const struct log_field *fields, unsigned count, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
