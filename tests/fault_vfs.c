/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "tests/fault_vfs.h"

#include <sqlite3.h>
#include <string.h>
#include <time.h>

struct fault fault;

/* The real file lies behind it, in the same allocation. */
struct faulty {
    sqlite3_file base;
    long long alignment;
};

static sqlite3_vfs *below;

static sqlite3_file *real(sqlite3_file *f)
{
    return (sqlite3_file *)(void *)((struct faulty *)(void *)f + 1);
}

static int fails(atomic_int *which)
{
    int code = atomic_load(which);

    if (code)
        atomic_fetch_add(&fault.failed, 1);
    return code;
}

static int do_close(sqlite3_file *f)
{
    return real(f)->pMethods->xClose(real(f));
}

static int do_read(sqlite3_file *f, void *bytes, int size, sqlite3_int64 at)
{
    int code = fails(&fault.read);
    return code ? code : real(f)->pMethods->xRead(real(f), bytes, size, at);
}

static int do_write(sqlite3_file *f, const void *bytes, int size, sqlite3_int64 at)
{
    int code = fails(&fault.write);
    return code ? code : real(f)->pMethods->xWrite(real(f), bytes, size, at);
}

static int do_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return real(f)->pMethods->xTruncate(real(f), size);
}

static int do_sync(sqlite3_file *f, int flags)
{
    struct timespec pause = {0, 1000000};
    int code = fails(&fault.sync);

    while (atomic_load(&fault.hang))
        nanosleep(&pause, NULL);
    return code ? code : real(f)->pMethods->xSync(real(f), flags);
}

static int do_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real(f)->pMethods->xFileSize(real(f), size);
}

static int do_lock(sqlite3_file *f, int how)
{
    return real(f)->pMethods->xLock(real(f), how);
}

static int do_unlock(sqlite3_file *f, int how)
{
    return real(f)->pMethods->xUnlock(real(f), how);
}

static int do_check_lock(sqlite3_file *f, int *held)
{
    return real(f)->pMethods->xCheckReservedLock(real(f), held);
}

static int do_control(sqlite3_file *f, int what, void *argument)
{
    return real(f)->pMethods->xFileControl(real(f), what, argument);
}

static int do_sector(sqlite3_file *f)
{
    return real(f)->pMethods->xSectorSize(real(f));
}

static int do_device(sqlite3_file *f)
{
    return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int do_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
}

static int do_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    int code = flags & SQLITE_SHM_LOCK && flags & SQLITE_SHM_EXCLUSIVE ? fails(&fault.lock) : 0;
    return code ? code : real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}

static void do_barrier(sqlite3_file *f)
{
    real(f)->pMethods->xShmBarrier(real(f));
}

static int do_unmap(sqlite3_file *f, int remove)
{
    return real(f)->pMethods->xShmUnmap(real(f), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = do_close,
    .xRead = do_read,
    .xWrite = do_write,
    .xTruncate = do_truncate,
    .xSync = do_sync,
    .xFileSize = do_size,
    .xLock = do_lock,
    .xUnlock = do_unlock,
    .xCheckReservedLock = do_check_lock,
    .xFileControl = do_control,
    .xSectorSize = do_sector,
    .xDeviceCharacteristics = do_device,
    .xShmMap = do_map,
    .xShmLock = do_shm_lock,
    .xShmBarrier = do_barrier,
    .xShmUnmap = do_unmap,
};

static int do_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *f, int flags, int *out)
{
    (void)vfs;
    f->pMethods = NULL;
    int result = below->xOpen(below, name, real(f), flags, out);
    if (real(f)->pMethods)
        f->pMethods = &methods;
    return result;
}

void fault_vfs_install(void)
{
    static sqlite3_vfs vfs;

    if (below)
        return;
    sqlite3_initialize();
    below = sqlite3_vfs_find(NULL);
    vfs = *below;
    vfs.pNext = NULL;
    vfs.zName = "fault";
    vfs.szOsFile = (int)sizeof(struct faulty) + below->szOsFile;
    vfs.xOpen = do_open;
    sqlite3_vfs_register(&vfs, 1);
}
