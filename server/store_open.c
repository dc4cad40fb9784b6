/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "store_internal.h"
#include "store_schema.h"

/* Up to this size a damaged page is looked for at every start; it takes a fraction of a second. */
#define CHECK_MOST ((off_t)32 << 20)

/*
 * WAL: readers and the writer do not wait for each other. FULL: what is committed also survives a
 * power failure; group commit makes its fsync cheap. A larger log than SQLite's 1000 pages lets
 * rows that are written twice (a session's start and its end) reach the main file once.
 */
static const char writer_pragmas[] = "PRAGMA synchronous=FULL;"
                                     "PRAGMA wal_autocheckpoint=4000;"
                                     "PRAGMA journal_size_limit=67108864;"
                                     "PRAGMA cache_size=-32768;"
                                     "PRAGMA temp_store=MEMORY;"
                                     "PRAGMA trusted_schema=OFF;";
static const char reader_pragmas[] = "PRAGMA cache_size=-8192;"
                                     "PRAGMA temp_store=MEMORY;"
                                     "PRAGMA trusted_schema=OFF;";

/* One daemon per state directory: a second one would take the first one's sessions for aborted. */
static int take_lock(struct store *s, const char *path, char *err, size_t err_size)
{
    char lock[4096];
    int n = snprintf(lock, sizeof(lock), "%s.lock", path);

    if (n < 0 || (size_t)n >= sizeof(lock)) {
        snprintf(err, err_size, "%.64s...: the path is too long", path);
        return -1;
    }
    s->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_fd < 0) {
        snprintf(err, err_size, "%s: %s; the state directory must exist and be writable", lock,
                 strerror(errno));
        return -1;
    }
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB)) {
        snprintf(err, err_size, "%s: another trystd runs with this state directory", lock);
        return -1;
    }
    return 0;
}

/* SQLite would create it readable for others; log and shared memory take over the file's mode. */
static int create_private(const char *path, off_t *size, char *err, size_t err_size)
{
    struct stat st;
    /* Nothing of SQLite has the file open yet: closing it here would drop SQLite's locks. */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || fstat(fd, &st)) {
        snprintf(err, err_size, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    *size = st.st_size;
    close(fd);
    return 0;
}

static int fail(sqlite3 *db, const char *path, const char *what, char *err, size_t err_size)
{
    int code = db ? sqlite3_errcode(db) & 0xff : SQLITE_NOMEM;

    if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
        snprintf(err, err_size,
                 "%s: damaged, or not a database (%s); restore a copy, or move the file away to"
                 " start with an empty one",
                 path, sqlite3_errmsg(db));
    else
        snprintf(err, err_size, "%s: cannot %s: %s", path, what,
                 db ? sqlite3_errmsg(db) : "not enough memory");
    return -1;
}

/* Runs a statement whose first column must read `wanted`. */
static bool answers(sqlite3 *db, const char *sql, const char *wanted)
{
    sqlite3_stmt *st = NULL;
    bool same = false;

    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(st, 0);
        same = text && strcmp(text, wanted) == 0;
    }
    /* The statement's own code is the one to report. */
    sqlite3_finalize(st);
    return same;
}

static int check_pages(sqlite3 *db, const char *path, off_t size, char *err, size_t err_size)
{
    if (size > CHECK_MOST || answers(db, "PRAGMA quick_check(1)", "ok"))
        return 0;
    snprintf(err, err_size,
             "%s: damaged (PRAGMA quick_check fails); restore a copy, try 'sqlite3 %s .recover', or"
             " move the file away to start with an empty one",
             path, path);
    return -1;
}

