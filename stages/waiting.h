/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What applying does with the waiting room (storage/waiting_room). All of it happens in the
 * transaction of the slice, so the applied vector covers what waits.
 *
 * In: an insert whose parent is not here waits, whole, for its parents; so does an update. An
 * update or a delete of a record whose birth has not come waits for that birth. Of one birth one
 * entry waits: the latest content, or the delete, which is final. A change of a record that waits
 * is judged against the entry by its stamp, as it would be against the row.
 *
 * Out: each record that is inserted is noted, and at the end of the slice every entry that points
 * at one is looked at: are all its parents here, it is written, and noted in turn. Parents that
 * wait themselves are looked at with it: when each record of such a set finds its parents here or
 * in the set - a circle - they are written together, with promised ids (stages/promises). The order
 * of release decides nothing: what an update finds in its table it is judged against again.
 *
 * Content that this device has made itself had all its parents here; when one is neither here nor
 * waiting, it was deleted, and this device deletes what points at it (see stages/subtree). It does
 * so when nothing has been applied for SL_AUTHOR_WAIT_MS: who deletes a parent most often deletes
 * the children as well, and says so a moment later.
 *
 * Several births of one UUID: where it has a row, those that it does not show are hidden beside it,
 * whatever they lack (stages/living); where it has none, each waits by itself. So what waits of a
 * UUID is hidden when its row comes, and what is hidden waits when the last birth that could be
 * shown has gone (waiting_hidden.c).
 *
 * Failure modes: the room is full: EREFUSED, and the origin stops there until it is not. A record
 * that its table refuses when it is released is set aside with the reason. An entry whose birth is
 * covered and was not written is of a dead record, and goes. */

#ifndef SL_WAITING_H
#define SL_WAITING_H

#include "base/arena.h"
#include "base/bytes.h"
#include "stages/fk_localize.h"
#include "stages/outcome.h"
#include "storage/waiting_room.h"

struct sl_apply_record;
struct sl_record_writer;
struct sl_received;

/* Something that may let entries out. */
struct sl_waiting_event {
    int64_t entry;                /* look at this one; 0: at those that point at the record */
    const struct sl_model *model; /* that is here now */
    struct syncline_uuid uuid;
    bool left; /* or not: its row left its table, and another birth of it may be shown */
};

/* The applier's. */
struct sl_waiting_work {
    struct sl_waiting_room room;
    struct sl_arena arena; /* of the entry under way */
    struct sl_buf body;
    struct sl_waiting_event *events; /* ours */
    size_t len;
    size_t next; /* to be looked at */
    size_t capacity;
    int64_t tidied;      /* when idle: entries up to this one were looked at; -1: all */
    uint64_t tidied_seq; /* end of the own settled changes when that began */
    bool own_left;       /* content of this device's points at a record that was deleted */
    bool may_author;     /* and may be deleted for that now */
    uint64_t author_ns;  /* not before */
};

/* Where a savepoint was set, for what is not in the database. */
struct sl_waiting_mark {
    struct sl_waiting_count count;
    size_t len;
};

void sl_waiting_init(struct sl_waiting_work *work, struct sl_library_db *ldb,
                     const struct sl_allocator *alloc);
void sl_waiting_fini(struct sl_waiting_work *work);
struct sl_waiting_mark sl_waiting_mark(const struct sl_waiting_work *work);
void sl_waiting_go_back(struct sl_waiting_work *work, struct sl_waiting_mark mark);

/* ---- In ---- */

/* An insert or an update, whose birth is `birth`, lacks a parent. */
enum syncline_status sl_waiting_for_parent(struct sl_record_writer *writer,
                                           const struct sl_apply_record *record,
                                           const struct sl_birth *birth,
                                           const struct sl_missing *missing, struct sl_error *err);
/* An update or a delete of a birth that has not come. */
enum syncline_status sl_waiting_for_birth(struct sl_record_writer *writer,
                                          const struct sl_apply_record *record,
                                          const struct sl_birth *birth, struct sl_error *err);
/* A record is born: does a change of it wait already? Then *settled: nothing is left to do for the
 * insert. */
enum syncline_status sl_waiting_born(struct sl_record_writer *writer,
                                     const struct sl_apply_record *record, bool *settled,
                                     struct sl_error *err);
/* An update or a delete: does its record wait, or a later change of it? Then *settled: it was
 * dealt with, as the outcome says. */
