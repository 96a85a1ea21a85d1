/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A temporary folder for databases, and short ways to say what a call must answer. Every test runs
 * in a process of its own, so plain statics will do. */

#ifndef TESTS_STORAGE_FIXTURE_H
#define TESTS_STORAGE_FIXTURE_H

#include "base/env.h"
#include "base/status.h"

#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNUSED __attribute__((unused))

static UNUSED struct sl_error err;
static char folder[64];

static UNUSED void set_up(void)
{
    const char *parent = getenv("TMPDIR");
    (void)snprintf(folder, sizeof(folder), "%.40s/storage-XXXXXX",
                   parent != NULL ? parent : "/tmp");
    cr_assert_not_null(mkdtemp(folder));
}

static UNUSED void tear_down(void)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

/* A path in the folder; dies at the fourth call after. */
static UNUSED const char *in_folder(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static UNUSED void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

#define OK(call)                                                                                   \
    do {                                                                                           \
        enum syncline_status status_ = (call);                                                     \
        cr_assert_eq(status_, SYNCLINE_OK, "%s: %s: %s", #call, syncline_status_name(status_),     \
                     err.text);                                                                    \
    } while (0)

/* The call fails with that status, and says something with `part` in it, in one line. */
#define FAILS(call, wanted, part)                                                                  \
    do {                                                                                           \
        err.text[0] = '\0';                                                                        \
        enum syncline_status status_ = (call);                                                     \
        cr_assert_eq(status_, wanted, "%s: %s: %s", #call, syncline_status_name(status_),          \
                     err.text);                                                                    \
        cr_assert_not_null(strstr(err.text, part), "'%s' is not in '%s'", part, err.text);         \
        cr_assert_null(strchr(err.text, '\n'), "%s", err.text);                                    \
    } while (0)

/* By a connection of its own, as another program would. */
static UNUSED void sql_on(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    char *message = NULL;
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, &message), SQLITE_OK, "%s: %s", sql, message);
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}

static UNUSED int64_t query_int(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(db));
    int64_t value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return value;
}

/* xorshift: the same numbers in every run. */
static UNUSED uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
