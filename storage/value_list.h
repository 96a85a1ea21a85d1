/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A list of ids or of UUIDs in memory as a table in SQL, so that one query answers for all of them:
 *
 *     SELECT l.place, t.uuid FROM _syncline_list(?1) l CROSS JOIN files t ON t.id = l.value
 *
 * `place` is the index in the list, `value` the id or the UUID (a blob). The list is bound by
 * sl_value_list_bind, borrowed until the statement is reset. Only our own connections have it. */

#ifndef SL_VALUE_LIST_H
#define SL_VALUE_LIST_H

#include "storage/db.h"

#define SL_VALUE_LIST_TABLE "_syncline_list"

struct sl_value_list {
    const int64_t *ids;                /* n, or NULL: */
    const struct syncline_uuid *uuids; /* n */
    const bool *skip;                  /* n: true for places to leave out; NULL: none */
    uint32_t n;
};

/* Makes the table known to a connection, until it closes. Errors: ENOMEM, EDB. */
enum syncline_status sl_value_list_register(const struct sl_db *db, struct sl_error *err);
void sl_value_list_bind(sqlite3_stmt *stmt, int parameter, const struct sl_value_list *list);

#endif
