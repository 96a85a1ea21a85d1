/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sqlite3.h>
#include <string.h>

/* Each kind of failure has the status that says what to do, and one line of text. */
Test(error, of_sqlite)
{
    static const struct {
        int rc;
        enum syncline_status status;
    } cases[] = {
        {SQLITE_FULL, SYNCLINE_ENOSPC},         {SQLITE_BUSY, SYNCLINE_EBUSY},
        {SQLITE_BUSY_SNAPSHOT, SYNCLINE_EBUSY}, {SQLITE_LOCKED, SYNCLINE_EBUSY},
        {SQLITE_NOMEM, SYNCLINE_ENOMEM},        {SQLITE_IOERR_WRITE, SYNCLINE_EIO},
        {SQLITE_IOERR_NOMEM, SYNCLINE_ENOMEM},  {SQLITE_CANTOPEN, SYNCLINE_EIO},
        {SQLITE_READONLY, SYNCLINE_EDB},        {SQLITE_PERM, SYNCLINE_EDB},
        {SQLITE_NOTADB, SYNCLINE_EFORMAT},      {SQLITE_CORRUPT, SYNCLINE_ECORRUPT},
        {SQLITE_CONSTRAINT, SYNCLINE_EDB},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct indexer_error err = {0};
        cr_expect_eq(indexer_fail_db(&err, NULL, cases[i].rc, "%s", "it"), cases[i].status);
        cr_expect_eq(strncmp(err.text, "it: ", 4), 0, "%s", err.text);
        cr_expect_eq(indexer_fail_db(NULL, NULL, cases[i].rc, "it"), cases[i].status);
    }
}

Test(error, of_the_system)
{
    static const struct {
        int error_number;
        enum syncline_status status;
    } cases[] = {{ENOSPC, SYNCLINE_ENOSPC},
                 {EDQUOT, SYNCLINE_ENOSPC},
                 {ENOENT, SYNCLINE_ENOTFOUND},
                 {ENOMEM, SYNCLINE_ENOMEM},
                 {EACCES, SYNCLINE_EIO}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct indexer_error err = {0};
        int error_number = cases[i].error_number;
        cr_expect_eq(indexer_fail_errno(&err, error_number, "it"), cases[i].status);
        cr_expect_not_null(strstr(err.text, strerror(error_number)), "%s", err.text);
        cr_expect_eq(indexer_fail_errno(NULL, error_number, "it"), cases[i].status);
    }
}

/* A text that is too long is cut, not overrun. */
Test(error, long_texts_are_cut)
{
    struct indexer_error err;
    char text[2 * INDEXER_ERROR_SIZE];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    indexer_fail(&err, SYNCLINE_EIO, "%s", text);
    cr_expect_eq(strlen(err.text), INDEXER_ERROR_SIZE - 1);
    indexer_fail_errno(&err, EIO, "%s", text);
    cr_expect_eq(strlen(err.text), INDEXER_ERROR_SIZE - 1);
    cr_expect_eq(indexer_fail_sync(NULL, NULL, SYNCLINE_EMODEL, "it"), SYNCLINE_EMODEL);
    cr_expect_eq(indexer_fail_sync(&err, NULL, SYNCLINE_EMODEL, "it"), SYNCLINE_EMODEL);
    cr_expect_not_null(strstr(err.text, syncline_status_text(SYNCLINE_EMODEL)));
}
