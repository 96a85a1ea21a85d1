/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What was written without a capture is found and captured, once, and only what this device may
 * send; what could not be sent goes out by itself when it can. */

#include "tests/integration/stepped.h"

#include "stages/shared.h"

#define PASS_MS 10000 /* between two looks at the tables here */

static struct sl_settings settings;

static void setup(void)
{
    stepped_begin();
    sl_settings_init(&settings);
    settings.values[SL_SETTING_SCAN_INTERVAL_MS].number = PASS_MS;
}

static void cleanup(void)
{
    stepped_end();
}

TestSuite(sweep, .init = setup, .fini = cleanup);

static struct stepped_device *make(const char *name)
{
    struct stepped_device *device = stepped_make(name);
    stepped_close(device);
    device->models_len = 4;
    device->settings = &settings;
    stepped_open(device);
    stepped_sql(device, "PRAGMA foreign_keys=ON");
    return device;
}

/* All that moves has moved, and the tables were looked at more than once. */
static void pass(void)
{
    for (int i = 0; i < 3; i++) {
        stepped_rounds(50);
        stepped_round(PASS_MS);
        stepped_rounds(100);
    }
}

static int64_t own_seq(struct stepped_device *device)
{
    return (int64_t)stepped_info(device).own_seq;
}

static int64_t count(struct stepped_device *device, const char *table)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "SELECT count(*) FROM %s", table);
    return stepped_number(device, text);
}

static int64_t births(struct stepped_device *device)
{
    return stepped_number(device, "SELECT total(n) FROM _syncline_birth");
}

static int64_t asides(struct stepped_device *device)
{
    return (int64_t)stepped_info(device).set_aside;
}

/* Writes a row of a tree, by plain SQL. */
static struct stepped_twig grow(struct stepped_device *device, const char *table,
                                const struct stepped_twig *parent)
{
    struct stepped_twig twig = {.parent = {.is_set = parent != NULL}};
    char text[128];
    sqlite3_stmt *stmt = NULL;
    stepped_draw(NULL, &twig.uuid, sizeof(twig.uuid));
    twig.parent.value = parent != NULL ? parent->id : 0;
    (void)snprintf(text, sizeof(text), "INSERT INTO %s(uuid,parent) VALUES(?1,?2)", table);
    cr_assert_eq(sqlite3_prepare_v2(device->db, text, -1, &stmt, NULL), SQLITE_OK);
    (void)sqlite3_bind_blob(stmt, 1, twig.uuid.bytes, 16, SQLITE_STATIC);
    if (parent != NULL) {
        (void)sqlite3_bind_int64(stmt, 2, parent->id);
    }
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE, "%s", sqlite3_errmsg(device->db));
    (void)sqlite3_finalize(stmt);
    twig.id = sqlite3_last_insert_rowid(device->db);
    return twig;
}

/* With the id of a row at its end. */
static void sql_of(struct stepped_device *device, const char *before, int64_t id)
{
    char text[160];
    (void)snprintf(text, sizeof(text), "%s%" PRId64, before, id);
    stepped_sql(device, text);
}

static void tell(struct stepped_device *device, const struct syncline_model *model,
                 const struct stepped_twig *twig, enum syncline_change change)
{
    cr_assert_eq(sl_library_capture(device->library, model, twig, 1, change, NULL, 0, &stepped.err),
                 SYNCLINE_OK, "%s", stepped.err.text);
}

static void check_equal(struct stepped_device *a, struct stepped_device *b)
{
    uint8_t here[SL_HASH_SIZE];
    uint8_t there[SL_HASH_SIZE];
    stepped_digest(a, here);
    stepped_digest(b, there);
    cr_expect_eq(memcmp(here, there, sizeof(here)), 0);
}

/* ---- Rows ---- */

/* A row that was committed and not captured, its process killed, goes out after the next open;
 * once. */
