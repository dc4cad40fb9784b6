/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/msg.h"
#include "proto/rng.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BUFFER       (FRAME_PLAIN_MAX + 100)
#define DESCRIPTION  16384

/* Printed when a property fails, so that the same messages can be made again. */
static uint64_t seed;
static struct rng_seeded seeded;
static struct rng rng;

/* ---- one message after another, from the same table as the code ---- */

enum fullness { EMPTY, SOME, FULL };

/* How much of a list or text of at most `most` this message gets. */
static uint32_t amount(enum fullness how, uint32_t most)
{
    return how == EMPTY ? 0 : how == FULL ? most : rng_below(&rng, most + 1);
}

static struct endpoint random_endpoint(enum fullness how)
{
    static const uint8_t families[] = {0, 4, 6};
    struct endpoint e;

    memset(&e, 0, sizeof(e));
    e.family = how == EMPTY ? 0 : how == FULL ? 6 : families[rng_below(&rng, 3)];
    rng_fill(&rng, e.address, e.family == 4 ? 4 : e.family == 6 ? 16 : 0);
    if (e.family)
        rng_fill(&rng, &e.port, sizeof(e.port));
    return e;
}

static void random_bytes(void *field, size_t size, enum fullness how)
{
    if (how != EMPTY)
        rng_fill(&rng, field, size);
}

static void random_text(void *field, size_t size, enum fullness how)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz \"\\0123456789";
    char *text = field;
    uint32_t len = amount(how, (uint32_t)size - 1);

    for (uint32_t i = 0; i < len; i++)
        text[i] = alphabet[rng_below(&rng, sizeof(alphabet) - 1)];
}

static void random_one_endpoint(void *field, size_t size, enum fullness how)
{
    struct endpoint e = random_endpoint(how);

    memcpy(field, &e, size);
}

static void random_endpoints(void *field, size_t size, enum fullness how)
{
    struct endpoints *list = field;

    (void)size;
    list->count = (uint8_t)amount(how, MSG_ENDPOINTS_MAX);
    for (size_t i = 0; i < list->count; i++)
        list->at[i] = random_endpoint(how);
}

static void random_steps(void *field, size_t size, enum fullness how)
{
    struct steps *list = field;

    (void)size;
    list->count = (uint8_t)amount(how, MSG_STEPS_MAX);
    for (size_t i = 0; i < list->count; i++) {
        rng_fill(&rng, &list->at[i], offsetof(struct step, server));
        list->at[i].server = random_endpoint(how);
    }
}

static void random_volleys(void *field, size_t size, enum fullness how)
{
    struct volleys *list = field;

    (void)size;
    list->count = (uint8_t)amount(how, MSG_VOLLEYS_MAX);
    for (size_t i = 0; i < list->count; i++) {
        rng_fill(&rng, &list->at[i], sizeof(list->at[i]));
        list->at[i].remote = random_endpoint(how);
    }
}

static void random_nats(void *field, size_t size, enum fullness how)
{
    struct nats *list = field;

    (void)size;
    list->count = (uint8_t)amount(how, MSG_NATS_MAX);
    for (size_t i = 0; i < list->count; i++) {
        list->at[i].address = random_endpoint(how);
        rng_fill(&rng, &list->at[i].nat, sizeof(list->at[i].nat));
    }
}

static void random_prospects(void *field, size_t size, enum fullness how)
{
    struct prospects *list = field;

    (void)size;
    list->count = (uint8_t)amount(how, MSG_PROSPECTS_MAX);
    for (size_t i = 0; i < list->count; i++)
        rng_fill(&rng, &list->at[i], sizeof(list->at[i]));
}

static size_t wire_bytes(const void *field, size_t size)
{
    (void)field;
    return size;
}

static size_t wire_text(const void *field, size_t size)
{
    (void)size;
    return 1 + strlen(field);
}

static size_t wire_endpoint(const void *field, size_t size)
{
    uint8_t family = ((const struct endpoint *)field)->family;

    (void)size;
    return family == 6 ? 19 : family == 4 ? 7 : 1;
}

static size_t wire_nat(const void *field, size_t size)
{
    (void)field;
    (void)size;
    return 23;
}

static size_t wire_endpoints(const void *field, size_t size)
{
    const struct endpoints *list = field;
    size_t sum = 1;

    for (size_t i = 0; i < list->count; i++)
        sum += wire_endpoint(&list->at[i], size);
    return sum;
}

