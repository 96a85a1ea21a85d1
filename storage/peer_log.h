/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* sync.db: the peer log and what belongs to it. Ours alone.
 *
 *     meta        format (1), library id and name, device name, epoch of this device; the lowest
 *                 outbox row that a ticket can be asked about; in which directory it was used last
 *     origin      per origin: held_seq, held_hash, last_hlc - the end of its log here; floor_seq,
 *                 floor_hash, floor_end - where it begins (storage/log_floor.h)
 *     segment     the sealed bytes, by origin and last seq; see base/segment.h
 *     birth_segment   segments that were pruned, and are kept for the births in them
 *     fork        origins whose log has split: the head here, and a segment that contradicts it
 *     drained     outbox rows whose changes are in the log: (id, token), how many, complete or not;
 *                 the newest of them, as many as are remembered
 *     membership  the entries of the membership log, as they came (storage/membership_table.h)
 *     member      the other devices: key, name, what they have of this device's changes, what
 *                 follows for them from the membership log, and their latest statement
 *     held, absence   what members hold, and who is away: storage/member_held.h
 *     set_aside   records that could not be sent or applied, with the reason
 *     event       what went wrong and what was mended, the newest of it (storage/event_table.h)
 *
 * The file is in WAL mode with synchronous=FULL: what a commit said is there after a power cut. One
 * connection writes and checkpoints; others only read. A handle belongs to one thread. */

#ifndef SL_PEER_LOG_H
#define SL_PEER_LOG_H

#include "base/membership.h"
#include "base/segment.h"
#include "storage/db.h"

#define SL_PEER_LOG_FORMAT 1
#define SL_LOG_KEY_SIZE 32

struct sl_peer_log {
    struct sl_db db;
    struct sl_statements statements;
    bool sync_failed; /* the handle is finished; see stages/reopen.h */
};

struct sl_library_identity {
    struct syncline_uuid library_id;
    struct syncline_uuid device_id;
    uint64_t epoch;                          /* of this device */
    char library_name[SL_NAME_SIZE_MAX + 1]; /* UTF-8 */
    char device_name[SL_NAME_SIZE_MAX + 1];
};

/* Makes the file with its tables. Errors: EEXIST, EIO, ENOSPC, EDB. */
enum syncline_status sl_peer_log_create(const struct sl_env *env, const char *path,
                                        const struct sl_library_identity *identity,
                                        struct sl_error *err);
/* Errors: ENOTFOUND, EFORMAT, ECORRUPT, EDB. */
enum syncline_status sl_peer_log_open(struct sl_peer_log *log, const struct sl_env *env,
                                      const char *path, enum sl_db_mode mode, struct sl_error *err);
void sl_peer_log_fini(struct sl_peer_log *log);
/* Closes the connection and takes that of `fresh`, which is not to be used any more. */
void sl_peer_log_replace(struct sl_peer_log *log, struct sl_peer_log *fresh);
enum syncline_status sl_peer_log_identity(struct sl_peer_log *log,
                                          struct sl_library_identity *identity,
                                          struct sl_error *err);

/* From here on this device's changes are of that epoch, and what it could not send is of the new
 * one. With keep_drained what is drained stays so, of seqs that nobody asks for any more; else
 * nothing of the outbox is drained. Inside a transaction. */
enum syncline_status sl_peer_log_begin_epoch(struct sl_peer_log *log, const struct sl_origin *old,
                                             uint64_t epoch, bool keep_drained,
                                             struct sl_error *err);

/* Where the log was opened last, as a text that its copy elsewhere would not have; "": not noted.
 */
enum syncline_status sl_peer_log_place(struct sl_peer_log *log, char place[SL_PLACE_SIZE],
                                       struct sl_error *err);
/* Inside a transaction. */
enum syncline_status sl_peer_log_set_place(struct sl_peer_log *log, const char *place,
                                           struct sl_error *err);

enum syncline_status sl_peer_log_begin(struct sl_peer_log *log, struct sl_error *err);
/* The durability point. */
enum syncline_status sl_peer_log_commit(struct sl_peer_log *log, struct sl_error *err);
void sl_peer_log_rollback(struct sl_peer_log *log);

/* ---- Origins and segments ---- */

struct sl_log_head {
    int64_t number; /* of the origin in this file */
    struct sl_origin origin;
    uint64_t held_seq;
    uint8_t held_hash[SL_HASH_SIZE];
    uint64_t last_hlc; /* highest clock value in its segments */
};

/* The index-th origin, by number. *found = false past the end. */
enum syncline_status sl_peer_log_head(struct sl_peer_log *log, int64_t after_number, bool *found,
                                      struct sl_log_head *head, struct sl_error *err);
