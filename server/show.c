/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "show.h"

#include <stdlib.h>
#include <string.h>

#include "proto/reason.h"
#include "span.h"

/* Replaces what jansson refuses: it takes UTF-8 only. */
static json_t *show_mended(const char *text)
{
    static const char mark[] = "\xef\xbf\xbd"; /* U+FFFD */
    size_t len = strlen(text);
    char *out = malloc(len * 3 + 1);
    size_t at = 0;

    if (!out)
        return NULL;
    for (; *text; text++) {
        if ((unsigned char)*text < 0x80) {
            out[at++] = *text;
            continue;
        }
        memcpy(out + at, mark, 3);
        at += 3;
    }
    out[at] = '\0';
    json_t *v = json_string(out);
    free(out);
    return v;
}

json_t *show_text(const char *text)
{
    json_t *v = json_string(text);

    return v ? v : show_mended(text);
}

json_t *show_label(const char *text)
{
    return *text ? show_text(text) : json_null();
}

json_t *show_names(const char *names)
{
    json_t *list = json_array();

    while (*names) {
        size_t len = strcspn(names, ",");
        json_array_append_new(list, json_stringn(names, len));
        names += len + strspn(names + len, ", ");
    }
    return list;
}

json_t *show_key(const uint8_t key[KEY_SIZE])
{
    char text[KEY_TEXT_SIZE];

    return json_string(key_format(key, text));
}

json_t *show_hex(const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * 64 + 1];
    size_t at = 0;

    for (size_t i = 0; i < size && at + 2 < sizeof(text); i++) {
        text[at++] = digits[bytes[i] >> 4];
        text[at++] = digits[bytes[i] & 15];
    }
    return json_stringn(text, at);
}

json_t *show_stamp(int64_t us)
{
    char text[MOMENT_TEXT_SIZE];

    return us > 0 ? show_label(moment_format(us, text)) : json_null();
}

json_t *show_endpoint(const struct endpoint *e)
{
    char text[ENDPOINT_TEXT_SIZE];

    return endpoint_is_none(e) ? json_null() : json_string(endpoint_format(e, text));
}

json_t *show_address(const struct endpoint *e)
{
    char text[ENDPOINT_TEXT_SIZE];

    return endpoint_is_none(e) ? json_null() : json_string(endpoint_format_address(e, text));
}

json_t *show_number(int64_t n)
{
    return n < 0 ? json_null() : json_integer(n);
}

json_t *show_nat(const struct nat_summary *nat)
{
    json_t *o = json_object(), *block = json_null();
    char text[256];

    if (nat->block_high > 0)
        block = json_pack("[i,i]", nat->block_low, nat->block_high);
    json_object_set_new(o, "mapping", show_text(nat_mapping_name(nat->mapping)));
    json_object_set_new(o, "filtering", show_text(nat_filtering_name(nat->filtering)));
    json_object_set_new(o, "allocation", show_text(nat_allocation_name(nat->allocation)));
    json_object_set_new(o, "refusal", show_text(nat_refusal_name(nat->refusal)));
    json_object_set_new(o, "pooling", show_text(nat_pooling_name(nat->pooling)));
    json_object_set_new(o, "confidence", json_integer(nat->confidence));
    json_object_set_new(o, "delta", json_integer(nat->delta));
    json_object_set_new(o, "drift_per_second", json_real((double)nat->drift / 1000));
    json_object_set_new(o, "block", block);
    json_object_set_new(o, "samples", show_number(nat->samples));
    json_object_set_new(o, "no_simultaneous_open",
                        json_boolean(nat->features & NAT_FEATURE_NO_SIMULTANEOUS_OPEN));
    json_object_set_new(o, "double", json_boolean(nat->features & NAT_FEATURE_DOUBLE));
    json_object_set_new(o, "summary", show_text(nat_describe(nat, text, sizeof(text))));
    return o;
}

json_t *show_reason(unsigned reason)
{
    json_t *o = json_object();

    json_object_set_new(o, "number", show_number(reason));
    json_object_set_new(o, "name", show_text(reason_name(reason)));
    json_object_set_new(o, "text", show_text(reason_text(reason)));
    json_object_set_new(o, "advice", show_text(reason_advice(reason)));
    return o;
}
