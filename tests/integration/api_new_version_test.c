/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* An application's next version has other models (docs/STABILITY.md): what it may change goes on
 * working, what it may not is refused by name or held, and nothing is lost by trying. */

#include "tests/integration/api.h"

TestSuite(api_new_version, .init = api_setup, .fini = api_cleanup);

/* Notes as three versions know them. */
struct note {
    int64_t id;
    struct syncline_uuid uuid;
    const char *text;
    int64_t rank; /* not in the first */
};

static const struct syncline_field first_fields[] = {SYNCLINE_ID(struct note, id),
                                                     SYNCLINE_UUID(struct note, uuid),
                                                     SYNCLINE_TEXT(struct note, text)};
static const struct syncline_field second_fields[] = {
    SYNCLINE_ID(struct note, id), SYNCLINE_UUID(struct note, uuid),
    SYNCLINE_TEXT(struct note, text), SYNCLINE_INT64(struct note, rank)};
static const struct syncline_model first =
    SYNCLINE_MODEL("note", "notes", SYNCLINE_SHARED, struct note, first_fields);
static const struct syncline_model second =
    SYNCLINE_MODEL("note", "notes", SYNCLINE_SHARED, struct note, second_fields);
static const struct syncline_model renamed =
    SYNCLINE_MODEL("memo", "notes", SYNCLINE_SHARED, struct note, first_fields);
static const struct syncline_model other_table =
    SYNCLINE_MODEL("note", "papers", SYNCLINE_SHARED, struct note, first_fields);

#define RANK "ALTER TABLE notes ADD COLUMN rank INTEGER NOT NULL DEFAULT 7"

/* With that model alone, or with none. */
static enum syncline_status try_open(struct api_device *device, const struct syncline_model *model,
                                     const char *peer)
{
    struct syncline_options options = api_options();
    options.models = &model;
    options.models_count = model != NULL ? 1 : 0;
    options.role = SYNCLINE_ROLE_ENGINE;
    options.listen = device->address[0] != '\0' ? device->address : "127.0.0.1:0";
    options.peers = &peer;
    options.peers_count = peer != NULL ? 1 : 0;
    enum syncline_status status = syncline_open(device->dir, &options, &device->lib);
    if (status == SYNCLINE_OK) {
        (void)snprintf(device->address, sizeof(device->address), "%s", api_info(device).listen);
    }
    return status;
}

static void open_with(struct api_device *device, const struct syncline_model *model,
                      const char *peer)
{
    cr_assert_eq(try_open(device, model, peer), SYNCLINE_OK, "%s", api_text);
}

static void make_notes(struct api_device *device)
{
    api_sql(device->db, "CREATE TABLE notes(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
                        " text TEXT)");
}

/* Two devices with the first version, both running. */
static void begin(struct api_device *a, struct api_device *b)
{
    api_create(a, "a");
    make_notes(a);
    open_with(a, &first, NULL);
    api_join(b, "b", a->address);
    make_notes(b);
    open_with(b, &first, a->address);
}

static void end(struct api_device *a, struct api_device *b)
{
    api_close(a);
    api_close(b);
}

static void save(struct api_device *device, const struct syncline_model *model, const char *text,
                 int64_t rank)
{
    struct note note = {.text = text, .rank = rank};
    char sql[128];
    bool ranked = model == &second;
    cr_assert_eq(syncline_uuid_new(&note.uuid, 1), SYNCLINE_OK);
    (void)snprintf(sql, sizeof(sql), "INSERT INTO %s(uuid,text%s) VALUES(?1,?2%s)", model->table,
                   ranked ? ",rank" : "", ranked ? ",?3" : "");
    api_sql(device->db, "BEGIN IMMEDIATE");
    sqlite3_stmt *stmt = api_prepare(device->db, sql);
    api_bind_uuid(stmt, 1, &note.uuid);
    (void)sqlite3_bind_text(stmt, 2, text, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 3, rank); /* out of range if there is none: no harm */
    api_run(device->db, stmt);
    note.id = sqlite3_last_insert_rowid(device->db);
    API_OK(device->lib,
           syncline_sync_model_with_db(device->lib, model, &note, SYNCLINE_INSERT, device->db));
    api_sql(device->db, "COMMIT");
}

