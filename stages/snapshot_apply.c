/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/snapshot_apply.h"

#include <stdlib.h>
#include <string.h>

#define STEP_LEN 256u /* records that are here, or come, and are gone through at once */
#define STEP_OTHERS 64u

/* An origin that the page names. */
struct by {
    struct sl_origin_state state;        /* name and number alone, as records have it */
    const struct sl_origin_state *known; /* what this device has of it; NULL: nothing */
    uint64_t owner_hlc;     /* what content of its device's records counts as; 0: it has no say */
    struct sl_origin owner; /* and of which of its origins */
    struct by *next;
};

/* A birth that the page tells something of. */
struct item {
    struct syncline_uuid uuid;
    enum sl_page_kind kind;
    struct sl_localized *insert; /* its content, as an insert */
    struct sl_localized *update; /* as an update, or its delete, which names the birth */
    uint32_t i;                  /* in their group */
    struct by *born_by;
    struct by *by; /* who made the content */
    struct sl_paged paged;
};

struct work {
    struct sl_page_slice *slice;
    struct sl_core *core;
    struct sl_record_writer *writer;
    const struct sl_model *model;
    struct sl_page page;
    struct by *bys;
    struct item *items; /* by UUID */
    uint32_t len;
    uint32_t capacity;
    uint32_t next; /* the first that is still to be dealt with */
};

static enum syncline_status no_memory(struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a page of a snapshot");
}

static enum syncline_status malformed(struct sl_error *err, const char *what)
{
    return sl_fail(err, SYNCLINE_EPROTO, "a page of a snapshot with %s that cannot be", what);
}

/* ---- Reading the page ---- */

/* As what content of a device's own records counts: that of the end of its log in the cut. */
static void find_owner(const struct sl_core *core, struct by *by)
{
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        const struct sl_origin_state *origin = core->origins[i];
        if (sl_origin_lags(origin) && origin->cut_hlc > by->owner_hlc &&
            sl_uuid_equal(&origin->name.device, &by->state.name.device)) {
            by->owner_hlc = origin->cut_hlc;
            by->owner = origin->name;
        }
    }
}

static enum syncline_status by_name(struct work *work, const struct sl_origin *name,
                                    struct by **found, struct sl_error *err)
{
    struct by *by = work->bys;
    while (by != NULL && !sl_origin_equal(&by->state.name, name)) {
        by = by->next;
    }
    *found = by;
    if (by != NULL) {
        return SYNCLINE_OK;
    }
    by = sl_arena_alloc(work->slice->arena, sizeof(*by));
    if (by == NULL) {
        return no_memory(err);
    }
    *by = (struct by){.state = {.name = *name}, .next = work->bys};
    by->known = sl_core_origin(work->core, name);
    find_owner(work->core, by);
    work->bys = by;
    *found = by;
    return sl_library_db_origin_number(&work->core->writer.ldb, name, &by->state.number, err);
}

static struct item *add_item(struct work *work)
{
    if (work->len == work->capacity) {
        uint32_t more = work->capacity == 0 ? 1024 : 2 * work->capacity;
        struct item *grown = sl_arena_alloc(work->slice->arena, more * sizeof(*grown));
        if (grown == NULL) {
            return NULL;
        }
        if (work->len > 0) {
            memcpy(grown, work->items, work->len * sizeof(*grown));
        }
        work->items = grown;
        work->capacity = more;
    }
    struct item *item = &work->items[work->len++];
    *item = (struct item){.kind = SL_PAGE_END};
    return item;
}

