/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/scan.h"

#include <string.h>

#include "stages/reopen.h"

#define RETRY_NS ((uint64_t)100 * 1000 * 1000)

struct sl_scan_aside {
    struct sl_scan_aside *next;
    const struct sl_model *model;
    int64_t id;
};

struct sl_scan_model {
    const struct sl_model *model;
    struct sl_record_scan rows;
    bool is_open;             /* rows are left */
    bool takes_along;         /* a key of it may lead to rows that are not taken in yet */
    struct sl_scan_mark mark; /* as of the slice under way */
    /* Of the slice under way: what it takes in, and the runs under way of both. */
    struct sl_buf ids;
    struct sl_buf uuids;
    uint32_t n;
    int64_t first_id;
    uint32_t id_n;
    struct syncline_uuid first_uuid;
    uint32_t uuid_n;
};

/* ---- Begin and end ---- */

/* Puts the models into an order in which each comes after all whose keys it holds; of a circle they
 * come as they may. */
static void put_in_order(struct sl_scan *scan)
{
    const struct sl_model_set *set = &scan->core->models;
    size_t placed = 0;
    bool force = false; /* a circle: begin it somewhere */
    while (placed < set->count) {
        size_t before = placed;
        for (size_t i = 0; i < set->count && (!force || placed == before); i++) {
            const struct sl_model *model = &set->models[i];
            bool is_placed = false;
            bool waits = false;
            for (size_t k = 0; k < placed; k++) {
                is_placed = is_placed || scan->order[k] == model->index;
            }
            for (uint32_t f = 0; f < model->field_count && !is_placed; f++) {
                const struct sl_model *parent = model->fields[f].parent;
                bool is_there = parent == NULL || parent == model;
                for (size_t k = 0; k < placed && !is_there; k++) {
                    is_there = scan->order[k] == parent->index;
                }
                waits = waits || !is_there;
            }
            if (!is_placed && (!waits || force)) {
                scan->order[placed++] = model->index;
            }
        }
        force = placed == before;
    }
}

/* Parents that come later in the order, or in the same table, may not be taken in yet. */
static void find_takers(struct sl_scan *scan)
{
    const struct sl_model_set *set = &scan->core->models;
    for (size_t at = 0; at < set->count; at++) {
        const struct sl_model *model = &set->models[scan->order[at]];
        for (uint32_t f = 0; f < model->field_count; f++) {
            for (size_t k = at; k < set->count && model->fields[f].parent != NULL; k++) {
                if (scan->order[k] == model->fields[f].parent->index) {
                    scan->models[model->index].takes_along = true;
                }
            }
        }
    }
}

enum syncline_status sl_scan_init(struct sl_scan *scan, struct sl_core *core, struct sl_error *err)
{
    const struct sl_allocator *alloc = core->env->alloc;
    size_t count = core->models.count > 0 ? core->models.count : 1;
    memset(scan, 0, sizeof(*scan));
    scan->core = core;
    sl_mentions_init(&scan->named, alloc);
    sl_arena_init(&scan->arena, alloc);
    scan->models = sl_calloc(alloc, count, sizeof(*scan->models));
    scan->order = sl_calloc(alloc, count, sizeof(*scan->order));
    if (scan->models == NULL || scan->order == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the scan");
    }
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < core->models.count && status == SYNCLINE_OK; i++) {
        struct sl_scan_model *model = &scan->models[i];
        model->model = &core->models.models[i];
        sl_record_scan_init(&model->rows, &core->writer.ldb.db, model->model);
        sl_buf_init(&model->ids, alloc);
        sl_buf_init(&model->uuids, alloc);
        status =
            sl_scan_mark_get(&core->writer.ldb, model->model, &model->is_open, &model->mark, err);
        scan->left += model->is_open ? 1 : 0;
    }
    /* One that ended before the library was closed may have left rows in the outbox. */
    int64_t scanned_to = INT64_MAX;
    if (status == SYNCLINE_OK && scan->left == 0) {
        status = sl_outbox_max(&core->writer.ldb, &scanned_to, err);
    }
    atomic_store(&core->scanned_to, scanned_to);
    if (status == SYNCLINE_OK) {
        put_in_order(scan);
        find_takers(scan);
    }
    return status;
}

