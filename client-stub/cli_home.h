/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CLI_HOME_H
#define TRYST_CLI_HOME_H

#include <limits.h>
#include <stddef.h>

#include "proto/key.h"

/*
 * Where a peer keeps its key, the server URL and the peers it knows: --home, else $TRYST_HOME, else
 * $XDG_CONFIG_HOME/tryst, else ~/.config/tryst.
 *
 * What can fail returns 0, or -1 with a sentence in err that says what to do.
 */
#define HOME_ERR_SIZE 1024

struct home {
    char dir[PATH_MAX];
    char key[PATH_MAX]; /* --key, or "key" in the directory */
    char server[PATH_MAX];
    char known[PATH_MAX];
};

int cli_home_find(struct home *home, const char *dir, const char *key, char *err, size_t size);
/* Makes the directory, and those above it, for this user alone. */
int cli_home_make(const struct home *home, char *err, size_t size);

/* A directory or file that others may change is refused. */
int cli_home_load_key(const struct home *home, struct key_pair *out, char *err, size_t size);
/* The URL to use: `given` (--server), else $TRYST_SERVER, else the stored one. */
int cli_home_server(const struct home *home, const char *given, char url[SERVER_URL_SIZE],
                    char *err, size_t size);
int cli_home_save_server(const struct home *home, const char *url, char *err, size_t size);

/* The whole of a file in *text (malloc, NUL-terminated); a missing file is an empty one. */
int cli_home_read(const char *path, char **text, char *err, size_t size);
/* Replaces a file (mode 0600): whoever reads it sees the old text or the new one, also after a
 * crash. */
int cli_home_write(const char *path, const char *text, size_t len, char *err, size_t size);

#endif
