/* SPDX-License-Identifier: ISC */
#ifndef TRYST_SIM_REPORT_H
#define TRYST_SIM_REPORT_H

#include <stdio.h>

#include "tests/sim/sim_record.h"

/* What the records say, as text. Returns how many targets were missed. */
unsigned sim_report(FILE *out, const struct sim_options *o, const struct sim_record *records);

/* One line of tab-separated values a pair. */
void sim_report_raw(FILE *out, const struct sim_options *o, const struct sim_record *records);

#endif
