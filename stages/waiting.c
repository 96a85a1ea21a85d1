/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/waiting.h"

#include <string.h>

#include "base/crashpoint.h"
#include "stages/apply_record.h"
#include "stages/subtree.h"

void sl_waiting_init(struct sl_waiting_work *work, struct sl_library_db *ldb,
                     const struct sl_allocator *alloc)
{
    memset(work, 0, sizeof(*work));
    sl_waiting_room_init(&work->room, ldb);
    sl_arena_init(&work->arena, alloc);
    sl_buf_init(&work->body, alloc);
    work->tidied = -1;
}

void sl_waiting_fini(struct sl_waiting_work *work)
{
    sl_waiting_room_fini(&work->room);
    sl_buf_fini(&work->body);
    sl_free(work->arena.alloc, work->events);
    sl_arena_fini(&work->arena);
}

struct sl_waiting_mark sl_waiting_mark(const struct sl_waiting_work *work)
{
    return (struct sl_waiting_mark){.count = work->room.count, .len = work->len};
}

void sl_waiting_go_back(struct sl_waiting_work *work, struct sl_waiting_mark mark)
{
    work->room.count = mark.count;
    work->len = mark.len;
}

static enum syncline_status no_memory(struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory for records that wait");
}

enum syncline_status sl_waiting_note(struct sl_waiting_work *work,
                                     const struct sl_waiting_event *event, struct sl_error *err)
{
    struct sl_waiting_event *grown =
        sl_grow(work->arena.alloc, work->events, work->len, &work->capacity, sizeof(*grown));
    if (grown == NULL) {
        return no_memory(err);
    }
    work->events = grown;
    work->events[work->len++] = *event;
    return SYNCLINE_OK;
}

enum syncline_status sl_waiting_arrived(struct sl_record_writer *writer,
                                        const struct sl_model *model,
                                        const struct syncline_uuid *uuid, struct sl_error *err)
{
    const struct sl_waiting_event event = {.model = model, .uuid = *uuid};
    return writer->waiting.room.count.records == 0 && !writer->core->living_due.lacks
               ? SYNCLINE_OK
               : sl_waiting_note(&writer->waiting, &event, err);
}

/* ---- Content ---- */

static struct sl_value the_value(void *ctx, uint32_t i)
{
    (void)i;
    return *(const struct sl_value *)ctx;
}

/* Writes the content of an entry, and puts it into the room. */
static enum syncline_status put(struct sl_record_writer *writer, struct sl_waiting *waiting,
                                const struct sl_model *model, struct sl_value *values,
                                struct sl_error *err)
{
    struct sl_waiting_work *work = &writer->waiting;
    const struct sl_env *env = writer->core->env;
    struct sl_waiting_key *keys =
        sl_arena_alloc(&work->arena, (model->field_count + 1) * sizeof(*keys));
    size_t key_count = 0;
    struct sl_group_head head = {.model = model->name,
                                 .change = SYNCLINE_INSERT,
                                 .class = waiting->class,
                                 .n = 1,
                                 .uuids = &waiting->uuid,
                                 .column_count = model->field_count};
    sl_buf_clear(&work->body);
    if (waiting->change != SYNCLINE_DELETE) {
        sl_group_write_hlc(&work->body, waiting->hlc);
        sl_group_write_head(&work->body, &head);
    }
    for (uint32_t f = 0; f < model->field_count && waiting->change != SYNCLINE_DELETE; f++) {
        const struct sl_field *field = &model->fields[f];
        char name[SL_NAME_SIZE_MAX + 6];
        sl_group_column_name(field, name);
        sl_group_write_column(&work->body, name, field->parent != NULL, 1, the_value, &values[f],
                              &work->arena);
        if (keys != NULL && field->parent != NULL && sl_field_binds(field) &&
            values[f].type == SL_BLOB) {
            keys[key_count].model = field->parent->id_in_db;
            memcpy(&keys[key_count++].uuid, values[f].as.data, sizeof(keys[0].uuid));
        }
    }
    if (keys == NULL || work->body.failed) {
        return no_memory(err);
    }
    waiting->body = work->body.data;
    waiting->body_size = work->body.len;
    if (waiting->since_ms == 0) {
        waiting->since_ms = env->wall_ms(env->ctx);
    }
    SL_CRASHPOINT(R8a, BEFORE);
    enum syncline_status status = sl_waiting_put(&work->room, waiting, keys, key_count, err);
    SL_CRASHPOINT(R8a, AFTER);
    return status;
}

