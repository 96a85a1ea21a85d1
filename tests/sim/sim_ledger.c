/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "tests/sim/sim_ledger.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE (256u * 1024)

struct block {
    struct block *next;
    size_t used;
    size_t size;
    _Alignas(16) uint8_t data[];
};

void sl_sim_ledger_init(struct sl_sim_ledger *ledger, struct sl_sim_world *world)
{
    memset(ledger, 0, sizeof(*ledger));
    ledger->world = world;
    sl_sim_random_fill(&world->workload, ledger->uuid_salt, sizeof(ledger->uuid_salt));
}

void sl_sim_ledger_fini(struct sl_sim_ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->records_len; i++) {
        free(ledger->records[i].births);
        free(ledger->records[i].referrers);
    }
    free(ledger->records);
    free(ledger->versions);
    free(ledger->txs);
    while (ledger->blocks != NULL) {
        struct block *block = ledger->blocks;
        ledger->blocks = block->next;
        free(block);
    }
}

void *sl_sim_ledger_alloc(struct sl_sim_ledger *ledger, size_t size)
{
    size = (size + 15) / 16 * 16;
    struct block *block = ledger->blocks;
    if (block == NULL || block->size - block->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = sl_sim_alloc(sizeof(*block) + room);
        block->size = room;
        block->next = ledger->blocks;
        ledger->blocks = block;
    }
    void *memory = block->data + block->used;
    block->used += size;
    return memory;
}

/* Arrays double: they are grown when their length is a power of two. */
static void *grow(void *array, uint32_t len, size_t item_size)
{
    if ((len & (len - 1)) != 0) {
        return array;
    }
    return sl_sim_realloc(array, (len == 0 ? 1 : (size_t)len * 2) * item_size);
}

/* ---- Records and versions ----------------------------------------------------------------- */

uint32_t sl_sim_record_new(struct sl_sim_ledger *ledger, uint32_t model, int owner)
{
    uint32_t number = ledger->records_len;
    ledger->records = grow(ledger->records, number, sizeof(*ledger->records));
    struct sl_sim_record *record = &ledger->records[number];
    memset(record, 0, sizeof(*record));
    record->model = model;
    record->owner = owner;
    uint8_t *b = record->uuid.bytes;
    uint64_t ms = 1767225600000u + ledger->world->now_ns / 1000000u;
    for (int i = 0; i < 6; i++) {
        b[i] = (uint8_t)(ms >> (40 - 8 * i));
    }
    memcpy(b + 6, ledger->uuid_salt, 6);
    b[6] = (uint8_t)(0x70 | (b[6] & 0x0f));
    b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
    for (int i = 0; i < 4; i++) {
        b[12 + i] = (uint8_t)(number >> (24 - 8 * i));
    }
    ledger->records_len++;
    return number;
}

struct sl_sim_record *sl_sim_record_find(struct sl_sim_ledger *ledger,
                                         const struct syncline_uuid *uuid)
{
    uint32_t number = 0;
    for (int i = 0; i < 4; i++) {
        number = number << 8 | uuid->bytes[12 + i];
    }
    if (number >= ledger->records_len ||
        memcmp(&ledger->records[number].uuid, uuid, sizeof(*uuid)) != 0) {
        return NULL;
    }
    return &ledger->records[number];
}

uint32_t sl_sim_record_number(const struct sl_sim_ledger *ledger,
                              const struct sl_sim_record *record)
{
    return (uint32_t)(record - ledger->records);
}

struct sl_sim_version *sl_sim_version_find(struct sl_sim_ledger *ledger, int64_t rev,
                                           uint32_t record)
{
    if (rev < 1 || rev > (int64_t)ledger->versions_len ||
        ledger->versions[rev - 1].record != record) {
        return NULL;
    }
    return &ledger->versions[rev - 1];
}

static void add_referrer(struct sl_sim_record *parent, uint32_t child)
{
    if (parent->referrers_len > 0 && parent->referrers[parent->referrers_len - 1] == child) {
        return;
    }
    parent->referrers = grow(parent->referrers, parent->referrers_len, sizeof(*parent->referrers));
    parent->referrers[parent->referrers_len++] = child;
}

