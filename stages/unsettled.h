/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Changes of this device that have a seq but are not yet written back to library.db: what settle
 * works from, and where the births of records are found that were inserted a moment ago.
 *
 * Entries are in seq order. fk_resolve appends and drops, log_append marks as durable; any thread
 * may read them, under the lock, while it holds SQLite's write lock (in that order: write lock,
 * then this). An entry does not change once it is durable. */

#ifndef SL_UNSETTLED_H
#define SL_UNSETTLED_H

#include <pthread.h>

#include "base/alloc.h"
#include "base/group.h"
#include "base/model.h"
#include "base/vector.h"
#include "stages/deletes.h"

struct sl_unsettled_chunk;

struct sl_unsettled_entry {
    struct sl_unsettled_entry *next; /* later */
    struct sl_unsettled_entry *prev; /* earlier */
    const struct sl_model *model;
    enum syncline_ownership class; /* that the changes state; the model's may be another since */
    uint32_t n;
    uint64_t first_seq;
    uint64_t first_hlc; /* known when durable */
    bool durable;       /* in the log */
    bool recovered;     /* read back from the log, after a restart */
    int64_t outbox_id;  /* of the row it came from, or, recovered, before all that are left */
    bool row_complete;  /* the last of that row */
    bool sorted;        /* uuids rise: they can be searched by halves */
    struct syncline_uuid least; /* of uuids */
    struct syncline_uuid most;
    int64_t *ids; /* n local ids, of any value */
    struct syncline_uuid *uuids;
    uint8_t *changes; /* n: enum syncline_change */
    uint8_t *gone;    /* n: 1: not in the table any more, and has no id */
    /* The births that updates name; NULL: there is no update. */
    struct sl_birth *births;          /* n */
    struct sl_further_birth *further; /* further_len */
    uint32_t further_len;
    struct sl_unsettled_chunk *chunk; /* whose memory all this is */
};

struct sl_unsettled {
    pthread_mutex_t lock;
    struct sl_unsettled_entry *first;
    struct sl_unsettled_entry *last;
    uint32_t new_len;          /* durable entries since the last take_along */
    uint64_t new_changes;      /* in them */
    struct sl_deletes deletes; /* captured later; read and asked under the lock */

    /* fk_resolve's: memory for entries. It is given out in the order in which it comes back. */
    struct sl_unsettled_chunk *oldest;
    struct sl_unsettled_chunk *newest; /* the one that is being filled */
    struct sl_unsettled_chunk *spare;  /* list of empty ones */
    uint32_t spare_count;
    const struct sl_allocator *alloc; /* borrowed for life */
};

enum syncline_status sl_unsettled_init(struct sl_unsettled *list, const struct sl_allocator *alloc);
void sl_unsettled_fini(struct sl_unsettled *list);

/* An entry for n changes, not yet in the list, all zero. NULL: no memory. fk_resolve's. */
struct sl_unsettled_entry *sl_unsettled_entry_new(struct sl_unsettled *list, uint32_t n);
/* The same with room for the births that its changes name. */
struct sl_unsettled_entry *sl_unsettled_entry_new_naming(struct sl_unsettled *list, uint32_t n,
                                                         uint32_t further_len);
/* Does the i-th change, an update, name this birth? */
bool sl_unsettled_names(const struct sl_unsettled_entry *entry, uint32_t i,
                        const struct sl_birth *birth);
/* Only of the newest entry, before it is appended. NULL is allowed. */
void sl_unsettled_entry_free(struct sl_unsettled *list, struct sl_unsettled_entry *entry);
/* Appends; the entry is the list's then. Works out `sorted`, `least` and `most`. */
void sl_unsettled_append(struct sl_unsettled *list, struct sl_unsettled_entry *entry);
void sl_unsettled_set_durable(struct sl_unsettled *list, struct sl_unsettled_entry *entry,
                              uint64_t first_hlc);
/* Frees durable entries whose changes all have seqs up to settled_seq. fk_resolve's. */
void sl_unsettled_drop(struct sl_unsettled *list, uint64_t settled_seq);
/* Could a record with one of these UUIDs be in the list? false is certain. For a batch of new
 * records, so that not each of them need be looked for. fk_resolve's. */
bool sl_unsettled_may_have(struct sl_unsettled *list, const struct sl_model *model,
                           const struct syncline_uuid *uuids, uint32_t n);
/* Have `len` entries or `changes` changes become durable since this was last so? Whoever is told so
 * settles them in passing; it counts as done, whether that commits or not: who comes next waits for
 * as many again. Any thread. */
bool sl_unsettled_take_along(struct sl_unsettled *list, uint32_t len, uint64_t changes);
/* Reads the deletes that are committed and were not read yet, on ldb, inside a read transaction,
 * for changes from this outbox row on and for all that are in the list. A capture that settles then
 * has only those to read that came since. fk_resolve's. Errors: EDB, ENOMEM, ... */
enum syncline_status sl_unsettled_read_deletes(struct sl_unsettled *list, struct sl_library_db *ldb,
                                               int64_t outbox_id, struct sl_error *err);
/* Of what was read: is a record whose change has this outbox row deleted by a later one?
 * fk_resolve's. */
bool sl_unsettled_deleted_after(struct sl_unsettled *list, const struct sl_model *model,
                                const struct syncline_uuid *uuid, int64_t outbox_id);
/* The seq of the birth of a record that lives and is not settled yet; 0: there is none.
 * fk_resolve's.
 */
uint64_t sl_unsettled_birth(struct sl_unsettled *list, const struct sl_model *model,
                            const struct syncline_uuid *uuid);

#endif
