/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What is captured on one device arrives in the tables of the other, byte for byte; what cannot be
 * captured, sent or applied is refused or set aside with its reason. */

#include <float.h>
#include <math.h>

#include "tests/integration/api.h"

TestSuite(api_capture, .init = api_setup, .fini = api_cleanup);

static void save_thing(struct api_device *device, struct thing *thing, enum syncline_change change)
{
    api_sql(device->db, "BEGIN IMMEDIATE");
    if (change == SYNCLINE_DELETE) {
        api_delete(device->db, "things", &thing->uuid);
    } else {
        api_put_thing(device->db, thing);
    }
    api_capture(device, &thing_model, thing, 1, change);
    api_sql(device->db, "COMMIT");
}

static struct thing new_thing(const struct tag *tag)
{
    struct thing thing = {.tag_id = tag->id, .second_tag = tag->uuid};
    cr_assert_eq(syncline_uuid_new(&thing.uuid, 1), SYNCLINE_OK);
    return thing;
}

/* ---- Values ---- */

/* Every type at its edges: inserted, changed to other edges and to NULL, and deleted. */
Test(api_capture, every_type)
{
    static const char nul_inside[] = "a\0b\0";
    static const char umlauts[] = "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
    static uint8_t all_bytes[256];
    struct api_device a;
    struct api_device b;
    for (size_t i = 0; i < sizeof(all_bytes); i++) {
        all_bytes[i] = (uint8_t)i;
    }
    api_pair(&a, &b);
    struct tag tag = api_tag("tag");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    struct folder folder = api_save_folder(&a, "folder", NULL);

    struct thing full = new_thing(&tag);
    full.count = INT64_MAX;
    full.count_opt = api_opt(INT64_MIN);
    full.size = DBL_MAX;
    full.size_opt = (struct syncline_opt_double){.value = DBL_MIN / 2, .is_set = true};
    full.flag = true;
    full.at = 1893456000123;
    full.at_opt = api_opt(-1);
    full.label = umlauts;
    full.body = (struct syncline_text){.data = nul_inside, .len = sizeof(nul_inside)};
    full.data = (struct syncline_bytes){.data = all_bytes, .len = sizeof(all_bytes)};
    full.folder_id = api_opt(folder.id);
    save_thing(&a, &full, SYNCLINE_INSERT);
    struct thing itself = full; /* points at itself, once it has an id */
    cr_assert_eq(syncline_uuid_new(&itself.uuid, 1), SYNCLINE_OK);
    itself.id = 77;
    itself.itself_id = api_opt(77);
    save_thing(&a, &itself, SYNCLINE_INSERT);

    struct thing empty = new_thing(&tag); /* NULL wherever it may be, zero elsewhere */
    save_thing(&a, &empty, SYNCLINE_INSERT);
    struct thing edges = new_thing(&tag); /* empty is not NULL */
    edges.count = -1;
    edges.count_opt = api_opt(0);
    edges.size = -0.0;
    edges.size_opt = (struct syncline_opt_double){.value = 0.1, .is_set = true};
    edges.label = "";
    edges.body = (struct syncline_text){.data = "", .len = 0};
    edges.data = (struct syncline_bytes){.data = "", .len = 0};
    edges.itself_id = api_opt(full.id);
    save_thing(&a, &edges, SYNCLINE_INSERT);
    static const int64_t numbers[] = {0,     1,     -1,    127,         128,
                                      -32,   -33,   -128,  -129,        32767,
                                      32768, 65535, 65536, -2147483649, 4294967296};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct thing thing = new_thing(&tag);
        thing.count = numbers[i];
        thing.count_opt = api_opt(-numbers[i]);
        thing.size = (double)numbers[i] / 3;
        thing.size_opt = (struct syncline_opt_double){.value = INFINITY, .is_set = i % 2 == 0};
        thing.at = numbers[i];
        save_thing(&a, &thing, SYNCLINE_INSERT);
    }
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM things"), 19);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM things WHERE body=CAST(x'61006200' || x'00'"
                               " AS TEXT) AND typeof(body)='text'"),
                 2);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM things WHERE data=x'' AND label='' AND body=''"
                               " AND count=-1"),
                 1);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM things WHERE itself_id=id"), 1);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE here='local'"), 1);

    /* The full one becomes empty and the other way round. */
    struct thing changed = full;
    changed.uuid = empty.uuid;
    changed.id = empty.id;
    changed.itself_id = api_opt(itself.id);
    save_thing(&a, &changed, SYNCLINE_UPDATE);
    changed = empty;
    changed.uuid = full.uuid;
    changed.id = full.id;
    save_thing(&a, &changed, SYNCLINE_UPDATE);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM things WHERE count_opt IS NULL AND size_opt IS"
                               " NULL AND at_opt IS NULL AND label IS NULL AND body IS NULL AND"
                               " data IS NULL AND folder_id IS NULL AND itself_id IS NULL"),
                 1);

    save_thing(&a, &edges, SYNCLINE_DELETE);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect_not(api_has(b.db, "things", &edges.uuid));
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM things"), 18);
    api_close(&a);
    api_close(&b);
}

