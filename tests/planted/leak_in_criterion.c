/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Planted: a leak inside a Criterion test. Criterion calls such a test passed, and its program ends
 * with status 0, unless the sanitizer aborts; so this shows that the options under which tests run
 * make it a failure. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void *volatile kept;

/* Must make the program fail. */
Test(planted, leak)
{
    kept = malloc(64);
    cr_assert_not_null(kept);
    memset(kept, 1, 64);
    kept = NULL; /* the last pointer to it */
}
