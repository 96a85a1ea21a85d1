/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/library_parts.h"

#include <stdio.h>
#include <string.h>

#include "pipeline/library_view.h"
#include "stages/clock.h"
#include "stages/commit_record.h"
#include "stages/doubt.h"
#include "stages/epoch.h"
#include "stages/members.h"
#include "stages/roster.h"
#include "storage/key_check.h"

#define ENGINE_BUSY_MS 0 /* the engine never waits for a lock; it comes again */

/* ---- Making a library ---- */

enum syncline_status sl_library_create(const struct sl_library_config *config,
                                       const struct syncline_uuid *library_id,
                                       const char *library_name, const char *device_name,
                                       struct sl_error *err)
{
    struct sl_library_identity who = {.library_id = *library_id,
                                      .device_id = config->identity->device_id};
    if (strlen(library_name) > SL_NAME_SIZE_MAX || strlen(device_name) > SL_NAME_SIZE_MAX) {
        return sl_fail(err, SYNCLINE_ETOOBIG, "a name has more than %u bytes", SL_NAME_SIZE_MAX);
    }
    (void)snprintf(who.library_name, sizeof(who.library_name), "%s", library_name);
    (void)snprintf(who.device_name, sizeof(who.device_name), "%s", device_name);
    uint64_t random = 0;
    enum syncline_status status = config->env->random(config->env->ctx, &random, sizeof(random));
    if (status != SYNCLINE_OK) {
        return sl_fail(err, status, "the system gave no randomness");
    }
    who.epoch = (uint64_t)1 << 48 | (random & 0xffffffffffffu);
    /* Our own file first: the caller can remove it, but not what stands in the application's. */
    status = sl_peer_log_create(config->env, config->sync_db, &who, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_library_db ldb;
    status = sl_library_db_open(&ldb, config->env, config->library_db, SL_DB_CREATE,
                                SL_BUSY_TIMEOUT_MS, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_library_db_create(&ldb, library_id, err);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_put_names(&ldb, library_name, device_name, err);
    }
    sl_library_db_fini(&ldb);
    return status;
}

/* ---- Opening ---- */

#define MUTEX_COUNT 6

static void list_mutexes(struct sl_library *library, pthread_mutex_t *mutexes[MUTEX_COUNT])
{
    struct sl_core *core = &library->core;
    mutexes[0] = &core->progress.lock;
    mutexes[1] = &core->clock_lock;
    mutexes[2] = &core->log_lock;
    mutexes[3] = &core->head_lock;
    mutexes[4] = &library->view_lock;
    mutexes[5] = &core->events.lock;
}

static enum syncline_status init_locks(struct sl_library *library)
{
    pthread_mutex_t *mutexes[MUTEX_COUNT];
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0) {
        return SYNCLINE_ENOMEM;
    }
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int cond = pthread_cond_init(&library->core.progress.moved, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (cond != 0) {
        return SYNCLINE_ENOMEM;
    }
    list_mutexes(library, mutexes);
    for (size_t i = 0; i < MUTEX_COUNT; i++) {
        if (pthread_mutex_init(mutexes[i], NULL) != 0) {
            while (i-- > 0) {
                (void)pthread_mutex_destroy(mutexes[i]);
            }
            (void)pthread_cond_destroy(&library->core.progress.moved);
            return SYNCLINE_ENOMEM;
        }
    }
    return SYNCLINE_OK;
}

static void fini_locks(struct sl_library *library)
{
    pthread_mutex_t *mutexes[MUTEX_COUNT];
    list_mutexes(library, mutexes);
    for (size_t i = 0; i < MUTEX_COUNT; i++) {
        (void)pthread_mutex_destroy(mutexes[i]);
    }
    (void)pthread_cond_destroy(&library->core.progress.moved);
}

static enum syncline_status init_shared(struct sl_library *library, struct sl_error *err)
{
    struct sl_core *core = &library->core;
    const struct sl_allocator *alloc = core->env->alloc;
    if (init_locks(library) != SYNCLINE_OK) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for locks");
    }
    if (sl_staging_init(&core->staging, alloc, &core->budget) != SYNCLINE_OK) {
        goto err_fini_locks;
    }
    if (sl_unsettled_init(&core->unsettled, alloc) != SYNCLINE_OK) {
        goto err_fini_staging;
    }
    if (sl_batch_pool_init(&core->reread_pool, alloc, core->budget.reread,
                           core->budget.reread_kept) != SYNCLINE_OK) {
        goto err_fini_unsettled;
    }
    if (sl_batch_pool_init(&core->bulk_pool, alloc, core->budget.bulk, core->budget.bulk_kept) !=
        SYNCLINE_OK) {
        goto err_fini_reread;
    }
    sl_ring_init(&core->to_resolve);
    sl_ring_init(&core->to_serialize);
    sl_ring_init(&core->to_append);
    library->shared_ready = true;
    return SYNCLINE_OK;

err_fini_reread:
    sl_batch_pool_fini(&core->reread_pool);
err_fini_unsettled:
    sl_unsettled_fini(&core->unsettled);
err_fini_staging:
    sl_staging_fini(&core->staging);
err_fini_locks:
    fini_locks(library);
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory for batches");
}

