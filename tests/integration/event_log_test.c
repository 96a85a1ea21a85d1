/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The event log: each failure is one event when it begins and one when it is over, and nothing else
 * is; it is bounded, holds up nobody, and outlives what it tells of. */

#include "tests/integration/stepped.h"

TestSuite(event_log, .init = stepped_begin, .fini = stepped_end);

static bool is_quiet(struct stepped_device *device)
{
    return sl_library_core(device->library)->events.len == 0;
}

/* The text of the newest event of that code, in a static buffer. */
static const char *text_of(struct stepped_device *device, enum syncline_event_code code)
{
    static char text[SL_ERROR_SIZE];
    sqlite3 *log = NULL;
    sqlite3_stmt *stmt = NULL;
    text[0] = '\0';
    cr_assert_eq(sqlite3_open(device->sync_db, &log), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(log,
                                    "SELECT text FROM event WHERE code=?1 ORDER BY number DESC", -1,
                                    &stmt, NULL),
                 SQLITE_OK);
    (void)sqlite3_bind_int(stmt, 1, (int)code);
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        (void)snprintf(text, sizeof(text), "%s", (const char *)sqlite3_column_text(stmt, 0));
    }
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(log);
    return text;
}

/* Two devices that find each other, change and apply: that they are members is all there is. */
Test(event_log, nothing_goes_wrong)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    stepped_insert(a, 20);
    stepped_insert(b, 20);
    STEPPED_UNTIL(stepped_info(a).received_applied == 20 && stepped_info(b).received_applied == 20);
    stepped_rounds(100);
    cr_expect_eq(stepped_events(a, 0), 1);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_MEMBER_ADDED), 1);
    cr_expect_str_eq(text_of(a, SYNCLINE_CODE_MEMBER_ADDED), "device \"b\" is a member now");
    stepped_reopen(a);
    stepped_rounds(100);
    cr_expect_eq(stepped_events(a, 0), 1);
}

/* A full disk that several stages meet, again and again for minutes, is one event; and one when
 * there is room. */
Test(event_log, a_failure_that_lasts)
{
    struct stepped_device *a = stepped_make("a");
    stepped_rounds(5);
    stepped_insert(a, 1);
    stepped_fail(1u << SL_SIM_DISK_WRITE, "/d0/sync.db-wal", SL_SIM_DISK_FULL, -1);
    for (int i = 0; i < 200; i++) {
        stepped_round(1000);
    }
    cr_assert_gt(stepped_fault.met, 20);
    cr_expect_not_null(strstr(stepped_info(a).notice, "log_append"));
    cr_expect_eq(sl_library_core(a->library)->events.len, 1);
    stepped_heal();
    STEPPED_UNTIL(stepped_info(a).outbox == 0);
    STEPPED_UNTIL(is_quiet(a));
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_NO_SPACE), 1);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_WORKS_AGAIN), 1);
    cr_expect_eq(stepped_events(a, 0), 2);
    cr_expect_not_null(strstr(text_of(a, SYNCLINE_CODE_NO_SPACE), "log_append: sync.db"), "%s",
                       text_of(a, SYNCLINE_CODE_NO_SPACE));
    cr_expect_not_null(strstr(text_of(a, SYNCLINE_CODE_WORKS_AGAIN), "the disk is full"), "%s",
                       text_of(a, SYNCLINE_CODE_WORKS_AGAIN));
}

/* Stages that fail for the same share the event, and it is over when the last of them works. What
 * they fail for otherwise is another event; waiting for a lock is none. */
