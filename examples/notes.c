/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Notes in notebooks, the same on all devices: a program to start your own from. It has what most
 * programs need: two tables with a foreign key, inserts, updates and deletes, one process that
 * serves, and others that write while it does.
 *
 *     notes one create Notes             make a library in the directory "one"
 *     notes one serve 127.0.0.1:4400     send and receive until Ctrl-C; prints its address
 *     notes two join 127.0.0.1:4400      make "two" another device of the library
 *     notes two serve 127.0.0.1:0 127.0.0.1:4400
 *     notes one add Shopping milk        and, on any device, the rest: */

#include <inttypes.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syncline.h>

static const char usage[] =
    "usage: notes DIR COMMAND\n"
    "  create NAME             make a library\n"
    "  join ADDR               make DIR another device of the one served there\n"
    "  serve ADDR [PEER]...    send and receive until Ctrl-C\n"
    "  add NOTEBOOK TEXT       write a note\n"
    "  edit TEXT NEW-TEXT      change the notes that say TEXT\n"
    "  remove TEXT             delete the notes that say TEXT\n"
    "  list                    print all notes\n"
    "  wait                    until all devices have what was written here\n"
    "  digest                  count and hash of each table, to compare\n";

/* ---- What syncs ---- */

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS notebooks("
    " id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE, name TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS notes("
    " id INTEGER PRIMARY KEY, uuid BLOB NOT NULL UNIQUE,"
    " notebook_id INTEGER NOT NULL REFERENCES notebooks(id), text TEXT NOT NULL,"
    " edits INTEGER NOT NULL);";

struct notebook {
    int64_t id; /* differs from device to device */
    struct syncline_uuid uuid;
    const char *name;
};

struct note {
    int64_t id;
    struct syncline_uuid uuid;
    int64_t notebook_id; /* Syncline turns it into the notebook's id on the other device */
    const char *text;
    int64_t edits; /* how often the text was changed */
};

static const struct syncline_field notebook_fields[] = {SYNCLINE_ID(struct notebook, id),
                                                        SYNCLINE_UUID(struct notebook, uuid),
                                                        SYNCLINE_TEXT(struct notebook, name)};
static const struct syncline_field note_fields[] = {
    SYNCLINE_ID(struct note, id), SYNCLINE_UUID(struct note, uuid),
    SYNCLINE_KEY(struct note, notebook_id, "notebook"), SYNCLINE_TEXT(struct note, text),
    SYNCLINE_INT64(struct note, edits)};

static const struct syncline_model notebook_model =
    SYNCLINE_MODEL("notebook", "notebooks", SYNCLINE_SHARED, struct notebook, notebook_fields);
static const struct syncline_model note_model =
    SYNCLINE_MODEL("note", "notes", SYNCLINE_SHARED, struct note, note_fields);
static const struct syncline_model *const models[] = {&notebook_model, &note_model};
#define MODELS_COUNT (sizeof(models) / sizeof(models[0]))

/* ---- Opening, and what can go wrong ---- */

static char error_text[256]; /* of the calls that have no handle yet */

static _Noreturn void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("notes: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

/* The status of a call that has a handle. */
static void check(struct syncline *lib, enum syncline_status status)
{
    char text[256];
    if (status != SYNCLINE_OK) {
        syncline_error(lib, text, sizeof(text));
        die("%s", text);
    }
}

static void check_open(enum syncline_status status)
{
    if (status != SYNCLINE_OK) {
        die("%s", error_text[0] != '\0' ? error_text : syncline_status_text(status));
    }
}

static struct syncline_options options_for(enum syncline_role role)
{
    struct syncline_options options = SYNCLINE_OPTIONS_INIT;
    options.models = models;
    options.models_count = MODELS_COUNT;
    options.role = role;
    options.insecure_loopback = true; /* so far, devices meet on the loopback address only */
    options.error = error_text;
    options.error_size = sizeof(error_text);
    return options;
}

static void sql(sqlite3 *db, const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
        die("%s", sqlite3_errmsg(db));
    }
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *text)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) != SQLITE_OK) {
        die("%s", sqlite3_errmsg(db));
    }
    return stmt;
}

/* Steps a statement that gives no row. */
static void step_done(sqlite3 *db, sqlite3_stmt *stmt)
{
    if (sqlite3_step(stmt) != SQLITE_DONE) {
        die("%s", sqlite3_errmsg(db));
    }
    (void)sqlite3_reset(stmt);
}