/* Birth and stamp of an item. */
static enum syncline_status set_stamp(struct work *work, struct item *item,
                                      const struct sl_birth *birth, uint64_t birth_hlc,
                                      enum syncline_ownership class, const struct sl_stamp *stamp,
                                      struct sl_error *err)
{
    enum syncline_status status = by_name(work, &birth->origin, &item->born_by, err);
    item->by = item->born_by;
    if (status == SYNCLINE_OK && class == SYNCLINE_DEVICE_OWNED &&
        item->born_by->owner_hlc > stamp->hlc) {
        item->paged.hlc = item->born_by->owner_hlc;
        status = by_name(work, &item->born_by->owner, &item->by, err);
    } else if (status == SYNCLINE_OK) {
        item->paged.hlc = stamp->hlc;
        status = by_name(work, &stamp->origin, &item->by, err);
    }
    item->paged.born_by = birth->origin;
    if (status == SYNCLINE_OK) {
        item->paged.birth = (struct sl_birth_run){.n = 1,
                                                  .origin = item->born_by->state.number,
                                                  .seq = birth->seq,
                                                  .hlc = birth_hlc,
                                                  .class = class};
    }
    return status;
}

/* The group as inserts, as if its changes were the births; NULL: no memory. */
static struct sl_group *as_inserts(struct work *work, const struct sl_group *group)
{
    struct sl_group *inserts = sl_arena_copy(work->slice->arena, group, sizeof(*group));
    if (inserts != NULL) {
        inserts->change = SYNCLINE_INSERT;
        inserts->births = NULL;
    }
    return inserts;
}

static enum syncline_status localize(struct work *work, const struct sl_group *group,
                                     struct sl_localized **localized, struct sl_error *err)
{
    *localized = group != NULL ? sl_arena_alloc(work->slice->arena, sizeof(**localized)) : NULL;
    return *localized == NULL
               ? no_memory(err)
               : sl_localize_group(*localized, work->model, group, work->slice->arena, err);
}

static enum syncline_status read_group(struct work *work, const uint8_t *data, size_t size,
                                       struct sl_group **group, struct sl_error *err)
{
    static const struct sl_origin nobody;
    struct sl_msgpack in;
    *group = sl_arena_alloc(work->slice->arena, sizeof(**group));
    if (*group == NULL) {
        return no_memory(err);
    }
    sl_msgpack_init(&in, data, size);
    enum syncline_status status =
        sl_group_read(&in, &nobody, SL_BATCH_LEN_MAX, work->slice->arena, *group, err);
    if (status == SYNCLINE_OK &&
        ((*group)->model_len != work->page.model.len || !sl_msgpack_done(&in) ||
         memcmp((*group)->model, work->page.model.name, (*group)->model_len) != 0)) {
        status = malformed(err, "a group");
    }
    return status;
}

static bool in_range(const struct work *work, const struct syncline_uuid *uuid)
{
    return sl_uuid_compare(uuid, &work->page.lo) >= 0 && sl_uuid_compare(uuid, &work->page.hi) <= 0;
}

static enum syncline_status read_rows(struct work *work, const struct sl_page_part *part,
                                      struct sl_error *err)
{
    struct sl_group *group = NULL;
    struct sl_localized *insert = NULL;
    struct sl_localized *update = NULL;
    struct sl_page_run run = {0};
    struct sl_page_stamp stamp = {0};
    uint32_t runs = 0;
    uint32_t stamps = 0;
    enum syncline_status status = read_group(work, part->group, part->group_size, &group, err);
    if (status == SYNCLINE_OK &&
        (group->change != SYNCLINE_UPDATE || group->n != part->n || group->further_len > 0)) {
        status = malformed(err, "a group of rows");
    }
    if (status == SYNCLINE_OK) {
        status = localize(work, as_inserts(work, group), &insert, err);
    }
    if (status == SYNCLINE_OK) {
        status = localize(work, group, &update, err);
    }
    for (uint32_t i = 0; status == SYNCLINE_OK && i < group->n; i++) {
        if (run.n == 0) {
            run = sl_page_run_at(part, runs++);
        }
        if (!in_range(work, &group->uuids[i])) {
            return malformed(err, "a record");
        }
        struct item *item = add_item(work);
        if (item == NULL) {
            return no_memory(err);
        }
        item->uuid = group->uuids[i];
        item->kind = SL_PAGE_ROWS;
        item->insert = insert;
        item->update = update;
        item->i = i;
        struct sl_stamp of = {.hlc = run.hlc, .origin = group->births[i].origin};
        if (stamps < part->stamps_len && (stamps > 0 || stamp.i == 0)) {
            stamp = sl_page_stamp_at(part, stamps);
        }
        if (stamps < part->stamps_len && stamp.i == i) {
            of = stamp.stamp;
            stamps++;
        }
        status = set_stamp(work, item, &group->births[i], run.hlc, group->class, &of, err);
        run.n--;
        run.hlc++;
    }
    return status;
}

