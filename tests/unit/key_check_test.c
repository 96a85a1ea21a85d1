/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/key_check.h"

#include "tests/unit/failing_malloc.h"
#include "tests/unit/storage_fixture.h"

/* ---- What a CREATE TABLE declares ---- */

static char said[512];

static void say(void *ctx, const char *column, bool deferred)
{
    (void)ctx;
    size_t len = strlen(said);
    (void)snprintf(said + len, sizeof(said) - len, "%s%s%s", len > 0 ? " " : "", column,
                   deferred ? ":late" : "");
}

static const char *declared(const char *sql)
{
    said[0] = '\0';
    sl_each_declared_key(sql, say, NULL);
    return said;
}

#define SAYS(sql, text) cr_expect_str_eq(declared(sql), text, "%s: %s", sql, said)

Test(key_check, of_columns)
{
    SAYS("CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER)", "");
    SAYS("CREATE TABLE t(a REFERENCES p)", "a");
    SAYS("CREATE TABLE t(a INTEGER NOT NULL references p(id) deferrable initially deferred, b)",
         "a:late");
    SAYS("CREATE TABLE t(a REFERENCES p DEFERRABLE)", "a");
    SAYS("CREATE TABLE t(a REFERENCES p DEFERRABLE INITIALLY IMMEDIATE)", "a");
    SAYS("CREATE TABLE t(a REFERENCES p NOT DEFERRABLE INITIALLY DEFERRED)", "a");
    SAYS("CREATE TABLE t(a REFERENCES p ON DELETE SET NULL MATCH FULL DEFERRABLE INITIALLY DEFERRED"
         " NOT NULL, b REFERENCES q)",
         "a:late b");
    SAYS("CREATE TABLE t(a REFERENCES p REFERENCES q DEFERRABLE INITIALLY DEFERRED)", "a a:late");
    SAYS("CREATE TABLE t(a REFERENCES p CONSTRAINT late DEFERRABLE INITIALLY DEFERRED)", "a:late");
}

Test(key_check, of_tables)
{
    SAYS("CREATE TABLE t(a, b, FOREIGN KEY(b) REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED)",
         "b:late");
    SAYS("CREATE TABLE t(a, b, CONSTRAINT c FOREIGN KEY (a) REFERENCES p,"
         " FOREIGN KEY (\"b\") REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
         "a b:late");
    SAYS("CREATE TABLE t(a, b, FOREIGN KEY(a) REFERENCES p FOREIGN KEY(b) REFERENCES p"
         " DEFERRABLE INITIALLY DEFERRED)",
         "a b:late");
    SAYS("CREATE TABLE t(a, b, FOREIGN KEY(a, b) REFERENCES p(c, d))", "a");
}

/* Comments, texts, quoted names and expressions say nothing, whatever they say. */
Test(key_check, what_only_looks_like_it)
{
    SAYS("CREATE TABLE t(a REFERENCES p -- DEFERRABLE INITIALLY DEFERRED\n)", "a");
    SAYS(
        "CREATE TABLE t(a REFERENCES p /* DEFERRABLE, */ /* ( */ DEFERRABLE/**/INITIALLY DEFERRED)",
        "a:late");
    SAYS("CREATE TABLE t(a TEXT DEFAULT 'it''s REFERENCES (p', b REFERENCES p)", "b");
    SAYS("CREATE TABLE \"t(x REFERENCES\"(\"REFERENCES\" INT, [a b], `c``d` REFERENCES"
         " \"DEFERRABLE\" )",
         "c`d");
    SAYS("CREATE TABLE t(a CHECK(b IN (1,2) OR 'DEFERRABLE'), b REFERENCES p(id) CHECK(b>(0)),"
         " c DECIMAL(10,2) REFERENCES p)",
         "b c");
    SAYS("CREATE TABLE t(a REFERENCES deferrable)", "a");
    SAYS("CREATE TABLE t(a REFERENCES \"an end is missing", "a");
    SAYS("CREATE TABLE t(a FOREIGN", "");
    SAYS("", "");
}

/* ---- Circles ---- */

struct row {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t key;
    struct syncline_uuid second;
};

#define FIELDS(key_to, second_to)                                                                  \
    {                                                                                              \
        SYNCLINE_ID(struct row, id), SYNCLINE_UUID(struct row, uuid),                              \
            SYNCLINE_KEY(struct row, key, key_to),                                                 \
            SYNCLINE_UUID_KEY(struct row, second, second_to)                                       \
    }
