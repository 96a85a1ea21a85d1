/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The application's table of one model, over one connection: rows in and out. Keys come and go as
 * local ids in the table and as UUIDs in the values read. Belongs to the connection's thread; all
 * calls work inside the caller's transaction. Calls for a list need one of our own connections. */

#ifndef SL_RECORD_TABLE_H
#define SL_RECORD_TABLE_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/model.h"
#include "storage/db.h"

struct sl_record_table {
    const struct sl_db *db;       /* borrowed */
    const struct sl_model *model; /* borrowed */
    sqlite3_stmt *stmt[12];       /* prepared when first used */
    int64_t wanted_id;            /* for the next insert; 0: any */
    uint64_t key_queries;         /* made by the three calls that look up ids and UUIDs */
};

void sl_record_table_init(struct sl_record_table *table, const struct sl_db *db,
                          const struct sl_model *model);
void sl_record_table_fini(struct sl_record_table *table);

/* Does the table in the database bear out the descriptor, which is one of the set? If so the model
 * in the set learns which of its fields the table takes no NULL in. Errors: EMODEL (names model and
 * field, and what to do), ENOMEM, of the database. */
enum syncline_status sl_record_table_check(struct sl_record_table *table, struct sl_model_set *set,
                                           struct sl_error *err);

/* Notes which of the model's UUID keys its table checks. Errors: ENOMEM, of the database. */
enum syncline_status sl_record_table_note_keys(const struct sl_db *db, struct sl_model *model,
                                               struct sl_error *err);

enum syncline_status sl_record_id(struct sl_record_table *table, const struct syncline_uuid *uuid,
                                  bool *found, int64_t *id, struct sl_error *err);
/* Is there a record with this local id, whatever its UUID? */
enum syncline_status sl_record_has_id(struct sl_record_table *table, int64_t id, bool *has,
                                      struct sl_error *err);
/* The next two on connections of ours only, which have the table-valued function for them.
 * For a list, in one query: ids[i] is set if uuids[i] is there. */
enum syncline_status sl_record_ids(struct sl_record_table *table, const struct syncline_uuid *uuids,
                                   uint32_t n, int64_t *ids, struct sl_error *err);
/* The other way: uuids[i] and found[i] are set where ids[i] is there, with a UUID of 16 bytes.
 * Places with found[i] true are left as they are. */
enum syncline_status sl_record_uuids(struct sl_record_table *table, const int64_t *ids, uint32_t n,
                                     bool *found, struct syncline_uuid *uuids,
                                     struct sl_error *err);
/* One record by local id: UUID and values[model->field_count], data copied into the arena. A KEY's
 * value is the parent's UUID; it is NULL too when the parent is not there, and *orphan is then the
 * field, else NULL. A
 * record without a UUID of 16 bytes is not found. */
enum syncline_status sl_record_read(struct sl_record_table *table, int64_t id,
                                    struct sl_arena *arena, bool *found, struct syncline_uuid *uuid,
                                    struct sl_value *values, const struct sl_field **orphan,
                                    struct sl_error *err);

/* The highest local id; INT64_MIN: the table is empty. */
enum syncline_status sl_record_last_id(struct sl_record_table *table, int64_t *id,
                                       struct sl_error *err);

/* values[model->field_count], keys as local ids. The record gets table->wanted_id, if that is not 0
 * (it is then), else the id that SQLite gives it. *inserted = false: the UUID is there already, and
 * nothing was done. Errors: EINVAL (a constraint of the table; the text is SQLite's), EDB, ... */
enum syncline_status sl_record_insert(struct sl_record_table *table,
                                      const struct syncline_uuid *uuid,
                                      const struct sl_value *values, bool *inserted, int64_t *id,
                                      struct sl_error *err);
/* Errors: EINVAL (a constraint), EUNSUPPORTED (one that rolled back the transaction), EDB, ... */
enum syncline_status sl_record_update(struct sl_record_table *table, int64_t id,
                                      const struct sl_value *values, struct sl_error *err);
enum syncline_status sl_record_delete(struct sl_record_table *table, int64_t id,
                                      struct sl_error *err);

/* Feeds every record in UUID order into the hasher: UUID, then each field as type (u8), and its
 * value: integers and doubles as 8 bytes, text and blobs as size (u32) and bytes, keys as the
 * parent's UUID. */
enum syncline_status sl_record_digest(struct sl_record_table *table, struct sl_hasher *hasher,
                                      uint64_t *count, struct sl_error *err);

/* The records of a range of UUIDs, lo and hi among them, in UUID order, as long as the caller's
 * transaction lasts; one range at a time. Those without a UUID of 16 bytes are left out. */
enum syncline_status sl_record_range_start(struct sl_record_table *table,
                                           const struct syncline_uuid *lo,
                                           const struct syncline_uuid *hi, struct sl_error *err);
struct sl_record_hash {
    struct syncline_uuid uuid;
    uint64_t hash; /* the first 8 bytes of the SHA-256 of what sl_record_digest feeds of it */
    size_t size;   /* bytes that were read */
};
/* The next one. *found = false: there is none, and the range has ended. `hasher` has nothing of
 * anything else in it. Errors: EDB, ..., ENOMEM; the range has ended then, too. */
enum syncline_status sl_record_range_next(struct sl_record_table *table, struct sl_hasher *hasher,
                                          bool *found, struct sl_record_hash *record,
                                          struct sl_error *err);
/* The next one with its values, as sl_record_read reads them. */
enum syncline_status sl_record_range_read(struct sl_record_table *table, struct sl_arena *arena,
                                          bool *found, int64_t *id, struct syncline_uuid *uuid,
                                          struct sl_value *values, const struct sl_field **orphan,
                                          struct sl_error *err);
/* Ends a range before its end. None is under way: nothing happens. */
void sl_record_range_end(struct sl_record_table *table);

/* The first records of a range, at most len_max, in UUID order. */
struct sl_record_name {
    struct syncline_uuid uuid;
    int64_t id;
};
enum syncline_status sl_record_list(struct sl_record_table *table, const struct syncline_uuid *lo,
                                    const struct syncline_uuid *hi, struct sl_record_name *names,
                                    uint32_t len_max, uint32_t *len, struct sl_error *err);

#endif
