/* SPDX-License-Identifier: ISC */
#include "client-stub/cli_outlook.h"

#include <string.h>

#include "client-stub/cli.h"
#include "proto/reason.h"

/* A profile that rests on less is called young. */
#define YOUNG_SAMPLES    8
#define YOUNG_CONFIDENCE 75
/* From this much on, consent to birthday is worth a word. */
#define BIRTHDAY_HELPS 0.10

struct word {
    const char *name, *words;
};

static const char *words_for(const struct word *table, const char *name)
{
    for (; table->name; table++)
        if (strcmp(table->name, name) == 0)
            return table->words;
    return "not known yet";
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* ---- a NAT ---- */

static void print_row(FILE *out, const char *what, const char *words)
{
    (void)fprintf(out, "  %-12s %s\n", what, words);
}

static void print_port(FILE *out, const struct tryst_nat *n)
{
    static const struct word table[] = {
        {"preserve", "the number of the local port"}, {"random", "drawn at random"}, {NULL, NULL}};
    char text[128];
    unsigned low, high;
    const char *allocation = tryst_nat_allocation(n);

    (void)snprintf(text, sizeof(text), "%s", words_for(table, allocation));
    if (is(allocation, "offset"))
        (void)snprintf(text, sizeof(text), "the number of the local port %+ld", tryst_nat_delta(n));
    else if (is(allocation, "counter"))
        (void)snprintf(text, sizeof(text), "counted: the last one %+ld; others take %.1f a second",
                       tryst_nat_delta(n), tryst_nat_drift(n));
    else if (tryst_nat_block(n, &low, &high) == 0)
        (void)snprintf(text, sizeof(text), "drawn at random from %u to %u", low, high);
    print_row(out, "public port", text);
}

static void print_translation(FILE *out, const struct tryst_nat *n)
{
    static const struct word table[] = {{"eim", "one for all destinations"},
                                        {"adm", "another one for each remote address"},
                                        {"apdm", "another one for each destination"},
                                        {NULL, NULL}};

    if (is(tryst_nat_mapping(n), "none")) {
        print_row(out, "translation", "none: the address is this host's own");
        return;
    }
    print_port(out, n);
    print_row(out, "mapping", words_for(table, tryst_nat_mapping(n)));
}

static void print_knowledge(FILE *out, const struct tryst_nat *n)
{
    char text[128];
    int confidence = tryst_nat_confidence(n);
    unsigned long samples = tryst_nat_samples(n);
    bool young = samples < YOUNG_SAMPLES || confidence < YOUNG_CONFIDENCE;

    (void)snprintf(text, sizeof(text), "%d %%, from %lu observation%s%s", confidence, samples,
                   samples == 1 ? "" : "s",
                   young ? "; a young profile, take the chances with care" : "");
    print_row(out, "confidence", text);
}

static void print_nat(FILE *out, const struct tryst_nat *n)
{
    static const struct word filtering[] = {
        {"eif", "anybody, at a port that is mapped"},
        {"adf", "addresses that were sent to first"},
        {"apdf", "only whom was sent to first, address and port"},
        {NULL, NULL}};
    static const struct word refusal[] = {{"silence", "dropped"},
                                          {"rst", "answered with RST"},
                                          {"icmp", "answered with ICMP"},
                                          {NULL, NULL}};

    (void)fprintf(out, "Your %s, seen at %s (IPv%d): %s\n",
                  is(tryst_nat_mapping(n), "none") ? "host" : "NAT", tryst_nat_address(n),
                  tryst_nat_family(n), tryst_nat_words(n));
    print_translation(out, n);
    print_row(out, "lets in", words_for(filtering, tryst_nat_filtering(n)));
    print_row(out, "stray SYNs", words_for(refusal, tryst_nat_refusal(n)));
    if (is(tryst_nat_pooling(n), "arbitrary"))
        print_row(out, "address", "another one for each connection");
    print_knowledge(out, n);
    (void)fprintf(out, "\n");
}

/* ---- a chance ---- */

/* Neither sure nor hopeless by rounding alone. */
static const char *percent(double chance, char text[16])
{
    if (chance <= 0 || chance >= 1)
        (void)snprintf(text, 16, "%d %%", chance <= 0 ? 0 : 100);
    else if (chance < 0.01 || chance > 0.99)
        (void)snprintf(text, 16, "%s %%", chance < 0.01 ? "<1" : ">99");
    else
        (void)snprintf(text, 16, "%.0f %%", chance * 100);
    return text;
}

static const char *color_of(const char *level, bool color)
{
    static const struct word table[] = {{"sure", "\033[32m"}, {"likely", "\033[32m"},
                                        {"even", "\033[33m"}, {"poor", "\033[33m"},
                                        {"no", "\033[31m"},   {NULL, NULL}};

    return color ? words_for(table, level) : "";
}

static const char *color_end(bool color)
{
    return color ? "\033[0m" : "";
}

static bool birthday_helps(const struct tryst_prospect *p)
{
    return tryst_prospect_birthday(p) - tryst_prospect_chance(p) >= BIRTHDAY_HELPS;
}

static bool below_likely(const struct tryst_prospect *p)
{
    const char *level = tryst_prospect_level(p);

    return !is(level, "sure") && !is(level, "likely");
}

/* ---- against kinds ---- */

static void print_prospect(FILE *out, const struct tryst_prospect *p, bool color)
{
    const char *level = tryst_prospect_level(p);
    char now[16], then[16];

    (void)fprintf(out, "  %-52s %5s  %s%s%s", tryst_prospect_words(p),
                  percent(tryst_prospect_chance(p), now), color_of(level, color), level,
                  color_end(color));
    if (below_likely(p) && birthday_helps(p))
        (void)fprintf(out, "%*s%s with --birthday on both sides", (int)(8 - strlen(level)), "",
                      percent(tryst_prospect_birthday(p), then));
    (void)fprintf(out, "\n");
}

static bool told_before(const struct tryst_outlook *o, int i)
{
    int reason = tryst_prospect_reason(tryst_outlook_prospect(o, i));

    for (int k = 0; k < i; k++)
        if (tryst_prospect_reason(tryst_outlook_prospect(o, k)) == reason)
            return true;
    return reason == TRYST_OK;
}

/* Why not, and what would help, once for each reason. */
static void print_reasons(FILE *out, const struct tryst_outlook *o)
{
    for (int i = 0; i < tryst_outlook_prospects(o); i++) {
        int reason = tryst_prospect_reason(tryst_outlook_prospect(o, i));
        if (!told_before(o, i))
            (void)fprintf(out, "no: %s.\n    What helps: %s.\n", tryst_strerror(reason),
                          tryst_advice(reason));
    }
}

void cli_outlook_print_kinds(FILE *out, const struct tryst_outlook *o, bool color)
{
    for (int i = 0; i < tryst_outlook_nats(o); i++)
        print_nat(out, tryst_outlook_nat(o, i));
    (void)fprintf(out, "A direct connection with\n");
    for (int i = 0; i < tryst_outlook_prospects(o); i++)
        print_prospect(out, tryst_outlook_prospect(o, i), color);
    (void)fprintf(out, "\nThe chance is that of the first round; a session has up to %d.\n",
                  tryst_outlook_rounds(o));
    print_reasons(out, o);
}

/* ---- with one peer ---- */

static void print_verdict(FILE *out, const char *who, const struct tryst_outlook *o, bool color)
{
    static const struct word table[] = {{"sure", "is as good as sure"},
                                        {"likely", "is likely"},
                                        {"even", "may come about, or not"},
                                        {"poor", "is unlikely"},
                                        {NULL, NULL}};
    const struct tryst_prospect *p = tryst_outlook_prospect(o, 0);
    const char *level = tryst_prospect_level(p);
    char now[16];

    if (is(level, "no") && tryst_outlook_same_address(o))
        (void)fprintf(out, "%s: perhaps, but only by private addresses\n", who);
    else if (is(level, "no"))
        (void)fprintf(out, "%s: %sno direct connection%s: %s\n", who, color_of(level, color),
                      color_end(color), tryst_strerror(tryst_prospect_reason(p)));
    else
        (void)fprintf(out, "%s: a direct connection %s%s%s (%s in the first of %d rounds, IPv%d)\n",
                      who, color_of(level, color), words_for(table, level), color_end(color),
                      percent(tryst_prospect_chance(p), now), tryst_outlook_rounds(o),
                      tryst_prospect_family(p));
}

static void print_sides(FILE *out, const struct tryst_outlook *o)
{
    const struct tryst_prospect *p = tryst_outlook_prospect(o, 0);

    for (int i = 0; i < tryst_outlook_nats(o); i++)
        (void)fprintf(out, "  here   %s: %s\n", tryst_nat_address(tryst_outlook_nat(o, i)),
                      tryst_nat_words(tryst_outlook_nat(o, i)));
    (void)fprintf(out, "  there  %s\n", tryst_nat_words(tryst_prospect_nat(p)));
}

static void print_help(FILE *out, const struct tryst_outlook *o)
{
    const struct tryst_prospect *p = tryst_outlook_prospect(o, 0);
    int reason = tryst_prospect_reason(p);
    char then[16];

    if (tryst_outlook_same_address(o))
        (void)fprintf(out, "  Both come from one public address: their private addresses are tried "
                           "as well, and may reach each other.\n");
    if (!below_likely(p))
        return;
    if (birthday_helps(p))
        (void)fprintf(out, "  What helps: --birthday on both sides (%s).\n",
                      percent(tryst_prospect_birthday(p), then));
    (void)fprintf(out, "  What helps: %s.\n",
                  reason ? tryst_advice(reason) : tryst_advice(TRYST_UNPREDICTABLE));
}

void cli_outlook_print_peer(FILE *out, const char *who, const struct tryst_outlook *o, bool color)
{
    print_verdict(out, who, o, color);
    print_sides(out, o);
    print_help(out, o);
}

/* A NAT by itself is neither good nor bad. */
int cli_outlook_status(const struct tryst_outlook *o)
{
    uint8_t key[TRYST_KEY_SIZE];

    if (tryst_outlook_peer_key(o, key) != 0 || tryst_outlook_same_address(o))
        return CLI_OK;
    return reason_exit_status((unsigned)tryst_prospect_reason(tryst_outlook_prospect(o, 0)));
}
