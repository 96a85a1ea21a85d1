/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/shared.h"

#include <stdio.h>
#include <string.h>

/* Checkpoints are the apply connection's, at moments of its choosing. */
static const char pragmas[] = "PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=NORMAL";

enum syncline_status sl_rows_open(struct sl_rows *rows, const struct sl_core *core,
                                  const char *path, enum sl_db_mode mode, uint32_t busy_timeout_ms,
                                  struct sl_error *err)
{
    enum syncline_status status =
        sl_library_db_open(&rows->ldb, core->env, path, mode, busy_timeout_ms, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_db_exec(&rows->ldb.db, pragmas, err);
    rows->tables = NULL;
    rows->has_tables = false;
    rows->alloc = core->env->alloc;
    if (status == SYNCLINE_OK && !sl_rows_make_tables(rows, core)) {
        status = sl_fail(err, SYNCLINE_ENOMEM, "no memory for the tables");
    }
    if (status != SYNCLINE_OK) {
        sl_library_db_fini(&rows->ldb);
        return status;
    }
    sl_births_init(&rows->births, &rows->ldb);
    sl_hidden_births_init(&rows->hidden, &rows->ldb);
    return SYNCLINE_OK;
}

void sl_rows_borrow(struct sl_rows *rows, const struct sl_core *core, sqlite3 *handle)
{
    sl_library_db_borrow(&rows->ldb, handle);
    sl_births_init(&rows->births, &rows->ldb);
    sl_hidden_births_init(&rows->hidden, &rows->ldb);
    rows->has_tables = false;
    rows->alloc = core->env->alloc;
}

bool sl_rows_make_tables(struct sl_rows *rows, const struct sl_core *core)
{
    if (rows->has_tables) {
        return true;
    }
    if (rows->tables == NULL) {
        rows->tables = sl_calloc(rows->alloc, core->models.count, sizeof(*rows->tables));
    }
    if (rows->tables == NULL) {
        return false;
    }
    for (size_t i = 0; i < core->models.count; i++) {
        sl_record_table_init(&rows->tables[i], &rows->ldb.db, &core->models.models[i]);
    }
    rows->has_tables = true;
    return true;
}

enum syncline_status sl_rows_replace(struct sl_rows *rows, const struct sl_core *core,
                                     struct sl_library_db *fresh, struct sl_error *err)
{
    enum syncline_status status = sl_db_exec(&fresh->db, pragmas, err);
    if (status != SYNCLINE_OK) {
        sl_library_db_fini(fresh);
        return status;
    }
    for (size_t i = 0; i < core->models.count; i++) {
        sl_record_table_fini(&rows->tables[i]);
    }
    sl_births_fini(&rows->births);
    sl_hidden_births_fini(&rows->hidden);
    sl_library_db_replace(&rows->ldb, fresh);
    sl_births_init(&rows->births, &rows->ldb);
    sl_hidden_births_init(&rows->hidden, &rows->ldb);
    rows->has_tables = false;
    (void)sl_rows_make_tables(rows, core); /* their memory is there */
    return SYNCLINE_OK;
}

static int wal_grew(void *ctx, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    ((struct sl_core *)ctx)->wal_pages = pages;
    return SQLITE_OK;
}

void sl_core_watch_wal(struct sl_core *core)
{
    struct sl_error ignored; /* a small cache will do */
    (void)sqlite3_wal_hook(core->writer.ldb.db.handle, wal_grew, core);
    (void)sl_db_exec(&core->writer.ldb.db, "PRAGMA cache_size=-4096", &ignored);
}

void sl_rows_give_back(struct sl_rows *rows, size_t model_count)
{
    if (rows->ldb.db.handle == NULL) {
        return;
    }
    for (size_t i = 0; i < model_count && rows->has_tables; i++) {
        sl_record_table_fini(&rows->tables[i]);
    }
    rows->has_tables = false;
    sl_births_fini(&rows->births);
    sl_hidden_births_fini(&rows->hidden);
    sl_library_db_fini(&rows->ldb);
}

void sl_rows_fini(struct sl_rows *rows, size_t model_count)
{
    sl_rows_give_back(rows, model_count);
    sl_free(rows->alloc, rows->tables);
    rows->tables = NULL;
}

void sl_core_give_batch(struct sl_core *core, struct sl_batch *batch)
{
    if (!sl_batch_give(&core->reread_pool, batch) && !sl_batch_give(&core->bulk_pool, batch)) {
        (void)sl_staging_give(&core->staging, batch);
    }
}

struct sl_origin_state *sl_core_origin(struct sl_core *core, const struct sl_origin *origin)
{
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++) {
        if (sl_origin_equal(&core->origins[i]->name, origin)) {
            return core->origins[i];
        }
    }
    return NULL;
}

