/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "natbox_options.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "natbox_value.h"

#define MS     1e6
#define SECOND 1e9

/* ---- one setter per option ----------------------------------------- */

static bool set_tun(struct natbox_options *o, const char *s)
{
    o->tun = s;
    return *s != '\0' && strlen(s) < IFNAMSIZ;
}

static bool set_inside(struct natbox_options *o, const char *s)
{
    const char *slash = strchr(s, '/');
    const char *rest;
    long bits;

    o->has_inside = true;
    if (slash == NULL || !natbox_value_integer(slash + 1, "", 1, 32, &bits, &rest) ||
        !natbox_value_address(s, (size_t)(slash - s), &o->nat.inside))
        return false;
    o->nat.inside_mask = ~(uint32_t)0 << (32 - bits);
    o->nat.inside &= o->nat.inside_mask;
    return true;
}

static bool set_public(struct natbox_options *o, const char *s)
{
    struct natbox_alloc *a = &o->nat.alloc;

    for (a->publics = 0; a->publics < NATBOX_ALLOC_PUBLIC_MAX;) {
        size_t len = strcspn(s, ",");

        if (!natbox_value_address(s, len, &a->public[a->publics++].addr))
            return false;
        if (s[len] == '\0')
            return true;
        s += len + 1;
    }
    return false;
}

static bool set_mapping(struct natbox_options *o, const char *s)
{
    int i = natbox_value_choice(s, "eim|adm|apdm");

    o->nat.table.mapping = (enum natbox_table_scope)i;
    return i >= 0;
}

static bool set_filtering(struct natbox_options *o, const char *s)
{
    int i = natbox_value_choice(s, "eif|adf|apdf");

    o->nat.filtering = (enum natbox_table_scope)i;
    return i >= 0;
}

static bool set_counter(struct natbox_alloc *a, const char *s)
{
    const char *rest;
    long step, start = 0;

    if (!natbox_value_integer(s, ":", -65535, 65535, &step, &rest) || step == 0)
        return false;
    if (*rest == ':' && !natbox_value_integer(rest + 1, "", 1, 65535, &start, &rest))
        return false;
    a->policy = NATBOX_ALLOC_COUNTER;
    a->step = (int32_t)step;
    a->start = (uint16_t)start;
    return true;
}

static bool set_block(struct natbox_alloc *a, const char *s)
{
    const char *rest;
    long size;

    a->policy = NATBOX_ALLOC_BLOCK;
    if (natbox_value_port_range(s, &a->block_low, &a->block_high))
        return true;
    a->policy = NATBOX_ALLOC_BLOCK_EACH;
    if (!natbox_value_integer(s, "", 1, 65535, &size, &rest))
        return false;
    a->block_size = (uint16_t)size;
    return true;
}

static bool set_allocation(struct natbox_options *o, const char *s)
{
    struct natbox_alloc *a = &o->nat.alloc;
    const char *rest;
    long offset;
    int i = natbox_value_choice(s, "preserve|random");

    if (i >= 0) {
        a->policy = i ? NATBOX_ALLOC_RANDOM : NATBOX_ALLOC_PRESERVE;
        return true;
    }
    if (strncmp(s, "counter:", 8) == 0)
        return set_counter(a, s + 8);
    if (strncmp(s, "block:", 6) == 0)
        return set_block(a, s + 6);
    if (strncmp(s, "offset:", 7) != 0 ||
        !natbox_value_integer(s + 7, "", -65535, 65535, &offset, &rest))
        return false;
    a->policy = NATBOX_ALLOC_OFFSET;
    a->step = (int32_t)offset;
    return true;
}

static bool set_ports(struct natbox_options *o, const char *s)
{
    return natbox_value_port_range(s, &o->nat.alloc.low, &o->nat.alloc.high);
}

static bool set_foreign(struct natbox_options *o, const char *s)
{
    return natbox_value_number(s, 0, 1e6, &o->nat.alloc.foreign_rate);
}

static bool set_refusal(struct natbox_options *o, const char *s)
{
    int i = natbox_value_choice(s, "silence|rst|icmp");

    o->nat.refusal = (enum natbox_nat_refusal)i;
    return i >= 0;
}

static bool set_rst_kills(struct natbox_options *o, const char *s)
{
    return natbox_value_yes_no(s, &o->nat.rst_kills);
}

static bool set_icmp_kills(struct natbox_options *o, const char *s)
{
    return natbox_value_yes_no(s, &o->nat.icmp_kills);
}

static bool set_hairpin(struct natbox_options *o, const char *s)
{
    return natbox_value_yes_no(s, &o->nat.hairpin);
}

static bool set_pooling(struct natbox_options *o, const char *s)
{
    int i = natbox_value_choice(s, "paired|arbitrary");

    o->nat.alloc.arbitrary = i == 1;
    return i >= 0;
}

