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
#include "proto/noise.h"
#include "proto/reason.h"

/* Holds proto/PROTOCOL.md against the code: its tables, and every example in it. */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES        4200

static char *document;

static int load(void **state)
{
    const char *top = getenv("abs_top_srcdir");
    char path[4096];

    (void)state;
    snprintf(path, sizeof(path), "%s/proto/PROTOCOL.md", top ? top : ".");
    FILE *file = fopen(path, "r");
    if (!file) {
        print_error("%s cannot be read\n", path);
        return -1;
    }
    document = calloc(1, 1 << 20);
    size_t len = fread(document, 1, (1 << 20) - 1, file);
    (void)fclose(file);
    return len > 0 ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    free(document);
    return 0;
}

/* Copies the line at `from` and returns the start of the next one, NULL at the end. */
static const char *get_line(const char *from, char out[1024])
{
    size_t len = strcspn(from, "\n");

    if (*from == '\0')
        return NULL;
    assert_true(len < 1024);
    memcpy(out, from, len);
    out[len] = '\0';
    return from + len + (from[len] == '\n');
}

/* The text after the heading, to the end of the document. */
static const char *section(const char *heading)
{
    char wanted[128];

    snprintf(wanted, sizeof(wanted), "\n%s\n", heading);
    const char *found = strstr(document, wanted);
    if (!found)
        fail_msg("no heading \"%s\"", heading);
    return found + strlen(wanted);
}

/* Adds the hex digits before any '#' of the line to the bytes. */
static void add_hex(const char *line, uint8_t *bytes, size_t *len)
{
    size_t n = 0;

    if (sodium_hex2bin(bytes + *len, BYTES - *len, line, strcspn(line, "#"), " ", &n, NULL) != 0)
        fail_msg("not hex: %s", line);
    *len += n;
}

/* ---- tables ---- */

static const struct {
    unsigned type;
    const char *name; /* of the message; NULL for a field */
    const char *kind, *field;
} expected[] = {
#define MESSAGE(type, NAME, name) {type, #NAME, NULL, NULL},
#define FIELD(KIND, name)         {0, NULL, #KIND, #name},
#define END(name)
#include "proto/msg.def"
#undef MESSAGE
#undef FIELD
#undef END
};

/* "### 13 PUNCH" */
static bool is_heading(const char *line, unsigned *type, char name[64])
{
    char *end;

    if (strncmp(line, "### ", 4) != 0)
        return false;
    *type = (unsigned)strtoul(line + 4, &end, 10);
    if (end == line + 4 || *end != ' ')
        return false;
    snprintf(name, 64, "%s", end + 1);
    return true;
}

static void test_message_tables(void **state)
{
    const char *at = section("## Messages");
    char line[1024], name[64], kind[64];
    unsigned type;
    size_t next = 0;

    (void)state;
    while ((at = get_line(at, line)) && strncmp(line, "## ", 3) != 0) {
        bool heading = is_heading(line, &type, name);
        if (!heading && sscanf(line, "| `%63[a-z0-9_]` | %63[A-Z0-9] |", name, kind) != 2)
            continue;
        if (next == COUNT(expected))
            fail_msg("not in msg.def: %s", line);
        if (heading) {
            if (!expected[next].name)
                fail_msg("field %s is missing before %s", expected[next].field, line);
            assert_int_equal(type, expected[next].type);
            assert_string_equal(name, expected[next].name);
        } else {
            if (expected[next].name)
                fail_msg("%s was expected, not %s", expected[next].name, line);
            assert_string_equal(name, expected[next].field);
            assert_string_equal(kind, expected[next].kind);
        }
        next++;
    }
    assert_int_equal(next, COUNT(expected));
}

static void test_reason_table(void **state)
{
    static const char *const rows[] = {
#define REASON(number, NAME, name, status, text, advice)                                           \
    "| " #number " | `" name "` | " #status " | " text " |",
#include "proto/reason.def"
#undef REASON
    };
    const char *at = section("## Reasons");
    char line[1024];
    size_t next = 0;

    (void)state;
    while ((at = get_line(at, line)) && strncmp(line, "## ", 3) != 0) {
        if (strncmp(line, "| ", 2) != 0 || strncmp(line, "| number", 8) == 0)
            continue;
        assert_true(next < COUNT(rows));
        assert_string_equal(line, rows[next]);
        next++;
    }
    assert_int_equal(next, COUNT(rows));
}

