/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Memory that runs out while changes are applied: whichever allocation of two engines fails, they
 * try again, nothing is lost, set aside or doubled, and both end with the same. */

#include "tests/integration/stepped.h"

#include "stages/shared.h"
#include "tests/unit/counting_allocator.h"

TestSuite(failing_memory, .timeout = 300);

static struct counting counting;
static const struct sl_allocator counted = {.resize = counting_resize, .ctx = &counting};
static struct stepped_device *a;
static struct stepped_device *b;

static bool is_all_done(void)
{
    struct syncline_info of_a = stepped_info(a);
    struct syncline_info of_b = stepped_info(b);
    return of_a.outbox == 0 && of_b.outbox == 0 && of_a.own_seq == of_b.received_applied &&
           of_b.own_seq == of_a.received_applied && of_a.applied_seq == of_a.own_seq &&
           of_b.applied_seq == of_b.own_seq;
}

/* Two devices with the allocator, which know each other. */
static void begin(void)
{
    counting = (struct counting){.blocks = 0};
    stepped_begin();
    a = stepped_make("a");
    b = stepped_make("b");
    for (size_t d = 0; d < stepped.devices_len; d++) {
        struct stepped_device *device = &stepped.devices[d];
        stepped_close(device);
        device->models_len = 3;
        device->env.alloc = &counted;
        stepped_open(device);
    }
    STEPPED_UNTIL(stepped_info(a).links == 1 && stepped_info(b).links == 1);
}

static void end(long n)
{
    stepped_end();
    stepped.devices_len = 0;
    cr_assert_eq(atomic_load(&counting.blocks), 0, "allocation %ld", n);
}

/* The stages of a device that bring changes into the log, and no others. */
static void log_only(struct stepped_device *device)
{
    for (int i = 0; i < 100; i++) {
        for (size_t stage = SL_STAGE_INTAKE; stage <= SL_STAGE_LOG_APPEND; stage++) {
            (void)sl_library_step(device->library, stage);
        }
        stepped.mono_ns += STEPPED_NS_PER_MS;
    }
}

static int64_t waiting(struct stepped_device *device)
{
    return stepped_number(device, "SELECT count(*) FROM _syncline_waiting");
}

/* Runs while the n-th allocation from now on fails. Returns true if there was one. */
static bool run(long n, bool (*is_over)(void))
{
    struct sl_error err;
    counting_fail_at(&counting, n, COUNTING_ANY);
    for (int i = 0; i < STEPPED_ROUNDS && !(is_all_done() && is_over()); i++) {
        stepped_round(10);
    }
    bool failed = counting_has_failed(&counting);
    cr_assert(is_all_done() && is_over(), "allocation %ld: %s | %s", n, stepped_info(a).notice,
              stepped_info(b).notice);
    for (size_t d = 0; d < stepped.devices_len; d++) {
        struct stepped_device *device = &stepped.devices[d];
        cr_assert_eq(stepped_info(device).set_aside, 0, "allocation %ld", n);
        cr_assert_eq(sl_library_health(device->library, &err), SYNCLINE_OK, "allocation %ld", n);
        cr_assert_eq(waiting(device), 0, "allocation %ld", n);
    }
    return failed;
}

/* ---- Trees ---- */

/* A row with the UUID that `twig` has. */
static void write_twin(struct stepped_device *device, struct stepped_twig *twig, int64_t id,
                       int64_t parent)
{
    char sql[160];
    twig->id = id;
    twig->parent.value = parent;
    twig->parent.is_set = parent != 0;
    int len = snprintf(sql, sizeof(sql), "INSERT INTO twigs VALUES(%d,x'", (int)id);
    for (size_t i = 0; i < sizeof(twig->uuid.bytes); i++) {
        len += snprintf(sql + len, sizeof(sql) - (size_t)len, "%02x", twig->uuid.bytes[i]);
    }
    (void)snprintf(sql + len, sizeof(sql) - (size_t)len, "',nullif(%d,0))", (int)parent);
    stepped_sql(device, sql);
}

