/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Planted: two threads write one plain variable. ThreadSanitizer must report it. */

#include <pthread.h>
#include <stddef.h>

static long shared_count;

static void *count(void *unused)
{
    (void)unused;
    for (int i = 0; i < 1000; i++)
        shared_count++;
    return NULL;
}

int main(void)
{
    pthread_t other;
    if (pthread_create(&other, NULL, count, NULL) != 0)
        return 1;
    count(NULL);
    return pthread_join(other, NULL) != 0;
}
