/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/subtree.h"

#include <string.h>

#include "stages/apply_record.h"
#include "stages/author.h"

enum fate {
    FATE_HIDDEN,   /* its row goes into the waiting room */
    FATE_GONE,     /* it is deleted by the delete that is applied */
    FATE_AUTHORED, /* it is deleted by this device */
};

/* A record that has to leave its table. */
struct node {
    const struct sl_model *model;
    int64_t id;
    struct syncline_uuid uuid;
    enum fate fate;
    bool has_birth;
    struct sl_birth_run birth;
    int64_t entry;                      /* what waits for it: its latest content; 0: nothing */
    const struct sl_model *lacks_model; /* the parent through which it was found */
    struct syncline_uuid lacks_uuid;
    uint32_t children; /* edges to rows that are still there */
    bool stays;        /* the root, if its row stays */
    bool is_own;       /* a device-owned record of the device that deletes what it hangs on */
};

struct edge {
    size_t parent; /* places of nodes */
    size_t child;
};

/* A record that is dead now, and whose children are to be looked at. */
struct dead {
    const struct sl_model *model;
    struct syncline_uuid uuid;
    const struct syncline_uuid *device; /* that deletes it */
    size_t node;                        /* its place; SIZE_MAX: it has no row */
};

/* A growing array in the tree's arena. */
struct list {
    void *items;
    size_t len;
    size_t capacity;
};

struct tree {
    struct sl_record_writer *writer;
    struct sl_arena *arena;
    struct list nodes;         /* struct node */
    struct list edges;         /* struct edge */
    struct list dead;          /* struct dead; looked at in order */
    struct list hidden;        /* size_t: nodes whose children are to be looked at */
    struct list authored;      /* struct sl_author_change */
    struct sl_promises places; /* of nodes, by record */
    int64_t origin;            /* whose device was asked for last; 0: none's */
    struct syncline_uuid origin_device;
    bool noted[SL_MODEL_COUNT_MAX]; /* by model: that records of it were deleted */
};

static enum syncline_status no_memory(struct sl_error *err)
{
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory to delete a tree of records");
}

enum syncline_status sl_subtree_init(struct sl_subtree *subtree, const struct sl_core *core,
                                     struct sl_error *err)
{
    size_t count = 0;
    for (size_t m = 0; m < core->models.count; m++) {
        count += core->models.models[m].key_count;
    }
    memset(subtree, 0, sizeof(*subtree));
    sl_arena_init(&subtree->arena, core->env->alloc);
    subtree->keys = sl_calloc(core->env->alloc, count + 1, sizeof(*subtree->keys));
    if (subtree->keys == NULL) {
        return no_memory(err);
    }
    for (size_t m = 0; m < core->models.count; m++) {
        const struct sl_model *model = &core->models.models[m];
        for (uint32_t f = 0; f < model->field_count; f++) {
            const struct sl_field *field = &model->fields[f];
            if (field->parent != NULL && sl_field_binds(field)) {
                subtree->keys[subtree->key_count++] =
                    (struct sl_child_key){.model = model, .field = field};
            }
        }
    }
    return SYNCLINE_OK;
}

void sl_subtree_fini(struct sl_subtree *subtree)
{
    for (size_t k = 0; k < subtree->key_count; k++) {
        (void)sqlite3_finalize(subtree->keys[k].stmt);
    }
    sl_free(subtree->arena.alloc, subtree->keys);
    sl_arena_fini(&subtree->arena);
    memset(subtree, 0, sizeof(*subtree));
}

static void *list_add(struct tree *tree, struct list *list, size_t size)
{
    if (list->len == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
        void *grown = sl_arena_alloc(tree->arena, capacity * size);
        if (grown == NULL) {
            return NULL;
        }
        if (list->len > 0) {
            memcpy(grown, list->items, list->len * size);
        }
        list->items = grown;
        list->capacity = capacity;
    }
    return (uint8_t *)list->items + size * list->len++;
}

static struct node *node_at(const struct tree *tree, size_t at)
{
    return (struct node *)tree->nodes.items + at;
}

/* ---- Children in their tables ---- */

