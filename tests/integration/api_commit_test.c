/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The two calls that take a record as JSON: what they capture, and what they refuse. */

#include <math.h>
#include <pthread.h>

#include "tests/integration/api.h"

TestSuite(api_commit, .init = api_setup, .fini = api_cleanup);

/* ---- Documents ---- */

/* Formats a document; each @ is the UUID of the next argument (struct syncline_uuid *). */
static const char *doc(const char *format, const struct syncline_uuid *first,
                       const struct syncline_uuid *second)
{
    static char text[2048];
    const struct syncline_uuid *uuids[] = {first, second};
    size_t len = 0;
    size_t used = 0;
    for (; *format != '\0'; format++) {
        if (*format == '@') {
            syncline_uuid_text(uuids[used++], text + len);
            len += SYNCLINE_UUID_TEXT_SIZE - 1;
        } else {
            text[len++] = *format;
        }
    }
    text[len] = '\0';
    return text;
}

static enum syncline_status commit_tag(struct api_device *device, enum syncline_change change,
                                       const char *json)
{
    return syncline_commit_shared(device->lib, &tag_model, change, json, strlen(json), device->db);
}

static enum syncline_status commit_folder(struct api_device *device, enum syncline_change change,
                                          const char *json)
{
    return syncline_commit_device_owned(device->lib, &folder_model, change, json, strlen(json),
                                        device->db);
}

static void make_alone(struct api_device *device)
{
    api_create(device, "a");
    api_open_alone(device);
}

/* ---- What they capture ---- */

/* Insert, update and delete of shared and device-owned records arrive on the other device as with
 * the other calls; a delete before and after its row is deleted. */
Test(api_commit, arrive)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct tag red = api_tag("red");
    struct tag blue = api_tag("blue");
    struct folder top = api_new_folder("top", NULL);
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_put_tag(a.db, &red);
    API_OK(a.lib,
           commit_tag(&a, SYNCLINE_INSERT,
                      doc("{\"uuid\":\"@\",\"name\":\"red\",\"note\":null}", &red.uuid, NULL)));
    api_put_tag(a.db, &blue);
    API_OK(a.lib, commit_tag(&a, SYNCLINE_INSERT, doc("{\"uuid\":\"@\"}", &blue.uuid, NULL)));
    api_put_folder(a.db, &top);
    API_OK(a.lib, commit_folder(&a, SYNCLINE_INSERT,
                                doc("{\"uuid\":\"@\",\"name\":\"top\",\"parent_uuid\":null}",
                                    &top.uuid, NULL)));
    struct folder child = api_new_folder("child", &top);
    api_put_folder(a.db, &child);
    API_OK(a.lib,
           commit_folder(&a, SYNCLINE_INSERT,
                         doc("{\"uuid\":\"@\",\"parent_uuid\":\"@\"}", &child.uuid, &top.uuid)));
    api_sql(a.db, "COMMIT");
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_assert(api_tag_is(b.db, &red.uuid, "red"));
    cr_assert(api_has(b.db, "folders", &child.uuid));

    api_sql(a.db, "BEGIN IMMEDIATE");
    red.name = "green";
    api_put_tag(a.db, &red);
    API_OK(a.lib, commit_tag(&a, SYNCLINE_UPDATE,
                             doc("{\"name\":\"green\",\"uuid\":\"@\"}", &red.uuid, NULL)));
    char gone[128];
    char uuid[SYNCLINE_UUID_TEXT_SIZE];
    syncline_uuid_text(&blue.uuid, uuid);
    (void)snprintf(gone, sizeof(gone), "{\"uuid\":\"%s\",\"id\":%lld,\"name\":\"any\"}", uuid,
                   (long long)blue.id);
    api_delete(a.db, "tags", &blue.uuid);
    API_OK(a.lib, commit_tag(&a, SYNCLINE_DELETE, gone));
    API_OK(a.lib, commit_folder(&a, SYNCLINE_DELETE, doc("{\"uuid\":\"@\"}", &child.uuid, NULL)));
    api_delete(a.db, "folders", &child.uuid);
    api_sql(a.db, "COMMIT");
    api_settle(&a, &b);
    api_check_equal(&a, &b);
    cr_expect(api_tag_is(b.db, &red.uuid, "green"));
    cr_expect_not(api_has(b.db, "tags", &blue.uuid));
    cr_expect_not(api_has(b.db, "folders", &child.uuid));
    cr_expect(api_has(b.db, "folders", &top.uuid));
    api_close(&a);
    api_close(&b);
}