static void test_nat_words(void **state)
{
    static const char *(*const names[])(unsigned) = {nat_mapping_name, nat_filtering_name,
                                                     nat_allocation_name, nat_refusal_name,
                                                     nat_pooling_name};
    const char *at = section("### NAT");

    (void)state;
    for (unsigned number = 0; number <= NAT_RANDOM; number++) {
        char row[256];
        int len = snprintf(row, sizeof(row), "\n| %u |", number);
        for (size_t i = 0; i < COUNT(names); i++) {
            const char *word = names[i](number);
            if (number > 0 && strcmp(word, "unknown") == 0)
                word = "";
            len += snprintf(row + len, sizeof(row) - (size_t)len, " %s%s|", word, *word ? " " : "");
        }
        if (!strstr(at, row))
            fail_msg("no row:%s", row);
    }
}

static void test_peer_kinds(void **state)
{
    static const char *const kinds[] = {
#define PEER_KIND(number, NAME, name, words, ...) "\n| " #number " | `" name "` | " words " |\n",
#include "proto/peer_kind.def"
#undef PEER_KIND
    };
    const char *at = section("### Prospect");

    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (!strstr(at, kinds[i]))
            fail_msg("no row:%s", kinds[i]);
}

static void test_limits(void **state)
{
    const char *at = section("## Limits");
    char row[256];

    (void)state;
#define ROW(...)                                                                                   \
    do {                                                                                           \
        snprintf(row, sizeof(row), __VA_ARGS__);                                                   \
        if (!strstr(at, row))                                                                      \
            fail_msg("no row: %s", row);                                                           \
    } while (0)
    ROW("| frame body, connections with the server | %d bytes |", FRAME_BODY_MAX);
    ROW("| frame body, connections between peers | %d bytes |", NOISE_MESSAGE_MAX);
    ROW("| message | %d bytes |", FRAME_PLAIN_MAX);
    ROW("| TEXT | %d bytes |", MSG_TEXT_SIZE - 1);
    ROW("| ENDPOINTS, STEPS, VOLLEYS | %d, %d, %d elements |", MSG_ENDPOINTS_MAX, MSG_STEPS_MAX,
        MSG_VOLLEYS_MAX);
    ROW("| NATS, PROSPECTS | %d, %d elements |", MSG_NATS_MAX, MSG_PROSPECTS_MAX);
    ROW("| messages of one direction under one key | %d |", (int)NOISE_REKEY_INTERVAL);
#undef ROW
    at = section("## Connections");
#define HELLO(number, to) "| " #number " | " to " |"
    assert_int_equal(HELLO_CONTROL, 1);
    assert_non_null(strstr(at, HELLO(1, "peer, server")));
    assert_int_equal(HELLO_OBSERVATION, 2);
    assert_non_null(strstr(at, HELLO(2, "peer, server")));
    assert_int_equal(HELLO_PEER, 3);
    assert_non_null(strstr(at, HELLO(3, "requester, target")));
#undef HELLO
}

/* ---- examples of messages ---- */

struct example {
    uint8_t bytes[BYTES];
    size_t len;
    char meaning[4096];
};

/* Reads the next block of the kind; hex lines, then "= " lines that say what they mean. */
static const char *get_example(const char *at, struct example *e)
{
    char line[1024];

    memset(e, 0, sizeof(*e));
    at = at ? strstr(at, "\n```message\n") : NULL;
    if (!at)
        return NULL;
    at += strlen("\n```message\n");
    while ((at = get_line(at, line)) && strcmp(line, "```") != 0) {
        if (line[0] != '=') {
            add_hex(line, e->bytes, &e->len);
            continue;
        }
        size_t have = strlen(e->meaning), room = sizeof(e->meaning) - have;
        assert_true(strlen(line) < room);
        snprintf(e->meaning + have, room, "%s", line + (have ? 1 : 2));
    }
    return at;
}

static void check_example(const struct example *e)
{
    struct msg m;
    uint8_t again[BYTES];
    char meaning[8192];

    assert_int_equal(msg_decode(e->bytes, e->len, &m), 0);
    assert_string_equal(msg_describe(&m, meaning, sizeof(meaning)), e->meaning);
    assert_int_equal(msg_encode(&m, again, sizeof(again)), e->len);
    assert_memory_equal(again, e->bytes, e->len);
}

static void test_examples(void **state)
{
    static struct example e;
    const char *at = document;

    (void)state;
    for (size_t i = 0; i < COUNT(expected); i++) {
        if (!expected[i].name)
            continue;
        at = get_example(at, &e);
        if (!at)
            fail_msg("no example of %s", expected[i].name);
        assert_int_equal(e.bytes[0], expected[i].type);
        check_example(&e);
    }
    assert_null(get_example(at, &e));
}

/* The example of one message, decoded. */
static struct msg example_of(uint8_t type, uint8_t *bytes, size_t *len)
{
    static struct example e;
    const char *at = document;
    struct msg m;

