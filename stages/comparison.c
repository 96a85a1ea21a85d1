/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/comparison.h"

#include <string.h>

#include "stages/content_state.h"

#define COMPARISON_BUSY_MS 5000
#define CAPACITY_MIN 64u

static const struct syncline_uuid uuid_min;
static const struct syncline_uuid uuid_max = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                               0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static struct syncline_uuid uuid_before(const struct syncline_uuid *uuid)
{
    struct syncline_uuid before = *uuid;
    for (size_t i = sizeof(before.bytes); i > 0 && before.bytes[i - 1]-- == 0; i--) {
    }
    return before;
}

/* ---- What is left to ask ---- */

static enum syncline_status push(struct sl_comparison *comparison, const struct sl_range *range,
                                 struct sl_error *err)
{
    if (comparison->left_len == SL_RANGES_LEN_MAX) {
        return sl_fail(err, SYNCLINE_EPROTO, "the answers lead to more than %u ranges",
                       SL_RANGES_LEN_MAX);
    }
    if (comparison->left_len == comparison->left_capacity) {
        size_t capacity =
            comparison->left_capacity == 0 ? CAPACITY_MIN : 2 * comparison->left_capacity;
        struct sl_range *grown = sl_resize(comparison->core->env->alloc, comparison->left, capacity,
                                           sizeof(*comparison->left));
        if (grown == NULL) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory to compare");
        }
        comparison->left = grown;
        comparison->left_capacity = capacity;
    }
    comparison->left[comparison->left_len++] = *range;
    return SYNCLINE_OK;
}

static enum syncline_status push_all(struct sl_comparison *comparison, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = comparison->core->models.count; i > 0 && status == SYNCLINE_OK; i--) {
        struct sl_range all = {.model = (uint32_t)(i - 1), .lo = uuid_min, .hi = uuid_max};
        status = push(comparison, &all, err);
    }
    return status;
}

enum syncline_status sl_comparison_open(struct sl_comparison *comparison, struct sl_core *core,
                                        const char *library_db, const char *sync_db,
                                        sl_difference_fn difference, sl_go_on_fn go_on, void *ctx,
                                        struct sl_error *err)
{
    memset(comparison, 0, sizeof(*comparison));
    comparison->core = core;
    comparison->difference = difference;
    comparison->go_on = go_on;
    comparison->ctx = ctx;
    comparison->hasher = sl_hasher_new(core->env->alloc);
    if (comparison->hasher == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to hash");
    }
    enum syncline_status status =
        sl_peer_log_open(&comparison->log, core->env, sync_db, SL_DB_READ, err);
    if (status != SYNCLINE_OK) {
        goto err_free_hasher;
    }
    status = sl_rows_open(&comparison->rows, core, library_db, SL_DB_READ, COMPARISON_BUSY_MS, err);
    if (status != SYNCLINE_OK) {
        goto err_close_log;
    }
    status = push_all(comparison, err);
    if (status != SYNCLINE_OK) {
        goto err_close_rows;
    }
    return SYNCLINE_OK;

err_close_rows:
    sl_free(core->env->alloc, comparison->left);
    sl_rows_fini(&comparison->rows, core->models.count);
err_close_log:
    sl_peer_log_fini(&comparison->log);
err_free_hasher:
    sl_hasher_free(comparison->hasher);
    return status;
}

void sl_comparison_close(struct sl_comparison *comparison)
{
    sl_free(comparison->core->env->alloc, comparison->left);
    sl_rows_fini(&comparison->rows, comparison->core->models.count);
    sl_peer_log_fini(&comparison->log);
    sl_hasher_free(comparison->hasher);
}

/* ---- Asking ---- */

/* The place of a model in the question, which gets it if it is not there. */
static uint32_t place_of(const struct sl_comparison *comparison, struct sl_range_ask *ask,
                         uint32_t model)
{
    const char *name = comparison->core->models.models[model].name;
    for (uint32_t i = 0; i < ask->models_len; i++) {
        if (ask->models[i].name == name) {
            return i;
        }
    }
    ask->models[ask->models_len] = (struct sl_model_name){.name = name, .len = strlen(name)};
    return ask->models_len++;
}

