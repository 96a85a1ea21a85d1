/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Subscriptions: what is told, when, in which words, and from which thread what may be done. */

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "tests/integration/api.h"

TestSuite(api_events, .init = api_setup, .fini = api_cleanup);

/* ---- A subscriber that writes everything down ---- */

#define NOTES_MAX 4096

struct note {
    enum syncline_event_kind kind;
    char name[32];
    bool own;
    enum syncline_change change;
    char model[32];
    uint32_t count;
    struct syncline_uuid first;
    struct syncline_uuid last;
    struct syncline_uuid device;
    struct syncline_hlc hlc;
    uint64_t seq;
    int64_t timestamp;
    enum syncline_status status;
    char text[256];
    char *json; /* NULL: none came */
};

struct diary {
    pthread_mutex_t lock;
    struct note notes[NOTES_MAX];
    size_t len;
    pthread_t thread;
    bool threads_differ;
};

static struct diary diaries[2] = {{.lock = PTHREAD_MUTEX_INITIALIZER},
                                  {.lock = PTHREAD_MUTEX_INITIALIZER}};
#define DIARY (&diaries[0])

static void write_down(void *ctx, const struct syncline_event *event)
{
    struct diary *diary = ctx;
    (void)pthread_mutex_lock(&diary->lock);
    diary->threads_differ =
        diary->threads_differ || (diary->len > 0 && !pthread_equal(diary->thread, pthread_self()));
    diary->thread = pthread_self();
    if (diary->len < NOTES_MAX) {
        struct note *note = &diary->notes[diary->len++];
        *note = (struct note){.kind = event->kind,
                              .own = event->own,
                              .change = event->change,
                              .count = event->record_count,
                              .device = event->device_id,
                              .hlc = event->hlc,
                              .seq = event->seq,
                              .timestamp = event->timestamp,
                              .status = event->status};
        (void)snprintf(note->name, sizeof(note->name), "%s", event->name);
        if (event->model_type != NULL) {
            (void)snprintf(note->model, sizeof(note->model), "%s", event->model_type);
        }
        if (event->record_count > 0) {
            note->first = event->record_uuids[0];
            note->last = event->record_uuids[event->record_count - 1];
        }
        if (event->text != NULL) {
            (void)snprintf(note->text, sizeof(note->text), "%s", event->text);
        }
        note->json = event->json != NULL ? strdup(event->json) : NULL;
    }
    (void)pthread_mutex_unlock(&diary->lock);
}

static size_t notes(struct diary *diary)
{
    (void)pthread_mutex_lock(&diary->lock);
    size_t len = diary->len;
    (void)pthread_mutex_unlock(&diary->lock);
    return len;
}

static void burn(struct diary *diary)
{
    for (size_t i = 0; i < diary->len; i++) {
        free(diary->notes[i].json);
    }
    diary->len = 0;
}

static uint64_t subscribe(struct api_device *device, struct diary *diary, uint32_t kinds, bool json)
{
    struct syncline_subscribe_options options = SYNCLINE_SUBSCRIBE_OPTIONS_INIT;
    uint64_t id = 0;
    options.kinds = kinds;
    options.json = json;
    API_OK(device->lib, syncline_subscribe(device->lib, write_down, diary, &options, &id));
    cr_assert_gt(id, 0);
    return id;
}

static void make_alone(struct api_device *device)
{
    api_create(device, "a");
    api_open_alone(device);
}

