/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The setting check_captures: a struct that is not its row is refused by the call that captures it,
 * by model, UUID and field, and nothing that is right is. */

#include <float.h>
#include <math.h>

#include "tests/integration/api.h"

TestSuite(api_check_captures, .init = api_setup, .fini = api_cleanup);

static void open_checked(struct api_device *device, const char *setting)
{
    struct syncline_options options = api_options();
    options.settings = &setting;
    options.settings_count = 1;
    cr_assert_eq(syncline_open(device->dir, &options, &device->lib), SYNCLINE_OK, "%s", api_text);
}

static struct thing full_thing(struct api_device *device, struct tag *tag)
{
    static const uint8_t bytes[] = {0, 1, 0xff};
    struct thing thing = {.id = 7, .second_tag = tag->uuid, .tag_id = tag->id};
    cr_assert_eq(syncline_uuid_new(&thing.uuid, 1), SYNCLINE_OK);
    struct folder folder = api_new_folder("folder", NULL);
    api_put_folder(device->db, &folder);
    thing.count = INT64_MAX;
    thing.count_opt = api_opt(INT64_MIN);
    thing.size = DBL_MAX;
    thing.size_opt = (struct syncline_opt_double){.value = -INFINITY, .is_set = true};
    thing.flag = true;
    thing.at = -1;
    thing.at_opt = api_opt(0);
    thing.label = "\xc3\xa4";
    thing.body = (struct syncline_text){.data = "a\0b", .len = 3};
    thing.data = (struct syncline_bytes){.data = bytes, .len = sizeof(bytes)};
    thing.folder_id = api_opt(folder.id);
    thing.itself_id = api_opt(7);
    return thing;
}

/* Rows of every type at their edges are taken, attached and not; so is a delete after its row. */
Test(api_check_captures, right)
{
    struct api_device a;
    api_create(&a, "a");
    open_checked(&a, "check_captures=on");
    for (int attached = 0; attached < 2; attached++) {
        if (attached != 0) {
            API_OK(a.lib, syncline_attach(a.lib, a.db));
        }
        api_sql(a.db, "BEGIN IMMEDIATE");
        struct tag tag = api_tag("tag");
        api_put_tag(a.db, &tag);
        struct thing things[3] = {full_thing(&a, &tag), full_thing(&a, &tag), full_thing(&a, &tag)};
        things[1] = (struct thing){
            .id = 8, .uuid = things[1].uuid, .tag_id = tag.id, .second_tag = tag.uuid};
        things[2].id = 9;
        things[2].size = -0.0;
        things[2].size_opt.value = 0.1;
        things[2].label = "";
        things[2].body = (struct syncline_text){.data = "", .len = 0};
        things[2].data = (struct syncline_bytes){.data = "", .len = 0};
        things[2].flag = false;
        for (int i = 0; i < 3; i++) {
            api_put_thing(a.db, &things[i]);
        }
        api_capture(&a, &tag_model, &tag, 1, SYNCLINE_INSERT);
        api_capture(&a, &thing_model, things, 3, SYNCLINE_INSERT);
        api_capture(&a, &thing_model, things, 3, SYNCLINE_UPDATE);
        api_sql(a.db, "DELETE FROM things");
        api_capture(&a, &thing_model, things, 3, SYNCLINE_DELETE);
        api_sql(a.db, "COMMIT");
    }
    api_close(&a);
}

/* What one struct says wrong. */
static void spoil(struct thing *thing, size_t field)
{
    switch (field) {
    case 1:
        thing->uuid.bytes[15] ^= 1;
        return;
    case 2:
        thing->count--;
        return;
    case 3:
        thing->count_opt.is_set = false;
        return;
    case 4:
        thing->size = 1;
        return;
    case 5:
        thing->size_opt.value = INFINITY;
        return;
    case 6:
        thing->flag = false;
        return;
    case 7:
        thing->at = 0;
        return;
    case 8:
        thing->at_opt.value = 1;
        return;
    case 9:
        thing->label = "\xc3\x84";
        return;
    case 10:
        thing->body.len = 2;
        return;
    case 11:
        thing->data.len = 0;
        return;
    case 12:
        thing->tag_id++;
        return;
    case 13:
        thing->folder_id.is_set = false;
        return;
    case 14:
        thing->itself_id.value = 8;
        return;
    default:
        thing->second_tag.bytes[0] ^= 1;
        return;
    }
}

