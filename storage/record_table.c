/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/record_table.h"

#include <string.h>

#include "base/bytes.h"
#include "storage/value_list.h"

enum {
    ID_OF,
    HAS_ID,
    LAST_ID,
    IDS_OF,
    UUIDS_OF,
    READ,
    INSERT,
    UPDATE,
    DELETE,
    DIGEST,
    RANGE,
    LIST
};

void sl_record_table_init(struct sl_record_table *table, const struct sl_db *db,
                          const struct sl_model *model)
{
    struct sl_record_table made = {.db = db, .model = model};
    *table = made;
}

void sl_record_table_fini(struct sl_record_table *table)
{
    for (size_t i = 0; i < sizeof(table->stmt) / sizeof(table->stmt[0]); i++) {
        (void)sqlite3_finalize(table->stmt[i]);
        table->stmt[i] = NULL;
    }
}

/* ---- The SQL, from the descriptor ----
 *
 * OR ABORT, so that an ON CONFLICT clause of the table neither replaces other records nor rolls the
 * transaction back. */

/* "SELECT t.uuid, t.a, p1.uuid, ... FROM t LEFT JOIN parent p1 ON p1.id = t.key ..." and, for each
 * key, its local id after all the fields; last the record's own. */
static void write_select(sqlite3_str *sql, const struct sl_model *model)
{
    sqlite3_str_appendf(sql, "SELECT t.\"%w\"", model->uuid.name);
    for (uint32_t i = 0; i < model->field_count; i++) {
        const struct sl_field *field = &model->fields[i];
        if (field->type == SYNCLINE_TYPE_KEY) {
            sqlite3_str_appendf(sql, ",p%u.\"%w\"", i, field->parent->uuid.name);
        } else {
            sqlite3_str_appendf(sql, ",t.\"%w\"", field->name);
        }
    }
    for (uint32_t i = 0; i < model->field_count; i++) {
        if (model->fields[i].type == SYNCLINE_TYPE_KEY) {
            sqlite3_str_appendf(sql, ",t.\"%w\"", model->fields[i].name);
        }
    }
    sqlite3_str_appendf(sql, ",t.\"%w\" FROM \"%w\" t", model->id.name, model->table);
    for (uint32_t i = 0; i < model->field_count; i++) {
        const struct sl_field *field = &model->fields[i];
        if (field->type == SYNCLINE_TYPE_KEY) {
            sqlite3_str_appendf(sql, " LEFT JOIN \"%w\" p%u ON p%u.\"%w\"=t.\"%w\"",
                                field->parent->table, i, i, field->parent->id.name, field->name);
        }
    }
}

/* One column of every record that another column's value is in the list of; the list leads. */
static void write_list_select(sqlite3_str *sql, const struct sl_model *model,
                              const struct sl_field *wanted, const struct sl_field *given)
{
    sqlite3_str_appendf(sql,
                        "SELECT l.place,t.\"%w\" FROM " SL_VALUE_LIST_TABLE
                        "(?1) l CROSS JOIN \"%w\" t ON t.\"%w\"=l.value",
                        wanted->name, model->table, given->name);
}

