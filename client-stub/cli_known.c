/* SPDX-License-Identifier: ISC */
#include "client-stub/cli_known.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "client-stub/cli_home.h"

/* "name key date"; a missing date is forgiven. */
static bool parse_line(const char *line, size_t len, struct known *out)
{
    char copy[256], *save, *name, *key, *date;

    if (len >= sizeof(copy))
        return false;
    memcpy(copy, line, len);
    copy[len] = '\0';
    name = strtok_r(copy, " \t\r", &save);
    key = name ? strtok_r(NULL, " \t\r", &save) : NULL;
    if (!key || peer_name_parse(name, out->name) != 0 || key_parse(key, out->key) != 0)
        return false;
    date = strtok_r(NULL, " \t\r", &save);
    (void)snprintf(out->first_seen, sizeof(out->first_seen), "%s", date ? date : "-");
    return true;
}

/* The next line, and whether there was one; *at moves behind its newline. */
static bool next_line(const char **at, const char **line, size_t *len)
{
    if (**at == '\0')
        return false;
    *line = *at;
    *len = strcspn(*at, "\n");
    *at += *len + ((*at)[*len] == '\n');
    return true;
}

int cli_known_each(const char *path, void (*each)(void *user, const struct known *), void *user,
                   char *err, size_t size)
{
    char *text;
    const char *line;
    size_t len;
    struct known entry;

    if (cli_home_read(path, &text, err, size) != 0)
        return -1;
    for (const char *at = text; next_line(&at, &line, &len);)
        if (parse_line(line, len, &entry))
            each(user, &entry);
    free(text);
    return 0;
}

struct search {
    const char *name;
    struct known *out;
    int found;
};

static void match_name(void *user, const struct known *entry)
{
    struct search *s = user;

    if (!s->found && strcmp(entry->name, s->name) == 0) {
        *s->out = *entry;
        s->found = 1;
    }
}

int cli_known_find(const char *path, const char *name, struct known *out, char *err, size_t size)
{
    struct search s = {.name = name, .out = out};

    return cli_known_each(path, match_name, &s, err, size) == 0 ? s.found : -1;
}

/* Beside the file, for the file itself is replaced. Returns the descriptor that holds the lock. */
static int lock(const char *path, char *err, size_t size)
{
    char name[PATH_MAX];

    if (snprintf(name, sizeof(name), "%s.lock", path) >= (int)sizeof(name)) {
        (void)snprintf(err, size, "the path %s is too long", path);
        return -1;
    }
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int bad = fd < 0;
    while (!bad && flock(fd, LOCK_EX) != 0)
        bad = errno != EINTR;
    if (bad) {
        (void)snprintf(err, size, "cannot lock %s: %s", name, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    return fd;
}

static void today(char out[KNOWN_DATE_SIZE])
{
    time_t now = time(NULL);
    struct tm tm;

    if (!gmtime_r(&now, &tm) || strftime(out, KNOWN_DATE_SIZE, "%Y-%m-%d", &tm) == 0)
        (void)snprintf(out, KNOWN_DATE_SIZE, "-");
}

static int append(const char *path, const char *name, const uint8_t key[KEY_SIZE], char *err,
                  size_t size)
{
    char *text, *longer, date[KNOWN_DATE_SIZE], base64[KEY_TEXT_SIZE];
    int bad = -1;

    if (cli_home_read(path, &text, err, size) != 0)
        return -1;
    size_t len = strlen(text);
    size_t cap = len + PEER_NAME_SIZE + KEY_TEXT_SIZE + KNOWN_DATE_SIZE + 4;
    longer = realloc(text, cap);
    if (longer) {
        text = longer;
        today(date);
        const char *newline = len > 0 && text[len - 1] != '\n' ? "\n" : "";
        len += (size_t)snprintf(text + len, cap - len, "%s%s %s %s\n", newline, name,
                                key_format(key, base64), date);
        bad = cli_home_write(path, text, len, err, size);
    } else {
        (void)snprintf(err, size, "no memory");
    }
    free(text);
    return bad;
}

int cli_known_pin(const char *path, const char *name, const uint8_t key[KEY_SIZE],
                  struct known *had, char *err, size_t size)
{
    int held = lock(path, err, size);

    if (held < 0)
        return -1;
    int result = cli_known_find(path, name, had, err, size);
    if (result == 1)
        result = key_equal(had->key, key) ? KNOWN_SAME : KNOWN_OTHER;
    else if (result == 0)
        result = append(path, name, key, err, size) == 0 ? KNOWN_NEW : -1;
    (void)close(held);
    return result;
}

static bool matches(const struct known *entry, const char *name, const uint8_t *key)
{
    return name ? strcmp(entry->name, name) == 0 : key_equal(entry->key, key);
}

/* Closes the gaps in place. */
static int remove_lines(char *text, const char *name, const uint8_t *key)
{
    char *out = text;
    const char *line;
    size_t len;
    struct known entry;
    int removed = 0;

    for (const char *at = text; next_line(&at, &line, &len);) {
        if (parse_line(line, len, &entry) && matches(&entry, name, key)) {
            removed++;
            continue;
        }
        size_t whole = (size_t)(at - line);
        memmove(out, line, whole);
        out += whole;
    }
    *out = '\0';
    return removed;
}

int cli_known_forget(const char *path, const char *name, const uint8_t key[KEY_SIZE], char *err,
                     size_t size)
{
    char *text;
    int removed = -1;
    int held = lock(path, err, size);

    if (held < 0)
        return -1;
    if (cli_home_read(path, &text, err, size) == 0) {
        removed = remove_lines(text, name, key);
        if (removed > 0 && cli_home_write(path, text, strlen(text), err, size) != 0)
            removed = -1;
        free(text);
    }
    (void)close(held);
    return removed;
}
