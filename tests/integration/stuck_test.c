/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* What waits on a device, and why (stages/stuck, stages/hold): each kind, made as it comes to be.
 */

#include "tests/integration/stepped.h"

#include "stages/stuck.h"
#include "tests/unit/counting_allocator.h"

TestSuite(stuck, .init = stepped_begin, .fini = stepped_end);

#define TOLD_MAX 8

static struct told {
    struct syncline_stuck stuck[TOLD_MAX];
    char models[TOLD_MAX][2][32]; /* of each, and what it lacks */
    int len;
    int most; /* fn wants no more then */
} told;

static bool take(void *ctx, const struct syncline_stuck *stuck)
{
    struct told *all = ctx;
    cr_assert_lt(all->len, TOLD_MAX);
    cr_expect_eq(stuck->size, sizeof(*stuck));
    cr_expect_neq(stuck->why[0], '\0');
    (void)snprintf(all->models[all->len][0], 32, "%s", stuck->model != NULL ? stuck->model : "");
    (void)snprintf(all->models[all->len][1], 32, "%s",
                   stuck->lacks_model != NULL ? stuck->lacks_model : "");
    all->stuck[all->len++] = *stuck;
    return all->len < all->most;
}

static void ask_as(struct stepped_device *device, struct sl_core *core,
                   const struct sl_model *model, const struct sl_stuck_engine *engine)
{
    told.len = 0;
    told.most = told.most == 0 ? TOLD_MAX : told.most;
    cr_assert_eq(sl_stuck_read(core, device->sync_db, device->library_db, model, engine, take,
                               &told, &stepped.err),
                 SYNCLINE_OK, "%s", stepped.err.text);
}

/* Of all models, where an engine runs. */
static int ask(struct stepped_device *device)
{
    static const struct sl_stuck_engine runs = {.runs = true, .notice = ""};
    ask_as(device, sl_library_core(device->library), NULL, &runs);
    return told.len;
}

/* Each allocation fails once: then the call fails or tells all, and leaves no memory behind. */
static void ask_without_memory(struct stepped_device *device, int wanted)
{
    static const struct sl_stuck_engine runs = {.runs = true, .notice = ""};
    struct counting counting = {.whose = COUNTING_ANY, .me = pthread_self()};
    const struct sl_allocator counted = {.resize = counting_resize, .ctx = &counting};
    const struct sl_allocator *alloc = device->env.alloc;
    struct sl_core *core = sl_library_core(device->library);
    long failed = 0;
    for (long n = 1; failed == n - 1; n++) {
        told.len = 0;
        told.most = TOLD_MAX;
        atomic_store(&counting.left, n);
        device->env.alloc = &counted;
        enum syncline_status status = sl_stuck_read(core, device->sync_db, device->library_db, NULL,
                                                    &runs, take, &told, &stepped.err);
        device->env.alloc = alloc;
        failed += atomic_load(&counting.left) <= 0 ? 1 : 0;
        cr_expect(status == SYNCLINE_OK ? told.len == wanted : status == SYNCLINE_ENOMEM,
                  "status %d, %d told: %s", (int)status, told.len, stepped.err.text);
        cr_assert_eq(atomic_load(&counting.blocks), 0);
    }
    cr_expect_gt(failed, 3);
    told.most = 0;
}

static void check(int at, enum syncline_stuck_kind kind, const struct stepped_device *device,
                  const char *part)
{
    cr_assert_lt(at, told.len);
    const struct syncline_stuck *stuck = &told.stuck[at];
    cr_expect_eq(stuck->kind, kind, "kind %d: %s", (int)stuck->kind, stuck->why);
    cr_expect_eq(memcmp(&stuck->device_id, &device->identity.device_id, 16), 0);
    cr_expect_not_null(strstr(stuck->why, part), "\"%s\" is not in: %s", part, stuck->why);
    cr_expect_gt(stuck->since_ms, 0);
    cr_expect_leq(stuck->since_ms, (int64_t)stepped.wall_ms);
}

static struct sl_origin_state *origin_at(struct stepped_device *who, struct stepped_device *whom)
{
    return sl_core_origin(sl_library_core(who->library), &sl_library_core(whom->library)->self);
}

static uint64_t applied(struct stepped_device *who, struct stepped_device *whom)
{
    const struct sl_origin_state *origin = origin_at(who, whom);
    return origin != NULL ? origin->applied_seq : 0;
}

