/* SPDX-License-Identifier: ISC */
#include "msg_kind.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "key.h"
#include "msg.h"
#include "peer_kind.h"
#include "reason.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void msg_say(struct msg_line *l, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(l->at, l->left, format, args);
    va_end(args);
    size_t skip = n < 0 ? 0 : (size_t)n < l->left ? (size_t)n : l->left;
    l->at += skip;
    l->left -= skip;
}

/* ---- kinds: how one field is written, read and shown ---- */

static void put_u8(struct wire_writer *w, const void *field, size_t size)
{
    (void)size;
    wire_put_u8(w, *(const uint8_t *)field);
}

static void get_u8(struct wire_reader *r, void *field, size_t size)
{
    (void)size;
    *(uint8_t *)field = wire_get_u8(r);
}

static void show_u8(struct msg_line *l, const void *field, size_t size)
{
    (void)size;
    msg_say(l, "%u", (unsigned)*(const uint8_t *)field);
}

static void show_reason(struct msg_line *l, const void *field, size_t size)
{
    unsigned reason = *(const uint8_t *)field;

    (void)size;
    msg_say(l, "%u(%s)", reason, reason_name(reason));
}

static void put_u16(struct wire_writer *w, const void *field, size_t size)
{
    (void)size;
    wire_put_u16(w, *(const uint16_t *)field);
}

static void get_u16(struct wire_reader *r, void *field, size_t size)
{
    (void)size;
    *(uint16_t *)field = wire_get_u16(r);
}

static void show_u16(struct msg_line *l, const void *field, size_t size)
{
    (void)size;
    msg_say(l, "%u", (unsigned)*(const uint16_t *)field);
}

static void put_u32(struct wire_writer *w, const void *field, size_t size)
{
    (void)size;
    wire_put_u32(w, *(const uint32_t *)field);
}

static void get_u32(struct wire_reader *r, void *field, size_t size)
{
    (void)size;
    *(uint32_t *)field = wire_get_u32(r);
}

static void show_u32(struct msg_line *l, const void *field, size_t size)
{
    (void)size;
    msg_say(l, "%" PRIu32, *(const uint32_t *)field);
}

static void put_i32(struct wire_writer *w, const void *field, size_t size)
{
    (void)size;
    wire_put_u32(w, (uint32_t) * (const int32_t *)field);
}

static void get_i32(struct wire_reader *r, void *field, size_t size)
{
    (void)size;
    *(int32_t *)field = (int32_t)wire_get_u32(r);
}

static void show_i32(struct msg_line *l, const void *field, size_t size)
{
    (void)size;
    msg_say(l, "%" PRId32, *(const int32_t *)field);
}

static void put_i64(struct wire_writer *w, const void *field, size_t size)
{
    (void)size;
    wire_put_u64(w, (uint64_t) * (const int64_t *)field);
}

static void get_i64(struct wire_reader *r, void *field, size_t size)
{
    (void)size;
    *(int64_t *)field = (int64_t)wire_get_u64(r);
}

static void show_i64(struct msg_line *l, const void *field, size_t size)
{
    (void)size;
    msg_say(l, "%" PRId64, *(const int64_t *)field);
}

static void put_bytes(struct wire_writer *w, const void *field, size_t size)
{
    wire_put_bytes(w, field, size);
}

static void get_bytes(struct wire_reader *r, void *field, size_t size)
{
    wire_get_bytes(r, field, size);
}

static void show_bytes(struct msg_line *l, const void *field, size_t size)
{
    const uint8_t *bytes = field;

    for (size_t i = 0; i < size; i++)
        msg_say(l, "%02x", (unsigned)bytes[i]);
}

static void show_secret(struct msg_line *l, const void *field, size_t size)
{
    (void)field;
    (void)size;
    msg_say(l, "(secret)");
}

static void show_key(struct msg_line *l, const void *field, size_t size)
{
    char text[KEY_TEXT_SIZE];

    (void)size;
    msg_say(l, "%s", key_is_zero(field) ? "none" : key_format(field, text));
}

static void put_text(struct wire_writer *w, const void *field, size_t size)
{
    if (memchr(field, '\0', size))
        wire_put_text(w, field);
    else
        w->bad = true;
}

static void get_text(struct wire_reader *r, void *field, size_t size)
{
    wire_get_text(r, field, size);
}

static void show_text(struct msg_line *l, const void *field, size_t size)
{
    const char *text = field;

    msg_say(l, "\"");
    for (size_t i = 0; i < size && text[i]; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f)
            msg_say(l, "\\x%02x", (unsigned)c);
        else
            msg_say(l, "%s%c", c == '"' || c == '\\' ? "\\" : "", c);
    }
    msg_say(l, "\"");
}

