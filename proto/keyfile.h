/* SPDX-License-Identifier: ISC */
#ifndef TRYST_KEYFILE_H
#define TRYST_KEYFILE_H

#include <stddef.h>

#include "key.h"

/*
 * A secret key on disk: one line of base64, file mode 0600. Both sides use it.
 *
 * Each returns 0, or -1 with a sentence in err that names the file and says what to do. Loading
 * refuses a file that others can read or write, that is not a regular file, or that this user does
 * not own (root may read any). keyfile_create never overwrites: it writes a temporary file beside
 * `path`, syncs it and links it into place.
 */
int keyfile_load(const char *path, struct key_pair *out, char *err, size_t err_size);
int keyfile_create(const char *path, const struct key_pair *key, char *err, size_t err_size);
/* Loads the key; where there is no file yet, makes a key and creates it. *made says which. */
int keyfile_load_or_create(const char *path, const struct rng *rng, struct key_pair *out, int *made,
                           char *err, size_t err_size);

#endif
