/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Whose birth is it: what the log says and what it does not say, and that an answer which could not
 * be had is no answer: what asked for it waits, and nothing is lost or told twice. */

#include "tests/integration/stepped.h"

#include "stages/birth_check.h"
#include "tests/unit/counting_allocator.h"
#include "tests/unit/failing_malloc.h"

#define NOTES 3 /* each is a segment by itself */

static struct counting counting;
static const struct sl_allocator counted = {.resize = counting_resize, .ctx = &counting};
static struct sl_settings settings;
static struct stepped_device *a;
static struct sl_core *core;
static struct stepped_note notes[NOTES];

static struct sl_birth birth_at(uint64_t seq)
{
    return (struct sl_birth){.origin = core->self, .seq = seq};
}

/* Notes 0, 1, 2 are born at 1, 2, 3 of this device's log, and 4 is an update of the first. */
static void setup(void)
{
    stepped_begin();
    sl_settings_init(&settings);
    settings.values[SL_SETTING_SCAN_INTERVAL_MS].number = 10000;
    a = stepped_make("a");
    stepped_close(a);
    a->models_len = 2;
    a->env.alloc = &counted;
    a->settings = &settings;
    stepped_open(a);
    for (uint64_t i = 0; i < NOTES; i++) {
        notes[i] = (struct stepped_note){.text = "a note"};
        stepped_save(a, &notes[i], SYNCLINE_INSERT);
        STEPPED_UNTIL(stepped_info(a).own_seq == i + 1);
    }
    stepped_save(a, &notes[0], SYNCLINE_UPDATE);
    STEPPED_UNTIL(stepped_info(a).own_seq == NOTES + 1);
    stepped_rounds(100);
    core = sl_library_core(a->library);
}

static void cleanup(void)
{
    stepped_end();
    cr_assert_eq(atomic_load(&counting.blocks), 0);
}

TestSuite(birth_check, .init = setup, .fini = cleanup, .timeout = 120);

static enum syncline_status ask(struct sl_birth_check *check, const char *model, int note,
                                const struct sl_birth *birth, bool *is)
{
    return sl_birth_check_is(check, sl_model_find_name(&core->models, model, strlen(model)),
                             &notes[note].uuid, birth, is, &stepped.err);
}

/* Is that note born at that place? */
static enum syncline_status ask_at(struct sl_birth_check *check, int note, uint64_t seq, bool *is)
{
    const struct sl_birth birth = birth_at(seq);
    return ask(check, "note", note, &birth, is);
}

static void expect_at(struct sl_birth_check *check, int note, uint64_t seq, bool wanted)
{
    bool is = !wanted;
    cr_assert_eq(ask_at(check, note, seq, &is), SYNCLINE_OK, "%s", stepped.err.text);
    cr_assert_eq(is, wanted, "note %d at %d", note, (int)seq);
}

/* After a failure: each answer is the right one, whichever segment was read last. */
static void expect_all(struct sl_birth_check *check)
{
    for (int note = 0; note < NOTES; note++) {
        for (uint64_t seq = 1; seq <= NOTES; seq++) {
            expect_at(check, note, seq, seq == (uint64_t)note + 1);
        }
    }
}

/* A birth is that record's, or another one's: another UUID, another model, a change that is no
 * insert. A segment is read once for all that are asked about one after the other. */
Test(birth_check, the_log_says_whose_it_is)
{
    struct sl_birth_check check;
    const struct sl_birth first = birth_at(1);
    bool is = true;
    sl_birth_check_init(&check, core, &core->apply_log);
    expect_all(&check);
    expect_at(&check, 0, NOTES + 1, false);
    cr_assert_eq(ask(&check, "memo", 0, &first, &is), SYNCLINE_OK);
    cr_expect_not(is);
    uint64_t before = check.loads;
    expect_at(&check, 0, 1, true);
    expect_at(&check, 1, 1, false);
    cr_expect_eq(check.loads, before);
    expect_at(&check, 1, 2, true);
    cr_expect_eq(check.loads, before + 1);
    sl_birth_check_fini(&check);
}

/* A birth that the log does not hold is not doubted: beyond its end, or of an origin that it does
 * not know. */
