/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/record_table.h"

#include "base/bytes.h"
#include "storage/value_list.h"

#include "tests/unit/storage_fixture.h"

struct row {
    int64_t id;
    struct syncline_uuid uuid;
    struct syncline_opt_int64 parent_id;
    struct syncline_opt_int64 size;
    struct syncline_opt_double rating;
    bool seen;
    struct syncline_text name;
    struct syncline_bytes data;
};
enum { PARENT, SIZE, RATING, SEEN, NAME, DATA, FIELDS };

static const struct syncline_field fields[] = {
    SYNCLINE_ID(struct row, id),
    SYNCLINE_UUID(struct row, uuid),
    SYNCLINE_KEY(struct row, parent_id, "thing"),
    SYNCLINE_INT64(struct row, size),
    SYNCLINE_DOUBLE(struct row, rating),
    SYNCLINE_BOOL(struct row, seen),
    SYNCLINE_TEXT(struct row, name),
    SYNCLINE_BLOB(struct row, data),
};
static const struct syncline_model thing =
    SYNCLINE_MODEL("thing", "things", SYNCLINE_SHARED, struct row, fields);
static const struct syncline_field bare_fields[] = {SYNCLINE_ID(struct row, id),
                                                    SYNCLINE_UUID(struct row, uuid)};
static const struct syncline_model bare =
    SYNCLINE_MODEL("bare", "bares", SYNCLINE_SHARED, struct row, bare_fields);

static struct sl_db db;
static struct sl_model_set set;
static struct sl_record_table table;
static struct sl_arena arena;

static void start(void)
{
    const struct syncline_model *models[] = {&thing, &bare};
    OK(sl_model_set_init(&set, &sl_allocator_libc, models, 2, &err));
    OK(sl_db_open(&db, sl_env_posix(), ":memory:", "library.db", SL_DB_CREATE, 0, &err));
    OK(sl_db_exec(&db,
                  "CREATE TABLE things(id INTEGER PRIMARY KEY, uuid BLOB UNIQUE,"
                  " parent_id INTEGER REFERENCES things(id), size INTEGER CHECK(size<100),"
                  " rating REAL, seen BOOLEAN NOT NULL, name TEXT UNIQUE, data BLOB);"
                  "CREATE TABLE bares(id INTEGER PRIMARY KEY, uuid BLOB UNIQUE)",
                  &err));
    OK(sl_value_list_register(&db, &err));
    sl_record_table_init(&table, &db, &set.models[0]);
    sl_arena_init(&arena, &sl_allocator_libc);
}

static void stop(void)
{
    sl_record_table_fini(&table);
    cr_assert_eq(sqlite3_close(db.handle), SQLITE_OK); /* no statement is left */
    sl_arena_fini(&arena);
    sl_model_set_fini(&set);
}

TestSuite(record_table, .init = start, .fini = stop);

static struct syncline_uuid uuid_of(uint8_t last)
{
    struct syncline_uuid uuid = {{[15] = last}};
    return uuid;
}

static void fill(struct sl_value values[FIELDS])
{
    memset(values, 0, FIELDS * sizeof(*values));
    values[SIZE] = (struct sl_value){.type = SL_INT64, .as = {.int64 = INT64_MIN}};
    values[RATING] = (struct sl_value){.type = SL_DOUBLE, .as = {.real = 2.0}};
    values[SEEN] = (struct sl_value){.type = SL_BOOL, .as = {.int64 = 1}};
    values[NAME] = (struct sl_value){.type = SL_TEXT, .size = 3, .as = {.data = "a\0b"}};
    values[DATA] = (struct sl_value){.type = SL_BLOB, .size = 0, .as = {.data = ""}};
}

static int64_t insert(uint8_t name, const struct sl_value values[FIELDS])
{
    struct syncline_uuid uuid = uuid_of(name);
    bool inserted = false;
    int64_t id = 0;
    OK(sl_record_insert(&table, &uuid, values, &inserted, &id, &err));
    cr_assert(inserted);
    return id;
}

static const struct sl_field *read(int64_t id, struct sl_value values[FIELDS])
{
    struct syncline_uuid uuid;
    const struct sl_field *orphan = NULL;
    bool found = false;
    OK(sl_record_read(&table, id, &arena, &found, &uuid, values, &orphan, &err));
    cr_assert(found);
    return orphan;
}