/* Own origin first, then the others, with what is applied of each. */
static enum syncline_status load_origins(struct sl_core *core, struct sl_error *err)
{
    struct sl_origin_state *self = sl_core_add_origin(core, &core->self, core->hasher);
    if (self == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the vector");
    }
    struct sl_log_head head = {.number = 0};
    bool found = true;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK) {
        status = sl_peer_log_head(&core->log, head.number, &found, &head, err);
        if (status != SYNCLINE_OK || !found) {
            break;
        }
        struct sl_origin_state *origin = sl_core_origin(core, &head.origin);
        origin = origin != NULL ? origin : sl_core_add_origin(core, &head.origin, core->hasher);
        if (origin == NULL) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the vector");
        }
        origin->head = head;
        uint64_t at_ms = 0;
        struct sl_log_floor floor = {.seq = 0};
        status = sl_fork_find(&core->log, head.number, &origin->forked, &at_ms, err);
        if (status == SYNCLINE_OK) {
            status = sl_log_floor_get(&core->log, head.number, &floor, err);
            origin->floor_seq = floor.seq;
        }
    }
    if (status == SYNCLINE_OK && self->head.number == 0) {
        status = sl_peer_log_begin(&core->log, err);
        if (status == SYNCLINE_OK) {
            status = sl_peer_log_add_origin(&core->log, &self->head, err);
        }
        if (status == SYNCLINE_OK) {
            status = sl_peer_log_commit(&core->log, err);
        }
        sl_peer_log_rollback(&core->log);
    }
    return status;
}

static enum syncline_status load_applied(struct sl_core *core, struct sl_error *err)
{
    struct sl_library_db *ldb = &core->writer.ldb;
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < core->origin_count && status == SYNCLINE_OK; i++) {
        struct sl_origin_state *origin = core->origins[i];
        status = sl_library_db_origin_number(ldb, &origin->name, &origin->number, err);
        if (status == SYNCLINE_OK) {
            status = sl_library_db_applied(ldb, origin->number, &origin->applied_seq, err);
            origin->covered_seq = origin->applied_seq;
        }
    }
    if (status == SYNCLINE_OK) {
        atomic_store(&core->settled_seq, core->origins[0]->applied_seq);
        core->next_seq = core->origins[0]->head.held_seq + 1;
    }
    return status;
}

/* What is applied of origins that the log does not know any more: sync.db was lost, or is an older
 * one. Their logs come again from the others, and nothing of them is applied twice. */
static enum syncline_status load_forgotten(struct sl_core *core, struct sl_error *err)
{
    struct sl_origin origin;
    int64_t number = 0;
    bool found = true;
    for (;;) {
        enum syncline_status status =
            sl_library_db_origin_next(&core->writer.ldb, &number, &found, &origin, err);
        if (status != SYNCLINE_OK || !found) {
            return status;
        }
        if (sl_core_origin(core, &origin) == NULL &&
            sl_core_add_origin(core, &origin, core->hasher) == NULL) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the vector");
        }
    }
}

