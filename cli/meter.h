/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* How far a long command is: a line of progress with the share that is done, the rate, and the time
 * that is left at that rate. Only on a terminal, as all progress (cli/output.h).
 *
 * Thread: the main one. */

#ifndef SL_CLI_METER_H
#define SL_CLI_METER_H

#include <stdint.h>

struct cli_meter {
    const char *what;  /* "indexing" */
    const char *unit;  /* "entries" */
    uint64_t total;    /* 0: not known */
    uint64_t start_ns; /* CLOCK_MONOTONIC */
    uint64_t first;    /* done when it was shown first */
};

void cli_meter_start(struct cli_meter *meter, const char *what, const char *unit, uint64_t total);
/* `done` of them so far; a total that turns out to be too small grows with it. */
void cli_meter_show(struct cli_meter *meter, uint64_t done);

/* The text of the line, for tests and other lines. `out` is always NUL-terminated; returns it. */
#define CLI_METER_SIZE 160u
char *cli_meter_text(const struct cli_meter *meter, uint64_t done, uint64_t now_ns,
                     char out[CLI_METER_SIZE]);

#endif
