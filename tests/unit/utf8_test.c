/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/utf8.h"

#include <criterion/criterion.h>
#include <string.h>

struct sample {
    const char *bytes;
    size_t len;
};
#define SAMPLE(text)                                                                               \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

/* Text of every length of character, at the ends of the ranges, is UTF-8. */
Test(utf8, takes_characters)
{
    static const struct sample samples[] = {
        SAMPLE(""),
        SAMPLE("plain"),
        SAMPLE("a\0b"),
        SAMPLE("\x7f"),
        SAMPLE("\xc2\x80"),
        SAMPLE("\xdf\xbf"),
        SAMPLE("\xe0\xa0\x80"),
        SAMPLE("\xed\x9f\xbf"),
        SAMPLE("\xee\x80\x80"),
        SAMPLE("\xef\xbf\xbf"),
        SAMPLE("\xf0\x90\x80\x80"),
        SAMPLE("\xf4\x8f\xbf\xbf"),
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        cr_expect(sl_utf8_is_valid(samples[i].bytes, samples[i].len), "sample %zu", i);
    }
}

/* Overlong forms, surrogates, what is above U+10FFFF, cut and stray bytes are not. */
Test(utf8, refuses_others)
{
    static const struct sample samples[] = {
        SAMPLE("\x80"),
        SAMPLE("\xbf"),
        SAMPLE("\xc0\x80"),
        SAMPLE("\xc1\xbf"),
        SAMPLE("\xc2"),
        SAMPLE("\xc2\x7f"),
        SAMPLE("\xc2\xc2\x80"),
        SAMPLE("\xe0\x9f\xbf"),
        SAMPLE("\xe1\x80"),
        SAMPLE("\xe1\x80\x7f"),
        SAMPLE("\xed\xa0\x80"),
        SAMPLE("\xf0\x8f\xbf\xbf"),
        SAMPLE("\xf0\x90\x80"),
        SAMPLE("\xf4\x90\x80\x80"),
        SAMPLE("\xf5\x80\x80\x80"),
        SAMPLE("\xff"),
        SAMPLE("good\xfegood"),
    };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        cr_expect_not(sl_utf8_is_valid(samples[i].bytes, samples[i].len), "sample %zu", i);
    }
}

/* A character that is cut off by the length is none, whatever stands behind. */
Test(utf8, keeps_to_the_length)
{
    cr_expect_not(sl_utf8_is_valid("\xc3\xa4", 1));
    cr_expect(sl_utf8_is_valid("\xc3\xa4", 2));
}

/* Mending changes the bytes that belong to no character, and no other. */
Test(utf8, mends)
{
    char text[] = "a\xc3\xa4\xff\xe1\x80z\xf0\x90\x80";
    sl_utf8_mend(text, sizeof(text) - 1);
    cr_expect_str_eq(text, "a\xc3\xa4???z???");
    cr_expect(sl_utf8_is_valid(text, strlen(text)));
}
