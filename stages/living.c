/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/living.h"

#include <string.h>

#include "base/bytes.h"

/* What one call works in. */
struct work {
    struct sl_core *core;
    struct sl_rows *rows;
    struct sl_pending *pending;
    const struct sl_model *model;
    const struct syncline_uuid *uuid;
    struct sl_arena arena;
    struct sl_buf body;
};

static struct work work_begin(struct sl_core *core, struct sl_rows *rows,
                              struct sl_pending *pending, const struct sl_model *model,
                              const struct syncline_uuid *uuid)
{
    struct work work = {
        .core = core, .rows = rows, .pending = pending, .model = model, .uuid = uuid};
    sl_arena_init(&work.arena, core->env->alloc);
    sl_buf_init(&work.body, core->env->alloc);
    return work;
}

static void work_end(struct work *work)
{
    sl_arena_fini(&work->arena);
    sl_buf_fini(&work->body);
}

static enum syncline_status no_memory(struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a record with several births");
}

static struct sl_record_table *table_of(const struct work *work)
{
    return &work->rows->tables[work->model->index];
}

/* ---- Contents ---- */

struct content {
    const struct sl_value *values; /* field_count, keys as UUIDs */
    uint32_t field;
};

static struct sl_value content_value(void *ctx, uint32_t i)
{
    (void)i;
    const struct content *content = ctx;
    return content->values[content->field];
}

/* Values as a group of one insert, into work->body. */
static enum syncline_status write_body(struct work *work, enum syncline_ownership class,
                                       const struct sl_value *values, struct sl_error *err)
{
    const struct sl_model *model = work->model;
    struct sl_group_head head = {.model = model->name,
                                 .change = SYNCLINE_INSERT,
                                 .class = class,
                                 .n = 1,
                                 .uuids = work->uuid,
                                 .self = work->core->self,
                                 .column_count = model->field_count};
    struct content content = {.values = values};
    sl_buf_clear(&work->body);
    sl_group_write_hlc(&work->body, 0);
    sl_group_write_head(&work->body, &head);
    for (; content.field < model->field_count; content.field++) {
        const struct sl_field *field = &model->fields[content.field];
        char name[SL_NAME_SIZE_MAX + 6];
        sl_group_column_name(field, name);
        sl_group_write_column(&work->body, name, field->parent != NULL, 1, content_value, &content,
                              &work->arena);
    }
    return work->body.failed ? no_memory(err) : SYNCLINE_OK;
}

/* The content of a received change. */
static enum syncline_status write_change(struct work *work, const struct sl_localized *localized,
                                         uint32_t i, struct sl_error *err)
{
    struct sl_value *values =
        sl_arena_alloc(&work->arena, (work->model->field_count + 1) * sizeof(*values));
    if (values == NULL) {
        return no_memory(err);
    }
    for (uint32_t f = 0; f < work->model->field_count; f++) {
        const struct sl_column *column = localized->columns[f];
        if (!column->is_key) {
            values[f] = column->values[i];
        } else if (column->index[i] != 0) {
            values[f] = (struct sl_value){.type = SL_BLOB,
                                          .size = sizeof(struct syncline_uuid),
                                          .as.data = &column->dict[column->index[i] - 1]};
        }
    }
    return write_body(work, localized->group->class, values, err);
}

/* The content of a row. *found = false: there is none. */
static enum syncline_status write_row(struct work *work, int64_t id, enum syncline_ownership class,
                                      bool *found, struct sl_error *err)
{
    struct syncline_uuid uuid;
    const struct sl_field *orphan = NULL;
    struct sl_value *values =
        sl_arena_alloc(&work->arena, (work->model->field_count + 1) * sizeof(*values));
    if (values == NULL) {
        return no_memory(err);
    }
    enum syncline_status status =
        sl_record_read(table_of(work), id, &work->arena, found, &uuid, values, &orphan, err);
    return status == SYNCLINE_OK && *found ? write_body(work, class, values, err) : status;
}