/* Begins to read the children of a record: ids and UUIDs. */
static enum syncline_status begin_children(const struct sl_db *db, struct sl_child_key *key,
                                           const struct node *parent, struct sl_error *err)
{
    const struct sl_model *model = key->model;
    if (!sl_db_is_prepared(db, &key->stmt)) {
        char *sql =
            sqlite3_mprintf("SELECT \"%w\",\"%w\" FROM \"%w\" WHERE \"%w\"=?1", model->id.name,
                            model->uuid.name, model->table, key->field->name);
        enum syncline_status status =
            sql == NULL ? no_memory(err) : sl_db_prepare(db, sql, true, &key->stmt, err);
        sqlite3_free(sql);
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    if (key->field->type == SYNCLINE_TYPE_KEY) {
        (void)sqlite3_bind_int64(key->stmt, 1, parent->id);
    } else {
        sl_bind_uuid(key->stmt, 1, &parent->uuid);
    }
    return SYNCLINE_OK;
}

/* Does anything but itself point at the record? */
static enum syncline_status has_children(struct sl_record_writer *writer, const struct node *parent,
                                         bool *has, struct sl_error *err)
{
    struct sl_subtree *subtree = &writer->subtree;
    const struct sl_db *db = &writer->core->writer.ldb.db;
    enum syncline_status status = SYNCLINE_OK;
    int64_t entry = 0;
    *has = writer->redoing && writer->logged.len > 0; /* it did perhaps */
    for (size_t k = 0; k < subtree->key_count && status == SYNCLINE_OK && !*has; k++) {
        struct sl_child_key *key = &subtree->keys[k];
        bool row = key->field->parent == parent->model;
        if (row) {
            status = begin_children(db, key, parent, err);
        }
        while (status == SYNCLINE_OK && row && !*has) {
            status = sl_db_row(db, key->stmt, &row, err);
            *has =
                status == SYNCLINE_OK && row &&
                (key->model != parent->model || sqlite3_column_int64(key->stmt, 0) != parent->id);
        }
        sl_db_reset(key->stmt);
    }
    if (status == SYNCLINE_OK && !*has && writer->waiting.room.count.records > 0) {
        status = sl_waiting_next_child(&writer->waiting.room, parent->model->id_in_db,
                                       &parent->uuid, &entry, err);
        *has = entry != 0;
    }
    return status;
}

/* ---- Judging a child ---- */

/* Most rows of a tree are of one origin: the last answer is kept. */
static enum syncline_status device_of(struct tree *tree, int64_t origin,
                                      struct syncline_uuid *device, struct sl_error *err)
{
    struct sl_origin name = {{{0}}, 0};
    bool found = false;
    enum syncline_status status = SYNCLINE_OK;
    if (origin == 0 || tree->origin != origin) {
        status = sl_library_db_origin(&tree->writer->core->writer.ldb, origin, &found, &name, err);
        tree->origin = status == SYNCLINE_OK ? origin : 0;
        tree->origin_device = name.device;
    }
    *device = tree->origin_device;
    return status;
}

static bool is_self(const struct tree *tree, const struct syncline_uuid *device)
{
    return sl_uuid_equal(device, &tree->writer->core->self.device);
}

static enum syncline_status is_on_its_way(const struct tree *tree, bool *is, struct sl_error *err)
{
    struct sl_core *core = tree->writer->core;
    uint64_t changes = 0;
    enum syncline_status status = sl_outbox_count_above(
        &core->writer.ldb, sl_drained_to(&tree->writer->pending->drained), &changes, err);
    *is = changes > 0 || atomic_load_explicit(&core->scanned_to, memory_order_relaxed) == INT64_MAX;
    return status;
}

/* Who made the latest content of a row? *device is not set when it is on its way into the log. */
static enum syncline_status author_of(struct tree *tree, const struct node *node, bool *pends,
                                      struct syncline_uuid *device, struct sl_error *err)
{
    struct sl_record_writer *writer = tree->writer;
    struct sl_stamp stamp = {0};
    *pends = !node->has_birth;
    if (*pends) {
        return SYNCLINE_OK;
    }
    if (node->birth.class == SYNCLINE_DEVICE_OWNED &&
        node->birth.origin != writer->core->self_number) {
        return device_of(tree, node->birth.origin, device, err);
    }
    enum syncline_status status =
        sl_reconcile_stamp(writer->core, &writer->core->writer, writer->pending, node->model,
                           &node->uuid, node->id, &node->birth, pends, &stamp, err);
    *device = stamp.origin.device;
    return status;
}

/* Does the content that waits for the node point at this record? */
static enum syncline_status entry_points_at(const struct tree *tree, const struct node *node,
                                            const struct sl_model *model,
                                            const struct syncline_uuid *uuid, bool *points,
                                            struct sl_error *err)
{
    struct sl_waiting_key *keys = NULL;
    size_t count = 0;
    enum syncline_status status =
        sl_waiting_keys(&tree->writer->waiting.room, node->entry, tree->arena, &keys, &count, err);
    *points = false;
    for (size_t k = 0; k < count && status == SYNCLINE_OK; k++) {
        *points =
            *points || (keys[k].model == model->id_in_db && sl_uuid_equal(&keys[k].uuid, uuid));
    }
    return status;
}

/* Is it a record of this device that was never sent? Then nobody hears of its delete, either. */
static bool is_unsent(const struct tree *tree, const struct dead *parent)
{
    const struct node *node = parent->node != SIZE_MAX ? node_at(tree, parent->node) : NULL;
    return node != NULL && node->fate == FATE_AUTHORED && !node->has_birth;
}

/* A device-owned row of the device that deletes: it goes, and nobody need say so - unless that is
 * this device, and the others cannot know yet that the row points there, or that the record at
 * which it points was ever there. */
static enum syncline_status judge_own(struct tree *tree, const struct dead *parent,
                                      const struct syncline_uuid *device, struct node *node,
                                      struct sl_error *err)
{
    struct syncline_uuid author;
    bool pends = false;
    enum syncline_status status = SYNCLINE_OK;
    if (is_self(tree, device)) {
        status = is_on_its_way(tree, &pends, err);
    }
    if (status == SYNCLINE_OK && pends) {
        status = author_of(tree, node, &pends, &author, err);
    }
    node->fate = pends || is_unsent(tree, parent) ? FATE_AUTHORED : FATE_GONE;
    node->is_own = true;
    return status;
}

/* A row that points at a dead record. */
static enum syncline_status judge_row(struct tree *tree, const struct dead *parent,
                                      struct node *node, struct sl_error *err)
{
    struct syncline_uuid device = {{0}};
    bool pends = false;
    bool points = true;
    enum syncline_status status = SYNCLINE_OK;
    node->fate = FATE_HIDDEN;
    if (node->entry != 0) {
        status = entry_points_at(tree, node, parent->model, &parent->uuid, &points, err);
    }
    if (status != SYNCLINE_OK || !points) {
        return status; /* with what waits it points elsewhere */
    }
    if (node->has_birth && node->birth.class == SYNCLINE_DEVICE_OWNED) {
        status = device_of(tree, node->birth.origin, &device, err);
        if (status == SYNCLINE_OK && sl_uuid_equal(&device, parent->device)) {
            return judge_own(tree, parent, &device, node, err);
        }
    }
    if (status == SYNCLINE_OK && node->entry == 0) {
        status = author_of(tree, node, &pends, &device, err);
        node->fate = pends ? FATE_AUTHORED : FATE_HIDDEN;
        tree->writer->waiting.own_left = tree->writer->waiting.own_left || is_self(tree, &device);
    }
    return status;
}

/* ---- Gathering ---- */

static enum syncline_status push_dead(struct tree *tree, const struct sl_model *model,
                                      const struct syncline_uuid *uuid,
                                      const struct syncline_uuid *device, size_t node,
                                      struct sl_error *err)
{
    struct dead *dead = list_add(tree, &tree->dead, sizeof(*dead));
    if (dead == NULL) {
        return no_memory(err);
    }
    *dead = (struct dead){.model = model, .uuid = *uuid, .device = device, .node = node};
    return SYNCLINE_OK;
}

/* What follows from a node's fate, which is new. `device` deletes what it hangs on. */
static enum syncline_status follow_up(struct tree *tree, size_t at,
                                      const struct syncline_uuid *device, struct sl_error *err)
{
    const struct node *node = node_at(tree, at);
    const struct syncline_uuid *self = &tree->writer->core->self.device;
    if (node->fate == FATE_HIDDEN) {
        size_t *hidden = list_add(tree, &tree->hidden, sizeof(*hidden));
        if (hidden == NULL) {
            return no_memory(err);
        }
        *hidden = at;
        return SYNCLINE_OK;
    }
    return push_dead(tree, node->model, &node->uuid, node->fate == FATE_AUTHORED ? self : device,
                     at, err);
}

/* What waits at a row may be older than what this device has made of it since, which nobody has
 * held against it yet: it goes. */
static enum syncline_status drop_if_older(const struct tree *tree, const struct node *node,
                                          const struct sl_waiting *waiting, bool *older,
                                          struct sl_error *err)
{
    struct sl_record_writer *writer = tree->writer;
    struct sl_stamp here = {0};
    struct sl_stamp stamp = {0};
    *older = false;
    if (node->birth.class != SYNCLINE_SHARED) {
        return SYNCLINE_OK; /* its owner's alone, in order */
    }
    enum syncline_status status =
        sl_reconcile_stamp(writer->core, &writer->core->writer, writer->pending, node->model,
                           &node->uuid, node->id, &node->birth, older, &here, err);
    if (status == SYNCLINE_OK && !*older) {
        status = sl_waiting_stamp(writer, waiting, &stamp, err);
        *older = status == SYNCLINE_OK && sl_stamp_compare(&stamp, &here) <= 0;
    }
    return status == SYNCLINE_OK && *older ? sl_waiting_remove(&writer->waiting.room, waiting, err)
                                           : status;
}

static enum syncline_status read_node(const struct tree *tree, struct node *node,
                                      struct sl_error *err)
{
    struct sl_record_writer *writer = tree->writer;
    struct sl_waiting waiting;
    bool found = false;
    bool older = false;
    enum syncline_status status = sl_birth_get(&writer->core->writer.births, node->model->id_in_db,
                                               node->id, &node->has_birth, &node->birth, err);
    if (status == SYNCLINE_OK && node->has_birth && writer->waiting.room.count.records > 0) {
        status = sl_waiting_of_birth(&writer->waiting.room, node->birth.origin, node->birth.seq,
                                     tree->arena, &found, &waiting, err);
        if (status == SYNCLINE_OK && found) {
            status = drop_if_older(tree, node, &waiting, &older, err);
        }
        node->entry = status == SYNCLINE_OK && found && !older ? waiting.id : 0;
    }
    return status;
}

static enum syncline_status add_node(struct tree *tree, const struct node *node, size_t *at,
                                     struct sl_error *err)
{
    struct node *added = list_add(tree, &tree->nodes, sizeof(*added));
    *at = tree->nodes.len - 1;
    if (added == NULL || !sl_promise_make(&tree->places, node->model, &node->uuid, (int64_t)*at)) {
        return no_memory(err);
    }
    *added = *node;
    return SYNCLINE_OK;
}

static enum syncline_status add_edge(struct tree *tree, size_t parent, size_t child,
                                     struct sl_error *err)
{
    struct edge *edge = list_add(tree, &tree->edges, sizeof(*edge));
    if (edge == NULL) {
        return no_memory(err);
    }
    *edge = (struct edge){.parent = parent, .child = child};
    node_at(tree, parent)->children++;
    return SYNCLINE_OK;
}

/* A row that points at node `parent`, which is dead. */
static enum syncline_status meet_child(struct tree *tree, const struct dead *parent,
                                       struct node *child, struct sl_error *err)
{
    int64_t place = 0;
    bool known = sl_promise_find(&tree->places, child->model, &child->uuid, &place);
    size_t at = (size_t)place;
    bool settled = known && node_at(tree, at)->fate != FATE_HIDDEN;
    enum syncline_status status = SYNCLINE_OK;
    if (!settled) {
        child->lacks_model = parent->model;
        child->lacks_uuid = parent->uuid;
        status = read_node(tree, child, err);
        if (status == SYNCLINE_OK) {
            status = judge_row(tree, parent, child, err);
        }
    }
    if (status == SYNCLINE_OK && !known && node_at(tree, parent->node)->stays && !child->is_own) {
        return SYNCLINE_OK;
    }
    if (status == SYNCLINE_OK && !known) {
        status = add_node(tree, child, &at, err);
    }
    bool is_news = !known || (!settled && child->fate != FATE_HIDDEN);
    if (status == SYNCLINE_OK && is_news) {
        node_at(tree, at)->fate = child->fate;
        status = follow_up(tree, at, parent->device, err);
    }
    return status == SYNCLINE_OK ? add_edge(tree, parent->node, at, err) : status;
}

/* A row that points at node `parent`, which becomes invisible. */
static enum syncline_status meet_hidden_child(struct tree *tree, size_t parent, struct node *child,
                                              struct sl_error *err)
{
    struct syncline_uuid device;
    int64_t place = 0;
    bool known = sl_promise_find(&tree->places, child->model, &child->uuid, &place);
    size_t at = (size_t)place;
    bool pends = false;
    enum syncline_status status = SYNCLINE_OK;
    if (!known) {
        child->fate = FATE_HIDDEN;
        child->lacks_model = node_at(tree, parent)->model;
        child->lacks_uuid = node_at(tree, parent)->uuid;
        status = read_node(tree, child, err);
        if (status == SYNCLINE_OK) {
            status = author_of(tree, child, &pends, &device, err);
        }
        if (status == SYNCLINE_OK && !child->has_birth) {
            status = is_on_its_way(tree, &pends, err);
            child->fate = FATE_AUTHORED; /* it was never captured */
        }
        if (status == SYNCLINE_OK && pends && tree->writer->redoing) {
            child->fate = FATE_AUTHORED; /* nothing that runs brings it into the log */
            pends = false;
        }
        if (status == SYNCLINE_OK && pends) {
            return sl_fail(err, SYNCLINE_AGAIN,
                           "a change of a record that points at a deleted one is not in the log "
                           "yet");
        }
        if (status == SYNCLINE_OK) {
            status = add_node(tree, child, &at, err);
        }
        if (status == SYNCLINE_OK) {
            status = follow_up(tree, at, &tree->writer->core->self.device, err);
        }
    }
    return status == SYNCLINE_OK ? add_edge(tree, parent, at, err) : status;
}

/* Every row that points at node `at`; `parent` is what deletes it, or NULL: it becomes invisible.
 */
static enum syncline_status meet_children(struct tree *tree, size_t at, const struct dead *parent,
                                          struct sl_error *err)
{
    struct sl_subtree *subtree = &tree->writer->subtree;
    const struct sl_db *db = &tree->writer->core->writer.ldb.db;
    enum syncline_status status = SYNCLINE_OK;
    for (size_t k = 0; k < subtree->key_count && status == SYNCLINE_OK; k++) {
        struct sl_child_key *key = &subtree->keys[k];
        const struct node from = *node_at(tree, at);
        bool row = key->field->parent == from.model;
        if (row) {
            status = begin_children(db, key, &from, err);
        }
        while (status == SYNCLINE_OK && row) {
            struct node child = {.model = key->model};
            status = sl_db_row(db, key->stmt, &row, err);
            if (status != SYNCLINE_OK || !row) {
                break;
            }
            child.id = sqlite3_column_int64(key->stmt, 0);
            bool named = sl_column_uuid(key->stmt, 1, &child.uuid);
            if (!named || (child.model == from.model && child.id == from.id)) {
                continue; /* one without a UUID is nobody's but the table's */
            }
            status = parent != NULL ? meet_child(tree, parent, &child, err)
                                    : meet_hidden_child(tree, at, &child, err);
        }
        sl_db_reset(key->stmt);
    }
    return status;
}

/* ---- What waits and points at a dead record ---- */

static const struct sl_model *model_of(const struct tree *tree, int64_t number)
{
    const struct sl_model_set *models = &tree->writer->core->models;
    for (size_t i = 0; i < models->count; i++) {
        if (models->models[i].id_in_db == number) {
            return &models->models[i];
        }
    }
    return NULL;
}

static enum syncline_status author(struct tree *tree, const struct sl_author_change *delete,
                                   struct sl_error *err)
{
    struct sl_author_change *added = list_add(tree, &tree->authored, sizeof(*added));
    if (added == NULL) {
        return no_memory(err);
    }
    *added = *delete;
    return SYNCLINE_OK;
}

/* The content of a row waits, and points at a record that its owner has deleted: so it goes. */
static enum syncline_status meet_owned_row(struct tree *tree, const struct dead *parent,
                                           const struct sl_model *model,
                                           const struct sl_waiting *waiting, struct sl_error *err)
{
    struct node child = {.model = model, .uuid = waiting->uuid, .fate = FATE_GONE};
    struct sl_rows *rows = &tree->writer->core->writer;
    int64_t place = 0;
    size_t at = 0;
    bool found = false;
    if (sl_promise_find(&tree->places, model, &waiting->uuid, &place)) {
        return SYNCLINE_OK; /* met already, by its row */
    }
    enum syncline_status status =
        sl_record_id(&rows->tables[model->index], &waiting->uuid, &found, &child.id, err);
    if (status == SYNCLINE_OK && found) {
        status = read_node(tree, &child, err);
    }
    if (status != SYNCLINE_OK || !found || child.entry != waiting->id) {
        return status;
    }
    status = add_node(tree, &child, &at, err);
    return status == SYNCLINE_OK ? follow_up(tree, at, parent->device, err) : status;
}

static enum syncline_status meet_waiting(struct tree *tree, const struct dead *parent,
                                         const struct sl_waiting *waiting, struct sl_error *err)
{
    struct sl_waiting_room *room = &tree->writer->waiting.room;
    const struct sl_model *model = model_of(tree, waiting->model);
    struct syncline_uuid born_by = {{0}};
    struct syncline_uuid set_by = {{0}};
    if (model == NULL || waiting->change == SYNCLINE_DELETE || waiting->lacks_model == 0) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = device_of(tree, waiting->birth_origin, &born_by, err);
    if (status == SYNCLINE_OK) {
        status = device_of(tree, waiting->origin, &set_by, err);
    }
    bool goes = waiting->class == SYNCLINE_DEVICE_OWNED && sl_uuid_equal(&born_by, parent->device);
    if (status != SYNCLINE_OK || !goes) { /* it waits on, for whoever set the key */
        tree->writer->waiting.own_left = tree->writer->waiting.own_left || is_self(tree, &set_by);
        return status;
    }
    if (waiting->change == SYNCLINE_UPDATE) {
        return meet_owned_row(tree, parent, model, waiting, err);
    }
    status = sl_waiting_remove(room, waiting, err);
    return status == SYNCLINE_OK
               ? push_dead(tree, model, &waiting->uuid, parent->device, SIZE_MAX, err)
               : status;
}

static enum syncline_status meet_all_waiting(struct tree *tree, const struct dead *parent,
                                             struct sl_error *err)
{
    struct sl_waiting_room *room = &tree->writer->waiting.room;
    int64_t id = 0;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && room->count.records > 0) {
        struct sl_waiting waiting;
        bool found = false;
        status = sl_waiting_next_child(room, parent->model->id_in_db, &parent->uuid, &id, err);
        if (status != SYNCLINE_OK || id == 0) {
            break;
        }
        status = sl_waiting_get(room, id, tree->arena, &found, &waiting, err);
        if (status == SYNCLINE_OK && found) {
            status = meet_waiting(tree, parent, &waiting, err);
        }
    }
    return status;
}

