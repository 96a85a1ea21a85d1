/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/sweep.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stages/author.h"
#include "stages/reopen.h"

#define NS_PER_MS ((uint64_t)1000 * 1000)
#define QUIET_NS (1000 * NS_PER_MS)       /* nobody else has written for so long */
#define PENDING_RETRY_NS (50 * NS_PER_MS) /* what is pending is looked at again after */
#define RETRY_NS (1000 * NS_PER_MS)
#define LOADS_MAX 4u             /* segments that a slice decodes */
#define RUNS_MAX ((size_t)65536) /* that a pass notes */
#define GUARDED_MORE_THAN 1000u  /* records of a model that may not be halved unasked */

struct sl_sweep_model {
    uint64_t births; /* that were met */
    uint64_t gone;   /* of them without a row */
    bool some;       /* rows that nobody captured: */
    int64_t first;
    int64_t last;
};

/* ---- Begin and end ---- */

enum syncline_status sl_sweep_init(struct sl_sweep *sweep, struct sl_scan *scan,
                                   struct sl_error *err)
{
    struct sl_core *core = scan->core;
    memset(sweep, 0, sizeof(*sweep));
    sweep->core = core;
    sweep->scan = scan;
    sweep->version = -1;
    sl_gone_init(&sweep->gone, core);
    sl_birth_check_init(&sweep->check, core, &core->apply_log);
    sl_arena_init(&sweep->arena, core->env->alloc);
    sweep->models = sl_calloc(core->env->alloc, core->models.count + 1, sizeof(*sweep->models));
    if (sweep->models == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the scan");
    }
    return sl_unsent_init(&sweep->unsent, core, err);
}

static void forget_runs(struct sl_sweep *sweep)
{
    sl_free(sweep->core->env->alloc, sweep->runs);
    sweep->runs = NULL;
    sweep->run_len = sweep->run_capacity = 0;
}

void sl_sweep_fini(struct sl_sweep *sweep)
{
    if (sweep->core == NULL) {
        return;
    }
    forget_runs(sweep);
    sl_gone_fini(&sweep->gone);
    sl_birth_check_fini(&sweep->check);
    sl_unsent_fini(&sweep->unsent);
    sl_arena_fini(&sweep->arena);
    sl_free(sweep->core->env->alloc, sweep->models);
    sweep->core = NULL;
}

static uint64_t now_ns(const struct sl_sweep *sweep)
{
    return sweep->core->env->mono_ns(sweep->core->env->ctx);
}

static void start_pass(struct sl_sweep *sweep)
{
    memset(sweep->models, 0, sweep->core->models.count * sizeof(*sweep->models));
    forget_runs(sweep);
    sweep->part = SL_SWEEP_LOOKS;
    sweep->at = 0;
    sweep->after = INT64_MIN;
    sweep->more = sweep->holds = sweep->some = false;
    sweep->held = sweep->foreign = sweep->deleted = 0;
}

/* The pass is over, or is to begin anew. */
static void rest(struct sl_sweep *sweep, uint64_t for_ns)
{
    forget_runs(sweep);
    sl_gone_forget(&sweep->gone);
    sl_arena_fini(&sweep->arena);
    sweep->part = SL_SWEEP_RESTS;
    sweep->due_ns = now_ns(sweep) + for_ns;
}

/* Of a number that was told before nothing is said. */
static void tell_number(struct sl_sweep *sweep, enum syncline_event_code code, uint64_t number,
                        uint64_t *told, const char *what)
{
    if (number > 0 && number != *told) {
        char text[SL_ERROR_SIZE];
        (void)snprintf(text, sizeof(text), "%" PRIu64 " records %s", number, what);
        sl_core_trouble(sweep->core, code, SYNCLINE_EREFUSED, NULL, text);
    }
    *told = number;
}

static void end_pass(struct sl_sweep *sweep)
{
    struct sl_core *core = sweep->core;
    tell_number(sweep, SYNCLINE_CODE_DELETES_HELD, sweep->held, &sweep->held_told,
                "are gone that nobody deleted by a capture, most of their "
                "model: that is not told to the others. Capture the deletes, or open the library "
                "once with scan_deletes = all");
    tell_number(sweep, SYNCLINE_CODE_NOT_OURS, sweep->foreign, &sweep->foreign_told,
                "of other devices were deleted here; only their "
                "owners can delete them, and they are still there on all others");
    if (sweep->deleted > 0) {
        sl_host_log_say(&core->host_log, SYNCLINE_LOG_INFO,
                        "%llu records were deleted without a capture: they are captured now",
                        (unsigned long long)sweep->deleted);
    }
    rest(sweep, sweep->more ? 0 : sl_settings_ns(&core->settings, SL_SETTING_SCAN_INTERVAL_MS));
}

