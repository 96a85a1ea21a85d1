/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The trace of a run: a hash over every event in order, FNV-1a with 128 bits. Two runs that differ
 * anywhere have different hashes. With an output file every event is also a line. */

#ifndef SL_SIM_TRACE_H
#define SL_SIM_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct sl_sim_trace_hash {
    uint64_t high;
    uint64_t low;
};

struct sl_sim_trace {
    struct sl_sim_trace_hash hash; /* of all events so far */
    uint64_t events;               /* how many */
    FILE *out;                     /* borrowed; NULL: no lines */
};

void sl_sim_trace_init(struct sl_sim_trace *trace, FILE *out);
/* One event: who (a device, or -1 for the world), what, up to two numbers and some bytes. */
void sl_sim_trace_event(struct sl_sim_trace *trace, uint64_t now_ns, int device, const char *what,
                        uint64_t a, uint64_t b, const void *data, size_t size);

#endif
