/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Every form that a member of a row struct may have, set and NULL: as the struct says it, as it is
 * read again from the table, there and back again. */

#include "tests/integration/api.h"

TestSuite(row_forms, .init = api_setup, .fini = api_cleanup);

struct form {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t number;
    struct syncline_opt_int64 number_opt;
    double real;
    struct syncline_opt_double real_opt;
    bool flag;
    struct syncline_opt_bool flag_opt;
    int64_t at;
    struct syncline_opt_int64 at_opt;
    const char *text;
    struct syncline_text counted;
    struct syncline_bytes blob;
    int64_t tag_id;
    struct syncline_opt_int64 tag_opt_id;
    struct syncline_uuid tag_ref;
    struct syncline_opt_uuid tag_ref_opt;
};

static const struct syncline_field form_fields[] = {
    SYNCLINE_ID(struct form, id),
    SYNCLINE_UUID(struct form, uuid),
    SYNCLINE_INT64(struct form, number),
    SYNCLINE_INT64(struct form, number_opt),
    SYNCLINE_DOUBLE(struct form, real),
    SYNCLINE_DOUBLE(struct form, real_opt),
    SYNCLINE_BOOL(struct form, flag),
    SYNCLINE_BOOL(struct form, flag_opt),
    SYNCLINE_TIME(struct form, at),
    SYNCLINE_TIME(struct form, at_opt),
    SYNCLINE_TEXT(struct form, text),
    SYNCLINE_TEXT(struct form, counted),
    SYNCLINE_BLOB(struct form, blob),
    SYNCLINE_KEY(struct form, tag_id, "tag"),
    SYNCLINE_KEY(struct form, tag_opt_id, "tag"),
    SYNCLINE_UUID_KEY(struct form, tag_ref, "tag"),
    SYNCLINE_UUID_KEY(struct form, tag_ref_opt, "tag")};
static const struct syncline_model form_model =
    SYNCLINE_MODEL("form", "forms", SYNCLINE_SHARED, struct form, form_fields);
static const struct syncline_model *const models[] = {&tag_model, &form_model};

static const char form_schema[] =
    "CREATE TABLE forms(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, number INTEGER NOT NULL,"
    " number_opt INTEGER, real REAL NOT NULL, real_opt REAL, flag INTEGER NOT NULL,"
    " flag_opt INTEGER, at INTEGER NOT NULL, at_opt INTEGER, text TEXT, counted TEXT, blob BLOB,"
    " tag_id INTEGER NOT NULL REFERENCES tags(id), tag_opt_id INTEGER REFERENCES tags(id),"
    " tag_ref BLOB NOT NULL REFERENCES tags(uuid), tag_ref_opt BLOB REFERENCES tags(uuid))";

/* What there is of the row with this number, with the types it is stored in and keys as UUIDs. */
static const char form_line[] =
    "SELECT group_concat(v, '|') FROM (SELECT quote(uuid)||quote(number)||quote(number_opt)||"
    "quote(real)||quote(real_opt)||quote(flag)||quote(flag_opt)||quote(at)||quote(at_opt)||"
    "quote(text)||quote(CAST(counted AS BLOB))||typeof(counted)||quote(blob)||"
    "quote((SELECT uuid FROM tags t WHERE t.id=tag_id))||"
    "quote((SELECT uuid FROM tags t WHERE t.id=tag_opt_id))||quote(tag_ref)||quote(tag_ref_opt) AS "
    "v"
    " FROM forms ORDER BY uuid)";

