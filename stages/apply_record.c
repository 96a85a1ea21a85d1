/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/apply_record.h"

#include <string.h>

#include "stages/living.h"

enum syncline_status sl_record_writer_init(struct sl_record_writer *writer, struct sl_core *core,
                                           struct sl_pending *pending, struct sl_error *err)
{
    memset(writer, 0, sizeof(*writer));
    writer->core = core;
    writer->pending = pending;
    sl_promises_init(&writer->promises, core->env->alloc);
    sl_waiting_init(&writer->waiting, &core->writer.ldb, core->env->alloc);
    enum syncline_status status = sl_subtree_init(&writer->subtree, core, err);
    return status == SYNCLINE_OK ? sl_waiting_room_load(&writer->waiting.room, err) : status;
}

void sl_record_writer_fini(struct sl_record_writer *writer)
{
    sl_promises_clear(&writer->promises);
    sl_waiting_fini(&writer->waiting);
    sl_subtree_fini(&writer->subtree);
    sl_free(writer->core->env->alloc, writer->asides);
    sl_free(writer->core->env->alloc, writer->gone);
}

bool sl_record_keys_open(const struct sl_record_writer *writer)
{
    int current = 0;
    int highest = 0;
    (void)sqlite3_db_status(writer->core->writer.ldb.db.handle, SQLITE_DBSTATUS_DEFERRED_FKS,
                            &current, &highest, 0);
    return current != 0;
}

enum syncline_status sl_record_set_aside(struct sl_record_writer *writer,
                                         const struct sl_origin *origin, uint64_t seq,
                                         const struct sl_model *model,
                                         const struct syncline_uuid *uuid, const char reason[256],
                                         struct sl_error *err)
{
    struct sl_record_aside *grown =
        sl_grow(writer->core->env->alloc, writer->asides, writer->aside_len,
                &writer->aside_capacity, sizeof(*grown));
    if (grown == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to set records aside");
    }
    writer->asides = grown;
    struct sl_record_aside *aside = &writer->asides[writer->aside_len++];
    *aside = (struct sl_record_aside){.origin = *origin, .seq = seq, .model = model, .uuid = *uuid};
    memcpy(aside->reason, reason, sizeof(aside->reason));
    return SYNCLINE_OK;
}

void sl_record_writer_reset(struct sl_record_writer *writer)
{
    writer->run.n = 0;
    memset(writer->clear_of_births, 0, sizeof(writer->clear_of_births));
    sl_births_forget(&writer->core->writer.births);
}

/* ---- Births of what was inserted ---- */

enum syncline_status sl_record_writer_flush(struct sl_record_writer *writer, struct sl_error *err)
{
    if (writer->run.n == 0) {
        return SYNCLINE_OK;
    }
    enum syncline_status status =
        sl_birth_put(&writer->core->writer.births, writer->run_model->id_in_db, &writer->run, err);
    writer->run.n = 0;
    return status;
}

static enum syncline_status add_birth(struct sl_record_writer *writer, const struct sl_model *model,
                                      const struct sl_birth_run *birth, struct sl_error *err)
{
    struct sl_birth_run *run = &writer->run;
    if (run->n > 0 && writer->run_model == model && run->id + run->n == birth->id &&
        run->seq + run->n == birth->seq && run->hlc + run->n == birth->hlc &&
        run->origin == birth->origin && run->class == birth->class) {
        run->n++;
        return SYNCLINE_OK;
    }
    enum syncline_status status = sl_record_writer_flush(writer, err);
    writer->run = *birth;
    writer->run_model = model;
    return status;
}

/* ---- One record ---- */

/* EINVAL is the table's refusal of this record, not a failure of the database. */
static enum syncline_status as_outcome(enum syncline_status status, const struct sl_error *why,
                                       enum sl_outcome *outcome, char reason[256],
                                       struct sl_error *err)
{
    *outcome = SL_OUTCOME_WRITTEN;
    if (status == SYNCLINE_EINVAL) {
        *outcome = SL_OUTCOME_CANNOT;
        (void)sqlite3_snprintf(256, reason, "not applied: %s", why->text);
        return SYNCLINE_OK;
    }
    if (status != SYNCLINE_OK) {
        *err = *why;
    }
    return status;
}