static size_t wire_steps(const void *field, size_t size)
{
    const struct steps *list = field;
    size_t sum = 1;

    for (size_t i = 0; i < list->count; i++)
        sum += 7 + wire_endpoint(&list->at[i].server, size);
    return sum;
}

static size_t wire_volleys(const void *field, size_t size)
{
    const struct volleys *list = field;
    size_t sum = 1;

    for (size_t i = 0; i < list->count; i++)
        sum += 16 + wire_endpoint(&list->at[i].remote, size);
    return sum;
}

static size_t wire_nats(const void *field, size_t size)
{
    const struct nats *list = field;
    size_t sum = 1;

    for (size_t i = 0; i < list->count; i++)
        sum += wire_endpoint(&list->at[i].address, size) + wire_nat(&list->at[i].nat, size);
    return sum;
}

static size_t wire_prospects(const void *field, size_t size)
{
    const struct prospects *list = field;
    size_t sum = 1;

    for (size_t i = 0; i < list->count; i++)
        sum += 11 + wire_nat(&list->at[i].nat, size);
    return sum;
}

struct kind {
    void (*random)(void *field, size_t size, enum fullness how);
    size_t (*wire)(const void *field, size_t size);
};

static const struct kind kind_bytes = {random_bytes, wire_bytes};
static const struct kind kind_text = {random_text, wire_text};
static const struct kind kind_ENDPOINT = {random_one_endpoint, wire_endpoint};
static const struct kind kind_NAT = {random_bytes, wire_nat};
static const struct kind kind_ENDPOINTS = {random_endpoints, wire_endpoints};
static const struct kind kind_STEPS = {random_steps, wire_steps};
static const struct kind kind_VOLLEYS = {random_volleys, wire_volleys};
static const struct kind kind_NATS = {random_nats, wire_nats};
static const struct kind kind_PROSPECTS = {random_prospects, wire_prospects};
#define kind_U8     kind_bytes
#define kind_REASON kind_bytes
#define kind_U16    kind_bytes
#define kind_U32    kind_bytes
#define kind_I32    kind_bytes
#define kind_I64    kind_bytes
#define kind_KEY    kind_bytes
#define kind_ID     kind_bytes
#define kind_SECRET kind_bytes
#define kind_TAG    kind_bytes
#define kind_TEXT   kind_text
#define kind_HIDDEN kind_text

struct field {
    const struct kind *kind;
    size_t offset, size;
};

/* clang-format off */
#define MESSAGE(type, NAME, name)                       \
    static const struct field *fields_of_##name(void)   \
    {                                                   \
        typedef struct msg_##name self;                 \
        static const struct field list[] = {
#define FIELD(KIND, name)                               \
            { &kind_##KIND, offsetof(self, name), sizeof(((self *)0)->name) },
#define END(name)                                       \
            { NULL, 0, 0 } };                           \
        return list;                                    \
    }
#include "proto/msg.def"
#undef MESSAGE
#undef FIELD
#undef END

static const struct {
    uint8_t type;
    const char *name;
    const struct field *(*fields)(void);
} messages[] = {
#define MESSAGE(type, NAME, name) { type, #NAME, fields_of_##name },
#define FIELD(KIND, name)
#define END(name)
#include "proto/msg.def"
#undef MESSAGE
#undef FIELD
#undef END
};
/* clang-format on */

static uint8_t *body(struct msg *m)
{
    return (uint8_t *)m + offsetof(struct msg, register_);
}

static void make(struct msg *m, size_t which, enum fullness how)
{
    memset(m, 0, sizeof(*m));
    m->type = messages[which].type;
    for (const struct field *f = messages[which].fields(); f->kind; f++)
        f->kind->random(body(m) + f->offset, f->size, how);
}

static int setup(void **state)
{
    (void)state;
    rng = rng_from_seed(&seeded, seed);
    return 0;
}

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("seed %llu: ", (unsigned long long)seed);                                  \
            fail_msg(__VA_ARGS__);                                                                 \
        }                                                                                          \
    } while (0)

/* ---- properties of every message ---- */

