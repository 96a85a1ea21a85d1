/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Planted: a write one byte behind an allocation. AddressSanitizer must report it. */

#include <stdlib.h>

int main(void)
{
    volatile size_t len = 16;
    char *bytes = malloc(len);
    if (bytes == NULL)
        return 1;
    ((volatile char *)bytes)[len] = 1;
    free(bytes);
    return 0;
}