enum syncline_status sl_waiting_judge(struct sl_record_writer *writer,
                                      const struct sl_apply_record *record,
                                      const struct sl_received *received, bool *settled,
                                      enum sl_outcome *outcome, char reason[256],
                                      struct sl_error *err);
/* A device-owned record is inserted: what waits of earlier births of its owner is superseded. */
enum syncline_status sl_waiting_renew(struct sl_record_writer *writer,
                                      const struct sl_apply_record *record, struct sl_error *err);
/* A change of this birth was written: what waits for it is superseded. */
enum syncline_status sl_waiting_supersede(struct sl_record_writer *writer,
                                          const struct sl_birth *birth, struct sl_error *err);
/* A row leaves its table, for it lacks a parent; `waiting` says all but content and since_ms. With
 * an id, what waits there stays the content. */
enum syncline_status sl_waiting_hide(struct sl_record_writer *writer, struct sl_waiting *waiting,
                                     const struct sl_model *model, const struct sl_value *values,
                                     struct sl_error *err);

/* ---- For those that handle entries ---- */

enum syncline_status sl_waiting_note(struct sl_waiting_work *work,
                                     const struct sl_waiting_event *event, struct sl_error *err);
/* The content of an entry, in the arena, as a group of one insert. */
enum syncline_status sl_waiting_content(struct sl_record_writer *writer,
                                        const struct sl_model *model,
                                        const struct sl_waiting *waiting,
                                        struct sl_localized **localized, struct sl_error *err);
enum syncline_status sl_waiting_stamp(const struct sl_record_writer *writer,
                                      const struct sl_waiting *waiting, struct sl_stamp *stamp,
                                      struct sl_error *err);
/* An entry that is no longer in the room is set aside. */
enum syncline_status sl_waiting_set_aside(struct sl_record_writer *writer,
                                          const struct sl_model *model,
                                          const struct sl_waiting *waiting, const char reason[256],
                                          struct sl_error *err);

/* ---- Out ---- */

/* A record is in its table now, or its row is of another birth. */
enum syncline_status sl_waiting_arrived(struct sl_record_writer *writer,
                                        const struct sl_model *model,
                                        const struct syncline_uuid *uuid, struct sl_error *err);
/* The applied entry of an origin is this now: what lacks a birth above `after` and up to there is
 * dead. */
enum syncline_status sl_waiting_covered(struct sl_record_writer *writer, int64_t origin,
                                        uint64_t after, uint64_t seq, struct sl_error *err);
/* Writes all that can be. Last in a transaction. With `closed` an open key in the end is a failure
 * of the record that opened it. */
enum syncline_status sl_waiting_release(struct sl_record_writer *writer, bool closed,
                                        struct sl_error *err);
/* An entry lacks a parent: has its UUID a row, of another birth? Then *hidden: it was put beside
 * it, and is in the room no more. */
enum syncline_status sl_waiting_hide_beside(struct sl_record_writer *writer,
                                            const struct sl_model *model,
                                            const struct sl_waiting *waiting, bool *hidden,
                                            struct sl_error *err);
/* The latest birth of a record is shown, which may have a row only then; if none of them can be,
 * they wait. */
enum syncline_status sl_waiting_show(struct sl_record_writer *writer, const struct sl_model *model,
                                     const struct syncline_uuid *uuid, struct sl_error *err);
/* A record has come: looks at the hidden births that lacked it. */
enum syncline_status sl_waiting_look_at_lacking(struct sl_record_writer *writer,
                                                const struct sl_waiting_event *event,
                                                struct sl_error *err);
/* Looks at every hidden birth that lacks a parent (stages/living): this device may have made it, or
 * deleted it. When idle. */
enum syncline_status sl_waiting_look_at_hidden(struct sl_record_writer *writer,
                                               struct sl_error *err);
/* Looks at what waits of a record, whose row has come or is of another birth now. */
enum syncline_status sl_waiting_look_at_births(struct sl_record_writer *writer,
                                               const struct sl_model *model,
                                               const struct syncline_uuid *uuid, bool closed,
                                               struct sl_error *err);
/* Looks at one entry, as when something of what it points at had come. */
enum syncline_status sl_waiting_look(struct sl_record_writer *writer, int64_t entry, bool closed,
                                     struct sl_error *err);

#endif