static void test_round_trip(void **state)
{
    static char before[DESCRIPTION], after[DESCRIPTION];
    struct msg m, back;
    uint8_t wire[BUFFER], again[BUFFER];

    (void)state;
    for (size_t which = 0; which < COUNT(messages); which++)
        for (int i = 0; i < 200; i++) {
            make(&m, which, i == 0 ? EMPTY : i == 1 ? FULL : SOME);
            int len = msg_encode(&m, wire, sizeof(wire));
            CHECK(len > 0 && len <= FRAME_PLAIN_MAX, "%s: %d", messages[which].name, len);
            CHECK(msg_decode(wire, (size_t)len, &back) == 0, "%s", messages[which].name);
            CHECK(msg_encode(&back, again, sizeof(again)) == len, "%s", messages[which].name);
            CHECK(memcmp(wire, again, (size_t)len) == 0, "%s", messages[which].name);
            msg_describe(&m, before, sizeof(before));
            msg_describe(&back, after, sizeof(after));
            CHECK(strcmp(before, after) == 0, "%s", messages[which].name);
        }
}

static void test_room(void **state)
{
    struct msg m;
    uint8_t wire[BUFFER];

    (void)state;
    for (size_t which = 0; which < COUNT(messages); which++) {
        make(&m, which, SOME);
        int len = msg_encode(&m, wire, sizeof(wire));
        for (int size = 0; size < len; size++) {
            wire[size] = 0xee;
            CHECK(msg_encode(&m, wire, (size_t)size) == -1, "%s", messages[which].name);
            CHECK(wire[size] == 0xee, "%s writes past the end", messages[which].name);
        }
        CHECK(msg_encode(&m, wire, (size_t)len) == len, "%s", messages[which].name);
    }
}

/* Cut off at every byte: whole fields may be missing, and are zero then; half a field is refused.
 */
static void check_truncation(size_t which, enum fullness how)
{
    struct msg m, rest, back;
    uint8_t wire[BUFFER], expected[BUFFER];

    make(&m, which, how);
    int len = msg_encode(&m, wire, sizeof(wire));
    const struct field *next = messages[which].fields();
    size_t boundary = 1;

    for (size_t cut = 1; cut <= (size_t)len; cut++) {
        /* A copy of the exact size, so that a sanitizer sees a read past the end. */
        uint8_t *copy = malloc(cut);
        memcpy(copy, wire, cut);
        int result = msg_decode(copy, cut, &back);
        free(copy);
        assert_int_equal(back.type, m.type);
        if (cut != boundary) {
            CHECK(result == MSG_MALFORMED, "%s cut at %zu", messages[which].name, cut);
            continue;
        }
        CHECK(result == 0, "%s cut at %zu", messages[which].name, cut);
        rest = m;
        for (const struct field *f = next; f->kind; f++)
            memset(body(&rest) + f->offset, 0, f->size);
        uint8_t got[BUFFER];
        int expected_len = msg_encode(&rest, expected, sizeof(expected));
        CHECK(msg_encode(&back, got, sizeof(got)) == expected_len, "%s", messages[which].name);
        CHECK(memcmp(got, expected, (size_t)expected_len) == 0, "%s", messages[which].name);
        if (next->kind) {
            boundary += next->kind->wire(body(&m) + next->offset, next->size);
            next++;
        }
    }
}

static void test_truncation(void **state)
{
    (void)state;
    for (size_t which = 0; which < COUNT(messages); which++)
        for (int how = EMPTY; how <= FULL; how++)
            check_truncation(which, (enum fullness)how);
}

static void test_trailing_bytes_are_skipped(void **state)
{
    struct msg m, back;
    uint8_t wire[BUFFER], again[BUFFER];

    (void)state;
    for (size_t which = 0; which < COUNT(messages); which++) {
        make(&m, which, SOME);
        int len = msg_encode(&m, wire, sizeof(wire));
        memset(wire + len, 0xff, 20);
        CHECK(msg_decode(wire, (size_t)len + 20, &back) == 0, "%s", messages[which].name);
        CHECK(msg_encode(&back, again, sizeof(again)) == len, "%s", messages[which].name);
        CHECK(memcmp(wire, again, (size_t)len) == 0, "%s", messages[which].name);
    }
}

/* Whatever comes: no crash, and what is accepted can be encoded and means the same again. */
static void check_hostile(const uint8_t *wire, size_t len)
{
    static char text[DESCRIPTION];
    struct msg m, back;
    uint8_t again[BUFFER];

    if (msg_decode(wire, len, &m) != 0)
        return;
    int encoded = msg_encode(&m, again, sizeof(again));
    CHECK(encoded > 0, "%s was accepted but cannot be encoded", msg_name(m.type));
    CHECK(msg_decode(again, (size_t)encoded, &back) == 0, "%s", msg_name(m.type));
    assert_true(strlen(msg_describe(&m, text, sizeof(text))) > 0);
}

