/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Does a table of the application bear out its model's descriptor? Checked at open, so that what
 * would go wrong with the first record is said before it. */

#include <stdlib.h>
#include <string.h>

#include "storage/record_table.h"

struct column {
    char name[SL_NAME_SIZE_MAX + 1];
    char type[64];
    bool not_null;
    bool has_default; /* and that is not NULL */
    bool is_generated;
    bool primary_key;
    bool is_unique;               /* has a unique index of its own */
    const struct sl_field *field; /* that names it, or NULL: it does not sync */
};

struct columns {
    struct column *items; /* ours */
    size_t count;
    bool key_is_index; /* the primary key is not the rowid: of several columns, or WITHOUT ROWID */
    bool is_strict;    /* the table is */
};

static void copy_name(char *out, size_t size, sqlite3_stmt *stmt, int column)
{
    const unsigned char *text = sqlite3_column_text(stmt, column);
    (void)sqlite3_snprintf((int)size, out, "%s", text != NULL ? (const char *)text : "");
}

static struct column *find_column(struct columns *columns, const char *name)
{
    for (size_t i = 0; i < columns->count; i++) {
        if (sqlite3_stricmp(columns->items[i].name, name) == 0) {
            return &columns->items[i];
        }
    }
    return NULL;
}

static enum syncline_status prepare_for(const struct sl_db *db, const char *sql, const char *table,
                                        sqlite3_stmt **stmt, struct sl_error *err)
{
    enum syncline_status status = sl_db_prepare(db, sql, false, stmt, err);
    if (status == SYNCLINE_OK) {
        (void)sqlite3_bind_text(*stmt, 1, table, -1, SQLITE_STATIC);
    }
    return status;
}

