/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The clock of a library whatever the wall does: what it gives only rises, over restarts and power
 * cuts, and is above all that was seen; a change from too far ahead waits for its time and moves
 * nothing meanwhile (stages/clock.h). */

#include "tests/integration/stepped.h"

#include "base/stamp.h"
#include "stages/clock.h"

TestSuite(clock, .init = stepped_begin, .fini = stepped_end);

#define DRIFT_MS ((int64_t)SL_MAX_DRIFT_MS)

/* The highest clock value that the device gave. */
static uint64_t own_hlc(struct stepped_device *device)
{
    struct sl_core *core = sl_library_core(device->library);
    return sl_core_head(core, core->origins[0]).last_hlc;
}

static uint64_t clock_of(struct stepped_device *device)
{
    return sl_library_core(device->library)->hlc_last;
}

static bool is_all_logged(struct stepped_device *device)
{
    return stepped_info(device).outbox == 0;
}

static bool is_all_applied(struct stepped_device *device, uint64_t received)
{
    struct syncline_info info = stepped_info(device);
    return info.received == received && info.received_applied == received;
}

/* A device that has applied changes of others, and whose clock is then set back by a year while it
 * is off, changes a record that it saw: its change wins everywhere. */
Test(clock, a_restart_with_the_wall_set_back_is_above_all_that_was_applied)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    struct stepped_note note = {.text = "of a"};
    stepped_save(a, &note, SYNCLINE_INSERT);
    STEPPED_UNTIL(is_all_applied(b, 1));
    note.text = "of a, again";
    stepped_save(a, &note, SYNCLINE_UPDATE);
    STEPPED_UNTIL(is_all_applied(b, 2));
    uint64_t seen = clock_of(b);
    cr_assert_geq(seen, own_hlc(a));

    b->wall_offset_ms = INT64_C(-365) * 24 * 3600 * 1000;
    stepped_kill(b);
    cr_expect_eq(clock_of(b), seen);
    note.text = "of b, later";
    stepped_save(b, &note, SYNCLINE_UPDATE);
    STEPPED_UNTIL(is_all_applied(a, 1));
    cr_expect_gt(own_hlc(b), seen);
    cr_expect(stepped_note_is(a, &note, "of b, later"));
    cr_expect(stepped_note_is(b, &note, "of b, later"));
}

/* What was merged stays on disk, though the changes it came with were set aside or are of records
 * that lost: here of one that this device changed later, by a clock that was ahead. */
Test(clock, what_was_merged_for_changes_that_lost_is_kept)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    struct stepped_note note = {.text = "first"};
    stepped_save(a, &note, SYNCLINE_INSERT);
    STEPPED_UNTIL(is_all_applied(b, 1));
    stepped_save(b, &note, SYNCLINE_DELETE);
    a->wall_offset_ms = DRIFT_MS - 60000;
    note.text = "of a record that is dead at b";
    stepped_save(a, &note, SYNCLINE_UPDATE);
    STEPPED_UNTIL(is_all_applied(b, 2));
    uint64_t seen = own_hlc(a);
    cr_assert_eq(stepped_number(b, "SELECT count(*) FROM notes"), 0);
    b->wall_offset_ms = -DRIFT_MS;
    stepped_kill(b);
    cr_expect_geq(clock_of(b), seen);
    stepped_insert(b, 1);
    STEPPED_UNTIL(is_all_logged(b));
    cr_expect_gt(own_hlc(b), seen);
}

/* Own clock values rise over restarts with the wall set back again and again, one restart of two by
 * a power cut. */
Test(clock, own_values_rise_over_restarts)
{
    struct stepped_device *a = stepped_make("a");
    uint64_t last = 0;
    for (int i = 0; i < 12; i++) {
        stepped_insert(a, 3);
        STEPPED_UNTIL(is_all_logged(a));
        cr_assert_gt(own_hlc(a), last, "restart %d", i);
        last = own_hlc(a);
        a->wall_offset_ms = i % 3 == 0 ? INT64_C(-3600000) * (i + 1) : 1000 * i;
        if (i % 2 == 0) {
            stepped_cut_power(a);
        } else {
            stepped_reopen(a);
        }
        cr_assert_geq(clock_of(a), last, "restart %d", i);
    }
}

/* Changes from beyond max_drift are in the log and acknowledged as held, are not applied and move
 * no clock; those of a third device go on; what names it says device and distance. When the time
 * has come they are applied. */
Test(clock, beyond_the_drift_is_held_until_its_time)
{
    struct stepped_device *a = stepped_make("right");
    struct stepped_device *b = stepped_make("ahead");
    struct stepped_device *c = stepped_make("third");
    stepped_rounds(50);
    b->wall_offset_ms = DRIFT_MS + 3600000;
    stepped_insert(b, 4);
    STEPPED_UNTIL(stepped_info(a).received == 4);
    struct sl_core *of_b = sl_library_core(b->library);
    STEPPED_UNTIL(of_b->members[0].known.acked_seq == 4);
    stepped_insert(c, 5);
    STEPPED_UNTIL(stepped_number(a, "SELECT count(*) FROM notes") == 5);
    cr_expect_eq(of_b->members[0].known.applied_seq, 0);
    struct syncline_info info = stepped_info(a);
    cr_expect_eq(info.received_applied, 5);
    cr_expect_not_null(strstr(info.notice, "\"ahead\""), "%s", info.notice);
    cr_expect_not_null(strstr(info.notice, "4199 s ahead"), "%s", info.notice);
    cr_expect_lt(sl_hlc_ms(clock_of(a)), stepped.wall_ms + 1000);
    /* Nor by opening it again, nor by its own clock going back. */
    stepped_reopen(a);
    cr_expect_lt(sl_hlc_ms(clock_of(a)), stepped.wall_ms + 1000);
    stepped_rounds(50);
    cr_expect_eq(stepped_info(a).received_applied, 5);
    cr_expect_eq(clock_of(a) >> 32, clock_of(c) >> 32);

    stepped.wall_ms += 3600000 - 1000;
    stepped_rounds(50);
    cr_expect_eq(stepped_info(a).received_applied, 5, "a second too early");
    stepped.wall_ms += 1000;
    STEPPED_UNTIL(is_all_applied(a, 9));
    cr_expect_eq(stepped_number(a, "SELECT count(*) FROM notes"), 9);
}

