/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* syncline_why: each change of a record, and what has become of it, on both sides. */

#include "tests/integration/api.h"

TestSuite(api_why, .init = api_setup, .fini = api_cleanup);

#define TOLD_MAX 16u

static struct told {
    struct syncline_why changes[TOLD_MAX];
    size_t len;
    bool is_here;
} told;

static void take(void *ctx, const struct syncline_why *why)
{
    struct told *all = ctx;
    cr_assert_lt(all->len, TOLD_MAX);
    cr_expect_eq(why->size, sizeof(*why));
    cr_expect_neq(why->why[0], '\0');
    all->changes[all->len++] = *why;
}

static void ask(struct api_device *device, const struct tag *tag)
{
    told = (struct told){.len = 0};
    API_OK(device->lib, syncline_why(device->lib, "tag", &tag->uuid, take, &told, &told.is_here));
}

static void check(size_t index, enum syncline_change change, enum syncline_fate fate,
                  const char *part)
{
    cr_assert_lt(index, told.len);
    const struct syncline_why *why = &told.changes[index];
    cr_expect_eq(why->change, change, "change %zu is %d: %s", index, why->change, why->why);
    cr_expect_eq(why->fate, fate, "fate %zu is %d: %s", index, why->fate, why->why);
    cr_expect_not_null(strstr(why->why, part), "\"%s\" is not in: %s", part, why->why);
}

static void rename_tag(struct api_device *device, struct tag *tag, const char *name)
{
    tag->name = name;
    tag->id = 0;
    api_put_tag(device->db, tag);
    tag->id = api_int(device->db, "SELECT max(id) FROM tags");
    API_OK(device->lib,
           syncline_sync_model_with_db(device->lib, &tag_model, tag, SYNCLINE_UPDATE, device->db));
}

/* Without an engine a change is captured and no more, and with one it is in the log; a later change
 * stands in front of an earlier one. */
Test(api_why, captured_and_logged)
{
    struct api_device a;
    struct syncline_options options = api_options();
    api_create(&a, "a");
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    struct tag red = api_tag("red");
    api_save_tag(&a, &red, SYNCLINE_INSERT);
    ask(&a, &red);
    cr_assert_eq(told.len, 1);
    check(0, SYNCLINE_INSERT, SYNCLINE_FATE_CAPTURED, "on its way");
    cr_expect(told.changes[0].own);
    cr_expect_eq(told.changes[0].seq, 0);
    cr_expect(told.is_here);
    api_stop(&a);

    api_open_alone(&a);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    ask(&a, &red);
    cr_assert_eq(told.len, 1);
    check(0, SYNCLINE_INSERT, SYNCLINE_FATE_SHOWN, "the row");
    cr_expect_eq(told.changes[0].seq, 1);
    cr_expect_eq(told.changes[0].birth_seq, 1);
    cr_expect_eq(told.changes[0].members, 0);
    API_OK(a.lib, syncline_pause(a.lib));
    rename_tag(&a, &red, "scarlet");
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    ask(&a, &red);
    cr_assert_eq(told.len, 2);
    check(0, SYNCLINE_INSERT, SYNCLINE_FATE_SUPERSEDED, "this device, change 2");
    check(1, SYNCLINE_UPDATE, SYNCLINE_FATE_SHOWN, "the row");
    api_close(&a);
}

/* The row shows what is captured and not in the log, not what the log has. */
Test(api_why, captured_after_what_is_logged)
{
    struct api_device a;
    struct syncline_options options = api_options();
    api_create(&a, "a");
    api_open_alone(&a);
    struct tag red = api_tag("red");
    api_save_tag(&a, &red, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_stop(&a);
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(a.dir, &options, &a.lib), SYNCLINE_OK, "%s", api_text);
    rename_tag(&a, &red, "scarlet");
    ask(&a, &red);
    cr_assert_eq(told.len, 2);
    check(0, SYNCLINE_INSERT, SYNCLINE_FATE_SUPERSEDED, "captured here");
    check(1, SYNCLINE_UPDATE, SYNCLINE_FATE_CAPTURED, "on its way");
    api_close(&a);
}

/* Both devices tell the same of a record that both have changed; how far a change has come is told
 * where it was made; and after a delete all are dead. */
Test(api_why, two_devices)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct tag red = api_tag("red");
    api_save_tag(&a, &red, SYNCLINE_INSERT);
    api_settle(&a, &b);
    struct tag there = red;
    rename_tag(&b, &there, "rot");
    api_settle(&a, &b);
    ask(&a, &red);
    cr_assert_eq(told.len, 2);
    check(0, SYNCLINE_INSERT, SYNCLINE_FATE_SUPERSEDED, "\"b\", change 1");
    check(1, SYNCLINE_UPDATE, SYNCLINE_FATE_SHOWN, "the row");
    cr_expect(told.changes[0].own);
    cr_expect_eq(told.changes[0].members, 1);
    cr_expect_eq(told.changes[0].applied, 1);
    cr_expect_not(told.changes[1].own);
    cr_expect_eq(told.changes[1].members, 0);
    cr_expect_eq(told.changes[1].birth_seq, told.changes[0].seq);
    ask(&b, &red);
    cr_assert_eq(told.len, 2);
    check(0, SYNCLINE_INSERT, SYNCLINE_FATE_SUPERSEDED, "this device, change 1");
    check(1, SYNCLINE_UPDATE, SYNCLINE_FATE_SHOWN, "the row");

    api_sql(a.db, "DELETE FROM tags");
    API_OK(a.lib, syncline_sync_model_with_db(a.lib, &tag_model, &red, SYNCLINE_DELETE, a.db));
    api_settle(&a, &b);
    ask(&b, &red);
    cr_assert_eq(told.len, 3);
    cr_expect_not(told.is_here);
    check(0, SYNCLINE_INSERT, SYNCLINE_FATE_DEAD, "deleted by \"a\", change 2");
    check(1, SYNCLINE_UPDATE, SYNCLINE_FATE_DEAD, "deleted by \"a\", change 2");
    check(2, SYNCLINE_DELETE, SYNCLINE_FATE_DELETED, "it deleted");
    api_close(&b);
    api_close(&a);
}

