/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* The command line. */
#ifndef NATBOX_OPTIONS_H
#define NATBOX_OPTIONS_H

#include <stdio.h>

#include "natbox_delay.h"
#include "natbox_nat.h"

struct natbox_options {
    const char *tun;
    const char *log;
    const char *ready; /* a file to create */
    int ready_fd;      /* a descriptor to write to; -1: none */
    bool wire;         /* no translation */
    bool has_inside;
    bool help;
    uint64_t seed;
    struct natbox_delay_wire inside, outside;
    struct natbox_nat nat; /* its settings; not initialised */
};

/* False when something is wrong, which has then been said on stderr. */
bool natbox_options_parse(struct natbox_options *o, int argc, char **argv);
void natbox_options_help(FILE *out);

#endif