void sl_scan_fini(struct sl_scan *scan)
{
    if (scan->core == NULL) {
        return;
    }
    const struct sl_allocator *alloc = scan->core->env->alloc;
    for (size_t i = 0; i < scan->core->models.count && scan->models != NULL; i++) {
        if (scan->models[i].model != NULL) {
            sl_record_scan_fini(&scan->models[i].rows);
            sl_buf_fini(&scan->models[i].ids);
            sl_buf_fini(&scan->models[i].uuids);
        }
    }
    sl_free(alloc, scan->models);
    sl_free(alloc, scan->order);
    scan->models = NULL;
    scan->order = NULL;
    sl_mentions_fini(&scan->named);
    sl_arena_fini(&scan->arena);
    scan->core = NULL;
}

/* ---- What a slice takes in ---- */

static void end_id_run(struct sl_scan_model *model)
{
    if (model->id_n > 0) {
        sl_buf_u64(&model->ids, (uint64_t)model->first_id);
        sl_buf_u32(&model->ids, model->id_n);
    }
    model->id_n = 0;
}

static void end_uuid_run(struct sl_scan_model *model)
{
    if (model->uuid_n > 0) {
        sl_buf_bytes(&model->uuids, model->first_uuid.bytes, sizeof(model->first_uuid.bytes));
        sl_buf_u32(&model->uuids, model->uuid_n);
    }
    model->uuid_n = 0;
}

static void take_in(struct sl_scan_model *model, const struct sl_scan_row *row)
{
    /* Unsigned: another row may come after that with the greatest id, which was taken along. */
    uint64_t next_id = (uint64_t)model->first_id + model->id_n;
    if (model->id_n == 0 || next_id != (uint64_t)row->id || row->id == INT64_MIN) {
        end_id_run(model);
        model->first_id = row->id;
    }
    struct syncline_uuid next = sl_uuid_add(&model->first_uuid, model->uuid_n);
    if (model->uuid_n == 0 || !sl_uuid_equal(&next, &row->uuid)) {
        end_uuid_run(model);
        model->first_uuid = row->uuid;
    }
    model->id_n++;
    model->uuid_n++;
    model->n++;
}

/* Is the row named by nobody yet? */
static enum syncline_status is_new(struct sl_scan *scan, const struct sl_model *model,
                                   const struct sl_scan_row *row, bool *is, struct sl_error *err)
{
    struct sl_birth_run birth;
    bool born = false;
    enum syncline_status status =
        sl_birth_get(&scan->core->writer.births, model->id_in_db, row->id, &born, &birth, err);
    *is = !born &&
          sl_mentions_last(&scan->named, model->id_in_db, &row->uuid).row <= scan->settled_to;
    return status;
}

static enum syncline_status is_insert_or_update(void *ctx, const struct sl_outbox_row *row,
                                                bool *wanted, struct sl_error *err)
{
    (void)ctx;
    (void)err;
    *wanted = row->change != SYNCLINE_DELETE;
    return SYNCLINE_OK;
}

static enum syncline_status no_memory(struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the scan");
}

static enum syncline_status set_aside(struct sl_scan *scan, const struct sl_model *model,
                                      int64_t id, struct sl_error *err)
{
    struct sl_scan_aside *aside = sl_arena_alloc(&scan->arena, sizeof(*aside));
    if (aside == NULL) {
        return no_memory(err);
    }
    *aside = (struct sl_scan_aside){.next = scan->asides, .model = model, .id = id};
    scan->asides = aside;
    return SYNCLINE_OK;
}

