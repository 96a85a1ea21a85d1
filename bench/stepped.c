/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "bench/stepped.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "bench/clock.h"
#include "indexer/models.h"
#include "indexer/schema.h"

static enum syncline_status open_library(struct bench_stepped *stepped, const char *dir,
                                         const struct syncline_uuid *library_id, const char *name,
                                         const char *peer, struct indexer_error *err)
{
    char library_db[BENCH_PATH_SIZE + 16];
    char sync_db[BENCH_PATH_SIZE + 16];
    struct sl_identity identity;
    struct sl_error said = {.text = ""};
    (void)snprintf(library_db, sizeof(library_db), "%s/" INDEXER_DB_NAME, dir);
    (void)snprintf(sync_db, sizeof(sync_db), "%s/sync.db", dir);
    const struct sl_library_config config = {.env = sl_env_posix(),
                                             .library_db = library_db,
                                             .sync_db = sync_db,
                                             .identity = &identity,
                                             .models = indexer_models,
                                             .models_count = INDEXER_MODELS_COUNT,
                                             .transport = stepped->transport,
                                             .listen = name,
                                             .peers = &peer,
                                             .peers_count = peer != NULL ? 1 : 0,
                                             .engine = true};
    enum syncline_status status = sl_identity_new(config.env, &identity, &said);
    if (status == SYNCLINE_OK) {
        status = sl_library_create(&config, library_id, "bench", name, &said);
    }
    if (status == SYNCLINE_OK) {
        status = sl_library_open(&config, &stepped->library, &said);
    }
    if (status != SYNCLINE_OK) {
        return indexer_fail(err, status, "no library can be made in %s: %s", dir, said.text);
    }
    assert(sl_library_stage_count(stepped->library) <= BENCH_STAGES_MAX);
    return SYNCLINE_OK;
}

enum syncline_status bench_stepped_open(struct bench_stepped *stepped, struct bench_folder *folder,
                                        struct sl_local_hub *hub,
                                        const struct syncline_uuid *library_id, const char *name,
                                        const char *peer, struct indexer_error *err)
{
    char dir[BENCH_PATH_SIZE];
    *stepped = (struct bench_stepped){.library = NULL};
    enum syncline_status status = bench_folder_next(folder, dir, err);
    if (status == SYNCLINE_OK) {
        status = indexer_db_open(dir, INDEXER_DB_CREATE, &stepped->db, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = sl_transport_local_new(hub, &stepped->transport);
    if (status != SYNCLINE_OK) {
        (void)indexer_fail(err, status, "out of memory for a transport");
    } else {
        status = open_library(stepped, dir, library_id, name, peer, err);
    }
    if (status == SYNCLINE_OK) {
        int rc = sqlite3_prepare_v2(stepped->db, "SELECT max(applied_seq) FROM _syncline_origin",
                                    -1, &stepped->stands, NULL);
        if (rc != SQLITE_OK) {
            status = indexer_fail_db(err, stepped->db, rc, "library.db cannot be read");
        }
    }
    if (status != SYNCLINE_OK) {
        bench_stepped_close(stepped);
    }
    return status;
}

void bench_stepped_close(struct bench_stepped *stepped)
{
    sqlite3_finalize(stepped->stands);
    sl_library_close(stepped->library);
    if (stepped->transport != NULL) {
        stepped->transport->ops->free(stepped->transport);
    }
    indexer_db_close(stepped->db);
    *stepped = (struct bench_stepped){.library = NULL};
}

enum syncline_status bench_stepped_stage(const struct bench_stepped *stepped, const char *name,
                                         size_t *stage, struct indexer_error *err)
{
    size_t count = sl_library_stage_count(stepped->library);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(sl_library_stage_name(stepped->library, i), name) == 0) {
            *stage = i;
            return SYNCLINE_OK;
        }
    }
    return indexer_fail(err, SYNCLINE_ENOTFOUND, "the library has no stage '%s'", name);
}

bool bench_stepped_run(struct bench_stepped *stepped, size_t count)
{
    bool any = false;
    uint64_t start_ns = bench_now_ns();
    for (size_t i = 0; i < count; i++) {
        bool worked = sl_library_step(stepped->library, i);
        uint64_t end_ns = bench_now_ns();
        stepped->stage_ns[i] += worked ? end_ns - start_ns : 0;
        start_ns = end_ns;
        any = any || worked;
    }
    return any;
}

bool bench_stepped_run_all(struct bench_stepped *stepped)
{
    bool worked = bench_stepped_run(stepped, sl_library_stage_count(stepped->library));
    uint64_t start_ns = bench_now_ns();
    sl_library_poll(stepped->library, 0);
    stepped->poll_ns += bench_now_ns() - start_ns;
    return worked;
}

enum syncline_status bench_stepped_stands(struct bench_stepped *stepped, uint64_t *seq,
                                          struct indexer_error *err)
{
    int rc = sqlite3_step(stepped->stands);
    if (rc == SQLITE_ROW) {
        *seq = (uint64_t)sqlite3_column_int64(stepped->stands, 0);
    }
    sqlite3_reset(stepped->stands);
    return rc == SQLITE_ROW ? SYNCLINE_OK
                            : indexer_fail_db(err, stepped->db, rc, "library.db cannot be read");
}
