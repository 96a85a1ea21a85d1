/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "cli/session.h"

#include <inttypes.h>
#include <string.h>

#include "cli/meter.h"
#include "cli/output.h"
#include "cli/stop.h"
#include "indexer/device_manager.h"
#include "indexer/models.h"
#include "indexer/schema.h"

#define SLICE_MS 200 /* how long a signal may have to wait for us */
#define POLL_MS 20   /* between two looks at the state of the library */

struct syncline_options cli_session_options(const struct cli_options *options, char *error,
                                            size_t error_size)
{
    struct syncline_options result = SYNCLINE_OPTIONS_INIT;
    result.models = indexer_models;
    result.models_count = INDEXER_MODELS_COUNT;
    result.device_name = options->device_name;
    bool by_settings = options->command->network_by_settings;
    result.listen = options->listen != NULL || by_settings ? options->listen : "";
    result.peers = options->peers_count > 0 || !by_settings ? options->peers : NULL;
    result.peers_count = options->peers_count;
    result.insecure_loopback = options->insecure_loopback;
    result.error = error;
    result.error_size = error_size;
    error[0] = '\0';
    return result;
}

/* Makes the tables; only for a directory that is known to be a library. */
static int make_tables(const char *dir)
{
    struct indexer_error err = {{0}};
    struct sqlite3 *db = NULL;
    if (indexer_db_open(dir, 0, &db, &err) != SYNCLINE_OK) {
        return cli_fail("%s", err.text);
    }
    indexer_db_close(db);
    return CLI_EXIT_OK;
}

int64_t cli_session_engine(const struct cli_options *options)
{
    char text[512];
    struct syncline *lib = NULL;
    struct syncline_info info = SYNCLINE_INFO_INIT;
    struct syncline_options open_options = cli_session_options(options, text, sizeof(text));
    open_options.role = SYNCLINE_ROLE_CAPTURE;
    if (syncline_open(options->library, &open_options, &lib) != SYNCLINE_OK) {
        return 0;
    }
    int64_t pid = syncline_info(lib, &info) == SYNCLINE_OK ? info.engine_pid : 0;
    syncline_close(lib);
    return pid;
}

/* Another process runs the engine. What the library says of it is for programs, too. */
static int fail_taken(const struct cli_options *options, const char *text)
{
    int64_t pid = cli_session_engine(options);
    if (pid == 0) {
        return cli_fail("%s", text);
    }
    return cli_fail("process %" PRId64
                    " runs the engine of this library: end it first (Ctrl-C where "
                    "it runs, or `kill %" PRId64 "`)%s",
                    pid, pid,
                    options->command->network_by_settings
                        ? ""
                        : ", or leave out --listen and --peer: it sends what is written here");
}

int cli_session_open(const struct cli_options *options, enum syncline_role role,
                     struct cli_session *session)
{
    char text[512];
    struct indexer_error err = {{0}};
    struct syncline_options open_options = cli_session_options(options, text, sizeof(text));
    open_options.role = role;
    memset(session, 0, sizeof(*session));

    enum syncline_status status = syncline_open(options->library, &open_options, &session->lib);
    if (status == SYNCLINE_EMODEL) {
        /* Killed between making the library and making its tables: now is the time. */
        int code = make_tables(options->library);
        if (code != CLI_EXIT_OK) {
            return code;
        }
        status = syncline_open(options->library, &open_options, &session->lib);
    }
    if (status == SYNCLINE_EBUSY && role == SYNCLINE_ROLE_ENGINE) {
        return fail_taken(options, text);
    }
    if (status != SYNCLINE_OK) {
        return cli_fail("%s", text[0] != '\0' ? text : syncline_status_text(status));
    }
    if (indexer_db_open(options->library, 0, &session->db, &err) != SYNCLINE_OK) {
        cli_fail("%s", err.text);
        goto err_close_library;
    }
    if (cli_session_info(session) != CLI_EXIT_OK) {
        goto err_close_db;
    }
    return CLI_EXIT_OK;

err_close_db:
    indexer_db_close(session->db);
err_close_library:
    syncline_close(session->lib);
    return CLI_EXIT_FAIL;
}

void cli_session_close(struct cli_session *session)
{
    indexer_db_close(session->db);
    syncline_close(session->lib);
}

static int fail_library(struct cli_session *session, enum syncline_status status)
{
    char text[512];
    syncline_error(session->lib, text, sizeof(text));
    return cli_fail("%s", text[0] != '\0' ? text : syncline_status_text(status));
}

int cli_session_info(struct cli_session *session)
{
    struct syncline_info info = SYNCLINE_INFO_INIT;
    enum syncline_status status = syncline_info(session->lib, &info);
    if (status != SYNCLINE_OK) {
        return fail_library(session, status);
    }
    session->info = info;
    return CLI_EXIT_OK;
}

int cli_session_register(struct cli_session *session)
{
    struct indexer_error err = {{0}};
    enum syncline_status status = indexer_device_register(
        session->lib, session->db, &session->info.device_id, session->info.device_name, NULL, &err);
    return status == SYNCLINE_OK ? CLI_EXIT_OK : cli_fail("%s", err.text);
}

static int fail_interrupted(void)
{
    return cli_stopped(
        "interrupted while waiting; what was committed stays and goes on with the next "
        "`syncline serve`");
}

