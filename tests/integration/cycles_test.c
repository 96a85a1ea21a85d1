/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Records that point at each other in a circle, within one model and between two, on their way from
 * one device to another. Two libraries are stepped in one process, on real files. */

#include "tests/integration/two_libraries.h"

/* A team has a leader, a person is in a team; a task comes after another one. */
struct team {
    int64_t id;
    struct syncline_uuid uuid;
    struct syncline_opt_int64 leader_id;
};

struct person {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t team_id;
};

struct task {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t after_id;
    struct syncline_uuid first;
};

static const struct syncline_field team_fields[] = {SYNCLINE_ID(struct team, id),
                                                    SYNCLINE_UUID(struct team, uuid),
                                                    SYNCLINE_KEY(struct team, leader_id, "person")};
static const struct syncline_field person_fields[] = {SYNCLINE_ID(struct person, id),
                                                      SYNCLINE_UUID(struct person, uuid),
                                                      SYNCLINE_KEY(struct person, team_id, "team")};
static const struct syncline_field task_fields[] = {
    SYNCLINE_ID(struct task, id), SYNCLINE_UUID(struct task, uuid),
    SYNCLINE_KEY(struct task, after_id, "task"), SYNCLINE_UUID_KEY(struct task, first, "task")};
static const struct syncline_model team_model =
    SYNCLINE_MODEL("team", "teams", SYNCLINE_SHARED, struct team, team_fields);
static const struct syncline_model person_model =
    SYNCLINE_MODEL("person", "people", SYNCLINE_SHARED, struct person, person_fields);
static const struct syncline_model task_model =
    SYNCLINE_MODEL("task", "tasks", SYNCLINE_SHARED, struct task, task_fields);
static const struct syncline_model *const models[] = {&team_model, &person_model, &task_model};
#define MODELS (sizeof(models) / sizeof(models[0]))

#define DEFERRED " DEFERRABLE INITIALLY DEFERRED"
#define ID "(id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
#define TASKS                                                                                      \
    "CREATE TABLE tasks" ID "after_id INTEGER NOT NULL REFERENCES tasks(id)" DEFERRED              \
    ",first BLOB NOT NULL REFERENCES tasks(uuid)" DEFERRED ")"

/* How a circle of two tables can be. */
static const char *const schemas[] = {
    "CREATE TABLE teams" ID "leader_id INTEGER REFERENCES people(id));"
    "CREATE TABLE people" ID "team_id INTEGER NOT NULL REFERENCES teams(id));" TASKS,
    "CREATE TABLE teams" ID "leader_id INTEGER NOT NULL REFERENCES people(id)" DEFERRED ");"
    "CREATE TABLE people" ID "team_id INTEGER NOT NULL REFERENCES teams(id));" TASKS,
    "CREATE TABLE teams" ID "leader_id INTEGER NOT NULL REFERENCES people(id)" DEFERRED ");"
    "CREATE TABLE people" ID "team_id INTEGER NOT NULL REFERENCES teams(id)" DEFERRED ");" TASKS};
enum { ONE_NULLABLE, ONE_DEFERRED, BOTH_DEFERRED, SCHEMAS };

static const char *const contents[] = {
    "SELECT t.uuid,p.uuid FROM @.teams t LEFT JOIN @.people p ON p.id=t.leader_id",
    "SELECT p.uuid,t.uuid FROM @.people p LEFT JOIN @.teams t ON t.id=p.team_id",
    "SELECT t.uuid,a.uuid,t.first FROM @.tasks t LEFT JOIN @.tasks a ON a.id=t.after_id"};

static const struct two_libraries two = {
    .models = models, .contents = contents, .models_count = MODELS};

static void begin(const char *schema)
{
    make_two(schema);
    open_library(&a);
    open_library(&b);
}

/* ---- Rows ---- */

/* How what was written comes into the outbox. */
enum way {
    ONE_CALL_EACH, /* one call for each model, in the transaction */
    SINGLE_CALLS,  /* one for each record, in the transaction */
    READ_AGAIN,    /* one for each model, in the transaction; nothing that was staged is left */
    AUTOCOMMIT,    /* one for each model, after the transaction */
    WAYS
};