/* What is believed before the first value that is not is applied, and not a change more; whatever
 * is said of it comes again after a restart. */
Test(clock, what_comes_before_is_applied)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    stepped_close(a);
    stepped_insert(b, 2);
    STEPPED_UNTIL(is_all_logged(b));
    b->wall_offset_ms = 2 * DRIFT_MS;
    stepped_insert(b, 2);
    STEPPED_UNTIL(is_all_logged(b));
    stepped_open(a);
    STEPPED_UNTIL(stepped_info(a).received == 4);
    STEPPED_UNTIL(stepped_info(a).notice[0] != '\0');
    cr_expect_eq(stepped_info(a).received_applied, 2);
    cr_expect_lt(sl_hlc_ms(clock_of(a)), stepped.wall_ms + 1000);
}

/* A slice that is refused - its changes are of a model that was not given - moves no clock; opened
 * with that model it does. */
Test(clock, what_is_refused_moves_no_clock)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    STEPPED_UNTIL(stepped_info(b).links == 1);
    b->models_len = 2;
    stepped_reopen(b);
    b->wall_offset_ms = DRIFT_MS - 60000;
    struct stepped_note memo = {.text = "a memo"};
    stepped_sql(b, "BEGIN IMMEDIATE");
    stepped_write(b, &memo, SYNCLINE_INSERT, "memos");
    cr_assert_eq(sl_library_capture(b->library, &stepped_memo_model, &memo, 1, SYNCLINE_INSERT,
                                    b->db, 0, &stepped.err),
                 SYNCLINE_OK);
    stepped_sql(b, "COMMIT");
    STEPPED_UNTIL(stepped_info(a).received == 1);
    STEPPED_UNTIL(strstr(stepped_info(a).notice, "memo") != NULL);
    cr_expect_lt(sl_hlc_ms(clock_of(a)), stepped.wall_ms + 1000);
    a->models_len = 2;
    stepped_reopen(a);
    STEPPED_UNTIL(is_all_applied(a, 1));
    cr_expect_geq(clock_of(a), own_hlc(b));
}

/* A clock that has gone on from a merge that was rolled back is not set back. */
Test(clock, what_was_given_after_a_merge_stays)
{
    struct stepped_device *a = stepped_make("a");
    struct sl_core *core = sl_library_core(a->library);
    uint64_t before = sl_clock_merge(core, 1000);
    cr_expect_eq(before, 0);
    (void)sl_clock_merge(core, 1001);
    sl_clock_unmerge(core, before, 1000);
    cr_expect_eq(core->hlc_last, 1001);
    sl_clock_unmerge(core, 1000, 1001);
    cr_expect_eq(core->hlc_last, 1000);
    sl_clock_unmerge(core, 2000, 1000); /* it moved nothing */
    cr_expect_eq(core->hlc_last, 1000);
}

static char told[4096];

static void listen(void *ctx, enum syncline_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    size_t len = strlen(told);
    (void)snprintf(told + len, sizeof(told) - len, "%s\n", line);
}

/* A device's own clock runs ahead and is set right: its values stay, and only count up; it is told
 * while they are more than half of max_drift ahead of the wall, and then that they are not. */
Test(clock, own_clock_ahead_then_corrected)
{
    struct stepped_device *a = stepped_make("a");
    struct sl_core *core = sl_library_core(a->library);
    core->host_log = (struct sl_host_log){.to = {.fn = listen}, .level = SYNCLINE_LOG_INFO};
    a->wall_offset_ms = DRIFT_MS;
    stepped_insert(a, 1);
    STEPPED_UNTIL(is_all_logged(a));
    uint64_t high = own_hlc(a);
    stepped_rounds(20);
    cr_expect_str_eq(told, "", "nobody knows yet");
    a->wall_offset_ms = 0;
    stepped_insert(a, 1);
    STEPPED_UNTIL(is_all_logged(a));
    cr_expect_eq(own_hlc(a), high + 1, "the counter runs");
    cr_expect_not_null(strstr(told, "stamped 5"), "%s", told);
    cr_expect_geq(stepped_info(a).clock_ahead_ms, SL_MAX_DRIFT_MS - 10000);
    told[0] = '\0';
    stepped.wall_ms += SL_MAX_DRIFT_MS / 2 - 10000;
    stepped_rounds(20);
    cr_expect_str_eq(told, "");
    stepped.wall_ms += 10000;
    STEPPED_UNTIL(told[0] != '\0');
    cr_expect_not_null(strstr(told, "not stamped ahead"), "%s", told);
    cr_expect_eq(stepped_info(a).clock_ahead_ms, 0);
}
