/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Can the models' tables have a first record, each? Not those in a circle whose keys must all be
 * there at once: NOT NULL, and checked by each statement. */

#ifndef SL_KEY_CHECK_H
#define SL_KEY_CHECK_H

#include "base/model.h"
#include "storage/db.h"

/* Calls `found` for each foreign key in the text of a CREATE TABLE: the column that has it - the
 * first, if there are several - and whether it is checked at the commit only. No pragma tells that.
 * `column` is cut to SL_NAME_SIZE_MAX bytes and ends with NUL. */
void sl_each_declared_key(const char *sql,
                          void (*found)(void *ctx, const char *column, bool deferred), void *ctx);

/* Refuses models that point at each other in a circle of which every key is NOT NULL and immediate.
 * A model that points at itself is none: its first record can point at itself. The tables have
 * passed sl_record_table_check. Errors: EMODEL (names the models and fields), ENOMEM, of the
 * database. */
enum syncline_status sl_key_cycles_check(const struct sl_db *db, const struct sl_model_set *set,
                                         struct sl_error *err);

#endif