static enum syncline_status read_other(struct work *work, const struct sl_page_part *part,
                                       struct sl_error *err)
{
    const struct sl_page_other *other = &part->other;
    struct sl_group *group = NULL;
    enum syncline_status status = SYNCLINE_OK;
    struct item *item = add_item(work);
    struct sl_birth *birth = sl_arena_copy(work->slice->arena, &other->birth, sizeof(other->birth));
    if (item == NULL || birth == NULL) {
        return no_memory(err);
    }
    item->uuid = other->uuid;
    item->kind = part->kind;
    if (other->body_size > 0) {
        status = read_group(work, other->body, other->body_size, &group, err);
        if (status == SYNCLINE_OK && (group->change != SYNCLINE_INSERT || group->n != 1 ||
                                      !sl_uuid_equal(&group->uuids[0], &other->uuid))) {
            status = malformed(err, "a body");
        }
        if (status == SYNCLINE_OK) {
            status = localize(work, as_inserts(work, group), &item->insert, err);
        }
    } else {
        group = sl_arena_alloc(work->slice->arena, sizeof(*group));
        if (group == NULL) {
            return no_memory(err);
        }
        *group = (struct sl_group){.n = 1, .class = other->class, .uuids = &item->uuid};
        group->uuids = sl_arena_copy(work->slice->arena, &other->uuid, sizeof(other->uuid));
    }
    if (status == SYNCLINE_OK) {
        group->change = part->kind == SL_PAGE_DELETE ? SYNCLINE_DELETE : SYNCLINE_UPDATE;
        group->births = birth;
        status = localize(work, group->uuids != NULL ? group : NULL, &item->update, err);
    }
    return status == SYNCLINE_OK ? set_stamp(work, item, &other->birth, other->birth_hlc,
                                             other->class, &other->stamp, err)
                                 : status;
}

static int compare_items(const void *a, const void *b)
{
    const struct item *left = a;
    const struct item *right = b;
    int order = sl_uuid_compare(&left->uuid, &right->uuid);
    return order != 0 ? order : (int)left->kind - (int)right->kind;
}

static enum syncline_status read_page(struct work *work, struct sl_error *err)
{
    struct sl_page_part part;
    struct sl_page rest;
    enum syncline_status status =
        sl_page_get(work->slice->data, work->slice->size, &work->page, err);
    if (status == SYNCLINE_OK) {
        work->model =
            sl_model_find_name(&work->core->models, work->page.model.name, work->page.model.len);
    }
    if (status == SYNCLINE_OK && work->model == NULL) {
        return malformed(err, "a model");
    }
    rest = work->page;
    part.kind = SL_PAGE_ROWS;
    while (status == SYNCLINE_OK && part.kind != SL_PAGE_END) {
        sl_page_next(&rest, &part);
        if (part.kind == SL_PAGE_ROWS) {
            status = read_rows(work, &part, err);
        } else if (part.kind != SL_PAGE_END) {
            status = read_other(work, &part, err);
        }
    }
    if (status == SYNCLINE_OK && work->len > 0) {
        qsort(work->items, work->len, sizeof(*work->items), compare_items);
    }
    return status;
}

/* ---- What is here ---- */

/* A record of this device in the range of a step. */
struct here {
    struct syncline_uuid uuid;
    int64_t id; /* of its row; 0: it has none */
};

struct step {
    struct syncline_uuid lo;
    struct syncline_uuid hi;
    struct here here[STEP_LEN + 2 * STEP_OTHERS]; /* by UUID, each once */
    uint32_t len;
};

