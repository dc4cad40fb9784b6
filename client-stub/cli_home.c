/* SPDX-License-Identifier: ISC */
#include "client-stub/cli_home.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/keyfile.h"

#define FILE_MOST ((size_t)16 << 20)

__attribute__((format(printf, 3, 4))) static int fail(char *err, size_t size, const char *format,
                                                      ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(err, size, format, args);
    va_end(args);
    return -1;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static int join_path(char out[PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < PATH_MAX ? 0 : -1;
}

/* The directory that tryst has for itself inside the user's configuration. */
static int config_dir(char out[PATH_MAX])
{
    const char *xdg = environment("XDG_CONFIG_HOME");
    const char *home = environment("HOME");

    if (xdg && xdg[0] == '/') /* the specification wants relative paths ignored */
        return join_path(out, xdg, "tryst");
    if (!home) {
        /* cppcheck-suppress getpwuidCalled ; one thread */
        const struct passwd *pw = getpwuid(getuid());
        home = pw ? pw->pw_dir : NULL;
    }
    return home ? join_path(out, home, ".config/tryst") : -1;
}

int cli_home_find(struct home *home, const char *dir, const char *key, char *err, size_t size)
{
    int bad;

    if (!dir)
        dir = environment("TRYST_HOME");
    if (dir)
        bad = snprintf(home->dir, PATH_MAX, "%s", dir) >= PATH_MAX || *dir == '\0';
    else
        bad = config_dir(home->dir);
    if (bad)
        return fail(err, size, "no directory to keep the key in: set HOME, or give --home DIR");

    if (key)
        bad = snprintf(home->key, PATH_MAX, "%s", key) >= PATH_MAX;
    else
        bad = join_path(home->key, home->dir, "key");
    if (bad || join_path(home->server, home->dir, "server") != 0 ||
        join_path(home->known, home->dir, "known_peers") != 0)
        return fail(err, size, "the path of the directory is too long");
    return 0;
}

/* Who may change the directory may exchange server and peers. */
static int check_dir(const char *dir, char *err, size_t size)
{
    struct stat st;

    if (stat(dir, &st) != 0) {
        if (errno == ENOENT)
            return 0;
        return fail(err, size, "%s: %s", dir, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode))
        return fail(err, size, "%s is not a directory", dir);
    if (st.st_uid != geteuid() && st.st_uid != 0 && geteuid() != 0)
        return fail(err, size, "%s belongs to another user", dir);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return fail(err, size, "others may change %s: run 'chmod go-w %s'", dir, dir);
    return 0;
}

int cli_home_make(const struct home *home, char *err, size_t size)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s", home->dir);
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST && errno != EISDIR && errno != EROFS)
            return fail(err, size, "cannot make %s: %s", path, strerror(errno));
        *p = '/';
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return fail(err, size, "cannot make %s: %s", path, strerror(errno));
    return check_dir(home->dir, err, size);
}

int cli_home_load_key(const struct home *home, struct key_pair *out, char *err, size_t size)
{
    if (access(home->key, F_OK) != 0 && errno == ENOENT)
        return fail(err, size, "there is no key in %s yet: run 'tryst join URL' or 'tryst keygen'",
                    home->key);
    return keyfile_load(home->key, out, err, size);
}

static void cut_space(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        text[--len] = '\0';
}

static int stored_server(const struct home *home, char url[SERVER_URL_SIZE], char *err, size_t size)
{
    char *text = NULL;

    if (check_dir(home->dir, err, size) != 0 || cli_home_read(home->server, &text, err, size) != 0)
        return -1;
    cut_space(text);
    int n = snprintf(url, SERVER_URL_SIZE, "%s", text);
    free(text);
    if (n == 0)
        return fail(err, size, "no server is set: run 'tryst join URL', or give --server URL");
    if (n >= SERVER_URL_SIZE)
        return fail(err, size, "%s holds no server URL: run 'tryst join URL'", home->server);
    return 0;
}

int cli_home_server(const struct home *home, const char *given, char url[SERVER_URL_SIZE],
                    char *err, size_t size)
{
    const char *from = "--server";
    struct server_url parsed;

    if (!given) {
        from = "TRYST_SERVER";
        given = environment("TRYST_SERVER");
    }
    if (!given) {
        from = home->server;
        if (stored_server(home, url, err, size) != 0)
            return -1;
        given = url;
    } else if (snprintf(url, SERVER_URL_SIZE, "%s", given) >= SERVER_URL_SIZE) {
        return fail(err, size, "%s: a server URL is never that long", from);
    }
    const char *wrong = server_url_parse(given, &parsed);
    if (wrong)
        return fail(err, size, "%s: %s", from, wrong);
    return 0;
}

int cli_home_save_server(const struct home *home, const char *url, char *err, size_t size)
{
    char text[SERVER_URL_SIZE + 1];
    int n = snprintf(text, sizeof(text), "%s\n", url);

    return cli_home_write(home->server, text, (size_t)n, err, size);
}

/* NULL with errno. */
static char *read_all(int fd)
{
    size_t len = 0, cap = 4096;
    char *buf = malloc(cap);
    ssize_t n = 0;

    while (buf && (n = read(fd, buf + len, cap - len - 1)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || cap > FILE_MOST)
            break;
        len += (size_t)n;
        if (cap - len < 2) {
            char *more = realloc(buf, cap *= 2);
            if (!more)
                free(buf);
            buf = more;
        }
    }
    if (buf && n == 0) {
        buf[len] = '\0';
        return buf;
    }
    int error = !buf ? ENOMEM : n > 0 ? EFBIG : errno;
    free(buf);
    errno = error;
    return NULL;
}

int cli_home_read(const char *path, char **text, char *err, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    *text = NULL;
    if (fd >= 0) {
        *text = read_all(fd);
    } else if (errno == ENOENT) {
        *text = calloc(1, 1); /* a missing file is an empty one */
    }
    if (!*text)
        (void)fail(err, size, "cannot read %s: %s", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return *text ? 0 : -1;
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
    return fsync(fd);
}

int cli_home_write(const char *path, const char *text, size_t len, char *err, size_t size)
{
    char temporary[PATH_MAX];

    if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
        return fail(err, size, "the path %s is too long", path);
    int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0)
        return fail(err, size, "cannot write %s: %s", path, strerror(errno));
    int bad = write_all(fd, text, len);
    if (close(fd) != 0)
        bad = -1;
    if (!bad)
        bad = rename(temporary, path);
    if (bad) {
        (void)fail(err, size, "cannot write %s: %s", path, strerror(errno));
        (void)unlink(temporary);
    }
    return bad;
}
