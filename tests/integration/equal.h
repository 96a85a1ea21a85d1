/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The proof that two libraries hold the same, and the same as a folder, for the tests of the
 * command: plain SQL, a second walk, and the digests. */

#ifndef SL_TESTS_EQUAL_H
#define SL_TESTS_EQUAL_H

#include "indexer/compare.h"
#include "indexer/schema.h"
#include "tests/integration/command.h"

/* Fails the test with the first difference. `folder` may be NULL; returns the rows compared. */
static inline uint64_t cmd_check_equal(const char *a, const char *b, const char *folder)
{
    char path_a[600];
    char path_b[600];
    static struct indexer_comparison comparison;
    static struct cmd_result of_a;
    static struct cmd_result of_b;
    struct indexer_error err = {{0}};
    snprintf(path_a, sizeof(path_a), "%s/%s", a, INDEXER_DB_NAME);
    snprintf(path_b, sizeof(path_b), "%s/%s", b, INDEXER_DB_NAME);
    cr_assert_eq(indexer_compare_databases(path_a, path_b, &comparison, &err), SYNCLINE_OK, "%s",
                 err.text);
    cr_assert_eq(comparison.differences, 0, "%" PRIu64 " differences, the first: %s",
                 comparison.differences, comparison.text[0]);
    uint64_t rows = comparison.compared;

    if (folder != NULL) {
        struct sqlite3 *db = NULL;
        cr_assert_eq(indexer_db_open(b, INDEXER_DB_READ_ONLY, &db, &err), SYNCLINE_OK, "%s",
                     err.text);
        enum syncline_status status =
            indexer_compare_with_folder(db, folder, NULL, &comparison, &err);
        indexer_db_close(db);
        cr_assert_eq(status, SYNCLINE_OK, "%s", err.text);
        cr_assert_eq(comparison.differences, 0, "B differs from the folder: %s",
                     comparison.text[0]);
    }
    CMD_OK(&of_a, "-L", a, "digest");
    CMD_OK(&of_b, "-L", b, "digest");
    cr_assert_str_eq(of_a.out, of_b.out);
    return rows;
}

#endif