static void put_form(sqlite3 *db, const struct form *form)
{
    sqlite3_stmt *stmt = api_prepare(
        db, "INSERT INTO forms VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)"
            " ON CONFLICT(id) DO UPDATE SET number=?3,number_opt=?4,real=?5,real_opt=?6,flag=?7,"
            "flag_opt=?8,at=?9,at_opt=?10,text=?11,counted=?12,blob=?13,tag_id=?14,tag_opt_id=?15,"
            "tag_ref=?16,tag_ref_opt=?17");
    (void)sqlite3_bind_int64(stmt, 1, form->id);
    api_bind_uuid(stmt, 2, &form->uuid);
    (void)sqlite3_bind_int64(stmt, 3, form->number);
    api_bind_opt(stmt, 4, form->number_opt);
    (void)sqlite3_bind_double(stmt, 5, form->real);
    if (form->real_opt.is_set) {
        (void)sqlite3_bind_double(stmt, 6, form->real_opt.value);
    }
    (void)sqlite3_bind_int(stmt, 7, form->flag);
    if (form->flag_opt.is_set) {
        (void)sqlite3_bind_int(stmt, 8, form->flag_opt.value);
    }
    (void)sqlite3_bind_int64(stmt, 9, form->at);
    api_bind_opt(stmt, 10, form->at_opt);
    (void)sqlite3_bind_text(stmt, 11, form->text, -1, SQLITE_STATIC);
    api_bind_text(stmt, 12, form->counted);
    api_bind_blob(stmt, 13, form->blob);
    (void)sqlite3_bind_int64(stmt, 14, form->tag_id);
    api_bind_opt(stmt, 15, form->tag_opt_id);
    api_bind_uuid(stmt, 16, &form->tag_ref);
    if (form->tag_ref_opt.is_set) {
        api_bind_uuid(stmt, 17, &form->tag_ref_opt.value);
    }
    api_run(db, stmt);
}

/* Three rows: all members set, all NULL that may be, and what is nearly NULL and is not. */
static void make_forms(struct form forms[3], const struct tag *tag)
{
    struct syncline_uuid uuids[3];
    cr_assert_eq(syncline_uuid_new(uuids, 3), SYNCLINE_OK);
    for (int i = 0; i < 3; i++) {
        forms[i] =
            (struct form){.id = 10 + i, .uuid = uuids[i], .tag_id = tag->id, .tag_ref = tag->uuid};
    }
    forms[0].number = INT64_MIN;
    forms[0].number_opt = api_opt(INT64_MAX);
    forms[0].real = -1.5;
    forms[0].real_opt = (struct syncline_opt_double){.value = 0.1, .is_set = true};
    forms[0].flag = true;
    forms[0].flag_opt = (struct syncline_opt_bool){.value = true, .is_set = true};
    forms[0].at = 1893456000123;
    forms[0].at_opt = api_opt(-1);
    forms[0].text = "text \xc3\xbc";
    forms[0].counted = (struct syncline_text){.data = "a\0b", .len = 3};
    forms[0].blob = (struct syncline_bytes){.data = "\xff\0\x80", .len = 3};
    forms[0].tag_opt_id = api_opt(tag->id);
    forms[0].tag_ref_opt = (struct syncline_opt_uuid){.value = tag->uuid, .is_set = true};

    /* A value beside is_set = false is nothing. */
    forms[1].number_opt.value = 5;
    forms[1].real_opt.value = 5;
    forms[1].flag_opt.value = true;
    forms[1].counted.len = 5;
    forms[1].blob.len = 5;
    forms[1].tag_ref_opt.value.bytes[0] = 5;

    forms[2].number_opt = api_opt(0);
    forms[2].real_opt = (struct syncline_opt_double){.is_set = true};
    forms[2].flag_opt = (struct syncline_opt_bool){.is_set = true};
    forms[2].at_opt = api_opt(0);
    forms[2].text = "";
    forms[2].counted = (struct syncline_text){.data = ""};
    forms[2].blob = (struct syncline_bytes){.data = ""};
}

static void read_line(const char *db_path, char line[4096])
{
    sqlite3 *db = api_db_open(db_path);
    sqlite3_stmt *stmt = api_prepare(db, form_line);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    (void)snprintf(line, 4096, "%s", (const char *)sqlite3_column_text(stmt, 0));
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
}

static void check_same_forms(struct api_device *a, struct api_device *b)
{
    char of_a[4096];
    char of_b[4096];
    read_line(a->db_path, of_a);
    read_line(b->db_path, of_b);
    cr_assert_str_eq(of_a, of_b);
}