static void show_hidden(struct msg_line *l, const void *field, size_t size)
{
    (void)size;
    msg_say(l, "%s", *(const char *)field ? "(secret)" : "\"\"");
}

static void put_endpoint(struct wire_writer *w, const void *field, size_t size)
{
    (void)size;
    wire_put_endpoint(w, field);
}

static void get_endpoint(struct wire_reader *r, void *field, size_t size)
{
    (void)size;
    wire_get_endpoint(r, field);
}

static void show_endpoint(struct msg_line *l, const void *field, size_t size)
{
    char text[ENDPOINT_TEXT_SIZE];

    (void)size;
    msg_say(l, "%s", endpoint_format(field, text));
}

static void put_nat(struct wire_writer *w, const void *field, size_t size)
{
    const struct nat_summary *nat = field;

    (void)size;
    wire_put_u8(w, nat->mapping);
    wire_put_u8(w, nat->filtering);
    wire_put_u8(w, nat->allocation);
    wire_put_u8(w, nat->refusal);
    wire_put_u8(w, nat->pooling);
    wire_put_u8(w, nat->confidence);
    wire_put_u32(w, (uint32_t)nat->delta);
    wire_put_u32(w, nat->drift);
    wire_put_u16(w, nat->block_low);
    wire_put_u16(w, nat->block_high);
    wire_put_u32(w, nat->samples);
    wire_put_u8(w, nat->features);
}

static void get_nat(struct wire_reader *r, void *field, size_t size)
{
    struct nat_summary *nat = field;

    (void)size;
    nat->mapping = wire_get_u8(r);
    nat->filtering = wire_get_u8(r);
    nat->allocation = wire_get_u8(r);
    nat->refusal = wire_get_u8(r);
    nat->pooling = wire_get_u8(r);
    nat->confidence = wire_get_u8(r);
    nat->delta = (int32_t)wire_get_u32(r);
    nat->drift = wire_get_u32(r);
    nat->block_low = wire_get_u16(r);
    nat->block_high = wire_get_u16(r);
    nat->samples = wire_get_u32(r);
    nat->features = wire_get_u8(r);
}

static void show_nat(struct msg_line *l, const void *field, size_t size)
{
    const struct nat_summary *nat = field;

    (void)size;
    msg_say(l,
            "{%s %s %s %s %s %u%% delta %" PRId32 " drift %" PRIu32 " block %u-%u samples %" PRIu32
            " features %u}",
            nat_mapping_name(nat->mapping), nat_filtering_name(nat->filtering),
            nat_allocation_name(nat->allocation), nat_refusal_name(nat->refusal),
            nat_pooling_name(nat->pooling), (unsigned)nat->confidence, nat->delta, nat->drift,
            (unsigned)nat->block_low, (unsigned)nat->block_high, nat->samples,
            (unsigned)nat->features);
}

/* ---- lists: a count of one byte and that many elements ---- */

/* A count beyond the list's own room makes the whole message bad. */
static uint8_t get_count(struct wire_reader *r, size_t most)
{
    uint8_t count = wire_get_u8(r);

    if (count > most) {
        r->bad = true;
        return 0;
    }
    return count;
}

static void put_count(struct wire_writer *w, uint8_t count, size_t most)
{
    if (count > most)
        w->bad = true;
    wire_put_u8(w, count);
}

static void put_endpoints(struct wire_writer *w, const void *field, size_t size)
{
    const struct endpoints *list = field;

    put_count(w, list->count, COUNT(list->at));
    for (size_t i = 0; i < list->count && !w->bad; i++)
        put_endpoint(w, &list->at[i], size);
}

static void get_endpoints(struct wire_reader *r, void *field, size_t size)
{
    struct endpoints *list = field;

    list->count = get_count(r, COUNT(list->at));
    for (size_t i = 0; i < list->count && !r->bad; i++)
        get_endpoint(r, &list->at[i], size);
}

static void show_endpoints(struct msg_line *l, const void *field, size_t size)
{
    const struct endpoints *list = field;

    msg_say(l, "[");
    for (size_t i = 0; i < list->count && i < COUNT(list->at); i++) {
        msg_say(l, "%s", i ? ", " : "");
        show_endpoint(l, &list->at[i], size);
    }
    msg_say(l, "]");
}

static void put_step(struct wire_writer *w, const struct step *step)
{
    wire_put_u16(w, step->socket);
    wire_put_u8(w, step->flags);
    wire_put_u32(w, step->pause_us);
    wire_put_endpoint(w, &step->server);
}