/* A tree of folders whose nodes are moved and deleted, in whatever order one call names them. */
Test(api_capture, tree)
{
    struct api_device a;
    struct api_device b;
    struct folder folders[40];
    api_pair(&a, &b);
    api_sql(a.db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < 40; i++) {
        folders[i] = api_new_folder("node", i == 0 ? NULL : &folders[(i - 1) / 3]);
        api_put_folder(a.db, &folders[i]);
    }
    api_capture(&a, &folder_model, folders, 40, SYNCLINE_INSERT);
    api_sql(a.db, "COMMIT");
    api_settle(&a, &b);
    api_check_equal(&a, &b);

    api_sql(a.db, "BEGIN IMMEDIATE");
    for (size_t i = 20; i < 40; i++) {
        folders[i].parent_id = api_opt(folders[0].id);
        api_put_folder(a.db, &folders[i]);
    }
    api_capture(&a, &folder_model, &folders[20], 20, SYNCLINE_UPDATE);
    api_sql(a.db, "COMMIT");
    api_settle(&a, &b);
    api_check_equal(&a, &b);

    api_sql(a.db, "PRAGMA foreign_keys=OFF");
    api_sql(a.db, "BEGIN IMMEDIATE; DELETE FROM folders");
    api_capture(&a, &folder_model, folders, 40, SYNCLINE_DELETE); /* the root first */
    api_sql(a.db, "COMMIT");
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM folders"), 0);
    api_close(&a);
    api_close(&b);
}

/* A record of 1 MiB is taken, one of a byte more is refused and named. */
Test(api_capture, record_max)
{
    static char big[1024 * 1024 + 1];
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    for (size_t i = 0; i < sizeof(big); i++) {
        big[i] = (char)('a' + i * i % 23);
    }
    struct tag tag = api_tag(NULL);
    tag.note = (struct syncline_text){.data = big, .len = sizeof(big)};
    api_put_tag(a.db, &tag);
    API_REFUSED(a.lib, syncline_sync_model(a.lib, &tag_model, &tag, SYNCLINE_INSERT),
                SYNCLINE_ETOOBIG, "'tag' has 1048577 bytes");
    char name[16];
    (void)snprintf(name, sizeof(name), "%02x%02x%02x%02x-%02x%02x", tag.uuid.bytes[0],
                   tag.uuid.bytes[1], tag.uuid.bytes[2], tag.uuid.bytes[3], tag.uuid.bytes[4],
                   tag.uuid.bytes[5]);
    cr_expect_not_null(strstr(api_error(a.lib), name), "%s does not name %s", api_text, name);
    cr_expect_eq(api_info(&a).outbox, 0);

    tag.note.len--;
    api_put_tag(a.db, &tag);
    API_OK(a.lib, syncline_sync_model(a.lib, &tag_model, &tag, SYNCLINE_INSERT));
    struct folder folders[3];
    api_sql(a.db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < 3; i++) {
        folders[i] = api_new_folder("", NULL);
        folders[i].name = (struct syncline_bytes){.data = big, .len = sizeof(big) - 1};
        api_put_folder(a.db, &folders[i]);
    }
    api_capture(&a, &folder_model, folders, 3, SYNCLINE_INSERT);
    api_sql(a.db, "COMMIT");
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT length(note) FROM tags"), 1024 * 1024);
    cr_expect_eq(api_int(b.db, "SELECT sum(length(name)) FROM folders"), 3 * 1024 * 1024);
    api_close(&a);
    api_close(&b);
}

