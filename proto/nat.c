/* SPDX-License-Identifier: ISC */
#include "nat.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const mapping_names[] = {"unknown", "none", "eim", "adm", "apdm"};
static const char *const filtering_names[] = {"unknown", "eif", "adf", "apdf"};
static const char *const allocation_names[] = {"unknown", "preserve", "offset",
                                               "counter", "block",    "random"};
static const char *const refusal_names[] = {"unknown", "silence", "rst", "icmp"};
static const char *const pooling_names[] = {"unknown", "paired", "arbitrary"};
static const char *const shape_names[] = {"none", "fixed", "shared", "counter", "block", "random"};

const char *nat_mapping_name(unsigned v)
{
    return v < COUNT(mapping_names) ? mapping_names[v] : "unknown";
}

const char *nat_filtering_name(unsigned v)
{
    return v < COUNT(filtering_names) ? filtering_names[v] : "unknown";
}

const char *nat_allocation_name(unsigned v)
{
    return v < COUNT(allocation_names) ? allocation_names[v] : "unknown";
}

const char *nat_refusal_name(unsigned v)
{
    return v < COUNT(refusal_names) ? refusal_names[v] : "unknown";
}

const char *nat_pooling_name(unsigned v)
{
    return v < COUNT(pooling_names) ? pooling_names[v] : "unknown";
}

const char *nat_shape_name(unsigned v)
{
    return v < COUNT(shape_names) ? shape_names[v] : "unknown";
}

struct line {
    char *at;
    size_t left;
    const char *comma;
};

__attribute__((format(printf, 2, 3))) static void clause(struct line *l, const char *format, ...)
{
    va_list args;
    int comma = snprintf(l->at, l->left, "%s", l->comma);
    size_t skip = (size_t)comma < l->left ? (size_t)comma : l->left;

    l->at += skip;
    l->left -= skip;
    l->comma = ", ";
    va_start(args, format);
    int n = vsnprintf(l->at, l->left, format, args);
    va_end(args);
    if (n < 0)
        return;
    skip = (size_t)n < l->left ? (size_t)n : l->left;
    l->at += skip;
    l->left -= skip;
}

static void describe_mapping(struct line *l, const struct nat_summary *nat)
{
    static const char *const words[] = {
        [NAT_EIM] = "endpoint-independent mapping",
        [NAT_ADM] = "a mapping per remote address",
        [NAT_APDM] = "a mapping per remote address and port",
    };

    if (nat->mapping < COUNT(words) && words[nat->mapping])
        clause(l, "%s", words[nat->mapping]);
    else
        clause(l, "mapping unknown");
}

static void describe_allocation(struct line *l, const struct nat_summary *nat)
{
    switch (nat->allocation) {
    case NAT_PRESERVE:
        clause(l, "keeps ports");
        break;
    case NAT_OFFSET:
        clause(l, "public port is the local one %+" PRId32, nat->delta);
        break;
    case NAT_COUNTER:
        clause(l, "counts ports by %+" PRId32, nat->delta);
        if (nat->drift > 0)
            clause(l, "others take %" PRIu32 ".%" PRIu32 " ports/s", nat->drift / 1000,
                   nat->drift % 1000 / 100);
        break;
    case NAT_BLOCK:
        clause(l, "random ports in %u-%u", (unsigned)nat->block_low, (unsigned)nat->block_high);
        break;
    case NAT_RANDOM:
        clause(l, "random ports");
        break;
    default:
        break;
    }
}

static void describe_filtering(struct line *l, const struct nat_summary *nat)
{
    static const char *const filtering[] = {
        [NAT_EIF] = "lets anyone in at a mapped port",
        [NAT_ADF] = "lets known addresses in",
        [NAT_APDF] = "lets only known endpoints in",
    };
    static const char *const refusal[] = {
        [NAT_SILENCE] = "drops stray SYNs",
        [NAT_RST] = "resets stray SYNs",
        [NAT_ICMP] = "answers stray SYNs with ICMP",
    };

    if (nat->filtering < COUNT(filtering) && filtering[nat->filtering])
        clause(l, "%s", filtering[nat->filtering]);
    if (nat->refusal < COUNT(refusal) && refusal[nat->refusal])
        clause(l, "%s", refusal[nat->refusal]);
}

const char *nat_describe(const struct nat_summary *nat, char *out, unsigned long size)
{
    struct line l = {.at = out, .left = size, .comma = ""};

    if (size > 0)
        out[0] = '\0';
    if (nat->mapping == NAT_MAPPING_NONE) {
        clause(&l, "no NAT");
    } else {
        describe_mapping(&l, nat);
        describe_allocation(&l, nat);
    }
    describe_filtering(&l, nat);
    if (nat->pooling == NAT_ARBITRARY)
        clause(&l, "changes its public address");
    if (nat->features & NAT_FEATURE_NO_SIMULTANEOUS_OPEN)
        clause(&l, "refuses simultaneous open");
    if (nat->features & NAT_FEATURE_DOUBLE)
        clause(&l, "has another NAT behind it");
    return out;
}