static enum syncline_status read_columns(const struct sl_db *db, const struct sl_allocator *alloc,
                                         const char *table, struct columns *columns,
                                         struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = prepare_for(
        db,
        "SELECT name,type,\"notnull\",upper(coalesce(dflt_value,'NULL'))<>'NULL',pk,hidden>1,"
        "(SELECT max(strict) FROM pragma_table_list(?1)) FROM pragma_table_xinfo(?1)",
        table, &stmt, err);
    bool row = true;
    while (status == SYNCLINE_OK) {
        status = sl_db_row(db, stmt, &row, err);
        if (status != SYNCLINE_OK || !row) {
            break;
        }
        struct column *grown =
            sl_resize(alloc, columns->items, columns->count + 1, sizeof(*columns->items));
        if (grown == NULL) {
            status = sl_fail(err, SYNCLINE_ENOMEM, "no memory for the columns of '%s'", table);
            break;
        }
        columns->items = grown;
        struct column *column = &grown[columns->count++];
        memset(column, 0, sizeof(*column));
        copy_name(column->name, sizeof(column->name), stmt, 0);
        copy_name(column->type, sizeof(column->type), stmt, 1);
        column->not_null = sqlite3_column_int(stmt, 2) != 0;
        column->has_default = sqlite3_column_int(stmt, 3) != 0;
        column->primary_key = sqlite3_column_int(stmt, 4) != 0;
        column->is_generated = sqlite3_column_int(stmt, 5) != 0;
        columns->is_strict = sqlite3_column_int(stmt, 6) != 0;
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

static enum syncline_status read_indexes(const struct sl_db *db, const char *table,
                                         struct columns *columns, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        prepare_for(db,
                    "SELECT (SELECT name FROM pragma_index_info(l.name)),"
                    " (SELECT count(*) FROM pragma_index_info(l.name)), l.origin='pk'"
                    " FROM pragma_index_list(?1) l WHERE l.\"unique\" AND NOT l.partial",
                    table, &stmt, err);
    bool row = true;
    while (status == SYNCLINE_OK) {
        status = sl_db_row(db, stmt, &row, err);
        if (status != SYNCLINE_OK || !row) {
            break;
        }
        columns->key_is_index = columns->key_is_index || sqlite3_column_int(stmt, 2) != 0;
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        struct column *column = name != NULL ? find_column(columns, name) : NULL;
        if (column != NULL && sqlite3_column_int(stmt, 1) == 1) {
            column->is_unique = true;
        }
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

/* SQLite's rules for the affinity of a declared type. */
enum affinity { AFF_INTEGER, AFF_TEXT, AFF_BLOB, AFF_REAL, AFF_NUMERIC };

static bool contains(const char *type, const char *part)
{
    size_t len = strlen(part);
    for (; *type != '\0'; type++) {
        if (sqlite3_strnicmp(type, part, (int)len) == 0) {
            return true;
        }
    }
    return false;
}

static enum affinity affinity_of(const char *type)
{
    if (contains(type, "INT")) {
        return AFF_INTEGER;
    }
    if (contains(type, "CHAR") || contains(type, "CLOB") || contains(type, "TEXT")) {
        return AFF_TEXT;
    }
    if (type[0] == '\0' || contains(type, "BLOB") || sqlite3_stricmp(type, "ANY") == 0) {
        return AFF_BLOB;
    }
    if (contains(type, "REAL") || contains(type, "FLOA") || contains(type, "DOUB")) {
        return AFF_REAL;
    }
    return AFF_NUMERIC;
}

/* Would the column store such a value unchanged? A STRICT one refuses what it does not. */
static bool type_fits(enum syncline_type type, enum affinity affinity, bool is_strict)
{
    switch (type) {
    case SYNCLINE_TYPE_DOUBLE:
        return affinity != AFF_TEXT && affinity != AFF_INTEGER;
    case SYNCLINE_TYPE_TEXT:
        return affinity == AFF_TEXT || affinity == AFF_BLOB;
    case SYNCLINE_TYPE_BLOB:
    case SYNCLINE_TYPE_UUID:
    case SYNCLINE_TYPE_UUID_KEY:
        return !is_strict || affinity == AFF_BLOB; /* SQLite converts no blob */
    default:
        return affinity != AFF_TEXT && affinity != AFF_REAL;
    }
}

static enum syncline_status check_field(const struct sl_model *model, const struct sl_field *field,
                                        struct columns *columns, struct sl_error *err)
{
    struct column *column = find_column(columns, field->name);
    if (column == NULL) {
        return sl_fail(err, SYNCLINE_EMODEL,
                       "model '%s', field '%s': table '%s' has no such column", model->name,
                       field->name, model->table);
    }
    if (column->field != NULL) {
        return sl_fail(err, SYNCLINE_EMODEL,
                       "model '%s', field '%s': field '%s' describes the same column; describe it "
                       "once",
                       model->name, field->name, column->field->name);
    }
    column->field = field;
    if (column->is_generated) {
        return sl_fail(err, SYNCLINE_EMODEL,
                       "model '%s', field '%s': the column is generated, so nothing can be stored "
                       "there; leave the field out",
                       model->name, field->name);
    }
    if (!type_fits(field->type, affinity_of(column->type), columns->is_strict)) {
        return sl_fail(err, SYNCLINE_EMODEL,
                       "model '%s', field '%s': a column of type '%s' would change such values; "
                       "describe it by another macro",
                       model->name, field->name, column->type);
    }
    if (field->type == SYNCLINE_TYPE_UUID && !column->is_unique) {
        return sl_fail(
            err, SYNCLINE_EMODEL,
            "model '%s', field '%s': the column needs a unique index of its own: CREATE UNIQUE "
            "INDEX it_is_unique ON %s(%s)",
            model->name, field->name, model->table, field->name);
    }
    if (field->type == SYNCLINE_TYPE_ID && (!column->primary_key || columns->key_is_index ||
                                            sqlite3_stricmp(column->type, "INTEGER") != 0)) {
        return sl_fail(
            err, SYNCLINE_EMODEL,
            "model '%s', field '%s': the column is not an INTEGER PRIMARY KEY by itself, "
            "in a table with rowids",
            model->name, field->name);
    }
    return SYNCLINE_OK;
}

static enum syncline_status check_fields(const struct sl_model *model, struct columns *columns,
                                         struct sl_error *err)
{
    if (columns->count == 0) {
        return sl_fail(err, SYNCLINE_EMODEL,
                       "model '%s': library.db has no table '%s'; create it before opening",
                       model->name, model->table);
    }
    enum syncline_status status = check_field(model, &model->id, columns, err);
    if (status == SYNCLINE_OK) {
        status = check_field(model, &model->uuid, columns, err);
    }
    for (uint32_t i = 0; i < model->field_count && status == SYNCLINE_OK; i++) {
        status = check_field(model, &model->fields[i], columns, err);
    }
    for (size_t i = 0; i < columns->count && status == SYNCLINE_OK; i++) {
        const struct column *column = &columns->items[i];
        if (column->field == NULL && column->not_null && !column->has_default &&
            !column->primary_key && !column->is_generated) {
            status = sl_fail(err, SYNCLINE_EMODEL,
                             "model '%s', field '%s': the column is NOT NULL without a default and "
                             "is not described: records from other devices could not be stored; "
                             "describe it, or give it a default",
                             model->name, column->name);
        }
    }
    return status;
}

/* ---- Foreign keys ---- */

/* A key that the table declares. */
struct foreign_key {
    char from[SL_NAME_SIZE_MAX + 1];
    char table[SL_NAME_SIZE_MAX + 1];
    char to[SL_NAME_SIZE_MAX + 1]; /* "": the primary key */
    bool is_compound;              /* of several columns; this is one of them */
};

/* Of a column that stays on this device. */
static enum syncline_status check_local_key(const struct sl_model *model,
                                            const struct sl_model_set *set,
                                            const struct column *column,
                                            const struct foreign_key *key, struct sl_error *err)
{
    for (size_t i = 0; i < set->count; i++) {
        if (sqlite3_stricmp(set->models[i].table, key->table) == 0) {
            return sl_fail(err, SYNCLINE_EMODEL,
                           "model '%s', field '%s': the column is a foreign key to '%s', whose "
                           "records come and go as other devices want, and is not described; "
                           "describe it by SYNCLINE_KEY, or drop its REFERENCES",
                           model->name, column->name, key->table);
        }
    }
    if (column->has_default) {
        return sl_fail(err, SYNCLINE_EMODEL,
                       "model '%s', field '%s': the column is a foreign key with a default, and is "
                       "not described: records from other devices would point at a row of '%s' "
                       "that may not be there; let it be NULL, or drop its REFERENCES",
                       model->name, column->name, key->table);
    }
    return SYNCLINE_OK;
}

static enum syncline_status check_foreign_key(const struct sl_model *model,
                                              const struct sl_model_set *set,
                                              struct columns *columns,
                                              const struct foreign_key *key, struct sl_error *err)
{
    const struct column *column = find_column(columns, key->from);
    if (column == NULL) {
        return SYNCLINE_OK;
    }
    const struct sl_field *field = column->field;
    if (field != NULL && key->is_compound) {
        return sl_fail(err, SYNCLINE_EMODEL,
                       "model '%s', field '%s': the column is part of a foreign key of several "
                       "columns to '%s', which cannot be described; point at its id or UUID",
                       model->name, field->name, key->table);
    }
    if (field == NULL) {
        return check_local_key(model, set, column, key, err);
    }
    if (field->parent == NULL) {
        return sl_fail(
            err, SYNCLINE_EMODEL,
            "model '%s', field '%s': the column is a foreign key to '%s'; describe it by "
            "SYNCLINE_KEY",
            model->name, field->name, key->table);
    }
    const char *wanted =
        field->type == SYNCLINE_TYPE_KEY ? field->parent->id.name : field->parent->uuid.name;
    bool right_column = key->to[0] == '\0' ? field->type == SYNCLINE_TYPE_KEY
                                           : sqlite3_stricmp(key->to, wanted) == 0;
    if (sqlite3_stricmp(key->table, field->parent->table) != 0 || !right_column) {
        return sl_fail(
            err, SYNCLINE_EMODEL,
            "model '%s', field '%s': the column is a foreign key to '%s', and is described "
            "as one to '%s'.'%s'",
            model->name, field->name, key->table, field->parent->table, wanted);
    }
    return SYNCLINE_OK;
}

/* A column may have several. */
static enum syncline_status check_foreign_keys(const struct sl_db *db, const struct sl_model *model,
                                               const struct sl_model_set *set,
                                               struct columns *columns, struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status =
        prepare_for(db,
                    "SELECT f.\"from\",f.\"table\",f.\"to\",(SELECT count(*)>1 FROM"
                    " pragma_foreign_key_list(?1) g WHERE g.id=f.id)"
                    " FROM pragma_foreign_key_list(?1) f ORDER BY f.id DESC, f.seq",
                    model->table, &stmt, err);
    bool row = true;
    while (status == SYNCLINE_OK) {
        struct foreign_key key;
        status = sl_db_row(db, stmt, &row, err);
        if (status != SYNCLINE_OK || !row) {
            break;
        }
        copy_name(key.from, sizeof(key.from), stmt, 0);
        copy_name(key.table, sizeof(key.table), stmt, 1);
        copy_name(key.to, sizeof(key.to), stmt, 2);
        key.is_compound = sqlite3_column_int(stmt, 3) != 0;
        status = check_foreign_key(model, set, columns, &key, err);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

static void learn_required(struct sl_model *model, struct columns *columns)
{
    for (uint32_t i = 0; i < model->field_count; i++) {
        const struct column *column = find_column(columns, model->fields[i].name);
        model->fields[i].not_null = column != NULL && column->not_null;
    }
    sl_model_set_required(model);
}

enum syncline_status sl_record_table_check(struct sl_record_table *table, struct sl_model_set *set,
                                           struct sl_error *err)
{
    struct columns columns = {0};
    const struct sl_model *model = table->model;
    enum syncline_status status = read_columns(table->db, set->alloc, model->table, &columns, err);
    if (status == SYNCLINE_OK) {
        status = read_indexes(table->db, model->table, &columns, err);
    }
    if (status == SYNCLINE_OK) {
        status = check_fields(model, &columns, err);
    }
    if (status == SYNCLINE_OK) {
        status = check_foreign_keys(table->db, model, set, &columns, err);
    }
    if (status == SYNCLINE_OK) {
        learn_required(&set->models[model->index], &columns);
    }
    sl_free(set->alloc, columns.items);
    return status;
}

enum syncline_status sl_record_table_note_keys(const struct sl_db *db, struct sl_model *model,
                                               struct sl_error *err)
{
    sqlite3_stmt *stmt = NULL;
    enum syncline_status status = prepare_for(
        db, "SELECT \"from\" FROM pragma_foreign_key_list(?1)", model->table, &stmt, err);
    bool row = true;
    while (status == SYNCLINE_OK) {
        status = sl_db_row(db, stmt, &row, err);
        if (status != SYNCLINE_OK || !row) {
            break;
        }
        const char *column = (const char *)sqlite3_column_text(stmt, 0);
        for (uint32_t f = 0; f < model->field_count && column != NULL; f++) {
            struct sl_field *field = &model->fields[f];
            if (field->type == SYNCLINE_TYPE_UUID_KEY &&
                sqlite3_stricmp(column, field->name) == 0) {
                field->is_checked = true;
            }
        }
    }
    (void)sqlite3_finalize(stmt);
    return status;
}