/* ---- Batches ---- */

static int64_t segments(struct api_device *device)
{
    char path[2 * API_PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/sync.db", device->dir);
    sqlite3 *db = NULL;
    cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 20000);
    int64_t count = api_int(db, "SELECT count(*) FROM segment");
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    return count;
}

/* Batches of none, one, exactly a segment's worth, and more; the size of segments is the library's
 * or the call's. */
Test(api_capture, batches)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct tag none = api_tag("none");
    API_OK(a.lib,
           syncline_sync_models_batch(a.lib, &tag_model, &none, 0, SYNCLINE_INSERT, a.db, NULL));
    API_OK(a.lib,
           syncline_sync_models_batch(a.lib, &tag_model, NULL, 0, SYNCLINE_INSERT, NULL, NULL));
    cr_expect_eq(api_info(&a).outbox + api_info(&a).own_seq, 0);

    api_save_tags(&a, 1, 0);
    api_settle(&a, &b);
    cr_expect_eq(segments(&a), 1);
    api_save_tags(&a, 1000, 0);
    api_settle(&a, &b);
    cr_expect_eq(segments(&a), 2);
    api_save_tags(&a, 2500, 0);
    api_settle(&a, &b);
    cr_expect_eq(segments(&a), 5);
    api_save_tags(&a, 100, 30);
    api_settle(&a, &b);
    cr_expect_eq(segments(&a), 9);
    cr_expect_eq(segments(&b), 9, "segments are joined or split on the way");
    cr_expect_eq(api_info(&a).own_seq, 3601);
    cr_expect_eq(api_info(&b).received, 3601);
    api_check_equal(&a, &b);

    struct syncline_batch_options options = SYNCLINE_BATCH_OPTIONS_INIT;
    options.batch_size = 70000;
    API_REFUSED(
        a.lib,
        syncline_sync_models_batch(a.lib, &tag_model, &none, 1, SYNCLINE_INSERT, a.db, &options),
        SYNCLINE_EINVAL, "70000");
    API_REFUSED(a.lib,
                syncline_sync_models_batch(a.lib, &tag_model, &none, SIZE_MAX / 2, SYNCLINE_INSERT,
                                           a.db, NULL),
                SYNCLINE_EINVAL, "too large");
    API_REFUSED(a.lib,
                syncline_sync_models_batch(a.lib, &tag_model, NULL, 1, SYNCLINE_INSERT, a.db, NULL),
                SYNCLINE_EINVAL, "rows");
    api_close(&a);
    api_close(&b);
}

