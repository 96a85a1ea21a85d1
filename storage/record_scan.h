/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Rows of an application's table in the order of their ids, each with the ids of its parents: what
 * taking in rows older than the library needs. And how far that is, in library.db:
 *
 *     _syncline_scan     one row for each model of which rows are still to be taken in: rows with
 *                        ids above `after`, up to `up_to`. It is written with the model's number,
 *                        and when rows are found that nobody captured; it goes up with the outbox
 *                        rows that take rows in, and is removed at the end
 *
 * Belongs to the connection's thread; all calls work inside the caller's transaction. */

#ifndef SL_RECORD_SCAN_H
#define SL_RECORD_SCAN_H

#include "base/model.h"
#include "storage/library_db.h"

/* ---- How far it is ---- */

struct sl_scan_mark {
    int64_t after; /* rows up to this id are dealt with */
    int64_t up_to; /* the highest id when the model was first given */
};

/* *found = false: nothing is to be taken in (any more). */
enum syncline_status sl_scan_mark_get(struct sl_library_db *ldb, const struct sl_model *model,
                                      bool *found, struct sl_scan_mark *mark, struct sl_error *err);
enum syncline_status sl_scan_mark_put(struct sl_library_db *ldb, const struct sl_model *model,
                                      int64_t after, struct sl_error *err);
/* Rows with ids above mark->after, up to mark->up_to, are to be looked at. */
enum syncline_status sl_scan_mark_open(struct sl_library_db *ldb, const struct sl_model *model,
                                       const struct sl_scan_mark *mark, struct sl_error *err);
/* All is taken in. */
enum syncline_status sl_scan_mark_remove(struct sl_library_db *ldb, const struct sl_model *model,
                                         struct sl_error *err);
/* Is nothing to be taken in of any model of the set? */
enum syncline_status sl_scan_is_done(struct sl_library_db *ldb, const struct sl_model_set *set,
                                     bool *done, struct sl_error *err);
/* Rows of the models of the set that are still to be looked at. Reads an index of their tables. */
enum syncline_status sl_scan_count(struct sl_library_db *ldb, const struct sl_model_set *set,
                                   uint64_t *rows, struct sl_error *err);

/* ---- Rows ---- */

struct sl_scan_row {
    int64_t id;
    bool has_uuid; /* of 16 bytes */
    struct syncline_uuid uuid;
};

struct sl_record_scan {
    const struct sl_db *db;       /* borrowed */
    const struct sl_model *model; /* borrowed */
    sqlite3_stmt *range;          /* prepared when first used */
    sqlite3_stmt *one;
};

void sl_record_scan_init(struct sl_record_scan *scan, const struct sl_db *db,
                         const struct sl_model *model);
void sl_record_scan_fini(struct sl_record_scan *scan);

/* Begins with the first row above mark->after; sl_record_scan_next gives one after the other, until
 * *found is false. A series that is not read to its end is ended by sl_record_scan_done. */
enum syncline_status sl_record_scan_begin(struct sl_record_scan *scan,
                                          const struct sl_scan_mark *mark, struct sl_error *err);
#define SL_SCAN_NO_PARENT INT64_MIN /* below every mark, so it is no row that is to be taken in */

/* parents[model->key_count]: ids in the tables of the parents, in the order of the model's keys;
 * SL_SCAN_NO_PARENT for none. */
enum syncline_status sl_record_scan_next(struct sl_record_scan *scan, bool *found,
                                         struct sl_scan_row *row, int64_t *parents,
                                         struct sl_error *err);
void sl_record_scan_done(struct sl_record_scan *scan);
/* One row by its id, apart from the series. */
enum syncline_status sl_record_scan_one(struct sl_record_scan *scan, int64_t id, bool *found,
                                        struct sl_scan_row *row, int64_t *parents,
                                        struct sl_error *err);

#endif
