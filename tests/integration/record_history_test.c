/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What has become of each change of a record that is not simply in its table
 * (stages/record_history, stages/record_lives): it waits, is held, or is hidden behind another one.
 * The rest is in api_why_test. */

#include "tests/integration/stepped.h"

#include "stages/record_history.h"
#include "tests/unit/counting_allocator.h"

TestSuite(record_history, .init = stepped_begin, .fini = stepped_end);

static struct sl_history history;

/* Of the record as `device` knows it. */
static void ask(struct stepped_device *device, const struct syncline_model *model,
                const struct syncline_uuid *uuid)
{
    struct sl_core *core = sl_library_core(device->library);
    sl_history_fini(&history);
    sl_history_init(&history, &sl_allocator_libc);
    cr_assert_eq(
        sl_history_read(&history, core, device->sync_db, device->library_db,
                        sl_model_find_name(&core->models, model->name, strlen(model->name)), uuid,
                        &stepped.err),
        SYNCLINE_OK, "%s", stepped.err.text);
}

/* The change, and who won against it (NULL: nobody). */
static void check(struct stepped_device *maker, uint64_t seq, enum syncline_fate fate,
                  const char *part, struct stepped_device *winner, uint64_t winner_seq)
{
    for (size_t i = 0; i < history.len; i++) {
        const struct sl_history_entry *entry = &history.entries[i];
        if (entry->seq != seq ||
            memcmp(&entry->stamp.origin.device, &maker->identity.device_id, 16) != 0) {
            continue;
        }
        cr_expect_eq(entry->fate, fate, "fate %d: %s", (int)entry->fate, entry->why);
        cr_expect_not_null(strstr(entry->why, part), "\"%s\" is not in: %s", part, entry->why);
        cr_expect_eq(entry->winner_seq, winner_seq, "%s", entry->why);
        cr_expect_eq(entry->winner.hlc != 0, winner != NULL);
        if (winner != NULL) {
            cr_expect_eq(memcmp(&entry->winner.origin.device, &winner->identity.device_id, 16), 0);
        }
        return;
    }
    cr_assert_fail("change %d of %s is not told", (int)seq, maker->name);
}

/* Each allocation fails once: then the call fails or tells the same, and leaves no memory behind.
 */
static void ask_without_memory(struct stepped_device *device, const struct syncline_model *model,
                               const struct syncline_uuid *uuid)
{
    struct counting counting = {.whose = COUNTING_ANY, .me = pthread_self()};
    const struct sl_allocator counted = {.resize = counting_resize, .ctx = &counting};
    const struct sl_allocator *alloc = device->env.alloc;
    struct sl_core *core = sl_library_core(device->library);
    const struct sl_model *known =
        sl_model_find_name(&core->models, model->name, strlen(model->name));
    long failed = 0;
    ask(device, model, uuid);
    for (long n = 1; failed == n - 1; n++) {
        struct sl_history got;
        sl_history_init(&got, &counted);
        atomic_store(&counting.left, n);
        device->env.alloc = &counted;
        enum syncline_status status = sl_history_read(
            &got, core, device->sync_db, device->library_db, known, uuid, &stepped.err);
        device->env.alloc = alloc;
        failed += atomic_load(&counting.left) <= 0 ? 1 : 0;
        cr_expect(status == SYNCLINE_OK ? got.len == history.len : status == SYNCLINE_ENOMEM,
                  "status %d: %s", (int)status, stepped.err.text);
        for (size_t i = 0; i < got.len && status == SYNCLINE_OK; i++) {
            cr_expect_eq(got.entries[i].fate, history.entries[i].fate);
        }
        sl_history_fini(&got);
        cr_assert_eq(atomic_load(&counting.blocks), 0);
    }
    cr_expect_gt(failed, 3);
}

static struct sl_origin_state *origin_at(struct stepped_device *who, struct stepped_device *whom)
{
    return sl_core_origin(sl_library_core(who->library), &sl_library_core(whom->library)->self);
}

static bool has_applied(struct stepped_device *who, struct stepped_device *whom, uint64_t seq)
{
    const struct sl_origin_state *origin = origin_at(who, whom);
    return origin != NULL && origin->applied_seq == seq;
}

/* Both have what they have captured in their logs, and all of the other's applied. */
static bool is_settled(struct stepped_device *a, uint64_t a_seq, struct stepped_device *b,
                       uint64_t b_seq)
{
    return has_applied(a, b, b_seq) && has_applied(b, a, a_seq) && stepped_info(a).outbox == 0 &&
           stepped_info(b).outbox == 0;
}

