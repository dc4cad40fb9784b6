/* SPDX-License-Identifier: ISC */
#include "tests/sim/sim_report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What of the oracle's chance a cell must reach, within two standard errors. */
#define SHARE 0.98
/* Cells where even the oracle rarely meets: there, refusing is right. */
#define HOPELESS 0.05
#define DECILES  10
#define ERRORS   2.0

static const double target[SIM_POPULATION_COUNT] = {0.92, 0.75};

struct tally {
    unsigned pairs, met, drawn;
    double oracle, syns, observations;
    unsigned first; /* met in the first round */
    float *took;
    unsigned took_count;
};

struct decile {
    unsigned plans, met;
    double stated, variance;
};

/* ---- counting ---- */

static bool tally_open(struct tally *t, size_t pairs)
{
    memset(t, 0, sizeof(*t));
    t->took = malloc((pairs ? pairs : 1) * sizeof(*t->took));
    return t->took != NULL;
}

static void tally_add(struct tally *t, const struct sim_record *r)
{
    t->pairs++;
    t->drawn += r->drawn;
    t->met += r->met;
    t->oracle += r->oracle;
    t->syns += r->syns[0] + r->syns[1];
    t->observations += r->observations;
    if (!r->met)
        return;
    t->first += r->met_round == 1;
    t->took[t->took_count++] = r->took;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

static double median(struct tally *t)
{
    if (t->took_count == 0)
        return 0;
    qsort(t->took, t->took_count, sizeof(*t->took), by_size);
    return (double)t->took[t->took_count / 2];
}

/* ---- one line of the tables ---- */

static bool falls_short(const struct tally *t)
{
    double share = (double)t->met / t->pairs, oracle = t->oracle / t->pairs;
    double error = sqrt(fmax(oracle * (1 - oracle), share * (1 - share)) / t->pairs);

    return oracle > HOPELESS && share + ERRORS * error < SHARE * oracle;
}

static void print_head(FILE *out)
{
    fprintf(out, "  %-26s %8s %8s %8s %7s %7s %7s %7s\n", "pair", "pairs", "success", "oracle",
            "share", "SYNs", "observ.", "median");
}

static bool print_line(FILE *out, const char *name, struct tally *t)
{
    double pairs = t->pairs, oracle = t->oracle / pairs, success = t->met / pairs;
    bool low = falls_short(t);

    fprintf(out, "  %-26s %8u %7.2f%% %7.2f%%", name, t->pairs, 100 * success, 100 * oracle);
    if (oracle > HOPELESS)
        fprintf(out, " %7.3f", success / oracle);
    else
        fprintf(out, " %7s", "-");
    fprintf(out, " %7.1f %7.1f", t->syns / pairs, t->observations / pairs);
    if (t->met > 0)
        fprintf(out, " %6.2fs", median(t));
    else
        fprintf(out, " %7s", "-");
    fprintf(out, "%s\n", low ? "  LOW" : "");
    return low;
}

/* ---- the tables ---- */

static unsigned print_cell(FILE *out, const struct sim_options *o, const struct sim_record *records,
                           unsigned population, int a, int b)
{
    size_t count = sim_record_count(o), n;
    struct tally t;
    char name[64];
    unsigned low = 0;

    if (!tally_open(&t, count))
        abort();
    for (n = 0; n < count; n++)
        if (records[n].population == population && records[n].kind[0] == a &&
            records[n].kind[1] == b)
            tally_add(&t, &records[n]);
    snprintf(name, sizeof(name), "%s x %s", sim_kind_name((enum sim_kind)a),
             sim_kind_name((enum sim_kind)b));
    if (t.pairs > 0)
        low = print_line(out, name, &t);
    free(t.took);
    return low;
}

static unsigned print_overall(FILE *out, const struct sim_options *o,
                              const struct sim_record *records, unsigned population)
{
    size_t count = sim_record_count(o), n;
    unsigned overdrawn = 0, missed = 0;
    struct tally t;

    if (!tally_open(&t, count))
        abort();
    for (n = 0; n < count; n++) {
        if (records[n].population != population)
            continue;
        overdrawn += records[n].overdrawn;
        if (records[n].drawn)
            tally_add(&t, &records[n]);
    }
    if (t.pairs > 0) {
        missed += print_line(out, "all, as they occur", &t);
        fprintf(out,
                "  first round: %.2f%% of the successes; more than half of a block: %u pairs\n",
                t.met ? 100.0 * t.first / t.met : 0, overdrawn);
        if (o->kind[0] < 0 && o->limits.birthday && t.met < target[population] * t.pairs) {
            fprintf(out, "  MISSED: at least %.0f%% overall\n", 100 * target[population]);
            missed++;
        }
    }
    free(t.took);
    return missed + (overdrawn > 0);
}

static unsigned print_population(FILE *out, const struct sim_options *o,
                                 const struct sim_record *records, unsigned population)
{
    unsigned low = 0;
    int a, b;

    fprintf(out, "\n%s-heavy population\n", sim_population_name((enum sim_population)population));
    print_head(out);
    for (a = 0; a < SIM_KIND_COUNT; a++)
        for (b = a; b < SIM_KIND_COUNT; b++)
            low += print_cell(out, o, records, population, a, b);
    fprintf(out, "  cells below %.2f of the oracle (LOW): %u\n\n", SHARE, low);
    return low + print_overall(out, o, records, population);
}

/* ---- calibration ---- */

static void count_plans(struct decile d[DECILES], const struct sim_record *r)
{
    unsigned i, at;

    for (i = 0; i < r->rounds; i++) {
        double chance = (double)r->chance[i];

        /* What an earlier round decided says nothing about this one. */
        if (r->met && r->met_round < i + 1u)
            break;
        at = (unsigned)(chance * DECILES);
        at = at < DECILES ? at : DECILES - 1;
        d[at].plans++;
        d[at].met += r->met && r->met_round == i + 1u;
        d[at].stated += chance;
        d[at].variance += chance * (1 - chance);
    }
}

static unsigned print_calibration(FILE *out, const struct sim_options *o,
                                  const struct sim_record *records)
{
    struct decile d[DECILES] = {{0}};
    size_t count = sim_record_count(o), n;
    unsigned i, off = 0;

    for (n = 0; n < count; n++)
        if (records[n].drawn)
            count_plans(d, &records[n]);
    fprintf(out,
            "\ncalibration: all plans of the pairs as they occur\n  %-9s %9s %9s %9s %9s %7s\n",
            "stated", "plans", "mean", "observed", "error", "z");
    for (i = 0; i < DECILES; i++) {
        double plans = d[i].plans, error, z;

        if (d[i].plans == 0)
            continue;
        error = sqrt(fmax(d[i].variance, 0.25) / plans / plans);
        z = (d[i].met / plans - d[i].stated / plans) / error;
        off += fabs(z) > ERRORS;
        fprintf(out, "  %.1f - %.1f %9u %9.4f %9.4f %9.4f %7.2f%s\n", i / 10.0, (i + 1) / 10.0,
                d[i].plans, d[i].stated / plans, d[i].met / plans, error, z,
                fabs(z) > ERRORS ? "  OFF" : "");
    }
    fprintf(out, "  deciles that are off by more than %.0f standard errors: %u\n", ERRORS, off);
    return off;
}

unsigned sim_report(FILE *out, const struct sim_options *o, const struct sim_record *records)
{
    unsigned p, missed = 0;

    fprintf(out, "seed %llu, %u pairs as they occur, %u more of each pair of kinds;\n",
            (unsigned long long)o->seed, o->pairs, o->kind[0] < 0 ? o->cell : 0);
    fprintf(out, "budget %u SYNs a round and side, %s; %u rounds, %.0f s\n", o->limits.budget,
            o->limits.birthday ? "both sides consent to birthday" : "no consent to birthday",
            (unsigned)SIM_ROUNDS, tick_seconds(SIM_SPAN));
    for (p = 0; p < SIM_POPULATION_COUNT; p++)
        if (o->population < 0 || o->population == (int)p)
            missed += print_population(out, o, records, p);
    missed += print_calibration(out, o, records);
    fprintf(out, "\n%u targets missed\n", missed);
    return missed;
}

void sim_report_raw(FILE *out, const struct sim_options *o, const struct sim_record *records)
{
    size_t count = sim_record_count(o), n;
    unsigned i;

    fprintf(out, "population\tkind_a\tkind_b\tdrawn\tmet\tround\trounds\tseconds\tsyns_a\tsyns_b\t"
                 "observations\toracle\toverdrawn\tchances\n");
    for (n = 0; n < count; n++) {
        const struct sim_record *r = &records[n];

        fprintf(out, "%s\t%s\t%s\t%d\t%d\t%u\t%u\t%.4f\t%u\t%u\t%u\t%.4f\t%d",
                sim_population_name((enum sim_population)r->population),
                sim_kind_name((enum sim_kind)r->kind[0]), sim_kind_name((enum sim_kind)r->kind[1]),
                r->drawn, r->met, r->met_round, r->rounds, (double)(r->met ? r->took : 0),
                r->syns[0], r->syns[1], r->observations, (double)r->oracle, r->overdrawn);
        for (i = 0; i < r->rounds; i++)
            fprintf(out, "\t%.4f", (double)r->chance[i]);
        fputc('\n', out);
    }
}
