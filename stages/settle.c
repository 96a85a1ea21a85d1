/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/settle.h"

#include <string.h>

#include "stages/decode.h"
#include "stages/living.h"
#include "stages/reopen.h"

#define SETTLE_WAIT_NS (50u * 1000u * 1000u) /* for a capture to take it along */

/* Is the record of the entry deleted by a later change, whether that is in the log or not? */
static bool is_deleted_later(struct sl_deletes *deletes, const struct sl_unsettled_entry *entry,
                             uint32_t i)
{
    int64_t model = entry->model->id_in_db;
    return sl_deletes_after(deletes, model, &entry->uuids[i], entry->outbox_id) ||
           (entry->recovered &&
            sl_deletes_recovered_after(deletes, model, &entry->uuids[i], entry->first_seq + i));
}

/* Is the record of the entry still the one with this id? A new one that is gone, though no delete
 * of it was captured yet, and whose id nobody has, counts as if it were: its delete is about to be
 * captured, in the transaction that this is part of, and is to find its birth. */
static enum syncline_status still_there(struct sl_rows *rows,
                                        const struct sl_unsettled_entry *entry, uint32_t i,
                                        struct sl_deletes *deletes, bool *there,
                                        struct sl_error *err)
{
    int64_t id = 0;
    bool found = false;
    enum syncline_status status =
        sl_record_id(&rows->tables[entry->model->index], &entry->uuids[i], &found, &id, err);
    bool taken = false;
    bool is_new = entry->changes[i] == SYNCLINE_INSERT;
    if (status == SYNCLINE_OK && !found && is_new) {
        status = sl_record_has_id(&rows->tables[entry->model->index], entry->ids[i], &taken, err);
    }
    /* The same UUID may have been deleted and inserted again since: that is another record. */
    *there =
        (found ? id == entry->ids[i] : is_new && !taken) && !is_deleted_later(deletes, entry, i);
    return status;
}

/* Changes of the entry that were inserts, as births. */
static struct sl_birth_run births_of(const struct sl_core *core,
                                     const struct sl_unsettled_entry *entry, uint32_t first,
                                     uint32_t n)
{
    return (struct sl_birth_run){.id = entry->ids[first],
                                 .n = n,
                                 .origin = core->self_number,
                                 .seq = entry->first_seq + first,
                                 .hlc = entry->first_hlc + first,
                                 .class = entry->class};
}

/* The row of an insert is gone. If no delete of it is captured its birth is kept, to be found: the
 * others have the record. */
static enum syncline_status settle_gone(struct sl_core *core, struct sl_rows *rows,
                                        const struct sl_unsettled_entry *entry, uint32_t i,
                                        struct sl_deletes *deletes, struct sl_error *err)
{
    struct sl_birth_run birth = births_of(core, entry, i, 1);
    return is_deleted_later(deletes, entry, i)
               ? SYNCLINE_OK
               : sl_birth_park(&rows->births, entry->model->id_in_db, &birth, err);
}

static enum syncline_status settle_inserts(struct sl_core *core, struct sl_rows *rows,
                                           const struct sl_unsettled_entry *entry, uint32_t first,
                                           uint32_t n, bool check, struct sl_error *err)
{
    struct sl_birth_run run = births_of(core, entry, first, n);
    int64_t model = entry->model->id_in_db;
    return check ? sl_birth_put_new(&rows->births, model, &run, err)
                 : sl_birth_put(&rows->births, model, &run, err);
}

/* Is the birth that the row shows now one that the update names? */
static enum syncline_status is_of_row(struct sl_rows *rows, const struct sl_unsettled_entry *entry,
                                      uint32_t i, bool *is, struct sl_error *err)
{
    struct sl_birth_run run;
    struct sl_birth birth = {0};
    bool found = false;
    *is = true;
    enum syncline_status status =
        sl_birth_get(&rows->births, entry->model->id_in_db, entry->ids[i], &found, &run, err);
    if (status != SYNCLINE_OK || !found) {
        return status;
    }
    birth.seq = run.seq;
    status = sl_library_db_origin(&rows->ldb, run.origin, &found, &birth.origin, err);
    *is = sl_unsettled_names(entry, i, &birth);
    return status;
}

