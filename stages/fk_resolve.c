/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/fk_resolve.h"

#include <string.h>

#include "stages/intake.h"

#define NS_PER_MS ((uint64_t)1000 * 1000)

void sl_fk_resolve_init(struct sl_fk_resolve *resolve, struct sl_core *core, const char *map_path,
                        size_t map_size)
{
    memset(resolve, 0, sizeof(*resolve));
    resolve->core = core;
    sl_birth_check_init(&resolve->check, core, &core->resolve_log);
    sl_uuid_map_open(&resolve->map, map_path, map_size);
    sl_uuid_map_set_ttl(&resolve->map,
                        (uint64_t)sl_settings_number(&core->settings, SL_SETTING_UUID_MAP_TTL_MS));
}

void sl_fk_resolve_fini(struct sl_fk_resolve *resolve)
{
    if (resolve->batch != NULL) {
        sl_core_give_batch(resolve->core, resolve->batch);
        resolve->batch = NULL;
    }
    sl_uuid_map_close(&resolve->map);
    sl_birth_check_fini(&resolve->check);
}

static enum syncline_status no_memory(struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory to resolve keys");
}

/* ---- Parents ---- */

/* The distinct parents of one key field of a batch, in the order in which they are met. */
struct parents {
    const struct sl_model *model;
    int64_t *ids; /* n */
    struct syncline_uuid *uuids;
    bool *found;
    uint32_t n;
    int64_t id_min;
    int64_t id_max;
    /* id -> place + 1, open addressing; 0 is empty. */
    int64_t *slot_ids;
    uint32_t *slot_places;
    uint32_t mask;
};

static bool parents_init(struct parents *parents, const struct sl_model *model,
                         struct sl_arena *arena, uint32_t n_max, struct syncline_uuid *uuids)
{
    uint32_t size = 16;
    while (size < 2 * n_max) {
        size *= 2;
    }
    *parents = (struct parents){
        .model = model, .uuids = uuids, .id_min = INT64_MAX, .id_max = INT64_MIN, .mask = size - 1};
    parents->ids = sl_arena_alloc_raw(arena, n_max * sizeof(*parents->ids));
    parents->found = sl_arena_alloc(arena, n_max * sizeof(*parents->found));
    parents->slot_ids = sl_arena_alloc_raw(arena, size * sizeof(*parents->slot_ids));
    parents->slot_places = sl_arena_alloc(arena, size * sizeof(*parents->slot_places));
    return parents->ids != NULL && parents->found != NULL && parents->slot_ids != NULL &&
           parents->slot_places != NULL;
}

static uint32_t parents_slot(const struct parents *parents, int64_t id)
{
    uint32_t slot = (uint32_t)(((uint64_t)id * 0x9e3779b97f4a7c15u) >> 32) & parents->mask;
    while (parents->slot_places[slot] != 0 && parents->slot_ids[slot] != id) {
        slot = (slot + 1) & parents->mask;
    }
    return slot;
}

/* Its place + 1. */
static uint32_t parents_add(struct parents *parents, int64_t id)
{
    uint32_t slot = parents_slot(parents, id);
    if (parents->slot_places[slot] == 0) {
        parents->ids[parents->n++] = id;
        parents->slot_ids[slot] = id;
        parents->slot_places[slot] = parents->n;
        parents->id_min = id < parents->id_min ? id : parents->id_min;
        parents->id_max = id > parents->id_max ? id : parents->id_max;
    }
    return parents->slot_places[slot];
}

/* Parents that are inserted by the batch itself. */
static void find_in_batch(struct parents *parents, const struct sl_batch *batch)
{
    if (batch->model != parents->model || batch->change != SYNCLINE_INSERT) {
        return;
    }
    for (uint32_t i = 0; i < batch->n; i++) {
        int64_t id = batch->ids[i];
        if (id < parents->id_min || id > parents->id_max) {
            continue;
        }
        uint32_t place = parents->slot_places[parents_slot(parents, id)];
        if (place != 0) {
            parents->found[place - 1] = true;
            parents->uuids[place - 1] = batch->uuids[i];
        }
    }
}