static bool is_uuid(const struct syncline_uuid *a, const struct syncline_uuid *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* ---- JSON ---- */

static json_t *parse(const struct note *note)
{
    json_error_t error;
    cr_assert_not_null(note->json);
    json_t *root = json_loads(note->json, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    cr_assert_not_null(root, "%s: %s", error.text, note->json);
    return root;
}

static const char *text_at(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    cr_assert(json_is_string(value), "%s is no string", name);
    return json_string_value(value);
}

static void check_uuid(json_t *object, const char *name, const struct syncline_uuid *uuid)
{
    char text[SYNCLINE_UUID_TEXT_SIZE];
    syncline_uuid_text(uuid, text);
    cr_expect_str_eq(text_at(object, name), text, "%s", name);
}

/* The members are these and no others. */
static void check_members(json_t *object, const char *const *names, size_t count)
{
    cr_expect_eq(json_object_size(object), count);
    for (size_t i = 0; i < count; i++) {
        cr_expect_not_null(json_object_get(object, names[i]), "%s is missing", names[i]);
    }
}
#define MEMBERS(object_, ...)                                                                      \
    check_members((object_), (const char *const[]){__VA_ARGS__},                                   \
                  sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* "2026-01-17T09:30:00.123Z" of these ms. */
static void check_time(json_t *object, const char *name, int64_t ms)
{
    char text[64];
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    cr_assert_not_null(gmtime_r(&seconds, &tm));
    size_t len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + len, sizeof(text) - len, ".%03dZ", (int)(ms % 1000));
    cr_expect_str_eq(text_at(object, name), text);
}

/* ---- Own changes ---- */

/* Insert, update and delete of a shared record are told one by one and in order, with the members
 * that sync:shared_change has. */
Test(api_events, shared_changes)
{
    struct api_device a;
    make_alone(&a);
    (void)subscribe(&a, DIARY, 0, true);
    struct tag tag = api_tag("red");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    API_WAIT(notes(DIARY) == 1);
    tag.name = "green";
    api_save_tag(&a, &tag, SYNCLINE_UPDATE);
    API_WAIT(notes(DIARY) == 2);
    api_save_tag(&a, &tag, SYNCLINE_DELETE);
    API_WAIT(notes(DIARY) == 3);
    struct syncline_info info = api_info(&a);
    api_close(&a);
    static const char *const changes[] = {"insert", "update", "delete"};
    for (size_t i = 0; i < 3; i++) {
        const struct note *note = &DIARY->notes[i];
        cr_expect_eq(note->kind, SYNCLINE_EVENT_SHARED_CHANGE);
        cr_expect_str_eq(note->name, "sync:shared_change");
        cr_expect(note->own);
        cr_expect_eq(note->change, (enum syncline_change)(SYNCLINE_INSERT + i));
        cr_expect_str_eq(note->model, "tag");
        cr_expect_eq(note->count, 1);
        cr_expect(is_uuid(&note->first, &tag.uuid));
        cr_expect(is_uuid(&note->device, &info.device_id));
        cr_expect(is_uuid(&note->hlc.device, &info.device_id));
        cr_expect_eq(note->seq, i + 1);
        cr_expect_eq(note->timestamp, syncline_hlc_ms(&note->hlc));
        cr_expect(i == 0 || syncline_hlc_compare(&note[-1].hlc, &note->hlc) < 0);

        char hlc[SYNCLINE_HLC_TEXT_SIZE];
        syncline_hlc_text(&note->hlc, hlc);
        json_t *root = parse(note);
        MEMBERS(root, "library_id", "own", "entry");
        check_uuid(root, "library_id", &info.library_id);
        cr_expect(json_is_true(json_object_get(root, "own")));
        json_t *entry = json_object_get(root, "entry");
        MEMBERS(entry, "hlc", "model_type", "record_uuid", "change_type", "data");
        cr_expect_str_eq(text_at(entry, "hlc"), hlc);
        cr_expect_str_eq(text_at(entry, "model_type"), "tag");
        cr_expect_str_eq(text_at(entry, "change_type"), changes[i]);
        check_uuid(entry, "record_uuid", &tag.uuid);
        json_t *data = json_object_get(entry, "data");
        if (i == 2) {
            cr_expect(json_is_null(data));
        } else {
            MEMBERS(data, "uuid", "name", "note", "color");
            check_uuid(data, "uuid", &tag.uuid);
            cr_expect_str_eq(text_at(data, "name"), i == 0 ? "red" : "green");
            cr_expect(json_is_null(json_object_get(data, "color")));
        }
        json_decref(root);
    }
    burn(DIARY);
}

/* One device-owned record is a state_change; several by one call are one state_change_batch. */
Test(api_events, device_owned_changes)
{
    struct api_device a;
    make_alone(&a);
    (void)subscribe(&a, DIARY, 0, true);
    struct folder top = api_save_folder(&a, "top", NULL);
    API_WAIT(notes(DIARY) == 1);
    struct folder folders[3] = {api_new_folder("x", &top), api_new_folder("\xff", &top),
                                api_new_folder("z", NULL)};
    api_sql(a.db, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < 3; i++) {
        api_put_folder(a.db, &folders[i]);
    }
    api_capture(&a, &folder_model, folders, 3, SYNCLINE_INSERT);
    api_sql(a.db, "COMMIT");
    API_WAIT(notes(DIARY) == 2);
    struct syncline_info info = api_info(&a);
    api_close(&a);

    const struct note *one = &DIARY->notes[0];
    cr_expect_eq(one->kind, SYNCLINE_EVENT_STATE_CHANGE);
    json_t *root = parse(one);
    MEMBERS(root, "library_id", "model_type", "record_uuid", "device_id", "change_type", "own",
            "data", "timestamp");
    check_uuid(root, "library_id", &info.library_id);
    check_uuid(root, "record_uuid", &top.uuid);
    check_uuid(root, "device_id", &info.device_id);
    cr_expect_str_eq(text_at(root, "model_type"), "folder");
    cr_expect_str_eq(text_at(root, "change_type"), "insert");
    check_time(root, "timestamp", one->timestamp);
    json_t *data = json_object_get(root, "data");
    MEMBERS(data, "uuid", "parent_uuid", "name");
    cr_expect(json_is_null(json_object_get(data, "parent_uuid")));
    cr_expect_str_eq(text_at(data, "name"), "top");
    json_decref(root);

    const struct note *batch = &DIARY->notes[1];
    cr_expect_eq(batch->kind, SYNCLINE_EVENT_STATE_CHANGE_BATCH);
    cr_expect_str_eq(batch->name, "sync:state_change_batch");
    cr_expect_eq(batch->count, 3);
    cr_expect(is_uuid(&batch->first, &folders[0].uuid));
    cr_expect(is_uuid(&batch->last, &folders[2].uuid));
    cr_expect_eq(batch->seq, 2);
    root = parse(batch);
    MEMBERS(root, "library_id", "model_type", "device_id", "change_type", "own", "records",
            "timestamp");
    json_t *records = json_object_get(root, "records");
    cr_assert_eq(json_array_size(records), 3);
    for (size_t i = 0; i < 3; i++) {
        char text[SYNCLINE_UUID_TEXT_SIZE];
        json_t *pair = json_array_get(records, i);
        syncline_uuid_text(&folders[i].uuid, text);
        cr_assert_eq(json_array_size(pair), 2);
        cr_expect_str_eq(json_string_value(json_array_get(pair, 0)), text);
        data = json_array_get(pair, 1);
        check_uuid(data, "uuid", &folders[i].uuid);
        if (i < 2) {
            check_uuid(data, "parent_uuid", &top.uuid);
        }
    }
    json_t *name = json_object_get(json_array_get(json_array_get(records, 1), 1), "name");
    MEMBERS(name, "base64");
    cr_expect_str_eq(text_at(name, "base64"), "/w==");
    json_decref(root);
    burn(DIARY);
}

/* Every type of field has its form, keys as UUIDs. */
Test(api_events, every_type)
{
    struct api_device a;
    make_alone(&a);
    struct tag tag = api_tag("parent");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    struct folder folder = api_save_folder(&a, "folder", NULL);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    (void)subscribe(&a, DIARY, 0, true);
    struct thing thing = {.count = INT64_MIN,
                          .size = INFINITY,
                          .size_opt = {.value = 0.1, .is_set = true},
                          .flag = true,
                          .at = 1768642200123,
                          .label = "caf\xc3\xa9",
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
    API_WAIT(notes(DIARY) == 1);
    api_close(&a);
    json_t *root = parse(&DIARY->notes[0]);
    json_t *data = json_object_get(json_object_get(root, "entry"), "data");
    MEMBERS(data, "uuid", "count", "count_opt", "size", "size_opt", "flag", "at", "at_opt", "label",
            "body", "data", "tag_uuid", "folder_uuid", "itself_uuid", "second_tag");
    cr_expect_eq(json_integer_value(json_object_get(data, "count")), INT64_MIN);
    cr_expect(json_is_null(json_object_get(data, "count_opt")));
    cr_expect_str_eq(text_at(data, "size"), "Infinity");
    cr_expect_float_eq(json_real_value(json_object_get(data, "size_opt")), 0.1, 0.0);
    cr_expect(json_is_true(json_object_get(data, "flag")));
    cr_expect_eq(json_integer_value(json_object_get(data, "at")), 1768642200123);
    cr_expect_str_eq(text_at(data, "label"), "caf\xc3\xa9");
    cr_expect_eq(json_string_length(json_object_get(data, "body")), 10);
    cr_expect_eq(memcmp(text_at(data, "body"), "nul\0inside", 10), 0);
    cr_expect_str_eq(text_at(json_object_get(data, "data"), "base64"), "gIE=");
    check_uuid(data, "tag_uuid", &tag.uuid);
    check_uuid(data, "folder_uuid", &folder.uuid);
    cr_expect(json_is_null(json_object_get(data, "itself_uuid")));
    check_uuid(data, "second_tag", &tag.uuid);
    json_decref(root);
    burn(DIARY);
}

/* JSON comes only to who asked for it, and a kind only to who wants it; all on one thread. */
Test(api_events, each_as_it_asked)
{
    struct api_device a;
    make_alone(&a);
    (void)subscribe(&a, &diaries[0], SYNCLINE_EVENT_SHARED_CHANGE, false);
    (void)subscribe(&a, &diaries[1], SYNCLINE_EVENT_STATE_CHANGE | SYNCLINE_EVENT_ERROR, true);
    struct tag tag = api_tag("red");
    for (int i = 0; i < 3; i++) {
        api_save_tag(&a, &tag, i == 0 ? SYNCLINE_INSERT : SYNCLINE_UPDATE);
        (void)api_save_folder(&a, "folder", NULL);
    }
    API_WAIT(notes(&diaries[0]) == 3 && notes(&diaries[1]) == 3);
    api_close(&a);
    for (size_t i = 0; i < 3; i++) {
        cr_expect_eq(diaries[0].notes[i].kind, SYNCLINE_EVENT_SHARED_CHANGE);
        cr_expect_null(diaries[0].notes[i].json);
        cr_expect_eq(diaries[1].notes[i].kind, SYNCLINE_EVENT_STATE_CHANGE);
        cr_expect_not_null(diaries[1].notes[i].json);
    }
    cr_expect_eq(diaries[0].len + diaries[1].len, 6);
    cr_expect_not(diaries[0].threads_differ || diaries[1].threads_differ);
    cr_expect(pthread_equal(diaries[0].thread, diaries[1].thread));
    cr_expect_not(pthread_equal(diaries[0].thread, pthread_self()));
    burn(&diaries[1]);
}

/* What was before a subscription is not told to it, whether it is the first, one of several, or
 * comes when the others are gone; each change after it is, once. */
Test(api_events, from_now_on)
{
    struct api_device a;
    make_alone(&a);
    struct tag tag = api_tag("of before");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    uint64_t first = subscribe(&a, &diaries[0], 0, false);
    api_save_tag(&a, &tag, SYNCLINE_UPDATE);
    API_WAIT(notes(&diaries[0]) == 1);
    uint64_t second = subscribe(&a, &diaries[1], 0, true);
    api_save_tag(&a, &tag, SYNCLINE_UPDATE);
    API_WAIT(notes(&diaries[0]) == 2 && notes(&diaries[1]) == 1);
    API_OK(a.lib, syncline_unsubscribe(a.lib, first));
    API_OK(a.lib, syncline_unsubscribe(a.lib, second));
    api_save_tag(&a, &tag, SYNCLINE_UPDATE);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    (void)subscribe(&a, &diaries[0], 0, false);
    api_save_tag(&a, &tag, SYNCLINE_DELETE);
    API_WAIT(notes(&diaries[0]) == 3);
    api_close(&a);
    cr_expect_eq(diaries[0].len, 3);
    cr_expect_eq(diaries[1].len, 1);
    cr_expect_eq(diaries[0].notes[0].seq, 2);
    cr_expect_eq(diaries[0].notes[1].seq, 3);
    cr_expect_eq(diaries[0].notes[2].seq, 5);
    cr_expect_eq(diaries[0].notes[2].change, SYNCLINE_DELETE);
    cr_expect_eq(diaries[1].notes[0].seq, 3);
    burn(&diaries[1]);
}

/* ---- Changes of others ---- */

/* Of the other device: its changes, not own, and when they are told they are in the tables. */
struct onlooker {
    struct diary *diary;
    const char *db_path;
    sqlite3 *db;
    atomic_uint missing; /* told, but not there */
};

static void look(void *ctx, const struct syncline_event *event)
{
    struct onlooker *onlooker = ctx;
    if (onlooker->db == NULL && sqlite3_open_v2(onlooker->db_path, &onlooker->db,
                                                SQLITE_OPEN_READONLY, NULL) != SQLITE_OK) {
        return;
    }
    for (uint32_t i = 0; i < event->record_count; i++) {
        sqlite3_stmt *stmt = NULL;
        (void)sqlite3_prepare_v2(onlooker->db,
                                 "SELECT 1 FROM tags WHERE uuid=?1"
                                 " UNION ALL SELECT 1 FROM folders WHERE uuid=?1",
                                 -1, &stmt, NULL);
        (void)sqlite3_bind_blob(stmt, 1, event->record_uuids[i].bytes, 16, SQLITE_STATIC);
        if (sqlite3_step(stmt) != SQLITE_ROW) {
            atomic_fetch_add(&onlooker->missing, 1);
        }
        (void)sqlite3_finalize(stmt);
    }
    write_down(onlooker->diary, event);
}

Test(api_events, changes_of_others)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    static struct onlooker onlooker;
    onlooker.diary = DIARY;
    onlooker.db_path = b.db_path;
    uint64_t id = 0;
    struct syncline_subscribe_options options = SYNCLINE_SUBSCRIBE_OPTIONS_INIT;
    options.json = true;
    options.kinds = SYNCLINE_EVENT_SHARED_CHANGE | SYNCLINE_EVENT_STATE_CHANGE |
                    SYNCLINE_EVENT_STATE_CHANGE_BATCH;
    API_OK(b.lib, syncline_subscribe(b.lib, look, &onlooker, &options, &id));
    api_save_tags(&a, 300, 0);
    (void)api_save_folder(&a, "of A", NULL);
    API_WAIT(notes(DIARY) == 301);
    struct tag of_b = api_tag("of B");
    api_save_tag(&b, &of_b, SYNCLINE_INSERT);
    API_WAIT(notes(DIARY) == 302);
    struct syncline_info of_a = api_info(&a);
    api_close(&b);
    api_close(&a);
    cr_expect_eq(atomic_load(&onlooker.missing), 0);
    for (size_t i = 0; i < 301; i++) {
        const struct note *note = &DIARY->notes[i];
        cr_assert_not(note->own);
        cr_assert(is_uuid(&note->device, &of_a.device_id));
        cr_assert_eq(note->seq, i + 1);
        json_t *root = parse(note);
        cr_assert(json_is_false(json_object_get(root, "own")));
        json_decref(root);
    }
    cr_expect_eq(DIARY->notes[300].kind, SYNCLINE_EVENT_STATE_CHANGE);
    cr_expect(DIARY->notes[301].own);
    (void)sqlite3_close(onlooker.db);
    burn(DIARY);
}

/* A received change that is held by the log and cannot be applied yet is not told before it is. */
Test(api_events, not_before_it_is_applied)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    (void)subscribe(&b, DIARY, SYNCLINE_EVENT_SHARED_CHANGE, false);
    api_sql(b.db, "BEGIN IMMEDIATE"); /* nothing can be applied */
    struct tag tag = api_tag("waits");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_ACKED, API_DEADLINE_MS, NULL));
    cr_assert_eq(api_info(&b).received, 1);
    cr_assert_eq(api_info(&b).received_applied, 0);
    cr_expect_eq(notes(DIARY), 0);
    api_sql(b.db, "COMMIT");
    API_WAIT(notes(DIARY) == 1);
    api_close(&b);
    api_close(&a);
}

