/* SPDX-License-Identifier: ISC */
/* The answer to a check as one JSON object. */
#include <inttypes.h>

#include "client-stub/json.h"
#include "client-stub/outlook.h"

/* Thousandths, as the server counts them: no locale can put its comma into the number. */
static void put_drift(struct json *j, uint32_t drift)
{
    json_print(j, ",\"drift\":%" PRIu32 ".%03" PRIu32, drift / 1000, drift % 1000);
}

static void put_block(struct json *j, const struct tryst_nat *n)
{
    unsigned low, high;

    if (tryst_nat_block(n, &low, &high) == 0)
        json_print(j, ",\"block\":[%u,%u]", low, high);
    else
        json_print(j, ",\"block\":null");
}

/* The members of a NAT's object, braces included. */
static void put_nat(struct json *j, const struct tryst_nat *n)
{
    json_print(j, "{\"family\":%d", tryst_nat_family(n));
    json_string_or_null(j, "address", tryst_nat_address(n));
    json_string(j, "words", tryst_nat_words(n));
    json_string(j, "mapping", tryst_nat_mapping(n));
    json_string(j, "filtering", tryst_nat_filtering(n));
    json_string(j, "allocation", tryst_nat_allocation(n));
    json_string(j, "refusal", tryst_nat_refusal(n));
    json_string(j, "pooling", tryst_nat_pooling(n));
    json_print(j, ",\"delta\":%ld", tryst_nat_delta(n));
    json_print(j, ",\"no_simultaneous_open\":%s,\"double\":%s",
               n->summary.features & NAT_FEATURE_NO_SIMULTANEOUS_OPEN ? "true" : "false",
               n->summary.features & NAT_FEATURE_DOUBLE ? "true" : "false");
    put_drift(j, n->summary.drift);
    put_block(j, n);
    json_print(j, ",\"confidence\":%d,\"samples\":%lu}", tryst_nat_confidence(n),
               tryst_nat_samples(n));
}

static void put_prospect(struct json *j, const struct tryst_prospect *p)
{
    json_print(j, "{\"family\":%d", tryst_prospect_family(p));
    json_string(j, "kind", tryst_prospect_kind(p));
    json_string(j, "words", tryst_prospect_words(p));
    json_string(j, "level", tryst_prospect_level(p));
    json_chance(j, "chance", tryst_prospect_chance(p));
    json_chance(j, "birthday_chance", tryst_prospect_birthday(p));
    json_print(j, ",\"code\":%d", tryst_prospect_reason(p));
    json_string(j, "reason", tryst_reason_name(tryst_prospect_reason(p)));
    json_print(j, ",\"nat\":");
    put_nat(j, tryst_prospect_nat(p));
    json_print(j, "}");
}

static void put_peer(struct json *j, const struct tryst_outlook *o)
{
    uint8_t key[TRYST_KEY_SIZE];
    char text[TRYST_KEY_TEXT_SIZE] = "";

    if (tryst_outlook_peer_key(o, key) == 0)
        tryst_key_to_text(key, text);
    json_string_or_null(j, "peer_key", text);
}

int tryst_outlook_json(const struct tryst_outlook *o, char *out, size_t size)
{
    struct json j = json_begin(out, size);

    json_print(&j, "{\"ok\":true");
    put_peer(&j, o);
    json_print(&j, ",\"rounds\":%d,\"birthday\":%s,\"same_address\":%s", o->rounds,
               o->birthday ? "true" : "false", o->same_address ? "true" : "false");
    json_print(&j, ",\"nats\":[");
    for (unsigned i = 0; i < o->nat_count; i++) {
        json_print(&j, i ? "," : "");
        put_nat(&j, &o->nats[i]);
    }
    json_print(&j, "],\"prospects\":[");
    for (unsigned i = 0; i < o->prospect_count; i++) {
        json_print(&j, i ? "," : "");
        put_prospect(&j, &o->prospects[i]);
    }
    json_print(&j, "]}");
    return json_end(&j);
}