/* ---- What pointed at a dead record when this device deleted that ---- */

/* While that delete is applied again (stages/doubt): records that were moved away since, by what is
 * captured and not in the log. For the others they are dead, and this device deletes them. */
static enum syncline_status meet_moved(struct tree *tree, const struct dead *parent,
                                       struct sl_error *err)
{
    const struct sl_logged_parents *logged = &tree->writer->logged;
    struct sl_rows *rows = &tree->writer->core->writer;
    enum syncline_status status = SYNCLINE_OK;
    for (size_t k = 0; k < logged->len && status == SYNCLINE_OK; k++) {
        const struct sl_logged_record *record = &logged->records[k];
        struct node child = {.model = record->model, .uuid = record->uuid, .fate = FATE_AUTHORED};
        int64_t place = 0;
        size_t at = 0;
        bool found = false;
        if (!sl_logged_parents_point(record, parent->model, &parent->uuid) ||
            sl_promise_find(&tree->places, record->model, &record->uuid, &place)) {
            continue;
        }
        status = sl_record_id(&rows->tables[record->model->index], &record->uuid, &found, &child.id,
                              err);
        if (status == SYNCLINE_OK && found) {
            status = read_node(tree, &child, err);
        }
        bool goes = status == SYNCLINE_OK && found && child.has_birth;
        if (goes) {
            status = add_node(tree, &child, &at, err);
        }
        if (goes && status == SYNCLINE_OK) {
            status = follow_up(tree, at, parent->device, err);
        }
    }
    return status;
}

