/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Foreign keys on their way from one device to another: that each record finds its own parent,
 * whatever the UUID map holds or is, and how many queries it takes. Two libraries are stepped in
 * one process, on real files. */

#include "base/limits.h"
#include "tests/integration/two_libraries.h"

#define ROWS_MAX 1000

struct node {
    int64_t id;
    struct syncline_uuid uuid;
    struct syncline_opt_int64 parent_id;
};

struct item {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t node_id;
    struct syncline_opt_int64 second_id;
    struct syncline_uuid third;
};

static const struct syncline_field node_fields[] = {SYNCLINE_ID(struct node, id),
                                                    SYNCLINE_UUID(struct node, uuid),
                                                    SYNCLINE_KEY(struct node, parent_id, "node")};
static const struct syncline_field item_fields[] = {
    SYNCLINE_ID(struct item, id), SYNCLINE_UUID(struct item, uuid),
    SYNCLINE_KEY(struct item, node_id, "node"), SYNCLINE_KEY(struct item, second_id, "node"),
    SYNCLINE_UUID_KEY(struct item, third, "node")};
static const struct syncline_model node_model =
    SYNCLINE_MODEL("node", "nodes", SYNCLINE_SHARED, struct node, node_fields);
static const struct syncline_model item_model =
    SYNCLINE_MODEL("item", "items", SYNCLINE_SHARED, struct item, item_fields);
static const struct syncline_model *const models[] = {&node_model, &item_model};
enum { NODE, ITEM, MODELS };

static const char schema[] =
    "CREATE TABLE nodes(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
    " parent_id INTEGER REFERENCES nodes(id));"
    "CREATE TABLE items(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
    " node_id INTEGER NOT NULL REFERENCES nodes(id), second_id INTEGER REFERENCES nodes(id),"
    " third BLOB NOT NULL REFERENCES nodes(uuid));";

static const char *const contents[] = {
    "SELECT n.uuid,p.uuid FROM @.nodes n LEFT JOIN @.nodes p ON p.id=n.parent_id",
    "SELECT i.uuid,n.uuid,s.uuid,i.third FROM @.items i JOIN @.nodes n ON n.id=i.node_id"
    " LEFT JOIN @.nodes s ON s.id=i.second_id"};

static struct sl_env env; /* the real one, but that its monotonic clock can be moved on */
static uint64_t skipped_ns;
static struct node nodes[ROWS_MAX];
static struct item items[ROWS_MAX];

static const struct two_libraries two = {
    .models = models, .contents = contents, .models_count = MODELS, .env = &env};

static uint64_t skipping_mono_ns(void *ctx)
{
    (void)ctx;
    return sl_env_posix()->mono_ns(NULL) + skipped_ns;
}

static void start(void)
{
    env = *sl_env_posix();
    env.mono_ns = skipping_mono_ns;
    make_two(schema);
}

TestSuite(keys, .init = start, .fini = remove_two);

/* ---- Rows ---- */

static void capture(struct device *device, const struct syncline_model *model, const void *rows,
                    size_t n, enum syncline_change change)
{
    cr_assert_eq(sl_library_capture(device->library, model, rows, n, change, device->db, 0, &err),
                 SYNCLINE_OK, "%s", err.text);
}

static void write_row(sqlite3 *db, const char *text, int64_t id, const struct syncline_uuid *uuid,
                      int64_t first, int64_t second, const struct syncline_uuid *third)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(db));
    (void)sqlite3_bind_int64(stmt, 1, id);
    (void)sqlite3_bind_blob(stmt, 2, uuid->bytes, 16, SQLITE_STATIC);
    if (first != 0) {
        (void)sqlite3_bind_int64(stmt, 3, first);
    }
    if (second != 0) {
        (void)sqlite3_bind_int64(stmt, 4, second);
    }
    if (third != NULL) {
        (void)sqlite3_bind_blob(stmt, 5, third->bytes, 16, SQLITE_STATIC);
    }
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE, "%s", sqlite3_errmsg(db));
    (void)sqlite3_finalize(stmt);
}

/* Inserts nodes first_id, first_id + 1, ... in one call; each points at node id - back, unless that
 * is below 1. back 0: at none. */
static void add_nodes(struct device *device, int64_t first_id, size_t n, int64_t back)
{
    sql(device->db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < n; i++) {
        struct node *node = &nodes[i];
        memset(node, 0, sizeof(*node));
        node->id = first_id + (int64_t)i;
        cr_assert_eq(syncline_uuid_new(&node->uuid, 1), SYNCLINE_OK);
        if (back > 0 && node->id - back >= 1) {
            node->parent_id = (struct syncline_opt_int64){node->id - back, true};
        }
        write_row(device->db, "INSERT INTO nodes(id,uuid,parent_id) VALUES(?1,?2,?3)", node->id,
                  &node->uuid, node->parent_id.value, 0, NULL);
    }
    capture(device, &node_model, nodes, n, SYNCLINE_INSERT);
    sql(device->db, "COMMIT");
}

