/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "cli/quantity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/output.h"

#define LAG_MAX 1000000000u /* changes */
#define UNITS "ms, s, min, h and d"

int cli_parse_number(const char *option, const char *text, uint64_t min, uint64_t max,
                     uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < min ||
        value > max) {
        return cli_usage("%s %s is not a whole number from %llu to %llu; give one", option, text,
                         (unsigned long long)min, (unsigned long long)max);
    }
    *out = value;
    return CLI_EXIT_OK;
}

/* The number that a text begins with, and what comes after it and after blanks. -1: none. */
static double read_number(const char *text, const char **rest)
{
    size_t len = strspn(text, "0123456789.");
    char *end = NULL;
    double value = strtod(text, &end);
    *rest = text + len + strspn(text + len, " \t");
    return len > 0 && end == text + len ? value : -1.0;
}

/* ms in a unit; 0: there is none of that name. */
static double unit_ms(const char *name)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ms", 1.0}, {"s", 1e3}, {"min", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcasecmp(name, units[i].name) == 0) {
            return units[i].ms;
        }
    }
    return 0.0;
}

/* A number with a unit, from 0 to CLI_TIME_MS_MAX. */
static int take_time(const char *option, const char *text, double number, const char *unit,
                     int64_t *out_ms)
{
    double ms = number * unit_ms(unit);
    if (unit_ms(unit) == 0.0) {
        return cli_usage("%s %s: \"%s\" is no unit; there are " UNITS, option, text, unit);
    }
    if (!(ms <= (double)CLI_TIME_MS_MAX)) {
        return cli_usage("%s %s is longer than %lld d; give a shorter time", option, text,
                         CLI_TIME_MS_MAX / 86400000LL);
    }
    *out_ms = (int64_t)ms;
    return CLI_EXIT_OK;
}

int cli_parse_time(const char *option, const char *text, int64_t *out_ms)
{
    const char *unit = NULL;
    double number = read_number(text, &unit);
    if (number < 0.0) {
        return cli_usage("%s %s is not a time, such as 30s, 5min or 1.5h; give one, with one of "
                         "the units " UNITS " (a number alone is seconds)",
                         option, text);
    }
    return take_time(option, text, number, unit[0] != '\0' ? unit : "s", out_ms);
}

int cli_parse_lag(const char *option, const char *text, struct cli_lag *lag)
{
    const char *unit = NULL;
    double number = read_number(text, &unit);
    *lag = (struct cli_lag){.changes = -1, .ms = -1};
    if (number >= 0.0 && unit[0] != '\0') {
        return take_time(option, text, number, unit, &lag->ms);
    }
    if (number < 0.0 || strchr(text, '.') != NULL || number > LAG_MAX) {
        return cli_usage("%s %s is neither a number of changes up to %u, such as 1000, nor a time, "
                         "such as 30s, 5min, 2h or 1d; give one",
                         option, text, LAG_MAX);
    }
    lag->changes = (int64_t)number;
    return CLI_EXIT_OK;
}
