/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/record_table.h"

#include "storage/value_list.h"
#include "tests/unit/failing_malloc.h"
#include "tests/unit/storage_fixture.h"

struct row {
    int64_t id;
    struct syncline_uuid uuid;
    struct syncline_opt_int64 folder_id;
    struct syncline_uuid tag;
    int64_t size;
    double rating;
    bool seen;
    int64_t made_at;
    const char *name;
    struct syncline_bytes data;
};

static const struct syncline_field folder_fields[] = {SYNCLINE_ID(struct row, id),
                                                      SYNCLINE_UUID(struct row, uuid)};
static const struct syncline_model folder_model =
    SYNCLINE_MODEL("folder", "folders", SYNCLINE_SHARED, struct row, folder_fields);
static const struct syncline_field fields[] = {
    SYNCLINE_ID(struct row, id),
    SYNCLINE_UUID(struct row, uuid),
    SYNCLINE_KEY(struct row, folder_id, "folder"),
    SYNCLINE_UUID_KEY(struct row, tag, "folder"),
    SYNCLINE_INT64(struct row, size),
    SYNCLINE_DOUBLE(struct row, rating),
    SYNCLINE_BOOL(struct row, seen),
    SYNCLINE_TIME(struct row, made_at),
    SYNCLINE_TEXT(struct row, name),
    SYNCLINE_BLOB(struct row, data),
};
static const struct syncline_model file_model =
    SYNCLINE_MODEL("file", "files", SYNCLINE_SHARED, struct row, fields);

/* The columns of a table that bears the descriptor out, to be replaced one at a time. */
static const char *const names[] = {"id",     "uuid", "folder_id", "tag",  "size",
                                    "rating", "seen", "made_at",   "name", "data"};
static const char *const columns[] = {"id INTEGER PRIMARY KEY",
                                      "uuid BLOB NOT NULL UNIQUE",
                                      "folder_id INTEGER REFERENCES folders(id)",
                                      "tag BLOB REFERENCES folders(uuid)",
                                      "size INTEGER",
                                      "rating REAL",
                                      "seen BOOLEAN",
                                      "made_at INTEGER NOT NULL",
                                      "name TEXT",
                                      "data BLOB"};
#define COLUMNS (sizeof(names) / sizeof(names[0]))

static struct sl_db db;
static struct sl_model_set set;

static void start(void)
{
    const struct syncline_model *models[] = {&file_model, &folder_model};
    OK(sl_db_open(&db, sl_env_posix(), ":memory:", "library.db", SL_DB_CREATE, 0, &err));
    OK(sl_value_list_register(&db, &err));
    OK(sl_model_set_init(&set, &sl_allocator_libc, models, 2, &err));
}

static void stop(void)
{
    sl_model_set_fini(&set);
    sl_db_close(&db);
}

TestSuite(record_check, .init = start, .fini = stop);

static enum syncline_status check_in_set(struct sl_model_set *all, const struct sl_model *model)
{
    struct sl_record_table table;
    sl_record_table_init(&table, &db, model);
    enum syncline_status status = sl_record_table_check(&table, all, &err);
    sl_record_table_fini(&table);
    return status;
}

static enum syncline_status check_model(const struct sl_model *model)
{
    return check_in_set(&set, model);
}

/* Checks a table with `column` declared as `declared` (NULL: left out), and with `more` after all
 * columns and `options` after the table. */
static enum syncline_status check_table(const char *column, const char *declared, const char *more,
                                        const char *options)
{
    char sql[2048];
    int len = snprintf(sql, sizeof(sql),
                       "DROP TABLE IF EXISTS files; DROP TABLE IF EXISTS folders;"
                       "CREATE TABLE folders(id INTEGER PRIMARY KEY, uuid BLOB UNIQUE);"
                       "CREATE TABLE files(");
    const char *comma = "";
    for (size_t i = 0; i < COLUMNS; i++) {
        bool is_it = column != NULL && strcmp(names[i], column) == 0;
        const char *text = is_it ? declared : columns[i];
        if (text != NULL) {
            len += snprintf(sql + len, sizeof(sql) - (size_t)len, "%s%s", comma, text);
            comma = ",";
        }
    }
    (void)snprintf(sql + len, sizeof(sql) - (size_t)len, "%s)%s", more, options);
    OK(sl_db_exec(&db, sql, &err));
    return check_model(&set.models[0]);
}