Test(event_log, stages_share_a_failure)
{
    struct stepped_device *a = stepped_make("a");
    struct sl_core *core = sl_library_core(a->library);
    struct sl_error err;
    (void)sl_fail(&err, SYNCLINE_ENOSPC, "full");
    sl_core_failed(core, "apply", SYNCLINE_ENOSPC, &err);
    sl_core_failed(core, "settle", SYNCLINE_ENOSPC, &err);
    cr_expect_eq(core->events.len, 1);
    sl_core_works(core, SL_STAGE_APPLY);
    sl_core_works(core, SL_STAGE_SCAN);
    cr_expect_eq(core->events.len, 1, "settle still fails");
    sl_core_failed(core, "settle", SYNCLINE_ENOMEM, &err);
    cr_expect_eq(core->events.len, 2, "for another reason");
    sl_core_failed(core, "settle", SYNCLINE_EBUSY, &err);
    cr_expect_eq(core->events.len, 2);
    sl_core_works(core, SL_STAGE_SETTLE);
    cr_assert_eq(core->events.len, 3);
    static const enum syncline_event_code codes[] = {
        SYNCLINE_CODE_NO_SPACE, SYNCLINE_CODE_NO_MEMORY, SYNCLINE_CODE_WORKS_AGAIN};
    for (size_t i = 0; i < 3; i++) {
        cr_expect_eq(core->events.rows[i].code, codes[i], "event %zu", i);
    }
    sl_core_failed(core, "scan", SYNCLINE_EIO, &err);
    sl_core_failed(core, "scan", SYNCLINE_EDB, &err);
    cr_assert_eq(core->events.len, 5);
    cr_expect_eq(core->events.rows[3].code, SYNCLINE_CODE_IO_FAILED);
    cr_expect_eq(core->events.rows[4].code, SYNCLINE_CODE_FAILED);
}

/* More events than there is room for, while they cannot be written: the first are kept, and one
 * says how many were not. */
Test(event_log, more_than_can_be_written)
{
    struct stepped_device *a = stepped_make("a");
    struct sl_core *core = sl_library_core(a->library);
    stepped_rounds(5);
    stepped_fail(1u << SL_SIM_DISK_WRITE, "/d0/sync.db-wal", SL_SIM_DISK_FULL, -1);
    for (unsigned i = 0; i < SL_EVENTS_PENDING_MAX + 7; i++) {
        sl_core_news(core, SYNCLINE_CODE_CLOCK_RIGHT, NULL, "an event");
        stepped_round(100);
    }
    cr_expect_eq(stepped_events(a, 0), 0);
    stepped_heal();
    STEPPED_UNTIL(is_quiet(a));
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_CLOCK_RIGHT), SL_EVENTS_PENDING_MAX);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_EVENTS_LOST), 1);
    cr_expect_not_null(strstr(text_of(a, SYNCLINE_CODE_EVENTS_LOST), "7 more"));
    cr_expect_eq(stepped_events(a, 0), SL_EVENTS_PENDING_MAX + 1);
}

/* The newest SL_EVENTS_KEPT are kept, not one less and not one more; their numbers go on. */
Test(event_log, the_newest_are_kept)
{
    struct stepped_device *a = stepped_make("a");
    struct sl_core *core = sl_library_core(a->library);
    for (unsigned i = 0; i < SL_EVENTS_KEPT; i += 20) {
        for (unsigned k = 0; k < 20; k++) {
            sl_core_news(core, SYNCLINE_CODE_CLOCK_RIGHT, NULL, "an event");
        }
        STEPPED_UNTIL(is_quiet(a));
    }
    cr_expect_eq(stepped_events(a, 0), SL_EVENTS_KEPT);
    cr_expect_eq(stepped_log_number(a, "SELECT min(number) FROM event"), 1);
    sl_core_news(core, SYNCLINE_CODE_CLOCK_RIGHT, NULL, "one more");
    STEPPED_UNTIL(is_quiet(a));
    cr_expect_eq(stepped_events(a, 0), SL_EVENTS_KEPT);
    cr_expect_eq(stepped_log_number(a, "SELECT min(number) FROM event"), 2);
    cr_expect_eq(stepped_log_number(a, "SELECT max(number) FROM event"), SL_EVENTS_KEPT + 1);
}