static void write_sql(sqlite3_str *sql, const struct sl_model *model, unsigned number)
{
    switch (number) {
    case ID_OF:
        sqlite3_str_appendf(sql, "SELECT \"%w\" FROM \"%w\" WHERE \"%w\"=?1", model->id.name,
                            model->table, model->uuid.name);
        return;
    case HAS_ID:
        sqlite3_str_appendf(sql, "SELECT 1 FROM \"%w\" WHERE \"%w\"=?1", model->table,
                            model->id.name);
        return;
    case LAST_ID:
        sqlite3_str_appendf(sql, "SELECT max(\"%w\") FROM \"%w\"", model->id.name, model->table);
        return;
    case IDS_OF:
        write_list_select(sql, model, &model->id, &model->uuid);
        return;
    case UUIDS_OF:
        write_list_select(sql, model, &model->uuid, &model->id);
        return;
    case READ:
        write_select(sql, model);
        sqlite3_str_appendf(sql, " WHERE t.\"%w\"=?1", model->id.name);
        return;
    case DIGEST:
        write_select(sql, model);
        sqlite3_str_appendf(sql, " ORDER BY t.\"%w\"", model->uuid.name);
        return;
    case RANGE:
        write_select(sql, model);
        sqlite3_str_appendf(sql, " WHERE t.\"%w\" BETWEEN ?1 AND ?2 ORDER BY t.\"%w\"",
                            model->uuid.name, model->uuid.name);
        return;
    case LIST:
        sqlite3_str_appendf(sql,
                            "SELECT \"%w\",\"%w\" FROM \"%w\" WHERE \"%w\" BETWEEN ?1 AND ?2"
                            " ORDER BY \"%w\"",
                            model->uuid.name, model->id.name, model->table, model->uuid.name,
                            model->uuid.name);
        return;
    case INSERT:
        sqlite3_str_appendf(sql, "INSERT OR ABORT INTO \"%w\"(\"%w\",\"%w\"", model->table,
                            model->id.name, model->uuid.name);
        for (uint32_t i = 0; i < model->field_count; i++) {
            sqlite3_str_appendf(sql, ",\"%w\"", model->fields[i].name);
        }
        sqlite3_str_appendf(sql, ") VALUES(?%u,?1", model->field_count + 2);
        for (uint32_t i = 0; i < model->field_count; i++) {
            sqlite3_str_appendf(sql, ",?%u", i + 2);
        }
        sqlite3_str_appendf(sql, ") ON CONFLICT(\"%w\") DO NOTHING", model->uuid.name);
        return;
    case UPDATE:
        sqlite3_str_appendf(sql, "UPDATE OR ABORT \"%w\" SET ", model->table);
        for (uint32_t i = 0; i < model->field_count; i++) {
            sqlite3_str_appendf(sql, "%s\"%w\"=?%u", i > 0 ? "," : "", model->fields[i].name,
                                i + 2);
        }
        sqlite3_str_appendf(sql, " WHERE \"%w\"=?1", model->id.name);
        return;
    default:
        sqlite3_str_appendf(sql, "DELETE FROM \"%w\" WHERE \"%w\"=?1", model->table,
                            model->id.name);
        return;
    }
}

static enum syncline_status get(struct sl_record_table *table, unsigned number, sqlite3_stmt **stmt,
                                struct sl_error *err)
{
    if (table->stmt[number] == NULL) {
        sqlite3_str *text = sqlite3_str_new(table->db->handle);
        write_sql(text, table->model, number);
        char *sql = sqlite3_str_finish(text);
        if (sql == NULL) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a statement");
        }
        enum syncline_status status =
            sl_db_prepare(table->db, sql, true, &table->stmt[number], err);
        sqlite3_free(sql);
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    *stmt = table->stmt[number];
    return SYNCLINE_OK;
}

/* ---- Reading ---- */

enum syncline_status sl_record_id(struct sl_record_table *table, const struct syncline_uuid *uuid,
                                  bool *found, int64_t *id, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(table, ID_OF, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    table->key_queries++;
    sl_bind_uuid(stmt, 1, uuid);
    status = sl_db_row(table->db, stmt, found, err);
    if (status == SYNCLINE_OK && *found) {
        *id = sqlite3_column_int64(stmt, 0);
        sl_db_reset(stmt);
    }
    return status;
}

enum syncline_status sl_record_has_id(struct sl_record_table *table, int64_t id, bool *has,
                                      struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(table, HAS_ID, &stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_int64(stmt, 1, id);
        status = sl_db_row(table->db, stmt, has, err);
    }
    if (status == SYNCLINE_OK && *has) {
        sl_db_reset(stmt);
    }
    return status;
}

enum syncline_status sl_record_last_id(struct sl_record_table *table, int64_t *id,
                                       struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    enum syncline_status status = get(table, LAST_ID, &stmt, err);
    if (status == SYNCLINE_OK) {
        status = sl_db_row(table->db, stmt, &row, err);
    }
    if (status == SYNCLINE_OK && row) {
        *id =
            sqlite3_column_type(stmt, 0) == SQLITE_NULL ? INT64_MIN : sqlite3_column_int64(stmt, 0);
        sl_db_reset(stmt);
    }
    return status;
}

enum syncline_status sl_record_uuids(struct sl_record_table *table, const int64_t *ids, uint32_t n,
                                     bool *found, struct syncline_uuid *uuids, struct sl_error *err)
{
    const struct sl_value_list list = {.ids = ids, .skip = found, .n = n};
    sqlite3_stmt *stmt = NULL;
    bool row = true;
    enum syncline_status status = get(table, UUIDS_OF, &stmt, err);
    if (status == SYNCLINE_OK) {
        table->key_queries++;
        sl_value_list_bind(stmt, 1, &list);
        status = sl_db_row(table->db, stmt, &row, err);
    }
    while (status == SYNCLINE_OK && row) {
        size_t place = (size_t)sqlite3_column_int64(stmt, 0);
        found[place] = sl_column_uuid(stmt, 1, &uuids[place]);
        status = sl_db_row(table->db, stmt, &row, err);
    }
    return status;
}

enum syncline_status sl_record_ids(struct sl_record_table *table, const struct syncline_uuid *uuids,
                                   uint32_t n, int64_t *ids, struct sl_error *err)
{
    const struct sl_value_list list = {.uuids = uuids, .n = n};
    sqlite3_stmt *stmt = NULL;
    bool row = true;
    enum syncline_status status = get(table, IDS_OF, &stmt, err);
    if (status == SYNCLINE_OK) {
        table->key_queries++;
        sl_value_list_bind(stmt, 1, &list);
        status = sl_db_row(table->db, stmt, &row, err);
    }
    while (status == SYNCLINE_OK && row) {
        ids[sqlite3_column_int64(stmt, 0)] = sqlite3_column_int64(stmt, 1);
        status = sl_db_row(table->db, stmt, &row, err);
    }
    return status;
}

/* The value of a result column, borrowed from the statement. */
static struct sl_value column_value(sqlite3_stmt *stmt, int column)
{
    struct sl_value value = {.type = SL_NULL};
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        value.type = SL_INT64;
        value.as.int64 = sqlite3_column_int64(stmt, column);
        return value;
    case SQLITE_FLOAT:
        value.type = SL_DOUBLE;
        value.as.real = sqlite3_column_double(stmt, column);
        return value;
    case SQLITE_TEXT:
        value.type = SL_TEXT;
        value.as.data = sqlite3_column_text(stmt, column);
        value.size = (uint32_t)sqlite3_column_bytes(stmt, column);
        return value;
    case SQLITE_BLOB:
        value.type = SL_BLOB;
        value.as.data = sqlite3_column_blob(stmt, column);
        value.size = (uint32_t)sqlite3_column_bytes(stmt, column);
        if (value.as.data == NULL) {
            value.as.data = ""; /* an empty blob, which is not NULL */
        }
        return value;
    default:
        return value;
    }
}