/* ---- May it go on? ---- */

/* Has nobody else written for a while? */
static enum syncline_status is_quiet(struct sl_sweep *sweep, bool *quiet, struct sl_error *err)
{
    int64_t version = 0;
    enum syncline_status status =
        sl_library_db_data_version(&sweep->core->writer.ldb, &version, err);
    uint64_t now = now_ns(sweep);
    if (status == SYNCLINE_OK && version != sweep->version) {
        sweep->version = version;
        sweep->quiet_ns = now;
    }
    *quiet = status == SYNCLINE_OK && now - sweep->quiet_ns >= QUIET_NS;
    return status;
}

/* Is everything that is committed in the log, and settled, as the transaction under way sees it?
 * Then a record has its birth, or it will never have one by itself. */
static enum syncline_status is_settled(struct sl_sweep *sweep, bool *is, struct sl_error *err)
{
    struct sl_core *core = sweep->core;
    int64_t newest = 0;
    uint64_t applied = 0;
    enum syncline_status status = sl_outbox_max(&core->writer.ldb, &newest, err);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_applied(&core->writer.ldb, core->self_number, &applied, err);
    }
    /* In this order: what was drained by now is in the log that is looked at then. */
    (void)pthread_mutex_lock(&core->progress.lock);
    int64_t drained_to = sl_drained_to(&core->progress.drained);
    (void)pthread_mutex_unlock(&core->progress.lock);
    *is = status == SYNCLINE_OK && newest <= drained_to &&
          applied >= sl_core_held(core, core->origins[0]);
    return status;
}

/* Begins a transaction in which nothing is pending. *began = false: something is. */
static enum syncline_status begin(struct sl_sweep *sweep, bool writes, bool *began,
                                  struct sl_error *err)
{
    struct sl_library_db *ldb = &sweep->core->writer.ldb;
    enum syncline_status status =
        writes ? sl_library_db_begin_write(ldb, err) : sl_library_db_begin_read(ldb, err);
    *began = false;
    if (status == SYNCLINE_OK) {
        sl_births_forget(&sweep->core->writer.births);
        sl_arena_reset(&sweep->arena);
        status = is_settled(sweep, began, err);
    }
    if (!*began) {
        sl_library_db_rollback(ldb);
    }
    return status;
}

static uint64_t loads(const struct sl_sweep *sweep)
{
    return sweep->check.loads + sweep->gone.births.loads + sweep->gone.updates.loads;
}

/* ---- Looking ---- */

static enum syncline_status add_gone(struct sl_sweep *sweep, const struct sl_model *model,
                                     const struct sl_birth_run *births, uint32_t n,
                                     struct sl_error *err)
{
    if (sweep->run_len == RUNS_MAX) {
        sweep->more = true;
        return SYNCLINE_OK;
    }
    if (sweep->run_len == sweep->run_capacity) {
        size_t capacity = sweep->run_capacity == 0 ? 16 : 2 * sweep->run_capacity;
        struct sl_gone_run *runs =
            sl_resize(sweep->core->env->alloc, sweep->runs, capacity, sizeof(*runs));
        if (runs == NULL) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the scan");
        }
        sweep->runs = runs;
        sweep->run_capacity = capacity;
    }
    struct sl_gone_run *run = &sweep->runs[sweep->run_len++];
    *run = (struct sl_gone_run){.model = model, .births = *births};
    run->births.n = n;
    sweep->models[model->index].gone += n;
    return SYNCLINE_OK;
}

static void skip(struct sl_birth_run *births, uint32_t n)
{
    births->id += n;
    births->seq += n;
    births->hlc += n;
    births->n -= n;
}