    do {
        at = get_example(at, &e);
        assert_non_null(at);
    } while (e.bytes[0] != type);
    assert_int_equal(msg_decode(e.bytes, e.len, &m), 0);
    memcpy(bytes, e.bytes, e.len);
    *len = e.len;
    return m;
}

/* ---- examples of exchanges: named values, each a line and then indented hex ---- */

/* The value in the block that begins with ```KIND. Returns its length. */
static size_t get_value(const char *kind, const char *name, uint8_t bytes[BYTES])
{
    char line[1024], fence[64];
    size_t len = 0;
    bool here = false;

    snprintf(fence, sizeof(fence), "\n```%s\n", kind);
    const char *at = strstr(document, fence);
    assert_non_null(at);
    at += strlen(fence);
    while ((at = get_line(at, line)) && strcmp(line, "```") != 0) {
        if (line[0] != ' ')
            here = strcmp(line, name) == 0;
        else if (here)
            add_hex(line, bytes, &len);
    }
    if (len == 0)
        fail_msg("%s: no value \"%s\"", kind, name);
    return len;
}

static void get_exactly(const char *kind, const char *name, uint8_t *out, size_t size)
{
    uint8_t bytes[BYTES];

    assert_int_equal(get_value(kind, name, bytes), size);
    memcpy(out, bytes, size);
}

static void get_pair(const char *kind, const char *who, struct key_pair *pair)
{
    char name[64];
    uint8_t secret[KEY_SIZE], public[KEY_SIZE];

    snprintf(name, sizeof(name), "%s's static secret", who);
    get_exactly(kind, name, secret, KEY_SIZE);
    snprintf(name, sizeof(name), "%s's static public key", who);
    get_exactly(kind, name, public, KEY_SIZE);
    assert_int_equal(key_from_secret(secret, pair), 0);
    assert_memory_equal(pair->public, public, KEY_SIZE);
}

static void fill_prepared(void *state, void *out, size_t len)
{
    memcpy(out, state, len);
}

static struct rng get_ephemeral(const char *kind, const char *who, uint8_t secret[KEY_SIZE])
{
    char name[64];

    snprintf(name, sizeof(name), "%s's ephemeral secret", who);
    get_exactly(kind, name, secret, KEY_SIZE);
    return (struct rng){fill_prepared, secret};
}

/* Checks that the documented frame is the hello byte, if any, and these bytes. */
static void check_frame(const char *kind, const char *name, int hello, const uint8_t *bytes,
                        int len)
{
    uint8_t frame[BYTES];
    const uint8_t *body;
    size_t size = get_value(kind, name, frame), body_len;

    assert_true(len > 0);
    assert_int_equal(frame_parse(frame, size, 65535, &body, &body_len), size);
    if (hello) {
        assert_int_equal(body[0], hello);
        body++;
        body_len--;
    }
    assert_int_equal(body_len, len);
    assert_memory_equal(body, bytes, body_len);
}

struct exchange {
    struct key_pair a, b;
    uint8_t a_ephemeral[KEY_SIZE], b_ephemeral[KEY_SIZE];
    struct noise_handshake a_hs, b_hs;
    struct noise_cipher a_send, a_receive, b_send, b_receive;
};

static void start_exchange(struct exchange *x, const char *kind, enum noise_pattern pattern,
                           const char *a, const char *b)
{
    uint8_t prologue[BYTES];
    size_t len = get_value(kind, "prologue", prologue);

    get_pair(kind, a, &x->a);
    get_pair(kind, b, &x->b);
    noise_start(&x->a_hs, pattern, true, prologue, len, &x->a, x->b.public);
    noise_start(&x->b_hs, pattern, false, prologue, len, &x->b,
                pattern == NOISE_KK ? x->a.public : NULL);
}

static void split_exchange(struct exchange *x, const char *kind)
{
    uint8_t hash[NOISE_HASH_SIZE], wanted[NOISE_HASH_SIZE];

    get_exactly(kind, "handshake hash", wanted, sizeof(wanted));
    assert_int_equal(noise_split(&x->a_hs, &x->a_send, &x->a_receive, hash), 0);
    assert_memory_equal(hash, wanted, sizeof(hash));
    assert_int_equal(noise_split(&x->b_hs, &x->b_send, &x->b_receive, NULL), 0);
}

