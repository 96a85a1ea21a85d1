/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A device whose members have pruned what it lacks takes a snapshot, page by page, and ends with
 * the same records, births and stamps. */

#include "tests/integration/stepped.h"

#include "storage/log_floor.h"

static struct stepped_device *a;
static struct stepped_device *b;
static struct stepped_device *c;

TestSuite(snapshot, .init = stepped_begin, .fini = stepped_end);

/* ---- Devices ---- */

static struct stepped_device *make(const char *name)
{
    struct stepped_device *device = stepped_make(name);
    stepped_close(device);
    device->models_len = 4;
    device->page_len = 10;
    stepped_open(device);
    return device;
}

/* Its log begins where it ends, for each origin. */
static void prune(struct stepped_device *device)
{
    struct sl_peer_log log;
    struct sl_log_head head = {.number = 0};
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    bool found = true;
    stepped_close(device);
    cr_assert_eq(sl_peer_log_open(&log, &device->env, device->sync_db, SL_DB_WRITE, &stepped.err),
                 SYNCLINE_OK, "%s", stepped.err.text);
    cr_assert_eq(sl_peer_log_begin(&log, &stepped.err), SYNCLINE_OK);
    while (sl_peer_log_head(&log, head.number, &found, &head, &stepped.err) == SYNCLINE_OK &&
           found) {
        struct sl_log_floor floor = {.seq = head.held_seq};
        const uint8_t *data = NULL;
        size_t size = 0;
        if (sl_peer_log_segment(&log, head.number, head.held_seq, &found, &data, &size,
                                &stepped.err) != SYNCLINE_OK ||
            !found) {
            continue; /* nothing of it is left, or was ever there */
        }
        memcpy(floor.hash, head.held_hash, sizeof(floor.hash));
        cr_assert_eq(sl_segment_end(hasher, data, size, floor.end), SYNCLINE_OK);
        sl_peer_log_done(&log);
        cr_assert_eq(sl_log_floor_raise(&log, head.number, &floor, &stepped.err), SYNCLINE_OK, "%s",
                     stepped.err.text);
    }
    cr_assert_eq(sl_peer_log_commit(&log, &stepped.err), SYNCLINE_OK);
    sl_peer_log_fini(&log);
    sl_hasher_free(hasher);
    stepped_open(device);
}

static bool is_taking(struct stepped_device *device)
{
    return stepped_number(device, "SELECT count(*) FROM _syncline_snapshot") > 0;
}

static bool is_done(struct stepped_device *device, uint32_t links)
{
    struct syncline_info info = stepped_info(device);
    return info.outbox == 0 && info.links == links && !is_taking(device) &&
           info.received_applied == info.announced && info.applied_seq == info.own_seq;
}

/* Everything is everywhere, and settled. */
static void settle(void)
{
    stepped_rounds(100);
    for (size_t i = 0; i < stepped.devices_len; i++) {
        struct stepped_device *device = &stepped.devices[i];
        STEPPED_UNTIL(device->library == NULL || is_done(device, stepped_info(device).members));
    }
    stepped_rounds(200);
}

/* ---- Records ---- */

/* Twigs and leaves hang on those before them, so with random UUIDs often on one in a later page. */
static void insert_tree(struct stepped_device *device, const char *table,
                        const struct syncline_model *model, int n)
{
    int64_t parent = 0;
    for (int i = 0; i < n; i++) {
        struct stepped_twig twig = {.parent = {.is_set = parent != 0, .value = parent}};
        char text[128];
        sqlite3_stmt *stmt = NULL;
        stepped_draw(NULL, &twig.uuid, sizeof(twig.uuid));
        (void)snprintf(text, sizeof(text), "INSERT INTO %s(uuid,parent) VALUES(?1,nullif(?2,0))",
                       table);
        stepped_sql(device, "BEGIN IMMEDIATE");
        cr_assert_eq(sqlite3_prepare_v2(device->db, text, -1, &stmt, NULL), SQLITE_OK);
        (void)sqlite3_bind_blob(stmt, 1, twig.uuid.bytes, 16, SQLITE_STATIC);
        (void)sqlite3_bind_int64(stmt, 2, parent);
        cr_assert_eq(sqlite3_step(stmt), SQLITE_DONE);
        (void)sqlite3_finalize(stmt);
        twig.id = sqlite3_last_insert_rowid(device->db);
        cr_assert_eq(sl_library_capture(device->library, model, &twig, 1, SYNCLINE_INSERT,
                                        device->db, 0, &stepped.err),
                     SYNCLINE_OK, "%s", stepped.err.text);
        stepped_sql(device, "COMMIT");
        parent = i % 3 == 0 ? 0 : twig.id;
    }
}