static enum syncline_status settle_update(struct sl_core *core, struct sl_rows *rows,
                                          const struct sl_unsettled_entry *entry, uint32_t i,
                                          bool check, struct sl_error *err)
{
    int64_t model = entry->model->id_in_db;
    bool is_shared = false;
    bool of_row = true;
    enum syncline_status status =
        sl_birth_is_shared(&rows->births, model, entry->ids[i], &is_shared, err);
    if (status == SYNCLINE_OK && check) {
        status = is_of_row(rows, entry, i, &of_row, err);
    }
    if (status == SYNCLINE_OK && is_shared && of_row) {
        status = sl_stamp_put(&rows->births, model, entry->ids[i], entry->first_hlc + i,
                              core->self_number, err);
    }
    return status == SYNCLINE_OK && sl_core_may_hide(core, entry->model)
               ? sl_living_settle(core, rows, entry, i, err)
               : status;
}

/* The record may be shown by another birth from now on. */
static enum syncline_status look_again(struct sl_core *core, const struct sl_unsettled_entry *entry,
                                       uint32_t i, struct sl_error *err)
{
    return !sl_core_may_hide(core, entry->model) ||
                   sl_living_due_add(&core->living_due, core->env->alloc, entry->model,
                                     &entry->uuids[i])
               ? SYNCLINE_OK
               : sl_fail(err, SYNCLINE_ENOMEM, "no memory to settle");
}

/* Do births stand at ids of the entry's inserts? Then somebody has deleted without a capture, and
 * an id was used again, by one side or the other. */
static enum syncline_status are_ids_taken(struct sl_rows *rows,
                                          const struct sl_unsettled_entry *entry, bool *taken,
                                          struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (uint32_t i = 0; i < entry->n && status == SYNCLINE_OK && !*taken;) {
        uint32_t n = 1;
        if (entry->changes[i] != SYNCLINE_INSERT) {
            i++;
            continue;
        }
        while (i + n < entry->n && entry->changes[i + n] == SYNCLINE_INSERT &&
               entry->ids[i + n - 1] != INT64_MAX &&
               entry->ids[i + n] == entry->ids[i + n - 1] + 1) {
            n++;
        }
        status = sl_birth_any(&rows->births, entry->model->id_in_db, entry->ids[i], n, taken, err);
        i += n;
    }
    return status;
}

static enum syncline_status settle_entry(struct sl_core *core, struct sl_rows *rows,
                                         const struct sl_unsettled_entry *entry,
                                         struct sl_error *err)
{
    const struct sl_model *model = entry->model;
    int64_t last_delete = 0;
    enum syncline_status status =
        sl_outbox_last_delete(&rows->ldb, model->id_in_db, &last_delete, err);
    bool check = entry->recovered || last_delete >= entry->outbox_id;
    if (status == SYNCLINE_OK && !check) {
        status = are_ids_taken(rows, entry, &check, err);
    }
    struct sl_deletes *deletes = &core->unsettled.deletes;
    if (status == SYNCLINE_OK && check) {
        status = sl_deletes_read(deletes, &rows->ldb, core->unsettled.first->outbox_id,
                                 rows != &core->writer, err);
    }
    uint32_t run_first = 0;
    uint32_t run_n = 0;
    for (uint32_t i = 0; i < entry->n && status == SYNCLINE_OK; i++) {
        bool there = entry->gone[i] == 0;
        if (check && there && entry->changes[i] != SYNCLINE_DELETE) {
            status = still_there(rows, entry, i, deletes, &there, err);
        }
        if (check && status == SYNCLINE_OK && entry->changes[i] == SYNCLINE_INSERT) {
            status = sl_late_birth_put(&rows->births, model->id_in_db, &entry->uuids[i],
                                       entry->first_seq + i, last_delete, err);
        }
        if (status == SYNCLINE_OK && !there && entry->changes[i] == SYNCLINE_INSERT) {
            status = settle_gone(core, rows, entry, i, deletes, err);
        }
        bool insert = there && entry->changes[i] == SYNCLINE_INSERT;
        bool goes_on = insert && run_n > 0 && entry->ids[i - 1] != INT64_MAX &&
                       entry->ids[i] == entry->ids[i - 1] + 1;
        if (run_n > 0 && !goes_on) {
            if (status == SYNCLINE_OK) {
                status = settle_inserts(core, rows, entry, run_first, run_n, check, err);
            }
            run_n = 0;
        }
        if (insert) {
            run_first = run_n == 0 ? i : run_first;
            run_n++;
        } else if (status == SYNCLINE_OK && there && entry->changes[i] == SYNCLINE_UPDATE) {
            status = settle_update(core, rows, entry, i, check, err);
        }
        if (status == SYNCLINE_OK && entry->changes[i] != SYNCLINE_INSERT) {
            status = look_again(core, entry, i, err);
        }
    }
    if (status == SYNCLINE_OK && run_n > 0) {
        status = settle_inserts(core, rows, entry, run_first, run_n, check, err);
    }
    return status;
}