static enum syncline_status put_change(struct sl_record_writer *writer, struct sl_waiting *waiting,
                                       const struct sl_apply_record *record, struct sl_error *err)
{
    const struct sl_localized *localized = record->localized;
    size_t size = (localized->model->field_count + 1) * sizeof(struct sl_value);
    struct sl_value *values = sl_arena_alloc(&writer->waiting.arena, size);
    if (values == NULL) {
        return no_memory(err);
    }
    if (waiting->change != SYNCLINE_DELETE) {
        sl_localize_content(localized, record->i, values);
    }
    return put(writer, waiting, localized->model, values, err);
}

enum syncline_status sl_waiting_hide(struct sl_record_writer *writer, struct sl_waiting *waiting,
                                     const struct sl_model *model, const struct sl_value *values,
                                     struct sl_error *err)
{
    struct sl_value *copied =
        sl_arena_copy(&writer->waiting.arena, values, model->field_count * sizeof(*copied));
    return copied == NULL ? no_memory(err) : put(writer, waiting, model, copied, err);
}

enum syncline_status sl_waiting_content(struct sl_record_writer *writer,
                                        const struct sl_model *model,
                                        const struct sl_waiting *waiting,
                                        struct sl_localized **localized, struct sl_error *err)
{
    struct sl_arena *arena = &writer->waiting.arena;
    static const struct sl_origin nobody;
    struct sl_group *group = sl_arena_alloc(arena, sizeof(*group));
    struct sl_localized *made = sl_arena_alloc(arena, sizeof(*made));
    if (group == NULL || made == NULL) {
        return no_memory(err);
    }
    struct sl_msgpack in;
    sl_msgpack_init(&in, waiting->body, waiting->body_size);
    enum syncline_status status = sl_group_read(&in, &nobody, 1, arena, group, err);
    if (status == SYNCLINE_OK) {
        status = sl_localize_group(made, model, group, arena, err);
    }
    *localized = made;
    return status;
}

/* ---- In ---- */

/* The change as an entry, without what it lacks. */
static struct sl_waiting entry_of(const struct sl_apply_record *record)
{
    const struct sl_group *group = record->localized->group;
    return (struct sl_waiting){.model = record->localized->model->id_in_db,
                               .uuid = group->uuids[record->i],
                               .change = record->has_row ? SYNCLINE_UPDATE : group->change,
                               .class = group->class,
                               .origin = record->origin->number,
                               .seq = record->seq,
                               .hlc = sl_apply_hlc(record)};
}

static enum syncline_status find_birth(struct sl_record_writer *writer,
                                       const struct sl_birth *birth, int64_t *origin, bool *found,
                                       struct sl_waiting *waiting, struct sl_error *err)
{
    struct sl_waiting_work *work = &writer->waiting;
    sl_arena_reset(&work->arena);
    enum syncline_status status =
        sl_library_db_origin_number(work->room.ldb, &birth->origin, origin, err);
    return status != SYNCLINE_OK ? status
                                 : sl_waiting_of_birth(&work->room, *origin, birth->seq,
                                                       &work->arena, found, waiting, err);
}

/* Does anything that waits point at the record? Only then can it have closed a circle. */
static enum syncline_status look_for_circle(struct sl_record_writer *writer,
                                            const struct sl_waiting *waiting, struct sl_error *err)
{
    int64_t child = 0;
    enum syncline_status status =
        sl_waiting_next_child(&writer->waiting.room, waiting->model, &waiting->uuid, &child, err);
    const struct sl_waiting_event event = {.entry = waiting->id};
    return status == SYNCLINE_OK && child != 0 ? sl_waiting_note(&writer->waiting, &event, err)
                                               : status;
}

