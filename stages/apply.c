/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crashpoint.h"
#include "stages/clock.h"
#include "stages/living.h"
#include "stages/reopen.h"
#include "stages/settle.h"
#include "stages/snapshot_take.h"

#define NS_PER_MS ((uint64_t)1000 * 1000)
#define RETRY_NS (100 * NS_PER_MS)
#define BUSY_RETRY_NS NS_PER_MS
#define FULL_RETRY_MS 1000 /* the waiting room is full */
#define OTHERS_ACTIVE_NS (1000 * NS_PER_MS)
#define WAL_PAGES_MAX 16384 /* 64 MiB of 4 KiB pages */
#define WAL_IDLE_NS (5000 * NS_PER_MS)
#define TELL_NS (200 * NS_PER_MS) /* between two syncs while more is to be applied */

enum syncline_status sl_apply_init(struct sl_apply *apply, struct sl_core *core,
                                   struct sl_error *err)
{
    memset(apply, 0, sizeof(*apply));
    apply->core = core;
    sl_pending_init(&apply->pending, core->env->alloc);
    enum syncline_status status = sl_record_writer_init(&apply->writer, core, &apply->pending, err);
    return status == SYNCLINE_OK ? sl_decoded_init(&apply->decoded, core->env->alloc, err) : status;
}

void sl_apply_fini(struct sl_apply *apply)
{
    sl_decoded_fini(&apply->decoded);
    sl_pending_fini(&apply->pending);
    sl_record_writer_fini(&apply->writer);
    sl_free(apply->core->env->alloc, apply->core->living_due.records);
    apply->core->living_due = (struct sl_living_due){0};
}