/* As the row struct would hold it: what SQLite stores in another way is the same value. */
static struct sl_value field_value(const struct sl_field *field, sqlite3_stmt *stmt, int column)
{
    struct sl_value value = column_value(stmt, column);
    if (field->type == SYNCLINE_TYPE_DOUBLE && value.type == SL_INT64) {
        value.as.real = (double)value.as.int64;
        value.type = SL_DOUBLE;
    }
    if (field->type == SYNCLINE_TYPE_BOOL && value.type == SL_INT64) {
        value.type = SL_BOOL;
        value.as.int64 = value.as.int64 != 0 ? 1 : 0;
    }
    /* Text may have been bound as a blob, or the other way: the bytes are the same. */
    if (field->type == SYNCLINE_TYPE_TEXT && value.type == SL_BLOB) {
        value.type = SL_TEXT;
    }
    if (field->type == SYNCLINE_TYPE_BLOB && value.type == SL_TEXT) {
        value.type = SL_BLOB;
    }
    return value;
}

/* The values of the record that the statement stands at. */
static enum syncline_status read_values(const struct sl_record_table *table, sqlite3_stmt *stmt,
                                        struct sl_arena *arena, struct sl_value *values,
                                        const struct sl_field **orphan, struct sl_error *err)
{
    const struct sl_model *model = table->model;
    int key_column = 1 + (int)model->field_count;
    *orphan = NULL;
    for (uint32_t i = 0; i < model->field_count; i++) {
        values[i] = field_value(&model->fields[i], stmt, 1 + (int)i);
        if (values[i].type == SL_TEXT || values[i].type == SL_BLOB) {
            values[i].as.data = sl_arena_copy(arena, values[i].as.data, values[i].size);
            if (values[i].as.data == NULL) {
                return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a record");
            }
        }
        if (model->fields[i].type == SYNCLINE_TYPE_KEY) {
            if (values[i].type == SL_NULL && sqlite3_column_type(stmt, key_column) != SQLITE_NULL) {
                *orphan = &model->fields[i];
            }
            key_column++;
        }
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_record_read(struct sl_record_table *table, int64_t id,
                                    struct sl_arena *arena, bool *found, struct syncline_uuid *uuid,
                                    struct sl_value *values, const struct sl_field **orphan,
                                    struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(table, READ, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, id);
    status = sl_db_row(table->db, stmt, found, err);
    if (status != SYNCLINE_OK || !*found) {
        return status;
    }
    if (!sl_column_uuid(stmt, 0, uuid)) {
        *found = false; /* nobody can name it */
    } else {
        status = read_values(table, stmt, arena, values, orphan, err);
    }
    sl_db_reset(stmt);
    return status;
}

/* ---- Writing ---- */

static void bind_value(sqlite3_stmt *stmt, int parameter, const struct sl_value *value)
{
    switch (value->type) {
    case SL_NULL:
        return; /* an unbound parameter is NULL */
    case SL_INT64:
    case SL_BOOL:
        (void)sqlite3_bind_int64(stmt, parameter, value->as.int64);
        return;
    case SL_DOUBLE:
        (void)sqlite3_bind_double(stmt, parameter, value->as.real);
        return;
    case SL_TEXT:
        (void)sqlite3_bind_text64(stmt, parameter, value->as.data, value->size, SQLITE_STATIC,
                                  SQLITE_UTF8);
        return;
    case SL_BLOB:
        (void)sqlite3_bind_blob64(stmt, parameter, value->as.data, value->size, SQLITE_STATIC);
        return;
    }
}

/* Steps; a constraint of the application's table is EINVAL, so that the caller can tell it from a
 * database that does not work. */
static enum syncline_status run_change(struct sl_record_table *table, sqlite3_stmt *stmt,
                                       struct sl_error *err)
{
    bool inside = sqlite3_get_autocommit(table->db->handle) == 0;
    int code = sqlite3_step(stmt);
    enum syncline_status status = SYNCLINE_OK;
    if ((code & 0xff) == SQLITE_CONSTRAINT || (code & 0xff) == SQLITE_MISMATCH) {
        bool undone = inside && sqlite3_get_autocommit(table->db->handle) != 0;
        status =
            sl_fail(err, undone ? SYNCLINE_EUNSUPPORTED : SYNCLINE_EINVAL, "table '%s': %s%s",
                    table->model->table, sqlite3_errmsg(table->db->handle),
                    undone ? ", and it rolled the whole transaction back: use ABORT there" : "");
    } else if (code != SQLITE_DONE) {
        status = sl_db_fail(table->db, code, sqlite3_sql(stmt), err);
    }
    sl_db_reset(stmt);
    return status;
}

enum syncline_status sl_record_insert(struct sl_record_table *table,
                                      const struct syncline_uuid *uuid,
                                      const struct sl_value *values, bool *inserted, int64_t *id,
                                      struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(table, INSERT, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    sl_bind_uuid(stmt, 1, uuid);
    for (uint32_t i = 0; i < table->model->field_count; i++) {
        bind_value(stmt, (int)i + 2, &values[i]);
    }
    if (table->wanted_id != 0) {
        (void)sqlite3_bind_int64(stmt, (int)table->model->field_count + 2, table->wanted_id);
        table->wanted_id = 0;
    }
    status = run_change(table, stmt, err);
    if (status == SYNCLINE_OK) {
        *inserted = sqlite3_changes(table->db->handle) == 1;
        *id = sqlite3_last_insert_rowid(table->db->handle);
    }
    return status;
}

enum syncline_status sl_record_update(struct sl_record_table *table, int64_t id,
                                      const struct sl_value *values, struct sl_error *err)
{
    if (table->model->field_count == 0) {
        return SYNCLINE_OK; /* a record that is nothing but its UUID */
    }
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(table, UPDATE, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, id);
    for (uint32_t i = 0; i < table->model->field_count; i++) {
        bind_value(stmt, (int)i + 2, &values[i]);
    }
    return run_change(table, stmt, err);
}

enum syncline_status sl_record_delete(struct sl_record_table *table, int64_t id,
                                      struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(table, DELETE, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_int64(stmt, 1, id);
    return run_change(table, stmt, err);
}

/* ---- Digest ---- */

static void hash_value(struct sl_hasher *hasher, const struct sl_value *value)
{
    uint8_t head[9] = {(uint8_t)value->type};
    switch (value->type) {
    case SL_NULL:
        sl_hasher_update(hasher, head, 1);
        return;
    case SL_INT64:
    case SL_BOOL:
        sl_put_u64(head + 1, (uint64_t)value->as.int64);
        sl_hasher_update(hasher, head, 9);
        return;
    case SL_DOUBLE: {
        uint64_t bits;
        memcpy(&bits, &value->as.real, sizeof(bits));
        sl_put_u64(head + 1, bits);
        sl_hasher_update(hasher, head, 9);
        return;
    }
    case SL_TEXT:
    case SL_BLOB:
        sl_put_u32(head + 1, value->size);
        sl_hasher_update(hasher, head, 5);
        sl_hasher_update(hasher, value->as.data, value->size);
        return;
    }
}

/* The record that the statement stands at; returns the bytes of its values. */
static size_t hash_record(const struct sl_record_table *table, struct sl_hasher *hasher,
                          sqlite3_stmt *stmt)
{
    struct sl_value uuid = column_value(stmt, 0);
    size_t size = uuid.size;
    hash_value(hasher, &uuid);
    for (uint32_t i = 0; i < table->model->field_count; i++) {
        struct sl_value value = field_value(&table->model->fields[i], stmt, 1 + (int)i);
        hash_value(hasher, &value);
        size += value.size;
    }
    return size;
}

enum syncline_status sl_record_digest(struct sl_record_table *table, struct sl_hasher *hasher,
                                      uint64_t *count, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(table, DIGEST, &stmt, err);
    uint64_t records = 0;
    bool row = true;
    while (status == SYNCLINE_OK) {
        status = sl_db_row(table->db, stmt, &row, err);
        if (status != SYNCLINE_OK || !row) {
            break;
        }
        (void)hash_record(table, hasher, stmt);
        records++;
    }
    if (status == SYNCLINE_OK) {
        *count = records;
    }
    return status;
}

/* ---- Ranges ---- */

enum syncline_status sl_record_range_start(struct sl_record_table *table,
                                           const struct syncline_uuid *lo,
                                           const struct syncline_uuid *hi, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = get(table, RANGE, &stmt, err);
    if (status == SYNCLINE_OK) {
        sl_db_reset(stmt);
        sl_bind_uuid(stmt, 1, lo);
        sl_bind_uuid(stmt, 2, hi);
    }
    return status;
}

enum syncline_status sl_record_range_next(struct sl_record_table *table, struct sl_hasher *hasher,
                                          bool *found, struct sl_record_hash *record,
                                          struct sl_error *err)
{
    sqlite3_stmt *stmt = table->stmt[RANGE];
    struct sl_record_hash read;
    bool row = true;
    do {
        enum syncline_status status = sl_db_row(table->db, stmt, &row, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
    } while (row && !sl_column_uuid(stmt, 0, &read.uuid));
    if (row) {
        uint8_t hash[SL_HASH_SIZE];
        read.size = hash_record(table, hasher, stmt);
        if (!sl_hasher_finish(hasher, hash)) {
            sl_db_reset(stmt);
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory to hash");
        }
        read.hash = sl_get_u64(hash);
        *record = read;
    }
    *found = row;
    return SYNCLINE_OK;
}

enum syncline_status sl_record_range_read(struct sl_record_table *table, struct sl_arena *arena,
                                          bool *found, int64_t *id, struct syncline_uuid *uuid,
                                          struct sl_value *values, const struct sl_field **orphan,
                                          struct sl_error *err)
{
    sqlite3_stmt *stmt = table->stmt[RANGE];
    int id_column = 1 + (int)table->model->field_count;
    for (uint32_t i = 0; i < table->model->field_count; i++) {
        id_column += table->model->fields[i].type == SYNCLINE_TYPE_KEY ? 1 : 0;
    }
    do {
        enum syncline_status status = sl_db_row(table->db, stmt, found, err);
        if (status != SYNCLINE_OK || !*found) {
            return status;
        }
    } while (!sl_column_uuid(stmt, 0, uuid));
    *id = sqlite3_column_int64(stmt, id_column);
    enum syncline_status status = read_values(table, stmt, arena, values, orphan, err);
    if (status != SYNCLINE_OK) {
        sl_db_reset(stmt);
    }
    return status;
}

/* ---- Who is there ---- */

enum syncline_status sl_record_list(struct sl_record_table *table, const struct syncline_uuid *lo,
                                    const struct syncline_uuid *hi, struct sl_record_name *names,
                                    uint32_t len_max, uint32_t *len, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = true;
    enum syncline_status status = get(table, LIST, &stmt, err);
    *len = 0;
    if (status == SYNCLINE_OK) {
        sl_bind_uuid(stmt, 1, lo);
        sl_bind_uuid(stmt, 2, hi);
    }
    while (status == SYNCLINE_OK && *len < len_max) {
        status = sl_db_row(table->db, stmt, &row, err);
        if (status != SYNCLINE_OK || !row) {
            return status;
        }
        if (sl_column_uuid(stmt, 0, &names[*len].uuid)) {
            names[(*len)++].id = sqlite3_column_int64(stmt, 1);
        }
    }
    sl_db_reset(stmt);
    return status;
}

void sl_record_range_end(struct sl_record_table *table)
{
    sl_db_reset(table->stmt[RANGE]);
}
