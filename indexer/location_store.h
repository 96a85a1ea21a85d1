/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The row of a location and the entry of its folder, which are made and found together. Used by
 * location_manager.c alone; its thread; blocks on the disk. */

#ifndef INDEXER_LOCATION_STORE_H
#define INDEXER_LOCATION_STORE_H

#include "indexer/entry_batch.h"

/* Finds the location of this device and path, or makes it with its root entry, in one transaction;
 * with may_make false it does not make it: ENOTFOUND.
 * *root comes with what the disk says (name, kind, modified_at); it goes with its id, and if the
 * location was there (*existed), with what the database says instead, but without a name.
 * Errors: ENOTFOUND (also: the device is not registered), EBUSY, ENOSPC, EIO, EDB, and those of
 * Syncline.
 */
SYNCLINE_MUST_USE enum syncline_status
indexer_location_open(struct indexer_entry_batch *batch, const struct syncline_uuid *device,
                      const char *path, bool may_make, struct entry_row *root,
                      struct syncline_uuid *uuid, bool *existed, struct indexer_error *err);

#endif