static bool set_delay_inside(struct natbox_options *o, const char *s)
{
    return natbox_value_scaled(s, 60000, MS, &o->inside.delay);
}

static bool set_jitter_inside(struct natbox_options *o, const char *s)
{
    return natbox_value_scaled(s, 60000, MS, &o->inside.jitter);
}

static bool set_loss_inside(struct natbox_options *o, const char *s)
{
    return natbox_value_percent(s, &o->inside.loss);
}

static bool set_delay_outside(struct natbox_options *o, const char *s)
{
    return natbox_value_scaled(s, 60000, MS, &o->outside.delay);
}

static bool set_jitter_outside(struct natbox_options *o, const char *s)
{
    return natbox_value_scaled(s, 60000, MS, &o->outside.jitter);
}

static bool set_loss_outside(struct natbox_options *o, const char *s)
{
    return natbox_value_percent(s, &o->outside.loss);
}

static bool set_transitory(struct natbox_options *o, const char *s)
{
    return natbox_value_scaled(s, 1e6, SECOND, &o->nat.table.timeout[NATBOX_TABLE_TRANSITORY]);
}

static bool set_established(struct natbox_options *o, const char *s)
{
    return natbox_value_scaled(s, 1e6, SECOND, &o->nat.table.timeout[NATBOX_TABLE_ESTABLISHED]);
}

static bool set_seed(struct natbox_options *o, const char *s)
{
    char *end;

    o->seed = strtoull(s, &end, 0);
    return end != s && *end == '\0' && *s != '-';
}

static bool set_log(struct natbox_options *o, const char *s)
{
    o->log = s;
    return *s != '\0';
}

static bool set_ready(struct natbox_options *o, const char *s)
{
    o->ready = s;
    return *s != '\0';
}

static bool set_ready_fd(struct natbox_options *o, const char *s)
{
    const char *rest;
    long fd;

    if (!natbox_value_integer(s, "", 0, 65535, &fd, &rest))
        return false;
    o->ready_fd = (int)fd;
    return true;
}

static bool set_simultaneous(struct natbox_options *o, const char *s)
{
    (void)s;
    return o->nat.refuse_simultaneous_open = true;
}

static bool set_overload(struct natbox_options *o, const char *s)
{
    (void)s;
    return o->nat.table.overload = true;
}

static bool set_wire(struct natbox_options *o, const char *s)
{
    (void)s;
    return o->wire = true;
}

static bool set_help(struct natbox_options *o, const char *s)
{
    (void)s;
    return o->help = true;
}

