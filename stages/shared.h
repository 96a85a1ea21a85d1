/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What the stages of one library share. Built by the composition root (pipeline/library); each
 * field says whose it is. There is one of these per open library and nothing global. */

#ifndef SL_SHARED_H
#define SL_SHARED_H

#include "base/env.h"
#include "base/hash.h"
#include "base/stamp.h"
#include "net/identity.h"
#include "net/network.h"
#include "pipeline/batch.h"
#include "pipeline/ring.h"
#include "pipeline/staging.h"
#include "stages/unsettled.h"
#include "storage/births.h"
#include "storage/library_db.h"
#include "storage/peer_log.h"
#include "storage/record_table.h"

/* A connection to library.db with everything that works over it. */
struct sl_rows {
    struct sl_library_db ldb;
    struct sl_births births;
    struct sl_record_table *tables; /* one per model, by model->index */
};

/* What this device has of one origin. */
struct sl_origin_state {
    struct sl_log_head head; /* in the log; head.number is its number there */
    int64_t number;          /* in library.db; 0: not written there yet */
    uint64_t applied_seq;    /* as committed in library.db */
    bool held;               /* applying stopped; the notice says why */
    bool careful;            /* its next slice is done record by record */
    uint64_t waits_at_seq;   /* segments after this one are needed first; 0: none */
    const uint8_t *todo;     /* during a careful slice: by seq - todo_first, not written yet */
    uint64_t todo_first;
    uint64_t todo_len;
    uint64_t held_until_ms; /* by the wall clock, when it is only a matter of time; else 0 */
};

/* A member and the link to it. */
struct sl_member_state {
    struct sl_member known;       /* as in sync.db, or newer */
    bool dirty;                   /* `known` is newer */
    struct sl_session *session;   /* NULL: not connected */
    struct sl_verifier *verifier; /* of its key; made when first needed */
    bool vector_known;            /* it has said what it has, on this session */
    uint64_t sent_seq;            /* of own changes, on this session */
    bool vector_due;              /* ours changed since it was told */
};

/* How far things are, for callers that wait. */
struct sl_progress {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int64_t drained_id; /* outbox rows up to this one are in the log */
    uint64_t own_seq;   /* end of the own log */
    uint32_t members;   /* other devices */
    uint32_t links;     /* of them connected */
    struct syncline_uuid linked[SL_MEMBER_COUNT_MAX]; /* which */
    size_t linked_count;
    uint64_t acked_seq;   /* least of the members' */
    uint64_t applied_seq; /* least of the members' */
    struct sl_network_counts counts;
    uint64_t segments_sent;
    enum syncline_status health; /* not OK: nothing moves any more */
    struct sl_error notice;      /* the last thing worth telling */
};

struct sl_core {
    const struct sl_env *env;       /* borrowed */
    struct sl_library_identity who; /* constant */
    struct sl_origin self;          /* constant */
    int64_t self_number;            /* its number in library.db; constant after open */
    struct sl_model_set models;     /* constant after open */
    uint32_t batch_len;             /* constant */
    bool engine;                    /* constant: stages run */

    struct sl_staging staging;     /* any thread, by its own rules */
    struct sl_unsettled unsettled; /* any thread, by its own rules */
    struct sl_progress progress;   /* any thread, under its lock */

    /* The rest belongs to the engine's thread. */
    struct sl_rows reader; /* intake and fk_resolve: reads only */
    struct sl_rows writer; /* settle and apply; synchronous=NORMAL */
    struct sl_peer_log log;
    struct sl_hasher *hasher;
    struct sl_signer *signer;
    struct sl_network *network; /* NULL: none */

    struct sl_origin_state *origins; /* [0] is this device */
    size_t origin_count;
    struct sl_member_state members[SL_MEMBER_COUNT_MAX];
    size_t member_count;

    uint64_t hlc_last;         /* highest clock value given or seen */
    uint64_t next_seq;         /* provisional: for the next change resolved */
    int64_t read_again_to;     /* records were read again when this was the newest outbox row: what
                                  comes from it or an earlier one may hold later content */
    struct sl_drained drained; /* the newest, as committed in sync.db */
    uint64_t settled_seq;      /* own applied entry, as last seen committed */

    struct sl_batch_pool reread_pool; /* for changes that were not staged */
    struct sl_ring to_resolve;
    struct sl_ring to_serialize;
    struct sl_ring to_append;

    int64_t writer_version;   /* data_version of the writer, to see others commit */
    uint64_t others_wrote_ns; /* when they last did; 0: never seen */
    int wal_pages;            /* of library.db, at the writer's last commit */
};

/* Opens a connection with births and tables. On failure nothing is left. */
enum syncline_status sl_rows_open(struct sl_rows *rows, const struct sl_core *core,
                                  const char *path, enum sl_db_mode mode, uint32_t busy_timeout_ms,
                                  struct sl_error *err);
void sl_rows_fini(struct sl_rows *rows, size_t model_count);

/* Gives a batch back to whichever pool it is of. */
void sl_core_give_batch(struct sl_core *core, struct sl_batch *batch);

/* The state of an origin, or NULL. */
struct sl_origin_state *sl_core_origin(struct sl_core *core, const struct sl_origin *origin);
/* Adds one with nothing held or applied, in memory only. NULL: no memory or too many. */
struct sl_origin_state *sl_core_add_origin(struct sl_core *core, const struct sl_origin *origin);
struct sl_member_state *sl_core_member(struct sl_core *core, const struct syncline_uuid *device);

/* Tells every member of our vector, when next possible. */
void sl_core_vector_moved(struct sl_core *core);
/* Recomputes the figures of `progress` and wakes who waits. */
void sl_core_progress(struct sl_core *core);
/* Remembers one line for whoever asks. */
void sl_core_notice(struct sl_core *core, enum syncline_status status, const char *text);
/* A stage failed. What time or space may mend is a notice, and the stage tries again; a
 * contradiction or damage stops the library. */
void sl_core_failed(struct sl_core *core, const char *stage, enum syncline_status status,
                    const struct sl_error *err);
bool sl_core_is_dead(struct sl_core *core);

#endif