int cli_session_flush(struct cli_session *session)
{
    uint64_t outbox = UINT64_MAX;
    uint64_t moved_ns = cli_now_ns();
    for (;;) {
        enum syncline_status status =
            syncline_flush(session->lib, SYNCLINE_LEVEL_DURABLE, SLICE_MS, NULL);
        if (status == SYNCLINE_OK) {
            return CLI_EXIT_OK;
        }
        if (status != SYNCLINE_TIMEOUT) {
            return fail_library(session, status);
        }
        if (cli_stop_asked()) {
            return fail_interrupted();
        }
        if (cli_session_info(session) != CLI_EXIT_OK) {
            return CLI_EXIT_FAIL;
        }
        if (session->info.outbox < outbox) {
            outbox = session->info.outbox;
            moved_ns = cli_now_ns();
        }
        if (cli_now_ns() - moved_ns > (uint64_t)CLI_STALL_MS * 1000000u) {
            return cli_fail("%" PRIu64 " changes are committed but nobody takes them into the log; "
                            "start `syncline serve` on this library",
                            session->info.outbox);
        }
    }
}

uint64_t cli_missing(uint64_t all, uint64_t done)
{
    return all > done ? all - done : 0;
}

static int fail_timeout(const struct syncline_info *info)
{
    uint64_t not_applied = info->members > 0 ? cli_missing(info->own_seq, info->applied_seq) : 0;
    uint64_t not_received = cli_missing(info->announced, info->received_applied);
    return cli_no("time is over; left: %" PRIu64 " changes here that are not in the log, %" PRIu64
                  " that other devices have not applied, %" PRIu64
                  " of theirs that are not applied here; run `syncline serve` on all devices and "
                  "wait longer",
                  info->outbox, not_applied, not_received);
}

int cli_session_wait(struct cli_session *session, int64_t timeout_ms)
{
    uint64_t start_ns = cli_now_ns();
    struct cli_meter meter;
    bool sent = false;
    cli_meter_start(&meter, "waiting", "changes", 0);
    for (;;) {
        if (!sent) {
            /* Without other members there is nobody to apply anything: the log is as far as it
             * goes. */
            enum syncline_level level =
                session->info.members > 0 ? SYNCLINE_LEVEL_APPLIED : SYNCLINE_LEVEL_DURABLE;
            enum syncline_status status =
                syncline_flush(session->lib, level, timeout_ms == 0 ? 0 : POLL_MS, NULL);
            if (status != SYNCLINE_OK && status != SYNCLINE_TIMEOUT) {
                return fail_library(session, status);
            }
            sent = status == SYNCLINE_OK;
        }
        if (cli_session_info(session) != CLI_EXIT_OK) {
            return CLI_EXIT_FAIL;
        }
        const struct syncline_info *info = &session->info;
        if (sent && info->received_applied >= info->announced) {
            cli_progress_end();
            return CLI_EXIT_OK;
        }
        /* What is left of both directions, of all that was left at first. */
        uint64_t left = info->outbox + cli_missing(info->announced, info->received_applied) +
                        (info->members > 0 ? cli_missing(info->own_seq, info->applied_seq) : 0);
        meter.total = left > meter.total ? left : meter.total;
        cli_meter_show(&meter, meter.total - left);
        if (cli_stop_asked()) {
            return fail_interrupted();
        }
        if (timeout_ms >= 0 && cli_now_ns() - start_ns >= (uint64_t)timeout_ms * 1000000u) {
            return fail_timeout(info);
        }
        if (sent) {
            (void)cli_stop_wait(POLL_MS);
        }
    }
}

/* Of the changes of this device, those that the member has not applied. */
static uint64_t left_for(struct cli_session *session, const struct syncline_uuid *id)
{
    for (size_t i = 0;; i++) {
        struct syncline_member member = SYNCLINE_MEMBER_INIT;
        if (syncline_member_get(session->lib, i, &member) != SYNCLINE_OK) {
            return session->info.own_seq;
        }
        if (memcmp(&member.device_id, id, sizeof(*id)) == 0) {
            return cli_missing(session->info.own_seq, member.applied_seq);
        }
    }
}

int cli_session_wait_for(struct cli_session *session, const struct syncline_uuid *member,
                         int64_t timeout_ms)
{
    uint64_t start_ns = cli_now_ns();
    struct cli_meter meter;
    cli_meter_start(&meter, "waiting", "changes", 0);
    for (;;) {
        /* What is in the outbox has no number yet. */
        enum syncline_status status = syncline_flush(session->lib, SYNCLINE_LEVEL_DURABLE,
                                                     timeout_ms == 0 ? 0 : POLL_MS, NULL);
        if (status != SYNCLINE_OK && status != SYNCLINE_TIMEOUT) {
            return fail_library(session, status);
        }
        if (cli_session_info(session) != CLI_EXIT_OK) {
            return CLI_EXIT_FAIL;
        }
        uint64_t left = session->info.outbox + left_for(session, member);
        if (status == SYNCLINE_OK && left == 0) {
            cli_progress_end();
            return CLI_EXIT_OK;
        }
        meter.total = left > meter.total ? left : meter.total;
        cli_meter_show(&meter, meter.total - left);
        if (cli_stop_asked()) {
            return fail_interrupted();
        }
        if (timeout_ms >= 0 && cli_now_ns() - start_ns >= (uint64_t)timeout_ms * 1000000u) {
            return cli_no("time is over; left: %" PRIu64 " changes of this device; run `syncline "
                          "serve` on both and wait longer",
                          left);
        }
        (void)cli_stop_wait(POLL_MS);
    }
}

const char *cli_change_name(enum syncline_change change)
{
    static const char *const names[] = {
        [SYNCLINE_INSERT] = "insert", [SYNCLINE_UPDATE] = "update", [SYNCLINE_DELETE] = "delete"};
    return names[change];
}
