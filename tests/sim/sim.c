/* SPDX-License-Identifier: ISC */
/*
 * The simulator: the daemon's own survey, predict, plan and schedule against NAT models under a
 * virtual clock, beside what a planner that knows both NATs could reach.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/sim_report.h"

#define JOBS_MAX 64

static const char usage[] =
    "Usage: sim [OPTION...]\n"
    "Plays introductions of peers behind NATs, and prints how many succeed.\n"
    "\n"
    "  --pairs N          pairs as the populations have them (100000)\n"
    "  --cell N           and so many of each pair of kinds, for the table (400)\n"
    "  --seed S           1\n"
    "  --population NAME  home or mobile; both\n"
    "  --pair K1 K2       only these kinds: public, P1 ... P9\n"
    "  --budget N         SYNs a round and side, consent to birthday included (512);\n"
    "                     64: without consent\n"
    "  --jobs N           processes (one a processor)\n"
    "  --raw FILE         one line a pair, tab-separated\n"
    "  --check            exit status 1 when a target is missed\n";

enum {
    OPT_PAIRS = 256,
    OPT_CELL,
    OPT_SEED,
    OPT_POPULATION,
    OPT_PAIR,
    OPT_BUDGET,
    OPT_JOBS,
    OPT_RAW,
    OPT_CHECK,
    OPT_HELP
};

static const struct option options[] = {
    {"pairs", required_argument, NULL, OPT_PAIRS},
    {"cell", required_argument, NULL, OPT_CELL},
    {"seed", required_argument, NULL, OPT_SEED},
    {"population", required_argument, NULL, OPT_POPULATION},
    {"pair", required_argument, NULL, OPT_PAIR},
    {"budget", required_argument, NULL, OPT_BUDGET},
    {"jobs", required_argument, NULL, OPT_JOBS},
    {"raw", required_argument, NULL, OPT_RAW},
    {"check", no_argument, NULL, OPT_CHECK},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

struct command {
    struct sim_options sim;
    const char *raw;
    bool check;
};

static _Noreturn void bad(const char *what, const char *value)
{
    fprintf(stderr, "sim: %s: '%s'\n%s", what, value, usage);
    exit(2);
}

static unsigned long number(const char *text, unsigned long low, unsigned long high)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*text == '\0' || *text == '-' || *end != '\0' || n < low || n > high)
        bad("not a number in range", text);
    return n;
}

static int kind(const char *name)
{
    int k = sim_kind_from_name(name);

    if (k < 0)
        bad("no such kind", name);
    return k;
}

static unsigned processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n > JOBS_MAX ? JOBS_MAX : (unsigned)n;
}

static void set_budget(struct command *c, const char *text)
{
    c->sim.limits.budget = (uint16_t)number(text, 1, 512);
    c->sim.limits.birthday = c->sim.limits.budget > 64;
}

static void take(struct command *c, int option, char **argv, int argc)
{
    switch (option) {
    case OPT_PAIRS:
        c->sim.pairs = (unsigned)number(optarg, 1, 100000000);
        break;
    case OPT_CELL:
        c->sim.cell = (unsigned)number(optarg, 0, 1000000);
        break;
    case OPT_SEED:
        c->sim.seed = number(optarg, 0, UINT32_MAX);
        break;
    case OPT_POPULATION:
        c->sim.population = sim_population_from_name(optarg);
        if (c->sim.population < 0)
            bad("no such population", optarg);
        break;
    case OPT_PAIR:
        if (optind >= argc)
            bad("two kinds are needed", optarg);
        c->sim.kind[0] = kind(optarg);
        c->sim.kind[1] = kind(argv[optind++]);
        break;
    case OPT_BUDGET:
        set_budget(c, optarg);
        break;
    case OPT_JOBS:
        c->sim.jobs = (unsigned)number(optarg, 1, JOBS_MAX);
        break;
    case OPT_RAW:
        c->raw = optarg;
        break;
    case OPT_CHECK:
        c->check = true;
        break;
    case OPT_HELP:
        fputs(usage, stdout);
        exit(0);
    default:
        fputs(usage, stderr);
        exit(2);
    }
}

static struct command read_command(int argc, char **argv)
{
    struct command c = {
        .sim = {.pairs = 100000,
                .cell = 400,
                .jobs = processors(),
                .seed = 1,
                .population = -1,
                .kind = {-1, -1},
                .limits = {.budget = 512, .birthday = true}},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        take(&c, option, argv, argc);
    if (optind < argc)
        bad("not understood", argv[optind]);
    return c;
}

static bool write_raw(const struct command *c, const struct sim_record *records)
{
    FILE *f = fopen(c->raw, "w");

    if (f == NULL)
        return false;
    sim_report_raw(f, &c->sim, records);
    return fclose(f) == 0;
}

int main(int argc, char **argv)
{
    struct command c = read_command(argc, argv);
    struct sim_record *records = sim_record_play(&c.sim);
    unsigned missed;

    if (records == NULL) {
        fputs("sim: cannot play\n", stderr);
        return 3;
    }
    missed = sim_report(stdout, &c.sim, records);
    if (c.raw != NULL && !write_raw(&c, records)) {
        perror(c.raw);
        missed = 1;
    }
    sim_record_free(records, &c.sim);
    return c.check && missed > 0;
}