/* A content as values for the table. lacks->field: a parent of it that is not here, by id or by
 * UUID: the table would refuse it. */
static enum syncline_status read_body(struct work *work, const struct sl_hidden_birth *hidden,
                                      struct sl_localized *localized, struct sl_missing *lacks,
                                      struct sl_error *err)
{
    struct sl_msgpack in;
    struct sl_promises none;
    struct sl_group *group = sl_arena_alloc(&work->arena, sizeof(*group));
    if (group == NULL) {
        return no_memory(err);
    }
    sl_promises_init(&none, work->core->env->alloc);
    sl_msgpack_init(&in, hidden->body, hidden->body_size);
    enum syncline_status status =
        sl_group_read(&in, &work->core->self, 1, &work->arena, group, err);
    if (status == SYNCLINE_OK) {
        status = sl_localize_group(localized, work->model, group, &work->arena, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_localize_record(localized, work->rows, &none, true, 0, lacks, err);
    }
    return status;
}

/* ---- Ranks ---- */

struct rank {
    bool pending; /* later than all that has come */
    struct sl_stamp stamp;
};

static bool is_higher(const struct rank *a, const struct rank *b)
{
    return a->pending != b->pending ? a->pending : sl_stamp_compare(&a->stamp, &b->stamp) > 0;
}

static enum syncline_status stamp_of(struct work *work, uint64_t hlc, int64_t origin,
                                     struct sl_stamp *stamp, struct sl_error *err)
{
    bool found = false;
    stamp->hlc = hlc;
    enum syncline_status status =
        sl_library_db_origin(&work->rows->ldb, origin, &found, &stamp->origin, err);
    if (status == SYNCLINE_OK && !found) {
        return sl_fail(err, SYNCLINE_ECORRUPT, "library.db has no origin %lld", (long long)origin);
    }
    return status;
}

static enum syncline_status rank_hidden(struct work *work, const struct sl_hidden_birth *hidden,
                                        struct rank *rank, struct sl_error *err)
{
    const struct sl_birth_run birth = {.origin = hidden->origin, .seq = hidden->seq};
    bool shared = hidden->class == SYNCLINE_SHARED;
    *rank = (struct rank){0};
    enum syncline_status status = SYNCLINE_OK;
    if (shared) {
        status = sl_reconcile_pends(work->core, work->rows, work->pending, work->model, work->uuid,
                                    &birth, false, &rank->pending, err);
    }
    return status == SYNCLINE_OK
               ? stamp_of(work, shared ? hidden->hlc : hidden->birth_hlc,
                          shared ? hidden->hlc_origin : hidden->origin, &rank->stamp, err)
               : status;
}

/* Of the birth that is shown; one that is not known yet is of a change still to come. */
static enum syncline_status rank_shown(struct work *work, int64_t id, bool born,
                                       const struct sl_birth_run *birth, struct rank *rank,
                                       struct sl_error *err)
{
    *rank = (struct rank){.pending = !born};
    if (!born) {
        return SYNCLINE_OK;
    }
    enum syncline_status status =
        sl_reconcile_pends(work->core, work->rows, work->pending, work->model, work->uuid, birth,
                           true, &rank->pending, err);
    uint64_t hlc = birth->hlc;
    int64_t origin = birth->origin;
    bool found = false;
    if (status == SYNCLINE_OK && birth->class == SYNCLINE_SHARED) {
        status = sl_stamp_get(&work->rows->births, work->model->id_in_db, id, &found, &hlc, &origin,
                              err);
    }
    return status == SYNCLINE_OK ? stamp_of(work, hlc, origin, &rank->stamp, err) : status;
}

/* ---- Showing and hiding ---- */

static enum syncline_status put_hidden(struct work *work, struct sl_hidden_birth *hidden,
                                       struct sl_error *err)
{
    hidden->body = work->body.data;
    hidden->body_size = work->body.len;
    sl_core_set_hides(work->core, work->model);
    return sl_hidden_birth_put(&work->rows->hidden, work->model->id_in_db, work->uuid, hidden, err);
}

/* The row with that id, and its birth and stamp, as a hidden birth. The row stays as it is. */
static enum syncline_status hide_row(struct work *work, int64_t id,
                                     const struct sl_birth_run *birth, struct sl_error *err)
{
    struct sl_hidden_birth hidden = {.origin = birth->origin,
                                     .seq = birth->seq,
                                     .birth_hlc = birth->hlc,
                                     .class = birth->class,
                                     .hlc = birth->hlc,
                                     .hlc_origin = birth->origin};
    bool found = false;
    enum syncline_status status = sl_stamp_get(&work->rows->births, work->model->id_in_db, id,
                                               &found, &hidden.hlc, &hidden.hlc_origin, err);
    if (status == SYNCLINE_OK) {
        status = write_row(work, id, birth->class, &found, err);
    }
    return status == SYNCLINE_OK && found ? put_hidden(work, &hidden, err) : status;
}

/* The row with that id is of this birth from now on. */
static enum syncline_status set_birth(struct work *work, int64_t id,
                                      const struct sl_hidden_birth *hidden, struct sl_error *err)
{
    struct sl_births *births = &work->rows->births;
    int64_t model = work->model->id_in_db;
    const struct sl_birth_run run = {.id = id,
                                     .n = 1,
                                     .origin = hidden->origin,
                                     .seq = hidden->seq,
                                     .hlc = hidden->birth_hlc,
                                     .class = hidden->class};
    enum syncline_status status = sl_birth_put(births, model, &run, err);
    if (status == SYNCLINE_OK &&
        (hidden->hlc != hidden->birth_hlc || hidden->hlc_origin != hidden->origin)) {
        status = sl_stamp_put(births, model, id, hidden->hlc, hidden->hlc_origin, err);
    }
    return status;
}

/* A hidden birth takes the row with that id; what it held is gone. Changes on their way that were
 * about the birth before it are found out by settle and fk_resolve as those of a deleted record
 * are. */
static enum syncline_status take_row(struct work *work, int64_t id,
                                     const struct sl_hidden_birth *hidden, struct sl_error *err)
{
    enum syncline_status status = set_birth(work, id, hidden, err);
    if (status == SYNCLINE_OK) {
        status = sl_hidden_birth_drop(&work->rows->hidden, work->model->id_in_db, work->uuid,
                                      hidden->origin, hidden->seq, err);
    }
    return status == SYNCLINE_OK
               ? sl_outbox_note_delete(&work->rows->ldb, work->model->id_in_db, err)
               : status;
}

/* An id that no record has, nor one whose delete was not captured yet. */
static enum syncline_status free_id(struct work *work, int64_t *id, struct sl_error *err)
{
    int64_t last_id = 0;
    int64_t last_born = 0;
    enum syncline_status status = sl_record_last_id(table_of(work), &last_id, err);
    if (status == SYNCLINE_OK) {
        status = sl_birth_highest(&work->rows->births, work->model->id_in_db, &last_born, err);
    }
    last_id = last_id > last_born ? last_id : last_born;
    *id = last_id < 0 ? 1 : last_id < INT64_MAX ? last_id + 1 : 0; /* 0: SQLite finds one */
    return status;
}

/* A row of its own for a hidden birth whose values stand in `localized`. */
static enum syncline_status make_row(struct work *work, const struct sl_hidden_birth *hidden,
                                     struct sl_localized *localized, struct sl_error *err)
{
    struct sl_record_table *table = table_of(work);
    int64_t id = 0;
    bool inserted = false;
    enum syncline_status status = free_id(work, &table->wanted_id, err);
    for (uint32_t f = 0; f < work->model->field_count; f++) {
        if (localized->points_at_itself[f]) {
            localized->values[f].as.int64 = table->wanted_id;
        }
    }
    if (status == SYNCLINE_OK) {
        status = sl_record_insert(table, work->uuid, localized->values, &inserted, &id, err);
    }
    return status == SYNCLINE_OK && inserted ? take_row(work, id, hidden, err) : status;
}

/* It is looked at again when that parent comes: stages/waiting. */
static enum syncline_status note_lack(struct work *work, const struct sl_hidden_birth *hidden,
                                      const struct sl_missing *lacks, struct sl_error *err)
{
    work->core->living_due.lacks = true;
    return sl_hidden_birth_set_lack(&work->rows->hidden, work->model->id_in_db, work->uuid, hidden,
                                    lacks->field->parent->id_in_db, &lacks->uuid, err);
}

/* The hidden birth of the highest rank whose parents are here, with its values in `localized`;
 * NULL: there is none. `than`: only one that is higher. A pending one has no values: they are the
 * row's. */
static enum syncline_status find_highest(struct work *work, const struct rank *than,
                                         struct sl_hidden_birth **highest,
                                         struct sl_localized *localized, struct rank *rank,
                                         struct sl_error *err)
{
    struct sl_hidden_birth *list = NULL;
    size_t len = 0;
    enum syncline_status status =
        sl_hidden_birth_list(&work->rows->hidden, work->model->id_in_db, work->uuid, true,
                             &work->arena, &list, &len, err);
    *highest = NULL;
    for (size_t i = 0; i < len && status == SYNCLINE_OK; i++) {
        struct rank at;
        struct sl_localized values;
        struct sl_missing lacks = {0};
        status = rank_hidden(work, &list[i], &at, err);
        if (status != SYNCLINE_OK || (than != NULL && !is_higher(&at, than)) ||
            (*highest != NULL && !is_higher(&at, rank))) {
            continue;
        }
        status = read_body(work, &list[i], &values, &lacks, err);
        if (status == SYNCLINE_OK && lacks.field != NULL && !at.pending) {
            status = note_lack(work, &list[i], &lacks, err);
        } else if (status == SYNCLINE_OK) {
            *highest = &list[i];
            *localized = values;
            *rank = at;
        }
    }
    return status;
}

/* ---- The calls ---- */

static bool is_birth(const struct sl_birth_run *a, int64_t origin, uint64_t seq)
{
    return a->origin == origin && a->seq == seq;
}

/* An owner has inserted its record again, and the earlier birth is dead: it went when what it
 * pointed at was deleted, which nobody need have said. */
static bool is_renewed(enum syncline_ownership class, int64_t origin, uint64_t seq,
                       const struct sl_hidden_birth *by)
{
    return class == SYNCLINE_DEVICE_OWNED && by->class == SYNCLINE_DEVICE_OWNED &&
           origin == by->origin && seq < by->seq;
}

/* Is the birth hidden here, or dead by one that is? What is dead by it goes. */
static enum syncline_status look_at_hidden(struct work *work, const struct sl_hidden_birth *put,
                                           bool *nothing, struct sl_error *err)
{
    struct sl_hidden_birth *list = NULL;
    size_t len = 0;
    *nothing = false;
    if (!sl_core_may_hide(work->core, work->model)) {
        return SYNCLINE_OK;
    }
    enum syncline_status status =
        sl_hidden_birth_list(&work->rows->hidden, work->model->id_in_db, work->uuid, false,
                             &work->arena, &list, &len, err);
    for (size_t i = 0; i < len && status == SYNCLINE_OK; i++) {
        *nothing = *nothing || (list[i].origin == put->origin && list[i].seq == put->seq) ||
                   is_renewed(put->class, put->origin, put->seq, &list[i]);
        if (is_renewed(list[i].class, list[i].origin, list[i].seq, put)) {
            status = sl_hidden_birth_drop(&work->rows->hidden, work->model->id_in_db, work->uuid,
                                          list[i].origin, list[i].seq, err);
        }
    }
    return status;
}

/* The row is the new birth's; what it was is hidden, unless it is dead by the new one. */
static enum syncline_status replace_row(struct work *work, int64_t id,
                                        const struct sl_birth_run *before,
                                        const struct sl_localized *localized,
                                        const struct sl_hidden_birth *birth, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    if (!is_renewed(before->class, before->origin, before->seq, birth)) {
        status = hide_row(work, id, before, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_record_update(table_of(work), id, localized->values, err);
    }
    if (status == SYNCLINE_OK) {
        status = set_birth(work, id, birth, err);
    }
    return status == SYNCLINE_OK
               ? sl_outbox_note_delete(&work->rows->ldb, work->model->id_in_db, err)
               : status;
}

static enum syncline_status insert_beside(struct work *work, const struct sl_localized *localized,
                                          uint32_t i, struct sl_hidden_birth *put,
                                          struct sl_error *err)
{
    int64_t id = 0;
    bool found = false;
    bool born = false;
    bool nothing = false;
    struct sl_birth_run shown = {0};
    struct rank rank;
    struct rank other;
    int64_t model = work->model->id_in_db;
    enum syncline_status status = sl_record_id(table_of(work), work->uuid, &found, &id, err);
    if (status == SYNCLINE_OK) {
        status = sl_birth_get(&work->rows->births, model, id, &born, &shown, err);
    }
    if (status == SYNCLINE_OK) {
        status = look_at_hidden(work, put, &nothing, err);
    }
    const struct sl_hidden_birth there = {
        .origin = shown.origin, .seq = shown.seq, .class = shown.class};
    nothing = nothing || (born && (is_birth(&shown, put->origin, put->seq) ||
                                   is_renewed(put->class, put->origin, put->seq, &there)));
    if (status != SYNCLINE_OK || nothing) {
        return status; /* it is here, or dead */
    }
    if (born && is_renewed(shown.class, shown.origin, shown.seq, put)) {
        return replace_row(work, id, &shown, localized, put, err);
    }
    status = rank_shown(work, id, born, &shown, &rank, err);
    if (status == SYNCLINE_OK) {
        status = rank_hidden(work, put, &other, err);
    }
    if (status == SYNCLINE_OK && is_higher(&other, &rank)) {
        return replace_row(work, id, &shown, localized, put, err);
    }
    if (status == SYNCLINE_OK) {
        status = write_change(work, localized, i, err);
    }
    return status == SYNCLINE_OK ? put_hidden(work, put, err) : status;
}

enum syncline_status sl_living_insert(struct sl_core *core, struct sl_pending *pending,
                                      const struct sl_localized *localized, uint32_t i,
                                      const struct sl_birth_run *birth, uint64_t hlc,
                                      int64_t hlc_origin, struct sl_error *err)
{
    struct work work =
        work_begin(core, &core->writer, pending, localized->model, &localized->group->uuids[i]);
    struct sl_hidden_birth put = {.origin = birth->origin,
                                  .seq = birth->seq,
                                  .birth_hlc = birth->hlc,
                                  .class = birth->class,
                                  .hlc = hlc,
                                  .hlc_origin = hlc_origin};
    enum syncline_status status = insert_beside(&work, localized, i, &put, err);
    work_end(&work);
    return status;
}

/* The row that shows an earlier birth is of this one from now on, with its content. */
static enum syncline_status renew_row(struct work *work, const struct sl_hidden_birth *birth,
                                      bool *has_row, struct sl_error *err)
{
    struct sl_birth_run shown = {0};
    int64_t id = 0;
    bool found = false;
    *has_row = false;
    enum syncline_status status = sl_record_id(table_of(work), work->uuid, &found, &id, err);
    if (status == SYNCLINE_OK && found) {
        status = sl_birth_get(&work->rows->births, work->model->id_in_db, id, &found, &shown, err);
    }
    *has_row =
        status == SYNCLINE_OK && found && is_renewed(shown.class, shown.origin, shown.seq, birth);
    return *has_row ? set_birth(work, id, birth, err) : status;
}

enum syncline_status sl_living_renew(struct sl_core *core, const struct sl_model *model,
                                     const struct syncline_uuid *uuid,
                                     const struct sl_birth_run *birth, bool *has_row,
                                     struct sl_error *err)
{
    struct work work = work_begin(core, &core->writer, NULL, model, uuid);
    const struct sl_hidden_birth put = {.origin = birth->origin,
                                        .seq = birth->seq,
                                        .birth_hlc = birth->hlc,
                                        .class = birth->class,
                                        .hlc = birth->hlc,
                                        .hlc_origin = birth->origin};
    bool nothing = false;
    enum syncline_status status = look_at_hidden(&work, &put, &nothing, err);
    if (status == SYNCLINE_OK) {
        status = renew_row(&work, &put, has_row, err);
    }
    work_end(&work);
    return status;
}

enum syncline_status sl_living_has_later(struct sl_core *core, const struct sl_model *model,
                                         const struct syncline_uuid *uuid, int64_t origin,
                                         uint64_t seq, bool *has, struct sl_error *err)
{
    struct work work = work_begin(core, &core->writer, NULL, model, uuid);
    struct sl_birth_run shown = {0};
    struct sl_hidden_birth *list = NULL;
    size_t len = 0;
    int64_t id = 0;
    bool found = false;
    enum syncline_status status = sl_record_id(table_of(&work), uuid, &found, &id, err);
    if (status == SYNCLINE_OK && found) {
        status = sl_birth_get(&work.rows->births, model->id_in_db, id, &found, &shown, err);
    }
    *has =
        found && shown.class == SYNCLINE_DEVICE_OWNED && shown.origin == origin && shown.seq > seq;
    if (status == SYNCLINE_OK && sl_core_may_hide(core, model)) {
        status = sl_hidden_birth_list(&work.rows->hidden, model->id_in_db, uuid, false, &work.arena,
                                      &list, &len, err);
    }
    for (size_t k = 0; k < len && status == SYNCLINE_OK; k++) {
        *has = *has || (list[k].class == SYNCLINE_DEVICE_OWNED && list[k].origin == origin &&
                        list[k].seq > seq);
    }
    work_end(&work);
    return status;
}

enum syncline_status sl_living_hide(struct sl_core *core, const struct sl_localized *localized,
                                    uint32_t i, const struct sl_birth_run *birth, uint64_t hlc,
                                    int64_t hlc_origin, struct sl_error *err)
{
    struct work work =
        work_begin(core, &core->writer, NULL, localized->model, &localized->group->uuids[i]);
    struct sl_hidden_birth put = {.origin = birth->origin,
                                  .seq = birth->seq,
                                  .birth_hlc = birth->hlc,
                                  .class = birth->class,
                                  .hlc = hlc,
                                  .hlc_origin = hlc_origin};
    bool nothing = false;
    enum syncline_status status = look_at_hidden(&work, &put, &nothing, err);
    if (status == SYNCLINE_OK && !nothing) {
        status = write_change(&work, localized, i, err);
    }
    if (status == SYNCLINE_OK && !nothing) {
        status = put_hidden(&work, &put, err);
    }
    work_end(&work);
    return status;
}

enum syncline_status sl_living_update(struct sl_core *core, const struct sl_localized *localized,
                                      uint32_t i, const struct sl_hidden_birth *hidden,
                                      const struct sl_stamp *stamp, struct sl_error *err)
{
    struct work work =
        work_begin(core, &core->writer, NULL, localized->model, &localized->group->uuids[i]);
    struct sl_hidden_birth put = *hidden;
    put.hlc = stamp->hlc;
    enum syncline_status status =
        sl_library_db_origin_number(&core->writer.ldb, &stamp->origin, &put.hlc_origin, err);
    if (status == SYNCLINE_OK) {
        status = write_change(&work, localized, i, err);
    }
    if (status == SYNCLINE_OK) {
        status = put_hidden(&work, &put, err);
    }
    work_end(&work);
    return status;
}

static enum syncline_status show_latest(struct work *work, struct sl_error *err)
{
    int64_t id = 0;
    bool found = false;
    bool born = false;
    struct sl_birth_run shown = {0};
    struct rank rank = {0};
    struct rank higher = {0};
    struct sl_hidden_birth *highest = NULL;
    struct sl_localized localized;
    enum syncline_status status = sl_record_id(table_of(work), work->uuid, &found, &id, err);
    if (status == SYNCLINE_OK && found) {
        status = sl_birth_get(&work->rows->births, work->model->id_in_db, id, &born, &shown, err);
    }
    if (status == SYNCLINE_OK && found) {
        status = rank_shown(work, id, born, &shown, &rank, err);
    }
    if (status == SYNCLINE_OK && !rank.pending) { /* what is pending stays */
        status = find_highest(work, found ? &rank : NULL, &highest, &localized, &higher, err);
    }
    if (status != SYNCLINE_OK || highest == NULL) {
        return status;
    }
    if (!found) {
        return make_row(work, highest, &localized, err);
    }
    status = hide_row(work, id, &shown, err);
    if (status == SYNCLINE_OK && !higher.pending) {
        status = sl_record_update(table_of(work), id, localized.values, err);
    }
    return status == SYNCLINE_OK ? take_row(work, id, highest, err) : status;
}

enum syncline_status sl_living_show_latest(struct sl_core *core, struct sl_pending *pending,
                                           const struct sl_model *model,
                                           const struct syncline_uuid *uuid, struct sl_error *err)
{
    struct work work = work_begin(core, &core->writer, pending, model, uuid);
    enum syncline_status status = show_latest(&work, err);
    work_end(&work);
    return status;
}

enum syncline_status sl_living_show_next(struct sl_core *core, struct sl_pending *pending,
                                         const struct sl_model *model,
                                         const struct syncline_uuid *uuid, int64_t id, bool *shown,
                                         struct sl_error *err)
{
    struct work work = work_begin(core, &core->writer, pending, model, uuid);
    struct sl_hidden_birth *highest = NULL;
    struct sl_localized localized;
    struct rank rank = {0};
    enum syncline_status status = find_highest(&work, NULL, &highest, &localized, &rank, err);
    *shown = highest != NULL;
    if (status == SYNCLINE_OK && highest != NULL && !rank.pending) {
        status = sl_record_update(table_of(&work), id, localized.values, err);
    }
    if (status == SYNCLINE_OK && highest != NULL) {
        status = take_row(&work, id, highest, err);
    }
    work_end(&work);
    return status;
}

/* ---- What was settled ---- */

static enum syncline_status settle_hidden(struct work *work, const struct sl_unsettled_entry *entry,
                                          uint32_t i, struct sl_error *err)
{
    struct sl_hidden_birth *list = NULL;
    size_t len = 0;
    enum syncline_status status =
        sl_hidden_birth_list(&work->rows->hidden, work->model->id_in_db, work->uuid, true,
                             &work->arena, &list, &len, err);
    for (size_t k = 0; k < len && status == SYNCLINE_OK; k++) {
        struct sl_birth birth = {.seq = list[k].seq};
        bool found = false;
        status = sl_library_db_origin(&work->rows->ldb, list[k].origin, &found, &birth.origin, err);
        if (status != SYNCLINE_OK || !found || !sl_unsettled_names(entry, i, &birth)) {
            continue;
        }
        status = write_row(work, entry->ids[i], list[k].class, &found, err);
        if (status == SYNCLINE_OK && found) {
            list[k].hlc = entry->first_hlc + i;
            list[k].hlc_origin = work->core->self_number;
            status = put_hidden(work, &list[k], err);
        }
    }
    return status;
}

enum syncline_status sl_living_settle(struct sl_core *core, struct sl_rows *rows,
                                      const struct sl_unsettled_entry *entry, uint32_t i,
                                      struct sl_error *err)
{
    struct work work = work_begin(core, rows, NULL, entry->model, &entry->uuids[i]);
    enum syncline_status status = settle_hidden(&work, entry, i, err);
    work_end(&work);
    return status;
}

/* ---- Records to be looked at again ---- */

bool sl_living_due_add(struct sl_living_due *due, const struct sl_allocator *alloc,
                       const struct sl_model *model, const struct syncline_uuid *uuid)
{
    struct sl_living_record *grown =
        sl_grow(alloc, due->records, due->len, &due->capacity, sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    due->records = grown;
    due->records[due->len++] = (struct sl_living_record){.model = model, .uuid = *uuid};
    return true;
}

/* Has a record of the model been deleted since this was asked and acted on? */
static enum syncline_status is_model_due(struct sl_core *core, const struct sl_model *model,
                                         bool *due, int64_t *last_delete, struct sl_error *err)
{
    *due = false;
    if (!sl_core_may_hide(core, model)) {
        return SYNCLINE_OK;
    }
    enum syncline_status status =
        sl_outbox_last_delete(&core->writer.ldb, model->id_in_db, last_delete, err);
    *due = status == SYNCLINE_OK && core->living_due.looked[model->index] != *last_delete + 1;
    return status;
}

enum syncline_status sl_living_is_due(struct sl_core *core, bool *due, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    *due = false;
    for (size_t m = 0; m < core->models.count && status == SYNCLINE_OK && !*due; m++) {
        int64_t last_delete = 0;
        status = is_model_due(core, &core->models.models[m], due, &last_delete, err);
    }
    return status;
}

/* The records of a model that have births and no row. */
static enum syncline_status add_rowless(struct sl_core *core, const struct sl_model *model,
                                        struct sl_error *err)
{
    const struct sl_db *db = &core->writer.ldb.db;
    sqlite3_stmt *stmt = NULL;
    bool row = true;
    char *sql =
        sqlite3_mprintf("SELECT DISTINCT h.uuid FROM _syncline_hidden_birth h WHERE h.model=?1"
                        " AND NOT EXISTS(SELECT 1 FROM \"%w\" t WHERE t.\"%w\"=h.uuid)",
                        model->table, model->uuid.name);
    enum syncline_status status =
        sql == NULL ? no_memory(err) : sl_db_prepare(db, sql, false, &stmt, err);
    sqlite3_free(sql);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 1, model->id_in_db);
    }
    while (status == SYNCLINE_OK && row) {
        struct syncline_uuid uuid;
        status = sl_db_row(db, stmt, &row, err);
        if (status == SYNCLINE_OK && row && sl_column_uuid(stmt, 0, &uuid) &&
            !sl_living_due_add(&core->living_due, core->env->alloc, model, &uuid)) {
            status = no_memory(err);
        }
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

void sl_living_undo_due(struct sl_core *core)
{
    memset(core->living_due.looked, 0, sizeof(core->living_due.looked));
}

enum syncline_status sl_living_run_due(struct sl_core *core, struct sl_pending *pending,
                                       struct sl_error *err)
{
    struct sl_living_due *due = &core->living_due;
    enum syncline_status status = SYNCLINE_OK;
    for (size_t m = 0; m < core->models.count && status == SYNCLINE_OK; m++) {
        int64_t last_delete = 0;
        bool is_due = false;
        status = is_model_due(core, &core->models.models[m], &is_due, &last_delete, err);
        if (status == SYNCLINE_OK && is_due) {
            status = add_rowless(core, &core->models.models[m], err);
            due->looked[m] = last_delete + 1;
        }
    }
    for (size_t i = 0; i < due->len && status == SYNCLINE_OK; i++) {
        status =
            sl_living_show_latest(core, pending, due->records[i].model, &due->records[i].uuid, err);
        status =
            status == SYNCLINE_EINVAL ? SYNCLINE_OK : status; /* its table refuses it: hidden */
    }
    due->len = 0;
    return status;
}
