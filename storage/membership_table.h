/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The membership log in sync.db: its entries as they came (base/membership_entry.h), in that order.
 * Nothing is ever taken out. Called by whoever owns the handle. */

#ifndef SL_MEMBERSHIP_TABLE_H
#define SL_MEMBERSHIP_TABLE_H

#include "base/membership.h"
#include "storage/peer_log.h"

/* Inside a transaction. Errors: EDB, EIO, ENOSPC. */
enum syncline_status sl_membership_table_add(struct sl_peer_log *log, const void *data, size_t size,
                                             struct sl_error *err);
/* Adds all of them to the set, and derives. Errors: ECORRUPT, EDB, ENOMEM. */
enum syncline_status sl_membership_table_load(struct sl_peer_log *log, struct sl_membership *set,
                                              struct sl_error *err);

#endif