/* Two devices insert one UUID: the later one is shown, and the other lives behind it, with what was
 * done to it before; a change of both wins over both, and a delete is of both. */
Test(record_history, hidden)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    struct stepped_note note = {.text = "of a"};
    stepped_insert(a, 1);
    stepped_insert(b, 1);
    STEPPED_UNTIL(is_settled(a, 1, b, 1));
    origin_at(a, b)->held = true;
    origin_at(b, a)->held = true;
    stepped_save(a, &note, SYNCLINE_INSERT);
    note.text = "of a, again";
    stepped_save(a, &note, SYNCLINE_UPDATE);
    stepped_rounds(50);
    stepped_round(5000);
    struct stepped_note twin = {.uuid = note.uuid, .text = "of b"};
    stepped_save(b, &twin, SYNCLINE_INSERT);
    stepped_rounds(50);
    origin_at(a, b)->held = false;
    origin_at(b, a)->held = false;
    STEPPED_UNTIL(is_settled(a, 3, b, 2));
    cr_assert(stepped_note_is(a, &note, "of b"));
    stepped_rounds(100);
    struct stepped_device *both[] = {a, b};
    for (int i = 0; i < 2; i++) {
        ask(both[i], &stepped_model, &note.uuid);
        cr_assert_eq(history.len, 3);
        check(a, 2, SYNCLINE_FATE_SUPERSEDED, "a later change won: of", a, 3);
        check(a, 3, SYNCLINE_FATE_HIDDEN, i == 0 ? "is shown: by \"b\", change 2" : "this device",
              b, 2);
        check(b, 2, SYNCLINE_FATE_SHOWN, "the row", NULL, 0);
    }
    ask_without_memory(a, &stepped_model, &note.uuid);
    note.text = "of both";
    stepped_save(a, &note, SYNCLINE_UPDATE);
    STEPPED_UNTIL(is_settled(a, 4, b, 2));
    stepped_rounds(100);
    for (int i = 0; i < 2; i++) {
        ask(both[i], &stepped_model, &note.uuid);
        check(a, 3, SYNCLINE_FATE_SUPERSEDED, "a later change won", a, 4);
        check(b, 2, SYNCLINE_FATE_SUPERSEDED, "a later change won", a, 4);
        check(a, 4, SYNCLINE_FATE_SHOWN, "the row", NULL, 0);
    }
    stepped_save(b, &twin, SYNCLINE_DELETE);
    STEPPED_UNTIL(is_settled(a, 4, b, 3));
    for (int i = 0; i < 2; i++) {
        ask(both[i], &stepped_model, &note.uuid);
        cr_expect_not(history.is_here);
        check(a, 2, SYNCLINE_FATE_DEAD, "its record was deleted by", b, 3);
        check(b, 2, SYNCLINE_FATE_DEAD, "its record was deleted by", b, 3);
        check(b, 3, SYNCLINE_FATE_DELETED, "it deleted", NULL, 0);
    }
    sl_history_fini(&history);
}

static struct stepped_device *make_with_twigs(const char *name)
{
    struct stepped_device *device = stepped_make(name);
    stepped_close(device);
    device->models_len = 3;
    stepped_open(device);
    return device;
}

/* The id that a twig has on a device; 0: it is not there. */
static int64_t twig_id(struct stepped_device *device, const struct syncline_uuid *uuid)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(
        sqlite3_prepare_v2(device->db, "SELECT id FROM twigs WHERE uuid=?1", -1, &stmt, NULL),
        SQLITE_OK);
    (void)sqlite3_bind_blob(stmt, 1, uuid->bytes, 16, SQLITE_STATIC);
    int64_t id = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    (void)sqlite3_finalize(stmt);
    return id;
}