static void get_step(struct wire_reader *r, struct step *step)
{
    step->socket = wire_get_u16(r);
    step->flags = wire_get_u8(r);
    step->pause_us = wire_get_u32(r);
    wire_get_endpoint(r, &step->server);
}

static void show_step(struct msg_line *l, const struct step *step)
{
    char text[ENDPOINT_TEXT_SIZE];

    msg_say(l, "socket %u to %s after %" PRIu32 "us%s%s%s", (unsigned)step->socket,
            endpoint_format(&step->server, text), step->pause_us,
            step->flags & STEP_BURST ? " burst" : "", step->flags & STEP_KEEP ? " keep" : "",
            step->flags & STEP_LISTEN ? " listen" : "");
}

static void put_steps(struct wire_writer *w, const void *field, size_t size)
{
    const struct steps *list = field;

    (void)size;
    put_count(w, list->count, COUNT(list->at));
    for (size_t i = 0; i < list->count && !w->bad; i++)
        put_step(w, &list->at[i]);
}

static void get_steps(struct wire_reader *r, void *field, size_t size)
{
    struct steps *list = field;

    (void)size;
    list->count = get_count(r, COUNT(list->at));
    for (size_t i = 0; i < list->count && !r->bad; i++)
        get_step(r, &list->at[i]);
}

static void show_steps(struct msg_line *l, const void *field, size_t size)
{
    const struct steps *list = field;

    (void)size;
    msg_say(l, "[");
    for (size_t i = 0; i < list->count && i < COUNT(list->at); i++) {
        msg_say(l, "%s", i ? ", " : "");
        show_step(l, &list->at[i]);
    }
    msg_say(l, "]");
}

static void put_volley(struct wire_writer *w, const struct volley *v)
{
    wire_put_u16(w, v->socket);
    wire_put_u16(w, (uint16_t)v->socket_step);
    wire_put_endpoint(w, &v->remote);
    wire_put_u16(w, (uint16_t)v->port_step);
    wire_put_u16(w, v->count);
    wire_put_u32(w, (uint32_t)v->offset_us);
    wire_put_u32(w, v->spacing_us);
}

static void get_volley(struct wire_reader *r, struct volley *v)
{
    v->socket = wire_get_u16(r);
    v->socket_step = (int16_t)wire_get_u16(r);
    wire_get_endpoint(r, &v->remote);
    v->port_step = (int16_t)wire_get_u16(r);
    v->count = wire_get_u16(r);
    v->offset_us = (int32_t)wire_get_u32(r);
    v->spacing_us = wire_get_u32(r);
}

static void show_volley(struct msg_line *l, const struct volley *v)
{
    char text[ENDPOINT_TEXT_SIZE];

    msg_say(l, "%u from socket %u%+d to %s%+d at %+" PRId32 "us every %" PRIu32 "us",
            (unsigned)v->count, (unsigned)v->socket, v->socket_step,
            endpoint_format(&v->remote, text), v->port_step, v->offset_us, v->spacing_us);
}

static void put_volleys(struct wire_writer *w, const void *field, size_t size)
{
    const struct volleys *list = field;

    (void)size;
    put_count(w, list->count, COUNT(list->at));
    for (size_t i = 0; i < list->count && !w->bad; i++)
        put_volley(w, &list->at[i]);
}

static void get_volleys(struct wire_reader *r, void *field, size_t size)
{
    struct volleys *list = field;

    (void)size;
    list->count = get_count(r, COUNT(list->at));
    for (size_t i = 0; i < list->count && !r->bad; i++)
        get_volley(r, &list->at[i]);
}

static void show_volleys(struct msg_line *l, const void *field, size_t size)
{
    const struct volleys *list = field;

    (void)size;
    msg_say(l, "[");
    for (size_t i = 0; i < list->count && i < COUNT(list->at); i++) {
        msg_say(l, "%s", i ? ", " : "");
        show_volley(l, &list->at[i]);
    }
    msg_say(l, "]");
}

static void put_nats(struct wire_writer *w, const void *field, size_t size)
{
    const struct nats *list = field;

    (void)size;
    put_count(w, list->count, COUNT(list->at));
    for (size_t i = 0; i < list->count && !w->bad; i++) {
        wire_put_endpoint(w, &list->at[i].address);
        put_nat(w, &list->at[i].nat, sizeof(list->at[i].nat));
    }
}

