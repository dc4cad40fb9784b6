/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdio.h>

#include "trystctl.h"

/* Check and backup. */

void ctl_print_check_store(const json_t *answer)
{
    printf("the database is sound; %s took %s\n",
           ctl_true(answer, "quick") ? "the quick check" : "the check",
           ctl_span(ctl_int(answer, "took_us")));
}

void ctl_print_backup(const json_t *answer)
{
    printf("%s (%s, in %s)\n", ctl_text(answer, "file"), ctl_bytes(ctl_int(answer, "bytes")),
           ctl_span(ctl_int(answer, "took_us")));
}
