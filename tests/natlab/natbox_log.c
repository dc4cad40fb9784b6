/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "natbox_log.h"

#include <inttypes.h>

static void stamp(FILE *log, uint64_t now, const char *what)
{
    fprintf(log, "%" PRIu64 ".%06" PRIu64 " %s", now / 1000000000, now / 1000 % 1000000, what);
}

static void address(FILE *log, uint32_t a)
{
    fprintf(log, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

static void endpoint(FILE *log, const char *name, struct natbox_endpoint e)
{
    if (e.addr == 0)
        return;
    fprintf(log, " %s=", name);
    address(log, e.addr);
    fprintf(log, ":%u", e.port);
}

void natbox_log_event(FILE *log, uint64_t now, const struct natbox_nat_event *e)
{
    if (log == NULL)
        return;
    stamp(log, now, e->what);
    if (e->why != NULL)
        fprintf(log, " why=%s", e->why);
    endpoint(log, "inside", e->inside);
    endpoint(log, "public", e->public);
    endpoint(log, "remote", e->remote);
    fputc('\n', log);
    fflush(log);
}

void natbox_log_lost(FILE *log, uint64_t now, const char *where)
{
    if (log == NULL)
        return;
    stamp(log, now, "lost");
    fprintf(log, " where=%s\n", where);
    fflush(log);
}

void natbox_log_statistics(FILE *log, uint64_t now, const struct natbox_log_totals *totals,
                           const struct natbox_nat *nat)
{
    const struct natbox_host *h;

    if (log == NULL)
        return;
    for (h = nat ? nat->alloc.first_host : NULL; h != NULL; h = h->next) {
        stamp(log, now, "host addr=");
        address(log, h->addr);
        fprintf(log, " mappings=%zu peak=%zu\n", h->used, h->peak);
    }
    stamp(log, now, "stats");
    fprintf(log, " in=%" PRIu64 " out=%" PRIu64 " lost=%" PRIu64 " dropped=%" PRIu64,
            totals->packets_in, totals->packets_out, totals->lost, totals->dropped);
    if (nat != NULL)
        fprintf(log, " mappings=%zu peak=%zu flows=%zu", nat->table.mappings, nat->table.peak,
                nat->table.flows);
    fputc('\n', log);
    fflush(log);
}