static void get_nats(struct wire_reader *r, void *field, size_t size)
{
    struct nats *list = field;

    (void)size;
    list->count = get_count(r, COUNT(list->at));
    for (size_t i = 0; i < list->count && !r->bad; i++) {
        wire_get_endpoint(r, &list->at[i].address);
        get_nat(r, &list->at[i].nat, sizeof(list->at[i].nat));
    }
}

static void show_nats(struct msg_line *l, const void *field, size_t size)
{
    const struct nats *list = field;
    char text[ENDPOINT_TEXT_SIZE];

    (void)size;
    msg_say(l, "[");
    for (size_t i = 0; i < list->count && i < COUNT(list->at); i++) {
        msg_say(l, "%s%s ", i ? ", " : "", endpoint_format_address(&list->at[i].address, text));
        show_nat(l, &list->at[i].nat, sizeof(list->at[i].nat));
    }
    msg_say(l, "]");
}

static void put_prospect(struct wire_writer *w, const struct prospect *p)
{
    wire_put_u8(w, p->kind);
    wire_put_u8(w, p->family);
    wire_put_u8(w, p->reason);
    wire_put_u32(w, p->chance);
    wire_put_u32(w, p->birthday);
    put_nat(w, &p->nat, sizeof(p->nat));
}

static void get_prospect(struct wire_reader *r, struct prospect *p)
{
    p->kind = wire_get_u8(r);
    p->family = wire_get_u8(r);
    p->reason = wire_get_u8(r);
    p->chance = wire_get_u32(r);
    p->birthday = wire_get_u32(r);
    get_nat(r, &p->nat, sizeof(p->nat));
}

static void show_prospect(struct msg_line *l, const struct prospect *p)
{
    msg_say(l, "%s %s family %u chance %" PRIu32 " birthday %" PRIu32 " ", peer_kind_name(p->kind),
            reason_name(p->reason), (unsigned)p->family, p->chance, p->birthday);
    show_nat(l, &p->nat, sizeof(p->nat));
}

static void put_prospects(struct wire_writer *w, const void *field, size_t size)
{
    const struct prospects *list = field;

    (void)size;
    put_count(w, list->count, COUNT(list->at));
    for (size_t i = 0; i < list->count && !w->bad; i++)
        put_prospect(w, &list->at[i]);
}

static void get_prospects(struct wire_reader *r, void *field, size_t size)
{
    struct prospects *list = field;

    (void)size;
    list->count = get_count(r, COUNT(list->at));
    for (size_t i = 0; i < list->count && !r->bad; i++)
        get_prospect(r, &list->at[i]);
}

static void show_prospects(struct msg_line *l, const void *field, size_t size)
{
    const struct prospects *list = field;

    (void)size;
    msg_say(l, "[");
    for (size_t i = 0; i < list->count && i < COUNT(list->at); i++) {
        msg_say(l, "%s", i ? ", " : "");
        show_prospect(l, &list->at[i]);
    }
    msg_say(l, "]");
}

/* ---- the table ---- */

const struct msg_kind msg_kind_U8 = {put_u8, get_u8, show_u8};
const struct msg_kind msg_kind_REASON = {put_u8, get_u8, show_reason};
const struct msg_kind msg_kind_U16 = {put_u16, get_u16, show_u16};
const struct msg_kind msg_kind_U32 = {put_u32, get_u32, show_u32};
const struct msg_kind msg_kind_I32 = {put_i32, get_i32, show_i32};
const struct msg_kind msg_kind_I64 = {put_i64, get_i64, show_i64};
const struct msg_kind msg_kind_KEY = {put_bytes, get_bytes, show_key};
const struct msg_kind msg_kind_ID = {put_bytes, get_bytes, show_bytes};
const struct msg_kind msg_kind_SECRET = {put_bytes, get_bytes, show_secret};
const struct msg_kind msg_kind_TAG = {put_bytes, get_bytes, show_bytes};
const struct msg_kind msg_kind_TEXT = {put_text, get_text, show_text};
const struct msg_kind msg_kind_HIDDEN = {put_text, get_text, show_hidden};
const struct msg_kind msg_kind_ENDPOINT = {put_endpoint, get_endpoint, show_endpoint};
const struct msg_kind msg_kind_NAT = {put_nat, get_nat, show_nat};
const struct msg_kind msg_kind_ENDPOINTS = {put_endpoints, get_endpoints, show_endpoints};
const struct msg_kind msg_kind_STEPS = {put_steps, get_steps, show_steps};
const struct msg_kind msg_kind_VOLLEYS = {put_volleys, get_volleys, show_volleys};
const struct msg_kind msg_kind_NATS = {put_nats, get_nats, show_nats};
const struct msg_kind msg_kind_PROSPECTS = {put_prospects, get_prospects, show_prospects};