enum syncline_status sl_settle_into(struct sl_core *core, struct sl_rows *rows, uint64_t *settled,
                                    struct sl_error *err)
{
    uint64_t before = 0;
    int64_t self = core->self_number;
    enum syncline_status status = sl_library_db_applied(&rows->ldb, self, &before, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t moved = before;
    uint64_t hlc = 0; /* of the last change settled */
    int64_t outbox_id = 0;
    (void)pthread_mutex_lock(&core->unsettled.lock);
    for (const struct sl_unsettled_entry *entry = core->unsettled.first;
         entry != NULL && entry->durable && status == SYNCLINE_OK; entry = entry->next) {
        uint64_t last_seq = entry->first_seq + entry->n - 1;
        if (last_seq <= before) {
            continue;
        }
        if (rows != &core->writer && sl_core_may_hide(core, entry->model)) {
            break; /* it may change what is shown: not inside a transaction of the application's */
        }
        status = settle_entry(core, rows, entry, err);
        moved = last_seq;
        hlc = entry->first_hlc + entry->n - 1;
        outbox_id = entry->row_complete ? entry->outbox_id : outbox_id;
    }
    sl_deletes_done(&core->unsettled.deletes);
    (void)pthread_mutex_unlock(&core->unsettled.lock);
    if (status == SYNCLINE_OK && moved > before) {
        status = sl_library_db_set_applied(&rows->ldb, self, moved, err);
    }
    if (status == SYNCLINE_OK && moved > before) {
        status = sl_library_db_raise_hlc(&rows->ldb, self, hlc, err);
    }
    *settled = moved;
    if (status == SYNCLINE_OK && outbox_id > 0) {
        status = sl_outbox_remove_below(&rows->ldb, outbox_id, err);
        if (status == SYNCLINE_OK) {
            status = sl_late_birth_remove(&rows->births, outbox_id, err);
        }
    }
    return status;
}

void sl_settle_init(struct sl_settle *settle, struct sl_core *core)
{
    settle->core = core;
    settle->version = -1;
    settle->due_ns = 0;
    settle->shows = false;
}

static uint64_t settled_seq(struct sl_core *core)
{
    return atomic_load_explicit(&core->settled_seq, memory_order_relaxed);
}

void sl_settle_committed(struct sl_core *core, uint64_t settled)
{
    uint64_t before = settled_seq(core);
    if (settled > before) {
        sl_count_work(&core->counts[SL_STAGE_SETTLE], 1, settled - before, 0);
        sl_core_set_applied(core, core->origins[0], settled);
        atomic_store_explicit(&core->settled_seq, settled, memory_order_release);
    }
}

/* Reads the own entry as committed, if anybody else committed since; and whether a delete of theirs
 * has left something to be shown. */
static enum syncline_status notice_settled(struct sl_settle *settle, struct sl_error *err)
{
    struct sl_core *core = settle->core;
    int64_t version = 0;
    enum syncline_status status = sl_library_db_data_version(&core->writer.ldb, &version, err);
    if (status != SYNCLINE_OK || version == settle->version) {
        return status;
    }
    uint64_t settled = 0;
    status = sl_library_db_applied(&core->writer.ldb, core->self_number, &settled, err);
    if (status == SYNCLINE_OK) {
        status = sl_living_is_due(core, &settle->shows, err);
    }
    if (status == SYNCLINE_OK) {
        settle->version = version;
        sl_settle_committed(core, settled);
    }
    return status;
}

/* Records to be looked at again are so when it is known what is pending; nearly always there are
 * none. */
static enum syncline_status run_due(struct sl_core *core, struct sl_error *err)
{
    struct sl_pending pending;
    bool due = core->living_due.len > 0;
    enum syncline_status found = due ? SYNCLINE_OK : sl_living_is_due(core, &due, err);
    if (found != SYNCLINE_OK || !due) {
        return found;
    }
    sl_pending_init(&pending, core->env->alloc);
    (void)pthread_mutex_lock(&core->clock_lock);
    enum syncline_status status = sl_pending_read(&pending, core, &core->writer, err);
    (void)pthread_mutex_unlock(&core->clock_lock);
    if (status == SYNCLINE_OK) {
        status = sl_living_run_due(core, &pending, err);
    }
    sl_pending_fini(&pending);
    return status;
}

enum syncline_status sl_settle_now(struct sl_core *core, struct sl_error *err)
{
    uint64_t settled = 0;
    enum syncline_status status = sl_library_db_begin_write(&core->writer.ldb, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_births_forget(&core->writer.births);
    status = sl_settle_into(core, &core->writer, &settled, err);
    if (status == SYNCLINE_OK) {
        status = run_due(core, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_library_db_commit(&core->writer.ldb, err);
    }
    if (status != SYNCLINE_OK) {
        sl_library_db_rollback(&core->writer.ldb);
        sl_living_undo_due(core);
        return status;
    }
    sl_settle_committed(core, settled);
    return SYNCLINE_OK;
}

/* Puts births that were dropped by mistake where they are found. */
static enum syncline_status park_strays(struct sl_core *core, struct sl_error *err)
{
    size_t done = 0;
    enum syncline_status status = sl_library_db_begin_write(&core->writer.ldb, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_births_forget(&core->writer.births);
    (void)pthread_mutex_lock(&core->unsettled.lock);
    size_t count = atomic_load_explicit(&core->stray_count, memory_order_relaxed);
    for (; done < count && status == SYNCLINE_OK; done++) {
        const struct sl_stray *stray = &core->strays[done];
        struct sl_birth_run birth = {
            .n = 1, .seq = stray->birth.seq, .hlc = stray->hlc, .class = stray->class};
        status = sl_library_db_origin_number(&core->writer.ldb, &stray->birth.origin, &birth.origin,
                                             err);
        if (status == SYNCLINE_OK) {
            status = sl_birth_park(&core->writer.births, stray->model->id_in_db, &birth, err);
        }
    }
    (void)pthread_mutex_unlock(&core->unsettled.lock);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_commit(&core->writer.ldb, err);
    }
    sl_library_db_rollback(&core->writer.ldb);
    if (status == SYNCLINE_OK) {
        (void)pthread_mutex_lock(&core->unsettled.lock);
        size_t left = atomic_load_explicit(&core->stray_count, memory_order_relaxed) - done;
        memmove(core->strays, core->strays + done, left * sizeof(*core->strays));
        atomic_store_explicit(&core->stray_count, left, memory_order_release);
        (void)pthread_mutex_unlock(&core->unsettled.lock);
    }
    return status;
}

bool sl_settle_run(void *stage)
{
    struct sl_settle *settle = stage;
    struct sl_core *core = settle->core;
    if (!sl_core_writer_is_sound(core)) {
        return false;
    }
    struct sl_error err;
    if (atomic_load_explicit(&core->stray_count, memory_order_acquire) > 0) {
        enum syncline_status parked = park_strays(core, &err);
        if (parked != SYNCLINE_OK && parked != SYNCLINE_EBUSY) {
            sl_core_failed(core, "settle", parked, &err);
        }
        return parked == SYNCLINE_OK;
    }
    uint64_t before = settled_seq(core);
    enum syncline_status status = notice_settled(settle, &err);
    bool moved = settled_seq(core) > before;
    if (status == SYNCLINE_OK && !settle->shows &&
        settled_seq(core) >= sl_core_held(core, core->origins[0])) {
        settle->due_ns = 0;
        sl_core_works(core, SL_STAGE_SETTLE); /* somebody else has settled what it could not */
        return moved;
    }
    uint64_t now = core->env->mono_ns(core->env->ctx);
    if (status == SYNCLINE_OK && (settle->due_ns == 0 || moved)) {
        settle->due_ns = now + SETTLE_WAIT_NS;
        return moved;
    }
    if (status == SYNCLINE_OK && now < settle->due_ns) {
        return moved;
    }
    if (status == SYNCLINE_OK) {
        status = sl_settle_now(core, &err);
        settle->due_ns = now + SETTLE_WAIT_NS;
        settle->shows = settle->shows && status != SYNCLINE_OK;
    }
    if (status != SYNCLINE_OK && status != SYNCLINE_EBUSY) {
        sl_core_failed(core, "settle", status, &err);
    }
    return status == SYNCLINE_OK;
}

/* One own segment, read back from the log, as entries of the list. */
static enum syncline_status recover_segment(struct sl_core *core, const struct sl_decoded *decoded,
                                            struct sl_error *err)
{
    uint64_t seq = decoded->segment.first_seq;
    for (uint32_t g = 0; g < decoded->group_count; g++) {
        const struct sl_group *group = &decoded->groups[g];
        const struct sl_model *model =
            sl_model_find_name(&core->models, group->model, group->model_len);
        uint64_t first_seq = seq;
        seq += group->n;
        if (model == NULL) {
            return sl_fail(err, SYNCLINE_EMODEL,
                           "the log holds changes of model '%.*s', which was not given: open the "
                           "library with it",
                           (int)group->model_len, group->model);
        }
        struct sl_unsettled_entry *entry =
            group->change == SYNCLINE_UPDATE
                ? sl_unsettled_entry_new_naming(&core->unsettled, group->n, group->further_len)
                : sl_unsettled_entry_new(&core->unsettled, group->n);
        if (entry == NULL) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory for changes that are not settled");
        }
        entry->model = model;
        entry->class = group->class;
        entry->first_seq = first_seq;
        entry->first_hlc = group->hlc_first;
        entry->durable = true;
        entry->recovered = true;
        entry->outbox_id = core->drained.id - 1; /* or an earlier one; what is left comes after */
        memcpy(entry->uuids, group->uuids, group->n * sizeof(*entry->uuids));
        if (entry->births != NULL) {
            memcpy(entry->births, group->births, group->n * sizeof(*entry->births));
        }
        if (entry->further_len > 0) {
            memcpy(entry->further, group->further, group->further_len * sizeof(*entry->further));
        }
        enum syncline_status status = SYNCLINE_OK;
        for (uint32_t i = 0; i < group->n && status == SYNCLINE_OK; i++) {
            bool found = false;
            entry->changes[i] = (uint8_t)group->change;
            if (group->change == SYNCLINE_DELETE &&
                !sl_deletes_add_recovered(&core->unsettled.deletes, model->id_in_db,
                                          &group->uuids[i], first_seq + i)) {
                status =
                    sl_fail(err, SYNCLINE_ENOMEM, "no memory for changes that are not settled");
                break;
            }
            status = sl_record_id(&core->writer.tables[model->index], &group->uuids[i], &found,
                                  &entry->ids[i], err);
            entry->gone[i] = found ? 0 : 1;
        }
        if (status != SYNCLINE_OK) {
            sl_unsettled_entry_free(&core->unsettled, entry);
            return status;
        }
        sl_unsettled_append(&core->unsettled, entry);
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_settle_recover(struct sl_core *core, struct sl_error *err)
{
    const struct sl_origin_state *self = core->origins[0];
    struct sl_decoded decoded;
    enum syncline_status status = sl_decoded_init(&decoded, core->env->alloc, err);
    uint64_t seq = self->applied_seq;
    while (status == SYNCLINE_OK && seq < self->head.held_seq) {
        status = sl_decode_from_log(&decoded, &core->log, self->head.number, seq + 1, err);
        if (status == SYNCLINE_OK) {
            status = recover_segment(core, &decoded, err);
            seq = sl_segment_last_seq(&decoded.segment);
        }
    }
    sl_decoded_fini(&decoded);
    return status;
}