static void write_twig(struct stepped_device *device, struct stepped_twig *twig, int64_t id,
                       int64_t parent)
{
    stepped_draw(NULL, &twig->uuid, sizeof(twig->uuid));
    write_twin(device, twig, id, parent);
}

static void capture_twig(struct stepped_device *device, const struct stepped_twig *twig,
                         enum syncline_change change)
{
    cr_assert_eq(sl_library_capture(device->library, &stepped_twig_model, twig, 1, change,
                                    device->db, 0, &stepped.err),
                 SYNCLINE_OK, "%s", stepped.err.text);
}

static void add_twig(struct stepped_device *device, int64_t id, int64_t parent)
{
    struct stepped_twig twig;
    stepped_sql(device, "BEGIN IMMEDIATE");
    write_twig(device, &twig, id, parent);
    capture_twig(device, &twig, SYNCLINE_INSERT);
    stepped_sql(device, "COMMIT");
}

/* A pair, of which the child comes first. */
static void add_pair(struct stepped_device *device, int64_t id)
{
    struct stepped_twig parent;
    struct stepped_twig child;
    stepped_sql(device, "BEGIN IMMEDIATE");
    write_twig(device, &parent, id, 0);
    write_twig(device, &child, id + 1, id);
    capture_twig(device, &child, SYNCLINE_INSERT);
    capture_twig(device, &parent, SYNCLINE_INSERT);
    stepped_sql(device, "COMMIT");
}

static void remove_twig(struct stepped_device *device, int64_t id)
{
    struct stepped_twig twig = {.id = id};
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(
        sqlite3_prepare_v2(device->db, "SELECT uuid FROM twigs WHERE id=?1", -1, &stmt, NULL),
        SQLITE_OK);
    (void)sqlite3_bind_int64(stmt, 1, id);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    memcpy(twig.uuid.bytes, sqlite3_column_blob(stmt, 0), sizeof(twig.uuid.bytes));
    (void)sqlite3_finalize(stmt);
    stepped_sql(device, "BEGIN IMMEDIATE");
    char sql[64];
    (void)snprintf(sql, sizeof(sql), "DELETE FROM twigs WHERE id=%d", (int)id);
    stepped_sql(device, sql);
    capture_twig(device, &twig, SYNCLINE_DELETE);
    stepped_sql(device, "COMMIT");
}

/* The pair, and nothing else. */
static bool a_pair_is_left(struct stepped_device *device)
{
    return stepped_number(device, "SELECT count(*) FROM twigs") == 2 &&
           stepped_number(device, "SELECT count(*) FROM twigs c JOIN twigs p ON p.id=c.parent") ==
               1 &&
           stepped_number(device, "SELECT ifnull(sum(n),0) FROM _syncline_birth") == 2 &&
           waiting(device) == 0;
}

static bool pairs_are_left(void)
{
    return a_pair_is_left(a) && a_pair_is_left(b);
}

/* A deletes a record while B hangs some on it: what B had in its log becomes invisible there and
 * waits at A, until B deletes it; what B had only captured it deletes at once. And a child
 * comes before its parent. */
static bool tree(long n)
{
    begin();
    add_twig(a, 1, 0);
    STEPPED_UNTIL(is_all_done());
    remove_twig(a, 1);
    add_pair(a, 60);
    for (int64_t id = 2; id < 6; id++) { /* a chain */
        add_twig(b, id, id - 1);
    }
    log_only(b);
    for (int64_t id = 10; id < 30; id++) {
        add_twig(b, id, 1);
    }
    bool failed = run(n, pairs_are_left);
    end(n);
    return failed;
}

/* See tree. */
Test(failing_memory, a_tree_is_deleted)
{
    long n = 1;
    while (tree(n)) {
        n++;
    }
    cr_expect_gt(n, 100);
}

/* ---- Births of one UUID ---- */

static bool are_equal(void)
{
    uint8_t of_a[SL_HASH_SIZE];
    uint8_t of_b[SL_HASH_SIZE];
    uint64_t count = 0;
    struct sl_error err;
    return sl_library_digest(a->library, &stepped_model, &count, of_a, &err) == SYNCLINE_OK &&
           sl_library_digest(b->library, &stepped_model, &count, of_b, &err) == SYNCLINE_OK &&
           count == 2 && memcmp(of_a, of_b, sizeof(of_a)) == 0;
}

