/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Devices: the rows that stand for the library's members. */

#ifndef INDEXER_DEVICE_MANAGER_H
#define INDEXER_DEVICE_MANAGER_H

#include "indexer/error.h"
#include "indexer/models.h"

struct sqlite3;

/* Makes the row of this device if it is missing; what is there stays. lib NULL: without syncing.
 * `db` is in no transaction. `id` may be NULL; else *id = devices.id.
 * Errors: EINVAL (an empty name, or one that is not UTF-8), EBUSY, ENOSPC, EIO, EDB, and what
 * Syncline's calls return. */
SYNCLINE_MUST_USE enum syncline_status
indexer_device_register(struct syncline *lib, struct sqlite3 *db, const struct syncline_uuid *uuid,
                        const char *name, int64_t *id, struct indexer_error *err);

/* Tells every device, in the order of their ids; the row dies when the callback returns.
 * Errors: EDB, EIO, EBUSY. */
SYNCLINE_MUST_USE enum syncline_status
indexer_device_list(struct sqlite3 *db, void (*each)(void *ctx, const struct device_row *row),
                    void *ctx, struct indexer_error *err);

#endif