static uint64_t held(struct stepped_device *who, struct stepped_device *whom)
{
    const struct sl_origin_state *origin = origin_at(who, whom);
    return origin != NULL ? sl_core_held(sl_library_core(who->library), origin) : 0;
}

static struct stepped_device *make_with(const char *name, size_t models_len)
{
    struct stepped_device *device = stepped_make(name);
    stepped_close(device);
    device->models_len = models_len;
    stepped_open(device);
    return device;
}

/* Inserts a twig, or points it elsewhere. */
static void save_twig(struct stepped_device *device, struct stepped_twig *twig,
                      enum syncline_change change)
{
    sqlite3_stmt *stmt = NULL;
    const char *sql = change == SYNCLINE_INSERT ? "INSERT INTO twigs(uuid,parent) VALUES(?1,?2)"
                                                : "UPDATE twigs SET parent=?2 WHERE uuid=?1";
    if (change == SYNCLINE_INSERT) {
        stepped_draw(NULL, &twig->uuid, sizeof(twig->uuid));
    }
    stepped_sql(device, "BEGIN IMMEDIATE");
    cr_assert_eq(sqlite3_prepare_v2(device->db, sql, -1, &stmt, NULL), SQLITE_OK);
    (void)sqlite3_bind_blob(stmt, 1, twig->uuid.bytes, 16, SQLITE_STATIC);
    if (twig->parent.is_set) {
        (void)sqlite3_bind_int64(stmt, 2, twig->parent.value);
    }
    cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
    (void)sqlite3_finalize(stmt);
    twig->id = change == SYNCLINE_INSERT ? sqlite3_last_insert_rowid(device->db) : twig->id;
    cr_assert_eq(sl_library_capture(device->library, &stepped_twig_model, twig, 1, change,
                                    device->db, 0, &stepped.err),
                 SYNCLINE_OK, "%s", stepped.err.text);
    stepped_sql(device, "COMMIT");
}

static int64_t only_twig(const struct stepped_device *device)
{
    return stepped_number(device, "SELECT max(id) FROM twigs");
}

/* What comes before the record that it points at waits for that, and says so of each such record;
 * what changes a record that has not come waits for its insert. The oldest comes first. */
Test(stuck, waiting)
{
    struct stepped_device *a = make_with("a", 3);
    struct stepped_device *b = make_with("b", 3);
    struct stepped_device *c = make_with("c", 3);
    struct stepped_twig root = {.id = 0};
    save_twig(a, &root, SYNCLINE_INSERT);
    STEPPED_UNTIL(applied(b, a) == 1 && applied(c, a) == 1);
    cr_expect_eq(ask(c), 0);

    origin_at(c, a)->held = true; /* b hears of a sooner than c */
    struct stepped_twig parent = {.id = 0};
    save_twig(a, &parent, SYNCLINE_INSERT);
    STEPPED_UNTIL(applied(b, a) == 2);
    struct stepped_twig child = {.parent = {only_twig(b), true}};
    save_twig(b, &child, SYNCLINE_INSERT);
    struct stepped_twig grandchild = {.parent = {child.id, true}};
    save_twig(b, &grandchild, SYNCLINE_INSERT);
    parent.id = child.parent.value;
    parent.parent =
        (struct syncline_opt_int64){stepped_number(b, "SELECT min(id) FROM twigs"), true};
    stepped_rounds(50);
    stepped_round(5000);
    save_twig(b, &parent, SYNCLINE_UPDATE);
    STEPPED_UNTIL(applied(c, b) == 3);
    cr_assert_eq(ask(c), 3);
    check(0, SYNCLINE_STUCK_WAITING, b, "it points at twig ");
    cr_expect_not_null(strstr(told.stuck[0].why, "which is not here"), "%s", told.stuck[0].why);
    cr_expect_eq(memcmp(&told.stuck[0].uuid, &child.uuid, 16), 0);
    cr_expect_eq(memcmp(&told.stuck[0].lacks_uuid, &parent.uuid, 16), 0);
    cr_expect_str_eq(told.models[0][0], "twig");
    cr_expect_str_eq(told.models[0][1], "twig");
    cr_expect_eq(told.stuck[0].seq, 1);
    cr_expect_eq(told.stuck[0].birth_seq, 1);
    cr_expect_eq(told.stuck[0].changes, 1);
    cr_expect_not(told.stuck[0].own);
    check(1, SYNCLINE_STUCK_WAITING, b, "which waits, too");
    cr_expect_eq(memcmp(&told.stuck[1].lacks_uuid, &child.uuid, 16), 0);
    check(2, SYNCLINE_STUCK_WAITING, b, "its update came before its insert, which is change 2 of");
    cr_expect_not_null(strstr(told.stuck[2].why, "\"a\""), "%s", told.stuck[2].why);
    cr_expect_eq(memcmp(&told.stuck[2].birth_device, &a->identity.device_id, 16), 0);
    cr_expect_eq(told.stuck[2].birth_seq, 2);
    cr_expect_str_eq(told.models[2][1], "");
    cr_expect_gt(told.stuck[2].since_ms, told.stuck[1].since_ms);

    struct sl_core *core = sl_library_core(c->library);
    static const struct sl_stuck_engine runs = {.runs = true, .notice = ""};
    ask_as(c, core, sl_model_find_name(&core->models, "note", 4), &runs);
    cr_expect_eq(told.len, 0);
    ask_as(c, core, sl_model_find_name(&core->models, "twig", 4), &runs);
    cr_expect_eq(told.len, 3);
    ask_without_memory(c, 3);
    told.most = 2; /* who wants no more gets no more */
    cr_expect_eq(ask(c), 2);
    told.most = 0;

    origin_at(c, a)->held = false;
    STEPPED_UNTIL(applied(c, a) == 2);
    STEPPED_UNTIL(stepped_info(c).waiting == 0);
    cr_expect_eq(ask(c), 0);
}

