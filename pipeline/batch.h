/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A batch: up to batch_len captured changes of one outbox row, on their way into the log.
 *
 * The batch is the only thing that crosses threads. Whoever holds the pointer owns it: the
 * application's thread while it captures, then the ring, then each stage in turn. What a stage adds
 * lives in the batch's arena and dies when the batch goes back to its pool. */

#ifndef SL_BATCH_H
#define SL_BATCH_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/group.h"
#include "base/model.h"

#include <stdatomic.h>

#define SL_BATCH_POOL_LEN_MAX 64u

/* Changes of one kind within a batch, as serialized. */
struct sl_batch_group {
    uint32_t len;  /* changes */
    size_t offset; /* in body */
    size_t size;   /* bytes there */
    bool inserts;  /* they are */
};

/* A record that cannot be sent. */
struct sl_batch_aside {
    struct sl_batch_aside *next;
    struct syncline_uuid uuid;
    char reason[256];
};

struct sl_batch {
    struct sl_batch *next; /* in a list of its owner's */
    size_t large;          /* staging's: bytes that it counts for as large */
    struct sl_arena arena;

    /* By capture or intake. */
    const struct sl_model *model;
    enum syncline_change change; /* as the application said */
    uint64_t token;              /* of the outbox row */
    int64_t outbox_id;           /* of the outbox row; set by intake */
    uint32_t offset;             /* of the first change among the row's */
    uint32_t row_n;              /* changes of the whole outbox row */
    uint32_t taken_n;            /* changes taken from the row */
    uint32_t n;                  /* of them still here: what is gone from its table has left */
    uint32_t batch_len;          /* changes in one segment, as the call wants it; 0: the default */
    uint64_t wall_ms;            /* when it was captured */
    int64_t *ids;                /* n local ids */
    struct syncline_uuid *uuids; /* n */
    uint8_t *rows;               /* n row structs as captured, or NULL */
    struct sl_value *values;     /* n * field_count, read again from the table, or NULL */
    bool *gone;                  /* n: an update whose row was not there then; NULL: none was */
    bool some_gone;              /* inserts have left: no row, or a later mention */

    /* By fk_resolve: what is really sent. */
    uint32_t live_n;                  /* changes that go on */
    uint32_t *live;                   /* their places among the n */
    enum syncline_change *changes;    /* live_n: what each turned out to be */
    struct sl_birth *births;          /* live_n; of inserts not used */
    struct sl_further_birth *further; /* further_len, by live change: more births of it. Until
                                         fk_resolve it is by the places among the n, as births */
    uint32_t further_len;
    struct sl_value *keys;           /* live_n * key_count, field by field: UUIDs of the parents */
    struct syncline_uuid *key_uuids; /* what `keys` points at */
    uint64_t first_seq;              /* provisional: of the first live change */
    struct sl_batch_aside *asides;   /* records that cannot be sent */
    void *unsettled;                 /* its entry in the list of the unsettled, or NULL */

    /* By serialize. */
    struct sl_buf body;            /* the groups without their clock values */
    struct sl_batch_group *groups; /* group_count */
    uint32_t group_count;
};

/* A fixed number of batches. Take and give by any thread; they never wait.
 *
 * The batch taken is the first that is free: under a light load it is always the same few, which
 * are in the processor's cache. All keep their memory, and once one batch has needed more than the
 * others have, they get as much too, up to the limit of the pool: after the first few batches of a
 * load the pool allocates nothing, however many are under way at once. */
struct sl_batch_pool {
    struct sl_batch *batches; /* ours, `len` of them */
    size_t len;               /* at most SL_BATCH_POOL_LEN_MAX */
    _Atomic uint64_t free;    /* bit i: batches[i] is here; setting it releases the batch to who
                                 clears it, and so owns it */
    atomic_size_t arena_size; /* what the arena of every batch here has; a hint, nothing follows
                                 from seeing it */
    atomic_size_t body_size;  /* likewise of the bodies */
    size_t arena_kept_max;    /* bytes that an arena keeps between two uses; constant */
    size_t body_kept_max;     /* likewise a body */
    const struct sl_allocator *alloc; /* borrowed for life */
};

/* kept_max: bytes that a batch may keep between two uses. Not thread-safe. */
enum syncline_status sl_batch_pool_init(struct sl_batch_pool *pool,
                                        const struct sl_allocator *alloc, size_t len,
                                        size_t kept_max);
void sl_batch_pool_fini(struct sl_batch_pool *pool);
/* An empty batch, or NULL: all are under way. */
struct sl_batch *sl_batch_take(struct sl_batch_pool *pool);
/* Gives back; true if the batch is this pool's, else nothing was done. */
bool sl_batch_give(struct sl_batch_pool *pool, struct sl_batch *batch);
/* Are all under way at this moment? */
bool sl_batch_pool_is_empty(struct sl_batch_pool *pool);

/* Notes a record that cannot be sent, with "not sent: " and the text as its reason. false: no
 * memory. */
bool sl_batch_add_aside(struct sl_batch *batch, const struct syncline_uuid *uuid,
                        const char *reason);

/* The value of a field (not a KEY) of the i-th of the n changes. */
struct sl_value sl_batch_value(const struct sl_batch *batch, uint32_t i, uint32_t field);

#endif
