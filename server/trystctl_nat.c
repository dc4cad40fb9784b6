/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "trystctl.h"

/* One NAT: what was learnt of it, and the observations behind that. */

#define PLOT_ROWS    12
#define PLOT_COLUMNS 64 /* as many as the store keeps */

struct range {
    int64_t low, high;
};

static struct range ports_of(const json_t *list)
{
    struct range r = {65535, 0};

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        int64_t port = ctl_int(o, "port");
        r.low = port < r.low ? port : r.low;
        r.high = port > r.high ? port : r.high;
    }
    return r;
}

/* Ports over observations in order: a counter is a slope, a block a band, random ports are rain. */
static void plot(const json_t *list)
{
    char grid[PLOT_ROWS][PLOT_COLUMNS + 1];
    struct range r = ports_of(list);
    size_t count = json_array_size(list);
    size_t first = count > PLOT_COLUMNS ? count - PLOT_COLUMNS : 0;
    int64_t span = r.high - r.low + 1;

    if (count < 4)
        return;
    memset(grid, ' ', sizeof(grid));
    for (size_t i = first; i < count; i++) {
        int64_t port = ctl_int(json_array_get(list, i), "port");
        int64_t row = PLOT_ROWS - 1 - (port - r.low) * PLOT_ROWS / span;
        grid[row][i - first] = '*';
    }
    ctl_heading("Public ports, oldest to newest");
    for (size_t row = 0; row < PLOT_ROWS; row++) {
        char label[24] = "";
        if (row == 0 || row == PLOT_ROWS - 1)
            snprintf(label, sizeof(label), "%" PRId64, row ? r.low : r.high);
        printf("  %5s |%.*s\n", label, (int)(count - first), grid[row]);
    }
}

static void history(const json_t *list)
{
    static const struct ctl_column columns[] = {
        {"SEEN", false, false, 0}, {"PORT", true, false, 0},   {"STEP", true, false, 0},
        {"LOCAL", false, true, 2}, {"SERVER", false, true, 3}, {"BURST", false, false, 4},
        {"PEER", false, true, 1},
    };
    struct ctl_table *t = ctl_table(columns, COUNT(columns));
    int64_t before = -1;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        int64_t port = ctl_int(o, "port");
        ctl_cell(t, CTL_PLAIN, ctl_when(o, "at"));
        ctl_cell(t, CTL_PLAIN, ctl_format("%" PRId64, port));
        ctl_cell(t, CTL_DIM, before < 0 ? "" : ctl_format("%+" PRId64, port - before));
        ctl_cell(t, CTL_PLAIN, ctl_has(o, "local") ? ctl_text(o, "local") : "-");
        ctl_cell(t, CTL_PLAIN, ctl_has(o, "server") ? ctl_text(o, "server") : "-");
        ctl_cell(t, CTL_PLAIN, ctl_true(o, "burst") ? "yes" : "no");
        ctl_cell(t, CTL_PLAIN, ctl_short(ctl_text(o, "peer"), 8));
        before = port;
    }
    ctl_table_end(t);
}

/* --- in plain words --- */

struct words {
    const char *word, *meaning;
};

static const char *meaning(const struct words *words, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i].word, word) == 0)
            return words[i].meaning;
    return "is not known";
}

#define MEANING(words, word) meaning(words, COUNT(words), word)

static void tell_line(const char *label, const char *text)
{
    ctl_say("%s: %s.", label, text);
    ctl_paragraph_end(2);
}

