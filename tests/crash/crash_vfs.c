/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/crash/crash_vfs.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>

#include "base/crashpoint.h"
#include "tests/crash/crash_ledger.h"

enum kind { OTHER, LIBRARY_DB, LIBRARY_WAL, SYNC_DB, SYNC_WAL };

struct file {
    sqlite3_file base; /* must be first */
    enum kind kind;
    uint32_t device;
    sqlite3_file *inner; /* behind this struct */
};

static sqlite3_vfs vfs;
static sqlite3_vfs *below;
static _Thread_local int application;
static _Atomic uint64_t syncs;
static uint64_t cut_at; /* 0: never */
static void (*cut_fn)(void *ctx, uint32_t device);
static void *cut_ctx;

static struct file *as_file(sqlite3_file *base)
{
    return (struct file *)(void *)base;
}

static enum kind kind_of(const char *path)
{
    static const struct {
        const char *name;
        enum kind kind;
    } names[] = {{"library.db", LIBRARY_DB},
                 {"library.db-wal", LIBRARY_WAL},
                 {"sync.db", SYNC_DB},
                 {"sync.db-wal", SYNC_WAL}};
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    for (size_t i = 0; slash != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(slash + 1, names[i].name) == 0) {
            return names[i].kind;
        }
    }
    return OTHER;
}

/* ---- Files -------------------------------------------------------------------------------- */

static int file_close(sqlite3_file *base)
{
    sqlite3_file *inner = as_file(base)->inner;
    return inner->pMethods != NULL ? inner->pMethods->xClose(inner) : SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *out, int size, sqlite3_int64 offset)
{
    sqlite3_file *inner = as_file(base)->inner;
    return inner->pMethods->xRead(inner, out, size, offset);
}

static int file_write(sqlite3_file *base, const void *data, int size, sqlite3_int64 offset)
{
    const struct file *file = as_file(base);
    sqlite3_file *inner = file->inner;
    bool is_checkpoint = file->kind == LIBRARY_DB || file->kind == SYNC_DB;
    bool is_slice = file->kind == LIBRARY_WAL && !application;
    if (is_checkpoint) {
        SL_CRASHPOINT(S14, BEFORE);
    }
    if (is_slice) {
        SL_CRASHPOINT(R5, BEFORE);
    }
    int code = inner->pMethods->xWrite(inner, data, size, offset);
    if (is_checkpoint) {
        SL_CRASHPOINT(S14, AFTER);
    }
    if (is_slice) {
        SL_CRASHPOINT(R5, AFTER);
    }
    return code;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    sqlite3_file *inner = as_file(base)->inner;
    return inner->pMethods->xTruncate(inner, size);
}

static int file_sync(sqlite3_file *base, int flags)
{
    const struct file *file = as_file(base);
    sqlite3_file *inner = file->inner;
    if (atomic_fetch_add(&syncs, 1) + 1 == cut_at && cut_fn != NULL) {
        cut_fn(cut_ctx, file->device);
    }
    if (file->kind == SYNC_WAL) {
        SL_CRASHPOINT(S7, BEFORE);
    }
    int code = inner->pMethods->xSync(inner, flags);
    if (file->kind == SYNC_WAL) {
        SL_CRASHPOINT(S7, AFTER);
    }
    return code;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *out)
{
    sqlite3_file *inner = as_file(base)->inner;
    return inner->pMethods->xFileSize(inner, out);
}

static int file_lock(sqlite3_file *base, int level)
{
    sqlite3_file *inner = as_file(base)->inner;
    return inner->pMethods->xLock(inner, level);
}

static int file_unlock(sqlite3_file *base, int level)
{
    sqlite3_file *inner = as_file(base)->inner;
    return inner->pMethods->xUnlock(inner, level);
}

static int file_check_reserved(sqlite3_file *base, int *out)
{
    sqlite3_file *inner = as_file(base)->inner;
    return inner->pMethods->xCheckReservedLock(inner, out);
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
    sqlite3_file *inner = as_file(base)->inner;
    return inner->pMethods->xFileControl(inner, op, arg);
}

static int file_sector_size(sqlite3_file *base)
{
    sqlite3_file *inner = as_file(base)->inner;
    return inner->pMethods->xSectorSize(inner);
}

