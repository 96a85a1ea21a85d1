/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A's indexing process is killed again and again, at moments drawn from a seed, while B serves all
 * along; each time it is started again. At the end A has indexed everything, and A, B and the
 * folder are equal.
 *
 * SL_KILLS: how many (20); SL_SEED: the seed to draw again; the one in use is printed. Before each
 * start the tree grows and some of its files change, so that each run has inserts and updates to
 * do. A run that ends before its moment counts as no kill; it shortens the time moments are drawn
 * from. */

#include <sqlite3.h>

#include "tests/integration/equal.h"

#define KILLS_DEFAULT 20u
#define FILES 20000u             /* in the whole tree, at the end */
#define MOMENT_NS_MAX 200000000u /* moments are drawn from below this at first */
#define STARTS_PER_KILL_MAX                                                                        \
    50u /* so that a run that is never met ends the test, not the patience */

TestSuite(kill, .init = cmd_setup, .fini = cmd_cleanup, .timeout = 3600);

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t from_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

/* Some files at the top of the tree change their size. */
static void change_files(const char *tree, uint64_t *state)
{
    int dir_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(dir_fd, 0);
    for (int i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof(name), "changing%d", (int)(draw(state) % 100));
        cmd_write_file(dir_fd, name, draw(state) % 200);
    }
    close(dir_fd);
}

/* Waits for the moment, or the end of the child before it. True: it still runs. */
static bool wait_for_moment(const struct cmd_child *child, uint64_t moment_ns)
{
    while (cmd_now_ns() < moment_ns) {
        struct timespec nap = {.tv_nsec = 200000};
        if (cmd_has_ended(child)) {
            return false;
        }
        nanosleep(&nap, NULL);
    }
    return true;
}

/* Entries in a library's table. */
static int64_t count_entries(const char *library)
{
    struct sqlite3 *db = NULL;
    struct indexer_error err = {{0}};
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(indexer_db_open(library, INDEXER_DB_READ_ONLY, &db, &err), SYNCLINE_OK, "%s",
                 err.text);
    cr_assert_eq(sqlite3_prepare_v2(db, "SELECT count(*) FROM entries", -1, &stmt, NULL),
                 SQLITE_OK);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    indexer_db_close(db);
    return count;
}

Test(kill, equal_after_kills)
{
    static struct cmd_result result;
    char a[512];
    char b[512];
    char tree[512];
    char address[64];
    uint64_t kills = from_env("SL_KILLS", KILLS_DEFAULT);
    uint64_t seed = from_env("SL_SEED", cmd_now_ns());
    uint64_t state = seed;
    uint64_t moment_max_ns = MOMENT_NS_MAX;
    uint64_t starts = 0;
    uint64_t behind = 0;   /* kills after which B had less than A */
    uint64_t indexing = 0; /* kills after which A had more rows than before */
    int64_t entries = 0;   /* of A, after the last run */
    uint32_t files = 0;
    fprintf(stderr, "kill_test: SL_KILLS=%" PRIu64 " SL_SEED=%" PRIu64 "\n", kills, seed);
    snprintf(tree, sizeof(tree), "%s", cmd_path("tree"));
    cmd_make_pair(a, b);
    struct cmd_child serve_b = cmd_serve(b, "127.0.0.1:0", NULL, address);
    const char *const add[] = {"-L",
                               a,
                               "--json",
                               "location",
                               "add",
                               "--batch",
                               "16",
                               tree,
                               "--peer",
                               address,
                               "--insecure-loopback",
                               "--wait",
                               "100",
                               NULL};

    for (uint64_t killed = 0; killed < kills; starts++) {
        cr_assert_lt(starts, kills * STARTS_PER_KILL_MAX, "too few runs are met (seed %" PRIu64 ")",
                     seed);
        uint32_t more = (uint32_t)((uint64_t)FILES * (killed + 1) / (kills + 1));
        cmd_grow_tree(tree, files, more);
        files = more;
        change_files(tree, &state);
        uint64_t start_ns = cmd_now_ns();
        uint64_t moment_ns = start_ns + draw(&state) % moment_max_ns;
        struct cmd_child child = cmd_start(add);
        if (wait_for_moment(&child, moment_ns)) {
            kill(child.pid, SIGKILL);
        }
        cmd_finish(&child, &result);
        int64_t entries_before = entries;
        entries = count_entries(a);
        if (result.code == 128 + SIGKILL) {
            killed++;
            indexing += entries > entries_before;
            behind += entries > count_entries(b);
            moment_max_ns += moment_max_ns / 8;
            continue;
        }
        cr_assert_eq(result.code, 0, "start %" PRIu64 ", seed %" PRIu64 ": %s", starts, seed,
                     result.err);
        moment_max_ns = cmd_now_ns() - start_ns;
    }
    cmd_grow_tree(tree, files, FILES);
    cmd_run(&result, add);
    cr_assert_eq(result.code, 0, "last start, seed %" PRIu64 ": %s", seed, result.err);
    cr_assert_geq(cmd_json_int(result.out, "files"), FILES);
    cr_assert_eq(cmd_json_int(result.out, "unreadable"), 0);
    uint64_t rows = cmd_check_equal(a, b, tree);
    fprintf(stderr,
            "kill_test: %" PRIu64 " kills in %" PRIu64 " starts, %" PRIu64
            " after new rows on A, %" PRIu64 " with B behind; %" PRIu64 " rows equal\n",
            kills, starts + 1, indexing, behind, rows);
    cmd_stop(&serve_b);
}
