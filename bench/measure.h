/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The measuring functions, one file per thing measured; each with its plain counterpart. All fill
 * their group's raw values in the order of figures.c. */

#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "bench/pair.h"

/* Plain inserts of the group's rows; all values are the time they took, but for the second of
 * capture: processor time. */
enum syncline_status bench_measure_plain(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                         struct indexer_error *err);
enum syncline_status bench_measure_plain_capture(struct bench_run *run,
                                                 double values[BENCH_FIGURES_MAX],
                                                 struct indexer_error *err);
/* capture.c: time of inserting, processor time of it, time until durable. */
enum syncline_status bench_measure_capture(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                           struct indexer_error *err);
/* stages.c: time in the stages up to the log, then in each stage alone. */
enum syncline_status bench_measure_stages(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                          struct indexer_error *err);
/* apply.c: from connecting to all applied. */
enum syncline_status bench_measure_apply(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                         struct indexer_error *err);
/* end_to_end.c: first insert to last row, last commit to last row, bytes sent a record; with rest,
 * also bytes a record left on A's and B's disks. */
enum syncline_status bench_measure_e2e(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                       struct indexer_error *err);
enum syncline_status bench_measure_e2e_and_rest(struct bench_run *run,
                                                double values[BENCH_FIGURES_MAX],
                                                struct indexer_error *err);
/* single_call.c: p50 and p99 of one call, or of one plain insert. */
enum syncline_status bench_measure_call_in_tx(struct bench_run *run,
                                              double values[BENCH_FIGURES_MAX],
                                              struct indexer_error *err);
enum syncline_status bench_measure_plain_in_tx(struct bench_run *run,
                                               double values[BENCH_FIGURES_MAX],
                                               struct indexer_error *err);
enum syncline_status bench_measure_call(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                        struct indexer_error *err);
enum syncline_status bench_measure_plain_single(struct bench_run *run,
                                                double values[BENCH_FIGURES_MAX],
                                                struct indexer_error *err);
/* visible.c: p50 and p99 from one commit to its row on B; plainly, of the transaction. */
enum syncline_status bench_measure_visible(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                           struct indexer_error *err);
enum syncline_status bench_measure_plain_transaction(struct bench_run *run,
                                                     double values[BENCH_FIGURES_MAX],
                                                     struct indexer_error *err);

/* plan_single.c: p50 and p99 of a tag, a location and an entry, to visible on B. */
enum syncline_status bench_measure_plan_single(struct bench_run *run,
                                               double values[BENCH_FIGURES_MAX],
                                               struct indexer_error *err);
enum syncline_status bench_measure_plain_plan_single(struct bench_run *run,
                                                     double values[BENCH_FIGURES_MAX],
                                                     struct indexer_error *err);
/* plan_bulk.c: 100, 1,000 and 10,000 entries, each with one call and with one call a row. */
enum syncline_status bench_measure_plan_bulk(struct bench_run *run,
                                             double values[BENCH_FIGURES_MAX],
                                             struct indexer_error *err);
enum syncline_status bench_measure_plain_plan_bulk(struct bench_run *run,
                                                   double values[BENCH_FIGURES_MAX],
                                                   struct indexer_error *err);
/* memory.c: peak of A's process, and what B's grew by. */
enum syncline_status bench_measure_memory(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                          struct indexer_error *err);
enum syncline_status bench_measure_plain_memory(struct bench_run *run,
                                                double values[BENCH_FIGURES_MAX],
                                                struct indexer_error *err);
/* reopen.c: from before syncline_open to its return; plainly, of a connection alone. */
enum syncline_status bench_measure_reopen(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                          struct indexer_error *err);
enum syncline_status bench_measure_plain_reopen(struct bench_run *run,
                                                double values[BENCH_FIGURES_MAX],
                                                struct indexer_error *err);
/* slow_receiver.c: time of inserting and capturing. */
enum syncline_status bench_measure_slow_receiver(struct bench_run *run,
                                                 double values[BENCH_FIGURES_MAX],
                                                 struct indexer_error *err);
enum syncline_status bench_measure_no_receiver(struct bench_run *run,
                                               double values[BENCH_FIGURES_MAX],
                                               struct indexer_error *err);
/* writer.c: p50, p99 and maximum of an application's transactions on B. */
enum syncline_status bench_measure_writer(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                          struct indexer_error *err);
enum syncline_status bench_measure_plain_writer(struct bench_run *run,
                                                double values[BENCH_FIGURES_MAX],
                                                struct indexer_error *err);

/* Other systems with the same rows. peer_session.c: time of inserting with recording, bytes a
 * record, time of applying, both times. */
enum syncline_status bench_session_begin(struct bench_run *run, struct indexer_error *err);
enum syncline_status bench_measure_session(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                           struct indexer_error *err);
/* peer_row_log.c: time of writing the log. */
enum syncline_status bench_measure_row_log(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                           struct indexer_error *err);
/* peer_postgres.c: first insert to last row, last commit to last row. */
enum syncline_status bench_postgres_begin(struct bench_run *run, struct indexer_error *err);
void bench_postgres_end(struct bench_run *run);
enum syncline_status bench_measure_postgres(struct bench_run *run, double values[BENCH_FIGURES_MAX],
                                            struct indexer_error *err);

#endif
