/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Records that several devices inserted, and that point at one that goes: births that lack a parent
 * are hidden where their UUID has a row, and wait where it has none; none waits for what nobody
 * will ever say. */

#include "tests/integration/stepped.h"

#include "stages/shared.h"

static struct stepped_device *a;
static struct stepped_device *b;
static struct stepped_device *c;
static struct sl_origin selves[STEPPED_DEVICES_MAX];
static bool holds[STEPPED_DEVICES_MAX][STEPPED_DEVICES_MAX];

static void open_with_all(struct stepped_device *device)
{
    stepped_close(device);
    device->models_len = 5;
    stepped_open(device);
    stepped_sql(device, "PRAGMA foreign_keys=ON");
    selves[device - stepped.devices] = sl_library_core(device->library)->self;
}

static void setup(void)
{
    stepped_begin();
    a = stepped_make("a");
    b = stepped_make("b");
    c = stepped_make("c");
    for (size_t d = 0; d < stepped.devices_len; d++) {
        open_with_all(&stepped.devices[d]);
    }
    STEPPED_UNTIL(stepped_info(a).links == 2 && stepped_info(b).links == 2);
}

static void cleanup(void)
{
    stepped_end();
}

TestSuite(twins, .init = setup, .fini = cleanup, .timeout = 120);

/* ---- Writing ---- */

static int64_t id_of(struct stepped_device *device, const char *table, uint8_t name)
{
    char text[128];
    (void)snprintf(text, sizeof(text), "SELECT coalesce(max(id),0) FROM %s WHERE uuid=x'%030d%02x'",
                   table, 7, name);
    return stepped_number(device, text);
}

/* Inserts a row, updates it, or deletes it, and captures that. `parent`: a twig's name, or 0. */
static void write_one(struct stepped_device *device, const struct syncline_model *model,
                      enum syncline_change change, uint8_t name, uint8_t parent)
{
    char text[192];
    struct stepped_twig row = {.id = id_of(device, model->table, name)};
    row.uuid.bytes[14] = 7;
    row.uuid.bytes[15] = name;
    row.parent.is_set = parent != 0;
    row.parent.value = parent != 0 ? id_of(device, "twigs", parent) : 0;
    stepped_sql(device, "BEGIN IMMEDIATE");
    if (change == SYNCLINE_INSERT) {
        (void)snprintf(text, sizeof(text),
                       "INSERT INTO %s(uuid,parent) VALUES(x'%030d%02x',nullif(%d,0))",
                       model->table, 7, name, (int)row.parent.value);
    } else if (change == SYNCLINE_UPDATE) {
        (void)snprintf(text, sizeof(text), "UPDATE %s SET parent=nullif(%d,0) WHERE id=%d",
                       model->table, (int)row.parent.value, (int)row.id);
    } else {
        (void)snprintf(text, sizeof(text), "DELETE FROM %s WHERE id=%d", model->table, (int)row.id);
    }
    stepped_sql(device, text);
    row.id = change == SYNCLINE_INSERT ? sqlite3_last_insert_rowid(device->db) : row.id;
    cr_assert_eq(
        sl_library_capture(device->library, model, &row, 1, change, device->db, 0, &stepped.err),
        SYNCLINE_OK, "%s", stepped.err.text);
    stepped_sql(device, "COMMIT");
    stepped.wall_ms += 5; /* what is written later is later */
}

static void twig(struct stepped_device *device, enum syncline_change change, uint8_t name,
                 uint8_t parent)
{
    write_one(device, &stepped_twig_model, change, name, parent);
}

/* ---- Running ---- */

/* All that the open devices have made is everywhere among them, and what follows from it. */
static bool is_done(void)
{
    uint64_t made = 0;
    bool done = true;
    for (size_t d = 0; d < stepped.devices_len; d++) {
        made += stepped.devices[d].library != NULL ? stepped_info(&stepped.devices[d]).own_seq : 0;
    }
    for (size_t d = 0; d < stepped.devices_len && done; d++) {
        if (stepped.devices[d].library != NULL) {
            struct syncline_info info = stepped_info(&stepped.devices[d]);
            done = info.outbox == 0 && info.received_applied + info.own_seq >= made;
        }
    }
    return done;
}

