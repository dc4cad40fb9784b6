/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_METRICS_HTTP_H
#define TRYST_METRICS_HTTP_H

#include <ev.h>
#include <stddef.h>

#include "proto/endpoint.h"

/*
 * GET /metrics, and nothing else: a few connections at a time, one request on each, no body, no
 * thread. Where the library for it was left out, metrics_http_open() says so.
 */

struct metrics_http;

/*
 * Listens at `at`, or on `handed_fd` where that is >= 0 (and takes it over). `text` writes the
 * answer, ended by a zero byte, and returns its length or 0 when it does not fit. NULL with a
 * sentence in err, and errno, on failure.
 */
struct metrics_http *metrics_http_open(struct ev_loop *loop, const struct endpoint *at,
                                       int handed_fd,
                                       size_t (*text)(void *user, char *out, size_t size),
                                       void *user, char *err, size_t err_size);
void metrics_http_close(struct metrics_http *http);

#endif