enum syncline_status sl_waiting_for_parent(struct sl_record_writer *writer,
                                           const struct sl_apply_record *record,
                                           const struct sl_birth *birth,
                                           const struct sl_missing *missing, struct sl_error *err)
{
    struct sl_waiting before = {0};
    struct sl_waiting waiting = entry_of(record);
    bool found = false;
    enum syncline_status status =
        find_birth(writer, birth, &waiting.birth_origin, &found, &before, err);
    waiting.birth_seq = birth->seq;
    if (waiting.change == SYNCLINE_INSERT) {
        waiting.birth_hlc = record->paged != NULL ? record->paged->birth.hlc : waiting.hlc;
    }
    waiting.lacks_model = missing->field->parent->id_in_db;
    waiting.lacks_uuid = missing->uuid;
    if (found) { /* an earlier content of it */
        waiting.id = before.id;
        waiting.since_ms = before.since_ms;
    }
    if (status == SYNCLINE_OK) {
        status = put_change(writer, &waiting, record, err);
    }
    return status == SYNCLINE_OK && waiting.change == SYNCLINE_INSERT
               ? look_for_circle(writer, &waiting, err)
               : status;
}

/* What the device that deletes a record had of its own below it goes with the delete - whether the
 * record is here, and whoever has deleted it before - and now: what that device points at the UUID
 * later is below another birth. */
static enum syncline_status bury(struct sl_record_writer *writer,
                                 const struct sl_apply_record *record, struct sl_error *err)
{
    const struct sl_localized *localized = record->localized;
    return sl_subtree_bury(writer, localized->model, &localized->group->uuids[record->i],
                           &record->origin->name.device, err);
}

enum syncline_status sl_waiting_for_birth(struct sl_record_writer *writer,
                                          const struct sl_apply_record *record,
                                          const struct sl_birth *birth, struct sl_error *err)
{
    struct sl_waiting before = {0};
    struct sl_waiting waiting = entry_of(record);
    bool found = false;
    enum syncline_status status =
        find_birth(writer, birth, &waiting.birth_origin, &found, &before, err);
    waiting.birth_seq = birth->seq;
    if (status == SYNCLINE_OK) {
        status = put_change(writer, &waiting, record, err);
    }
    return status == SYNCLINE_OK && waiting.change == SYNCLINE_DELETE ? bury(writer, record, err)
                                                                      : status;
}

/* ---- Changes of what waits ---- */

static enum syncline_status origin_of(const struct sl_record_writer *writer, int64_t number,
                                      struct sl_origin *origin, struct sl_error *err)
{
    bool found = false;
    enum syncline_status status =
        sl_library_db_origin(&writer->core->writer.ldb, number, &found, origin, err);
    return status != SYNCLINE_OK || found
               ? status
               : sl_fail(err, SYNCLINE_ECORRUPT, "library.db: an origin has no name");
}

enum syncline_status sl_waiting_stamp(const struct sl_record_writer *writer,
                                      const struct sl_waiting *waiting, struct sl_stamp *stamp,
                                      struct sl_error *err)
{
    stamp->hlc = waiting->hlc;
    return origin_of(writer, waiting->origin, &stamp->origin, err);
}

/* The content of an entry becomes that of a received update, or its delete. */
static enum syncline_status replace(struct sl_record_writer *writer,
                                    const struct sl_waiting *before,
                                    const struct sl_apply_record *record, struct sl_error *err)
{
    struct sl_waiting waiting = entry_of(record);
    waiting.id = before->id;
    waiting.since_ms = before->since_ms;
    waiting.birth_origin = before->birth_origin;
    waiting.birth_seq = before->birth_seq;
    waiting.birth_hlc = before->birth_hlc;
    waiting.lacks_model = before->lacks_model;
    waiting.lacks_uuid = before->lacks_uuid;
    if (before->change == SYNCLINE_INSERT) {
        waiting.change = SYNCLINE_INSERT;
        waiting.class = before->class;
    }
    enum syncline_status status = put_change(writer, &waiting, record, err);
    const struct sl_waiting_event event = {.entry = waiting.id};
    return status == SYNCLINE_OK && before->change == SYNCLINE_INSERT
               ? sl_waiting_note(&writer->waiting, &event, err)
               : status;
}

