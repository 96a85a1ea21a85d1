/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/follow.h"

#include <stdio.h>
#include <string.h>

#include "stages/json_form.h"
#include "storage/log_floor.h"

#define FOLLOW_BUSY_MS 1000 /* a reader waits for recovery of a WAL only */

/* ---- Places ---- */

void sl_follow_point_fini(struct sl_follow_point *point, const struct sl_allocator *alloc)
{
    sl_free(alloc, point->places);
    *point = (struct sl_follow_point){0};
}

/* The place of an origin, or NULL. */
static struct sl_follow_place *find_place(const struct sl_follow_point *point, int64_t number)
{
    for (size_t i = 0; i < point->len; i++) {
        if (point->places[i].number == number) {
            return &point->places[i];
        }
    }
    return NULL;
}

/* The same, made with nothing told if it is new. NULL: no memory. */
static struct sl_follow_place *take_place(struct sl_follow_point *point,
                                          const struct sl_log_head *head,
                                          const struct sl_allocator *alloc)
{
    struct sl_follow_place *place = find_place(point, head->number);
    if (place != NULL) {
        return place;
    }
    place = sl_grow(alloc, point->places, point->len, &point->capacity, sizeof(*place));
    if (place == NULL) {
        return NULL;
    }
    point->places = place;
    place = &point->places[point->len++];
    *place = (struct sl_follow_place){.name = head->origin, .number = head->number};
    return place;
}

/* What was told can be pruned. An engine that is another process's does not know. */
static void show_told(struct sl_core *core, const struct sl_follow_place *place)
{
    struct sl_origin_state *origin = sl_core_origin(core, &place->name);
    uint64_t told = place->is_lost ? place->upto : place->seq;
    if (origin != NULL &&
        atomic_exchange_explicit(&origin->told_seq, told, memory_order_acq_rel) != told) {
        atomic_fetch_add_explicit(&core->told, 1, memory_order_release);
    }
}

/* How far there is something to tell of each origin. */
static enum syncline_status look(struct sl_core *core, struct sl_peer_log *log,
                                 struct sl_library_db *ldb, struct sl_follow_point *point,
                                 struct sl_error *err)
{
    struct sl_log_head head = {.number = 0};
    for (;;) {
        bool found = false;
        enum syncline_status status = sl_peer_log_head(log, head.number, &found, &head, err);
        if (status != SYNCLINE_OK || !found) {
            return status;
        }
        struct sl_follow_place *place = take_place(point, &head, core->env->alloc);
        if (place == NULL) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory to follow the log");
        }
        uint64_t upto = head.held_seq;
        if (!sl_origin_equal(&head.origin, &core->self)) {
            status = sl_library_db_applied_of(ldb, &head.origin, &upto, err);
        }
        if (status != SYNCLINE_OK) {
            return status;
        }
        /* The vector was read after the log: it may know more. */
        place->upto = upto < head.held_seq ? upto : head.held_seq;
    }
}

static uint64_t count_notices(struct sl_core *core)
{
    (void)pthread_mutex_lock(&core->progress.lock);
    uint64_t notices = core->progress.notices;
    (void)pthread_mutex_unlock(&core->progress.lock);
    return notices;
}

enum syncline_status sl_follow_now(struct sl_core *core, struct sl_peer_log *log,
                                   struct sl_library_db *ldb, struct sl_follow_point *point,
                                   struct sl_error *err)
{
    enum syncline_status status = look(core, log, ldb, point, err);
    if (status == SYNCLINE_OK) {
        status = sl_set_aside_last(log, &point->aside, err);
    }
    for (size_t i = 0; i < point->len && status == SYNCLINE_OK; i++) {
        point->places[i].seq = point->places[i].upto;
    }
    point->notices = count_notices(core);
    return status;
}

bool sl_follow_is_after(const struct sl_follow_event *event, const struct sl_follow_point *point)
{
    if (event->origin == 0) {
        return event->aside > 0    ? event->aside > point->aside
               : event->notice > 0 ? event->notice > point->notices
                                   : true; /* the log is damaged: whoever follows it is told */
    }
    const struct sl_follow_place *place = find_place(point, event->origin);
    return place == NULL || event->last_seq > place->seq;
}

/* ---- Opening ---- */