Test(sweep, killed_before_the_capture)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    struct stepped_note note = {.text = "bare"};
    stepped_insert(a, 3);
    pass();
    stepped_write(a, &note, SYNCLINE_INSERT, "notes");
    stepped_kill(a);
    pass();
    cr_expect_eq(own_seq(a), 4);
    cr_expect(stepped_note_is(b, &note, "bare"));
    stepped_reopen(a);
    pass();
    cr_expect_eq(own_seq(a), 4);
    cr_expect_eq(stepped_number(a, "SELECT count(*) FROM _syncline_scan"), 0);
}

/* A row is captured while it is being found: it has one birth, however often it is named. */
Test(sweep, captured_after_all)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    struct stepped_note note = {.text = "bare"};
    pass();
    stepped_write(a, &note, SYNCLINE_INSERT, "notes");
    STEPPED_UNTIL(stepped_number(a, "SELECT count(*) FROM _syncline_outbox") > 0 ||
                  (stepped_round(PASS_MS / 100), false));
    cr_assert_eq(stepped_capture(a, &note, SYNCLINE_INSERT), SYNCLINE_OK, "%s", stepped.err.text);
    pass();
    cr_expect_eq(births(a), 1);
    cr_expect_eq(births(b), 1);
    check_equal(a, b);
}

/* A row that somebody deleted without a capture goes everywhere. */
Test(sweep, deleted)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    stepped_insert(a, 5);
    stepped_insert(b, 2);
    pass();
    stepped_sql(a, "DELETE FROM notes WHERE id IN (1,3,6)"); /* of both devices */
    pass();
    cr_expect_eq(count(b, "notes"), 4);
    cr_expect_eq(own_seq(a), 8);
    cr_expect_eq(births(a), 4);
    cr_expect_eq(births(b), 4);
    check_equal(a, b);
}

/* The id of a row that was so deleted is another one's by the time it is seen: both are told. */
Test(sweep, id_used_again)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    struct stepped_note note = {.text = "later"};
    stepped_insert(a, 3);
    pass();
    stepped_sql(a, "DELETE FROM notes WHERE id=3");
    stepped_write(a, &note, SYNCLINE_INSERT, "notes");
    cr_assert_eq(note.id, 3);
    pass();
    cr_expect_eq(count(b, "notes"), 3);
    cr_expect(stepped_note_is(b, &note, "later"));
    cr_expect_eq(births(a), 3);
    cr_expect_eq(own_seq(a), 5);
    check_equal(a, b);
}

/* The same, but the later one is captured: the birth of the first is not lost with its id, and no
 * change of the later one is taken for one of the first. */
Test(sweep, id_used_by_a_capture)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    struct stepped_note note = {.text = "later"};
    stepped_insert(a, 3);
    pass();
    stepped_sql(a, "DELETE FROM notes WHERE id=3");
    stepped_save(a, &note, SYNCLINE_INSERT);
    cr_assert_eq(note.id, 3);
    note.text = "changed";
    stepped_save(a, &note, SYNCLINE_UPDATE);
    pass();
    cr_expect_eq(count(b, "notes"), 3);
    cr_expect(stepped_note_is(b, &note, "changed"));
    cr_expect_eq(births(a), 3);
    check_equal(a, b);
}

/* One is captured and deleted so soon that its delete names the birth that stood at its id. */
Test(sweep, birth_named_by_mistake)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    struct stepped_note note = {.text = "short"};
    stepped_insert(a, 3);
    pass();
    stepped_sql(a, "DELETE FROM notes WHERE id=3");
    stepped_save(a, &note, SYNCLINE_INSERT);
    cr_assert_eq(note.id, 3);
    stepped_save(a, &note, SYNCLINE_DELETE);
    pass();
    cr_expect_eq(count(b, "notes"), 2);
    cr_expect_eq(births(a), 2);
    check_equal(a, b);
}

/* A row that was written anew with another id is the same record, changed. */
Test(sweep, written_anew)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    stepped_insert(a, 3);
    pass();
    stepped_sql(a, "REPLACE INTO notes(id,uuid,text) SELECT 77,uuid,'anew' FROM notes WHERE id=2");
    cr_assert_eq(count(a, "notes"), 3);
    pass();
    cr_expect_eq(stepped_number(b, "SELECT count(*) FROM notes WHERE text='anew'"), 1);
    cr_expect_eq(own_seq(a), 4);
    cr_expect_eq(births(a), 3);
    check_equal(a, b);
    pass();
    cr_expect_eq(own_seq(a), 4);
}