/* Any member that is not as the row has it, in any row of a call, is refused by its name; nothing
 * of the call is captured, and the transaction goes on. */
Test(api_check_captures, wrong)
{
    struct api_device a;
    char wanted[160];
    char uuid[SYNCLINE_UUID_TEXT_SIZE];
    api_create(&a, "a");
    open_checked(&a, "check_captures=on");
    api_sql(a.db, "BEGIN IMMEDIATE");
    struct tag tag = api_tag("tag");
    api_put_tag(a.db, &tag);
    struct thing right = full_thing(&a, &tag);
    api_put_thing(a.db, &right);
    for (size_t field = 1; field < sizeof(thing_fields) / sizeof(thing_fields[0]); field++) {
        struct thing things[2] = {right, right};
        spoil(&things[1], field);
        syncline_uuid_text(&things[1].uuid, uuid);
        (void)snprintf(wanted, sizeof(wanted), "record %s of model 'thing': field '%s' of the ",
                       uuid, thing_fields[field].name);
        for (int change = SYNCLINE_INSERT; change <= SYNCLINE_UPDATE; change++) {
            API_REFUSED(a.lib,
                        syncline_sync_models_batch(a.lib, &thing_model, things, 2,
                                                   (enum syncline_change)change, a.db, NULL),
                        SYNCLINE_EINVAL, wanted);
        }
    }
    struct thing other = right; /* an id that no row has */
    other.id = 70;
    API_REFUSED(a.lib,
                syncline_sync_model_with_db(a.lib, &thing_model, &other, SYNCLINE_INSERT, a.db),
                SYNCLINE_EINVAL, "table 'things' has no row with 'id' 70");
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM _syncline_outbox"), 0);
    api_capture(&a, &tag_model, &tag, 1, SYNCLINE_INSERT);
    api_capture(&a, &thing_model, &right, 1, SYNCLINE_INSERT);
    api_sql(a.db, "COMMIT");
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect_eq(api_info(&a).set_aside, 0);
    api_close(&a);
}

/* A text column for which case means nothing: the bytes count. */
Test(api_check_captures, case_counts)
{
    struct api_device a;
    api_create(&a, "a");
    api_sql(a.db, "DROP TABLE tags; CREATE TABLE tags(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL"
                  " UNIQUE, name TEXT COLLATE NOCASE, note TEXT, color INTEGER)");
    open_checked(&a, "check_captures=on");
    api_sql(a.db, "BEGIN IMMEDIATE");
    struct tag tag = api_tag("Tag");
    api_put_tag(a.db, &tag);
    tag.name = "tag";
    API_REFUSED(a.lib, syncline_sync_model_with_db(a.lib, &tag_model, &tag, SYNCLINE_INSERT, a.db),
                SYNCLINE_EINVAL, "field 'name'");
    api_sql(a.db, "ROLLBACK");
    api_close(&a);
}

/* Insert, update, and both captured after that: right, and refused by the check alone. */
Test(api_check_captures, insert_and_update_captured_late)
{
    struct api_device a;
    api_create(&a, "a");
    for (int checked = 0; checked < 2; checked++) {
        open_checked(&a, checked != 0 ? "check_captures=on" : "check_captures=off");
        struct tag first = api_tag("first");
        api_sql(a.db, "BEGIN IMMEDIATE");
        api_put_tag(a.db, &first);
        struct tag second = first;
        second.name = "second";
        api_put_tag(a.db, &second);
        if (checked == 0) {
            api_capture(&a, &tag_model, &first, 1, SYNCLINE_INSERT);
        } else {
            API_REFUSED(
                a.lib,
                syncline_sync_model_with_db(a.lib, &tag_model, &first, SYNCLINE_INSERT, a.db),
                SYNCLINE_EINVAL, "field 'name'");
            api_capture(&a, &tag_model, &second, 1, SYNCLINE_INSERT);
        }
        api_capture(&a, &tag_model, &second, 1, SYNCLINE_UPDATE);
        api_sql(a.db, "COMMIT");
        API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
        api_stop(&a);
    }
    cr_expect_eq(sqlite3_close(a.db), SQLITE_OK);
}