static int64_t rows(struct api_device *device, const char *where)
{
    char sql[128];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM notes WHERE %s", where);
    return api_int(device->db, sql);
}

static void check_digests(struct api_device *a, struct api_device *b,
                          const struct syncline_model *model, uint64_t notes)
{
    uint64_t counts[2] = {0};
    uint8_t hashes[2][32];
    API_OK(a->lib, syncline_digest(a->lib, model, &counts[0], hashes[0]));
    API_OK(b->lib, syncline_digest(b->lib, model, &counts[1], hashes[1]));
    cr_expect_eq(counts[0], notes);
    cr_expect_eq(counts[1], notes);
    cr_expect_eq(memcmp(hashes[0], hashes[1], sizeof(hashes[0])), 0);
    cr_expect_eq(api_info(a).set_aside + api_info(b).set_aside, 0);
}

/* Does the device's event log say that changes are held, and this of why? */
static bool says_held(struct api_device *device, const char *part)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM event WHERE code=%d AND text LIKE '%%%s%%'",
                   (int)SYNCLINE_CODE_HELD, part);
    sqlite3 *log =
        api_db_open(api_path(strcmp(device->dir, api_path("a")) == 0 ? "a/sync.db" : "b/sync.db"));
    int64_t count = api_int(log, sql);
    cr_assert_eq(sqlite3_close(log), SQLITE_OK);
    return count > 0;
}

/* A field more, whose column has a default: both devices in step, then both with the new version.
 * While only one of them has it, its changes are held by the other, and applied once that has. */
Test(api_new_version, field_added)
{
    struct api_device a;
    struct api_device b;
    begin(&a, &b);
    save(&a, &first, "old", 0);
    api_settle(&a, &b);
    api_stop(&a);
    api_sql(a.db, RANK);
    open_with(&a, &second, NULL);
    save(&a, &second, "new", 3);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_ACKED, API_DEADLINE_MS, NULL));
    API_WAIT(says_held(&b, "use the same version of it on both"));
    cr_expect_eq(rows(&b, "1"), 1);
    api_stop(&b);
    api_sql(b.db, RANK);
    open_with(&b, &second, a.address);
    api_settle(&a, &b);
    cr_expect_eq(rows(&b, "rank=7 AND text='old'"), 1);
    cr_expect_eq(rows(&b, "rank=3 AND text='new'"), 1);
    check_digests(&a, &b, &second, 2);
    end(&a, &b);
}

/* What an old version captured and a new one had not applied yet is held there; with the old model
 * it is applied, and nothing was lost meanwhile. */
Test(api_new_version, not_in_step)
{
    struct api_device a;
    struct api_device b;
    begin(&a, &b);
    api_stop(&b);
    save(&a, &first, "old", 0);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_sql(b.db, RANK);
    open_with(&b, &second, a.address);
    API_WAIT(says_held(&b, "use the same version of it on both"));
    cr_expect_eq(rows(&b, "1"), 0);
    api_stop(&b);
    open_with(&b, &first, a.address);
    api_settle(&a, &b);
    cr_expect_eq(rows(&b, "rank=7 AND text='old'"), 1);
    api_stop(&a);
    api_stop(&b);
    api_sql(a.db, RANK);
    open_with(&a, &second, NULL);
    open_with(&b, &second, a.address);
    save(&b, &second, "new", 3);
    api_settle(&a, &b);
    check_digests(&a, &b, &second, 2);
    end(&a, &b);
}

/* A field less: its column stays, with a default or NULL, and is each device's own from then on.
 * One that needs a value is refused by name. */
