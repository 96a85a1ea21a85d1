/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Opening after a kill: the process that is killed; measure.h has what is measured. */

#ifndef BENCH_REOPEN_H
#define BENCH_REOPEN_H

#define BENCH_REOPEN_OPTION "--reopen" /* DIR plain|synced ROWS; not for people */

/* The main function of the process that is killed; returns only when it fails. */
int bench_reopen_main(const char *dir, const char *how, const char *rows_text);

#endif
