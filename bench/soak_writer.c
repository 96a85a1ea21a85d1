/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/soak_writer.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/clock.h"
#include "bench/stop.h"
#include "indexer/schema.h"

#define OPERATIONS_MAX 4u    /* in one transaction */
#define SINGLE_CALLS_MAX 32u /* rows for which one call each may be made */
#define ROLLBACK_IN 8u       /* one transaction in so many is rolled back */
#define SAVEPOINT_IN 5u      /* one operation in so many is in a savepoint that is rolled back */
#define AUTOCOMMIT_IN 10u    /* one turn in so many is a single row in autocommit */
#define LOCK_NS_MAX 300e9    /* how long the write lock may be waited for */

static const char *const sql[BENCH_SOAK_STATEMENTS] = {
    [BENCH_SOAK_ADD_ENTRY] = "INSERT INTO entries(uuid,parent_id,name,kind,size,created_at,"
                             "modified_at) VALUES(?1,nullif(?2,0),?3,?4,?5,0,?5)",
    [BENCH_SOAK_CHANGE_ENTRY] = "UPDATE entries SET name=?3,size=?5,modified_at=?5 WHERE uuid=?1",
    [BENCH_SOAK_REMOVE_ENTRY] = "DELETE FROM entries WHERE uuid=?1",
    [BENCH_SOAK_ADD_TAG] = "INSERT INTO tags(uuid,name) VALUES(?1,?3)",
    [BENCH_SOAK_CHANGE_TAG] = "UPDATE tags SET name=?3 WHERE uuid=?1",
    [BENCH_SOAK_REMOVE_TAG] = "DELETE FROM tags WHERE uuid=?1",
};

/* One kind of change of one kind of record, rows [0, n) of the writer. */
struct operation {
    enum bench_soak_kind kind;
    enum syncline_change change;
    size_t n;
};

