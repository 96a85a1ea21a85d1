/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Removing a library: everything of Syncline goes from its directory, the application's database
 * stays, with its own tables. First our tables go, in one transaction: until then it is a whole
 * library, from then on none. Then our files, engine.lock last. Wherever it is interrupted, running
 * it again ends it. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "net/key_file.h"
#include "pipeline/handle.h"
#include "storage/library_db.h"
#include "storage/peer_log.h"
#include "storage/uuid_map.h"

#define PATH_SIZE 4096
#define NAME_ROOM 32 /* the longest name below, and a slash */

/* Files of ours beside library.db. sync.db goes last: while it is there, what is left is known to
 * be a library's. A WAL without its database means nothing to SQLite. */
static const char *const files[] = {"engine.sock", "syncline.conf", "syncline.conf.new",
                                    "device.key",  "sync.db",       "sync.db-wal",
                                    "sync.db-shm"};

static void make_path(char out[PATH_SIZE], const char *dir, const char *name)
{
    (void)snprintf(out, PATH_SIZE, "%s/%s", dir, name);
}

static bool exists(const char *dir, const char *name)
{
    char path[PATH_SIZE];
    struct stat st;
    make_path(path, dir, name);
    return lstat(path, &st) == 0;
}

/* Is there a library, or what an interrupted removal left of one? Another program's files may have
 * the same names. */
static enum syncline_status check_is_ours(const struct sl_env *env, const char *dir,
                                          struct sl_error *err)
{
    char path[PATH_SIZE];
    enum syncline_status status = SYNCLINE_OK;
    int64_t tables = 0;
    if (exists(dir, "library.db")) {
        struct sl_library_db ldb;
        make_path(path, dir, "library.db");
        status = sl_library_db_open(&ldb, env, path, SL_DB_WRITE, SL_BUSY_TIMEOUT_MS, err);
        if (status == SYNCLINE_OK) {
            status = sl_db_int64(&ldb.db,
                                 "SELECT count(*) FROM sqlite_schema WHERE name='_syncline_meta'",
                                 0, &tables, err);
            sl_library_db_fini(&ldb);
        }
    }
    if (status != SYNCLINE_OK || tables > 0) {
        return status;
    }
    if (!exists(dir, "sync.db")) {
        return sl_fail(err, SYNCLINE_ENOTFOUND, "there is no library in %s", dir);
    }
    struct sl_peer_log log;
    make_path(path, dir, "sync.db");
    status = sl_peer_log_open(&log, env, path, SL_DB_READ, err);
    if (status == SYNCLINE_OK) {
        sl_peer_log_fini(&log);
    }
    return status;
}

/* Our tables, if there is a database. */
static enum syncline_status remove_tables(const struct sl_env *env, const char *dir,
                                          struct sl_error *err)
{
    char path[PATH_SIZE];
    struct sl_library_db ldb;
    if (!exists(dir, "library.db")) {
        return SYNCLINE_OK;
    }
    make_path(path, dir, "library.db");
    enum syncline_status status =
        sl_library_db_open(&ldb, env, path, SL_DB_WRITE, SL_BUSY_TIMEOUT_MS, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_library_db_remove(&ldb, err);
    sl_library_db_fini(&ldb);
    return status;
}

static enum syncline_status left(const char *path, struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_EIO, "%s cannot be removed: %s; remove the library again", path,
                   strerror(errno));
}

/* The mark outside the library, while its device can still be told. A copy's is its original's. */
static void remove_mark(const char *dir)
{
    char path[PATH_SIZE];
    struct sl_identity identity;
    struct sl_mark_file mark;
    struct sl_error ignored;
    make_path(path, dir, "device.key");
    if (sl_key_file_read(path, &identity, &ignored) == SYNCLINE_OK &&
        sl_mark_file_init(&mark, dir, &identity.device_id, &ignored) == SYNCLINE_OK &&
        sl_handle_check_alone(&mark, &ignored) == SYNCLINE_OK) {
        sl_mark_file_remove(&mark);
    }
}

static enum syncline_status remove_files(const char *dir, struct sl_error *err)
{
    char path[PATH_SIZE];
    make_path(path, dir, "uuid-map");
    if (!sl_uuid_map_remove(path)) {
        return left(path, err);
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        make_path(path, dir, files[i]);
        if (unlink(path) != 0 && errno != ENOENT) {
            return left(path, err);
        }
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_library_remove(const struct sl_env *env, const char *dir,
                                       struct sl_error *err)
{
    char path[PATH_SIZE];
    struct stat st;
    if (dir == NULL || dir[0] == '\0') {
        return sl_fail(err, SYNCLINE_EINVAL, "no directory was given");
    }
    if (strlen(dir) >= PATH_SIZE - NAME_ROOM) {
        return sl_fail(err, SYNCLINE_ETOOBIG, "the path of the library is longer than %d bytes",
                       PATH_SIZE - NAME_ROOM);
    }
    if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return sl_fail(err, SYNCLINE_ENOTFOUND, "there is no directory %s", dir);
    }
    enum syncline_status status = check_is_ours(env, dir, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    make_path(path, dir, "engine.lock");
    struct sl_engine_lock lock = {.fd = -1};
    status = sl_engine_lock_open(&lock, path, "", err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    remove_mark(dir);
    status = remove_tables(env, dir, err);
    if (status == SYNCLINE_OK) {
        status = remove_files(dir, err);
    }
    /* While the lock is held: who opens the file from here on finds no library. */
    if (status == SYNCLINE_OK && unlink(path) != 0) {
        status = left(path, err);
    }
    sl_engine_lock_close(&lock);
    return status;
}