enum syncline_status sl_follow_open(struct sl_follow *follow, struct sl_core *core,
                                    const char *sync_db, const char *library_db,
                                    struct sl_error *err)
{
    memset(follow, 0, sizeof(*follow));
    follow->core = core;
    sl_arena_init(&follow->scratch, core->env->alloc);
    sl_buf_init(&follow->json, core->env->alloc);
    enum syncline_status status = sl_decoded_init(&follow->decoded, core->env->alloc, err);
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_open(&follow->log, core->env, sync_db, SL_DB_READ, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_library_db_open(&follow->ldb, core->env, library_db, SL_DB_READ, FOLLOW_BUSY_MS,
                                    err);
    }
    if (status != SYNCLINE_OK) {
        sl_follow_close(follow);
    }
    return status;
}

void sl_follow_close(struct sl_follow *follow)
{
    if (follow->log.db.handle != NULL) {
        sl_peer_log_fini(&follow->log);
    }
    if (follow->ldb.db.handle != NULL) {
        sl_library_db_fini(&follow->ldb);
    }
    sl_decoded_fini(&follow->decoded);
    sl_arena_fini(&follow->scratch);
    sl_buf_fini(&follow->json);
    sl_follow_point_fini(&follow->point, follow->core->env->alloc);
}

void sl_follow_seek(struct sl_follow *follow, struct sl_follow_point *point)
{
    sl_follow_point_fini(&follow->point, follow->core->env->alloc);
    follow->point = *point;
    *point = (struct sl_follow_point){0};
    follow->is_loaded = false;
}

/* ---- Changes ---- */

static const char *const names[] = {
    [SYNCLINE_EVENT_STATE_CHANGE] = "sync:state_change",
    [SYNCLINE_EVENT_STATE_CHANGE_BATCH] = "sync:state_change_batch",
    [SYNCLINE_EVENT_SHARED_CHANGE] = "sync:shared_change",
    [SYNCLINE_EVENT_ERROR] = "sync:error",
};

static const char *const change_names[] = {
    [SYNCLINE_INSERT] = "insert", [SYNCLINE_UPDATE] = "update", [SYNCLINE_DELETE] = "delete"};

static struct syncline_event new_event(const struct sl_follow *follow,
                                       enum syncline_event_kind kind)
{
    return (struct syncline_event){.size = sizeof(struct syncline_event),
                                   .kind = kind,
                                   .name = names[kind],
                                   .library_id = follow->core->who.library_id};
}

/* Members that events about one device's changes have. */
static bool put_change(json_t *root, const struct syncline_event *event)
{
    return sl_json_put(root, "model_type", sl_json_of_text(event->model_type)) &&
           sl_json_put(root, "change_type", json_string(change_names[event->change]));
}

static json_t *state_change(const struct syncline_event *event, const struct sl_group *group,
                            uint32_t first, const char *uuid_name, struct sl_arena *scratch)
{
    json_t *root = json_object();
    bool ok = sl_json_put(root, "library_id", sl_json_of_uuid(&event->library_id)) &&
              put_change(root, event) &&
              sl_json_put(root, "device_id", sl_json_of_uuid(&event->device_id)) &&
              sl_json_put(root, "own", json_boolean(event->own)) &&
              sl_json_put(root, "timestamp", sl_json_of_time(event->timestamp));
    if (event->kind == SYNCLINE_EVENT_STATE_CHANGE) {
        ok = ok && sl_json_put(root, "record_uuid", sl_json_of_uuid(event->record_uuids)) &&
             sl_json_put(root, "data", sl_json_of_record(group, first, uuid_name, scratch));
    } else {
        json_t *records = json_array();
        ok = sl_json_put(root, "records", records) && ok;
        for (uint32_t i = 0; i < event->record_count && ok; i++) {
            json_t *pair = json_array();
            ok = json_array_append_new(records, pair) == 0 &&
                 json_array_append_new(pair, sl_json_of_uuid(&event->record_uuids[i])) == 0 &&
                 json_array_append_new(
                     pair, sl_json_of_record(group, first + i, uuid_name, scratch)) == 0;
        }
    }
    if (!ok) {
        json_decref(root);
        return NULL;
    }
    return root;
}

