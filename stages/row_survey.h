/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The rows of one call: looked at once, copied once.
 *
 * Happy path: one pass over the row structs finds the runs of ids and of UUIDs that their outbox
 * row holds (storage/library_db.h), whether each record is small enough, and where the rows are cut
 * into batches with the bytes that the strings of each take. A copy is then one memcpy of the
 * structs of a batch and one of each string; a model without strings pays for none. For a delete
 * only ids and UUIDs are looked at: nothing else in its structs counts.
 *
 * A survey belongs to one thread; it keeps its memory from one pass to the next. */

#ifndef SL_ROW_SURVEY_H
#define SL_ROW_SURVEY_H

#include "pipeline/batch.h"

#define SL_SURVEY_KEPT_SIZE_MAX (64u * 1024u) /* bytes that a buffer may keep between calls */

/* Rows that go into one batch. */
struct sl_row_piece {
    uint32_t n;
    size_t strings_size; /* bytes that their strings take, each with a NUL after it */
};

struct sl_row_survey {
    const struct sl_model *model; /* borrowed until the next pass, as the rows are */
    const uint8_t *rows;
    uint32_t n;
    struct sl_buf ids;   /* runs, as the outbox row holds them */
    struct sl_buf uuids; /* likewise */
    struct sl_row_piece pieces[SL_STAGED_LEN_MAX];
    size_t large;       /* bytes of rows that are larger than a batch should be */
    size_t piece_size;  /* constant */
    size_t piece_count; /* 0: a delete, or more pieces than batches can ever be had */
};

/* piece_size: bytes of rows after which a batch is cut. */
void sl_row_survey_init(struct sl_row_survey *survey, const struct sl_allocator *alloc,
                        size_t piece_size);
void sl_row_survey_fini(struct sl_row_survey *survey);
/* Gives back what one large call made it take. */
void sl_row_survey_trim(struct sl_row_survey *survey);

/* The pass. whole: the structs hold the rows, and not ids and UUIDs alone. batch_len: changes per
 * segment. Errors: EINVAL (a record has no UUID, or NULL where its table takes none), ETOOBIG (the
 * text names the record), ENOMEM. */
enum syncline_status sl_row_survey_run(struct sl_row_survey *survey, const struct sl_model *model,
                                       const void *rows, uint32_t n, enum syncline_change change,
                                       bool whole, uint32_t batch_len, struct sl_error *err);

/* Copies a piece, whose first row is `first`, into the batch's arena and sets its n, rows, ids and
 * uuids. false: no memory. */
bool sl_row_survey_copy(const struct sl_row_survey *survey, size_t piece, uint32_t first,
                        struct sl_batch *batch);

#endif
