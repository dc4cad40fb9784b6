/* SPDX-License-Identifier: ISC */
/* The words of `tryst check`, from answers as they come off the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-stub/cli.h"
#include "client-stub/cli_outlook.h"
#include "client-stub/outlook.h"
#include "proto/peer_kind.h"
#include "proto/reason.h"

static struct tryst_outlook outlook;
static char *text;

typedef void (*print_fn)(FILE *out, const struct tryst_outlook *o, bool color);

static void print_peer(FILE *out, const struct tryst_outlook *o, bool color)
{
    cli_outlook_print_peer(out, "home", o, color);
}

static void print(print_fn fn, const struct msg_checked *m, bool color)
{
    size_t size;
    FILE *out;

    free(text);
    text = NULL;
    out = open_memstream(&text, &size);
    assert_non_null(out);
    memset(&outlook, 0, sizeof(outlook));
    outlook_fill(&outlook, m, false);
    fn(out, &outlook, color);
    assert_int_equal(fclose(out), 0);
}

static void says(const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void says_not(const char *part)
{
    if (strstr(text, part))
        fail_msg("\"%s\" is in:\n%s", part, text);
}

static struct msg_checked of_nat(struct nat_summary nat)
{
    struct msg_checked m = {.rounds = 3, .nats = {.count = 1}};

    m.nats.at[0].address = (struct endpoint){.family = 4, .address = {203, 0, 113, 7}};
    m.nats.at[0].nat = nat;
    return m;
}

static struct msg_checked of_peer(uint32_t chance, uint32_t birthday, uint8_t reason)
{
    struct msg_checked m =
        of_nat((struct nat_summary){.mapping = NAT_EIM, .allocation = NAT_PRESERVE});

    m.peer[0] = 1;
    m.prospects.count = 1;
    m.prospects.at[0] = (struct prospect){.family = 4,
                                          .reason = reason,
                                          .chance = chance,
                                          .birthday = birthday,
                                          .nat = {.mapping = NAT_APDM, .allocation = NAT_RANDOM}};
    return m;
}

/* ---- one NAT ---- */