/* Everything that follows from what is dead; and only then what becomes invisible. */
static enum syncline_status gather(struct tree *tree, struct sl_error *err)
{
    size_t dead = 0;
    size_t hidden = 0;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && (dead < tree->dead.len || hidden < tree->hidden.len)) {
        if (dead < tree->dead.len) {
            const struct dead parent = ((const struct dead *)tree->dead.items)[dead++];
            status = meet_all_waiting(tree, &parent, err);
            if (status == SYNCLINE_OK && tree->writer->redoing && is_self(tree, parent.device)) {
                status = meet_moved(tree, &parent, err);
            }
            if (status == SYNCLINE_OK && parent.node != SIZE_MAX) {
                status = meet_children(tree, parent.node, &parent, err);
            }
            continue;
        }
        size_t at = ((const size_t *)tree->hidden.items)[hidden++];
        if (node_at(tree, at)->fate == FATE_HIDDEN) {
            status = meet_children(tree, at, NULL, err);
        }
    }
    return status;
}

/* ---- Into the waiting room ---- */

/* What waits for the row becomes the record. */
static enum syncline_status hide_with_entry(struct tree *tree, const struct node *node,
                                            struct sl_value *values, struct sl_waiting *waiting,
                                            struct sl_error *err)
{
    struct sl_localized *localized = NULL;
    bool found = false;
    const struct sl_waiting record = *waiting;
    enum syncline_status status =
        sl_waiting_get(&tree->writer->waiting.room, node->entry, tree->arena, &found, waiting, err);
    if (status == SYNCLINE_OK && !found) {
        status = sl_fail(err, SYNCLINE_ECORRUPT, "library.db: a record that waits is gone");
    }
    if (status == SYNCLINE_OK) {
        status = sl_waiting_content(tree->writer, node->model, waiting, &localized, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_localize_content(localized, 0, values);
    waiting->change = SYNCLINE_INSERT;
    waiting->class = record.class;
    waiting->birth_hlc = record.birth_hlc;
    return sl_waiting_hide(tree->writer, waiting, node->model, values, err);
}

static enum syncline_status hide(struct tree *tree, const struct node *node, struct sl_error *err)
{
    struct sl_rows *rows = &tree->writer->core->writer;
    struct sl_waiting waiting = {.model = node->model->id_in_db,
                                 .uuid = node->uuid,
                                 .change = SYNCLINE_INSERT,
                                 .class = node->birth.class,
                                 .birth_origin = node->birth.origin,
                                 .birth_seq = node->birth.seq,
                                 .birth_hlc = node->birth.hlc,
                                 .origin = node->birth.origin,
                                 .seq = node->birth.seq,
                                 .hlc = node->birth.hlc,
                                 .lacks_model = node->lacks_model->id_in_db,
                                 .lacks_uuid = node->lacks_uuid};
    struct sl_value *values =
        sl_arena_alloc(tree->arena, (node->model->field_count + 1) * sizeof(*values));
    const struct sl_field *orphan = NULL;
    struct syncline_uuid uuid;
    bool found = false;
    if (values == NULL) {
        return no_memory(err);
    }
    if (node->entry != 0) {
        return hide_with_entry(tree, node, values, &waiting, err);
    }
    enum syncline_status status = sl_stamp_get(&rows->births, node->model->id_in_db, node->id,
                                               &found, &waiting.hlc, &waiting.origin, err);
    if (status == SYNCLINE_OK && found) {
        waiting.seq = 0;
    }
    if (status == SYNCLINE_OK) {
        status = sl_record_read(&rows->tables[node->model->index], node->id, tree->arena, &found,
                                &uuid, values, &orphan, err);
    }
    return status != SYNCLINE_OK
               ? status
               : sl_waiting_hide(tree->writer, &waiting, node->model, values, err);
}

/* While all rows are there, as keys are read through them. */
static enum syncline_status hide_all(struct tree *tree, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t at = 0; at < tree->nodes.len && status == SYNCLINE_OK; at++) {
        const struct node *node = node_at(tree, at);
        if (node->fate == FATE_HIDDEN) {
            status = hide(tree, node, err);
        }
    }
    return status;
}

/* ---- Out of the tables ---- */

static enum syncline_status remove_row(struct tree *tree, const struct node *node,
                                       enum sl_outcome *outcome, char reason[256],
                                       struct sl_error *err)
{
    struct sl_record_writer *writer = tree->writer;
    struct sl_rows *rows = &writer->core->writer;
    int64_t model = node->model->id_in_db;
    struct sl_error why;
    enum syncline_status status =
        sl_record_delete(&rows->tables[node->model->index], node->id, &why);
    if (status == SYNCLINE_EINVAL) {
        *outcome = SL_OUTCOME_CANNOT;
        (void)sqlite3_snprintf(256, reason, "not applied: %s", why.text);
        return SYNCLINE_OK;
    }
    if (status != SYNCLINE_OK) {
        *err = why;
        return status;
    }
    if (node->fate == FATE_AUTHORED) {
        const struct sl_author_change delete = {.model = node->model,
                                                .id = node->id,
                                                .uuid = node->uuid,
                                                .birth_origin =
                                                    node->has_birth ? node->birth.origin : 0,
                                                .birth_seq = node->birth.seq};
        status = author(tree, &delete, err);
    }
    if (status == SYNCLINE_OK && node->entry != 0 && node->fate != FATE_HIDDEN) {
        struct sl_waiting waiting = {.id = node->entry};
        status = sl_waiting_remove(&writer->waiting.room, &waiting, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_birth_drop(&rows->births, model, node->id, err);
    }
    if (status == SYNCLINE_OK && sl_core_may_hide(writer->core, node->model)) {
        const struct sl_waiting_event left = {
            .model = node->model, .uuid = node->uuid, .left = true};
        status = sl_waiting_note(&writer->waiting, &left, err);
    }
    writer->clear_of_births[node->model->index] = false;
    if (status == SYNCLINE_OK && !tree->noted[node->model->index]) {
        status = sl_outbox_note_delete(&rows->ldb, model, err);
        tree->noted[node->model->index] = status == SYNCLINE_OK;
    }
    return status;
}

/* The edges by child: [starts[c], starts[c + 1]) are the parents of node c. */
static bool sort_edges(struct tree *tree, size_t **starts, size_t **parents)
{
    const struct edge *edges = tree->edges.items;
    size_t nodes = tree->nodes.len;
    *starts = sl_arena_alloc(tree->arena, (nodes + 2) * sizeof(**starts));
    *parents = sl_arena_alloc(tree->arena, (tree->edges.len + 1) * sizeof(**parents));
    if (*starts == NULL || *parents == NULL) {
        return false;
    }
    for (size_t e = 0; e < tree->edges.len; e++) {
        (*starts)[edges[e].child + 2]++;
    }
    for (size_t c = 2; c < nodes + 2; c++) {
        (*starts)[c] += (*starts)[c - 1];
    }
    for (size_t e = 0; e < tree->edges.len; e++) {
        (*parents)[(*starts)[edges[e].child + 1]++] = edges[e].parent;
    }
    return true;
}

/* Children before their parents; of a circle any. */
static enum syncline_status remove_rows(struct tree *tree, enum sl_outcome *outcome,
                                        char reason[256], struct sl_error *err)
{
    size_t nodes = tree->nodes.len;
    size_t *starts = NULL;
    size_t *parents = NULL;
    size_t *ready = sl_arena_alloc(tree->arena, (nodes + 1) * sizeof(*ready));
    bool *taken = sl_arena_alloc(tree->arena, (nodes + 1) * sizeof(*taken));
    size_t len = 0;
    size_t circle = 0; /* all before it are taken */
    enum syncline_status status = SYNCLINE_OK;
    if (ready == NULL || taken == NULL || !sort_edges(tree, &starts, &parents)) {
        return no_memory(err);
    }
    for (size_t at = 0; at < nodes; at++) {
        if (node_at(tree, at)->children == 0) {
            taken[at] = true;
            ready[len++] = at;
        }
    }
    for (size_t next = 0; next < nodes && status == SYNCLINE_OK; next++) {
        while (next == len) {
            if (!taken[circle]) {
                taken[circle] = true;
                ready[len++] = circle;
            }
            circle++;
        }
        size_t at = ready[next];
        if (!node_at(tree, at)->stays) {
            status = remove_row(tree, node_at(tree, at), outcome, reason, err);
        }
        if (*outcome != SL_OUTCOME_WRITTEN) {
            break;
        }
        for (size_t e = starts[at]; e < starts[at + 1]; e++) {
            struct node *parent = node_at(tree, parents[e]);
            parent->children--;
            if (parent->children == 0 && !taken[parents[e]]) {
                taken[parents[e]] = true;
                ready[len++] = parents[e];
            }
        }
    }
    return status;
}

/* ---- One delete ---- */

static void tree_init(struct tree *tree, struct sl_record_writer *writer)
{
    *tree = (struct tree){.writer = writer, .arena = &writer->subtree.arena};
    sl_arena_reset(tree->arena);
    sl_promises_init(&tree->places, writer->core->env->alloc);
}

/* Everything but the root is found; then all of it leaves. */
static enum syncline_status carry_out(struct tree *tree, enum sl_outcome *outcome, char reason[256],
                                      struct sl_error *err)
{
    enum syncline_status status = gather(tree, err);
    if (status == SYNCLINE_OK) {
        status = hide_all(tree, err);
    }
    if (status == SYNCLINE_OK) {
        status = remove_rows(tree, outcome, reason, err);
    }
    if (status == SYNCLINE_OK && *outcome == SL_OUTCOME_WRITTEN) {
        status = sl_author_changes(tree->writer->core, SYNCLINE_DELETE, tree->authored.items,
                                   tree->authored.len, err);
    }
    sl_promises_clear(&tree->places);
    return status;
}

enum syncline_status sl_subtree_remove(struct sl_record_writer *writer,
                                       const struct sl_model *model,
                                       const struct syncline_uuid *uuid, int64_t id,
                                       const struct syncline_uuid *device, enum sl_outcome *outcome,
                                       char reason[256], struct sl_error *err)
{
    struct node root = {.model = model, .id = id, .uuid = *uuid, .fate = FATE_GONE};
    struct tree tree;
    size_t at = 0;
    bool has = false;
    *outcome = SL_OUTCOME_WRITTEN;
    enum syncline_status status = has_children(writer, &root, &has, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    tree_init(&tree, writer);
    if (!has) {
        return remove_row(&tree, &root, outcome, reason, err);
    }
    status = add_node(&tree, &root, &at, err);
    if (status == SYNCLINE_OK) {
        status = push_dead(&tree, model, uuid, device, at, err);
    }
    if (status != SYNCLINE_OK) {
        sl_promises_clear(&tree.places);
        return status;
    }
    return carry_out(&tree, outcome, reason, err);
}

enum syncline_status sl_subtree_bury(struct sl_record_writer *writer, const struct sl_model *model,
                                     const struct syncline_uuid *uuid,
                                     const struct syncline_uuid *device, struct sl_error *err)
{
    struct node root = {.model = model, .uuid = *uuid, .fate = FATE_GONE, .stays = true};
    enum sl_outcome outcome = SL_OUTCOME_WRITTEN;
    char reason[256] = "";
    struct tree tree;
    size_t at = SIZE_MAX;
    bool found = false;
    bool has = writer->redoing && writer->logged.len > 0;
    enum syncline_status status = sl_record_writer_flush(writer, err);
    if (status == SYNCLINE_OK) {
        status =
            sl_record_id(&writer->core->writer.tables[model->index], uuid, &found, &root.id, err);
    }
    if (status == SYNCLINE_OK && found) {
        status = has_children(writer, &root, &has, err);
    }
    if (status != SYNCLINE_OK || (!has && writer->waiting.room.count.records == 0)) {
        return status;
    }
    tree_init(&tree, writer);
    if (found) {
        status = add_node(&tree, &root, &at, err);
    }
    if (status == SYNCLINE_OK) {
        status = push_dead(&tree, model, uuid, device, at, err);
    }
    if (status != SYNCLINE_OK) {
        sl_promises_clear(&tree.places);
        return status;
    }
    status = carry_out(&tree, &outcome, reason, err);
    return status == SYNCLINE_OK && outcome != SL_OUTCOME_WRITTEN
               ? sl_fail(err, SYNCLINE_EUNSUPPORTED, "%s", reason)
               : status;
}