/* An engine that stops for good writes down why; and closing writes what is pending. */
Test(event_log, the_last_words)
{
    struct stepped_device *a = stepped_make("a");
    struct sl_core *core = sl_library_core(a->library);
    struct sl_error err;
    (void)sl_fail(&err, SYNCLINE_ECORRUPT, "library.db: what it says\nis nonsense");
    sl_core_failed(core, "intake", SYNCLINE_ECORRUPT, &err);
    STEPPED_UNTIL(is_quiet(a));
    cr_expect_eq(sl_library_health(a->library, &err), SYNCLINE_ECORRUPT);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_STOPPED), 1);
    cr_expect_str_eq(text_of(a, SYNCLINE_CODE_STOPPED),
                     "intake: library.db: what it says?is nonsense");
    sl_core_news(core, SYNCLINE_CODE_CLOCK_RIGHT, NULL, "the last");
    stepped_close(a);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_CLOCK_RIGHT), 1);
}

/* What the clock, an unknown model and records set aside make of themselves. */
Test(event_log, what_is_held_and_set_aside)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    STEPPED_UNTIL(stepped_info(b).links == 1);
    b->wall_offset_ms = 2 * (int64_t)SL_MAX_DRIFT_MS;
    stepped_insert(b, 1);
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_CLOCK_HELD) == 1);
    b->wall_offset_ms = 0;
    STEPPED_UNTIL(stepped_events(b, SYNCLINE_CODE_CLOCK_AHEAD) == 1);
    stepped_rounds(50);
    stepped.wall_ms += 2 * SL_MAX_DRIFT_MS;
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_CLOCK_RELEASED) == 1);
    STEPPED_UNTIL(stepped_events(b, SYNCLINE_CODE_CLOCK_RIGHT) == 1);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_CLOCK_HELD), 1);
    cr_expect_eq(stepped_log_number(a, "SELECT count(*) FROM event WHERE device IN"
                                       " (SELECT device FROM member)"),
                 3);
    /* A record without a UUID in its table is refused by the capture; one whose table refuses it
     * is set aside: here, two with one text. */
    stepped_sql(a, "CREATE UNIQUE INDEX texts ON notes(text)");
    struct stepped_note notes[3];
    for (size_t i = 0; i < 3; i++) {
        notes[i] = (struct stepped_note){.text = "the same"};
        stepped_save(b, &notes[i], SYNCLINE_INSERT);
    }
    STEPPED_UNTIL(stepped_info(a).set_aside == 2);
    STEPPED_UNTIL(is_quiet(a));
    cr_expect_geq(stepped_events(a, SYNCLINE_CODE_SET_ASIDE), 1);
    cr_expect_eq(stepped_log_number(a, "SELECT count(*) FROM event WHERE model='note'"
                                       " AND uuid IN (SELECT uuid FROM set_aside)"),
                 stepped_events(a, SYNCLINE_CODE_SET_ASIDE));
    b->models_len = 2;
    stepped_reopen(b);
    struct stepped_note memo = {.text = "a memo"};
    stepped_sql(b, "BEGIN IMMEDIATE");
    stepped_write(b, &memo, SYNCLINE_INSERT, "memos");
    cr_assert_eq(sl_library_capture(b->library, &stepped_memo_model, &memo, 1, SYNCLINE_INSERT,
                                    b->db, 0, &stepped.err),
                 SYNCLINE_OK);
    stepped_sql(b, "COMMIT");
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_HELD) == 1);
    cr_expect_not_null(strstr(text_of(a, SYNCLINE_CODE_HELD), "'memo'"));
}

/* A device of another library is refused, here and there; one that is away is no event. */
Test(event_log, a_link_that_is_refused)
{
    struct stepped_device *a = stepped_make("a");
    stepped_draw(NULL, &stepped.library_id, sizeof(stepped.library_id));
    struct stepped_device *b = stepped_make("b");
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_LINK_REFUSED) == 1);
    STEPPED_UNTIL(stepped_events(b, SYNCLINE_CODE_LINK_REFUSED) == 1);
    stepped_rounds(200);
    cr_expect_eq(stepped_events(b, 0), 1);
    stepped_close(a);
    stepped_rounds(200);
    cr_expect_not_null(strstr(stepped_info(b).notice, "cannot be reached"), "%s",
                       stepped_info(b).notice);
    cr_expect_eq(stepped_events(b, 0), 1);
}
