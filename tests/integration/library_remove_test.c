/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline library remove`: what people see of it. */

#include <sqlite3.h>

#include "tests/integration/command.h"

TestSuite(library_remove, .init = cmd_setup, .fini = cmd_cleanup);

static int64_t one_int(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
    int64_t value = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    return value;
}

/* The tables of the indexer stay, what is Syncline's goes, and there is no library any more. */
Test(library_remove, keeps_rows)
{
    static struct cmd_result result;
    char dir[512];
    (void)snprintf(dir, sizeof(dir), "%s", cmd_path("one"));
    CMD_OK(&result, "-L", dir, "library", "create", "Home");
    CMD_OK(&result, "-L", dir, "tag", "create", "red");

    CMD_OK(&result, "-L", dir, "library", "remove", "--json");
    cr_expect_not_null(strstr(result.out, "\"removed\""), "%s", result.out);
    cr_expect_eq(one_int(cmd_path("one/library.db"), "SELECT count(*) FROM tags"), 1);
    cr_expect_eq(one_int(cmd_path("one/library.db"),
                         "SELECT count(*) FROM sqlite_schema WHERE name GLOB '_syncline_*'"),
                 0);

    CMD_REFUSED(3, "no library", "-L", dir, "library", "info");
    CMD_REFUSED(3, "no library", "-L", dir, "library", "remove");
    CMD_OK(&result, "-L", dir, "library", "create", "Again");
    CMD_OK(&result, "-L", dir, "library", "remove");
    cr_expect_not_null(strstr(result.out, "library.db is left"), "%s", result.out);
}

/* While `serve` runs it is refused, and the library goes on. */
Test(library_remove, while_served)
{
    static struct cmd_result result;
    char dir[512];
    (void)snprintf(dir, sizeof(dir), "%s", cmd_path("one"));
    CMD_OK(&result, "-L", dir, "library", "create", "Home");
    char address[64];
    struct cmd_child serve = cmd_serve(dir, "127.0.0.1:0", NULL, address);
    CMD_REFUSED(3, "runs the engine", "-L", dir, "library", "remove");
    CMD_OK(&result, "-L", dir, "library", "info");
    cmd_stop(&serve);
}
