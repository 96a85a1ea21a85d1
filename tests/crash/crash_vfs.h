/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A VFS around another one, real or simulated, with the crash points that lie below SQLite: S7, the
 * sync of the log's COMMIT; R5, the writes of a COMMIT of the applier's; S14, the writes of a
 * checkpoint. It also counts the syncs of each device's files, so that each can be the one at which
 * the power goes.
 *
 * A device is the folder its files are in: ".../d0/library.db". */

#ifndef CRASH_VFS_H
#define CRASH_VFS_H

#include <stdint.h>

#define CRASH_VFS_NAME "sl-crash"

/* Registers it over the VFS `inner` (NULL: the default); once in a process, or again after
 * crash_vfs_remove. */
void crash_vfs_register(const char *inner);
void crash_vfs_remove(void);

/* What this thread writes from now on is the application's, and meets no R5. */
void crash_vfs_application(int is_application);

/* Calls `cut` before the nth sync from now on, of any file of any device; 0: of none. */
void crash_vfs_cut_at_sync(uint64_t nth, void (*cut)(void *ctx, uint32_t device), void *ctx);
/* Syncs since it was registered. */
uint64_t crash_vfs_syncs(void);

#endif
