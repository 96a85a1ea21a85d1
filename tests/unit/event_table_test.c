/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/event_table.h"

#include "tests/unit/failing_malloc.h"
#include "tests/unit/storage_fixture.h"

static struct sl_peer_log log_;
static struct sl_event rows[10];

static void start(void)
{
    const struct sl_library_identity identity = {.device_name = "laptop"};
    set_up();
    OK(sl_peer_log_create(sl_env_posix(), in_folder("sync.db"), &identity, &err));
    OK(sl_peer_log_open(&log_, sl_env_posix(), in_folder("sync.db"), SL_DB_WRITE, &err));
}

static void stop(void)
{
    sl_peer_log_fini(&log_);
    tear_down();
}

TestSuite(event_table, .init = start, .fini = stop);

static size_t after(int64_t number, size_t max)
{
    size_t len = 99;
    OK(sl_event_after(&log_, number, rows, max, &len, &err));
    return len;
}

static void put(const char *text)
{
    struct sl_event event = {.at_ms = 7, .code = SYNCLINE_CODE_HELD, .status = SYNCLINE_EPROTO};
    (void)snprintf(event.text, sizeof(event.text), "%s", text);
    OK(sl_event_put(&log_, &event, &err));
}

/* What is put is there again, with all that it is about or nothing of it; oldest first, as many as
 * are asked for. */
Test(event_table, put_and_read)
{
    struct sl_event event = {.number = 77, /* the table gives its own */
                             .at_ms = 1768642200123,
                             .code = SYNCLINE_CODE_SET_ASIDE,
                             .status = SYNCLINE_ENOSPC,
                             .device = {{1, 2}},
                             .uuid = {{3, 4}},
                             .model = "entry",
                             .text = "one line"};
    cr_assert_eq(after(0, 10), 0);
    OK(sl_event_put(&log_, &event, &err));
    put("nothing but a text");
    cr_assert_eq(after(0, 10), 2);
    event.number = 1;
    cr_expect_eq(memcmp(&rows[0], &event, sizeof(event)), 0);
    static const struct syncline_uuid none;
    cr_expect_eq(rows[1].number, 2);
    cr_expect(sl_uuid_equal(&rows[1].device, &none) && sl_uuid_equal(&rows[1].uuid, &none));
    cr_expect_str_eq(rows[1].model, "");
    cr_expect_str_eq(rows[1].text, "nothing but a text");
    cr_expect_eq(query_int(log_.db.handle, "SELECT count(*) FROM event WHERE device IS NULL AND"
                                           " uuid IS NULL AND model IS NULL"),
                 1);
    cr_assert_eq(after(1, 10), 1);
    cr_expect_eq(rows[0].number, 2);
    cr_assert_eq(after(0, 1), 1);
    cr_expect_eq(rows[0].number, 1);
    cr_expect_eq(after(2, 10), 0);
}

/* The newest stay; a number is never given again. */
Test(event_table, prune)
{
    for (int i = 0; i < 5; i++) {
        put("an event");
    }
    OK(sl_event_prune(&log_, 5, &err));
    cr_expect_eq(after(0, 10), 5);
    OK(sl_event_prune(&log_, 2, &err));
    cr_assert_eq(after(0, 10), 2);
    cr_expect_eq(rows[0].number, 4);
    OK(sl_event_prune(&log_, 0, &err));
    cr_expect_eq(after(0, 10), 0);
    put("one more");
    cr_assert_eq(after(0, 10), 1);
    cr_expect_eq(rows[0].number, 6);
}

/* Every failure is one of the call, which then has done nothing. */
Test(event_table, failures)
{
    size_t len = 99;
    struct sl_event event = {.text = "an event"};
    put("an event");
    for (int failing = 0; SL_MALLOC_CAN_FAIL && failing < 3; failing++) {
        long n = 0;
        enum syncline_status status = SYNCLINE_OK;
        do {
            sl_malloc_fail_at(++n);
            status = failing == 0   ? sl_event_put(&log_, &event, &err)
                     : failing == 1 ? sl_event_prune(&log_, 10, &err)
                                    : sl_event_after(&log_, 0, rows, 10, &len, &err);
            cr_assert(status == SYNCLINE_OK || status == SYNCLINE_ENOMEM, "%s", err.text);
        } while (sl_malloc_fail_at(0));
        cr_expect_eq(status, SYNCLINE_OK);
        cr_expect_gt(n, 1);
    }
    cr_expect_geq(after(0, 10), 1);
    sql_on(in_folder("sync.db"), "DROP TABLE event");
    len = 99;
    FAILS(sl_event_put(&log_, &event, &err), SYNCLINE_EDB, "no such table");
    FAILS(sl_event_prune(&log_, 10, &err), SYNCLINE_EDB, "no such table");
    FAILS(sl_event_after(&log_, 0, rows, 10, &len, &err), SYNCLINE_EDB, "no such table");
    cr_expect_eq(len, 99);
}