/* A capture that is rolled back, whole or to a savepoint, was none. */
Test(api_commit, rolled_back)
{
    struct api_device a;
    make_alone(&a);
    struct tag kept = api_tag("kept");
    struct tag lost = api_tag("lost");
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_put_tag(a.db, &kept);
    API_OK(a.lib, commit_tag(&a, SYNCLINE_INSERT, doc("{\"uuid\":\"@\"}", &kept.uuid, NULL)));
    api_sql(a.db, "SAVEPOINT s");
    api_put_tag(a.db, &lost);
    API_OK(a.lib, commit_tag(&a, SYNCLINE_INSERT, doc("{\"uuid\":\"@\"}", &lost.uuid, NULL)));
    api_sql(a.db, "ROLLBACK TO s");
    api_sql(a.db, "COMMIT");
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect_eq(api_info(&a).own_seq, 1);
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_put_tag(a.db, &lost);
    API_OK(a.lib, commit_tag(&a, SYNCLINE_INSERT, doc("{\"uuid\":\"@\"}", &lost.uuid, NULL)));
    api_sql(a.db, "ROLLBACK");
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect_eq(api_info(&a).own_seq, 1);
    api_close(&a);
}

/* With the connection in autocommit, attached, and in the capture role, it is captured as well; and
 * nothing of ours is left on a connection that is not attached. */
Test(api_commit, any_connection)
{
    struct api_device a;
    make_alone(&a);
    struct tag tags[3] = {api_tag("autocommit"), api_tag("attached"), api_tag("capture role")};
    for (size_t i = 0; i < 3; i++) {
        api_put_tag(a.db, &tags[i]);
    }
    API_OK(a.lib, commit_tag(&a, SYNCLINE_INSERT, doc("{\"uuid\":\"@\"}", &tags[0].uuid, NULL)));
    cr_expect_null(sqlite3_next_stmt(a.db, NULL));
    API_OK(a.lib, syncline_attach(a.lib, a.db));
    api_sql(a.db, "BEGIN IMMEDIATE");
    API_OK(a.lib, commit_tag(&a, SYNCLINE_INSERT, doc("{\"uuid\":\"@\"}", &tags[1].uuid, NULL)));
    api_sql(a.db, "COMMIT");
    API_OK(a.lib, syncline_detach(a.lib, a.db));
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_CAPTURE;
    struct api_device beside = a;
    cr_assert_eq(syncline_open(a.dir, &options, &beside.lib), SYNCLINE_OK, "%s", api_text);
    API_OK(beside.lib,
           commit_tag(&beside, SYNCLINE_INSERT, doc("{\"uuid\":\"@\"}", &tags[2].uuid, NULL)));
    syncline_close(beside.lib);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect_eq(api_info(&a).own_seq, 3);
    cr_expect_eq(api_info(&a).set_aside, 0);
    api_close(&a);
}

/* What an event says of a record as `data` is what these calls take: every type of field. */
struct said {
    pthread_mutex_t lock;
    char data[2048];
};

static void keep_data(void *ctx, const struct syncline_event *event)
{
    struct said *said = ctx;
    const char *data = strstr(event->json, "\"data\":");
    (void)pthread_mutex_lock(&said->lock);
    if (strcmp(event->model_type, "thing") == 0 && data != NULL) {
        (void)snprintf(said->data, sizeof(said->data), "%s", data + strlen("\"data\":"));
        said->data[strlen(said->data) - 2] = '\0'; /* the two objects around it end, too */
    }
    (void)pthread_mutex_unlock(&said->lock);
}