/* Both make the same records, each its own births; then one deletes and the other changes them. */
static bool births(long n)
{
    struct stepped_note notes[3];
    begin();
    for (int i = 0; i < 3; i++) {
        notes[i] = (struct stepped_note){.text = "of a"};
        stepped_save(a, &notes[i], SYNCLINE_INSERT);
        notes[i].text = "of b";
        stepped_save(b, &notes[i], SYNCLINE_INSERT);
    }
    log_only(a);
    log_only(b);
    notes[0].text = "changed";
    stepped_save(a, &notes[0], SYNCLINE_UPDATE);
    stepped_save(b, &notes[1], SYNCLINE_DELETE);
    stepped_save(a, &notes[2], SYNCLINE_DELETE);
    stepped_save(b, &notes[2], SYNCLINE_DELETE);
    bool failed = run(n, are_equal);
    cr_assert(stepped_note_is(b, &notes[0], "changed"), "allocation %ld", n);
    cr_assert(stepped_note_is(b, &notes[1], "of a"), "allocation %ld", n);
    end(n);
    return failed;
}

/* See births. */
Test(failing_memory, births_of_one_uuid)
{
    long n = 1;
    while (births(n)) {
        n++;
    }
    cr_expect_gt(n, 50);
}

/* ---- Births of one UUID that lack a parent ---- */

static void add_twin(struct stepped_device *device, struct stepped_twig *twig, int64_t id,
                     int64_t parent)
{
    stepped_sql(device, "BEGIN IMMEDIATE");
    write_twin(device, twig, id, parent);
    capture_twig(device, twig, SYNCLINE_INSERT);
    stepped_sql(device, "COMMIT");
}

static void hold_a_at_b(bool held)
{
    struct sl_origin_state *origin =
        sl_core_origin(sl_library_core(b->library), &sl_library_core(a->library)->self);
    if (origin != NULL) {
        origin->held = held;
    }
}

static bool is_one_left_of(struct stepped_device *device)
{
    return stepped_number(device, "SELECT count(*) FROM twigs WHERE parent IS NULL") == 1 &&
           stepped_number(device, "SELECT count(*) FROM twigs") == 1 &&
           stepped_number(device, "SELECT count(*) FROM _syncline_hidden_birth") == 1 &&
           waiting(device) == 0;
}

static bool is_one_left(void)
{
    return is_one_left_of(a) && is_one_left_of(b);
}

/* A hangs two records on one that B deletes, and B has inserted both by itself. B hears of them
 * when it has deleted one of its own: that waits there, and at A, where it was hidden, until A
 * deletes it. The other is hidden beside B's. */
static bool births_without_parent(long n)
{
    struct stepped_twig twins[2];
    begin();
    add_twig(b, 1, 0);
    STEPPED_UNTIL(is_all_done());
    hold_a_at_b(true);
    for (int i = 0; i < 2; i++) {
        stepped_draw(NULL, &twins[i].uuid, sizeof(twins[i].uuid));
        add_twin(a, &twins[i], 10 + i, 1);
    }
    log_only(a);
    stepped.wall_ms += 100;
    remove_twig(b, 1);
    for (int i = 0; i < 2; i++) {
        add_twin(b, &twins[i], 20 + i, 0);
    }
    for (int i = 0; i < 100; i++) {
        hold_a_at_b(true);
        stepped_round(2);
    }
    cr_assert_eq(stepped_number(a, "SELECT count(*) FROM _syncline_hidden_birth"), 2);
    remove_twig(b, 20);
    hold_a_at_b(false);
    bool failed = run(n, is_one_left);
    end(n);
    return failed;
}

/* See births_without_parent. */
Test(failing_memory, births_that_lack_a_parent)
{
    long n = 1;
    while (births_without_parent(n)) {
        n++;
    }
    cr_expect_gt(n, 50);
}
