/* SPDX-License-Identifier: ISC */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int condition)
{
    if (!condition)
        abort();
}

/* What is accepted fits into a frame, and comes back the same from its own encoding. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[16384], again_text[16384];
    static const uint8_t secret[MSG_SECRET_SIZE] = {1};
    struct msg m, again;
    uint8_t first[FRAME_PLAIN_MAX], second[FRAME_PLAIN_MAX];

    int result = msg_decode(data, size, &m);
    check(result == 0 || result == MSG_MALFORMED || result == MSG_UNKNOWN_TYPE);
    check(size == 0 || m.type == data[0]);
    msg_describe(&m, text, sizeof(text));
    for (const char *c = text; *c; c++)
        check((unsigned char)*c >= 0x20);
    if (result != 0)
        return 0;

    int len = msg_encode(&m, first, sizeof(first));
    check(len > 0);
    check(msg_decode(first, (size_t)len, &again) == 0);
    check(msg_encode(&again, second, sizeof(second)) == len);
    check(memcmp(first, second, (size_t)len) == 0);
    check(strcmp(text, msg_describe(&again, again_text, sizeof(again_text))) == 0);

    (void)msg_tag_verify(&m, secret);
    if (msg_tag(&m, secret) == 0)
        check(msg_tag_verify(&m, secret) == 0);
    if (m.type == MSG_PUNCH)
        for (unsigned v = 0; v < m.punch_.volleys.count; v++)
            (void)volley_syn(&m.punch_.volleys.at[v], m.punch_.volleys.at[v].count);
    return 0;
}
