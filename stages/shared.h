/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What the stages of one library share. Built by the composition root (pipeline/library); there is
 * one of these per open library and nothing global.
 *
 * The stages belong to three groups, and each group is one thread's at a time (or each sending
 * stage a thread's of its own; see pipeline/worker.h):
 *
 *     sender     intake -> fk_resolve -> serialize -> log_append, over rings of batches
 *     network    the transport's events, net_flush, log_hold, acknowledge, compare, snapshot
 *     applier    apply, settle, scan
 *
 * Each field says whose it is. What several groups need stands under one of the locks below; they
 * are taken in this order, and none but the first is held while waiting for a disk that is not its
 * own:
 *
 *     SQLite's write lock of library.db   the host's transactions, apply, settle
 *     clock_lock    makes two things exclude each other: log_append's way from stamping changes to
 *                   publishing them as durable, and apply's from merging received clock values to
 *                   having read what is pending. So what apply sees pending is stamped later than
 *                   everything it merged
 *     log_lock      the writing connection to sync.db
 *     head_lock, unsettled.lock, progress.lock, events.lock   memory only
 */

#ifndef SL_SHARED_H
#define SL_SHARED_H

#include <stdatomic.h>

#include "base/env.h"
#include "base/hash.h"
#include "base/host_log.h"
#include "base/log_mark.h"
#include "base/membership.h"
#include "base/settings.h"
#include "base/stamp.h"
#include "net/identity.h"
#include "net/network.h"
#include "pipeline/batch.h"
#include "pipeline/ring.h"
#include "pipeline/staging.h"
#include "pipeline/stats.h"
#include "stages/unsettled.h"
#include "storage/births.h"
#include "storage/event_table.h"
#include "storage/hidden_births.h"
#include "storage/library_db.h"
#include "storage/peer_log.h"
#include "storage/record_table.h"

/* Handles that are finished, until they were opened again; see stages/reopen.h. */
#define SL_DEGRADED_LOG 1u    /* core->log */
#define SL_DEGRADED_WAL 2u    /* log_append's, which syncs the WAL of library.db */
#define SL_DEGRADED_WRITER 4u /* core->writer */

/* A connection to library.db with everything that works over it. */
struct sl_rows {
    struct sl_library_db ldb;
    struct sl_births births;
    struct sl_hidden_births hidden;
    struct sl_record_table
        *tables;     /* one per model, by model->index; NULL: no memory for them yet */
    bool has_tables; /* they are made */
    const struct sl_allocator *alloc; /* of the tables; borrowed */
};

/* What this device has of one origin. */
struct sl_origin_state {
    struct sl_origin name;         /* constant */
    size_t index;                  /* constant: its place in sl_core.origins */
    bool forked;                   /* its log has split: it is taken and passed on no further. The
                                      network's */
    uint64_t needed_seq;           /* where it begins on a member that said so. The network's */
    uint64_t floor_seq;            /* what was pruned of its log here. The network's */
    atomic_uint_fast64_t told_seq; /* subscribers were told up to here: their thread writes it,
                                      prune reads it while there are any */
    struct sl_log_head head; /* in the log; head.number is its number there. Under head_lock: own by
                                log_append, others by log_hold; read by sl_core_head */
    /* The applier's. */
    int64_t number;       /* in library.db; 0: not written there yet */
    uint64_t applied_seq; /* as committed in library.db; written under head_lock */
    uint64_t synced_seq;  /* of that, what a power cut cannot undo: members are told so much. Under
                             head_lock */
    uint64_t covered_seq; /* the same as applied_seq, and moves with the slice under way */
    bool held;            /* applying stopped; the notice says why */
    bool careful;         /* its next slice is done record by record */
    const uint8_t *todo;  /* during a careful slice: by seq - todo_first, not written yet */
    uint64_t todo_first;
    uint64_t todo_len;
    uint64_t held_until_ms; /* by the wall clock, when it is only a matter of time; else 0 */
    bool clock_held;        /* it was told that this is so */
    uint64_t cut_seq;       /* in the cut of a snapshot under way; 0: none. Written under head_lock,
                               like the next two */
    uint64_t cut_hlc;       /* the highest clock value in that */
    uint64_t known_seq;     /* what was applied when it began. If that is less than the cut: what is
                               between comes by pages, and members are told no more than this */
    bool room_held;         /* held for a while, as the waiting room is full */
};

