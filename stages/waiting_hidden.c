/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Between the waiting room and the hidden births: where a UUID has a row its other births are
 * hidden, where it has none they wait. See stages/waiting.h. */

#include <string.h>

#include "stages/apply_record.h"
#include "stages/author.h"
#include "stages/living.h"
#include "stages/subtree.h"
#include "stages/waiting.h"

static const struct sl_model *model_of(const struct sl_core *core, int64_t number)
{
    for (size_t i = 0; i < core->models.count; i++) {
        if (core->models.models[i].id_in_db == number) {
            return &core->models.models[i];
        }
    }
    return NULL;
}

/* ---- Out of the room, beside a row ---- */

/* Has the UUID of an entry a row of another birth? A row that has none yet may be of this very one:
 * while the own log is applied again (stages/doubt). */
static enum syncline_status is_beside_row(struct sl_record_writer *writer,
                                          const struct sl_model *model,
                                          const struct sl_waiting *waiting, bool *is,
                                          struct sl_error *err)
{
    struct sl_rows *rows = &writer->core->writer;
    struct sl_birth_run shown = {0};
    int64_t id = 0;
    bool found = false;
    bool born = false;
    enum syncline_status status = sl_record_writer_flush(writer, err);
    if (status == SYNCLINE_OK) {
        status = sl_record_id(&rows->tables[model->index], &waiting->uuid, &found, &id, err);
    }
    if (status == SYNCLINE_OK && found) {
        status = sl_birth_get(&rows->births, model->id_in_db, id, &born, &shown, err);
    }
    *is = found && (born ? shown.origin != waiting->birth_origin || shown.seq != waiting->birth_seq
                         : waiting->birth_origin != writer->core->self_number);
    return status;
}