/* With nothing found nothing is written, however often it is looked. */
Test(sweep, writes_nothing)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    stepped_insert(a, 20);
    stepped_insert(b, 20);
    pass();
    int64_t before = stepped_number(a, "PRAGMA data_version");
    int64_t log = stepped_log_number(a, "SELECT count(*) FROM segment");
    for (int i = 0; i < 5; i++) {
        pass();
    }
    cr_expect_eq(stepped_number(a, "PRAGMA data_version"), before);
    cr_expect_eq(stepped_log_number(a, "SELECT count(*) FROM segment"), log);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_SET_ASIDE), 0);
}

/* With an interval of 0 nobody looks. */
Test(sweep, never)
{
    struct stepped_device *a = make("a");
    struct stepped_note note = {.text = "bare"};
    settings.values[SL_SETTING_SCAN_INTERVAL_MS].number = 0;
    stepped_reopen(a);
    stepped_write(a, &note, SYNCLINE_INSERT, "notes");
    pass();
    cr_expect_eq(own_seq(a), 0);
}

/* A capture outside a transaction that failed is reason enough to look soon. */
Test(sweep, after_a_failed_capture)
{
    struct stepped_device *a = make("a");
    struct stepped_note note = {.text = "bare"};
    settings.values[SL_SETTING_SCAN_INTERVAL_MS].number = 7LL * 24 * 3600 * 1000;
    stepped_reopen(a);
    stepped_round(2000);
    stepped_rounds(600);
    stepped_write(a, &note, SYNCLINE_INSERT, "notes");
    pass();
    cr_assert_eq(own_seq(a), 0, "the next look is far away");
    stepped_fail(1u << SL_SIM_DISK_WRITE, "library.db-wal", SL_SIM_DISK_FULL, -1);
    cr_assert_eq(stepped_capture(a, &note, SYNCLINE_INSERT), SYNCLINE_ENOSPC);
    stepped_heal();
    pass();
    cr_expect_eq(own_seq(a), 1);
}

/* ---- Trees ---- */

/* What went with a captured delete of its root is not told one by one. */
Test(sweep, tree_that_went_with_its_root)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    struct stepped_twig root = grow(a, "leaves", NULL);
    struct stepped_twig child = grow(a, "leaves", &root);
    struct stepped_twig last = grow(a, "leaves", &child);
    tell(a, &stepped_leaf_model, &root, SYNCLINE_INSERT);
    tell(a, &stepped_leaf_model, &child, SYNCLINE_INSERT);
    tell(a, &stepped_leaf_model, &last, SYNCLINE_INSERT);
    pass();
    cr_assert_eq(count(b, "leaves"), 3);
    stepped_sql(a, "DELETE FROM leaves WHERE id=1");
    cr_assert_eq(count(a, "leaves"), 0);
    tell(a, &stepped_leaf_model, &root, SYNCLINE_DELETE);
    pass();
    cr_expect_eq(own_seq(a), 4);
    cr_expect_eq(births(a), 0);
    cr_expect_eq(count(b, "leaves"), 0);
}

/* Of a tree that went without a capture the root alone is told. */
Test(sweep, tree_that_nobody_captured)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    struct stepped_twig root = grow(a, "leaves", NULL);
    struct stepped_twig child = grow(a, "leaves", &root);
    tell(a, &stepped_leaf_model, &root, SYNCLINE_INSERT);
    tell(a, &stepped_leaf_model, &child, SYNCLINE_INSERT);
    pass();
    stepped_sql(a, "DELETE FROM leaves WHERE id=1");
    pass();
    cr_expect_eq(own_seq(a), 3);
    cr_expect_eq(births(a), 0);
    cr_expect_eq(count(b, "leaves"), 0);
}

