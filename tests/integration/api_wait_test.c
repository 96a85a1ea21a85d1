/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Waiting for changes, by flush: what each level means, and what is left when it ends. */

#include "tests/integration/api.h"

TestSuite(api_wait, .init = api_setup, .fini = api_cleanup);

static struct syncline_left left_of(struct api_device *device, enum syncline_level level,
                                    enum syncline_status expected)
{
    struct syncline_left left = SYNCLINE_LEFT_INIT;
    left.outbox = left.unsent = left.unacked = left.unapplied = 77;
    enum syncline_status status = syncline_flush(device->lib, level, 0, &left);
    cr_expect_eq(status, expected, "%s: %s", syncline_status_name(status), api_error(device->lib));
    return left;
}

static bool left_is(struct syncline_left left, uint64_t outbox, uint64_t unsent, uint64_t unacked,
                    uint64_t unapplied)
{
    return left.outbox == outbox && left.unsent == unsent && left.unacked == unacked &&
           left.unapplied == unapplied;
}

/* Alone there is nothing to send, and a flush that is refused for it still says what is left. */
Test(api_wait, left_alone)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    api_save_tags(&a, 30, 0);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect(left_is(left_of(&a, SYNCLINE_LEVEL_QUEUED, SYNCLINE_OK), 0, 0, 0, 0));
    cr_expect(left_is(left_of(&a, SYNCLINE_LEVEL_DURABLE, SYNCLINE_OK), 0, 0, 0, 0));
    cr_expect(left_is(left_of(&a, SYNCLINE_LEVEL_SENT, SYNCLINE_EREFUSED), 0, 0, 0, 0));
    cr_expect(left_is(left_of(&a, SYNCLINE_LEVEL_ACKED, SYNCLINE_EREFUSED), 0, 0, 0, 0));
    cr_expect(left_is(left_of(&a, SYNCLINE_LEVEL_APPLIED, SYNCLINE_EREFUSED), 0, 0, 0, 0));
    api_close(&a);
}

/* With a member that is away everything in the log is left for it; with one that is there, nothing.
 */
Test(api_wait, left_of_a_member)
{
    struct api_device a;
    struct api_device b;
    api_create(&a, "a");
    api_open(&a, NULL);
    api_join(&b, "b", a.address);
    API_WAIT(api_info(&a).members == 1);
    api_save_tags(&a, 30, 7);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect(left_is(left_of(&a, SYNCLINE_LEVEL_DURABLE, SYNCLINE_OK), 0, 30, 30, 30));
    cr_expect(left_is(left_of(&a, SYNCLINE_LEVEL_SENT, SYNCLINE_TIMEOUT), 0, 30, 30, 30));
    API_REFUSED(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_SENT, 0, NULL), SYNCLINE_TIMEOUT,
                "0 of 30");
    api_open(&b, a.address);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_SENT, API_DEADLINE_MS, NULL));
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_APPLIED, API_DEADLINE_MS, NULL));
    cr_expect(left_is(left_of(&a, SYNCLINE_LEVEL_APPLIED, SYNCLINE_OK), 0, 0, 0, 0));

    /* What was sent is not forgotten with the link; what comes after it is not sent. */
    api_stop(&b);
    API_WAIT(api_info(&a).links == 0);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_SENT, 0, NULL));
    api_save_tags(&a, 5, 0);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect(left_is(left_of(&a, SYNCLINE_LEVEL_SENT, SYNCLINE_TIMEOUT), 0, 5, 5, 5));
    api_close(&a);
    api_close(&b);
}

/* In the capture role the same is read from the files; what is in the outbox waits there, and is
 * counted without what came after the flush began. */
Test(api_wait, left_without_an_engine)
{
    struct api_device a;
    struct api_device b;
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_CAPTURE;
    api_pair(&a, &b);
    api_save_tags(&a, 10, 0);
    api_settle(&a, &b);
    API_WAIT(api_info(&a).applied_seq == 10); /* sync.db knows it too */
    api_stop(&b);
    api_save_tags(&a, 4, 0);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_stop(&a);
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    cr_expect(left_is(left_of(&a, SYNCLINE_LEVEL_SENT, SYNCLINE_TIMEOUT), 0, 4, 4, 4));
    api_save_tags(&a, 25, 0);
    cr_expect(left_is(left_of(&a, SYNCLINE_LEVEL_QUEUED, SYNCLINE_OK), 25, 4, 4, 4));
    cr_expect(left_is(left_of(&a, SYNCLINE_LEVEL_DURABLE, SYNCLINE_TIMEOUT), 25, 4, 4, 4));
    struct syncline_left left = SYNCLINE_LEFT_INIT;
    cr_expect_eq(syncline_close_drained(a.lib, SYNCLINE_LEVEL_DURABLE, 0, &left), SYNCLINE_TIMEOUT);
    cr_expect(left_is(left, 25, 4, 4, 4));
    api_open(&a, NULL);
    api_open(&b, a.address);
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    api_close(&a);
    api_close(&b);
}

/* What cannot be filled is refused before anything is waited for, and an older caller's shorter
 * struct is filled as far as it goes. */
Test(api_wait, left_is_checked)
{
    struct api_device a;
    struct syncline_left left = SYNCLINE_LEFT_INIT;
    api_create(&a, "a");
    api_open_alone(&a);
    api_save_tags(&a, 3, 0);
    left.size = 3;
    API_REFUSED(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, -1, &left), SYNCLINE_EINVAL,
                "_INIT");
    API_REFUSED(a.lib, syncline_close_drained(a.lib, SYNCLINE_LEVEL_DURABLE, -1, &left),
                SYNCLINE_EINVAL, "_INIT");
    API_REFUSED(a.lib, syncline_flush(a.lib, (enum syncline_level)0, 0, NULL), SYNCLINE_EINVAL,
                "level 0");
    left.size = offsetof(struct syncline_left, unacked);
    left.outbox = left.unacked = 77;
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, &left));
    cr_expect(left.outbox == 0 && left.unacked == 77);
    cr_expect_eq(left.size, offsetof(struct syncline_left, unacked));
    api_close(&a);
}
