/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
/* Text to checked values. All but choice() say whether the text was good. */
#ifndef NATBOX_VALUE_H
#define NATBOX_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool natbox_value_number(const char *s, double low, double high, double *out);

/* Ends at the end of the text or at one of the stops; *rest is there. */
bool natbox_value_integer(const char *s, const char *stops, long low, long high, long *out,
                          const char **rest);

/* The place of s in a list such as "eim|adm|apdm"; -1: not in it. */
int natbox_value_choice(const char *s, const char *list);
bool natbox_value_yes_no(const char *s, bool *out);

/* The first len bytes of s as an IPv4 address, in host byte order. */
bool natbox_value_address(const char *s, size_t len, uint32_t *out);
bool natbox_value_port_range(const char *s, uint16_t *low, uint16_t *high);

/* From 0 to high, times the unit. */
bool natbox_value_scaled(const char *s, double high, double unit, uint64_t *out);

/* As a probability. */
bool natbox_value_percent(const char *s, double *out);

#endif
