/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `location add`, `rescan` and `remove` are interrupted at ten points each, by Ctrl-C and by
 * kill -9, and run again each time: they go on where they were, nothing is lost or there twice, and
 * the other device, which serves all along, ends equal.
 *
 * SL_FILES: how many files (5000). A point is a number of rows: the test takes the library's write
 * lock to count them, so that the command stands still while it is interrupted. A command that ends
 * before its point is met has more to do the next time. */

#include <dirent.h>
#include <sqlite3.h>

#include "tests/integration/equal.h"

#define FILES_DEFAULT 5000u
#define POINTS 10u
#define MISSES_MAX 30u /* commands that ended before their point */

TestSuite(interrupt, .init = cmd_setup, .fini = cmd_cleanup, .timeout = 3600);

static char a[512];
static char b[512];
static char tree[512];
static uint32_t files; /* made in the tree */
static uint32_t step;  /* made at a time, when there must be more to do */
static unsigned misses;

/* SQLite's own handler sleeps longer each time: it would hardly meet the moments at which a command
 * that writes all the time does not hold the lock. */
static int try_again(void *ctx, int times)
{
    struct timespec nap = {.tv_nsec = 20000};
    (void)ctx, (void)times;
    nanosleep(&nap, NULL);
    return 1;
}

static struct sqlite3 *open_library(void)
{
    struct sqlite3 *db = NULL;
    struct indexer_error err = {{0}};
    cr_assert_eq(indexer_db_open(a, 0, &db, &err), SYNCLINE_OK, "%s", err.text);
    sqlite3_busy_handler(db, try_again, NULL);
    return db;
}

static int64_t query(struct sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW, "%s", sqlite3_errmsg(db));
    int64_t value = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static int64_t count_entries(void)
{
    struct sqlite3 *db = open_library();
    int64_t count = query(db, "SELECT count(*) FROM entries");
    sqlite3_close(db);
    return count;
}

/* Waits until the library has [from, to) entries, and interrupts the command while it cannot write.
 * False: it ended before. */
static bool interrupt_at(struct cmd_child *child, int64_t from, int64_t to, int number,
                         struct cmd_result *result)
{
    struct sqlite3 *db = open_library();
    uint64_t start_ns = cmd_now_ns();
    bool is_met = false;
    while (!is_met && !cmd_has_ended(child)) {
        cr_assert_lt(cmd_now_ns() - start_ns, CMD_DEADLINE_NS, "%" PRId64 " rows are never met",
                     from);
        cr_assert_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK, "%s",
                     sqlite3_errmsg(db));
        int64_t count = query(db, "SELECT count(*) FROM entries");
        is_met = count >= from && count < to;
        if (is_met)
            kill(child->pid, number);
        if (is_met && number == SIGKILL) /* dead before it can write again */
            while (!cmd_has_ended(child))
                cmd_nap_ms(1);
        cr_assert_eq(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
        cmd_nap_ms(1);
    }
    sqlite3_close(db);
    cmd_finish(child, result);
    return is_met;
}

/* Checks how it ended: at its point, or too early, for which there must be a reason. */
static bool check_ended(const struct cmd_result *result, bool is_met, int number)
{
    int expected = number == SIGKILL ? 128 + SIGKILL : 4;
    if (is_met && result->code == expected) {
        if (number == SIGINT)
            cr_assert_not_null(strstr(result->err, "interrupted"), "%s", result->err);
        return true;
    }
    cr_assert_eq(result->code, 0, "code %d: %s", result->code, result->err);
    cr_assert_lt(++misses, MISSES_MAX);
    return false;
}

