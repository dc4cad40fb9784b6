/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "nearest.h"

#include <string.h>

#define WORD_MAX 48

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance; three rows of the usual matrix are enough. */
static unsigned slips(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *here = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        here[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned n = above[j - 1] + (a[i - 1] != b[j - 1]);
            n = least(n, least(above[j], here[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                n = least(n, before[j - 2] + 1);
            here[j] = n;
        }
        unsigned *spare = before;
        before = above;
        above = here;
        here = spare;
    }
    return above[b_len];
}

const char *nearest(const char *typed, const char *const *words, size_t count)
{
    size_t len = strlen(typed);
    const char *best = NULL;
    /* One slip in a short word, three in a long one: more than that is another word. */
    unsigned bound = len < 4 ? 1 : len < 8 ? 2 : 3;
    unsigned best_slips = bound + 1;

    if (len == 0 || len > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t word_len = strlen(words[i]);
        if (word_len > WORD_MAX)
            continue;
        unsigned n = slips(typed, len, words[i], word_len);
        if (n > bound && len >= 2 && strncmp(typed, words[i], len) == 0)
            n = bound;
        if (n < best_slips) {
            best_slips = n;
            best = words[i];
        }
    }
    return best;
}
