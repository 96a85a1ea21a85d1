/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Ctrl-C: a run that is told to end removes what it made. */

#ifndef BENCH_STOP_H
#define BENCH_STOP_H

#include <stdbool.h>

/* From now on SIGINT, SIGTERM and SIGHUP are noted, and SIGPIPE is ignored. Main thread, once. */
void bench_stop_watch(void);
bool bench_stop_asked(void);

#endif
