/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Reading a library for people and for callers that wait: figures, members, records set aside,
 * digests. Over connections of their own, so that no stage is disturbed; in both roles. Any thread;
 * blocks on the disk and on other readers. */

#ifndef SL_LIBRARY_VIEW_H
#define SL_LIBRARY_VIEW_H

#include "pipeline/library.h"
#include "stages/inquiry.h"
#include "stages/members_ask.h"
#include "stages/shared.h"

/* The connections, while their lock is held. */
struct sl_view {
    struct sl_rows *rows;
    struct sl_peer_log *log;
};

struct sl_core *sl_library_core(struct sl_library *library);
struct sl_view sl_library_view_lock(struct sl_library *library);
void sl_library_view_unlock(struct sl_library *library);
/* Where the two databases are, for connections of the caller's. Valid while the library is open. */
void sl_library_paths(struct sl_library *library, const char **sync_db, const char **library_db);
const char *sl_library_bound(const struct sl_library *library); /* "": not listening */
/* What carries questions to members; NULL without an engine. */
struct sl_inquiry *sl_library_inquiry(struct sl_library *library);
/* Makes a waiting poll return. Any thread. */
void sl_library_wake(struct sl_library *library);

/* Is something in log_append waiting for its time? Then a sleep should be short. The sender's. */
bool sl_library_lingers(struct sl_library *library);
/* Is something to be applied or settled, and waits for a lock or for its time? The applier's. */
bool sl_library_has_backlog(struct sl_library *library);

enum syncline_status sl_library_member(struct sl_library *library, size_t index,
                                       struct syncline_member *member, struct sl_error *err);
enum syncline_status sl_library_kept(struct sl_library *library, size_t index,
                                     struct syncline_kept *kept, struct sl_error *err);
/* The index-th device of the membership log, this one first. Errors: ENOTFOUND, ENOMEM, EDB. */
enum syncline_status sl_library_device(struct sl_library *library, size_t index,
                                       struct syncline_device *device, struct sl_error *err);
/* What this device itself is to the library. Errors: ENOMEM, EDB. */
enum syncline_status sl_library_own_standing(struct sl_library *library,
                                             enum syncline_standing *standing,
                                             struct sl_error *err);
enum syncline_status sl_library_set_aside(struct sl_library *library, size_t index,
                                          struct syncline_set_aside *record, struct sl_error *err);

/* ---- Waiting ---- */

/* How far this device's changes are. */
struct sl_standing {
    struct sl_drained drained; /* the outbox in the log; id 0: nothing yet */
    uint64_t own_seq;          /* end of the own log */
    uint32_t members;
    struct sl_member_progress member[SL_MEMBER_COUNT_MAX]; /* each of them */
};

/* As the engine knows it, or in the capture role as sync.db says: there sent is acknowledged. */
enum syncline_status sl_library_standing(struct sl_library *library, struct sl_standing *standing,
                                         struct sl_error *err);

/* How far changes have come with those members (NULL: all), at level SENT or a later one. Errors:
 * EREFUSED (there is no other member), ENOTFOUND (the one named is none). */
enum syncline_status sl_standing_seq(const struct sl_standing *standing, enum syncline_level level,
                                     const struct syncline_who *who, uint64_t *seq,
                                     struct sl_error *err);

/* What syncline_flush waits for. */
struct sl_target {
    int64_t outbox_id;   /* the newest committed row */
    uint64_t own_seq;    /* end of the own log when that row was first seen in it; 0: not yet */
    bool scanned;        /* rows older than the library are all in the outbox */
    bool waits_for_scan; /* they were not, when this was made */
};

enum syncline_status sl_library_target(struct sl_library *library, struct sl_target *target,
                                       struct sl_error *err);
/* *reached: every change up to the target has come to `level`, with those members (NULL: all). The
 * text says what is left. Errors:
 * EREFUSED (there is no other member), EDB. */
enum syncline_status sl_library_reached(struct sl_library *library, struct sl_target *target,
                                        enum syncline_level level, const struct syncline_who *who,
                                        bool *reached, struct sl_error *err);
/* What is left of the changes up to the target. */
enum syncline_status sl_library_left(struct sl_library *library, const struct sl_target *target,
                                     struct syncline_left *left, struct sl_error *err);

#endif