/* Values go in and come out as the same, NULLs, NULs and empty ones too; keys come out as UUIDs. */
Test(record_table, round_trip)
{
    struct sl_value values[FIELDS];
    struct sl_value got[FIELDS];
    fill(values);
    int64_t parent = insert(1, values);
    cr_assert_null(read(parent, got));
    cr_assert_eq(got[PARENT].type, SL_NULL);
    cr_assert(got[SIZE].type == SL_INT64 && got[SIZE].as.int64 == INT64_MIN);
    cr_assert(got[RATING].type == SL_DOUBLE && got[RATING].as.real == 2.0);
    cr_assert(got[SEEN].type == SL_BOOL && got[SEEN].as.int64 == 1);
    cr_assert(got[NAME].type == SL_TEXT && got[NAME].size == 3);
    cr_assert_eq(memcmp(got[NAME].as.data, "a\0b", 3), 0);
    cr_assert(got[DATA].type == SL_BLOB && got[DATA].size == 0 && got[DATA].as.data != NULL);

    values[PARENT] = (struct sl_value){.type = SL_INT64, .as = {.int64 = parent}};
    values[SIZE].type = SL_NULL;
    values[RATING].type = SL_NULL;
    values[NAME].type = SL_NULL;
    values[DATA].type = SL_NULL;
    int64_t child = insert(2, values);
    cr_assert_null(read(child, got));
    struct syncline_uuid uuid = uuid_of(1);
    cr_assert(got[PARENT].type == SL_BLOB && got[PARENT].size == 16);
    cr_assert_eq(memcmp(got[PARENT].as.data, &uuid, 16), 0);
    for (int i = SIZE; i < FIELDS; i++) {
        cr_assert(i == SEEN || got[i].type == SL_NULL);
    }
}

/* What SQLite or another program stored in another way is the same value. */
Test(record_table, stored_in_another_way)
{
    struct sl_value got[FIELDS];
    OK(sl_db_exec(&db, "INSERT INTO things VALUES(5,zeroblob(16),NULL,NULL,3,7,NULL,NULL)", &err));
    cr_assert_null(read(5, got));
    cr_assert(got[RATING].type == SL_DOUBLE && got[RATING].as.real == 3.0);
    cr_assert(got[SEEN].type == SL_BOOL && got[SEEN].as.int64 == 1);
}

/* A key whose parent is not there is told by its field, and read as NULL. */
Test(record_table, orphans_are_told)
{
    struct sl_value got[FIELDS];
    OK(sl_db_exec(&db,
                  "PRAGMA foreign_keys=OFF; INSERT INTO things(id,uuid,parent_id,seen)"
                  " VALUES(5,zeroblob(16),77,0)",
                  &err));
    cr_assert_eq(read(5, got), &set.models[0].fields[PARENT]);
    cr_assert_eq(got[PARENT].type, SL_NULL);
}

/* Ids and UUIDs name each other; who is not there is not found. */
Test(record_table, ids_and_uuids)
{
    struct sl_value values[FIELDS];
    struct syncline_uuid uuid = uuid_of(1);
    struct syncline_uuid got;
    const struct sl_field *orphan = NULL;
    bool found = true;
    int64_t id = 0;
    fill(values);
    OK(sl_record_id(&table, &uuid, &found, &id, &err));
    cr_assert(!found);
    int64_t inserted = insert(1, values);
    OK(sl_record_id(&table, &uuid, &found, &id, &err));
    cr_assert(found && id == inserted);
    found = false;
    OK(sl_record_uuids(&table, (int64_t[]){id}, 1, &found, &got, &err));
    cr_assert(found && memcmp(&got, &uuid, 16) == 0);
    found = false;
    OK(sl_record_uuids(&table, (int64_t[]){99}, 1, &found, &got, &err));
    cr_assert(!found);
    OK(sl_record_read(&table, 99, &arena, &found, &got, values, &orphan, &err));
    cr_assert(!found);
    OK(sl_db_exec(&db, "UPDATE things SET uuid=NULL", &err));
    OK(sl_record_uuids(&table, (int64_t[]){id}, 1, &found, &got, &err));
    cr_assert(!found);
    found = true;
    OK(sl_record_read(&table, id, &arena, &found, &got, values, &orphan, &err));
    cr_assert(!found);
}