/* Adds an origin with nothing held; head->origin and held_hash are given, number is set. */
enum syncline_status sl_peer_log_add_origin(struct sl_peer_log *log, struct sl_log_head *head,
                                            struct sl_error *err);
/* Appends a segment that continues head, and writes the head as it then is (the caller has moved
 * held_seq, held_hash, last_hlc). */
enum syncline_status sl_peer_log_append(struct sl_peer_log *log, const struct sl_log_head *head,
                                        const void *data, size_t size, struct sl_error *err);
/* The segment that holds `seq`. Bytes are borrowed until the next call on this handle, or
 * sl_peer_log_done. Errors: EPRUNED (it lies below the floor; so nobody is ever given the tail for
 * what is missing before it), ... */
enum syncline_status sl_peer_log_segment(struct sl_peer_log *log, int64_t origin, uint64_t seq,
                                         bool *found, const uint8_t **data, size_t *size,
                                         struct sl_error *err);
void sl_peer_log_done(struct sl_peer_log *log);
/* The same of one that was pruned and is kept for the births in it: see storage/log_floor.h.
 * Errors: ECORRUPT, ... */
enum syncline_status sl_peer_log_births(struct sl_peer_log *log, int64_t origin, uint64_t seq,
                                        bool *found, const uint8_t **data, size_t *size,
                                        struct sl_error *err);
/* Where the next segment is that is there, when the one after `seq` is not: *next is a change in
 * it, or the first of the log above its floor. */
enum syncline_status sl_peer_log_next(struct sl_peer_log *log, int64_t origin, uint64_t seq,
                                      uint64_t *next, struct sl_error *err);
/* The hash of the segment that ends at `last_seq` exactly; at the floor it is still known. Errors:
 * EPRUNED (below the floor), ... */
enum syncline_status sl_peer_log_hash_at(struct sl_peer_log *log, int64_t origin, uint64_t last_seq,
                                         bool *found, uint8_t hash[SL_HASH_SIZE],
                                         struct sl_error *err);

/* Two changes with one seq of one origin: its log has split, and it is taken no further. Both ends
 * are kept as evidence: the head here, and a segment that contradicts it, as it came. */
enum syncline_status sl_fork_put(struct sl_peer_log *log, const struct sl_log_head *head,
                                 const void *data, size_t size, uint64_t wall_ms,
                                 struct sl_error *err);
/* *at_ms: when that was seen; 0: it has not split. */
enum syncline_status sl_fork_find(struct sl_peer_log *log, int64_t origin, bool *found,
                                  uint64_t *at_ms, struct sl_error *err);

/* Bytes of the segments that hold changes after `seq`. */
enum syncline_status sl_peer_log_size_after(struct sl_peer_log *log, int64_t origin, uint64_t seq,
                                            uint64_t *bytes, struct sl_error *err);

/* ---- Drained outbox rows ---- */

struct sl_drained {
    int64_t id;       /* of the outbox row */
    uint64_t token;   /* of it; the same id with another token is another row */
    uint32_t changes; /* of its changes dealt with, from the first */
    bool complete;    /* all of them */
    uint64_t seq;     /* the last change that came of it; 0: none, it all was superseded or aside */
};

/* Tokens are random but for this bit, which says that the caller has asked for a ticket. */
#define SL_TOKEN_TICKET UINT64_C(1)

static inline bool sl_token_has_ticket(uint64_t token)
{
    return (token & SL_TOKEN_TICKET) != 0;
}

/* Every outbox row up to this one is dealt with whole. */
static inline int64_t sl_drained_to(const struct sl_drained *drained)
{
    return drained->complete ? drained->id : drained->id - 1;
}

enum syncline_status sl_drained_put(struct sl_peer_log *log, const struct sl_drained *drained,
                                    struct sl_error *err);
/* The newest; *found = false: none yet. */
enum syncline_status sl_drained_newest(struct sl_peer_log *log, bool *found,
                                       struct sl_drained *drained, struct sl_error *err);
/* Forgets those above `id`: library.db does not have them any more. */
enum syncline_status sl_drained_remove_above(struct sl_peer_log *log, int64_t id,
                                             struct sl_error *err);
enum syncline_status sl_drained_count(struct sl_peer_log *log, uint64_t *count,
                                      struct sl_error *err);
/* Keeps the newest `keep` rows (1 at least), and notes from which id on that is all of them. Inside
 * a transaction. */
enum syncline_status sl_drained_prune(struct sl_peer_log *log, uint32_t keep, struct sl_error *err);

/* What there is to say of one outbox row, as of one moment. */
struct sl_drained_look {
    bool found;            /* `row` is it */
    struct sl_drained row; /* with that id */
    int64_t newest;        /* drained row; 0: none. Rows below it are drained or were never there */
    int64_t kept_from;     /* rows with a ticket are here from this id on */
};

