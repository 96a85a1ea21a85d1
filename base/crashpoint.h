/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Crash points: the moments at which the crash harness (tests/crash) lets a device die, by SIGKILL
 * or with its power gone. Each is something that is done; BEFORE and AFTER it are two moments.
 *
 * SL_CRASHPOINT(S3, BEFORE) does nothing and leaves nothing behind, but in objects that are built
 * with SL_CRASHPOINTS, for the harness alone. The list is the only one: what is not hit is missed
 * there. S sends, R receives; the numbers are those of the fault catalogue, whose other points come
 * with what they are points of: R9 to R15 with snapshots, pairing and revocation. R16 is this
 * design's own. */

#ifndef SL_CRASHPOINT_H
#define SL_CRASHPOINT_H

/* Points marked (harness) stand in the harness itself: in what plays the application, in the files
 * below SQLite, and in the transport. */
#define SL_CRASHPOINT_LIST(X)                                                                      \
    X(S1, "the application's COMMIT (harness)")                                                    \
    X(S2, "a batch goes from intake into the first ring")                                          \
    X(S3, "a batch is serialized")                                                                 \
    X(S4, "the UUID map's transaction is committed")                                               \
    X(S5, "a batch is stamped")                                                                    \
    X(S6, "a segment is put into the log's transaction")                                           \
    X(S7, "the log's COMMIT is synced (harness)")                                                  \
    X(S8, "what the log has committed is shown to the other stages")                               \
    X(S9, "half of a frame has left (harness)")                                                    \
    X(S10, "a segment is sent to a member")                                                        \
    X(S11, "an acknowledgement is taken note of")                                                  \
    X(S12, "acknowledgements are written")                                                         \
    X(S13, "segments are pruned: the log's COMMIT")                                                \
    X(S14, "a checkpoint writes a database file (harness)")                                        \
    X(R1, "a segment is verified and queued")                                                      \
    X(R2, "the records of a segment are localized")                                                \
    X(R3, "one record is written")                                                                 \
    X(R4, "the applied vector moves, in the slice's transaction")                                  \
    X(R5, "the slice's COMMIT writes the WAL (harness)")                                           \
    X(R6, "a slice that is committed is shown to the other stages")                                \
    X(R7, "a vector is sent")                                                                      \
    X(R8a, "a record goes into the waiting room")                                                  \
    X(R8b, "what waited for each other is released")                                               \
    X(R16, "received segments are held: the log's COMMIT")

enum sl_crashpoint {
#define X(name, text) SL_CRASHPOINT_##name,
    SL_CRASHPOINT_LIST(X)
#undef X
        SL_CRASHPOINT_COUNT
};

enum sl_crash_side { SL_CRASH_BEFORE, SL_CRASH_AFTER, SL_CRASH_SIDE_COUNT };

#ifdef SL_CRASHPOINTS

#include <stdbool.h>
#include <stdint.h>

#define SL_CRASHPOINT(name, side) sl_crashpoint_pass(SL_CRASHPOINT_##name, SL_CRASH_##side)

/* Any thread. Dies here if this is the moment that is armed. */
void sl_crashpoint_pass(enum sl_crashpoint point, enum sl_crash_side side);
/* From now on the nth passing of that moment is the last thing this process does; 0: none is. */
void sl_crashpoint_arm(enum sl_crashpoint point, enum sl_crash_side side, uint32_t nth);
/* Is that point armed, before or after, and not hit yet? */
bool sl_crashpoint_is_armed(enum sl_crashpoint point);
/* How often the moment was passed since the process began. */
uint64_t sl_crashpoint_passed(enum sl_crashpoint point, enum sl_crash_side side);
/* Calls `hit` instead of dying; with NULL dies again. Not while other threads pass points. */
void sl_crashpoint_on_hit(void (*hit)(void *ctx), void *ctx);
/* "S1" and what it is. */
const char *sl_crashpoint_name(enum sl_crashpoint point);
const char *sl_crashpoint_text(enum sl_crashpoint point);

#else

#define SL_CRASHPOINT(name, side) ((void)0)

#endif

#endif
