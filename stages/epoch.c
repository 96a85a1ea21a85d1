/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/epoch.h"

#include <string.h>

#define EPOCH_COUNTER_SHIFT 48
#define EPOCH_COUNTER_MAX 0x7fffu

/* The epoch after that one. */
static enum syncline_status next_epoch(const struct sl_env *env, uint64_t *epoch,
                                       struct sl_error *err)
{
    uint64_t random = 0;
    uint64_t counter = *epoch >> EPOCH_COUNTER_SHIFT;
    enum syncline_status status = env->random(env->ctx, &random, sizeof(random));
    if (status != SYNCLINE_OK) {
        return sl_fail(err, status, "the system gave no randomness");
    }
    if (counter >= EPOCH_COUNTER_MAX) {
        return sl_fail(err, SYNCLINE_ERESTORED, "this device has had too many epochs");
    }
    *epoch = (counter + 1) << EPOCH_COUNTER_SHIFT | (random & 0xffffffffffffu);
    return SYNCLINE_OK;
}

/* The latest of a device that library.db knows; untouched if it knows none. */
static enum syncline_status latest_epoch(struct sl_library_db *ldb,
                                         const struct syncline_uuid *device, uint64_t *epoch,
                                         struct sl_error *err)
{
    struct sl_origin origin;
    int64_t number = 0;
    bool found = true;
    for (;;) {
        enum syncline_status status = sl_library_db_origin_next(ldb, &number, &found, &origin, err);
        if (status != SYNCLINE_OK || !found) {
            return status;
        }
        bool later = sl_uuid_equal(&origin.device, device) && origin.epoch > *epoch;
        *epoch = later ? origin.epoch : *epoch;
    }
}

enum syncline_status sl_epoch_make_log(const struct sl_env *env, const char *library_db,
                                       const char *sync_db, const struct syncline_uuid *device,
                                       struct sl_error *err)
{
    struct sl_library_identity who = {.device_id = *device};
    struct sl_library_db ldb;
    enum syncline_status status =
        sl_library_db_open(&ldb, env, library_db, SL_DB_WRITE, SL_BUSY_TIMEOUT_MS, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_library_db_identity(&ldb, &who.library_id, who.library_name, who.device_name, err);
    if (status == SYNCLINE_OK) {
        status = latest_epoch(&ldb, device, &who.epoch, err);
    }
    if (status == SYNCLINE_OK) {
        status = next_epoch(env, &who.epoch, err);
    }
    sl_library_db_fini(&ldb);
    return status == SYNCLINE_OK ? sl_peer_log_create(env, sync_db, &who, err) : status;
}

/* How many changes of this device's epoch are settled and not in the log. */
static enum syncline_status count_forgotten(const struct sl_core *core, struct sl_peer_log *log,
                                            struct sl_library_db *ldb, uint64_t *forgotten,
                                            struct sl_error *err)
{
    const struct sl_origin self = {.device = core->who.device_id, .epoch = core->who.epoch};
    struct sl_log_head head = {.number = 0};
    uint64_t applied = 0;
    uint64_t held = 0;
    bool found = true;
    enum syncline_status status = sl_library_db_applied_of(ldb, &self, &applied, err);
    while (status == SYNCLINE_OK && found) {
        status = sl_peer_log_head(log, head.number, &found, &head, err);
        bool is_own = status == SYNCLINE_OK && found && sl_origin_equal(&head.origin, &self);
        held = is_own ? head.held_seq : held;
    }
    *forgotten = status == SYNCLINE_OK && applied > held ? applied - held : 0;
    return status;
}

enum syncline_status sl_epoch_check(struct sl_core *core, struct sl_peer_log *log,
                                    struct sl_library_db *ldb, const char *sync_db,
                                    uint64_t *forgotten, struct sl_error *err)
{
    const struct sl_origin old = {.device = core->who.device_id, .epoch = core->who.epoch};
    struct sl_peer_log writer;
    uint64_t epoch = old.epoch;
    enum syncline_status status = count_forgotten(core, log, ldb, forgotten, err);
    if (status != SYNCLINE_OK || *forgotten == 0) {
        return status;
    }
    status = latest_epoch(ldb, &old.device, &epoch, err);
    if (status == SYNCLINE_OK) {
        status = next_epoch(core->env, &epoch, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_open(&writer, core->env, sync_db, SL_DB_WRITE, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_peer_log_begin(&writer, err);
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_begin_epoch(&writer, &old, epoch, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_commit(&writer, err);
    }
    sl_peer_log_rollback(&writer);
    sl_peer_log_fini(&writer);
    core->who.epoch = status == SYNCLINE_OK ? epoch : core->who.epoch;
    return status;
}