#define NOTES 45
static struct stepped_note notes[NOTES];

static void fill(struct stepped_device *device)
{
    for (int i = 0; i < NOTES; i++) {
        notes[i] = (struct stepped_note){.text = "a note"};
        stepped_save(device, &notes[i], SYNCLINE_INSERT);
    }
    insert_tree(device, "twigs", &stepped_twig_model, 30);
    insert_tree(device, "leaves", &stepped_leaf_model, 30);
    for (int i = 0; i < NOTES; i += 5) {
        notes[i].text = "changed";
        stepped_save(device, &notes[i], SYNCLINE_UPDATE);
    }
    for (int i = 1; i < NOTES; i += 9) {
        stepped_save(device, &notes[i], SYNCLINE_DELETE);
    }
    STEPPED_UNTIL(stepped_info(device).outbox == 0);
    stepped_rounds(20);
}

/* Records with births and stamps, as one text. */
static void dump(struct stepped_device *device, char *out, size_t size)
{
    static const char *const tables[][3] = {
        {"note", "notes", "text"},
        {"memo", "memos", "text"},
        {"twig", "twigs", "(SELECT hex(uuid) FROM twigs p WHERE p.id=t.parent)"},
        {"leaf", "leaves", "(SELECT hex(uuid) FROM leaves p WHERE p.id=t.parent)"}};
    size_t len = 0;
    for (size_t i = 0; i < 4; i++) {
        char text[1024];
        sqlite3_stmt *stmt = NULL;
        (void)snprintf(
            text, sizeof(text),
            "SELECT hex(t.uuid)||'|'||coalesce(%s,'-')||'|'||hex(o.device)||'|'||(b.seq+t.id-b.id)"
            "||'|'||(b.hlc+t.id-b.id)||'|'||b.class||'|'||CASE b.class WHEN 0 THEN"
            " coalesce((SELECT s.hlc FROM _syncline_stamp s WHERE s.model=b.model AND s.id=t.id),"
            "'-') ELSE '' END FROM %s t LEFT JOIN _syncline_birth b ON b.model="
            "(SELECT number FROM _syncline_model WHERE name='%s') AND t.id BETWEEN b.id AND"
            " b.id+b.n-1 LEFT JOIN _syncline_origin o ON o.number=b.origin ORDER BY t.uuid",
            tables[i][2], tables[i][1], tables[i][0]);
        cr_assert_eq(sqlite3_prepare_v2(device->db, text, -1, &stmt, NULL), SQLITE_OK, "%s",
                     sqlite3_errmsg(device->db));
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            const unsigned char *row = sqlite3_column_text(stmt, 0);
            cr_assert_not_null(row, "%s: a record of %s has no birth", device->name, tables[i][1]);
            len +=
                (size_t)snprintf(out + len, size - len, "%s %s\n", tables[i][0], (const char *)row);
            cr_assert_lt(len, size);
        }
        (void)sqlite3_finalize(stmt);
    }
}

static char left[128 * 1024];
static char right[128 * 1024];

static void check_same(struct stepped_device *one, struct stepped_device *other)
{
    dump(one, left, sizeof(left));
    dump(other, right, sizeof(right));
    size_t at = 0;
    while (left[at] != '\0' && left[at] == right[at]) {
        at++;
    }
    while (at > 0 && left[at - 1] != '\n') {
        at--;
    }
    cr_assert_str_eq(left, right, "%s has\n%.180s\nand %s\n%.180s", one->name, left + at,
                     other->name, right + at);
    cr_assert_eq(stepped_number(one, "SELECT count(*) FROM _syncline_waiting"), 0);
    cr_assert_eq(stepped_number(other, "SELECT count(*) FROM _syncline_waiting"), 0);
}

/* ---- Tests ---- */

/* A newcomer at a library whose log was pruned gets everything by pages, and what comes then by the
 * log. */