Test(birth_check, what_the_log_does_not_hold)
{
    struct sl_birth_check check;
    const struct sl_birth strange = {.origin = {.device = {{7}}, .epoch = 1}, .seq = 1};
    const struct sl_birth beyond = birth_at(NOTES + 2);
    const struct sl_group *group = NULL;
    uint32_t i = 0;
    bool is = false;
    sl_birth_check_init(&check, core, &core->apply_log);
    expect_at(&check, 0, NOTES + 2, true);
    cr_assert_eq(ask(&check, "note", 0, &strange, &is), SYNCLINE_OK);
    cr_expect(is);
    cr_assert_eq(sl_birth_check_change(&check, &beyond, &group, &i, &stepped.err), SYNCLINE_OK);
    cr_expect_null(group);
    cr_expect_eq(check.loads, 0);
    expect_at(&check, 1, 2, true);
    cr_assert_eq(sl_birth_check_change(&check, &strange, &group, &i, &stepped.err), SYNCLINE_OK);
    cr_expect_null(group);
    expect_at(&check, 1, 1, false); /* and what was read before is as it was */
    sl_birth_check_fini(&check);
}

/* Each read fails once: that is said, and the next time it is read. */
Test(birth_check, a_read_fails)
{
    int failed = 0;
    do {
        struct sl_birth_check check;
        bool is = false;
        sl_birth_check_init(&check, core, &core->apply_log);
        expect_at(&check, 0, 1, true);
        cr_assert_eq(sl_db_exec(&core->apply_log.db, "PRAGMA shrink_memory", &stepped.err),
                     SYNCLINE_OK);
        stepped_fail(1u << SL_SIM_DISK_READ, "", SL_SIM_DISK_ERROR, 1);
        stepped_fault.after = failed++;
        enum syncline_status status = ask_at(&check, 1, 2, &is);
        stepped_heal();
        cr_assert_eq(status, stepped_fault.met > 0 ? SYNCLINE_EIO : SYNCLINE_OK, "read %d: %s",
                     failed, stepped.err.text);
        expect_all(&check);
        sl_birth_check_fini(&check);
    } while (stepped_fault.met > 0);
    cr_assert_gt(failed, 2);
}

