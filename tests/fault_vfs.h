/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_TESTS_FAULT_VFS_H
#define TRYST_TESTS_FAULT_VFS_H

#include <stdatomic.h>

/*
 * A layer between SQLite and the disk that fails on demand. While a fault is set to a code of
 * SQLite, the operation returns it instead of being done; `hang` holds every sync until it is 0.
 */
struct fault {
    atomic_int write, sync, lock, read, hang;
    atomic_uint failed; /* operations that did */
};
extern struct fault fault;

/* Puts it under every database that is opened from now on. */
void fault_vfs_install(void);

#endif
