/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* One of the two devices: a library with an application that writes folders and files of its own,
 * in transactions that it tells the ledger of, and what is checked of it.
 *
 * A device knows its records by the column `owner`; files may lie in folders of the other one. */

#ifndef CRASH_DEVICE_H
#define CRASH_DEVICE_H

#include <sqlite3.h>

#include "net/identity.h"
#include "pipeline/library.h"
#include "tests/crash/crash_ledger.h"
#include "tests/crash/crash_witness.h"
#include "tests/sim/sim_random.h"

struct crash_device {
    uint32_t number;
    const struct sl_env *env; /* borrowed */
    char library_db[256];
    char sync_db[256];
    char uuid_map[256]; /* empty: none */
    struct sl_identity identity;
    const char *listen;          /* borrowed */
    const char *peer;            /* borrowed; NULL: the other one dials */
    const char *app_synchronous; /* of the application's connection: "FULL" or "NORMAL" */
    struct crash_memory *memory; /* of its witness; borrowed */

    /* While it is open. */
    sqlite3 *db; /* the application's */
    struct sl_transport *transport;
    struct sl_library *library;
    uint64_t txns; /* it has committed */
};

/* What a ledger is told. `fn` says whether the transaction is about to be, or was, committed. */
struct crash_teller {
    void (*intend)(void *ctx, const struct crash_txn *txn);
    void (*committed)(void *ctx, const struct crash_txn *txn);
    void *ctx;
};

/* What was found. */
struct crash_verdict {
    uint64_t lost;
    uint64_t dup;
    uint64_t ack_violations;
    char text[512]; /* the first of it; empty: nothing */
};

void crash_verdict_add(struct crash_verdict *verdict, const struct crash_verdict *more);
/* Transactions that were said to be committed are not in the device's tables any more. */
void crash_verdict_lost(struct crash_verdict *verdict, uint32_t device, uint64_t txns);

/* Makes both devices' libraries, members of each other. */
void crash_devices_create(struct crash_device devices[CRASH_DEVICES]);

/* `inner` is the transport, which becomes the device's. Errors: as sl_library_open. */
enum syncline_status crash_device_open(struct crash_device *device, struct sl_transport *inner,
                                       struct sl_error *err);
void crash_device_close(struct crash_device *device);

/* One transaction of the application. False: its COMMIT, or something before it, failed. */
bool crash_device_write(struct crash_device *device, struct sl_sim_random *random,
                        const struct crash_teller *teller);

/* The newest transaction that its tables hold. */
uint64_t crash_device_newest(struct crash_device *device);

/* Is it true what it said to the other one: does its log hold what it acknowledged, and what it
 * sent? Of an open device of which nothing runs yet. */
void crash_device_check_log_word(struct crash_device *device, struct crash_verdict *verdict);
/* And is applied what it said is applied? False, when not; `verdict` may be NULL. */
bool crash_device_check_applied_word(struct crash_device *device, struct crash_verdict *verdict);
/* Do its tables hold what the ledger says? */
void crash_device_check_tables(sqlite3 *db, uint32_t number, struct crash_fold *fold,
                               struct crash_verdict *verdict);
/* Is each change in its own log, none of them twice? */
void crash_device_check_log(struct crash_device *device, struct crash_fold *fold,
                            struct crash_verdict *verdict);

#endif