static bool has_said(struct said *said)
{
    (void)pthread_mutex_lock(&said->lock);
    bool has = said->data[0] != '\0';
    (void)pthread_mutex_unlock(&said->lock);
    return has;
}

Test(api_commit, takes_what_events_say)
{
    static struct said said = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct api_device a;
    make_alone(&a);
    struct syncline_subscribe_options options = SYNCLINE_SUBSCRIBE_OPTIONS_INIT;
    uint64_t id = 0;
    options.json = true;
    options.kinds = SYNCLINE_EVENT_SHARED_CHANGE;
    API_OK(a.lib, syncline_subscribe(a.lib, keep_data, &said, &options, &id));
    struct tag tag = api_tag("parent");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    struct folder folder = api_save_folder(&a, "folder", NULL);
    struct thing thing = {.count = INT64_MAX,
                          .size = -INFINITY,
                          .size_opt = {.value = 0.1, .is_set = true},
                          .flag = true,
                          .at = 1768642200123,
                          .label = "caf\xe9", /* no UTF-8 */
                          .body = {.data = "nul\0inside", .len = 10},
                          .data = {.data = "\x80\x81", .len = 2},
                          .tag_id = tag.id,
                          .folder_id = api_opt(folder.id),
                          .second_tag = tag.uuid};
    cr_assert_eq(syncline_uuid_new(&thing.uuid, 1), SYNCLINE_OK);
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_put_thing(a.db, &thing);
    api_capture(&a, &thing_model, &thing, 1, SYNCLINE_INSERT);
    api_sql(a.db, "COMMIT");
    API_WAIT(has_said(&said));
    API_OK(a.lib, syncline_commit_shared(a.lib, &thing_model, SYNCLINE_UPDATE, said.data,
                                         strlen(said.data), a.db));
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_expect_eq(api_info(&a).own_seq, 4);
    /* And a row that is another one since is noticed, whichever field it is. */
    static const char *const changes[] = {"count=1",
                                          "count_opt=1",
                                          "size=1.5",
                                          "size_opt=0.2",
                                          "flag=0",
                                          "at=1",
                                          "at_opt=1",
                                          "label='cafe'",
                                          "body='nul'",
                                          "data=x'8082'",
                                          "folder_id=NULL",
                                          "itself_id=id",
                                          "second_tag=x'00112233445566778899aabbccddeeff'"};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        char sql[128];
        char name[32];
        (void)snprintf(sql, sizeof(sql), "UPDATE things SET %s", changes[i]);
        (void)snprintf(name, sizeof(name), "'%.*s", (int)strcspn(changes[i], "=_"), changes[i]);
        api_sql(a.db, "PRAGMA foreign_keys=OFF; BEGIN IMMEDIATE");
        api_sql(a.db, sql);
        API_REFUSED(a.lib,
                    syncline_commit_shared(a.lib, &thing_model, SYNCLINE_UPDATE, said.data,
                                           strlen(said.data), a.db),
                    SYNCLINE_EREFUSED, name);
        api_sql(a.db, "ROLLBACK");
    }
    api_close(&a);
}

/* ---- What they refuse ---- */

/* Documents that name no record, or hold what no record can, are refused by name; after each of
 * them nothing was captured and the transaction goes on. */