static json_t *shared_change(const struct syncline_event *event, const struct sl_group *group,
                             uint32_t first, const char *uuid_name, struct sl_arena *scratch)
{
    char hlc[SYNCLINE_HLC_TEXT_SIZE];
    syncline_hlc_text(&event->hlc, hlc);
    json_t *root = json_object();
    json_t *entry = json_object();
    bool ok = sl_json_put(root, "library_id", sl_json_of_uuid(&event->library_id)) &&
              sl_json_put(root, "own", json_boolean(event->own));
    ok = sl_json_put(root, "entry", entry) && ok && sl_json_put(entry, "hlc", json_string(hlc)) &&
         put_change(entry, event) &&
         sl_json_put(entry, "record_uuid", sl_json_of_uuid(event->record_uuids)) &&
         sl_json_put(entry, "data", sl_json_of_record(group, first, uuid_name, scratch));
    if (!ok) {
        json_decref(root);
        return NULL;
    }
    return root;
}

/* Takes the document over. */
static enum syncline_status write_json(struct sl_follow *follow, json_t *root,
                                       struct syncline_event *event, struct sl_error *err)
{
    sl_buf_clear(&follow->json);
    bool ok = root != NULL && sl_json_write(root, &follow->json);
    json_decref(root);
    if (!ok) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for an event as JSON");
    }
    event->json = (const char *)follow->json.data;
    event->json_len = follow->json.len;
    return SYNCLINE_OK;
}

/* The column that a record's UUID stands in; a model that this application does not have any more
 * has none. */
static const char *uuid_name(const struct sl_follow *follow, const struct sl_group *group)
{
    const struct sl_model *model =
        sl_model_find_name(&follow->core->models, group->model, group->model_len);
    return model != NULL ? model->uuid.name : "uuid";
}

/* The changes [first, first + n) of a group, the first of which has `seq`. */
static enum syncline_status tell_changes(struct sl_follow *follow, bool json,
                                         const struct sl_group *group, uint32_t first, uint32_t n,
                                         uint64_t seq, struct sl_follow_event *out,
                                         struct sl_error *err)
{
    struct sl_follow_place *place = &follow->point.places[follow->place];
    bool shared = group->class == SYNCLINE_SHARED;
    struct syncline_event event = new_event(follow, shared   ? SYNCLINE_EVENT_SHARED_CHANGE
                                                    : n == 1 ? SYNCLINE_EVENT_STATE_CHANGE
                                                             : SYNCLINE_EVENT_STATE_CHANGE_BATCH);
    (void)snprintf(follow->model, sizeof(follow->model), "%.*s", (int)group->model_len,
                   group->model);
    event.own = sl_uuid_equal(&place->name.device, &follow->core->who.device_id);
    event.change = group->change;
    event.model_type = follow->model;
    event.record_count = n;
    event.record_uuids = group->uuids + first;
    event.device_id = place->name.device;
    event.hlc = (struct syncline_hlc){
        .time = group->hlc_first + first, .device = place->name.device, .epoch = place->name.epoch};
    event.timestamp = syncline_hlc_ms(&event.hlc);
    event.seq = seq;
    enum syncline_status status = SYNCLINE_OK;
    if (json) {
        sl_arena_reset(&follow->scratch);
        json_t *root = (shared ? shared_change : state_change)(
            &event, group, first, uuid_name(follow, group), &follow->scratch);
        status = write_json(follow, root, &event, err);
    }
    if (status == SYNCLINE_OK) {
        place->seq = seq + n - 1;
        *out = (struct sl_follow_event){
            .event = event, .origin = place->number, .last_seq = place->seq};
    }
    return status;
}

/* The next event of the segment that is loaded; *found = false: it is told. */
static enum syncline_status next_of_segment(struct sl_follow *follow, bool json, bool *found,
                                            struct sl_follow_event *event, struct sl_error *err)
{
    const struct sl_follow_place *place = &follow->point.places[follow->place];
    for (; follow->group < follow->decoded.group_count; follow->group++) {
        const struct sl_group *group = &follow->decoded.groups[follow->group];
        uint64_t last_seq = follow->group_seq + group->n - 1;
        uint64_t seq = place->seq >= follow->group_seq ? place->seq + 1 : follow->group_seq;
        if (seq > place->upto) {
            break; /* the vector stands inside the segment */
        }
        if (seq <= last_seq) {
            uint64_t upto = last_seq < place->upto ? last_seq : place->upto;
            uint32_t n = group->class == SYNCLINE_SHARED ? 1 : (uint32_t)(upto - seq + 1);
            *found = true;
            return tell_changes(follow, json, group, (uint32_t)(seq - follow->group_seq), n, seq,
                                event, err);
        }
        follow->group_seq = last_seq + 1;
    }
    follow->is_loaded = false;
    return SYNCLINE_OK;
}