static void run(void)
{
    STEPPED_UNTIL(is_done());
    for (int i = 0; i < 5; i++) { /* what is deleted for a parent's sake is so after a second */
        stepped_round(1200);
        stepped_rounds(60);
    }
    STEPPED_UNTIL(is_done());
}

/* What `who` knows of the changes of `whom`; NULL: nothing yet. */
static struct sl_origin_state *origin_at(struct stepped_device *who,
                                         const struct stepped_device *whom)
{
    return sl_core_origin(sl_library_core(who->library), &selves[whom - stepped.devices]);
}

/* From now on `who` applies nothing of what `whom` has made. */
static void hold(const struct stepped_device *who, const struct stepped_device *whom)
{
    holds[who - stepped.devices][whom - stepped.devices] = true;
}

static void let_go(struct stepped_device *who, const struct stepped_device *whom)
{
    holds[who - stepped.devices][whom - stepped.devices] = false;
    origin_at(who, whom)->held = false;
}

/* All run for a while, as they are let. */
static void run_held(void)
{
    for (int i = 0; i < 200; i++) {
        for (size_t w = 0; w < stepped.devices_len * STEPPED_DEVICES_MAX; w++) {
            struct stepped_device *who = &stepped.devices[w / STEPPED_DEVICES_MAX];
            const struct stepped_device *whom = &stepped.devices[w % STEPPED_DEVICES_MAX];
            struct sl_origin_state *origin =
                who->library != NULL && whom->library_db[0] != 0 ? origin_at(who, whom) : NULL;
            if (origin != NULL) {
                origin->held = holds[w / STEPPED_DEVICES_MAX][w % STEPPED_DEVICES_MAX];
            }
        }
        stepped_round(2);
    }
}

static int64_t waiting(struct stepped_device *device)
{
    return stepped_number(device, "SELECT count(*) FROM _syncline_waiting");
}

static int64_t hidden(struct stepped_device *device)
{
    return stepped_number(device, "SELECT count(*) FROM _syncline_hidden_birth");
}

/* Of a twig: its parent's name, 0 without one, -1 if it is not there. */
static int64_t parent_of(struct stepped_device *device, uint8_t name)
{
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "SELECT coalesce((SELECT coalesce(instr(x'%s',substr(p.uuid,16,1)),0)"
                   " FROM twigs t LEFT JOIN twigs p ON p.id=t.parent WHERE t.uuid=x'%030d%02x'),"
                   "-1)",
                   "0102030405060708090a", 7, name);
    return stepped_number(device, text);
}

/* All show the same, and nothing waits. */
static void expect_all(uint8_t name, int64_t parent, int64_t twigs, int64_t buds)
{
    for (size_t d = 0; d < stepped.devices_len; d++) {
        struct stepped_device *device = &stepped.devices[d];
        cr_expect_eq(parent_of(device, name), parent, "%s: %d", device->name,
                     (int)parent_of(device, name));
        cr_expect_eq(stepped_number(device, "SELECT count(*) FROM twigs"), twigs, "%s",
                     device->name);
        cr_expect_eq(stepped_number(device, "SELECT count(*) FROM buds"), buds, "%s", device->name);
        cr_expect_eq(waiting(device), 0, "%s", device->name);
        cr_expect_eq(stepped_info(device).set_aside, 0, "%s", device->name);
    }
}

/* ---- Tests ---- */

enum { P = 1, R = 2, Q = 3, CHILD = 4 };

/* P is everywhere, and then they are alone. */
static void part(void)
{
    twig(c, SYNCLINE_INSERT, P, 0);
    run();
    stepped_close(b);
    stepped_close(c);
}

