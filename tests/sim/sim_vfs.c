/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A name has two states, as content has (sim_content.h): `linked` is what is seen, `link_synced`
 * what is durable. A deleted file whose directory was not synced stays as a ghost, for a power cut
 * to bring back. */

#include "tests/sim/sim_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_content.h"

#define SHM_REGION_MAX 1024u

struct shm {
    uint8_t **regions;                 /* as SQLite asked for them; zeroed */
    size_t regions_len;                /* of them there are */
    unsigned handles;                  /* that mapped it */
    unsigned shared[SQLITE_SHM_NLOCK]; /* shared locks on each slot */
    bool exclusive[SQLITE_SHM_NLOCK];  /* or the one exclusive lock */
};

struct inode {
    struct inode *next; /* in the disk's list, newest first */
    char *path;         /* NULL: nameless, gone with its last handle */
    struct sl_sim_content content;
    bool linked;         /* the name is seen */
    bool link_synced;    /* the name is durable */
    unsigned handles;    /* open ones */
    unsigned shared;     /* of them with at least a SHARED lock */
    struct file *writer; /* the one with RESERVED, PENDING or EXCLUSIVE, or NULL */
    struct shm *shm;     /* NULL: nobody mapped it */
};

struct file {
    sqlite3_file base;        /* must be first */
    struct sl_sim_disk *disk; /* its disk */
    struct file *next;        /* in the disk's list of handles */
    struct inode *inode;      /* NULL: its process died */
    struct shm *shm;          /* mapped, or NULL; outlives the inode's own after a kill */
    int level;                /* SQLITE_LOCK_* */
    uint16_t shm_shared;      /* slots held shared, one bit each */
    uint16_t shm_exclusive;   /* slots held exclusively */
    bool delete_on_close;
};

struct sl_sim_disk {
    sqlite3_vfs vfs;                /* pAppData points back here */
    struct sl_sim_disk_world world; /* copied */
    struct inode *inodes;
    struct file *files;
    sqlite3_vfs *default_before; /* restored at the end */
};

static void observe(struct sl_sim_disk *disk, enum sl_sim_disk_op op, const struct inode *inode,
                    uint64_t offset, const void *data, size_t size)
{
    if (disk->world.observe != NULL) {
        disk->world.observe(disk->world.ctx, op, inode->path, offset, data, size);
    }
}

/* SQLITE_OK, or what SQLite is told instead. The inode may be gone from its handles afterwards. */
static int fate(struct sl_sim_disk *disk, const struct inode *inode, enum sl_sim_disk_op op)
{
    static const int errors[] = {0,
                                 SQLITE_CANTOPEN,
                                 SQLITE_IOERR_WRITE,
                                 SQLITE_IOERR_TRUNCATE,
                                 SQLITE_IOERR_FSYNC,
                                 SQLITE_IOERR_DELETE,
                                 SQLITE_IOERR_CLOSE,
                                 SQLITE_IOERR_READ};
    if (disk->world.fate == NULL || inode->path == NULL) {
        return SQLITE_OK;
    }
    enum sl_sim_disk_fate is = disk->world.fate(disk->world.ctx, op, inode->path);
    if (is == SL_SIM_DISK_FINE) {
        return SQLITE_OK;
    }
    return is == SL_SIM_DISK_FULL && op == SL_SIM_DISK_WRITE ? SQLITE_FULL : errors[op];
}

/* ---- Names -------------------------------------------------------------------------------- */

static struct inode *inode_find(const struct sl_sim_disk *disk, const char *path)
{
    for (struct inode *inode = disk->inodes; inode != NULL; inode = inode->next) {
        if (inode->linked && strcmp(inode->path, path) == 0) {
            return inode;
        }
    }
    return NULL;
}

static struct inode *inode_new(struct sl_sim_disk *disk, const char *path)
{
    struct inode *inode = calloc(1, sizeof(*inode));
    if (inode == NULL) {
        return NULL;
    }
    if (path != NULL) {
        inode->path = strdup(path);
        if (inode->path == NULL) {
            free(inode);
            return NULL;
        }
        inode->linked = true;
    }
    inode->next = disk->inodes;
    disk->inodes = inode;
    return inode;
}

