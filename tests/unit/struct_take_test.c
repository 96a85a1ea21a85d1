/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/struct_take.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

/* One struct in three releases. */
struct first {
    size_t size;
    uint64_t a;
};
struct this
{
    size_t size;
    uint64_t a;
    uint32_t b;
    uint32_t c;
};
struct next {
    size_t size;
    uint64_t a;
    uint32_t b;
    uint32_t c;
    uint64_t d;
    uint64_t e;
};

static struct sl_error err;
static struct this taken;

static enum syncline_status take(const void *given, size_t size)
{
    memset(&taken, 0xaa, sizeof(taken));
    return sl_struct_take(&taken, sizeof(taken), given, size, SL_SIZE_UP_TO(struct this, a),
                          "_INIT", &err);
}

/* A caller of the first release sets nothing that came later, whatever lies behind its struct; one
 * that was compiled half way between sets what it knows. */
Test(struct_take, of_an_older_caller)
{
    struct this given = {.size = sizeof(struct first), .a = 1, .b = 2, .c = 3};
    cr_assert_eq(take(&given, sizeof(struct first)), SYNCLINE_OK);
    cr_expect(taken.size == sizeof(struct first) && taken.a == 1 && taken.b == 0 && taken.c == 0);
    cr_assert_eq(take(&given, SL_SIZE_UP_TO(struct this, b)), SYNCLINE_OK);
    cr_expect(taken.a == 1 && taken.b == 2 && taken.c == 0);
    cr_assert_eq(take(&given, sizeof(given)), SYNCLINE_OK);
    cr_expect(taken.a == 1 && taken.b == 2 && taken.c == 3);
}

/* One of a later release is taken as long as it asks for nothing new: every byte counts. */
Test(struct_take, of_a_newer_caller)
{
    struct next given = {.size = sizeof(given), .a = 1, .b = 2, .c = 3};
    cr_assert_eq(take(&given, sizeof(given)), SYNCLINE_OK);
    cr_expect(taken.a == 1 && taken.b == 2 && taken.c == 3);
    for (size_t at = sizeof(struct this); at < sizeof(given); at++) {
        ((uint8_t *)&given)[at] = 1;
        cr_expect_eq(take(&given, sizeof(given)), SYNCLINE_EINVAL, "byte %zu", at);
        cr_expect_not_null(strstr(err.text, "made by _INIT of a newer syncline.h"), "%s", err.text);
        cr_expect_eq(*(uint8_t *)&taken, 0xaa, "nothing is written then");
        ((uint8_t *)&given)[at] = 0;
    }
}

/* Sizes that no release has. */
Test(struct_take, impossible_sizes)
{
    static struct {
        struct next given;
        uint8_t more[SL_STRUCT_SIZE_MAX];
    } large;
    cr_assert_eq(take(&large, SL_STRUCT_SIZE_MAX), SYNCLINE_OK);
    cr_expect_eq(take(&large, SL_STRUCT_SIZE_MAX + 1), SYNCLINE_EINVAL);
    cr_expect_str_eq(err.text, "its size is 65537: start from _INIT");
    cr_expect_eq(take(&large, 0), SYNCLINE_EINVAL);
    cr_expect_eq(take(&large, sizeof(struct first) - 1), SYNCLINE_EINVAL);
    cr_expect_str_eq(err.text, "its size is 15: start from _INIT");
    cr_expect_eq(take(&large, SIZE_MAX), SYNCLINE_EINVAL);
}