static const struct syncline_field a_fields[] = FIELDS("b", "a");
static const struct syncline_field b_fields[] = FIELDS("c", "a");
static const struct syncline_field c_fields[] = FIELDS("c", "a");
static const struct syncline_model a_model =
    SYNCLINE_MODEL("a", "ones", SYNCLINE_SHARED, struct row, a_fields);
static const struct syncline_model b_model =
    SYNCLINE_MODEL("b", "Bs", SYNCLINE_SHARED, struct row, b_fields);
static const struct syncline_model c_model =
    SYNCLINE_MODEL("c", "cs", SYNCLINE_SHARED, struct row, c_fields);

static struct sl_db db;
static struct sl_model_set set;

static void start(void)
{
    const struct syncline_model *models[] = {&c_model, &a_model, &b_model};
    OK(sl_db_open(&db, sl_env_posix(), ":memory:", "library.db", SL_DB_CREATE, 0, &err));
    OK(sl_model_set_init(&set, &sl_allocator_libc, models, 3, &err));
}

static void stop(void)
{
    sl_model_set_fini(&set);
    sl_db_close(&db);
}

/* What each table says of its two keys. */
static enum syncline_status check(const char *ones, const char *bs, const char *cs)
{
    char sql[2048];
    (void)snprintf(sql, sizeof(sql),
                   "DROP TABLE IF EXISTS Ones; DROP TABLE IF EXISTS bs; DROP TABLE IF EXISTS cs;"
                   "CREATE TABLE Ones(id INTEGER PRIMARY KEY, uuid BLOB UNIQUE, %s);"
                   "CREATE TABLE bs(id INTEGER PRIMARY KEY, uuid BLOB UNIQUE, %s);"
                   "CREATE TABLE cs(id INTEGER PRIMARY KEY, uuid BLOB UNIQUE, %s)",
                   ones, bs, cs);
    OK(sl_db_exec(&db, sql, &err));
    return sl_key_cycles_check(&db, &set, &err);
}

#define SOFT "key INTEGER, second BLOB"
#define KEY_TO(table) "key INTEGER NOT NULL REFERENCES " table
#define SECOND "second BLOB NOT NULL REFERENCES ones(uuid)"
#define LATE " DEFERRABLE INITIALLY DEFERRED"

Test(key_check, circles, .init = start, .fini = stop)
{
    OK(check(SOFT, SOFT, SOFT));
    FAILS(check(KEY_TO("bs") ", second", "key, " SECOND, SOFT), SYNCLINE_EMODEL,
          "model 'a', field 'key'; model 'b', field 'second': models point at each other in a "
          "circle of keys that are NOT NULL and immediate");
    FAILS(check(KEY_TO("bs") ", second", KEY_TO("cs") ", second", "key, " SECOND), SYNCLINE_EMODEL,
          "model 'c', field 'second'; model 'a', field 'key'; model 'b', field 'key': models");
}

/* One key that can wait is enough, however it says so; a circle of one is none. */
Test(key_check, no_circles, .init = start, .fini = stop)
{
    OK(check(KEY_TO("bs") LATE ", second", "key, " SECOND, SOFT));
    OK(check(KEY_TO("bs") ", second", "key, " SECOND LATE, SOFT));
    OK(check(KEY_TO("bs") ", second", "key, second BLOB REFERENCES ones(uuid)", SOFT));
    OK(check(KEY_TO("bs") ", second", "key, second BLOB NOT NULL", SOFT)); /* no declared key */
    OK(check("key INTEGER NOT NULL, second, FOREIGN KEY(key) REFERENCES bs(id)" LATE,
             "key, " SECOND, SOFT));
    OK(check("key, " SECOND, "key, " SECOND, KEY_TO("cs") "," SECOND));
}

Test(key_check, what_leads_to_a_circle_is_not_named, .init = start, .fini = stop)
{
    /* c points at a, a and b at each other */
    FAILS(check(KEY_TO("bs") ", second", "key, " SECOND, KEY_TO("cs") "," SECOND), SYNCLINE_EMODEL,
          "point at each other");
    cr_assert_null(strstr(err.text, "'c'"), "%s", err.text);
}

Test(key_check, no_memory, .init = start, .fini = stop)
{
    if (!SL_MALLOC_CAN_FAIL) {
        cr_skip_test("this allocator cannot be made to fail");
    }
    OK(check(SOFT, SOFT, SOFT));
    for (long n = 1; n <= 2; n++) {
        (void)sl_malloc_fail_at(n);
        enum syncline_status status = sl_key_cycles_check(&db, &set, &err);
        cr_assert(sl_malloc_fail_at(0));
        cr_assert_eq(status, SYNCLINE_ENOMEM);
    }
}