static void inode_free(struct sl_sim_disk *disk, struct inode *inode)
{
    struct inode **at = &disk->inodes;
    while (*at != inode) {
        at = &(*at)->next;
    }
    *at = inode->next;
    sl_sim_content_fini(&inode->content);
    free(inode->path);
    free(inode);
}

/* Frees it once no handle, no name and no durable name holds it. */
static void inode_release(struct sl_sim_disk *disk, struct inode *inode)
{
    if (inode->handles == 0 && !inode->linked && !inode->link_synced) {
        inode_free(disk, inode);
    }
}

static size_t directory_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

/* What a sync of the directory of `path` makes durable. */
static void directory_sync(struct sl_sim_disk *disk, const char *path)
{
    size_t len = directory_len(path);
    struct inode *next;
    for (struct inode *inode = disk->inodes; inode != NULL; inode = next) {
        next = inode->next;
        if (inode->path != NULL && directory_len(inode->path) == len &&
            memcmp(inode->path, path, len) == 0) {
            inode->link_synced = inode->linked;
            inode_release(disk, inode);
        }
    }
}

/* ---- Files -------------------------------------------------------------------------------- */

static struct file *as_file(sqlite3_file *file)
{
    return (struct file *)(void *)file;
}

static int file_unlock(sqlite3_file *base, int level)
{
    struct file *file = as_file(base);
    struct inode *inode = file->inode;
    if (inode == NULL || file->level <= level) {
        return SQLITE_OK;
    }
    if (inode->writer == file) {
        inode->writer = NULL;
    }
    if (level == SQLITE_LOCK_NONE) {
        inode->shared--;
    }
    file->level = level;
    return SQLITE_OK;
}

/* The steps of SQLite's unix VFS. A writer that waits for readers is PENDING: nobody new gets in.
 */
static int file_lock(sqlite3_file *base, int level)
{
    struct file *file = as_file(base);
    struct inode *inode = file->inode;
    if (inode == NULL) {
        return SQLITE_IOERR_LOCK;
    }
    if (file->level >= level) {
        return SQLITE_OK;
    }
    bool others_write = inode->writer != NULL && inode->writer != file;
    if (level == SQLITE_LOCK_SHARED) {
        if (others_write && inode->writer->level >= SQLITE_LOCK_PENDING) {
            return SQLITE_BUSY;
        }
        inode->shared++;
        file->level = SQLITE_LOCK_SHARED;
        return SQLITE_OK;
    }
    if (others_write) {
        return SQLITE_BUSY;
    }
    inode->writer = file;
    if (level == SQLITE_LOCK_RESERVED) {
        file->level = SQLITE_LOCK_RESERVED;
        return SQLITE_OK;
    }
    if (inode->shared > 1) {
        file->level = SQLITE_LOCK_PENDING;
        return SQLITE_BUSY;
    }
    file->level = SQLITE_LOCK_EXCLUSIVE;
    return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *base, int *out)
{
    struct file *file = as_file(base);
    if (file->inode == NULL) {
        return SQLITE_IOERR_CHECKRESERVEDLOCK;
    }
    *out = file->inode->writer != NULL;
    return SQLITE_OK;
}

static void shm_release(struct shm *shm)
{
    if (--shm->handles > 0) {
        return;
    }
    for (size_t i = 0; i < shm->regions_len; i++) {
        free(shm->regions[i]);
    }
    free(shm->regions);
    free(shm);
}

static void shm_drop_locks(struct file *file)
{
    for (unsigned i = 0; i < SQLITE_SHM_NLOCK; i++) {
        if ((file->shm_shared & (1u << i)) != 0) {
            file->shm->shared[i]--;
        }
        if ((file->shm_exclusive & (1u << i)) != 0) {
            file->shm->exclusive[i] = false;
        }
    }
    file->shm_shared = 0;
    file->shm_exclusive = 0;
}