/* The application's own connection, with the settings that Syncline's rules ask for. */
static sqlite3 *db_open(const char *dir)
{
    char path[4096];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof(path), "%s/library.db", dir);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
        die("%s: %s", path, sqlite3_errmsg(db));
    }
    (void)sqlite3_busy_timeout(db, 5000);
    sql(db, "PRAGMA foreign_keys = ON");
    sql(db, schema);
    return db;
}

/* ---- Writing: the row and its capture in one transaction ---- */

/* The id of the notebook of that name, made if there is none. */
static int64_t notebook_id(struct syncline *lib, sqlite3 *db, const char *name)
{
    struct notebook notebook = {.name = name};
    sqlite3_stmt *find =
        prepare(db, "SELECT id FROM notebooks WHERE name = ? ORDER BY uuid LIMIT 1");
    (void)sqlite3_bind_text(find, 1, name, -1, SQLITE_STATIC);
    bool found = sqlite3_step(find) == SQLITE_ROW;
    notebook.id = found ? sqlite3_column_int64(find, 0) : 0;
    (void)sqlite3_finalize(find);
    if (found) {
        return notebook.id;
    }
    check(lib, syncline_uuid_new(&notebook.uuid, 1));
    sqlite3_stmt *insert = prepare(db, "INSERT INTO notebooks(uuid, name) VALUES (?, ?)");
    (void)sqlite3_bind_blob(insert, 1, notebook.uuid.bytes, 16, SQLITE_STATIC);
    (void)sqlite3_bind_text(insert, 2, name, -1, SQLITE_STATIC);
    step_done(db, insert);
    (void)sqlite3_finalize(insert);
    notebook.id = sqlite3_last_insert_rowid(db);
    check(lib, syncline_sync_model_with_db(lib, &notebook_model, &notebook, SYNCLINE_INSERT, db));
    return notebook.id;
}

static void add(struct syncline *lib, sqlite3 *db, const char *notebook, const char *text)
{
    struct note note = {.text = text};
    check(lib, syncline_uuid_new(&note.uuid, 1));
    sql(db, "BEGIN IMMEDIATE");
    note.notebook_id = notebook_id(lib, db, notebook);
    sqlite3_stmt *insert =
        prepare(db, "INSERT INTO notes(uuid, notebook_id, text, edits) VALUES (?, ?, ?, 0)");
    (void)sqlite3_bind_blob(insert, 1, note.uuid.bytes, 16, SQLITE_STATIC);
    (void)sqlite3_bind_int64(insert, 2, note.notebook_id);
    (void)sqlite3_bind_text(insert, 3, text, -1, SQLITE_STATIC);
    step_done(db, insert);
    (void)sqlite3_finalize(insert);
    note.id = sqlite3_last_insert_rowid(db);
    check(lib, syncline_sync_model_with_db(lib, &note_model, &note, SYNCLINE_INSERT, db));
    sql(db, "COMMIT"); /* dying before this line undoes the rows and their captures */
}

/* Changes (new_text != NULL) or deletes every note that says `text`; returns how many. */
static int change(struct syncline *lib, sqlite3 *db, const char *text, const char *new_text)
{
    int count = 0;
    sql(db, "BEGIN IMMEDIATE");
    sqlite3_stmt *find =
        prepare(db, "SELECT id, uuid, notebook_id, edits FROM notes WHERE text = ? ORDER BY id");
    sqlite3_stmt *write =
        prepare(db, new_text != NULL ? "UPDATE notes SET text = ?2, edits = ?3 WHERE id = ?1"
                                     : "DELETE FROM notes WHERE id = ?1");
    (void)sqlite3_bind_text(find, 1, text, -1, SQLITE_STATIC);
    while (sqlite3_step(find) == SQLITE_ROW) {
        struct note note = {.id = sqlite3_column_int64(find, 0),
                            .notebook_id = sqlite3_column_int64(find, 2),
                            .text = new_text,
                            .edits = sqlite3_column_int64(find, 3) + 1};
        memcpy(note.uuid.bytes, sqlite3_column_blob(find, 1), sizeof(note.uuid.bytes));
        (void)sqlite3_bind_int64(write, 1, note.id);
        if (new_text != NULL) {
            (void)sqlite3_bind_text(write, 2, new_text, -1, SQLITE_STATIC);
            (void)sqlite3_bind_int64(write, 3, note.edits);
        }
        step_done(db, write);
        check(lib, syncline_sync_model_with_db(lib, &note_model, &note,
                                               new_text != NULL ? SYNCLINE_UPDATE : SYNCLINE_DELETE,
                                               db));
        count++;
    }
    (void)sqlite3_finalize(find);
    (void)sqlite3_finalize(write);
    sql(db, "COMMIT");
    return count;
}

/* ---- Looking ---- */

