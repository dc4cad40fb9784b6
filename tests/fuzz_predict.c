/* SPDX-License-Identifier: ISC */
#include <math.h>
#include <string.h>

#include "fuzz_bytes.h"
#include "server/predict.h"
#include "server/predict_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PEERS     5
#define BATCH_MAX 12

struct scene {
    struct profile profile;
    struct port_block block;
    struct observation last[BATCH_MAX];
    size_t last_count;
    tick now;
};

static const struct endpoint public_address = {.family = 4, .address = {203, 0, 113, 7}};

/* ---- what may happen ---- */

static struct observation observe(struct scene *s, struct bytes *b, uint8_t step, uint64_t peer)
{
    uint8_t flags = bytes_u8(b);
    struct observation o = {
        .observed = endpoint_with_port(public_address, bytes_u16(b)),
        .local = public_address,
        .server = {.family = 4, .address = {198, 51, 100, flags & 1}, .port = 5000},
        .peer = peer,
        .socket = flags >> 1 & 7,
        .step = flags & 0x10 ? bytes_u8(b) : step,
        .burst = flags & 0x20,
    };

    s->now += o.burst ? 40 * TICK_US : bytes_u8(b) * TICK_MS;
    o.at = flags & 0x40 ? s->now - bytes_u32(b) : s->now;
    o.local.port = flags & 0x80 ? o.observed.port : bytes_u16(b);
    o.local.address[0] = flags & 8 ? 10 : 203;
    o.server.port = (uint16_t)(o.server.port + (flags >> 2 & 3));
    return o;
}

static void learn_batch(struct scene *s, struct bytes *b)
{
    uint8_t head = bytes_u8(b);
    uint64_t peer = head % PEERS;
    size_t i;

    s->last_count = head / PEERS % (BATCH_MAX + 1);
    for (i = 0; i < s->last_count; i++)
        s->last[i] = observe(s, b, (uint8_t)i, peer);
    profile_learn(&s->profile, s->last, s->last_count, s->now);
    port_block_learn(&s->block, &s->profile, s->last, s->last_count, s->now);
}

static void learn_outcome(struct scene *s, struct bytes *b)
{
    uint8_t head = bytes_u8(b);
    struct outcome o = {
        .peer = head % PEERS,
        .other = head / PEERS % 3,
        .met = head & 0x80,
        .port = bytes_u16(b),
        .chance = bytes_unit(b),
    };

    profile_learn_outcome(&s->profile, &o, s->now);
}

/* ---- what must hold ---- */

static void check_profile(const struct profile *p, tick now)
{
    bytes_check(p->nat.mapping <= NAT_APDM && p->nat.allocation <= NAT_RANDOM);
    bytes_check(p->nat.confidence <= 99);
    bytes_check(p->trust >= 0 && p->trust <= 1);
    bytes_check(p->nat.block_low <= p->nat.block_high);
    bytes_check(p->nat.allocation != NAT_COUNTER || p->nat.delta != 0);
    bytes_check(p->low <= p->high);
    bytes_check(p->drift_sum >= 0 && p->drift_sum < 1e7);
    bytes_check(p->drift_seconds >= 0 && isfinite(p->drift_seconds));
    bytes_check(p->weight >= 0 && p->weight < 1e6);
    bytes_check(!profile_fresh(p, now) || p->nat.mapping != NAT_MAPPING_UNKNOWN);
}

static void check_block(const struct port_block *block)
{
    uint16_t low, high;

    port_block_bounds(block, &low, &high);
    bytes_check(low <= high);
    bytes_check(block->seen == 0 || (low <= block->low && high >= block->high));
}

static void check_weights(const struct prediction *p, struct bytes *b)
{
    double sum = 0;
    unsigned i;

    bytes_check(p->confidence >= 0 && p->confidence <= 1);
    bytes_check(p->foreign >= 0 && isfinite(p->foreign));
    bytes_check(p->low <= p->high);
    for (i = 0; i < 8; i++) {
        double weight = prediction_weight(p, 1 + i, bytes_u16(b));

        bytes_check(weight >= 0 && weight <= 1 + 1e-9);
    }
    for (i = 0; i < 4000; i++)
        sum += prediction_foreign_weight(p, i);
    bytes_check(sum >= 0 && sum <= 1 + 1e-6);
    if (p->shape == SHAPE_BLOCK || p->shape == SHAPE_RANDOM)
        bytes_check(prediction_weight(p, 1, p->low) * (p->high - p->low + 1.0) <= 1 + 1e-9);
}

static void predict_for(const struct scene *s, uint64_t peer, struct bytes *b)
{
    uint8_t flags = bytes_u8(b);
    struct profile view = profile_view(&s->profile, peer, s->now);
    struct predict_input in = {
        .profile = &s->profile,
        .public_address = public_address,
        .local = endpoint_with_port(public_address, bytes_u16(b)),
        .anchors = s->last,
        .anchor_count = flags & 1 ? s->last_count : 0,
        .peer = peer,
        .socket = flags >> 1 & 7,
        .at = s->now + bytes_u16(b) * TICK_MS,
    };
    struct prediction p;

    check_profile(&view, s->now);
    if (port_block_known(&s->block, s->now))
        port_block_bounds(&s->block, &in.block_low, &in.block_high);
    in.local.address[0] = flags & 0x10 ? 10 : 203;
    p = predict(&in);
    check_weights(&p, b);
    bytes_check(predict_anchors_needed(&view, &in.local, &public_address) <= 2);
}

/* Whatever peers show and claim, what is made of it stays in range. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes b = {data, size};
    struct scene s = {.now = 100 * TICK_S};

    profile_init(&s.profile);
    while (b.left > 0) {
        uint8_t what = bytes_u8(&b);

        if (what < 0xa0)
            learn_batch(&s, &b);
        else if (what < 0xc0)
            learn_outcome(&s, &b);
        else if (what < 0xe0)
            predict_for(&s, what % PEERS, &b);
        else if (what < 0xf0)
            s.now += bytes_u16(&b) * TICK_S;
        else
            memset(s.profile.voices, 0, sizeof(s.profile.voices)); /* a restart */
        check_profile(&s.profile, s.now);
        check_block(&s.block);
    }
    return 0;
}