enum syncline_status sl_drained_find(struct sl_peer_log *log, int64_t id,
                                     struct sl_drained_look *look, struct sl_error *err);

/* ---- Members ---- */

struct sl_member {
    struct syncline_uuid device;
    uint8_t public_key[SL_LOG_KEY_SIZE];
    char name[SL_NAME_SIZE_MAX + 1];
    uint64_t acked_seq;                 /* of this device's changes, in its log */
    uint64_t applied_seq;               /* of them, in its tables */
    uint64_t announced_seq;             /* of its own changes: how many it says there are */
    struct syncline_uuid introduced_by; /* the device that let it in; all zero: this one, or none */
    enum sl_member_standing standing;   /* both follow from the membership log */
};

/* Adds the member or replaces what is known of it. */
enum syncline_status sl_member_put(struct sl_peer_log *log, const struct sl_member *member,
                                   struct sl_error *err);
/* Keeps the latest statement of a member, as it came. */
enum syncline_status sl_member_put_statement(struct sl_peer_log *log,
                                             const struct syncline_uuid *device, const void *data,
                                             size_t size, struct sl_error *err);
/* Appends it to *data; nothing if there is none. */
enum syncline_status sl_member_statement(struct sl_peer_log *log,
                                         const struct syncline_uuid *device, struct sl_buf *data,
                                         struct sl_error *err);
/* The index-th of those that are members, in order of admission. */
enum syncline_status sl_member_get(struct sl_peer_log *log, size_t index, bool *found,
                                   struct sl_member *member, struct sl_error *err);
/* The same with those that were. */
enum syncline_status sl_member_get_any(struct sl_peer_log *log, size_t index, bool *found,
                                       struct sl_member *member, struct sl_error *err);

#define SL_DEVICE_TEXT_SIZE (SL_NAME_SIZE_MAX + 3) /* a name in quotes, with its NUL */

/* Who that is, for people: the name in quotes; of who is no member the beginning of the id. */
enum syncline_status sl_member_text(struct sl_peer_log *log, const struct syncline_uuid *device,
                                    char text[SL_DEVICE_TEXT_SIZE], struct sl_error *err);

/* ---- Records set aside ---- */

struct sl_set_aside {
    struct sl_origin origin; /* of the change; this device's for one that could not be sent */
    uint64_t seq;            /* of the change; 0 for one that could not be sent */
    char model[SL_NAME_SIZE_MAX + 1];
    struct syncline_uuid uuid;
    char reason[256]; /* one line */
};

/* Adds it, or replaces the reason if the same change is there. */
enum syncline_status sl_set_aside_put(struct sl_peer_log *log, const struct sl_set_aside *record,
                                      uint64_t wall_ms, struct sl_error *err);
/* The record's delete has come: nobody needs to look at it any more. */
enum syncline_status sl_set_aside_remove(struct sl_peer_log *log, const struct sl_origin *origin,
                                         uint64_t seq, struct sl_error *err);
/* The same of a record that could not be sent: it is on its way, or not there any more. */
enum syncline_status sl_set_aside_remove_record(struct sl_peer_log *log,
                                                const struct sl_origin *origin, const char *model,
                                                const struct syncline_uuid *uuid,
                                                struct sl_error *err);
/* Is it there, as one that could not be sent? */
enum syncline_status sl_set_aside_find(struct sl_peer_log *log, const struct sl_origin *origin,
                                       const char *model, const struct syncline_uuid *uuid,
                                       bool *found, struct sl_error *err);
enum syncline_status sl_set_aside_get(struct sl_peer_log *log, size_t index, bool *found,
                                      struct sl_set_aside *record, struct sl_error *err);
/* The oldest after `number`, which becomes its own, and when it was put. Numbers rise, but that of
 * one that was removed may be used again. */
enum syncline_status sl_set_aside_after(struct sl_peer_log *log, int64_t *number, bool *found,
                                        struct sl_set_aside *record, uint64_t *at_ms,
                                        struct sl_error *err);
/* The first len_max that could not be applied, of a model and a range of UUIDs, by UUID. */
enum syncline_status sl_set_aside_range(struct sl_peer_log *log, const char *model,
                                        const struct syncline_uuid *lo,
                                        const struct syncline_uuid *hi, struct sl_set_aside *list,
                                        size_t len_max, size_t *len, struct sl_error *err);
/* The highest number; 0: there is none. */
enum syncline_status sl_set_aside_last(struct sl_peer_log *log, int64_t *number,
                                       struct sl_error *err);
enum syncline_status sl_set_aside_count(struct sl_peer_log *log, uint64_t *count,
                                        struct sl_error *err);

#endif