/* In the capture role, too, while another handle runs the engine. */
Test(api_events, capture_role)
{
    struct api_device a;
    make_alone(&a);
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_CAPTURE;
    struct api_device beside = a;
    cr_assert_eq(syncline_open(a.dir, &options, &beside.lib), SYNCLINE_OK, "%s", api_text);
    (void)subscribe(&beside, DIARY, 0, true);
    struct tag tag = api_tag("by the engine's");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    struct tag second = api_tag("by this one");
    api_save_tag(&beside, &second, SYNCLINE_INSERT);
    API_WAIT(notes(DIARY) == 2);
    syncline_close(beside.lib);
    api_close(&a);
    cr_expect(is_uuid(&DIARY->notes[0].first, &tag.uuid));
    cr_expect(is_uuid(&DIARY->notes[1].first, &second.uuid));
    burn(DIARY);
}

/* ---- Errors ---- */

/* A record set aside is an error that names it. */
Test(api_events, record_set_aside)
{
    struct api_device a;
    make_alone(&a);
    (void)subscribe(&a, DIARY, SYNCLINE_EVENT_ERROR, true);
    struct tag red = api_tag("red");
    api_put_tag(a.db, &red);
    api_sql(a.db, "UPDATE tags SET color='red'");
    API_OK(a.lib, syncline_sync_model_with_db(a.lib, &tag_model, &red, SYNCLINE_INSERT, a.db));
    API_WAIT(notes(DIARY) == 1);
    struct syncline_info info = api_info(&a);
    api_close(&a);
    const struct note *note = &DIARY->notes[0];
    cr_expect_eq(note->status, SYNCLINE_EREFUSED);
    cr_expect_str_eq(note->model, "tag");
    cr_expect(is_uuid(&note->first, &red.uuid));
    cr_expect_not_null(strstr(note->text, "'color'"), "%s", note->text);
    json_t *root = parse(note);
    MEMBERS(root, "library_id", "status", "text", "timestamp", "model_type", "record_uuid");
    cr_expect_str_eq(text_at(root, "status"), "SYNCLINE_EREFUSED");
    check_uuid(root, "record_uuid", &red.uuid);
    check_uuid(root, "library_id", &info.library_id);
    json_decref(root);
    burn(DIARY);
}

