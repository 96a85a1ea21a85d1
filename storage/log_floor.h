/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* log_floor: where the log of each origin begins in sync.db.
 *
 *     changes     1 ............ floor_seq | floor_seq + 1 ............ held_seq
 *                 pruned                     in segments
 *
 * Columns of `origin`: floor_seq (0: the log is whole), and of the segment that ended there
 * floor_hash, which the next one follows, and floor_end (base/segment.h), by which the origin's
 * signature proves both. Floor and segments move in one transaction: a crash leaves both as they
 * were, or both moved. A floor only rises.
 *
 * A segment that brought records (its flag says so) is kept aside, in `birth_segment`, when it is
 * pruned: what record a birth is of - its UUID, its first parents - stands nowhere else, and is
 * asked for when a row is gone that nobody deleted by a capture. It is given to nobody. The oldest
 * of these go when they are more than a quarter of the log's limit.
 *
 * Space: segments that go leave free pages, which later ones use; what is more than a slack goes
 * back to the file system a few pages at a time (auto_vacuum is INCREMENTAL), and the file is
 * shorter after the next checkpoint.
 *
 * Statements are made for each call: there are few. */

#ifndef SL_LOG_FLOOR_H
#define SL_LOG_FLOOR_H

#include "storage/peer_log.h"

struct sl_log_floor {
    uint64_t seq;               /* 0: nothing was pruned, and the rest is not set */
    uint8_t hash[SL_HASH_SIZE]; /* of the segment that ended there */
    uint8_t end[SL_SEGMENT_END_SIZE];
};

/* A seq 0 also if there is no such origin. Errors: ECORRUPT, EDB, ... */
enum syncline_status sl_log_floor_get(struct sl_peer_log *log, int64_t origin,
                                      struct sl_log_floor *floor, struct sl_error *err);
/* Removes the segments up to floor->seq, where one ends, and moves the floor there. Inside a
 * transaction. Errors: EINVAL (it would not rise), EDB, EIO, ... */
enum syncline_status sl_log_floor_raise(struct sl_peer_log *log, int64_t origin,
                                        const struct sl_log_floor *floor, struct sl_error *err);
/* The log of the origin begins anew at its floor, with nothing after it: head->held_seq is
 * floor->seq. What segments there are go. Inside a transaction. Errors: as above. */
enum syncline_status sl_log_floor_begin(struct sl_peer_log *log, const struct sl_log_head *head,
                                        const struct sl_log_floor *floor, struct sl_error *err);

/* Forgets the oldest segments that are kept for their births, some of them, if all together have
 * more than `size` bytes; *forgot: some were. Inside a transaction. */
enum syncline_status sl_log_births_limit(struct sl_peer_log *log, uint64_t size, bool *forgot,
                                         struct sl_error *err);

/* The oldest segments of an origin, none of which goes beyond `upto`: as many as fit into `size`,
 * one at least, and `len` at most. */
struct sl_log_oldest {
    uint64_t last_seq; /* the end of the last of them; 0: there is none */
    uint64_t bytes;    /* of them */
    bool is_full;      /* there may be more */
};
enum syncline_status sl_log_oldest(struct sl_peer_log *log, int64_t origin, uint64_t upto,
                                   uint32_t len, uint64_t size, struct sl_log_oldest *oldest,
                                   struct sl_error *err);

/* What an origin's log has here. */
struct sl_log_kept {
    uint64_t floor_seq;
    uint64_t segments;
    uint64_t bytes; /* of them */
};
enum syncline_status sl_log_kept(struct sl_peer_log *log, int64_t origin, struct sl_log_kept *kept,
                                 struct sl_error *err);

/* Pages of the file, and those of them that nothing stands in. */
struct sl_log_space {
    uint64_t page_size;
    uint64_t pages;
    uint64_t free_pages;
};
enum syncline_status sl_log_space(struct sl_peer_log *log, struct sl_log_space *space,
                                  struct sl_error *err);
/* Gives back up to so many of the free pages. A transaction of its own, or inside one. */
enum syncline_status sl_log_shrink(struct sl_peer_log *log, uint32_t pages, struct sl_error *err);

#endif
