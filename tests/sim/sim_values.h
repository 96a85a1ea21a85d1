/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Values of columns: drawn, stored into row structs as the application's compiler would, and bound
 * to statements. Of a key the caller gives the parent's local id and UUID. */

#ifndef SL_SIM_VALUES_H
#define SL_SIM_VALUES_H

#include "tests/sim/sim_ledger.h"

struct sqlite3_stmt;

/* A value for a column that is no key: edges of the type, NULL where it may be, mostly small. */
struct sl_sim_value sl_sim_value_draw(struct sl_sim_ledger *ledger, struct sl_sim_random *random,
                                      const struct sl_sim_column *column);
/* Into the member of the row struct. */
void sl_sim_value_store(uint8_t *row, const struct sl_sim_column *column,
                        const struct sl_sim_value *value, int64_t key_id,
                        const struct syncline_uuid *key_uuid);
/* To the parameter `at`; bytes are borrowed until the statement is bound anew. */
void sl_sim_value_bind(struct sqlite3_stmt *stmt, int at, const struct sl_sim_column *column,
                       const struct sl_sim_value *value, int64_t key_id,
                       const struct syncline_uuid *key_uuid);

#endif