static void refuse_tags(struct api_device *device)
{
    api_sql(device->db, "CREATE TRIGGER refuse BEFORE INSERT ON tags WHEN new.name='refused'"
                        " BEGIN SELECT RAISE(ABORT, 'not this one'); END");
}

/* A record set aside is told, too, if others were set aside before and are not any more. */
Test(api_events, record_set_aside_later)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    refuse_tags(&b);
    struct tag before = api_tag("refused");
    api_save_tag(&a, &before, SYNCLINE_INSERT);
    api_settle(&a, &b);
    cr_assert_eq(api_info(&b).set_aside, 1);
    (void)subscribe(&b, DIARY, SYNCLINE_EVENT_ERROR, false);
    api_save_tag(&a, &before, SYNCLINE_DELETE);
    api_settle(&a, &b);
    cr_assert_eq(api_info(&b).set_aside, 0);
    struct tag later = api_tag("refused");
    api_save_tag(&a, &later, SYNCLINE_INSERT);
    api_settle(&a, &b);
    cr_assert_eq(api_info(&b).set_aside, 1);
    API_WAIT(notes(DIARY) == 1);
    cr_expect(is_uuid(&DIARY->notes[0].first, &later.uuid));
    api_close(&a);
    api_close(&b);
    burn(DIARY);
}