/* A list is one query, whatever its length: each place gets its own answer, in any order, also
 * twice, and what is known or not there is left as it is. */
Test(record_table, lists_are_one_query)
{
    enum { LEN = 1000 };
    static int64_t ids[LEN + 4];
    static int64_t ids_got[LEN + 4];
    static struct syncline_uuid uuids[LEN + 4];
    static struct syncline_uuid uuids_got[LEN + 4];
    static bool found[LEN + 4];
    OK(sl_db_exec(&db,
                  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<2000)"
                  " INSERT INTO things(id,uuid,seen)"
                  " SELECT i,CAST(printf('uuid of %8d',i) AS BLOB),1 FROM n",
                  &err));
    for (int i = 0; i < LEN; i++) {
        char text[20];
        ids[i] = 1 + (i * 7) % 2000;
        (void)snprintf(text, sizeof(text), "uuid of %8d", (int)ids[i]);
        memcpy(uuids[i].bytes, text, sizeof(uuids[i].bytes));
    }
    ids[LEN] = 99999; /* not there */
    ids[LEN + 1] = ids[0];
    uuids[LEN + 1] = uuids[0];
    ids[LEN + 2] = ids[1]; /* known already */
    found[LEN + 2] = true;
    ids[LEN + 3] = INT64_MIN; /* not there */
    OK(sl_record_uuids(&table, ids, LEN + 4, found, uuids_got, &err));
    cr_assert_eq(table.key_queries, 1);
    cr_assert_eq(memcmp(uuids_got, uuids, (LEN + 2) * sizeof(*uuids)), 0);
    for (int i = 0; i < LEN + 4; i++) {
        cr_assert_eq(found[i], i != LEN && i != LEN + 3, "%d", i);
    }
    cr_assert_eq(uuids_got[LEN + 2].bytes[0], 0);
    ids[LEN] = ids[LEN + 2] = ids[LEN + 3] = 0;
    OK(sl_record_ids(&table, uuids, LEN + 4, ids_got, &err));
    cr_assert_eq(table.key_queries, 2);
    cr_assert_eq(memcmp(ids_got, ids, sizeof(ids)), 0);
    OK(sl_record_uuids(&table, ids, 0, found, uuids_got, &err)); /* an empty list is one too */
    OK(sl_record_ids(&table, uuids, 0, ids_got, &err));
}

/* Records are looked up by primary key and by the index of the UUID: no query reads the table. */
Test(record_table, lists_use_indexes)
{
    struct syncline_uuid uuid = uuid_of(1);
    int64_t id = 1;
    bool found = false;
    OK(sl_record_uuids(&table, &id, 1, &found, &uuid, &err));
    OK(sl_record_ids(&table, &uuid, 1, &id, &err));
    int seen = 0;
    for (sqlite3_stmt *stmt = sqlite3_next_stmt(db.handle, NULL); stmt != NULL;
         stmt = sqlite3_next_stmt(db.handle, stmt)) {
        char sql[300];
        (void)snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", sqlite3_sql(stmt));
        sqlite3_stmt *plan = NULL;
        cr_assert_eq(sqlite3_prepare_v2(db.handle, sql, -1, &plan, NULL), SQLITE_OK);
        bool searched = false;
        while (sqlite3_step(plan) == SQLITE_ROW) {
            const char *step = (const char *)sqlite3_column_text(plan, 3);
            searched = searched || strncmp(step, "SEARCH t USING", 14) == 0;
        }
        (void)sqlite3_finalize(plan);
        cr_assert(searched, "%s", sqlite3_sql(stmt));
        seen++;
    }
    cr_assert_eq(seen, 2);
}

/* A UUID that is there already inserts nothing; an update replaces all fields; a delete deletes. */
Test(record_table, writes)
{
    struct sl_value values[FIELDS];
    struct sl_value got[FIELDS];
    struct syncline_uuid uuid = uuid_of(1);
    bool inserted = true;
    int64_t other = 0;
    fill(values);
    int64_t id = insert(1, values);
    values[NAME].type = SL_NULL;
    OK(sl_record_insert(&table, &uuid, values, &inserted, &other, &err));
    cr_assert(!inserted);
    cr_assert_null(read(id, got));
    cr_assert_eq(got[NAME].type, SL_TEXT);
    OK(sl_record_update(&table, id, values, &err));
    cr_assert_null(read(id, got));
    cr_assert_eq(got[NAME].type, SL_NULL);
    OK(sl_record_delete(&table, id, &err));
    cr_assert_eq(query_int(db.handle, "SELECT count(*) FROM things"), 0);
    OK(sl_record_delete(&table, id, &err));
}