/* Decodes the next segment of any origin of which something is to be told; *found = false: there is
 * none. */
static enum syncline_status load_next(struct sl_follow *follow, bool *found, struct sl_error *err)
{
    struct sl_follow_point *point = &follow->point;
    enum syncline_status status = look(follow->core, &follow->log, &follow->ldb, point, err);
    for (size_t i = 0; i < point->len && follow->holds; i++) {
        show_told(follow->core, &point->places[i]);
    }
    *found = false;
    for (size_t i = 0; i < point->len && status == SYNCLINE_OK; i++) {
        size_t at = (follow->place + 1 + i) % point->len; /* in turn */
        const struct sl_follow_place *place = &point->places[at];
        if (place->is_lost || place->seq >= place->upto) {
            continue;
        }
        follow->place = at;
        *found = true;
        status =
            sl_decode_from_log(&follow->decoded, &follow->log, place->number, place->seq + 1, err);
        if (status == SYNCLINE_OK) {
            follow->is_loaded = true;
            follow->group = 0;
            follow->group_seq = follow->decoded.segment.first_seq;
        }
        break;
    }
    return status;
}

/* ---- Errors ---- */

static json_t *error_json(const struct syncline_event *event)
{
    json_t *root = json_object();
    bool ok = sl_json_put(root, "library_id", sl_json_of_uuid(&event->library_id)) &&
              sl_json_put(root, "status", json_string(syncline_status_name(event->status))) &&
              sl_json_put(root, "text", sl_json_of_text(event->text)) &&
              sl_json_put(root, "timestamp", sl_json_of_time(event->timestamp));
    if (event->model_type != NULL) {
        ok = ok && sl_json_put(root, "model_type", sl_json_of_text(event->model_type)) &&
             sl_json_put(root, "record_uuid", sl_json_of_uuid(event->record_uuids));
    }
    if (!ok) {
        json_decref(root);
        return NULL;
    }
    return root;
}

static enum syncline_status tell_error(struct sl_follow *follow, bool json,
                                       struct sl_follow_event *event, struct sl_error *err)
{
    return json ? write_json(follow, error_json(&event->event), &event->event, err) : SYNCLINE_OK;
}

static int64_t wall_ms(const struct sl_follow *follow)
{
    return (int64_t)follow->core->env->wall_ms(follow->core->env->ctx);
}

static enum syncline_status next_notice(struct sl_follow *follow, bool json, bool *found,
                                        struct sl_follow_event *event, struct sl_error *err)
{
    struct sl_progress *progress = &follow->core->progress;
    (void)pthread_mutex_lock(&progress->lock);
    uint64_t notices = progress->notices;
    enum syncline_status what = progress->notice_status;
    follow->text = progress->notice;
    (void)pthread_mutex_unlock(&progress->lock);
    if (notices == follow->point.notices) {
        return SYNCLINE_OK;
    }
    *event = (struct sl_follow_event){.event = new_event(follow, SYNCLINE_EVENT_ERROR),
                                      .notice = notices};
    event->event.status = what;
    event->event.text = follow->text.text;
    event->event.timestamp = wall_ms(follow);
    enum syncline_status status = tell_error(follow, json, event, err);
    if (status == SYNCLINE_OK) {
        follow->point.notices = notices;
        *found = true;
    }
    return status;
}

