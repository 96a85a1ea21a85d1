/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/waiting.h"

#include <string.h>

#include "base/crashpoint.h"
#include "stages/apply_record.h"
#include "stages/author.h"
#include "stages/subtree.h"

/* The entries that must be written together, and what is known of them. */
struct set {
    struct member {
        struct sl_waiting waiting;
        const struct sl_model *model;
    } * members; /* in the arena */
    size_t len;
    size_t capacity;
    struct sl_promises places;            /* which records are in it: UUID -> place */
    int64_t next_ids[SL_MODEL_COUNT_MAX]; /* by model->index: to be promised next; 0: not known */
};

static enum syncline_status no_memory(struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory to release records that wait");
}

static const struct sl_model *model_of(const struct sl_core *core, int64_t number)
{
    for (size_t i = 0; i < core->models.count; i++) {
        if (core->models.models[i].id_in_db == number) {
            return &core->models.models[i];
        }
    }
    return NULL;
}

enum syncline_status sl_waiting_set_aside(struct sl_record_writer *writer,
                                          const struct sl_model *model,
                                          const struct sl_waiting *waiting, const char reason[256],
                                          struct sl_error *err)
{
    /* Of a row that was here before it began to wait only the birth has a known place. */
    bool known = waiting->seq != 0;
    struct sl_origin origin = {{{0}}, 0};
    bool found = false;
    enum syncline_status status =
        sl_library_db_origin(&writer->core->writer.ldb,
                             known ? waiting->origin : waiting->birth_origin, &found, &origin, err);
    return status != SYNCLINE_OK
               ? status
               : sl_record_set_aside(writer, &origin, known ? waiting->seq : waiting->birth_seq,
                                     model, &waiting->uuid, reason, err);
}

/* ---- Which entries belong together ---- */

static enum syncline_status set_add(struct sl_record_writer *writer, struct set *set,
                                    const struct sl_waiting *waiting, const struct sl_model *model,
                                    struct sl_error *err)
{
    if (set->len == set->capacity) {
        size_t capacity = set->capacity == 0 ? 4 : 2 * set->capacity;
        struct member *grown =
            sl_arena_alloc(&writer->waiting.arena, capacity * sizeof(*set->members));
        if (grown == NULL) {
            return no_memory(err);
        }
        if (set->len > 0) {
            memcpy(grown, set->members, set->len * sizeof(*grown));
        }
        set->members = grown;
        set->capacity = capacity;
    }
    if (!sl_promise_make(&set->places, model, &waiting->uuid, (int64_t)set->len)) {
        return no_memory(err);
    }
    set->members[set->len++] = (struct member){.waiting = *waiting, .model = model};
    return SYNCLINE_OK;
}

/* A record that a member points at: here, in the set, or put into it, as it waits too. */
static enum syncline_status set_reach(struct sl_record_writer *writer, struct set *set,
                                      const struct sl_waiting_key *key, bool *has,
                                      struct sl_error *err)
{
    struct sl_waiting_work *work = &writer->waiting;
    struct sl_core *core = writer->core;
    const struct sl_model *model = model_of(core, key->model);
    struct sl_waiting waiting;
    int64_t id = 0;
    *has = false;
    if (model == NULL) {
        return SYNCLINE_OK;
    }
    *has = sl_promise_find(&set->places, model, &key->uuid, &id);
    if (*has) {
        return SYNCLINE_OK;
    }
    enum syncline_status status =
        sl_record_id(&core->writer.tables[model->index], &key->uuid, has, &id, err);
    if (status != SYNCLINE_OK || *has) {
        return status;
    }
    status = sl_waiting_record(&work->room, key->model, &key->uuid, &id, err);
    if (status == SYNCLINE_OK && id != 0) {
        status = sl_waiting_get(&work->room, id, &work->arena, has, &waiting, err);
    }
    return status == SYNCLINE_OK && *has ? set_add(writer, set, &waiting, model, err) : status;
}

/* Everything that the first member needs and that waits; *lacks is what is missing to one of them,
 * or has model 0. *own: the first one lacks it. */