struct syncline_uuid sl_scan_stand_in(int64_t id)
{
    struct syncline_uuid uuid = {{0}};
    for (unsigned i = 0; i < 8; i++) {
        uuid.bytes[8 + i] = (uint8_t)((uint64_t)id >> (56 - 8 * i));
    }
    return uuid;
}

bool sl_scan_is_stand_in(const struct syncline_uuid *uuid, int64_t *id)
{
    uint64_t number = 0;
    for (unsigned i = 8; i < 16; i++) {
        number = number << 8 | uuid->bytes[i];
    }
    struct syncline_uuid stand_in = sl_scan_stand_in((int64_t)number);
    *id = (int64_t)number;
    return sl_uuid_equal(uuid, &stand_in);
}

/* It is named by its id in place of a UUID, so that it has one entry however often it is met. */
static enum syncline_status put_aside(struct sl_core *core, const struct sl_scan_aside *aside,
                                      struct sl_error *err)
{
    struct sl_set_aside record = {
        .origin = core->self, .seq = 0, .uuid = sl_scan_stand_in(aside->id)};
    (void)sqlite3_snprintf((int)sizeof(record.model), record.model, "%s", aside->model->name);
    (void)sqlite3_snprintf((int)sizeof(record.reason), record.reason,
                           "not taken in: the row with %s %lld in table '%s' has no UUID of 16 "
                           "bytes; give it one and capture it",
                           aside->model->id.name, (long long)aside->id, aside->model->table);
    return sl_set_aside_put(&core->log, &record, core->env->wall_ms(core->env->ctx), err);
}

