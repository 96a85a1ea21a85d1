/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/compare.h"

#include <string.h>

#include "stages/content_state.h"

#define COMPARE_BUSY_MS 0 /* readers wait for nobody in WAL mode, and a stage never does */

enum syncline_status sl_compare_init(struct sl_compare *compare, struct sl_core *core,
                                     const char *library_db, struct sl_error *err)
{
    const struct sl_allocator *alloc = core->env->alloc;
    size_t size = strlen(library_db) + 1;
    char *path = sl_calloc(alloc, size, 1);
    if (path == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to compare");
    }
    enum syncline_status status = sl_inquiry_init(&compare->inquiry, core, err);
    if (status != SYNCLINE_OK) {
        sl_free(alloc, path);
        return status;
    }
    memcpy(path, library_db, size);
    compare->library_db = path;
    compare->core = core;
    for (size_t i = 0; i < SL_MEMBER_COUNT_MAX; i++) {
        sl_buf_init(&compare->waiting[i], alloc);
    }
    sl_buf_init(&compare->question, alloc);
    sl_buf_init(&compare->out, alloc);
    return SYNCLINE_OK;
}

/* ---- The question under way ---- */

/* It is under way no more. */
static void leave(struct sl_compare *compare)
{
    if (compare->table != NULL) {
        sl_record_range_end(compare->table);
        compare->table = NULL;
    }
    if (compare->has_rows) {
        sl_library_db_rollback(&compare->rows.ldb);
    }
    compare->member = NULL;
    sl_buf_fini(&compare->question);
    sl_buf_fini(&compare->out);
}

static void send_answer(struct sl_compare *compare)
{
    struct sl_session *session = compare->member->session;
    struct sl_buf *out = &compare->out;
    if (out->failed || sl_session_send_answer(session, out->data, out->len) != SYNCLINE_OK) {
        sl_session_close(session, SYNCLINE_ENET, "the answer could not be queued");
    }
    sl_count_work(&compare->core->counts[SL_STAGE_COMPARE], 1, 0, out->len);
    leave(compare);
}

/* Who asks is told; this device has no worse from it. */
static void answer_failure(struct sl_compare *compare, enum syncline_status status)
{
    sl_count(&compare->core->counts[SL_STAGE_COMPARE].errors, 1);
    sl_buf_clear(&compare->out);
    sl_range_answer_put_failure(&compare->out, compare->ask.id, status);
    send_answer(compare);
}

static enum syncline_status open_rows(struct sl_compare *compare, struct sl_error *err)
{
    struct sl_core *core = compare->core;
    if (compare->has_rows) {
        return SYNCLINE_OK;
    }
    compare->hasher = sl_hasher_new(core->env->alloc);
    if (compare->hasher == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to hash");
    }
    enum syncline_status status =
        sl_rows_open(&compare->rows, core, compare->library_db, SL_DB_READ, COMPARE_BUSY_MS, err);
    if (status != SYNCLINE_OK) {
        sl_hasher_free(compare->hasher);
        return status;
    }
    compare->has_rows = true;
    return SYNCLINE_OK;
}