/* The step goes no further than to before this record; but its first record it takes whole. */
static void end_before(struct step *step, const struct syncline_uuid *uuid)
{
    struct syncline_uuid hi =
        sl_uuid_compare(uuid, &step->lo) > 0 ? sl_uuid_before(uuid) : step->lo;
    if (sl_uuid_compare(&hi, &step->hi) < 0) {
        step->hi = hi;
    }
}

static int compare_here(const void *a, const void *b)
{
    const struct here *left = a;
    const struct here *right = b;
    int order = sl_uuid_compare(&left->uuid, &right->uuid);
    return order != 0 ? order : (left->id < right->id) - (left->id > right->id);
}

static enum syncline_status find_rows(struct work *work, struct step *step, struct sl_error *err)
{
    struct sl_record_name *names =
        sl_arena_alloc(work->slice->arena, (STEP_LEN + 1) * sizeof(*names));
    uint32_t len = 0;
    if (names == NULL) {
        return no_memory(err);
    }
    struct sl_record_table *table = &work->core->writer.tables[work->model->index];
    enum syncline_status status =
        sl_record_list(table, &step->lo, &step->hi, names, STEP_LEN + 1, &len, err);
    if (status == SYNCLINE_OK && len > STEP_LEN) {
        end_before(step, &names[--len].uuid);
    }
    for (uint32_t i = 0; i < len && status == SYNCLINE_OK; i++) {
        step->here[step->len++] = (struct here){.uuid = names[i].uuid, .id = names[i].id};
    }
    return status;
}

/* Records that have hidden births, or of which something waits. */
static enum syncline_status find_others(struct work *work, struct step *step, struct sl_error *err)
{
    struct sl_arena *arena = work->slice->arena;
    struct sl_rows *rows = &work->core->writer;
    struct sl_waiting_room *room = &work->writer->waiting.room;
    enum syncline_status status = SYNCLINE_OK;
    size_t len = 0;
    if (sl_core_may_hide(work->core, work->model)) {
        struct sl_hidden_named *hidden = sl_arena_alloc(arena, STEP_OTHERS * sizeof(*hidden));
        status = hidden == NULL
                     ? no_memory(err)
                     : sl_hidden_birth_range(&rows->hidden, work->model->id_in_db, &step->lo,
                                             &step->hi, arena, hidden, STEP_OTHERS, &len, err);
        for (size_t i = 0; i < len && status == SYNCLINE_OK; i++) {
            step->here[step->len++].uuid = hidden[i].uuid;
        }
        if (status == SYNCLINE_OK && len == STEP_OTHERS) {
            end_before(step, &hidden[len - 1].uuid);
        }
    }
    if (status == SYNCLINE_OK && room->count.records > 0) {
        struct sl_waiting *waiting = sl_arena_alloc(arena, STEP_OTHERS * sizeof(*waiting));
        status = waiting == NULL
                     ? no_memory(err)
                     : sl_waiting_range(room, work->model->id_in_db, &step->lo, &step->hi, arena,
                                        waiting, STEP_OTHERS, &len, err);
        for (size_t i = 0; i < len && status == SYNCLINE_OK; i++) {
            step->here[step->len++].uuid = waiting[i].uuid;
        }
        if (status == SYNCLINE_OK && len == STEP_OTHERS) {
            end_before(step, &waiting[len - 1].uuid);
        }
    }
    return status;
}

/* What is here from `lo` on, and how far the step goes. */
static enum syncline_status begin_step(struct work *work, struct step *step, struct sl_error *err)
{
    step->lo = work->core->snapshot.lo[work->model->index];
    step->hi = work->page.hi;
    step->len = 0;
    memset(step->here, 0, sizeof(step->here));
    if (work->next + STEP_LEN < work->len) {
        end_before(step, &work->items[work->next + STEP_LEN].uuid);
    }
    enum syncline_status status = find_rows(work, step, err);
    if (status == SYNCLINE_OK) {
        status = find_others(work, step, err);
    }
    if (status != SYNCLINE_OK || step->len == 0) {
        return status;
    }
    qsort(step->here, step->len, sizeof(step->here[0]), compare_here); /* rows first */
    uint32_t kept = 0;
    for (uint32_t i = 0; i < step->len; i++) {
        bool again = kept > 0 && sl_uuid_equal(&step->here[kept - 1].uuid, &step->here[i].uuid);
        if (!again && sl_uuid_compare(&step->here[i].uuid, &step->hi) <= 0) {
            step->here[kept++] = step->here[i];
        }
    }
    step->len = kept;
    return SYNCLINE_OK;
}