/* A constraint of the application's table is EINVAL with SQLite's words, and nothing is written. */
Test(record_table, constraints)
{
    struct sl_value values[FIELDS];
    struct syncline_uuid uuid = uuid_of(2);
    bool inserted = false;
    int64_t id = 0;
    fill(values);
    int64_t first = insert(1, values);
    FAILS(sl_record_insert(&table, &uuid, values, &inserted, &id, &err), SYNCLINE_EINVAL,
          "table 'things': UNIQUE constraint failed: things.name");
    values[NAME].type = SL_NULL;
    values[SIZE].as.int64 = 100;
    FAILS(sl_record_insert(&table, &uuid, values, &inserted, &id, &err), SYNCLINE_EINVAL, "CHECK");
    FAILS(sl_record_update(&table, first, values, &err), SYNCLINE_EINVAL, "CHECK");
    values[SIZE].as.int64 = 1;
    values[PARENT] = (struct sl_value){.type = SL_INT64, .as = {.int64 = 99}};
    FAILS(sl_record_insert(&table, &uuid, values, &inserted, &id, &err), SYNCLINE_EINVAL,
          "FOREIGN KEY");
    values[PARENT].as.int64 = first;
    (void)insert(3, values);
    FAILS(sl_record_delete(&table, first, &err), SYNCLINE_EINVAL, "FOREIGN KEY");
    values[SEEN].type = SL_NULL;
    FAILS(sl_record_update(&table, first, values, &err), SYNCLINE_EINVAL, "NOT NULL");
    cr_assert(!inserted && id == 0);
    cr_assert_eq(query_int(db.handle, "SELECT count(*) FROM things"), 2);
}

/* An ON CONFLICT clause of the application's table decides nothing: no other record is replaced,
 * and the transaction stands. */
Test(record_table, conflict_clauses)
{
    struct sl_value values[FIELDS];
    struct syncline_uuid uuid = uuid_of(2);
    bool inserted = false;
    int64_t id = 0;
    OK(sl_db_exec(&db,
                  "DROP TABLE things; CREATE TABLE things(id INTEGER PRIMARY KEY, uuid BLOB UNIQUE,"
                  " parent_id INTEGER, size INTEGER UNIQUE ON CONFLICT ROLLBACK, rating REAL,"
                  " seen BOOLEAN, name TEXT UNIQUE ON CONFLICT REPLACE, data BLOB)",
                  &err));
    fill(values);
    (void)insert(1, values);
    OK(sl_db_exec(&db, "BEGIN", &err));
    FAILS(sl_record_insert(&table, &uuid, values, &inserted, &id, &err), SYNCLINE_EINVAL, "UNIQUE");
    cr_assert_eq(sqlite3_get_autocommit(db.handle), 0);
    values[SIZE].as.int64++;
    FAILS(sl_record_insert(&table, &uuid, values, &inserted, &id, &err), SYNCLINE_EINVAL, "name");
    OK(sl_db_exec(&db, "COMMIT", &err));
    cr_assert_eq(query_int(db.handle, "SELECT count(*) FROM things"), 1);
}

/* A record that is nothing but its UUID is a record too. */
Test(record_table, records_without_fields)
{
    struct sl_record_table bares;
    struct syncline_uuid uuid = uuid_of(1);
    const struct sl_field *orphan = NULL;
    bool done = false;
    int64_t id = 0;
    sl_record_table_init(&bares, &db, &set.models[1]);
    OK(sl_record_table_check(&bares, &set, &err));
    OK(sl_record_insert(&bares, &uuid, NULL, &done, &id, &err));
    cr_assert(done);
    OK(sl_record_update(&bares, id, NULL, &err));
    OK(sl_record_read(&bares, id, &arena, &done, &uuid, NULL, &orphan, &err));
    cr_assert(done);
    sl_record_table_fini(&bares);
}