struct sl_origin_state *sl_core_add_origin(struct sl_core *core, const struct sl_origin *origin,
                                           struct sl_hasher *hasher)
{
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_relaxed);
    struct sl_origin_state *state =
        count < SL_VECTOR_LEN_MAX ? sl_calloc(core->env->alloc, 1, sizeof(*state)) : NULL;
    if (state == NULL) {
        return NULL;
    }
    state->name = *origin;
    state->index = count;
    state->head.origin = *origin;
    if (sl_origin_hash(hasher, &core->who.library_id, origin, state->head.held_hash) !=
        SYNCLINE_OK) {
        sl_free(core->env->alloc, state);
        return NULL;
    }
    core->origins[count] = state;
    atomic_store_explicit(&core->origin_count, count + 1, memory_order_release);
    return state;
}

struct sl_log_head sl_core_head(struct sl_core *core, const struct sl_origin_state *origin)
{
    (void)pthread_mutex_lock(&core->head_lock);
    struct sl_log_head head = origin->head;
    (void)pthread_mutex_unlock(&core->head_lock);
    return head;
}

void sl_core_set_head(struct sl_core *core, struct sl_origin_state *origin,
                      const struct sl_log_head *head)
{
    (void)pthread_mutex_lock(&core->head_lock);
    origin->head = *head;
    (void)pthread_mutex_unlock(&core->head_lock);
    atomic_fetch_add_explicit(&core->log_moves, 1, memory_order_release);
}

uint64_t sl_core_held(struct sl_core *core, const struct sl_origin_state *origin)
{
    (void)pthread_mutex_lock(&core->head_lock);
    uint64_t seq = origin->head.held_seq;
    (void)pthread_mutex_unlock(&core->head_lock);
    return seq;
}

void sl_core_set_applied(struct sl_core *core, struct sl_origin_state *origin, uint64_t seq)
{
    (void)pthread_mutex_lock(&core->head_lock);
    origin->applied_seq = seq;
    origin->covered_seq = seq;
    (void)pthread_mutex_unlock(&core->head_lock);
}

void sl_core_applied_synced(struct sl_core *core)
{
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    (void)pthread_mutex_lock(&core->head_lock);
    for (size_t i = 0; i < count; i++) {
        struct sl_origin_state *origin = core->origins[i];
        origin->synced_seq = sl_origin_lags(origin) ? origin->known_seq : origin->applied_seq;
    }
    (void)pthread_mutex_unlock(&core->head_lock);
    atomic_fetch_add_explicit(&core->syncs, 1, memory_order_release);
}

struct sl_member_state *sl_core_member(struct sl_core *core, const struct syncline_uuid *device)
{
    for (size_t i = 0; i < core->member_count; i++) {
        if (sl_uuid_equal(&core->members[i].known.device, device)) {
            return &core->members[i];
        }
    }
    return NULL;
}

enum syncline_status sl_core_is_own(const struct sl_core *core, struct sl_library_db *ldb,
                                    int64_t number, bool *own, struct sl_error *err)
{
    struct sl_origin origin;
    bool found = false;
    *own = number == core->self_number;
    if (*own) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = sl_library_db_origin(ldb, number, &found, &origin, err);
    *own = status == SYNCLINE_OK && found && sl_uuid_equal(&origin.device, &core->self.device);
    return status;
}

