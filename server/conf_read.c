/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf_table.h"

/* Where a configuration comes from: a file, those that it includes, the command line. */

/* More than any sane file; keeps a mistaken path from filling the memory. */
#define FILE_MOST ((size_t)1 << 20)

/* Returns a descriptor of a regular file of sensible size, or -1 with err. */
static int open_file(const char *path, size_t *size, char *err, size_t err_size)
{
    struct stat st;
    /* Not blocking: somebody may have named a FIFO. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st)) {
        snprintf(err, err_size, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        snprintf(err, err_size, "%s: not a regular file; a text file would be right", path);
    } else if (st.st_size > (off_t)FILE_MOST) {
        snprintf(err, err_size, "%s: larger than 1 MiB; is it the right file?", path);
    } else {
        *size = (size_t)st.st_size;
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static int read_all(int fd, char *out, size_t size)
{
    size_t have = 0;

    while (have < size) {
        ssize_t n = read(fd, out + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -1 : (int)have;
        have += (size_t)n;
    }
    return (int)have;
}

static int read_file(const char *path, bool included, struct conf *c, char *err, size_t err_size)
{
    size_t size;
    int result = -1;
    int fd = open_file(path, &size, err, err_size);

    if (fd < 0)
        return -1;
    char *text = malloc(size + 1);
    int len = text ? read_all(fd, text, size) : -1;
    if (len < 0)
        snprintf(err, err_size, "%s: %s", path, strerror(text ? errno : ENOMEM));
    else
        result = conf_parse_file(path, text, (size_t)len, included, c, err, err_size);
    free(text);
    close(fd);
    return result;
}

/* --- includes --- */

/* Relative to the file that says it, wherever the daemon was started. */
static int make_pattern(const char *path, const char *item, char pattern[CONF_PATTERN_SIZE])
{
    const char *slash = strrchr(path, '/');
    int folder = item[0] == '/' || !slash ? 0 : (int)(slash - path) + 1;
    int len = snprintf(pattern, CONF_PATTERN_SIZE, "%.*s%s", folder, path, item);

    return len < 0 || len >= CONF_PATTERN_SIZE ? -1 : 0;
}

/* A directory that is not there holds no files; one that cannot be read may hold some. */
static int unreadable(const char *path, int error)
{
    (void)path;
    return error != ENOENT;
}

static bool has_wildcard(const char *pattern)
{
    return strpbrk(pattern, "*?[") != NULL;
}

/* NULL, or what is wrong. A pattern may match nothing; a plain name must be there. */
static const char *find_files(const char *pattern, glob_t *found)
{
    switch (glob(pattern, 0, unreadable, found)) {
    case 0:
        return NULL;
    case GLOB_NOMATCH:
        return has_wildcard(pattern) ? NULL : strerror(ENOENT);
    case GLOB_ABORTED:
        return "its directory cannot be read";
    default:
        return strerror(ENOMEM);
    }
}

/* A mistake in an included file names that file; one of finding it names the line that asks. */
static int read_found(const struct conf_place *asked, const char *path, struct conf *c, char *err,
                      size_t err_size)
{
    char sentence[CONF_ERROR_SIZE];
    size_t size;
    int fd = open_file(path, &size, sentence, sizeof(sentence));

    if (fd >= 0) {
        close(fd);
        return read_file(path, true, c, err, err_size);
    }
    snprintf(err, err_size, "%s:%d: option 'include': %s", c->files[asked->file], asked->line,
             sentence);
    return -1;
}

static int read_included(const struct conf_place *asked, const char *item, struct conf *c,
                         char *err, size_t err_size)
{
    char pattern[CONF_PATTERN_SIZE];
    glob_t found = {0};
    int bad = 0;
    const char *sentence = make_pattern(c->files[asked->file], item, pattern)
                               ? "the path is too long"
                               : find_files(pattern, &found);

    if (sentence) {
        snprintf(err, err_size, "%s:%d: option 'include': %s: %s", c->files[asked->file],
                 asked->line, item, sentence);
        bad = -1;
    }
    /* In the order of their names. */
    for (size_t i = 0; i < found.gl_pathc && !bad; i++)
        bad = read_found(asked, found.gl_pathv[i], c, err, err_size);
    globfree(&found);
    return bad;
}

int conf_read(const char *path, struct conf *c, char *err, size_t err_size)
{
    struct conf trial = *c;

    if (read_file(path, false, &trial, err, err_size))
        return -1;
    const struct conf_list list = trial.include;
    const struct conf_place asked = trial.place[CONF_OPTION_include];
    for (unsigned i = 0; i < list.count; i++)
        if (read_included(&asked, list.at[i], &trial, err, err_size))
            return -1;
    *c = trial;
    return 0;
}

int conf_load(const struct conf_source *source, struct conf *c, char *err, size_t err_size)
{
    conf_init_defaults(c);
    if (source->path && conf_read(source->path, c, err, err_size))
        return -1;
    for (unsigned i = 0; i < source->count; i++)
        if (conf_set(c, source->set[i].name, source->set[i].text, err, err_size))
            return -1;
    return conf_check(c, err, err_size);
}