/* A failure of the engine is an error with its status and text, and without a record. */
Test(api_events, engine_failure)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    (void)subscribe(&b, DIARY, SYNCLINE_EVENT_ERROR, true);
    api_sql(b.db, "CREATE TRIGGER refuse BEFORE INSERT ON tags WHEN new.name='refused'"
                  " BEGIN SELECT RAISE(ROLLBACK, 'no such tag here'); END");
    struct tag refused = api_tag("refused");
    api_save_tag(&a, &refused, SYNCLINE_INSERT);
    API_WAIT(notes(DIARY) == 1);
    api_close(&b);
    api_close(&a);
    const struct note *note = &DIARY->notes[0];
    cr_expect_eq(note->status, SYNCLINE_EUNSUPPORTED);
    cr_expect_not_null(strstr(note->text, "no such tag here"), "%s", note->text);
    cr_expect_eq(note->count, 0);
    json_t *root = parse(note);
    MEMBERS(root, "library_id", "status", "text", "timestamp");
    cr_expect_str_eq(text_at(root, "status"), "SYNCLINE_EUNSUPPORTED");
    json_decref(root);
    burn(DIARY);
}

/* ---- What may be done, and from where ---- */

/* A function that blocks delays the engine and its callers not at all, nothing is lost, and all
 * comes in order when it goes on. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool is_open;
    unsigned inside;
    struct diary *diary;
};

static struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static void wait_at_gate(void *ctx, const struct syncline_event *event)
{
    struct gate *at = ctx;
    (void)pthread_mutex_lock(&at->lock);
    at->inside++;
    (void)pthread_cond_broadcast(&at->moved);
    while (!at->is_open) {
        (void)pthread_cond_wait(&at->moved, &at->lock);
    }
    at->inside--;
    (void)pthread_mutex_unlock(&at->lock);
    write_down(at->diary, event);
}

static void await_inside(struct gate *at)
{
    (void)pthread_mutex_lock(&at->lock);
    while (at->inside == 0) {
        (void)pthread_cond_wait(&at->moved, &at->lock);
    }
    (void)pthread_mutex_unlock(&at->lock);
}

static void open_gate(struct gate *at)
{
    (void)pthread_mutex_lock(&at->lock);
    at->is_open = true;
    (void)pthread_cond_broadcast(&at->moved);
    (void)pthread_mutex_unlock(&at->lock);
}

Test(api_events, slow_subscriber)
{
    struct api_device a;
    make_alone(&a);
    uint64_t id = 0;
    gate.diary = DIARY;
    API_OK(a.lib, syncline_subscribe(a.lib, wait_at_gate, &gate, NULL, &id));
    struct tag tag = api_tag("first");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    await_inside(&gate);
    api_save_tags(&a, 2000, 100);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    cr_assert_eq(api_info(&a).own_seq, 2001);
    cr_expect_eq(notes(DIARY), 0);
    open_gate(&gate);
    API_WAIT(notes(DIARY) == 2001);
    api_close(&a);
    for (size_t i = 0; i < 2001; i++) {
        cr_assert_eq(DIARY->notes[i].seq, i + 1);
    }
}

struct ender {
    struct syncline *lib;
    uint64_t id;
    atomic_bool begins;
    enum syncline_status status;
    bool was_open; /* the gate, when the call returned */
    unsigned inside;
    size_t notes;
};