/* The rest by one query; what it finds is put into the map. */
static enum syncline_status find_in_table(struct sl_fk_resolve *resolve, struct parents *parents,
                                          struct sl_arena *arena, struct sl_error *err)
{
    const struct sl_model *model = parents->model;
    uint32_t missing = 0;
    for (uint32_t p = 0; p < parents->n; p++) {
        missing += parents->found[p] ? 0 : 1;
    }
    if (missing == 0) {
        return SYNCLINE_OK;
    }
    const bool *known = sl_arena_copy(arena, parents->found, parents->n * sizeof(*known));
    if (known == NULL) {
        return no_memory(err);
    }
    enum syncline_status status =
        sl_record_uuids(&resolve->core->resolver.tables[model->index], parents->ids, parents->n,
                        parents->found, parents->uuids, err);
    for (uint32_t p = 0; p < parents->n && status == SYNCLINE_OK; p++) {
        if (parents->found[p] && !known[p]) {
            sl_uuid_map_put(&resolve->map, model->index, resolve->now_ms, parents->ids[p],
                            &parents->uuids[p]);
        }
    }
    return status;
}

/* ---- Keys ---- */

/* Was it found, when it was read again, that its row is not there any more? */
static bool is_gone(const struct sl_batch *batch, uint32_t i)
{
    return batch->gone != NULL && batch->gone[i];
}

static bool leave_out(struct sl_batch *batch, uint32_t i, const struct sl_field *field, int64_t id)
{
    char reason[200];
    (void)sqlite3_snprintf((int)sizeof(reason), reason,
                           "its parent (field '%s' = %lld) is not in table '%s'", field->name,
                           (long long)id, field->parent->table);
    return sl_batch_add_aside(batch, &batch->uuids[i], reason);
}

/* Is one of the parents that were found outside the batch a record whose insert the log will only
 * have after this batch? Such a record has no birth yet, and is not among the unsettled. */
static enum syncline_status look_ahead(struct sl_fk_resolve *resolve, const struct parents *parents,
                                       const bool *inside, bool *ahead, struct sl_error *err)
{
    struct sl_core *core = resolve->core;
    struct sl_births *births = &core->resolver.births;
    enum syncline_status status = SYNCLINE_OK;
    for (uint32_t p = 0; p < parents->n && status == SYNCLINE_OK && !*ahead; p++) {
        if (inside[p] || !parents->found[p]) {
            continue;
        }
        struct sl_birth_run run;
        bool born = false;
        status = sl_birth_get(births, parents->model->id_in_db, parents->ids[p], &born, &run, err);
        *ahead = status == SYNCLINE_OK && !born &&
                 sl_unsettled_birth(&core->unsettled, parents->model, &parents->uuids[p]) == 0;
    }
    return status;
}

/* Resolves one KEY field of staged rows; records without their parent lose their place in `alive`.
 */
static enum syncline_status resolve_field(struct sl_fk_resolve *resolve, struct sl_batch *batch,
                                          uint32_t field_index, int64_t newest,
                                          struct sl_value *keys, struct syncline_uuid *uuids,
                                          bool *alive, struct sl_error *err)
{
    const struct sl_field *field = &batch->model->fields[field_index];
    struct parents parents;
    uint32_t *places = sl_arena_alloc(&batch->arena, batch->n * sizeof(*places)); /* + 1 */
    if (places == NULL || !parents_init(&parents, field->parent, &batch->arena, batch->n, uuids)) {
        return no_memory(err);
    }
    for (uint32_t i = 0; i < batch->n; i++) {
        struct sl_value id = sl_batch_value(batch, i, field_index);
        if (id.type == SL_INT64) { /* else NULL, as keys[i] is already */
            places[i] = parents_add(&parents, id.as.int64);
        }
    }
    find_in_batch(&parents, batch);
    const bool *inside = sl_arena_copy(&batch->arena, parents.found, parents.n * sizeof(*inside));
    if (inside == NULL) {
        return no_memory(err);
    }
    sl_uuid_map_get(&resolve->map, field->parent->index, resolve->now_ms, parents.ids, parents.n,
                    parents.found, parents.uuids);
    enum syncline_status status = find_in_table(resolve, &parents, &batch->arena, err);
    bool ahead = false;
    if (status == SYNCLINE_OK && newest > batch->outbox_id) {
        status = look_ahead(resolve, &parents, inside, &ahead, err);
    }
    if (ahead) {
        sl_intake_note_later(resolve->core, newest);
    }
    for (uint32_t i = 0; i < batch->n && status == SYNCLINE_OK; i++) {
        if (places[i] == 0) {
            continue;
        }
        uint32_t p = places[i] - 1;
        if (parents.found[p]) {
            keys[i].type = SL_BLOB;
            keys[i].size = sizeof(struct syncline_uuid);
            keys[i].as.data = &parents.uuids[p];
            continue;
        }
        bool here = false;
        int64_t id = 0;
        status = sl_record_id(&resolve->core->resolver.tables[batch->model->index],
                              &batch->uuids[i], &here, &id, err);
        if (status != SYNCLINE_OK || !here) {
            continue; /* it went with its parent: see look_up */
        }
        if (alive[i] && !leave_out(batch, i, field, parents.ids[p])) {
            return no_memory(err);
        }
        alive[i] = false;
    }
    return status;
}