static enum syncline_status check(const char *column, const char *declared)
{
    return check_table(column, declared, "", "");
}

/* The table that bears it out is taken, in whatever spelling SQLite takes for the same. */
Test(record_check, good_tables)
{
    OK(check(NULL, NULL));
    OK(check("id", "ID integer primary key autoincrement"));
    OK(check("uuid", "\"UUID\" UNIQUE"));
    OK(check_table("uuid", "uuid BLOB", ",UNIQUE(uuid)", ""));
    OK(check("folder_id", "folder_id INTEGER"));            /* no declared key is needed */
    OK(check("folder_id", "folder_id REFERENCES FOLDERS")); /* the parent's primary key */
    OK(check_table(NULL, NULL, ",local NOT NULL DEFAULT 5", ""));
    OK(check_table(NULL, NULL, ",local TEXT", ""));
    OK(check_table(NULL, NULL, ",sum AS (size+1)", ""));
    OK(check("uuid", "uuid BLOB"
                     " UNIQUE ON CONFLICT ABORT"));
    OK(check_model(&set.models[1]));
}

/* A table or column that is not there is named. */
Test(record_check, missing)
{
    FAILS(check_model(&set.models[0]), SYNCLINE_EMODEL, "model 'file': library.db has no table");
    for (size_t i = 0; i < COLUMNS; i++) {
        char wanted[96];
        (void)snprintf(wanted, sizeof(wanted),
                       "model 'file', field '%s': table 'files' has no such column", names[i]);
        FAILS(check(names[i], NULL), SYNCLINE_EMODEL, wanted);
    }
}