static uint64_t now_ns(const struct sl_core *core)
{
    return core->env->mono_ns(core->env->ctx);
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
    if (beyond_ms == 0 || origin == core->origins[0]) {
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
 * rise. When the end of the log is from a clock too far ahead, the slice is one segment. */
static enum syncline_status find_upto(struct sl_apply *apply, struct sl_origin_state *origin,
                                      uint64_t *hlc, struct sl_error *err)
{
    struct sl_log_head head = sl_core_head(apply->core, origin);
    apply->upto_seq = head.held_seq;
    *hlc = head.last_hlc;
    if (sl_clock_beyond_ms(apply->core, head.last_hlc) == 0 || origin == apply->core->origins[0]) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = load(apply, origin, origin->applied_seq + 1, err);
    if (status == SYNCLINE_OK) {
        status = check_clock(apply, origin, err);
    }
    if (status == SYNCLINE_OK) {
        *hlc = apply->decoded.segment.last_hlc;
        apply->upto_seq = sl_segment_last_seq(&apply->decoded.segment);
    }
    return status;
}

/* From here on every local change that is not settled or pending now is stamped later than all that
 * comes up to this clock value. */
static enum syncline_status settle_after(struct sl_apply *apply, uint64_t hlc, struct sl_error *err)
{
    struct sl_core *core = apply->core;
    (void)pthread_mutex_lock(&core->clock_lock);
    apply->hlc_before = sl_clock_merge(core, hlc);
    apply->merged_hlc = hlc;
    enum syncline_status status = sl_settle_into(core, &core->writer, &apply->settled, err);
    if (status == SYNCLINE_OK) {
        status = sl_pending_read(&apply->pending, core, &core->writer, err);
    }
    (void)pthread_mutex_unlock(&core->clock_lock);
    return status == SYNCLINE_OK ? sl_living_run_due(core, &apply->pending, err) : status;
}

/* The same for all that this slice applies. */
static enum syncline_status merge_and_settle(struct sl_apply *apply, struct sl_origin_state *origin,
                                             struct sl_error *err)
{
    uint64_t hlc = 0;
    enum syncline_status status = find_upto(apply, origin, &hlc, err);
    return status == SYNCLINE_OK ? settle_after(apply, hlc, err) : status;
}

/* ---- Carefully, record by record ---- */

/* What a careful slice is about: the changes of one segment. */
struct careful {
    uint64_t first_seq;
    uint64_t last_seq;
    uint8_t *todo; /* by seq - first_seq: not written yet */
    uint64_t left; /* of them */
};

/* Takes the next segment of the log in. */
static enum syncline_status careful_begin(struct sl_apply *apply, struct sl_origin_state *origin,
                                          struct careful *careful, struct sl_error *err)
{
    enum syncline_status status = load(apply, origin, careful->first_seq, err);
    if (status == SYNCLINE_OK) {
        status = check_clock(apply, origin, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    careful->last_seq = sl_segment_last_seq(&apply->decoded.segment);
    careful->left = careful->last_seq + 1 - careful->first_seq;
    careful->todo = sl_calloc(apply->core->env->alloc, (size_t)careful->left, 1);
    if (careful->todo == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to apply a segment");
    }
    memset(careful->todo, 1, (size_t)careful->left);
    origin->todo = careful->todo;
    origin->todo_first = careful->first_seq;
    origin->todo_len = careful->left;
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

/* Tries every change that is left, in order. With `give_up` what still fails is set aside. */
static enum syncline_status careful_pass(struct sl_apply *apply, struct sl_origin_state *origin,
                                         struct careful *careful, bool give_up,
                                         struct sl_error *err)
{
    char reason[256] = "";
    struct sl_apply_record *records = NULL;
    uint32_t len = 0;
    enum syncline_status status = gather(apply, origin, &records, &len, err);
    for (uint32_t r = 0; r < len && status == SYNCLINE_OK; r++) {
        const struct sl_apply_record *record = &records[r];
        const struct sl_localized *localized = record->localized;
        uint8_t *todo = &careful->todo[record->seq - careful->first_seq];
        if (*todo == 0 || cancels(origin, careful, record)) {
            continue;
        }
        enum sl_outcome outcome = SL_OUTCOME_WRITTEN;
        status = sl_record_try(&apply->writer, record, &outcome, reason, err);
        if (status == SYNCLINE_OK && outcome != SL_OUTCOME_WRITTEN && give_up) {
            status =
                sl_record_set_aside(&apply->writer, &origin->name, record->seq, localized->model,
                                    &localized->group->uuids[record->i], reason, err);
            outcome = SL_OUTCOME_WRITTEN;
        }
        if (outcome == SL_OUTCOME_WRITTEN) {
            *todo = 0;
            careful->left--;
        }
    }
    return status;
}

/* Every record that can be written, whatever the order. What then still fails is set aside. */
static enum syncline_status careful_passes(struct sl_apply *apply, struct sl_origin_state *origin,
                                           struct careful *careful, struct sl_error *err)
{
    enum syncline_status status = careful_begin(apply, origin, careful, err);
    while (status == SYNCLINE_OK && careful->left > 0) {
        uint64_t before = careful->left;
        status = careful_pass(apply, origin, careful, false, err);
        if (status == SYNCLINE_OK && careful->left == before) {
            status = careful_pass(apply, origin, careful, true, err);
        }
    }
    return status;
}

static enum syncline_status apply_carefully(struct sl_apply *apply, struct sl_origin_state *origin,
                                            uint64_t *applied, struct sl_error *err)
{
    struct careful careful = {.first_seq = *applied + 1};
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

uint64_t sl_apply_hold_ns(const struct sl_apply *apply)
{
    const struct sl_core *core = apply->core;
    return sl_settings_ns(&core->settings, others_write(core) ? SL_SETTING_APPLY_HOLD_SHARED_MS
                                                              : SL_SETTING_APPLY_HOLD_MS);
}

/* Segment after segment until the time is over. *applied moves. */
static enum syncline_status apply_plainly(struct sl_apply *apply, struct sl_origin_state *origin,
                                          uint64_t *applied, bool *cannot, struct sl_error *err)
{
    struct sl_core *core = apply->core;
    uint64_t end_ns = now_ns(core) + sl_apply_hold_ns(apply);
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
           status == SYNCLINE_EFORMAT || status == SYNCLINE_EREFUSED || status == SYNCLINE_EPRUNED;
}

/* Stops an origin at its next segment; for a while, if that may be all that it takes. */
static void hold_origin(struct sl_apply *apply, struct sl_origin_state *origin,
                        enum syncline_status status, const struct sl_error *err)
{
    struct sl_core *core = apply->core;
    if (apply->writer.waiting.room.was_full) {
        origin->held_until_ms = core->env->wall_ms(core->env->ctx) + FULL_RETRY_MS;
        if (origin->room_held) {
            (void)sl_core_notice(core, status, err->text); /* still */
            return;
        }
        origin->room_held = true;
        sl_core_trouble(core, SYNCLINE_CODE_HELD, status, &origin->name.device, err->text);
        return;
    }
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

static enum syncline_status put_asides(struct sl_apply *apply, struct sl_error *err)
{
    struct sl_core *core = apply->core;
    const struct sl_record_writer *writer = &apply->writer;
    if (writer->aside_len == 0 && writer->gone_len == 0) {
        return SYNCLINE_OK;
    }
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_core_log_begin(core, err);
    for (size_t i = 0; i < writer->aside_len && status == SYNCLINE_OK; i++) {
        const struct sl_record_aside *aside = &writer->asides[i];
        struct sl_set_aside record = {
            .origin = aside->origin, .seq = aside->seq, .uuid = aside->uuid};
        (void)sqlite3_snprintf((int)sizeof(record.model), record.model, "%s", aside->model->name);
        memcpy(record.reason, aside->reason, sizeof(record.reason));
        status = sl_set_aside_put(&core->log, &record, core->env->wall_ms(core->env->ctx), err);
    }
    for (size_t i = 0; i < writer->gone_len && status == SYNCLINE_OK; i++) {
        status = sl_set_aside_remove(&core->log, &writer->gone[i].origin, writer->gone[i].seq, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_core_log_commit(core, err);
    }
    sl_peer_log_rollback(&core->log);
    (void)pthread_mutex_unlock(&core->log_lock);
    return status;
}

static void begin_writing(struct sl_apply *apply, bool carefully)
{
    apply->writer.uuid_keys = carefully;
    sl_record_writer_reset(&apply->writer);
    apply->writer.aside_len = 0;
    apply->writer.gone_len = 0;
    apply->writer.waiting.len = 0;
    apply->writer.waiting.room.was_full = false;
    apply->writer.waiting.room.records_max = apply->core->waiting_max;
}

/* The transaction stands. */
static void committed(struct sl_apply *apply)
{
    struct sl_core *core = apply->core;
    const struct sl_record_writer *writer = &apply->writer;
    sl_settle_committed(core, apply->settled);
    for (size_t i = 0; i < writer->aside_len; i++) {
        const struct sl_record_aside *aside = &writer->asides[i];
        sl_core_log_aside(core, aside->model->name, &aside->uuid, aside->reason);
    }
    if (writer->aside_len > 0) {
        const struct sl_record_aside *first = &writer->asides[0];
        sl_core_event_aside(core, first->model->name, &first->uuid, &first->origin.device,
                            first->reason, writer->aside_len);
    }
}

/* Everything between BEGIN and COMMIT. */
static enum syncline_status apply_in_transaction(struct sl_apply *apply,
                                                 struct sl_origin_state *origin, uint64_t *applied,
                                                 bool *cannot, struct sl_error *err)
{
    struct sl_core *core = apply->core;
    struct sl_rows *rows = &core->writer;
    begin_writing(apply, origin->careful);
    enum syncline_status status = sl_db_defer_keys(&rows->ldb.db, err);
    if (status == SYNCLINE_OK && origin->number == 0) {
        status = sl_library_db_origin_number(&rows->ldb, &origin->name, &origin->number, err);
    }
    if (status == SYNCLINE_OK) {
        status = merge_and_settle(apply, origin, err);
    }
    if (status == SYNCLINE_OK && apply->writer.redoing) {
        status = sl_logged_parents_read(&apply->writer.logged, origin->applied_seq, err);
    }
    if (status == SYNCLINE_OK) {
        status = origin->careful ? apply_carefully(apply, origin, applied, err)
                                 : apply_plainly(apply, origin, applied, cannot, err);
    }
    if (status == SYNCLINE_OK && !*cannot) {
        /* Births below the cut of a snapshot may still come. */
        uint64_t after = sl_origin_lags(origin) ? origin->cut_seq : 0;
        status = sl_waiting_covered(&apply->writer, origin->number, after, *applied, err);
    }
    if (status == SYNCLINE_OK && !*cannot) {
        origin->covered_seq = *applied;
        status = sl_waiting_release(&apply->writer, origin->careful, err);
    }
    if (status == SYNCLINE_OK && !*cannot && sl_record_keys_open(&apply->writer)) {
        *cannot = true;
    }
    SL_CRASHPOINT(R4, BEFORE);
    if (status == SYNCLINE_OK && !*cannot) {
        status = sl_origin_lags(origin)
                     ? sl_snapshot_set_live(&rows->ldb, origin->number, *applied, err)
                     : sl_library_db_set_applied(&rows->ldb, origin->number, *applied, err);
    }
    SL_CRASHPOINT(R4, AFTER);
    if (status == SYNCLINE_OK && !*cannot) {
        status = sl_library_db_raise_hlc(&rows->ldb, origin->number, apply->merged_hlc, err);
    }
    if (status == SYNCLINE_OK && !*cannot) {
        status = put_asides(apply, err);
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
    struct sl_waiting_mark mark = sl_waiting_mark(&apply->writer.waiting);
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
        sl_living_undo_due(core);
        sl_clock_unmerge(core, apply->hlc_before, apply->merged_hlc);
        sl_waiting_go_back(&apply->writer.waiting, mark);
        origin->number = number_before;
        origin->covered_seq = origin->applied_seq;
        if (cannot && origin->careful) {
            return sl_fail(err, SYNCLINE_ECORRUPT,
                           "library.db has foreign keys that point nowhere");
        }
        origin->careful = cannot;
        return status;
    }
    origin->careful = false;
    origin->room_held = false;
    SL_CRASHPOINT(R6, BEFORE);
    tell_released(core, origin);
    sl_core_set_applied(core, origin, applied);
    committed(apply);
    SL_CRASHPOINT(R6, AFTER);
    return SYNCLINE_OK;
}

/* ---- Something else ---- */

static enum syncline_status work_in_transaction(struct sl_apply *apply, uint64_t hlc,
                                                bool carefully, sl_apply_work_fn work, void *ctx,
                                                bool *cannot, struct sl_error *err)
{
    struct sl_rows *rows = &apply->core->writer;
    begin_writing(apply, carefully);
    enum syncline_status status = sl_db_defer_keys(&rows->ldb.db, err);
    if (status == SYNCLINE_OK) {
        status = settle_after(apply, hlc, err);
    }
    if (status == SYNCLINE_OK) {
        status = work(ctx, apply, cannot, err);
    }
    if (status == SYNCLINE_OK && !*cannot) {
        status = sl_waiting_release(&apply->writer, carefully, err);
    }
    if (status == SYNCLINE_OK && !*cannot && sl_record_keys_open(&apply->writer)) {
        *cannot = true;
    }
    if (status == SYNCLINE_OK && !*cannot) {
        status =
            sl_library_db_raise_hlc(&rows->ldb, apply->core->self_number, apply->merged_hlc, err);
    }
    return status == SYNCLINE_OK && !*cannot ? put_asides(apply, err) : status;
}

enum syncline_status sl_apply_work(struct sl_apply *apply, uint64_t hlc, bool carefully,
                                   sl_apply_work_fn work, void *ctx, bool *cannot,
                                   struct sl_error *err)
{
    struct sl_core *core = apply->core;
    struct sl_library_db *ldb = &core->writer.ldb;
    struct sl_waiting_mark mark = sl_waiting_mark(&apply->writer.waiting);
    uint64_t beyond_ms = sl_clock_beyond_ms(core, hlc);
    *cannot = false;
    apply->merged_hlc = 0;
    if (beyond_ms > 0) {
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "a snapshot has changes from a clock that is %llu s ahead of this device's; "
                       "it waits until their time comes: set the clocks right",
                       (unsigned long long)((beyond_ms + sl_core_max_drift_ms(core)) / 1000));
    }
    enum syncline_status status = sl_library_db_begin_write(ldb, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = work_in_transaction(apply, hlc, carefully, work, ctx, cannot, err);
    if (status == SYNCLINE_OK && !*cannot) {
        status = sl_library_db_commit(ldb, err);
    }
    if (status != SYNCLINE_OK || *cannot) {
        sl_library_db_rollback(ldb);
        sl_living_undo_due(core);
        sl_clock_unmerge(core, apply->hlc_before, apply->merged_hlc);
        sl_waiting_go_back(&apply->writer.waiting, mark);
        return status;
    }
    committed(apply);
    return SYNCLINE_OK;
}

/* ---- When idle ---- */

/* What this device's own changes mean for entries that wait: one is superseded, a parent was made
 * or deleted. */
static enum syncline_status tidy_in_transaction(struct sl_apply *apply, int64_t *entry,
                                                struct sl_error *err)
{
    struct sl_record_writer *writer = &apply->writer;
    begin_writing(apply, true);
    enum syncline_status status = sl_db_defer_keys(&apply->core->writer.ldb.db, err);
    if (status == SYNCLINE_OK) {
        status = settle_after(apply, 0, err);
    }
    if (status == SYNCLINE_OK && *entry == 0) {
        status = sl_waiting_look_at_hidden(writer, err);
    }
    for (uint32_t i = 0; i < SL_WAITING_TIDY_LEN && status == SYNCLINE_OK; i++) {
        status = sl_waiting_next(&writer->waiting.room, entry, err);
        if (status != SYNCLINE_OK || *entry == 0) {
            break;
        }
        status = sl_waiting_look(writer, *entry, true, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_waiting_release(writer, true, err);
    }
    return status == SYNCLINE_OK ? put_asides(apply, err) : status;
}

static enum syncline_status tidy_slice(struct sl_apply *apply, struct sl_error *err)
{
    struct sl_core *core = apply->core;
    struct sl_library_db *ldb = &core->writer.ldb;
    struct sl_waiting_work *work = &apply->writer.waiting;
    struct sl_waiting_mark mark = sl_waiting_mark(work);
    int64_t entry = work->tidied;
    enum syncline_status status = sl_library_db_begin_write(ldb, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = tidy_in_transaction(apply, &entry, err);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_commit(ldb, err);
    }
    if (status != SYNCLINE_OK) {
        sl_library_db_rollback(ldb);
        sl_living_undo_due(core);
        sl_waiting_go_back(work, mark);
        return status;
    }
    work->tidied = entry == 0 ? -1 : entry;
    committed(apply);
    return SYNCLINE_OK;
}

static bool is_author_due(const struct sl_apply *apply)
{
    const struct sl_waiting_work *work = &apply->writer.waiting;
    /* What points at a record that a snapshot may still bring does not point at a deleted one. */
    return work->own_left && now_ns(apply->core) >= work->author_ns &&
           !atomic_load_explicit(&apply->core->snapshot.active, memory_order_relaxed);
}

bool sl_apply_is_untidy(const struct sl_apply *apply)
{
    const struct sl_waiting_work *work = &apply->writer.waiting;
    return (work->room.count.records > 0 || apply->core->living_due.lacks) &&
           (work->tidied >= 0 || is_author_due(apply) ||
            work->tidied_seq !=
                atomic_load_explicit(&apply->core->settled_seq, memory_order_relaxed));
}

static bool tidy(struct sl_apply *apply)
{
    struct sl_core *core = apply->core;
    struct sl_waiting_work *work = &apply->writer.waiting;
    struct sl_error err;
    if (!sl_apply_is_untidy(apply)) {
        return false;
    }
    if (work->tidied < 0) {
        work->tidied = 0;
        work->may_author = now_ns(core) >= work->author_ns &&
                           !atomic_load_explicit(&core->snapshot.active, memory_order_relaxed);
        work->own_left = false;
        work->tidied_seq = atomic_load_explicit(&core->settled_seq, memory_order_relaxed);
    }
    enum syncline_status status = tidy_slice(apply, &err);
    if (status == SYNCLINE_EBUSY || status == SYNCLINE_AGAIN) {
        apply->not_before_ns = now_ns(core) + BUSY_RETRY_NS;
        return false;
    }
    if (status != SYNCLINE_OK) {
        sl_core_failed(core, "apply", status, &err);
        apply->not_before_ns = now_ns(core) + RETRY_NS;
        return false;
    }
    work->may_author = work->may_author && work->tidied >= 0;
    make_room(apply);
    return true;
}

/* Something was applied, and more may follow that belongs to it. */
static void put_off_authoring(struct sl_apply *apply)
{
    struct sl_waiting_work *work = &apply->writer.waiting;
    if (work->room.count.records == 0 && !apply->core->living_due.lacks) {
        return;
    }
    work->author_ns = now_ns(apply->core) + SL_AUTHOR_WAIT_MS * NS_PER_MS;
    work->own_left = work->own_left || work->tidied >= 0; /* what was under way begins again */
    work->tidied = -1;
    work->may_author = false;
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
        if (origin->held_until_ms > wall_ms) {
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
    const struct sl_db *db = &core->writer.ldb.db;
    int code =
        sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &done);
    core->wal_pages = 0; /* the hook says how long it is after the next commit */
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) {
        struct sl_error err;
        enum syncline_status status = sl_db_fail(db, code, "checkpoint", &err);
        sl_core_failed(core, "apply", status, &err);
    }
    return true;
}

/* Is there more to apply, now? */
static bool is_behind(struct sl_core *core)
{
    uint64_t wall_ms = core->env->wall_ms(core->env->ctx);
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    for (size_t i = 1; i < count; i++) {
        const struct sl_origin_state *origin = core->origins[i];
        if (!origin->held && origin->held_until_ms <= wall_ms &&
            origin->applied_seq < sl_core_held(core, origin)) {
            return true;
        }
    }
    return false;
}

/* What is applied is made safe from a power cut, and members are told. */
static bool tell_applied(struct sl_apply *apply)
{
    struct sl_core *core = apply->core;
    struct sl_error err;
    enum syncline_status status = sl_library_db_sync_wal(&core->writer.ldb, &err);
    if (status != SYNCLINE_OK) {
        sl_core_failed(core, "apply", status, &err);
        return false; /* the writer is opened again, and it is tried anew */
    }
    apply->unsynced = false;
    apply->sync_due_ns = now_ns(core) + TELL_NS;
    sl_core_applied_synced(core);
    sl_core_vector_moved(core);
    return true;
}

/* What is settled is made safe from a power cut, so that it can be pruned: it may be all that there
 * was to do. */
static bool sync_settled(struct sl_apply *apply)
{
    struct sl_core *core = apply->core;
    struct sl_error err;
    enum syncline_status status = sl_library_db_sync_wal(&core->writer.ldb, &err);
    if (status != SYNCLINE_OK) {
        sl_core_failed(core, "apply", status, &err);
        return false; /* whoever asked asks again */
    }
    sl_core_applied_synced(core);
    return true;
}

/* Pages of a snapshot take turns with what comes by the logs, which so is never behind them. */
static bool snapshot_slice(struct sl_apply *apply, bool idle)
{
    struct sl_core *core = apply->core;
    if (apply->take == NULL || sl_core_is_paused(core) || (apply->live_next && !idle) ||
        !sl_snapshot_take_apply(apply->take, apply)) {
        return false;
    }
    apply->live_next = true;
    put_off_authoring(apply);
    sl_core_progress_wake(core);
    make_room(apply);
    (void)checkpoint(core);
    apply->unsynced = true;
    return true;
}

bool sl_apply_run(void *stage)
{
    struct sl_apply *apply = stage;
    struct sl_core *core = apply->core;
    sl_clock_watch(core);
    if (!sl_core_writer_is_sound(core)) {
        return false;
    }
    if (apply->unsynced && (!is_behind(core) || now_ns(core) >= apply->sync_due_ns)) {
        return tell_applied(apply);
    }
    if (atomic_exchange_explicit(&core->sync_wanted, false, memory_order_acquire)) {
        return sync_settled(apply);
    }
    if (now_ns(core) < apply->not_before_ns) {
        return false;
    }
    struct sl_origin_state *origin = sl_core_is_paused(core) ? NULL : next_origin(apply);
    if (snapshot_slice(apply, origin == NULL)) {
        return true;
    }
    apply->live_next = false;
    if (origin == NULL) {
        /* captures go on */
        return (!sl_core_is_paused(core) && tidy(apply)) || checkpoint(core);
    }
    struct sl_error err;
    uint64_t before = origin->applied_seq;
    enum syncline_status status = slice(apply, origin, &err);
    if (status == SYNCLINE_EBUSY || status == SYNCLINE_AGAIN) {
        apply->not_before_ns = now_ns(core) + BUSY_RETRY_NS;
        return false;
    }
    if (is_about_the_segment(status)) {
        hold_origin(apply, origin, status, &err);
        return true;
    }
    if (status != SYNCLINE_OK) {
        sl_core_failed(core, "apply", status, &err);
        apply->not_before_ns = now_ns(core) + RETRY_NS;
        return false;
    }
    if (origin->applied_seq > before) {
        sl_count_work(&core->counts[SL_STAGE_APPLY], 1, origin->applied_seq - before, 0);
        put_off_authoring(apply);
        sl_core_progress_wake(core);
        make_room(apply);
        (void)checkpoint(core);
        apply->unsynced = true;
    }
    return true;
}

enum syncline_status sl_apply_own(struct sl_apply *apply, struct sl_error *err)
{
    struct sl_core *core = apply->core;
    struct sl_origin_state *self = core->origins[0];
    (void)sqlite3_busy_timeout(core->writer.ldb.db.handle, (int)SL_BUSY_TIMEOUT_MS);
    apply->writer.redoing = true;
    sl_logged_parents_init(&apply->writer.logged, core);
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && self->applied_seq < self->head.held_seq) {
        status = slice(apply, self, err); /* a plain one may only find that it must be careful */
    }
    apply->writer.redoing = false;
    sl_logged_parents_fini(&apply->writer.logged);
    (void)sqlite3_busy_timeout(core->writer.ldb.db.handle, 0);
    atomic_store(&core->settled_seq, self->applied_seq);
    return status;
}