/* The births of a record that live here. */
struct living {
    struct sl_birth_run *births; /* in the arena */
    uint32_t len;
    uint32_t capacity;
};

static enum syncline_status add_living(struct work *work, struct living *living, int64_t origin,
                                       uint64_t seq, struct sl_error *err)
{
    if (living->len == living->capacity) {
        uint32_t more = living->capacity == 0 ? 4 : 2 * living->capacity;
        struct sl_birth_run *grown = sl_arena_alloc(work->slice->arena, more * sizeof(*grown));
        if (grown == NULL) {
            return no_memory(err);
        }
        if (living->len > 0) {
            memcpy(grown, living->births, living->len * sizeof(*grown));
        }
        living->births = grown;
        living->capacity = more;
    }
    living->births[living->len++] = (struct sl_birth_run){.n = 1, .origin = origin, .seq = seq};
    return SYNCLINE_OK;
}

static enum syncline_status find_living(struct work *work, const struct here *here,
                                        struct living *living, struct sl_error *err)
{
    struct sl_rows *rows = &work->core->writer;
    struct sl_waiting_room *room = &work->writer->waiting.room;
    int64_t model = work->model->id_in_db;
    struct sl_birth_run shown;
    bool found = false;
    enum syncline_status status = sl_record_writer_flush(work->writer, err);
    if (status == SYNCLINE_OK && here->id != 0) {
        status = sl_birth_get(&rows->births, model, here->id, &found, &shown, err);
    }
    if (status == SYNCLINE_OK && found) {
        status = add_living(work, living, shown.origin, shown.seq, err);
    }
    if (status == SYNCLINE_OK && sl_core_may_hide(work->core, work->model)) {
        struct sl_hidden_birth *list = NULL;
        size_t len = 0;
        status = sl_hidden_birth_list(&rows->hidden, model, &here->uuid, false, work->slice->arena,
                                      &list, &len, err);
        for (size_t i = 0; i < len && status == SYNCLINE_OK; i++) {
            status = add_living(work, living, list[i].origin, list[i].seq, err);
        }
    }
    int64_t entry = 0;
    while (status == SYNCLINE_OK && room->count.records > 0) {
        struct sl_waiting waiting;
        status = sl_waiting_next_of(room, model, &here->uuid, &entry, err);
        if (status != SYNCLINE_OK || entry == 0) {
            break;
        }
        status = sl_waiting_get(room, entry, work->slice->arena, &found, &waiting, err);
        if (status == SYNCLINE_OK && found && waiting.change == SYNCLINE_INSERT) {
            status = add_living(work, living, waiting.birth_origin, waiting.birth_seq, err);
        }
    }
    return status;
}

static bool is_birth(const struct sl_birth_run *a, const struct sl_birth_run *b)
{
    return a->origin == b->origin && a->seq == b->seq;
}

static bool lives(const struct living *living, const struct sl_birth_run *birth)
{
    bool found = false;
    for (uint32_t i = 0; i < living->len; i++) {
        found = found || is_birth(&living->births[i], birth);
    }
    return found;
}

/* ---- Writing ---- */

/* A birth that is not here: is it the snapshot's to bring? What was applied before is dead, and
 * what is above the cut comes by the log. */
static bool is_to_come(const struct item *item)
{
    const struct sl_origin_state *known = item->born_by->known;
    return known != NULL && sl_origin_lags(known) && item->paged.birth.seq > known->known_seq &&
           item->paged.birth.seq <= known->cut_seq;
}

static const char unknown_reason[256] =
    "not here: the device that gave the snapshot could not apply it";

static enum syncline_status set_aside(struct work *work, const struct item *item,
                                      const char reason[256], struct sl_error *err)
{
    return sl_record_set_aside(work->writer, &item->paged.born_by, item->paged.birth.seq,
                               work->model, &item->uuid, reason, err);
}

