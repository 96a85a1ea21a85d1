/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* gone: a birth whose row is not there. What has become of its record?
 *
 * Whoever deletes a record by a capture, or by applying what another device has deleted, drops its
 * birth in the same transaction. So the row went by a delete that nobody captured:
 *
 *     the UUID is in the table      MOVED: somebody wrote the row anew; the birth goes along, and
 *     with another id               it is an update. If that row has a birth of its own it is
 *                                   another record, and this one is judged as below
 *     shared                        DELETE: to be captured
 *     device-owned, of this device  WITH_PARENT, if one of the parents that its last content names
 *                                   is not there, and this device has once sent it: the delete of
 *                                   that one takes it along on all devices, be it captured or about
 *                                   to be. Else DELETE: what never came into a log is deleted
 *                                   without a word, and what points at it would wait for ever
 *     device-owned, of another      FOREIGN: only its owner deletes it, so nothing is sent. If a
 *                                   parent of its first content is not there it went with that,
 *                                   and is nobody's business
 *
 * UUID and parents are read from the log. The last content of a device-owned record of this device
 * is its birth's, or that of an update in the own log: those of all records in question are found
 * by reading that once, from its beginning (traces). Of what was pruned only segments that brought
 * records are there (storage/log_floor.h): then the last content known is the last that is left.
 * Where the log does not hold the birth any more, nothing is known, and nothing done. Two
 * device-owned records that went with each other, in a circle, are both taken for WITH_PARENT. What
 * this device has sent is known by a filter over the UUIDs of its inserts: of one that it has not
 * sent that is wrong once in 2,000 times.
 *
 * The applier's; everything inside the caller's transaction on core->writer. */

#ifndef SL_GONE_H
#define SL_GONE_H

#include "stages/birth_check.h"

enum sl_gone_verdict {
    SL_GONE_NOT, /* the row is there, or the birth is not any more */
    SL_GONE_MOVED,
    SL_GONE_DELETE,
    SL_GONE_WITH_PARENT,
    SL_GONE_FOREIGN,
    SL_GONE_UNKNOWN, /* the log does not say what it was */
};

/* Births of one run, whose ids no row has. */
struct sl_gone_run {
    const struct sl_model *model;
    struct sl_birth_run births;
};

/* What is known of one record. */
struct sl_gone_record {
    struct sl_birth birth;
    struct syncline_uuid uuid;
    int64_t id; /* MOVED: its row's */
    bool again; /* its UUID was inserted again since: another record */
};

struct sl_gone_span;  /* births of this device that are asked about */
struct sl_gone_trace; /* an own update of one of them */

struct sl_gone {
    struct sl_core *core;
    struct sl_birth_check births;  /* for births, most of them one after the other */
    struct sl_birth_check updates; /* for updates */
    struct sl_gone_span *spans;    /* ours; in order */
    size_t span_len;
    struct sl_gone_trace *traces; /* ours; in order once all is read */
    size_t trace_len;
    size_t trace_capacity;
    bool overflow; /* there are more: who has none is not known to have none */
    uint8_t
        *sent; /* ours; a Bloom filter over the UUIDs that own inserts bring; NULL: all are in */
    size_t sent_size; /* bytes, a power of two */
    bool read_all;
    size_t left;  /* of core->origins to be read, the first of them last */
    uint64_t seq; /* how far the one under way is read */
};

void sl_gone_init(struct sl_gone *gone, struct sl_core *core);
void sl_gone_fini(struct sl_gone *gone);
/* Takes the runs that are to be judged; what was asked before is forgotten. Errors: ENOMEM. */
enum syncline_status sl_gone_begin(struct sl_gone *gone, const struct sl_gone_run *runs, size_t len,
                                   struct sl_error *err);
void sl_gone_forget(struct sl_gone *gone);
/* Reads the next segment of the own log, until gone->read_all. Errors: of the log, ENOMEM. */
enum syncline_status sl_gone_trace(struct sl_gone *gone, struct sl_error *err);
/* The k-th of a run; when all is read. Errors: of the log and library.db. */
enum syncline_status sl_gone_judge(struct sl_gone *gone, const struct sl_gone_run *run, uint32_t k,
                                   enum sl_gone_verdict *verdict, struct sl_gone_record *record,
                                   struct sl_error *err);

#endif