/* A's birth of R points at P, B's, which is older, does not; and C deletes P. A has a bud of its
 * own below R, or nowhere. They have not met since. */
static void make_birth_to_be_buried(uint8_t parent_of_bud)
{
    part();
    stepped_open(b);
    stepped_close(a);
    twig(b, SYNCLINE_INSERT, R, 0);
    STEPPED_UNTIL(stepped_info(b).outbox == 0);
    stepped_close(b);
    stepped_open(a);
    twig(a, SYNCLINE_INSERT, R, P);
    write_one(a, &stepped_bud_model, SYNCLINE_INSERT, CHILD, parent_of_bud);
    STEPPED_UNTIL(stepped_info(a).outbox == 0);
    stepped_close(a);
    stepped_open(c);
    twig(c, SYNCLINE_DELETE, P, 0);
    STEPPED_UNTIL(stepped_info(c).outbox == 0);
}

/* A's birth of R points at P, which C deletes without knowing that; B's birth of R does not. R
 * shows B's, and A deletes its own birth - and with it, everywhere, its own records that point at
 * R, for nobody can tell such a delete from one of A's application. */
Test(twins, own_children_go_with_a_hidden_birth)
{
    make_birth_to_be_buried(R);
    stepped_open(a);
    stepped_open(b);
    run();
    expect_all(R, 0, 1, 0);
    cr_expect_eq(hidden(a), 0);
}

/* So does a child that was moved there a moment ago, and of which the others do not know yet. */
Test(twins, an_own_child_that_moves_goes_with_a_hidden_birth)
{
    make_birth_to_be_buried(0);
    stepped_open(a);
    stepped_open(b);
    STEPPED_UNTIL(parent_of(a, P) == -1 && parent_of(a, R) == 0);
    write_one(a, &stepped_bud_model, SYNCLINE_UPDATE, CHILD, R);
    for (int i = 0; i < 100 && hidden(a) == 1; i++) {
        for (size_t stage = 0; stage < sl_library_stage_count(a->library); stage++) {
            (void)(stage != SL_STAGE_INTAKE && sl_library_step(a->library, stage));
        }
        stepped.mono_ns += 100 * STEPPED_NS_PER_MS;
    }
    cr_assert_eq(hidden(a), 0);
    cr_assert_eq(stepped_info(a).own_seq, 2);
    run();
    expect_all(R, 0, 1, 0);
}

/* A's birth of R points at P; C's is later, and shown. Nothing that can be seen points at P when it
 * is deleted. B hears of that first, and of A's birth last: nobody will ever delete it, so it is
 * hidden there as on the others, and does not wait. */
static void insert_twins(void)
{
    part();
    twig(a, SYNCLINE_INSERT, R, P);
    STEPPED_UNTIL(stepped_info(a).outbox == 0);
    stepped_close(a);
    stepped_open(c);
    twig(c, SYNCLINE_INSERT, R, 0);
    STEPPED_UNTIL(stepped_info(c).outbox == 0);
}

Test(twins, a_birth_without_its_parent_is_hidden_beside_the_row)
{
    insert_twins();
    stepped_open(a);
    run(); /* a and c */
    cr_assert_eq(hidden(a), 1);
    twig(c, SYNCLINE_DELETE, P, 0);
    run();
    stepped_open(b);
    hold(b, a);
    run_held();
    cr_assert_eq(parent_of(b, P), -1);
    cr_assert_eq(parent_of(b, R), 0);
    cr_assert_eq(hidden(b), 0);
    let_go(b, a);
    run();
    expect_all(R, 0, 1, 0);
    cr_expect_eq(hidden(b), 1);
    cr_expect_eq(hidden(a), 1);
}