/* What a link does with one origin's log: see stages/stream.h. */
enum sl_stream_state {
    SL_STREAM_FLOWS = 0,
    SL_STREAM_ASKED,
    SL_STREAM_STOPPED,
    SL_STREAM_BELOW,
    SL_STREAM_STATE_END
};

struct sl_stream {
    uint64_t sent_seq; /* the member has it up to here, or it is on its way there */
    uint64_t same_seq; /* what the member holds up to here is what is held here */
    enum sl_stream_state state;
};

/* How far two members that are connected know of each other: see stages/meet.h. */
enum sl_meeting {
    SL_MEETING_APART = 0,
    SL_MEETING_GREETED,
    SL_MEETING_DIFFERS,
    SL_MEETING_LISTED,
    SL_MEETING_KNOWN,
    SL_MEETING_END
};

/* A member and the link to it. The network's. */
struct sl_member_state {
    struct sl_member known;       /* as in sync.db, or newer */
    struct sl_session *session;   /* NULL: not connected */
    struct sl_verifier *verifier; /* of its key; made when first needed */
    uint8_t *statement;           /* its latest, as it came; NULL: none */
    size_t statement_size;
    struct sl_stated stated; /* which it is */
    uint64_t sent_seq_max;   /* own changes sent on any session since the library was opened */

    /* Of this session. */
    struct sl_stream *streams;                  /* by sl_origin_state.index; see stream.h */
    size_t stream_count;                        /* later origins have none yet: nothing was sent */
    size_t next_stream;                         /* origin to send of next */
    uint64_t flushed_at;                        /* log_moves when `flushed` was found */
    size_t members_told;                        /* entries of the membership log, from the first,
                                                   that it has */
    struct sl_stated told[SL_MEMBER_COUNT_MAX]; /* latest statements of members, by index, that it
                                                   has: told on this session, or by it */
    struct sl_stated told_own;                  /* the same of this device */
    uint64_t roster_told;                       /* roster_moves when it had been told all */
    uint64_t summary_version;                   /* of our statement, that went into the summary */
    uint8_t summary[SL_HASH_SIZE];              /* that we sent */
    enum sl_meeting meeting;
    bool flushed;    /* it was sent all there was */
    bool vector_due; /* ours changed since it was told */

    bool dirty;           /* `known` is newer than in sync.db */
    bool statement_dirty; /* so is `statement` */
};

/* How far this device's changes have come with one member. */
struct sl_member_progress {
    struct syncline_uuid device;
    char name[SL_NAME_SIZE_MAX + 1];
    uint64_t sent_seq;    /* handed to the network for it; at least what it has acknowledged */
    uint64_t acked_seq;   /* in its log */
    uint64_t applied_seq; /* in its tables */
    bool is_out;          /* it, or this device, is no member any more: nothing waits for it */
};

/* A line that was told, so that it is not told again too soon. */
struct sl_told {
    uint64_t hash; /* of its text */
    uint64_t at_ns;
};
#define SL_TOLD_LEN 8u /* lines that are remembered: about one for each stage that may fail */

/* How far things are, for callers that wait. */
struct sl_progress {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t moves;            /* how often it was signalled, so that nobody need miss it */
    struct sl_drained drained; /* how far the outbox is in the log */
    uint64_t own_seq;          /* end of the own log */
    uint32_t members;          /* other devices, those that are out included */
    struct sl_member_progress member[SL_MEMBER_COUNT_MAX]; /* each of them */
    uint32_t links;                                        /* of them connected */
    struct syncline_uuid linked[SL_MEMBER_COUNT_MAX];      /* which */
    size_t linked_count;
    struct sl_network_counts counts;
    uint64_t segments_sent;
    enum syncline_status health; /* not OK: nothing moves any more; see sl_core.dead */
    struct sl_error notice;      /* the last thing worth telling */
    enum syncline_status notice_status;
    uint64_t notices; /* how many there were, without those that said the same again */
    struct sl_told told[SL_TOLD_LEN];
    size_t told_len; /* of them used; the oldest makes room */
};