/* No name twice in a folder, no key that points nowhere. */
static void check_whole(void)
{
    struct sqlite3 *db = open_library();
    cr_assert_eq(query(db, "SELECT count(*) FROM (SELECT 1 FROM entries"
                           " GROUP BY parent_id, name HAVING count(*) > 1)"),
                 0);
    cr_assert_eq(query(db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    cr_assert_leq(query(db, "SELECT count(*) FROM locations"), 1);
    sqlite3_close(db);
}

static void start(char address[64], struct cmd_child *serve_b)
{
    const char *text = getenv("SL_FILES");
    files = text != NULL ? (uint32_t)strtoul(text, NULL, 0) : FILES_DEFAULT;
    step = files / POINTS;
    snprintf(tree, sizeof(tree), "%s", cmd_path("tree"));
    cmd_grow_tree(tree, 0, files);
    cmd_make_pair(a, b);
    *serve_b = cmd_serve(b, "127.0.0.1:0", NULL, address);
}

static void add_at_ten_points(int number)
{
    static struct cmd_result result;
    struct cmd_child serve_b;
    char address[64];
    char batch[16];
    start(address, &serve_b);
    snprintf(batch, sizeof(batch), "%" PRIu32, files / 200 + 1);
    const char *const add[] = {"-L",
                               a,
                               "--json",
                               "location",
                               "add",
                               tree,
                               "--batch",
                               batch,
                               "--peer",
                               address,
                               "--insecure-loopback",
                               "--wait",
                               "100",
                               NULL};
    for (unsigned point = 0; point < POINTS;) {
        int64_t done = count_entries();
        int64_t left = (int64_t)files - done;
        if (left < (int64_t)step) { /* it was not met, or there are more folders than thought */
            cmd_grow_tree(tree, files, files + step);
            files += step;
            left += step;
        }
        struct cmd_child child = cmd_start(add);
        bool is_met = interrupt_at(&child, done + left / (int64_t)(POINTS - point + 1) + 1,
                                   INT64_MAX, number, &result);
        point += check_ended(&result, is_met, number);
        check_whole();
    }
    cmd_run(&result, add);
    cr_assert_eq(result.code, 0, "%s", result.err);
    json_int_t seen = cmd_json_int(result.out, "files") + cmd_json_int(result.out, "folders") +
                      cmd_json_int(result.out, "links");
    cr_assert_eq(cmd_json_int(result.out, "files"), (json_int_t)files);
    cr_assert_eq(count_entries(), seen);
    check_whole();
    uint64_t rows = cmd_check_equal(a, b, tree);
    fprintf(stderr, "interrupt_test: signal %d at %u points, %u not met; %" PRIu64 " rows equal\n",
            number, POINTS, misses, rows);
    cmd_stop(&serve_b);
}

/* Ctrl-C at ten points: the same command goes on, and ends equal. */
Test(interrupt, add_by_ctrl_c)
{
    add_at_ten_points(SIGINT);
}

/* kill -9 at ten points: the same. */
Test(interrupt, add_by_kill)
{
    add_at_ten_points(SIGKILL);
}

/* Renames every folder at the top of the tree. */
static void rename_folders(void)
{
    uint32_t renamed = 0;
    char names[64][256];
    DIR *dir = opendir(tree);
    cr_assert_not_null(dir);
    for (const struct dirent *found = NULL; renamed < 64 && (found = readdir(dir)) != NULL;)
        if (found->d_type == DT_DIR && found->d_name[0] != '.' && strlen(found->d_name) < 200)
            snprintf(names[renamed++], sizeof(names[0]), "%.200s", found->d_name);
    for (uint32_t i = 0; i < renamed; i++) {
        char to[256];
        snprintf(to, sizeof(to), "%.200s.moved", names[i]);
        cr_assert_eq(renameat(dirfd(dir), names[i], dirfd(dir), to), 0);
    }
    closedir(dir);
}

/* A folder in the tree that comes and goes. */
static void fill(void)
{
    static struct cmd_result result;
    char path[600];
    snprintf(path, sizeof(path), "%s/to be removed", tree);
    cmd_grow_tree(path, 0, files);
    CMD_OK(&result, "-L", a, "location", "add", tree);
    char command[700];
    snprintf(command, sizeof(command), "rm -r '%s'", path);
    cr_assert_eq(system(command), 0);
}

static void add_again(void)
{
    static struct cmd_result result;
    CMD_OK(&result, "-L", a, "location", "add", tree);
}

/* Interrupts a command that removes rows until there are `rest` left at ten points, in both ways in
 * turn; `refill` gives it more to do when it ended before its point. */
static void remove_at_ten_points(const char *const args[], int64_t rest, void (*refill)(void))
{
    static struct cmd_result result;
    for (unsigned point = 0; point < POINTS;) {
        int number = point % 2 == 0 ? SIGINT : SIGKILL;
        int64_t rows = count_entries();
        if (rows - rest < (int64_t)step) {
            refill();
            rows = count_entries();
        }
        struct cmd_child child = cmd_start(args);
        bool is_met =
            interrupt_at(&child, rest + 1, rows - (rows - rest) / (int64_t)(POINTS - point + 1),
                         number, &result);
        point += check_ended(&result, is_met, number);
        check_whole();
    }
    cmd_run(&result, args);
    cr_assert_eq(result.code, 0, "%s", result.err);
    cr_assert_eq(count_entries(), rest);
}

/* A rescan, and then a removal, while another process runs the engine: interrupted in both ways in
 * turn, they go on; the device that serves gets it all. */
Test(interrupt, rescan_and_remove)
{
    static struct cmd_result result;
    struct cmd_child serve_b;
    char address[64];
    char address_a[64];
    char batch[16];
    start(address, &serve_b);
    struct cmd_child serve_a = cmd_serve(a, "127.0.0.1:0", address, address_a);
    snprintf(batch, sizeof(batch), "%" PRIu32, files / 500 + 1);
    add_again();
    int64_t rows = count_entries();
    fill();
    rename_folders();
    remove_at_ten_points((const char *const[]){"-L", a, "--json", "location", "rescan", tree,
                                               "--batch", batch, NULL},
                         rows, fill);
    CMD_OK(&result, "-L", a, "wait", "--timeout", "100");
    cmd_check_equal(a, b, tree);
    remove_at_ten_points((const char *const[]){"-L", a, "--json", "location", "remove", tree,
                                               "--batch", batch, NULL},
                         0, add_again);
    CMD_OK(&result, "-L", a, "wait", "--timeout", "100");
    cmd_check_equal(a, b, NULL);
    cmd_stop(&serve_a);
    cmd_stop(&serve_b);
}
