/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/value_list.h"

#include <string.h>

#define POINTER_TYPE "sl_value_list"

enum { COLUMN_VALUE, COLUMN_PLACE, COLUMN_LIST };

struct cursor {
    sqlite3_vtab_cursor base;         /* SQLite's; first */
    const struct sl_value_list *list; /* borrowed; NULL: nothing was bound */
    uint32_t at;
};

static int connect_table(sqlite3 *db, void *aux, int argc, const char *const *argv,
                         sqlite3_vtab **out, char **message)
{
    (void)aux;
    (void)argc;
    (void)argv;
    (void)message;
    int code = sqlite3_declare_vtab(db, "CREATE TABLE list(value, place, list HIDDEN)");
    if (code != SQLITE_OK) {
        return code;
    }
    sqlite3_vtab *table = sqlite3_malloc(sizeof(*table));
    if (table == NULL) {
        return SQLITE_NOMEM;
    }
    memset(table, 0, sizeof(*table));
    *out = table;
    return SQLITE_OK;
}

static int disconnect_table(sqlite3_vtab *table)
{
    sqlite3_free(table);
    return SQLITE_OK;
}

/* There is one plan: the list is given, and read from its first place to its last. */
static int best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
    (void)table;
    for (int i = 0; i < info->nConstraint; i++) {
        if (info->aConstraint[i].iColumn == COLUMN_LIST && info->aConstraint[i].usable != 0 &&
            info->aConstraint[i].op == SQLITE_INDEX_CONSTRAINT_EQ) {
            info->aConstraintUsage[i].argvIndex = 1;
            info->aConstraintUsage[i].omit = 1;
            return SQLITE_OK;
        }
    }
    return SQLITE_CONSTRAINT;
}

static int open_cursor(sqlite3_vtab *table, sqlite3_vtab_cursor **out)
{
    (void)table;
    struct cursor *cursor = sqlite3_malloc(sizeof(*cursor));
    if (cursor == NULL) {
        return SQLITE_NOMEM;
    }
    memset(cursor, 0, sizeof(*cursor));
    *out = &cursor->base;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base)
{
    sqlite3_free(base);
    return SQLITE_OK;
}

static void skip(struct cursor *cursor)
{
    const struct sl_value_list *list = cursor->list;
    while (list != NULL && list->skip != NULL && cursor->at < list->n && list->skip[cursor->at]) {
        cursor->at++;
    }
}

static int begin(sqlite3_vtab_cursor *base, int plan, const char *plan_text, int argc,
                 sqlite3_value **argv)
{
    (void)plan;
    (void)plan_text;
    (void)argc;
    struct cursor *cursor = (struct cursor *)base;
    cursor->list = sqlite3_value_pointer(argv[0], POINTER_TYPE);
    cursor->at = 0;
    skip(cursor);
    return SQLITE_OK;
}

static int next(sqlite3_vtab_cursor *base)
{
    struct cursor *cursor = (struct cursor *)base;
    cursor->at++;
    skip(cursor);
    return SQLITE_OK;
}

static int is_end(sqlite3_vtab_cursor *base)
{
    const struct cursor *cursor = (const struct cursor *)base;
    return cursor->list == NULL || cursor->at >= cursor->list->n;
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *context, int number)
{
    const struct cursor *cursor = (const struct cursor *)base;
    const struct sl_value_list *list = cursor->list;
    if (number == COLUMN_PLACE) {
        sqlite3_result_int64(context, cursor->at);
    } else if (number == COLUMN_VALUE && list->ids != NULL) {
        sqlite3_result_int64(context, list->ids[cursor->at]);
    } else if (number == COLUMN_VALUE) {
        sqlite3_result_blob(context, list->uuids[cursor->at].bytes, sizeof(struct syncline_uuid),
                            SQLITE_STATIC);
    }
    return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *id)
{
    *id = ((const struct cursor *)base)->at;
    return SQLITE_OK;
}

/* Without xCreate: a table that is simply there, in no schema. */
static const sqlite3_module module = {.xConnect = connect_table,
                                      .xBestIndex = best_index,
                                      .xDisconnect = disconnect_table,
                                      .xOpen = open_cursor,
                                      .xClose = close_cursor,
                                      .xFilter = begin,
                                      .xNext = next,
                                      .xEof = is_end,
                                      .xColumn = column,
                                      .xRowid = rowid};

enum syncline_status sl_value_list_register(const struct sl_db *db, struct sl_error *err)
{
    int code = sqlite3_create_module(db->handle, SL_VALUE_LIST_TABLE, &module, NULL);
    return code == SQLITE_OK ? SYNCLINE_OK
                             : sl_db_fail(db, code, "registering " SL_VALUE_LIST_TABLE, err);
}

void sl_value_list_bind(sqlite3_stmt *stmt, int parameter, const struct sl_value_list *list)
{
    /* SQLite hands the pointer back as it came; nobody writes through it. */
    union {
        const struct sl_value_list *list;
        void *pointer;
    } same = {.list = list};
    (void)sqlite3_bind_pointer(stmt, parameter, same.pointer, POINTER_TYPE, NULL);
}
