/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What Syncline keeps in the application's own database, because it must be atomic with its rows.
 *
 *     _syncline_meta     format (1), library id
 *     _syncline_model    number of each model name; the outbox row of the model's last delete
 *     _syncline_scan     models with rows older than their number (storage/record_scan)
 *     _syncline_outbox   committed changes on their way into the log
 *     _syncline_origin   the applied vector: highest seq of each origin that is in these tables,
 *                        and the highest clock value that was merged of it (stages/clock.h)
 *     _syncline_birth    which change inserted a record: runs of ids and seqs (storage/births)
 *     _syncline_late_birth  own births that were settled when a delete of the model was under way:
 *                        that delete may not have known them; until it is in the log
 *     _syncline_stamp    of shared records changed since their birth (storage/births)
 *     _syncline_waiting, _syncline_waiting_key  what waits for a record (storage/waiting_room)
 *     _syncline_hidden_birth  other living births of UUIDs that are here (storage/hidden_births)
 *     _syncline_snapshot, ..._origin, ..._model  how far a snapshot is (storage/snapshot_table)
 *
 *     outbox.ids     runs of 12 bytes: first id (i64), count (u32); all little-endian
 *     outbox.uuids   runs of 20 bytes, in the same order: first UUID, how many count up (u32)
 *     outbox.births  updates and deletes: runs of 20 bytes, in the same order: count (u32), number
 *                    of the origin (u64), seq of the first (u64); the seqs count up. Origin 0: of
 *                    records whose birth had not come back from the log yet. Count 0: one more
 *                    birth of the record before
 *
 * An outbox row is removed when the changes it names are in the log and settled, but never the
 * newest such row: so ids of outbox rows are never used twice. A handle is one connection - the
 * engine's or, for the length of a call, the application's - and belongs to its thread. */

#ifndef SL_LIBRARY_DB_H
#define SL_LIBRARY_DB_H

#include "base/hash.h"
#include "base/model.h"
#include "base/vector.h"
#include "storage/db.h"

#define SL_LIBRARY_DB_FORMAT 1
#define SL_OUTBOX_BIRTH_RUN_SIZE 20u /* bytes of a run in outbox.births */

struct sl_library_db {
    struct sl_db db;
    struct sl_statements statements;
    bool borrowed;    /* the connection is the application's */
    bool sync_failed; /* the handle is finished; see stages/reopen.h. Not of a borrowed one */
};

/* Opens our own connection. Errors: as sl_db_open. */
enum syncline_status sl_library_db_open(struct sl_library_db *ldb, const struct sl_env *env,
                                        const char *path, enum sl_db_mode mode,
                                        uint32_t busy_timeout_ms, struct sl_error *err);
/* Closes the connection and takes that of `fresh`, which is not to be used any more. */
void sl_library_db_replace(struct sl_library_db *ldb, const struct sl_library_db *fresh);
/* Over a connection of the application. */
void sl_library_db_borrow(struct sl_library_db *ldb, sqlite3 *handle);
/* Finalizes the statements; closes the connection unless it was borrowed. */
void sl_library_db_fini(struct sl_library_db *ldb);

/* Makes the tables in a database in WAL mode; an empty one is put into it. One transaction.
 * Errors: EEXIST (they are there), EFORMAT (not in WAL mode), EDB, ... */
enum syncline_status sl_library_db_create(struct sl_library_db *ldb,
                                          const struct syncline_uuid *library_id,
                                          struct sl_error *err);
/* Notes what library and device it is of, for a sync.db that has to be made anew. */
enum syncline_status sl_library_db_put_names(struct sl_library_db *ldb, const char *library_name,
                                             const char *device_name, struct sl_error *err);
/* The same read; names that are not there are empty. Errors: ENOTFOUND (no tables of ours). */
enum syncline_status sl_library_db_identity(struct sl_library_db *ldb,
                                            struct syncline_uuid *library_id,
                                            char library_name[SL_NAME_SIZE_MAX + 1],
                                            char device_name[SL_NAME_SIZE_MAX + 1],
                                            struct sl_error *err);
/* Checks mode, format and library. Errors: EFORMAT, ENOTFOUND (no tables of ours). */
enum syncline_status sl_library_db_check(struct sl_library_db *ldb,
                                         const struct syncline_uuid *library_id,
                                         struct sl_error *err);
/* Drops every table of ours and nothing else, in one transaction. Errors: EBUSY (somebody else is
 * writing), EDB, ... */
enum syncline_status sl_library_db_remove(struct sl_library_db *ldb, struct sl_error *err);
/* Numbers the models of the set (id_in_db), writing those that are new, with the highest id that
 * their tables hold: the rows up to it are to be taken in. The tables are there. One transaction.
 */
enum syncline_status sl_library_db_number_models(struct sl_library_db *ldb,
                                                 struct sl_model_set *set, struct sl_error *err);

/* ---- Transactions of our own connections ---- */

/* BEGIN IMMEDIATE. EBUSY when somebody else is writing for longer than the busy timeout. */
enum syncline_status sl_library_db_begin_write(struct sl_library_db *ldb, struct sl_error *err);
enum syncline_status sl_library_db_begin_read(struct sl_library_db *ldb, struct sl_error *err);
enum syncline_status sl_library_db_commit(struct sl_library_db *ldb, struct sl_error *err);
void sl_library_db_rollback(struct sl_library_db *ldb);
/* A savepoint of ours inside a transaction of anybody's. On failure to release it everything since
 * is undone, and it may stay open until the transaction ends. */
