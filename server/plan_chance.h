/* SPDX-License-Identifier: ISC */
#ifndef TRYST_PLAN_CHANCE_H
#define TRYST_PLAN_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "predict.h"

/* The arithmetic of plans: what a number of sockets or targets is worth. Pure. */

/*
 * The values of F (foreign allocations) to prepare for, in one run: all but about `rest` of the
 * probability lies in low .. high.
 */
struct foreign_range {
    int32_t low, high;
};
struct foreign_range chance_foreign(const struct prediction *p, double rest);

/* The probability that F lies in low .. high. */
double chance_between(const struct prediction *p, int32_t low, int32_t high);

/* The lowest F of the run of `length` values with the greatest probability. */
int32_t chance_best_run(const struct prediction *p, int32_t length);

/* That `mapped` distinct ports and `targets` distinct ports, all out of `range`, have one in
 * common. */
double chance_birthday(unsigned mapped, unsigned targets, double range);

/*
 * That a pair meets: a and b are the (independent) probabilities that one side's SYNs go to a port
 * that the other has mapped. Both are needed, except that a lenient filter (EIF, ADF) lets in the
 * SYN that comes from a port nobody expected.
 */
double chance_meet(double a, bool lenient_a, double b, bool lenient_b);

#endif
