/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Bytes that a test shows as text: two hexadecimal digits each, with spaces where they help. */

#ifndef SL_TEST_HEX_H
#define SL_TEST_HEX_H

#include <criterion/criterion.h>
#include <stdio.h>

/* Returns how many there are; `out` has room for them. */
static size_t unhex(const char *hex, uint8_t *out)
{
    size_t len = 0;
    for (; *hex != '\0'; hex++) {
        unsigned value = 0;
        if (*hex == ' ') {
            continue;
        }
        cr_assert_eq(sscanf(hex, "%2x", &value), 1);
        out[len++] = (uint8_t)value;
        hex++;
    }
    return len;
}

#endif