/* Events on their way into sync.db; see stages/event_log.h. */
struct sl_event_queue {
    pthread_mutex_t lock;
    struct sl_event rows[SL_EVENTS_PENDING_MAX]; /* oldest first */
    size_t len;
    uint64_t lost;                     /* that found it full */
    uint32_t failing[SL_STATUS_COUNT]; /* by status: bits of the stages that fail so now */
    atomic_bool pending; /* rows are there: set after they are, by any thread; cleared by event_log
                            before it takes them */
};

/* A record whose births are to be looked at again (stages/living). */
struct sl_living_record {
    const struct sl_model *model;
    struct syncline_uuid uuid;
};

struct sl_living_due {
    struct sl_living_record *records; /* ours */
    size_t len;
    size_t capacity;
    bool lacks;                         /* a hidden birth may lack a parent */
    int64_t looked[SL_MODEL_COUNT_MAX]; /* by model->index: the model's last delete when records
                                           without a row were looked for; + 1, 0: never */
};

/* How far a snapshot is that this device takes (stages/snapshot_take.h). */
struct sl_snapshot_place {
    atomic_bool active;             /* one is under way: the applier sets it, any thread reads */
    bool taken[SL_MODEL_COUNT_MAX]; /* by model->index: nothing of the model is to come. The
                                       applier's, like the next */
    struct syncline_uuid lo[SL_MODEL_COUNT_MAX]; /* else from this UUID on */
};

/* A birth that a captured delete has dropped by mistake: its row was gone, and the id used again.
 */
struct sl_stray {
    const struct sl_model *model;
    struct sl_birth birth; /* of this device, or of another */
    uint64_t hlc;
    enum syncline_ownership class;
};

/* What a caller wants said of the members; see members_ask.h. */
enum sl_members_ask_state {
    SL_MEMBERS_ASK_FREE = 0,
    SL_MEMBERS_ASK_POSTED,  /* by a caller, who waits */
    SL_MEMBERS_ASK_TAKEN,   /* the network's thread is at it */
    SL_MEMBERS_ASK_ANSWERED /* the caller takes the answer, and frees it */
};

struct sl_members_ask {
    enum sl_members_ask_state state;
    enum sl_membership_kind kind; /* LEAVE or REVOKE */
    struct syncline_uuid device;  /* REVOKE: whom */
    enum syncline_status status;  /* of it, once answered */
    struct sl_error err;          /* likewise */
};

struct sl_core {
    const struct sl_env *env;       /* borrowed */
    struct sl_library_identity who; /* constant */
    struct sl_origin self;          /* constant */
    int64_t self_number;            /* its number in library.db; constant after open */
    struct sl_model_set models;     /* constant after open */
    uint32_t batch_len;             /* constant */
    uint32_t scan_len;              /* constant: older rows that a slice of the scan looks at */
    uint32_t settle_along_len;      /* constant: durable batches that a capture settles along */
    bool engine;                    /* constant: stages run */
    uint64_t waiting_max;           /* constant: records that may wait for others */
    struct sl_host_log host_log;    /* constant; no line is given to it under a lock */
    struct sl_budget budget;        /* constant */
    struct sl_settings settings;    /* constant; what stands above was taken from it */
    const struct sl_mark_keeper *keeper; /* constant; NULL: no marks are kept (stages/epoch.h) */
    struct sl_log_mark marked;           /* the latest; log_append's, but at open and close */
    uint64_t mark_due_ns;                /* the next, likewise */