/* Changes of a clock too far ahead are held, whoever asks, until their time comes. */
Test(stuck, held_for_its_clock)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    stepped_insert(a, 1);
    STEPPED_UNTIL(applied(b, a) == 1);
    a->wall_offset_ms = 3600000;
    stepped_insert(a, 3);
    STEPPED_UNTIL(held(b, a) == 4 && origin_at(b, a)->clock_held);
    cr_assert_eq(ask(b), 1);
    check(0, SYNCLINE_STUCK_HELD, a, "from a clock that is 3");
    cr_expect_eq(told.stuck[0].changes, 3);
    cr_expect_eq(told.stuck[0].seq, 2);
    cr_expect_str_eq(told.models[0][0], "");

    ask_without_memory(b, 1);
    struct sl_library *other = NULL; /* without the engine, from the files alone */
    struct sl_library_config config = stepped_config(b);
    config.engine = false;
    config.transport = NULL;
    cr_assert_eq(sl_library_open(&config, &other, &stepped.err), SYNCLINE_OK, "%s",
                 stepped.err.text);
    static const struct sl_stuck_engine none = {.notice = ""};
    ask_as(b, sl_library_core(other), NULL, &none);
    cr_assert_eq(told.len, 1);
    check(0, SYNCLINE_STUCK_HELD, a, "set the clocks right");
    sl_library_close(other);

    stepped_round(3600000);
    STEPPED_UNTIL(applied(b, a) == 4);
    cr_expect_eq(ask(b), 0);
}

/* Changes of a model that is not known here are held, and told with its name. */
Test(stuck, held_for_a_model)
{
    struct stepped_device *a = make_with("a", 2);
    struct stepped_device *b = stepped_make("b");
    struct stepped_note memo = {.text = "a memo"};
    stepped_sql(a, "BEGIN IMMEDIATE");
    stepped_write(a, &memo, SYNCLINE_INSERT, "memos");
    cr_assert_eq(sl_library_capture(a->library, &stepped_memo_model, &memo, 1, SYNCLINE_INSERT,
                                    a->db, 0, &stepped.err),
                 SYNCLINE_OK, "%s", stepped.err.text);
    stepped_sql(a, "COMMIT");
    STEPPED_UNTIL(held(b, a) == 1 && origin_at(b, a)->held);
    STEPPED_UNTIL(stepped_events(b, SYNCLINE_CODE_HELD) == 1);
    cr_assert_eq(ask(b), 1);
    check(0, SYNCLINE_STUCK_HELD, a, "model 'memo'");
    struct sl_core *core = sl_library_core(b->library);
    static const struct sl_stuck_engine runs = {.runs = true, .notice = ""};
    ask_as(b, core, sl_model_find_name(&core->models, "note", 4), &runs);
    cr_expect_eq(told.len, 1, "they may be of it");
    b->models_len = 2;
    stepped_reopen(b);
    STEPPED_UNTIL(applied(b, a) == 1);
    cr_expect_eq(ask(b), 0);
}

