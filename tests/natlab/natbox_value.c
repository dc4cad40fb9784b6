/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "natbox_value.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

bool natbox_value_number(const char *s, double low, double high, double *out)
{
    char *end;

    *out = strtod(s, &end);
    return end != s && *end == '\0' && *out >= low && *out <= high;
}

bool natbox_value_integer(const char *s, const char *stops, long low, long high, long *out,
                          const char **rest)
{
    char *end;

    *out = strtol(s, &end, 10);
    *rest = end;
    return end != s && (*end == '\0' || strchr(stops, *end) != NULL) && *out >= low && *out <= high;
}

/* The place of s in a list such as "eim|adm|apdm"; -1: not in it. */
int natbox_value_choice(const char *s, const char *list)
{
    size_t len = strlen(s);
    int i;

    for (i = 0; list != NULL; i++) {
        if (strcspn(list, "|") == len && strncmp(s, list, len) == 0)
            return i;
        list = strchr(list, '|');
        list = list != NULL ? list + 1 : NULL;
    }
    return -1;
}

bool natbox_value_address(const char *s, size_t len, uint32_t *out)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr in;

    if (len >= sizeof(text))
        return false;
    memcpy(text, s, len);
    text[len] = '\0';
    if (inet_pton(AF_INET, text, &in) != 1)
        return false;
    *out = ntohl(in.s_addr);
    return true;
}

bool natbox_value_port_range(const char *s, uint16_t *low, uint16_t *high)
{
    const char *rest;
    long a, b;

    if (!natbox_value_integer(s, "-", 1, 65535, &a, &rest) || *rest != '-' ||
        !natbox_value_integer(rest + 1, "", a, 65535, &b, &rest))
        return false;
    *low = (uint16_t)a;
    *high = (uint16_t)b;
    return true;
}

bool natbox_value_yes_no(const char *s, bool *out)
{
    int i = natbox_value_choice(s, "no|yes");

    *out = i == 1;
    return i >= 0;
}

bool natbox_value_scaled(const char *s, double high, double unit, uint64_t *out)
{
    double v;

    if (!natbox_value_number(s, 0, high, &v))
        return false;
    *out = (uint64_t)(v * unit + 0.5);
    return true;
}

bool natbox_value_percent(const char *s, double *out)
{
    if (!natbox_value_number(s, 0, 100, out))
        return false;
    *out /= 100;
    return true;
}
