/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/status.h"

#include <criterion/criterion.h>
#include <string.h>

/* Values are part of the binary interface: these never change. */
Test(status, values_are_pinned)
{
    cr_assert_eq(SYNCLINE_OK, 0);
    cr_assert_eq(SYNCLINE_EINVAL, 3);
    cr_assert_eq(SYNCLINE_EBUSY, 10);
    cr_assert_eq(SYNCLINE_ECORRUPT, 13);
    cr_assert_eq(SYNCLINE_ECLOSED, 21);
    cr_assert_eq(SYNCLINE_EROLLEDBACK, 22);
    cr_assert_eq(SYNCLINE_EPRUNED, 24);
}

/* Every status has its own name and a text. */
Test(status, each_has_a_name_and_a_text)
{
    for (int i = SYNCLINE_OK; i <= SYNCLINE_EROLLEDBACK; i++) {
        enum syncline_status status = (enum syncline_status)i;
        cr_assert_eq(strncmp(syncline_status_name(status), "SYNCLINE_", 9), 0);
        cr_assert_neq(syncline_status_text(status)[0], '\0');
        for (int k = SYNCLINE_OK; k < i; k++)
            cr_assert_str_neq(syncline_status_name(status),
                              syncline_status_name((enum syncline_status)k));
    }
    cr_assert_str_eq(syncline_status_name(SYNCLINE_EBUSY), "SYNCLINE_EBUSY");
    cr_assert_str_eq(syncline_status_text(SYNCLINE_OK), "success");
}

/* A number that is no status still has something to print. */
Test(status, an_unknown_status_can_be_printed)
{
    cr_assert_str_eq(syncline_status_name((enum syncline_status)999), "SYNCLINE_UNKNOWN");
    cr_assert_not_null(syncline_status_text((enum syncline_status)999));
}

/* The version that is linked is the one of the header. */
Test(status, version_is_that_of_the_header)
{
    cr_assert_str_eq(syncline_version(), SYNCLINE_VERSION);
}

/* A failing path is one line: text written, status handed through. */
Test(status, fail_writes_and_returns)
{
    struct sl_error err = {""};
    cr_assert_eq(sl_fail(&err, SYNCLINE_EIO, "cannot read %s: %d", "x", 5), SYNCLINE_EIO);
    cr_assert_str_eq(err.text, "cannot read x: 5");
    cr_assert_eq(sl_fail_prefix(&err, SYNCLINE_EDB, "model %s", "tag"), SYNCLINE_EDB);
    cr_assert_str_eq(err.text, "model tag: cannot read x: 5");
}

/* Who does not want the text gives no place for it. */
Test(status, no_error_to_fill_is_allowed)
{
    cr_assert_eq(sl_fail(NULL, SYNCLINE_EIO, "x"), SYNCLINE_EIO);
    cr_assert_eq(sl_fail_prefix(NULL, SYNCLINE_EIO, "x"), SYNCLINE_EIO);
}

/* A prefix on nothing says at least what the status means. */
Test(status, a_prefix_without_text_takes_the_general_text)
{
    struct sl_error err = {""};
    (void)sl_fail_prefix(&err, SYNCLINE_ENOMEM, "open");
    cr_assert_str_eq(err.text, "open: out of memory; nothing was changed");
}

/* The old text may be an argument of the new one. */
Test(status, the_old_text_may_be_an_argument)
{
    struct sl_error err = {""};
    (void)sl_fail(&err, SYNCLINE_EIO, "inner");
    (void)sl_fail(&err, SYNCLINE_EIO, "outer (%s)", err.text);
    cr_assert_str_eq(err.text, "outer (inner)");
    (void)sl_fail_prefix(&err, SYNCLINE_EIO, "again %s", err.text);
    cr_assert_str_eq(err.text, "again outer (inner): outer (inner)");
}

/* A text too long is cut and ends with NUL, written or prefixed. */
Test(status, a_long_text_is_cut)
{
    char long_text[2 * SL_ERROR_SIZE];
    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    struct sl_error err = {""};
    (void)sl_fail(&err, SYNCLINE_EIO, "%s", long_text);
    cr_assert_eq(strlen(err.text), SL_ERROR_SIZE - 1);
    (void)sl_fail_prefix(&err, SYNCLINE_EIO, "pre");
    cr_assert_eq(strlen(err.text), SL_ERROR_SIZE - 1);
    cr_assert_eq(strncmp(err.text, "pre: aaa", 8), 0);
    (void)sl_fail_prefix(&err, SYNCLINE_EIO, "%s", long_text);
    cr_assert_eq(strlen(err.text), SL_ERROR_SIZE - 1);
}

/* A file name may hold a newline or an escape; the text stays one line of printable bytes. */
Test(status, the_text_is_one_line)
{
    struct sl_error err = {""};
    (void)sl_fail(&err, SYNCLINE_EIO, "no folder %s", "a\nb\x1b[2J\x7f\xc3\xa4");
    cr_assert_str_eq(err.text, "no folder a?b?[2J?\xc3\xa4");
}
