/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "limit_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t limit_memory_parse(const char *text)
{
    char *end;

    if (strcmp(text, "max\n") == 0 || strcmp(text, "max") == 0)
        return UINT64_MAX;
    if (*text < '0' || *text > '9')
        return 0;
    errno = 0;
    uintmax_t bytes = strtoumax(text, &end, 10);
    return errno || (*end != '\n' && *end != '\0') ? 0 : bytes;
}

/* The first line of a file; "" if there is none. */
static void first_line(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "re");

    if (!f || !fgets(out, (int)size, f))
        *out = '\0';
    if (f)
        fclose(f);
}

/* What one group allows; no word of it is no limit. */
static uint64_t allowed_by(const char *cgroups, const char *group)
{
    char path[2 * PATH_MAX + 16], text[64];

    snprintf(path, sizeof(path), "%s%s/memory.max", cgroups, group);
    first_line(path, text, sizeof(text));
    uint64_t bytes = limit_memory_parse(text);
    return bytes ? bytes : UINT64_MAX;
}

/* The path of our group in the hierarchy of version 2, from "0::/a/b"; "" if there is none. */
static void own_group(const char *membership, char group[PATH_MAX])
{
    char line[PATH_MAX];
    FILE *f = fopen(membership, "re");

    *group = '\0';
    while (f && fgets(line, sizeof(line), f)) {
        if (strncmp(line, "0::/", 4) != 0)
            continue;
        snprintf(group, PATH_MAX, "%s", line + 3);
        group[strcspn(group, "\n")] = '\0';
    }
    if (f)
        fclose(f);
}

/* What the group allows, and all that it lies in. */
static uint64_t allowed_by_groups(const char *membership, const char *cgroups)
{
    char group[PATH_MAX], *slash;
    uint64_t least = UINT64_MAX;

    own_group(membership, group);
    do {
        uint64_t bytes = allowed_by(cgroups, group);
        least = bytes < least ? bytes : least;
        slash = strrchr(group, '/');
        if (slash)
            *slash = '\0';
    } while (slash);
    return least;
}

uint64_t limit_memory_allowed(const char *membership, const char *cgroups)
{
    uint64_t groups = allowed_by_groups(membership, cgroups), machine = UINT64_MAX;
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    if (pages > 0 && size > 0)
        machine = (uint64_t)pages * (uint64_t)size;
    return groups < machine ? groups : machine;
}