/* Does something to a twig, which points at another one then (NULL: at none). */
static void save_twig(struct stepped_device *device, struct syncline_uuid *uuid,
                      const struct syncline_uuid *parent, enum syncline_change change)
{
    static const char *const texts[] = {
        [SYNCLINE_INSERT] = "INSERT INTO twigs(uuid,parent) VALUES(?1,?2)",
        [SYNCLINE_UPDATE] = "UPDATE twigs SET parent=?2 WHERE uuid=?1",
        [SYNCLINE_DELETE] = "DELETE FROM twigs WHERE uuid=?1"};
    sqlite3_stmt *stmt = NULL;
    if (change == SYNCLINE_INSERT) {
        stepped_draw(NULL, uuid, sizeof(*uuid));
    }
    struct stepped_twig twig = {.id = twig_id(device, uuid), .uuid = *uuid};
    stepped_sql(device, "BEGIN IMMEDIATE");
    cr_assert_eq(sqlite3_prepare_v2(device->db, texts[change], -1, &stmt, NULL), SQLITE_OK);
    (void)sqlite3_bind_blob(stmt, 1, uuid->bytes, 16, SQLITE_STATIC);
    if (parent != NULL && change != SYNCLINE_DELETE) {
        twig.parent = (struct syncline_opt_int64){twig_id(device, parent), true};
        (void)sqlite3_bind_int64(stmt, 2, twig.parent.value);
    }
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE, "%s", sqlite3_errmsg(device->db));
    (void)sqlite3_finalize(stmt);
    twig.id = change == SYNCLINE_INSERT ? sqlite3_last_insert_rowid(device->db) : twig.id;
    cr_assert_eq(sl_library_capture(device->library, &stepped_twig_model, &twig, 1, change,
                                    device->db, 0, &stepped.err),
                 SYNCLINE_OK, "%s", stepped.err.text);
    stepped_sql(device, "COMMIT");
    stepped_round(2); /* each its own segment, and its own moment */
    stepped_round(2);
}

static struct stepped_device *a;
static struct stepped_device *b;
static struct stepped_device *c;
static struct syncline_uuid root;

/* Three devices with a twig of a's; c applies nothing more of a, and b all. */
static void make_three(void)
{
    a = make_with_twigs("a");
    b = make_with_twigs("b");
    c = make_with_twigs("c");
    save_twig(a, &root, NULL, SYNCLINE_INSERT);
    STEPPED_UNTIL(has_applied(b, a, 1) && has_applied(c, a, 1));
    origin_at(c, a)->held = true;
}

/* What points at a record that has not come waits, and is told what for; once that is here it is
 * shown. */
Test(record_history, waits_for_its_parent)
{
    struct syncline_uuid parent;
    struct syncline_uuid child;
    make_three();
    save_twig(a, &parent, NULL, SYNCLINE_INSERT);
    STEPPED_UNTIL(has_applied(b, a, 2));
    save_twig(b, &child, &parent, SYNCLINE_INSERT);
    STEPPED_UNTIL(has_applied(c, b, 1));
    ask(c, &stepped_twig_model, &child);
    cr_expect_not(history.is_here);
    check(b, 1, SYNCLINE_FATE_WAITING, "it points at twig ", NULL, 0);
    save_twig(b, &child, &root, SYNCLINE_UPDATE);
    save_twig(b, &child, &parent, SYNCLINE_UPDATE);
    STEPPED_UNTIL(has_applied(c, b, 3));
    ask(c, &stepped_twig_model, &child);
    cr_expect_eq(history.len, 3);
    origin_at(c, a)->held = false;
    STEPPED_UNTIL(has_applied(c, a, 2) && stepped_info(c).waiting == 0);
    ask(c, &stepped_twig_model, &child);
    cr_expect(history.is_here);
    check(b, 1, SYNCLINE_FATE_SUPERSEDED, "a later change won", b, 3);
    check(b, 3, SYNCLINE_FATE_SHOWN, "the row", NULL, 0);
    sl_history_fini(&history);
}

/* Updates of a record that has not come: the last one waits, the others have lost to it; with its
 * delete all are dead. */
Test(record_history, waits_for_its_insert)
{
    struct syncline_uuid twig;
    make_three();
    save_twig(a, &twig, NULL, SYNCLINE_INSERT);
    STEPPED_UNTIL(has_applied(b, a, 2));
    save_twig(b, &twig, &root, SYNCLINE_UPDATE);
    save_twig(b, &twig, NULL, SYNCLINE_UPDATE);
    STEPPED_UNTIL(has_applied(c, b, 2));
    ask(c, &stepped_twig_model, &twig);
    check(a, 2, SYNCLINE_FATE_RECEIVED, "dealt with", NULL, 0);
    check(b, 1, SYNCLINE_FATE_SUPERSEDED, "a later change won, which waits", b, 2);
    check(b, 2, SYNCLINE_FATE_WAITING, "its update came before its insert, which is change 2 of",
          NULL, 0);
    ask_without_memory(c, &stepped_twig_model, &twig);
    save_twig(b, &twig, NULL, SYNCLINE_DELETE);
    STEPPED_UNTIL(has_applied(c, b, 3));
    ask(c, &stepped_twig_model, &twig);
    check(b, 1, SYNCLINE_FATE_DEAD, "deleted by", b, 3);
    check(b, 2, SYNCLINE_FATE_DEAD, "deleted by", b, 3);
    check(b, 3, SYNCLINE_FATE_WAITING, "its delete came before its insert", NULL, 0);
    origin_at(c, a)->held = false;
    STEPPED_UNTIL(has_applied(c, a, 2) && stepped_info(c).waiting == 0);
    ask(c, &stepped_twig_model, &twig);
    check(a, 2, SYNCLINE_FATE_DEAD, "deleted by", b, 3);
    check(b, 3, SYNCLINE_FATE_DELETED, "it deleted", NULL, 0);
    sl_history_fini(&history);
}

