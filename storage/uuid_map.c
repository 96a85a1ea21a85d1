/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/uuid_map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>

#include "base/crashpoint.h"
#include "base/limits.h"

#define DATA_FILE "data.mdb" /* LMDB's name for it */
#define KEY_SIZE 12
/* No lock file: one thread of one process. No sync: nothing is read after a crash. */
#define ENV_FLAGS (MDB_NOLOCK | MDB_NOTLS | MDB_NOSYNC | MDB_NOMETASYNC)

struct value {
    struct syncline_uuid uuid;
    uint64_t generation;
    uint64_t put_ms;
};
_Static_assert(sizeof(struct value) == 32, "the format of a value");

/* ---- The folder ---- */

/* The folder, open; -1 if there cannot be one. */
static int open_folder(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && !S_ISDIR(st.st_mode) && unlink(path) != 0) {
        return -1;
    }
    if (mkdir(path, 0700) != 0 && (errno != EEXIST || chmod(path, 0700) != 0)) {
        return -1;
    }
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Afterwards there is an empty folder, or false. */
static bool empty_folder(const char *path)
{
    int folder = open_folder(path);
    if (folder < 0) {
        return false;
    }
    bool gone = unlinkat(folder, DATA_FILE, 0) == 0 || errno == ENOENT ||
                unlinkat(folder, DATA_FILE, AT_REMOVEDIR) == 0;
    (void)close(folder);
    return gone;
}

/* ---- LMDB ---- */

static void close_env(struct sl_uuid_map *map)
{
    if (map->reader != NULL) {
        mdb_txn_abort(map->reader);
        map->reader = NULL;
    }
    if (map->env != NULL) {
        mdb_env_close(map->env);
        map->env = NULL;
    }
}

static bool open_table(struct sl_uuid_map *map)
{
    MDB_txn *txn = NULL;
    if (mdb_txn_begin(map->env, NULL, 0, &txn) != MDB_SUCCESS) {
        return false;
    }
    if (mdb_dbi_open(txn, NULL, 0, &map->table) != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return false;
    }
    if (mdb_txn_commit(txn) != MDB_SUCCESS ||
        mdb_txn_begin(map->env, NULL, MDB_RDONLY, &map->reader) != MDB_SUCCESS) {
        return false;
    }
    mdb_txn_reset(map->reader);
    return true;
}

/* A new file, open. On failure nothing is open. */
static bool open_env(struct sl_uuid_map *map)
{
    if (!empty_folder(map->path) || mdb_env_create(&map->env) != MDB_SUCCESS) {
        return false;
    }
    if (mdb_env_set_mapsize(map->env, map->size_max) != MDB_SUCCESS ||
        mdb_env_open(map->env, map->path, ENV_FLAGS, 0600) != MDB_SUCCESS || !open_table(map)) {
        close_env(map);
        return false;
    }
    return true;
}

/* From here on there is no map. */
static void give_up(struct sl_uuid_map *map)
{
    close_env(map);
    map->counts.failures = 1;
}

/* ---- Open and close ---- */

static void forget(struct sl_uuid_map *map, struct sl_uuid_map_model *model)
{
    map->counts.forgets += model->any ? 1 : 0;
    model->any = false;
    model->generation++;
}

void sl_uuid_map_open(struct sl_uuid_map *map, const char *path, size_t size_max)
{
    memset(map, 0, sizeof(*map));
    map->size_max = size_max;
    map->ttl_ms = SL_UUID_MAP_TTL_MS;
    if (path == NULL) {
        return;
    }
    size_t size = strlen(path) + 1;
    if (size <= sizeof(map->path)) {
        memcpy(map->path, path, size);
    }
    if (size > sizeof(map->path) || !open_env(map)) {
        give_up(map);
    }
}

void sl_uuid_map_set_ttl(struct sl_uuid_map *map, uint64_t ttl_ms)
{
    map->ttl_ms = ttl_ms;
}

void sl_uuid_map_close(struct sl_uuid_map *map)
{
    close_env(map);
}

bool sl_uuid_map_remove(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        return errno == ENOENT;
    }
    if (!S_ISDIR(st.st_mode)) {
        return unlink(path) == 0;
    }
    return empty_folder(path) && rmdir(path) == 0;
}

/* ---- What may be used ---- */

void sl_uuid_map_see(struct sl_uuid_map *map, uint32_t model, int64_t last_delete)
{
    if (map->env != NULL && map->models[model].last_delete != last_delete) {
        forget(map, &map->models[model]);
        map->models[model].last_delete = last_delete;
    }
}