/* The write lock may be somebody's at this moment; opening waits for it, stages never do. */
static enum syncline_status load_state(struct sl_library *library, bool *doubt,
                                       struct sl_error *err)
{
    struct sl_core *core = &library->core;
    struct sl_library_db *ldb = &core->writer.ldb;
    (void)sqlite3_busy_timeout(ldb->db.handle, (int)SL_BUSY_TIMEOUT_MS);
    enum syncline_status status = load_origins(core, err);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_begin_write(ldb, err);
    }
    if (status == SYNCLINE_OK) {
        status = load_forgotten(core, err);
        if (status == SYNCLINE_OK) {
            status = load_applied(core, err);
        }
        if (status == SYNCLINE_OK) {
            status = sl_snapshot_take_load(&library->take, err);
        }
        if (status == SYNCLINE_OK) {
            status = sl_clock_load(core, err);
        }
        if (status == SYNCLINE_OK) {
            status = sl_doubt_look(core, doubt, err);
        }
        if (status == SYNCLINE_OK && !*doubt) {
            status = sl_settle_recover(core, err);
        }
        if (status == SYNCLINE_OK) {
            status = sl_library_db_commit(ldb, err);
        }
        sl_library_db_rollback(ldb);
    }
    if (status == SYNCLINE_OK) {
        status = sl_library_db_sync_wal(ldb, err); /* what is applied is told from now on */
        sl_core_applied_synced(core);
    }
    if (status == SYNCLINE_OK) {
        status = sl_roster_load(core, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_members_load(core, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_holders_load(core, err);
    }
    (void)sqlite3_busy_timeout(ldb->db.handle, ENGINE_BUSY_MS);
    return status;
}

/* Both sides of it. */
static bool snapshot_run(void *self)
{
    struct sl_library *library = self;
    bool gave = sl_snapshot_give_run(&library->give);
    return sl_snapshot_take_run(&library->take) || gave;
}

static void list_stages(struct sl_library *library)
{
    const struct sl_library_stage stages[SL_STAGE_COUNT] = {
        [SL_STAGE_INTAKE] = {sl_intake_run, &library->intake},
        [SL_STAGE_FK_RESOLVE] = {sl_fk_resolve_run, &library->fk_resolve},
        [SL_STAGE_SERIALIZE] = {sl_serialize_run, &library->serialize},
        [SL_STAGE_LOG_APPEND] = {sl_log_append_run, &library->log_append},
        [SL_STAGE_NET_FLUSH] = {sl_net_flush_run, &library->net_flush},
        [SL_STAGE_LOG_HOLD] = {sl_log_hold_run, &library->log_hold},
        [SL_STAGE_APPLY] = {sl_apply_run, &library->apply},
        [SL_STAGE_ACKNOWLEDGE] = {sl_acknowledge_run, &library->acknowledge},
        [SL_STAGE_SETTLE] = {sl_settle_run, &library->settle},
        [SL_STAGE_SCAN] = {sl_sweep_run, &library->sweep},
        [SL_STAGE_EVENT_LOG] = {sl_event_log_run, &library->event_log},
        [SL_STAGE_COMPARE] = {sl_compare_run, &library->compare},
        [SL_STAGE_PRUNE] = {sl_prune_run, &library->prune},
        [SL_STAGE_SNAPSHOT] = {snapshot_run, library},
    };
    memcpy(library->stages, stages, sizeof(stages));
    library->stage_count = SL_STAGE_COUNT;
}

static void tell_epoch(struct sl_library *library)
{
    struct sl_core *core = &library->core;
    if (library->log_is_new) {
        sl_core_trouble(
            core, SYNCLINE_CODE_NEW_EPOCH, SYNCLINE_ERESTORED, NULL,
            library->log_was_bad
                ? "sync.db was damaged, and is sync.db.damaged now: a new one was made, "
                  "and a new epoch of this device began; what it held comes again from "
                  "the other devices"
                : "there was no sync.db: a new one was made, and a new epoch of this "
                  "device began; what it held comes again from the other devices");
    } else if (library->epoch.cause != SL_EPOCH_KEPT) {
        char text[SL_ERROR_SIZE];
        char lacking[64] = "it lacks changes of this device";
        if (library->epoch.lacking > 0) {
            (void)snprintf(lacking, sizeof(lacking), "it lacks %llu changes of this device",
                           (unsigned long long)library->epoch.lacking);
        }
        if (library->epoch.cause == SL_EPOCH_COPIED) {
            (void)snprintf(text, sizeof(text),
                           "this library was copied or moved to where it is: a new epoch of this "
                           "device began. Should it still be used where it was, let this one join "
                           "as a device of its own");
        } else {
            (void)snprintf(text, sizeof(text),
                           "%s, %s: a new epoch began; what it lacks comes again from the other "
                           "devices",
                           library->epoch.cause == SL_EPOCH_RESTORED
                               ? "the library was put back from an older copy"
                               : "sync.db is older than library.db",
                           lacking);
        }
        sl_core_trouble(core, SYNCLINE_CODE_NEW_EPOCH, SYNCLINE_ERESTORED, NULL, text);
    }
}

static enum syncline_status open_engine(struct sl_library *library,
                                        const struct sl_library_config *config,
                                        struct sl_error *err)
{
    struct sl_core *core = &library->core;
    bool doubt = false; /* library.db is older than the log */
    core->hasher = sl_hasher_new(core->env->alloc);
    core->net_hasher = sl_hasher_new(core->env->alloc);
    if (core->hasher == NULL || core->net_hasher == NULL ||
        sl_signer_new(core->env->alloc, &library->identity, &core->signer) != SYNCLINE_OK ||
        sl_signer_new(core->env->alloc, &library->identity, &core->net_signer) != SYNCLINE_OK) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for keys");
    }
    core->ourselves.known.device = core->self.device;
    core->ourselves.known.standing = SL_STANDING_MEMBER; /* to itself, always */
    memcpy(core->ourselves.known.public_key, library->identity.public_key,
           sizeof(core->ourselves.known.public_key));
    (void)snprintf(core->ourselves.known.name, sizeof(core->ourselves.known.name), "%s",
                   core->who.device_name);
    enum syncline_status status =
        sl_peer_log_open(&core->log, core->env, config->sync_db, SL_DB_WRITE, err);
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_open(&core->net_log, core->env, config->sync_db, SL_DB_READ, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_open(&core->apply_log, core->env, config->sync_db, SL_DB_READ, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_open(&core->resolve_log, core->env, config->sync_db, SL_DB_READ, err);
    }
    if (status == SYNCLINE_OK) {
        status =
            sl_rows_open(&core->writer, core, config->library_db, SL_DB_WRITE, ENGINE_BUSY_MS, err);
    }
    if (status == SYNCLINE_OK) {
        sl_core_watch_wal(core);
    }
    if (status == SYNCLINE_OK) {
        status =
            sl_rows_open(&core->reader, core, config->library_db, SL_DB_WRITE, ENGINE_BUSY_MS, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_rows_open(&core->resolver, core, config->library_db, SL_DB_WRITE,
                              ENGINE_BUSY_MS, err);
    }
    for (size_t i = 0; i < core->models.count && status == SYNCLINE_OK; i++) {
        bool any = false;
        status =
            sl_hidden_birth_any(&core->writer.hidden, core->models.models[i].id_in_db, &any, err);
        atomic_store_explicit(&core->hides[i], any, memory_order_relaxed);
        core->living_due.lacks = core->living_due.lacks || any; /* until that was looked at */
    }
    if (status == SYNCLINE_OK) {
        status = sl_snapshot_take_init(&library->take, core, &library->verify, err);
    }
    if (status == SYNCLINE_OK) {
        status = load_state(library, &doubt, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    core->writer_version = -1;
    sl_intake_init(&library->intake, core);
    sl_fk_resolve_init(&library->fk_resolve, core, config->uuid_map,
                       config->uuid_map_size > 0
                           ? config->uuid_map_size
                           : (size_t)sl_settings_number(&core->settings, SL_SETTING_UUID_MAP_SIZE));
    sl_serialize_init(&library->serialize, core);
    sl_settle_init(&library->settle, core);
    sl_net_flush_init(&library->net_flush, core);
    sl_verify_init(&library->verify, core);
    sl_log_hold_init(&library->log_hold, core, &library->verify);
    sl_acknowledge_init(&library->acknowledge, core);
    sl_event_log_init(&library->event_log, core);
    sl_prune_init(&library->prune, core);
    library->engine_ready = true;
    status = sl_log_append_init(&library->log_append, core, config->library_db, err);
    library->append_ready = status == SYNCLINE_OK;
    if (status == SYNCLINE_OK) {
        status = sl_apply_init(&library->apply, core, err);
        library->apply_ready = true; /* fini is allowed after a failure too */
        library->apply.take = &library->take;
    }
    if (status == SYNCLINE_OK && doubt) {
        status = sl_doubt_resolve(&library->apply, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_scan_init(&library->scan, core, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_sweep_init(&library->sweep, &library->scan, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_compare_init(&library->compare, core, config->library_db, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_snapshot_give_init(
            &library->give, core, config->library_db,
            config->page_len > 0 ? config->page_len : SL_SNAPSHOT_PAGE_LEN, err);
    }
    list_stages(library);
    if (status == SYNCLINE_OK) {
        tell_epoch(library);
        sl_epoch_mark(core);
        status = sl_library_open_network(library, config, err);
    }
    sl_core_progress_members(core);
    sl_core_progress_log(core, &core->drained, core->origins[0]->head.held_seq);
    return status;
}

/* Opens the library as it was, alone, until all that its log has is settled. */
static enum syncline_status settle_old_epoch(const void *ctx, struct sl_error *err)
{
    struct sl_library_config quiet = *(const struct sl_library_config *)ctx;
    struct sl_library *inner = NULL;
    quiet.transport = NULL;
    quiet.listen = NULL;
    quiet.peers_count = 0;
    quiet.uuid_map = NULL;
    quiet.keeper = NULL;
    quiet.place = NULL;
    enum syncline_status status = sl_library_open(&quiet, &inner, err);
    if (status == SYNCLINE_OK) {
        status = sl_settle_now(&inner->core, err);
        sl_library_close(inner);
    }
    return status;
}

/* Reads who we are and checks that files and models fit together. */
static enum syncline_status open_view(struct sl_library *library,
                                      const struct sl_library_config *config, struct sl_error *err)
{
    struct sl_core *core = &library->core;
    enum syncline_status status =
        sl_peer_log_open(&library->view_log, core->env, config->sync_db, SL_DB_READ, err);
    if (status == SYNCLINE_ENOTFOUND && config->engine) {
        status = sl_epoch_make_log(core->env, config->library_db, config->sync_db,
                                   &library->identity.device_id, err);
        library->log_is_new = status == SYNCLINE_OK;
        library->log_was_bad = config->log_was_damaged;
        if (status == SYNCLINE_OK) {
            status =
                sl_peer_log_open(&library->view_log, core->env, config->sync_db, SL_DB_READ, err);
        }
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_peer_log_identity(&library->view_log, &core->who, err);
    if (status == SYNCLINE_OK) {
        status = sl_rows_open(&library->view, core, config->library_db, SL_DB_WRITE,
                              SL_BUSY_TIMEOUT_MS, err);
    }
    if (status != SYNCLINE_OK) {
        sl_peer_log_fini(&library->view_log);
        return status;
    }
    library->view_ready = true;
    status = sl_library_db_check(&library->view.ldb, &core->who.library_id, err);
    for (size_t i = 0; i < core->models.count && status == SYNCLINE_OK; i++) {
        status = sl_record_table_check(&library->view.tables[i], &core->models, err);
        if (status == SYNCLINE_OK) {
            status = sl_record_table_note_keys(&library->view.ldb.db, &core->models.models[i], err);
        }
    }
    if (status == SYNCLINE_OK) {
        status = sl_key_cycles_check(&library->view.ldb.db, &core->models, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_library_db_number_models(&library->view.ldb, &core->models, err);
    }
    if (status == SYNCLINE_OK &&
        !sl_uuid_equal(&core->who.device_id, &library->identity.device_id)) {
        status = sl_fail(err, SYNCLINE_ECORRUPT,
                         "device.key and sync.db are of different devices: put back the pair that "
                         "belongs together");
    }
    if (status == SYNCLINE_OK && config->engine) {
        const struct sl_epoch_settler settler = {.settle = settle_old_epoch, .ctx = config};
        status = sl_epoch_check(core, &library->view_log, &library->view.ldb, config->sync_db,
                                config->place, &settler, &library->epoch, err);
    }
    core->self.device = core->who.device_id;
    core->self.epoch = core->who.epoch;
    return status;
}

enum syncline_status sl_library_open(const struct sl_library_config *config,
                                     struct sl_library **out, struct sl_error *err)
{
    struct sl_library *library = sl_calloc(config->env->alloc, 1, sizeof(*library));
    if (library == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the library");
    }
    struct sl_core *core = &library->core;
    core->env = config->env;
    core->roster_moves = 1;
    atomic_init(&core->own_standing, (int)SL_STANDING_MEMBER);
    sl_buf_init(&core->own_statement, core->env->alloc);
    if (config->settings != NULL) {
        core->settings = *config->settings;
    } else {
        sl_settings_init(&core->settings);
    }
    core->batch_len = config->batch_len > 0
                          ? config->batch_len
                          : (uint32_t)sl_settings_number(&core->settings, SL_SETTING_BATCH_SIZE);
    core->settle_along_len =
        config->settle_along_len > 0 ? config->settle_along_len : SL_SETTLE_ALONG_LEN;
    core->waiting_max = SL_WAITING_LEN_MAX;
    core->scan_len = config->scan_len > 0 ? config->scan_len : SL_SCAN_LEN;
    core->engine = config->engine;
    core->host_log = config->host_log;
    core->keeper = config->keeper;
    core->budget = sl_budget_share(
        config->memory > 0 ? config->memory
                           : (size_t)sl_settings_number(&core->settings, SL_SETTING_MEMORY_BUDGET));
    library->identity = *config->identity;
    enum syncline_status status = SYNCLINE_OK;
    if (core->batch_len > SL_BATCH_LEN_MAX) {
        status = sl_fail(err, SYNCLINE_EINVAL, "batch_size %u is over its limit of %u",
                         core->batch_len, SL_BATCH_LEN_MAX);
    }
    if (status == SYNCLINE_OK) {
        status = init_shared(library, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_model_set_init(&core->models, core->env->alloc, config->models,
                                   config->models_count, err);
    }
    if (status == SYNCLINE_OK) {
        status = open_view(library, config, err);
    }
    if (status == SYNCLINE_OK) {
        status =
            sl_library_db_origin_number(&library->view.ldb, &core->self, &core->self_number, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_capture_init(&library->capture, core, config->library_db, err);
        library->capture_ready = status == SYNCLINE_OK;
    }
    if (status == SYNCLINE_OK && config->engine) {
        status = open_engine(library, config, err);
    }
    if (status != SYNCLINE_OK) {
        sl_library_close(library);
        return status;
    }
    *out = library;
    return SYNCLINE_OK;
}

/* Batches still in a ring go back before their pools are freed. */
static void empty_ring(struct sl_core *core, struct sl_ring *ring)
{
    for (struct sl_batch *batch = sl_ring_pop(ring); batch != NULL; batch = sl_ring_pop(ring)) {
        sl_core_give_batch(core, batch);
    }
}

static void close_log(struct sl_peer_log *log)
{
    if (log->db.handle != NULL) {
        sl_peer_log_fini(log);
    }
}

static void close_engine(struct sl_library *library)
{
    struct sl_core *core = &library->core;
    sl_network_free(core->network);
    core->network = NULL;
    if (library->engine_ready) {
        sl_epoch_mark(core);
        sl_event_log_flush(&library->event_log);
        sl_intake_fini(&library->intake);
        sl_fk_resolve_fini(&library->fk_resolve);
        sl_serialize_fini(&library->serialize);
        sl_verify_fini(&library->verify);
    }
    if (library->append_ready) {
        sl_log_append_fini(&library->log_append);
    }
    if (library->apply_ready) {
        sl_apply_fini(&library->apply);
    }
    sl_sweep_fini(&library->sweep);
    sl_scan_fini(&library->scan);
    sl_roster_fini(core);
    sl_members_fini(core);
    sl_holders_fini(core);
    sl_compare_fini(&library->compare);
    sl_snapshot_give_fini(&library->give);
    sl_snapshot_take_fini(&library->take);
    sl_rows_fini(&core->reader, core->models.count);
    sl_rows_fini(&core->resolver, core->models.count);
    sl_rows_fini(&core->writer, core->models.count);
    close_log(&core->net_log);
    close_log(&core->apply_log);
    close_log(&core->resolve_log);
    close_log(&core->log); /* last: it checkpoints */
    sl_signer_free(core->signer);
    sl_signer_free(core->net_signer);
    sl_hasher_free(core->hasher);
    sl_hasher_free(core->net_hasher);
    for (size_t i = 0; i < core->origin_count; i++) {
        sl_free(core->env->alloc, core->origins[i]);
    }
}

void sl_library_close(struct sl_library *library)
{
    if (library == NULL) {
        return;
    }
    struct sl_core *core = &library->core;
    /* Before the engine: the last connection to a file empties its WAL, which a reader cannot. */
    if (library->view_ready) {
        sl_rows_fini(&library->view, core->models.count);
        sl_peer_log_fini(&library->view_log);
    }
    close_engine(library);
    if (library->capture_ready) {
        sl_capture_fini(&library->capture);
    }
    if (library->shared_ready) {
        empty_ring(core, &core->to_resolve);
        empty_ring(core, &core->to_serialize);
        empty_ring(core, &core->to_append);
        sl_batch_pool_fini(&core->bulk_pool);
        sl_batch_pool_fini(&core->reread_pool);
        sl_staging_fini(&core->staging);
        sl_unsettled_fini(&core->unsettled);
        sl_free(core->env->alloc, core->strays);
        fini_locks(library);
    }
    sl_model_set_fini(&core->models);
    sl_free(core->env->alloc, library);
}

/* ---- Running ---- */

size_t sl_library_stage_count(const struct sl_library *library)
{
    return library->stage_count;
}

const char *sl_library_stage_name(const struct sl_library *library, size_t stage)
{
    (void)library;
    return sl_stage_name((enum sl_stage)stage);
}

static bool can_pause(size_t stage)
{
    return stage == SL_STAGE_NET_FLUSH || stage == SL_STAGE_APPLY;
}

void sl_library_pause(struct sl_library *library, bool paused)
{
    atomic_store(&library->core.paused, paused);
}

bool sl_library_is_still(struct sl_library *library)
{
    bool still = sl_core_is_paused(&library->core);
    for (size_t stage = 0; stage < SL_STAGE_COUNT; stage++) {
        still = still && !atomic_load(&library->core.in_slice[stage]);
    }
    return still;
}

bool sl_library_step(struct sl_library *library, size_t stage)
{
    /* Of an engine that has stopped one thing remains to be done: to write down why. */
    if (stage >= library->stage_count ||
        (sl_core_is_dead(&library->core) && stage != SL_STAGE_EVENT_LOG)) {
        return false;
    }
    atomic_bool *in_slice = &library->core.in_slice[stage];
    if (can_pause(stage)) {
        atomic_store(in_slice, true);
    }
    uint64_t errors = sl_counted(&library->core.counts[stage].errors);
    bool worked = library->stages[stage].run(library->stages[stage].self);
    if (can_pause(stage)) {
        atomic_store_explicit(in_slice, false, memory_order_release); /* after all that it did */
    }
    if (worked && errors == sl_counted(&library->core.counts[stage].errors)) {
        sl_core_works(&library->core, (enum sl_stage)stage);
    }
    if (worked) {
        sl_count(&library->core.counts[stage].runs, 1);
    }
    return worked;
}

void sl_library_spent(struct sl_library *library, size_t stage, uint64_t ns)
{
    sl_count(&library->core.counts[stage].busy_ns, ns);
}

void sl_library_poll(struct sl_library *library, uint32_t timeout_ms)
{
    if (library->core.network != NULL) {
        sl_network_poll(library->core.network, timeout_ms);
    }
}

void sl_library_wake(struct sl_library *library)
{
    if (library->core.network != NULL) {
        sl_network_wake(library->core.network);
    }
}

bool sl_library_lingers(struct sl_library *library)
{
    return library->log_append.len > 0;
}

bool sl_library_has_backlog(struct sl_library *library)
{
    struct sl_core *core = &library->core;
    if (sl_core_is_paused(core)) {
        return false;
    }
    size_t count = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    for (size_t i = 1; i < count; i++) {
        const struct sl_origin_state *origin = core->origins[i];
        uint64_t held_seq = sl_core_held(core, origin);
        if (!origin->held && origin->held_until_ms == 0 && origin->applied_seq < held_seq) {
            return true;
        }
    }
    return library->apply.unsynced || sl_snapshot_take_is_due(&library->take) ||
           sl_scan_is_due(&library->scan) || sl_apply_is_untidy(&library->apply);
}

enum syncline_status sl_library_health(struct sl_library *library, struct sl_error *err)
{
    struct sl_progress *progress = &library->core.progress;
    (void)pthread_mutex_lock(&progress->lock);
    enum syncline_status status = progress->health;
    *err = progress->notice;
    (void)pthread_mutex_unlock(&progress->lock);
    return status;
}

enum syncline_status sl_library_capture(struct sl_library *library,
                                        const struct syncline_model *model, const void *rows,
                                        size_t n, enum syncline_change change, struct sqlite3 *db,
                                        uint32_t batch_len, struct sl_error *err)
{
    return sl_library_capture_ticket(library, model, rows, n, change, db, batch_len, NULL, err);
}

enum syncline_status sl_library_capture_ticket(struct sl_library *library,
                                               const struct syncline_model *model, const void *rows,
                                               size_t n, enum syncline_change change,
                                               struct sqlite3 *db, uint32_t batch_len,
                                               struct syncline_ticket *ticket, struct sl_error *err)
{
    return sl_capture_rows(&library->capture, model, rows, n, change, db, batch_len, ticket, err);
}

enum syncline_status sl_library_commit(struct sl_library *library, const struct sl_commit *commit,
                                       struct sqlite3 *db, struct sl_error *err)
{
    return sl_commit_record(&library->capture, commit, db, err);
}

enum syncline_status sl_library_attach(struct sl_library *library, struct sqlite3 *db,
                                       struct sl_error *err)
{
    return sl_capture_attach(&library->capture, db, err);
}

enum syncline_status sl_library_detach(struct sl_library *library, struct sqlite3 *db,
                                       struct sl_error *err)
{
    return sl_capture_detach(&library->capture, db, err);
}

/* ---- Looking at it: pipeline/library_view.c, on these ---- */

struct sl_core *sl_library_core(struct sl_library *library)
{
    return &library->core;
}

struct sl_view sl_library_view_lock(struct sl_library *library)
{
    (void)pthread_mutex_lock(&library->view_lock);
    return (struct sl_view){.rows = &library->view, .log = &library->view_log};
}

void sl_library_view_unlock(struct sl_library *library)
{
    (void)pthread_mutex_unlock(&library->view_lock);
}

struct sl_inquiry *sl_library_inquiry(struct sl_library *library)
{
    return library->compare.inquiry.ready ? &library->compare.inquiry : NULL;
}

const char *sl_library_bound(const struct sl_library *library)
{
    return library->bound;
}