/* So are changes that cannot be read, those for which the waiting room has no place, and those of
 * which the engine has said so. What is only on its way is not told. */
Test(stuck, held_for_other_reasons)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    stepped_insert(a, 1);
    STEPPED_UNTIL(applied(b, a) == 1);
    origin_at(b, a)->held = true;
    stepped_insert(a, 1);
    STEPPED_UNTIL(held(b, a) == 2);
    cr_expect_eq(ask(b), 0);

    sqlite3 *log = NULL;
    cr_assert_eq(sqlite3_open(b->sync_db, &log), SQLITE_OK);
    sqlite3_busy_timeout(log, 1000);
    cr_assert_eq(sqlite3_exec(log,
                              "CREATE TABLE kept AS SELECT * FROM segment;"
                              "UPDATE segment SET bytes=substr(bytes,1,180) WHERE last_seq=2",
                              NULL, NULL, NULL),
                 SQLITE_OK, "%s", sqlite3_errmsg(log));
    cr_assert_eq(ask(b), 1);
    cr_expect_eq(told.stuck[0].kind, SYNCLINE_STUCK_HELD);
    cr_expect_eq(told.stuck[0].changes, 1);
    cr_expect_eq(told.stuck[0].since_ms, 0); /* it cannot be read */
    cr_assert_eq(sqlite3_exec(log,
                              "UPDATE segment SET bytes=(SELECT bytes FROM kept k WHERE"
                              " k.number=segment.number); DROP TABLE kept",
                              NULL, NULL, NULL),
                 SQLITE_OK, "%s", sqlite3_errmsg(log));
    cr_expect_eq(ask(b), 0);

    struct sl_core *core = sl_library_core(b->library);
    core->waiting_max = 0;
    cr_assert_eq(ask(b), 1);
    check(0, SYNCLINE_STUCK_HELD, a, "too many records wait");
    core->waiting_max = SL_WAITING_LEN_MAX;

    char sql[256];
    for (int is_old = 1; is_old >= 0;
         is_old--) { /* what was said before it was made was of others */
        (void)snprintf(sql, sizeof(sql),
                       "INSERT INTO event(at_ms,code,status,device,model,uuid,text) SELECT %lld,%d,"
                       "0,device,'',zeroblob(16),'for a reason of its own' FROM origin WHERE"
                       " held_seq=2",
                       is_old != 0 ? 1LL : (long long)stepped.wall_ms, (int)SYNCLINE_CODE_HELD);
        cr_assert_eq(sqlite3_exec(log, sql, NULL, NULL, NULL), SQLITE_OK, "%s",
                     sqlite3_errmsg(log));
        cr_assert_eq(ask(b), is_old != 0 ? 0 : 1);
    }
    check(0, SYNCLINE_STUCK_HELD, a, "for a reason of its own");
    cr_expect_eq(told.stuck[0].since_ms, (int64_t)stepped.wall_ms);
    cr_assert_eq(sqlite3_close(log), SQLITE_OK);
    origin_at(b, a)->held = false;
    STEPPED_UNTIL(applied(b, a) == 2);
    cr_expect_eq(ask(b), 0);
}

/* A log that has split is told for ever, with when that was seen. */
Test(stuck, a_log_that_has_split)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    stepped_insert(a, 1);
    STEPPED_UNTIL(applied(b, a) == 1);
    sqlite3 *log = NULL;
    cr_assert_eq(sqlite3_open(b->sync_db, &log), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(log,
                              "INSERT INTO fork(origin,held_seq,held_hash,bytes,at_ms) SELECT"
                              " number,held_seq,held_hash,x'00',1234 FROM origin WHERE held_seq=1",
                              NULL, NULL, NULL),
                 SQLITE_OK, "%s", sqlite3_errmsg(log));
    cr_assert_eq(sqlite3_close(log), SQLITE_OK);
    cr_assert_eq(ask(b), 1);
    check(0, SYNCLINE_STUCK_HELD, a, "its log has split");
    cr_expect_eq(told.stuck[0].changes, 0);
    cr_expect_eq(told.stuck[0].since_ms, 1234);
}