bool sl_core_vector(struct sl_core *core, struct sl_vector_entry **entries, size_t *len)
{
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    if (count > core->vector_capacity) {
        struct sl_vector_entry *grown =
            sl_resize(core->env->alloc, core->vector, count, sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        core->vector = grown;
        core->vector_capacity = count;
    }
    (void)pthread_mutex_lock(&core->head_lock);
    for (size_t i = 0; i < count; i++) {
        const struct sl_origin_state *origin = core->origins[i];
        struct sl_vector_entry *entry = &core->vector[i];
        entry->origin = origin->name;
        entry->held_seq = origin->head.held_seq;
        memcpy(entry->held_hash, origin->head.held_hash, SL_HASH_SIZE);
        /* Own changes came from the tables: they are there, whether settled or not. */
        entry->applied_seq = i == 0 ? origin->head.held_seq : origin->synced_seq;
        if (entry->applied_seq > entry->held_seq) {
            entry->applied_seq = entry->held_seq; /* the log was lost, and comes again */
        }
    }
    (void)pthread_mutex_unlock(&core->head_lock);
    *entries = core->vector;
    *len = count;
    return true;
}

uint64_t sl_core_max_drift_ms(const struct sl_core *core)
{
    return (uint64_t)sl_settings_number(&core->settings, SL_SETTING_MAX_DRIFT_MS);
}

void sl_core_vector_moved(struct sl_core *core)
{
    atomic_store_explicit(&core->vector_moved, true, memory_order_release);
}

/* Under progress.lock. */
static void wake(struct sl_progress *progress)
{
    progress->moves++;
    (void)pthread_cond_broadcast(&progress->moved);
}

void sl_core_progress_wake(struct sl_core *core)
{
    (void)pthread_mutex_lock(&core->progress.lock);
    wake(&core->progress);
    (void)pthread_mutex_unlock(&core->progress.lock);
}

void sl_core_progress_members(struct sl_core *core)
{
    struct sl_progress *progress = &core->progress;
    (void)pthread_mutex_lock(&progress->lock);
    progress->linked_count = 0;
    for (size_t i = 0; i < core->member_count; i++) {
        const struct sl_member_state *member = &core->members[i];
        const struct sl_member *known = &member->known;
        progress->member[i] = (struct sl_member_progress){
            .device = known->device,
            .sent_seq =
                known->acked_seq > member->sent_seq_max ? known->acked_seq : member->sent_seq_max,
            .acked_seq = known->acked_seq,
            .applied_seq = known->applied_seq};
        progress->member[i].is_out = known->standing != SL_STANDING_MEMBER ||
                                     atomic_load(&core->own_standing) != SL_STANDING_MEMBER;
        memcpy(progress->member[i].name, known->name, sizeof(known->name));
        if (member->session != NULL) {
            progress->linked[progress->linked_count++] = member->known.device;
        }
    }
    progress->members = (uint32_t)core->member_count;
    progress->links = (uint32_t)progress->linked_count;
    if (core->network != NULL) {
        progress->counts = sl_network_counts(core->network);
    }
    wake(progress);
    (void)pthread_mutex_unlock(&progress->lock);
}

void sl_core_progress_sent(struct sl_core *core, struct sl_member_state *member, uint64_t own_seq)
{
    struct sl_progress *progress = &core->progress;
    if (own_seq > member->sent_seq_max) {
        member->sent_seq_max = own_seq;
    }
    (void)pthread_mutex_lock(&progress->lock);
    progress->segments_sent++;
    progress->member[member - core->members].sent_seq = member->sent_seq_max;
    wake(progress);
    (void)pthread_mutex_unlock(&progress->lock);
}

void sl_core_progress_log(struct sl_core *core, const struct sl_drained *drained, uint64_t own_seq)
{
    struct sl_progress *progress = &core->progress;
    (void)pthread_mutex_lock(&progress->lock);
    progress->drained = *drained;
    progress->own_seq = own_seq;
    wake(progress);
    (void)pthread_mutex_unlock(&progress->lock);
}

void sl_core_device_name(struct sl_core *core, const struct syncline_uuid *device, char *out,
                         size_t size)
{
    struct sl_progress *progress = &core->progress;
    (void)snprintf(out, size, "%02x%02x%02x%02x", device->bytes[0], device->bytes[1],
                   device->bytes[2], device->bytes[3]);
    (void)pthread_mutex_lock(&progress->lock);
    for (uint32_t i = 0; i < progress->members; i++) {
        if (sl_uuid_equal(&progress->member[i].device, device)) {
            (void)snprintf(out, size, "\"%s\"", progress->member[i].name);
        }
    }
    (void)pthread_mutex_unlock(&progress->lock);
}

uint64_t sl_core_clock_ahead_ms(struct sl_core *core)
{
    (void)pthread_mutex_lock(&core->clock_lock);
    uint64_t last_ms = sl_hlc_ms(core->hlc_last);
    (void)pthread_mutex_unlock(&core->clock_lock);
    uint64_t now_ms = sl_wall_ms_clip(core->env->wall_ms(core->env->ctx));
    uint64_t ahead_ms = last_ms > now_ms ? last_ms - now_ms : 0;
    return ahead_ms > sl_core_max_drift_ms(core) / 2 ? ahead_ms : 0;
}

static uint64_t text_hash(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    }
    return hash;
}