static const struct option_row {
    const char *name;
    const char *value; /* NULL: takes none */
    bool (*set)(struct natbox_options *o, const char *s);
    const char *help;
} rows[] = {
    {"tun", "NAME", set_tun, "TUN device to create or attach to"},
    {"inside", "CIDR", set_inside, "the inside network (IPv4)"},
    {"public", "ADDR[,ADDR...]", set_public, "the public addresses"},
    {"mapping", "eim|adm|apdm", set_mapping, "(default eim)"},
    {"filtering", "eif|adf|apdf", set_filtering, "(default apdf)"},
    {"allocation",
     "preserve|offset:N|counter:DELTA[:START]|block:LOW-HIGH|block:SIZE|"
     "random",
     set_allocation,
     "how a public port is picked (default preserve, else the next free); "
     "block:SIZE gives every inside host a block of its own"},
    {"ports", "LOW-HIGH", set_ports,
     "what is picked from "
     "(default 1024-65535)"},
    {"foreign", "RATE", set_foreign,
     "allocations by other subscribers per second and public address, "
     "a Poisson process: they move the counter and hold ports for up to "
     "30 s (in blocks: no effect)"},
    {"refusal", "silence|rst|icmp", set_refusal, "what an unsolicited SYN gets (default silence)"},
    {"refuse-simultaneous-open", NULL, set_simultaneous,
     "drop a SYN from outside at a mapping whose own SYN is unanswered"},
    {"rst-kills-mapping", "yes|no", set_rst_kills,
     "when its only answer is RST (default yes, like Linux)"},
    {"icmp-kills-mapping", "yes|no", set_icmp_kills,
     "when its only answer is ICMP unreachable (default no)"},
    {"overload", NULL, set_overload, "share a public port as long as the destinations differ"},
    {"hairpin", "yes|no", set_hairpin, "(default no: dropped)"},
    {"pooling", "paired|arbitrary", set_pooling, "with several public addresses (default paired)"},
    {"delay-inside", "MS", set_delay_inside, "one way, between the inside network and the NAT"},
    {"jitter-inside", "MS", set_jitter_inside, "added to it, uniform from 0 to MS; may reorder"},
    {"loss-inside", "PERCENT", set_loss_inside, ""},
    {"delay-outside", "MS", set_delay_outside, "the same between the NAT and the outside"},
    {"jitter-outside", "MS", set_jitter_outside, ""},
    {"loss-outside", "PERCENT", set_loss_outside, ""},
    {"timeout-transitory", "S", set_transitory, "(default 240)"},
    {"timeout-established", "S", set_established, "(default 7440)"},
    {"seed", "N", set_seed, "for all randomness (default 1)"},
    {"wire", NULL, set_wire,
     "translate nothing, IPv4 and IPv6: delay, jitter and loss of the "
     "outside wire, and with --inside of the inside wire as well"},
    {"log", "FILE", set_log, "one line per event"},
    {"ready", "FILE", set_ready, "created when the device is up"},
    {"ready-fd", "N", set_ready_fd, "gets a line when the device is up"},
    {"help", NULL, set_help, "print this"},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

void natbox_options_help(FILE *out)
{
    size_t i;

    fputs("usage: natbox --tun NAME --inside CIDR --public ADDR[,ADDR...] "
          "[options]\n"
          "       natbox --tun NAME --wire [--inside CIDR] [options]\n"
          "A NAT for TCP in user space; other protocols are dropped.\n"
          "SIGUSR1 writes statistics to the log, SIGTERM ends it.\n",
          out);
    for (i = 0; i < ROWS; i++)
        fprintf(out, "  --%s%s%s\n%s%s%s", rows[i].name, rows[i].value ? " " : "",
                rows[i].value ? rows[i].value : "", *rows[i].help ? "        " : "", rows[i].help,
                *rows[i].help ? "\n" : "");
}

static const struct option_row *find(const char *arg, size_t len)
{
    size_t i;

    for (i = 0; i < ROWS; i++)
        if (strlen(rows[i].name) == len && strncmp(rows[i].name, arg, len) == 0)
            return &rows[i];
    return NULL;
}

/* One option and its value; *i moves past what was used. */
static bool parse_one(struct natbox_options *o, int argc, char **argv, int *i)
{
    const char *arg = argv[(*i)++];
    const char *equals = strchr(arg, '=');
    const char *value = equals ? equals + 1 : NULL;
    const struct option_row *row = NULL;

    if (strncmp(arg, "--", 2) == 0)
        row = find(arg + 2, strcspn(arg, "=") - 2);
    if (row == NULL || (value != NULL && row->value == NULL)) {
        fprintf(stderr, "natbox: unknown option '%s'; see --help\n", arg);
        return false;
    }
    if (row->value != NULL && value == NULL && *i < argc)
        value = argv[(*i)++];
    if (row->value != NULL && value == NULL) {
        fprintf(stderr, "natbox: --%s needs %s\n", row->name, row->value);
        return false;
    }
    if (row->set(o, value))
        return true;
    fprintf(stderr, "natbox: --%s: '%s' is not %s\n", row->name, value, row->value);
    return false;
}

static const char *complaint(const struct natbox_options *o)
{
    const struct natbox_alloc *a = &o->nat.alloc;

    if (o->tun == NULL)
        return "--tun is missing";
    if (o->wire)
        return NULL;
    if (!o->has_inside || a->publics == 0)
        return "without --wire, --inside and --public are needed";
    if (a->start && (a->start < a->low || a->start > a->high))
        return "the counter starts outside of --ports";
    if (a->policy == NATBOX_ALLOC_BLOCK_EACH && a->block_size > a->high - a->low + 1)
        return "the block is larger than --ports";
    return NULL;
}

static void set_defaults(struct natbox_options *o)
{
    memset(o, 0, sizeof(*o));
    o->ready_fd = -1;
    o->seed = 1;
    o->nat.filtering = NATBOX_TABLE_PORT;
    o->nat.rst_kills = true;
    o->nat.alloc.low = 1024;
    o->nat.alloc.high = 65535;
    o->nat.table.timeout[NATBOX_TABLE_TRANSITORY] = (uint64_t)(240 * SECOND);
    o->nat.table.timeout[NATBOX_TABLE_ESTABLISHED] = (uint64_t)(7440 * SECOND);
}

bool natbox_options_parse(struct natbox_options *o, int argc, char **argv)
{
    uint64_t *timeout = o->nat.table.timeout;
    const char *wrong;
    int i = 1;

    set_defaults(o);
    while (i < argc)
        if (!parse_one(o, argc, argv, &i))
            return false;
    /* After a RST nobody speaks any more; Linux waits as long. */
    timeout[NATBOX_TABLE_CLOSED] = (uint64_t)(10 * SECOND);
    if (timeout[NATBOX_TABLE_CLOSED] > timeout[NATBOX_TABLE_TRANSITORY])
        timeout[NATBOX_TABLE_CLOSED] = timeout[NATBOX_TABLE_TRANSITORY];
    wrong = o->help ? NULL : complaint(o);
    if (wrong != NULL)
        fprintf(stderr, "natbox: %s; see --help\n", wrong);
    return wrong == NULL;
}
