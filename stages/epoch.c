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

/* The end of the log of this device's epoch; a number of 0: it has none yet. */
static enum syncline_status find_own_head(const struct sl_core *core, struct sl_peer_log *log,
                                          struct sl_log_head *own, struct sl_error *err)
{
    const struct sl_origin self = {.device = core->who.device_id, .epoch = core->who.epoch};
    struct sl_log_head head = {.number = 0};
    bool found = true;
    enum syncline_status status = SYNCLINE_OK;
    *own = (struct sl_log_head){.number = 0, .origin = self};
    while (status == SYNCLINE_OK && found) {
        status = sl_peer_log_head(log, head.number, &found, &head, err);
        if (status == SYNCLINE_OK && found && sl_origin_equal(&head.origin, &self)) {
            *own = head;
        }
    }
    return status;
}

/* Is that mark of the log that is here? */
static enum syncline_status compare_mark(struct sl_peer_log *log, const struct sl_log_head *own,
                                         const struct sl_log_mark *mark,
                                         struct sl_epoch_check *found, struct sl_error *err)
{
    uint8_t hash[SL_HASH_SIZE];
    bool ends_there = true;
    enum syncline_status status = SYNCLINE_OK;
    if (mark->epoch < own->origin.epoch || (mark->epoch == own->origin.epoch && mark->seq == 0)) {
        return SYNCLINE_OK; /* of an epoch that is closed, or of none of its changes */
    }
    if (mark->epoch == own->origin.epoch && mark->seq <= own->held_seq) {
        status = sl_peer_log_hash_at(log, own->number, mark->seq, &ends_there, hash, err);
        if (status == SYNCLINE_OK && ends_there && memcmp(hash, mark->hash, sizeof(hash)) == 0) {
            return SYNCLINE_OK;
        }
    }
    found->cause = SL_EPOCH_RESTORED;
    found->lacking = mark->epoch == own->origin.epoch && mark->seq > own->held_seq
                         ? mark->seq - own->held_seq
                         : 0;
    return status;
}

/* What says that the log is not to be gone on with. *epoch rises to the latest that is known. */
static enum syncline_status look(struct sl_core *core, struct sl_peer_log *log,
                                 struct sl_library_db *ldb, const char *place,
                                 struct sl_epoch_check *found, uint64_t *epoch,
                                 struct sl_error *err)
{
    struct sl_log_head own;
    struct sl_log_mark mark;
    struct sl_error why;
    uint64_t settled = 0;
    char before[SL_PLACE_SIZE] = "";
    enum syncline_status status = find_own_head(core, log, &own, err);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_applied_of(ldb, &own.origin, &settled, err);
    }
    if (status == SYNCLINE_OK && place != NULL) {
        status = sl_peer_log_place(log, before, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (settled > own.held_seq) {
        *found = (struct sl_epoch_check){SL_EPOCH_FORGOTTEN, settled - own.held_seq};
    }
    enum syncline_status read = core->keeper != NULL
                                    ? core->keeper->read(core->keeper->ctx, &mark, &why)
                                    : SYNCLINE_ENOTFOUND;
    if (read == SYNCLINE_OK) {
        *epoch = mark.epoch > *epoch ? mark.epoch : *epoch;
        core->marked = mark;
        return found->cause == SL_EPOCH_KEPT ? compare_mark(log, &own, &mark, found, err)
                                             : SYNCLINE_OK;
    }
    if (core->keeper != NULL && read != SYNCLINE_ENOTFOUND) {
        sl_host_log_say(&core->host_log, SYNCLINE_LOG_WARNING, "%s", why.text);
    }
    bool moved = place != NULL && before[0] != '\0' && strcmp(before, place) != 0;
    if (found->cause == SL_EPOCH_KEPT && moved && own.held_seq > 0) {
        found->cause = SL_EPOCH_COPIED;
    }
    return SYNCLINE_OK;
}

/* A new epoch if `epoch` is not 0, and where the library is, in one transaction. */
static enum syncline_status note(struct sl_core *core, const char *sync_db, uint64_t epoch,
                                 bool keep_drained, const char *place, struct sl_error *err)
{
    const struct sl_origin old = {.device = core->who.device_id, .epoch = core->who.epoch};
    struct sl_peer_log writer;
    enum syncline_status status = sl_peer_log_open(&writer, core->env, sync_db, SL_DB_WRITE, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_peer_log_begin(&writer, err);
    if (status == SYNCLINE_OK && epoch != 0) {
        status = sl_peer_log_begin_epoch(&writer, &old, epoch, keep_drained, err);
    }
    if (status == SYNCLINE_OK && place != NULL) {
        status = sl_peer_log_set_place(&writer, place, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_commit(&writer, err);
    }
    sl_peer_log_rollback(&writer);
    sl_peer_log_fini(&writer);
    return status;
}

enum syncline_status sl_epoch_check(struct sl_core *core, struct sl_peer_log *log,
                                    struct sl_library_db *ldb, const char *sync_db,
                                    const char *place, const struct sl_epoch_settler *settler,
                                    struct sl_epoch_check *found, struct sl_error *err)
{
    uint64_t epoch = core->who.epoch;
    char before[SL_PLACE_SIZE] = "";
    *found = (struct sl_epoch_check){.cause = SL_EPOCH_KEPT};
    enum syncline_status status = look(core, log, ldb, place, found, &epoch, err);
    bool begins = found->cause != SL_EPOCH_KEPT;
    bool whole = begins && found->cause != SL_EPOCH_FORGOTTEN;
    if (status == SYNCLINE_OK && whole) {
        status = settler->settle(settler->ctx, err);
    }
    if (status == SYNCLINE_OK && begins) {
        status = latest_epoch(ldb, &core->who.device_id, &epoch, err);
    }
    if (status == SYNCLINE_OK && begins) {
        status = next_epoch(core->env, &epoch, err);
    }
    if (status == SYNCLINE_OK && place != NULL) {
        status = sl_peer_log_place(log, before, err);
    }
    bool moved = place != NULL && strcmp(before, place) != 0;
    if (status == SYNCLINE_OK && (begins || moved)) {
        status = note(core, sync_db, begins ? epoch : 0, whole, place, err);
    }
    if (status == SYNCLINE_OK && begins) {
        core->who.epoch = epoch;
    }
    return status;
}

/* ---- The mark ---- */

void sl_epoch_mark(struct sl_core *core)
{
    if (core->keeper == NULL || core->origins[0] == NULL) {
        return;
    }
    struct sl_error why;
    const struct sl_log_head head = sl_core_head(core, core->origins[0]);
    struct sl_log_mark mark = {.epoch = head.origin.epoch, .seq = head.held_seq};
    memcpy(mark.hash, head.held_hash, sizeof(mark.hash));
    core->mark_due_ns = core->env->mono_ns(core->env->ctx) + SL_MARK_MS * UINT64_C(1000000);
    if (mark.epoch == core->marked.epoch && mark.seq == core->marked.seq) {
        return;
    }
    if (core->keeper->write(core->keeper->ctx, &mark, &why) == SYNCLINE_OK) {
        core->marked = mark;
    } else {
        sl_host_log_say(&core->host_log, SYNCLINE_LOG_WARNING,
                        "%s. Files of this library that are put back from a copy may not be told "
                        "from the latest ones",
                        why.text);
    }
}

void sl_epoch_mark_due(struct sl_core *core, uint64_t now_ns)
{
    if (now_ns >= core->mark_due_ns) {
        sl_epoch_mark(core);
    }
}