static void *end_it(void *ctx)
{
    struct ender *ender = ctx;
    atomic_store(&ender->begins, true);
    ender->status = syncline_unsubscribe(ender->lib, ender->id);
    (void)pthread_mutex_lock(&gate.lock);
    ender->was_open = gate.is_open;
    ender->inside = gate.inside;
    (void)pthread_mutex_unlock(&gate.lock);
    ender->notes = notes(DIARY);
    return NULL;
}

/* Ending a subscription from elsewhere waits for its function, which is not called any more. */
Test(api_events, unsubscribe_waits)
{
    struct api_device a;
    make_alone(&a);
    static struct ender ender;
    ender.lib = a.lib;
    gate.diary = DIARY;
    API_OK(a.lib, syncline_subscribe(a.lib, wait_at_gate, &gate, NULL, &ender.id));
    api_save_tags(&a, 100, 0);
    await_inside(&gate);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, end_it, &ender), 0);
    API_WAIT(atomic_load(&ender.begins));
    struct tag tag = api_tag("later");
    for (int i = 0; i < 10; i++) { /* time for it to return, if it did not wait */
        api_save_tag(&a, &tag, i == 0 ? SYNCLINE_INSERT : SYNCLINE_UPDATE);
        API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    }
    open_gate(&gate);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_eq(ender.status, SYNCLINE_OK);
    cr_expect(ender.was_open);
    cr_expect_eq(ender.inside, 0);
    (void)subscribe(&a, &diaries[1], 0, false);
    api_save_tag(&a, &tag, SYNCLINE_DELETE);
    API_WAIT(notes(&diaries[1]) == 1);
    cr_expect_eq(notes(DIARY), ender.notes);
    api_close(&a);
}

/* From its own function a subscription can end itself and begin another, capture and flush; the
 * handle cannot be closed from there. */
struct worker {
    struct api_device *device;
    uint64_t id;
    uint64_t next_id;
    atomic_uint calls;
    enum syncline_status statuses[7];
    atomic_bool is_done;
};

static void work(void *ctx, const struct syncline_event *event)
{
    struct worker *worker = ctx;
    struct syncline *lib = worker->device->lib;
    struct syncline_left left = SYNCLINE_LEFT_INIT;
    struct syncline_info info = SYNCLINE_INFO_INIT;
    struct tag tag = {.name = "by the function"};
    (void)event;
    atomic_fetch_add(&worker->calls, 1);
    enum syncline_status *status = worker->statuses;
    status[0] = syncline_unsubscribe(lib, worker->id);
    status[1] = syncline_unsubscribe(lib, worker->id);
    status[2] = syncline_subscribe(lib, write_down, DIARY, NULL, &worker->next_id);
    sqlite3 *db = NULL;
    if (sqlite3_open(worker->device->db_path, &db) == SQLITE_OK &&
        syncline_uuid_new(&tag.uuid, 1) == SYNCLINE_OK) {
        (void)sqlite3_busy_timeout(db, 20000);
        sqlite3_stmt *stmt = NULL;
        (void)sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        (void)sqlite3_prepare_v2(db, "INSERT INTO tags(uuid,name) VALUES(?1,?2)", -1, &stmt, NULL);
        (void)sqlite3_bind_blob(stmt, 1, tag.uuid.bytes, 16, SQLITE_STATIC);
        (void)sqlite3_bind_text(stmt, 2, tag.name, -1, SQLITE_STATIC);
        (void)sqlite3_step(stmt);
        (void)sqlite3_finalize(stmt);
        tag.id = sqlite3_last_insert_rowid(db);
        status[3] = syncline_sync_model_with_db(lib, &tag_model, &tag, SYNCLINE_INSERT, db);
        (void)sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    }
    (void)sqlite3_close(db);
    status[4] = syncline_flush(lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL);
    status[5] = syncline_close_drained(lib, SYNCLINE_LEVEL_DURABLE, 0, &left);
    syncline_close(lib);
    status[6] = syncline_info(lib, &info);
    atomic_store(&worker->is_done, true);
}

Test(api_events, from_inside)
{
    struct api_device a;
    make_alone(&a);
    struct worker worker = {.device = &a};
    API_OK(a.lib, syncline_subscribe(a.lib, work, &worker, NULL, &worker.id));
    api_save_tags(&a, 5, 0);
    API_WAIT(atomic_load(&worker.is_done));
    cr_expect_eq(worker.statuses[0], SYNCLINE_OK);
    cr_expect_eq(worker.statuses[1], SYNCLINE_ENOTFOUND);
    cr_expect_eq(worker.statuses[2], SYNCLINE_OK);
    cr_expect_neq(worker.next_id, worker.id);
    cr_expect_eq(worker.statuses[3], SYNCLINE_OK);
    cr_expect_eq(worker.statuses[4], SYNCLINE_OK);
    cr_expect_eq(worker.statuses[5], SYNCLINE_EINVAL);
    cr_expect_eq(worker.statuses[6], SYNCLINE_OK);
    API_WAIT(notes(DIARY) == 1);
    api_close(&a);
    cr_expect_eq(atomic_load(&worker.calls), 1);
    cr_expect_eq(DIARY->len, 1);
    cr_expect_eq(DIARY->notes[0].seq, 6);
}

