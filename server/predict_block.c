/* SPDX-License-Identifier: ISC */
#include "predict_block.h"

#include "predict_voice.h"

/* With fewer ports than this, on average two thirds of the block lie between them. */
#define SEEN_MIN 5
#define SEEN_MAX 1000
/* With so many, hardly any block shows less than half of itself. */
#define SEEN_SURE 8
/* A whole block is taken for no more than so many times what the ports seen make likely. */
#define WHOLE_MOST 1.2
/* A wider span is no block that is of use to a plan. */
#define SPAN_MAX 16384u
/* Ports this many times as far apart as the estimate has it are of another block. */
#define SPAN_FACTOR 2

/* The block of 2^n ports on the grid from `base` on that holds all that was seen. */
static bool on_grid(const struct port_block *b, unsigned size, unsigned base, uint16_t *low,
                    uint16_t *high)
{
    unsigned begin;

    if (size < 2 || (size & (size - 1)) != 0 || b->low < base)
        return false;
    begin = base + (b->low - base) / size * size;
    if (b->high >= begin + size || begin + size - 1 > UINT16_MAX)
        return false;
    *low = (uint16_t)begin;
    *high = (uint16_t)(begin + size - 1);
    return true;
}

static bool on_any_grid(const struct port_block *b, unsigned size, uint16_t *low, uint16_t *high)
{
    return on_grid(b, size, 0, low, high) || on_grid(b, size, PROFILE_PORT_LOW, low, high);
}

/*
 * Blocks are 2^n ports more often than not. Of the smallest such block that may be it, so many
 * ports would hardly ever all lie in one half: the next larger one is ruled out.
 */
static unsigned whole_size(const struct port_block *b)
{
    unsigned span = (unsigned)b->high - b->low, size = 1;
    uint16_t low, high;

    while (size <= span)
        size *= 2;
    if (b->seen < SEEN_SURE || size > WHOLE_MOST * voice_block_size(span, b->seen))
        return 0;
    return on_any_grid(b, size, &low, &high) ? size : 0;
}

static unsigned size_of(const struct port_block *b)
{
    unsigned span = (unsigned)b->high - b->low, whole = whole_size(b);

    if (whole > 0)
        return whole;
    return b->size > span ? b->size : voice_block_size(span, b->seen);
}

static bool fits(const struct port_block *b, uint16_t low, uint16_t high)
{
    unsigned span = (unsigned)(high > b->high ? high : b->high) - (low < b->low ? low : b->low);

    return span < (b->seen < SEEN_MIN ? SPAN_MAX : SPAN_FACTOR * size_of(b));
}

static void add(struct port_block *b, uint16_t port)
{
    if (b->seen == 0)
        b->low = b->high = port;
    b->low = port < b->low ? port : b->low;
    b->high = port > b->high ? port : b->high;
    if (b->seen < SEEN_MAX)
        b->seen++;
}

/* The same port again is not another draw from the block. */
static bool repeated(const struct observation *obs, size_t i)
{
    size_t j;

    for (j = 0; j < i; j++)
        if (obs[j].observed.port == obs[i].observed.port)
            return true;
    return false;
}

static struct port_block seen_in(const struct observation *obs, size_t count)
{
    struct port_block b = {.seen = 0};
    size_t i;

    for (i = 0; i < count; i++)
        if (obs[i].observed.port != 0 && !repeated(obs, i))
            add(&b, obs[i].observed.port);
    return b;
}

void port_block_learn(struct port_block *b, const struct profile *profile,
                      const struct observation *obs, size_t count, tick now)
{
    struct port_block fresh = seen_in(obs, count);
    uint16_t known = b->seen;

    if (profile->nat.allocation != NAT_BLOCK) {
        *b = (struct port_block){.seen = 0};
        return;
    }
    if (fresh.seen == 0 || fresh.high - fresh.low >= (int)SPAN_MAX)
        return;
    fresh.learnt = now;
    fresh.size = profile->block_size;
    if (known > 0 && fits(b, fresh.low, fresh.high)) {
        fresh.low = b->low < fresh.low ? b->low : fresh.low;
        fresh.high = b->high > fresh.high ? b->high : fresh.high;
        fresh.seen = known < SEEN_MAX ? (uint16_t)(known + fresh.seen) : known;
    }
    *b = fresh;
}

bool port_block_known(const struct port_block *b, tick now)
{
    return b->seen >= SEEN_MIN && b->learnt <= now && now - b->learnt < PROFILE_FRESH;
}

bool port_block_holds(const struct port_block *b, uint16_t port)
{
    return b->seen > 0 && fits(b, port, port);
}

void port_block_bounds(const struct port_block *b, uint16_t *low, uint16_t *high)
{
    unsigned span = (unsigned)b->high - b->low + 1, size = size_of(b), beyond;

    *low = b->low;
    *high = b->high;
    if (b->seen < 2 || size <= span || on_any_grid(b, size, low, high))
        return;
    beyond = (size - span) / 2;
    *low = (uint16_t)(b->low > PROFILE_PORT_LOW + beyond ? b->low - beyond
                      : b->low < PROFILE_PORT_LOW        ? b->low
                                                         : PROFILE_PORT_LOW);
    *high = (uint16_t)(b->high + beyond < UINT16_MAX ? b->high + beyond : UINT16_MAX);
}