enum syncline_status sl_comparison_ask(struct sl_comparison *comparison, struct sl_buf *question,
                                       bool *is_any, struct sl_error *err)
{
    const struct sl_env *env = comparison->core->env;
    struct sl_range_ask ask = {.models_len = 0};
    *is_any = comparison->left_len > 0 && !comparison->stopped;
    if (!*is_any) {
        return SYNCLINE_OK;
    }
    if (env->random(env->ctx, &ask.id, sizeof(ask.id)) != SYNCLINE_OK) {
        return sl_fail(err, SYNCLINE_EIO, "the system gave no randomness");
    }
    while (comparison->left_len > 0 && ask.ranges_len < SL_RANGE_ASK_LEN_MAX) {
        struct sl_range *range = &ask.ranges[ask.ranges_len];
        *range = comparison->left[--comparison->left_len];
        comparison->asked[ask.ranges_len++] = *range;
        range->model = place_of(comparison, &ask, range->model);
    }
    comparison->id = ask.id;
    comparison->asked_len = ask.ranges_len;
    sl_buf_clear(question);
    enum syncline_status status = sl_range_ask_put(question, &ask);
    return status == SYNCLINE_OK ? status : sl_fail(err, status, "no memory for a question");
}

/* ---- Taking the answer ---- */

/* Own records of a range beside the parts that the member has of it. */
struct walk {
    struct sl_comparison *comparison;
    const struct sl_model *model;
    const struct sl_range *range;
    const struct sl_range_parts *parts;
    bool comparable; /* differences may be told */
    size_t index;    /* the part that records belong to now */
    uint64_t count;  /* own records in it so far */
    uint64_t sum;    /* of their hashes */
    bool seen;       /* the part is one record, which is here */
    bool differs;    /* the part is to be asked about again */
    uint64_t total;  /* own records in the range */
};

static void tell(struct walk *walk, enum syncline_difference_kind kind,
                 const struct syncline_uuid *uuid)
{
    struct sl_comparison *comparison = walk->comparison;
    if (comparison->stopped) {
        return;
    }
    comparison->differences++;
    comparison->stopped = !comparison->difference(comparison->ctx, kind, walk->model, uuid);
}

/* A record differs: it is told, or its part is asked about again. */
static void differ(struct walk *walk, enum syncline_difference_kind kind,
                   const struct syncline_uuid *uuid)
{
    if (walk->comparable) {
        tell(walk, kind, uuid);
    } else {
        walk->differs = true;
        walk->comparison->again = true;
    }
}

/* All own records of the current part were seen. */
static enum syncline_status end_part(struct walk *walk, struct sl_error *err)
{
    const struct sl_range_parts *parts = walk->parts;
    const struct sl_range_part *part = &parts->parts[walk->index];
    bool is_single = parts->shift == 0;
    if (is_single && parts->len > 0 && !walk->seen) {
        differ(walk, SYNCLINE_DIFFERENCE_ONLY_THERE, &part->first);
    }
    bool differs = is_single ? walk->differs
                             : walk->count != sl_range_part_count(parts, walk->index) ||
                                   walk->sum != part->sum;
    struct sl_range range = *walk->range;
    if (walk->index > 0) {
        range.lo = part->first;
    }
    if (walk->index + 1 < parts->len) {
        range.hi = uuid_before(&part[1].first);
    }
    walk->index++;
    walk->count = 0;
    walk->sum = 0;
    walk->seen = false;
    walk->differs = false;
    return differs ? push(walk->comparison, &range, err) : SYNCLINE_OK;
}

static enum syncline_status take_record(struct walk *walk, const struct sl_record_hash *record,
                                        struct sl_error *err)
{
    const struct sl_range_parts *parts = walk->parts;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && walk->index + 1 < parts->len &&
           sl_uuid_compare(&parts->parts[walk->index + 1].first, &record->uuid) <= 0) {
        status = end_part(walk, err);
    }
    const struct sl_range_part *part = &parts->parts[walk->index];
    bool is_single = parts->shift == 0;
    walk->total++;
    walk->count++;
    walk->sum += record->hash;
    if (!is_single) {
        return status;
    }
    if (parts->len == 0 || !sl_uuid_equal(&part->first, &record->uuid)) {
        differ(walk, SYNCLINE_DIFFERENCE_ONLY_HERE, &record->uuid);
        return status;
    }
    walk->seen = true;
    if (part->sum != record->hash) {
        differ(walk, SYNCLINE_DIFFERENCE_CONTENT, &record->uuid);
    }
    return status;
}

static bool is_whole(const struct sl_range *range)
{
    return sl_uuid_equal(&range->lo, &uuid_min) && sl_uuid_equal(&range->hi, &uuid_max);
}