/* Begins the transaction, and the answer. */
static enum syncline_status begin(struct sl_compare *compare, struct sl_error *err)
{
    struct sl_content_state state;
    enum syncline_status status = open_rows(compare, err);
    if (status == SYNCLINE_OK) {
        status = sl_library_db_begin_read(&compare->rows.ldb, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_content_state_read(&compare->rows.ldb, &compare->core->net_log, compare->core,
                                       compare->hasher, &state, err);
    }
    if (status == SYNCLINE_OK) {
        compare->range = 0;
        sl_range_answer_put_head(&compare->out, compare->ask.id, &state, compare->ask.ranges_len);
    }
    return status;
}

/* Takes up the next question that waits. */
static bool take_up(struct sl_compare *compare)
{
    struct sl_core *core = compare->core;
    for (size_t i = 0; i < core->member_count; i++) {
        size_t at = (compare->next + i) % core->member_count;
        if (compare->waiting[at].len == 0) {
            continue;
        }
        struct sl_error err;
        compare->next = (at + 1) % core->member_count;
        compare->member = &core->members[at];
        compare->question = compare->waiting[at];
        sl_buf_init(&compare->waiting[at], core->env->alloc);
        enum syncline_status status =
            sl_range_ask_get(compare->question.data, compare->question.len, &compare->ask, &err);
        if (status == SYNCLINE_OK) {
            status = begin(compare, &err);
        }
        if (status != SYNCLINE_OK) {
            answer_failure(compare, status);
        }
        return true;
    }
    return false;
}

/* Begins to read the range, or answers that nobody can. */
static enum syncline_status begin_range(struct sl_compare *compare, struct sl_error *err)
{
    const struct sl_range *range = &compare->ask.ranges[compare->range];
    const struct sl_model_name *name = &compare->ask.models[range->model];
    const struct sl_model *model =
        sl_model_find_name(&compare->core->models, name->name, name->len);
    if (model == NULL) {
        sl_range_answer_put(&compare->out, SL_RANGE_UNKNOWN, NULL);
        compare->range++;
        return SYNCLINE_OK;
    }
    sl_range_parts_init(&compare->parts);
    struct sl_record_table *table = &compare->rows.tables[model->index];
    enum syncline_status status = sl_record_range_start(table, &range->lo, &range->hi, err);
    compare->table = status == SYNCLINE_OK ? table : NULL;
    return status;
}

/* Reads one record; *size grows by it. */
static enum syncline_status read_one(struct sl_compare *compare, size_t *size, struct sl_error *err)
{
    struct sl_record_hash record;
    bool found = false;
    enum syncline_status status =
        sl_record_range_next(compare->table, compare->hasher, &found, &record, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (found) {
        *size += record.size;
        sl_range_parts_add(&compare->parts, &record.uuid, record.hash);
        return SYNCLINE_OK;
    }
    sl_range_answer_put(&compare->out, SL_RANGE_PARTS, &compare->parts);
    sl_count(&compare->core->counts[SL_STAGE_COMPARE].changes, compare->parts.count);
    compare->table = NULL;
    compare->range++;
    return SYNCLINE_OK;
}

static void read_slice(struct sl_compare *compare)
{
    struct sl_error err;
    enum syncline_status status = SYNCLINE_OK;
    size_t size = 0;
    for (uint32_t i = 0; i < SL_COMPARE_LEN && size < SL_COMPARE_SIZE && status == SYNCLINE_OK &&
                         compare->range < compare->ask.ranges_len;
         i++) {
        status =
            compare->table == NULL ? begin_range(compare, &err) : read_one(compare, &size, &err);
    }
    if (status != SYNCLINE_OK) {
        answer_failure(compare, status);
    } else if (compare->range == compare->ask.ranges_len) {
        send_answer(compare);
    }
}

/* ---- The stage ---- */

void sl_compare_fini(struct sl_compare *compare)
{
    if (compare->core == NULL) {
        return;
    }
    leave(compare);
    for (size_t i = 0; i < SL_MEMBER_COUNT_MAX; i++) {
        sl_buf_fini(&compare->waiting[i]);
    }
    if (compare->has_rows) {
        sl_rows_fini(&compare->rows, compare->core->models.count);
        sl_hasher_free(compare->hasher);
        compare->has_rows = false;
    }
    sl_inquiry_fini(&compare->inquiry);
    sl_free(compare->core->env->alloc, compare->library_db);
    compare->core = NULL;
}

bool sl_compare_run(void *stage)
{
    struct sl_compare *compare = stage;
    bool worked = sl_inquiry_send(&compare->inquiry, compare->core);
    if (compare->member == NULL) {
        return take_up(compare) || worked;
    }
    read_slice(compare);
    return true;
}

/* ---- The network's events ---- */

enum syncline_status sl_compare_ask(struct sl_compare *compare, struct sl_member_state *member,
                                    const void *data, size_t len, struct sl_error *err)
{
    struct sl_range_ask ask;
    struct sl_buf *waiting = &compare->waiting[member - compare->core->members];
    enum syncline_status status = sl_range_ask_get(data, len, &ask, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (compare->member == member) {
        leave(compare);
    }
    sl_buf_clear(waiting);
    sl_buf_bytes(waiting, data, len);
    if (waiting->failed) {
        sl_buf_fini(waiting);
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a question");
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_compare_answer(struct sl_compare *compare,
                                       const struct sl_member_state *member, const void *data,
                                       size_t len, struct sl_error *err)
{
    struct sl_range_answer answer;
    enum syncline_status status = sl_range_answer_get(data, len, &answer, err);
    if (status == SYNCLINE_OK) {
        sl_inquiry_answered(&compare->inquiry, compare->core, member, answer.id, data, len);
    }
    return status;
}

void sl_compare_forget(struct sl_compare *compare, const struct sl_member_state *member)
{
    if (compare->member == member) {
        leave(compare);
    }
    sl_buf_fini(&compare->waiting[member - compare->core->members]);
    sl_inquiry_lost(&compare->inquiry, compare->core, member);
}
