/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* SQLite's memory: a schedule opens hundreds of connections, and each parses its schema in
 * thousands of small pieces. So these come from lists of pieces of the same size, without a lock,
 * for there is one thread. Under AddressSanitizer SQLite keeps the system's allocator, which finds
 * errors. */

#ifndef SL_SIM_MEMORY_H
#define SL_SIM_MEMORY_H

#include <stdint.h>

/* Before anything else is asked of SQLite. Ends the program if SQLite does not take it. */
void sl_sim_memory_init(void);
/* Bytes that SQLite has at the moment. */
int64_t sl_sim_memory_used(void);

#endif