static void test_bit_flips(void **state)
{
    struct msg m;
    uint8_t wire[BUFFER];

    (void)state;
    for (size_t which = 0; which < COUNT(messages); which++) {
        make(&m, which, SOME);
        int len = msg_encode(&m, wire, sizeof(wire));
        for (int bit = 0; bit<len * 8; bit += len> 500 ? 7 : 1) {
            wire[bit / 8] = (uint8_t)(wire[bit / 8] ^ (1 << bit % 8));
            check_hostile(wire, (size_t)len);
            wire[bit / 8] = (uint8_t)(wire[bit / 8] ^ (1 << bit % 8));
        }
    }
}

static void test_random_bytes(void **state)
{
    uint8_t wire[300];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        size_t len = rng_below(&rng, sizeof(wire));
        rng_fill(&rng, wire, len);
        if (len > 0)
            wire[0] = (uint8_t)(wire[0] % 24);
        check_hostile(wire, len);
    }
}

static void test_types(void **state)
{
    struct msg m;
    uint8_t wire[BUFFER];

    (void)state;
    assert_int_equal(msg_decode(NULL, 0, &m), MSG_MALFORMED);
    for (unsigned type = 0; type < 256; type++) {
        const char *expected = "?";
        for (size_t i = 0; i < COUNT(messages); i++)
            if (messages[i].type == type)
                expected = messages[i].name;
        assert_string_equal(msg_name(type), expected);
        bool known = expected[0] != '?';
        wire[0] = (uint8_t)type;
        assert_int_equal(msg_decode(wire, 1, &m), known ? 0 : MSG_UNKNOWN_TYPE);
        assert_int_equal(m.type, type);
        memset(&m, 0, sizeof(m));
        m.type = (uint8_t)type;
        assert_int_equal(msg_encode(&m, wire, sizeof(wire)) > 0, known);
    }
    assert_string_equal(msg_name(256 + MSG_PUNCH), "?");
}

/* ---- limits ---- */

static void check_count(struct msg *m, uint8_t *count, uint8_t most, size_t at)
{
    uint8_t wire[BUFFER];
    struct msg back;

    *count = most;
    int len = msg_encode(m, wire, sizeof(wire));
    assert_true(len > 0);
    assert_int_equal(wire[at], most);
    assert_int_equal(msg_decode(wire, (size_t)len, &back), 0);
    for (unsigned past = most + 1U; past < 256; past++) {
        *count = (uint8_t)past;
        assert_int_equal(msg_encode(m, wire, sizeof(wire)), -1);
        /* Enough bytes follow, so that only the limit can be what refuses. */
        memset(wire, 0, sizeof(wire));
        *count = 0;
        assert_true(msg_encode(m, wire, sizeof(wire)) > 0);
        wire[at] = (uint8_t)past;
        memset(wire + at + 1, 0, sizeof(wire) - at - 1);
        assert_int_equal(msg_decode(wire, sizeof(wire), &back), MSG_MALFORMED);
    }
}

static void test_list_limits(void **state)
{
    struct msg m = {.type = MSG_SURVEY};

    (void)state;
    check_count(&m, &m.survey_.steps.count, MSG_STEPS_MAX, 1 + 4 + 16 + 32);
    m = (struct msg){.type = MSG_REGISTER};
    check_count(&m, &m.register_.locals.count, MSG_ENDPOINTS_MAX, 1 + 2 + 2 + 1 + 1 + 1);
    m = (struct msg){.type = MSG_PUNCH};
    check_count(&m, &m.punch_.volleys.count, MSG_VOLLEYS_MAX,
                1 + 4 + 16 + 1 + 1 + 32 + 8 + 4 + 4 + 4 + 2);
}

static void test_texts(void **state)
{
    struct msg m = {.type = MSG_ERROR};
    uint8_t wire[BUFFER] = {MSG_ERROR, 1, 3, 'a', '\n', 'b'};

    (void)state;
    assert_int_equal(msg_decode(wire, 6, &m), MSG_MALFORMED);
    wire[4] = '-';
    assert_int_equal(msg_decode(wire, 6, &m), 0);
    assert_string_equal(m.error_.text, "a-b");
    memset(m.error_.text, 'x', sizeof(m.error_.text)); /* no terminator */
    assert_int_equal(msg_encode(&m, wire, sizeof(wire)), -1);
    m.error_.text[255] = '\0';
    assert_int_equal(msg_encode(&m, wire, sizeof(wire)), 2 + 256);
    m.error_.text[9] = '\t';
    assert_int_equal(msg_encode(&m, wire, sizeof(wire)), -1);
}