/* One call's updates and deletes of many, read again from the table or taken from the call. */
Test(api_capture, many_changes)
{
    static struct tag tags[2500];
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_save_tags(&a, 2500, 0);
    sqlite3_stmt *stmt = api_prepare(a.db, "SELECT id,uuid,color FROM tags ORDER BY id");
    for (size_t i = 0; i < 2500; i++) {
        cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
        tags[i] = (struct tag){.id = sqlite3_column_int64(stmt, 0), .name = "changed"};
        memcpy(tags[i].uuid.bytes, sqlite3_column_blob(stmt, 1), 16);
        tags[i].color = api_opt(sqlite3_column_int64(stmt, 2));
    }
    cr_assert_eq(sqlite3_finalize(stmt), SQLITE_OK);
    api_sql(a.db, "BEGIN IMMEDIATE; UPDATE tags SET name='changed'");
    api_capture(&a, &tag_model, tags, 2500, SYNCLINE_UPDATE);
    api_sql(a.db, "COMMIT; BEGIN IMMEDIATE; DELETE FROM tags WHERE color%5=0");
    struct tag deleted[500];
    for (size_t i = 0; i < 500; i++) {
        deleted[i] = tags[i * 5];
    }
    api_capture(&a, &tag_model, deleted, 500, SYNCLINE_DELETE);
    api_sql(a.db, "COMMIT");
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags WHERE name='changed'"), 2000);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 2000);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* ---- The forms of the call ---- */

/* In autocommit with a connection, and without one, the capture is made at once on the library's
 * own; while another connection holds the write lock it cannot be, and says which way out there
 * is. */
Test(api_capture, without_transaction)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct tag tags[3] = {api_tag("with db"), api_tag("without"), api_tag("in between")};
    api_put_tag(a.db, &tags[0]);
    API_OK(a.lib, syncline_sync_model_with_db(a.lib, &tag_model, &tags[0], SYNCLINE_INSERT, a.db));
    api_put_tag(a.db, &tags[1]);
    API_OK(a.lib, syncline_sync_model(a.lib, &tag_model, &tags[1], SYNCLINE_INSERT));
    tags[1].name = "changed";
    api_put_tag(a.db, &tags[1]);
    API_OK(a.lib, syncline_sync_model(a.lib, &tag_model, &tags[1], SYNCLINE_UPDATE));
    api_delete(a.db, "tags", &tags[0].uuid);
    API_OK(a.lib, syncline_sync_model(a.lib, &tag_model, &tags[0], SYNCLINE_DELETE));
    api_settle(&a, &b);
    /* What a later capture supersedes before it is sent need not be sent: as few as one insert. */
    uint64_t sent = api_info(&a).own_seq;
    cr_expect(sent >= 1 && sent <= 4);
    cr_expect(api_tag_is(b.db, &tags[1].uuid, "changed"));
    api_check_equal(&a, &b);

    sqlite3 *other = api_db_open(a.db_path);
    api_put_tag(a.db, &tags[2]);
    api_sql(other, "BEGIN IMMEDIATE");
    API_REFUSED(a.lib, syncline_sync_model(a.lib, &tag_model, &tags[2], SYNCLINE_INSERT),
                SYNCLINE_EBUSY, "syncline_sync_model_with_db");
    API_REFUSED(a.lib,
                syncline_sync_model_with_db(a.lib, &tag_model, &tags[2], SYNCLINE_INSERT, a.db),
                SYNCLINE_EBUSY, "another connection");
    api_sql(other, "ROLLBACK");
    cr_assert_eq(sqlite3_close(other), SQLITE_OK);
    cr_expect_eq(api_info(&a).outbox, 0);
    API_OK(a.lib, syncline_sync_model(a.lib, &tag_model, &tags[2], SYNCLINE_INSERT));
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* Every form that can hold NULL, in columns that cannot. */
struct full {
    int64_t id;
    struct syncline_uuid uuid;
    struct syncline_opt_int64 count;
    struct syncline_opt_double size;
    struct syncline_opt_bool flag;
    const char *label;
    struct syncline_text body;
    struct syncline_bytes data;
    struct syncline_opt_int64 tag_id;
    struct syncline_opt_uuid second_tag;
    struct syncline_opt_int64 may_be;
};
static const struct syncline_field full_fields[] = {
    SYNCLINE_ID(struct full, id),
    SYNCLINE_UUID(struct full, uuid),
    SYNCLINE_INT64(struct full, count),
    SYNCLINE_DOUBLE(struct full, size),
    SYNCLINE_BOOL(struct full, flag),
    SYNCLINE_TEXT(struct full, label),
    SYNCLINE_TEXT(struct full, body),
    SYNCLINE_BLOB(struct full, data),
    SYNCLINE_KEY(struct full, tag_id, "tag"),
    SYNCLINE_UUID_KEY(struct full, second_tag, "tag"),
    SYNCLINE_INT64(struct full, may_be)};
static const struct syncline_model full_model =
    SYNCLINE_MODEL("full", "fulls", SYNCLINE_SHARED, struct full, full_fields);
static const struct syncline_model *const full_models[] = {&tag_model, &full_model};

/* A struct that holds NULL where its table takes none is not the row: the call is refused, by field
 * and record, whichever form it is and wherever in the batch. A delete needs no more than names. */
Test(api_capture, null_where_the_table_takes_none)
{
    struct api_device a;
    struct syncline_options options = api_options();
    options.models = full_models;
    options.models_count = 2;
    api_create(&a, "a");
    api_sql(a.db, "CREATE TABLE fulls(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
                  " count INTEGER NOT NULL, size REAL NOT NULL, flag INTEGER NOT NULL,"
                  " label TEXT NOT NULL, body TEXT NOT NULL, data BLOB NOT NULL,"
                  " tag_id INTEGER NOT NULL, second_tag BLOB NOT NULL, may_be INTEGER)");
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    struct full rows[3];
    for (size_t i = 0; i < 3; i++) {
        rows[i] = (struct full){.id = (int64_t)i + 1,
                                .count = {0, true},
                                .size = {0, true},
                                .flag = {false, true},
                                .label = "",
                                .body = {.data = "", .len = 0},
                                .data = {.data = "", .len = 0},
                                .tag_id = {1, true},
                                .second_tag = {{{1}}, true}};
        cr_assert_eq(syncline_uuid_new(&rows[i].uuid, 1), SYNCLINE_OK);
    }
    api_sql(a.db, "BEGIN IMMEDIATE");
    for (uint32_t field = 2; field < 10; field++) {
        struct full kept = rows[2];
        char says[96];
        char uuid[SYNCLINE_UUID_TEXT_SIZE];
        syncline_uuid_text(&kept.uuid, uuid);
        (void)snprintf(says, sizeof(says), "record %s of model 'full': field '%s' is NULL", uuid,
                       full_fields[field].name);
        size_t end = field == 9 ? offsetof(struct full, may_be) : full_fields[field + 1].offset;
        memset((char *)&rows[2] + full_fields[field].offset, 0, end - full_fields[field].offset);
        for (int change = SYNCLINE_INSERT; change <= SYNCLINE_UPDATE; change++) {
            API_REFUSED(a.lib,
                        syncline_sync_models_batch(a.lib, &full_model, rows, 3,
                                                   (enum syncline_change)change, a.db, NULL),
                        SYNCLINE_EINVAL, says);
        }
        rows[2] = kept;
    }
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM _syncline_outbox"), 0);
    API_OK(a.lib,
           syncline_sync_models_batch(a.lib, &full_model, rows, 3, SYNCLINE_INSERT, a.db, NULL));
    struct full named = {.id = 1, .uuid = rows[0].uuid};
    API_OK(a.lib, syncline_sync_model_with_db(a.lib, &full_model, &named, SYNCLINE_DELETE, a.db));
    api_sql(a.db, "ROLLBACK");
    named.id = 2;
    API_REFUSED(a.lib, syncline_sync_model(a.lib, &full_model, &named, SYNCLINE_UPDATE),
                SYNCLINE_EINVAL, "field 'count' is NULL, and its column in table 'fulls'");
    api_close(&a);
}

/* A connection to another database is refused by every call that takes one, inside a transaction
 * and in autocommit, before that database is read or written: another library's, one without a
 * file, and one that has the library attached under another name. */
Test(api_capture, connection_to_another_database)
{
    struct api_device a;
    struct api_device b;
    sqlite3 *memory = NULL;
    char sql[API_PATH_SIZE + 32];
    api_create(&a, "a");
    api_create(&b, "b");
    api_open_alone(&a);
    struct tag tag = api_tag("tag");
    api_put_tag(a.db, &tag);
    api_put_tag(b.db, &tag);
    char json[128] = "{\"uuid\":\"";
    syncline_uuid_text(&tag.uuid, json + strlen(json));
    (void)snprintf(json + strlen(json), 8, "\"}");
    cr_assert_eq(sqlite3_open(":memory:", &memory), SQLITE_OK);
    (void)snprintf(sql, sizeof(sql), "ATTACH '%s' AS library", a.db_path);
    api_sql(memory, sql);
    const char *const what[] = {"b/library.db'", "the connection is to ''"};
    sqlite3 *const others[] = {b.db, memory};
    for (int i = 0; i < 4; i++) {
        sqlite3 *other = others[i / 2];
        if (i % 2 == 1) {
            api_sql(other, "BEGIN IMMEDIATE");
        }
        API_REFUSED(a.lib,
                    syncline_sync_model_with_db(a.lib, &tag_model, &tag, SYNCLINE_INSERT, other),
                    SYNCLINE_EINVAL, what[i / 2]);
        API_REFUSED(
            a.lib,
            syncline_sync_models_batch(a.lib, &tag_model, &tag, 1, SYNCLINE_DELETE, other, NULL),
            SYNCLINE_EINVAL, what[i / 2]);
        API_REFUSED(
            a.lib,
            syncline_commit_shared(a.lib, &tag_model, SYNCLINE_INSERT, json, strlen(json), other),
            SYNCLINE_EINVAL, what[i / 2]);
        if (i % 2 == 1) {
            api_sql(other, "COMMIT");
        }
    }
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM _syncline_outbox"), 0);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM _syncline_outbox"), 0);
    cr_assert_eq(sqlite3_close(memory), SQLITE_OK);
    api_close(&a);
    api_close(&b);
}