static enum syncline_status write_item(struct work *work, struct item *item,
                                       struct sl_localized *localized, struct sl_error *err)
{
    struct sl_page_slice *slice = work->slice;
    bool unchanged = item->by == item->born_by && item->paged.hlc == item->paged.birth.hlc;
    const struct sl_apply_record record = {.origin = &item->by->state,
                                           .localized = localized,
                                           .i = item->i,
                                           .seq = unchanged ? item->paged.birth.seq : 0,
                                           .paged = &item->paged};
    enum sl_outcome outcome = SL_OUTCOME_WRITTEN;
    char reason[256] = "";
    enum syncline_status status =
        slice->carefully ? sl_record_try(work->writer, &record, &outcome, reason, err)
                         : sl_record_write(work->writer, &record, &outcome, reason, err);
    if (status == SYNCLINE_OK && outcome != SL_OUTCOME_WRITTEN && slice->carefully) {
        return set_aside(work, item, reason, err);
    }
    slice->cannot = slice->cannot || outcome != SL_OUTCOME_WRITTEN;
    return status;
}

static enum syncline_status write_living(struct work *work, struct item *item, bool here,
                                         struct sl_error *err)
{
    work->slice->records++;
    if (!here) {
        return is_to_come(item) ? write_item(work, item, item->insert, err) : SYNCLINE_OK;
    }
    /* What the owner's log brought is later than any page, unless that is still to come. */
    bool has_say = item->paged.birth.class == SYNCLINE_SHARED || item->born_by->owner_hlc > 0;
    return has_say ? write_item(work, item, item->update, err) : SYNCLINE_OK;
}

static enum syncline_status write_one(struct work *work, struct item *item,
                                      const struct living *living, struct sl_error *err)
{
    bool here = lives(living, &item->paged.birth);
    switch (item->kind) {
    case SL_PAGE_ROWS:
    case SL_PAGE_LIVING:
        return write_living(work, item, here, err);
    case SL_PAGE_UPDATE:
    case SL_PAGE_DELETE:
        return write_item(work, item, item->update, err);
    default:
        return here || !is_to_come(item) ? SYNCLINE_OK : set_aside(work, item, unknown_reason, err);
    }
}

/* A birth that is here and that the page does not bring: is it dead? */
static enum syncline_status write_dead(struct work *work, const struct syncline_uuid *uuid,
                                       const struct sl_birth_run *birth, struct sl_error *err)
{
    struct sl_page_slice *slice = work->slice;
    enum sl_outcome outcome = SL_OUTCOME_WRITTEN;
    char reason[256] = "";
    struct sl_origin name;
    bool found = false;
    enum syncline_status status =
        sl_library_db_origin(&work->core->writer.ldb, birth->origin, &found, &name, err);
    const struct sl_origin_state *known =
        status == SYNCLINE_OK && found ? sl_core_origin(work->core, &name) : NULL;
    if (known == NULL || birth->seq > known->cut_seq) {
        return status;
    }
    struct sl_waiting_mark mark;
    status = slice->carefully ? sl_record_save(work->writer, &mark, err) : SYNCLINE_OK;
    if (status == SYNCLINE_OK) {
        status =
            sl_record_write_dead(work->writer, work->model, uuid, birth, &outcome, reason, err);
    }
    if (status == SYNCLINE_OK && slice->carefully) {
        status = sl_record_keep(work->writer, mark, &outcome, reason, err);
    }
    if (status == SYNCLINE_OK && outcome != SL_OUTCOME_WRITTEN && slice->carefully) {
        return sl_record_set_aside(work->writer, &name, birth->seq, work->model, uuid, reason, err);
    }
    slice->cannot = slice->cannot || outcome != SL_OUTCOME_WRITTEN;
    return status;
}

/* One record: what the page says of it, work->items[next, end), and what is here. What the page
 * brings is written first, so that a row that shows a dead birth keeps its id. */