    struct sl_staging staging;         /* any thread, by its own rules */
    struct sl_unsettled unsettled;     /* any thread, by its own rules */
    struct sl_progress progress;       /* any thread, under its lock */
    struct sl_members_ask members_ask; /* any thread, under progress.lock */
    struct sl_event_queue events;      /* any thread, under its lock */
    atomic_bool dead;                  /* any thread: progress.health is not OK */
    atomic_uint degraded;              /* any thread: SL_DEGRADED_..., handles that are finished */
    atomic_int own_standing; /* any thread reads: of this device, enum sl_member_standing; the
                                network's */
    atomic_uint followers; /* handles that read the log for subscribers: set before they look where
                              it stands; any thread */
    /* Either a slice of apply or net_flush sees `paused`, or who pauses sees it under way: each
     * side stores its own and then loads the other's. */
    atomic_bool paused;                   /* any thread sets it */
    atomic_bool in_slice[SL_STAGE_COUNT]; /* of apply and net_flush: set by their threads */
    atomic_int_fast64_t own_captured;     /* any thread: newest outbox row captured in autocommit */
    struct sl_stage_counts counts[SL_STAGE_COUNT]; /* each its stage's; any thread reads */
    atomic_bool failing[SL_STAGE_COUNT]; /* its last try failed: its thread sets and reads it */
    atomic_uint_fast64_t
        captures; /* any thread: captures that succeeded; nothing follows from it */
    atomic_uint_fast64_t captured; /* any thread: changes in them, likewise */

    struct sl_stray *strays;   /* under unsettled.lock; ours: fk_resolve adds, the applier parks */
    size_t stray_capacity;     /* likewise */
    atomic_size_t stray_count; /* written under that lock; read by any thread. While there are any
                                  nothing is appended: what dropped them is not drained before */
    atomic_bool some_aside;    /* any thread sets it, after it has set a record aside that was to be
                                  sent; the applier's to clear */
    atomic_bool scan_asked;    /* any thread sets it: a row may be there that is not captured */
    atomic_bool sync_wanted;   /* the network's thread sets it: what is settled is to be synced, so
                                  that it can be pruned. The applier's to clear */

    /* By model->index: may a record of it have a hidden birth? Set before the first one is
     * committed, so whoever reads it after a birth of that commit, or a later one, sees it. */
    atomic_bool hides[SL_MODEL_COUNT_MAX]; /* any thread reads; the applier's */
    struct sl_living_due living_due;       /* the applier's */

    pthread_mutex_t clock_lock;
    uint64_t hlc_last; /* under clock_lock: highest clock value given or seen, see clock.h */
    struct sl_drained drained; /* under clock_lock: the newest, as committed in sync.db */

    pthread_mutex_t log_lock;
    struct sl_peer_log log; /* under log_lock: writes */

    pthread_mutex_t head_lock;
    struct sl_origin_state *origins[SL_VECTOR_LEN_MAX]; /* [0] is this device; each is constant */
    atomic_size_t origin_count;                         /* they are there; added by the network */
    atomic_uint_fast64_t log_moves; /* heads moved: after one has, there may be more to send */
    atomic_uint_fast64_t syncs;     /* of what is applied: after one, more may be pruned */
    atomic_uint_fast64_t
        told; /* told_seq of an origin moved, or a follower went: more may be pruned */

    /* The sender's. */
    struct sl_rows reader;             /* intake: reads only */
    struct sl_rows resolver;           /* fk_resolve: reads only */
    struct sl_peer_log resolve_log;    /* fk_resolve: reads only */
    struct sl_hasher *hasher;          /* log_append */
    struct sl_signer *signer;          /* log_append */
    uint64_t next_seq;                 /* fk_resolve: provisional, for the next change resolved */
    atomic_int_fast64_t read_again_to; /* records were read again when this was the newest outbox
                                          row: what comes from it or an earlier one may hold later
                                          content */
    atomic_int_fast64_t scanned_to; /* the same for rows older than the library, which the scan may
                                       take in after what points at them: INT64_MAX until it ends.
                                       The applier's; log_append reads it */
    struct sl_batch_pool reread_pool; /* for changes that were not staged: calls of a few rows */
    struct sl_batch_pool bulk_pool;   /* and of many */
    struct sl_ring to_resolve;
    struct sl_ring to_serialize;
    struct sl_ring to_append;