/* A type that would change values on the way into the table is refused; what keeps them is not. */
Test(record_check, type_affinity)
{
    static const struct {
        const char *column;
        const char *type;
        bool fits;
    } cases[] = {
        {"size", "INT", true},
        {"size", "BIGINT", true},
        {"size", "NUMERIC", true},
        {"size", "DATETIME", true},
        {"size", "", true},
        {"size", "BLOB", true},
        {"size", "TEXT", false},
        {"size", "VARCHAR(9)", false},
        {"size", "REAL", false},
        {"size", "FLOAT", false},
        {"size", "CHARINT", true},
        {"made_at", "CLOB", false},
        {"seen", "DOUBLE", false},
        {"seen", "BOOLEAN", true},
        {"rating", "DOUBLE", true},
        {"rating", "NUMERIC", true},
        {"rating", "INTEGER", false},
        {"rating", "TEXT", false},
        {"rating", "", true},
        {"name", "TEXT", true},
        {"name", "NVARCHAR(5)", true},
        {"name", "BLOB", true},
        {"name", "", true},
        {"name", "INTEGER", false},
        {"name", "REAL", false},
        {"name", "STRING", false},
        {"data", "TEXT", true},
        {"data", "INTEGER", true},
        {"tag", "INTEGER", true},
        {"folder_id", "TEXT", false},
        {"folder_id", "REAL", false},
        {"folder_id", "", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char declared[64];
        char wanted[128];
        (void)snprintf(declared, sizeof(declared), "%s %s", cases[i].column, cases[i].type);
        (void)snprintf(wanted, sizeof(wanted),
                       "model 'file', field '%s': a column of type '%s' would change",
                       cases[i].column, cases[i].type);
        if (cases[i].fits) {
            OK(check(cases[i].column, declared));
        } else {
            FAILS(check(cases[i].column, declared), SYNCLINE_EMODEL, wanted);
        }
    }
}

/* The UUID column has a unique index of its own: not none, a partial one or one of two columns. */
Test(record_check, uuid_needs_a_unique_index)
{
    const char *wanted = "model 'file', field 'uuid': the column needs a unique index of its own";
    FAILS(check("uuid", "uuid BLOB"), SYNCLINE_EMODEL, wanted);
    FAILS(check_table("uuid", "uuid BLOB", ",UNIQUE(uuid,size)", ""), SYNCLINE_EMODEL, wanted);
    FAILS(check("uuid", "uuid BLOB"), SYNCLINE_EMODEL, wanted);
    OK(sl_db_exec(&db, "CREATE INDEX plain ON files(uuid)", &err));
    FAILS(check_model(&set.models[0]), SYNCLINE_EMODEL, wanted);
    OK(sl_db_exec(&db, "CREATE UNIQUE INDEX part ON files(uuid) WHERE size>5", &err));
    FAILS(check_model(&set.models[0]), SYNCLINE_EMODEL, wanted);
    OK(sl_db_exec(&db, "CREATE UNIQUE INDEX of_a_term ON files(hex(uuid))", &err));
    FAILS(check_model(&set.models[0]), SYNCLINE_EMODEL, wanted);
    OK(sl_db_exec(&db, "CREATE UNIQUE INDEX whole ON files(uuid)", &err));
    OK(check_model(&set.models[0]));
}

/* The id is the rowid: INTEGER PRIMARY KEY by itself, or SQLite would not choose it. */
Test(record_check, id_is_the_rowid)
{
    const char *wanted = "model 'file', field 'id': the column is not an INTEGER PRIMARY KEY";
    FAILS(check("id", "id INTEGER"), SYNCLINE_EMODEL, wanted);
    FAILS(check("id", "id INTEGER UNIQUE"), SYNCLINE_EMODEL, wanted);
    FAILS(check("id", "id INT PRIMARY KEY"), SYNCLINE_EMODEL, wanted);
    FAILS(check("id", "id BIGINT PRIMARY KEY"), SYNCLINE_EMODEL, wanted);
    FAILS(check("id", "id INTEGER PRIMARY KEY DESC"), SYNCLINE_EMODEL, wanted);
    FAILS(check_table("id", "id INTEGER", ",PRIMARY KEY(id,size)", ""), SYNCLINE_EMODEL, wanted);
    FAILS(check_table(NULL, NULL, "", "WITHOUT ROWID"), SYNCLINE_EMODEL, wanted);
    OK(check_table("id", "id INTEGER", ",PRIMARY KEY(id)", ""));
}

/* A declared foreign key and the descriptor say the same: that it is one, and to what. */
Test(record_check, foreign_keys)
{
    FAILS(check("size", "size INTEGER REFERENCES folders(id)"), SYNCLINE_EMODEL,
          "model 'file', field 'size': the column is a foreign key to 'folders'; describe it by "
          "SYNCLINE_KEY");
    FAILS(check("folder_id", "folder_id INTEGER REFERENCES files(id)"), SYNCLINE_EMODEL,
          "model 'file', field 'folder_id': the column is a foreign key to 'files', and is "
          "described as one to 'folders'.'id'");
    FAILS(check("folder_id", "folder_id INTEGER REFERENCES folders(uuid)"), SYNCLINE_EMODEL,
          "field 'folder_id': the column is a foreign key to 'folders'");
    FAILS(check("tag", "tag BLOB REFERENCES folders(id)"), SYNCLINE_EMODEL,
          "field 'tag': the column is a foreign key to 'folders', and is described as one to "
          "'folders'.'uuid'");
    FAILS(check("tag", "tag BLOB REFERENCES folders"), SYNCLINE_EMODEL, "field 'tag'");
    /* Each key of a column counts, not the last one alone. */
    OK(check("folder_id", "folder_id INTEGER REFERENCES folders(id) REFERENCES folders"));
    FAILS(check("folder_id", "folder_id INTEGER REFERENCES folders(id) REFERENCES files(id)"),
          SYNCLINE_EMODEL, "field 'folder_id': the column is a foreign key to 'files'");
    FAILS(check("folder_id", "folder_id INTEGER REFERENCES files(id) REFERENCES folders(id)"),
          SYNCLINE_EMODEL, "field 'folder_id': the column is a foreign key to 'files'");
    FAILS(check_table(NULL, NULL, ",FOREIGN KEY(folder_id,tag) REFERENCES folders(id,uuid)", ""),
          SYNCLINE_EMODEL,
          "model 'file', field 'folder_id': the column is part of a foreign key of several columns "
          "to 'folders'");
}

/* A column that stays here may point at rows that stay here, if it need not: never at records that
 * sync, which go when another device deletes them. */
Test(record_check, keys_that_are_not_described)
{
    OK(sl_db_exec(&db, "CREATE TABLE colors(id INTEGER PRIMARY KEY)", &err));
    OK(check_table(NULL, NULL, ",color REFERENCES colors", ""));
    OK(check_table(NULL, NULL, ",color DEFAULT NULL REFERENCES colors", ""));
    FAILS(check_table(NULL, NULL, ",color DEFAULT 1 REFERENCES colors", ""), SYNCLINE_EMODEL,
          "model 'file', field 'color': the column is a foreign key with a default, and is not "
          "described");
    FAILS(check_table(NULL, NULL, ",other_id REFERENCES FOLDERS(id)", ""), SYNCLINE_EMODEL,
          "model 'file', field 'other_id': the column is a foreign key to 'FOLDERS'");
    FAILS(check_table(NULL, NULL, ",twin REFERENCES files", ""), SYNCLINE_EMODEL, "field 'twin'");
    FAILS(check_table(NULL, NULL, ",x,y,FOREIGN KEY(x,y) REFERENCES folders(id,uuid)", ""),
          SYNCLINE_EMODEL, "field 'x'");
}

/* A STRICT table refuses what another one would store as it is. */
Test(record_check, strict)
{
    static const char whole[] =
        "DROP TABLE IF EXISTS files; CREATE TABLE files(id INTEGER PRIMARY KEY, uuid %s UNIQUE,"
        " folder_id INT, tag %s, size INTEGER, rating REAL, seen INT, made_at INT, name TEXT,"
        " data %s) STRICT";
    static const char *const cases[][4] = {{"BLOB", "BLOB", "BLOB", NULL},
                                           {"ANY", "ANY", "ANY", NULL},
                                           {"TEXT", "BLOB", "BLOB", "field 'uuid'"},
                                           {"BLOB", "INTEGER", "BLOB", "field 'tag'"},
                                           {"BLOB", "BLOB", "TEXT", "field 'data'"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char sql[512];
        (void)snprintf(sql, sizeof(sql), whole, cases[i][0], cases[i][1], cases[i][2]);
        OK(sl_db_exec(&db, sql, &err));
        if (cases[i][3] == NULL) {
            OK(check_model(&set.models[0]));
        } else {
            FAILS(check_model(&set.models[0]), SYNCLINE_EMODEL, cases[i][3]);
        }
    }
}

/* Nothing can be stored in a generated column; a view has no rows of its own. */
Test(record_check, not_stored)
{
    FAILS(check("size", "size INTEGER AS (id+1)"), SYNCLINE_EMODEL,
          "model 'file', field 'size': the column is generated");
    FAILS(check("size", "size INTEGER AS (id+1) STORED"), SYNCLINE_EMODEL,
          "model 'file', field 'size': the column is generated");
    OK(check_table(NULL, NULL, ",sum INTEGER NOT NULL AS (size+1)", ""));
    OK(sl_db_exec(&db,
                  "ALTER TABLE files RENAME TO real_files;"
                  "CREATE VIEW files AS SELECT * FROM real_files",
                  &err));
    FAILS(check_model(&set.models[0]), SYNCLINE_EMODEL, "model 'file', field 'id'");
}

/* What no field names must be able to stay empty. */
Test(record_check, columns_that_are_not_described)
{
    FAILS(check_table(NULL, NULL, ",must NOT NULL", ""), SYNCLINE_EMODEL,
          "model 'file', field 'must': the column is NOT NULL without a default and is not "
          "described");
    FAILS(check_table(NULL, NULL, ",must NOT NULL DEFAULT NULL", ""), SYNCLINE_EMODEL,
          "field 'must'");
}

struct twice_row {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t size;
    int64_t Size;
};

/* SQLite knows one column by both names. */
Test(record_check, one_column_twice)
{
    static const struct syncline_field twice_fields[] = {
        SYNCLINE_ID(struct twice_row, id), SYNCLINE_UUID(struct twice_row, uuid),
        SYNCLINE_INT64(struct twice_row, size), SYNCLINE_INT64(struct twice_row, Size)};
    static const struct syncline_model twice =
        SYNCLINE_MODEL("twice", "files", SYNCLINE_SHARED, struct twice_row, twice_fields);
    const struct syncline_model *models[] = {&twice};
    struct sl_model_set twice_set;
    OK(sl_model_set_init(&twice_set, &sl_allocator_libc, models, 1, &err));
    OK(check(NULL, NULL));
    FAILS(check_in_set(&twice_set, &twice_set.models[0]), SYNCLINE_EMODEL,
          "model 'twice', field 'Size': field 'size' describes the same column");
    sl_model_set_fini(&twice_set);
}

struct odd_row {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t order;
};

/* Names that SQL would read otherwise - keywords, quotes, spaces - are names like any other, in the
 * check and in every statement after it. */
Test(record_check, odd_names)
{
    static const struct syncline_field odd_fields[] = {
        {.name = "the \"id\"", .offset = offsetof(struct odd_row, id), .type = SYNCLINE_TYPE_ID},
        {.name = "uu'id", .offset = offsetof(struct odd_row, uuid), .type = SYNCLINE_TYPE_UUID},
        SYNCLINE_INT64(struct odd_row, order)};
    static const struct syncline_model odd =
        SYNCLINE_MODEL("odd", "my \"odd\"; table", SYNCLINE_SHARED, struct odd_row, odd_fields);
    const struct syncline_model *models[] = {&odd};
    struct sl_model_set odd_set;
    OK(sl_model_set_init(&odd_set, &sl_allocator_libc, models, 1, &err));
    OK(sl_db_exec(&db,
                  "CREATE TABLE \"my \"\"odd\"\"; table\"(\"the \"\"id\"\"\" INTEGER PRIMARY KEY,"
                  "\"uu'id\" BLOB UNIQUE, \"order\" INTEGER)",
                  &err));
    OK(check_in_set(&odd_set, &odd_set.models[0]));
    struct sl_record_table table;
    struct syncline_uuid uuid = {{1}};
    struct sl_value value = {.type = SL_INT64, .as = {.int64 = 5}};
    struct sl_arena arena;
    const struct sl_field *orphan = NULL;
    bool done = false;
    int64_t id = 0;
    uint64_t count = 0;
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    sl_arena_init(&arena, &sl_allocator_libc);
    sl_record_table_init(&table, &db, &odd_set.models[0]);
    OK(sl_record_insert(&table, &uuid, &value, &done, &id, &err));
    cr_assert(done);
    value.as.int64 = 6;
    OK(sl_record_update(&table, id, &value, &err));
    OK(sl_record_id(&table, &uuid, &done, &id, &err));
    cr_assert(done);
    OK(sl_record_ids(&table, &uuid, 1, &id, &err));
    done = false;
    OK(sl_record_uuids(&table, &id, 1, &done, &uuid, &err));
    cr_assert(done);
    OK(sl_record_read(&table, id, &arena, &done, &uuid, &value, &orphan, &err));
    cr_assert(done && value.as.int64 == 6);
    OK(sl_record_digest(&table, hasher, &count, &err));
    cr_assert_eq(count, 1);
    OK(sl_record_delete(&table, id, &err));
    sl_record_table_fini(&table);
    sl_hasher_free(hasher);
    sl_arena_fini(&arena);
    sl_model_set_fini(&odd_set);
}

/* Without memory the check says so, and nothing of the table. */
Test(record_check, no_memory)
{
    if (!SL_MALLOC_CAN_FAIL) {
        cr_skip_test("the sanitizer has an allocator of its own");
    }
    OK(check(NULL, NULL));
    int refused = 0;
    bool has_failed = true;
    for (long n = 1; has_failed; n++) {
        (void)sl_malloc_fail_at(n);
        enum syncline_status status = check_model(&set.models[0]);
        has_failed = sl_malloc_fail_at(0);
        cr_assert(status == SYNCLINE_OK || (has_failed && status == SYNCLINE_ENOMEM),
                  "allocation %ld: %s: %s", n, syncline_status_name(status), err.text);
        refused += status == SYNCLINE_ENOMEM;
    }
    cr_assert_geq(refused, 10);
}