static enum syncline_status write_record(struct work *work, const struct here *here, uint32_t end,
                                         struct sl_error *err)
{
    struct living living = {.len = 0};
    enum syncline_status status =
        here != NULL ? find_living(work, here, &living, err) : SYNCLINE_OK;
    for (uint32_t k = work->next; k < end && status == SYNCLINE_OK && !work->slice->cannot; k++) {
        status = write_one(work, &work->items[k], &living, err);
    }
    for (uint32_t i = 0; i < living.len && status == SYNCLINE_OK && !work->slice->cannot; i++) {
        bool brought = false;
        for (uint32_t k = work->next; k < end; k++) {
            brought = brought || (work->items[k].kind != SL_PAGE_DELETE &&
                                  is_birth(&work->items[k].paged.birth, &living.births[i]));
        }
        status = brought ? SYNCLINE_OK : write_dead(work, &here->uuid, &living.births[i], err);
    }
    work->next = end;
    return status;
}

/* Both lists together, in the order of the UUIDs. */
static enum syncline_status run_step(struct work *work, struct step *step, struct sl_error *err)
{
    enum syncline_status status = begin_step(work, step, err);
    uint32_t at = 0;
    while (status == SYNCLINE_OK && !work->slice->cannot) {
        const struct item *item = work->next < work->len ? &work->items[work->next] : NULL;
        bool comes = item != NULL && sl_uuid_compare(&item->uuid, &step->hi) <= 0;
        const struct here *here = at < step->len ? &step->here[at] : NULL;
        if (!comes && here == NULL) {
            break;
        }
        int order = !comes ? 1 : here == NULL ? -1 : sl_uuid_compare(&item->uuid, &here->uuid);
        uint32_t end = work->next;
        while (order <= 0 && end < work->len &&
               sl_uuid_equal(&work->items[end].uuid, &item->uuid)) {
            end++;
        }
        status = write_record(work, order >= 0 ? here : NULL, end, err);
        at += order >= 0 ? 1 : 0;
    }
    return status;
}

/* What is up to the end of the step is here. */
static void move_place(struct work *work, const struct step *step)
{
    struct sl_snapshot_place *place = &work->core->snapshot;
    uint32_t model = work->model->index;
    struct syncline_uuid next = sl_uuid_add(&step->hi, 1);
    work->slice->done = sl_uuid_equal(&step->hi, &work->page.hi);
    place->taken[model] = sl_uuid_compare(&next, &step->hi) < 0; /* it was the greatest there is */
    place->lo[model] = next;
}

static void skip_to(struct work *work, const struct syncline_uuid *lo)
{
    while (work->next < work->len && sl_uuid_compare(&work->items[work->next].uuid, lo) < 0) {
        work->next++;
    }
}

static enum syncline_status run_steps(struct work *work, struct sl_error *err)
{
    struct sl_page_slice *slice = work->slice;
    const struct sl_env *env = work->core->env;
    struct step *step = sl_arena_alloc(slice->arena, sizeof(*step));
    if (step == NULL) {
        return no_memory(err);
    }
    enum syncline_status status = SYNCLINE_OK;
    do {
        status = run_step(work, step, err);
        if (status != SYNCLINE_OK || slice->cannot) {
            return status;
        }
        move_place(work, step);
    } while (!slice->done && env->mono_ns(env->ctx) < slice->end_ns);
    return sl_record_writer_flush(work->writer, err);
}

enum syncline_status sl_page_slice_run(struct sl_page_slice *slice, struct sl_error *err)
{
    struct sl_core *core = slice->writer->core;
    struct work work = {.slice = slice, .core = core, .writer = slice->writer};
    slice->cannot = slice->done = false;
    slice->records = 0;
    enum syncline_status status = read_page(&work, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct syncline_uuid lo = core->snapshot.lo[work.model->index];
    uint64_t records_max = slice->writer->waiting.room.records_max;
    skip_to(&work, &lo);
    /* What a page brings is never too much for the room: what waits there may wait for pages. */
    slice->writer->waiting.room.records_max = UINT64_MAX;
    status = run_steps(&work, err);
    slice->writer->waiting.room.records_max = records_max;
    return status;
}