/* What nobody applies is told: the engine is paused, or there is none. And so is what has stayed in
 * the outbox of a running engine for long; what the engine is about to take is not. */
Test(stuck, captured_and_received)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    stepped_insert(a, 1);
    STEPPED_UNTIL(applied(b, a) == 1);
    origin_at(b, a)->held = true;
    stepped_insert(a, 2);
    STEPPED_UNTIL(held(b, a) == 3);
    struct sl_core *core = sl_library_core(b->library);
    static const struct sl_stuck_engine none = {.notice = ""};
    static const struct sl_stuck_engine paused = {.runs = true, .paused = true, .notice = ""};
    static const struct sl_stuck_engine ill = {.runs = true, .notice = "the disk is full"};
    ask_as(b, core, NULL, &none);
    cr_assert_eq(told.len, 1);
    check(0, SYNCLINE_STUCK_RECEIVED, a, "nobody runs the engine");
    cr_expect_eq(told.stuck[0].changes, 2);
    cr_expect_eq(told.stuck[0].seq, 2);
    ask_as(b, core, NULL, &paused);
    cr_assert_eq(told.len, 1);
    check(0, SYNCLINE_STUCK_RECEIVED, a, "paused");

    struct stepped_note note = {.text = "captured"};
    stepped_save(b, &note, SYNCLINE_INSERT); /* no stage of b runs meanwhile */
    cr_expect_eq(ask(b), 0);
    ask_as(b, core, NULL, &none);
    cr_assert_eq(told.len, 2);
    check(1, SYNCLINE_STUCK_CAPTURED, b, "nobody runs the engine");
    cr_expect_str_eq(told.models[1][0], "note");
    cr_expect_eq(memcmp(&told.stuck[1].uuid, &note.uuid, 16), 0);
    cr_expect(told.stuck[1].own);
    cr_expect_eq(told.stuck[1].seq, 0);
    stepped.wall_ms += SL_STUCK_AFTER_MS;
    ask_as(b, core, NULL, &ill);
    cr_assert_eq(told.len, 1);
    check(0, SYNCLINE_STUCK_CAPTURED, b, "not in the log: the disk is full");
    cr_expect_eq(ask(b), 1);
    check(0, SYNCLINE_STUCK_CAPTURED, b, "has not taken it yet");
    origin_at(b, a)->held = false;
    STEPPED_UNTIL(applied(b, a) == 3 && stepped_info(b).outbox == 0);
    ask_as(b, core, NULL, &none);
    cr_expect_eq(told.len, 0);
}

/* What was set aside is told with its reason, beside what came to be stuck before and after. */
Test(stuck, set_aside)
{
    struct stepped_device *a = stepped_make("a");
    struct stepped_device *b = stepped_make("b");
    stepped_sql(b, "CREATE TRIGGER refuse BEFORE INSERT ON notes WHEN new.text='refused'"
                   " BEGIN SELECT RAISE(ABORT, 'not this one'); END");
    struct stepped_note refused = {.text = "refused"};
    stepped_save(a, &refused, SYNCLINE_INSERT);
    STEPPED_UNTIL(stepped_info(b).set_aside == 1);
    cr_assert_eq(ask(b), 1);
    check(0, SYNCLINE_STUCK_SET_ASIDE, a, "not this one");
    cr_expect_eq(told.stuck[0].seq, 1);
    cr_expect_str_eq(told.models[0][0], "note");
    cr_expect_eq(memcmp(&told.stuck[0].uuid, &refused.uuid, 16), 0);
    stepped_round(1000);
    struct stepped_note note = {.text = "captured"};
    stepped_save(b, &note, SYNCLINE_INSERT);
    static const struct sl_stuck_engine none = {.notice = ""};
    ask_as(b, sl_library_core(b->library), NULL, &none);
    cr_assert_eq(told.len, 2);
    check(0, SYNCLINE_STUCK_SET_ASIDE, a, "not this one");
    check(1, SYNCLINE_STUCK_CAPTURED, b, "nobody");
    stepped_sql(b, "UPDATE _syncline_outbox SET wall_ms=1");
    ask_as(b, sl_library_core(b->library), NULL, &none);
    cr_assert_eq(told.len, 2);
    check(0, SYNCLINE_STUCK_CAPTURED, b, "nobody");
    check(1, SYNCLINE_STUCK_SET_ASIDE, a, "not this one");
    STEPPED_UNTIL(stepped_info(b).outbox == 0);
}
