/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "indexer/tag_manager.h"

#include "indexer/schema.h"

#include <ctype.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

static enum syncline_status check_name(const char *name, struct indexer_error *err)
{
    if (indexer_is_name(name))
        return SYNCLINE_OK;
    return indexer_fail(err, SYNCLINE_EINVAL,
                        "a tag's name must be printable UTF-8: give another one");
}

static enum syncline_status check_color(const char *color, struct indexer_error *err)
{
    bool is_good = color == NULL || (strlen(color) == 7 && color[0] == '#');
    for (size_t i = 1; color != NULL && is_good && i < 7; i++)
        is_good = isxdigit((unsigned char)color[i]) != 0;
    if (is_good)
        return SYNCLINE_OK;
    char text[64];
    return indexer_fail(err, SYNCLINE_EINVAL, "the color %s is not understood: write it as #rrggbb",
                        indexer_escape(text, sizeof(text), color, strlen(color)));
}

/* In the caller's transaction: id and color of a tag. The caller frees *color. */
static enum syncline_status find_tag(struct sqlite3 *db, struct tag_row *row, char **color,
                                     struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT id, color FROM tags WHERE uuid = ?1", -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_blob(stmt, 1, row->uuid.bytes, sizeof(row->uuid.bytes), SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    enum syncline_status status = SYNCLINE_OK;
    if (rc == SQLITE_ROW) {
        const char *found = (const char *)sqlite3_column_text(stmt, 1);
        row->id = sqlite3_column_int64(stmt, 0);
        *color = found != NULL ? strdup(found) : NULL;
        row->color = *color;
        if (found != NULL && *color == NULL)
            status = indexer_fail(err, SYNCLINE_ENOMEM, "out of memory");
    } else if (rc == SQLITE_DONE) {
        status = indexer_fail(err, SYNCLINE_ENOTFOUND,
                              "there is no tag with this UUID: list the tags to see theirs");
    } else {
        status = indexer_fail_db(err, db, rc, "the tags could not be read");
    }
    sqlite3_finalize(stmt);
    return status;
}

/* In the caller's transaction: one statement (?1 uuid, and those it uses of ?2 name, ?3 color),
 * and the call that says so to Syncline. */
static enum syncline_status write_tag(struct syncline *lib, struct sqlite3 *db, const char *sql,
                                      struct tag_row *row, enum syncline_change change,
                                      struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        int used = sqlite3_bind_parameter_count(stmt);
        sqlite3_bind_blob(stmt, 1, row->uuid.bytes, sizeof(row->uuid.bytes), SQLITE_STATIC);
        if (used >= 2)
            sqlite3_bind_text(stmt, 2, row->name, -1, SQLITE_STATIC);
        if (used >= 3)
            sqlite3_bind_text(stmt, 3, row->color, -1, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_DONE)
        status = indexer_fail_db(err, db, rc, "the tag could not be written");
    sqlite3_finalize(stmt);
    if (change == SYNCLINE_INSERT)
        row->id = sqlite3_last_insert_rowid(db);
    if (status != SYNCLINE_OK || lib == NULL)
        return status;
    status = syncline_sync_model_with_db(lib, &indexer_tag_model, row, change, db);
    if (status != SYNCLINE_OK)
        return indexer_fail_sync(err, lib, status, "the tag could not be synced");
    return SYNCLINE_OK;
}

/* One transaction around a change; a tag that is changed or deleted is looked for first. */
static enum syncline_status change_tag(struct syncline *lib, struct sqlite3 *db, const char *sql,
                                       struct tag_row *row, enum syncline_change change,
                                       struct indexer_error *err)
{
    char *color = NULL;
    enum syncline_status status = indexer_db_begin(db, err);
    if (status != SYNCLINE_OK)
        return status;
    if (change != SYNCLINE_INSERT)
        status = find_tag(db, row, &color, err);
    if (status == SYNCLINE_OK)
        status = write_tag(lib, db, sql, row, change, err);
    if (status == SYNCLINE_OK)
        status = indexer_db_commit(db, err);
    else
        indexer_db_rollback(db);
    free(color);
    return status;
}

