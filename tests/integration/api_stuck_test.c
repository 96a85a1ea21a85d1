/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* syncline_stuck: what waits on a device, told by a handle that runs the engine and by one that
 * does not. How each kind comes to be is in stuck_test. */

#include "tests/integration/api.h"

TestSuite(api_stuck, .init = api_setup, .fini = api_cleanup);

static struct syncline_stuck last;
static char last_model[64];

static bool take(void *ctx, const struct syncline_stuck *stuck)
{
    int *count = ctx;
    cr_expect_eq(stuck->size, sizeof(*stuck));
    last = *stuck;
    (void)snprintf(last_model, sizeof(last_model), "%s", stuck->model != NULL ? stuck->model : "");
    (*count)++;
    return true;
}

static int ask(struct api_device *device, const char *model)
{
    int count = 0;
    API_OK(device->lib, syncline_stuck(device->lib, model, take, &count));
    return count;
}

static void check(enum syncline_stuck_kind kind, const char *part)
{
    cr_expect_eq(last.kind, kind, "kind %d: %s", (int)last.kind, last.why);
    cr_expect_not_null(strstr(last.why, part), "\"%s\" is not in: %s", part, last.why);
}

/* Where nothing waits nothing is told; what cannot be asked is refused. */
Test(api_stuck, nothing)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct tag red = api_tag("red");
    api_save_tag(&a, &red, SYNCLINE_INSERT);
    api_settle(&a, &b);
    cr_expect_eq(ask(&a, NULL), 0);
    cr_expect_eq(ask(&b, "tag"), 0);
    int count = 0;
    API_REFUSED(a.lib, syncline_stuck(a.lib, "nothing", take, &count), SYNCLINE_EMODEL,
                "'nothing'");
    API_REFUSED(a.lib, syncline_stuck(a.lib, NULL, NULL, NULL), SYNCLINE_EINVAL, "fn");
    cr_expect_eq(syncline_stuck(NULL, NULL, take, &count), SYNCLINE_EINVAL);
    cr_expect_eq(count, 0);
    api_close(&b);
    api_close(&a);
}

/* What a handle captures without an engine is told at once, and not any more once one has run. */
Test(api_stuck, captured_without_an_engine)
{
    struct api_device a;
    struct syncline_options options = api_options();
    api_create(&a, "a");
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    api_save_tags(&a, 3, 0);
    cr_assert_eq(ask(&a, NULL), 1);
    check(SYNCLINE_STUCK_CAPTURED, "nobody runs the engine");
    cr_expect_eq(last.changes, 3);
    cr_expect_str_eq(last_model, "tag");
    cr_expect_eq(ask(&a, "folder"), 0);
    struct syncline *lib = a.lib;
    api_open_alone(&a);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect_eq(ask(&a, NULL), 0);
    int count = 0;
    API_OK(lib, syncline_stuck(lib, NULL, take, &count)); /* asks the engine of the other handle */
    cr_expect_eq(count, 0);
    syncline_close(lib);
    api_close(&a);
}

/* While the engine is paused, what has come is told; and by another handle, too. */
Test(api_stuck, received_by_a_paused_engine)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    API_OK(b.lib, syncline_pause(b.lib));
    struct tag red = api_tag("red");
    api_save_tag(&a, &red, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_ACKED, API_DEADLINE_MS, NULL));
    cr_assert_eq(ask(&b, NULL), 1);
    check(SYNCLINE_STUCK_RECEIVED, "paused");
    cr_expect_eq(last.seq, 1);
    cr_expect_eq(last.changes, 1);
    cr_expect_str_eq(last_model, "");
    struct syncline_options options = api_options();
    struct syncline *other = NULL;
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(b.dir, &options, &other), SYNCLINE_OK, "%s", api_text);
    int count = 0;
    API_OK(other, syncline_stuck(other, NULL, take, &count));
    cr_expect_eq(count, 1);
    check(SYNCLINE_STUCK_RECEIVED, "paused");
    API_OK(b.lib, syncline_resume(b.lib));
    api_settle(&a, &b);
    cr_expect_eq(ask(&b, NULL), 0);
    syncline_close(other);
    api_close(&b);
    api_close(&a);
}

/* A record that could not be sent is told where it was made, without a number. */
Test(api_stuck, set_aside_at_the_sender)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    struct tag red = api_tag("red");
    api_put_tag(a.db, &red);
    api_sql(a.db, "UPDATE tags SET color='red'");
    API_OK(a.lib, syncline_sync_model_with_db(a.lib, &tag_model, &red, SYNCLINE_INSERT, a.db));
    API_WAIT(api_info(&a).set_aside == 1);
    cr_assert_eq(ask(&a, "tag"), 1);
    check(SYNCLINE_STUCK_SET_ASIDE, "'color'");
    cr_expect(last.own);
    cr_expect_eq(last.seq, 0);
    cr_expect_eq(memcmp(&last.uuid, &red.uuid, sizeof(red.uuid)), 0);
    api_close(&a);
}