/* splitmix64 */
static uint64_t draw(struct bench_soak_writer *writer, uint64_t below)
{
    uint64_t z = (writer->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

/* ---- Rows ---- */

/* The values of a record follow from its UUID and version. */
static void make_row(struct bench_soak_writer *writer, enum bench_soak_kind kind,
                     const struct bench_soak_record *record, size_t at)
{
    const uint8_t *bytes = record->uuid.bytes;
    int len = snprintf(writer->names[at], sizeof(writer->names[at]), "name %02x%02x%02x%02x v%u",
                       bytes[12], bytes[13], bytes[14], bytes[15], record->version);
    if (kind == BENCH_SOAK_TAGS) {
        writer->tags[at] =
            (struct tag_row){.id = record->id, .uuid = record->uuid, .name = writer->names[at]};
        return;
    }
    writer->entries[at] = (struct entry_row){
        .id = record->id,
        .uuid = record->uuid,
        .parent_id = {.is_set = record->parent_id != 0, .value = record->parent_id},
        .name = {.data = writer->names[at], .len = (size_t)len},
        .kind = kind == BENCH_SOAK_FOLDERS ? INDEXER_FOLDER : INDEXER_FILE,
        .size = record->version,
        .modified_at = record->version};
}

/* Runs the statement for the row made at `at`. */
static enum syncline_status write_row(struct bench_soak_writer *writer, enum bench_soak_kind kind,
                                      enum syncline_change change,
                                      const struct bench_soak_record *record, size_t at)
{
    const struct entry_row *entry = &writer->entries[at];
    bool is_tag = kind == BENCH_SOAK_TAGS;
    sqlite3_stmt *stmt =
        writer->stmts[(is_tag ? BENCH_SOAK_ADD_TAG : BENCH_SOAK_ADD_ENTRY) + (int)change - 1];
    sqlite3_bind_blob(stmt, 1, record->uuid.bytes, sizeof(record->uuid.bytes), SQLITE_STATIC);
    if (change != SYNCLINE_DELETE && is_tag) {
        sqlite3_bind_text(stmt, 3, writer->names[at], -1, SQLITE_STATIC);
    }
    if (change != SYNCLINE_DELETE && !is_tag) {
        sqlite3_bind_blob(stmt, 3, entry->name.data, (int)entry->name.len, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 5, entry->size);
    }
    if (change == SYNCLINE_INSERT && !is_tag) {
        sqlite3_bind_int64(stmt, 2, record->parent_id);
        sqlite3_bind_int64(stmt, 4, entry->kind);
    }
    int rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    if (rc == SQLITE_DONE && sqlite3_changes(writer->db) == 1) {
        return SYNCLINE_OK;
    }
    return rc == SQLITE_DONE
               ? indexer_fail(&writer->err, SYNCLINE_ECORRUPT, "a row of this thread is not there")
               : indexer_fail_db(&writer->err, writer->db, rc, "a row cannot be written");
}

static int64_t some_folder(struct bench_soak_writer *writer)
{
    const struct bench_soak_set *folders = &writer->records.sets[BENCH_SOAK_FOLDERS];
    return folders->len == 0 ? 0 : folders->items[draw(writer, folders->len)].id;
}

static enum syncline_status add_rows(struct bench_soak_writer *writer,
                                     const struct operation *operation)
{
    struct syncline_uuid uuids[BENCH_SOAK_BATCH_MAX];
    enum syncline_status status = syncline_uuid_new(uuids, operation->n);
    for (size_t i = 0; i < operation->n && status == SYNCLINE_OK; i++) {
        struct bench_soak_record record = {.uuid = uuids[i]};
        record.parent_id = operation->kind == BENCH_SOAK_TAGS ? 0 : some_folder(writer);
        make_row(writer, operation->kind, &record, i);
        status = write_row(writer, operation->kind, SYNCLINE_INSERT, &record, i);
        record.id = sqlite3_last_insert_rowid(writer->db);
        if (status == SYNCLINE_OK) {
            make_row(writer, operation->kind, &record, i);
            status = bench_soak_records_add(&writer->records, operation->kind, &record);
        }
    }
    return status;
}

/* A run of rows from a random one on: each once. */
static enum syncline_status change_rows(struct bench_soak_writer *writer,
                                        const struct operation *operation)
{
    const struct bench_soak_set *set = &writer->records.sets[operation->kind];
    size_t first = draw(writer, set->len);
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < operation->n && status == SYNCLINE_OK; i++) {
        size_t index = (first + i) % set->len;
        status = bench_soak_records_change(&writer->records, operation->kind, index);
        if (status == SYNCLINE_OK) {
            make_row(writer, operation->kind, &set->items[index], i);
            status = write_row(writer, operation->kind, SYNCLINE_UPDATE, &set->items[index], i);
        }
    }
    return status;
}

static enum syncline_status remove_rows(struct bench_soak_writer *writer,
                                        const struct operation *operation)
{
    const struct bench_soak_set *set = &writer->records.sets[operation->kind];
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < operation->n && status == SYNCLINE_OK; i++) {
        size_t index = draw(writer, set->len);
        struct bench_soak_record record = set->items[index];
        make_row(writer, operation->kind, &record, i);
        status = write_row(writer, operation->kind, SYNCLINE_DELETE, &record, i);
        if (status == SYNCLINE_OK) {
            status = bench_soak_records_remove(&writer->records, operation->kind, index);
        }
    }
    return status;
}

/* ---- Calls ---- */

static enum syncline_status call(struct bench_soak_writer *writer,
                                 const struct operation *operation)
{
    struct syncline *lib = writer->soak->lib;
    bool is_tag = operation->kind == BENCH_SOAK_TAGS;
    const struct syncline_model *model = is_tag ? &indexer_tag_model : &indexer_entry_model;
    const char *rows = is_tag ? (const char *)writer->tags : (const char *)writer->entries;
    bool single = operation->n <= SINGLE_CALLS_MAX && draw(writer, 2) == 0;
    if (lib == NULL) {
        return SYNCLINE_OK;
    }
    if (!single) {
        return syncline_sync_models_batch(lib, model, rows, operation->n, operation->change,
                                          writer->db, NULL);
    }
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < operation->n && status == SYNCLINE_OK; i++) {
        status = syncline_sync_model_with_db(lib, model, rows + i * model->row_size,
                                             operation->change, writer->db);
    }
    return status;
}

