/* SPDX-License-Identifier: ISC */
#include "msg.h"

#include <sodium.h>
#include <string.h>

#include "msg_kind.h"
#include "wire.h"

/*
 * msg.def becomes two tables, one of messages and one of the fields of each; three walks over them
 * (encode, decode, describe) hand every field to the functions of its kind. No message has code of
 * its own.
 */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct field {
    const struct msg_kind *kind;
    const char *name;
    size_t offset;
    size_t size;
};

/* clang-format off */
/* One function per message, only because a function gives `self` a scope. */
#define MESSAGE(type, NAME, name)                         \
    static const struct field *fields_of_##name(void)     \
    {                                                     \
        typedef struct msg_##name self;                   \
        static const struct field list[] = {
#define FIELD(KIND, name)                                 \
            { &msg_kind_##KIND, #name, offsetof(self, name), sizeof(((self *)0)->name) },
#define END(name)                                         \
            { NULL, NULL, 0, 0 } };                       \
        return list;                                      \
    }
#include "msg.def"
#undef MESSAGE
#undef FIELD
#undef END

struct message {
    const char *name;
    const struct field *(*fields)(void);
};

static const struct message messages[] = {
#define MESSAGE(type, NAME, name) [type] = { #NAME, fields_of_##name },
#define FIELD(KIND, name)
#define END(name)
#include "msg.def"
#undef MESSAGE
#undef FIELD
#undef END
};
/* clang-format on */

static const struct message *find_message(unsigned type)
{
    return type < COUNT(messages) && messages[type].name ? &messages[type] : NULL;
}

/* All members of the union begin at the same place. */
static const uint8_t *body_of(const struct msg *m)
{
    return (const uint8_t *)m + offsetof(struct msg, register_);
}

/* ---- the walks ---- */

/* Type byte and fields, up to but without the field called `end`, if not NULL. */
static int encode_until(const struct msg *m, const char *end, uint8_t *out, size_t size)
{
    struct wire_writer w = wire_writer(out, size);
    const struct message *message = find_message(m->type);

    if (!message)
        return -1;
    wire_put_u8(&w, m->type);
    for (const struct field *f = message->fields(); f->kind && (!end || strcmp(f->name, end) != 0);
         f++)
        f->kind->put(&w, body_of(m) + f->offset, f->size);
    return w.bad ? -1 : (int)(size - w.left);
}

int msg_encode(const struct msg *m, uint8_t *out, size_t size)
{
    return encode_until(m, NULL, out, size);
}

int msg_decode(const uint8_t *in, size_t len, struct msg *m)
{
    struct wire_reader r = wire_reader(in, len);

    memset(m, 0, sizeof(*m));
    m->type = wire_get_u8(&r);
    if (r.bad)
        return MSG_MALFORMED;
    const struct message *message = find_message(m->type);
    if (!message)
        return MSG_UNKNOWN_TYPE;
    uint8_t *body = (uint8_t *)m + offsetof(struct msg, register_);
    for (const struct field *f = message->fields(); f->kind && r.left > 0 && !r.bad; f++)
        f->kind->get(&r, body + f->offset, f->size);
    if (!r.bad)
        return 0;
    /* Half of a message is of no use to anybody, and might be used all the same. */
    uint8_t type = m->type;
    memset(m, 0, sizeof(*m));
    m->type = type;
    return MSG_MALFORMED;
}

const char *msg_name(unsigned type)
{
    const struct message *message = find_message(type);

    return message ? message->name : "?";
}

const char *msg_describe(const struct msg *m, char *out, size_t size)
{
    struct msg_line l = {out, size};
    const struct message *message = find_message(m->type);

    if (size > 0)
        out[0] = '\0';
    if (!message) {
        msg_say(&l, "? type=%u", (unsigned)m->type);
        return out;
    }
    msg_say(&l, "%s", message->name);
    for (const struct field *f = message->fields(); f->kind; f++) {
        msg_say(&l, " %s=", f->name);
        f->kind->show(&l, body_of(m) + f->offset, f->size);
    }
    return out;
}

/* ---- tags ---- */

static int compute_tag(const struct msg *m, const uint8_t secret[MSG_SECRET_SIZE],
                       uint8_t tag[MSG_TAG_SIZE])
{
    uint8_t encoded[128], hash[32];

    if (m->type != MSG_OBSERVE && m->type != MSG_OBSERVED)
        return -1;
    int len = encode_until(m, "tag", encoded, sizeof(encoded));
    if (len < 0)
        return -1;
    size_t tagged = (size_t)len;
    crypto_generichash(hash, sizeof(hash), encoded, tagged, secret, MSG_SECRET_SIZE);
    memcpy(tag, hash, MSG_TAG_SIZE);
    sodium_memzero(hash, sizeof(hash));
    return 0;
}

int msg_tag(struct msg *m, const uint8_t secret[MSG_SECRET_SIZE])
{
    return compute_tag(m, secret, m->type == MSG_OBSERVE ? m->observe_.tag : m->observed_.tag);
}

int msg_tag_verify(const struct msg *m, const uint8_t secret[MSG_SECRET_SIZE])
{
    uint8_t tag[MSG_TAG_SIZE];

    if (compute_tag(m, secret, tag))
        return -1;
    int result = sodium_memcmp(tag, m->type == MSG_OBSERVE ? m->observe_.tag : m->observed_.tag,
                               sizeof(tag));
    sodium_memzero(tag, sizeof(tag));
    return result == 0 ? 0 : -1;
}

struct syn volley_syn(const struct volley *v, unsigned i)
{
    struct syn syn;

    /* Modulo 2^16, both: that is what unsigned arithmetic cut to 16 bits gives. */
    syn.socket = (uint16_t)(v->socket + i * (unsigned)v->socket_step);
    syn.remote =
        endpoint_with_port(v->remote, (uint16_t)(v->remote.port + i * (unsigned)v->port_step));
    syn.offset = ((tick)v->offset_us + (tick)i * (tick)v->spacing_us) * TICK_US;
    return syn;
}