/* Is it time to tell this line (again)? Under progress.lock. */
static bool is_news(struct sl_progress *progress, const char *text, uint64_t now_ns)
{
    uint64_t hash = text_hash(text);
    struct sl_told *told = progress->told;
    size_t oldest = 0;
    for (size_t i = 0; i < progress->told_len; i++) {
        if (told[i].hash == hash) {
            bool is_due = now_ns - told[i].at_ns >= SL_LOG_AGAIN_MS * 1000u * 1000u;
            told[i].at_ns = is_due ? now_ns : told[i].at_ns;
            return is_due;
        }
        oldest = told[i].at_ns < told[oldest].at_ns ? i : oldest;
    }
    size_t at = progress->told_len < SL_TOLD_LEN ? progress->told_len++ : oldest;
    told[at] = (struct sl_told){.hash = hash, .at_ns = now_ns};
    return true;
}

/* Sets the notice, and `health` with it if the library ends here. false: no news. */
static bool tell(struct sl_core *core, enum syncline_status status, const char *text, bool dies)
{
    struct sl_progress *progress = &core->progress;
    struct sl_error line;
    enum syncline_log_level level = dies ? SYNCLINE_LOG_ERROR : SYNCLINE_LOG_WARNING;
    uint64_t now_ns = core->env->mono_ns(core->env->ctx);
    (void)pthread_mutex_lock(&progress->lock);
    (void)sl_fail(&progress->notice, status, "%s", text);
    line = progress->notice;
    if (dies) {
        progress->health = status;
        atomic_store_explicit(&core->dead, true, memory_order_release);
    }
    bool news = is_news(progress, line.text, now_ns);
    progress->notice_status = status;
    progress->notices += news ? 1 : 0;
    wake(progress);
    (void)pthread_mutex_unlock(&progress->lock);
    if (news) {
        sl_host_log_say(&core->host_log, level, "%s%s", line.text,
                        dies ? "; the engine stops" : "");
    }
    return news;
}

bool sl_core_notice(struct sl_core *core, enum syncline_status status, const char *text)
{
    return tell(core, status, text, false);
}

/* ---- Events ---- */

/* Under events.lock. */
static void push_event(struct sl_core *core, const struct sl_event *event)
{
    struct sl_event_queue *queue = &core->events;
    if (queue->len == SL_EVENTS_PENDING_MAX) {
        queue->lost++;
        return;
    }
    struct sl_event *row = &queue->rows[queue->len++];
    *row = *event;
    row->at_ms = core->env->wall_ms(core->env->ctx);
    atomic_store_explicit(&queue->pending, true, memory_order_release);
}

void sl_core_event(struct sl_core *core, const struct sl_event *event)
{
    (void)pthread_mutex_lock(&core->events.lock);
    push_event(core, event);
    (void)pthread_mutex_unlock(&core->events.lock);
}

static struct sl_event event_of(enum syncline_event_code code, enum syncline_status status,
                                const struct syncline_uuid *device, const char *text)
{
    struct sl_event event = {.code = code, .status = status};
    struct sl_error line; /* made one line */
    (void)sl_fail(&line, status, "%s", text);
    memcpy(event.text, line.text, sizeof(event.text));
    if (device != NULL) {
        event.device = *device;
    }
    return event;
}

void sl_core_trouble(struct sl_core *core, enum syncline_event_code code,
                     enum syncline_status status, const struct syncline_uuid *device,
                     const char *text)
{
    struct sl_event event = event_of(code, status, device, text);
    (void)tell(core, status, text, false);
    sl_core_event(core, &event);
}

void sl_core_news(struct sl_core *core, enum syncline_event_code code,
                  const struct syncline_uuid *device, const char *text)
{
    struct sl_event event = event_of(code, SYNCLINE_OK, device, text);
    sl_host_log_say(&core->host_log, SYNCLINE_LOG_INFO, "%s", event.text);
    sl_core_event(core, &event);
}