enum syncline_status sl_waiting_hide_beside(struct sl_record_writer *writer,
                                            const struct sl_model *model,
                                            const struct sl_waiting *waiting, bool *hidden,
                                            struct sl_error *err)
{
    const struct sl_birth_run birth = {.n = 1,
                                       .origin = waiting->birth_origin,
                                       .seq = waiting->birth_seq,
                                       .hlc = waiting->birth_hlc,
                                       .class = waiting->class};
    struct sl_localized *localized = NULL;
    enum syncline_status status = is_beside_row(writer, model, waiting, hidden, err);
    if (status != SYNCLINE_OK || !*hidden) {
        return status;
    }
    status = sl_waiting_content(writer, model, waiting, &localized, err);
    if (status == SYNCLINE_OK) {
        status =
            sl_living_hide(writer->core, localized, 0, &birth, waiting->hlc, waiting->origin, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_waiting_remove(&writer->waiting.room, waiting, err);
    }
    return status == SYNCLINE_OK ? sl_waiting_show(writer, model, &waiting->uuid, err) : status;
}

/* ---- Into the room, where there is no row ---- */

/* One of them. What it lacks is found out when it is looked at, before this slice ends. */
static enum syncline_status let_wait(struct sl_record_writer *writer, const struct sl_model *model,
                                     const struct syncline_uuid *uuid,
                                     const struct sl_hidden_birth *hidden, struct sl_error *err)
{
    bool changed = hidden->hlc != hidden->birth_hlc || hidden->hlc_origin != hidden->origin;
    struct sl_waiting waiting = {.model = model->id_in_db,
                                 .uuid = *uuid,
                                 .change = SYNCLINE_INSERT,
                                 .class = hidden->class,
                                 .birth_origin = hidden->origin,
                                 .birth_seq = hidden->seq,
                                 .birth_hlc = hidden->birth_hlc,
                                 .origin = hidden->hlc_origin,
                                 .seq = changed ? 0 : hidden->seq,
                                 .hlc = hidden->hlc,
                                 .lacks_model = model->id_in_db,
                                 .lacks_uuid = *uuid,
                                 .body = hidden->body,
                                 .body_size = hidden->body_size};
    struct sl_localized *localized = NULL;
    struct sl_value *values =
        sl_arena_alloc(&writer->waiting.arena, (model->field_count + 1) * sizeof(*values));
    if (values == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for records that wait");
    }
    enum syncline_status status = sl_waiting_content(writer, model, &waiting, &localized, err);
    if (status == SYNCLINE_OK) {
        sl_localize_content(localized, 0, values);
        status = sl_waiting_hide(writer, &waiting, model, values, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_hidden_birth_drop(&writer->core->writer.hidden, model->id_in_db, uuid,
                                      hidden->origin, hidden->seq, err);
    }
    const struct sl_waiting_event event = {.entry = waiting.id};
    return status == SYNCLINE_OK ? sl_waiting_note(&writer->waiting, &event, err) : status;
}

/* All of them. What waits for one of them is its content first. */
static enum syncline_status let_all_wait(struct sl_record_writer *writer,
                                         const struct sl_model *model,
                                         const struct syncline_uuid *uuid, struct sl_error *err)
{
    struct sl_rows *rows = &writer->core->writer;
    struct sl_hidden_birth *list = NULL;
    size_t len = 0;
    int64_t id = 0;
    bool found = false;
    enum syncline_status status = sl_waiting_look_at_births(writer, model, uuid, false, err);
    if (status == SYNCLINE_OK) {
        status = sl_record_id(&rows->tables[model->index], uuid, &found, &id, err);
    }
    if (status != SYNCLINE_OK || found) {
        return status;
    }
    sl_arena_reset(&writer->waiting.arena);
    status = sl_hidden_birth_list(&rows->hidden, model->id_in_db, uuid, true,
                                  &writer->waiting.arena, &list, &len, err);
    for (size_t k = 0; k < len && status == SYNCLINE_OK; k++) {
        status = let_wait(writer, model, uuid, &list[k], err);
    }
    return status;
}

enum syncline_status sl_waiting_show(struct sl_record_writer *writer, const struct sl_model *model,
                                     const struct syncline_uuid *uuid, struct sl_error *err)
{
    struct sl_error why;
    int64_t id = 0;
    bool found = false;
    enum syncline_status status = sl_record_writer_flush(writer, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_living_show_latest(writer->core, writer->pending, model, uuid, &why);
    if (status == SYNCLINE_EINVAL) {
        return SYNCLINE_OK; /* its table refuses it: it stays hidden */
    }
    if (status != SYNCLINE_OK) {
        *err = why;
        return status;
    }
    status = sl_record_id(&writer->core->writer.tables[model->index], uuid, &found, &id, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    return found ? sl_waiting_arrived(writer, model, uuid, err)
                 : let_all_wait(writer, model, uuid, err);
}

/* ---- Hidden births that lack a parent ---- */

/* What this device has put into a hidden birth had all its parents here: one that is neither here
 * nor waiting was deleted, and it is this device that deletes what points at it: as bury_own of
 * waiting_release.c. */
static enum syncline_status bury(struct sl_record_writer *writer, const struct sl_model *model,
                                 const struct sl_hidden_lack *lack, bool *buried,
                                 struct sl_error *err)
{
    struct sl_core *core = writer->core;
    struct sl_waiting_work *work = &writer->waiting;
    struct sl_origin by = {{{0}}, 0};
    bool found = false;
    int64_t entry = 0;
    *buried = false;
    enum syncline_status status =
        sl_library_db_origin(&core->writer.ldb, lack->birth.hlc_origin, &found, &by, err);
    if (status == SYNCLINE_OK) {
        status = sl_waiting_record(&work->room, lack->lacks_model, &lack->lacks_uuid, &entry, err);
    }
    bool own = status == SYNCLINE_OK && entry == 0 && sl_uuid_equal(&by.device, &core->self.device);
    work->own_left = work->own_left || (own && !work->may_author);
    if (status != SYNCLINE_OK || !own || !work->may_author) {
        return status;
    }
    const struct sl_author_change delete = {.model = model,
                                            .uuid = lack->uuid,
                                            .birth_origin = lack->birth.origin,
                                            .birth_seq = lack->birth.seq};
    *buried = true;
    status = sl_hidden_birth_drop(&core->writer.hidden, lack->model, &lack->uuid,
                                  lack->birth.origin, lack->birth.seq, err);
    if (status == SYNCLINE_OK) {
        status = sl_author_changes(core, SYNCLINE_DELETE, &delete, 1, err);
    }
    return status == SYNCLINE_OK
               ? sl_subtree_bury(writer, model, &lack->uuid, &core->self.device, err)
               : status;
}

/* One of which it is known that the parent is not here. */
static enum syncline_status look_without(struct sl_record_writer *writer,
                                         const struct sl_model *model,
                                         const struct sl_hidden_lack *lack, bool *lacks,
                                         struct sl_error *err)
{
    int64_t id = 0;
    bool found = false;
    bool buried = false;
    enum syncline_status status =
        sl_record_id(&writer->core->writer.tables[model->index], &lack->uuid, &found, &id, err);
    if (status == SYNCLINE_OK && !found) {
        *lacks = false;
        return let_all_wait(writer, model, &lack->uuid, err);
    }
    if (status == SYNCLINE_OK) {
        status = bury(writer, model, lack, &buried, err);
    }
    *lacks = !buried;
    return status;
}

/* Is it the time of a hidden birth that lacked a parent? *lacks: it still does. */
static enum syncline_status look_at(struct sl_record_writer *writer,
                                    const struct sl_hidden_lack *lack, bool *lacks,
                                    struct sl_error *err)
{
    struct sl_core *core = writer->core;
    const struct sl_model *model = model_of(core, lack->model);
    const struct sl_model *parent = model_of(core, lack->lacks_model);
    int64_t id = 0;
    bool here = false;
    *lacks = true;
    if (model == NULL || parent == NULL) {
        return SYNCLINE_OK; /* not given to this handle */
    }
    enum syncline_status status =
        sl_record_id(&core->writer.tables[parent->index], &lack->lacks_uuid, &here, &id, err);
    if (status == SYNCLINE_OK && !here) {
        return look_without(writer, model, lack, lacks, err);
    }
    if (status == SYNCLINE_OK) {
        *lacks = false;
        status = sl_hidden_birth_set_lack(&core->writer.hidden, lack->model, &lack->uuid,
                                          &lack->birth, 0, NULL, err);
    }
    return status == SYNCLINE_OK ? sl_waiting_show(writer, model, &lack->uuid, err) : status;
}

enum syncline_status sl_waiting_look_at_lacking(struct sl_record_writer *writer,
                                                const struct sl_waiting_event *event,
                                                struct sl_error *err)
{
    struct sl_hidden_lack lack;
    bool found = true;
    bool lacks = false;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && found && !lacks && writer->core->living_due.lacks) {
        status = sl_hidden_birth_lacking(&writer->core->writer.hidden, event->model->id_in_db,
                                         &event->uuid, 0, &found, &lack, err);
        if (status == SYNCLINE_OK && found) {
            status = look_at(writer, &lack, &lacks, err);
        }
    }
    return status;
}

enum syncline_status sl_waiting_look_at_hidden(struct sl_record_writer *writer,
                                               struct sl_error *err)
{
    struct sl_hidden_lack lack;
    bool found = true;
    bool lacks = false;
    uint64_t after = 0; /* of those that still lack theirs */
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && found && writer->core->living_due.lacks) {
        status = sl_hidden_birth_lacking(&writer->core->writer.hidden, 0, NULL, after, &found,
                                         &lack, err);
        if (status == SYNCLINE_OK && found) {
            status = look_at(writer, &lack, &lacks, err);
            after += lacks ? 1 : 0;
        }
    }
    if (status == SYNCLINE_OK && after == 0) {
        writer->core->living_due.lacks = false;
    }
    return status;
}
