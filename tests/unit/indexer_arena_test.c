/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/arena.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Copies stay where they are and what they are, at any size; NULL and empty are told apart. */
Test(indexer_arena, copies)
{
    struct indexer_arena arena = {0};
    struct syncline_bytes copies[200];
    char *source = calloc(1, 300000);
    cr_assert_not_null(source);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 200; i++) {
            size_t len = i * i * (i % 7 == 0 ? 7 : 1);
            memset(source, (int)i, len);
            struct syncline_bytes bytes = {.data = source, .len = len};
            cr_assert(indexer_arena_copy(&arena, bytes, &copies[i]));
        }
        for (size_t i = 0; i < 200; i++) {
            const unsigned char *data = copies[i].data;
            cr_assert_not_null(data);
            cr_assert_eq(copies[i].len, i * i * (i % 7 == 0 ? 7 : 1));
            for (size_t k = 0; k < copies[i].len; k++)
                cr_assert_eq(data[k], i);
        }
        indexer_arena_clear(&arena);
    }
    struct syncline_bytes null = {.data = source, .len = 1};
    cr_assert(indexer_arena_copy(&arena, (struct syncline_bytes){0}, &null));
    cr_expect_null(null.data);
    cr_expect_eq(null.len, 0);
    indexer_arena_fini(&arena);
    indexer_arena_clear(&arena);
    free(source);
}