Test(api_commit, documents)
{
    struct api_device a;
    make_alone(&a);
    struct tag tag = api_tag("red");
    tag.color = api_opt(5);
    api_put_tag(a.db, &tag);
    struct folder top = api_new_folder("top", NULL);
    api_put_folder(a.db, &top);
    static const struct {
        const char *json;
        const char *says;
    } tags[] = {
        {"", "cannot be read: line 1"},
        {"{\"uuid\":\"@\"", "cannot be read"},
        {"{\"uuid\":\"@\",\"uuid\":\"@\"}", "duplicate"},
        {"{\"uuid\":\"@\"} x", "cannot be read"},
        {"{\"uuid\":\"@\",\"name\":\"\xff\"}", "cannot be read"},
        {"{\"uuid\":\"@\",\"color\":9223372036854775808}", "cannot be read"},
        {"[\"@\"]", "is an object"},
        {"{\"name\":\"red\"}", "'uuid', the record's UUID, is missing"},
        {"{\"uuid\":null}", "'uuid' must be a UUID"},
        {"{\"uuid\":7}", "'uuid' must be a UUID"},
        {"{\"uuid\":\"red\"}", "'uuid' must be a UUID"},
        {"{\"uuid\":\"@\",\"nmae\":\"red\"}", "no field 'nmae'"},
        {"{\"uuid\":\"@\",\"here\":\"local\"}", "no field 'here'"},
        {"{\"uuid\":\"@\",\"id\":1}", "'id' is another one on every device"},
        {"{\"uuid\":\"@\",\"name\":1}", "'name' must be a string"},
        {"{\"uuid\":\"@\",\"name\":{\"base64\":\"Zg=\"}}", "'name' must be a string"},
        {"{\"uuid\":\"@\",\"name\":{\"base64\":\"Zg==\",\"more\":1}}", "'name' must be a string"},
        {"{\"uuid\":\"@\",\"color\":5.0}", "'color' must be an integer"},
        {"{\"uuid\":\"@\",\"color\":\"5\"}", "'color' must be an integer"},
        {"{\"uuid\":\"@\",\"color\":true}", "'color' must be an integer"},
    };
    api_sql(a.db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        API_REFUSED(a.lib, commit_tag(&a, SYNCLINE_UPDATE, doc(tags[i].json, &tag.uuid, &tag.uuid)),
                    SYNCLINE_EINVAL, tags[i].says);
    }
    API_REFUSED(a.lib,
                commit_folder(&a, SYNCLINE_INSERT,
                              doc("{\"uuid\":\"@\",\"parent_id\":1}", &top.uuid, NULL)),
                SYNCLINE_EINVAL, "give 'parent_uuid'");
    API_REFUSED(a.lib,
                commit_folder(&a, SYNCLINE_INSERT,
                              doc("{\"uuid\":\"@\",\"parent_uuid\":1}", &top.uuid, NULL)),
                SYNCLINE_EINVAL, "'parent_uuid' must be a UUID");
    api_sql(a.db, "COMMIT");
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM _syncline_outbox"), 0);
    API_OK(a.lib,
           commit_tag(&a, SYNCLINE_INSERT, doc("{\"uuid\":\"@\",\"color\":5}", &tag.uuid, NULL)));
    api_close(&a);
}

