/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Tags: shared rows that any device may change. One transaction a call. lib NULL: without syncing;
 * `db` is in no transaction. Names are not unique: two devices may make the same one. */

#ifndef INDEXER_TAG_MANAGER_H
#define INDEXER_TAG_MANAGER_H

#include "indexer/error.h"
#include "indexer/models.h"

struct sqlite3;

/* Makes a tag. color: "#rrggbb" or NULL. uuid may be NULL; else *uuid is the new one's.
 * Errors: EINVAL (an empty name, one that is not UTF-8, or a color of another form), EBUSY, ENOSPC,
 * EIO, EDB, and what Syncline's calls return. */
SYNCLINE_MUST_USE enum syncline_status indexer_tag_create(struct syncline *lib, struct sqlite3 *db,
                                                          const char *name, const char *color,
                                                          struct syncline_uuid *uuid,
                                                          struct indexer_error *err);

/* Gives a tag another name. Errors as for create, and ENOTFOUND. */
SYNCLINE_MUST_USE enum syncline_status indexer_tag_rename(struct syncline *lib, struct sqlite3 *db,
                                                          const struct syncline_uuid *uuid,
                                                          const char *name,
                                                          struct indexer_error *err);

/* Deletes a tag. Errors as for create, and ENOTFOUND. */
SYNCLINE_MUST_USE enum syncline_status indexer_tag_delete(struct syncline *lib, struct sqlite3 *db,
                                                          const struct syncline_uuid *uuid,
                                                          struct indexer_error *err);

/* Finds the one tag with this name. Errors: ENOTFOUND, EINVAL (several have it: say which by its
 * UUID), EDB, EIO, EBUSY. */
SYNCLINE_MUST_USE enum syncline_status indexer_tag_find(struct sqlite3 *db, const char *name,
                                                        struct syncline_uuid *uuid,
                                                        struct indexer_error *err);

/* Tells every tag, in the order of their UUIDs; the row dies when the callback returns.
 * Errors: EDB, EIO, EBUSY. */
SYNCLINE_MUST_USE enum syncline_status
indexer_tag_list(struct sqlite3 *db, void (*each)(void *ctx, const struct tag_row *row), void *ctx,
                 struct indexer_error *err);

#endif
