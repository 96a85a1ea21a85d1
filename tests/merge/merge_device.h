/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Three devices with one model, for histories of one record - or of many at once, each of its own
 * record, which share what the devices do between their writes: who sends, takes and settles when.
 *
 * Each device is the real code over a library.db in memory, on one connection and one thread:
 * capture in the application's transaction, intake, fk_resolve, serialize, settle, apply. What is
 * replaced is what a merge does not depend on: log_append's seals and signatures (it gives clock
 * values and seqs as that does), and the network. All three share one sync.db, which holds every
 * segment; how much of it a device holds is the end of that origin's log there.
 *
 * A history is one record with a UUID of its own; what a device has of earlier ones is removed
 * between two of them. A contradiction in the harness itself ends the program. */

#ifndef SL_MERGE_DEVICE_H
#define SL_MERGE_DEVICE_H

#include "stages/apply.h"
#include "stages/capture.h"
#include "stages/fk_resolve.h"
#include "stages/intake.h"
#include "stages/serialize.h"
#include "tests/merge/merge_fold.h"

#define MERGE_RECORDS_MAX 1000u /* histories at once */
#define MERGE_SEGMENTS_MAX 512u /* of one origin in them */

struct merge_world;

/* What the harness asks a device's library.db. */
enum merge_query {
    MERGE_FIND,
    MERGE_ALL,
    MERGE_WRITE,
    MERGE_RESTS = MERGE_WRITE + 4,
    MERGE_BEGIN,
    MERGE_COMMIT,
    MERGE_ROLLBACK,
    MERGE_CLEAR,
    MERGE_QUERIES = MERGE_CLEAR + 6
};

struct merge_device {
    struct merge_world *world;
    uint32_t number;
    sqlite3 *db;
    struct sl_env env;
    uint64_t wall_ms;
    uint64_t mono_ns;
    struct sl_core *core;
    struct sl_capture capture;
    struct sl_intake intake;
    struct sl_fk_resolve resolve;
    struct sl_serialize serialize;
    struct sl_apply apply;
    struct sl_origin_state *origins[MERGE_DEVICES]; /* by device */
    uint64_t seq_before[MERGE_DEVICES];             /* applied before this history */
    bool pending;                                   /* captured, not in the log */
    uint32_t taken[MERGE_DEVICES];                  /* segments of each origin, of this history */
    sqlite3_stmt *queries[2][MERGE_QUERIES];        /* by model */
};

/* One history: what is in the logs of its record. */
struct merge_record {
    struct syncline_uuid uuid;
    struct merge_change changes[MERGE_CHANGES_MAX]; /* in the order of the log */
    size_t changes_len;
    uint32_t writes; /* of all devices, sent or not */
    int64_t next_value;
};

/* The end of a segment. */
struct merge_end {
    uint64_t seq;
    uint64_t hlc;
};

struct merge_world {
    char folder[64];
    struct sl_peer_log log;
    struct sl_log_head heads[MERGE_DEVICES];
    struct sl_hasher *hasher;
    uint64_t random;
    bool owned; /* the model of this history is device-owned */
    uint64_t histories;
    struct merge_device devices[MERGE_DEVICES];
    struct merge_record records[MERGE_RECORDS_MAX];
    uint32_t records_len;
    struct merge_end ends[MERGE_DEVICES][MERGE_SEGMENTS_MAX]; /* of this history, by origin */
    uint32_t ends_len[MERGE_DEVICES];
    size_t changes_len;  /* in the logs, of all records */
    uint64_t slices;     /* of apply, in all histories */
    const char *failure; /* of this history: what contradicts the rule; NULL: nothing */
    uint32_t failed;     /* of that record */
};

struct merge_world *merge_world_new(void);
void merge_world_free(struct merge_world *world);
/* Begins so many histories. Device i's clock is `ahead_ms[i]` ahead of the clock values so far. */
void merge_world_begin(struct merge_world *world, const uint32_t ahead_ms[MERGE_DEVICES],
                       bool owned, uint32_t records);

/* Does the application of that device see the first record? */
bool merge_device_sees(struct merge_device *device, int64_t *value);
/* The same of all records; value 0: it does not. Values begin at 1. */
void merge_device_see_all(struct merge_device *device, int64_t values[MERGE_RECORDS_MAX]);
/* The application's transaction: writes the first record and captures it. `value` is new each time.
 * An insert where the record is, a change where it is not: nothing. false: refused, or nothing. */
bool merge_device_write(struct merge_device *device, enum merge_kind kind);
/* One transaction for many records, a call for each kind; kinds[i] 0: nothing is done to that one.
 * What its owner alone may change is left out, if that is another device. */
void merge_device_write_many(struct merge_device *device, const uint8_t kinds[MERGE_RECORDS_MAX]);
/* What is captured gets its births and its seq, and waits for the log. */
void merge_device_resolve(struct merge_device *device);
/* Everything captured goes into the log. */
void merge_device_log(struct merge_device *device);
/* What the log made certain is written back. */
void merge_device_settle(struct merge_device *device);
/* Segments of that origin that are in its log and have not come here; one change each, unless it
 * wrote many at once. */
uint32_t merge_device_behind(const struct merge_device *device, uint32_t origin);
/* One slice of apply. Nothing here survives a power cut, so nothing is synced. */
void merge_device_apply(struct merge_device *device);
/* The next segment of that origin comes, and is applied. */
void merge_device_take(struct merge_device *device, uint32_t origin);
/* What the device has applied of this history. */
void merge_device_vector(const struct merge_device *device, uint32_t vector[MERGE_DEVICES]);
/* Does nothing wait for something that has not come? */
bool merge_device_is_at_rest(struct merge_device *device);
/* Is what the application sees what the fold says, of every record? Else world->failed is one that
 * differs. Only of a device with nothing pending. */
bool merge_device_check(struct merge_device *device);

#endif
