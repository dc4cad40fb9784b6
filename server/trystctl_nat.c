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
    struct ctl_table *t = ctl_table(columns, sizeof(columns) / sizeof(columns[0]));
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

void ctl_print_nat(const json_t *answer)
{
    const json_t *live = json_array_get(json_object_get(answer, "nats"), 0);
    const json_t *n = live ? live : json_object_get(answer, "stored");
    const json_t *list = json_object_get(answer, "observations");

    printf("%sNAT %s%s\n", ctl_colour(CTL_BOLD), ctl_text(n, "address"), ctl_colour(CTL_PLAIN));
    ctl_say("%s.", ctl_nat(json_object_get(n, "nat")));
    if (ctl_has(n, "learnt"))
        ctl_say(" Last learnt: %s.", ctl_when(n, "learnt"));
    ctl_say(" %s; of %" PRId64 " rounds planned on it, %" PRId64 " met.",
            live ? ctl_format("Peers behind it now: %" PRId64, ctl_int(n, "peers"))
                 : "No peer is behind it now",
            ctl_int(n, "hits") + ctl_int(n, "misses"), ctl_int(n, "hits"));
    ctl_paragraph_end(0);
    if (json_array_size(list) == 0)
        return;
    plot(list);
    ctl_heading("Observations");
    history(list);
}
