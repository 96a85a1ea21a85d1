/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crashpoint.h"
#include "stages/clock.h"
#include "stages/settle.h"

#define NS_PER_MS ((uint64_t)1000 * 1000)
#define RETRY_NS (100 * NS_PER_MS)
#define BUSY_RETRY_NS NS_PER_MS
#define OTHERS_ACTIVE_NS (1000 * NS_PER_MS)
#define WAL_PAGES_MAX 16384 /* 64 MiB of 4 KiB pages */
#define WAL_IDLE_NS (5000 * NS_PER_MS)

enum syncline_status sl_apply_init(struct sl_apply *apply, struct sl_core *core,
                                   struct sl_error *err)
{
    memset(apply, 0, sizeof(*apply));
    apply->core = core;
    apply->writer.core = core;
    apply->writer.pending = &apply->pending;
    sl_mentions_init(&apply->pending.mentions, core->env->alloc);
    sl_promises_init(&apply->writer.promises, core->env->alloc);
    return sl_decoded_init(&apply->decoded, core->env->alloc, err);
}

void sl_apply_fini(struct sl_apply *apply)
{
    sl_decoded_fini(&apply->decoded);
    sl_mentions_fini(&apply->pending.mentions);
    sl_promises_clear(&apply->writer.promises);
    sl_free(apply->core->env->alloc, apply->asides);
    sl_free(apply->core->env->alloc, apply->writer.gone);
}

static uint64_t now_ns(const struct sl_core *core)
{
    return core->env->mono_ns(core->env->ctx);
}

static bool keys_open(const struct sl_apply *apply)
{
    int current = 0;
    int highest = 0;
    (void)sqlite3_db_status(apply->core->writer.ldb.db.handle, SQLITE_DBSTATUS_DEFERRED_FKS,
                            &current, &highest, 0);
    return current != 0;
}

/* ---- Segments ---- */

static enum syncline_status load(struct sl_apply *apply, const struct sl_origin_state *origin,
                                 uint64_t seq, struct sl_error *err)
{
    struct sl_log_head head = sl_core_head(apply->core, origin);
    return sl_decode_from_log(&apply->decoded, &apply->core->apply_log, head.number, seq, err);
}

/* Nothing of a clock too far ahead is applied. */
static enum syncline_status check_clock(struct sl_apply *apply, struct sl_origin_state *origin,
                                        struct sl_error *err)
{
    struct sl_core *core = apply->core;
    uint64_t last_hlc = apply->decoded.segment.last_hlc;
    uint64_t beyond_ms = sl_clock_beyond_ms(core, last_hlc);
    if (beyond_ms == 0) {
        return SYNCLINE_OK;
    }
    uint64_t drift_ms = sl_core_max_drift_ms(core);
    char name[SL_NAME_SIZE_MAX + 3];
    sl_core_device_name(core, &origin->name.device, name, sizeof(name));
    origin->held_until_ms = sl_hlc_ms(last_hlc) - drift_ms;
    return sl_fail(err, SYNCLINE_EREFUSED,
                   "changes of device %s are from a clock that is %llu s ahead of this device's; "
                   "they are held until their time comes: set the clocks right",
                   name, (unsigned long long)((beyond_ms + drift_ms) / 1000));
}

