/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "show.h"
#include "store_internal.h"
#include "store_job.h"

/*
 * A copy of the database as it was at one moment, into the directory `backups` beside it.
 *
 * Only there, and under a bare name: whoever may use the admin socket could otherwise have the
 * daemon write over whatever the daemon's user may write, its key for one; and in the service's
 * sandbox there is no other place. From there it can be fetched with any tool.
 *
 * The copy is made from one read transaction, so that rows that are written meanwhile do not make
 * SQLite begin again. It gets its name when it is whole, checked and on disk.
 */

#define DIRECTORY "backups"
#define PARTIAL   ".partial"
/* A slice: a mebibyte with pages of 4096 bytes. */
#define PAGES_SLICE 256

struct backup {
    struct store_job *job;
    char directory[4096], name[STORE_NAME_SIZE], partial[STORE_NAME_SIZE + sizeof(PARTIAL)];
    int directory_fd, fd;
    sqlite3 *from, *to;
    char err[512];
};

static int fail(struct backup *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct backup *b, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(b->err, sizeof(b->err), format, args);
    va_end(args);
    return -1;
}

bool store_backup_name(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(name);

    return len > 0 && len < STORE_NAME_SIZE && strspn(name, allowed) == len && name[0] != '.' &&
           name[0] != '-' &&
           (len < sizeof(PARTIAL) || strcmp(name + len - (sizeof(PARTIAL) - 1), PARTIAL) != 0);
}

static int take_name(struct backup *b)
{
    time_t now = (time_t)(store_now() / 1000000);
    struct tm tm;

    snprintf(b->name, sizeof(b->name), "%s", b->job->order.name);
    if (!b->name[0] && gmtime_r(&now, &tm))
        strftime(b->name, sizeof(b->name), "tryst-%Y%m%dT%H%M%SZ.db", &tm);
    if (!store_backup_name(b->name))
        return fail(b, "'%.64s' is no name for a backup: letters, digits, '.', '_' and '-'",
                    b->name);
    snprintf(b->partial, sizeof(b->partial), "%s" PARTIAL, b->name);
    return 0;
}