/* What is left to be read of the range can change nothing any more. */
static bool is_decided(const struct walk *walk)
{
    return walk->comparison->stopped || (walk->differs && walk->index + 1 >= walk->parts->len);
}

static enum syncline_status read_range(struct walk *walk, struct sl_error *err)
{
    struct sl_comparison *comparison = walk->comparison;
    struct sl_record_table *table = &comparison->rows.tables[walk->model->index];
    enum syncline_status status =
        sl_record_range_start(table, &walk->range->lo, &walk->range->hi, err);
    bool found = true;
    for (uint32_t i = 0; status == SYNCLINE_OK && found && !is_decided(walk); i++) {
        struct sl_record_hash record;
        if (i % SL_COMPARE_LEN == 0) {
            status = comparison->go_on(comparison->ctx, err);
        }
        if (status == SYNCLINE_OK) {
            status = sl_record_range_next(table, comparison->hasher, &found, &record, err);
        }
        if (status == SYNCLINE_OK && found) {
            status = take_record(walk, &record, err);
        }
    }
    sl_record_range_end(table);
    do {
        status = status == SYNCLINE_OK ? end_part(walk, err) : status;
    } while (status == SYNCLINE_OK && walk->index < walk->parts->len);
    if (status == SYNCLINE_OK && is_whole(walk->range)) {
        comparison->records += walk->total;
    }
    return status;
}

/* The parts lie in the range that was asked about. */
static bool is_inside(const struct sl_range_parts *parts, const struct sl_range *range)
{
    return parts->len == 0 ||
           (sl_uuid_compare(&parts->parts[0].first, &range->lo) >= 0 &&
            sl_uuid_compare(&parts->parts[parts->len - 1].first, &range->hi) <= 0);
}

static enum syncline_status take_ranges(struct sl_comparison *comparison,
                                        struct sl_range_answer *answer, bool comparable,
                                        struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (uint32_t i = 0; i < comparison->asked_len && status == SYNCLINE_OK; i++) {
        struct sl_range_parts parts;
        struct walk walk = {.comparison = comparison,
                            .model = &comparison->core->models.models[comparison->asked[i].model],
                            .range = &comparison->asked[i],
                            .parts = &parts,
                            .comparable = comparable};
        if (sl_range_answer_next(answer, &parts) == SL_RANGE_UNKNOWN) {
            comparison->models_unknown++;
            tell(&walk, SYNCLINE_DIFFERENCE_MODEL, &uuid_min);
            continue;
        }
        if (!is_inside(&parts, walk.range)) {
            return sl_fail(err, SYNCLINE_EPROTO, "an answer with records outside of its range");
        }
        status = comparison->stopped ? SYNCLINE_OK : read_range(&walk, err);
    }
    return status;
}

/* One read transaction, whose state is that of all that is compared in it. */
static enum syncline_status compare(struct sl_comparison *comparison,
                                    struct sl_range_answer *answer, struct sl_error *err)
{
    struct sl_library_db *ldb = &comparison->rows.ldb;
    enum syncline_status status = sl_library_db_begin_read(ldb, err);
    if (status == SYNCLINE_OK) {
        status = sl_content_state_read(ldb, &comparison->log, comparison->core, comparison->hasher,
                                       &comparison->ours, err);
    }
    if (status == SYNCLINE_OK) {
        comparison->theirs = answer->state;
        comparison->different =
            memcmp(comparison->ours.hash, comparison->theirs.hash, SL_HASH_SIZE) != 0;
        bool comparable =
            !comparison->different && !comparison->ours.pending && !comparison->theirs.pending;
        status = take_ranges(comparison, answer, comparable, err);
    }
    sl_library_db_rollback(ldb);
    return status;
}

enum syncline_status sl_comparison_take(struct sl_comparison *comparison, const void *data,
                                        size_t len, struct sl_error *err)
{
    struct sl_range_answer answer;
    enum syncline_status status = sl_range_answer_get(data, len, &answer, err);
    comparison->again = false;
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (answer.id != comparison->id) {
        return sl_fail(err, SYNCLINE_EPROTO, "an answer to another question");
    }
    if (answer.status != SYNCLINE_OK) {
        return sl_fail(err, SYNCLINE_EREFUSED, "it could not read its tables: %s",
                       syncline_status_text(answer.status));
    }
    if (answer.ranges_len != comparison->asked_len) {
        return sl_fail(err, SYNCLINE_EPROTO, "an answer about %u ranges where %u were asked",
                       answer.ranges_len, comparison->asked_len);
    }
    return compare(comparison, &answer, err);
}
