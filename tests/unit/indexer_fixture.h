/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A temporary folder with a library and a tree to index, for the indexer's tests. Every test runs
 * in a process of its own, so plain statics will do. */

#ifndef TESTS_INDEXER_FIXTURE_H
#define TESTS_INDEXER_FIXTURE_H

#include "indexer/compare.h"
#include "indexer/device_manager.h"
#include "indexer/location_manager.h"
#include "indexer/schema.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

static char base[64];     /* everything is in here */
static char library[112]; /* folder of library.db */
static char tree[96];     /* folder to index */
static const struct syncline_uuid device_a = {{0xa0, 1, 2, 3, 4, 5, 6, 7, 8, 9}};
static const struct syncline_uuid device_b = {{0xb0, 1, 2, 3, 4, 5, 6, 7, 8, 9}};

static UNUSED void set_up(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(base, sizeof(base), "%.40s/indexer-XXXXXX", parent != NULL ? parent : "/tmp");
    cr_assert_not_null(mkdtemp(base));
    (void)setenv("XDG_STATE_HOME", base, 1);
    snprintf(library, sizeof(library), "%s/library", base);
    snprintf(tree, sizeof(tree), "%s/tree", base);
    cr_assert_eq(mkdir(library, 0700), 0);
    cr_assert_eq(mkdir(tree, 0755), 0);
}

static UNUSED void tear_down(void)
{
    char command[256]; /* rm knows how to remove a tree of any depth */
    snprintf(command, sizeof(command), "chmod -R u+rwx '%s'; rm -rf '%s'", tree, base);
    cr_assert_eq(system(command), 0);
}

/* A path below `tree`; dies at the fourth call after. */
static UNUSED const char *in_tree(const char *name)
{
    static char paths[4][1024];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", tree, name);
    return path;
}

static UNUSED void make_file(const char *name, size_t size)
{
    int fd = open(in_tree(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, (off_t)size), 0);
    close(fd);
}

static UNUSED void make_folder(const char *name)
{
    cr_assert_eq(mkdir(in_tree(name), 0755), 0);
}

static UNUSED void make_link(const char *name, const char *target)
{
    cr_assert_eq(symlink(target, in_tree(name)), 0);
}

static UNUSED void set_time(const char *name, int64_t ms)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {0}};
    times[1].tv_sec = ms / 1000;
    times[1].tv_nsec = ms % 1000 * 1000000;
    cr_assert_eq(utimensat(AT_FDCWD, in_tree(name), times, AT_SYMLINK_NOFOLLOW), 0);
}

/* 5 folders with 8 things each, of all kinds: 46 entries with the root. */
static UNUSED void make_small_tree(void)
{
    for (int i = 0; i < 5; i++) {
        char name[64];
        snprintf(name, sizeof(name), "folder%d", i);
        make_folder(name);
        for (int k = 0; k < 6; k++) {
            snprintf(name, sizeof(name), "folder%d/file%d", i, k);
            make_file(name, (size_t)i * 100 + (size_t)k);
        }
        snprintf(name, sizeof(name), "folder%d/link", i);
        make_link(name, "nowhere");
        snprintf(name, sizeof(name), "folder%d/inner", i);
        make_folder(name);
    }
}
#define SMALL_TREE_COUNT 46

/* Root reads everything: be nobody for a while, who then owns everything here. Tells whether that
 * is to be undone by seteuid(0). Skips the test where nobody cannot come here. */
static UNUSED bool become_nobody(void)
{
    if (geteuid() != 0)
        return false;
    char command[256];
    struct stat st;
    snprintf(command, sizeof(command), "chown -R 65534 '%s'", base);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(seteuid(65534), 0);
    if (stat(tree, &st) == 0)
        return true;
    cr_assert_eq(seteuid(0), 0);
    cr_skip_test("the folder for temporary files is closed to others");
}

static UNUSED struct sqlite3 *open_library(const char *dir)
{
    struct sqlite3 *db = NULL;
    struct indexer_error err = {0};
    cr_assert_eq(indexer_db_open(dir, INDEXER_DB_CREATE, &db, &err), SYNCLINE_OK, "%s", err.text);
    cr_assert_eq(indexer_device_register(NULL, db, &device_a, "alpha", NULL, &err), SYNCLINE_OK,
                 "%s", err.text);
    return db;
}

static UNUSED int64_t query(struct sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(db));
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static UNUSED void execute(struct sqlite3 *db, const char *sql)
{
    cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s: %s", sql,
                 sqlite3_errmsg(db));
}

/* Indexes `tree` to its end, without syncing. */
static UNUSED struct indexer_location_stats index_tree(struct sqlite3 *db, uint32_t batch_size)
{
    struct indexer_location_options options = {.device = device_a, .batch_size = batch_size};
    struct indexer_location_stats stats;
    struct indexer_error err = {0};
    cr_assert_eq(indexer_location_add(NULL, db, tree, &options, &stats, &err), SYNCLINE_OK, "%s",
                 err.text);
    return stats;
}

/* The database has the tree as it is on the disk, and nothing twice or beside it. */
static UNUSED void expect_equal(struct sqlite3 *db)
{
    struct indexer_comparison result;
    struct indexer_error err = {0};
    cr_assert_eq(indexer_compare_with_folder(db, tree, NULL, &result, &err), SYNCLINE_OK, "%s",
                 err.text);
    cr_expect_eq(result.differences, 0, "%s", result.text[0]);
    cr_expect_eq(query(db, "SELECT count(*) FROM entries"), (int64_t)result.compared);
    cr_expect_eq(query(db, "SELECT count(*) FROM locations"), 1);
    cr_expect_eq(query(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

/* Ends a run after so many transactions; stop_later is its `progress`. */
struct stopper {
    atomic_int stop;
    uint64_t after; /* batches */
};

static UNUSED void stop_later(void *ctx, const struct indexer_location_stats *stats)
{
    struct stopper *stopper = ctx;
    if (stats->batches == stopper->after)
        atomic_store(&stopper->stop, 1);
}

#endif
