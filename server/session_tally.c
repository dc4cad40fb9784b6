/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "session_tally.h"

static enum nat_class class_of_allocation(unsigned allocation)
{
    switch (allocation) {
    case NAT_PRESERVE:
        return NAT_CLASS_PRESERVE;
    case NAT_OFFSET:
        return NAT_CLASS_OFFSET;
    case NAT_COUNTER:
        return NAT_CLASS_COUNTER;
    case NAT_BLOCK:
        return NAT_CLASS_BLOCK;
    case NAT_RANDOM:
        return NAT_CLASS_RANDOM;
    default:
        return NAT_CLASS_UNKNOWN;
    }
}

enum nat_class nat_class(const struct nat_summary *nat)
{
    switch (nat->mapping) {
    case NAT_MAPPING_NONE:
        return NAT_CLASS_NONE;
    case NAT_EIM:
        return NAT_CLASS_EIM;
    case NAT_ADM:
    case NAT_APDM:
        return class_of_allocation(nat->allocation);
    default:
        return NAT_CLASS_UNKNOWN;
    }
}

const char *nat_class_name(enum nat_class c)
{
    switch (c) {
    case NAT_CLASS_NONE:
        return nat_mapping_name(NAT_MAPPING_NONE);
    case NAT_CLASS_EIM:
        return nat_mapping_name(NAT_EIM);
    case NAT_CLASS_PRESERVE:
        return nat_allocation_name(NAT_PRESERVE);
    case NAT_CLASS_OFFSET:
        return nat_allocation_name(NAT_OFFSET);
    case NAT_CLASS_COUNTER:
        return nat_allocation_name(NAT_COUNTER);
    case NAT_CLASS_BLOCK:
        return nat_allocation_name(NAT_BLOCK);
    case NAT_CLASS_RANDOM:
        return nat_allocation_name(NAT_RANDOM);
    default:
        return nat_mapping_name(NAT_MAPPING_UNKNOWN);
    }
}

/* A triangle, row by row: the row of the higher class has one place per class up to itself. */
unsigned nat_pair(enum nat_class a, enum nat_class b)
{
    unsigned low = a < b ? a : b, high = a < b ? b : a;
    return high * (high + 1) / 2 + low;
}

void nat_pair_classes(unsigned pair, enum nat_class *a, enum nat_class *b)
{
    unsigned high = 0;
    while ((high + 1) * (high + 2) / 2 <= pair)
        high++;
    *a = (enum nat_class)(pair - high * (high + 1) / 2);
    *b = (enum nat_class)high;
}

void session_tally_end(struct session_tally *t, const struct session_ended *s)
{
    bool connected = s->reason == REASON_OK;
    t->ended[s->reason % SESSION_TALLY_REASONS]++;
    t->pairs[nat_pair(nat_class(&s->nat[0]), nat_class(&s->nat[1]))][connected]++;
    t->families[s->families % SESSION_TALLY_FAMILIES][connected]++;
    t->syns += s->syns;
    if (connected)
        histogram_observe(&t->connect, s->took);
}

void session_tally_skew(struct session_tally *t, tick skew)
{
    histogram_observe(&t->skew, skew < 0 ? -skew : skew);
}

void session_tally_refuse(struct session_tally *t, enum reason reason)
{
    t->refused[reason % SESSION_TALLY_REASONS]++;
}
