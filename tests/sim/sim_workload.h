/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The applications: on every device one that runs the engine and a second one, as if in another
 * process, that only captures. They write to library.db by plain SQL, say so to Syncline, and keep
 * the ledger. They also do what follows when a device crashes: its handles are closed, and once it
 * is up again it is asked which transactions it still has. */

#ifndef SL_SIM_WORKLOAD_H
#define SL_SIM_WORKLOAD_H

#include "tests/sim/sim_coverage.h"
#include "tests/sim/sim_session.h"

#define SL_SIM_LOCAL_NOTE                                                                          \
    1000 /* + device: what an insert puts into the column that does not sync */
#define SL_SIM_LOCAL_DEFAULT 7 /* what the table puts there */

/* Cases the generator can make: X(name, on by default). `sl-sim --without CASE` leaves one out of
 * every schedule, to find out what a failure needs; `--with CASE` adds one. Which of the cases that
 * may occur do occur is drawn per seed.
 *
 *     reinserts         a deleted UUID is inserted again
 *     shuffled_batches  a call names its rows in another order than they were inserted
 *     self_loops        a record points at itself
 *     cycles            records of a table point at each other in a circle
 *     second_process    captures through a handle without the engine
 *     reopens           handles are closed and opened in the middle
 *     rollbacks         transactions and savepoints are rolled back
 *     deletes
 *     attached          connections are attached to the handle they capture with
 *     older_rows        devices begin with rows that are older than the library
 *     bare_captures     in schedules whose faults can come between the commit of a row and its
 *                       capture, captures in autocommit of inserts and deletes, which the scan
 *                       finds when that happened. Updates it cannot find; nor that a record was
 *                       deleted, if its UUID is inserted again before it looks: to everybody that
 *                       is an update, so schedules have bare deletes or reinserts
 *     orphans           a record is deleted while another device points something at it, and while
 *                       rows older than the library are still to be taken in; trees are deleted
 *                       by their root. Off: what failed is mended, and the ranges that must stay
 *                       all zero were not run whole since. Without it a record that was deleted
 *                       anywhere gets no new references, and one is deleted only when all that ever
 *                       pointed at it is gone for good (sl_sim_record_deletable)
 *     twins             one UUID is inserted by devices that do not know of each other's record.
 *                       Without it a UUID is inserted again only by who once had its last record
 *                       (sl_sim_record_buried)
 *     orphaned_twins    orphans and twins in one schedule. Off: never run 10,000 times. Without it
 *                       a schedule that drew both has one of them
 *     applied_acks      what was acknowledged as applied is there after a power cut
 *     failures_end      each kind of failure that the event log tells of is told to be over, and no
 *                       stage counts as failing when nothing fails any more
 *     relayed_acks      devices that have no link learn what of theirs the other has
 *     far_clocks        clocks may be ahead by more than the drift bound. Off: nothing holds what
 *                       they stamp */
#define SL_SIM_SWITCHES_MAP(X)                                                                     \
    X(reinserts, true)                                                                             \
    X(shuffled_batches, true)                                                                      \
    X(self_loops, true)                                                                            \
    X(cycles, true)                                                                                \
    X(second_process, true)                                                                        \
    X(reopens, true)                                                                               \
    X(rollbacks, true)                                                                             \
    X(deletes, true)                                                                               \
    X(attached, true)                                                                              \
    X(older_rows, true)                                                                            \
    X(bare_captures, true)                                                                         \
    X(orphans, false)                                                                              \
    X(twins, true)                                                                                 \
    X(orphaned_twins, false)                                                                       \
    X(applied_acks, true)                                                                          \
    X(failures_end, true)                                                                          \
    X(relayed_acks, true)                                                                          \
    X(far_clocks, false)

struct sl_sim_switches {
#define X(name, default_) bool name;
    SL_SIM_SWITCHES_MAP(X)
#undef X
};

/* How often each kind of thing was done: a generator that no longer makes one is noticed. */
#define SL_SIM_COUNTS_MAP(X)                                                                       \
    X(inserts)                                                                                     \
    X(reinserts)                                                                                   \
    X(updates)                                                                                     \
    X(deletes)                                                                                     \
    X(autocommit_with_db)                                                                          \
    X(autocommit_without_db)                                                                       \
    X(transactions)                                                                                \
    X(rollbacks)                                                                                   \
    X(rollbacks_to)                                                                                \
    X(ids_used_again)                                                                              \
    X(captured_without_engine)                                                                     \
    X(captured_attached)                                                                           \
    X(engine_reopens)                                                                              \
    X(concurrent_updates)                                                                          \
    X(updates_of_deleted)                                                                          \
    X(older_rows)                                                                                  \
    X(trees)                                                                                       \
    X(operations)                                                                                  \
    X(crashes)                                                                                     \
    X(events_no_space)                                                                             \
    X(events_no_memory)                                                                            \
    X(events_io_failed)                                                                            \
    X(events_works_again)

struct sl_sim_counts {
#define X(name) uint64_t name;
    SL_SIM_COUNTS_MAP(X)
#undef X
};

/* The rows of a device that are older than the library. */
struct sl_sim_older {
    bool some;          /* and not all of them are settled */
    int64_t scanned_to; /* the newest outbox row when the scan had ended; 0: it has not */
};

struct sl_sim_workload {
    struct sl_sim_world *world;
    struct sl_sim_ledger ledger;
    struct sl_sim_coverage coverage;
    struct sl_sim_switches switches;
    struct sl_sim_session sessions[SL_SIM_DEVICES_MAX][2];
    unsigned actions_left[SL_SIM_DEVICES_MAX];
    struct sl_sim_older older[SL_SIM_DEVICES_MAX];
    unsigned down_for[SL_SIM_DEVICES_MAX];     /* schedule steps until the engine is opened again */
    bool was_cut[SL_SIM_DEVICES_MAX];          /* its transactions are to be looked for */
    uint64_t settled_hits[SL_SIM_DEVICES_MAX]; /* when its transactions were looked for last */
    bool bare_updates;                         /* are captured in autocommit, too */
    uint32_t rows_max;                         /* largest batch */
    int64_t id_high[SL_SIM_DEVICES_MAX][SL_SIM_MODELS_MAX]; /* highest id ever used */
    struct sl_sim_counts counts;
};

/* The devices are made and no handle is open: some get rows before the first is. Cases that
 * `allowed` forbids do not occur. `has_crashes`: calls may fail or be cut short in this run. */
void sl_sim_workload_init(struct sl_sim_workload *work, struct sl_sim_world *world,
                          const struct sl_sim_switches *allowed, bool has_crashes);
void sl_sim_workload_fini(struct sl_sim_workload *work);

/* How many rows an operation is about. */
uint32_t sl_sim_workload_rows(struct sl_sim_workload *work);

/* One action of one of the device's applications; only while actions_left says so. */
void sl_sim_workload_act(struct sl_sim_workload *work, unsigned device);
/* Ends every open transaction, one way or the other, and opens every engine: only when no fault
 * can happen any more. */
void sl_sim_workload_finish(struct sl_sim_workload *work);
/* After each step of a device: buries it if it died, closes its engine if that was hit and stopped,
 * and opens the engine of one that is down, if its time has come. */
void sl_sim_workload_tick(struct sl_sim_workload *work, unsigned device);

#endif