/* A record that was moved out of a tree before that went is not taken for a part of it. */
Test(sweep, moved_out_of_a_tree)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    struct stepped_twig first = grow(a, "leaves", NULL);
    struct stepped_twig second = grow(a, "leaves", NULL);
    struct stepped_twig child = grow(a, "leaves", &first);
    tell(a, &stepped_leaf_model, &first, SYNCLINE_INSERT);
    tell(a, &stepped_leaf_model, &second, SYNCLINE_INSERT);
    tell(a, &stepped_leaf_model, &child, SYNCLINE_INSERT);
    pass(); /* so that it is an insert below the first, and an update */
    child.parent.value = second.id;
    stepped_sql(a, "UPDATE leaves SET parent=2 WHERE id=3");
    tell(a, &stepped_leaf_model, &child, SYNCLINE_UPDATE);
    stepped_sql(a, "DELETE FROM leaves WHERE id=1");
    tell(a, &stepped_leaf_model, &first, SYNCLINE_DELETE);
    pass();
    cr_assert_eq(count(b, "leaves"), 2);
    stepped_sql(a, "DELETE FROM leaves WHERE id=3");
    pass();
    cr_expect_eq(count(b, "leaves"), 1);
    check_equal(a, b);
}

/* ---- What is not sent ---- */

/* A record of another device that somebody deletes here stays everywhere else, and that is said. */
Test(sweep, record_of_another_device)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    struct stepped_twig leaf = grow(a, "leaves", NULL);
    tell(a, &stepped_leaf_model, &leaf, SYNCLINE_INSERT);
    pass();
    stepped_sql(b, "DELETE FROM leaves");
    pass();
    STEPPED_UNTIL(stepped_events(b, SYNCLINE_CODE_NOT_OURS) == 1);
    pass();
    cr_expect_eq(stepped_events(b, SYNCLINE_CODE_NOT_OURS), 1, "once");
    cr_expect_eq(own_seq(b), 0);
    cr_expect_eq(count(a, "leaves"), 1);
}

#define MANY 1200

static void insert_many(struct stepped_device *device)
{
    stepped_sql(device, "BEGIN");
    for (int i = 0; i < MANY; i++) {
        struct stepped_note note = {.text = "one of many"};
        stepped_write(device, &note, SYNCLINE_INSERT, "notes");
    }
    stepped_sql(device, "COMMIT"); /* the rows go the way of what nobody captured */
}

/* More than half of a large table is gone: nobody is told, until somebody says that it is meant. */
Test(sweep, most_of_a_table)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    pass();
    insert_many(a);
    STEPPED_UNTIL(count(b, "notes") == MANY || (stepped_round(PASS_MS / 100), false));
    pass();
    stepped_sql(a, "DELETE FROM notes WHERE id>10");
    pass();
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_DELETES_HELD) == 1);
    pass();
    cr_expect_eq(own_seq(a), MANY);
    cr_expect_eq(count(b, "notes"), MANY);
    cr_expect_eq(births(a), MANY, "so that the rows may come back");
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_DELETES_HELD), 1, "once");
    settings.values[SL_SETTING_SCAN_DELETES].number = 1;
    stepped_reopen(a);
    pass();
    STEPPED_UNTIL(count(b, "notes") == 10);
    cr_expect_eq(own_seq(a), 2 * MANY - 10);
    check_equal(a, b);
}

/* Less than half of it is what it seems to be. */
Test(sweep, a_part_of_a_table)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    pass();
    insert_many(a);
    STEPPED_UNTIL(count(b, "notes") == MANY || (stepped_round(PASS_MS / 100), false));
    pass();
    stepped_sql(a, "DELETE FROM notes WHERE id>610");
    pass();
    STEPPED_UNTIL(count(b, "notes") == 610);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_DELETES_HELD), 0);
    check_equal(a, b);
}

/* ---- Records set aside ---- */

/* Captures a twig whose parent is in no table. */
static struct stepped_twig orphan(struct stepped_device *device, int64_t parent)
{
    struct stepped_twig missing = {.id = parent};
    stepped_sql(device, "PRAGMA foreign_keys=OFF");
    struct stepped_twig twig = grow(device, "twigs", &missing);
    tell(device, &stepped_twig_model, &twig, SYNCLINE_INSERT);
    return twig;
}