Test(snapshot, newcomer)
{
    a = make("a");
    fill(a);
    prune(a);
    b = make("b");
    STEPPED_UNTIL(is_taking(b));
    for (int i = 0; i < STEPPED_ROUNDS && is_taking(b); i++) {
        /* Nothing is said to be here before all is. */
        cr_assert_eq(stepped_info(a).applied_seq, 0);
        stepped_rounds(1);
    }
    settle();
    check_same(a, b);
    cr_assert_eq(stepped_log_number(b, "SELECT count(*) FROM segment s JOIN origin o"
                                       " ON o.number=s.origin WHERE s.last_seq<=o.floor_seq"),
                 0);
    notes[3].text = "later";
    stepped_save(a, &notes[3], SYNCLINE_UPDATE);
    stepped_save(b, &notes[4], SYNCLINE_DELETE);
    stepped_insert(b, 3);
    settle();
    check_same(a, b);
    cr_assert(stepped_note_is(b, &notes[3], "later"));
}

static const char *uuid_text(const struct syncline_uuid *uuid)
{
    static char text[33];
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", uuid->bytes[i]);
    }
    return text;
}

/* Some changes on a device: an insert, an update and a delete of what is there. */
static void write_some(struct stepped_device *device, int round)
{
    struct stepped_note note = {.text = "made meanwhile"};
    stepped_save(device, &note, SYNCLINE_INSERT);
    for (int i = 14 + round % 7; i < NOTES; i += 7) {
        char text[160];
        (void)snprintf(text, sizeof(text), "SELECT count(*) FROM notes WHERE uuid=x'%s'",
                       uuid_text(&notes[i].uuid));
        if (stepped_number(device, text) == 0) {
            continue;
        }
        bool dies = i % 4 == round % 4;
        notes[i].text = "changed meanwhile";
        stepped_save(device, &notes[i], dies ? SYNCLINE_DELETE : SYNCLINE_UPDATE);
        break;
    }
}

/* Both sides write while pages are on their way. */
Test(snapshot, writes_meanwhile)
{
    a = make("a");
    fill(a);
    prune(a);
    b = make("b");
    STEPPED_UNTIL(is_taking(b));
    int rounds = 0;
    for (; is_taking(b) && rounds < STEPPED_ROUNDS; rounds++) {
        write_some(a, rounds);
        write_some(b, rounds + 3);
        insert_tree(a, "leaves", &stepped_leaf_model, 2);
        stepped_rounds(6);
    }
    cr_assert_gt(rounds, 4);
    cr_assert_lt(rounds, STEPPED_ROUNDS);
    settle();
    check_same(a, b);
}

/* The taker, or the provider, is killed or loses power again and again: it goes on where it was. */
static void kill_often(void (*kill)(struct stepped_device *), bool taker)
{
    a = make("a");
    fill(a);
    prune(a);
    b = make("b");
    STEPPED_UNTIL(is_taking(b));
    int kills = 0;
    int64_t before = -1;
    for (int i = 0; i < STEPPED_ROUNDS && is_taking(b); i++) {
        int64_t records =
            stepped_number(b, "SELECT coalesce(sum(records),0) FROM _syncline_snapshot");
        cr_assert_geq(records, before >= 0 && is_taking(b) ? before : 0, "it begins again");
        if (records != before) {
            write_some(a, i);
            write_some(b, i + 3);
            kill(taker ? b : a);
            kills++;
        }
        before = records;
        stepped_round(2);
    }
    cr_assert_gt(kills, 5);
    settle();
    check_same(a, b);
}

Test(snapshot, taker_is_killed)
{
    kill_often(stepped_kill, true);
}

Test(snapshot, taker_loses_power)
{
    kill_often(stepped_cut_power, true);
}

Test(snapshot, provider_is_killed)
{
    kill_often(stepped_kill, false);
}

Test(snapshot, provider_loses_power)
{
    kill_often(stepped_cut_power, false);
}

/* The provider goes away for ever in the middle; another member goes on, at the page that was next.
 */