static void capture(const struct syncline_model *model, const void *rows, size_t n, size_t size,
                    enum way way)
{
    sqlite3 *db = way == AUTOCOMMIT ? NULL : a.db;
    size_t piece = way == SINGLE_CALLS ? 1 : n;
    for (size_t i = 0; i < n; i += piece) {
        cr_assert_eq(sl_library_capture(a.library, model, (const char *)rows + i * size, piece,
                                        SYNCLINE_INSERT, db, 0, &err),
                     SYNCLINE_OK, "%s", err.text);
    }
}

static void write_row(const char *text, int64_t id, const struct syncline_uuid *uuid, int64_t key,
                      const struct syncline_uuid *other)
{
    sqlite3_stmt *stmt = NULL;
    cr_assert_eq(sqlite3_prepare_v2(a.db, text, -1, &stmt, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(a.db));
    (void)sqlite3_bind_int64(stmt, 1, id);
    (void)sqlite3_bind_blob(stmt, 2, uuid->bytes, 16, SQLITE_STATIC);
    if (key != 0) {
        (void)sqlite3_bind_int64(stmt, 3, key);
    }
    if (other != NULL) {
        (void)sqlite3_bind_blob(stmt, 4, other->bytes, 16, SQLITE_STATIC);
    }
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE, "%s", sqlite3_errmsg(a.db));
    (void)sqlite3_finalize(stmt);
}

static void commit(enum way way)
{
    sql(a.db, "COMMIT");
    if (way == READ_AGAIN) { /* as after a crash */
        close_library(&a);
        open_library(&a);
    }
}

#define PAIRS 5

/* Teams first_id, first_id + 1, ..., each with a leader who is in the next of them. */
static void add_teams(int64_t first_id, bool nullable, enum way way)
{
    struct team teams[PAIRS] = {0};
    struct person people[PAIRS] = {0};
    sql(a.db, "BEGIN IMMEDIATE");
    for (int i = 0; i < PAIRS; i++) {
        teams[i].id = first_id + i;
        people[i].id = first_id + i;
        teams[i].leader_id = (struct syncline_opt_int64){people[i].id, true};
        people[i].team_id = first_id + (i + 1) % PAIRS;
        cr_assert_eq(syncline_uuid_new(&teams[i].uuid, 1), SYNCLINE_OK);
        cr_assert_eq(syncline_uuid_new(&people[i].uuid, 1), SYNCLINE_OK);
        write_row("INSERT INTO teams(id,uuid,leader_id) VALUES(?1,?2,?3)", teams[i].id,
                  &teams[i].uuid, nullable ? 0 : people[i].id, NULL);
    }
    for (int i = 0; i < PAIRS; i++) {
        write_row("INSERT INTO people(id,uuid,team_id) VALUES(?1,?2,?3)", people[i].id,
                  &people[i].uuid, people[i].team_id, NULL);
    }
    sql(a.db, "UPDATE teams SET leader_id=id");
    if (way == AUTOCOMMIT) {
        commit(way);
    }
    capture(&team_model, teams, PAIRS, sizeof(teams[0]), way);
    capture(&person_model, people, PAIRS, sizeof(people[0]), way);
    if (way != AUTOCOMMIT) {
        commit(way);
    }
}

/* Tasks in a circle, each after the next one; the last stands alone, and comes after itself.
 * `named`: whose UUID they hold, as a distance. */
static void add_tasks(int64_t first_id, int named, enum way way)
{
    struct task tasks[PAIRS] = {0};
    for (int i = 0; i < PAIRS; i++) {
        tasks[i].id = first_id + i;
        tasks[i].after_id = first_id + (i == PAIRS - 1 ? i : (i + 1) % (PAIRS - 1));
        cr_assert_eq(syncline_uuid_new(&tasks[i].uuid, 1), SYNCLINE_OK);
    }
    sql(a.db, "BEGIN IMMEDIATE");
    for (int i = 0; i < PAIRS; i++) {
        tasks[i].first = tasks[(i + named) % PAIRS].uuid;
        write_row("INSERT INTO tasks(id,uuid,after_id,first) VALUES(?1,?2,?3,?4)", tasks[i].id,
                  &tasks[i].uuid, tasks[i].after_id, &tasks[i].first);
    }
    if (way == AUTOCOMMIT) {
        commit(way);
    }
    capture(&task_model, tasks, PAIRS, sizeof(tasks[0]), way);
    if (way != AUTOCOMMIT) {
        commit(way);
    }
}

