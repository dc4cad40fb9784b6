/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */

#include "labtool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 65536

/* SplitMix64: one word per eight bytes of stream. */
static uint64_t word_at(uint64_t seed, uint64_t index)
{
    uint64_t z = (seed << 32) + (index + 1) * 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

void stream_fill(uint64_t seed, uint64_t offset, uint8_t *out, size_t len)
{
    while (len > 0) {
        uint64_t word = word_at(seed, offset / 8);
        size_t skip = offset % 8;
        size_t n = len < 8 - skip ? len : 8 - skip;
        memcpy(out, (const uint8_t *)&word + skip, n);
        out += n;
        offset += n;
        len -= n;
    }
}

size_t stream_match(uint64_t seed, uint64_t offset, const uint8_t *buf, size_t len)
{
    size_t done = 0;
    while (done < len) {
        uint8_t want[4096];
        size_t n = len - done < sizeof(want) ? len - done : sizeof(want);
        stream_fill(seed, offset + done, want, n);
        if (memcmp(want, buf + done, n) != 0) {
            size_t i = 0;
            while (want[i] == buf[done + i])
                i++;
            return done + i;
        }
        done += n;
    }
    return done;
}

int cmd_send(int argc, char **argv)
{
    uint64_t seed = 0;
    uint64_t bytes = 0;
    (void)argc;
    if (parse_number(argv[0], UINT32_MAX, &seed) || parse_number(argv[1], UINT64_MAX / 2, &bytes))
        return 2;

    for (uint64_t done = 0; done < bytes;) {
        uint8_t buf[CHUNK];
        size_t n = bytes - done < CHUNK ? (size_t)(bytes - done) : CHUNK;
        stream_fill(seed, done, buf, n);
        if (write_all(STDOUT_FILENO, buf, n)) {
            (void)fprintf(stderr, "labtool send: after %llu of %llu bytes: %s\n",
                          (unsigned long long)done, (unsigned long long)bytes, strerror(errno));
            return 1;
        }
        done += n;
    }
    return 0;
}

int cmd_check(int argc, char **argv)
{
    uint64_t seed = 0;
    uint64_t bytes = 0;
    uint64_t done = 0;
    (void)argc;
    if (parse_number(argv[0], UINT32_MAX, &seed) || parse_number(argv[1], UINT64_MAX / 2, &bytes))
        return 2;

    for (;;) {
        uint8_t buf[CHUNK];
        ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        size_t same = stream_match(seed, done, buf, (size_t)n);
        if (same < (size_t)n || done + same > bytes) {
            done += same;
            (void)fprintf(stderr, "labtool check: wrong from byte %" PRIu64 " on\n", done);
            return 1;
        }
        done += (uint64_t)n;
    }
    if (done != bytes) {
        (void)fprintf(stderr, "labtool check: ended after %llu of %llu bytes\n",
                      (unsigned long long)done, (unsigned long long)bytes);
        return 1;
    }
    return 0;
}