    /* The network's. */
    struct sl_network *network;       /* NULL: none */
    struct sl_peer_log net_log;       /* reads only */
    struct sl_hasher *net_hasher;     /* verify */
    struct sl_member_state ourselves; /* as the author of our own epochs before this one: name, key
                                         and verifier alone */
    struct sl_member_state members[SL_MEMBER_COUNT_MAX]; /* and those that were */
    size_t member_count;
    struct sl_holders *holders;      /* what they hold: stages/holders.h */
    struct sl_membership membership; /* who they are by; see members.h */
    uint64_t membership_moves;       /* how often it grew */
    atomic_bool vector_moved;        /* any thread sets it: members are to be told */
    bool is_any_out;                 /* somebody has left or was revoked */
    bool statement_due;              /* the vector has moved since */
    struct sl_vector_entry *vector;  /* of sl_core_vector */
    size_t vector_capacity;
    struct sl_signer *net_signer; /* roster */
    struct sl_buf own_statement;  /* the latest; empty: none was needed yet */
    struct sl_stated own_stated;  /* which it is */
    uint64_t statement_after_ns;  /* not before */
    uint64_t roster_moves;        /* a member came, or a statement; from 1 */

    /* The applier's. */
    struct sl_rows writer;             /* settle and apply; synchronous=NORMAL */
    struct sl_peer_log apply_log;      /* reads only */
    atomic_uint_fast64_t settled_seq;  /* own applied entry, as last seen committed; all read it */
    int64_t writer_version;            /* data_version of the writer, to see others commit */
    uint64_t others_wrote_ns;          /* when they last did; 0: never seen */
    uint64_t writer_retry_ns;          /* the writer is not opened again before */
    int wal_pages;                     /* of library.db, at the writer's last commit */
    bool clock_is_ahead;               /* it was told that the clock is too far ahead of the wall */
    struct sl_snapshot_place snapshot; /* by its own rules */
};

/* Opens a connection with births and tables. On failure nothing is left. */
enum syncline_status sl_rows_open(struct sl_rows *rows, const struct sl_core *core,
                                  const char *path, enum sl_db_mode mode, uint32_t busy_timeout_ms,
                                  struct sl_error *err);
/* Over a connection of the application, without tables. `rows` must be all zero or given back. */
void sl_rows_borrow(struct sl_rows *rows, const struct sl_core *core, sqlite3 *handle);
/* Makes the tables unless they are there. false: no memory. */
bool sl_rows_make_tables(struct sl_rows *rows, const struct sl_core *core);
/* Ends a borrow: finalizes every statement, and keeps the memory of the tables for the next one. */
void sl_rows_give_back(struct sl_rows *rows, size_t model_count);
/* Finalizes every statement, closes the connection and takes that of `fresh`, which is not to be
 * used any more. On failure (EDB, ENOMEM) `fresh` is closed and nothing else has happened. */
enum syncline_status sl_rows_replace(struct sl_rows *rows, const struct sl_core *core,
                                     struct sl_library_db *fresh, struct sl_error *err);
/* Finalizes every statement; closes the connection unless it was borrowed. All zero is allowed. */
void sl_rows_fini(struct sl_rows *rows, size_t model_count);

/* Keeps wal_pages up to date, and the writer's cache as large as it is to be. */
void sl_core_watch_wal(struct sl_core *core);

/* May a record of the model have a hidden birth (stages/living)? Any thread, after it has read
 * something in its transaction. Where the engine is another process's, always. */
static inline bool sl_core_may_hide(struct sl_core *core, const struct sl_model *model)
{
    return !core->engine || atomic_load_explicit(&core->hides[model->index], memory_order_acquire);
}
static inline void sl_core_set_hides(struct sl_core *core, const struct sl_model *model)
{
    atomic_store_explicit(&core->hides[model->index], true, memory_order_release);
}

/* Is a snapshot under way that brings what this device lacks of the origin? Applier, or head_lock.
 */
static inline bool sl_origin_lags(const struct sl_origin_state *origin)
{
    return origin->known_seq < origin->cut_seq;
}

/* Gives a batch back to whichever pool it is of. */
void sl_core_give_batch(struct sl_core *core, struct sl_batch *batch);

/* Is the origin with that number in library.db this device, in whatever epoch? On any connection,
 * for its thread. */
enum syncline_status sl_core_is_own(const struct sl_core *core, struct sl_library_db *ldb,
                                    int64_t number, bool *own, struct sl_error *err);