/* Births below `limit`, or all of them, have no row. *births becomes what is left from there on. */
static enum syncline_status pass_births(struct sl_sweep *sweep, const struct sl_model *model,
                                        const int64_t *limit, bool *some,
                                        struct sl_birth_run *births, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && *some && (limit == NULL || births->id < *limit)) {
        uint64_t below = limit == NULL ? UINT64_MAX : (uint64_t)*limit - (uint64_t)births->id;
        uint32_t n = below < births->n ? (uint32_t)below : births->n;
        status = add_gone(sweep, model, births, n, err);
        sweep->models[model->index].births += n;
        if (n < births->n) {
            skip(births, n);
        } else if (status == SYNCLINE_OK) {
            status = sl_birth_next(&sweep->core->writer.births, model->id_in_db,
                                   births->id + (int64_t)(n - 1), some, births, err);
        }
    }
    return status;
}

static void note_bare(struct sl_sweep_model *found, int64_t id)
{
    found->first = found->some ? found->first : id;
    found->last = id;
    found->some = true;
}

/* A row without a birth: is it known already that it cannot be sent? */
static enum syncline_status bare_row(struct sl_sweep *sweep, const struct sl_model *model,
                                     const struct sl_scan_row *row, struct sl_error *err)
{
    struct sl_core *core = sweep->core;
    struct syncline_uuid uuid = row->has_uuid ? row->uuid : sl_scan_stand_in(row->id);
    bool is_aside = false;
    enum syncline_status status = SYNCLINE_OK;
    if (atomic_load(&core->some_aside)) {
        status =
            sl_set_aside_find(&core->apply_log, &core->self, model->name, &uuid, &is_aside, err);
    }
    if (status == SYNCLINE_OK && !is_aside) {
        note_bare(&sweep->models[model->index], row->id);
    }
    return status;
}

/* A row and the birth that stands at its id: is it of another record? */
static enum syncline_status born_row(struct sl_sweep *sweep, const struct sl_model *model,
                                     const struct sl_scan_row *row,
                                     const struct sl_birth_run *births, struct sl_error *err)
{
    struct sl_birth birth = {.seq = births->seq};
    bool found = false;
    bool is = true;
    sweep->models[model->index].births++;
    enum syncline_status status =
        sl_library_db_origin(&sweep->core->writer.ldb, births->origin, &found, &birth.origin, err);
    if (status == SYNCLINE_OK && found) {
        status = sl_birth_check_is(&sweep->check, model, &row->uuid, &birth, &is, err);
    }
    if (status == SYNCLINE_OK && (!is || !row->has_uuid)) {
        note_bare(&sweep->models[model->index], row->id);
        status = add_gone(sweep, model, births, 1, err);
    }
    return status;
}

static enum syncline_status look_at_rows(struct sl_sweep *sweep, const struct sl_model *model,
                                         struct sl_record_scan *rows, bool *ended,
                                         struct sl_error *err)
{
    struct sl_births *births = &sweep->core->writer.births;
    struct sl_scan_mark mark = {.after = sweep->after, .up_to = INT64_MAX};
    struct sl_birth_run run;
    int64_t parents[SL_FIELD_COUNT_MAX];
    bool some = false;
    uint64_t before = loads(sweep);
    enum syncline_status status =
        sl_birth_next(births, model->id_in_db, sweep->after, &some, &run, err);
    if (status == SYNCLINE_OK) {
        status = sl_record_scan_begin(rows, &mark, err);
    }
    for (uint32_t i = 0;
         status == SYNCLINE_OK && i < sweep->core->scan_len && loads(sweep) - before < LOADS_MAX;
         i++) {
        struct sl_scan_row row;
        bool found = false;
        status = sl_record_scan_next(rows, &found, &row, parents, err);
        if (status == SYNCLINE_OK) {
            status = pass_births(sweep, model, found ? &row.id : NULL, &some, &run, err);
        }
        if (status != SYNCLINE_OK || !found) {
            *ended = status == SYNCLINE_OK;
            break;
        }
        if (!some || run.id != row.id) {
            status = bare_row(sweep, model, &row, err);
        } else {
            status = born_row(sweep, model, &row, &run, err);
            if (run.n > 1) {
                skip(&run, 1);
            } else if (status == SYNCLINE_OK) {
                status = sl_birth_next(births, model->id_in_db, row.id, &some, &run, err);
            }
        }
        sweep->after = row.id;
    }
    sl_record_scan_done(rows);
    return status;
}

