/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A fault need not have an event: what fails may be tried again inside SQLite, or matter to nobody.
 * But in many runs each kind must have been told, which sl-sim asks of the counts. */

#include "tests/sim/sim_events.h"

#include <sqlite3.h>

#include "pipeline/library_view.h"

/* What there is of each code in one device's log. Events are written again if the commit that wrote
 * them failed, and after a failed sync that commit may stand all the same: the end of a failure
 * that is there twice, with its time, is one. */
static void read_codes(struct sl_sim_device *device, uint64_t codes[64])
{
    static_assert(SYNCLINE_CODE_WORKS_AGAIN == 11, "as in the statement");
    static const char sql[] = "SELECT code,count(DISTINCT CASE WHEN code=11 THEN at_ms||text ELSE "
                              "number END) FROM event GROUP BY code";
    sqlite3 *db = sl_sim_look(device, SL_SIM_SYNC_DB);
    if (db != NULL) {
        sqlite3_stmt *stmt = sl_sim_prepare(db, sql);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            codes[sqlite3_column_int(stmt, 0) & 63] = (uint64_t)sqlite3_column_int64(stmt, 1);
        }
        sqlite3_finalize(stmt);
        sl_sim_look_end(device, SL_SIM_SYNC_DB, db);
    }
}

static void expect(struct sl_sim_device *device, bool is_right, const char *what)
{
    if (!is_right) {
        sl_sim_fail(device->world, SL_SIM_INVARIANT, "device %d: its event log: %s", device->index,
                    what);
    }
}

/* Once nothing fails any more no stage may still count as failing. */
static void check_over(struct sl_sim_device *device)
{
    const struct sl_core *core = sl_library_core(device->engine);
    for (size_t i = 0; i < SL_STATUS_COUNT; i++) {
        if (core->events.failing[i] != 0) {
            sl_sim_fail(device->world, SL_SIM_INVARIANT,
                        "device %d: its event log: a failure that is not over: %s (stages %x)",
                        device->index, syncline_status_name((enum syncline_status)i),
                        core->events.failing[i]);
        }
    }
}

static void check_device(struct sl_sim_workload *work, struct sl_sim_device *device)
{
    uint64_t codes[64] = {0};
    read_codes(device, codes);
    uint64_t begins = codes[SYNCLINE_CODE_NO_SPACE] + codes[SYNCLINE_CODE_NO_MEMORY] +
                      codes[SYNCLINE_CODE_IO_FAILED] + codes[SYNCLINE_CODE_FAILED];
    uint64_t ends = codes[SYNCLINE_CODE_WORKS_AGAIN];
    bool is_hit = device->hits > 0;
    expect(device, codes[SYNCLINE_CODE_NO_SPACE] == 0 || device->hits_full > 0,
           "NO_SPACE, and its disk was never full");
    expect(device, codes[SYNCLINE_CODE_NO_MEMORY] == 0 || device->hits_memory > 0,
           "NO_MEMORY, and there always was some");
    expect(device, codes[SYNCLINE_CODE_IO_FAILED] == 0 || device->hits_error + device->deaths > 0,
           "IO_FAILED, and its disk never failed");
    expect(device, codes[SYNCLINE_CODE_FAILED] == 0 || is_hit, "FAILED, and nothing did");
    expect(device, codes[SYNCLINE_CODE_STOPPED] == 0, "STOPPED");
    expect(device, codes[SYNCLINE_CODE_HELD] == 0, "HELD");
    expect(device, ends <= begins, "WORKS_AGAIN without what had failed");
    expect(device,
           !work->switches.failures_end || device->opens > 1 ||
               codes[SYNCLINE_CODE_EVENTS_LOST] > 0 || (ends == 0) == (begins == 0),
           "a failure that is not over"); /* one may turn into another, which then is over */
    if (work->switches.failures_end) {
        check_over(device);
    }
    work->counts.events_no_space += codes[SYNCLINE_CODE_NO_SPACE];
    work->counts.events_no_memory += codes[SYNCLINE_CODE_NO_MEMORY];
    work->counts.events_io_failed += codes[SYNCLINE_CODE_IO_FAILED];
    work->counts.events_works_again += ends;
}

void sl_sim_check_events(struct sl_sim_workload *work)
{
    for (unsigned i = 0; i < work->world->devices_len && work->world->failures == 0; i++) {
        check_device(work, &work->world->devices[i]);
    }
}