/* Before the mark moves: twice is no harm. */
static enum syncline_status put_asides(struct sl_scan *scan, struct sl_error *err)
{
    struct sl_core *core = scan->core;
    if (scan->asides == NULL) {
        return SYNCLINE_OK;
    }
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_core_log_begin(core, err);
    for (const struct sl_scan_aside *aside = scan->asides; aside != NULL && status == SYNCLINE_OK;
         aside = aside->next) {
        status = put_aside(core, aside, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_core_log_commit(core, err);
    }
    sl_peer_log_rollback(&core->log);
    (void)pthread_mutex_unlock(&core->log_lock);
    atomic_store(&core->some_aside, true);
    return status;
}

/* ---- Parents first ---- */

/* A row whose parents are being looked at. */
struct step {
    struct sl_scan_model *model;
    struct sl_scan_row row;
    int64_t *parents; /* key_count */
    uint32_t field;   /* the next to look at */
    uint32_t key;     /* of the keys before it */
};

/* Rows that this slice has met, so that none is taken in twice and a circle ends. */
struct met {
    uint32_t index; /* of the model, + 1; 0: free */
    int64_t id;
};

#define MET_SIZE 16384u /* a power of two; more than twice what a slice meets */
_Static_assert(MET_SIZE > 2 * (SL_SCAN_LEN + SL_SCAN_MORE_LEN), "places are free");

struct walk {
    struct step *steps; /* SL_SCAN_MORE_LEN + 1 */
    uint32_t len;
    uint32_t more; /* rows taken along so far */
    struct met *met;
    bool too_long; /* there are more than a slice holds */
};

/* So many rows a slice takes along. */
static uint32_t more_len_max(const struct sl_core *core)
{
    return core->scan_len < SL_SCAN_MORE_LEN / 4 ? 4 * core->scan_len : SL_SCAN_MORE_LEN;
}

/* true: it was not met before. */
static bool meet(struct walk *walk, const struct sl_model *model, int64_t id)
{
    uint32_t at = (uint32_t)((((uint64_t)id + model->index) * 0x9e3779b97f4a7c15u) >> 40);
    for (at &= MET_SIZE - 1; walk->met[at].index != 0; at = (at + 1) & (MET_SIZE - 1)) {
        if (walk->met[at].index == model->index + 1 && walk->met[at].id == id) {
            return false;
        }
    }
    walk->met[at] = (struct met){.index = model->index + 1, .id = id};
    return true;
}

static enum syncline_status push(struct sl_scan *scan, struct walk *walk,
                                 struct sl_scan_model *model, const struct sl_scan_row *row,
                                 const int64_t *parents, struct sl_error *err)
{
    struct step *step = &walk->steps[walk->len];
    size_t size = model->model->key_count * sizeof(*parents);
    *step = (struct step){
        .model = model, .row = *row, .parents = sl_arena_copy(&scan->arena, parents, size)};
    if (step->parents == NULL) {
        return no_memory(err);
    }
    walk->len++;
    return SYNCLINE_OK;
}

/* Takes the next parent of the topmost step along, if it is not taken in yet. */
static enum syncline_status go_up(struct sl_scan *scan, struct walk *walk, int64_t *parents,
                                  struct sl_error *err)
{
    struct step *step = &walk->steps[walk->len - 1];
    const struct sl_field *field = &step->model->model->fields[step->field++];
    if (field->parent == NULL) {
        return SYNCLINE_OK;
    }
    int64_t id = step->parents[step->key++];
    struct sl_scan_model *model = &scan->models[field->parent->index];
    if (!model->is_open || id <= model->mark.after || id > model->mark.up_to) {
        return SYNCLINE_OK;
    }
    if (walk->more == more_len_max(scan->core)) {
        walk->too_long = true;
        return SYNCLINE_OK;
    }
    if (!meet(walk, model->model, id)) {
        return SYNCLINE_OK;
    }
    walk->more++;
    struct sl_scan_row row;
    bool found = false;
    bool is = false;
    enum syncline_status status = sl_record_scan_one(&model->rows, id, &found, &row, parents, err);
    if (status == SYNCLINE_OK && found && row.has_uuid) {
        status = is_new(scan, model->model, &row, &is, err);
    }
    return status == SYNCLINE_OK && is ? push(scan, walk, model, &row, parents, err) : status;
}

/* Takes in the row on the steps, after all its parents. Or, when those are too many, none of the
 * rows on the steps: the next slice begins with the topmost. */
static enum syncline_status climb(struct sl_scan *scan, struct walk *walk, int64_t *parents,
                                  struct sl_error *err)
{
    bool by_force = scan->descents >= SL_SCAN_DESCENTS_MAX;
    while (walk->len > 0) {
        struct step *step = &walk->steps[walk->len - 1];
        bool looks = step->model->takes_along && !(walk->too_long && by_force);
        if (looks && step->field < step->model->model->field_count) {
            enum syncline_status status = go_up(scan, walk, parents, err);
            if (status != SYNCLINE_OK) {
                return status;
            }
            if (walk->too_long && !by_force) {
                scan->deep = step->model->model;
                scan->deep_id = step->row.id;
                return SYNCLINE_OK;
            }
            continue;
        }
        take_in(step->model, &step->row);
        walk->len--;
    }
    return SYNCLINE_OK;
}

/* ---- One slice ---- */

static enum syncline_status one_row(struct sl_scan *scan, struct walk *walk,
                                    struct sl_scan_model *model, const struct sl_scan_row *row,
                                    int64_t *parents, struct sl_error *err)
{
    bool is = false;
    if (!row->has_uuid) {
        return set_aside(scan, model->model, row->id, err);
    }
    enum syncline_status status = is_new(scan, model->model, row, &is, err);
    if (status != SYNCLINE_OK || !is || !meet(walk, model->model, row->id)) {
        return status;
    }
    status = push(scan, walk, model, row, parents, err);
    return status == SYNCLINE_OK ? climb(scan, walk, parents, err) : status;
}

/* Where the last slice ended in the middle of a chain. */
static enum syncline_status begin_deep(struct sl_scan *scan, struct walk *walk, int64_t *parents,
                                       struct sl_error *err)
{
    struct sl_scan_model *model = &scan->models[scan->deep->index];
    struct sl_scan_row row;
    bool found = false;
    enum syncline_status status =
        sl_record_scan_one(&model->rows, scan->deep_id, &found, &row, parents, err);
    scan->deep = NULL;
    return status == SYNCLINE_OK && found ? one_row(scan, walk, model, &row, parents, err) : status;
}

/* Looks at the next rows of the model; *ended: there are no more. */
static enum syncline_status next_rows(struct sl_scan *scan, struct walk *walk,
                                      struct sl_scan_model *model, int64_t *parents, bool *ended,
                                      struct sl_error *err)
{
    enum syncline_status status = sl_record_scan_begin(&model->rows, &model->mark, err);
    for (uint32_t i = 0; i < scan->core->scan_len && status == SYNCLINE_OK; i++) {
        struct sl_scan_row row;
        bool found = false;
        status = sl_record_scan_next(&model->rows, &found, &row, parents, err);
        if (status != SYNCLINE_OK || !found) {
            *ended = status == SYNCLINE_OK;
            break;
        }
        status = one_row(scan, walk, model, &row, parents, err);
        if (walk->too_long) {
            break; /* the mark stays before it */
        }
        model->mark.after = row.id;
    }
    sl_record_scan_done(&model->rows);
    return status;
}

static enum syncline_status write_outbox_row(struct sl_scan *scan, struct sl_scan_model *model,
                                             int64_t *outbox_id, struct sl_error *err)
{
    struct sl_core *core = scan->core;
    uint64_t token = 0;
    end_id_run(model);
    end_uuid_run(model);
    if (model->ids.failed || model->uuids.failed) {
        return no_memory(err);
    }
    if (core->env->random(core->env->ctx, &token, sizeof(token)) != SYNCLINE_OK) {
        return sl_fail(err, SYNCLINE_EIO, "the system gave no randomness");
    }
    struct sl_outbox_row row = {.token = token,
                                .model = model->model->id_in_db,
                                .change = SYNCLINE_INSERT,
                                .wall_ms = core->env->wall_ms(core->env->ctx),
                                .n = model->n,
                                .batch_len = core->batch_len,
                                .ids = model->ids.data,
                                .ids_size = model->ids.len,
                                .uuids = model->uuids.data,
                                .uuids_size = model->uuids.len};
    enum syncline_status status = sl_outbox_insert(&core->writer.ldb, &row, err);
    *outbox_id = status == SYNCLINE_OK ? row.id : *outbox_id;
    return status;
}

/* One row for each model, parents before children. */
static enum syncline_status write_outbox(struct sl_scan *scan, int64_t *outbox_id,
                                         struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < scan->core->models.count && status == SYNCLINE_OK; i++) {
        struct sl_scan_model *model = &scan->models[scan->order[i]];
        if (model->n > 0) {
            status = write_outbox_row(scan, model, outbox_id, err);
        }
    }
    return status;
}