/* Everything was looked at: what is to be done? */
static enum syncline_status end_looking(struct sl_sweep *sweep, struct sl_error *err)
{
    bool some = sweep->run_len > 0;
    for (size_t m = 0; m < sweep->core->models.count; m++) {
        some = some || sweep->models[m].some;
    }
    if (!some) {
        end_pass(sweep);
        return SYNCLINE_OK;
    }
    sweep->part = SL_SWEEP_TRACES;
    return sl_gone_begin(&sweep->gone, sweep->runs, sweep->run_len, err);
}

static enum syncline_status look(struct sl_sweep *sweep, struct sl_error *err)
{
    struct sl_core *core = sweep->core;
    if (sweep->at == core->models.count) {
        return end_looking(sweep, err);
    }
    const struct sl_model *model = sl_scan_model_at(sweep->scan, sweep->at);
    bool ended = false;
    enum syncline_status status =
        look_at_rows(sweep, model, sl_scan_rows(sweep->scan, model), &ended, err);
    if (ended) {
        sweep->at++;
        sweep->after = INT64_MIN;
    }
    return status;
}

/* ---- Tracing and weighing ---- */

/* Has a model lost so much that the others are not told of it unasked? */
static bool is_much(const struct sl_sweep *sweep)
{
    bool is = false;
    for (size_t m = 0; m < sweep->core->models.count; m++) {
        const struct sl_sweep_model *found = &sweep->models[m];
        is = is || (found->births > GUARDED_MORE_THAN && found->gone > found->births / 2);
    }
    return is && sl_settings_number(&sweep->core->settings, SL_SETTING_SCAN_DELETES) == 0;
}

static void go_through_runs(struct sl_sweep *sweep, enum sl_sweep_part part)
{
    sweep->part = part;
    sweep->run = sweep->run_len;
    sweep->done = 0;
}

static enum syncline_status trace(struct sl_sweep *sweep, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    if (!sweep->gone.read_all) {
        status = sl_gone_trace(&sweep->gone, err);
    } else {
        go_through_runs(sweep, is_much(sweep) ? SL_SWEEP_WEIGHS : SL_SWEEP_ACTS);
    }
    return status;
}

typedef enum syncline_status (*judged_fn)(struct sl_sweep *sweep, const struct sl_gone_run *run,
                                          uint32_t k, enum sl_gone_verdict verdict,
                                          const struct sl_gone_record *record,
                                          struct sl_error *err);

/* The next records of the runs, the last run first: children before parents. */
static enum syncline_status judge_some(struct sl_sweep *sweep, judged_fn judged,
                                       struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    uint64_t before = loads(sweep);
    for (uint32_t i = 0; status == SYNCLINE_OK && sweep->run > 0 && i < sweep->core->scan_len &&
                         loads(sweep) - before < LOADS_MAX;
         i++) {
        const struct sl_gone_run *run = &sweep->runs[sweep->run - 1];
        enum sl_gone_verdict verdict;
        struct sl_gone_record record;
        status = sl_gone_judge(&sweep->gone, run, sweep->done, &verdict, &record, err);
        if (status == SYNCLINE_OK) {
            status = judged(sweep, run, sweep->done, verdict, &record, err);
        }
        sweep->done++;
        if (sweep->done == run->births.n) {
            sweep->run--;
            sweep->done = 0;
        }
    }
    return status;
}

static enum syncline_status weigh_one(struct sl_sweep *sweep, const struct sl_gone_run *run,
                                      uint32_t k, enum sl_gone_verdict verdict,
                                      const struct sl_gone_record *record, struct sl_error *err)
{
    (void)run;
    (void)k;
    (void)record;
    (void)err;
    sweep->holds = sweep->holds || verdict == SL_GONE_DELETE;
    return SYNCLINE_OK;
}

static enum syncline_status weigh(struct sl_sweep *sweep, struct sl_error *err)
{
    enum syncline_status status = judge_some(sweep, weigh_one, err);
    if (status == SYNCLINE_OK && (sweep->holds || sweep->run == 0)) {
        go_through_runs(sweep, SL_SWEEP_ACTS);
    }
    return status;
}

/* ---- Acting ---- */