/* With the last mapping the content goes, as on a real system at the next first opening. */
static int file_shm_unmap(sqlite3_file *base, int delete_it)
{
    (void)delete_it;
    struct file *file = as_file(base);
    if (file->shm == NULL) {
        return SQLITE_OK;
    }
    shm_drop_locks(file);
    if (file->inode != NULL && file->shm->handles == 1) {
        file->inode->shm = NULL;
    }
    shm_release(file->shm);
    file->shm = NULL;
    return SQLITE_OK;
}

static int file_shm_map(sqlite3_file *base, int region, int region_size, int extend,
                        void volatile **out)
{
    struct file *file = as_file(base);
    *out = NULL;
    if (file->inode == NULL) {
        return SQLITE_IOERR_SHMMAP;
    }
    if (file->shm == NULL) {
        if (file->inode->shm == NULL) {
            file->inode->shm = calloc(1, sizeof(*file->inode->shm));
            if (file->inode->shm == NULL) {
                return SQLITE_NOMEM;
            }
        }
        file->shm = file->inode->shm;
        file->shm->handles++;
    }
    struct shm *shm = file->shm;
    if (region < 0 || (size_t)region >= SHM_REGION_MAX) {
        return SQLITE_IOERR_SHMSIZE;
    }
    while (shm->regions_len <= (size_t)region) {
        if (!extend) {
            return SQLITE_OK;
        }
        uint8_t **regions = realloc(shm->regions, (shm->regions_len + 1) * sizeof(*regions));
        if (regions == NULL) {
            return SQLITE_NOMEM;
        }
        shm->regions = regions;
        regions[shm->regions_len] = calloc(1, (size_t)region_size);
        if (regions[shm->regions_len] == NULL) {
            return SQLITE_NOMEM;
        }
        shm->regions_len++;
    }
    *out = shm->regions[region];
    return SQLITE_OK;
}

static int file_shm_lock(sqlite3_file *base, int first, int count, int flags)
{
    struct file *file = as_file(base);
    struct shm *shm = file->shm;
    if (file->inode == NULL || shm == NULL) {
        return SQLITE_IOERR_SHMLOCK;
    }
    uint16_t mask = (uint16_t)(((1u << count) - 1u) << first);
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        for (int i = first; i < first + count; i++) {
            if ((file->shm_shared & (1u << i)) != 0) {
                shm->shared[i]--;
            }
            if ((file->shm_exclusive & (1u << i)) != 0) {
                shm->exclusive[i] = false;
            }
        }
        file->shm_shared &= (uint16_t)~mask;
        file->shm_exclusive &= (uint16_t)~mask;
        return SQLITE_OK;
    }
    if ((flags & SQLITE_SHM_SHARED) != 0) { /* one slot, says SQLite's documentation */
        if ((file->shm_shared & mask) != 0) {
            return SQLITE_OK;
        }
        if (shm->exclusive[first]) {
            return SQLITE_BUSY;
        }
        shm->shared[first]++;
        file->shm_shared |= mask;
        return SQLITE_OK;
    }
    for (int i = first; i < first + count; i++) {
        bool ours_exclusive = (file->shm_exclusive & (1u << i)) != 0;
        unsigned ours_shared = (file->shm_shared & (1u << i)) != 0 ? 1 : 0;
        if ((shm->exclusive[i] && !ours_exclusive) || shm->shared[i] > ours_shared) {
            return SQLITE_BUSY;
        }
    }
    for (int i = first; i < first + count; i++) {
        shm->exclusive[i] = true;
    }
    file->shm_exclusive |= mask;
    return SQLITE_OK;
}

static void file_shm_barrier(sqlite3_file *base)
{
    (void)base; /* one thread */
}