/* Every value of the fields that tags do not have is checked for its type, too. */
Test(api_commit, types_of_things)
{
    struct api_device a;
    make_alone(&a);
    struct syncline_uuid uuid;
    cr_assert_eq(syncline_uuid_new(&uuid, 1), SYNCLINE_OK);
    static const char *const wrong[][2] = {
        {"{\"uuid\":\"@\",\"size\":\"1\"}", "'size' must be a number"},
        {"{\"uuid\":\"@\",\"size\":\"NaN\"}", "'size' must be a number"},
        {"{\"uuid\":\"@\",\"size\":\"Infinity\\u0000x\"}", "'size' must be a number"},
        {"{\"uuid\":\"@\",\"size\":\"-Infinity\\u0000\"}", "'size' must be a number"},
        {"{\"uuid\":\"@\",\"flag\":1}", "'flag' must be true or false"},
        {"{\"uuid\":\"@\",\"at\":\"2026-01-17T09:30:00Z\"}", "'at' must be a time"},
        {"{\"uuid\":\"@\",\"data\":[1]}", "'data' must be a string"},
        {"{\"uuid\":\"@\",\"data\":{\"base64\":1}}", "'data' must be a string"},
        {"{\"uuid\":\"@\",\"second_tag\":\"x\"}", "'second_tag' must be a UUID"},
        {"{\"uuid\":\"@\",\"tag_id\":1}", "give 'tag_uuid'"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const char *json = doc(wrong[i][0], &uuid, NULL);
        API_REFUSED(
            a.lib,
            syncline_commit_shared(a.lib, &thing_model, SYNCLINE_INSERT, json, strlen(json), a.db),
            SYNCLINE_EINVAL, wrong[i][1]);
    }
    api_close(&a);
}

/* The row is the truth: it must be there, on this connection, and hold what the JSON says. */
Test(api_commit, rows)
{
    struct api_device a;
    make_alone(&a);
    struct tag tag = api_tag("red");
    char gone[128];
    char uuid[SYNCLINE_UUID_TEXT_SIZE];
    syncline_uuid_text(&tag.uuid, uuid);
    API_REFUSED(a.lib, commit_tag(&a, SYNCLINE_INSERT, doc("{\"uuid\":\"@\"}", &tag.uuid, NULL)),
                SYNCLINE_ENOTFOUND, "is not in table 'tags'");
    api_put_tag(a.db, &tag);
    API_REFUSED(
        a.lib,
        commit_tag(&a, SYNCLINE_INSERT, doc("{\"uuid\":\"@\",\"name\":\"blue\"}", &tag.uuid, NULL)),
        SYNCLINE_EREFUSED, "than member 'name'");
    API_REFUSED(
        a.lib,
        commit_tag(&a, SYNCLINE_INSERT, doc("{\"uuid\":\"@\",\"color\":1}", &tag.uuid, NULL)),
        SYNCLINE_EREFUSED, "than member 'color'");
    /* A delete: another id than the row's, none, and one that is another record's. */
    (void)snprintf(gone, sizeof(gone), "{\"uuid\":\"%s\",\"id\":%lld}", uuid,
                   (long long)tag.id + 1);
    API_REFUSED(a.lib, commit_tag(&a, SYNCLINE_DELETE, gone), SYNCLINE_EREFUSED, "another id");
    struct tag other = api_tag("other");
    api_put_tag(a.db, &other);
    api_delete(a.db, "tags", &tag.uuid);
    API_REFUSED(a.lib, commit_tag(&a, SYNCLINE_DELETE, doc("{\"uuid\":\"@\"}", &tag.uuid, NULL)),
                SYNCLINE_EINVAL, "as member 'id'");
    (void)snprintf(gone, sizeof(gone), "{\"uuid\":\"%s\",\"id\":%lld}", uuid, (long long)other.id);
    API_REFUSED(a.lib, commit_tag(&a, SYNCLINE_DELETE, gone), SYNCLINE_EREFUSED,
                "another record's");
    (void)snprintf(gone, sizeof(gone), "{\"uuid\":\"%s\",\"id\":\"1\"}", uuid);
    API_REFUSED(a.lib, commit_tag(&a, SYNCLINE_DELETE, gone), SYNCLINE_EINVAL,
                "'id' must be an integer");
    /* A parent that is not there. */
    api_sql(a.db, "PRAGMA foreign_keys=OFF");
    struct folder lost = api_new_folder("lost", NULL);
    lost.parent_id = api_opt(4711);
    api_put_folder(a.db, &lost);
    API_REFUSED(a.lib,
                commit_folder(&a, SYNCLINE_INSERT, doc("{\"uuid\":\"@\"}", &lost.uuid, NULL)),
                SYNCLINE_EREFUSED, "'parent_id'");
    /* A record that is too large. */
    static char note[1100000];
    memset(note, 'x', sizeof(note));
    other.note = (struct syncline_text){.data = note, .len = sizeof(note)};
    api_put_tag(a.db, &other);
    API_REFUSED(a.lib, commit_tag(&a, SYNCLINE_INSERT, doc("{\"uuid\":\"@\"}", &other.uuid, NULL)),
                SYNCLINE_ETOOBIG, "1048576");
    cr_expect_eq(api_int(a.db, "SELECT count(*) FROM _syncline_outbox"), 0);
    api_close(&a);
}

/* The call must be the one for the model's ownership; arguments must be there; a record of another
 * device stays that device's. */
Test(api_commit, calls)
{
    static const struct syncline_model stranger =
        SYNCLINE_MODEL("stranger", "tags", SYNCLINE_SHARED, struct tag, tag_fields);
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    struct folder folder = api_save_folder(&a, "of A", NULL);
    struct tag tag = api_tag("red");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    api_settle(&a, &b);
    const char *json = doc("{\"uuid\":\"@\"}", &folder.uuid, NULL);
    size_t len = strlen(json);
    API_REFUSED(a.lib,
                syncline_commit_shared(a.lib, &folder_model, SYNCLINE_UPDATE, json, len, a.db),
                SYNCLINE_EREFUSED, "use syncline_commit_device_owned");
    API_REFUSED(a.lib,
                syncline_commit_device_owned(a.lib, &tag_model, SYNCLINE_UPDATE, json, len, a.db),
                SYNCLINE_EREFUSED, "use syncline_commit_shared");
    API_REFUSED(
        b.lib, syncline_commit_device_owned(b.lib, &folder_model, SYNCLINE_UPDATE, json, len, b.db),
        SYNCLINE_EREFUSED, "belongs to another device");
    API_REFUSED(a.lib, syncline_commit_shared(a.lib, &stranger, SYNCLINE_UPDATE, json, len, a.db),
                SYNCLINE_EMODEL, "was not given");
    API_REFUSED(a.lib,
                syncline_commit_shared(a.lib, &tag_model, (enum syncline_change)4, json, len, a.db),
                SYNCLINE_EINVAL, "change 4");
    API_REFUSED(a.lib, syncline_commit_shared(a.lib, &tag_model, SYNCLINE_UPDATE, NULL, 0, a.db),
                SYNCLINE_EINVAL, "json is NULL");
    API_REFUSED(a.lib, syncline_commit_shared(a.lib, &tag_model, SYNCLINE_UPDATE, json, len, NULL),
                SYNCLINE_EINVAL, "db is NULL");
    cr_expect_eq(syncline_commit_shared(NULL, &tag_model, SYNCLINE_UPDATE, json, len, a.db),
                 SYNCLINE_EINVAL);
    sqlite3 *elsewhere = api_db_open(":memory:");
    API_REFUSED(
        a.lib,
        syncline_commit_device_owned(a.lib, &folder_model, SYNCLINE_UPDATE, json, len, elsewhere),
        SYNCLINE_EINVAL, "the connection is to ''");
    (void)sqlite3_close(elsewhere);
    api_sql(a.db, "BEGIN IMMEDIATE; ALTER TABLE folders RENAME TO gone");
    API_REFUSED(
        a.lib, syncline_commit_device_owned(a.lib, &folder_model, SYNCLINE_UPDATE, json, len, a.db),
        SYNCLINE_EDB, "folders");
    api_sql(a.db, "ROLLBACK");
    api_close(&a);
    api_close(&b);
}

/* A connection that another thread has attached is not touched. */
struct elsewhere {
    struct api_device *device;
    const char *json;
    enum syncline_status status;
};

static void *commit_elsewhere(void *ctx)
{
    struct elsewhere *there = ctx;
    there->status = commit_tag(there->device, SYNCLINE_INSERT, there->json);
    return NULL;
}

Test(api_commit, attached_elsewhere)
{
    struct api_device a;
    make_alone(&a);
    struct tag tag = api_tag("red");
    api_put_tag(a.db, &tag);
    API_OK(a.lib, syncline_attach(a.lib, a.db));
    struct elsewhere there = {.device = &a, .json = doc("{\"uuid\":\"@\"}", &tag.uuid, NULL)};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, commit_elsewhere, &there), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_eq(there.status, SYNCLINE_EINVAL);
    API_OK(a.lib, syncline_detach(a.lib, a.db));
    api_close(&a);
}
