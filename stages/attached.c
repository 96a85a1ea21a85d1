/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/attached.h"

#include <string.h>

enum syncline_status sl_attached_init(struct sl_attached_list *list)
{
    list->count = 0;
    return pthread_mutex_init(&list->lock, NULL) == 0 ? SYNCLINE_OK : SYNCLINE_ENOMEM;
}

/* Finalizes its statements, after which the connection may be gone. */
static void free_record(struct sl_attached *record, const struct sl_core *core)
{
    sl_call_memory_fini(&record->memory, core->models.count);
    sl_free(core->env->alloc, record);
}

/* As above, but leaves the statements alone. */
static void abandon(struct sl_attached *record, const struct sl_core *core)
{
    record->memory.rows.ldb.db.handle = NULL;
    sl_call_memory_fini(&record->memory, core->models.count);
    sl_free(core->env->alloc, record);
}

void sl_attached_fini(struct sl_attached_list *list, const struct sl_core *core)
{
    for (size_t i = 0; i < list->count; i++) {
        struct sl_attached *record = list->items[i];
        bool ours = pthread_equal(record->thread, pthread_self()) != 0;
        if (ours || sqlite3_db_mutex(record->handle) != NULL) {
            free_record(record, core);
        } else {
            abandon(record, core);
        }
    }
    list->count = 0;
    (void)pthread_mutex_destroy(&list->lock);
}

/* Its place in the list, or the list's length. */
static size_t place_of(const struct sl_attached_list *list, const sqlite3 *handle)
{
    size_t at = 0;
    while (at < list->count && list->items[at]->handle != handle) {
        at++;
    }
    return at;
}

/* Is it a connection to library.db? */
static enum syncline_status check_file(const char *path, sqlite3 *handle, struct sl_error *err)
{
    const char *file = sqlite3_db_filename(handle, "main"); /* links are looked through */
    if (file == NULL || strcmp(file, path) != 0) {
        return sl_fail(err, SYNCLINE_EINVAL,
                       "the connection is to '%.150s', and not to this library's '%.150s'",
                       file != NULL ? file : "", path);
    }
    return SYNCLINE_OK;
}

static enum syncline_status check_connection(const char *path, sqlite3 *handle,
                                             struct sl_error *err)
{
    enum syncline_status status = check_file(path, handle, err);
    if (status == SYNCLINE_OK && sqlite3_db_readonly(handle, "main") != 0) {
        return sl_fail(err, SYNCLINE_EINVAL,
                       "the connection is read-only: attach the one that writes, for captures do");
    }
    return status;
}

static enum syncline_status new_record(const struct sl_core *core, sqlite3 *handle,
                                       struct sl_attached **out, struct sl_error *err)
{
    struct sl_attached *record = sl_calloc(core->env->alloc, 1, sizeof(*record));
    if (record == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to attach a connection");
    }
    record->handle = handle;
    record->thread = pthread_self();
    sl_call_memory_init(&record->memory, core);
    sl_rows_borrow(&record->memory.rows, core, handle);
    *out = record;
    return SYNCLINE_OK;
}

/* Puts it into the list, if there is a place and the connection is not there yet. */
static enum syncline_status put(struct sl_attached_list *list, struct sl_attached *record,
                                struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    (void)pthread_mutex_lock(&list->lock);
    if (place_of(list, record->handle) < list->count) {
        status = sl_fail(err, SYNCLINE_EEXIST, "the connection is attached already");
    } else if (list->count == SL_ATTACHED_COUNT_MAX) {
        status = sl_fail(err, SYNCLINE_EREFUSED,
                         "%u connections are attached, which is the limit: detach those that are "
                         "not used",
                         SL_ATTACHED_COUNT_MAX);
    } else {
        list->items[list->count++] = record;
    }
    (void)pthread_mutex_unlock(&list->lock);
    return status;
}

enum syncline_status sl_attached_add(struct sl_attached_list *list, const struct sl_core *core,
                                     const char *path, sqlite3 *handle, struct sl_error *err)
{
    struct sl_attached *record = NULL;
    enum syncline_status status = check_connection(path, handle, err);
    if (status == SYNCLINE_OK) {
        status = new_record(core, handle, &record, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_outbox_prepare(&record->memory.rows.ldb, err);
    if (status == SYNCLINE_OK) {
        status = put(list, record, err);
    }
    if (status != SYNCLINE_OK) {
        free_record(record, core);
    }
    return status;
}

enum syncline_status sl_attached_remove(struct sl_attached_list *list, const struct sl_core *core,
                                        sqlite3 *handle, struct sl_error *err)
{
    struct sl_attached *record = NULL;
    (void)pthread_mutex_lock(&list->lock);
    size_t at = place_of(list, handle);
    if (at < list->count) {
        record = list->items[at];
        list->items[at] = list->items[--list->count];
    }
    (void)pthread_mutex_unlock(&list->lock);
    if (record == NULL) {
        return sl_fail(err, SYNCLINE_ENOTFOUND, "the connection is not attached to this handle");
    }
    free_record(record, core);
    return SYNCLINE_OK;
}

enum syncline_status sl_attached_find(struct sl_attached_list *list, const char *path,
                                      sqlite3 *handle, struct sl_attached **found,
                                      struct sl_error *err)
{
    struct sl_attached *record = NULL;
    bool ours = false;
    (void)pthread_mutex_lock(&list->lock);
    size_t at = place_of(list, handle);
    if (at < list->count) {
        record = list->items[at];
        ours = pthread_equal(record->thread, pthread_self()) != 0;
    }
    (void)pthread_mutex_unlock(&list->lock);
    if (record != NULL && !ours) {
        return sl_fail(err, SYNCLINE_EINVAL,
                       "the connection was attached by another thread: detach it and attach it "
                       "here, or leave it to that thread");
    }
    *found = record;
    return record != NULL ? SYNCLINE_OK : check_file(path, handle, err);
}
