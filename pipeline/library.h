/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The library behind the public handle, and its composition root: the one place that sees every
 * layer. syncline_open (api_open.c) builds one of these from the real world and gives it a worker;
 * the simulator builds them from simulated worlds and steps them itself.
 *
 * Thread: sl_library_open and _close by one thread; _step and _poll by one thread for each group
 * of stages; sl_library_capture by any thread. */

#ifndef SL_LIBRARY_H
#define SL_LIBRARY_H

#include "base/env.h"
#include "base/host_log.h"
#include "base/log_mark.h"
#include "base/settings.h"
#include "base/status.h"
#include "base/vector.h"
#include "net/identity.h"
#include "net/transport.h"
#include "pipeline/stats.h"

struct sl_library;

struct sl_library_config {
    const struct sl_env *env;           /* borrowed for life */
    const char *library_db;             /* path of the application's database, for env->vfs */
    const char *sync_db;                /* path of ours */
    const char *uuid_map;               /* folder of the UUID map; NULL: none */
    size_t uuid_map_size;               /* bytes of it; 0: as the settings say */
    const struct sl_identity *identity; /* copied */
    const struct syncline_model *const *models; /* borrowed for life */
    size_t models_count;
    struct sl_transport *transport; /* borrowed for life; NULL: no network */
    const char *listen;             /* address on the transport, or NULL */
    const char *const *peers;       /* addresses to dial */
    size_t peers_count;
    uint32_t batch_len;          /* changes per segment; 0: as the settings say */
    size_t memory;               /* bytes for batches and segments; 0: as the settings say */
    bool engine;                 /* runs the stages; else captures only */
    uint32_t settle_along_len;   /* durable batches that a capture settles along; 0: the default */
    struct sl_host_log host_log; /* copied */
    const struct sl_settings *settings; /* copied; its addresses and threads are for whoever opens;
                                           NULL: all defaults */
    bool log_was_damaged; /* a damaged sync.db was put away just now: said where a new one is */
    const struct sl_mark_keeper *keeper; /* borrowed for life; NULL: no marks (stages/epoch.h) */
    const char *place; /* tells the library's directory from a copy of it; NULL: not known */
    uint32_t scan_len; /* older rows that a slice of the scan looks at; 0: the default */
    uint32_t page_len; /* records in a page of a snapshot; 0: the default */
};

/* Makes sync.db and the _syncline_ tables of library.db (in WAL mode; made if missing).
 * Errors: EEXIST, EFORMAT, EDB, EIO, ENOSPC. */
enum syncline_status sl_library_create(const struct sl_library_config *config,
                                       const struct syncline_uuid *library_id,
                                       const char *library_name, const char *device_name,
                                       struct sl_error *err);

/* Opens what create made; checks formats and models. Starts no thread.
 * Errors: as syncline_open. On success *out is to be given to sl_library_close. */
enum syncline_status sl_library_open(const struct sl_library_config *config,
                                     struct sl_library **out, struct sl_error *err);
void sl_library_close(struct sl_library *library);

/* SL_STAGE_COUNT, or 0 without an engine. */
size_t sl_library_stage_count(const struct sl_library *library);
const char *sl_library_stage_name(const struct sl_library *library, size_t stage);
/* Runs one slice of one stage. Returns true if it did something. One thread at a time for each
 * stage; these belong together and are one thread's: net_flush, log_hold, acknowledge, compare and
 * the poll below; apply, settle and scan. */
bool sl_library_step(struct sl_library *library, size_t stage);
/* That slice took so long: for the figures alone. Called by the stage's thread. */
void sl_library_spent(struct sl_library *library, size_t stage, uint64_t ns);
/* Lets net_flush and apply do nothing, and everything else go on, until it is called with false. A
 * slice of theirs may be under way when this returns; sl_library_is_still says when none is any
 * more. Any thread. */
void sl_library_pause(struct sl_library *library, bool paused);
bool sl_library_is_still(struct sl_library *library);
/* Polls the network, waiting at most timeout_ms; included in no stage. */
void sl_library_poll(struct sl_library *library, uint32_t timeout_ms);
/* A contradiction or a dead disk was met: nothing moves any more. OK while all is well; else the
 * status, and the text through err. */
enum syncline_status sl_library_health(struct sl_library *library, struct sl_error *err);

/* The capture behind the three public calls. db NULL: the library's own connection. */
enum syncline_status sl_library_capture(struct sl_library *library,
                                        const struct syncline_model *model, const void *rows,
                                        size_t n, enum syncline_change change, struct sqlite3 *db,
                                        uint32_t batch_len, struct sl_error *err);

/* The same, with a ticket for it if that is not NULL. */
enum syncline_status sl_library_capture_ticket(struct sl_library *library,
                                               const struct syncline_model *model, const void *rows,
                                               size_t n, enum syncline_change change,
                                               struct sqlite3 *db, uint32_t batch_len,
                                               struct syncline_ticket *ticket,
                                               struct sl_error *err);
struct sl_commit;
/* The capture behind the two public calls that take JSON (stages/commit_record.h). */
enum syncline_status sl_library_commit(struct sl_library *library, const struct sl_commit *commit,
                                       struct sqlite3 *db, struct sl_error *err);

/* What syncline_attach and syncline_detach do. Errors as there. */
enum syncline_status sl_library_attach(struct sl_library *library, struct sqlite3 *db,
                                       struct sl_error *err);
enum syncline_status sl_library_detach(struct sl_library *library, struct sqlite3 *db,
                                       struct sl_error *err);

enum syncline_status sl_library_info(struct sl_library *library, struct syncline_info *info,
                                     struct sl_error *err);
enum syncline_status sl_library_digest(struct sl_library *library,
                                       const struct syncline_model *model, uint64_t *count,
                                       uint8_t hash[SL_HASH_SIZE], struct sl_error *err);

#endif
