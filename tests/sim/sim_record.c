/* SPDX-License-Identifier: ISC */
#include "tests/sim/sim_record.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/sim_oracle.h"
#include "tests/sim/sim_random.h"

#define CELLS (SIM_KIND_COUNT * (SIM_KIND_COUNT + 1) / 2)

/* ---- which pair is which ---- */

static unsigned populations(const struct sim_options *o)
{
    return o->population < 0 ? SIM_POPULATION_COUNT : 1;
}

static bool one_cell(const struct sim_options *o)
{
    return o->kind[0] >= 0;
}

static unsigned per_population(const struct sim_options *o)
{
    return o->pairs / populations(o) + (one_cell(o) ? 0 : CELLS * o->cell);
}

size_t sim_record_count(const struct sim_options *o)
{
    return (size_t)per_population(o) * populations(o);
}

static void name_cell(unsigned cell, int kind[2])
{
    int first = 0;

    while (cell >= (unsigned)(SIM_KIND_COUNT - first)) {
        cell -= (unsigned)(SIM_KIND_COUNT - first);
        first++;
    }
    kind[0] = first;
    kind[1] = first + (int)cell;
}

static void choose_kinds(const struct sim_options *o, enum sim_population p, unsigned n,
                         const struct rng *rng, struct sim_record *r, int kind[2])
{
    int i;

    r->drawn = n < o->pairs / populations(o);
    for (i = 0; i < 2; i++)
        kind[i] = one_cell(o) ? o->kind[i] : (int)sim_population_draw(p, rng);
    if (!r->drawn)
        name_cell((n - o->pairs / populations(o)) % CELLS, kind);
    r->kind[0] = (uint8_t)(kind[0] < kind[1] ? kind[0] : kind[1]);
    r->kind[1] = (uint8_t)(kind[0] < kind[1] ? kind[1] : kind[0]);
}

/* ---- one pair ---- */

static void take_down(const struct sim_session *s, const struct sim_outcome *out,
                      struct sim_record *r)
{
    unsigned i;

    r->met = out->met;
    r->overdrawn = out->overdrawn;
    r->met_round = (uint8_t)out->met_round;
    r->rounds = (uint8_t)out->rounds;
    r->reason = (uint8_t)out->reason;
    r->observations = (uint16_t)out->observations;
    r->took = (float)tick_seconds(out->took);
    r->oracle = (float)sim_oracle_chance(s);
    for (i = 0; i < 2; i++)
        r->syns[i] = (uint16_t)out->syns[i];
    for (i = 0; i < SIM_ROUNDS; i++)
        r->chance[i] = (float)out->chance[i];
}

static void play(const struct sim_options *o, size_t number, struct sim_world *w,
                 struct sim_record *r)
{
    struct sim_session s = {.world = w, .limits = o->limits};
    unsigned p = (unsigned)(number / per_population(o));
    unsigned n = (unsigned)(number % per_population(o));
    struct sim_random random;
    struct rng rng = sim_random_start(&random, o->seed, number);
    struct sim_outcome out;
    int kind[2], i, turn;

    if (o->population >= 0)
        p = (unsigned)o->population;
    r->population = (uint8_t)p;
    choose_kinds(o, (enum sim_population)p, n, &rng, r, kind);
    turn = (int)rng_below(&rng, 2);
    for (i = 0; i < 2; i++)
        sim_population_place((enum sim_population)p, (enum sim_kind)kind[i ^ turn], i, &rng,
                             &w->site[i]);
    s.rng = &rng;
    s.paths = sim_population_paths(&rng);
    sim_session_run(&s, &out);
    take_down(&s, &out, r);
}

/* ---- all of them ---- */

static int work(const struct sim_options *o, unsigned job, struct sim_record *records)
{
    struct sim_world *w = sim_world_new();
    size_t count = sim_record_count(o), n;

    if (w == NULL)
        return 1;
    for (n = job; n < count; n += o->jobs)
        play(o, n, w, &records[n]);
    sim_world_free(w);
    return 0;
}

static bool wait_for(const pid_t *jobs, unsigned count)
{
    bool good = true;
    unsigned i;
    int status;

    for (i = 0; i < count; i++)
        if (waitpid(jobs[i], &status, 0) != jobs[i] || status != 0)
            good = false;
    return good;
}

struct sim_record *sim_record_play(const struct sim_options *o)
{
    size_t size = sim_record_count(o) * sizeof(struct sim_record);
    struct sim_record *records;
    pid_t jobs[64];
    unsigned i;

    /* cppcheck-suppress invalidFunctionArg ; memory without a file */
    records = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (records == MAP_FAILED)
        return NULL;
    for (i = 1; i < o->jobs && i < 64; i++) {
        jobs[i] = fork();
        if (jobs[i] == 0)
            _exit(work(o, i, records));
        if (jobs[i] < 0)
            _exit(1);
    }
    if (work(o, 0, records) != 0 || !wait_for(jobs + 1, i - 1)) {
        munmap(records, size);
        return NULL;
    }
    return records;
}

void sim_record_free(struct sim_record *records, const struct sim_options *o)
{
    munmap(records, sim_record_count(o) * sizeof(*records));
}
