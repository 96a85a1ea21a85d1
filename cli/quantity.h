/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Values of options: numbers and times, read as the settings read theirs: a time is a number and
 * one of the units ms, s, min, h and d.
 *
 * Thread: the main one. Every call returns CLI_EXIT_OK, or CLI_EXIT_USAGE with one line on stderr
 * that names the option, the value, and what it takes. */

#ifndef SL_CLI_QUANTITY_H
#define SL_CLI_QUANTITY_H

#include <stdint.h>

#include "cli/options.h"

/* A whole number from min to max. */
int cli_parse_number(const char *option, const char *text, uint64_t min, uint64_t max,
                     uint64_t *out);

/* A time, "1.5h"; a number alone is seconds. At most CLI_TIME_MS_MAX. */
#define CLI_TIME_MS_MAX 1000000000000 /* 31 years */
int cli_parse_time(const char *option, const char *text, int64_t *out_ms);

/* A number alone is changes, one with a unit is a time. */
int cli_parse_lag(const char *option, const char *text, struct cli_lag *lag);

#endif
