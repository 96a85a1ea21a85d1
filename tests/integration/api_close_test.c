/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Closing with a deadline, and holding callers back while the engine is far behind. */

#include "tests/integration/api.h"

#include <pthread.h>

#include "base/limits.h"
#include "pipeline/handle.h"

TestSuite(api_close, .init = api_setup, .fini = api_cleanup);

/* With everything done nothing is left, and the other device has it all. */
Test(api_close, drained)
{
    struct api_device a;
    struct api_device b;
    struct syncline_left left = SYNCLINE_LEFT_INIT;
    api_pair(&a, &b);
    api_save_tags(&a, 100, 0);
    left.outbox = left.unacked = left.unapplied = 77;
    cr_assert_eq(syncline_close_drained(a.lib, SYNCLINE_LEVEL_APPLIED, API_DEADLINE_MS, &left),
                 SYNCLINE_OK);
    a.lib = NULL;
    cr_expect(left.outbox == 0 && left.unacked == 0 && left.unapplied == 0);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 100);
    api_close(&b);
    api_close(&a);
}

/* When the time is over it closes all the same, says what is left, and the next open goes on. */
Test(api_close, deadline)
{
    struct api_device a;
    struct api_device b;
    struct syncline_left left = SYNCLINE_LEFT_INIT;
    api_pair(&a, &b);
    api_settle(&a, &b);
    api_stop(&b);
    api_save_tags(&a, 30, 0);
    cr_assert_eq(syncline_close_drained(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, &left),
                 SYNCLINE_OK);
    cr_expect(left.outbox == 0 && left.unacked == 30 && left.unapplied == 30);
    api_open(&a, NULL);
    api_save_tags(&a, 12, 0);
    cr_assert_eq(syncline_close_drained(a.lib, SYNCLINE_LEVEL_ACKED, 50, &left), SYNCLINE_TIMEOUT);
    cr_expect(left.outbox + left.unacked == 42 && left.unapplied == left.unacked);
    api_open(&a, NULL);
    api_open(&b, a.address);
    api_settle(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM tags"), 42);
    api_close(&b);
    api_close(&a);
}

/* What cannot be reached is refused by name; what does not exist leaves the handle as it is. */
Test(api_close, refused)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    API_REFUSED(a.lib, syncline_close_drained(a.lib, (enum syncline_level)9, 0, NULL),
                SYNCLINE_EINVAL, "level 9");
    api_save_tags(&a, 3, 0);
    cr_expect_eq(syncline_close_drained(NULL, SYNCLINE_LEVEL_DURABLE, 0, NULL), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_close_drained(a.lib, SYNCLINE_LEVEL_ACKED, API_DEADLINE_MS, NULL),
                 SYNCLINE_EREFUSED);
    api_open_alone(&a); /* it was closed all the same */
    api_close(&a);
}

static void *close_it(void *arg)
{
    struct api_device *device = arg;
    cr_expect_eq(syncline_close_drained(device->lib, SYNCLINE_LEVEL_ACKED, 1500, NULL),
                 SYNCLINE_TIMEOUT);
    return NULL;
}

/* While it waits no capture is taken any more; those before it are safe. */
Test(api_close, captures_are_refused)
{
    struct api_device a;
    struct api_device b;
    pthread_t closer;
    api_pair(&a, &b);
    api_settle(&a, &b);
    api_stop(&b);
    struct tag tag = api_tag("before");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    cr_assert_eq(pthread_create(&closer, NULL, close_it, &a), 0);
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK) {
        status = syncline_sync_model_with_db(a.lib, &tag_model, &tag, SYNCLINE_UPDATE, a.db);
    }
    cr_expect_eq(status, SYNCLINE_ECLOSED);
    cr_assert_eq(pthread_join(closer, NULL), 0);
    api_open(&a, NULL);
    api_open(&b, a.address);
    api_settle(&a, &b);
    cr_expect(api_has(b.db, "tags", &tag.uuid));
    api_close(&b);
    api_close(&a);
}

static void *flush_for_ever(void *arg)
{
    struct api_device *device = arg;
    cr_expect_eq(syncline_flush(device->lib, SYNCLINE_LEVEL_ACKED, -1, NULL), SYNCLINE_ECLOSED);
    return NULL;
}

/* A flush that waits for ever is ended by closing, which waits for it in turn. */
Test(api_close, flush_is_ended)
{
    struct api_device a;
    struct api_device b;
    pthread_t flusher;
    api_pair(&a, &b);
    api_settle(&a, &b);
    api_stop(&b);
    struct tag tag = api_tag("unsent");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    cr_assert_eq(pthread_create(&flusher, NULL, flush_for_ever, &a), 0);
    API_WAIT(atomic_load(&a.lib->running) > 0);
    cr_expect_eq(syncline_close_drained(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL),
                 SYNCLINE_OK);
    cr_assert_eq(pthread_join(flusher, NULL), 0);
    a.lib = NULL;
    api_close(&b);
    api_close(&a);
}

/* ---- Holding back ---- */

static void open_blocking(struct api_device *device, int64_t block_ms)
{
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_ENGINE;
    options.block_ms = block_ms;
    cr_assert_eq(syncline_open(device->dir, &options, &device->lib), SYNCLINE_OK, "%s", api_text);
}

/* Captures single changes in autocommit until one is not OK, at most n. */
static enum syncline_status capture_singly(struct api_device *device, struct tag *tag, int n)
{
    enum syncline_status status = SYNCLINE_OK;
    for (int i = 0; i < n && status == SYNCLINE_OK; i++) {
        status =
            syncline_sync_model_with_db(device->lib, &tag_model, tag, SYNCLINE_UPDATE, device->db);
    }
    return status;
}

/* An engine that cannot get on holds callers outside transactions back, as the options say: after
 * the capture is safe, and never inside a transaction. */
Test(api_close, held_back)
{
    static const int64_t ways[] = {-1, 20};
    struct api_device a;
    char path[600];
    api_create(&a, "a");
    (void)snprintf(path, sizeof(path), "%s/sync.db", a.dir);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        open_blocking(&a, ways[i]);
        struct tag tag = api_tag("held back");
        api_save_tag(&a, &tag, SYNCLINE_INSERT);
        API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
        sqlite3 *other = api_db_open(path); /* the log takes nothing any more */
        api_sql(other, "BEGIN IMMEDIATE");
        API_REFUSED(a.lib, capture_singly(&a, &tag, SL_BEHIND_CALLS_MAX + 20), SYNCLINE_AGAIN,
                    "captured");
        cr_expect_geq(api_int(a.db, "SELECT count(*) FROM _syncline_outbox"),
                      SL_BEHIND_CALLS_MAX + 1);
        api_save_tag(&a, &tag, SYNCLINE_UPDATE); /* in a transaction: no word of it */
        api_sql(other, "COMMIT");
        cr_expect_eq(sqlite3_close(other), SQLITE_OK);
        API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
        cr_expect_eq(capture_singly(&a, &tag, 1), SYNCLINE_OK);
        api_stop(&a);
    }
    open_blocking(&a, 0);
    struct tag tag = api_tag("not held back");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    sqlite3 *other = api_db_open(path);
    api_sql(other, "BEGIN IMMEDIATE");
    cr_expect_eq(capture_singly(&a, &tag, SL_BEHIND_CALLS_MAX + 20), SYNCLINE_OK);
    api_sql(other, "COMMIT");
    cr_expect_eq(sqlite3_close(other), SQLITE_OK);
    api_close(&a);
}