/* What to do next, as far as there are rows for it. */
static struct operation choose(struct bench_soak_writer *writer)
{
    static const struct {
        unsigned below; /* of 100 */
        enum bench_soak_kind kind;
        enum syncline_change change;
    } table[] = {
        {40, BENCH_SOAK_FILES, SYNCLINE_INSERT},   {46, BENCH_SOAK_FOLDERS, SYNCLINE_INSERT},
        {56, BENCH_SOAK_TAGS, SYNCLINE_INSERT},    {73, BENCH_SOAK_FILES, SYNCLINE_UPDATE},
        {77, BENCH_SOAK_FOLDERS, SYNCLINE_UPDATE}, {84, BENCH_SOAK_TAGS, SYNCLINE_UPDATE},
        {94, BENCH_SOAK_FILES, SYNCLINE_DELETE},   {100, BENCH_SOAK_TAGS, SYNCLINE_DELETE}};
    uint64_t drawn = draw(writer, 100);
    size_t i = 0;
    while (drawn >= table[i].below) {
        i++;
    }
    struct operation operation = {.kind = table[i].kind, .change = table[i].change};
    /* As many small ones as large ones. */
    uint64_t limit = (uint64_t)1 << draw(writer, 12);
    operation.n = 1 + draw(writer, limit < BENCH_SOAK_BATCH_MAX ? limit : BENCH_SOAK_BATCH_MAX);
    size_t there = writer->records.sets[operation.kind].len;
    if (operation.change != SYNCLINE_INSERT && operation.n > there) {
        operation.n = there;
    }
    return operation;
}

static enum syncline_status operate(struct bench_soak_writer *writer)
{
    const struct operation operation = choose(writer);
    if (operation.n == 0) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = operation.change == SYNCLINE_INSERT ? add_rows(writer, &operation)
                                  : operation.change == SYNCLINE_UPDATE
                                      ? change_rows(writer, &operation)
                                      : remove_rows(writer, &operation);
    if (status != SYNCLINE_OK) {
        return status;
    }
    writer->changes += operation.n;
    status = call(writer, &operation);
    return status == SYNCLINE_OK ? status
                                 : indexer_fail_sync(&writer->err, writer->soak->lib, status,
                                                     "%zu rows were not captured", operation.n);
}