Test(snapshot, another_provider)
{
    a = make("a");
    c = make("c");
    fill(a);
    settle();
    prune(a);
    prune(c);
    stepped_close(c);
    b = make("b");
    STEPPED_UNTIL(stepped_number(b, "SELECT coalesce(sum(records),0) FROM _syncline_snapshot") >
                  20);
    stepped_close(a);
    stepped_rounds(50);
    cr_assert(is_taking(b));
    int64_t before = stepped_number(b, "SELECT records FROM _syncline_snapshot");
    stepped_open(c);
    STEPPED_UNTIL(!is_taking(b));
    cr_assert_gt(before, 20);
    stepped_rounds(400);
    check_same(b, c);
}

/* A device that was away: what it has not sent arrives, what was deleted stays deleted, and what
 * others changed is there. */
Test(snapshot, after_a_long_time)
{
    a = make("a");
    b = make("b");
    fill(a);
    settle();
    check_same(a, b);
    stepped_close(b);
    stepped.wall_ms += UINT64_C(400) * 24 * 3600 * 1000;
    for (int i = 0; i < 20; i++) {
        write_some(a, i);
    }
    notes[6].text = "by a";
    stepped_save(a, &notes[6], SYNCLINE_UPDATE);
    stepped_save(a, &notes[8], SYNCLINE_DELETE);
    STEPPED_UNTIL(stepped_info(a).outbox == 0);
    stepped_rounds(20);
    prune(a);
    /* Meanwhile b has made changes of its own. */
    b->peers_len = 0;
    stepped_open(b);
    stepped_close(a);
    struct stepped_note own = {.text = "never sent"};
    stepped_save(b, &own, SYNCLINE_INSERT);
    notes[8].text = "changed by b";
    stepped_save(b, &notes[8], SYNCLINE_UPDATE);
    notes[11].text = "by b";
    stepped_save(b, &notes[11], SYNCLINE_UPDATE);
    stepped_save(b, &notes[12], SYNCLINE_DELETE);
    STEPPED_UNTIL(stepped_info(b).outbox == 0);
    stepped_close(b);
    b->peers_len = 1;
    stepped_open(a);
    stepped_open(b);
    STEPPED_UNTIL(is_taking(b));
    settle();
    check_same(a, b);
    cr_assert(stepped_note_is(a, &own, "never sent"));
    cr_assert(stepped_note_is(a, &notes[11], "by b"));
    cr_assert(stepped_note_is(b, &notes[6], "by a"));
    cr_assert_not(stepped_note_is(b, &notes[8], "changed by b"));
    cr_assert_not(stepped_note_is(a, &notes[8], "changed by b"));
    cr_assert_eq(stepped_number(a, "SELECT count(*) FROM notes"),
                 stepped_number(b, "SELECT count(*) FROM notes"));
}

static bool has_note(struct stepped_device *device, const struct syncline_uuid *uuid)
{
    char text[128];
    (void)snprintf(text, sizeof(text), "SELECT count(*) FROM notes WHERE uuid=x'%s'",
                   uuid_text(uuid));
    return stepped_number(device, text) > 0;
}

/* One slice of each stage but those (bits) of one device. */
static void step_but(struct stepped_device *device, unsigned stages)
{
    for (size_t i = 0; i < sl_library_stage_count(device->library); i++) {
        if ((stages >> i & 1) == 0) {
            (void)sl_library_step(device->library, i);
        }
    }
    sl_library_poll(device->library, 0);
    stepped.mono_ns += STEPPED_NS_PER_MS;
    stepped.wall_ms += 1;
}

/* A page is on its way when changes of its records come from a third device: what they do stands,
 * though the page is older. */
Test(snapshot, older_page)
{
    a = make("a");
    c = make("c");
    fill(a);
    settle();
    prune(a);
    prune(c);
    stepped_close(c);
    b = make("b");
    STEPPED_UNTIL(stepped_number(b, "SELECT coalesce(sum(records),0) FROM _syncline_snapshot") > 0);
    /* The next page waits at its provider for what the application has just committed there. */
    stepped_insert(a, 1);
    for (int i = 0; i < 20; i++) {
        (void)sl_library_step(a->library, SL_STAGE_SNAPSHOT);
        sl_library_poll(a->library, 0);
        step_but(b, 0);
    }
    stepped_open(c);
    for (int i = 0; i < NOTES; i++) {
        if (has_note(c, &notes[i].uuid)) {
            notes[i].text = "changed by c";
            stepped_save(c, &notes[i], i % 2 == 0 ? SYNCLINE_DELETE : SYNCLINE_UPDATE);
        }
    }
    for (int i = 0; i < 1000 && stepped_number(b, "SELECT count(*) FROM _syncline_waiting") < 20;
         i++) {
        step_but(b, 0);
        step_but(c, 0);
    }
    cr_assert(is_taking(b));
    cr_assert_geq(stepped_number(b, "SELECT count(*) FROM _syncline_waiting"), 20);
    settle();
    check_same(a, b);
    check_same(a, c);
    cr_assert_not(has_note(b, &notes[2].uuid));
    cr_assert(stepped_note_is(b, &notes[3], "changed by c"));
}