static uint64_t digest(uint8_t hash[SL_HASH_SIZE])
{
    uint64_t count = 0;
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    cr_assert_not_null(hasher);
    OK(sl_record_digest(&table, hasher, &count, &err));
    cr_assert(sl_hasher_finish(hasher, hash));
    sl_hasher_free(hasher);
    return count;
}

/* Equal content has one digest, whatever the local ids and the order of insertion; any value
 * another, and it is another. */
Test(record_table, digests)
{
    static const char *const changes[] = {"UPDATE things SET size=2 WHERE id=1",
                                          "UPDATE things SET size=NULL WHERE id=1",
                                          "UPDATE things SET rating=0.0 WHERE id=1",
                                          "UPDATE things SET seen=0 WHERE id=1",
                                          "UPDATE things SET name='y' WHERE id=1",
                                          "UPDATE things SET data=x'00' WHERE id=1",
                                          "UPDATE things SET parent_id=1 WHERE id=1",
                                          "UPDATE things SET uuid=zeroblob(16) WHERE id=1",
                                          "DELETE FROM things WHERE id=2"};
    uint8_t empty[SL_HASH_SIZE];
    uint8_t first[SL_HASH_SIZE];
    uint8_t second[SL_HASH_SIZE];
    cr_assert_eq(digest(empty), 0);
    OK(sl_db_exec(&db,
                  "INSERT INTO things VALUES(1,x'00112233445566778899aabbccddeeff',NULL,1,"
                  "-0.5,1,'x',x''),(2,x'10112233445566778899aabbccddeeff',1,1,1.5,0,'z',NULL)",
                  &err));
    cr_assert_eq(digest(first), 2);
    cr_assert_neq(memcmp(empty, first, sizeof(first)), 0);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        OK(sl_db_exec(&db, "PRAGMA foreign_keys=OFF; BEGIN", &err));
        OK(sl_db_exec(&db, changes[i], &err));
        (void)digest(second);
        cr_assert_neq(memcmp(first, second, sizeof(first)), 0, "%s", changes[i]);
        OK(sl_db_exec(&db, "ROLLBACK", &err));
    }
    OK(sl_db_exec(&db,
                  "DELETE FROM things; INSERT INTO things VALUES"
                  "(7,x'10112233445566778899aabbccddeeff',9,1,1.5,0,'z',NULL),"
                  "(9,x'00112233445566778899aabbccddeeff',NULL,1,-0.5,1,'x',x'')",
                  &err));
    cr_assert_eq(digest(second), 2);
    cr_assert_eq(memcmp(first, second, sizeof(first)), 0);
}

/* The records of a range come in order, its ends among them, whatever else the table holds; each
 * has the hash that a table with it alone has. */
Test(record_table, ranges)
{
    struct sl_record_hash record = {.hash = 0};
    struct syncline_uuid lo = {{0x10}};
    struct syncline_uuid hi = {{0x30}};
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    uint8_t all[SL_HASH_SIZE];
    bool found = false;
    sl_record_range_end(&table); /* none is under way */
    OK(sl_record_range_start(&table, &lo, &hi, &err));
    OK(sl_record_range_next(&table, hasher, &found, &record, &err));
    cr_assert_not(found);
    OK(sl_db_exec(&db,
                  "INSERT INTO things(id,uuid,seen,name) VALUES"
                  "(1,x'30000000000000000000000000000001',0,'behind'),"
                  "(2,x'30000000000000000000000000000000',0,'last'),"
                  "(3,x'10000000000000000000000000000000',0,'first'),"
                  "(4,x'0fffffffffffffffffffffffffffffff',0,'before'),"
                  "(5,x'20',0,'short'),(6,NULL,0,'none'),(7,'2000000000000000',0,'text')",
                  &err));
    OK(sl_record_range_start(&table, &lo, &hi, &err));
    OK(sl_record_range_next(&table, hasher, &found, &record, &err));
    cr_assert(found);
    cr_assert_arr_eq(record.uuid.bytes, lo.bytes, 16);
    cr_assert_eq(record.size, 16 + strlen("first"));
    OK(sl_record_range_next(&table, hasher, &found, &record, &err));
    cr_assert(found);
    cr_assert_arr_eq(record.uuid.bytes, hi.bytes, 16);
    OK(sl_record_range_next(&table, hasher, &found, &record, &err));
    cr_assert_not(found);

    OK(sl_db_exec(&db, "DELETE FROM things WHERE id<>2", &err));
    cr_assert_eq(digest(all), 1);
    cr_assert_eq(record.hash, sl_get_u64(all));
    /* Left before its end, it starts anew. */
    OK(sl_record_range_start(&table, &hi, &hi, &err));
    OK(sl_record_range_next(&table, hasher, &found, &record, &err));
    sl_record_range_end(&table);
    OK(sl_record_range_start(&table, &hi, &hi, &err));
    OK(sl_record_range_next(&table, hasher, &found, &record, &err));
    cr_assert(found);
    sl_hasher_free(hasher);
}