static enum syncline_status exec(struct bench_soak_writer *writer, const char *text)
{
    int rc = sqlite3_exec(writer->db, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? SYNCLINE_OK
                           : indexer_fail_db(&writer->err, writer->db, rc, "%s failed", text);
}

/* An operation in a savepoint that is rolled back. */
static enum syncline_status operate_in_vain(struct bench_soak_writer *writer)
{
    size_t mark = bench_soak_records_mark(&writer->records);
    uint64_t changes = writer->changes;
    enum syncline_status status = exec(writer, "SAVEPOINT vain");
    if (status == SYNCLINE_OK) {
        status = operate(writer);
    }
    if (status == SYNCLINE_OK) {
        status = exec(writer, "ROLLBACK TO vain; RELEASE vain");
    }
    bench_soak_records_undo(&writer->records, mark);
    (void)atomic_fetch_add(&writer->soak->rolled_back, writer->changes - changes);
    writer->changes = changes;
    return status;
}

/* ---- Transactions ---- */

static bool is_over(const struct bench_soak_writer *writer)
{
    return atomic_load(&writer->soak->failed) || bench_stop_asked();
}

/* The lock goes to whoever asks at the right moment, so eight threads may wait for long. */
static enum syncline_status begin(struct bench_soak_writer *writer)
{
    uint64_t start_ns = bench_now_ns();
    enum syncline_status status = indexer_db_begin(writer->db, &writer->err);
    while (status == SYNCLINE_EBUSY && !is_over(writer) &&
           (double)(bench_now_ns() - start_ns) < LOCK_NS_MAX) {
        status = indexer_db_begin(writer->db, &writer->err);
    }
    return status;
}

static void count_commit(struct bench_soak_writer *writer)
{
    bench_soak_records_commit(&writer->records);
    (void)atomic_fetch_add(&writer->soak->committed, writer->changes);
    (void)atomic_fetch_add(&writer->soak->transactions, 1);
    writer->changes = 0;
}

static void roll_back(struct bench_soak_writer *writer)
{
    indexer_db_rollback(writer->db);
    bench_soak_records_undo(&writer->records, 0);
    (void)atomic_fetch_add(&writer->soak->rolled_back, writer->changes);
    writer->changes = 0;
}

static enum syncline_status transaction(struct bench_soak_writer *writer)
{
    enum syncline_status status = begin(writer);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t operations = 1 + draw(writer, OPERATIONS_MAX);
    for (uint64_t i = 0; i < operations && status == SYNCLINE_OK; i++) {
        status = draw(writer, SAVEPOINT_IN) == 0 ? operate_in_vain(writer) : operate(writer);
    }
    if (status != SYNCLINE_OK || draw(writer, ROLLBACK_IN) == 0) {
        roll_back(writer);
        return status;
    }
    status = indexer_db_commit(writer->db, &writer->err);
    if (status == SYNCLINE_OK) {
        count_commit(writer);
    }
    return status;
}

/* A tag by the call without a connection, after its row was committed: one that is busy is made
 * again. */
static enum syncline_status autocommit(struct bench_soak_writer *writer)
{
    const struct operation operation = {.kind = BENCH_SOAK_TAGS, .change = SYNCLINE_INSERT, .n = 1};
    struct syncline *lib = writer->soak->lib;
    enum syncline_status status = add_rows(writer, &operation);
    if (status == SYNCLINE_EBUSY) {
        return SYNCLINE_OK; /* nothing was written: another turn */
    }
    if (status == SYNCLINE_OK && lib != NULL) {
        uint64_t start_ns = bench_now_ns();
        do {
            status = syncline_sync_model(lib, &indexer_tag_model, writer->tags, SYNCLINE_INSERT);
        } while (status == SYNCLINE_EBUSY && !is_over(writer) &&
                 (double)(bench_now_ns() - start_ns) < LOCK_NS_MAX);
        if (status != SYNCLINE_OK) {
            status = indexer_fail_sync(&writer->err, lib, status, "a tag was not captured");
        }
    }
    writer->changes = 1;
    count_commit(writer);
    return status;
}

static enum syncline_status open_writer(struct bench_soak_writer *writer)
{
    writer->entries = calloc(BENCH_SOAK_BATCH_MAX, sizeof(*writer->entries));
    writer->tags = calloc(BENCH_SOAK_BATCH_MAX, sizeof(*writer->tags));
    writer->names = calloc(BENCH_SOAK_BATCH_MAX, sizeof(*writer->names));
    if (writer->entries == NULL || writer->tags == NULL || writer->names == NULL) {
        return indexer_fail(&writer->err, SYNCLINE_ENOMEM, "out of memory for rows");
    }
    enum syncline_status status =
        indexer_db_open(writer->soak->dir, INDEXER_DB_CREATE, &writer->db, &writer->err);
    for (size_t i = 0; i < BENCH_SOAK_STATEMENTS && status == SYNCLINE_OK; i++) {
        int rc = sqlite3_prepare_v2(writer->db, sql[i], -1, &writer->stmts[i], NULL);
        if (rc != SQLITE_OK) {
            status = indexer_fail_db(&writer->err, writer->db, rc, "'%s' is refused", sql[i]);
        }
    }
    return status;
}

static void close_writer(struct bench_soak_writer *writer)
{
    for (size_t i = 0; i < BENCH_SOAK_STATEMENTS; i++) {
        sqlite3_finalize(writer->stmts[i]);
    }
    indexer_db_close(writer->db);
    bench_soak_records_fini(&writer->records);
    free(writer->entries);
    free(writer->tags);
    free(writer->names);
}

void *bench_soak_writer_run(void *ctx)
{
    struct bench_soak_writer *writer = ctx;
    struct bench_soak *soak = writer->soak;
    enum syncline_status status = open_writer(writer);
    while (status == SYNCLINE_OK && !is_over(writer) &&
           atomic_load(&soak->committed) < soak->target) {
        status = draw(writer, AUTOCOMMIT_IN) == 0 ? autocommit(writer) : transaction(writer);
    }
    if (status == SYNCLINE_OK && bench_stop_asked()) {
        status = indexer_fail(&writer->err, SYNCLINE_ECLOSED, "interrupted");
    }
    if (status != SYNCLINE_OK) {
        if (writer->err.text[0] == '\0') {
            (void)indexer_fail(&writer->err, status, "%s", syncline_status_text(status));
        }
        atomic_store(&soak->failed, true);
    }
    writer->status = status;
    close_writer(writer);
    return NULL;
}