/* A record whose row was written anew, with another id: the birth goes along. */
static enum syncline_status move(struct sl_sweep *sweep, const struct sl_gone_run *run, uint32_t k,
                                 const struct sl_gone_record *record, struct sl_error *err)
{
    struct sl_births *births = &sweep->core->writer.births;
    int64_t model = run->model->id_in_db;
    int64_t id = run->births.id + k;
    struct sl_birth_run birth = run->births;
    uint64_t hlc = 0;
    int64_t origin = 0;
    bool has_stamp = false;
    skip(&birth, k);
    birth.id = record->id;
    birth.n = 1;
    enum syncline_status status = sl_stamp_get(births, model, id, &has_stamp, &hlc, &origin, err);
    if (status == SYNCLINE_OK) {
        status = sl_birth_drop(births, model, id, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_birth_put(births, model, &birth, err);
    }
    if (status == SYNCLINE_OK && has_stamp) {
        status = sl_stamp_put(births, model, record->id, hlc, origin, err);
    }
    const struct sl_author_change update = {.model = run->model,
                                            .id = record->id,
                                            .uuid = record->uuid,
                                            .birth_origin = birth.origin,
                                            .birth_seq = birth.seq,
                                            .all_births = true};
    bool ours = birth.class == SYNCLINE_SHARED ||
                sl_uuid_equal(&record->birth.origin.device, &sweep->core->self.device);
    /* A device-owned one may have gone with a tree before: then its birth is dead for the others.
     * An insert takes the place of that where it lives (stages/living). */
    enum syncline_change change =
        birth.class == SYNCLINE_DEVICE_OWNED ? SYNCLINE_INSERT : SYNCLINE_UPDATE;
    return status == SYNCLINE_OK && ours ? sl_author_changes(sweep->core, change, &update, 1, err)
                                         : status;
}

static enum syncline_status act_on(struct sl_sweep *sweep, const struct sl_gone_run *run,
                                   uint32_t k, enum sl_gone_verdict verdict,
                                   const struct sl_gone_record *record, struct sl_error *err)
{
    struct sl_births *births = &sweep->core->writer.births;
    int64_t id = run->births.id + k;
    switch (verdict) {
    case SL_GONE_MOVED:
        sweep->some = true;
        return move(sweep, run, k, record, err);
    case SL_GONE_DELETE:
        if (sweep->holds) {
            sweep->held++;
            return SYNCLINE_OK;
        }
        sweep->deletes[sweep->delete_len++] =
            (struct sl_author_change){.model = run->model,
                                      .id = id,
                                      .uuid = record->uuid,
                                      .birth_origin = run->births.origin,
                                      .birth_seq = record->birth.seq,
                                      .all_births = !record->again};
        sweep->some = true;
        return sl_birth_drop(births, run->model->id_in_db, id, err);
    case SL_GONE_WITH_PARENT:
        if (sweep->holds) {
            return SYNCLINE_OK; /* with one whose delete is held */
        }
        sweep->some = true;
        return sl_birth_drop(births, run->model->id_in_db, id, err);
    case SL_GONE_FOREIGN:
        sweep->foreign++;
        return SYNCLINE_OK;
    case SL_GONE_NOT:
    case SL_GONE_UNKNOWN:
        return SYNCLINE_OK;
    }
    return SYNCLINE_OK;
}

/* The ranges with rows that nobody captured are the scan's from here on. */
static enum syncline_status open_ranges(struct sl_sweep *sweep, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t m = 0; m < sweep->core->models.count && status == SYNCLINE_OK; m++) {
        const struct sl_sweep_model *found = &sweep->models[m];
        if (found->some) {
            struct sl_scan_mark mark = {.after = found->first == INT64_MIN ? INT64_MIN
                                                                           : found->first - 1,
                                        .up_to = found->last};
            status = sl_scan_mark_open(&sweep->core->writer.ldb, &sweep->core->models.models[m],
                                       &mark, err);
            sweep->some = true;
        }
    }
    return status;
}

static enum syncline_status act(struct sl_sweep *sweep, struct sl_error *err)
{
    struct sl_core *core = sweep->core;
    size_t run = sweep->run;
    uint32_t done = sweep->done;
    uint64_t held = sweep->held;
    uint64_t foreign = sweep->foreign;
    sweep->some = false;
    sweep->delete_len = 0;
    sweep->deletes = sl_arena_alloc_raw(&sweep->arena, core->scan_len * sizeof(*sweep->deletes));
    enum syncline_status status = sweep->deletes != NULL
                                      ? judge_some(sweep, act_on, err)
                                      : sl_fail(err, SYNCLINE_ENOMEM, "no memory for the scan");
    if (status == SYNCLINE_OK) {
        status = sl_author_changes(core, SYNCLINE_DELETE, sweep->deletes, sweep->delete_len, err);
    }
    bool ends = status == SYNCLINE_OK && sweep->run == 0;
    if (ends) {
        status = open_ranges(sweep, err);
    }
    if (status == SYNCLINE_OK && sweep->some) {
        status = sl_library_db_commit(&core->writer.ldb, err);
    }
    if (status != SYNCLINE_OK) {
        sweep->run = run; /* once more */
        sweep->done = done;
        sweep->held = held;
        sweep->foreign = foreign;
        return status;
    }
    sweep->deleted += sweep->delete_len;
    sl_count_work(&core->counts[SL_STAGE_SCAN], sweep->some ? 1 : 0, sweep->delete_len, 0);
    if (ends) {
        status = sl_scan_reopen(sweep->scan, err);
        end_pass(sweep);
    }
    return status;
}

