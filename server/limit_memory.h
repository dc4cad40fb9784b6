/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_LIMIT_MEMORY_H
#define TRYST_LIMIT_MEMORY_H

#include <stdint.h>

/*
 * The memory that this process may have: the least of what its control groups (version 2) and the
 * machine allow. UINT64_MAX where neither can be told. The arguments stand for /proc/self/cgroup
 * and /sys/fs/cgroup.
 */
uint64_t limit_memory_allowed(const char *membership, const char *cgroups);
/* The contents of a control group's memory.max: a number, or "max" for UINT64_MAX; 0: neither. */
uint64_t limit_memory_parse(const char *text);

#endif