/* An update that waits is kept beside its row, which shows what it had; what it has won over is
 * told, though it was never written. */
Test(record_history, an_update_waits_beside_its_row)
{
    struct syncline_uuid parent;
    char sql[160];
    make_three();
    save_twig(a, &root, NULL, SYNCLINE_UPDATE);
    save_twig(a, &parent, NULL, SYNCLINE_INSERT);
    STEPPED_UNTIL(has_applied(b, a, 3));
    save_twig(b, &root, &parent, SYNCLINE_UPDATE);
    STEPPED_UNTIL(has_applied(c, b, 1));
    ask(c, &stepped_twig_model, &root);
    cr_expect(history.is_here);
    check(a, 1, SYNCLINE_FATE_SHOWN, "the row", NULL, 0);
    check(b, 1, SYNCLINE_FATE_WAITING, "a change points it at twig ", NULL, 0);
    int len = snprintf(sql, sizeof(sql),
                       "CREATE TRIGGER refuse BEFORE INSERT ON twigs WHEN"
                       " new.uuid=x'");
    for (int i = 0; i < 16; i++) {
        len += snprintf(sql + len, sizeof(sql) - (size_t)len, "%02x", parent.bytes[i]);
    }
    (void)snprintf(sql + len, sizeof(sql) - (size_t)len, "' BEGIN SELECT RAISE(ABORT,'no'); END");
    stepped_sql(c, sql); /* so it never comes */
    origin_at(c, a)->held = false;
    STEPPED_UNTIL(has_applied(c, a, 3));
    ask(c, &stepped_twig_model, &root);
    check(a, 1, SYNCLINE_FATE_SHOWN, "the row", NULL, 0);
    check(a, 2, SYNCLINE_FATE_SUPERSEDED, "a later change won, which waits: of", b, 1);
    check(b, 1, SYNCLINE_FATE_WAITING, "which is not here", NULL, 0);
    sl_history_fini(&history);
}

/* A record whose parent was deleted by one who did not know of it waits, whole. */
Test(record_history, waits_when_its_parent_was_deleted)
{
    struct syncline_uuid parent;
    struct syncline_uuid child;
    make_three();
    origin_at(c, a)->held = false;
    save_twig(a, &parent, NULL, SYNCLINE_INSERT);
    STEPPED_UNTIL(has_applied(b, a, 2) && has_applied(c, a, 2));
    origin_at(b, a)->held = true; /* it does not hear of the delete */
    save_twig(a, &parent, NULL, SYNCLINE_DELETE);
    save_twig(b, &child, &parent, SYNCLINE_INSERT);
    STEPPED_UNTIL(has_applied(c, a, 3) && has_applied(c, b, 1));
    ask(c, &stepped_twig_model, &child);
    cr_expect_not(history.is_here);
    check(b, 1, SYNCLINE_FATE_WAITING, "it points at twig ", NULL, 0);
    sl_history_fini(&history);
}

/* Changes that are held say so, with the reason, and from which one on. */
Test(record_history, held)
{
    a = stepped_make("a");
    b = stepped_make("b");
    struct stepped_note note = {.text = "in time"};
    stepped_save(a, &note, SYNCLINE_INSERT);
    STEPPED_UNTIL(has_applied(b, a, 1));
    a->wall_offset_ms = 3600000;
    stepped_insert(a, 1);
    stepped_rounds(10);
    note.text = "too early";
    stepped_save(a, &note, SYNCLINE_UPDATE);
    STEPPED_UNTIL(origin_at(b, a)->clock_held && stepped_info(b).received == 3);
    ask(b, &stepped_model, &note.uuid);
    check(a, 1, SYNCLINE_FATE_SHOWN, "the row", NULL, 0);
    check(a, 3, SYNCLINE_FATE_HELD,
          "its device's changes from 2 on are held: they are from a clock", NULL, 0);
    stepped_round(3600000);
    STEPPED_UNTIL(has_applied(b, a, 3));
    ask(b, &stepped_model, &note.uuid);
    check(a, 1, SYNCLINE_FATE_SUPERSEDED, "a later change won", a, 3);
    check(a, 3, SYNCLINE_FATE_SHOWN, "the row", NULL, 0);
    sl_history_fini(&history);
}
