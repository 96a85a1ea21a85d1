/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The reference merge: what every device must hold in the end, folded from the ledger and the
 * stamps that the logs gave its changes. It shares no code with the product's merge.
 *
 *     A birth is an insert in a log. It is dead if a delete in any log names it, or went with the
 *     tree of its owner: a device-owned record of the device that deleted what it points at.
 *     A living birth shows the latest of its insert and the updates that name it.
 *     A record shows the latest of its living births, and is gone without one.
 *     What is shown points at records that are shown.
 *
 * And between ledger and log: what an application committed is in its device's log, unless a later
 * change of that device or a delete stands in its place; and a delete in a log was made by an
 * application there, or by the product for a child whose parent is dead. */

#ifndef SL_SIM_FOLD_H
#define SL_SIM_FOLD_H

#include "tests/sim/sim_log.h"

struct sl_sim_fold {
    struct sl_sim_ledger *ledger;
    struct sl_sim_log log;
    uint32_t *winner;      /* by change, of births: the change that the birth shows */
    bool *is_dead;         /* by change, of births */
    uint32_t *shown;       /* by record: the rev of its row; 0: there is none */
    uint32_t *born_as;     /* by version: the birth that its change inserted or names */
    bool *is_orphan;       /* by record: some version pointed at one that died */
    uint32_t *first_birth; /* by record: its births, */
    uint32_t *next_birth;  /* and by birth: the next of the same record */
};

/* Reads the logs and folds. What does not fit together is a failure. */
void sl_sim_fold_init(struct sl_sim_fold *fold, struct sl_sim_ledger *ledger);
void sl_sim_fold_fini(struct sl_sim_fold *fold);

/* What happened to a record, a line each: what the applications did, and what the logs say. Ends
 * where there is no room. */
void sl_sim_fold_tell(const struct sl_sim_fold *fold, uint32_t record, char *out, size_t size);

#endif