static void tell_allocation(const json_t *nat)
{
    const char *allocation = ctl_text(nat, "allocation");
    const json_t *block = json_object_get(nat, "block");
    int64_t delta = ctl_int(nat, "delta");

    if (strcmp(allocation, "counter") == 0)
        tell_line("Allocation",
                  ctl_format("counts: each new mapping gets the last port %+" PRId64, delta));
    else if (strcmp(allocation, "offset") == 0)
        tell_line("Allocation", ctl_format("public port = local port %+" PRId64, delta));
    else if (strcmp(allocation, "preserve") == 0)
        tell_line("Allocation", "keeps the local port");
    else if (strcmp(allocation, "block") == 0)
        tell_line("Allocation", "at random inside a block that it gives to each subscriber");
    else if (strcmp(allocation, "random") == 0)
        tell_line("Allocation", "at random: no port can be foretold");
    if (json_array_size(block) == 2)
        tell_line("Block", ctl_format("ports %" PRId64 " to %" PRId64,
                                      (int64_t)json_integer_value(json_array_get(block, 0)),
                                      (int64_t)json_integer_value(json_array_get(block, 1))));
    if (strcmp(allocation, "counter") == 0)
        tell_line("Drift", ctl_format("other subscribers take %.1f ports a second",
                                      ctl_real(nat, "drift_per_second")));
}

static const char *confidence_words(int64_t confidence)
{
    return confidence >= 80   ? "sure"
           : confidence >= 50 ? "fairly sure"
                              : "hardly more than a guess";
}

static void tell_learnt(const json_t *n)
{
    static const struct words mapping[] = {
        {"none", "there is no NAT: public and local address are the same"},
        {"eim", "one public port for a local port, whoever is talked to (endpoint-independent)"},
        {"adm", "another public port for each remote address"},
        {"apdm", "another public port for each remote address and port"},
    };
    static const struct words filtering[] = {
        {"eif", "lets anybody in at a port that is mapped"},
        {"adf", "lets in whoever's address was sent to before"},
        {"apdf", "lets in only what was sent to before, address and port"},
    };
    static const struct words refusal[] = {
        {"silence", "a SYN that nobody waits for is dropped in silence"},
        {"rst", "a SYN that nobody waits for is answered with RST"},
        {"icmp", "a SYN that nobody waits for is answered with ICMP"},
    };
    const json_t *nat = json_object_get(n, "nat");
    int64_t hits = ctl_int(n, "hits"), misses = ctl_int(n, "misses");

    ctl_heading("What was learnt");
    tell_line("Mapping", MEANING(mapping, ctl_text(nat, "mapping")));
    tell_allocation(nat);
    tell_line("Filtering", MEANING(filtering, ctl_text(nat, "filtering")));
    tell_line("Refusal", MEANING(refusal, ctl_text(nat, "refusal")));
    if (strcmp(ctl_text(nat, "pooling"), "arbitrary") == 0)
        tell_line("Pooling", "connections of one host come from several public addresses");
    if (ctl_true(nat, "double"))
        tell_line("Double", "a second NAT is seen behind it");
    if (ctl_true(nat, "no_simultaneous_open"))
        tell_line("Crossing", "drops a SYN that crosses its own: who starts first matters");
    tell_line("Confidence", ctl_format("%" PRId64 "%%, %s: from %s%s", ctl_int(nat, "confidence"),
                                       confidence_words(ctl_int(nat, "confidence")),
                                       ctl_count(ctl_int(nat, "samples"), "observation"),
                                       hits + misses ? ctl_format(", and %" PRId64 " of %" PRId64
                                                                  " rounds met as foretold",
                                                                  hits, hits + misses)
                                                     : ""));
}

void ctl_print_nat(const json_t *answer)
{
    const json_t *live = json_array_get(json_object_get(answer, "nats"), 0);
    const json_t *n = live ? live : json_object_get(answer, "stored");
    const json_t *list = json_object_get(answer, "observations");

    printf("%sNAT %s%s\n", ctl_colour(CTL_BOLD), ctl_text(n, "address"), ctl_colour(CTL_PLAIN));
    ctl_say("%s.", live ? ctl_format("Peers behind it now: %" PRId64, ctl_int(n, "peers"))
                        : "No peer is behind it now");
    if (ctl_has(n, "learnt"))
        ctl_say(" Last learnt: %s.", ctl_when(n, "learnt"));
    ctl_paragraph_end(0);
    if (n && !json_is_null(n))
        tell_learnt(n);
    if (json_array_size(list) == 0)
        return;
    plot(list);
    ctl_heading("Observations");
    history(list);
}