/* ---- Running ---- */

/* One slice of what is under way. *did = false: not now. */
static enum syncline_status slice(struct sl_sweep *sweep, bool unsent, bool *did,
                                  struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    if (!unsent && sweep->part == SL_SWEEP_TRACES) {
        *did = true; /* the log alone */
        return trace(sweep, err);
    }
    status = begin(sweep, unsent || sweep->part == SL_SWEEP_ACTS, did, err);
    if (status != SYNCLINE_OK || !*did) {
        return status;
    }
    if (unsent) {
        status = sl_unsent_look(&sweep->unsent, err);
    } else if (sweep->part == SL_SWEEP_LOOKS) {
        status = look(sweep, err);
    } else {
        status = sweep->part == SL_SWEEP_WEIGHS ? weigh(sweep, err) : act(sweep, err);
    }
    sl_library_db_rollback(&sweep->core->writer.ldb);
    return status;
}

/* Is a pass under way, or to begin? */
static bool is_pass_due(struct sl_sweep *sweep, uint64_t now)
{
    struct sl_core *core = sweep->core;
    if (sweep->part != SL_SWEEP_RESTS) {
        return true;
    }
    if (sl_settings_ns(&core->settings, SL_SETTING_SCAN_INTERVAL_MS) == 0) {
        return false;
    }
    return now >= sweep->due_ns || atomic_load(&core->scan_asked);
}

static enum syncline_status run(struct sl_sweep *sweep, uint64_t now, bool *did,
                                struct sl_error *err)
{
    bool quiet = false;
    bool pass = is_pass_due(sweep, now);
    *did = false;
    if (!pass && !sl_unsent_some(&sweep->unsent)) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = is_quiet(sweep, &quiet, err);
    if (status != SYNCLINE_OK || !quiet) {
        return status;
    }
    bool unsent = sweep->part == SL_SWEEP_RESTS && sl_unsent_is_due(&sweep->unsent, sweep->version);
    if (!unsent && !pass) {
        return SYNCLINE_OK;
    }
    if (!unsent && sweep->part == SL_SWEEP_RESTS) {
        atomic_store(&sweep->core->scan_asked, false);
        start_pass(sweep);
    }
    status = slice(sweep, unsent, did, err);
    if (status == SYNCLINE_OK && !*did) {
        sweep->not_before_ns = now + PENDING_RETRY_NS;
    }
    if (unsent && (status != SYNCLINE_OK || !*did)) {
        sl_unsent_put_off(&sweep->unsent);
    }
    return status;
}

bool sl_sweep_run(void *stage)
{
    struct sl_sweep *sweep = stage;
    struct sl_core *core = sweep->core;
    struct sl_error err;
    bool did = false;
    uint64_t now = now_ns(sweep);
    if (!sl_scan_is_idle(sweep->scan)) {
        return sl_scan_run(sweep->scan);
    }
    /* While a snapshot is taken the applier is not idle, though it may wait for a page. */
    if (now < sweep->not_before_ns || !sl_core_writer_is_sound(core) ||
        atomic_load_explicit(&core->snapshot.active, memory_order_relaxed)) {
        return false;
    }
    enum syncline_status status = run(sweep, now, &did, &err);
    if (status == SYNCLINE_EBUSY) {
        sweep->not_before_ns = now + PENDING_RETRY_NS;
        return false;
    }
    if (status != SYNCLINE_OK) {
        sl_core_failed(core, "scan", status, &err);
        sweep->not_before_ns = now + RETRY_NS;
        sl_unsent_begin_anew(&sweep->unsent);
        rest(sweep, RETRY_NS);
        return false;
    }
    return did;
}