static void list(sqlite3 *db)
{
    sqlite3_stmt *all = prepare(db, "SELECT notebooks.name, text, edits FROM notes"
                                    " JOIN notebooks ON notebooks.id = notebook_id"
                                    " ORDER BY notebooks.name, text, notes.uuid");
    while (sqlite3_step(all) == SQLITE_ROW) {
        printf("%s: %s (edits: %d)\n", (const char *)sqlite3_column_text(all, 0),
               (const char *)sqlite3_column_text(all, 1), sqlite3_column_int(all, 2));
    }
    (void)sqlite3_finalize(all);
}

static void digest(struct syncline *lib)
{
    for (size_t i = 0; i < MODELS_COUNT; i++) {
        uint64_t count = 0;
        uint8_t hash[32];
        check(lib, syncline_digest(lib, models[i], &count, hash));
        printf("%s %" PRIu64 " ", models[i]->name, count);
        for (size_t k = 0; k < sizeof(hash); k++) {
            printf("%02x", hash[k]);
        }
        printf("\n");
    }
}

/* ---- Commands ---- */

static int serve(const char *dir, const char *address, char *const peers[], int peers_count)
{
    sigset_t stop;
    int signal_number = 0;
    struct syncline *lib = NULL;
    struct syncline_info info = SYNCLINE_INFO_INIT;
    struct syncline_options options = options_for(SYNCLINE_ROLE_ENGINE);
    options.listen = address;
    options.peers = (const char *const *)peers;
    options.peers_count = (size_t)peers_count;

    /* Before there are threads, so that none of them gets the signals. */
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGINT);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &stop, NULL);

    (void)sqlite3_close(db_open(dir)); /* the tables must be there */
    check_open(syncline_open(dir, &options, &lib));
    check(lib, syncline_info(lib, &info));
    printf("%s\n", info.listen);
    (void)fflush(stdout);
    (void)sigwait(&stop, &signal_number);
    syncline_close(lib);
    return 0;
}

/* Until every other device has applied what was written here. Somebody must serve meanwhile. */
static int wait_for_all(const char *dir)
{
    struct syncline *lib = NULL;
    struct syncline_left left = SYNCLINE_LEFT_INIT;
    struct syncline_options options = options_for(SYNCLINE_ROLE_CAPTURE);
    check_open(syncline_open(dir, &options, &lib));
    enum syncline_status status = syncline_close_drained(lib, SYNCLINE_LEVEL_APPLIED, 60000, &left);
    if (status != SYNCLINE_OK) {
        die("%s; left to send: %" PRIu64, syncline_status_text(status),
            left.outbox + left.unapplied);
    }
    return 0;
}

int main(int argc, char *argv[])
{
    const char *dir = argc > 2 ? argv[1] : "";
    const char *command = argc > 2 ? argv[2] : "";
    const char *first = argc > 3 ? argv[3] : NULL;
    const char *second = argc > 4 ? argv[4] : NULL;
    struct syncline_options options = options_for(SYNCLINE_ROLE_AUTO);
    struct syncline *lib = NULL;

    if (strcmp(command, "create") == 0 && first != NULL) {
        check_open(syncline_create(dir, first, &options));
        return 0;
    }
    if (strcmp(command, "join") == 0 && first != NULL) {
        check_open(syncline_join(dir, first, &options));
        return 0;
    }
    if (strcmp(command, "serve") == 0 && first != NULL) {
        return serve(dir, first, argv + 4, argc - 4);
    }
    if (strcmp(command, "wait") == 0) {
        return wait_for_all(dir);
    }

    bool is_add = strcmp(command, "add") == 0 && second != NULL;
    bool is_edit = strcmp(command, "edit") == 0 && second != NULL;
    bool is_remove = strcmp(command, "remove") == 0 && first != NULL;
    bool is_list = strcmp(command, "list") == 0;
    if (!is_add && !is_edit && !is_remove && !is_list && strcmp(command, "digest") != 0) {
        (void)fputs(usage, stderr);
        return 2;
    }
    /* AUTO: where another process serves, this one only captures; else its own engine takes what it
     * wrote into the log, and sends it when somebody serves again. */
    sqlite3 *db = db_open(dir);
    check_open(syncline_open(dir, &options, &lib));
    if (is_add) {
        add(lib, db, first, second);
    } else if (is_edit || is_remove) {
        if (change(lib, db, first, is_edit ? second : NULL) == 0) {
            die("there is no note that says: %s", first);
        }
    } else if (is_list) {
        list(db);
    } else {
        digest(lib);
    }
    (void)sqlite3_close(db);
    syncline_close(lib);
    return 0;
}