static int file_close(sqlite3_file *base)
{
    struct file *file = as_file(base);
    struct sl_sim_disk *disk = file->disk;
    (void)file_shm_unmap(base, 0);
    (void)file_unlock(base, SQLITE_LOCK_NONE);
    struct file **at = &disk->files;
    while (*at != file) {
        at = &(*at)->next;
    }
    *at = file->next;
    struct inode *inode = file->inode;
    if (inode != NULL) {
        observe(disk, SL_SIM_DISK_CLOSE, inode, 0, NULL, 0);
        if (file->delete_on_close) {
            inode->linked = false;
        }
        inode->handles--;
        inode_release(disk, inode);
    }
    file->base.pMethods = NULL;
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *out, int size, sqlite3_int64 offset)
{
    struct file *file = as_file(base);
    if (file->inode == NULL) {
        return SQLITE_IOERR_READ;
    }
    int rc = fate(file->disk, file->inode, SL_SIM_DISK_READ);
    if (rc != SQLITE_OK) {
        return rc;
    }
    uint64_t from = (uint64_t)offset;
    size_t wanted = (size_t)size;
    size_t there =
        from < file->inode->content.size ? (size_t)(file->inode->content.size - from) : 0;
    size_t some = there < wanted ? there : wanted;
    sl_sim_content_read(&file->inode->content, out, some, from);
    if (some < wanted) {
        memset((uint8_t *)out + some, 0, wanted - some);
        return SQLITE_IOERR_SHORT_READ;
    }
    return SQLITE_OK;
}

static int file_write(sqlite3_file *base, const void *data, int size, sqlite3_int64 offset)
{
    struct file *file = as_file(base);
    if (file->inode == NULL) {
        return SQLITE_IOERR_WRITE;
    }
    int rc = fate(file->disk, file->inode, SL_SIM_DISK_WRITE);
    if (rc != SQLITE_OK) {
        return rc;
    }
    observe(file->disk, SL_SIM_DISK_WRITE, file->inode, (uint64_t)offset, data, (size_t)size);
    return sl_sim_content_write(&file->inode->content, data, (size_t)size, (uint64_t)offset)
               ? SQLITE_OK
               : SQLITE_IOERR_NOMEM;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct file *file = as_file(base);
    if (file->inode == NULL) {
        return SQLITE_IOERR_TRUNCATE;
    }
    int rc = fate(file->disk, file->inode, SL_SIM_DISK_TRUNCATE);
    if (rc != SQLITE_OK) {
        return rc;
    }
    observe(file->disk, SL_SIM_DISK_TRUNCATE, file->inode, (uint64_t)size, NULL, 0);
    return sl_sim_content_truncate(&file->inode->content, (uint64_t)size) ? SQLITE_OK
                                                                          : SQLITE_IOERR_NOMEM;
}

/* The first sync of a new file also syncs its directory, as the unix VFS does for what it makes. */
static int file_sync(sqlite3_file *base, int flags)
{
    (void)flags;
    struct file *file = as_file(base);
    if (file->inode == NULL) {
        return SQLITE_IOERR_FSYNC;
    }
    int rc = fate(file->disk, file->inode, SL_SIM_DISK_SYNC);
    if (rc != SQLITE_OK) {
        return rc;
    }
    observe(file->disk, SL_SIM_DISK_SYNC, file->inode, 0, NULL, 0);
    sl_sim_content_sync(&file->inode->content);
    if (file->inode->linked && !file->inode->link_synced) {
        directory_sync(file->disk, file->inode->path);
    }
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *out)
{
    struct file *file = as_file(base);
    if (file->inode == NULL) {
        return SQLITE_IOERR_FSTAT;
    }
    *out = (sqlite3_int64)file->inode->content.size;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
    (void)base;
    if (op == SQLITE_FCNTL_VFSNAME) {
        *(char **)arg = sqlite3_mprintf("%s", SL_SIM_VFS_NAME);
        return SQLITE_OK;
    }
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *base)
{
    (void)base;
    return (int)SL_SIM_SECTOR_SIZE;
}

