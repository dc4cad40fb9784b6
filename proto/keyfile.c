/* SPDX-License-Identifier: ISC */
#include "keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SIZE_MAX 128 /* 44 characters and some white space */

/* Where a sentence about what went wrong goes. */
struct report {
    char *text;
    size_t size;
};

/* Always -1, so that callers can return it. */
__attribute__((format(printf, 2, 3))) static int refuse(const struct report *to, const char *format,
                                                        ...)
{
    va_list args;

    va_start(args, format);
    if (to->size > 0)
        vsnprintf(to->text, to->size, format, args);
    va_end(args);
    return -1;
}

static int check_file(int fd, const char *path, const struct report *to)
{
    struct stat st;

    /* The opened file, not the path: nobody can swap it in between. */
    if (fstat(fd, &st) != 0)
        return refuse(to, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse(to, "%s is not a regular file; name a key file made by 'tryst keygen'", path);
    if (st.st_uid != geteuid() && geteuid() != 0)
        return refuse(
            to, "%s belongs to another user (uid %lu); run as that user, or make a key of your own",
            path, (unsigned long)st.st_uid);
    if (st.st_mode & 077)
        return refuse(to,
                      "%s holds a secret key but others may access it (mode %04o): chmod 600 %s",
                      path, (unsigned)(st.st_mode & 07777), path);
    if (st.st_size > FILE_SIZE_MAX)
        return refuse(to, "%s is too large for a key file, which is one line of base64", path);
    return 0;
}

/* Returns the number of bytes, or -1 with errno set. Reads at most `size`. */
static ssize_t read_all(int fd, char *out, size_t size)
{
    size_t have = 0;

    while (have < size) {
        ssize_t n = read(fd, out + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

static int parse_content(char *text, size_t len, const char *path, struct key_pair *out,
                         const struct report *to)
{
    uint8_t secret[KEY_SIZE];

    while (len > 0 && strchr("\n\r\t ", text[len - 1]))
        len--;
    text[len] = '\0';
    int result = strlen(text) == len ? key_parse(text, secret) : -1;
    if (result == 0 && (key_is_zero(secret) || key_from_secret(secret, out)))
        result = -1;
    sodium_memzero(secret, sizeof(secret));
    if (result)
        return refuse(
            to,
            "%s does not hold a key; a key file is one line of base64, as 'tryst keygen' writes it",
            path);
    return 0;
}

static int load_from(int fd, const char *path, struct key_pair *out, const struct report *to)
{
    char text[FILE_SIZE_MAX + 1];

    if (check_file(fd, path, to))
        return -1;
    ssize_t len = read_all(fd, text, FILE_SIZE_MAX);
    int result = len < 0 ? refuse(to, "%s: %s", path, strerror(errno))
                         : parse_content(text, (size_t)len, path, out, to);
    sodium_memzero(text, sizeof(text));
    return result;
}

/* As keyfile_load; *missing says that there is no such file. */
static int load(const char *path, struct key_pair *out, bool *missing, const struct report *to)
{
    /* O_NONBLOCK: a FIFO in the file's place must not hang us. */
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    *missing = fd < 0 && errno == ENOENT;
    if (fd < 0 && errno == ELOOP)
        return refuse(to, "%s is a symbolic link; name the key file itself", path);
    if (fd < 0)
        return refuse(to, "cannot read the key file %s: %s", path, strerror(errno));
    int result = load_from(fd, path, out, to);
    close(fd);
    return result;
}

int keyfile_load(const char *path, struct key_pair *out, char *err, size_t err_size)
{
    struct report to = {err, err_size};
    bool missing;

    return load(path, out, &missing, &to);
}

static int write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_key(int fd, const struct key_pair *key)
{
    char text[KEY_TEXT_SIZE];

    key_format(key->secret, text);
    text[KEY_TEXT_SIZE - 1] = '\n';
    int result = write_all(fd, text, sizeof(text));
    sodium_memzero(text, sizeof(text));
    /* fchmod, because the mode given to open passes through the umask, which may take even the
     * owner's bits. */
    if (result == 0 && (fchmod(fd, 0600) != 0 || fsync(fd) != 0))
        result = -1;
    return result;
}

/* Gives the finished file its name, but never takes the name away from another file. */
static int put_in_place(const char *temporary, const char *path)
{
    if (link(temporary, path) == 0) {
        unlink(temporary);
        return 0;
    }
#ifdef RENAME_NOREPLACE
    /* Some file systems have no hard links. */
    if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK)
        return renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE);
#endif
    return -1;
}

/* Makes the new name survive a power cut. The file is there whatever this says, so it says nothing.
 */
static void sync_directory(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;

    if (len >= sizeof(directory))
        return;
    memcpy(directory, path, len);
    directory[len] = '\0';
    int fd = open(len > 0 ? directory : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

/* Returns 0, or -1 with errno set. */
static int create(const char *path, const struct key_pair *key)
{
    char temporary[PATH_MAX];

    if ((size_t)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= sizeof(temporary)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = write_key(fd, key);
    if (close(fd) != 0)
        result = -1;
    if (result == 0)
        result = put_in_place(temporary, path);
    if (result == 0) {
        sync_directory(path);
        return 0;
    }
    int why = errno;
    unlink(temporary);
    errno = why;
    return -1;
}

static int refuse_to_create(const char *path, const struct report *to)
{
    if (errno == EEXIST)
        return refuse(to, "%s is there already and is not overwritten; move it away first", path);
    return refuse(to, "cannot create the key file %s: %s", path, strerror(errno));
}

int keyfile_create(const char *path, const struct key_pair *key, char *err, size_t err_size)
{
    struct report to = {err, err_size};

    return create(path, key) ? refuse_to_create(path, &to) : 0;
}

int keyfile_load_or_create(const char *path, const struct rng *rng, struct key_pair *out, int *made,
                           char *err, size_t err_size)
{
    struct report to = {err, err_size};
    struct key_pair key;
    bool missing;
    int result = load(path, out, &missing, &to);

    *made = 0;
    if (!missing)
        return result;
    key_generate(rng, &key);
    result = create(path, &key);
    if (result == 0) {
        *out = key;
        *made = 1;
    } else if (errno == EEXIST) {
        /* Another process was faster: its key is the key. */
        result = load(path, out, &missing, &to);
    } else {
        result = refuse_to_create(path, &to);
    }
    sodium_memzero(&key, sizeof(key));
    return result;
}