/* What this transaction shows of the parents: could an id that the batch holds be another record's
 * by now? And could one that the map holds? */
static enum syncline_status look_at_parents(struct sl_fk_resolve *resolve,
                                            const struct sl_batch *batch, bool *suspect,
                                            struct sl_error *err)
{
    struct sl_core *core = resolve->core;
    enum syncline_status status = SYNCLINE_OK;
    *suspect = false;
    for (uint32_t f = 0; f < batch->model->field_count && status == SYNCLINE_OK; f++) {
        const struct sl_field *field = &batch->model->fields[f];
        if (field->type != SYNCLINE_TYPE_KEY) {
            continue;
        }
        int64_t last_delete = 0;
        status =
            sl_outbox_last_delete(&core->resolver.ldb, field->parent->id_in_db, &last_delete, err);
        if (status == SYNCLINE_OK) {
            sl_uuid_map_see(&resolve->map, field->parent->index, last_delete);
            *suspect = *suspect || last_delete >= batch->outbox_id;
        }
    }
    return status;
}

static enum syncline_status resolve_keys(struct sl_fk_resolve *resolve, struct sl_batch *batch,
                                         bool *alive, struct sl_error *err)
{
    size_t cells = (size_t)batch->n * batch->model->key_count;
    batch->keys = sl_arena_alloc(&batch->arena, cells * sizeof(*batch->keys));
    batch->key_uuids = sl_arena_alloc(&batch->arena, cells * sizeof(*batch->key_uuids));
    if (batch->keys == NULL || batch->key_uuids == NULL) {
        return no_memory(err);
    }
    int64_t newest = 0;
    if (batch->values == NULL && batch->model->key_count > 0) {
        enum syncline_status status = sl_outbox_max(&resolve->core->resolver.ldb, &newest, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    uint32_t key = 0;
    for (uint32_t f = 0; f < batch->model->field_count; f++) {
        const struct sl_field *field = &batch->model->fields[f];
        struct sl_value *keys = batch->keys + (size_t)key * batch->n;
        struct syncline_uuid *uuids = batch->key_uuids + (size_t)key * batch->n;
        if (field->type == SYNCLINE_TYPE_KEY && batch->values == NULL) {
            enum syncline_status status =
                resolve_field(resolve, batch, f, newest, keys, uuids, alive, err);
            if (status != SYNCLINE_OK) {
                return status;
            }
        } else if (field->type == SYNCLINE_TYPE_KEY) {
            for (uint32_t i = 0; i < batch->n; i++) {
                struct sl_value none = {.type = SL_NULL};
                keys[i] = is_gone(batch, i)
                              ? none
                              : batch->values[(size_t)i * batch->model->field_count + f];
            }
        } else if (field->type == SYNCLINE_TYPE_UUID_KEY) {
            for (uint32_t i = 0; i < batch->n; i++) {
                keys[i] = sl_batch_value(batch, i, f);
            }
        } else {
            continue;
        }
        key++;
    }
    return SYNCLINE_OK;
}

/* ---- Births ---- */

/* What is known of a model's records before a batch of them is looked at. */
struct known {
    int64_t born_to;     /* no id above it was ever born */
    int64_t last_delete; /* the outbox row of the last captured one, or 0 */
    bool some_unsettled; /* records of the batch may be in the list of the unsettled */
    bool some_late;      /* births that came back late are kept */
};

/* More births that the capture of a change saw. */
struct further {
    const struct sl_further_birth *list;
    uint32_t len;
};

static bool is_among(const struct further *further, const struct sl_birth *birth)
{
    bool among = false;
    for (uint32_t k = 0; k < further->len; k++) {
        among = among || (further->list[k].birth.seq == birth->seq &&
                          sl_origin_equal(&further->list[k].birth.origin, &birth->origin));
    }
    return among;
}

/* A record may be one that was deleted after this change, and inserted again: then
 * the change is superseded by that delete. */
static bool is_deleted_later(struct sl_fk_resolve *resolve, const struct sl_batch *batch,
                             uint32_t i, const struct known *known)
{
    return known->last_delete > batch->outbox_id &&
           sl_unsettled_deleted_after(&resolve->core->unsettled, batch->model, &batch->uuids[i],
                                      batch->outbox_id);
}

/* Rows that are in the outbox now may be about an insert that goes into the log with one of them,
 * or never: the births that their captures saw are to be looked at. */
static enum syncline_status begin_doubt(struct sl_fk_resolve *resolve, struct sl_error *err)
{
    int64_t newest = 0;
    enum syncline_status status = sl_outbox_max(&resolve->core->resolver.ldb, &newest, err);
    if (status == SYNCLINE_OK) {
        resolve->doubted_to = newest;
        resolve->has_begun = true;
    }
    return status;
}

/* Could a birth that the capture of an update saw be of a record that had the id before? */
static enum syncline_status is_stale(struct sl_fk_resolve *resolve, const struct sl_batch *batch,
                                     uint32_t i, const struct known *known,
                                     const struct sl_birth *captured, bool is_of_row, bool *stale,
                                     struct sl_error *err)
{
    struct sl_core *core = resolve->core;
    uint64_t unsettled = known->some_unsettled
                             ? sl_unsettled_birth(&core->unsettled, batch->model, &batch->uuids[i])
                             : 0;
    bool is_newest = unsettled == 0 || (unsettled == captured->seq &&
                                        sl_origin_equal(&captured->origin, &core->self));
    *stale = false;
    if (is_of_row && is_newest && batch->outbox_id > resolve->doubted_to) {
        return SYNCLINE_OK;
    }
    bool is = true;
    enum syncline_status status =
        sl_birth_check_is(&resolve->check, batch->model, &batch->uuids[i], captured, &is, err);
    *stale = !is;
    return status;
}

/* The birth that stands at the record's id; *found = false: none, or another record's. */
static enum syncline_status birth_of_row(struct sl_fk_resolve *resolve,
                                         const struct sl_batch *batch, uint32_t i, int64_t id,
                                         bool *found, struct sl_birth *birth, struct sl_error *err)
{
    struct sl_core *core = resolve->core;
    struct sl_birth_run run;
    enum syncline_status status =
        sl_birth_get(&core->resolver.births, batch->model->id_in_db, id, found, &run, err);
    if (status != SYNCLINE_OK || !*found) {
        return status;
    }
    *birth = (struct sl_birth){.origin = core->self, .seq = run.seq};
    if (run.origin != core->self_number) {
        status = sl_library_db_origin(&core->resolver.ldb, run.origin, found, &birth->origin, err);
    }
    if (status == SYNCLINE_OK && *found && batch->change == SYNCLINE_INSERT) {
        status =
            sl_birth_check_is(&resolve->check, batch->model, &batch->uuids[i], birth, found, err);
    }
    return status;
}

/* The birth that a record which is gone had of this device; seq 0: none is known. */
static enum syncline_status birth_of_gone(struct sl_fk_resolve *resolve,
                                          const struct sl_batch *batch, uint32_t i,
                                          struct sl_birth *birth, struct sl_error *err)
{
    struct sl_core *core = resolve->core;
    birth->origin = core->self;
    birth->seq = sl_unsettled_birth(&core->unsettled, batch->model, &batch->uuids[i]);
    return birth->seq != 0 ? SYNCLINE_OK
                           : sl_late_birth_get(&core->resolver.births, batch->model->id_in_db,
                                               &batch->uuids[i], &birth->seq, err);
}

/* The row of an update is gone. Its delete follows, or it went with the delete of a record that it
 * pointed at. The others may have had it point elsewhere until this very update, and would keep it:
 * then its delete is to be said, after all that was captured before it went. The sweep does that,
 * which finds its birth without a row. */
static void outlive(struct sl_fk_resolve *resolve, const struct sl_batch *batch, uint32_t i,
                    const struct known *known)
{
    if (batch->change == SYNCLINE_UPDATE && batch->model->ownership == SYNCLINE_DEVICE_OWNED &&
        !is_deleted_later(resolve, batch, i, known)) {
        atomic_store(&resolve->core->scan_asked, true);
    }
}

static bool is_own(const struct sl_fk_resolve *resolve, const struct sl_birth *birth)
{
    return sl_origin_equal(&birth->origin, &resolve->core->self);
}

/* Device-owned records go without a capture when the one goes that they point at. One may be
 * inserted again under its UUID, even at its id: its old birth stands there then, and it looks like
 * an insert that is captured twice. Nothing tells the two apart, so it is sent as what it is, an
 * insert: if the old birth lives where that comes, the new one takes its place (stages/living). */
static enum syncline_status renews(struct sl_fk_resolve *resolve, const struct sl_batch *batch,
                                   const struct known *known, int64_t id, bool at_row,
                                   const struct sl_birth *birth, bool *renews, struct sl_error *err)
{
    bool is_shared = false;
    *renews = batch->change == SYNCLINE_INSERT && known->last_delete > 0 &&
              batch->model->ownership == SYNCLINE_DEVICE_OWNED && is_own(resolve, birth);
    enum syncline_status status = /* one that is not settled is of the class that the model has */
        *renews && at_row ? sl_birth_is_shared(&resolve->core->resolver.births,
                                               batch->model->id_in_db, id, &is_shared, err)
                          : SYNCLINE_OK;
    *renews = *renews && !is_shared;
    return status;
}

/* Has this device inserted the record once more, after the birth that a capture saw, and before
 * that capture? The new birth had not come back from the log. `at_row`: what stands there now. */
static bool is_renewed(struct sl_fk_resolve *resolve, const struct sl_batch *batch, uint32_t i,
                       const struct known *known, const struct sl_birth *captured,
                       const struct sl_birth *at_row, struct sl_birth *birth)
{
    struct sl_core *core = resolve->core;
    if (captured->seq == 0 || !is_own(resolve, captured)) {
        return false;
    }
    uint64_t seq = known->some_unsettled
                       ? sl_unsettled_birth(&core->unsettled, batch->model, &batch->uuids[i])
                       : 0;
    if (seq == 0 && is_own(resolve, at_row)) {
        seq = at_row->seq;
    }
    if (seq <= captured->seq) {
        return false;
    }
    *birth = (struct sl_birth){.origin = core->self, .seq = seq};
    return true;
}

/* What an update turns out to be; alive = false: nothing. birth is what its capture saw, and
 * becomes what the record has: another birth is another record, and the update superseded. */
static enum syncline_status look_up(struct sl_fk_resolve *resolve, const struct sl_batch *batch,
                                    uint32_t i, const struct known *known,
                                    const struct further *further, enum syncline_change *change,
                                    struct sl_birth *birth, bool *alive, struct sl_error *err)
{
    struct sl_core *core = resolve->core;
    const struct sl_model *model = batch->model;
    const struct sl_birth captured = *birth;
    int64_t id = 0;
    bool found = false;
    enum syncline_status status =
        sl_record_id(&core->resolver.tables[model->index], &batch->uuids[i], &found, &id, err);
    if (status == SYNCLINE_OK && !found) {
        *alive = false;
        outlive(resolve, batch, i, known);
        return batch->change == SYNCLINE_INSERT ? begin_doubt(resolve, err) : SYNCLINE_OK;
    }
    if (status != SYNCLINE_OK || is_gone(batch, i) || id != batch->ids[i]) {
        *alive = false; /* it has another id by now: another record, which was captured since */
        return status;
    }
    status = birth_of_row(resolve, batch, i, id, &found, birth, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (found && captured.seq == 0 && batch->change == SYNCLINE_UPDATE && known->some_unsettled) {
        /* What stands there may be of one that had the id before, and went without a capture. */
        uint64_t own = sl_unsettled_birth(&core->unsettled, model, &batch->uuids[i]);
        found = own == 0 || (own == birth->seq && sl_origin_equal(&birth->origin, &core->self));
    }
    *change = SYNCLINE_UPDATE;
    if (found && is_among(further, birth)) {
        *birth = captured.seq != 0 ? captured : *birth; /* twice does not matter */
        return SYNCLINE_OK;
    }
    const struct sl_birth none = {.seq = 0};
    const struct sl_birth at_row = found ? *birth : none;
    if (is_renewed(resolve, batch, i, known, &captured, &at_row, birth)) {
        return SYNCLINE_OK;
    }
    bool stale = false;
    if (captured.seq != 0) {
        *alive = found && birth->seq == captured.seq &&
                 sl_origin_equal(&birth->origin, &captured.origin);
        status = is_stale(resolve, batch, i, known, &captured, *alive, &stale, err);
        found = found && !(stale && *alive);
    }
    if (status != SYNCLINE_OK || (captured.seq != 0 && !stale)) {
        return status;
    }
    /* An update captured before the birth had come back from the log: it is one of this device's.
     * An insert captured again is an update, whoever made the record - unless it may have gone
     * meanwhile. */
    if (!found) {
        birth->origin = core->self;
        birth->seq = sl_unsettled_birth(&core->unsettled, model, &batch->uuids[i]);
    }
    bool anew = birth->seq == 0;
    if (!anew) {
        status = renews(resolve, batch, known, id, found, birth, &anew, err);
    }
    *change = anew ? SYNCLINE_INSERT : SYNCLINE_UPDATE;
    *alive = (batch->change == SYNCLINE_INSERT || is_own(resolve, birth)) &&
             !is_deleted_later(resolve, batch, i, known);
    return status;
}

/* Its record is gone, too, or nobody knows: whoever looks for such births is to find it. */
static enum syncline_status note_stray(struct sl_fk_resolve *resolve, const struct sl_batch *batch,
                                       const struct sl_birth *birth, struct sl_error *err)
{
    struct sl_core *core = resolve->core;
    const struct sl_group *group = NULL;
    uint32_t i = 0;
    enum syncline_status status = sl_birth_check_change(&resolve->check, birth, &group, &i, err);
    if (status != SYNCLINE_OK || group == NULL || group->change != SYNCLINE_INSERT) {
        return status;
    }
    struct sl_stray stray = {
        .model = batch->model, .birth = *birth, .hlc = group->hlc_first + i, .class = group->class};
    (void)pthread_mutex_lock(&core->unsettled.lock);
    size_t count = atomic_load_explicit(&core->stray_count, memory_order_relaxed);
    if (count == core->stray_capacity) {
        size_t capacity = count == 0 ? 16 : 2 * count;
        struct sl_stray *strays =
            sl_resize(core->env->alloc, core->strays, capacity, sizeof(*strays));
        if (strays != NULL) {
            core->strays = strays;
            core->stray_capacity = capacity;
        }
    }
    if (count < core->stray_capacity) {
        core->strays[count] = stray;
        atomic_store_explicit(&core->stray_count, count + 1, memory_order_release);
    } else {
        status = no_memory(err);
    }
    (void)pthread_mutex_unlock(&core->unsettled.lock);
    return status;
}

/* The capture of a delete saw a birth. It may be that of a record that had the id before, or one
 * that the record had before: if this one was born so lately that the table did not show it, or was
 * never sent at all. */
static enum syncline_status doubt(struct sl_fk_resolve *resolve, const struct sl_batch *batch,
                                  uint32_t i, const struct known *known, struct sl_birth *birth,
                                  struct sl_error *err)
{
    bool is = true;
    if (!known->some_unsettled && !known->some_late && batch->outbox_id > resolve->doubted_to) {
        return SYNCLINE_OK;
    }
    struct sl_birth newest = {.seq = 0};
    enum syncline_status status = birth_of_gone(resolve, batch, i, &newest, err);
    if (status == SYNCLINE_OK) {
        status =
            sl_birth_check_is(&resolve->check, batch->model, &batch->uuids[i], birth, &is, err);
    }
    if (status == SYNCLINE_OK && !is) {
        status = note_stray(resolve, batch, birth, err);
    }
    bool renewed = is_own(resolve, birth) && newest.seq > birth->seq;
    *birth = is && !renewed ? *birth : newest;
    return status;
}

static enum syncline_status classify(struct sl_fk_resolve *resolve, const struct sl_batch *batch,
                                     uint32_t i, const struct known *known,
                                     const struct further *further, enum syncline_change *change,
                                     struct sl_birth *birth, bool *alive, struct sl_error *err)
{
    struct sl_core *core = resolve->core;
    *change = batch->change;
    if (batch->change == SYNCLINE_DELETE) {
        enum syncline_status status = birth->seq == 0 ? birth_of_gone(resolve, batch, i, birth, err)
                                                      : doubt(resolve, batch, i, known, birth, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (birth->seq == 0 && further->len > 0) {
            *birth = further->list[0].birth;
        }
        *alive = birth->seq != 0;
        return SYNCLINE_OK;
    }
    if (batch->change == SYNCLINE_INSERT && batch->ids[i] > known->born_to &&
        (!known->some_unsettled ||
         sl_unsettled_birth(&core->unsettled, batch->model, &batch->uuids[i]) == 0)) {
        return SYNCLINE_OK; /* as nearly always: an id above all that were ever born */
    }
    return look_up(resolve, batch, i, known, further, change, birth, alive, err);
}

/* The births that live changes name. */
struct resolved {
    struct sl_birth *births;
    struct sl_further_birth *further;
    uint32_t further_len;
};

/* Of the i-th change; *at moves past it. */
static struct further further_of(const struct sl_batch *batch, uint32_t i, uint32_t *at)
{
    while (*at < batch->further_len && batch->further[*at].i < i) {
        (*at)++;
    }
    struct further further = {.list = batch->further + *at};
    while (*at < batch->further_len && batch->further[*at].i == i) {
        further.len++;
        (*at)++;
    }
    return further;
}

static enum syncline_status resolve_births(struct sl_fk_resolve *resolve, struct sl_batch *batch,
                                           const bool *alive, struct resolved *resolved,
                                           struct sl_error *err)
{
    struct sl_core *core = resolve->core;
    struct sl_birth *births = sl_arena_alloc(&batch->arena, batch->n * sizeof(*births));
    struct sl_further_birth *more =
        batch->further_len > 0 ? sl_arena_alloc(&batch->arena, batch->further_len * sizeof(*more))
                               : NULL;
    uint32_t more_len = 0;
    uint32_t at = 0; /* in batch->further */
    batch->changes = sl_arena_alloc(&batch->arena, batch->n * sizeof(*batch->changes));
    batch->live = sl_arena_alloc(&batch->arena, batch->n * sizeof(*batch->live));
    if (births == NULL || batch->changes == NULL || batch->live == NULL ||
        (batch->further_len > 0 && more == NULL)) {
        return no_memory(err);
    }
    struct known known = {0};
    enum syncline_status found =
        sl_birth_highest(&core->resolver.births, batch->model->id_in_db, &known.born_to, err);
    if (found == SYNCLINE_OK) {
        found = sl_outbox_last_delete(&core->resolver.ldb, batch->model->id_in_db,
                                      &known.last_delete, err);
    }
    if (found == SYNCLINE_OK && known.last_delete > batch->outbox_id) {
        found =
            sl_unsettled_read_deletes(&core->unsettled, &core->resolver.ldb, batch->outbox_id, err);
    }
    if (found != SYNCLINE_OK) {
        return found;
    }
    if (batch->change == SYNCLINE_DELETE) {
        found = sl_late_birth_some(&core->resolver.births, &known.some_late, err);
    }
    if (found == SYNCLINE_OK && (batch->some_gone || !resolve->has_begun)) {
        found = begin_doubt(resolve, err);
    }
    if (found != SYNCLINE_OK) {
        return found;
    }
    known.some_unsettled = batch->n > 0 && sl_unsettled_may_have(&core->unsettled, batch->model,
                                                                 batch->uuids, batch->n);
    batch->live_n = 0;
    for (uint32_t i = 0; i < batch->n; i++) {
        bool live = alive[i];
        enum syncline_change change = batch->change;
        struct sl_birth birth = {0};
        if (batch->births != NULL) {
            birth = batch->births[i];
        }
        enum syncline_status status = SYNCLINE_OK;
        struct further further = further_of(batch, i, &at);
        if (live) {
            status = classify(resolve, batch, i, &known, &further, &change, &birth, &live, err);
        }
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (live) {
            for (uint32_t k = 0; k < further.len && change != SYNCLINE_INSERT; k++) {
                more[more_len] = further.list[k];
                more[more_len++].i = batch->live_n;
            }
            batch->live[batch->live_n] = i;
            batch->changes[batch->live_n] = change;
            births[batch->live_n] = birth;
            batch->live_n++;
        }
    }
    *resolved = (struct resolved){.births = births, .further = more, .further_len = more_len};
    return SYNCLINE_OK;
}

/* ---- One batch ---- */

static struct sl_unsettled_entry *new_entry(struct sl_core *core, const struct sl_batch *batch,
                                            const struct resolved *resolved)
{
    bool any_update = false;
    for (uint32_t i = 0; i < batch->live_n; i++) {
        any_update = any_update || batch->changes[i] == SYNCLINE_UPDATE;
    }
    if (!any_update) {
        return sl_unsettled_entry_new(&core->unsettled, batch->live_n);
    }
    struct sl_unsettled_entry *entry =
        sl_unsettled_entry_new_naming(&core->unsettled, batch->live_n, resolved->further_len);
    if (entry != NULL) {
        memcpy(entry->births, resolved->births, batch->live_n * sizeof(*entry->births));
        for (uint32_t i = 0; i < resolved->further_len; i++) {
            entry->further[i] = resolved->further[i];
        }
    }
    return entry;
}

static enum syncline_status make_entry(struct sl_core *core, struct sl_batch *batch,
                                       const struct resolved *resolved, struct sl_error *err)
{
    batch->first_seq = core->next_seq;
    batch->unsettled = NULL;
    if (batch->live_n == 0) {
        return SYNCLINE_OK;
    }
    struct sl_unsettled_entry *entry = new_entry(core, batch, resolved);
    if (entry == NULL) {
        return no_memory(err);
    }
    entry->model = batch->model;
    entry->class = batch->model->ownership; /* as serialize writes it */
    entry->first_seq = batch->first_seq;
    entry->outbox_id = batch->outbox_id;
    entry->row_complete = batch->offset + batch->taken_n >= batch->row_n;
    for (uint32_t i = 0; i < batch->live_n; i++) {
        entry->ids[i] = batch->ids[batch->live[i]];
        entry->uuids[i] = batch->uuids[batch->live[i]];
        entry->changes[i] = (uint8_t)batch->changes[i];
    }
    sl_unsettled_append(&core->unsettled, entry);
    batch->unsettled = entry;
    core->next_seq += batch->live_n;
    return SYNCLINE_OK;
}

static enum syncline_status resolve_in_transaction(struct sl_fk_resolve *resolve,
                                                   struct sl_batch *batch, struct sl_error *err)
{
    struct sl_core *core = resolve->core;
    bool suspect = false;
    enum syncline_status status = SYNCLINE_OK;
    sl_births_forget(&core->resolver.births);
    if (batch->values == NULL && batch->change != SYNCLINE_DELETE && batch->model->key_count > 0) {
        status = look_at_parents(resolve, batch, &suspect, err);
    }
    if (status == SYNCLINE_OK && suspect) {
        status = sl_intake_read_again(core, &core->resolver, batch, SIZE_MAX, err);
    }
    bool *alive = sl_arena_alloc(&batch->arena, batch->n * sizeof(*alive));
    if (status == SYNCLINE_OK && alive == NULL) {
        status = no_memory(err);
    }
    if (status == SYNCLINE_OK) {
        memset(alive, 1, batch->n * sizeof(*alive));
        status = batch->change == SYNCLINE_DELETE ? SYNCLINE_OK
                                                  : resolve_keys(resolve, batch, alive, err);
    }
    struct resolved resolved = {0};
    if (status == SYNCLINE_OK) {
        status = resolve_births(resolve, batch, alive, &resolved, err);
    }
    if (status == SYNCLINE_OK) {
        status = make_entry(core, batch, &resolved, err);
    }
    if (status == SYNCLINE_OK) {
        batch->births = resolved.births; /* by live change; what was captured is needed no more */
        batch->further = resolved.further;
        batch->further_len = resolved.further_len;
    }
    return status;
}

bool sl_fk_resolve_run(void *stage)
{
    struct sl_fk_resolve *resolve = stage;
    struct sl_core *core = resolve->core;
    if (sl_ring_room(&core->to_serialize) == 0) {
        return false;
    }
    if (resolve->batch == NULL) {
        resolve->batch = sl_ring_pop(&core->to_resolve);
    }
    /* Between two transactions: whoever looks for a birth from here on sees it in library.db. */
    sl_unsettled_drop(&core->unsettled,
                      atomic_load_explicit(&core->settled_seq, memory_order_acquire));
    if (resolve->batch == NULL) {
        return false;
    }
    resolve->now_ms = core->env->mono_ns(core->env->ctx) / NS_PER_MS;
    struct sl_error err;
    struct sl_batch_aside *asides = resolve->batch->asides;
    enum syncline_status status = sl_library_db_begin_read(&core->resolver.ldb, &err);
    if (status == SYNCLINE_OK) {
        status = resolve_in_transaction(resolve, resolve->batch, &err);
        sl_library_db_rollback(&core->resolver.ldb);
    }
    if (status == SYNCLINE_OK) {
        sl_uuid_map_write(&resolve->map, resolve->now_ms);
        sl_count_work(&core->counts[SL_STAGE_FK_RESOLVE], 1, resolve->batch->live_n, 0);
    }
    if (status == SYNCLINE_OK && !sl_ring_push(&core->to_serialize, resolve->batch)) {
        status = sl_fail(&err, SYNCLINE_ECORRUPT, "a ring with room took nothing");
    }
    if (status != SYNCLINE_OK) {
        resolve->batch->asides = asides; /* the next try says it again */
        sl_core_failed(core, "fk_resolve", status, &err);
        return false;
    }
    resolve->batch = NULL;
    return true;
}