static void all_ways(int schema)
{
    begin(schemas[schema]);
    for (int way = 0; way < WAYS; way++) {
        add_teams(1 + 100 * way, schema == ONE_NULLABLE, (enum way)way);
        settle();
        cr_assert_eq(number(b.db, "SELECT count(*) FROM people"), PAIRS * (way + 1));
        check_equal();
    }
    remove_two();
}

Test(cycles, between_models_one_key_nullable)
{
    all_ways(ONE_NULLABLE);
}

Test(cycles, between_models_one_key_deferred)
{
    all_ways(ONE_DEFERRED);
}

Test(cycles, between_models_both_keys_deferred)
{
    all_ways(BOTH_DEFERRED);
}

/* A key that is NOT NULL, to the record itself and to later ones, by id and by UUID. */
Test(cycles, within_one_model)
{
    begin(schemas[BOTH_DEFERRED]);
    for (int way = 0; way < WAYS; way++) {
        add_tasks(1 + 100 * way, 0, (enum way)way);
        add_tasks(51 + 100 * way, 1, (enum way)way);
        settle();
        cr_assert_eq(number(b.db, "SELECT count(*) FROM tasks"), 2 * PAIRS * (way + 1));
        check_equal();
    }
    remove_two();
}

/* What a circle cannot have is set aside, what needs it waits for it, and nothing else; and no id
 * is kept for it. */
Test(cycles, one_of_a_circle_is_refused)
{
    begin(schemas[BOTH_DEFERRED]);
    sql(b.db, "CREATE TRIGGER no_second BEFORE INSERT ON teams WHEN"
              " (SELECT count(*) FROM teams)>=2*5 BEGIN SELECT RAISE(ABORT,'full'); END");
    for (int i = 0; i < 3; i++) {
        add_teams(1 + 100 * i, false, ONE_CALL_EACH);
        settle();
    }
    cr_assert_eq(number(b.db, "SELECT count(*) FROM teams"), 2 * PAIRS);
    cr_assert_eq(number(b.db, "SELECT count(*) FROM people"), 2 * PAIRS);
    cr_assert_eq(number(b.db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    cr_assert_eq(info_of(&b).set_aside, 1);
    cr_assert_eq(number(b.db, "SELECT count(*) FROM _syncline_waiting"), 2 * PAIRS - 1);
    add_tasks(1, 1, SINGLE_CALLS);
    settle();
    cr_assert_eq(number(b.db, "SELECT count(*) FROM tasks"), PAIRS);
    remove_two();
}

/* Keys that must all be there at once: refused by name when the library is opened, and nothing is
 * changed. */
Test(cycles, refused_when_opened)
{
    struct sl_library *library = NULL;
    begin(schemas[BOTH_DEFERRED]);
    sql(a.db, "DROP TABLE teams; DROP TABLE people;"
              "CREATE TABLE teams" ID "leader_id INTEGER NOT NULL REFERENCES people(id));"
              "CREATE TABLE people" ID "team_id INTEGER NOT NULL REFERENCES teams(id))");
    close_library(&a);
    cr_assert_eq(sl_transport_local_new(hub, &a.transport), SYNCLINE_OK);
    a.config.transport = a.transport;
    cr_assert_eq(sl_library_open(&a.config, &library, &err), SYNCLINE_EMODEL);
    cr_assert_not_null(strstr(err.text, "model 'team', field 'leader_id'; model 'person', field "
                                        "'team_id': models point at each other in a circle"),
                       "%s", err.text);
    a.transport->ops->free(a.transport);
    sql(a.db, "DROP TABLE people; CREATE TABLE people" ID
              "team_id INTEGER NOT NULL REFERENCES teams(id)" DEFERRED ")");
    open_library(&a);
    remove_two();
}