static uint32_t version_new(struct sl_sim_ledger *ledger, uint32_t record, uint32_t birth,
                            uint32_t seen, int device, struct sl_sim_value *values)
{
    ledger->versions = grow(ledger->versions, ledger->versions_len, sizeof(*ledger->versions));
    uint32_t rev = ++ledger->versions_len;
    ledger->versions[rev - 1] = (struct sl_sim_version){
        .record = record, .birth = birth, .seen = seen, .device = device, .values = values};
    values[0] = (struct sl_sim_value){.kind = SL_SIM_INT, .integer = rev};
    const struct sl_sim_model *model = &ledger->world->schema.models[ledger->records[record].model];
    for (uint32_t i = 0; i < model->columns_len; i++) {
        if (values[i].kind == SL_SIM_REF) {
            add_referrer(&ledger->records[values[i].integer], record);
        }
    }
    return rev;
}

uint32_t sl_sim_version_born(struct sl_sim_ledger *ledger, uint32_t record, int device,
                             struct sl_sim_value *values)
{
    struct sl_sim_record *r = &ledger->records[record];
    r->births = grow(r->births, r->births_len, sizeof(*r->births));
    r->births[r->births_len] = (struct sl_sim_birth){.state = SL_SIM_PENDING, .device = device};
    return version_new(ledger, record, r->births_len++, 0, device, values);
}

uint32_t sl_sim_version_next(struct sl_sim_ledger *ledger, uint32_t seen, int device,
                             struct sl_sim_value *values)
{
    const struct sl_sim_version *before = &ledger->versions[seen - 1];
    return version_new(ledger, before->record, before->birth, seen, device, values);
}

/* ---- Outcomes ----------------------------------------------------------------------------- */

static struct sl_sim_birth *birth_of(struct sl_sim_ledger *ledger, uint32_t rev)
{
    const struct sl_sim_version *version = &ledger->versions[rev - 1];
    return &ledger->records[version->record].births[version->birth];
}

void sl_sim_ledger_begin_delete(struct sl_sim_ledger *ledger, int device, uint32_t seen)
{
    birth_of(ledger, seen)->deleting |= 1u << device;
    ledger->records[ledger->versions[seen - 1].record].retired = true;
}

static void commit_op(struct sl_sim_ledger *ledger, int device, const struct sl_sim_op *op)
{
    uint32_t rev = op->kind == SL_SIM_OP_DELETE ? op->seen : op->rev;
    struct sl_sim_record *record = &ledger->records[ledger->versions[rev - 1].record];
    struct sl_sim_birth *birth = birth_of(ledger, rev);
    birth->touched |= 1u << device;
    if (op->kind == SL_SIM_OP_DELETE) {
        birth->state = SL_SIM_DEAD;
        birth->deleting &= ~(1u << device);
        birth->deleted |= 1u << device;
        return;
    }
    if (op->kind == SL_SIM_OP_INSERT) {
        birth->state = SL_SIM_LIVING;
    } else {
        ledger->versions[op->seen - 1].overwritten = true;
    }
    ledger->versions[rev - 1].outcome = SL_SIM_COMMITTED;
    ledger->changes[device]++;
    record->last_rev[device] = rev;
}

/* The host's disk lost it: as if it had never been, but that a log may have it. */
static void lose_op(struct sl_sim_ledger *ledger, int device, const struct sl_sim_op *op)
{
    uint32_t rev = op->kind == SL_SIM_OP_DELETE ? op->seen : op->rev;
    struct sl_sim_birth *birth = birth_of(ledger, rev);
    if (op->kind == SL_SIM_OP_DELETE) {
        birth->deleted &= ~(1u << device);
        birth->lost_deletes |= 1u << device;
        birth->state = birth->deleted != 0 ? SL_SIM_DEAD : SL_SIM_LIVING;
        return;
    }
    ledger->versions[rev - 1].outcome = SL_SIM_LOST_BY_HOST;
    uint32_t before =
        op->seen != 0 && ledger->versions[op->seen - 1].device == device ? op->seen : 0;
    ledger->records[ledger->versions[rev - 1].record].last_rev[device] = before;
    if (op->kind == SL_SIM_OP_INSERT) {
        birth->state = SL_SIM_UNDONE;
    } else {
        ledger->versions[op->seen - 1].overwritten = false;
    }
}

uint32_t sl_sim_tx_begin(struct sl_sim_ledger *ledger, int device)
{
    ledger->txs = grow(ledger->txs, ledger->txs_len, sizeof(*ledger->txs));
    ledger->txs[ledger->txs_len++] = (struct sl_sim_tx){.device = device, .outcome = SL_SIM_OPEN};
    return ledger->txs_len;
}