/* Inserts items in one call; their keys go round nodes 1 to node_count. */
static void add_items(struct device *device, int64_t first_id, size_t n, int64_t node_count,
                      bool second)
{
    struct syncline_uuid third;
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(
        sqlite3_prepare_v2(device->db, "SELECT uuid FROM nodes WHERE id=1", -1, &stmt, NULL),
        SQLITE_OK);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    memcpy(third.bytes, sqlite3_column_blob(stmt, 0), sizeof(third.bytes));
    (void)sqlite3_finalize(stmt);
    sql(device->db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < n; i++) {
        struct item *item = &items[i];
        memset(item, 0, sizeof(*item));
        item->id = first_id + (int64_t)i;
        cr_assert_eq(syncline_uuid_new(&item->uuid, 1), SYNCLINE_OK);
        item->node_id = 1 + (int64_t)i % node_count;
        if (second) {
            item->second_id =
                (struct syncline_opt_int64){node_count - (int64_t)i % node_count, true};
        }
        item->third = third;
        write_row(device->db,
                  "INSERT INTO items(id,uuid,node_id,second_id,third) VALUES(?1,?2,?3,?4,?5)",
                  item->id, &item->uuid, item->node_id, item->second_id.value, &item->third);
    }
    capture(device, &item_model, items, n, SYNCLINE_INSERT);
    sql(device->db, "COMMIT");
}

/* Deletes every item and every node, children first, and says so. */
static void delete_all(struct device *device)
{
    static const char *const reads[MODELS] = {"SELECT id,uuid FROM nodes ORDER BY id DESC",
                                              "SELECT id,uuid FROM items"};
    sql(device->db, "BEGIN IMMEDIATE");
    for (int m = MODELS - 1; m >= 0; m--) {
        sqlite3_stmt *stmt = NULL;
        size_t n = 0;
        cr_assert_eq(sqlite3_prepare_v2(device->db, reads[m], -1, &stmt, NULL), SQLITE_OK);
        for (; sqlite3_step(stmt) == SQLITE_ROW; n++) {
            struct syncline_uuid uuid;
            memcpy(uuid.bytes, sqlite3_column_blob(stmt, 1), sizeof(uuid.bytes));
            nodes[n] = (struct node){.id = sqlite3_column_int64(stmt, 0), .uuid = uuid};
            items[n] = (struct item){.id = nodes[n].id, .uuid = uuid};
        }
        (void)sqlite3_finalize(stmt);
        sql(device->db, m == ITEM ? "DELETE FROM items" : "DELETE FROM nodes");
        capture(device, models[m], m == ITEM ? (void *)items : (void *)nodes, n, SYNCLINE_DELETE);
    }
    sql(device->db, "COMMIT");
}

/* ---- How many queries ---- */

static uint64_t queries(struct device *device, int model, bool receiving)
{
    struct sl_core *core = sl_library_core(device->library);
    return (receiving ? &core->writer : &core->resolver)->tables[model].key_queries;
}

static void open_both(void)
{
    open_library(&a);
    open_library(&b);
}

/* Without a map: one query for each key field of a batch, whatever the number of parents. A key
 * that is a UUID needs none. */
Test(keys, one_query_per_field)
{
    a.config.uuid_map = NULL;
    open_both();
    add_nodes(&a, 1, 300, 0);
    settle();
    cr_assert_eq(queries(&a, NODE, false), 0);
    add_items(&a, 1, 1000, 300, false);
    settle();
    cr_assert_eq(queries(&a, NODE, false), 1);
    cr_assert_eq(queries(&b, NODE, true), 1);
    add_items(&a, 1001, 1000, 300, true);
    settle();
    cr_assert_eq(queries(&a, NODE, false), 3);
    cr_assert_eq(queries(&b, NODE, true), 3);
    check_equal();
}

/* With a map: one for the first batch, none for the next ones with the same parents. */
Test(keys, no_query_for_what_the_map_holds)
{
    open_both();
    add_nodes(&a, 1, 200, 0);
    add_items(&a, 1, 1000, 200, true); /* the second field has the same parents */
    settle();
    uint64_t first = queries(&a, NODE, false);
    add_items(&a, 1001, 1000, 200, true);
    add_items(&a, 2001, 10, 10, false);
    settle();
    cr_assert_eq(first, 2);
    cr_assert_eq(queries(&a, NODE, false), first);
    check_equal();
}

/* Records that point at others of their batch need no query to be sent. What is received is asked
 * for at once when the first key is met, which is when 50 are there, and then one by one. */