/* Outbox rows up to which one are settled, as this transaction sees it? Rows above have given, or
 * will give, births that it may not see. */
static enum syncline_status read_settled(struct sl_scan *scan, struct sl_error *err)
{
    struct sl_core *core = scan->core;
    uint64_t applied = 0;
    enum syncline_status status =
        sl_library_db_applied(&core->writer.ldb, core->self_number, &applied, err);
    /* In this order: what was drained by now is in the log that is looked at then. */
    (void)pthread_mutex_lock(&core->progress.lock);
    int64_t drained_to = sl_drained_to(&core->progress.drained);
    (void)pthread_mutex_unlock(&core->progress.lock);
    scan->settled_to = applied >= sl_core_held(core, core->origins[0]) ? drained_to : 0;
    return status;
}

/* What earlier slices and transactions left in memory is read anew: they may not have committed. */
static enum syncline_status begin_slice(struct sl_scan *scan, struct walk *walk,
                                        struct sl_error *err)
{
    struct sl_core *core = scan->core;
    struct sl_outbox_row first;
    bool found = false;
    sl_births_forget(&core->writer.births);
    enum syncline_status status = read_settled(scan, err);
    if (status == SYNCLINE_OK) {
        status = sl_outbox_next(&core->writer.ldb, 0, &found, &first, err);
    }
    int64_t oldest = status == SYNCLINE_OK && found ? first.id : 1;
    sl_outbox_done(&core->writer.ldb);
    if (status == SYNCLINE_OK) {
        sl_mentions_forget(&scan->named, oldest);
        status = sl_mentions_read(&scan->named, &core->writer.ldb, oldest - 1, is_insert_or_update,
                                  NULL, err);
    }
    for (size_t i = 0; i < core->models.count && status == SYNCLINE_OK; i++) {
        struct sl_scan_model *model = &scan->models[i];
        sl_buf_clear(&model->ids);
        sl_buf_clear(&model->uuids);
        model->n = model->id_n = model->uuid_n = 0;
        if (model->is_open) {
            status = sl_scan_mark_get(&core->writer.ldb, model->model, &model->is_open,
                                      &model->mark, err);
            model->is_open = model->is_open || status != SYNCLINE_OK;
            scan->left -= model->is_open ? 0 : 1;
        }
    }
    sl_arena_reset(&scan->arena);
    scan->asides = NULL;
    walk->steps = sl_arena_alloc_raw(&scan->arena, (SL_SCAN_MORE_LEN + 1) * sizeof(*walk->steps));
    walk->met = sl_arena_alloc(&scan->arena, MET_SIZE * sizeof(*walk->met));
    return status != SYNCLINE_OK || (walk->steps != NULL && walk->met != NULL) ? status
                                                                               : no_memory(err);
}