static void test_families(void **state)
{
    uint8_t wire[64] = {MSG_OBSERVED, 0};
    struct msg m;

    (void)state;
    for (unsigned family = 0; family < 256; family++) {
        wire[2] = (uint8_t)family;
        wire[3] = 1;
        bool good = family == 0 || family == 4 || family == 6;
        assert_int_equal(msg_decode(wire, sizeof(wire), &m), good ? 0 : MSG_MALFORMED);
        memset(&m, 0, sizeof(m));
        m.type = MSG_OBSERVED;
        m.observed_.observed.family = (uint8_t)family;
        uint8_t out[64];
        assert_int_equal(msg_encode(&m, out, sizeof(out)) > 0, good);
    }
}

/* Negative numbers keep their sign through every signed field. */
static void test_signs(void **state)
{
    struct msg m = {.type = MSG_PUNCH}, back;
    uint8_t wire[BUFFER];

    (void)state;
    m.punch_.start = INT64_MIN;
    m.punch_.local_nat.delta = INT32_MIN;
    m.punch_.volleys.count = 1;
    m.punch_.volleys.at[0] =
        (struct volley){.socket_step = -1, .port_step = INT16_MIN, .offset_us = -1500};
    int len = msg_encode(&m, wire, sizeof(wire));
    assert_int_equal(msg_decode(wire, (size_t)len, &back), 0);
    assert_true(back.punch_.start == INT64_MIN);
    assert_int_equal(back.punch_.local_nat.delta, INT32_MIN);
    assert_int_equal(back.punch_.volleys.at[0].socket_step, -1);
    assert_int_equal(back.punch_.volleys.at[0].port_step, INT16_MIN);
    assert_int_equal(back.punch_.volleys.at[0].offset_us, -1500);
}

/* ---- describe ---- */

static void test_describe_hides_secrets(void **state)
{
    struct msg m = {.type = MSG_REGISTER};
    char text[DESCRIPTION];

    (void)state;
    strcpy(m.register_.name, "a \"b\" \\c");
    strcpy(m.register_.invite, "TOKEN-TOKEN");
    msg_describe(&m, text, sizeof(text));
    assert_null(strstr(text, "TOKEN"));
    assert_string_equal(text,
                        "REGISTER version=0 flags=0 name=\"a \\\"b\\\" \\\\c\" invite=(secret) "
                        "agent=\"\" locals=[]");
    m.register_.invite[0] = '\0';
    assert_non_null(strstr(msg_describe(&m, text, sizeof(text)), "invite=\"\""));

    m = (struct msg){.type = MSG_SURVEY};
    memset(m.survey_.secret, 0xab, sizeof(m.survey_.secret));
    assert_null(strstr(msg_describe(&m, text, sizeof(text)), "abab"));
}

static void test_describe_never_breaks_a_line(void **state)
{
    struct msg m = {.type = MSG_ERROR, .error_ = {.reason = 50, .text = "a\nb\x1b[2J\x7f"}};
    char text[DESCRIPTION];

    (void)state;
    assert_string_equal(msg_describe(&m, text, sizeof(text)),
                        "ERROR reason=50(both-random) text=\"a\\x0ab\\x1b[2J\\x7f\"");
}

static void test_describe_is_cut_off(void **state)
{
    static char whole[DESCRIPTION], part[DESCRIPTION];
    struct msg m;

    (void)state;
    for (size_t which = 0; which < COUNT(messages); which++) {
        make(&m, which, SOME);
        size_t len = strlen(msg_describe(&m, whole, sizeof(whole)));
        for (size_t size = 1; size <= len + 1; size += 1 + len / 50) {
            part[size] = '#';
            msg_describe(&m, part, size);
            assert_int_equal(part[size], '#');
            assert_int_equal(strlen(part), size - 1);
            assert_memory_equal(part, whole, size - 1);
        }
    }
    assert_ptr_equal(msg_describe(&m, part, 0), part);
    m.type = 200;
    assert_string_equal(msg_describe(&m, part, sizeof(part)), "? type=200");
}

/* ---- tags ---- */