static enum syncline_status delete_waiting(struct sl_record_writer *writer,
                                           const struct sl_waiting *waiting,
                                           const struct sl_apply_record *record,
                                           struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    if (waiting->change == SYNCLINE_INSERT) {
        status = sl_waiting_remove(&writer->waiting.room, waiting, err);
    } else if (waiting->change == SYNCLINE_UPDATE) {
        status =
            replace(writer, waiting, record, err); /* it lacks its birth; goes when that comes */
    }
    return status == SYNCLINE_OK ? bury(writer, record, err) : status;
}

enum syncline_status sl_waiting_judge(struct sl_record_writer *writer,
                                      const struct sl_apply_record *record,
                                      const struct sl_received *received, bool *settled,
                                      enum sl_outcome *outcome, char reason[256],
                                      struct sl_error *err)
{
    int64_t number = 0;
    struct sl_waiting waiting = {0};
    struct sl_stamp stamp = {0};
    *settled = false;
    if (writer->waiting.room.count.records == 0) {
        return SYNCLINE_OK;
    }
    enum syncline_status status =
        find_birth(writer, &received->birth, &number, settled, &waiting, err);
    if (status != SYNCLINE_OK || !*settled) {
        return status;
    }
    status = sl_waiting_stamp(writer, &waiting, &stamp, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    bool later = sl_stamp_compare(&received->stamp, &stamp) > 0;
    bool on_row = waiting.change == SYNCLINE_UPDATE && waiting.lacks_model != 0;
    if (on_row) { /* the record is in its table: judged there, if what waits is not later */
        *settled = received->change != SYNCLINE_DELETE && !later;
        return SYNCLINE_OK;
    }
    if (waiting.change == SYNCLINE_INSERT && waiting.class == SYNCLINE_DEVICE_OWNED &&
        !sl_uuid_equal(&received->birth.origin.device, &received->stamp.origin.device)) {
        *outcome = SL_OUTCOME_CANNOT;
        sl_reconcile_not_owner(reason);
        return SYNCLINE_OK;
    }
    if (received->change == SYNCLINE_DELETE) {
        return delete_waiting(writer, &waiting, record, err);
    }
    return waiting.change == SYNCLINE_DELETE || !later ? SYNCLINE_OK
                                                       : replace(writer, &waiting, record, err);
}

enum syncline_status sl_waiting_supersede(struct sl_record_writer *writer,
                                          const struct sl_birth *birth, struct sl_error *err)
{
    int64_t number = 0;
    bool found = false;
    struct sl_waiting waiting = {0};
    if (writer->waiting.room.count.records == 0) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = find_birth(writer, birth, &number, &found, &waiting, err);
    return status == SYNCLINE_OK && found ? sl_waiting_remove(&writer->waiting.room, &waiting, err)
                                          : status;
}

enum syncline_status sl_waiting_renew(struct sl_record_writer *writer,
                                      const struct sl_apply_record *record, struct sl_error *err)
{
    const struct sl_birth_run *birth = record->paged != NULL ? &record->paged->birth : NULL;
    struct sl_waiting_room *room = &writer->waiting.room;
    struct sl_waiting waiting = {.id = 1};
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && waiting.id != 0 && room->count.records > 0) {
        status = sl_waiting_earlier(room, record->localized->model->id_in_db,
                                    &record->localized->group->uuids[record->i],
                                    birth != NULL ? birth->origin : record->origin->number,
                                    birth != NULL ? birth->seq : record->seq, &waiting.id, err);
        if (status == SYNCLINE_OK && waiting.id != 0) {
            status = sl_waiting_remove(room, &waiting, err);
        }
    }
    return status;
}

/* ---- A birth comes ---- */