/* The changes of the decoded segment that are above the applied entry, as records. */
static enum syncline_status gather(struct sl_apply *apply, struct sl_origin_state *origin,
                                   struct sl_apply_record **records, uint32_t *len,
                                   struct sl_error *err)
{
    struct sl_decoded *decoded = &apply->decoded;
    struct sl_core *core = apply->core;
    uint64_t seq = decoded->segment.first_seq;
    *records = sl_arena_alloc(&decoded->arena, decoded->segment.len * sizeof(**records));
    struct sl_localized *localized =
        sl_arena_alloc(&decoded->arena, decoded->group_count * sizeof(*localized));
    if (*records == NULL || localized == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to apply a segment");
    }
    *len = 0;
    for (uint32_t g = 0; g < decoded->group_count; g++) {
        const struct sl_group *group = &decoded->groups[g];
        const struct sl_model *model =
            sl_model_find_name(&core->models, group->model, group->model_len);
        if (model == NULL) {
            return sl_fail(
                err, SYNCLINE_EUNSUPPORTED,
                "changes of model '%.*s' have come, which was not given when this handle "
                "was opened",
                (int)group->model_len, group->model);
        }
        enum syncline_status status =
            sl_localize_group(&localized[g], model, group, &decoded->arena, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        for (uint32_t i = 0; i < group->n; i++, seq++) {
            if (seq > origin->covered_seq) {
                (*records)[(*len)++] = (struct sl_apply_record){
                    .origin = origin, .localized = &localized[g], .i = i, .seq = seq};
            }
        }
    }
    return SYNCLINE_OK;
}

/* ---- Clocks, and what is pending ---- */

/* How far this slice may go, and the clock value to merge for it. Clock values of an origin only
 * rise. When the end of the log is from a clock too far ahead, what comes before that is looked at
 * segment by segment: one for a plain slice, all for a careful one. */
static enum syncline_status find_upto(struct sl_apply *apply, struct sl_origin_state *origin,
                                      uint64_t *hlc, struct sl_error *err)
{
    struct sl_log_head head = sl_core_head(apply->core, origin);
    apply->held_seq = head.held_seq;
    apply->upto_seq = head.held_seq;
    *hlc = head.last_hlc;
    if (sl_clock_beyond_ms(apply->core, head.last_hlc) == 0) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = load(apply, origin, origin->applied_seq + 1, err);
    if (status == SYNCLINE_OK) {
        status = check_clock(apply, origin, err);
    }
    while (status == SYNCLINE_OK) {
        *hlc = apply->decoded.segment.last_hlc;
        apply->upto_seq = sl_segment_last_seq(&apply->decoded.segment);
        if (!origin->careful || apply->upto_seq >= head.held_seq) {
            break;
        }
        status = load(apply, origin, apply->upto_seq + 1, err);
        if (status == SYNCLINE_OK &&
            sl_clock_beyond_ms(apply->core, apply->decoded.segment.last_hlc) > 0) {
            break;
        }
    }
    return status;
}

/* From here on every local change that is not settled or pending now is stamped later than all that
 * this slice applies. */
static enum syncline_status merge_and_settle(struct sl_apply *apply, struct sl_origin_state *origin,
                                             struct sl_error *err)
{
    struct sl_core *core = apply->core;
    uint64_t hlc = 0;
    enum syncline_status status = find_upto(apply, origin, &hlc, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)pthread_mutex_lock(&core->clock_lock);
    apply->hlc_before = sl_clock_merge(core, hlc);
    apply->merged_hlc = hlc;
    status = sl_settle_into(core, &core->writer, &apply->settled, err);
    if (status == SYNCLINE_OK) {
        status = sl_pending_read(&apply->pending, core, &core->writer, err);
    }
    (void)pthread_mutex_unlock(&core->clock_lock);
    return status;
}

/* ---- Carefully, record by record ---- */

static enum syncline_status set_aside(struct sl_apply *apply, const struct sl_apply_record *record,
                                      const char reason[256], struct sl_error *err)
{
    if (apply->aside_len == apply->aside_capacity) {
        size_t capacity = apply->aside_capacity == 0 ? 64 : 2 * apply->aside_capacity;
        struct sl_apply_aside *grown =
            sl_resize(apply->core->env->alloc, apply->asides, capacity, sizeof(*grown));
        if (grown == NULL) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory to set records aside");
        }
        apply->asides = grown;
        apply->aside_capacity = capacity;
    }
    struct sl_apply_aside *aside = &apply->asides[apply->aside_len++];
    aside->seq = record->seq;
    aside->model = record->localized->model;
    aside->uuid = record->localized->group->uuids[record->i];
    memcpy(aside->reason, reason, sizeof(aside->reason));
    return SYNCLINE_OK;
}