static int file_device_characteristics(sqlite3_file *base)
{
    sqlite3_file *inner = as_file(base)->inner;
    return inner->pMethods->xDeviceCharacteristics(inner);
}

static int file_shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out)
{
    sqlite3_file *inner = as_file(base)->inner;
    return inner->pMethods->xShmMap(inner, region, size, extend, out);
}

static int file_shm_lock(sqlite3_file *base, int first, int count, int flags)
{
    sqlite3_file *inner = as_file(base)->inner;
    return inner->pMethods->xShmLock(inner, first, count, flags);
}

static void file_shm_barrier(sqlite3_file *base)
{
    sqlite3_file *inner = as_file(base)->inner;
    inner->pMethods->xShmBarrier(inner);
}

static int file_shm_unmap(sqlite3_file *base, int delete_it)
{
    sqlite3_file *inner = as_file(base)->inner;
    return inner->pMethods->xShmUnmap(inner, delete_it);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_device_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- The VFS ------------------------------------------------------------------------------ */

static int vfs_open(sqlite3_vfs *self, const char *path, sqlite3_file *base, int flags,
                    int *out_flags)
{
    struct file *file = as_file(base);
    (void)self;
    memset(file, 0, sizeof(*file));
    file->inner = (sqlite3_file *)(void *)(file + 1);
    file->kind = kind_of(path);
    file->device = path != NULL && strstr(path, "/d1/") != NULL ? 1 : 0;
    int code = below->xOpen(below, path, file->inner, flags, out_flags);
    file->base.pMethods = file->inner->pMethods != NULL ? &methods : NULL;
    return code;
}

static int vfs_delete(sqlite3_vfs *self, const char *path, int sync_directory)
{
    (void)self;
    return below->xDelete(below, path, sync_directory);
}

static int vfs_access(sqlite3_vfs *self, const char *path, int flags, int *out)
{
    (void)self;
    return below->xAccess(below, path, flags, out);
}

static int vfs_full_pathname(sqlite3_vfs *self, const char *path, int size, char *out)
{
    (void)self;
    return below->xFullPathname(below, path, size, out);
}

static int vfs_randomness(sqlite3_vfs *self, int size, char *out)
{
    (void)self;
    return below->xRandomness(below, size, out);
}

static int vfs_sleep(sqlite3_vfs *self, int us)
{
    (void)self;
    return below->xSleep(below, us);
}

static int vfs_current_time(sqlite3_vfs *self, double *out)
{
    (void)self;
    return below->xCurrentTime(below, out);
}

static int vfs_current_time_ms(sqlite3_vfs *self, sqlite3_int64 *out)
{
    (void)self;
    return below->xCurrentTimeInt64(below, out);
}

void crash_vfs_register(const char *inner)
{
    below = sqlite3_vfs_find(inner);
    if (below == NULL) {
        crash_give_up("SQLite has no VFS");
    }
    vfs = (sqlite3_vfs){.iVersion = 2,
                        .szOsFile = (int)sizeof(struct file) + below->szOsFile,
                        .mxPathname = below->mxPathname,
                        .zName = CRASH_VFS_NAME,
                        .xOpen = vfs_open,
                        .xDelete = vfs_delete,
                        .xAccess = vfs_access,
                        .xFullPathname = vfs_full_pathname,
                        .xRandomness = vfs_randomness,
                        .xSleep = vfs_sleep,
                        .xCurrentTime = vfs_current_time,
                        .xCurrentTimeInt64 = vfs_current_time_ms};
    atomic_store(&syncs, 0);
    cut_at = 0;
    if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK) {
        crash_give_up("SQLite takes no VFS");
    }
}

void crash_vfs_remove(void)
{
    (void)sqlite3_vfs_unregister(&vfs);
}

void crash_vfs_application(int is_application)
{
    application = is_application;
}

void crash_vfs_cut_at_sync(uint64_t nth, void (*cut)(void *ctx, uint32_t device), void *ctx)
{
    cut_at = nth > 0 ? atomic_load(&syncs) + nth : 0;
    cut_fn = cut;
    cut_ctx = ctx;
}

uint64_t crash_vfs_syncs(void)
{
    return atomic_load(&syncs);
}
