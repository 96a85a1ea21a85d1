/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The ledger: what the applications of both devices have committed, kept by who is not crashed. It
 * is told of a transaction before its COMMIT and again after it; of one that was under way when its
 * device died, the device's own tables say afterwards whether it was committed (each transaction
 * leaves its number there). A record is only ever changed on the device that made it, so that the
 * last transaction on it is what must be found, on both devices. */

#ifndef CRASH_LEDGER_H
#define CRASH_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/syncline.h"

#define CRASH_DEVICES 2u
#define CRASH_OPS_MAX 12u

enum crash_model { CRASH_FOLDER, CRASH_FILE };

struct crash_op {
    struct syncline_uuid uuid;
    struct syncline_uuid parent; /* of a file: its folder */
    uint32_t value;              /* what the record then holds */
    uint8_t change;              /* enum syncline_change */
    uint8_t model;               /* enum crash_model */
    uint8_t unused[2];
};

/* Small enough for one atomic write into a pipe. */
struct crash_txn {
    uint64_t id; /* 1, 2, 3, ... on each device */
    uint32_t device;
    uint32_t len;
    struct crash_op ops[CRASH_OPS_MAX];
};

struct crash_ledger {
    struct crash_txn *txns; /* in the order of their COMMIT, per device */
    size_t len;
    size_t capacity;
    uint64_t committed[CRASH_DEVICES]; /* newest transaction that was said to be committed */
};

/* One record, as the ledger has it. */
struct crash_row {
    struct syncline_uuid uuid;
    struct syncline_uuid parent;
    uint32_t value;
    uint8_t model;
    bool used;
    bool alive;
    uint32_t device;  /* that made it */
    uint32_t seen;    /* in the table that is compared */
    uint32_t changes; /* in the ledger, inserts, updates and deletes together */
    uint32_t logged;  /* the same in the log that is compared */
    uint32_t inserts; /* in that log */
};

struct crash_fold {
    struct crash_row *rows; /* open addressing, a power of two */
    size_t capacity;
    size_t alive;
};

void crash_ledger_fini(struct crash_ledger *ledger);
void crash_ledger_intend(struct crash_ledger *ledger, const struct crash_txn *txn);
void crash_ledger_commit(struct crash_ledger *ledger, uint32_t device, uint64_t id);
/* After a crash: the device's tables hold its transactions up to `newest`, and later ones are
 * struck out. Returns how many of those were said to be committed. */
uint64_t crash_ledger_settle(struct crash_ledger *ledger, uint32_t device, uint64_t newest);

/* What both devices must hold. */
void crash_fold_make(struct crash_fold *fold, const struct crash_ledger *ledger);
void crash_fold_fini(struct crash_fold *fold);
/* NULL: the ledger knows no such record. */
struct crash_row *crash_fold_find(struct crash_fold *fold, const struct syncline_uuid *uuid);

/* The harness cannot go on: says why, and ends this process. */
_Noreturn void crash_give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