/* ---- Getting and putting ---- */

static void put_big_endian(uint8_t *out, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        out[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    }
}

static MDB_val make_key(uint8_t bytes[KEY_SIZE], uint32_t model, int64_t id)
{
    put_big_endian(bytes, model, 4);
    put_big_endian(bytes + 4, (uint64_t)id, 8);
    return (MDB_val){.mv_size = KEY_SIZE, .mv_data = bytes};
}

/* One id, in the reader's transaction. An LMDB code. */
static int get_one(struct sl_uuid_map *map, uint32_t model, uint64_t now_ms, int64_t id,
                   bool *found, struct syncline_uuid *uuid)
{
    uint8_t bytes[KEY_SIZE];
    MDB_val key = make_key(bytes, model, id);
    MDB_val data;
    int code = mdb_get(map->reader, map->table, &key, &data);
    struct value value;
    if (code != MDB_SUCCESS || data.mv_size != sizeof(value)) {
        return code;
    }
    memcpy(&value, data.mv_data, sizeof(value));
    if (value.generation == map->models[model].generation && now_ms >= value.put_ms &&
        now_ms - value.put_ms <= map->ttl_ms) {
        *uuid = value.uuid;
        *found = true;
    }
    return code;
}

void sl_uuid_map_get(struct sl_uuid_map *map, uint32_t model, uint64_t now_ms, const int64_t *ids,
                     uint32_t n, bool *found, struct syncline_uuid *uuids)
{
    if (map->env == NULL) {
        return;
    }
    int code = MDB_SUCCESS;
    bool reading = false;
    for (uint32_t i = 0; i < n && (code == MDB_SUCCESS || code == MDB_NOTFOUND); i++) {
        if (found[i]) {
            continue;
        }
        if (map->models[model].any) {
            code = reading ? MDB_SUCCESS : mdb_txn_renew(map->reader);
            reading = code == MDB_SUCCESS;
            code = reading ? get_one(map, model, now_ms, ids[i], &found[i], &uuids[i]) : code;
        }
        map->counts.hits += found[i] ? 1 : 0;
        map->counts.misses += found[i] ? 0 : 1;
    }
    if (reading) {
        mdb_txn_reset(map->reader);
    }
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND) {
        give_up(map);
    }
}

void sl_uuid_map_put(struct sl_uuid_map *map, uint32_t model, uint64_t now_ms, int64_t id,
                     const struct syncline_uuid *uuid)
{
    if (map->env != NULL && map->puts_len < SL_UUID_MAP_PUTS_MAX) {
        map->puts[map->puts_len++] =
            (struct sl_uuid_map_entry){.model = model,
                                       .id = id,
                                       .uuid = *uuid,
                                       .generation = map->models[model].generation,
                                       .put_ms = now_ms};
    }
}

static int write_all(struct sl_uuid_map *map)
{
    MDB_txn *txn = NULL;
    int code = mdb_txn_begin(map->env, NULL, 0, &txn);
    if (code != MDB_SUCCESS) {
        return code;
    }
    for (uint32_t i = 0; i < map->puts_len && code == MDB_SUCCESS; i++) {
        const struct sl_uuid_map_entry *entry = &map->puts[i];
        uint8_t bytes[KEY_SIZE];
        MDB_val key = make_key(bytes, entry->model, entry->id);
        struct value value = {
            .uuid = entry->uuid, .generation = entry->generation, .put_ms = entry->put_ms};
        MDB_val data = {.mv_size = sizeof(value), .mv_data = &value};
        code = mdb_put(txn, map->table, &key, &data, 0);
    }
    if (code != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return code;
    }
    SL_CRASHPOINT(S4, BEFORE);
    code = mdb_txn_commit(txn);
    SL_CRASHPOINT(S4, AFTER);
    return code;
}

void sl_uuid_map_write(struct sl_uuid_map *map, uint64_t now_ms)
{
    if (map->env == NULL || map->puts_len == 0 || now_ms < map->write_ms) {
        return;
    }
    int code = write_all(map);
    if (code == MDB_MAP_FULL) {
        map->counts.emptied++;
        close_env(map);
        code = open_env(map) ? write_all(map) : EIO;
    }
    if (code == MDB_SUCCESS) {
        map->counts.puts += map->puts_len;
        for (uint32_t i = 0; i < map->puts_len; i++) {
            map->models[map->puts[i].model].any = true;
        }
    } else if (code != MDB_MAP_FULL) {
        give_up(map);
    }
    map->puts_len = 0;
    map->write_ms = now_ms + SL_UUID_MAP_WRITE_MS_MIN;
}