enum syncline_status indexer_tag_create(struct syncline *lib, struct sqlite3 *db, const char *name,
                                        const char *color, struct syncline_uuid *uuid,
                                        struct indexer_error *err)
{
    struct tag_row row = {.name = name, .color = color};
    enum syncline_status status = check_name(name, err);
    if (status == SYNCLINE_OK)
        status = check_color(color, err);
    if (status != SYNCLINE_OK)
        return status;
    status = syncline_uuid_new(&row.uuid, 1);
    if (status != SYNCLINE_OK)
        return indexer_fail_sync(err, NULL, status, "no UUID could be made");
    status = change_tag(lib, db, "INSERT INTO tags(uuid, name, color) VALUES (?1, ?2, ?3)", &row,
                        SYNCLINE_INSERT, err);
    if (status == SYNCLINE_OK && uuid != NULL)
        *uuid = row.uuid;
    return status;
}

enum syncline_status indexer_tag_rename(struct syncline *lib, struct sqlite3 *db,
                                        const struct syncline_uuid *uuid, const char *name,
                                        struct indexer_error *err)
{
    struct tag_row row = {.uuid = *uuid, .name = name};
    enum syncline_status status = check_name(name, err);
    if (status != SYNCLINE_OK)
        return status;
    return change_tag(lib, db, "UPDATE tags SET name = ?2 WHERE uuid = ?1", &row, SYNCLINE_UPDATE,
                      err);
}

enum syncline_status indexer_tag_delete(struct syncline *lib, struct sqlite3 *db,
                                        const struct syncline_uuid *uuid, struct indexer_error *err)
{
    struct tag_row row = {.uuid = *uuid, .name = ""};
    return change_tag(lib, db, "DELETE FROM tags WHERE uuid = ?1", &row, SYNCLINE_DELETE, err);
}

enum syncline_status indexer_tag_find(struct sqlite3 *db, const char *name,
                                      struct syncline_uuid *uuid, struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    struct syncline_uuid found = {{0}};
    unsigned count = 0;
    int rc = sqlite3_prepare_v2(db, "SELECT uuid FROM tags WHERE name = ?1", -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        memcpy(found.bytes, sqlite3_column_blob(stmt, 0), sizeof(found.bytes));
        count++;
        rc = SQLITE_OK;
    }
    char text[128];
    enum syncline_status status = SYNCLINE_OK;
    indexer_escape(text, sizeof(text), name, strlen(name));
    if (rc != SQLITE_DONE)
        status = indexer_fail_db(err, db, rc, "the tags could not be read");
    else if (count == 0)
        status = indexer_fail(err, SYNCLINE_ENOTFOUND,
                              "there is no tag %s: `syncline tag list` names them", text);
    else if (count > 1)
        status = indexer_fail(err, SYNCLINE_EINVAL,
                              "%u tags are called %s: give the UUID of the one that is meant, as "
                              "`syncline tag list` shows it",
                              count, text);
    else
        *uuid = found;
    sqlite3_finalize(stmt);
    return status;
}

enum syncline_status indexer_tag_list(struct sqlite3 *db,
                                      void (*each)(void *ctx, const struct tag_row *row), void *ctx,
                                      struct indexer_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT id, uuid, name, color FROM tags ORDER BY uuid", -1,
                                &stmt, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct tag_row row = {.id = sqlite3_column_int64(stmt, 0),
                              .name = (const char *)sqlite3_column_text(stmt, 2),
                              .color = (const char *)sqlite3_column_text(stmt, 3)};
        memcpy(row.uuid.bytes, sqlite3_column_blob(stmt, 1), sizeof(row.uuid.bytes));
        each(ctx, &row);
        rc = SQLITE_OK;
    }
    enum syncline_status status = SYNCLINE_OK;
    if (rc != SQLITE_DONE)
        status = indexer_fail_db(err, db, rc, "the tags could not be read");
    sqlite3_finalize(stmt);
    return status;
}