/* The directory must be the daemon's alone: others could put links in the way. */
static int open_directory(struct backup *b)
{
    const char *path = b->job->path, *slash = strrchr(path, '/');
    int n = snprintf(b->directory, sizeof(b->directory), "%.*s" DIRECTORY,
                     slash ? (int)(slash + 1 - path) : 0, path);
    struct stat st;

    if (n < 0 || (size_t)n >= sizeof(b->directory))
        return fail(b, "the path of the state directory is too long");
    if (mkdir(b->directory, 0700) && errno != EEXIST)
        return fail(b, "%.256s: %s", b->directory, strerror(errno));
    b->directory_fd = open(b->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (b->directory_fd < 0 || fstat(b->directory_fd, &st))
        return fail(b, "%.256s: %s", b->directory, strerror(errno));
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return fail(b, "%.256s: must belong to the daemon's user, and nobody else may write there",
                    b->directory);
    return 0;
}

static int look_for_older(struct backup *b)
{
    struct stat st;

    if (fstatat(b->directory_fd, b->name, &st, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT ? 0 : fail(b, "%s: %s", b->name, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fail(b, "%.256s/%s is there already, and no file", b->directory, b->name);
    if (!b->job->order.force)
        return fail(b, "%.256s/%s is there already; --force replaces it", b->directory, b->name);
    return 0;
}

/* The daemon's own rows need the disk, too. */
static int look_for_room(struct backup *b)
{
    struct statvfs disk;
    struct stat st;

    if (stat(b->job->path, &st) || fstatvfs(b->directory_fd, &disk))
        return fail(b, "%.256s: %s", b->job->path, strerror(errno));
    uint64_t room = (uint64_t)disk.f_bavail * disk.f_frsize, size = (uint64_t)st.st_size;
    if (room < size + size / 8)
        return fail(b, "%.256s: %llu MiB are free, and the copy takes %llu MiB", b->directory,
                    (unsigned long long)(room >> 20), (unsigned long long)(size >> 20) + 1);
    return 0;
}

static int open_copy(struct backup *b)
{
    char path[sizeof(b->directory) + sizeof(b->partial) + 1];

    (void)unlinkat(b->directory_fd, b->partial, 0); /* of a backup that did not end */
    b->fd = openat(b->directory_fd, b->partial, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                   0600);
    if (b->fd < 0)
        return fail(b, "%.256s/%s: %s", b->directory, b->partial, strerror(errno));
    snprintf(path, sizeof(path), "%s/%s", b->directory, b->partial);
    if (sqlite3_open_v2(path, &b->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ||
        sqlite3_exec(b->to, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", NULL, NULL, NULL))
        return fail(b, "%.256s: %s", path, sqlite3_errmsg(b->to));
    return 0;
}

static int open_source(struct backup *b)
{
    if (sqlite3_open_v2(b->job->path, &b->from, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) ||
        sqlite3_busy_timeout(b->from, 1000) ||
        sqlite3_exec(b->from, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL))
        return fail(b, "the database cannot be read: %s", sqlite3_errmsg(b->from));
    return 0;
}

static int copy(struct backup *b)
{
    sqlite3_backup *copy = sqlite3_backup_init(b->to, "main", b->from, "main");
    const char *trouble = NULL;
    int result = copy ? SQLITE_OK : SQLITE_ERROR;

    while (result == SQLITE_OK && !(trouble = store_job_trouble(b->job))) {
        result = sqlite3_backup_step(copy, PAGES_SLICE);
        unsigned total = (unsigned)sqlite3_backup_pagecount(copy);
        atomic_store(&b->job->total, total);
        atomic_store(&b->job->done, total - (unsigned)sqlite3_backup_remaining(copy));
    }
    sqlite3_backup_finish(copy);
    if (trouble)
        return fail(b, "there is no backup: %s", trouble);
    if (result != SQLITE_DONE)
        return fail(b, "there is no backup: %s", sqlite3_errmsg(b->to));
    return 0;
}

/* One plain file without a log beside it, and nothing wrong in it. */
static int finish_copy(struct backup *b)
{
    json_t *problems = json_array();
    int bad = sqlite3_exec(b->to, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL)
                  ? fail(b, "there is no backup: %s", sqlite3_errmsg(b->to))
                  : 0;

    sqlite3_exec(b->from, "COMMIT", NULL, NULL, NULL); /* the log may start anew */
    if (!bad && store_job_examine(b->job, b->to, false, problems))
        bad = fail(b, "there is no backup: %s",
                   b->job->trouble ? b->job->trouble : sqlite3_errmsg(b->to));
    if (!bad && json_array_size(problems) > 0)
        bad = fail(b, "there is no backup, for the database is damaged: %.256s",
                   json_string_value(json_array_get(problems, 0)));
    json_decref(problems);
    if (!bad && sqlite3_close(b->to))
        bad = fail(b, "there is no backup: %s", sqlite3_errmsg(b->to));
    else if (!bad)
        b->to = NULL;
    return bad;
}

static int publish(struct backup *b)
{
    unsigned flags = b->job->order.force ? 0 : RENAME_NOREPLACE;

    if (fsync(b->fd) || renameat2(b->directory_fd, b->partial, b->directory_fd, b->name, flags) ||
        fsync(b->directory_fd))
        return fail(b, "%.256s/%s: %s", b->directory, b->name, strerror(errno));
    return 0;
}

static json_t *answer(const struct backup *b)
{
    char path[sizeof(b->directory) + sizeof(b->name) + 1];
    struct stat st = {0};

    snprintf(path, sizeof(path), "%s/%s", b->directory, b->name);
    (void)fstat(b->fd, &st);
    return json_pack("{s:b, s:o, s:I, s:I}", "ok", 1, "file", show_text(path), "bytes",
                     (json_int_t)st.st_size, "took_us",
                     (json_int_t)((store_clock() - b->job->begun) / TICK_US));
}

json_t *store_backup(struct store_job *j)
{
    struct backup *b = calloc(1, sizeof(*b));
    json_t *result;

    if (!b)
        return store_job_refuse("not enough memory");
    b->job = j;
    b->directory_fd = b->fd = -1;
    int bad = take_name(b) || open_directory(b) || look_for_older(b) || look_for_room(b) ||
              open_copy(b) || open_source(b) || copy(b) || finish_copy(b) || publish(b);
    result = bad ? store_job_refuse(b->err) : answer(b);
    sqlite3_close(b->to);
    sqlite3_close(b->from);
    if (bad && b->fd >= 0)
        (void)unlinkat(b->directory_fd, b->partial, 0);
    if (b->fd >= 0)
        close(b->fd);
    if (b->directory_fd >= 0)
        close(b->directory_fd);
    free(b);
    return result;
}
