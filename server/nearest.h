/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_NEAREST_H
#define TRYST_NEAREST_H

#include <stddef.h>

/*
 * The word that somebody probably meant: the one with the fewest slips (a letter more, less,
 * changed or swapped with its neighbour), or one that begins with what was typed. NULL if none is
 * near.
 */
const char *nearest(const char *typed, const char *const *words, size_t count);

#endif