/* What is in the provider's log, and whose birth is not in its tables yet, is not in the cut: it
 * comes by the log. */
Test(snapshot, not_settled)
{
    const unsigned settling = 1u << SL_STAGE_SETTLE | 1u << SL_STAGE_APPLY;
    a = make("a");
    fill(a);
    prune(a);
    uint64_t before = stepped_info(a).own_seq;
    stepped_insert(a, 1);
    for (int i = 0; i < STEPPED_ROUNDS && stepped_info(a).own_seq == before; i++) {
        step_but(a, settling);
    }
    cr_assert_eq(stepped_info(a).own_seq, before + 1);
    b = make("b");
    bool taken = false;
    for (int i = 0; i < STEPPED_ROUNDS && !(taken && !is_taking(b)); i++) {
        step_but(a, settling);
        step_but(b, 0);
        taken = taken || is_taking(b);
    }
    cr_assert(taken && !is_taking(b));
    settle();
    check_same(a, b);
}

/* ---- By chance ---- */

static int below(int n)
{
    uint32_t drawn = 0;
    stepped_draw(NULL, &drawn, sizeof(drawn));
    return (int)(drawn % (uint32_t)n);
}

#define POOL 24
static struct syncline_uuid pool[POOL]; /* UUIDs that any device may insert, again and again */

static void chance_note(struct stepped_device *device)
{
    static const char *const texts[] = {"red", "green", "blue", "white", "black"};
    struct stepped_note note = {.uuid = pool[below(POOL)], .text = texts[below(5)]};
    bool here = has_note(device, &note.uuid);
    stepped_save(device, &note,
                 !here           ? SYNCLINE_INSERT
                 : below(3) == 0 ? SYNCLINE_DELETE
                                 : SYNCLINE_UPDATE);
}

static void chance_change(struct stepped_device *device, const struct syncline_model *model,
                          const struct stepped_twig *twig, enum syncline_change change,
                          const char *text)
{
    stepped_sql(device, "BEGIN IMMEDIATE");
    stepped_sql(device, text);
    cr_assert_eq(
        sl_library_capture(device->library, model, twig, 1, change, device->db, 0, &stepped.err),
        SYNCLINE_OK, "%s", stepped.err.text);
    stepped_sql(device, "COMMIT");
}

/* A twig or a leaf is made, hung on an older one, or goes if nothing hangs on it. */
static void chance_tree(struct stepped_device *device, const char *table,
                        const struct syncline_model *model)
{
    char text[256];
    struct stepped_twig twig = {.id = 0};
    (void)snprintf(text, sizeof(text),
                   "SELECT coalesce((SELECT t.id FROM %s t %s ORDER BY (t.id*%d)%%101 LIMIT 1),0)",
                   table,
                   model == &stepped_leaf_model
                       ? "JOIN _syncline_birth b ON b.model=(SELECT number FROM"
                         " _syncline_model WHERE name='leaf') AND t.id BETWEEN b.id AND"
                         " b.id+b.n-1 AND b.origin=1"
                       : "",
                   1 + below(100));
    int64_t id = stepped_number(device, text);
    if (id == 0 || below(2) == 0) {
        insert_tree(device, table, model, 1 + below(3));
        return;
    }
    sqlite3_stmt *stmt = NULL;
    (void)snprintf(text, sizeof(text), "SELECT uuid FROM %s WHERE id=%d", table, (int)id);
    cr_assert_eq(sqlite3_prepare_v2(device->db, text, -1, &stmt, NULL), SQLITE_OK);
    cr_assert_eq(sqlite3_step(stmt), SQLITE_ROW);
    memcpy(&twig.uuid, sqlite3_column_blob(stmt, 0), 16);
    (void)sqlite3_finalize(stmt);
    twig.id = id;
    if (below(2) == 0) {
        (void)snprintf(text, sizeof(text),
                       "SELECT coalesce((SELECT id FROM %s WHERE id<%d ORDER BY (id*%d)%%101 LIMIT"
                       " 1),0)",
                       table, (int)id, 1 + below(100));
        twig.parent.value = stepped_number(device, text);
        twig.parent.is_set = twig.parent.value != 0;
        (void)snprintf(text, sizeof(text), "UPDATE %s SET parent=nullif(%d,0) WHERE id=%d", table,
                       (int)twig.parent.value, (int)id);
        chance_change(device, model, &twig, SYNCLINE_UPDATE, text);
        return;
    }
    (void)snprintf(text, sizeof(text), "SELECT count(*) FROM %s WHERE parent=%d", table, (int)id);
    if (stepped_number(device, text) > 0) {
        return;
    }
    (void)snprintf(text, sizeof(text), "DELETE FROM %s WHERE id=%d", table, (int)id);
    chance_change(device, model, &twig, SYNCLINE_DELETE, text);
}