/* What the table refuses is told with the table's reason; what waits to be applied as received. */
Test(api_why, set_aside_and_received)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_sql(b.db, "CREATE TRIGGER refuse BEFORE INSERT ON tags WHEN new.name='refused'"
                  " BEGIN SELECT RAISE(ABORT, 'not this one'); END");
    struct tag refused = api_tag("refused");
    api_save_tag(&a, &refused, SYNCLINE_INSERT);
    API_WAIT(api_info(&b).set_aside == 1);
    ask(&b, &refused);
    cr_assert_eq(told.len, 1);
    cr_expect_not(told.is_here);
    check(0, SYNCLINE_INSERT, SYNCLINE_FATE_SET_ASIDE, "not this one");

    api_sql(b.db, "BEGIN IMMEDIATE"); /* nothing can be applied meanwhile */
    struct tag red = api_tag("red");
    api_save_tag(&a, &red, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_ACKED, API_DEADLINE_MS, NULL));
    ask(&b, &red);
    cr_assert_eq(told.len, 1);
    cr_expect_not(told.is_here);
    check(0, SYNCLINE_INSERT, SYNCLINE_FATE_RECEIVED, "those up to 1 are dealt with");
    api_sql(b.db, "COMMIT");
    api_settle(&a, &b);
    ask(&b, &red);
    check(0, SYNCLINE_INSERT, SYNCLINE_FATE_SHOWN, "the row");
    api_close(&b);
    api_close(&a);
}

/* A change that could not be sent is told where it was made. */
Test(api_why, set_aside_at_the_sender)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    struct tag red = api_tag("red");
    api_put_tag(a.db, &red);
    api_sql(a.db, "UPDATE tags SET color='red'");
    API_OK(a.lib, syncline_sync_model_with_db(a.lib, &tag_model, &red, SYNCLINE_INSERT, a.db));
    API_WAIT(api_info(&a).set_aside == 1);
    ask(&a, &red);
    cr_assert_eq(told.len, 1);
    check(0, SYNCLINE_INSERT, SYNCLINE_FATE_SET_ASIDE, "'color'");
    cr_expect_eq(told.changes[0].seq, 0);
    api_close(&a);
}

/* A record that nobody knows, one that nobody captured, a model that is none, and NULL. */
Test(api_why, refused)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    struct tag red = api_tag("red");
    API_REFUSED(a.lib, syncline_why(a.lib, "tag", &red.uuid, take, &told, NULL), SYNCLINE_ENOTFOUND,
                "no change of such a record");
    api_put_tag(a.db, &red);
    API_REFUSED(a.lib, syncline_why(a.lib, "tag", &red.uuid, take, &told, NULL), SYNCLINE_ENOTFOUND,
                "nobody has captured it");
    API_REFUSED(a.lib, syncline_why(a.lib, "tga", &red.uuid, take, &told, NULL), SYNCLINE_EMODEL,
                "'tga'");
    API_REFUSED(a.lib, syncline_why(a.lib, NULL, &red.uuid, take, &told, NULL), SYNCLINE_EINVAL,
                "NULL");
    API_REFUSED(a.lib, syncline_why(a.lib, "tag", NULL, take, &told, NULL), SYNCLINE_EINVAL,
                "NULL");
    API_REFUSED(a.lib, syncline_why(a.lib, "tag", &red.uuid, NULL, &told, NULL), SYNCLINE_EINVAL,
                "NULL");
    cr_expect_eq(syncline_why(NULL, "tag", &red.uuid, take, &told, NULL), SYNCLINE_EINVAL);
    api_close(&a);
}

/* A segment that cannot be read ends it with what is wrong: the answer might be there. */
Test(api_why, damaged_log)
{
    struct api_device a;
    api_create(&a, "a");
    api_open_alone(&a);
    struct tag red = api_tag("red");
    api_save_tag(&a, &red, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_sql_at(api_path("a/sync.db"), "UPDATE segment SET bytes=zeroblob(length(bytes))");
    enum syncline_status status = syncline_why(a.lib, "tag", &red.uuid, take, &told, NULL);
    cr_expect(status == SYNCLINE_EPROTO || status == SYNCLINE_EFORMAT ||
                  status == SYNCLINE_ECORRUPT,
              "%s", api_error(a.lib));
    api_close(&a);
}