static void open_forms(struct api_device *device, enum syncline_role role, const char *peer)
{
    struct syncline_options options = api_options();
    options.models = models;
    options.models_count = 2;
    options.role = role;
    if (role == SYNCLINE_ROLE_ENGINE) {
        options.listen = "127.0.0.1:0";
        options.peers = &peer;
        options.peers_count = peer != NULL ? 1 : 0;
    }
    cr_assert_eq(syncline_open(device->dir, &options, &device->lib), SYNCLINE_OK, "%s", api_text);
    if (role == SYNCLINE_ROLE_ENGINE) {
        (void)snprintf(device->address, sizeof(device->address), "%s", api_info(device).listen);
    }
}

static void write_forms(struct api_device *device, struct form forms[3],
                        enum syncline_change change)
{
    api_sql(device->db, "BEGIN IMMEDIATE");
    for (int i = 0; i < 3; i++) {
        put_form(device->db, &forms[i]);
    }
    api_capture(device, &form_model, forms, 3, change);
    api_sql(device->db, "COMMIT");
}

/* A writes, and B gets the same; B turns the rows round, and A gets that. `again`: no engine runs
 * when they capture, so the rows come from the tables. */
static void there_and_back(bool again)
{
    struct api_device a;
    struct api_device b;
    struct form forms[3];
    api_create(&a, "a");
    api_sql(a.db, form_schema);
    open_forms(&a, SYNCLINE_ROLE_ENGINE, NULL);
    api_join(&b, "b", a.address);
    api_sql(b.db, form_schema);
    struct tag tag = api_tag("tag");
    api_save_tag(&a, &tag, SYNCLINE_INSERT);
    make_forms(forms, &tag);
    if (again) {
        api_stop(&a);
        open_forms(&a, SYNCLINE_ROLE_CAPTURE, NULL);
    }
    write_forms(&a, forms, SYNCLINE_INSERT);
    if (again) {
        api_stop(&a);
        open_forms(&a, SYNCLINE_ROLE_ENGINE, NULL);
    }
    open_forms(&b, SYNCLINE_ROLE_ENGINE, a.address);
    API_OK(a.lib, syncline_flush(a.lib, SYNCLINE_LEVEL_APPLIED, API_DEADLINE_MS, NULL));
    check_same_forms(&a, &b);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM forms WHERE number_opt IS NULL AND real_opt IS"
                               " NULL AND flag_opt IS NULL AND at_opt IS NULL AND text IS NULL AND"
                               " counted IS NULL AND blob IS NULL AND tag_opt_id IS NULL AND"
                               " tag_ref_opt IS NULL"),
                 1);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM forms WHERE number_opt=0 AND real_opt=0.0 AND"
                               " flag_opt=0 AND at_opt=0 AND text='' AND counted='' AND blob=x''"),
                 1);
    cr_expect_eq(api_int(b.db, "SELECT count(*) FROM forms WHERE flag_opt=1 AND tag_ref_opt IN"
                               " (SELECT uuid FROM tags)"),
                 1);

    struct form turned[3];
    int64_t tag_id = api_id(b.db, "tags", &tag.uuid);
    for (int i = 0; i < 3; i++) {
        turned[i] = forms[(i + 1) % 3];
        turned[i].uuid = forms[i].uuid;
        turned[i].id = api_id(b.db, "forms", &forms[i].uuid);
        turned[i].tag_id = tag_id;
        turned[i].tag_opt_id.value = tag_id;
    }
    if (again) {
        api_stop(&b);
        open_forms(&b, SYNCLINE_ROLE_CAPTURE, NULL);
    }
    write_forms(&b, turned, SYNCLINE_UPDATE);
    if (again) {
        api_stop(&b);
        open_forms(&b, SYNCLINE_ROLE_ENGINE, a.address);
    }
    API_OK(b.lib, syncline_flush(b.lib, SYNCLINE_LEVEL_APPLIED, API_DEADLINE_MS, NULL));
    check_same_forms(&a, &b);
    cr_expect_eq(api_info(&a).set_aside + api_info(&b).set_aside, 0);
    api_close(&a);
    api_close(&b);
}

/* From the structs. */
Test(row_forms, staged)
{
    there_and_back(false);
}

/* From the tables. */
Test(row_forms, read_again)
{
    there_and_back(true);
}