Test(api_new_version, field_removed)
{
    struct api_device a;
    struct api_device b;
    begin(&a, &b);
    api_stop(&a);
    api_stop(&b);
    api_sql(a.db, RANK);
    api_sql(b.db, RANK);
    open_with(&a, &second, NULL);
    open_with(&b, &second, a.address);
    save(&a, &second, "with", 3);
    api_settle(&a, &b);
    api_stop(&a);
    api_stop(&b);
    open_with(&a, &first, NULL);
    open_with(&b, &first, a.address);
    save(&a, &first, "without", 0);
    api_settle(&a, &b);
    cr_expect_eq(rows(&b, "rank=3 AND text='with'"), 1);
    cr_expect_eq(rows(&b, "rank=7 AND text='without'"), 1);
    check_digests(&a, &b, &first, 2);
    api_stop(&b);
    api_sql(b.db,
            "CREATE TABLE strict(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, text TEXT,"
            " rank INTEGER NOT NULL); DROP TABLE notes; ALTER TABLE strict RENAME TO notes");
    cr_expect_eq(try_open(&b, &first, NULL), SYNCLINE_EMODEL);
    cr_expect_not_null(strstr(api_text, "'note'"), "%s", api_text);
    cr_expect_not_null(strstr(api_text, "rank"), "%s", api_text);
    cr_expect_eq(sqlite3_close(b.db), SQLITE_OK);
    api_close(&a);
}

/* A model less: its rows stay, and what comes of it is held until it is given again. */
Test(api_new_version, model_removed)
{
    struct api_device a;
    struct api_device b;
    begin(&a, &b);
    save(&a, &first, "before", 0);
    api_settle(&a, &b);
    api_stop(&b);
    open_with(&b, NULL, a.address);
    save(&a, &first, "meanwhile", 0);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_ACKED, API_DEADLINE_MS, NULL));
    API_WAIT(says_held(&b, "was not given"));
    cr_expect_eq(rows(&b, "1"), 1);
    api_stop(&b);
    open_with(&b, &first, a.address);
    api_settle(&a, &b);
    check_digests(&a, &b, &first, 2);
    end(&a, &b);
}

/* The table may have another name, the model keeps its own. */
Test(api_new_version, table_renamed)
{
    struct api_device a;
    struct api_device b;
    begin(&a, &b);
    save(&a, &first, "before", 0);
    api_settle(&a, &b);
    api_stop(&a);
    api_sql(a.db, "ALTER TABLE notes RENAME TO papers");
    open_with(&a, &other_table, NULL);
    save(&a, &other_table, "after", 0);
    api_settle(&a, &b);
    cr_expect_eq(rows(&b, "1"), 2);
    uint64_t count = 0;
    uint8_t hash[32];
    API_OK(a.lib, syncline_digest(a.lib, &other_table, &count, hash));
    cr_expect_eq(count, 2);
    end(&a, &b);
}

/* A model under another name is another model, in which every row that is there is new, on every
 * device: each takes in its own, and they are births of one record. */
Test(api_new_version, model_renamed)
{
    struct api_device a;
    struct api_device b;
    begin(&a, &b);
    save(&a, &first, "before", 0);
    api_settle(&a, &b);
    /* Until its births are written down the log needs the model. */
    API_WAIT(api_int(a.db, "SELECT max(applied_seq) FROM _syncline_origin") == 1);
    api_stop(&a);
    api_stop(&b);
    open_with(&a, &renamed, NULL);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    open_with(&b, &renamed, a.address);
    api_settle(&a, &b);
    cr_expect_eq(rows(&a, "text='before'"), 1);
    cr_expect_eq(rows(&b, "text='before'"), 1);
    cr_expect_eq(rows(&a, "1"), 1);
    cr_expect_eq(rows(&b, "1"), 1);
    save(&a, &renamed, "after", 0);
    api_settle(&a, &b);
    cr_expect_eq(rows(&b, "text='after'"), 1);
    end(&a, &b);
}
