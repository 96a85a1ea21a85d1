/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/text.h"

#include <criterion/criterion.h>
#include <string.h>

static void expect_escape(const char *bytes, size_t len, size_t size, const char *text)
{
    char out[64];
    memset(out, '#', sizeof(out));
    indexer_escape(out, size, bytes, len);
    cr_expect_str_eq(out, text, "'%s', not '%s'", out, text);
    cr_expect_eq(out[size], '#');
}

/* Printable UTF-8 stays as it is; everything else can be seen and told apart. */
Test(text, escapes)
{
    expect_escape("plain", 5, 32, "plain");
    expect_escape("", 0, 8, "");
    expect_escape("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", 14, 32,
                  "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    expect_escape("a\nb\\c\x7f\0", 7, 32, "a\\x0ab\\\\c\\x7f\\x00");
    expect_escape("\xff\xc3(", 3, 32, "\\xff\\xc3(");
    expect_escape("\xc0\xaf", 2, 32, "\\xc0\\xaf");                   /* overlong */
    expect_escape("\xe0\x80\x80", 3, 32, "\\xe0\\x80\\x80");          /* overlong */
    expect_escape("\xed\xa0\x80", 3, 32, "\\xed\\xa0\\x80");          /* surrogate */
    expect_escape("\xf0\x80\x80\x80", 4, 32, "\\xf0\\x80\\x80\\x80"); /* overlong */
    expect_escape("\xf4\x90\x80\x80", 4, 32, "\\xf4\\x90\\x80\\x80"); /* beyond Unicode */
    expect_escape("\xc2\x85 \xe2\x80\xa8", 6, 32, "\\xc2\\x85 \\xe2\\x80\\xa8"); /* line ends */
    expect_escape("\xe2\x82", 2, 32, "\\xe2\\x82");                              /* cut off */
}

/* What does not fit ends in dots, never inside a character, and never beyond the buffer. */
Test(text, escapes_within_the_buffer)
{
    expect_escape("0123456", 7, 8, "0123456");
    expect_escape("01234567", 8, 8, "0123...");
    expect_escape("012\xe2\x82\xac_.", 8, 8, "012...");
    expect_escape("\n\n\n", 3, 8, "\\x0a...");
    for (size_t size = 8; size < 40; size++) {
        char out[64];
        char in[32];
        memset(in, 0xe9, sizeof(in));
        indexer_escape(out, size, in, sizeof(in));
        cr_expect_lt(strlen(out), size);
    }
}

Test(text, names)
{
    cr_expect(indexer_is_name("alpha"));
    cr_expect(indexer_is_name("caf\xc3\xa9"));
    cr_expect_not(indexer_is_name(""));
    cr_expect_not(indexer_is_name("a\tb"));
    cr_expect_not(indexer_is_name("\xff"));
}
