/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/row_survey.h"

#include <endian.h>
#include <string.h>

#define ALIGNMENT 16u

void sl_row_survey_init(struct sl_row_survey *survey, const struct sl_allocator *alloc,
                        size_t piece_size)
{
    survey->piece_count = 0;
    survey->piece_size = piece_size;
    survey->large = 0;
    sl_buf_init(&survey->ids, alloc);
    sl_buf_init(&survey->uuids, alloc);
}

void sl_row_survey_fini(struct sl_row_survey *survey)
{
    sl_buf_fini(&survey->ids);
    sl_buf_fini(&survey->uuids);
}

void sl_row_survey_trim(struct sl_row_survey *survey)
{
    if (survey->ids.capacity > SL_SURVEY_KEPT_SIZE_MAX) {
        sl_buf_fini(&survey->ids);
    }
    if (survey->uuids.capacity > SL_SURVEY_KEPT_SIZE_MAX) {
        sl_buf_fini(&survey->uuids);
    }
}

/* ---- Runs ---- */

/* Ids that count up. */
struct id_run {
    uint64_t first;
    uint32_t n;
};

/* UUIDs that count up, as 128-bit numbers. */
struct uuid_run {
    uint64_t high; /* of the first */
    uint64_t low;
    uint32_t n;
};

static void put_ids(struct sl_buf *buf, const struct id_run *run)
{
    sl_buf_u64(buf, run->first);
    sl_buf_u32(buf, run->n);
}

static void add_id(struct sl_buf *buf, struct id_run *run, int64_t id)
{
    if (run->n > 0 && (uint64_t)id == run->first + run->n) {
        run->n++;
        return;
    }
    if (run->n > 0) {
        put_ids(buf, run);
    }
    *run = (struct id_run){.first = (uint64_t)id, .n = 1};
}

static void put_uuids(struct sl_buf *buf, const struct uuid_run *run)
{
    const uint64_t halves[2] = {htobe64(run->high), htobe64(run->low)};
    sl_buf_bytes(buf, halves, sizeof(halves));
    sl_buf_u32(buf, run->n);
}

static void add_uuid(struct sl_buf *buf, struct uuid_run *run, const uint8_t *uuid)
{
    uint64_t halves[2];
    memcpy(halves, uuid, sizeof(halves));
    uint64_t high = be64toh(halves[0]);
    uint64_t low = be64toh(halves[1]);
    uint64_t next_low = run->low + run->n;
    uint64_t next_high = run->high + (next_low < run->low ? 1 : 0);
    if (run->n > 0 && low == next_low && high == next_high) {
        run->n++;
        return;
    }
    if (run->n > 0) {
        put_uuids(buf, run);
    }
    *run = (struct uuid_run){.high = high, .low = low, .n = 1};
}

/* ---- What is missing ---- */

static enum syncline_status is_required(const struct sl_model *model, const struct sl_field *field,
                                        const uint8_t *row, struct sl_error *err)
{
    char name[37];
    struct syncline_uuid uuid = sl_row_uuid(model, row);
    sl_uuid_format(&uuid, name);
    return sl_fail(
        err, SYNCLINE_EINVAL,
        "record %s of model '%s': field '%s' is NULL, and its column in table '%s' is NOT "
        "NULL: fill the member as the row has it",
        name, model->name, field->name, model->table);
}

/* The row cannot hold NULL where the table takes none, so a struct that does is not the row. */
static enum syncline_status check_required(const struct sl_row_survey *survey, struct sl_error *err)
{
    const struct sl_model *model = survey->model;
    for (uint32_t k = 0; k < model->required_count; k++) {
        const struct sl_field *field = &model->fields[model->required[k]];
        const uint8_t *row = survey->rows;
        for (uint32_t i = 0; i < survey->n; i++, row += model->row_size) {
            if (sl_field_is_null(field, row)) {
                return is_required(model, field, row, err);
            }
        }
    }
    return SYNCLINE_OK;
}

static enum syncline_status find_runs(struct sl_row_survey *survey, struct sl_error *err)
{
    const struct sl_model *model = survey->model;
    struct id_run ids = {0};
    struct uuid_run uuids = {0};
    const uint8_t *row = survey->rows;
    for (uint32_t i = 0; i < survey->n; i++, row += model->row_size) {
        add_id(&survey->ids, &ids, sl_row_id(model, row));
        add_uuid(&survey->uuids, &uuids, row + model->uuid.offset);
        if (uuids.n == 1 && uuids.high == 0 && uuids.low == 0) {
            return sl_fail(err, SYNCLINE_EINVAL,
                           "record %u of model '%s' has no UUID, its bytes are all zero: fill the "
                           "member as the row has it",
                           i, model->name);
        }
    }
    put_ids(&survey->ids, &ids);
    put_uuids(&survey->uuids, &uuids);
    if (survey->ids.failed || survey->uuids.failed) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to capture %u records", survey->n);
    }
    return SYNCLINE_OK;
}

/* ---- Sizes ---- */

_Static_assert(offsetof(struct syncline_bytes, data) == 0, "the pointer comes first");
_Static_assert(offsetof(struct syncline_text, data) == 0, "in both");
_Static_assert(sizeof(struct syncline_text) == sizeof(struct syncline_bytes), "read as one");

/* What a string field of a row points at. */
static struct syncline_bytes string_at(const struct sl_field *field, const uint8_t *row)
{
    struct syncline_bytes string = {0};
    if (field->form == SYNCLINE_FORM_COUNTED) {
        memcpy(&string, row + field->offset, sizeof(string));
        string.len = string.data != NULL ? string.len : 0;
        return string;
    }
    memcpy(&string.data, row + field->offset, sizeof(string.data));
    string.len = string.data != NULL ? strlen(string.data) : 0;
    return string;
}