static void set_outcome(struct sl_sim_ledger *ledger, struct sl_sim_tx *tx,
                        enum sl_sim_outcome outcome)
{
    if (outcome == SL_SIM_COMMITTED) {
        for (size_t i = 0; i < tx->ops_len; i++) {
            commit_op(ledger, tx->device, &tx->ops[i]);
        }
    } else if (outcome == SL_SIM_LOST_BY_HOST) {
        for (size_t i = tx->ops_len; i-- > 0;) {
            lose_op(ledger, tx->device, &tx->ops[i]);
        }
    } else if (outcome == SL_SIM_UNDONE_BY_APP) {
        sl_sim_ledger_undo(ledger, tx->device, tx->ops, tx->ops_len);
    } else {
        for (size_t i = 0; i < tx->ops_len; i++) { /* for now what it deleted is there */
            const struct sl_sim_op *op = &tx->ops[i];
            struct sl_sim_birth *birth = birth_of(ledger, op->seen != 0 ? op->seen : op->rev);
            birth->deleting &= ~(1u << tx->device);
        }
    }
    tx->outcome = outcome;
}

void sl_sim_tx_end(struct sl_sim_ledger *ledger, uint32_t number, enum sl_sim_outcome outcome,
                   const struct sl_sim_op *ops, size_t len)
{
    struct sl_sim_tx *tx = &ledger->txs[number - 1];
    tx->ops = sl_sim_ledger_alloc(ledger, (len + 1) * sizeof(*ops));
    if (len > 0) {
        memcpy(tx->ops, ops, len * sizeof(*ops));
    }
    tx->ops_len = len;
    set_outcome(ledger, tx, outcome);
}

void sl_sim_tx_settle(struct sl_sim_ledger *ledger, uint32_t number, bool is_there)
{
    struct sl_sim_tx *tx = &ledger->txs[number - 1];
    if (tx->outcome == SL_SIM_OPEN) {
        set_outcome(ledger, tx, is_there ? SL_SIM_COMMITTED : SL_SIM_UNDONE_BY_APP);
    } else if (tx->outcome == SL_SIM_COMMITTED && !is_there) {
        set_outcome(ledger, tx, SL_SIM_LOST_BY_HOST);
    }
}

void sl_sim_ledger_undo(struct sl_sim_ledger *ledger, int device, const struct sl_sim_op *ops,
                        size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (ops[i].kind == SL_SIM_OP_INSERT) {
            birth_of(ledger, ops[i].rev)->state = SL_SIM_UNDONE;
        } else if (ops[i].kind == SL_SIM_OP_DELETE) {
            birth_of(ledger, ops[i].seen)->deleting &= ~(1u << device);
        }
        if (ops[i].rev != 0) {
            ledger->versions[ops[i].rev - 1].outcome = SL_SIM_UNDONE_BY_APP;
        }
    }
}

bool sl_sim_record_dead(const struct sl_sim_record *record, int device)
{
    for (uint32_t i = 0; i < record->births_len; i++) {
        const struct sl_sim_birth *birth = &record->births[i];
        bool ours = device >= 0 && (birth->deleting & (1u << device)) != 0;
        if (!ours && (birth->state == SL_SIM_PENDING || birth->state == SL_SIM_LIVING)) {
            return false;
        }
    }
    return true;
}

bool sl_sim_record_buried(const struct sl_sim_record *record, int device)
{
    const struct sl_sim_birth *last = NULL;
    for (uint32_t i = 0; i < record->births_len; i++) {
        if (record->births[i].state == SL_SIM_DEAD) {
            last = &record->births[i];
        }
    }
    return last != NULL && sl_sim_record_dead(record, -1) && (last->touched & (1u << device)) != 0;
}

bool sl_sim_record_deletable(const struct sl_sim_ledger *ledger, uint32_t record, int device)
{
    const struct sl_sim_record *parent = &ledger->records[record];
    for (uint32_t i = 0; i < parent->referrers_len; i++) {
        const struct sl_sim_record *child = &ledger->records[parent->referrers[i]];
        bool ours = !ledger->world->schema.models[child->model].shared && child->owner == device;
        if (parent->referrers[i] != record && !ours && !sl_sim_record_dead(child, device)) {
            return false;
        }
    }
    return true;
}

bool sl_sim_value_equal(const struct sl_sim_value *a, const struct sl_sim_value *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case SL_SIM_NULL:
        return true;
    case SL_SIM_REAL:
        return a->real == b->real; /* SQLite keeps no -0.0 and no NaN */
    case SL_SIM_INT:
    case SL_SIM_REF:
        return a->integer == b->integer;
    case SL_SIM_TEXT:
    case SL_SIM_BLOB:
        break;
    }
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}