static void test_control_handshake(void **state)
{
    const char *kind = "handshake";
    struct exchange x;
    uint8_t msg[BYTES], plain[BYTES], key[32];
    size_t plain_len;

    (void)state;
    start_exchange(&x, kind, NOISE_IK, "peer", "server");
    assert_int_equal(get_value(kind, "prologue", msg), strlen(MSG_PROLOGUE));
    assert_memory_equal(msg, MSG_PROLOGUE, strlen(MSG_PROLOGUE));
    struct rng rng = get_ephemeral(kind, "peer", x.a_ephemeral);
    int len = noise_write(&x.a_hs, &rng, NULL, 0, msg, sizeof(msg));
    check_frame(kind, "frame 1, from the peer", HELLO_CONTROL, msg, len);
    assert_int_equal(noise_read(&x.b_hs, msg, (size_t)len, NULL, 0), 0);
    rng = get_ephemeral(kind, "server", x.b_ephemeral);
    len = noise_write(&x.b_hs, &rng, NULL, 0, msg, sizeof(msg));
    check_frame(kind, "frame 2, from the server", 0, msg, len);
    assert_int_equal(noise_read(&x.a_hs, msg, (size_t)len, NULL, 0), 0);

    split_exchange(&x, kind);
    get_exactly(kind, "the peer's sending key", key, sizeof(key));
    assert_memory_equal(x.a_send.key, key, sizeof(key));
    get_exactly(kind, "the server's sending key", key, sizeof(key));
    assert_memory_equal(x.b_send.key, key, sizeof(key));
    (void)example_of(MSG_REGISTER, plain, &plain_len);
    len = noise_seal(&x.a_send, plain, plain_len, msg);
    check_frame(kind, "frame 3, from the peer: the REGISTER example, sealed", 0, msg, len);
}

static void check_record(struct noise_cipher *cipher, const char *name, const char *plain)
{
    uint8_t sealed[64];
    int len = noise_seal(cipher, (const uint8_t *)plain, strlen(plain), sealed);

    check_frame("proof", name, 0, sealed, len);
}

static void test_proof(void **state)
{
    const char *kind = "proof";
    struct exchange x;
    uint8_t msg[BYTES], flags, key[32], expected_key[32];

    (void)state;
    start_exchange(&x, kind, NOISE_KK, "requester", "target");
    assert_int_equal(get_value(kind, "prologue", msg), 12 + MSG_ID_SIZE);
    assert_memory_equal(msg, "tryst/1 peer", 12);
    struct rng rng = get_ephemeral(kind, "requester", x.a_ephemeral);
    int len = noise_write(&x.a_hs, &rng, "\1", 1, msg, sizeof(msg));
    check_frame(kind, "frame 1, from the requester, flags 01", HELLO_PEER, msg, len);
    assert_int_equal(noise_read(&x.b_hs, msg, (size_t)len, &flags, 1), 1);
    assert_int_equal(flags, 1);
    rng = get_ephemeral(kind, "target", x.b_ephemeral);
    len = noise_write(&x.b_hs, &rng, "\0", 1, msg, sizeof(msg));
    check_frame(kind, "frame 2, from the target, flags 00", 0, msg, len);
    assert_int_equal(noise_read(&x.a_hs, msg, (size_t)len, &flags, 1), 1);

    get_exactly(kind, "exported key, label \"example\"", expected_key, sizeof(expected_key));
    assert_int_equal(noise_export(&x.b_hs, "example", key), 0);
    assert_memory_equal(key, expected_key, sizeof(key));

    split_exchange(&x, kind);
    check_record(&x.a_send, "frame 3, from the requester: SELECT", "\1");
    check_record(&x.a_send, "frame 4, from the requester: a record, \"hello\"", "hello");
    check_record(&x.a_send, "frame 5, from the requester: end of stream", "");
    check_record(&x.b_send, "frame 6, from the target: a record, \"bye\"", "bye");
}

static void test_observation(void **state)
{
    const char *kind = "observation";
    uint8_t bytes[BYTES], secret[MSG_SECRET_SIZE];
    size_t len;

    (void)state;
    get_exactly(kind, "secret", secret, sizeof(secret));
    struct msg m = example_of(MSG_SURVEY, bytes, &len);
    assert_memory_equal(m.survey_.secret, secret, sizeof(secret));
    m = example_of(MSG_OBSERVE, bytes, &len);
    assert_int_equal(msg_tag_verify(&m, secret), 0);
    check_frame(kind, "frame from the peer", HELLO_OBSERVATION, bytes, (int)len);
    m = example_of(MSG_OBSERVED, bytes, &len);
    assert_int_equal(msg_tag_verify(&m, secret), 0);
    check_frame(kind, "frame from the server", 0, bytes, (int)len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_tables),
        cmocka_unit_test(test_reason_table),
        cmocka_unit_test(test_nat_words),
        cmocka_unit_test(test_peer_kinds),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_control_handshake),
        cmocka_unit_test(test_proof),
        cmocka_unit_test(test_observation),
    };

    if (sodium_init() < 0)
        return 99;
    return cmocka_run_group_tests(tests, load, unload);
}