static int open_writer(struct store *s, const char *path, off_t size, char *err, size_t err_size)
{
    struct store_writer *w = &s->writer;

    if (sqlite3_open_v2(path, &w->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL))
        return fail(w->db, path, "open it", err, err_size);
    sqlite3_extended_result_codes(w->db, 1);
    sqlite3_busy_timeout(w->db, 2000);
    sqlite3_db_config(w->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (!answers(w->db, "PRAGMA journal_mode=WAL", "wal"))
        return fail(w->db, path, "switch it to write-ahead logging", err, err_size);
    if (sqlite3_exec(w->db, writer_pragmas, NULL, NULL, NULL))
        return fail(w->db, path, "set it up", err, err_size);
    if (check_pages(w->db, path, size, err, err_size))
        return -1;
    if (store_migrate(w->db, path, err, err_size))
        return -1;
    for (int i = 0; i < SQL_WRITER_STATEMENTS; i++)
        if (sqlite3_prepare_v3(w->db, store_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &w->statements[i], NULL))
            return fail(w->db, path, "prepare its statements", err, err_size);
    return 0;
}

/* Whatever was in flight when the last process ended will never finish. */
static int abort_sessions(struct store *s, const char *path, char *err, size_t err_size)
{
    unsigned rows;

    if (store_abort_active(&s->writer, &rows))
        return fail(s->writer.db, path, "mark aborted sessions", err, err_size);
    if (rows > 0)
        log_notice("%u sessions were in flight when the last trystd ended; marked as aborted",
                   rows);
    return 0;
}

static int open_reader(sqlite3 **db, const char *path, char *err, size_t err_size)
{
    if (sqlite3_open_v2(path, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL))
        return fail(*db, path, "open it for reading", err, err_size);
    sqlite3_busy_timeout(*db, 1000);
    if (sqlite3_exec(*db, reader_pragmas, NULL, NULL, NULL))
        return fail(*db, path, "set it up for reading", err, err_size);
    return 0;
}

/* By which its removal shows; it is there by now, and stays while the database is open. */
static ino_t log_inode(const char *path)
{
    char log[4096];
    struct stat st;

    snprintf(log, sizeof(log), "%s-wal", path);
    return stat(log, &st) ? 0 : st.st_ino;
}

int store_open_files(struct store *s, const char *path, char *err, size_t err_size)
{
    off_t size = 0;

    /* Each allocation would take a process-wide lock for statistics that nobody reads. Refused once
       SQLite is in use, which does no harm. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    s->path = strdup(path);
    if (!s->path)
        return fail(NULL, path, "open it", err, err_size);
    if (take_lock(s, path, err, err_size) || create_private(path, &size, err, err_size) ||
        open_writer(s, path, size, err, err_size) || abort_sessions(s, path, err, err_size))
        return -1;
    s->writer.log = log_inode(path);
    return open_reader(&s->reader.db, path, err, err_size);
}

void store_close_files(struct store *s)
{
    struct store_writer *w = &s->writer;

    for (int i = 0; i < SQL_WRITER_STATEMENTS; i++)
        sqlite3_finalize(w->statements[i]);
    sqlite3_close(s->reader.db);
    /* The last connection moves the log into the main file and removes it. */
    sqlite3_close(w->db);
    if (s->lock_fd >= 0)
        close(s->lock_fd); /* and with it the lock; the file stays, since removing it would race */
}

static void load_peer(struct columns *c, const struct store_loader *loader)
{
    struct row_peer row;

    memset(&row, 0, sizeof(row));
    column_peer(c, &row);
    row.member = column_range(c, 0, 1) != 0;
    loader->peer(loader->user, &row);
}

static void load_profile(struct columns *c, const struct store_loader *loader)
{
    struct row_profile row;

    memset(&row, 0, sizeof(row));
    column_profile(c, &row);
    loader->profile(loader->user, &row);
}

static void load_invite(struct columns *c, const struct store_loader *loader)
{
    struct row_invite row;

    memset(&row, 0, sizeof(row));
    column_invite(c, &row);
    loader->invite(loader->user, &row);
}

static void load_access(struct columns *c, const struct store_loader *loader)
{
    struct row_access row;

    memset(&row, 0, sizeof(row));
    column_access(c, &row);
    if (row.verdict)
        loader->access(loader->user, &row);
}

static int load(sqlite3 *db, const char *sql, const struct store_loader *loader,
                void (*one)(struct columns *, const struct store_loader *))
{
    sqlite3_stmt *st = NULL;
    int result = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

    if (result == SQLITE_OK && sqlite3_bind_parameter_count(st) > 0)
        sqlite3_bind_int64(st, 1, store_now());
    while (result == SQLITE_OK || result == SQLITE_ROW) {
        result = sqlite3_step(st);
        struct columns c = columns(st);
        if (result == SQLITE_ROW)
            one(&c, loader);
    }
    sqlite3_finalize(st);
    return result == SQLITE_DONE ? 0 : -1;
}

int store_load(struct store *s, const struct store_loader *loader, char *err, size_t err_size)
{
    sqlite3 *db = NULL;
    int bad = open_reader(&db, s->path, err, err_size);

    if (!bad) {
        if (loader->peer)
            bad |= load(db, "SELECT " PEER_NAMES ",member FROM peers", loader, load_peer);
        if (loader->profile)
            bad |= load(db, "SELECT " NAT_NAMES " FROM nats", loader, load_profile);
        if (loader->invite)
            bad |= load(db,
                        "SELECT " INVITE_NAMES " FROM invites"
                        " WHERE used=0 AND expires>?",
                        loader, load_invite);
        if (loader->access)
            bad |= load(db,
                        "SELECT verdict,key,prefix,created,expires,reason FROM access"
                        " WHERE expires=0 OR expires>?",
                        loader, load_access);
        if (bad)
            fail(db, s->path, "read it", err, err_size);
    }
    sqlite3_close(db);
    return bad ? -1 : 0;
}