Test(keys, parents_in_the_batch)
{
    open_both();
    add_nodes(&a, 1, 500, 50);
    settle();
    cr_assert_eq(queries(&a, NODE, false), 0);
    cr_assert_eq(queries(&b, NODE, true), 1 + 400);
    check_equal();
    add_nodes(&a, 501, 400, 400); /* nodes 101 to 500 */
    settle();
    cr_assert_eq(queries(&a, NODE, false), 1);
    cr_assert_eq(queries(&b, NODE, true), 1 + 400 + 1);
    check_equal();
}

/* More parents than are gathered for one write of the map: one query for each batch until all are
 * known, 256 more every time. And after 60 s all of them are asked for again. */
Test(keys, more_parents_than_puts)
{
    open_both();
    add_nodes(&a, 1, 1000, 0);
    for (uint64_t i = 0; i < 6; i++) {
        add_items(&a, 1 + 1000 * (int64_t)i, 1000, 1000, false);
        settle();
        skipped_ns += SL_UUID_MAP_WRITE_MS_MIN * 1000000;
        cr_assert_eq(queries(&a, NODE, false), i < 4 ? i + 1 : 4);
    }
    skipped_ns += (uint64_t)SL_UUID_MAP_TTL_MS * 1000000;
    add_items(&a, 6001, 1000, 1000, false);
    settle();
    cr_assert_eq(queries(&a, NODE, false), 5);
    check_equal();
}

/* The setting uuid_map_ttl_ms says how long that is. */
Test(keys, time_to_live)
{
    struct sl_settings settings;
    sl_settings_init(&settings);
    cr_assert_eq(sl_settings_parse(&settings, SL_SETTING_UUID_MAP_TTL_MS, "10min",
                                   SYNCLINE_SETTING_FILE, 1, &err),
                 SYNCLINE_OK);
    a.config.settings = &settings;
    open_both();
    add_nodes(&a, 1, 100, 0);
    for (int64_t i = 0; i < 3; i++) {
        add_items(&a, 1 + 100 * i, 100, 100, false);
        settle();
        cr_expect_eq(queries(&a, NODE, false), i < 2 ? 1 : 2);
        skipped_ns += (i < 1 ? (uint64_t)SL_UUID_MAP_TTL_MS * 2 : UINT64_C(600000)) * 1000000;
    }
    check_equal();
}

/* A record whose parent is not there is left out, with its reason; the others of its batch go. */
Test(keys, parent_is_missing)
{
    open_both();
    add_nodes(&a, 1, 10, 0);
    settle();
    sql(a.db, "PRAGMA foreign_keys=OFF");
    add_items(&a, 1, 100, 11,
              true); /* node 11 is not there: 9 items by the first, 10 by the other */
    settle();
    cr_assert_eq(info_of(&a).set_aside, 19);
    cr_assert_eq(info_of(&a).own_seq, 10 + 81);
    cr_assert_eq(number(b.db, "SELECT count(*) FROM items"), 81);
}

/* ---- Ids that are used again ---- */

/* Deleted and used again here: the map forgets. */
Test(keys, id_used_again_after_a_delete_here)
{
    open_both();
    add_nodes(&a, 1, 3, 0);
    add_items(&a, 1, 30, 3, true);
    settle();
    for (int round = 0; round < 3; round++) {
        delete_all(&a);
        add_nodes(&a, 1, 3, 0);
        skipped_ns += SL_UUID_MAP_WRITE_MS_MIN * 1000000;
        add_items(&a, 1, 30, 3, true);
        settle();
        cr_assert_eq(number(b.db, "SELECT count(*) FROM items"), 30);
        check_equal();
    }
}

/* Deleted by the other device, and the id given to a record of the other device: nothing was
 * captured here meanwhile. */
Test(keys, id_used_again_after_a_delete_elsewhere)
{
    open_both();
    add_nodes(&a, 1, 3, 0);
    add_items(&a, 1, 30, 3, true);
    settle();
    for (int round = 0; round < 3; round++) {
        delete_all(&b);
        settle();
        cr_assert_eq(number(a.db, "SELECT count(*) FROM nodes"), 0);
        add_nodes(&b, 101, 3, 0);
        settle();
        cr_assert_eq(number(a.db, "SELECT min(id)*10+max(id) FROM nodes"), 13);
        skipped_ns += SL_UUID_MAP_WRITE_MS_MIN * 1000000;
        add_items(&a, 1, 30, 3, true);
        settle();
        cr_assert_eq(number(b.db, "SELECT count(*) FROM items"), 30);
        check_equal();
    }
}

/* ---- Whatever the map is ---- */

/* The same work, with the map as `spoil` leaves it while the library is closed; it must end in the
 * same. */