/* The record has its id now: keys that point at it can be what they are. */
static enum syncline_status point_at_itself(struct sl_record_writer *writer,
                                            const struct sl_apply_record *record, int64_t id,
                                            struct sl_error *err)
{
    struct sl_localized *localized = record->localized;
    for (uint32_t f = 0; f < localized->model->field_count; f++) {
        if (localized->points_at_itself[f]) {
            localized->values[f].as.int64 = id;
        }
    }
    return sl_record_update(&writer->core->writer.tables[localized->model->index], id,
                            localized->values, err);
}

/* The application may have deleted the newest records of a table without having captured that yet,
 * and SQLite would give their ids again: but an id that still has a birth is that record's. */
static enum syncline_status keep_clear_of_births(struct sl_record_writer *writer,
                                                 const struct sl_model *model, struct sl_error *err)
{
    struct sl_rows *rows = &writer->core->writer;
    int64_t last_id = 0;
    int64_t last_born = 0;
    if (writer->clear_of_births[model->index]) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = sl_record_writer_flush(writer, err);
    if (status == SYNCLINE_OK) {
        status = sl_record_last_id(&rows->tables[model->index], &last_id, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_birth_highest(&rows->births, model->id_in_db, &last_born, err);
    }
    if (status == SYNCLINE_OK && last_born > last_id && last_born > 0 && last_born < INT64_MAX) {
        rows->tables[model->index].wanted_id = last_born + 1;
    }
    writer->clear_of_births[model->index] = status == SYNCLINE_OK;
    return status;
}

/* A record out of the waiting room or of a page may have been changed since its birth. */
static enum syncline_status stamp_content(struct sl_record_writer *writer,
                                          const struct sl_apply_record *record,
                                          const struct sl_birth_run *birth, struct sl_error *err)
{
    uint64_t hlc = sl_apply_hlc(record);
    if (birth->class != SYNCLINE_SHARED ||
        (birth->hlc == hlc && birth->origin == record->origin->number)) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = sl_record_writer_flush(writer, err);
    return status == SYNCLINE_OK
               ? sl_stamp_put(&writer->core->writer.births, writer->run_model->id_in_db, birth->id,
                              hlc, record->origin->number, err)
               : status;
}

/* An insert of this device that is applied again (stages/doubt.h): is the row there, and only its
 * birth is not? */
static enum syncline_status find_unborn(struct sl_record_writer *writer,
                                        const struct sl_apply_record *record, bool *unborn,
                                        int64_t *id, struct sl_error *err)
{
    const struct sl_model *model = record->localized->model;
    struct sl_rows *rows = &writer->core->writer;
    struct sl_birth_run birth;
    bool found = false;
    bool is_born = false;
    enum syncline_status status = sl_record_writer_flush(writer, err);
    if (status == SYNCLINE_OK) {
        status = sl_record_id(&rows->tables[model->index],
                              &record->localized->group->uuids[record->i], &found, id, err);
    }
    if (status == SYNCLINE_OK && found) {
        status = sl_birth_get(&rows->births, model->id_in_db, *id, &is_born, &birth, err);
    }
    *unborn = status == SYNCLINE_OK && found && !is_born;
    return status;
}

/* An insert of this device that is applied again, and whose record the application has deleted
 * since by an outbox row that is not in the log: only that delete needs its birth. */
static enum syncline_status is_deleted_here(struct sl_record_writer *writer,
                                            const struct sl_apply_record *record, bool *deleted,
                                            struct sl_error *err)
{
    struct sl_core *core = writer->core;
    const struct sl_model *model = record->localized->model;
    const struct syncline_uuid *uuid = &record->localized->group->uuids[record->i];
    int64_t last_delete = 0;
    enum syncline_status status = SYNCLINE_OK;
    *deleted = sl_pending_deletes_after(writer->pending, model, uuid,
                                        sl_drained_to(&writer->pending->drained));
    if (*deleted) {
        status = sl_outbox_last_delete(&core->writer.ldb, model->id_in_db, &last_delete, err);
    }
    if (status == SYNCLINE_OK && *deleted) {
        status = sl_late_birth_put(&core->writer.births, model->id_in_db, uuid, record->seq,
                                   last_delete, err);
    }
    return status;
}

/* The row may be of another birth now: what waits of the record is to be looked at. */
static enum syncline_status note_births(struct sl_record_writer *writer,
                                        const struct sl_apply_record *record, struct sl_error *err)
{
    return writer->waiting.room.count.records == 0
               ? SYNCLINE_OK
               : sl_waiting_arrived(writer, record->localized->model,
                                    &record->localized->group->uuids[record->i], err);
}

/* The birth with the highest rank is shown, after births of the record have changed. */
static enum syncline_status show_latest(struct sl_record_writer *writer,
                                        const struct sl_apply_record *record,
                                        enum sl_outcome *outcome, char reason[256],
                                        struct sl_error *err)
{
    struct sl_error why;
    if (*outcome != SL_OUTCOME_WRITTEN ||
        !sl_core_may_hide(writer->core, record->localized->model)) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = sl_record_writer_flush(writer, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_living_show_latest(writer->core, writer->pending, record->localized->model,
                                   &record->localized->group->uuids[record->i], &why);
    status = as_outcome(status, &why, outcome, reason, err);
    return status == SYNCLINE_OK ? note_births(writer, record, err) : status;
}

/* The UUID is here with another birth: both live. */
static enum syncline_status insert_beside(struct sl_record_writer *writer,
                                          const struct sl_apply_record *record,
                                          const struct sl_birth_run *birth,
                                          enum sl_outcome *outcome, char reason[256],
                                          struct sl_error *err)
{
    struct sl_error why;
    enum syncline_status status = sl_record_writer_flush(writer, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_living_insert(writer->core, writer->pending, record->localized, record->i, birth,
                              sl_apply_hlc(record), record->origin->number, &why);
    status = as_outcome(status, &why, outcome, reason, err);
    return status == SYNCLINE_OK ? note_births(writer, record, err) : status;
}

/* Of an insert; all but the id. */
static struct sl_birth_run birth_of(const struct sl_apply_record *record)
{
    const struct sl_group *group = record->localized->group;
    struct sl_birth_run birth = {.n = 1,
                                 .origin = record->origin->number,
                                 .seq = record->seq,
                                 .hlc = group->hlc_first + record->i,
                                 .class = group->class};
    if (record->paged != NULL) {
        return record->paged->birth;
    }
    return record->birth != NULL ? *record->birth : birth;
}

/* A device-owned record has a row now, and had none: a hidden birth that its owner has made before
 * is dead by this one. */
static enum syncline_status end_earlier(struct sl_record_writer *writer,
                                        const struct sl_apply_record *record,
                                        const struct sl_birth_run *birth, struct sl_error *err)
{
    const struct sl_model *model = record->localized->model;
    bool has_row = false; /* an earlier birth has none: this one has */
    return birth->class != SYNCLINE_DEVICE_OWNED || !sl_core_may_hide(writer->core, model)
               ? SYNCLINE_OK
               : sl_living_renew(writer->core, model, &record->localized->group->uuids[record->i],
                                 birth, &has_row, err);
}

static enum syncline_status insert_record(struct sl_record_writer *writer,
                                          const struct sl_apply_record *record,
                                          enum sl_outcome *outcome, char reason[256],
                                          struct sl_error *err)
{
    const struct sl_group *group = record->localized->group;
    const struct sl_model *model = record->localized->model;
    struct sl_rows *rows = &writer->core->writer;
    struct sl_error why;
    bool inserted = false;
    int64_t id = 0;
    enum syncline_status status = keep_clear_of_births(writer, model, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_record_table *table = &rows->tables[model->index];
    (void)sl_promise_find(&writer->promises, model, &group->uuids[record->i], &table->wanted_id);
    status = sl_record_insert(table, &group->uuids[record->i], record->localized->values, &inserted,
                              &id, &why);
    if (status == SYNCLINE_OK && inserted && record->localized->any_itself) {
        status = point_at_itself(writer, record, id, &why);
    }
    status = as_outcome(status, &why, outcome, reason, err);
    if (status != SYNCLINE_OK || *outcome == SL_OUTCOME_CANNOT) {
        return status;
    }
    if (!inserted && record->paged == NULL && record->origin == writer->core->origins[0]) {
        status = find_unborn(writer, record, &inserted, &id, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    struct sl_birth_run birth = birth_of(record);
    birth.id = id;
    if (!inserted) {
        writer->clear_of_births[model->index] = false;
        return insert_beside(writer, record, &birth, outcome, reason, err);
    }
    status = end_earlier(writer, record, &birth, err);
    if (status == SYNCLINE_OK) {
        status = add_birth(writer, model, &birth, err);
    }
    if (status == SYNCLINE_OK && (record->birth != NULL || record->paged != NULL)) {
        status = stamp_content(writer, record, &birth, err);
    }
    if (status == SYNCLINE_OK) {
        status = show_latest(writer, record, outcome, reason, err);
    }
    return status == SYNCLINE_OK ? sl_waiting_arrived(writer, model, &group->uuids[record->i], err)
                                 : status;
}

static enum syncline_status update_record(struct sl_record_writer *writer,
                                          const struct sl_apply_record *record, int64_t id,
                                          uint64_t hlc, enum sl_outcome *outcome, char reason[256],
                                          struct sl_error *err)
{
    const struct sl_model *model = record->localized->model;
    struct sl_rows *rows = &writer->core->writer;
    struct sl_error why;
    enum syncline_status status =
        sl_record_update(&rows->tables[model->index], id, record->localized->values, &why);
    status = as_outcome(status, &why, outcome, reason, err);
    bool stamped = false;
    if (status == SYNCLINE_OK && *outcome == SL_OUTCOME_WRITTEN) {
        status = sl_birth_is_shared(&rows->births, model->id_in_db, id, &stamped, err);
    }
    /* A careful slice may try earlier changes later, and a page may be older: see reconcile. */
    bool ordered = record->origin->todo == NULL &&
                   !atomic_load_explicit(&writer->core->snapshot.active, memory_order_relaxed);
    if (status == SYNCLINE_OK && *outcome == SL_OUTCOME_WRITTEN && (stamped || !ordered)) {
        status = sl_stamp_put(&rows->births, model->id_in_db, id, hlc, record->origin->number, err);
    }
    return status;
}

static enum syncline_status add_gone(struct sl_record_writer *writer, const struct sl_birth *birth,
                                     struct sl_error *err)
{
    struct sl_birth *grown = sl_grow(writer->core->env->alloc, writer->gone, writer->gone_len,
                                     &writer->gone_capacity, sizeof(*grown));
    if (grown == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to apply deletes");
    }
    writer->gone = grown;
    writer->gone[writer->gone_len++] = *birth;
    return SYNCLINE_OK;
}

static struct sl_received received_of(const struct sl_apply_record *record,
                                      const struct sl_birth *birth)
{
    const struct sl_group *group = record->localized->group;
    return (struct sl_received){
        .model = record->localized->model,
        .change = record->released != NULL ? record->released->change : group->change,
        .uuid = group->uuids[record->i],
        .birth = *birth,
        .stamp = {.hlc = sl_apply_hlc(record), .origin = record->origin->name}};
}

/* An update that wins. Only now: a change that is superseded or dead needs no parents. */
static enum syncline_status write_winner(struct sl_record_writer *writer,
                                         const struct sl_apply_record *record,
                                         const struct sl_birth *birth, int64_t id,
                                         enum sl_outcome *outcome, char reason[256],
                                         struct sl_error *err)
{
    struct sl_missing missing;
    enum syncline_status status =
        sl_localize_record(record->localized, &writer->core->writer, &writer->promises,
                           writer->uuid_keys, record->i, &missing, err);
    if (status == SYNCLINE_OK && missing.field != NULL && record->released != NULL) {
        *outcome = SL_OUTCOME_NOT_YET;
        return sl_waiting_set_lack(&writer->waiting.room, record->released,
                                   missing.field->parent->id_in_db, &missing.uuid, err);
    }
    if (status == SYNCLINE_OK && missing.field != NULL) {
        return sl_waiting_for_parent(writer, record, birth, &missing, err);
    }
    if (status == SYNCLINE_OK) {
        status = update_record(writer, record, id, sl_apply_hlc(record), outcome, reason, err);
    }
    return status == SYNCLINE_OK && *outcome == SL_OUTCOME_WRITTEN && record->released == NULL
               ? sl_waiting_supersede(writer, birth, err)
               : status;
}

enum syncline_status sl_record_write_update(struct sl_record_writer *writer,
                                            const struct sl_apply_record *record,
                                            const struct sl_birth *birth, enum sl_outcome *outcome,
                                            char reason[256], struct sl_error *err)
{
    struct sl_core *core = writer->core;
    const struct sl_received received = received_of(record, birth);
    enum sl_verdict verdict = SL_VERDICT_LOSES;
    struct sl_hidden_birth hidden;
    int64_t id = 0;
    *outcome = SL_OUTCOME_WRITTEN;
    enum syncline_status status = sl_reconcile(core, &core->writer, writer->pending, &received,
                                               &verdict, &id, &hidden, reason, err);
    if (status == SYNCLINE_OK && verdict == SL_VERDICT_APPLY) {
        status = write_winner(writer, record, birth, id, outcome, reason, err);
        return status == SYNCLINE_OK ? show_latest(writer, record, outcome, reason, err) : status;
    }
    if (status == SYNCLINE_OK && verdict == SL_VERDICT_HIDDEN) {
        status =
            sl_living_update(core, record->localized, record->i, &hidden, &received.stamp, err);
        return status == SYNCLINE_OK ? show_latest(writer, record, outcome, reason, err) : status;
    }
    if (status == SYNCLINE_OK && verdict == SL_VERDICT_WAITS && record->released == NULL) {
        return sl_waiting_for_birth(writer, record, birth, err);
    }
    if (status == SYNCLINE_OK && verdict == SL_VERDICT_SET_ASIDE) {
        *outcome = SL_OUTCOME_CANNOT;
    }
    return status;
}

/* The birth that is shown is dead: the next one takes its row, or the row goes. */
static enum syncline_status delete_shown(struct sl_record_writer *writer,
                                         const struct sl_received *received, int64_t id,
                                         enum sl_outcome *outcome, char reason[256],
                                         struct sl_error *err)
{
    struct sl_error why;
    bool shown = false;
    if (sl_core_may_hide(writer->core, received->model)) {
        enum syncline_status status = sl_living_show_next(
            writer->core, writer->pending, received->model, &received->uuid, id, &shown, &why);
        status = as_outcome(status, &why, outcome, reason, err);
        if (status == SYNCLINE_OK && shown && *outcome == SL_OUTCOME_WRITTEN) {
            return sl_subtree_bury(writer, received->model, &received->uuid,
                                   &received->stamp.origin.device, err);
        }
        if (status != SYNCLINE_OK || *outcome != SL_OUTCOME_WRITTEN) {
            return status;
        }
    }
    return sl_subtree_remove(writer, received->model, &received->uuid, id,
                             &received->stamp.origin.device, outcome, reason, err);
}

/* Has the device that deletes a birth put a later one of its own into its place by then? */
static enum syncline_status is_replaced(struct sl_record_writer *writer,
                                        const struct sl_received *received, bool *replaced,
                                        struct sl_error *err)
{
    struct sl_core *core = writer->core;
    const struct sl_origin_state *by = sl_core_origin(core, &received->stamp.origin);
    struct sl_waiting_room *room = &writer->waiting.room;
    int64_t entry = 0;
    *replaced = false;
    if (by == NULL || !sl_origin_equal(&received->birth.origin, &by->name)) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = sl_living_has_later(
        core, received->model, &received->uuid, by->number, received->birth.seq, replaced, err);
    if (status == SYNCLINE_OK && !*replaced && room->count.records > 0) {
        status = sl_waiting_earlier(room, received->model->id_in_db, &received->uuid, by->number,
                                    INT64_MAX, &entry, err); /* of all births: those before it are
                                                                dead */
        *replaced = entry != 0;
    }
    return status;
}

/* The record is dead already. But this device, too, has deleted it, with all of its own that
 * pointed at it there, and says that by this delete alone. */
static enum syncline_status delete_dead(struct sl_record_writer *writer,
                                        const struct sl_received *received, struct sl_error *err)
{
    bool replaced = false;
    enum syncline_status status = add_gone(writer, &received->birth, err);
    if (status == SYNCLINE_OK) {
        status = is_replaced(writer, received, &replaced, err);
    }
    return status == SYNCLINE_OK && !replaced
               ? sl_subtree_bury(writer, received->model, &received->uuid,
                                 &received->stamp.origin.device, err)
               : status;
}

static enum syncline_status write_delete(struct sl_record_writer *writer,
                                         const struct sl_apply_record *record,
                                         const struct sl_birth *birth, enum sl_outcome *outcome,
                                         char reason[256], struct sl_error *err)
{
    struct sl_core *core = writer->core;
    const struct sl_received received = received_of(record, birth);
    enum sl_verdict verdict = SL_VERDICT_LOSES;
    struct sl_hidden_birth hidden;
    int64_t id = 0;
    enum syncline_status status = sl_reconcile(core, &core->writer, writer->pending, &received,
                                               &verdict, &id, &hidden, reason, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    switch (verdict) {
    case SL_VERDICT_LOSES:
        return delete_dead(writer, &received, err);
    case SL_VERDICT_WAITS:
        return sl_waiting_for_birth(writer, record, birth, err);
    case SL_VERDICT_SET_ASIDE:
        *outcome = SL_OUTCOME_CANNOT;
        return SYNCLINE_OK;
    case SL_VERDICT_HIDDEN:
        status = sl_hidden_birth_drop(&core->writer.hidden, received.model->id_in_db,
                                      &received.uuid, hidden.origin, hidden.seq, err);
        if (status == SYNCLINE_OK) {
            status = sl_subtree_bury(writer, received.model, &received.uuid,
                                     &received.stamp.origin.device, err);
        }
        break;
    case SL_VERDICT_APPLY:
        status = delete_shown(writer, &received, id, outcome, reason, err);
        break;
    }
    return status == SYNCLINE_OK && *outcome == SL_OUTCOME_WRITTEN
               ? sl_waiting_supersede(writer, birth, err)
               : status;
}

static bool is_of(const struct sl_birth_run *birth, int64_t origin, uint64_t seq)
{
    return birth->origin == origin && birth->seq == seq;
}

/* Is it hidden? Then it is not any more. */
static enum syncline_status drop_hidden(struct sl_record_writer *writer,
                                        const struct sl_model *model,
                                        const struct syncline_uuid *uuid,
                                        const struct sl_birth_run *birth, bool *dropped,
                                        struct sl_error *err)
{
    struct sl_hidden_births *hidden = &writer->core->writer.hidden;
    struct sl_hidden_birth *list = NULL;
    size_t len = 0;
    struct sl_arena arena;
    *dropped = false;
    if (!sl_core_may_hide(writer->core, model)) {
        return SYNCLINE_OK;
    }
    sl_arena_init(&arena, writer->core->env->alloc);
    enum syncline_status status =
        sl_hidden_birth_list(hidden, model->id_in_db, uuid, false, &arena, &list, &len, err);
    for (size_t i = 0; i < len && status == SYNCLINE_OK; i++) {
        *dropped = *dropped || is_of(birth, list[i].origin, list[i].seq);
    }
    sl_arena_fini(&arena);
    return status == SYNCLINE_OK && *dropped
               ? sl_hidden_birth_drop(hidden, model->id_in_db, uuid, birth->origin, birth->seq, err)
               : status;
}

enum syncline_status
sl_record_write_dead(struct sl_record_writer *writer, const struct sl_model *model,
                     const struct syncline_uuid *uuid, const struct sl_birth_run *birth,
                     enum sl_outcome *outcome, char reason[256], struct sl_error *err)
{
    struct sl_rows *rows = &writer->core->writer;
    struct sl_received received = {.model = model, .change = SYNCLINE_DELETE, .uuid = *uuid};
    struct sl_birth_run shown = {.n = 0};
    int64_t id = 0;
    bool found = false;
    bool gone = false;
    *outcome = SL_OUTCOME_WRITTEN;
    enum syncline_status status = sl_record_writer_flush(writer, err);
    received.birth.seq = birth->seq;
    if (status == SYNCLINE_OK) {
        status =
            sl_library_db_origin(&rows->ldb, birth->origin, &found, &received.birth.origin, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_record_id(&rows->tables[model->index], uuid, &found, &id, err);
    }
    if (status == SYNCLINE_OK && found) {
        status = sl_birth_get(&rows->births, model->id_in_db, id, &found, &shown, err);
    }
    if (status == SYNCLINE_OK && found && is_of(birth, shown.origin, shown.seq)) {
        status = delete_shown(writer, &received, id, outcome, reason, err);
    } else if (status == SYNCLINE_OK) {
        status = drop_hidden(writer, model, uuid, birth, &gone, err);
        if (status == SYNCLINE_OK) {
            status = sl_subtree_bury(writer, model, uuid, &received.stamp.origin.device, err);
        }
    }
    return status == SYNCLINE_OK && *outcome == SL_OUTCOME_WRITTEN
               ? sl_waiting_supersede(writer, &received.birth, err)
               : status;
}

/* An update or a delete of one birth: judged first, where that is. */
static enum syncline_status change_birth(struct sl_record_writer *writer,
                                         const struct sl_apply_record *record,
                                         const struct sl_birth *birth, enum sl_outcome *outcome,
                                         char reason[256], struct sl_error *err)
{
    const struct sl_received received = received_of(record, birth);
    bool settled = false;
    enum syncline_status status =
        sl_waiting_judge(writer, record, &received, &settled, outcome, reason, err);
    if (status != SYNCLINE_OK || settled) {
        return status;
    }
    return received.change == SYNCLINE_DELETE
               ? write_delete(writer, record, birth, outcome, reason, err)
               : sl_record_write_update(writer, record, birth, outcome, reason, err);
}

/* An update or a delete, of each birth that it names. A dead birth that is shown in passing, before
 * its turn, has gone when this ends. */
static enum syncline_status change_record(struct sl_record_writer *writer,
                                          const struct sl_apply_record *record,
                                          enum sl_outcome *outcome, char reason[256],
                                          struct sl_error *err)
{
    struct sl_birth births[SL_CHANGE_BIRTHS_MAX];
    uint32_t n = sl_group_births(record->localized->group, record->i, births);
    enum syncline_status status =
        sl_record_writer_flush(writer, err); /* what follows reads births */
    for (uint32_t k = 0; k < n && status == SYNCLINE_OK && *outcome == SL_OUTCOME_WRITTEN; k++) {
        status = change_birth(writer, record, &births[k], outcome, reason, err);
    }
    return status;
}

/* An insert that lacks a parent, and whose UUID has a row of another birth, is hidden beside that.
 * *hidden = false: it has none. */
static enum syncline_status hide_beside(struct sl_record_writer *writer,
                                        const struct sl_apply_record *record,
                                        const struct sl_birth_run *birth, bool *hidden,
                                        enum sl_outcome *outcome, char reason[256],
                                        struct sl_error *err)
{
    const struct sl_model *model = record->localized->model;
    struct sl_rows *rows = &writer->core->writer;
    struct sl_birth_run shown;
    int64_t id = 0;
    bool born = false;
    enum syncline_status status = sl_record_writer_flush(writer, err);
    if (status == SYNCLINE_OK) {
        status = sl_record_id(&rows->tables[model->index],
                              &record->localized->group->uuids[record->i], hidden, &id, err);
    }
    if (status == SYNCLINE_OK && *hidden) {
        status = sl_birth_get(&rows->births, model->id_in_db, id, &born, &shown, err);
    }
    /* A row without a birth may be this very one's, if it is applied again (find_unborn). */
    *hidden = *hidden && (born || record->origin != writer->core->origins[0]);
    if (status != SYNCLINE_OK || !*hidden) {
        return status;
    }
    status = sl_living_hide(writer->core, record->localized, record->i, birth, sl_apply_hlc(record),
                            record->origin->number, err);
    return status == SYNCLINE_OK ? show_latest(writer, record, outcome, reason, err) : status;
}

/* An insert that lacks a parent. */
static enum syncline_status put_off(struct sl_record_writer *writer,
                                    const struct sl_apply_record *record,
                                    const struct sl_missing *missing, enum sl_outcome *outcome,
                                    char reason[256], struct sl_error *err)
{
    const struct sl_birth birth = sl_apply_birth(record);
    const struct sl_birth_run run = birth_of(record);
    struct sl_apply_record waits = *record;
    bool hidden = false;
    enum syncline_status status = SYNCLINE_OK;
    if (run.class == SYNCLINE_DEVICE_OWNED) {
        status = sl_record_writer_flush(writer, err);
        if (status == SYNCLINE_OK) {
            status = sl_living_renew(writer->core, record->localized->model,
                                     &record->localized->group->uuids[record->i], &run,
                                     &waits.has_row, err);
        }
    }
    if (status == SYNCLINE_OK && !waits.has_row) {
        status = hide_beside(writer, record, &run, &hidden, outcome, reason, err);
    }
    return status == SYNCLINE_OK && !hidden
               ? sl_waiting_for_parent(writer, &waits, &birth, missing, err)
               : status;
}

static enum syncline_status write_insert(struct sl_record_writer *writer,
                                         const struct sl_apply_record *record,
                                         enum sl_outcome *outcome, char reason[256],
                                         struct sl_error *err)
{
    struct sl_missing missing;
    bool settled = false;
    enum syncline_status status =
        record->birth != NULL ? SYNCLINE_OK : sl_waiting_born(writer, record, &settled, err);
    if (status == SYNCLINE_OK && !settled && record->birth == NULL && record->paged == NULL &&
        record->origin == writer->core->origins[0]) {
        status = is_deleted_here(writer, record, &settled, err);
    }
    if (status == SYNCLINE_OK && !settled && record->birth == NULL &&
        record->localized->group->class == SYNCLINE_DEVICE_OWNED) {
        status = sl_waiting_renew(writer, record, err);
    }
    if (status != SYNCLINE_OK || settled) {
        return status;
    }
    status = sl_localize_record(record->localized, &writer->core->writer, &writer->promises,
                                writer->uuid_keys, record->i, &missing, err);
    if (status == SYNCLINE_OK && missing.field == NULL) {
        return insert_record(writer, record, outcome, reason, err);
    }
    if (status == SYNCLINE_OK && record->birth != NULL) {
        *outcome = SL_OUTCOME_NOT_YET;
        return SYNCLINE_OK;
    }
    return status == SYNCLINE_OK ? put_off(writer, record, &missing, outcome, reason, err) : status;
}

enum syncline_status sl_record_write(struct sl_record_writer *writer,
                                     const struct sl_apply_record *record, enum sl_outcome *outcome,
                                     char reason[256], struct sl_error *err)
{
    *outcome = SL_OUTCOME_WRITTEN;
    if (writer->redoing && record->birth == NULL) {
        enum syncline_status status =
            sl_logged_parents_note(&writer->logged, record->localized, record->i, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    return record->localized->group->change == SYNCLINE_INSERT
               ? write_insert(writer, record, outcome, reason, err)
               : change_record(writer, record, outcome, reason, err);
}

enum syncline_status sl_record_save(struct sl_record_writer *writer, struct sl_waiting_mark *mark,
                                    struct sl_error *err)
{
    *mark = sl_waiting_mark(&writer->waiting);
    return sl_db_exec(&writer->core->writer.ldb.db, "SAVEPOINT _syncline_record", err);
}

enum syncline_status sl_record_keep(struct sl_record_writer *writer, struct sl_waiting_mark mark,
                                    enum sl_outcome *outcome, char reason[256],
                                    struct sl_error *err)
{
    const struct sl_db *db = &writer->core->writer.ldb.db;
    enum syncline_status status = sl_record_writer_flush(writer, err);
    if (status == SYNCLINE_OK && *outcome == SL_OUTCOME_WRITTEN && sl_record_keys_open(writer)) {
        *outcome = SL_OUTCOME_CANNOT;
        (void)sqlite3_snprintf(256, reason, "not applied: other records here point at it");
    }
    if (status == SYNCLINE_OK && *outcome != SL_OUTCOME_WRITTEN) {
        sl_record_writer_reset(writer);
        sl_waiting_go_back(&writer->waiting, mark);
        status = sl_db_exec(db, "ROLLBACK TO _syncline_record", err);
    }
    return status == SYNCLINE_OK ? sl_db_exec(db, "RELEASE _syncline_record", err) : status;
}

enum syncline_status sl_record_try(struct sl_record_writer *writer,
                                   const struct sl_apply_record *record, enum sl_outcome *outcome,
                                   char reason[256], struct sl_error *err)
{
    struct sl_waiting_mark mark;
    enum syncline_status status = sl_record_save(writer, &mark, err);
    if (status == SYNCLINE_OK) {
        status = sl_record_write(writer, record, outcome, reason, err);
    }
    return status == SYNCLINE_OK ? sl_record_keep(writer, mark, outcome, reason, err) : status;
}