static enum syncline_status set_complete(struct sl_record_writer *writer, struct set *set,
                                         struct sl_waiting_key *lacks, bool *own,
                                         struct sl_error *err)
{
    lacks->model = 0;
    for (size_t at = 0; at < set->len; at++) {
        struct sl_waiting_key *keys = NULL;
        size_t count = 0;
        enum syncline_status status =
            sl_waiting_keys(&writer->waiting.room, set->members[at].waiting.id,
                            &writer->waiting.arena, &keys, &count, err);
        for (size_t k = 0; k < count && status == SYNCLINE_OK; k++) {
            bool has = false;
            status = set_reach(writer, set, &keys[k], &has, err);
            if (status == SYNCLINE_OK && !has) {
                *lacks = keys[k];
                *own = at == 0;
                return SYNCLINE_OK;
            }
        }
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    return SYNCLINE_OK;
}

/* ---- Writing them ---- */

/* An id above all that its table has or has had a birth for. */
static enum syncline_status promise(struct sl_record_writer *writer, struct set *set,
                                    const struct member *member, struct sl_error *err)
{
    const struct sl_model *model = member->model;
    struct sl_rows *rows = &writer->core->writer;
    int64_t *next_id = &set->next_ids[model->index];
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
    return sl_promise_make(&writer->promises, model, &member->waiting.uuid, (*next_id)++)
               ? SYNCLINE_OK
               : no_memory(err);
}

/* The content of an entry as a record, by whoever made it. */
static enum syncline_status write_entry(struct sl_record_writer *writer,
                                        const struct member *member, enum sl_outcome *outcome,
                                        char reason[256], struct sl_error *err)
{
    const struct sl_waiting *waiting = &member->waiting;
    struct sl_origin_state by = {.number = waiting->origin};
    bool found = false;
    struct sl_birth_run birth = {.n = 1,
                                 .origin = waiting->birth_origin,
                                 .seq = waiting->birth_seq,
                                 .hlc = waiting->birth_hlc,
                                 .class = waiting->class};
    struct sl_apply_record record = {.origin = &by, .seq = waiting->seq, .birth = &birth};
    enum syncline_status status =
        sl_library_db_origin(&writer->core->writer.ldb, waiting->origin, &found, &by.name, err);
    if (status == SYNCLINE_OK) {
        status = sl_waiting_content(writer, member->model, waiting, &record.localized, err);
    }
    return status != SYNCLINE_OK ? status : sl_record_write(writer, &record, outcome, reason, err);
}

/* Writes all of a set, in a savepoint. A member that cannot be is set aside, and the others wait
 * on. */
static enum syncline_status write_members(struct sl_record_writer *writer, struct set *set,
                                          bool closed, size_t *failed, char reason[256],
                                          struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    *failed = set->len;
    for (size_t i = 0; i < set->len && set->len > 1 && status == SYNCLINE_OK; i++) {
        status = promise(writer, set, &set->members[i], err);
    }
    for (size_t i = 0; i < set->len && status == SYNCLINE_OK; i++) {
        enum sl_outcome outcome = SL_OUTCOME_WRITTEN;
        status = write_entry(writer, &set->members[i], &outcome, reason, err);
        if (status == SYNCLINE_OK && outcome == SL_OUTCOME_NOT_YET) {
            (void)sqlite3_snprintf(256, reason, "not applied: its table has no ids left");
        }
        if (status == SYNCLINE_OK && outcome != SL_OUTCOME_WRITTEN) {
            *failed = i;
            return SYNCLINE_OK;
        }
    }
    if (status == SYNCLINE_OK) {
        status = sl_record_writer_flush(writer, err);
    }
    if (status == SYNCLINE_OK && closed && sl_record_keys_open(writer)) {
        *failed = 0;
        (void)sqlite3_snprintf(256, reason, "not applied: a key that no model describes is open");
    }
    for (size_t i = 0; i < set->len && status == SYNCLINE_OK && *failed == set->len; i++) {
        status = sl_waiting_remove(&writer->waiting.room, &set->members[i].waiting, err);
    }
    return status;
}

static enum syncline_status write_set(struct sl_record_writer *writer, struct set *set, bool closed,
                                      struct sl_error *err)
{
    const struct sl_db *db = &writer->core->writer.ldb.db;
    struct sl_waiting_mark mark = sl_waiting_mark(&writer->waiting);
    char reason[256] = "";
    size_t failed = 0;
    enum syncline_status status = sl_record_writer_flush(writer, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_exec(db, "SAVEPOINT _syncline_waiting", err);
    }
    if (status == SYNCLINE_OK) {
        SL_CRASHPOINT(R8b, BEFORE);
        status = write_members(writer, set, closed, &failed, reason, err);
        SL_CRASHPOINT(R8b, AFTER);
    }
    sl_promises_clear(&writer->promises);
    if (status == SYNCLINE_OK && failed < set->len) {
        sl_record_writer_reset(writer);
        sl_waiting_go_back(&writer->waiting, mark);
        status = sl_db_exec(db, "ROLLBACK TO _syncline_waiting", err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_db_exec(db, "RELEASE _syncline_waiting", err);
    }
    if (status == SYNCLINE_OK && failed < set->len) {
        const struct member *member = &set->members[failed];
        status = sl_waiting_remove(&writer->waiting.room, &member->waiting, err);
        if (status == SYNCLINE_OK) {
            status = sl_waiting_set_aside(writer, member->model, &member->waiting, reason, err);
        }
    }
    return status;
}

/* What this device has written itself had all its parents here: one that is neither here nor
 * waiting was deleted, and it is this device that deletes what points at it. */
static enum syncline_status bury_own(struct sl_record_writer *writer, const struct member *member,
                                     bool *buried, struct sl_error *err)
{
    const struct sl_waiting waiting = member->waiting;
    const struct sl_model *model = member->model;
    const struct syncline_uuid *self = &writer->core->self.device;
    struct sl_stamp stamp = {0};
    enum syncline_status status = sl_waiting_stamp(writer, &waiting, &stamp, err);
    bool own = status == SYNCLINE_OK && sl_uuid_equal(&stamp.origin.device, self);
    *buried = own && writer->waiting.may_author;
    writer->waiting.own_left = writer->waiting.own_left || (own && !*buried);
    if (status != SYNCLINE_OK || !*buried) {
        return status;
    }
    const struct sl_author_change delete = {.model = model,
                                            .uuid = waiting.uuid,
                                            .birth_origin = waiting.birth_origin,
                                            .birth_seq = waiting.birth_seq};
    status = sl_waiting_remove(&writer->waiting.room, &waiting, err);
    if (status == SYNCLINE_OK) {
        status = sl_author_changes(writer->core, SYNCLINE_DELETE, &delete, 1, err);
    }
    return status != SYNCLINE_OK ? status
                                 : sl_subtree_bury(writer, model, &waiting.uuid, self, err);
}

static enum syncline_status look_at_record(struct sl_record_writer *writer,
                                           struct sl_waiting *waiting, const struct sl_model *model,
                                           bool closed, struct sl_error *err)
{
    struct set set = {0};
    struct sl_waiting_key lacks = {0};
    bool own = false;
    bool settled = false; /* it waits no more */
    sl_promises_init(&set.places, writer->core->env->alloc);
    enum syncline_status status = set_add(writer, &set, waiting, model, err);
    if (status == SYNCLINE_OK) {
        status = set_complete(writer, &set, &lacks, &own, err);
    }
    if (status == SYNCLINE_OK && lacks.model == 0) {
        settled = true;
        status = write_set(writer, &set, closed, err);
    } else if (status == SYNCLINE_OK) {
        status = sl_waiting_hide_beside(writer, model, waiting, &settled, err);
    }
    if (status == SYNCLINE_OK && !settled && own) {
        status = bury_own(writer, &set.members[0], &settled, err);
        if (status == SYNCLINE_OK && !settled) {
            status =
                sl_waiting_set_lack(&writer->waiting.room, waiting, lacks.model, &lacks.uuid, err);
        }
    }
    sl_promises_clear(&set.places);
    return status;
}

/* ---- Content for a record that is in its table ---- */

static enum syncline_status look_at_update(struct sl_record_writer *writer,
                                           struct sl_waiting *waiting, const struct sl_model *model,
                                           bool closed, struct sl_error *err)
{
    const struct sl_db *db = &writer->core->writer.ldb.db;
    struct sl_waiting_mark mark = sl_waiting_mark(&writer->waiting);
    struct sl_origin_state by = {.number = waiting->origin};
    struct sl_birth birth = {.seq = waiting->birth_seq};
    struct sl_apply_record record = {.origin = &by, .seq = waiting->seq, .released = waiting};
    enum sl_outcome outcome = SL_OUTCOME_WRITTEN;
    char reason[256] = "";
    bool found = false;
    enum syncline_status status =
        sl_library_db_origin(&writer->core->writer.ldb, waiting->origin, &found, &by.name, err);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_origin(&writer->core->writer.ldb, waiting->birth_origin, &found,
                                      &birth.origin, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_waiting_content(writer, model, waiting, &record.localized, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_record_writer_flush(writer, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_db_exec(db, "SAVEPOINT _syncline_waiting", err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_record_write_update(writer, &record, &birth, &outcome, reason, err);
    if (status == SYNCLINE_OK && outcome == SL_OUTCOME_WRITTEN && closed &&
        sl_record_keys_open(writer)) {
        outcome = SL_OUTCOME_CANNOT;
        (void)sqlite3_snprintf(256, reason, "not applied: a key that no model describes is open");
    }
    if (status == SYNCLINE_OK && outcome == SL_OUTCOME_CANNOT) {
        sl_record_writer_reset(writer);
        sl_waiting_go_back(&writer->waiting, mark);
        status = sl_db_exec(db, "ROLLBACK TO _syncline_waiting", err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_db_exec(db, "RELEASE _syncline_waiting", err);
    }
    if (status == SYNCLINE_OK && outcome != SL_OUTCOME_NOT_YET) {
        status = sl_waiting_remove(&writer->waiting.room, waiting, err);
    }
    return status == SYNCLINE_OK && outcome == SL_OUTCOME_CANNOT
               ? sl_waiting_set_aside(writer, model, waiting, reason, err)
               : status;
}

/* ---- What has come ---- */

enum syncline_status sl_waiting_look(struct sl_record_writer *writer, int64_t entry, bool closed,
                                     struct sl_error *err)
{
    struct sl_waiting_work *work = &writer->waiting;
    struct sl_waiting waiting;
    bool found = false;
    sl_arena_reset(&work->arena);
    enum syncline_status status =
        sl_waiting_get(&work->room, entry, &work->arena, &found, &waiting, err);
    if (status != SYNCLINE_OK || !found || waiting.lacks_model == 0) {
        return status;
    }
    const struct sl_model *model = model_of(writer->core, waiting.model);
    if (model == NULL) {
        return SYNCLINE_OK; /* not given to this handle: it waits on */
    }
    return waiting.change == SYNCLINE_INSERT ? look_at_record(writer, &waiting, model, closed, err)
                                             : look_at_update(writer, &waiting, model, closed, err);
}

enum syncline_status sl_waiting_look_at_births(struct sl_record_writer *writer,
                                               const struct sl_model *model,
                                               const struct syncline_uuid *uuid, bool closed,
                                               struct sl_error *err)
{
    struct sl_waiting_room *room = &writer->waiting.room;
    int64_t entry = 0;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && room->count.records > 0) {
        status = sl_waiting_next_of(room, model->id_in_db, uuid, &entry, err);
        if (status != SYNCLINE_OK || entry == 0) {
            break;
        }
        status = sl_waiting_look(writer, entry, closed, err);
    }
    return status;
}

enum syncline_status sl_waiting_release(struct sl_record_writer *writer, bool closed,
                                        struct sl_error *err)
{
    struct sl_waiting_work *work = &writer->waiting;
    enum syncline_status status = SYNCLINE_OK;
    for (work->next = 0; work->next < work->len && status == SYNCLINE_OK; work->next++) {
        const struct sl_waiting_event event = work->events[work->next];
        int64_t entry = event.entry;
        if (event.left) {
            status = sl_waiting_show(writer, event.model, &event.uuid, err);
            continue;
        }
        if (work->room.count.records == 0 && !writer->core->living_due.lacks) {
            continue;
        }
        if (entry == 0) {
            status = sl_waiting_look_at_births(writer, event.model, &event.uuid, closed, err);
        }
        if (status == SYNCLINE_OK && entry == 0) {
            status = sl_waiting_look_at_lacking(writer, &event, err);
        }
        if (status != SYNCLINE_OK) {
            break;
        }
        if (entry != 0) {
            status = sl_waiting_look(writer, entry, closed, err);
            continue;
        }
        do {
            status =
                sl_waiting_next_child(&work->room, event.model->id_in_db, &event.uuid, &entry, err);
            if (status == SYNCLINE_OK && entry != 0) {
                status = sl_waiting_look(writer, entry, closed, err);
            }
        } while (status == SYNCLINE_OK && entry != 0);
    }
    work->len = 0;
    return status == SYNCLINE_OK ? sl_record_writer_flush(writer, err) : status;
}