/* A change that waited for the birth is by a device that may not make it. */
static enum syncline_status refuse(struct sl_record_writer *writer, const struct sl_model *model,
                                   const struct sl_waiting *waiting, struct sl_error *err)
{
    char reason[256];
    sl_reconcile_not_owner(reason);
    enum syncline_status status = sl_waiting_remove(&writer->waiting.room, waiting, err);
    return status != SYNCLINE_OK ? status
                                 : sl_waiting_set_aside(writer, model, waiting, reason, err);
}

/* Is what waits later than the content that a page brings of the record? */
static bool is_later(const struct sl_waiting *waiting, const struct sl_origin *by,
                     const struct sl_apply_record *record)
{
    const struct sl_stamp waits = {.hlc = waiting->hlc, .origin = *by};
    const struct sl_stamp came = {.hlc = sl_apply_hlc(record), .origin = record->origin->name};
    return sl_stamp_compare(&waits, &came) > 0;
}

enum syncline_status sl_waiting_born(struct sl_record_writer *writer,
                                     const struct sl_apply_record *record, bool *settled,
                                     struct sl_error *err)
{
    struct sl_waiting_work *work = &writer->waiting;
    const struct sl_model *model = record->localized->model;
    const struct sl_group *group = record->localized->group;
    const struct sl_birth_run *birth = record->paged != NULL ? &record->paged->birth : NULL;
    struct sl_waiting waiting = {0};
    struct sl_localized *localized = NULL;
    struct sl_origin by = {{{0}}, 0};
    *settled = false;
    if (work->room.count.unborn == 0) {
        return SYNCLINE_OK;
    }
    sl_arena_reset(&work->arena);
    enum syncline_status status = sl_waiting_of_birth(
        &work->room, birth != NULL ? birth->origin : record->origin->number,
        birth != NULL ? birth->seq : record->seq, &work->arena, settled, &waiting, err);
    if (status == SYNCLINE_OK && *settled) {
        status = origin_of(writer, waiting.origin, &by, err);
    }
    if (status != SYNCLINE_OK || !*settled) {
        return status;
    }
    if (group->class == SYNCLINE_DEVICE_OWNED &&
        !sl_uuid_equal(&by.device, &record->origin->name.device)) {
        *settled = false;
        return refuse(writer, model, &waiting, err);
    }
    if (waiting.change == SYNCLINE_DELETE) {
        work->own_left = true; /* what this device has pointed at it, it deletes now */
        return sl_waiting_remove(&work->room, &waiting, err);
    }
    if (record->paged != NULL && !is_later(&waiting, &by, record)) {
        *settled = false;
        return sl_waiting_remove(&work->room, &waiting, err);
    }
    /* The record waits with the content that came first, and is looked at like all that wait. */
    status = sl_waiting_content(writer, model, &waiting, &localized, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    const struct sl_apply_record content = {.localized = localized};
    waiting.change = SYNCLINE_INSERT;
    waiting.class = group->class;
    waiting.birth_hlc = birth != NULL ? birth->hlc : sl_apply_hlc(record);
    waiting.lacks_model = model->id_in_db; /* until it is looked at */
    waiting.lacks_uuid = waiting.uuid;
    status = put_change(writer, &waiting, &content, err);
    const struct sl_waiting_event event = {.entry = waiting.id};
    return status == SYNCLINE_OK ? sl_waiting_note(work, &event, err) : status;
}

enum syncline_status sl_waiting_covered(struct sl_record_writer *writer, int64_t origin,
                                        uint64_t after, uint64_t seq, struct sl_error *err)
{
    struct sl_waiting_work *work = &writer->waiting;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && work->room.count.unborn > 0) {
        int64_t id = 0;
        bool found = false;
        struct sl_waiting waiting;
        sl_arena_reset(&work->arena);
        status = sl_waiting_unborn(&work->room, origin, after, seq, &id, err);
        if (status != SYNCLINE_OK || id == 0) {
            break;
        }
        status = sl_waiting_get(&work->room, id, &work->arena, &found, &waiting, err);
        if (status == SYNCLINE_OK && found) {
            status = sl_waiting_remove(&work->room, &waiting, err);
        }
    }
    return status;
}