static void work_over(void (*spoil)(const char *path))
{
    open_both();
    add_nodes(&a, 1, 100, 7);
    add_items(&a, 1, 500, 100, true);
    settle();
    add_nodes(&b, 5001, 20, 0);
    add_items(&b, 9001, 20, 20, false);
    settle();
    for (int round = 0; round < 2; round++) {
        close_library(&a);
        spoil(a.uuid_map);
        open_library(&a);
        add_items(&a, 1001 + 1000 * round, 500, 100, true);
        add_nodes(&a, 201 + 100 * round, 50, 150 + 100 * round); /* at nodes 51 to 100 */
        settle();
        cr_assert_eq(number(b.db, "SELECT count(*) FROM items"), 1020 + 500 * round);
        check_equal();
    }
}

static const char *file_in(const char *path)
{
    static char file[160];
    (void)snprintf(file, sizeof(file), "%s/data.mdb", path);
    return file;
}

static void put_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

static void remove_folder(const char *path)
{
    cr_assert_eq(nftw(path, remove_one, 4, FTW_DEPTH | FTW_PHYS), 0);
}

static void put_garbage(const char *path)
{
    char garbage[30000];
    memset(garbage, 0x5a, sizeof(garbage));
    put_file(file_in(path), garbage, sizeof(garbage));
}

static void cut(const char *path)
{
    cr_assert_eq(truncate(file_in(path), 5000), 0);
}

static void put_file_there(const char *path)
{
    remove_folder(path);
    put_file(path, "not a folder", 12);
}

static void take_rights(const char *path)
{
    cr_assert_eq(chmod(file_in(path), 0), 0);
    cr_assert_eq(chmod(path, 0500), 0);
}

/* As it was, but that every UUID in it is another one. */
static void change_uuids(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *file = fopen(file_in(path), "rb");
    cr_assert_not_null(file);
    size_t size = fread(data, 1, sizeof(data), file);
    (void)fclose(file);
    size_t changed = 0;
    for (size_t at = 0; at + 28 <= size; at++) {
        bool is_key = memcmp(data + at, "\0\0\0\0\0\0\0\0\0\0\0", 11) == 0 && data[at + 11] > 0 &&
                      data[at + 18] >> 4 == 7; /* UUIDs here are of version 7 */
        data[at + 27] ^= is_key ? 0xff : 0;
        changed += is_key ? 1 : 0;
    }
    cr_assert_geq(changed, 90);
    put_file(file_in(path), data, size);
}

/* That of another device, whose records have other ids. */
static void take_another(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *file = fopen(file_in(b.uuid_map), "rb");
    cr_assert_not_null(file);
    size_t size = fread(data, 1, sizeof(data), file);
    (void)fclose(file);
    cr_assert_gt(size, 2 * 4096);
    put_file(file_in(path), data, size);
}

Test(keys, map_removed)
{
    work_over(remove_folder);
}

Test(keys, map_of_garbage)
{
    work_over(put_garbage);
}

Test(keys, map_cut)
{
    work_over(cut);
}

Test(keys, map_is_a_file)
{
    work_over(put_file_there);
}

Test(keys, map_without_rights)
{
    work_over(take_rights);
}

Test(keys, map_with_other_uuids)
{
    work_over(change_uuids);
}

Test(keys, map_of_another_device)
{
    work_over(take_another);
}

static void leave(const char *path)
{
    (void)path;
}

/* So small that it is full all the time. */
Test(keys, map_is_full)
{
    a.config.uuid_map_size = 32768;
    work_over(leave);
}

/* The setting uuid_map_size says how large its file may become. */
Test(keys, size_of_the_map)
{
    struct sl_settings settings;
    struct stat st;
    sl_settings_init(&settings);
    cr_assert_eq(sl_settings_parse(&settings, SL_SETTING_UUID_MAP_SIZE, "64KiB",
                                   SYNCLINE_SETTING_FILE, 1, &err),
                 SYNCLINE_OK);
    for (int small = 0; small < 2; small++) {
        a.config.settings = small == 1 ? &settings : NULL;
        open_both();
        if (small == 0) {
            add_nodes(&a, 1, 1000, 0);
        }
        for (int64_t i = 0; i < 4; i++) { /* 256 parents each time */
            add_items(&a, 1 + 1000 * (i + 4 * small), 1000, 1000, false);
            settle();
            skipped_ns += SL_UUID_MAP_WRITE_MS_MIN * 1000000;
        }
        cr_assert_eq(stat(file_in(a.uuid_map), &st), 0);
        cr_expect(small == 1 ? st.st_size <= 65536 : st.st_size > 65536, "%lld bytes",
                  (long long)st.st_size);
        close_library(&a);
        close_library(&b);
    }
    open_both();
    check_equal();
}

/* Where no map can be, everything goes by queries. */
Test(keys, map_cannot_be_made)
{
    a.config.uuid_map = "/dev/null/uuid-map";
    work_over(leave);
    cr_assert_gt(queries(&a, NODE, false), 0);
}