/* A model that was not given at open, though it looks the same. */
Test(api_capture, unknown_model)
{
    static const struct syncline_model twin =
        SYNCLINE_MODEL("tag", "tags", SYNCLINE_SHARED, struct tag, tag_fields);
    struct api_device a;
    struct tag tag = api_tag("tag");
    uint64_t count = 0;
    uint8_t hash[32];
    api_create(&a, "a");
    api_open_alone(&a);
    API_REFUSED(a.lib, syncline_sync_model(a.lib, &twin, &tag, SYNCLINE_INSERT), SYNCLINE_EMODEL,
                "not given");
    API_REFUSED(a.lib, syncline_sync_model(a.lib, NULL, &tag, SYNCLINE_INSERT), SYNCLINE_EMODEL,
                "not given");
    API_REFUSED(a.lib, syncline_digest(a.lib, &twin, &count, hash), SYNCLINE_EMODEL, "not given");
    api_close(&a);
}

/* What another device owns is not changed here; what is shared may be, by everyone. */
Test(api_capture, ownership)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct folder folder = api_save_folder(&a, "of A", NULL);
    struct tag tag = api_tag("shared");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    api_settle(&a, &b);

    struct folder on_b = folder;
    on_b.id = api_id(b.db, "folders", &folder.uuid);
    API_REFUSED(b.lib,
                syncline_sync_model_with_db(b.lib, &folder_model, &on_b, SYNCLINE_UPDATE, b.db),
                SYNCLINE_EREFUSED, "belongs to another device");
    API_REFUSED(b.lib,
                syncline_sync_model_with_db(b.lib, &folder_model, &on_b, SYNCLINE_DELETE, b.db),
                SYNCLINE_EREFUSED, "belongs to another device");
    struct folder child = api_save_folder(&b, "of B below A's", &on_b);
    struct tag tag_on_b = tag;
    tag_on_b.id = api_id(b.db, "tags", &tag.uuid);
    tag_on_b.name = "changed by B";
    api_save_tag(&b, &tag_on_b, SYNCLINE_UPDATE);
    api_settle(&a, &b);
    cr_expect(api_tag_is(a.db, &tag.uuid, "changed by B"));
    cr_expect(api_has(a.db, "folders", &child.uuid));

    folder.name = (struct syncline_bytes){.data = "still A's", .len = 9};
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_put_folder(a.db, &folder);
    api_capture(&a, &folder_model, &folder, 1, SYNCLINE_UPDATE);
    api_sql(a.db, "COMMIT");
    api_save_tag(&a, &tag, SYNCLINE_DELETE);
    api_settle(&a, &b);
    cr_expect_not(api_has(b.db, "tags", &tag.uuid));
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}
