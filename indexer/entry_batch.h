/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Entries on their way into the database: collected first, then written in one short transaction
 * with one call to Syncline for what is new and one for what changed. So the write lock is not held
 * while the walk waits for the disk.
 *
 * A folder is known by a number of this run, because its row has no id before its batch is written.
 * One thread; only `flush` blocks. */

#ifndef INDEXER_ENTRY_BATCH_H
#define INDEXER_ENTRY_BATCH_H

#include "indexer/arena.h"
#include "indexer/error.h"
#include "indexer/models.h"

struct sqlite3;
struct sqlite3_stmt;

struct indexer_entry_batch {
    struct syncline *lib;        /* NULL: no syncing */
    struct sqlite3 *db;          /* the caller's */
    size_t size;                 /* rows per transaction */
    struct entry_row *inserts;   /* new rows, ours; parents before children */
    uint64_t *parents;           /* of each: number of the folder it is in */
    uint64_t *folders;           /* of each: its own number; 0: no folder */
    size_t inserts_count;        /* there */
    struct entry_row *updates;   /* changed rows, ours */
    uint64_t *places;            /* of each: number of the folder it is moved to; 0: it stays */
    size_t updates_count;        /* there */
    size_t moves_count;          /* of them are moved */
    int64_t *noted_ids;          /* rows that get another file_key and nothing that syncs, ours */
    int64_t *noted_keys;         /* of each: its file_key */
    size_t notes_count;          /* there */
    struct indexer_arena arena;  /* the bytes of both */
    int64_t *folder_ids;         /* by number: entries.id; 0: not written yet */
    size_t folder_ids_count;     /* numbers given; 0 is none */
    size_t folder_ids_capacity;  /* there */
    struct syncline_uuid *uuids; /* for one flush, ours */
    struct sqlite3_stmt *insert; /* of one row, ours */
    struct sqlite3_stmt *update; /* the same */
    struct sqlite3_stmt *move;   /* puts a row into another folder, or under another name */
    struct sqlite3_stmt *note;   /* sets a row's file_key */
};

/* On failure there is nothing to be undone. Errors: EDB, EIO, ENOMEM. */
SYNCLINE_MUST_USE enum syncline_status indexer_entry_batch_init(struct indexer_entry_batch *batch,
                                                                struct syncline *lib,
                                                                struct sqlite3 *db, size_t size,
                                                                struct indexer_error *err);
void indexer_entry_batch_fini(struct indexer_entry_batch *batch);

/* Gives a folder its number; id 0: it comes with the batch. 0: no memory. */
uint64_t indexer_entry_batch_folder(struct indexer_entry_batch *batch, int64_t id);

/* The id of a folder that was there before or has been flushed. */
int64_t indexer_entry_batch_folder_id(const struct indexer_entry_batch *batch, uint64_t folder);

/* Adds a row; its bytes are copied, and id, uuid, parent and created_at of a new row are filled in
 * by `flush`. The batch must not be full. False: no memory. */
SYNCLINE_MUST_USE bool indexer_entry_batch_insert(struct indexer_entry_batch *batch,
                                                  const struct entry_row *row, uint64_t parent,
                                                  uint64_t folder);
SYNCLINE_MUST_USE bool indexer_entry_batch_update(struct indexer_entry_batch *batch,
                                                  const struct entry_row *row);
/* The same, and the row goes into this folder under the name it has. */
SYNCLINE_MUST_USE bool indexer_entry_batch_move(struct indexer_entry_batch *batch,
                                                const struct entry_row *row, uint64_t parent);
/* Sets the file_key of a row that is the same but for that: other devices hear nothing of it. */
void indexer_entry_batch_note(struct indexer_entry_batch *batch, int64_t id, int64_t file_key);

/* Rows, of all four kinds. */
size_t indexer_entry_batch_len(const struct indexer_entry_batch *batch);

/* Writes everything in one transaction, then the batch is empty. On failure nothing was written and
 * the batch is of no more use. Errors: EBUSY, ENOSPC, EIO, EDB, and those of Syncline. */
SYNCLINE_MUST_USE enum syncline_status indexer_entry_batch_flush(struct indexer_entry_batch *batch,
                                                                 struct indexer_error *err);

/* Inserts one row as it is, in the caller's transaction, and sets row->id. */
SYNCLINE_MUST_USE enum syncline_status indexer_entry_batch_write(struct indexer_entry_batch *batch,
                                                                 struct entry_row *row,
                                                                 struct indexer_error *err);

/* Milliseconds since 1970 UTC. */
int64_t indexer_now_ms(void);

#endif