static void write_log(const char *text)
{
    sqlite3 *log = NULL;
    cr_assert_eq(sqlite3_open(a->sync_db, &log), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(log, text, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(log));
    cr_assert_eq(sqlite3_close(log), SQLITE_OK);
}

/* While the second segment is what it is now. Returns whether it could be read. */
static bool ask_the_damaged(struct sl_birth_check *check, int at)
{
    bool is = false;
    expect_at(check, 0, 1, true);
    enum syncline_status status = ask_at(check, 1, 2, &is);
    cr_assert(status == SYNCLINE_OK || status == SYNCLINE_EPROTO || status == SYNCLINE_EFORMAT ||
                  status == SYNCLINE_EUNSUPPORTED,
              "byte %d: %s", at, syncline_status_name(status));
    cr_assert_eq(ask_at(check, 1, 2, &is), status, "byte %d, once more", at);
    expect_at(check, 1, 1, false);
    expect_at(check, 2, 3, true);
    return status == SYNCLINE_OK;
}

/* A segment that is damaged answers nothing, wherever it ends, and whatever byte of it is another;
 * the others do, and it does itself once it is whole. */
Test(birth_check, a_segment_is_damaged)
{
    struct sl_birth_check check;
    int64_t size = stepped_log_number(a, "SELECT length(bytes) FROM segment WHERE last_seq=2");
    int refused = 0;
    sl_birth_check_init(&check, core, &core->apply_log);
    write_log("CREATE TABLE whole AS SELECT bytes FROM segment WHERE last_seq=2");
    for (int at = 1; at < size; at++) {
        char text[256];
        (void)snprintf(text, sizeof(text),
                       "UPDATE segment SET bytes=(SELECT substr(bytes,1,%d) FROM whole)"
                       " WHERE last_seq=2",
                       at);
        write_log(text);
        cr_assert_not(ask_the_damaged(&check, at), "%d bytes", at);
        (void)snprintf(text, sizeof(text),
                       "UPDATE segment SET bytes=(SELECT CAST(substr(bytes,1,%d)||x'c1'||"
                       "substr(bytes,%d) AS BLOB) FROM whole) WHERE last_seq=2",
                       at, at + 2);
        write_log(text);
        refused += ask_the_damaged(&check, at) ? 0 : 1;
    }
    cr_assert_gt(refused, 20);
    write_log("UPDATE segment SET bytes=(SELECT bytes FROM whole) WHERE last_seq=2;"
              "DROP TABLE whole");
    expect_all(&check);
    sl_birth_check_fini(&check);
}

/* One allocation fails, of ours or of any library's: that is said, and the next time it is there.
 */
static bool ask_without_memory(long n, bool anybodys)
{
    struct sl_birth_check check;
    bool is = false;
    bool failed = false;
    long blocks = atomic_load(&counting.blocks);
    sl_birth_check_init(&check, core, &core->apply_log);
    if (anybodys) {
        (void)sl_malloc_fail_at(n);
    } else {
        counting_fail_at(&counting, n, COUNTING_MINE);
    }
    enum syncline_status status = ask_at(&check, 1, 2, &is);
    failed = anybodys ? sl_malloc_fail_at(0) && SL_MALLOC_CAN_FAIL : counting_has_failed(&counting);
    cr_assert(status == SYNCLINE_OK || (failed && status == SYNCLINE_ENOMEM), "allocation %ld: %s",
              n, stepped.err.text);
    cr_assert(anybodys || failed == (status != SYNCLINE_OK), "allocation %ld", n);
    expect_all(&check);
    sl_birth_check_fini(&check);
    cr_assert_eq(atomic_load(&counting.blocks), blocks, "allocation %ld", n);
    return failed;
}

/* See ask_without_memory. */
Test(birth_check, no_memory)
{
    long n = 1;
    while (ask_without_memory(n, false)) {
        n++;
    }
    cr_expect_gt(n, 2);
    for (n = 1; ask_without_memory(n, true);) {
        n++;
    }
    cr_expect(n > 3 || !SL_MALLOC_CAN_FAIL);
}

/* What the birth of an update cannot be asked about stays in the outbox, and goes out once. An
 * update that was captured before open is asked about. */
Test(birth_check, a_capture_waits_for_the_answer)
{
    stepped_save(a, &notes[1], SYNCLINE_UPDATE);
    stepped_reopen(a);
    core = sl_library_core(a->library);
    stepped_fail(1u << SL_SIM_DISK_READ, "/d0/sync.db", SL_SIM_DISK_ERROR, -1);
    STEPPED_UNTIL(atomic_load(&core->failing[SL_STAGE_FK_RESOLVE]));
    stepped_rounds(50);
    stepped_heal();
    cr_assert_gt(stepped_fault.met, 0);
    cr_expect_eq(stepped_info(a).outbox, 1);
    cr_expect_eq(stepped_info(a).own_seq, NOTES + 1);
    STEPPED_UNTIL(stepped_info(a).own_seq == NOTES + 2);
    stepped_rounds(50);
    cr_expect_eq(stepped_info(a).own_seq, NOTES + 2);
    cr_expect_not(atomic_load(&core->failing[SL_STAGE_FK_RESOLVE]));
}

/* Nor is a record whose id was used again taken for one that is there, or for one that is gone,
 * while the log cannot be read: the look at the tables begins anew. */
Test(birth_check, a_look_at_the_tables_waits_for_the_answer)
{
    struct stepped_note other = {.text = "another note"};
    stepped_rounds(500);
    stepped_write(a, &notes[2], SYNCLINE_DELETE, "notes");
    stepped_write(a, &other, SYNCLINE_INSERT, "notes");
    cr_assert_eq(other.id, notes[2].id);
    stepped_reopen(a);
    core = sl_library_core(a->library);
    stepped_fail(1u << SL_SIM_DISK_READ, "/d0/sync.db", SL_SIM_DISK_ERROR, -1);
    STEPPED_UNTIL(atomic_load(&core->failing[SL_STAGE_SCAN]));
    stepped_rounds(500);
    stepped_heal();
    cr_expect_eq(stepped_info(a).own_seq, NOTES + 1);
    STEPPED_UNTIL(stepped_info(a).own_seq == NOTES + 3); /* a delete and an insert */
    stepped_rounds(500);
    cr_expect_eq(stepped_info(a).own_seq, NOTES + 3);
    cr_expect_eq(stepped_number(a, "SELECT sum(n) FROM _syncline_birth"), NOTES);
}