static enum syncline_status too_big(const struct sl_model *model, const uint8_t *row, uint64_t size,
                                    struct sl_error *err)
{
    char name[37];
    struct syncline_uuid uuid = sl_row_uuid(model, row);
    sl_uuid_format(&uuid, name);
    return sl_fail(err, SYNCLINE_ETOOBIG,
                   "record %s of model '%s' has %llu bytes of values, %u are allowed: keep large "
                   "data in files",
                   name, model->name, (unsigned long long)size, SL_RECORD_SIZE_MAX);
}

/* What the strings of one row take in a batch; the sum of their own bytes is in *size. */
static size_t strings_of(const struct sl_model *model, const uint8_t *row, uint64_t *size)
{
    uint64_t sum = 0;
    uint32_t count = 0;
    for (uint32_t k = 0; k < model->string_count; k++) {
        struct syncline_bytes string = string_at(&model->fields[model->strings[k]], row);
        sum += string.len > UINT32_MAX ? UINT32_MAX : string.len; /* which is refused, too */
        count += string.data != NULL ? 1u : 0u;
    }
    *size = sum;
    return (size_t)sum + count;
}

/* Of more pieces than can be kept only their number is known. */
static void put_piece(struct sl_row_survey *survey, size_t *count, const struct sl_row_piece *piece)
{
    if (*count < SL_STAGED_LEN_MAX) {
        survey->pieces[*count] = *piece;
    }
    (*count)++;
    size_t size = (size_t)piece->n * survey->model->row_size + piece->strings_size;
    survey->large += size > survey->piece_size ? size : 0;
}

static enum syncline_status find_pieces(struct sl_row_survey *survey, uint32_t len_max,
                                        struct sl_error *err)
{
    const struct sl_model *model = survey->model;
    struct sl_row_piece piece = {0};
    size_t count = 0;
    const uint8_t *row = survey->rows;
    for (uint32_t i = 0; i < survey->n; i++, row += model->row_size) {
        uint64_t size = 0;
        size_t strings_size = strings_of(model, row, &size);
        if (size + model->plain_size > SL_RECORD_SIZE_MAX) {
            return too_big(model, row, size + model->plain_size, err);
        }
        size_t with_it =
            (size_t)(piece.n + 1) * model->row_size + piece.strings_size + strings_size;
        if (piece.n > 0 && (piece.n == len_max || with_it > survey->piece_size)) {
            put_piece(survey, &count, &piece);
            piece = (struct sl_row_piece){0};
        }
        piece.n++;
        piece.strings_size += strings_size;
    }
    put_piece(survey, &count, &piece);
    survey->piece_count = count <= SL_STAGED_LEN_MAX ? count : 0;
    return SYNCLINE_OK;
}

enum syncline_status sl_row_survey_run(struct sl_row_survey *survey, const struct sl_model *model,
                                       const void *rows, uint32_t n, enum syncline_change change,
                                       bool whole, uint32_t batch_len, struct sl_error *err)
{
    survey->model = model;
    survey->rows = rows;
    survey->n = n;
    survey->piece_count = 0;
    survey->large = 0;
    sl_buf_clear(&survey->ids);
    sl_buf_clear(&survey->uuids);
    if (change != SYNCLINE_DELETE) {
        enum syncline_status status = whole ? check_required(survey, err) : SYNCLINE_OK;
        if (status == SYNCLINE_OK) {
            status = find_pieces(survey, sl_group_len_max(model, batch_len), err);
        }
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    return find_runs(survey, err);
}

/* ---- Copying ---- */

/* Copies what the pointers of one row struct point at to *strings, and points them there. */
static void copy_strings(const struct sl_model *model, uint8_t *row, uint8_t **strings)
{
    for (uint32_t k = 0; k < model->string_count; k++) {
        const struct sl_field *field = &model->fields[model->strings[k]];
        struct syncline_bytes string = string_at(field, row);
        if (string.data == NULL) {
            continue;
        }
        memcpy(*strings, string.data, string.len);
        (*strings)[string.len] = '\0';
        memcpy(row + field->offset, strings, sizeof(*strings));
        *strings += string.len + 1;
    }
}

static size_t aligned(size_t size)
{
    return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

bool sl_row_survey_copy(const struct sl_row_survey *survey, size_t piece, uint32_t first,
                        struct sl_batch *batch)
{
    const struct sl_model *model = survey->model;
    uint32_t n = survey->pieces[piece].n;
    size_t structs_size = (size_t)n * model->row_size;
    size_t ids_size = n * sizeof(*batch->ids);
    size_t uuids_size = n * sizeof(*batch->uuids);
    uint8_t *memory =
        sl_arena_alloc_raw(&batch->arena, aligned(structs_size) + aligned(ids_size) + uuids_size +
                                              survey->pieces[piece].strings_size);
    if (memory == NULL) {
        return false;
    }
    batch->n = n;
    batch->rows = memory;
    batch->ids = (int64_t *)(void *)(memory + aligned(structs_size));
    uint8_t *uuids = memory + aligned(structs_size) + aligned(ids_size);
    batch->uuids = (struct syncline_uuid *)(void *)uuids;
    uint8_t *strings = uuids + uuids_size;
    memcpy(memory, survey->rows + (size_t)first * model->row_size, structs_size);
    uint8_t *row = memory;
    for (uint32_t i = 0; i < n; i++, row += model->row_size) {
        batch->ids[i] = sl_row_id(model, row);
        memcpy(&batch->uuids[i], row + model->uuid.offset, sizeof(batch->uuids[i]));
        copy_strings(model, row, &strings);
    }
    return true;
}