static enum syncline_status next_aside(struct sl_follow *follow, bool json, bool *found,
                                       struct sl_follow_event *event, struct sl_error *err)
{
    int64_t last = 0;
    uint64_t at_ms = 0;
    enum syncline_status status = sl_set_aside_last(&follow->log, &last, err);
    if (status != SYNCLINE_OK || last <= follow->point.aside) {
        return status; /* less: the newest ones were removed */
    }
    int64_t number = follow->point.aside;
    bool has = false;
    status = sl_set_aside_after(&follow->log, &number, &has, &follow->aside, &at_ms, err);
    if (status != SYNCLINE_OK || !has) {
        return status;
    }
    *event =
        (struct sl_follow_event){.event = new_event(follow, SYNCLINE_EVENT_ERROR), .aside = number};
    event->event.status = SYNCLINE_EREFUSED;
    event->event.text = follow->aside.reason;
    event->event.timestamp = (int64_t)at_ms;
    event->event.model_type = follow->aside.model;
    event->event.record_count = 1;
    event->event.record_uuids = &follow->aside.uuid;
    event->event.device_id = follow->aside.origin.device;
    event->event.own = sl_uuid_equal(&event->event.device_id, &follow->core->who.device_id);
    status = tell_error(follow, json, event, err);
    if (status == SYNCLINE_OK) {
        follow->point.aside = number;
        *found = true;
    }
    return status;
}

/* A segment that cannot be read will not be readable later. */
static enum syncline_status tell_lost(struct sl_follow *follow, bool json,
                                      enum syncline_status what, struct sl_follow_event *event,
                                      struct sl_error *err)
{
    struct sl_follow_place *place = &follow->point.places[follow->place];
    follow->text = *err;
    *event = (struct sl_follow_event){.event = new_event(follow, SYNCLINE_EVENT_ERROR)};
    event->event.status = what;
    event->event.text = follow->text.text;
    event->event.timestamp = wall_ms(follow);
    event->event.device_id = place->name.device;
    event->event.own = sl_uuid_equal(&place->name.device, &follow->core->who.device_id);
    enum syncline_status status = tell_error(follow, json, event, err);
    place->is_lost = status == SYNCLINE_OK;
    return status;
}

/* What was to be told next is not in the log any more: said, and gone on where that begins. */
static enum syncline_status tell_pruned(struct sl_follow *follow, bool json,
                                        struct sl_follow_event *event, struct sl_error *err)
{
    struct sl_follow_place *place = &follow->point.places[follow->place];
    struct sl_log_floor floor = {.seq = 0};
    enum syncline_status status = sl_log_floor_get(&follow->log, place->number, &floor, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t upto = floor.seq < place->upto ? floor.seq : place->upto;
    (void)sl_fail(&follow->text, SYNCLINE_EPRUNED,
                  "changes %llu to %llu of a device were pruned before they were told: read the "
                  "tables",
                  (unsigned long long)(place->seq + 1), (unsigned long long)upto);
    *event = (struct sl_follow_event){.event = new_event(follow, SYNCLINE_EVENT_ERROR)};
    event->event.status = SYNCLINE_EPRUNED;
    event->event.text = follow->text.text;
    event->event.timestamp = wall_ms(follow);
    event->event.device_id = place->name.device;
    event->event.own = sl_uuid_equal(&place->name.device, &follow->core->who.device_id);
    status = tell_error(follow, json, event, err);
    place->seq = status == SYNCLINE_OK ? upto : place->seq;
    return status;
}

static bool is_about_the_segment(enum syncline_status status)
{
    return status == SYNCLINE_ECORRUPT || status == SYNCLINE_EPROTO ||
           status == SYNCLINE_EUNSUPPORTED || status == SYNCLINE_EFORMAT;
}

/* ---- In turn: a segment, an error, a segment, ... ---- */

enum syncline_status sl_follow_next(struct sl_follow *follow, bool json, bool *found,
                                    struct sl_follow_event *event, struct sl_error *err)
{
    *found = false;
    enum syncline_status status = SYNCLINE_OK;
    for (bool more = true; more && status == SYNCLINE_OK && !*found;) {
        if (follow->is_loaded) {
            status = next_of_segment(follow, json, found, event, err);
            continue;
        }
        status = next_notice(follow, json, found, event, err);
        if (status == SYNCLINE_OK && !*found) {
            status = next_aside(follow, json, found, event, err);
        }
        if (status != SYNCLINE_OK || *found) {
            break;
        }
        status = load_next(follow, &more, err);
        if (more && status == SYNCLINE_EPRUNED) {
            status = tell_pruned(follow, json, event, err);
            *found = status == SYNCLINE_OK;
        } else if (more && is_about_the_segment(status)) {
            status = tell_lost(follow, json, status, event, err);
            *found = status == SYNCLINE_OK;
        }
    }
    return status;
}