/* The next model that is not done; NULL: all are. */
static struct sl_scan_model *model_under_way(struct sl_scan *scan)
{
    while (scan->next < scan->core->models.count) {
        struct sl_scan_model *model = &scan->models[scan->order[scan->next]];
        if (model->is_open) {
            return model;
        }
        scan->next++;
    }
    return NULL;
}

static enum syncline_status in_transaction(struct sl_scan *scan, struct sl_scan_model *model,
                                           bool *ended, int64_t *outbox_id, uint64_t *rows,
                                           struct sl_error *err)
{
    struct sl_library_db *ldb = &scan->core->writer.ldb;
    struct walk walk = {0};
    int64_t parents[SL_FIELD_COUNT_MAX];
    enum syncline_status status = begin_slice(scan, &walk, err);
    if (status == SYNCLINE_OK && scan->deep != NULL) {
        status = begin_deep(scan, &walk, parents, err);
    }
    if (status == SYNCLINE_OK && scan->deep == NULL && !walk.too_long && model->is_open) {
        status = next_rows(scan, &walk, model, parents, ended, err);
    }
    if (status == SYNCLINE_OK) {
        status = put_asides(scan, err);
    }
    if (status == SYNCLINE_OK) {
        status = write_outbox(scan, outbox_id, err);
    }
    for (size_t i = 0; i < scan->core->models.count; i++) {
        *rows += scan->models[i].n;
    }
    if (status == SYNCLINE_OK && model->is_open) {
        status = *ended ? sl_scan_mark_remove(ldb, model->model, err)
                        : sl_scan_mark_put(ldb, model->model, model->mark.after, err);
    }
    return status;
}

