/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The setting check_captures: are the structs that a call captures the rows of the table? What is
 * sent is the struct, so one that says something else makes the devices differ, and nothing later
 * would notice. Costs a query for each record, so it is for the time of development. */

#ifndef SL_CAPTURE_CHECK_H
#define SL_CAPTURE_CHECK_H

#include "base/model.h"
#include "storage/db.h"

/* In the caller's open transaction on `db`, on which nothing of ours is left. Any thread that db
 * belongs to. Errors: EINVAL (there is no row with that id, or its UUID or a field is another; the
 * text names model, UUID and field), EDB, ENOMEM, ... */
enum syncline_status sl_capture_check(const struct sl_db *db, const struct sl_model *model,
                                      const void *rows, uint32_t n, struct sl_error *err);

#endif
