/* SPDX-License-Identifier: ISC */
#include "client-stub/cli_progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client-stub/cli_say.h"

#define LINE_SIZE 1024
/* How often the countdown moves. */
#define REDRAW_MS 50

/* What the stages are called here; the library's names are made for programs. */
static const char *const stage_words[TRYST_STAGE_COUNT] = {
    [TRYST_STAGE_START] = "started",       [TRYST_STAGE_REGISTERED] = "registered",
    [TRYST_STAGE_REQUESTED] = "requested", [TRYST_STAGE_PREPARED] = "prepared",
    [TRYST_STAGE_PLANNED] = "predicted",   [TRYST_STAGE_PUNCHED] = "punched",
    [TRYST_STAGE_OPENED] = "opened",       [TRYST_STAGE_PROVEN] = "proven",
};

void cli_progress_start(struct progress *p, const char *who, bool live)
{
    *p = (struct progress){
        .who = who, .steps = cli_say_level() >= SAY_STEPS, .live = live && cli_say_can_live()};
    for (int i = 0; i < TRYST_STAGE_COUNT; i++)
        p->shown[i] = -1;
}

static const char *stage_word(const struct tryst_report *report, enum tryst_stage stage)
{
    if (stage == TRYST_STAGE_REQUESTED && tryst_report_incoming(report))
        return "invited";
    return stage_words[stage];
}

static void append(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void append(char *out, size_t size, const char *format, ...)
{
    size_t at = strlen(out);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(out + at, size - at, format, args);
    va_end(args);
}

static void append_chance(char *out, size_t size, double chance)
{
    if (chance >= 0)
        append(out, size, "%.1f %% chance", chance * 100);
}

/* What a stage has to tell, beyond having been reached. */
static void append_detail(char *out, size_t size, const struct tryst_report *r,
                          enum tryst_stage stage)
{
    const char *local = tryst_report_local_nat(r), *remote = tryst_report_remote_nat(r);

    switch (stage) {
    case TRYST_STAGE_PLANNED:
        append(out, size, "  ");
        append_chance(out, size, tryst_report_chance(r));
        if (*local)
            append(out, size, "; here: %s; there: %s", local, remote);
        break;
    case TRYST_STAGE_PUNCHED:
        append(out, size, "   %lld us after its moment", (long long)tryst_report_late(r));
        break;
    default:
        break;
    }
}

static void print_stage(const struct progress *p, const struct tryst_report *r,
                        enum tryst_stage stage)
{
    char line[LINE_SIZE] = "";
    int64_t start_in = tryst_report_start_in(r);

    append(line, sizeof(line), "%s: %8.1f ms  %s", p->who,
           (double)tryst_report_time(r, stage) / 1000, stage_word(r, stage));
    append_detail(line, sizeof(line), r, stage);
    if (stage == TRYST_STAGE_PLANNED && start_in > 0)
        append(line, sizeof(line), "; T-%.1f ms", (double)start_in / 1000);
    cli_say_step("%s", line);
}

/*
 * The stages that were reached, in the order of their times: a request may be on its way before the
 * registration is confirmed. Returns how many.
 */
static int reached(const struct tryst_report *r, enum tryst_stage out[TRYST_STAGE_COUNT])
{
    int count = 0;

    for (int i = TRYST_STAGE_REGISTERED; i < TRYST_STAGE_COUNT; i++) {
        int64_t t = tryst_report_time(r, (enum tryst_stage)i);
        int at = count;
        if (t < 0)
            continue;
        for (; at > 0 && tryst_report_time(r, out[at - 1]) > t; at--)
            out[at] = out[at - 1];
        out[at] = (enum tryst_stage)i;
        count++;
    }
    return count;
}

static void print_new(struct progress *p, const struct tryst_report *r)
{
    enum tryst_stage stages[TRYST_STAGE_COUNT];
    int count = reached(r, stages);

    for (int i = 0; i < count; i++) {
        int64_t t = tryst_report_time(r, stages[i]);
        if (t == p->shown[stages[i]])
            continue;
        p->shown[stages[i]] = t;
        /* A terminal keeps what is worth reading later: the prediction. */
        if (!p->live || stages[i] == TRYST_STAGE_PLANNED)
            print_stage(p, r, stages[i]);
    }
}

static void draw(const struct progress *p, const struct tryst_report *r)
{
    char line[LINE_SIZE] = "";
    enum tryst_stage stages[TRYST_STAGE_COUNT];
    int count = reached(r, stages);
    int64_t start_in = tryst_report_start_in(r);
    bool planned = tryst_report_time(r, TRYST_STAGE_PLANNED) >= 0;

    append(line, sizeof(line), "%s:", p->who);
    for (int i = 0; i < count; i++)
        append(line, sizeof(line), " %s %.0f", stage_word(r, stages[i]),
               (double)tryst_report_time(r, stages[i]) / 1000);
    append(line, sizeof(line), " ms");
    if (planned && start_in > 0)
        append(line, sizeof(line), ", T-%.0f ms", (double)start_in / 1000);
    else if (tryst_report_time(r, TRYST_STAGE_PROVEN) < 0)
        append(line, sizeof(line), " ...");
    cli_say_live(line);
}

int cli_progress_update(struct progress *p, const struct tryst_report *report)
{
    if (!p->steps || !report)
        return -1;
    print_new(p, report);
    if (!p->live)
        return -1;
    draw(p, report);
    return REDRAW_MS;
}

void cli_progress_round_lost(struct progress *p, const struct tryst_report *report)
{
    if (p->steps && report)
        cli_say_step("%s: round %d met nobody", p->who, tryst_report_rounds(report));
}

static const char *plural(int n)
{
    return n == 1 ? "" : "s";
}

void cli_progress_summary(const struct progress_facts *facts, char *out, size_t size)
{
    long long late = (long long)facts->late_us;

    out[0] = '\0';
    append(out, size,
           "connected to %s over IPv%d in %.0f ms: local %s <-> remote %s, %d round%s, %d SYN%s",
           facts->who, facts->family, (double)facts->took_us / 1000, facts->local, facts->remote,
           facts->rounds, plural(facts->rounds), facts->syns, plural(facts->syns));
    append(out, size, ", start missed by %lld us", late < 0 ? -late : late);
    if (facts->chance >= 0)
        append(out, size, ", predicted chance %.1f %%", facts->chance * 100);
}

void cli_progress_end(struct progress *p, const struct tryst_report *report)
{
    char line[LINE_SIZE];

    cli_say_live(NULL);
    if (!p->steps || !report || tryst_report_reason(report) != TRYST_OK)
        return;
    struct progress_facts facts = {
        .who = p->who,
        .local = tryst_report_local_endpoint(report),
        .remote = tryst_report_remote_endpoint(report),
        .family = tryst_report_family(report),
        .rounds = tryst_report_rounds(report),
        .syns = tryst_report_syns(report),
        .took_us = tryst_report_time(report, TRYST_STAGE_PROVEN),
        .late_us = tryst_report_late(report),
        .chance = tryst_report_chance(report),
    };
    cli_progress_summary(&facts, line, sizeof(line));
    cli_say_step("%s", line);
}