static enum syncline_status slice(struct sl_scan *scan, struct sl_scan_model *model,
                                  struct sl_error *err)
{
    struct sl_core *core = scan->core;
    bool ended = false;
    int64_t outbox_id = 0;
    uint64_t rows = 0;
    enum syncline_status status = sl_library_db_begin_write(&core->writer.ldb, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = in_transaction(scan, model, &ended, &outbox_id, &rows, err);
    int64_t newest = outbox_id != 0 ? outbox_id : scan->outbox_id;
    /* A row that another one names, an update for instance, comes with that. */
    newest = newest > scan->named.read_to ? newest : scan->named.read_to;
    if (status == SYNCLINE_OK && ended && scan->left == 1) {
        /* Before anybody can read the last row, so that it is not said to be continued. */
        atomic_store_explicit(&core->scanned_to, newest, memory_order_release);
    }
    if (status == SYNCLINE_OK) {
        status = sl_library_db_commit(&core->writer.ldb, err);
    }
    if (status != SYNCLINE_OK) {
        sl_library_db_rollback(&core->writer.ldb);
        atomic_store_explicit(&core->scanned_to, INT64_MAX, memory_order_release);
        scan->deep = NULL;
        return status;
    }
    scan->descents = outbox_id == 0 && scan->deep != NULL ? scan->descents + 1 : 0;
    if (outbox_id != 0) {
        scan->outbox_id_before = scan->outbox_id;
        scan->outbox_id = outbox_id;
    }
    if (ended) {
        model->is_open = false;
        scan->left--;
    }
    sl_count_work(&core->counts[SL_STAGE_SCAN], outbox_id != 0 ? 1 : 0, rows, 0);
    return SYNCLINE_OK;
}

bool sl_scan_is_idle(const struct sl_scan *scan)
{
    return scan->left == 0;
}

enum syncline_status sl_scan_reopen(struct sl_scan *scan, struct sl_error *err)
{
    struct sl_core *core = scan->core;
    enum syncline_status status = SYNCLINE_OK;
    scan->next = 0;
    scan->left = 0;
    for (size_t i = 0; i < core->models.count && status == SYNCLINE_OK; i++) {
        struct sl_scan_model *model = &scan->models[i];
        status =
            sl_scan_mark_get(&core->writer.ldb, model->model, &model->is_open, &model->mark, err);
        scan->left += model->is_open ? 1 : 0;
    }
    if (scan->left > 0) {
        atomic_store_explicit(&core->scanned_to, INT64_MAX, memory_order_release);
    }
    return status;
}

const struct sl_model *sl_scan_model_at(const struct sl_scan *scan, size_t place)
{
    return &scan->core->models.models[scan->order[place]];
}

struct sl_record_scan *sl_scan_rows(struct sl_scan *scan, const struct sl_model *model)
{
    return &scan->models[model->index].rows;
}

bool sl_scan_is_due(const struct sl_scan *scan)
{
    if (scan->left == 0) {
        return false;
    }
    struct sl_progress *progress = &scan->core->progress;
    (void)pthread_mutex_lock(&progress->lock);
    int64_t drained_to = sl_drained_to(&progress->drained);
    (void)pthread_mutex_unlock(&progress->lock);
    return drained_to >= scan->outbox_id_before;
}

bool sl_scan_run(void *stage)
{
    struct sl_scan *scan = stage;
    struct sl_error err;
    if (!sl_scan_is_due(scan) || !sl_core_writer_is_sound(scan->core) ||
        scan->core->env->mono_ns(scan->core->env->ctx) < scan->not_before_ns) {
        return false;
    }
    struct sl_scan_model *model = model_under_way(scan);
    if (model == NULL) {
        return false;
    }
    enum syncline_status status = slice(scan, model, &err);
    if (status != SYNCLINE_OK && status != SYNCLINE_EBUSY) {
        sl_core_failed(scan->core, "scan", status, &err);
        scan->not_before_ns = scan->core->env->mono_ns(scan->core->env->ctx) + RETRY_NS;
    }
    if (scan->left == 0) {
        sl_mentions_clear(&scan->named);
        sl_arena_fini(&scan->arena);
    }
    return status == SYNCLINE_OK;
}
