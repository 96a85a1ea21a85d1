/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* follow: reads the log behind the engine's back and tells what changed, as events.
 *
 * Happy path: each origin has a place in its log up to which it was told. What lies between that
 * place and where the origin stands now - own changes as soon as the log holds them, those of
 * others once the applied vector covers them - is decoded again, and given one event after the
 * other. Nothing is queued: whoever is slow reads later, through connections of its own, and holds
 * no transaction meanwhile. Errors come from where they are kept: records set aside from sync.db,
 * and the engine's last notice from memory, where a later one may have taken its place.
 *
 * - A change is told whatever became of it: a later one may have won, its record may be set aside.
 * - What was pruned before it was told is told of as an error (EPRUNED), and it goes on where the
 * log begins. A subscriber holds the log back, up to its size limit (stages/prune.h).
 * - A segment that cannot be read is told as an error, and its origin is not followed any further.
 * - Anything else that fails (memory, the database) leaves every place as it was: call again. */

#ifndef SL_FOLLOW_H
#define SL_FOLLOW_H

#include "stages/decode.h"
#include "stages/shared.h"

/* A place in the log of an origin. */
struct sl_follow_place {
    struct sl_origin name;
    int64_t number; /* of the origin in sync.db */
    uint64_t seq;   /* told up to here */
    uint64_t upto;  /* there is something to tell up to here */
    bool is_lost;   /* a segment cannot be read; not followed any further */
};

/* Places in everything that is followed. Rises with time in all of its parts, but for `aside`, when
 * records set aside are removed. */
struct sl_follow_point {
    struct sl_follow_place *places; /* ours */
    size_t len;
    size_t capacity;
    int64_t aside;    /* number of the last record set aside */
    uint64_t notices; /* of the engine */
};

/* An event, and where it stands. */
struct sl_follow_event {
    struct syncline_event event; /* its pointers live until the next sl_follow_next */
    int64_t origin;              /* changes: number of their origin; 0: an error */
    uint64_t last_seq;           /* changes: of the last of them */
    int64_t aside;               /* errors: number of the record set aside, or 0 */
    uint64_t notice;             /* errors: number of the notice, or 0 */
};

struct sl_follow {
    struct sl_core *core;     /* borrowed */
    struct sl_peer_log log;   /* reads only */
    struct sl_library_db ldb; /* reads only */
    struct sl_follow_point point;
    bool holds; /* what it has not told stays in the log: stages/prune.h. The caller sets it */
    struct sl_decoded decoded;
    struct sl_arena scratch;
    struct sl_buf json;
    /* What is decoded: */
    bool is_loaded;
    size_t place;       /* of the segment's origin */
    uint32_t group;     /* next group to tell */
    uint64_t group_seq; /* of its first change */
    /* Behind the pointers of the last event: */
    char model[SL_NAME_SIZE_MAX + 1];
    struct sl_set_aside aside;
    struct sl_error text;
};

/* Opens the connections; nothing is followed before sl_follow_seek. One thread at a time. Errors:
 * EDB, EIO, ENOMEM, ... */
enum syncline_status sl_follow_open(struct sl_follow *follow, struct sl_core *core,
                                    const char *sync_db, const char *library_db,
                                    struct sl_error *err);
void sl_follow_close(struct sl_follow *follow);

/* Where everything stands now, by connections of the caller's. `point` is all zero or of an earlier
 * call. Errors: EDB, ENOMEM, ... */
enum syncline_status sl_follow_now(struct sl_core *core, struct sl_peer_log *log,
                                   struct sl_library_db *ldb, struct sl_follow_point *point,
                                   struct sl_error *err);
/* Gives back its memory; it is all zero then. */
void sl_follow_point_fini(struct sl_follow_point *point, const struct sl_allocator *alloc);
/* Goes on from there; takes the point over, which is all zero then. */
void sl_follow_seek(struct sl_follow *follow, struct sl_follow_point *point);

/* The next event; *found = false: nothing is left to tell for now. With `json` its JSON is made.
 * Errors: EDB, ENOMEM, ...: the same event comes again. */
enum syncline_status sl_follow_next(struct sl_follow *follow, bool json, bool *found,
                                    struct sl_follow_event *event, struct sl_error *err);
/* Is it after the point? */
bool sl_follow_is_after(const struct sl_follow_event *event, const struct sl_follow_point *point);

#endif
