/* SPDX-License-Identifier: ISC */
#ifndef TRYST_FRAME_H
#define TRYST_FRAME_H

#include <stddef.h>
#include <stdint.h>

/*
 * Every connection carries frames: a two-byte big-endian length and that many bytes. On the control
 * channel and on observation connections the length is at most FRAME_BODY_MAX; zero is never sent.
 */
#define FRAME_HEADER_SIZE 2
#define FRAME_PLAIN_MAX   4096                   /* one message */
#define FRAME_BODY_MAX    (FRAME_PLAIN_MAX + 16) /* and its authentication tag */

/*
 * Looks for one whole frame at the start of buf. Returns
 *   > 0  the size of the frame with its header; *body and *body_len are set,
 *     0  more bytes are needed,
 *    -1  no valid frame can start like this.
 */
int frame_parse(const uint8_t *buf, size_t len, size_t body_max, const uint8_t **body,
                size_t *body_len);

/* Writes the header for a body of `body_len` bytes (1 .. 65535). */
void frame_put_header(uint8_t out[FRAME_HEADER_SIZE], size_t body_len);

#endif