/* One record in a savepoint: a failure leaves nothing of it. With `closed` an open key is one. */
static enum syncline_status try_record(struct sl_apply *apply, const struct sl_apply_record *record,
                                       bool closed, enum sl_outcome *outcome, char reason[256],
                                       struct sl_error *err)
{
    const struct sl_db *db = &apply->core->writer.ldb.db;
    struct sl_record_writer *writer = &apply->writer;
    enum syncline_status status = sl_db_exec(db, "SAVEPOINT _syncline_record", err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_record_write(writer, record, outcome, reason, err);
    if (status == SYNCLINE_OK) {
        status = sl_record_writer_flush(writer, err);
    }
    if (status == SYNCLINE_OK && *outcome == SL_OUTCOME_WRITTEN && closed && keys_open(apply)) {
        *outcome = SL_OUTCOME_NOT_YET;
        (void)sqlite3_snprintf(256, reason, "not applied: other records here point at it");
    }
    if (status == SYNCLINE_OK && *outcome != SL_OUTCOME_WRITTEN) {
        sl_record_writer_reset(writer);
        status = sl_db_exec(db, "ROLLBACK TO _syncline_record", err);
    }
    return status == SYNCLINE_OK ? sl_db_exec(db, "RELEASE _syncline_record", err) : status;
}

/* What a careful slice is about: the changes from first_seq to last_seq, in whole segments. */
struct careful {
    uint64_t first_seq;
    uint64_t last_seq;
    uint32_t segments;                    /* from the one to the other */
    bool continued;                       /* later segments belong to these */
    uint8_t *todo;                        /* by seq - first_seq: not written yet */
    uint64_t left;                        /* of them */
    bool not_yet;                         /* one of those left has an open key */
    int64_t next_ids[SL_MODEL_COUNT_MAX]; /* by model->index: to be promised next; 0: not known */
};

/* Takes the next segment of the log in. */
static enum syncline_status careful_extend(struct sl_apply *apply, struct sl_origin_state *origin,
                                           struct careful *careful, struct sl_error *err)
{
    enum syncline_status status = load(apply, origin, careful->last_seq + 1, err);
    if (status == SYNCLINE_OK) {
        status = check_clock(apply, origin, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t last_seq = sl_segment_last_seq(&apply->decoded.segment);
    uint64_t more = last_seq - careful->last_seq;
    uint64_t before = careful->last_seq + 1 - careful->first_seq;
    uint8_t *grown = sl_resize(apply->core->env->alloc, careful->todo, (size_t)(before + more), 1);
    if (grown == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to apply segments");
    }
    memset(grown + before, 1, (size_t)more);
    careful->todo = grown;
    careful->left += more;
    careful->last_seq = last_seq;
    careful->segments++;
    careful->continued = (apply->decoded.segment.flags & SL_SEGMENT_CONTINUED) != 0;
    origin->todo = grown;
    origin->todo_first = careful->first_seq;
    origin->todo_len = before + more;
    return SYNCLINE_OK;
}

/* Is it the delete of a record that is still to be written? Then neither need be. */
static bool cancels(const struct sl_origin_state *origin, struct careful *careful,
                    const struct sl_apply_record *record)
{
    const struct sl_group *group = record->localized->group;
    if (group->change != SYNCLINE_DELETE) {
        return false;
    }
    const struct sl_birth *birth = &group->births[record->i];
    if (birth->seq < careful->first_seq || birth->seq >= record->seq ||
        !sl_origin_equal(&birth->origin, &origin->name) ||
        careful->todo[birth->seq - careful->first_seq] == 0) {
        return false;
    }
    careful->todo[birth->seq - careful->first_seq] = 0;
    careful->todo[record->seq - careful->first_seq] = 0;
    careful->left -= 2;
    return true;
}

/* The decoded segment of change `seq`, and its changes as records. */
static enum syncline_status load_records(struct sl_apply *apply, struct sl_origin_state *origin,
                                         uint64_t seq, struct sl_apply_record **records,
                                         uint32_t *len, struct sl_error *err)
{
    enum syncline_status status = load(apply, origin, seq, err);
    return status == SYNCLINE_OK ? gather(apply, origin, records, len, err) : status;
}

/* Tries every change that is left, in order. With `give_up` what still fails is set aside. */
static enum syncline_status careful_pass(struct sl_apply *apply, struct sl_origin_state *origin,
                                         struct careful *careful, bool give_up,
                                         struct sl_error *err)
{
    char reason[256] = "";
    careful->not_yet = false;
    for (uint64_t seq = careful->first_seq; seq <= careful->last_seq;) {
        if (careful->todo[seq - careful->first_seq] == 0) {
            seq++; /* a segment that is done is not read again */
            continue;
        }
        struct sl_apply_record *records = NULL;
        uint32_t len = 0;
        enum syncline_status status = load_records(apply, origin, seq, &records, &len, err);
        for (uint32_t r = 0; r < len && status == SYNCLINE_OK; r++) {
            uint8_t *todo = &careful->todo[records[r].seq - careful->first_seq];
            if (*todo == 0 || cancels(origin, careful, &records[r])) {
                continue;
            }
            enum sl_outcome outcome = SL_OUTCOME_WRITTEN;
            status = try_record(apply, &records[r], true, &outcome, reason, err);
            if (status == SYNCLINE_OK && outcome != SL_OUTCOME_WRITTEN && give_up) {
                status = set_aside(apply, &records[r], reason, err);
                outcome = SL_OUTCOME_WRITTEN;
            }
            if (outcome == SL_OUTCOME_WRITTEN) {
                *todo = 0;
                careful->left--;
            }
            careful->not_yet = careful->not_yet || outcome == SL_OUTCOME_NOT_YET;
        }
        if (status != SYNCLINE_OK) {
            return status;
        }
        seq = sl_segment_last_seq(&apply->decoded.segment) + 1;
    }
    return SYNCLINE_OK;
}

/* ---- Records that point at each other in a circle ---- */

/* Calls `visit` for every insert that is left. */
static enum syncline_status
each_insert_left(struct sl_apply *apply, struct sl_origin_state *origin, struct careful *careful,
                 enum syncline_status (*visit)(struct sl_apply *, struct careful *,
                                               const struct sl_apply_record *, struct sl_error *),
                 struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (uint64_t seq = careful->first_seq; seq <= careful->last_seq && status == SYNCLINE_OK;) {
        if (careful->todo[seq - careful->first_seq] == 0) {
            seq++;
            continue;
        }
        struct sl_apply_record *records = NULL;
        uint32_t len = 0;
        status = load_records(apply, origin, seq, &records, &len, err);
        for (uint32_t r = 0; r < len && status == SYNCLINE_OK; r++) {
            if (careful->todo[records[r].seq - careful->first_seq] != 0 &&
                records[r].localized->group->change == SYNCLINE_INSERT) {
                status = visit(apply, careful, &records[r], err);
            }
        }
        seq = sl_segment_last_seq(&apply->decoded.segment) + 1;
    }
    return status;
}

/* An id above all that its table has or has had a birth for. */
static enum syncline_status promise(struct sl_apply *apply, struct careful *careful,
                                    const struct sl_apply_record *record, struct sl_error *err)
{
    const struct sl_model *model = record->localized->model;
    struct sl_rows *rows = &apply->core->writer;
    int64_t *next_id = &careful->next_ids[model->index];
    enum syncline_status status = SYNCLINE_OK;
    if (*next_id == 0) {
        int64_t last_id = 0;
        int64_t last_born = 0;
        status = sl_record_last_id(&rows->tables[model->index], &last_id, err);
        if (status == SYNCLINE_OK) {
            status = sl_birth_highest(&rows->births, model->id_in_db, &last_born, err);
        }
        last_id = last_id > last_born ? last_id : last_born;
        *next_id = last_id < 0 ? 1 : last_id < INT64_MAX ? last_id + 1 : INT64_MAX;
    }
    if (status != SYNCLINE_OK || *next_id == INT64_MAX) {
        return status; /* no ids are left: the record gets none */
    }
    if (!sl_promise_make(&apply->writer.promises, model,
                         &record->localized->group->uuids[record->i], (*next_id)++)) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to apply records in a circle");
    }
    return SYNCLINE_OK;
}

/* Inserts a record whose promise stands. What cannot be takes its promise back. */
static enum syncline_status keep_promise(struct sl_apply *apply, struct careful *careful,
                                         const struct sl_apply_record *record, struct sl_error *err)
{
    (void)careful;
    struct sl_promises *promises = &apply->writer.promises;
    const struct sl_model *model = record->localized->model;
    const struct syncline_uuid *uuid = &record->localized->group->uuids[record->i];
    enum sl_outcome outcome = SL_OUTCOME_WRITTEN;
    char reason[256];
    int64_t id = 0;
    if (!sl_promise_find(promises, model, uuid, &id)) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = try_record(apply, record, false, &outcome, reason, err);
    if (status == SYNCLINE_OK && outcome != SL_OUTCOME_WRITTEN) {
        sl_promise_withdraw(promises, model, uuid);
    }
    return status;
}

/* What stands is written: it is no longer left. */
static enum syncline_status is_kept(struct sl_apply *apply, struct careful *careful,
                                    const struct sl_apply_record *record, struct sl_error *err)
{
    (void)err;
    int64_t id = 0;
    if (sl_promise_find(&apply->writer.promises, record->localized->model,
                        &record->localized->group->uuids[record->i], &id)) {
        careful->todo[record->seq - careful->first_seq] = 0;
        careful->left--;
    }
    return SYNCLINE_OK;
}

/* Inserts all with the ids that were promised, again without those that cannot be, until what is
 * promised is what is there. Each round withdraws at least one promise, or is the last one. Whether
 * a table checks a parent that is named by UUID is seen when its keys are open in the end; then
 * those parents are looked for, too. */
static enum syncline_status keep_promises(struct sl_apply *apply, struct sl_origin_state *origin,
                                          struct careful *careful, struct sl_error *err)
{
    const struct sl_db *db = &apply->core->writer.ldb.db;
    struct sl_promises *promises = &apply->writer.promises;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && promises->standing > 0) {
        size_t before = promises->standing;
        status = each_insert_left(apply, origin, careful, keep_promise, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        bool open = keys_open(apply);
        if (promises->standing == before && !open) {
            return each_insert_left(apply, origin, careful, is_kept, err);
        }
        sl_record_writer_reset(&apply->writer);
        status = sl_db_exec(db, "ROLLBACK TO _syncline_circle", err);
        if (promises->standing == before && apply->writer.uuid_keys) {
            return status; /* keys that no model describes */
        }
        apply->writer.uuid_keys = apply->writer.uuid_keys || promises->standing == before;
    }
    return status;
}

/* Inserts that are left because they wait for each other. */
static enum syncline_status careful_circles(struct sl_apply *apply, struct sl_origin_state *origin,
                                            struct careful *careful, struct sl_error *err)
{
    const struct sl_db *db = &apply->core->writer.ldb.db;
    memset(careful->next_ids, 0, sizeof(careful->next_ids));
    enum syncline_status status = each_insert_left(apply, origin, careful, promise, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_exec(db, "SAVEPOINT _syncline_circle", err);
    }
    if (status == SYNCLINE_OK) {
        status = keep_promises(apply, origin, careful, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_db_exec(db, "RELEASE _syncline_circle", err);
    }
    sl_promises_clear(&apply->writer.promises);
    apply->writer.uuid_keys = false;
    return status;
}

/* As many segments more as were taken in before, so that passes do not grow with their square. */
static enum syncline_status careful_double(struct sl_apply *apply, struct sl_origin_state *origin,
                                           struct careful *careful, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    uint32_t count = careful->segments;
    for (uint32_t i = 0; i < count && status == SYNCLINE_OK; i++) {
        if (i > 0 && (!careful->continued || careful->last_seq >= apply->held_seq)) {
            break;
        }
        status = careful_extend(apply, origin, careful, err);
    }
    return status;
}

/* Every record that can be written, whatever the order. One segment, or as many as belong together
 * if a parent is missing; AGAIN when those have not all come. What then still fails is set aside.
 */
static enum syncline_status careful_passes(struct sl_apply *apply, struct sl_origin_state *origin,
                                           struct careful *careful, struct sl_error *err)
{
    enum syncline_status status = careful_extend(apply, origin, careful, err);
    while (status == SYNCLINE_OK && careful->left > 0) {
        uint64_t before = careful->left;
        status = careful_pass(apply, origin, careful, false, err);
        if (status != SYNCLINE_OK || careful->left < before) {
            continue;
        }
        if (careful->not_yet) {
            status = careful_circles(apply, origin, careful, err);
        }
        if (status != SYNCLINE_OK || careful->left < before) {
            continue;
        }
        if (!careful->not_yet || !careful->continued) {
            status = careful_pass(apply, origin, careful, true, err);
        } else if (careful->last_seq < apply->held_seq) {
            status = careful_double(apply, origin, careful, err);
        } else {
            return sl_fail(err, SYNCLINE_AGAIN,
                           "the segments that belong together are not all here");
        }
    }
    return status;
}

static enum syncline_status apply_carefully(struct sl_apply *apply, struct sl_origin_state *origin,
                                            uint64_t *applied, struct sl_error *err)
{
    struct careful careful = {.first_seq = *applied + 1, .last_seq = *applied};
    enum syncline_status status = careful_passes(apply, origin, &careful, err);
    origin->todo = NULL;
    sl_free(apply->core->env->alloc, careful.todo);
    if (status == SYNCLINE_OK) {
        *applied = careful.last_seq;
    }
    return status;
}

/* ---- Plainly, in order ---- */

/* Records in order; *cannot: one could not be written, and the slice is to be done carefully. */
static enum syncline_status write_in_order(struct sl_apply *apply,
                                           const struct sl_apply_record *records, uint32_t len,
                                           bool *cannot, struct sl_error *err)
{
    char reason[256];
    enum syncline_status status = SYNCLINE_OK;
    for (uint32_t r = 0; r < len && status == SYNCLINE_OK && !*cannot; r++) {
        enum sl_outcome outcome = SL_OUTCOME_WRITTEN;
        SL_CRASHPOINT(R3, BEFORE);
        status = sl_record_write(&apply->writer, &records[r], &outcome, reason, err);
        SL_CRASHPOINT(R3, AFTER);
        *cannot = outcome != SL_OUTCOME_WRITTEN;
    }
    return status == SYNCLINE_OK && !*cannot ? sl_record_writer_flush(&apply->writer, err) : status;
}

/* Did anybody else commit within the last second? */
static bool others_write(const struct sl_core *core)
{
    return core->others_wrote_ns != 0 && now_ns(core) - core->others_wrote_ns < OTHERS_ACTIVE_NS;
}

/* Segment after segment until the time is over. *applied moves. */
static enum syncline_status apply_plainly(struct sl_apply *apply, struct sl_origin_state *origin,
                                          uint64_t *applied, bool *cannot, struct sl_error *err)
{
    struct sl_core *core = apply->core;
    uint64_t hold_ns =
        sl_settings_ns(&core->settings, others_write(core) ? SL_SETTING_APPLY_HOLD_SHARED_MS
                                                           : SL_SETTING_APPLY_HOLD_MS);
    uint64_t end_ns = now_ns(core) + hold_ns;
    uint64_t before = *applied;
    enum syncline_status status = SYNCLINE_OK;
    do {
        struct sl_apply_record *records = NULL;
        uint32_t len = 0;
        origin->covered_seq = *applied; /* births that this slice has brought are covered */
        status = load(apply, origin, *applied + 1, err);
        if (status == SYNCLINE_OK) {
            status = check_clock(apply, origin, err);
        }
        SL_CRASHPOINT(R2, BEFORE);
        if (status == SYNCLINE_OK) {
            status = gather(apply, origin, &records, &len, err);
        }
        SL_CRASHPOINT(R2, AFTER);
        if (status != SYNCLINE_OK && *applied > before) {
            status = SYNCLINE_OK; /* what is applied stands; the next slice meets it again */
            origin->held_until_ms = 0;
            break;
        }
        if (status == SYNCLINE_OK) {
            status = write_in_order(apply, records, len, cannot, err);
        }
        if (status != SYNCLINE_OK || *cannot) {
            break;
        }
        *applied = sl_segment_last_seq(&apply->decoded.segment);
    } while (*applied < apply->upto_seq && now_ns(core) < end_ns);
    return status;
}

/* ---- One slice ---- */

static bool is_about_the_segment(enum syncline_status status)
{
    return status == SYNCLINE_EPROTO || status == SYNCLINE_EUNSUPPORTED ||
           status == SYNCLINE_EFORMAT || status == SYNCLINE_EREFUSED;
}

/* Stops an origin at its next segment. */
static void hold_origin(struct sl_core *core, struct sl_origin_state *origin,
                        enum syncline_status status, const struct sl_error *err)
{
    origin->held = origin->held_until_ms == 0;
    if (!origin->held && origin->clock_held) {
        (void)sl_core_notice(core, status, err->text); /* still */
        return;
    }
    origin->clock_held = !origin->held;
    sl_core_trouble(core, origin->held ? SYNCLINE_CODE_HELD : SYNCLINE_CODE_CLOCK_HELD, status,
                    &origin->name.device, err->text);
}

/* An origin that was held until its time came goes on. */
static void tell_released(struct sl_core *core, struct sl_origin_state *origin)
{
    if (!origin->clock_held) {
        return;
    }
    char name[SL_NAME_SIZE_MAX + 3];
    char text[SL_ERROR_SIZE];
    origin->clock_held = false;
    sl_core_device_name(core, &origin->name.device, name, sizeof(name));
    (void)snprintf(text, sizeof(text),
                   "changes of device %s that were held for its clock are applied now", name);
    sl_core_news(core, SYNCLINE_CODE_CLOCK_RELEASED, &origin->name.device, text);
}

static enum syncline_status put_asides(struct sl_apply *apply, const struct sl_origin_state *origin,
                                       struct sl_error *err)
{
    struct sl_core *core = apply->core;
    const struct sl_record_writer *writer = &apply->writer;
    if (apply->aside_len == 0 && writer->gone_len == 0) {
        return SYNCLINE_OK;
    }
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_peer_log_begin(&core->log, err);
    for (size_t i = 0; i < apply->aside_len && status == SYNCLINE_OK; i++) {
        const struct sl_apply_aside *aside = &apply->asides[i];
        struct sl_set_aside record = {
            .origin = origin->name, .seq = aside->seq, .uuid = aside->uuid};
        (void)sqlite3_snprintf((int)sizeof(record.model), record.model, "%s", aside->model->name);
        memcpy(record.reason, aside->reason, sizeof(record.reason));
        status = sl_set_aside_put(&core->log, &record, core->env->wall_ms(core->env->ctx), err);
    }
    for (size_t i = 0; i < writer->gone_len && status == SYNCLINE_OK; i++) {
        status = sl_set_aside_remove(&core->log, &writer->gone[i].origin, writer->gone[i].seq, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_commit(&core->log, err);
    }
    sl_peer_log_rollback(&core->log);
    (void)pthread_mutex_unlock(&core->log_lock);
    return status;
}

/* Everything between BEGIN and COMMIT. */
static enum syncline_status apply_in_transaction(struct sl_apply *apply,
                                                 struct sl_origin_state *origin, uint64_t *applied,
                                                 bool *cannot, struct sl_error *err)
{
    struct sl_core *core = apply->core;
    struct sl_rows *rows = &core->writer;
    sl_record_writer_reset(&apply->writer);
    apply->aside_len = 0;
    apply->writer.gone_len = 0;
    enum syncline_status status = sl_db_exec(&rows->ldb.db, "PRAGMA defer_foreign_keys=ON", err);
    if (status == SYNCLINE_OK && origin->number == 0) {
        status = sl_library_db_origin_number(&rows->ldb, &origin->name, &origin->number, err);
    }
    if (status == SYNCLINE_OK) {
        status = merge_and_settle(apply, origin, err);
    }
    if (status == SYNCLINE_OK) {
        status = origin->careful ? apply_carefully(apply, origin, applied, err)
                                 : apply_plainly(apply, origin, applied, cannot, err);
    }
    if (status == SYNCLINE_OK && !*cannot && keys_open(apply)) {
        *cannot = true;
    }
    SL_CRASHPOINT(R4, BEFORE);
    if (status == SYNCLINE_OK && !*cannot) {
        status = sl_library_db_set_applied(&rows->ldb, origin->number, *applied, err);
    }
    SL_CRASHPOINT(R4, AFTER);
    if (status == SYNCLINE_OK && !*cannot) {
        status = sl_library_db_raise_hlc(&rows->ldb, origin->number, apply->merged_hlc, err);
    }
    if (status == SYNCLINE_OK && !*cannot) {
        status = put_asides(apply, origin, err);
    }
    return status;
}

/* Did anybody else commit since the last slice? Then the lock is left alone for a moment. */
static void make_room(struct sl_apply *apply)
{
    struct sl_core *core = apply->core;
    struct sl_error ignored;
    int64_t version = core->writer_version;
    uint64_t now = now_ns(core);
    if (sl_library_db_data_version(&core->writer.ldb, &version, &ignored) != SYNCLINE_OK) {
        return;
    }
    if (version != core->writer_version) {
        core->others_wrote_ns = core->writer_version >= 0 ? now : 0;
        core->writer_version = version;
    }
    if (others_write(core)) {
        apply->not_before_ns = now + sl_settings_ns(&core->settings, SL_SETTING_APPLY_PAUSE_MS);
    }
}

static enum syncline_status slice(struct sl_apply *apply, struct sl_origin_state *origin,
                                  struct sl_error *err)
{
    struct sl_core *core = apply->core;
    struct sl_library_db *ldb = &core->writer.ldb;
    uint64_t applied = origin->applied_seq;
    int64_t number_before = origin->number;
    bool cannot = false;
    apply->merged_hlc = 0;
    enum syncline_status status = sl_library_db_begin_write(ldb, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = apply_in_transaction(apply, origin, &applied, &cannot, err);
    if (status == SYNCLINE_OK && !cannot) {
        status = sl_library_db_commit(ldb, err);
    }
    if (status != SYNCLINE_OK || cannot) {
        sl_library_db_rollback(ldb);
        sl_clock_unmerge(core, apply->hlc_before, apply->merged_hlc);
        origin->number = number_before;
        origin->covered_seq = origin->applied_seq;
        if (cannot && origin->careful) {
            return sl_fail(err, SYNCLINE_ECORRUPT,
                           "library.db has foreign keys that point nowhere");
        }
        origin->careful = cannot || status == SYNCLINE_AGAIN;
        return status;
    }
    origin->careful = false;
    SL_CRASHPOINT(R6, BEFORE);
    tell_released(core, origin);
    sl_core_set_applied(core, origin, applied);
    sl_settle_committed(core, apply->settled);
    SL_CRASHPOINT(R6, AFTER);
    for (size_t i = 0; i < apply->aside_len; i++) {
        const struct sl_apply_aside *aside = &apply->asides[i];
        sl_core_log_aside(core, aside->model->name, &aside->uuid, aside->reason);
    }
    if (apply->aside_len > 0) {
        const struct sl_apply_aside *first = &apply->asides[0];
        sl_core_event_aside(core, first->model->name, &first->uuid, &origin->name.device,
                            first->reason, apply->aside_len);
    }
    return SYNCLINE_OK;
}

static struct sl_origin_state *next_origin(struct sl_apply *apply)
{
    struct sl_core *core = apply->core;
    uint64_t wall_ms = core->env->wall_ms(core->env->ctx);
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        size_t at = (apply->next + i) % count;
        struct sl_origin_state *origin = core->origins[at];
        uint64_t held_seq = sl_core_held(core, origin);
        if (at == 0 || origin->held || origin->applied_seq >= held_seq) {
            continue;
        }
        if (origin->held_until_ms > wall_ms || origin->waits_at_seq == held_seq) {
            continue;
        }
        origin->held_until_ms = 0;
        apply->next = at + 1;
        return origin;
    }
    return NULL;
}

/* Moves the WAL into library.db when it is long, or nobody writes. */
static bool checkpoint(struct sl_core *core)
{
    uint64_t now = now_ns(core);
    bool idle = core->others_wrote_ns == 0 || now - core->others_wrote_ns > WAL_IDLE_NS;
    if (core->wal_pages == 0 || (core->wal_pages < WAL_PAGES_MAX && !idle)) {
        return false;
    }
    if (core->wal_pages < WAL_PAGES_MAX / 16) {
        return false; /* short: the last connection that closes does it */
    }
    int pages = 0;
    int done = 0;
    (void)sqlite3_wal_checkpoint_v2(core->writer.ldb.db.handle, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                    &pages, &done);
    core->wal_pages = 0; /* the hook says how long it is after the next commit */
    return true;
}

bool sl_apply_run(void *stage)
{
    struct sl_apply *apply = stage;
    struct sl_core *core = apply->core;
    sl_clock_watch(core);
    if (now_ns(core) < apply->not_before_ns) {
        return false;
    }
    struct sl_origin_state *origin = sl_core_is_paused(core) ? NULL : next_origin(apply);
    if (origin == NULL) {
        return checkpoint(core); /* captures go on */
    }
    struct sl_error err;
    uint64_t before = origin->applied_seq;
    enum syncline_status status = slice(apply, origin, &err);
    if (status == SYNCLINE_EBUSY) {
        apply->not_before_ns = now_ns(core) + BUSY_RETRY_NS;
        return false;
    }
    if (status == SYNCLINE_AGAIN) {
        origin->waits_at_seq = apply->held_seq;
        origin->careful = false;
        return false;
    }
    if (is_about_the_segment(status)) {
        hold_origin(core, origin, status, &err);
        return true;
    }
    if (status != SYNCLINE_OK) {
        sl_core_failed(core, "apply", status, &err);
        apply->not_before_ns = now_ns(core) + RETRY_NS;
        return false;
    }
    if (origin->applied_seq > before) {
        sl_count_work(&core->counts[SL_STAGE_APPLY], 1, origin->applied_seq - before, 0);
        sl_core_progress_wake(core);
        make_room(apply);
        (void)checkpoint(core);
        sl_core_vector_moved(core);
    }
    return true;
}
