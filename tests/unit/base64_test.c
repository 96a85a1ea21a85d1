/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/base64.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define SEED 20260118u

static void check(const char *plain, const char *coded)
{
    char text[64];
    uint8_t back[64];
    size_t len = strlen(plain);
    size_t back_len = 99;
    cr_assert_eq(sl_base64_len(len), strlen(coded));
    sl_base64_encode(plain, len, text);
    cr_expect_eq(memcmp(text, coded, strlen(coded)), 0, "%s", plain);
    cr_expect(sl_base64_decode(coded, strlen(coded), back, &back_len), "%s", coded);
    cr_expect_eq(back_len, len);
    cr_expect_eq(memcmp(back, plain, len), 0);
}

/* The examples of RFC 4648, section 10. */
Test(base64, is_that_of_the_standard)
{
    check("", "");
    check("f", "Zg==");
    check("fo", "Zm8=");
    check("foo", "Zm9v");
    check("foob", "Zm9vYg==");
    check("fooba", "Zm9vYmE=");
    check("foobar", "Zm9vYmFy");
}

/* Bytes of every value and number come back. */
Test(base64, there_and_back)
{
    unsigned state = SEED;
    for (size_t len = 0; len < 300; len++) {
        uint8_t data[300];
        char text[400];
        uint8_t back[300];
        size_t back_len = 0;
        for (size_t i = 0; i < len; i++) {
            data[i] = (uint8_t)rand_r(&state);
        }
        sl_base64_encode(data, len, text);
        cr_assert(sl_base64_decode(text, sl_base64_len(len), back, &back_len), "seed %u", SEED);
        cr_assert_eq(back_len, len);
        cr_assert_eq(memcmp(back, data, len), 0, "seed %u", SEED);
    }
}

/* Other lengths, characters and paddings are refused, and so are spare bits that are not 0. */
Test(base64, refuses_others)
{
    static const char *const texts[] = {"Z",    "Zg",   "Zg=",  "Zm9v\n", "Zm9 ", "Zg=a",    "=g==",
                                        "====", "Z===", "Zm-_", "Zh==",   "Zm9=", "Zg==Zm9v"};
    uint8_t out[16];
    size_t len = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_expect_not(sl_base64_decode(texts[i], strlen(texts[i]), out, &len), "%s", texts[i]);
    }
}