static void chance_write(struct stepped_device *device)
{
    switch (below(5)) {
    case 0:
        chance_tree(device, "twigs", &stepped_twig_model);
        return;
    case 1:
        chance_tree(device, "leaves", &stepped_leaf_model);
        return;
    default:
        chance_note(device);
    }
}

static void chance_writes(struct stepped_device *device, int n)
{
    for (int i = 0; i < n; i++) {
        chance_write(device);
        stepped_rounds(below(3));
    }
}

/* Returns whether a snapshot was taken. */
static bool run_by_chance(uint64_t seed)
{
    stepped.devices_len = 0;
    stepped_begin();
    sl_sim_random_init(&stepped.dice, seed, 1);
    stepped_draw(NULL, pool, sizeof(pool));
    a = make("a");
    b = make("b");
    c = make("c");
    for (int i = 0; i < 3; i++) {
        chance_writes(a, below(20));
        chance_writes(b, below(20));
        chance_writes(c, below(20));
    }
    if (below(2) == 0) {
        settle();
    }
    stepped_rounds(below(60));
    /* b goes away, with what it has not sent; the others go on, and prune. */
    bool unsent = below(2) == 0;
    if (unsent) {
        stepped_close(a);
        stepped_close(c);
        chance_writes(b, 1 + below(15));
        stepped_rounds(40);
        stepped_open(a);
        stepped_open(c);
    }
    stepped_close(b);
    for (int i = 0; i < 3; i++) {
        chance_writes(a, below(20));
        chance_writes(c, below(20));
    }
    stepped_rounds(400);
    prune(a);
    prune(c);
    chance_writes(a, below(10));
    stepped_open(b);
    bool taken = false;
    for (int i = 0; i < STEPPED_ROUNDS / 4; i++) {
        taken = taken || is_taking(b);
        if (below(10) == 0) {
            chance_write(&stepped.devices[below(3)]);
        }
        if (below(40) == 0) {
            stepped_kill(&stepped.devices[below(3)]);
        }
        if (below(60) == 0) {
            stepped_cut_power(&stepped.devices[below(3)]);
        }
        stepped_round(2);
    }
    stepped_rounds(1500);
    for (int i = 0; i < 10; i++) {
        settle();
        stepped_rounds(200);
    }
    check_same(a, c);
    check_same(a, b);
    stepped_end();
    return taken;
}

/* Three devices write by chance, also the same UUIDs; one is away while the others prune, and takes
 * a snapshot when it is back, with what it has not sent; all are killed, or lose power, again and
 * again. In the end all hold the same. SEEDS=FIRST+COUNT runs others than these. */
Test(snapshot_by_chance, all_end_the_same)
{
    const char *text = getenv("SEEDS");
    char *end = NULL;
    long first = text != NULL ? strtol(text, &end, 10) : 1;
    long count = end != NULL ? (*end == '+' ? strtol(end + 1, NULL, 10) : 1) : 6;
    long taken = 0;
    for (long seed = first; seed < first + count; seed++) {
        taken += run_by_chance((uint64_t)seed) ? 1 : 0;
    }
    cr_assert_gt(taken, 0);
}
