/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The ledger: what every device committed, kept by the workload and by nothing of the product. The
 * oracle folds it (sim_fold.h) into what each device must hold at the end.
 *
 * A version is one state of one record, written by one device; its number stands in the row's `rev`
 * column, so a row, and a change in a log, tells which version it is. A birth is one insert of a
 * record. A delete ends the birth it saw; a later insert of the same UUID is a birth of its own.
 *
 * What is written belongs to a transaction of the application, which has a number. The application
 * writes the number into a table of its own (sim_tx), in the same transaction: so it can be asked
 * after a crash which of them are there. One that ended in an error is unknown until then: while
 * nothing else was committed, a crash may make it true. One that was committed and is not there any
 * more was lost by the host's disk, which may be so only where the application did not sync. */

#ifndef SL_SIM_LEDGER_H
#define SL_SIM_LEDGER_H

#include "tests/sim/sim_world.h"

enum sl_sim_kind { SL_SIM_NULL = 0, SL_SIM_INT, SL_SIM_REAL, SL_SIM_TEXT, SL_SIM_BLOB, SL_SIM_REF };

struct sl_sim_value {
    enum sl_sim_kind kind;
    uint32_t len;        /* bytes of TEXT and BLOB; a NUL follows them */
    int64_t integer;     /* INT; of REF the parent's record number */
    double real;         /* REAL */
    const uint8_t *data; /* TEXT and BLOB; the ledger's, for its life */
};

enum sl_sim_outcome {
    SL_SIM_OPEN, /* or not known yet */
    SL_SIM_COMMITTED,
    SL_SIM_UNDONE_BY_APP, /* rolled back: nobody may ever see it */
    SL_SIM_LOST_BY_HOST   /* committed, and gone with a power cut; a log may still have it */
};

struct sl_sim_version {
    uint32_t record;
    uint32_t birth; /* index in the record's */
    uint32_t seen;  /* the version that it replaced; 0: it inserted */
    int device;     /* that wrote it */
    enum sl_sim_outcome outcome;
    bool overwritten;            /* a later commit saw it and replaced it */
    struct sl_sim_value *values; /* one per column; the first is rev */
};

enum sl_sim_birth_state { SL_SIM_PENDING, SL_SIM_LIVING, SL_SIM_DEAD, SL_SIM_UNDONE };

struct sl_sim_birth {
    enum sl_sim_birth_state state;
    int device;
    unsigned deleted;      /* devices that committed a delete of it, one bit each; */
    unsigned lost_deletes; /* and those whose delete the host lost */
    unsigned deleting;     /* devices with a delete of it in an open transaction, one bit each */
    unsigned touched;      /* devices that inserted, updated or deleted it: they had it once */
};

struct sl_sim_record {
    uint32_t model;
    int owner; /* the device of its first birth */
    struct syncline_uuid uuid;
    struct sl_sim_birth *births;
    uint32_t births_len;
    uint32_t last_rev[SL_SIM_DEVICES_MAX]; /* of each device, committed; 0: none */
    uint32_t *referrers;                   /* records that ever pointed here */
    uint32_t referrers_len;
    bool retired; /* somebody deleted it: nothing new may point here */
};

enum sl_sim_op_kind { SL_SIM_OP_INSERT = 1, SL_SIM_OP_UPDATE, SL_SIM_OP_DELETE };

/* One change made in a transaction that is still open. */
struct sl_sim_op {
    enum sl_sim_op_kind kind;
    uint32_t rev;  /* written; 0 for deletes */
    uint32_t seen; /* rev that was there before; 0 for inserts */
};

/* One transaction of an application. */
struct sl_sim_tx {
    int device;
    enum sl_sim_outcome outcome;
    bool is_synced;        /* COMMIT said that it is durable */
    struct sl_sim_op *ops; /* the ledger's memory; known when it has ended */
    size_t ops_len;
};

struct sl_sim_ledger {
    struct sl_sim_world *world;
    struct sl_sim_tx *txs; /* number n is at n - 1 */
    uint32_t txs_len;
    struct sl_sim_record *records;
    uint32_t records_len;
    struct sl_sim_version *versions; /* version rev is at rev - 1 */
    uint32_t versions_len;
    uint8_t uuid_salt[8];                 /* makes UUIDs of one world its own */
    struct block *blocks;                 /* memory of values */
    uint64_t changes[SL_SIM_DEVICES_MAX]; /* most that each device can have made, but for deletes */
};

void sl_sim_ledger_init(struct sl_sim_ledger *ledger, struct sl_sim_world *world);
void sl_sim_ledger_fini(struct sl_sim_ledger *ledger);

/* Memory that lives as long as the ledger. */
void *sl_sim_ledger_alloc(struct sl_sim_ledger *ledger, size_t size);

/* A new record; returns its number. Numbers count from 0, and are the end of the UUID. */
uint32_t sl_sim_record_new(struct sl_sim_ledger *ledger, uint32_t model, int owner);
/* The record of a UUID, NULL if there is none. */
struct sl_sim_record *sl_sim_record_find(struct sl_sim_ledger *ledger,
                                         const struct syncline_uuid *uuid);
uint32_t sl_sim_record_number(const struct sl_sim_ledger *ledger,
                              const struct sl_sim_record *record);
/* The version of a number; NULL if there is none, or it is of another record. */
struct sl_sim_version *sl_sim_version_find(struct sl_sim_ledger *ledger, int64_t rev,
                                           uint32_t record);

/* New versions: of a new birth, or of the birth of the version `seen`. `values` are taken over as
 * they are, rev is filled in. Returns rev. */
uint32_t sl_sim_version_born(struct sl_sim_ledger *ledger, uint32_t record, int device,
                             struct sl_sim_value *values);
uint32_t sl_sim_version_next(struct sl_sim_ledger *ledger, uint32_t seen, int device,
                             struct sl_sim_value *values);

/* A new transaction; returns its number. */
uint32_t sl_sim_tx_begin(struct sl_sim_ledger *ledger, int device);
/* How it ended; SL_SIM_OPEN says that it is not known. */
void sl_sim_tx_end(struct sl_sim_ledger *ledger, uint32_t tx, enum sl_sim_outcome outcome,
                   const struct sl_sim_op *ops, size_t len);
/* What was not known is known now; or what was committed is lost. */
void sl_sim_tx_settle(struct sl_sim_ledger *ledger, uint32_t tx, bool is_there);
/* Ops of an open transaction, undone. */
void sl_sim_ledger_begin_delete(struct sl_sim_ledger *ledger, int device, uint32_t seen);
void sl_sim_ledger_undo(struct sl_sim_ledger *ledger, int device, const struct sl_sim_op *ops,
                        size_t len);

/* Certainly gone for everybody, deletes in `device`'s open transaction counted. */
bool sl_sim_record_dead(const struct sl_sim_record *record, int device);
/* Certainly gone for everybody, and `device` once had what was there last. */
bool sl_sim_record_buried(const struct sl_sim_record *record, int device);
/* May `device` delete it without anybody, anywhere, still or newly pointing at it? */
bool sl_sim_record_deletable(const struct sl_sim_ledger *ledger, uint32_t record, int device);

bool sl_sim_value_equal(const struct sl_sim_value *a, const struct sl_sim_value *b);

#endif
