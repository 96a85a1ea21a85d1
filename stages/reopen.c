/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/reopen.h"

#include <stdio.h>
#include <string.h>

#define RETRY_NS (100u * 1000u * 1000u)

/* ---- What everybody may know ---- */

/* May be called under log_lock: says nothing to the host's log. */
static void begin(struct sl_core *core, unsigned file, const char *text)
{
    if ((atomic_fetch_or(&core->degraded, file) & file) == 0) {
        struct sl_event event = {.code = SYNCLINE_CODE_DEGRADED, .status = SYNCLINE_EIO};
        (void)snprintf(event.text, sizeof(event.text), "%s", text);
        sl_core_event(core, &event);
    }
}

static void end(struct sl_core *core, unsigned file, const char *text)
{
    if ((atomic_load(&core->degraded) & file) != 0) {
        struct sl_event event = {.code = SYNCLINE_CODE_REOPENED};
        (void)snprintf(event.text, sizeof(event.text), "%s", text);
        (void)atomic_fetch_and(&core->degraded, ~file);
        sl_core_event(core, &event);
    }
}

/* ---- sync.db ---- */

/* Is what memory knows to be durable in the file? It may have more: somebody else has committed and
 * is about to say so. */
static enum syncline_status compare_heads(struct sl_core *core, struct sl_peer_log *log,
                                          struct sl_error *err)
{
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        struct sl_log_head known = sl_core_head(core, core->origins[i]);
        struct sl_log_head head;
        bool found = false;
        if (known.number == 0 || known.held_seq == 0) {
            continue;
        }
        enum syncline_status status = sl_peer_log_head(log, known.number - 1, &found, &head, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        bool same = found && head.number == known.number && head.held_seq >= known.held_seq &&
                    (head.held_seq > known.held_seq ||
                     memcmp(head.held_hash, known.held_hash, SL_HASH_SIZE) == 0);
        if (!same) {
            return sl_fail(err, SYNCLINE_ECORRUPT,
                           "sync.db has lost what was synced before: close the library, put back "
                           "a copy, or join again");
        }
    }
    return SYNCLINE_OK;
}

static enum syncline_status reopen_log(struct sl_core *core, struct sl_error *err)
{
    struct sl_peer_log fresh;
    const char *path = sqlite3_db_filename(core->log.db.handle, "main");
    enum syncline_status status = sl_peer_log_open(&fresh, core->env, path, SL_DB_WRITE, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_db_check(&fresh.db, err);
    if (status == SYNCLINE_OK) {
        status = compare_heads(core, &fresh, err);
    }
    if (status != SYNCLINE_OK) {
        sl_peer_log_fini(&fresh);
        return status;
    }
    sl_peer_log_replace(&core->log, &fresh);
    return SYNCLINE_OK;
}

enum syncline_status sl_core_log_begin(struct sl_core *core, struct sl_error *err)
{
    if (core->log.sync_failed) {
        begin(core, SL_DEGRADED_LOG, "a sync of sync.db failed: its handle is finished");
        enum syncline_status status = reopen_log(core, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    return sl_peer_log_begin(&core->log, err);
}

enum syncline_status sl_core_log_commit(struct sl_core *core, struct sl_error *err)
{
    enum syncline_status status = sl_peer_log_commit(&core->log, err);
    if (status == SYNCLINE_OK) {
        end(core, SL_DEGRADED_LOG, "sync.db was opened again, and nothing in it is missing");
    }
    return status;
}

/* ---- library.db ---- */

/* A new connection to the same file, which is checked, and whose WAL is durable and empty. */
static enum syncline_status open_again(const struct sl_core *core, sqlite3 *old,
                                       struct sl_library_db *fresh, struct sl_error *err)
{
    enum syncline_status status =
        sl_library_db_open(fresh, core->env, sqlite3_db_filename(old, "main"), SL_DB_WRITE, 0, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_db_check(&fresh->db, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_empty_wal(&fresh->db, err);
    }
    if (status != SYNCLINE_OK) {
        sl_library_db_fini(fresh);
    }
    return status;
}

bool sl_core_writer_is_sound(struct sl_core *core)
{
    struct sl_library_db fresh;
    struct sl_error err;
    if (!core->writer.ldb.sync_failed) {
        return true;
    }
    uint64_t now = core->env->mono_ns(core->env->ctx);
    if (now < core->writer_retry_ns) {
        return false;
    }
    begin(core, SL_DEGRADED_WRITER, "a sync of library.db failed: the handle is finished");
    enum syncline_status status = open_again(core, core->writer.ldb.db.handle, &fresh, &err);
    if (status == SYNCLINE_OK) {
        status = sl_rows_replace(&core->writer, core, &fresh, &err);
    }
    if (status != SYNCLINE_OK) {
        core->writer_retry_ns = now + RETRY_NS;
        sl_core_failed(core, "apply", status, &err);
        return false;
    }
    sl_core_watch_wal(core);
    end(core, SL_DEGRADED_WRITER, "library.db was opened again, and checked");
    sl_core_works(core, SL_STAGE_APPLY); /* which has said that this failed, and may have no more */
    return true;
}

enum syncline_status sl_core_sync_wal(struct sl_core *core, struct sl_library_db *ldb,
                                      struct sl_error *err)
{
    if (ldb->sync_failed) {
        struct sl_library_db fresh;
        begin(core, SL_DEGRADED_WAL, "a sync of library.db's WAL failed: the handle is finished");
        enum syncline_status status = open_again(core, ldb->db.handle, &fresh, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        sl_library_db_replace(ldb, &fresh);
    }
    enum syncline_status status = sl_library_db_sync_wal(ldb, err);
    if (status == SYNCLINE_OK) {
        end(core, SL_DEGRADED_WAL,
            "library.db was opened again, checked, and its WAL written anew");
    }
    return status;
}