/* The same where the row comes last: A's birth waits at B until then. */
Test(twins, a_birth_that_waits_is_hidden_when_the_row_comes)
{
    part();
    twig(a, SYNCLINE_INSERT, R, P);
    STEPPED_UNTIL(stepped_info(a).outbox == 0);
    stepped_close(a);
    stepped_open(c);
    twig(c, SYNCLINE_DELETE, P, 0);
    stepped_open(b);
    run(); /* b and c */
    stepped_close(b);
    twig(c, SYNCLINE_INSERT, R, 0);
    STEPPED_UNTIL(stepped_info(c).outbox == 0);
    stepped_open(a);
    STEPPED_UNTIL(is_done()); /* a and c */
    cr_assert_eq(hidden(a), 1);
    stepped_open(b);
    hold(b, c);
    run_held();
    cr_assert_eq(waiting(b), 1);
    let_go(b, c);
    run();
    expect_all(R, 0, 1, 0);
    cr_expect_eq(hidden(b), hidden(a));
}

/* An update waits for its parent, at the row of the birth that it names; then another birth is
 * shown. What waited is the content of the hidden one. */
Test(twins, an_update_that_waits_follows_its_birth)
{
    part();
    stepped_open(b);
    twig(a, SYNCLINE_INSERT, R, 0);
    run(); /* a and b */
    stepped_close(b);
    twig(a, SYNCLINE_UPDATE, R, P);
    STEPPED_UNTIL(stepped_info(a).outbox == 0);
    stepped_close(a);
    stepped_open(c);
    twig(c, SYNCLINE_DELETE, P, 0);
    STEPPED_UNTIL(stepped_info(c).outbox == 0);
    stepped_open(b);
    hold(c, a);
    run_held(); /* b and c */
    cr_assert_eq(parent_of(b, P), -1);
    stepped_close(b);
    twig(c, SYNCLINE_INSERT, R, 0);
    STEPPED_UNTIL(stepped_info(c).outbox == 0);
    let_go(c, a);
    stepped_open(a);
    STEPPED_UNTIL(is_done()); /* a and c */
    cr_assert_eq(hidden(a), 1);
    stepped_open(b);
    hold(b, c);
    run_held();
    cr_assert_eq(waiting(b), 1);
    cr_assert_eq(hidden(b), 0);
    cr_assert_eq(parent_of(b, R), 0); /* as it was inserted */
    let_go(b, c);
    run();
    expect_all(R, 0, 1, 0);
    cr_expect_eq(hidden(b), 1);
}

/* The row of R goes, by a device that knew of no other birth, and what is hidden beside it lacks
 * its parent: it waits then, and is shown when that comes. */
Test(twins, a_hidden_birth_waits_when_its_row_goes)
{
    struct stepped_device *d = stepped_make("d");
    open_with_all(d);
    stepped_close(d);
    stepped_close(c);
    twig(b, SYNCLINE_INSERT, Q, 0);
    run(); /* a and b */
    twig(a, SYNCLINE_INSERT, R, Q);
    STEPPED_UNTIL(stepped_info(a).outbox == 0);
    stepped_close(a);
    stepped_close(b);
    stepped_open(c);
    stepped_open(d);
    twig(c, SYNCLINE_INSERT, R, 0);
    run(); /* c and d */
    stepped_close(c);
    stepped_open(a); /* which has the log of b, too */
    hold(d, b);
    run_held();
    cr_assert_eq(hidden(d), 1);
    cr_assert_eq(waiting(d), 0);
    stepped_close(a);
    stepped_close(d);
    stepped_open(c);
    twig(c, SYNCLINE_DELETE, R, 0);
    STEPPED_UNTIL(stepped_info(c).outbox == 0);
    stepped_open(d);
    hold(d, b);
    run_held();
    cr_expect_eq(hidden(d), 0);
    cr_expect_eq(waiting(d), 1);
    cr_expect_eq(parent_of(d, R), -1);
    let_go(d, b);
    stepped_open(a);
    stepped_open(b);
    run();
    expect_all(R, Q, 2, 0);
}
