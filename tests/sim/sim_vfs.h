/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The simulated disk: an SQLite VFS whose files lie in memory.
 *
 * Every file is an array of sectors, and every sector knows two states: what a reader sees now, and
 * what the last xSync made durable. The same goes for a file's size and for its name in its
 * directory. So a crash of the processes loses nothing that was written, and a power cut loses what
 * was not synced. Locks and shared memory are those of SQLite's own unix VFS, between all
 * connections of this one process; the -shm regions lie on the heap, without which SQLite would
 * fall back from WAL without a word.
 *
 * Paths are text; a device is a prefix ("/d0/"). A disk is used by one thread. */

#ifndef SL_SIM_VFS_H
#define SL_SIM_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/sim/sim_random.h"

#define SL_SIM_VFS_NAME "sl-sim"

struct sl_sim_disk;

enum sl_sim_disk_op {
    SL_SIM_DISK_OPEN = 1,
    SL_SIM_DISK_WRITE,
    SL_SIM_DISK_TRUNCATE,
    SL_SIM_DISK_SYNC,
    SL_SIM_DISK_DELETE,
    SL_SIM_DISK_CLOSE,
    SL_SIM_DISK_READ /* asked for its fate, not observed */
};

/* What becomes of an operation. */
enum sl_sim_disk_fate {
    SL_SIM_DISK_FINE,
    SL_SIM_DISK_FULL,  /* no space left, of what needs space; else as ERROR */
    SL_SIM_DISK_ERROR, /* EIO */
};

/* The world around the disk. */
struct sl_sim_disk_world {
    uint64_t (*wall_ms)(void *ctx);                    /* ms since 1970 */
    void (*sleep_us)(void *ctx, uint64_t us);          /* moves the clock; returns at once */
    void (*random)(void *ctx, void *out, size_t size); /* what SQLite seeds itself with */
    /* Told of everything that changes the disk. path is NULL for a nameless file; data are the
     * bytes of a write. May be NULL. */
    void (*observe)(void *ctx, enum sl_sim_disk_op op, const char *path, uint64_t offset,
                    const void *data, size_t size);
    /* Asked before everything that reads or changes a file with a name: but for FINE it does not
     * happen. It may kill who uses the file. May be NULL: all is fine. */
    enum sl_sim_disk_fate (*fate)(void *ctx, enum sl_sim_disk_op op, const char *path);
    void *ctx; /* first argument of the functions */
};

/* Makes an empty disk and registers it as the VFS SL_SIM_VFS_NAME and as SQLite's default, so that
 * SQLite draws its own randomness from the world, too. One at a time in a process. NULL: no memory.
 */
struct sl_sim_disk *sl_sim_disk_new(const struct sl_sim_disk_world *world);
/* Unregisters it and frees the files. All its files must be closed. NULL is allowed. */
void sl_sim_disk_free(struct sl_sim_disk *disk);

/* The processes that use files below `prefix` die: their handles do nothing but fail from now on,
 * their locks and shared memory are gone, the files stay as they are. The connections must still be
 * closed, which then touches no file. */
void sl_sim_disk_kill(struct sl_sim_disk *disk, const char *prefix);
/* The same, and files below `prefix` fall back to what is durable. */
void sl_sim_disk_power_cut(struct sl_sim_disk *disk, const char *prefix);

/* The same, but what was not synced is written, lost, torn or garbage, as drawn for each sector,
 * and the names once for all. Ends the program when there is no memory. */
void sl_sim_disk_power_tear(struct sl_sim_disk *disk, const char *prefix,
                            struct sl_sim_random *random);

/* Bytes of a file, now or durably; -1: there is no such file. */
int64_t sl_sim_disk_size(const struct sl_sim_disk *disk, const char *path, bool durable);
/* Writes every file as it is seen now below a directory of the real world, which must hold a
 * directory for each of the disk's own. False: errno says why. */
bool sl_sim_disk_export(const struct sl_sim_disk *disk, const char *directory);
/* Files that exist now, and handles that are open. */
size_t sl_sim_disk_file_count(const struct sl_sim_disk *disk);
size_t sl_sim_disk_handle_count(const struct sl_sim_disk *disk);

#endif