static void test_tags(void **state)
{
    uint8_t secret[MSG_SECRET_SIZE], other[MSG_SECRET_SIZE], wire[BUFFER];
    static const size_t which[] = {MSG_OBSERVE - 1, MSG_OBSERVED - 1};

    (void)state;
    rng_fill(&rng, secret, sizeof(secret));
    memcpy(other, secret, sizeof(other));
    other[31] ^= 1;
    for (size_t i = 0; i < COUNT(which); i++) {
        struct msg m, bad;
        make(&m, which[i], FULL);
        assert_int_equal(msg_tag_verify(&m, secret), -1);
        assert_int_equal(msg_tag(&m, secret), 0);
        assert_int_equal(msg_tag_verify(&m, secret), 0);
        assert_int_equal(msg_tag_verify(&m, other), -1);
        int len = msg_encode(&m, wire, sizeof(wire));
        for (int bit = 8; bit < len * 8; bit++) {
            wire[bit / 8] = (uint8_t)(wire[bit / 8] ^ (1 << bit % 8));
            if (msg_decode(wire, (size_t)len, &bad) == 0)
                assert_int_equal(msg_tag_verify(&bad, secret), -1);
            wire[bit / 8] = (uint8_t)(wire[bit / 8] ^ (1 << bit % 8));
        }
    }
    struct msg wrong = {.type = MSG_BYE};
    assert_int_equal(msg_tag(&wrong, secret), -1);
    assert_int_equal(msg_tag_verify(&wrong, secret), -1);
}

/* BLAKE2b-256 under the secret, over the message up to the tag, cut to 16 bytes. */
static void test_tag_is_the_specified_one(void **state)
{
    uint8_t secret[MSG_SECRET_SIZE] = {1, 2, 3}, wire[BUFFER], hash[32];
    struct msg m = {.type = MSG_OBSERVED, .observed_ = {.step = 7}};

    (void)state;
    assert_int_equal(endpoint_parse("192.0.2.1:80", 0, &m.observed_.observed), 0);
    assert_int_equal(msg_tag(&m, secret), 0);
    int len = msg_encode(&m, wire, sizeof(wire));
    crypto_generichash(hash, sizeof(hash), wire, (size_t)len - 16, secret, sizeof(secret));
    assert_memory_equal(m.observed_.tag, hash, 16);
    assert_memory_equal(wire + len - 16, hash, 16);
}

/* ---- volleys ---- */

static void test_volleys(void **state)
{
    static const struct {
        struct volley v;
        unsigned i;
        uint16_t socket, port;
        tick offset;
    } rows[] = {
        {{.socket = 3, .remote = {.port = 100}}, 0, 3, 100, 0},
        {{.socket = 3, .socket_step = 1, .remote = {.port = 100}, .port_step = 2}, 5, 8, 110, 0},
        {{.socket = 3, .socket_step = -1, .remote = {.port = 1}, .port_step = -2}, 3, 0, 65531, 0},
        {{.socket = 0, .socket_step = -1, .remote = {.port = 65535}, .port_step = 1},
         1,
         65535,
         0,
         0},
        {{.offset_us = -1500, .spacing_us = 250}, 0, 0, 0, -1500 * TICK_US},
        {{.offset_us = -1500, .spacing_us = 250}, 8, 0, 0, 500 * TICK_US},
        {{.offset_us = INT32_MAX, .spacing_us = UINT32_MAX},
         65535,
         0,
         0,
         ((tick)INT32_MAX + 65535 * (tick)UINT32_MAX) * TICK_US},
        {{.offset_us = INT32_MIN}, 65535, 0, 0, (tick)INT32_MIN * TICK_US},
    };

    (void)state;
    for (size_t n = 0; n < COUNT(rows); n++) {
        struct syn syn = volley_syn(&rows[n].v, rows[n].i);
        assert_int_equal(syn.socket, rows[n].socket);
        assert_int_equal(syn.remote.port, rows[n].port);
        assert_true(syn.offset == rows[n].offset);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_round_trip, setup),
        cmocka_unit_test_setup(test_room, setup),
        cmocka_unit_test_setup(test_truncation, setup),
        cmocka_unit_test_setup(test_trailing_bytes_are_skipped, setup),
        cmocka_unit_test_setup(test_bit_flips, setup),
        cmocka_unit_test_setup(test_random_bytes, setup),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_list_limits),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_signs),
        cmocka_unit_test(test_describe_hides_secrets),
        cmocka_unit_test(test_describe_never_breaks_a_line),
        cmocka_unit_test_setup(test_describe_is_cut_off, setup),
        cmocka_unit_test_setup(test_tags, setup),
        cmocka_unit_test(test_tag_is_the_specified_one),
        cmocka_unit_test(test_volleys),
    };
    const char *wanted = getenv("TRYST_TEST_SEED");

    if (sodium_init() < 0)
        return 99;
    randombytes_buf(&seed, sizeof(seed));
    if (wanted)
        seed = strtoull(wanted, NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
