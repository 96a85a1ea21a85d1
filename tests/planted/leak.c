/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Planted: memory that nobody frees. LeakSanitizer must report it when the program ends. */

#include <stdlib.h>
#include <string.h>

static void *volatile kept;

int main(void)
{
    kept = malloc(64);
    if (kept == NULL)
        return 1;
    memset(kept, 1, 64);
    kept = NULL; /* the last pointer to it */
    return 0;
}