enum syncline_status sl_library_db_savepoint(struct sl_library_db *ldb, struct sl_error *err);
enum syncline_status sl_library_db_release(struct sl_library_db *ldb, struct sl_error *err);
/* Undoes everything since the savepoint, and releases it. */
void sl_library_db_undo(struct sl_library_db *ldb);
/* Makes durable what any connection of any process has committed so far, in the WAL, whatever its
 * `synchronous`: one fdatasync through the VFS. What a checkpoint has moved out of the WAL is in
 * the database file and durable already - but for checkpoints under synchronous=OFF. Blocks on the
 * disk; takes no lock of SQLite's. Not to be called again after it failed with EIO: that is final
 * for the handle (sync_failed). Errors: EFORMAT (not in WAL mode), EIO, ENOSPC. */
enum syncline_status sl_library_db_sync_wal(struct sl_library_db *ldb, struct sl_error *err);
/* Changes whenever another connection has committed. */
enum syncline_status sl_library_db_data_version(struct sl_library_db *ldb, int64_t *version,
                                                struct sl_error *err);

/* ---- Applied vector ---- */

/* The number of an origin, made with applied_seq 0 if new. */
enum syncline_status sl_library_db_origin_number(struct sl_library_db *ldb,
                                                 const struct sl_origin *origin, int64_t *number,
                                                 struct sl_error *err);
/* false through *found: no such number. */
enum syncline_status sl_library_db_origin(struct sl_library_db *ldb, int64_t number, bool *found,
                                          struct sl_origin *origin, struct sl_error *err);
/* The next origin after that number, which becomes its own. *found = false: there is none. */
enum syncline_status sl_library_db_origin_next(struct sl_library_db *ldb, int64_t *number,
                                               bool *found, struct sl_origin *origin,
                                               struct sl_error *err);
enum syncline_status sl_library_db_applied(struct sl_library_db *ldb, int64_t number, uint64_t *seq,
                                           struct sl_error *err);
/* The same by name, and without writing: 0 for an origin that is not there. */
enum syncline_status sl_library_db_applied_of(struct sl_library_db *ldb,
                                              const struct sl_origin *origin, uint64_t *seq,
                                              struct sl_error *err);
/* Hash of the whole applied vector, the same on all devices: device id, epoch and seq of each
 * origin with a seq, in order, as base/range_ask.c has it. Errors: EDB, ENOMEM, ... */
enum syncline_status sl_library_db_applied_hash(struct sl_library_db *ldb, struct sl_hasher *hasher,
                                                uint8_t hash[SL_HASH_SIZE], struct sl_error *err);
enum syncline_status sl_library_db_set_applied(struct sl_library_db *ldb, int64_t number,
                                               uint64_t seq, struct sl_error *err);
/* Notes the highest clock value that was merged of an origin; a lower one changes nothing. */
enum syncline_status sl_library_db_raise_hlc(struct sl_library_db *ldb, int64_t number,
                                             uint64_t hlc, struct sl_error *err);
/* The highest of all origins; 0: none was. */
enum syncline_status sl_library_db_hlc(struct sl_library_db *ldb, uint64_t *hlc,
                                       struct sl_error *err);

/* ---- Outbox ---- */

struct sl_outbox_row {
    int64_t id;
    uint64_t token;
    int64_t model; /* number */
    enum syncline_change change;
    uint64_t wall_ms;
    uint32_t n;
    uint32_t batch_len;
    const uint8_t *ids; /* borrowed for the call, or from the statement until its next step */
    size_t ids_size;
    const uint8_t *uuids;
    size_t uuids_size;
    const uint8_t *births;
    size_t births_size;
};

/* Prepares the statement of sl_outbox_insert, which then lives as long as the handle. */
enum syncline_status sl_outbox_prepare(struct sl_library_db *ldb, struct sl_error *err);
/* Inserts; row->id is set. For a delete also notes it at the model. */
enum syncline_status sl_outbox_insert(struct sl_library_db *ldb, struct sl_outbox_row *row,
                                      struct sl_error *err);
/* The next row after `id`. The pointers of *row die at the next call on this handle. */
enum syncline_status sl_outbox_next(struct sl_library_db *ldb, int64_t id, bool *found,
                                    struct sl_outbox_row *row, struct sl_error *err);
/* Ends a series of sl_outbox_next: no statement stays open. */
void sl_outbox_done(struct sl_library_db *ldb);
/* Removes the rows below `id`. */
enum syncline_status sl_outbox_remove_below(struct sl_library_db *ldb, int64_t id,
                                            struct sl_error *err);
enum syncline_status sl_outbox_max(struct sl_library_db *ldb, int64_t *id, struct sl_error *err);
/* The token of the row `id`; *found = false: there is no such row. */
enum syncline_status sl_outbox_token(struct sl_library_db *ldb, int64_t id, bool *found,
                                     uint64_t *token, struct sl_error *err);
/* Changes named by the rows above `id`; or by those of them that are not above `last`. */
enum syncline_status sl_outbox_count_above(struct sl_library_db *ldb, int64_t id, uint64_t *changes,
                                           struct sl_error *err);
enum syncline_status sl_outbox_count_between(struct sl_library_db *ldb, int64_t id, int64_t last,
                                             uint64_t *changes, struct sl_error *err);
/* The name of a model that has this number, whether its descriptor was given or not. Errors:
 * ECORRUPT (there is none). */
enum syncline_status sl_library_db_model_name(struct sl_library_db *ldb, int64_t number,
                                              char name[SL_NAME_SIZE_MAX + 1],
                                              struct sl_error *err);
/* Outbox row of the model's last captured delete, or 0. */
enum syncline_status sl_outbox_last_delete(struct sl_library_db *ldb, int64_t model, int64_t *id,
                                           struct sl_error *err);
/* Says that records of a model were deleted by somebody other than a capture: as if by the newest
 * outbox row. */
enum syncline_status sl_outbox_note_delete(struct sl_library_db *ldb, int64_t model,
                                           struct sl_error *err);

#endif