static void test_nats(void **state)
{
    static const struct {
        struct nat_summary nat;
        const char *says[4];
    } cases[] = {
        {{.mapping = NAT_EIM,
          .filtering = NAT_APDF,
          .allocation = NAT_PRESERVE,
          .refusal = NAT_SILENCE,
          .confidence = 90,
          .samples = 9},
         {"Your NAT, seen at 203.0.113.7 (IPv4): endpoint-independent mapping, keeps ports",
          "public port  the number of the local port\n", "mapping      one for all destinations\n",
          "confidence   90 %, from 9 observations\n"}},
        {{.mapping = NAT_MAPPING_NONE, .filtering = NAT_EIF, .refusal = NAT_RST, .samples = 1},
         {"Your host, seen at", "translation  none", "lets in      anybody",
          "from 1 observation; a young profile"}},
        {{.mapping = NAT_APDM, .allocation = NAT_COUNTER, .delta = -2, .drift = 20500},
         {"counted: the last one -2; others take 20.5 a second", "another one for each destination",
          "lets in      not known yet", "stray SYNs   not known yet"}},
        {{.mapping = NAT_ADM, .allocation = NAT_OFFSET, .delta = 1000, .filtering = NAT_ADF},
         {"the number of the local port +1000", "for each remote address",
          "addresses that were sent to first", "0 %, from 0 observations; a young profile"}},
        {{.mapping = NAT_APDM,
          .allocation = NAT_BLOCK,
          .block_low = 20000,
          .block_high = 20511,
          .refusal = NAT_ICMP,
          .pooling = NAT_ARBITRARY,
          .confidence = 255,
          .samples = 4000000000u},
         {"drawn at random from 20000 to 20511", "answered with ICMP",
          "address      another one for each connection", "100 %, from 4000000000 observations\n"}},
        {{.mapping = 200, .allocation = 200, .filtering = 200, .refusal = 200, .pooling = 200},
         {"public port  not known yet", "mapping      not known yet", "lets in      not known yet",
          "stray SYNs   not known yet"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct msg_checked m = of_nat(cases[i].nat);
        print(cli_outlook_print_kinds, &m, false);
        for (size_t k = 0; k < 4; k++)
            says(cases[i].says[k]);
        says_not("\033");
        assert_int_equal(cli_outlook_status(&outlook), CLI_OK);
    }
}

static void test_two_families(void **state)
{
    struct msg_checked m = of_nat((struct nat_summary){.mapping = NAT_EIM});

    (void)state;
    m.nats.count = 2;
    m.nats.at[1].address =
        (struct endpoint){.family = 6, .address = {0x20, 1, 0xd, 0xb8, [15] = 7}};
    m.nats.at[1].nat.mapping = NAT_MAPPING_NONE;
    print(cli_outlook_print_kinds, &m, false);
    says("Your NAT, seen at 203.0.113.7 (IPv4)");
    says("Your host, seen at 2001:db8::7 (IPv6): no NAT");
}

/* ---- against kinds ---- */

static void test_table(void **state)
{
    struct msg_checked m = of_nat((struct nat_summary){.mapping = NAT_EIM});

    (void)state;
    m.prospects.count = 6;
    for (unsigned i = 0; i < m.prospects.count; i++)
        m.prospects.at[i].family = 4;
    m.prospects.at[0].kind = PEER_KIND_PUBLIC;
    m.prospects.at[0].chance = 999999;
    m.prospects.at[1].kind = PEER_KIND_RANDOM;
    m.prospects.at[1].chance = 55573;
    m.prospects.at[1].birthday = 887483;
    m.prospects.at[2].kind = PEER_KIND_BLOCK;
    m.prospects.at[2].reason = REASON_BOTH_RANDOM;
    m.prospects.at[3].kind = PEER_KIND_COUNTER;
    m.prospects.at[3].reason = REASON_BOTH_RANDOM;
    m.prospects.at[3].birthday = 230000;
    m.prospects.at[4].kind = 250; /* of a newer server */
    m.prospects.at[4].chance = 400000;
    m.prospects.at[4].nat = (struct nat_summary){.mapping = NAT_EIM, .allocation = NAT_PRESERVE};
    m.prospects.at[5].kind = PEER_KIND_FIREWALL_6;
    m.prospects.at[5].chance = 1000000;
    print(cli_outlook_print_kinds, &m, false);
    says("  a host without NAT or firewall                       >99 %  sure\n");
    says("  random ports, strict filter                            6 %  poor    89 % with "
         "--birthday on both sides\n");
    says("  random ports out of a block of 512                     0 %  no\n");
    says("  a NAT that counts its ports, shared by others          0 %  no      23 % with");
    says("  endpoint-independent mapping, keeps ports             40 %  even\n");
    says("  IPv6 behind a firewall                               100 %  sure\n");
    says("The chance is that of the first round; a session has up to 3.\n");
    const char *reason = strstr(text, "no: both NATs give unpredictable ports");
    assert_non_null(reason);
    assert_null(strstr(reason + 1, "no: both NATs")); /* once */
    says("What helps: forward a port on one side, or use IPv6.");
}

static void test_color(void **state)
{
    struct msg_checked m = of_peer(990000, 990000, REASON_OK);

    (void)state;
    print(print_peer, &m, true);
    says("\033[32mis as good as sure\033[0m");
    m = of_peer(0, 0, REASON_BOTH_RANDOM);
    print(print_peer, &m, true);
    says("\033[31mno direct connection\033[0m");
    print(cli_outlook_print_kinds, &m, true);
    says("\033[31mno\033[0m");
}

/* ---- one peer ---- */

static void test_verdicts(void **state)
{
    static const struct {
        uint32_t chance, birthday;
        uint8_t reason;
        int status;
        const char *line;
        const char *help; /* NULL: none */
    } cases[] = {
        {950000, 950000, REASON_OK, CLI_OK,
         "home: a direct connection is as good as sure (95 % in the first of 3 rounds, IPv4)\n",
         NULL},
        {949999, 1000000, REASON_OK, CLI_OK, "home: a direct connection is likely (95 %", NULL},
        {400000, 400000, REASON_OK, CLI_OK,
         "home: a direct connection may come about, or not (40 %", "What helps: forward a port"},
        {60000, 960000, REASON_OK, CLI_OK, "home: a direct connection is unlikely (6 %",
         "What helps: --birthday on both sides (96 %)."},
        {9999, 9999, REASON_OK, CLI_OK, "home: a direct connection is unlikely (<1 %",
         "What helps: forward a port"},
        {0, 0, REASON_BOTH_RANDOM, CLI_PUNCH,
         "home: no direct connection: both NATs give unpredictable ports",
         "What helps: forward a port on one side, or use IPv6."},
        {0, 0, REASON_POOLING, CLI_PUNCH,
         "home: no direct connection: the NAT gives every connection another public address",
         "paired address pooling"},
        {0, 0, REASON_NO_COMMON_FAMILY, CLI_PUNCH, "home: no direct connection: one side has only",
         "give either side the other family"},
        {0, 0, 240, CLI_PUNCH, "home: no direct connection: a reason that this version",
         "upgrade tryst"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct msg_checked m = of_peer(cases[i].chance, cases[i].birthday, cases[i].reason);
        print(print_peer, &m, false);
        assert_int_equal(strncmp(text, cases[i].line, strlen(cases[i].line)), 0);
        says("\n  here   203.0.113.7: endpoint-independent mapping, keeps ports\n");
        says("\n  there  a mapping per remote address and port, random ports\n");
        if (cases[i].help)
            says(cases[i].help);
        else
            says_not("What helps");
        assert_int_equal(cli_outlook_status(&outlook), cases[i].status);
    }
}

/* Behind one NAT there is another way, of which no chance is known. */
static void test_same_address(void **state)
{
    struct msg_checked m = of_peer(0, 0, REASON_BOTH_RANDOM);

    (void)state;
    m.flags = CHECKED_SAME_ADDRESS;
    print(print_peer, &m, false);
    says("home: perhaps, but only by private addresses");
    says("their private addresses are tried as well");
    assert_int_equal(cli_outlook_status(&outlook), CLI_OK);
}

static int forget(void **state)
{
    (void)state;
    free(text);
    text = NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_nats, forget),
        cmocka_unit_test_teardown(test_two_families, forget),
        cmocka_unit_test_teardown(test_table, forget),
        cmocka_unit_test_teardown(test_color, forget),
        cmocka_unit_test_teardown(test_verdicts, forget),
        cmocka_unit_test_teardown(test_same_address, forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