/* The state of an origin, or NULL. Any thread. */
struct sl_origin_state *sl_core_origin(struct sl_core *core, const struct sl_origin *origin);
/* Adds one with nothing held or applied, in memory only. NULL: no memory or too many. The
 * network's, and at open. */
struct sl_origin_state *sl_core_add_origin(struct sl_core *core, const struct sl_origin *origin,
                                           struct sl_hasher *hasher);
/* Reads and writes the end of an origin's log. Any thread. */
struct sl_log_head sl_core_head(struct sl_core *core, const struct sl_origin_state *origin);
void sl_core_set_head(struct sl_core *core, struct sl_origin_state *origin,
                      const struct sl_log_head *head);
uint64_t sl_core_held(struct sl_core *core, const struct sl_origin_state *origin);
/* The applier's. */
void sl_core_set_applied(struct sl_core *core, struct sl_origin_state *origin, uint64_t seq);
/* All that is committed in library.db now is synced. The applier's. */
void sl_core_applied_synced(struct sl_core *core);
/* What members are told: our vector as of now, in the order of the origins; borrowed until the next
 * call. false: no memory. The network's. */
bool sl_core_vector(struct sl_core *core, struct sl_vector_entry **entries, size_t *count);
/* The network's. */
struct sl_member_state *sl_core_member(struct sl_core *core, const struct syncline_uuid *device);

/* Tells every member of our vector, when next possible. Any thread. */
void sl_core_vector_moved(struct sl_core *core);
/* Publish figures of `progress` and wake who waits: the network's, of its members and links, and of
 * a segment sent to one of them; and log_append's, of the own log. */
void sl_core_progress_members(struct sl_core *core);
void sl_core_progress_sent(struct sl_core *core, struct sl_member_state *member, uint64_t own_seq);
void sl_core_progress_log(struct sl_core *core, const struct sl_drained *drained, uint64_t own_seq);
/* Wakes who waits: something else has moved. Any thread. */
void sl_core_progress_wake(struct sl_core *core);
/* What to call a device in a text: its name in quotes, or the beginning of its id. Any thread. */
void sl_core_device_name(struct sl_core *core, const struct syncline_uuid *device, char *out,
                         size_t size);
/* The setting max_drift_ms. */
uint64_t sl_core_max_drift_ms(const struct sl_core *core);
/* How far the clock is ahead of the wall, if that is more than half of max_drift_ms; else 0. Any
 * thread. */
uint64_t sl_core_clock_ahead_ms(struct sl_core *core);
/* Remembers one line for whoever asks, and logs it. false: it is told already, and was not long
 * ago. Not under a lock. */
bool sl_core_notice(struct sl_core *core, enum syncline_status status, const char *text);
/* The same with an event; `device` is whom it is about, or NULL. */
void sl_core_trouble(struct sl_core *core, enum syncline_event_code code,
                     enum syncline_status status, const struct syncline_uuid *device,
                     const char *text);
/* Something is as it should be again, or new: logs it, with an event. Not under a lock. */
void sl_core_news(struct sl_core *core, enum syncline_event_code code,
                  const struct syncline_uuid *device, const char *text);
/* Puts an event into the queue, with the time. Any thread; never waits. */
void sl_core_event(struct sl_core *core, const struct sl_event *event);
/* Logs that a record could not be sent or applied; after that is committed, not under a lock. */
void sl_core_log_aside(const struct sl_core *core, const char *model,
                       const struct syncline_uuid *uuid, const char *reason);
/* An event for records that were set aside together: the first of them, and how many. */
void sl_core_event_aside(struct sl_core *core, const char *model, const struct syncline_uuid *uuid,
                         const struct syncline_uuid *device, const char *reason, size_t count);
/* A stage did something: if it had failed, and no other fails for the same, that is over. */
void sl_core_works(struct sl_core *core, enum sl_stage stage);
/* A stage failed. What time or space may mend is a notice, and the stage tries again; a
 * contradiction or damage stops the library. Not under a lock. */
void sl_core_failed(struct sl_core *core, const char *stage, enum syncline_status status,
                    const struct sl_error *err);
bool sl_core_is_dead(struct sl_core *core);
/* Is nothing to be sent or applied? Any thread. */
bool sl_core_is_paused(struct sl_core *core);

#endif
