/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/crash/crash_ledger.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void crash_give_up(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("sl-crash: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(2);
}

void crash_ledger_fini(struct crash_ledger *ledger)
{
    free(ledger->txns);
    memset(ledger, 0, sizeof(*ledger));
}

void crash_ledger_intend(struct crash_ledger *ledger, const struct crash_txn *txn)
{
    if (ledger->len == ledger->capacity) {
        ledger->capacity = ledger->capacity == 0 ? 64 : ledger->capacity * 2;
        struct crash_txn *grown = realloc(ledger->txns, ledger->capacity * sizeof(*grown));
        if (grown == NULL) {
            crash_give_up("no memory");
        }
        ledger->txns = grown;
    }
    ledger->txns[ledger->len++] = *txn;
}

void crash_ledger_commit(struct crash_ledger *ledger, uint32_t device, uint64_t id)
{
    ledger->committed[device] = id;
}

uint64_t crash_ledger_settle(struct crash_ledger *ledger, uint32_t device, uint64_t newest)
{
    size_t kept = 0;
    for (size_t i = 0; i < ledger->len; i++) {
        const struct crash_txn *txn = &ledger->txns[i];
        if (txn->device != device || txn->id <= newest) {
            ledger->txns[kept++] = *txn;
        }
    }
    ledger->len = kept;
    uint64_t committed = ledger->committed[device];
    ledger->committed[device] = newest;
    return committed > newest ? committed - newest : 0;
}

/* ---- The fold ----------------------------------------------------------------------------- */

static struct crash_row *slot_of(struct crash_fold *fold, const struct syncline_uuid *uuid)
{
    uint64_t hash = 0;
    memcpy(&hash, uuid->bytes + 8, sizeof(hash)); /* the random half */
    hash *= UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = (size_t)(hash >> 32) & (fold->capacity - 1);;
         i = (i + 1) & (fold->capacity - 1)) {
        struct crash_row *row = &fold->rows[i];
        if (!row->used || memcmp(row->uuid.bytes, uuid->bytes, 16) == 0) {
            return row;
        }
    }
}

void crash_fold_make(struct crash_fold *fold, const struct crash_ledger *ledger)
{
    size_t ops = 0;
    for (size_t i = 0; i < ledger->len; i++) {
        ops += ledger->txns[i].len;
    }
    fold->capacity = 16;
    while (fold->capacity < ops * 2) {
        fold->capacity *= 2;
    }
    fold->alive = 0;
    fold->rows = calloc(fold->capacity, sizeof(*fold->rows));
    if (fold->rows == NULL) {
        crash_give_up("no memory");
    }
    for (size_t i = 0; i < ledger->len; i++) {
        const struct crash_txn *txn = &ledger->txns[i];
        for (uint32_t j = 0; j < txn->len; j++) {
            const struct crash_op *op = &txn->ops[j];
            struct crash_row *row = slot_of(fold, &op->uuid);
            bool was_alive = row->alive;
            row->used = true;
            row->uuid = op->uuid;
            row->parent = op->parent;
            row->value = op->value;
            row->model = op->model;
            row->device = txn->device;
            row->alive = op->change != SYNCLINE_DELETE;
            row->changes++;
            fold->alive += row->alive && !was_alive ? 1u : 0u;
            fold->alive -= !row->alive && was_alive ? 1u : 0u;
        }
    }
}

void crash_fold_fini(struct crash_fold *fold)
{
    free(fold->rows);
    memset(fold, 0, sizeof(*fold));
}

struct crash_row *crash_fold_find(struct crash_fold *fold, const struct syncline_uuid *uuid)
{
    struct crash_row *row = slot_of(fold, uuid);
    return row->used ? row : NULL;
}
