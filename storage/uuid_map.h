/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The UUID map: a cache (model, local id) -> UUID in a folder of its own, by LMDB.
 *
 *     data.mdb  LMDB's one file; made anew by every open, so nothing that stood there is ever read
 *     key       12 bytes, big-endian, so that neighbours lie together: place of the model (u32),
 *               id (u64)
 *     value     32 bytes, of this machine: UUID (16), generation of the model (u64), when it was
 *               put, in ms of the monotonic clock (u64)
 *
 * An entry is used if it is not older than the time to live and its model's generation is the
 * one it was put with. A generation ends - all entries of the model are forgotten at once - when a
 * read transaction shows that the mark of the model's last delete has moved, by a capture or by
 * apply: the record behind an id may be another one by now. Otherwise what an entry says is what
 * the table says, and using the map changes no result, because
 * - an id gets another UUID only by a delete, captured before the id is used again (syncline.h);
 * - entries are put only from a transaction in which the mark is older than an outbox row that is
 *   there, so that every later delete moves it (sl_outbox_note_delete sets it to the newest row).
 *
 * It is a cache and never an error: whatever stands in its way is removed, whatever fails closes
 * it, and the work is done by SQL alone. One process opens it (who runs the engine), one thread
 * uses it; nothing is locked and nothing is synced. It is written with write(2), never through the
 * mapping, which would be SIGBUS on a full disk.
 *
 * A write costs as much as some hundred look-ups, whatever it holds: so entries are gathered, and
 * written a few times a second at most. */

#ifndef SL_UUID_MAP_H
#define SL_UUID_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "include/syncline.h"

struct MDB_env;
struct MDB_txn;

#define SL_UUID_MAP_PATH_SIZE 4096

/* What is known of one model's entries, in memory only. */
struct sl_uuid_map_model {
    uint64_t generation;
    int64_t last_delete; /* mark of the model's last delete, in this generation */
    bool any;            /* entries were put in this generation */
};

struct sl_uuid_map_counts {
    uint64_t hits;
    uint64_t misses;   /* ids asked for and not there, or not to be used */
    uint64_t puts;     /* entries written */
    uint64_t forgets;  /* generations with entries that were ended */
    uint64_t emptied;  /* it was full */
    uint64_t failures; /* it could not be opened, or was given up: 0 or 1 */
};

/* What is to be written. */
struct sl_uuid_map_entry {
    uint32_t model; /* its place among the models of the handle */
    int64_t id;
    struct syncline_uuid uuid;
    uint64_t generation; /* in which it was put, and when */
    uint64_t put_ms;
};

struct sl_uuid_map {
    struct MDB_env *env;    /* NULL: there is no map */
    struct MDB_txn *reader; /* holds nothing between calls */
    unsigned table;         /* LMDB's handle */
    char path[SL_UUID_MAP_PATH_SIZE];
    size_t size_max;                                     /* bytes of the file */
    uint64_t ttl_ms;                                     /* how long an entry is used */
    struct sl_uuid_map_model models[SL_MODEL_COUNT_MAX]; /* by place */
    struct sl_uuid_map_entry puts[SL_UUID_MAP_PUTS_MAX]; /* not written yet */
    uint32_t puts_len;
    uint64_t write_ms; /* not before this time */
    struct sl_uuid_map_counts counts;
};

/* Makes the folder at `path` anew, with nothing in it; path NULL: there is to be no map. Never
 * fails: without a map the other calls do nothing. Blocks on the disk shortly. A symbolic link at
 * `path` is removed, not followed. To be closed in any case. */
void sl_uuid_map_open(struct sl_uuid_map *map, const char *path, size_t size_max);
/* How long entries are used, if not for SL_UUID_MAP_TTL_MS. After open. */
void sl_uuid_map_set_ttl(struct sl_uuid_map *map, uint64_t ttl_ms);
/* Idempotent. The folder stays. */
void sl_uuid_map_close(struct sl_uuid_map *map);
/* Removes the folder of a map that nobody has open; a symbolic link itself and not what it points
 * at. There may be none. false, with errno: something of it is left. */
bool sl_uuid_map_remove(const char *path);

/* The mark of a model's last delete, as the caller's read transaction shows it. Before anything is
 * got for that model in it. */
void sl_uuid_map_see(struct sl_uuid_map *map, uint32_t model, int64_t last_delete);
/* Looks up every id with found[i] false; sets uuids[i] and found[i] of those that are known. */
void sl_uuid_map_get(struct sl_uuid_map *map, uint32_t model, uint64_t now_ms, const int64_t *ids,
                     uint32_t n, bool *found, struct syncline_uuid *uuids);
/* Remembers what a table has shown, to be written later; dropped if too much waits already. */
void sl_uuid_map_put(struct sl_uuid_map *map, uint32_t model, uint64_t now_ms, int64_t id,
                     const struct syncline_uuid *uuid);
/* Writes what was put in one LMDB transaction, unless one was made less than
 * SL_UUID_MAP_WRITE_MS_MIN ago. A full map is emptied first; what even then does not fit is
 * dropped. */
void sl_uuid_map_write(struct sl_uuid_map *map, uint64_t now_ms);

#endif