void sl_core_event_aside(struct sl_core *core, const char *model, const struct syncline_uuid *uuid,
                         const struct syncline_uuid *device, const char *reason, size_t count)
{
    struct sl_event event = event_of(SYNCLINE_CODE_SET_ASIDE, SYNCLINE_OK, device, reason);
    if (count > 1) {
        (void)snprintf(event.text, sizeof(event.text), "%.255s (and %zu more records)", reason,
                       count - 1);
    }
    event.uuid = *uuid;
    (void)snprintf(event.model, sizeof(event.model), "%s", model);
    sl_core_event(core, &event);
}

/* What an event calls a stage's failure; 0: it is none, only a matter of waiting. */
static enum syncline_event_code code_of(enum syncline_status status)
{
    switch (status) {
    case SYNCLINE_EBUSY:
    case SYNCLINE_AGAIN:
        return 0;
    case SYNCLINE_ENOSPC:
        return SYNCLINE_CODE_NO_SPACE;
    case SYNCLINE_ENOMEM:
        return SYNCLINE_CODE_NO_MEMORY;
    case SYNCLINE_EIO:
        return SYNCLINE_CODE_IO_FAILED;
    case SYNCLINE_ECORRUPT:
    case SYNCLINE_EFORMAT:
        return SYNCLINE_CODE_STOPPED;
    default:
        return SYNCLINE_CODE_FAILED;
    }
}

/* The stage fails so, and no longer otherwise. */
static void begin_failure(struct sl_core *core, unsigned stage, enum syncline_status status,
                          const char *text)
{
    struct sl_event_queue *queue = &core->events;
    enum syncline_event_code code = code_of(status);
    if (code == 0) {
        return;
    }
    struct sl_event event = event_of(code, status, NULL, text);
    (void)pthread_mutex_lock(&queue->lock);
    if (queue->failing[status] == 0) {
        push_event(core, &event);
    }
    for (size_t i = 0; i < SL_STATUS_COUNT; i++) {
        queue->failing[i] &= ~(1u << stage);
    }
    queue->failing[status] |= 1u << stage;
    (void)pthread_mutex_unlock(&queue->lock);
    atomic_store_explicit(&core->failing[stage], true, memory_order_relaxed);
}

void sl_core_works(struct sl_core *core, enum sl_stage stage)
{
    struct sl_event_queue *queue = &core->events;
    if (!atomic_load_explicit(&core->failing[stage], memory_order_relaxed)) {
        return;
    }
    atomic_store_explicit(&core->failing[stage], false, memory_order_relaxed);
    (void)pthread_mutex_lock(&queue->lock);
    for (size_t i = 0; i < SL_STATUS_COUNT; i++) {
        uint32_t before = queue->failing[i];
        queue->failing[i] &= ~(1u << stage);
        if (before != 0 && queue->failing[i] == 0) {
            char text[SL_ERROR_SIZE];
            (void)snprintf(text, sizeof(text), "%s works again: this is over: %s",
                           sl_stage_name(stage), syncline_status_text((enum syncline_status)i));
            struct sl_event event = event_of(SYNCLINE_CODE_WORKS_AGAIN, SYNCLINE_OK, NULL, text);
            push_event(core, &event);
        }
    }
    (void)pthread_mutex_unlock(&queue->lock);
}

void sl_core_log_aside(const struct sl_core *core, const char *model,
                       const struct syncline_uuid *uuid, const char *reason)
{
    char name[37];
    sl_uuid_format(uuid, name);
    sl_host_log_say(&core->host_log, SYNCLINE_LOG_WARNING,
                    "record %s of model '%s' was set aside: %s", name, model, reason);
}

void sl_core_failed(struct sl_core *core, const char *stage, enum syncline_status status,
                    const struct sl_error *err)
{
    struct sl_error text = *err;
    (void)sl_fail_prefix(&text, status, "%s", stage);
    for (unsigned i = 0; i < SL_STAGE_COUNT; i++) {
        if (strcmp(stage, sl_stage_name((enum sl_stage)i)) == 0) {
            sl_count(&core->counts[i].errors, 1);
            begin_failure(core, i, status, text.text);
        }
    }
    (void)tell(core, status, text.text, status == SYNCLINE_ECORRUPT || status == SYNCLINE_EFORMAT);
}

bool sl_core_is_paused(struct sl_core *core)
{
    return atomic_load(&core->paused);
}

bool sl_core_is_dead(struct sl_core *core)
{
    return atomic_load_explicit(&core->dead, memory_order_acquire);
}
