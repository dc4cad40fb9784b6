/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CLI_OUTLOOK_H
#define TRYST_CLI_OUTLOOK_H

#include <stdbool.h>
#include <stdio.h>

#include "client-stub/tryst.h"

/* The words of `tryst check`. */

/* This NAT, and a table of what it will come to against each kind of peers. */
void cli_outlook_print_kinds(FILE *out, const struct tryst_outlook *o, bool color);
/* One line that is the answer, both NATs, and what would help. */
void cli_outlook_print_peer(FILE *out, const char *who, const struct tryst_outlook *o, bool color);
/* The exit status for the answer. */
int cli_outlook_status(const struct tryst_outlook *o);

#endif
