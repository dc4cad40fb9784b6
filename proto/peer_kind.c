/* SPDX-License-Identifier: ISC */
#include "peer_kind.h"

#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The question is what comes of it if the peer is of this kind. */
#define CONFIDENCE 99
#define SAMPLES    100

static const struct peer_kind_row rows[] = {
#define PEER_KIND(number, NAME, name, words, family, mapping_, filtering_, allocation_, refusal_,  \
                  delta_, drift_, low, high)                                                       \
    {PEER_KIND_##NAME,                                                                             \
     family,                                                                                       \
     {.mapping = (mapping_),                                                                       \
      .filtering = (filtering_),                                                                   \
      .allocation = (allocation_),                                                                 \
      .refusal = (refusal_),                                                                       \
      .pooling = NAT_PAIRED,                                                                       \
      .confidence = CONFIDENCE,                                                                    \
      .delta = (delta_),                                                                           \
      .drift = (drift_),                                                                           \
      .block_low = (low),                                                                          \
      .block_high = (high),                                                                        \
      .samples = SAMPLES}},
#include "peer_kind.def"
#undef PEER_KIND
};

static const struct {
    const char *name, *words;
} texts[] = {
    [PEER_KIND_ONE] = {"peer", ""},
#define PEER_KIND(number, NAME, name, words, family, ...) [number] = {name, words},
#include "peer_kind.def"
#undef PEER_KIND
};

const char *peer_kind_name(unsigned kind)
{
    return kind < COUNT(texts) ? texts[kind].name : "unknown";
}

const char *peer_kind_words(unsigned kind)
{
    return kind < COUNT(texts) ? texts[kind].words : "";
}

const struct peer_kind_row *peer_kind_row(unsigned i)
{
    return i < COUNT(rows) ? &rows[i] : NULL;
}