static int file_device_characteristics(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods file_methods = {
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

static struct sl_sim_disk *as_disk(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags,
                    int *out_flags)
{
    struct sl_sim_disk *disk = as_disk(vfs);
    struct file *file = as_file(base);
    memset(file, 0, sizeof(*file));
    struct inode *inode = path != NULL ? inode_find(disk, path) : NULL;
    if (inode != NULL && (flags & SQLITE_OPEN_EXCLUSIVE) != 0) {
        return SQLITE_CANTOPEN;
    }
    if (inode == NULL && path != NULL && (flags & SQLITE_OPEN_CREATE) == 0) {
        return SQLITE_CANTOPEN;
    }
    int rc = inode != NULL ? fate(disk, inode, SL_SIM_DISK_OPEN) : SQLITE_OK;
    if (rc != SQLITE_OK) {
        return rc;
    }
    if (inode == NULL) {
        inode = inode_new(disk, path);
        if (inode == NULL) {
            return SQLITE_NOMEM;
        }
    }
    inode->handles++;
    file->base.pMethods = &file_methods;
    file->disk = disk;
    file->inode = inode;
    file->delete_on_close = path == NULL || (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    file->next = disk->files;
    disk->files = file;
    observe(disk, SL_SIM_DISK_OPEN, inode, 0, NULL, 0);
    if (out_flags != NULL) {
        *out_flags = flags;
    }
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_directory)
{
    struct sl_sim_disk *disk = as_disk(vfs);
    struct inode *inode = inode_find(disk, path);
    if (inode == NULL) {
        return SQLITE_IOERR_DELETE_NOENT;
    }
    int rc = fate(disk, inode, SL_SIM_DISK_DELETE);
    if (rc != SQLITE_OK) {
        return rc;
    }
    observe(disk, SL_SIM_DISK_DELETE, inode, (uint64_t)sync_directory, NULL, 0);
    inode->linked = false;
    if (sync_directory != 0) {
        directory_sync(disk, path); /* releases the inode */
        return SQLITE_OK;
    }
    inode_release(disk, inode);
    return SQLITE_OK;
}

/* As the unix VFS: an empty file does not "exist". */
static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    const struct inode *inode = inode_find(as_disk(vfs), path);
    *out = inode != NULL && (flags != SQLITE_ACCESS_EXISTS || inode->content.size > 0);
    return SQLITE_OK;
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *path, int size, char *out)
{
    (void)vfs;
    sqlite3_snprintf(size, out, "%s%s", path[0] == '/' ? "" : "/", path);
    return strlen(path) + 2 > (size_t)size ? SQLITE_CANTOPEN : SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *out)
{
    struct sl_sim_disk *disk = as_disk(vfs);
    disk->world.random(disk->world.ctx, out, (size_t)size);
    return size;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    struct sl_sim_disk *disk = as_disk(vfs);
    disk->world.sleep_us(disk->world.ctx, (uint64_t)us);
    return us;
}

static int vfs_current_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    static const sqlite3_int64 unix_epoch_ms = 24405875 * (sqlite3_int64)8640000; /* Julian */
    struct sl_sim_disk *disk = as_disk(vfs);
    *out = unix_epoch_ms + (sqlite3_int64)disk->world.wall_ms(disk->world.ctx);
    return SQLITE_OK;
}

static int vfs_current_time(sqlite3_vfs *vfs, double *out)
{
    sqlite3_int64 ms;
    (void)vfs_current_time_ms(vfs, &ms);
    *out = (double)ms / 86400000.0;
    return SQLITE_OK;
}

struct sl_sim_disk *sl_sim_disk_new(const struct sl_sim_disk_world *world)
{
    struct sl_sim_disk *disk = calloc(1, sizeof(*disk));
    if (disk == NULL) {
        return NULL;
    }
    disk->world = *world;
    disk->default_before = sqlite3_vfs_find(NULL);
    disk->vfs = (sqlite3_vfs){
        .iVersion = 2,
        .szOsFile = (int)sizeof(struct file),
        .mxPathname = 512,
        .zName = SL_SIM_VFS_NAME,
        .pAppData = disk,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_pathname,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_current_time,
        .xCurrentTimeInt64 = vfs_current_time_ms,
    };
    if (sqlite3_vfs_register(&disk->vfs, 1) != SQLITE_OK) {
        free(disk);
        return NULL;
    }
    return disk;
}

void sl_sim_disk_free(struct sl_sim_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    sqlite3_vfs_unregister(&disk->vfs);
    if (disk->default_before != NULL) {
        sqlite3_vfs_register(disk->default_before, 1);
    }
    while (disk->inodes != NULL) {
        inode_free(disk, disk->inodes);
    }
    free(disk);
}

static bool is_below(const struct inode *inode, const char *prefix)
{
    return inode->path != NULL && strncmp(inode->path, prefix, strlen(prefix)) == 0;
}

void sl_sim_disk_kill(struct sl_sim_disk *disk, const char *prefix)
{
    for (struct file *file = disk->files; file != NULL; file = file->next) {
        struct inode *inode = file->inode;
        if (inode == NULL || !is_below(inode, prefix)) {
            continue;
        }
        (void)file_unlock(&file->base, SQLITE_LOCK_NONE);
        if (file->shm != NULL) {
            /* SQLite still has pointers into the regions: they stay until the handle is closed. */
            shm_drop_locks(file);
            inode->shm = NULL;
        }
        file->inode = NULL;
        inode->handles--;
        if (file->delete_on_close) {
            inode->linked = false;
        }
        inode_release(disk, inode);
    }
}

void sl_sim_disk_power_cut(struct sl_sim_disk *disk, const char *prefix)
{
    sl_sim_disk_kill(disk, prefix);
    struct inode *next;
    for (struct inode *inode = disk->inodes; inode != NULL; inode = next) {
        next = inode->next;
        if (is_below(inode, prefix)) {
            sl_sim_content_revert(&inode->content);
            inode->linked = inode->link_synced;
            inode_release(disk, inode);
        }
    }
}

void sl_sim_disk_power_tear(struct sl_sim_disk *disk, const char *prefix,
                            struct sl_sim_random *random)
{
    sl_sim_disk_kill(disk, prefix);
    bool names_kept = sl_sim_random_percent(random, 50); /* all of them: two may share a path */
    struct inode *next;
    for (struct inode *inode = disk->inodes; inode != NULL; inode = next) {
        next = inode->next;
        if (!is_below(inode, prefix)) {
            continue;
        }
        if (!sl_sim_content_tear(&inode->content, random)) {
            abort(); /* there is no run to save */
        }
        inode->linked = names_kept ? inode->linked : inode->link_synced;
        inode->link_synced = inode->linked;
        inode_release(disk, inode);
    }
}

int64_t sl_sim_disk_size(const struct sl_sim_disk *disk, const char *path, bool durable)
{
    for (const struct inode *inode = disk->inodes; inode != NULL; inode = inode->next) {
        if (inode->path != NULL && (durable ? inode->link_synced : inode->linked) &&
            strcmp(inode->path, path) == 0) {
            return (int64_t)(durable ? inode->content.synced_size : inode->content.size);
        }
    }
    return -1;
}

static bool inode_export(const struct inode *inode, const char *directory)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s%s", directory, inode->path);
    FILE *out = fopen(path, "wb");
    if (out == NULL) {
        return false;
    }
    bool ok = true;
    uint8_t sector[SL_SIM_SECTOR_SIZE];
    for (uint64_t at = 0; at < inode->content.size && ok; at += sizeof(sector)) {
        uint64_t left = inode->content.size - at;
        size_t size = left < sizeof(sector) ? (size_t)left : sizeof(sector);
        sl_sim_content_read(&inode->content, sector, size, at);
        ok = fwrite(sector, 1, size, out) == size;
    }
    return fclose(out) == 0 && ok;
}

bool sl_sim_disk_export(const struct sl_sim_disk *disk, const char *directory)
{
    bool ok = true;
    for (const struct inode *inode = disk->inodes; inode != NULL && ok; inode = inode->next) {
        ok = !inode->linked || inode_export(inode, directory);
    }
    return ok;
}

size_t sl_sim_disk_file_count(const struct sl_sim_disk *disk)
{
    size_t count = 0;
    for (const struct inode *inode = disk->inodes; inode != NULL; inode = inode->next) {
        count += inode->linked ? 1 : 0;
    }
    return count;
}

size_t sl_sim_disk_handle_count(const struct sl_sim_disk *disk)
{
    size_t count = 0;
    for (const struct file *file = disk->files; file != NULL; file = file->next) {
        count++;
    }
    return count;
}