/* A segment that is damaged is told as an error, once, and its device is not followed further. */
Test(api_events, damaged_log)
{
    struct api_device a;
    make_alone(&a);
    uint64_t id = 0;
    gate.diary = DIARY;
    API_OK(a.lib, syncline_subscribe(a.lib, wait_at_gate, &gate, NULL, &id));
    struct tag tag = api_tag("told");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    await_inside(&gate);
    api_save_tag(&a, &tag, SYNCLINE_UPDATE);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    sqlite3 *db = api_db_open(api_path("a/sync.db"));
    api_sql(db, "UPDATE segment SET bytes=zeroblob(length(bytes)) WHERE last_seq=2");
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    open_gate(&gate);
    API_WAIT(notes(DIARY) == 2);
    api_save_tag(&a, &tag, SYNCLINE_DELETE);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL));
    api_close(&a);
    cr_expect_eq(DIARY->len, 2);
    cr_expect_eq(DIARY->notes[0].seq, 1);
    cr_expect_eq(DIARY->notes[1].kind, SYNCLINE_EVENT_ERROR);
    cr_expect_eq(DIARY->notes[1].status, SYNCLINE_EPROTO);
    cr_expect_str_eq(DIARY->notes[1].model, "");
}

/* The applied vector may stand inside a segment: what is after it is told when it has moved on. */
Test(api_events, vector_inside_a_segment)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    api_sql(a.db, "BEGIN IMMEDIATE");
    struct folder folders[9];
    for (size_t i = 0; i < 9; i++) {
        folders[i] = api_new_folder("folder", NULL);
        api_put_folder(a.db, &folders[i]);
    }
    api_capture(&a, &folder_model, folders, 9, SYNCLINE_INSERT);
    api_sql(a.db, "COMMIT");
    api_settle(&a, &b);
    api_close(&a);
    api_stop(&b);
    api_sql(b.db, "UPDATE _syncline_origin SET applied_seq=0"); /* nobody applies meanwhile */
    struct syncline_options options = api_options();
    options.role = SYNCLINE_ROLE_CAPTURE;
    cr_assert_eq(syncline_open(b.dir, &options, &b.lib), SYNCLINE_OK, "%s", api_text);
    (void)subscribe(&b, DIARY, 0, true);
    api_sql(b.db, "UPDATE _syncline_origin SET applied_seq=4 WHERE applied_seq=0");
    API_WAIT(notes(DIARY) == 1);
    api_sql(b.db, "UPDATE _syncline_origin SET applied_seq=5 WHERE applied_seq=4");
    API_WAIT(notes(DIARY) == 2);
    api_sql(b.db, "UPDATE _syncline_origin SET applied_seq=9 WHERE applied_seq=5");
    API_WAIT(notes(DIARY) == 3);
    api_close(&b);
    static const uint32_t counts[] = {4, 1, 4};
    static const size_t firsts[] = {0, 4, 5};
    for (size_t i = 0; i < 3; i++) {
        const struct note *note = &DIARY->notes[i];
        cr_expect_eq(note->count, counts[i]);
        cr_expect_eq(note->seq, firsts[i] + 1);
        cr_expect(is_uuid(&note->first, &folders[firsts[i]].uuid));
        cr_expect(is_uuid(&note->last, &folders[firsts[i] + counts[i] - 1].uuid));
        cr_expect_eq(note->kind, counts[i] == 1 ? SYNCLINE_EVENT_STATE_CHANGE
                                                : SYNCLINE_EVENT_STATE_CHANGE_BATCH);
    }
    burn(DIARY);
}

/* Closing waits for the function that runs, and calls it no more, however much is left to tell. */
struct closer {
    struct gate *gate;
    struct syncline *lib;
};

static void *open_gate_when_closing(void *ctx)
{
    struct closer *closer = ctx;
    uint64_t id = 0;
    /* Refused from the moment on at which the handle is being closed. */
    while (syncline_unsubscribe(closer->lib, id) != SYNCLINE_ECLOSED) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    open_gate(closer->gate);
    return NULL;
}

Test(api_events, close_ends_it)
{
    struct api_device a;
    make_alone(&a);
    uint64_t id = 0;
    gate.diary = DIARY;
    API_OK(a.lib, syncline_subscribe(a.lib, wait_at_gate, &gate, NULL, &id));
    api_save_tags(&a, 1000, 0);
    await_inside(&gate);
    /* The thread looks at the handle until close_drained refuses it, and close_drained then waits
     * for this function: so the handle is there as long as it looks. */
    struct closer closer = {.gate = &gate, .lib = a.lib};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, open_gate_when_closing, &closer), 0);
    cr_expect_eq(syncline_close_drained(a.lib, SYNCLINE_LEVEL_DURABLE, API_DEADLINE_MS, NULL),
                 SYNCLINE_OK);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    size_t len = DIARY->len;
    cr_expect_geq(len, 1);
    cr_expect_eq(sqlite3_close(a.db), SQLITE_OK);
}

/* A function that waits for what does not come: closing the handle ends its wait. */
struct patient {
    struct syncline *lib;
    struct syncline_ticket ticket; /* of a transaction that stays open */
    atomic_bool has_ticket;
    atomic_bool is_told;
    atomic_int answer;
};

static void wait_in_vain(void *ctx, const struct syncline_event *event)
{
    struct patient *patient = ctx;
    (void)event;
    atomic_store(&patient->is_told, true);
    while (!atomic_load(&patient->has_ticket)) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    atomic_store(&patient->answer, (int)syncline_wait(patient->lib, &patient->ticket,
                                                      SYNCLINE_LEVEL_QUEUED, NULL, -1));
}

