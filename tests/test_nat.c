/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "proto/nat.h"

static const struct {
    struct nat_summary nat;
    const char *expected;
} rows[] = {
    {{0}, "mapping unknown"},
    {{.mapping = NAT_MAPPING_NONE}, "no NAT"},
    {{.mapping = NAT_MAPPING_NONE, .refusal = NAT_RST}, "no NAT, resets stray SYNs"},
    {{.mapping = NAT_EIM, .allocation = NAT_PRESERVE, .refusal = NAT_RST},
     "endpoint-independent mapping, keeps ports, resets stray SYNs"},
    {{.mapping = NAT_ADM, .allocation = NAT_OFFSET, .delta = -7},
     "a mapping per remote address, public port is the local one -7"},
    {{.mapping = NAT_APDM,
      .filtering = NAT_APDF,
      .allocation = NAT_COUNTER,
      .delta = 2,
      .drift = 12340,
      .refusal = NAT_SILENCE},
     "a mapping per remote address and port, counts ports by +2, others take 12.3 ports/s, "
     "lets only known endpoints in, drops stray SYNs"},
    {{.mapping = NAT_APDM, .allocation = NAT_BLOCK, .block_low = 1024, .block_high = 1535},
     "a mapping per remote address and port, random ports in 1024-1535"},
    {{.mapping = NAT_APDM, .allocation = NAT_RANDOM, .pooling = NAT_ARBITRARY},
     "a mapping per remote address and port, random ports, changes its public address"},
    {{.mapping = NAT_EIM, .features = NAT_FEATURE_NO_SIMULTANEOUS_OPEN | NAT_FEATURE_DOUBLE},
     "endpoint-independent mapping, refuses simultaneous open, has another NAT behind it"},
    {{.mapping = 99, .filtering = 99, .allocation = 99, .refusal = 99, .pooling = 99},
     "mapping unknown"},
};

static void test_describe(void **state)
{
    char out[256];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(nat_describe(&rows[i].nat, out, sizeof(out)), rows[i].expected);
}

static void test_describe_is_cut_off(void **state)
{
    const struct nat_summary *nat = &rows[5].nat;
    char out[256];

    (void)state;
    for (size_t size = 1; size < sizeof(out) - 1; size++) {
        memset(out, '#', sizeof(out));
        nat_describe(nat, out, size);
        assert_true(strlen(out) < size);
        assert_int_equal(out[size], '#');
        assert_memory_equal(out, rows[5].expected, strlen(out));
    }
    assert_ptr_equal(nat_describe(nat, out, 0), out);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(nat_mapping_name(NAT_APDM), "apdm");
    assert_string_equal(nat_mapping_name(NAT_APDM + 1), "unknown");
    assert_string_equal(nat_filtering_name(NAT_APDF), "apdf");
    assert_string_equal(nat_filtering_name(NAT_APDF + 1), "unknown");
    assert_string_equal(nat_allocation_name(NAT_RANDOM), "random");
    assert_string_equal(nat_allocation_name(NAT_RANDOM + 1), "unknown");
    assert_string_equal(nat_refusal_name(NAT_ICMP), "icmp");
    assert_string_equal(nat_refusal_name(NAT_ICMP + 1), "unknown");
    assert_string_equal(nat_pooling_name(NAT_ARBITRARY), "arbitrary");
    assert_string_equal(nat_pooling_name(NAT_ARBITRARY + 1), "unknown");
    assert_string_equal(nat_shape_name(SHAPE_RANDOM), "random");
    assert_string_equal(nat_shape_name(SHAPE_RANDOM + 1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_describe_is_cut_off),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