/* A record whose parent was not there goes out when that appears, though the library was closed in
 * between; the list is empty then. */
Test(sweep, parent_appears)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    (void)orphan(a, 4711);
    pass();
    cr_assert_eq(asides(a), 1);
    int64_t events = stepped_events(a, SYNCLINE_CODE_SET_ASIDE);
    pass();
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_SET_ASIDE), events, "it is not said again");
    stepped_reopen(a);
    pass();
    cr_assert_eq(asides(a), 1);
    struct stepped_twig parent = grow(a, "twigs", NULL);
    sql_of(a, "UPDATE twigs SET id=4711 WHERE id=", parent.id);
    parent.id = 4711;
    tell(a, &stepped_twig_model, &parent, SYNCLINE_INSERT);
    pass();
    cr_expect_eq(asides(a), 0);
    cr_expect_eq(count(b, "twigs"), 2);
    cr_expect_eq(own_seq(a), 2);
    cr_expect_eq(stepped_number(b, "SELECT count(*) FROM _syncline_waiting"), 0);
}

/* The same of one that is born, and was to point at a parent that is not there. */
Test(sweep, parent_of_an_update_appears)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    struct stepped_twig twig = grow(a, "twigs", NULL);
    tell(a, &stepped_twig_model, &twig, SYNCLINE_INSERT);
    pass();
    stepped_sql(a, "PRAGMA foreign_keys=OFF; UPDATE twigs SET parent=4711");
    twig.parent = (struct syncline_opt_int64){.is_set = true, .value = 4711};
    tell(a, &stepped_twig_model, &twig, SYNCLINE_UPDATE);
    pass();
    cr_assert_eq(asides(a), 1);
    struct stepped_twig parent = grow(a, "twigs", NULL);
    sql_of(a, "UPDATE twigs SET id=4711 WHERE id=", parent.id);
    pass(); /* nobody captures it, either */
    cr_expect_eq(asides(a), 0);
    cr_expect_eq(stepped_number(b, "SELECT count(*) FROM twigs WHERE parent IS NOT NULL"), 1);
    cr_expect_eq(own_seq(a), 3);
}

/* A record set aside whose row goes is forgotten; one that stays what it is stays in the list. */
Test(sweep, row_of_one_set_aside_goes)
{
    struct stepped_device *a = make("a");
    struct stepped_twig first = orphan(a, 4711);
    (void)orphan(a, 4712);
    stepped_sql(a, "INSERT INTO notes(id,uuid,text) VALUES(5,x'00','no name'),(6,x'01','no name')");
    pass();
    cr_assert_eq(asides(a), 4);
    sql_of(a, "DELETE FROM twigs WHERE id=", first.id);
    stepped_sql(a, "DELETE FROM notes WHERE id=5; UPDATE notes SET uuid=randomblob(16)");
    pass();
    cr_expect_eq(asides(a), 1);
    cr_expect_eq(own_seq(a), 1, "the note has a name now");
    stepped_kill(a);
    pass();
    cr_expect_eq(asides(a), 1);
}

/* A child is out, its parent was set aside for want of its own, and that one is written by somebody
 * who captures nothing: all three arrive, and nothing waits any more. */
Test(sweep, grandparent_appears)
{
    struct stepped_device *a = make("a");
    struct stepped_device *b = make("b");
    struct stepped_twig parent = orphan(a, 4711);
    struct stepped_twig child = grow(a, "twigs", &parent);
    tell(a, &stepped_twig_model, &child, SYNCLINE_INSERT);
    pass();
    cr_assert_eq(count(b, "twigs"), 0);
    cr_assert_eq(stepped_number(b, "SELECT count(*) FROM _syncline_waiting"), 1);
    stepped_reopen(b);
    struct stepped_twig grandparent = grow(a, "twigs", NULL);
    sql_of(a, "UPDATE twigs SET id=4711 WHERE id=", grandparent.id);
    stepped_kill(a);
    pass();
    cr_expect_eq(count(b, "twigs"), 3);
    cr_expect_eq(stepped_number(b, "SELECT count(*) FROM _syncline_waiting"), 0);
    cr_expect_eq(asides(a), 0);
}