Test(api_events, close_ends_a_wait, .timeout = 150)
{
    struct api_device a;
    uint64_t id = 0;
    make_alone(&a);
    struct patient patient = {.lib = a.lib, .ticket = SYNCLINE_TICKET_INIT};
    API_OK(a.lib, syncline_subscribe(a.lib, wait_in_vain, &patient, NULL, &id));
    struct tag told = api_tag("told");
    api_save_tag(&a, &told, SYNCLINE_INSERT);
    API_WAIT(atomic_load(&patient.is_told));
    struct syncline_batch_options options = SYNCLINE_BATCH_OPTIONS_INIT;
    options.ticket = &patient.ticket;
    struct tag open = api_tag("open");
    api_sql(a.db, "BEGIN IMMEDIATE");
    api_put_tag(a.db, &open);
    API_OK(a.lib, syncline_sync_models_batch(a.lib, &tag_model, &open, 1, SYNCLINE_INSERT, a.db,
                                             &options));
    atomic_store(&patient.has_ticket, true);
    api_stop(&a);
    cr_expect_eq(atomic_load(&patient.answer), SYNCLINE_ECLOSED);
    api_sql(a.db, "ROLLBACK");
    cr_expect_eq(sqlite3_close(a.db), SQLITE_OK);
}

/* Arguments that make no sense, and handles that are another process's, are refused. */
/* The log as it stands has what was told meanwhile: all of it, in the same order, and nothing more;
 * and no error of the engine. */
Test(api_events, log_read)
{
    struct api_device a;
    struct api_device b;
    api_pair(&a, &b);
    uint32_t kinds = SYNCLINE_EVENT_SHARED_CHANGE | SYNCLINE_EVENT_STATE_CHANGE |
                     SYNCLINE_EVENT_STATE_CHANGE_BATCH;
    uint64_t id = subscribe(&b, DIARY, kinds, true);
    api_save_tags(&a, 300, 0);
    (void)api_save_folder(&a, "of A", NULL);
    API_WAIT(notes(DIARY) == 301);
    struct syncline_subscribe_options options = SYNCLINE_SUBSCRIBE_OPTIONS_INIT;
    options.json = true;
    API_OK(b.lib, syncline_log_read(b.lib, write_down, &diaries[1], &options));
    cr_assert_eq(diaries[1].len, 301);
    for (size_t i = 0; i < 301; i++) {
        cr_assert_eq(diaries[1].notes[i].seq, DIARY->notes[i].seq);
        cr_assert_str_eq(diaries[1].notes[i].json, DIARY->notes[i].json);
    }
    cr_expect(pthread_equal(diaries[1].thread, pthread_self()));
    burn(&diaries[1]);
    options.kinds = SYNCLINE_EVENT_STATE_CHANGE;
    API_OK(b.lib, syncline_log_read(b.lib, write_down, &diaries[1], &options));
    cr_expect_eq(diaries[1].len, 1);
    burn(&diaries[1]);
    API_REFUSED(b.lib, syncline_log_read(b.lib, NULL, NULL, NULL), SYNCLINE_EINVAL, "fn");
    cr_expect_eq(syncline_log_read(NULL, write_down, DIARY, NULL), SYNCLINE_EINVAL);
    API_OK(b.lib, syncline_unsubscribe(b.lib, id));
    burn(DIARY);
    api_close(&b);
    api_close(&a);
}

Test(api_events, refusals)
{
    struct api_device a;
    make_alone(&a);
    struct syncline_subscribe_options options = SYNCLINE_SUBSCRIBE_OPTIONS_INIT;
    uint64_t id = 0;
    API_REFUSED(a.lib, syncline_subscribe(a.lib, NULL, NULL, NULL, &id), SYNCLINE_EINVAL, "fn");
    API_REFUSED(a.lib, syncline_subscribe(a.lib, write_down, DIARY, NULL, NULL), SYNCLINE_EINVAL,
                "subscription");
    options.kinds = 16;
    API_REFUSED(a.lib, syncline_subscribe(a.lib, write_down, DIARY, &options, &id), SYNCLINE_EINVAL,
                "kinds 0x10");
    options.size = sizeof(size_t);
    API_REFUSED(a.lib, syncline_subscribe(a.lib, write_down, DIARY, &options, &id), SYNCLINE_EINVAL,
                "_INIT");
    API_REFUSED(a.lib, syncline_unsubscribe(a.lib, 1), SYNCLINE_ENOTFOUND, "subscription 1");
    cr_expect_eq(syncline_subscribe(NULL, write_down, DIARY, NULL, &id), SYNCLINE_EINVAL);
    cr_expect_eq(syncline_unsubscribe(NULL, 1), SYNCLINE_EINVAL);
    id = subscribe(&a, DIARY, 0, false);
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t other = 0;
        bool ok = syncline_subscribe(a.lib, write_down, DIARY, NULL, &other) == SYNCLINE_EFORK &&
                  syncline_unsubscribe(a.lib, id) == SYNCLINE_EFORK;
        syncline_close(a.lib);
        _exit(ok ? 0 : 1);
    }
    int status = 1;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0);
    API_OK(a.lib, syncline_unsubscribe(a.lib, id));
    API_REFUSED(a.lib, syncline_unsubscribe(a.lib, id), SYNCLINE_ENOTFOUND, "there is no");
    api_close(&a);
}