/* A range is also read with ids and values, and listed; a list ends where it is full. */
Test(record_table, ranges_with_values)
{
    struct syncline_uuid lo = uuid_of(2);
    struct syncline_uuid hi = uuid_of(4);
    struct syncline_uuid uuid;
    struct sl_value values[FIELDS];
    struct sl_record_name names[3];
    const struct sl_field *orphan = NULL;
    int64_t ids[6];
    int64_t id = 0;
    uint32_t len = 0;
    bool found = false;
    for (uint8_t i = 1; i < 6; i++) {
        fill(values);
        values[SIZE].as.int64 = i;
        values[NAME].type = SL_NULL;
        ids[i] = insert(i, values);
    }
    OK(sl_db_exec(&db, "INSERT INTO things(uuid,seen) VALUES('short',0)", &err));
    OK(sl_record_range_start(&table, &lo, &hi, &err));
    for (uint8_t i = 2; i < 5; i++) {
        OK(sl_record_range_read(&table, &arena, &found, &id, &uuid, values, &orphan, &err));
        cr_assert(found && id == ids[i] && uuid.bytes[15] == i && values[SIZE].as.int64 == i);
        cr_assert_null(orphan);
    }
    OK(sl_record_range_read(&table, &arena, &found, &id, &uuid, values, &orphan, &err));
    cr_assert_not(found);
    OK(sl_record_list(&table, &lo, &hi, names, 3, &len, &err));
    cr_assert(len == 3 && names[0].id == ids[2] && names[2].uuid.bytes[15] == 4);
    OK(sl_record_list(&table, &lo, &hi, names, 2, &len, &err));
    cr_assert(len == 2 && names[1].id == ids[3]);
    hi = uuid_of(2);
    OK(sl_record_list(&table, &lo, &hi, names, 3, &len, &err));
    cr_assert_eq(len, 1);
}

/* Every call passes on that its table is gone. */
Test(record_table, failures_are_passed_on)
{
    struct sl_value values[FIELDS];
    struct syncline_uuid uuid = uuid_of(1);
    const struct sl_field *orphan = NULL;
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    bool done = false;
    int64_t id = 77;
    uint64_t count = 77;
    fill(values);
    OK(sl_db_exec(&db, "DROP TABLE things", &err));
    FAILS(sl_record_id(&table, &uuid, &done, &id, &err), SYNCLINE_EDB, "no such table");
    FAILS(sl_record_uuids(&table, &id, 1, &done, &uuid, &err), SYNCLINE_EDB, "no such table");
    FAILS(sl_record_ids(&table, &uuid, 1, &id, &err), SYNCLINE_EDB, "no such table");
    FAILS(sl_record_read(&table, 1, &arena, &done, &uuid, values, &orphan, &err), SYNCLINE_EDB,
          "no such table");
    FAILS(sl_record_insert(&table, &uuid, values, &done, &id, &err), SYNCLINE_EDB, "no such table");
    FAILS(sl_record_update(&table, 1, values, &err), SYNCLINE_EDB, "no such table");
    FAILS(sl_record_delete(&table, 1, &err), SYNCLINE_EDB, "no such table");
    FAILS(sl_record_digest(&table, hasher, &count, &err), SYNCLINE_EDB, "no such table");
    FAILS(sl_record_range_start(&table, &uuid, &uuid, &err), SYNCLINE_EDB, "no such table");
    cr_assert(!done && id == 77 && count == 77);
    sl_hasher_free(hasher);
}
